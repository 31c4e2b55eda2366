"""Many files: how many at once, in which order, paused, cancelled, tried again; each end is recorded."""

from __future__ import annotations

import asyncio
import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

from maap_tui.engine.config.settings import DownloadSettings
from maap_tui.engine.download.far_files import FarFiles
from maap_tui.engine.download.jobs import DownloadJob, Failure, Report
from maap_tui.engine.download.queue_store import LIVE, Queue, QueueRow, born_at
from maap_tui.engine.download.queue_writer import CLOSE_S, QueueWriter
from maap_tui.engine.download.recorder import Recorder
from maap_tui.engine.download.refusals import Refusals
from maap_tui.engine.download.remote import Fetcher
from maap_tui.engine.download.requests import DownloadRequest, TransferRules
from maap_tui.engine.download.room import RoomWait
from maap_tui.engine.errors import (
    AuthenticationError,
    BatchDownloadAborted,
    ClusterLostError,
    CredentialsError,
    DiskFullError,
    DownloadError,
    InvalidRequestError,
    MaapError,
    NetworkSetupError,
    NoMemoryError,
    StorageError,
    is_out_of_memory,
    needs_new_token,
)
from maap_tui.engine.events import (
    BytesReceived,
    Emit,
    Event,
    FileArrived,
    FileFailed,
    FileFinished,
    FileQueued,
    FileRetried,
    FileSkipped,
    FileStarted,
    FileStateChanged,
    SignInNeeded,
    Warned,
    ignore,
)
from maap_tui.engine.packed import PackedMapping
from maap_tui.engine.storage import files

MOST_ARRIVED = 64
"""Files that may wait for the disk with all their bytes here, while others are fetched."""

MOST_NEAR = 1000
"""Files of a run that nobody watches from which on some are packed."""

NEAR = 500
"""Files that wait for their turn unpacked."""


