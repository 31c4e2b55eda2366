"""An archive that publishes day by day, with late and reprocessed granules, and syncs that are killed."""

from __future__ import annotations

import random
import re
import signal
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from maap_tui.demo import Archive
from maap_tui.demo.missions.base import Granule
from tests.faults.figure import Figure
from tests.faults.preloaded import Ended, Preloaded

COLLECTION, PRODUCT = "EarthCAREL2Validated_MAAP", "CPR_CLD_2A"
BASELINE = "BB"
"""Granules of before 2025-08-25 were made again and published from 2025-09-22 on; the others come daily."""
BEGIN = datetime(2025, 9, 21, tzinfo=UTC)
FRAME = "C"
WORDS = ("sync", COLLECTION, PRODUCT, BASELINE, "--frame", FRAME, "--format", "hdr", "--json")


class Published:
    """The archive from one moment to the next, and what there is of it."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.now = BEGIN

    def pass_time(self, time: timedelta) -> None:
        self.now += time
        self.archive.control(now=self.now.isoformat())

    def names(self, first: datetime) -> set[str]:
        """Granules of the frame that are published, and sensed from a moment on."""
        series = self.archive.content.series[PRODUCT, BASELINE]
        low = series.axis.first_ending(first.timestamp())
        found = (
            Granule(series, number)
            for start, end in series.numbers
            for number in range(max(int(start), low), int(end) + 1)
        )
        return {one.id for one in found if one.frame == FRAME and one.start >= first.timestamp()}


class Follower:
    """One home that is kept up to date by a command; its clock is that of this machine, a year ahead."""

    def __init__(self, archive: Archive, folder: Path) -> None:
        self.folder = folder / "home"
        self._archive = archive
        self._server = Preloaded(folder / "printed")
        self.told: Counter[str] = Counter()
        """How often each URL was reported as downloaded."""
        self.wrong: list[str] = []
        self.kills = 0
        archive.prepare(self.folder)

    def close(self) -> None:
        self._server.__exit__(None, None, None)

    @property
    def environ(self) -> dict[str, str]:
        return {
            **self._archive.environment(self.folder),
            "MAAP_DOWNLOADS_MIN_FREE": "0",
            "MAAP_RETRY_WAIT": "0.01",
            "MAAP_DOWNLOADS_RETRY_WAIT": "0.01",
        }

    def run(self, *words: str) -> None:
        """Sync, to the end."""
        self._take(self._server.run((*WORDS, *words), self.environ))

    def kill(self, after_s: float, *words: str) -> None:
        """Begin, and kill it some time later unless it has ended."""
        running = self._server.begin((*WORDS, *words), self.environ)
        running.go()
        if not running.has_ended_within(after_s):
            running.kill()
        ended = running.wait()
        self.kills += ended.code == -signal.SIGKILL
        self._take(ended)

    def _take(self, ended: Ended) -> None:
        if ended.code not in (0, -signal.SIGKILL):
            self.wrong.append(f"exit {ended.code}: {ended.err[-300:]}")
        self.told.update(url for url, state in ended.told.items() if state == "finished")

    def names(self) -> set[str]:
        """Granules that are recorded as downloaded; each line of them once."""
        lines = [
            line.partition("|")[0]
            for file in (self.folder / "registry" / "downloads").rglob("dwl_*.txt")
            for line in file.read_text().splitlines()
            if line and not line.startswith("#")
        ]
        self.wrong += [f"recorded twice: {url}" for url, count in Counter(lines).items() if count > 1]
        return {re.sub(r"\.\w+$", "", url.rpartition("/")[2]) for url in lines}


def measure_arrivals(days: int, folder: Path, *, kills: int = 3, seed: int = 1) -> Figure:
    """Let an archive publish for some days, and each day have a sync killed a few times, then run.

    Args:
        days: how many.
        folder: for its own use.
        kills: moments of a day at which it is killed.
        seed: of these moments.
    """
    chance = random.Random(seed)
    first = BEGIN - timedelta(days=40)
    since_last = ("--since-last", "--start", f"{first:%Y-%m-%d}")
    missed, late = [], 0
    with Archive.start(now=BEGIN.isoformat(), offline_days=36500) as archive:
        published = Published(archive)
        cursor, plain = Follower(archive, folder / "cursor"), Follower(archive, folder / "plain")
        try:
            cursor.run(*since_last)
            plain.run("--start", f"{first:%Y-%m-%d}", "--end", f"{BEGIN:%Y-%m-%d}")
            for _ in range(days):
                for _ in range(kills):
                    # The archive goes on while a killed run waits for the next one.
                    published.pass_time(timedelta(hours=24 / kills))
                    cursor.kill(chance.uniform(0.1, 1.5), *since_last)
                cursor.run(*since_last)
                # What `--days-back 3` means by the clock of the archive.
                last = published.now
                plain.run(
                    "--start", f"{last - timedelta(days=3):%Y-%m-%dT%H:%M:%SZ}", "--end", f"{last:%Y-%m-%d}"
                )
                missed.append(len(published.names(first) - cursor.names()))
            late = len(published.names(first) - plain.names())
            extra = len(cursor.names() - published.names(first))
        finally:
            cursor.close()
            plain.close()
    twice = sum(count - 1 for count in cursor.told.values())
    seen = f"{missed[-1]} missed, {max(missed)} on the worst day, {twice} twice, {extra} else; "
    seen += f"{late} missed by --days-back 3" + "".join(f"; {one}" for one in cursor.wrong)
    what = f"{days} days, {cursor.kills} kills, {len(cursor.told)} files"
    kept = not (any(missed) or twice or extra or cursor.wrong) and late > 0
    return Figure("arrivals", what, "0 missed, 0 twice", seen, kept)
