"""Keys, clicks and sizes by chance: nothing that is typed ends the app or shows an error of ours."""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable
from typing import Final

import pytest
from driving import let_run
from textual.events import MouseDown, MouseEvent, MouseUp

from maap_tui.engine.errors import MaapError
from maap_tui.tui.app import MaapApp

pytestmark = [pytest.mark.long, pytest.mark.anyio, pytest.mark.usefixtures("prompt_keys")]

MakeApp = Callable[..., MaapApp]

STEPS: Final = 400
KEYS: Final = (
    *(chr(code) for code in range(0x21, 0x7F) if chr(code) not in "q"),
    *["enter", "escape"] * 8,
    *["up", "down", "left", "right", "space", "tab"] * 5,
    *"012345" * 4,
    "pageup", "pagedown", "home", "end", "shift+tab", "shift+up", "shift+down", "backspace", "delete",
    "ctrl+p", "ctrl+o", "ctrl+f", "ctrl+u", "ctrl+t", "f1", "f8",
)  # fmt: skip
"""Those that often mean something come more often; `q` is left out, which ends the app rightly."""
TEXTS: Final = (
    "hyytiala r100", "2025-12", "missing 30d", "61.8,24.3 r100", "CPR_CLD_2A", "-180..180", "12345A",
    "\u00e9\U0001f680", "https://x/y.h5",
)  # fmt: skip
SIZES: Final = ((80, 24), (120, 40), (200, 60), (60, 16), (20, 5), (1, 1), (300, 10))


def mouse(kind: type[MouseEvent], x: int, y: int) -> MouseEvent:
    """As the terminal says it: the pilot's clicks go past the app."""
    return kind(None, x, y, 0, 0, 1, False, False, False, screen_x=x, screen_y=y)


@pytest.mark.parametrize("seed", range(8))
async def test_no_key_ends_the_app(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    chance = random.Random(seed)
    shown: list[str] = []
    show = MaapApp.show_error

    def show_error(app: MaapApp, error: BaseException) -> None:
        if not isinstance(error, MaapError):
            shown.append("".join(traceback.format_exception(error)))
        show(app, error)

    monkeypatch.setattr(MaapApp, "show_error", show_error)
    app = make_app(mode=chance.choice(("today", "browse", "search", "registry")), is_ascii=bool(seed % 2))
    done: list[object] = []
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        for _ in range(STEPS):
            kind = chance.random()
            if kind < 0.04:
                size = chance.choice(SIZES)
                done.append(size)
                await pilot.resize_terminal(*size)
            elif kind < 0.1:
                width, height = app.size
                place = chance.randrange(width), chance.randrange(height)
                done.append(place)
                for kind_of_event in (MouseDown, MouseUp) * chance.choice((1, 1, 2)):
                    app.post_message(mouse(kind_of_event, *place))
            else:
                keys = (
                    list(chance.choice(TEXTS))
                    if kind < 0.14
                    else chance.choices(KEYS, k=chance.choice((1, 1, 3)))
                )
                done.append(keys)
                await pilot.press(*keys)
            await let_run()
            assert not shown, (done[-12:], shown)
            if not app.is_running:
                break
    assert app.crash is None, done[-12:]
    assert len(done) > STEPS // 4, "it ended early"
