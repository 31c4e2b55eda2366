"""Search, download and track ESA MAAP satellite data.

The public names are resolved on first use, so that `import maap_tui` costs nothing.
"""

from __future__ import annotations

from maap_tui.version import __version__

TYPE_CHECKING = False  # importing it from typing costs more than `maap --version` does
if TYPE_CHECKING:
    from maap_tui.client import (
        AsyncMaapClient,
        Catalog,
        DownloadResult,
        FreezeResult,
        GranuleInfo,
        MaapClient,
        MaapConfig,
        NewsResult,
        SearchResult,
        SetSyncResult,
        StateTracker,
        SwapResult,
        SyncResult,
        ThawResult,
        UndoResult,
    )
    from maap_tui.constants import COLLECTIONS
    from maap_tui.engine.cover import Cover
    from maap_tui.engine.cuts.request import CutEstimate, CutResult
    from maap_tui.engine.errors import (
        AuthenticationError,
        AuthServiceUnavailable,
        CatalogError,
        CredentialsError,
        DownloadError,
        InvalidRequestError,
        MaapError,
        NothingInsideError,
        RegistryError,
        SettingsError,
        StorageError,
    )
    from maap_tui.engine.model import Asset, BaselineInfo, Collection, Granule, TimeRange, granule_record
    from maap_tui.engine.overpass.matching import Match
    from maap_tui.engine.overpass.passing import Overpass
    from maap_tui.engine.product_sets import ProductSet, SetRow
    from maap_tui.engine.quality.notices import Notice
    from maap_tui.engine.studies.study import Study
    from maap_tui.engine.swaps.plan import SwapPlan
    from maap_tui.engine.swaps.run import SwapStatus
    from maap_tui.engine.workflows.set_table import SetTable

_HOMES = {
    "maap_tui.client": (
        "AsyncMaapClient",
        "Catalog",
        "DownloadResult",
        "FreezeResult",
        "GranuleInfo",
        "MaapClient",
        "MaapConfig",
        "NewsResult",
        "SearchResult",
        "SetSyncResult",
        "StateTracker",
        "SwapResult",
        "SyncResult",
        "ThawResult",
        "UndoResult",
    ),
    "maap_tui.constants": ("COLLECTIONS",),
    "maap_tui.engine.cover": ("Cover",),
    "maap_tui.engine.cuts.request": ("CutEstimate", "CutResult"),
    "maap_tui.engine.errors": (
        "AuthServiceUnavailable",
        "AuthenticationError",
        "CatalogError",
        "CredentialsError",
        "DownloadError",
        "InvalidRequestError",
        "MaapError",
        "NothingInsideError",
        "RegistryError",
        "SettingsError",
        "StorageError",
    ),
    "maap_tui.engine.model": (
        "Asset",
        "BaselineInfo",
        "Collection",
        "Granule",
        "TimeRange",
        "granule_record",
    ),
    "maap_tui.engine.overpass.matching": ("Match",),
    "maap_tui.engine.overpass.passing": ("Overpass",),
    "maap_tui.engine.product_sets": ("ProductSet", "SetRow"),
    "maap_tui.engine.quality.notices": ("Notice",),
    "maap_tui.engine.studies.study": ("Study",),
    "maap_tui.engine.swaps.plan": ("SwapPlan",),
    "maap_tui.engine.swaps.run": ("SwapStatus",),
    "maap_tui.engine.workflows.set_table": ("SetTable",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

_MODULES = ("config", "constants", "exceptions", "paths", "tracker", "types", "utils")
"""Modules that are there as attributes without an import of their own, as in maap-client."""

__all__ = [
    "COLLECTIONS",
    "Asset",
    "AsyncMaapClient",
    "AuthServiceUnavailable",
    "AuthenticationError",
    "BaselineInfo",
    "Catalog",
    "CatalogError",
    "Collection",
    "Cover",
    "CredentialsError",
    "CutEstimate",
    "CutResult",
    "DownloadError",
    "DownloadResult",
    "FreezeResult",
    "Granule",
    "GranuleInfo",
    "InvalidRequestError",
    "MaapClient",
    "MaapConfig",
    "MaapError",
    "Match",
    "NewsResult",
    "NothingInsideError",
    "Notice",
    "Overpass",
    "ProductSet",
    "RegistryError",
    "SearchResult",
    "SetRow",
    "SetSyncResult",
    "SetTable",
    "SettingsError",
    "StateTracker",
    "StorageError",
    "Study",
    "SwapPlan",
    "SwapResult",
    "SwapStatus",
    "SyncResult",
    "ThawResult",
    "TimeRange",
    "UndoResult",
    "__version__",
    "granule_record",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF and name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
