"""`maap sync`: search, register and download what is pending; made for cron."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maap_tui.cli.commands.search import report_disclaimed, unsearched
from maap_tui.cli.context import CommandContext
from maap_tui.cli.download_options import (
    add_download_options,
    add_hook_options,
    add_lock_wait,
    hook_of,
    list_wanted,
    moved,
    summarise,
)
from maap_tui.cli.options import (
    add_command,
    add_general_options,
    add_query_options,
    positive,
    query_of,
    words_of,
)
from maap_tui.cli.report import AGAIN, WRONG
from maap_tui.cli.saved import take_saved
from maap_tui.text import format_count, plural

if TYPE_CHECKING:
    from argparse import Namespace
    from datetime import timedelta

    from maap_tui.engine.query import Query
    from maap_tui.engine.session import Session
    from maap_tui.engine.workflows.sync import SyncReport

DEFAULT_JOBS = 4

_EXAMPLES = (
    "maap sync EarthCAREL2Validated_MAAP CPR_CLD_2A BC",
    "maap sync EarthCAREL2Validated_MAAP CPR_CLD_2A BC --days-back 7 --quiet",
    "maap sync EarthCAREL2Validated_MAAP CPR_CLD_2A BC --since-last",
)
_NOTES = """\
What earlier runs left in the range is fetched too. Each day that could not be
searched is a line `FAILED DAY: BASELINE YYYY-MM-DD (REASON)` on stderr, and the
exit code is 3: run it again. With --since-last comes what has arrived at the
archive since the last such run, however long ago it was sensed; the first of
them takes what arrived in the last --days-back days, or all of a time that
--start gives. In a crontab, each day at six:
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
    arrivals = parser.add_argument_group("late and reprocessed granules")
    arrivals.add_argument(
        "--since-last",
        action="store_true",
        help="fetch what has arrived since the last run with this option, whenever it was sensed",
    )
    add_download_options(parser, out_dir_help="in place of the data folder, with the dated layout in it")
    add_hook_options(parser, "file", "day")
    add_lock_wait(parser)
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
    from maap_tui.engine.errors import InvalidRequestError

    args, report = context.args, context.report
    report.names_baselines = True
    take_saved(context)
    words = words_of(args, "sync")  # before the newest baseline gets its name
    overrides: dict[str, object] = {"paths.data_dir": args.out_dir} if args.out_dir else {}
    if args.print is None and args.jobs is not None:
        raise InvalidRequestError("--jobs needs --print", "Give --print sbatch or --print cronjob.")
    if args.print is not None and args.shard is not None:
        raise InvalidRequestError("--shard cannot be used with --print, whose jobs share it", "Leave it out.")
    async with context.session(bulk=True, overrides=overrides) as session:
        if args.print is None and not args.dry_run:
            context.begin_run("sync", session.dirs)
        hook = hook_of(context, session, "file")
        query, since_last = await _query_of(args, session)
        if args.print is not None:
            _print_jobs(context, words)
            return
        product_dir = session.settings.downloads.product_dir
        if args.dry_run:
            async with context.watched():
                done = await session.would_sync(query, product_dir=product_dir, since_last=since_last)
            _say_found(context, query, done, since_last)
            await list_wanted(context, session, list(done.wanted.values()))
            return
        context.check_token(session)
        context.prints_files()
        async with moved(context, session):
            done = await session.sync(query, product_dir=product_dir, hook=hook, since_last=since_last)
        _say_found(context, query, done, since_last)
        summarise(
            context,
            done.downloads,
            nothing=_nothing_new(query, done, since_last=since_last is not None),
            nothing_to_do=f"Nothing new: {plural(len(done.downloads.skipped), 'file')} were here already, "
            "now registered as downloaded",
        )


async def _query_of(args: Namespace, session: Session) -> tuple[Query, timedelta | None]:
    """What the options mean; the second is how far back a first run since the last one looks."""
    from datetime import timedelta

    from maap_tui.engine.config.settings import DEFAULT_DAYS_BACK
    from maap_tui.engine.errors import InvalidRequestError
    from maap_tui.engine.model import TimeRange

    if not args.since_last:
        return await query_of(args, session, days_back=DEFAULT_DAYS_BACK), None
    if args.date is not None or (args.days_back is not None and (args.start or args.end)):
        given = "--date" if args.date is not None else "--days-back with --start or --end"
        raise InvalidRequestError(
            f"{given} cannot be used with --since-last",
            "Limit the sensing time with --start and --end, or the first run with --days-back.",
        )
    days, args.days_back = args.days_back or DEFAULT_DAYS_BACK, None
    query = await query_of(args, session)
    if query.time is not None and args.end is None:
        # What has arrived by then is sensed by then, and the end of today is not that of the next run.
        end = session.mission_of(query.collection).end
        query = query.replace(time=TimeRange(query.time.start, max(end, query.time.end)), open_end=True)
    return query, timedelta(days=days)


def _say_found(context: CommandContext, query: Query, done: SyncReport, since_last: timedelta | None) -> None:
    """Say what of the archive's files is not fetched, and what that means to the exit code."""
    args, report = context.args, context.report
    if since_last is not None:
        _say_arrived(context, done, since_last)
    report_disclaimed(context, query)
    context.found = done.found
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
        held = f"{plural(done.held_back, 'file')} left for another run"
        if args.max_items is None:
            report.warn(f"{held} (search.max_items)")
            report.codes.add(AGAIN)
        else:
            report.say(f"{held} (--max-items)")


def _say_arrived(context: CommandContext, done: SyncReport, first: timedelta) -> None:
    from maap_tui.engine.model import to_zulu
    from maap_tui.engine.workflows.arrivals import words_of as counted

    since = "" if done.since is None else f" since {to_zulu(done.since.replace(microsecond=0))}"
    if done.is_first:
        context.report.say(
            "The first run of its kind: all of the time range"
            if done.since is None
            else f"The first run of its kind: what arrived in the last {plural(first.days, 'day')}"
        )
    context.report.say(f"Arrived{since}: {counted(done.arrived)}")


def _print_jobs(context: CommandContext, words: list[str]) -> None:
    from maap_tui.engine.shard import Shard
    from maap_tui.engine.workflows import scripts

    args = context.args
    name = "-".join(filter(None, (args.product, args.baseline)))
    make = scripts.sbatch_script if args.print == "sbatch" else scripts.cronjob_manifest
    jobs = args.jobs or DEFAULT_JOBS
    Shard(jobs, jobs)  # refuses more than there can be
    context.output.lines(make(words, name, jobs).splitlines())


def _nothing_new(query: Query, done: SyncReport, *, since_last: bool) -> str:
    when = f" {_when(query)}" if query.time and not query.open_end else ""
    if done.failed_days or done.undecided:
        return f"Nothing was fetched{when}"
    if since_last:
        return "Nothing to fetch"
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
