"""The hooks of one run: what is owed of files, days and sets, and running it.

What is owed is in a `HookBook`. A file is owed before the registry records it, and its hook runs once that
has happened; an orbit and frame of a set is owed before its files are fetched. What fails, and what a run
does not come to, stays owed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from types import TracebackType

from maap_tui.engine.download.downloads import Downloads
from maap_tui.engine.errors import MaapError, StorageError
from maap_tui.engine.events import HookFailed, HookRan, Noted, Warned
from maap_tui.engine.hook_book import HookBook
from maap_tui.engine.hooks import DAY, FILE, SET, Hook, Occasion, run_hook
from maap_tui.engine.missions import parse_name
from maap_tui.engine.model import TimeRange, orbit_frame
from maap_tui.engine.net.statuses import GONE
from maap_tui.engine.product_sets import OrbitFrame, SetRow, Version
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.workflows.parts import Parts
from maap_tui.engine.workflows.set_table import SetTable, judged
from maap_tui.text import plural

FAILURES = 3
"""Hooks failing in a row after which a run starts no more."""

Days = Collection[tuple[Key, date]]


class Hooking:
    """Runs one hook, one occasion at a time; to be entered before the first download, left after the last."""

    def __init__(self, parts: Parts, hook: Hook, purpose: str) -> None:
        """Take what is run; start nothing.

        Args:
            parts: the engine.
            hook: the command.
            purpose: the command line that it belongs to, without what differs from run to run.
        """
        self._parts = parts
        self._hook = hook
        self.book = HookBook(parts.dirs, f"{purpose} ({hook.per})")
        self._held = contextlib.ExitStack()
        self._waiting: asyncio.Queue[str | None] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None
        self.failures: list[str] = []
        """`name: reason` of the commands of this run that failed, which stay owed."""
        self._failed_in_row = 0
        self._failed_before: list[str] = []

    async def __aenter__(self) -> Hooking:
        self._held.enter_context(self.book.opened())
        if self._hook.per == FILE:
            # What has failed before comes last: three of those would keep all others from their turn.
            for name in await asyncio.to_thread(self._recorded_before):
                if name in self.book.failed:
                    self._failed_before.append(name)
                else:
                    self._waiting.put_nowait(name)
            self._worker = asyncio.create_task(self._work())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        self._held.close()

    def expect(self, files: Sequence[TrackedFile]) -> None:
        """Write down that the hook is owed for files, which will be recorded next."""
        if self._hook.per != SET:
            self.book.owe({file.url: _entry(file) for file in files})

    def recorded(self, file: TrackedFile) -> None:
        """Run the hook of a file that is recorded, as soon as those before it have ended."""
        if self._worker is not None:
            self._waiting.put_nowait(file.url)

    async def finish(self, downloads: Downloads, held_back: Days = ()) -> None:
        """Run what is left once nothing is fetched any more.

        Args:
            downloads: the queue, at its end; a day of which it has files left is not whole.
            held_back: other days that are not whole.
        """
        if self._worker is not None:
            for name in (*self._failed_before, None):
                self._waiting.put_nowait(name)
            await self._worker
        if self._hook.per == DAY:
            # A file that the archive does not have is not waited for.
            gone = {failed.url for failed in downloads.report.failed if failed.status in GONE}
            left = {
                (job.wanted.key, job.wanted.day)
                for job in downloads.job_list()
                if job.state not in ("finished", "skipped") and job.wanted.url not in gone
            }
            await self._run_days({*left, *held_back})
        if self._hook.per != SET and self.book.owed:
            self._say_left()

    async def _work(self) -> None:
        while (name := await self._waiting.get()) is not None:
            values = self.book.owed.get(name)
            if values is not None and not self._has_given_up:
                await self._run([name], _occasion_of_file(name, values))

    async def _run_days(self, left: Collection[tuple[Key | None, date | None]]) -> None:
        names: dict[tuple[Key, date], list[str]] = defaultdict(list)
        for name in await asyncio.to_thread(self._recorded_before):
            names[_place(self.book.owed[name])].append(name)
        failed = self.book.failed
        for (key, day), urls in sorted(
            names.items(), key=lambda one: (not failed.isdisjoint(one[1]), one[0])
        ):
            if (key, day) in left or self._has_given_up:
                continue
            values = {
                "collection": key.collection,
                "product": key.product_type,
                "baseline": key.baseline,
                "day": day.isoformat(),
            }
            paths = tuple(sorted(self.book.owed[url]["path"] for url in urls))
            await self._run(urls, Occasion(f"{key.product_type} {key.baseline} {day}", values, paths))

    def owe_sets(self, rows: Iterable[SetRow]) -> None:
        """Write down which orbits and frames may become complete, before anything of them is fetched.

        Raises:
            StorageError: it cannot be written.
        """
        if self._hook.per == SET:
            self.book.owe({_name_of(row): _spot_entry(row) for row in rows})

    def owed_spots(self) -> dict[OrbitFrame, date]:
        """The orbits and frames that earlier runs left owed, each with a sensing day."""
        found: dict[OrbitFrame, date] = {}
        for values in self.book.owed.values() if self._hook.per == SET else ():
            with contextlib.suppress(KeyError, ValueError):
                found[int(values["orbit"]), values["frame"]] = date.fromisoformat(values["day"])
        return found

    async def finish_sets(self, table: SetTable) -> None:
        """Run the hook of each orbit and frame that is complete, once for each combination of baselines.

        Args:
            table: the set after the downloads.
        """
        if self._hook.per != SET:
            return
        due = [row for row in table.rows if row.state == "complete" and not self._is_settled(table, row)]
        settled = {
            _name_of(row)
            for row in table.rows
            if row.state == "complete" and self._is_settled(table, row) and _name_of(row) in self.book.owed
        }
        await asyncio.to_thread(self.book.settle, settled)
        # The range of the next run may not reach them.
        await asyncio.to_thread(self.owe_sets, due)
        offered: dict[OrbitFrame, list[list[tuple[OrbitFrame, Version]]]] = {}
        for number, column in enumerate(table.archive):
            for spot, version in column:
                offered.setdefault(spot, [[] for _ in table.archive])[number].append((spot, version))
        for row in sorted(due, key=lambda row: _name_of(row) in self.book.failed):
            if self._has_given_up:
                break
            # Hooks take their time: what was complete may have got a newer baseline meanwhile.
            moment = TimeRange(row.start, row.start + timedelta(seconds=1))
            one = replace(table, span=moment, archive=offered.get(row.spot, []))
            fresh = await judged(self._parts, one, {row.spot: row.start.date()})
            now = next((one for one in fresh.rows if one.spot == row.spot), None)
            if now is None or now.state != "complete" or now.baselines != row.baselines:
                self._parts.emit(Noted(f"{_words(table, row)} has changed; its hook waits for the next run"))
                continue
            paths = tuple(
                path for cell in now.cells if cell.version is not None for path in cell.version.paths
            )
            values = _spot_entry(now) | {"set": table.wanted.name}
            await self._run(
                [_name_of(row)], Occasion(_words(table, row), values, paths), done_as=_combination(table, row)
            )
        if self.book.owed:
            self._say_left()

    def _is_settled(self, table: SetTable, row: SetRow) -> bool:
        return _combination(table, row) in self.book.settled.get(_name_of(row), ())

    @property
    def _has_given_up(self) -> bool:
        return self._failed_in_row >= FAILURES

    def _recorded_before(self) -> list[str]:
        """What is owed for files that the registry has as downloaded, in a thread."""
        places: dict[tuple[Key, date], list[str]] = defaultdict(list)
        for name, values in dict(self.book.owed).items():
            with contextlib.suppress(KeyError, ValueError, MaapError):
                places[_place(values)].append(name)
        found: list[str] = []
        for (key, day), names in places.items():
            with self._parts.registry.skip_unreadable():
                done = {file.url for file in self._parts.registry.baseline(key).downloads(day, day)}
                found += [name for name in names if name in done]
        order = {name: number for number, name in enumerate(self.book.owed)}
        return sorted(found, key=lambda name: order.get(name, 0))

    async def _run(self, names: Sequence[str], occasion: Occasion, *, done_as: str = "") -> None:
        gone = [path for path in occasion.paths if not await asyncio.to_thread(os.path.lexists, path)]
        if len(gone) == len(occasion.paths) or (gone and self._hook.per == SET):
            what = plural(len(gone), "of its files is", "of its files are")
            self._parts.emit(Warned(f"The hook of {occasion.name} is left out: {what} gone"))
            await asyncio.to_thread(self.book.settle, names)
            return
        begun = time.monotonic()
        here = tuple(path for path in occasion.paths if path not in gone)
        reason = await run_hook(self._hook, occasion._replace(paths=here), self._parts.emit)
        if reason:
            self._failed_in_row += 1
            with contextlib.suppress(StorageError):
                await asyncio.to_thread(self.book.note_failed, names)
            self._parts.emit(HookFailed(occasion.name, reason))
            self.failures.append(f"{occasion.name}: {reason}")
            if self._has_given_up:
                words = f"{FAILURES} hooks failed in a row; the others are left for the next run"
                self._parts.emit(Warned(words))
            return
        self._failed_in_row = 0
        await asyncio.to_thread(self.book.settle, names, done_as=done_as)
        self._parts.emit(HookRan(occasion.name, time.monotonic() - begun))

    def _say_left(self) -> None:
        count = plural(len(self.book.owed), f"{self._hook.per if self._hook.per == SET else FILE}")
        self._parts.emit(Noted(f"The hook is still owed for {count}; {self.book.file} lists them"))


def _entry(file: TrackedFile) -> dict[str, str]:
    return {**file.key._asdict(), "day": file.day.isoformat(), "path": file.path}


def _place(values: Mapping[str, str]) -> tuple[Key, date]:
    """The baseline and day of an entry; KeyError, ValueError or MaapError for one that cannot be read."""
    return Key(*(values[name] for name in Key._fields)), date.fromisoformat(values["day"])


def _occasion_of_file(url: str, values: Mapping[str, str]) -> Occasion:
    name = parse_name(url)
    known = {
        "url": url,
        "path": values["path"],
        "collection": values["collection"],
        "product": values["product_type"],
        "baseline": values["baseline"],
        "day": values["day"],
        "orbit": f"{name.orbit:05d}" if name is not None and name.orbit is not None else "",
        "frame": (name.frame if name is not None else None) or "",
    }
    return Occasion(os.path.basename(values["path"]), known, (values["path"],))


def _name_of(row: SetRow) -> str:
    return f"{row.orbit:05d}{row.frame}"


def _spot_entry(row: SetRow) -> dict[str, str]:
    return {"orbit": f"{row.orbit:05d}", "frame": row.frame, "day": row.start.date().isoformat()}


def _combination(table: SetTable, row: SetRow) -> str:
    """The products and baselines of an orbit and frame, in an order that the declaration does not change."""
    return " ".join(
        sorted(
            f"{member.collection}/{member.product_type}:{cell.baseline}"
            for member, cell in zip(table.wanted.members, row.cells, strict=True)
        )
    )


def _words(table: SetTable, row: SetRow) -> str:
    return f"{table.wanted.name} {orbit_frame(row.orbit, row.frame)}"
