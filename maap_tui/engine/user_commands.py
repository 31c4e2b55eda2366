"""Commands of the user's own, which the app runs on a key with what the cursor is on.

No shell reads them: the words are those that a shell would make of the text, and what stands for a
placeholder never becomes several words, nor an option.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.missions import granule_name, parse_name

PLACES = ("browse", "search", "downloads", "registry")
"""Modes of the app that have something to run a command with."""

PAGER, TERMINAL, BACKGROUND = OUTPUTS = ("pager", "terminal", "background")
"""Where a command runs, and what it says goes: through the pager, on the terminal, into the log."""

VALUES = ("file", "folder", "url", "id", "collection", "product", "baseline", "day", "orbit", "frame")
"""Placeholders."""

_PLACEHOLDER = re.compile(r"\{([a-z]+)\}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,29}")


class UserCommand(NamedTuple):
    """A command, and where it works."""

    name: str
    words: tuple[str, ...]
    """With placeholders."""
    key: str = ""
    """The key as it is written, '' for none: the palette has it."""
    where: tuple[str, ...] = PLACES
    output: str = PAGER

    def __str__(self) -> str:
        return shlex.join(self.words)


def command_of(
    name: str, run: str, key: str = "", where: Sequence[str] = PLACES, output: str = PAGER
) -> UserCommand:
    """A command as the configuration has it.

    Args:
        name: what it is called.
        run: its words, quoted as a shell would read them.
        key: the key that runs it; '' for none.
        where: some of `PLACES`.
        output: one of `OUTPUTS`.

    Raises:
        InvalidRequestError: one of them cannot be read.
    """
    title = f"The command {name[:40]!a}"
    if not _NAME.fullmatch(name):
        raise InvalidRequestError(f"{title} needs another name", "Use up to 30 letters, digits, - and _.")
    try:
        words = tuple(shlex.split(run))
    except ValueError:
        raise InvalidRequestError(f"{title} has a quote that does not end", "Close it.") from None
    if not words:
        raise InvalidRequestError(f"{title} runs nothing", "Give run, such as run = 'ncdump -h {file}'.")
    for word in words:
        for placeholder in _PLACEHOLDER.findall(word):
            if placeholder not in VALUES:
                raise InvalidRequestError(
                    f"{title} has {{{placeholder}}}, which stands for nothing",
                    f"There are {', '.join(f'{{{one}}}' for one in VALUES)}.",
                )
    for what, given, known in (("where", where, PLACES), ("output", [output], OUTPUTS)):
        for one in given:
            if one not in known:
                raise InvalidRequestError(
                    f"{title} has {what} {one[:20]!a}", f"There are {', '.join(known)}."
                )
    return UserCommand(name, words, key.strip(), tuple(where) or PLACES, output)


def values_of_file(path: str, url: str, collection: str = "") -> dict[str, str]:
    """The values of a file, by its name; `file` and `folder` only when it is here.

    Args:
        path: where it is or would be; '' when that is not known.
        url: where the archive has it; '' when that is not known.
        collection: its collection, '' when that is not known.
    """
    name = (path or url.partition("?")[0]).rstrip("/").rpartition("/")[2]
    values = {"url": url, "id": granule_name(name), "collection": collection}
    if path and os.path.exists(path):
        values |= {"file": path, "folder": os.path.dirname(path)}
    parsed = parse_name(name)
    if parsed is not None:
        values |= {
            "product": parsed.product_type,
            "baseline": parsed.baseline or "",
            "day": f"{parsed.sensing_start:%Y-%m-%d}",
            "orbit": f"{parsed.orbit:05d}" if parsed.orbit is not None else "",
            "frame": parsed.frame or "",
        }
    return values


def words_for(command: UserCommand, values: Mapping[str, str]) -> list[str]:
    """The words of a command for what the cursor is on.

    Args:
        command: which one.
        values: what is known, by the names of `VALUES`; '' and what is left out are not known.

    Raises:
        InvalidRequestError: something that it needs is not known, or would be read as an option.
    """

    def value(found: re.Match[str]) -> str:
        text = values.get(found[1], "")
        if not text:
            hint = "Download it first with d." if found[1] in ("file", "folder") else ""
            what = "no file of it is here" if found[1] in ("file", "folder") else "that is not known here"
            raise InvalidRequestError(f"{command.name} needs {{{found[1]}}}: {what}", hint)
        return text

    words = []
    for word in command.words:
        filled = _PLACEHOLDER.sub(value, word)
        if filled.startswith("-") and not word.startswith("-"):
            raise InvalidRequestError(f"{command.name}: {filled[:40]!a} would be read as an option")
        words.append(filled)
    return words
