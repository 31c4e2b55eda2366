"""`maap quality`: data gaps and disclaimers, read from the sheets of the settings, and what they affect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maap_tui.cli.context import CommandContext
from maap_tui.cli.options import add_actions, add_command, add_general_options, add_names, add_time, span_of
from maap_tui.cli.report import WRONG, code_of
from maap_tui.text import format_count, format_time, plural

if TYPE_CHECKING:
    from maap_tui.engine.model import TimeRange
    from maap_tui.engine.quality.notices import Notice
    from maap_tui.engine.session import Session

_NOTES = """\
The settings quality.gaps and quality.disclaimers name the sheets, files or
addresses of CSV with the columns id, start, stop, first_frame, last_frame,
products, baseline and text. In a crontab, each Monday:
  0 5 * * 1 maap quality update --quiet"""
_SHOWN = 10


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "quality",
        words,
        arguments="ACTION",
        examples=("maap quality update", "maap quality list", "maap quality show"),
        notes=_NOTES,
    )
    actions = add_actions(parser)
    add_general_options(parser)

    update = add_command(
        actions,
        "update",
        "read the sheets that the settings name, and keep what they say",
        examples=("maap quality update",),
        notes="A sheet that cannot be read is a warning, and what was kept of it stays.",
    )
    add_general_options(update, update_sheets, json_help="one object a sheet")

    listing = add_command(
        actions,
        "list",
        "list the gaps and disclaimers that are known",
        arguments="[COLLECTION [PRODUCT [BASELINE]]]",
        examples=("maap quality list", "maap quality list --date 2025-12 --json"),
    )
    add_names(listing, required=0)
    add_time(listing)
    add_general_options(listing, list_notices, json_help="one object a notice")

    show = add_command(
        actions,
        "show",
        "show which files here are affected, and by what",
        arguments="[COLLECTION [PRODUCT [BASELINE]]]",
        examples=("maap quality show", "maap quality show EarthCAREL2Validated_MAAP CPR_CLD_2A BC"),
        notes="Of files here the name alone is known: a frame has the mean length then.",
    )
    add_names(show, required=0)
    add_time(show)
    add_general_options(show, show_affected, json_help="one object a file that is affected")


async def update_sheets(context: CommandContext) -> None:
    """Read the sheets again."""
    from maap_tui.engine.quality.notices import WORDS
    from maap_tui.engine.workflows.quality import update_quality

    report, output = context.report, context.output
    async with context.session() as session:
        async with context.watched():
            found = await update_quality(session)
    for one in found:
        for line, reason in one.sheet.refused[: None if report.verbosity else _SHOWN]:
            report.refuse(f"line {line} of {one.source}", reason)
        if left := len(one.sheet.refused) - _SHOWN:
            if left > 0 and not report.verbosity:
                report.say(f"{plural(left, 'more line')} of {one.source} cannot be used; -v names them")
        if one.problem is not None:
            report.warn(f"{one.problem.sentences.rstrip('.')}; what was read before stays")
            report.codes.add(code_of(one.problem))
        if one.sheet.refused:
            report.codes.add(WRONG)
        if one.sheet.unknown:
            report.detail(f"Columns of {one.source} that are left aside: {', '.join(one.sheet.unknown)}")
        count = len(one.stored.notices) if one.stored is not None else None
        if output.as_json:
            output.record(
                {
                    "kind": one.kind,
                    "source": one.source,
                    "notices": count,
                    "refused": len(one.sheet.refused),
                    "problem": one.problem.message if one.problem is not None else "",
                }
            )
        elif count is not None:
            output.line(f"{plural(count, WORDS[one.kind])} in {one.source}")


async def list_notices(context: CommandContext) -> None:
    """Print what is known."""
    args, output = context.args, context.output
    async with context.session() as session:
        span = span_of(args, session.now())
        mission = session.mission_of(args.collection).name if args.collection else ""
        chosen = [one for one in session.quality.notices().all if _is_meant(one, args, mission, span)]
        _say_state(context, session)
    if output.as_json:
        for one in chosen:
            output.record(one.record(), at_once=False)
    elif chosen:
        rows = [("Kind", "Id", "Range", "Products", "Baselines", "Text")]
        rows += [
            (
                one.kind,
                one.id,
                one.range_words,
                ", ".join(one.products) or "all",
                ", ".join(one.baselines) or "all",
                one.text[:80],
            )
            for one in chosen
        ]
        output.table(rows)
    output.flush()


def _is_meant(one: Notice, args: Any, mission: str, span: TimeRange | None) -> bool:
    if mission and one.mission != mission:
        return False
    if args.product and not one.is_about(one.mission, args.product, args.baseline):
        return False
    if span is None or one.start is None or one.end is None:
        return True
    return one.start < span.end and one.end >= span.start


async def show_affected(context: CommandContext) -> int:
    """Print the files here that are affected."""
    import asyncio

    from maap_tui.engine.workflows.quality import affected_here

    args, output = context.args, context.output
    async with context.session() as session:
        span = span_of(args, session.now())
        names = args.collection, args.product, args.baseline
        keys = await asyncio.to_thread(session.registry.tracked_of, *names)
        if not keys:
            context.report.say(f"The registry {session.dirs.registry_dir} tracks nothing of this yet.")
            if args.collection:
                context.report.codes.add(WRONG)
            return context.report.code
        found = await asyncio.to_thread(affected_here, session, keys, span)
        _say_state(context, session)
    for file, notices in found.affected:
        if output.as_json:
            output.record(
                {
                    "path": file.path,
                    "url": file.url,
                    "collection": file.key.collection,
                    "product_type": file.key.product_type,
                    "baseline": file.key.baseline,
                    "quality": [one.record() for one in notices],
                },
                at_once=False,
            )
        else:
            output.line(f"{file.path}: {'; '.join(one.title for one in notices)}")
    output.flush()
    context.report.say(f"{plural(len(found.affected), 'file')} of {format_count(found.files)} here affected")
    return context.report.code


def _say_state(context: CommandContext, session: Session) -> None:
    """Say where what is known comes from, and when it was read."""
    from maap_tui.engine.quality.notices import WORDS
    from maap_tui.engine.workflows.quality import stale_words

    stored = session.quality.stored()
    if not stored:
        context.report.say("No gap and no disclaimer is known here; `maap quality update` reads the sheets")
    for one in stored.values():
        count = plural(len(one.notices), WORDS[one.kind])
        context.report.say(f"{count} of {one.source}, read {format_time(one.updated)}")
        if words := stale_words(session, one):
            context.report.warn(words)
