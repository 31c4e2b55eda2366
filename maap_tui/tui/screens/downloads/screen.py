"""The mode Downloads: every transfer of this user, live, and the actions on them.

The app's own transfers are read from the engine's queue; those of other processes from the queue on disk, in
a thread. The worker and other apps are asked to do what the keys say with theirs; those that a dead process
left can be taken over.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual import events, on
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Static

from maap_tui.engine.download.downloads import Downloads
from maap_tui.engine.download.queue_control import WORKER
from maap_tui.engine.download.queue_store import LIVE, QueueRow
from maap_tui.engine.integrity.verify import GOOD, outcome_words
from maap_tui.engine.storage import files
from maap_tui.engine.user_commands import values_of_file
from maap_tui.text import clean, fold, format_time, plural
from maap_tui.tui import gc_pause
from maap_tui.tui.dialogs.columns import ColumnsDialog
from maap_tui.tui.dialogs.show_text import TextDialog
from maap_tui.tui.gauges import steady
from maap_tui.tui.keys import bindings
from maap_tui.tui.screens.downloads.chosen import obeying, size_of, texts_of, verdict_of
from maap_tui.tui.screens.downloads.known_transfers import KnownTransfers
from maap_tui.tui.screens.downloads.queue_follower import QueueFollower, QueueNews
from maap_tui.tui.screens.downloads.queue_head import QueueHead
from maap_tui.tui.screens.downloads.transfers import ENDED, Line, TransferList, who_has
from maap_tui.tui.screens.mode import ModeScreen
from maap_tui.tui.widgets.filter_line import FilterLine
from maap_tui.tui.widgets.header_footer import FooterBar
from maap_tui.tui.widgets.pane import framed
from maap_tui.tui.widgets.row_list import RowList
from maap_tui.tui.widgets.ui_state import ColumnMemory
from maap_tui.tui.workers import LASTING, start_worker

POLL_S = 0.5
"""Seconds between two reads of what other processes wrote."""

NEWS_S = 0.01
"""Seconds that changed transfers are processed for before keys are handled."""

ARRANGE_S = 0.5
"""Least seconds between two arrangements of the rows."""

SLOW_S = 0.9
"""Least seconds between two repaints of figures on a slow line: bars in eighths change with each."""

DISK_S = 10.0
"""Seconds between two checks of the free space."""


class DownloadsScreen(ModeScreen):
    """The live queue."""

    MODE = "downloads"
    BINDINGS: ClassVar = bindings("downloads", "lists")

    def __init__(self) -> None:
        super().__init__()
        self._known = KnownTransfers()
        self._follower = QueueFollower(self.maap.backend.queue)
        self._arrange_after = 0.0
        self._repainted_at = -SLOW_S
        self._is_catching_up = False
        self._free_at = -DISK_S
        self._detail = ""
        self.is_ready = False
        """Whether what other processes have is listed; a key that acts on it waits for that."""

    def body(self) -> Iterable[Widget]:
        yield QueueHead()
        table = TransferList()
        yield framed(Vertical(FilterLine(table), table, id="transfers-pane"), "Transfers")
        yield framed(Static("", id="detail", markup=False), "Details")

    def on_mount(self) -> None:
        self.table.focus()
        self._columns = ColumnMemory(self.maap.backend.session.dirs.cache_file("downloads.json"), self.table)
        start_worker(self, self._restore_columns, group="columns")
        start_worker(self, self._watch_others, group=LASTING, exclusive=True)
        self.app.mode_change_signal.subscribe(self, self._open_on_running)

    def _open_on_running(self, mode: str) -> None:
        """Go to what runs when the mode is shown again, unless rows are marked."""
        table = self.table
        running = table.first_running(table.shown)
        states = {line.state for line in table.shown[running : running + 1]}
        if mode == self.MODE and not table.marks and states & {"running", "retrying"}:
            table.start_at(running)

    @property
    def table(self) -> TransferList:
        """The list of transfers."""
        return self.query_one(TransferList)

    @property
    def head(self) -> QueueHead:
        """The lines above the list."""
        return self.query_one(QueueHead)

    def on_resize(self, event: events.Resize) -> None:
        self._detail = ""

    async def _restore_columns(self) -> None:
        if await self._columns.restore():
            self.table.keep_columns()

    @on(ColumnsDialog.Changed)
    def keep_columns(self) -> None:
        """Keep the user's choice of columns at any width, and save it."""
        self.table.keep_columns()
        start_worker(self, self._columns.keep, self.table, group="columns")

    @on(FilterLine.Filtered)
    def filter_lines(self, event: FilterLine.Filtered) -> None:
        """Show the transfers that contain the text."""
        self.table.set_filter(event.text)

    def sample(self) -> None:
        """Read what changed and repaint it."""
        super().sample()
        now = time.monotonic()
        if self._take_news() and not self._is_catching_up:
            self._is_catching_up = True
            start_worker(self, self._catch_up, group="news")
        for state in ("running", "retrying"):
            for line in list(self._known.order.group(state)):
                self._known.look_at(line)
                line.measure(now)
        if self._known.is_out_of_order and now >= self._arrange_after and not self.table.is_arranging:
            begun = time.monotonic()
            self._arrange()
            # A large list is put in order less often, so that most of the time is left for the keys.
            self._arrange_after = now + max(ARRANGE_S, 15 * (time.monotonic() - begun))
        if not self.maap.low_bandwidth or abs(now - self._repainted_at) >= SLOW_S:
            self._repainted_at = now
            self.table.repaint()
            self.head.stopped = self.table.stopped
            self.head.awaited = self.table.awaited
            self.head.sample()
        has_left = any(self._known.order.group("interrupted"))
        self.query_one(FooterBar).leave_out(*(() if has_left else ("downloads.take_over",)))
        self._show_detail()

    async def _catch_up(self) -> None:
        """Process the changes of very many transfers, handling keys in between."""
        try:
            with gc_pause.held():
                for _ in iter(self._take_news, False):
                    await asyncio.sleep(0)
        finally:
            self._is_catching_up = False

    def _take_news(self) -> bool:
        return self._known.take_own(self.maap.backend.transfers, NEWS_S)

    def _arrange(self) -> None:
        """Show the rows in their present order."""
        self._known.is_out_of_order = False
        self.head.counts = self._known.order.counts
        self.table.set_rows(self._known.order.lines)

    async def _watch_others(self) -> None:
        """Follow what other processes write, while this mode is shown."""
        while True:
            if self.is_current:
                await self._look_at_others()
                if not self.is_ready:
                    self._arrange()
                    self.is_ready = True
            await asyncio.sleep(POLL_S * (2 if self.maap.low_bandwidth else 1))

    async def _look_at_others(self) -> None:
        await self._follower.look(self._take_others)

    async def _take_others(self, news: QueueNews) -> None:
        await self._known.take_others(news)
        now = time.monotonic()
        if now - self._free_at >= DISK_S:
            self._free_at = now
            free = await asyncio.to_thread(files.free_bytes_for, self.maap.backend.session.dirs.data_dir)
            is_active = self.maap.backend.tally.snapshot().active
            self.head.free = free if is_active else steady(self.head.free, free)

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
        lines = [clean(first, room), folder]
        lines += fold(clean(self.table.reason_of(line)) or self.table.state_text(line), room, 2)
        if len(lines) > self.query_one("#detail").content_size.height:
            lines.remove(folder)  # enter shows the address; the remedy matters more
        self._set_detail("\n".join(lines))

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

    def _run(self, work: Callable[..., Coroutine[Any, Any, object]], *args: object) -> None:
        start_worker(self, work, *args, group="downloads-act")

    def _say(self, sentence: str, *, is_bad: bool = False) -> None:
        self.notify(clean(sentence, 200), severity="warning" if is_bad else "information", markup=False)

    async def _control(self, work: Callable[[Downloads], object]) -> None:
        await self.maap.backend.with_transfers(work)
        self.sample()

    def _own_urls(self, lines: Iterable[Line], *states: str) -> list[str]:
        return [line.url for line in lines if line.job is not None and line.job.state in states]

    def action_pause(self) -> None:
        lines = self.table.chosen
        going = self._own_urls(lines, "waiting", "running")
        paused = self._own_urls(lines, "paused")
        theirs, parked = obeying(lines, "waiting", "running"), obeying(lines, "paused")
        if going or theirs:
            self._run(self._control, lambda transfers: transfers.pause(going))
            self._have_done("pause", theirs)
        elif paused or parked:
            self._run(self._control, lambda transfers: transfers.resume(paused))
            self._have_done("resume", parked)
        elif any(line.row is not None and line.state in LIVE for line in lines):
            self._say("Another process has it: it can be stopped there only.", is_bad=True)
        else:
            self._say("Nothing here can be paused.")

    def action_pause_all(self) -> None:
        theirs = obeying(self._known.live_elsewhere.values(), "waiting", "running")
        parked = obeying(self._known.live_elsewhere.values(), "paused")

        def toggle(transfers: Downloads) -> None:
            if transfers.report.stopped is not None:
                transfers.resume_run()
            elif theirs or any(job.state in ("waiting", "running") for job in transfers.jobs.values()):
                transfers.pause()
            else:
                transfers.resume()

        transfers = self.maap.backend.transfers
        is_going = transfers is not None and any(
            self._own_urls(self._known.own.values(), "waiting", "running")
        )
        self._run(self._control, toggle)
        if theirs or not is_going:
            self._have_done("pause" if theirs else "resume", theirs or parked)

    def _have_done(self, action: str, rows: Sequence[QueueRow]) -> None:
        """Have other processes do something with their transfers."""
        if rows:
            self._run(self._wait_for_order, action, rows)

    async def _wait_for_order(self, action: str, rows: Sequence[QueueRow]) -> None:
        done = await self.maap.backend.order(action, rows)
        if done.unanswered:
            who = who_has(done.unanswered[0])
            self._say(f"{who} does not answer; {plural(len(done.unanswered), 'transfer')} stay.", is_bad=True)
        await self._look_at_others()
        self.sample()

    def action_cancel(self) -> None:
        chosen = self.table.chosen
        own = [line for line in chosen if line.job is not None and line.job.state in LIVE]
        left = [line for line in chosen if line.state == "interrupted"]
        theirs = [line for line in chosen if line.obeys]
        if own or left or theirs:
            self._run(self._cancel, own, left, theirs)
        elif any(line.row is not None and line.state in LIVE for line in chosen):
            self._say("Another process has it: it can be stopped there only.", is_bad=True)
        else:
            self._say("Nothing here waits or runs.")

    async def _cancel(self, own: Sequence[Line], left: Sequence[Line], theirs: Sequence[Line]) -> None:
        lines = [*own, *left, *theirs]
        if len(lines) > 1 and not await self.maap.confirm(
            f"Take {plural(len(lines), 'transfer')} ({size_of(lines)}) out of the queue? "
            "Parts stay; r puts back what this app had.",
            lines=await texts_of(lines),
            verb="Cancel them",
            key="y",
        ):
            return
        # At once: what is marked while the work goes on is meant for the next key.
        self.table.clear_marks()
        await self._control(lambda transfers: transfers.cancel([line.url for line in own]))
        self._have_done("cancel", obeying(theirs, *LIVE))
        await self._forget(left)

    async def _forget(self, lines: Sequence[Line]) -> None:
        """Take rows of other processes out of the queue on disk."""
        if not lines:
            return
        await self._follower.remove([line.key for line in lines])
        self._known.drop_others(lines)
        self._arrange()
        self.sample()

    def action_retry(self) -> None:
        lines = self.table.chosen
        if self.table.stopped and self._own_urls(lines, "waiting", "paused", "running"):
            self._run(self._control, lambda transfers: transfers.resume_run())
            return
        own = self._own_urls(lines, "failed", "cancelled")
        damaged = [line for line in lines if line.state == "damaged"]
        left = [line.row for line in lines if line.row is not None and self._can_take(line)]
        if own or damaged or left:
            self._run(self._retry, own, damaged, left)
        else:
            self._say("None of these transfers failed or was cancelled.")

    def action_retry_failed(self) -> None:
        failed = [line for line in self.table.rows if line.state == "failed"]
        own = self._own_urls(failed, "failed")
        left = [line.row for line in failed if line.row is not None and self._can_take(line)]
        if own or left:
            self._run(self._retry, own, [], left)
        else:
            self._say("Nothing has failed.")

    def _can_take(self, line: Line) -> bool:
        return line.row is not None and line.state in ("interrupted", "failed", "cancelled")

    async def _retry(self, own: Sequence[str], damaged: Sequence[Line], left: Sequence[QueueRow]) -> None:
        self.table.clear_marks()
        if own:
            await self._control(lambda transfers: transfers.retry(own))
        if requests := [replace(line.job.wanted, again=True) for line in damaged if line.job is not None]:
            await self.maap.backend.queue_files(requests)
        if self.maap.backend.worker is not None:
            # What the worker had goes on in the worker.
            self._have_done("retry", [row for row in left if row.verb == WORKER and not row.is_live])
            left = [row for row in left if row.verb != WORKER or row.is_live]
        if left:
            await self.maap.take_over(left)
        if lost := [line.row for line in damaged if line.row is not None]:
            await self.maap.take_over(lost, again=True)
        self.sample()

    def action_top(self) -> None:
        urls = self._own_urls(self.table.chosen, "waiting")
        theirs = obeying(self.table.chosen, "waiting")
        if urls or theirs:
            self.table.clear_marks()
        self._have_done("top", theirs)
        if urls:
            self._run(self._to_top, urls)
        elif not theirs:
            self._say("Nothing here waits for its turn.")

    async def _to_top(self, urls: Sequence[str]) -> None:
        await self._control(lambda transfers: transfers.move_to_top(urls))
        self._known.is_out_of_order = True

    def action_parallel(self, by: int) -> None:
        self._run(self._set_parallel, by)

    async def _set_parallel(self, by: int) -> None:
        """Change how many files come at once: in the worker where one runs, and here if files come here."""
        is_here = any(self._own_urls(self._known.own.values(), *LIVE))
        done = await self.maap.backend.ask_worker("parallel", str(by))
        if done is not None:
            words = f"One transfer {'more' if by > 0 else 'less'} at a time in the worker."
            self._say(words if done else "The worker does not answer.", is_bad=not done)
            if not is_here:
                return
        if self.maap.backend.transfers is None:
            await self.maap.backend.queue_files([])
        await self._control(lambda transfers: transfers.set_parallel(transfers.parallel + by))

    def action_clear(self) -> None:
        lines = [line for line in self.table.rows if line.state in ENDED]
        if lines:
            self._run(self._clear, lines)
        else:
            self._say("Nothing has ended.")

    async def _clear(self, lines: Sequence[Line]) -> None:
        if not await self.maap.confirm(
            f"Take {plural(len(lines), 'ended transfer')} ({size_of(lines)}) out of the list? "
            "Files and registry stay as they are.",
            lines=await texts_of(lines),
            verb="Clear",
            key="y",
        ):
            return
        self.table.clear_marks()
        await self.maap.backend.with_transfers(lambda transfers: transfers.clear_finished())
        jobs = self.maap.backend.transfers.jobs if self.maap.backend.transfers else {}
        gone = [line for url, line in self._known.own.items() if jobs.get(url) is not line.job]
        await asyncio.sleep(0)  # with many, each of these steps takes long
        self._known.drop_own(gone)
        await self._forget([line for line in lines if line.row is not None])
        await asyncio.sleep(0)
        self._arrange()
        self.sample()

    def subjects(self) -> Callable[[], list[dict[str, str]]]:
        """The marked transfers, or the one under the cursor, for a command of the user's."""
        chosen = [(line.key, line.url, line.kind[0]) for line in self.table.chosen]
        return lambda: [values_of_file(*one) for one in chosen]

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
            start_worker(self, self._verify, lines, group="verify", exclusive=True)
        else:
            self._say("Only a file that is here can be checked.")

    async def _verify(self, lines: Sequence[Line]) -> None:
        """Check files on disk, one after the other."""
        self.table.clear_marks()
        bad = done = 0
        evidence: Counter[str] = Counter()
        judge = self.maap.backend.session.judge()
        try:
            for line in lines:
                self.head.doing = f"Verifying {done + 1} of {plural(len(lines), 'file')}; V stops it."
                line.verdict = await asyncio.to_thread(verdict_of, judge, line)
                self._known.look_at(line)
                bad += line.verdict.is_bad
                evidence.update([line.verdict.evidence] if line.verdict.state == GOOD else [])
                done += 1
        finally:
            self.head.doing = ""
            self._show_detail()
        if bad:
            found = outcome_words(bad, evidence)
            self._say(f"Verified {plural(done, 'file')}: {found}. r fetches what is bad again.", is_bad=True)
        elif done == 1 and lines[0].verdict is not None:
            self._say(f"Verified: {lines[0].verdict.sentence}.")
        else:
            self._say(f"Verified {plural(done, 'file')}: {outcome_words(0, evidence)}.")

    def action_take_over(self) -> None:
        left = [line for line in self.table.rows if line.state == "interrupted"]
        marked = (
            [line for line in self.table.chosen if line.state == "interrupted"] if self.table.marks else []
        )
        rows = [line.row for line in marked or left if line.row is not None]
        if rows:
            self._run(self._take_over, rows)
        else:
            self._say("No crashed process left transfers.")

    async def _take_over(self, rows: Sequence[QueueRow]) -> None:
        self.table.clear_marks()
        count = await self.maap.take_over(rows)
        self._say(f"Going on with {plural(count, 'transfer')}.")
        self.sample()
