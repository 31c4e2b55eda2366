"""Backend: what the app's screens stand on: the session and its thread, the transfers, the log, the token.

It knows nothing of a screen and works without one. Its state belongs to the app's thread; what the engine's
thread writes as well is locked, and said to be.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from maap_tui.engine.config.settings import Settings
from maap_tui.engine.download.downloads import Downloads
from maap_tui.engine.download.elsewhere import Elsewhere, Lookout
from maap_tui.engine.download.jobs import DownloadJob
from maap_tui.engine.download.queue_store import LIVE, QueueRow, left_behind
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.download.tally import Tally
from maap_tui.engine.errors import CredentialsError
from maap_tui.engine.events import (
    BaselineCounted,
    DayFailed,
    Event,
    FileFailed,
    FileFinished,
    FileRetried,
    FileSkipped,
    ItemSkipped,
    Noted,
    RegistryDamaged,
    SignInNeeded,
    Warned,
)
from maap_tui.engine.net.credentials import TokenInfo
from maap_tui.engine.query import Query
from maap_tui.engine.registry.entries import TrackedFile
from maap_tui.engine.session import Session
from maap_tui.engine.storage.log_file import LogFile, LogLine
from maap_tui.engine.thread import EngineThread
from maap_tui.engine.workflows.sync import SyncReport
from maap_tui.text import without_tokens
from maap_tui.tui import collector

T = TypeVar("T")

LOG_LINES = 5000
"""Lines of the log that are kept."""

SILENT_S = 3.0
"""Seconds that an answer may take before it is said that none comes."""

PROBE_S = 10.0
"""Least seconds between two looks at whether an archive that is away is there again."""

ELSEWHERE_S = 1.0
"""Seconds between two looks at what other processes transfer."""


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
        self.earlier_lines: list[LogLine] = []
        """The lines that other runs left, once they were read."""
        self.last_rate = 0.0
        """Bytes a second when something moved last; 0 before."""
        self.token: TokenInfo | None = None
        self.token_problem = ""
        """Why there is no token, in words; '' while there is one."""
        self.now = now or (lambda: datetime.now(UTC))
        self._on_sign_in = on_sign_in
        self._closing = threading.Lock()
        self._is_closed = False
        self._lookout = Lookout(session.queue)
        self._elsewhere_at = 0.0
        """When the next look at them is due, on the monotonic clock."""
        self._probe_at = 0.0
        self._log_guard = threading.Lock()
        """Held for what follows: every thread may write to the log."""
        self._log_lines: deque[LogLine] = deque(maxlen=LOG_LINES)
        self._log_version = 0
        self._unwritten: deque[LogLine] = deque(maxlen=LOG_LINES)
        dirs = session.dirs
        self._log_file = LogFile(dirs.log_file, dirs.lock_file(dirs.log_file))

    # The engine

    async def ask(self, work: Callable[[Session], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine of the session in the engine's thread and wait for it here."""
        return await asyncio.wrap_future(self.engine.submit(work))

    def close(self) -> None:
        """Stop the transfers, write queue and log, end the engine; from any thread, also twice."""
        with self._closing:
            transfers = self.transfers
            if transfers is not None and not self._is_closed:
                self.engine.run(lambda session: transfers.close())
            self._is_closed = True
            self.engine.close()
            self.keep_log()

    async def apply_setting(self, key: str, fresh: Settings) -> bool:
        """Use a setting that was changed, as `Session.apply_setting` does; returns whether it is in use."""

        async def apply(session: Session) -> bool:
            return session.apply_setting(key, fresh)

        return await self.ask(apply)

    @property
    def is_offline(self) -> bool:
        """Whether the last host that was asked gave no sign of life."""
        return self.session.is_offline

    @property
    def silence(self) -> str:
        """That the archive does not answer, and since when, in a sentence; '' while it does."""
        seconds = self.session.silent_s
        if not self.is_offline and seconds < SILENT_S:
            return ""
        since = self.now().astimezone(UTC) - timedelta(seconds=seconds)
        return f"The archive has not answered since {since:%H:%M} UTC."

    @property
    def is_probe_due(self) -> bool:
        """Whether an archive that is away is to be asked now, so that what is said of it stays true."""
        now = time.monotonic()
        is_due = self.is_offline and now >= self._probe_at
        if is_due or not self.is_offline:
            self._probe_at = now + PROBE_S
        return is_due

    async def probe(self) -> None:
        """Ask the archive whether it is there."""
        await self.ask(Session.probe)

    # Events and the log

    def handle_event(self, event: Event) -> None:
        """Take an event of the engine, in whichever thread it happened."""
        self.tally.apply(event)
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
        """Write new lines to the log on disk, as they came; for one thread at a time."""
        with self._log_guard:
            lines = list(self._unwritten)
            self._unwritten.clear()
        self._log_file.write(lines)

    async def read_earlier_log(self) -> None:
        """Read what other runs logged."""
        self.earlier_lines = await asyncio.to_thread(self._log_file.earlier)
        with self._log_guard:
            self._log_version += 1

    # The transfers

    def _transfers_of(self, session: Session) -> Downloads:
        """The queue of this process, made at the first use. Called in the engine's thread."""
        if self.transfers is None:
            self.transfers = session.downloads(verb="app", waits_for_room=True)
        return self.transfers

    async def queue_files(self, requests: Sequence[DownloadRequest]) -> int:
        """Queue files for download, registering those that are tracked; returns how many are new."""
        with collector.held(len(requests)):
            return await self.ask(lambda session: session.enqueue(requests, self._transfers_of(session)))

    async def queue_tracked(self, tracked: Sequence[TrackedFile], *, again: bool = False) -> tuple[int, int]:
        """Queue files of the registry; returns how many are new, and how many cannot be fetched.

        Args:
            tracked: the files.
            again: whether they are damaged or missing, and are fetched where they were.
        """
        with collector.held(len(tracked)):
            count, refused = await self.ask(
                lambda session: session.enqueue_tracked(tracked, self._transfers_of(session), again=again)
            )
        for sentence in refused:
            self.write_log("warning", f"Not queued: {sentence}")
        return count, len(refused)

    async def sync(self, query: Query) -> SyncReport:
        """Register what the archive has in the query's range and queue here what is pending there."""

        async def run(session: Session) -> SyncReport:
            transfers = self._transfers_of(session)
            transfers.resume_run()
            return await session.sync(query, into=transfers)

        return await self.ask(run)

    async def take_over(self, rows: Sequence[QueueRow], *, again: bool = False) -> tuple[int, int]:
        """Go on with what another process left in the queue.

        Args:
            rows: what it left.
            again: whether their files are damaged and are fetched from scratch.

        Returns:
            How many files are queued here, and how many cannot be taken over.
        """
        with collector.held(len(rows)):
            count, refused = await self.ask(
                lambda session: session.take_over(rows, self._transfers_of(session), again=again)
            )
        for sentence in refused:
            self.write_log("warning", f"Not taken over: {sentence}")
        return count, len(refused)

    async def with_transfers(self, work: Callable[[Downloads], T]) -> T | None:
        """Call something of the queue in the engine's thread; None when nothing was queued yet."""

        async def call(session: Session) -> T | None:
            return None if self.transfers is None else work(self.transfers)

        return await self.ask(call)

    @property
    def live_jobs(self) -> list[DownloadJob]:
        """What of the queue of this process has not ended."""
        jobs = self.transfers.job_list() if self.transfers is not None else []
        return [job for job in jobs if job.state in LIVE]

    async def find_left_work(self) -> list[QueueRow]:
        """What other processes left unended and nobody works on."""
        await asyncio.to_thread(self.queue.prune)
        with collector.held():
            rows = await asyncio.to_thread(self.queue.load, ended=False)
            return await asyncio.to_thread(left_behind, rows, time.time())

    @property
    def is_elsewhere_due(self) -> bool:
        """Whether it is time to look at what other processes transfer."""
        return time.monotonic() >= self._elsewhere_at

    async def look_elsewhere(self) -> None:
        """See what other processes transfer."""
        self.elsewhere = await asyncio.to_thread(self._lookout.look)
        self._elsewhere_at = time.monotonic() + ELSEWHERE_S

    def note_rate(self) -> None:
        """Remember the rate while something moves."""
        self.last_rate = self.tally.snapshot().rate or self.last_rate

    # The token

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
    """Level and text that the log has of an event; None for nothing."""
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
