"""CommandDialog: a dialog about granules in which the user's own commands work too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from textual import events

from maap_tui.tui.dialogs.dialog import Dialog
from maap_tui.tui.keys import Key, show_key
from maap_tui.tui.textual_compat import bindings_of
from maap_tui.tui.widgets.key_line import KeyWords

Result = TypeVar("Result")


class CommandDialog(Dialog[Result]):
    """Its own keys come first: a command on one of them does not work here."""

    def subjects(self) -> Callable[[], list[dict[str, str]]]:
        """What a command is run with: for each granule its values by name, looked up when it is called."""
        raise NotImplementedError

    def with_commands(self, own: Sequence[KeyWords]) -> list[KeyWords]:
        """The keys of the dialog, the commands' before the last of them."""
        commands = [
            (show_key(key.keys), key.label, f"app.user_key('{key.keys}')") for key in self._commands()
        ]
        return [*own[:-1], *commands, own[-1]]

    def _commands(self) -> list[Key]:
        keys = self.maap.user_keys(self.app.current_mode)
        return [key for key in keys if key.keys and not bindings_of(self, key.keys)]

    def on_key(self, event: events.Key) -> None:
        # Textual asks the app for no key while a dialog is open.
        for key in self._commands():
            if key.keys == event.key:
                event.stop()
                self.maap.action_user_key(key.keys)
