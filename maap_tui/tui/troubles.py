"""What went wrong, in words for a place that goes on showing what it has."""

from __future__ import annotations

from maap_tui.engine import files
from maap_tui.engine.errors import MaapError


def trouble_of(error: Exception) -> str:
    """What went wrong and what to do, in words."""
    if isinstance(error, OSError):
        error = files.storage_error(error.filename or "a file of the registry", error)
    if isinstance(error, MaapError):
        return f"{error.message}. {error.hint}".strip()
    return f"{type(error).__name__}: {error}. If it stays, report it with the log of place 5."
