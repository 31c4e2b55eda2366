"""Searching: windows, paging, order, cuts, second tries, and catalogues that misbehave."""

from __future__ import annotations

import asyncio
import itertools
import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maap_tui.demo import Archive
from maap_tui.engine.catalogue import built
from maap_tui.engine.catalogue.in_order import in_order
from maap_tui.engine.catalogue.reader import Page
from maap_tui.engine.catalogue.search import Search
from maap_tui.engine.catalogue.stac import BadItem, granule_of
from maap_tui.engine.errors import CatalogError, InvalidRequestError
from maap_tui.engine.events import DayFailed, Event, ItemSkipped, PageFetched
from maap_tui.engine.model import BaselineInfo, Granule, TimeRange
from maap_tui.engine.query import Box, Circle, Query
from maap_tui.engine.registry.registry import Registry
from maap_tui.engine.session import Session
from maap_tui.engine.workflows.filing import Filing
from tests.engine.conftest import told
from tests.engine.raw_server import COLLECTION, Asked, RawServer, item, page
from tests.homes import PATIENCE_S, requests_of

Make = Callable[..., Session]

L2 = COLLECTION
DAY = TimeRange.of_day(date(2025, 12, 1))


def days(first: date, count: int) -> TimeRange:
    start = TimeRange.of_day(first).start
    return TimeRange(start, start + timedelta(days=count))


def cld(**changes: Any) -> Query:
    return Query(L2, "CPR_CLD_2A", **{"baseline": "BC", "time": DAY, **changes})


async def run(session: Session, query: Query) -> tuple[list[Granule], Search]:
    async with session:
        search = session.search(query)
        return await search.granules(), search


async def pages_of(search: Search) -> list[Page]:
    return [found async for found in search]


async def test_day_holds_what_starts_in_it_and_not_what_overlaps_it(session: Make) -> None:
    found, search = await run(session(), cld())
    assert len(found) == 125 and search.matched == 126
    assert all(granule.sensing_start in DAY for granule in found)
    assert [granule.sensing_start for granule in found] == sorted(one.sensing_start for one in found)


@pytest.mark.fault("T1")
async def test_neighbouring_windows_share_nothing_and_lose_nothing(session: Make) -> None:
    async with session() as opened:
        edge = (await opened.search(cld()).granules())[60].sensing_start
        before = await opened.search(cld(time=TimeRange(DAY.start, edge))).granules()
        after = await opened.search(cld(time=TimeRange(edge, DAY.end))).granules()
    assert (len(before), len(after)) == (60, 65)
    assert after[0].sensing_start == edge


@pytest.mark.fault("T1")
@pytest.mark.parametrize(
    ("start", "day"),
    [
        ("2025-12-01T23:59:59.500Z", date(2025, 12, 1)),
        ("2025-12-02T00:00:00.000Z", date(2025, 12, 2)),
        ("2025-12-01T00:00:00Z", date(2025, 12, 1)),
    ],
)
async def test_every_instant_belongs_to_exactly_one_day(session: Make, start: str, day: date) -> None:
    # An id that no mission knows: the item's own time counts, with its fraction.
    strange = item(datetime(2025, 12, 1), id="something_else")
    strange["properties"]["start_datetime"] = start
    async with RawServer(lambda asked: page([strange], 1)) as server, session(server.url) as opened:
        found = [
            one
            for one in (date(2025, 11, 30), date(2025, 12, 1), date(2025, 12, 2))
            if await opened.search(cld(time=TimeRange.of_day(one))).granules()
        ]
    assert found == [day]


@pytest.mark.parametrize("newest_first", [False, True])
async def test_long_range_goes_in_windows_of_a_page_several_in_flight(
    session: Make, archive: Archive, events: list[Event], newest_first: bool
) -> None:
    archive.faults.add(latency_s=0.03, target="search")
    query = cld(time=days(date(2025, 11, 20), 40), frames=("C",), newest_first=newest_first)
    found, search = await run(session(**{"api.page_size": 80}), query)
    assert search.failed == []
    assert len(found) == len({granule.id for granule in found}) and 610 <= len(found) <= 630
    # A day has 15 or 16 of them, and one from before: the first alone, then four or five days a window.
    assert 9 <= requests_of(archive, "search") == len(told(events, PageFetched)) <= 12
    assert 4 <= archive.stats.show()["most_at_once"] <= 8


