"""Counts of a baseline's days, and the cache that keeps them between processes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Final, NamedTuple

from maap_tui.engine.errors import MaapError
from maap_tui.engine.registry.entries import Key
from maap_tui.engine.storage import files

# A file changed this recently may change again within one tick of its clock, with its size kept.
_SETTLED_NS: Final = 2_000_000_000


class Counts(NamedTuple):
    """Counts of one day, as `DayStats` has them."""

    discovered: int
    downloaded: int
    marked: int
    pending_downloads: int
    pending_marks: int
    deleted: int


Signature = tuple[tuple[str, int, int, int], ...]


class Counted(NamedTuple):
    """The counts of a day, and the files that they were made of."""

    signature: Signature
    counts: Counts
    damage: tuple[tuple[str, int, str], ...] = ()
    """Of each damaged file its path below the registry, how many lines, and why."""


class StatsCache:
    """Counts a day, kept in a folder of the caller's so that the next process need not count again.

    A view: it may be deleted at any time, and a file that changed since is counted again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _file(self, root: Path, key: Key) -> Path:
        digest = hashlib.sha256(f"{os.path.abspath(root)}\n{key}".encode()).hexdigest()[:16]
        return self._folder / f"stats-{key.product_type}-{key.baseline}-{digest}.json"

    def load(self, root: Path, key: Key) -> dict[str, Counted]:
        """Read the counts of one baseline; empty if there are none or they cannot be read."""
        days: dict[str, Counted] = {}
        try:
            content = json.loads(files.read_data(self._file(root, key)) or b"{}")
            if content.get("version") != 3:
                return {}
            for day, (signature, counts, *rest) in content["days"].items():
                parts = tuple((str(name), int(a), int(b), int(c)) for name, a, b, c in signature)
                damage = tuple((str(name), int(lines), str(why)) for name, lines, why in rest)
                days[day] = Counted(parts, Counts(*(int(count) for count in counts)), damage)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, MaapError):
            return {}
        return days

    def save(self, root: Path, key: Key, days: dict[str, Counted]) -> None:
        """Write the counts of one baseline; a folder that cannot be written is not an error."""
        rows = {day: (one.signature, one.counts, *one.damage) for day, one in days.items()}
        content = json.dumps({"version": 3, "days": rows}, separators=(",", ":"))
        with contextlib.suppress(MaapError):
            files.write_atomic(self._file(root, key), content)


def signature_of(paths: list[Path]) -> tuple[Signature, bool]:
    """Return what shows a change of files, and whether all of them are old enough for that."""
    parts: list[tuple[str, int, int, int]] = []
    now = time.time_ns()
    settled = True
    for path in paths:
        with contextlib.suppress(OSError):
            status = os.stat(path)
            parts.append((path.name, status.st_mtime_ns, status.st_size, status.st_ino))
            settled = settled and now - status.st_mtime_ns >= _SETTLED_NS
    return tuple(parts), settled


def count_day(
    discovered: Set[bytes],
    downloaded: Mapping[bytes, bytes],
    marked: Set[bytes],
    deleted: Set[bytes],
    *,
    knows_downloads: bool,
    knows_marks: bool,
) -> Counts:
    """Count one day.

    Args:
        discovered: URLs.
        downloaded: URL -> path, which may be empty.
        marked: paths.
        deleted: paths that clean-ups deleted.
        knows_downloads: whether all downloads could be read; otherwise nothing is pending.
        knows_marks: whether all marks could be read.
    """
    paths = set(downloaded.values())
    paths.discard(b"")
    return Counts(
        len(discovered),
        len(downloaded),
        len(marked),
        len(discovered - downloaded.keys()) if knows_downloads else 0,
        len(paths - marked) if knows_marks else 0,
        sum(path in deleted and path in marked for path in downloaded.values()) if deleted else 0,
    )
