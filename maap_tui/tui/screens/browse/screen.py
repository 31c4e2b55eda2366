"""The mode Browse: the tree of the archive, from local copies at once, refreshed in the background."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from rich.text import Text
from textual import events, on
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static, Tree

from maap_tui.engine.catalogue.index import CatalogueIndex
from maap_tui.engine.errors import MaapError
from maap_tui.text import clean, plural
from maap_tui.tui.keys import bindings, lists_of
from maap_tui.tui.problems import problem_of
from maap_tui.tui.screens.browse.actions import BranchActions
from maap_tui.tui.screens.browse.archive_tree import ArchiveTree, Branch
from maap_tui.tui.screens.browse.branches import Branches
from maap_tui.tui.screens.browse.registry_look import RegistryLook
from maap_tui.tui.screens.browse.tree_columns import head_words
from maap_tui.tui.screens.mode import ModeScreen
from maap_tui.tui.widgets.filter_line import FilterLine
from maap_tui.tui.widgets.pane import framed
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
        self.branches = Branches(lambda: self.maap.backend.session.index.known)
        self._toggled: dict[Branch, bool] = {}
        """What was opened or closed by hand since the filter changed."""
        self._wanted: Branch | None = None
        """The branch that another mode asked for, until it can be shown."""
        self._registry_look: RegistryLook | None = None
        """None until the registry was looked at."""
        self._looking = False
        self._looked = 0.0
        self._is_drawn = asyncio.Event()
        self._detail = Content()
        self._announced: Branch | None = None
        """The branch that the detail is about."""
        self._detail_width = 0
        """Cells that the detail was laid out for; a resize while another mode was shown changes them."""
        self.tree_view = ArchiveTree(self.branches.children, self.branches.label, self._is_open)
        # Kept here, because events may come while the widgets are made or removed.
        self._filter_line = FilterLine(self.tree_view, placeholder="names and words, as in: cld bc")
        self._head_line = Static("", id="tree-head", markup=False)
        self._nothing_line = Static("", id="nothing", markup=False)
        self._detail_words = Static("", id="words", markup=False)
        self._detail_pane = VerticalScroll(self._detail_words, id="detail")
        self._activity_line = Static("", id="activity", markup=False)

    def body(self) -> Iterable[Widget]:
        self.work = BranchActions(self.maap, counted=self._take_count, synced=self._take_sync)
        self.branches.empty = self.work.empty
        yield self._filter_line
        yield Container(
            framed(Vertical(self._head_line, self.tree_view, self._nothing_line, id="branches"), "Archive"),
            framed(self._detail_pane, "Details"),
            id="panes",
        )
        yield self._activity_line

    def on_mount(self) -> None:
        if self.branches.known.missions and not self._opened:
            self._opened.add(Branch(self.branches.known.missions[0]))
        self.watch(self.tree_view, "show_vertical_scrollbar", self._follow_scrollbar, init=False)
        self._show()
        start_worker(self, self._start, group="start")

    def on_screen_resume(self) -> None:
        self._looked = 0.0

    @property
    def _index(self) -> CatalogueIndex:
        return self.maap.backend.session.index

    async def _start(self) -> None:
        """Show local copies, then what the archive says, then fetch what is missing."""
        await self._reload()
        await self._look_at_registry()
        await self._is_drawn.wait()  # what the network needs takes as long to load as the first drawing
        await self._list_collections()
        if self.branches.list_problem:
            return  # the next request would fail as well; opening a collection asks again
        await self._fetch_names(self._missing(self.branches.known.missions[0]))

    async def _reload(self, only: Iterable[str] | None = None) -> None:
        await asyncio.to_thread(self._index.load, only)
        self._follow_index()

    def _follow_index(self) -> None:
        """Show what the index knows now."""
        if self.branches.filter.words:
            self.branches.filter.find(self.branches.known, self.branches.baselines)
        self._show()

    async def _list_collections(self) -> None:
        """Fetch the collections; without an answer the last ones stay."""
        try:
            await self.maap.backend.ask(lambda session: session.index.fetch_collections())
        except MaapError as error:
            self.branches.list_problem = error.message
            self.maap.backend.write_log(
                "warning", f"The list of collections was not refreshed: {error.message}"
            )
        else:
            self.branches.list_problem = ""
        await self._reload(())

    def _missing(self, mission: str) -> list[str]:
        """Collections of a mission that have no local copy of their names and that the archive may have."""
        return self._index.missing(one.name for one in self.branches.known.of_mission(mission))

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
                self.branches.fetching.discard(name)
            self._follow_index()

        if wanted:
            self.branches.fetching.update(wanted)
            self._show()
            await asyncio.gather(*(fetch(name) for name in wanted))

    async def _look_at_registry(self) -> None:
        """Count what is here of the collections that are open, and sum the bytes of what the cursor is on."""
        at = self.tree_view.branch
        shown = [*self._opened, *self._toggled, *self.branches.filter.paths, *([at] if at else [])]
        collections = {branch.collection for branch in shown if branch.collection is not None}
        self._looking = True
        try:
            if self._registry_look is None:
                self._registry_look = RegistryLook(self.maap.backend.session)
            look = self._registry_look
            await asyncio.to_thread(look.look, collections)
            self._take_registry(look)
            if at is not None and at.product_type is not None:
                until = time.monotonic() + REGISTRY_EVERY_S
                names = {
                    name
                    for name in look.here
                    if name[:2] == (at.collection, at.product_type) and at.baseline in (None, name[2])
                }
                # What is not summed by then is at the next look.
                goes_on = lambda: self.tree_view.branch == at and time.monotonic() < until  # noqa: E731
                if await asyncio.to_thread(look.measure, names, goes_on):
                    self._take_registry(look)
        except Exception as error:
            # Any error: the registry is read again soon, so no dialog shows it each time.
            problem = f"The registry cannot be read: {problem_of(error)}"
        else:
            problem = ""
        finally:
            self._looking = False
            self._looked = time.monotonic()
        if problem != self.branches.here_problem:
            self.branches.here_problem = problem
            self._show()

    def _take_registry(self, look: RegistryLook) -> None:
        if self.branches.take_registry(look.tracked, look.here):
            self._show()

    def _show(self) -> None:
        """Update tree and detail, and go to the branch asked for as soon as it exists."""
        if not self.is_mounted:
            return
        self.tree_view.mark_words(self.branches.filter.words)
        self.tree_view.reconcile()
        nothing = self._nothing_line
        is_empty = not self.tree_view.root.children
        nothing.display, self.tree_view.display = is_empty, not is_empty
        if is_empty:
            words = " ".join(self.branches.filter.words)
            nothing.update(Text(f"Nothing known here contains '{clean(words, 60)}'. esc shows everything."))
        if self._wanted is not None and self.tree_view.select(self._wanted):
            self._wanted = None
        self._show_detail()
        self._show_activity()

    def _is_open(self, branch: Branch) -> bool:
        if self.branches.filter.words:
            return self._toggled.get(branch, branch in self.branches.filter.paths)
        return branch in self._opened

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
        if not self.branches.filter.words:
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
        if not self.branches.filter.words:
            self._opened.discard(branch)
        self._show()

    @on(Tree.NodeHighlighted)
    def note_cursor(self) -> None:
        """Show the branch that the cursor came to."""
        branch = self.tree_view.branch
        if branch is not None and branch.product_type is not None:
            self._looked = 0.0
        self._show_detail()

    @on(Tree.NodeSelected)
    def choose(self, event: Tree.NodeSelected[Branch]) -> None:
        """Open or close the branch that was clicked; a click on a baseline only goes there."""
        if event.node.data is not None and event.node.data.baseline is None:
            self.action_open()

    @on(FilterLine.Filtered)
    def filter_tree(self, event: FilterLine.Filtered) -> None:
        """Show the branches in whose path every word is found, and open the branches that lead there."""
        words = tuple(event.text.lower().split())
        if words == self.branches.filter.words:
            return
        self.branches.filter.words = words
        self._toggled = {}
        kept = self.tree_view.branch
        if not words:
            for branch in kept.path[:-1] if kept is not None else ():
                self._opened.add(branch)
            self._show()
            return
        self.branches.filter.find(self.branches.known, self.branches.baselines)
        self._show()
        if kept not in self.branches.filter.hits:
            first = self.branches.first_hit(None)
            if first is not None:
                self.tree_view.select(first)
                self._show_detail()

    def _show_detail(self) -> None:
        pane = self._detail_pane
        branch = self.tree_view.branch
        width = self._detail_width = pane.scrollable_content_region.width or 78
        text = Content("Nothing is chosen.") if branch is None else self.branches.sheet(branch).draw(width)
        if text.is_same(self._detail):
            return
        self._detail = text
        self._detail_words.update(text)
        if branch != self._announced:
            self._announced = branch
            pane.scroll_home(animate=False)

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self._show_head)
        self.call_after_refresh(self._show_detail)
        self.call_after_refresh(self._is_drawn.set)

    def _follow_scrollbar(self) -> None:
        # A scrollbar takes a cell of the tree without a resize; the titles stay over their columns.
        self.call_after_refresh(self._show_head)

    def _show_head(self) -> None:
        self._head_line.update(head_words(self.tree_view.scrollable_content_region.width))

    def _show_activity(self) -> None:
        line = self._activity_line
        text = self._activity()
        if text != str(line.content):
            line.update(text)
            line.display = bool(text)

    def _activity(self) -> str:
        parts = self.work.sentences()
        if self.branches.fetching:
            parts.append(f"Fetching the names of {plural(len(self.branches.fetching), 'collection')}...")
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

    def receive(
        self, collection: str | None = None, product_type: str | None = None, baseline: str | None = None
    ) -> None:
        """Open the tree at a collection, product type or baseline and put the cursor on it."""
        if collection is None:
            return
        one = self.branches.known.collections.get(collection)
        if one is None:
            self.maap.notify(
                f"No collection {clean(collection, 80)} is known here.", severity="warning", markup=False
            )
            return
        if baseline is not None and product_type is not None:
            names = self.branches.baselines(one, product_type)
            baseline = next((name for name in names if name.lower() == baseline.lower()), baseline)
        branch = Branch(one.mission, collection, product_type, baseline if product_type else None)
        line = self._filter_line
        if line.value:
            line.value = ""
            line.display = False
            self.branches.filter.words = ()
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

    @property
    def _branch(self) -> Branch | None:
        """The branch under the cursor; for a sentence in place of children, their parent."""
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

    def subjects(self) -> Callable[[], list[dict[str, str]]]:
        """The branch under the cursor, for a command of the user's."""
        branch = self.tree_view.branch
        if branch is None:
            return list
        named = zip(
            ("collection", "product", "baseline"),
            (branch.collection, branch.product_type, branch.baseline),
            strict=True,
        )
        values = {name: text or "" for name, text in named}
        return lambda: [values]

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
            rows = self.branches.known.of_mission(branch.mission)
            names = [one.name for one in rows if one.is_listed is not False]
        await self._fetch_names(names)
        failed = [name for name in names if self.branches.fetch_problem(name)]
        if len(failed) == len(names) and failed:
            self._say(
                f"The names of {branch.words} were not fetched: {self.branches.fetch_problem(failed[0])}",
                "error",
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
        rows = self.branches.known.of_mission(branch.mission)
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

    def action_swap(self) -> None:
        branch = self._branch
        if branch is None or branch.collection is None or not (branch.product_type and branch.baseline):
            self._say("Put the cursor on a baseline to swap it for a newer one.", "warning")
            return
        # Most who open the app never swap.
        from maap_tui.tui.dialogs.swap import swap_baseline

        names = branch.collection, branch.product_type, branch.baseline
        start_worker(self.app, swap_baseline, self.maap, *names, group="swap")

    def _take_count(self, name: str) -> None:
        if self.maap.is_running and self.is_mounted:
            start_worker(self, self._reload, (name,), group="reload")

    def _take_sync(self) -> None:
        self._looked = 0.0
