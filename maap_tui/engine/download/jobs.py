"""Jobs: the files of one run in its queue and in the queue on disk, and the report of what became of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import MutableMapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from maap_tui.engine.download.queue_store import HOST, QueueRow
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.errors import InvalidRequestError, MaapError
from maap_tui.engine.registry.entries import Key
from maap_tui.engine.storage.places import Place


@dataclass(slots=True, eq=False)
class DownloadJob:
    """One file in the queue."""

    wanted: DownloadRequest
    group: str = ""
    """Files that a refusal has in common: their collection."""
    state: str = "waiting"
    """waiting, running, paused, finished, skipped, failed or cancelled."""
    reason: str = ""
    """Why it failed or waits; '' otherwise."""
    tries: int = 0
    """Tries of this run that failed."""
    again_at: float = 0.0
    """When the next try begins, on the monotonic clock; 0 while none is waited for."""
    size: int | None = None
    """Bytes of the file, None while unknown."""
    received: int = 0
    """Bytes that are here, in the part or the file."""
    position: float = 0.0
    """Order in the queue, lowest first."""
    since: float = 0.0
    """When the body began to arrive, on the monotonic clock; 0 before."""
    took_s: float = 0.0
    """Seconds from the first request to the recorded file; 0 while it has not come."""
    came: int = 0
    """Bytes that came in these seconds; a part that was here before is not among them."""
    task: asyncio.Task[None] | None = field(default=None, repr=False)
    """What works on it; None while nothing does."""
    is_ending: bool = field(default=False, repr=False)
    """Whether its outcome is being recorded, which nothing interrupts."""

    def to_row(self, born: float, verb: str, now: float) -> QueueRow:
        """The file as other processes see it in the queue.

        Args:
            born: when this process started, as its system counts.
            verb: the command that downloads.
            now: seconds since 1970.
        """
        key, day = self.wanted.key, self.wanted.day
        return QueueRow(
            path=str(self.wanted.place),
            url=self.wanted.url,
            state=self.state,
            size=self.size,
            received=self.received,
            reason=self.reason,
            tries=self.tries,
            mission=key.mission if key else "",
            collection=key.collection if key else self.group,
            product_type=key.product_type if key else "",
            baseline=key.baseline if key else "",
            day=day.isoformat() if day else "",
            root="" if self.wanted.target else str(self.wanted.root or ""),
            position=self.position,
            pid=os.getpid(),
            host=HOST,
            born=born,
            verb=verb,
            changed=now,
            again=self.wanted.again,
            checksum=self.wanted.checksum,
            frozen=self.wanted.frozen,
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be downloaded."""

    url: str
    path: Place
    reason: str
    status: int | None
    permanent: bool


@dataclass(slots=True)
class Report:
    """What became of the files of one run."""

    downloaded: MutableMapping[str, Place] = field(default_factory=dict)
    """URL -> path of what was fetched."""
    skipped: MutableMapping[str, Place] = field(default_factory=dict)
    """URL -> path of what was here already."""
    failed: list[Failure] = field(default_factory=list)
    received: int = 0
    """Bytes that came over the network."""
    seconds: float = 0.0
    stopped: MaapError | None = None
    """What ended the run before its time; None when it came to its end."""
    left: int = 0
    """Files not tried because the run was stopped."""


def of_row(row: QueueRow) -> DownloadRequest:
    """A row of the queue as a file to fetch.

    Raises:
        InvalidRequestError: when the row does not say where the file belongs.
    """
    if row.path.startswith("s3://"):
        name = row.path.rpartition("/")[2]
        raise InvalidRequestError(f"{name} goes to S3", "Run the command again that put it in the queue.")
    path = Path(row.path)
    root = Path(row.root) if row.root else None
    if not row.url or not path.is_absolute() or (root is not None and not path.is_relative_to(root)):
        raise InvalidRequestError(f"The queue has no usable address or path for {path.name or row.url}")
    wanted = DownloadRequest(
        row.url, path, row.size, root, again=row.again, checksum=row.checksum, frozen=row.frozen
    )
    if not row.day:
        return wanted
    try:
        day = date.fromisoformat(row.day)
    except ValueError:
        raise InvalidRequestError(f"The queue has no usable day for {path.name}") from None
    key = Key(row.mission, row.collection, row.product_type, row.baseline)
    return replace(wanted, key=key, day=day)
