"""The command line: what it can be, and running the command that it names."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import os
import signal
from collections.abc import Collection, Sequence
from pathlib import Path
from types import CoroutineType
from typing import Any, cast

from maap_tui.cli.app_door import has_terminal, open_app
from maap_tui.cli.options import VERBOSE_HELP, Parser, UsageError, add_shared_options, join_signed
from maap_tui.cli.output import Output, PipeClosed
from maap_tui.cli.report import WRONG, Reporter
from maap_tui.cli.signals import INTERRUPTED, run_async
from maap_tui.engine.errors import InvalidRequestError, MaapError
from maap_tui.version import __version__

COMMANDS = {
    "list": "list collections, product types, baselines, or what one baseline holds",
    "show": "show all of a granule, its quicklook, or the variables of a file",
    "cut": "cut variables or a region out of a data file, fetching only what it needs",
    "search": "find files at the archive by time, orbit or area",
    "plan": "list what would be fetched, for other machines or for curl to fetch",
    "cover": "plan the fewest days or passes that have every frame of an area",
    "download": "download from a search, URLs, a plan or the registry, and track it",
    "get": "search and download in one step, without tracking",
    "sync": "fetch what is new and keep track of it, for cron",
    "freeze": "freeze the files of a study: ids, addresses, hashes, DOIs, RO-Crate",
    "thaw": "have the files of a frozen study again, each with its hash",
    "cite": "print the DOIs and a data-availability paragraph for what is here",
    "queue": "go on with what waits; list, pause, resume or cancel it",
    "state": "show what is discovered, downloaded, marked, pending; mark and clean up",
    "set": "show and fetch sets of products of one orbit and frame that are complete",
    "swap": "swap a baseline that is here for a newer one, and back",
    "news": "show what has arrived at the archive, late and reprocessed granules too",
    "coverage": "compare what the archive has, day by day, with what was downloaded",
    "overpass": "list when satellites come near a place, in the past and in the future",
    "match": "list granules that come near a ship, an aircraft or a balloon, and fetch them",
    "quality": "read, list and show data gaps and disclaimers of the mission",
    "sites": "list the named places that searches can be made around",
    "catalog": "refresh queryables, and build catalogues of what there is",
    "config": "show every setting and where it came from; set one",
    "token": "show who the offline token belongs to and when it expires",
    "login": "check an offline token and store it",
    "searches": "list saved and past searches, with what they found",
    "runs": "list what ran, by cron or by hand, and how it ended",
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
    named = Parser(prog=parser.prog)

    def parser_of(**described: Any) -> Parser:
        # One parser stands for all that are only named: making each costs more than the command that is run.
        return Parser(**described) if described["prog"].removeprefix("maap ") in wanted else named

    subparsers = parser.add_subparsers(
        dest="command",
        metavar="COMMAND",
        title="commands",
        prog="maap",
        parser_class=cast(type[Parser], parser_of),
    )
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


def _commands_in(words: Sequence[str]) -> list[str]:
    """The command that is named; with it the words before it that could be one, or the value of an option."""
    found = []
    for at, word in enumerate(words):
        if word in COMMANDS:
            found.append(word)
            if at == 0 or not words[at - 1].startswith("-"):
                break
    return found


def run_words(words: list[str]) -> int:
    """Run one command line; returns its exit code."""
    words, inner = _split_demo(words)
    words = _spelled(join_signed(words))
    parser = build_parser(_commands_in(words))
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
    args.words = words
    report.verbosity = args.verbose + getattr(args, "more_verbose", 0)
    report.quiet = args.quiet
    if getattr(args, "run", None) is None:
        if not has_terminal():
            report.fail(InvalidRequestError("Without a terminal a command is needed", "See maap -h."))
            return WRONG
        args.run = open_app
    return run(args, report)


def _spelled(words: list[str]) -> list[str]:
    """`maap plan cover` is the command `cover`."""
    for at in range(len(words) - 1):
        if words[at : at + 2] == ["plan", "cover"]:
            return [*words[:at], *words[at + 1 :]]
    return words


def _wants_times(words: list[str]) -> bool:
    """Whether the settings want lines to begin with the time, as far as they can be read at all."""
    from maap_tui.engine.config import loading, settings

    if "--log-times" in words:
        return True
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    finder.add_argument("-c", "--config", type=Path)
    try:
        return loading.load(finder.parse_known_args(words)[0].config, os.environ).log.times
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
            is_worker = getattr(args, "is_worker", False)
            code = run_async(ended, report, getattr(args, "max_time", None), is_worker=is_worker)
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
    code = _flushed(context.output, report, report.code if code is None else code)
    context.end_run(code)
    return code


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
