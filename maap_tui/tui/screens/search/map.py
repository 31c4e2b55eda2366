"""MapScreen: where the results of a search fly: coasts, tracks and swaths, a cursor, and a box to draw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from maap_tui.engine.geometry import EARTH_RADIUS_KM, outlines_of
from maap_tui.engine.plane import coastlines, drawable
from maap_tui.engine.query import Query
from maap_tui.text import clean, format_count, plural
from maap_tui.tui.dialogs.command_dialog import CommandDialog
from maap_tui.tui.dialogs.dialog import CLOSES
from maap_tui.tui.host import OnHost
from maap_tui.tui.screens.search.command_values import values_of
from maap_tui.tui.screens.search.granule import GranuleDialog, ResultDeeds
from maap_tui.tui.screens.search.results import Result
from maap_tui.tui.screens.search.track_map import pieces_of
from maap_tui.tui.screens.search.world import (
    FINEST,
    LAYERS,
    PLAIN,
    Dots,
    Frame,
    box_line,
    circle_line,
    nearest_line,
    signs,
)
from maap_tui.tui.widgets.key_line import KeyLine, KeyWords

MOST = 5000
"""Results that are drawn."""

NAMED = 500
"""Results up to which the granule under the cursor is looked for with each move."""

AREA_SHARE = 0.35
"""Part of the screen that the area which was searched takes at first, at most."""

KEYS: list[KeyWords] = [
    ("arrows", "move", "move(1, 0)"),
    ("+", "in", "zoom(1)"),
    ("-", "out", "zoom(-1)"),
    ("0", "all", "whole"),
    ("b", "box", "box"),
    ("O", "overpasses", "overpasses"),
    ("enter", "granule", "choose"),
    CLOSES,
]

DOTTED = {"found": 2}
"""Layers of which only each so many dots are drawn, so that they differ without colour."""

LEGEND = ("\u2812", "\u2802")
"""A piece of a line with all of its dots, and of one with every second."""


@dataclass(frozen=True, slots=True)
class Track:
    """A result with what it covers, ready to be drawn."""

    result: Result
    pieces: list[list[tuple[float, float]]]

    def layer(self, marks: frozenset[str]) -> str:
        """The layer it belongs to; `marks` are the ids of marked results."""
        if self.result.granule.id in marks:
            return "marked"
        return "here" if self.result.is_here else "found"


def tracks_of(results: Sequence[Result]) -> list[Track]:
    """What results cover, of those that say it."""
    found = []
    for result in results[:MOST]:
        if pieces := pieces_of(result.granule):
            found.append(Track(result, pieces))
    return found


class WorldMap(OnHost, Widget, can_focus=True):
    """The map itself."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"map--{layer}" for layer in LAYERS} | {"map--cursor"}

    class Moved(Message):
        """The cursor, what is seen or the box changed."""

    def __init__(
        self, tracks: Sequence[Track], marks: frozenset[str], query: Query | None, start: Result | None
    ) -> None:
        super().__init__(id="world")
        self._start = start
        self.tracks = tracks
        self.marks = marks
        self.area = _area_lines(query)
        self.frame = Frame(1, 1)
        self.column = self.row = 0
        self.corner: tuple[float, float] | None = None
        """Where the box begins, longitude and latitude; None while none is drawn."""
        self._lines: list[Strip] = []
        self._layers: dict[str, Dots] = {}
        self._styles: dict[str, Style] = {}

    def on_resize(self, event: events.Resize) -> None:
        width, height = event.size
        if not width or not height:
            return
        if self.frame.width > 1:
            longitude, latitude = self.position
            self.frame = Frame(width, height, zoom=self.frame.zoom).moved_to(longitude, latitude)
        else:
            self.frame = _first_frame(Frame(width, height), self.area)
            longitude, latitude = self._first_position()
        self._put_cursor(longitude, latitude)
        self.draw()
        self.post_message(self.Moved())

    def _first_position(self) -> tuple[float, float]:
        """Where the cursor begins: on the granule that it was on in the list, where that is seen."""
        for track in self.tracks:
            if track.result is self._start:
                points = [point for piece in track.pieces for point in piece]
                seen = [point for point in points if self.frame.shows(*point)]
                if seen:
                    return seen[len(seen) // 2]
        return self.frame.longitude, self.frame.latitude

    @property
    def position(self) -> tuple[float, float]:
        """Longitude and latitude of the cursor."""
        return self.frame.position_of(self.column, self.row)

    def draw(self) -> None:
        """Draw all of it again."""
        layers = {name: Dots(self.frame) for name in LAYERS if name != "area"}
        layers["land"].draw(coastlines())
        for track in self.tracks:
            name = track.layer(self.marks)
            layers[name].draw(track.pieces, every=DOTTED.get(name, 1))
        self._layers = layers
        self._compose_lines()

    def _compose_lines(self) -> None:
        self._styles = {name: self.get_component_rich_style(f"map--{name}") for name in (*LAYERS, "cursor")}
        self._styles[""] = self.rich_style
        area = Dots(self.frame)
        area.draw(self.area)
        if self.corner is not None:
            area.draw(drawable(_box(self.corner, self.position)[1]))
        layers = {**self._layers, "area": area}
        self._lines = [self._line(row, layers) for row in range(self.frame.height)]
        self.refresh()

    def _line(self, row: int, layers: dict[str, Dots]) -> Strip:
        is_plain, has_colour = self.maap.glyphs.full == "#", not self.maap.no_colour
        cells = signs(layers, self.frame, row, is_plain=is_plain, has_colour=has_colour)
        if row == self.row and self.column < len(cells):
            top, sign = cells[self.column]
            cells[self.column] = ("cursor", sign if top else "+")
        segments = [
            Segment("".join(sign for _, sign in run), self._styles[name])
            for name, run in groupby(cells, key=lambda cell: cell[0])
        ]
        return Strip(segments, self.frame.width)

    def render_line(self, y: int) -> Strip:
        return self._lines[y] if y < len(self._lines) else Strip.blank(self.size.width)

    def sign_of(self, layer: str) -> Text:
        """A piece of a line of a layer as it is drawn, for a legend."""
        is_plain = self.maap.glyphs.full == "#"
        sign = PLAIN[layer] if is_plain else LEGEND[layer in DOTTED]
        style = self.get_component_rich_style(f"map--{layer}")
        # It stands on the ground of the legend.
        return Text.assemble((sign * 2, Style(color=style.color, bold=style.bold)))

    def _put_cursor(self, longitude: float, latitude: float) -> None:
        x, y = self.frame.dot_of(longitude, latitude)
        self.column = max(0, min(self.frame.width - 1, x >> 1))
        self.row = max(0, min(self.frame.height - 1, y >> 2))

    def _changed(self, *, is_whole: bool) -> None:
        if is_whole:
            self.draw()
        else:
            self._compose_lines()
        self.post_message(self.Moved())

    def move(self, columns: int, rows: int) -> None:
        """Move the cursor; at the edge what is seen moves."""
        frame = self.frame
        column, row = self.column + columns, self.row + rows
        if 0 <= column < frame.width and 0 <= row < frame.height:
            self.column, self.row = column, row
            self._changed(is_whole=False)
            return
        longitude, latitude = frame.position_of(column, row)
        middle_longitude = frame.longitude + (longitude - self.position[0] if columns else 0)
        middle_latitude = frame.latitude + (latitude - self.position[1] if rows else 0)
        self.frame = frame.moved_to(middle_longitude, middle_latitude)
        self._put_cursor(longitude, latitude)
        self._changed(is_whole=True)

    def zoom(self, by: int) -> None:
        """See more or less around the cursor."""
        longitude, latitude = self.position
        zoom = self.frame.zoom + by
        if 0 <= zoom <= FINEST:
            self.frame = self.frame.moved_to(longitude, latitude, zoom)
            self._put_cursor(longitude, latitude)
            self._changed(is_whole=True)

    def show_all(self) -> None:
        """See the whole world again."""
        longitude, latitude = self.position
        self.frame = self.frame.moved_to(0.0, 0.0, 0)
        self._put_cursor(longitude, latitude)
        self._changed(is_whole=True)

    def start_box(self) -> None:
        """Put a corner of the box at the cursor, or take it away."""
        self.corner = None if self.corner is not None else self.position
        self._changed(is_whole=False)

    def near(self) -> list[Track]:
        """The tracks under the cursor, the nearest first."""
        found = nearest_line([track.pieces for track in self.tracks], self.frame, self.column, self.row)
        return [self.tracks[at] for at in found]

    def on_click(self, event: events.Click) -> None:
        self.column, self.row = event.x, event.y
        self._changed(is_whole=False)

    def on_mouse_scroll_up(self) -> None:
        self.zoom(1)

    def on_mouse_scroll_down(self) -> None:
        self.zoom(-1)


class MapScreen(CommandDialog[str]):
    """Gives back the area that was drawn, as the form takes it; '' for none."""

    closes_beside: ClassVar[bool] = False
    BINDINGS: ClassVar = [
        Binding("left,h", "move(-1, 0)", "Left", show=False),
        Binding("right,l", "move(1, 0)", "Right", show=False),
        Binding("up,k", "move(0, -1)", "Up", show=False),
        Binding("down,j", "move(0, 1)", "Down", show=False),
        Binding("shift+left,H", "move(-10, 0)", "Left", show=False),
        Binding("shift+right,L", "move(10, 0)", "Right", show=False),
        Binding("shift+up,K", "move(0, -5)", "Up", show=False),
        Binding("shift+down,J", "move(0, 5)", "Down", show=False),
        Binding("plus,equals_sign", "zoom(1)", "Closer", show=False),
        Binding("minus", "zoom(-1)", "Wider", show=False),
        Binding("0", "whole", "Whole world", show=False),
        Binding("b", "box", "Box", show=False),
        Binding("enter", "choose", "Granule", show=False),
        Binding("O", "overpasses", "Overpasses", show=False),
        Binding("escape,q,M", "close", "Close", show=False),
    ]

    def __init__(
        self,
        tracks: Sequence[Track],
        count: int,
        marks: frozenset[str],
        query: Query | None,
        deeds: ResultDeeds,
        start: Result | None = None,
    ) -> None:
        """Take what is drawn.

        Args:
            tracks: of `tracks_of`.
            count: results there are, those without a track too.
            marks: ids of marked results.
            query: what was searched, for its area; None for none.
            deeds: what can be done with a result.
            start: the result that the cursor begins on; None for none.
        """
        super().__init__()
        self._deeds = deeds
        self._count = count
        self._tracks = tracks
        self._world = WorldMap(tracks, marks, query, start)

    def compose(self) -> ComposeResult:
        yield self._world
        yield Static("", id="where", markup=False)
        yield KeyLine(self.with_commands(KEYS), id="keys")

    def on_mount(self) -> None:
        self._world.focus()
        self.say()

    @on(WorldMap.Moved)
    def say(self) -> None:
        """Say where the cursor is, what is there, and which keys there are."""
        longitude, latitude = self._world.position
        where = f"{abs(latitude):.1f}{'N' if latitude >= 0 else 'S'} "
        where += f"{abs(longitude):.1f}{'E' if longitude >= 0 else 'W'}"
        words: list[str | Text] = [where]
        if self._world.corner is None:
            counts = Counter(track.layer(self._world.marks) for track in self._tracks)
            words += [
                self._world.sign_of(name).append_text(Text(f" {name} {format_count(counts[name])}"))
                for name in ("found", "here", "marked")
            ]
            if len(self._tracks) <= NAMED and (near := self._world.near()):
                more = f" +{len(near) - 1}" if len(near) > 1 else ""
                words.insert(1, f"{_name_of(near[0].result)}{more}")
            if self._count > len(self._tracks):
                words.append(f"{plural(self._count - len(self._tracks), 'result')} not drawn")
        else:
            words.append("move to the other corner, b or enter takes the box, esc drops it")
        parts = [one if isinstance(one, Text) else Text(clean(one)) for one in words]
        self.query_one("#where", Static).update(Text(" ") + Text(f" {self.maap.glyphs.dot} ").join(parts))

    def subjects(self) -> Callable[[], list[dict[str, str]]]:
        """The granule under the cursor, for a command of the user's."""
        filing, near = self.maap.backend.session.filing, self._world.near()[:1]
        return lambda: [values_of(filing, track.result) for track in near]

    def action_move(self, columns: int, rows: int) -> None:
        self._world.move(columns, rows)

    def action_zoom(self, by: int) -> None:
        self._world.zoom(by)

    def action_whole(self) -> None:
        self._world.show_all()

    def action_box(self) -> None:
        if self._world.corner is None:
            self._world.start_box()
        else:
            self.action_choose()

    def action_choose(self) -> None:
        corner = self._world.corner
        if corner is not None:
            self.dismiss(_box(corner, self._world.position)[0])
            return
        near = self._world.near()
        if near:
            self.app.push_screen(GranuleDialog(near[0].result, [track.result for track in near], self._deeds))
        else:
            self.maap.notify("No track is here: move the cursor onto one.", timeout=3)

    def action_overpasses(self) -> None:
        """List when the satellite passes the place under the cursor."""
        longitude, latitude = self._world.position
        self._deeds.overpasses(f"{latitude:.2f},{longitude:.2f} r100")

    def action_close(self) -> None:
        if self._world.corner is not None:
            self._world.start_box()
        else:
            self.dismiss("")


def _first_frame(frame: Frame, area: list[list[tuple[float, float]]]) -> Frame:
    """The area that was searched in the middle, as large as it may be; the whole world without one."""
    points = [point for piece in area for point in piece]
    if not points:
        return frame
    # The middle of what lies on both sides of 180 degrees is there too.
    turned = [(longitude - points[0][0] + 540) % 360 - 180 for longitude, _ in points]
    longitude = points[0][0] + (min(turned) + max(turned)) / 2
    latitudes = [latitude for _, latitude in points]
    latitude = (min(latitudes) + max(latitudes)) / 2
    across = (max(turned) - min(turned)) / (2 * frame.width * AREA_SHARE)
    along = (max(latitudes) - min(latitudes)) / (4 * frame.height * AREA_SHARE)
    zooms = [zoom for zoom in range(FINEST - 1) if replace(frame, zoom=zoom).scale >= max(across, along)]
    return frame.moved_to(longitude, latitude, max(zooms, default=0))


def _name_of(result: Result) -> str:
    granule = result.granule
    return f"{granule.orbit_frame} {granule.sensing_start:%m-%d %H:%M}".strip()


def _box(a: tuple[float, float], b: tuple[float, float]) -> tuple[str, list[tuple[float, float]]]:
    """The box between two corners, the shorter way round: as the form takes it, and its outline."""
    is_eastward = (b[0] - a[0] + 540) % 360 - 180 >= 0
    west, east = (a[0], b[0]) if is_eastward else (b[0], a[0])
    south, north = sorted((a[1], b[1]))
    west, east, south, north = (round(value, 2) for value in (west, east, south, north))
    return f"{west:g},{south:g},{east:g},{north:g}", box_line(west, south, east, north)


def _area_lines(query: Query | None) -> list[list[tuple[float, float]]]:
    """The outline of the area of a query; [] for the whole Earth."""
    if query is None:
        return []
    if query.box is not None:
        box = query.box
        return drawable(box_line(box.west, box.south, box.east, box.north))
    if query.circle is not None:
        circle = query.circle
        degrees = circle.radius_km / EARTH_RADIUS_KM * 57.29577951308232
        return drawable(circle_line(circle.longitude, circle.latitude, degrees))
    return [piece for line in outlines_of(query.area) for piece in drawable(line)]
