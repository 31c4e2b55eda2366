"""A file at its server as a file object, which keeps the blocks that were read last."""

from __future__ import annotations

import gc
import io
import operator
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from maap_tui.engine.cuts.stretches import Stretch, joined

BLOCK_SIZE = 64 * 1024
"""Bytes that are asked for at least."""
KEPT_BYTES = 64 << 20
"""Bytes of the blocks that are kept."""
_STEP_BYTES = 32 << 20
"""Bytes of a read that are asked for together."""

Bring = Callable[[Sequence[Stretch], Callable[[int, bytes], None]], None]
"""Asks for stretches of the file, and hands on where bytes are and what they are."""


class _Uncollected:
    """Holds the garbage collector back while bytes are waited for.

    h5py calls `readinto` within a lock that the end of each of its objects takes too: a collector that frees
    some in the thread that brings the bytes would wait for the reader, which waits for the bytes.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._was_collecting = False

    @contextmanager
    def held(self) -> Iterator[None]:
        with self._lock:
            if not self._holders:
                self._was_collecting = gc.isenabled()
                gc.disable()
            self._holders += 1
        try:
            yield
        finally:
            with self._lock:
                self._holders -= 1
                if not self._holders and self._was_collecting:
                    gc.enable()

    def go_on(self) -> None:
        """Collect again in a forked child, where the threads of the holders do not run."""
        if self._holders and self._was_collecting:
            gc.enable()
        self._lock, self._holders = threading.Lock(), 0


_uncollected = _Uncollected()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_uncollected.go_on)


class SizedReader(io.BufferedIOBase):
    """A file object of known size that can be read from any position; how is left to `readinto`."""

    def __init__(self, size: int) -> None:
        """Begin at its first byte, of so many."""
        super().__init__()
        self.size = size
        self._at = 0

    def readable(self) -> bool:
        self._demand_open()
        return True

    def seekable(self) -> bool:
        self._demand_open()
        return True

    def tell(self) -> int:
        self._demand_open()
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._demand_open()
        bases = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}
        if whence not in bases:
            raise ValueError(f"whence is {whence!r}; it can be 0, 1 or 2")
        at = operator.index(offset) + bases[whence]
        if at < 0:
            raise ValueError(f"position {at} is before the first byte of the file")
        self._at = at
        return at

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(self.size - self._at, 0)
        data = bytearray(left if size is None or size < 0 else min(size, left))
        count = self.readinto(data)
        return bytes(memoryview(data)[:count])

    def read1(self, size: int = -1, /) -> bytes:
        return self.read(size)

    def readinto1(self, buffer: Any, /) -> int:
        return self.readinto(buffer)

    def _demand_open(self) -> None:
        if self.closed:
            raise ValueError("the file is closed")


class RemoteReader(SizedReader):
    """Reads a file at its server by ranges; every byte is of one version of it.

    It has what the files of fsspec have that are read: `size`, `path`, `mode`, `blocksize`, `info()`. Threads
    that share it have to seek and read in turns. What is pickled is where it stands, without the blocks.
    """

    mode = "rb"

    def __init__(
        self, path: str, size: int, bring: Bring, *, block_size: int = BLOCK_SIZE, head: bytes = b""
    ) -> None:
        """Take what it stands for; ask nothing.

        Args:
            path: its address.
            size: its bytes.
            bring: asks for bytes; what it raises, reading raises.
            block_size: bytes that are asked for at least.
            head: the first block of them, where it is here already.
        """
        super().__init__(size)
        self.path = path
        self.blocksize = block_size
        self.received = len(head)
        """Bytes that came so far."""
        self._bring = bring
        self._turn = threading.Lock()
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        if len(head) == min(block_size, size):
            self._blocks[0] = head

    def __reduce__(self) -> tuple[Any, ...]:
        self._demand_open()
        return _reopened, (self.path, self.size, self._bring, self.blocksize, self._at)

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"{self.size} bytes"
        return f"<{type(self).__name__} {self.path} ({state})>"

    @property
    def name(self) -> str:
        """Its address, as the files of Python have their path."""
        return self.path

    def info(self) -> dict[str, Any]:
        """What fsspec says of a file."""
        return {"name": self.path, "size": self.size, "type": "file"}

    def readinto(self, buffer: Any, /) -> int:
        self._demand_open()
        view = memoryview(buffer).cast("B")
        if view.readonly:
            raise TypeError("bytes cannot be read into what is read-only")
        with self._turn:
            begin, end = self._at, min(self._at + len(view), self.size)
            if begin >= end:
                return 0
            # Blocks are here as bytes besides the buffer: of a long read some at a time.
            for at in range(begin, end, _STEP_BYTES):
                self._read(at, min(at + _STEP_BYTES, end), view[at - begin :])
            self._at = end
            return end - begin

    def _read(self, begin: int, end: int, view: memoryview) -> None:
        size = self.blocksize
        numbers = range(begin // size, (end - 1) // size + 1)
        # Those that are needed now are held here: together they may be more than what is kept.
        blocks = {number: self._blocks[number] for number in numbers if number in self._blocks}
        blocks |= self._fetched([number for number in numbers if number not in blocks])
        for number in numbers:
            data, at = blocks[number], number * size
            first, last = max(begin, at), min(end, at + len(data))
            view[first - begin : last - begin] = data[first - at : last - at]
            self._blocks[number] = data
            self._blocks.move_to_end(number)
        # A block of any size is kept for the next read of a part of it.
        while len(self._blocks) > max(KEPT_BYTES // size, 1):
            self._blocks.popitem(last=False)

    def _fetched(self, numbers: Sequence[int]) -> dict[int, bytes]:
        """Blocks that are not here, asked for together."""
        size = self.blocksize
        wanted = {number: bytearray(min(size, self.size - number * size)) for number in numbers}

        def take(at: int, data: bytes) -> None:
            self.received += len(data)
            while data:
                number, within = divmod(at, size)
                piece, data = data[: size - within], data[size - within :]
                wanted[number][within : within + len(piece)] = piece
                at += len(piece)

        stretches = joined((number * size, number * size + len(data)) for number, data in wanted.items())
        if stretches:
            with _uncollected.held():
                self._bring(stretches, take)
        return {number: bytes(data) for number, data in wanted.items()}


def _reopened(path: str, size: int, bring: Bring, block_size: int, at: int) -> RemoteReader:
    """A pickled file where it arrives, at the position that it had."""
    reader = RemoteReader(path, size, bring, block_size=block_size)
    reader.seek(at)
    return reader
