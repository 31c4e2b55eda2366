"""What the app sends to a terminal: bytes and repaints a second, at rest and while 8 files come.

    python bench/terminal_bytes.py [--rounds N] [--quick] [--seconds S] [--only WORDS] [--beside NAME=PYTHON]

In Downloads, on terminals of 80x24 and of 200x60: as it is, with `--low-bandwidth`, and as it is over SSH,
which it knows by SSH_TTY. A row is measured for SECONDS (default 20), at rest for half of them.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.kit.harness import OURS, Bench, Client, Reach, Usage, Work, maap, version_of
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


def main() -> int:
    def extend(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--seconds", type=float, help="how long a row is measured")

    bench = Bench(__doc__, extend)
    seconds = bench.options.seconds or (2.0 if bench.quick else 20.0)
    bench.heading("Terminal", {name: version_of(python) for name, python in bench.ours.items()})
    measures = ("B/s", "repaints/s", "% of a CPU", "B/s at rest", "repaints/s at rest", "% of a CPU at rest")
    with bench.folder() as folder:
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
