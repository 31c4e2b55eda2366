"""The same searches find the same files on a STAC API that others wrote, here, and with maap-client."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.interop.conftest import BARE, COLLECTION, VERBATIM, Service

CLD = (COLLECTION, "CPR_CLD_2A", "BC")
DAY = ("--date", "2025-12-01")
BOTH_DAYS = ("--start", "2025-12-01", "--end", "2025-12-02")
SQUARE = '{"type": "Polygon", "coordinates": [[[-10, 40], [30, 40], [30, 70], [-10, 70], [-10, 40]]]}'

SEARCHES = {
    "date": (*CLD, *DAY),
    "exact time": (*CLD, "--date", "2025-12-01T01:33:59"),
    "range": (*CLD, *BOTH_DAYS),
    "range of times": (*CLD, "--start", "2025-12-01T06:00:00", "--end", "2025-12-01T09:30:00"),
    "orbit": (*CLD, "--orbit", "08576"),
    "orbit with frame": (*CLD, "--orbit", "08576E"),
    "orbit and frames": (*CLD, "--orbit", "08576", "--frame", "C,E"),
    "orbits": (*CLD, "--orbit", "8577-8579"),
    "frame": (*CLD, *DAY, "--frame", "D"),
    "frames": (*CLD, *BOTH_DAYS, "--frame", "C,D"),
    "box": (*CLD, *DAY, "--bbox=-10,40,30,70"),
    "box over 180 degrees": (*CLD, *DAY, "--bbox=170,-10,-170,10"),
    "point": (*CLD, *BOTH_DAYS, "--point=61.8,24.3", "--radius", "300"),
    "area": (*CLD, *DAY, "--area", SQUARE),
    "no baseline": (*CLD[:2], *DAY),
    "lower case": (*CLD[:2], "bc", *DAY),
    "another product": (COLLECTION, "ATL_EBD_2A", *DAY),
    "headers": (*CLD, *DAY, "--format", "hdr"),
    "all formats": (*CLD, *DAY, "--format", "all"),
    "newest first": (*CLD, *DAY, "--newest-first", "-n", "7"),
    "all versions": (*CLD, *DAY, "--all-versions"),
}
BY_PEER = ["date", "range", "orbit", "orbit with frame", "frame", "frames", "headers"]


@pytest.mark.parametrize("name", SEARCHES)
def test_the_same_search_gives_the_same_files(name: str, maap: Callable, on_demo: Callable) -> None:
    words = SEARCHES[name]
    there, here = maap("search", *words), on_demo("search", *words)
    assert (there.code, here.code) == (0, 0), there.err
    assert there.paths == here.paths != []


def test_days_back_give_the_same_files(maap: Callable, on_demo: Callable) -> None:
    """The last day begins later in each search, so that the one between may find no more and no less."""
    words = ("search", *CLD, "--days-back", "1")
    before, there, after = on_demo(*words), maap(*words), on_demo(*words)
    assert (before.code, there.code, after.code) == (0, 0, 0), there.err
    assert set() != set(after.paths) <= set(there.paths) <= set(before.paths)


@pytest.mark.parametrize("name", ["date", "orbit", "frames", "box", "no baseline"])
def test_a_collection_that_lists_no_queryables(name: str, maap: Callable, on_demo: Callable) -> None:
    words = SEARCHES[name]
    there, here = maap("search", BARE, *words[1:]), on_demo("search", *words)
    assert there.code == 0, there.err
    assert there.paths == here.paths != []


@pytest.mark.parametrize("collection", [BARE, COLLECTION], ids=["filters by change", "lists another name"])
def test_news_are_the_same(collection: str, maap: Callable, on_demo: Callable, service: Service) -> None:
    """The second one lists a name that no item has here: its days are counted."""
    since = f"{service.now - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    here = [json.loads(line) for line in on_demo("news", *CLD, "--since", since, "--list", "--json").lines]
    there = maap("news", collection, *CLD[1:], "--since", since, "--list", "--json")
    assert there.code == 0, there.err
    recent = f"{service.now - timedelta(days=3):%Y-%m-%dT%H:%M:%SZ}"
    loaded = {json.loads(line)["id"] for line in maap("search", *CLD, "--start", recent, "--json").lines}
    wanted = {row["id"]: row["kind"] for row in here if row["id"] in loaded}
    found = {row["id"]: row["kind"] for row in map(json.loads, there.lines)}
    assert wanted and wanted.items() <= found.items()
    if collection == BARE:
        assert found == wanted


@pytest.mark.parametrize("name", BY_PEER)
def test_maap_client_finds_the_same(name: str, maap: Callable, peer: Callable) -> None:
    words = SEARCHES[name]
    ours, theirs = maap("search", *words), peer("search", *words)
    assert theirs.code == 0, theirs.err
    assert ours.paths == sorted({line for line in theirs.paths if line.startswith("/data/")}) != []


def test_maap_client_finds_the_same_days_back(maap: Callable, peer: Callable) -> None:
    words = ("search", *CLD, "--days-back", "1")
    before, theirs, after = maap(*words), peer(*words), maap(*words)
    assert theirs.code == 0, theirs.err
    found = {line for line in theirs.paths if line.startswith("/data/")}
    assert set() != set(after.paths) <= found <= set(before.paths)


@pytest.mark.parametrize("name", ["date", "orbit", "frame", "box", "no baseline"])
def test_counts(name: str, maap: Callable) -> None:
    """The service announces no number, which STAC leaves to it: it is counted here."""
    counted = maap("search", *SEARCHES[name], "--count")
    found = maap("search", *SEARCHES[name], "--all-versions")
    assert counted.code == 0, counted.err
    assert int(counted.out) == len(found.lines) > 0


def test_names_and_baselines_are_listed(maap: Callable, on_demo: Callable) -> None:
    for words in ((COLLECTION,), (*CLD[:2],)):
        assert maap("list", *words).lines == on_demo("list", *words).lines != []
    ended = maap("list", COLLECTION, "MSI_COP_2A", "--verify")
    assert ended.lines == ["BA"]
    ended = maap("list", COLLECTION, "MSI_COP_2A", "BA", "--verify", "--json")
    row = json.loads(ended.out)
    assert (row["count"], row["frame_start"], row["frame_end"]) == (5, "04366E", "04879E")
    assert row["time_start"] == "2025-03-05T13:45:40Z"


def test_a_collection_without_names_is_not_called_empty(maap: Callable) -> None:
    ended = maap("list", BARE)
    assert (ended.code, ended.out) == (0, "") and "lists no product types" in ended.err
    assert maap("list", BARE, "CPR_CLD_2A", "--verify").lines == ["BC"]


def test_a_built_catalogue(maap: Callable) -> None:
    assert maap("catalog", "build", COLLECTION, "MSI_COP_2A").code == 0
    assert "count: 5" in maap("list", COLLECTION, "MSI_COP_2A", "BA").lines
    ended = maap("search", COLLECTION, "MSI_COP_2A", "BA", "--use-catalog")
    assert (ended.code, len(ended.lines)) == (0, 5)


@pytest.mark.parametrize("item", VERBATIM, ids=lambda item: item["id"][-6:])
def test_each_real_item_is_found_in_every_way(item: dict, maap: Callable) -> None:
    wanted = [item["id"]]
    names = (COLLECTION, "MSI_COP_2A", "BA")
    start = item["properties"]["start_datetime"]
    orbit = item["properties"]["grid:code"].split("-")[1]
    longitude, latitude = item["geometry"]["coordinates"][0][5]
    for words in (
        ("--date", start[:10]),
        ("--orbit", orbit),
        ("--orbit", f"{orbit}E"),
        ("--orbit", orbit, "--frame", "E"),
        ("--date", start[:10], f"--point={latitude},{longitude}", "--radius", "50"),
        ("--date", start[:10], f"--bbox={longitude - 1},{latitude - 1},{longitude + 1},{latitude + 1}"),
    ):
        ended = maap("search", *names, *words, "--json")
        assert ended.code == 0, ended.err
        assert [json.loads(line)["id"] for line in ended.lines] == wanted, words
    far = maap("search", *names, "--date", start[:10], f"--point={-latitude},{longitude}", "--radius", "50")
    assert (far.code, far.out) == (0, "")


def test_what_is_not_there_is_said(maap: Callable) -> None:
    ended = maap("search", *CLD, "--date", "2025-11-01")
    assert (ended.code, ended.out) == (0, "") and "Nothing found" in ended.err
    ended = maap("search", "EarthCAREL1Validated_MAAP", "ATL_NOM_1B", *DAY)
    assert ended.code == 4
    assert "no collection 'EarthCAREL1Validated_MAAP'" in ended.err
    assert "Did you mean EarthCAREL1Validated_MAAP" not in ended.err


def test_overpasses_are_the_same(maap: Callable, on_demo: Callable) -> None:
    words = ("overpass", *CLD, "--point", "hyytiala", "--radius", "800km", *BOTH_DAYS, "--json")
    there, here = maap(*words), on_demo(*words)
    assert (there.code, here.code) == (0, 0), there.err
    assert there.lines == here.lines != []


def test_matches_are_the_same(maap: Callable, on_demo: Callable, tmp_path: Path) -> None:
    track = tmp_path / "ship.csv"
    track.write_text("time,lat,lon\n2025-12-01T08:00Z,58,18\n2025-12-02T08:00Z,62,26\n")
    words = ("match", track, f"{COLLECTION}/CPR_CLD_2A:BC", "--dt", "6h", "--dx", "900km", "--json")
    there, here = maap(*words), on_demo(*words)
    assert (there.code, here.code) == (0, 0), there.err
    assert (
        [json.loads(line)["distance_km"] for line in there.lines]
        == [json.loads(line)["distance_km"] for line in here.lines]
        != []
    )
