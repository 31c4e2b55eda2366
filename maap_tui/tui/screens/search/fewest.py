"""The fewest days that have every frame found, as marks on the results."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from maap_tui.engine.cover import cover, demand_tracks
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.query import Query
from maap_tui.text import format_sum, plural
from maap_tui.tui.host import Host
from maap_tui.tui.screens.search.results import Result, result_key
from maap_tui.tui.widgets.row_list import RowList


async def mark_fewest(host: Host, rows: RowList, query: Query | None) -> None:
    """Mark, among the results shown, the granules of the fewest days that have every frame of each track.

    Raises:
        InvalidRequestError: when nothing is shown, or the mission does not number its ground tracks.
    """
    shown: Sequence[Result] = list(rows.shown)
    if query is None or not shown:
        raise InvalidRequestError("Nothing is shown to choose from.", "Search first.")
    demand_tracks(host.backend.session.mission_of(query.collection))
    plan = await asyncio.to_thread(cover, [row.granule for row in shown], "dates")
    chosen = {granule.id for visit in plan.visits for granule in visit.granules}
    taken = [row for row in shown if row.granule.id in chosen]
    rows.mark({result_key(row) for row in taken})
    sizes = [row.size for row in taken]
    total = format_sum(sum(size or 0 for size in sizes), unknown=sizes.count(None))
    proven = "" if plan.is_fewest else " Fewer may do: that was not proven."
    host.notify(
        f"Marked {plural(len(taken), 'granule')} of {plural(len(plan.visits), 'date')}, {total}: they have "
        f"every one of {plural(plan.frames, 'frame')}.{proven} d downloads them.",
        markup=False,
    )
