"""The part of a file: its bytes until they are all there, and the note that lets another run go on.

The bytes gather in `{name}.part`, locked while they do; beside it the sidecar `{name}.part.json` says
what they are, so that another run can go on from the last byte that is known to be good. A file that is
small and comes quickly stays in memory until it is whole: it needs no sidecar, and a kill costs at
most `HELD` bytes or `HELD_S` seconds of it. Bytes of a large file may come ahead of those in front of
them: then the sidecar says which are here, and a kill costs at most `NOTED_SHARE` of it or `NOTED` bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import json
import os
import socket
import stat
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from maap_tui.engine.download.ahead import Ahead
from maap_tui.engine.errors import StorageError
from maap_tui.engine.events import LONG_WAIT_S, Emit, Noted, Warned
from maap_tui.engine.integrity.hashes import PIECE
from maap_tui.engine.integrity.running import Running
from maap_tui.engine.integrity.sums import Sum, distinct, noted, read_noted
from maap_tui.engine.storage import files, locks

OVERLAP = 64 * 1024
"""Bytes asked for again and compared when the server gives no strong validator."""

HELD = 1 << 20
"""Bytes of a file up to which it is held in memory until it is whole."""

HELD_S = 0.2
"""Seconds after which what is held is written all the same, for another run to go on from."""

NOTED = 512 * 1024
"""Bytes from one note to the next at least, while bytes come ahead of others."""

NOTED_SHARE = 1 / 512
"""Share of a file from one such note to the next, where that is more."""

_Result = TypeVar("_Result")


@dataclass(slots=True)
class Part:
    """The open part of one file and what is known of its bytes."""

    path: Path
    descriptor: int
    url: str
    compared: Callable[[Sequence[Sum]], Sequence[Sum]] = list
    """Gives what its bytes will be compared with, where its server offers these sums."""
    total: int | None = None
    etag: str = ""
    modified: str = ""
    sums: list[Sum] = field(default_factory=list)
    """Sums of the whole file that the server offered."""
    running: Running = field(default_factory=Running)
    """Digests of the bytes from the beginning on, but for those held."""
    pieces: list[str] = field(default_factory=list)
    length: int = 0
    """Bytes that are here from the beginning on."""
    tail: Any = field(default_factory=hashlib.sha256)
    """Hash of the bytes after the last whole piece, but for those held."""
    ahead: Ahead = field(default_factory=Ahead)
    """What is here beyond that."""

    is_given_up: bool = False
    """Whether its loading was cancelled: what is on disk is left as it is."""
    is_final: bool = False
    """Whether it has its final name."""

    _has_bytes: bool = False
    """Whether there may be bytes on disk."""
    _has_note: bool = True
    """Whether there may be a note on disk."""
    _is_spread: bool = False
    """Whether bytes may be on disk with others missing in front of them."""
    _noted: int = 0
    """Bytes that the note last written knows of."""
    _held: bytearray | None = None
    """All bytes so far, none of them on disk or hashed yet; None when they are written as they come."""

    def __post_init__(self) -> None:
        self.running.begin(self.compared(self.sums))

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
    def here(self) -> int:
        """Bytes that are here, wherever in the file."""
        return self.length + self.ahead.count

    def length_of(self, number: int) -> int:
        """Bytes that are here of a piece, from its beginning on."""
        if number * PIECE >= self.length:
            return self.ahead.length_of(number)
        return min(self.length - number * PIECE, PIECE)

    @property
    def is_held(self) -> bool:
        """Whether its bytes are in memory only."""
        return self._held is not None

    def hold(self) -> None:
        """Keep the bytes that come in memory as long as they are few; only where there are none yet."""
        self._held = bytearray()

    def write(self, data: bytes | memoryview) -> None:
        if self._held is not None:
            if self.length + len(data) <= HELD:
                self._held += data
                self.length += len(data)
                return
            self.spill()
        self.write_at(data, self.length)

    def offer(self, sums: Sequence[Sum]) -> None:
        """Take sums of the whole file that an answer offers."""
        self.sums = distinct([*self.sums, *sums])
        self.running.begin(self.compared(self.sums))

    def spread(self) -> bool:
        """Let bytes come ahead of others from now on; False where that cannot be noted, and must not be."""
        if not self._is_spread:
            self._is_spread = True
            self._is_spread = self.note()
        return self._is_spread

    def write_at(self, data: bytes | memoryview, offset: int) -> None:
        """Write bytes that follow those of their piece that are here."""
        self._has_bytes = True
        view = memoryview(data)
        while view:
            piece = view[: PIECE - offset % PIECE]
            count = os.pwrite(self.descriptor, piece, offset)
            if offset == self.length:
                self._lengthen(view[:count])
            else:
                self.ahead.add(offset, view[:count])
            offset += count
            view = view[count:]
        if self._is_spread and self.here - self._noted >= max(NOTED, (self.total or 0) * NOTED_SHARE):
            self.note()

    def _lengthen(self, data: memoryview) -> None:
        """Count bytes, of one piece, that were written behind the others."""
        if self._take(data):
            self._join()
            if not self._is_spread:
                self.note()

    def _take(self, data: bytes | memoryview) -> bool:
        """Hash and count bytes, of one piece, that follow the others; returns whether it is whole now."""
        self.running.add(data, self.length)
        self.tail.update(data)
        self.length += len(data)
        if self.length % PIECE:
            return False
        if self.length == PIECE:
            self.running.take_first(self.tail, PIECE)
        self.pieces.append(self.tail.hexdigest())
        self.tail = hashlib.sha256()
        return True

    def running_to_end(self) -> Running:
        """Its digests once all bytes are here; those of a short file have its hash, which is taken anyway."""
        if 0 < self.length < PIECE:
            self.running.take_first(self.tail, self.length)
        return self.running

    def _join(self) -> None:
        """Count what is ahead as soon as nothing is missing in front of it."""
        while (found := self.ahead.take(self.length // PIECE)) is not None:
            self.length += found.length
            if found.length < PIECE:
                self.tail = found.digest
                return
            self.pieces.append(found.digest.hexdigest())

    def read(self, count: int, offset: int) -> bytes:
        """Some of the bytes that are here."""
        if self._held is not None:
            return bytes(self._held[offset : offset + count])
        return os.pread(self.descriptor, count, offset)

    def spill(self) -> None:
        """Write what is held, with a note that lets another run go on from there."""
        if self._held is not None:
            self.write_held()
            self.note()

    def write_held(self) -> None:
        """Write and hash what is held; where that fails, all of it is held as before."""
        if self._held is None:
            return
        self._has_bytes = True
        view, done = memoryview(self._held), 0
        while done < len(view):
            done += os.pwrite(self.descriptor, view[done:], done)
        self.running.add(view, 0)
        self.tail.update(view)
        self._held = None

    def restart(self) -> None:
        # The note goes with the bytes it speaks of, so that it never vouches for others.
        if self._has_note:
            with contextlib.suppress(OSError):
                drop_note(self.path)
                self._has_note = False
        if self._has_bytes:
            files.empty(self.descriptor, self.path)
            self._has_bytes = False
        self._held = None
        self.length = self._noted = 0
        self.ahead.clear()
        self._is_spread = False
        self.pieces.clear()
        self.tail = hashlib.sha256()
        self.total, self.etag, self.modified = None, "", ""
        self.sums, self.running = [], Running()
        self.running.begin(self.compared(self.sums))

    def note(self) -> bool:
        """Write the sidecar; False where it cannot be, and without it the file starts from scratch."""
        note: dict[str, Any] = {
            "url": self.url,
            "etag": self.etag,
            "modified": self.modified,
            "size": self.total,
            "piece": PIECE,
            "pieces": self.pieces,
            "sums": noted(self.sums),
            "boot": files.boot_id(),
            "pid": os.getpid(),
            "host": socket.gethostname(),
        }
        if self._is_spread:
            # A version that knows nothing of this takes all bytes of its boot for good: it gets none.
            spread = {"boot": note["boot"], "length": self.length, "pieces": self.ahead.noted()}
            note |= {"boot": "", "ahead": spread}
        text = json.dumps(note)
        sibling = _unfinished_note(self.path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(sibling, flags, 0o666), "w", encoding="utf-8") as handle:
                handle.write(text)
            os.replace(sibling, _sidecar(self.path))
            self._has_note = True
            self._noted = self.here
            return True
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(sibling)
            return False

    def keep(self) -> None:
        """Leave it for another run, with a note; without any bytes it goes."""
        try:
            self.write_held()
        except OSError:
            # Of what does not fit on the disk the beginning is worth something.
            held = self._held or bytearray()
            self.length = min(os.fstat(self.descriptor).st_size, len(held))
            self.tail, self._held = hashlib.sha256(held[: self.length]), None
        if self.here:
            self.note()
        else:
            self.remove()

    def remove(self) -> None:
        """Take the part and its note away."""
        with contextlib.suppress(OSError):
            self.path.unlink()
        with contextlib.suppress(OSError):
            drop_note(self.path)

    def make_durable(self) -> None:
        """Make the bytes survive a power cut.

        Raises:
            StorageError: they may be lost; the part is gone.
        """
        try:
            files.fsync_file(self.descriptor)
        except OSError as error:
            # After a failed fsync the kernel may have dropped the pages: nothing of the part is safe.
            with contextlib.suppress(OSError):
                self.path.unlink()
            raise StorageError(
                f"{self.path} could not be written to disk: {os.strerror(error.errno or errno.EIO)}",
                "Check the disk, then run again.",
            ) from error

    def rename(self, path: Path) -> None:
        """Give it its final name; the name is durable once its folder is."""
        os.replace(self.path, path)
        self.is_final = True
        if self._has_note:
            drop_note(self.path)

    def load(self) -> None:
        """Find out how much of what is there can be kept."""
        size = os.fstat(self.descriptor).st_size
        self._has_bytes = True
        try:
            found = json.loads(Path(_sidecar(self.path)).read_bytes())
            pieces = [str(one) for one in found["pieces"]]
            usable = found["url"] == self.url and found["piece"] == PIECE and size > 0
            total, etag, modified = found["size"], str(found["etag"]), str(found["modified"])
            spread = found.get("ahead", {})
            # Within one boot the page cache has every byte written; after it, only what the
            # hashes vouch for.
            same_boot = spread.get("boot", found["boot"]) == files.boot_id() != ""
            end = min(int(spread.get("length", size)), size)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            usable = False
        if not usable or not (total is None or (isinstance(total, int) and size <= total)):
            self.restart()
            return
        self.total, self.etag, self.modified = total, etag, modified
        self.offer([one for one in read_noted(found.get("sums")) if one.algorithm])
        for expected in pieces:
            if self.is_given_up:
                return
            data = os.pread(self.descriptor, PIECE, self.length)
            digest = hashlib.sha256(data)
            if len(data) != PIECE or digest.hexdigest() != expected:
                break
            self.running.add(data, self.length)
            self.pieces.append(expected)
            self.length += PIECE
            if self.length == PIECE:
                self.running.take_first(digest, PIECE)
        whole = len(self.pieces) == len(pieces)
        if same_boot and whole and self.length < end:
            while data := os.pread(
                self.descriptor, min(PIECE - self.length % PIECE, 1 << 20, end - self.length), self.length
            ):
                self._take(data)
        if total is not None:
            self._load_ahead(spread.get("pieces", []), total, same_boot)
        if self.is_given_up:
            return
        end = max(self.length, self.ahead.end)
        try:
            os.ftruncate(self.descriptor, end)
        except OSError:
            if end != size:
                self.restart()

    def _load_ahead(self, noted: Any, total: int, same_boot: bool) -> None:
        try:
            self.ahead.load(
                self.descriptor,
                noted,
                begin=self.length,
                total=total,
                is_same_boot=same_boot,
                is_given_up=lambda: self.is_given_up,
            )
        except (ValueError, TypeError):
            self.ahead.clear()
        self._is_spread = self.ahead.count > 0
        if self.length % PIECE == 0:
            self._join()


# These are asked for with each file, and a string costs a tenth of a Path.
def _sidecar(part_path: Path) -> str:
    return f"{part_path}.json"


def _unfinished_note(part_path: Path) -> str:
    """Where a sidecar is written before it takes the place of the one before."""
    return f"{part_path}.json.new"


def drop_note(part_path: Path) -> None:
    """Remove the sidecar of a part, if there is one."""
    for name in (_sidecar(part_path), _unfinished_note(part_path)):
        try:
            os.unlink(name)
        except FileNotFoundError:
            continue


@contextlib.asynccontextmanager
async def locked_part(
    url: str, path: Path, emit: Emit, compared: Callable[[Sequence[Sum]], Sequence[Sum]] = list
) -> AsyncIterator[Part | None]:
    """The part of a file, held by this process alone; None when another one finished the file meanwhile.

    Args:
        url: what the file is fetched from.
        path: the final name of the file; the part lies beside it.
        emit: takes the events of a long wait for another process.
        compared: gives the sums that its bytes will be compared with, where its server offers some.

    Raises:
        StorageError: it cannot be opened.
    """
    part_path = part_of(path)
    reported = warned = False
    begun = time.monotonic()
    before = _existing_stamp(path)
    while True:
        if (held := locks.open_held(part_path)) is not None:
            descriptor, let_go = held
            if is_same_file(descriptor, part_path):
                break
            let_go()
            os.close(descriptor)
        if not reported:
            emit(Noted(f"{path.name} is being fetched by {_holder(part_path)}; waiting for it"))
            reported = True
        if not warned and time.monotonic() - begun > LONG_WAIT_S:
            emit(Warned(f"{path.name} is being fetched by {_holder(part_path)}; still waiting for it"))
            warned = True
        await asyncio.sleep(0.2)
        if _existing_stamp(path) != before and not part_path.exists():
            yield None
            return
    part = Part(part_path, descriptor, url, compared)
    try:
        if not (size := os.fstat(descriptor).st_size) and _existing_stamp(path) != before:
            # Another process finished it before this one had the lock.
            yield None
            return
        if size:
            await run_to_end(part.load, on_cancel=part.give_up)
            if part.here:
                part.note()  # says who holds it
        yield part
    finally:
        if not part.is_final and is_same_file(descriptor, part_path):
            # Of one that was given up while it was loaded only the size on disk is known.
            if not part.is_given_up:
                part.keep()
            elif not os.fstat(descriptor).st_size:
                part.remove()
        let_go()
        os.close(descriptor)


async def run_to_end(
    function: Callable[..., _Result], *args: Any, on_cancel: Callable[[], None] | None = None
) -> _Result:
    """Run in a thread, and wait for its end also when cancelled: it works on a file that is closed next."""
    work = asyncio.get_running_loop().run_in_executor(None, partial(function, *args))
    return await wait_to_end(work, on_cancel)


async def wait_to_end(work: asyncio.Future[_Result], on_cancel: Callable[[], None] | None = None) -> _Result:
    """Wait for work on an open file, to its end also when cancelled."""
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


def part_of(path: Path) -> Path:
    """Where the bytes of a file gather."""
    return path.with_name(path.name + ".part")


def existing_size(path: Path) -> int | None:
    """Bytes of a regular file, None when there is none."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def bytes_taken(path: Path) -> int:
    """Bytes that a file takes on the disk, fewer than its size where some in front are missing."""
    try:
        found = os.lstat(path)
    except OSError:
        return 0
    return min(found.st_size, getattr(found, "st_blocks", found.st_size) * 512)


def _existing_stamp(path: Path) -> tuple[int, int] | None:
    """Inode and modification time of a file, None when there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def is_same_file(descriptor: int, path: Path) -> bool:
    """Whether a path is still the name of an open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except OSError:
        return False


def _holder(part_path: Path) -> str:
    try:
        noted = json.loads(Path(_sidecar(part_path)).read_bytes())
        return f"process {int(noted['pid'])} on {str(noted['host'])[:80]}"
    except (OSError, ValueError, TypeError, KeyError):
        return "another process"
