"""Session: what every face talks to: the parts of one user's engine, and the workflows over them.

The workflows are in `workflows/`, which says what their arguments mean and what they raise. Each is loaded
when it is first asked for: who opens the app or lists names need not wait for all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from maap_tui.engine.workflows.parts import Parts

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from typing import Any

    from maap_tui.engine.catalogue import built
    from maap_tui.engine.catalogue.search import Search
    from maap_tui.engine.cuts.request import Cut, CutEstimate, CutResult
    from maap_tui.engine.download.downloads import Downloads
    from maap_tui.engine.download.jobs import Report
    from maap_tui.engine.download.queue_store import QueueRow
    from maap_tui.engine.download.requests import DownloadRequest
    from maap_tui.engine.errors import MaapError
    from maap_tui.engine.hooks import Hook
    from maap_tui.engine.model import Asset, BaselineInfo, Granule, TimeRange
    from maap_tui.engine.net.credentials import TokenInfo
    from maap_tui.engine.product_sets import ProductSet
    from maap_tui.engine.query import Query
    from maap_tui.engine.registry.cleanup import CleanupReport
    from maap_tui.engine.registry.entries import Key, Stats, TrackedFile
    from maap_tui.engine.storage.places import Place
    from maap_tui.engine.studies.citing import Citation
    from maap_tui.engine.studies.declaration import Declaration
    from maap_tui.engine.studies.study import Study
    from maap_tui.engine.swaps.plan import SwapNames, SwapPlan
    from maap_tui.engine.swaps.run import SwapReport, SwapStatus, UndoReport
    from maap_tui.engine.workflows.arrivals import News
    from maap_tui.engine.workflows.coverage import Coverage
    from maap_tui.engine.workflows.cut import Source
    from maap_tui.engine.workflows.freezing import FreezeReport
    from maap_tui.engine.workflows.get import GetReport
    from maap_tui.engine.workflows.marks import MarkReport
    from maap_tui.engine.workflows.pending import Pending
    from maap_tui.engine.workflows.register import RegisteredFiles
    from maap_tui.engine.workflows.set_sync import SetSyncReport
    from maap_tui.engine.workflows.set_table import SetTable
    from maap_tui.engine.workflows.sync import SyncReport
    from maap_tui.engine.workflows.thawing import ThawReport
    from maap_tui.engine.workflows.worker import WorkReport


class Session(Parts):
    """One user's engine."""

    async def sign_in(self, text: str) -> TokenInfo:
        """Check an offline token against the service, then store it; the session uses it from then on."""
        from maap_tui.engine.workflows import sign_in

        return await sign_in.sign_in(self, text)

    def search(
        self,
        query: Query,
        *,
        wait_for_service: bool = False,
        prepare: Callable[[Granule], object] | None = None,
    ) -> Search:
        """One run of a query; iterate it for pages. See `searching.search`."""
        from maap_tui.engine.workflows import searching

        return searching.search(self, query, wait_for_service=wait_for_service, prepare=prepare)

    async def check_names_first(self, collection: str, product_type: str, baseline: str | None) -> None:
        """Judge names before what depends on them, for a request that cannot be read."""
        from maap_tui.engine.workflows import searching

        await searching.check_names_first(self, collection, product_type, baseline)

    async def takes_orbit_in_time(self, query: Query) -> bool:
        """Whether orbits are looked for in a time range, as where the archive has no index of them."""
        from maap_tui.engine.workflows import searching

        return await searching.takes_orbit_in_time(self, query)

    async def find(self, collection: str, identity: str) -> Granule | None:
        """The granule of that id, None when the collection has none."""
        from maap_tui.engine.workflows import searching

        return await searching.find(self, collection, identity)

    async def cut_source(self, text: str, collection: str = "") -> Source:
        """The data file that a text means, here or at the archive."""
        from maap_tui.engine.workflows.cut import source_of

        return await source_of(self, text, collection)

    async def estimate_cut(self, source: Source, cut: Cut, *, whole: bool = False) -> CutEstimate:
        """What a cut of a file needs; reads its headers, positions and times, or none of it with `whole`."""
        from maap_tui.engine.workflows.cut import estimate

        return await estimate(self, source, cut, whole=whole)

    async def cut(
        self,
        source: Source,
        wanted: Cut,
        out: Path,
        *,
        command: str = "",
        whole: bool = False,
        before: Callable[[CutEstimate], None] = lambda needs: None,
        came: Callable[[int], None] = lambda count: None,
    ) -> CutResult:
        """Write what is cut from a file into another one; `before` takes what that needs, `came` bytes."""
        from maap_tui.engine.workflows.cut import cut

        return await cut(self, source, wanted, out, command=command, whole=whole, before=before, came=came)

    async def save_to_registry(
        self, granules: Sequence[Granule], formats: tuple[str, ...]
    ) -> RegisteredFiles:
        """Register granules as discovered; returns which of their files, how many are new and refused."""
        from maap_tui.engine.workflows import register

        return await register.register(self.filing, granules, formats, emit=self.emit)

    async def save_skipped(self, search: Search) -> None:
        """List the items that a search could not use among the errors of the registry."""
        from maap_tui.engine.workflows import register

        await asyncio.to_thread(register.record_skipped, self.filing, search, self.emit)

    async def get(
        self,
        query: Query,
        *,
        out_dir: Place | None = None,
        product_dir: bool | None = None,
        dry_run: bool = False,
        track: bool = False,
        everything: bool = False,
    ) -> GetReport:
        """Search and download."""
        from maap_tui.engine.workflows import get

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
        out_dir: Place | None = None,
        product_dir: bool | None = None,
        track: bool = False,
        dry_run: bool = False,
        again: bool = False,
    ) -> Report:
        """Download URLs that are known already; what cannot be filed is a permanent failure in the report."""
        from maap_tui.engine.workflows import download

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
        self, url: str, collection: str, *, out_dir: Place | None = None, product_dir: bool | None = None
    ) -> DownloadRequest:
        """A bare URL as a file to fetch: filed by its name, or by its item where the name says nothing."""
        from maap_tui.engine.workflows import download

        return await download.request_of_url(self, url, collection, out_dir=out_dir, product_dir=product_dir)

    def pending(self, query: Query, *, max_items: int | None = None) -> Pending:
        """What the registry has discovered and not downloaded of what a query means."""
        from maap_tui.engine.workflows import pending

        return pending.pending(self, query, max_items=max_items)

    async def download_pending(
        self,
        tracked: Sequence[TrackedFile],
        *,
        out_dir: Path | None = None,
        product_dir: bool | None = None,
    ) -> Report:
        """Download files of the registry; with `out_dir` flat, and recorded with the path they got there."""
        from maap_tui.engine.workflows import pending

        return await pending.download_pending(self, tracked, out_dir=out_dir, product_dir=product_dir)

    def would_download(
        self,
        tracked: Sequence[TrackedFile],
        *,
        out_dir: Path | None = None,
        product_dir: bool | None = None,
    ) -> list[DownloadRequest]:
        """The files that `download_pending` would fetch; writes nothing."""
        from maap_tui.engine.workflows import pending

        return pending.would_download(self, tracked, out_dir=out_dir, product_dir=product_dir)

    async def fetch_again(self, tracked: Sequence[TrackedFile]) -> Report:
        """Download files that are recorded as downloaded and are missing or damaged, where they were."""
        from maap_tui.engine.workflows import pending

        return await pending.fetch_again(self, tracked)

    async def sync(
        self,
        query: Query,
        *,
        max_items: int | None = None,
        product_dir: bool | None = None,
        max_consecutive_failures: int | None = None,
        into: Downloads | None = None,
        hook: Hook | None = None,
        since_last: timedelta | None = None,
    ) -> SyncReport:
        """Register what the archive has in the query's range and fetch what is pending there.

        With `into` the files go to that queue and this does not wait for them; with `since_last` what has
        arrived since the last such sync takes the place of the range.
        """
        from maap_tui.engine.workflows import sync

        return await sync.sync(
            self,
            query,
            max_items=max_items,
            product_dir=product_dir,
            max_consecutive_failures=max_consecutive_failures,
            into=into,
            hook=hook,
            since_last=since_last,
        )

    async def would_sync(
        self, query: Query, *, product_dir: bool | None = None, since_last: timedelta | None = None
    ) -> SyncReport:
        """What `sync` would do now, with the files that it would fetch; needs no token, writes nothing."""
        from maap_tui.engine.workflows import sync

        return await sync.would_sync(self, query, product_dir=product_dir, since_last=since_last)

    async def news(self, query: Query, *, since: datetime | None = None) -> News:
        """What has arrived since the last sync since the last one, or since a moment; fetches nothing."""
        from maap_tui.engine.workflows.arrivals import news

        return await news(self, query, since=since)

    async def all_news(
        self, queries: Iterable[Query], *, since: datetime | None = None, briefly: bool = False
    ) -> list[News | MaapError]:
        """`news` of several; in place of those that cannot be asked, why."""
        from maap_tui.engine.workflows.arrivals import all_news

        return await all_news(self, queries, since=since, briefly=briefly)

    async def enqueue(self, requests: Sequence[DownloadRequest], into: Downloads) -> int:
        """Queue files, those that are tracked once the registry has them; returns how many are new there."""
        from maap_tui.engine.workflows import queueing

        return await queueing.enqueue(self, requests, into)

    async def enqueue_tracked(
        self, tracked: Sequence[TrackedFile], into: Downloads, *, again: bool = False
    ) -> tuple[int, list[str]]:
        """Queue files of the registry; returns how many are new, and why others cannot be fetched."""
        from maap_tui.engine.workflows import queueing

        return await queueing.enqueue_tracked(self, tracked, into, again=again)

    async def take_over(
        self, rows: Sequence[QueueRow], into: Downloads, *, again: bool = False
    ) -> tuple[int, list[str]]:
        """Go on with what a process left in the queue; returns how many files, and why others cannot be."""
        from maap_tui.engine.workflows import queueing

        return await queueing.take_over(self, rows, into, again=again)

    async def work_on_queue(
        self, *, waits_for_room: bool = False, begun: Callable[[int], None] = lambda count: None
    ) -> WorkReport:
        """Go on with the files of the queue that no process has; `begun` is called with how many."""
        from maap_tui.engine.workflows.worker import work_on_queue

        return await work_on_queue(self, waits_for_room=waits_for_room, begun=begun)

    async def build_catalogue(
        self,
        collection: str,
        *,
        product_type: str | None = None,
        baseline: str | None = None,
        latest_baseline: bool = False,
        force: bool = False,
        out_dir: Path | None = None,
        counted: Callable[[str, str, BaselineInfo], None] = lambda product_type, baseline, info: None,
    ) -> tuple[Path, list[built.BuildFailure]]:
        """Count the baselines of a collection into its built catalogue, going on from what it has."""
        from maap_tui.engine.workflows import build

        return await build.build_catalogue(
            self,
            collection,
            product_type=product_type,
            baseline=baseline,
            latest_baseline=latest_baseline,
            force=force,
            out_dir=out_dir,
            counted=counted,
        )

    async def baselines_at_archive(self, collection: str, product_type: str) -> dict[str, int]:
        """Baselines of a product that hold something, with their counts, asked of the archive."""
        from maap_tui.engine.workflows import build

        return await build.baselines_at_archive(self, collection, product_type)

    async def newest_baseline(self, collection: str, product_type: str) -> str:
        """The newest baseline of a product that holds something, asked of the archive; '' for none."""
        from maap_tui.engine.workflows import build

        return await build.newest_baseline(self, collection, product_type)

    async def baseline_at_archive(
        self, collection: str, product_type: str, baseline: str
    ) -> BaselineInfo | None:
        """What a built catalogue would say of one baseline, asked of the archive; None when it is empty."""
        from maap_tui.engine.workflows import build

        return await build.baseline_at_archive(self, collection, product_type, baseline)

    async def coverage(self, query: Query, *, verify: bool = False) -> Coverage:
        """Compare a baseline at the archive with what was downloaded of it, day by day."""
        from maap_tui.engine.workflows.coverage import coverage

        return await coverage(self, query, verify=verify)

    async def set_table(self, wanted: ProductSet, span: TimeRange | None, *, ask: bool = True) -> SetTable:
        """What of a set is here, at the archive or nowhere, by orbit and frame."""
        from maap_tui.engine.workflows.set_table import set_table

        return await set_table(self, wanted, span, ask=ask)

    async def sync_set(
        self,
        wanted: ProductSet,
        span: TimeRange | None,
        *,
        partial: bool = False,
        max_items: int | None = None,
        product_dir: bool | None = None,
        hook: Hook | None = None,
    ) -> SetSyncReport:
        """Register and fetch what makes the orbits and frames of a set complete."""
        from maap_tui.engine.workflows.set_sync import sync_set

        return await sync_set(
            self,
            wanted,
            span,
            partial=partial,
            max_items=max_items,
            product_dir=product_dir,
            hook=hook,
        )

    async def would_sync_set(self, wanted: ProductSet, span: TimeRange | None, **how: Any) -> SetSyncReport:
        """What `sync_set` would do now; see `set_sync.would_sync_set` for how. Writes nothing."""
        from maap_tui.engine.workflows.set_sync import would_sync_set

        return await would_sync_set(self, wanted, span, **how)

    async def freeze(self, declaration: Declaration, folder: Path, **how: Any) -> FreezeReport:
        """Freeze a study into a folder; see `freezing.freeze` for how."""
        from maap_tui.engine.workflows.freezing import freeze

        return await freeze(self, declaration, folder, **how)

    async def freeze_granules(
        self, declaration: Declaration, chosen: Sequence[tuple[Granule, Sequence[Asset]]], folder: Path
    ) -> FreezeReport:
        """Freeze granules that were chosen, each with the files of it that are meant."""
        from maap_tui.engine.workflows.freezing import freeze_granules

        return await freeze_granules(self, declaration, chosen, folder)

    async def freeze_baselines(
        self, declaration: Declaration, keys: Sequence[Key], folder: Path
    ) -> FreezeReport:
        """Freeze what is here of baselines."""
        from maap_tui.engine.workflows.freezing import freeze_baselines

        return await freeze_baselines(self, declaration, keys, folder)

    async def thaw(
        self, study: Study, *, folder: Path | None = None, out_dir: Path | None = None
    ) -> ThawReport:
        """Have the files of a frozen study: those here are verified, the others fetched."""
        from maap_tui.engine.workflows.thawing import thaw

        return await thaw(self, study, folder=folder, out_dir=out_dir)

    async def cite(self, keys: Sequence[Key], span: TimeRange | None = None) -> Citation:
        """How what is here of baselines is cited."""
        from maap_tui.engine.workflows.citing_here import cite_here

        return await cite_here(self, keys, span)

    async def plan_swap(
        self,
        names: SwapNames,
        span: TimeRange | None = None,
        *,
        formats: tuple[str, ...] = (),
        cleaned: bool = False,
    ) -> SwapPlan:
        """Which granules of a newer baseline take the place of which that are here; writes nothing."""
        from maap_tui.engine.swaps.plan import plan_swap

        return await plan_swap(self, names, span, formats=formats, cleaned=cleaned)

    async def run_swap(
        self,
        names: SwapNames,
        span: TimeRange | None = None,
        *,
        formats: tuple[str, ...] = (),
        cleaned: bool = False,
        keep_days: int | None = None,
        max_items: int | None = None,
        into: Downloads | None = None,
    ) -> SwapReport:
        """Fetch what takes the place of an older baseline, hand the marks over, and delete what is due."""
        from maap_tui.engine.swaps.run import run_swap

        return await run_swap(
            self,
            names,
            span,
            formats=formats,
            cleaned=cleaned,
            keep_days=keep_days,
            max_items=max_items,
            into=into,
        )

    async def undo_swap(
        self, names: SwapNames, span: TimeRange | None = None, *, fetch: bool = False
    ) -> UndoReport:
        """Give the granules of a swap the marks back that they had before."""
        from maap_tui.engine.swaps.run import undo_swap

        return await undo_swap(self, names, span, fetch=fetch)

    def swaps(self, collection: str | None = None, product_type: str | None = None) -> list[SwapStatus]:
        """The swaps that were begun, with what became of each granule; asks nothing."""
        from maap_tui.engine.swaps.run import statuses

        return list(statuses(self, collection, product_type))

    async def missing_days(self, query: Query) -> list[TimeRange]:
        """The days of a query's time that lack something here, as stretches."""
        from maap_tui.engine.workflows.coverage import missing_days

        return await missing_days(self, query)

    def stats(
        self, collection: str, product_type: str, baseline: str, span: TimeRange | None = None
    ) -> Stats:
        """Counts of one baseline, of the sensing starts in `span` or of all."""
        from maap_tui.engine.registry import spans

        return spans.stats_of(self.tracker(collection, product_type, baseline), span)

    def cleanup(
        self, collection: str, product_type: str, baseline: str, *, dry_run: bool = False
    ) -> CleanupReport:
        """Delete the marked files of a baseline; with a dry run only find them."""
        from maap_tui.engine.workflows import marks

        return marks.cleanup(self, collection, product_type, baseline, dry_run=dry_run)

    def mark(self, paths: Sequence[str]) -> MarkReport:
        """Mark downloaded files as processed, whichever baseline they belong to."""
        from maap_tui.engine.workflows import marks

        return marks.mark(self, paths)

    def unmark(self, paths: Sequence[str]) -> MarkReport:
        """Take marks away; `new` counts those taken, `already` the files that had none."""
        from maap_tui.engine.workflows import marks

        return marks.unmark(self, paths)
