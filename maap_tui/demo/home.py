"""Homes of a demo, and what shows that one is real: without the packages of the archive."""

from __future__ import annotations

import tomllib
from pathlib import Path
from urllib.parse import urlsplit

HOST = "127.0.0.1"


def port_of(home: Path) -> int:
    """The port that an earlier demo had in this home, so that its registry's URLs stay good; 0 for any."""
    try:
        config = tomllib.loads((home / "config.toml").read_text(encoding="utf-8"))
        address = urlsplit(config["api"]["catalog_url"])
        return (address.port or 0) if address.hostname == HOST else 0
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 0


def real_file_of(home: Path) -> Path | None:
    """Credentials or a configuration that no demo made and that one would replace; None for a demo's home."""
    if port_of(home):
        return None
    files = [home / name for name in ("credentials.txt", "config.toml")]
    return next((file for file in files if file.exists()), None)
