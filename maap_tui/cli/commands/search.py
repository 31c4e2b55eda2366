"""`maap search`: URLs of what the archive has, in the order of sensing."""

from __future__ import annotations

from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maap_tui.cli.context import CommandContext
from maap_tui.cli.options import add_command, add_general_options, add_query_options, query_of
from maap_tui.cli.output import json_line
from maap_tui.cli.report import AGAIN
from maap_tui.cli.saved import check_save_as, choices_of, note, save, take_saved
from maap_tui.text import format_bytes, format_count, plural

if TYPE_CHECKING:
    from maap_tui.engine.catalogue.search import Search
    from maap_tui.engine.model import Granule
    from maap_tui.engine.query import Query
    from maap_tui.engine.saved_searches import Choices
    from maap_tui.engine.session import Session
    from maap_tui.engine.workflows.filing import Chosen

_EXAMPLES = (
    "maap search EarthCAREL2Validated_MAAP CPR_CLD_2A BC --date 2025-12-01",
    "maap search EarthCAREL1Validated_MAAP CPR_NOM_1B --orbit 07655C",
)
_NOTES = """\
--date, --start, --days-back and --orbit exclude one another; --frame joins any
of them but an orbit that names its frame. With --registry-save or -o stdout
stays empty; `-o -` prints as well. The suffix of FILE says what is written:
.csv, .jsonl and .geojson describe each file, .parquet each granule (GeoParquet,
needs maap-tui[parquet]); anything else is a list of URLs."""


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
    add_query_options(parser, can_save=True)
    output = parser.add_argument_group("output")
    output.add_argument("-o", "--url-file", metavar="FILE", help="write the URLs there; - for stdout")
    output.add_argument(
        "--missing",
        action="store_true",
        help="only granules not here: never downloaded, or gone without a clean-up",
    )
    output.add_argument("--registry-save", action="store_true", help="register what is found as discovered")
    output.add_argument(
        "--count", action="store_true", help="print only the number that the archive announces"
    )
    add_general_options(parser, run, json_help="one object a file instead of URLs")


async def run(context: CommandContext) -> None:
    """Search and print."""
    args = context.args
    take_saved(context)
    check_save_as(args)
    choices = choices_of(args)  # before the newest baseline gets its name
    async with context.session() as session:
        query = await query_of(args, session)
        if args.count:
            async with context.watched():
                await _count(context, session, query)
        else:
            await _search(context, session, query, choices)
        save(context, choices)


async def _count(context: CommandContext, session: Session, query: Query) -> None:
    is_part = query.shard is not None or query.disclaimed is not None
    if is_part or context.args.missing:
        from maap_tui.engine.errors import InvalidRequestError

        option, what = ("--missing", "here as well") if context.args.missing else ("--shard", "of all parts")
        if query.disclaimed is not None:
            option, what = "--skip-disclaimed", "with a disclaimer as well"
        raise InvalidRequestError(
            f"--count cannot be used with {option}: the archive counts the granules {what}",
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


async def _search(context: CommandContext, session: Session, query: Query, choices: Choices) -> None:
    import asyncio

    from maap_tui.engine.catalogue.in_order import in_order
    from maap_tui.engine.catalogue.stac import prepared_of
    from maap_tui.engine.export import exporting, is_list
    from maap_tui.engine.model import granule_record
    from maap_tui.engine.search_history import FoundGranules
    from maap_tui.engine.storage.places import demand_path
    from maap_tui.engine.workflows.filing import Chosen
    from maap_tui.engine.workflows.presence import not_here

    args, output, report = context.args, context.output, context.report
    formats = session.formats_of(query)
    chosen = Chosen(formats)

    notices = session.quality.notices()

    def lines_of(granule: Granule) -> list[str]:
        """The JSON of each of its files."""
        quality = [one.record() for one in notices.of_granule(granule)]
        return [
            json_line({**granule_record(granule, asset), "quality": quality})
            for asset in granule.files(formats)
        ]

    # Much of an item is in its JSON: it is made when the item is read, which is then not read again.
    search = session.search(query, prepare=lines_of if output.as_json else None)
    target = None if args.url_file in (None, "-") else Path(demand_path(args.url_file))
    is_printed = output.as_json or args.url_file == "-" or (target is None and not args.registry_save)
    granules = urls = size = sizes = new = refused = had = 0
    affected: Counter[str] = Counter()
    kept = FoundGranules()
    async with AsyncExitStack() as stack:
        write = stack.enter_context(exporting(target)) if target is not None else None
        progress = await stack.enter_async_context(AsyncExitStack())
        await progress.enter_async_context(context.watched())
        async for found in in_order(search):
            kept.add(granule.id for granule in found)
            granules += len(found)
            if args.missing:
                listed = len(found)
                found = await asyncio.to_thread(not_here, session, found, formats)
                had += listed - len(found)
            if args.registry_save:
                filed = await session.save_to_registry(found, formats)
                new, refused = new + filed.new, refused + filed.refused + filed.undecided
            if found and is_printed and output.is_terminal:
                await progress.aclose()  # lines do not go between those of a live one
            for granule in found:
                affected.update({one.kind for one in notices.of_granule(granule)})
                assets = chosen.files(granule)
                urls += len(assets)
                for asset in assets:
                    if asset.size is not None:
                        size, sizes = size + asset.size, sizes + 1
                    if is_printed and not output.as_json:
                        output.line(asset.href)
                if output.as_json:
                    for line in prepared_of(granule) or lines_of(granule):
                        output.written(line)
                if write is not None:
                    write(granule, assets)
            output.flush()
        if args.registry_save:
            await session.save_skipped(search)
    if target is not None:
        report.say(f"Wrote {plural(urls, 'URL' if is_list(target) else 'file')} to {target}")
    if args.registry_save:
        already = urls - new - refused
        words = f"; {format_count(already)} were registered before" if already > 0 else ""
        report.say(f"Registered {plural(new, 'new URL')}{words}")
    report_gaps(context, search, chosen, granules)
    if args.missing and had:
        report.say(f"Left out {plural(had, 'granule')} that {'was' if had == 1 else 'were'} downloaded")
    if affected:
        from maap_tui.engine.quality.notices import WORDS

        counts = [
            f"{format_count(affected[kind])} with a {word}" for kind, word in WORDS.items() if affected[kind]
        ]
        report.say(f"Of these granules {' and '.join(counts)}; `maap show ID` says which")
    if not urls:
        note(context, session, choices, kept, len(search.failed))
        return
    total = f", {format_bytes(size)}" if sizes == urls else ""
    cut = " (--max-items reached)" if granules >= query.max_items else ""
    listed = granules - had
    of = f" of {plural(listed, 'granule')}" if listed != urls else ""
    report.say(f"Found {plural(urls, 'file')}{of}{total}{cut}")
    note(context, session, choices, kept, len(search.failed))


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
    """Say that a result is cut where nobody asked for that on the command line, and what is disclaimed."""
    report_disclaimed(context, query)
    if granules >= query.max_items and context.args.max_items is None:
        context.report.warn(
            f"Only the first {format_count(query.max_items)} granules are taken (search.max_items), there "
            "may be more. Give a shorter time, or --max-items"
        )
        context.report.codes.add(AGAIN)


def report_disclaimed(context: CommandContext, query: Query) -> None:
    """Say how many granules were left out as they have a disclaimer."""
    if query.disclaimed is not None:
        from maap_tui.engine.workflows.quality import left_out_words

        if words := left_out_words(query.disclaimed):
            context.report.say(words)


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
