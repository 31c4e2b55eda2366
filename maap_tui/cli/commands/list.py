"""`maap list`: names of collections, product types and baselines, and what is known of one baseline."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from maap_tui.cli.context import CommandContext
from maap_tui.cli.options import add_command, add_general_options, add_names
from maap_tui.cli.signals import run_async

if TYPE_CHECKING:
    from maap_tui.engine.model import BaselineInfo
    from maap_tui.engine.session import Session


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "list",
        words,
        arguments="[COLLECTION [PRODUCT [BASELINE]]]",
        examples=(
            "maap list",
            "maap list EarthCAREL2Validated_MAAP CPR_CLD_2A --verify",
        ),
    )
    add_names(parser, required=0)
    output = parser.add_argument_group("output")
    output.add_argument("--verify", action="store_true", help="ask the archive instead of local copies")
    output.add_argument("--latest-baseline", action="store_true", help="only the latest baseline")
    output.add_argument("-l", "--long", action="store_true", help="with a description of each name")
    add_general_options(parser, run, json_help="one object a line")


def run(context: CommandContext) -> int | None:
    """List; the names of the configured collections need no engine."""
    args = context.args
    if args.collection is None and not args.verify:
        _list_known(context)
        return None
    return run_async(_ask(context), context.report)


def _list_known(context: CommandContext) -> None:
    from maap_tui.engine.missions import collections_in_use

    mission = context.settings()[0].mission
    for name in collections_in_use(mission.collections, mission.name, mission.collections_extend):
        if context.output.as_json:
            context.output.record({"collection": name})
        else:
            context.output.line(name)


async def _ask(context: CommandContext) -> None:
    args = context.args
    async with context.session() as session:
        if args.collection is None:
            await _list_archive(context, session)
        elif args.product is None:
            await _list_products(context, session)
        elif args.baseline is None:
            await _list_baselines(context, session)
        else:
            await _show_baseline(context, session)


async def _list_archive(context: CommandContext, session: Session) -> None:
    rows = []
    for one in await session.catalogue.collections():
        if context.output.as_json:
            context.output.record(
                {
                    "collection": one.id,
                    "title": one.title,
                    "restricted": one.restricted,
                    "start": one.start,
                    "end": one.end,
                }
            )
        else:
            rows.append((one.id, one.title + (" (restricted)" if one.restricted else "")))
    _print_rows(context, rows)


async def _list_products(context: CommandContext, session: Session) -> None:
    name = context.args.collection
    queryables = await session.catalogue.queryables(name, refresh=context.args.verify)
    known = session.mission_of(name).products
    rows = []
    for product_type in queryables.products:
        words = known.get(product_type)
        if context.output.as_json:
            context.output.record(
                {
                    "collection": name,
                    "product_type": product_type,
                    "short": words.short if words else "",
                    "level": words.level if words else "",
                    "instrument": words.instrument if words else "",
                    "content": words.content if words else "",
                }
            )
        else:
            shown = (words.short, words.level, words.instrument, words.content) if words else ("",) * 4
            rows.append((product_type, *shown))
    _print_rows(context, rows)
    if not queryables.products:
        context.report.say(f"{name} lists no product types; search it with the names of its documentation.")


def _print_rows(context: CommandContext, rows: Sequence[tuple[str, ...]]) -> None:
    if context.args.long and rows:
        context.output.table(rows)
    else:
        context.output.lines(row[0] for row in rows)


async def _list_baselines(context: CommandContext, session: Session) -> None:
    from maap_tui.engine.catalogue import built

    args, report = context.args, context.report
    counts: dict[str, int | None]
    if args.verify:
        found = await session.baselines_at_archive(args.collection, args.product)
        counts = {name: found[name] for name in sorted(found)}
    else:
        catalogue = built.load(session.dirs, args.collection)
        known = catalogue.products.get(args.product) if catalogue else None
        if known:
            counts = {name.upper(): known[name].count for name in sorted(known, key=str.upper)}
        else:
            queryables = await session.catalogue.check(args.collection, args.product)
            counts = dict.fromkeys(queryables.baselines)
            report.say(
                f"These are the baselines of all of {args.collection}; --verify asks the archive which of "
                f"them {args.product} has."
            )
    if not counts:
        report.say(f"{args.product} has no granules in {args.collection}.")
    names = list(counts)[-1:] if args.latest_baseline else list(counts)
    rows = []
    for name in names:
        if context.output.as_json:
            context.output.record(
                {
                    "collection": args.collection,
                    "product_type": args.product,
                    "baseline": name,
                    "count": counts[name],
                }
            )
        else:
            rows.append((name, "" if counts[name] is None else f"{counts[name]:,}"))
    _print_rows(context, rows)


async def _show_baseline(context: CommandContext, session: Session) -> None:
    from maap_tui.engine.catalogue import built
    from maap_tui.engine.errors import InvalidRequestError

    args, report = context.args, context.report
    info: BaselineInfo | None = None
    if not args.verify:
        catalogue = built.load(session.dirs, args.collection)
        info = catalogue.baseline(args.product, args.baseline) if catalogue else None
    if info is None:
        await session.catalogue.check(args.collection, args.product, args.baseline)
        if not args.verify:
            report.say("No built catalogue knows this baseline, so the archive is asked.")
        info = await session.baseline_at_archive(args.collection, args.product, args.baseline)
    if info is None or info.count == 0:
        raise InvalidRequestError(
            f"{args.product} has no baseline '{args.baseline}' in {args.collection}",
            f"See `maap list {args.collection} {args.product} --verify`.",
        )
    values = {
        "time_start": info.time_start,
        "time_end": info.time_end,
        "frame_start": info.frame_start,
        "frame_end": info.frame_end,
        "count": info.count,
        "updated_at": info.updated_at,
    }
    if context.output.as_json:
        names = {
            "collection": args.collection,
            "product_type": args.product,
            "baseline": args.baseline.upper(),
        }
        context.output.record({**names, **values})
        return
    from maap_tui.engine.model import to_zulu

    for key, value in values.items():
        text = to_zulu(value) if isinstance(value, datetime) else str(value or "")
        context.output.line(f"{key}: {text}".rstrip())
