"""TreeFilter: the words of the filter, and the branches of the archive that hold them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from maap_tui.engine.catalogue.index import Known, KnownCollection
from maap_tui.engine.missions import mission_named
from maap_tui.tui.screens.browse.archive_tree import Branch


class TreeFilter:
    """A hit has every word in its path from the mission."""

    def __init__(self) -> None:
        self.words: tuple[str, ...] = ()
        """Lower case; () while there is no filter."""
        self.hits: set[Branch] = set()
        self.paths: set[Branch] = set()
        """Branches with hits below them, which are opened."""

    def passes(self, branch: Branch) -> bool:
        """Whether a branch is a hit, below one, or above one."""
        return branch in self.paths or any(one in self.hits for one in branch.path)

    def find(self, known: Known, baselines: Callable[[KnownCollection, str], Sequence[str]]) -> None:
        """Search again: a hit has every word in its path, and at least one itself.

        Args:
            known: what is searched.
            baselines: the baselines of a product type.
        """
        self.hits, self.paths = set(), set()
        words = self.words
        for mission_name in known.missions:
            mission = mission_named(mission_name)
            root = Branch(mission_name)
            above = self._match(root, mission_name.lower(), frozenset())
            for one in known.of_mission(mission_name):
                branch = Branch(mission_name, one.name)
                text = one.name
                if one.info is not None:
                    text += f" {one.info.title} {one.info.description} {' '.join(one.info.keywords)}"
                if one.is_restricted:
                    text += " restricted"
                in_collection = self._match(branch, text.lower(), above)
                for product_type in one.products:
                    leaf = Branch(mission_name, one.name, product_type)
                    about = mission.products.get(product_type)
                    text = product_type
                    if about is not None:
                        text += f" {about.short} {about.content} {about.instrument} {about.level}"
                    in_product = self._match(leaf, text.lower(), in_collection)
                    for baseline in baselines(one, product_type):
                        # One letter would open every product: baselines are searched from two letters on.
                        own = {word for word in words if len(word) > 1 and baseline.lower().startswith(word)}
                        if own and len(in_product | own) == len(set(words)):
                            self._hit(Branch(mission_name, one.name, product_type, baseline))

    def _match(self, branch: Branch, text: str, above: frozenset[str]) -> frozenset[str]:
        own = {word for word in self.words if word in text}
        found = above | own
        if own and len(found) == len(set(self.words)):
            self._hit(branch)
        return found

    def _hit(self, branch: Branch) -> None:
        self.hits.add(branch)
        self.paths.update(branch.path[:-1])
