"""A large file in small pieces, at a server that has several connections for it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from maap_tui.engine.download.requests import DownloadOutcome, DownloadRequest
from maap_tui.engine.download.transfer import Transfer
from maap_tui.engine.events import BytesReceived
from tests.engine.raw_files import FileServer, RawFile, Request, answer
from tests.engine.transfer_kit import Kit, hdf5_body, open_sockets

PIECE = 256 * 1024

SIZE = 10 * PIECE + 1000

H5 = "/file.h5"

BODY = hdf5_body(SIZE)

OTHER = hdf5_body(SIZE, 2)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of a few MB has pieces enough to share out."""
    for module in ("ahead", "part", "ranges", "transfer"):
        monkeypatch.setattr(f"maap_tui.engine.download.{module}.PIECE", PIECE)
    monkeypatch.setattr("maap_tui.engine.download.part.NOTED", PIECE // 2)


@dataclass
class Shared(RawFile):
    """A file that says it has ranges, and counts the connections that are open as each is asked for."""

    accepts: str = "bytes"
    server: FileServer | None = None
    open_at_once: list[int] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set as a range is asked for."""
    instead: Callable[[Request], bytes] | None = None
    """What answers a range in place of it; b"" for the range itself."""
    gate: asyncio.Event | None = None
    """Set when what follows the first bytes of an answer may come."""
    holds_ranges: bool = True
    """Whether it counts for ranges too."""

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if self.server is not None:
            self.open_at_once.append(open_sockets(self.server.url))
        if "range" in request.headers:
            self.asked.set()
            if self.instead is not None and (reply := self.instead(request)):
                writer.write(reply)
                return
        is_held = self.holds_ranges or "range" not in request.headers
        if self.gate is None or self.gate.is_set() or not is_held:
            await super().__call__(request, writer)
            return
        kept: list[bytes] = []
        await super().__call__(request, _Keeping(kept))  # type: ignore[arg-type]
        whole = b"".join(kept)
        writer.write(whole[: PIECE // 2])
        await writer.drain()
        await self.gate.wait()
        writer.write(whole[PIECE // 2 :])


@dataclass
class _Keeping:
    """Takes what is written."""

    kept: list[bytes]

    def write(self, data: bytes) -> None:
        self.kept.append(data)


def hashes(body: bytes) -> tuple[str, ...]:
    return tuple(
        hashlib.sha256(body[offset : offset + PIECE]).hexdigest() for offset in range(0, len(body), PIECE)
    )


def make(parts: Kit, connections: int = 16) -> Transfer:
    transfer = parts.transfer()
    transfer.set_connections(connections)
    return transfer


async def fetch(
    parts: Kit, file: RawFile, raw: FileServer, folder: Path, size: int | None = None
) -> DownloadOutcome:
    if H5 not in raw.replies:
        raw.at(H5, file)
    return await make(parts).fetch(DownloadRequest(raw.url + H5, folder / "a.h5", size))


def whole(request: Request) -> bytes:
    return answer("200 OK", BODY, etag='"one"')


def here(parts: Kit) -> int:
    return sum(event.count for event in parts.told(BytesReceived))
