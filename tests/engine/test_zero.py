"""Nothing found is suspicious: it is checked without the filter that may be at fault, and said."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from maap_tui.demo import Archive
from maap_tui.engine import cql2
from maap_tui.engine.events import DayFailed, Event, Warned
from maap_tui.engine.model import TimeRange
from maap_tui.engine.query import Box, Query
from maap_tui.engine.search_keys import NEW_KEYS
from maap_tui.engine.session import Session
from tests.engine.conftest import told
from tests.engine.raw_server import COLLECTION, Asked, RawServer, item, page
from tests.homes import requests_of

Make = Callable[..., Session]

DAY = TimeRange.of_day(date(2025, 12, 1))
MORNING = TimeRange(DAY.start, DAY.start + timedelta(hours=3))
FORTNIGHT = TimeRange(DAY.start, DAY.start + timedelta(days=14))
SHORT = {"mission.name": "EarthCARE", "mission.start": "2025-12-01", "mission.end": "2025-12-01"}


def cld(**changes: Any) -> Query:
    return Query(
        **{
            "collection": COLLECTION,
            "product_type": "CPR_CLD_2A",
            "baseline": "BC",
            "time": MORNING,
            **changes,
        }
    )


async def ids_of(session: Session, query: Query) -> list[str]:
    search = session.search(query)
    found = [one.id for one in await search.granules()]
    assert search.failed == []
    return found


@pytest.mark.parametrize("baseline", ["bc", "BC", "Bc"])
async def test_comparison_with_case_finds_a_baseline_in_any_case(
    session: Make, archive: Archive, events: list[Event], baseline: str
) -> None:
    archive.faults.add(match_case=True)
    async with session() as opened:
        await opened.catalogue.queryables(COLLECTION)
        archive.stats.reset()
        assert len(await ids_of(opened, cld(time=DAY, baseline=baseline))) == 125
        assert await opened.search(cld(time=DAY, baseline=baseline)).count() == 126
    assert requests_of(archive, "search") == 2 and told(events, Warned) == []


async def test_comparison_with_case_changes_no_count(session: Make, archive: Archive) -> None:
    async def counts() -> Any:
        async with session() as opened:
            return await opened.baselines_at_archive(COLLECTION, "CPR_CLD_2A")

    expected = await counts()
    archive.faults.add(match_case=True)
    assert expected and await counts() == expected


async def test_items_and_queryables_may_spell_a_product_differently(session: Make) -> None:
    def answer(asked: Asked) -> Any:
        text = asked.body.get("filter", "")
        return (
            page([item(DAY.start)], 1) if "'CPR_CLD_2A'" in text and "'cpr_cld_2a'" in text else page([], 0)
        )

    async with RawServer(answer) as server, session(server.url) as opened:
        file = opened.dirs.queryables_file(COLLECTION)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            '{"properties": {"product:type": {"enum": ["cpr_cld_2a"]}, "version": {"enum": ["bc"]}}}'
        )
        query = cld(product_type="CPR_CLD_2A")
        assert len(await ids_of(opened, query)) == 1
        assert len(await ids_of(opened, query.replace(product_type="cpr_cld_2a"))) == 1


BLIND: list[tuple[str, dict[str, Any]]] = [
    ("version", {}),
    ("product", {}),
    ("version,product", {}),
    ("version", {"time": FORTNIGHT, "frames": ("C",), "max_items": 20}),
    ("frame", {"frames": ("C", "D")}),
    ("frame", {"time": None, "orbits": ((8574, 8574),), "frames": ("C",)}),
    ("version", {"time": None, "orbits": ((8574, 8575),)}),
    ("orbit", {"time": DAY, "orbits": ((8574, 8575),)}),
    ("version", {"time": DAY, "box": Box(170, -60, -170, 60)}),
]


@pytest.mark.parametrize(("blind", "changes"), BLIND)
async def test_filter_that_finds_nothing_is_left_out(
    session: Make, archive: Archive, events: list[Event], blind: str, changes: dict[str, Any]
) -> None:
    async with session() as usual:
        expected = await ids_of(usual, cld(**changes))
    assert expected and told(events, Warned) == []
    archive.faults.add(blind=blind)
    async with session() as opened:
        assert await ids_of(opened, cld(**changes)) == expected
        assert await ids_of(opened, cld(**changes)) == expected
    (warning,) = told(events, Warned)
    assert "finds nothing" in warning.message and "filtered here" in warning.message


async def test_count_by_a_filter_that_finds_nothing_is_read(
    session: Make, archive: Archive, events: list[Event]
) -> None:
    archive.faults.add(blind="version")
    async with session() as opened:
        assert await opened.search(cld(time=DAY)).count() is None
        assert await opened.search(cld(time=DAY)).total() == 125
        assert await opened.search(cld(time=DAY)).finds_any()
    assert len(told(events, Warned)) == 1


async def test_baselines_that_no_filter_finds_are_counted_here(
    session: Make, archive: Archive, events: list[Event]
) -> None:
    archive.faults.add(blind="version")
    async with session(**SHORT) as opened:
        assert await opened.baselines_at_archive(COLLECTION, "CPR_CLD_2A") == {"BC": 125}
        assert len(told(events, Warned)) == 1
        _, failures = await opened.build_catalogue(COLLECTION, product_type="CPR_CLD_2A")
    assert [(one.product_type, one.baseline) for one in failures] == [("CPR_CLD_2A", "*")]


async def test_nothing_there_is_believed_after_a_look(
    session: Make, archive: Archive, events: list[Event]
) -> None:
    async with session() as opened:
        await opened.catalogue.queryables(COLLECTION)
        archive.stats.reset()
        assert await ids_of(opened, cld(baseline="BA")) == []
        assert requests_of(archive, "search") == 2
        assert await opened.search(cld(baseline="BA")).count() == 0
        assert len(await ids_of(opened, cld())) > 0
        archive.stats.reset()
        # The filter by baseline has worked by now.
        assert await ids_of(opened, cld(baseline="BA")) == []
        assert requests_of(archive, "search") == 1
    assert told(events, Warned) == []


async def test_what_is_beside_a_long_range_says_nothing_of_it(
    session: Make, archive: Archive, events: list[Event]
) -> None:
    """A baseline ends in the morning of the day at whose noon the range begins."""
    noon = datetime(2025, 7, 8, 12, tzinfo=UTC)
    async with session() as opened:
        found = await ids_of(opened, cld(baseline="AB", time=TimeRange(noon, noon + timedelta(days=20))))
    assert found == []
    assert told(events, Warned) == []


async def test_registry_that_knows_files_of_an_empty_archive_is_a_gap(
    session: Make, archive: Archive, events: list[Event]
) -> None:
    async with session() as opened:
        granules = await opened.search(cld()).granules()
        await opened.save_to_registry(granules, ("h5",))
    archive.faults.add(empty_results=True)
    async with session() as opened:
        search = opened.search(cld())
        assert await search.granules() == []
    assert f"registry has {len(granules)} files" in search.failed[0].reason
    assert [one.day for one in told(events, DayFailed)] == ["2025-12-01"]


async def test_registry_that_knows_what_the_archive_gave_up_is_said(
    session: Make, events: list[Event]
) -> None:
    here = item(DAY.start)
    old = item(DAY.start, id=here["id"].replace("EXBC", "EXBA"), properties={"product:type": "CPR_CLD_2A"})
    items = [old]

    def answer(asked: Asked) -> Any:
        is_found = items == [old] or "version" not in asked.body.get("filter", "")
        return page(items, 1) if is_found else page([], 0)

    async with RawServer(answer) as server, session(server.url) as opened:
        granules = await opened.search(cld(baseline="BA")).granules()
        assert (await opened.save_to_registry(granules, ("h5",))).new == 1
    items[:] = [here]
    async with RawServer(answer) as server, session(server.url) as opened:
        assert await ids_of(opened, cld(baseline="BA")) == []
    assert [one.message for one in told(events, Warned)] == [
        "Nothing found, though the registry has 1 file of that time"
    ]


async def test_built_catalogue_that_knows_granules_is_said(
    session: Make, archive: Archive, events: list[Event]
) -> None:
    async with session(**SHORT) as opened:
        _, failures = await opened.build_catalogue(COLLECTION, product_type="CPR_CLD_2A", baseline="BC")
        assert failures == []
    archive.faults.add(empty_results=True)
    async with session() as opened:
        assert await ids_of(opened, cld()) == []
        assert await opened.search(cld()).count() == 0
    words = "Nothing found, though the built catalogue has granules from 2025-12-01 to 2025-12-01"
    assert [one.message for one in told(events, Warned)] == [words, words]


async def test_nothing_that_cannot_be_checked_is_a_gap(session: Make, archive: Archive) -> None:
    async with session(**{"api.retries": 0}) as opened:
        await opened.catalogue.queryables(COLLECTION)
        archive.faults.add(target="search", status=503, after=1)
        search = opened.search(cld(baseline="BA"))
        assert await search.granules() == []
    assert [one.label for one in search.failed] == ["2025-12-01"]
    assert "could not be checked" in search.failed[0].reason


async def test_broad_look_that_fails_is_no_gap_where_nothing_is_known(
    session: Make, archive: Archive
) -> None:
    async with session(**{"api.retries": 0}) as opened:
        await opened.catalogue.queryables(COLLECTION)
        archive.faults.add(empty_results=True)
        archive.faults.add(target="search", status=503, after=2)
        assert await ids_of(opened, cld()) == []
    assert requests_of(archive, "search") == 3


async def test_part_that_works_is_kept(session: Make, archive: Archive, events: list[Event]) -> None:
    archive.faults.add(blind="version")
    async with session() as opened:
        assert len(await ids_of(opened, cld(frames=("C",)))) > 0
    assert "by baseline, and" in told(events, Warned)[0].message


async def test_renamed_queryables_are_fetched_again(session: Make, events: list[Event]) -> None:
    def answer(asked: Asked) -> Any:
        return page([], 0) if "productType" in asked.body.get("filter", "") else page([item(DAY.start)], 1)

    async with RawServer(answer) as server, session(server.url) as opened:
        file = opened.dirs.queryables_file(COLLECTION)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text('{"properties": {"productType": {"enum": ["CPR_CLD_2A"]}, "productVersion": {}}}')
        assert len(await ids_of(opened, cld())) == 1
        last = server.searches[-1].body["filter"]
    assert last == cql2.to_text(
        cql2.Every(
            (
                cql2.Comparison(NEW_KEYS.product, "=", "CPR_CLD_2A"),
                cql2.OneOf(NEW_KEYS.baseline, ("bc", "BC")),
            )
        )
    )
    assert told(events, Warned) == []


async def test_a_count_that_no_service_announced_is_checked_too(session: Make, events: list[Event]) -> None:
    """By frames, which no item has as a property, nothing is found."""

    def answer(asked: Asked) -> Any:
        return page([] if "frame" in asked.body["filter"] else [item(DAY.start), item(DAY.start, frame="B")])

    async with RawServer(answer) as server, session(server.url) as opened:
        assert await opened.search(cld(frames=("A",))).total() == 1
    assert "finds nothing in" in told(events, Warned)[0].message


async def test_baselines_that_are_listed_nowhere_are_read_in_one_piece(
    session: Make, events: list[Event]
) -> None:
    async with RawServer(lambda asked: page([item(DAY.start)])) as server, session(server.url) as opened:
        file = opened.dirs.queryables_file(COLLECTION)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text('{"properties": {"id": {}}, "additionalProperties": true}')
        assert await opened.baselines_at_archive(COLLECTION, "CPR_CLD_2A") == {"BC": 1}
        assert len(server.searches) <= 5
    assert told(events, Warned) == []
