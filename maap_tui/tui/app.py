"""MaapApp: the modes, the engine behind them, and what all of them share."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, ClassVar, TypeVar

from textual import events, on
from textual.app import ScreenStackError, SystemCommand
from textual.css.query import NoMatches
from textual.filter import LineFilter
from textual.notifications import Notify, SeverityLevel
from textual.screen import Screen
from textual.timer import Timer
from textual.worker import Worker, WorkerState

from maap_tui.engine.config.settings import KEYS, Settings, UiSettings
from maap_tui.engine.download.downloads import Downloads
from maap_tui.engine.download.elsewhere import Elsewhere, Lookout
from maap_tui.engine.download.queue_store import LIVE, QueueRow, left_behind, missing_bytes
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.download.tally import Tally
from maap_tui.engine.errors import CredentialsError, needs_new_token
from maap_tui.engine.events import (
    BaselineCounted,
    DayFailed,
    Event,
    FileFailed,
    FileFinished,
    FileRetried,
    FileSkipped,
    ItemSkipped,
    Noted,
    RegistryDamaged,
    SignInNeeded,
    Warned,
)
from maap_tui.engine.net.credentials import TokenInfo
from maap_tui.engine.query import Query
from maap_tui.engine.registry.entries import TrackedFile
from maap_tui.engine.session import Session
from maap_tui.engine.storage.log_file import LogFile, LogLine
from maap_tui.engine.thread import EngineThread
from maap_tui.engine.workflows.sync import SyncReport
from maap_tui.text import as_sentence, clean, format_sum, plural, without_tokens
from maap_tui.tui import collector, theme
from maap_tui.tui.commands import MaapCommands
from maap_tui.tui.host import Host
from maap_tui.tui.keys import BY_ID, MODES, bindings, check_keymap, show_key
from maap_tui.tui.messages import EngineNews, KeyDone
from maap_tui.tui.problems import words_of
from maap_tui.tui.screens.browse.screen import BrowseScreen
from maap_tui.tui.terminal import ShutdownGuard, TerminalDriver
from maap_tui.tui.textual_compat import QuickStylesheet, QuietApp, drop_others_of, keymap_of
from maap_tui.tui.workers import start_worker

T = TypeVar("T")

LOG_LINES = 5000
"""Lines of the log kept for the screen."""

SAMPLE_S = 0.25
"""Seconds between two looks at the engine; twice as many with low bandwidth."""

SILENT_S = 3.0
"""Seconds that an answer may take before the screen says that none comes."""

PROBE_S = 10.0
"""Least seconds between two looks at whether an archive that is away is there again."""

ELSEWHERE_S = 1.0
"""Seconds between two looks at what other processes transfer."""

KEY_S = 1.0
"""Seconds that a key may take before the next one goes ahead all the same."""

OSC52_LIMIT = 74_000
"""Bytes of base64 that terminals take in one OSC 52."""


WIDTHS = [(0, "-tiny"), (60, "-narrow"), (110, "-wide")]
"""Least columns -> the class that screens of that width have."""

HEIGHTS = [(0, "-flat"), (16, "-short"), (30, "-tall")]
"""Least lines -> the class that screens of that height have."""


# The modes are loaded when they are first shown: together they cost as much as the first screen.


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
        "browse": BrowseScreen,
        "search": _search_screen,
        "downloads": _downloads_screen,
        "registry": _registry_screen,
        "log": _log_screen,
    }
    DEFAULT_MODE: ClassVar = "browse"
    BINDINGS: ClassVar = bindings("everywhere")
    COMMANDS: ClassVar = {MaapCommands}
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    ENABLE_COMMAND_PALETTE = True

    def __init__(
        self,
        session: Session,
        *,
        is_ascii: bool = False,
        low_bandwidth: bool = False,
        no_colour: bool = False,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        """Take an unopened session.

        Args:
            session: its engine is started with the first thing asked of it.
            is_ascii: send no byte above 127.
            low_bandwidth: repaint at most twice a second, and nothing that only moves to be seen.
            no_colour: send no colour.
            clock: the time shown; None takes the real one.
        """
        super().__init__(ansi_color=True if no_colour else None)
        self.stylesheet = QuickStylesheet(variables=self.get_css_variables())
        self.session = session
        session.emit = self.handle_event
        self.engine = EngineThread(lambda: session)
        self.tally = Tally()
        self.queue = session.queue
        self.elsewhere = Elsewhere()
        """What other processes of this user transfer."""
        self._lookout = Lookout(session.queue)
        self._elsewhere_at = 0.0
        """When the next look at them is due, on the monotonic clock."""
        self.transfers: Downloads | None = None
        """The queue of this app; None until something was queued."""
        self.counted: dict[str, BaselineCounted] = {}
        """Collection -> the baseline that a build counted last."""
        self.log_lines: deque[LogLine] = deque(maxlen=LOG_LINES)
        self.log_version = 0
        """Grows with every line of the log."""
        self.earlier_lines: list[LogLine] = []
        """The lines that other runs of the app left, read at the start."""
        dirs = session.dirs
        self._log_file = LogFile(dirs.log_file, dirs.lock_file(dirs.log_file))
        self._unwritten: deque[LogLine] = deque(maxlen=LOG_LINES)
        self.last_rate = 0.0
        """Bytes a second when something moved last; 0 before."""
        self.glyphs = theme.ASCII if is_ascii else theme.UNICODE
        self.is_ascii = is_ascii
        self.low_bandwidth = low_bandwidth
        self.no_colour = no_colour
        self.now = clock or (lambda: datetime.now(UTC))
        self.token: TokenInfo | None = None
        self.token_problem = ""
        """Why there is no token, in words; '' while there is one."""
        self._own_filters: list[LineFilter] = []
        if no_colour:
            self._own_filters.append(theme.NoColour())
        if is_ascii:
            self._own_filters.append(theme.AsciiOnly())
        self._problems: list[str] = []
        self._typed: deque[events.Key | events.Paste] = deque()
        self._key_sent: KeyDone | None = None
        """What follows the key that is under way, None when none is."""
        self._key_timer: Timer | None = None
        self._is_leaving = False
        self._probe_at = 0.0
        self.animation_level = "full" if session.settings.ui.animation and not low_bandwidth else "none"

    # Life

    def on_load(self) -> None:
        # From Python 3.12 on Textual has tasks begin at once, a screen's among them, before the app knows
        # that screen: a widget that asks for it while it is being made ends the app. Tests run without
        # eager tasks.
        asyncio.get_running_loop().set_task_factory(None)
        chosen = self.session.settings.ui.theme
        if self.no_colour:
            self.theme = "ansi-dark" if "ansi-dark" in self.available_themes else self.theme
        elif chosen in self.available_themes:
            self.theme = chosen
        elif chosen:
            self._problems.append(f"ui.theme: there is no theme '{clean(chosen)}'")
        keymap, problems = check_keymap(self.session.settings.keys)
        self._problems += problems
        if keymap:
            self.set_keymap(keymap)
        self.read_token()

    def on_mount(self) -> None:
        self.set_interval(SAMPLE_S * (2 if self.low_bandwidth else 1), self._sample)
        for sentence in self._problems:
            self.write_log("warning", sentence)
            self.notify(clean(sentence), severity="warning", timeout=10, markup=False)
        start_worker(self, self._look_for_left_work, group="start")
        start_worker(self, self._read_log, group="log")

    async def _look_elsewhere(self) -> None:
        """See what other processes transfer."""
        self.elsewhere = await asyncio.to_thread(self._lookout.look)
        self._elsewhere_at = time.monotonic() + ELSEWHERE_S

    async def _read_log(self) -> None:
        """Read what other runs logged."""
        self.earlier_lines = await asyncio.to_thread(self._log_file.earlier)
        self.log_version += 1

    async def _keep_log(self) -> None:
        """Write new lines to the log on disk; one after the other, as they came."""
        await asyncio.to_thread(self._write_log_file)

    def _write_log_file(self) -> None:
        lines = []
        with suppress(IndexError):
            while True:
                lines.append(self._unwritten.popleft())
        self._log_file.write(lines)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        if self.low_bandwidth and hasattr(event.widget, "cursor_blink"):
            event.widget.cursor_blink = False

    async def _look_for_left_work(self) -> None:
        """Offer to go on with what an earlier process left."""
        await asyncio.to_thread(self.queue.prune)
        with collector.held():
            rows = await asyncio.to_thread(self.queue.load, ended=False)
            left = await asyncio.to_thread(left_behind, rows, time.time())
        if not left:
            return
        count, unknown, guessed = missing_bytes(left)
        size = format_sum(count, unknown=unknown, guessed=guessed or not unknown)
        keys = [(row.collection, row.product_type, row.baseline) for row in left if row.day]
        if await self.confirm(
            f"{plural(len(left), 'transfer')} were interrupted, {size} are missing. "
            f"Go on? (Later: press 3, then T{_without_app(keys)}.)",
            lines=[row.path.rpartition("/")[2] for row in left],
            verb="Go on",
            key="g",
        ):
            await self.take_over(left)
            self.go("downloads")

    async def on_unmount(self) -> None:
        await asyncio.to_thread(self.close_engine)

    def close_engine(self) -> None:
        """Stop the transfers, write the queue, end the engine; from any thread, again does no harm."""
        transfers = self.transfers
        if transfers is not None:
            self.engine.run(lambda session: transfers.close())
        self.engine.close()
        self._write_log_file()

    def use_few_colours(self) -> None:
        """Draw with the sixteen colours of a plain terminal."""
        self._own_filters.append(theme.FewColours())

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), *self._own_filters]

    # Keys

    async def on_event(self, event: events.Event) -> None:
        """Hand keys out one after the other.

        Textual queues a key at the widget that has the focus and looks its binding up once it has come
        back: of keys typed in a burst, those of different modes overtake one another, and a key may act
        in a mode that was not there when it was typed.
        """
        if not isinstance(event, events.Key | events.Paste) or event.is_forwarded:
            await super().on_event(event)
            return
        self._typed.append(event)
        await self._hand_out_keys()

    async def _hand_out_keys(self) -> None:
        while self._typed and self._key_sent is None:
            event = self._typed.popleft()
            await super().on_event(event)
            done = KeyDone()
            if event.is_forwarded and (self.focused or self.screen).post_message(done):
                self._key_sent = done
                # A widget that is being removed takes what waits in it along.
                self._key_timer = self.set_timer(KEY_S, partial(self._note_key_done, done))

    @on(KeyDone)
    async def _note_key_done(self, done: KeyDone) -> None:
        if done is self._key_sent:
            self._key_sent = None
            if self._key_timer is not None:
                self._key_timer.stop()
            await self._hand_out_keys()

    # The engine

    async def ask(self, work: Callable[[Session], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine of the session in the engine's thread and wait for it here."""
        return await asyncio.wrap_future(self.engine.submit(work))

    @property
    def is_offline(self) -> bool:
        """Whether the last host that was asked gave no sign of life."""
        return self.session.is_offline

    @property
    def silence(self) -> str:
        """That the archive does not answer, and since when, in a sentence; '' while it does."""
        seconds = self.session.silent_s
        if not self.is_offline and seconds < SILENT_S:
            return ""
        since = self.now().astimezone(UTC) - timedelta(seconds=seconds)
        return f"The archive has not answered since {since:%H:%M} UTC."

    def _look_for_archive(self) -> None:
        """Ask an archive that is away now and then, so that what is said of it stays true."""
        now = time.monotonic()
        if self.is_offline and now >= self._probe_at:
            self._probe_at = now + PROBE_S
            start_worker(self, self.ask, Session.probe, group="probe", exclusive=True)
        elif not self.is_offline:
            self._probe_at = now + PROBE_S

    def handle_event(self, event: Event) -> None:
        """Take an event of the engine, in the engine's thread."""
        self.tally.apply(event)
        if isinstance(event, Noted):
            self.write_log("debug", event.message)
        elif isinstance(event, Warned):
            self.write_log("warning", event.message)
        elif isinstance(event, FileFinished):
            self.write_log("info", f"Downloaded {event.path.name}")
        elif isinstance(event, FileSkipped):
            self.write_log("debug", f"{event.path.name}: {event.reason}")
        elif isinstance(event, FileRetried):
            self.write_log(
                "info", f"{event.url.rpartition('/')[2]}: {event.reason}; again in {event.wait_s:.0f} s"
            )
        elif isinstance(event, FileFailed):
            self.write_log("error", f"{event.url.rpartition('/')[2]}: {event.reason}")
        elif isinstance(event, BaselineCounted):
            self.counted[event.collection] = event
        elif isinstance(event, RegistryDamaged):
            self.write_log("warning", event.words)
        elif isinstance(event, ItemSkipped):
            self.write_log("warning", f"Skipped: {event.name[:120] or 'an item'}: {event.reason}")
        elif isinstance(event, DayFailed):
            self.write_log("error", f"FAILED DAY: {event.day} ({event.reason})")
        elif isinstance(event, SignInNeeded):
            self.write_log("error", event.reason)
            if self.is_running:
                self.post_message(EngineNews(event))

    def write_log(self, level: str, text: str) -> None:
        """Add a line to the log, one that says what it is about; from any thread."""
        line = LogLine(self.now(), level, without_tokens(text))
        self.log_lines.append(line)
        self.log_version += 1
        if level != "debug":
            self._unwritten.append(line)

    @on(EngineNews)
    def report_sign_in(self, message: EngineNews) -> None:
        """Say that the token is needed, once it is known to be dead."""
        if isinstance(message.event, SignInNeeded):
            self.notify(
                clean(as_sentence(f"F8 signs in: {message.event.reason}")),
                title="Sign-in needed",
                severity="error",
                timeout=15,
                markup=False,
            )

    # Transfers

    def _transfers_of(self, session: Session) -> Downloads:
        """The app's queue, made at the first use. Called in the engine's thread."""
        if self.transfers is None:
            self.transfers = session.downloads(verb="app", waits_for_room=True)
        return self.transfers

    async def queue_files(self, requests: Sequence[DownloadRequest]) -> int:
        """Queue files for download, registering those that are tracked; returns how many are new."""
        with collector.held(len(requests)):
            return await self.ask(lambda session: session.enqueue(requests, self._transfers_of(session)))

    async def queue_tracked(self, tracked: Sequence[TrackedFile], *, again: bool = False) -> tuple[int, int]:
        """Queue files of the registry; returns how many are new, and how many cannot be fetched.

        Args:
            tracked: the files.
            again: whether they are damaged or missing, and are fetched where they were.
        """
        with collector.held(len(tracked)):
            count, refused = await self.ask(
                lambda session: session.enqueue_tracked(tracked, self._transfers_of(session), again=again)
            )
        for sentence in refused:
            self.write_log("warning", f"Not queued: {sentence}")
        return count, len(refused)

    async def sync(self, query: Query) -> SyncReport:
        """Register what the archive has in the query's range and queue here what is pending there."""

        async def run(session: Session) -> SyncReport:
            transfers = self._transfers_of(session)
            transfers.resume_run()
            return await session.sync(query, into=transfers)

        return await self.ask(run)

    async def take_over(self, rows: Sequence[QueueRow], *, again: bool = False) -> int:
        """Go on with what another process left in the queue; returns how many files are queued here.

        With `again` their files are damaged, and are fetched again.
        """
        with collector.held(len(rows)):
            count, refused = await self.ask(
                lambda session: session.take_over(rows, self._transfers_of(session), again=again)
            )
        for sentence in refused:
            self.write_log("warning", f"Not taken over: {sentence}")
        if refused:
            self.notify(
                f"{plural(len(refused), 'transfer')} could not be taken over; the log (5) says why.",
                severity="warning",
                markup=False,
            )
        return count

    async def with_transfers(self, work: Callable[[Downloads], T]) -> T | None:
        """Call something of the queue in the engine's thread; None when nothing was queued yet."""

        async def call(session: Session) -> T | None:
            return None if self.transfers is None else work(self.transfers)

        return await self.ask(call)

    async def apply_setting(self, key: str, fresh: Settings) -> None:
        """Use a setting that was changed, as far as that is possible without a new start.

        Args:
            key: of the setting, or `keys.BINDING`.
            fresh: all settings, read again.
        """

        async def apply(session: Session) -> bool:
            return session.apply_setting(key, fresh)

        if not await self.ask(apply):
            return
        if key.startswith(f"{KEYS}."):
            keymap, _ = check_keymap(fresh.keys)
            self.set_keymap(keymap)
        elif key == UiSettings.theme.key and not self.no_colour:
            chosen = fresh.ui.theme
            self.theme = chosen if chosen in self.available_themes else "textual-dark"

    def _sample(self) -> None:
        self._look_for_archive()
        busy = {one.group for one in self.workers if one.node is self}
        if self._unwritten and "keep-log" not in busy:
            start_worker(self, self._keep_log, group="keep-log")
        if time.monotonic() >= self._elsewhere_at and "elsewhere" not in busy:
            start_worker(self, self._look_elsewhere, group="elsewhere")
        self.last_rate = self.tally.snapshot().rate or self.last_rate
        try:
            screen = self.screen
        except ScreenStackError:
            return  # the app is just beginning, or just ending
        sample = getattr(screen, "sample", None)
        if sample is None or not screen.is_running:
            return
        # A screen that is just coming or going has not all of its widgets.
        with suppress(NoMatches):
            sample()

    # The token

    def read_token(self) -> None:
        """Look at the offline token; no request is made."""
        try:
            self.token, self.token_problem = self.session.token_info(), ""
        except CredentialsError as error:
            self.token, self.token_problem = None, error.message

    @property
    def days_left(self) -> int | None:
        """Days that the offline token is good for; None when it does not expire or there is none."""
        return self.token.days_left(self.now()) if self.token else None

    async def action_sign_in(self) -> None:
        start_worker(self, self._sign_in, group="sign-in", exclusive=True)

    async def _sign_in(self) -> None:
        from maap_tui.tui.dialogs.sign_in import SignInDialog

        self.clear_notifications()  # what asked for it would hide the buttons
        if await self.push_screen_wait(SignInDialog()):
            self.read_token()
            await self.with_transfers(lambda transfers: transfers.resume_run())

    # What every mode uses

    def action_go(self, mode: str) -> None:
        if mode in MODES and self.current_mode != mode:
            self.switch_mode(mode)

    def go(self, mode: str, **context: Any) -> None:
        """Go to a mode and hand it what to show (its `receive(**context)`)."""
        self.switch_mode(mode)
        if context:
            self.call_later(self._hand_over, mode, context)

    def _hand_over(self, mode: str, context: dict[str, Any]) -> None:
        receive = getattr(self.screen, "receive", None)
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
        from maap_tui.tui.dialogs.confirm import ConfirmDialog

        answer = await self.push_screen_wait(ConfirmDialog(question, lines, verb, key))
        return bool(answer)

    def show_error(self, error: BaseException) -> None:
        """Show what went wrong and what to do about it, and write it to the log."""
        from maap_tui.tui.dialogs.error import ErrorDialog

        message, hint = map(clean, words_of(error))
        self.write_log("error", f"{message} {hint}".strip())
        if needs_new_token(error):
            hint = f"{as_sentence(hint)} F8 signs in."
        self.push_screen(ErrorDialog(as_sentence(message), hint.strip()))

    @on(Worker.StateChanged)
    def look_after_worker(self, event: Worker.StateChanged) -> None:
        """Show the error of any worker; the app lives on."""
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.show_error(event.worker.error)

    def copy_text(self, text: str, what: str = "Copied") -> None:
        """Copy to the clipboard by whatever reaches it here, and show the text where nothing does."""
        start_worker(self, self._copy, text, what, group="copy")

    async def _copy(self, text: str, what: str) -> None:
        if os.environ.get("TMUX"):
            try:
                process = await asyncio.create_subprocess_exec(
                    "tmux", "load-buffer", "-w", "-",
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.DEVNULL,
                )  # fmt: skip
                await asyncio.wait_for(process.communicate(text.encode()), 3)
                if process.returncode == 0:
                    self.notify(clean(text, 200), title=what, markup=False)
                    return
            except (OSError, TimeoutError):
                pass
        if len(text.encode()) * 4 // 3 < OSC52_LIMIT:
            self.copy_to_clipboard(text)
        if os.environ.get("SSH_TTY") or not os.environ.get("DISPLAY"):
            # Whether the terminal took it cannot be known: the text is shown to be selected.
            from maap_tui.tui.dialogs.show_text import TextDialog

            self.push_screen(TextDialog(what, text))
        else:
            self.notify(clean(text, 200), title=what, markup=False)

    def action_help(self) -> None:
        from maap_tui.tui.dialogs.help import HelpDialog

        if not isinstance(self.screen, HelpDialog):
            self.push_screen(HelpDialog(self.current_mode))

    def action_next_theme(self) -> None:
        names = sorted(self.available_themes)
        self.theme = names[(names.index(self.theme) + 1) % len(names)]
        self.notify(f"Theme: {self.theme}", timeout=2, markup=False)

    def action_leave(self) -> None:
        if not self._is_leaving:
            self._is_leaving = True
            start_worker(self, self._leave, group="leave")

    async def _leave(self) -> None:
        try:
            jobs = list(self.transfers.jobs.values()) if self.transfers and self.transfers.active else []
            running = [job for job in jobs if job.state == "running"]
            keys = [job.wanted.key for job in jobs if job.wanted.key is not None and job.state in LIVE]
            names = [(key.collection, key.product_type, key.baseline) for key in keys]
            if running and not await self.confirm(
                f"{plural(len(running), 'transfer')} {'is' if len(running) == 1 else 'are'} running. Leave? "
                f"Their parts and the queue stay{_without_app(names)}.",
                verb="Leave",
            ):
                return
            self.exit(0)
        finally:
            self._is_leaving = False

    def action_help_quit(self) -> None:
        """What ctrl+c does where no text is selected: it used to end programs."""
        key = keymap_of(self).get("everywhere.leave", BY_ID["everywhere.leave"].keys).split(",")[0]
        self.notify(f"{show_key(key)} leaves the app. ctrl+c copies text that is selected.", markup=False)

    def on_notify(self, event: Notify) -> None:
        """Of each severity only the newest is shown: many would hide what is worked on."""
        drop_others_of(self, event.notification)

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """Say something in a line over the footer."""
        text = f"{title}: {message}" if title else message
        super().notify(text, severity=severity, timeout=timeout, markup=markup)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Nothing of Textual's own: the palette is made of our table of keys."""
        return ()


