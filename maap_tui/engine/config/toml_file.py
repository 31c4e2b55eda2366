"""`config.toml` and files like it: read with the line of every key, edited so that comments survive.

What the keys mean is said in `settings`; this alone knows TOML.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from maap_tui.engine.errors import SettingsError

_HELD_S = 5.0
"""Longest wait in seconds for another process that edits a file of the same folder."""


class ConfigFile:
    """A configuration file that was read: its tables, and the line of each key."""

    def __init__(self, file: Path, text: str, tables: Mapping[str, object]) -> None:
        self.file = file
        self.text = text
        self.tables = tables
        self._lines = _find_lines(text)

    def location(self, key: str) -> str:
        """`FILE:LINE` of a key, of its table when the key has no line of its own."""
        while key and key not in self._lines:
            key = key.rpartition(".")[0]
        return f"{self.file}:{self._lines.get(key, 1)}"


_HINTS = {
    "Configuration file": (
        "Check the path given to -c.",
        "Make it readable, or name another with -c.",
        "Texts need quotes; see the configuration table.",
    ),
    "Study": (
        "Check its path.",
        "Make it readable, or name another.",
        "Texts need quotes; see docs/studies.md.",
    ),
}
"""What to do about a kind of file that is missing, cannot be read, or is not TOML."""


def load_file(file: Path, *, missing_ok: bool, kind: str = "Configuration file") -> ConfigFile:
    """Read and parse a configuration file; SettingsError names the file and the line.

    Args:
        file: The file.
        missing_ok: Whether one that is not there counts as an empty one.
        kind: What it is to the user, of `_HINTS`.
    """
    missing, unreadable, wrong = _HINTS[kind]
    try:
        data = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        if missing_ok:
            return ConfigFile(file, "", {})
        raise SettingsError(f"{kind} not found: {file}", hint=missing) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SettingsError(
            f"{kind} cannot be read: {file} ({reason})",
            hint=unreadable,
        ) from None

    import tomllib

    try:
        # Editors of other systems put a byte order mark in front, which TOML does not allow.
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{file}:{line}: not UTF-8 text", hint="Save the file as UTF-8.") from None
    try:
        return ConfigFile(file, text, tomllib.loads(text))
    except ValueError as error:  # a number of 5,000 digits raises no TOMLDecodeError
        message = str(error)
        found = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", message)
        number = found[1] if found and found[1] else str(text.rstrip("\n").count("\n") + 1)
        reason = message[: found.start()] if found else message
        raise SettingsError(
            f"{file}:{number}: not valid TOML: {reason}",
            hint=wrong,
        ) from None
    except RecursionError:
        raise SettingsError(f"{file}:1: not valid TOML: nested too deeply") from None


_PART = r"(?:[A-Za-z0-9_-]+|\"[^\"\n]*\"|'[^'\n]*')"
_HEADER = rf"\s*\[\[?\s*({_PART}(?:\s*\.\s*{_PART})*)\s*\]"
_ENTRY = rf"\s*({_PART}(?:\s*\.\s*{_PART})*)\s*="


def _find_lines(text: str) -> dict[str, int]:
    """The line of every table header and key, by dotted name; tomllib does not give them."""
    lines: dict[str, int] = {}
    head = ""
    inside_text = False
    for number, line in enumerate(text.split("\n"), 1):
        if not inside_text:
            if found := re.match(_HEADER, line):
                head = _join(found[1])
                lines.setdefault(head, number)
            elif found := re.match(_ENTRY, line):
                lines.setdefault(f"{head}.{_join(found[1])}".lstrip("."), number)
        if (line.count('"""') + line.count("'''")) % 2:
            inside_text = not inside_text
    return lines


def _join(dotted: str) -> str:
    return ".".join(part.strip("\"'") for part in re.findall(_PART, dotted))


def set_entry(file: Path, section: str, names: list[str], value: object) -> None:
    """Write a value into a table of the file, made when missing; comments and order stay.

    Args:
        file: The file to change.
        section: The table.
        names: The key in it, part by part.
        value: What TOML can hold.

    Raises:
        SettingsError: The file is not TOML, or has something else where the table should be.
        StorageError: The file cannot be written.
    """
    import tomlkit

    with _edited(file) as document:
        if section not in document:
            # An empty line before the table, as people write them.
            if document.body:
                document.add(tomlkit.nl())
            document.add(section, tomlkit.table())
        table, name = _find_entry(_as_table(file, section, document[section]), names)
        table[name] = value


def remove_entry(file: Path, section: str, names: list[str]) -> bool:
    """Take a value out of the file; False when it was not there. Errors as `set_entry`."""
    with _edited(file) as document:
        if section not in document:
            return False
        table, name = _find_entry(_as_table(file, section, document[section]), names)
        if name not in table:
            return False
        del table[name]
    return True


def write_table(file: Path, section: str, values: Mapping[str, object]) -> None:
    """Give a table of the file these values and no others; comments and order stay. Errors as `set_entry`."""
    import tomlkit

    with _edited(file) as document:
        if section in document:
            table = _as_table(file, section, document[section])
            for name in [name for name in table if name not in values]:
                del table[name]
            for name, value in values.items():
                table[name] = value
        else:
            if document.body:
                document.add(tomlkit.nl())
            table = tomlkit.table()
            table.update(values)
            document.add(section, table)


def remove_table(file: Path, section: str) -> bool:
    """Take a table out of the file; False when it was not there. Errors as `set_entry`."""
    with _edited(file) as document:
        if section not in document:
            return False
        document.remove(section)
    return True


def _as_table(file: Path, section: str, value: object) -> Any:
    if not isinstance(value, dict):
        raise SettingsError(f"{file}: {section} must be a table [{section}], got {shown(value)}")
    return value


def _find_entry(table: Any, names: list[str]) -> tuple[Any, str]:
    """The table that holds a dotted name and the name in it, nested or quoted as the file has it."""
    for cut in range(1, len(names)):
        inner = table.get(".".join(names[:cut]))
        if isinstance(inner, dict):
            found, name = _find_entry(inner, names[cut:])
            if name in found:
                return found, name
    return table, ".".join(names)


@contextlib.contextmanager
def _edited(file: Path) -> Iterator[Any]:
    """The document of a file, which is written where it was changed; no other process edits it meanwhile."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    # files brings what most commands never need.
    from maap_tui.engine.storage.files import write_atomic

    with _held(file.parent):
        text = load_file(file, missing_ok=True).text
        try:
            document = tomlkit.parse(text)
        except TOMLKitError as error:
            raise SettingsError(f"{file}: not valid TOML: {error}") from None
        yield document
        if (changed := tomlkit.dumps(document)) != text:
            write_atomic(file, changed)


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold a folder against other editors of its files, where its file system has locks; leaves no file."""
    from maap_tui.engine.storage.files import flock

    descriptor = -1
    try:
        with contextlib.suppress(OSError):  # without the folder there is no file, without locks no other way
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            end = time.monotonic() + _HELD_S
            while time.monotonic() < end:
                try:
                    flock(descriptor)
                    break
                except BlockingIOError:
                    time.sleep(0.01)
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def shown(value: object) -> str:
    """A refused value, shortened; without user and password of an address, which must not end in a log."""
    text = re.sub(r"//[^/\s'\"]*@", "//***@", ascii(value))
    return text if len(text) <= 80 else text[:77] + "..."
