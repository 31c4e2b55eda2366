"""What the app sends to a terminal: bytes and repaints a second, at rest and while 8 files come.

    python bench/terminal_bytes.py [--rounds N] [--quick] [--seconds S] [--only WORDS] [--beside NAME=PYTHON]
                                   [--sshd]

In Downloads, on terminals of 80x24 and of 200x60: as it is, with `--low-bandwidth`, and as it is over SSH,
which it knows by SSH_TTY. A row is measured for SECONDS (default 20), at rest for half of them.

With `--sshd` it is run through a real sshd instead, outside and inside tmux, on 80x24: the bytes of the first
screen, of the change of place that takes most, of a move of the cursor, of 8 transfers, and of the places at
rest; what comes to the terminal, and what crosses the line after the login, where sshd wraps each write.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.kit.harness import OURS, Bench, Client, Reach, Usage, Work, maap, version_of
from bench.kit.remote import SSHD, TMUX, Remote, remote
from bench.kit.servers import Server
from bench.kit.terminal import Terminal, cpu_of, peak_of
from maap_tui.demo.archive import Archive
from maap_tui.engine.download.queue_store import Queue, QueueRow
from maap_tui.engine.model import TimeRange
from maap_tui.engine.query import Query
from maap_tui.engine.session import Session

FILES = 24
RATE = 60e3
"""Bytes a second of each file: they last as long as the longest measurement."""
SSH = "SSH_TTY"
MODES: Mapping[str, tuple[Sequence[str], Mapping[str, str]]] = {
    SSH: ([], {"SSH_TTY": "x"}),
    "low bandwidth": (["--low-bandwidth"], {}),
    "normal": ([], {}),
}


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


def measure(
    command: Sequence[str],
    more: Mapping[str, str],
    size: tuple[int, int],
    seconds: float,
    client: Client,
    folder: Path,
) -> Usage:
    """Open it on the queue of a process that died, look at it at rest, go on with the files, look again."""
    begun = time.monotonic()
    with Archive.start(offline_days=365) as archive:
        home = folder / "maap"
        archive.prepare(home)
        environ = Server("").environ() | {"HOME": str(folder), "TERM": "xterm-256color"}
        environ |= {"MAAP_DOWNLOADS_MIN_FREE": "0", **archive.environment(home), **more}
        queue = Queue(home / "state" / "queue.sqlite3")
        queue.save(asyncio.run(find(environ)))
        queue.close()
        archive.faults.add(target="data", rate=RATE)
        with Terminal(command, environ, size) as app:
            app.wait_for(b"were interrupted")
            app.read(2)
            app.type(b"\x1b")
            app.read(1)
            app.type(b"3")
            app.read(2)
            at_rest = app.measure(seconds / 2)
            app.type(b"T")
            app.read(1)
            app.type(b"g")
            app.read(3)
            moving = app.measure(seconds)
            found = {f"{name} at rest": value for name, value in at_rest.items()} | moving
            return Usage(time.monotonic() - begun, cpu_of(app.pid), peak_of(app.pid), found)


PLACES = (b"0", b"1", b"2", b"3", b"4", b"5")
"""Keys of the places."""
TERMINAL, LINE = "", ", line"
"""Ends of the names of what is counted where it comes out, and where it crosses."""


def measure_remote(
    command: Sequence[str], there: Remote, in_tmux: bool, seconds: float, client: Client, folder: Path
) -> Usage:
    """Open it through sshd, go to all places twice, move the cursor, look at them at rest, let files come."""
    begun = time.monotonic()
    size = (80, 24)
    found: dict[str, float] = {}
    with Archive.start(offline_days=365) as archive:
        home = folder / "maap"
        archive.prepare(home)
        environ = {"HOME": str(folder), "MAAP_DOWNLOADS_MIN_FREE": "0", **archive.environment(home)}
        queue = Queue(home / "state" / "queue.sqlite3")
        archive.faults.add(target="data", rate=RATE)
        login = there.login()
        words = there.command(command, environ, in_tmux=in_tmux, size=size)
        plain = {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        with Terminal(words, plain, size) as app:

            def spent(act: Callable[[], object], name: str, per: float = 1.0) -> None:
                """Note what an act costs; of acts of the same name the one that costs most."""
                shown, crossed = len(app.shown), there.counter.count
                act()
                for end, count in ((TERMINAL, len(app.shown) - shown), (LINE, there.counter.count - crossed)):
                    found[name + end] = max(found.get(name + end, 0), count / per)

            def key(word: bytes) -> None:
                app.type(word)
                app.read(1.5)

            def first_screen() -> None:
                app.wait_for(b"Browse")
                app.read(3)

            spent(first_screen, "first screen")
            found["first screen" + LINE] -= login
            for place in (*PLACES, *reversed(PLACES), b"1"):
                spent(partial(key, place), "a place")
            spent(lambda: key(b"jjjjj"), "a move", 5)
            for place in PLACES:
                key(place)
                app.read(3)
                spent(partial(app.read, seconds / 2), "B/s at rest", seconds / 2)
            queue.save(asyncio.run(find(environ)))
            queue.close()
            key(b"3")
            key(b"T")
            key(b"g")
            app.read(3)
            spent(partial(app.read, seconds), "B/s", seconds)
            app.type(b"\x11")  # in tmux it would go on without a terminal
            app.read(2)
            app.type(b"y")
            app.read(1)
    return Usage(time.monotonic() - begun, 0.0, 0.0, found)


def play_remote(bench: Bench, folder: Path, seconds: float) -> None:
    if SSHD is None:
        print("Left out: sshd is not installed.")
        return
    names = ("first screen", "a place", "a move", "B/s", "B/s at rest")
    with remote(folder / "sshd") as there:
        everyone = []
        for in_tmux in (False, True) if TMUX else (False,):
            for name, python in bench.ours.items():
                look = partial(measure_remote, [*maap(python), "tui"], there, in_tmux, seconds)
                title = f"{name}, sshd and tmux" if in_tmux else f"{name}, sshd"
                everyone.append(Client(title, lambda home: [], {}, measure=look))
        most = {"first screen": 8000, "a place": 4000, "B/s": 2500, "B/s at rest": 0}
        reaches = [
            Reach(f"{OURS}, sshd", name + end, bound)
            for name, bound in most.items()
            for end in (TERMINAL, LINE)
        ]
        measures = [name + end for name in names for end in (TERMINAL, LINE)]
        bench.play(Work("bytes through sshd, 80x24", everyone, reaches, measures), folder)


def main() -> int:
    def extend(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--seconds", type=float, help="how long a row is measured")
        parser.add_argument("--sshd", action="store_true", help="measure what crosses a real sshd instead")

    bench = Bench(__doc__, extend)
    seconds = bench.options.seconds or (2.0 if bench.quick else 20.0)
    bench.heading("Terminal", {name: version_of(python) for name, python in bench.ours.items()})
    measures = ("B/s", "repaints/s", "% of a CPU", "B/s at rest", "repaints/s at rest", "% of a CPU at rest")
    with bench.folder() as folder:
        if bench.options.sshd:
            play_remote(bench, folder, seconds)
            return 1 if bench.failed else 0
        for size, most in (((80, 24), 2500), ((200, 60), 5000)):
            everyone = []
            for mode, (words, more) in MODES.items():
                for name, python in bench.ours.items():
                    command = [*maap(python), "tui", *words]
                    look = partial(measure, command, more, size, seconds)
                    everyone.append(Client(f"{name}, {mode}", lambda home: [], {}, measure=look))
            reaches = [Reach(f"{OURS}, {SSH}", "B/s", most), Reach(f"{OURS}, {SSH}", "B/s at rest", 0)]
            reaches.append(Reach(f"{OURS}, {SSH}", "% of a CPU at rest", 0.2))
            bench.play(Work(f"8 transfers, {size[0]}x{size[1]}", everyone, reaches, measures), folder)
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
