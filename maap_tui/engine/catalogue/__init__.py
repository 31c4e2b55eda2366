"""Catalogue: all that is asked of the archive, and what is remembered of it."""

from __future__ import annotations

__all__ = [
    "built",
    "client",
    "dialect",
    "in_order",
    "index",
    "local_names",
    "pages",
    "queryables",
    "reader",
    "requests",
    "search",
    "skipped",
    "stac",
    "windows",
    "zero",
]
