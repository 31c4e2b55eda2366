"""Storage: how bytes and names reach the disk."""

from __future__ import annotations

__all__ = ["bounded_lines", "files", "layout", "locks", "log_file", "names"]
