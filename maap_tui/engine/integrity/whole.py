"""The SHA-256 of a whole file, read once, and whether it is still what came."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import NamedTuple

from maap_tui.engine.integrity.content import structure_fault
from maap_tui.engine.integrity.hashes import PIECE, Recorded

_CHUNK = 1 << 20


class Whole(NamedTuple):
    """What was found of a file."""

    size: int = 0
    """Bytes."""
    sha256: str = ""
    """Hex, in lower case; '' where it could not be read."""
    reason: str = ""
    """Why it is not what came, in words; '' where nothing speaks against it."""


def read_whole(
    path: Path, *, url: str = "", recorded: Recorded | None = None, size: int | None = None
) -> Whole:
    """Read a file from its first to its last byte.

    Args:
        path: where it is.
        url: its address, for the format, whose structure is looked at; '' looks at none.
        recorded: the hashes of when it came, which are compared on the way; None for none.
        size: bytes that it is known to have; None where that is not known.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        return Whole(reason=error.strerror or str(error))
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return Whole(reason="it is not a regular file")
        return _read(descriptor, found.st_size, url, recorded, size)
    except OSError as error:
        return Whole(reason=error.strerror or str(error))
    finally:
        os.close(descriptor)


def _read(descriptor: int, here: int, url: str, recorded: Recorded | None, size: int | None) -> Whole:
    expected = recorded.size if recorded is not None else size
    if expected is not None and here != expected:
        return Whole(here, reason=f"it has {here:,} bytes and had {expected:,}")
    if url and (fault := structure_fault(descriptor, url, here)):
        return Whole(here, reason=fault.reason)
    whole = hashlib.sha256()
    length = recorded.piece if recorded is not None else PIECE
    offset = number = 0
    while offset < here:
        piece = hashlib.sha256()
        end = min(offset + length, here)
        while offset < end and (data := os.pread(descriptor, min(_CHUNK, end - offset), offset)):
            whole.update(data)
            piece.update(data)
            offset += len(data)
        if offset < end:
            return Whole(offset, reason="it became shorter while it was read")
        if recorded is not None and recorded.pieces[number : number + 1] != (piece.hexdigest(),):
            begin = number * length
            return Whole(here, reason=f"its bytes from {begin:,} on differ from what was downloaded")
        number += 1
    return Whole(here, whole.hexdigest())
