"""ArchiveTree: mission > collection > product type > baseline, updated without moving the cursor.

It asks its owner for the branches and their labels at each update; the tree keeps nodes only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.binding import Binding
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from maap_tui.text import clean
from maap_tui.tui.screens.browse.tree_columns import Label, lay_out
from maap_tui.tui.textual_compat import redraw_labels

TONES = ("muted", "warning", "success", "error")


@dataclass(frozen=True, slots=True)
class Branch:
    """What a node of the tree is for."""

    mission: str
    collection: str | None = None
    product_type: str | None = None
    baseline: str | None = None
    note: str = ""
    """A sentence in place of children that are not there; '' for a real branch."""

    @property
    def parent(self) -> Branch | None:
        """Its parent, None for a mission."""
        if self.note:
            return replace(self, note="")
        if self.baseline is not None:
            return replace(self, baseline=None)
        if self.product_type is not None:
            return replace(self, product_type=None)
        if self.collection is not None:
            return replace(self, collection=None)
        return None

    @property
    def path(self) -> list[Branch]:
        """The branches from the mission to this one."""
        found: list[Branch] = []
        branch: Branch | None = self
        while branch is not None:
            found.insert(0, branch)
            branch = branch.parent
        return found

    @property
    def words(self) -> str:
        """Its names, as the commands take them."""
        names = [name for name in (self.collection, self.product_type, self.baseline) if name]
        return " ".join(names) or self.mission

    @property
    def title(self) -> str:
        """Its names without those that are obvious, for sentences."""
        names = [name for name in (self.product_type, self.baseline) if name]
        return " ".join(names) or self.words


class ArchiveTree(Tree[Branch], inherit_bindings=False):
    """The tree. Its owner opens and closes branches; it moves, draws and reconciles."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"tree--{tone}" for tone in TONES} | {"tree--hit"}

    BINDINGS: ClassVar = [
        Binding("up,k", "cursor_up", "Up", show=False),
        Binding("down,j", "cursor_down", "Down", show=False),
        Binding("pageup,ctrl+b", "page_up", "Page up", show=False),
        Binding("pagedown,ctrl+f", "page_down", "Page down", show=False),
        Binding("home,g", "scroll_home", "First", show=False),
        Binding("end,G", "scroll_end", "Last", show=False),
        Binding("left,h", "outwards", "Close, or go to the branch it hangs on", show=False),
        Binding("right,l", "inwards", "Open, or go to the first child", show=False),
    ]

    def __init__(
        self,
        children: Callable[[Branch | None], Sequence[Branch]],
        label: Callable[[Branch], Label],
        is_open: Callable[[Branch], bool],
    ) -> None:
        """Take what describes branches.

        Args:
            children: the branches to show below one, or the missions for None.
            label: what one says.
            is_open: whether its children are shown.
        """
        super().__init__(Text("archive"))
        self.show_root = False
        self.guide_depth = 2
        self.auto_expand = False
        self.root.expand()
        self._children_of = children
        self._label_of = label
        self._is_open = is_open
        self._labels: dict[Branch, Label] = {}
        self.words: tuple[str, ...] = ()
        """The words to mark in labels, in any case."""

    @property
    def branch(self) -> Branch | None:
        """What the cursor is on."""
        node = self.cursor_node
        return node.data if node is not None else None

    def node_of(self, branch: Branch) -> TreeNode[Branch] | None:
        """The node of a branch, None while it is not in the tree."""
        node = self.root
        for step in branch.path:
            found = next((child for child in node.children if child.data == step), None)
            if found is None:
                return None
            node = found
        return node

    def select(self, branch: Branch) -> bool:
        """Put the cursor on a branch whose parents are open; False when it is not there."""
        node = self.node_of(branch)
        if node is None or self.last_line < 0:
            return False
        self.move_cursor(node)
        return True

    def reconcile(self) -> None:
        """Update nodes and labels; the cursor stays on its line, and its branch or what a note became."""
        kept, line = self.branch, self.cursor_line
        self._fill(self.root)
        # The lines have to be laid out before a node knows where it is.
        if self.last_line < 0:
            return
        node: TreeNode[Branch] | None = None
        branch = kept
        while branch is not None and node is None:
            node = self.node_of(branch)
            if node is None and branch.note and branch.parent is not None:
                above = self.node_of(branch.parent)
                node = (
                    above.children[0] if above is not None and above.is_expanded and above.children else None
                )
            branch = branch.parent
        if node is None or node.line < 0:
            node = self.root.children[0]
        if self.cursor_node is not node or self.cursor_line != node.line:
            self.move_cursor(node)
        shift = self.cursor_line - line
        if shift and line >= 0 and node.data == kept:
            self.scroll_to(y=self.scroll_offset.y + shift, animate=False)

    def _fill(self, node: TreeNode[Branch]) -> None:
        wanted = list(self._children_of(node.data))
        here = [child.data for child in node.children]
        if here != wanted:
            keep = set(wanted)
            for child in list(node.children):
                if child.data not in keep:
                    child.remove()
            if [child.data for child in node.children] != [one for one in wanted if one in set(here)]:
                node.remove_children()
            for at, one in enumerate(wanted):
                children = node.children
                if at < len(children) and children[at].data == one:
                    continue
                leaf = one.baseline is not None or bool(one.note)
                node.add(self._label(one), one, before=at, allow_expand=not leaf)
        for child in node.children:
            branch = child.data
            assert branch is not None
            if self._labels.get(branch) != self._label_of(branch):
                child.set_label(self._label(branch))
            is_open = child.allow_expand and self._is_open(branch)
            if is_open:
                self._fill(child)
            if is_open and not child.is_expanded:
                child.expand()
            elif not is_open and child.is_expanded:
                child.collapse()

    def _label(self, branch: Branch) -> Text:
        label = self._labels[branch] = self._label_of(branch)
        parts = [text for text, _ in (*label.pieces, *label.cells.values())]
        return Text("".join(clean(text, 400) for text in parts) or " ", no_wrap=True)

    def process_label(self, label: str | Text) -> Text:
        return label if isinstance(label, Text) else Text(label)

    def get_label_width(self, node: TreeNode[Branch]) -> int:
        return node.label.cell_len + 2 if isinstance(node.label, Text) else 2

    def render_label(self, node: TreeNode[Branch], base_style: Style, style: Style) -> Text:
        icon = ("▼ " if node.is_expanded else "▶ ") if node.allow_expand else "  "
        text = Text(no_wrap=True)
        text.append(icon, style=base_style + Style(meta={"toggle": node.allow_expand}))
        at_cursor = node is self.cursor_node
        if at_cursor and getattr(self.app, "no_colour", False):
            style += Style(reverse=True)
        depth = len(node.data.path) if node.data else 1
        width = self.scrollable_content_region.width
        indent = self.guide_depth * (depth - 1)
        label = self._labels.get(node.data) if node.data else None
        for piece, tone in lay_out(label, width, indent + len(icon)) if label is not None else ():
            drawn = style
            if tone and not at_cursor:
                drawn = style + self._tone(tone)
            text.append(clean(piece, 400), style=drawn)
        if self.words:
            hit = self.get_component_rich_style("tree--hit", partial=True)
            text.highlight_words(self.words, style=hit, case_sensitive=False)
        room = max(width - indent, 1)
        text.truncate(room, overflow="ellipsis")
        if at_cursor:
            text.append(" " * max(room - text.cell_len, 0), style=style)
        return text

    def watch_show_vertical_scrollbar(self) -> None:
        # Labels end where the scrollbar begins; Textual keeps rendered lines by the width with it.
        redraw_labels(self)

    def _tone(self, tone: str) -> Style:
        # The whole style, because a part of it does not know what a muted colour is muted against.
        return Style(color=self.get_component_rich_style(f"tree--{tone}").color)

    def mark_words(self, words: Sequence[str]) -> None:
        """Mark words in all labels."""
        if tuple(words) != self.words:
            self.words = tuple(words)
            redraw_labels(self)

    def action_outwards(self) -> None:
        node = self.cursor_node
        if node is None:
            return
        if node.allow_expand and node.is_expanded:
            node.collapse()
        elif node.parent is not None and node.parent is not self.root:
            self.move_cursor(node.parent)

    def action_inwards(self) -> None:
        node = self.cursor_node
        if node is None or not node.allow_expand:
            return
        if not node.is_expanded:
            node.expand()
        elif node.children:
            self.move_cursor(node.children[0])
