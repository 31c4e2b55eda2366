"""The blocking face for scripts and notebooks: MaapClient, its configuration, results and registry."""

from maap_tui.client.catalog import Catalog, CatalogQueryables, CatalogQueryablesManager
from maap_tui.client.client import MaapClient
from maap_tui.client.config import MaapConfig
from maap_tui.client.results import DownloadResult, GranuleInfo, SearchResult, SyncResult
from maap_tui.client.searcher import Searcher
from maap_tui.client.state import GlobalStateTracker, StateTracker

__all__ = [
    "Catalog",
    "CatalogQueryables",
    "CatalogQueryablesManager",
    "DownloadResult",
    "GlobalStateTracker",
    "GranuleInfo",
    "MaapClient",
    "MaapConfig",
    "SearchResult",
    "Searcher",
    "StateTracker",
    "SyncResult",
]
