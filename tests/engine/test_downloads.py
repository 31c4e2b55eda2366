from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from maap_tui.demo import Archive
from maap_tui.engine.download.recorder import Recorder
from maap_tui.engine.download.requests import DownloadOutcome, DownloadRequest
from maap_tui.engine.download.tally import Tally
from maap_tui.engine.events import (
    BytesReceived,
    Event,
    FileArrived,
    FileFailed,
    FileFinished,
    FileQueued,
    FileSkipped,
    FileStateChanged,
)
from maap_tui.engine.integrity.hashes import Hashes, Recorded
from maap_tui.engine.registry.entries import TrackedFile
from maap_tui.engine.registry.registry import Registry
from tests.engine.downloads_kit import DAY, KEY, gated, states, tracked
from tests.engine.raw_files import FileServer
from tests.engine.transfer_kit import Kit, Remote, open_sockets, other_tasks
from tests.homes import PATIENCE_S


@pytest.mark.fault("N15")
async def test_many_files_arrive(
    kit: Callable[..., Kit], archive: Archive, remote: Callable[..., Remote], tmp_path: Path
) -> None:
    files = [remote(number) for number in range(30)]
    parts = kit()
    async with parts.downloads(parallel=4) as downloads:
        assert all(downloads.add(file.wanted(tmp_path)) for file in files)
        assert not downloads.add(files[0].wanted(tmp_path))
        report = await downloads.join()
    assert all((tmp_path / file.name).read_bytes() == file.content for file in files)
    assert report.downloaded == {file.url: tmp_path / file.name for file in files}
    assert (report.skipped, report.failed, report.stopped, report.left) == ({}, [], None, 0)
    assert report.received == sum(file.size for file in files)
    assert len(parts.told(FileQueued)) == len(parts.told(FileFinished)) == 30
    shown = archive.stats.show()
    assert shown["most_at_once"] <= 4
    assert shown["connections"] <= 8
    async with kit().downloads() as downloads:
        for file in files:
            downloads.add(file.wanted(tmp_path))
        report = await downloads.join()
    assert (len(report.skipped), report.received) == (30, 0)


