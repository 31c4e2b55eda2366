"""The real terminal: it may stall, close or send a signal, and the app keeps running or ends in order.

Textual alone waits forever for a terminal that does not read, spins on a closed one, does not handle
SIGTERM and SIGHUP, and may keep an older size where the terminal changes it quickly.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import queue
import select
import signal
import struct
import sys
import termios
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Protocol, TextIO

from textual.app import App
from textual.events import Resize
from textual.message import Message
from textual.messages import InBandWindowResize

from maap_tui.tui.cells import Cells, can_erase, sets_modes
from maap_tui.tui.graphics import ANSWER_S, DELETE, QUERY, Abilities, PictureLayer, Placed, may_ask
from maap_tui.tui.textual_compat import OpenDriver, TerminalAnswer

ORDERLY_S = 1.0
"""Seconds that the app may take to end in order after it was asked to."""

FORCED_S = 0.6
"""Seconds that the engine may take after that to write its queue; then the process ends."""

WRITER_S = 0.3
"""Seconds that the last bytes may take to reach the terminal."""

SETTLED_S = 0.05
"""Seconds without another size of the terminal after which everything is drawn once more."""

ENDS = {"SIGTERM": 143, "SIGHUP": 129}
"""The signals that end the app, and the exit code of each."""

_MODES_OFF = "".join(f"\x1b[?{mode}l" for mode in (2026, 1000, 1002, 1003, 1015, 1006, 2004, 1004))
RESTORE = f"{_MODES_OFF}\x1b[?7h\x1b[<u\x1b[?1049l\x1b[?25h".encode()
"""Restores the terminal when nothing else can."""


_SYNC_BEGINS, _SYNC_ENDS = "\x1b[?2026h", "\x1b[?2026l"
_POINTER = "\x1b]22;"


class CanEnd(Protocol):
    """An app that can be asked to end."""

    def exit(self, result: int | None = None, return_code: int = 0) -> None: ...


class ShutdownGuard:
    """Ends the app on a signal or when its terminal closes: in order first, by force after some seconds.

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
            with contextlib.suppress(RuntimeError):  # its loop has ended: the app is already ending
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
        """Whether the terminal has closed."""
        self._ending = ending
        self._has_dropped = False
        self._cells = Cells(self.terminal_size, erases=can_erase(os.environ))
        self._is_unknown = False
        """Whether the terminal may show something else than what was drawn."""
        self._is_in_sync = False
        self._repainting: asyncio.TimerHandle | None = None
        self._pointer = f"{_POINTER}default\x07"
        self._pictures = PictureLayer()
        self._answered: asyncio.Event | None = None
        """Set when the terminal has said whether it draws pictures; None before it was asked."""
        self._abilities = Abilities()
        self._asked_cell = (0, 0)
        """What the system said of the size of a cell when the terminal answered."""
        self._cell_by_area = (0, 0)
        """Width and height of a cell, pixels, from those of all cells when the terminal answered."""
        self._watcher: threading.Thread | None = None
        assert self.file is not None  # the app is not opened without a terminal on stderr
        self._outlet = _Outlet(self.file, self)
        self.set_file(self._outlet)
        ending.driver = self

    def start_application_mode(self) -> None:
        loop = self._ending.loop = asyncio.get_running_loop()
        self._is_unknown = True
        super().start_application_mode()  # type: ignore[no-untyped-call]
        self._take_sizes_in_turn()
        if self._watcher is not None:
            loop.call_soon_threadsafe(self.driven_app.refresh)  # it comes back from the shell
        else:
            self._watcher = threading.Thread(target=self._watch, name="maap-terminal", daemon=True)
            self._watcher.start()

    def _take_sizes_in_turn(self) -> None:
        """Read the size of the terminal in the loop, not in the signal's handler.

        A signal that comes while a handler runs has its handler run in between: the older size is
        reported last, and the app stays at it.
        """
        take = signal.getsignal(signal.SIGWINCH)
        loop = self._ending.loop
        if not callable(take) or loop is None:
            return

        def hand_on() -> None:
            take(signal.SIGWINCH, None)
            if self._repainting is not None:
                self._repainting.cancel()
            # A size that came and went leaves nothing to lay out, and cells that the terminal has cut off.
            self._repainting = loop.call_later(SETTLED_S, self.driven_app.refresh)

        def note(number: int, frame: FrameType | None) -> None:
            self._is_unknown = True
            with contextlib.suppress(RuntimeError):  # its loop has ended: the app is already ending
                loop.call_soon_threadsafe(hand_on)

        signal.signal(signal.SIGWINCH, note)

    def enable_mouse(self) -> None:
        """Report the mouse; where bandwidth is low only while a button is down, as each move has its echo."""
        super().enable_mouse()
        if self.has_mouse and getattr(self.driven_app, "low_bandwidth", False):
            self.write("\x1b[?1003l\x1b[?1002h")
            self.flush()

    def disable_mouse(self) -> None:
        """Report it no more, whichever way it was reported."""
        if self.has_mouse:
            self.write("\x1b[?1002l")
        super().disable_mouse()

    def process_message(self, message: Message) -> None:
        if isinstance(message, Resize | InBandWindowResize):
            self._is_unknown = True
        if isinstance(message, TerminalAnswer):
            if self._ending.loop is not None:
                with contextlib.suppress(RuntimeError):  # its loop has ended: the app is already ending
                    self._ending.loop.call_soon_threadsafe(self._take_answer, message.text)
            return
        super().process_message(message)

    async def can_draw_pictures(self) -> bool:
        """Whether the terminal draws pictures in pixels, as it answers itself; it is asked once."""
        if self._answered is None:
            self._answered = asyncio.Event()
            if not may_ask(os.environ):
                self._answered.set()
            else:
                self.expect_answers(2 * ANSWER_S)
                with contextlib.suppress(queue.Full):
                    self.hand_over(QUERY)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                await self._answered.wait()
        self._answered.set()
        can_draw = self._abilities.knows_kitty or self._abilities.knows_sixel
        return can_draw and all(self.cell_size())

    def _take_answer(self, text: str) -> None:
        self._abilities.take(text)
        self._asked_cell = self._system_cell()
        columns, lines = self.terminal_size
        self._cell_by_area = (
            self._abilities.area[0] // max(1, columns),
            self._abilities.area[1] // max(1, lines),
        )
        self._pictures.is_sixel = self._abilities.knows_sixel and not self._abilities.knows_kitty
        if self._answered is not None and self._abilities.is_complete:
            self._answered.set()

    @property
    def sixel_colours(self) -> int:
        """Colours of a picture in sixel; 0 where pictures are drawn in kitty's protocol."""
        return self._abilities.registers if self._pictures.is_sixel else 0

    def cell_size(self) -> tuple[int, int]:
        """Width and height of a cell, pixels; 0 where the terminal does not say.

        What it answered counts: of a scaled screen the system may say something else. That alone says,
        without a question, that the letters have another size now.
        """
        system, asked = self._system_cell(), self._asked_cell
        cell = self._abilities.cell
        if not all(cell):
            return system if all(system) else self._cell_by_area
        if system == asked or not all(asked) or not all(system):
            return cell
        return cell[0] * system[0] // asked[0], cell[1] * system[1] // asked[1]

    def _system_cell(self) -> tuple[int, int]:
        """Width and height of a cell as the system knows them, pixels; 0 where it does not."""
        try:
            size = fcntl.ioctl(self.fileno, termios.TIOCGWINSZ, bytes(8))
        except OSError:
            return 0, 0
        rows, columns, width, height = struct.unpack("HHHH", size)
        return width // max(1, columns), height // max(1, rows)

    def show_picture_of(self, source: Callable[[], Placed | None] | None) -> None:
        """Show the picture that a source gives for each frame; None for no more pictures."""
        self._pictures.source = source

    def stop_application_mode(self) -> None:
        if data := self._pictures.clear():
            self._send(data)
        super().stop_application_mode()

    def write(self, data: str) -> None:
        """Queue what differs from what is shown; frames that a slow terminal loses are drawn again."""
        writer = self.writer
        if self.is_gone or writer is None or not writer.is_alive():
            return
        if data in (_SYNC_BEGINS, _SYNC_ENDS):
            self._is_in_sync = data == _SYNC_BEGINS
            return
        if data.startswith(_POINTER):
            if data == self._pointer:
                return
            self._pointer = data
        picture = ""
        if not sets_modes(data):
            # A signal may suspend the app in between: then the next frame forgets what this one knew.
            if self._is_unknown:
                self._is_unknown = False
                self._cells.forget(self.terminal_size)
                self._pictures.forget()
            before, gone = self._pictures.begin(self.terminal_size.height)
            if gone is not None:
                self._uncover(gone)
            data = before + self._cells.frame(data)
            picture = self._pictures.end(self._has_drawn)
        if data:
            data = f"{_SYNC_BEGINS}{data}{_SYNC_ENDS}" if self._is_in_sync else data
        if data or picture:
            self._send(data + picture)

    def _uncover(self, picture: Placed) -> None:
        """Have the cells of a picture drawn: this frame may have a part of them only."""
        self._cells.forget_part(picture.row, picture.column, picture.seen_rows, picture.columns)
        if self._ending.loop is not None:
            with contextlib.suppress(RuntimeError):  # its loop has ended: the app is already ending
                self._ending.loop.call_soon_threadsafe(self.driven_app.refresh)

    def _has_drawn(self, picture: Placed) -> bool:
        return self._cells.has_drawn(picture.row, picture.column, picture.seen_rows, picture.columns)

    def _send(self, data: str) -> None:
        """Queue bytes; where they are lost, everything is drawn again once the terminal has caught up."""
        try:
            self.hand_over(data)
        except queue.Full:
            self._has_dropped = self._is_unknown = True
            self._pictures.forget()

    def close(self) -> None:
        """End the writing, without waiting for a terminal that does not read."""
        writer = self.writer
        if writer is not None:
            with contextlib.suppress(queue.Full):
                self.hand_over(None)
            writer.join(WRITER_S)

    def caught_up(self) -> None:
        """All queued bytes were drawn; called in the writer's thread."""
        if self._has_dropped and self._ending.loop is not None:
            self._has_dropped = False
            with contextlib.suppress(RuntimeError):
                self._ending.loop.call_soon_threadsafe(self.repaint)

    def repaint(self) -> None:
        """Draw everything, whatever the terminal shows."""
        self._is_unknown = True
        self.driven_app.refresh()

    def lose(self) -> None:
        """End the app because the terminal has closed; from any thread."""
        if not self.is_gone:
            self.is_gone = True
            # Reading from it returns nothing at once, again and again.
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
        """Restore the terminal at once, without waiting for anything that may be stuck."""
        if self.attrs_before is not None:
            with contextlib.suppress(termios.error, OSError):
                termios.tcsetattr(self.fileno, termios.TCSANOW, self.attrs_before)
        number = self._outlet.fileno()
        with contextlib.suppress(OSError, ValueError):
            if select.select([], [number], [], 0)[1]:
                os.write(number, (DELETE.encode() if self._pictures.is_used else b"") + RESTORE)


class _Outlet:
    """The file that the terminal's bytes go to; a closed one discards them."""

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
    """Replace a closed terminal by /dev/null, so that last messages do not fail."""
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (sys.__stdin__, sys.__stdout__, sys.__stderr__):
            if stream is not None and stream.isatty():
                os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
