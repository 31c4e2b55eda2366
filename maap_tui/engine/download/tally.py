"""Events folded into counts, bytes, rate and time left; pure but for the clock."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass

from maap_tui.engine.events import (
    BytesReceived,
    DayFailed,
    Event,
    FileFailed,
    FileFinished,
    FileQueued,
    FileRetried,
    FileSkipped,
    FileStarted,
    FileStateChanged,
    PageFetched,
)
from maap_tui.text import format_bytes, format_duration, format_rate, format_sum, plural

RATE_WINDOW_S = 10.0
"""Seconds that the rate is taken over."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of things at one moment."""

    queued: int
    """Files that were put in the queue."""
    finished: int
    skipped: int
    failed: int
    active: int
    bytes_done: int
    """Bytes of all files that are here, parts included."""
    bytes_total: int
    """Bytes of all files, the guessed ones included."""
    unknown: int
    """Files whose size is not in `bytes_total`, because nothing is known to guess it by."""
    guessed: int
    """Files whose size is taken to be like that of the others."""
    received: int
    """Bytes that came, of files that failed too."""
    rate: float
    """Bytes a second over the last seconds; 0 when nothing moves."""
    seconds_left: float | None
    """None while it is not known."""
    pages: int
    items: int
    matched: int
    """Items the catalogue announced so far."""
    failed_days: int

    @property
    def done(self) -> int:
        return self.finished + self.skipped + self.failed

    @property
    def words(self) -> str:
        """How far it is: files, bytes, rate and time left, or the search before there are files."""
        if not self.queued:
            of = f" of {self.matched:,}" if self.matched else ""
            return f"searching: {self.items:,}{of} items" if self.pages else "asking the catalogue"
        words = [
            f"{self.done}/{plural(self.queued, 'file')}",
            f"{format_bytes(self.bytes_done)} of "
            + format_sum(self.bytes_total, unknown=self.unknown, guessed=self.guessed),
            format_rate(self.rate),
        ]
        if self.seconds_left is not None:
            words.append(f"{format_duration(self.seconds_left)} left")
        if self.failed:
            words.append(f"{self.failed} failed")
        return ", ".join(words)


