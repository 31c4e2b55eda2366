"""SavedDialog: searches with a name, and the last ones, with what they found."""

from __future__ import annotations

import asyncio
import shlex
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Static

from maap_tui.engine.errors import MaapError
from maap_tui.engine.saved_searches import Choices, SavedSearches, check_name, words_of
from maap_tui.engine.search_history import KEPT, PastSearch, SearchHistory
from maap_tui.engine.storage import files
from maap_tui.text import clean, format_count, plural
from maap_tui.tui.dialogs.dialog import CLOSES, Dialog
from maap_tui.tui.dialogs.prompt import PromptDialog
from maap_tui.tui.outside import editor, run_outside
from maap_tui.tui.screens.search.saved_terms import in_words
from maap_tui.tui.screens.search.terms import crontab_of
from maap_tui.tui.widgets.key_line import KeyLine, KeyWords
from maap_tui.tui.widgets.row_list import RowList
from maap_tui.tui.widgets.row_model import Column
from maap_tui.tui.workers import start_worker


@dataclass(frozen=True, slots=True)
class Entry:
    """One row: a saved search, a past one, or both."""

    name: str
    """'' for one that is not saved."""
    choices: Choices
    past: PastSearch | None
    """The last time that it was made; None when nobody knows."""

    @property
    def cron_line(self) -> str:
        """A line for the crontab that fetches each morning what a saved search finds."""
        # A sync follows time alone.
        verb = "download" if {"orbit", "bbox", "point", "area"} & self.choices.keys() else "sync"
        return crontab_of(shlex.join(["maap", verb, "--saved", self.name]))

    @property
    def words(self) -> str:
        """The command line that does the same."""
        if self.name:
            return shlex.join(["maap", "search", "--saved", self.name])
        return shlex.join(["maap", "search", *words_of(self.choices)])


COLUMNS = [
    Column("star", "", 1, lambda row: "★" if row.name else "", tone=lambda row: "accent"),
    Column(
        "name",
        "Name or time",
        16,
        lambda row: row.name or f"{row.past.when:%Y-%m-%d %H:%M}",
        tone=lambda row: "primary" if row.name else "muted",
    ),
    Column("search", "Search", 0, lambda row: in_words(row.choices)),
    Column("found", "Found", 6, lambda row: format_count(row.past.found) if row.past else "", is_right=True),
    Column(
        "new",
        "New",
        5,
        lambda row: f"+{format_count(row.past.new)}" if row.past and row.past.new else "",
        tone=lambda row: "success",
        is_right=True,
    ),
]


KEYS: tuple[KeyWords, ...] = (
    ("enter", "searches", "take"),
    ("s", "saves", "save"),
    ("x", "deletes", "remove"),
    ("y", "copies", "copy"),
    ("e", "edits", "edit"),
    CLOSES,
)


