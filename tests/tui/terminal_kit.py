"""A terminal of its own for a process under test: a pty, every byte that comes to it, and what it shows."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bench.kit.terminal import Picture
from tests.forking import can_fork, server
from tests.homes import PATIENCE_S

ROOT = Path(__file__).parents[2]

HERE = b"Browse"


_FORKING = threading.Lock()


class Terminal:
    """A process on a terminal of its own; what it sends is kept whole in `shown`."""

    def __init__(
        self,
        words: list[str],
        environ: dict[str, str],
        *,
        size: tuple[int, int] = (80, 24),
        ignored: tuple[signal.Signals, ...] = (),
        program: list[str] | None = None,
        cell: tuple[int, int] = (0, 0),
    ) -> None:
        """Start a process.

        Args:
            words: what `maap` is given.
            environ: its environment.
            size: columns and lines.
            ignored: signals that it ignores.
            program: a command in place of `maap`.
            cell: width and height of a cell, pixels; 0 for a terminal that does not say.
        """
        self.cell = cell
        self.shown = b""
        self.picture = Picture(size)
        self.code: int | None = None
        if program is None and can_fork(environ):
            self._fork(words, environ, size, ignored)
        else:
            self._execute(program or [sys.executable, "-m", "maap_tui", *words], environ, size, ignored)

    def _fork(
        self,
        words: list[str],
        environ: dict[str, str],
        size: tuple[int, int],
        ignored: tuple[signal.Signals, ...],
    ) -> None:
        self.master, inner = pty.openpty()
        self._set_size(inner, size)
        # Before the program starts: on a busy machine it has changed them before this process goes on.
        self.before = termios.tcgetattr(inner)
        self.pid = server().start(words, environ, inner, ignored)
        os.close(inner)

    def _execute(
        self,
        command: list[str],
        environ: dict[str, str],
        size: tuple[int, int],
        ignored: tuple[signal.Signals, ...],
    ) -> None:
        with _FORKING:
            self.pid, self.master = pty.fork()
            if self.pid:
                # A terminal that another one's program has open too does not hang up when it is closed here.
                os.set_inheritable(self.master, False)
                self.before = termios.tcgetattr(self.master)
        if self.pid == 0:
            for number in ignored:
                signal.signal(number, signal.SIG_IGN)
            self._set_size(0, size)
            os.execve(command[0], command, environ)

    def read(self, timeout: float) -> bool:
        """Take what comes within a time; False when nothing came or the end was reached."""
        if not select.select([self.master], [], [], timeout)[0]:
            return False
        try:
            piece = os.read(self.master, 65536)
        except OSError:
            return False
        self.shown += piece
        self.picture.feed(piece)
        return bool(piece)

    def shows(self, wanted: bytes, *, after: int = 0) -> bool:
        """Whether it came, past the first `after` bytes, or stands on a line that was drawn on since."""
        return wanted in self.shown[after:] or any(
            wanted.decode(errors="replace") in line for line in self.picture.lines(after)
        )

    def wait_for(self, wanted: bytes, *, after: int = 0) -> None:
        """Read until it is shown, see `shows`."""
        end = time.monotonic() + PATIENCE_S
        while not self.shows(wanted, after=after):
            assert time.monotonic() < end, self.shown[-4000:]
            if not self.read(0.5):
                assert os.waitpid(self.pid, os.WNOHANG)[0] == 0, self.shown[-4000:]

    def settle(self, quiet: float = 0.3) -> None:
        """Read until nothing comes for a while; a terminal that is never at rest fails the test."""
        end = time.monotonic() + PATIENCE_S
        while self.read(quiet):
            assert time.monotonic() < end, self.shown[-4000:]

    def type(self, keys: bytes) -> int:
        """Press keys; gives back how much was shown before."""
        os.write(self.master, keys)
        return len(self.shown)

    def resize(self, width: int, height: int) -> int:
        """Give it another size, which has everything drawn again; gives back how much was shown before."""
        seen = len(self.shown)
        self.picture.clear((width, height))
        self._set_size(self.master, (width, height))
        return seen

    def kill(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def ended(self, within: float = PATIENCE_S) -> int:
        """Wait for the process, reading on; its exit code."""
        end = time.monotonic() + within
        while True:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                self.code = os.waitstatus_to_exitcode(status)
                # What was written last may come a moment after the process has ended; then the end does.
                while self.master >= 0 and self.read(1.0):
                    pass
                return self.code
            assert time.monotonic() < end, "it does not end"
            if self.master < 0 or not self.read(0.02):
                select.select([], [], [], 0.02)

    def close(self) -> None:
        """Take the terminal away."""
        if self.master >= 0:
            os.close(self.master)
            self.master = -1

    def is_restored(self) -> bool:
        """Whether the terminal is as it was: its modes, the main screen, the cursor, no mouse."""
        on = set(re.findall(rb"\x1b\[\?(\d+)h", self.shown)) - {b"7", b"25"}
        last = self.shown.rfind
        left_on = [mode for mode in on if last(b"\x1b[?%sl" % mode) < last(b"\x1b[?%sh" % mode)]
        has_cursor = last(b"\x1b[?25h") > last(b"\x1b[?25l")
        flags = termios.tcgetattr(self.master)[:4]
        # A test that fails on it shows this.
        print("modes left on:", left_on, "cursor:", has_cursor, "flags:", flags, "before:", self.before[:4])
        print("last bytes:", self.shown[-600:])
        return not left_on and has_cursor and flags == self.before[:4]

    def _set_size(self, terminal: int, size: tuple[int, int]) -> None:
        pixels = size[0] * self.cell[0], size[1] * self.cell[1]
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], *pixels))

    def cleanup(self) -> None:
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        self.close()


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be looked at does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def text_of(shown: bytes) -> bytes:
    """What was sent, without the escape sequences."""
    return re.sub(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])", b"", shown)


def until(is_so: Callable[[], object], *read: Terminal) -> None:
    """Wait for something outside, reading what terminals send meanwhile."""
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end, [one.shown[-2000:] for one in read]
        for one in read:
            one.read(0.02)
        if not read:
            select.select([], [], [], 0.02)
