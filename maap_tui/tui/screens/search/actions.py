"""ResultActions: the actions on granules that were found: queue, register and export them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.errors import DiskFullError, InvalidRequestError
from maap_tui.engine.export import SUFFIXES, exporting, needs_geometry
from maap_tui.engine.model import Asset, Granule
from maap_tui.engine.query import Query
from maap_tui.engine.session import Session
from maap_tui.engine.storage import files
from maap_tui.engine.workflows.register import RegisteredFiles
from maap_tui.text import clean, format_bytes, format_count, format_duration, format_sum, plural
from maap_tui.tui.dialogs.prompt import ask_file, ask_folder
from maap_tui.tui.host import Host
from maap_tui.tui.screens.search.results import SLICE, Result, order_of
from maap_tui.tui.synced import left_out_words, may_queue

PROGRESS_S = 15.0
"""Seconds that a report of progress is shown at most; the next one, or the outcome, replaces it."""


class Progress:
    """Reports the progress of an action on many granules; one that fits in a slice has no report."""

    def __init__(self, app: Host, verb: str, total: int) -> None:
        self._app = app
        self._verb = verb
        self._total = total
        self._begun = time.monotonic()

    def say(self, done: int) -> None:
        """Show it above the footer, in place of the last report."""
        if self._total <= SLICE:
            return
        words = f"{self._verb} {plural(self._total, 'granule')}"
        if done:
            left = (time.monotonic() - self._begun) * (self._total - done) / done
            share = f"{format_count(done)} of {plural(self._total, 'granule')}, {done * 100 // self._total} %"
            words = f"{self._verb}: {share}, {format_duration(left)} left"
        self._app.notify(f"{words}...", timeout=PROGRESS_S, markup=False)


class ResultActions:
    """Each of its coroutines reports its own result; call them from workers."""

    def __init__(self, app: Host) -> None:
        self._app = app

    async def ask_folder(self, chosen: Sequence[Result]) -> Path | None:
        """Ask for the folder of granules that no registry follows; None after Escape."""
        return await ask_folder(self._app, f"Download {plural(len(chosen), 'granule')} to which folder?")

    async def queue(self, chosen: Sequence[Result], out_dir: Path | None = None) -> list[str]:
        """Queue the files of granules, unless the disk cannot hold them; returns the URLs of those tracked.

        Raises:
            DiskFullError: when the disk cannot hold them.
            InvalidRequestError: when the folder is a file.
        """
        session = self._app.backend.session
        progress = Progress(self._app, "Queueing", len(chosen))
        work: list[DownloadRequest] = []
        size = unknown = left_out = 0
        refused = []

        def refuse(granule: Granule, asset: Asset, error: InvalidRequestError) -> None:
            refused.append(asset)
            self._app.backend.write_log("warning", f"{granule.id}: {error.message}")

        product_dir = session.settings.downloads.product_dir
        for number, row in enumerate(chosen):
            if number % SLICE == 0:
                progress.say(number)
                await asyncio.sleep(0)
            if out_dir is None and (row.is_here or row.state == "queued"):
                left_out += 1
                continue
            requests = session.filing.requests_of(
                row.granule,
                row.files,
                out_dir=out_dir,
                product_dir=product_dir,
                refuse=partial(refuse, row.granule),
            )
            work += requests
            size += sum(request.size or 0 for request in requests)
            unknown += sum(request.size is None for request in requests)
        rest = f"{plural(left_out, 'granule')} here or queued already" if left_out else ""
        if refused:
            words = f"{plural(len(refused), 'file')} refused because of the names, see the log"
            rest = f"{rest}; {words}" if rest else words
        if not work:
            self._app.notify(f"Nothing to queue: {rest or 'no file of that format'}.", markup=False)
            return []
        folder = out_dir or session.dirs.data_dir
        if out_dir is not None and not await asyncio.to_thread(_can_be_folder, out_dir):
            raise InvalidRequestError(f"{out_dir} is a file", "Name a folder.")
        await self._demand_room(folder, len(work), size)
        what = f"{plural(len(work), 'file')}, {format_sum(size, unknown=unknown)}"
        if not await may_queue(self._app, len(work), what):
            return []
        if len(work) > SLICE:
            self._app.notify(f"Writing {plural(len(work), 'file')} to the queue...", markup=False)
        count = await self._app.backend.queue_files(work)
        words = f"Queued {plural(count, 'file')}, {format_sum(size, unknown=unknown)}"
        words += f", to {out_dir}" if out_dir is not None else ""
        self._app.notify(clean(f"{words}{f'; {rest}' if rest else ''}. 3 shows the queue."), markup=False)
        return [request.url for request in work if request.key is not None]

    async def _demand_room(self, folder: Path, count: int, size: int) -> None:
        free = await asyncio.to_thread(files.free_bytes_for, folder)
        snapshot = self._app.backend.tally.snapshot()
        waiting = max(0, snapshot.bytes_total - snapshot.bytes_done)
        keep = self._app.backend.session.settings.downloads.min_free
        if free is not None and size + waiting + keep > free:
            queued = f", the queue another {format_bytes(waiting)}" if waiting else ""
            raise DiskFullError(
                f"{plural(count, 'file')} {'needs' if count == 1 else 'need'} {format_bytes(size)}{queued}; "
                f"{folder} has {format_bytes(free)} free, and {format_bytes(keep)} must stay free. "
                "Nothing was queued.",
                "Select fewer, clean up in mode 4, or press o to download to another disk.",
            )

    async def coverage(self, query: Query) -> None:
        """Compare baseline, time and frames of a query with the archive, and queue gaps that are chosen."""
        # Who searches need not wait for it to load.
        from maap_tui.engine.workflows.coverage import baselines_of, whole_days
        from maap_tui.tui.dialogs.coverage import GapsDialog

        app = self._app
        app.notify(f"Counting {query.product_type} at the archive...", timeout=PROGRESS_S, markup=False)
        names = query.collection, query.product_type
        baseline = (await app.backend.ask(lambda session: baselines_of(session, *names, query.baseline)))[0]
        whole = Query(*names, baseline, time=query.time, frames=query.frames)
        found = await app.backend.ask(lambda session: session.coverage(whole))
        whole = whole.replace(frames=found.frames)
        gaps = await app.push_screen_wait(GapsDialog(found, left_out=_left_out(query, whole)))
        count = sum(gap.missing for gap in gaps or ())
        what = f"{plural(count, 'granule')} of {whole.product_type} {baseline}"
        if not gaps or not await may_queue(app, count, what):
            return
        reports = [
            await app.backend.sync(whole.replace(time=whole_days(gap.first, gap.last))) for gap in gaps
        ]
        words = f"Queued {plural(sum(one.pending for one in reports), 'file')}. 3 shows the queue."
        rest = left_out_words(reports)
        app.notify(
            clean(f"{words} {rest}".rstrip()), severity="warning" if rest else "information", markup=False
        )

    async def save(self, chosen: Sequence[Result], query: Query | None) -> None:
        """Write the files of granules to the registry as discovered."""
        formats = self._app.backend.session.formats_of(query) if query is not None else ()
        new = refused = 0
        # By day: each slice then writes to few files of the registry.
        rows = sorted(chosen, key=order_of) if len(chosen) > SLICE else chosen
        progress = Progress(self._app, "Registering", len(chosen))
        for start in range(0, len(rows), SLICE):
            progress.say(start)
            granules = [row.granule for row in rows[start : start + SLICE]]
            filed = await self._app.backend.ask(partial(_save, granules=granules, formats=formats))
            new, refused = new + filed.new, refused + filed.refused + filed.undecided
        files_count = sum(len(row.files) for row in chosen)
        known = files_count - new - refused
        rest = f", {format_count(known)} known already" if known > 0 else ""
        rest += f", {format_count(refused)} refused: see the log with 5" if refused else ""
        self._app.notify(
            f"Registered {plural(new, 'new file')}{rest}. 4 shows the registry.",
            severity="warning" if refused else "information",
            markup=False,
        )

    async def export(self, chosen: Sequence[Result], which: str) -> None:
        """Write granules to a file that is asked for; `which` says what of the list they are."""
        product = chosen[0].granule.product_type
        path = await ask_file(
            self._app,
            f"Write {plural(len(chosen), 'granule')} ({which}) to which file?",
            Path.home() / f"{product}.csv",
            hint=f"Its suffix says how: {SUFFIXES}.",
        )
        if path is None:
            return
        if needs_geometry(path) and not all(result.is_whole for result in chosen):
            raise InvalidRequestError(
                f"A list this long does not keep the geometry, which {path.suffix} needs",
                f"Choose fewer granules, or run: maap search ... -o {path.name}",
            )
        if len(chosen) > SLICE:
            self._app.notify(clean(f"Writing {plural(len(chosen), 'granule')} to {path}..."), markup=False)
        await asyncio.to_thread(_write_export, path, chosen)
        self._app.notify(clean(f"Wrote {plural(len(chosen), 'granule')} to {path}."), markup=False)


async def _save(session: Session, granules: Sequence[Granule], formats: tuple[str, ...]) -> RegisteredFiles:
    return await session.save_to_registry(granules, formats)


def _write_export(path: Path, chosen: Sequence[Result]) -> None:
    with exporting(path, is_flat=True) as add:
        for result in chosen:
            add(result.granule, result.files)


def _left_out(query: Query, counted: Query) -> list[str]:
    """The fields of the form that limit a search, and by which days were not counted."""
    limits = {
        "the frames": query.frames and not counted.frames,
        "the orbits": query.orbits or query.tracks,
        "the area": query.box or query.circle or query.area,
    }
    return [words for words, value in limits.items() if value]


def _can_be_folder(path: Path) -> bool:
    return path.is_dir() or not path.exists()
