"""The place Downloads: every transfer of this user, live, and what can be done with it.

The app's own transfers are read from the engine's queue as they are; those of other processes from the
queue on disk, in a thread. Own ones alone can be controlled; what a dead process left can be taken over.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual import on, work
from textual.widget import Widget
from textual.widgets import Static

from maap_tui.engine.downloads import Downloads
from maap_tui.engine.queue import LIVE, Process, QueueRow, dead_processes
from maap_tui.engine.transfer import Wanted, existing_size, is_whole
from maap_tui.text import clean, format_bytes, format_time, plural
from maap_tui.tui import theme
from maap_tui.tui.dialogs.columns import ColumnsDialog
from maap_tui.tui.dialogs.show_text import TextDialog
from maap_tui.tui.keys import bindings
from maap_tui.tui.screens.place import PlaceScreen
from maap_tui.tui.widgets.filter_line import FilterLine
from maap_tui.tui.widgets.queue_head import QueueHead
from maap_tui.tui.widgets.results import free_bytes
from maap_tui.tui.widgets.rows import RowList
from maap_tui.tui.widgets.transfers import ENDED, Line, TransferList, who_has

POLL_S = 0.5
"""Seconds between two looks at what other processes wrote."""

NEWS_AT_ONCE = 5000
"""Changed transfers taken in one sample; the rest waits for the next one."""

ARRANGE_S = 0.5
"""Least seconds between two arrangements of the rows."""

DISK_S = 10.0
"""Seconds between two looks at the free space."""


class DownloadsScreen(PlaceScreen):
    """The live queue."""

    PLACE = "downloads"
    BINDINGS: ClassVar = bindings("downloads", "lists")

    def __init__(self) -> None:
        super().__init__()
        self._seen: Downloads | None = None
        self._own: dict[str, Line] = {}
        self._others: dict[str, Line] = {}
        self._others_live: dict[str, Line] = {}
        self._known: set[str] = set()
        self._serial = 0
        self._stamp: int | None = None
        self._dead: set[Process] = set()
        self._is_out_of_order = False
        self._arrange_after = 0.0
        self._free_at = -DISK_S
        self._detail = ""

    def body(self) -> Iterable[Widget]:
        yield QueueHead()
        table = TransferList()
        yield FilterLine(table)
        yield table
        yield Static("", id="detail", markup=False)

    def on_mount(self) -> None:
        self.table.focus()
        self._watch_others()

    @property
    def table(self) -> TransferList:
        """The list of transfers."""
        return self.query_one(TransferList)

    @property
    def head(self) -> QueueHead:
        """The lines above the list."""
        return self.query_one(QueueHead)

    def on_resize(self) -> None:
        self._detail = ""

    @on(ColumnsDialog.Changed)
    def keep_columns(self) -> None:
        """Let the user's choice of columns stand, whatever the width."""
        self.table.keep_columns()

    @on(FilterLine.Filtered)
    def filter_lines(self, event: FilterLine.Filtered) -> None:
        """Show what contains the text."""
        self.table.set_filter(event.text)

    # What is there

    def sample(self) -> None:
        """Take what changed and repaint that."""
        super().sample()
        now = time.monotonic()
        changed = self._take_news()
        if self._is_out_of_order and now >= self._arrange_after:
            self._arrange()
            # A large list is put in order less often, so that most of the time is left for the keys.
            cost = time.monotonic() - now
            self._arrange_after = now + max(ARRANGE_S, 15 * cost)
        self.table.take_changes(changed.values(), now)
        self.head.stopped = self.table.stopped
        self.head.sample()
        self._show_detail()

    def _take_news(self) -> dict[str, Line]:
        """Bring own lines up to date; returns those that may look different, by key."""
        changed = {line.key: line for line in self._lines_moving()}
        transfers = self.maap.transfers
        if transfers is None:
            return changed
        if transfers is not self._seen:
            self._seen = transfers
            self._own = {}
            transfers.news.update(dict.fromkeys(list(transfers.jobs)))
        for _ in range(NEWS_AT_ONCE):
            try:
                url, _ = transfers.news.popitem()
            except KeyError:
                break
            job = transfers.jobs.get(url)
            line = self._own.get(url)
            if job is None:
                if line is not None:
                    del self._own[url]
                    self._is_out_of_order = True
                continue
            if line is None or line.job is not job:
                line = self._own[url] = Line(str(job.wanted.path), url, job=job)
                self._drop_other(line.key)
                self._is_out_of_order = True
            changed[line.key] = line
        for line in changed.values():
            self._is_out_of_order |= line.update(self._dead)
        return changed

    def _lines_moving(self) -> list[Line]:
        rows = self.table.rows
        moving = []
        # Those that move stand first, in the order given.
        for line in rows:
            if line.state not in ("running", "retrying"):
                break
            moving.append(line)
        return moving

    def _arrange(self) -> None:
        self._is_out_of_order = False
        taken = {line.key for line in self._own.values()}
        lines = [*self._own.values(), *(line for key, line in self._others.items() if key not in taken)]
        lines.sort(key=lambda line: line.order)
        self.head.counts = Counter(line.state for line in lines)
        self.head.elsewhere = [
            line.row
            for line in lines
            if line.row is not None and line.row.is_live and line.state != "interrupted"
        ]
        self.table.set_rows(lines)

    @work(group="queue", exclusive=True, exit_on_error=False)
    async def _watch_others(self) -> None:
        """Follow what other processes write, while this place is shown."""
        while True:
            if self.is_current:
                await self._look_at_others()
            await asyncio.sleep(POLL_S)

    async def _look_at_others(self) -> None:
        queue = self.maap.queue
        stamp = await asyncio.to_thread(queue.stamp)
        if stamp != self._stamp:
            self._stamp = stamp
            changes = await asyncio.to_thread(queue.changes, self._serial)
            if changes.count < len(self._known | {row.path for row in changes.rows}):
                # Something was removed; what, only the whole tells.
                changes = await asyncio.to_thread(queue.changes)
                self._others.clear()
                self._others_live.clear()
                self._known.clear()
                self._is_out_of_order = True
            self._serial = changes.serial
            for begin in range(0, len(changes.rows), NEWS_AT_ONCE):
                self._take_rows(changes.rows[begin : begin + NEWS_AT_ONCE])
                await asyncio.sleep(0)
        live = [line.row for line in self._others_live.values() if line.row is not None]
        dead = await asyncio.to_thread(dead_processes, live, time.time())
        if dead != self._dead:
            self._dead = dead
            for line in self._others_live.values():
                self._is_out_of_order |= line.update(dead)
        now = time.monotonic()
        if now - self._free_at >= DISK_S:
            self._free_at = now
            self.head.free = await asyncio.to_thread(free_bytes, self.maap.session.places.data_dir)

    def _take_rows(self, rows: Sequence[QueueRow]) -> None:
        for row in rows:
            self._known.add(row.path)
            if row.is_mine:
                self._is_out_of_order |= self._drop_other(row.path)
                continue
            line = self._others.get(row.path)
            if line is None or line.url != row.url:
                line = self._others[row.path] = Line(row.path, row.url, row=row)
                self._is_out_of_order = True
            line.row = row
            self._is_out_of_order |= line.update(self._dead)
            if row.is_live:
                self._others_live[row.path] = line
            else:
                self._others_live.pop(row.path, None)

    def _drop_other(self, path: str) -> bool:
        self._others_live.pop(path, None)
        return self._others.pop(path, None) is not None

    # What is shown

    def _show_detail(self) -> None:
        line = self.table.current
        if line is None:
            self._set_detail("")
            return
        room = max(20, self.size.width - 2)
        first = line.name
        if line.row is not None:
            first += f"  ({who_has(line.row)} on {line.row.host})"
        folder = clean(str(Path(line.key).parent))
        if len(folder) > room:
            folder = "..." + folder[3 - room :]
        reason = clean(self.table.reason_of(line)) or self.table.state_text(line)
        self._set_detail(f"{clean(first, room)}\n{folder}\n{reason}")

    def _set_detail(self, text: str) -> None:
        if self._detail != text:
            self._detail = text
            self.query_one("#detail", Static).update(Text(text, end=""), layout=False)

    @on(RowList.Highlighted)
    def follow_cursor(self) -> None:
        """Show the detail of another row at once."""
        self._show_detail()

    @on(RowList.Chosen)
    def show_whole(self, event: RowList.Chosen) -> None:
        """Show everything that is known of a transfer."""
        line: Line = event.row
        source = line.source
        facts = [
            ("File", line.name),
            ("State", self.table.state_text(line)),
            ("Reason", self.table.reason_of(line)),
            ("Bytes", f"{source.received:,} of {'unknown' if source.size is None else f'{source.size:,}'}"),
            ("Failed tries", str(source.tries)),
            ("Folder", str(Path(line.key).parent)),
            ("Address", line.url),
        ]
        if line.row is not None:
            facts.append(("Process", f"{who_has(line.row)} on {line.row.host}"))
        if line.ended:
            facts.append(("Ended", format_time(datetime.fromtimestamp(line.ended, UTC))))
        text = "\n".join(f"{name + ':':<13} {clean(value)}" for name, value in facts if value)
        self.app.push_screen(TextDialog(f"Transfer of {line.name}", text))

    # What can be done

    def _run(self, job: Any) -> None:
        self.run_worker(job, group="downloads-act", exit_on_error=False)

    def _say(self, sentence: str, *, is_bad: bool = False) -> None:
        self.notify(clean(sentence, 200), severity="warning" if is_bad else "information", markup=False)

    async def _control(self, work: Callable[[Downloads], object]) -> None:
        await self.maap.with_transfers(work)
        self.sample()

    def _own_urls(self, lines: Iterable[Line], *states: str) -> list[str]:
        return [line.url for line in lines if line.job is not None and line.job.state in states]

    def action_pause(self) -> None:
        lines = self.table.chosen
        going = self._own_urls(lines, "waiting", "running")
        paused = self._own_urls(lines, "paused")
        if going:
            self._run(self._control(lambda transfers: transfers.pause(going)))
        elif paused:
            self._run(self._control(lambda transfers: transfers.resume(paused)))
        elif any(line.row is not None and line.state in LIVE for line in lines):
            self._say("Another process has it: it can be stopped there only.", is_bad=True)
        else:
            self._say("Nothing here can be paused.")

    def action_pause_all(self) -> None:
        def toggle(transfers: Downloads) -> None:
            if transfers.report.stopped is not None:
                transfers.resume_run()
            elif any(job.state in ("waiting", "running") for job in transfers.jobs.values()):
                transfers.pause()
            else:
                transfers.resume()

        self._run(self._control(toggle))

    def action_cancel(self) -> None:
        own = [line for line in self.table.chosen if line.job is not None and line.job.state in LIVE]
        left = [line for line in self.table.chosen if line.state == "interrupted"]
        if own or left:
            self._run(self._cancel(own, left))
        elif any(line.row is not None and line.state in LIVE for line in self.table.chosen):
            self._say("Another process has it: it can be stopped there only.", is_bad=True)
        else:
            self._say("Nothing here waits or runs.")

    async def _cancel(self, own: Sequence[Line], left: Sequence[Line]) -> None:
        lines = [*own, *left]
        if len(lines) > 1 and not await self.maap.confirm(
            f"Take {plural(len(lines), 'transfer')} ({_size_of(lines)}) out of the queue? "
            "Parts stay; r puts back what this app had.",
            lines=[_line_text(line) for line in lines],
            verb="Cancel them",
            key="y",
        ):
            return
        await self._control(lambda transfers: transfers.cancel([line.url for line in own]))
        await self._forget(left)
        self.table.clear_marks()

    async def _forget(self, lines: Sequence[Line]) -> None:
        """Take rows of other processes out of the queue on disk."""
        if not lines:
            return
        await asyncio.to_thread(self.maap.queue.remove, [line.key for line in lines])
        for line in lines:
            self._drop_other(line.key)
            self._known.discard(line.key)
        self._arrange()
        self.sample()

    def action_retry(self) -> None:
        lines = self.table.chosen
        if self.table.stopped and self._own_urls(lines, "waiting", "paused", "running"):
            self._run(self._control(lambda transfers: transfers.resume_run()))
            return
        own = self._own_urls(lines, "failed", "cancelled")
        damaged = [line for line in lines if line.state == "damaged"]
        left = [line.row for line in lines if line.row is not None and self._can_take(line)]
        if own or damaged or left:
            self._run(self._retry(own, damaged, left))
        else:
            self._say("Nothing here has failed or was cancelled.")

    def action_retry_failed(self) -> None:
        failed = [line for line in self.table.rows if line.state == "failed"]
        own = self._own_urls(failed, "failed")
        left = [line.row for line in failed if line.row is not None and self._can_take(line)]
        if own or left:
            self._run(self._retry(own, [], left))
        else:
            self._say("Nothing has failed.")

    def _can_take(self, line: Line) -> bool:
        return line.row is not None and line.state in ("interrupted", "failed", "cancelled")

    async def _retry(self, own: Sequence[str], damaged: Sequence[Line], left: Sequence[QueueRow]) -> None:
        if own:
            await self._control(lambda transfers: transfers.retry(own))
        files = []
        for line in damaged:
            if line.job is not None:
                wanted = line.job.wanted
                again = Wanted(wanted.url, wanted.path, wanted.size, wanted.root, again=True)
                files.append((again, line.job.tracked))
        if files:
            await self.maap.queue_files(files)
        rows = [*left, *(line.row for line in damaged if line.row is not None)]
        if rows:
            await self.maap.take_over(rows)
        self.table.clear_marks()
        self.sample()

    def action_top(self) -> None:
        urls = self._own_urls(self.table.chosen, "waiting")
        if not urls:
            self._say("Nothing here waits for its turn.")
            return
        self._run(self._to_top(urls))

    async def _to_top(self, urls: Sequence[str]) -> None:
        await self._control(lambda transfers: transfers.move_to_top(urls))
        self._is_out_of_order = True
        self.table.clear_marks()

    def action_parallel(self, by: int) -> None:
        self._run(self._set_parallel(by))

    async def _set_parallel(self, by: int) -> None:
        if self.maap.transfers is None:
            await self.maap.queue_files([])
        await self._control(lambda transfers: transfers.set_parallel(transfers.parallel + by))

    def action_clear(self) -> None:
        lines = [line for line in self.table.rows if line.state in ENDED]
        if lines:
            self._run(self._clear(lines))
        else:
            self._say("Nothing has ended.")

    async def _clear(self, lines: Sequence[Line]) -> None:
        if not await self.maap.confirm(
            f"Take {plural(len(lines), 'ended transfer')} ({_size_of(lines)}) out of the list? "
            "Files and registry stay as they are.",
            lines=[_line_text(line) for line in lines],
            verb="Clear",
            key="y",
        ):
            return
        await self.maap.with_transfers(lambda transfers: transfers.clear_finished())
        jobs = self.maap.transfers.jobs if self.maap.transfers else {}
        self._own = {url: line for url, line in self._own.items() if jobs.get(url) is line.job}
        self._is_out_of_order = True
        await self._forget([line for line in lines if line.row is not None])
        self.table.clear_marks()
        self._arrange()
        self.sample()

    def action_folder(self) -> None:
        line = self.table.current
        if line is not None:
            self.maap.copy_text(str(Path(line.key).parent), "Folder of the file")

    def action_verify(self) -> None:
        if self.head.doing:
            self.workers.cancel_group(self, "verify")
            return
        lines = [line for line in self.table.chosen if line.state in ("finished", "skipped", "damaged")]
        if lines:
            self._verify(lines)
        else:
            self._say("Only a file that is here can be checked.")

    @work(group="verify", exclusive=True, exit_on_error=False)
    async def _verify(self, lines: Sequence[Line]) -> None:
        """Look at files again, one after the other."""
        bad = done = 0
        try:
            for line in lines:
                self.head.doing = f"Checking {done + 1} of {plural(len(lines), 'file')}; V stops it."
                found = await asyncio.to_thread(check_file, Path(line.key), line.source.size)
                line.verdict, line.trouble = found
                self._is_out_of_order |= line.update(self._dead)
                bad += bool(line.trouble)
                done += 1
        finally:
            self.head.doing = ""
            self._show_detail()
        self.table.clear_marks()
        if bad:
            self._say(f"{plural(bad, 'file')} of {done} {'is' if bad == 1 else 'are'} damaged.", is_bad=True)
        elif done == 1:
            self._say(lines[0].verdict)
        else:
            self._say(f"{plural(done, 'file')} checked: all are whole.")

    def action_take_over(self) -> None:
        left = [line for line in self.table.rows if line.state == "interrupted"]
        marked = (
            [line for line in self.table.chosen if line.state == "interrupted"] if self.table.marks else []
        )
        rows = [line.row for line in marked or left if line.row is not None]
        if rows:
            self._run(self._take_over(rows))
        else:
            self._say("No dead process has left anything.")

    async def _take_over(self, rows: Sequence[QueueRow]) -> None:
        count = await self.maap.take_over(rows)
        self._say(f"Going on with {plural(count, 'transfer')}.")
        self.table.clear_marks()
        self.sample()


def check_file(path: Path, size: int | None) -> tuple[str, str]:
    """What a look at a file on disk says, and what is wrong with it ('' when nothing is).

    Args:
        path: the file.
        size: bytes it has to have; None when that is not known.
    """
    here = existing_size(path)
    if here is None:
        return "", "The file is not on disk any more"
    if size is not None and here != size:
        return "", f"It has {here:,} bytes on disk and {size:,} at the archive"
    if not is_whole(path):
        return "", "Its HDF5 header and its length do not agree: the end is missing"
    structure = " and its HDF5 header agrees" if path.suffix.lower() == ".h5" else ""
    return f"Checked: all {here:,} bytes are here{structure}.", ""


def _size_of(lines: Iterable[Line]) -> str:
    return format_bytes(sum(line.source.size or 0 for line in lines))


def _line_text(line: Line) -> str:
    size = "?" if line.source.size is None else format_bytes(line.source.size)
    return f"{theme.STATE_WORDS.get(line.state, line.state):<12}{size:>10}  {line.name}"