async def test_searches_at_once_share_the_requests(session: Make, archive: Archive) -> None:
    """A set has up to thirty products, and news as many as are tracked: the service has to bear it."""
    archive.faults.add(latency_s=0.03, target="search")
    span = days(date(2025, 11, 20), 12)
    async with session(**{"search.parallel": 2, "api.page_size": 80}) as asked:
        searches = [asked.search(cld(time=span, frames=(frame,))) for frame in "ABCD"]
        found = await asyncio.gather(*(search.granules() for search in searches))
    assert all(180 <= len(granules) <= 200 for granules in found)
    shown = archive.stats.show()
    assert shown["most_at_once"] == 2
    asked_for = [request["path"] for request in shown["last_requests"]]
    assert len([path for path in asked_for if path.endswith("/queryables")]) == 1


async def test_days_of_many_pages_are_read_beside_one_another(session: Make) -> None:
    """While the second day is read, the last pages of those behind it are asked for."""
    span = days(date(2025, 12, 1), 13)
    starts = [span.start + timedelta(days=n, hours=1, minutes=m) for n in range(13) for m in range(6)]
    asked_for: set[str] = set()
    five = asyncio.Event()

    def answer(asked: Asked) -> dict[str, Any]:
        low, high = (datetime.fromisoformat(text) for text in asked.body["datetime"].split("/"))
        inside = [start for start in starts if low <= start <= high]
        first = asked.body.get("first", 0)
        if first:
            asked_for.add(asked.body["datetime"])
        if len(asked_for) >= 5:
            five.set()
        more = {"method": "POST", "body": {"first": first + 4}, "merge": True, "href": "search"}
        shown = [item(start, orbit=start.hour) for start in inside[first : first + 4]]
        return page(shown, len(inside), **(more if first + 4 < len(inside) else {}))

    async with RawServer(answer) as server, session(server.url, **{"api.page_size": 4}) as opened:
        async with aclosing(aiter(opened.search(cld(time=span)))) as pages:
            async for found in pages:
                if found.window is not None and found.window.first_day == date(2025, 12, 2):
                    break
            async with asyncio.timeout(PATIENCE_S):
                await five.wait()


async def test_a_service_that_caps_its_pages_lower_is_read_whole(session: Make) -> None:
    """Five items a day in pages of seven at most, whatever is asked for."""
    span = days(date(2025, 12, 1), 40)
    starts = [span.start + timedelta(hours=1 + 24 * n / 5) for n in range(40 * 5)]

    def answer(asked: Asked) -> dict[str, Any]:
        low, high = (datetime.fromisoformat(text) for text in asked.body["datetime"].split("/"))
        inside = [start for start in starts if low <= start <= high]
        first = asked.body.get("first", 0)
        shown = [item(start, orbit=start.hour) for start in inside[first : first + 7]]
        more = {"method": "POST", "body": {"first": first + 7}, "merge": True, "href": "search"}
        return page(shown, len(inside), **(more if first + 7 < len(inside) else {}))

    async with RawServer(answer) as server, session(server.url) as opened:
        search = opened.search(cld(time=span))
        assert [one.sensing_start for one in await search.granules()] == starts
        # Ten days at first, in eight pages; a day and one page once that is known.
        assert len(server.searches) <= 1 + 4 * 8
    assert search.failed == []


def overlapping(starts: list[datetime], lasting: timedelta, most: int, *, says_how_many: bool = True) -> Any:
    """Answers as a service that has granules at these times, `most` on a page, the latest first."""

    def answer(asked: Asked) -> dict[str, Any]:
        low, high = (datetime.fromisoformat(text) for text in asked.body["datetime"].split("/"))
        inside = starts[bisect_left(starts, low - lasting) : bisect_right(starts, high)][::-1]
        first = asked.body.get("first", 0)
        shown = [item(start) for start in inside[first : first + min(most, asked.body["limit"])]]
        ahead = first + len(shown)
        more = {"method": "POST", "body": {"first": ahead}, "merge": True, "href": "search"}
        return page(shown, len(inside) if says_how_many else None, **(more if ahead < len(inside) else {}))

    return answer


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("says_how_many", [True, False])
async def test_a_day_of_many_pages_is_whole_and_in_order(
    session: Make, says_how_many: bool, newest_first: bool
) -> None:
    """2,600 granules on one of twelve days, of a service that has 1,000 on a page."""
    span = days(date(2025, 12, 1), 12)
    starts = [span.start + timedelta(days=n, hours=1) for n in range(12)]
    starts = sorted([*starts, *(starts[4] + timedelta(hours=1, seconds=30 * n) for n in range(2600))])
    answer = overlapping(starts, timedelta(seconds=30), 1000, says_how_many=says_how_many)
    async with RawServer(answer) as server, session(server.url, **{"api.page_size": 2000}) as opened:
        search = opened.search(cld(time=span, newest_first=newest_first))
        found = [granule.sensing_start async for some in in_order(search) for granule in some]
    assert found == starts[:: -1 if newest_first else 1]
    assert search.failed == []


