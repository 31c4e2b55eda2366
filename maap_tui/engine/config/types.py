"""The types a setting may have: how a value is read from text or TOML, shown, and written back."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Generic, TypeVar
from urllib.parse import urlsplit

from maap_tui.engine.config import dirs
from maap_tui.engine.net.origins import is_loopback
from maap_tui.engine.storage.names import is_name

T = TypeVar("T")


class Kind(Generic[T]):
    """How values of one type are read from text, read from TOML, shown and written."""

    expected: str = "a text"
    """What a right value is, for `must be ...`."""

    def from_text(self, text: str, environ: Mapping[str, str]) -> T:
        """Read what a user typed or a variable holds; ValueError when it is not `expected`."""
        raise NotImplementedError

    def from_value(self, value: object, environ: Mapping[str, str]) -> T:
        """Read a value of TOML or of a caller; ValueError when it is not `expected`."""
        if not isinstance(value, str):
            raise ValueError
        return self.from_text(value, environ)

    def to_text(self, value: T) -> str:
        """Show a value as it could be typed again; empty for none."""
        return str(value)

    def to_toml(self, text: str, value: T) -> object:
        """What goes into the file for `text`, which was read as `value`."""
        return text


class Text(Kind[str]):
    """Any text, without the spaces around it."""

    def from_text(self, text: str, environ: Mapping[str, str]) -> str:
        return text.strip()


class Name(Text):
    """A text that may become a folder name and part of an address."""

    expected = "a name of letters, digits and . _ + -"

    def from_text(self, text: str, environ: Mapping[str, str]) -> str:
        text = text.strip()
        if text and not is_name(text):
            raise ValueError
        return text


class Names(Kind[tuple[str, ...]]):
    """A list of texts, comma separated where it is typed."""

    def __init__(self, item: Text, expected: str) -> None:
        self.item = item
        self.expected = expected

    def from_text(self, text: str, environ: Mapping[str, str]) -> tuple[str, ...]:
        return self.from_value([part for part in text.split(",") if part.strip()], environ)

    def from_value(self, value: object, environ: Mapping[str, str]) -> tuple[str, ...]:
        if isinstance(value, str):
            return self.from_text(value, environ)
        if not isinstance(value, list | tuple) or not all(isinstance(part, str) for part in value):
            raise ValueError
        # A name given twice would be searched twice.
        return tuple(dict.fromkeys(self.item.from_text(part, environ) for part in value if part.strip()))

    def to_text(self, value: tuple[str, ...]) -> str:
        return ",".join(value)

    def to_toml(self, text: str, value: tuple[str, ...]) -> object:
        return list(value)


class FilePath(Kind["Path | None"]):
    """A path; `~` and `$NAME` stand for what the environment says."""

    expected = "a path"

    def from_text(self, text: str, environ: Mapping[str, str]) -> Path:
        if not text.strip() or "\0" in text:
            raise ValueError
        return dirs.expand_path(text, environ)

    def from_value(self, value: object, environ: Mapping[str, str]) -> Path:
        if not isinstance(value, str | Path):
            raise ValueError
        return self.from_text(str(value), environ)

    def to_text(self, value: Path | None) -> str:
        return "" if value is None else str(value)

    def to_toml(self, text: str, value: Path | None) -> object:
        # A relative path is meant from where it is typed, not from where a later run starts.
        return text if text.startswith("~") or "$" in text else os.path.abspath(text)


class Whole(Kind[int]):
    """A whole number."""

    expected = "a whole number"

    def from_text(self, text: str, environ: Mapping[str, str]) -> int:
        return int(text)

    def from_value(self, value: object, environ: Mapping[str, str]) -> int:
        # bool is an int to Python, but `parallel = true` is a mistake.
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError
        return value

    def to_toml(self, text: str, value: int) -> object:
        return value


class Number(Kind[float]):
    """A finite number."""

    expected = "a number"

    def from_text(self, text: str, environ: Mapping[str, str]) -> float:
        return self.from_value(float(text), environ)

    def from_value(self, value: object, environ: Mapping[str, str]) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError
        return float(value)

    def to_text(self, value: float) -> str:
        return f"{value:g}"

    def to_toml(self, text: str, value: float) -> object:
        return value


class Switch(Kind[bool]):
    """Yes or no."""

    expected = "true or false"
    _YES = ("true", "yes", "on", "1")
    _NO = ("false", "no", "off", "0")

    def from_text(self, text: str, environ: Mapping[str, str]) -> bool:
        word = text.strip().lower()
        if word not in self._YES + self._NO:
            raise ValueError
        return word in self._YES

    def from_value(self, value: object, environ: Mapping[str, str]) -> bool:
        if not isinstance(value, bool):
            raise ValueError
        return value

    def to_text(self, value: bool) -> str:
        return "true" if value else "false"

    def to_toml(self, text: str, value: bool) -> object:
        return value


class Size(Kind[int]):
    """A number of bytes, as `800K`, `1.5G` or plain bytes; K is 1024, as in curl and aria2."""

    expected = "a number of bytes such as 800K, 5M or 20G"
    _PATTERN = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?(?:/s)?", re.IGNORECASE | re.ASCII)
    _UNITS = "KMGT"

    def from_text(self, text: str, environ: Mapping[str, str]) -> int:
        if not text.strip():
            return 0
        found = self._PATTERN.fullmatch(text.strip())
        if not found:
            raise ValueError
        power = self._UNITS.index(found[2].upper()) + 1 if found[2] else 0
        return int(float(found[1]) * 1024**power) if "." in found[1] else int(found[1]) * 1024**power

    def from_value(self, value: object, environ: Mapping[str, str]) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        return super().from_value(value, environ)

    def to_text(self, value: int) -> str:
        for power in range(len(self._UNITS), 0, -1):
            if value and value % 1024**power == 0:
                return f"{value // 1024**power}{self._UNITS[power - 1]}"
        return str(value)


class Instant(Kind["datetime | None"]):
    """A moment in UTC; a bare date means the first or the last second of that day."""

    expected = "a date such as 2025-03-14 or a time such as 2025-03-14T12:00:00Z"

    def __init__(self, *, day_ends: bool = False) -> None:
        self.day_ends = day_ends

    def from_text(self, text: str, environ: Mapping[str, str]) -> datetime:
        text = text.strip()
        try:
            day = date.fromisoformat(text)
        except ValueError:
            return self.from_value(datetime.fromisoformat(text), environ)
        return self.from_value(day, environ)

    def from_value(self, value: object, environ: Mapping[str, str]) -> datetime:
        if isinstance(value, str):
            return self.from_text(value, environ)
        if isinstance(value, datetime):
            return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        if isinstance(value, date):
            return datetime.combine(value, time(23, 59, 59) if self.day_ends else time(), UTC)
        raise ValueError

    def to_text(self, value: datetime | None) -> str:
        return "" if value is None else value.isoformat().replace("+00:00", "Z")


class Address(Text):
    """An http(s) address without user, query or fragment."""

    def __init__(self, *, folder: bool = False, origin: bool = False, private: bool = False) -> None:
        """Say which form is kept.

        Args:
            folder: End it with exactly one slash.
            origin: Keep scheme, host and port alone.
            private: Secrets go there: https, or http to this machine only.
        """
        self.folder = folder
        self.origin = origin
        self.private = private
        form = "https://HOST" if origin else "https://HOST/PATH"
        self.expected = f"an address like {form}" + (" (http only to this machine)" if private else "")

    def from_text(self, text: str, environ: Mapping[str, str]) -> str:
        text = text.strip()
        # urlsplit drops control characters unseen; an address that needs it was not meant.
        if re.search(r"[\s\x00-\x20\x7f\\]", text):
            raise ValueError
        parts = urlsplit(text)
        host = parts.hostname
        if (
            not host
            or parts.scheme not in ("http", "https")
            or "@" in parts.netloc
            or "?" in text
            or "#" in text
        ):
            raise ValueError
        if self.private and parts.scheme != "https" and not is_loopback(host):
            raise ValueError
        port = f":{parts.port}" if parts.port is not None else ""
        base = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"
        if self.origin:
            if parts.path not in ("", "/"):
                raise ValueError
            return base
        path = parts.path.rstrip("/") + "/" if self.folder else parts.path
        return base + path


TEXT = Text()
NAME = Name()
NAMES = Names(NAME, "a list of names")
ORIGINS = Names(Address(origin=True, private=True), "a list of addresses like https://HOST")
PATH = FilePath()
WHOLE = Whole()
NUMBER = Number()
SWITCH = Switch()
SIZE = Size()
