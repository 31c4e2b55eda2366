"""What searches, downloads and syncs give back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from maap_tui.client.state import StateTracker
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.model import RECORD_FIELDS, RECORD_TIMES, Asset, Granule, granule_record
from maap_tui.engine.storage.places import S3Url
from maap_tui.text import clean, format_bytes, plural

if TYPE_CHECKING:
    import pandas

    from maap_tui.engine.download.jobs import Report
    from maap_tui.engine.swaps.plan import SwapPlan
    from maap_tui.engine.workflows.set_table import SetTable


class GranuleInfo(NamedTuple):
    """What the name of a product file says; None where it says nothing."""

    filename: str
    mission: str | None
    """`ECA` or `AE`."""
    agency: str | None
    """`EX`, `JX`; agency and latency as in the name."""
    baseline: str | None
    product_type: str | None
    sensing_time: datetime | None
    """UTC."""
    creation_time: datetime | None
    """UTC."""
    orbit_frame: str | None
    """`07282E`, or six digits without a frame for Aeolus."""


@dataclass(repr=False)
class SearchResult:
    """What a search found. It shows itself in a line, and in a notebook as a table and a map."""

    urls: list[str]
    baselines_found: list[str]
    """Baselines that had data, sorted."""
    start: datetime | None
    end: datetime | None
    """The span that was searched; None for an orbit search."""
    total_count: int
    """Number of URLs."""
    failed_days: list[tuple[date, str]] = field(default_factory=list)
    """Days that could not be searched, with the reason: the result lacks them."""
    granules: list[Granule] = field(default_factory=list)
    """The same with times, orbit, frame, size, geometry and all assets."""
    skipped_items: list[str] = field(default_factory=list)
    """`URL: reason` of items of the archive that could not be used: the result lacks them."""

    def __repr__(self) -> str:
        return f"SearchResult({self._words})"

    def _repr_html_(self) -> str:
        from maap_tui.client.display import html_of

        return html_of(self._words, self.granules, self.files)

    @property
    def _words(self) -> str:
        """How much was found, of which baselines, and what the result lacks."""
        words = [f"{plural(self.total_count, 'file')} of {plural(len(self.granules), 'granule')}"]
        if self.baselines_found:
            words.append(f"baseline {', '.join(self.baselines_found)}")
        if self.start and self.end:
            words.append(f"{self.start:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M}")
        if self.failed_days:
            words.append(f"{plural(len(self.failed_days), 'day')} failed")
        if self.skipped_items:
            words.append(f"{plural(len(self.skipped_items), 'item')} skipped")
        return clean(", ".join(words))

    @property
    def files(self) -> list[tuple[Granule, Asset]]:
        """Each file of `urls` with its granule, in the order of the granules."""
        wanted = set(self.urls)
        return [
            (granule, asset)
            for granule in self.granules
            for asset in {one.href: one for one in granule.assets}.values()
            if asset.href in wanted
        ]

    def to_geojson(self) -> dict[str, Any]:
        """The files as a GeoJSON FeatureCollection (RFC 7946), ready for `json.dump`.

        A feature a file: `id` and `geometry` of its granule (longitude and latitude in degrees, None where
        the item has none), and as `properties` what `granule_record` says of it, times as text in UTC and
        `size` in bytes.
        """
        from maap_tui.engine.export import feature_of

        return {
            "type": "FeatureCollection",
            "features": [feature_of(granule, asset) for granule, asset in self.files],
        }

    def to_pandas(self) -> pandas.DataFrame:
        """The files as a table, a row a file, with the columns of `granule_record`.

        Times are timestamps in UTC, `size` is in bytes and `orbit` a number (both nullable integers),
        `geometry` GeoJSON, `bbox` and `track` lists in degrees.

        Raises:
            InvalidRequestError: when pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise InvalidRequestError(
                "to_pandas needs a package that is not installed (pandas)",
                "Run: pip install 'maap-tui[pandas]'",
            ) from error
        records = [granule_record(granule, asset) for granule, asset in self.files]
        table = pandas.DataFrame(records, columns=RECORD_FIELDS)
        for name in RECORD_TIMES:
            table[name] = pandas.to_datetime(table[name], utc=True, format="ISO8601")
        return table.astype({"orbit": "Int64", "size": "Int64"})


@dataclass(repr=False)
class DownloadResult:
    """What became of files. It shows itself in a line."""

    downloaded: dict[str, Path | S3Url] = field(default_factory=dict)
    """URL -> path of what was fetched; for what went to S3 a text, `s3://BUCKET/KEY`."""
    skipped: list[str] = field(default_factory=list)
    """URLs that were here already, or would be fetched in a dry run."""
    errors: list[str] = field(default_factory=list)
    """`URL: reason` of files that may come another time."""
    permanent_errors: list[str] = field(default_factory=list)
    """The same for files that will not come however often they are asked for."""
    total_bytes: int = 0
    """Bytes that came over the network."""
    elapsed_seconds: float = 0.0
    failed_days: list[tuple[date, str]] = field(default_factory=list)
    """Days that could not be searched (`get` only)."""
    skipped_items: list[str] = field(default_factory=list)
    """`URL: reason` of items of the archive that could not be used (`get` only)."""
    damaged: list[str] = field(default_factory=list)
    """Sentences on files of the registry that cannot be read whole (`download_from_registry` only): what they
    say is left out. `maap doctor` lists the lines, `maap doctor --repair` makes comments of them."""

    def __repr__(self) -> str:
        words = [f"{len(self.downloaded):,} downloaded, {format_bytes(self.total_bytes)}"]
        counts = {
            "skipped": len(self.skipped),
            "failed": len(self.errors) + len(self.permanent_errors),
            "days failed": len(self.failed_days),
            "items skipped": len(self.skipped_items),
            "files of the registry damaged": len(self.damaged),
        }
        words += [f"{count:,} {what}" for what, count in counts.items() if count]
        return f"DownloadResult({', '.join(words)})"


