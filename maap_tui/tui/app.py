"""MaapApp: the modes, the engine behind them, and what all of them share."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, TypeVar

from rich.text import Text
from textual import events, on
from textual.app import ScreenStackError, SystemCommand
from textual.command import CommandPalette, Provider
from textual.css.query import NoMatches
from textual.filter import LineFilter
from textual.notifications import Notify, SeverityLevel
from textual.screen import Screen
from textual.worker import Worker, WorkerState

from maap_tui.engine.config.settings import KEYS, Settings, UiSettings
from maap_tui.engine.download.queue_store import QueueRow
from maap_tui.engine.errors import needs_new_token
from maap_tui.engine.events import (
    SignInNeeded,
)
from maap_tui.engine.session import Session
from maap_tui.text import as_sentence, clean, plural
from maap_tui.tui import clipboard, colours, theme
from maap_tui.tui.backend import Backend
from maap_tui.tui.graphics import DrawsPictures
from maap_tui.tui.host import Host
from maap_tui.tui.inputs import Input, InputTurns
from maap_tui.tui.keys import BY_ID, MODES, Key, bindings, check_keymap, keys_of_commands, show_key
from maap_tui.tui.leaving import last_words, look_for_left_work, may_leave
from maap_tui.tui.messages import EngineNews, InputDone
from maap_tui.tui.pasted import PastedText
from maap_tui.tui.problems import words_of
from maap_tui.tui.sampling import Sampling
from maap_tui.tui.screens.browse.screen import BrowseScreen
from maap_tui.tui.terminal import ENDS, ShutdownGuard, TerminalDriver
from maap_tui.tui.textual_compat import QuickStylesheet, QuietApp, drop_notifications, keymap_of
from maap_tui.tui.workers import LASTING, start_worker

T = TypeVar("T")

SAMPLE_S = 0.25
"""Seconds between two looks at the engine; twice as many with low bandwidth."""

WIDTHS = [(0, "-tiny"), (60, "-narrow"), (110, "-wide")]
"""Least columns -> the class that screens of that width have."""

HEIGHTS = [(0, "-flat"), (16, "-short"), (30, "-tall")]
"""Least lines -> the class that screens of that height have."""


# A mode is imported when it is first shown, the palette when it is first opened: all of them together take as
# long as the first screen.


def _palette() -> type[Provider]:
    from maap_tui.tui.commands import MaapCommands

    return MaapCommands


def _today_screen() -> Screen[None]:
    from maap_tui.tui.screens.today.screen import TodayScreen

    return TodayScreen()


def _search_screen() -> Screen[None]:
    from maap_tui.tui.screens.search.screen import SearchScreen

    return SearchScreen()


def _downloads_screen() -> Screen[None]:
    from maap_tui.tui.screens.downloads.screen import DownloadsScreen

    return DownloadsScreen()


def _registry_screen() -> Screen[None]:
    from maap_tui.tui.screens.registry.screen import RegistryScreen

    return RegistryScreen()


def _log_screen() -> Screen[None]:
    from maap_tui.tui.screens.log.screen import LogScreen

    return LogScreen()


class MaapApp(QuietApp):
    """The app over one session."""

    TITLE = "maap"
    CSS_PATH: ClassVar = ["base.tcss", "dialogs/dialogs.tcss"]
    MODES: ClassVar = {
        "today": _today_screen,
        "browse": BrowseScreen,
        "search": _search_screen,
        "downloads": _downloads_screen,
        "registry": _registry_screen,
        "log": _log_screen,
    }
    DEFAULT_MODE: ClassVar = "browse"
    BINDINGS: ClassVar = bindings("everywhere")
    COMMANDS: ClassVar = {_palette}
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    ENABLE_COMMAND_PALETTE = True
    PALETTE_WORDS: ClassVar = "an action, product, site or time; or paste URLs, ids, names, a command"

    def __init__(
        self,
        session: Session,
        *,
        is_ascii: bool = False,
        low_bandwidth: bool = False,
        no_colour: bool = False,
        can_detach: bool = True,
        own_theme: str = colours.DARK.name,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        """Take an unopened session.

        Args:
            session: its engine is started with the first thing asked of it.
            is_ascii: send no byte above 127.
            low_bandwidth: repaint at most twice a second, and nothing that only moves to be seen.
            no_colour: send no colour.
            own_theme: the theme where none is set.
            clock: the time shown; None takes the real one.
        """
        super().__init__(ansi_color=True if no_colour else None)
        self.no_color = no_colour or self.no_color  # what rules of style ask
        for one in (colours.DARK, colours.LIGHT):
            self.register_theme(one)
        self._own_theme = own_theme
        # What the app begins with has its style sheets read once; `on_load` changes only what differs.
        self.set_reactive(MaapApp.theme, colours.DARK.name)
        self.stylesheet = QuickStylesheet(variables=self.get_css_variables())
        self.backend = Backend(session, now=clock, on_sign_in=self._hand_on_sign_in)
        self.glyphs = theme.ASCII if is_ascii else theme.UNICODE
        self.is_ascii = is_ascii
        self.low_bandwidth = low_bandwidth
        self.no_colour = no_colour
        self.few_colours = False
        self.can_detach = can_detach
        self._own_filters: list[LineFilter] = []
        if no_colour:
            self._own_filters.append(theme.NoColour())
        if is_ascii:
            self._own_filters.append(theme.AsciiOnly())
        self._problems: list[str] = []
        self._turns = InputTurns(self, self._hand_out)
        self._sampling = Sampling(self._sample, self._is_busy, SAMPLE_S * (2 if low_bandwidth else 1))
        self._pasted = PastedText()
        self._user_keys: dict[str, list[Key]] = {}
        self._is_leaving = False
        self.animation_level = "full" if session.settings.ui.animation and not low_bandwidth else "none"

    def on_load(self) -> None:
        # From Python 3.12 on Textual has tasks begin at once, a screen's among them, before the app knows
        # that screen: a widget that asks for it while it is being made ends the app. Tests run without
        # eager tasks.
        asyncio.get_running_loop().set_task_factory(None)
        chosen = self.backend.session.settings.ui.theme
        if self.no_colour:
            self.theme = "ansi-dark" if "ansi-dark" in self.available_themes else self.theme
        else:
            self._choose_theme(chosen)
            if chosen and chosen not in self.available_themes:
                self._problems.append(f"ui.theme: '{clean(chosen)}' is not a theme")
        keymap, problems = check_keymap(self.backend.session.settings.keys)
        self._problems += problems
        if keymap:
            self.set_keymap(keymap)
        commands = self.backend.session.settings.commands
        self._user_keys, problems = keys_of_commands(commands.values(), keymap)
        self._problems += problems
        for key in {key.keys for keys in self._user_keys.values() for key in keys if key.keys}:
            self.bind(key, f"user_key('{key}')", show=False)
        self.backend.read_token()

    def on_mount(self) -> None:
        self._sampling.start(self)
        for sentence in self._problems:
            self.backend.write_log("warning", sentence)
            self.notify(clean(sentence), severity="warning", timeout=10, markup=False)
        start_worker(self, look_for_left_work, self, group="start")
        start_worker(self, self.backend.read_earlier_log, group="log")

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        if self.low_bandwidth and hasattr(event.widget, "cursor_blink"):
            event.widget.cursor_blink = False

    async def on_unmount(self) -> None:
        await asyncio.to_thread(self.close_backend, self.return_code or 0)

    def close_backend(self, code: int) -> None:
        """End what is behind the screens; where the terminal went away, a worker goes on with the transfers.

        Args:
            code: the exit code; 0 for the user.
        """
        has_hung_up = code == ENDS["SIGHUP"]
        survives = self.can_detach and self.backend.session.settings.ui.survive_hangup
        self.backend.close(code, goes_on=has_hung_up and survives)

    def use_few_colours(self) -> None:
        """Draw with the sixteen colours of a plain terminal."""
        self.few_colours = True
        self._own_filters.append(theme.FewColours())

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), *self._own_filters]

    async def on_event(self, event: events.Event) -> None:
        """Hand keys and clicks out in their turn, everything else at once."""
        if not isinstance(event, events.InputEvent | events.Paste):
            await super().on_event(event)
            return
        if not self.screen_stack:
            return  # the app ends: a key that no widget took has come back after the last screen went
        if event.is_forwarded:
            await super().on_event(event)
            return
        self._sampling.wake()
        await self._turns.take(event)

    async def _hand_out(self, event: Input) -> None:
        if isinstance(event, events.Paste) and isinstance(self.screen, CommandPalette):
            event = events.Paste(self._pasted.line_for(event.text))  # its field takes one line
        await super().on_event(event)

    @on(InputDone)
    async def _note_input_done(self, done: InputDone) -> None:
        await self._turns.end(done)

    def _hand_on_sign_in(self, event: SignInNeeded) -> None:
        """Called in the engine's thread when the token is found to be dead."""
        if self.is_running:
            self.post_message(EngineNews(event))

    @on(EngineNews)
    def report_sign_in(self, message: EngineNews) -> None:
        """Ask for a new token after the old one was found to be dead."""
        if isinstance(message.event, SignInNeeded):
            self.notify(
                clean(as_sentence(f"F8 signs in: {message.event.reason}")),
                title="Sign-in needed",
                severity="error",
                timeout=15,
                markup=False,
            )

    async def take_over(self, rows: Sequence[QueueRow], *, again: bool = False) -> int:
        """Go on with what another process left in the queue; returns how many files are queued here.

        With `again` their files are damaged, and are fetched again.
        """
        count, refused = await self.backend.take_over(rows, again=again)
        if refused:
            self.notify(
                f"{plural(refused, 'transfer')} could not be taken over; the log (5) says why.",
                severity="warning",
                markup=False,
            )
        return count

    async def apply_setting(self, key: str, fresh: Settings) -> None:
        """Apply a changed setting, as far as that is possible without a restart.

        Args:
            key: of the setting, or `keys.BINDING`.
            fresh: all settings, read again.
        """
        if not await self.backend.apply_setting(key, fresh):
            return
        if key.startswith(f"{KEYS}."):
            keymap, _ = check_keymap(fresh.keys)
            self.set_keymap(keymap)
        elif key == UiSettings.theme.key and not self.no_colour:
            self._choose_theme(fresh.ui.theme)

    def _choose_theme(self, name: str) -> None:
        self.theme = name if name in self.available_themes else self._own_theme

    def _is_busy(self) -> bool:
        backend = self.backend
        moves = backend.tally.snapshot().active or backend.elsewhere.active
        return bool(
            moves or backend.worker or any(one.is_running and one.group != LASTING for one in self.workers)
        )

    def _sample(self) -> None:
        backend = self.backend
        busy = {one.group for one in self.workers if one.node is self}
        if backend.is_probe_due:
            start_worker(self, backend.probe, group="probe", exclusive=True)
        if backend.has_unwritten_lines and "keep-log" not in busy:
            start_worker(self, self._keep_log, group="keep-log")
        if backend.is_elsewhere_due and "elsewhere" not in busy:
            start_worker(self, backend.look_elsewhere, group="elsewhere")
        if backend.is_run_due and "run" not in busy:
            start_worker(self, self._note_run, group="run")
        backend.note_rate()
        try:
            screen = self.screen
        except ScreenStackError:
            return  # the app is starting or ending
        sample = getattr(screen, "sample", None)
        if sample is None or not screen.is_running:
            return
        # A screen that is being opened or closed lacks some of its widgets.
        with suppress(NoMatches):
            sample()

    async def _note_run(self) -> None:
        await asyncio.to_thread(self.backend.note_run)

    async def _keep_log(self) -> None:
        await asyncio.to_thread(self.backend.keep_log)

    async def action_sign_in(self) -> None:
        start_worker(self, self._sign_in, group="sign-in", exclusive=True)

    async def _sign_in(self) -> None:
        from maap_tui.tui.dialogs.sign_in import SignInDialog

        self.clear_notifications()  # the notification that asked for it would hide the buttons
        if await self.push_screen_wait(SignInDialog()):
            self.backend.read_token()
            await self.backend.with_transfers(lambda transfers: transfers.resume_run())

    def pasted_text(self, line: str) -> str:
        """What a line of the palette's field stands for."""
        return self._pasted.text_of(line)

    def action_go(self, mode: str) -> None:
        if mode in MODES and self.current_mode != mode:
            self.switch_mode(mode)

    def go(self, mode: str, **context: Any) -> None:
        """Go to a mode and hand it what to show (its `receive(**context)`)."""
        self.switch_mode(mode)
        if context:
            self.call_later(self._hand_over, mode, context)

    def _hand_over(self, mode: str, context: dict[str, Any]) -> None:
        # Not to what is shown: another key may have changed the mode, or a dialog lie above it.
        receive = getattr(self.get_screen_stack(mode)[0], "receive", None)
        if receive is not None:
            receive(**context)

    async def confirm(
        self, question: str, *, lines: Sequence[str] = (), verb: str = "Yes", key: str = "y"
    ) -> bool:
        """Ask before something is destroyed; call it from a worker.

        Args:
            question: what would happen, with counts.
            lines: each thing that it would happen to.
            verb: the word on the button.
            key: the key that confirms; it must differ from the one that asked.
        """
        return bool(await self.choose(question, lines=lines, verb=verb, key=key))

    async def choose(
        self,
        question: str,
        *,
        lines: Sequence[str] = (),
        verb: str,
        key: str = "y",
        others: Sequence[tuple[str, str]] = (),
        no: str = "No",
    ) -> str:
        """Ask as `confirm` does where there is more than one way; returns the key of the one chosen, or ''.

        Args:
            question: what would happen, with counts.
            lines: each thing that it would happen to.
            verb: the word on the first button.
            key: its key.
            others: words and keys of further ways.
            no: the word for none of them.
        """
        from maap_tui.tui.dialogs.confirm import ConfirmDialog

        return await self.push_screen_wait(ConfirmDialog(question, lines, [(verb, key), *others], no)) or ""

    def show_error(self, error: BaseException) -> None:
        """Show what went wrong and what to do about it, and write it to the log."""
        from maap_tui.tui.dialogs.error import ErrorDialog

        message, hint = map(clean, words_of(error))
        self.backend.write_log("error", f"{message} {hint}".strip())
        if needs_new_token(error):
            hint = f"{as_sentence(hint)} F8 signs in."
        self.push_screen(ErrorDialog(as_sentence(message), hint.strip()))

    @on(Worker.StateChanged)
    def look_after_worker(self, event: Worker.StateChanged) -> None:
        """Show the error of a worker; the app continues."""
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.show_error(event.worker.error)

    async def sharp_terminal(self) -> DrawsPictures | None:
        """The terminal where it is to draw pictures in pixels; None where half blocks or shades do."""
        is_plain = self.is_ascii or self.no_colour or self.few_colours or self.low_bandwidth
        driver = self.open_driver
        if is_plain or not self.backend.session.settings.ui.sharp_pictures:
            return None
        is_able = isinstance(driver, TerminalDriver) and await driver.can_draw_pictures()
        return driver if isinstance(driver, TerminalDriver) and is_able else None

    def copy_text(self, text: str, what: str = "Copied") -> None:
        """Copy to the clipboard by every way there is here; without any, show the text."""
        start_worker(self, clipboard.copy, self, text, what, group="copy")

    def user_keys(self, mode: str) -> Sequence[Key]:
        """The commands of the user that work in a mode; those without a key are in the palette alone."""
        return self._user_keys.get(mode, ())

    def action_user_key(self, pressed: str) -> None:
        for key in self.user_keys(self.current_mode):
            if key.keys == pressed:
                self.action_user_command(key.id.partition(".")[2])

    def action_user_command(self, name: str) -> None:
        """Run a command of the user's with what is marked, or under the cursor."""
        # Most who open the app have none.
        from maap_tui.tui.user_commands import run_command

        command = self.backend.session.settings.commands[name]
        subjects = getattr(self.screen, "subjects", None)
        if self.current_mode in command.where and subjects is not None:
            start_worker(self, run_command, self, self, command, subjects(), group="command")
        else:
            self.notify(f"{name} works in: {', '.join(command.where)}.", markup=False)

    def action_help(self) -> None:
        from maap_tui.tui.dialogs.help import HelpDialog

        if not isinstance(self.screen, HelpDialog):
            self.push_screen(HelpDialog(self.current_mode))

    def action_next_theme(self) -> None:
        names = sorted(self.available_themes, key=lambda name: (not name.startswith("maap-"), name))
        self.theme = names[(names.index(self.theme) + 1) % len(names)]
        self.notify(f"Theme: {self.theme}", timeout=2, markup=False)

    def action_redraw(self) -> None:
        if isinstance(driver := self.open_driver, TerminalDriver):
            driver.repaint()

    def action_leave(self) -> None:
        if not self._is_leaving:
            self._is_leaving = True
            start_worker(self, self._leave, group="leave")

    async def _leave(self) -> None:
        try:
            if await may_leave(self):
                self.exit(0, message=Text(last_words(self)) if last_words(self) else None)
        finally:
            self._is_leaving = False

    def action_help_quit(self) -> None:
        """Say how to leave: ctrl+c ends most programs, and here copies selected text."""
        key = keymap_of(self).get("everywhere.leave", BY_ID["everywhere.leave"].keys).split(",")[0]
        self.notify(f"{show_key(key)} leaves the app. ctrl+c copies text that is selected.", markup=False)

    def on_notify(self, event: Notify) -> None:
        """Show the newest notification of each severity only: many would cover the list."""
        drop_notifications(self, event.notification.severity)

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """Show a notification above the footer."""
        text = f"{title}: {message}" if title else message
        super().notify(text, severity=severity, timeout=timeout, markup=markup)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """No commands of Textual's own: the palette is made from our table of keys."""
        return ()


