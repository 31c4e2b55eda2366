"""The header and the footer: one line each, the same in every mode."""

from __future__ import annotations

from rich.text import Text
from textual.events import Click
from textual.widget import Widget

from maap_tui.text import clean, format_rate
from maap_tui.tui.host import OnHost
from maap_tui.tui.keys import MODE_TITLES, MODES, Key, keys_of
from maap_tui.tui.textual_compat import keymap_of


class HeaderBar(OnHost, Widget):
    """Modes, mission, token, what moves, and whether the archive can be reached."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode
        self._last = ""
        self._ends: list[tuple[int, str]] = []
        """Cell behind each mode, and the mode; for the mouse."""

    def sample(self) -> None:
        """Repaint when what is shown changed."""
        now = self.render().plain
        if now != self._last:
            self._last = now
            self.refresh()

    def on_click(self, event: Click) -> None:
        mode = next((mode for end, mode in self._ends if event.x < end), None)
        if mode is not None:
            self.maap.action_go(mode)

    def render(self) -> Text:
        width = self.size.width or 80
        app = self.maap
        away = Text(" offline ", style="bold reverse") if app.backend.is_offline else Text()
        if not app.backend.is_offline and app.backend.silence:
            away = Text(" no answer ", style="bold reverse")
        moving = Text(self._moving(is_long=width >= 100))
        token, is_urgent = self._token()
        mission = Text(
            f" {clean(app.backend.session.settings.mission.name or 'EarthCARE')} " if width >= 100 else ""
        )
        # What does not fit goes in this order: a token that is good, the names of the other modes.
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
        dirs = Text(no_wrap=True)
        self._ends = []
        for number, mode in enumerate(MODES, 1):
            is_here = mode == self.mode
            title = MODE_TITLES[mode].split()[0]
            label = f" {number} {title} " if is_long or is_here else f" {number} "
            dirs.append(label, style="bold reverse" if is_here else "")
            self._ends.append((dirs.cell_len, mode))
        return dirs

    def _token(self) -> tuple[Text, bool]:
        """What to say of the token, and whether it has to be said whatever else is."""
        app = self.maap
        days = app.backend.days_left
        if app.backend.token_problem:
            return Text(" no token ", style="bold " + self._colour("error")), True
        if app.backend.token is not None and app.backend.token.is_opaque:
            return Text(" token stored "), False
        if days is None:
            return Text(" token ok "), False
        words = f" token {days} d " if days >= 0 else " token expired "
        urgency = app.backend.session.settings.token.urgency(days)
        if not urgency:
            return Text(words), False
        return Text(words, style="bold " + self._colour("error" if urgency == "alarm" else "warning")), True

    def _colour(self, name: str) -> str:
        if self.maap.no_colour:
            return "reverse"
        return {"error": "red", "warning": "yellow"}[name]


class FooterBar(Widget):
    """The keys of this mode, as many as fit; a click does what the key does."""

    def __init__(self, *dirs: str) -> None:
        super().__init__()
        self._keys: list[Key] = keys_of(*dirs)
        self._ends: list[tuple[int, Key]] = []
        """Cell behind each key, and the key; for the mouse."""

    async def on_click(self, event: Click) -> None:
        key = next((key for end, key in self._ends if event.x < end), None)
        if key is not None:
            await self.app.run_action(key.action, self.app if key.mode == "everywhere" else self.screen)

    def render(self) -> Text:
        width = self.size.width or 80
        keymap = dict(keymap_of(self.app))
        text = Text(no_wrap=True)
        self._ends = []
        for key in [one for one in self._keys if one.is_in_footer]:
            shown = keymap.get(key.id, key.keys).split(",")[0]
            part = Text.assemble((f" {_short(shown)}", "bold"), f" {key.label} ")
            if text.cell_len + part.cell_len > width:
                break
            text.append_text(part)
            self._ends.append((text.cell_len, key))
        text.append(" " * max(0, width - text.cell_len))
        return text


def _short(key: str) -> str:
    from maap_tui.tui.keys import show_key

    shown = show_key(key)
    return "^" + shown[5:] if shown.startswith("ctrl+") else shown
