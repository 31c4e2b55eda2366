"""Pictures in pixels above the cells that the app draws, on terminals that know kitty's protocol or sixel.

https://sw.kovidgoyal.net/kitty/graphics-protocol/ and https://invisible-island.net/xterm/ctlseqs/ctlseqs.html
say what is sent and what is answered.
"""

from __future__ import annotations

import base64
import os
import re
import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from maap_tui.engine.sixel import MOST_COLOURS, cut, size_of

ANSWER_S = 1.0
"""Seconds that a terminal may take to answer; without an answer it draws no pictures."""
CHUNK = 4096
"""Characters of base64 in one command."""

_ID = 0x6D610000 | os.getpid() & 0xFFFF
"""The number of the picture: another program on the same terminal may have pictures too."""

QUERY = f"\x1b_Gi={_ID},a=q,t=d,f=24,s=1,v=1;AAAA\x1b\\\x1b[16t\x1b[14t\x1b[?1;1;0S\x1b[c"
"""Asks for kitty's protocol, for the pixels of a cell and of all cells, and for the colours of sixel; then,
what every terminal answers, for its kind.
"""
DELETE = f"\x1b_Ga=d,d=I,i={_ID},q=2\x1b\\"
"""Takes kitty's picture away and frees it; does nothing where there is none."""

_ANSWER = re.compile(
    r"\x1b_G([^\x1b\x9c]{0,256})(?:\x1b\\|\x9c)|\x1b\[\?[\d;]*[cS]|\x1b\[[46];\d{1,6};\d{1,6}t"
)
_BEGUN = re.compile(r"\x1b(?:_(?:G[^\x1b\x9c]{0,256}\x1b?)?|\[(?:\?[\d;]*|[46](?:;\d{0,6}){0,2})?)?\Z")
"""The beginning of an answer at the end of what came."""

_NOT_ASKED = ("dumb", "linux", "screen", "tmux", "vt", "eterm")
"""What TERM begins with where the question may be shown as letters, or comes to a program in between."""
_REMOTE_OR_BETWEEN = ("TMUX", "STY", "ZELLIJ", "SSH_TTY", "SSH_CONNECTION", "SSH_CLIENT", "INSIDE_EMACS")


class Placed(NamedTuple):
    """A picture and its place."""

    data: bytes
    """A PNG, or sixel as `engine.sixel` makes it."""
    column: int
    """Its first column, from 0."""
    row: int
    """Its first line, from 0."""
    columns: int
    """Cells that it is drawn into."""
    rows: int
    seen_rows: int
    """Of them those that are drawn, from its first one on: what is below is covered."""

    def with_rows(self, seen_rows: int) -> Placed:
        """The same with so many rows drawn."""
        return Placed(self.data, self.column, self.row, self.columns, self.rows, seen_rows)


class DrawsPictures(Protocol):
    """A terminal that may draw pictures in pixels."""

    async def can_draw_pictures(self) -> bool: ...

    def cell_size(self) -> tuple[int, int]: ...

    @property
    def sixel_colours(self) -> int: ...

    def show_picture_of(self, source: Callable[[], Placed | None] | None) -> None: ...


def may_ask(environ: Mapping[str, str]) -> bool:
    """Whether the terminal may be asked: it is here, nothing is between, and the question is not shown."""
    term = environ.get("TERM", "")
    return (
        bool(term)
        and not term.lower().startswith(_NOT_ASKED)
        and environ.get("TERM_PROGRAM") != "Apple_Terminal"
        and not any(environ.get(name) for name in _REMOTE_OR_BETWEEN)
    )


class Abilities:
    """What the answers to `QUERY` say of a terminal."""

    def __init__(self) -> None:
        self.is_complete = False
        """Whether the last answer has come."""
        self.knows_kitty = self.knows_sixel = False
        self.cell = (0, 0)
        """Width and height of a cell, pixels; 0 where it did not say."""
        self.area = (0, 0)
        """Width and height of all cells, pixels; 0 where it did not say."""
        self.registers = MOST_COLOURS
        """Colours that it has for sixel."""

    def take(self, answer: str) -> None:
        """Note what one answer says."""
        if answer.startswith("\x1b_G"):
            self.knows_kitty = self.knows_kitty or answer.startswith(f"\x1b_Gi={_ID};OK")
            return
        numbers = [int(one[:9]) if one else 0 for one in answer[2:-1].lstrip("?").split(";")]
        if answer.endswith("c"):
            # The first one is the kind, of which 4 is that of a VT132.
            self.knows_sixel = 4 in numbers[1:]
            self.is_complete = True
        elif answer.endswith("S"):
            if numbers[:2] == [1, 0] and len(numbers) == 3 and numbers[2] > 1:
                self.registers = min(MOST_COLOURS, numbers[2])
        else:
            kind, height, width = numbers
            if kind == 6:
                self.cell = width, height
            else:
                self.area = width, height


