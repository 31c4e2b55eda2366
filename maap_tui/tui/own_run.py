"""OwnRun: the transfers of the app as `maap runs` lists them, from the first one until they rest."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from maap_tui.engine.errors import EXIT_NON_TRANSIENT, EXIT_TRANSIENT, MaapError, exit_code_of, worst_code
from maap_tui.engine.events import Event, FileFailed, FileFinished, FileQueued, FileSkipped, FileStateChanged
from maap_tui.text import plural

if TYPE_CHECKING:
    from maap_tui.engine.config.dirs import AppDirs
    from maap_tui.engine.download.tally import Tally
    from maap_tui.engine.runs import OpenRun

STILL_S = 5.0
"""Seconds without a transfer after which a run of transfers has ended."""


class OwnRun:
    """Ends with the exit code that a command would give for the same transfers."""

    def __init__(self, dirs: AppDirs, tally: Tally) -> None:
        """Take where runs are listed and what counts the transfers."""
        self._dirs = dirs
        self._tally = tally
        self._run: OpenRun | None = None
        """None while nothing is transferred."""
        self._listed = tally.snapshot()
        """What earlier runs have counted."""
        self._still_since: float | None = None
        self._guard = threading.Lock()
        """Protects what is below: events come in the engine's thread."""
        self._failed: dict[str, int] = {}
        """The exit code that each file of this run means which failed and was not tried again."""

    def apply(self, event: Event) -> None:
        """Take an event of the engine; from any thread."""
        if isinstance(event, FileFailed):
            with self._guard:
                self._failed[event.url] = EXIT_NON_TRANSIENT if event.permanent else EXIT_TRANSIENT
        elif isinstance(event, FileQueued | FileFinished | FileSkipped | FileStateChanged):
            with self._guard:
                self._failed.pop(event.url, None)

    @property
    def is_due(self) -> bool:
        """Whether transfers began or ended since `note` was called."""
        now = time.monotonic()
        if self._tally.snapshot().active:
            self._still_since = None
            return self._run is None
        self._still_since = self._still_since or now
        return self._run is not None and now - self._still_since >= STILL_S

    def note(self, stopped: MaapError | None) -> None:
        """Write down that transfers began or ended; blocks.

        Args:
            stopped: what keeps the transfers from starting; None for nothing.
        """
        if self._run is None:
            # Loaded with the first transfer, not with the first screen.
            from maap_tui.engine.runs import Runs

            self._run = Runs(self._dirs).begin("app", ("tui",))
        else:
            self.end(stopped)

    def end(self, stopped: MaapError | None = None, *, ended_by: int = 0, handed_on: int = 0) -> None:
        """Write down how the run ended, if there is one; blocks.

        Args:
            stopped: as in `note`.
            ended_by: the exit code of what ended it while files are left, as the user; 0 where it rests.
            handed_on: files that the worker goes on with, which the tally counts no longer.
        """
        run, self._run = self._run, None
        if run is None:
            return
        from maap_tui.engine.runs import Counts

        now, before = self._tally.snapshot(), self._listed
        self._listed = now
        with self._guard:
            failed, self._failed = self._failed, {}
        left = max(0, now.queued - now.done) + handed_on
        downloaded, here = now.finished - before.finished, now.skipped - before.skipped
        counts = Counts(
            found=downloaded + here + len(failed) + left,
            downloaded=downloaded,
            here=here,
            failed=len(failed),
            failed_days=now.failed_days - before.failed_days,
            bytes=now.received - before.received,
        )
        codes = set(failed.values())
        if stopped is not None:
            codes.add(exit_code_of(stopped) or EXIT_TRANSIENT)
        elif left or counts.failed_days:
            codes.add(EXIT_TRANSIENT)
        code = ended_by if ended_by and left and stopped is None else worst_code(codes)
        words = f"{plural(left, 'file')} left{' to the worker' if handed_on else ''}" if left else ""
        run.end(code, counts, stopped.sentences if stopped is not None else words)
