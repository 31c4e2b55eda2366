"""What a baseline is made of: cells of a bar, what needs attention, and the sum of all baselines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from maap_tui.engine.registry.entries import Key
from maap_tui.engine.registry.view import Summary
from maap_tui.text import format_bytes, format_count, plural


@dataclass(slots=True, eq=False)
class BaselineRow:
    """A baseline in the table."""

    key: Key
    summary: Summary | None = None
    """None until it was counted."""
    size: int | None = None
    """Bytes on disk; None until they were summed."""

    @property
    def shares(self) -> tuple[int, int, int, int]:
        """Files that are marked, here and not marked, missing, and missing after a download that failed."""
        if self.summary is None:
            return 0, 0, 0, 0
        here, failed = self.summary.here, len(self.summary.failures)
        marked = min(self.summary.marked_here, here)
        return marked, here - marked, max(0, self.summary.pending - failed), failed

    @property
    def attention(self) -> tuple[int, int]:
        """The lowest one needs attention first: what failed, then what is pending."""
        if self.summary is None:
            return 0, 0
        return -len(self.summary.failures), -self.summary.pending


def cells_of(shares: Sequence[int], width: int) -> list[int]:
    """How many of so many cells each share gets: at least one where it is not 0; none for nothing at all.

    Args:
        shares: counts.
        width: cells, as many as there are shares or more.
    """
    total = sum(shares)
    if not total:
        return [0] * len(shares)
    cells = [max(1, share * width // total) if share else 0 for share in shares]
    while (over := sum(cells) - width) != 0:
        wanted = [share * width / total - cell for share, cell in zip(shares, cells, strict=True)]
        if over > 0:
            # Never the last cell of a share: it is there for few files to be seen.
            at = min((at for at, cell in enumerate(cells) if cell > 1), key=wanted.__getitem__)
            cells[at] -= 1
        else:
            cells[max(range(len(cells)), key=wanted.__getitem__)] += 1
    return cells


def total_words(rows: Iterable[BaselineRow]) -> str:
    """The sum of several baselines in a line; '' for fewer than two, which say it themselves."""
    rows = list(rows)
    known = [row.summary for row in rows if row.summary is not None]
    if len(rows) < 2:
        return ""
    words = f"{plural(len(rows), 'baseline')}: "
    if len(known) < len(rows):
        words += f"{len(known)} counted, "
    parts = [
        f"{format_count(sum(one.here for one in known))} of "
        f"{format_count(sum(one.discovered for one in known))} here",
        f"{format_count(sum(one.pending for one in known))} pending",
        f"{format_count(sum(len(one.failures) for one in known))} failed",
    ]
    sizes = [row.size for row in rows if row.size is not None]
    if len(sizes) == len(rows):
        parts.append(format_bytes(sum(sizes)))
    return words + ", ".join(parts)
