"""Sync: registered as found, downloaded, recorded once; what is left comes with the next run."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import h5py
import pytest

from maap_tui.demo import Archive
from maap_tui.engine.errors import DownloadError, InvalidRequestError
from maap_tui.engine.events import Event, FileFinished, ItemSkipped
from maap_tui.engine.model import TimeRange
from maap_tui.engine.query import Query
from maap_tui.engine.registry.entries import TrackedFile
from maap_tui.engine.session import Session
from maap_tui.engine.workflows.pending import means
from maap_tui.engine.workflows.sync import SyncReport
from tests.counting import opened
from tests.engine.conftest import told
from tests.engine.raw_server import RawServer, item, page
from tests.homes import NOW, PATIENCE_S

Make = Callable[..., Session]
L2 = "EarthCAREL2Validated_MAAP"
DAY = TimeRange.of_day(date(2025, 12, 1))
HOUR = TimeRange(DAY.start, DAY.start + timedelta(hours=1))


def cld(**changes: Any) -> Query:
    return Query(L2, "CPR_CLD_2A", **{"baseline": "BC", "time": HOUR, **changes})


async def sync(session: Session, query: Query, **options: Any) -> SyncReport:
    async with session:
        return await session.sync(query, **options)


def lines(home: Path, kind: str) -> list[str]:
    return [
        line
        for file in sorted((home / "registry").rglob(f"{kind}_*.txt"))
        for line in file.read_text().splitlines()
        if line and not line.startswith("#")
    ]


def assert_whole(home: Path, count: int) -> None:
    """Each line once, every file where its line says, whole, and nothing else."""
    found, done = lines(home, "url"), lines(home, "dwl")
    assert len(found) == len(set(found)) == len(done) == len(set(done)) == count
    paths = {Path(line.split("|")[1]) for line in done}
    files = {path for path in (home / "data").rglob("*") if path.is_file()}
    assert paths == files
    for path in paths:
        with h5py.File(path) as file:
            assert len(file) > 0


async def test_first_run_downloads_and_second_has_nothing_to_do(
    session: Make, home: Path, archive: Archive, events: list[Event]
) -> None:
    report = await sync(session(bulk=True), cld())
    count = report.found
    assert 4 <= count <= 8
    assert (report.new, report.pending, report.already, report.held_back) == (count, count, 0, 0)
    assert len(report.downloads.downloaded) == count and [key.baseline for key in report.keys] == ["BC"]
    assert_whole(home, count)
    assert all("/2025/12/01/" in line for line in lines(home, "dwl"))
    sent = archive.stats.show()["bytes_by_kind"]["data"]
    again = await sync(session(bulk=True), cld(baseline="bc"))
    assert (again.found, again.new, again.already, again.pending) == (count, 0, count, 0)
    assert archive.stats.show()["bytes_by_kind"]["data"] == sent
    assert len(told(events, FileFinished)) == count


async def test_each_url_is_registered_before_its_download(
    session: Make, home: Path, archive: Archive
) -> None:
    archive.faults.add(target="data", status=404)
    report = await sync(session(bulk=True), cld())
    assert len(lines(home, "url")) == report.found == len(report.downloads.failed)
    assert lines(home, "dwl") == []
    assert len(list((home / "registry").rglob("errors.txt"))) == 1


async def test_what_earlier_runs_left_is_fetched_also_when_the_search_fails(
    session: Make, home: Path, archive: Archive
) -> None:
    async with session() as opened:
        found = await opened.search(cld()).granules()
        assert (await opened.save_to_registry(found, ("h5",))).new == len(found)
    archive.faults.add(failing_day="2025-12-01")
    report = await sync(session(bulk=True, **{"api.retries": 0}), cld())
    assert [one.label for one in report.failed_days] == ["2025-12-01"]
    assert (report.found, report.pending) == (0, len(found))
    assert_whole(home, len(found))


async def test_max_items_holds_back_and_still_registers(session: Make, home: Path) -> None:
    report = await sync(session(bulk=True), cld(), max_items=2)
    assert len(report.downloads.downloaded) == 2 == report.pending
    assert report.held_back == report.found - 2 == len(lines(home, "url")) - 2
    rest = await sync(session(bulk=True), cld(), max_items=1)
    assert (rest.already, rest.pending, rest.held_back) == (2, 1, report.found - 3)
    last = await sync(session(bulk=True), cld())
    assert last.held_back == 0
    assert_whole(home, report.found)


@pytest.fixture
async def whole_day(session: Make) -> None:
    """All of a day is here."""
    report = await sync(session(bulk=True), cld(time=DAY))
    assert report.found == report.pending == 125


@pytest.mark.usefixtures("whole_day")
@pytest.mark.parametrize(
    ("time", "is_missing"),
    [(DAY, True), (TimeRange.of_day(date(2099, 12, 1)), False), (TimeRange.of_day(date(2001, 1, 1)), False)],
    ids=["nothing missing", "to come", "before the mission"],
)
async def test_a_range_with_nothing_to_ask_for_ends_well(
    session: Make, home: Path, time: TimeRange, is_missing: bool
) -> None:
    query = cld(time=time, missing=is_missing)
    async with session(bulk=True) as opened:
        report = await opened.sync(query)
        assert (report.found, report.pending, report.failed_days) == (0, 0, [])
        got = await opened.get(query, track=True)
        assert (got.granules, got.wanted, got.downloads.failed) == (0, [], [])
        found = opened.search(query)
        assert await found.granules() == []
        await opened.save_skipped(found)
    assert_whole(home, 125)


@pytest.mark.usefixtures("whole_day")
async def test_what_earlier_runs_left_comes_where_no_day_is_asked_for(session: Make, home: Path) -> None:
    """The granules of the day are here by another file each."""
    async with session() as opened:
        found = await opened.search(cld()).granules()
        assert (await opened.save_to_registry(found[:2], ("hdr",))).new == 2
    report = await sync(session(bulk=True), cld(time=DAY, missing=True, formats=("h5", "hdr")))
    assert (report.found, report.pending, len(report.downloads.downloaded)) == (0, 2, 2)


@pytest.mark.usefixtures("whole_day")
async def test_a_day_lacks_what_is_here_in_another_format_only(session: Make) -> None:
    headers = cld(time=DAY, formats=("hdr",))
    async with session(bulk=True) as opened:
        first = await opened.sync(headers.replace(missing=True), max_items=1)
        assert (first.found, first.pending, first.held_back) == (125, 1, 124)
        found = await opened.coverage(headers, verify=True)
        assert (found.archive, found.downloaded, found.missing) == (125, 1, 124)
        every = await opened.search(cld(time=DAY, formats=("all",), missing=True, max_items=3)).granules()
        assert len(every) == 3, "nobody knows how many files a granule has"
        rest = await opened.sync(headers.replace(missing=True))
        assert (rest.already, rest.pending) == (1, 124)
        assert (await opened.sync(headers.replace(missing=True))).found == 0


async def test_formats_of_one_registry_never_mix(session: Make, home: Path) -> None:
    async with session() as opened:
        found = await opened.search(cld()).granules()
        await opened.save_to_registry(found, ("h5",))
    report = await sync(session(bulk=True), cld(formats=("hdr",)))
    assert report.pending == len(found) == len(report.downloads.downloaded)
    assert {path.suffix for path in report.downloads.downloaded.values()} == {".HDR"}
    opened = session()
    assert len(opened.pending(cld(formats=("h5",))).files) == len(found)
    assert opened.pending(cld(formats=("hdr",))).files == []
    assert len(opened.pending(cld(baseline=None, formats=("all",))).files) == len(found)


async def test_the_lists_of_a_day_are_read_once_for_all_its_pages(session: Make, home: Path) -> None:
    """A day in 25 pages: of its downloads, no more is read than where it is one page."""
    query = cld(time=DAY)
    async with session() as first:
        found = await first.search(query).granules()
        await first.save_to_registry(found, first.formats_of(query))
        tracker = first.registry.baseline(first.filing.key_of(found[0]))
        tracker.record_all(first.filing.request_of(one, one.files(("h5",))[0]).tracked for one in found)
    counts = []
    for size in (1000, 5):
        with opened() as paths:
            report = await sync(session(**{"api.page_size": size}), query)
        assert (report.found, report.already, report.new, report.pending) == (125, 125, 0, 0)
        counts.append(sum(path.endswith("dwl_20251201.txt") for path in paths))
    assert counts[0] == counts[1] >= 1


async def test_product_dir_gives_each_file_a_folder(session: Make, home: Path) -> None:
    report = await sync(session(bulk=True), cld(), max_items=1, product_dir=True)
    (path,) = report.downloads.downloaded.values()
    assert path.parent.name == path.stem and path.parent.parent.name == "01"


async def test_only_the_newest_version_is_registered_and_fetched(session: Make, home: Path) -> None:
    query = Query("EarthCAREXMETL1DProducts10_MAAP", "AUX_MET_1D", "BC", time=HOUR)
    async with session() as opened:
        every = await opened.search(query.replace(every_version=True)).granules()
        old = min(every, key=lambda one: (one.sensing_start, one.created))
        await opened.save_to_registry([old], ("h5",))
    report = await sync(session(bulk=True), query)
    assert report.found * 3 == len(every) and len(report.downloads.downloaded) == report.found
    assert not [url for url in report.downloads.downloaded if old.id in url]
    assert session().pending(query).files == []
    sizes = {granule.id: granule.files(("h5",))[0].size for granule in every}
    for path in report.downloads.downloaded.values():
        assert path.stat().st_size == sizes[path.stem]


async def test_failures_in_a_row_end_the_run(session: Make, archive: Archive) -> None:
    archive.faults.add(target="data", status=404)
    report = await sync(session(bulk=True, **{"downloads.parallel": 1}), cld(), max_consecutive_failures=2)
    assert isinstance(report.downloads.stopped, DownloadError)
    assert len(report.downloads.failed) == 2


async def test_item_that_cannot_be_filed_is_one_warning(
    session: Make, home: Path, events: list[Event]
) -> None:
    good, bad = item(DAY.start + timedelta(minutes=5)), item(DAY.start, id="strange_one")
    bad["properties"] = {"start_datetime": "2025-12-01T00:30:00Z", "version": "x" * 64}
    async with RawServer(lambda asked: page([good, bad], 2)) as server:
        opened = session(server.url, bulk=True, **{"downloads.retries": 0})
        report = await sync(opened, cld(baseline=None))
    assert report.found == 2
    assert report.new == report.pending == len(lines(home, "url")) == 2 - len(told(events, ItemSkipped))


async def test_line_with_a_path_out_of_the_layout_is_not_trusted(session: Make, home: Path) -> None:
    async with session() as opened:
        (granule,) = (await opened.search(cld()).granules())[:1]
        tracker = opened.tracker(L2, "CPR_CLD_2A", "BC")
        url = granule.files(("h5",))[0].href
        tracker.add([TrackedFile(tracker.key, granule.day, url, "/etc/passwd.h5")])
    report = await sync(session(bulk=True), cld(), max_items=1)
    assert all(path.is_relative_to(home / "data") for path in report.downloads.downloaded.values())


HREF = item(DAY.start)["assets"]["enclosure_h5"]["href"]
CHILD = """
import asyncio, os, sys
from datetime import datetime
from pathlib import Path
from maap_tui.engine.events import FileFinished
from maap_tui.engine.session import Session
from maap_tui.engine.query import Query
from maap_tui.engine.model import TimeRange

