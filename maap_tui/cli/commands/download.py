"""`maap download`: fetch from a search, a URL, a file of URLs or the registry, and record it."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from maap_tui.cli.commands.get import search_and_download
from maap_tui.cli.commands.search import report_disclaimed
from maap_tui.cli.context import CommandContext
from maap_tui.cli.download_options import add_download_options, list_wanted, moved, summarise
from maap_tui.cli.options import (
    NAMES,
    add_command,
    add_general_options,
    add_query_options,
    disclaimed_by,
    find_newest,
    meant_by,
    shard_of,
    span_of,
)
from maap_tui.cli.report import WRONG
from maap_tui.cli.saved import take_saved
from maap_tui.cli.texts import read_text
from maap_tui.text import plural

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from maap_tui.engine.download.requests import DownloadRequest
    from maap_tui.engine.packed import Packed
    from maap_tui.engine.session import Session

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


UNREGISTERED = ("bbox", "point", "radius", "area", "use_catalog")
"""Options that choose among what the archive has; the registry does not know them."""
CHOICES = (
    "saved",
    *("date", "start", "end", "days_back", "orbit", "frame", "track", "format", "newest_first"),
    *("all_versions", "skip_disclaimed", "everything", *UNREGISTERED),
)
"""Options that choose granules and files, where they are not named."""


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
    from maap_tui.engine.errors import InvalidRequestError
    from maap_tui.engine.storage.places import S3Url

    args = context.args
    if args.plan is not None:
        # The dated layout that a plan names is that of a disk.
        out_dir = () if isinstance(args.out_dir, S3Url) else ("out_dir",)
        refuse_options(args, "--plan", (*NAMES, *out_dir, *CHOICES), "which names each file")
    elif args.url is not None or args.url_file is not None:
        option = "--url" if args.url is not None else "--url-file"
        refuse_options(args, option, CHOICES, "which names each file")
    take_saved(context, needs_names=args.plan is None)
    if args.registry:
        refuse_options(args, "--registry", UNREGISTERED, "which knows neither tracks nor catalogues")
        if isinstance(args.out_dir, S3Url):
            raise InvalidRequestError(
                "--registry cannot be used with s3://, as what the registry follows stays on disk",
                "Leave out --registry, or name a folder.",
            )
    if not args.registry and args.plan is args.url is args.url_file is None:
        await search_and_download(context, track=True)
        return
    async with context.session(bulk=True) as session:
        if not args.dry_run:
            context.begin_run("download", session.dirs)
        if args.plan is not None:
            await _download_plan(context, session)
        elif args.registry:
            await _download_pending(context, session)
        else:
            await _download_urls(context, session)


def refuse_options(args: argparse.Namespace, source: str, names: Sequence[str], why: str) -> None:
    """Refuse what a source of files has no use for: who gave it expects that it is obeyed.

    Args:
        args: parsed options.
        source: the option that names the source.
        names: arguments that it has no use for, as in `args`.
        why: what the source is, which explains it.

    Raises:
        InvalidRequestError: when one of them was given.
    """
    from maap_tui.engine.errors import InvalidRequestError

    for name in names:
        if getattr(args, name) not in (None, False):
            given = name.upper() if name in NAMES else f"--{name.replace('_', '-')}"
            raise InvalidRequestError(f"{given} cannot be used with {source}, {why}", "Leave it out.")


async def _download_plan(context: CommandContext, session: Session) -> None:
    from maap_tui.engine.workflows.pending import Room
    from maap_tui.engine.workflows.plan import download_plan, to_s3

    args = context.args
    session.check_place(args.out_dir)
    requests = requests_of_plan(context, session, args.plan)
    if args.out_dir is not None:
        requests = to_s3(session, requests, args.out_dir, product_dir=session.settings.downloads.product_dir)
    if args.max_items is not None:
        room = Room(args.max_items)
        kept = [request for request in requests if room.has(request.url)]
        if left := len(requests) - len(kept):
            context.report.say(f"{plural(left, 'file')} of {args.plan} left (--max-items)")
        requests = kept
    if args.dry_run:
        await list_wanted(context, session, requests, args.out_dir)
        return
    if requests:
        context.check_token(session)
    context.prints_files()
    async with moved(context, session):
        done = await download_plan(session, requests)
    part = " in this part" if args.shard else ""
    summarise(context, done, nothing=f"Nothing to download: the plan names no file{part}")


def requests_of_plan(context: CommandContext, session: Session, name: str) -> list[DownloadRequest]:
    """The files of a plan that belong to the part asked for; lines that cannot be used are reported."""
    from maap_tui.engine.workflows.plan import read_plan

    shard = shard_of(context.args, session)
    plan = read_plan(
        read_text(name, "PLAN"), session.filing, product_dir=session.settings.downloads.product_dir
    )
    for number, line, reason in plan.refused:
        context.report.refuse(f"line {number} of {name}", f"{reason}: {line[:80]}")
        context.report.codes.add(WRONG)
    return [request for request in plan.requests if shard is None or request.url in shard]


def _source_of(context: CommandContext) -> str:
    """Where the URLs come from, as the user named it."""
    args = context.args
    return "--url" if args.url is not None else str(args.url_file)


def _urls_of(context: CommandContext, session: Session) -> Packed[str]:
    from maap_tui.engine.packed import Packed
    from maap_tui.engine.workflows.url_list import read_lines

    args, shard, source = context.args, shard_of(context.args, session), _source_of(context)
    if args.url is not None:
        found = Packed([args.url.strip()])
    else:
        listed = read_lines(read_text(args.url_file, "--url-file"), "url")
        for number, line, reason in listed.refused:
            context.report.refuse(f"line {number} of {args.url_file}", f"{reason}: {line[:80]}")
            context.report.codes.add(WRONG)
        found = listed.values
    values = found if shard is None else Packed(url for url in found if url in shard)
    if others := len(found) - len(values):
        context.report.say(f"{plural(others, 'URL')} of {source} left to other parts (--shard)")
    urls = values if args.max_items is None else Packed(islice(values, args.max_items))
    if left := len(values) - len(urls):
        context.report.say(f"{plural(left, 'URL')} of {source} left (--max-items)")
    return urls


async def _download_urls(context: CommandContext, session: Session) -> None:
    args = context.args
    session.check_place(args.out_dir)
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
        await list_wanted(context, session, wanted, args.out_dir)
        return
    if urls:
        context.check_token(session)
    context.prints_files()
    async with moved(context, session):
        report = await session.download(
            urls, args.collection, out_dir=args.out_dir, product_dir=product_dir, track=True
        )
    summarise(context, report, nothing=f"No URL in {_source_of(context)}")


async def _download_pending(context: CommandContext, session: Session) -> None:
    from maap_tui.engine.missions import format_of
    from maap_tui.engine.query import Query

    args = context.args
    await find_newest(args, session)
    orbits, frames, tracks, formats = await meant_by(args, session)
    query = Query(
        args.collection,
        args.product,
        args.baseline,
        time=span_of(args, session.now(), takes_missing=True),
        orbits=orbits,
        frames=frames,
        formats=formats,
        newest_first=args.newest_first,
        every_version=args.all_versions,
        tracks=tracks,
        shard=shard_of(args, session),
        disclaimed=disclaimed_by(args, session),
    )
    pending = session.pending(query, max_items=args.max_items)
    if others := pending.other_formats:
        kinds = ", ".join(sorted({format_of(url) or "unknown" for url in others}))
        context.report.say(
            f"{plural(len(others), 'pending file')} in other formats ({kinds}) left; --format all takes them"
        )
    report_disclaimed(context, query)
    if pending.older:
        context.report.say(f"{plural(pending.older, 'older version')} left; --all-versions takes them")
    if pending.held_back:
        context.report.say(f"{plural(pending.held_back, 'file')} left for another run (--max-items)")
    if args.dry_run:
        wanted = session.would_download(pending.files, out_dir=args.out_dir)
        await list_wanted(context, session, wanted, args.out_dir)
        return
    if pending.files:
        context.check_token(session)
    context.prints_files()
    async with moved(context, session):
        report = await session.download_pending(pending.files, out_dir=args.out_dir)
    summarise(context, report, nothing="Nothing pending in the registry")
