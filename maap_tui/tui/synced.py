"""What is asked before many files are queued, and what came of syncs; the same in every place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from maap_tui.text import clean, plural

if TYPE_CHECKING:
    from maap_tui.engine.workflows.sync import SyncReport
    from maap_tui.tui.host import Host

ASK_ABOVE: Final = 1000
"""Files that are queued without a question."""


async def may_queue(host: Host, count: int, what: str, *, lines: Sequence[str] = ()) -> bool:
    """Ask before very many files are queued; call it from a worker.

    Args:
        host: the app.
        count: how many files or granules.
        what: they in words, with their number.
        lines: each of them.
    """
    return count <= ASK_ABOVE or await host.confirm(clean(f"Queue {what}?"), lines=lines, verb="Queue")


def left_out_words(reports: Iterable[SyncReport]) -> str:
    """What syncs left out, a sentence each; '' where they have all of it."""
    # Loaded with the first sync: the first screen does without it.
    from maap_tui.engine.workflows.sync import UNREAD_DAYS

    found = list(reports)
    days = sum(len(one.failed_days) for one in found)
    skipped, refused = sum(len(one.skipped) for one in found), sum(one.refused for one in found)
    undecided = sum(one.undecided for one in found)
    lacking = next((one.lacking for one in found if one.lacking is not None), None)
    words = [
        f"{plural(days, 'day')} could not be searched, 5 says why." if days else "",
        f"{plural(skipped, 'item')} could not be used (skipped), 5 says why." if skipped else "",
        f"{plural(refused, 'file')} refused because of the names, 5 says why." if refused else "",
        f"{plural(undecided, 'file')} of {UNREAD_DAYS} left alone, 5 says why." if undecided else "",
        str(lacking.sentences) if lacking is not None else "",
    ]
    return " ".join(filter(None, words))
