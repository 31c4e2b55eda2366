"""Many files, some of which fail: what stops the run, what goes on, and what counts."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from maap_tui.demo import Archive
from maap_tui.engine.download.connections import Spare
from maap_tui.engine.download.downloads import Downloads
from maap_tui.engine.download.recorder import Recorder
from maap_tui.engine.download.refusals import MOST
from maap_tui.engine.download.requests import DownloadOutcome, DownloadRequest, TransferRules
from maap_tui.engine.errors import (
    AuthenticationError,
    AuthServiceUnavailable,
    ClientRefusedError,
    DiskFullError,
    DownloadError,
)
from maap_tui.engine.events import (
    FileFailed,
    FileFinished,
    FileQueued,
    FileStarted,
    SignInNeeded,
    Warned,
)
from maap_tui.engine.integrity.hashes import Hashes
from maap_tui.engine.registry.registry import Registry
from tests.engine.downloads_kit import KEY, gated, states, tracked
from tests.engine.raw_files import FileServer, answer
from tests.engine.transfer_kit import Kit, Remote, asked


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
    assert len(set(asked(archive))) == MOST + 1
    assert archive.tokens.refreshes == before + 1
    assert len(report.failed) == 20
    assert all(failure.permanent for failure in report.failed)
    assert list(report.downloaded) == [remote().url]
    assert len(parts.told(Warned)) == 1
    assert list(registry.baseline(KEY).errors()) == [file.url for file in closed[:MOST]]


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
    monkeypatch.setattr("maap_tui.engine.download.room.ROOM_CHECK_S", 0.01)
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
    monkeypatch.setattr("maap_tui.engine.download.room.ROOM_CHECK_S", 0.01)
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
