"""The header and the footer: one line each, the same in every mode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.events import Click
from textual.widget import Widget
from textual.widgets import Input

from maap_tui.text import clean, format_rate
from maap_tui.tui.host import OnHost
from maap_tui.tui.keys import MODE_TITLES, MODES, Key, keys_of, show_key
from maap_tui.tui.textual_compat import keymap_of
from maap_tui.tui.widgets.filter_line import FilterLine


class HeaderBar(OnHost, Widget):
    """Modes, mission, token, transfers, and whether the archive answers."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"headerbar--{name}" for name in ("key", "here", "moving", "warning", "error", "away")
    }

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode
        self._last: tuple[object, ...] = ()
        self._ends: list[tuple[int, str]] = []
        """Cell behind each mode, and the mode; for the mouse."""

    def sample(self) -> None:
        """Repaint when anything changed that `render` shows; drawing it to see that takes longer."""
        if self._look() != self._last:
            self.refresh()

    def _look(self) -> tuple[object, ...]:
        """What `render` shows: the width, what keeps the archive away, transfers, the token, the mission."""
        backend, width = self.maap.backend, self.size.width or 80
        away = "offline" if backend.is_offline else "no answer" if backend.silence else ""
        token, is_urgent = self._token()
        mission = backend.session.settings.mission.name
        return width, away, self._moving(is_long=width >= 100), token.plain, is_urgent, mission

    def on_click(self, event: Click) -> None:
        mode = next((mode for end, mode in self._ends if event.x < end), None)
        if mode is not None:
            self.maap.action_go(mode)

    def render(self) -> Text:
        width = self.size.width or 80
        app = self.maap
        # What is drawn is what the next sample compares with: it may have changed since the last one.
        self._last = look = self._look()
        away = Text(f" {look[1]} ", style=self._style("away")) if look[1] else Text()
        moving = Text(self._moving(is_long=width >= 100), style=self._style("moving"))
        token, is_urgent = self._token()
        mission = Text(
            f" {clean(app.backend.session.settings.mission.name or 'EarthCARE')} " if width >= 100 else ""
        )
        # Left out when it does not fit, in this order: a good token, the names of the other modes.
        for is_long, parts in (
            (True, (away, moving, token, mission)),
            (True, (away, moving, *((token,) if is_urgent else ()), mission)),
            (False, (away, moving, token, mission)),
            (False, (away, moving)),
            (False, (away,)),
            (False, ()),
        ):
            left, right = self._modes(is_long=is_long), Text.assemble(*parts)
            if left.cell_len + right.cell_len <= width:
                break
        return Text.assemble(left, " " * max(0, width - left.cell_len - right.cell_len), right, no_wrap=True)

    def _moving(self, *, is_long: bool) -> str:
        """How many transfers run, here and in other processes, and how quickly."""
        own, others = self.maap.backend.tally.snapshot(), self.maap.backend.elsewhere
        active = own.active + others.active
        if not active:
            return ""
        rate = (own.rate if own.active else 0) + (others.rate if others.active else 0)
        count = f"{active} active" if is_long else f"{self.maap.glyphs.down}{active}"
        return f" {count} {format_rate(rate)} " if rate else f" {count} "

    def _modes(self, *, is_long: bool) -> Text:
        modes = Text(no_wrap=True)
        self._ends = []
        for number, mode in enumerate(MODES):
            is_here = mode == self.mode
            title = MODE_TITLES[mode].split()[0]
            if is_here:
                modes.append(f" {number} {title} ", style=self._style("here"))
            else:
                modes.append(f" {number} ", style=self._style("key"))
                modes.append(f"{title} " if is_long else "")
            self._ends.append((modes.cell_len, mode))
        return modes

    def _token(self) -> tuple[Text, bool]:
        """The words about the token, and whether they are shown even when there is little room."""
        app = self.maap
        days = app.backend.days_left
        if app.backend.token_problem:
            return Text(" no token ", style=self._style("error")), True
        if app.backend.token is not None and app.backend.token.is_opaque:
            return Text(" token stored "), False
        if days is None:
            return Text(" token ok "), False
        words = f" token {days} d " if days >= 0 else " token expired "
        urgency = app.backend.session.settings.token.urgency(days)
        if not urgency:
            return Text(words), False
        return Text(words, style=self._style("error" if urgency == "alarm" else "warning")), True

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"headerbar--{name}")


KEPT = ("everywhere.help", "everywhere.palette")
"""Keys that lead to all others; they stay where there is little room."""


class FooterBar(OnHost, Widget):
    """The keys of this mode, as many as fit, help and palette always among them; clicks work too.

    While a field has the focus, only keys that are not typed into it are there.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"footerbar--key"}

    def __init__(self, *modes: str) -> None:
        super().__init__()
        self._mode = modes[0]
        self._own, self._others = keys_of(*modes[:1]), keys_of(*modes[1:])
        self._left_out: frozenset[str] = frozenset()
        self._field: Input | None = None
        """The field that has the focus."""
        self._ends: list[tuple[int, Key]] = []
        """Cell behind each key, and the key; for the mouse."""

    def leave_out(self, *ids: str) -> None:
        """Leave out keys that do nothing where the user is."""
        if self._left_out != frozenset(ids):
            self._left_out = frozenset(ids)
            self.refresh()

    def on_mount(self) -> None:
        self.watch(self.screen, "focused", self._follow_focus, init=False)

    def _follow_focus(self, focused: Widget | None) -> None:
        field = focused if isinstance(focused, Input) else None
        if field is not self._field:
            self._field = field
            self.refresh()

    async def on_click(self, event: Click) -> None:
        key = next((key for end, key in self._ends if event.x < end), None)
        if key is not None:
            await self.app.run_action(key.action, self.app if key.is_of_app else self.screen)

    def render(self) -> Text:
        width = self.size.width or 80
        keymap, style = dict(keymap_of(self.app)), self.get_component_rich_style("footerbar--key")
        text = Text(no_wrap=True)
        self._ends = []
        parts = [
            (key, Text.assemble((f" {_short(shown)}", style), f" {key.label} "))
            for key in (*self._own, *self.maap.user_keys(self._mode), *self._others)
            if (shown := self._shown(key, keymap.get(key.id, key.keys).split(",")))
        ]
        kept = sum(part.cell_len for key, part in parts if key.id in KEPT)
        for key, part in parts:
            kept -= part.cell_len if key.id in KEPT else 0
            if text.cell_len + part.cell_len + kept > width:
                continue
            text.append_text(part)
            self._ends.append((text.cell_len, key))
        if isinstance(self._field, FilterLine):
            text.append_text(Text.assemble((" enter", style), " Keep ", (" esc", style), " No filter "))
        text.truncate(width)
        text.append(" " * max(0, width - text.cell_len))
        return text

    def _shown(self, key: Key, keys: Sequence[str]) -> str:
        """The key of an action that is named, '' for none."""
        if key.id in self._left_out:
            return ""
        if self._field is None:
            return keys[0] if key.is_in_footer else ""
        # What is typed goes into the field, which has enter and tab for itself; a filter has escape too.
        leaves = "escape" in keys and not isinstance(self._field, FilterLine)
        if leaves:
            return "escape"
        return next((one for one in keys if key.is_in_footer and _is_beside_text(one)), "")


def _is_beside_text(key: str) -> bool:
    return key.startswith("ctrl+") or (key[:1] == "f" and key[1:].isdecimal())


def _short(key: str) -> str:
    shown = show_key(key)
    return "^" + shown[5:] if shown.startswith("ctrl+") else shown
