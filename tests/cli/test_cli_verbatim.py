"""The real items, served: listed, searched by area, shown with a track, and downloaded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import pytest

from tests import verbatim
from tests.homes import Ended, runner
from tests.verbatim import COLLECTION, FIRST

COP = (COLLECTION, "MSI_COP_2A", "BA")
SPRING = ("--start", "2025-03-01", "--end", "2025-04-30")
SAME_TRACK = ["04366E", "04755E"]
"""Orbits of one ground track, 25 days from one another."""
DAY = ("--date", "2025-03-05")


@pytest.fixture(scope="module")
def server() -> Iterator[verbatim.Server]:
    with verbatim.serving() as started:
        yield started


@pytest.fixture
def maap(
    server: verbatim.Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Ended]:
    for name, value in server.environment(tmp_path / "home").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MAAP_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)

    return runner(capsys)


def test_they_are_listed(maap: Callable[..., Ended]) -> None:
    assert COLLECTION in maap("list", "--verify").out
    assert maap("list", COLLECTION, "--verify").lines == ["MSI_COP_2A"]
    assert maap("list", *COP[:2], "--verify").lines == ["BA"]
    shown = maap("list", *COP, "--verify", "--json")
    assert shown.code == 0 and json.loads(shown.out)["count"] == 5


def frames(ended: Ended) -> list[str]:
    assert ended.code == 0, ended.err
    return [url.rpartition("_")[2].removesuffix(".h5") for url in ended.lines]


def test_they_are_found_by_time_orbit_and_name(maap: Callable[..., Ended]) -> None:
    assert frames(maap("search", *COP, *SPRING)) == ["04366E", "04537E", "04568E", "04755E", "04879E"]
    assert frames(maap("search", *COP, "--orbit", "04537")) == ["04537E"]
    assert maap("search", *COP, *SPRING, "--count").out == "5\n"


@pytest.mark.parametrize(
    ("area", "expected"),
    [
        # The swaths of orbits 4366 and 4755 reach from 1.26 to 2.75 degrees east on the equator.
        (["--bbox", "1.9,-0.1,2.0,0.1"], SAME_TRACK),
        (["--bbox", "-1.0,-0.1,0.9,0.1"], []),
        (["--bbox", "-1.0,-0.1,1.5,0.1"], SAME_TRACK),
        (["--bbox", "-20,-30,30,30"], ["04366E", "04537E", "04568E", "04755E", "04879E"]),
        (["--point", "0,2", "--radius", "1"], SAME_TRACK),
        (["--point", "0,1.258", "--radius", "1"], SAME_TRACK),
        # 0.7 degrees west of the edge: 77 km along the equator, 76.5 km across to the edge.
        (["--point", "0,0.56", "--radius", "78"], SAME_TRACK),
        (["--point", "0,0.56", "--radius", "74"], []),
        # Beyond the northern end, where the corners of the outline's box are nearer than the swath.
        (["--point", "22.4,-2", "--radius", "600"], []),
    ],
)
def test_they_are_found_by_area(maap: Callable[..., Ended], area: list[str], expected: list[str]) -> None:
    assert frames(maap("search", *COP, *SPRING, *area)) == expected


def test_json_has_the_track_and_when_it_was_published(maap: Callable[..., Ended]) -> None:
    row = json.loads(maap("search", *COP, *DAY, "--json").out)
    assert row["id"] == FIRST and row["geometry"]["type"] == "Polygon"
    assert len(row["track"]) == 10
    (lon_a, lat_a), (lon_b, lat_b) = row["track"][0], row["track"][-1]
    assert (round(lon_a, 1), round(lat_a, 1)) == (6.4, 22.4)
    assert (round(lon_b, 1), round(lat_b, 1)) == (-2.3, -22.6)
    assert row["published"].startswith("2025-10-11T12:02:35.16") and row["updated"] == "2025-10-13T15:53:59Z"
    assert row["quicklook"].endswith(f"/public/{FIRST}.BID_1.jpeg")
    assert row["doi"] == "10.57780/eca-94b4e53"
    assert row["size"] == 132_881_531 and row["orbit_state"] == "descending"


def test_they_are_downloaded_under_their_day(maap: Callable[..., Ended], tmp_path: Path) -> None:
    ended = maap("sync", *COP, *DAY)
    assert ended.code == 0, ended.err
    (file,) = (path for path in (tmp_path / "data").rglob("*") if path.is_file())
    assert file == tmp_path / "data/EarthCARE" / COLLECTION / "MSI_COP_2A/BA/2025/03/05" / f"{FIRST}.h5"
    assert file.stat().st_size == 132_881_531
    with h5py.File(file) as opened:
        assert "ScienceData" in opened
    again = maap("sync", *COP, *DAY)
    assert again.code == 0 and "Nothing new" in again.err
    flat = maap("get", *COP, *DAY, "--format", "hdr", "-o", tmp_path / "flat")
    assert flat.code == 0 and [path.name for path in (tmp_path / "flat").iterdir()] == [f"{FIRST}.HDR"]


def test_they_are_frozen_cited_and_thawed(maap: Callable[..., Ended], tmp_path: Path) -> None:
    frozen = maap("freeze", *COP, *DAY, "--format", "hdr", "--get", "-o", "study")
    assert frozen.code == 0, frozen.err
    (row,) = json.loads((tmp_path / "study" / "study.json").read_text())["files"]
    assert (row["id"], row["doi"], row["orbit"], row["frame"]) == (FIRST, "10.57780/eca-94b4e53", 4366, "E")
    assert "doi = {10.57780/eca-94b4e53}" in maap("cite", "study", "--bibtex").out
    assert maap("thaw", "study", "-o", "thawed").code == 0
    assert maap("verify", "--against", "study/SHA256SUMS", "--root", "thawed").code == 0


def test_a_disclaimer_is_about_the_frames_it_names(maap: Callable[..., Ended], tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.csv"
    sheet.write_text("id;first frame;last frame;products;baseline\n9;04366F;04568E;M-COP;BA\n")
    assert maap("config", "set", "quality.disclaimers", sheet).code == 0
    assert maap("quality", "update").code == 0
    found = [json.loads(line) for line in maap("search", *COP, *SPRING, "--json").lines]
    assert [row["orbit"] for row in found if row["quality"]] == [4537, 4568]
    kept = maap("search", *COP, *SPRING, "--skip-disclaimed")
    assert frames(kept) == ["04366E", "04755E", "04879E"]
