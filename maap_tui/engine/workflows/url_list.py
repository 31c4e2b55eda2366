"""Lists of files that users hand in: URLs or paths, a line each, also as our own JSON lines."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

_SCHEME = re.compile(r"(https?)://(?=[^\s/])", re.IGNORECASE)


@dataclass(slots=True)
class LineList:
    """What a list holds."""

    values: list[str] = field(default_factory=list)
    """Each once, in order."""
    refused: list[tuple[int, str, str]] = field(default_factory=list)
    """Lines that cannot be used: number from 1, the line, and why."""


def read_lines(text: str, name: str) -> LineList:
    """Read a list: `VALUE`, `VALUE|MORE` or a JSON object with that name; blank lines and # are left out.

    Args:
        text: the list.
        name: what is wanted, `url` or `path`, which is also its name in JSON.
    """
    found = LineList()
    for number, raw in enumerate(text.splitlines() if name == "url" else text.split("\n"), start=1):
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
        found.values.append(value)
    found.values = list(dict.fromkeys(found.values))
    return found


def with_plain_scheme(url: str) -> str:
    """A URL whose scheme is written small, as `HTTP://` means `http://` (RFC 3986, 3.1)."""
    match = _SCHEME.match(url)
    return url if match is None else match[0].lower() + url[match.end() :]


def _json_value(line: str, name: str) -> str:
    try:
        data: Any = json.loads(line)
    except (ValueError, RecursionError):
        return ""
    value = data.get(name) if isinstance(data, dict) else None
    return value.strip() if isinstance(value, str) else ""
