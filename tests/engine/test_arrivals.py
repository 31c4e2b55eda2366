"""Arrivals: whatever comes to the archive is fetched once, however late it comes and whenever a run ends."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from maap_tui.demo import Archive
from maap_tui.demo.missions.base import Granule
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.events import Event, FileFinished, ItemSkipped, Warned
from maap_tui.engine.model import TimeRange, to_zulu
from maap_tui.engine.query import Query
from maap_tui.engine.session import Session
from maap_tui.engine.workflows.arrivals import Arrival, News
from maap_tui.engine.workflows.sync import SyncReport
from tests.engine.conftest import told
from tests.engine.raw_server import QUERYABLES, Asked, RawServer, item, page
from tests.homes import MOMENT, NOW, QUICK

L2 = "EarthCAREL2Validated_MAAP"
FIRST = timedelta(days=3)


def cld(**changes: Any) -> Query:
    return Query(L2, "CPR_CLD_2A", **{"baseline": "BC", "frames": ("C",), "formats": ("hdr",), **changes})


@pytest.fixture
def clocked() -> Iterator[Archive]:
    """An archive of its own, whose clock may be set."""
    with Archive.start(now=NOW, offline_days=36500) as archive:
        yield archive


class Kept:
    """A home that is kept up to date with an archive."""

    def __init__(self, archive: Archive, folder: Path) -> None:
        self.archive = archive
        self.folder = folder
        self.events: list[Event] = []
        self.now = MOMENT
        archive.prepare(folder)

    def pass_time(self, **time: float) -> None:
        self.now += timedelta(**time)
        self.archive.control(now=self.now.isoformat())

    def session(self, **overrides: Any) -> Session:
        return Session.load(
            environ={**self.archive.environment(self.folder), "HOME": str(self.folder)},
            bulk=True,
            now=lambda: self.now,
            emit=self.events.append,
            overrides={**QUICK, **overrides},
        )

    async def sync(self, query: Query | None = None, **overrides: Any) -> SyncReport:
        async with self.session(**overrides) as session:
            return await session.sync(query or cld(), since_last=FIRST)

    @property
    def cursors(self) -> list[Path]:
        return sorted((self.folder / "state" / "cursors").rglob("*.txt"))

    def names(self) -> list[str]:
        """Granules that are recorded as downloaded."""
        return sorted(
            line.partition("|")[0].rpartition("/")[2].removesuffix(".HDR")
            for file in (self.folder / "registry" / "downloads").rglob("dwl_*.txt")
            for line in file.read_text().splitlines()
            if line and not line.startswith("#")
        )

    def arrived(self, since: datetime, product: str = "CPR_CLD_2A", baseline: str = "BC") -> list[str]:
        """Granules of the frame that came to the archive after a moment."""
        series = self.archive.content.series[product, baseline]
        begin = series.axis.first_ending((since - timedelta(days=6)).timestamp())
        found = (
            Granule(series, number)
            for low, high in series.numbers
            for number in range(max(int(low), begin), int(high) + 1)
        )
        return sorted(one.id for one in found if one.frame == "C" and one.updated > since.timestamp())


@pytest.fixture
def kept(clocked: Archive, tmp_path: Path) -> Kept:
    return Kept(clocked, tmp_path / "home")


@pytest.mark.parametrize(
    "fault",
    [
        {},
        {"unlisted": "modificationDate"},
        {"unlisted": "modificationDate,creationDate"},
        {"deaf": "updated,created"},
        {"blind": "updated"},
        {"barred": "updated:422,created:422"},
        pytest.param({"barred": "updated:403,created:403"}, marks=pytest.mark.long),
        pytest.param({"barred": "updated:501,created:501"}, marks=pytest.mark.long),
        {"barred": "updated:400,created:400", "filters": "json"},
        {"target": "catalogue", "match": "/queryables", "status": 404},
    ],
    ids=[
        "by change",
        "by arrival",
        "not listed",
        "ignored",
        "finds nothing",
        "refused",
        "forbidden",
        "not implemented",
        "refused in json",
        "no queryables",
    ],
)
async def test_all_that_arrives_comes_once(kept: Kept, fault: dict[str, str]) -> None:
    """Also where the archive cannot be asked by time of arrival, or says that it can and cannot."""
    if fault:
        kept.archive.faults.add(**fault)
    first = await kept.sync()
    assert first.is_first and first.arrived["new"] > 0
    assert len(kept.cursors) == 1
    for _ in range(2):
        kept.pass_time(days=1)
        report = await kept.sync()
        assert not report.is_first and report.failed_days == []
        assert report.arrived["new"] > 0 and report.arrived["late"] > 0
    assert set(kept.arrived(MOMENT)) <= set(kept.names())
    finished = [event.url for event in told(kept.events, FileFinished)]
    assert len(finished) == len(set(finished)) == len(kept.names())
    again = await kept.sync()
    assert again.arrived.total() == 0 and len(told(kept.events, FileFinished)) == len(finished)


async def test_the_usual_days_miss_what_is_late(kept: Kept) -> None:
    for _ in range(4):
        kept.pass_time(days=1)
        async with kept.session() as session:
            await session.sync(cld(time=TimeRange(kept.now - timedelta(days=3), kept.now)))
    assert not set(kept.arrived(MOMENT)) <= set(kept.names())


async def test_reprocessed_granules_are_known_by_their_times(clocked: Archive, tmp_path: Path) -> None:
    kept = Kept(clocked, tmp_path / "home")
    kept.now = datetime(2025, 9, 25, tzinfo=UTC)
    kept.pass_time(hours=1)
    since = kept.now - timedelta(hours=12)
    async with kept.session() as session:
        news = await session.news(cld(baseline="BB"), since=since)
    assert news.counts["reprocessed"] > 10 and news.counts["new"] > 0 and news.here == 0
    assert all(one.granule.updated is not None and one.granule.updated >= since for one in news.arrivals)
    made = {one.kind: one.granule for one in news.arrivals}["reprocessed"]
    assert made.created is not None and made.created - made.sensing_start > timedelta(days=30)


def shown(one: Arrival) -> tuple[object, ...]:
    """What is said of an arrival."""
    granule = one.granule
    times = granule.sensing_start, granule.created, granule.published, granule.updated
    return granule.id, one.kind, one.is_here, granule.orbit_frame, *times


async def news_and_memory(kept: Kept, since: datetime, *, briefly: bool) -> tuple[News, int]:
    """The news since then, and the bytes they hold."""
    async with kept.session() as session:
        gc.collect()
        tracemalloc.start()
        try:
            (news,) = await session.all_news([cld(frames=())], since=since, briefly=briefly)
            gc.collect()
            return cast(News, news), tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()


async def test_news_that_are_counted_hold_little_of_each_granule(kept: Kept) -> None:
    since = MOMENT - timedelta(days=2)
    await news_and_memory(kept, since, briefly=True)  # what is loaded at the first request
    whole, by_whole = await news_and_memory(kept, since, briefly=False)
    brief, by_brief = await news_and_memory(kept, since, briefly=True)
    assert (brief.counts, brief.here, brief.sentence) == (whole.counts, whole.here, whole.sentence)
    assert brief.wanted == whole.wanted
    assert list(map(shown, brief.arrivals)) == list(map(shown, whole.arrivals))
    # A granule with its item takes 20 KB and more.
    assert len(brief.arrivals) > 100 and by_brief < by_whole / 2


async def test_a_file_that_failed_holds_the_cursor_and_one_that_is_gone_does_not(kept: Kept) -> None:
    await kept.sync()
    kept.pass_time(days=1)
    gone, broken = kept.arrived(kept.now - timedelta(hours=8))[:2]
    kept.archive.faults.add(target="data", match=gone, status=404)
    kept.archive.faults.add(target="data", match=broken, status=500)
    few = {"downloads.retries": 0, "search.overlap": 0}
    report = await kept.sync(**few)
    assert sorted(one.permanent for one in report.downloads.failed) == [False, True]
    kept.archive.faults.clear()
    for _ in range(2):
        kept.pass_time(days=1)
        await kept.sync(**few)
    missing = set(kept.arrived(MOMENT)) - set(kept.names())
    assert missing <= {gone}


@pytest.mark.parametrize("status", [403, *(pytest.param(one, marks=pytest.mark.long) for one in (451, 405))])
async def test_a_file_that_is_refused_holds_the_cursor(kept: Kept, status: int) -> None:
    """Only what the archive does not have any more is over: access may be given another day."""
    await kept.sync()
    kept.pass_time(days=1)
    refused = kept.arrived(kept.now - timedelta(hours=8))[0]
    kept.archive.faults.add(target="data", match=refused, status=status)
    few = {"downloads.retries": 0, "search.overlap": 0}
    report = await kept.sync(**few)
    assert [(one.status, one.permanent) for one in report.downloads.failed] == [(status, True)]
    kept.pass_time(days=1)
    await kept.sync(**few)
    assert refused not in kept.names()
    kept.archive.faults.clear()
    await kept.sync(**few)
    assert refused in kept.names()


async def test_a_day_that_fails_moves_nothing(kept: Kept) -> None:
    await kept.sync()
    before = kept.cursors[0].read_text()
    kept.pass_time(days=1)
    kept.archive.faults.add(target="search", status=500)
    report = await kept.sync(**{"api.retries": 0})
    assert [one.label for one in report.failed_days] == ["arrived since 2026-01-12T00:00:00Z"]
    assert kept.cursors[0].read_text() == before
    kept.archive.faults.clear()
    await kept.sync()
    assert set(kept.arrived(MOMENT)) <= set(kept.names()) and kept.cursors[0].read_text() != before


@pytest.mark.parametrize(
    "status", [500, 429, *(pytest.param(one, marks=pytest.mark.long) for one in (503, 408))]
)
async def test_a_filter_that_fails_is_asked_again_by_the_next_run(kept: Kept, status: int) -> None:
    """What may pass is no refusal: the days are not counted for it, and nothing is forgotten."""
    await kept.sync()
    before = kept.cursors[0].read_text()
    kept.pass_time(days=1)
    kept.archive.faults.add(barred=f"updated:{status}")
    names = kept.names()
    report = await kept.sync(**{"api.retries": 0})
    (failed,) = report.failed_days
    assert failed.label == "arrived since 2026-01-12T00:00:00Z" and failed.reason
    assert kept.cursors[0].read_text() == before and kept.names() == names
    kept.archive.faults.clear()
    await kept.sync()
    assert set(kept.arrived(MOMENT)) <= set(kept.names())


async def test_a_refused_time_says_nothing_on_the_language(kept: Kept) -> None:
    """A service that takes filters by POST and ignores those by GET is still asked by POST."""

    def ask() -> None:
        kept.archive.faults.add(barred="updated:400,created:400")
        kept.archive.faults.add(filters="ignored", match="/search?")

    ask()
    report = await kept.sync()
    assert report.failed_days == [] and report.arrived["new"] > 0
    asked = [one for one in kept.archive.stats.show()["last_requests"] if one["kind"] == "search"]
    assert {one["method"] for one in asked} == {"POST"}


async def test_a_run_that_is_cut_off_leaves_the_cursor(kept: Kept) -> None:
    kept.archive.faults.add(target="data", stall_after=100, match=kept.arrived(MOMENT - FIRST)[-1])
    running = asyncio.create_task(kept.sync())
    while not told(kept.events, FileFinished):
        await asyncio.wait([running], timeout=0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert kept.cursors == []
    kept.archive.faults.clear()
    await kept.sync()
    assert len(kept.names()) == len(set(kept.names())) and len(kept.cursors) == 1


async def test_what_arrives_while_pages_are_read_is_not_lost(kept: Kept) -> None:
    """The archive orders its items in another way with each that comes: old and new pages do not fit."""
    since = MOMENT - timedelta(hours=12)
    before = set(kept.arrived(since))
    async with kept.session(**{"api.page_size": 5}) as session:
        running = asyncio.create_task(session.news(cld(frames=()), since=since))
        while kept.archive.stats.count("search") < 2 and not running.done():
            await asyncio.wait([running], timeout=0.001)
        kept.pass_time(hours=6)
        news = await running
    assert before <= {one.granule.id for one in news.arrivals} and news.failed == []


ARRIVED = [
    item(
        MOMENT - timedelta(hours=30 - number),
        frame="C",
        properties={"product:type": "CPR_CLD_2A", "version": "bc", "updated": to_zulu(MOMENT)},
    )
    for number in range(24)
]
STAMPED = {"properties": {**QUERYABLES["properties"], "updated": {}}}


@pytest.mark.parametrize(
    ("order", "lacking"),
    [
        ([range(10), range(7, 17), range(14, 24)], 0),
        ([range(23, 13, -1), range(4, 14), [*range(4), *range(4)]], 0),
        ([range(10), range(13, 24)], 3),
    ],
    ids=["repeated", "in another order", "without some"],
)
async def test_pages_that_do_not_fit_together(
    session: Callable[..., Session], order: list[Sequence[int]], lacking: int
) -> None:
    """Each granule is listed once, and what the service announced and did not give is a failure."""

    def answer(asked: Asked) -> Any:
        number = int(asked.path.partition("page=")[2] or 0)
        items = [ARRIVED[at] for at in order[number]]
        more = {"href": f"search?page={number + 1}"} if number + 1 < len(order) else {}
        return page(items, len(ARRIVED), **more)

    async with RawServer(answer, queryables=STAMPED) as server, session(server.url) as opened:
        news = await opened.news(cld(), since=MOMENT - timedelta(days=1))
        assert all("updated" in str(one.body) for one in server.searches if one.method == "POST")
    found = [one.granule.id for one in news.arrivals]
    assert found == sorted({ARRIVED[at]["id"] for part in order for at in part})
    assert len(found) == len(ARRIVED) - lacking and len(news.failed) == bool(lacking)


async def test_the_clock_of_this_machine_does_not_matter(kept: Kept) -> None:
    """It is days behind, then days ahead: what came is found all the same, once there is a cursor."""
    await kept.sync()
    archive_now = kept.now
    for hours_off in (-240, 240, -1):
        archive_now += timedelta(days=1)
        kept.archive.control(now=archive_now.isoformat())
        kept.now = archive_now + timedelta(hours=hours_off)
        await kept.sync()
    kept.now = archive_now + timedelta(minutes=1)
    await kept.sync()
    assert set(kept.arrived(MOMENT)) <= set(kept.names())


async def test_each_choice_of_granules_has_a_cursor_of_its_own(kept: Kept) -> None:
    await kept.sync()
    await kept.sync(cld(frames=("D",)))
    assert len(kept.cursors) == 2
    kept.pass_time(days=1)
    await kept.sync(cld(frames=("D",)))
    await kept.sync()
    assert set(kept.arrived(MOMENT)) <= set(kept.names())


@pytest.mark.parametrize("damage", ["", "updated yesterday\nend\n", "floor 2026-01-12T00:00:00Z\n"])
async def test_a_cursor_that_is_damaged_is_none(kept: Kept, damage: str) -> None:
    """One that says nothing is reported, as what arrived since it may lie before a first run."""
    await kept.sync()
    (cursor,) = kept.cursors
    cursor.write_text(damage)
    kept.pass_time(hours=12)
    report = await kept.sync()
    assert report.is_first and set(kept.arrived(MOMENT)) <= set(kept.names())
    warned = [event.message for event in told(kept.events, Warned)]
    assert [f"The cursor {cursor} is damaged" in one for one in warned] == [True] * bool(damage)
    assert not (await kept.sync()).is_first


async def test_a_cursor_that_cannot_be_read_stays(kept: Kept) -> None:
    """Sync and news go on as in a first run and say so; nothing that it knows is lost."""
    await kept.sync()
    (cursor,) = kept.cursors
    text = cursor.read_text()
    cursor.unlink()
    cursor.mkdir()
    kept.pass_time(days=6)
    async with kept.session() as session:
        (news,) = await session.all_news([cld()])
        assert isinstance(news, News) and news.is_first
    report = await kept.sync()
    assert report.is_first and report.pending > 0 and not report.downloads.failed
    warned = [event.message for event in told(kept.events, Warned)]
    assert len(warned) == 2 and all(one.startswith(f"Cannot use {cursor}: ") for one in warned)
    missed = set(kept.arrived(MOMENT)) - set(kept.names())
    cursor.rmdir()
    cursor.write_text(text)
    again = await kept.sync()
    assert missed and not again.is_first and set(kept.arrived(MOMENT)) <= set(kept.names())


@pytest.mark.parametrize("kind", ["url", "dwl"])
async def test_a_list_that_cannot_be_read_holds_the_cursor(kept: Kept, kind: str) -> None:
    await kept.sync()
    before = kept.cursors[0].read_text()
    kept.pass_time(days=1)
    days = [(kept.now - timedelta(days=n)).date() for n in range(4)]
    tree = kept.folder / "registry" / {"url": "urls", "dwl": "downloads"}[kind]
    lists = [tree / f"EarthCARE/{L2}/CPR_CLD_2A/BC/{day.year}/{kind}_{day:%Y%m%d}.txt" for day in days]
    aside = {file: file.read_text() if file.exists() else "" for file in lists}
    for file in lists:
        file.unlink(missing_ok=True)
        file.mkdir(parents=True)
    report = await kept.sync()
    assert report.undecided > 0 and report.refused == 0 and not report.downloads.failed
    assert report.found == report.undecided + report.already + report.pending
    assert not any(event.permanent for event in told(kept.events, ItemSkipped))
    assert kept.cursors[0].read_text() == before
    for file, text in aside.items():
        file.rmdir()
        file.write_text(text)
    kept.events.clear()
    # Without an overlap only a cursor that was held finds them again.
    await kept.sync(**{"search.overlap": 0})
    assert set(kept.arrived(MOMENT)) <= set(kept.names()) and kept.cursors[0].read_text() != before


async def test_an_archive_that_does_not_filter_is_not_read_as_a_whole(kept: Kept) -> None:
    kept.archive.faults.add(filters="ignored")
    with pytest.raises(InvalidRequestError, match="Without a filter that works"):
        await kept.sync()


async def test_a_dry_run_lists_the_same_and_moves_nothing(kept: Kept) -> None:
    async with kept.session() as session:
        dry = await session.would_sync(cld(), since_last=FIRST)
    assert kept.cursors == [] and kept.names() == []
    report = await kept.sync()
    # Files end in any order.
    assert sorted(dry.wanted) == sorted(report.downloads.downloaded)
    assert (dry.arrived, dry.found, dry.is_first) == (report.arrived, report.found, True)
