"""Integrity: the one answer to "is this file whole, and still what came?", for every face."""

from __future__ import annotations

__all__ = ["content", "hashes", "strays", "verify"]
