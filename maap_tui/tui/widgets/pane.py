"""Parts of a mode: each in a frame with a title where there are rows for it (`base.tcss`)."""

from __future__ import annotations

from typing import TypeVar

from rich.text import Text
from textual.widget import Widget

Part = TypeVar("Part", bound=Widget)


def framed(part: Part, title: str) -> Part:
    """The widget as a part of a mode, under a title as plain text; again for another title."""
    part.add_class("pane")
    part.border_title = Text(title)
    return part
