"""Digests of a file that are taken as its bytes come, so that it is not read again to compare its sums."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from maap_tui.engine.integrity.sums import Sum, new_digest

_CHUNK = 1 << 20


@dataclass(slots=True)
class _Begun:
    digest: Any
    length: int = 0
    """Bytes taken, from the first of the file on."""


class Running:
    """Digests of the beginning of one file; what they miss is read in the end."""

    def __init__(self) -> None:
        self._begun: dict[tuple[str, int], _Begun] = {}
        self._first: _Begun | None = None
        self._is_awaited = False
        """Whether the SHA-256 of the first bytes, once it is known, is gone on with."""

    def begin(self, expected: Iterable[Sum]) -> None:
        """Take what is needed to compare some sums, from the next bytes on."""
        for one in expected:
            if one.kind in self._begun:
                continue
            if one.algorithm == "sha256":
                self._is_awaited = True
                self._go_on()
            else:
                self._begun[one.kind] = _Begun(new_digest(one))

    def take_first(self, digest: Any, length: int) -> None:
        """Take the SHA-256 of the first bytes, which is known anyway: they are hashed only once.

        Args:
            digest: of these bytes.
            length: how many there are.
        """
        self._first = _Begun(digest, length)
        self._go_on()

    def _go_on(self) -> None:
        if self._is_awaited and self._first is not None:
            self._begun[_SHA256] = _Begun(self._first.digest.copy(), self._first.length)
            self._is_awaited = False

    def add(self, data: bytes | memoryview, offset: int) -> None:
        """Take bytes of the file that begin at `offset`; a digest that lacks some before them leaves them."""
        for one in self._begun.values():
            known = one.length - offset
            if 0 <= known < len(data):
                one.digest.update(memoryview(data)[known:] if known else data)
                one.length = offset + len(data)

    def first_missing(self, expected: Iterable[Sum], length: int) -> int:
        """First byte that has to be read to compare some sums; `length`, the bytes of the file, for none."""
        self.begin(expected)
        found = [self._begun[one.kind].length if one.kind in self._begun else 0 for one in expected]
        return min(found, default=length)

    def lacking(self, expected: Iterable[Sum], descriptor: int, length: int) -> list[Sum]:
        """Those of some sums that the bytes of a file do not have; reads what was not taken of them.

        Args:
            expected: the sums.
            descriptor: the open file.
            length: its bytes.

        Raises:
            OSError: it cannot be read.
        """
        expected = list(expected)
        offset = self.first_missing(expected, length)
        for one in expected:
            if one.kind not in self._begun:
                self._begun[one.kind] = _Begun(new_digest(one))
        while offset < length and (data := os.pread(descriptor, min(_CHUNK, length - offset), offset)):
            self.add(data, offset)
            offset += len(data)
        return [one for one in expected if self._begun[one.kind].digest.hexdigest() != one.value]


def compare_sums(descriptor: int, size: int, offered: Iterable[Sum]) -> list[Sum]:
    """Those of some sums that the bytes of an open file do not have; reads all of it.

    Raises:
        OSError: when the file cannot be read.
    """
    return Running().lacking(offered, descriptor, size)


_SHA256 = Sum("sha256", "0" * 64, "").kind