class MorningApp(MaapApp):
    """The app of somebody who has used it before."""

    DEFAULT_MODE: ClassVar = "today"


class AttachedApp(MaapApp):
    """The app of somebody who wants to see what the worker does."""

    DEFAULT_MODE: ClassVar = "downloads"


_host: type[Host] = MaapApp
"""Lets the type checker compare the app with `Host`."""


def _has_past(session: Session) -> bool:
    """Whether something ran or is tracked: Today has something to say then."""
    return any(
        os.path.isdir(folder)
        for folder in (session.dirs.registry_dir / "urls", session.dirs.state_dir / "runs")
    )


def run_app(
    session: Session,
    *,
    is_ascii: bool = False,
    mouse: bool | None = None,
    low_bandwidth: bool = False,
    is_attached: bool = False,
    can_detach: bool = True,
) -> int:
    """Open the app on a session and give back the exit code.

    Args:
        session: an unopened session.
        is_ascii: send no byte above 127; also on when the setting or the locale asks for it.
        mouse: None takes the setting.
        low_bandwidth: also on when the setting or `SSH_TTY` asks for it.
        is_attached: whether it opens at the transfers.
        can_detach: whether a worker can go on with them when the app ends.

    Raises:
        Exception: the bug that ended the app; the terminal is restored before.
    """
    ui = session.settings.ui
    kind = AttachedApp if is_attached else MorningApp if _has_past(session) else MaapApp
    app = kind(
        session,
        is_ascii=is_ascii or ui.ascii or theme.wants_ascii(),
        low_bandwidth=low_bandwidth or ui.low_bandwidth or bool(os.environ.get("SSH_TTY")),
        no_colour=bool(os.environ.get("NO_COLOR")),
        can_detach=can_detach,
        own_theme=colours.own_theme(os.environ),
    )
    if app.console.color_system == "standard" and not app.no_colour:
        app.use_few_colours()
    with ShutdownGuard(app, lambda: app.close_backend(ending.code)) as ending:
        app.driver_class = partial(TerminalDriver, ending=ending)  # type: ignore[assignment]
        code = app.run(mouse=ui.mouse if mouse is None else mouse)
    if app.crash is not None:
        raise app.crash
    return ending.code or app.return_code or code or 0
