"""Pauses and cancels at random points: what works afterwards, and what is left open."""

from __future__ import annotations

import asyncio
import os
import random
from datetime import date
from pathlib import Path
from typing import Any

from maap_tui.demo import Archive
from maap_tui.engine.model import TimeRange
from maap_tui.engine.query import Query
from maap_tui.engine.session import Session
from tests.faults.figure import Figure
from tests.homes import NOW, PATIENCE_S

NAMES = ("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")


def _connections(port: int) -> int:
    """Established connections of this machine to or from a port."""
    lines = Path("/proc/self/net/tcp").read_text().splitlines()[1:]
    wanted = f":{port:04X}"
    return sum(wanted in (line.split()[1] + line.split()[2]) and line.split()[3] == "01" for line in lines)


def measure_storm(rounds: int, folder: Path) -> Figure:
    """F17: pauses and cancels of running downloads, then whether all come and nothing is left."""
    before = len(os.listdir("/proc/self/fd"))
    # Slow enough that most of what is stopped is in the middle of its body.
    with Archive.start(now=NOW, offline_days=36500, rate=8_000_000) as archive:
        home = folder / "home"
        archive.prepare(home)
        environ = {**archive.environment(home), "HOME": str(folder), "MAAP_DOWNLOADS_MIN_FREE": "0"}
        # Few connections, so that each one that were lost would be missed.
        environ |= {"MAAP_DOWNLOADS_PARALLEL": "1", "MAAP_SEARCH_PARALLEL": "1"}
        came, wanted, tasks = asyncio.run(_storm(rounds, environ))
        sockets = _connections(archive.port)
    # The archive is in this process too, and sees only in its own time that a connection was closed.
    files = len(os.listdir("/proc/self/fd")) - before
    left = f"{sockets} sockets, {tasks} tasks, {max(files, 0)} files left"
    return Figure(
        "F17",
        f"{rounds} pauses and cancels",
        "every download works, nothing left",
        f"{came} of {wanted} files; {left}",
        came == wanted and not (sockets or tasks or files > 0),
    )


async def _storm(rounds: int, environ: dict[str, str]) -> tuple[int, int, int]:
    chance = random.Random(17)
    query = Query(*NAMES, time=TimeRange.of_day(date(2025, 12, 1)), max_items=24)
    async with Session.load(environ=environ, bulk=True) as session:
        found = await session.search(query).granules()
        files = [session.filing.request_of(one, asset) for one in found for asset in one.files(("h5",))]
        begun = asyncio.all_tasks()
        async with session.downloads(verb="storm") as downloads:
            downloads.set_parallel(3)
            for one in files:
                downloads.add(one)
            for _ in range(rounds):
                await asyncio.sleep(chance.uniform(0, 0.004))
                running: list[Any] = [job for job in downloads.jobs.values() if job.state == "running"]
                url = [chance.choice(running or list(downloads.jobs.values())).wanted.url]
                downloads.pause(url) if chance.random() < 0.5 else downloads.cancel(url)
                # What has come is put back to be fetched again, so that there is always something to stop.
                for job in list(downloads.jobs.values()):
                    if job.state in ("finished", "skipped"):
                        job.wanted.path.unlink(missing_ok=True)
                        downloads.add(job.wanted)
                downloads.resume(url)
                downloads.retry(url)
            downloads.resume()
            downloads.retry([one.url for one in files])
            await asyncio.wait_for(downloads.join(), PATIENCE_S)
            came = sum(one.path.exists() and one.path.stat().st_size == one.size for one in files)
        tasks = len(asyncio.all_tasks() - begun)
    return came, len(files), tasks
