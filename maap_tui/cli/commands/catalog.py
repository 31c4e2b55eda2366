"""`maap catalog`: refresh local queryables, and build the tables of what each baseline holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from maap_tui.cli.context import CommandContext
from maap_tui.cli.options import add_actions, add_command, add_general_options, add_names
from maap_tui.cli.report import AGAIN
from maap_tui.engine.errors import MaapError, NetworkSetupError, NoCollectionError, NoNamesError
from maap_tui.text import plural

if TYPE_CHECKING:
    from maap_tui.engine.model import BaselineInfo
    from maap_tui.engine.session import Session


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    catalogue = add_command(
        subparsers,
        "catalog",
        words,
        arguments="ACTION",
        examples=("maap catalog update", "maap catalog build EarthCAREL2Validated_MAAP CPR_CLD_2A"),
    )
    actions = add_actions(catalogue)
    add_general_options(catalogue)

    update = add_command(
        actions,
        "update",
        "fetch the queryables of one collection or of all",
        arguments="[COLLECTION]",
        examples=("maap catalog update EarthCAREL2Validated_MAAP",),
    )
    update.add_argument(
        "collection", nargs="?", metavar="COLLECTION", help="collection (default: all of `maap list`)"
    )
    update.add_argument("-o", "--out-dir", type=Path, metavar="DIR", help="write them there")
    add_general_options(update, run_update, json_help="one object a collection")

    build = add_command(
        actions,
        "build",
        "find time range, orbit range and count of every baseline",
        arguments="[COLLECTION [PRODUCT [BASELINE]]]",
        examples=("maap catalog build EarthCAREL2Validated_MAAP CPR_CLD_2A",),
        notes="Baselines that are known are counted again, with one request each. The file is\n"
        "saved after every baseline, so that an interrupted build goes on where it was.",
    )
    add_names(build, required=0)
    build.add_argument("--force", action="store_true", help="forget what is known of what is counted")
    build.add_argument("--latest-baseline", action="store_true", help="only each product's latest baseline")
    build.add_argument("-o", "--out-dir", type=Path, metavar="DIR", help="write the catalogue there")
    add_general_options(build, run_build, json_help="one object a baseline")


async def run_update(context: CommandContext) -> None:
    """Fetch queryables; one collection that fails does not stop the others."""
    import asyncio

    from maap_tui.engine.together import together

    args = context.args
    overrides: dict[str, object] = {"paths.catalog_dir": args.out_dir} if args.out_dir else {}
    async with context.session(overrides=overrides) as session:
        names = [args.collection] if args.collection else session.collections()
        slots = asyncio.Semaphore(session.settings.search.parallel)

        async def fetch(name: str) -> bool | None:
            async with slots:
                try:
                    queryables = await session.catalogue.queryables(name, refresh=True, must_keep=True)
                except NetworkSetupError:
                    raise  # no other collection will fare better
                except MaapError as error:
                    if _may_lack(session, error, name, args.collection):
                        return None
                    context.report.fail(error, "" if args.collection else name)
                    return False
            file = session.dirs.queryables_file(name)
            if context.output.as_json:
                context.output.record(
                    {
                        "collection": name,
                        "path": file,
                        "product_types": len(queryables.products),
                        "baselines": len(queryables.baselines),
                    }
                )
            else:
                context.output.line(str(file))
            return True

        done = [one for one in await together(*(fetch(name) for name in names)) if one is not None]
        context.output.flush()
        lacking = len(names) - len(done)
        more = f"; the archive does not have {plural(lacking, 'other')} of the missions" if lacking else ""
        context.report.say(f"Updated {sum(done)} of {plural(len(done), 'collection')}{more}")


async def run_build(context: CommandContext) -> None:
    """Build catalogues, one collection after the other."""
    args = context.args
    overrides: dict[str, object] = {"paths.built_catalog_dir": args.out_dir} if args.out_dir else {}
    async with context.session(overrides=overrides) as session, context.watched():
        context.begin_run("build", session.dirs)
        context.found = 0
        for name in [args.collection] if args.collection else session.collections():
            try:
                await _build(context, session, name)
            except NetworkSetupError:
                raise
            except MaapError as error:
                if args.collection:
                    raise
                if not _may_lack(session, error, name):
                    context.report.fail(error, name)


def _may_lack(session: Session, error: MaapError, name: str, asked: str | None = None) -> bool:
    """Whether the archive lacks a collection that nobody asked for by its name, which is not an error."""
    return isinstance(error, NoCollectionError) and not asked and not session.is_chosen(name)


async def _build(context: CommandContext, session: Session, name: str) -> None:
    args = context.args
    found = 0

    def counted(product_type: str, baseline: str, info: BaselineInfo) -> None:
        nonlocal found
        found += 1
        if context.output.as_json:
            context.output.record(
                {
                    "collection": name,
                    "product_type": product_type,
                    "baseline": baseline,
                    "time_start": info.time_start,
                    "time_end": info.time_end,
                    "frame_start": info.frame_start,
                    "frame_end": info.frame_end,
                    "count": info.count,
                    "updated_at": info.updated_at,
                }
            )

    try:
        file, failures = await session.build_catalogue(
            name,
            product_type=args.product,
            baseline=args.baseline,
            latest_baseline=args.latest_baseline,
            force=args.force,
            counted=counted,
        )
    except NoNamesError:
        if args.collection or session.is_chosen(name):
            raise
        context.report.say(f"{name}: lists no product types and baselines; name them to have them counted")
        return
    if not context.output.as_json:
        context.output.line(str(file))
        context.output.flush()
    context.found = (context.found or 0) + found
    if failures:
        context.report.codes.add(AGAIN)
    failed = len(failures)
    words = f"; {failed} could not be counted, run the same command again for them" if failed else ""
    context.report.say(f"{name}: {plural(found, 'baseline')} with granules{words}")
