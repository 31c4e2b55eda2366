"""SearchForm: the fields of a search, completed and checked as they are typed."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import ClassVar

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Checkbox, Input, Label, Static

from maap_tui.engine.catalogue.index import Known
from maap_tui.engine.query import Query
from maap_tui.engine.sites import Site, sites
from maap_tui.text import clean
from maap_tui.tui.host import OnHost
from maap_tui.tui.screens.search.terms import (
    BOXES,
    Match,
    Reading,
    Terms,
    find_matches,
    read_terms,
)
from maap_tui.tui.widgets.field_box import FieldBox
from maap_tui.tui.widgets.row_list import RowList
from maap_tui.tui.widgets.row_model import Column

LABELS = {
    "collection": "Collection",
    "product_type": "Product",
    "baseline": "Baseline",
    "time": "Time",
    "orbit": "Orbit",
    "frames": "Frames",
    "formats": "Format",
    "maximum": "Max",
    "area": "Area",
}
"""Field -> its label."""

_PLACEHOLDERS = {
    "collection": "type a part of a name",
    "product_type": "name or content, as cloud",
    "baseline": "any, one, newest",
    "time": "7d or 2025-12-01..2025-12-07",
    "orbit": "7655C, 8960-8970",
    "frames": "A,B",
    "area": "61.8,24.3 r100, W,S,E,N or a file",
}
_ROWS = (
    ("collection",),
    ("product_type", "baseline"),
    ("time", "orbit"),
    ("frames", "formats", "maximum"),
    ("area",),
)
_BOXES = {"maximum": ("newest_first", "newest first"), "area": ("every_version", "all versions")}
"""Field -> the box beside it, and its label."""


class NameSuggester(Suggester):
    """Suggests the first name that begins with what was typed."""

    def __init__(self, form: SearchForm, name: str) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._form = form
        self._name = name

    async def get_suggestion(self, value: str) -> str | None:
        lowered = value.lower()
        for match in self._form.matches_of(self._name):
            if match.name.lower().startswith(lowered):
                return clean(value + match.name[len(value) :])
        return None


class FieldInput(Input):
    """One field; the arrows walk through its matches, or to the fields beside it."""

    BINDINGS: ClassVar = [
        Binding("up", "walk(-1)", "Match above", show=False),
        Binding("down", "walk(1)", "Match below", show=False),
        Binding("tab", "complete", "Take the suggestion", show=False),
    ]

    class Completed(Message):
        """Tab was pressed in a field."""

    class Walked(Message):
        """An arrow was pressed in a field."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    def __init__(self, name: str, suggester: Suggester | None) -> None:
        super().__init__(
            placeholder=_PLACEHOLDERS.get(name, ""),
            compact=True,
            suggester=suggester,
            select_on_focus=False,
            id=name,
            max_length=200,
        )

    def action_walk(self, by: int) -> None:
        self.post_message(self.Walked(by))

    def action_complete(self) -> None:
        self.post_message(self.Completed())


class MatchList(RowList, can_focus=False):
    """The names that the current field can be completed with; a click takes one."""

    def show(self, found: list[Match]) -> None:
        """Show other matches, each as wide as its name."""
        title = "Matches"
        width = max(len(title), *(min(32, len(match.name) + 1) for match in found))
        names = [
            Column("name", title, width, lambda match: match.name, lambda match: "primary", keeps_end=True)
        ]
        if where := max(len(match.collection) for match in found):
            names.append(Column("where", "", min(32, where), lambda match: match.collection))
        names.append(Column("about", "", 0, lambda match: match.about))
        self.offer_columns(names)
        self.set_columns([column.key for column in names])
        self.set_rows(found)
        self.move_to(0)

    def on_click(self, event: events.Click) -> None:
        event.stop()
        if event.y > 0:
            self.move_to(self.scroll_offset.y + event.y - 1)
            self.action_choose()


