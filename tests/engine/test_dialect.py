"""The language of filters: what a service takes is found out, remembered, and never costs a page."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from maap_tui.demo import Archive
from maap_tui.engine.errors import CatalogError, InvalidRequestError
from maap_tui.engine.events import Event, Warned
from maap_tui.engine.model import TimeRange
from maap_tui.engine.query import Box, Query
from maap_tui.engine.session import Session
from tests.engine.conftest import told
from tests.engine.raw_server import COLLECTION, Asked, RawServer, item, page

Make = Callable[..., Session]

DAY = TimeRange.of_day(date(2025, 12, 1))
HOUR = TimeRange(DAY.start, DAY.start + timedelta(hours=1))
"""Of a few granules: a service that filters nothing sends all of a collection's."""
SUMMER = TimeRange.of_day(date(2022, 6, 1))
KINDS = ["json", "get", "get-only", "refused", "ignored"]
FILTERING = KINDS[:3]
TEXT, TREE, BY_GET = ("POST", "cql2-text"), ("POST", "cql2-json"), ("GET", "cql2-text")
LEARNED = {"json": TREE, "get": BY_GET, "get-only": BY_GET}


def cld(**changes: Any) -> Query:
    return Query(COLLECTION, "CPR_CLD_2A", **{"baseline": "BC", "time": DAY, **changes})


def days(count: int, **changes: Any) -> Query:
    """A search of so many days, each a window of its own, with 15 granules a day."""
    time = TimeRange(SUMMER.start, SUMMER.start + timedelta(days=count))
    return Query("AeolusL2BProducts", "ALD_U_N_2B", time=time, **changes)


@pytest.fixture(scope="module")
def usual() -> dict[str, list[str]]:
    """Query -> ids that the usual service finds, asked once."""
    return {}


async def ids_of(session: Session, query: Query) -> list[str]:
    async with session:
        search = session.search(query)
        found = [one.id for one in await search.granules()]
        assert search.failed == [] and search.skipped == {}
        return found


def paths_of(archive: Archive) -> list[tuple[str, str]]:
    return [(one["method"], one["path"]) for one in archive.stats.show()["last_requests"]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "query",
    [
        cld(time=HOUR),
        days(4),
        days(4, max_items=7, newest_first=True),
        cld(baseline=None, time=HOUR, orbits=((8574, 8574), (8575, 8576)), frames=("C", "D")),
        cld(time=HOUR, box=Box(170, -60, -170, 60)),
    ],
    ids=["hours", "days", "cut", "orbits", "box"],
)
async def test_every_service_gives_the_same_granules(
    session: Make, archive: Archive, kind: str, query: Query, usual: dict[str, list[str]]
) -> None:
    expected = usual.get(str(query)) or usual.setdefault(str(query), await ids_of(session(), query))
    archive.faults.add(filters=kind)
    assert expected and await ids_of(session(), query) == expected


@pytest.mark.parametrize("kind", FILTERING)
async def test_counts_are_those_of_the_usual_service(session: Make, archive: Archive, kind: str) -> None:
    async def counts() -> Any:
        async with session() as opened:
            return (
                await opened.search(cld()).count(),
                await opened.search(cld()).total(),
                await opened.baselines_at_archive(COLLECTION, "CPR_CLD_2A"),
                await opened.baseline_at_archive(COLLECTION, "CPR_CLD_2A", "BC"),
            )

    expected = await counts()
    archive.faults.add(filters=kind)
    assert await counts() == expected


@pytest.mark.parametrize("kind", ["refused", "ignored"])
async def test_counts_of_a_service_without_filters_are_read_or_refused(
    session: Make, archive: Archive, kind: str, events: list[Event]
) -> None:
    archive.faults.add(filters=kind)
    async with session() as opened:
        assert await opened.search(cld(time=HOUR)).count() is None
        assert await opened.search(days(1)).total() == len(await opened.search(days(1)).granules()) > 9
        assert await opened.search(days(1)).finds_any()
        with pytest.raises(InvalidRequestError, match=r"\d+ items would have to be read"):
            await opened.search(cld(time=None)).total()
        with pytest.raises(InvalidRequestError, match="in a time range") as caught:
            await opened.search(cld(time=None, orbits=((8574, 8574),))).granules()
        assert "--start 2025-11-30" in caught.value.hint
    assert len([one for one in told(events, Warned) if "does not filter" in one.message]) == 1


