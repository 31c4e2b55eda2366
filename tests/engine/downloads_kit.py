"""Files that wait until a test lets them go, and how far a queue of them is."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date
from pathlib import Path

from maap_tui.engine.download.downloads import Downloads
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.registry.entries import Key
from tests.engine.raw_files import FileServer, Request, answer
from tests.engine.transfer_kit import hdf5_body

KEY = Key("EarthCARE", "EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")

DAY = date(2026, 1, 14)


def tracked(wanted: DownloadRequest) -> DownloadRequest:
    """The same file, followed by the registry of `KEY`."""
    return replace(wanted, key=KEY, day=DAY)


class Gate:
    """A file on a FileServer whose body ends only when the test says so."""

    def __init__(self, size: int = 1000) -> None:
        self.body = hdf5_body(size)
        self.asked = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer("200 OK", self.body[:500], content_length=str(len(self.body)), etag='"one"'))
        self.asked.set()
        await self.open.wait()
        writer.write(self.body[500:])


def gated(raw: FileServer, folder: Path, count: int) -> tuple[list[Gate], list[DownloadRequest]]:
    gates = [Gate() for _ in range(count)]
    wanted = [DownloadRequest(raw.at(f"/{i}.h5", gate), folder / f"{i}.h5") for i, gate in enumerate(gates)]
    return gates, wanted


def states(downloads: Downloads) -> list[str]:
    return [job.state for job in downloads.jobs.values()]
