"""The columns of the tree of Browse: which have room, and how a label shares its line with them."""

from __future__ import annotations

import pytest

from maap_tui.tui.screens.browse.tree_columns import Label, columns_for, head_words, lay_out

CELLS = {"baseline": ("BC", ""), "archive": ("46,320", ""), "here": ("58", "success")}


@pytest.mark.parametrize(
    ("width", "keys"),
    [
        (79, ["baseline", "archive", "here", "missing", "last"]),
        (76, ["baseline", "archive", "here", "missing"]),
        (60, ["baseline", "archive", "here", "missing"]),
        (50, ["baseline", "archive", "here"]),
        (45, ["archive", "here"]),
        (30, []),
    ],
)
def test_columns_give_way_before_names(width: int, keys: list[str]) -> None:
    assert [column.key for column in columns_for(width)] == keys
    assert len(head_words(width)) == width


def test_a_cell_ends_where_its_title_ends_at_any_depth() -> None:
    head = head_words(79)
    for indent in (2, 4, 8):
        line = " " * indent + "".join(
            text
            for text, _ in lay_out(Label((("CPR_CLD_2A", ""), (" cloud " * 9, "muted")), CELLS), 79, indent)
        )
        assert len(line) == 79
        for title, text in (("Archive", "46,320"), ("Here", "58")):
            at = head.index(title) + len(title)
            assert line[:at].endswith(f" {text}"), "right edges agree"
        assert "…" in line[: line.index(" BC")], "what describes the name is cut first"


def test_what_describes_a_name_goes_on_where_columns_are_empty() -> None:
    whole = (("CPR_CLD_2A", ""), (" cloud and precipitation properties", "muted"))
    assert lay_out(Label(whole), 60, 4) == whole
    last = "".join(text for text, _ in lay_out(Label(whole, {"last": ("2026-01-14", "muted")}), 79, 4))
    assert "cloud and precipitation properties" in last and last.endswith(" 2026-01-14")


def test_wide_letters_and_control_characters_keep_the_columns() -> None:
    label = Label((("漢字" * 20, ""), ("\x1b[31m", "muted")), {"here": ("7", "")})
    text = "".join(piece for piece, _ in lay_out(label, 79, 4))
    assert text.rstrip().endswith(" 7") and "\x1b" not in text
