"""Pictures in pixels: a terminal that knows kitty's graphics protocol, and those that do not."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from driving import wait_until
from PIL import Image
from terminal_kit import Terminal, until

from maap_tui.tui.app import MaapApp
from maap_tui.tui.graphics import PictureLayer, Placed, may_ask, take_answers
from tests.tui.test_granule_dialog import opened

COMMAND = re.compile(rb"\x1b_G([^;\x1b]*)(?:;([^\x1b]*))?\x1b\\|\x1b\[(\d+);(\d+)H|\x1b\[c")
SIZE = (120, 40)
CELL = (6, 12)


class Shown(NamedTuple):
    """A picture that a terminal shows."""

    image: Image.Image
    column: int
    row: int
    columns: int
    rows: int


class KittyTerminal(Terminal):
    """Knows pictures: it answers, and keeps those that were placed and not deleted."""

    def __init__(
        self, words: list[str], environ: dict[str, str], *, program: list[str] | None = None
    ) -> None:
        self.images: dict[int, Shown] = {}
        self.asked = self.placed = 0
        """Questions and pictures that came."""
        self._done = 0
        self._place = (0, 0)
        self._data = b""
        self._head: dict[str, str] = {}
        super().__init__(words, environ, size=SIZE, cell=CELL, program=program)

    def read(self, timeout: float) -> bool:
        came = super().read(timeout)
        for found in COMMAND.finditer(self.shown, self._done):
            self._done = found.end()
            if found[3]:
                self._place = (int(found[4]) - 1, int(found[3]) - 1)
            elif found[0] == b"\x1b[c":
                self.type(b"\x1b[?62;c")
            else:
                options = dict(part.split("=") for part in found[1].decode().split(","))
                self._take(options, found[2] or b"")
        return came

    def _take(self, options: dict[str, str], data: bytes) -> None:
        if options.get("a") == "q":
            self.asked += 1
            self.type(b"\x1b_Gi=%s;OK" % options["i"].encode())
            self.type(b"\x1b\\")
        elif options.get("a") == "d":
            assert options["d"] == "I" and options["q"] == "2"
            self.images.pop(int(options["i"]), None)
        else:
            assert options["q"] == "2" and len(data) <= 4096 and (options["m"] == "0" or len(data) == 4096)
            if options.get("a") == "T":
                assert not self._data and options["f"] == "100" and options["C"] == "1"
                self._head, self._at = options, self._place
            self._data += data
            if options["m"] == "0":
                image = Image.open(io.BytesIO(base64.standard_b64decode(self._data)), formats=["PNG"])
                image.load()
                self._data = b""
                head = self._head
                assert int(head["i"]) not in self.images, "one is shown already"
                columns, rows = int(head["c"]), int(head["r"])
                self.images[int(head["i"])] = Shown(image, *self._at, columns, rows)
                self.placed += 1

    @property
    def one(self) -> Shown:
        """The picture that is shown."""
        (image,) = self.images.values()
        return image


class PlainTerminal(KittyTerminal):
    """Knows none, and says of what kind it is."""

    def _take(self, options: dict[str, str], data: bytes) -> None:
        self.asked += options.get("a") == "q"
        assert self.asked, "a picture is sent that was not asked about"


class SilentTerminal(PlainTerminal):
    """Answers nothing."""

    def type(self, keys: bytes) -> int:
        return len(self.shown) if keys.startswith(b"\x1b[?62") else super().type(keys)


Opener = Callable[..., KittyTerminal]


@pytest.fixture
def open_granule(granule_terminal: Callable[..., KittyTerminal]) -> Opener:
    """Open the app on a terminal of a kind, and in it the dialog of a granule."""

    def begin(
        kind: type[KittyTerminal] = KittyTerminal,
        *words: str,
        program: list[str] | None = None,
        **changes: str,
    ) -> KittyTerminal:
        return granule_terminal(
            lambda words, environ: kind(words, environ, program=program), *words, **changes
        )

    return begin


def has_picture(one: KittyTerminal) -> bool:
    return len(one.images) == 1


def has_none(one: KittyTerminal) -> bool:
    return not one.images


def test_a_picture_is_shown_and_goes(open_granule: Opener) -> None:
    one = open_granule()
    assert not one.asked and not one.placed
    one.type(b"v")
    until(lambda: has_picture(one), one)
    shown = one.one
    # It is sharp, in its place, and its sides keep their proportion.
    assert shown.image.width > 240 and len(shown.image.getcolors(1 << 24)) > 100
    assert (
        abs(shown.image.width / shown.image.height * shown.rows * CELL[1] / (shown.columns * CELL[0]) - 1)
        < 0.02
    )
    assert "".join(one.picture.rows[shown.row - 1]).strip(" │").startswith("ECA_")
    assert shown.row + shown.rows < 40 and shown.column + shown.columns < 120
    # The view changes, and another granule is shown.
    one.type(b"v")
    until(lambda: has_none(one), one)
    one.type(b"v")
    until(lambda: has_picture(one), one)
    first, placed = one.one.image.tobytes(), one.placed
    one.type(b"n")
    until(lambda: one.placed > placed and has_picture(one), one)
    assert one.one.image.tobytes() != first
    # Another dialog comes above it, and goes.
    one.type(b"x")
    until(lambda: has_none(one), one)
    one.wait_for(b"marks")
    one.type(b"\x1b")
    until(lambda: has_picture(one), one)
    # The terminal has another size.
    seen = one.resize(100, 30)
    until(lambda: has_picture(one) and one.one.columns < 70, one)
    assert one.one.row + one.one.rows < 30 and len(one.shown) > seen
    # What else wrote on the terminal may have taken it away.
    placed = one.placed
    one.kill(signal.SIGWINCH)
    until(lambda: one.placed > placed and has_picture(one), one)
    assert one.asked == 1
    # The dialog is closed.
    one.type(b"q")
    until(lambda: has_none(one), one)
    one.type(b"q")
    assert one.ended() == 0
    assert one.is_restored() and not one.images


def test_no_picture_is_left_behind(open_granule: Opener, tmp_path: Path) -> None:
    """Neither to a program that takes the terminal, nor to the shell that the app goes back to."""
    command = shlex.join([sys.executable, "-IS", "-c", "print('TO' + 'OK'); input()"])
    with (tmp_path / "home" / "config.toml").open("a") as file:
        file.write(f"[commands.take]\nrun = {json.dumps(command)}\nkey = '#'\noutput = 'terminal'\n")
        file.write("where = ['search']\n")
    one = open_granule()
    one.type(b"v")
    until(lambda: has_picture(one), one)
    seen = one.type(b"#")
    until(lambda: b"TOOK" in one.shown[seen:], one)
    assert not one.images
    one.type(b"\n")
    until(lambda: has_picture(one), one)

    def leave(number: signal.Signals) -> None:
        seen = len(one.shown)
        one.kill(number)
        until(lambda: b"\x1b[?1049l" in one.shown[seen:], one)
        assert not one.images
        assert one.shown.index(b"a=d", seen) < one.shown.index(b"\x1b[?1049l", seen)

    leave(signal.SIGTSTP)
    # What comes before it has stopped would not wake it.
    until(lambda: os.waitid(os.P_PID, one.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT), one)
    one.kill(signal.SIGCONT)
    until(lambda: has_picture(one), one)
    leave(signal.SIGTERM)
    assert one.ended() == 143
    assert not one.images


FAILING = """\
import sys
from maap_tui.cli.main import main
from maap_tui.tui.screens.search.granule import GranuleDialog
def fail(self):
    raise LookupError("ours")
