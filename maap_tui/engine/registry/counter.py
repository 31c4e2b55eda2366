"""What one baseline has, day by day, counted and pending; days that stay as they are are not read again."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

from maap_tui.engine.registry.counts import (
    Counts,
    Half,
    Known,
    Look,
    Side,
    StatsCache,
    look_at,
    nothing_known,
)
from maap_tui.engine.registry.damage import DamageLog
from maap_tui.engine.registry.days import DayFiles
from maap_tui.engine.registry.deletions import DeletedFiles
from maap_tui.engine.registry.entries import TREES, Key, Kind
from maap_tui.engine.registry.lines import first_to_second

Pair = tuple[str, str]
"""URL and path of a file; the path may be empty."""

_SIDES: dict[Side, tuple[Kind, Kind]] = {"downloads": ("url", "dwl"), "marks": ("dwl", "mrk")}
"""Of each side the files that say what there is, and those that say what is done of it."""


class Counter:
    """Counts the files of a baseline and finds what is pending; may be used from any thread."""

    def __init__(
        self,
        root: Path,
        key: Key,
        days: DayFiles,
        deleted: DeletedFiles,
        damage: DamageLog,
        cache: StatsCache | None,
    ) -> None:
        """Take the baseline, its files, and where they are remembered between processes, None for nowhere."""
        self._root = root
        self._key = key
        self._days = days
        self._deleted = deleted
        self._damage = damage
        self._cache = cache
        self._known: Known | None = None
        self._loading = threading.Lock()
        self._counting = threading.Lock()

    def count(self, start: date | None, end: date | None) -> list[tuple[date, Counts]]:
        """Count each day of a range that has files, in order."""
        listed = {kind: self._days.listing(kind, start, end) for kind in TREES}
        result: list[tuple[date, Counts]] = []
        is_news = False
        with self._counting:
            for day in sorted(set().union(*listed.values())):
                paths = {kind: listed[kind].get(day, []) for kind in TREES}
                first_look = look_at(paths["url"], paths["dwl"])
                second_look = look_at(paths["dwl"], paths["mrk"], self._deleted.paths(day))
                first = self._recall("downloads", day, first_look)
                second = self._recall("marks", day, second_look)
                if first is None or second is None or first.counts is None or second.counts is None:
                    counts = self._count_day(day, paths, first_look, second_look)
                    is_news |= first_look.is_settled or second_look.is_settled
                else:
                    (discovered, downloaded), (marked, deleted) = first.counts, second.counts
                    counts = Counts(discovered, downloaded, marked, first.pending, second.pending, deleted)
                result.append((day, counts))
            if is_news:
                self._save()
        return result

    def pending(self, side: Side, start: date | None, end: date | None) -> Iterator[tuple[date, list[Pair]]]:
        """Yield what is discovered and not downloaded, or downloaded and not marked, of each day with any.

        A day on which not all of what is done can be read has nothing pending: all would be done again.
        """
        there, done = _SIDES[side]
        done_files = self._days.listing(done, start, end)
        is_news = False
        for day, paths in self._days.listing(there, start, end).items():
            done_paths = done_files.get(day, [])
            look = look_at(paths, done_paths, self._deleted.paths(day) if side == "marks" else [])
            known = self._recall(side, day, look)
            if known is not None and not known.pending:
                continue
            find = self._to_download if side == "downloads" else self._to_mark
            found, is_whole = find(day, paths, done_paths)
            if known is None and is_whole:
                is_news |= self._remember(side, day, look, len(found), None)
            if found:
                yield day, found
        if is_news:
            self._save()

    def _to_download(
        self, day: date, paths: Sequence[Path], done_paths: Sequence[Path]
    ) -> tuple[list[Pair], bool]:
        """What is to be downloaded of a day, by URL; also whether all of its files could be read."""
        urls, downloads = self._days.contents(paths), self._days.contents(done_paths)
        is_whole = urls.is_whole and downloads.is_whole
        if urls.says_the_same(downloads):
            self._days.note_bad("url", urls, self._days.read_all("dwl", downloads))
            return [], is_whole
        discovered = first_to_second(self._days.lines("url", urls))
        gone = self._days.firsts("dwl", downloads)
        if not downloads.is_whole or self._days.is_hidden("dwl", day):
            return [], False
        pending = sorted(discovered.keys() - gone)
        return [(url.decode(), discovered[url].decode()) for url in pending], is_whole

    def _to_mark(
        self, day: date, paths: Sequence[Path], done_paths: Sequence[Path]
    ) -> tuple[list[Pair], bool]:
        """What is to be marked of a day, by path; also whether all of its files could be read."""
        downloads, marks = self._days.contents(paths), self._days.contents(done_paths)
        done = self._days.firsts("mrk", marks)
        downloaded = first_to_second(self._days.lines("dwl", downloads))
        if not marks.is_whole or self._days.is_hidden("mrk", day):
            return [], False
        found = {path: url for url, path in downloaded.items() if path and path not in done}
        return [(found[path].decode(), path.decode()) for path in sorted(found)], downloads.is_whole

    def _count_day(
        self, day: date, paths: Mapping[Kind, Sequence[Path]], first: Look, second: Look
    ) -> Counts:
        """Count one day by sets of URLs and paths, and remember it if all of it could be read."""
        urls, downloads, marks = (self._days.contents(paths[kind]) for kind in TREES)
        gone, knows_gone = self._deleted.of(day)
        downloaded_lines = self._days.read_all("dwl", downloads)
        downloaded = first_to_second([line for one in downloaded_lines for line in one.good])
        marked = self._days.firsts("mrk", marks)
        if urls.says_the_same(downloads):
            self._days.note_bad("url", urls, downloaded_lines)
            discovered, pending = len(downloaded), 0
        else:
            found = self._days.firsts("url", urls)
            discovered, pending = len(found), len(found - downloaded.keys())
        unmarked = set(downloaded.values()) - marked
        unmarked.discard(b"")
        # Where not all of what is done can be read, nothing is pending: all of it would be done again.
        counts = Counts(
            discovered,
            len(downloaded),
            len(marked),
            pending if downloads.is_whole and not self._days.is_hidden("dwl", day) else 0,
            len(unmarked) if marks.is_whole and not self._days.is_hidden("mrk", day) else 0,
            sum(path in gone and path in marked for path in downloaded.values()) if gone else 0,
        )
        # A file's time and size do not say whether it may be read.
        if knows_gone and urls.is_whole and downloads.is_whole and marks.is_whole:
            discovered_and_downloaded = (counts.discovered, counts.downloaded)
            self._remember("downloads", day, first, counts.pending_downloads, discovered_and_downloaded)
            self._remember("marks", day, second, counts.pending_marks, (counts.marked, counts.deleted))
        return counts

    def _recall(self, side: Side, day: date, look: Look) -> Half | None:
        """What is known of a day whose files are as they were, their damage included; None if nothing is."""
        with self._loading:
            if self._known is None:
                self._known = self._cache.load(self._root, self._key) if self._cache else nothing_known()
        half = self._known[side].get(day.isoformat())
        if half is None or half.signature != look.signature:
            return None
        if half.damage or self._damage:
            self._damage.restore(look.paths, half.damage)
        return half

    def _remember(
        self, side: Side, day: date, look: Look, pending: int, counts: tuple[int, int] | None
    ) -> bool:
        """Remember a day if its files are old enough to show a change; returns whether they are."""
        if look.is_settled and self._known is not None:
            damage = self._damage.rows(look.paths)
            self._known[side][day.isoformat()] = Half(look.signature, pending, counts, damage)
        return look.is_settled

    def _save(self) -> None:
        if self._cache and self._known is not None:
            self._cache.save(self._root, self._key, self._known)
