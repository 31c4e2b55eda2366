"""`maap thaw`: the files of a frozen study, each with the hash that it was frozen with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maap_tui.cli.context import CommandContext
from maap_tui.cli.download_options import list_wanted, summarise
from maap_tui.cli.options import add_command, add_general_options, add_max_time
from maap_tui.cli.report import WRONG
from maap_tui.text import plural

_NOTES = """\
What is here is verified first, and what has other bytes is fetched again. A
file that the archive does not have any more, or has with other bytes, is named,
with exit code 4. The same command goes on with what was interrupted."""


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "thaw",
        words,
        arguments="FOLDER",
        examples=("maap thaw study/", "maap thaw study/ -o data/"),
        notes=_NOTES,
    )
    parser.add_argument("study", type=Path, metavar="FOLDER", help="what `maap freeze` wrote")
    files = parser.add_argument_group("files")
    files.add_argument(
        "-o", "--out-dir", type=Path, metavar="DIR", help="in place of the data folder; nothing is registered"
    )
    add_max_time(files)
    files.add_argument("--dry-run", action="store_true", help="only list what would be fetched")
    add_general_options(parser, run, json_help="one object a file as it ends")


async def run(context: CommandContext) -> None:
    """Thaw, and name what cannot be had."""
    import asyncio

    from maap_tui.engine.studies.study import read_study
    from maap_tui.engine.workflows.thawing import would_thaw

    args, report = context.args, context.report
    folder = args.study.expanduser()
    study = await asyncio.to_thread(read_study, folder)
    async with context.session(bulk=True) as session:
        if args.dry_run:
            wanted = await asyncio.to_thread(would_thaw, session, study, out_dir=args.out_dir)
            await list_wanted(context, session, wanted, args.out_dir)
            return
        context.begin_run("thaw", session.dirs)
        context.prints_files()
        async with context.watched():
            done = await session.thaw(study, folder=folder, out_dir=args.out_dir)
    for file, place in done.wrong:
        fetched = "was fetched again" if file.url in done.downloads.downloaded else "has other bytes here"
        report.say(f"{place}: it is not what the study froze, and {fetched}")
    if done.gone:
        report.say(f"The archive does not have {plural(len(done.gone), 'file')} of the study any more")
    if study.absent:
        report.say(f"{plural(len(study.absent), 'file')} of the study had no hash and are left out")
        report.codes.add(WRONG)
    if done.problem:
        report.warn(done.problem)
    summarise(
        context,
        done.downloads,
        nothing="The study has no files",
        nothing_to_do=f"Nothing to fetch: {plural(len(done.here), 'file')} here, each with its hash",
    )
