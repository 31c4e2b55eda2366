"""TransferList: the rows of the mode Downloads, one a transfer, and how each is shown."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

from maap_tui.engine.download.jobs import DownloadJob
from maap_tui.engine.download.queue_control import OBEDIENT, WORKER
from maap_tui.engine.download.queue_store import LIVE, Process, QueueRow
from maap_tui.engine.errors import MaapError, needs_new_token
from maap_tui.engine.integrity.verify import Verdict
from maap_tui.engine.missions import parse_name
from maap_tui.text import format_bytes, format_rate, short_duration
from maap_tui.tui import theme
from maap_tui.tui.gauges import bar
from maap_tui.tui.host import OnHost
from maap_tui.tui.widgets.row_list import RowList
from maap_tui.tui.widgets.row_model import Arranged, Column

RATE_WINDOW_S = 3.0
"""Seconds that the rate of one transfer is taken over."""

SHORT_NAME = 22
"""Cells for product type, baseline and orbit."""

WHOLE_NAME = 64
"""Cells for a file's whole name."""

WHOLE_NAME_FROM = 190
"""Cells of the terminal from which whole names have room beside a long bar and the reason."""

TRIES_FROM = 90
"""Cells of the terminal from which on tries have room beside a name; the reason below says them too."""

BAR_CELLS = (7, 40)
"""Cells of the bar of a transfer, at least and at most."""

MOVING_COLUMNS = ("state", "bar", "bytes", "rate", "left", "tries")
"""Columns that change while a transfer runs; they stand on the left."""

ENDED = frozenset({"finished", "skipped", "cancelled"})
"""States that `clear` takes out of the list; what failed stays."""

GROUPS = ("running", "retrying", "damaged", "failed", "interrupted", "paused", "waiting")
"""States that have not ended or need attention, in the order of the list."""

_RANKS = {state: rank for rank, state in enumerate(GROUPS)}


