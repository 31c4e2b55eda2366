"""`maap token`: who the offline token belongs to and how long it is good; no request is made."""

from __future__ import annotations

from typing import Any

from maap_tui.cli.context import CommandContext
from maap_tui.cli.options import add_command, add_general_options
from maap_tui.cli.report import CREDENTIALS, WRONG
from maap_tui.engine.errors import TOKEN_PAGE
from maap_tui.text import format_time, plural

_SAYS_NOTHING = "The expiry of the offline token is not known: the token does not say it"

ENDLESS_DAYS = 99999
"""What `--days-left` prints for a token that does not expire, so that shells can compare it."""


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "token",
        words,
        examples=("maap token", "maap token --days-left"),
        notes=f"A new token is issued at\n{TOKEN_PAGE}\nStore it with `maap login`.",
    )
    parser.add_argument(
        "--days-left",
        action="store_true",
        help=f"print only the whole days left, negative once expired, {ENDLESS_DAYS} without an end; "
        f"nothing, with exit code {WRONG}, for a token that does not say it",
    )
    add_general_options(parser, run, json_help="one object")


def run(context: CommandContext) -> int | None:
    """Describe the token; one that has expired ends with the code for dead credentials."""
    session = context.session()
    info = session.token_info()
    credentials = session.credentials()
    days = info.days_left(session.now())
    expired = days is not None and days < 0
    if context.args.days_left and info.is_opaque:
        context.report.warn(f"{_SAYS_NOTHING}. `maap doctor` asks the service whether it is accepted.")
        return WRONG
    if context.args.days_left:
        context.output.line(str(ENDLESS_DAYS if days is None else days))
    elif context.output.as_json:
        context.output.record(
            {
                "name": info.name,
                "kind": info.kind,
                "issuer": info.issuer,
                "issued": info.issued,
                "expires": info.expires,
                "days_left": days,
                "opaque": info.is_opaque,
                "source": credentials.source,
            }
        )
    else:
        left = "never" if days is None else f"{format_time(info.expires)} ({_left(days)})"
        left = "not known: the token does not say it" if info.is_opaque else left
        context.output.table(
            [
                ("Name:", info.name or "-"),
                ("Issuer:", info.issuer or "-"),
                ("Issued:", format_time(info.issued) or "-"),
                ("Expires:", left),
                ("Source:", credentials.source),
            ]
        )
    if not expired:
        return None
    context.output.flush()
    context.report.warn(
        f"The offline token has expired. Get a new one at {TOKEN_PAGE} and store it with `maap login`."
    )
    return CREDENTIALS


def _left(days: int) -> str:
    return f"expired {plural(-days, 'day')} ago" if days < 0 else f"{plural(days, 'day')} left"
