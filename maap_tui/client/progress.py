"""A bar for scripts and notebooks: files, bytes, rate and time left, drawn by rich."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from maap_tui.engine.download.tally import Tally
from maap_tui.engine.events import Event, FileQueued, PageFetched

PERIOD_S = 0.2
"""Seconds between two looks at the tally."""
_NOTEBOOK_WIDTH = 100
"""Columns of the bar where no terminal says how many there are."""


class ProgressBar:
    """One bar for all that a client does at a time; from any thread.

    It appears with the first page or file and stays when the work has ended; where nobody looks, in a file,
    only its end is written, to stderr. A notebook shows it below the cell, without further packages.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._tally = Tally()
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None

    def apply(self, event: Event) -> None:
        """Take one event."""
        self._tally.apply(event)
        if self._thread is None and isinstance(event, FileQueued | PageFetched):
            with self._lock:
                if self._users and self._thread is None:
                    self._is_over.clear()
                    self._thread = threading.Thread(target=self._draw, name="maap-progress", daemon=True)
                    self._thread.start()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show what comes within; several may be within at a time."""
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._tally = Tally()
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users and self._thread is not None:
                    self._is_over.set()
                    self._thread.join()
                    self._thread = None

    def _draw(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.table import Column

        console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        if console.is_jupyter:
            # rich shows nothing there without ipywidgets; a line that is written over needs none.
            console = Console(
                stderr=True, highlight=False, markup=False, emoji=False,
                force_jupyter=False, force_terminal=True, width=_NOTEBOOK_WIDTH,
            )  # fmt: skip
        bar = Progress(
            TextColumn("{task.percentage:>3.0f}%"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[words]}", markup=False, table_column=Column(no_wrap=True)),
            console=console,
            auto_refresh=False,
        )
        row = bar.add_task("", total=None, words="")
        with bar:
            while True:
                is_over = self._is_over.wait(PERIOD_S)
                now = self._tally.snapshot()
                # A search has an end, but no part of it is known before.
                total, done = now.bytes_total or None, now.bytes_done
                if is_over and not now.queued:
                    total = done = 1
                bar.update(row, total=total, completed=done, words=now.words)
                bar.refresh()
                if is_over:
                    return
