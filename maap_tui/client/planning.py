"""What to fetch of what there is: the fewest days or passes over an area."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from maap_tui.client.arguments import query_of, refuse_gaps, span_of, warn_of_formats
from maap_tui.client.connection import Connection
from maap_tui.engine.cover import Cover, Unit, cover, demand_tracks
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.model import Granule
from maap_tui.engine.session import Session
from maap_tui.engine.workflows.filing import Chosen


class Planning:
    """The part of MaapClient that plans."""

    _connection: Connection

    def plan_cover(
        self,
        collection: str,
        product_type: str,
        baseline: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        area: Mapping[str, Any] | None = None,
        unit: Unit = "dates",
        closest: bool = False,
        max_items: int | None = None,
        format: str | Sequence[str] | None = None,
        frames: Sequence[str] | None = None,
        tracks: Sequence[str | int] | None = None,
    ) -> Cover:
        """Choose granules so that each frame of each ground track of an area is there once.

        The arguments that are not described here are those of `search`.

        Args:
            area: a GeoJSON geometry in degrees of longitude and latitude; None is the Earth.
            unit: what there should be few of: `dates`, or `passes` of the satellite.
            closest: whether the first and the last day are as close together as can be before the number
                counts.

        Returns:
            The days or passes, oldest first, each with its granules; `is_fewest` is False where it was not
            proven that fewer would not do.

        Raises:
            InvalidRequestError: when the request is wrong, the mission does not number its ground tracks, or
                there are more granules than `max_items` and none was given.
            CatalogError: when a part of the range could not be searched: another plan might be smaller.
        """
        demand_tracks(self._connection.session.mission_of(collection))
        query = query_of(
            self._connection, collection, product_type, baseline, span_of(start, end), None, frames, format,
            max_items, reverse=False, tracks=tracks,
        )  # fmt: skip
        query = replace(query, area=area)

        async def find(session: Session) -> list[Granule]:
            search = session.search(query)
            granules = [granule async for page in search for granule in page.granules]
            refuse_gaps(search.failed)
            if len(granules) >= query.max_items and max_items is None:
                raise InvalidRequestError(
                    f"There may be more than the first {query.max_items:,} granules",
                    "Give a shorter time, or max_items.",
                )
            chosen = Chosen(session.formats_of(query))
            found = [granule for granule in granules if chosen.files(granule)]
            warn_of_formats(self._connection, chosen)
            return found

        return cover(self._connection.run(find), unit, closest=closest)
