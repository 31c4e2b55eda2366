"""Requests: a file to have, the rules it is fetched by, what came of it, and how one try can fail."""

from __future__ import annotations

import errno
import math
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from maap_tui.engine.errors import NoMemoryError, is_out_of_memory
from maap_tui.engine.integrity.sums import Sum
from maap_tui.engine.net.faults import TransportFault
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.storage import files
from maap_tui.engine.storage.places import Place, S3Url

PROGRESS = 64 * 1024
"""Bytes that a try has to bring to count as one that brought something."""


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
    target: S3Url | None = None
    """The object it becomes once it is whole at `path`, which it then leaves; None for a file that stays."""
    at_target: int | None = None
    """Bytes of that object as it is now; None when there is none."""
    checksum: str = ""
    """Multihash that the catalogue announced, hex; '' when it did not."""
    frozen: str = ""
    """SHA-256 that it has to have, hex, as a study froze it: bytes with another are not taken. '' for any."""

    @property
    def place(self) -> Place:
        """Where it is in the end."""
        return self.path if self.target is None else self.target

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

    path: Place
    size: int
    """Bytes of the file."""
    received: int
    """Bytes that came over the network in this run; 0 when it was here already."""
    pieces: tuple[str, ...] = ()
    """SHA-256 of each `PIECE`, hex; () when it was here already."""
    agreed: Sum | None = None
    """A sum of the archive, or inside of the file, that its bytes have; None when none was offered."""


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
    ranges: int
    """Most connections that one file is fetched by."""
    ranges_from: int
    """Bytes of a file from which on it may be fetched by more than one."""
    limited_by: str = "downloads.limit_rate"
    """The setting that this rate comes from."""

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

    @classmethod
    def of(cls, fault: TransportFault, path: Path) -> FailedTry:
        """What a request without a usable answer means to the file at a path.

        Raises:
            StorageError: too many files are open, so that no connection could be made.
            NoMemoryError: there is too little memory for it.
        """
        if is_out_of_memory(fault):
            raise NoMemoryError from fault
        if files.is_out_of_files(fault):
            # A connection is an open file too.
            raise files.storage_error(path, OSError(errno.EMFILE, "")) from fault
        return cls(
            fault.message,
            status=fault.status,
            permanent=fault.permanent,
            away=not fault.permanent,
            hint=fault.hint,
        )


class StartOver(Exception):
    """What is in the part is of no use; the next try begins at 0."""
