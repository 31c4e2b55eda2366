"""Searching: windows, paging, order, cuts and second tries."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right
from contextlib import aclosing
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from maap_tui.demo import Archive
from maap_tui.engine.catalogue import built
from maap_tui.engine.catalogue.in_order import in_order
from maap_tui.engine.events import DayFailed, Event, PageFetched
from maap_tui.engine.model import BaselineInfo, TimeRange
from maap_tui.engine.query import Query
from tests.engine.conftest import told
from tests.engine.raw_server import Asked, RawServer, item, page
from tests.engine.search_kit import DAY, L2, Make, cld, days, pages_of, run
from tests.homes import PATIENCE_S, requests_of


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


async def test_count_asks_once(session: Make, archive: Archive) -> None:
    async with session() as opened:
        assert await opened.search(cld()).count() == 126
    assert requests_of(archive, "search") == 1


async def test_range_outside_of_the_mission_asks_nothing(session: Make, archive: Archive) -> None:
    found, search = await run(session(), cld(time=days(date(2030, 1, 1), 3)))
    assert found == [] and search.failed == [] and requests_of(archive, "search") == 0
