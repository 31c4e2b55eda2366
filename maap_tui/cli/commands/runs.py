"""`maap runs`: what ran, by cron or by hand, how it ended, and what it said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from maap_tui.cli.context import CommandContext
from maap_tui.cli.options import add_command, add_general_options, positive
from maap_tui.text import format_bytes, format_count, format_duration, plural

if TYPE_CHECKING:
    from maap_tui.engine.runs import Run

SHOWN = 20
"""Runs that are listed where no number is given."""

_NOTES = """\
Each command that fetches, deletes or counts is listed, as sync, get, queue run,
swap, state cleanup, verify --repair and catalog build, the newest first; times
are UTC. In the column Exit stands the exit code, `running`, or `killed` for one
whose process died; what such a run did is not known, and its cells are empty.
With a RUN, such as 3f2a or `last`, what it said is printed."""


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "runs",
        words,
        arguments="[RUN]",
        examples=("maap runs", "maap runs --failed --days-back 7", "maap runs last"),
        notes=_NOTES,
    )
    parser.add_argument("id", nargs="?", metavar="RUN", help="print what this run said")
    choice = parser.add_argument_group("which runs")
    choice.add_argument(
        "-n", "--max-items", type=positive, metavar="N", help=f"the newest N (default: {SHOWN})"
    )
    choice.add_argument(
        "-d", "--days-back", type=positive, metavar="N", help="begun in the last N times 24 hours"
    )
    choice.add_argument("--failed", action="store_true", help="those that did not end with 0")
    add_general_options(parser, run, json_help="one object a run")


def run(context: CommandContext) -> None:
    """List runs, or print the log of one."""
    from maap_tui.engine import runs
    from maap_tui.engine.errors import InvalidRequestError

    args, output = context.args, context.output
    _, where = context.settings()
    book = runs.Runs(where)
    if args.id is not None:
        if args.failed or args.max_items or args.days_back:
            raise InvalidRequestError("RUN names one run", "Leave out the options that choose among runs.")
        one = book.find(args.id)
        if output.as_json:
            output.record({**runs.record_of(one), "log": book.log_lines(one)})
        else:
            output.lines(book.log_lines(one))
        return
    found = book.known()
    if args.days_back is not None:
        first = datetime.now(UTC) - timedelta(days=args.days_back)
        found = [one for one in found if one.begun >= first]
    if args.failed:
        found = [one for one in found if one.exit != 0 and one.state != runs.RUNNING]
    shown = found[: args.max_items or SHOWN]
    if output.as_json:
        for one in shown:
            output.record(runs.record_of(one), at_once=False)
        output.flush()
    elif shown:
        titles = ("Run", "Start", "Exit", "Found", "Got", "Failed", "Bytes", "Took", "Command")
        output.table([titles, *map(_row, shown)])
    if not found:
        context.report.say("No such run" if args.failed or args.days_back else "Nothing ran yet")
    elif len(shown) < len(found):
        context.report.say(f"{plural(len(found) - len(shown), 'earlier run')} left out; -n shows more")


def _row(run: Run) -> tuple[str, ...]:
    counts = run.counts
    known = run.has_counts
    return (
        run.id.rpartition("-")[2],
        f"{run.begun:%Y-%m-%d %H:%M}",
        run.state if run.exit is None else str(run.exit),
        format_count(counts.found) if known and counts.found is not None else "",
        counts.moved if known else "",
        format_count(counts.failed + counts.failed_days) if known else "",
        format_bytes(counts.bytes) if known else "",
        "" if run.seconds is None else format_duration(run.seconds),
        run.command,
    )
