"""The last searches: what was asked, how much was found and when, and what is new since.

`searches.jsonl` in the state folder, a line a search; below `searches/` the granules that a saved search
found last, as 8 bytes each. Both are mode 0600, bounded, and may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
from array import array
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maap_tui.engine.errors import MaapError
from maap_tui.engine.saved_searches import KINDS, Choices
from maap_tui.engine.storage import files
from maap_tui.engine.storage.bounded_lines import BoundedLines

if TYPE_CHECKING:
    from maap_tui.engine.config.dirs import AppDirs

KEPT = 50
"""Searches that are listed as past ones; and saved ones whose granules are kept."""
LONGEST = 2000
"""Bytes of one search as JSON; a longer one, with a long GeoJSON text, is not kept."""
LIMIT = 4 * KEPT * LONGEST
"""Bytes of the list, after which the older half goes."""
MOST_GRANULES = 200_000
"""Granules of a search up to which it is known which are new."""


@dataclass(frozen=True, slots=True)
class PastSearch:
    """One search that ended."""

    when: datetime
    """UTC."""
    choices: Choices
    found: int
    """Granules."""
    new: int | None = None
    """Granules that the same search did not find at `since`; None where that is not known."""
    since: datetime | None = None
    """When the same search was made before, UTC; None for the first one."""
    failed_days: int = 0
    """Days that could not be searched: there may be more granules."""


def _digest(text: str, size: int) -> bytes:
    """What stands for a text; one from a server may hold what is not a character."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).digest()


class FoundGranules:
    """The granules of a search while they come, 8 bytes each."""

    def __init__(self) -> None:
        self._hashes = array("Q")
        self.count = 0

    def add(self, ids: Iterable[str]) -> None:
        """Take the names of granules."""
        for one in ids:
            self.count += 1
            if self.count <= MOST_GRANULES:
                self._hashes.frombytes(_digest(one, 8))

    @property
    def hashes(self) -> array[int] | None:
        """What stands for each; None where there are too many."""
        return self._hashes if self.count <= MOST_GRANULES else None


class SearchHistory:
    """The searches below one state folder. Every method may be called from any thread, and blocks."""

    def __init__(self, where: AppDirs) -> None:
        """Take the folder; nothing is opened."""
        file = where.state_dir / "searches.jsonl"
        self._lines = BoundedLines(file, where.lock_file(file), LIMIT, purpose="the list of searches")
        self._folder = where.state_dir / "searches"

    def note(
        self,
        choices: Choices,
        granules: FoundGranules,
        *,
        now: datetime,
        is_saved: bool = False,
        failed_days: int = 0,
    ) -> PastSearch:
        """Write down a search that ended; a folder that refuses it is not a failure.

        Args:
            choices: what was asked.
            granules: what was found.
            now: when, UTC.
            is_saved: whether it is a saved search, of which is known what is new.
            failed_days: days that could not be searched.
        """
        since, new = None, None
        # What a search with gaps does not find is not gone, and would be called new next time.
        if is_saved and not failed_days:
            since, new = self._compare(choices, granules.hashes, now)
        done = PastSearch(now, choices, granules.count, new, since, failed_days)
        line = json.dumps(_record_of(done), separators=(",", ":"))
        if len(line) <= LONGEST:
            self._lines.add([line])
        return done

    def past(self, most: int | None = None) -> list[PastSearch]:
        """The different searches that are known, the newest first, each as it was made last.

        Args:
            most: how many at most; None for all.
        """
        found: dict[str, PastSearch] = {}
        for line in reversed(self._lines.read()):
            if (one := _read(line)) is not None:
                found.setdefault(_key_of(one.choices), one)
                if len(found) == most:
                    break
        return list(found.values())

    def _compare(
        self, choices: Choices, hashes: array[int] | None, now: datetime
    ) -> tuple[datetime | None, int | None]:
        """When the search was made before, and how many granules it did not find then; keeps those of now."""
        file = self._folder / f"{_digest(_key_of(choices), 12).hex()}.ids"
        since, before = _read_granules(file)
        if hashes is None:
            with suppress(OSError):
                file.unlink()
            return since, None
        new = None if before is None else len(set(hashes).difference(before))
        with suppress(OSError, MaapError):
            files.write_atomic(
                file, array("Q", [int(now.timestamp())]).tobytes() + hashes.tobytes(), mode=0o600
            )
            if before is None:
                self._drop_old()
        return since, new

    def _drop_old(self) -> None:
        """Keep the granules of the searches that were made last."""
        with os.scandir(self._folder) as entries:
            kept = sorted((entry.stat().st_mtime, entry.path) for entry in entries)
        for _, path in kept[:-KEPT]:
            Path(path).unlink(missing_ok=True)


def _read_granules(file: Path) -> tuple[datetime | None, array[int] | None]:
    """When granules were kept, and what stands for them; None for none, and for a file that is damaged."""
    found = array("Q")
    try:
        found.frombytes(file.read_bytes())
        return datetime.fromtimestamp(found.pop(0), UTC), found
    except (OSError, ValueError, IndexError, OverflowError):
        return None, None


def _key_of(choices: Choices) -> str:
    return json.dumps(choices, sort_keys=True)


def _record_of(past: PastSearch) -> dict[str, Any]:
    return {
        "when": past.when.isoformat(timespec="seconds"),
        "choices": past.choices,
        "found": past.found,
        "new": past.new,
        "since": past.since.isoformat(timespec="seconds") if past.since else None,
        "failed_days": past.failed_days,
    }


def _read(line: str) -> PastSearch | None:
    """The search of a line; None for one that is cut or of a later version."""
    with suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        data = json.loads(line)
        choices = {key: KINDS[key][0](value) for key, value in data["choices"].items()}
        if all(value is not None for value in choices.values()):
            return PastSearch(
                datetime.fromisoformat(data["when"]).astimezone(UTC),
                {key: value for key, value in choices.items() if value is not None},
                int(data["found"]),
                None if data["new"] is None else int(data["new"]),
                None if data["since"] is None else datetime.fromisoformat(data["since"]).astimezone(UTC),
                int(data["failed_days"]),
            )
    return None
