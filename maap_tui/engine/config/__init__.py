"""Config: what the user sets, and which folders are used."""

from __future__ import annotations

__all__ = ["describing", "dirs", "settings", "toml_file", "types"]
