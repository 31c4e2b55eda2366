"""One file: asked for, resumed, verified, renamed.

Rule: a final name holds one whole version of one file or nothing. The bytes gather in `{name}.part`,
locked while they do; beside it `{name}.part.json` says what they are, so that another run can go on
from the last byte that is known to be good.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import json
import math
import os
import re
import socket
import time
import zlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from maap_tui.engine.errors import (
    AuthenticationError,
    DiskFullError,
    DownloadError,
    StorageError,
)
from maap_tui.engine.events import (
    LONG_WAIT_S,
    BytesReceived,
    Emit,
    FileRetried,
    FileStarted,
    Noted,
    Waits,
    Warned,
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
from maap_tui.engine.net.http import (
    BUSY,
    Http,
    Stream,
    TransportFault,
    backoff_s,
    retry_after_s,
)
from maap_tui.engine.net.origins import origin_of
from maap_tui.engine.net.tokens import Tokens
from maap_tui.engine.storage import files, layout, locks

OVERLAP = 64 * 1024
"""Bytes asked for again and compared when the server gives no strong validator."""

PROGRESS = 64 * 1024
"""Bytes that a try has to bring for the count of tries to start from 0."""

SLOW_LIMIT = 3
"""Tries of one file that may be too slow before it is given up."""

_PACE_CHECK_S = 0.5
_LEAST_ROOM = 1 << 20
_UNPACKED = 1 << 20

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class DownloadRequest:
    """A file to have, and where."""

    url: str
    path: Path
    size: int | None = None
    """Bytes the catalogue announced, None when it did not."""
    root: Path | None = None
    """Folder that the path must not lead out of, links included; None for its own folder."""
    again: bool = False
    """Whether to fetch it also when it is here whole."""


@dataclass(frozen=True, slots=True)
class DownloadOutcome:
    """What came of it."""

    path: Path
    size: int
    """Bytes of the file."""
    received: int
    """Bytes that came over the network in this run; 0 when it was here already."""
    pieces: tuple[str, ...] = ()
    """SHA-256 of each `PIECE`, hex; () when it was here already."""


@dataclass(frozen=True, slots=True)
class TransferRules:
    """How files are fetched."""

    retries: int = 5
    """Further tries after one that brought nothing new."""
    retry_wait_s: float = 1.0
    """Seconds before the first of them; doubles."""
    min_free: int = 1 << 30
    """Bytes that have to stay free on the disk; 0 for no check."""
    max_file: int = 20 << 30
    """Bytes a file may have."""
    min_rate: float = 1024.0
    """Bytes a second below which a connection is given up for a new one; 0 for no such rule."""
    rate_window_s: float = 60.0
    """Seconds that this rate is measured over."""
    limit_rate: float = 0.0
    """Most bytes a second for all files together; 0 for no limit."""


class _Failure(Exception):
    """A try failed; `wait_s` is what the server asked for, None when it did not."""

    def __init__(
        self,
        reason: str,
        *,
        status: int | None = None,
        permanent: bool = False,
        wait_s: float | None = None,
        slow: bool = False,
        away: bool = False,
        hint: str = "",
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.permanent = permanent
        self.wait_s = wait_s
        self.slow = slow
        self.away = away
        """Whether it may be the whole service that is down."""
        self.hint = hint


class _StartOver(Exception):
    """What is in the part is of no use; the next try begins at 0."""


class HostPause:
    """A wait that a host asked for, kept by everything that asks it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until = 0.0

    def ask(self, seconds: float) -> None:
        self._until = max(self._until, self._clock() + seconds)

    async def wait(self) -> None:
        while (left := self._until - self._clock()) > 0:  # noqa: ASYNC110 - the end can move while it sleeps
            await asyncio.sleep(left)


