"""`maap cover`: the fewest days or passes that have every frame of an area, as a plan to download."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maap_tui.cli.commands.search import report_gaps
from maap_tui.cli.context import CommandContext
from maap_tui.cli.options import add_command, add_general_options, add_query_options, query_of
from maap_tui.cli.report import WRONG
from maap_tui.cli.saved import take_saved
from maap_tui.text import format_bytes, format_count, plural

if TYPE_CHECKING:
    from maap_tui.engine.cover import Cover, Visit
    from maap_tui.engine.download.requests import DownloadRequest

_EXAMPLES = (
    "maap cover BiomassLevel1b S2_DGM__1S --area aoi.geojson --date 2025-12",
    "maap cover BiomassLevel1b S2_DGM__1S --date 2025-12 -o plan.jsonl",
)
_NOTES = """\
Each frame of each ground track that was found is taken once. Of processings and
baselines of one granule the newest counts. `maap download --plan FILE` fetches
what -o has written."""


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "cover",
        words,
        arguments="COLLECTION PRODUCT [BASELINE]",
        examples=_EXAMPLES,
        notes=_NOTES,
    )
    add_query_options(parser)
    choice = parser.add_argument_group("what there should be few of")
    choice.add_argument(
        "--passes", action="store_true", help="the fewest passes of the satellite, not the fewest days"
    )
    choice.add_argument(
        "--closest-dates",
        action="store_true",
        help="days as close together as can be, and the fewest of those",
    )
    output = parser.add_argument_group("output")
    output.add_argument("-o", "--output", metavar="FILE", help="write the files to fetch there, as a plan")
    output.add_argument(
        "--everything", action="store_true", help="all of the product or baseline; needed without any limit"
    )
    add_general_options(parser, run, json_help="one object a day or pass")


async def run(context: CommandContext) -> None:
    """Search, choose, and print what was chosen."""
    import json

    from maap_tui.engine.catalogue.in_order import in_order
    from maap_tui.engine.cover import cover, demand_tracks
    from maap_tui.engine.storage import files
    from maap_tui.engine.storage.names import shown_url
    from maap_tui.engine.storage.places import demand_file
    from maap_tui.engine.workflows.filing import Chosen
    from maap_tui.engine.workflows.plan import planned_record

    take_saved(context)
    args, output, report = context.args, context.output, context.report
    target = None if args.output is None else demand_file(args.output)

    def refuse(url: str, reason: str) -> None:
        report.refuse(shown_url(url), reason)
        report.codes.add(WRONG)

    async with context.session() as session:
        query = await query_of(args, session)
        demand_tracks(session.mission_of(query.collection))
        if not (args.everything or args.max_items):
            query.demand_bounds()
        chosen = Chosen(session.formats_of(query))
        search = session.search(query)
        granules = []
        count = 0
        async with context.watched():
            async for found in in_order(search):
                count += len(found)
                granules += [granule for granule in found if chosen.files(granule)]
        plan = cover(granules, "passes" if args.passes else "dates", closest=args.closest_dates)
        product_dir = session.in_product_dir(None)
        requests: list[list[DownloadRequest]] = [
            [
                request
                for granule in visit.granules
                for request in session.filing.requests_of(
                    granule,
                    granule.files(chosen.formats),
                    product_dir=product_dir,
                    refuse=lambda asset, error: refuse(asset.href, error.message),
                )
            ]
            for visit in plan.visits
        ]
    if target is not None:
        with files.replacing(target) as write:
            for request in (request for some in requests for request in some):
                write(json.dumps(planned_record(request), separators=(",", ":")) + "\n")
    if output.as_json:
        for visit, some in zip(plan.visits, requests, strict=True):
            output.record(_record_of(visit, some), at_once=False)
    elif plan.visits:
        rows = [_row_of(visit, some) for visit, some in zip(plan.visits, requests, strict=True)]
        output.table([("Date", "Tracks", "Frames", "Files", "Size"), *rows])
    output.flush()
    report_gaps(context, search, chosen, count)
    if plan.visits:
        cut = (
            f"; of the first {plural(count, 'granule')} (--max-items)"
            if args.max_items and count >= args.max_items
            else ""
        )
        words = _words_of(plan, [request for some in requests for request in some], args.passes)
        report.say(f"{words}{cut}")
    if target is not None:
        report.say(f"Wrote {plural(sum(map(len, requests)), 'file')} to {target}")


def _tracks_of(visit: Visit) -> list[str]:
    return sorted({granule.track_number or "" for granule in visit.granules})


def _size_of(requests: list[DownloadRequest]) -> int | None:
    sizes = [request.size for request in requests]
    return None if None in sizes else sum(size for size in sizes if size is not None)


def _row_of(visit: Visit, requests: list[DownloadRequest]) -> tuple[str, ...]:
    size = _size_of(requests)
    return (
        visit.day.isoformat(),
        ", ".join(f"T{track}" for track in _tracks_of(visit)),
        str(len(visit.granules)),
        str(len(requests)),
        "" if size is None else format_bytes(size),
    )


def _record_of(visit: Visit, requests: list[DownloadRequest]) -> dict[str, Any]:
    return {
        "date": visit.day.isoformat(),
        "tracks": _tracks_of(visit),
        "frames": [granule.track_frame for granule in visit.granules],
        "granules": [granule.id for granule in visit.granules],
        "urls": [request.url for request in requests],
        "size": _size_of(requests),
    }


def _words_of(plan: Cover, requests: list[DownloadRequest], by_pass: bool) -> str:
    size = _size_of(requests)
    visits = plural(len(plan.visits), "pass", "passes") if by_pass else plural(len(plan.visits), "date")
    proven = "" if plan.is_fewest else " (fewer may do: that was not proven)"
    total = "" if size is None else f", {format_bytes(size)}"
    spare = f"; {format_count(plan.spare)} of the granules found are not needed" if plan.spare else ""
    apart = f" within {plural(plan.days_apart + 1, 'day')}"
    return f"{visits}{apart} cover {plural(plan.frames, 'frame')}{proven}{total}{spare}"
