"""`maap plan`: what would be fetched, a line a file, for other machines to fetch without a search."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from maap_tui.cli.commands.search import nothing_found, report_cut, unsearched
from maap_tui.cli.context import CommandContext
from maap_tui.cli.options import add_command, add_general_options, add_query_options, query_of
from maap_tui.cli.report import WRONG
from maap_tui.text import format_bytes, plural

if TYPE_CHECKING:
    from maap_tui.engine.errors import InvalidRequestError

_EXAMPLES = (
    "maap plan EarthCAREL2Validated_MAAP CPR_CLD_2A BC -d 7 -o plan.jsonl",
    "maap plan EarthCAREL2Validated_MAAP CPR_CLD_2A -d 7 --print curl -o get.sh",
)
_NOTES = """\
`maap download --plan FILE --shard I/N` fetches part I of a plan; `maap state
import FILE` takes over what curl has fetched, after it looked at every file.
A script for curl needs MAAP_TOKEN where it runs, and holds no token itself."""


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "plan",
        words,
        arguments="COLLECTION PRODUCT [BASELINE]",
        examples=_EXAMPLES,
        notes=_NOTES,
    )
    add_query_options(parser)
    output = parser.add_argument_group("output")
    output.add_argument("-o", "--output", metavar="FILE", help="write it there; - for stdout (default)")
    output.add_argument(
        "--print",
        choices=("curl",),
        help="print a shell script that fetches with curl instead of JSON lines",
    )
    output.add_argument(
        "--everything", action="store_true", help="all of the product or baseline; needed without any limit"
    )
    add_general_options(parser, run, json_help="one object a file (always, without --print)")


async def run(context: CommandContext) -> None:
    """Search, and write down what would be fetched."""
    import json

    from maap_tui.engine.storage import files
    from maap_tui.engine.workflows.filing import Chosen
    from maap_tui.engine.workflows.plan import PlannedFile, planned
    from maap_tui.engine.workflows.scripts import curl_script

    args, output, report = context.args, context.output, context.report

    def refuse(url: str, error: InvalidRequestError) -> None:
        report.refuse(f"{url[:120]!a}", error.message)
        report.codes.add(WRONG)

    async with context.session() as session:
        query = await query_of(args, session)
        if not (args.everything or args.max_items):
            query.demand_bounds()
        chosen = Chosen(session.formats_of(query))
        search = session.search(query)
        granules = []
        async with context.watched():
            async for page in search:
                granules += page.granules
        found: list[PlannedFile] = list(planned(session, search.ordered(granules), chosen, refuse))
        token_url = session.settings.api.token_url
    lines = [json.dumps(one.as_record(), separators=(",", ":")) for one in found]
    if args.print == "curl":
        lines = list(curl_script(found, token_url))
    if args.output in (None, "-"):
        output.lines(lines)
        output.flush()
    else:
        files.write_atomic(Path(args.output), "".join(f"{line}\n" for line in lines))
    if search.failed:
        report.say(unsearched(len(search.failed)))
    if (lacking := chosen.error()) is not None:
        report.fail(lacking)
    if warning := chosen.warning():
        report.warn(warning)
    if not granules and not search.failed:
        report.say(nothing_found(query))
    report_cut(context, len(granules), query)
    sizes = [one.size for one in found]
    size = f", {format_bytes(sum(filter(None, sizes)))}" if found and None not in sizes else ""
    report.say(f"Planned {plural(len(found), 'file')}{size}")
