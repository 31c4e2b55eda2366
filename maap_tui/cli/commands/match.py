"""`maap match`: granules that come near a ship, an aircraft or a balloon, in space and in time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maap_tui.cli.context import CommandContext
from maap_tui.cli.options import add_command, add_general_options
from maap_tui.cli.report import AGAIN, WRONG
from maap_tui.text import format_bytes, plural

if TYPE_CHECKING:
    from maap_tui.engine.overpass.matching import Match
    from maap_tui.engine.overpass.tracks import PlatformTrack
    from maap_tui.engine.workflows.match import Matches

_NOTES = """\
TRACK is a table with columns for time, latitude and longitude, a GPX file, or
netCDF with CF times. A product is [COLLECTION/]PRODUCT[:BASELINE]; without a
collection it is found by its name. A bare distance is km. Nothing is fetched
without --get."""


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "match",
        words,
        arguments="TRACK PRODUCT...",
        examples=(
            "maap match cruise.csv CPR_CLD_2A:BC --dt 30m --dx 50km",
            "maap match flight.gpx CPR_CLD_2A ATL_EBD_2A --dt 1h --dx 20km --get",
        ),
        notes=_NOTES,
    )
    parser.add_argument("track", type=Path, metavar="TRACK", help="file with the positions of the platform")
    parser.add_argument("products", nargs="+", metavar="PRODUCT", help="such as CPR_CLD_2A or MSI_COP_2A:BA")
    choice = parser.add_argument_group("choice")
    choice.add_argument(
        "--dt", metavar="TIME", default="30m", help="time between the two, as 90s or 1h (default: 30m)"
    )
    choice.add_argument(
        "--dx", metavar="DISTANCE", default="50km", help="distance, as 20km or 500m (default: 50km)"
    )
    choice.add_argument(
        "--gap",
        metavar="TIME",
        default="24h",
        help="without a position for longer than this it is taken to be nowhere (default: 24h)",
    )
    choice.add_argument("--format", metavar="FORMAT", help="as for maap search (default: the mission's)")
    files = parser.add_argument_group("files")
    files.add_argument("--get", action="store_true", help="fetch and track what is not here")
    output = parser.add_argument_group("output")
    output.add_argument("--csv", action="store_true", help="print a table with commas")
    output.add_argument("-o", "--output", metavar="FILE", help="write it to a file, .csv or .jsonl")
    add_general_options(parser, run, json_help="one object a granule")


async def run(context: CommandContext) -> None:
    """Read the track, ask the archive, print what matches, and fetch it where that is asked for."""
    from datetime import timedelta

    from maap_tui.cli.download_options import summarise
    from maap_tui.cli.output import json_line
    from maap_tui.engine.overpass.matching import csv_text, record_of
    from maap_tui.engine.overpass.units import read_distance, read_duration
    from maap_tui.engine.product_sets import read_member
    from maap_tui.engine.query import parse_formats
    from maap_tui.engine.storage import files
    from maap_tui.engine.storage.places import demand_file
    from maap_tui.engine.workflows import match

    args, output, report = context.args, context.output, context.report
    form = _form_of(args)
    target = None if args.output is None else demand_file(args.output)
    apart = read_duration(args.dt, "--dt", most=match.MOST_APART)
    metres = read_distance(args.dx, "--dx", most_km=2000)
    gap = read_duration(args.gap, "--gap", most=timedelta(days=400))
    members = [read_member(text, "a product") for text in args.products]
    formats = parse_formats(args.format) if args.format is not None else ()
    track = await match.read_track(args.track)
    _report_track(context, track)
    async with context.session(bulk=args.get) as session:
        if args.get:
            context.begin_run("match", session.dirs)
            context.check_token(session)
        queries = await match.queries_for(session, members, formats)
        async with context.watched():
            found = await match.matches(session, queries, track, apart=apart, metres=metres, gap=gap)
        if target is not None:
            text = (
                csv_text(found.rows)
                if form == "csv"
                else "".join(json_line(record_of(one)) for one in found.rows)
            )
            with files.replacing(target) as write:
                write(text)
            report.say(f"Wrote {plural(len(found.rows), 'match', 'matches')} to {target}")
        elif form == "csv":
            output.written(csv_text(found.rows))
        elif form == "json":
            for one in found.rows:
                output.record(record_of(one), at_once=False)
        elif found.rows:
            output.table(_table_of(found.rows))
        output.flush()
        _report(context, found)
        if args.get:
            async with context.watched():
                fetched = await match.fetch(session, found.rows, formats)
            summarise(context, fetched, nothing="Nothing to download")


def _form_of(args: Any) -> str:
    """The form of the output: `table`, `json` or `csv`.

    Raises:
        InvalidRequestError: for two of them, or a file whose name says none.
    """
    from maap_tui.engine.errors import InvalidRequestError

    if args.json and args.csv:
        raise InvalidRequestError("--json cannot be used with --csv", "Give one of them.")
    if args.json or args.csv or args.output is None:
        return "json" if args.json else "csv" if args.csv else "table"
    suffix = Path(args.output).suffix.lower()
    if suffix not in (".csv", ".json", ".jsonl", ".ndjson"):
        raise InvalidRequestError(
            f"The name {args.output} does not say what form is meant", "End it in .csv or .jsonl."
        )
    return "csv" if suffix == ".csv" else "json"


def _report_track(context: CommandContext, track: PlatformTrack) -> None:
    """Say what the track is, and what of it cannot be used."""
    report = context.report
    for one in track.skipped:
        report.say(f"Skipped: {track.name}, {one}")
    if track.left_out:
        report.say(f"Skipped {plural(track.left_out, 'position')} of {track.name}")
        report.codes.add(WRONG)
    first, last = track.fixes[0], track.fixes[-1]
    report.say(
        f"{track.name}: {plural(len(track.fixes), 'position')}, "
        f"{first.time:%Y-%m-%d %H:%M} to {last.time:%Y-%m-%d %H:%M}"
    )


def _table_of(rows: Sequence[Match]) -> list[tuple[str, ...]]:
    from maap_tui.engine.overpass.units import km_words

    has_swath = any(one.swath_metres is not None for one in rows)
    table = [
        ("Time (UTC)", "Minutes", "Distance", "Side", *(["Swath"] * has_swath), "Sun", "State", "Granule")
    ]
    for one in rows:
        swath = (
            "" if one.swath_metres is None else km_words(one.swath_metres) if one.swath_metres else "inside"
        )
        cells = (
            f"{one.time:%Y-%m-%d %H:%M:%S}",
            f"{one.later.total_seconds() / 60:+.1f}",
            km_words(one.metres),
            one.side,
            *([swath] * has_swath),
            "day" if one.is_day else "night",
            one.state,
            one.granule.id,
        )
        table.append(cells)
    return table


def _report(context: CommandContext, found: Matches) -> None:
    """Say how many there are, and what is missing of them."""
    from maap_tui.cli.commands.search import unsearched
    from maap_tui.engine.workflows.overpass import trackless_words

    report = context.report
    for error in found.lacking:
        report.fail(error)
    if words := trackless_words(found.without_track):
        report.warn(words)
        report.codes.add(AGAIN)
    if found.failed:
        report.say(unsearched(len(found.failed)))
        report.codes.add(AGAIN)
    total = f", {format_bytes(found.lacking_bytes)} of it not here" if found.lacking_bytes else ""
    count = plural(len(found.rows), "granule") if found.rows else "No granule"
    searches = plural(found.questions, "search", "searches")
    report.say(f"{count} in {searches}{total}")
