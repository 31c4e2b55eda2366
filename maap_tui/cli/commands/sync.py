"""`maap sync`: search, register and download what is pending; made for cron."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maap_tui.cli.commands.search import unsearched
from maap_tui.cli.context import CommandContext
from maap_tui.cli.download_options import add_download_options, list_wanted, moved, summarise
from maap_tui.cli.options import (
    add_command,
    add_general_options,
    add_query_options,
    positive,
    query_of,
    words_of,
)
from maap_tui.cli.report import WRONG
from maap_tui.text import format_count, plural

if TYPE_CHECKING:
    from maap_tui.engine.query import Query
    from maap_tui.engine.workflows.sync import SyncReport

DEFAULT_JOBS = 4

_EXAMPLES = (
    "maap sync EarthCAREL2Validated_MAAP CPR_CLD_2A BC",
    "maap sync EarthCAREL2Validated_MAAP CPR_CLD_2A BC --days-back 7 --quiet",
)
_NOTES = """\
What earlier runs left in the range is fetched too. Each day that could not be
searched is a line `FAILED DAY: BASELINE YYYY-MM-DD (REASON)` on stderr, and the
exit code is 3: run it again. In a crontab, each day at six:
  0 6 * * * maap sync EarthCAREL2Validated_MAAP CPR_CLD_2A BC"""


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    from maap_tui.engine.config.settings import DEFAULT_DAYS_BACK

    parser = add_command(
        subparsers,
        "sync",
        words,
        arguments="COLLECTION PRODUCT [BASELINE]",
        examples=_EXAMPLES,
        notes=_NOTES,
    )
    add_query_options(parser, default_days=DEFAULT_DAYS_BACK)
    add_download_options(parser, out_dir_help="in place of the data folder, with the dated layout in it")
    run_group = parser.add_argument_group("other syncs")
    run_group.add_argument(
        "--lock-wait",
        metavar="SECONDS",
        help="wait this long for another sync of the same baseline (default: end at once, exit code 3)",
    )
    jobs = parser.add_argument_group("jobs of a cluster")
    jobs.add_argument(
        "--print",
        choices=("sbatch", "cronjob"),
        help="print a job array of Slurm, or a CronJob of Kubernetes, that shares this sync; run nothing",
    )
    jobs.add_argument("--jobs", type=positive, metavar="N", help="jobs to share it (default: 4)")
    add_general_options(parser, run, json_help="one object a file as it ends")


async def run(context: CommandContext) -> None:
    """Bring the local copy up to date."""
    from maap_tui.engine.config.settings import DEFAULT_DAYS_BACK
    from maap_tui.engine.errors import InvalidRequestError

    args, report = context.args, context.report
    report.names_baselines = True
    overrides: dict[str, object] = {"paths.data_dir": args.out_dir} if args.out_dir else {}
    if args.print is None and args.jobs is not None:
        raise InvalidRequestError("--jobs needs --print", "Give --print sbatch or --print cronjob.")
    if args.print is not None and args.shard is not None:
        raise InvalidRequestError("--shard cannot be used with --print, whose jobs share it", "Leave it out.")
    async with context.session(bulk=True, overrides=overrides) as session:
        query = await query_of(args, session, days_back=DEFAULT_DAYS_BACK)
        if args.print is not None:
            _print_jobs(context)
            return
        if args.dry_run:
            async with context.watched():
                wanted = await session.would_sync(query, product_dir=session.settings.downloads.product_dir)
            list_wanted(context, wanted, session.dirs.data_dir)
            return
        context.check_token(session)
        context.prints_files()
        async with moved(context, session):
            done = await session.sync(query, product_dir=session.settings.downloads.product_dir)
        if done.refused:
            report.codes.add(WRONG)
        if done.lacking is not None:
            report.fail(done.lacking)
        if done.failed_days:
            report.say(unsearched(len(done.failed_days)))
        if done.undecided:
            from maap_tui.engine.workflows.sync import UNREAD_DAYS

            report.say(f"{plural(done.undecided, 'file')} of {UNREAD_DAYS} left alone")
        if done.held_back:
            report.say(f"{plural(done.held_back, 'file')} left for another run (--max-items)")
        summarise(
            context,
            done.downloads,
            nothing=_nothing_new(query, done),
            nothing_to_do=f"Nothing new: {plural(len(done.downloads.skipped), 'file')} were here already, "
            "now registered as downloaded",
        )


def _print_jobs(context: CommandContext) -> None:
    from maap_tui.engine.workflows import scripts

    args = context.args
    name = "-".join(filter(None, (args.product, args.baseline)))
    make = scripts.sbatch_script if args.print == "sbatch" else scripts.cronjob_manifest
    context.output.lines(make(words_of(args, "sync"), name, args.jobs or DEFAULT_JOBS).splitlines())


def _nothing_new(query: Query, done: SyncReport) -> str:
    when = f" {_when(query)}" if query.time else ""
    if done.failed_days or done.undecided:
        return f"Nothing was fetched{when}"
    if not done.found:
        part = f" in part {query.shard}" if query.shard else ""
        return f"Nothing new: the archive has no such file{when}{part}"
    if done.already >= done.found:
        verb = "is" if done.found == 1 else "are"
        return f"Nothing new: all {plural(done.found, 'file')}{when} {verb} downloaded already"
    return (
        f"Nothing new: {format_count(done.already)} of {plural(done.found, 'file')}{when} downloaded already"
    )


def _when(query: Query) -> str:
    assert query.time is not None
    first, last = query.time.first_day, query.time.last_day
    return f"of {first}" if first == last else f"from {first} to {last}"
