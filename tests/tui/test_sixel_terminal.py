"""Pictures in sixel: terminals that say that they draw it, and those that lack something for it."""

from __future__ import annotations

import codecs
import re
import signal
from collections.abc import Callable
from typing import NamedTuple

import pytest
from terminal_kit import Terminal, until

from maap_tui.tui.graphics import QUERY, Abilities, PictureLayer, Placed, take_answers
from tests.sixels import NOT_DRAWN, Drawn, read_sixel

SIZE = (120, 40)
CELL = (6, 12)
"""Small ones: each pixel takes its time."""

TOKEN = re.compile(
    r"\x1bP0;1;0q(?P<sixel>[^\x1b]*)\x1b\\|\x1b_(?P<kitty>G[^\x1b]*)\x1b\\"
    r"|\x1b\[(?P<with>[0-?]*)[ -/]*(?P<end>[@-~])"
    r"|\x1b(?P<cursor>[78])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[^\[\]P_78]|(?P<text>[^\x1b]+)"
)

# What they answer to `CSI 16 t`, `CSI 14 t`, `CSI ? 1 ; 1 ; 0 S` and `CSI c`, without those they leave out.
XTERM_340 = (b"\x1b[6;12;6t", b"\x1b[4;480;720t", b"\x1b[?1;0;16S", b"\x1b[?63;1;2;4;6;9;15;22c")
XTERM = (b"\x1b[6;12;6t", b"\x1b[4;480;720t", b"\x1b[?1;3;0S", b"\x1b[?64;1;2;6;9;15;16;17;18;21;22;28c")
FOOT = (b"\x1b[6;12;6t", b"\x1b[4;480;720t", b"\x1b[?1;0;1024S", b"\x1b[?62;4;22c")
WEZTERM = (b"\x1b[6;12;6t", b"\x1b[4;480;720t", b"\x1b[?1;0;65536S", b"\x1b[?65;4;6;18;22c")
ONLY_AREA = (b"", b"\x1b[4;480;720t", b"", b"\x1b[?62;4;22c")
NO_SIZE = (b"", b"", b"", b"\x1b[?62;4;22c")


class Shown(NamedTuple):
    """A picture that came."""

    data: bytes
    row: int
    column: int
    cells: frozenset[tuple[int, int]]
    """Row and column of those that it is drawn over."""

    @property
    def drawn(self) -> Drawn:
        return read_sixel(self.data)


