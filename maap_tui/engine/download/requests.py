"""Requests: a file to have, the rules it is fetched by, what came of it, and how one try can fail."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from maap_tui.engine.registry.entries import Key, TrackedFile


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
    key: Key | None = None
    """Baseline whose registry follows the file; None where none does."""
    day: date | None = None
    """Its sensing day there."""

    @property
    def tracked(self) -> TrackedFile | None:
        """The file as its registry has it; None where none follows it."""
        if self.key is None or self.day is None:
            return None
        return TrackedFile(self.key, self.day, self.url, str(self.path))

    def untracked(self) -> DownloadRequest:
        """The same file, followed by no registry."""
        return replace(self, key=None, day=None)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRules:
    """How files are fetched."""

    retries: int
    """Further tries after one that brought nothing new."""
    retry_wait_s: float
    """Seconds before the first of them; doubles."""
    min_free: int
    """Bytes that have to stay free on the disk; 0 for no check."""
    max_file: int
    """Bytes a file may have; 0 for no limit."""
    min_rate: float
    """Bytes a second below which a connection is given up for a new one; 0 for no such rule."""
    rate_window_s: float
    """Seconds that this rate is measured over."""
    limit_rate: float
    """Most bytes a second for all files together; 0 for no limit."""

    @property
    def largest(self) -> float:
        """Bytes a file may have; infinity for no limit."""
        return self.max_file or math.inf


class FailedTry(Exception):
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


class StartOver(Exception):
    """What is in the part is of no use; the next try begins at 0."""
