"""Runs commands of the user's with what the cursor is on: on the terminal, through the pager, or behind."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from textual.app import App

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.hooks import said_lines
from maap_tui.engine.user_commands import BACKGROUND, PAGER, UserCommand, words_for
from maap_tui.text import clean, plural, signal_name
from maap_tui.tui.host import Host
from maap_tui.tui.outside import pager, run_outside

SECRETS = "MAAP_TOKEN"
"""Beginning of the variables that a command does not inherit."""


Subjects = Callable[[], Sequence[Mapping[str, str]]]
"""Gives what is marked or under the cursor, each by the placeholders of a command; looks at the disk."""


async def run_command(app: App[Any], host: Host, command: UserCommand, subjects: Subjects) -> None:
    """Run a command for all that is marked, or for what the cursor is on; call it from a worker.

    Args:
        app: whose terminal it may take.
        host: the same.
        command: what is run.
        subjects: what it is run for.

    Raises:
        InvalidRequestError: it cannot be run.
    """

    def words_of_each() -> list[list[str]]:
        return [words_for(command, one) for one in subjects()]

    lines = await asyncio.to_thread(words_of_each)
    if not lines:
        host.notify("Nothing is under the cursor.", markup=False)
        return
    environ = {
        name: text for name, text in host.backend.session.environ.items() if not name.startswith(SECRETS)
    }
    program = lines[0][0]
    if await asyncio.to_thread(shutil.which, program, path=environ.get("PATH")) is None:
        raise InvalidRequestError(
            f"{command.name}: the program {program[:80]!a} was not found",
            "Give its path, and check that it may be executed; a line of a shell needs sh -c '...'.",
        )
    if len(lines) > 1 and not await host.confirm(
        f"Run {command.name} for {plural(len(lines), 'row')}?",
        lines=[clean(" ".join(words)) for words in lines],
        verb="Run",
    ):
        return
    for words in lines:
        code = await _run_one(app, host, command, words, environ)
        if code:
            ended = f"ended with {code}" if code > 0 else f"was ended by {signal_name(-code)}"
            where = " The log (5) has what it said." if command.output == BACKGROUND else ""
            host.notify(clean(f"{command.name} {ended}.{where}"), severity="warning", markup=False)


async def _run_one(
    app: App[Any], host: Host, command: UserCommand, words: Sequence[str], environ: Mapping[str, str]
) -> int:
    if command.output == BACKGROUND:
        return await _run_behind(host, command.name, words, environ)
    if command.output == PAGER:
        return run_outside(app, pager(environ), environ, source=words)
    return run_outside(app, words, environ)


async def _run_behind(host: Host, name: str, words: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run a command while the app goes on; what it says goes to the log. It ends with the app."""
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(environ),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidRequestError(f"{name} cannot be started: {reason}") from None
    assert process.stdout is not None
    try:
        async for line in said_lines(process.stdout):
            host.backend.write_log("info", f"{name}: {line.rstrip()}")
        code = await process.wait()
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
    host.backend.write_log("warning" if code else "info", f"{name} ended with {code}")
    if not code:
        host.notify(clean(f"{name} ended."), markup=False)
    return code