class SixelTerminal(Terminal):
    """Draws sixel: it answers, and knows of the last picture which of its cells were not drawn over since."""

    def __init__(
        self,
        words: list[str],
        environ: dict[str, str],
        answers: tuple[bytes, ...],
        *,
        cell: tuple[int, int] = CELL,
    ) -> None:
        self.answers = dict(zip(("16t", "14t", "?1;1;0S", "c"), answers, strict=True))
        self.asked = 0
        self.all: list[Shown] = []
        """The pictures that came."""
        self.left: set[tuple[int, int]] = set()
        """Cells that show the last one."""
        self._rest = ""
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._at = self._kept = (0, 0)
        self._lines = SIZE[1]
        super().__init__(words, environ, size=SIZE, cell=cell)

    def read(self, timeout: float) -> bool:
        before = len(self.shown)
        came = super().read(timeout)
        text = self._rest + self._decode(self.shown[before:])
        end = 0
        if text.startswith("\x1bP") and "\x1b\\" not in text:
            # A picture comes in a hundred pieces.
            self._rest = text
            return came
        for token in TOKEN.finditer(text):
            if token.start() != end:
                break
            end = token.end()
            self._take(token)
        self._rest = text[end:]
        return came

    def _take(self, token: re.Match[str]) -> None:
        row, column = self._at
        values, letter = token["with"] or "", token["end"]
        if token["sixel"] is not None:
            self._draw(token["sixel"].encode())
        elif token["kitty"]:
            assert "a=q" in token["kitty"], "it does not know kitty's protocol"
            self.asked += 1
        elif letter and (answer := self.answers.get(values + letter)):
            self.type(answer)
        elif letter == "H":
            places = [int(part or 1) - 1 for part in (values or "1;1").split(";")]
            self._at = places[0], places[1] if len(places) > 1 else 0
        elif letter == "C":
            self._at = row, column + int(values or 1)
        elif letter == "X":
            self.left -= {(row, column + more) for more in range(int(values or 1))}
        elif values + (letter or "") == "?1049l":
            assert not self.left, "a picture is left behind"
        elif token["cursor"] == "7":
            self._kept = self._at
        elif token["cursor"] == "8":
            self._at = self._kept
        elif token["text"]:
            letters = [one for one in token["text"] if one >= " "]
            self.left -= {(row, column + more) for more in range(len(letters))}
            self._at = row, column + len(letters)

    def _draw(self, data: bytes) -> None:
        size = re.match(rb'"1;1;(\d+);(\d+)#', data)
        assert size is not None
        row, column = self._at
        rows, columns = -(-int(size[2]) // CELL[1]), int(size[1]) // CELL[0]
        # A terminal scrolls below a picture that ends in its last line.
        assert row + rows < self._lines, (row, rows)
        assert not self.left, "another one is shown there"
        cells = {(row + down, column + right) for down in range(rows) for right in range(columns)}
        self.left = cells
        self.all.append(Shown(data, row, column, frozenset(cells)))

    def resize(self, width: int, height: int) -> int:
        # What it does with pictures then, each one decides.
        self.left.clear()
        self._lines = height
        return super().resize(width, height)

    @property
    def has_picture(self) -> bool:
        """Whether the last picture is whole."""
        return bool(self.all) and self.left == self.all[-1].cells

    @property
    def has_none(self) -> bool:
        """Whether no cell shows a part of one."""
        return not self.left


Opener = Callable[..., SixelTerminal]


@pytest.fixture
def open_granule(granule_terminal: Callable[..., SixelTerminal]) -> Opener:
    """Open the app on a terminal that gives these answers, and in it the dialog of a granule."""

    def begin(answers: tuple[bytes, ...], *, cell: tuple[int, int] = CELL, **changes: str) -> SixelTerminal:
        return granule_terminal(
            lambda words, environ: SixelTerminal(words, environ, answers, cell=cell), **changes
        )

    return begin


def test_a_picture_is_shown_and_goes(open_granule: Opener) -> None:
    one = open_granule(FOOT)
    assert not one.asked and not one.all
    one.type(b"v")
    until(lambda: one.has_picture, one)
    shown = one.all[-1]
    # It is sharp, whole and in its place.
    drawn = shown.drawn
    assert drawn.width > 240 and not any(NOT_DRAWN in line for line in drawn.lines)
    assert 16 < len(set().union(*drawn.lines)) <= 256
    assert drawn.width % CELL[0] == drawn.height % CELL[1] == 0
    assert "".join(one.picture.rows[shown.row - 1]).strip(" │").startswith("ECA_")
    # The view changes: the track is drawn where the picture was.
    seen = one.type(b"v")
    one.wait_for(b"Orbit", after=seen)
    until(lambda: one.has_none, one)
    one.type(b"v")
    until(lambda: one.has_picture, one)
    # Another granule is shown, in the place of the first.
    count, first = len(one.all), one.all[-1].data
    one.type(b"n")
    until(lambda: len(one.all) > count and one.has_picture, one)
    assert one.all[-1].data != first
    # Another dialog comes above it, and goes.
    one.type(b"x")
    until(lambda: one.has_none, one)
    one.wait_for(b"marks")
    one.type(b"\x1b")
    until(lambda: one.has_picture, one)
    # The terminal has another size.
    one.resize(100, 30)
    until(lambda: one.all[-1].row < shown.row and one.has_picture, one)
    # The frames that come after it, and are drawn below it, do not take it away.
    one.settle()
    until(lambda: one.has_picture, one)
    assert max(one.left) < (29, 0) and max(column for _, column in one.left) < 100
    # What else wrote on the terminal may have taken it away.
    count = len(one.all)
    one.left.clear()
    one.kill(signal.SIGWINCH)
    until(lambda: len(one.all) > count and one.has_picture, one)
    assert one.asked == 1
    # The dialog is closed: its cells show what is below.
    one.type(b"q")
    until(lambda: one.has_none, one)
    one.wait_for(b"16 granules")
    one.type(b"q")
    assert one.ended() == 0
    assert one.is_restored() and one.has_none


@pytest.mark.parametrize(
    ("answers", "cell", "most"),
    [(XTERM_340, CELL, 16), (ONLY_AREA, (0, 0), 256)],
    ids=["xterm -ti vt340", "only the pixels of all cells"],
)
def test_a_terminal_that_says_enough_has_pictures(
    open_granule: Opener,
    answers: tuple[bytes, ...],
    cell: tuple[int, int],
    most: int,
) -> None:
    one = open_granule(answers, cell=cell)
    one.type(b"v")
    until(lambda: one.has_picture, one)
    assert most / 2 < len(one.all[-1].drawn.colours) <= most
    leaves_nothing(one, signal.SIGTERM)


def leaves_nothing(one: SixelTerminal, number: signal.Signals) -> None:
    """A signal has it leave the terminal, and no picture on it."""
    seen = len(one.shown)
    one.kill(number)
    until(lambda: b"\x1b[?1049l" in one.shown[seen:], one)
    assert one.has_none


@pytest.mark.long
def test_no_picture_is_left_behind_when_it_is_suspended(open_granule: Opener) -> None:
    one = open_granule(WEZTERM)
    one.type(b"v")
    until(lambda: one.has_picture, one)
    leaves_nothing(one, signal.SIGTSTP)


@pytest.mark.parametrize(
    ("answers", "cell", "changes"),
    [
        # What it does, the terminals of `test_graphics.py` without pictures show too.
        pytest.param(XTERM, CELL, {}, marks=pytest.mark.long),
        (NO_SIZE, (0, 0), {}),
        (FOOT, CELL, {"MAAP_UI_SHARP_PICTURES": "false"}),
        pytest.param(FOOT, CELL, {"SSH_TTY": "/dev/pts/1"}, marks=pytest.mark.long),
        pytest.param(FOOT, CELL, {"MAAP_UI_LOW_BANDWIDTH": "true"}, marks=pytest.mark.long),
    ],
    ids=["no 4", "no size", "setting", "ssh", "low bandwidth"],
)
def test_half_blocks_stay(
    open_granule: Opener,
    answers: tuple[bytes, ...],
    cell: tuple[int, int],
    changes: dict[str, str],
) -> None:
    one = open_granule(answers, cell=cell, **changes)
    one.type(b"v")
    one.wait_for("▀".encode())
    assert not one.all and one.asked == (not changes)


def abilities_of(answers: tuple[bytes, ...]) -> Abilities:
    keys, parts, begun = take_answers("a" + b"".join(answers).decode() + "b")
    assert (keys, begun) == ("ab", "")
    found = Abilities()
    for part in parts:
        found.take(part)
    return found


@pytest.mark.parametrize(
    ("answers", "knows", "registers"),
    [
        (XTERM_340, True, 16),
        (XTERM, False, 256),
        (FOOT, True, 256),
        (WEZTERM, True, 256),
        ((b"\x1b[?4;6c",), False, 256),  # the kind of a VT132
        ((b"\x1b[?62;c",), False, 256),
        ((b"\x1b[?62;44;14c",), False, 256),
    ],
)
def test_the_attributes_say_who_draws_sixel(answers: tuple[bytes, ...], knows: bool, registers: int) -> None:
    found = abilities_of(answers)
    assert (found.knows_sixel, found.knows_kitty, found.is_complete) == (knows, False, True)
    assert found.registers == registers
    assert found.cell == (CELL if len(answers) > 1 else (0, 0))


@pytest.mark.parametrize("answers", [FOOT, XTERM, ONLY_AREA])
def test_answers_come_in_parts(answers: tuple[bytes, ...]) -> None:
    whole = b"".join(answers).decode()
    for at in range(len(whole)):
        keys, first, begun = take_answers(whole[:at])
        more, second, left = take_answers(begun + whole[at:])
        assert (keys + more, left) == ("", "") and "".join(first + second) == whole


@pytest.mark.parametrize("key", ["\x1b[4~", "\x1b[6~", "\x1b[6;5~", "\x1b[48;40;120;480;720t", "\x1b[4;2u"])
def test_keys_that_begin_as_answers_are_keys(key: str) -> None:
    assert take_answers(key) == (key, [], "")


def test_kitty_wins_where_both_are_known() -> None:
    found = Abilities()
    for part in take_answers(f"\x1b_G{QUERY[3:].split(',')[0]};OK\x1b\\\x1b[?62;4;22c")[1]:
        found.take(part)
    assert found.knows_kitty and found.knows_sixel


SIXEL = b'"1;1;20;40#0;2;0;0;0' + b"-".join([b"#0!20~"] * 6 + [b"#0!20N"])


def test_a_picture_in_sixel_goes_with_its_cells() -> None:
    layer = PictureLayer()
    layer.is_sixel = True
    placed = Placed(SIXEL, 3, 4, 2, 2, 2)
    wanted: list[Placed | None] = [placed]
    layer.source = lambda: wanted[0]
    assert layer.begin(40) == ("", None)
    drawn = layer.end(lambda picture: True)
    assert drawn == f"\x1b7\x1b[5;4H\x1bP0;1;0q{SIXEL.decode()}\x1b\\\x1b8"
    # It lasts until a frame draws its cells.
    assert layer.begin(40) == ("", None) and layer.end(lambda picture: picture != placed) == ""
    assert layer.begin(40) == ("", None) and layer.end(lambda picture: picture == placed) == drawn
    # It never comes into the last line: whole bands end above it.
    assert layer.begin(6) == ("", placed)
    assert '"1;1;20;18#' in layer.end(lambda picture: True)
    assert layer.begin(5) == ("", placed.with_rows(1)) and layer.end(lambda picture: True) == ""
    # When it goes, its cells are named; when the program does, they are emptied.
    assert layer.begin(40) == ("", None) and layer.end(lambda picture: False) == drawn
    wanted[0] = None
    assert layer.begin(40) == ("", placed) and layer.end(lambda picture: True) == ""
    wanted[0] = placed
    assert layer.begin(40) == ("", None) and layer.end(lambda picture: False) == drawn
    assert layer.clear() == "\x1b7\x1b[m\x1b[5;4H\x1b[2X\x1b[6;4H\x1b[2X\x1b8"
    assert layer.clear() == "" and not layer.is_used
