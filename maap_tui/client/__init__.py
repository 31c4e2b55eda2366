"""The face for scripts and notebooks: MaapClient, its configuration, results and registry."""

from maap_tui.client.async_client import AsyncMaapClient
from maap_tui.client.catalog import Catalog, CatalogQueryables, CatalogQueryablesManager
from maap_tui.client.client import MaapClient
from maap_tui.client.config import MaapConfig
from maap_tui.client.results import (
    DownloadResult,
    GranuleInfo,
    NewsResult,
    SearchResult,
    SetSyncResult,
    SwapResult,
    SyncResult,
    UndoResult,
)
from maap_tui.client.searcher import Searcher
from maap_tui.client.state import GlobalStateTracker, StateTracker
from maap_tui.client.studies import FreezeResult, ThawResult

__all__ = [
    "AsyncMaapClient",
    "Catalog",
    "CatalogQueryables",
    "CatalogQueryablesManager",
    "DownloadResult",
    "FreezeResult",
    "GlobalStateTracker",
    "GranuleInfo",
    "MaapClient",
    "MaapConfig",
    "NewsResult",
    "SearchResult",
    "Searcher",
    "SetSyncResult",
    "StateTracker",
    "SwapResult",
    "SyncResult",
    "ThawResult",
    "UndoResult",
]
