"""QueueHead: the lines above the list of transfers: progress, and what is wrong."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

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
from maap_tui.tui.gauges import Rates, bar, graph, percent, sparkline
from maap_tui.tui.host import OnHost
from maap_tui.tui.screens.downloads.transfers import who_is

GRAPH_ROWS = 4

LEAST_BAR = 8
"""Cells of the bar of all transfers; where there is less room it is left out."""

HINTS = (
    ("failed", "R retries"),
    ("damaged", "r fetches again"),
    ("interrupted", "T goes on"),
    ("paused", "P resumes"),
)
"""State -> the key that helps."""


@dataclass(slots=True)
class Amounts:
    """The words for what is here and what comes; '' for each that is not known."""

    here: str = ""
    """Bytes here, of those of all files."""
    rate: str = ""
    mean: str = ""
    left: str = ""
    """Time until all is here."""
    clock: str = ""
    """When that is."""

    @property
    def short(self) -> list[str]:
        """Those that matter most."""
        return [text for text in (self.here, self.rate, self.left) if text]


class QueueHead(OnHost, Vertical):
    """Its mode samples it; it draws only what changed."""

    def __init__(self) -> None:
        super().__init__(id="head")
        self.counts: Counter[str] = Counter()
        """State -> transfers in it."""
        self.free: int | None = None
        """Bytes free where data go; None where that is not known."""
        self.doing = ""
        """The running action on files, shown in place of the counts; '' for none."""
        self.stopped = ""
        """The keys that let this app's transfers continue, then what stopped them; '' while they run."""
        self.awaited = ""
        """What this app's transfers wait for; '' while they run."""
        self.rates = Rates()
        """What came, of all processes."""
        self._shown: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        for name in ("progress", "summary", "note", "graph", "problem"):
            yield Static("", id=name, markup=False)

    def on_mount(self) -> None:
        self.set_interval(1.0, self._note_rate)

    def on_resize(self) -> None:
        self._shown.clear()

    @property
    def _now(self) -> tuple[int, float]:
        """Transfers that run, here and in other processes, and the bytes a second that come to them."""
        own, others = self.maap.backend.tally.snapshot(), self.maap.backend.elsewhere
        rate = (own.rate if own.active else 0) + (others.rate if others.active else 0)
        return own.active + others.active, rate

    def _note_rate(self) -> None:
        active, rate = self._now
        self.rates.note(rate, is_active=bool(active))

    def sample(self) -> None:
        """Repaint what changed."""
        note, is_stopped = self._note
        if self.has_class("-stopped") is not is_stopped:
            self.set_class(is_stopped, "-stopped")
        # Lines are for the list first: a low terminal has two of them here, one being for what is to be done.
        is_tall = self.screen.has_class("-tall")
        failed = self._counts_of("failed")
        if not is_tall and note:
            if not is_stopped and not self.doing:
                note = [self._parallel, *failed, *note]
            self._show_lines("progress", self._progress([*self._amounts().short, self._free]) or self._free)
            self._show_lines("summary")
        elif progress := self._progress(failed):
            self._show_lines("progress", progress)
            self._show_lines("summary", self._numbers())
        else:
            # Two lines here as well, so that the list does not jump when the first transfer is seen.
            self._show_lines("progress", self._free or "...")
            self._show_lines("summary", self._fitted([self._parallel, *failed]))
        self._show_lines("graph", *(self._graph() if is_tall else ()))
        self._show("note", *map(clean, note))
        self._show("problem", self._queue_problem)

    def _show(self, name: str, *parts: str) -> None:
        """Show a text, or its parts with a dot between them, in at most two lines."""
        dot = f" {self.maap.glyphs.dot} "
        self._show_lines(
            name, *fold_parts(parts, dot, max(20, self.app.size.width - 2), 2) if any(parts) else ()
        )

    def _show_lines(self, name: str, *lines: str) -> None:
        """Show so many lines, nothing in place of none."""
        lines = tuple(f" {line}" for line in lines if line)
        text = "\n".join(lines)
        if self._shown.get(name) == text:
            return
        for line in self.query(f"#{name}").results(Static):  # none while the mode is made or taken down
            self._shown[name] = text
            line.update(Text(text, no_wrap=True, end=""), layout=False)
            line.styles.height = max(1, len(lines))
            line.display = bool(lines)

    def _progress(self, parts: Sequence[str]) -> str:
        """A bar over all transfers, how many have ended, and more; '' for no transfers."""
        own, others = self.maap.backend.tally.snapshot(), self.maap.backend.elsewhere
        if not (queued := own.queued + others.queued):
            return ""
        ended = own.done + others.done
        done, total = own.bytes_done + others.bytes_done, own.bytes_total + others.bytes_total
        part = done / total if total else ended / queued
        # What is here of some files says nothing of those whose size is not known.
        part = min(part, ended / queued) if own.unknown + others.unknown else part
        part = part if ended >= queued else min(part, 0.999)
        words = [percent(part).strip(), f"{format_count(ended)} of {plural(queued, 'file')}", *parts]
        width = self.app.size.width - 2
        while len(words) > 3 and len("  ".join(words)) + 2 + LEAST_BAR > width:
            words.pop()
        text = self._fitted(words)
        room = width - 2 - len(text)
        if room < LEAST_BAR:
            return text
        return f"{bar(part, room, self.maap.glyphs)}  {text}"

    def _amounts(self) -> Amounts:
        own, others = self.maap.backend.tally.snapshot(), self.maap.backend.elsewhere
        if not own.queued + others.queued:
            return Amounts()
        done, total = own.bytes_done + others.bytes_done, own.bytes_total + others.bytes_total
        words = format_sum(total, unknown=own.unknown + others.unknown, guessed=own.guessed)
        found = Amounts(f"{_without_unit(format_bytes(done), words)} of {words}")
        _, rate = self._now
        if rate:
            found.rate = format_rate(rate)
            mean = self.rates.mean
            found.mean = f"mean {_without_unit(format_rate(mean), found.rate)}" if mean else ""
        if rate and total > done and not self.maap.backend.silence:
            left = (total - done) / rate
            found.left = f"{format_duration(left)} left"
            then = self.maap.backend.now() + timedelta(seconds=left)
            found.clock = f" ({then:%H:%M} UTC)" if 60 <= left < 86400 else ""
        return found

    def _numbers(self) -> str:
        """The amounts, free space and transfers at a time, and what came lately in the room that is left."""
        found = self._amounts()
        text, room = "", self.app.size.width - 2
        for mean, clock in ((found.mean, found.clock), (found.mean, ""), ("", "")):
            parts = [found.here, found.rate, mean, found.left + clock, self._free, self._parallel]
            text = "  ".join(filter(None, parts))
            if len(text) <= room:
                break
        text = self._fitted(parts)
        room -= len(text) + 2
        seconds = list(self.rates.seconds)
        if room >= 4 and any(seconds) and not self.screen.has_class("-tall"):
            text += "  " + sparkline(seconds[-room:], self.maap.glyphs.levels)
        return text

    def _fitted(self, parts: Sequence[str]) -> str:
        """As many of the parts as there is room for: one left out is clearer than one cut off."""
        kept = [part for part in parts if part]
        while len(kept) > 1 and len("  ".join(kept)) > self.app.size.width - 2:
            kept.pop()
        return "  ".join(kept)

    def _graph(self) -> list[str]:
        glyphs = self.maap.glyphs
        return graph(self.rates, self.app.size.width - 2, GRAPH_ROWS, glyphs.levels, glyphs.axis)

    @property
    def _free(self) -> str:
        return "" if self.free is None else f"{format_bytes(self.free)} free"

    @property
    def _parallel(self) -> str:
        transfers = self.maap.backend.transfers
        return f"{transfers.parallel if transfers else self._setting_parallel} at once"

    def _counts_of(self, *states: str) -> list[str]:
        """How many transfers are in each state that has some, and the key that helps."""
        return [
            f"{self.counts[state]:,} {theme.STATE_WORDS.get(state, state)} ({hint})"
            for state, hint in HINTS
            if state in states and self.counts[state]
        ]

    @property
    def _note(self) -> tuple[list[str], bool]:
        """What is to be done or known beside progress and failures, and whether it has stopped the run."""
        if self.doing:
            return [self.doing], False
        if self.stopped:
            return [self.stopped], True
        if self.awaited:
            return [f"Waiting: {self.awaited}"], True
        parts = self._counts_of("damaged", "interrupted", "paused")
        others = self.maap.backend.elsewhere
        if others.active:
            busy = [share for share in others.shares if share.running]
            whose = who_is(busy[0].verb, busy[0].process[0])
            whose = whose if len(busy) == 1 else f"{format_count(len(busy))} other processes"
            words = f"{whose}: {format_count(others.active)} running"
            words += f" {format_rate(others.rate)}" if others.rate else ""
            parts.append(words)
        return parts, False

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


def _without_unit(text: str, other: str) -> str:
    """The number of a text whose unit the other one repeats: `228` of `228 MiB` beside `467 MiB`."""
    number, _, unit = text.partition(" ")
    return number if re.fullmatch(rf"[\d.]+ {re.escape(unit)}", other) else text


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
