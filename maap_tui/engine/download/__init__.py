"""Download: how a file gets here whole, many at a time."""

from __future__ import annotations

__all__ = [
    "answers",
    "downloads",
    "elsewhere",
    "pacing",
    "part",
    "queue_store",
    "requests",
    "tally",
    "transfer",
]
