"""Arrivals: results on their way from the search into the list."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

from maap_tui.tui.screens.search.results import SLICE, Result, merged, order_of
from maap_tui.tui.widgets.row_list import RowList
from maap_tui.tui.workers import start_worker

_SORT_S = 3.0
"""Seconds that few results wait when the whole list has to be sorted for them."""


class Arrivals:
    """The results that the list does not show yet, and the places where its order breaks."""

    def __init__(self, rows: RowList) -> None:
        self._rows = rows
        self.waiting: list[Result] = []
        self._since = 0.0
        self._newest_first = False
        self._breaks: list[int] = []
        """Indexes at which the order of the results breaks: days that were asked again come last."""

    def begin(self, *, newest_first: bool) -> None:
        """Start with an empty list; `newest_first` is the order in which a search gives results."""
        self.waiting, self._since = [], time.monotonic()
        self._breaks, self._newest_first = [], newest_first
        self._rows.workers.cancel_group(self._rows, "order")

    def take(self, *, everything: bool = False) -> list[Result]:
        """Add the waiting results to the list, or leave few of them when all of it has to be sorted for them.

        Args:
            everything: whether none is left.

        Returns:
            The results that were added.
        """
        batch, rows = self.waiting, self._rows
        waited = time.monotonic() - self._since
        is_few = rows.sort_key is not None and len(batch) < len(rows.rows) // 5 and waited < _SORT_S
        if not batch or (is_few and not everything):
            return []
        self.waiting, self._since = [], time.monotonic()
        last = rows.rows[-1] if rows.rows else None
        for number, row in enumerate(batch, len(rows.rows)):
            if last is not None and (order_of(row) < order_of(last)) is not self._newest_first:
                self._breaks.append(number)
            last = row
        is_at_top = rows.cursor == 0
        rows.append_rows(batch)
        if is_at_top:
            rows.move_to(0)  # the user has not chosen a row: show what sorts before the first one
        return batch

    def put_in_order(self) -> None:
        """Sort in the days that were asked again, a slice of a long list at a time."""
        if not self._breaks:
            return
        rows, breaks, self._breaks = self._rows, self._breaks, []
        slices = merged(rows.rows, breaks, newest_first=self._newest_first, size=SLICE)
        if len(rows.rows) <= SLICE:
            rows.reorder([row for part in slices for row in part])
        else:
            start_worker(rows, self._merge, slices, group="order", exclusive=True)

    async def _merge(self, slices: Iterator[list[Result]]) -> None:
        in_order: list[Result] = []
        for part in slices:
            in_order += part
            await asyncio.sleep(0)
        self._rows.reorder(in_order)