limit = int(sys.argv[1])
done = 0

def hear(event):
    global done
    done += isinstance(event, FileFinished)
    if limit and done >= limit:
        os.kill(os.getpid(), 9)

async def main():
    start, end = (datetime.fromisoformat(text) for text in sys.argv[2:4])
    rules = {"api.retry_wait": 0.01, "downloads.retry_wait": 0.01, "downloads.min_free": "0"}
    rules["api.outage_wait"] = 0
    now = datetime.fromisoformat(sys.argv[4])
    session = Session.load(overrides=rules, emit=hear, bulk=True, now=lambda: now)
    async with session:
        await session.sync(Query("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC", time=TimeRange(start, end)))

asyncio.run(main())
"""


def have_problems(archive: Archive) -> None:
    archive.faults.clear()
    archive.faults.add(target="all", probability=0.2, status=503, seed=7)
    archive.faults.add(token_lifetime_s=0.3)


async def test_problem_and_a_kill_halfway_end_complete_after_another_run(
    session: Make, archive: Archive, home: Path
) -> None:
    have_problems(archive)
    span = TimeRange(DAY.start, DAY.start + timedelta(hours=6))
    # On a slow disk all others may be recorded at once before the first of them is said to be finished.
    archive.faults.add(target="data", match="08575D", stall_after=1000)
    environ = {**os.environ, **archive.environment(home), "HOME": str(home)}
    times = [span.start.isoformat(), span.end.isoformat(), NOW]
    killed = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", CHILD, "12", *times],
        env=environ,
        timeout=PATIENCE_S,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert 1 <= len(lines(home, "dwl")) < len(lines(home, "url"))
    have_problems(archive)
    for _ in range(3):
        report = await sync(session(bulk=True), cld(time=span))
        if not report.downloads.failed and not report.failed_days:
            break
    assert report.downloads.stopped is None
    whole = 31
    assert abs(report.found - whole) <= 2
    assert_whole(home, report.found)
    assert archive.stats.show()["authorization_outside_data"] == []


@pytest.mark.parametrize(
    ("query", "url", "wanted"),
    [
        (cld(time=None), "http://h/anything.xyz", True),
        (cld(time=None, formats=("h5",)), "http://h/anything.xyz", False),
        (cld(time=None, formats=("all",), orbits=((1, 2),)), "http://h/anything.xyz", False),
        (cld(time=None, formats=("h5",), orbits=((8574, 8574),), frames=("A",)), HREF, True),
        (cld(time=None, formats=("h5",), frames=("B",)), HREF, False),
        (cld(formats=("h5",), time=TimeRange(DAY.start - timedelta(days=1), DAY.start)), HREF, False),
    ],
)
def test_a_query_means_a_line_by_its_name(query: Query, url: str, wanted: bool) -> None:
    assert means(query, url) is wanted


async def test_unknown_names_reach_no_registry(session: Make, home: Path) -> None:
    with pytest.raises(InvalidRequestError):
        await sync(session(), cld(baseline="ZZ"))
    assert lines(home, "url") == []
