"""The world in dots: coasts, lines and marks on a plane of longitude and latitude, drawn in braille; pure.

A cell has two by four dots. Longitude and latitude have the same scale; what crosses 180 degrees goes on at
the other side, and what crosses a pole leaves the map at one longitude and comes back at another.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from maap_tui.engine.plane import STEP_DEG, Line

COARSEST = 0
FINEST = 7
"""Steps of the zoom; each halves what is seen."""

LAYERS = ("land", "found", "here", "marked", "area")
"""What is drawn, the lowest first: of two in a cell the later one gives the colour."""

MOST_COVERED = 0.3
"""Part of the cells that tracks of the layer `found` may have before coasts are drawn in front of them."""

PLAIN = dict(zip(LAYERS, ".-#*+", strict=True))
"""A sign a layer, where braille cannot be sent."""

_BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Bit of each dot of a braille cell, by column and row (Unicode 10.0, block 2800)."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What of the world is seen, in how many cells."""

    width: int
    height: int
    longitude: float = 0.0
    """Of the middle, degrees."""
    latitude: float = 0.0
    zoom: int = COARSEST

    @property
    def scale(self) -> float:
        """Degrees a dot."""
        # All of the world fits at first, whichever way the screen is longer.
        return max(360 / (2 * self.width), 180 / (4 * self.height)) / float(1 << self.zoom)

    def dot_of(self, longitude: float, latitude: float) -> tuple[int, int]:
        """The dot of a position: column and row from the left upper one; it may be beyond the edge."""
        turn = (longitude - self.longitude + 540) % 360 - 180
        x = self.width + turn / self.scale
        y = 2 * self.height + (self.latitude - latitude) / self.scale
        return math.floor(x), math.floor(y)

    def shows(self, longitude: float, latitude: float) -> bool:
        """Whether a position is seen."""
        x, y = self.dot_of(longitude, latitude)
        return 0 <= x < 2 * self.width and 0 <= y < 4 * self.height

    def position_of(self, column: int, row: int) -> tuple[float, float]:
        """Longitude and latitude of the middle of a cell; latitude stays on Earth."""
        longitude = self.longitude + (2 * column + 1 - self.width) * self.scale
        latitude = self.latitude - (4 * row + 2 - 2 * self.height) * self.scale
        return (longitude + 540) % 360 - 180, max(-90.0, min(90.0, latitude))

    def moved_to(self, longitude: float, latitude: float, zoom: int | None = None) -> Frame:
        """The same screen with another middle; nothing beyond the poles is shown where there is a choice."""
        zoom = self.zoom if zoom is None else max(COARSEST, min(FINEST, zoom))
        other = replace(self, longitude=(longitude + 540) % 360 - 180, zoom=zoom)
        reach = 90 - 2 * self.height * other.scale
        return replace(other, latitude=0.0 if reach <= 0 else max(-reach, min(reach, latitude)))


