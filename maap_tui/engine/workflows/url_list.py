"""Lists of files that users hand in: URLs or paths, a line each, also as our own JSON lines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from maap_tui.engine.packed import Packed

_AT_ONCE = 1 << 16
"""Characters of a list that are split into lines at once."""
_SCHEME = re.compile(r"(https?)://(?=[^\s/])", re.IGNORECASE)


@dataclass(slots=True)
class LineList:
    """What a list holds."""

    values: Packed[str] = field(default_factory=Packed)
    """Each once, in order."""
    refused: list[tuple[int, str, str]] = field(default_factory=list)
    """Lines that cannot be used: number from 1, the line, and why."""


def read_lines(text: str, name: str) -> LineList:
    """Read a list: `VALUE`, `VALUE|MORE` or a JSON object with that name; blank lines and # are left out.

    Args:
        text: the list.
        name: what is wanted, `url` or `path`, which is also its name in JSON.
    """
    found, seen = LineList(), Once()
    for number, raw in enumerate(_lines_of(text, splits_more=name == "url"), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        value = line
        if line.startswith("{"):
            value = _json_value(line, name)
            if not value:
                found.refused.append((number, line, f'it is JSON without "{name}"'))
                continue
        elif name == "url":
            value = line.partition("|")[0].strip()
        if name == "url":
            value = with_plain_scheme(value)
            if not _SCHEME.match(value):
                found.refused.append((number, line, "it is not a URL"))
                continue
        if seen.is_new(value):
            found.values.append(value)
    return found


def _lines_of(text: str, *, splits_more: bool) -> Iterator[str]:
    """The lines of a text, some at a time; `splits_more` at whatever else begins a line in Unicode, too."""
    at = 0
    while at < len(text):
        end = text.find("\n", at + _AT_ONCE) + 1 or len(text)
        piece = text[at:end]
        yield from piece.splitlines() if splits_more else piece.removesuffix("\n").split("\n")
        at = end


def with_plain_scheme(url: str) -> str:
    """A URL whose scheme is written small, as `HTTP://` means `http://` (RFC 3986, 3.1)."""
    match = _SCHEME.match(url)
    if match is None or match[1].islower():
        return url
    return match[0].lower() + url[match.end() :]


def _json_value(line: str, name: str) -> str:
    try:
        data: Any = json.loads(line)
    except (ValueError, RecursionError):
        return ""
    value = data.get(name) if isinstance(data, dict) else None
    return value.strip() if isinstance(value, str) else ""


class Once:
    """The texts that were seen, as a digest of 16 bytes of each."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def is_new(self, text: str) -> bool:
        """Whether a text was not seen before; from now on it was."""
        digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        before = len(self._seen)
        self._seen.add(digest)
        return len(self._seen) > before
