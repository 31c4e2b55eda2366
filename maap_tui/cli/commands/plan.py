"""`maap plan`: what would be fetched, a line a file, for other machines to fetch without a search."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from maap_tui.cli.commands.search import report_gaps
from maap_tui.cli.context import CommandContext
from maap_tui.cli.options import add_command, add_general_options, add_query_options, query_of
from maap_tui.cli.report import WRONG
from maap_tui.cli.saved import take_saved
from maap_tui.text import format_bytes, plural

if TYPE_CHECKING:
    from maap_tui.engine.download.requests import DownloadRequest

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
    from contextlib import AsyncExitStack

    from maap_tui.engine.catalogue.in_order import in_order
    from maap_tui.engine.net.origins import NOT_OF_THE_ARCHIVE, TRUST_IT
    from maap_tui.engine.storage import files
    from maap_tui.engine.storage.names import shown_url
    from maap_tui.engine.storage.places import demand_path
    from maap_tui.engine.workflows.filing import Chosen
    from maap_tui.engine.workflows.plan import planned_record
    from maap_tui.engine.workflows.scripts import curl_script

    take_saved(context)
    args, output, report = context.args, context.output, context.report
    target = None if args.output in (None, "-") else Path(demand_path(args.output))
    scripted: list[DownloadRequest] = []
    count = granules = size = sizes = 0

    def refuse(url: str, reason: str) -> None:
        report.refuse(shown_url(url), reason)
        report.codes.add(WRONG)

    async with context.session() as session, AsyncExitStack() as stack:
        query = await query_of(args, session)
        if not (args.everything or args.max_items):
            query.demand_bounds()
        write = stack.enter_context(files.replacing(target)) if target is not None else None

        def put(line: str) -> None:
            if write is not None:
                write(f"{line}\n")
            else:
                output.line(line)

        chosen = Chosen(session.formats_of(query))
        search = session.search(query)
        product_dir = session.in_product_dir(None)
        if write is not None or not output.is_terminal:  # lines do not go between those of progress
            await stack.enter_async_context(context.watched())
        async for found in in_order(search):
            granules += len(found)
            for request in (
                request
                for granule in found
                for request in session.filing.requests_of(
                    granule,
                    chosen.files(granule),
                    product_dir=product_dir,
                    refuse=lambda asset, error: refuse(asset.href, error.message),
                )
            ):
                if args.print == "curl" and not session.http.may_carry_token(request.url):
                    refuse(request.url, f"{NOT_OF_THE_ARCHIVE}. {TRUST_IT}")
                    continue
                count += 1
                if request.size is not None:
                    size, sizes = size + request.size, sizes + 1
                if args.print == "curl":
                    scripted.append(request)
                else:
                    put(json.dumps(planned_record(request), separators=(",", ":")))
        if args.print == "curl":
            for line in curl_script(scripted, session.settings.api.token_url):
                put(line)
        output.flush()
    report_gaps(context, search, chosen, granules)
    total = f", {format_bytes(size)}" if count and sizes == count else ""
    report.say(f"Planned {plural(count, 'file')}{total}")
