"""GapsDialog: what the archive has of a baseline and is not here: gaps, and a calendar of months or years."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import Any, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Static

from maap_tui.engine.model import TimeRange
from maap_tui.engine.query import Query
from maap_tui.engine.workflows.calendar import Row, cells, legend, months, years
from maap_tui.engine.workflows.coverage import Coverage, Gap
from maap_tui.text import clean, format_count, plural
from maap_tui.tui.dialogs.dialog import CLOSES, MOST_ROWS, Dialog
from maap_tui.tui.theme import ASCII
from maap_tui.tui.widgets.column_layout import MARKS
from maap_tui.tui.widgets.key_line import KeyLine, KeyWords
from maap_tui.tui.widgets.row_list import RowList
from maap_tui.tui.widgets.row_model import Column

BAR = 10
"""Cells of a bar."""

ROOM_FOR_WIDE_DAYS = 100
"""Cells of the terminal from which on a day has two."""

_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()

VIEWS = ("gaps", "months", "years")
"""What tab goes through."""

LABEL = 7
"""Cells of the name of a month or a year."""

KEYS: dict[str, list[KeyWords]] = {
    "gaps": [
        ("d", "fetches", "fetch"), ("enter", "days", "open"), ("tab", "months", "view(1)"),
        ("space", "marks", "mark"), ("y", "copies", "copy"), CLOSES,
    ],
    "months": [
        ("d", "fetches day", "fetch"), ("enter", "opens", "open"),
        ("space", "marks month", "mark"), ("tab", "years", "view(1)"), CLOSES,
    ],
    "years": [
        ("d", "fetches month", "fetch"), ("enter", "days", "open"),
        ("space", "marks year", "mark"), ("tab", "gaps", "view(1)"), CLOSES,
    ],
}  # fmt: skip
"""The keys of each view, as its last line has them."""

_TONES = {
    "all": "success", "most": "success", "some": "warning", "few": "warning", "none": "muted",
    "failed": "error", "gap": "muted", "empty": "muted", "unknown": "accent", "": "muted",
}  # fmt: skip


class GapsDialog(Dialog[Sequence[Gap]]):
    """Gives back the gaps to fetch, none when it is closed."""

    BINDINGS: ClassVar = [
        Binding("d", "fetch", "Fetch", show=False),
        Binding("space", "mark", "Mark", show=False),
        Binding("a", "mark_all", "All", show=False),
        Binding("tab,n", "view(1)", "Other view", show=False, priority=True),
        Binding("shift+tab", "view(-1)", "View before", show=False, priority=True),
        Binding("y", "copy", "Copy", show=False),
        Binding("left,h", "step(-1)", "Cell before", show=False),
        Binding("right,l", "step(1)", "Cell after", show=False),
        Binding("escape,q", "close", "Close", show=False),
    ]

    def __init__(self, found: Coverage, *, left_out: Sequence[str] = ()) -> None:
        """Take what is compared.

        Args:
            found: a baseline, or a stretch of its time.
            left_out: fields of the search form that limit neither the counts nor what is fetched.
        """
        super().__init__()
        self.found = found
        self._left_out = left_out
        self._day: date | None = None
        """The day under the cursor, or one of the month that is; None until a calendar is shown."""
        self.view = "gaps"
        """One of `VIEWS`."""

    def compose(self) -> ComposeResult:
        found = self.found
        frames = f" frames {', '.join(found.frames)}" if found.frames else ""
        words = (
            f"{found.key.product_type} {found.key.baseline}{frames}: {format_count(found.archive)} at the "
        )
        words += f"archive, {format_count(found.missing)} not here, in {plural(len(found.gaps), 'gap')}"
        with Vertical(classes="dialog -wide"):
            yield Static(clean(words), markup=False, classes="question")
            if self._left_out:
                fields = " and ".join(filter(None, (", ".join(self._left_out[:-1]), self._left_out[-1])))
                whole = "these frames" if found.frames else "the baseline"
                note = f"All of {whole} is counted and fetched: {fields} of the form are left out."
                yield Static(note, markup=False, id="left-out")
            yield RowList(
                self._gap_columns(),
                key=lambda row: row.label if isinstance(row, Row) else row.first,
                empty_text="Nothing is missing: all of it was downloaded.",
            )
            yield Static("", markup=False, id="legend", classes="muted")
            yield Static("", markup=False, id="cell")
            yield KeyLine(KEYS["gaps"])

    def _gap_columns(self) -> list[Column]:
        glyphs = self.maap.glyphs

        def days(gap: Gap) -> str:
            return f"{gap.first}" if gap.first == gap.last else f"{gap.first} to {gap.last}"

        def bar(gap: Gap) -> str:
            # What lacks a little must not look like what lacks nothing.
            full = min((gap.archive - gap.missing) * BAR // max(gap.archive, 1), BAR - 1)
            return glyphs.full * full + glyphs.empty * (BAR - full)

        def notes(gap: Gap) -> str:
            failed = [format_count(gap.failed)] if gap.failed else []
            return "; ".join([*failed, *(one.title for one in gap.notices)])

        title = "Failed, known" if any(gap.notices for gap in self.found.gaps) else "Failed"
        return [
            Column("days", "Days", 24, days, order=lambda gap: gap.first, is_untrusted=False),
            Column(
                "missing", "Not here", 9, lambda gap: format_count(gap.missing),
                lambda gap: "warning", lambda gap: gap.missing, True, False,
            ),
            Column(
                "archive", "Of", 9, lambda gap: format_count(gap.archive), None,
                lambda gap: gap.archive, True, False,
            ),
            Column("bar", "Here", BAR, bar, is_untrusted=False),
            Column(
                "failed", title, 0, notes, lambda gap: "error" if gap.failed else "warning",
                lambda gap: (gap.failed, len(gap.notices)),
            ),
        ]  # fmt: skip

    def _calendar_columns(self) -> list[Column]:
        """A column of cells, a day or a month each, between the name and the sums of a row."""
        is_wide = self.app.size.width >= ROOM_FOR_WIDE_DAYS
        if self.view == "months":
            width, count, step = 2 if is_wide else 1, 31, 5
            title = "".join(str(max(day, 1)).ljust(step * width) for day in range(1, count, step))
        else:
            width, count = 4 if is_wide else 3, 12
            names = _MONTHS if is_wide else map(str, range(1, count + 1))
            title = "".join(name.ljust(width) for name in names)
        is_ascii = self.maap.glyphs is ASCII

        def pieces(row: Row) -> list[tuple[str, str]]:
            tones = [_TONES[state] for state in row.states]
            if row is self.query_one(RowList).current:
                tones[self._cell_of(row)] = "point"
            found, at = [], 0
            for tone, group in groupby(tones):
                states = row.states[at : (at := at + len(list(group)))]
                found.append((cells(states, is_ascii=is_ascii, width=width), tone))
            return found

        def number(key: str, title: str, value: Callable[[Row], int], tone: str = "plain") -> Column:
            return Column(
                key, title, 9, lambda row: format_count(value(row)), lambda row: tone, value, True, False
            )

        return [
            Column("label", "", LABEL, lambda row: row.label, is_untrusted=False),
            Column(
                "cells", title.rstrip(), width * count, lambda row: "", order=lambda row: row.label,
                is_untrusted=False, pieces=pieces,
            ),
            number("missing", "Not here", lambda row: row.part.missing, "warning"),
            number("archive", "Of", lambda row: row.part.archive),
        ]  # fmt: skip

    def on_mount(self) -> None:
        self._show()
        self.query_one(RowList).focus()

    def on_resize(self) -> None:
        if self.view != "gaps":
            self._show_columns(self._calendar_columns())

    def _show(self) -> None:
        """Put the rows of the view into the list, the cursor on the day."""
        rows = self.query_one(RowList)
        rows_of: dict[str, Callable[[Coverage], Sequence[Any]]] = {"months": months, "years": years}
        listed: Sequence[Any] = self.found.gaps if self.view == "gaps" else rows_of[self.view](self.found)
        rows.clear_marks()
        rows.sort_by(None)
        rows.set_rows([])
        self._show_columns(self._gap_columns() if self.view == "gaps" else self._calendar_columns())
        rows.set_rows(listed)
        rows.fit_rows(MOST_ROWS)
        rows.move_to(self._row_of_day(listed))
        # Before, the list has no height to scroll in; a key may have moved the cursor meanwhile.
        self.call_after_refresh(lambda: rows.move_to(rows.cursor))
        words = "" if self.view == "gaps" else legend(listed, is_ascii=self.maap.glyphs is ASCII)
        self.query_one("#legend", Static).update(words)
        self.query_one(KeyLine).show(KEYS[self.view])
        self._show_cell()

    def _show_columns(self, columns: list[Column]) -> None:
        rows = self.query_one(RowList)
        rows.offer_columns(columns)
        rows.set_columns([column.key for column in columns])

    def _row_of_day(self, listed: Sequence[Any]) -> int:
        day = self._day
        if day is None:
            return 0
        if self.view == "gaps":
            begun = [gap for gap in listed if gap.first <= day]
            return max(0, len(begun) - 1)
        return next((at for at, row in enumerate(listed) if f"{day}".startswith(row.label)), 0)

    def _cell_of(self, row: Row) -> int:
        assert self._day is not None
        at = self._day.day if self.view == "months" else self._day.month
        return min(at, len(row.states)) - 1

    def _days_of_cell(self) -> tuple[date, date]:
        """The first and the last day of the cell under the cursor."""
        day = self._day
        assert day is not None
        if self.view == "months":
            return day, day
        first = day.replace(day=1)
        return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)

    def _put_on(self, day: date) -> None:
        """Put the cursor on a day, one that has a row."""
        rows = self.query_one(RowList)
        listed: list[Row] = rows.rows
        if not listed:
            return
        first, last = (date.fromisoformat(f"{listed[at].label}-01-01"[:10]) for at in (0, -1))
        last = last.replace(day=len(listed[-1].states)) if self.view == "months" else last.replace(month=12)
        self._day = max(first, min(day, last))
        rows.move_to(self._row_of_day(rows.shown))
        rows.refresh()
        self._show_cell()

    @on(RowList.Highlighted)
    def follow_row(self) -> None:
        """The cursor came to another row: it stays in its column."""
        row = self.query_one(RowList).current
        if isinstance(row, Row) and self._day is not None and not f"{self._day}".startswith(row.label):
            day = self._day
            if self.view == "years":
                self._day = day.replace(year=int(row.label), day=1)
            else:
                year, month = map(int, row.label.split("-"))
                self._day = date(year, month, min(day.day, len(row.states)))
        self._show_cell()

    def _show_cell(self) -> None:
        """Say what is under the cursor of a calendar."""
        words = ""
        if self.view != "gaps" and self._day is not None:
            first, last = self._days_of_cell()
            part = Coverage(self.found.key, [day for day in self.found.days if first <= day.day <= last])
            words = f"{first:%a %Y-%m-%d}: " if self.view == "months" else f"{first:%Y-%m}: "
            if part.archive:
                words += f"{plural(part.archive, 'granule')} at the archive, "
                words += f"{format_count(part.missing)} not here"
                failed = sum(day.failed for day in part.days)
                words += f", {plural(failed, 'file')} failed" if failed else ""
            else:
                words += "nothing at the archive" if self._is_counted(first, last) else "not counted"
        line = self.query_one("#cell", Static)
        line.display = bool(words)
        line.update(words)

    def _is_counted(self, first: date, last: date) -> bool:
        return self.found.covers(first) or self.found.covers(last)

    @on(events.Click, "RowList")
    def put_on_clicked(self, event: events.Click) -> None:
        """A click in a calendar goes to its cell."""
        row = self.query_one(RowList).current
        if self.view == "gaps" or not isinstance(row, Row) or event.y == 0:
            return
        width = self.query_one(RowList).columns[1].width // (31 if self.view == "months" else 12)
        cell = (event.x - MARKS - LABEL - 1) // width + 1
        if 1 <= cell <= len(row.states):
            parts = f"{row.label}-{cell:02d}" if self.view == "months" else f"{row.label}-{cell:02d}-01"
            self._put_on(date.fromisoformat(parts))

    def action_view(self, by: int) -> None:
        row = self.query_one(RowList).current
        if isinstance(row, Gap) and (self._day is None or not row.first <= self._day <= row.last):
            self._day = row.last
        self._day = self._day or self.found.last
        self.view = VIEWS[(VIEWS.index(self.view) + by) % len(VIEWS)]
        self._show()

    def action_step(self, by: int) -> None:
        if self.view != "gaps" and self._day is not None:
            first, last = self._days_of_cell()
            self._put_on(last + timedelta(days=1) if by > 0 else first - timedelta(days=1))

    def action_mark(self) -> None:
        self.query_one(RowList).toggle_mark()

    def action_mark_all(self) -> None:
        self.query_one(RowList).mark_all()

    @on(RowList.Chosen)
    def action_open(self) -> None:
        """From a gap and from a month to the days; from a day to its files, here or at the archive."""
        day, key = self._day, self.found.key
        if self.view == "gaps":
            self.action_view(1)
        elif self.view == "years":
            self.action_view(-1)
        elif day is not None:
            self.dismiss([])
            if any(one.day == day and (one.downloaded or one.failed) for one in self.found.days):
                self.maap.go("registry", key=key, day=day)
            else:
                names = key.collection, key.product_type, key.baseline
                self.maap.go("search", query=Query(*names, time=TimeRange.of_day(day)))

    def _chosen(self) -> list[Gap]:
        """The gaps of the marked rows, or of what is under the cursor: a gap, a day or a month."""
        rows = self.query_one(RowList)
        if self.view == "gaps":
            return list(rows.chosen)
        if rows.marks:
            return [gap for row in rows.chosen for gap in row.gaps]
        if self._day is None:
            return []
        first, last = self._days_of_cell()
        return Coverage(self.found.key, [day for day in self.found.days if first <= day.day <= last]).gaps

    def action_fetch(self) -> None:
        if gaps := self._chosen():
            self.dismiss(gaps)
        else:
            self.notify("Nothing is missing there.", markup=False)

    def action_copy(self) -> None:
        if gaps := self._chosen():
            key = self.found.key
            names = f"{key.collection} {key.product_type} {key.baseline}"
            span = f"--start {gaps[0].first} --end {gaps[-1].last}"
            span += f" --frame {','.join(self.found.frames)}" if self.found.frames else ""
            self.maap.copy_text(f"maap sync {names} {span}", "Copied the command")
        else:
            self.notify("Nothing is missing there.", markup=False)

    def action_close(self) -> None:
        self.dismiss([])
