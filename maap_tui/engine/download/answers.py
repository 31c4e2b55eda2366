"""Answers: what the status and the headers of a file's server say, and its body unpacked."""

from __future__ import annotations

import re
import zlib
from collections.abc import AsyncIterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Protocol

from maap_tui.engine.download.requests import FailedTry, StartOver
from maap_tui.engine.errors import AuthenticationError
from maap_tui.engine.integrity.sums import BodySum, Sum, of_answer, of_body
from maap_tui.engine.net.http import Stream
from maap_tui.engine.net.statuses import BUSY, GONE, is_lasting, retry_after_s

_STRONG_S = 60
"""Seconds that a file has to be older than an answer for its date to stand for one version of it."""

_UNPACKED = 1 << 20
"""Bytes unpacked at a time."""


class Version(Protocol):
    """What is known of the version of a file of which some bytes are here."""

    @property
    def etag(self) -> str:
        """As the server sent it; '' where it sent none."""

    @property
    def modified(self) -> str:
        """Its `Last-Modified`; '' where it sent none."""

    @property
    def has_strong_etag(self) -> bool: ...


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
    if status in GONE:
        return FailedTry(f"{words}: the archive does not have it", status=status, permanent=True)
    if status in BUSY:
        return FailedTry(words, status=status, wait_s=retry_after_s(stream.headers), away=True)
    if 200 <= status < 300:
        return FailedTry(f"{words} came instead of the file", status=status)
    # Another try may ask for another range, or for the whole file.
    return FailedTry(words, status=status, permanent=is_lasting(status) and status not in (412, 416))


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


def content_range(headers: Mapping[str, str]) -> tuple[int | None, int, int | None]:
    """The range that came.

    Returns:
        Its first byte, None when the answer does not say; the first byte after it; bytes of the whole file,
        None when the answer does not say.
    """
    found = re.fullmatch(
        r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", headers.get("content-range", "").strip()
    )
    if found is None:
        return None, 0, None
    return int(found[1]), int(found[2]) + 1, None if found[3] == "*" else int(found[3])


def has_strong_date(headers: Mapping[str, str]) -> bool:
    """Whether the date of a file is old enough that no other version has it (RFC 9110 section 8.8.2.2)."""
    try:
        now = parsedate_to_datetime(headers["date"])
        return (now - parsedate_to_datetime(headers["last-modified"])).total_seconds() >= _STRONG_S
    except (KeyError, ValueError, TypeError):
        return False


def says_ranges(headers: Mapping[str, str]) -> bool:
    """Whether an answer says that ranges of bytes can be asked for."""
    return "bytes" in [unit.strip().lower() for unit in headers.get("accept-ranges", "").split(",")]


def can_be_followed(stream: Stream) -> bool:
    """Whether the answer to the first range of a file is the whole of it, or one that others can follow."""
    if stream.status != 206:
        return stream.status != 416
    begin, _, total = content_range(stream.headers)
    etag = stream.headers.get("etag", "").strip()
    is_strong = (bool(etag) and not etag.startswith("W/")) or has_strong_date(stream.headers)
    return begin == 0 and total is not None and is_strong and encoding_of(stream.headers) in ("", "identity")


def is_other_version(headers: Mapping[str, str], part: Version) -> bool:
    """Whether an answer says that the file is another version than what is here."""
    return any(old and new and old != new for old, new in _validators(headers, part))


def is_same_version(headers: Mapping[str, str], part: Version) -> bool:
    """Whether an answer says that the file is the version that is here."""
    etags, dates = _validators(headers, part)
    old, new = etags if part.has_strong_etag else dates
    return bool(old) and old == new


def _validators(headers: Mapping[str, str], part: Version) -> tuple[tuple[str, str], tuple[str, str]]:
    """ETag and date of what is here, each with that of an answer."""
    return (
        (part.etag, headers.get("etag", "").strip()),
        (part.modified, headers.get("last-modified", "").strip()),
    )


def body_size(stream: Stream) -> int | None:
    """Bytes of the whole file as the answer says; None when it does not."""
    if stream.status == 206:
        total = stream.headers.get("content-range", "").rpartition("/")[2]
        return int(total) if total.isdecimal() and len(total) < 19 else None
    if encoding_of(stream.headers) not in ("", "identity"):
        return None
    text = stream.headers.get("content-length", "").strip()
    return int(text) if text.isdecimal() and len(text) < 19 else None


def sums_of(stream: Stream) -> list[Sum]:
    """The sums of the whole file that an answer offers; those of a packed one speak of what is packed."""
    if encoding_of(stream.headers) not in ("", "identity"):
        return []
    return of_answer(stream.headers, is_whole=stream.status in (200, 203))


def body_of(stream: Stream) -> AsyncIterator[bytes]:
    """The raw body of an answer; that of a range is compared with the sum that comes with it, if one does."""
    offered = of_body(stream.headers) if stream.status == 206 else None
    return stream.chunks() if offered is None else _compared(stream, BodySum(offered))


async def _compared(stream: Stream, digest: BodySum) -> AsyncIterator[bytes]:
    """The body of a range; its last bytes only where all of it has its sum."""
    begin, end, _ = content_range(stream.headers)
    left = end - (begin or 0)
    async for chunk in stream.chunks():
        digest.add(chunk)
        left -= len(chunk)
        if left == 0 and not digest.agrees:
            raise StartOver(f"a range does not have the {digest.offered.source} that came with it")
        yield chunk


async def decoded(stream: Stream) -> AsyncIterator[bytes]:
    """The body, unpacked where a proxy packed it although it was asked not to."""
    encoding = encoding_of(stream.headers)
    if encoding in ("", "identity"):
        async for chunk in body_of(stream):
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
