"""`maap login`: takes an offline token, checks it against the service, and stores it for this user alone."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from maap_tui.cli.context import CommandContext
from maap_tui.cli.options import add_command, add_general_options
from maap_tui.cli.signals import run_async
from maap_tui.cli.texts import read_text
from maap_tui.engine.errors import TOKEN_PAGE, CredentialsError
from maap_tui.text import format_date, plural

if TYPE_CHECKING:
    from maap_tui.engine.session import Session

MAX_TOKEN_BYTES = 100_000
PASTE_PAUSE_S = 0.3
"""Seconds without input after a line break that end a paste."""


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "login",
        words,
        examples=("maap login", "maap login --token-file token.txt"),
        notes=f"A token for 90 days is issued at\n{TOKEN_PAGE}",
    )
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        help="read the token there, - for stdin (default: ask on a terminal, otherwise stdin)",
    )
    add_general_options(parser, run)


def run(context: CommandContext) -> int | None:
    """Ask for the token, check it, store it."""
    session = context.session()
    # Asked for outside of the loop, where Ctrl-C ends a prompt and gives the terminal its echo back.
    return run_async(_store(context, session, _ask(context)), context.report)


async def _store(context: CommandContext, session: Session, given: str) -> None:
    async with session:
        info = await session.sign_in(given)
        days = info.days_left(session.now())
        if info.is_opaque:
            until = "does not say when it expires"
        elif info.expires is None:
            until = "does not expire"
        else:
            until = f"is good until {format_date(info.expires)}"
        if days is not None and days >= 0:
            until += f" ({plural(days, 'day')})"
        who = f"Signed in as {info.name}. " if info.name else ""
        context.report.say(f"{who}The token {until}; it is stored in {session.dirs.credentials_file}")
        if os.environ.get("MAAP_TOKEN", "").strip():
            context.report.warn("MAAP_TOKEN is set in the environment and is used instead of the file")


def _ask(context: CommandContext) -> str:
    name = context.args.token_file
    if name is not None:
        return read_text(name, "--token-file", limit=MAX_TOKEN_BYTES)
    if sys.stdin is None or sys.stderr is None or not sys.stdin.isatty():
        return read_text("-", "stdin", limit=MAX_TOKEN_BYTES)
    context.report.say(f"A token is issued at {TOKEN_PAGE}")
    given = _read_unseen("Offline token (not shown): ")
    if not given.strip():
        raise CredentialsError("No token was given", "Paste it, or name a file with --token-file.")
    return given


def _read_unseen(prompt: str) -> str:
    """What is typed or pasted at a terminal, without showing it: all lines of a paste, of any length."""
    import select
    import termios

    screen, keyboard = sys.stderr, sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    unseen = termios.tcgetattr(keyboard)
    # Line by line, the terminal would keep the first 4,095 characters of a line and the first line.
    unseen[3] &= ~(termios.ECHO | termios.ICANON)
    given = bytearray()
    try:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, unseen)
        screen.write(prompt)
        screen.flush()
        while len(given) < MAX_TOKEN_BYTES:
            if given.endswith((b"\n", b"\r")) and not select.select([keyboard], [], [], PASTE_PAUSE_S)[0]:
                break
            read = os.read(keyboard, 4096)
            if read in (b"", b"\x04"):
                break
            for byte in read:
                if byte in b"\x7f\x08":
                    del given[-1:]
                elif byte == 0x15:
                    given.clear()
                else:
                    given.append(byte)
    finally:
        # What is left of the paste must not reach the shell.
        termios.tcsetattr(keyboard, termios.TCSAFLUSH, before)
        screen.write("\n")
    return given.decode("utf-8", "surrogateescape")