GranuleDialog.action_copy = fail
sys.exit(main())
"""


def test_an_error_that_ends_the_app_leaves_no_picture(open_granule: Opener) -> None:
    one = open_granule(program=[sys.executable, "-c", FAILING, "tui"])
    one.type(b"v")
    until(lambda: has_picture(one), one)
    one.type(b"y")
    assert one.ended() == 1
    assert one.is_restored() and not one.images


@pytest.mark.parametrize("kind", [PlainTerminal, SilentTerminal])
def test_a_terminal_without_pictures_has_half_blocks(open_granule: Opener, kind: type[KittyTerminal]) -> None:
    one = open_granule(kind)
    one.type(b"v")
    one.wait_for("▀".encode())
    one.type(b"v")
    one.wait_for(b"Orbit")
    seen = one.type(b"v")
    one.wait_for("▀".encode(), after=seen)
    assert one.asked == 1 and not one.placed


@pytest.mark.parametrize(
    ("words", "changes", "sign"),
    [
        (("tui",), {"TMUX": "/tmp/tmux-0/default,1,0"}, "▀"),
        pytest.param(("tui",), {"NO_COLOR": "1"}, "█", marks=pytest.mark.long),
        pytest.param(("tui", "--low-bandwidth"), {}, "▀", marks=pytest.mark.long),
        (("tui", "--ascii"), {}, "@@"),
        pytest.param(("tui",), {"MAAP_UI_SHARP_PICTURES": "false"}, "▀", marks=pytest.mark.long),
        pytest.param(("tui",), {"TERM": "xterm-16color"}, "█", marks=pytest.mark.long),
    ],
    ids=["tmux", "no colour", "low bandwidth", "ascii", "setting", "16 colours"],
)
def test_nothing_is_asked_where_half_blocks_are_right(
    open_granule: Opener, words: tuple[str, ...], changes: dict[str, str], sign: str
) -> None:
    one = open_granule(KittyTerminal, *words, **changes)
    one.type(b"v")
    one.wait_for(sign.encode())
    assert b"\x1b_G" not in one.shown


@pytest.mark.parametrize("term", ["", "dumb", "linux", "screen-256color", "tmux-256color", "vt100"])
def test_some_kinds_of_terminal_are_not_asked(term: str) -> None:
    assert may_ask({"TERM": "xterm-kitty"})
    assert not may_ask({"TERM": term})
    assert not may_ask({"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"})
    for name in ("TMUX", "STY", "ZELLIJ", "SSH_TTY", "SSH_CONNECTION"):
        assert not may_ask({"TERM": "xterm-kitty", name: "1"})


@pytest.mark.parametrize("end", ["\x1b\\", "\x9c"])
def test_answers_are_parted_from_keys(end: str) -> None:
    whole = f"ab\x1b_Gi=7;OK{end}c\x1b[?62;4cd\x1b[A"
    assert take_answers(whole) == ("abcd\x1b[A", [f"\x1b_Gi=7;OK{end}", "\x1b[?62;4c"], "")
    # Wherever it is cut in two, what comes out is the same.
    for at in range(len(whole)):
        keys, answers, begun = take_answers(whole[:at])
        more, others, left = take_answers(begun + whole[at:])
        assert (keys + more, answers + others, left) == take_answers(whole)
    assert take_answers("\x1b[?2026;2$y\x1bOP\x1b[27u")[0] == "\x1b[?2026;2$y\x1bOP\x1b[27u"


class Canvas:
    """A terminal that draws pictures; it keeps what gives them."""

    source: Callable[[], Placed | None] | None = None

    async def can_draw_pictures(self) -> bool:
        return True

    def cell_size(self) -> tuple[int, int]:
        return CELL

    @property
    def sixel_colours(self) -> int:
        return 0

    def show_picture_of(self, source: Callable[[], Placed | None] | None) -> None:
        self.source = source

    @property
    def placed(self) -> Placed | None:
        return self.source() if self.source else None


@pytest.mark.usefixtures("prompt_keys")
async def test_a_picture_ends_above_what_covers_it(
    make_app: Callable[..., MaapApp], monkeypatch: pytest.MonkeyPatch
) -> None:
    canvas = Canvas()

    async def terminal(app: MaapApp) -> Canvas:
        return canvas

    monkeypatch.setattr(MaapApp, "sharp_terminal", terminal)
    app = make_app(mode="search")
    async with opened(app) as (_, pilot):
        await pilot.press("v")
        await wait_until(lambda: canvas.placed, pilot)
        whole = canvas.placed
        assert whole is not None and whole.seen_rows == whole.rows
        app.notify("\n".join("line" for _ in range(8)))
        await wait_until(lambda: canvas.placed and canvas.placed.seen_rows < whole.rows, pilot)
        assert canvas.placed is not None and 0 < canvas.placed.seen_rows
        await pilot.press("escape")
        await wait_until(lambda: canvas.source is None, pilot)


def test_a_part_of_a_picture_is_that_of_its_first_rows() -> None:
    memory = io.BytesIO()
    Image.new("RGB", (80, 100)).save(memory, "PNG")
    layer = PictureLayer()
    placed = Placed(memory.getvalue(), 3, 4, 8, 5, 2)
    layer.source = lambda: placed

    def around() -> tuple[str, str]:
        before, gone = layer.begin(40)
        assert gone is None
        return before, layer.end(lambda picture: True)

    before, after = around()
    assert not before and after.startswith("\x1b7\x1b[5;4H\x1b_Ga=T,") and after.endswith("\x1b\\\x1b8")
    assert ",c=8,r=2,w=80,h=40," in after
    assert around() == ("", "")
    # Bytes were lost: it is taken away, whether it was shown or not, and drawn once more.
    layer.forget()
    before, again = around()
    assert "a=d,d=I" in before and again == after
    assert "a=d,d=I" in layer.clear()
    assert layer.clear() == ""
