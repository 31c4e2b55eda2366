"""Recorder: writes what became of files into the registry, those that end at about the same time together.

The rule: a file is durable under its final name before its line is written, and the line before the
finish is reported. What ends the process in between leaves a file that is pending, and is found whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from maap_tui.engine.download.batch import Batches, Failures
from maap_tui.engine.download.requests import DownloadOutcome, DownloadRequest
from maap_tui.engine.errors import DownloadError, LockedError, StorageError
from maap_tui.engine.events import Emit, Warned, ignore
from maap_tui.engine.integrity.hashes import Hashes
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.registry.registry import Registry

BATCH = 64
"""Most files that are recorded together."""

GATHER_S = 0.05
"""Seconds from one batch to the next: the lock of a baseline costs as much as fetching a small file."""


@dataclass(frozen=True, slots=True)
class _Here:
    """A file that is here, as its registry has it."""

    tracked: TrackedFile
    outcome: DownloadOutcome


class Watcher(Protocol):
    """What hears of files that a registry follows, before and after they are recorded."""

    def expect(self, files: Sequence[TrackedFile]) -> None:
        """Files are whole and durable, and will be recorded next; called in a thread.

        Raises:
            StorageError: they may not be recorded now.
        """

    def recorded(self, file: TrackedFile) -> None:
        """A file is recorded, durably; called in the loop."""


class Recorder:
    """Records files that a registry follows; leaves the others alone. For one loop."""

    def __init__(
        self, registry: Registry, hashes: Hashes, emit: Emit = ignore, watcher: Watcher | None = None
    ) -> None:
        """Take where it writes, what takes its warnings, and what hears of the files."""
        self._registry = registry
        self._hashes = hashes
        self._emit = emit
        self._watcher = watcher
        self._batches: Batches[_Here] = Batches(self._record, BATCH, gather_s=GATHER_S)

    async def record(self, request: DownloadRequest, outcome: DownloadOutcome) -> None:
        """Record a file that is here, and the hashes of one that came just now.

        Raises:
            InvalidRequestError: its URL or path cannot be one line of the registry.
            LockedError: another writer held the baseline too long.
            StorageError: the registry cannot be written.
        """
        if request.tracked is not None:
            file = request.tracked._replace(path=str(outcome.path))
            await self._batches.do(_Here(file, outcome))
            if self._watcher is not None:
                self._watcher.recorded(file)

    async def record_failure(self, request: DownloadRequest, error: DownloadError, tries: int) -> None:
        """Record that a file was given up after so many tries; errors as `record`."""
        if request.key is not None:
            await asyncio.to_thread(
                self._registry.baseline(request.key).record_error,
                request.url,
                error.message,
                code=error.status_code,
                tries=tries,
            )

    def _record(self, batch: Sequence[_Here]) -> Failures:
        if self._watcher is not None:
            try:
                self._watcher.expect([one.tracked for one in batch])
            except StorageError as error:
                return [error] * len(batch)
        failures: dict[int, Exception] = {}
        for key in {one.tracked.key for one in batch}:
            members = {number: one for number, one in enumerate(batch) if one.tracked.key == key}
            failures |= self._record_baseline(key, members)
        self._keep_hashes(one for number, one in enumerate(batch) if number not in failures)
        return [failures.get(number) for number in range(len(batch))]

    def _record_baseline(self, key: Key, members: dict[int, _Here]) -> dict[int, Exception]:
        tracker = self._registry.baseline(key)
        try:
            tracker.record_all([one.tracked for one in members.values()])
        except LockedError as error:
            return dict.fromkeys(members, error)  # each of them would wait as long again
        except Exception as error:
            if len(members) == 1:
                return dict.fromkeys(members, error)
            # One of them, or its day, must not keep the others from being recorded.
            failures: dict[int, Exception] = {}
            for number, one in members.items():
                failures |= self._record_baseline(key, {number: one})
            return failures
        return {}

    def _keep_hashes(self, recorded: Iterable[_Here]) -> None:
        days: dict[tuple[Key, date], list[DownloadOutcome]] = {}
        for one in recorded:
            if one.outcome.pieces:
                days.setdefault((one.tracked.key, one.tracked.day), []).append(one.outcome)
        for (key, day), came in days.items():
            try:
                self._hashes.record_all(key, day, [(file.path, file.size, file.pieces) for file in came])
                self._hashes.record_sums(key, day, [(file.path, file.agreed) for file in came])
            except StorageError as error:
                # What verify would compare against is a convenience; the files are here and recorded.
                for file in came:
                    self._emit(Warned(f"The hash of {file.path.name} could not be recorded: {error.message}"))
