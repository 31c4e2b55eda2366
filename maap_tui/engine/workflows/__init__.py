"""Workflows: what every face starts: get, download, sync, and what they are given."""

from __future__ import annotations

__all__ = ["filing", "sync", "url_list"]
