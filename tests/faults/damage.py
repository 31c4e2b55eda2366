"""Registry files with every kind of damage, and the commands on them: F19."""

from __future__ import annotations

import contextlib
import io
import os
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

from maap_tui.engine.registry.baseline import BaselineRegistry
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.registry.registry import Registry
from maap_tui.engine.registry.repair import problems_of
from tests.faults.figure import Figure

Kind = Literal["url", "dwl", "mrk"]
KEY = Key("EarthCARE", "EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")
NAMES = (KEY.collection, KEY.product_type, KEY.baseline)
TREES: dict[Kind, str] = {"url": "urls", "dwl": "downloads", "mrk": "marked"}
FIRST = date(2024, 6, 1)
LINES = 3
"""Good lines of a file before it is damaged."""
PER_REGISTRY = 100
"""Damaged files that one run of the commands meets."""
BAD_LINES = (
    b"\xff\xfe\xfd",
    b"https://archive.example/\xff\xfe|/data/\xff",
    b"https://archive.example/a\x00b|/data/\x00",
    b"\x00" * 300,
    b"https://archive.example/" + b"x" * (1 << 20) + b"|/data/x",
    b"|",
    b"||||",
    b"\xef\xbb\xbf\xef\xbb\xbf",
    b"\x1b]0;title\x07",
    b"ftp://archive.example/a.h5|/data/a.h5",
    "https://archive.example/é|/data/é".encode("latin-1"),
    b"\xed\xa0\x80\xed\xb0\x80",
    b"\x0b\x0c\x1c\x1d\x1e\xc2\x85\xe2\x80\xa8",
    b"https://",
)
NAMES_OF_NO_DAY = (
    "20251399",
    "20250230",
    "00000000",
    "99999999",
    "2025120",
    "x",
    "20251201.old",
    "１２３４５６７８",
)


def entry(day: date, number: int) -> TrackedFile:
    name = f"ECA_EXBC_CPR_CLD_2A_{day:%Y%m%d}T{number:06d}Z_{day:%Y%m%d}T235959Z_08574C.h5"
    below = "/".join((KEY.mission, *NAMES, f"{day:%Y/%m/%d}"))
    return TrackedFile(KEY, day, f"https://archive.example/data/{below}/{name}", f"/data/{below}/{name}")


def line_of(kind: Kind, one: TrackedFile) -> bytes:
    return (one.path if kind == "mrk" else f"{one.url}|{one.path}").encode()


@dataclass
class Damaged:
    """One damaged file."""

    kind: Kind
    day: date
    content: bytes
    good: list[TrackedFile]
    """What must still be read, and still stand there after a write."""
    bad: list[bytes] = field(default_factory=list)
    """Lines that must be reported, and still stand there after a write."""
    what: str = ""
    name: str = ""
    """The part of its name where the day stands, when that is none."""