async def test_files_come_in_the_order_given_and_some_are_moved_to_the_top(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    gates, wanted = gated(raw, tmp_path, 6)
    for gate in gates:
        gate.open.set()
    async with kit(raw).downloads(parallel=1) as downloads:
        for one in wanted:
            downloads.add(one)
        downloads.move_to_top([wanted[4].url, wanted[3].url, "http://unknown/", wanted[0].url])
        await downloads.join()
    order = [request.target for request in raw.requests if request.target != "/token"]
    assert order == ["/0.h5", "/4.h5", "/3.h5", "/1.h5", "/2.h5", "/5.h5"]


async def test_how_many_run_at_once_can_change(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    gates, wanted = gated(raw, tmp_path, 6)
    async with kit(raw).downloads(parallel=1) as downloads:
        for one in wanted:
            downloads.add(one)
        assert downloads.active == 1
        downloads.set_parallel(3)
        assert downloads.active == 3
        downloads.set_parallel(0)
        assert downloads.parallel == 1
        gates[0].open.set()
        await gates[0].asked.wait()
        assert downloads.active == 3
        for gate in gates:
            gate.open.set()
        await downloads.join()
        downloads.set_parallel(99)
        assert downloads.parallel == 16
    assert states(downloads) == ["finished"] * 6


@pytest.mark.parametrize("when", ["at_once", "running"])
async def test_paused_files_go_on_where_they_were(
    when: str, kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    (first, second), wanted = gated(raw, tmp_path, 2)
    async with kit(raw).downloads(parallel=1) as downloads:
        for one in wanted:
            downloads.add(one)
        if when == "running":
            await first.asked.wait()
        downloads.pause([wanted[0].url])
        assert states(downloads)[0] == "paused"
        second.open.set()
        report = await downloads.join()
        assert list(report.downloaded) == [wanted[1].url]
        first.open.set()
        downloads.resume()
        report = await downloads.join()
        assert set(report.downloaded) == {one.url for one in wanted}
    assert states(downloads) == ["finished", "finished"]


async def test_pause_and_resume_in_one_breath(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    gates, wanted = gated(raw, tmp_path, 3)
    async with kit(raw).downloads(parallel=2) as downloads:
        for one in wanted:
            downloads.add(one)
        for _ in range(5):
            downloads.pause()
            downloads.resume()
        await gates[0].asked.wait()
        for _ in range(5):
            downloads.pause()
            downloads.resume()
        for gate in gates:
            gate.open.set()
        report = await downloads.join()
    assert len(report.downloaded) == 3
    assert downloads.active == 0


async def test_cancelled_files_leave_the_queue_and_can_be_brought_back(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    (first, second), wanted = gated(raw, tmp_path, 2)
    parts = kit(raw)
    async with parts.downloads(parallel=1) as downloads:
        for one in wanted:
            downloads.add(one)
        await first.asked.wait()
        downloads.cancel()
        report = await downloads.join()
        assert (report.downloaded, report.failed, report.left) == ({}, [], 0)
        assert states(downloads) == ["cancelled", "cancelled"]
        downloads.retry()
        assert states(downloads) == ["cancelled", "cancelled"]
        first.open.set()
        second.open.set()
        downloads.retry([wanted[1].url])
        await downloads.join()
        assert downloads.add(wanted[0])
        report = await downloads.join()
    assert len(report.downloaded) == 2
    assert [event.state for event in parts.told(FileStateChanged)] == ["cancelled", "cancelled", "waiting"]


async def test_a_failed_file_can_be_tried_again(
    kit: Callable[..., Kit], archive: Archive, remote: Callable[..., Remote], tmp_path: Path
) -> None:
    files = [remote(number) for number in range(3)]
    archive.faults.add(status=404, match=files[1].name, target="data")
    registry = Registry(tmp_path / "registry")
    tracker = registry.baseline(KEY)
    parts = kit()
    async with parts.downloads(recorder=Recorder(registry, Hashes(tmp_path))) as downloads:
        for file in files:
            downloads.add(tracked(file.wanted(tmp_path)))
        report = await downloads.join()
        (failure,) = report.failed
        assert (failure.url, failure.status, failure.permanent) == (files[1].url, 404, True)
        assert list(tracker.errors()) == [files[1].url] and " 404 " in tracker.errors()[files[1].url]
        assert downloads.clear_finished() == 2
        archive.faults.clear()
        downloads.retry()
        report = await downloads.join()
        assert (len(report.downloaded), report.failed) == (3, [])
    assert tracker.errors() == {} and len(list(tracker.downloads())) == 3
    assert [event.attempts for event in parts.told(FileFailed)] == [1]


async def test_what_was_fetched_is_recorded_before_it_is_reported(
    kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path
) -> None:
    tracker = (registry := Registry(tmp_path / "registry")).baseline(KEY)
    hashes = Hashes(tmp_path / "state")
    reported: list[tuple[type[Event], list[TrackedFile], dict[str, Recorded]]] = []

    def emit(event: Event) -> None:
        if isinstance(event, FileFinished | FileSkipped):
            reported.append((type(event), list(tracker.downloads()), hashes.load(KEY, DAY)))

    wanted = tracked(remote().wanted(tmp_path / "data"))
    async with kit().downloads(emit=emit, recorder=Recorder(registry, hashes)) as downloads:
        for _ in range(2):
            downloads.add(wanted)
            await downloads.join()
    lines = [TrackedFile(KEY, DAY, wanted.url, str(wanted.path))]
    assert [(kind, recorded) for kind, recorded, _ in reported] == [
        (FileFinished, lines),
        (FileSkipped, lines),
    ]
    assert all(list(known) == [str(wanted.path)] for _, _, known in reported)


async def test_a_file_that_no_registry_follows_is_recorded_nowhere(
    kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path
) -> None:
    recorder = Recorder(Registry(tmp_path / "registry"), Hashes(tmp_path / "state"))
    async with kit().downloads(recorder=recorder) as downloads:
        downloads.add(remote().wanted(tmp_path / "data"))
        assert len((await downloads.join()).downloaded) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


async def test_files_that_wait_to_be_recorded_keep_no_other_from_being_fetched(
    kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path
) -> None:
    registry = Registry(tmp_path / "registry")
    arrived = asyncio.Semaphore(0)

    def emit(event: Event) -> None:
        if isinstance(event, FileArrived):
            arrived.release()

    recorder = Recorder(registry, Hashes(tmp_path / "state"))
    async with (
        asyncio.timeout(PATIENCE_S),
        kit().downloads(emit=emit, recorder=recorder, parallel=1) as downloads,
    ):
        with registry.baseline(KEY).locked("a test"):
            for number in range(3):
                downloads.add(tracked(remote(number).wanted(tmp_path / "data")))
            for _ in range(3):
                await arrived.acquire()
            assert downloads.report.downloaded == {}
        report = await downloads.join()
    assert len(report.downloaded) == len(list(registry.baseline(KEY).downloads())) == 3


async def test_nothing_interrupts_the_recording(
    kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path
) -> None:
    recording, go_on = asyncio.Event(), asyncio.Event()

    class HeldUp(Recorder):
        async def record(self, request: DownloadRequest, outcome: DownloadOutcome) -> None:
            recording.set()
            await go_on.wait()
            await super().record(request, outcome)

    registry = Registry(tmp_path / "registry")
    downloads = kit().downloads(recorder=HeldUp(registry, Hashes(tmp_path / "state")))
    downloads.add(tracked(remote().wanted(tmp_path)))
    await recording.wait()
    downloads.pause()
    downloads.cancel()
    assert states(downloads) == ["running"]
    closing = asyncio.ensure_future(downloads.close())
    await asyncio.sleep(0)
    go_on.set()
    await closing
    assert [file.url for file in registry.baseline(KEY).downloads()] == [remote().url]
    assert states(downloads) == ["finished"]


async def test_closing_stops_what_runs_and_keeps_its_part(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    gates, wanted = gated(raw, tmp_path, 4)
    parts = kit(raw)
    async with parts.downloads(parallel=2) as downloads:
        for one in wanted:
            downloads.add(one)
        await gates[0].asked.wait()
        async with asyncio.timeout(PATIENCE_S):
            # Both run at once: it is the first one's bytes that have to be in its part.
            while not any(  # noqa: ASYNC110 - the engine tells, nobody waits for it
                event.url == wanted[0].url for event in parts.told(BytesReceived)
            ):
                await asyncio.sleep(0)
    assert (tmp_path / "0.h5.part").stat().st_size == 500
    assert downloads.active == 0
    assert "running" not in states(downloads)
    async with asyncio.timeout(PATIENCE_S):
        await downloads.join()


@pytest.mark.fault("N16")
async def test_a_storm_of_pauses_and_cancels_leaves_nothing_behind(
    kit: Callable[..., Kit], archive: Archive, remote: Callable[..., Remote], tmp_path: Path
) -> None:
    chance = random.Random(11)
    parts = kit(connections=4)
    files = [remote(number) for number in range(12)]
    begun = other_tasks()
    tally = Tally()
    async with parts.downloads(
        parallel=4, emit=lambda event: (parts.events.append(event), tally.apply(event))[0]
    ) as downloads:
        for file in files:
            downloads.add(file.wanted(tmp_path, again=True))
        for _ in range(300):
            url = [chance.choice(files).url]
            chance.choice([downloads.pause, downloads.resume, downloads.cancel, downloads.retry])(url)
            await asyncio.sleep(chance.uniform(0, 0.004))
        downloads.resume()
        downloads.retry([file.url for file in files])
        report = await downloads.join()
        assert not report.failed
        assert all((tmp_path / file.name).read_bytes() == file.content for file in files)
        assert set(states(downloads)) == {"finished"}
        assert tally.snapshot().active == 0
        assert tally.snapshot().bytes_done == sum(file.size for file in files)
        assert tally.snapshot().queued == tally.snapshot().done == 12
    await parts.http.close()
    assert open_sockets(archive.url) == 0
    assert other_tasks() <= begun
    assert not list(tmp_path.glob("*.part*"))
