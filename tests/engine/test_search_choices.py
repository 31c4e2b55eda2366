"""What a search asks for: baselines, versions, orbits, frames, places, and the rules of each mission."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from maap_tui.demo import Archive
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.model import TimeRange
from maap_tui.engine.query import Box, Circle, Query
from tests.engine.raw_server import RawServer, item, page
from tests.engine.search_kit import DAY, L2, Make, cld, days, run


async def test_get_finds_what_post_finds(session: Make, archive: Archive) -> None:
    archive.faults.add(target="search", status=405, times=1)
    async with session() as opened:
        assert len(await opened.search(cld()).granules()) == 125
    asked = [one["method"] for one in archive.stats.show()["last_requests"] if one["kind"] == "search"]
    assert asked == ["POST", "GET"]


async def test_old_queryables_are_understood(session: Make) -> None:
    with Archive.start(now="2026-01-15T00:00:00Z", old_queryables=True) as other:
        async with session(other.catalog_url) as opened:
            assert (await opened.catalogue.queryables(L2)).keys.product == "productType"
            assert len(await opened.search(cld()).granules()) == 125
            assert len(await opened.search(cld(time=None, orbits=((8574, 8574),))).granules()) == 8


@pytest.mark.parametrize("baseline", ["BC", "bc", "Bc"])
async def test_baseline_in_any_case(session: Make, baseline: str) -> None:
    found, _ = await run(session(), cld(baseline=baseline, max_items=3))
    assert [one.baseline for one in found] == ["BC"] * 3


async def test_no_baseline_finds_all_of_them(session: Make) -> None:
    found, _ = await run(session(), cld(baseline=None, time=TimeRange.of_day(date(2025, 9, 1))))
    assert {one.baseline for one in found} == {"BA", "BB"}


async def test_swapped_assets_are_told_by_their_suffix(session: Make) -> None:
    query = Query("JAXAL2Validated_MAAP", "ATL_CLA_2A", "CB", time=DAY, max_items=5)
    found, _ = await run(session(), query)
    for granule in found:
        assert [one.name for one in granule.files(("h5",))] == [f"{granule.id}.h5"]
        assert [one.name for one in granule.files(("hdr",))] == [f"{granule.id}.HDR"]
        assert granule.files(("h5",))[0].key == "enclosure_hdr"


async def test_only_the_newest_version_unless_asked(session: Make) -> None:
    query = Query("EarthCAREXMETL1DProducts10_MAAP", "AUX_MET_1D", "BC", time=DAY)
    async with session() as opened:
        newest = await opened.search(query).granules()
        every = await opened.search(query.replace(every_version=True)).granules()
    assert len(every) == 3 * len(newest)
    latest: dict[str, datetime] = {}
    for one in every:
        assert one.created is not None
        latest[one.orbit_frame] = max(latest.get(one.orbit_frame, one.created), one.created)
    assert {one.orbit_frame: one.created for one in newest} == latest


@pytest.mark.parametrize(
    ("orbits", "frames", "expected"),
    [
        (((8574, 8574),), (), 8),
        (((8574, 8574),), ("C", "D"), 2),
        (((8574, 8576), (8580, 8580)), ("A",), 4),
    ],
)
async def test_orbit_search(
    session: Make, orbits: tuple[tuple[int, int], ...], frames: tuple[str, ...], expected: int
) -> None:
    found, search = await run(session(), cld(time=None, orbits=orbits, frames=frames))
    assert len(found) == expected and search.range is None
    assert {one.orbit for one in found} == {n for low, high in orbits for n in range(low, high + 1)}
    assert {one.frame for one in found} == set(frames or "ABCDEFGH")


async def test_frames_in_a_time_range(session: Make) -> None:
    found, _ = await run(session(), cld(frames=("C",)))
    assert 14 <= len(found) <= 16 and {one.frame for one in found} == {"C"}


async def test_failing_orbit_is_reported_by_its_number(session: Make, archive: Archive) -> None:
    async with session(**{"api.retries": 0}) as opened:
        await opened.catalogue.queryables(L2)
        archive.faults.add(target="search", status=502)
        search = opened.search(cld(time=None, orbits=((774, 774),)))
        await search.granules()
    assert [(one.label, one.day) for one in search.failed] == [("orbit 00774", None)]


async def test_orbit_of_unindexed_product_needs_a_range_and_gets_one_proposed(session: Make) -> None:
    query = Query("EarthCAREXMETL1DProducts10_MAAP", "AUX_MET_1D", "BC", orbits=((8574, 8574),))
    with pytest.raises(InvalidRequestError, match="no orbit index") as caught:
        await run(session(), query)
    words = caught.value.hint.split()
    start = date.fromisoformat(words[words.index("--start") + 1])
    end = date.fromisoformat(words[words.index("--end") + 1])
    assert start <= date(2025, 12, 1) <= end and (end - start).days <= 4
    found, _ = await run(session(), query.replace(time=days(start, (end - start).days + 1)))
    assert {one.orbit for one in found} == {8574} and len(found) == 8


async def test_unindexed_collection_is_never_asked_for_orbits(session: Make, archive: Archive) -> None:
    async with session() as opened:
        queryables = await opened.catalogue.queryables("EarthCAREAuxiliary_MAAP")
        assert not queryables.has_orbits
        product = queryables.products[0]
        query = Query("EarthCAREAuxiliary_MAAP", product, time=DAY, orbits=((8574, 8574),))
        search = opened.search(query)
        await search.granules()
        assert search.failed == []


@pytest.mark.parametrize(
    "where",
    [
        {"box": Box(170, -10, -170, 10)},
        {"box": Box(0, 40, 20, 60)},
        {"circle": Circle(50.9, 6.4, 300)},
        {"circle": Circle(82, 10, 300)},
        {
            "area": {
                "type": "Polygon",
                "coordinates": [[[0, 40], [20, 40], [20, 60], [0, 60], [0, 40]]],
            }
        },
    ],
)
async def test_search_by_place(session: Make, where: dict[str, Any]) -> None:
    async with session() as opened:
        search = opened.search(cld(**where))
        found = await search.granules()
        everything = await opened.search(cld()).granules()
    assert 0 < len(found) < len(everything) and search.failed == []
    assert len({one.id for one in found}) == len(found)
    if circle := where.get("circle"):
        assert {one.id for one in everything if circle.touches(one.track)} == {one.id for one in found}


async def test_box_across_the_antimeridian_is_both_sides(session: Make) -> None:
    async with session() as opened:
        both = await opened.search(cld(box=Box(170, -60, -170, 60))).granules()
        west = await opened.search(cld(box=Box(170, -60, 180, 60))).granules()
        east = await opened.search(cld(box=Box(-180, -60, -170, 60))).granules()
        cut = await opened.search(cld(box=Box(170, -60, -170, 60), max_items=3)).granules()
    assert {one.id for one in both} == {one.id for one in (*west, *east)}
    assert [one.id for one in cut] == [one.id for one in both[:3]]


@pytest.mark.parametrize(
    ("collection", "product"),
    [
        ("AeolusL1BProducts", "ALD_U_N_1B"),
        ("AeolusL2AProducts", "ALD_U_N_2A"),
        ("AeolusL2BProducts", "ALD_U_N_2B"),
    ],
)
async def test_aeolus_by_date(session: Make, collection: str, product: str) -> None:
    span = TimeRange.of_day(date(2022, 6, 1))
    found, search = await run(session(), Query(collection, product, time=span))
    assert 10 <= len(found) <= 20 and search.failed == []
    assert {one.mission for one in found} == {"Aeolus"} and "none" not in {one.baseline for one in found}
    assert all(one.files(("dbl",)) and one.sensing_start in span for one in found)


async def test_configured_mission_does_not_cut_another_short(session: Make) -> None:
    opened = session(**{"mission.name": "EarthCARE", "mission.start": "2024-05-28"})
    query = Query("AeolusL2BProducts", "ALD_U_N_2B", time=TimeRange.of_day(date(2022, 6, 1)))
    found, _ = await run(opened, query)
    assert found


async def test_unknown_mission_falls_back_to_the_times_of_the_item(session: Make) -> None:
    thing = {
        "id": "S1A_whatever",
        "properties": {
            "start_datetime": "2025-12-01T10:00:00.250Z",
            "end_datetime": "2025-12-01T10:05:00Z",
            "sat:absolute_orbit": 77,
        },
        "assets": {"data": {"href": "http://127.0.0.1:1/data/x/thing.nc", "file:size": 12}},
    }
    async with RawServer(lambda asked: page([thing], 1)) as server:
        opened = session(server.url, **{"mission.name": "Sentinel"})
        async with opened:
            found = await opened.search(Query("Radar1", "CPR_CLD_2A", time=DAY)).granules()
            assert opened.filing.key_of(found[0]).mission == opened.mission_of("Radar1").name == "Sentinel"
    assert found[0].sensing_start.microsecond == 250_000 and found[0].orbit == 77


async def test_times_of_another_zone_are_cut_at_utc_days(session: Make) -> None:
    east = datetime.fromisoformat("2025-12-01T01:00:00+02:00")
    span = TimeRange(east, east + timedelta(days=12))
    assert span.first_day == date(2025, 11, 30)
    assert [one.start.hour for one in span.days()] == [23, *[0] * 12]
    found, _ = await run(session(), cld(time=span))
    assert found[0].sensing_start >= datetime(2025, 11, 30, 23, tzinfo=UTC)


def around(south: float, north: float, east: float = 180) -> dict[str, Any]:
    """A zone around the Earth, with corners alone."""
    ring = [[-east, south], [east, south], [east, north], [-east, north], [-east, south]]
    return {"type": "Polygon", "coordinates": [ring]}


SQUARE = {"type": "Polygon", "coordinates": [[[-10, 40], [30, 40], [30, 70], [-10, 70], [-10, 40]]]}

TRACKS = {
    # Written across 180 degrees in one piece, so that a service in the plane draws it around the Earth.
    "A": [[-179.3, 67.5], [177.7, 63.8], [163.4, 22.5]],
    "B": [[12.0, 67.5], [8.0, 22.5]],
    "C": [[31.0, 67.5], [30.5, 50.0], [30.1, 22.5]],
}


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ({"box": Box(-10, 40, 30, 70)}, "BC"),
        ({"area": SQUARE}, "BC"),
        ({"area": {"type": "Point", "coordinates": [12.0, 67.5]}}, "B"),
        ({"box": Box(170, 40, -170, 70)}, "A"),
        ({"box": Box(-180, -90, 180, 90)}, "ABC"),
        ({"area": {"type": "LineString", "coordinates": [[-170, 0], [0, 80], [170, 0]]}}, "ABC"),
        ({"area": around(60, 90)}, "ABC"),
        ({"area": around(-20, 20)}, "ABC"),
        ({"area": around(-20, 20, 170)}, "ABC"),
    ],
)
async def test_tracks_far_from_the_area_are_left_out(session: Make, where: dict[str, Any], kept: str) -> None:
    found = [
        item(DAY.start, frame=frame, geometry={"type": "LineString", "coordinates": track})
        for frame, track in TRACKS.items()
    ]
    async with RawServer(lambda asked: page([*found, item(DAY.start, frame="D")], 4)) as server:
        granules, search = await run(session(server.url), cld(**where))
    # What is close is the service's to judge, and so is what has no geometry.
    assert "".join(sorted(one.frame or "" for one in granules)) == kept + "D"
    assert search.failed == []
