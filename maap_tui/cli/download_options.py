"""What download, get and sync share: their options, dry runs and the summary of what was moved."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from maap_tui.cli.context import CommandContext
from maap_tui.cli.options import add_max_time
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.storage import files
from maap_tui.engine.storage.places import Place, S3Url, place_of
from maap_tui.text import format_bytes, format_count, format_duration, plural

if TYPE_CHECKING:
    from maap_tui.engine.download.jobs import Report
    from maap_tui.engine.download.requests import DownloadRequest
    from maap_tui.engine.hooks import Hook
    from maap_tui.engine.session import Session


def add_download_options(
    parser: argparse.ArgumentParser,
    *,
    out_dir_help: str = "",
    needs_bounds: bool = False,
) -> None:
    """Add what says where files go and when to end.

    Args:
        parser: where to add it.
        out_dir_help: what `--out-dir` means; '' for a flat folder, or a prefix of S3.
        needs_bounds: whether `--everything` is there, without which a search that downloads is bounded.
    """
    group = parser.add_argument_group("files")
    group.add_argument(
        "-o",
        "--out-dir",
        type=Path if out_dir_help else _place,
        metavar="DIR",
        help=out_dir_help or "a flat folder, or s3://BUCKET/PREFIX, in place of the dated layout",
    )
    group.add_argument(
        "--product-dir", action="store_true", default=None, help="put each file in a folder named after it"
    )
    group.add_argument(
        "--ranges",
        metavar="N",
        help="fetch a file of 64 MiB or more over up to N connections (default: the setting "
        "downloads.ranges, 1)",
    )
    add_max_time(group)
    group.add_argument("--dry-run", action="store_true", help="only list what would be fetched")
    group.add_argument(
        "--dask",
        metavar="ADDRESS",
        help="fetch on the workers of a dask cluster: tcp://HOST:PORT, or local:N for N processes",
    )
    if needs_bounds:
        group.add_argument(
            "--everything",
            action="store_true",
            help="fetch all of the product or baseline; needed without a time, an orbit, an area or -n",
        )


def add_lock_wait(parser: argparse.ArgumentParser) -> None:
    """Add how long to wait for another sync."""
    parser.add_argument_group("other syncs").add_argument(
        "--lock-wait",
        metavar="SECONDS",
        help="wait this long for another sync of the same baseline (default: end at once, exit code 3)",
    )


def add_hook_options(parser: argparse.ArgumentParser, *occasions: str) -> None:
    """Add the command that runs after something is here, and what it runs after: the first one by default."""
    group = parser.add_argument_group("hook")
    group.add_argument(
        "--hook",
        metavar="CMD",
        help="run this, without a shell; {paths} becomes the files, which also come on its stdin",
    )
    group.add_argument("--hook-per", choices=occasions, help=f"what it runs after (default: {occasions[0]})")
    group.add_argument(
        "--hook-timeout",
        metavar="SECONDS",
        help="end it after this long (default: the setting hooks.timeout, 600)",
    )


def hook_of(context: CommandContext, session: Session, default: str) -> Hook | None:
    """The hook that the options mean, None without one.

    Raises:
        InvalidRequestError: it cannot be run, or its options stand without it.
    """
    args = context.args
    if args.hook is None:
        if args.hook_per is not None or args.hook_timeout is not None:
            raise InvalidRequestError("--hook-per and --hook-timeout need --hook", "Give the command.")
        return None
    from maap_tui.engine.hooks import read_hook

    return read_hook(args.hook, args.hook_per or default, session.settings.hooks.timeout)


def _place(text: str) -> Place:
    try:
        return place_of(text)
    except InvalidRequestError as error:
        raise argparse.ArgumentTypeError(error.sentences.rstrip(".")) from None


@contextlib.asynccontextmanager
async def moved(context: CommandContext, session: Session) -> AsyncIterator[None]:
    """Show progress around downloads, and have them done where `--dask` says.

    Raises:
        InvalidRequestError: dask is not installed, what is given is not a cluster, or --ranges is given too.
        CatalogError: its scheduler does not answer.
    """
    with contextlib.ExitStack() as held:
        if context.args.dask is not None:
            if context.args.ranges is not None:
                raise InvalidRequestError(
                    "--ranges cannot be used with --dask, whose tasks have one connection each",
                    "Leave it out.",
                )
            from maap_tui.engine import tasks

            tasks.use(session, held.enter_context(tasks.dask_executor(context.args.dask)))
        async with context.watched():
            yield


async def list_wanted(
    context: CommandContext, session: Session, wanted: Sequence[DownloadRequest], out_dir: Place | None = None
) -> None:
    """Print what a dry run found: a URL a line, the totals on stderr.

    Args:
        context: where to print.
        session: knows what is there already.
        wanted: every file meant.
        out_dir: where they would go, for the space left; None for the data folder.

    Raises:
        StorageError: they would go to S3, and it refuses or does not answer.
    """
    from maap_tui.engine.config import dirs

    session.check_place(out_dir)
    there = await session.sizes_at(wanted)
    here = size = sizes = 0
    for one in wanted:
        present = there.get(one.url)
        is_here = present is not None and one.size in (None, present) and not one.again
        if is_here:
            here += 1
        else:
            size, sizes = size + (one.size or 0), sizes + (one.size is not None)
        if context.output.as_json:
            state = "here" if is_here else "wanted"
            context.output.record({"url": one.url, "path": one.place, "state": state, "bytes": one.size})
        elif not is_here:
            context.output.line(one.url)
    context.output.flush()
    missing = len(wanted) - here
    words = ""
    if missing and sizes == missing:
        words = f" ({format_bytes(size)})"
    elif sizes:
        words = f" (at least {format_bytes(size)})"
    words += f"; {format_count(here)} here already" if here else ""
    folder = None if isinstance(out_dir, S3Url) else dirs.absolute(out_dir or session.dirs.data_dir)
    free = None if folder is None else files.free_bytes_for(folder)
    words += f"; {format_bytes(free)} free in {folder}" if free is not None else ""
    context.report.say(f"Would download {plural(missing, 'file')}{words}")
    if free is not None and size > free:
        context.report.warn(f"{format_bytes(size)} will not fit in {folder}")


def _run_of(context: CommandContext) -> str:
    """Which run a summary is of, as a log of several is read: names, start and length."""
    args = context.args
    names = [getattr(args, name, None) for name in ("collection", "product")]
    names.append(getattr(args, "baseline", None) or "all baselines")
    if args.command == "swap":
        names.append(args.new)
    elif args.command == "match":
        names = [*args.products, f"near {args.track.name}"]
    if getattr(args, "name", None) is not None:
        names = [f"set {args.name}"]
    if getattr(args, "study", None) is not None:
        names = [f"study {args.study}"]
    if getattr(args, "plan", None) is not None:
        names = [f"plan {args.plan}"]
    elif args.command == "queue":
        names = ["queue"]
    seconds = (datetime.now(UTC) - context.begun).total_seconds()
    what = " ".join(name for name in names if name)
    return f" [{what}, begun {context.begun:%Y-%m-%dT%H:%M:%SZ}, took {format_duration(seconds)}]"


def summarise(context: CommandContext, report: Report, *, nothing: str, nothing_to_do: str = "") -> None:
    """Say how the downloads went, and raise what stopped them.

    Args:
        context: where to say it.
        report: what became of the files.
        nothing: the sentence for a run without any file.
        nothing_to_do: the sentence when every file was here already; '' counts them.

    Raises:
        MaapError: what ended the run before its time.
    """

    def say(text: str) -> None:
        context.report.say(f"{text}{_run_of(context)}")

    count = len(report.downloaded)
    words = [f"Downloaded {plural(count, 'file')} ({format_bytes(report.received)})"]
    words[0] += f" in {format_duration(report.seconds)}"
    here = len(report.skipped)
    if here:
        words.append(f"{format_count(here)} {'was' if here == 1 else 'were'} here already")
    if report.failed:
        words.append(f"{format_count(len(report.failed))} failed")
    if report.left:
        words.append(f"{format_count(report.left)} not tried")
    if count or report.failed or report.left:
        say("; ".join(words))
    elif here:
        say(nothing_to_do or f"Nothing to download: {plural(here, 'file')} here already")
    else:
        say(nothing)
    if report.stopped is not None:
        raise report.stopped
