"""`maap news`: what has arrived at the archive and is not here, without fetching it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maap_tui.cli.context import CommandContext
from maap_tui.cli.options import add_command, add_general_options, add_names
from maap_tui.text import format_count

if TYPE_CHECKING:
    from maap_tui.engine.query import Query
    from maap_tui.engine.session import Session
    from maap_tui.engine.workflows.arrivals import Arrival, News

_NOTES = """\
New came within {days} days of its sensing, late after that; reprocessed was made
more than 30 days after its sensing. Without --since it goes on from where the
last `maap sync ... --since-last` of the baseline got to, else it looks at the
last {days} days. Nothing is fetched, and the next sync is not changed by it."""


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    from maap_tui.engine.config.settings import DEFAULT_DAYS_BACK

    parser = add_command(
        subparsers,
        "news",
        words,
        arguments="[COLLECTION [PRODUCT [BASELINE]]]",
        examples=(
            "maap news",
            "maap news EarthCAREL2Validated_MAAP CPR_CLD_2A BC --since 7d",
        ),
        notes=_NOTES.format(days=DEFAULT_DAYS_BACK),
    )
    add_names(parser, required=0, baselines="such as BC")
    choice = parser.add_argument_group("choice")
    choice.add_argument("--since", metavar="TIME", help="arrived from then on: 7d, 12h or a UTC day or time")
    choice.add_argument(
        "--format", metavar="FORMAT", help="files that have to be here (default: the mission's)"
    )
    output = parser.add_argument_group("output")
    output.add_argument("--list", action="store_true", help="print a line a granule in place of the counts")
    add_general_options(parser, run, json_help="one object a baseline, or a granule with --list")


async def run(context: CommandContext) -> None:
    """Ask what has arrived, and print it."""
    from maap_tui.engine.errors import InvalidRequestError, MaapError
    from maap_tui.engine.query import parse_formats
    from maap_tui.engine.time_words import read_moment

    args, output, report = context.args, context.output, context.report
    report.names_baselines = True
    async with context.session() as session:
        since = None
        if args.since is not None:
            since, _ = read_moment(args.since, session.now(), "--since")
            if since >= session.now():
                raise InvalidRequestError(
                    f"--since ({args.since[:40]}) lies in the future", "Give an earlier one."
                )
        formats = parse_formats(args.format) if args.format is not None else ()
        queries = [query.replace(formats=formats) for query in await _queries_of(context, session)]
        if not queries:
            report.say("Nothing is tracked yet; name a collection, as in maap news COLLECTION PRODUCT")
            return
        async with context.watched():
            found = await session.all_news(queries, since=since, briefly=True)
    rows: list[tuple[str, ...]] = []
    for query, one in zip(queries, found, strict=True):
        if isinstance(one, MaapError):
            names = (query.collection, query.product_type, query.baseline)
            report.fail(one, " ".join(filter(None, names)) if len(queries) > 1 else "")
        elif args.list:
            for arrival in one.arrivals:
                if output.as_json:
                    output.record(_granule_record(arrival), at_once=False)
                elif not arrival.is_here:
                    rows.append((arrival.kind, _time(arrival), arrival.granule.id))
        elif output.as_json:
            output.record(_record(query, one), at_once=False)
        else:
            rows.append(_row(query, one))
    output.flush()
    if rows:
        head = ("Collection", "Product", "Base", "New", "Late", "Reprocessed", "Here", "Since")
        output.table(rows if args.list else [head, *rows])


async def _queries_of(context: CommandContext, session: Session) -> list[Query]:
    """The baselines that are tracked of the names given; where there are none, what the archive has."""
    from maap_tui.engine.workflows.arrivals import queries_of

    args = context.args
    products: list[tuple[str, str, str | None]] = []
    if args.product is not None:
        products = [(args.collection, args.product, args.baseline)]
    elif args.collection is not None:
        known = await session.catalogue.queryables(args.collection)
        products = [(args.collection, product, None) for product in known.products]
    return queries_of(
        session,
        products,
        collection=args.collection,
        product_type=args.product,
        baseline=args.baseline,
    )


def _row(query: Query, found: News) -> tuple[str, ...]:
    from maap_tui.engine.workflows.arrivals import KINDS

    # Of what could not be asked there may be more.
    least = "+" if found.failed else ""
    counts = (f"{format_count(found.counts[kind])}{least}" for kind in KINDS)
    since = "the last sync" if found.since is None else f"{found.since:%Y-%m-%d %H:%M}"
    return (
        query.collection,
        query.product_type,
        query.baseline or "all",
        *counts,
        f"{format_count(found.here)}{least}",
        since,
    )


def _record(query: Query, found: News) -> dict[str, Any]:
    from maap_tui.engine.workflows.arrivals import KINDS

    return {
        "collection": query.collection,
        "product_type": query.product_type,
        "baseline": query.baseline or "",
        "since": found.since,
        "first": found.is_first,
        **{kind: found.counts[kind] for kind in KINDS},
        "here": found.here,
        "failed": [one.reason for one in found.failed],
    }


def _granule_record(arrival: Arrival) -> dict[str, Any]:
    granule = arrival.granule
    return {
        "id": granule.id,
        "kind": arrival.kind,
        "here": arrival.is_here,
        "collection": granule.collection,
        "product_type": granule.product_type,
        "baseline": granule.baseline,
        "sensing_start": granule.sensing_start,
        "created": granule.created,
        "published": granule.published,
        "updated": granule.updated,
    }


def _time(arrival: Arrival) -> str:
    came = arrival.granule.published or arrival.granule.updated
    return "" if came is None else f"{came:%Y-%m-%d %H:%M}"
