"""`maap get`: search and download in one step, without the registry."""

from __future__ import annotations

from typing import Any

from maap_tui.cli.commands.search import nothing_found, report_cut, unsearched
from maap_tui.cli.context import CommandContext
from maap_tui.cli.download_options import add_download_options, list_wanted, moved, summarise
from maap_tui.cli.options import add_command, add_general_options, add_query_options, query_of
from maap_tui.cli.saved import take_saved


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "get",
        words,
        arguments="COLLECTION PRODUCT [BASELINE]",
        examples=(
            "maap get EarthCAREL2Validated_MAAP CPR_CLD_2A BC --date 2025-12-01",
            "maap get EarthCAREL2Validated_MAAP CPR_CLD_2A --orbit 07655C -o here",
        ),
    )
    add_query_options(parser)
    add_download_options(parser, needs_bounds=True)
    add_general_options(parser, run, json_help="one object a file as it ends")


async def run(context: CommandContext) -> None:
    """Search and download."""
    take_saved(context)
    await search_and_download(context, track=False)


async def search_and_download(context: CommandContext, *, track: bool) -> None:
    """Search and download, followed by the registry with `track`."""
    args = context.args
    async with context.session(bulk=True) as session:
        if not args.dry_run:
            context.begin_run("download" if track else "get", session.dirs)
        query = await query_of(args, session)
        everything = args.everything or args.max_items is not None
        if not args.dry_run:
            if not everything:
                query.demand_bounds()
            context.check_token(session)
            context.prints_files()
        async with moved(context, session):
            report = await session.get(
                query,
                out_dir=args.out_dir,
                product_dir=session.settings.downloads.product_dir,
                dry_run=args.dry_run,
                track=track,
                everything=everything,
            )
        if args.dry_run:
            await list_wanted(context, session, report.wanted, args.out_dir)
        report_cut(context, report.granules, query)
        if report.lacking is not None:
            context.report.fail(report.lacking)
        nothing = nothing_found(query)
        if report.granules:
            nothing = "Nothing to download"
        if report.search.failed:
            nothing = "Nothing to download in what could be searched"
            context.report.say(unsearched(len(report.search.failed)))
        if not args.dry_run:
            summarise(context, report.downloads, nothing=nothing)
        elif not report.wanted:
            context.report.say(nothing)
