"""Pictures in pixels on terminals that know kitty's graphics protocol, above the cells that the app draws.

https://sw.kovidgoyal.net/kitty/graphics-protocol/ says what is sent and what is answered.
"""

from __future__ import annotations

import base64
import os
import re
import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

ANSWER_S = 1.0
"""Seconds that a terminal may take to answer; without an answer it draws no pictures."""
CHUNK = 4096
"""Characters of base64 in one command."""

_ID = 0x6D610000 | os.getpid() & 0xFFFF
"""The number of the picture: another program on the same terminal may have pictures too."""

QUERY = f"\x1b_Gi={_ID},a=q,t=d,f=24,s=1,v=1;AAAA\x1b\\\x1b[c"
"""Asks whether a picture could be drawn, then what every terminal answers: its kind."""
DELETE = f"\x1b_Ga=d,d=I,i={_ID},q=2\x1b\\"
"""Takes the picture away and frees it; does nothing where there is none."""

_ANSWER = re.compile(r"\x1b_G([^\x1b\x9c]{0,256})(?:\x1b\\|\x9c)|\x1b\[\?[\d;]*c")
_BEGUN = re.compile(r"\x1b(?:_(?:G[^\x1b\x9c]{0,256}\x1b?)?|\[(?:\?[\d;]*)?)?\Z")
"""The beginning of an answer at the end of what came."""

_NOT_ASKED = ("dumb", "linux", "screen", "tmux", "vt", "eterm")
"""What TERM begins with where the question may be shown as letters, or comes to a program in between."""
_REMOTE_OR_BETWEEN = ("TMUX", "STY", "ZELLIJ", "SSH_TTY", "SSH_CONNECTION", "SSH_CLIENT", "INSIDE_EMACS")


class Placed(NamedTuple):
    """A picture and its place."""

    png: bytes
    column: int
    """Its first column, from 0."""
    row: int
    """Its first line, from 0."""
    columns: int
    """Cells that it is drawn into."""
    rows: int
    seen_rows: int
    """Of them those that are drawn, from its first one on: what is below is covered."""


class DrawsPictures(Protocol):
    """A terminal that may draw pictures in pixels."""

    async def can_draw_pictures(self) -> bool: ...

    def cell_size(self) -> tuple[int, int]: ...

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


def says_yes(answer: str) -> bool:
    """Whether an answer to `QUERY` says that pictures can be drawn."""
    return answer.startswith(f"\x1b_Gi={_ID};OK")


def take_answers(text: str) -> tuple[str, list[str], str]:
    """Part what a terminal sent; returns the keys, the answers, and the beginning of one at the end."""
    answers = [found[0] for found in _ANSWER.finditer(text)]
    keys = _ANSWER.sub("", text)
    begun = _BEGUN.search(keys)
    at = begun.start() if begun else len(keys)
    return keys[:at], answers, keys[at:]


def place(picture: Placed) -> str:
    """What draws a picture; the cursor stays where it is."""
    data = base64.standard_b64encode(picture.png).decode()
    head = f"a=T,q=2,C=1,f=100,i={_ID},c={picture.columns},r={picture.seen_rows},"
    if picture.seen_rows < picture.rows:
        width, height = struct.unpack(">II", picture.png[16:24])
        head += f"w={width},h={max(1, height * picture.seen_rows // picture.rows)},"
    out = [f"\x1b7\x1b[{picture.row + 1};{picture.column + 1}H"]
    for at in range(0, len(data), CHUNK):
        more = int(at + CHUNK < len(data))
        out.append(f"\x1b_G{head}m={more};{data[at : at + CHUNK]}\x1b\\")
        head = "q=2,"
    return "".join([*out, "\x1b8"])


class PictureLayer:
    """The picture that the terminal shows, brought in line with each frame."""

    def __init__(self) -> None:
        self.source: Callable[[], Placed | None] | None = None
        """Gives the picture that belongs to what is drawn now; None without one."""
        self._shown: Placed | None = None
        self._is_sure = True
        self._was_used = False

    @property
    def is_used(self) -> bool:
        """Whether the terminal may have a picture."""
        return self._shown is not None or not self._is_sure

    def forget(self) -> None:
        """Know no more whether a picture is shown, as after bytes were lost."""
        self._is_sure = not self._was_used

    def clear(self) -> str:
        """What leaves the terminal without a picture."""
        wanted = DELETE if self.is_used else ""
        self._shown, self._is_sure = None, True
        return wanted

    def around(self) -> tuple[str, str]:
        """What to send before a frame and after it."""
        wanted = self.source() if self.source else None
        if wanted == self._shown and self._is_sure:
            return "", ""
        before = self.clear()
        self._shown = wanted
        self._was_used = self._was_used or wanted is not None
        return before, place(wanted) if wanted else ""
