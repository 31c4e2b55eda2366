"""QueueHead: the lines above the list of transfers: how far all is, and what is wrong."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from maap_tui.text import (
    clean,
    fold,
    format_bytes,
    format_count,
    format_duration,
    format_rate,
    format_sum,
    plural,
)
from maap_tui.tui import theme
from maap_tui.tui.host import OnHost
from maap_tui.tui.screens.downloads.transfers import who_is


class QueueHead(OnHost, Vertical):
    """Sampled by its mode; draws only what changed."""

    def __init__(self) -> None:
        super().__init__(id="head")
        self.counts: Counter[str] = Counter()
        """State -> transfers in it."""
        self.free: int | None = None
        """Bytes free where data go; None where that is not known."""
        self.doing = ""
        """What is done to files now, in place of the counts; '' for nothing."""
        self.stopped = ""
        """The keys that let the own run go on, then what stopped it; '' while it goes on."""
        self.awaited = ""
        """What the own run waits for; '' while it goes on."""
        self._rates: deque[float] = deque(maxlen=240)
        self._shown: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        yield Static("", id="summary", markup=False)
        yield Static("", id="note", markup=False)
        yield Static("", id="problem", markup=False)

    def on_mount(self) -> None:
        self.set_interval(1.0, self._note_rate)

    def on_resize(self) -> None:
        self._shown.clear()

    def _note_rate(self) -> None:
        self._rates.append(self.maap.backend.tally.snapshot().rate + self.maap.backend.elsewhere.rate)

    def sample(self) -> None:
        """Repaint what changed."""
        self._show_summary()
        self._show_note()
        self._show("problem", self._queue_problem)

    def _show(self, name: str, *parts: str) -> None:
        """Show a text, or its parts with a dot between them, in at most two lines, the summary in one."""
        dot = f" {self.maap.glyphs.dot} "
        text = dot.join(parts)
        if self._shown.get(name) == text:
            return
        lines = [f" {line}" for line in fold_parts(parts, dot, max(20, self.app.size.width - 2), 2)]
        shown = text if name == "summary" else "\n".join(lines)
        for line in self.query(f"#{name}").results(Static):  # none while the mode is made or taken down
            self._shown[name] = text
            line.update(Text(shown, no_wrap=True, end=""), layout=False)
            line.styles.height = 1 if name == "summary" else max(1, len(lines))
            line.display = bool(text)

    def _show_summary(self) -> None:
        own, others = self.maap.backend.tally.snapshot(), self.maap.backend.elsewhere
        parts = []
        if queued := own.queued + others.queued:
            parts.append(f"{format_count(own.done + others.done)}/{plural(queued, 'file')}")
            done, total = own.bytes_done + others.bytes_done, own.bytes_total + others.bytes_total
            words = format_sum(total, unknown=own.unknown + others.unknown, guessed=own.guessed)
            parts.append(f"{format_bytes(done)} of {words}")
            rate = (own.rate if own.active else 0) + (others.rate if others.active else 0)
            if rate:
                parts.append(format_rate(rate))
            if rate and total > done and not self.maap.backend.silence:
                parts.append(f"{format_duration((total - done) / rate)} left")
        if self.free is not None:
            parts.append(f"{format_bytes(self.free)} free")
        while len(parts) > 1 and len("  ".join(parts)) > self.app.size.width - 2:
            parts.pop()  # what is left out says more than what is cut off
        head = " " + "  ".join(parts)
        room = self.app.size.width - len(head) - 3
        if room >= 4 and any(self._rates):
            head += "  " + sparkline(list(self._rates)[-room:], self.maap.glyphs.levels)
        self._show("summary", head)

    def _show_note(self) -> None:
        counts = self.counts
        parallel = (
            self.maap.backend.transfers.parallel if self.maap.backend.transfers else self._setting_parallel
        )
        parts = [f"{parallel} at once"]
        for state, hint in (
            ("failed", "R retries"),
            ("damaged", "r fetches again"),
            ("interrupted", "T goes on"),
            ("paused", "P resumes"),
        ):
            if counts[state]:
                parts.append(f"{counts[state]:,} {theme.STATE_WORDS.get(state, state)} ({hint})")
        others = self.maap.backend.elsewhere
        if others.active:
            busy = [share for share in others.shares if share.running]
            whose = who_is(busy[0].verb, busy[0].process[0])
            whose = whose if len(busy) == 1 else f"{format_count(len(busy))} other processes"
            words = f"{whose}: {format_count(others.active)} running"
            words += f" {format_rate(others.rate)}" if others.rate else ""
            parts.append(words)
        is_stopped = False
        if self.doing:
            parts = [self.doing]
        elif self.stopped:
            parts, is_stopped = [self.stopped], True
        elif self.awaited:
            parts, is_stopped = [f"Waiting: {self.awaited}"], True
        if self.has_class("-stopped") is not is_stopped:
            self.set_class(is_stopped, "-stopped")
        self._show("note", *map(clean, parts))

    @property
    def _queue_problem(self) -> str:
        """What is wrong with the queue on disk and what to do, in a line; '' when nothing is."""
        queue = self.maap.backend.queue
        if queue.problem:
            return "The queue file cannot be used (5 says why). Transfers go on; fix it, restart."
        if queue.set_aside is not None:
            return "The queue file was damaged, a new one is used. What waited: press 4, then d."
        return ""

    @property
    def _setting_parallel(self) -> int:
        return int(self.maap.backend.session.settings.downloads.parallel)


def fold_parts(parts: Sequence[str], separator: str, width: int, most: int) -> list[str]:
    """Parts of a note as lines of so many characters, broken between the parts where that is possible.

    Args:
        parts: cleaned texts of a line each.
        separator: what stands between two parts of a line.
        width: characters in a line, 1 or more.
        most: lines, 1 or more.
    """
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(separator) + len(part) <= width:
            lines[-1] += separator + part
        else:
            lines.append(part)
    if len(lines) > most or any(len(line) > width for line in lines):
        return fold(separator.join(parts), width, most)
    return lines


def sparkline(values: Sequence[float], levels: str) -> str:
    """Values as glyphs of growing height, the largest one full; nothing is the lowest."""
    top = max(values, default=0.0)
    if top <= 0:
        return levels[0] * len(values)
    last = len(levels) - 1
    return "".join(levels[0 if value <= 0 else max(1, round(value / top * last))] for value in values)
