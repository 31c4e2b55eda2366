"""SignInDialog: takes anything pasted, says exactly what is wrong with it, checks it, stores it 0600."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.widgets import Button, Static, TextArea

from maap_tui.engine.errors import (
    TOKEN_PAGE,
    AuthServiceUnavailable,
    CredentialsError,
    MaapError,
    needs_new_token,
)
from maap_tui.engine.net.credentials import describe_token, read_pasted
from maap_tui.text import as_sentence, clean, plural, sentences
from maap_tui.tui.dialogs.dialog import Dialog
from maap_tui.tui.workers import start_worker


class SignInDialog(Dialog[bool]):
    """Returns whether a token was stored. What was pasted is never shown again."""

    closes_beside = False
    BINDINGS: ClassVar = [
        Binding("escape", "dismiss(False)", "Cancel", show=False),
        Binding("ctrl+s", "store", "Check and store", show=False, priority=True),
    ]

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -wide"):
            yield Static("Paste the 90-day offline token", markup=False, classes="question")
            yield Static(f"Get it at {TOKEN_PAGE}", markup=False, classes="hint")
            yield TextArea(id="token", soft_wrap=True, show_line_numbers=False)
            yield Static(
                "Bearer, quotes, JSON and line breaks around it do no harm.", markup=False, id="verdict"
            )
            with Horizontal(classes="buttons"):
                yield Button("Check and store (ctrl+s)", id="store", variant="primary", compact=True)
                yield Button("Cancel (esc)", id="cancel", compact=True)

    def on_mount(self) -> None:
        self.query_one(TextArea).focus()

    def on_resize(self, event: Resize) -> None:
        """Leave room for the buttons, which name the keys, in a low terminal."""
        self.query_one(TextArea).styles.height = 6 if event.size.height >= 20 else 4

    @property
    def _now(self) -> datetime:
        return self.maap.backend.now()

    @on(TextArea.Changed)
    def judge(self) -> None:
        """Show at once what was pasted."""
        area = self.query_one(TextArea)
        text = "".join(sign for sign in area.text if sign.isprintable() or sign in "\n\r\t")
        if text != area.text:
            # A control character would reach the terminal as it is.
            area.text = text
            return
        if not text.strip():
            return
        try:
            info = describe_token(read_pasted(text).token)
        except CredentialsError as error:
            self._say(as_sentence(error.message))
            return
        days = info.days_left(self._now)
        who = f" of {info.name}" if info.name else ""
        if info.is_opaque:
            self._say("A token that does not say when it expires; the service will judge it.")
        elif days is None:
            self._say(f"An offline token{who} that does not expire.")
        elif days < 0:
            self._say(f"An offline token{who} that expired {plural(-days, 'day')} ago: get a new one.")
        else:
            self._say(f"An offline token{who}, good for {plural(days, 'day')}.")

    def _say(self, sentence: str) -> None:
        self.query_one("#verdict", Static).update(clean(sentence))

    @on(Button.Pressed, "#cancel")
    def cancel(self) -> None:
        """Close without a change."""
        self.dismiss(False)

    @on(Button.Pressed, "#store")
    def action_store(self) -> None:
        start_worker(self, self._store, group="sign-in", exclusive=True)

    async def _store(self) -> None:
        try:
            text = self.query_one(TextArea).text
            self._say("Asking the service...")
            await self.maap.backend.ask(lambda session: session.sign_in(text))
        except AuthServiceUnavailable as error:
            self._say(sentences(error.message, "The token was not stored; try again later."))
            return
        except MaapError as error:
            # The page where tokens are issued is named above, and this is the place to store one.
            is_token = needs_new_token(error)
            self._say(sentences(error.message, "Paste another offline token." if is_token else error.hint))
            return
        self.query_one(TextArea).text = ""
        self.notify("The token is stored.", title="Signed in", markup=False)
        self.dismiss(True)
