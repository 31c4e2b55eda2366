"""PictureView: a picture in pixels where the terminal draws them, else in half blocks, two pixels a cell.

Where colours are few it is drawn in a ramp of shades.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from maap_tui.engine.pictures import Picture, SharpPicture, made_sharp, made_small
from maap_tui.text import clean
from maap_tui.tui.graphics import DrawsPictures, Placed
from maap_tui.tui.host import OnHost

UPPER, LOWER, FULL = "▀▄█"
"""Of the two pixels of a cell, those that have its colour; the other has that behind it."""
SHADES = " ░▒▓█"
PLAIN_SHADES = " .:-=+*#%@"

COLOURS, FEWER_COLOURS = 48, 12
"""Colours of a picture, and where bandwidth is low: of equal neighbours the colour is sent once."""
SMALL = (60, 44)
"""Pixels of a picture at most where bandwidth is low."""


class PictureView(OnHost, Widget):
    """Shows a picture, or words in place of it."""

    class Resized(Message):
        """There is other room for the picture."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: list[Strip] = []
        self._words = ""
        self._sharp: SharpPicture | None = None
        self._terminal: DrawsPictures | None = None
        """What shows the picture in pixels; None before there was one."""

    @property
    def room(self) -> tuple[int, int]:
        """Pixels across and down that fit."""
        width, height = self.size.width, 2 * self.size.height
        return (min(width, SMALL[0]), min(height, SMALL[1])) if self.maap.low_bandwidth else (width, height)

    @property
    def colours(self) -> int:
        """Colours that a picture is to have here; 0 for greys."""
        if self.maap.no_colour or self.maap.few_colours or self._is_plain:
            return 0
        return FEWER_COLOURS if self.maap.low_bandwidth else COLOURS

    @property
    def _is_plain(self) -> bool:
        return self.maap.glyphs.full == "#"

    @property
    def has_picture(self) -> bool:
        """Whether a picture is shown."""
        return bool(self._lines)

    def say(self, words: str) -> None:
        """Show words."""
        self._lines, self._words, self._sharp = [], clean(words), None
        self.refresh()

    async def paint(self, data: bytes) -> None:
        """Show a picture, a PNG or JPEG, as large as there is room.

        Raises:
            InvalidRequestError: it cannot be shown, in a sentence.
        """
        terminal = await self.maap.sharp_terminal()
        made_for: object = None
        while all(self.room) and made_for != (now := (self.size, terminal and terminal.cell_size())):
            made_for = now
            if terminal is None or not all(cell := terminal.cell_size()):
                self.show(await made_small(data, *self.room, colours=self.colours))
            else:
                colour = self.background_colors[1]
                room = self.size.width, self.size.height
                sharp = await made_sharp(data, room, cell, colour.rgb, sixel_colours=terminal.sixel_colours)
                if made_for == (self.size, terminal.cell_size()):
                    self._show_sharp(sharp, terminal)

    def _show_sharp(self, picture: SharpPicture, terminal: DrawsPictures) -> None:
        """Show a picture in pixels: the cells are blank, and the terminal draws it above them."""
        self._words, self._sharp, self._terminal = "", picture, terminal
        self._lines = [Strip.blank(picture.columns, self.rich_style)] * picture.rows
        terminal.show_picture_of(self.placed)
        self.refresh()

    def placed(self) -> Placed | None:
        """The picture in pixels and its place; None while it is not shown, or another screen is above it.

        Of what covers a part of it, as notices do, the terminal would draw nothing: it is cut off there.
        """
        if self._sharp is None or not self.is_attached or self.app.screen is not self.screen:
            return None
        place = self.content_region
        if place.width < self._sharp.columns or place.height < self._sharp.rows:
            return None
        columns, rows = self._sharp.columns, self._sharp.rows
        covers = [one.region.y for one in covering(self) if one.region.overlaps(place)]
        seen = min([rows, *(top - place.y for top in covers)])
        return Placed(self._sharp.data, place.x, place.y, columns, rows, seen) if seen > 0 else None

    def on_unmount(self) -> None:
        if self._terminal is not None:
            self._terminal.show_picture_of(None)

    def show(self, picture: Picture) -> None:
        """Show a picture that was made for `room` and `colours`."""
        self._words, self._sharp = "", None
        if len(picture.pixels) == picture.width * picture.height:
            self._lines = shaded(picture, PLAIN_SHADES if self._is_plain else SHADES)
        else:
            self._lines = half_blocks(picture)
        self._lines = [line.apply_style(self.rich_style) for line in self._lines]
        self.refresh()

    def on_resize(self, event: events.Resize) -> None:
        self.post_message(self.Resized())

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if self._words:
            text = self._words[y * width : (y + 1) * width] if width else ""
            return Strip([Segment(text, self.rich_style)]).adjust_cell_length(width, self.rich_style)
        if y < len(self._lines):
            return self._lines[y].adjust_cell_length(width, self.rich_style)
        return Strip.blank(width, self.rich_style)


def covering(widget: Widget) -> Iterator[Widget]:
    """What may lie above a widget on its screen: what notices and hints are made of."""
    for child in widget.screen.children:
        if child not in widget.ancestors:
            yield from (one for one in child.walk_children(Widget, with_self=True) if not one.children)


def half_blocks(picture: Picture) -> list[Strip]:
    """The lines of a picture in colour.

    Of the signs that draw a cell the one is taken that changes the least: each colour sent is 16 bytes.
    """
    width, pixels = picture.width, picture.pixels
    row_bytes = 3 * width
    lines = []
    for top in range(0, picture.height, 2):
        upper = pixels[top * row_bytes : (top + 1) * row_bytes]
        lower = pixels[(top + 1) * row_bytes : (top + 2) * row_bytes]
        cells = []
        ink = ground = b""
        for at in range(0, row_bytes, 3):
            above = upper[at : at + 3]
            below = lower[at : at + 3]
            if above == below:
                sign = FULL if above == ink and above != ground else " "
                ground = ground if sign == FULL else above
            elif not below or (above != ground and below != ink) or (above == ink and below == ground):
                sign, ink, ground = UPPER, above, below
            else:
                sign, ink, ground = LOWER, below, above
            cells.append((sign, ink, ground))
        runs = ((cell, len(list(run))) for cell, run in groupby(cells))
        lines.append(
            Strip([Segment(sign * count, _style(one, two)) for (sign, one, two), count in runs], width)
        )
    return lines


@lru_cache(maxsize=8192)
def _style(ink: bytes, ground: bytes) -> Style:
    def named(colour: bytes) -> str | None:
        return f"#{colour.hex()}" if colour else None

    return Style(color=named(ink), bgcolor=named(ground))


def shaded(picture: Picture, shades: str) -> list[Strip]:
    """The lines of a picture in grey: a cell is as bright as the two pixels in it."""
    width, pixels = picture.width, picture.pixels
    lines = []
    for top in range(0, picture.height, 2):
        upper = pixels[top * width : (top + 1) * width]
        lower = pixels[(top + 1) * width : (top + 2) * width] or upper
        text = "".join(
            shades[(one + other) * len(shades) // 512] for one, other in zip(upper, lower, strict=True)
        )
        lines.append(Strip([Segment(text)], width))
    return lines
