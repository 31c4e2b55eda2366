"""The place Downloads: every transfer of this user, live, and what can be done with it.

The app's own transfers are read from the engine's queue as they are; those of other processes from the
queue on disk, in a thread. Own ones alone can be controlled; what a dead process left can be taken over.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual import on, work
from textual.widget import Widget
from textual.widgets import Static

from maap_tui.engine.downloads import Downloads, Job
from maap_tui.engine.missions import parse_name
from maap_tui.engine.queue import LIVE, Process, QueueRow, dead_processes
from maap_tui.engine.transfer import Wanted, existing_size, is_whole
from maap_tui.text import clean, format_bytes, format_duration, format_rate, format_time, plural
from maap_tui.tui import theme
from maap_tui.tui.dialogs.columns import ColumnsDialog
from maap_tui.tui.dialogs.show_text import TextDialog
from maap_tui.tui.keys import bindings
from maap_tui.tui.screens.place import PlaceScreen
from maap_tui.tui.widgets.filter_line import FilterLine
from maap_tui.tui.widgets.rows import Column, RowList

POLL_S = 0.5
"""Seconds between two looks at what other processes wrote."""

RATE_WINDOW_S = 3.0
"""Seconds that the rate of one transfer is taken over."""

NEWS_AT_ONCE = 5000
"""Changed transfers taken in one sample; the rest waits for the next one."""

ARRANGE_S = 0.5
"""Least seconds between two arrangements of the rows."""

SHORT_NAME = 22
"""Cells for product type, baseline and orbit."""

WHOLE_NAME = 64
"""Cells for a file's whole name."""

BAR_CELLS = 7
"""Cells of the bar of a transfer."""

DISK_S = 10.0
"""Seconds between two looks at the free space."""

MOVING_COLUMNS = ("state", "bar", "bytes", "rate", "left", "tries")
"""Columns that change while a transfer runs; they stand on the left."""

ENDED = frozenset({"finished", "skipped", "cancelled"})
"""States that `clear` takes out of the list; what failed stays."""

_GROUPS = ("running", "retrying", "damaged", "failed", "interrupted", "paused", "waiting")


class Line:
    """One row of the list: a transfer of this app or of another process."""

    __slots__ = (
        "_short", "again_s", "cells", "ended", "job", "key", "marks", "row", "state", "trouble", "url",
        "verdict",
    )  # fmt: skip

    def __init__(self, key: str, url: str, *, job: Job | None = None, row: QueueRow | None = None) -> None:
        self.key = key
        """Final path of the file."""
        self.url = url
        self.job = job
        """None for a transfer of another process."""
        self.row = row
        """None for a transfer of this app."""
        self._short = ""
        self.marks: deque[tuple[float, int]] = deque()
        self.cells: tuple[str, ...] = ()
        """What the moving columns showed last."""
        self.ended = 0.0
        """When it ended, seconds since 1970; 0 while it has not."""
        self.verdict = ""
        """What a check of the file on disk found; '' when none was made."""
        self.trouble = ""
        """What is wrong with the file on disk; '' when nothing is known to be."""
        self.again_s = 0.0
        """Seconds until the next try; 0 when none is waited for."""
        self.state = ""
        self.update(set())

    def update(self, dead: set[Process]) -> bool:
        """Look again; whether the state changed, and with it the row's place."""
        before = self.state
        if self.job is not None:
            job = self.job
            self.state = job.state
            self.again_s = 0.0
            if job.state == "running" and job.again_at:
                self.state, self.again_s = "retrying", max(0.0, job.again_at - time.monotonic())
            if job.state in LIVE:
                self.verdict = self.trouble = ""
                self.ended = 0.0
            elif not self.ended:
                self.ended = time.time()
        elif self.row is not None:
            is_left = self.row.is_live and self.row.process in dead
            self.state = "interrupted" if is_left else self.row.state
            self.ended = 0.0 if self.row.is_live else self.row.changed
        if self.trouble and self.state in ("finished", "skipped"):
            self.state = "damaged"
        if self.state != "running":
            self.marks.clear()
        return self.state != before

    @property
    def name(self) -> str:
        """The file's name."""
        return self.key.rpartition("/")[2]

    @property
    def short(self) -> str:
        """What fits into a narrow column and still tells the file."""
        if not self._short:
            self._short = self.name
            parsed = parse_name(self.name)
            if parsed is not None:
                orbit = f"{parsed.orbit:05d}{parsed.frame or ''}" if parsed.orbit is not None else ""
                sensed = "" if orbit else f"{parsed.sensing_start:%y%m%d %H%M}"
                self._short = " ".join(filter(None, (parsed.product_type, parsed.baseline, orbit, sensed)))
        return self._short

    @property
    def source(self) -> Job | QueueRow:
        """Where its numbers come from."""
        found = self.job if self.job is not None else self.row
        assert found is not None
        return found

    @property
    def rate(self) -> float:
        """Bytes a second over the last seconds."""
        if len(self.marks) < 2:
            return 0.0
        (begin, before), (end, after) = self.marks[0], self.marks[-1]
        return max(0.0, (after - before) / max(end - begin, 0.2))

    def measure(self, now: float) -> None:
        """Note how far it is, for the rate."""
        if self.state == "running":
            received = self.source.received
            if self.marks and received < self.marks[-1][1]:
                self.marks.clear()
            self.marks.append((now, received))
            while len(self.marks) > 2 and now - self.marks[0][0] > RATE_WINDOW_S:
                self.marks.popleft()

    @property
    def seconds_left(self) -> float | None:
        """None while nothing tells."""
        size, rate = self.source.size, self.rate
        return (size - self.source.received) / rate if size and rate > 0 else None

    @property
    def order(self) -> tuple[int, float, str]:
        """Its place in the list: what needs the eye first, what ended last at the end."""
        if self.state in _GROUPS:
            return _GROUPS.index(self.state), self.source.position, self.key
        return len(_GROUPS), -self.ended, self.key


