"""A queue of files whose fetching a test decides on."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path

import pytest

from maap_tui.engine.download.downloads import Downloads
from maap_tui.engine.download.queue_store import (
    Queue,
)
from maap_tui.engine.download.requests import DownloadOutcome, DownloadRequest
from maap_tui.engine.download.tally import Tally
from maap_tui.engine.events import FileStarted
from maap_tui.engine.registry.entries import Key
from tests.engine.rules_kit import make_downloads

KEY = Key("EarthCARE", "Coll_MAAP", "CPR_CLD_2A", "BC")

DAY = date(2025, 12, 1)


@pytest.fixture
def queue_file(tmp_path: Path) -> Path:
    """Where the queue of a home is kept."""
    return tmp_path / "state" / "queue.sqlite3"


class Slow:
    """Fetches that last until they are let go, and count what runs."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.running = self.most = 0
        self.emit = lambda event: None

    async def fetch(self, wanted: DownloadRequest) -> DownloadOutcome:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            self.emit(FileStarted(wanted.url, wanted.path, 10, 0))
            await self.gate.wait()
            return DownloadOutcome(wanted.path, 10, 10, ("",))
        finally:
            self.running -= 1

    def set_connections(self, count: int, spare: object = None) -> None:
        """It has none."""


def make(
    queue: Queue | None = None, parallel: int = 4, *, is_watched: bool = True
) -> tuple[Downloads, Slow, Tally]:
    slow, tally = Slow(), Tally()

    def transfer(emit: object) -> Slow:
        slow.emit = emit  # type: ignore[assignment]
        return slow

    made = make_downloads(
        transfer,  # type: ignore[arg-type]
        parallel=parallel,
        emit=tally.apply,
        queue=queue,
        verb="app",
        is_watched=is_watched,
    )
    return made, slow, tally


def wanted_of(number: int) -> DownloadRequest:
    return DownloadRequest(f"https://a/{number}", Path(f"/data/{number}"), 10)


async def turns(count: int = 8) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def changes(downloads: Downloads) -> set[str]:
    return {url for url, _ in iter(downloads.take_change, None)}
