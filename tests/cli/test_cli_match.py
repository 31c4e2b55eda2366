"""`maap match`: a ship against all granules of the archive, few questions, fetching on request alone."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from maap_tui import MaapClient
from maap_tui.demo import Archive
from tests.engine.geod_kit import GEOD, Gone, Position, Sampled, apart, nearest_pair
from tests.homes import Ended

L2 = "EarthCAREL2Validated_MAAP"
BEGIN = datetime(2025, 12, 1, 6, tzinfo=UTC)
HOURS = 48


def rows_of(ended: Ended) -> list[dict[str, Any]]:
    assert ended.code == 0, ended.err
    return [json.loads(line) for line in ended.lines]


def way(name: str) -> list[tuple[float, Position]]:
    """(hours, position) of a platform: a ship over 180 degrees, an aircraft over the pole, a mooring."""
    start, heading, speed = {
        "ship": ((178.5, -18.0), 95.0, 9.0),
        "flight": ((-30.0, 84.0), 20.0, 210.0),
        "mooring": ((24.288, 61.844), 0.0, 0.0),
    }[name]
    count = 8 if name == "flight" else HOURS
    return [
        (float(hour), GEOD.fwd(*start, heading, speed * 3600 * hour)[:2]) for hour in range(0, count + 1, 2)
    ]


def write(file: Path, points: list[tuple[float, Position]]) -> Path:
    lines = [f"{(BEGIN + timedelta(hours=hour)).isoformat()},{at[1]:.6f},{at[0]:.6f}" for hour, at in points]
    file.write_text("\n".join(["time,lat,lon", *lines]) + "\n")
    return file


@pytest.mark.parametrize("name", ["ship", "flight", "mooring"])
def test_none_is_missed_and_none_is_made_up(
    name: str, maap: Callable[..., Ended], asked: Callable[[str], int], tmp_path: Path
) -> None:
    points = way(name)
    file = write(tmp_path / f"{name}.csv", points)
    within = 900 if name == "ship" else 300
    options = ("--dt", "60m", "--dx", f"{within}km", "--json")
    found = {row["granule"]: row for row in rows_of(maap("match", file, "CPR_CLD_2A:BC", *options))}
    requests = asked("search")
    # 180 degrees parts each question in two.
    assert requests <= {"ship": 6, "flight": 10, "mooring": 1}[name]

    span = ("-s", "2025-12-01T04:00", "-e", "2025-12-03T09:00")
    every = rows_of(maap("search", L2, "CPR_CLD_2A", "BC", *span, "--json", "-n", "9999"))
    platform = Gone([at for _, at in points], [hour * 3600 for hour, _ in points])
    expected = {}
    for one in every:
        start, end = (datetime.fromisoformat(one[key]) for key in ("sensing_start", "sensing_end"))
        seconds, offset = (end - start).total_seconds(), (BEGIN - start).total_seconds()
        # What no part of comes near is not looked at more closely: points of a track are 450 km apart.
        if max(-3600, offset) > min(seconds + 3600, offset + platform.seconds):
            continue
        pairs = [(*at, *there) for at in one["track"] for _, there in points]
        hop = {"ship": 50, "flight": 800, "mooring": 0}[name]
        if GEOD.inv(*np.array(pairs).T)[2].min() > (within + 300 + hop) * 1000:
            continue
        expected[one["id"]] = nearest_pair(Sampled(one["track"], seconds), platform, offset, 3600)
    sure = {identity for identity, (metres, _, _) in expected.items() if metres <= within * 1000}
    assert sure and set(found) >= sure
    for identity, row in found.items():
        metres, moment, _ = expected[identity]
        assert row["distance_km"] <= min(within, metres / 1000 + 0.1)
        assert apart(
            (row["longitude"], row["latitude"]), (row["platform_longitude"], row["platform_latitude"])
        ) == pytest.approx(row["distance_km"] * 1000, abs=100)
        assert abs(row["minutes"]) <= 60.001
        if identity in sure and abs(row["distance_km"] - metres / 1000) < 0.001:
            start = next(
                datetime.fromisoformat(one["sensing_start"]) for one in every if one["id"] == identity
            )
            when = datetime.fromisoformat(row["time"])
            assert abs(when - start - timedelta(seconds=moment)) < timedelta(seconds=0.1)


def test_a_swath_that_covers_the_platform(maap: Callable[..., Ended], tmp_path: Path) -> None:
    file = write(tmp_path / "mooring.csv", [(0.0, (24.288, 61.844)), (600.0, (24.288, 61.844))])
    found = rows_of(maap("match", file, "MSI_COP_2A", "--dx", "2km", "--gap", "30d", "--json"))
    inside = [row for row in found if row["swath_km"] == 0]
    assert inside and max(row["distance_km"] for row in inside) > 30
    overpasses = rows_of(
        maap(
            "overpass", L2, "MSI_COP_2A", "--point=hyytiala", "--radius=2km",
            "-s", BEGIN.isoformat(), "-e", (BEGIN + timedelta(hours=600)).isoformat(), "--json",
        )
    )  # fmt: skip
    assert [row["granule"] for row in found] == [row["granule"] for row in overpasses]
    for row, other in zip(found, overpasses, strict=True):
        assert row["distance_km"] == pytest.approx(other["distance_km"], abs=0.01)
        assert row["swath_km"] == pytest.approx(other["swath_km"], abs=0.01)


def test_several_products_and_their_forms(maap: Callable[..., Ended], tmp_path: Path) -> None:
    file = write(tmp_path / "ship.csv", way("ship"))
    words = ("match", file, "CPR_CLD_2A:BC", f"{L2}/ATL_EBD_2A", "--dx", "900km")
    ended = maap(*words)
    assert ended.code == 0 and ended.lines[0].startswith("Time (UTC)")
    assert "ship.csv: 25 positions, 2025-12-01 06:00 to 2025-12-03 06:00" in ended.err
    products = {line.split("_")[2] + line.split("_")[3] for line in ended.lines[1:]}
    assert products == {"CPRCLD", "ATLEBD"}
    same = rows_of(maap(*words, "--json"))
    table = list(csv.DictReader(io.StringIO(maap(*words, "--csv").out)))
    assert [row["granule"] for row in table] == [row["granule"] for row in same]
    assert maap(*words, "-o", tmp_path / "out.jsonl").code == 0
    assert [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()] == same


def test_nothing_is_fetched_without_get(
    maap: Callable[..., Ended], asked: Callable[[str], int], home: Path, tmp_path: Path
) -> None:
    file = write(tmp_path / "ship.csv", way("ship"))
    words = ("match", file, "CPR_CLD_2A:BC", "--dx", "900km", "--dt", "1h")
    before = rows_of(maap(*words, "--json"))
    assert before and {row["state"] for row in before} == {"new"}
    assert asked("data") == 0 and not list((home / "data").rglob("*.h5"))

    ended = maap(*words, "--get")
    assert ended.code == 0 and f"Downloaded {len(before)} files" in ended.err
    here = {path.stem for path in (home / "data").rglob("*.h5")}
    assert here == {row["granule"] for row in before}
    assert {row["state"] for row in rows_of(maap(*words, "--json"))} == {"here"}
    fetched = asked("data")
    assert maap(*words, "--get").code == 0 and asked("data") == fetched


def test_what_a_clean_up_deleted_counts_as_not_here(
    maap: Callable[..., Ended], home: Path, tmp_path: Path
) -> None:
    words = ("match", write(tmp_path / "ship.csv", way("ship")), "CPR_CLD_2A:BC", "--dx", "900km")
    fetched = maap(*words, "--get")
    (size,) = {words.split(", ")[1] for words in fetched.err.splitlines() if "of it not here" in words}
    assert maap("state", "mark", *(home / "data").rglob("*.h5")).code == 0
    assert maap("state", "cleanup", L2, "CPR_CLD_2A", "BC").code == 0
    ended = maap(*words)
    assert ended.code == 0 and "deleted" in ended.out and f"{size}" in ended.err
    with MaapClient() as client:
        track = tmp_path / "ship.csv"
        assert {one.state for one in client.match(track, "CPR_CLD_2A:BC", within_km=900)} == {"deleted"}
        again = client.match(track, "CPR_CLD_2A:BC", within_km=900, get=True)
    assert {one.state for one in again} == {"marked"}, "what registry and disk say now"


@pytest.mark.parametrize(("status", "code"), [(404, 4), (410, 4), (503, 3)])
def test_what_the_archive_does_not_give_is_said(
    maap: Callable[..., Ended], archive: Archive, tmp_path: Path, status: int, code: int
) -> None:
    file = write(tmp_path / "ship.csv", way("ship"))
    archive.faults.set(status=status, target="data")
    ended = maap("match", file, "CPR_CLD_2A:BC", "--dx", "900km", "--get")
    assert ended.code == code and ended.err.count("\nFailed: ECA_") == len(ended.lines) - 1
    gone = ": the archive does not have it" in ended.err
    assert gone is (code == 4)


def test_what_is_fetched_goes_where_the_settings_say(
    maap: Callable[..., Ended],
    asked: Callable[[str], int],
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = write(tmp_path / "ship.csv", way("ship"))
    words = ("match", file, "CPR_CLD_2A:BC", "--dx", "900km", "--get", "--quiet")
    names = [row["granule"] for row in rows_of(maap(*words[:5], "--json"))]
    monkeypatch.setenv("MAAP_DOWNLOADS_PRODUCT_DIR", "true")
    assert maap(*words).code == 0
    paths = list((home / "data").rglob("*.h5"))
    assert len(paths) == len(names) and all(path.parent.name == path.stem for path in paths)
    fetched = asked("data")
    monkeypatch.delenv("MAAP_DOWNLOADS_PRODUCT_DIR")
    assert maap(*words).code == 0 and asked("data") == fetched, "what is here stays where it is"


def test_the_list_and_the_fetch_agree_on_what_is_here(
    maap: Callable[..., Ended], asked: Callable[[str], int], home: Path, tmp_path: Path
) -> None:
    file = write(tmp_path / "ship.csv", way("ship"))
    words = ("match", file, "CPR_CLD_2A:BC", "--dx", "900km")
    assert maap(*words, "--get").code == 0
    fetched = asked("data")
    # One is elsewhere, as the registry says; another one was deleted by a clean-up.
    moved, gone = sorted((home / "data").rglob("*.h5"))[:2]
    other = home / "data" / "moved" / moved.name
    other.parent.mkdir()
    moved.rename(other)
    for lines in home.rglob("dwl_*.txt"):
        lines.write_text(lines.read_text().replace(str(moved), str(other)))
    assert maap("state", "mark", gone).code == 0
    assert maap("state", "cleanup", L2, "CPR_CLD_2A", "BC").code == 0
    listed = maap(*words, "--json")
    assert {row["granule"]: row["state"] for row in rows_of(listed)}[gone.stem] == "deleted"
    assert "of it not here" in listed.err
    ended = maap(*words, "--get")
    assert ended.code == 0 and "Downloaded 1 file" in ended.err
    assert asked("data") == fetched + 1 and gone.exists() and not moved.exists()
    assert "of it not here" not in maap(*words).err


def test_a_baseline_that_cannot_be_read_loses_no_match(
    maap: Callable[..., Ended], home: Path, tmp_path: Path
) -> None:
    file = write(tmp_path / "ship.csv", way("ship"))
    words = ("match", file, "CPR_CLD_2A:BC", "--dx", "900km", "--json")
    before = rows_of(maap(*words))
    folder = home / "registry/downloads/EarthCARE" / L2 / "CPR_CLD_2A" / "BC"
    folder.parent.mkdir(parents=True)
    folder.symlink_to(folder)
    ended = maap(*words)
    assert ended.code == 3 and ended.err.count(f"{folder} is ignored") == 1
    assert [json.loads(line) for line in ended.lines] == before


def test_rows_of_the_track_that_cannot_be_used_count(maap: Callable[..., Ended], tmp_path: Path) -> None:
    file = write(tmp_path / "ship.csv", way("ship"))
    with file.open("a") as opened:
        opened.write("soon,1,1\n")
    ended = maap("match", file, "CPR_CLD_2A:BC", "--dx", "900km")
    assert ended.code == 4 and len(ended.lines) > 1
    assert "Skipped: ship.csv, line 27: 'soon' is not a time" in ended.err
    assert "Skipped 1 position of ship.csv" in ended.err


def test_a_part_that_fails_is_said_and_counts(
    maap: Callable[..., Ended], archive: Archive, tmp_path: Path
) -> None:
    file = write(tmp_path / "ship.csv", way("ship"))
    archive.faults.set(status=503, target="search")
    ended = maap("match", file, "CPR_CLD_2A:BC")
    assert ended.code == 3 and "FAILED DAY" in ended.err and "No granule" in ended.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere.csv", "CPR_CLD_2A"), "nowhere.csv is not a file that is here"),
        (("ship.csv", "CPR/CLD/2A"), "'CPR/CLD/2A' is not a product"),
        (("ship.csv", "CPR_NOT_2A"), "No collection is known to have CPR_NOT_2A"),
        (("ship.csv", "CPR_CLD_2A:QQ"), "QQ"),
        (("ship.csv", "EarthCAREL1Validated_MAAP/AUX_JSG_1D"), "AUX_JSG_1D has no ground track"),
        (("ship.csv", "CPR_CLD_2A", "--dt", "30"), "--dt '30' is not a length of time"),
        (("ship.csv", "CPR_CLD_2A", "--dt", "3d"), "at most 1d"),
        (("ship.csv", "CPR_CLD_2A", "--dx", "-4"), "--dx"),
        (("ship.csv", "CPR_CLD_2A", "--json", "--csv"), "--json cannot be used with --csv"),
        (("ship.csv", "CPR_CLD_2A", "-o", "out.txt"), "does not say what form is meant"),
        (("ship.csv",), "PRODUCT"),
    ],
)
def test_what_cannot_be_is_said(
    words: tuple[str, ...], said: str, maap: Callable[..., Ended], tmp_path: Path
) -> None:
    write(tmp_path / "ship.csv", way("ship"))
    ended = maap("match", *words)
    assert (ended.code, ended.out) == (4, "")
    assert said in ended.err and ended.err.count("Error:") == 1
