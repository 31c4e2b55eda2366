"""Branches: what is below each branch of the archive, its label and its details; without a widget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from maap_tui.engine.catalogue.index import Known, KnownCollection
from maap_tui.engine.missions import mission_named
from maap_tui.engine.model import BaselineInfo
from maap_tui.text import format_count, format_date, plural
from maap_tui.tui.screens.browse import branch_words
from maap_tui.tui.screens.browse.archive_tree import Branch
from maap_tui.tui.screens.browse.branch_words import Sheet
from maap_tui.tui.screens.browse.registry_look import Here, Name
from maap_tui.tui.screens.browse.tree_columns import Label
from maap_tui.tui.screens.browse.tree_filter import TreeFilter


class Branches:
    """The archive as it is known here, with what the registry has of it, and the filter over both."""

    def __init__(self, known: Callable[[], Known]) -> None:
        """Take the function that gives what is known of the archive; it is called each time."""
        self._known = known
        self.empty: Mapping[Branch, BaselineInfo] = {}
        """Baselines that were counted and hold nothing; a built catalogue has no entry for them."""
        self.filter = TreeFilter()
        self.fetching: set[str] = set()
        """Collections whose names are waited for."""
        self.list_problem = ""
        """Why the collections were not refreshed; '' when they were."""
        self.tracked: set[Name] | None = None
        """The baselines of the registry; None until it was read."""
        self.here: dict[Name, Here] = {}
        """The counts of those whose collection is shown."""
        self.here_problem = ""
        """Why the registry cannot be read; '' when it can."""

    @property
    def known(self) -> Known:
        """The archive as it is known now."""
        return self._known()

    def take_registry(self, tracked: set[Name], here: Mapping[Name, Here]) -> bool:
        """Take what the registry follows now, and counts of some; returns whether anything changed."""
        if tracked == self.tracked and here == self.here:
            return False
        self.tracked, self.here = tracked, dict(here)
        return True

    def fetch_problem(self, name: str) -> str:
        """Why the names of a collection were not fetched, '' when they were."""
        fault = self.known.faults.get(name)
        return fault.message if fault is not None else ""

    def children(self, branch: Branch | None) -> list[Branch]:
        """The branches to show below one, or the missions for None."""
        found = self._every_child(branch)
        if self.filter.words:
            found = [one for one in found if self.filter.passes(one)]
        return found

    def _every_child(self, branch: Branch | None) -> list[Branch]:
        if branch is None:
            return [Branch(mission) for mission in self.known.missions]
        if branch.collection is None:
            rows = self.known.of_mission(branch.mission)
            return [Branch(branch.mission, one.name) for one in rows]
        one = self.known.collections.get(branch.collection)
        if one is None:
            return []
        if branch.product_type is None:
            found = [Branch(branch.mission, one.name, name) for name in one.products]
            return found or [Branch(branch.mission, one.name, note=self._why_empty(one))]
        names = self.baselines(one, branch.product_type)
        found = [Branch(branch.mission, one.name, branch.product_type, name) for name in names]
        return found or [
            Branch(branch.mission, one.name, branch.product_type, note="No baseline of it is known here.")
        ]

    def baselines(self, one: KnownCollection, product_type: str) -> list[str]:
        """The baselines of a product type that the archive or the registry has, sorted."""
        names = one.baselines_of(product_type)
        known_names = {name.upper() for name in names}
        tracked = [
            key[2]
            for key in self.tracked or ()
            if key[:2] == (one.name, product_type) and key[2] not in known_names
        ]
        return sorted([*names, *tracked])

    def _why_empty(self, one: KnownCollection) -> str:
        if one.name in self.fetching:
            return "Fetching its product types..."
        if problem := self.fetch_problem(one.name):
            return f"Not fetched: {problem}"
        if one.problem:
            return one.problem
        if one.is_listed is False:
            return "The archive does not list this collection."
        if one.has_names:
            return "The archive names no product types in it."
        return "Its product types are not known here yet: r fetches them."

    def label(self, branch: Branch) -> Label:
        """What a branch says in its line."""
        if branch.note:
            return Label(((branch.note, "muted"),))
        if branch.collection is None:
            number = len(self.known.of_mission(branch.mission))
            return Label(((branch.mission, ""), (f"  {plural(number, 'collection')}", "muted")))
        one = self.known.collections.get(branch.collection)
        if one is None:
            return Label(((branch.collection, ""),))
        if branch.product_type is None:
            return self._collection_label(one)
        if branch.baseline is None:
            return self._product_label(one, branch)
        return self._baseline_label(one, branch)

    def _collection_label(self, one: KnownCollection) -> Label:
        pieces = [(f"{one.name:<32}", "")]
        if one.is_restricted:
            pieces.append((" restricted", "warning"))
        if one.is_listed is False:
            pieces.append((" not at the archive", "muted"))
        elif one.name in self.fetching and not one.products:
            pieces.append((" fetching...", "muted"))
        elif self.fetch_problem(one.name) and not one.products:
            pieces.append((" not fetched", "warning"))
        elif one.products:
            pieces.append((f" {plural(len(one.products), 'product type')}", "muted"))
        if tracked := sum(name[0] == one.name for name in self.tracked or ()):
            pieces.append((f"{',' if len(pieces) > 1 else ''} {format_count(tracked)} tracked", "success"))
        return Label(tuple(pieces))

    def _product_label(self, one: KnownCollection, branch: Branch) -> Label:
        product_type = branch.product_type or ""
        about = mission_named(branch.mission).products.get(product_type)
        short, content = (about.short, about.content) if about else ("", "")
        pieces = ((f"{product_type:<11}", ""), (f" {short:<8} {content}", "muted"))
        counted = one.counted(product_type)
        here = self.here_of(one, product_type)
        cells = _cells_of(list(here.values()))
        newest = self.newest(one, product_type)
        if newest in counted:
            cells["archive"] = (format_count(counted[newest].count), "")
            cells |= _last_cell(counted[newest])
        if newest := newest or max(here, default=""):
            cells["baseline"] = (newest, "")
        return Label(pieces, cells)

    def _baseline_label(self, one: KnownCollection, branch: Branch) -> Label:
        product_type, baseline = branch.product_type or "", branch.baseline or ""
        info = self._info_of(one, branch)
        about = "not counted"
        cells = {}
        if info is not None:
            about = f"since {format_date(info.time_start)}" if info.time_start else ""
            cells["archive"] = (format_count(info.count), "" if info.count else "muted")
            cells |= _last_cell(info)
        if baseline == self.newest(one, product_type):
            about = ", ".join(filter(None, ("newest", about)))
        stats = self.here.get((one.name, product_type, baseline.upper()))
        if stats is not None:
            cells |= _cells_of([stats])
        return Label(((f"{baseline:<4}", ""), (f" {about}", "muted")), cells)

    def newest(self, one: KnownCollection, product_type: str) -> str:
        """The newest baseline of a product type that holds something; '' while it is not known."""
        return self.known.newest_of(one.name, product_type) or ""

    def here_of(self, one: KnownCollection, product_type: str) -> dict[str, Here]:
        """What the registry has of a product type, by baseline in upper case."""
        return {name[2]: here for name, here in self.here.items() if name[:2] == (one.name, product_type)}

    def _info_of(self, one: KnownCollection, branch: Branch) -> BaselineInfo | None:
        """What was counted of a baseline; one that was found empty is in no built catalogue."""
        info = (
            one.catalogue.baseline(branch.product_type or "", branch.baseline or "")
            if one.catalogue
            else None
        )
        return info or self.empty.get(branch)

    def first_hit(self, branch: Branch | None) -> Branch | None:
        """The first branch below one that the filter found; None without any."""
        for child in self.children(branch):
            if child in self.filter.hits:
                return child
            if child in self.filter.paths and (found := self.first_hit(child)) is not None:
                return found
        return None

    def sheet(self, branch: Branch) -> Sheet:
        """The details of a branch, with what is wrong about it."""
        if branch.note:
            return branch_words.note_words(branch)
        mission = mission_named(branch.mission)
        one = self.known.collections.get(branch.collection or "")
        if one is None:
            sheet = branch_words.mission_words(mission, self.known.of_mission(branch.mission))
        elif branch.product_type is None:
            tracked = sum(1 for key in self.tracked or () if key[0] == one.name)
            found = {name: here for name, here in self.here.items() if name[0] == one.name}
            sheet = branch_words.collection_words(one, tracked, found)
        elif branch.baseline is None:
            here = self.here_of(one, branch.product_type)
            newest = self.newest(one, branch.product_type)
            sheet = branch_words.product_words(one, branch.product_type, mission, here, newest)
        else:
            key = (one.name, branch.product_type, branch.baseline.upper())
            is_read = self.tracked is not None and (key not in self.tracked or key in self.here)
            info = self._info_of(one, branch)
            sheet = branch_words.baseline_words(one, branch, mission, info, self.here.get(key), is_read)
        if one is None and self.list_problem:
            sheet.problems.append(f"Shown as it was known last. {self.list_problem}")
        if one is not None and (problem := self.fetch_problem(one.name)):
            sheet.problems.append(f"Its names were not refreshed. {problem}")
        sheet.problems += [words for words in (self.here_problem, self.known.problem) if words]
        return sheet


def _cells_of(found: Sequence[Here]) -> dict[str, tuple[str, str]]:
    """The cells of what the registry has of baselines together; {} for none."""
    if not found:
        return {}
    here = sum(one.stats.here for one in found)
    missing = sum(one.stats.pending_downloads for one in found)
    failed = sum(one.stats.errors for one in found)
    words = f"✗ {format_count(missing or failed)}" if failed else format_count(missing)
    return {
        "here": (format_count(here), "success" if here else "muted"),
        "missing": (words, "error" if failed else "warning" if missing else "muted"),
    }


def _last_cell(info: BaselineInfo) -> dict[str, tuple[str, str]]:
    return {"last": (format_date(info.time_end), "muted")} if info.time_end else {}