def sum_sizes(sizes: Iterable[tuple[Hashable, int | None]]) -> tuple[int, int, int]:
    """The bytes of files, of which some have no size yet.

    Args:
        sizes: of each file what it is like, such as its product, and its bytes, None while unknown.

    Returns:
        The bytes; how many files are not among them; and how many were taken to have the mean size of
        those that are like them.
    """
    known: Counter[Hashable] = Counter()
    total: Counter[Hashable] = Counter()
    without: Counter[Hashable] = Counter()
    for kind, size in sizes:
        if size is None:
            without[kind] += 1
        else:
            known[kind] += 1
            total[kind] += size
    guessed = {kind: count for kind, count in without.items() if known[kind]}
    guesses = sum(count * total[kind] // known[kind] for kind, count in guessed.items())
    return sum(total.values()) + guesses, sum(without.values()) - sum(guessed.values()), sum(guessed.values())


class Tally:
    """Counts of one run; `apply` is what to hand to the engine as `emit`.

    Events come in the engine's thread and a face asks in its own: `apply` and `snapshot` lock each other out,
    so that a snapshot never has one half of an event.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        self.version = 0
        """Grows with every event, so that a face sees whether to look."""
        self._sizes: dict[int, int | None] = {}
        """By the hash of the address, as there may be very many."""
        self._known_total = 0
        self._known_count = 0
        self._here: dict[str, int] = {}
        self._here_total = 0
        self._active: set[str] = set()
        self._given_up: dict[str, tuple[str, int | None]] = {}
        """Failed and cancelled files, with the size they had, in case they are tried again."""
        self._marks: deque[tuple[float, int]] = deque()
        self._moved = 0
        self._ended_bytes = 0
        self._ended_total = 0
        self._ended_count = 0
        self._queued = self._finished = self._skipped = self._failed = 0
        self._pages = self._items = self._matched = self._failed_days = 0

    def apply(self, event: Event) -> None:
        """Take one event; from any thread."""
        with self._guard:
            self._apply(event)

    def _apply(self, event: Event) -> None:
        self.version += 1
        if isinstance(event, BytesReceived):
            self._set_here(event.url, self._here.get(event.url, 0) + event.count)
            self._moved += event.count
            now = self._clock()
            if not self._marks or now - self._marks[-1][0] > 0.2:
                self._marks.append((now, self._moved))
        elif isinstance(event, FileQueued):
            self._take_back(event.url)
            self._queued += 1
            self._set_size(event.url, event.size)
        elif isinstance(event, FileStarted):
            self._active.add(event.url)
            self._set_here(event.url, event.offset)
            if event.size is not None:
                self._set_size(event.url, event.size)
        elif isinstance(event, FileFinished):
            self._end(event.url, event.size)
            self._finished += 1
        elif isinstance(event, FileSkipped):
            self._end(event.url, event.size)
            self._skipped += 1
        elif isinstance(event, FileFailed):
            self._give_up(event.url, "failed")
            self._failed += 1
        elif isinstance(event, FileRetried):
            self._active.discard(event.url)
        elif isinstance(event, FileStateChanged):
            self._active.discard(event.url)
            if event.state == "cancelled":
                self._give_up(event.url, "cancelled")
                self._queued -= 1
            elif event.state == "waiting" and event.url in self._given_up:
                self._set_size(event.url, self._take_back(event.url))
                self._queued += 1
        elif isinstance(event, PageFetched):
            self._pages += 1
            self._items += event.items
            self._matched += event.matched or 0
        elif isinstance(event, DayFailed):
            self._failed_days += 1

    def _set_here(self, url: str, count: int) -> None:
        self._here_total += count - self._here.get(url, 0)
        self._here[url] = count

    def _forget_size(self, url: str) -> None:
        old = self._sizes.pop(hash(url), None)
        if old is not None:
            self._known_total -= old
            self._known_count -= 1

    def _set_size(self, url: str, size: int | None) -> None:
        self._forget_size(url)
        self._sizes[hash(url)] = size
        if size is not None:
            self._known_total += size
            self._known_count += 1

    def _give_up(self, url: str, how: str) -> None:
        self._given_up[url] = how, self._sizes.get(hash(url))
        self._end(url, 0)

    def _take_back(self, url: str) -> int | None:
        """Uncount a file that was given up and is tried again after all; returns its size."""
        how, size = self._given_up.pop(url, ("", None))
        if how == "failed":
            self._failed -= 1
            self._queued -= 1
        return size

    def _end(self, url: str, size: int) -> None:
        self._active.discard(url)
        self._here_total -= self._here.pop(url, 0)
        self._forget_size(url)
        self._ended_bytes += size
        self._ended_total += size
        self._ended_count += bool(size)

    def snapshot(self) -> Snapshot:
        """The counts now; from any thread."""
        with self._guard:
            return self._snapshot()

    def _snapshot(self) -> Snapshot:
        now = self._clock()
        while len(self._marks) > 1 and now - self._marks[0][0] > RATE_WINDOW_S:
            self._marks.popleft()
        rate = 0.0
        if self._marks and self._active:
            begin, moved = self._marks[0]
            rate = (self._moved - moved) / max(now - begin, 0.5)
        done = self._ended_bytes + self._here_total
        total = self._ended_total + self._known_total
        unsized, sized = len(self._sizes) - self._known_count, self._known_count + self._ended_count
        if sized:
            # Files of unknown size are taken to be like the others.
            total += unsized * total // sized
        left = (total - done) / rate if rate > 0 and total > done else None
        return Snapshot(
            queued=self._queued,
            finished=self._finished,
            skipped=self._skipped,
            failed=self._failed,
            active=len(self._active),
            bytes_done=done,
            bytes_total=max(total, done),
            unknown=0 if sized else unsized,
            guessed=unsized if sized else 0,
            received=self._moved,
            rate=rate,
            seconds_left=left,
            pages=self._pages,
            items=self._items,
            matched=self._matched,
            failed_days=self._failed_days,
        )
