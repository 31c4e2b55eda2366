"""The one door from the commands to the full-screen app: no other module of `cli` imports `maap_tui.tui`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from maap_tui.engine.errors import InvalidRequestError

if TYPE_CHECKING:
    from maap_tui.cli.context import CommandContext


def has_terminal() -> bool:
    """Whether a person can use the app here: all three streams are a terminal."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return all(stream is not None and stream.isatty() for stream in streams)


def why_not_drawn() -> str:
    """Why the app cannot be drawn here; '' when it can."""
    if not has_terminal():
        return "The full-screen app needs a terminal"
    if os.environ.get("TERM", "") in ("", "dumb"):
        return "This terminal (TERM=dumb or unset) cannot show the app"
    return ""


def load_app() -> None:
    """Load the app's modules before they are needed, while something else is waited for."""
    import maap_tui.tui.app  # noqa: F401 - loaded for its side effect: the next import is free


def open_app(context: CommandContext, **options: object) -> int:
    """Open the full-screen app on the session of a command and return its exit code.

    Args:
        context: the command that opens it.
        options: as for `maap_tui.tui.app.run_app`.

    Raises:
        InvalidRequestError: when it cannot be drawn here, or the configuration is wrong.
    """
    if reason := why_not_drawn():
        raise InvalidRequestError(reason, "For the commands see maap -h.")
    from maap_tui.tui.app import run_app

    return run_app(context.session(bulk=True), **options)  # type: ignore[arg-type]
