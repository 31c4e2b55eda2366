"""The real terminal: it may stall, vanish or send us away, and none of that holds the app up.

Textual alone waits for ever on a terminal that does not read, spins on one that is gone and knows no
SIGTERM and no SIGHUP.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import re
import select
import signal
import sys
import termios
import threading
from collections.abc import Callable
from functools import lru_cache
from types import FrameType, TracebackType
from typing import Any, Protocol, TextIO

from textual.app import App
from textual.events import Resize

from maap_tui.tui.textual_compat import OpenDriver

ORDERLY_S = 1.0
"""Seconds that the app may take to end in order once it was asked to."""

FORCED_S = 0.6
"""Seconds that the engine may take after that to write its queue; then the process ends."""

WRITER_S = 0.3
"""Seconds that the last bytes may take to reach the terminal."""

ENDS = {"SIGTERM": 143, "SIGHUP": 129}
"""The signals that end the app, and the exit code of each."""

_MODES_OFF = "".join(f"\x1b[?{mode}l" for mode in (2026, 1000, 1002, 1003, 1015, 1006, 2004, 1004))
RESTORE = f"{_MODES_OFF}\x1b[?7h\x1b[<u\x1b[?1049l\x1b[?25h".encode()
"""Gives the terminal back when nothing else can any more."""


_RESET = "\x1b[0m"
_STYLE = re.compile(r"\x1b\[([\d;]+)m")


def terse(data: str) -> str:
    """The same drawing in fewer bytes: between neighbours only what differs in their styles is sent.

    Rich sends each piece of a line with its whole style and a reset, which is two thirds of all bytes.
    """
    out: list[str] = []
    last: str | None = None  # the style that holds where the reset stood, None when that is not known
    for number, piece in enumerate(data.split(_RESET)):
        styles = _STYLE.findall(piece)
        style = styles[0] if len(styles) == 1 else None
        if number == 0:
            out.append(piece)
        elif last is not None and style is not None and piece.startswith(f"\x1b[{style}m"):
            out.append(_change(last, style))
            out.append(piece[len(style) + 3 :])
        else:
            out.append(_RESET)
            out.append(piece)
        last = style
    return "".join(out)


@lru_cache(maxsize=1024)
def _change(old: str, new: str) -> str:
    """What turns one style into another."""
    if old == new:
        return ""
    had, has = _parts(old), _parts(new)
    if had.keys() <= has.keys():
        return "\x1b[" + ";".join(code for what, code in has.items() if had.get(what) != code) + "m"
    return f"\x1b[0;{new}m"


def _parts(style: str) -> dict[str, str]:
    """The codes of a style by what they set: foreground, background, or one attribute each."""
    codes = style.split(";")
    parts: dict[str, str] = {}
    at = 0
    while at < len(codes):
        code = codes[at]
        length = {"5": 3, "2": 5}.get(codes[at + 1], 1) if code in ("38", "48") and at + 1 < len(codes) else 1
        number = int(code or 0)
        if number // 10 in (3, 9):
            what = "foreground"
        elif number // 10 in (4, 10):
            what = "background"
        else:
            what = code
        parts[what] = ";".join(codes[at : at + length])
        at += length
    return parts


class CanEnd(Protocol):
    """What can be asked to end."""

    def exit(self, result: int | None = None, return_code: int = 0) -> None: ...


class ShutdownGuard:
    """Ends the app on a signal or without its terminal: in order at first, by force when that takes long.

    Used as a context manager around `App.run`.
    """

    def __init__(self, app: CanEnd, close: Callable[[], None]) -> None:
        """Take the app, and what ends its engine from any thread when the app itself does not end."""
        self.app = app
        self._close = close
        self.code = 0
        """What the process ends with; 0 while nothing asked it to end."""
        self.driver: TerminalDriver | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        """The loop of the app, None before it runs."""
        self._has_ended = threading.Event()
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> ShutdownGuard:
        if threading.current_thread() is threading.main_thread():
            for name in ENDS:
                number = getattr(signal, name)
                # What nohup and some shells ignore is meant to stay ignored.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._handlers[number] = signal.signal(number, self._take_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._has_ended.set()
        if not self.code:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
        # Otherwise a second signal must not kill us while what is left is cleaned up.
        if self.driver is not None and self.driver.is_gone:
            _detach()

    def _take_signal(self, number: int, frame: FrameType | None) -> None:
        code = ENDS[signal.Signals(number).name]
        if self.loop is None and not self.code:
            raise SystemExit(code)
        self.begin(code)

    def begin(self, code: int) -> None:
        """Ask the app to end with a code; from any thread, the first one counts."""
        if self.code:
            return
        self.code = code
        threading.Thread(target=self._force, name="maap-ending", daemon=True).start()
        if self.loop is not None:
            with contextlib.suppress(RuntimeError):  # its loop has ended: it is leaving already
                self.loop.call_soon_threadsafe(self.app.exit, code, code)

    def _force(self) -> None:
        if self._has_ended.wait(ORDERLY_S):
            return
        closing = threading.Thread(target=self._close, daemon=True)
        closing.start()
        closing.join(FORCED_S)
        if self._has_ended.is_set():
            return
        if self.driver is not None:
            self.driver.restore()
        os._exit(self.code)


class TerminalDriver(OpenDriver):
    """A driver that never waits for its terminal, and that reports when it is gone."""

    def __init__(self, app: App[Any], *, ending: ShutdownGuard, **options: Any) -> None:
        super().__init__(app, **options)
        self.is_gone = False
        """Whether the terminal has vanished."""
        self._ending = ending
        self._has_dropped = False
        self._watcher: threading.Thread | None = None
        assert self.file is not None  # the app is not opened without a terminal on stderr
        self._outlet = _Outlet(self.file, self)
        self.set_file(self._outlet)
        ending.driver = self

    def start_application_mode(self) -> None:
        self._ending.loop = asyncio.get_running_loop()
        super().start_application_mode()  # type: ignore[no-untyped-call]
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._watch, name="maap-terminal", daemon=True)
            self._watcher.start()

    def enable_mouse(self) -> None:
        """Report the mouse; where bandwidth is low only while a button is down, as each move has its echo."""
        super().enable_mouse()
        if self.has_mouse and getattr(self.driven_app, "low_bandwidth", False):
            self.write("\x1b[?1003l\x1b[?1002h")
            self.flush()

    def write(self, data: str) -> None:
        """Hand over what is to be drawn; a terminal that lags behind loses frames and is repainted later."""
        writer = self.writer
        if self.is_gone or writer is None or not writer.is_alive():
            return
        try:
            self.hand_over(terse(data))
        except queue.Full:
            self._has_dropped = True

    def close(self) -> None:
        """End the writing, without waiting for a terminal that does not read."""
        writer = self.writer
        if writer is not None:
            with contextlib.suppress(queue.Full):
                self.hand_over(None)
            writer.join(WRITER_S)

    def caught_up(self) -> None:
        """Everything handed over was drawn; called in the writer's thread."""
        if self._has_dropped and self._ending.loop is not None:
            self._has_dropped = False
            with contextlib.suppress(RuntimeError):
                self._ending.loop.call_soon_threadsafe(self._repaint)

    def _repaint(self) -> None:
        # A size event is what has everything drawn again.
        size = self.terminal_size
        self.driven_app.post_message(Resize(size, size))

    def lose(self) -> None:
        """The terminal is gone; from any thread."""
        if not self.is_gone:
            self.is_gone = True
            # Reading from it says at once that there is nothing, for ever.
            self.exit_event.set()
            self._ending.begin(ENDS["SIGHUP"])

    def read_input(self) -> None:
        try:
            super().read_input()
        except OSError:
            self.lose()

    def disable_input(self) -> None:
        super().disable_input()
        if self.is_gone:
            self.exit_event.set()

    def _watch(self) -> None:
        """Wait until the other end of the terminal is closed; costs nothing meanwhile."""
        poll = select.poll()
        poll.register(self.fileno, 0)
        with contextlib.suppress(OSError):
            for _, happened in poll.poll():
                if happened & (select.POLLHUP | select.POLLERR):
                    self.lose()

    def restore(self) -> None:
        """Give the terminal back at once, past everything that may be stuck."""
        if self.attrs_before is not None:
            with contextlib.suppress(termios.error, OSError):
                termios.tcsetattr(self.fileno, termios.TCSANOW, self.attrs_before)
        number = self._outlet.fileno()
        with contextlib.suppress(OSError, ValueError):
            if select.select([], [number], [], 0)[1]:
                os.write(number, RESTORE)


class _Outlet:
    """The file that the terminal's bytes go to; one that is gone takes everything."""

    def __init__(self, file: TextIO, driver: TerminalDriver) -> None:
        self._file = file
        self._driver = driver

    def write(self, text: str) -> None:
        if not self._driver.is_gone:
            try:
                self._file.write(text)
            except OSError:
                self._driver.lose()

    def flush(self) -> None:
        if not self._driver.is_gone:
            try:
                self._file.flush()
            except OSError:
                self._driver.lose()
                return
            self._driver.caught_up()

    def fileno(self) -> int:
        return self._file.fileno()


def _detach() -> None:
    """Put nothing in the place of a terminal that is gone, so that the last words fail nowhere."""
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (sys.__stdin__, sys.__stdout__, sys.__stderr__):
            if stream is not None and stream.isatty():
                os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