async def test_usual_service_is_asked_nothing_more(session: Make, archive: Archive) -> None:
    async with session() as opened:
        await opened.catalogue.queryables(COLLECTION)
        archive.stats.reset()
        await opened.search(cld(time=HOUR)).granules()
    assert paths_of(archive) == [("POST", "/catalogue/search")]
    assert not opened.dirs.cache_file("dialects.json").exists()


@pytest.mark.parametrize("kind", KINDS)
async def test_landing_page_is_read_once_and_only_after_a_refusal(
    session: Make, archive: Archive, kind: str
) -> None:
    archive.faults.add(filters=kind)
    async with session() as opened:
        await opened.search(days(2)).granules()
        await opened.search(cld(time=HOUR)).granules()
    assert paths_of(archive).count(("GET", "/catalogue/")) == 1


@pytest.mark.parametrize("kind", FILTERING)
async def test_next_process_begins_with_what_this_one_learned(
    session: Make, archive: Archive, kind: str
) -> None:
    archive.faults.add(filters=kind)
    await ids_of(session(), cld(time=HOUR))
    archive.stats.reset()
    await ids_of(session(), cld(time=HOUR))
    assert paths_of(archive) == [(LEARNED[kind][0], "/catalogue/search")]


@pytest.mark.parametrize("kind", FILTERING)
async def test_service_that_takes_text_again_is_asked_in_text_again(
    session: Make, archive: Archive, kind: str
) -> None:
    archive.faults.add(filters=kind)
    found = await ids_of(session(), cld(time=HOUR))
    archive.faults.clear()
    archive.faults.add(filters={"json": "get-only", "get": "json", "get-only": "json"}[kind])
    assert await ids_of(session(), cld(time=HOUR)) == found
    archive.faults.clear()
    assert await ids_of(session(), cld(time=HOUR)) == found
    assert len(found) == 6


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"%s": 3}', b'{"%s": {"method": "PUT"}}', None])
async def test_memory_that_cannot_be_used_does_no_harm(
    session: Make, archive: Archive, content: bytes | None
) -> None:
    opened = session()
    file = opened.dirs.cache_file("dialects.json")
    if content is None:
        file.mkdir(parents=True)
    else:
        file.parent.mkdir(parents=True)
        file.write_bytes(content.replace(b"%s", archive.catalog_url.encode()))
    archive.faults.add(filters="json")
    assert len(await ids_of(opened, cld(time=HOUR))) == 6
    assert len(await ids_of(session(), cld(time=HOUR))) == 6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("after", [1, 2, 3, 5])
async def test_service_that_changes_in_the_middle_loses_no_granule(
    session: Make, archive: Archive, kind: str, after: int, usual: dict[str, list[str]]
) -> None:
    size = {"api.page_size": 6, "search.parallel": 3}
    query = days(4)
    expected = usual.get(str(query)) or usual.setdefault(str(query), await ids_of(session(**size), query))
    archive.faults.add(filters=kind, after=after)
    assert len(expected) > 6 * after and await ids_of(session(**size), query) == expected


async def test_refused_page_is_a_gap_that_is_asked_again(session: Make) -> None:
    refusals = [(400, {"detail": "token expired"})]
    first, second = item(DAY.start), item(DAY.start + timedelta(minutes=20), frame="B")

    def answer(asked: Asked) -> Any:
        if asked.method == "POST":
            return page([first], 2, href="search?page=2")
        return refusals.pop() if refusals else page([second], 2)

    async with RawServer(answer) as server, session(server.url) as opened:
        search = opened.search(cld())
        assert [one.id for one in await search.granules()] == [first["id"], second["id"]]
    assert search.failed == []


VALIDATOR = (
    "[{'type': 'literal_error', 'loc': ('body', 'filter-lang'), 'msg': \"Input should be 'cql2-json'\", "
    "'input': 'cql2-text', 'ctx': {'expected': \"'cql2-json'\"}}]"
)


@pytest.mark.parametrize(
    "body",
    [
        {"code": "RequestValidationError", "description": VALIDATOR},
        {"detail": [{"loc": ["body", "filter"], "msg": "value is not a valid dict"}]},
        {"error": {"message": "{'filter': {'expr': 'x'}}"}},
    ],
)
@pytest.mark.parametrize("status", [400, 422])
async def test_refusal_that_remains_is_a_plain_sentence(session: Make, status: int, body: Any) -> None:
    async with RawServer(lambda asked: (status, body)) as server, session(server.url) as opened:
        with pytest.raises(InvalidRequestError) as caught:
            await opened.search(cld()).granules()
        asked = [(one.method, "filter-lang" in str(one)) for one in server.searches]
    assert caught.value.message == f"The catalogue refuses this search ({status})"
    assert set(asked) == {("POST", True), ("GET", True)} and len(asked) <= 8


