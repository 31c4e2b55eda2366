"""The two themes: readable, told apart in sixteen colours too, and the only place that names colours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.theme import Theme

import maap_tui.tui
from maap_tui.tui.colours import DARK, LIGHT, own_theme
from maap_tui.tui.theme import STATE_SIGNS, STATE_TONES, FewColours, as_ascii

APP = Path(maap_tui.tui.__file__).parent
COLOUR = re.compile(
    r"#[0-9a-f]{3,8}\b|\brgba?\(|\bhsla?\(|\bansi_\w+|"
    r"\b(red|green|blue|cyan|magenta|yellow|orange|white|black|gr[ae]y)\b",
    re.IGNORECASE,
)
BOTH = pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda theme: theme.name)


def colours_of(theme: Theme) -> dict[str, str]:
    return {**theme.to_color_system().generate(), **theme.variables}


def contrast(one: Color, other: Color) -> float:
    """The ratio of WCAG 2, from 1 to 21."""

    def luminance(colour: Color) -> float:
        parts = [
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour.normalized
        ]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_rules_of_style_name_no_colour() -> None:
    sheets = list(APP.rglob("*.tcss"))
    values = [
        (sheet.name, found[1])
        for sheet in sheets
        for found in re.finditer(r":\s*([^;{}]+);", sheet.read_text())
    ]

    assert len(sheets) > 5
    assert [pair for pair in values if COLOUR.search(pair[1])] == []


def test_no_style_in_the_code_names_a_colour() -> None:
    styles = re.compile(r"""(?:style=|Style\(|stylize\(|, )f?["']((?:bold|dim|not|on|reverse)?[ \w#]*)["']""")
    found = [
        (path.name, words)
        for path in APP.rglob("*.py")
        if path.name != "colours.py"
        for words in styles.findall(path.read_text())
        if COLOUR.search(words)
    ]

    assert found == []


@BOTH
@pytest.mark.parametrize("ground", ["background", "surface", "panel", "primary-muted"])
def test_every_text_can_be_read_on_every_ground(theme: Theme, ground: str) -> None:
    colours = colours_of(theme)
    below = Color.parse(colours[ground])
    texts = ("foreground", "text-muted", "primary", "secondary", "accent", "success", "warning", "error")
    low = {name: round(contrast(Color.parse(colours[name]), below), 1) for name in texts}

    assert {name: ratio for name, ratio in low.items() if ratio < (4 if name == "text-muted" else 4.5)} == {}


@BOTH
def test_sixteen_colours_tell_states_and_the_cursor_apart(theme: Theme) -> None:
    colours = colours_of(theme)
    ground = colours["background"]

    def drawn(text: str, below: str) -> Style:
        style = Style(color=colours[text], bgcolor=colours[below])
        style = FewColours().apply([Segment("x", style)], Color.parse(ground))[0].style
        assert style is not None
        return style

    tones = [drawn(name, "background").color for name in ("foreground", "text-muted", "primary", "success")]
    tones += [drawn(name, "background").color for name in ("secondary", "warning", "error")]
    grounds = [drawn("foreground", name).bgcolor for name in ("background", "panel", "primary-muted")]

    assert len(set(tones)) == 7 and len(set(grounds)) == 3
    assert not set(tones) & {grounds[0], grounds[2]}


def test_every_state_with_a_colour_has_a_sign_and_those_of_files_differ() -> None:
    assert STATE_TONES.keys() <= STATE_SIGNS.keys()
    told_apart = ("new", "queued", "running", "paused", "here", "marked", "deleted", "interrupted", "failed")
    signs = [STATE_SIGNS[state] for state in told_apart]
    assert len(set(signs)) == len(signs) == len({as_ascii(sign) for sign in signs})


@pytest.mark.parametrize(
    ("value", "theme"),
    [("", DARK), ("15;0", DARK), ("0;15", LIGHT), ("0;default;15", LIGHT), ("7", LIGHT), ("0;x", DARK)],
)
def test_the_terminal_says_whether_it_is_light(value: str, theme: Theme) -> None:
    assert own_theme({"COLORFGBG": value} if value else {}) == theme.name