@pytest.mark.parametrize("newest_first", [False, True])
async def test_a_product_of_more_than_a_page_a_day_is_asked_for_in_parts_of_days(
    session: Make, newest_first: bool
) -> None:
    """Each part fits a page, so that a search holds few pages however many a day has."""
    span = days(date(2025, 12, 1), 12)
    starts = [span.start + timedelta(minutes=11 * n) for n in range(12 * 1440 // 11)]
    answer = overlapping(starts, timedelta(minutes=10), 50)
    async with RawServer(answer) as server, session(server.url, **{"api.page_size": 50}) as opened:
        search = opened.search(cld(time=span, newest_first=newest_first))
        pages = [found async for found in search]
        # The first day has three pages, and each of its parts one from then on.
        assert len(pages) == len(server.searches) == 12 * 3
    assert [one.is_last for one in pages] == [False, False, *[True] * 34]
    found = [granule.sensing_start for one in pages[3:] for granule in one.granules]
    assert found == sorted(found, reverse=newest_first) and len(found) > 1400
    assert search.failed == []


async def test_a_day_whose_parts_fail_is_reported_once(session: Make, events: list[Event]) -> None:
    span = days(date(2025, 12, 1), 12)
    starts = [span.start + timedelta(minutes=11 * n) for n in range(12 * 1440 // 11)]
    whole = overlapping(starts, timedelta(minutes=10), 50)

    def answer(asked: Asked) -> Any:
        return (503, {}) if asked.body["datetime"].startswith("2025-12-03") else whole(asked)

    async with (
        RawServer(answer) as server,
        session(server.url, **{"api.page_size": 50, "api.retries": 0}) as opened,
    ):
        search = opened.search(cld(time=span))
        found = await search.granules()
    assert [one.label for one in search.failed] == ["2025-12-03"]
    assert [event.day for event in told(events, DayFailed)] == ["2025-12-03"]
    assert {one.day for one in found} == {date(2025, 12, day) for day in range(1, 13)} - {date(2025, 12, 3)}


async def test_a_built_catalogue_says_how_long_windows_are(session: Make, archive: Archive) -> None:
    span = days(date(2025, 11, 20), 40)
    async with session(**{"api.page_size": 165}) as opened:
        catalogue = built.BuiltCatalogue(L2)
        info = BaselineInfo(span.start, span.end, count=40 * 16)
        catalogue.products["CPR_CLD_2A"] = {"BC": info}
        built.save(opened.dirs.built_catalogue_file(L2), catalogue)
        found = await opened.search(cld(time=span, frames=("C",))).granules()
    assert len(found) >= 610
    assert requests_of(archive, "search") == 4


async def test_ten_days_are_asked_in_one_piece(session: Make, archive: Archive) -> None:
    await run(session(**{"api.page_size": 2000}), cld(time=days(date(2025, 12, 1), 10), frames=("C",)))
    assert requests_of(archive, "search") == 1


@pytest.mark.parametrize("newest_first", [False, True])
async def test_pages_come_in_the_order_asked_for(session: Make, newest_first: bool) -> None:
    async with session() as opened:
        query = cld(time=days(date(2025, 12, 1), 11), newest_first=newest_first, frames=("C",))
        pages = await pages_of(opened.search(query))
    starts = [granule.sensing_start for found in pages for granule in found.granules]
    assert starts == sorted(starts, reverse=newest_first)
    assert [found.is_last for found in pages] == [True, True]


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize(("span", "size"), [(1, 6), (12, 6)])
async def test_cut_keeps_the_first_in_order(session: Make, span: int, size: int, newest_first: bool) -> None:
    async with session(**{"api.page_size": size}) as opened:
        query = cld(time=days(date(2025, 12, 1), span), newest_first=newest_first, frames=("C",))
        whole = await opened.search(query).granules()
        for most in (1, 20):
            cut = await opened.search(query.replace(max_items=most)).granules()
            assert [one.id for one in cut] == [one.id for one in whole[:most]]


async def test_stops_asking_when_the_consumer_stops(session: Make, archive: Archive) -> None:
    async with session(**{"api.page_size": 5, "search.parallel": 2}) as opened:
        before = asyncio.all_tasks()
        search = opened.search(cld(time=days(date(2025, 12, 1), 12), frames=("C",)))
        async with aclosing(aiter(search)) as pages:
            await anext(pages)
            for _ in range(300):
                await asyncio.sleep(0)
        asked = requests_of(archive, "search")
        assert asyncio.all_tasks() == before
        assert asked <= 2 * 4
        assert len(await opened.search(cld()).granules()) == 125


async def test_failed_day_recovers_at_the_end(session: Make, archive: Archive, events: list[Event]) -> None:
    archive.faults.add(failing_day="2025-12-03", times=1)
    found, search = await run(
        session(**{"api.retries": 0, "search.parallel": 1}),
        cld(time=days(date(2025, 12, 1), 12), frames=("C",)),
    )
    assert search.failed == [] and told(events, DayFailed) == []
    assert {granule.day for granule in found} == {date(2025, 12, day) for day in range(1, 13)}


@pytest.mark.parametrize("newest_first", [False, True])
async def test_a_stream_is_in_order_when_a_day_is_asked_again(
    session: Make, archive: Archive, newest_first: bool
) -> None:
    query = cld(time=days(date(2025, 12, 1), 12), newest_first=newest_first, frames=("C",))
    async with session(**{"api.retries": 0}) as opened:
        whole = await opened.search(query).granules()
        archive.faults.add(failing_day="2025-12-03", times=1)
        again = opened.search(query)
        streamed = [granule async for found in in_order(again) for granule in found]
    assert again.has_gaps and again.failed == []
    assert streamed == whole


async def test_a_stream_begins_before_the_last_window_is_asked_for(session: Make, archive: Archive) -> None:
    query = cld(time=days(date(2025, 11, 20), 40), frames=("C",))
    async with session(**{"api.page_size": 20, "search.parallel": 2}) as opened:
        async with aclosing(in_order(opened.search(query))) as stream:
            first = await anext(stream)
        assert {granule.day for granule in first} == {date(2025, 11, 20)}
        assert requests_of(archive, "search") <= 3


async def test_failing_day_is_asked_twice_and_reported_once(
    session: Make, archive: Archive, events: list[Event]
) -> None:
    archive.faults.add(failing_day="2025-12-03")
    found, search = await run(
        session(**{"api.retries": 1}), cld(time=days(date(2025, 12, 1), 12), frames=("C",))
    )
    assert [one.label for one in search.failed] == ["2025-12-03"]
    assert search.failed[0].day == date(2025, 12, 3) and "503" in search.failed[0].reason
    assert [event.day for event in told(events, DayFailed)] == ["2025-12-03"]
    assert len({granule.day for granule in found}) == 11
    assert requests_of(archive, "search") == 11 + 4
    assert len(found) <= search.matched <= len(found) + 12


async def test_page_that_fails_midway_loses_nothing_when_it_recovers(session: Make, archive: Archive) -> None:
    archive.faults.add(target="search", status=503, after=2, times=1)
    found, search = await run(session(**{"api.retries": 0, "api.page_size": 30}), cld())
    assert len(found) == 125 and search.failed == []


@pytest.mark.parametrize("most", [50_000, 40])
async def test_held_window_that_fails_midway_loses_nothing(
    session: Make, archive: Archive, most: int
) -> None:
    query = Query(
        "EarthCAREXMETL1DProducts10_MAAP", "AUX_MET_1D", "BC", time=DAY, max_items=most, frames=("A", "B")
    )
    async with session(**{"api.retries": 0, "api.page_size": 40}) as opened:
        whole = await opened.search(query).granules()
        archive.faults.add(target="search", status=503, after=2, times=1)
        again = opened.search(query)
        assert [one.id for one in await again.granules()] == [one.id for one in whole]
    assert again.failed == []


async def test_catalogue_that_never_answers_is_not_pressed_day_after_day(
    session: Make, archive: Archive
) -> None:
    async with session(**{"api.retries": 0}) as opened:
        await opened.catalogue.queryables(L2)
        archive.faults.add(target="search", status=503)
        search = opened.search(cld(time=days(date(2025, 10, 1), 90)))
        assert await search.granules() == []
    assert [one.day for one in search.failed] == [date(2025, 10, 1) + timedelta(days=n) for n in range(90)]
    assert requests_of(archive, "search") <= 20


@pytest.mark.parametrize("off", [3, -3])
@pytest.mark.fault("H17")
async def test_announced_number_that_disagrees_is_a_gap(session: Make, archive: Archive, off: int) -> None:
    archive.faults.add(wrong_matched=off)
    found, search = await run(session(), cld())
    assert [one.label for one in search.failed] == ["2025-12-01"]
    assert "announced" in search.failed[0].reason
    assert len(found) >= 100 if off > 0 else found


async def test_empty_answer_that_announces_nothing_is_an_empty_result(
    session: Make, archive: Archive
) -> None:
    archive.faults.add(empty_results=True)
    found, search = await run(session(), cld())
    assert found == [] and search.failed == []


@pytest.mark.fault("H15")
async def test_next_that_leads_in_a_circle_ends(session: Make, archive: Archive) -> None:
    archive.faults.add(next_loop=True)
    _, search = await run(session(**{"api.page_size": 20, "api.retries": 0}), cld())
    assert search.failed and requests_of(archive, "search") < 20


@pytest.mark.parametrize(
    "href", ["http://127.0.0.2:9/catalogue/search?page=2", "http://[half", "//other.example/x", "ftp://x/y"]
)
@pytest.mark.fault("H15")
async def test_next_elsewhere_is_not_followed(session: Make, href: str) -> None:
    first = item(DAY.start)
    async with RawServer(lambda asked: page([first], 2, href=href)) as server, session(server.url) as opened:
        search = opened.search(cld())
        assert [one.id for one in await search.granules()] == [first["id"]]
    assert len(search.failed) == 1


async def test_empty_page_ends_whatever_its_links_say(session: Make) -> None:
    def answer(asked: Asked) -> dict[str, Any]:
        return page([], 0, href="search?page=2")

    async with RawServer(answer) as server, session(server.url) as opened:
        search = opened.search(cld())
        assert await search.granules() == [] and search.failed == []
        assert {asked.path for asked in server.searches} == {"/catalogue/search"}


@pytest.mark.fault("H15")
async def test_pages_without_end_are_cut_off(session: Make) -> None:
    numbers = itertools.count()

    def answer(asked: Asked) -> dict[str, Any]:
        number = next(numbers)
        start = DAY.start + timedelta(seconds=number)
        return page([item(start)], 5, href=f"search?page={number}")

    async with RawServer(answer) as server, session(server.url) as opened:
        search = opened.search(cld())
        await search.granules()
        assert search.failed and len(server.searches) <= 20


@pytest.mark.parametrize("form", ["post", "get"])
async def test_both_forms_of_next_are_followed(session: Make, form: str) -> None:
    with Archive.start(now="2026-01-15T00:00:00Z", next_form=form) as other:
        found, search = await run(session(other.catalog_url, **{"api.page_size": 40}), cld())
    assert len(found) == 125 and search.failed == []


@pytest.mark.parametrize("status", [404, 405, 415, 501])
async def test_refused_post_falls_back_to_get(session: Make, status: int) -> None:
    def answer(asked: Asked) -> Any:
        return (status, {}) if asked.method == "POST" else page([item(DAY.start)], 1)

    async with RawServer(answer) as server, session(server.url) as opened:
        search = opened.search(cld(box=Box(-10, -20, 30, 40)))
        assert len(await search.granules()) == 1
        get = server.searches[-1].path
    assert "filter=%22product%3Atype%22" in get.replace("+", "%20") and "bbox=-10%2C-20%2C30%2C40" in get


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


async def test_more_matches_than_the_service_pages_are_split_by_time(session: Make) -> None:
    starts = [DAY.start + timedelta(hours=n) for n in range(24)]

    def answer(asked: Asked) -> dict[str, Any]:
        low, high = (datetime.fromisoformat(text) for text in asked.body["datetime"].split("/"))
        inside = [start for start in starts if low <= start <= high]
        if len(inside) > 8:
            return page([item(inside[0])], 150_000)
        return page([item(start, orbit=start.hour) for start in inside], len(inside))

    async with RawServer(answer) as server, session(server.url) as opened:
        search = opened.search(cld())
        pages = await pages_of(search)
        assert [one.sensing_start for found in pages for one in found.granules] == starts
        assert [found.is_last for found in pages] == [False] * (len(pages) - 1) + [True]
        newest = opened.search(cld(newest_first=True, max_items=5))
        assert [one.sensing_start for one in await newest.granules()] == starts[:-6:-1]
    assert search.failed == []


async def test_refused_page_beyond_the_limit_splits(session: Make) -> None:
    words = {"error": {"code": 422, "message": "startRecord can not exceed 100000."}}

    def answer(asked: Asked) -> Any:
        if asked.body is None:
            return 422, words
        low, high = (datetime.fromisoformat(text) for text in asked.body["datetime"].split("/"))
        start = low + timedelta(minutes=1)
        if high - low > timedelta(hours=12):
            return page([item(start)], 90_000, href="search?startRecord=100001")
        return page([item(start)], 1)

    async with RawServer(answer) as server, session(server.url) as opened:
        search = opened.search(cld())
        found = await search.granules()
    assert len(found) == 2 and search.failed == []


async def test_impossible_numbers_end_in_a_gap(session: Make) -> None:
    async with RawServer(lambda asked: page([], 10**30)) as server, session(server.url) as opened:
        search = opened.search(cld())
        assert await search.granules() == []
        assert len(search.failed) == 1 and len(server.searches) < 1000


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"[" * 200_000, "nested too deep"),
        (b"<html>login</html>", "200"),
        (b'{"features": 7}', "no list of features"),
        (b"[1, 2]", "not a JSON object"),
        (b"", "not JSON"),
        (b'{"features": [], "numberMatched"', "not JSON"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 999999\r\n\r\n{", "broke"),
        (b"HTTP/1.1 abc\r\n\r\n", "broke"),
        (b"", ""),
        ((403, {"error": {"message": "keep out"}}), "keep out"),
    ],
)
async def test_unreadable_answer_is_a_gap(session: Make, answer: Any, words: str) -> None:
    async with RawServer(lambda asked: answer) as server, session(server.url, **{"api.retries": 1}) as opened:
        search = opened.search(cld())
        assert await search.granules() == []
    assert len(search.failed) == 1 and words in search.failed[0].reason


async def test_page_beyond_64_mib_is_refused(session: Make) -> None:
    # Chunked, so that it is the bytes that come and not a promise that is judged.
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    whole = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunk * 66 + b"0\r\n\r\n"
    async with RawServer(lambda asked: whole) as server, session(server.url, **{"api.retries": 0}) as opened:
        search = opened.search(cld())
        await search.granules()
    assert "64 MiB" in search.failed[0].reason


async def test_refused_filter_is_a_wrong_request(session: Make) -> None:
    answer = (400, {"error": {"message": "Unknown property"}})
    async with RawServer(lambda asked: answer) as server, session(server.url) as opened:
        with pytest.raises(InvalidRequestError, match="Unknown property"):
            await opened.search(cld()).granules()


async def test_passing_400_is_asked_again(session: Make) -> None:
    answers: list[Any] = [(400, {"error": {"message": "Invalid token: x"}}), page([item(DAY.start)], 1)]
    async with RawServer(lambda asked: answers.pop(0)) as server, session(server.url) as opened:
        assert len(await opened.search(cld()).granules()) == 1


async def test_offline_is_said(session: Make) -> None:
    async with session("http://127.0.0.1:9/catalogue/", **{"api.retries": 1}) as opened:
        with pytest.raises(CatalogError, match=r"offline: 127\.0\.0\.1:9 cannot be reached") as caught:
            await opened.search(cld()).granules()
    assert "Check the network" in caught.value.hint


@pytest.mark.parametrize(
    "bad",
    [
        None,
        7,
        "text",
        [],
        {},
        {"id": 5},
        {"id": "ECA_x"},
        item(DAY.start, assets=None),
        item(DAY.start, assets={"enclosure_h5": {"href": "http://h/a\nb.h5"}}),
        item(DAY.start, assets={"enclosure_h5": {"href": "http://h/a|b.h5"}}),
        item(DAY.start, assets={"enclosure_h5": {"href": "http://user:pw@h/a.h5"}}),
        item(DAY.start, assets={"enclosure_h5": {"href": "http://h/.."}}),
        item(DAY.start, assets={"enclosure_h5": {"href": "http://h/" + "x" * 70_000}}),
        item(DAY.start, assets={"enclosure_h5": {"href": None}}),
        item(DAY.start, id="no_time_in_here"),
    ],
)
async def test_one_bad_item_is_skipped_once(session: Make, bad: Any, events: list[Event]) -> None:
    good = item(DAY.start + timedelta(hours=1))
    async with RawServer(lambda asked: page([bad, good], 2)) as server, session(server.url) as opened:
        search = opened.search(cld())
        assert [one.id for one in await search.granules()] == [good["id"]]
    assert len(search.skipped) == len(told(events, ItemSkipped)) == 1
    (skipped,) = search.skipped.values()
    assert search.failed == [] and skipped.words.isascii()


async def test_bad_item_of_two_windows_is_skipped_once(session: Make, events: list[Event]) -> None:
    async with RawServer(lambda asked: page([{"id": "same"}], 1)) as server, session(server.url) as opened:
        search = opened.search(cld(time=days(date(2025, 12, 1), 11)))
        assert await search.granules() == [] and search.failed == []
    assert len(told(events, ItemSkipped)) == len(search.skipped) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
HREF = st.builds(
    "{}{}{}".format,
    st.sampled_from(["http://h/", "https://h:99999/", "http://[", "ftp://h/", "", "//h/", "http://é/"]),
    st.text(max_size=40),
    st.sampled_from([".h5", ".HDR", "", "/", "/..", "%2f.h5", ".zip", "/data/zipper/x"]),
)
NAME = st.just(item(DAY.start)["id"]) | st.text(max_size=60)
MOMENT = st.sampled_from(["2025-12-01T10:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
ITEM = st.fixed_dictionaries(
    {"id": NAME | JSON},
    optional={
        "properties": JSON
        | st.dictionaries(
            st.sampled_from(
                [
                    "start_datetime",
                    "datetime",
                    "product:type",
                    "version",
                    "sat:absolute_orbit",
                    "frame",
                    "processing:datetime",
                    "sat:orbit_state",
                    "end_datetime",
                ]
            ),
            JSON | MOMENT | st.text(alphabet="A1_.-+/", max_size=80),
        ),
        "geometry": JSON | st.fixed_dictionaries({"type": st.just("LineString"), "coordinates": JSON}),
        "assets": JSON
        | st.dictionaries(
            st.text(max_size=12),
            st.fixed_dictionaries(
                {"href": HREF | JSON}, optional={"file:size": JSON, "roles": JSON, "type": JSON}
            ),
            max_size=3,
        ),
    },
)


@given(ITEM | JSON)
def test_any_item_is_read_filed_or_refused(tmp_path_factory: pytest.TempPathFactory, raw: Any) -> None:
    root = tmp_path_factory.getbasetemp() / "data"
    filing = Filing(root, Registry(root / "registry"))
    try:
        granule = granule_of(raw, "Some_Collection", "Some")
    except BadItem as bad:
        assert str(bad)
        return
    assert granule.track is not None and granule.orbit_frame is not None
    for asset in granule.files(("all",)):
        assert asset.href.isascii() and asset.href.isprintable() and "|" not in asset.href
        assert filing.key_of(granule)
        assert filing.request_of(granule, asset).path.is_relative_to(root)


@settings(max_examples=15, deadline=None)
@given(st.lists(ITEM, max_size=4))
def test_hostile_pages_never_break_a_search(tmp_path_factory: pytest.TempPathFactory, raw: list[Any]) -> None:
    async def look() -> None:
        body = json.dumps(page([*raw, item(DAY.start)], len(raw) + 1)).encode()
        async with RawServer(lambda asked: body) as server:
            home = tmp_path_factory.getbasetemp() / "hostile"
            environ = {"HOME": str(home), "MAAP_HOME": str(home), "MAAP_CATALOG_URL": server.url}
            async with Session.load(environ=environ, overrides={"api.retries": 0}) as opened:
                search = opened.search(cld())
                assert item(DAY.start)["id"] in {one.id for one in await search.granules()}
                assert search.failed == []

    asyncio.run(look())


async def test_count_asks_once(session: Make, archive: Archive) -> None:
    async with session() as opened:
        assert await opened.search(cld()).count() == 126
    assert requests_of(archive, "search") == 1


async def test_range_outside_of_the_mission_asks_nothing(session: Make, archive: Archive) -> None:
    found, search = await run(session(), cld(time=days(date(2030, 1, 1), 3)))
    assert found == [] and search.failed == [] and requests_of(archive, "search") == 0


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
