"""A long line: what is sent over it arrives later, each way half a round trip, and it has to be opened first.

    python bench/kit/proxy.py PORT ROUND_TRIP_S

The first line that it prints is its own port on 127.0.0.1. A client finds its connection open at once, so
the round trip that opening takes is added to its first bytes. There is no slow start and no loss.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque


class End(asyncio.Protocol):
    """One end of a connection: what arrives here leaves the other end a delay later."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.other: End | None = None
        self.opened = 0.0
        """When, on the loop's clock, a real line would be open."""
        self.transport: asyncio.Transport | None = None
        self.waiting: deque[bytes | None] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.flush()

    def data_received(self, data: bytes) -> None:
        self._later(data)

    def eof_received(self) -> bool:
        self._later(None)
        return True

    def connection_lost(self, error: Exception | None) -> None:
        self._later(None)

    def _later(self, data: bytes | None) -> None:
        loop = asyncio.get_running_loop()
        if self.other is not None:
            loop.call_at(max(loop.time(), self.opened) + self.delay, self.other.send, data)

    def send(self, data: bytes | None) -> None:
        """Send it from here; None closes."""
        self.waiting.append(data)
        self.flush()

    def flush(self) -> None:
        while self.transport is not None and self.waiting:
            data = self.waiting.popleft()
            if data is None:
                self.transport.close()
            elif not self.transport.is_closing():
                self.transport.write(data)


class Near(End):
    """The client's end; the far one is connected when it is there."""

    def __init__(self, port: int, round_trip: float) -> None:
        super().__init__(round_trip / 2)
        self.port = port
        self.round_trip = round_trip
        self.task: asyncio.Task[object] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        loop = asyncio.get_running_loop()
        far = End(self.delay)
        far.other, self.other = self, far
        self.opened = loop.time() + self.round_trip
        self.task = loop.create_task(loop.create_connection(lambda: far, "127.0.0.1", self.port))


async def main() -> None:
    port, round_trip = int(sys.argv[1]), float(sys.argv[2])
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Near(port, round_trip), "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
