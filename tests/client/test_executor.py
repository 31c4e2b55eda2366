"""Files fetched by worker processes: the registry is written here, and errors are those of the files."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from maap_tui import AuthenticationError, MaapClient
from maap_tui.demo import Archive
from maap_tui.engine.events import Event, FileFinished
from tests.client.conftest import HOUR, L2, NAMES


@pytest.fixture
def pool() -> Iterator[ProcessPoolExecutor]:
    """Two worker processes, each a new interpreter."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as started:
        yield started


def test_workers_fetch_and_this_process_records(
    client: MaapClient, pool: ProcessPoolExecutor, home: Path, archive: Archive
) -> None:
    urls = client.search(*NAMES, **HOUR).urls
    archive.faults.add(target="data", status=404, match=urls[0].rpartition("/")[2])
    done = client.download(urls, L2, track_state=True, executor=pool)
    assert len(done.downloaded) == len(urls) - 1
    assert all(path.is_file() for path in done.downloaded.values())
    assert len(done.permanent_errors) == 1 and "404" in done.permanent_errors[0] and not done.errors
    tracker = client.get_tracker(*NAMES)
    assert len(tracker.load_downloads_with_paths()) == len(urls) - 1
    assert tracker.get_error_urls() == {urls[0]}
    archive.faults.clear()
    again = client.download(urls, L2, track_state=True, executor=pool)
    assert (len(again.downloaded), len(again.skipped), again.errors) == (1, len(urls) - 1, [])
    assert archive.stats.count("token") <= 1


def test_a_lost_worker_loses_no_file(pool: ProcessPoolExecutor, archive: Archive, home: Path) -> None:
    pids = {pool.submit(os.getpid).result() for _ in range(8)}

    def kill_at_the_first_end(event: Event) -> None:
        if isinstance(event, FileFinished):
            while pids:
                os.kill(pids.pop(), signal.SIGKILL)

    with MaapClient(on_event=kill_at_the_first_end) as client:
        urls = client.search(*NAMES, **HOUR).urls
        archive.faults.add(target="data", stall_after=2000, match=urls[0].rpartition("/")[2])
        done = client.download(urls, L2, track_state=True, executor=pool)
    assert urls[0] not in done.downloaded and any("was lost" in error for error in done.errors)
    archive.faults.clear()
    with MaapClient() as client:
        assert client.download(urls, L2, track_state=True).errors == []
        assert len(client.get_tracker(*NAMES).load_downloads_with_paths()) == len(urls)


def test_a_dead_token_is_one_error_here(
    client: MaapClient, pool: ProcessPoolExecutor, archive: Archive
) -> None:
    urls = client.search(*NAMES, **HOUR).urls[:2]
    archive.control(status=400, target="token")
    with pytest.raises(AuthenticationError):
        client.download(urls, L2, executor=pool)


class Elsewhere(Executor):
    """Workers on which no task runs, all for the same reason."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def submit(self, *_: Any, **__: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(self._error)
        return future


@pytest.mark.parametrize(
    "error",
    [
        ImportError("No module named 'maap_tui'"),
        AttributeError("'DownloadSettings' object has no attribute 'rate_total'"),
        RuntimeError("Error during deserialization of the task graph.\nThis frequently"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_workers_of_another_version_are_named_and_not_tried_again(
    error: Exception, client: MaapClient, archive: Archive
) -> None:
    urls = client.search(*NAMES, **HOUR).urls[:1]
    done = client.download(urls, L2, executor=Elsewhere(error))
    (said,) = done.permanent_errors
    assert "install maap-tui in the same version" in said and "\n" not in said
    assert archive.stats.count("data") == 0
