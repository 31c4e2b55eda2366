"""When satellites come near a place."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from maap_tui.client.arguments import demand_zones, refuse_gaps, span_of
from maap_tui.client.connection import Connection
from maap_tui.engine.errors import DownloadError, InvalidRequestError
from maap_tui.engine.events import Warned
from maap_tui.engine.model import TimeRange
from maap_tui.engine.overpass.matching import Match
from maap_tui.engine.overpass.passing import Overpass, Place
from maap_tui.engine.query import parse_formats
from maap_tui.engine.session import Session
from maap_tui.text import plural


class Places:
    """The part of MaapClient that knows of places."""

    _connection: Connection

    def overpasses(
        self,
        site: str | tuple[float, float],
        within_km: float = 50.0,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        collection: str = "",
        product_type: str = "",
        baseline: str | None = None,
        by: Literal["auto", "prediction", "scenario", "cycle"] = "auto",
    ) -> list[Overpass]:
        """Find when a satellite comes near a place; the next 14 days without start and end.

        Args:
            site: the name of a site, or latitude and longitude in degrees.
            within_km: how near, to the ground track or to the swath of a product that has one.
            start: the first moment, with a zone; None for the present one.
            end: the last moment; None stands for 14 days after the start, or now for a start that has passed.
            collection: '' for that of the configured mission's ground tracks.
            product_type: the same.
            baseline: None for the newest of each granule.
            by: what says the passes to come: the predicted orbit, the planned one, or the repeat cycle;
                `auto` is the first as far as it goes, then the last.

        Returns:
            The overpasses by time: `time`, `metres`, `swath_metres`, `side`, `is_day`, `orbit`, `frame`,
            `source` (`archive`, `repeat cycle` or an orbit file), `granule` and what is `here`.

        Raises:
            InvalidRequestError: for unknown names, or a future that nobody knows.
            CatalogError: when the archive does not answer, or not wholly.
            MaapError: when the orbit file that is asked for by name cannot be had.
        """
        from maap_tui.engine.workflows.overpass import overpasses, query_for, trackless_words

        demand_zones(start=start, end=end)
        session = self._connection.session
        where = place_of(session, site)
        now = session.now()
        if end is None:
            end = now if start is not None and start < now else (start or now) + timedelta(days=14)
        span = span_of(start or now, end)
        assert span is not None
        query = query_for(session, collection, product_type, baseline)

        async def find(session: Session, span: TimeRange = span) -> list[Overpass]:
            found = await overpasses(session, query, where, within_km * 1000, span, by=by)
            refuse_gaps(found.failed)
            for words in filter(None, (*found.notes, trackless_words(found.without_track))):
                session.emit(Warned(words))
            return found.rows

        return self._connection.run(find)

    def match(
        self,
        track: str | Path,
        products: str | Sequence[str],
        *,
        within_km: float = 50.0,
        apart: timedelta = timedelta(minutes=30),
        gap: timedelta = timedelta(hours=24),
        format: str | Sequence[str] | None = None,
        get: bool = False,
    ) -> list[Match]:
        """Find the granules that come near a moving platform, in space and in time.

        Args:
            track: a table (CSV), a GPX file or a netCDF file with the positions of the platform.
            products: product types, each as `[COLLECTION/]PRODUCT[:BASELINE]`.
            within_km: the longest distance, to the ground track or to the swath.
            apart: the longest time between satellite and platform.
            gap: how long the platform may have no position and still be taken to go straight on.
            format: the formats meant, None for those of the mission.
            get: whether files that are not here are fetched and tracked.

        Returns:
            A match a granule, by time: `time`, `platform_time`, `metres`, `swath_metres`, `side`, `granule`,
            `state`.

        Raises:
            InvalidRequestError: for unknown names, a track that cannot be read, rows of it that cannot be
                used, or a format that no granule found has.
            CatalogError: when the archive does not answer, or not wholly.
            DownloadError: when `get` could not have a file.
        """
        from maap_tui.engine.product_sets import read_member
        from maap_tui.engine.workflows import match as workflow
        from maap_tui.engine.workflows.overpass import trackless_words

        names = [products] if isinstance(products, str) else products
        members = [read_member(name, "a product") for name in names]

        async def find(session: Session) -> list[Match]:
            platform = await workflow.read_track(Path(track))
            if platform.left_out:
                count = plural(platform.left_out, "position")
                raise InvalidRequestError(
                    f"{count} of {platform.name} cannot be used: {platform.skipped[0]}",
                    "Remove them from the file.",
                )
            mission_formats = (
                parse_formats(",".join([format] if isinstance(format, str) else format)) if format else ()
            )
            queries = await workflow.queries_for(session, members, mission_formats)
            found = await workflow.matches(
                session, queries, platform, apart=apart, metres=within_km * 1000, gap=gap
            )
            refuse_gaps(found.failed)
            if words := trackless_words(found.without_track):
                session.emit(Warned(words))
            if found.lacking:
                raise found.lacking[0]
            if get:
                report = await workflow.fetch(session, found.rows, mission_formats)
                if report.stopped is not None:
                    raise report.stopped
                if report.failed:
                    one = report.failed[0]
                    raise DownloadError(one.url, one.reason, one.status, permanent=one.permanent)
                return await workflow.judged(session, found.rows)
            return found.rows

        return self._connection.run(find)


def place_of(session: Session, site: str | tuple[float, float]) -> Place:
    """The place that a caller means.

    Raises:
        InvalidRequestError: when it is neither a site nor a point on Earth.
    """
    from maap_tui.engine.sites import find_place

    text = site if isinstance(site, str) else f"{site[0]},{site[1]}"
    return Place(*find_place(text, session.settings.sites, "site"))
