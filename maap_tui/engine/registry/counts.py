"""What is remembered of a baseline's days between processes, so that days that stay are not read again."""

from __future__ import annotations

import contextlib
import json
import os
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

from maap_tui.engine.errors import MaapError
from maap_tui.engine.registry.entries import Key
from maap_tui.engine.storage import files

# A file changed this recently may change again within one tick of its clock, with its size kept.
_SETTLED_NS: Final = 2_000_000_000
_VERSION: Final = 4

Side = Literal["downloads", "marks"]
"""What is to be downloaded, by discovered and downloaded files; what is to be marked, by those and marked."""

Signature = tuple[tuple[str, int, int, int], ...]


class Counts(NamedTuple):
    """Counts of one day, as `DayStats` has them."""

    discovered: int
    downloaded: int
    marked: int
    pending_downloads: int
    pending_marks: int
    deleted: int


class Half(NamedTuple):
    """One side of a day, and the files that say it."""

    signature: Signature
    pending: int
    """Files that are to be downloaded, or to be marked."""
    counts: tuple[int, int] | None
    """Discovered and downloaded, or marked and deleted files; None if only the pending ones were counted."""
    damage: tuple[tuple[str, int, str], ...] = ()
    """Of each damaged file its path below the registry, how many lines, and why."""


Known = dict[Side, dict[str, Half]]
"""What is known of the days of a baseline, by side and day."""


def nothing_known() -> Known:
    """What is known before anything was read."""
    return {"downloads": {}, "marks": {}}


class StatsCache:
    """What is known a day, kept in a folder of the caller's so that the next process need not read again.

    A view: it may be deleted at any time, and a file that changed since is read again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _file(self, root: Path, key: Key) -> Path:
        number = zlib.crc32(_owner(root, key).encode("utf-8", "surrogatepass"))
        return self._folder / f"stats-{key.product_type}-{key.baseline}-{number:08x}.json"

    def load(self, root: Path, key: Key) -> Known:
        """Read what is known of one baseline; empty if there is nothing or it cannot be read."""
        known = nothing_known()
        try:
            content = json.loads(files.read_data(self._file(root, key)) or b"{}")
            if content.get("version") != _VERSION or content["of"] != _owner(root, key):
                return known
            for side, days in known.items():
                for day, (signature, pending, counts, *damage) in content[side].items():
                    days[day] = Half(
                        tuple((str(name), int(a), int(b), int(c)) for name, a, b, c in signature),
                        int(pending),
                        None if counts is None else (int(counts[0]), int(counts[1])),
                        tuple((str(name), int(lines), str(why)) for name, lines, why in damage),
                    )
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, MaapError):
            return nothing_known()
        return known

    def save(self, root: Path, key: Key, known: Known) -> None:
        """Write what is known of one baseline; a folder that cannot be written is not an error.

        Another thread may get to know more meanwhile.
        """
        sides: dict[str, object] = {
            side: {day: (*half[:3], *half.damage) for day, half in list(days.items())}
            for side, days in known.items()
        }
        content = {"version": _VERSION, "of": _owner(root, key), **sides}
        with contextlib.suppress(MaapError):
            files.write_atomic(self._file(root, key), json.dumps(content, separators=(",", ":")))


def _owner(root: Path, key: Key) -> str:
    """Whose days they are, as the number in a file's name may be that of two."""
    return f"{os.path.abspath(root)}\n{key}"


class Look(NamedTuple):
    """Files as they were before they were read."""

    paths: list[Path]
    signature: Signature
    """What shows a change of them."""
    is_settled: bool
    """Whether all of them are old enough for that."""


def look_at(*groups: Sequence[Path]) -> Look:
    """Look at files, those that do not exist included."""
    looked_at = [path for group in groups for path in group]
    parts: list[tuple[str, int, int, int]] = []
    now = time.time_ns()
    settled = True
    for path in looked_at:
        with contextlib.suppress(OSError):
            status = os.stat(path)
            parts.append((path.name, status.st_mtime_ns, status.st_size, status.st_ino))
            settled = settled and now - status.st_mtime_ns >= _SETTLED_NS
    return Look(looked_at, tuple(parts), settled)
