"""What is asked before a baseline is swapped for a newer one, and what came of it."""

from __future__ import annotations

import asyncio
import textwrap
from typing import TYPE_CHECKING, Any, Final

from maap_tui.engine.catalogue import local_names
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.session import Session
from maap_tui.engine.storage import files
from maap_tui.engine.swaps.plan import ROW_STATES, RowState, SwapNames, SwapPlan
from maap_tui.text import clean, format_bytes, plural
from maap_tui.tui.dialogs.prompt import PromptDialog
from maap_tui.tui.host import Host

if TYPE_CHECKING:
    from maap_tui.engine.swaps.run import SwapReport

_COLUMNS: Final = 70
"""What a line of the dialog shows on a terminal of 80 columns."""


async def swap_baseline(app: Host, collection: str, product_type: str, old: str) -> None:
    """Ask for which baseline, show what a swap would do, and run or undo it; for a worker of the app."""
    backend = app.backend
    await backend.ask(lambda session: session.catalogue.queryables(collection))
    # A built catalogue knows which baselines of the collection this product has.
    offered = await asyncio.to_thread(
        local_names.baseline_names, backend.session.dirs, collection, product_type
    )
    newer = [name for name in offered if name.upper() > old.upper()]
    if not newer:
        _say(app, f"{product_type} has no baseline that is newer than {old}.")
        return

    def check(text: str) -> None:
        if text.strip().upper() not in newer:
            raise InvalidRequestError(f"Name one of {', '.join(newer)}.")

    hint = f"One of {', '.join(newer)}; nothing is changed before the next question."
    earlier = await asyncio.to_thread(swapped_for, backend.session, collection, product_type, old)
    if earlier:
        hint = f"It was swapped for {earlier}: enter shows that, and u undoes it. {hint}"
    given = await app.push_screen_wait(
        PromptDialog(
            f"Swap {product_type} {old} for which baseline?",
            earlier if earlier in newer else newer[-1],
            check=check,
            hint=hint,
        )
    )
    if given is None:
        return
    names = SwapNames(collection, product_type, old, given.strip().upper())
    _say(app, f"Asking what the archive has of {product_type} {names.new}.")
    plan = await backend.ask(lambda session: session.plan_swap(names))
    kept = plan.counts["swapped"] + plan.counts["fetched"]
    if not plan.open and not kept:
        _say(app, " ".join(f"{sentence}." for sentence in plan.sentences), "warning")
        return
    count = plural(len(plan.open), "granule")
    # It looks at each old file on the disk.
    lines = [clean(line) for line in await asyncio.to_thread(lines_of, backend.session, plan)]
    pair = f"{product_type} {plan.old.baseline} for {plan.new.baseline}"
    if plan.open:
        undo = [("Undo", "u")] if kept else []
        answer = await app.choose(clean(f"Swap {count} of {pair}?"), lines=lines, verb="Swap", others=undo)
    else:
        answer = await app.choose(clean(f"Undo the swap of {pair}?"), lines=lines, verb="Undo", key="u")
    if answer == "u":
        undone = await backend.ask(lambda session: session.undo_swap(names))
        words = f"{plural(len(undone.undone), 'granule')} as before the swap."
        words += f" {len(undone.kept)} cannot be, 5 says why." if undone.kept else ""
        _say(app, words, "warning" if undone.kept else "information")
    elif answer:
        _say(app, f"Swapping {count}: 3 shows the files that come.")
        done = await backend.swap(names)
        is_partial = bool(done.left or done.retired.kept or done.plan.open or done.plan.failed_days)
        _say(app, words_of(done), "warning" if is_partial else "information")


def swapped_for(session: Session, collection: str, product_type: str, old: str) -> str:
    """The newest baseline that took the place of one, so that it can be undone; '' for none."""
    undoable = [
        one.new.baseline
        for one in session.swaps(collection, product_type)
        if one.old.baseline == old.upper() and one.counts["swapped"] + one.counts["fetched"]
    ]
    return max(undoable, default="")


def lines_of(session: Session, plan: SwapPlan) -> list[str]:
    """What a swap would do, a sentence each."""
    days = session.settings.swap.keep_days
    old, new = plan.old.baseline, plan.new.baseline
    lines = [f"{sentence}." for sentence in plan.sentences]
    names = f"{plan.old.collection} {plan.old.product_type} {old} {new}"
    if not plan.open:
        lines.append(f"{old} gets the marks back that it had; files of {new} stay here.")
        return [*lines, f"The same as: maap swap undo {names}"]
    free = files.free_bytes_for(session.dirs.data_dir)
    room = f"; {format_bytes(free)} are free" if free is not None else ""
    lines.append(
        f"To fetch: {format_bytes(plan.fetch_bytes)} beside {format_bytes(plan.old_bytes)} of {old}{room}."
    )
    lines.append(f"{new} is to be processed then, and {old} counts as processed.")
    lines.append(f"{old} stays for {plural(days, 'day')}: until then w, enter and u undo it.")
    for warning in plan.warnings:
        lines += textwrap.wrap(f"{warning}.", _COLUMNS, break_long_words=False)
    return [*lines, f"The same as: maap swap run {names}"]


def words_of(done: SwapReport) -> str:
    """What became of a swap."""
    words = [f"Swapped {plural(len(done.swapped), 'granule')} for {done.plan.new.baseline}."]
    if done.retired.done:
        words.append(
            f"Deleted {plural(done.retired.files, 'file')} of {done.plan.old.baseline}, "
            f"{format_bytes(done.retired.bytes)}."
        )
    if left := len(done.plan.open) + len(done.left):
        words.append(f"{left:,} left, 5 says why; w goes on.")
    if done.retired.kept:
        words.append(f"{plural(len(done.retired.kept), 'old granule')} could not be deleted, 5 says why.")
    if ambiguous := len(done.plan.ambiguous):
        words.append(f"{ambiguous:,} stay, whose place several may take, 5 says why.")
    counts = done.plan.counts
    if waiting := counts["waiting"]:
        words.append(f"{waiting:,} have no granule in {done.plan.new.baseline} yet.")
    others: tuple[RowState, ...] = ("unsearched", "lacking")
    words += [f"{counts[state]:,} {ROW_STATES[state]}." for state in others if counts[state]]
    return " ".join(words)


def _say(app: Host, sentence: str, severity: Any = "information") -> None:
    app.notify(clean(sentence), severity=severity, timeout=8, markup=False)
    app.backend.write_log("warning" if severity == "warning" else "info", sentence)
