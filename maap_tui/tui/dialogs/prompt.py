"""PromptDialog: one line of input, checked as it is typed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Input, Static

from maap_tui.engine.errors import InvalidRequestError, MaapError
from maap_tui.engine.storage import files
from maap_tui.engine.storage.places import demand_file, demand_path
from maap_tui.text import clean, format_bytes
from maap_tui.tui.dialogs.dialog import Dialog
from maap_tui.tui.host import Host


class PromptDialog(Dialog[str | None]):
    """Returns the text, or None after Escape."""

    closes_beside = False
    BINDINGS: ClassVar = [Binding("escape", "dismiss(None)", "Cancel", show=False)]

    def __init__(
        self, question: str, value: str = "", *, check: Callable[[str], object] | None = None, hint: str = ""
    ) -> None:
        """Take the question.

        Args:
            question: what is asked.
            value: the text at first.
            check: raises a MaapError or ValueError for a text that cannot be accepted.
            hint: how to write it.
        """
        super().__init__()
        self._question = question
        self._value = value
        self._check = check
        self._hint = hint

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(clean(self._question), markup=False, classes="question")
            yield Input(self._value)
            yield Static(clean(self._hint), markup=False, classes="hint", id="problem")
            with Horizontal(classes="buttons"):
                yield Button("OK (enter)", id="ok", variant="primary", compact=True)
                yield Button("Cancel (esc)", id="cancel", compact=True)

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def problem_with(self, text: str) -> str:
        """What is wrong with the text; '' when it is accepted."""
        try:
            if self._check is not None:
                self._check(text)
        except (MaapError, ValueError) as error:
            return str(error)
        return ""

    @on(Input.Changed)
    def judge(self, event: Input.Changed) -> None:
        """Show at once what is wrong."""
        self.query_one("#problem", Static).update(clean(self.problem_with(event.value) or self._hint))

    @on(Input.Submitted)
    @on(Button.Pressed, "#ok")
    def accept(self) -> None:
        """Return the text if it is accepted."""
        text = self.query_one(Input).value
        if not self.problem_with(text):
            self.dismiss(text)

    @on(Button.Pressed, "#cancel")
    def cancel(self) -> None:
        """Leave without an answer."""
        self.dismiss(None)


async def ask_folder(host: Host, question: str) -> Path | None:
    """Ask for a folder of files that no registry follows; None after Escape. Call it from a worker."""
    text = await host.push_screen_wait(
        PromptDialog(
            question,
            str(Path.home()),
            check=_check_folder,
            hint="The files go into it side by side; the registry does not follow them.",
        )
    )
    return None if text is None else Path(text.strip()).expanduser().absolute()


async def ask_file(
    host: Host, question: str, first: Path, *, check: Callable[[str], object] = demand_file, hint: str = ""
) -> Path | None:
    """Ask for a file to write, and whether one that is there is replaced. Call it from a worker.

    Args:
        host: the app.
        question: what is asked.
        first: the path at first.
        check: raises an error for a text that cannot be accepted.
        hint: what depends on the name.

    Returns:
        The path; None after Escape, and for a file that stays.

    Raises:
        InvalidRequestError: it is a folder.
    """
    text = await host.push_screen_wait(PromptDialog(question, str(first), check=check, hint=hint))
    if text is None:
        return None
    path = Path(text.strip()).expanduser().absolute()
    if await asyncio.to_thread(path.is_dir):
        raise InvalidRequestError(f"{path} is a folder", "Name a file.")
    size = await asyncio.to_thread(files.size_of, path)
    if size is not None and not await host.confirm(
        clean(f"{path} exists ({format_bytes(size)}). Replace it?"), verb="Replace"
    ):
        return None
    return path


def _check_folder(text: str) -> None:
    if not text.strip() or "\0" in text:
        raise InvalidRequestError("Name a folder.")
    demand_path(text)
