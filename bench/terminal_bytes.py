"""Bytes and repaints a second that the app sends to a terminal of 80x24: at rest, and while 8 files come.

In place 3, with and without `--low-bandwidth`: `python bench/terminal_bytes.py [SECONDS]`.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import tempfile
import termios
import time
from datetime import UTC, datetime
from pathlib import Path

from maap_tui.demo.archive import Archive
from maap_tui.engine.download.queue_store import Queue, QueueRow
from maap_tui.engine.model import TimeRange
from maap_tui.engine.query import Query
from maap_tui.engine.session import Session

FILES = 24
RATE = 60e3
"""Bytes a second of each file: they last as long as the longest measurement."""


FRAME = b"\x1b[?2026h"
"""What a repaint begins with, where the terminal said that it knows it."""


class Terminal:
    """The app on a terminal that takes whole frames, as most do: each repaint begins with a mark."""

    def __init__(self, words: list[str], environ: dict[str, str]) -> None:
        self.shown = b""
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
            os.execve(sys.executable, [sys.executable, "-m", "maap_tui", "tui", *words], environ)

    def read(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self.master], [], [], left)[0]:
                piece = os.read(self.master, 65536)
                self.shown += piece
                if b"\x1b[?2026$p" in piece:
                    self.type(b"\x1b[?2026;2$y")

    def wait_for(self, words: bytes) -> None:
        end = time.monotonic() + 30
        while words not in self.shown:
            if time.monotonic() > end:
                raise SystemExit(f"{words!r} was not shown: {self.shown[-2000:]!r}")
            self.read(0.1)

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def measure(self, seconds: float) -> str:
        """What comes in a while; frames less than a tenth of a second apart are one repaint."""
        size = repaints = 0
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
        return f"{size / seconds:>8.0f} B/s {repaints / seconds:>6.2f} repaints/s"

    def close(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.master)


async def find(environ: dict[str, str]) -> list[QueueRow]:
    """Files as a process that died would have left them in the queue."""
    day = TimeRange(datetime(2025, 12, 1, tzinfo=UTC), datetime(2025, 12, 2, tzinfo=UTC))
    query = Query("EarthCAREL1Validated_MAAP", "ATL_NOM_1B", time=day)
    async with Session.load(environ=environ) as session:
        wanted = [
            session.filing.request_of(granule, asset)
            async for page in session.search(query)
            for granule in page.granules
            for asset in granule.files(session.formats_of(query))
        ]
    return [
        QueueRow(str(one.path), one.url, "waiting", one.size, root=str(one.root or ""), changed=time.time())
        for one in wanted[:FILES]
    ]


def main(seconds: float) -> None:
    modes = {
        "normal": ([], {}),
        "low bandwidth": (["--low-bandwidth"], {}),
        "SSH_TTY": ([], {"SSH_TTY": "x"}),
    }
    for name, (words, more) in modes.items():
        with tempfile.TemporaryDirectory() as folder, Archive.start(offline_days=365) as archive:
            home = Path(folder) / "maap"
            archive.prepare(home)
            environ = {
                "PATH": os.environ["PATH"],
                "HOME": folder,
                "TERM": "xterm-256color",
                "LANG": "C.UTF-8",
            }
            environ |= {"PYTHONPATH": str(Path(__file__).parents[1]), "MAAP_DOWNLOADS_MIN_FREE": "0"}
            environ |= archive.environment(home) | more
            queue = Queue(home / "state" / "queue.sqlite3")
            queue.save(asyncio.run(find(environ)))
            queue.close()
            archive.faults.add(target="data", rate=RATE)
            one = Terminal(words, environ)
            try:
                one.wait_for(b"were interrupted")
                one.read(2)
                one.type(b"\x1b")
                one.read(1)
                one.type(b"3")
                one.read(2)
                idle = one.measure(seconds / 2)
                one.type(b"T")
                one.read(1)
                one.type(b"g")
                one.read(3)
                print(f"{name:14} at rest {idle}   8 transfers {one.measure(seconds)}", flush=True)
            finally:
                one.close()


if __name__ == "__main__":
    main(float(sys.argv[1]) if sys.argv[1:] else 20.0)
