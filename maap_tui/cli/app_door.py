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


def can_draw() -> bool:
    """Whether the app can be drawn here: a person sits at a terminal that moves its cursor."""
    return has_terminal() and os.environ.get("TERM", "") not in ("", "dumb")


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
    from maap_tui.tui.app import cannot_run, run_app

    if reason := cannot_run():
        raise InvalidRequestError(reason)
    return run_app(context.session(bulk=True), **options)  # type: ignore[arg-type]
