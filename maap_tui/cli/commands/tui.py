"""`maap tui`: open the full-screen app."""

from __future__ import annotations

import argparse
from typing import Any

from maap_tui.cli.app_door import open_app
from maap_tui.cli.context import CommandContext
from maap_tui.cli.options import Parser, add_command, add_general_options


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    parser = add_command(subparsers, "tui", words, examples=("maap tui", "maap tui --ascii --no-mouse"))
    add_looks(parser)
    add_general_options(parser, run)


def add_looks(parser: Parser) -> None:
    """Add what says how the app is drawn."""
    parser.add_argument("--ascii", action="store_true", help="send no character beyond ASCII")
    parser.add_argument(
        "--low-bandwidth",
        action="store_true",
        help="repaint half as often; default over SSH",
    )
    parser.add_argument("--no-mouse", action="store_true", help="leave the mouse to the terminal")


def run(context: CommandContext) -> int:
    """Open the app on the session of the context."""
    return open_app(context, **looks_of(context.args))


def looks_of(args: argparse.Namespace) -> dict[str, object]:
    """The options of the app that were given."""
    return {
        "is_ascii": args.ascii,
        "low_bandwidth": args.low_bandwidth,
        "mouse": False if args.no_mouse else None,
    }
