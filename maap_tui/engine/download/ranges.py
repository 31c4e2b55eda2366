"""Ranges: what is missing of one large file, shared out among several connections.

Each connection takes a run of pieces, the earliest first and fewer the fewer are left, so that all of them
end at about the same time. What one leaves, another takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from maap_tui.engine.download.connections import Connections
from maap_tui.engine.download.part import Part
from maap_tui.engine.download.requests import PROGRESS, FailedTry, StartOver
from maap_tui.engine.integrity.hashes import PIECE
from maap_tui.engine.net.faults import TransportFault

PATIENCE_S = 5.0
"""Seconds that a stream waits for the first range that a server sends, before it brings the file alone."""

_SHARES = 2
"""Runs that what is left would be cut into for each connection."""


def first_end(part: Part, total: int, most: int) -> int:
    """First byte of a file that the first of several connections leaves to others."""
    first, pieces = part.length // PIECE, -(-total // PIECE)
    end = (first + _share_of(pieces - first, most)) * PIECE
    return min(end, total, part.ahead.begin or total)


def _share_of(pieces: int, most: int) -> int:
    """Pieces of those that are left that one connection takes at a time."""
    return -(-pieces // (_SHARES * max(1, most)))


class NoRanges(Exception):
    """The server does not send the range asked for; one stream has to bring the file."""


@dataclass(slots=True, eq=False)
class Run:
    """Bytes that one connection is to bring."""

    at: int
    """The next of them."""
    end: int
    """First byte that is not one of them."""
    first: int
    """Number of the first piece that they belong to."""

    @property
    def numbers(self) -> range:
        """The pieces that they belong to."""
        return range(self.first, -(-self.end // PIECE))


class Ranges:
    """The connections that one file is fetched by, while one stream of it lasts. For one loop."""

    def __init__(
        self,
        part: Part,
        total: int,
        most: Callable[[], int],
        connections: Connections,
        bring: Callable[[Ranges, Run], Awaitable[None]],
        note: Callable[[str], None],
        group: asyncio.TaskGroup,
    ) -> None:
        """Take what there is; start nothing.

        Args:
            part: takes the bytes.
            total: bytes of the file.
            most: gives the connections that the file may have by the rules of now.
            connections: knows how many there may be for all files together.
            bring: asks for a run and writes what comes; raises FailedTry or TransportFault when some of it
                is missing, NoRanges, or what ends the try of the whole file.
            note: takes words for it when there will be fewer connections.
            group: runs what works on further ones; what they raise ends it.
        """
        self._part = part
        self._total = total
        self._most = most
        self._lost = 0
        """Connections that brought nothing; they are not replaced."""
        self._connections = connections
        self._bring = bring
        self._note = note
        self._group = group
        self._taken: set[int] = set()
        """Pieces that belong to a run."""
        self._helpers: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        """Set when a run was given back, a task ended, or a range came."""
        self._is_proven = False
        self.is_refused = False
        """Whether the server turned out not to send ranges."""

    def take(self, end: int = 0) -> Run | None:
        """A run of missing pieces that is in no other; None when there are none. To be given back.

        Args:
            end: the first byte that it leaves to others, as far as they are missing; 0 for a fair share.
        """
        free = self._free()
        if not free:
            return None
        first = free[0]
        count = -(-end // PIECE) - first if end else _share_of(len(free), self._most())
        last = first
        while last + 1 - first < count and self._is_free(last + 1) and not self._part.length_of(last + 1):
            last += 1
        at = first * PIECE + self._part.length_of(first)
        run = Run(at, min((last + 1) * PIECE, self._total), first)
        self._taken.update(run.numbers)
        return run

    def give_back(self, run: Run) -> None:
        """Let others take what is missing of a run."""
        self._taken.difference_update(run.numbers)
        self._changed.set()

    def prove(self) -> None:
        """Take note that the server sends ranges as they are asked for."""
        self._is_proven = True
        self._changed.set()

    async def extend(self, run: Run) -> None:
        """Let the stream that came to the end of its run bring the next piece too, if no other does.

        No stream is given up for a range before the server sent one: it may be the only one to come.
        """
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not self._is_proven and self._helpers:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            self._refuse("the server does not answer on further ones")
        number = run.end // PIECE
        if self.is_refused:
            run.end = self._total
        elif self._is_free(number) and not self._part.length_of(number):
            self._taken.add(number)
            run.end = min(run.end + PIECE, self._total)

    def write(self, run: Run, data: memoryview) -> int:
        """Write the next bytes of a run; returns how many of them were not here."""
        count = 0
        while data:
            piece, data = data[: PIECE - run.at % PIECE], data[PIECE - run.at % PIECE :]
            # Only the stream that goes on to the end alone comes to what others brought before.
            here = min(max(0, self._part.length - run.at), len(piece))
            if fresh := piece[here:]:
                self._part.write_at(fresh, run.at + here)
                count += len(fresh)
            run.at += len(piece)
        return count

    def start_more(self) -> None:
        """Start on further connections, as many as there may be."""
        if self.is_refused:
            return
        missing = len(self._free())
        while (
            missing > 0
            and len(self._helpers) < self._most() - 1 - self._lost
            and self._connections.has_room
            and self._part.spread()
        ):
            missing -= 1
            task = self._group.create_task(self._help())
            self._connections.add(task)
            self._helpers.add(task)
            task.add_done_callback(self._leave)

    async def finish(self) -> None:
        """Bring what is missing once the stream has ended, until all is here; raises what `bring` raises."""
        while self._part.length < self._total:
            if not self.is_refused and (run := self.take()) is not None:
                try:
                    await self._bring(self, run)
                except NoRanges:
                    self.is_refused = True
                finally:
                    self.give_back(run)
            elif self.is_refused:
                raise StartOver("the server sends no ranges any more; starting over in one stream")
            else:
                self._changed.clear()
                await self._changed.wait()

    def _leave(self, helper: asyncio.Task[None]) -> None:
        self._helpers.discard(helper)
        self._changed.set()

    async def _help(self) -> None:
        async with self._connections.spare() as is_free:
            while (
                is_free
                and not self.is_refused
                and len(self._helpers) < self._most()
                and (run := self.take()) is not None
            ):
                begun = run.at
                try:
                    await self._bring(self, run)
                except NoRanges as refusal:
                    self._refuse(str(refusal))
                except (FailedTry, TransportFault) as failure:
                    if run.at - begun < PROGRESS:
                        self._lost += 1
                        self._note(f"goes on over fewer connections: {failure}")
                    return
                finally:
                    self.give_back(run)

    def _refuse(self, why: str) -> None:
        """Leave all to the stream that there is."""
        self.is_refused = True
        self._note(f"goes on over one connection: {why}")
        for task in self._helpers - {asyncio.current_task()}:
            task.cancel()

    def _is_free(self, number: int) -> bool:
        size = min(PIECE, self._total - number * PIECE)
        return number not in self._taken and self._part.length_of(number) < size

    def _free(self) -> list[int]:
        numbers = range(self._part.length // PIECE, -(-self._total // PIECE))
        return [number for number in numbers if self._is_free(number)]
