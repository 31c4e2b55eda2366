"""SumLine: the line below the results that sums them up, without holding up keys."""

from __future__ import annotations

import asyncio
import time

from textual.widgets import Static

from maap_tui.engine.storage import files
from maap_tui.text import clean
from maap_tui.tui.host import Host
from maap_tui.tui.screens.search.result_sum import ResultSum
from maap_tui.tui.screens.search.results import SLICE, result_key
from maap_tui.tui.widgets.row_list import RowList
from maap_tui.tui.workers import start_worker


class SumLine(Static):
    """The selected results, or all that are shown: files, bytes, and how long those not here would take."""

    def __init__(self, maap: Host, rows: RowList) -> None:
        super().__init__("", markup=False, id="sum")
        self._maap = maap
        self._rows = rows
        self._is_old = False
        self._is_summing = False
        self._next_s = 0.0

    @property
    def is_current(self) -> bool:
        """Whether it says what the results show now."""
        return not self._is_old and not self._is_summing

    def outdate(self, *, at_once: bool = False) -> None:
        """Sum up again: with one of the next samples, or with the very next when the user did it."""
        self._is_old = True
        if at_once:
            self._next_s = 0.0

    def sample(self) -> None:
        """Begin a sum where one is due; a long one waits five times as long as the last one took."""
        if self._is_old and not self._is_summing and time.monotonic() >= self._next_s:
            self._is_old, self._is_summing = False, True
            start_worker(self, self._sum, group="sum", exclusive=True)

    async def _sum(self) -> None:
        begun = time.monotonic()
        try:
            rows, marks = self._rows, self._rows.marks
            listed, found = rows.rows if marks else rows.shown, ResultSum()
            for start in range(0, len(listed), SLICE):
                for row in listed[start : start + SLICE]:
                    if not marks or result_key(row) in marks:
                        found.add(row)
                await asyncio.sleep(0)
            backend = self._maap.backend
            free = await asyncio.to_thread(files.free_bytes_for, backend.session.dirs.data_dir)
            moved = backend.tally.snapshot()
            in_queue = max(0, moved.bytes_total - moved.bytes_done)
            words = found.parts(is_selected=bool(marks), free=free, rate=backend.last_rate, in_queue=in_queue)
            self.update(clean(f" {self._maap.glyphs.dot} ".join(words)))
        finally:
            self._is_summing = False
            self._next_s = time.monotonic() + 5 * (time.monotonic() - begun)
