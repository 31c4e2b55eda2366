"""`maap state`: what the registry says of a product, and marking and deleting what was processed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from maap_tui.cli.context import CommandContext
from maap_tui.cli.options import (
    add_actions,
    add_command,
    add_general_options,
    add_names,
    add_shard,
    add_time,
    span_of,
)
from maap_tui.cli.report import AGAIN, WRONG
from maap_tui.cli.texts import read_text
from maap_tui.text import format_bytes, format_count, plural

if TYPE_CHECKING:
    from maap_tui.engine.config.settings import Settings
    from maap_tui.engine.model import TimeRange
    from maap_tui.engine.registry.baseline import BaselineRegistry
    from maap_tui.engine.registry.entries import Stats
    from maap_tui.engine.registry.registry import Registry
    from maap_tui.engine.workflows.marks import MarkReport

_HEADINGS = (
    ("Total URLs", "total_urls"),
    ("Downloaded", "downloaded"),
    ("Marked", "marked"),
    ("Errors", "errors"),
    ("Pending downloads", "pending_downloads"),
    ("Pending marks", "pending_marks"),
    ("Here", "here"),
    ("Deleted", "deleted"),
)


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    state = add_command(
        subparsers,
        "state",
        words,
        arguments="ACTION",
        examples=("maap state show", "maap state pending EarthCAREL2Validated_MAAP CPR_CLD_2A BC"),
    )
    actions = add_actions(state)
    add_general_options(state)

    show = add_command(
        actions,
        "show",
        "show the counts of one baseline, or a table of all",
        arguments="[COLLECTION [PRODUCT [BASELINE]]]",
        examples=("maap state show", "maap state show EarthCAREL2Validated_MAAP CPR_CLD_2A BC -d 30"),
    )
    add_names(show, required=0)
    add_time(show)
    add_general_options(show, show_state, json_help="one object a baseline")

    pending = add_command(
        actions,
        "pending",
        "list files that are not downloaded or not marked yet",
        arguments="COLLECTION PRODUCT BASELINE",
        examples=("maap state pending EarthCAREL2Validated_MAAP CPR_CLD_2A BC --type marks",),
    )
    add_names(pending, required=3)
    add_time(pending)
    choice = pending.add_argument_group("choice of files")
    choice.add_argument(
        "--type",
        choices=("downloads", "marks"),
        default="downloads",
        help="what is to be downloaded, or what is to be marked (default: downloads)",
    )
    choice.add_argument("--format", metavar="FORMAT", help="only these formats, as h5,hdr (default: all)")
    add_general_options(pending, list_pending, json_help="one object a file")

    for verb, run, purpose in (
        ("mark", mark, "mark downloaded files as processed"),
        ("unmark", unmark, "take marks away"),
    ):
        parser = add_command(
            actions,
            verb,
            purpose,
            arguments="[PATH ...]",
            examples=(f"maap state {verb} granule.h5", f"maap state {verb} --file paths.txt"),
        )
        parser.add_argument("paths", nargs="*", metavar="PATH", help="downloaded files")
        parser.add_argument("-f", "--file", metavar="FILE", help="paths from a file, one a line; - for stdin")
        add_general_options(parser, run)

    importing = add_command(
        actions,
        "import",
        "record files of a plan that another program fetched",
        arguments="PLAN",
        examples=("maap state import plan.jsonl",),
        notes="Each file has to be where `maap download` would have put it. It is compared with\n"
        "the size of the plan and with its own structure, hashed and recorded.",
    )
    importing.add_argument("plan", metavar="PLAN", help="what `maap plan` wrote; - for stdin")
    add_shard(importing)
    add_general_options(importing, import_plan, json_help="one object a file")

    clean_up = add_command(
        actions,
        "cleanup",
        "delete the marked files of a baseline",
        arguments="COLLECTION PRODUCT BASELINE",
        examples=("maap state cleanup EarthCAREL2Validated_MAAP CPR_CLD_2A BC --dry-run",),
    )
    add_names(clean_up, required=3)
    clean_up.add_argument("--dry-run", action="store_true", help="only list what would be deleted")
    add_general_options(clean_up, cleanup, json_help="one object a file")


async def import_plan(context: CommandContext) -> None:
    """Record what is here whole of a plan, and say what is not."""
    import asyncio
    from collections import Counter

    from maap_tui.cli.commands.download import requests_of_plan
    from maap_tui.engine.workflows import plan

    report = context.report
    context.prints_files()  # what is recorded does not depend on a reader
    async with context.session() as session:
        found = plan.import_plan(session, requests_of_plan(context, session, context.args.plan))
        counts: Counter[str] = Counter()
        size = 0
        while (one := await asyncio.to_thread(next, found, None)) is not None:
            verdict, is_new = one
            state = "imported" if is_new else "known" if verdict.state == "good" else verdict.state
            counts[state] += 1
            size += verdict.size if is_new else 0
            if context.output.as_json:
                context.output.record(
                    {"path": verdict.path, "url": verdict.url, "state": state, "reason": verdict.reason}
                )
            elif state not in ("imported", "known"):
                context.output.line(f"{state}: {verdict.path} ({verdict.reason})")
    known = f"; {format_count(counts['known'])} recorded before" if counts["known"] else ""
    left = counts.total() - counts["imported"] - counts["known"]
    rest = f"; {format_count(left)} not imported" if left else ""
    report.say(f"Imported {plural(counts['imported'], 'file')} ({format_bytes(size)}){known}{rest}")
    if left:
        report.codes.add(AGAIN)


def show_state(context: CommandContext) -> None:
    """Print counts of one baseline, or a row for each that matches."""
    from maap_tui.engine.registry.spans import stats_of

    args = context.args
    registry, config = context.registry()
    span = span_of(args, datetime.now(UTC))
    stats: Stats | None
    if args.baseline is not None:
        _show_one(context, registry, _tracker(context, registry, config), span)
        return
    keys = registry.tracked_of(args.collection, args.product)
    rows = []
    for key in keys:
        stats = None
        with registry.skip_unreadable():
            stats = stats_of(registry.baseline(key), span)
        if stats is None:
            continue
        if context.output.as_json:
            context.output.record(
                {
                    "mission": key.mission,
                    "collection": key.collection,
                    "product_type": key.product_type,
                    "baseline": key.baseline,
                    **stats.as_view(),
                }
            )
            continue
        counts = stats.as_view()
        rows.append(
            (key.collection, key.product_type, key.baseline, *(f"{counts[name]:,}" for _, name in _HEADINGS))
        )
    if rows:
        context.output.table(
            [("COLLECTION", "PRODUCT", "BASELINE", *(_short(title) for title, _ in _HEADINGS)), *rows]
        )
    if not keys:
        context.report.say(f"The registry {registry.root} tracks nothing of this yet.")


def _short(title: str) -> str:
    return title.upper().replace(" ", "-")


def _tracker(context: CommandContext, registry: Registry, config: Settings) -> BaselineRegistry:
    """The registry of the baseline that is named, found without regard to case."""
    from maap_tui.engine.missions import mission_of_collection

    args = context.args
    mission = mission_of_collection(args.collection, config.mission.name).name
    return registry.baseline(registry.keys_of(args.collection, args.product, args.baseline, mission)[0])


def _show_one(
    context: CommandContext, registry: Registry, tracker: BaselineRegistry, span: TimeRange | None
) -> None:
    from maap_tui.engine.registry.spans import stats_of

    args, key = context.args, tracker.key
    counts = stats_of(tracker, span).as_view()
    if context.output.as_json:
        context.output.record(
            {
                "mission": key.mission,
                "collection": key.collection,
                "product_type": key.product_type,
                "baseline": key.baseline,
                **counts,
            }
        )
        return
    if not any(counts.values()) and key not in registry.tracked():
        context.report.say("The registry tracks no such baseline; `maap state show` lists those it does.")
    when = f" ({span})" if span else ""
    context.output.line(f"State for {args.collection}/{args.product}/{args.baseline}{when}:")
    for title, name in _HEADINGS:
        context.output.line(f"{title + ':':<21}{counts[name]}")


def list_pending(context: CommandContext) -> None:
    """Print URLs that are to be downloaded, or paths that are to be marked."""
    from maap_tui.engine.file_names import has_format
    from maap_tui.engine.registry.spans import days_of, starts_in

    args = context.args
    registry, config = context.registry()
    formats = _formats_of(args.format) if args.format is not None else ()
    span = span_of(args, datetime.now(UTC))
    tracker = _tracker(context, registry, config)
    count = 0
    for day, pairs in tracker.pending_days(args.type, *days_of(span)):
        if span is not None or formats:
            pairs = [
                (url, path)
                for url, path in pairs
                if starts_in(span, url) and (not formats or any(has_format(url, name) for name in formats))
            ]
        if args.type == "marks":
            pairs.sort()  # theirs come by path
        count += len(pairs)
        if context.output.as_json:
            for url, path in pairs:
                context.output.record({"url": url, "path": path, "day": day}, at_once=False)
        else:
            context.output.lines(url if args.type == "downloads" else path for url, path in pairs)
    context.output.flush()
    verb = "to download" if args.type == "downloads" else "to mark"
    context.report.say(f"{plural(count, 'file')} {verb}")


def _formats_of(text: str) -> tuple[str, ...]:
    from maap_tui.engine.query import parse_formats

    return parse_formats(text)


def _paths_of(context: CommandContext) -> list[str]:
    from maap_tui.engine.errors import InvalidRequestError
    from maap_tui.engine.workflows.url_list import read_lines

    args = context.args
    paths: list[str] = []
    if args.file is not None:
        found = read_lines(read_text(args.file, "--file"), "path")
        for number, line, reason in found.refused:
            context.report.refuse(f"line {number} of {args.file}", f"{reason}: {line[:80]}")
            context.report.codes.add(WRONG)
        paths += found.values
    paths += args.paths
    if not paths:
        raise InvalidRequestError("No paths provided", "Give paths, or a file of them with -f.")
    return list(dict.fromkeys(paths))


def mark(context: CommandContext) -> int | None:
    """Mark files; those that cannot be are listed, and the others are marked."""
    return _say_marks(context, context.session().mark(_paths_of(context)), "Marked", "marked before")


def unmark(context: CommandContext) -> int | None:
    """Take marks away, as `mark` sets them."""
    return _say_marks(context, context.session().unmark(_paths_of(context)), "Unmarked", "not marked")


def _say_marks(context: CommandContext, done: MarkReport, verb: str, otherwise: str) -> int | None:
    for path, reason in done.refused:
        context.report.refuse(path, reason)
    rest = f"; {format_count(done.already)} {otherwise}" if done.already else ""
    rest += f"; {format_count(len(done.refused))} refused" if done.refused else ""
    context.report.say(f"{verb} {plural(done.new, 'file')}{rest}")
    return WRONG if done.refused else None


def cleanup(context: CommandContext) -> None:
    """Delete marked files, or list them."""
    args, session = context.args, context.session()
    if not args.dry_run:
        context.begin_run("cleanup", session.dirs)
    report = session.cleanup(args.collection, args.product, args.baseline, dry_run=args.dry_run)
    context.deleted = (len(report.deleted), report.bytes)
    for path in report.deleted:
        if context.output.as_json:
            context.output.record({"path": path, "state": "wanted" if args.dry_run else "deleted"})
        elif args.dry_run:
            context.output.line(str(path))
        else:
            context.report.detail(f"Deleted {path}")
    context.output.flush()
    for text, reason in report.refused:
        context.report.refuse(text, reason)
    for held, why in report.held:
        context.report.detail(f"Kept {held}: {why}")
    verb = "Would delete" if args.dry_run else "Deleted"
    size = f" ({format_bytes(report.bytes)})" if report.deleted else ""
    context.report.say(f"{verb} {plural(len(report.deleted), 'file')}{size}")
    if report.held:
        context.report.say(f"Kept {plural(len(report.held), 'file')}: {report.held[0][1]}")
        context.report.codes.add(AGAIN)
    if report.refused:
        context.report.codes.add(WRONG)
