"""The hashes of downloaded files, as they were when they came: what `verify` compares against.

One text file a day under the state folder, `PATH|SIZE|PIECE|SHA256,SHA256,...`, and beside it
`PATH|SOURCE|SUM|ALGORITHM` of the files that had a sum of the archive. Deleting them loses nothing but the
means to notice a silent change.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from maap_tui.engine.events import Emit, Warned, ignore
from maap_tui.engine.integrity.sums import Sum, read_noted
from maap_tui.engine.registry.entries import Key
from maap_tui.engine.storage import files
from maap_tui.engine.storage.places import Place

PIECE = 8 * 1024 * 1024
"""Bytes of a file that share one hash."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is known of a file since it was downloaded."""

    size: int
    """Bytes."""
    piece: int
    """Bytes that share one hash."""
    pieces: tuple[str, ...]
    """SHA-256 of each piece, hex."""


class Hashes:
    """The ledger of hashes below one state folder."""

    def __init__(self, state_dir: Path, emit: Emit = ignore) -> None:
        self._root = state_dir / "hashes"
        self._emit = emit

    def _file(self, key: Key, day: date) -> Path:
        folder = self._root / key.mission / key.collection / key.product_type / key.baseline
        return folder / f"{day:%Y}" / f"sha_{day:%Y%m%d}.txt"

    def record(self, key: Key, day: date, path: Path, size: int, pieces: Sequence[str]) -> None:
        """Write down the hashes of a file that just came.

        Raises:
            StorageError: when they cannot be written.
        """
        self.record_all(key, day, [(path, size, pieces)])

    def record_all(self, key: Key, day: date, came: Iterable[tuple[Place, int, Sequence[str]]]) -> None:
        """As `record`, of files of one day: each with its path, its bytes and the hashes of its pieces."""
        lines = [f"{path}|{size}|{PIECE}|{','.join(pieces)}" for path, size, pieces in came]
        files.append_lines(self._file(key, day), lines, sync=False)

    def _sums_file(self, key: Key, day: date) -> Path:
        return self._file(key, day).with_name(f"sum_{day:%Y%m%d}.txt")

    def record_sums(self, key: Key, day: date, agreed: Sequence[tuple[Place, Sum | None]]) -> None:
        """Write down which sum of the archive, or inside of a file, the bytes that came have.

        Raises:
            StorageError: when it cannot be written.
        """
        file = self._sums_file(key, day)
        if not any(one for _, one in agreed) and not file.exists():
            return
        # A file that came again without one does not keep that of what it was.
        lines = ["|".join((str(path), *(("", "", "") if one is None else one[::-1]))) for path, one in agreed]
        files.append_lines(file, lines, sync=False)

    def load_sums(self, key: Key, day: date) -> dict[str, Sum]:
        """Path -> what was recorded by `record_sums` last; lines that cannot be read are left out."""
        found: dict[str, Sum] = {}
        for line in files.read_lines(self._sums_file(key, day)):
            path, *rest = line.rsplit("|", 3)
            found.pop(path, None)
            if any(rest) and (read := read_noted([rest[::-1]])):
                found[path] = read[0]
        return found

    def load(self, key: Key, day: date) -> dict[str, Recorded]:
        """Path -> what was recorded of it last; lines that cannot be read are reported and left out."""
        found = {}
        bad = 0
        for line in files.read_lines(self._file(key, day)):
            parts = line.rsplit("|", 3)
            try:
                path, size, piece, pieces = parts
                found[path] = Recorded(int(size), int(piece), tuple(pieces.split(",")))
            except ValueError:
                bad += 1
        if bad:
            which = "1 hash" if bad == 1 else f"{bad:,} hashes"
            where = self._file(key, day)
            self._emit(
                Warned(f"{which} of {where} cannot be read; such files are judged by size and structure")
            )
        return found


def compare(descriptor: int, recorded: Recorded) -> int | None:
    """The first byte of the first piece that differs from what was recorded; None when all agree.

    Raises:
        OSError: when the file cannot be read.
    """
    for number, expected in enumerate(recorded.pieces):
        if _hash_piece(descriptor, number * recorded.piece, recorded.piece) != expected:
            return number * recorded.piece
    return None


def sha256_of(path: Path) -> str:
    """The SHA-256 of a whole file, hex.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pieces_of(descriptor: int, size: int) -> tuple[str, ...]:
    """SHA-256 of each `PIECE` of an open file, hex.

    Raises:
        OSError: when the file cannot be read.
    """
    return tuple(_hash_piece(descriptor, offset, PIECE) for offset in range(0, size, PIECE))


def _hash_piece(descriptor: int, offset: int, length: int) -> str:
    digest = hashlib.sha256()
    while length > 0:
        data = os.pread(descriptor, min(length, 1 << 20), offset)
        if not data:
            break
        digest.update(data)
        offset += len(data)
        length -= len(data)
    return digest.hexdigest()
