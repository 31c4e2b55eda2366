"""What lies between an engine and its archive: a proxy of the office, and a poor line."""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass, field

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter


async def _pass_on(reader: Reader, writer: Writer) -> None:
    with contextlib.suppress(ConnectionError, asyncio.CancelledError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@dataclass
class _Between:
    """Listens on a port of its own while it is open."""

    url: str = field(default="", init=False)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set, init=False)

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: Reader, writer: Writer) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self.serve(reader, writer)
        writer.close()

    async def serve(self, reader: Reader, writer: Writer) -> None:
        raise NotImplementedError


@dataclass
class ConnectProxy(_Between):
    """Leads every CONNECT to this machine, whatever the name."""

    asked: list[str] = field(default_factory=list)
    """Method and HOST:PORT of each."""

    async def serve(self, reader: Reader, writer: Writer) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, target, _ = head.split(" ", 2)
        self.asked.append(f"{method} {target}")
        inner = await asyncio.open_connection("127.0.0.1", int(target.rpartition(":")[2]))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_pass_on(reader, inner[1]), _pass_on(inner[0], writer))


@dataclass(kw_only=True)
class PoorLink(_Between):
    """A line to one port that is slow, far away and breaks now and then."""

    port: int
    delay_s: float
    """One way."""
    rate: float
    """Bytes a second, of all connections together."""
    loss: float
    """Share of the pieces of 16 KiB at which a connection breaks."""
    broken: int = 0
    """Connections that it broke."""
    _chance: random.Random = field(default_factory=lambda: random.Random(19))
    _free_at: float = 0.0

    async def serve(self, reader: Reader, writer: Writer) -> None:
        inner = await asyncio.open_connection("127.0.0.1", self.port)
        ways = (self._carry(reader, inner[1], writer), self._carry(inner[0], writer, inner[1]))
        await asyncio.gather(*ways)

    async def _carry(self, reader: Reader, writer: Writer, back: Writer) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            while data := await reader.read(16384):
                self._free_at = max(self._free_at, loop.time()) + len(data) / self.rate
                await asyncio.sleep(self.delay_s / 4 + self._free_at - loop.time())
                if self._chance.random() < self.loss:
                    self.broken += 1
                    back.transport.abort()
                    writer.transport.abort()
                    return
                writer.write(data)
                await writer.drain()
        writer.close()
