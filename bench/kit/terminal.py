"""A terminal for a program under measurement: a pty, the bytes that come to it, and what they show."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.kit.harness import Failed

PATIENCE_S = 60.0
FRAME = b"\x1b[?2026h"
"""What a repaint begins with, where the terminal said that it knows it."""
TICK_S = 1 / os.sysconf("SC_CLK_TCK")

_TOKEN = re.compile(
    r"\x1b\[([0-?]*)[ -/]*([@-~])"
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[P_^][^\x1b]*\x1b\\|\x1b[^\[\]P_^]|[^\x1b]+"
)
"""A control sequence, another escape, or text."""


def cpu_of(pid: int, *, alone: bool = False) -> float:
    """Seconds of CPU of a process, in all its threads, and unless `alone` of those it started."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [one for task in tasks for one in (task / "children").read_text().split()]
    except OSError:
        return 0.0
    # user, system, then both of children that have ended
    own = sum(int(field) for field in fields[11 : 13 if alone else 15]) * TICK_S
    return own if alone else own + sum(cpu_of(int(child)) for child in children)


def peak_of(pid: int) -> float:
    """MB that a process had at most."""
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


class Picture:
    """What a terminal shows, of programs that place and erase their text by row and column."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.length = 0
        """Bytes that came."""
        self._left = ""
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self.clear(size)

    def clear(self, size: tuple[int, int]) -> None:
        """Show nothing, on columns and lines."""
        width, height = size
        self.rows = [[" "] * width for _ in range(height)]
        self.written = [0] * height
        """For each row, how many bytes had come when it was last written to."""
        self._at = [0, 0]

    def feed(self, data: bytes) -> None:
        self.length += len(data)
        text = self._left + self._decode(data)
        end = 0
        for token in _TOKEN.finditer(text):
            if token.start() != end:
                break
            end = token.end()
            count = int(token[1]) if token[1] and token[1].isdigit() else 1
            if token[2] == "H":
                place = [int(part or 1) for part in (token[1] or "1;1").split(";")]
                self._at = [place[0] - 1, (place[1] if len(place) > 1 else 1) - 1]
            elif token[2] == "C":
                self._at[1] += count
            elif token[2] == "X":
                at = self._at[1]
                self._write(" " * count)
                self._at[1] = at
            elif token[0] == "\x1b[?1049h":
                self.clear((len(self.rows[0]), len(self.rows)))
            elif token[0][0] != "\x1b":
                self._write(token[0])
        self._left = text[end:]

    def _write(self, text: str) -> None:
        for letter in text:
            row, column = self._at
            if letter == "\r":
                self._at[1] = 0
            elif letter == "\n":
                self._at = [row + 1, 0]
            else:
                if row < len(self.rows):
                    self.written[row] = self.length
                    if column < len(self.rows[0]):
                        self.rows[row][column] = letter
                self._at[1] += 1

    def lines(self, after: int = 0) -> list[str]:
        """The rows that were written to after so many bytes."""
        return ["".join(row) for row, at in zip(self.rows, self.written, strict=True) if at > after]

    def line_with(self, sign: str) -> str:
        """The first line that has a sign, with its number; '' when none has."""
        for number, row in enumerate(self.rows):
            line = "".join(row)
            if sign in line:
                return f"{number} {line}"
        return ""


class Terminal:
    """A program on a terminal that takes whole frames, as most do: each repaint begins with a mark."""

    def __init__(
        self, words: Sequence[str], environ: Mapping[str, str], size: tuple[int, int] = (80, 24)
    ) -> None:
        self.shown = b""
        self.has_ended = False
        """Whether the program has closed the terminal."""
        self.picture = Picture(size)
        self.begun = time.monotonic()
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
            os.execve(words[0], list(words), dict(environ))

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        """End it, taking what it still has to say."""
        os.kill(self.pid, signal.SIGTERM)
        end = time.monotonic() + 5
        while os.waitpid(self.pid, os.WNOHANG)[0] == 0:
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
            self.take(0.05)
        os.close(self.master)

    def take(self, seconds: float) -> bool:
        """Take what comes first, within a time; returns whether anything came."""
        if not select.select([self.master], [], [], max(0.0, seconds))[0]:
            return False
        try:
            piece = os.read(self.master, 65536)
        except OSError:
            self.has_ended = True
            time.sleep(0.01)
            return False
        self.shown += piece
        self.picture.feed(piece)
        if b"\x1b[?2026$p" in piece:
            self.type(b"\x1b[?2026;2$y")
        return True

    def read(self, seconds: float) -> None:
        """Take what comes in a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.take(left)

    def wait_for(self, words: bytes) -> None:
        """Read until words came, or stand on the screen: what stands there already is not sent again."""
        text = words.decode()
        self.wait_until(lambda: words in self.shown or bool(self.picture.line_with(text)), repr(words))

    def wait_until(self, is_so: Callable[[], bool], what: str, patience: float = PATIENCE_S) -> None:
        """Read until something is so.

        Raises:
            Failed: it is not so in time.
        """
        end = time.monotonic() + patience
        while not is_so():
            if self.has_ended or time.monotonic() > end:
                raise Failed(f"{what} was not shown: {self.shown[-500:]!r}")
            self.take(0.05)

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def measure(self, seconds: float) -> dict[str, float]:
        """Bytes, repaints and CPU a second; frames less than a tenth of a second apart are one repaint."""
        size = repaints = 0
        spent = cpu_of(self.pid)
        now = last = time.monotonic()
        end = now + seconds
        while now < end:
            before = len(self.shown)
            self.read(0.02)
            now = time.monotonic()
            if FRAME in self.shown[before:]:
                repaints += now - last > 0.1
                last = now
            size += len(self.shown) - before
        share = 100 * (cpu_of(self.pid) - spent) / seconds
        return {"B/s": size / seconds, "repaints/s": repaints / seconds, "% of a CPU": share}
