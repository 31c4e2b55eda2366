"""Answers: what the status and the headers of a file's server say, and its body unpacked."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Mapping

from maap_tui.engine.download.requests import FailedTry, StartOver
from maap_tui.engine.errors import AuthenticationError
from maap_tui.engine.net.http import Stream
from maap_tui.engine.net.statuses import BUSY, retry_after_s

_UNPACKED = 1 << 20
"""Bytes unpacked at a time."""


def refusal_of(stream: Stream) -> FailedTry:
    """A status other than success as the failure of a try."""
    status = stream.status
    words = f"{status} {stream.reason}".strip()
    if status == 403:
        return FailedTry(
            f"{words}: your account may not have this file, or it is missing at the archive",
            status=403,
            permanent=True,
        )
    if status in (404, 410):
        return FailedTry(f"{words}: the archive does not have it", status=status, permanent=True)
    if status in BUSY:
        return FailedTry(words, status=status, wait_s=retry_after_s(stream.headers), away=True)
    if 200 <= status < 300:
        return FailedTry(f"{words} came instead of the file", status=status)
    return FailedTry(words, status=status, permanent=status in (400, 405, 451))


def token_refusal_of(stream: Stream) -> AuthenticationError:
    """What it means when also a fresh access token is refused."""
    if stream.status == 401:
        return AuthenticationError(
            "401 Unauthorized: the archive refuses a fresh access token",
            "Sign in at the portal once and accept the terms, or get a new offline token.",
        )
    return AuthenticationError(
        "The archive answered with a web page (a sign-in page?) in place of data, also to a fresh token",
        "Sign in at the portal once and accept the terms, or get a new offline token.",
    )


def is_all_there(stream: Stream, length: int) -> bool:
    """Whether the server says that nothing follows the bytes that are here."""
    return stream.status == 416 and stream.headers.get("content-range", "").strip() == f"bytes */{length}"


def is_login_page(stream: Stream) -> bool:
    """Whether a web page came where a file was asked for."""
    kind = stream.headers.get("content-type", "").lower()
    return stream.status == 200 and kind.startswith(("text/html", "application/xhtml"))


def encoding_of(headers: Mapping[str, str]) -> str:
    """How a body is packed, in lower case; '' or 'identity' for one that is not."""
    return headers.get("content-encoding", "").strip().lower()


def body_size(stream: Stream) -> int | None:
    """Bytes of the whole file as the answer says; None when it does not."""
    if stream.status == 206:
        total = stream.headers.get("content-range", "").rpartition("/")[2]
        return int(total) if total.isdecimal() and len(total) < 19 else None
    if encoding_of(stream.headers) not in ("", "identity"):
        return None
    text = stream.headers.get("content-length", "").strip()
    return int(text) if text.isdecimal() and len(text) < 19 else None


async def decoded(stream: Stream) -> AsyncIterator[bytes]:
    """The body, unpacked where a proxy packed it although it was asked not to."""
    encoding = encoding_of(stream.headers)
    if encoding in ("", "identity"):
        async for chunk in stream.chunks():
            yield chunk
        return
    if encoding not in ("gzip", "x-gzip", "deflate") or stream.status == 206:
        raise FailedTry(f"it came packed as '{encoding[:20]}', which is not understood here")
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        async for chunk in stream.chunks():
            # A little at a time: packed zeros unpack to a thousand times their size.
            while data := unpack.decompress(chunk, _UNPACKED):
                yield data
                chunk = unpack.unconsumed_tail
    except zlib.error as error:
        raise StartOver(f"it could not be unpacked ({error})") from None
    if not unpack.eof:
        raise StartOver("the packed body ended too early")
