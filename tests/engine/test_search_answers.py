"""Searching a catalogue that misbehaves: gaps, loops, limits, refusals, unreadable pages and bad items."""

from __future__ import annotations

import asyncio
import itertools
import json
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maap_tui.demo import Archive
from maap_tui.engine.catalogue.stac import BadItem, granule_of
from maap_tui.engine.errors import CatalogError, InvalidRequestError
from maap_tui.engine.events import Event, ItemSkipped
from maap_tui.engine.query import Box
from maap_tui.engine.registry.registry import Registry
from maap_tui.engine.session import Session
from maap_tui.engine.workflows.filing import Filing
from tests.engine.conftest import told
from tests.engine.raw_server import Asked, RawServer, item, page
from tests.engine.search_kit import DAY, Make, cld, days, pages_of, run
from tests.homes import requests_of


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