async def test_refused_windows_find_out_once(session: Make, archive: Archive) -> None:
    archive.faults.add(filters="json")
    async with session(**{"search.parallel": 6}) as opened:
        await opened.search(days(12)).granules()
    assert paths_of(archive).count(("POST", "/catalogue/search")) <= 12 + 6
    assert ("GET", "/catalogue/search") not in paths_of(archive)


async def test_get_carries_the_whole_search_percent_encoded(session: Make) -> None:
    def answer(asked: Asked) -> Any:
        return (405, {}) if asked.method == "POST" else page([item(DAY.start)], 1)

    async with RawServer(answer) as server, session(server.url) as opened:
        await opened.search(cld(box=Box(-10.5, -20, 30, 40), frames=("A", "B"))).granules()
        query = urlsplit(server.searches[-1].path).query
    assert "+" not in query and " " not in query and "'" not in query
    assert {name: value for name, (value,) in parse_qs(query, strict_parsing=True).items()} == {
        "collections": COLLECTION,
        "limit": "1000",
        "bbox": "-10.5,-20,30,40",
        "datetime": "2025-12-01T00:00:00Z/2025-12-02T00:00:00Z",
        "filter": "\"product:type\" = 'CPR_CLD_2A' AND version IN ('bc','BC') AND frame IN ('A','B')",
        "filter-lang": "cql2-text",
    }


async def test_post_in_json_is_one_tree(session: Make) -> None:
    def answer(asked: Asked) -> Any:
        is_tree = asked.body and isinstance(asked.body["filter"], dict)
        return page([item(DAY.start)], 1) if is_tree else (400, {"detail": "filter: expected an object"})

    async with RawServer(answer) as server, session(server.url) as opened:
        assert len(await opened.search(cld(orbits=((8574, 8580),))).granules()) == 1
        body = server.searches[-1].body
    assert body["filter-lang"] == "cql2-json"
    assert body["filter"]["args"][1:] == [
        {"op": "in", "args": [{"property": "version"}, ["bc", "BC"]]},
        {
            "op": "and",
            "args": [
                {"op": ">=", "args": [{"property": "sat:absolute_orbit"}, 8574]},
                {"op": "<=", "args": [{"property": "sat:absolute_orbit"}, 8580]},
            ],
        },
    ]


@pytest.mark.parametrize("numbers", [{}, {"context": {"matched": 2, "returned": 1}}, {"numberMatched": None}])
async def test_service_that_does_not_count_is_counted_here(session: Make, numbers: dict[str, Any]) -> None:
    found = [item(DAY.start), item(DAY.start + timedelta(minutes=20), frame="B")]
    async with RawServer(lambda asked: page(found) | numbers) as server, session(server.url) as opened:
        search = opened.search(cld())
        assert await search.count() == (2 if "context" in numbers else None)
        assert await search.total() == 2 and await search.finds_any()
        before = len(server.searches)
        assert await opened.search(cld(time=None)).total() == 2
        assert len(server.searches) - before <= 3


async def test_busy_service_is_no_refusal(session: Make) -> None:
    async with (
        RawServer(lambda asked: (503, {})) as server,
        session(server.url, **{"api.retries": 0}) as opened,
    ):
        search = opened.search(cld())
        await search.granules()
        assert [one.method for one in server.searches] == ["POST", "POST"] and search.failed


async def test_sync_and_build_go_the_same_way(session: Make, archive: Archive) -> None:
    archive.faults.add(filters="json")
    async with session(bulk=True) as opened:
        file, failures = await opened.build_catalogue(COLLECTION, product_type="CPR_CLD_2A", baseline="BC")
        known = json.loads(await asyncio.to_thread(file.read_bytes))["products"]
        assert failures == [] and known["CPR_CLD_2A"]["baselines"]["BC"]["count"] > 0
        dry = await opened.would_sync(cld(time=TimeRange(DAY.start, DAY.start + timedelta(hours=2))))
    assert 9 <= len(dry.wanted) <= 11


async def test_forbidden_search_is_no_question_of_language(session: Make) -> None:
    answer = (403, {"error": {"message": "keep out"}})
    async with RawServer(lambda asked: answer) as server, session(server.url) as opened:
        search = opened.search(cld())
        await search.granules()
        assert "keep out" in search.failed[0].reason and len(server.searches) == 2
        with pytest.raises(CatalogError, match="keep out"):
            await opened.search(cld()).count()
