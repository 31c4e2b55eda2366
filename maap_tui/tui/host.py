"""Host: what screens, dialogs and widgets may ask of the app; they import this, never the app itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from textual.app import App
from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.worker import Worker

from maap_tui.engine.config.settings import Settings
from maap_tui.engine.download.downloads import Downloads
from maap_tui.engine.download.elsewhere import Elsewhere
from maap_tui.engine.download.queue_store import Queue, QueueRow
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.download.tally import Tally
from maap_tui.engine.events import BaselineCounted
from maap_tui.engine.net.credentials import TokenInfo
from maap_tui.engine.query import Query
from maap_tui.engine.registry.entries import TrackedFile
from maap_tui.engine.session import Session
from maap_tui.engine.storage.log_file import LogLine
from maap_tui.engine.thread import EngineThread
from maap_tui.engine.workflows.sync import SyncReport
from maap_tui.tui.theme import Glyphs
from maap_tui.tui.workers import RunsWorkers

T = TypeVar("T")


class Host(RunsWorkers, Protocol):
    """The app as its parts see it; `MaapApp` is held against it by the type checker."""

    session: Session
    engine: EngineThread
    tally: Tally
    queue: Queue
    elsewhere: Elsewhere
    transfers: Downloads | None
    counted: dict[str, BaselineCounted]
    log_lines: deque[LogLine]
    log_version: int
    earlier_lines: list[LogLine]
    last_rate: float
    glyphs: Glyphs
    no_colour: bool
    now: Callable[[], datetime]
    token: TokenInfo | None
    token_problem: str

    @property
    def is_running(self) -> bool: ...

    @property
    def is_offline(self) -> bool: ...

    @property
    def silence(self) -> str: ...

    @property
    def days_left(self) -> int | None: ...

    async def ask(self, work: Callable[[Session], Coroutine[Any, Any, T]]) -> T: ...

    async def queue_files(self, requests: Sequence[DownloadRequest]) -> int: ...

    async def queue_tracked(
        self, tracked: Sequence[TrackedFile], *, again: bool = False
    ) -> tuple[int, int]: ...

    async def take_over(self, rows: Sequence[QueueRow], *, again: bool = False) -> int: ...

    async def sync(self, query: Query) -> SyncReport: ...

    async def with_transfers(self, work: Callable[[Downloads], T]) -> T | None: ...

    async def apply_setting(self, key: str, fresh: Settings) -> None: ...

    def write_log(self, level: str, text: str) -> None: ...

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None: ...

    def show_error(self, error: BaseException) -> None: ...

    def look_after_worker(self, event: Worker.StateChanged) -> None: ...

    async def push_screen_wait(self, screen: Screen[T]) -> T: ...

    async def confirm(
        self, question: str, *, lines: Sequence[str] = (), verb: str = "Yes", key: str = "y"
    ) -> bool: ...

    def copy_text(self, text: str, what: str = "Copied") -> None: ...

    def action_go(self, mode: str) -> None: ...

    def go(self, mode: str, **context: Any) -> None: ...


class _HasApp(Protocol):
    @property
    def app(self) -> App[Any]: ...


def host_of(node: _HasApp) -> Host:
    """The app that a screen, a widget or anything else of Textual's belongs to."""
    app: Any = node.app
    host: Host = app
    return host


class OnHost:
    """Gives screens, dialogs and widgets the app as `maap`."""

    @property
    def maap(self: _HasApp) -> Host:
        """The app."""
        return host_of(self)
