"""`maap searches`: the saved searches, and the last ones, with what they found."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from maap_tui.cli.context import CommandContext
from maap_tui.cli.options import add_actions, add_command, add_general_options
from maap_tui.cli.saved import searches_of
from maap_tui.text import format_count

if TYPE_CHECKING:
    from datetime import datetime

    from maap_tui.engine.saved_searches import Choices
    from maap_tui.engine.search_history import PastSearch

_NOTES = """\
`maap search --save-as NAME` saves one; search, plan, download, get and sync
take it with --saved NAME. They are in searches.toml beside the configuration
file, for editing too. New are granules that the same saved search did not find
the time before. Times are UTC."""


def add_parser(subparsers: Any, words: str) -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "searches",
        words,
        arguments="[ACTION]",
        examples=("maap searches", "maap searches --past", "maap searches remove weekly"),
        notes=_NOTES,
    )
    parser.add_argument("--past", action="store_true", help="list the last 50 searches, the newest first")
    actions = add_actions(parser, required=False)
    add_general_options(parser, show, json_help="one object a search")
    remove = add_command(
        actions,
        "remove",
        "take a search out of the file",
        arguments="NAME",
        examples=("maap searches remove weekly",),
    )
    remove.add_argument("saved", metavar="NAME", help="as `maap searches` shows it")
    add_general_options(remove, remove_search)


def show(context: CommandContext) -> None:
    """List the searches with a name, or the last ones."""
    from maap_tui.engine.search_history import KEPT, SearchHistory

    output = context.output
    _, where = context.settings()
    searches = searches_of(context)
    named = searches.all()
    history = SearchHistory(where)
    listed: list[tuple[str, Choices, PastSearch | None]]
    if context.args.past:
        listed = [
            (next((name for name, one in named.items() if one == past.choices), ""), past.choices, past)
            for past in history.past(KEPT)
        ]
    else:
        known = history.past()
        listed = [
            (name, choices, next((past for past in known if past.choices == choices), None))
            for name, choices in named.items()
        ]
    if output.as_json:
        for one in listed:
            output.record(_record(*one), at_once=False)
        output.flush()
    elif listed:
        output.table([("Name", "Found", "When", "New", "Since", "Search"), *(_row(*one) for one in listed)])
    if not listed:
        context.report.say(
            "Nothing was searched yet"
            if context.args.past
            else f"No search is saved in {searches.file}; `maap search --save-as NAME` saves one"
        )


def _record(name: str, choices: Choices, past: PastSearch | None) -> dict[str, Any]:
    from maap_tui.engine.saved_searches import words_of

    return {
        "name": name,
        "collection": choices.get("collection", ""),
        "product_type": choices.get("product", ""),
        "baseline": choices.get("baseline", ""),
        "words": words_of(choices),
        "when": past.when if past else None,
        "found": past.found if past else None,
        "new": past.new if past else None,
        "since": past.since if past else None,
        "failed_days": past.failed_days if past else None,
    }


def _row(name: str, choices: Choices, past: PastSearch | None) -> tuple[str, ...]:
    from maap_tui.engine.saved_searches import words_of

    return (
        name,
        format_count(past.found) if past else "",
        _minute(past.when if past else None),
        "" if past is None or past.new is None else format_count(past.new),
        _minute(past.since if past else None),
        shlex.join(words_of(choices)),
    )


def _minute(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"


def remove_search(context: CommandContext) -> None:
    """Take a search out of the file."""
    searches = searches_of(context)
    searches.remove(context.args.saved)
    context.report.say(f"Removed the search {context.args.saved!r} from {searches.file}")
