"""`maap set`: products that are of use together, shown and fetched by orbit and frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maap_tui.cli.context import CommandContext
from maap_tui.cli.download_options import (
    add_download_options,
    add_hook_options,
    add_lock_wait,
    hook_of,
    list_wanted,
    moved,
    summarise,
)
from maap_tui.cli.options import add_actions, add_command, add_general_options, add_time, positive, span_of
from maap_tui.cli.report import AGAIN
from maap_tui.text import format_count, plural

if TYPE_CHECKING:
    from maap_tui.engine.product_sets import Cell, ProductSet, SetRow
    from maap_tui.engine.workflows.set_sync import SetSyncReport
    from maap_tui.engine.workflows.set_table import SetTable

_NOTES = """\
The configuration declares a set:
  [sets.clouds]
  products = ["CPR_CLD_2A:BC", "ATL_EBD_2A", "MSI_COP_2A"]
  baseline = "newest"
A product is [COLLECTION/]PRODUCT[:BASELINE]. Those without a baseline count in
the newest one that their orbit and frame have (newest), all in one (same), or
in the one that stands there."""
_SYNC_NOTES = """\
Of an orbit and frame that waits for something the archive does not have nothing
is fetched, unless with --partial. In a crontab, each day at seven:
  0 7 * * * maap set sync clouds --days-back 7 --quiet"""
_SHOW_NOTES = """\
An orbit and frame is complete when all products are here in the baselines that
count, mixed when all are here but not in these, deleted when a clean-up took
something of it, gap when a known gap did, and otherwise waiting, since the
first of what is here came."""


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    from maap_tui.engine.config.settings import DEFAULT_DAYS_BACK

    parser = add_command(
        subparsers,
        "set",
        words,
        arguments="ACTION",
        examples=("maap set list", "maap set show clouds --days-back 7"),
        notes=_NOTES,
    )
    actions = add_actions(parser)
    add_general_options(parser)

    listing = add_command(
        actions, "list", "list the sets of the configuration", arguments="", examples=("maap set list",)
    )
    add_general_options(listing, list_sets, json_help="one object a set")

    show = add_command(
        actions,
        "show",
        "show what is here, at the archive or nowhere, by orbit and frame",
        arguments="NAME",
        examples=("maap set show clouds", "maap set show clouds --date 2025-12-01 --check"),
        notes=_SHOW_NOTES,
    )
    show.add_argument("name", metavar="NAME", help="as `maap set list` shows it")
    add_time(show, title=f"time (one of; default: --days-back {DEFAULT_DAYS_BACK})")
    choice = show.add_argument_group("what is asked and printed")
    choice.add_argument("--local", action="store_true", help="ask nothing; the registry alone")
    choice.add_argument(
        "--check", action="store_true", help=f"end with {AGAIN} where something is not complete"
    )
    add_general_options(show, show_set, json_help="one object an orbit and frame")

    sync = add_command(
        actions,
        "sync",
        "fetch what makes orbits and frames complete",
        arguments="NAME",
        examples=("maap set sync clouds", "maap set sync clouds --days-back 30 --quiet"),
        notes=_SYNC_NOTES,
    )
    sync.add_argument("name", metavar="NAME", help="as `maap set list` shows it")
    add_time(sync, title=f"time (one of; default: --days-back {DEFAULT_DAYS_BACK})")
    which = sync.add_argument_group("which orbits and frames")
    which.add_argument(
        "--partial", action="store_true", help="also those that the archive cannot complete yet"
    )
    which.add_argument("-n", "--max-items", type=positive, metavar="N", help="at most N orbits and frames")
    add_download_options(sync, out_dir_help="in place of the data folder, with the dated layout in it")
    add_hook_options(sync, "set", "file", "day")
    add_lock_wait(sync)
    add_general_options(sync, sync_set, json_help="one object a file as it ends")


def list_sets(context: CommandContext) -> None:
    """Print the sets of the configuration."""
    output = context.output
    settings, _ = context.settings()
    for one in settings.sets.values():
        if output.as_json:
            output.record(
                {"name": one.name, "products": list(map(str, one.members)), "rule": one.rule}, at_once=False
            )
    if output.as_json:
        output.flush()
    elif settings.sets:
        rows = [(one.name, one.rule, ", ".join(map(str, one.members))) for one in settings.sets.values()]
        output.table([("Name", "Rule", "Products"), *rows])
    if not settings.sets:
        from maap_tui.engine.product_sets import EXAMPLE

        context.report.say(f"No set is declared in {settings.config_file}. Declare one: {EXAMPLE}")


async def show_set(context: CommandContext) -> None:
    """Print a set by orbit and frame."""
    from maap_tui.engine.config.settings import DEFAULT_DAYS_BACK
    from maap_tui.engine.product_sets import find_set

    args, output = context.args, context.output
    async with context.session() as session:
        wanted = find_set(args.name, session.settings.sets)
        span = span_of(args, session.now(), days_back=DEFAULT_DAYS_BACK)
        async with context.watched():
            table = await session.set_table(wanted, span, ask=not args.local)
    if output.as_json:
        for row in table.rows:
            output.record(record_of(table.wanted, row), at_once=False)
    elif table.rows:
        titles = ("Orbit", "Start", *(member.product_type for member in wanted.members), "State")
        output.table([titles, *map(_row, [wanted] * len(table.rows), table.rows)])
    output.flush()
    say_counts(context, table)
    if args.check and not table.is_whole:
        context.report.codes.add(AGAIN)


async def sync_set(context: CommandContext) -> None:
    """Fetch what makes orbits and frames complete."""
    from maap_tui.engine.config.settings import DEFAULT_DAYS_BACK
    from maap_tui.engine.product_sets import find_set

    args, report = context.args, context.report
    overrides: dict[str, object] = {"paths.data_dir": args.out_dir} if args.out_dir else {}
    async with context.session(bulk=True, overrides=overrides) as session:
        if not args.dry_run:
            context.begin_run("sync", session.dirs)
        hook = hook_of(context, session, "set")
        wanted = find_set(args.name, session.settings.sets)
        span = span_of(args, session.now(), days_back=DEFAULT_DAYS_BACK)
        if args.dry_run:
            async with context.watched():
                done = await session.would_sync_set(
                    wanted, span, partial=args.partial, max_items=args.max_items
                )
            _say_left(context, done)
            await list_wanted(context, session, done.wanted)
            return
        context.check_token(session)
        context.prints_files()
        async with moved(context, session):
            done = await session.sync_set(
                wanted, span, partial=args.partial, max_items=args.max_items, hook=hook
            )
    if done.chosen:
        report.say(f"{_spots(done.completed)} completed of {format_count(len(done.chosen))}")
    _say_left(context, done)
    summarise(context, done.downloads, nothing=f"Nothing to fetch for {wanted.name}")


def _say_left(context: CommandContext, done: SetSyncReport) -> None:
    say_counts(context, done.table)
    if done.unobtainable:
        context.report.say(f"{_spots(done.unobtainable)} waiting for what the archive does not have")
    if done.held_back:
        context.report.say(f"{_spots(done.held_back)} left for another run (--max-items)")


def say_counts(context: CommandContext, table: SetTable) -> None:
    """Say how many orbits and frames are in each state."""
    counts = table.counts
    states = ", ".join(f"{format_count(counts[state])} {state}" for state in sorted(counts))
    words = _spots(len(table.rows)) + (f": {states}" if states else "")
    context.report.say(f"{table.wanted.name}: {words}")


def _spots(count: int) -> str:
    return plural(count, "orbit and frame", "orbits and frames")


def _row(wanted: ProductSet, row: SetRow) -> tuple[str, ...]:
    from maap_tui.engine.model import orbit_frame
    from maap_tui.engine.product_sets import state_words, waiting_for

    state = state_words(row, waiting_for(wanted, row))
    return (orbit_frame(row.orbit, row.frame), f"{row.start:%Y-%m-%d %H:%M}", *map(_cell, row.cells), state)


def _cell(cell: Cell) -> str:
    text = f"{cell.state} {cell.baseline}" if cell.version is not None else cell.state
    return f"{text} ({cell.other} here)" if cell.other and cell.state != "here" else text


def record_of(wanted: ProductSet, row: SetRow) -> dict[str, Any]:
    """An orbit and frame as JSON has it."""
    from maap_tui.engine.product_sets import waiting_for

    return {
        "set": wanted.name,
        "orbit": row.orbit,
        "frame": row.frame or None,
        "sensing_start": row.start,
        "state": row.state,
        "waiting_for": waiting_for(wanted, row),
        "since": row.since,
        "products": [
            {
                "collection": member.collection,
                "product_type": member.product_type,
                "baseline": cell.baseline or None,
                "state": cell.state,
                "id": cell.version.name if cell.version else None,
                "paths": list(cell.version.paths) if cell.version and cell.state == "here" else [],
                "size": cell.version.size if cell.version else None,
                "here_in": cell.other or None,
            }
            for member, cell in zip(wanted.members, row.cells, strict=True)
        ],
    }