def damages(count: int, seed: int = 1) -> Iterator[Damaged]:
    """Each a file of a day of its own; every place to tear one comes first."""
    chance = random.Random(seed)
    kinds: tuple[Kind, ...] = ("url", "dwl", "mrk")
    made = 0
    lengths = {kind: sum(len(line_of(kind, entry(FIRST, n))) + 1 for n in range(LINES)) for kind in kinds}
    torn = [(kind, cut) for kind in kinds for cut in range(lengths[kind])]
    # A small count has some of the torn ones and most of the others.
    if count < 4 * len(torn):
        torn = chance.sample(torn, count // 4)
    while made < count:
        day = FIRST + timedelta(days=made % PER_REGISTRY)
        if made < len(torn):
            kind, cut = torn[made]
            yield _tear(kind, day, cut)
        else:
            yield chance.choice(_WAYS)(kinds[made % 3], day, chance)
        made += 1


def _whole(kind: Kind, day: date) -> tuple[list[TrackedFile], list[bytes]]:
    entries = [entry(day, number) for number in range(LINES)]
    return entries, [line_of(kind, one) for one in entries]


def _tear(kind: Kind, day: date, cut: int) -> Damaged:
    entries, lines = _whole(kind, day)
    content = b"\n".join(lines)[:cut] if cut < sum(map(len, lines)) + LINES else b"\n".join(lines)
    return Damaged(kind, day, content, entries[: content.count(b"\n")], what=f"torn at {cut}")


def _byte(kind: Kind, day: date, chance: random.Random) -> Damaged:
    entries, lines = _whole(kind, day)
    index, byte = chance.randrange(LINES), chance.choice([b"\xff", b"\x00", b"\x07", b"\x1b", b"\x7f"])
    place = chance.randrange(len(lines[index]) + 1)
    changed = lines[index][:place] + byte + lines[index][place + chance.randrange(2) :]
    lines[index] = changed
    return Damaged(
        kind, day, b"\n".join(lines) + b"\n", entries[:index] + entries[index + 1 :], [changed],
        f"byte {byte!r} at {place}",
    )  # fmt: skip


def _bad_line(kind: Kind, day: date, chance: random.Random) -> Damaged:
    entries, lines = _whole(kind, day)
    # For a path almost every line is one.
    bad = chance.choice(BAD_LINES if kind != "mrk" else BAD_LINES[:5])
    lines.insert(chance.randrange(LINES + 1), bad)
    return Damaged(kind, day, b"\n".join(lines) + b"\n", entries, [bad], f"line {bad[:30]!r}")


def _line_ends(kind: Kind, day: date, chance: random.Random) -> Damaged:
    entries, lines = _whole(kind, day)
    end = chance.choice([b"\r\n", b"\n\n", b"\r", b" \n", b"\t\r\n", b"\n# x\n"])
    start = chance.choice([b"", b"\xef\xbb\xbf", b"\n", b"# \xff\n", b"\xef\xbb\xbf# x\r\n"])
    return Damaged(kind, day, start + end.join(lines) + end, entries, what=f"ends {end!r} after {start!r}")


def _odd_name(kind: Kind, day: date, chance: random.Random) -> Damaged:
    _, lines = _whole(kind, day)
    content = b"\n".join(lines) + b"\n"
    return Damaged(kind, day, content, [], what="no day", name=chance.choice(NAMES_OF_NO_DAY))


def _noise(kind: Kind, day: date, chance: random.Random) -> Damaged:
    entries, lines = _whole(kind, day)
    noise = chance.randbytes(chance.randrange(1, 2000)).replace(b"\r", b"")
    # A line end before it, so that the good ones end where they did.
    return Damaged(kind, day, b"\n".join(lines) + b"\n" + noise, entries, what="noise at the end")


_WAYS = (_byte, _byte, _bad_line, _bad_line, _line_ends, _odd_name, _noise)


@dataclass
class Survived:
    """What came of the commands on damaged files."""

    files: int = 0
    crashes: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    """Good lines that were not read."""
    lost: list[str] = field(default_factory=list)
    """Lines, good or bad, that a write took away; and new ones that are not there once."""
    unreported: list[str] = field(default_factory=list)

    invented: list[str] = field(default_factory=list)
    """Lines read from a torn file that nobody ever wrote whole."""

    @property
    def is_right(self) -> bool:
        return not (self.crashes or self.unread or self.lost or self.unreported or self.invented)


def survive(files: int, folder: Path, seed: int = 1) -> Survived:
    """Run the commands that read and write the registry on damaged files, many of them at a time."""
    done = Survived()
    batch: list[Damaged] = []
    for number, one in enumerate(damages(files, seed)):
        batch.append(one)
        if len(batch) == PER_REGISTRY or number == files - 1:
            _survive_batch(batch, folder / f"{number}", done)
            done.files += len(batch)
            batch.clear()
    return done


def _path(root: Path, one: Damaged) -> Path:
    below = root / TREES[one.kind] / KEY.mission / "/".join(NAMES) / f"{one.day.year}"
    return below / f"{one.kind}_{one.name or format(one.day, '%Y%m%d')}.txt"


def _survive_batch(batch: list[Damaged], home: Path, done: Survived) -> None:
    root = home / "registry"
    # Two of one name cannot be there at once.
    written = {_path(root, one): one for one in batch}
    for path, one in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(one.content)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    whole = [entry(FIRST, number).url.encode() + b"|cut short" for number in range(2)]
    errors = root / "downloads" / KEY.mission / "/".join(NAMES) / "errors.txt"
    errors.parent.mkdir(parents=True, exist_ok=True)
    errors.write_bytes(whole[0] + b"\n\xff\xfe\n" + b"x" * 20000 + b"\n" + whole[1][:-4])

    def run(*words: str) -> list[str]:
        code, out, err = command(home, *words)
        # Whatever leaves damaged lines out ends with 3, what comes across none with 0.
        if code not in (0, 3) or "mistake in maap_tui" in err:
            done.crashes.append(f"{words}: {code} {err[-300:]}")
        return out.splitlines()

    run("state", "show")
    run("state", "show", *NAMES)
    run("state", "show", *NAMES, "--start", str(FIRST), "--end", str(FIRST + timedelta(days=5)))
    downloads = run("state", "pending", *NAMES)
    marks = run("state", "pending", *NAMES, "--type", "marks")
    for one in written.values():
        # Nothing of these days is downloaded or marked but what the damaged file itself says.
        listed = downloads if one.kind == "url" else marks
        for good in one.good if one.kind != "mrk" else ():
            if (good.url if one.kind == "url" else good.path) not in listed:
                done.unread.append(f"{one.what}: {good.url}")
    registry = Registry(root).baseline(KEY)
    marked = {path for path, _ in registry.marked()}
    for one in written.values():
        if one.kind == "mrk":
            done.unread += [f"{one.what}: {good.path}" for good in one.good if good.path not in marked]
    reported = {problem.file for problem in problems_of(registry)}
    done.unreported += [
        f"{path.name}: {one.what}"
        for path, one in written.items()
        if (one.name or one.bad) and path not in reported
    ]
    torn = [one for one in written.values() if one.what.startswith("torn")]
    done.invented += [f"{one.what}: {found}" for one in torn for found in _invented(registry, one)]
    _write(registry, [one for one in written.values() if not one.name], run)
    done.invented += [f"{one.what}: {found}" for one in torn for found in _invented(registry, one)]
    for path, one in written.items():
        done.lost += [f"{path.name}: {one.what}: {what}" for what in _lost(one, path.read_bytes())]
    failed = registry.errors()
    if not {entry(FIRST, number).url for number in range(2)} <= failed.keys():
        done.lost.append(f"errors.txt: {failed}")


NEW = 77
"""Number of the line that is written into every damaged file."""


def _write(registry: BaselineRegistry, damaged: list[Damaged], run: object) -> None:
    """Write into every damaged file as sync and the commands do, twice."""
    assert callable(run)
    for _ in range(2):
        registry.add([entry(one.day, NEW) for one in damaged if one.kind == "url"])
        for one in damaged:
            if one.kind == "dwl":
                new = entry(one.day, NEW)
                registry.record(new.url, new.path, new.day)
        paths = [entry(one.day, NEW).path for one in damaged if one.kind == "mrk"]
        if paths:
            run("state", "mark", *paths)
    registry.record_error(entry(FIRST, 5).url, "time-out")


def _invented(registry: BaselineRegistry, one: Damaged) -> set[tuple[str, str]]:
    known = [entry(one.day, number) for number in (*range(LINES), NEW)]
    if one.kind == "mrk":
        found = {("", path) for path, _ in registry.marked(one.day, one.day)}
        return found - {("", other.path) for other in known}
    listed = registry.urls if one.kind == "url" else registry.downloads
    found = {(other.url, other.path) for other in listed(one.day, one.day)}
    whole = {(other.url, other.path) for other in known}
    # Of a line that was cut behind its URL the URL is all there; the path is made from it anyway.
    return found - whole - ({(other.url, "") for other in known} if one.kind == "url" else set())


def _lost(one: Damaged, content: bytes) -> Iterator[str]:
    """What of a file does not stand there any more as it should."""
    lines = Counter(
        line.strip(b" \t\r\x0b\x0c").removeprefix(b"\xef\xbb\xbf")
        for line in content.replace(b"\r", b"\n").split(b"\n")
    )
    for good in one.good:
        if lines[line_of(one.kind, good)] < 1:
            yield f"good line gone: {good.url}"
    for bad in one.bad:
        if bad not in content:
            yield f"bad line gone: {bad[:60]!r}"
    if not one.name and lines[line_of(one.kind, entry(one.day, NEW))] != 1:
        yield "the new line is not there once"
    if not content.startswith(one.content[: one.content.rfind(b"\n") + 1]):
        yield "what stood before the last line end has changed"


def command(home: Path, *words: str) -> tuple[int, str, str]:
    """Run a command line in this process: exit code, stdout, stderr."""
    from maap_tui.cli.main import main

    before = dict(os.environ)
    out, err = io.StringIO(), io.StringIO()
    os.environ |= {"MAAP_HOME": str(home), "HOME": str(home), "MAAP_REGISTRY_DIR": str(home / "registry")}
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(list(words))
    finally:
        os.environ.clear()
        os.environ.update(before)
    return code, out.getvalue(), err.getvalue()


def measure_damage(rounds: int, folder: Path) -> Figure:
    """F19: that many damaged files of the registry, read and written by the commands."""
    done = survive(rounds, folder)
    return Figure(
        "F19",
        f"{done.files} damaged files of the registry",
        "0 crashes, every good line read and kept, none made up, every bad one kept and reported",
        f"{len(done.crashes)} crashes, {len(done.unread)} good lines not read, "
        f"{len(done.lost)} lines lost, {len(done.invented)} made up, "
        f"{len(done.unreported)} files not reported",
        done.is_right,
    )