class Dots:
    """One layer of dots."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.cells: dict[int, int] = {}
        """Cell, counted by rows, -> its dots as bits."""

    def add(self, x: int, y: int) -> None:
        """Set a dot; one beyond the edge is left out."""
        frame = self.frame
        if 0 <= x < 2 * frame.width and 0 <= y < 4 * frame.height:
            cell = (y >> 2) * frame.width + (x >> 1)
            self.cells[cell] = self.cells.get(cell, 0) | _BITS[x & 1][y & 3]

    def draw(self, lines: Iterable[Line], *, every: int = 1) -> None:
        """Draw lines; with `every` above 1 only each such dot of them, so that they look dotted."""
        for line in lines:
            dots = self.dots_of(line)
            for x, y in dots if every == 1 else dots[::every]:
                self.add(x, y)

    def dots_of(self, line: Line) -> list[tuple[int, int]]:
        """The dots of a line, in order; some may be beyond the edge."""
        frame = self.frame
        scale = frame.scale
        round_world = 360 / scale
        found: list[tuple[int, int]] = []
        last: tuple[float, float] | None = None
        for longitude, latitude in line:
            turn = (longitude - frame.longitude + 540) % 360 - 180
            x, y = frame.width + turn / scale, 2 * frame.height + (frame.latitude - latitude) / scale
            if last is None:
                found.append((math.floor(x), math.floor(y)))
                last = x, y
                continue
            before_x, before_y = last
            # The shorter way round.
            step_x = (x - before_x + 1.5 * round_world) % round_world - 0.5 * round_world
            steps = int(max(abs(step_x), abs(y - before_y))) + 1
            if steps > 1:
                dx, dy = step_x / steps, (y - before_y) / steps
                right = 2 * frame.width
                for at in range(1, steps):
                    dot_x = before_x + dx * at
                    if dot_x < 0:
                        dot_x += round_world
                    elif dot_x >= right and dot_x - round_world >= 0:
                        dot_x -= round_world
                    found.append((math.floor(dot_x), math.floor(before_y + dy * at)))
            found.append((math.floor(x), math.floor(y)))
            last = x, y
        return found


COAST = {False: "\u00b7", True: "\u2592"}
"""The sign of a cell with coasts without colour: between few tracks, and between many."""


def signs(
    layers: Mapping[str, Dots], frame: Frame, row: int, *, is_plain: bool, has_colour: bool = True
) -> list[tuple[str, str]]:
    """The cells of a row: the topmost layer in each, '' for none, and its sign.

    Args:
        layers: by name, of `LAYERS`; those that are missing are empty.
        frame: what is seen.
        row: of cells, from the top.
        is_plain: whether braille cannot be sent.
        has_colour: whether the layers of a cell differ in colour; if not, coasts are one sign a cell.
    """
    found = []
    # Where tracks that are only found cover most of what is seen, they would hide the coasts.
    is_full = (
        len(layers["found"].cells) > MOST_COVERED * frame.width * frame.height if "found" in layers else False
    )
    for at in range(row * frame.width, (row + 1) * frame.width):
        bits, top = 0, ""
        for name in LAYERS:
            if name in layers and (more := layers[name].cells.get(at, 0)):
                if name == "found" and top == "land" and is_full:
                    continue
                # Without colour the dots of a coast would look like a piece of the track over it.
                bits, top = (more if top == "land" and not has_colour else bits | more), name
        if is_plain or not bits:
            sign = PLAIN[top] if bits else " "
        else:
            sign = COAST[is_full] if top == "land" and not has_colour else chr(0x2800 + bits)
        found.append((top, sign))
    return found


def circle_line(longitude: float, latitude: float, radius_deg: float) -> list[tuple[float, float]]:
    """The circle of an angle around a position."""
    phi, reach = math.radians(latitude), math.radians(radius_deg)
    found = []
    for bearing in range(0, 361, 6):
        theta = math.radians(bearing)
        y = math.sin(phi) * math.cos(reach) + math.cos(phi) * math.sin(reach) * math.cos(theta)
        y = max(-1.0, min(1.0, y))
        turn = math.atan2(
            math.sin(theta) * math.sin(reach) * math.cos(phi), math.cos(reach) - math.sin(phi) * y
        )
        found.append(((longitude + math.degrees(turn) + 540) % 360 - 180, math.degrees(math.asin(y))))
    return found


def box_line(west: float, south: float, east: float, north: float) -> list[tuple[float, float]]:
    """The outline of a box, along its parallels; west is greater than east across 180 degrees."""
    width = (east - west) % 360 or 360.0
    count = max(2, math.ceil(width / STEP_DEG))
    across = [((west + width * at / count + 540) % 360 - 180) for at in range(count + 1)]
    return [
        *((longitude, south) for longitude in across),
        *((longitude, north) for longitude in reversed(across)),
        (west, south),
    ]


def nearest_line(
    lines: Sequence[Sequence[Line]], frame: Frame, column: int, row: int, reach: int = 4
) -> list[int]:
    """Which lines come within some dots of the middle of a cell, the nearest first.

    Args:
        lines: the pieces of each.
        frame: what is seen.
        column: of the cell.
        row: of the cell.
        reach: dots.
    """
    layer = Dots(frame)
    x, y = 2 * column + 1, 4 * row + 2
    found = []
    for at, pieces in enumerate(lines):
        near = min(
            (
                max(abs(dot_x - x), abs(dot_y - y))
                for piece in pieces
                for dot_x, dot_y in layer.dots_of(piece)
            ),
            default=reach + 1,
        )
        if near <= reach:
            found.append((near, at))
    return [at for _, at in sorted(found)]