@dataclass
class SetSyncResult:
    """What became of a set of products."""

    table: SetTable
    """The set as it is now."""
    chosen: list[tuple[int, str]]
    """Orbit and frame of which files were to be fetched."""
    completed: int
    """How many of them are complete now."""
    held_back: int
    """Orbits and frames beyond `max_items`, left for another time."""
    downloads: DownloadResult
    """What became of the files."""
    hook_failures: list[str] = field(default_factory=list)
    """As in `SyncResult`."""


@dataclass
class SwapResult:
    """What became of swapping a baseline."""

    plan: SwapPlan
    """What there is to swap, its rows as they are now."""
    swapped: list[str]
    """Old granules whose successors took their place."""
    retired: list[str]
    """Old granules whose files were deleted."""
    kept: list[str]
    """`GRANULE: reason` of those that could not be swapped, or were due and had to stay."""
    held_back: int
    """Granules beyond `max_items`, left for another time."""
    downloads: DownloadResult
    """What became of the new files."""


@dataclass
class UndoResult:
    """What became of undoing a swap."""

    undone: list[str]
    """Old granules that have their marks back, as have their successors."""
    kept: list[str]
    """`GRANULE: reason` of those that cannot be as they were."""
    downloads: DownloadResult
    """What became of old files that were asked for again."""


@dataclass
class SyncResult:
    """What a sync found and fetched."""

    collection: str
    product_type: str
    baselines: list[str]
    urls_found: int = 0
    urls_downloaded: int = 0
    urls_skipped: int = 0
    """URLs that were downloaded before."""
    errors: list[str] = field(default_factory=list)
    tracker: StateTracker | None = None
    """The registry of the baseline, when there was just one."""
    failed_days: list[tuple[str, date, str]] = field(default_factory=list)
    """(baseline or `*`, day, reason) of days that could not be searched."""
    skipped_items: list[str] = field(default_factory=list)
    """`URL: reason` of items of the archive that could not be used."""
    damaged: list[str] = field(default_factory=list)
    """Sentences on files of the registry that cannot be read whole, as in `DownloadResult`."""
    arrived: dict[str, int] = field(default_factory=dict)
    """Granules that were fetched by kind, `new`, `late` and `reprocessed`, with `since_last`; {} without."""
    hook_failures: list[str] = field(default_factory=list)
    """`name: reason` of hooks that failed; the next call with a hook starts them again."""


@dataclass(repr=False)
class NewsResult:
    """What has arrived at the archive of a baseline or of a whole product. It shows itself in a line."""

    collection: str
    product_type: str
    baseline: str | None
    since: datetime | None
    """From when on, in the archive's time; None since the last sync, where days are counted."""
    new: list[Granule] = field(default_factory=list)
    """Granules that are not here and came within 3 days of their sensing."""
    late: list[Granule] = field(default_factory=list)
    """Those that came later."""
    reprocessed: list[Granule] = field(default_factory=list)
    """Those that were made more than 30 days after their sensing."""
    here: int = 0
    """Granules that have arrived and were downloaded already."""
    failed: list[str] = field(default_factory=list)
    """Why the result lacks something; [] where all could be asked."""
    skipped_items: list[str] = field(default_factory=list)
    """`URL: reason` of items of the archive that could not be used: the result lacks them."""

    def __repr__(self) -> str:
        names = " ".join(filter(None, (self.collection, self.product_type, self.baseline)))
        since = f" since {self.since:%Y-%m-%d %H:%M}" if self.since else ""
        words = [f"{len(self.new):,} new, {len(self.late):,} late, {len(self.reprocessed):,} reprocessed"]
        words += [f"{self.here:,} here"] if self.here else []
        words += [f"{plural(len(self.failed), 'part')} could not be asked"] if self.failed else []
        words += [f"{plural(len(self.skipped_items), 'item')} skipped"] if self.skipped_items else []
        return clean(f"NewsResult({names}{since}: {', '.join(words)})")


def download_result_of(report: Report) -> DownloadResult:
    """The engine's report in the words of maap-client.

    Raises:
        MaapError: what ended the run before its time.
    """
    if report.stopped is not None:
        raise report.stopped
    return DownloadResult(
        downloaded=dict(report.downloaded),
        skipped=list(report.skipped),
        errors=[f"{one.url}: {one.reason}" for one in report.failed if not one.permanent],
        permanent_errors=[f"{one.url}: {one.reason}" for one in report.failed if one.permanent],
        total_bytes=report.received,
        elapsed_seconds=report.seconds,
    )
