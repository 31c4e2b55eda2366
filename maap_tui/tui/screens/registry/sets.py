"""SetsScreen: products across, orbits and frames down: what is here, at the archive or nowhere."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.widgets import Static

from maap_tui.engine.errors import MaapError
from maap_tui.engine.missions import MISSIONS
from maap_tui.engine.model import TimeRange, orbit_frame
from maap_tui.engine.product_sets import Cell, Member, ProductSet, SetRow, state_words, waiting_for
from maap_tui.engine.registry.entries import Key
from maap_tui.engine.registry.watch import Watch
from maap_tui.engine.workflows.set_sync import requests_of
from maap_tui.engine.workflows.set_table import SetTable, judged, set_table
from maap_tui.text import clean, format_bytes, format_count, plural
from maap_tui.tui.dialogs.dialog import CLOSES, Dialog
from maap_tui.tui.problems import problem_of
from maap_tui.tui.synced import may_queue
from maap_tui.tui.theme import Glyphs
from maap_tui.tui.widgets.key_line import KeyLine, KeyWords
from maap_tui.tui.widgets.row_list import RowList
from maap_tui.tui.widgets.row_model import Column
from maap_tui.tui.workers import start_worker

POLL_S = 1.0
"""Seconds between two looks whether the registry changed."""

SPANS = (1, 3, 7, 30, 90)
"""Days that may be shown."""

WORDS_FROM = 50
"""Cells of the last column from which on it says what an orbit and frame waits for."""

PRODUCTS_AT = 21
"""Cells before the column of the first product: mark, orbit and frame, and start."""

CHOSEN = "chosen"
"""The name of the set of what was marked in the Registry."""

NO_SETS = (
    "No set is declared. A set names products that are of use together:\n"
    "maap config set sets.clouds CPR_CLD_2A:BC,ATL_EBD_2A,MSI_COP_2A\n"
    "Or mark two baselines or more in the Registry with space, and press t again."
)

KEYS: list[KeyWords] = [
    ("space", "marks", "mark"),
    ("d", "fetches", "fetch"),
    ("n", "incomplete", "not_complete"),
    ("+", "", "longer(1)"),
    ("-", "days", "longer(-1)"),
    ("[", "", "shift(-1)"),
    ("]", "move", "shift(1)"),
    ("←→", "cell", "step(1)"),
    CLOSES,
]

_TONES = {"here": "success", "archive": "warning", "nowhere": "muted", "deleted": "muted", "gap": "muted"}
_CELL_WORDS = {
    "here": "here",
    "archive": "at the archive, not here (d fetches it)",
    "nowhere": "neither here nor at the archive",
    "deleted": "deleted here by a clean-up",
    "gap": "a known gap, it will not come",
}
_STATE_TONES = {
    "complete": "success",
    "waiting": "muted",
    "mixed": "error",
    "deleted": "muted",
    "gap": "muted",
}


def _tone_of(row: SetRow) -> str:
    """A set that one key completes stands out from one that waits for the archive."""
    return "warning" if row.is_obtainable else _STATE_TONES[row.state]


def chosen_set(keys: Iterable[Key]) -> ProductSet | None:
    """The products of baselines as a set; None for fewer than two products.

    A product of which several baselines are among them counts in its newest.
    """
    baselines: dict[tuple[str, str], list[str]] = {}
    for key in keys:
        baselines.setdefault((key.product_type, key.collection), []).append(key.baseline.upper())
    members = [
        Member(product_type, collection, found[0] if len(found) == 1 else "")
        for (product_type, collection), found in baselines.items()
    ]
    return ProductSet(CHOSEN, tuple(members)) if len(members) > 1 else None


def part_of(count: int, total: int) -> str:
    """A share in percent; what is not quite all is never 100%, nor anything 0%."""
    if count in (0, total) or not total:
        return "100%" if count and count == total else "0%"
    return f"{min(max(round(100 * count / total), 1), 99)}%"


def sign_of(cell: Cell, glyphs: Glyphs) -> str:
    """The sign of a cell; none of them looks like another without colour."""
    if cell.other and cell.state != "here":
        return glyphs.partly
    signs = {"here": glyphs.done, "archive": glyphs.down, "deleted": glyphs.deleted, "gap": glyphs.rule}
    return signs.get(cell.state, glyphs.none)


class SetsScreen(Dialog[None]):
    """The matrix of one set at a time, over some days."""

    closes_beside: ClassVar[bool] = False
    BINDINGS: ClassVar = [
        Binding("d", "fetch", "Fetch", show=False),
        Binding("space", "mark", "Mark", show=False),
        Binding("v", "mark_range", "Range", show=False),
        Binding("a", "mark_all", "All", show=False),
        Binding("i", "invert", "Invert", show=False),
        Binding("n", "not_complete", "Not complete", show=False),
        Binding("tab", "next_set(1)", "Next set", show=False),
        Binding("shift+tab", "next_set(-1)", "Previous set", show=False),
        Binding("plus,equals_sign", "longer(1)", "More days", show=False),
        Binding("minus", "longer(-1)", "Fewer days", show=False),
        Binding("left_square_bracket", "shift(-1)", "Earlier", show=False),
        Binding("right_square_bracket", "shift(1)", "Later", show=False),
        Binding("left,h", "step(-1)", "Product before", show=False),
        Binding("right,l", "step(1)", "Product after", show=False),
        Binding("r", "ask_again", "Ask again", show=False),
        Binding("y", "copy", "Copy", show=False),
        Binding("escape,q,t", "dismiss(None)", "Close", show=False),
    ]

    def __init__(self, sets: Sequence[ProductSet], *, days: int = 3, end: datetime | None = None) -> None:
        """Take what can be shown.

        Args:
            sets: the sets, the one to begin with first.
            days: how many days are shown at first, one of `SPANS`.
            end: the moment at which they end; None stands for the present one.
        """
        super().__init__()
        self._sets = list(sets)
        self._at = 0
        self._days = days
        self._end = end
        self._table: SetTable | None = None
        self._is_incomplete_only = False
        self._is_asking = False
        self._is_polling = False
        self._is_stale = False
        """Whether the registry changed since the table was judged."""
        self._problem = ""
        self._member = 0
        """Which product the cursor is on."""
        self._rows = RowList(
            [Column("orbit", "Orbit", 6, self._orbit_of)],
            key=lambda row: row.spot,
            empty_text=NO_SETS if not sets else "Looking...",
            id="matrix",
        )

    @property
    def wanted(self) -> ProductSet:
        """The set that is shown."""
        return self._sets[self._at]

    @property
    def span(self) -> TimeRange:
        """The sensing starts that are shown."""
        end = self._end or self.maap.backend.now()
        return TimeRange(end - timedelta(days=self._days), end)

    def compose(self) -> ComposeResult:
        glyphs = self.maap.glyphs
        yield Static("", id="head", markup=False)
        yield self._rows
        yield Static("", id="totals", markup=False)
        yield Static("", id="about", markup=False)
        yield Static("", id="cell", markup=False)
        signs = [
            (glyphs.done, "here", "$success"),
            (glyphs.down, "at the archive", "$warning"),
            (glyphs.partly, "other baseline here", "$warning"),
            (glyphs.none, "nowhere", "$text-muted"),
            (glyphs.deleted, "deleted", "$text-muted"),
            (glyphs.rule, "gap", "$text-muted"),
        ]
        legend = [part for sign, words, tone in signs for part in ((f" {sign}", tone), (f" {words} ", ""))]
        yield Static(Content.assemble(*legend), id="legend", classes="muted")
        yield KeyLine(KEYS, id="keys")

    def on_mount(self) -> None:
        self._watch = Watch(self.maap.backend.session.registry)
        self._rows.focus()
        self._show_head()
        if self._sets:
            self._show_columns()
            self._look()
            self.set_interval(POLL_S, self._poll)

    def on_resize(self, event: events.Resize) -> None:
        if self._sets:
            self._show_columns()

    @staticmethod
    def _orbit_of(row: SetRow) -> str:
        return orbit_frame(row.orbit, row.frame)

    def _words_of(self, row: SetRow) -> str:
        return state_words(row, waiting_for(self.wanted, row))

    @property
    def _each(self) -> int:
        """Cells of the column of a product."""
        return max(6, min(10, (self.size.width - 24) // len(self.wanted.members) - 1))

    def _show_columns(self) -> None:
        members = self.wanted.members
        glyphs = self.maap.glyphs
        each = self._each
        self._member = min(self._member, len(members) - 1)

        def title(member: Member) -> str:
            if len(member.product_type) <= each:
                return member.product_type
            known = (mission.products.get(member.product_type) for mission in MISSIONS.values())
            short = next((product.short for product in known if product is not None), "")
            return short or member.product_type

        def cell(number: int) -> Column:
            def text(row: SetRow) -> str:
                one = row.cells[number]
                return f"{sign_of(one, glyphs)} {one.baseline if one.version is not None else ''}"

            def tone(row: SetRow) -> str:
                if number == self._member and row is self._rows.current:
                    return "point"
                return _TONES[row.cells[number].state]

            return Column(members[number].product_type, title(members[number]), each, text, tone)

        columns = [
            Column("orbit", "Orbit", 6, self._orbit_of, order=lambda row: row.spot, is_untrusted=False),
            Column("start", "Start", 11, lambda row: f"{row.start:%m-%d %H:%M}", is_untrusted=False),
            *(cell(number) for number in range(len(members))),
        ]
        room = self.size.width - sum(column.width + 1 for column in columns) - 2
        if room >= len("complete"):

            def state(row: SetRow) -> str:
                return row.state if room < WORDS_FROM else self._words_of(row)

            columns.append(Column("state", "State", 0, state, _tone_of))
        self._rows.offer_columns(columns)
        self._rows.set_columns([column.key for column in columns])
        self._show_totals()

    def _show_totals(self) -> None:
        """Say below each column how many orbits and frames have the product here."""
        rows = self._table.rows if self._table is not None else []
        words = ""
        if rows:
            each = self._each
            words = f"{f'  Here of {format_count(len(rows))}':<{PRODUCTS_AT}}"
            for number in range(len(self.wanted.members)):
                here = sum(row.cells[number].state == "here" for row in rows)
                share = f" {part_of(here, len(rows))}"
                count = format_count(here)
                words += f"{count + (share if len(count + share) <= each else ''):<{each + 1}}"
            if obtainable := sum(row.is_obtainable for row in rows):
                words += f"{format_count(obtainable)} at the archive"
        self.query_one("#totals", Static).update(words)

    def _show_head(self) -> None:
        if not self._sets:
            self.query_one("#head", Static).update(" Sets")
            return
        dot = f" {self.maap.glyphs.dot} "
        place = f" ({self._at + 1} of {len(self._sets)}, tab)" if len(self._sets) > 1 else ""
        span = self.span
        days = f"{span.first_day}" if self._days == 1 else f"{span.first_day} to {span.last_day:%m-%d}"
        words = [f"{self.wanted.name}{place}", days, "asking the archive" if self._is_asking else ""]
        if self._table is not None:
            counts, total = self._table.counts, len(self._table.rows)
            complete = counts["complete"]
            whole = f"{format_count(complete)} of {format_count(total)} complete ({part_of(complete, total)})"
            states = [
                f"{format_count(counts[state])} {state}" for state in sorted(counts) if state != "complete"
            ]
            words.append(", ".join([whole, *states]) if total else "nothing")
        words = [one for one in (*words, self._problem) if one]
        self.query_one("#head", Static).update(clean(f" {dot.join(words)}"))

    @on(RowList.Highlighted)
    def show_about(self) -> None:
        """Say of the orbit and frame under the cursor what it waits for."""
        row = self._rows.current
        words = ""
        if row is not None:
            words = f" {self._orbit_of(row)} {row.start:%Y-%m-%d %H:%M}: {self._words_of(row)}"
        self.query_one("#about", Static).update(clean(words))
        self.query_one("#cell", Static).update(clean(f" {self._cell_words(row)}" if row is not None else ""))

    def _cell_words(self, row: SetRow) -> str:
        """What the cell under the cursor says, in a sentence."""
        member, cell = self.wanted.members[self._member], row.cells[self._member]
        name = f"{member.product_type} {cell.baseline}".strip()
        words = f"{name}: {_CELL_WORDS[cell.state]}"
        if cell.other and cell.state != "here":
            words += f", {cell.other} is here"
        version = cell.version
        if version is None:
            return words
        size = f", {format_bytes(version.size)}" if version.size is not None else ""
        return f"{words}{size}, {version.name}"

    def action_step(self, by: int) -> None:
        """Go to the product before or after this one."""
        if self._sets:
            self._put_member(self._member + by)

    def _put_member(self, number: int) -> None:
        number = max(0, min(number, len(self.wanted.members) - 1))
        row = self._rows.current
        if number != self._member and row is not None:
            self._member = number
            self._rows.refresh_rows([row.spot])
            self.show_about()

    @on(events.Click)
    def choose_product(self, event: events.Click) -> None:
        """A click on a cell puts the cursor on its product too."""
        at = event.screen_x - self._rows.region.x - PRODUCTS_AT
        if self._sets and self._rows.region.contains(event.screen_x, event.screen_y) and at >= 0:
            number = at // (self._each + 1)
            if number < len(self.wanted.members):
                self._put_member(number)

    def _show(self, table: SetTable) -> None:
        self._table = table
        self._rows.empty_text = (
            "No orbit and frame of these days has any of the products: + shows more days, [ earlier ones."
        )
        if self._table.rows != self._rows.rows:
            self._rows.set_rows(table.rows)
        self._show_totals()
        self.show_about()

    def _look(self) -> None:
        """Look at the set: what the registry knows at once, then what the archive says."""
        self._problem, self._table = "", None
        self._rows.empty_text = "Looking..."
        self._rows.set_rows([])
        self._show_totals()
        start_worker(self, self._ask, group="ask", exclusive=True)

    async def _ask(self) -> None:
        wanted, span = self.wanted, self.span
        self._is_asking = True
        self._show_head()
        for ask in (False, True):
            try:
                table = await self.maap.backend.ask(partial(set_table, wanted=wanted, span=span, ask=ask))
            except MaapError as error:
                # Without the archive what is registered is still shown; its names may not be known yet.
                if ask:
                    self._problem = problem_of(error)
                    self._rows.empty_text = self._problem
                    self._rows.refresh()
                    self.maap.backend.write_log("warning", f"The set {wanted.name}: {self._problem}")
                continue
            if ask and table.failed_days:
                self._problem = f"{plural(len(table.failed_days), 'day')} could not be searched"
            self._show(table)
            self._show_head()
        self._is_asking = False
        self._show_head()

    def _poll(self) -> None:
        if not self._is_polling:
            self._is_polling = True
            start_worker(self, self._look_at_registry, group="poll")

    async def _look_at_registry(self) -> None:
        """Judge again once the registry of a product has changed; the archive is not asked."""
        try:
            _, changed = await asyncio.to_thread(self._watch.poll)
            table = self._table
            if table is None:
                self._is_stale |= bool(changed)
                return
            names = {(member.collection, member.product_type) for member in table.wanted.members}
            self._is_stale |= any((key.collection, key.product_type) in names for key in changed)
            if not self._is_stale:
                return
            fresh = await judged(self.maap.backend.session, table)
            if self._table is table:
                self._is_stale = False
                self._show(fresh)
                self._show_head()
        except (MaapError, OSError):
            return  # the mode below says what is wrong
        finally:
            self._is_polling = False

    def action_mark(self) -> None:
        self._rows.toggle_mark()

    def action_mark_range(self) -> None:
        self._rows.mark_range()

    def action_mark_all(self) -> None:
        self._rows.mark_all()

    def action_invert(self) -> None:
        self._rows.invert_marks()

    def action_not_complete(self) -> None:
        self._is_incomplete_only = not self._is_incomplete_only
        keep: Callable[[SetRow], bool] | None = None
        if self._is_incomplete_only:
            keep = lambda row: row.state not in ("complete", "deleted", "gap")  # noqa: E731
        self._rows.keep_only(keep, "All of them are complete: n shows them.")

    def action_next_set(self, by: int) -> None:
        if len(self._sets) > 1:
            self._at = (self._at + by) % len(self._sets)
            self._rows.clear_marks()
            self._look()
            self._show_columns()

    def action_longer(self, by: int) -> None:
        at = max(0, min(len(SPANS) - 1, SPANS.index(self._days) + by))
        if self._sets and SPANS[at] != self._days:
            self._days = SPANS[at]
            self._look()

    def action_shift(self, by: int) -> None:
        if not self._sets:
            return
        now = self.maap.backend.now()
        moved = (self._end or now) + timedelta(days=by * self._days)
        end = moved if moved < now else None
        if end != self._end:
            self._end = end
            self._look()

    def action_ask_again(self) -> None:
        if self._sets:
            self._look()

    def action_fetch(self) -> None:
        if self._table is not None and self._rows.chosen:
            start_worker(self, self._fetch, self._table, self._rows.chosen, group="fetch")

    async def _fetch(self, table: SetTable, rows: Sequence[SetRow]) -> None:
        requests = await asyncio.to_thread(requests_of, self.maap.backend.session, table, rows)
        count = len(requests)
        if not count:
            self.maap.notify("Nothing of these is at the archive and not here.", timeout=5)
            return
        if not await may_queue(self.maap, count, f"{plural(count, 'file')} of {table.wanted.name}"):
            return
        self._rows.clear_marks()
        queued = await self.maap.backend.queue_files(requests)
        others = f" {count - queued} in the queue already." if count > queued else ""
        lacking = sum(any(cell.state == "nowhere" for cell in row.cells) for row in rows)
        words = (
            f" {plural(lacking, 'orbit and frame', 'orbits and frames')} wait for more." if lacking else ""
        )
        self.maap.notify(f"{plural(queued, 'file')} queued.{others}{words} 3 shows the queue.", timeout=8)

    def action_copy(self) -> None:
        if not self._sets:
            return
        wanted = self.wanted
        if wanted.name == CHOSEN:
            products = ",".join(map(str, wanted.members))
            self.maap.copy_text(
                shlex.join(["maap", "config", "set", "sets.NAME", products]), "Copied the declaration"
            )
            return
        start, end = (f"{one:%Y-%m-%dT%H:%M}" for one in (self.span.start, self.span.end))
        self.maap.copy_text(f"maap set sync {wanted.name} --start {start} --end {end}", "Copied the command")