class TransferList(RowList):
    """The list; its filter also sees whole names, reasons and the commands that queued them."""

    def show_cursor_after(self, before: int) -> None:
        """Follow a row that moved a little; one that went far away, having ended, is not run after."""
        visible = max(1, self._visible_rows)
        was_in_view = self._top <= before < self._top + visible
        if was_in_view and abs(self.cursor - before) < visible:
            super().show_cursor_after(before)

    def _passes(self, row: Line) -> bool:
        needle, wanted = self.needle, True
        if needle.startswith("!"):
            needle, wanted = needle[1:], False
        verb = row.row.verb if row.row is not None else ""
        word = theme.STATE_WORDS.get(row.state, row.state)
        text = f"{word} {row.name} {row.short} {row.source.reason} {verb}".lower()
        return all(one in text for one in needle.split()) is wanted


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
        self._counts: Counter[str] = Counter()
        self._elsewhere: list[QueueRow] = []
        self._rates: deque[float] = deque(maxlen=240)
        self._rate_at = 0.0
        self._free: int | None = None
        self._free_at = -DISK_S
        self._checking = ""
        self._has_chosen_columns = False
        self._shown: dict[str, str] = {}

    def body(self) -> Iterable[Widget]:
        yield Static("", id="summary", markup=False)
        yield Static("", id="note", markup=False)
        yield Static("", id="trouble", markup=False)
        table = TransferList(
            [
                Column("state", "State", 11, self._state_text, self._tone, _state_order, is_untrusted=False),
                Column("bar", "Done", BAR_CELLS, self._bar_text, self._tone, _part_done, is_untrusted=False),
                Column(
                    "bytes", "Bytes", 13, _bytes_text, order=_size_order, is_right=True, is_untrusted=False
                ),
                Column("rate", "Rate", 10, _rate_text, order=_rate_order, is_right=True, is_untrusted=False),
                Column("left", "Left", 6, _left_text, order=_left_order, is_right=True, is_untrusted=False),
                Column("tries", "Try", 3, _tries_text, order=_tries_order, is_right=True, is_untrusted=False),
                Column("name", "Name", 0, self._name_text, order=lambda line: line.name),
                Column("reason", "Reason", 30, self._reason_text, tone=lambda line: "muted"),
            ],
            key=lambda line: line.key,
            empty_text=(
                "Nothing in the queue.\n\n"
                "Press 2, search, mark granules with space and press d: they come here. "
                "What `maap get`, `download` and `sync` fetch elsewhere is shown here too, while they do."
            ),
            id="transfers",
        )
        yield FilterLine(table)
        yield table
        yield Static("", id="detail", markup=False)

    def on_mount(self) -> None:
        self.table.focus()
        self._fit_columns()
        self.set_interval(1.0, self._note_rate)
        self._watch_others()

    @property
    def table(self) -> TransferList:
        """The list of transfers."""
        return self.query_one(TransferList)

    def on_resize(self) -> None:
        self._fit_columns()
        self._shown.clear()

    def _fit_columns(self) -> None:
        if self._has_chosen_columns:
            return
        width = self.size.width
        keys = [*MOVING_COLUMNS, "name"]
        if width < 76:
            keys = ["state", "bytes", "rate", "name"]
        elif width >= 110:
            keys.append("reason")
        self.table.set_columns(keys)
        if width >= 110:
            widths = {"name": WHOLE_NAME if width >= 150 else SHORT_NAME, "reason": 0}
            self.table.columns = [
                replace(column, width=widths.get(column.key, column.width)) for column in self.table.columns
            ]

    @on(ColumnsDialog.Changed)
    def keep_columns(self) -> None:
        """Let the user's choice of columns stand, whatever the width."""
        self._has_chosen_columns = True

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
        keys = []
        for line in changed.values():
            line.measure(now)
            cells = self._cells(line)
            if cells != line.cells:
                line.cells = cells
                keys.append(line.key)
        if self._is_out_of_order and now >= self._arrange_after:
            self._arrange()
            # A large list is put in order less often, so that most of the time is left for the keys.
            cost = time.monotonic() - now
            self._arrange_after = now + max(ARRANGE_S, 15 * cost)
        elif keys:
            self.table.refresh_rows(keys, MOVING_COLUMNS)
        self._show_head(now)
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
        self._counts = Counter(line.state for line in lines)
        self._elsewhere = [
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
            self._free = await asyncio.to_thread(_free_bytes, self.maap.session.places.data_dir)

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

    def _cells(self, line: Line) -> tuple[str, ...]:
        return (
            self._state_text(line),
            self._bar_text(line),
            _bytes_text(line),
            _rate_text(line),
            _left_text(line),
            _tries_text(line),
            line.source.reason,
        )

    def _state_text(self, line: Line) -> str:
        return theme.STATE_WORDS.get(line.state, line.state)

    def _tone(self, line: Line) -> str:
        return theme.STATE_TONES.get(line.state, "plain")

    def _bar_text(self, line: Line) -> str:
        glyphs = self.maap.glyphs
        part = _part_done(line)
        if part < 0:
            return ""
        filled = int(part * BAR_CELLS)
        return glyphs.full * filled + glyphs.empty * (BAR_CELLS - filled)

    def _name_text(self, line: Line) -> str:
        return line.name if self.size.width >= 150 else line.short

    def _reason_text(self, line: Line) -> str:
        is_plain = line.state in ("waiting", "running", "paused", "cancelled") and line.row is None
        return line.source.reason if is_plain else self.reason_of(line)

    def reason_of(self, line: Line) -> str:
        """Why it stands where it stands, and what to do, in words."""
        reason = line.source.reason
        stopped = self._stopped
        if line.state == "retrying":
            return f"{reason}; next try in {line.again_s:.0f} s"
        if line.state == "failed":
            return f"{reason}. {_advice(reason)}"
        if line.state == "damaged":
            return f"{line.trouble}. r fetches it again."
        if line.state == "interrupted" and line.row is not None:
            return f"{_who(line.row)} ended before it was done. T goes on with it."
        if line.row is not None and line.row.is_live:
            return f"{_who(line.row)} has it and controls it."
        if line.state == "waiting" and stopped:
            return f"{stopped} r goes on."
        if line.state == "waiting":
            return reason or "Its turn comes. t puts it next."
        if line.state == "paused":
            return "Paused. p lets it go on."
        if line.state == "cancelled":
            return "Taken out of the queue; its part stays. r puts it back."
        return line.verdict or reason

    @property
    def _stopped(self) -> str:
        """What stopped the own run and what to do about it; '' while it goes on."""
        stopped = self.maap.transfers.report.stopped if self.maap.transfers else None
        return "" if stopped is None else " ".join(filter(None, (stopped.message + ".", stopped.hint)))

    def _note_rate(self) -> None:
        self._rates.append(self.maap.tally.snapshot().rate)

    def _show(self, name: str, text: str) -> None:
        if self._shown.get(name) != text:
            self._shown[name] = text
            self.query_one(f"#{name}", Static).update(
                Text(text, no_wrap=name != "detail", end=""), layout=False
            )

    def _show_head(self, now: float) -> None:
        snapshot = self.maap.tally.snapshot()
        parts = []
        if snapshot.queued:
            parts.append(f"{snapshot.done}/{plural(snapshot.queued, 'file')}")
            parts.append(f"{format_bytes(snapshot.bytes_done)} of {format_bytes(snapshot.bytes_total)}")
            if snapshot.active:
                parts.append(format_rate(snapshot.rate))
            if snapshot.active and snapshot.seconds_left is not None:
                parts.append(f"{format_duration(snapshot.seconds_left)} left")
        if self._free is not None:
            parts.append(f"{format_bytes(self._free)} free")
        head = " " + "  ".join(parts)
        room = self.size.width - len(head) - 3
        if room >= 4 and any(self._rates):
            head += "  " + sparkline(list(self._rates)[-room:], self.maap.glyphs.levels)
        self._show("summary", head)
        self._show_note()

    def _show_note(self) -> None:
        counts = self._counts
        parallel = self.maap.transfers.parallel if self.maap.transfers else self._setting_parallel
        parts = [f"{parallel} at once"]
        for state, hint in (
            ("failed", "R retries"),
            ("damaged", "r fetches again"),
            ("interrupted", "T goes on"),
            ("paused", "P resumes"),
        ):
            if counts[state]:
                parts.append(f"{counts[state]:,} {theme.STATE_WORDS.get(state, state)} ({hint})")
        running = [row for row in self._elsewhere if row.state == "running"]
        if self._elsewhere:
            parts.append(f"{_who(running[0] if running else self._elsewhere[0])}: {len(running):,} running")
        note = " " + f" {self.maap.glyphs.dot} ".join(parts)
        is_stopped = False
        if self._checking:
            note = f" {self._checking}"
        elif stopped := self._stopped:
            note, is_stopped = f" Stopped: {stopped} r goes on.", True
        widget = self.query_one("#note", Static)
        if widget.has_class("-error") is not is_stopped:
            widget.set_class(is_stopped, "-error")
        self._show("note", clean(note))
        trouble = self._queue_trouble
        self.query_one("#trouble").display = bool(trouble)
        self._show("trouble", trouble)

    @property
    def _queue_trouble(self) -> str:
        """What is wrong with the queue on disk and what to do, in a line; '' when nothing is."""
        queue = self.maap.queue
        if queue.trouble:
            return " The queue file cannot be used (5 says why). Transfers go on; mend it, restart."
        if queue.set_aside is not None:
            return " The queue file was damaged and begun anew. What waited: press 4, then d there."
        return ""

    @property
    def _setting_parallel(self) -> int:
        return int(self.maap.session.settings.downloads.parallel)

    def _show_detail(self) -> None:
        line = self.table.current
        if line is None:
            self._show("detail", "")
            return
        room = max(20, self.size.width - 2)
        first = line.name
        if line.row is not None:
            first += f"  ({_who(line.row)} on {line.row.host})"
        folder = clean(str(Path(line.key).parent))
        if len(folder) > room:
            folder = "..." + folder[3 - room :]
        reason = clean(self.reason_of(line)) or self._state_text(line)
        self._show("detail", f"{clean(first, room)}\n{folder}\n{reason}")

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
            ("State", self._state_text(line)),
            ("Reason", self.reason_of(line)),
            ("Bytes", f"{source.received:,} of {'unknown' if source.size is None else f'{source.size:,}'}"),
            ("Failed tries", str(source.tries)),
            ("Folder", str(Path(line.key).parent)),
            ("Address", line.url),
        ]
        if line.row is not None:
            facts.append(("Process", f"{_who(line.row)} on {line.row.host}"))
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
        if self._stopped and self._own_urls(lines, "waiting", "paused", "running"):
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
        if self._checking:
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
                self._checking = f"Checking {done + 1} of {plural(len(lines), 'file')}; V stops it."
                found = await asyncio.to_thread(check_file, Path(line.key), line.source.size)
                line.verdict, line.trouble = found
                self._is_out_of_order |= line.update(self._dead)
                bad += bool(line.trouble)
                done += 1
        finally:
            self._checking = ""
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


