"""`maap demo`: any maap command, or a tour, on the embedded archive, without an account."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maap_tui.cli.app_door import load_app, open_app, why_not_drawn
from maap_tui.cli.context import CommandContext
from maap_tui.cli.main import main
from maap_tui.cli.options import add_command, add_general_options
from maap_tui.cli.report import DONE, WRONG
from maap_tui.demo.flags import add_arguments, options_of
from maap_tui.demo.home import port_of, real_file_of
from maap_tui.engine.config import dirs
from maap_tui.engine.errors import InvalidRequestError, MaapError

if TYPE_CHECKING:
    from maap_tui.demo import Archive

_EXAMPLES = (
    "maap demo",
    "maap demo -- sync EarthCAREL2Validated_MAAP CPR_CLD_2A BC --date 2025-12-01",
    "maap demo --home here -- state show",
    "maap demo --serve --port 8765",
)

TOUR = (
    "list",
    "list EarthCAREL2Validated_MAAP",
    "list EarthCAREL2Validated_MAAP CPR_CLD_2A --verify",
    "search EarthCAREL2Validated_MAAP CPR_CLD_2A BC --date 2025-12-01 --frame D --max-items 5",
    "sync EarthCAREL2Validated_MAAP CPR_CLD_2A BC --date 2025-12-01",
    "state show EarthCAREL2Validated_MAAP CPR_CLD_2A BC",
    "sync EarthCAREL2Validated_MAAP CPR_CLD_2A BC --date 2025-12-01",
)
"""The commands of the tour, each run as a user would."""

_LEADING_ELSEWHERE = ("MAAP_TOKEN", "MAAP_STATE_DIR", "MAAP_DATA_ORIGINS", "MAAP_MISSION")


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "demo",
        words,
        usage="%(prog)s [options] [-- COMMAND ...]",
        examples=_EXAMPLES,
        notes="Without a command the app opens, or a tour is printed where there is no\nterminal.",
    )
    parser.add_argument(
        "--home", type=Path, metavar="DIR", help="keep all files there (default: delete them at the end)"
    )
    parser.add_argument(
        "--serve", action="store_true", help="print the variables to set, serve until interrupted"
    )
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="open the app in an empty home, in place of one with two months of syncs",
    )
    parser.add_argument(
        "--port", type=int, default=None, metavar="N", help="port on 127.0.0.1 (default: any)"
    )
    add_arguments(parser)
    add_general_options(parser, run)


def run(context: CommandContext) -> int | None:
    """Start an archive, and run what was asked for in it."""
    args = context.args
    if args.serve and args.inner:
        raise InvalidRequestError("--serve runs no command", "Leave out one of the two.")
    if not 0 <= (args.port or 0) <= 65535:
        raise InvalidRequestError(f"--port {args.port} is not a port", "Give one from 1 to 65535.")
    with contextlib.ExitStack() as stack:
        if args.home is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="maap-demo-"))
            home = Path(folder)
        else:
            home = dirs.absolute(args.home)
        _refuse_a_real_home(home)
        if not args.serve and not args.inner and not why_not_drawn():
            return _open(context, home, stack)
        archive = stack.enter_context(_start(context, home))
        _prepare(archive, home)
        environment = archive.environment(home)
        if args.serve:
            return _serve(context, environment)
        stack.enter_context(_set(environment))
        return main(args.inner) if args.inner else _tour(context)


def _open(context: CommandContext, home: Path, stack: contextlib.ExitStack) -> int:
    """Open the app on an archive in another process, where it takes none of the app's turns."""
    from maap_tui.demo.process import ArchiveProcess, StartError

    args = context.args
    options, is_throwaway = options_of(args), args.home is None
    port = args.port if args.port is not None else port_of(home)

    def begin(port: int) -> ArchiveProcess:
        return ArchiveProcess(
            port, home, is_throwaway=is_throwaway, options=options, is_lived_in=not args.fresh
        )

    child = stack.enter_context(begin(port))
    load_app()  # while the archive comes up

    try:
        try:
            environment = child.wait()
        except StartError as error:
            if args.port is not None or not port or not error.report.get("is_port"):
                raise
            _warn_of_port(context, port, str(error))
            child = stack.enter_context(begin(0))
            environment = child.wait()
    except StartError as error:
        raise _not_started(home, error.report) from None
    stack.enter_context(_set(environment))
    # The archive ends with the app: there would be nothing to go on with.
    return open_app(context, can_detach=False)


