"""Everything in the archive as of one moment: the series and collections of all missions, by name."""

from __future__ import annotations

from datetime import UTC, datetime

from maap_tui.demo.missions import MISSIONS
from maap_tui.demo.missions.base import Collection, Granule, Series
from maap_tui.demo.orbit import DAY


class Content:
    """Everything in the archive as of one moment.

    The moment is fixed until it is set, so that the pages of a search fit each other.
    """

    def __init__(self, now: float) -> None:
        self.move_to(now)

    def move_to(self, now: float) -> None:
        """Hold what there is at another moment."""
        every: dict[tuple[str, str], Series] = {}
        collections: dict[str, Collection] = {}
        for mission in MISSIONS:
            own = {(one.product, one.baseline): one for one in mission.series(now)}
            every |= own
            collections |= {one.id: one for one in mission.collections(own)}
        opened = {series for c in collections.values() if not c.restricted for series in c.series}
        # Requests go on meanwhile: each finds what there was, or what there is.
        self.now = now
        self.series = every
        self.collections = collections
        self.closed = frozenset(s for s in every.values() if s not in opened)
        """Series that only restricted collections list: their files answer 403."""

    def find(self, item_id: str) -> Granule | None:
        """The granule of an identifier, None when the archive has none of that name."""
        for mission in MISSIONS:
            if said := mission.read(item_id):
                product, baseline, stamp = said
                break
        else:
            return None
        try:
            moment = datetime.strptime(stamp, "%Y%m%dT%H%M%S").replace(tzinfo=UTC).timestamp()
        except ValueError:
            return None
        for series in self.series.values():
            if series.product != product or baseline not in (None, series.baseline):
                continue
            for number in series.axis.numbers_at(moment):
                for version in range(series.versions):
                    granule = Granule(series, number, version)
                    if series.holds(number) and granule.id == item_id:
                        return granule
        return None

    def span(self, collection: Collection) -> tuple[float, float]:
        """First sensing start and last sensing end of a collection."""
        starts = [series.axis.start(series.first) for series in collection.series]
        ends = [min(series.axis.end(series.last), self.now + 30 * DAY) for series in collection.series]
        return min(starts), max(ends)
