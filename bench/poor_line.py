"""Measure the keys over a poor line: how long the app stands still while files come over it, with keys typed.

    python bench/poor_line.py [FILES] [--rounds N] [--quick]

FILES of 400 kB each (default 12) over a line of 8 Mbit/s with 200 ms and breaks, row N19 of the faults. The
far end and the line are threads of the same process, so that the figures are rather too high. A stall is
the longest time between two turns of the app's loop, "of work" the longest processor time in one turn.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.kit.harness import OURS, Bench, version_of
from bench.queueing import Heartbeat, until
from maap_tui.engine.model import TimeRange
from maap_tui.engine.query import Query
from maap_tui.engine.session import Session
from maap_tui.tui.app import MaapApp
from maap_tui.tui.screens.downloads.screen import DownloadsScreen
from tests.engine.raw_files import RawFile, hdf5_body
from tests.faults.links import PoorLink
from tests.faults.stage import DAY, NAMES, Stage

KEYS = ("j", "k", "1", "3", "down", "up", "4", "3", "2", "3")


async def measure(stage: Stage, count: int) -> tuple[float, float]:
    """(longest stall, longest work in one turn) in seconds, until `count` files are here."""
    environ = {name: value for name, value in stage.environment.items() if "RETR" not in name}
    app = MaapApp(Session.load(environ=environ, bulk=True))
    async with app.run_test(size=(80, 24)) as pilot:
        for key in "23413":  # every mode is made once before
            await pilot.press(key)
        await until(lambda: isinstance(app.screen, DownloadsScreen))
        heart = Heartbeat()
        beating = asyncio.create_task(heart.beat())
        syncing = asyncio.create_task(app.backend.sync(Query(*NAMES, time=TimeRange.of_day(DAY.date()))))
        number = 0
        while len(stage.finals) < count or not syncing.done():
            await pilot.press(KEYS[number % len(KEYS)])
            await asyncio.sleep(0.2)
            number += 1
        beating.cancel()
        await syncing
        return heart.take()


def main() -> None:
    def extend(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("files", nargs="?", type=int, help="files that come")

    bench = Bench(__doc__, extend)
    count = bench.options.files or (1 if bench.quick else 12)
    bench.heading("Keys over a poor line", {OURS: version_of(sys.executable)})
    stalls, works, broken = [], [], 0
    for _ in range(bench.rounds):
        with tempfile.TemporaryDirectory() as folder, Stage(Path(folder)) as stage:
            link = PoorLink(port=int(stage.url.rpartition(":")[2]), delay_s=0.2, rate=1_000_000, loss=0.02)
            stage.open(link)
            stage.move(link.url)
            for number in range(count):
                body = hdf5_body(400_000, seed=number)
                stage.add(RawFile(body, etag=f'"{number}"'), body=body, size=len(body))
            stall, work = asyncio.run(measure(stage, count))
            stalls.append(stall * 1000)
            works.append(work * 1000)
            broken += link.broken
    print("| files | breaks of all rounds | longest stall ms | of work ms |\n|---|---|---|---|")
    print(
        f"| {OURS}, {count} | {broken} | {statistics.median(stalls):.0f} | {statistics.median(works):.0f} |"
    )
    print(f"\n{bench.load()}\n")


if __name__ == "__main__":
    main()
