"""`maap coverage`: what the archive has of a baseline against what was downloaded, and the gaps by name."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from maap_tui.cli.context import CommandContext
from maap_tui.cli.options import add_command, add_general_options, add_names, add_time, span_of
from maap_tui.cli.report import AGAIN
from maap_tui.text import format_count, plural

if TYPE_CHECKING:
    from maap_tui.engine.workflows.coverage import Coverage, DayCoverage, Gap

_NOTES = """\
A granule is missing when the archive has it and it was never downloaded; one
that a clean-up deleted is not missing. Days are counted by few requests, and
the counts are kept for the next time. With --verify each day of which something
is here is searched, which also finds granules that were replaced."""


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "coverage",
        words,
        arguments="COLLECTION PRODUCT [BASELINE]",
        examples=(
            "maap coverage EarthCAREL2Validated_MAAP CPR_CLD_2A BC",
            "maap coverage EarthCAREL2Validated_MAAP CPR_CLD_2A --days-back 30 --check",
        ),
        notes=_NOTES,
    )
    add_names(parser)
    add_time(parser)
    output = parser.add_argument_group("output")
    output.add_argument("--days", action="store_true", help="print a line a day in place of the gaps")
    output.add_argument(
        "--calendar", action="store_true", help="print a line a month with a sign a day in place of the gaps"
    )
    output.add_argument("--verify", action="store_true", help="search the days of which something is here")
    output.add_argument("--check", action="store_true", help=f"end with {AGAIN} where something is missing")
    add_general_options(parser, run, json_help="one object a day")


async def run(context: CommandContext) -> None:
    """Compare, and print the gaps or the days."""
    from maap_tui.engine.query import Query
    from maap_tui.engine.workflows.coverage import baselines_of

    args, output, report = context.args, context.output, context.report
    missing = 0
    async with context.session() as session:
        span = span_of(args, session.now())
        for baseline in await baselines_of(session, args.collection, args.product, args.baseline):
            query = Query(args.collection, args.product, baseline, time=span)
            async with context.watched():
                found = await session.coverage(query, verify=args.verify)
            missing += found.missing
            if output.as_json:
                for day in found.days:
                    output.record(record_of(found, day), at_once=False)
            else:
                _print(context, found)
            output.flush()
    if missing and not output.as_json:
        names = " ".join(filter(None, (args.collection, args.product, args.baseline)))
        report.say(f"Fetch a gap: maap sync {names} --start FIRST --end LAST")
    if missing and args.check:
        report.codes.add(AGAIN)


def _print(context: CommandContext, found: Coverage) -> None:
    output, key = context.output, found.key
    here = found.archive - found.missing
    share = f" ({here * 100 // found.archive} %)" if found.archive else ""
    words = f"archive {format_count(found.archive)}, downloaded {format_count(here)}{share}"
    if found.missing:
        words += f", not here {format_count(found.missing)} in {plural(len(found.gaps), 'gap')}"
    output.line(f"{key.collection} {key.product_type} {key.baseline}: {words}")
    rows = (
        [_day_row(day) for day in found.days] if context.args.days else [_gap_row(gap) for gap in found.gaps]
    )
    if context.args.calendar:
        _print_calendar(context, found)
    elif rows:
        output.table(rows)


def _print_calendar(context: CommandContext, found: Coverage) -> None:
    from maap_tui.engine.workflows.calendar import cells, legend, months

    is_ascii = "utf" not in (getattr(sys.stdout, "encoding", None) or "").lower()
    rows = months(found)
    words = [f"{format_count(row.part.missing)} of {format_count(row.part.archive)} not here" for row in rows]
    days = "".join(f"{day:<5}" for day in range(1, 31, 5)).rstrip()
    lines = [("", days, "")]
    for row, said in zip(rows, words, strict=True):
        lines.append((row.label, cells(row.states, is_ascii=is_ascii).rstrip(), said))
    if rows:
        context.output.table(lines)
        context.output.line(legend(rows, is_ascii=is_ascii))


def _day_row(day: DayCoverage) -> tuple[str, ...]:
    return (
        f"{day.day}",
        f"{format_count(day.missing)} of {format_count(day.archive)} not here",
        _notes(day),
    )


def _gap_row(gap: Gap) -> tuple[str, ...]:
    days = f"{gap.first}" if gap.first == gap.last else f"{gap.first} to {gap.last}"
    return (days, f"{format_count(gap.missing)} of {format_count(gap.archive)} not here", _notes(gap))


def _notes(one: DayCoverage | Gap) -> str:
    failed = [f"{plural(one.failed, 'file')} failed"] if one.failed else []
    return "; ".join([*failed, *(notice.title for notice in one.notices)])


def record_of(found: Coverage, day: DayCoverage) -> dict[str, Any]:
    """A day as JSON has it."""
    return {
        "collection": found.key.collection,
        "product_type": found.key.product_type,
        "baseline": found.key.baseline,
        "day": day.day,
        "archive": day.archive,
        "downloaded": day.downloaded,
        "deleted": day.deleted,
        "failed": day.failed,
        "missing": day.missing,
        "quality": [one.record() for one in day.notices],
    }