class SearchForm(OnHost, Vertical):
    """The form. Folded it is one line; it unfolds when a field gets the focus."""

    class Changed(Message):
        """The query of the fields changed."""

    class Submitted(Message):
        """Enter in a field after the names."""

    class Unfold(Message):
        """The folded line was clicked."""

    def __init__(self) -> None:
        super().__init__(id="form")
        self.reading = Reading()
        self.note = ""
        """What is known about the number of granules, in words; '' for nothing."""
        self._walked = False

    def compose(self) -> ComposeResult:
        yield Static("", markup=False, id="summary")
        with Vertical(id="fields"):
            for row in _ROWS:
                with Horizontal(classes="row"):
                    for name in row:
                        has_names = name in ("collection", "product_type", "baseline", "formats", "area")
                        suggester = NameSuggester(self, name) if has_names else None
                        with Horizontal(classes=f"field -{name.replace('_', '-')}"):
                            yield Label(LABELS[name], markup=False)
                            yield FieldInput(name, suggester)
                    if row[-1] in _BOXES:
                        name, label = _BOXES[row[-1]]
                        yield FieldBox(label, compact=True, id=name.replace("_", "-"))
        yield MatchList(
            [],
            key=lambda match: (match.name, match.collection),
            empty_text="No name that is known here has this in it.",
            can_mark=False,
            id="matches",
        )
        yield Static("", markup=False, id="verdict")
        yield Static("", markup=False, id="command")

    def on_mount(self) -> None:
        self.query_one(MatchList).display = False
        self.query_one("#maximum", Input).placeholder = str(self._default_maximum)
        self.judge()

    @property
    def known(self) -> Known:
        """The archive's names that are known locally."""
        return self.maap.backend.session.index.known

    @property
    def terms(self) -> Terms:
        """The texts of the fields."""

        def text(name: str) -> str:
            return self.query_one(f"#{name}", Input).value

        return Terms(
            collection=text("collection"),
            product_type=text("product_type"),
            baseline=text("baseline"),
            time=text("time"),
            orbit=text("orbit"),
            frames=text("frames"),
            formats=text("formats"),
            maximum=text("maximum"),
            area=text("area"),
            newest_first=self._box("newest_first").value,
            every_version=self._box("every_version").value,
        )

    def _box(self, name: str) -> FieldBox:
        return self.query_one(f"#{name.replace('_', '-')}", FieldBox)

    def fill(self, terms: Terms) -> None:
        """Put other texts into the fields."""
        for name in LABELS:
            field = self.query_one(f"#{name}", Input)
            field.value = clean(getattr(terms, name))
            field.cursor_position = len(field.value)
        for name in BOXES:
            self._box(name).value = getattr(terms, name)
        self.judge()

    @property
    def query_now(self) -> Query | None:
        """The query that the fields mean at this moment, None while something is wrong or missing."""
        self.judge()
        return self.reading.query

    @cached_property
    def sites(self) -> list[Site]:
        """The places that may be named, the user's own first."""
        return sites(self.maap.backend.session.settings.sites)

    @property
    def _default_maximum(self) -> int:
        return self.maap.backend.session.settings.search.max_items

    def judge(self) -> None:
        """Read the fields again and show the result."""
        session = self.maap.backend.session
        self.reading = read_terms(
            self.terms,
            self.known,
            mission_of=session.mission_of,
            now=self.maap.backend.now(),
            default_maximum=self._default_maximum,
            sites=self.sites,
        )
        for name in LABELS:
            self.query_one(f"#{name}").set_class(name in self.reading.problems, "-wrong")
        self.show_verdict()
        query = self.reading.query
        command = self.query_one("#command", Static)
        # While something is wrong or missing, the last valid one stays, dimmed.
        command.set_class(query is None, "-old")
        if query is not None:
            command.update(f"$ {clean(query.to_command())}")
        self.query_one("#summary", Static).update(self._summary())

    def say(self, note: str) -> None:
        """Show what is known about the number of granules."""
        self.note = note
        self.show_verdict()

    def show_verdict(self) -> None:
        """The line below the fields: what is wrong first, then what to do, then what is known."""
        problems = self.reading.problems
        field = self.field_in_hand
        name = field if field in problems else next(iter(problems), "")
        verdict = self.query_one("#verdict", Static)
        verdict.set_class(bool(name), "error")
        if name:
            verdict.update(clean(f"{LABELS[name]}: {problems[name]}"))
        else:
            verdict.update(clean(self.reading.hint or self.note))

    def _summary(self) -> Text:
        terms = self.terms
        words = [terms.collection or "no collection", terms.product_type or "no product type"]
        words.append(terms.baseline or "any baseline")
        words.append(terms.time or ("" if terms.orbit else "whole mission"))
        if terms.orbit:
            words.append(f"orbit {terms.orbit}")
        if terms.frames:
            words.append(f"frames {terms.frames}")
        if terms.area:
            words.append(f"area {terms.area}")
        if terms.formats:
            words.append(terms.formats)
        if terms.every_version:
            words.append("all versions")
        return Text(clean(f" {self.maap.glyphs.dot} ".join(word for word in words if word)), no_wrap=True)

    @property
    def field_in_hand(self) -> str:
        """The field that has the focus, '' for none."""
        focused = self.screen.focused
        return focused.id or "" if isinstance(focused, FieldInput) else ""

    def matches_of(self, name: str) -> list[Match]:
        """The names that a field can be completed with."""
        return find_matches(name, self.terms, self.known, self.sites)

    def show_matches(self) -> None:
        """Show the matches of the current field, unless it already holds a name."""
        name = self.field_in_hand
        found = self.matches_of(name) if name else []
        self._walked = False
        rows = self.query_one(MatchList)
        rows.display = bool(found) and not self._is_complete(name, found)
        if rows.display:
            rows.show(found)

    def _is_complete(self, name: str, found: Iterable[Match]) -> bool:
        value = self.query_one(f"#{name}", Input).value.strip().lower()
        return any(match.name.lower() == value and not match.collection for match in found)

    @on(FieldInput.Walked)
    def walk(self, event: FieldInput.Walked) -> None:
        """Go through the matches, or to the next field where there are none."""
        event.stop()
        rows = self.query_one(MatchList)
        if rows.display:
            rows.move_to(rows.cursor + event.by)
            self._walked = True
        elif event.by > 0:
            self.screen.focus_next()
        else:
            self.screen.focus_previous()

    @on(FieldInput.Completed)
    def complete(self, event: FieldInput.Completed) -> None:
        """Take the suggested name, or go to the next field without one."""
        event.stop()
        name = self.field_in_hand
        typed = self.query_one(f"#{name}", Input).value.strip().lower() if name else ""
        names = (match for match in self.matches_of(name) if match.name.lower().startswith(typed))
        match = next(names, None) if typed else None
        if match is not None and (match.name.lower() != typed or match.collection):
            self._take(match)
        else:
            self.screen.focus_next()

    @on(Input.Submitted)
    def take_or_submit(self, event: Input.Submitted) -> None:
        """Take the current match; then go to the next field, or from a field after the names search."""
        event.stop()
        rows = self.query_one(MatchList)
        match = rows.current
        is_optional = self.field_in_hand in ("baseline", "formats") and not event.value.strip()
        if rows.display and match is not None and (self._walked or not is_optional):
            self._take(match)
        elif self.field_in_hand in ("collection", "product_type", "baseline"):
            self.screen.focus_next()
        else:
            self.post_message(self.Submitted())

    @on(RowList.Chosen, "#matches")
    def take_chosen(self, event: RowList.Chosen) -> None:
        """A click on a match."""
        event.stop()
        self._take(event.row)

    def _take(self, match: Match) -> None:
        name = self.field_in_hand
        if not name:
            return
        if match.collection:
            self.query_one("#collection", Input).value = match.collection
        field = self.query_one(f"#{name}", Input)
        field.value = match.name
        field.cursor_position = len(field.value)
        if name == "area" and match.name.endswith("/"):
            return  # what is in the folder comes next
        self.query_one(MatchList).display = False
        self.screen.focus_next()

    @on(Input.Changed)
    def read(self, event: Input.Changed) -> None:
        """Check the fields at each key."""
        event.stop()
        self.judge()
        if event.input.id == self.field_in_hand:
            self.show_matches()
        self.post_message(self.Changed())

    @on(Checkbox.Changed)
    def read_box(self, event: Checkbox.Changed) -> None:
        """The order was turned round."""
        event.stop()
        self.judge()
        self.post_message(self.Changed())

    def on_descendant_focus(self) -> None:
        self.show_matches()
        self.show_verdict()

    def on_descendant_blur(self) -> None:
        self.query_one(MatchList).display = False

    @on(events.Click, "#summary")
    def unfold(self) -> None:
        """A click on the folded line."""
        self.post_message(self.Unfold())
