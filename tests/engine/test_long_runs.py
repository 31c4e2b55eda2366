"""A run of many files that nobody watches: few of them are held, and all are fetched, left or obeyed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from maap_tui.engine.download.downloads import Downloads
from maap_tui.engine.download.jobs import of_row
from maap_tui.engine.download.queue_store import (
    Queue,
)
from maap_tui.engine.download.requests import DownloadOutcome, DownloadRequest
from maap_tui.engine.errors import StorageError
from maap_tui.engine.events import Event, FileStarted
from tests.engine.queued_kit import DAY, KEY, make, turns, wanted_of
from tests.homes import PATIENCE_S


async def many(downloads: Downloads, count: int = 4000) -> list[str]:
    """Add files, some hundred at a time, and return their addresses."""
    urls = []
    for number in range(count):
        assert downloads.add(replace(wanted_of(number), key=KEY, day=DAY), group=KEY.collection)
        urls.append(f"https://a/{number}")
        if number % 250 == 249:
            await downloads.settle()
    return urls


@pytest.mark.parametrize("with_queue", [True, False])
async def test_a_long_run_that_nobody_watches_holds_few_of_its_files(
    queue_file: Path, with_queue: bool
) -> None:
    queue = Queue(queue_file) if with_queue else None
    downloads, slow, tally = make(queue, parallel=2, is_watched=False)
    begun: list[str] = []
    most = 0

    def note(event: Event) -> None:
        nonlocal most
        if isinstance(event, FileStarted):
            begun.append(event.url)
            most = max(most, len(downloads.jobs))
        emit(event)

    urls = await many(downloads)
    emit, slow.emit = slow.emit, note
    assert tally.snapshot().queued == 4000
    assert len(downloads.jobs) < 2000
    await downloads.flush()
    if queue is not None:
        assert [(one.url, one.state, one.collection) for one in queue.load(ended=False)][1000:] == [
            (url, "waiting", KEY.collection) for url in urls[1000:]
        ]
    slow.gate.set()
    report = await asyncio.wait_for(downloads.join(), PATIENCE_S)
    await downloads.close()
    assert begun == urls[len(urls) - len(begun) :]
    # All of this takes less time than the queue on disk is written in.
    assert most < 3000 or queue is not None
    assert report.downloaded == {url: Path(f"/data/{number}") for number, url in enumerate(urls)}
    assert (report.left, report.skipped, tally.snapshot().finished) == (0, {}, 4000)
    if queue is not None:
        assert {one.state for one in queue.load()} == {"finished"}
        queue.close()


async def test_files_are_packed_as_well_once_some_were_unpacked() -> None:
    downloads, slow, _ = make(parallel=2, is_watched=False)
    let_go, most = asyncio.Event(), 0

    async def fetch(wanted: DownloadRequest) -> DownloadOutcome:
        while int(wanted.url.rpartition("/")[2]) >= most:
            await let_go.wait()
            await asyncio.sleep(0)
        return DownloadOutcome(wanted.path, 10, 10, ("",))

    slow.fetch = fetch  # type: ignore[method-assign]
    await many(downloads)
    at = 4000
    for most in (300, 520, 560):
        let_go.set()
        while len(downloads.report.downloaded) < most:
            await turns()
        let_go.clear()
        for _ in range(1500):
            assert downloads.add(wanted_of(at))
            at += 1
            if at % 250 == 0:
                await downloads.settle()
        assert len(downloads.jobs) < 2500
    most = at
    let_go.set()
    report = await asyncio.wait_for(downloads.join(), PATIENCE_S)
    await downloads.close()
    assert [*report.downloaded] == [f"https://a/{number}" for number in range(at)]


async def test_of_a_long_run_all_that_is_left_can_be_taken_over(queue_file: Path) -> None:
    queue = Queue(queue_file)
    downloads, _, _ = make(queue, parallel=2, is_watched=False)
    urls = await many(downloads)
    await downloads.close()
    rows = queue.load()
    assert [one.url for one in rows] == urls
    assert {(one.pid, one.state) for one in rows} == {(0, "waiting")}
    assert of_row(rows[-1]) == replace(wanted_of(3999), key=KEY, day=DAY)
    queue.close()


async def test_a_long_run_obeys_for_files_that_it_does_not_hold() -> None:
    downloads, slow, _ = make(parallel=1, is_watched=False)
    urls = await many(downloads, 3000)
    assert not downloads.add(wanted_of(0))
    assert not downloads.add(wanted_of(1700))
    downloads.cancel(urls[10:])
    downloads.retry(urls[2990:])
    downloads.move_to_top(urls[2995:2996])
    slow.gate.set()
    report = await asyncio.wait_for(downloads.join(), PATIENCE_S)
    await downloads.close()
    assert sorted(report.downloaded) == sorted(urls[:10] + urls[2990:])
    assert [*report.downloaded][:2] == [urls[0], urls[2995]]


async def test_a_long_run_that_stops_says_what_is_left() -> None:
    downloads, slow, _ = make(parallel=1, is_watched=False)
    await many(downloads, 3000)
    await turns()

    async def fail(wanted: DownloadRequest) -> DownloadOutcome:
        raise StorageError("the disk is gone")

    slow.fetch = fail  # type: ignore[method-assign]
    slow.gate.set()
    report = await asyncio.wait_for(downloads.join(), PATIENCE_S)
    await downloads.close()
    assert (len(report.downloaded), report.left) == (1, 2999)
    assert isinstance(report.stopped, StorageError)