def sparkline(values: Sequence[float], levels: str) -> str:
    """Values as glyphs of growing height, the largest one full; nothing is the lowest."""
    top = max(values, default=0.0)
    if top <= 0:
        return levels[0] * len(values)
    last = len(levels) - 1
    return "".join(levels[0 if value <= 0 else max(1, round(value / top * last))] for value in values)


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


def _advice(reason: str) -> str:
    if "403" in reason:
        return "Ask ESA for access to the collection, then r."
    if "404" in reason or "410" in reason:
        return "Search again: it may have a new version."
    if "not on the archive" in reason:
        return "Add its origin to api.data_origins if you trust it."
    if "max_file" in reason:
        return "Raise downloads.max_file, then r."
    return "r tries again and keeps the part."


def _who(row: QueueRow) -> str:
    return f"maap {row.verb or 'process'} {row.pid}" if row.pid else f"maap {row.verb or 'process'}"


def _size_of(lines: Iterable[Line]) -> str:
    return format_bytes(sum(line.source.size or 0 for line in lines))


def _line_text(line: Line) -> str:
    size = "?" if line.source.size is None else format_bytes(line.source.size)
    return f"{theme.STATE_WORDS.get(line.state, line.state):<12}{size:>10}  {line.name}"


def _free_bytes(folder: Path) -> int | None:
    for place in (folder, *folder.parents):
        try:
            return shutil.disk_usage(place).free
        except OSError:
            continue
    return None


