"""The defaults, under the names that maap-client's users import; each is the engine's own value.

The default folders depend on the home of the user and are found when they are asked for.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from maap_tui.engine.config import loading, settings
from maap_tui.engine.errors import TOKEN_PAGE
from maap_tui.engine.missions import earthcare
from maap_tui.engine.model import to_zulu
from maap_tui.engine.net.statuses import BUSY
from maap_tui.version import __version__

DEFAULT_CATALOG_URL: str = settings.ApiSettings.catalog_url.default
DEFAULT_TOKEN_URL: str = settings.ApiSettings.token_url.default
DEFAULT_MISSION = earthcare.MISSION.name
DEFAULT_MISSION_START = to_zulu(earthcare.MISSION.start)
DEFAULT_MISSION_END = to_zulu(earthcare.MISSION.end - timedelta(seconds=1))
DEFAULT_COLLECTIONS = list(earthcare.MISSION.collections)
DEDUP_PRODUCTS = set(earthcare.MISSION.newest_only)
"""Products of which only the newest version of each granule is taken."""
NO_ORBIT_PRODUCTS = set(earthcare.MISSION.unindexed)
"""Products that the archive cannot search by orbit."""
DEFAULT_TIMEOUT: float = settings.ApiSettings.timeout.default
"""Seconds that a silent answer is waited for."""
STAC_RETRY_TOTAL: int = settings.ApiSettings.retries.default
STAC_RETRY_BACKOFF_FACTOR: float = settings.ApiSettings.retry_wait.default
STAC_RETRY_STATUS_FORCELIST = tuple(sorted(BUSY))
STAC_RETRY_ALLOWED_METHODS = ("GET", "POST")
"""Searches by POST change nothing at the archive, so that they may be asked again too."""
TOKEN_RETRY_TOTAL = STAC_RETRY_TOTAL
TOKEN_RETRY_BACKOFF_FACTOR = STAC_RETRY_BACKOFF_FACTOR
TOKEN_RETRY_STATUSES = STAC_RETRY_STATUS_FORCELIST
TOKEN_RENEW_URL = TOKEN_PAGE
COLLECTIONS = DEFAULT_COLLECTIONS

DEFAULT_DATA_DIR: str
DEFAULT_CATALOG_DIR: str
DEFAULT_BUILT_CATALOG_DIR: str
DEFAULT_REGISTRY_DIR: str
DEFAULT_CREDENTIALS_FILE: str

_FOLDERS = {
    "DEFAULT_DATA_DIR": "data_dir",
    "DEFAULT_CATALOG_DIR": "catalog_dir",
    "DEFAULT_BUILT_CATALOG_DIR": "built_catalog_dir",
    "DEFAULT_REGISTRY_DIR": "registry_dir",
    "DEFAULT_CREDENTIALS_FILE": "credentials_file",
}

__all__ = [
    "COLLECTIONS",
    "DEDUP_PRODUCTS",
    "DEFAULT_BUILT_CATALOG_DIR",
    "DEFAULT_CATALOG_DIR",
    "DEFAULT_CATALOG_URL",
    "DEFAULT_COLLECTIONS",
    "DEFAULT_CREDENTIALS_FILE",
    "DEFAULT_DATA_DIR",
    "DEFAULT_MISSION",
    "DEFAULT_MISSION_END",
    "DEFAULT_MISSION_START",
    "DEFAULT_REGISTRY_DIR",
    "DEFAULT_TIMEOUT",
    "DEFAULT_TOKEN_URL",
    "NO_ORBIT_PRODUCTS",
    "STAC_RETRY_ALLOWED_METHODS",
    "STAC_RETRY_BACKOFF_FACTOR",
    "STAC_RETRY_STATUS_FORCELIST",
    "STAC_RETRY_TOTAL",
    "TOKEN_RENEW_URL",
    "TOKEN_RETRY_BACKOFF_FACTOR",
    "TOKEN_RETRY_STATUSES",
    "TOKEN_RETRY_TOTAL",
    "__version__",
]


def __getattr__(name: str) -> str:
    if name not in _FOLDERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    environ = {key: text for key, text in os.environ.items() if key in ("HOME", "MAAP_HOME") or "XDG" in key}
    where = loading.locate(loading.load(Path(os.devnull), environ), environ)
    return str(getattr(where, _FOLDERS[name]))
