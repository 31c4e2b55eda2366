"""Workflows: what every face starts: search, get, download, sync, queue, and what they work on."""

from __future__ import annotations

__all__ = [
    "build",
    "download",
    "filing",
    "get",
    "marks",
    "parts",
    "pending",
    "queueing",
    "register",
    "searching",
    "sign_in",
    "sync",
    "url_list",
]
