"""What lies between an engine and its archive: a proxy of the office, and a poor line."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import random
import re
import ssl
from dataclasses import dataclass, field
from urllib.parse import urlsplit

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
    tls: ssl.SSLContext | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set, init=False)

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self.tls)
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
    """Leads every CONNECT, and every plain request, to this machine, whatever the name."""

    asked: list[str] = field(default_factory=list)
    """Method and HOST:PORT, or the URL, of each."""
    instead: bytes = b""
    """What it answers in place of doing so."""
    wants: str = ""
    """USER:PASSWORD without which it does nothing; '' for anybody."""

    async def serve(self, reader: Reader, writer: Writer) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, target, _ = head.split(" ", 2)
        self.asked.append(f"{method} {target}")
        given = re.search(r"(?im)^proxy-authorization: basic (\S+)", head)
        if self.wants and (given is None or base64.b64decode(given[1]).decode() != self.wants):
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
            return
        if self.instead:
            writer.write(self.instead)
            return
        port = urlsplit(target if "://" in target else f"//{target}").port
        inner = await asyncio.open_connection("127.0.0.1", port)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            inner[1].write(head.encode("latin-1"))
        await asyncio.gather(_pass_on(reader, inner[1]), _pass_on(inner[0], writer))


@dataclass(kw_only=True)
class SocksProxy(_Between):
    """Leads every connection to this machine, whatever the name (SOCKS 5, RFC 1928 and RFC 1929)."""

    asked: list[str] = field(default_factory=list)
    """HOST:PORT of each."""
    wants: str = ""
    """USER:PASSWORD without which it does nothing; '' for anybody."""

    async def serve(self, reader: Reader, writer: Writer) -> None:
        await reader.readexactly((await reader.readexactly(2))[1])
        writer.write(b"\x05\x02" if self.wants else b"\x05\x00")
        if self.wants:
            user = await reader.readexactly((await reader.readexactly(2))[1])
            password = await reader.readexactly((await reader.readexactly(1))[0])
            is_right = b":".join((user, password)).decode() == self.wants
            writer.write(b"\x01\x00" if is_right else b"\x01\x01")
            if not is_right:
                return
        assert (await reader.readexactly(4))[3] == 3, "a name, and no address that was looked up here"
        host = await reader.readexactly((await reader.readexactly(1))[0])
        port = int.from_bytes(await reader.readexactly(2), "big")
        self.asked.append(f"{host.decode()}:{port}")
        inner = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x05\x00\x00\x01" + bytes(6))
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
