from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from maap_tui.demo import Archive
from maap_tui.engine.download.connections import Spare
from maap_tui.engine.download.downloads import REFUSALS, Downloads
from maap_tui.engine.download.recorder import Recorder
from maap_tui.engine.download.requests import DownloadOutcome, DownloadRequest, TransferRules
from maap_tui.engine.download.tally import Tally
from maap_tui.engine.errors import (
    AuthenticationError,
    AuthServiceUnavailable,
    ClientRefusedError,
    DiskFullError,
    DownloadError,
)
from maap_tui.engine.events import (
    BytesReceived,
    Event,
    FileArrived,
    FileFailed,
    FileFinished,
    FileQueued,
    FileSkipped,
    FileStarted,
    FileStateChanged,
    SignInNeeded,
    Warned,
)
from maap_tui.engine.integrity.hashes import Hashes, Recorded
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.registry.registry import Registry
from tests.engine.raw_files import FileServer, Request, answer
from tests.engine.transfer_kit import Kit, Remote, asked, hdf5_body, open_sockets, other_tasks
from tests.homes import PATIENCE_S

KEY = Key("EarthCARE", "EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")
DAY = date(2026, 1, 14)


def tracked(wanted: DownloadRequest) -> DownloadRequest:
    """The same file, followed by the registry of `KEY`."""
    return replace(wanted, key=KEY, day=DAY)


class Gate:
    """A file on a FileServer whose body ends only when the test says so."""

    def __init__(self, size: int = 1000) -> None:
        self.body = hdf5_body(size)
        self.asked = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer("200 OK", self.body[:500], content_length=str(len(self.body)), etag='"one"'))
        self.asked.set()
        await self.open.wait()
        writer.write(self.body[500:])


def gated(raw: FileServer, folder: Path, count: int) -> tuple[list[Gate], list[DownloadRequest]]:
    gates = [Gate() for _ in range(count)]
    wanted = [DownloadRequest(raw.at(f"/{i}.h5", gate), folder / f"{i}.h5") for i, gate in enumerate(gates)]
    return gates, wanted


def states(downloads: Downloads) -> list[str]:
    return [job.state for job in downloads.jobs.values()]


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


async def test_a_registry_that_is_locked_costs_the_file_not_the_run(
    kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path
) -> None:
    registry = Registry(tmp_path / "registry", lock_timeout_s=0.0)
    recorder = Recorder(registry, Hashes(tmp_path / "state"))
    with Registry(tmp_path / "registry").baseline(KEY).locked("a test"):
        async with kit().downloads(recorder=recorder) as downloads:
            downloads.add(tracked(remote().wanted(tmp_path)))
            report = await downloads.join()
    assert "in use by" in report.failed[0].reason
    assert not report.failed[0].permanent
    assert report.stopped is None


@pytest.mark.parametrize("stop", ["dead_token", "token_service_down", "page_for_data", "disk_full"])
async def test_what_stops_everything_keeps_the_rest_waiting(
    stop: str, kit: Callable[..., Kit], archive: Archive, remote: Callable[..., Remote], tmp_path: Path
) -> None:
    rules: dict[str, Any] = {}
    if stop == "dead_token":
        archive.faults.add(status=400, target="token")
    elif stop == "token_service_down":
        archive.faults.add(status=503, target="token")
    elif stop == "page_for_data":
        archive.faults.add(html_login=True)
    else:
        rules["min_free"] = 1 << 60
    parts = kit(http_retries=1, **rules)
    files = [remote(number) for number in range(8)]
    async with parts.downloads(parallel=3) as downloads:
        for file in files:
            downloads.add(file.wanted(tmp_path))
        report = await downloads.join()
        kinds = {"token_service_down": AuthServiceUnavailable, "disk_full": DiskFullError}
        assert isinstance(report.stopped, kinds.get(stop, AuthenticationError))
        assert (report.left, report.failed, report.downloaded) == (8, [], {})
        assert states(downloads) == ["waiting"] * 8
        assert len(parts.told(SignInNeeded)) == (stop in ("dead_token", "page_for_data"))
        assert downloads.active == 0
        if stop == "disk_full":
            return
        archive.faults.clear()
        archive.stats.reset()
        parts.tokens.forget()
        downloads.set_parallel(1)
        assert downloads.active == 0
        downloads.resume()
        report = await downloads.join()
        assert (report.stopped, report.left, len(report.downloaded)) == (None, 0, 8)
        assert set(asked(archive)) == {file.url.removeprefix(archive.url) for file in files}


