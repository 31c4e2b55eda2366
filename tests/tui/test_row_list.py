"""RowList in an app of its own: what it shows, what it keeps, and that it draws only what is on the screen.

What needs no screen is in `test_row_model.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from driving import text_of, wait_until
from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.pilot import Pilot

from maap_tui.tui.dialogs.sort import letters_of
from maap_tui.tui.widgets.filter_line import FilterLine
from maap_tui.tui.widgets.row_list import RowList
from maap_tui.tui.widgets.row_model import SLICE, Column

MILLION = 1_000_000


class Board(App[None]):
    """A list and nothing else; counts how often a column was asked for its text."""

    CSS = "RowList > .rowlist--muted { color: $error; }"

    def __init__(
        self, columns: Iterable[Column] = (), *, list_type: type[RowList] = RowList, **options: Any
    ) -> None:
        super().__init__()
        self._list_type = list_type
        self.asked = 0
        self.news: list[Any] = []
        self._columns = list(columns) or [
            Column("number", "Number", 9, self._number, order=lambda row: row, is_right=True),
            Column("parity", "Parity", 6, lambda row: "odd" if row % 2 else "even"),
        ]
        self._options = options

    def _number(self, row: int) -> str:
        self.asked += 1
        return str(row)

    def compose(self) -> ComposeResult:
        yield self._list_type(self._columns, key=lambda row: row, **self._options)

    @property
    def list(self) -> RowList:
        return self.query_one(RowList)

    def on_row_list_highlighted(self, event: RowList.Highlighted) -> None:
        self.news.append(("at", event.row))

    def on_row_list_chosen(self, event: RowList.Chosen) -> None:
        self.news.append(("chosen", event.row))

    def on_row_list_marks_changed(self, event: RowList.MarksChanged) -> None:
        self.news.append(("marks", len(event.sender.marks)))

    @property
    def lines(self) -> list[str]:
        return text_of(self).split("\n")


async def _filled(board: Board, pilot: Pilot[None], count: int) -> RowList:
    board.list.focus()
    board.list.set_rows(range(count))
    await pilot.pause()
    return board.list


async def test_a_million_rows_cost_what_the_screen_shows() -> None:
    board = Board()
    async with board.run_test(size=(60, 24)) as pilot:
        listed = await _filled(board, pilot, MILLION)
        assert board.asked < 24 * 10
        board.asked = 0
        for key in ("end", "pageup", "pageup", "home", "pagedown", "j", "k"):
            await pilot.press(key)
        assert board.asked < 24 * 7 * 6
        listed.move_to(777_777)
        await pilot.pause()
        assert listed.current == 777_777
        assert any("777777" in line for line in board.lines)


async def test_the_end_of_rows_that_have_just_come_is_shown() -> None:
    """Before the screen is laid out again there is no scrollbar, by which the list could scroll."""
    board = Board()
    async with board.run_test(size=(60, 24)) as pilot:
        board.list.set_rows(range(3))
        await pilot.pause()
        board.list.append_rows(range(3, 99))
        board.list.move_to(98)
        await wait_until(lambda: any("98" in line for line in board.lines), pilot)


async def test_a_long_list_is_filtered_and_sorted_between_keys() -> None:
    board = Board()
    async with board.run_test(size=(60, 24)) as pilot:
        listed = await _filled(board, pilot, 60_000)
        listed.set_filter("999")
        assert listed.is_arranging
        assert len(listed.shown) == 60_000, "what was shown stays until the answer is there"
        await pilot.press("down")
        await wait_until(lambda: not listed.is_arranging, pilot)
        assert listed.shown == [row for row in range(60_000) if "999" in str(row)]
        listed.set_filter("")
        listed.sort_by("number", is_reversed=True)
        assert listed.is_arranging
        await wait_until(lambda: not listed.is_arranging, pilot)
        assert listed.shown == list(range(59_999, -1, -1))
        listed.sort_by("parity")
        await wait_until(lambda: not listed.is_arranging, pilot)
        assert listed.shown == sorted(range(60_000), key=lambda row: "odd" if row % 2 else "even")


async def test_rows_appended_while_a_long_list_is_filtered_are_not_lost() -> None:
    board = Board()
    async with board.run_test(size=(60, 24)) as pilot:
        listed = await _filled(board, pilot, 30_000)
        listed.set_filter("77")
        listed.append_rows(list(range(30_000, 31_000)))
        await wait_until(lambda: not listed.is_arranging, pilot)
        assert listed.shown == [row for row in range(31_000) if "77" in str(row)]
        listed.set_filter("")
        listed.sort_by("number", is_reversed=True)
        listed.append_rows([31_000])
        await wait_until(lambda: not listed.is_arranging, pilot)
        assert listed.shown == list(range(31_000, -1, -1))


async def test_marks_of_a_long_list_are_set_between_keys() -> None:
    board = Board()
    async with board.run_test(size=(60, 24)) as pilot:
        listed = await _filled(board, pilot, 3 * SLICE)
        listed.mark_all()
        await wait_until(lambda: board.news[-1] == ("marks", 3 * SLICE), pilot)
        listed.invert_marks()
        await wait_until(lambda: board.news[-1] == ("marks", 0), pilot)


def test_every_column_has_a_letter_of_its_own_to_sort_by() -> None:
    def column(title: str) -> Column:
        return Column(title.lower(), title, 5, str)

    titles = ["Product", "Base", "Found", "Pending", "Failed", "On disk", "Of"]
    found = {letter: one.title for letter, one in letters_of([column(title) for title in titles]).items()}
    assert found == {
        "p": "Product",
        "b": "Base",
        "f": "Found",
        "e": "Pending",
        "a": "Failed",
        "o": "On disk",
        "c": "Of",
    }


async def test_what_is_cut_shows_what_it_is_known_by() -> None:
    columns = [
        Column("name", "Name", 10, lambda row: "abcdefghijklmnop", keeps_end=True),
        Column("found", "Found", 5, lambda row: "x"),
    ]
    board = Board(columns)
    async with board.run_test(size=(60, 24)) as pilot:
        listed = await _filled(board, pilot, 1)
        listed.sort_by("found", is_reversed=True)
        await pilot.pause()
        assert board.lines[0].split() == ["Name", "Founv"]
        assert "abc…klmnop" in board.lines[1]


async def test_words_that_the_row_above_begins_with_are_muted() -> None:
    names = ["2025-12-28 01:11:52", "2025-12-28 01:22:53", "2025-12-29 00:03:11", "2025-12-29 00:03:11"]
    board = Board([Column("time", "Time", 19, lambda row: names[row], mutes_repeats=True)])
    async with board.run_test(size=(40, 9)) as pilot:
        listed = await _filled(board, pilot, len(names))
        await pilot.press("end")

        def drawn(row: int) -> list[str]:
            """The pieces of a row behind the cursor's cells."""
            return [segment.text.strip() for segment in listed.render_line(row + 1)][1:]

        assert [drawn(row)[:2] for row in range(4)] == [
            ["2025-12-28 01:11:52", ""],
            ["2025-12-28", "01:22:53"],
            ["2025-12-29 00:03:11", ""],
            ["2025-12-29 00:03:11", ""],  # under the cursor nothing is muted
        ]
        await pilot.press("home")
        muted = listed.get_component_rich_style("rowlist--muted").color
        pieces = list(listed.render_line(2)), list(listed.render_line(4))
        assert [one[1].style and one[1].style.color == muted for one in pieces] == [True, True]
        assert pieces[0][2].style and pieces[0][2].style.color != muted


