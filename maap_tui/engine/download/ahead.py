"""Ahead: the bytes of a part that came before those in front of them, by the piece they belong to.

Of each piece only its beginning can be here, so that its hash is taken as it comes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from maap_tui.engine.integrity.hashes import PIECE

_STEP = 1 << 20
"""Bytes read at a time."""


@dataclass(slots=True)
class Stretch:
    """The beginning of a piece."""

    length: int = 0
    """Bytes that are here."""
    digest: Any = field(default_factory=hashlib.sha256)
    """Their hash."""


class Ahead:
    """The stretches of one part, none of them in the piece that its own bytes end in."""

    def __init__(self) -> None:
        self._stretches: dict[int, Stretch] = {}
        self.count = 0
        """Bytes in all of them."""

    def length_of(self, number: int) -> int:
        """Bytes that are here of a piece."""
        stretch = self._stretches.get(number)
        return 0 if stretch is None else stretch.length

    @property
    def begin(self) -> int | None:
        """First byte of the first of them; None where there are none."""
        return min(self._stretches) * PIECE if self._stretches else None

    @property
    def end(self) -> int:
        """First byte after the last of them; 0 where there are none."""
        return max((number * PIECE + one.length for number, one in self._stretches.items()), default=0)

    def add(self, offset: int, data: memoryview) -> None:
        """Take bytes of one piece that were written after those of it that are here."""
        stretch = self._stretches.setdefault(offset // PIECE, Stretch())
        stretch.digest.update(data)
        stretch.length += len(data)
        self.count += len(data)

    def take(self, number: int) -> Stretch | None:
        """Hand over what is here of a piece; None where that is nothing."""
        stretch = self._stretches.pop(number, None)
        if stretch is not None:
            self.count -= stretch.length
        return stretch

    def clear(self) -> None:
        """Forget all of them."""
        self._stretches.clear()
        self.count = 0

    def noted(self) -> list[list[Any]]:
        """Each as number, bytes and, of those that are whole pieces, hash: to be written as JSON."""
        return [
            [number, one.length, one.digest.hexdigest() if one.length == PIECE else ""]
            for number, one in sorted(self._stretches.items())
        ]

    def load(
        self,
        descriptor: int,
        noted: Any,
        *,
        begin: int,
        total: int,
        is_same_boot: bool,
        is_given_up: Callable[[], bool],
    ) -> None:
        """Find out which of those that were noted can be kept.

        Args:
            descriptor: the file.
            noted: what `noted` gave, as it was read.
            begin: first byte of the part that is not known to be here; what is before it is left out.
            total: bytes of the whole file.
            is_same_boot: whether all that was written is there; otherwise only what its hash vouches for.
            is_given_up: says whether to stop.

        Raises:
            ValueError, TypeError: it cannot be read.
        """
        for number, length, expected in noted:
            number, length = int(number), int(length)
            if number < 0 or not 0 < length <= min(PIECE, total - number * PIECE):
                raise ValueError(f"no bytes {length} of piece {number}")
            if is_given_up():
                return
            if number * PIECE < begin or (not expected and not is_same_boot):
                continue
            stretch = _read(descriptor, number * PIECE, length)
            if stretch.length == length and (not expected or stretch.digest.hexdigest() == expected):
                self._stretches[number] = stretch
                self.count += length


def _read(descriptor: int, offset: int, length: int) -> Stretch:
    stretch = Stretch()
    while data := os.pread(descriptor, min(length - stretch.length, _STEP), offset + stretch.length):
        stretch.digest.update(data)
        stretch.length += len(data)
    return stretch
