"""What leaves on the wire: bodies paced, cut, stalled or mislabelled as a plan says.

Faults that a well-behaved server refuses to send are written to the transport itself.
"""

from __future__ import annotations

import asyncio
import gzip
import http
import socket
from collections.abc import Callable

from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from maap_tui.demo.faults import Plan

PIECE = 256 * 1024
"""Bytes handed over at once: what a client that leaves never got is then hardly counted as sent."""

SLICES_PER_S = 20
"""Pieces a second in which a paced body is sent."""


class WireProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, with the transport within reach of the application."""

    opened: Callable[[], None] | None = None
    """Called for each new connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Header and body leave in two writes: without this the second waits for the client's delayed ACK.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.opened is not None:
            self.opened()
        application = self.app

        async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            scope["extensions"] = {"demo.transport": transport, "demo.flow": self.flow}
            await application(scope, receive, send)

        self.app = with_transport


class Gone(Exception):
    """The connection was closed on purpose; nothing more is to be sent."""


class FaultySender:
    """An ASGI `send` that spoils the body as planned."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, plan: Plan, count: Callable[[int, bool], None]
    ) -> None:
        self._transport: asyncio.Transport = scope["extensions"]["demo.transport"]
        self._flow = scope["extensions"]["demo.flow"]
        self._receive = receive
        self._send = send
        self._plan = plan
        self._count = count
        self._head = scope["method"] == "HEAD"
        self._raw = plan.wrong_length is not None or plan.cut_nolength is not None
        self._start: Message = {}
        self._held = b""
        self._sent = 0
        self._length = -1
        limits = (plan.cut_after, plan.cut_nolength, plan.stall_after, plan.drip_after)
        self._limit = min((limit for limit in limits if limit is not None), default=None)
        self.status = 0
        """Status of the response, 0 until it began."""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._start = message
            if not self._plan.gzip:
                await self._begin(message)
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        if self._plan.gzip:
            self._held += body
            if more:
                return
            body = gzip.compress(self._held, 1, mtime=0)
            await self._begin(self._encoded(len(body)))
        await self._body(body)
        if not more:
            await self._finish()

    def _encoded(self, length: int) -> Message:
        drop = (b"content-length", b"accept-ranges")
        headers = [(k, v) for k, v in self._start["headers"] if k not in drop]
        headers += [(b"content-encoding", b"gzip"), (b"content-length", str(length).encode())]
        return {**self._start, "headers": headers}

    async def _begin(self, message: Message) -> None:
        self._length = int(dict(message["headers"]).get(b"content-length", -1))
        if not self._raw:
            await self._send(message)
            return
        headers = dict(message["headers"])
        if self._plan.cut_nolength is not None:
            headers.pop(b"content-length", None)
        elif b"content-length" in headers and self._plan.wrong_length is not None:
            wrong = max(0, int(headers[b"content-length"]) + self._plan.wrong_length)
            headers[b"content-length"] = str(wrong).encode()
        headers[b"connection"] = b"close"
        phrase = http.HTTPStatus(message["status"]).phrase
        lines = [f"HTTP/1.1 {message['status']} {phrase}".encode()]
        lines += [key + b": " + value for key, value in headers.items()]
        self._transport.write(b"\r\n".join(lines) + b"\r\n\r\n")

    async def _put(self, data: bytes) -> None:
        if self._transport.is_closing():
            await self._until_gone()
        self._sent += len(data)
        self._count(len(data), self._sent == self._length)
        if self._raw:
            self._transport.write(data)
            await self._flow.drain()
        else:
            await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def _body(self, data: bytes) -> None:
        if self._head or not data:
            return
        if self._limit is None:
            await self._paced(data)
            return
        room = max(0, self._limit - self._sent)
        await self._paced(data[:room])
        if len(data) <= room and self._sent < self._limit:
            return
        plan = self._plan
        if self._limit in (plan.cut_after, plan.cut_nolength):
            await self.hang_up()
        elif self._limit == plan.stall_after:
            await self._until_gone()
        for i in range(room, len(data)):
            await self._wait(1.0)
            await self._put(data[i : i + 1])

    async def _paced(self, data: bytes) -> None:
        if self._plan.rate is None:
            for i in range(0, len(data), PIECE):
                await self._put(data[i : i + PIECE])
            return
        size = max(1, int(self._plan.rate / SLICES_PER_S))
        for i in range(0, len(data), size):
            piece = data[i : i + size]
            await self._put(piece)
            await self._wait(len(piece) / self._plan.rate)

    async def _finish(self) -> None:
        if self._raw:
            await self.hang_up()
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _wait(self, seconds: float) -> None:
        """Sleep, but no longer than the client stays."""
        try:
            async with asyncio.timeout(seconds):
                await self._until_gone()
        except TimeoutError:
            pass

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        raise Gone

    async def hang_up(self) -> None:
        """Send what is written, close the connection and never answer again."""
        self._transport.close()
        await self._until_gone()
