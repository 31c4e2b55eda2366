"""`maap freeze`: the files that a study was done with, as lists that others can have them again from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from maap_tui.cli.commands.download import refuse_options
from maap_tui.cli.context import CommandContext
from maap_tui.cli.options import NAMES, add_command, add_general_options, add_query_options
from maap_tui.cli.report import AGAIN
from maap_tui.cli.saved import choices_of, take_saved
from maap_tui.text import format_bytes, format_count, plural

if TYPE_CHECKING:
    from maap_tui.engine.session import Session
    from maap_tui.engine.studies.declaration import Declaration
    from maap_tui.engine.workflows.freezing import FreezeReport, FrozenFile

_NOTES = """\
STUDY.toml declares a study:
  [study]
  title = "Clouds of one morning"
  authors = ["A. Author <0000-0002-1825-0097>"]
  [select]
  collection = "EarthCAREL2Validated_MAAP"
  products = ["CPR_CLD_2A:BC", "MSI_COP_2A:BC"]
  date = 2025-12-01
What is here is read whole, verified and hashed; what is not is named, with exit
code 3."""
_DECLARED = (
    "saved", "date", "start", "end", "days_back", "orbit", "frame", "track", "format", "max_items",
    "all_versions", "bbox", "point", "radius", "area", "title", "author",
)  # fmt: skip
"""Options that say what a file says that declares a study."""


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "freeze",
        words,
        usage="%(prog)s STUDY.toml|(COLLECTION PRODUCT [BASELINE]) -o DIR [options]",
        examples=(
            "maap freeze STUDY.toml -o study/",
            "maap freeze EarthCAREL2Validated_MAAP CPR_CLD_2A BC --date 2025-12 -o study/",
        ),
        notes=_NOTES,
    )
    add_query_options(parser, required_names=0, takes_all=True)
    study = parser.add_argument_group("study (where no STUDY.toml says it)")
    study.add_argument("--title", metavar="TEXT", help="its title (default: what is frozen)")
    study.add_argument(
        "--author", action="append", metavar="NAME", help="Name, or Name <ORCID>; may be repeated"
    )
    output = parser.add_argument_group("output")
    output.add_argument("-o", "--output", metavar="DIR", required=True, help="where the lists are written")
    output.add_argument("--get", action="store_true", help="fetch what is not here first")
    output.add_argument(
        "--local", action="store_true", help="ask nothing; the registry alone, which knows no DOIs"
    )
    output.add_argument("--datalad", action="store_true", help="write addurls.csv for datalad addurls too")
    output.add_argument("--force", action="store_true", help="replace another study, or one that loses files")
    add_general_options(parser, run, json_help="one object a file")


async def run(context: CommandContext) -> None:
    """Freeze, and say what is in it and what is not."""
    from maap_tui.engine.errors import InvalidRequestError
    from maap_tui.engine.storage.places import demand_path

    args = context.args
    if args.get and args.local:
        raise InvalidRequestError("--get cannot be used with --local, which asks nothing", "Leave one out.")
    folder = Path(demand_path(args.output)).expanduser()
    async with context.session(bulk=bool(args.get)) as session:
        if args.get:
            context.begin_run("freeze", session.dirs)
        declaration = _declaration(context, session)
        async with context.watched():
            report = await session.freeze(
                declaration,
                folder,
                ask=not args.local,
                get=args.get,
                force=args.force,
                datalad=args.datalad,
                begun=lambda count: context.report.detail(f"{plural(count, 'file')} to be looked at"),
            )
    context.output.goes_on = True  # the study is written, and its exit code counts
    for one in report.files:
        if context.output.as_json:
            context.output.record(_record_of(one), at_once=False)
        elif one.state != "frozen":
            context.output.line(f"{one.state}: {one.file.name}" + (f" ({one.reason})" if one.reason else ""))
    context.output.flush()
    _summarise(context, report, folder)


def _declaration(context: CommandContext, session: Session) -> Declaration:
    from maap_tui.engine.errors import InvalidRequestError
    from maap_tui.engine.studies.declaration import Declaration, author_of, read_declaration

    args = context.args
    if args.collection is not None and args.product is None and args.collection.lower().endswith(".toml"):
        refuse_options(args, args.collection, _DECLARED, "which declares the study")
        return read_declaration(Path(args.collection).expanduser(), session.now())
    take_saved(context)
    if args.area == "-":
        raise InvalidRequestError("An area from stdin cannot be frozen", "Name a file, or give its text.")
    names = " ".join(filter(None, (getattr(args, name) for name in NAMES[1:])))
    return Declaration(
        args.title or f"{names} of {args.collection}",
        (choices_of(args),),
        tuple(author_of(text) for text in args.author or ()),
    )


def _record_of(one: FrozenFile) -> dict[str, Any]:
    record = one.file.record()
    record["state"] = one.state
    record["place"] = str(one.place) if one.place is not None else None
    record["reason"] = one.reason
    return record


def _summarise(context: CommandContext, report: FreezeReport, folder: Path) -> None:
    from maap_tui.engine.studies.citing import lacking_words, of_study

    say = context.report
    study = report.study
    lacking, bad = report.of_state("not here"), report.of_state("bad")
    if lacking or bad:
        say.codes.add(AGAIN)
    if report.downloads is not None and report.downloads.downloaded:
        say.say(f"Downloaded {plural(len(report.downloads.downloaded), 'file')}")
    if report.unlisted:
        say.say(f"{plural(report.unlisted, 'file')} here that the archive does not list any more")
    if lacking:
        hint = "" if context.args.get else "; --get fetches them"
        say.say(f"{plural(len(lacking), 'file')} not here{hint}")
    if bad:
        say.say(f"{plural(len(bad), 'file')} not what came; `maap verify --repair` fetches them again")
    if not study.files:
        say.say("Nothing was frozen")
        return
    if no_doi := lacking_words(of_study(study)):
        say.warn(no_doi)
    if report.problem:
        say.warn(report.problem)
    what = f"{plural(len(study.files), 'file')} of {plural(len(study.granules), 'granule')}"
    done = "Froze" if report.is_new else "Nothing has changed in"
    rest = f" of {format_count(len(report.files))} meant" if lacking or bad else ""
    say.say(f"{done} {what} ({format_bytes(study.size)}){rest} in {folder}")
