"""CutDialog: variables and a region of one granule, cut into a file; what that fetches is said before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Input, Static

from maap_tui.engine.cuts.request import Cut, CutEstimate, CutVariable
from maap_tui.engine.errors import InvalidRequestError, MaapError
from maap_tui.engine.model import Granule
from maap_tui.engine.session import Session
from maap_tui.engine.sites import Site
from maap_tui.engine.workflows.cut import Source, source_of_granule
from maap_tui.text import clean, format_bytes
from maap_tui.tui.dialogs.dialog import CLOSES, Dialog
from maap_tui.tui.dialogs.prompt import ask_file
from maap_tui.tui.screens.search.area_field import read_area
from maap_tui.tui.widgets.key_line import KeyLine, KeyWords
from maap_tui.tui.widgets.row_list import RowList
from maap_tui.tui.widgets.row_model import Column
from maap_tui.tui.workers import start_worker

KEYS: tuple[KeyWords, ...] = (
    ("space", "marks", "mark"),
    ("a", "all", "mark_all"),
    ("f", "where", "where"),
    ("e", "estimate", "estimate"),
    ("w", "writes", "write"),
    ("y", "command", "copy"),
    CLOSES,
)
WHERE = "where: a site r100, LAT,LON r100, or W,S,E,N"
EVERYTHING = Cut(("*",))


def _shape(shape: list[int] | None) -> str:
    return "no value" if shape is None else " x ".join(map(str, shape)) or "one value"


COLUMNS = [
    Column("name", "Variable", 0, lambda row: row.name, keeps_end=True),
    Column("dtype", "Type", 8, lambda row: row.dtype),
    Column("shape", "In the file", 13, lambda row: _shape(row.shape), is_untrusted=False),
    Column("cut", "Kept", 12, lambda row: _shape(row.cut), is_untrusted=False),
    Column(
        "bytes", "Bytes", 9, lambda row: format_bytes(row.bytes), None, lambda row: row.bytes, True, False
    ),
]


class CutDialog(Dialog[None]):
    """What is marked is cut, all of it where nothing is."""

    closes_beside = False
    BINDINGS: ClassVar = [
        Binding("space", "mark", "Mark", show=False),
        Binding("a", "mark_all", "All", show=False),
        Binding("f,tab", "where", "Where", show=False),
        Binding("e", "estimate", "Estimate", show=False),
        Binding("w", "write", "Write", show=False),
        Binding("y", "copy", "Copy the command", show=False),
        Binding("escape", "close", "Close", show=False),
        Binding("q", "close", "Close", show=False),
    ]

    def __init__(self, granule: Granule, area: str, sites: Sequence[Site]) -> None:
        """Take what is cut.

        Args:
            granule: whose file it is.
            area: where, at first, as the form of the search has it; '' for all of it.
            sites: the places that may be named.
        """
        super().__init__()
        self._granule = granule
        self._area = area
        self._sites = sites
        self._source: Source | None = None
        self._estimated: tuple[Cut, CutEstimate] | None = None
        """What was estimated last."""

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -wide -high"):
            yield Static(clean(f"Cut {self._granule.id}"), markup=False, classes="question")
            yield Input(self._area, placeholder=WHERE, id="where", compact=True)
            yield RowList(COLUMNS, key=lambda row: row.name, empty_text="Reading the headers...")
            yield Static("", markup=False, id="needs")
            yield KeyLine(KEYS)

    def on_mount(self) -> None:
        self.query_one(RowList).focus()
        start_worker(self, self._list, group="cut", exclusive=True)

    def _say(self, words: str) -> None:
        self.query_one("#needs", Static).update(clean(words))

    async def _list(self) -> None:
        """Find the variables of the file."""
        found = await self._ask(EVERYTHING)
        rows = self.query_one(RowList)
        if found is None:
            rows.empty_text = "Nothing can be cut."
            return
        rows.set_rows(found.variables)
        self._say("space marks variables; e says what they need.")

    async def _ask(self, wanted: Cut) -> CutEstimate | None:
        """What a cut needs; None where it cannot be, and the dialog says why."""
        try:
            return await self.maap.backend.ask(lambda session: self._estimate(session, wanted))
        except MaapError as error:
            name = self._source.name if self._source is not None else ""
            words = error.sentences.removeprefix(f"{name}: ")
            self._say(words[:1].upper() + words[1:])
            return None

    async def _estimate(self, session: Session, wanted: Cut) -> CutEstimate:
        if self._source is None:
            granule = self._granule
            # The rows of a long list lack their files.
            if granule.assets:
                self._source = await source_of_granule(session, granule)
            else:
                self._source = await session.cut_source(granule.id, granule.collection)
        return await session.estimate_cut(self._source, wanted)

    def _wanted(self) -> Cut | None:
        """What is chosen now; None where it says nothing, and the dialog says that."""
        rows = self.query_one(RowList)
        chosen: list[CutVariable] = rows.chosen if rows.marks else []
        try:
            area = read_area(self.query_one("#where", Input).value, self._sites)
            if "area" in area:
                raise InvalidRequestError("The area of a file cannot be cut out; write a box or a circle")
            return Cut(tuple(one.name for one in chosen), area.get("circle"), area.get("box"))
        except InvalidRequestError as error:
            self._say(error.sentences)
            return None

    @on(Input.Submitted)
    def action_estimate(self) -> None:
        """Say what the choice needs; a place that cannot be read keeps the focus."""
        if self._wanted() is None:
            return
        self.query_one(RowList).focus()
        start_worker(self, self._estimate_choice, group="cut", exclusive=True)

    async def _estimate_choice(self) -> tuple[Cut, CutEstimate] | None:
        if (wanted := self._wanted()) is None:
            return None
        if self._estimated is None or self._estimated[0] != wanted:
            self._say("Reading positions and times...")
            if (found := await self._ask(wanted)) is None:
                return None
            self._estimated = wanted, found
        found = self._estimated[1]
        kept = {one.name: one for one in found.variables}
        rows = self.query_one(RowList)
        rows.set_rows([kept.get(row.name, replace(row, cut=[0], bytes=0)) for row in rows.rows])
        self._say(f"{found.points}. {found.needs}" if found.points else found.needs)
        return self._estimated

    def action_write(self) -> None:
        start_worker(self, self._write, group="cut", exclusive=True)

    async def _write(self) -> None:
        estimated = await self._estimate_choice()
        source = self._source
        if estimated is None or source is None:
            return
        wanted, found = estimated
        out = await ask_file(
            self.maap,
            "Write the cut to which file?",
            Path.home() / f"{self._granule.id}_cut.nc",
            hint=found.needs,
        )
        if out is None:
            return
        self._say("Fetching and writing...")
        result = await self.maap.backend.ask(
            lambda session: session.cut(source, wanted, out, command=wanted.command(self._granule.id))
        )
        words = f"{result.done}, to {out}"
        for left in result.left_out:
            self.maap.backend.write_log("warning", f"{out.name} lacks: {left}")
        words += f"; {len(result.left_out)} left out, see the log" if result.left_out else ""
        self.maap.backend.write_log("info", words)
        self.maap.notify(clean(words), timeout=10, markup=False)
        self.dismiss(None)

    def action_copy(self) -> None:
        if (wanted := self._wanted()) is not None:
            self.maap.copy_text(wanted.command(self._granule.id), "Copied the command")

    def action_mark(self) -> None:
        self.query_one(RowList).toggle_mark()

    def action_mark_all(self) -> None:
        self.query_one(RowList).mark_all()

    def action_where(self) -> None:
        where, rows = self.query_one("#where", Input), self.query_one(RowList)
        (rows if where.has_focus else where).focus()

    def action_close(self) -> None:
        """Leave the line of the place first, then the dialog."""
        if self.query_one("#where", Input).has_focus:
            self.query_one(RowList).focus()
        else:
            self.dismiss(None)