_host: type[Host] = MaapApp
"""The app is all that its parts may ask of it: the type checker looks here."""


def _without_app(names: Sequence[tuple[str, str, str]]) -> str:
    """How transfers that the registry follows go on without the app; '' where it follows none."""
    baselines = sorted(set(names))
    if not baselines:
        return ""
    words = " ".join(baselines[0])
    more = f", and so on for {plural(len(baselines) - 1, 'other baseline')}" if len(baselines) > 1 else ""
    return f"; without the app: `maap download {words} --registry`{more}"


def run_app(
    session: Session,
    *,
    is_ascii: bool = False,
    mouse: bool | None = None,
    low_bandwidth: bool = False,
) -> int:
    """Open the app on a session and give back the exit code.

    Args:
        session: an unopened session.
        is_ascii: send no byte above 127; also on when the setting or the locale asks for it.
        mouse: None takes the setting.
        low_bandwidth: also on when the setting or `SSH_TTY` asks for it.

    Raises:
        Exception: the mistake of its own that ended the app; the terminal is as it was before.
    """
    ui = session.settings.ui
    app = MaapApp(
        session,
        is_ascii=is_ascii or ui.ascii or theme.wants_ascii(),
        low_bandwidth=low_bandwidth or ui.low_bandwidth or bool(os.environ.get("SSH_TTY")),
        no_colour=bool(os.environ.get("NO_COLOR")),
    )
    if app.console.color_system == "standard" and not app.no_colour:
        app.use_few_colours()
    with ShutdownGuard(app) as ending:
        app.driver_class = partial(TerminalDriver, ending=ending)  # type: ignore[assignment]
        code = app.run(mouse=ui.mouse if mouse is None else mouse)
    if app.crash is not None:
        raise app.crash
    return ending.code or app.return_code or code or 0
