"""Programs that take the terminal for a while: the pager and the editor of the user."""

from __future__ import annotations

import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from textual.app import App, SuspendNotSupported

from maap_tui.engine.errors import InvalidRequestError


def pager(environ: Mapping[str, str]) -> list[str]:
    """The words of the command that shows a text: `$PAGER`, else less or more.

    Raises:
        InvalidRequestError: there is none.
    """
    return _words(environ, ("PAGER",), ("less", "more"))


def editor(environ: Mapping[str, str]) -> list[str]:
    """The words of the command that edits a file: `$VISUAL`, `$EDITOR`, else one that is there.

    Raises:
        InvalidRequestError: there is none.
    """
    return _words(environ, ("VISUAL", "EDITOR"), ("sensible-editor", "nano", "vim", "vi"))


def _words(environ: Mapping[str, str], names: Sequence[str], others: Sequence[str]) -> list[str]:
    for name in names:
        text = environ.get(name, "").strip()
        if not text:
            continue
        try:
            return shlex.split(text)
        except ValueError:
            raise InvalidRequestError(
                f"{name} has a quote that is not closed: {text[:60]}", "Correct it in the environment."
            ) from None
    path = environ.get("PATH")
    found = next((other for other in others if shutil.which(other, path=path)), None)
    if found is None:
        raise InvalidRequestError(f"There is no {' and no '.join(others)} here", f"Set {names[-1]}.")
    return [found]


def run_outside(
    app: App[Any],
    words: Sequence[str],
    environ: Mapping[str, str],
    *,
    text: str | None = None,
    source: Sequence[str] | None = None,
) -> int:
    """Give a program the terminal until it ends; transfers go on meanwhile.

    Args:
        app: whose terminal it is.
        words: the command; no shell reads it.
        environ: the environment of the program.
        text: what it reads from its standard input; None for the terminal.
        source: a command whose output it reads instead.

    Returns:
        Its exit code, or that of the source; less than 0 for the signal that ended it.

    Raises:
        InvalidRequestError: it cannot be started, or this terminal cannot be handed over.
    """
    try:
        with app.suspend():
            # Ctrl+C belongs to the program; a handler is not inherited by it, as what is ignored would be.
            before = signal.signal(signal.SIGINT, lambda number, frame: None)
            try:
                if source is not None:
                    return _run_piped(source, words, environ)
                done = subprocess.run(
                    list(words),
                    input=text,
                    env=dict(environ),
                    encoding="utf-8",
                    errors="surrogateescape",
                    check=False,
                )
            finally:
                signal.signal(signal.SIGINT, before)
    except SuspendNotSupported:
        raise InvalidRequestError(
            "This terminal cannot be handed to another program", "Use the app on a terminal of its own."
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidRequestError(
            f"{getattr(error, 'filename', None) or words[0]} cannot be started: {reason}",
            "Correct PAGER or EDITOR in the environment, or the command in the configuration.",
        ) from None
    finally:
        app.refresh(layout=True)
    return done.returncode


def _run_piped(source: Sequence[str], words: Sequence[str], environ: Mapping[str, str]) -> int:
    """Have one program read what another one says; gives back how that one ended."""
    with subprocess.Popen(
        list(source),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(environ),
    ) as process:
        try:
            subprocess.run(list(words), stdin=process.stdout, env=dict(environ), check=False)
        finally:
            assert process.stdout is not None
            process.stdout.close()
            if process.poll() is None:
                process.terminate()  # nobody reads on
    code = process.returncode
    return 0 if -code in (signal.SIGPIPE, signal.SIGTERM, signal.SIGINT) else code