class Line:
    """One row of the list: a transfer of this app or of another process."""

    __slots__ = (
        "_short",
        "_since",
        "again_s",
        "cells",
        "ended",
        "has_come",
        "job",
        "key",
        "marks",
        "placed_as",
        "position",
        "row",
        "shown_as",
        "state",
        "url",
        "verdict",
    )  # fmt: skip

    def __init__(
        self, key: str, url: str, *, job: DownloadJob | None = None, row: QueueRow | None = None
    ) -> None:
        self.key = key
        """Final path of the file."""
        self.url = url
        self.job = job
        """None for a transfer of another process."""
        self.row = row
        """None for a transfer of this app."""
        self._short = ""
        self.marks: deque[tuple[float, int]] | None = None
        """(time, bytes here) of the last seconds; None while it does not run."""
        self._since = 0.0
        """When the body that `marks` measure began to arrive."""
        self.has_come = False
        """Whether any byte came since it runs."""
        self.cells: tuple[str, ...] = ()
        """The last content of the changing columns."""
        self.ended = 0.0
        """When it ended, seconds since 1970; 0 while it has not."""
        self.verdict: Verdict | None = None
        """What a check of the file on disk found; None when none was made."""
        self.again_s = 0.0
        """Seconds until the next try; 0 when none is waited for."""
        self.state = ""
        self.position: tuple[int, float, str] | tuple[()] = ()
        """Where its `TransferOrder` has it; () for nowhere."""
        self.shown_as: tuple[int, float, str] | tuple[()] = ()
        """The `position` that it was last shown at; () for nowhere."""
        self.placed_as = ""
        """The state it is counted as there; '' for none."""
        self.update(set())

    def update(self, dead: set[Process]) -> bool:
        """Read its state again; returns whether it changed, and with it the row's position."""
        before = self.state
        if self.job is not None:
            job = self.job
            self.state = job.state
            self.again_s = 0.0
            if job.state == "running" and job.again_at:
                self.state, self.again_s = "retrying", max(0.0, job.again_at - time.monotonic())
            if job.state in LIVE:
                self.verdict = None
                self.ended = 0.0
            elif not self.ended:
                self.ended = time.time()
        elif self.row is not None:
            is_left = self.row.is_live and self.row.process in dead
            is_parked = self.row.state == "paused" and not self.row.pid and self.row.verb == WORKER
            self.state = "interrupted" if is_left and not is_parked else self.row.state
            self.ended = 0.0 if self.row.is_live else self.row.changed
        if self.verdict is not None and self.verdict.is_bad and self.state in ("finished", "skipped"):
            self.state = "damaged"
        if self.state != "running":
            self.marks = None
        return self.state != before

    @property
    def name(self) -> str:
        """The file's name."""
        return self.key.rpartition("/")[2]

    @property
    def short(self) -> str:
        """A short text that still identifies the file."""
        if not self._short:
            self._short = self.name
            parsed = parse_name(self.name)
            if parsed is not None:
                orbit = f"{parsed.orbit:05d}{parsed.frame or ''}" if parsed.orbit is not None else ""
                sensed = "" if orbit else f"{parsed.sensing_start:%y%m%d %H%M}"
                self._short = " ".join(filter(None, (parsed.product_type, parsed.baseline, orbit, sensed)))
        return self._short

    @property
    def obeys(self) -> bool:
        """Whether it is another process's that does what is asked of it, or waits for the worker."""
        return self.row is not None and self.row.verb in OBEDIENT and self.state in LIVE

    @property
    def source(self) -> DownloadJob | QueueRow:
        """Where its numbers come from."""
        found = self.job if self.job is not None else self.row
        assert found is not None
        return found

    @property
    def kind(self) -> tuple[str, str, str]:
        """Collection, product type and baseline, which files of about the same size have in common."""
        if self.row is not None:
            return self.row.collection, self.row.product_type, self.row.baseline
        key = self.job.wanted.key if self.job is not None else None
        return (key.collection, key.product_type, key.baseline) if key is not None else ("", "", "")

    @property
    def rate(self) -> float | None:
        """Bytes a second over the last seconds; None while too little came to know."""
        if self.marks is None or len(self.marks) < 2 or not self.has_come:
            return None
        (begin, before), (end, after) = self.marks[0], self.marks[-1]
        return max(0.0, (after - before) / max(end - begin, 0.2))

    def measure(self, now: float) -> None:
        """Record its progress, for the rate."""
        if self.state != "running" or (self.job is not None and not self.job.since):
            return
        received = self.source.received
        # A part that was here before did not come now.
        since = self.job.since if self.job is not None else 0.0
        if self.marks is None or since != self._since or received < self.marks[-1][1]:
            self.marks, self.has_come, self._since = deque(), False, since
        self.marks.append((now, received))
        self.has_come |= received > self.marks[0][1]
        while len(self.marks) > 2 and now - self.marks[0][0] > RATE_WINDOW_S:
            self.marks.popleft()

    @property
    def seconds_left(self) -> float | None:
        """None while it is not known."""
        size, rate = self.source.size, self.rate
        return (size - self.source.received) / rate if size and rate else None

    @property
    def took_s(self) -> float:
        """Seconds that the whole transfer took; 0 while it has not come, and of other processes."""
        return self.job.took_s if self.job is not None and self.state in ("finished", "damaged") else 0.0

    @property
    def mean_rate(self) -> float:
        """Bytes a second that came in this time; 0 where it is not known."""
        return self.job.came / self.took_s if self.job is not None and self.took_s else 0.0

    @property
    def order(self) -> tuple[int, float, str]:
        """Its sort key: first what needs attention, at the end what ended last."""
        rank = _RANKS.get(self.state)
        if rank is not None:
            return rank, self.source.position, self.key
        return len(GROUPS), -self.ended, self.key


