"""ProgressLine: the line above the results, from the first page of a search to its outcome."""

from __future__ import annotations

from textual.widgets import Static

from maap_tui.text import clean
from maap_tui.tui.screens.search.arrivals import Arrivals
from maap_tui.tui.screens.search.asking import Asking
from maap_tui.tui.screens.search.not_here import NotHere
from maap_tui.tui.screens.search.search_form import SearchForm
from maap_tui.tui.screens.search.search_run import SearchRun
from maap_tui.tui.screens.search.search_words import narrowed_in_words
from maap_tui.tui.widgets.row_list import RowList


class ProgressLine(Static):
    """How far the search is, or how it ended, and how many results are shown."""

    def __init__(
        self, form: SearchForm, rows: RowList, arrivals: Arrivals, asking: Asking, not_here: NotHere
    ) -> None:
        super().__init__("", markup=False, id="progress")
        self._form = form
        self._rows = rows
        self._arrivals = arrivals
        self._asking = asking
        self._not_here = not_here
        self._words = ""

    def show(self, run: SearchRun | None, *, is_running: bool) -> None:
        """Show the words of a search that runs, or of the one that the results are of.

        Args:
            run: the last search, None before the first.
            is_running: whether it goes on.
        """
        if run is not None and is_running and not run.outcome:
            count = len(self._rows.rows) + len(self._arrivals.waiting)
            words = run.progress(count, self._asking.expected(run.query))
        else:
            words = run.outcome if run is not None else ""
            if words and run is not None and self._is_other(run):
                words = f"{words} (an earlier search; ctrl+r runs the form's)"
            words += narrowed_in_words(
                len(self._rows.shown),
                is_filtered=bool(self._rows.needle),
                is_not_here=self._not_here.is_on,
            )
        self.set_class(run is not None and run.has_failed_days, "-failed")
        words = clean(words)
        if words != self._words:
            self._words = words
            self.update(words)

    def _is_other(self, run: SearchRun) -> bool:
        """Whether the form asks for something else than the search did."""
        if run.query is None:
            return False
        asked = self._form.reading.query
        return asked is None or asked.to_command() != run.query.to_command()
