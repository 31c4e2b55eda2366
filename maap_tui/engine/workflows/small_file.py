"""A small file of the archive as bytes, for what is looked into and not kept."""

from __future__ import annotations

from maap_tui.engine.download.answers import body_size, decoded, is_login_page, refusal_of
from maap_tui.engine.download.requests import FailedTry, StartOver
from maap_tui.engine.errors import DownloadError, InvalidRequestError
from maap_tui.engine.net.faults import TransportFault
from maap_tui.engine.net.http import Stream
from maap_tui.engine.workflows.parts import Parts
from maap_tui.text import format_bytes


async def fetch_small(parts: Parts, url: str, noun: str, most: int, hint: str = "") -> bytes:
    """The bytes of a file; the token goes along only where it is asked for, and only to the archive.

    Args:
        parts: the engine.
        url: its address.
        noun: what it is, as a sentence begins with it.
        most: bytes that it may have.
        hint: what to do where it has more.

    Raises:
        InvalidRequestError: it is larger.
        DownloadError: the archive refuses it, or does not send it.
        CredentialsError, AuthenticationError: it needs a token, and there is none that is good.
    """
    token = None
    for tries_left in (2, 1, 0):
        try:
            async with parts.http.stream(url, token=token) as stream:
                is_refused = stream.status in (401, 403) or is_login_page(stream)
                if not (is_refused and tries_left and parts.http.may_carry_token(url)):
                    return await _body(stream, url, noun, most, hint)
        except TransportFault as fault:
            words = f"{noun}: {fault.message}"
            raise DownloadError(
                url, words, fault.status, permanent=fault.permanent, hint=fault.hint
            ) from fault
        token = await parts.tokens.access_token(token or "")
    raise AssertionError("the last answer is final")


async def _body(stream: Stream, url: str, noun: str, most: int, hint: str) -> bytes:
    if stream.status != 200:
        refusal = refusal_of(stream)
        raise DownloadError(url, f"{noun}: {refusal.reason}", refusal.status, permanent=refusal.permanent)
    if is_login_page(stream):
        words = f"A web page (a sign-in page?) came in place of {noun[0].lower()}{noun[1:]}"
        raise DownloadError(url, words, stream.status)
    size = body_size(stream)
    if size is not None:
        demand_small(size, noun, most, hint)
    body = bytearray()
    try:
        async for chunk in decoded(stream):
            body += chunk
            demand_small(len(body), noun, most, hint, is_all=False)
    except (FailedTry, StartOver) as error:
        raise DownloadError(url, f"{noun}: {error}") from None
    if size is not None and len(body) != size:
        raise DownloadError(url, f"{noun} ended too early", hint="Try again.")
    return bytes(body)


def demand_small(size: int, noun: str, most: int, hint: str = "", *, is_all: bool = True) -> None:
    """Refuse a file that is too large.

    Raises:
        InvalidRequestError: it has more than `most` bytes.
    """
    if size > most:
        has = "has" if is_all else "has at least"
        raise InvalidRequestError(
            f"{noun} {has} {format_bytes(size)}; up to {format_bytes(most)} are fetched", hint
        )
