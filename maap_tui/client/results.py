"""What searches, downloads and syncs give back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple

from maap_tui.client.state import StateTracker
from maap_tui.engine.model import Granule


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


@dataclass
class SearchResult:
    """What a search found."""

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


@dataclass
class DownloadResult:
    """What became of files."""

    downloaded: dict[str, Path] = field(default_factory=dict)
    """URL -> path of what was fetched."""
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
