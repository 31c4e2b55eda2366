"""The command line: what it can be, and running the command that it names."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import os
import signal
from collections.abc import Collection
from pathlib import Path
from types import CoroutineType

from maap_tui.cli.app_door import has_terminal, open_app
from maap_tui.cli.options import VERBOSE_HELP, Parser, UsageError, add_shared_options, join_signed
from maap_tui.cli.output import Output, PipeClosed
from maap_tui.cli.report import WRONG, Reporter
from maap_tui.cli.signals import INTERRUPTED, run_async
from maap_tui.engine.errors import InvalidRequestError, MaapError
from maap_tui.version import __version__

COMMANDS = {
    "list": "list collections, product types, baselines, or what one baseline holds",
    "search": "find files at the archive by time, orbit or area",
    "plan": "list what would be fetched, for other machines or for curl to fetch",
    "download": "download from a search, URLs, a plan or the registry, and track it",
    "get": "search and download in one step, without tracking",
    "sync": "fetch what is new and keep track of it, for cron",
    "state": "show what is discovered, downloaded, marked, pending; mark and clean up",
    "catalog": "refresh queryables, and build catalogues of what there is",
    "config": "show every setting and where it came from; set one",
    "token": "show who the offline token belongs to and when it expires",
    "login": "check an offline token and store it",
    "verify": "check downloaded files by size, structure and recorded hash",
    "doctor": "check configuration, token, clock, disk, locks, registry and terminal",
    "demo": "try everything on an embedded archive, without an account",
    "tui": "open the full-screen app",
    "completion": "print a script that completes commands, options and names in a shell",
}
"""Commands and what they are for; each is a module of `commands`."""

_EPILOG = """\
examples:
  maap
  maap list EarthCAREL2Validated_MAAP
  maap sync EarthCAREL2Validated_MAAP CPR_CLD_2A BC

exit codes:
  0             done, all of it
  2             credentials dead or missing: get a new token
  3             transient or partial: run the same command again
  4             the request or the environment is wrong: fix it
  130, 143, 129 interrupted; what was done is kept

Without a command, and with a terminal, the full-screen app opens.
`maap COMMAND -h` describes a command."""


def build_parser(wanted: Collection[str] = tuple(COMMANDS)) -> Parser:
    """The command line.

    Args:
        wanted: the commands to describe in full; of the others only the names are known.
    """
    parser = Parser(
        prog="maap",
        usage="%(prog)s [options] COMMAND ...",
        description="Search, download and track ESA MAAP satellite data.",
        epilog=_EPILOG,
    )
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands", prog="maap")
    group = parser.add_argument_group("general options (before or after the command)")
    add_shared_options(group)
    group.add_argument("-v", "--verbose", action="count", default=0, help=VERBOSE_HELP)
    group.add_argument("--version", action="version", version=f"maap {__version__}", help="print the version")
    group.add_argument("-h", "--help", action="help", help="show this help and exit")
    for name, words in COMMANDS.items():
        if name not in wanted:
            subparsers.add_parser(name, help=words, description=f"{words.capitalize()}.")
        else:
            # Describing one command costs more than all the rest of the parser.
            importlib.import_module(f"maap_tui.cli.commands.{name}").add_parser(subparsers, words)
    return parser


def run_words(words: list[str]) -> int:
    """Run one command line; returns its exit code."""
    words, inner = _split_demo(words)
    words = join_signed(words)
    parser = build_parser(COMMANDS.keys() & set(words))
    report = Reporter()
    report.ask_for_times = lambda: _wants_times(words)
    try:
        # argparse would not notice a stdout that takes nothing.
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            args = parser.parse_args(words)
    except UsageError as usage:
        end = "" if str(usage).endswith("?") else "."
        report.say(f"Error: {usage}{end} See {usage.prog} -h.")
        return WRONG
    except SystemExit as ended:
        return _print(printed.getvalue(), report, int(ended.code or 0))
    args.inner = inner
    report.verbosity = args.verbose + getattr(args, "more_verbose", 0)
    report.quiet = args.quiet
    if getattr(args, "run", None) is None:
        if not has_terminal():
            report.fail(InvalidRequestError("Without a terminal a command is needed", "See maap -h."))
            return WRONG
        args.run = open_app
    return run(args, report)


def _wants_times(words: list[str]) -> bool:
    """Whether the settings want lines to begin with the time, as far as they can be read at all."""
    from maap_tui.engine.config import settings

    if "--log-times" in words:
        return True
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    finder.add_argument("-c", "--config", type=Path)
    try:
        return settings.load(finder.parse_known_args(words)[0].config, os.environ).log.times
    except (MaapError, argparse.ArgumentError):
        times = settings.LogSettings.times
        with contextlib.suppress(MaapError):
            return bool(times.read(os.environ.get(times.variable) or "false", os.environ, "", typed=True))
        return False


def run(args: argparse.Namespace, report: Reporter) -> int:
    """Run the command that was parsed."""
    from maap_tui.cli.context import CommandContext

    context = CommandContext(args, Output(as_json=getattr(args, "json", False)), report)
    code: int | None = None
    try:
        ended = args.run(context)
        if isinstance(ended, CoroutineType):
            code = run_async(ended, report, getattr(args, "max_time", None))
        else:
            code = ended
    except PipeClosed:
        pass
    except KeyboardInterrupt:
        report.interrupted(INTERRUPTED[signal.SIGINT])
        code = 128 + signal.SIGINT
    except Exception as error:
        report.fail(error)
    report.close()
    return _flushed(context.output, report, report.code if code is None else code)


def _split_demo(words: list[str]) -> tuple[list[str], list[str] | None]:
    """Part `demo ... -- COMMAND...` at its dashes; None without a command of its own."""
    if "--" in words:
        cut = words.index("--")
        if "demo" in words[:cut]:
            return words[:cut], words[cut + 1 :]
    return words, None


def _print(text: str, report: Reporter, code: int) -> int:
    output = Output()
    try:
        output.lines(text.splitlines())
    except PipeClosed:
        return code
    except MaapError as error:
        report.fail(error)
        return report.code
    return _flushed(output, report, code)


def _flushed(output: Output, report: Reporter, code: int) -> int:
    """Hand on all of stdout before the end; a reader that has gone is not an error."""
    try:
        output.finish()
    except PipeClosed:
        pass
    except MaapError as error:
        report.fail(error)
        return code or report.code
    return code
