"""`maap search`: URLs of what the archive has, in the order of sensing."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maap_tui.cli.context import CommandContext
from maap_tui.cli.options import add_command, add_general_options, add_query_options, query_of
from maap_tui.cli.report import AGAIN
from maap_tui.text import format_bytes, format_count, plural

if TYPE_CHECKING:
    from maap_tui.engine.catalogue.search import Search
    from maap_tui.engine.query import Query
    from maap_tui.engine.session import Session
    from maap_tui.engine.workflows.filing import Chosen

_EXAMPLES = (
    "maap search EarthCAREL2Validated_MAAP CPR_CLD_2A BC --date 2025-12-01",
    "maap search EarthCAREL1Validated_MAAP CPR_NOM_1B --orbit 07655C",
)
_NOTES = """\
--date, --start, --days-back and --orbit exclude one another; --frame joins any
of them but an orbit that names its frame. With --registry-save or -o stdout
stays empty; `-o -` prints as well."""


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "search",
        words,
        arguments="COLLECTION PRODUCT [BASELINE]",
        examples=_EXAMPLES,
        notes=_NOTES,
    )
    add_query_options(parser)
    output = parser.add_argument_group("output")
    output.add_argument("-o", "--url-file", metavar="FILE", help="write the URLs there; - for stdout")
    output.add_argument("--registry-save", action="store_true", help="register what is found as discovered")
    output.add_argument(
        "--count", action="store_true", help="print only the number that the archive announces"
    )
    add_general_options(parser, run, json_help="one object a file instead of URLs")


async def run(context: CommandContext) -> None:
    """Search and print."""
    args = context.args
    async with context.session() as session:
        query = await query_of(args, session)
        if args.count:
            async with context.watched():
                await _count(context, session, query)
        else:
            await _search(context, session, query)


async def _count(context: CommandContext, session: Session, query: Query) -> None:
    if query.shard is not None:
        from maap_tui.engine.errors import InvalidRequestError

        raise InvalidRequestError(
            "--count cannot be used with --shard: the archive counts the granules of all parts",
            "Leave one of them out.",
        )
    search = session.search(query)
    count = await search.total()
    if context.output.as_json:
        context.output.record({"count": count})
    else:
        context.output.line(str(count))
    if session.mission_of(query.collection).has_folders:
        context.report.say(f"{plural(count, 'granule')}; a granule may have several files")
    if count and (besides := search.counted_besides()):
        context.report.say(f"The archive may count more than a search lists: {'; '.join(besides)}")
    if count > query.max_items:
        context.report.say(f"A search lists at most {format_count(query.max_items)} (--max-items)")


async def _search(context: CommandContext, session: Session, query: Query) -> None:
    from maap_tui.engine.catalogue.in_order import in_order
    from maap_tui.engine.model import granule_record
    from maap_tui.engine.storage import files
    from maap_tui.engine.workflows.filing import Chosen

    args, output, report = context.args, context.output, context.report
    formats = session.formats_of(query)
    chosen = Chosen(formats)
    search = session.search(query)
    target = None if args.url_file in (None, "-") else Path(args.url_file)
    is_printed = output.as_json or args.url_file == "-" or (target is None and not args.registry_save)
    granules = urls = size = sizes = new = refused = 0
    async with AsyncExitStack() as stack:
        write = stack.enter_context(files.replacing(target)) if target is not None else None
        progress = await stack.enter_async_context(AsyncExitStack())
        await progress.enter_async_context(context.watched())
        async for found in in_order(search):
            if args.registry_save:
                filed = await session.save_to_registry(found, formats)
                new, refused = new + filed.new, refused + filed.refused
            if found and is_printed and output.is_terminal:
                await progress.aclose()  # lines do not go between those of a live one
            for granule in found:
                assets = chosen.files(granule)
                granules += 1
                urls += len(assets)
                for asset in assets:
                    if asset.size is not None:
                        size, sizes = size + asset.size, sizes + 1
                    if output.as_json:
                        output.record(granule_record(granule, asset), at_once=False)
                    elif is_printed:
                        output.line(asset.href)
                if write is not None:
                    write("".join(f"{asset.href}\n" for asset in assets))
            output.flush()
        if args.registry_save:
            await session.save_skipped(search)
    if target is not None:
        report.say(f"Wrote {plural(urls, 'URL')} to {target}")
    if args.registry_save:
        already = urls - new - refused
        words = f"; {format_count(already)} were registered before" if already > 0 else ""
        report.say(f"Registered {plural(new, 'new URL')}{words}")
    report_gaps(context, search, chosen, granules)
    if not urls:
        return
    total = f", {format_bytes(size)}" if sizes == urls else ""
    cut = " (--max-items reached)" if granules >= query.max_items else ""
    of = f" of {plural(granules, 'granule')}" if granules != urls else ""
    report.say(f"Found {plural(urls, 'file')}{of}{total}{cut}")


def report_gaps(context: CommandContext, search: Search, chosen: Chosen, granules: int) -> None:
    """Say what a search lacks: days, files in the formats meant, what is beyond its cut, or everything."""
    report = context.report
    if search.failed:
        report.say(unsearched(len(search.failed)))
    if (error := chosen.error()) is not None:
        report.fail(error)
    if warning := chosen.warning():
        report.warn(warning)
    if not granules and not search.failed:
        report.say(nothing_found(search.query))
    report_cut(context, granules, search.query)


def report_cut(context: CommandContext, granules: int, query: Query) -> None:
    """Say that a result is cut where nobody asked for that on the command line; it is not all of it."""
    if granules >= query.max_items and context.args.max_items is None:
        context.report.warn(
            f"Only the first {format_count(query.max_items)} granules are taken (search.max_items), there "
            "may be more. Give a shorter time, or --max-items"
        )
        context.report.codes.add(AGAIN)


def unsearched(days: int) -> str:
    """What to say of a search with gaps."""
    return f"{plural(days, 'day')} could not be searched; run the same command again for the rest"


def nothing_found(query: Query) -> str:
    """What to say, and to try, when a search ends without a granule."""
    names = f"{query.collection} {query.product_type}"
    where = f" {query.baseline}" if query.baseline else ""
    if query.shard is not None:
        return f"Nothing found for {names}{where} in part {query.shard} of what was asked."
    return (
        f"Nothing found for {names}{where} in what was asked; "
        f"`maap list {names} --verify` shows the baselines that hold something."
    )
