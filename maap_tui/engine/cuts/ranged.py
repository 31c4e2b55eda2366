"""A file whose bytes are brought where they are needed, as the process apart sees it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from maap_tui.engine.cuts.file import SizedReader
from maap_tui.engine.cuts.hints import following
from maap_tui.engine.cuts.stretches import ReadAhead, Stretch, Stretches


def ask(message: dict[str, Any]) -> str:
    """Send a message to the process that owns the network, and wait for its answer."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()
    if not (answer := sys.stdin.readline()):
        os._exit(1)  # it is gone, and nobody waits for what this would come to
    return answer.strip()


class RangedFile(SizedReader):
    """Reads a file with holes, which another process fills; `bring` asks it to."""

    def __init__(self, descriptor: int, size: int, here: Sequence[Stretch]) -> None:
        """Take the file.

        Args:
            descriptor: of the file with holes.
            size: bytes of the whole file.
            here: what of it is here.
        """
        super().__init__(size)
        self._descriptor = descriptor
        self._here = Stretches()
        for begin, end in here:
            self._here.add(begin, end)
        self._ahead = ReadAhead(size)
        self._read: set[int] = set()
        """Where reads began."""

    def head(self) -> bytes:
        """The first bytes, by which formats are known."""
        return os.pread(self._descriptor, 8, 0)

    def missing(self, wanted: Sequence[Stretch]) -> list[Stretch]:
        """What of these bytes is not here."""
        return self._here.missing((max(0, begin), min(end, self.size)) for begin, end in wanted)

    def bring(self, wanted: Sequence[Stretch]) -> None:
        """Have these bytes here."""
        if missing := self.missing(wanted):
            ask({"want": missing})
            for begin, end in missing:
                self._here.add(begin, end)

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        begin, end = self._at, min(self._at + len(view), self.size)
        if begin >= end:
            return 0
        missing = self.missing([(begin, end)])
        if missing:
            self.bring([self._ahead.of(missing[0][0], missing[-1][1])])
        at = begin
        while at < end and (data := os.pread(self._descriptor, end - at, at)):
            view[at - begin : at - begin + len(data)] = data
            at += len(data)
        if not self._is_known(begin):
            self.bring(following(bytes(view[: at - begin])))
        self._at = at
        return at - begin

    def _is_known(self, begin: int) -> bool:
        """Whether what is there was read before."""
        is_known = begin in self._read
        self._read.add(begin)
        return is_known
