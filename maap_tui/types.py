"""The results, under the names that maap-client's users import."""

from maap_tui.client.results import DownloadResult, GranuleInfo, SearchResult, SyncResult

__all__ = ["DownloadResult", "GranuleInfo", "SearchResult", "SyncResult"]
