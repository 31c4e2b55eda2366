"""OverpassDialog: when the satellite passes a place, as a table; what is not here of it can be queued."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Input, Static

from maap_tui.engine.errors import InvalidRequestError, MaapError
from maap_tui.engine.model import Granule, TimeRange
from maap_tui.engine.overpass.ical import calendar
from maap_tui.engine.overpass.passing import Overpass, Place, csv_text
from maap_tui.engine.overpass.units import km_words, read_duration
from maap_tui.engine.query import Circle, Query
from maap_tui.engine.session import Session
from maap_tui.engine.sites import Site, find, split_reach
from maap_tui.engine.storage import files
from maap_tui.engine.storage.places import demand_file
from maap_tui.engine.time_words import read_time
from maap_tui.engine.workflows.overpass import MOST_AHEAD, Overpasses, overpasses, query_for
from maap_tui.text import clean, plural
from maap_tui.tui.dialogs.command_dialog import CommandDialog
from maap_tui.tui.dialogs.dialog import CLOSES
from maap_tui.tui.dialogs.prompt import ask_file
from maap_tui.tui.screens.search.area_field import read_area
from maap_tui.tui.screens.search.command_values import values_of
from maap_tui.tui.screens.search.results import result_of
from maap_tui.tui.screens.search.terms import NEWEST, Terms, names_of
from maap_tui.tui.widgets.key_line import KeyLine, KeyWords
from maap_tui.tui.widgets.row_list import RowList
from maap_tui.tui.widgets.row_model import Column
from maap_tui.tui.workers import start_worker

KEYS: tuple[KeyWords, ...] = (
    ("d", "fetches", "fetch"),
    ("space", "marks", "mark"),
    ("f", "place, time", "fields"),
    ("e", "writes .ics", "export"),
    CLOSES,
)
WHERE = "place: a site r100, or LAT,LON r100"
WHEN = "time: next 14d, 2025-12, 2025-12-01..2025-12-20, or 30d back from now"

COLUMNS = [
    Column("time", "Time (UTC)", 19, lambda row: f"{row.time:%Y-%m-%d %H:%M:%S}"),
    Column("distance", "Distance", 9, lambda row: km_words(row.metres), None, lambda row: row.metres, True),
    Column("side", "Side", 5, lambda row: row.side),
    Column("swath", "Swath", 8, lambda row: _swath(row)),
    Column("sun", "Sun", 5, lambda row: row.day_words),
    Column("orbit", "Orbit", 6, lambda row: row.name),
    Column("source", "Source", 0, lambda row: row.source.partition(" ECA_")[0]),
    Column("here", "Here", 10, lambda row: " ".join(row.here), lambda row: "success"),
]


def _swath(row: Overpass) -> str:
    if row.swath_metres is None:
        return ""
    return km_words(row.swath_metres) if row.swath_metres else "inside"


class OverpassDialog(CommandDialog[None]):
    """The table of one place and time; both can be typed."""

    closes_beside = False
    BINDINGS: ClassVar = [
        Binding("d", "fetch", "Fetch", show=False),
        Binding("space", "mark", "Mark", show=False),
        Binding("a", "mark_all", "All", show=False),
        Binding("f,tab", "fields", "Place, time", show=False),
        Binding("e", "export", "Write", show=False),
        Binding("escape", "close", "Close", show=False),
        Binding("q,O", "close", "Close", show=False),
    ]

    def __init__(
        self, terms: Terms, sites: Sequence[Site], queue: Callable[[Sequence[Granule]], object]
    ) -> None:
        """Take what is looked for.

        Args:
            terms: the form of the search: its product, its area where that is a circle.
            sites: the places that may be named.
            queue: queues the files of granules.
        """
        super().__init__()
        self._terms = terms
        self._sites = sites
        self._queue = queue
        self._found: Overpasses | None = None

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -wide -high"):
            yield Static(self._title(), markup=False, classes="question")
            yield Input(self._first_place(), placeholder=WHERE, id="where", compact=True)
            yield Input("next 14d", placeholder=WHEN, id="when", compact=True)
            yield RowList(
                COLUMNS,
                key=lambda row: (row.time, row.name),
                empty_text="Type a place, as hyytiala r50, and press enter.",
            )
            yield Static("", markup=False, id="said")
            yield KeyLine(self.with_commands(KEYS))

    def _title(self) -> str:
        names = " ".join(filter(None, names_of(self._terms, self.maap.backend.session.index.known)[1:]))
        return clean(f"Overpasses of {names}" if self._terms.collection and names else "Overpasses")

    def _first_place(self) -> str:
        """The area of the form where it is a place; '' otherwise."""
        try:
            return self._terms.area if "circle" in read_area(self._terms.area, self._sites) else ""
        except InvalidRequestError:
            return ""

    def on_mount(self) -> None:
        if self.query_one("#where", Input).value:
            self._look()
        else:
            self.query_one("#where", Input).focus()

    def _say(self, words: str) -> None:
        self.query_one("#said", Static).update(clean(words))

    @on(Input.Submitted)
    def _look(self) -> None:
        """Look for what is typed now; a field with what cannot be read keeps the focus."""
        try:
            asked = self._asked()
        except InvalidRequestError as error:
            self._say(error.sentences)
            return
        self.query_one(RowList).focus()
        start_worker(self, self._find, *asked, group="overpasses", exclusive=True)

    def _asked(self) -> tuple[Place, float, TimeRange]:
        """The place, the metres around it and the time that are typed.

        Raises:
            InvalidRequestError: when one of them is none.
        """
        text = self.query_one("#where", Input).value
        circle = read_area(text, self._sites).get("circle")
        if not isinstance(circle, Circle):
            raise InvalidRequestError(f"Write a {WHERE}.")
        site = find(split_reach(text)[0], self._sites)
        name = site.title if site is not None else f"{circle.latitude:g},{circle.longitude:g}"
        now = self.maap.backend.now()
        when = self.query_one("#when", Input).value.strip()
        word, _, rest = when.partition(" ")
        if word.lower() == "next" or not when:
            start = now.replace(microsecond=0)
            span = TimeRange(start, start + read_duration(rest or "14d", "next", most=MOST_AHEAD))
        else:
            found = read_time(when.removesuffix(" back"), now)
            if found.get("missing"):
                raise InvalidRequestError("The word missing is for searches", "Leave it out.")
            span = found["time"]
        return Place(name, (circle.longitude, circle.latitude)), circle.radius_km * 1000, span

    async def _find(self, place: Place, metres: float, span: TimeRange) -> None:
        rows = self.query_one(RowList)
        self._say("Looking...")
        try:
            found = await self.maap.backend.ask(
                partial(_found, terms=self._terms, place=place, metres=metres, span=span)
            )
        except MaapError as error:
            self._say(error.sentences)
            return
        self._found = found
        # The names may have been read only now.
        self.query_one(".question", Static).update(self._title())
        rows.empty_text = "The satellite does not come that near in this time."
        empty = {
            "swath": all(one.swath_metres is None for one in found.rows),
            "here": not any(one.here for one in found.rows),
        }
        rows.set_columns([column.key for column in COLUMNS if not empty.get(column.key)])
        rows.set_rows(found.rows)
        words = [plural(len(found.rows), "overpass", "overpasses") + f" of {place.name}"]
        if found.failed:
            words.append(f"{plural(len(found.failed), 'part')} of the time could not be searched")
        if found.without_track:
            words.append(f"{plural(len(found.without_track), 'granule')} without a track")
        self._say("; ".join([*words, *found.notes]))

    def action_fetch(self) -> None:
        """Queue what is chosen and not here."""
        chosen: list[Overpass] = self.query_one(RowList).chosen
        granules = [
            one.granule
            for one in chosen
            if one.granule is not None and one.granule.product_type not in one.here
        ]
        if granules:
            self._queue(granules)
        elif any(one.granule is not None for one in chosen):
            self._say("All of it is here.")
        else:
            self._say("What is to come cannot be fetched yet.")

    def subjects(self) -> Callable[[], list[dict[str, str]]]:
        """The granules of the marked overpasses, or of the one under the cursor, for a user's command."""
        session = self.maap.backend.session
        granules = [one.granule for one in self.query_one(RowList).chosen if one.granule is not None]

        def values_for(granule: Granule) -> dict[str, str]:
            formats = session.formats_of(Query(granule.collection, granule.product_type))
            return values_of(session.filing, result_of(granule, formats, keep_whole=True))

        return lambda: [values_for(granule) for granule in granules]

    def action_export(self) -> None:
        if self._found is not None:
            start_worker(self, self._export, self._found, group="export", exclusive=True)

    async def _export(self, found: Overpasses) -> None:
        path = await ask_file(
            self.maap,
            f"Write {plural(len(found.rows), 'overpass', 'overpasses')} to which file?",
            Path.home() / "overpasses.ics",
            check=_check,
            hint="Its suffix says how: .ics is a calendar, .csv a table.",
        )
        if path is None:
            return
        is_calendar = path.suffix.lower() == ".ics"
        now = self.maap.backend.now()
        words = calendar(found.rows, found.place, now) if is_calendar else csv_text(found.rows)
        await asyncio.to_thread(_write, path, words)
        self.maap.notify(
            clean(f"Wrote {plural(len(found.rows), 'overpass', 'overpasses')} to {path}."), markup=False
        )

    def action_mark(self) -> None:
        self.query_one(RowList).toggle_mark()

    def action_mark_all(self) -> None:
        self.query_one(RowList).mark_all()

    def action_fields(self) -> None:
        """Go to the place, then to the time, then to the table."""
        where, when = self.query_one("#where", Input), self.query_one("#when", Input)
        if where.has_focus:
            when.focus()
        elif when.has_focus:
            self.query_one(RowList).focus()
        else:
            where.focus()

    def action_close(self) -> None:
        """Leave the fields first, then the dialog."""
        rows = self.query_one(RowList)
        if rows.has_focus or not rows.rows:
            self.dismiss(None)
        else:
            rows.focus()


async def _found(session: Session, terms: Terms, place: Place, metres: float, span: TimeRange) -> Overpasses:
    collection = names_of(terms, session.index.known)[0]
    if collection:
        await session.index.learn(collection)
    collection, product_type, baseline = names_of(terms, session.index.known)
    named = baseline if baseline not in ("", NEWEST) else None
    query = query_for(session, collection, product_type if collection else "", named)
    if baseline == NEWEST:
        newest = await session.newest_baseline(query.collection, query.product_type)
        if not newest:
            raise InvalidRequestError(f"{query.product_type} has no granules in {query.collection}")
        query = query.replace(baseline=newest)
    return await overpasses(session, query, place, metres, span)


def _check(text: str) -> None:
    if demand_file(text).suffix.strip().lower() not in (".ics", ".csv"):
        raise InvalidRequestError("Name a file that ends in .ics or .csv.")


def _write(path: Path, words: str) -> None:
    with files.replacing(path) as write:
        write(words)