class Downloads:
    """The queue of one session, and the tasks that work on it."""

    def __init__(
        self,
        transfer: Callable[[Emit], Fetcher],
        *,
        parallel: int,
        emit: Emit = ignore,
        recorder: Recorder | None = None,
        max_consecutive_failures: int | None = None,
        queue: Queue | None = None,
        verb: str = "",
        space_wait_s: float | None,
        is_watched: bool = True,
    ) -> None:
        """Take the parts; start nothing.

        Args:
            transfer: makes what fetches, and hands its events to what it is given.
            parallel: files at once.
            emit: takes the events of all that happens.
            recorder: records each finish and each failure before it is reported; None records nothing.
            max_consecutive_failures: files failing in a row that end the run; None for no such limit.
            queue: the queue on disk, where other processes see what happens here; None for no such thing.
            verb: the command that downloads, shown there.
            space_wait_s: longest wait for room on a full disk, in seconds; None waits for ever.
            is_watched: whether somebody looks at `jobs`; where nobody does, those that are far from their
                turn, or over, are kept packed or not at all.
        """
        self._emit = emit
        self._transfer = transfer(self._handle_event)
        self._recorder = recorder
        self._max_consecutive_failures = max_consecutive_failures
        self._consecutive_failures = 0
        self.parallel = parallel
        self._transfer.set_connections(parallel)
        self._guard = threading.Lock()
        """Held while a file enters or leaves `jobs` and `_news`, which other threads read."""
        self.jobs: dict[str, DownloadJob] = {}
        """Every file by URL, in the order it came; to go through them in another thread take `job_list`."""
        self._news: dict[str, None] = {}
        """URLs of files that changed since a face looked."""
        self._waiting: dict[str, None] = {}
        self._running: dict[DownloadJob, None] = {}
        self._arrived: set[DownloadJob] = set()
        """Those of them that ask nothing more of the network."""
        self._most_arrived = min(MOST_ARRIVED, files.most_open() // 8)
        self._refusals = Refusals(emit)
        self._changed = asyncio.Event()
        self._closing = False
        self._room = RoomWait(
            emit,
            lambda wanted: self._transfer.has_room(wanted),
            space_wait_s,
            go_on=self._pump,
            give_up=self._end_without_room,
        )
        self._started = time.monotonic()
        self._verb = verb
        self._born = born_at(os.getpid())
        self._writer = QueueWriter(queue, self._rows) if queue is not None else None
        self._is_watched = is_watched
        self._far = FarFiles()
        self._pack_at = MOST_NEAR
        """Files in `jobs` from which on that is tried."""
        self.report = Report() if is_watched else Report(PackedMapping(), PackedMapping())

    async def __aenter__(self) -> Downloads:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def add(self, wanted: DownloadRequest, *, group: str = "") -> bool:
        """Queue a file; False when it is in the queue already."""
        other = self.jobs.get(wanted.url)
        if other is not None and other.state in LIVE:
            return False
        if wanted.url in self._far:
            return False
        group = group or (wanted.key.collection if wanted.key else "")
        job = DownloadJob(wanted, group, size=wanted.size)
        job.position = time.time()
        with self._guard:
            self.jobs[wanted.url] = job
        self._touch(wanted.url)
        self._emit(FileQueued(wanted.url, wanted.place, wanted.size))
        self._waiting[wanted.url] = None
        self._pump()
        return True

    async def settle(self) -> None:
        """Let go of what nobody looks at, once many files were added."""
        if not self._is_watched and len(self.jobs) > self._pack_at:
            await self.flush()
            self._pack()

    def _pack(self) -> None:
        """Let go of files that are over, and pack those far from their turn; each once its row is on disk."""
        over, far, last = [], [], self._far.last
        for url, job in self.jobs.items():
            if job.state in ("finished", "skipped") and job.task is None and self._is_written(url):
                over.append(url)
        for url in islice(self._waiting, NEAR, None):
            job = self.jobs[url]
            if job.reason or job.task is not None or not self._is_written(url):
                break
            if job.position < last:
                continue  # it was unpacked just now, and its turn comes soon
            last = job.position
            far.append(url)
        with self._guard:
            for url in (*over, *far):
                job = self.jobs.pop(url)
                self._news.pop(url, None)
                if job.state == "waiting":
                    del self._waiting[url]
                    self._far.append(job)
        # Where little could be let go of, the next look at all of them has to wait.
        self._pack_at = max(MOST_NEAR, len(self.jobs) + NEAR)

    def _is_written(self, url: str) -> bool:
        return self._writer is None or self._writer.is_written(url)

    def _unpack(self) -> None:
        """Let the first of those that were packed wait with the others."""
        for job in self._far.take():
            with self._guard:
                self.jobs[job.wanted.url] = job
            self._waiting[job.wanted.url] = None
        self._put_back(())

    def _unpack_all(self) -> None:
        while self._far:
            self._unpack()

    def job_list(self) -> list[DownloadJob]:
        """Every file in the order it came; from any thread. What is in a job may change meanwhile."""
        with self._guard:
            return list(self.jobs.values())

    def watch_from_start(self) -> None:
        """Let `take_change` give every file; from any thread."""
        with self._guard:
            self._news.update(dict.fromkeys(self.jobs))

    def take_change(self) -> tuple[str, DownloadJob | None] | None:
        """A file that changed since this was asked last, None for one that was taken out; from any thread.

        Returns:
            URL and job, the one that changed last first; None when nothing has changed.
        """
        with self._guard:
            if not self._news:
                return None
            url, _ = self._news.popitem()
            return url, self.jobs.get(url)

    def refuse(self, url: str, reason: str, *, permanent: bool) -> None:
        """Report a file that cannot even be queued."""
        self._emit(FileQueued(url, Path(), None))
        self.report.failed.append(Failure(url, Path(), reason, None, permanent))
        self._emit(FileFailed(url, Path(), reason, permanent, 0))

    async def join(self) -> Report:
        """Wait until nothing waits or runs, or the run was stopped; paused files do not hold it up."""
        while self._running or (
            (self._waiting or self._far) and self.report.stopped is None and not self._closing
        ):
            self._changed.clear()
            await self._changed.wait()
        self.report.left = len(self._waiting) + len(self._far)
        self.report.seconds = time.monotonic() - self._started
        await self.flush()
        return self.report

    async def flush(self) -> None:
        """Write what changed to the queue on disk now."""
        if self._writer is not None:
            await self._writer.flush()

    async def close(self, *, leave_to: str = "") -> None:
        """Stop what runs, keeping the parts; what ends just now is still recorded.

        On disk, what has not ended can be taken over.

        Args:
            leave_to: the command that goes on with it, for which all of it is written, however long that
                takes; '' for none.
        """
        self._closing = True
        self._room.end()
        tasks = [job.task for job in self._running if job.task is not None]
        for job in self._running:
            self._interrupt(job)
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._writer is None:
            return
        if leave_to:
            self._unpack_all()
        left = [job for job in self.jobs.values() if job.state in LIVE]
        if leave_to:
            self._verb = leave_to
            for job in left:
                self._touch(job.wanted.url)
        places = [*(str(job.wanted.place) for job in left), *self._far.places()]
        await self._writer.close(places, within_s=math.inf if leave_to else CLOSE_S)

    def resume_run(self) -> None:
        """Go on after what stopped the run was fixed."""
        self._room.end()
        self.report.stopped = None
        self._pump()

    def set_parallel(self, count: int) -> None:
        """Change how many run at once, within the range of the setting; what runs is not interrupted."""
        self.parallel = int(DownloadSettings.parallel.clamp(count))
        self._transfer.set_connections(self.parallel)
        self._pump()

    def set_rules(self, rules: TransferRules) -> None:
        """Fetch by other rules from now on, files under way included."""
        self._transfer.set_rules(rules)

    def pause(self, urls: Iterable[str] | None = None) -> None:
        """Pause files, all of them for None. A running one keeps its part."""
        self._set_aside([job for job in self._chosen(urls) if job.state in ("waiting", "running")], "paused")

    def resume(self, urls: Iterable[str] | None = None) -> None:
        """Let paused files go on, each in its old place; for None all of them, and a run that was stopped."""
        if urls is None:
            self._room.end()
            self.report.stopped = None
            self._consecutive_failures = 0
        self._requeue([job for job in self._chosen(urls) if job.state == "paused"])

    def cancel(self, urls: Iterable[str] | None = None) -> None:
        """Take files out of the queue; their parts stay for another time."""
        self._set_aside([job for job in self._chosen(urls) if job.state in LIVE], "cancelled")

    def retry(self, urls: Iterable[str] | None = None) -> None:
        """Queue failed and cancelled files again; for None the failed ones only."""
        states = ("failed",) if urls is None else ("failed", "cancelled")
        chosen = [job for job in self._chosen(urls) if job.state in states]
        if not chosen:
            return
        for group in {job.group for job in chosen}:
            self._refusals.forget(group)
        again = {job.wanted.url for job in chosen}
        self.report.failed = [one for one in self.report.failed if one.url not in again]
        self.report.stopped = None
        self._consecutive_failures = 0
        self._requeue(chosen)

    def move_to_top(self, urls: Iterable[str]) -> None:
        """Let waiting files be next, in the order given."""
        self._unpack_all()
        chosen = [url for url in dict.fromkeys(urls) if url in self._waiting]
        self._waiting = dict.fromkeys(chosen) | self._waiting
        first = min((job.position for job in self.jobs.values()), default=0.0)
        for offset, url in enumerate(reversed(chosen), 1):
            self.jobs[url].position = first - offset
            self._touch(url)

    def clear_finished(self) -> int:
        """Forget what has ended, but for what failed; returns how many."""
        ended = [job for job in self.jobs.values() if job.state in ("finished", "skipped", "cancelled")]
        with self._guard:
            for job in ended:
                del self.jobs[job.wanted.url]
        if self._writer is not None and ended:
            self._writer.forget([str(job.wanted.place) for job in ended])
        return len(ended)

    @property
    def halt(self) -> DiskFullError | None:
        """What nothing is started for until it passes by itself; None while files may start."""
        return self._room.error

    @property
    def active(self) -> int:
        """Files being fetched now."""
        return len(self._running)

    def _chosen(self, urls: Iterable[str] | None) -> list[DownloadJob]:
        self._unpack_all()
        chosen = self.jobs if urls is None else [url for url in urls if url in self.jobs]
        return [job for job in map(self.jobs.__getitem__, chosen) if not job.is_ending]

    def _set_aside(self, jobs: Sequence[DownloadJob], state: str) -> None:
        for job in jobs:
            job.state, job.again_at = state, 0.0
            self._waiting.pop(job.wanted.url, None)
            self._interrupt(job)
            self._touch(job.wanted.url)
            self._emit(FileStateChanged(job.wanted.url, state))
        self._changed.set()
        self._pump()

    def _interrupt(self, job: DownloadJob) -> None:
        if job.task is not None and not job.is_ending:
            job.task.cancel()

    def _requeue(self, jobs: Sequence[DownloadJob]) -> None:
        for job in jobs:
            job.state, job.reason, job.tries = "waiting", "", 0
            self._touch(job.wanted.url)
            self._emit(FileStateChanged(job.wanted.url, "waiting"))
        self._put_back(job.wanted.url for job in jobs)
        self._pump()

    def _put_back(self, urls: Iterable[str]) -> None:
        """Let files wait again, in the places they had."""
        waiting = self._waiting | dict.fromkeys(urls)
        self._waiting = dict.fromkeys(sorted(waiting, key=lambda url: self.jobs[url].position))

    def _touch(self, url: str) -> None:
        with self._guard:
            self._news[url] = None
        if self._writer is not None:
            self._writer.touch(url)

    def _rows(self, urls: Sequence[str]) -> list[QueueRow]:
        now = time.time()
        jobs = (job for url in urls if (job := self.jobs.get(url)) is not None)
        return [job.to_row(self._born, self._verb, now) for job in jobs]

    def _handle_event(self, event: Event) -> None:
        if isinstance(event, BytesReceived):
            job = self.jobs.get(event.url)
            if job is not None:
                job.received += event.count
                self._touch(event.url)
        elif isinstance(event, FileStarted):
            job = self.jobs.get(event.url)
            if job is not None:
                job.received = event.offset
                job.since = time.monotonic()
                job.size = event.size if event.size is not None else job.size
                job.reason, job.again_at = "", 0.0
                self._touch(event.url)
        elif isinstance(event, FileArrived):
            job = self.jobs.get(event.url)
            if job is not None and job in self._running:
                self._arrive(job)
        elif isinstance(event, FileRetried):
            job = self.jobs.get(event.url)
            if job is not None:
                job.tries, job.reason = event.attempt, event.reason
                job.again_at = time.monotonic() + event.wait_s
                self._touch(event.url)
        self._emit(event)

    def _arrive(self, job: DownloadJob) -> None:
        """Let another file be fetched: of this one only the disk is waited for, which nothing interrupts."""
        self._arrived.add(job)
        job.is_ending = True
        self._refusals.note_answer(job.group)
        self._consecutive_failures = 0
        self._pump()

    def _pump(self) -> None:
        """Start what may start."""
        while (
            (self._waiting or self._far)
            and len(self._running) - len(self._arrived) < self.parallel
            and len(self._arrived) < self._most_arrived
            and self.report.stopped is None
            and self.halt is None
            and not self._closing
        ):
            if self._far:
                first = next(iter(self._waiting), None)
                if first is None or self.jobs[first].position > self._far.first:
                    self._unpack()
                    continue
            # Of a paused file that goes on at once the old task has to be gone first.
            url = next((one for one in self._waiting if self.jobs[one].task is None), None)
            if url is None:
                break
            job = self.jobs[url]
            del self._waiting[url]
            self._running[job] = None
            job.state = "running"
            self._touch(url)
            job.task = asyncio.create_task(self._work(job))
            # Not at the end of the task: one that is cancelled before its first step runs nothing of it.
            job.task.add_done_callback(partial(self._leave, job))

    def _leave(self, job: DownloadJob, task: asyncio.Task[None]) -> None:
        del self._running[job]
        self._arrived.discard(job)
        job.task, job.is_ending, job.again_at = None, False, 0.0
        if task.cancelled() and job.state == "running":
            # Nobody here asked for it: the loop is ending, and nothing more may be started on it.
            job.state = "waiting"
            self._closing = True
        self._touch(job.wanted.url)
        self._changed.set()
        if self._far and len(self.jobs) > self._pack_at + NEAR:
            self._pack()
        self._pump()

    async def _work(self, job: DownloadJob) -> None:
        try:
            await self._fetch(job)
        except DiskFullError as error:
            if job.state == "running":
                job.state, job.reason = "waiting", error.message
                self._put_back([job.wanted.url])
            # What runs may still end.
            if self.halt is None and self.report.stopped is None and not self._closing:
                self._room.begin(job.wanted, error)
        except (
            AuthenticationError,
            ClusterLostError,
            CredentialsError,
            NetworkSetupError,
            NoMemoryError,
            StorageError,
        ) as error:
            self._hold(job, error)
        except Exception as error:
            if is_out_of_memory(error):
                self._hold(job, NoMemoryError())
                return
            # One broken file must not end the others, whatever broke.
            reason = error.message if isinstance(error, MaapError) else f"{type(error).__name__}: {error}"
            await self._give_up(job, DownloadError(job.wanted.url, reason))

    def _hold(self, job: DownloadJob, error: MaapError) -> None:
        """Leave a file for later, as the fault is not its own: with fewer at a time, or after this run."""
        job.state, job.reason = "waiting", error.message
        self._put_back([job.wanted.url])
        if files.is_starved(error) and (self.parallel > 1 or len(self._running) > 1):
            self._do_fewer(error)
        else:
            self._stop(error)

    def _end_without_room(self, error: DiskFullError) -> None:
        self._stop(error)
        self._changed.set()

    def _do_fewer(self, error: MaapError) -> None:
        """Leave room for the open files and the memory of others: each time, one file less at once."""
        self.parallel = max(1, min(self.parallel, len(self._running)) - 1)
        self._transfer.set_connections(self.parallel)
        self._most_arrived = 1
        if is_out_of_memory(error):
            why, limit = "There is not enough memory", "ulimit -v, or the memory of the job, sets"
        else:
            why, limit = "Too many files are open", "ulimit -n raises"
        self._emit(Warned(f"{why}; fewer are fetched at a time. {limit} the limit"))

    async def _fetch(self, job: DownloadJob) -> None:
        url = job.wanted.url
        if (reason := self._refusals.reason(job.group)) is not None:
            error = DownloadError(url, reason, 403, permanent=True)
            await self._give_up(job, error, tried=False)
            return
        begun = time.monotonic()
        try:
            fetched = await self._transfer.fetch(job.wanted)
            job.is_ending = True
            if self._recorder is not None:
                await self._recorder.record(job.wanted, fetched)
        except NetworkSetupError:
            raise  # no other file will fare better
        except (DownloadError, InvalidRequestError) as error:
            failure = error
            if not isinstance(failure, DownloadError):
                failure = DownloadError(url, error.message, permanent=True, hint=error.hint)
            self._refusals.count(job.group, failure.status_code)
            await self._give_up(job, failure)
            return
        self._refusals.note_answer(job.group)
        self._consecutive_failures = 0
        self._room.note_file()
        job.size = job.received = fetched.size
        job.reason = ""
        if fetched.pieces:
            job.state = "finished"
            self.report.downloaded[url] = fetched.path
            self.report.received += fetched.received
            job.took_s, job.came = time.monotonic() - begun, fetched.received
            self._emit(FileFinished(url, fetched.path, fetched.size, fetched.received, job.took_s))
        else:
            job.state = "skipped"
            self.report.skipped[url] = fetched.path
            self._emit(FileSkipped(url, fetched.path, fetched.size, "already here"))

    async def _give_up(self, job: DownloadJob, error: DownloadError, *, tried: bool = True) -> None:
        job.is_ending = True
        job.reason = error.message
        if self._recorder is not None and tried:
            try:
                await self._recorder.record_failure(job.wanted, error, job.tries + 1)
            except MaapError as problem:
                self._emit(Warned(f"The failure could not be recorded: {problem.message}"))
        job.state = "failed"
        self.report.failed.append(
            Failure(job.wanted.url, job.wanted.place, error.message, error.status_code, error.permanent)
        )
        attempts = job.tries + 1 if tried else 0
        self._emit(FileFailed(job.wanted.url, job.wanted.place, error.message, error.permanent, attempts))
        if not tried:
            return
        self._consecutive_failures += 1
        if self._consecutive_failures == self._max_consecutive_failures:
            self._stop(BatchDownloadAborted(len(self.report.downloaded), self._consecutive_failures, error))

    def _stop(self, error: MaapError) -> None:
        """Start nothing more; what runs goes back to the queue, in the order it had."""
        if self.report.stopped is None:
            self.report.stopped = error
            if needs_new_token(error):
                self._emit(SignInNeeded(error.message))
        stopped = []
        for job in self._running:
            if job.state == "running" and not job.is_ending:
                job.state = "waiting"
                self._emit(FileStateChanged(job.wanted.url, "waiting"))
                stopped.append(job.wanted.url)
                self._interrupt(job)
        self._put_back(stopped)