async def test_the_cursor_stays_on_its_row() -> None:
    board = Board()
    async with board.run_test(size=(60, 24)) as pilot:
        listed = await _filled(board, pilot, 100)
        listed.move_to(50)
        listed.set_rows([*range(1000, 1200), *range(100)])
        assert (listed.current, listed.cursor) == (50, 250)
        listed.sort_by("number", is_reversed=True)
        assert listed.current == 50
        listed.set_filter("5")
        assert listed.current == 50
        listed.set_rows([row for row in listed.rows if row != 50])
        await pilot.pause()
        assert listed.current is not None
        listed.set_rows([])
        await pilot.pause()
        assert listed.current is None
        assert board.news[-1] == ("at", None)


async def test_keys_move_mark_and_choose() -> None:
    board = Board()
    async with board.run_test(size=(60, 12)) as pilot:
        listed = await _filled(board, pilot, 100)
        await pilot.press("G")
        assert listed.current == 99
        await pilot.press("g", "j", "down", "k")
        assert listed.current == 1
        await pilot.press("ctrl+f")
        assert listed.current == 11
        await pilot.press("enter")
        await pilot.pause()
        assert ("chosen", 11) in board.news
        listed.toggle_mark()
        listed.move_to(14)
        listed.mark_range()
        assert listed.marks == {11, 12, 13, 14}
        assert listed.chosen == [11, 12, 13, 14]
        listed.invert_marks()
        assert len(listed.marks) == 96
        listed.mark_all()
        assert len(listed.marks) == 100
        listed.mark_all()
        assert listed.marks == set()
        assert listed.chosen == [14]


async def test_rows_appended_pass_the_filter_first() -> None:
    board = Board()
    async with board.run_test(size=(60, 12)) as pilot:
        listed = await _filled(board, pilot, 40)
        listed.set_filter("nothing")
        assert listed.shown == []
        listed.append_rows([1000])
        assert listed.shown == []
        listed.set_filter("even")
        listed.append_rows([1002, 1003])
        assert listed.shown[-2:] == [1000, 1002]
        listed.mark_all()
        listed.clear_marks()
        assert not listed.marks