class SavedDialog(Dialog[Choices | None]):
    """Gives back the search that was chosen, None when it was closed."""

    BINDINGS: ClassVar = [
        Binding("escape,q,ctrl+o", "dismiss(None)", "Close", show=False),
        Binding("e", "edit", "Edit the file", show=False),
        Binding("s", "save", "Save the form", show=False),
        Binding("x,delete", "remove", "Delete", show=False),
        Binding("y", "copy", "Copy the command", show=False),
        Binding("Y", "copy_cron", "Copy a line for the crontab", show=False),
    ]

    def __init__(self, here: Choices | None, problem: str) -> None:
        """Take the search of the form.

        Args:
            here: what can be saved; None for nothing.
            problem: why not, in words.
        """
        super().__init__()
        self._here = here
        self._problem = problem
        self._named: dict[str, Choices] = {}
        self.is_ready = False
        """Whether the searches are listed; a key that takes one waits for that."""

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -wide"):
            yield Static("Saved and past searches", markup=False, classes="question")
            yield RowList(
                COLUMNS,
                key=lambda row: row.name or repr(row.choices),
                can_mark=False,
                empty_text="No search yet. s saves the one in the form.",
            )
            yield Static("", markup=False, id="whole", classes="muted")
            yield KeyLine(KEYS)

    def on_mount(self) -> None:
        self.query_one(RowList).focus()
        start_worker(self, self._load, group="load", exclusive=True)

    @property
    def _searches(self) -> SavedSearches:
        return SavedSearches(self.maap.backend.session.dirs.searches_file)

    async def _load(self, name: str = "") -> None:
        """Read both, and put the cursor on a name."""
        history = SearchHistory(self.maap.backend.session.dirs)
        past = await asyncio.to_thread(history.past)
        try:
            self._named = await asyncio.to_thread(self._searches.all)
        except MaapError as error:
            self.maap.show_error(error)
        rows = [
            Entry(one, choices, next((done for done in past if done.choices == choices), None))
            for one, choices in self._named.items()
        ]
        named = list(self._named.values())
        rows += [Entry("", done.choices, done) for done in past[:KEPT] if done.choices not in named]
        shown = self.query_one(RowList)
        shown.set_rows(rows)
        if name:
            shown.move_to_key(name)
        self.show_whole()
        self.is_ready = True

    @property
    def current(self) -> Entry | None:
        """The row under the cursor."""
        row = self.query_one(RowList).current
        return row if isinstance(row, Entry) else None

    @on(RowList.Highlighted)
    def show_whole(self) -> None:
        """Say under the list what a row has no room for: the whole search, and what it found."""
        row = self.current
        lines = []
        if row is not None:
            lines.append(shlex.join(words_of(row.choices)))
            lines.append(_found_in_words(row.past) if row.past is not None else "not searched yet")
        self.query_one("#whole", Static).update("\n".join(map(clean, lines)))

    @on(RowList.Chosen)
    def action_take(self) -> None:
        """Search for what is under the cursor."""
        if (row := self.current) is not None:
            self.dismiss(row.choices)

    def action_save(self) -> None:
        if self._here is None:
            self.notify(clean(self._problem), severity="warning", markup=False)
        else:
            start_worker(self, self._save, self._here, group="save", exclusive=True)

    async def _save(self, here: Choices) -> None:
        row = self.current
        text = await self.maap.push_screen_wait(
            PromptDialog(
                "Save the search in the form under which name?",
                row.name if row is not None and row.choices == here else "",
                check=lambda text: check_name(text.strip()),
                hint=in_words(here),
            )
        )
        if text is None:
            return
        name = text.strip()
        before = self._named.get(name)
        if before not in (None, here) and not await self.maap.confirm(
            f"{name} is saved already. Replace it?", lines=[in_words(before or {})], verb="Replace"
        ):
            return
        await asyncio.to_thread(self._searches.save, name, here)
        self.notify(clean(f"Saved {name} in {self._searches.file}."), markup=False)
        await self._load(name)

    def action_remove(self) -> None:
        row = self.current
        if row is not None and row.name:
            start_worker(self, self._remove, row, group="save", exclusive=True)
        elif row is not None:
            self.notify("Past searches go by themselves: the last 50 are kept.", markup=False)

    async def _remove(self, row: Entry) -> None:
        if await self.maap.confirm(
            f"Delete the saved search {row.name}?", lines=[in_words(row.choices)], verb="Delete"
        ):
            await asyncio.to_thread(self._searches.remove, row.name)
            await self._load()

    def action_copy(self) -> None:
        if (row := self.current) is not None:
            self.maap.copy_text(row.words, "Copied the command")

    def action_edit(self) -> None:
        start_worker(self, self._edit, group="save", exclusive=True)

    async def _edit(self) -> None:
        """Open the file of the saved searches in the editor, and read it again."""
        row, session = self.current, self.maap.backend.session
        file = self._searches.file
        words = [*editor(session.environ), str(file)]
        await asyncio.to_thread(files.make_folder, file.parent)
        code = run_outside(self.app, words, session.environ)
        await self._load(row.name if row is not None else "")
        if code:
            self.notify(
                clean(f"{words[0]} ended with {code}; the file was read again."),
                severity="warning",
                markup=False,
            )

    def action_copy_cron(self) -> None:
        row = self.current
        if row is not None and row.name:
            self.maap.copy_text(row.cron_line, "Copied the crontab line")
        elif row is not None:
            self.notify("A crontab names a saved search: s saves the form's.", markup=False)


def _found_in_words(past: PastSearch) -> str:
    words = f"{plural(past.found, 'granule')} found {past.when:%Y-%m-%d %H:%M}"
    if past.new is not None and past.since is not None:
        words += f", {format_count(past.new)} new since {past.since:%Y-%m-%d %H:%M}"
    if past.failed_days:
        words += f", {plural(past.failed_days, 'day')} failed"
    return words
