"""`maap verify`: are the downloaded files still here, whole, and what they were?"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from maap_tui.cli.context import CommandContext
from maap_tui.cli.options import (
    add_command,
    add_general_options,
    add_names,
    add_shard,
    add_time,
    shard_of,
    span_of,
)
from maap_tui.cli.report import WRONG
from maap_tui.text import format_bytes, format_count, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maap_tui.engine.integrity.verify import Checked

T = TypeVar("T")

BAD_FILES = 3
"""Exit code when files are bad and were not repaired."""


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "verify",
        words,
        arguments="[COLLECTION [PRODUCT [BASELINE]]]",
        examples=(
            "maap verify",
            "maap verify EarthCAREL2Validated_MAAP CPR_CLD_2A BC --days-back 30 --repair",
            "maap verify --against study/SHA256SUMS",
        ),
        notes="A file is good, missing, truncated, changed, unreadable, or deleted by a\n"
        "clean-up (not bad). One without a recorded hash is judged by its size and\n"
        "structure. In brackets stands what shows good files to be what the archive has:\n"
        "archive sum, inner sum, header size or length only; -v says it of each.",
    )
    add_names(parser, required=0)
    add_time(parser)
    files = parser.add_argument_group("files")
    files.add_argument("--repair", action="store_true", help="fetch bad files again")
    files.add_argument("--quick", action="store_true", help="size and structure only; read no file whole")
    add_shard(files)
    sums = parser.add_argument_group("a list of sums")
    sums.add_argument(
        "--against",
        metavar="FILE",
        help="compare with a list of SHA-256 sums, GNU or BSD, or that of a study; - for stdin",
    )
    sums.add_argument(
        "--root",
        type=Path,
        metavar="DIR",
        help="where its names begin, and no file may be that is not listed (default: here, beside the list, "
        "or in the data folder)",
    )
    add_general_options(parser, run, json_help="one object a file, good ones too")


async def run(context: CommandContext) -> int:
    """Look at every file, say what is wrong, fetch again what has to be."""
    import asyncio

    from maap_tui.cli.download_options import summarise
    from maap_tui.engine.integrity import verify

    args = context.args
    if args.against is not None or args.root is not None:
        return await _compare(context)
    session = context.session(bulk=bool(args.repair))
    span, shard = span_of(args, session.now()), shard_of(args, session)
    keys = session.registry.tracked_of(args.collection, args.product, args.baseline)
    if not keys:
        context.report.say(f"The registry {session.dirs.registry_dir} tracks nothing of this yet.")
        if args.collection:
            context.report.codes.add(WRONG)
        return context.report.code
    if args.repair:
        context.begin_run("verify", session.dirs)
    found = verify.verify(
        session.registry,
        session.hashes,
        keys,
        first_day=span.first_day if span else None,
        last_day=span.last_day if span else None,
        urls=shard,
        read_all=not args.quick,
    )
    bad: list[Checked] = []
    counts: Counter[str] = Counter()
    evidence: Counter[str] = Counter()
    size = 0
    async with session:
        while (one := await asyncio.to_thread(_next, found)) is not None:
            verdict = one.verdict
            counts[verdict.state] += 1
            size += verdict.size
            if verdict.state == verify.GOOD:
                evidence[verdict.evidence] += 1
            if context.output.as_json:
                context.output.record(
                    {
                        "path": verdict.path,
                        "url": verdict.url,
                        "state": verdict.state,
                        "reason": verdict.reason,
                        "bytes": verdict.size,
                        "hashed": verdict.is_hashed,
                        "evidence": verdict.evidence,
                    }
                )
            elif verdict.is_bad:
                context.output.line(f"{verdict.state}: {verdict.path} ({verdict.reason})")
            elif verdict.state == verify.GOOD:
                context.report.detail(f"good: {verdict.path} ({verdict.evidence or 'no evidence'})")
            if verdict.is_bad:
                bad.append(one)
        deleted = counts[verify.DELETED]
        total = sum(counts.values()) - deleted
        words = verify.outcome_words(len(bad), evidence)
        words += f"; {format_count(deleted)} deleted by a clean-up" if deleted else ""
        context.report.say(f"Verified {plural(total, 'file')} ({format_bytes(size)}): {words}")
        if not bad or not args.repair:
            return BAD_FILES if bad else context.report.code
        context.check_token(session)
        context.prints_files()
        async with context.watched():
            report = await session.fetch_again([one.file for one in bad])
        summarise(context, report, nothing="Nothing was fetched")
    return context.report.code


async def _compare(context: CommandContext) -> int:
    """Compare files with a list of sums."""
    import asyncio
    import os

    from maap_tui.cli.commands.download import refuse_options
    from maap_tui.cli.options import NAMES
    from maap_tui.cli.texts import read_text
    from maap_tui.engine.errors import InvalidRequestError
    from maap_tui.engine.integrity.sum_lists import compare_listed, demand_sums, read_sums
    from maap_tui.engine.studies.replacing import settle_if_possible

    args, report, output = context.args, context.report, context.output
    if args.against is None:
        raise InvalidRequestError("--root is for a list of sums", "Give it with --against.")
    others = (*NAMES, "date", "start", "end", "days_back", "repair", "quick", "shard")
    refuse_options(args, "--against", others, "which names each file")
    if args.against != "-" and Path(args.against).is_dir():
        settle_if_possible(Path(args.against))
        args.against = os.path.join(args.against, "SHA256SUMS")  # that of a study
    read = read_sums(read_text(args.against, "--against").encode("utf-8", "surrogateescape"))
    for number, line, reason in read.refused:
        report.refuse(f"line {number} of {args.against}", f"{reason}: {line[:80]}")
        report.codes.add(WRONG)
    listed = demand_sums(read, args.against)
    root = None if args.root is None else args.root.expanduser()
    if root is not None and not root.is_dir():
        raise InvalidRequestError(f"--root {root} is not a folder", "Check the path.")
    _, where = context.settings()
    beside = [] if args.against == "-" else [Path(args.against).absolute().parent]
    folders = [Path(os.curdir), *beside, where.data_dir] if root is None else [root]
    ignored = None if args.against == "-" else Path(args.against)
    found = compare_listed(listed, folders, root=root, ignored=ignored)
    counts: Counter[str] = Counter()
    size = 0
    while (one := await asyncio.to_thread(_next, found)) is not None:
        counts[one.state] += 1
        size += one.size if one.state == "good" else 0
        if output.as_json:
            output.record(
                {
                    "name": one.name,
                    "path": one.path,
                    "state": one.state,
                    "reason": one.reason,
                    "bytes": one.size,
                    "sha256": one.sha256,
                }
            )
        elif one.state == "good":
            report.detail(f"good: {one.path}")
        else:
            output.line(f"{one.state}: {one.path or one.name} ({one.reason})")
    good = counts.pop("good", 0)
    rest = "".join(f"; {format_count(count)} {state}" for state, count in sorted(counts.items()))
    report.say(
        f"Compared {plural(good + counts.total(), 'file')}: {format_count(good)} good "
        f"({format_bytes(size)}){rest}"
    )
    if counts:
        report.codes.add(BAD_FILES)
    return report.code


def _next(found: Iterator[T]) -> T | None:
    return next(found, None)
