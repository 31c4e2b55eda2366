"""`maap overpass`: when satellites come near a place, in the past and in the future."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maap_tui.cli.area_options import add_circle, spelled
from maap_tui.cli.context import CommandContext
from maap_tui.cli.options import add_command, add_general_options, add_names, add_time, find_newest, span_of
from maap_tui.cli.report import AGAIN
from maap_tui.text import plural

if TYPE_CHECKING:
    from datetime import datetime

    from maap_tui.engine.model import TimeRange
    from maap_tui.engine.overpass.passing import Overpass, Place
    from maap_tui.engine.workflows.overpass import Overpasses

_NOTES = """\
Without names the ground tracks of the configured mission are taken, EarthCARE's
without one; with a product that has a swath, its swath counts. What is to come
is said by the archive's predicted orbit, which needs a token; further ahead, or
for a product that is named, by the repeat cycle. A bare number is km."""


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "overpass",
        words,
        arguments="[COLLECTION PRODUCT [BASELINE]] --point LAT,LON",
        examples=(
            "maap overpass --point hyytiala --radius 30km --next 14d",
            "maap overpass --point=-70.7,-8.3 --radius 200km --date 2025-12 --json",
            "maap overpass --point leipzig --radius 50km --next 30d --ical -o leipzig.ics",
        ),
        notes=_NOTES,
    )
    add_names(parser, required=0, baselines="such as BC, or newest")
    where = parser.add_argument_group("place")
    add_circle(where, "what is passed", older=("--site",), older_radius=("--within",), required=True)
    time = add_time(parser, title="time (one of; default: --next 14d)")
    time.add_argument("--next", metavar="TIME", help="from now on, as 12h, 14d or 4w")
    time.add_argument(
        "--by",
        choices=("auto", "prediction", "scenario", "cycle"),
        default="auto",
        help="what says the passes to come: the predicted orbit, the planned one, the repeat cycle (default: "
        "the predicted orbit, then the cycle)",
    )
    output = parser.add_argument_group("output (one form)")
    output.add_argument("--csv", action="store_true", help="print a table with commas")
    output.add_argument("--ical", action="store_true", help="print a calendar (iCalendar)")
    output.add_argument("-o", "--output", metavar="FILE", help="write it to a file; the name says the form")
    add_general_options(parser, run, json_help="one object an overpass")


async def run(context: CommandContext) -> None:
    """Find overpasses and print them."""
    from maap_tui.engine.overpass.passing import Place
    from maap_tui.engine.overpass.units import read_distance
    from maap_tui.engine.sites import find_place, split_point
    from maap_tui.engine.storage import files
    from maap_tui.engine.storage.places import demand_file
    from maap_tui.engine.workflows.overpass import overpasses, query_for

    args, output, report = context.args, context.output, context.report
    form = _form_of(args)
    target = None if args.output is None else demand_file(args.output)
    point_option, radius_option = spelled(args, "point"), spelled(args, "radius")
    point, radius = split_point(args.point, args.radius, point_option, radius_option)
    metres = read_distance(radius or "50km", radius_option)
    async with context.session() as session:
        where = Place(*find_place(point, session.settings.sites, point_option))
        span = _span_of(context, session.now())
        query = query_for(session, args.collection or "", args.product or "", args.baseline)
        args.collection, args.product = query.collection, query.product_type
        await find_newest(args, session)
        async with context.watched():
            found = await overpasses(
                session, query.replace(baseline=args.baseline), where, metres, span, by=args.by
            )
        now = session.now()
    for note in found.notes:
        report.warn(note)
    if target is not None:
        with files.replacing(target) as write:
            write(_text_of(form, found.rows, where, now))
        report.say(f"Wrote {plural(len(found.rows), 'overpass', 'overpasses')} to {target}")
    elif form == "table":
        if found.rows:
            output.table(_table_of(found.rows))
    else:
        output.written(_text_of(form, found.rows, where, now))
    output.flush()
    _report(context, found, metres, span)


def _form_of(args: Any) -> str:
    """The form of the output: `table`, `json`, `csv` or `ical`.

    Raises:
        InvalidRequestError: for two of them, or a file whose name says none.
    """
    from maap_tui.engine.errors import InvalidRequestError

    given = [form for form in ("json", "csv", "ical") if getattr(args, form)]
    if len(given) > 1:
        raise InvalidRequestError(f"--{given[0]} cannot be used with --{given[1]}", "Give one of them.")
    if given or args.output is None:
        return given[0] if given else "table"
    suffixes = {".csv": "csv", ".ics": "ical", ".json": "json", ".jsonl": "json", ".ndjson": "json"}
    form = suffixes.get(Path(args.output).suffix.lower())
    if form is None:
        raise InvalidRequestError(
            f"The name {args.output} does not say what form is meant", "End it in .ics, .csv or .jsonl."
        )
    return form


def _span_of(context: CommandContext, now: datetime) -> TimeRange:
    """The time asked for.

    Raises:
        InvalidRequestError: for options that exclude one another or cannot be.
    """
    from maap_tui.engine.errors import InvalidRequestError
    from maap_tui.engine.model import TimeRange
    from maap_tui.engine.overpass.units import read_duration
    from maap_tui.engine.workflows.overpass import MOST_AHEAD

    args = context.args
    span = span_of(args, now)
    if args.next is not None and span is not None:
        given = next(
            f"--{name.replace('_', '-')}"
            for name in ("date", "start", "end", "days_back")
            if getattr(args, name) is not None
        )
        raise InvalidRequestError(f"--next cannot be used with {given}", "Give one of them.")
    now = now.replace(microsecond=0)
    ahead = "14d" if args.next is None else args.next
    return span or TimeRange(now, now + read_duration(ahead, "--next", most=MOST_AHEAD))


def _text_of(form: str, rows: Sequence[Overpass], where: Place, now: datetime) -> str:
    from maap_tui.cli.output import json_line
    from maap_tui.engine.overpass.ical import calendar
    from maap_tui.engine.overpass.passing import csv_text, record_of

    if form == "ical":
        return calendar(rows, where, now)
    if form == "json":
        return "".join(json_line(record_of(one)) for one in rows)
    return csv_text(rows)


def _table_of(rows: Iterable[Overpass]) -> list[tuple[str, ...]]:
    from maap_tui.engine.overpass.units import km_words

    rows = list(rows)
    has_swath = any(one.swath_metres is not None for one in rows)
    has_here = any(one.here for one in rows)
    table = [("Time (UTC)", "Distance", "Side", *(["Swath"] * has_swath), "Sun", "Flight", "Orbit", "Source")]
    table[0] += ("Here",) * has_here
    for one in rows:
        swath = "" if one.swath_metres is None else "inside"
        if one.swath_metres:
            swath = km_words(one.swath_metres)
        cells = (
            f"{one.time:%Y-%m-%d %H:%M:%S}",
            km_words(one.metres),
            one.side,
            *([swath] * has_swath),
            f"{one.day_words} {one.sun:.0f}",
            "up" if one.is_ascending else "down",
            one.name,
            one.source.partition(" ECA_")[0],
        )
        table.append(cells + (" ".join(one.here),) * has_here)
    return table


def _report(context: CommandContext, found: Overpasses, metres: float, span: TimeRange) -> None:
    """Say how many there are, and what is missing of them."""
    from maap_tui.cli.commands.search import unsearched
    from maap_tui.engine.overpass.units import km_words
    from maap_tui.engine.workflows.overpass import trackless_words

    report = context.report
    if words := trackless_words(found.without_track):
        report.warn(words)
        report.codes.add(AGAIN)
    if found.failed:
        report.say(unsearched(len(found.failed)))
        report.codes.add(AGAIN)
    if found.unsaid:
        report.codes.add(AGAIN)
    count = plural(len(found.rows), "overpass", "overpasses") if found.rows else "No overpass"
    begin, end = (f"{moment:%Y-%m-%d %H:%M}" for moment in (span.start, span.end))
    report.say(f"{count} of {found.place.name} within {km_words(metres)}, {begin} to {end} UTC")
