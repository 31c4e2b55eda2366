"""`maap cite`: DOIs and a paragraph on the availability of data, of what is here or of a frozen study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from maap_tui.cli.commands.download import refuse_options
from maap_tui.cli.context import CommandContext
from maap_tui.cli.options import add_command, add_general_options, add_names, add_time, span_of
from maap_tui.cli.report import AGAIN, WRONG

if TYPE_CHECKING:
    from maap_tui.engine.studies.citing import Citation, Cited

_NOTES = """\
COLLECTION may be the folder of a frozen study. Of what is here the archive is
asked for one granule of each baseline, which says the DOI."""

_UNUSED = ("product", "baseline", "date", "start", "end", "days_back")


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "cite",
        words,
        usage="%(prog)s (FOLDER | [COLLECTION [PRODUCT [BASELINE]]]) [options]",
        examples=("maap cite", "maap cite study/ --bibtex"),
        notes=_NOTES,
    )
    add_names(parser, required=0)
    add_time(parser)
    output = parser.add_argument_group("output")
    output.add_argument("--bibtex", action="store_true", help="print entries for BibTeX")
    add_general_options(parser, run, json_help="one object a product and baseline")


async def run(context: CommandContext) -> int:
    """Print how data is cited."""
    from maap_tui.engine.studies.citing import availability, availability_text, lacking_words

    output = context.output
    citation = await _citation(context)
    if not citation.cited:
        context.report.say("Nothing of it is here")
        return context.report.code
    if output.as_json:
        for one in citation.cited:
            output.record(_record_of(one), at_once=False)
    elif context.args.bibtex:
        output.lines(citation.bibtex.splitlines())
    else:
        rows = [("Product", "Baseline", "Files", "DOI")]
        rows += [
            (one.product_type, one.baseline, str(one.files), f"https://doi.org/{one.doi}" if one.doi else "")
            for one in citation.cited
        ]
        output.table(rows)
        output.line("")
        output.lines(
            availability_text(availability(citation.cited, frozen=citation.frozen)).rstrip().splitlines()
        )
    for problem in citation.problems:
        context.report.warn(problem)
        context.report.codes.add(AGAIN)
    if not citation.problems and (lacking := lacking_words(citation.cited)):
        context.report.warn(lacking)
    return context.report.code


async def _citation(context: CommandContext) -> Citation:
    import asyncio

    from maap_tui.engine.studies.citing import Citation, of_study
    from maap_tui.engine.studies.study import is_study, read_study

    args = context.args
    folder = Path(args.collection).expanduser() if args.collection else None
    if folder is not None and ("/" in args.collection or is_study(folder)):
        refuse_options(args, args.collection, _UNUSED, "a study, which is cited whole")
        study = await asyncio.to_thread(read_study, folder)
        return Citation(tuple(of_study(study)), study.frozen.date())
    async with context.session() as session:
        span = span_of(args, session.now())
        names = args.collection, args.product, args.baseline
        keys = await asyncio.to_thread(session.registry.tracked_of, *names)
        if not keys and args.collection:
            context.report.codes.add(WRONG)
        return await session.cite(keys, span)


def _record_of(one: Cited) -> dict[str, Any]:
    return {
        "collection": one.collection,
        "mission": one.mission,
        "product_type": one.product_type,
        "baseline": one.baseline,
        "title": one.title,
        "doi": one.doi,
        "granules": one.granules,
        "files": one.files,
        "bytes": one.size,
        "first": one.first,
        "last": one.last,
    }
