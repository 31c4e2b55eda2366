"""Saved searches on the command line: `--saved` fills in what was not given, `--save-as` writes one."""

from __future__ import annotations

import argparse
import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from maap_tui.cli.context import CommandContext
from maap_tui.cli.options import NAMES

if TYPE_CHECKING:
    from maap_tui.engine.saved_searches import Choices, SavedSearches
    from maap_tui.engine.search_history import FoundGranules
    from maap_tui.engine.session import Session

_TOGETHER = (
    NAMES,
    ("date", "start", "end", "days_back", "orbit"),
    ("bbox", "point", "radius", "area"),
)
"""Options that exclude one another or belong together: one that is given replaces all that are saved."""
_COMPLETES = {"end": "start", "radius": "point"}
"""Options that, given alone, go with what is saved of another."""
_ORDER = ("newest_first",)
"""What a command whose result has no order can do without."""
_NOT_SAVED = ("shard", "use_catalog", "skip_disclaimed")


def searches_of(context: CommandContext) -> SavedSearches:
    """The saved searches, beside the configuration file."""
    from maap_tui.engine.config import dirs
    from maap_tui.engine.saved_searches import SavedSearches

    file = dirs.absolute(context.config_file or dirs.config_file(os.environ))
    return SavedSearches(dirs.searches_file(file))


def take_saved(context: CommandContext, *, needs_names: bool = True) -> None:
    """Fill in what `--saved` has and the command line does not; call it before anything reads the options.

    Args:
        context: whose options.
        needs_names: whether collection and product have to be known then.

    Raises:
        InvalidRequestError: no search has that name, this command lacks one of its options, or a name is
            missing.
        SettingsError: the file of saved searches is wrong.
    """
    from maap_tui.engine.errors import InvalidRequestError

    args = context.args
    if args.saved is not None:
        _fill_in(args, searches_of(context).find(args.saved))
    missing = [name.upper() for name in NAMES[:2] if getattr(args, name) is None]
    if missing and needs_names:
        raise InvalidRequestError(
            f"The following arguments are required: {', '.join(missing)}", f"See maap {args.command} -h."
        )


def _fill_in(args: argparse.Namespace, saved: Choices) -> None:
    from maap_tui.engine.errors import InvalidRequestError

    given = {name for name, value in vars(args).items() if value not in (None, False)}
    left = set(given)
    for group in _TOGETHER:
        here = given.intersection(group)
        partner = _COMPLETES.get(next(iter(here))) if len(here) == 1 else None
        if partner in saved:
            left.update(set(group).difference({partner}))
        elif here:
            left.update(group)
    if "orbit" in given and re.search(r"[A-Za-z]", args.orbit):
        left.add("frame")  # it names its frame
    for name, value in saved.items():
        if name in left or (name in _ORDER and not hasattr(args, name)):
            continue
        if not hasattr(args, name):
            raise InvalidRequestError(
                f"maap {args.command} takes no --{name.replace('_', '-')}, which {args.saved!r} has",
                f"Use maap download --saved {shlex.quote(args.saved)}.",
            )
        setattr(args, name, value)


def choices_of(args: argparse.Namespace) -> Choices:
    """What the options ask for, as it is saved."""
    from maap_tui.engine.overpass.units import read_distance
    from maap_tui.engine.saved_searches import KINDS

    choices: Choices = {}
    for name in KINDS:
        value = getattr(args, name, None)
        if value in (None, False):
            continue
        if name == "area" and value != "-" and not value.lstrip().startswith("{"):
            value = str(Path(value).absolute())
        elif name == "radius":
            # The app's form and studies know kilometres alone.
            value = f"{read_distance(value, '--radius', most_km=20_000) / 1000:.10g}"
        choices[name] = value
    return choices


def check_save_as(args: argparse.Namespace) -> None:
    """Refuse early what could not be saved at the end.

    Raises:
        InvalidRequestError: the name, or an option that is not saved.
    """
    from maap_tui.engine.errors import InvalidRequestError
    from maap_tui.engine.saved_searches import check_name

    if args.save_as is None:
        return
    check_name(args.save_as)
    for name in _NOT_SAVED:
        if getattr(args, name):
            option = f"--{name.replace('_', '-')}"
            raise InvalidRequestError(f"{option} cannot be saved with --save-as", "Leave one of them out.")
    if args.area == "-":
        raise InvalidRequestError("An area from stdin cannot be saved", "Name a file, or give its text.")


def save(context: CommandContext, choices: Choices) -> None:
    """Write the search under the name of `--save-as`, where there is one."""
    args = context.args
    if args.save_as is None:
        return
    searches = searches_of(context)
    verb = "Replaced" if searches.save(args.save_as, choices) else "Saved"
    context.report.say(f"{verb} the search {args.save_as!r} in {searches.file}")


def note(
    context: CommandContext,
    session: Session,
    choices: Choices,
    granules: FoundGranules,
    failed_days: int,
) -> None:
    """Write down a search that ended, and say what a saved one found that is new."""
    from maap_tui.engine.errors import MaapError
    from maap_tui.engine.search_history import SearchHistory

    args = context.args
    if args.shard is not None or args.area == "-":
        return
    try:
        is_saved = args.save_as is not None or bool(searches_of(context).name_of(choices))
    except MaapError:
        is_saved = False  # the file matters to nobody who does not name a search
    done = SearchHistory(session.dirs).note(
        choices, granules, now=session.now(), is_saved=is_saved, failed_days=failed_days
    )
    if done.new is not None and done.since is not None:
        from maap_tui.text import format_count

        context.report.say(f"New since {done.since:%Y-%m-%d %H:%M} UTC: {format_count(done.new)}")
