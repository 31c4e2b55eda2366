"""TodayHead: how the last sync ended, how full the disk is, and what came in the last hours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Static

from maap_tui.engine.runs import Run
from maap_tui.text import clean, fold, format_bytes
from maap_tui.tui.gauges import bar
from maap_tui.tui.host import OnHost
from maap_tui.tui.screens.today import today_words as words
from maap_tui.tui.widgets.pane import framed

ROOMY_FROM = 100
"""Cells of the terminal from which two panes have room beside each other."""

BAR_CELLS = 12
"""Cells of the bar of the disk where its words stand beside it."""

FULL = 0.95
"""The part of a disk from which on the bar is an alarm."""

FRAME = 4
"""Cells that the frame of a pane takes, with the space inside."""

GRAPH_ROWS = 2


class TodayHead(OnHost, Horizontal):
    """Three lines; two panes, the right one a graph, where the screen has the class `-roomy`."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"head--{name}" for name in ("used", "full", "came", "muted", "warning")
    }

    def __init__(self) -> None:
        super().__init__(id="head")
        self._shown: object = None

    def compose(self) -> Iterable[Widget]:
        yield framed(Static("", markup=False, id="facts"), "")
        yield framed(Static("", markup=False, id="rate"), "")

    def show(
        self,
        runs: Sequence[Run],
        disk: tuple[int | None, int | None],
        problem: str,
        now: datetime,
    ) -> None:
        """Draw it again if anything of it changed.

        Args:
            runs: those known, the newest first.
            disk: bytes free and in all; None where that is not known.
            problem: why nothing can be read, and what to do; '' for nothing.
            now: the time.
        """
        is_roomy = self.screen.has_class("-roomy")
        width = self.screen.size.width
        last = clean(words.last_run_words(runs, now))
        hours = words.bytes_by_hour(runs, now)
        came = f"{format_bytes(sum(hours))}, at most {format_bytes(max(hours))} an hour"
        if is_roomy:
            facts: list[str | Text] = list(self._disk_lines(runs, disk, now, width // 2 - FRAME))
            facts.append(words.recent_words(runs, now))
            rate = self._graph(hours, now, width // 2 - FRAME)
            titles = (last, f"24 h: {came}")
            room = width // 2 - FRAME
        else:
            facts = [f" {last}", self._disk_line(runs, disk, now, width)]
            facts.append(Text.assemble(" 24 h ", *self._sparkline(hours), f" {came}"))
            rate, titles, room = Text(), ("", ""), width - 2
        if problem:  # its remedy matters more than the graph
            margin = "" if is_roomy else " "
            told = [Text(f"{margin}{line}", self._style("warning")) for line in fold(clean(problem), room, 2)]
            facts = [*told, facts[1]]
        drawn = Text("\n", no_wrap=True).join(Text.assemble(line) for line in facts)
        if (shown := (drawn, rate, titles)) != self._shown:
            self._shown = shown
            left, right = self.query_one("#facts", Static), self.query_one("#rate", Static)
            left.update(drawn)
            right.update(rate)
            framed(left, titles[0])
            framed(right, titles[1])

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"head--{name}", partial=True)

    def _used(self, part: float, cells: int) -> tuple[Text, ...]:
        """A bar of how full the disk is."""
        glyphs = self.maap.glyphs
        drawn = bar(part, cells, glyphs)
        filled = drawn.rstrip(glyphs.empty)
        style = self._style("full" if part >= FULL else "used")
        return Text(filled, style), Text(drawn[len(filled) :], self._style("muted"))

    def _disk_lines(
        self, runs: Sequence[Run], disk: tuple[int | None, int | None], now: datetime, room: int
    ) -> tuple[str | Text, str]:
        """A bar with what is free beside it, and how long that lasts."""
        free, total = disk
        part = words.part_used(free, total)
        if free is None or part is None:
            return words.disk_words(free, total, 0), ""
        said = f" {words.free_words(free, total)}"
        first = Text.assemble(*self._used(part, room - len(said)), said)
        return first, words.growth_words(free, words.growth_a_day(runs, now)) or "It does not grow."

    def _disk_line(
        self, runs: Sequence[Run], disk: tuple[int | None, int | None], now: datetime, width: int
    ) -> Text:
        part = words.part_used(*disk)
        said = words.disk_words(*disk, words.growth_a_day(runs, now))
        if part is None or BAR_CELLS + len(said) + 3 > width:
            return Text(f" {said}")
        return Text.assemble(" ", *self._used(part, BAR_CELLS), f" {said}")

    def _sparkline(self, hours: Sequence[int]) -> tuple[Text, ...]:
        glyphs = self.maap.glyphs
        return tuple(
            Text(sign, self._style("muted" if sign == glyphs.dot else "came"))
            for sign in words.graph(hours, glyphs.levels, glyphs.dot)
        )

    def _graph(self, hours: Sequence[int], now: datetime, room: int) -> Text:
        glyphs = self.maap.glyphs
        cells = max(1, room // words.HOURS)
        lines = words.tall_graph(hours, GRAPH_ROWS, cells, glyphs.levels, glyphs.dot)
        text = Text("\n".join(lines), self._style("came"), no_wrap=True)
        text.highlight_words([glyphs.dot], self._style("muted"))
        text.append(f"\n{words.hour_marks(now, cells)}", self._style("muted"))
        return text
