"""`maap download`: fetch from a search, a URL, a file of URLs or the registry, and record it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maap_tui.cli.commands.get import search_and_download
from maap_tui.cli.context import CommandContext
from maap_tui.cli.download_options import add_download_options, list_wanted, moved, summarise
from maap_tui.cli.options import (
    add_command,
    add_general_options,
    add_query_options,
    meant_by,
    read_text,
    shard_of,
    span_of,
)
from maap_tui.cli.report import WRONG
from maap_tui.text import plural

if TYPE_CHECKING:
    import argparse

    from maap_tui.engine.session import Session
    from maap_tui.engine.workflows.plan import PlannedFile

_EXAMPLES = (
    "maap download EarthCAREL2Validated_MAAP CPR_CLD_2A BC --date 2025-12-01",
    "maap download EarthCAREL2Validated_MAAP CPR_CLD_2A BC --registry",
)
_NOTES = """\
A file of URLs has lines `URL`, `URL|PATH`, or JSON with "url" as --json prints
it; blank lines and lines that begin with # are left out.
A plan names its files itself: no other names, --shard takes a part of it.
With --registry the time options, --orbit, --frame and --track choose among what
is pending there; an area cannot, as the registry knows none."""


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "download",
        words,
        arguments="COLLECTION PRODUCT [BASELINE]",
        examples=_EXAMPLES,
        notes=_NOTES,
    )
    source = parser.add_argument_group("source (a search of the archive without any of them)")
    one = source.add_mutually_exclusive_group()
    one.add_argument("-u", "--url", help="one URL")
    one.add_argument("-f", "--url-file", metavar="FILE", help="URLs from a file; - for stdin")
    one.add_argument("--plan", metavar="FILE", help="what `maap plan` wrote; - for stdin")
    one.add_argument("--registry", action="store_true", help="what is discovered and not downloaded")
    add_query_options(parser, required_names=0)
    add_download_options(parser, needs_bounds=True)
    add_general_options(parser, run, json_help="one object a file as it ends")


async def run(context: CommandContext) -> None:
    """Download from the source that was named."""
    args = context.args
    if args.plan is not None:
        async with context.session(bulk=True) as session:
            await _download_plan(context, session)
        return
    _demand_names(args)
    if args.registry:
        async with context.session(bulk=True) as session:
            await _download_pending(context, session)
    elif args.url is not None or args.url_file is not None:
        async with context.session(bulk=True) as session:
            await _download_urls(context, session)
    else:
        await search_and_download(context, track=True)


def _demand_names(args: argparse.Namespace) -> None:
    from maap_tui.engine.errors import InvalidRequestError

    missing = [name.upper() for name in ("collection", "product") if getattr(args, name) is None]
    if missing:
        raise InvalidRequestError(
            f"The following arguments are required: {', '.join(missing)}", "See maap download -h."
        )


async def _download_plan(context: CommandContext, session: Session) -> None:
    from maap_tui.engine.errors import InvalidRequestError
    from maap_tui.engine.workflows.plan import download_plan, request_of

    args = context.args
    if args.collection is not None or args.out_dir is not None:
        given = "COLLECTION" if args.collection is not None else "--out-dir"
        raise InvalidRequestError(
            f"{given} cannot be used with --plan, which names each file", "Leave it out."
        )
    files = files_of_plan(context, session, args.plan)[: args.max_items]
    if args.dry_run:
        wanted = []
        for one in files:
            try:
                wanted.append(request_of(session, one))
            except InvalidRequestError as error:
                context.report.fail(error)
        list_wanted(context, wanted, session.dirs.data_dir)
        return
    if files:
        context.check_token(session)
    context.prints_files()
    async with moved(context, session):
        done = await download_plan(session, files)
    summarise(context, done, nothing="Nothing to download: no file of the plan is in this part")


def files_of_plan(context: CommandContext, session: Session, name: str) -> list[PlannedFile]:
    """The files of a plan that belong to the part asked for; lines that cannot be used are reported."""
    from maap_tui.engine.workflows.plan import read_plan

    plan = read_plan(read_text(name, "PLAN"))
    for number, line, reason in plan.refused:
        context.report.refuse(f"line {number} of {name}", f"{reason}: {line[:80]}")
        context.report.codes.add(WRONG)
    return plan.of(shard_of(context.args, session))


def _urls_of(context: CommandContext, session: Session) -> list[str]:
    from maap_tui.engine.workflows.url_list import read_lines

    args = context.args
    if args.url is not None:
        return [args.url.strip()]
    found = read_lines(read_text(args.url_file, "--url-file"), "url")
    for number, line, reason in found.refused:
        context.report.refuse(f"line {number} of {args.url_file}", f"{reason}: {line[:80]}")
        context.report.codes.add(WRONG)
    values, shard = found.values, shard_of(args, session)
    if shard is not None:
        values = [url for url in values if url in shard]
        if others := len(found.values) - len(values):
            context.report.say(f"{plural(others, 'URL')} of {args.url_file} left to other parts (--shard)")
    urls = values[: args.max_items]
    if left := len(values) - len(urls):
        context.report.say(f"{plural(left, 'URL')} of {args.url_file} left (--max-items)")
    return urls


async def _download_urls(context: CommandContext, session: Session) -> None:
    args = context.args
    urls = _urls_of(context, session)
    product_dir = session.settings.downloads.product_dir
    if args.dry_run:
        from maap_tui.engine.errors import CatalogError, InvalidRequestError, NetworkSetupError

        wanted = []
        for url in urls:
            try:
                request = await session.request_of_url(
                    url, args.collection, out_dir=args.out_dir, product_dir=product_dir
                )
                wanted.append(request)
            except NetworkSetupError:
                raise
            except (InvalidRequestError, CatalogError) as error:
                context.report.fail(error)
        list_wanted(context, wanted, args.out_dir or session.dirs.data_dir)
        return
    context.check_token(session)
    context.prints_files()
    async with moved(context, session):
        report = await session.download(
            urls, args.collection, out_dir=args.out_dir, product_dir=product_dir, track=True
        )
    summarise(context, report, nothing=f"No URL in {args.url_file}")


def _refuse_area(args: argparse.Namespace) -> None:
    """Refuse options that choose among what the archive has; the registry does not know them."""
    from maap_tui.engine.errors import InvalidRequestError

    for name in ("bbox", "point", "radius", "area", "use_catalog"):
        if getattr(args, name):
            option = f"--{name.replace('_', '-')}"
            raise InvalidRequestError(
                f"{option} cannot be used with --registry, which knows neither tracks nor catalogues",
                "Leave it out, or search: `maap download` without --registry.",
            )


async def _download_pending(context: CommandContext, session: Session) -> None:
    from maap_tui.engine.missions import format_of
    from maap_tui.engine.query import Query

    args = context.args
    _refuse_area(args)
    orbits, frames, tracks, formats = await meant_by(args, session)
    query = Query(
        args.collection,
        args.product,
        args.baseline,
        time=span_of(args, session.now()),
        orbits=orbits,
        frames=frames,
        formats=formats,
        newest_first=args.newest_first,
        every_version=args.all_versions,
        tracks=tracks,
        shard=shard_of(args, session),
    )
    pending = session.pending(query, max_items=args.max_items)
    if others := pending.other_formats:
        kinds = ", ".join(sorted({format_of(url) or "unknown" for url in others}))
        context.report.say(
            f"{plural(len(others), 'pending file')} in other formats ({kinds}) left; --format all takes them"
        )
    if pending.older:
        context.report.say(f"{plural(pending.older, 'older version')} left; --all-versions takes them")
    if pending.held_back:
        context.report.say(f"{plural(pending.held_back, 'file')} left for another run (--max-items)")
    if args.dry_run:
        wanted = session.would_download(pending.files, out_dir=args.out_dir)
        list_wanted(context, wanted, args.out_dir or session.dirs.data_dir)
        return
    if pending.files:
        context.check_token(session)
    context.prints_files()
    async with moved(context, session):
        report = await session.download_pending(pending.files, out_dir=args.out_dir)
    summarise(context, report, nothing="Nothing pending in the registry")
