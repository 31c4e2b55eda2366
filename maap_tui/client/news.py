"""What has arrived at the archive, for `MaapClient.news`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from maap_tui.client.arguments import demand_zones, formats_of, skipped_of
from maap_tui.client.connection import Connection
from maap_tui.client.results import NewsResult
from maap_tui.engine.errors import MaapError

if TYPE_CHECKING:
    from maap_tui.engine.workflows.arrivals import News


def news_of(
    connection: Connection,
    collection: str | None,
    product_type: str | None,
    baseline: str | None,
    since: datetime | None,
    format: str | Sequence[str] | None,
) -> list[NewsResult]:
    """As `MaapClient.news`, over a connection."""
    demand_zones(since=since)
    # Who only searches need not wait for it to load.
    from maap_tui.engine.workflows.arrivals import queries_of

    session = connection.session
    named = [(collection, product_type, baseline)] if collection and product_type else []
    queries = [
        query.replace(formats=formats_of(format, session.mission_of(query.collection)))
        for query in queries_of(
            session, named, collection=collection, product_type=product_type, baseline=baseline
        )
    ]
    results = []
    for found in connection.run(lambda session: session.all_news(queries, since=since)):
        if isinstance(found, MaapError):
            raise found
        results.append(_result_of(found))
    return results


def _result_of(found: News) -> NewsResult:
    query = found.query
    result = NewsResult(query.collection, query.product_type, query.baseline, found.since)
    for one in found.arrivals:
        if not one.is_here:
            granules = {"new": result.new, "late": result.late, "reprocessed": result.reprocessed}
            granules[one.kind].append(one.granule)
    result.here = found.here
    result.failed = [one.reason for one in found.failed]
    result.skipped_items = skipped_of(found.skipped)
    return result
