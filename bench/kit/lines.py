"""A registry as years of runs leave it, written at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path

MISSION = "EarthCARE"
HOST = "https://archive.example"


def write_day(
    root: Path,
    names: Sequence[str],
    day: date,
    pairs: Iterable[tuple[str, str]],
    parts: tuple[float, float] = (1, 1),
) -> None:
    """Write one day's files: pairs of URL and path are discovered, shares of them downloaded and marked."""
    lines = [f"{url}|{path}\n" for url, path in pairs]
    paths = [line.partition("|")[2] for line in lines]
    downloaded, marked = (round(len(lines) * part) for part in parts)
    for tree, prefix, content in (
        ("urls", "url", lines),
        ("downloads", "dwl", lines[:downloaded]),
        ("marked", "mrk", paths[:marked]),
    ):
        folder = root.joinpath(tree, MISSION, *names, f"{day.year}")
        folder.mkdir(parents=True, exist_ok=True)
        if content:
            (folder / f"{prefix}_{day:%Y%m%d}.txt").write_text("".join(content))


def fill(
    root: Path, names: Sequence[str], *, days: int, per_day: int, first: date = date(2023, 5, 1)
) -> None:
    """Write days of which all is discovered, 90 % downloaded and half marked: the newest is pending."""
    product, baseline = names[1:]
    for index in range(days):
        day = first + timedelta(days=index)
        pairs = []
        for number in range(per_day):
            second = number * 86399 // per_day
            stamp = f"{day:%Y%m%d}T{second // 3600:02d}{second // 60 % 60:02d}{second % 60:02d}Z"
            orbit = f"{(index * 16 + number * 16 // per_day) % 100_000:05d}{'ABCDEFGH'[number % 8]}"
            name = f"ECA_EX{baseline}_{product}_{stamp}_20260101T000000Z_{orbit}.h5"
            url = f"{HOST}/data/earthcare-pdgs-01/EarthCARE/{product}/{baseline}/{day:%Y/%m/%d}/{name}"
            path = f"/data/earthcare/{'/'.join((MISSION, *names))}/{day:%Y/%m/%d}/{name}"
            pairs.append((url, path))
        write_day(root, names, day, pairs, _parts(index, days))


def _parts(index: int, days: int) -> tuple[float, float]:
    if index < days * 0.88:
        return 1, 1 if index < days / 2 else 0
    return 1 / 6, 0
