"""Backend: what the screens share: the session and its thread, the transfers, the log, the token.

It works without a screen. Its state belongs to the app's thread; what the engine's thread writes as well is
locked, and says so.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from maap_tui.engine.download.elsewhere import Elsewhere, Lookout
from maap_tui.engine.download.queue_control import WORKER, Asked, Control, Worker, is_left_to_worker, obey
from maap_tui.engine.download.queue_store import LIVE, QueueRow, left_behind
from maap_tui.engine.download.tally import Tally
from maap_tui.engine.errors import EXIT_OK, CredentialsError, MaapError
from maap_tui.engine.events import (
    BaselineCounted,
    DayFailed,
    Event,
    FileFailed,
    FileFinished,
    FileRetried,
    FileSkipped,
    FileStateChanged,
    ItemSkipped,
    Noted,
    RegistryDamaged,
    SignInNeeded,
    Warned,
)
from maap_tui.engine.storage.log_file import LogFile, LogLine
from maap_tui.engine.thread import EngineThread
from maap_tui.text import without_tokens
from maap_tui.tui import gc_pause
from maap_tui.tui.own_run import OwnRun

if TYPE_CHECKING:
    from maap_tui.engine.config.settings import Settings
    from maap_tui.engine.download.downloads import Downloads
    from maap_tui.engine.download.jobs import DownloadJob
    from maap_tui.engine.download.queue_orders import Ordered
    from maap_tui.engine.download.requests import DownloadRequest
    from maap_tui.engine.net.credentials import TokenInfo
    from maap_tui.engine.query import Query
    from maap_tui.engine.registry.entries import Key, TrackedFile
    from maap_tui.engine.session import Session
    from maap_tui.engine.swaps.plan import SwapNames
    from maap_tui.engine.swaps.run import SwapReport
    from maap_tui.engine.workflows.quicklook import Quicklooks
    from maap_tui.engine.workflows.sync import SyncReport

T = TypeVar("T")

LOG_LINES = 5000
"""Lines of the log that are kept."""

EXIT_INTERRUPTED = 130
"""What a command ends with that the user ends while files are left."""

SILENT_S = 3.0
"""Seconds without an answer until the archive is reported as not answering."""

PROBE_S = 10.0
"""Least seconds between two requests that check whether the archive answers again."""

ELSEWHERE_S = 1.0
"""Seconds between two reads of what other processes transfer."""


class Backend:
    """One session at work for one face."""

    def __init__(
        self,
        session: Session,
        *,
        now: Callable[[], datetime] | None = None,
        on_sign_in: Callable[[SignInNeeded], None] = lambda event: None,
    ) -> None:
        """Take an unopened session; its engine is started with the first thing asked of it.

        Args:
            session: hands its events here from now on.
            now: the clock of the log; None takes the real one.
            on_sign_in: is called when the token is known to be dead, in the engine's thread.
        """
        self.session = session
        session.emit = self.handle_event
        self.engine = EngineThread(lambda: session)
        self.tally = Tally()
        self.queue = session.queue
        self.transfers: Downloads | None = None
        """The queue of this process; None until something was queued."""
        self.counted: dict[str, BaselineCounted] = {}
        """Collection -> the baseline that a build counted last."""
        self.elsewhere = Elsewhere()
        """What other processes of this user transfer."""
        self.worker: Worker | None = None
        """The process that goes on with the queue without an app, as it was seen last."""
        self.earlier_lines: list[LogLine] = []
        """The lines that other runs left, once they were read."""
        self.last_rate = 0.0
        """The last rate in bytes a second; 0 before the first transfer."""
        self.token: TokenInfo | None = None
        self.token_problem = ""
        """Why there is no token, in words; '' while there is one."""
        self.now = now or (lambda: datetime.now(UTC))
        self.handed_on = 0
        """Files that were left to the worker."""
        self._on_sign_in = on_sign_in
        self._closing = threading.Lock()
        self._is_closed = False
        self._lookout = Lookout(session.queue)
        self._control = Control(session.queue)
        self._looked_at: int | None = None
        """The stamp of the queue when it was looked at for requests."""
        self._elsewhere_at = 0.0
        """When the next look at them is due, on the monotonic clock."""
        self._probe_at = 0.0
        self._log_guard = threading.Lock()
        """Protects the fields below: every thread may write to the log."""
        self._log_lines: deque[LogLine] = deque(maxlen=LOG_LINES)
        self._log_version = 0
        self._unwritten: deque[LogLine] = deque(maxlen=LOG_LINES)
        dirs = session.dirs
        self._run = OwnRun(dirs, self.tally)
        self._log_file = LogFile(dirs.log_file, dirs.lock_file(dirs.log_file))

    @cached_property
    def quicklooks(self) -> Quicklooks:
        """The pictures that were shown; for the engine's thread."""
        from maap_tui.engine.workflows.quicklook import Quicklooks

        return Quicklooks()

    async def ask(self, work: Callable[[Session], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine of the session in the engine's thread and wait for it here."""
        return await asyncio.wrap_future(self.engine.submit(work))

    def close(self, code: int = 0, *, goes_on: bool = False) -> None:
        """Stop the transfers, write queue and log, end the engine; from any thread, also twice.

        Args:
            code: what ends the process, as its exit code; 0 for the user.
            goes_on: whether a worker goes on with what waits or runs; it is not waited for.
        """
        with self._closing:
            transfers = self.transfers
            handed_on = 0
            if transfers is not None and not self._is_closed:
                goes_on = goes_on and self.has_work
                self.engine.run(lambda session: transfers.close(leave_to=WORKER if goes_on else ""))
                if goes_on:
                    handed_on = self._let_go(transfers)
                    # Nobody waits for it: the process that started it ends now.
                    if self._control.worker() is None:
                        self._launch_worker()
            self._is_closed = True
            self.engine.close()
            self._run.end(self._stopped_by, ended_by=code or EXIT_INTERRUPTED, handed_on=handed_on)
            self.keep_log()

    async def apply_setting(self, key: str, fresh: Settings) -> bool:
        """Use a setting that was changed, as `Session.apply_setting` does; returns whether it is in use."""

        async def apply(session: Session) -> bool:
            return session.apply_setting(key, fresh)

        is_used = await self.ask(apply)
        if self.worker is not None and await self.ask_worker("setting", key) is False:
            self.write_log("warning", f"The worker did not take {key}; it does when it starts again.")
        return is_used

    @property
    def is_offline(self) -> bool:
        """Whether the last host that was asked gave no sign of life."""
        return self.session.is_offline

    @property
    def silence(self) -> str:
        """A sentence that says since when the archive does not answer; '' while it answers."""
        seconds = self.session.silent_s
        if not self.is_offline and seconds < SILENT_S:
            return ""
        since = self.now().astimezone(UTC) - timedelta(seconds=seconds)
        return f"The archive has not answered since {since:%H:%M} UTC."

    @property
    def is_probe_due(self) -> bool:
        """Whether it is time to check again an archive that does not answer."""
        now = time.monotonic()
        is_due = self.is_offline and now >= self._probe_at
        if is_due or not self.is_offline:
            self._probe_at = now + PROBE_S
        return is_due

    async def probe(self) -> None:
        """Send a small request, to learn whether the archive answers."""
        await self.ask(lambda session: session.probe())

    def handle_event(self, event: Event) -> None:
        """Take an event of the engine, in whichever thread it happened."""
        self.tally.apply(event)
        self._run.apply(event)
        if isinstance(event, BaselineCounted):
            self.counted[event.collection] = event
        elif isinstance(event, SignInNeeded):
            self.write_log("error", event.reason)
            self._on_sign_in(event)
        elif (line := _line_of(event)) is not None:
            self.write_log(*line)

    def write_log(self, level: str, text: str) -> None:
        """Add a line to the log, one that says what it is about; from any thread."""
        line = LogLine(self.now(), level, without_tokens(text))
        with self._log_guard:
            self._log_lines.append(line)
            self._log_version += 1
            if level != "debug":
                self._unwritten.append(line)

    @property
    def log_lines(self) -> list[LogLine]:
        """The last lines of the log, a copy."""
        with self._log_guard:
            return list(self._log_lines)

    @property
    def log_version(self) -> int:
        """Grows with every line of the log."""
        with self._log_guard:
            return self._log_version

    @property
    def has_unwritten_lines(self) -> bool:
        """Whether lines of the log are not in its file yet."""
        return bool(self._unwritten)

    def keep_log(self) -> None:
        """Append the new lines to the log on disk; call it from one thread at a time."""
        with self._log_guard:
            lines = list(self._unwritten)
            self._unwritten.clear()
        self._log_file.write(lines)

    async def read_earlier_log(self) -> None:
        """Read what other runs logged."""
        self.earlier_lines = await asyncio.to_thread(self._log_file.earlier)
        with self._log_guard:
            self._log_version += 1

    def _transfers_of(self, session: Session) -> Downloads:
        """The queue of this process, made at the first use. Called in the engine's thread."""
        if self.transfers is None:
            self.transfers = session.downloads(verb="app", waits_for_room=True)
        return self.transfers

    async def queue_files(self, requests: Sequence[DownloadRequest]) -> int:
        """Queue files for download, registering those that are tracked; returns how many are new."""
        with gc_pause.held(len(requests)):
            return await self.ask(lambda session: session.enqueue(requests, self._transfers_of(session)))

    async def queue_tracked(self, tracked: Sequence[TrackedFile], *, again: bool = False) -> tuple[int, int]:
        """Queue files of the registry; returns how many are new, and how many cannot be fetched.

        Args:
            tracked: the files.
            again: whether they are damaged or missing, and are fetched where they were.
        """
        with gc_pause.held(len(tracked)):
            queued = await self.ask(
                lambda session: session.enqueue_tracked(tracked, self._transfers_of(session), again=again)
            )
        return self._counted(*queued, "Not queued")

    def pending(self, key: Key) -> list[TrackedFile]:
        """Files of a baseline, in every format, that are to be fetched; reads the registry."""
        # Loaded with the first question, not with the first screen.
        from maap_tui.engine.file_names import ALL
        from maap_tui.engine.query import Query

        query = Query(key.collection, key.product_type, key.baseline, formats=(ALL,))
        return [file for file in self.session.pending(query).files if file.key == key]

    async def sync(self, query: Query) -> SyncReport:
        """Register what the archive has in the query's range and queue here what is pending there."""

        async def run(session: Session) -> SyncReport:
            transfers = self._transfers_of(session)
            transfers.resume_run()
            return await session.sync(query, into=transfers)

        return await self.ask(run)

    async def swap(self, names: SwapNames) -> SwapReport:
        """Swap a baseline; the files go to the queue of this process, and are waited for."""

        async def run(session: Session) -> SwapReport:
            transfers = self._transfers_of(session)
            transfers.resume_run()
            return await session.run_swap(names, into=transfers)

        return await self.ask(run)

    async def take_over(self, rows: Sequence[QueueRow], *, again: bool = False) -> tuple[int, int]:
        """Go on with what another process left in the queue.

        Args:
            rows: what it left.
            again: whether their files are damaged and are fetched from scratch.

        Returns:
            How many files are queued here, and how many cannot be taken over.
        """
        with gc_pause.held(len(rows)):
            queued = await self.ask(
                lambda session: session.take_over(rows, self._transfers_of(session), again=again)
            )
        return self._counted(*queued, "Not taken over")

    def _counted(self, count: int, refused: Sequence[str], words: str) -> tuple[int, int]:
        """Log why files were refused; gives back how many were queued and how many refused."""
        for sentence in refused:
            self.write_log("warning", f"{words}: {sentence}")
        return count, len(refused)

    async def with_transfers(self, work: Callable[[Downloads], T]) -> T | None:
        """Call something of the queue in the engine's thread; None when nothing was queued yet."""

        async def call(session: Session) -> T | None:
            return None if self.transfers is None else work(self.transfers)

        return await self.ask(call)

    @property
    def live_jobs(self) -> list[DownloadJob]:
        """The transfers of this process that have not ended."""
        jobs = self.transfers.job_list() if self.transfers is not None else []
        return [job for job in jobs if job.state in LIVE]

    @property
    def has_work(self) -> bool:
        """Whether a transfer of this process runs, or waits and nothing keeps it from starting."""
        states = {job.state for job in self.live_jobs}
        return "running" in states or ("waiting" in states and not self.is_stopped)

    @property
    def is_stopped(self) -> bool:
        """Whether an error keeps the transfers of this process from starting."""
        return self._stopped_by is not None

    @property
    def _stopped_by(self) -> MaapError | None:
        return self.transfers.report.stopped if self.transfers is not None else None

    async def find_left_work(self) -> list[QueueRow]:
        """Transfers that other processes left unfinished and no process works on, or soon will."""
        await asyncio.to_thread(self.queue.prune)
        with gc_pause.held() as holding:
            rows = await asyncio.to_thread(self.queue.load, ended=False)
            holding.count = len(rows)
            left = await asyncio.to_thread(left_behind, rows, time.time())
            if left and await asyncio.to_thread(self._control.worker) is not None:
                left = [row for row in left if not is_left_to_worker(row)]
            return left

    async def hand_over(self) -> str:
        """Leave the transfers here to the worker, which is started where none runs.

        Returns:
            Why none could be started, in a sentence; '' if one runs. The transfers are left then too.
        """
        transfers, self.transfers = self.transfers, None
        if transfers is not None:
            await self.ask(lambda session: transfers.close(leave_to=WORKER))
            await asyncio.to_thread(self._run.end, handed_on=self._let_go(transfers))
        return await asyncio.to_thread(self._start_worker)

    async def leave_to_worker(self, rows: Sequence[QueueRow]) -> str:
        """Leave to the worker what another process left; returns as `hand_over`."""
        left = [replace(row, pid=0, verb=WORKER) for row in rows]
        if await asyncio.to_thread(self.queue.replace, rows, left) is None:
            return "Other processes keep the download queue busy."
        return await asyncio.to_thread(self._start_worker)

    def _let_go(self, transfers: Downloads) -> int:
        """Count no longer what the worker goes on with; returns how many files that are."""
        left = [job.wanted.url for job in transfers.job_list() if job.state in LIVE]
        for url in left:
            self.tally.apply(FileStateChanged(url, "cancelled"))
        self.handed_on += len(left)
        return len(left)

    def _start_worker(self) -> str:
        if self._control.worker() is not None:
            return ""
        try:
            done = subprocess.run(
                self._worker_command(),
                env=self._worker_environ(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                start_new_session=True,  # the end of the terminal is not its end
                text=True,
                errors="replace",
            )
        except OSError as error:
            return str(error)
        # Another app may have started one at the same moment.
        is_there = done.returncode == EXIT_OK or self._control.worker() is not None
        return "" if is_there else done.stderr.strip()

    def _launch_worker(self) -> None:
        """Start a worker and do not wait until it is at work."""
        command = self._worker_command()
        nowhere = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)]
        with suppress(OSError):
            os.posix_spawn(command[0], command, self._worker_environ(), file_actions=nowhere, setsid=True)

    def _worker_command(self) -> list[str]:
        where = self.session.dirs
        command = [sys.executable, "-m", "maap_tui", "queue", "run", "--background"]
        command += ["--data-dir", str(where.data_dir)]
        if where.config_file.is_file():
            command += ["--config", str(where.config_file)]
        return command

    def _worker_environ(self) -> dict[str, str]:
        return {**os.environ, **self.session.environ}

    async def order(self, action: str, rows: Sequence[QueueRow]) -> Ordered:
        """Have something done with transfers of other processes, and wait until it is."""
        from maap_tui.engine.download.queue_orders import order

        return await asyncio.to_thread(order, self.queue, action, rows)

    async def ask_worker(self, action: str, *words: str) -> bool | None:
        """Ask something of the worker; returns as `queue_orders.ask_worker`."""
        from maap_tui.engine.download.queue_orders import ask_worker

        return await asyncio.to_thread(ask_worker, self.queue, action, *words)

    @property
    def is_elsewhere_due(self) -> bool:
        """Whether it is time to read again what other processes transfer."""
        return time.monotonic() >= self._elsewhere_at

    async def look_elsewhere(self) -> None:
        """Read what other processes transfer, and do what they ask of the transfers here."""
        asked = await asyncio.to_thread(self._look)
        self._elsewhere_at = time.monotonic() + ELSEWHERE_S
        if asked:
            if (transfers := self.transfers) is not None:
                await self.ask(lambda session: obey(transfers, asked))
            await asyncio.to_thread(self._control.take_out, [one.id for one in asked])

    def _look(self) -> list[Asked]:
        self.elsewhere = self._lookout.look()
        is_same = self._lookout.stamp == self._looked_at
        if self.worker is not None or not is_same:
            self.worker = self._control.worker()
        if is_same:
            return []
        asked = self._control.asked()
        self._looked_at = None if asked is None else self._lookout.stamp
        return asked or []

    def note_rate(self) -> None:
        """Remember the rate while something moves."""
        self.last_rate = self.tally.snapshot().rate or self.last_rate

    @property
    def is_run_due(self) -> bool:
        """Whether transfers began or ended since `note_run` was called."""
        return self._run.is_due

    def note_run(self) -> None:
        """Write down that transfers began or ended, for `maap runs`; blocks."""
        self._run.note(self._stopped_by)

    def read_token(self) -> None:
        """Look at the offline token; no request is made."""
        try:
            self.token, self.token_problem = self.session.token_info(), ""
        except CredentialsError as error:
            self.token, self.token_problem = None, error.message

    @property
    def days_left(self) -> int | None:
        """Days that the offline token is good for; None when it does not expire or there is none."""
        return self.token.days_left(self.now()) if self.token else None


def _line_of(event: Event) -> tuple[str, str] | None:
    """Level and text of the log's line about an event; None for no line."""
    if isinstance(event, Noted):
        return "debug", event.message
    if isinstance(event, Warned):
        return "warning", event.message
    if isinstance(event, FileFinished):
        return "info", f"Downloaded {event.path.name}"
    if isinstance(event, FileSkipped):
        return "debug", f"{event.path.name}: {event.reason}"
    if isinstance(event, FileRetried):
        return "info", f"{event.url.rpartition('/')[2]}: {event.reason}; again in {event.wait_s:.0f} s"
    if isinstance(event, FileFailed):
        return "error", f"{event.url.rpartition('/')[2]}: {event.reason}"
    if isinstance(event, RegistryDamaged):
        return "warning", event.words
    if isinstance(event, ItemSkipped):
        return "warning", f"Skipped: {event.name[:120] or 'an item'}: {event.reason}"
    if isinstance(event, DayFailed):
        return "error", f"FAILED DAY: {event.day} ({event.reason})"
    return None
