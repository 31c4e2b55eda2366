"""Space: whether the disk has room for what is still to come of a file."""

from __future__ import annotations

from pathlib import Path

from maap_tui.engine.download.part import bytes_taken, part_of
from maap_tui.engine.errors import DiskFullError
from maap_tui.engine.storage import files

_LEAST = 1 << 20
"""Bytes that a file needs at least, whatever is known of it."""


def has_space(path: Path, size: int | None, min_free: int) -> bool:
    """Whether a file fits, as far as it is known.

    Args:
        path: its final name.
        size: its bytes; None while they are not known.
        min_free: bytes that have to stay free.
    """
    needed = max((size or 0) - bytes_taken(part_of(path)), _LEAST)
    free = files.free_bytes_for(path.parent)
    return free is None or free - needed >= min_free


def check_space(folder: Path, needed: int, min_free: int) -> None:
    """Look whether as many bytes fit.

    Args:
        folder: where they go.
        needed: how many; none where that is below 0.
        min_free: bytes that have to stay free; 0 for no check.

    Raises:
        DiskFullError: they do not.
        OSError: the folder cannot be looked at.
    """
    if not min_free:
        return
    needed = max(0, needed)
    free = files.free_bytes(folder)
    if free is not None and free - needed < min_free:
        raise DiskFullError(
            f"Too little space for {folder}: {free >> 20} MiB are free, "
            f"{needed >> 20} MiB are needed and {min_free >> 20} MiB stay free",
            "Free space, set another data_dir, or lower downloads.min_free; then run again.",
        )
