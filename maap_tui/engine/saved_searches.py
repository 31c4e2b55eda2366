"""Searches with a name: `searches.toml` beside the configuration file, which people edit too.

A table is a search, its keys are the options of `maap search` with their names. The file is read as
`config.toml` is: what is wrong in it is reported with its line.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

from maap_tui.engine.config.toml_file import ConfigFile, load_file, remove_table, shown, write_table
from maap_tui.engine.errors import InvalidRequestError, SettingsError

Choices = dict[str, str | int | bool]
"""What a search asks for, by the names in `KINDS`; numbers of `days_back` and `max_items`, else texts."""

LONGEST_NAME = 60
"""Characters of a name."""


def _name(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _time(value: object) -> str | None:
    if isinstance(value, date):  # a datetime is one too
        return value.isoformat().replace("+00:00", "Z")
    return _name(value)


def _list(value: object) -> str | None:
    parts = value if isinstance(value, list) else [value]
    if not parts or not all(
        isinstance(one, str | int | float) and not isinstance(one, bool) for one in parts
    ):
        return None
    return ",".join(one.strip() if isinstance(one, str) else f"{one}" for one in parts) or None


def _number(value: object) -> str | None:
    return None if isinstance(value, list) else _list(value)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 1 else None


def _switch(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


_Kind = tuple[Callable[[object], str | int | bool | None], str]
_NAME: _Kind = (_name, "a text in quotes")
_TIME: _Kind = (_time, 'a time, such as 2025-12-01, "2025-12" or "7d"')
_LIST: _Kind = (_list, "a text or a number, or a list of them")
_NUMBER: _Kind = (_number, "a number")
_WHOLE: _Kind = (_whole, "a whole number, 1 or more")
_SWITCH: _Kind = (_switch, "true or false")

KINDS: dict[str, _Kind] = {
    "collection": _NAME,
    "product": _NAME,
    "baseline": _NAME,
    "date": _TIME,
    "start": _TIME,
    "end": _TIME,
    "days_back": _WHOLE,
    "orbit": _LIST,
    "frame": _LIST,
    "track": _LIST,
    "bbox": _LIST,
    "point": _LIST,
    "radius": _NUMBER,
    "area": _NAME,
    "format": _LIST,
    "max_items": _WHOLE,
    "newest_first": _SWITCH,
    "all_versions": _SWITCH,
}
"""Keys of a search: how the value of a file is read, None for a wrong one, and what it must be."""

NAMES = ("collection", "product", "baseline")
"""Keys of the names in the archive, in their order; all others are options."""


def words_of(choices: Mapping[str, str | int | bool]) -> list[str]:
    """The words of a command line after `maap search`."""
    words = [str(choices[name]) for name in NAMES if choices.get(name)]
    for name in KINDS:
        value = choices.get(name, False)
        if name in NAMES or value is False:
            continue
        option = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif str(value).startswith("-"):
            words.append(f"{option}={value}")
        else:
            words += [option, str(value)]
    return words


class SavedSearches:
    """The file. Every method reads it again, may be called from any thread, and blocks."""

    def __init__(self, file: Path) -> None:
        """Take the file; nothing is opened, and it need not exist."""
        self.file = file

    def all(self) -> dict[str, Choices]:
        """Every search by its name, in the order of the file.

        Raises:
            SettingsError: the file cannot be read, or something in it is wrong.
        """
        source = load_file(self.file, missing_ok=True)
        return {name: _read(source, name, table) for name, table in source.tables.items()}

    def find(self, name: str) -> Choices:
        """The search of that name.

        Raises:
            InvalidRequestError: there is none.
            SettingsError: as `all`.
        """
        searches = self.all()
        if name not in searches:
            raise _no_such(name, list(searches))
        return searches[name]

    def name_of(self, choices: Choices) -> str:
        """The name under which these choices are saved; '' for none. Errors as `all`."""
        return next((name for name, one in self.all().items() if one == choices), "")

    def save(self, name: str, choices: Choices) -> bool:
        """Write a search; returns whether it replaced one. Comments and the other searches stay.

        Raises:
            InvalidRequestError: it cannot have this name.
            SettingsError: as `all`.
            StorageError: the file cannot be written.
        """
        check_name(name)
        replaced = name in self.all()
        write_table(self.file, name, {key: choices[key] for key in KINDS if key in choices})
        return replaced

    def remove(self, name: str) -> None:
        """Take a search out of the file.

        Raises:
            InvalidRequestError: there is none.
            SettingsError: as `all`.
            StorageError: the file cannot be written.
        """
        if not remove_table(self.file, name):
            raise _no_such(name, list(self.all()))


def check_name(name: str) -> None:
    """Refuse a name that cannot be typed or shown.

    Raises:
        InvalidRequestError: it is one of these.
    """
    if not name.strip() or name != name.strip() or not name.isprintable() or name.startswith("-"):
        raise InvalidRequestError(
            f"{name[:LONGEST_NAME]!r} cannot be the name of a search", "Begin it with a letter or a digit."
        )
    if len(name) > LONGEST_NAME or re.search(r"[\"'\\]", name):
        raise InvalidRequestError(
            f"{name[:LONGEST_NAME]!r} cannot be the name of a search",
            f"Give at most {LONGEST_NAME} characters, no quotes and no backslash.",
        )


def _no_such(name: str, known: list[str]) -> InvalidRequestError:
    near = difflib.get_close_matches(name.lower(), [one.lower() for one in known], n=3, cutoff=0.5)
    close = [one for one in known if one.lower() in near or name.lower() in one.lower()]
    if close:
        hint = f"Did you mean {' or '.join(close[:3])}?"
    else:
        hint = "`maap searches` lists them." if known else "`maap search --save-as NAME` saves one."
    return InvalidRequestError(f"No saved search is called {name[:LONGEST_NAME]!r}", hint)


def _read(source: ConfigFile, name: str, table: object) -> Choices:
    if not isinstance(table, Mapping):
        near = difflib.get_close_matches(name, KINDS, n=1)
        what = f"{near[0]!r} belongs below the [NAME] of a search" if near else "a search is a table [NAME]"
        raise SettingsError(f"{source.location(name)}: {name!r} outside a search; {what}")
    choices: Choices = {}
    for key, value in table.items():
        where = source.location(f"{name}.{key}")
        if key not in KINDS:
            near = difflib.get_close_matches(key.replace("-", "_"), KINDS, n=1)
            more = f"; did you mean {near[0]!r}?" if near else f"; the keys are {', '.join(KINDS)}"
            raise SettingsError(f"{where}: unknown key {key!r} in [{name}]{more}")
        read, form = KINDS[key]
        found = read(value)
        if found is None:
            raise SettingsError(f"{where}: {key} must be {form}, got {shown(value)}")
        if found is not False:
            choices[key] = found
    return choices