def take_answers(text: str) -> tuple[str, list[str], str]:
    """Part what a terminal sent; returns the keys, the answers, and the beginning of one at the end."""
    answers = [found[0] for found in _ANSWER.finditer(text)]
    keys = _ANSWER.sub("", text)
    begun = _BEGUN.search(keys)
    at = begun.start() if begun else len(keys)
    return keys[:at], answers, keys[at:]


def place(picture: Placed) -> str:
    """What draws a PNG in kitty's protocol; the cursor stays where it is."""
    data = base64.standard_b64encode(picture.data).decode()
    head = f"a=T,q=2,C=1,f=100,i={_ID},c={picture.columns},r={picture.seen_rows},"
    if picture.seen_rows < picture.rows:
        width, height = struct.unpack(">II", picture.data[16:24])
        head += f"w={width},h={max(1, height * picture.seen_rows // picture.rows)},"
    out = [f"\x1b7\x1b[{picture.row + 1};{picture.column + 1}H"]
    for at in range(0, len(data), CHUNK):
        more = int(at + CHUNK < len(data))
        out.append(f"\x1b_G{head}m={more};{data[at : at + CHUNK]}\x1b\\")
        head = "q=2,"
    return "".join([*out, "\x1b8"])


def place_sixel(picture: Placed) -> str:
    """What draws a picture in sixel; the cursor returns to where it was."""
    height = size_of(picture.data)[1] * picture.seen_rows // picture.rows
    data = cut(picture.data, height).decode("ascii")
    return f"\x1b7\x1b[{picture.row + 1};{picture.column + 1}H\x1bP0;1;0q{data}\x1b\\\x1b8"


def erase(picture: Placed) -> str:
    """What empties the cells of a picture, which takes one in sixel away."""
    places = (f"\x1b[{picture.row + 1 + row};{picture.column + 1}H" for row in range(picture.seen_rows))
    return "\x1b7\x1b[m" + "".join(f"{one}\x1b[{picture.columns}X" for one in places) + "\x1b8"


class PictureLayer:
    """The picture that the terminal shows, brought in line with each frame.

    One in sixel has no name by which it could be deleted: it is a part of its cells, and lasts until they are
    drawn.
    """

    def __init__(self) -> None:
        self.source: Callable[[], Placed | None] | None = None
        """Gives the picture that belongs to what is drawn now; None without one."""
        self.is_sixel = False
        """Whether pictures are drawn in sixel, not in kitty's protocol."""
        self._shown: Placed | None = None
        self._wanted: Placed | None = None
        self._is_sure = True
        self._was_used = False

    @property
    def is_used(self) -> bool:
        """Whether the terminal may have a picture that it has to be asked to delete."""
        return not self.is_sixel and (self._shown is not None or not self._is_sure)

    def forget(self) -> None:
        """Know no more whether a picture is shown, as after bytes were lost."""
        self._is_sure = not self._was_used

    def clear(self) -> str:
        """What leaves the terminal without a picture."""
        if self.is_sixel:
            wanted = erase(self._shown) if self._shown else ""
        else:
            wanted = DELETE if self.is_used else ""
        self._shown, self._is_sure = None, True
        return wanted

    def begin(self, lines: int) -> tuple[str, Placed | None]:
        """Look which picture belongs to a frame.

        Args:
            lines: those of the terminal.

        Returns:
            What to send before the frame, and a picture in sixel whose cells have to be drawn.
        """
        wanted = self.source() if self.source else None
        if wanted and self.is_sixel:
            # Below a picture that ends in the last line the terminal would scroll.
            seen = min(wanted.seen_rows, lines - 1 - wanted.row)
            wanted = wanted.with_rows(seen) if seen > 0 else None
        self._wanted = wanted
        if wanted == self._shown and self._is_sure:
            return "", None
        gone = self._shown if self.is_sixel and self._is_sure else None
        if self.is_sixel:
            self._shown, self._is_sure = None, True
            return "", gone
        return self.clear(), None

    def end(self, has_drawn: Callable[[Placed], bool]) -> str:
        """What to send after the frame.

        Args:
            has_drawn: whether the frame has drawn cells of a picture.
        """
        wanted = self._wanted
        if wanted is None or (wanted == self._shown and not (self.is_sixel and has_drawn(wanted))):
            return ""
        self._shown = wanted
        self._was_used = True
        return place_sixel(wanted) if self.is_sixel else place(wanted)
