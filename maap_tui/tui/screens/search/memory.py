"""What Search remembers from one start of the app to the next: columns, sort, preview and form."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from maap_tui.tui.screens.search.results import COLUMNS
from maap_tui.tui.screens.search.terms import Terms
from maap_tui.tui.widgets.row_list import RowList
from maap_tui.tui.widgets.ui_state import recall, remember


class SearchMemory:
    """The choices of the user, in a small file that may be deleted at any time.

    Attributes:
        columns: keys of the columns that the user chose; None for those that there is room for.
        wants_preview: whether the preview is wanted; None leaves it to the room that there is.
        sort: key of the column that sorts, and whether it is reversed; None before the file was read.
        terms: the form as it was left; None when there was none.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.columns: list[str] | None = None
        self.wants_preview: bool | None = None
        self.sort: tuple[str, bool] | None = None
        self.terms: Terms | None = None
        self._written: dict[str, Any] | None = None
        self._turn = asyncio.Lock()

    async def read(self) -> None:
        """Take what the file says, but for what was chosen meanwhile; what is damaged in it is left out."""
        found = self._written = await asyncio.to_thread(recall, self._file)
        if self.columns is None and isinstance(columns := found.get("columns"), list):
            self.columns = [key for key in columns if isinstance(key, str)]
        if self.wants_preview is None and isinstance(preview := found.get("preview"), bool):
            self.wants_preview = preview
        sort = found.get("sort")
        if isinstance(sort, list) and len(sort) == 2 and sort[0] in {column.key for column in COLUMNS}:
            self.sort = sort[0], sort[1] is True
        if found.get("terms"):
            self.terms = Terms.from_dict(found["terms"])

    def note(self, rows: RowList, terms: Terms) -> bool:
        """Take what is shown now; whether it differs from what was written, once the file was read."""
        if self._written is None:
            return False
        now = {
            "columns": self.columns,
            "preview": self.wants_preview,
            "sort": [rows.sort_key, rows.sort_reversed],
            "terms": terms.as_dict(),
        }
        is_new = now != self._written
        self._written = now
        return is_new

    async def write(self) -> None:
        """Write what was noted last."""
        # One write after the other: of two at once the earlier might be the last one on disk.
        async with self._turn:
            if self._written is not None:
                await asyncio.to_thread(remember, self._file, self._written)
