"""Download: how a file gets here whole, many at a time."""

from __future__ import annotations

__all__ = ["downloads", "elsewhere", "queue_store", "tally", "transfer"]
