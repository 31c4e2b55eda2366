"""Host: what screens, dialogs and widgets may ask of the app; they import this, never the app itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from textual.app import App
from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.worker import Worker

from maap_tui.engine.config.settings import Settings
from maap_tui.engine.download.queue_store import QueueRow
from maap_tui.tui.backend import Backend
from maap_tui.tui.graphics import DrawsPictures
from maap_tui.tui.keys import Key
from maap_tui.tui.theme import Glyphs
from maap_tui.tui.workers import RunsWorkers

T = TypeVar("T")


class Host(RunsWorkers, Protocol):
    """The app as its parts see it; the type checker compares `MaapApp` with it."""

    backend: Backend
    glyphs: Glyphs
    no_colour: bool
    few_colours: bool
    """Whether the terminal has sixteen colours."""
    low_bandwidth: bool
    can_detach: bool

    @property
    def is_running(self) -> bool: ...

    async def take_over(self, rows: Sequence[QueueRow], *, again: bool = False) -> int: ...

    async def apply_setting(self, key: str, fresh: Settings) -> None: ...

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

    async def choose(
        self,
        question: str,
        *,
        lines: Sequence[str] = (),
        verb: str,
        key: str = "y",
        others: Sequence[tuple[str, str]] = (),
        no: str = "No",
    ) -> str: ...

    async def sharp_terminal(self) -> DrawsPictures | None: ...

    def copy_text(self, text: str, what: str = "Copied") -> None: ...

    def user_keys(self, mode: str) -> Sequence[Key]: ...

    def action_user_key(self, pressed: str) -> None: ...

    def pasted_text(self, line: str) -> str: ...

    def action_go(self, mode: str) -> None: ...

    def go(self, mode: str, **context: Any) -> None: ...


class _HasApp(Protocol):
    @property
    def app(self) -> App[Any]: ...


def host_of(node: _HasApp) -> Host:
    """The app that a screen, a widget or another node of Textual's belongs to."""
    app: Any = node.app
    host: Host = app
    return host


class OnHost:
    """Gives screens, dialogs and widgets the app as `maap`."""

    @property
    def maap(self: _HasApp) -> Host:
        """The app."""
        return host_of(self)