def _part_done(line: Line) -> float:
    """Between 0 and 1; -1 while the size is unknown or nothing is here."""
    size = line.source.size
    if line.state in ("finished", "skipped"):
        return 1.0
    received = line.source.received
    return min(1.0, received / size) if size and (received or line.state == "running") else -1.0


def _bytes_text(line: Line) -> str:
    size, received = line.source.size, line.source.received
    if size is None:
        return format_bytes(received) if received else "?"
    if not received or received >= size or line.state in ("finished", "skipped"):
        return format_bytes(size)
    whole, unit = format_bytes(size).split(" ")
    here = received / 1024 ** ("B", "KiB", "MiB", "GiB", "TiB", "PiB").index(unit)
    return f"{here:.0f}/{whole} {unit}" if here >= 99.95 or unit == "B" else f"{here:.1f}/{whole} {unit}"


def _rate_text(line: Line) -> str:
    return format_rate(line.rate) if line.state == "running" and line.marks else ""


def _left_text(line: Line) -> str:
    if line.state == "retrying":
        return f"in {line.again_s:.0f}s"
    seconds = line.seconds_left if line.state == "running" else None
    if seconds is None:
        return ""
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 100:
        return f"{hours // 24} d"
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{left:02}s" if minutes else f"{left} s"


def _tries_text(line: Line) -> str:
    return str(line.source.tries) if line.source.tries else ""


def _state_order(line: Line) -> tuple[int, float, str]:
    return line.order


def _size_order(line: Line) -> int:
    return line.source.size or 0


def _rate_order(line: Line) -> float:
    return line.rate


def _left_order(line: Line) -> float:
    return float("inf") if line.seconds_left is None else line.seconds_left


def _tries_order(line: Line) -> int:
    return line.source.tries