async def test_a_refused_client_asks_for_no_new_token(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    raw.at("/token", answer("401 Unauthorized", b'{"error": "unauthorized_client"}'))
    parts = kit(raw)
    async with parts.downloads() as downloads:
        downloads.add(DownloadRequest(raw.url + "/data/a.h5", tmp_path / "a.h5"))
        report = await downloads.join()
    assert isinstance(report.stopped, ClientRefusedError)
    assert parts.told(SignInNeeded) == []


async def test_a_stopped_queue_keeps_its_order(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    gates, wanted = gated(raw, tmp_path, 5)
    raw.at("/1.h5", answer("401 Unauthorized"))
    async with kit(raw).downloads(parallel=3) as downloads:
        for one in wanted:
            downloads.add(one)
        report = await downloads.join()
        assert isinstance(report.stopped, AuthenticationError)
        raw.at("/1.h5", gates[1])
        raw.requests.clear()
        for gate in gates:
            gate.open.set()
        downloads.set_parallel(1)
        downloads.resume()
        await downloads.join()
    order = [request.target for request in raw.requests if request.target != "/token"]
    assert order == [f"/{i}.h5" for i in range(5)]


@pytest.mark.fault("A5")
async def test_three_refusals_in_a_row_end_a_collection_without_renewing(
    kit: Callable[..., Kit], archive: Archive, remote: Callable[..., Remote], tmp_path: Path
) -> None:
    series = next(one for one in archive.content.closed if one.level)
    closed = [Remote(archive, series.newest(number), ".h5") for number in range(20)]
    registry = Registry(tmp_path / "registry")
    recorder = Recorder(registry, Hashes(tmp_path / "state"))
    parts = kit()
    before = archive.tokens.refreshes
    async with parts.downloads(parallel=1, recorder=recorder) as downloads:
        for file in closed:
            downloads.add(tracked(file.wanted(tmp_path)), group="restricted")
        downloads.add(remote().wanted(tmp_path), group="open")
        report = await downloads.join()
    assert len(set(asked(archive))) == REFUSALS + 1
    assert archive.tokens.refreshes == before + 1
    assert len(report.failed) == 20
    assert all(failure.permanent for failure in report.failed)
    assert list(report.downloaded) == [remote().url]
    assert len(parts.told(Warned)) == 1
    assert list(registry.baseline(KEY).errors()) == [file.url for file in closed[:REFUSALS]]


async def test_refusals_that_are_not_in_a_row_end_nothing(
    kit: Callable[..., Kit], archive: Archive, remote: Callable[..., Remote], tmp_path: Path
) -> None:
    files = [remote(number) for number in range(9)]
    for file in files[::2]:
        archive.faults.add(status=403, match=file.name, target="data")
    async with kit().downloads(parallel=1) as downloads:
        for file in files:
            downloads.add(file.wanted(tmp_path), group="one")
        report = await downloads.join()
    assert (len(report.downloaded), len(report.failed)) == (4, 5)
    assert len(asked(archive)) == 9


@pytest.mark.parametrize(("limit", "tried"), [(3, 3), (None, 10)])
async def test_failures_in_a_row_may_end_the_run(
    limit: int | None,
    tried: int,
    kit: Callable[..., Kit],
    archive: Archive,
    remote: Callable[..., Remote],
    tmp_path: Path,
) -> None:
    archive.faults.add(status=404, target="data")
    async with kit().downloads(parallel=1, max_consecutive_failures=limit) as downloads:
        for number in range(10):
            downloads.add(remote(number).wanted(tmp_path))
        report = await downloads.join()
        assert (len(report.failed), report.left) == (tried, 10 - tried)
        assert len(asked(archive)) == tried
        if limit is None:
            assert report.stopped is None
            return
        assert isinstance(report.stopped, DownloadError)
        assert "3 files in a row failed" in report.stopped.message
        archive.faults.clear()
        downloads.retry()
        report = await downloads.join()
        assert (len(report.downloaded), report.failed, report.stopped) == (10, [], None)


async def test_a_success_between_failures_counts_again(
    kit: Callable[..., Kit], archive: Archive, remote: Callable[..., Remote], tmp_path: Path
) -> None:
    files = [remote(number) for number in range(9)]
    for number in (0, 1, 3, 4, 6, 7):
        archive.faults.add(status=404, match=files[number].name, target="data")
    async with kit().downloads(parallel=1, max_consecutive_failures=3) as downloads:
        for file in files:
            downloads.add(file.wanted(tmp_path))
        report = await downloads.join()
    assert (len(report.downloaded), len(report.failed), report.stopped) == (3, 6, None)


@pytest.mark.fault("H18")
async def test_bad_addresses_do_not_hold_up_the_others(
    kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path
) -> None:
    bad = ["", "a", "http://[::1", "http://127.0.0.1:99999/a.h5", "\ud800", "http://x/" + "y" * 70_000]
    parts = kit()
    async with parts.downloads() as downloads:
        for url in bad:
            downloads.add(DownloadRequest(url, tmp_path / "bad.h5"))
        downloads.add(DownloadRequest(remote(1).url, tmp_path / ("n" * 240)))
        downloads.add(remote().wanted(tmp_path))
        downloads.refuse("http://x/..", "it names no file", permanent=True)
        report = await downloads.join()
    assert len(report.downloaded) == 2
    assert len(report.failed) == len(bad) + 1
    assert all(failure.permanent for failure in report.failed)
    assert len(parts.told(FileQueued)) == len(parts.told(FileFailed, FileFinished))


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


async def test_a_run_through_every_kind_of_failure_ends_whole_and_unmixed(
    kit: Callable[..., Kit], archive: Archive, remote: Callable[..., Remote], tmp_path: Path
) -> None:
    for seed, fault in enumerate(
        [{"status": 503}, {"status": 500}, {"cut_after": 50_000}, {"html_login": True, "times": 1}]
    ):
        archive.faults.add(**{"probability": 0.1, "seed": seed, "target": "data", **fault})
    parts = kit(retries=9)
    files = [remote(number) for number in range(60)]
    async with parts.downloads() as downloads:
        for number, file in enumerate(files):
            downloads.add(file.wanted(tmp_path))
            if number == 30:
                archive.control(expire_tokens=True)
        report = await downloads.join()
    assert (len(report.downloaded), report.failed) == (60, [])
    assert all((tmp_path / file.name).read_bytes() == file.content for file in files)
    assert archive.stats.show()["authorization_outside_data"] == []
    assert archive.offline_token not in repr(parts.events)
    assert len(parts.told(FileStarted)) >= 60


@pytest.mark.fault("D1")
async def test_a_file_that_ends_meanwhile_does_not_end_the_wait_for_room(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maap_tui.engine.download.downloads.ROOM_CHECK_S", 0.01)
    full, looks = tmp_path / "full", []

    def usage(path: Path) -> SimpleNamespace:
        looks.append(path)
        return SimpleNamespace(free=0 if Path(path) == full else 1 << 40)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    gates, wanted = gated(raw, tmp_path, 2)
    gates[1].open.set()
    async with kit(raw, min_free=1 << 30).downloads(parallel=2, space_wait_s=3600.0) as downloads:
        downloads.add(wanted[0])
        await gates[0].asked.wait()
        downloads.add(replace(wanted[1], path=full / "1.h5"))
        while downloads.halt is None:  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0)
        gates[0].open.set()
        while not downloads.report.downloaded:  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0)
        seen = looks.count(full)
        # The look that was on its way, and the one after it, which counts the time.
        while looks.count(full) < seen + 2 and downloads.report.stopped is None:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert downloads.report.stopped is None
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 40))
        report = await downloads.join()
    assert report.stopped is None
    assert len(report.downloaded) == 2


