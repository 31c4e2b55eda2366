"""Recorder: writes what became of a file into the registry, as the last step of its download.

The rule: the file is durable under its final name before its line is written, and the line before the
finish is reported. What ends the process in between leaves a file that is pending, and is found whole.
"""

from __future__ import annotations

import asyncio

from maap_tui.engine.download.requests import DownloadOutcome, DownloadRequest
from maap_tui.engine.errors import DownloadError, StorageError
from maap_tui.engine.events import Emit, Warned, ignore
from maap_tui.engine.integrity.hashes import Hashes
from maap_tui.engine.registry.registry import Registry


class Recorder:
    """Records files that a registry follows; leaves the others alone."""

    def __init__(self, registry: Registry, hashes: Hashes, emit: Emit = ignore) -> None:
        """Take where it writes, and what takes its warnings."""
        self._registry = registry
        self._hashes = hashes
        self._emit = emit

    async def record(self, request: DownloadRequest, outcome: DownloadOutcome) -> None:
        """Record a file that is here, and the hashes of one that came just now.

        Raises:
            InvalidRequestError: its URL or path cannot be one line of the registry.
            LockedError: another writer held the baseline too long.
            StorageError: the registry cannot be written.
        """
        if request.key is not None:
            await asyncio.to_thread(self._record, request, outcome)

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

    def _record(self, request: DownloadRequest, outcome: DownloadOutcome) -> None:
        if request.key is None or request.day is None:
            return
        self._registry.baseline(request.key).record(request.url, outcome.path, request.day)
        if not outcome.pieces:
            return
        try:
            self._hashes.record(request.key, request.day, outcome.path, outcome.size, outcome.pieces)
        except StorageError as error:
            # What verify would compare against is a convenience; the file is here and recorded.
            self._emit(Warned(f"The hash of {outcome.path.name} could not be recorded: {error.message}"))