def bar_cells(width: int) -> int:
    """Cells of the bar of a transfer in a terminal of so many: of those above 80 a quarter, above 120 all."""
    least, most = BAR_CELLS
    return min(max(least + (min(width, 120) - 80) // 4 + max(width - 120, 0), least), most)


def state_word(line: Line) -> str:
    """The word for its state: of a file that is here and was checked, what the check found."""
    if line.verdict is not None and line.state in ("finished", "skipped", "damaged"):
        return line.verdict.state
    return theme.STATE_WORDS.get(line.state, line.state)


class TransferList(OnHost, RowList):
    """The list; its filter also sees whole names, reasons and the commands that queued them."""

    def __init__(self) -> None:
        super().__init__(
            [
                Column("state", "State", 13, self._signed, self._tone, _state_order, is_untrusted=False),
                Column(
                    "bar", "Done", BAR_CELLS[0], self._bar_text, self._tone, _part_done, is_untrusted=False
                ),
                Column(
                    "bytes", "Bytes", 13, _bytes_text, order=_size_order, is_right=True, is_untrusted=False
                ),
                Column("rate", "Rate", 10, _rate_text, order=_rate_order, is_right=True, is_untrusted=False),
                Column("left", "Left", 6, _left_text, order=_left_order, is_right=True, is_untrusted=False),
                Column("tries", "Try", 3, _tries_text, order=_tries_order, is_right=True, is_untrusted=False),
                Column("name", "Name", 0, self._name_text, order=lambda line: line.name, mutes_repeats=True),
                Column("reason", "Reason", 30, self._reason_text, tone=lambda line: "muted"),
            ],
            key=lambda line: line.key,
            empty_text=(
                "Nothing in the queue.\n\n"
                "Press 2, search, mark granules with space and press d: they come here. "
                "What `maap get`, `download` and `sync` fetch elsewhere is shown here too, while they do."
            ),
            filter_text=_filter_text,
            id="transfers",
        )
        self._has_chosen_columns = False

    def _show(self, arranged: Arranged) -> None:
        super()._show(arranged)
        for line in self.shown:
            line.shown_as = line.position
        self._note_drawn()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self._note_drawn()

    def _note_drawn(self) -> None:
        """Take the rows in view as drawn, all of which are about to be: `repaint` draws what changes then."""
        for line in self._in_view:
            line.cells = self._cells(line)

    @property
    def _in_view(self) -> Sequence[Line]:
        return self.shown[self._top : self._top + self._visible_rows + 1]

    def cursor_after(self, before: int, found: int, shown: Sequence[Line]) -> int:
        """The cursor's position after an update: on its row, but near where it was.

        It stays at its position when its row went elsewhere because that ended, or out of view because
        its state changed. Before anyone moved it, it is on the first transfer that runs.
        """
        if not self.has_moved:
            return self.first_running(shown)
        if not 0 <= found < len(shown) or shown[found].position == shown[found].shown_as:
            return found
        is_far = abs(found - before) >= max(1, self._visible_rows)
        return before if is_far or shown[found].state not in GROUPS else found

    def first_running(self, shown: Sequence[Line]) -> int:
        """Where the first transfer that runs is; 0 when none does."""
        if self.sort_key is None:
            return 0
        return next((at for at, row in enumerate(shown) if row.state in ("running", "retrying")), 0)

    def on_resize(self) -> None:
        self._fit_columns()
        self._note_drawn()

    def _fit_columns(self) -> None:
        """Show the columns that the width has room for, until the user chose some, and long bars."""
        width = self.app.size.width
        if self._has_chosen_columns:
            self.resize_columns({"bar": bar_cells(width)})
            return
        keys = [*MOVING_COLUMNS, "name"]
        if width < 76:
            keys = ["state", "bar", "rate", "name"]
        elif width < TRIES_FROM:
            keys.remove("tries")
        elif width >= 110:
            keys.append("reason")
        self.set_columns(keys)
        widths = {"bar": bar_cells(width)}
        if width >= 110:
            widths |= {"name": WHOLE_NAME if width >= WHOLE_NAME_FROM else SHORT_NAME, "reason": 0}
        self.resize_columns(widths)

    def keep_columns(self) -> None:
        """Keep the user's choice of columns at any width."""
        self._has_chosen_columns = True
        self._fit_columns()

    def repaint(self) -> None:
        """Draw those rows in view again that look different, each as far as it does."""
        reaches: dict[int, list[str]] = {}
        for line in self._in_view:
            before, line.cells = line.cells, self._cells(line)
            if line.cells == before:
                continue
            reach = len(MOVING_COLUMNS)
            if before and line.cells[0] == before[0]:  # another state has other colours, too
                reach = max(at for at, cell in enumerate(line.cells, 1) if cell != before[at - 1])
            reaches.setdefault(reach, []).append(line.key)
        for reach, keys in reaches.items():
            self.refresh_rows(keys, MOVING_COLUMNS[:reach])

    def _cells(self, line: Line) -> tuple[str, ...]:
        return (
            self.state_text(line),
            self._bar_text(line),
            _bytes_text(line),
            _rate_text(line),
            _left_text(line),
            _tries_text(line),
            line.source.reason,
        )

    def state_text(self, line: Line) -> str:
        """The word for its state."""
        return state_word(line)

    def _signed(self, line: Line) -> str:
        return theme.with_sign(line.state, self.state_text(line))

    def _tone(self, line: Line) -> str:
        return theme.STATE_TONES.get(line.state, "plain")

    def _bar_text(self, line: Line) -> str:
        part = _part_done(line)
        # What is done says so by its state; a column of full bars would draw the eye from what runs.
        return "" if part in (-1.0, 1.0) else bar(part, bar_cells(self.app.size.width), self.maap.glyphs)

    def _name_text(self, line: Line) -> str:
        return line.name if self.app.size.width >= WHOLE_NAME_FROM else line.short

    def _reason_text(self, line: Line) -> str:
        if line.state == "damaged":
            return line.verdict.sentence if line.verdict else line.source.reason
        # The detail below says what to do: here is room for the reason only.
        is_plain = line.state in ("waiting", "running", "paused", "cancelled") and line.row is None
        return line.source.reason if is_plain or line.state == "failed" else self.reason_of(line)

    def reason_of(self, line: Line) -> str:
        """The reason for its state, and what to do, in words."""
        reason = line.source.reason
        stopped = self.stopped
        if line.state == "retrying":
            when = f"next try in {line.again_s:.0f} s" if line.again_s else "trying again now"
            return f"{when}: {reason}"
        if line.state == "failed":
            return f"{_advice(reason)}: {reason}"
        if line.state == "damaged":
            return f"r fetches it again: {line.verdict.sentence if line.verdict else reason}"
        if line.state == "interrupted" and line.row is not None:
            return f"T goes on with it: {who_has(line.row)} ended before it was done."
        if line.row is not None and line.row.is_live:
            return self._reason_of_others(line, line.row)
        if line.state == "waiting" and stopped:
            return stopped
        if line.state == "waiting" and (awaited := self.awaited):
            return awaited
        if line.state == "waiting":
            return reason or "Its turn comes. t puts it next."
        if line.state == "paused":
            return "Paused. p lets it go on."
        if line.state == "cancelled":
            return "Taken out of the queue; its part stays. r puts it back."
        return line.verdict.sentence if line.verdict else reason

    def _reason_of_others(self, line: Line, row: QueueRow) -> str:
        if not line.obeys:
            return f"{who_has(row)} has it and controls it."
        if row.state == "paused":
            return f"Paused{f' in {who_has(row)}' if row.pid else ''}. p lets it go on."
        if row.state == "running" or not row.pid:
            return f"{who_has(row)} has it. p pauses it, x takes it out."
        return row.reason or f"Its turn comes in {who_has(row)}. t puts it next, p pauses it."

    @property
    def stopped(self) -> str:
        """The keys that let this app's transfers continue, then what stopped them; '' while they run."""
        stopped = self.maap.backend.transfers.report.stopped if self.maap.backend.transfers else None
        return "" if stopped is None else remedy_of(stopped)

    @property
    def awaited(self) -> str:
        """What this app's transfers wait for, to continue by themselves; '' while they run."""
        halt = self.maap.backend.transfers.halt if self.maap.backend.transfers else None
        return "" if halt is None else f"{halt.message}. It goes on by itself when there is room."


def remedy_of(stopped: MaapError) -> str:
    """What to do about an error that stopped the run, the keys first: the end may be cut off."""
    keys = "F8 signs in, r goes on" if needs_new_token(stopped) else "r goes on"
    return f"{keys}. Stopped: {stopped.sentences}"


def _advice(reason: str) -> str:
    if "403" in reason:
        return "Ask ESA for access to the collection, then r"
    if "404" in reason or "410" in reason:
        return "Search again, it may have a new version"
    if "not on the archive" in reason:
        return "Add its origin to api.data_origins if you trust it, then r"
    if "max_file" in reason:
        return "Raise downloads.max_file, then r"
    return "r tries again and keeps the part"


def who_has(row: QueueRow) -> str:
    """The process that has a transfer, in words."""
    return who_is(row.verb, row.pid)


def who_is(verb: str, pid: int) -> str:
    """A process in words, by its command."""
    return f"maap {verb or 'process'} {pid}" if pid else f"maap {verb or 'process'}"


def _filter_text(line: Line) -> str:
    """The text that is filtered: whole names, reasons and the command that queued it, shown or not."""
    verb = line.row.verb if line.row is not None else ""
    return f"{state_word(line)} {line.name} {line.short} {line.source.reason} {verb}"


def _part_done(line: Line) -> float:
    """Between 0 and 1; -1 while the size is unknown or nothing is here."""
    size = line.source.size
    if line.state in ("finished", "skipped"):
        return 1.0
    received = line.source.received
    return min(1.0, received / size) if size and received else -1.0


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
    if line.state == "running":
        return "" if line.rate is None else format_rate(line.rate)
    return format_rate(line.mean_rate) if line.mean_rate else ""


def _left_text(line: Line) -> str:
    if line.state == "retrying":
        return f"in {line.again_s:.0f}s" if line.again_s else "now"
    if took_s := line.took_s:
        if took_s < 0.0995:
            return f"{took_s * 1000:.0f} ms"
        return f"{took_s:.1f} s" if took_s < 9.95 else short_duration(took_s)
    seconds = line.seconds_left if line.state == "running" else None
    return "" if seconds is None else short_duration(seconds)


def _tries_text(line: Line) -> str:
    return str(line.source.tries) if line.source.tries else ""


def _state_order(line: Line) -> tuple[int, float, str]:
    return line.order


def _size_order(line: Line) -> int:
    return line.source.size or 0


def _rate_order(line: Line) -> float:
    return line.rate or line.mean_rate


def _left_order(line: Line) -> float:
    return float("inf") if line.seconds_left is None else line.seconds_left


def _tries_order(line: Line) -> int:
    return line.source.tries
