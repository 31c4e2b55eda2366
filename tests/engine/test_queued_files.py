"""Files in the queue of a session, without a network: their turns, changes, and what stays on disk."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

from counting import counted

from maap_tui.engine.download.jobs import DownloadJob
from maap_tui.engine.download.queue_store import (
    Queue,
    left_behind,
)
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.download.tally import Tally
from tests.engine.queued_kit import DAY, KEY, changes, make, turns, wanted_of
from tests.homes import PATIENCE_S


async def test_a_storm_of_pauses_and_retries_never_runs_too_many_and_loses_nothing() -> None:
    downloads, slow, tally = make(parallel=3)
    for number in range(40):
        downloads.add(wanted_of(number))
    urls = list(downloads.jobs)
    for number in range(120):
        some = urls[number % 37 :: 5]
        (downloads.pause, downloads.resume, downloads.cancel, downloads.retry)[number % 4](some)
        if number % 11 == 0:
            downloads.move_to_top(some)
            for url in urls[:5]:
                downloads.add(DownloadRequest(url, Path("/data/again"), 10))
        if number % 3 == 0:
            await turns(number % 5)
        assert downloads.active <= 3
    downloads.retry(urls)
    downloads.resume()
    slow.gate.set()
    await asyncio.wait_for(downloads.join(), PATIENCE_S)
    await turns()
    assert slow.most <= 3
    assert {job.state for job in downloads.jobs.values()} == {"finished"}
    snapshot = tally.snapshot()
    assert (snapshot.queued, snapshot.finished, snapshot.failed, snapshot.active) == (40, 40, 0, 0)
    await downloads.close()


async def test_clearing_while_a_cancelled_task_still_ends_does_no_harm() -> None:
    downloads, slow, _ = make(parallel=1)
    downloads.add(wanted_of(1))
    downloads.add(wanted_of(2))
    await turns()
    downloads.cancel(["https://a/1"])
    assert downloads.clear_finished() == 1
    downloads.add(wanted_of(1))
    await turns()
    assert downloads.active == 1 and slow.running == 1
    slow.gate.set()
    await asyncio.wait_for(downloads.join(), PATIENCE_S)
    assert sorted(job.state for job in downloads.jobs.values()) == ["finished", "finished"]
    await downloads.close()


async def test_a_resumed_file_has_its_old_place() -> None:
    downloads, _, _ = make(parallel=1)
    for number in range(5):
        downloads.add(wanted_of(number))
    await turns()
    downloads.pause(["https://a/2"])
    downloads.resume(["https://a/2"])
    downloads.pause(["https://a/0"])
    await turns()
    assert downloads.jobs["https://a/1"].state == "running"
    downloads.pause(["https://a/1"])
    await turns()
    assert downloads.jobs["https://a/2"].state == "running"
    await downloads.close()


async def test_what_is_left_when_it_closes_can_be_taken_over_at_once(queue_file: Path) -> None:
    queue = Queue(queue_file)
    downloads, _, _ = make(queue, parallel=2)
    for number in range(4):
        downloads.add(replace(wanted_of(number), key=KEY, day=DAY))
    downloads.pause(["https://a/3"])
    await turns()
    await downloads.close()
    rows = queue.load()
    assert [one.state for one in rows] == ["waiting", "waiting", "waiting", "paused"]
    assert left_behind(rows, time.time()) == rows
    assert rows[0].verb == "app" and rows[0].day == "2025-12-01"
    queue.close()


async def test_what_is_cleared_leaves_the_file_too(queue_file: Path) -> None:
    queue = Queue(queue_file)
    downloads, slow, _ = make(queue)
    downloads.add(wanted_of(1))
    slow.gate.set()
    await downloads.join()
    await turns()
    assert downloads.clear_finished() == 1
    await downloads.close()
    assert queue.load() == []
    queue.close()


async def test_what_changed_is_given_once() -> None:
    downloads, slow, _ = make(parallel=1)
    downloads.add(wanted_of(1))
    downloads.add(wanted_of(2))
    assert changes(downloads) == {"https://a/1", "https://a/2"}
    await turns()
    assert changes(downloads) == {"https://a/1"}
    slow.gate.set()
    await downloads.join()
    await downloads.close()


async def test_twenty_thousand_waiting_files_are_handled_quickly(queue_file: Path) -> None:
    queue = Queue(queue_file)
    downloads, _, tally = make(queue, parallel=8)
    with counted() as calls:
        for number in range(20_000):
            downloads.add(wanted_of(number))
        downloads.pause()
        downloads.resume()
        downloads.cancel()
        downloads.retry(list(downloads.jobs))
        downloads.cancel()
        await turns(20)
        assert downloads.clear_finished() == 20_000
        assert tally.snapshot().queued == 0
        await downloads.close()
    assert calls.count < 20_000 * 200
    queue.close()


def test_the_tally_counts_a_file_once_however_often_it_fails() -> None:
    from maap_tui.engine.events import FileFailed, FileFinished, FileQueued, FileStateChanged

    tally = Tally()
    path = Path("/data/1")
    for event in (
        FileQueued("u", path, 10),
        FileFailed("u", path, "no", False, 1),
        FileStateChanged("u", "waiting"),
        FileFailed("u", path, "no", False, 1),
        FileQueued("u", path, 10),
        FileStateChanged("u", "cancelled"),
        FileStateChanged("u", "waiting"),
    ):
        tally.apply(event)
    snapshot = tally.snapshot()
    assert (snapshot.queued, snapshot.failed, snapshot.bytes_total) == (1, 0, 10)
    tally.apply(FileFinished("u", path, 10, 10, 1.0))
    snapshot = tally.snapshot()
    assert (snapshot.done, snapshot.queued, snapshot.bytes_done, snapshot.bytes_total) == (1, 1, 10, 10)


def test_a_job_of_a_refused_file_has_no_part_in_equality() -> None:
    assert DownloadJob(wanted_of(1)) != DownloadJob(wanted_of(1))
