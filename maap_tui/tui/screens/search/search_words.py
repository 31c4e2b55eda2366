"""The sentences about a search: its count before, its outcome, and what to do when nothing was found."""

from __future__ import annotations

from collections.abc import Sequence

from maap_tui.engine.catalogue.search import Search
from maap_tui.engine.query import Query
from maap_tui.text import format_count, format_duration, plural

NO_SEARCH = (
    "No search yet.\n\n"
    "f goes to the form: choose a collection, a product type and a time.\n"
    "ctrl+r runs the search, and stops it while it runs.\n"
    "ctrl+o lists saved and past searches."
)


def count_in_words(count: int | None, query: Query, doubts: Sequence[str] = ()) -> str:
    """The archive's count of a query before it is run, in words.

    Args:
        count: granules, None where it does not say.
        query: what was counted.
        doubts: `Search.doubts` of the count.
    """
    if doubts:
        return f"{doubts[0]}."
    if count is None:
        return "The archive does not say how many there are."
    if count == 0:
        return "The archive has nothing that matches."
    # The server also counts what began before the range and reaches into it.
    words = f"{'Up to ' if query.time is not None else ''}{plural(count, 'granule')} at the archive"
    if count > query.max_items:
        return f"{words}, more than the maximum of {format_count(query.max_items)}."
    return f"{words}. ctrl+r searches."


def progress_in_words(count: int, run: Search | None, expected: int | None, seconds: float) -> str:
    """The progress of a search, in words.

    Args:
        count: granules found so far.
        run: the search, None before it began.
        expected: granules that it finds at most, None where that is not known.
        seconds: how long it has run.
    """
    words = f"Searching: {plural(count, 'granule')}"
    if expected and expected >= count:
        words = (
            f"Searching: {format_count(count)} of {plural(expected, 'granule')}, {count * 100 // expected} %"
        )
        if count and seconds >= 2:
            words += f", {format_duration(seconds * (expected - count) / count)} left"
    elif run is not None and run.matched:
        words += f" of {format_count(run.matched)} announced so far"
    return f"{words}; ctrl+r stops it"


def outcome_in_words(outcome: str, count: int, run: Search | None, query: Query | None) -> str:
    """The outcome of a search, in words.

    Args:
        outcome: done, stopped or failed.
        count: granules found.
        run: the search, None when it never began.
        query: what was searched for.
    """
    found = plural(count, "granule")
    if outcome == "stopped":
        words = f"Stopped: {found} so far"
    elif outcome == "failed":
        words = f"The search failed after {found}" if count else "The search failed"
    else:
        words = found
    is_cut = query is not None and outcome == "done" and count >= query.max_items
    if is_cut:
        words += ", cut at the maximum"
    if run is not None and run.failed:
        first = run.failed[0]
        more = f" and {len(run.failed) - 1} more" if len(run.failed) > 1 else ""
        words += f"; FAILED DAY: {first.label}{more} ({first.reason}), ctrl+r asks again"
    if run is not None and run.skipped:
        words += f"; {plural(len(run.skipped), 'item')} could not be used (skipped), 5 says why"
    elif run is not None and run.doubts and not run.failed and not is_cut:
        words += f"; {run.doubts[0]}"
    return words


def empty_in_words(outcome: str, run: Search | None) -> str:
    """The text in place of results when a search found none."""
    if outcome == "failed" or (run is not None and run.failed):
        return "The search failed before anything was found.\n\nctrl+r tries it again, 5 shows the log."
    if outcome == "stopped":
        return "Stopped before anything was found.\n\nctrl+r searches again, f goes to the form."
    doubt = f"{run.doubts[0]}.\n\n" if run is not None and run.doubts else ""
    return (
        f"{doubt}The archive has nothing that matches.\n\n"
        "f goes to the form: try another time, or any baseline; 1 shows what there is."
    )


def narrowed_in_words(shown: int, *, is_filtered: bool, is_not_here: bool) -> str:
    """How many results are shown, in words to add; '' when all of them are."""
    count = format_count(shown)
    if is_not_here:
        return f"; {count} not here pass the filter" if is_filtered else f"; {count} not here (n: all)"
    return f"; {count} pass the filter" if is_filtered else ""
