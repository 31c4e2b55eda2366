"""TrackMap: where one granule flew, on a small map that shows as much around it as fits."""

from __future__ import annotations

from itertools import groupby
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.strip import Strip
from textual.widget import Widget

from maap_tui.engine.geometry import outlines_of
from maap_tui.engine.model import Granule
from maap_tui.engine.plane import Line, coastlines, drawable
from maap_tui.tui.host import OnHost
from maap_tui.tui.screens.search.world import (
    FINEST,
    LAYERS,
    Dots,
    Frame,
    signs,
)

CLOSEST = min(3, FINEST)
"""The closest look: coasts are known for the whole world, and their detail ends there."""


def pieces_of(granule: Granule) -> list[list[tuple[float, float]]]:
    """What a granule covers, in lines that may be drawn; [] where the archive does not say it."""
    lines: list[Line] = list(outlines_of(granule.geometry)) or [granule.track]
    return [piece for line in lines if line for piece in drawable(line)]


def frame_around(pieces: list[list[tuple[float, float]]], width: int, height: int) -> Frame:
    """What is seen in so many cells: the whole of some lines, as close as that can be."""
    world = Frame(width, height)
    points = [point for piece in pieces for point in piece]
    if not points:
        return world
    latitudes = [latitude for _, latitude in points]
    middle = (min(latitudes) + max(latitudes)) / 2
    # The widest gap between meridians that have a point is behind it, whichever way round that is.
    around = sorted({longitude % 360 for longitude, _ in points})
    following = [*around[1:], around[0] + 360]
    gap, begin = max((after - before, after) for before, after in zip(around, following, strict=True))
    for zoom in range(CLOSEST, -1, -1):
        frame = world.moved_to(begin + (360 - gap) / 2, middle, zoom)
        dots = [frame.dot_of(*point) for point in points]
        if all(0 <= x < 2 * width and 0 <= y < 4 * height for x, y in dots) or not zoom:
            return frame
    return world


class TrackMap(OnHost, Widget):
    """The map; drawn when a granule is given to it, and when its size changes."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"map--{layer}" for layer in LAYERS}

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._pieces: list[list[tuple[float, float]]] = []
        self._layer = "found"
        self._lines: list[Strip] = []

    def show(self, granule: Granule | None, *, is_here: bool) -> None:
        """Show where a granule flew; None for the world alone."""
        pieces = pieces_of(granule) if granule is not None else []
        layer = "here" if is_here else "found"
        if (pieces, layer) != (self._pieces, self._layer) or not self._lines:
            self._pieces, self._layer = pieces, layer
            self._draw()

    def on_resize(self, event: events.Resize) -> None:
        self._draw()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._draw()

    def _draw(self) -> None:
        width, height = self.size
        if not width or not height or not self.is_attached:
            return
        frame = frame_around(self._pieces, width, height)
        land, track = Dots(frame), Dots(frame)
        land.draw(coastlines())
        track.draw(self._pieces)
        styles = {name: self.get_component_rich_style(f"map--{name}") for name in ("land", self._layer)}
        styles[""] = self.rich_style
        is_plain, layers = self.maap.glyphs.full == "#", {"land": land, self._layer: track}
        self._lines = [
            Strip(
                [
                    Segment("".join(sign for _, sign in run), styles[name])
                    for name, run in groupby(cells, key=lambda cell: cell[0])
                ],
                width,
            )
            for cells in (
                signs(layers, frame, row, is_plain=is_plain, has_colour=not self.maap.no_colour)
                for row in range(height)
            )
        ]
        self.refresh()

    def render_line(self, y: int) -> Strip:
        return self._lines[y] if y < len(self._lines) else Strip.blank(self.size.width)
