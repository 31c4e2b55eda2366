"""RemoteTransfer: has files fetched by the workers of an executor, one task a file, and waits for them here.

What runs, what is tried again and what is recorded is decided here, as for files fetched here.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol

from maap_tui.engine.download.connections import Spare
from maap_tui.engine.download.requests import DownloadOutcome, DownloadRequest, TransferRules
from maap_tui.engine.errors import DownloadError, MaapError
from maap_tui.engine.events import BytesReceived, Emit, FileArrived, FileStarted


class Fetcher(Protocol):
    """What brings one file at a time."""

    async def fetch(self, wanted: DownloadRequest) -> DownloadOutcome:
        """Have the file under its final name, whole and verified, or raise."""

    def has_room(self, wanted: DownloadRequest) -> bool:
        """Whether the disk has room for it."""

    def set_rules(self, rules: TransferRules) -> None:
        """Fetch by other rules from now on."""

    def set_connections(self, count: int, spare: Spare | None = None) -> None:
        """Have at most so many connections for files and their ranges, as `Connections.set_most`."""


class RemoteTransfer:
    """A `Fetcher` whose files are fetched elsewhere, onto a file system that is shared."""

    def __init__(
        self, submit: Callable[[DownloadRequest], Future[DownloadOutcome]], here: Fetcher, emit: Emit
    ) -> None:
        """Take the parts; start nothing.

        Args:
            submit: hands a file to a worker.
            here: knows the disk, and the rules.
            emit: takes an event when a file is handed over, and one when it is here.
        """
        self._submit = submit
        self._here = here
        self._emit = emit

    async def fetch(self, wanted: DownloadRequest) -> DownloadOutcome:
        """Have the file under its final name, whole and verified, or raise.

        Raises:
            DownloadError: its worker was lost; the part of the file stays.
            MaapError: what was raised there.
        """
        try:
            future = self._submit(wanted)
            self._emit(FileStarted(wanted.url, wanted.place, wanted.size, 0))
            outcome = await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise DownloadError(wanted.url, "its task was cancelled where it ran") from None
        except MaapError:
            raise
        except Exception as error:
            raise _failure_of(wanted.url, error) from error
        if outcome.received:
            self._emit(BytesReceived(wanted.url, outcome.received))
        self._emit(FileArrived(wanted.url))
        return outcome

    def has_room(self, wanted: DownloadRequest) -> bool:
        """Whether the disk has room for it, as seen from here."""
        return self._here.has_room(wanted)

    def set_rules(self, rules: TransferRules) -> None:
        """Look at the disk by other rules; tasks keep those of the settings they were handed."""
        self._here.set_rules(rules)

    def set_connections(self, count: int, spare: Spare | None = None) -> None:
        """Each task has one, whatever the count."""


def _failure_of(url: str, error: Exception) -> DownloadError:
    """What an error of an executor means; its task itself raises errors of ours alone."""
    words = f"{type(error).__name__}: {' '.join(str(error).split())}"[:400]
    # A scheduler of dask that lacks what a task is made of says so in words only.
    if isinstance(error, ImportError | AttributeError | pickle.PickleError) or "deserializ" in words:
        reason = f"its task cannot run there ({words}); install maap-tui in the same version there as here"
        return DownloadError(url, reason, permanent=True)
    return DownloadError(url, f"the worker that fetched it was lost ({words})")
