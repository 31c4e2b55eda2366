"""ResultSum: how many files and bytes results have together, and how long those not here would take."""

from __future__ import annotations

from maap_tui.text import format_bytes, format_count, format_duration, format_rate, format_sum, plural
from maap_tui.tui.screens.search.results import Result


class ResultSum:
    """Results are added one by one, so that a long list can be summed up in slices."""

    def __init__(self) -> None:
        self._granules = self._files = self._size = self._unknown = self._here = 0
        self._to_get = 0
        """Bytes of those that are neither here nor queued."""
        self._queued = 0

    def add(self, row: Result) -> None:
        """Add a result."""
        self._granules += 1
        self._files += len(row.files)
        self._unknown += row.size is None
        self._size += row.size or 0
        self._here += row.is_here
        if row.state == "queued":
            self._queued += 1
        elif not row.is_here:
            self._to_get += row.size or 0

    def parts(self, *, is_selected: bool, free: int | None, rate: float, in_queue: int) -> list[str]:
        """The sum in words.

        Args:
            is_selected: whether it is of selected results, not of all.
            free: bytes free where data go, None when unknown.
            rate: bytes a second of late; 0 when nothing moved yet.
            in_queue: bytes that the queue brings first, those of queued results among them.
        """
        parts = []
        if self._granules:
            granules = "" if self._files == self._granules else f"{plural(self._granules, 'granule')}, "
            size = format_sum(self._size, unknown=self._unknown)
            what = "Selected" if is_selected else "All"
            parts.append(f"{what}: {granules}{plural(self._files, 'file')}, {size}")
            parts.append(f"{format_count(self._here)} here")
        if free is not None:
            parts.append(f"{format_bytes(free)} free")
        if rate and (self._to_get or self._queued):
            how = "with the queue" if in_queue else f"at {format_rate(rate)}"
            parts.append(f"{format_duration((in_queue + self._to_get) / rate)} {how}")
        return parts