def _not_started(home: Path, report: Mapping[str, Any]) -> MaapError:
    if "missing" in report:
        return _lacks(report["missing"])
    if "errno" in report:
        from maap_tui.engine.storage.files import storage_error

        return storage_error(home, OSError(report["errno"], report["words"], report["file"]))
    if "exit" in report:
        kind = InvalidRequestError if report["exit"] == WRONG else MaapError
        return kind(report["words"], report["hint"])
    if "is_port" in report:
        return _cannot_start(report["words"])
    # The process was killed, or fell over something that the next one need not meet.
    return MaapError(f"The archive did not start: {report['words']}", "Run the same command again.")


def _lacks(package: str | None) -> MaapError:
    return InvalidRequestError(
        f"The demo needs a package that is not installed ({package})",
        "Run: pip install 'maap-tui[demo]'",
    )


def _cannot_start(words: object) -> MaapError:
    return InvalidRequestError(f"The archive cannot start: {words}", "See maap demo -h.")


def _warn_of_port(context: CommandContext, port: int, words: str) -> None:
    context.report.warn(
        f"Port {port}, which the registry of this home was made with, is not available ({words}); "
        "the URLs of files registered before have changed"
    )


def _start(context: CommandContext, home: Path) -> Archive:
    try:
        from maap_tui.demo.archive import Archive
    except ImportError as error:
        raise _lacks(error.name) from None
    args = context.args
    port = args.port if args.port is not None else port_of(home)
    try:
        options = options_of(args)
        try:
            return Archive.start(port, **options)
        except OSError as error:
            if args.port is not None or not port:
                raise
            _warn_of_port(context, port, error.strerror or str(error))
            return Archive.start(0, **options)
    except (OSError, TypeError, ValueError) as error:
        raise _cannot_start(getattr(error, "strerror", None) or error) from None


def _refuse_a_real_home(home: Path) -> None:
    """Credentials and configuration that no demo made must not be replaced."""
    if (file := real_file_of(home)) is not None:
        raise InvalidRequestError(
            f"{file} does not belong to a demo and would be replaced", "Give another folder for --home."
        )


def _prepare(archive: Archive, home: Path) -> None:
    from maap_tui.engine.storage.files import storage_error

    try:
        archive.prepare(home)
    except OSError as error:
        raise storage_error(home, error) from error


@contextlib.contextmanager
def _set(environment: Mapping[str, str]) -> Iterator[None]:
    """The variables of the archive, for a while; none that leads elsewhere stays."""
    before = dict(os.environ)
    for name in list(os.environ):
        if name.startswith(_LEADING_ELSEWHERE):
            del os.environ[name]
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _serve(context: CommandContext, environment: Mapping[str, str]) -> int:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: stop.set())
    for name, value in environment.items():
        context.output.line(f"export {name}={shlex.quote(value)}")
    context.output.goes_on = True
    context.output.flush()
    context.report.say("Serving; Ctrl-C ends it.")
    stop.wait()
    return DONE


def _tour(context: CommandContext) -> int:
    """Run the commands of the tour, each shown before its output; ends with the first code that is not 0."""
    ended = DONE
    for command in TOUR:
        context.output.line(f"$ maap {command}")
        context.output.flush()
        code = main(shlex.split(command))
        context.output.line("")
        if code >= 128:
            return code
        ended = ended or code
    context.output.flush()
    context.report.say(
        "The tour is over. Anything else: maap demo -- COMMAND, for instance maap demo -- config"
    )
    return ended
