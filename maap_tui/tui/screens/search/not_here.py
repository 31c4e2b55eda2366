"""NotHere: shows only the results that are not here, and follows what comes and goes."""

from __future__ import annotations

import time

from maap_tui.engine.workflows.presence import HAD
from maap_tui.tui.screens.search.results import Result
from maap_tui.tui.widgets.row_list import RowList

_ALL_HERE = "Nothing is left of them: what was found is here."
_SHOW_ALL = "n shows all results again."


class NotHere:
    """A filter of results by their state, besides the one that is typed."""

    def __init__(self, rows: RowList) -> None:
        self._rows = rows
        self.is_on = False
        """Whether only results are shown that are not here."""
        self._seen = 0
        self._begun = self._next = 0.0

    def toggle(self, version: int) -> None:
        """Show only those that are not here, or all; `version` is that of the states."""
        self.is_on = not self.is_on
        self._apply(version)

    def follow(self, version: int) -> None:
        """Filter again when states have changed; the longer that takes, the longer it rests in between."""
        if not self.is_on or self._rows.is_arranging:
            return
        now = time.monotonic()
        if self._begun:
            self._begun, self._next = 0.0, now + 5 * (now - self._begun)
        if version != self._seen and now >= self._next:
            self._apply(version)

    def _apply(self, version: int) -> None:
        self._seen, self._next = version, 0.0
        self._rows.keep_only(_is_missing if self.is_on else None, _ALL_HERE, _SHOW_ALL)
        self._begun = time.monotonic() if self._rows.is_arranging else 0.0


def _is_missing(row: Result) -> bool:
    return row.state not in HAD
