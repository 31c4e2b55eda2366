"""Measure the queue on the screen: how long the app stands still while many files come, pause and go.

    python bench/queueing.py [FILES ...] [--rounds N] [--quick]

FILES at once (default 1,000, 10,000 and 50,000). The archive is never asked: no credentials are there, so
that all of them wait. A stall is the longest time between two turns of the app's loop, "of work" the
longest processor time in one turn, which other programs do not lengthen; "shown" is when the list has
every row in its new state.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.kit.harness import OURS, Bench, version_of
from maap_tui.engine.download.queue_store import Queue, QueueRow
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.session import Session
from maap_tui.tui.app import MaapApp
from maap_tui.tui.dialogs.confirm import ConfirmDialog
from maap_tui.tui.screens.downloads.screen import DownloadsScreen

KEY = Key("EarthCARE", "EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")
PER_DAY = 16
SIZE = (120, 40)


class Heartbeat:
    """Notes the longest time that the loop it runs in did not come round, and the processor time of that."""

    def __init__(self) -> None:
        self.longest = self.busy = 0.0

    async def beat(self) -> None:
        last, worked = time.perf_counter(), time.thread_time()
        while True:
            await asyncio.sleep(0.001)
            now, work = time.perf_counter(), time.thread_time()
            self.longest = max(self.longest, now - last - 0.001)
            self.busy = max(self.busy, work - worked)
            last, worked = now, work

    def take(self) -> tuple[float, float]:
        noted = self.longest, self.busy
        self.longest = self.busy = 0.0
        return noted


def files_of(session: Session, count: int) -> list[DownloadRequest]:
    """Files as a search hands them to the queue."""
    found: list[DownloadRequest] = []
    for number in range(count):
        day = date.fromordinal(date(2016, 1, 1).toordinal() + number // PER_DAY)
        name = (
            f"ECA_EXBC_CPR_CLD_2A_{day:%Y%m%d}T{number % 24:02d}1500Z_{day:%Y%m%d}T235959Z_{number:05d}D.h5"
        )
        url = f"{session.settings.api.catalog_url}data/{number}/{name}"
        wanted = session.filing.request_of_tracked(TrackedFile(KEY, day, url))
        found.append(wanted)
    return found


async def until(condition: Callable[[], object], seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit("it did not come true in time")
        await asyncio.sleep(0.01)


async def opened(app: MaapApp) -> DownloadsScreen:
    await until(lambda: isinstance(app.screen, DownloadsScreen) and app.screen.children)
    assert isinstance(app.screen, DownloadsScreen)
    return app.screen


async def measure(count: int, home: Path) -> list[tuple[str, float, float, float]]:
    """(what was done, longest stall, longest work at a stretch, time until all rows showed it), in s."""
    session = Session.load(environ={"MAAP_HOME": str(home), "HOME": str(home)})
    app = MaapApp(session)
    rows: list[tuple[str, float, float, float]] = []
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("3")
        screen = await opened(app)
        files = files_of(session, count)
        heart = Heartbeat()
        beating = asyncio.create_task(heart.beat())
        await asyncio.sleep(0.5)

        async def step(what: str, do: Callable[[Pilot[Any]], Awaitable[object]], state: str | None) -> None:
            heart.take()
            begun = time.perf_counter()
            await do(pilot)
            table = screen.table
            await until(
                lambda: (
                    app.screen is screen
                    and (
                        not table.rows
                        if state is None
                        else screen.head.counts[state] == count == len(table.rows)
                    )
                )
            )
            shown = time.perf_counter() - begun
            await asyncio.sleep(1.0)
            rows.append((what, *heart.take(), shown))

        async def press(*keys: str) -> None:
            for key in keys:
                app.post_message(_key(app, key))
                await asyncio.sleep(0.02)

        async def answer(key: str) -> None:
            await press(key)
            await until(lambda: isinstance(app.screen, ConfirmDialog))
            await asyncio.sleep(0.3)
            await press("y")

        async def mark_and_cancel() -> None:
            await press("a")
            await until(lambda: len(screen.table.marks) == count)
            await answer("x")

        await step("queue", lambda _: app.backend.queue_files(files), "waiting")
        await step(
            "pause all", lambda _: app.backend.with_transfers(lambda transfers: transfers.pause()), "paused"
        )
        await step("cancel marked", lambda _: mark_and_cancel(), "cancelled")
        await step("clear", lambda _: answer("C"), None)
        beating.cancel()
    return rows


async def measure_left(count: int, home: Path) -> list[tuple[str, float, float, float]]:
    """The same for files that a dead process left: the app opens, offers them, goes on with them."""
    session = Session.load(environ={"MAAP_HOME": str(home), "HOME": str(home)})
    queue = Queue(session.dirs.queue_file)
    queue.save(
        QueueRow(str(wanted.path), wanted.url, "waiting", position=float(number), changed=time.time())
        for number, wanted in enumerate(files_of(session, count))
    )
    queue.close()
    app = MaapApp(session)
    heart = Heartbeat()
    rows: list[tuple[str, float, float, float]] = []
    async with app.run_test(size=SIZE):
        beating = asyncio.create_task(heart.beat())
        begun = time.perf_counter()
        await until(lambda: isinstance(app.screen, ConfirmDialog))
        shown = time.perf_counter() - begun
        await asyncio.sleep(1.0)
        rows.append(("offer what is left", *heart.take(), shown))
        begun = time.perf_counter()
        app.post_message(_key(app, "g"))
        screen = await opened(app)
        await until(lambda: screen.head.counts["waiting"] == count == len(screen.table.rows))
        shown = time.perf_counter() - begun
        await asyncio.sleep(1.0)
        rows.append(("go on with it", *heart.take(), shown))
        beating.cancel()
    return rows


def _key(app: MaapApp, key: str) -> Any:
    from textual.events import Key as KeyEvent

    return KeyEvent(key, key if len(key) == 1 else None)


def main() -> None:
    def extend(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("files", nargs="*", type=int, help="files at once")

    bench = Bench(__doc__, extend)
    os.environ.pop("MAAP_TOKEN", None)
    bench.heading("Queue on the screen", {OURS: version_of(sys.executable)})
    print("| files | done to them | longest stall ms | of work ms | shown after s |")
    print("|---|---|---|---|---|")
    for count in bench.options.files or ([20] if bench.quick else [1_000, 10_000, 50_000]):
        for play in (measure, measure_left):
            taken: dict[str, list[list[float]]] = {}
            for _ in range(bench.rounds):
                with tempfile.TemporaryDirectory() as folder:
                    for what, *figures in asyncio.run(play(count, Path(folder))):
                        taken.setdefault(what, []).append(figures)
            for what, rounds in taken.items():
                stall, busy, shown = (statistics.median(column) for column in zip(*rounds, strict=True))
                cells = f"{stall * 1000:.0f} | {busy * 1000:.0f} | {shown:.2f}"
                print(f"| {OURS}, {count:,} | {what} | {cells} |", flush=True)
    print(f"\n{bench.load()}\n")


if __name__ == "__main__":
    main()
