"""A loopback file server that sends what no HTTP library would, and a file on it with awkward habits."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""


Reply = bytes | Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


def answer(status: str, body: bytes = b"", **headers: str) -> bytes:
    """An answer whose length is right unless `headers` say otherwise; a value of "" leaves one out."""
    named = {"content_length": str(len(body)), "connection": "close", **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in named.items() if value]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1") + body


LOGIN_PAGE = b"<!DOCTYPE html><html><body>Sign in</body></html>"


def jwt(**claims: Any) -> str:
    """An offline token with these claims and a signature nobody checks."""
    parts = ({"alg": "HS256"}, {"typ": "Offline", "iat": 1_700_000_000, **claims})
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*texts, "c2lnbmF0dXJl"])


def hdf5_body(size: int, seed: int = 1, *, says: int | None = None) -> bytes:
    """Bytes with a version 2 superblock that gives `says`, or their own size, as the end of the file."""
    head = b"\x89HDF\r\n\x1a\n" + bytes([2, 8, 8, 0]) + struct.pack("<QQQ", 0, 2**64 - 1, says or size)
    return head + random.Random(seed).randbytes(size - len(head))


def token_reply(**changes: object) -> bytes:
    """What a token service answers; a value of None leaves a field as null."""
    body = json.dumps({"access_token": "access-1", "expires_in": 36000, **changes}).encode()
    return answer("200 OK", body, content_type="application/json")


NOT_DATA: dict[str, bytes] = {
    "accepted": answer("202 Accepted", b'{"message": "staging"}'),
    "no_content": answer("204 No Content", content_length=""),
    "json": answer("200 OK", b'{"error": "no"}', content_type="application/json"),
    "html_unlabelled": answer("200 OK", LOGIN_PAGE, content_type="application/octet-stream"),
    "html_after_blanks": answer("200 OK", b"\r\n  \r\n" + LOGIN_PAGE, content_type=""),
    "empty": answer("200 OK"),
    "empty_unmeasured": answer("200 OK", content_length=""),
    "wrong_magic": answer("200 OK", random.Random(1).randbytes(5000)),
    "truncated_hdf5": answer("200 OK", hdf5_body(5000, says=9000)),
    "short_hdf5": answer("200 OK", b"\x89HDF\r\n\x1a\n"),
    "length_as_text": answer("200 OK", hdf5_body(400), content_length="many"),
    "length_negative": answer("200 OK", hdf5_body(400), content_length="-5"),
    "length_twice": answer("200 OK", hdf5_body(400), content_length="400\r\nContent-Length: 399"),
    "garbage": b"\x00\xff\x16\x03 no HTTP at all\r\n\r\n" * 20,
    "nothing": b"",
    "huge_header": answer("200 OK", hdf5_body(400), x_huge="h" * 200_000),
    "endless_status": b"HTTP/1.1 200 " + b"O" * 100_000,
    "no_modification": answer("304 Not Modified", content_length=""),
    "unknown_status": answer("599 What", b"x"),
    "odd_encoding": answer("200 OK", hdf5_body(400), content_encoding="br"),
    "false_gzip": answer("200 OK", hdf5_body(400), content_encoding="gzip"),
    "multipart_range": answer("206 Partial Content", b"x" * 10, content_type="multipart/byteranges"),
    "redirect_nowhere": answer("302 Found"),
    "chunk_garbage": answer("200 OK", b"zz\r\nnope", content_length="", transfer_encoding="chunked"),
}
"""What a server may send in place of an HDF5 file, or of its whole."""


@dataclass
class FileServer:
    """Answers every path with its replies in turn, the last one for ever, and closes the connection.

    `/token` gives access tokens unless told otherwise.
    """

    replies: dict[str, list[Reply]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    url: str = ""
    host: str = "127.0.0.1"
    tls: ssl.SSLContext | None = None
    on_connect: Callable[[], object] = lambda: None
    """Called for each connection that opens."""
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> FileServer:
        await self.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Listen, after `close` on the same port as before."""
        port = int(self.url.rpartition(":")[2] or 0)
        self._server = await asyncio.start_server(self._accept, self.host, port, ssl=self.tls)
        self.url = (
            f"{'https' if self.tls else 'http'}://{self.host}:{self._server.sockets[0].getsockname()[1]}"
        )

    async def close(self) -> None:
        """Listen no more, and end what is being answered."""
        self._server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def at(self, path: str, *replies: Reply) -> str:
        """Set what a path answers; returns its URL."""
        self.replies[path] = list(replies)
        return self.url + path

    def asked(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.target == path]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self.on_connect()
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._answer(reader, writer)
        finally:
            self._open.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ", 2)
        pairs = (line.partition(":") for line in head[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        request = Request(method, target, headers, body)
        self.requests.append(request)
        if target == "/token" and target not in self.replies:
            writer.write(token_reply(access_token=f"access-{len(self.asked('/token'))}"))
        else:
            found = self.replies.get(target) or [answer("404 Not Found")]
            reply = found.pop(0) if len(found) > 1 else found[0]
            if isinstance(reply, bytes):
                writer.write(reply)
            else:
                await reply(request, writer)
        await writer.drain()


@dataclass
class RawFile:
    """A file on such a server, to be used as a reply; its habits can be changed between requests."""

    body: bytes
    etag: str = '"one"'
    modified: str = "Thu, 01 Jan 2026 00:00:00 GMT"
    cuts: list[int] = field(default_factory=list)
    """Body bytes after which each of the next answers ends."""
    ranges: bool = True
    accepts: str = ""
    """Value of Accept-Ranges."""
    date: str = ""
    """Date of the answers."""
    if_range: bool = True
    """Whether If-Range is looked at."""
    length: bool = True
    """Whether answers have a Content-Length."""
    shift: int = 0
    """Added to the start in Content-Range."""
    total: str = ""
    """Stands for the total in Content-Range."""
    served: int = 0
    """Body bytes sent."""
    starts: list[int] = field(default_factory=list)
    """First byte of each answer."""

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        headers = {"etag": self.etag, "last_modified": self.modified, "date": self.date}
        headers["accept_ranges"] = self.accepts
        status, begin, end = "200 OK", 0, len(self.body)
        asked = request.headers.get("range", "")
        condition = request.headers.get("if-range", "")
        fits = not condition or not self.if_range or condition in (self.etag, self.modified)
        if asked and self.ranges and fits and not condition.startswith("W/"):
            first, _, last_asked = asked.removeprefix("bytes=").partition("-")
            begin, end = int(first), int(last_asked or len(self.body)) + 1
            self.starts.append(begin)
            if begin >= len(self.body):
                whole = f"bytes */{len(self.body)}"
                writer.write(answer("416 Range Not Satisfiable", content_range=whole))
                return
            status, last = "206 Partial Content", min(end, len(self.body)) - 1
            total = self.total or str(len(self.body))
            headers["content_range"] = f"bytes {begin + self.shift}-{last + self.shift}/{total}"
        else:
            self.starts.append(begin)
        body = self.body[begin:end]
        length = str(len(body)) if self.length else ""
        if self.cuts:
            body = body[: self.cuts.pop(0)]
        self.served += len(body)
        # The head is made with the whole length, then the body may end early.
        writer.write(answer(status, body, **{**headers, "content_length": length}))
