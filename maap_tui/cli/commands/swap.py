"""`maap swap`: a baseline swapped for a newer one, granule by granule, and swapped back."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maap_tui.cli.area_options import add_renamed
from maap_tui.cli.context import CommandContext
from maap_tui.cli.download_options import add_lock_wait, summarise
from maap_tui.cli.options import (
    add_actions,
    add_command,
    add_general_options,
    add_max_time,
    add_time,
    find_newest,
    name_of,
    positive,
    span_of,
)
from maap_tui.cli.report import AGAIN, WRONG
from maap_tui.text import format_bytes, format_count, plural

if TYPE_CHECKING:
    from maap_tui.engine.session import Session
    from maap_tui.engine.swaps.book import State
    from maap_tui.engine.swaps.plan import SwapNames, SwapPlan, SwapRow
    from maap_tui.engine.swaps.run import SwapStatus

_NOTES = """\
A swap pairs what is here of the old baseline with the new one, by orbit and
frame or what the mission has in their place (docs/swap.md); fetches the new
file and reads it whole; hands the mark over, so that the new one is to be
processed; and deletes the old file after some days, once the new one was read
whole again. Until then `undo` gives both their marks back."""
_RUN_NOTES = """\
An interrupted run is gone on with by the same command, which also deletes what
is due: in a crontab, each night at two:
  0 2 * * * maap swap run COLLECTION PRODUCT BC BD --quiet"""
_NAMES = ("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "AB", "BB")


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "swap",
        words,
        arguments="ACTION",
        examples=("maap swap list", f"maap swap plan {' '.join(_NAMES)}"),
        notes=_NOTES,
    )
    actions = add_actions(parser)
    add_general_options(parser)

    plan = _action(actions, "plan", "list what would be swapped, and what cannot be")
    _add_choice(plan)
    add_general_options(plan, plan_swap, json_help="one object a granule")

    run = _action(
        actions, "run", "fetch new files, hand marks over, delete old files that are due", notes=_RUN_NOTES
    )
    choice = _add_choice(run)
    choice.add_argument("-n", "--max-items", type=positive, metavar="N", help="fetch at most N granules")
    how = run.add_argument_group("how")
    how.add_argument("--dry-run", action="store_true", help="the same as `maap swap plan`")
    how.add_argument(
        "--keep-days",
        type=_days,
        metavar="N",
        help="delete the old files after N days, those of earlier runs too (default: the setting "
        "swap.keep_days, 14)",
    )
    add_max_time(how)
    add_lock_wait(run)
    add_general_options(run, run_swap, json_help="one object a granule")

    undo = _action(actions, "undo", "give old and new files the marks back that they had")
    add_time(undo, title="time (one of; default: all)")
    add_renamed(
        undo.add_argument_group("files"),
        "--get",
        "--fetch",
        action="store_true",
        help="ask the archive for old files that are not here any more",
    )
    add_lock_wait(undo)
    add_general_options(undo, undo_swap, json_help="one object a granule")

    status = _action(actions, "status", "show what became of each granule; asks nothing")
    add_time(status, title="time (one of; default: all)")
    status.add_argument_group("what is printed").add_argument(
        "--check", action="store_true", help=f"end with {AGAIN} where something is not swapped or undone"
    )
    add_general_options(status, show_status, json_help="one object a granule")

    listing = add_command(actions, "list", "list the swaps that were begun", examples=("maap swap list",))
    add_general_options(listing, list_swaps, json_help="one object a swap")


def _action(actions: Any, verb: str, words: str, *, notes: str = "") -> Any:
    parser = add_command(
        actions,
        verb,
        words,
        arguments="COLLECTION PRODUCT OLD NEW",
        examples=(f"maap swap {verb} {' '.join(_NAMES)}",),
        notes=notes,
    )
    parser.add_argument("collection", type=name_of, metavar="COLLECTION", help="as `maap list` shows it")
    parser.add_argument("product", type=name_of, metavar="PRODUCT", help="product type")
    parser.add_argument("baseline", type=name_of, metavar="OLD", help="the baseline that is here, such as BC")
    also = ", or newest" if verb in ("plan", "run") else ""
    parser.add_argument("new", type=name_of, metavar="NEW", help=f"the one that takes its place{also}")
    return parser


def _add_choice(parser: Any) -> Any:
    add_time(parser, title="time (one of; default: all that is here)")
    choice = parser.add_argument_group("which granules and files")
    choice.add_argument(
        "--format", metavar="FORMAT", help="files of the old baseline that are meant (default: all)"
    )
    choice.add_argument(
        "--cleaned", action="store_true", help="also what a clean-up has deleted of the old baseline"
    )
    choice.add_argument(
        "--check", action="store_true", help=f"end with {AGAIN} where something cannot be swapped yet"
    )
    return choice


def _days(text: str) -> int:
    """A number of days, 0 or more."""
    from maap_tui.engine.config.settings import SwapSettings

    most = SwapSettings.keep_days.maximum or 0
    if not (text.isascii() and text.isdigit() and int(text[:9]) <= most):
        raise argparse.ArgumentTypeError(f"must be a number of days, 0 to {most:g}, got {text[:40]!r}")
    return int(text)


def _names_of(context: CommandContext) -> SwapNames:
    from maap_tui.engine.swaps.plan import SwapNames

    args = context.args
    return SwapNames(args.collection, args.product, args.baseline, args.new)


def _formats_of(context: CommandContext, session: Session) -> tuple[str, ...]:
    from maap_tui.engine.query import parse_formats

    args = context.args
    if args.format is None:
        return ()
    formats = parse_formats(args.format, session.mission_of(args.collection))
    return () if "all" in formats else formats


async def plan_swap(context: CommandContext) -> None:
    """Print what a run would do."""
    from maap_tui.engine.swaps.run import room_fault

    args = context.args
    async with context.session() as session:
        await find_newest(args, session, name="new")
        span = span_of(args, session.now())
        async with context.watched():
            plan = await session.plan_swap(
                _names_of(context), span, formats=_formats_of(context, session), cleaned=args.cleaned
            )
        most = args.max_items if context.args.action == "run" else None
        rows = plan.open[:most]
        free, fault = _free(session), room_fault(session, plan, rows)
    _print_rows(context, plan.rows, plan.new.baseline, plan.needed)
    _say_plan(context, plan)
    # The codes are those of the run, so that a plan of a cron job can be asked first.
    for name, reason in plan.ambiguous.items():
        context.report.warn(f"{name}: {reason}")
        context.report.codes.add(WRONG)
    if plan.book.bad:
        context.report.codes.add(AGAIN)
    if plan.open:
        context.report.say(
            f"Would fetch {format_bytes(sum(row.size or 0 for row in rows))} beside "
            f"{format_bytes(plan.old_bytes)} of {plan.old.baseline}{free}"
        )
    _say_held_back(context, len(plan.open) - len(rows))
    if fault is not None:
        context.report.warn(f"{fault.message}. {fault.hint}")
        context.report.codes.add(AGAIN)
    _check(context, plan)


def _say_held_back(context: CommandContext, count: int) -> None:
    if count:
        context.report.say(f"{plural(count, 'granule')} left for another run (--max-items)")


def _free(session: Session) -> str:
    from maap_tui.engine.storage import files

    free = files.free_bytes_for(session.dirs.data_dir)
    return f"; {format_bytes(free)} free in {session.dirs.data_dir}" if free is not None else ""


async def run_swap(context: CommandContext) -> None:
    """Swap, and delete what is due."""
    args, report = context.args, context.report
    if args.dry_run:
        await plan_swap(context)
        return
    async with context.session(bulk=True) as session:
        await find_newest(args, session, name="new")
        context.begin_run("swap", session.dirs)
        context.check_token(session)
        span = span_of(args, session.now())
        async with context.watched():
            done = await session.run_swap(
                _names_of(context),
                span,
                formats=_formats_of(context, session),
                cleaned=args.cleaned,
                keep_days=args.keep_days,
                max_items=args.max_items,
            )
    plan, retired = done.plan, done.retired
    context.deleted = (retired.files, retired.bytes)
    if context.output.as_json:
        _print_rows(context, plan.rows, plan.new.baseline, plan.needed)
    _say_plan(context, plan)
    if done.swapped:
        until = min(one.until for one in done.swapped if one.until is not None)
        undo = f"; `maap swap undo` is possible until {until:%Y-%m-%d %H:%M} UTC"
        report.say(f"Swapped {plural(len(done.swapped), 'granule')}{undo if until > session.now() else ''}")
    if retired.done:
        report.say(
            f"Deleted {plural(retired.files, 'file')} of {plan.old.baseline} ({format_bytes(retired.bytes)})"
        )
    _say_held_back(context, done.held_back)
    _check(context, plan)
    summarise(context, done.downloads, nothing=f"Nothing to fetch for {plan.new.baseline}")


async def undo_swap(context: CommandContext) -> None:
    """Give the marks back."""
    args, report = context.args, context.report
    async with context.session(bulk=True) as session:
        context.begin_run("swap", session.dirs)
        if args.get:
            context.check_token(session)
        span = span_of(args, session.now())
        async with context.watched():
            done = await session.undo_swap(_names_of(context), span, fetch=args.get)
    if context.output.as_json:
        from maap_tui.engine.swaps.plan import row_of

        _print_rows(context, [row_of(entry) for entry in done.undone], args.new)
    report.say(f"{plural(len(done.undone), 'granule')} as before the swap")
    if done.kept:
        report.say(f"{plural(len(done.kept), 'granule')} cannot be undone")
    if done.downloads.stopped is not None:
        raise done.downloads.stopped


def show_status(context: CommandContext) -> None:
    """Print what the journal says of each granule."""
    from maap_tui.engine.swaps.plan import row_of

    args = context.args
    session = context.session()
    span = span_of(args, session.now())
    old, new = _names_of(context).keys(session)
    found = [
        one for one in session.swaps(old.collection, old.product_type) if (one.old, one.new) == (old, new)
    ]
    if not found:
        context.report.say(f"{old.product_type} {old.baseline} was not swapped for {new.baseline} here.")
        return
    _warn_of_lines(context, found[0])
    entries = [one for one in found[0].entries if span is None or one.start in span]
    _print_rows(context, [row_of(entry) for entry in entries], new.baseline)
    counts = Counter(entry.state for entry in entries)
    context.report.say(f"{_title(found[0])}: {_states(counts)}" if counts else f"{_title(found[0])}: nothing")
    if args.check and any(entry.state in ("planned", "fetched", "undoing") for entry in entries):
        context.report.codes.add(AGAIN)


def list_swaps(context: CommandContext) -> None:
    """Print the swaps that were begun."""
    output = context.output
    found = context.session().swaps()
    for one in found:
        _warn_of_lines(context, one)
    for one in found if output.as_json else ():
        due = one.next_due
        output.record(
            {
                "collection": one.old.collection,
                "product_type": one.old.product_type,
                "old": one.old.baseline,
                "new": one.new.baseline,
                **{state: one.counts[state] for state in _states_of()},
                "next_due": due.until if due is not None else None,
            },
            at_once=False,
        )
    output.flush()
    if found and not output.as_json:
        rows = [
            (
                one.old.collection,
                one.old.product_type,
                one.old.baseline,
                one.new.baseline,
                _states(one.counts),
                f"{one.next_due.until:%Y-%m-%d}" if one.next_due and one.next_due.until else "",
            )
            for one in found
        ]
        output.table([("Collection", "Product", "Old", "New", "Granules", "Next deleted"), *rows])
    if not found:
        context.report.say("No baseline was swapped here yet: `maap swap plan -h` shows how.")


def _warn_of_lines(context: CommandContext, one: SwapStatus) -> None:
    """Say that a part of a journal cannot be read, which a run sets aside."""
    if one.bad:
        context.report.warn(f"{plural(one.bad, 'line')} of the journal of {_title(one)} cannot be read")
        context.report.codes.add(AGAIN)


def _states_of() -> tuple[State, ...]:
    from maap_tui.engine.swaps.book import STATES

    return STATES


def _states(counts: Counter[Any]) -> str:
    return ", ".join(f"{format_count(counts[state])} {state}" for state in _states_of() if counts[state])


def _title(one: SwapStatus) -> str:
    return f"{one.old.product_type} {one.old.baseline} for {one.new.baseline}"


def _say_plan(context: CommandContext, plan: SwapPlan) -> None:
    for sentence in plan.sentences:
        context.report.say(sentence)


def _check(context: CommandContext, plan: SwapPlan) -> None:
    if context.args.check and plan.unswapped:
        context.report.codes.add(AGAIN)


def _print_rows(
    context: CommandContext,
    rows: Sequence[SwapRow],
    new: str,
    needed: Mapping[str, Sequence[Path]] | None = None,
) -> None:
    output = context.output
    if output.as_json:
        for row in rows:
            output.record(record_of(row, (needed or {}).get(row.name, ())), at_once=False)
    elif rows:
        has_names = any(row.observation for row in rows)
        title = "Observation" if all(row.orbit is None for row in rows) else "Orbit"
        head = (title, "Start", "State", "Old one", f"To fetch of {new}", "Kept until")
        shown = [
            (
                row.observation,
                f"{row.start:%Y-%m-%d %H:%M}" + ("" if has_names else f":{row.start:%S}"),
                row.state,
                "marked" if row.is_marked else "",
                "" if row.size is None or not row.requests else format_bytes(row.size),
                f"{row.until:%Y-%m-%d}" if row.until is not None else "",
            )
            for row in rows
        ]
        # A column that says nothing takes the room of one that does.
        said = [number for number in range(len(head)) if any(row[number] for row in shown)]
        output.table([tuple(row[number] for number in said) for row in (head, *shown)])
    output.flush()


def record_of(row: SwapRow, needed: Sequence[Path] = ()) -> dict[str, Any]:
    """A granule as JSON has it."""
    return {
        "orbit": row.orbit,
        "frame": row.frame or None,
        "observation": row.observation or None,
        "sensing_start": row.start,
        "state": row.state,
        "old": row.name,
        "old_paths": [file.path for file in row.old],
        "was_marked": row.is_marked,
        "new": row.successor or None,
        "new_urls": [file.url for file in row.new],
        "new_paths": [file.path for file in row.new],
        "fetch_bytes": row.size,
        "kept_until": row.until,
        "needed_by": [str(folder) for folder in needed],
    }
