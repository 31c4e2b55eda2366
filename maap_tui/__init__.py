"""Search, download and track ESA MAAP satellite data.

The public names are resolved on first use, so that `import maap_tui` costs nothing.
"""

from __future__ import annotations

from maap_tui.version import __version__

TYPE_CHECKING = False  # importing it from typing costs more than `maap --version` does
if TYPE_CHECKING:
    from maap_tui.client import (
        Catalog,
        DownloadResult,
        GranuleInfo,
        MaapClient,
        MaapConfig,
        SearchResult,
        StateTracker,
        SyncResult,
    )
    from maap_tui.constants import COLLECTIONS
    from maap_tui.engine.errors import (
        AuthenticationError,
        AuthServiceUnavailable,
        CatalogError,
        CredentialsError,
        DownloadError,
        InvalidRequestError,
        MaapError,
        RegistryError,
        SettingsError,
        StorageError,
    )
    from maap_tui.engine.model import Asset, BaselineInfo, Collection, Granule, TimeRange, granule_record

_HOMES = {
    "maap_tui.client": (
        "Catalog",
        "DownloadResult",
        "GranuleInfo",
        "MaapClient",
        "MaapConfig",
        "SearchResult",
        "StateTracker",
        "SyncResult",
    ),
    "maap_tui.constants": ("COLLECTIONS",),
    "maap_tui.engine.errors": (
        "AuthServiceUnavailable",
        "AuthenticationError",
        "CatalogError",
        "CredentialsError",
        "DownloadError",
        "InvalidRequestError",
        "MaapError",
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
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

_MODULES = ("config", "constants", "exceptions", "paths", "tracker", "types", "utils")
"""Modules that are there as attributes without an import of their own, as in maap-client."""

__all__ = [
    "COLLECTIONS",
    "Asset",
    "AuthServiceUnavailable",
    "AuthenticationError",
    "BaselineInfo",
    "Catalog",
    "CatalogError",
    "Collection",
    "CredentialsError",
    "DownloadError",
    "DownloadResult",
    "Granule",
    "GranuleInfo",
    "InvalidRequestError",
    "MaapClient",
    "MaapConfig",
    "MaapError",
    "RegistryError",
    "SearchResult",
    "SettingsError",
    "StateTracker",
    "StorageError",
    "SyncResult",
    "TimeRange",
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
