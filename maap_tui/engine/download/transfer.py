"""One file: asked for, resumed, verified, renamed.

Rule: a final name holds one whole version of one file or nothing. Until then the bytes gather in its
part, from which another run can go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from maap_tui.engine.download.answers import (
    body_of,
    body_size,
    can_be_followed,
    content_range,
    decoded,
    encoding_of,
    has_strong_date,
    is_all_there,
    is_other_version,
    is_same_version,
    refusal_of,
    says_ranges,
    sums_of,
)
from maap_tui.engine.download.asking import Asking
from maap_tui.engine.download.comparing import Frozen, compare_all, hashed, is_as_frozen
from maap_tui.engine.download.connections import Connections, Spare
from maap_tui.engine.download.pacing import HostPause, Pace, RateWindow
from maap_tui.engine.download.part import (
    HELD,
    HELD_S,
    Part,
    drop_note,
    existing_size,
    locked_part,
    part_of,
)
from maap_tui.engine.download.publisher import Publisher
from maap_tui.engine.download.ranges import NoRanges, Ranges, Run, first_end
from maap_tui.engine.download.requests import (
    PROGRESS,
    DownloadOutcome,
    DownloadRequest,
    FailedTry,
    StartOver,
    TransferRules,
)
from maap_tui.engine.download.space import check_space, has_space
from maap_tui.engine.errors import DownloadError
from maap_tui.engine.events import (
    BytesReceived,
    Emit,
    FileArrived,
    FileRetried,
    FileStarted,
    Noted,
    Waits,
    ignore,
)
from maap_tui.engine.integrity.content import (
    SNIFF,
    format_by_url,
    hdf5_end,
    is_message,
    is_whole,
    structure_fault,
)
from maap_tui.engine.integrity.hashes import PIECE
from maap_tui.engine.integrity.sums import Etags
from maap_tui.engine.net.faults import TransportFault
from maap_tui.engine.net.http import Http, Stream
from maap_tui.engine.net.origins import NOT_OF_THE_ARCHIVE, TRUST_IT, origin_of
from maap_tui.engine.net.statuses import backoff_s
from maap_tui.engine.net.tokens import Tokens
from maap_tui.engine.storage import files, layout

SLOW_LIMIT = 3
"""Tries of one file that may be too slow before it is given up."""


@dataclass(slots=True)
class _Means:
    """What all files of one Transfer share."""

    http: Http
    tokens: Tokens
    rules: TransferRules
    """Read at each step; replaced as a whole, so that a step sees no half of a change."""
    pause: HostPause
    pace: Pace
    connections: Connections
    publisher: Publisher
    etags: Etags
    emit: Emit
    waits: Waits
    clock: Callable[[], float]


class Transfer:
    """Fetches files one at a time; made once, used by any number of tasks."""

    def __init__(
        self,
        http: Http,
        tokens: Tokens,
        rules: TransferRules,
        *,
        pause: HostPause | None = None,
        emit: Emit = ignore,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._means = _Means(
            http,
            tokens,
            rules,
            pause or HostPause(),
            Pace(rules.limit_rate, clock),
            Connections(),
            Publisher(),
            Etags(),
            emit,
            Waits(emit, clock),
            clock,
        )

    async def fetch(self, wanted: DownloadRequest) -> DownloadOutcome:
        """Have the file under its final name, whole and verified, or raise.

        Raises:
            DownloadError: this file cannot be downloaded, now or ever.
            AuthenticationError: the token is refused; no other file will fare better.
            StorageError: it cannot be written.
        """
        if not self._means.http.may_carry_token(wanted.url):
            raise DownloadError(
                wanted.url,
                NOT_OF_THE_ARCHIVE,
                permanent=True,
                hint=TRUST_IT,
            )
        path = layout.ensure_under(wanted.root or wanted.path.parent, wanted.path)
        here = existing_size(path)
        is_same = here is not None and here == wanted.size and not wanted.again
        if here is not None and is_same and is_whole(path) and await _is_as_frozen(path, wanted):
            if not os.path.lexists(part_of(path)):
                # A run that was killed between the rename and its tidying left the note behind.
                with contextlib.suppress(OSError):
                    drop_note(part_of(path))
            return DownloadOutcome(path, here, 0)
        try:
            files.make_folder(path.parent)
            compared = partial(hashed, wanted, self._means.etags)
            async with locked_part(wanted.url, path, self._means.emit, compared) as part:
                if part is None:
                    if not await _is_as_frozen(path, wanted):
                        raise DownloadError(
                            wanted.url,
                            "another process fetched it, with other bytes than the study froze",
                            hint="Run the same command again.",
                        )
                    size = existing_size(path)
                    return DownloadOutcome(path, size or 0, 0)
                return await _Fetch(self._means, wanted, path, part).run()
        except OSError as error:
            raise files.storage_error(path, error) from error

    def set_rules(self, rules: TransferRules) -> None:
        """Fetch by other rules from now on, files under way included."""
        self._means.rules = rules
        self._means.pace.set_rate(rules.limit_rate)

    def set_connections(self, count: int, spare: Spare | None = None) -> None:
        """Have at most so many connections for files and their ranges; 1 a file until this is called.

        Args:
            count: 1 or more.
            spare: is asked before a file has a further one; None where no other process counts.
        """
        self._means.connections.set_most(count, spare)

    def has_room(self, wanted: DownloadRequest) -> bool:
        """Whether the disk has room for what is still to come of a file, as far as it is known."""
        return has_space(wanted.path, wanted.size, self._means.rules.min_free)


async def _is_as_frozen(path: Path, wanted: DownloadRequest) -> bool:
    return not wanted.frozen or await asyncio.to_thread(is_as_frozen, path, wanted)


class _Fetch:
    """One file on its way: its part, and what the tries so far have brought."""

    def __init__(self, means: _Means, wanted: DownloadRequest, path: Path, part: Part) -> None:
        self._means = means
        self._wanted = wanted
        self._path = path
        self._part = part
        self._received = 0
        """Bytes that came over the network."""
        self._best = part.here
        """Bytes that were here when the count of tries last started from 0."""
        self._tries = 0
        self._slow_tries = 0
        self._frozen = Frozen()
        self._asking = Asking(means.http, means.tokens, means.pause, wanted.url)
        self._has_ranges = True
        """Whether the server may turn out to send ranges of this file to several connections."""

    async def run(self) -> DownloadOutcome:
        """Try until the file is here; raises as `Transfer.fetch`."""
        while True:
            self._tries += 1
            try:
                return await self._try_once()
            except StartOver as over:
                self._part.restart()
                failure = FailedTry(str(over))
            except FailedTry as error:
                failure = error
            except TransportFault as fault:
                failure = FailedTry.of(fault, self._path)
            await self._after_failure(failure)

    async def _try_once(self) -> DownloadOutcome:
        """One request and what follows from its answer."""
        wanted, part = self._wanted, self._part
        if part.total is not None and part.length == part.total and part.length > 0:
            return await self._finish()
        self._check_space((part.total or wanted.size or 0) - part.here)
        async with self._means.connections.of_file(), contextlib.AsyncExitStack() as opened:
            asked = self._range()
            stream = await opened.enter_async_context(self._asking.answer(asked))
            if asked and not part.here and not can_be_followed(stream):
                self._has_ranges, asked = False, {}
                await opened.aclose()
                stream = await opened.enter_async_context(self._asking.answer(asked))
            if (here := self._whole_already(stream)) is not None:
                part.restart()
                return DownloadOutcome(self._path, here, self._received)
            with self._spilling():
                await self._receive(stream, opened.aclose, is_range=bool(asked))
        return await self._finish()

    def _whole_already(self, stream: Stream) -> int | None:
        """Bytes of the file where it is meant to be, if they are as many as the server has of it."""
        wanted, size = self._wanted, body_size(stream)
        if size is None or wanted.again or wanted.frozen or stream.status not in (200, 206):
            return None
        is_here = existing_size(self._path) == size and is_whole(self._path)
        return size if is_here or wanted.at_target == size else None

    @contextlib.contextmanager
    def _spilling(self) -> Iterator[None]:
        """Meanwhile, what is held in memory for long is written."""
        timer = asyncio.get_running_loop().call_later(HELD_S, self._spill)
        try:
            yield
        finally:
            timer.cancel()

    def _spill(self) -> None:
        # A disk that has a problem says so again when the file ends, or its next bytes come.
        with contextlib.suppress(OSError):
            self._part.spill()

    def _range(self) -> dict[str, str]:
        """The headers that ask for what is missing in front; none for the whole file.

        What further connections may bring is left to them: a stream that is cut has sent some of it in vain.
        """
        part, rules = self._part, self._means.rules
        total, end = part.total or self._wanted.size or 0, part.ahead.begin
        if (
            rules.ranges > 1
            and self._has_ranges
            and total >= rules.ranges_from
            and (part.has_strong_etag or not part.here)
            and self._means.connections.has_room
        ):
            end = first_end(part, total, rules.ranges)
        if part.here or end is not None:
            return self._range_of(part.resume_from, end)
        return {}

    def _range_of(self, begin: int, end: int | None) -> dict[str, str]:
        """The headers that ask for bytes of the version that is here; None for the end of the file."""
        part = self._part
        headers = {"range": f"bytes={begin}-{'' if end is None else end - 1}"}
        if part.has_strong_etag:
            headers["if-range"] = part.etag
        elif part.modified:
            headers["if-range"] = part.modified
        return headers

    async def _after_failure(self, failure: FailedTry) -> None:
        """Wait as long as the next try needs.

        Raises:
            DownloadError: there will be none.
        """
        means, url = self._means, self._wanted.url
        self._part.spill()
        if failure.wait_s is not None:
            means.pause.ask(failure.wait_s)
        if self._part.here >= self._best + PROGRESS:
            self._best, self._tries = self._part.here, 1
        self._slow_tries += failure.slow
        is_last = self._tries > means.rules.retries
        if failure.away and is_last:
            if await means.http.wait_out_outage(means.http.probe_of(url), failure.reason):
                self._tries = 0
                return
        if failure.permanent or is_last or self._slow_tries >= SLOW_LIMIT:
            raise DownloadError(
                url, failure.reason, failure.status, permanent=failure.permanent, hint=failure.hint
            )
        wait_s = failure.wait_s or backoff_s(self._tries, means.rules.retry_wait_s)
        means.emit(FileRetried(url, failure.reason, self._tries, wait_s))
        means.waits.report(origin_of(url), f"{self._wanted.path.name}: {failure.reason}", wait_s)
        await asyncio.sleep(wait_s)

    async def _receive(self, stream: Stream, close: Callable[[], Awaitable[None]], *, is_range: bool) -> None:
        """Check the answer against what was asked, then write its body; `close` ends it before its end."""
        means, wanted, part = self._means, self._wanted, self._part
        if part.length and is_all_there(stream, part.length):
            part.total = part.length
            return
        overlap = self._begin(stream, is_range=is_range)
        total = part.total if part.total is not None else wanted.size
        means.emit(FileStarted(wanted.url, wanted.place, total, part.here))
        if part.total is not None and (part.ahead.count or self._may_split(stream)):
            await self._receive_ranges(stream, close, part.total, overlap)
            return
        limit = total if total is not None else means.rules.largest
        checked = part.length > 0
        arrived = 0
        window = RateWindow(means.rules, means.clock)
        async for chunk in decoded(stream):
            arrived += len(chunk)
            window.check(len(chunk))
            if overlap:
                chunk, overlap = self._beyond(chunk, overlap)
                if not chunk:
                    continue
            if part.length + len(chunk) > limit:
                if total is not None:
                    raise StartOver(f"more came than the {limit} bytes announced")
                part.restart()
                raise self._too_large()
            if not checked:
                checked = True
                if is_message(wanted.url, chunk[:SNIFF]):
                    raise FailedTry("a web page or message came instead of data")
            before = part.length
            part.write(chunk)
            if before // PIECE != part.length // PIECE:
                self._check_space((total or 0) - part.length)
            await self._count(len(chunk), window)
        if part.total is None:
            if not arrived:
                raise FailedTry("an empty answer came instead of data")
            self._settle_length(stream)
        elif part.length < part.total:
            raise FailedTry(f"the connection ended after {part.length} of {part.total} bytes")

    def _beyond(self, chunk: bytes, overlap: int) -> tuple[bytes, int]:
        """Compare what comes again with what is here; returns what is new and how much more comes again."""
        known = self._part.read(min(len(chunk), overlap), self._part.length - overlap)
        if known != chunk[: len(known)]:
            raise StartOver("the file changed on the server; starting over")
        return chunk[len(known) :], overlap - len(known)

    async def _count(self, count: int, window: RateWindow) -> None:
        """Report bytes that were written, and hold back as the rate wants it."""
        means = self._means
        self._received += count
        means.emit(BytesReceived(self._wanted.url, count))
        if not means.pace.is_limited:
            return
        held = f"{means.rules.limited_by} holds downloads back"
        means.waits.report("", held, means.pace.hold_s(count))
        if waited_s := await means.pace.take(count):
            window.forgive(waited_s)

    def _may_split(self, stream: Stream) -> bool:
        """Whether several connections may fetch what is missing of the file, now that its answer began."""
        rules, part, headers = self._means.rules, self._part, stream.headers
        if rules.ranges < 2 or (part.total or 0) < rules.ranges_from or part.is_held:
            return False
        return (
            self._has_ranges
            and (stream.status == 206 or says_ranges(headers))
            and encoding_of(headers) in ("", "identity")
            and (part.has_strong_etag or has_strong_date(headers))
        )

    async def _receive_ranges(
        self, stream: Stream, close: Callable[[], Awaitable[None]], total: int, overlap: int
    ) -> None:
        """Write the body of an answer while further connections bring what it would come to last."""
        means = self._means

        def note(words: str) -> None:
            means.emit(Noted(f"{self._wanted.path.name} {words}"))

        try:
            async with asyncio.TaskGroup() as group:
                ranges = Ranges(
                    self._part, total, lambda: means.rules.ranges, means.connections, self._bring, note, group
                )
                begin, end, _ = content_range(stream.headers)
                is_open = begin is None or end == total
                if begin is not None:
                    ranges.prove()
                run = ranges.take(0 if is_open else end)
                if run is not None:
                    ranges.start_more()
                    try:
                        await self._fill(stream, ranges, run, overlap, is_open=is_open)
                    finally:
                        ranges.give_back(run)
                await close()
                await ranges.finish()
        except ExceptionGroup as several:
            # Two versions at once may also be two servers that take turns: one stream comes from one of them.
            if any(isinstance(one, StartOver) for one in several.exceptions):
                self._has_ranges = False
            raise several.exceptions[0] from None
        finally:
            self._has_ranges = self._has_ranges and not ranges.is_refused

    async def _bring(self, ranges: Ranges, run: Run) -> None:
        """Ask for a run on a connection of its own, and write what comes; raises as `Ranges` says."""
        async with self._asking.answer(self._range_of(run.at, run.end)) as stream:
            status, headers = stream.status, stream.headers
            if status == 416 or (status in (200, 203, 206) and is_other_version(headers, self._part)):
                raise StartOver("the file changed on the server; starting over")
            if status in (200, 203):
                raise NoRanges("the server sends the whole file where a range was asked for")
            if status != 206:
                refusal = refusal_of(stream)
                if refusal.wait_s is not None:
                    self._means.pause.ask(refusal.wait_s)
                raise refusal
            begin, _, total = content_range(headers)
            if begin != run.at or encoding_of(headers) not in ("", "identity"):
                raise NoRanges("the server sends another range than the one asked for")
            if total not in (None, self._part.total):
                raise StartOver("the file changed on the server; starting over")
            if not is_same_version(headers, self._part):
                raise NoRanges("the server does not say which version a range is of")
            ranges.prove()
            await self._fill(stream, ranges, run, 0, is_open=False)

    async def _fill(self, stream: Stream, ranges: Ranges, run: Run, overlap: int, *, is_open: bool) -> None:
        """Write the body of an answer until its run ends, or a later one where it goes on to the end."""
        means, part, total = self._means, self._part, self._part.total or 0
        window = RateWindow(means.rules, means.clock)
        async for chunk in body_of(stream):
            window.check(len(chunk))
            if overlap:
                chunk, overlap = self._beyond(chunk, overlap)
            if run.at + len(chunk) > total:
                raise StartOver(f"more came than the {total} bytes announced")
            view = memoryview(chunk)
            while view and run.at < run.end:
                before = run.at
                taken, view = view[: run.end - run.at], view[run.end - run.at :]
                if fresh := ranges.write(run, taken):
                    await self._count(fresh, window)
                if before // PIECE != run.at // PIECE:
                    self._check_space(total - part.here)
                    ranges.start_more()
                if run.at == run.end < total and is_open:
                    await ranges.extend(run)
            if run.at == run.end < total:
                return
        if run.at < run.end:
            raise FailedTry(f"the connection ended after {part.here} of {total} bytes")

    def _begin(self, stream: Stream, *, is_range: bool) -> int:
        """Judge status and headers; returns how many bytes will come again and have to be compared."""
        status, part = stream.status, self._part
        if status == 206 and part.here:
            return self._go_on(stream)
        if status == 416 and part.here:
            raise StartOver("the server has no such range; starting over")
        if status not in (200, 203) and not (status == 206 and is_range):
            raise refusal_of(stream)
        part.restart()
        announced, total = self._wanted.size, body_size(stream)
        if total is not None and announced is not None and total != announced:
            whose = "study froze" if self._wanted.frozen else "catalogue announced"
            raise FailedTry(
                f"the server has {total} bytes where the {whose} {announced}",
                permanent=bool(self._wanted.frozen),
            )
        if total == 0:
            raise FailedTry("an empty answer came instead of data")
        if (total or announced or 0) > self._means.rules.largest:
            raise self._too_large()
        self._check_space(total or announced or 0)
        part.total = total
        if encoding_of(stream.headers) in ("", "identity"):
            # Validators of a packed answer speak of the packed bytes.
            part.etag = stream.headers.get("etag", "").strip()
            part.modified = stream.headers.get("last-modified", "").strip()
            part.offer(sums_of(stream))
        if (total or announced or 0) <= HELD:
            part.hold()
        else:
            part.note()
        return 0

    def _go_on(self, stream: Stream) -> int:
        """Judge the answer to a range; returns as `_begin`."""
        headers, part = stream.headers, self._part
        begin, _, total = content_range(headers)
        if begin != part.resume_from:
            raise StartOver("the server sent another range than the one asked for")
        if encoding_of(headers) not in ("", "identity"):
            raise StartOver("the server packed a part of the file; starting over")
        if total is None:
            total = part.total
        if part.total not in (None, total) or is_other_version(headers, self._part):
            raise StartOver("the file changed on the server; starting over")
        part.total = total
        part.offer(sums_of(stream))
        return part.length - part.resume_from

    def _too_large(self) -> FailedTry:
        limit = self._means.rules.largest
        return FailedTry(f"it is larger than downloads.max_file ({limit} bytes)", permanent=True)

    def _settle_length(self, stream: Stream) -> None:
        """Decide whether a body without a length is whole."""
        wanted, part = self._wanted, self._part
        if wanted.size is not None:
            if part.length != wanted.size:
                raise FailedTry(f"{part.length} bytes came where the catalogue announced {wanted.size}")
        elif format_by_url(wanted.url) == "h5":
            part.write_held()
            end = hdf5_end(part.descriptor)
            if end is not None and end > part.length:
                raise FailedTry(f"the connection ended after {part.length} of {end} bytes")
        elif encoding_of(stream.headers) in ("", "identity") and format_by_url(wanted.url) != "zip":
            # A packed body ends with a checksum, and a zip file with its directory; others just end.
            raise StartOver("neither server nor catalogue say its length, so it cannot be verified")
        part.total = part.length

    async def _finish(self) -> DownloadOutcome:
        """Verify what is there and give it its name."""
        wanted, part = self._wanted, self._part
        size = part.length
        if wanted.size is not None and size != wanted.size:
            raise StartOver(f"{size} bytes came where the catalogue announced {wanted.size}")
        part.write_held()
        if fault := structure_fault(part.descriptor, wanted.url, size):
            raise StartOver(fault.reason)
        pieces = list(part.pieces)
        if size % PIECE:
            pieces.append(part.tail.hexdigest())
        await self._frozen.demand(part, wanted, pieces)
        agreed = await compare_all(part, wanted, pieces, self._means.etags)
        if wanted.target is None:
            self._means.emit(FileArrived(wanted.url))
        await self._means.publisher.publish(part, self._path)
        return DownloadOutcome(self._path, size, self._received, tuple(pieces), agreed)

    def _check_space(self, needed: int) -> None:
        check_space(self._path.parent, needed, self._means.rules.min_free)
