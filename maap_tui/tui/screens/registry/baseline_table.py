"""BaselineTable: the tracked baselines, one a row, with what the registry says of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from maap_tui.engine.registry.entries import Key
from maap_tui.engine.registry.view import Summary
from maap_tui.text import format_bytes, format_count
from maap_tui.tui.host import OnHost
from maap_tui.tui.widgets.row_model import Column
from maap_tui.tui.widgets.rows import RowList


@dataclass(slots=True, eq=False)
class BaselineRow:
    """A baseline in the table."""

    key: Key
    summary: Summary | None = None
    """None until it was counted."""
    size: int | None = None
    """Bytes on disk; None until they were summed."""


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
    """A collection's name without what all of its mission share."""
    return key.collection.removeprefix(key.mission).removesuffix("_MAAP").strip("_") or key.collection


class BaselineTable(OnHost, RowList):
    """Its rows are `BaselineRow`."""

    def __init__(self, empty_text: str) -> None:
        super().__init__(self._columns(), key=lambda row: row.key, empty_text=empty_text, id="baselines")
        # Room that only those need who clean up.
        self.set_columns([column.key for column in self.all_columns if column.key != "deleted"])

    def show_deletions(self) -> None:
        """Show the column of what clean-ups deleted."""
        self.set_columns([column.key for column in self.all_columns])

    def _columns(self) -> list[Column]:
        def count(name: str) -> Callable[[BaselineRow], str]:
            return lambda row: "..." if row.summary is None else short_count(getattr(row.summary, name))

        def order(name: str) -> Callable[[BaselineRow], int]:
            return lambda row: -1 if row.summary is None else getattr(row.summary, name)

        def failed(row: BaselineRow) -> int:
            return len(row.summary.failures) if row.summary else 0

        def changed(row: BaselineRow) -> float:
            return row.summary.changed.timestamp() if row.summary and row.summary.changed else 0.0

        return [
            Column("product", "Product", 10, lambda row: row.key.product_type),
            Column("baseline", "Base", 4, lambda row: row.key.baseline),
            Column("discovered", "Found", 5, count("discovered"), None, order("discovered"), True, False),
            Column("downloaded", "Here", 5, count("here"), None, order("here"), True, False),
            Column("marked", "Mark", 5, count("marked_here"), None, order("marked_here"), True, False),
            Column("deleted", "Del", 4, count("deleted"), None, order("deleted"), True, False),
            Column(
                "pending",
                "Pending",
                7,
                count("pending"),
                lambda row: "warning" if row.summary and row.summary.pending else "plain",
                order("pending"),
                True,
                False,
            ),
            Column(
                "failed",
                "Failed",
                6,
                lambda row: short_count(failed(row)) if row.summary else "...",
                lambda row: "error" if failed(row) else "plain",
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
                lambda row: row.key.collection if self.app.size.width >= 100 else short_collection(row.key),
            ),
        ]
