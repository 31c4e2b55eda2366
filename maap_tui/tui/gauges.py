"""Progress and rate in characters: bars with eighths of a cell, a sparkline, a graph with a scale."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from maap_tui.text import format_bytes
from maap_tui.tui.theme import Glyphs

SPAN_S = 300
"""Seconds that the graph shows."""

STEPS_S = (2, 3, 4, 5, 6, 10, 15, 20, 30)
"""Seconds that one column of the graph may stand for; `SPAN_S` is a multiple of each."""

SCALE = 11
"""Cells left of the graph: a rate, and the axis."""


class Rates:
    """The rate of each second of the last minutes in which something ran, and their mean.

    Seconds in which nothing runs are left out: the graph stands still, and a terminal at rest gets nothing.
    """

    def __init__(self) -> None:
        self.seconds: deque[float] = deque(maxlen=SPAN_S + STEPS_S[-1])
        """Bytes a second, the latest last."""
        self.count = 0
        """Seconds noted since the start, those forgotten since included."""
        self._batch_s = 0
        self._batch_sum = 0.0
        self._is_active = False

    @property
    def mean(self) -> float:
        """Bytes a second since transfers began, after the last second without any; 0 without a rate."""
        return self._batch_sum / self._batch_s if self._batch_s else 0.0

    def note(self, rate: float, *, is_active: bool) -> None:
        """Take the rate of one second; the first one without transfers ends the batch."""
        if not is_active:
            rate = 0.0
        elif not self._is_active:
            self._batch_s, self._batch_sum = 0, 0.0
        if is_active or self._is_active:
            self.seconds.append(rate)
            self.count += 1
        # What is not known yet would make the mean too small.
        if is_active and (rate or self._batch_s):
            self._batch_s += 1
            self._batch_sum += rate
        self._is_active = is_active

    def columns(self, step: int) -> list[float]:
        """The mean of each whole run of so many seconds, the latest last.

        The runs are counted from the start, so that a column keeps its value while others come.
        """
        seconds = list(self.seconds)
        begin = (len(seconds) - self.count) % step
        parts = range(begin, len(seconds) - step + 1, step)
        return [sum(seconds[at : at + step]) / step for at in parts]


def bar(part: float, width: int, glyphs: Glyphs) -> str:
    """A bar of so many cells, of which a part between 0 and 1 is filled; full only when all is."""
    steps = len(glyphs.eighths) + 1
    filled, rest = divmod(int(min(max(part, 0.0), 1.0) * width * steps), steps)
    text = glyphs.full * filled + (glyphs.eighths[rest - 1] if rest else "")
    return text + glyphs.empty * (width - len(text))


def steady(shown: int | None, now: int | None) -> int | None:
    """The figure to go on showing at rest: the one shown, until the one now is a hundredth away from it.

    Others write to a disk all the time, and each last digit would be sent to the terminal.
    """
    if shown is None or now is None or abs(now - shown) * 100 >= shown:
        return now
    return shown


def percent(part: float) -> str:
    """A part between 0 and 1 in four cells; 100% only when all is there."""
    return f"{int(min(max(part, 0.0), 1.0) * 100):>3}%"


def sparkline(values: Sequence[float], levels: str) -> str:
    """Values as glyphs of growing height, the largest one full; nothing is the lowest."""
    top = max(values, default=0.0)
    if top <= 0:
        return levels[0] * len(values)
    last = len(levels) - 1
    return "".join(levels[0 if value <= 0 else max(1, round(value / top * last))] for value in values)


def graph(rates: Rates, width: int, rows: int, levels: str, axis: str) -> list[str]:
    """The rates of the last minutes as lines, a scale on the left and the time on the right.

    No lines before the first column that something came in.

    Args:
        rates: what to draw.
        width: cells of a line, `SCALE` + 20 or more.
        rows: lines, 2 or more.
        levels: glyphs of growing height, lowest first.
        axis: the sign between scale and graph.
    """
    span = f" {SPAN_S // 60} min"
    room = width - SCALE - len(span)
    step = next((step for step in STEPS_S if SPAN_S // step <= room), STEPS_S[-1])
    values = rates.columns(step)[-min(room, SPAN_S // step) :]
    top = max(values, default=0.0)
    if top <= 0:
        return []
    height = len(levels)
    heights = [0 if value <= 0 else max(1, round(value / top * rows * height)) for value in values]
    lines = []
    for row in range(rows - 1, -1, -1):
        filled = (min(max(one - row * height, 0), height) for one in heights)
        cells = "".join(levels[eighths - 1] if eighths else " " for eighths in filled)
        scale = f"{format_bytes(top)}/s" if row == rows - 1 else "0" if row == 0 else ""
        lines.append(
            f"{scale:>{SCALE - 1}}{axis}{cells:<{SPAN_S // step}}{span if row == 0 else ''}".rstrip()
        )
    return lines
