"""Every private name of Textual that the app touches; an upgrade of Textual breaks this module or none.

Each says what Textual lacks; it may go when Textual has a public name for that. What breaks when the private
name goes, tests/tui/test_textual_compat.py shows.
"""

from __future__ import annotations

import os
import select
import sys
import threading
from codecs import getincrementaldecoder
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from time import monotonic
from typing import Any, ClassVar

from textual import command, on
from textual._parser import ParseError
from textual._xterm_parser import XTermParser
from textual.app import App
from textual.binding import Binding
from textual.command import Command, CommandList, CommandPalette
from textual.css.model import RuleSet
from textual.css.query import NoMatches
from textual.css.stylesheet import Stylesheet
from textual.drivers.linux_driver import LinuxDriver
from textual.events import Click
from textual.geometry import Size
from textual.keys import _character_to_key
from textual.message import Message
from textual.notifications import Notification, SeverityLevel
from textual.screen import Screen
from textual.widgets import Input, Tree
from textual.worker import WorkerError

from maap_tui.tui.closing import ClosesOnce
from maap_tui.tui.graphics import take_answers


def keymap_of(app: App[Any]) -> Mapping[str, str]:
    """Binding -> the keys that the user gave it. Textual has `set_keymap` and nothing to read it with."""
    return app._keymap


def bindings_of(screen: Screen[Any], key: str) -> list[Binding]:
    """What a key does on a screen itself. Textual's `active_bindings` has those of the focused widget too."""
    return screen._bindings.key_to_bindings.get(key, [])


def named_key(key: str) -> str:
    """A key as events name it, from how people write it: `#`, `H`, `ctrl+t`. Textual keeps that to itself."""
    return _character_to_key(key) if len(key) == 1 else key.lower()


def redraw_labels(tree: Tree[Any]) -> None:
    """Render the labels of a tree again. Textual keeps rendered lines and has no call that drops them."""
    tree._invalidate()


def drop_notifications(app: App[Any], severity: SeverityLevel) -> None:
    """Take the notifications of a severity away. Textual can only clear all of them."""
    for one in notifications_of(app):
        if one.severity == severity:
            app._unnotify(one)


def notifications_of(app: App[Any]) -> list[Notification]:
    """The notifications that are shown, the oldest first. Textual shows them and has no list of them."""
    return list(app._notifications)


class FoundList(CommandList):
    """What the palette found. Textual ends the app for a click on a line that the next letter takes away."""

    def on_click(self, event: Click) -> None:
        if event.style.meta.get("option", -1) >= self.option_count:
            event.stop()
            event.prevent_default()


# The palette makes its list itself.
command.CommandList = FoundList  # type: ignore[misc]


class Palette(CommandPalette, ClosesOnce[None]):
    """A palette whose enter is for what was typed before it, and that page keys do not end.

    Textual takes what the list shows at the moment of enter: nothing, or what fewer letters had found. Keys
    typed after enter it gives to the palette still. It turns pages of a list that it has not laid out yet.
    """

    @on(Input.Submitted)
    async def _run_first(self, event: Input.Submitted) -> None:
        """Run what is found for the whole text; keys typed after enter wait until it runs."""
        event.stop()
        event.prevent_default()
        for worker in list(self.workers):
            if worker.group == self._GATHER_COMMANDS_GROUP:
                with suppress(WorkerError):
                    await worker.wait()
        commands = self.query_one(CommandList)
        chosen = None if commands.highlighted is None else commands.get_option_at_index(commands.highlighted)
        if isinstance(chosen, Command):
            self.app.post_message(CommandPalette.Closed(option_selected=True))
            self.dismiss()
            self.app.call_later(chosen.hit.command)

    def _action_command_list(self, action: str) -> None:
        # The lines of the list are made when it is drawn: not yet, or on a very small terminal not at all.
        with suppress(KeyError, IndexError):
            super()._action_command_list(action)


class QuietApp(App[int]):
    """An app that ends without a traceback. Textual prints one and has no hook for the error."""

    PALETTE_WORDS: ClassVar = ""
    """What can be typed into the palette, for its empty field."""

    crash: BaseException | None = None
    """The error that ended the app, None while it lives."""

    @property
    def open_driver(self) -> OpenDriver | None:
        """What draws the app; None without a terminal. Textual's name for it is private."""
        return self._driver if isinstance(self._driver, OpenDriver) else None

    def action_command_palette(self) -> None:
        """Open the palette."""
        if not isinstance(self.screen, CommandPalette):
            self.push_screen(Palette(placeholder=self.PALETTE_WORDS, id="--command-palette"))

    def _handle_exception(self, error: Exception) -> None:
        # A screen that was still being made when the end began looks for parts that it never gets.
        if not (self._exit and isinstance(error, NoMatches)):
            super()._handle_exception(error)

    def _fatal_error(self) -> None:
        """End on a bug of ours; the caller of the app reports it in a sentence."""
        self.crash = self.crash or self._exception or sys.exception()
        self._close_messages_no_wait()


