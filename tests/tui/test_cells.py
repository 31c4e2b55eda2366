"""What is sent instead of Textual's frames shows the same on a terminal, in fewer bytes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pyte
import pytest
from driving import wait_until
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.drivers.headless_driver import HeadlessDriver

from maap_tui.tui.app import MaapApp
from maap_tui.tui.cells import Cells, can_erase, sets_modes

WIDTH, HEIGHT = 24, 4
SIZE = (WIDTH, HEIGHT)


class Emulator:
    """A terminal that somebody else wrote."""

    def __init__(self, size: tuple[int, int] = SIZE) -> None:
        self._screen = pyte.Screen(*size)
        self._stream = pyte.Stream(self._screen)
        self.feed("\x1b[?7l")

    def feed(self, data: str) -> None:
        self._stream.feed(data)

    def cells(self) -> list[list[tuple[object, ...]]]:
        """Each cell, as far as it can be seen."""
        rows = self._screen.buffer
        return [
            [seen(rows[row][column]) for column in range(self._screen.columns)]
            for row in range(self._screen.lines)
        ]

    def text(self) -> str:
        return "\n".join(self._screen.display)

    def place(self) -> tuple[int, int]:
        return self._screen.cursor.y, self._screen.cursor.x


def seen(cell: pyte.screens.Char) -> tuple[object, ...]:
    lines = (cell.underscore, cell.strikethrough, cell.reverse)
    if cell.data == " ":
        return " ", cell.bg, lines, cell.fg if any(lines) else ""
    return cell.data, cell.bg, lines, cell.fg, cell.bold, cell.italics, cell.blink


def place(row: int, column: int) -> str:
    return f"\x1b[{row + 1};{column + 1}H"


def piece(text: str, codes: str = "") -> str:
    """Text with a style, as Rich sends it."""
    return f"\x1b[{codes}m{text}\x1b[0m" if codes else text


def page(rows: list[str]) -> str:
    """A whole screen, as Textual sends it."""
    return "\n".join(place(row, 0) + text for row, text in enumerate(rows)) + place(0, 0)


COLOURS = st.sampled_from(
    ["", "31", "97", "39", "38;5;253", "38;5;75", "38;2;1;2;3", "44", "100", "49", "48;5;17", "48;2;9;8;7"]
)
MARKS = st.sampled_from(["", "1", "3", "4", "7", "9", "1;4", "5"])
STYLES = st.tuples(MARKS, COLOURS, COLOURS).map(lambda parts: ";".join(filter(None, parts)))
# With what takes two cells, joins what stands before it, or is drawn differently from terminal to terminal.
WORDS = st.sampled_from(
    [
        "a",
        "bc",
        "Today",
        " ",
        "  ",
        " " * 7,
        " " * 14,
        "│●▌█",
        "é",
        "漢字",
        "🚀",
        "e\u0301",
        "❤\ufe0f",
        "👩\u200d🚀",
        "नि",
    ]
)


@st.composite
def parts(draw: st.DrawFn) -> str:
    """A piece of a line somewhere, which ends at the edge at the latest."""
    found = draw(st.lists(st.tuples(STYLES, WORDS), max_size=4))
    width = sum(cell_len(word) for _, word in found)
    column = draw(st.integers(0, max(0, WIDTH - width)))
    text = "".join(piece(word, style) for style, word in found) if width <= WIDTH else ""
    return place(draw(st.integers(0, HEIGHT - 1)), column) + text


FRAMES = st.lists(parts(), max_size=6).map(lambda found: "".join([*found, place(0, 0)]))


@pytest.mark.parametrize("erases", [True, False])
@given(frames=st.lists(FRAMES, max_size=6))
def test_a_terminal_shows_the_same_after_any_frames(erases: bool, frames: list[str]) -> None:
    wanted, shown = Emulator(), Emulator()
    cells = Cells(SIZE, erases=erases)
    for frame in frames:
        wanted.feed(frame)
        shown.feed(cells.frame(frame))
        assert shown.cells() == wanted.cells()
        assert shown.place() == wanted.place()


@given(
    before=st.lists(FRAMES, max_size=3),
    rubbish=FRAMES,
    rows=st.lists(STYLES, min_size=HEIGHT, max_size=HEIGHT),
)
def test_after_another_program_drew_everything_is_drawn_again(
    before: list[str], rubbish: str, rows: list[str]
) -> None:
    wanted, shown = Emulator(), Emulator()
    cells = Cells(SIZE, erases=True)
    whole = page([piece("Today 漢 2025".ljust(WIDTH - 1), style) for style in rows])
    for frame in (*before, whole):
        wanted.feed(frame)
        shown.feed(cells.frame(frame))
    shown.feed(rubbish)
    cells.forget(SIZE)
    wanted.feed(whole)
    shown.feed(cells.frame(whole))
    assert shown.cells() == wanted.cells()


def test_what_is_shown_already_is_not_sent() -> None:
    cells = Cells(SIZE, erases=True)
    rows = [piece(f"{number} files".ljust(WIDTH), "38;5;253;48;5;17") for number in range(HEIGHT)]
    assert cells.frame(page(rows)) == (
        "\x1b[m\x1b[H\x1b[38;5;253;48;5;17m0 files\x1b[17X"
        "\x1b[2H1 files\x1b[17X\x1b[3H2 files\x1b[17X\x1b[4H3 files\x1b[17X\x1b[m\x1b[H"
    )
    assert cells.frame(page(rows)) == ""
    rows[2] = piece("7 files", "38;5;253;48;5;17") + piece(" " * (WIDTH - 7), "1;31;48;5;17")
    assert cells.frame(page(rows)) == "\x1b[3H\x1b[38;5;253;48;5;17m7\x1b[m\x1b[H"
    assert (
        cells.frame(place(2, 0) + piece("12", "48;5;17") + place(2, 1))
        == "\x1b[3H\x1b[48;5;17m12\x1b[m\x1b[3;2H"
    )
    assert cells.frame(place(2, 9)) == "\x1b[8C"


def test_letters_that_terminals_draw_differently_are_sent_as_they_came() -> None:
    cells = Cells(SIZE, erases=True)
    cells.frame(page([" " * WIDTH] * HEIGHT))
    line = place(1, 3) + piece("👩\u200d🚀 in orbit", "31") + place(0, 0)
    assert cells.frame(line) == "\x1b[2;4H\x1b[31m👩\u200d🚀 in orbit\x1b[0m\x1b[H"
    assert cells.frame(line) == ""
    assert cells.frame(place(1, 0) + " " * WIDTH + place(0, 0)) == f"\x1b[2H\x1b[{WIDTH}X\x1b[H"


@pytest.mark.parametrize(
    "data",
    [
        place(0, 20) + "wider than the terminal",
        place(HEIGHT, 0) + "below it",
        place(0, 0) + "\x1b]8;;https://maap.esa.int\x1b\\a link\x1b]8;;\x1b\\",
        place(0, 0) + "a\ttab",
        place(0, 0) + "\x1b[31mnot plain at its end",
        "where the cursor is",
    ],
)
def test_what_is_not_known_is_sent_as_it_is_and_all_drawn_again(data: str) -> None:
    cells = Cells(SIZE, erases=True)
    rows = page(["x" * WIDTH] * HEIGHT)
    first = cells.frame(rows)
    assert cells.frame(rows) == ""
    assert cells.frame(data) == data
    assert cells.frame(rows) == first


def test_a_part_that_is_forgotten_is_drawn_again_and_no_more() -> None:
    cells = Cells(SIZE, erases=False)
    rows = [letter * WIDTH for letter in "abcd"]
    cells.frame(page(rows))
    assert cells.has_drawn(1, 3, 2, 4)
    assert cells.frame(page(rows)) == "" and not cells.has_drawn(0, 0, HEIGHT, WIDTH)
    cells.forget_part(1, 3, 2, 4)
    assert cells.frame(place(0, 0) + rows[0] + place(0, 0)) == ""
    sent = cells.frame(page(rows))
    assert (sent.count("b"), sent.count("c"), sent.count("a"), sent.count("d")) == (4, 4, 0, 0)
    assert cells.has_drawn(2, 6, 1, 9) and not cells.has_drawn(2, 7, 1, 9) and not cells.has_drawn(3, 0, 1, 9)
    # A part that is larger than the terminal ends with it.
    cells.forget_part(3, WIDTH - 2, 9, 9)
    assert cells.frame(page(rows)).count("d") == 2
    # Where letters are of unclear width the whole line is drawn, and so it is with data of any other kind.
    wide = [*rows[:3], "\N{GRINNING FACE}" + "d" * (WIDTH - 2)]
    assert cells.frame(page(wide)) and cells.has_drawn(3, WIDTH - 1, 1, 1)
    cells.forget_part(3, 4, 1, 1)
    assert "\N{GRINNING FACE}" in cells.frame(page(wide))
    cells.frame("\x1b[2J")
    assert cells.has_drawn(0, 0, 1, 1)


def test_another_size_has_everything_drawn_again() -> None:
    cells = Cells(SIZE, erases=True)
    cells.frame(page(["x" * WIDTH] * HEIGHT))
    cells.forget((WIDTH + 1, 1))
    assert cells.frame(page(["x" * WIDTH + "y"])) == "\x1b[m\x1b[H" + "x" * WIDTH + "y\x1b[H"


@pytest.mark.parametrize(
    ("data", "draws"),
    [
        ("\x1b[?1049h", False),
        ("\x1b[>25u", False),
        ("\x1b[<u", False),
        ("\x1b[?2026$p", False),
        ("\x1b]52;c;AAAA\x07", False),
        ("\x07", False),
        ("\x1b[1;1H", True),
        ("\x1b[?25l text", True),
    ],
)
def test_modes_and_questions_draw_nothing(data: str, draws: bool) -> None:
    assert sets_modes(data) is not draws


@pytest.mark.parametrize(
    ("environ", "erases"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "tmux-256color"}, True),
        ({"TERM": "screen", "TMUX": "/tmp/tmux-1/default,1,0"}, True),
        ({"TERM": "screen"}, False),
        ({"TERM": "xterm-256color", "STY": "12.pts"}, False),
        ({"TERM": "vt220"}, False),
        ({}, False),
    ],
)
def test_blanks_are_erased_where_that_keeps_their_colour(environ: dict[str, str], erases: bool) -> None:
    assert can_erase(environ) is erases


class Line(HeadlessDriver):
    """Draws the app twice: as Textual does it, and by what is sent instead; counts the bytes of that."""

    is_headless = False

    def __init__(self, app: Any, *, size: tuple[int, int], **options: Any) -> None:
        super().__init__(app, size=size, **options)
        self.sent = 0
        self.frames = 0
        self.resize(size)

    def resize(self, size: tuple[int, int]) -> None:
        self.cells = Cells(size, erases=True)
        self.wanted, self.shown = Emulator(size), Emulator(size)

    def write(self, data: str) -> None:
        if sets_modes(data):
            return
        out = self.cells.frame(data)
        self.wanted.feed(data)
        self.shown.feed(out)
        assert self.shown.cells() == self.wanted.cells()
        self.sent += len(out.encode())
        self.frames += out != data  # one for a size that is gone passes as it is


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Callable[[MaapApp], list[Line]]:
    """Has an app drawn by a `Line`, which is in the list once the app runs."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("COLORTERM", raising=False)

    def draw(app: MaapApp) -> list[Line]:
        opened: list[Line] = []

        def begin(app: MaapApp, **options: Any) -> Line:
            opened.append(Line(app, **options))
            return opened[0]

        app.driver_class = begin  # type: ignore[assignment]
        return opened

    return draw