class FullForOne:
    """A `Fetcher` that finds the disk full for one file while another ends in the same step of the loop."""

    def __init__(self, full: DownloadRequest) -> None:
        self.full = full
        self.begun = asyncio.Event()
        self.has_space = False

    async def fetch(self, wanted: DownloadRequest) -> DownloadOutcome:
        if wanted != self.full:
            await self.begun.wait()
            return DownloadOutcome(wanted.path, 1, 1, ("0" * 64,))
        self.begun.set()
        if self.has_space:
            return DownloadOutcome(wanted.path, 1, 1, ("0" * 64,))
        raise DiskFullError("No space left on /disk")

    def has_room(self, wanted: DownloadRequest) -> bool:
        return self.has_space

    def set_rules(self, rules: TransferRules) -> None:
        """It has none."""

    def set_connections(self, count: int, spare: Spare | None = None) -> None:
        """It has none."""


@pytest.mark.fault("D1")
async def test_a_file_that_ends_as_the_disk_fills_does_not_end_the_wait_for_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maap_tui.engine.download.downloads.ROOM_CHECK_S", 0.01)
    wanted = [
        DownloadRequest(f"http://127.0.0.1/{number}.h5", tmp_path / f"{number}.h5") for number in (0, 1)
    ]
    fetcher = FullForOne(wanted[1])
    async with Downloads(lambda emit: fetcher, parallel=2, space_wait_s=3600.0) as downloads:
        for one in wanted:
            downloads.add(one)
        while not downloads.report.downloaded and downloads.report.stopped is None:  # noqa: ASYNC110
            await asyncio.sleep(0)
        fetcher.has_space = True
        report = await downloads.join()
    assert report.stopped is None
    assert sorted(report.downloaded) == [one.url for one in wanted]
