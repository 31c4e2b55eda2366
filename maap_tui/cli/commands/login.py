"""`maap login`: takes an offline token, checks it against the service, and stores it for this user alone."""

from __future__ import annotations

import getpass
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from maap_tui.cli.arguments import add_command, read_text
from maap_tui.cli.call import Call
from maap_tui.cli.signals import run_async
from maap_tui.engine.errors import TOKEN_PAGE, CredentialsError
from maap_tui.text import format_date, plural

if TYPE_CHECKING:
    from maap_tui.engine.session import Session
    from maap_tui.engine.tokens import Credentials

MAX_TOKEN_BYTES = 100_000


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "login",
        help=words,
        epilog=f"A token for 90 days is issued at {TOKEN_PAGE}.",
    )
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        help="read the token there, - for stdin; default is to ask on a terminal, otherwise stdin",
    )
    parser.set_defaults(run=run)


def run(call: Call) -> int | None:
    """Ask for the token, check it, store it."""
    session = call.session()
    # Asked for outside of the loop, where Ctrl-C ends a prompt and gives the terminal its echo back.
    return run_async(_store(call, session, _ask(call)), call.report)


async def _store(call: Call, session: Session, given: str) -> None:
    from maap_tui.engine.tokens import describe_token, normalise_token, save_credentials

    async with session:
        token = normalise_token(given)
        info = describe_token(token)
        file = session.places.credentials_file
        before = _stored(session)
        credentials = replace(before or _blank(), offline_token=token, source=str(file), file=file)
        await _check(session, credentials)
        after = _stored(session)
        # A service that replaces the token while it is checked has had the new one stored already.
        was_replaced = after is not None and (before is None or after.offline_token != before.offline_token)
        if after is not None and was_replaced:
            info = describe_token(after.offline_token)
        else:
            save_credentials(credentials, file)
        days = info.days_left(session.now())
        until = "does not expire" if info.expires is None else f"is good until {format_date(info.expires)}"
        if days is not None and days >= 0:
            until += f" ({plural(days, 'day')})"
        who = f"Signed in as {info.name}. " if info.name else ""
        call.report.say(f"{who}The token {until}; it is stored in {file}")
        if os.environ.get("MAAP_TOKEN", "").strip():
            call.report.warn("MAAP_TOKEN is set in the environment and is used instead of the file")


def _ask(call: Call) -> str:
    name = call.args.token_file
    if name is not None:
        return read_text(name, "--token-file", limit=MAX_TOKEN_BYTES)
    if sys.stdin is None or not sys.stdin.isatty():
        return read_text("-", "stdin", limit=MAX_TOKEN_BYTES)
    call.report.say(f"A token is issued at {TOKEN_PAGE}")
    try:
        return getpass.getpass("Offline token (not shown): ")
    except EOFError:
        raise CredentialsError("No token was given", "Paste it, or name a file with --token-file.") from None


def _blank() -> Credentials:
    from maap_tui.engine.tokens import Credentials

    return Credentials("")


def _stored(session: Session) -> Credentials | None:
    """What the file has now, None when it has nothing of use."""
    from maap_tui.engine.tokens import load_credentials

    try:
        return load_credentials(session.places.credentials_file, {}, may_be_loose=True)
    except CredentialsError:
        return None


async def _check(session: Session, credentials: Credentials) -> None:
    """Exchange the token once.

    Raises:
        AuthenticationError: when the service refuses it.
        AuthServiceUnavailable: when it does not answer; nothing is stored.
    """
    from maap_tui.engine.tokens import Tokens

    tokens = Tokens(session.http, session.settings.api.token_url, lambda: credentials, emit=session.emit)
    await tokens.access_token()
