"""Session: what every face talks to: the parts of one user's engine, and the workflows over them.

The workflows are in `workflows/`, which says what their arguments mean and what they raise.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path

from maap_tui.engine.catalogue import built
from maap_tui.engine.catalogue.search import Search
from maap_tui.engine.download.downloads import Downloads
from maap_tui.engine.download.jobs import Report
from maap_tui.engine.download.queue_store import QueueRow
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.model import BaselineInfo, Granule, TimeRange
from maap_tui.engine.net.credentials import TokenInfo
from maap_tui.engine.query import Query
from maap_tui.engine.registry import spans
from maap_tui.engine.registry.cleanup import CleanupReport
from maap_tui.engine.registry.entries import Stats, TrackedFile
from maap_tui.engine.workflows import (
    build,
    download,
    get,
    marks,
    pending,
    queueing,
    register,
    searching,
    sign_in,
    sync,
)
from maap_tui.engine.workflows.parts import Parts


class Session(Parts):
    """One user's engine."""

    async def sign_in(self, text: str) -> TokenInfo:
        """Check an offline token against the service, then store it; the session uses it from then on."""
        return await sign_in.sign_in(self, text)

    def search(self, query: Query, *, wait_for_service: bool = False) -> Search:
        """One run of a query; iterate it for pages. With `patient` it waits for a catalogue that is down."""
        return searching.search(self, query, wait_for_service=wait_for_service)

    async def check_names_first(self, collection: str, product_type: str, baseline: str | None) -> None:
        """Judge names before what depends on them, for a request that cannot be read."""
        await searching.check_names_first(self, collection, product_type, baseline)

    async def takes_orbit_in_time(self, query: Query) -> bool:
        """Whether orbits are looked for in a time range, as where the archive has no index of them."""
        return await searching.takes_orbit_in_time(self, query)

    async def find(self, collection: str, identity: str) -> Granule | None:
        """The granule of that id, None when the collection has none."""
        return await searching.find(self, collection, identity)

    async def save_to_registry(
        self, granules: Sequence[Granule], formats: tuple[str, ...]
    ) -> register.RegisteredFiles:
        """Register granules as discovered; returns which of their files, how many are new and refused."""
        return await register.register(self.filing, granules, formats, emit=self.emit)

    async def save_skipped(self, search: Search) -> None:
        """List the items that a search could not use among the errors of the registry."""
        await asyncio.to_thread(register.record_skipped, self.filing, search, self.emit)

    async def get(
        self,
        query: Query,
        *,
        out_dir: Path | None = None,
        product_dir: bool | None = None,
        dry_run: bool = False,
        track: bool = False,
        everything: bool = False,
    ) -> get.GetReport:
        """Search and download."""
        return await get.get(
            self,
            query,
            out_dir=out_dir,
            product_dir=product_dir,
            dry_run=dry_run,
            track=track,
            everything=everything,
        )

    async def download(
        self,
        urls: Iterable[str],
        collection: str,
        *,
        out_dir: Path | None = None,
        product_dir: bool | None = None,
        track: bool = False,
        dry_run: bool = False,
        again: bool = False,
    ) -> Report:
        """Download URLs that are known already; what cannot be filed is a permanent failure in the report."""
        return await download.download(
            self,
            urls,
            collection,
            out_dir=out_dir,
            product_dir=product_dir,
            track=track,
            dry_run=dry_run,
            again=again,
        )

    async def request_of_url(
        self, url: str, collection: str, *, out_dir: Path | None = None, product_dir: bool | None = None
    ) -> DownloadRequest:
        """A bare URL as a file to fetch: filed by its name, or by its item where the name says nothing."""
        return await download.request_of_url(self, url, collection, out_dir=out_dir, product_dir=product_dir)

    def pending(self, query: Query, *, max_items: int | None = None) -> pending.Pending:
        """What the registry has discovered and not downloaded of what a query means."""
        return pending.pending(self, query, max_items=max_items)

    async def download_pending(
        self,
        tracked: Sequence[TrackedFile],
        *,
        out_dir: Path | None = None,
        product_dir: bool | None = None,
    ) -> Report:
        """Download files of the registry; with `out_dir` flat, and recorded with the path they got there."""
        return await pending.download_pending(self, tracked, out_dir=out_dir, product_dir=product_dir)

    def would_download(
        self,
        tracked: Sequence[TrackedFile],
        *,
        out_dir: Path | None = None,
        product_dir: bool | None = None,
    ) -> list[DownloadRequest]:
        """The files that `download_pending` would fetch; writes nothing."""
        return pending.would_download(self, tracked, out_dir=out_dir, product_dir=product_dir)

    async def fetch_again(self, tracked: Sequence[TrackedFile]) -> Report:
        """Download files that are recorded as downloaded and are missing or damaged, where they were."""
        return await pending.fetch_again(self, tracked)

    async def sync(
        self,
        query: Query,
        *,
        max_items: int | None = None,
        product_dir: bool | None = None,
        max_consecutive_failures: int | None = None,
        into: Downloads | None = None,
    ) -> sync.SyncReport:
        """Register what the archive has in the query's range and fetch what is pending there.

        With `into` the files go to that queue and this does not wait for them.
        """
        return await sync.sync(
            self,
            query,
            max_items=max_items,
            product_dir=product_dir,
            max_consecutive_failures=max_consecutive_failures,
            into=into,
        )

    async def would_sync(self, query: Query, *, product_dir: bool | None = None) -> list[DownloadRequest]:
        """The files that `sync` would fetch now; needs no token and writes nothing."""
        return await sync.would_sync(self, query, product_dir=product_dir)

    async def enqueue(self, requests: Sequence[DownloadRequest], into: Downloads) -> int:
        """Queue files, those that are tracked once the registry has them; returns how many are new there."""
        return await queueing.enqueue(self, requests, into)

    async def enqueue_tracked(
        self, tracked: Sequence[TrackedFile], into: Downloads, *, again: bool = False
    ) -> tuple[int, list[str]]:
        """Queue files of the registry; returns how many are new, and why others cannot be fetched."""
        return await queueing.enqueue_tracked(self, tracked, into, again=again)

    async def take_over(
        self, rows: Sequence[QueueRow], into: Downloads, *, again: bool = False
    ) -> tuple[int, list[str]]:
        """Go on with what a process left in the queue; returns how many files, and why others cannot be."""
        return await queueing.take_over(self, rows, into, again=again)

    async def build_catalogue(
        self,
        collection: str,
        *,
        product_type: str | None = None,
        baseline: str | None = None,
        latest_baseline: bool = False,
        force: bool = False,
        out_dir: Path | None = None,
    ) -> tuple[Path, list[built.BuildFailure]]:
        """Count the baselines of a collection into its built catalogue, going on from what it has."""
        return await build.build_catalogue(
            self,
            collection,
            product_type=product_type,
            baseline=baseline,
            latest_baseline=latest_baseline,
            force=force,
            out_dir=out_dir,
        )

    async def baselines_at_archive(self, collection: str, product_type: str) -> dict[str, int]:
        """Baselines of a product that hold something, with their counts, asked of the archive."""
        return await build.baselines_at_archive(self, collection, product_type)

    async def newest_baseline(self, collection: str, product_type: str) -> str:
        """The newest baseline of a product that holds something, asked of the archive; '' for none."""
        return await build.newest_baseline(self, collection, product_type)

    async def baseline_at_archive(
        self, collection: str, product_type: str, baseline: str
    ) -> BaselineInfo | None:
        """What a built catalogue would say of one baseline, asked of the archive; None when it is empty."""
        return await build.baseline_at_archive(self, collection, product_type, baseline)

    def builder(
        self, collection: str, catalogue: built.BuiltCatalogue, *, file: Path | None
    ) -> built.Builder:
        """What counts the baselines of a collection; with `file` None nothing is saved."""
        return build.builder(self, collection, catalogue, file=file)

    def stats(
        self, collection: str, product_type: str, baseline: str, span: TimeRange | None = None
    ) -> Stats:
        """Counts of one baseline, of the sensing starts in `span` or of all."""
        return spans.stats_of(self.tracker(collection, product_type, baseline), span)

    def cleanup(
        self, collection: str, product_type: str, baseline: str, *, dry_run: bool = False
    ) -> CleanupReport:
        """Delete the marked files of a baseline; with a dry run only find them."""
        return marks.cleanup(self, collection, product_type, baseline, dry_run=dry_run)

    def mark(self, paths: Sequence[str]) -> marks.MarkReport:
        """Mark downloaded files as processed, whichever baseline they belong to."""
        return marks.mark(self, paths)

    def unmark(self, paths: Sequence[str]) -> marks.MarkReport:
        """Take marks away; `new` counts those taken, `already` the files that had none."""
        return marks.unmark(self, paths)
