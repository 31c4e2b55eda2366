"""Registry: the text files of what was discovered, downloaded and marked."""

from __future__ import annotations

__all__ = [
    "appends",
    "baseline",
    "cleanup",
    "counter",
    "counts",
    "damage",
    "days",
    "deletions",
    "entries",
    "errors_file",
    "lines",
    "memory",
    "registry",
    "repair",
    "searched",
    "spans",
    "tree",
    "view",
    "watch",
]
