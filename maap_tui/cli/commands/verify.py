"""`maap verify`: are the downloaded files still here, whole, and what they were?"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

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
        ),
        notes="A file is good, missing, truncated, changed, unreadable, or deleted by a\n"
        "clean-up (not bad). One without a recorded hash is judged by its size and\n"
        "structure.",
    )
    add_names(parser, required=0)
    add_time(parser)
    files = parser.add_argument_group("files")
    files.add_argument("--repair", action="store_true", help="fetch bad files again")
    files.add_argument("--quick", action="store_true", help="size and structure only; read no file whole")
    add_shard(files)
    add_general_options(parser, run, json_help="one object a file, good ones too")


async def run(context: CommandContext) -> int:
    """Look at every file, say what is wrong, fetch again what has to be."""
    from maap_tui.cli.download_options import summarise
    from maap_tui.engine.integrity import verify

    args = context.args
    session = context.session(bulk=bool(args.repair))
    span, shard = span_of(args, session.now()), shard_of(args, session)
    keys = [
        key
        for key in session.registry.tracked()
        if args.collection in (None, key.collection)
        and args.product in (None, key.product_type)
        and (args.baseline is None or args.baseline.lower() == key.baseline.lower())
    ]
    if not keys:
        context.report.say(f"The registry {session.dirs.registry_dir} tracks nothing of this yet.")
        if args.collection:
            context.report.codes.add(WRONG)
        return context.report.code
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
    size = 0
    async with session:
        while (one := await asyncio.to_thread(_next, found)) is not None:
            verdict = one.verdict
            counts[verdict.state] += 1
            size += verdict.size
            if context.output.as_json:
                context.output.record(
                    {
                        "path": verdict.path,
                        "url": verdict.url,
                        "state": verdict.state,
                        "reason": verdict.reason,
                        "bytes": verdict.size,
                        "hashed": verdict.is_hashed,
                    }
                )
            elif verdict.is_bad:
                context.output.line(f"{verdict.state}: {verdict.path} ({verdict.reason})")
            if verdict.is_bad:
                bad.append(one)
        deleted = counts[verify.DELETED]
        total = sum(counts.values()) - deleted
        words = f"{len(bad)} bad" if bad else "all good"
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


def _next(found: Iterator[Checked]) -> Checked | None:
    return next(found, None)