class _Pace:
    """Keeps all files of one Transfer together under a rate, which may change meanwhile."""

    def __init__(self, rate: float, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._taken = 0.0
        """Bytes that came, those still held back included."""
        self._passed = 0.0
        """Bytes let through at the moment `_since`."""
        self._since = clock()

    def set_rate(self, rate: float) -> None:
        """Go on at another rate, also for what is held back now; 0 for no limit."""
        self._passed, self._since = min(self._allowed(), self._taken), self._clock()
        self._rate = rate

    def _allowed(self) -> float:
        if not self._rate:
            return math.inf
        return self._passed + self._rate * (self._clock() - self._since)

    def hold_s(self, count: int) -> float:
        """About how long that many bytes will be held back, in seconds."""
        if not self._rate:
            return 0.0
        return (max(self._taken - self._allowed(), 0.0) + count) / self._rate

    async def take(self, count: int) -> float:
        """Hold back for as long as that many bytes take; returns the seconds it took."""
        if self._allowed() > self._taken:
            # Time in which nothing came is not saved up.
            self._passed, self._since = self._taken, self._clock()
        self._taken += count
        mine, begun = self._taken, self._clock()
        while (left := mine - self._allowed()) > 0:  # noqa: ASYNC110 - the rate can change while it sleeps
            await asyncio.sleep(min(left / self._rate, _PACE_CHECK_S))
        return self._clock() - begun


@dataclass(slots=True)
class _Part:
    """The open part of one file and what is known of its bytes."""

    path: Path
    descriptor: int
    url: str
    total: int | None = None
    etag: str = ""
    modified: str = ""
    pieces: list[str] = field(default_factory=list)
    length: int = 0
    """Bytes written and hashed."""
    tail: Any = field(default_factory=hashlib.sha256)
    """Hash of the bytes after the last whole piece."""

    is_given_up: bool = False
    """Whether its loading was cancelled: what is on disk is left as it is."""

    def give_up(self) -> None:
        """Stop loading as soon as may be."""
        self.is_given_up = True

    @property
    def has_strong_etag(self) -> bool:
        return bool(self.etag) and not self.etag.startswith("W/")

    @property
    def resume_from(self) -> int:
        """First byte to ask for: the next one, or some known ones to compare where no ETag vouches."""
        return self.length if self.has_strong_etag else max(0, self.length - OVERLAP)

    @property
    def sidecar(self) -> Path:
        return _sidecar(self.path)

    def write(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while view:
            room = PIECE - self.length % PIECE
            count = os.pwrite(self.descriptor, view[:room], self.length)
            self.tail.update(view[:count])
            self.length += count
            view = view[count:]
            if self.length % PIECE == 0:
                self.pieces.append(self.tail.hexdigest())
                self.tail = hashlib.sha256()
                self.note()

    def restart(self) -> None:
        # The note goes with the bytes it speaks of, so that it never vouches for others.
        with contextlib.suppress(OSError):
            _drop_note(self.path)
        files.empty(self.descriptor, self.path)
        self.length = 0
        self.pieces.clear()
        self.tail = hashlib.sha256()
        self.total, self.etag, self.modified = None, "", ""

    def note(self) -> None:
        """Write the sidecar. It is a convenience: without it the file starts from scratch."""
        text = json.dumps(
            {
                "url": self.url,
                "etag": self.etag,
                "modified": self.modified,
                "size": self.total,
                "piece": PIECE,
                "pieces": self.pieces,
                "boot": files.boot_id(),
                "pid": os.getpid(),
                "host": socket.gethostname(),
            }
        )
        sibling = _unfinished_note(self.path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(sibling, flags, 0o666), "w", encoding="utf-8") as handle:
                handle.write(text)
            os.replace(sibling, self.sidecar)
        except OSError:
            with contextlib.suppress(OSError):
                sibling.unlink()

    def remove(self) -> None:
        """Take the part and its note away."""
        with contextlib.suppress(OSError):
            self.path.unlink()
        with contextlib.suppress(OSError):
            _drop_note(self.path)

    def load(self) -> None:
        """Find out how much of what is there can be kept."""
        size = os.fstat(self.descriptor).st_size
        try:
            noted = json.loads(self.sidecar.read_bytes())
            pieces = [str(one) for one in noted["pieces"]]
            usable = noted["url"] == self.url and noted["piece"] == PIECE and size > 0
            total, etag, modified = noted["size"], str(noted["etag"]), str(noted["modified"])
            # Within one boot the page cache has every byte written; after it, only what the
            # hashes vouch for.
            same_boot = noted["boot"] == files.boot_id() != ""
        except (OSError, ValueError, TypeError, KeyError):
            usable = False
        if not usable or not (total is None or (isinstance(total, int) and size <= total)):
            self.restart()
            return
        self.total, self.etag, self.modified = total, etag, modified
        for expected in pieces:
            if self.is_given_up:
                return
            data = os.pread(self.descriptor, PIECE, self.length)
            if len(data) != PIECE or hashlib.sha256(data).hexdigest() != expected:
                break
            self.pieces.append(expected)
            self.length += PIECE
        whole = len(self.pieces) == len(pieces)
        if same_boot and whole and self.length < size:
            while data := os.pread(self.descriptor, min(PIECE - self.length % PIECE, 1 << 20), self.length):
                self.tail.update(data)
                self.length += len(data)
                if self.length % PIECE == 0:
                    self.pieces.append(self.tail.hexdigest())
                    self.tail = hashlib.sha256()
        try:
            os.ftruncate(self.descriptor, self.length)
        except OSError:
            if self.length != size:
                self.restart()


def _sidecar(part_path: Path) -> Path:
    return part_path.with_name(part_path.name + ".json")


def _unfinished_note(part_path: Path) -> Path:
    """Where a sidecar is written before it takes the place of the one before."""
    return part_path.with_name(part_path.name + ".json.new")


def _drop_note(part_path: Path) -> None:
    for path in (_sidecar(part_path), _unfinished_note(part_path)):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


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
        self._http = http
        self._tokens = tokens
        self._rules = rules
        self._pause = pause or HostPause()
        self._emit = emit
        self._clock = clock
        self._pace = _Pace(rules.limit_rate, clock)
        self._waits = Waits(emit, clock)

    async def fetch(self, wanted: DownloadRequest) -> DownloadOutcome:
        """Have the file under its final name, whole and verified, or raise.

        Raises:
            DownloadError: this file cannot be had, now or ever.
            AuthenticationError: the token is refused; no other file will fare better.
            StorageError: it cannot be written.
        """
        if not self._http.may_carry_token(wanted.url):
            raise DownloadError(
                wanted.url,
                "its address is not on the archive, and the access token is not sent anywhere else",
                permanent=True,
                hint="Add its origin to api.data_origins if you trust it.",
            )
        path = layout.ensure_under(wanted.root or wanted.path.parent, wanted.path)
        here = existing_size(path)
        is_same = here is not None and here == wanted.size and not wanted.again
        if here is not None and is_same and is_whole(path):
            part_path = path.with_name(path.name + ".part")
            if not os.path.lexists(part_path):
                # A run that was killed between the rename and its tidying left the note behind.
                with contextlib.suppress(OSError):
                    _drop_note(part_path)
            return DownloadOutcome(path, here, 0)
        try:
            files.make_folder(path.parent)
            async with self._locked_part(wanted, path) as part:
                if part is None:
                    size = existing_size(path)
                    return DownloadOutcome(path, size or 0, 0)
                return await self._fetch_part(wanted, path, part)
        except OSError as error:
            raise files.storage_error(path, error) from error

    def set_limit_rate(self, rate: float) -> None:
        """Change how many bytes a second all files together may take; 0 for no limit."""
        self._pace.set_rate(rate)

    def has_room(self, wanted: DownloadRequest) -> bool:
        """Whether the disk has room for what is still to come of a file, as far as it is known."""
        for folder in wanted.path.parents:
            try:
                free = files.free_bytes(folder)
            except OSError:
                continue
            needed = max(_bytes_to_come(wanted, wanted.path), _LEAST_ROOM)
            return free is None or free - needed >= self._rules.min_free
        return True

    @contextlib.asynccontextmanager
    async def _locked_part(self, wanted: DownloadRequest, path: Path) -> AsyncIterator[_Part | None]:
        """The part, held by this process alone; None when another one finished the file meanwhile."""
        part_path = path.with_name(path.name + ".part")
        reported = warned = False
        begun = time.monotonic()
        before = existing_stamp(path)
        while True:
            try:
                descriptor = os.open(part_path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
            except OSError as error:
                raise files.storage_error(part_path, error) from error
            try:
                let_go = locks.hold(descriptor, part_path)
            except OSError:
                os.close(descriptor)
                raise
            if let_go is not None:
                if _is_same_file(descriptor, part_path):
                    break
                let_go()
            os.close(descriptor)
            if not reported:
                self._emit(Noted(f"{path.name} is being fetched by {_holder(part_path)}; waiting for it"))
                reported = True
            if not warned and time.monotonic() - begun > LONG_WAIT_S:
                self._emit(
                    Warned(f"{path.name} is being fetched by {_holder(part_path)}; still waiting for it")
                )
                warned = True
            await asyncio.sleep(0.2)
            if existing_stamp(path) != before and not part_path.exists():
                yield None
                return
        part = _Part(part_path, descriptor, wanted.url)
        try:
            await _to_end(part.load, on_cancel=part.give_up)
            if part.length:
                part.note()  # says who holds it
            yield part
        finally:
            if _is_same_file(descriptor, part_path):
                # Of one that was given up while it was loaded only the size on disk is known.
                if not (os.fstat(descriptor).st_size if part.is_given_up else part.length):
                    part.remove()
                elif not part.is_given_up:
                    part.note()
            let_go()
            os.close(descriptor)

    async def _fetch_part(self, wanted: DownloadRequest, path: Path, part: _Part) -> DownloadOutcome:
        received = 0
        best = part.length
        tries = slow = renewals = 0
        refused = ""
        needs_token = "/public/" not in urlsplit(wanted.url).path
        while True:
            tries += 1
            try:
                await self._pause.wait()
                if part.total is not None and part.length == part.total and part.length > 0:
                    return await self._finish(wanted, path, part, received)
                self._check_space(path.parent, (part.total or wanted.size or 0) - part.length)
                token = (
                    await self._tokens.access_token(refused, wait_for_service=True) if needs_token else None
                )
                async with self._open(wanted, part, token) as stream:
                    if stream.status == 401 and not self._http.may_carry_token(stream.url):
                        raise _Failure(
                            f"redirected to {origin_of(stream.url)}, which wants a token and may not have it",
                            status=401,
                            permanent=True,
                            hint="Add its origin to api.data_origins if you trust it.",
                        )
                    if stream.status == 401 or _is_login_page(stream):
                        if renewals:
                            raise self._unwelcome(stream)
                        renewals += 1
                        refused, needs_token = token or "", True
                        tries -= 1
                        continue
                    renewals = 0
                    here = existing_size(path)
                    is_same = here is not None and here == _body_size(stream) and not wanted.again
                    if here is not None and is_same and stream.status in (200, 206) and is_whole(path):
                        part.restart()
                        return DownloadOutcome(path, here, received)
                    async for count in self._receive(wanted, part, stream):
                        received += count
                return await self._finish(wanted, path, part, received)
            except _StartOver as over:
                part.restart()
                failure = _Failure(str(over))
            except _Failure as error:
                failure = error
            except TransportFault as fault:
                if files.is_out_of_files(fault):
                    # No fault of the network: a connection is an open file too.
                    raise files.storage_error(path, OSError(errno.EMFILE, "")) from fault
                failure = _Failure(
                    fault.message,
                    status=fault.status,
                    permanent=fault.permanent,
                    away=not fault.permanent,
                    hint=fault.hint,
                )
            if failure.wait_s is not None:
                self._pause.ask(failure.wait_s)
            if part.length >= best + PROGRESS:
                best, tries = part.length, 1
            slow += failure.slow
            if failure.away and tries > self._rules.retries:
                probe = self._http.probe_of(wanted.url)
                if await self._http.wait_out_outage(probe, failure.reason):
                    tries = 0
                    continue
            if failure.permanent or tries > self._rules.retries or slow >= SLOW_LIMIT:
                raise DownloadError(
                    wanted.url,
                    failure.reason,
                    failure.status,
                    permanent=failure.permanent,
                    hint=failure.hint,
                )
            wait_s = failure.wait_s or backoff_s(tries, self._rules.retry_wait_s)
            self._emit(FileRetried(wanted.url, failure.reason, tries, wait_s))
            self._waits.report(origin_of(wanted.url), f"{wanted.path.name}: {failure.reason}", wait_s)
            await asyncio.sleep(wait_s)

    @contextlib.asynccontextmanager
    async def _open(self, wanted: DownloadRequest, part: _Part, token: str | None) -> AsyncIterator[Stream]:
        headers: dict[str, str] = {}
        if part.length:
            headers["range"] = f"bytes={part.resume_from}-"
            if part.has_strong_etag:
                headers["if-range"] = part.etag
            elif part.modified:
                headers["if-range"] = part.modified
        async with self._http.stream(wanted.url, token=token, headers=headers) as stream:
            yield stream

    async def _receive(self, wanted: DownloadRequest, part: _Part, stream: Stream) -> AsyncIterator[int]:
        """Check the answer against what was asked, then write its body; yields the bytes written."""
        if part.length and _is_all_there(stream, part.length):
            part.total = part.length
            return
        overlap = self._begin(wanted, part, stream)
        total = part.total if part.total is not None else wanted.size
        self._emit(FileStarted(wanted.url, wanted.path, total, part.length))
        limit = total if total is not None else self._rules.max_file
        checked = part.length > 0
        arrived = 0
        window = _Window(self._rules, self._clock)
        async for chunk in _decoded(stream):
            arrived += len(chunk)
            window.check(len(chunk))
            if overlap:
                known = os.pread(part.descriptor, min(len(chunk), overlap), part.length - overlap)
                if known != chunk[: len(known)]:
                    raise _StartOver("the file changed on the server; starting over")
                overlap -= len(known)
                chunk = chunk[len(known) :]
                if not chunk:
                    continue
            if part.length + len(chunk) > limit:
                if total is not None:
                    raise _StartOver(f"more came than the {limit} bytes announced")
                part.restart()
                raise self._too_large()
            if not checked:
                checked = True
                if is_message(wanted.url, chunk[:SNIFF]):
                    raise _Failure("a web page or message came instead of data")
            before = part.length
            part.write(chunk)
            self._emit(BytesReceived(wanted.url, len(chunk)))
            yield len(chunk)
            if before // PIECE != part.length // PIECE:
                self._check_space(part.path.parent, (total or 0) - part.length)
            self._waits.report("", "downloads.limit_rate holds downloads back", self._pace.hold_s(len(chunk)))
            if waited_s := await self._pace.take(len(chunk)):
                window.forgive(waited_s)
        if part.total is None:
            if not arrived:
                raise _Failure("an empty answer came instead of data")
            self._settle_length(wanted, part, stream)
        elif part.length < part.total:
            raise _Failure(f"the connection ended after {part.length} of {part.total} bytes")

    def _begin(self, wanted: DownloadRequest, part: _Part, stream: Stream) -> int:
        """Judge status and headers; returns how many bytes will come again and have to be compared."""
        status, headers = stream.status, stream.headers
        if status == 206 and part.length:
            found = re.fullmatch(
                r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", headers.get("content-range", "").strip()
            )
            if found is None or int(found[1]) != part.resume_from:
                raise _StartOver("the server sent another range than the one asked for")
            if _encoding(headers) not in ("", "identity"):
                raise _StartOver("the server packed a part of the file; starting over")
            total = part.total if found[3] == "*" else int(found[3])
            validators = (
                (part.etag, headers.get("etag", "").strip()),
                (part.modified, headers.get("last-modified", "").strip()),
            )
            if part.total not in (None, total) or any(old and new and old != new for old, new in validators):
                raise _StartOver("the file changed on the server; starting over")
            part.total = total
            return part.length - part.resume_from
        if status == 416 and part.length:
            raise _StartOver("the server has no such range; starting over")
        if status in (200, 203):
            part.restart()
            total = _body_size(stream)
            if total is not None and wanted.size is not None and total != wanted.size:
                raise _Failure(f"the server has {total} bytes where the catalogue announced {wanted.size}")
            if total == 0:
                raise _Failure("an empty answer came instead of data")
            if (total or wanted.size or 0) > self._rules.max_file:
                raise self._too_large()
            self._check_space(part.path.parent, total or wanted.size or 0)
            part.total = total
            if _encoding(headers) in ("", "identity"):
                # Validators of a packed answer speak of the packed bytes.
                part.etag = headers.get("etag", "").strip()
                part.modified = headers.get("last-modified", "").strip()
            part.note()
            return 0
        raise self._refusal(stream)

    def _too_large(self) -> _Failure:
        return _Failure(
            f"it is larger than downloads.max_file ({self._rules.max_file} bytes)", permanent=True
        )

    def _refusal(self, stream: Stream) -> _Failure:
        status = stream.status
        words = f"{status} {stream.reason}".strip()
        if status == 403:
            return _Failure(
                f"{words}: your account may not have this file, or it is missing at the archive",
                status=403,
                permanent=True,
            )
        if status in (404, 410):
            return _Failure(f"{words}: the archive does not have it", status=status, permanent=True)
        if status in BUSY:
            return _Failure(words, status=status, wait_s=retry_after_s(stream.headers), away=True)
        if 200 <= status < 300:
            return _Failure(f"{words} came instead of the file", status=status)
        return _Failure(words, status=status, permanent=status in (400, 405, 451))

    def _unwelcome(self, stream: Stream) -> AuthenticationError:
        if stream.status == 401:
            return AuthenticationError(
                "401 Unauthorized: the archive refuses a fresh access token",
                "Sign in at the portal once and accept the terms, or get a new offline token.",
            )
        return AuthenticationError(
            "The archive answered with a web page (a sign-in page?) in place of data, also to a fresh token",
            "Sign in at the portal once and accept the terms, or get a new offline token.",
        )

    def _settle_length(self, wanted: DownloadRequest, part: _Part, stream: Stream) -> None:
        """Decide whether a body without a length is whole."""
        if wanted.size is not None:
            if part.length != wanted.size:
                raise _Failure(f"{part.length} bytes came where the catalogue announced {wanted.size}")
        elif format_by_url(wanted.url) == "h5":
            end = hdf5_end(part.descriptor)
            if end is not None and end > part.length:
                raise _Failure(f"the connection ended after {part.length} of {end} bytes")
        elif _encoding(stream.headers) in ("", "identity") and format_by_url(wanted.url) != "zip":
            # A packed body ends with a checksum, and a zip file with its directory; others just end.
            raise _StartOver("neither server nor catalogue say its length, so it cannot be verified")
        part.total = part.length

    async def _finish(
        self, wanted: DownloadRequest, path: Path, part: _Part, received: int
    ) -> DownloadOutcome:
        """Verify what is there and give it its name."""
        size = part.length
        if wanted.size is not None and size != wanted.size:
            raise _StartOver(f"{size} bytes came where the catalogue announced {wanted.size}")
        if fault := structure_fault(part.descriptor, wanted.url, size):
            raise _StartOver(fault.reason)
        pieces = list(part.pieces)
        if size % PIECE:
            pieces.append(part.tail.hexdigest())
        await _to_end(_make_final, part, path)
        return DownloadOutcome(path, size, received, tuple(pieces))

    def _check_space(self, folder: Path, needed: int) -> None:
        if not self._rules.min_free:
            return
        needed = max(0, needed)
        free = files.free_bytes(folder)
        if free is not None and free - needed < self._rules.min_free:
            raise DiskFullError(
                f"Too little space for {folder}: {free >> 20} MiB are free, "
                f"{needed >> 20} MiB are needed and {self._rules.min_free >> 20} MiB stay free",
                "Free space, set another data_dir, or lower downloads.min_free; then run again.",
            )


class _Window:
    """Distinguishes a connection that only drips from one that moves, by what the last seconds brought."""

    def __init__(self, rules: TransferRules, clock: Callable[[], float]) -> None:
        self._rules = rules
        self._clock = clock
        self._ours = 0.0
        self._begun = clock()
        self._arrivals: deque[tuple[float, int]] = deque()
        self._count = 0

    def check(self, count: int) -> None:
        """Take the bytes that just came; raises `_Failure` when a whole window brought too few."""
        window = self._rules.rate_window_s
        now = self._clock() - self._ours
        if self._arrivals and now - self._arrivals[-1][0] < window / 100:
            then, before = self._arrivals.pop()
            self._arrivals.append((then, before + count))
        else:
            self._arrivals.append((now, count))
        self._count += count
        while self._arrivals[0][0] <= now - window:
            self._count -= self._arrivals.popleft()[1]
        if now - self._begun >= window and self._count < self._rules.min_rate * window:
            raise _Failure(f"only {self._count} bytes came in {window:.0f} s", slow=True)

    def forgive(self, seconds: float) -> None:
        """Leave out a wait that was our own."""
        self._ours += seconds


async def _to_end(
    function: Callable[..., _Result], *args: Any, on_cancel: Callable[[], None] | None = None
) -> _Result:
    """Run in a thread, and wait for its end also when cancelled: it works on a file that is closed next."""
    work = asyncio.ensure_future(asyncio.to_thread(function, *args))
    cancelled = False
    while not work.done():
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError:
            cancelled = True
            if on_cancel is not None:
                on_cancel()
    if cancelled:
        if not work.cancelled():
            work.exception()
        raise asyncio.CancelledError
    return work.result()


def _make_final(part: _Part, path: Path) -> None:
    """fsync, rename, fsync of the folder: after this the file stays, whatever happens."""
    try:
        files.fsync_file(part.descriptor)
    except OSError as error:
        # After a failed fsync the kernel may have dropped the pages: nothing of the part is safe.
        with contextlib.suppress(OSError):
            part.path.unlink()
        raise StorageError(
            f"{part.path} could not be written to disk: {os.strerror(error.errno or errno.EIO)}",
            "Check the disk, then run again.",
        ) from error
    os.replace(part.path, path)
    _drop_note(part.path)
    files.fsync_folder(path.parent)


def existing_size(path: Path) -> int | None:
    """Bytes of a regular file, None when there is none."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_size if os.path.isfile(path) and not path.is_symlink() else None


def _bytes_to_come(wanted: DownloadRequest, path: Path) -> int:
    """Bytes of a file that its part does not have; 0 when its size is not known."""
    here = existing_size(path.with_name(path.name + ".part")) or 0
    return max(0, (wanted.size or 0) - here)


def existing_stamp(path: Path) -> tuple[int, int] | None:
    """Inode and modification time of a file, None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _is_all_there(stream: Stream, length: int) -> bool:
    """Whether the server says that nothing follows the bytes that are here."""
    return stream.status == 416 and stream.headers.get("content-range", "").strip() == f"bytes */{length}"


def _is_login_page(stream: Stream) -> bool:
    kind = stream.headers.get("content-type", "").lower()
    return stream.status == 200 and kind.startswith(("text/html", "application/xhtml"))


def _encoding(headers: Mapping[str, str]) -> str:
    return headers.get("content-encoding", "").strip().lower()


def _body_size(stream: Stream) -> int | None:
    """Bytes of the whole file as the answer says; None when it does not."""
    if stream.status == 206:
        total = stream.headers.get("content-range", "").rpartition("/")[2]
        return int(total) if total.isdecimal() and len(total) < 19 else None
    if _encoding(stream.headers) not in ("", "identity"):
        return None
    text = stream.headers.get("content-length", "").strip()
    return int(text) if text.isdecimal() and len(text) < 19 else None


async def _decoded(stream: Stream) -> AsyncIterator[bytes]:
    """The body, unpacked where a proxy packed it although it was asked not to."""
    encoding = _encoding(stream.headers)
    if encoding in ("", "identity"):
        async for chunk in stream.chunks():
            yield chunk
        return
    if encoding not in ("gzip", "x-gzip", "deflate") or stream.status == 206:
        raise _Failure(f"it came packed as '{encoding[:20]}', which is not understood here")
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        async for chunk in stream.chunks():
            # A little at a time: packed zeros unpack to a thousand times their size.
            while data := unpack.decompress(chunk, _UNPACKED):
                yield data
                chunk = unpack.unconsumed_tail
    except zlib.error as error:
        raise _StartOver(f"it could not be unpacked ({error})") from None
    if not unpack.eof:
        raise _StartOver("the packed body ended too early")


def _is_same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except OSError:
        return False


def _holder(part_path: Path) -> str:
    try:
        noted = json.loads(_sidecar(part_path).read_bytes())
        return f"process {int(noted['pid'])} on {str(noted['host'])[:80]}"
    except (OSError, ValueError, TypeError, KeyError):
        return "another process"
