"""A past for a home of the demo: two months of syncs, with what came late, failed and was cleaned up.

All of it follows from the archive and its clock: the same moment gives the same home. What is not cleaned up
is on disk byte for byte, and every address is the archive's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

from maap_tui.demo.archive import Archive
from maap_tui.demo.missions.base import Granule
from maap_tui.engine.config.toml_file import set_entry
from maap_tui.engine.download.queue_store import Queue, QueueRow
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.runs import DONE, Counts, Run, Runs
from maap_tui.engine.saved_searches import SavedSearches
from maap_tui.engine.session import Session
from maap_tui.text import format_bytes, format_duration, plural

_L1, _L2 = "EarthCAREL1Validated_MAAP", "EarthCAREL2Validated_MAAP"
_DAY = timedelta(days=1)
_RUNS_DAYS = 14
"""Days of which the runs are remembered."""
_WINDOW_DAYS, _LATER_DAYS = 3, 5
"""Days that a sync looks back on, and since many were found to come later than that."""
_LEARNED_DAYS = 24
"""Days since it was found."""
_RATE = 2.6e6
"""Bytes a second of those nights."""


@dataclass(frozen=True)
class _Habit:
    """One line of the crontab, and how it fared."""

    collection: str
    product: str
    baseline: str
    frame: str
    """'' for all of them."""
    hour: int
    minute: int
    days: int
    """Days since the first night."""
    kept: int
    """Days of which the files are still on disk."""
    marked: int = 0
    """Days of them that are processed already."""
    off: tuple[int, int] = (0, 0)
    """Nights ago in which it did not run, first and last."""
    bad: Mapping[int, int] = field(default_factory=dict)
    """Nights ago -> files that failed; the night after tries them again."""

    @property
    def key(self) -> Key:
        return Key("EarthCARE", self.collection, self.product, self.baseline)

    @property
    def words(self) -> tuple[str, ...]:
        names = (self.collection, self.product, self.baseline)
        return (
            "sync",
            *names,
            *(("--frame", self.frame) if self.frame else ()),
            "--days-back",
            str(_LATER_DAYS),
            "--quiet",
        )


_HABITS = (
    _Habit(_L2, "CPR_CLD_2A", "BC", "", 6, 0, 62, 2, 1, off=(41, 33), bad={9: 3, 23: 5}),
    _Habit(_L2, "ATL_EBD_2A", "BC", "D", 6, 4, 48, 2, 1, off=(19, 13), bad={0: 5, 6: 11, 31: 8}),
    _Habit(_L2, "AC__TC__2B", "BC", "E", 6, 20, 40, 8, 6, bad={17: 2}),
    _Habit(_L2, "MSI_COP_2A", "BC", "A", 13, 30, 34, 1, off=(4, 3), bad={0: 3, 8: 6}),
    _Habit(_L2, "ATL_ALD_2A", "BC", "F", 18, 10, 27, 9, 2, off=(22, 20)),
    _Habit(_L1, "CPR_NOM_1B", "DA", "D", 21, 45, 21, 1, bad={0: 2, 1: 2, 12: 4}),
    _Habit(_L2, "CPR_FMR_2A", "BC", "D", 3, 15, 12, 5, 5),
)
_CLEANED = (1, 8)
"""Nights ago of a clean-up."""
_FAILURE = "Service Unavailable"
_SEARCHES: Mapping[str, dict[str, str | int | bool]] = {
    "hyytiala weekly": {
        "collection": _L2, "product": "CPR_CLD_2A", "baseline": "BC", "days_back": 7,
        "point": "61.844,24.288", "radius": "100",
    },
    "arctic frames": {
        "collection": _L2, "product": "ATL_EBD_2A", "baseline": "BC", "days_back": 14, "frame": "C,D",
    },
}  # fmt: skip

_SET = {"products": ["CPR_CLD_2A", "AC__TC__2B"], "collection": _L2}
"""The radar of all frames and the synergy of one: some orbits and frames are complete, others wait."""


def has_past(home: Path) -> bool:
    """Whether something was tracked or ran in a home."""
    folders = (home / "registry" / "urls", home / "state" / "runs")
    return any(folder.is_dir() for folder in folders)


def furnish(archive: Archive, home: Path) -> None:
    """Give a prepared home its past.

    Raises:
        OSError: it cannot be written.
    """
    now = datetime.fromtimestamp(archive.clock(), UTC)
    session = Session.load(environ=archive.environment(home) | {"HOME": str(home)}, now=lambda: now)
    writer = _Writer(archive, session, home, now)
    with ThreadPoolExecutor() as pool:
        # Each line of the registry is made durable: the disks are waited for together.
        writing = [
            pool.submit(lived)
            for habit in _HABITS
            if (habit.product, habit.baseline) in archive.content.series
            and (lived := writer.live(habit)) is not None
        ]
        for one in writing:
            one.result()
    writer.finish()


@dataclass
class _File:
    """A file that a habit knows."""

    granule: Granule
    tracked: TrackedFile
    size: int
    inner: str
    """Its path in the granule."""


class _Writer:
    """Writes one home."""

    def __init__(self, archive: Archive, session: Session, home: Path, now: datetime) -> None:
        self._archive = archive
        self._session = session
        self._home = home
        self._now = now
        self._book = Runs(session.dirs)
        self._runs: list[tuple[Run, list[str]]] = []
        self._rows: list[QueueRow] = []

    def live(self, habit: _Habit) -> Callable[[], None] | None:
        """Let the nights of a habit pass; returns what writes what became of them, None for nothing."""
        known: dict[str, _File] = {}
        pending: dict[str, _File] = {}
        granules = list(self._granules(habit))
        last = None
        for ago in range(habit.days, -1, -1):
            midnight = datetime(self._now.year, self._now.month, self._now.day, tzinfo=UTC) - ago * _DAY
            begun = midnight.replace(hour=habit.hour, minute=habit.minute, second=2)
            is_off = habit.off[1] <= ago <= habit.off[0] and habit.off[0]
            if begun > self._now or is_off:
                continue
            first = begun - (_LATER_DAYS if ago <= _LEARNED_DAYS else _WINDOW_DAYS) * _DAY
            seen = [
                one
                for one in granules
                if one.granule.start >= first.timestamp() and one.granule.updated <= begun.timestamp()
            ]
            wanted = pending | {one.tracked.url: one for one in seen if one.tracked.url not in known}
            known |= wanted
            failed = dict(list(wanted.items())[: habit.bad.get(ago, 0)])
            got = [one for url, one in wanted.items() if url not in failed]
            pending = failed
            last = begun
            if ago < _RUNS_DAYS:
                self._note_run(habit, begun, len(seen), got, list(failed.values()))
        return None if last is None else partial(self._write, habit, known, pending, last)

    def _granules(self, habit: _Habit) -> Iterator[_File]:
        series = self._archive.content.series[habit.product, habit.baseline]
        first = series.axis.last_starting((self._now - (habit.days + 3) * _DAY).timestamp()) + 1
        for number in range(max(first, series.first), series.last + 1):
            if habit.frame not in ("", series.axis.frame(number)) or not series.holds(number):
                continue
            granule = Granule(series, number)
            inner, size = next(iter(granule.files.items()))
            url = f"{self._archive.url}/data/{granule.home}/{inner}"
            day = datetime.fromtimestamp(granule.start, UTC).date()
            path = self._session.filing.request_of_tracked(TrackedFile(habit.key, day, url)).path
            yield _File(granule, TrackedFile(habit.key, day, url, str(path)), size, inner)

    def _note_run(
        self, habit: _Habit, begun: datetime, found: int, got: list[_File], failed: list[_File]
    ) -> None:
        size = sum(one.size for one in got)
        took = timedelta(seconds=round(2 + size / _RATE + 40 * len(failed), 1))
        counts = Counts(found, len(got), max(found - len(got) - len(failed), 0), len(failed), bytes=size)
        said = [f"Failed: {one.tracked.url.rpartition('/')[2]}: 503 {_FAILURE}" for one in failed]
        words = f"Downloaded {plural(len(got), 'file')} ({format_bytes(size)}) in "
        words += format_duration(took.total_seconds()) + (f"; {len(failed)} failed" if failed else "")
        said.append(f"{words}{_run_words(habit.words[1:4], begun, took)}")
        self._add_run("sync", habit.words, begun, took, 3 if failed else 0, counts, said)
        if (self._now - begun) < _DAY:
            states = [("finished", one, "") for one in got]
            states += [("failed", one, f"503 {_FAILURE}") for one in failed]
            self._rows += [
                self._row(habit, one, state, reason, (begun + took).timestamp())
                for state, one, reason in states
            ]

    def _row(self, habit: _Habit, file: _File, state: str, reason: str, ended: float) -> QueueRow:
        key = habit.key
        return QueueRow(
            file.tracked.path,
            file.tracked.url,
            state,
            file.size,
            0 if reason else file.size,
            reason,
            6 if reason else 1,
            key.mission,
            key.collection,
            key.product_type,
            key.baseline,
            file.tracked.day.isoformat(),
            str(self._session.dirs.data_dir),
            float(len(self._rows)),
            host="demo",
            verb="sync",
            changed=ended,
        )

    def _add_run(
        self,
        verb: str,
        words: tuple[str, ...],
        begun: datetime,
        took: timedelta,
        code: int,
        counts: Counts,
        said: list[str],
    ) -> None:
        run_id = f"{begun:%Y%m%dT%H%M%SZ}-{len(self._runs):04x}"
        run = Run(run_id, verb, words, str(self._home), "demo", 1, begun, begun + took, code, DONE, counts)
        self._runs.append((run, said))

    def _write(
        self, habit: _Habit, known: Mapping[str, _File], pending: Mapping[str, _File], last: datetime
    ) -> None:
        """Write the registry of a habit, and the files that are still here."""
        tracker = self._session.registry.baseline(habit.key)
        tracker.add(one.tracked for one in known.values())
        here = [one for url, one in known.items() if url not in pending]
        tracker.record_all(one.tracked for one in here)
        for one in pending.values():
            tracker.record_error(one.tracked.url, _FAILURE, code=503, tries=6, at=last)
        today = self._now.date()
        marked: list[tuple[str, date]] = []
        cleaned: dict[date, list[str]] = {}
        for one in here:
            age = (today - one.tracked.day).days
            if age > habit.kept - habit.marked:
                marked.append((one.tracked.path, one.tracked.day))
            if age > habit.kept:
                cleaned.setdefault(one.tracked.day, []).append(one.tracked.path)
            else:
                self._put(one)
        tracker.mark(marked)
        for day, paths in cleaned.items():
            tracker.note_deleted(day, paths)
        tracker.note_searched((min(one.tracked.day for one in known.values()), last.date()))
        self._age(habit, last)

    def _put(self, file: _File) -> None:
        path = Path(file.tracked.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self._archive.file_bytes(file.granule, file.inner))

    def _age(self, habit: _Habit, last: datetime) -> None:
        then, key = last.timestamp(), habit.key
        folder = f"*/{key.mission}/{key.collection}/{key.product_type}/{key.baseline}/**/*"
        for path in self._session.dirs.registry_dir.glob(folder):
            os.utime(path, (then, then))

    def finish(self) -> None:
        """Write the runs in their order, the queue, the saved searches and a set."""
        for ago in _CLEANED:
            begun = (self._now - ago * _DAY).replace(hour=4, minute=30, second=1)
            counts = Counts(deleted=140 + 33 * ago, bytes=(61 + 17 * ago) << 20)
            said = [f"Deleted {plural(counts.deleted, 'file')} ({format_bytes(counts.bytes)})"]
            cleanup = ("state", "cleanup", _L2, "CPR_CLD_2A", "BC")
            self._add_run("cleanup", cleanup, begun, timedelta(seconds=1.4), 0, counts, said)
        begun = (self._now - 5 * _DAY).replace(hour=10, minute=12, second=44)
        counts = Counts(16, 16, bytes=2_700_000)
        words, took = ("get", _L2, "CPR_CD__2A", "BC", "--orbit", "08574"), timedelta(seconds=3.2)
        said = [
            f"Downloaded 16 files ({format_bytes(counts.bytes)}) in {format_duration(took.total_seconds())}"
        ]
        said[0] += _run_words(words[1:4], begun, took)
        self._add_run("get", words, begun, took, 0, counts, said)
        for run, said in sorted(self._runs, key=lambda one: one[0].begun):
            self._book.add(run)
            if said:
                lines = (f"{run.ended:%Y-%m-%dT%H:%M:%SZ} {line}\n" for line in said)
                log = os.open(self._book.log_file(run.id), os.O_WRONLY | os.O_CREAT, 0o600)
                with os.fdopen(log, "w", encoding="utf-8") as file:
                    file.writelines(lines)
        queue = Queue(self._session.dirs.queue_file)
        queue.save(self._rows)
        queue.close()
        for name, choices in _SEARCHES.items():
            SavedSearches(self._session.dirs.searches_file).save(name, choices)
        if not self._session.settings.sets:
            set_entry(self._home / "config.toml", "sets", ["clouds"], _SET)


def _run_words(names: tuple[str, ...], begun: datetime, took: timedelta) -> str:
    """Which run a last line is of."""
    length = format_duration(took.total_seconds())
    return f" [{' '.join(names)}, begun {begun:%Y-%m-%dT%H:%M:%SZ}, took {length}]"
