"""`maap cut`: variables and regions of one data file, read in parts where the file is at the archive."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from maap_tui.cli.area_options import add_circle, area_of, spelled
from maap_tui.cli.context import CommandContext
from maap_tui.cli.options import add_command, add_general_options
from maap_tui.cli.report import WRONG
from maap_tui.text import clean, format_bytes

if TYPE_CHECKING:
    from maap_tui.engine.cuts.request import Cut, CutEstimate
    from maap_tui.engine.session import Session

_NOTES = """\
NAME is an HDF5 or netCDF-4 file that is here, or a granule, by its id or the
name or address of a file of it, of which only the bytes needed are fetched. The
variables that are named bring their latitude, longitude and time along. The
result is netCDF-4. It needs `pip install 'maap-tui[hdf5]'`."""


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "cut",
        words,
        arguments="NAME",
        examples=(
            "maap cut granule.h5 --var signal --bbox=-10,40,5,60 -o part.nc",
            "maap cut granule.h5 --estimate --point hyytiala --radius 100",
        ),
        notes=_NOTES,
    )
    parser.add_argument("name", metavar="NAME", help="a data file, or a granule")
    what = parser.add_argument_group("what to keep (one or several)")
    what.add_argument(
        "--var",
        action="append",
        metavar="NAMES",
        help="variables, as a,b or ScienceData/a; * is any text; may be repeated",
    )
    add_circle(what, "its points within --radius of it", older=("--around",), older_radius=("--km",))
    what.add_argument("--bbox", metavar="W,S,E,N", help="points in a box; W > E crosses the antimeridian")
    what.add_argument("--time", metavar="START/END", help="points of that time, UTC; a minute, a day or A/B")
    output = parser.add_argument_group("how")
    output.add_argument("-o", "--output", metavar="FILE", help="write the result there")
    output.add_argument(
        "--estimate", action="store_true", help="print what would be fetched and kept, and end"
    )
    output.add_argument(
        "--whole", action="store_true", help="fetch the whole file where the server sends no parts of it"
    )
    output.add_argument(
        "--collection", metavar="COLLECTION", help="where it is (default: those known to have its product)"
    )
    add_general_options(parser, run, json_help="one object for the result")


async def run(context: CommandContext) -> None:
    """Cut, or say what it would take."""
    from maap_tui.engine.cuts.request import CutResult
    from maap_tui.engine.errors import InvalidRequestError
    from maap_tui.engine.storage.places import demand_file

    args, report = context.args, context.report
    if args.output is None and not args.estimate:
        raise InvalidRequestError("Nothing says where the result goes", "Give -o FILE, or --estimate.")
    out = None if args.output is None else demand_file(args.output).expanduser()
    async with context.session(bulk=True) as session:
        wanted = _wanted(args, session)
        source = await session.cut_source(args.name, args.collection or "")
        if args.estimate or out is None:
            found = await session.estimate_cut(source, wanted, whole=args.whole)
        else:
            async with context.watched():
                _show(context, 0)
                found = await session.cut(
                    source,
                    wanted,
                    out,
                    command=shlex.join(("maap", *args.words)),
                    whole=args.whole,
                    before=lambda needs: report.say(needs.needs),
                    came=lambda count: _show(context, count),
                )
    for words in found.left_out:
        report.warn(f"Left out: {clean(words, 300)}")
        report.codes.add(WRONG)  # the file is what it is: another run leaves out the same
    if context.output.as_json:
        context.output.record(record_of(found))
    elif isinstance(found, CutResult):
        context.output.line(clean(str(found.path)))
    else:
        _print_estimate(context, found)
    if isinstance(found, CutResult):
        report.say(found.done)
    elif context.output.as_json:
        report.say(found.needs)


def _show(context: CommandContext, count: int) -> None:
    """Say in the live line how much has come."""
    if context.report.progress is not None:
        words = f"{format_bytes(count)} came" if count else "reading the headers"
        context.report.progress.phase = words


def _wanted(args: Any, session: Session) -> Cut:
    from maap_tui.engine.cuts.request import Cut
    from maap_tui.engine.errors import InvalidRequestError
    from maap_tui.engine.time_words import read_time

    time = None
    box, circle, _ = area_of(args, session.settings.sites)
    if box is not None and circle is not None:
        raise InvalidRequestError(f"{spelled(args, 'point')} cannot be used with --bbox", "Give one of them.")
    if args.time is not None:
        found = read_time(args.time, session.now(), "--time")
        if found.get("missing"):
            raise InvalidRequestError(
                f"--time '{args.time[:40]}' is for searches", "Leave out the word missing."
            )
        time = found["time"]
    names = [one.strip() for words in args.var or () for one in words.split(",")]
    if not all(names):
        raise InvalidRequestError("--var has an empty name", "Write the names as a,b.")
    return Cut(tuple(names), circle, box, time)


def _print_estimate(context: CommandContext, found: CutEstimate) -> None:
    rows = [
        (clean(one.name), one.dtype, _shape(one.shape), _shape(one.cut), format_bytes(one.bytes))
        for one in found.variables
    ]
    if rows:
        context.output.table([("Variable", "Type", "In the file", "Kept", "Bytes"), *rows])
        context.output.line("")
    if found.points:
        context.output.line(clean(found.points))
    context.output.line(found.needs)


def _shape(shape: list[int] | None) -> str:
    return "no value" if shape is None else " x ".join(map(str, shape)) or "one value"


def record_of(found: CutEstimate) -> dict[str, Any]:
    """An estimate or a result as JSON has it."""
    return {
        "source": found.source,
        "path": str(path) if (path := getattr(found, "path", None)) is not None else None,
        "size": found.size,
        "needed": found.needed,
        "requests": found.requests,
        "asked": found.asked,
        "received": getattr(found, "received", None),
        "bytes": getattr(found, "bytes", None),
        "variables": [
            {"name": one.name, "dtype": one.dtype, "shape": one.shape, "cut": one.cut, "bytes": one.bytes}
            for one in found.variables
        ],
        "kept": [
            {"dimension": span.dimension, "size": span.size, "stretches": span.kept} for span in found.spans
        ],
        "left_out": found.left_out,
    }
