"""A file at its server as a file object, which keeps the blocks that were read last."""

from __future__ import annotations

import io
import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from maap_tui.engine.cuts.stretches import Stretch, joined

BLOCK_SIZE = 64 * 1024
"""Bytes that are asked for at least."""
KEPT_BYTES = 64 << 20
"""Bytes of the blocks that are kept."""

Bring = Callable[[Sequence[Stretch], Callable[[int, bytes], None]], None]
"""Asks for stretches of the file, and hands on where bytes are and what they are."""


class SizedReader(io.RawIOBase):
    """A file object of known size that can be read from any position; how is left to `readinto`."""

    def __init__(self, size: int) -> None:
        """Begin at its first byte, of so many."""
        super().__init__()
        self.size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        if at < 0:
            raise ValueError(f"position {at} is before the first byte of the file")
        self._at = at
        return at


class RemoteReader(SizedReader):
    """Reads a file at its server by ranges; every byte is of one version of it.

    It has what the files of fsspec have that are read: `size`, `path`, `mode`, `blocksize`, `info()`. For one
    thread at a time.
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
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        if len(head) == min(block_size, size):
            self._blocks[0] = head

    @property
    def name(self) -> str:
        """Its address, as the files of Python have their path."""
        return self.path

    def info(self) -> dict[str, Any]:
        """What fsspec says of a file."""
        return {"name": self.path, "size": self.size, "type": "file"}

    def readinto(self, buffer: Any) -> int:
        if self.closed:
            raise ValueError("the file is closed")
        view = memoryview(buffer).cast("B")
        begin, end = self._at, min(self._at + len(view), self.size)
        if begin >= end:
            return 0
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
        while len(self._blocks) * size > KEPT_BYTES:
            self._blocks.popitem(last=False)
        self._at = end
        return end - begin

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
            self._bring(stretches, take)
        return {number: bytes(data) for number, data in wanted.items()}
