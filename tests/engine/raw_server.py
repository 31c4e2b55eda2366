"""A catalogue that says exactly what a test tells it to, for answers that no HTTP library would give."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

COLLECTION = "EarthCAREL2Validated_MAAP"
QUERYABLES = {
    "properties": {
        "product:type": {"enum": ["CPR_CLD_2A", "ATL_EBD_2A"]},
        "version": {"enum": ["ba", "bc"]},
        "sat:absolute_orbit": {},
        "frame": {},
    }
}


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    """Path and query."""
    body: Any
    """JSON of the body, None without one."""


Answer = dict[str, Any] | bytes | tuple[int, dict[str, Any] | bytes]
"""JSON, a body as it stands, or either with a status; bytes that begin with HTTP/ are the whole answer."""


class RawServer:
    """Serves on loopback while it is entered; queryables are answered by itself."""

    def __init__(self, answer: Callable[[Asked], Answer], *, queryables: dict[str, Any] = QUERYABLES) -> None:
        self._answer = answer
        self._queryables = queryables
        self.asked: list[Asked] = []
        self.failure: BaseException | None = None

    async def __aenter__(self) -> RawServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/catalogue/"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        if self.failure is not None:
            raise self.failure

    @property
    def searches(self) -> list[Asked]:
        return [asked for asked in self.asked if urlsplit(asked.path).path.endswith("/search")]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, _ = head[0].split(" ")
            fields = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
            data = await reader.readexactly(int(fields.get("content-length", 0)))
            asked = Asked(method, path, json.loads(data) if data else None)
            self.asked.append(asked)
            answer = {**self._queryables} if path.endswith("/queryables") else self._answer(asked)
            writer.write(_bytes_of(answer))
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except Exception as error:  # a mistake of the test itself: shown when the server is left
            self.failure = error
        finally:
            writer.close()


def _bytes_of(answer: Answer) -> bytes:
    status, body = answer if isinstance(answer, tuple) else (200, answer)
    if isinstance(body, bytes) and body.startswith(b"HTTP/"):
        return body
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} Reason\r\ncontent-length: {len(data)}\r\nconnection: close\r\n\r\n"
    return head.encode() + data


def item(start: datetime, orbit: int = 8574, frame: str = "A", **changes: Any) -> dict[str, Any]:
    """An EarthCARE item that starts then."""
    stamp = start.astimezone(UTC).strftime("%Y%m%dT%H%M%S")
    identity = f"ECA_EXBC_CPR_CLD_2A_{stamp}Z_20251231T000000Z_{orbit:05d}{frame}"
    href = f"http://127.0.0.1:1/data/EarthCARE/CPR_CLD_2A/BC/{start:%Y/%m/%d}/{identity}/{identity}.h5"
    return {
        "type": "Feature",
        "id": identity,
        "properties": {"product:type": "CPR_CLD_2A", "version": "bc"},
        "assets": {"enclosure_h5": {"href": href, "file:size": 5}},
        **changes,
    }


def page(items: list[Any], matched: int | None = None, **following: Any) -> dict[str, Any]:
    """A page of results; `following` are the fields of its next link."""
    links = [{"rel": "next", **following}] if following else []
    found: dict[str, Any] = {"type": "FeatureCollection", "features": items, "links": links}
    return found if matched is None else {**found, "numberMatched": matched}