class QuickStylesheet(Stylesheet):
    """Parses each source once: Textual asks for all of them whenever a mode or a dialog is first shown.

    Textual's cache belongs to one stylesheet, and a change of its variables empties it.
    """

    _caches: ClassVar[dict[tuple[tuple[str, str], ...], dict[Any, list[RuleSet]]]] = {}
    """What was parsed, for each set of variables that it was parsed with."""

    def __init__(self, *, variables: dict[str, str] | None = None) -> None:
        super().__init__(variables=variables)
        self._take_cache()

    def _take_cache(self) -> None:
        key = tuple(sorted(self._variables.items()))
        self._parse_cache: Any = self._caches.setdefault(key, {})

    def set_variables(self, variables: dict[str, str]) -> None:
        self._parse_cache = {}  # kept for a theme that is chosen again
        super().set_variables(variables)
        self._take_cache()

    def reparse(self) -> None:
        """Parse all sources with the variables as they are now."""
        self.parse()


TICK_S = 0.1
"""Seconds between two looks whether a key that others may follow stands alone, such as Escape."""

KEYS_SIZE = 4096
"""Bytes of keys read at a time."""


class TerminalAnswer(Message):
    """What the terminal answered to a question about pictures."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


class AnswersParser(XTermParser):
    """Takes answers about pictures out of what is typed. Textual's parser has them come as keys."""

    waits_until: ClassVar[float] = 0.0
    """Until when an answer may come in parts, by the clock `monotonic`; 0 before anything was asked."""

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._begun = ""

    def feed(self, data: str) -> Iterable[Message]:
        if not data or not self.waits_until:
            yield from super().feed(data)
            return
        keys, answers, begun = take_answers(self._begun + data)
        if begun and monotonic() >= self.waits_until:
            keys, begun = keys + begun, ""
        self._begun = begun
        for text in answers:
            yield TerminalAnswer(text)
        if keys:
            yield from super().feed(keys)

    @property
    def is_waiting(self) -> bool:
        """Whether time decides what was typed so far. Textual keeps to itself when that is."""
        return bool(self._begun) or self._timeout_time is not None

    def tick(self) -> Iterable[Message]:
        if self._begun and monotonic() >= self.waits_until:
            # The rest did not come: it was typed, unless nobody can type it.
            keys, self._begun = self._begun, ""
            if len(keys) <= len("\x1b["):
                yield from super().feed(keys)
        yield from super().tick()


class EndEvent(threading.Event):
    """An event that a `select` can wait for as well."""

    def __init__(self) -> None:
        super().__init__()
        self._here, self._there = os.pipe()

    def fileno(self) -> int:
        """What can be read from while it is set."""
        return self._here

    def set(self) -> None:
        if not self.is_set():
            super().set()
            os.write(self._there, b"!")

    def clear(self) -> None:
        if self.is_set():
            super().clear()
            os.read(self._here, 100)

    def __del__(self) -> None:
        os.close(self._here)
        os.close(self._there)


class OpenDriver(LinuxDriver):
    """A driver whose file, writer, mouse and reader subclasses may replace. Textual's are all private."""

    def __init__(self, app: App[Any], **options: Any) -> None:
        super().__init__(app, **options)
        self.exit_event = self._end = EndEvent()

    @property
    def driven_app(self) -> App[Any]:
        """The app that is drawn."""
        return self._app

    @property
    def file(self) -> Any:
        """Where what is drawn goes."""
        return self._file

    def set_file(self, file: Any) -> None:
        """Send what is drawn somewhere else; it needs `write`, `flush` and `fileno`."""
        self._file = file

    @property
    def writer(self) -> threading.Thread | None:
        """The thread that writes, None while there is none."""
        return self._writer_thread

    def hand_over(self, data: str | None) -> None:
        """Give the writer something to write, None to end it; never waits.

        Raises:
            queue.Full: it lags behind.
        """
        if self._writer_thread is not None:
            self._writer_thread._queue.put_nowait(data)

    @property
    def terminal_size(self) -> Size:
        """Columns and lines of the terminal."""
        return Size(*self._get_terminal_size())

    def expect_answers(self, seconds: float) -> None:
        """Hold the beginning of an answer back for a while, in place of taking it for keys."""
        AnswersParser.waits_until = monotonic() + seconds

    @property
    def has_mouse(self) -> bool:
        """Whether the mouse is reported."""
        return self._mouse

    def enable_mouse(self) -> None:
        """Have the terminal report the mouse."""
        super()._enable_mouse_support()

    def _enable_mouse_support(self) -> None:
        self.enable_mouse()

    def disable_mouse(self) -> None:
        """Have the terminal report the mouse no more."""
        super()._disable_mouse_support()

    def _disable_mouse_support(self) -> None:
        self.disable_mouse()

    def read_input(self) -> None:
        """Read keys until the end; runs in a thread of its own."""
        self.run_input_thread()

    def run_input_thread(self) -> None:
        """Hand on what is typed. Textual's own looks ten times a second whether the end has come."""
        parser = AnswersParser(self._debug)
        decode = getincrementaldecoder("utf-8")().decode
        keys, end = self.fileno, self._end

        def take(wait_s: float | None, *others: EndEvent) -> None:
            ready, _, _ = select.select([keys, *others], [], [], wait_s)
            if keys in ready:
                for event in parser.feed(text) if (text := decode(os.read(keys, KEYS_SIZE))) else ():
                    self.process_message(event)
            for event in parser.tick():
                self.process_message(event)

        try:
            while not end.is_set():
                take(TICK_S if parser.is_waiting else None, end)
            take(TICK_S)  # what the terminal still answers is not for the shell
        finally:
            with suppress(EOFError, ParseError):
                deque(parser.feed(""), maxlen=0)

    def _run_input_thread(self) -> None:
        self.read_input()