def shows(driver: Line, words: str) -> bool:
    return words in driver.shown.text()


PLACES = {"2": "Run", "3": "Pause", "4": "Cleanup", "5": "Level", "0": "Nothing ran yet", "1": "Refresh"}


async def test_first_screen_and_changes_of_place_take_few_bytes(
    make_app: Callable[..., MaapApp], line: Callable[[MaapApp], list[Line]], prompt_keys: None
) -> None:
    app = make_app(low_bandwidth=True)
    lines = line(app)
    async with app.run_test(headless=False) as pilot:
        await wait_until(lambda: lines and "12 of 12" in lines[0].shown.text(), pilot)
        (driver,) = lines
        assert driver.frames and driver.sent <= 8_000
        for _ in range(2):
            for key, words in PLACES.items():
                before = driver.sent
                await pilot.press(key)
                await wait_until(partial(shows, driver, words), pilot)
                assert 0 < driver.sent - before <= 4_000, key


@pytest.mark.long
async def test_dialogs_sizes_and_foreign_letters_show_the_same(
    make_app: Callable[..., MaapApp], line: Callable[[MaapApp], list[Line]], prompt_keys: None
) -> None:
    app = make_app()
    lines = line(app)
    async with app.run_test(headless=False) as pilot:
        await wait_until(lambda: lines and "12 of 12" in lines[0].shown.text(), pilot)
        (driver,) = lines
        for size in ((100, 30), (60, 16)):
            driver.resize(size)
            await pilot.resize_terminal(*size)
            for key in ("2", "question_mark", "escape", "1", "j", "j", "slash"):
                await pilot.press(key)
            await pilot.press(*"漢é")
            app.notify("दिल्ली 👩\u200d🚀 漢字 ❤\ufe0f")
            await pilot.press("escape", "k", "colon", "a", "escape")
            app.clear_notifications()
            await pilot.press("1")
        assert driver.frames > 10
