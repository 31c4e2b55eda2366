"""BaselineTable: the tracked baselines, one a row, with the counts of each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from maap_tui.engine.registry.entries import Key
from maap_tui.text import format_bytes, format_count
from maap_tui.tui.host import OnHost
from maap_tui.tui.screens.registry.shares import BaselineRow, cells_of
from maap_tui.tui.widgets.row_list import RowList
from maap_tui.tui.widgets.row_model import Column

BAR_FROM = 76
"""Cells of the terminal from which there is room for bars."""

ALL_FROM = 106
"""Cells of the terminal from which there is room for what a bar and the line below the table say too."""

FRAMED_FROM = 30
"""Rows of the terminal from which a frame takes two cells."""

BAR_CELLS = (17, 40)
"""Cells of the bar of a baseline, at least and at most."""

OTHER_CELLS = 70
"""Cells of a row beside the bar and the collection."""

LEAST_CELLS = 56
"""The same where only the least is shown."""

WHOLE_COLLECTION_FROM = 130
"""Cells of the terminal from which the whole name of a collection has room beside a bar."""

TONES = ("accent", "success", "muted", "error")
"""Of files that are marked, here, missing and failed."""


def bar_cells(width: int, taken: int = 0) -> int:
    """Cells of the bar of a baseline in a terminal of so many, of which a frame and the like take some."""
    least, most = BAR_CELLS
    others = LEAST_CELLS
    if width >= ALL_FROM:
        others = OTHER_CELLS + (26 if width >= WHOLE_COLLECTION_FROM else 13)
    return min(max(width - others - taken, least), most)


def bar_legend(signs: Sequence[str], width: int) -> str:
    """What the four signs of a bar of so many cells mean; the last one, a cross, goes without words first."""
    named = [sign + name for sign, name in zip(signs, ("mark", "here", "miss", "fail"), strict=True)]
    short = [*named[:3], signs[3]]
    for words in (" ".join(named), " ".join(short), "".join(short)):
        if len(words) <= width:
            break
    return words


def short_count(count: int) -> str:
    """A count in five cells, its last digits left out where there is no room for them."""
    if count < 10_000:
        return format_count(count)
    if count < 100_000:
        return f"{count / 1000:.1f}k" if count < 99_950 else "100k"
    return f"{count // 1000}k" if count < 1_000_000 else f"{count / 1e6:.1f}M"


def short_age(then: datetime | None, now: datetime) -> str:
    """How long ago, in seven cells."""
    if then is None:
        return ""
    seconds = (now - then).total_seconds()
    if seconds < 60:
        return "now"
    for unit, length in (("min", 60), ("h", 3600), ("d", 86400)):
        count = seconds / length
        if count < {"min": 60, "h": 48, "d": 1e9}[unit]:
            return f"{int(count)} {unit}"
    return ""


def short_collection(key: Key) -> str:
    """A collection's name without the part that all of its mission share."""
    return key.collection.removeprefix(key.mission).removesuffix("_MAAP").strip("_") or key.collection


class BaselineTable(OnHost, RowList):
    """Its rows are `BaselineRow`."""

    def __init__(self, empty_text: str) -> None:
        super().__init__(self._columns(), key=lambda row: row.key, empty_text=empty_text, id="baselines")
        self._has_deletions = False
        self._has_chosen_columns = False
        self._fit_columns()

    def show_deletions(self) -> None:
        """Show the column of files that clean-ups deleted, which is for those who clean up only."""
        if not self._has_deletions:
            self._has_deletions = True
            self._fit_columns()

    def keep_columns(self) -> None:
        """Keep the user's choice of columns at any width."""
        self._has_chosen_columns = True
        self._fit_columns()

    def on_resize(self) -> None:
        self._fit_columns()

    def _fit_columns(self) -> None:
        """Show the columns that there is room for, until the user chose some, and long bars."""
        width = self.app.size.width
        if not self._has_chosen_columns:
            hidden = set() if width >= ALL_FROM else {"marked", "changed", "collection"}
            hidden = {"bar"} if width < BAR_FROM else hidden
            hidden |= set() if self._has_deletions else {"deleted"}
            self.set_columns([column.key for column in self.all_columns if column.key not in hidden])
        cells = self._bar_cells()
        self.resize_columns({"bar": cells}, {"bar": bar_legend(self._signs(), cells)})

    def _bar_cells(self) -> int:
        width, height = self.app.size
        framed = 2 if height >= FRAMED_FROM else 0
        return bar_cells(width, framed + (5 if self._has_deletions else 0))

    def _signs(self) -> tuple[str, str, str, str]:
        glyphs = self.maap.glyphs
        return glyphs.share_marked, glyphs.share_here, glyphs.share_missing, glyphs.share_failed

    def _bar(self, row: BaselineRow) -> list[tuple[str, str]]:
        cells = cells_of(row.shares, self._bar_cells())
        return [
            (sign * count, tone)
            for sign, count, tone in zip(self._signs(), cells, TONES, strict=True)
            if count
        ]

    def _columns(self) -> list[Column]:
        def counted(key: str, title: str, width: int, name: str, tone: str = "plain") -> Column:
            """A count of the summary; what is 0 is muted."""

            def count(row: BaselineRow) -> int:
                return -1 if row.summary is None else getattr(row.summary, name)

            return Column(
                key,
                title,
                width,
                lambda row: "..." if row.summary is None else short_count(count(row)),
                lambda row: tone if count(row) > 0 else "muted",
                count,
                True,
                False,
            )

        def failed(row: BaselineRow) -> int:
            return len(row.summary.failures) if row.summary else 0

        def changed(row: BaselineRow) -> float:
            return row.summary.changed.timestamp() if row.summary and row.summary.changed else 0.0

        def part_here(row: BaselineRow) -> float:
            return sum(row.shares[:2]) / max(1, sum(row.shares))

        return [
            Column("product", "Product", 10, lambda row: row.key.product_type),
            Column("baseline", "Base", 4, lambda row: row.key.baseline, mutes_repeats=True),
            Column(
                "bar",
                bar_legend(self._signs(), BAR_CELLS[0]),
                BAR_CELLS[0],
                lambda row: "".join(text for text, _ in self._bar(row)),
                order=part_here,
                is_untrusted=False,
                pieces=self._bar,
            ),
            counted("discovered", "Found", 5, "discovered"),
            counted("downloaded", "Here", 5, "here"),
            counted("marked", "Mark", 5, "marked_here"),
            counted("deleted", "Del", 5, "deleted"),
            counted("pending", "Pending", 7, "pending", "warning"),
            Column(
                "failed",
                "Failed",
                6,
                lambda row: short_count(failed(row)) if row.summary else "...",
                lambda row: "error" if failed(row) else "muted",
                failed,
                True,
                False,
            ),
            Column(
                "size",
                "On disk",
                8,
                lambda row: "..." if row.size is None else format_bytes(row.size),
                None,
                lambda row: row.size or 0,
                True,
                False,
            ),
            Column(
                "changed",
                "Changed",
                7,
                lambda row: short_age(row.summary.changed, self.maap.backend.now()) if row.summary else "",
                lambda row: "muted",
                changed,
                True,
                False,
            ),
            Column(
                "collection",
                "Collection",
                0,
                lambda row: (
                    row.key.collection
                    if self.app.size.width >= WHOLE_COLLECTION_FROM
                    else short_collection(row.key)
                ),
                mutes_repeats=True,
            ),
        ]