async def test_columns_are_chosen_and_fitted() -> None:
    board = Board()
    async with board.run_test(size=(40, 6)) as pilot:
        listed = await _filled(board, pilot, 3)
        assert board.lines[0].split() == ["Number", "Parity"]
        listed.set_columns(["parity", "nonsense"])
        await pilot.pause()
        assert board.lines[0].split() == ["Parity"]
        listed.set_columns([])
        await pilot.pause()
        assert board.lines[0].split() == ["Number", "Parity"]
        listed.sort_by("number", is_reversed=True)
        await pilot.pause()
        assert "Numberv" in board.lines[0]
        listed.offer_columns([Column(sign, sign, 30, lambda row, sign=sign: sign * 30) for sign in "xyz"])
        await pilot.pause()
        assert board.lines[1].rstrip().endswith("xxx yyyyyy…"), "what the edge cuts ends with an ellipsis"


async def test_a_click_goes_to_the_row_and_the_header_sorts() -> None:
    board = Board()
    async with board.run_test(size=(40, 10)) as pilot:
        listed = await _filled(board, pilot, 30)
        await pilot.click(RowList, offset=(5, 4))
        assert listed.current == 3
        await pilot.click(RowList, offset=(5, 6), control=True)
        assert listed.marks == {5}
        await pilot.click(RowList, offset=(5, 8), shift=True)
        assert listed.marks == {5, 6, 7}
        await pilot.click(RowList, offset=(5, 0))
        assert listed.sort_key == "number"
        await pilot.click(RowList, offset=(5, 0))
        assert listed.sort_reversed


class WatchedList(RowList):
    """A list that notes what it asks to be painted."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.painted: list[Region] = []
        super().__init__(*args, **options)

    def refresh(self, *regions: Region, **options: Any) -> Self:
        self.painted += regions
        return super().refresh(*regions, **options)


async def test_only_what_changed_is_painted_again() -> None:
    state = {"text": "before"}
    columns = [Column("state", "State", 8, lambda row: state["text"]), Column("name", "Name", 0, str)]
    board = Board(columns, list_type=WatchedList)
    async with board.run_test(size=(60, 12)) as pilot:
        listed = await _filled(board, pilot, 100)
        assert isinstance(listed, WatchedList)
        state["text"] = "after"
        listed.painted.clear()
        listed.refresh_rows([2, 90], ["state"])
        listed.refresh_rows([4])
        assert listed.painted == [Region(0, 3, 11, 1), Region(0, 5, 60, 1)]
        await pilot.pause()
        painted = [line.split()[-2:] for line in board.lines[1:]]
        assert painted[2] == ["after", "2"]


async def test_hostile_text_is_text() -> None:
    hostile = ["[/foo]", "[@click=app.quit]x[/]", "\x1b[2J\x1b]0;title\x07", "\u202etxt", "\x00"]
    board = Board([Column("text", "Text", 0, lambda row: hostile[row])])
    async with board.run_test(size=(60, 12)) as pilot:
        await _filled(board, pilot, len(hostile))
        text = "\n".join(board.lines)
        assert "[/foo]" in text
        assert "[@click=app.quit]x[/]" in text
        assert "\\x1b[2J\\x1b]0;title\\x07" in text
        assert "\x1b" not in text and "\u202e" not in text and "\x00" not in text
        assert board.is_running


async def test_an_empty_list_says_what_to_do() -> None:
    board = Board(empty_text="Nothing yet.\nPress x to get something that is long enough to be wrapped here.")
    async with board.run_test(size=(40, 10)) as pilot:
        await pilot.pause()
        assert "Nothing yet." in "\n".join(board.lines)
        board.list.action_choose()
        board.list.mark_all()
        board.list.toggle_mark()
        await pilot.press("end", "home", "pagedown")
        assert board.list.cursor == 0


class FilteredBoard(Board):
    """A list with a line that filters it."""

    def compose(self) -> ComposeResult:
        rows = RowList(self._columns, key=lambda row: row, empty_text="Nothing yet.")
        yield FilterLine(rows)
        yield rows


async def test_a_filter_that_nothing_passes_is_named_and_how_to_clear_it() -> None:
    board = FilteredBoard()
    async with board.run_test(size=(60, 10)) as pilot:
        listed = await _filled(board, pilot, 1200)
        listed.set_filter("seven")
        await pilot.pause()
        said = " ".join(text_of(board).split())
        assert "The filter 'seven' leaves none of 1,200 rows. / and then esc takes it away." in said
        # Both what is typed and what is chosen limit the rows.
        listed.keep_only(lambda row: row > 2000, "All are small.", "n shows them.")
        await pilot.pause()
        assert "'seven'" in text_of(board) and "n shows them." in text_of(board)
        assert "All are small." not in text_of(board)
        listed.set_filter("")
        await pilot.pause()
        assert "All are small." in text_of(board) and "filter" not in text_of(board)
        listed.keep_only(None)
        listed.set_rows([])
        await pilot.pause()
        assert "Nothing yet." in text_of(board)
