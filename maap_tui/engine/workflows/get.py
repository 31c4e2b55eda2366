"""Search and download in one step."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field

from maap_tui.engine.catalogue.search import Search
from maap_tui.engine.download.jobs import Report
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.errors import (
    InvalidRequestError,
)
from maap_tui.engine.events import Warned
from maap_tui.engine.query import Query
from maap_tui.engine.storage.places import Place
from maap_tui.engine.workflows.filing import Chosen
from maap_tui.engine.workflows.parts import Parts
from maap_tui.engine.workflows.register import record_skipped, register
from maap_tui.engine.workflows.searching import search


@dataclass(slots=True)
class GetReport:
    """What a search and the downloads after it brought."""

    search: Search
    granules: int = 0
    """How many were found."""
    wanted: list[DownloadRequest] = field(default_factory=list)
    """Every file that would have been fetched, of a dry run."""
    downloads: Report = field(default_factory=Report)
    lacking: InvalidRequestError | None = None
    """Says that no granule found has a file in the formats meant; None otherwise."""


async def get(
    parts: Parts,
    query: Query,
    *,
    out_dir: Place | None = None,
    product_dir: bool | None = None,
    dry_run: bool = False,
    track: bool = False,
    everything: bool = False,
) -> GetReport:
    """Search and download.

    Args:
        parts: the engine.
        query: what to find.
        out_dir: a flat folder, or prefix of S3; None files by sensing day under data_dir.
        product_dir: whether each file gets a folder named after its stem; None takes the setting.
        dry_run: only find out what would be fetched.
        track: whether the registry follows it.
        everything: whether to fetch also what neither time, orbit nor area bounds.

    Raises:
        InvalidRequestError: when nothing bounds what would be fetched, and everything is not meant.
    """
    if not (dry_run or everything):
        query.demand_bounds()
    formats = parts.formats_of(query)
    parts.check_place(out_dir)
    found = search(parts, query, wait_for_service=not dry_run)
    report = GetReport(found)
    chosen = Chosen(formats)
    verb = "download" if track else "get"
    async with (
        parts.downloads(verb=verb, is_watched=False) as downloads,
        aclosing(aiter(found)) as pages,
    ):
        async for page in pages:
            report.granules += len(page.granules)
            if track and not dry_run and out_dir is None:
                await register(parts.filing, page.granules, formats, emit=parts.emit)
            for granule in page.granules:
                for request in parts.filing.requests_of(
                    granule,
                    chosen.files(granule),
                    out_dir=out_dir,
                    product_dir=parts.in_product_dir(product_dir),
                    refuse=lambda asset, error: downloads.refuse(asset.href, error.message, permanent=True),
                ):
                    if dry_run:
                        report.wanted.append(request)
                    else:
                        request = request if track else request.untracked()
                        downloads.add(request, group=granule.collection)
            await downloads.settle()
        if track and not dry_run and out_dir is None:
            await asyncio.to_thread(record_skipped, parts.filing, found, parts.emit)
        report.downloads = await downloads.join()
    report.lacking = chosen.error()
    if warning := chosen.warning():
        parts.emit(Warned(warning))
    return report
