"""`maap show`: all that is known of a granule, its quicklook, and what a data file says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from maap_tui.cli.context import CommandContext
from maap_tui.cli.options import add_command, add_general_options
from maap_tui.cli.report import AGAIN
from maap_tui.text import clean, format_bytes, format_count

if TYPE_CHECKING:
    from maap_tui.engine.model import Granule
    from maap_tui.engine.session import Session

_NOTES = """\
NAME is an HDF5 or netCDF file that is here, whose groups and variables are
printed; otherwise a granule, by its id or the name or address of a file of it,
for which the archive is asked. HDF5 needs `pip install 'maap-tui[hdf5]'`."""

_GRANULE = "ECA_EXBC_CPR_CLD_2A_20251201T000126Z_20251201T003736Z_08574D"


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "show",
        words,
        arguments="NAME",
        examples=(f"maap show {_GRANULE}", "maap show granule.h5 --json"),
        notes=_NOTES,
    )
    parser.add_argument("name", metavar="NAME", help="a granule, or a data file")
    what = parser.add_argument_group("of a granule")
    what.add_argument(
        "--collection", metavar="COLLECTION", help="where it is (default: those known to have its product)"
    )
    what.add_argument("--headers", action="store_true", help="show its files that are here instead")
    what.add_argument("--quicklook", type=Path, metavar="FILE", help="write its picture to a file too")
    add_general_options(parser, run, json_help="one object a file, or a group or variable")


async def run(context: CommandContext) -> None:
    """Show a file or a granule."""
    import asyncio

    from maap_tui.engine.errors import InvalidRequestError
    from maap_tui.engine.headers import is_data_file
    from maap_tui.engine.workflows.files_here import files_here
    from maap_tui.engine.workflows.naming import find_named

    args = context.args
    path = Path(args.name).expanduser()
    if await asyncio.to_thread(path.is_file):
        if args.quicklook is not None or args.collection or args.headers:
            raise InvalidRequestError(
                f"{path} is a file here", "Leave out the options that are for a granule."
            )
        await _print_headers(context, path)
        return
    async with context.session() as session:
        granule = await find_named(session, args.name, args.collection or "")
        if args.headers:
            here = (await asyncio.to_thread(files_here, session, granule)).values()
            found = [one for one in here if is_data_file(one)]
            if not found:
                raise InvalidRequestError(
                    f"No HDF5 or netCDF file of {granule.id} is here", "Download it first."
                )
            for one in found:
                await _print_headers(context, one)
        else:
            await _print_granule(context, session, granule)
        if args.quicklook is not None:
            await _write_quicklook(context, session, granule)


async def _print_headers(context: CommandContext, path: Path) -> None:
    from maap_tui.engine.headers import headers_of, lines_of

    found = await headers_of(path)
    if context.output.as_json:
        for one in found.objects:
            context.output.record(
                {
                    "path": found.path,
                    "name": one.name,
                    "kind": one.kind,
                    "shape": one.shape,
                    "dtype": one.dtype,
                    "units": one.units,
                    "attributes": one.attributes,
                },
                at_once=False,
            )
    else:
        context.output.line(clean(found.path))
        context.output.lines(clean(words) for words, _ in lines_of(found))
    if found.left_out:
        context.report.warn(
            f"Only the first {format_count(len(found.objects))} groups and variables of {found.path} are "
            f"listed; there are at least {format_count(found.left_out)} more"
        )
        context.report.codes.add(AGAIN)


async def _print_granule(context: CommandContext, session: Session, granule: Granule) -> None:
    import asyncio

    from maap_tui.engine.model import granule_record
    from maap_tui.engine.workflows.files_here import files_here

    here = await asyncio.to_thread(files_here, session, granule)
    data = [asset for asset in granule.assets if asset.format]
    notices = session.quality.notices().of_granule(granule)
    if context.output.as_json:
        for asset in data:
            path = here.get(asset.href)
            context.output.record(
                {
                    **granule_record(granule, asset),
                    "name": asset.name,
                    "path": str(path) if path is not None else None,
                    "properties": granule.properties,
                    "quality": [one.record() for one in notices],
                },
                at_once=False,
            )
        return
    record = granule_record(granule, data[0]) if data else {}
    names = (
        "id", "collection", "mission", "product_type", "baseline", "sensing_start", "sensing_end", "created",
        "published", "updated", "orbit", "frame", "orbit_state", "bbox", "quicklook",
    )  # fmt: skip
    rows = [(name, _words(record[name])) for name in names if record.get(name) is not None]
    if granule.doi:
        rows.append(("cite as", f"https://doi.org/{granule.doi}"))
    rows += [("quality", one.sentence) for one in notices]
    context.output.table(rows)
    context.output.line("")
    context.output.table(
        [
            (
                asset.name,
                "size unknown" if asset.size is None else format_bytes(asset.size),
                str(here.get(asset.href, "not here")),
            )
            for asset in data
        ]
    )


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


async def _write_quicklook(context: CommandContext, session: Session, granule: Granule) -> None:
    import asyncio

    from maap_tui.engine.storage import files
    from maap_tui.engine.storage.places import demand_path
    from maap_tui.engine.workflows.quicklook import Quicklooks

    path: Path = context.args.quicklook
    demand_path(str(path))
    body = await Quicklooks().get(session, granule)
    await asyncio.to_thread(files.write_atomic, path.expanduser(), body)
    context.report.say(f"Wrote the quicklook to {path} ({format_bytes(len(body))})")
