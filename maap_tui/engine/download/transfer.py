"""One file: asked for, resumed, verified, renamed.

Rule: a final name holds one whole version of one file or nothing. Until then the bytes gather in its
part, from which another run can go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from maap_tui.engine.download.answers import (
    body_size,
    decoded,
    encoding_of,
    is_all_there,
    is_login_page,
    refusal_of,
    token_refusal_of,
)
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
from maap_tui.engine.download.requests import (
    DownloadOutcome,
    DownloadRequest,
    FailedTry,
    StartOver,
    TransferRules,
)
from maap_tui.engine.errors import DiskFullError, DownloadError
from maap_tui.engine.events import BytesReceived, Emit, FileArrived, FileRetried, FileStarted, Waits, ignore
from maap_tui.engine.integrity.content import (
    SNIFF,
    format_by_url,
    hdf5_end,
    is_message,
    is_whole,
    structure_fault,
)
from maap_tui.engine.integrity.hashes import PIECE
from maap_tui.engine.net.faults import TransportFault
from maap_tui.engine.net.http import Http, Stream
from maap_tui.engine.net.origins import NOT_OF_THE_ARCHIVE, TRUST_IT, origin_of
from maap_tui.engine.net.statuses import backoff_s
from maap_tui.engine.net.tokens import Tokens
from maap_tui.engine.storage import files, layout

PROGRESS = 64 * 1024
"""Bytes that a try has to bring for the count of tries to start from 0."""

SLOW_LIMIT = 3
"""Tries of one file that may be too slow before it is given up."""

_LEAST_ROOM = 1 << 20


@dataclass(slots=True)
class _Means:
    """What all files of one Transfer share."""

    http: Http
    tokens: Tokens
    rules: TransferRules
    """Read at each step; replaced as a whole, so that a step sees no half of a change."""
    pause: HostPause
    pace: Pace
    publisher: Publisher
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
            Publisher(),
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
        if here is not None and is_same and is_whole(path):
            if not os.path.lexists(part_of(path)):
                # A run that was killed between the rename and its tidying left the note behind.
                with contextlib.suppress(OSError):
                    drop_note(part_of(path))
            return DownloadOutcome(path, here, 0)
        try:
            files.make_folder(path.parent)
            async with locked_part(wanted.url, path, self._means.emit) as part:
                if part is None:
                    size = existing_size(path)
                    return DownloadOutcome(path, size or 0, 0)
                return await _Fetch(self._means, wanted, path, part).run()
        except OSError as error:
            raise files.storage_error(path, error) from error

    def set_rules(self, rules: TransferRules) -> None:
        """Fetch by other rules from now on, files under way included."""
        self._means.rules = rules
        self._means.pace.set_rate(rules.limit_rate)

    def has_room(self, wanted: DownloadRequest) -> bool:
        """Whether the disk has room for what is still to come of a file, as far as it is known."""
        here = existing_size(part_of(wanted.path)) or 0
        needed = max((wanted.size or 0) - here, _LEAST_ROOM)
        for folder in wanted.path.parents:
            try:
                free = files.free_bytes(folder)
            except OSError:
                continue
            return free is None or free - needed >= self._means.rules.min_free
        return True


class _Fetch:
    """One file on its way: its part, and what the tries so far have brought."""

    def __init__(self, means: _Means, wanted: DownloadRequest, path: Path, part: Part) -> None:
        self._means = means
        self._wanted = wanted
        self._path = path
        self._part = part
        self._received = 0
        """Bytes that came over the network."""
        self._best = part.length
        """Bytes of the part when the count of tries last started from 0."""
        self._tries = 0
        self._slow_tries = 0
        self._renewals = 0
        """Times in a row that the server asked for another access token."""
        self._refused = ""
        """The access token that it refused last."""
        self._needs_token = "/public/" not in urlsplit(wanted.url).path

    async def run(self) -> DownloadOutcome:
        """Try until the file is here; raises as `Transfer.fetch`."""
        while True:
            self._tries += 1
            try:
                outcome = await self._try_once()
            except StartOver as over:
                self._part.restart()
                failure = FailedTry(str(over))
            except FailedTry as error:
                failure = error
            except TransportFault as fault:
                failure = self._failure_of(fault)
            else:
                if outcome is not None:
                    return outcome
                continue
            await self._after_failure(failure)

    async def _try_once(self) -> DownloadOutcome | None:
        """One request and what follows from its answer; None when it has to be sent with another token."""
        wanted, part = self._wanted, self._part
        await self._means.pause.wait()
        if part.total is not None and part.length == part.total and part.length > 0:
            return await self._finish()
        self._check_space((part.total or wanted.size or 0) - part.length)
        token = None
        if self._needs_token:
            token = await self._means.tokens.access_token(self._refused, wait_for_service=True)
        async with self._means.http.stream(wanted.url, token=token, headers=self._range()) as stream:
            if self._asks_for_token(stream):
                self._renewals += 1
                self._refused, self._needs_token = token or "", True
                self._tries -= 1
                return None
            self._renewals = 0
            here = existing_size(self._path)
            is_same = here is not None and here == body_size(stream) and not wanted.again
            if here is not None and is_same and stream.status in (200, 206) and is_whole(self._path):
                part.restart()
                return DownloadOutcome(self._path, here, self._received)
            with self._spilling():
                await self._receive(stream)
        return await self._finish()

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
        """The headers that ask for what is missing only; none for the whole file."""
        part = self._part
        if not part.length:
            return {}
        headers = {"range": f"bytes={part.resume_from}-"}
        if part.has_strong_etag:
            headers["if-range"] = part.etag
        elif part.modified:
            headers["if-range"] = part.modified
        return headers

    def _asks_for_token(self, stream: Stream) -> bool:
        """Whether the answer says to ask again with a fresh access token.

        Raises:
            FailedTry: it comes from where no token may go.
            AuthenticationError: the token is a fresh one.
        """
        if stream.status == 401 and not self._means.http.may_carry_token(stream.url):
            raise FailedTry(
                f"redirected to {origin_of(stream.url)}, which needs an access token but is not trusted "
                "with it",
                status=401,
                permanent=True,
                hint=TRUST_IT,
            )
        if stream.status != 401 and not is_login_page(stream):
            return False
        if self._renewals:
            raise token_refusal_of(stream)
        return True

    def _failure_of(self, fault: TransportFault) -> FailedTry:
        if files.is_out_of_files(fault):
            # No fault of the network: a connection is an open file too.
            raise files.storage_error(self._path, OSError(errno.EMFILE, "")) from fault
        return FailedTry(
            fault.message,
            status=fault.status,
            permanent=fault.permanent,
            away=not fault.permanent,
            hint=fault.hint,
        )

    async def _after_failure(self, failure: FailedTry) -> None:
        """Wait as long as the next try needs.

        Raises:
            DownloadError: there will be none.
        """
        means, url = self._means, self._wanted.url
        self._part.spill()
        if failure.wait_s is not None:
            means.pause.ask(failure.wait_s)
        if self._part.length >= self._best + PROGRESS:
            self._best, self._tries = self._part.length, 1
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

    async def _receive(self, stream: Stream) -> None:
        """Check the answer against what was asked, then write its body."""
        means, wanted, part = self._means, self._wanted, self._part
        if part.length and is_all_there(stream, part.length):
            part.total = part.length
            return
        overlap = self._begin(stream)
        total = part.total if part.total is not None else wanted.size
        means.emit(FileStarted(wanted.url, wanted.path, total, part.length))
        limit = total if total is not None else means.rules.largest
        checked = part.length > 0
        arrived = 0
        window = RateWindow(means.rules, means.clock)
        async for chunk in decoded(stream):
            arrived += len(chunk)
            window.check(len(chunk))
            if overlap:
                known = part.read(min(len(chunk), overlap), part.length - overlap)
                if known != chunk[: len(known)]:
                    raise StartOver("the file changed on the server; starting over")
                overlap -= len(known)
                chunk = chunk[len(known) :]
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
            self._received += len(chunk)
            means.emit(BytesReceived(wanted.url, len(chunk)))
            if before // PIECE != part.length // PIECE:
                self._check_space((total or 0) - part.length)
            means.waits.report("", "downloads.limit_rate holds downloads back", means.pace.hold_s(len(chunk)))
            if waited_s := await means.pace.take(len(chunk)):
                window.forgive(waited_s)
        if part.total is None:
            if not arrived:
                raise FailedTry("an empty answer came instead of data")
            self._settle_length(stream)
        elif part.length < part.total:
            raise FailedTry(f"the connection ended after {part.length} of {part.total} bytes")

    def _begin(self, stream: Stream) -> int:
        """Judge status and headers; returns how many bytes will come again and have to be compared."""
        status, part = stream.status, self._part
        if status == 206 and part.length:
            return self._go_on(stream)
        if status == 416 and part.length:
            raise StartOver("the server has no such range; starting over")
        if status not in (200, 203):
            raise refusal_of(stream)
        part.restart()
        announced, total = self._wanted.size, body_size(stream)
        if total is not None and announced is not None and total != announced:
            raise FailedTry(f"the server has {total} bytes where the catalogue announced {announced}")
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
        if (total or announced or 0) <= HELD:
            part.hold()
        else:
            part.note()
        return 0

    def _go_on(self, stream: Stream) -> int:
        """Judge the answer to a range; returns as `_begin`."""
        headers, part = stream.headers, self._part
        found = re.fullmatch(
            r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", headers.get("content-range", "").strip()
        )
        if found is None or int(found[1]) != part.resume_from:
            raise StartOver("the server sent another range than the one asked for")
        if encoding_of(headers) not in ("", "identity"):
            raise StartOver("the server packed a part of the file; starting over")
        total = part.total if found[3] == "*" else int(found[3])
        validators = (
            (part.etag, headers.get("etag", "").strip()),
            (part.modified, headers.get("last-modified", "").strip()),
        )
        if part.total not in (None, total) or any(old and new and old != new for old, new in validators):
            raise StartOver("the file changed on the server; starting over")
        part.total = total
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
        self._means.emit(FileArrived(wanted.url))
        await self._means.publisher.publish(part, self._path)
        return DownloadOutcome(self._path, size, self._received, tuple(pieces))

    def _check_space(self, needed: int) -> None:
        folder, min_free = self._path.parent, self._means.rules.min_free
        if not min_free:
            return
        needed = max(0, needed)
        free = files.free_bytes(folder)
        if free is not None and free - needed < min_free:
            raise DiskFullError(
                f"Too little space for {folder}: {free >> 20} MiB are free, "
                f"{needed >> 20} MiB are needed and {min_free >> 20} MiB stay free",
                "Free space, set another data_dir, or lower downloads.min_free; then run again.",
            )
