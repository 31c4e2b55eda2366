"""CPU and time until the first screen is drawn: `maap tui`, `maap demo`, and a bare Textual app as the floor.

Each is opened on a terminal of 80x24 and read until its words are there; the CPU is that of the process and
of all it started. Run it on an idle machine: `python bench/first_screen.py [RUNS]`.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path

from maap_tui.demo.archive import Archive

BARE = """
from textual.app import App
from textual.widgets import Static
class Bare(App):
    def compose(self):
        yield Static("the first screen")
Bare().run()
"""
PATIENCE_S = 30.0
REST_S = 2.0
"""Seconds after the first screen until it is taken to be at rest."""
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


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


def measure(command: list[str], words: bytes, environ: dict[str, str]) -> tuple[float, ...]:
    """Open it once: CPU to the first screen, of that of its own process, seconds to it, CPU until at rest."""
    begun = time.monotonic()
    pid, master = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        os.execve(command[0], command, environ)
    shown, end = b"", begun + PATIENCE_S
    first = own = took = 0.0
    try:
        while (now := time.monotonic()) < end:
            if select.select([master], [], [], 0.05)[0]:
                shown += os.read(master, 65536)
            if not first and words in shown:
                first, own, took = cpu_of(pid), cpu_of(pid, alone=True), now - begun
                end = now + REST_S
        if not first:
            raise SystemExit(f"{command}: nothing was shown\n{shown[-2000:]!r}")
        return first, own, took, cpu_of(pid)
    finally:
        os.kill(pid, signal.SIGTERM)
        while os.waitpid(pid, os.WNOHANG)[0] == 0:
            if select.select([master], [], [], 0.05)[0]:
                try:
                    os.read(master, 65536)
                except OSError:
                    time.sleep(0.01)
        os.close(master)


def main(runs: int) -> None:
    load = os.getloadavg()[0]
    print(f"load {load:.2f}" + (": not idle, the figures are too high" if load > 0.5 else ""))
    with tempfile.TemporaryDirectory() as folder, Archive.start(offline_days=365) as archive:
        home = Path(folder) / "maap"
        archive.prepare(home)
        root = str(Path(__file__).parents[1])
        plain = {name: os.environ[name] for name in ("PATH", "VIRTUAL_ENV") if name in os.environ}
        plain |= {"HOME": folder, "TMPDIR": folder, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        plain |= {"PYTHONPATH": root}
        tree = b"EarthCAREL2Validated_MAAP"
        rows = {
            "bare Textual app": ([sys.executable, "-c", BARE], b"the first screen", plain),
            "maap tui": (
                [sys.executable, "-m", "maap_tui", "tui"], tree, plain | archive.environment(home),
            ),
            "maap demo": ([sys.executable, "-m", "maap_tui", "demo"], tree, plain),
        }  # fmt: skip
        titles = ("CPU to first screen", "its own process", "time to it", "CPU to rest")
        print(f"{'min / median, s':18}" + "".join(f"{title:>22}" for title in titles))
        for name, (command, words, environ) in rows.items():
            measure(command, words, environ)  # what only the first run writes: caches of bytecode
            columns = zip(*(measure(command, words, environ) for _ in range(runs)), strict=True)
            cells = [f"{min(column):.2f} / {statistics.median(column):.2f}" for column in columns]
            print(f"{name:18}" + "".join(f"{cell:>22}" for cell in cells))


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 5)
