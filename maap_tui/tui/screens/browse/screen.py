"""The mode Browse: the tree of the archive, from local copies at once, refreshed behind the scenes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any, ClassVar

from rich.text import Text
from textual import events, on
from textual.containers import Container, Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Static, Tree

from maap_tui.engine.catalogue.index import CatalogueIndex, Known, KnownCollection
from maap_tui.engine.errors import MaapError
from maap_tui.engine.missions import mission_named
from maap_tui.engine.model import BaselineInfo
from maap_tui.engine.registry.entries import Key, Stats
from maap_tui.engine.session import Session
from maap_tui.text import clean, format_count, format_date, plural
from maap_tui.tui.keys import bindings, lists_of
from maap_tui.tui.problems import problem_of
from maap_tui.tui.screens.browse import branch_words
from maap_tui.tui.screens.browse.actions import BranchActions
from maap_tui.tui.screens.browse.archive_tree import ArchiveTree, Branch, Pieces
from maap_tui.tui.screens.browse.branch_words import Sheet
from maap_tui.tui.screens.browse.tree_filter import TreeFilter
from maap_tui.tui.screens.mode import ModeScreen
from maap_tui.tui.widgets.filter_line import FilterLine
from maap_tui.tui.workers import start_worker

REGISTRY_EVERY_S = 2.0
"""Seconds between looks at the registry while the mode is shown."""


class BrowseScreen(ModeScreen):
    """Mission > collection > product type > baseline."""

    MODE = "browse"
    BINDINGS: ClassVar = bindings("browse", *lists_of("browse"))
    AUTO_FOCUS = "ArchiveTree"

    def __init__(self) -> None:
        super().__init__()
        self._opened: set[Branch] = set()
        self.filter = TreeFilter()
        self._toggled: dict[Branch, bool] = {}
        """What was opened or closed by hand since the filter changed."""
        self._wanted: Branch | None = None
        """What another mode asked to see, until it can be shown."""
        self._fetching: set[str] = set()
        """Collections whose names this screen waits for."""
        self._list_problem = ""
        self._tracked: set[tuple[str, str, str]] | None = None
        """(collection, product type, baseline in upper case) of the registry; None until it was read."""
        self._here: dict[tuple[str, str, str], Stats] = {}
        self._here_problem = ""
        self._looking = False
        self._looked = 0.0
        self._detail = Text()
        self._announced: Branch | None = None
        self._detail_width = 0
        """Cells that the detail was laid out for; a resize while another mode was shown changes them."""
        """What the detail is about."""
        self.tree_view = ArchiveTree(self._children, self._pieces, self._is_open)
        # Kept here, because news may come while the widgets are made or taken down.
        self._filter_line = FilterLine(self.tree_view, placeholder="names and words, as in: cld bc")
        self._nothing_line = Static("", id="nothing", markup=False)
        self._detail_words = Static("", id="words", markup=False)
        self._detail_pane = VerticalScroll(self._detail_words, id="detail")
        self._activity_line = Static("", id="activity", markup=False)

    def body(self) -> Iterable[Widget]:
        self.work = BranchActions(self.maap, counted=self._take_count, synced=self._take_sync)
        yield self._filter_line
        yield Container(
            Vertical(self.tree_view, self._nothing_line, id="branches"), self._detail_pane, id="panes"
        )
        yield self._activity_line

    def on_mount(self) -> None:
        if self._known.missions and not self._opened:
            self._opened.add(Branch(self._known.missions[0]))
        self._show()
        start_worker(self, self._start, group="start")

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self._looked = 0.0

    # What is known

    @property
    def _index(self) -> CatalogueIndex:
        return self.maap.backend.session.index

    @property
    def _known(self) -> Known:
        return self._index.known

    async def _start(self) -> None:
        """Show what is here, then what the archive says, then what is missing here."""
        await self._reload()
        await self._look_at_registry()
        await self._list_collections()
        if self._list_problem:
            return  # the rest would not answer either; opening a collection asks again
        await self._fetch_names(self._missing(self._known.missions[0]))

    async def _reload(self, only: Iterable[str] | None = None) -> None:
        await asyncio.to_thread(self._index.load, only)
        self._follow_index()

    def _follow_index(self) -> None:
        """Show what the index knows now."""
        if self.filter.words:
            self.filter.find(self._known, self._baselines)
        self._show()

    async def _list_collections(self) -> None:
        """Ask what collections there are; without an answer the last one stays."""
        try:
            await self.maap.backend.ask(lambda session: session.index.fetch_collections())
        except MaapError as error:
            self._list_problem = error.message
            self.maap.backend.write_log(
                "warning", f"The list of collections was not refreshed: {error.message}"
            )
        else:
            self._list_problem = ""
        await self._reload(())

    def _missing(self, mission: str) -> list[str]:
        """Collections of a mission that have no local copy of their names and that the archive may have."""
        return self._index.missing(one.name for one in self._known.of_mission(mission))

    async def _fetch_names(self, names: Iterable[str]) -> None:
        """Fetch the names of collections again; what fails is shown in the tree and the log."""
        wanted = list(names)

        async def fetch(name: str) -> None:
            try:
                await self.maap.backend.ask(lambda session: session.index.fetch(name))
            except MaapError as error:
                self.maap.backend.write_log(
                    "warning", f"The names of {name} were not fetched: {error.message}"
                )
            finally:
                self._fetching.discard(name)
            self._follow_index()

        if wanted:
            self._fetching.update(wanted)
            self._show()
            await asyncio.gather(*(fetch(name) for name in wanted))

    def _fetch_problem(self, name: str) -> str:
        """Why the names of a collection were not fetched, '' when they were."""
        fault = self._known.faults.get(name)
        return fault.message if fault is not None else ""

    # The registry

    async def _look_at_registry(self) -> None:
        """Count what is here of the product types that are open, and of the one under the cursor."""
        shown = {
            (branch.collection, branch.product_type)
            for branch in [*self._opened, *self._toggled, self.tree_view.branch]
            if branch is not None and branch.collection is not None and branch.product_type is not None
        }
        self._looking = True
        try:
            tracked, here = await asyncio.to_thread(_count_here, self.maap.backend.session, shown)
        except Exception as error:
            # Whatever it was, the next look comes soon: it is shown here, not in a dialog each time.
            problem = f"The registry cannot be read: {problem_of(error)}"
        else:
            problem = ""
            if tracked != self._tracked or any(self._here.get(key) != stats for key, stats in here.items()):
                self._tracked = tracked
                self._here = {key: stats for key, stats in self._here.items() if key in tracked} | here
                self._show()
        finally:
            self._looking = False
            self._looked = time.monotonic()
        if problem != self._here_problem:
            self._here_problem = problem
            self._show()

    # The tree

    def _show(self) -> None:
        """Bring tree and detail up to date, and go to what was asked for as soon as it is there."""
        if not self.is_mounted:
            return
        self.tree_view.mark_words(self.filter.words)
        self.tree_view.reconcile()
        nothing = self._nothing_line
        is_empty = not self.tree_view.root.children
        nothing.display, self.tree_view.display = is_empty, not is_empty
        if is_empty:
            words = " ".join(self.filter.words)
            nothing.update(Text(f"Nothing known here contains '{clean(words, 60)}'. esc shows everything."))
        if self._wanted is not None and self.tree_view.select(self._wanted):
            self._wanted = None
        self._show_detail()
        self._show_activity()

    def _children(self, branch: Branch | None) -> list[Branch]:
        found = self._every_child(branch)
        if self.filter.words:
            found = [one for one in found if self.filter.passes(one)]
        return found

    def _every_child(self, branch: Branch | None) -> list[Branch]:
        if branch is None:
            return [Branch(mission) for mission in self._known.missions]
        if branch.collection is None:
            rows = self._known.of_mission(branch.mission)
            return [Branch(branch.mission, one.name) for one in rows]
        one = self._known.collections.get(branch.collection)
        if one is None:
            return []
        if branch.product_type is None:
            found = [Branch(branch.mission, one.name, name) for name in one.products]
            return found or [Branch(branch.mission, one.name, note=self._why_empty(one))]
        names = self._baselines(one, branch.product_type)
        found = [Branch(branch.mission, one.name, branch.product_type, name) for name in names]
        return found or [
            Branch(branch.mission, one.name, branch.product_type, note="No baseline of it is known here.")
        ]

    def _baselines(self, one: KnownCollection, product_type: str) -> list[str]:
        names = one.baselines_of(product_type)
        known_names = {name.upper() for name in names}
        tracked = [
            key[2]
            for key in self._tracked or ()
            if key[:2] == (one.name, product_type) and key[2] not in known_names
        ]
        return sorted([*names, *tracked])

    def _why_empty(self, one: KnownCollection) -> str:
        if one.name in self._fetching:
            return "Fetching its product types..."
        if problem := self._fetch_problem(one.name):
            return f"Not fetched: {problem}"
        if one.problem:
            return one.problem
        if one.is_listed is False:
            return "The archive does not list this collection."
        if one.has_names:
            return "The archive names no product types in it."
        return "Its product types are not known here yet: r fetches them."

    def _is_open(self, branch: Branch) -> bool:
        if self.filter.words:
            return self._toggled.get(branch, branch in self.filter.paths)
        return branch in self._opened

    def _pieces(self, branch: Branch) -> Pieces:
        if branch.note:
            return ((branch.note, "muted"),)
        if branch.collection is None:
            number = len(self._known.of_mission(branch.mission))
            return ((branch.mission, ""), (f"  {plural(number, 'collection')}", "muted"))
        one = self._known.collections.get(branch.collection)
        if one is None:
            return ((branch.collection, ""),)
        if branch.product_type is None:
            return self._collection_pieces(one)
        if branch.baseline is None:
            about = mission_named(branch.mission).products.get(branch.product_type)
            short = about.short if about else ""
            content = about.content if about else ""
            return ((f"{branch.product_type:<11}", ""), (f" {short:<8} {content}", "muted"))
        return self._baseline_pieces(one, branch)

    def _collection_pieces(self, one: KnownCollection) -> Pieces:
        pieces = [(f"{one.name:<32}", "")]
        if one.is_restricted:
            pieces.append((" restricted", "warning"))
        if one.is_listed is False:
            pieces.append((" not at the archive", "muted"))
        elif one.name in self._fetching and not one.products:
            pieces.append((" fetching...", "muted"))
        elif self._fetch_problem(one.name) and not one.products:
            pieces.append((" not fetched", "warning"))
        elif one.products:
            pieces.append((f" {plural(len(one.products), 'product type')}", "muted"))
        return tuple(pieces)

    def _baseline_pieces(self, one: KnownCollection, branch: Branch) -> Pieces:
        product_type, baseline = branch.product_type or "", branch.baseline or ""
        info = self._info_of(one, branch)
        pieces = [(f"{baseline:<4}", "")]
        if info is None:
            pieces.append((" not counted", "muted"))
        else:
            pieces.append((f" {format_count(info.count):>9}", ""))
            if info.time_start and info.time_end:
                span = f"  {format_date(info.time_start)} to {format_date(info.time_end)}"
                pieces.append((span, "muted"))
        stats = self._here.get((one.name, product_type, baseline.upper()))
        if stats is not None:
            here = [
                f"{format_count(number)} {word}"
                for number, word in (
                    (stats.here, "here"),
                    (stats.pending_downloads, "to get"),
                    (stats.errors, "failed"),
                )
                if number
            ]
            if here:
                pieces.append(("  " + ", ".join(here), "warning" if stats.errors else "success"))
        return tuple(pieces)

    def _info_of(self, one: KnownCollection, branch: Branch) -> BaselineInfo | None:
        """What was counted of a baseline; one that was found empty is in no built catalogue."""
        info = (
            one.catalogue.baseline(branch.product_type or "", branch.baseline or "")
            if one.catalogue
            else None
        )
        return info or self.work.empty.get(branch)

    @on(Tree.NodeExpanded)
    def note_opened(self, event: Tree.NodeExpanded[Branch]) -> None:
        """Remember what was opened by hand, and fetch what is not here."""
        branch = event.node.data
        if branch is not None and event.node.is_expanded and not self._is_open(branch):
            self._open(branch)

    @on(Tree.NodeCollapsed)
    def note_closed(self, event: Tree.NodeCollapsed[Branch]) -> None:
        """Remember what was closed by hand."""
        branch = event.node.data
        if branch is not None and not event.node.is_expanded and self._is_open(branch):
            self._close(branch)

    def _open(self, branch: Branch) -> None:
        self._toggled[branch] = True
        if not self.filter.words:
            self._opened.add(branch)
        self._looked = 0.0
        self._show()
        names: list[str] = []
        if branch.collection is None:
            names = self._missing(branch.mission)
        elif branch.product_type is None and branch.collection not in self._index.fetched:
            names = [branch.collection]
        if names:
            start_worker(self, self._fetch_names, names, group="names")

    def _close(self, branch: Branch) -> None:
        self._toggled[branch] = False
        if not self.filter.words:
            self._opened.discard(branch)
        self._show()

    @on(Tree.NodeHighlighted)
    def note_cursor(self) -> None:
        """Report what the cursor came to."""
        branch = self.tree_view.branch
        if branch is not None and branch.product_type is not None:
            self._looked = 0.0
        self._show_detail()

    @on(Tree.NodeSelected)
    def choose(self, event: Tree.NodeSelected[Branch]) -> None:
        """Open or close the branch that was clicked; a click on a baseline only goes there."""
        if event.node.data is not None and event.node.data.baseline is None:
            self.action_open()

    # The filter

    @on(FilterLine.Filtered)
    def filter_tree(self, event: FilterLine.Filtered) -> None:
        """Show what every word is found in, on the way from the mission, and open the branches to it."""
        words = tuple(event.text.lower().split())
        if words == self.filter.words:
            return
        self.filter.words = words
        self._toggled = {}
        kept = self.tree_view.branch
        if not words:
            for branch in kept.path[:-1] if kept is not None else ():
                self._opened.add(branch)
            self._show()
            return
        self.filter.find(self._known, self._baselines)
        self._show()
        if kept not in self.filter.hits:
            first = self._first_hit(None)
            if first is not None:
                self.tree_view.select(first)
                self._show_detail()

    def _first_hit(self, branch: Branch | None) -> Branch | None:
        for child in self._children(branch):
            if child in self.filter.hits:
                return child
            if child in self.filter.paths and (found := self._first_hit(child)) is not None:
                return found
        return None

    # The detail

    def _show_detail(self) -> None:
        pane = self._detail_pane
        branch = self.tree_view.branch
        width = self._detail_width = pane.scrollable_content_region.width or 78
        text = Text("Nothing is chosen.") if branch is None else self._sheet(branch).draw(width)
        if text == self._detail:
            return
        self._detail = text
        self._detail_words.update(text)
        if branch != self._announced:
            self._announced = branch
            pane.scroll_home(animate=False)

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self._show_detail)

    def _sheet(self, branch: Branch) -> Sheet:
        if branch.note:
            return branch_words.note_words(branch)
        mission = mission_named(branch.mission)
        one = self._known.collections.get(branch.collection or "")
        if one is None:
            sheet = branch_words.mission_words(mission, self._known.of_mission(branch.mission))
        elif branch.product_type is None:
            tracked = sum(1 for key in self._tracked or () if key[0] == one.name)
            sheet = branch_words.collection_words(one, tracked)
        elif branch.baseline is None:
            names = (one.name, branch.product_type)
            here = {key[2]: stats for key, stats in self._here.items() if key[:2] == names}
            sheet = branch_words.product_words(one, branch.product_type, mission, here)
        else:
            key = (one.name, branch.product_type, branch.baseline.upper())
            is_read = self._tracked is not None and (key not in self._tracked or key in self._here)
            info = self._info_of(one, branch)
            sheet = branch_words.baseline_words(one, branch, mission, info, self._here.get(key), is_read)
        if one is None and self._list_problem:
            sheet.problems.append(f"Shown as it was known last. {self._list_problem}")
        if one is not None and (problem := self._fetch_problem(one.name)):
            sheet.problems.append(f"Its names were not refreshed. {problem}")
        sheet.problems += [words for words in (self._here_problem, self._known.problem) if words]
        return sheet

    def _show_activity(self) -> None:
        line = self._activity_line
        text = self._activity()
        if text != str(line.content):
            line.update(text)
            line.display = bool(text)

    def _activity(self) -> str:
        parts = self.work.sentences()
        if self._fetching:
            parts.append(f"Fetching the names of {plural(len(self._fetching), 'collection')}...")
        return clean(" ".join(parts))

    def sample(self) -> None:
        super().sample()
        if not self.is_mounted:
            return
        self._show_activity()
        if self._detail_pane.scrollable_content_region.width not in (0, self._detail_width):
            self._show_detail()
        self.work.look()
        if not self._looking and time.monotonic() - self._looked >= REGISTRY_EVERY_S:
            self._looking = True
            start_worker(self, self._look_at_registry, group="registry")

    # What other modes ask for

    def receive(
        self, collection: str | None = None, product_type: str | None = None, baseline: str | None = None
    ) -> None:
        """Open the tree at a collection, product type or baseline and put the cursor on it."""
        if collection is None:
            return
        one = self._known.collections.get(collection)
        if one is None:
            self.maap.notify(
                f"No collection {clean(collection, 80)} is known here.", severity="warning", markup=False
            )
            return
        if baseline is not None and product_type is not None:
            names = self._baselines(one, product_type)
            baseline = next((name for name in names if name.lower() == baseline.lower()), baseline)
        branch = Branch(one.mission, collection, product_type, baseline if product_type else None)
        line = self._filter_line
        if line.value:
            line.value = ""
            line.display = False
            self.filter.words = ()
        self._wanted = branch
        self._opened.update(branch.path[:-1])
        self._looked = 0.0
        self._show()
        self.tree_view.focus()
        if self._wanted is not None:
            start_worker(self, self._fetch_wanted, branch, group="wanted", exclusive=True)

    async def _fetch_wanted(self, branch: Branch) -> None:
        assert branch.collection is not None
        await self._reload((branch.collection,))
        if self._wanted == branch:
            await self._fetch_names([branch.collection])
        if self._wanted == branch:
            self._wanted = None
            parent = branch.parent
            while parent is not None and not self.tree_view.select(parent):
                parent = parent.parent
            self.maap.notify(
                f"{clean(branch.words, 120)} is not known here.", severity="warning", markup=False
            )

    # Actions

    @property
    def _branch(self) -> Branch | None:
        """What the cursor is on; for a sentence in place of children, what they would hang on."""
        branch = self.tree_view.branch
        return branch.parent if branch is not None and branch.note else branch

    def _say(self, sentence: str, severity: Any = "information") -> None:
        self.maap.notify(clean(sentence), severity=severity, markup=False)

    def action_open(self) -> None:
        branch = self.tree_view.branch
        if branch is None:
            return
        if branch.note:
            self.action_refresh()
        elif branch.baseline is not None:
            self.action_search_here()
        elif self._is_open(branch):
            self._close(branch)
        else:
            self._open(branch)

    def action_search_here(self) -> None:
        branch = self._branch
        names = {
            "collection": branch.collection if branch else None,
            "product_type": branch.product_type if branch else None,
            "baseline": branch.baseline if branch else None,
        }
        self.maap.go("search", **{name: value for name, value in names.items() if value is not None})

    def action_copy(self) -> None:
        branch = self._branch
        if branch is not None:
            self.maap.copy_text(branch.words, "Copied the name")

    def action_refresh(self) -> None:
        branch = self._branch
        if branch is not None:
            start_worker(self, self._refresh, branch, group="refresh", exclusive=True)

    async def _refresh(self, branch: Branch) -> None:
        before = self._products_of(branch)
        await self._list_collections()
        if branch.collection is not None:
            names = [branch.collection]
        else:
            rows = self._known.of_mission(branch.mission)
            names = [one.name for one in rows if one.is_listed is not False]
        await self._fetch_names(names)
        failed = [name for name in names if self._fetch_problem(name)]
        if len(failed) == len(names) and failed:
            self._say(
                f"The names of {branch.words} were not fetched: {self._fetch_problem(failed[0])}", "error"
            )
            return
        after = self._products_of(branch)
        new = sorted(after - before)
        words = f"{plural(len(after), 'product type')} in {branch.collection or branch.mission}"
        if new and before:
            words += f", new: {', '.join(new[:5])}{' and more' if len(new) > 5 else ''}"
        if failed:
            words += f"; {plural(len(failed), 'collection')} not fetched, see the log"
        self._say(words + ".", "warning" if failed else "information")

    def _products_of(self, branch: Branch) -> set[str]:
        rows = self._known.of_mission(branch.mission)
        return {name for one in rows if branch.collection in (None, one.name) for name in one.products}

    def action_build(self) -> None:
        branch = self._branch
        if branch is None or branch.collection is None:
            self._say("Put the cursor on a collection, a product type or a baseline to count it.", "warning")
            return
        self.work.build(branch)
        self._show_activity()

    def action_sync(self) -> None:
        branch = self._branch
        if branch is None or branch.collection is None or branch.product_type is None:
            self._say("Put the cursor on a product type or a baseline to sync it.", "warning")
            return
        self.work.sync(branch)

    def _take_count(self, name: str) -> None:
        if self.maap.is_running and self.is_mounted:
            start_worker(self, self._reload, (name,), group="reload")

    def _take_sync(self) -> None:
        self._looked = 0.0


def _count_here(
    session: Session, shown: set[tuple[str, str]]
) -> tuple[set[tuple[str, str, str]], dict[tuple[str, str, str], Stats]]:
    """The baselines that the registry follows, and the counts of those of the product types shown."""
    tracked: dict[tuple[str, str, str], Key] = {}
    for key in session.registry.tracked():
        tracked[key.collection, key.product_type, key.baseline.upper()] = key
    here = {
        name: session.registry.baseline(key).stats() for name, key in tracked.items() if name[:2] in shown
    }
    return set(tracked), here
