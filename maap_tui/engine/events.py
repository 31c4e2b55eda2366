"""What happened, as frozen dataclasses in the past tense, and the function type that takes them.

The engine calls a plain `emit(event)`; it must return at once and never raise.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from maap_tui.engine.storage.places import Place


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events."""


@dataclass(frozen=True, slots=True)
class FileQueued(Event):
    """A file was put in the queue."""

    url: str
    path: Place
    size: int | None
    """Bytes the catalogue announced, None when it did not."""


@dataclass(frozen=True, slots=True)
class FileStarted(Event):
    """The body of a file began to arrive."""

    url: str
    path: Place
    size: int | None
    """Total bytes of the file, None when the server does not say."""
    offset: int
    """Bytes already here from an earlier try."""


@dataclass(frozen=True, slots=True)
class BytesReceived(Event):
    """A piece of a file was written to its part."""

    url: str
    count: int
    """Bytes in this piece."""


@dataclass(frozen=True, slots=True)
class FileArrived(Event):
    """All bytes of a file are here and were found whole; it becomes durable next."""

    url: str


@dataclass(frozen=True, slots=True)
class FileRetried(Event):
    """A try failed and another one will follow."""

    url: str
    reason: str
    attempt: int
    """Number of the try that failed, from 1."""
    wait_s: float
    """Seconds until the next try."""


@dataclass(frozen=True, slots=True)
class FileFinished(Event):
    """A file is whole, verified, under its final name and recorded."""

    url: str
    path: Place
    size: int
    """Bytes of the file."""
    received: int
    """Bytes that came over the network for it in this run."""
    seconds: float


@dataclass(frozen=True, slots=True)
class FileSkipped(Event):
    """A file needed no download."""

    url: str
    path: Place
    size: int
    reason: str


@dataclass(frozen=True, slots=True)
class FileFailed(Event):
    """A file was given up in this run."""

    url: str
    path: Place
    reason: str
    permanent: bool
    """Whether trying again cannot help."""
    attempts: int
    """Tries made; 0 when it was not even asked for."""


@dataclass(frozen=True, slots=True)
class FileStateChanged(Event):
    """A file was paused, cancelled or put back into the queue by its owner."""

    url: str
    state: str
    """paused, cancelled or waiting."""


@dataclass(frozen=True, slots=True)
class PageFetched(Event):
    """A page of search results arrived."""

    start: datetime | None
    """Start of the window searched, None for a search without time."""
    items: int
    matched: int | None
    """What the server says the window holds; None when it does not say."""


@dataclass(frozen=True, slots=True)
class DayFailed(Event):
    """A window of a search failed, also when asked again at the end."""

    day: str
    """YYYY-MM-DD, or `orbit NNNNN` for a search without time."""
    reason: str
    baseline: str | None = None


@dataclass(frozen=True, slots=True)
class ItemSkipped(Event):
    """An item, or a file of one, could not be used: it is missing from what was asked for."""

    name: str
    """Its id; '' for an item without one."""
    url: str
    """Where the archive has the item itself; '' when that is unknown."""
    reason: str
    """Why, in words that follow its name."""
    permanent: bool = False
    """Whether asking again cannot help, as its names are refused here."""


@dataclass(frozen=True, slots=True)
class RegistryDamaged(Event):
    """A file or folder of the registry cannot be read, or not all of its lines: what it says is left out.

    So is a list of what clean-ups deleted, in the state folder.
    """

    path: Path
    lines: int
    """How many lines cannot be read; 0 when it is the file or folder as a whole."""
    reason: str
    """Why, for the first of the lines or for the whole, in words that follow a colon."""
    is_unwritten: bool = False
    """Whether it is a list of deleted files that cannot be written."""

    @property
    def words(self) -> str:
        """What is left out, and why."""
        if self.is_unwritten:
            return (
                f"{self.path} cannot be written: {self.reason}; "
                "files that were deleted count as here until `maap verify` can write it"
            )
        if not self.lines:
            return f"{self.path} is ignored: {self.reason}"
        count = f"{self.lines:,} lines" if self.lines > 1 else "1 line"
        verb = "are" if self.lines > 1 else "is"
        return f"{count} of {self.path} cannot be read and {verb} left out ({self.reason})"


@dataclass(frozen=True, slots=True)
class BaselineCounted(Event):
    """`catalog build` finished one baseline."""

    collection: str
    product_type: str
    baseline: str
    count: int
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class HookSaid(Event):
    """A command that runs after a file, a day or a set said a line."""

    name: str
    """What it runs for."""
    line: str


@dataclass(frozen=True, slots=True)
class HookRan(Event):
    """Such a command ended with 0, which is written down."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class HookFailed(Event):
    """Such a command failed, or was not run; it stays owed."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class SignInNeeded(Event):
    """The offline token is dead or missing."""

    reason: str


@dataclass(frozen=True, slots=True)
class Warned(Event):
    """Something the user should know, in one sentence, that stops nothing."""

    message: str


@dataclass(frozen=True, slots=True)
class Noted(Event):
    """A step worth a line in a verbose log."""

    message: str


Emit = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Take an event and do nothing: what the engine calls when nobody listens."""


LONG_WAIT_S = 10.0
"""Seconds of waiting from which on it is said what for."""


class Waits:
    """Says what is waited for where that takes long, once for all that waits for the same meanwhile."""

    def __init__(self, emit: Emit, clock: Callable[[], float] = time.monotonic) -> None:
        """Take where events go, and a clock that never jumps, in seconds."""
        self._emit = emit
        self._clock = clock
        self._until: dict[str, float] = {}

    def report(self, whom: str, reason: str, seconds: float) -> None:
        """Say that a wait begins, if it is a long one and none for the same is being waited out already.

        Args:
            whom: what is waited for, such as a host.
            reason: why, as a sentence begins.
            seconds: how long.
        """
        now = self._clock()
        if seconds > LONG_WAIT_S and now >= self._until.get(whom, now):
            self._until[whom] = now + seconds
            self._emit(Warned(f"{reason}; waiting {seconds:.0f} s"))
