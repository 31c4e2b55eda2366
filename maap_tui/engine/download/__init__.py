"""Download: how a file gets here whole, many at a time."""

from __future__ import annotations

__all__ = [
    "answers",
    "batch",
    "downloads",
    "elsewhere",
    "jobs",
    "pacing",
    "part",
    "publisher",
    "queue_store",
    "queue_writer",
    "recorder",
    "requests",
    "tally",
    "transfer",
]
