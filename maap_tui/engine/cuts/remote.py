"""A file at its server of which parts are read: every range is of one version of it, or there is none."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from maap_tui.engine.cuts.stretches import Stretch
from maap_tui.engine.download.answers import (
    body_of,
    body_size,
    can_be_followed,
    content_range,
    encoding_of,
    is_all_there,
    is_other_version,
    is_same_version,
    refusal_of,
)
from maap_tui.engine.download.asking import Asking
from maap_tui.engine.download.pacing import HostPause, RateWindow
from maap_tui.engine.download.reading import ReadLimits
from maap_tui.engine.download.requests import PROGRESS, FailedTry, StartOver, TransferRules
from maap_tui.engine.errors import DownloadError
from maap_tui.engine.events import Emit, Noted, Waits, ignore
from maap_tui.engine.net.faults import TransportFault
from maap_tui.engine.net.http import Http, Stream
from maap_tui.engine.net.origins import NOT_OF_THE_ARCHIVE, TRUST_IT, origin_of
from maap_tui.engine.net.statuses import backoff_s
from maap_tui.engine.net.tokens import Tokens

FIRST = 16 * 1024
"""Bytes that are asked for first."""
_RUN = 8 << 20
"""Bytes of one request at most, so that several connections share a long stretch."""

Take = Callable[[int, bytes], None]
"""Takes bytes as they come: where the first one is in the file, and the bytes."""


class ChangedError(DownloadError):
    """The file was replaced at the server between two ranges; what was read of it is of no use."""


class NoRangesError(DownloadError):
    """The server does not send ranges of the file that are known to be of one version."""

    size: int | None = None
    """Bytes of the whole file, as the server says it; None when it does not."""


class RemoteFile:
    """One version of a file at its server; made by `open`. For one loop."""

    def __init__(
        self,
        http: Http,
        tokens: Tokens,
        rules: TransferRules,
        url: str,
        *,
        limits: ReadLimits,
        size: int | None = None,
        version: tuple[int, str, str] | None = None,
        pause: HostPause | None = None,
        emit: Emit = ignore,
    ) -> None:
        """Take what there is; ask nothing.

        Args:
            http: the door to the network.
            tokens: give the access token.
            rules: how often requests are repeated.
            url: the file.
            limits: requests at once and bytes a second, of all files that are read.
            size: bytes that the catalogue announced; None when it did not.
            version: what is meant of it, as `version` says; None for the one that `open` meets.
            pause: waits that hosts ask for.
            emit: takes the events of failed tries.

        Raises:
            DownloadError: the access token may not go where the file is.
        """
        if not http.may_carry_token(url):
            raise DownloadError(url, NOT_OF_THE_ARCHIVE, permanent=True, hint=TRUST_IT)
        self.url = url
        self.size, self.etag, self.modified = version or (0, "", "")
        self.received = 0
        """Bytes that came so far."""
        self.requests = 0
        """Requests that were sent so far."""
        self._announced = size
        self._limits = limits
        self._http = http
        self._rules = rules
        self._pause = pause or HostPause()
        self._asking = Asking(http, tokens, self._pause, url)
        self._emit = emit
        self._waits = Waits(emit)

    @property
    def has_strong_etag(self) -> bool:
        return bool(self.etag) and not self.etag.startswith("W/")

    @property
    def version(self) -> tuple[int, str, str]:
        """Bytes of the file, its ETag and its date; of the one that is open."""
        return self.size, self.etag, self.modified

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]

    async def open(self, take: Take, first: int = FIRST) -> None:
        """Ask for the first bytes, and with them for its size and version.

        Args:
            take: takes the bytes; from the first one again where a try failed.
            first: how many to ask for.

        Raises:
            NoRangesError: the server does not send ranges, or does not say of which version.
            DownloadError: it cannot be read.
            AuthenticationError: the token is refused.
        """

        async def begin(at: int, end: int) -> int:
            self.requests += 1
            # What came of a try that failed may be of another version.
            headers = {"range": f"bytes=0-{end - 1}"}
            async with self._limits.one(), self._asking.answer(headers) as stream:
                return await self._first(stream, take)

        await self._tried(0, first, begin)

    async def _first(self, stream: Stream, take: Take) -> int:
        """Judge the first answer and hand on its body; returns where it ends."""
        if is_all_there(stream, 0):
            raise FailedTry("it has no bytes at the archive", permanent=True)
        if stream.status not in (200, 203, 206):
            raise refusal_of(stream)
        if stream.status != 206 or not can_be_followed(stream):
            what = "sends only whole files" if stream.status != 206 else "does not say which version it sends"
            error = NoRangesError(
                self.url,
                f"{origin_of(self.url)} {what}, so that no part of {self.name} can be read",
                permanent=True,
                hint="Fetch the whole file first (--whole).",
            )
            error.size = body_size(stream)
            raise error
        begin, end, total = content_range(stream.headers)
        if total is None or total == 0:
            raise FailedTry("the server does not say how many bytes the file has")
        if self._announced not in (None, total):
            raise FailedTry(f"the server has {total} bytes where the catalogue announced {self._announced}")
        self.size = total
        self.etag = stream.headers.get("etag", "").strip()
        self.modified = stream.headers.get("last-modified", "").strip()
        return await self._body(stream, begin or 0, end, take)

    async def read(self, stretches: Sequence[Stretch], take: Take) -> None:
        """Ask for ranges, several at a time, and hand on what comes.

        Args:
            stretches: what to ask for, within the file.
            take: takes the bytes; those of one stretch in order, unless a try of it failed.

        Raises:
            ChangedError: the file is another one now.
            DownloadError: some of it cannot be read.
            AuthenticationError: the token is refused.
        """
        runs = [
            (at, min(at + _RUN, end)) for begin, end in stretches for at in range(begin, end, _RUN)
        ]  # fmt: skip
        waiting = iter(runs)

        async def work() -> None:
            for begin, end in waiting:
                await self._tried(begin, end, lambda at, end: self._range(at, end, take))

        workers = min(self._limits.parallel, len(runs))
        if workers < 2:
            await work()
            return
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(work())
        except ExceptionGroup as several:
            # That it changed explains what else went wrong.
            changed = [one for one in several.exceptions if isinstance(one, ChangedError)]
            raise (changed or several.exceptions)[0] from None

    async def _range(self, at: int, end: int, take: Take) -> int:
        """Ask for a range once and hand on what comes; returns where that ends."""
        headers = {
            "range": f"bytes={at}-{end - 1}",
            "if-range": self.etag if self.has_strong_etag else self.modified,
        }
        self.requests += 1
        async with self._limits.one(), self._asking.answer(headers) as stream:
            status = stream.status
            if status == 416 or (status in (200, 203, 206) and is_other_version(stream.headers, self)):
                raise self._changed()
            if status in (200, 203):
                raise FailedTry("the whole file came where a range was asked for")
            if status != 206:
                raise refusal_of(stream)
            begin, until, total = content_range(stream.headers)
            if begin != at or until > end or encoding_of(stream.headers) not in ("", "identity"):
                raise FailedTry("the server sent another range than the one asked for")
            if total not in (None, self.size) or not is_same_version(stream.headers, self):
                raise self._changed()
            return await self._body(stream, at, until, take)

    async def _body(self, stream: Stream, at: int, end: int, take: Take) -> int:
        """Hand on the body of a range; returns where it ends."""
        window = RateWindow(self._rules, time.monotonic)
        try:
            async for chunk in body_of(stream):
                window.check(len(chunk))
                if at + len(chunk) > end:
                    raise FailedTry("more came than the server announced")
                take(at, chunk)
                at += len(chunk)
                self.received += len(chunk)
                if waited_s := await self._limits.take(len(chunk)):
                    window.forgive(waited_s)
        except TransportFault as fault:
            raise _CutShort(at, FailedTry.of(fault, Path(self.name))) from fault
        if at < end:
            raise _CutShort(at, FailedTry("the connection ended before the end of a range"))
        return at

    async def _tried(self, at: int, end: int, ask: Callable[[int, int], Awaitable[int]]) -> None:
        """Ask until all of a range is here, as often as the rules let it."""
        tries = 0
        while True:
            begun = at
            try:
                at = await ask(at, end)
                if at >= end or at >= self.size:
                    return
                failure = FailedTry("a shorter range came than the one asked for")
            except _CutShort as cut:
                at, failure = cut.at, cut.failure
            except StartOver as over:
                failure = FailedTry(str(over))
            except FailedTry as error:
                failure = error
            except TransportFault as fault:
                failure = FailedTry.of(fault, Path(self.name))
            tries = 1 if at - begun >= PROGRESS else tries + 1
            await self._after(failure, tries)

    async def _after(self, failure: FailedTry, tries: int) -> None:
        """Wait as long as the next try needs; raises DownloadError when there is none."""
        if failure.wait_s is not None:
            self._pause.ask(failure.wait_s)
        is_last = tries > self._rules.retries
        if failure.away and is_last:
            if await self._http.wait_out_outage(self._http.probe_of(self.url), failure.reason):
                return
        if failure.permanent or is_last:
            words = f"{self.name}: {failure.reason}"
            raise DownloadError(
                self.url, words, failure.status, permanent=failure.permanent, hint=failure.hint
            )
        wait_s = failure.wait_s or backoff_s(tries, self._rules.retry_wait_s)
        self._emit(Noted(f"{self.name}: {failure.reason}; asking again in {wait_s:.1f} s"))
        self._waits.report(origin_of(self.url), f"{self.name}: {failure.reason}", wait_s)
        await asyncio.sleep(wait_s)

    def _changed(self) -> ChangedError:
        words = f"{self.name} was replaced at the archive while it was read"
        return ChangedError(self.url, words, hint="Run the same command again.")


class _CutShort(Exception):
    """A body ended before its end; `at` is where, `failure` why."""

    def __init__(self, at: int, failure: FailedTry) -> None:
        super().__init__()
        self.at = at
        self.failure = failure
