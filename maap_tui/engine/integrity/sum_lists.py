"""Lists of SHA-256 sums as sha256sum, shasum and BSD's sha256 write them; files compared with them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.integrity.whole import read_whole

ListState = Literal["good", "changed", "missing", "unreadable", "unlisted"]

_GNU = re.compile(r"(?P<escaped>\\?)(?P<sum>[0-9A-Fa-f]{64})(?: [ *]|\t+\*?| )(?P<name>.+)", re.S)
_BSD = re.compile(r"(?P<escaped>\\?)SHA2?-?256 ?\((?P<name>.+)\) ?= ?(?P<sum>[0-9A-Fa-f]{64})\s*", re.S)
_OTHER = re.compile(
    r"\\?[0-9A-Fa-f]{32,128}(?: [ *]).+|\\?[A-Z0-9-]+ ?\(.+\) ?= ?[0-9A-Fa-f]{32,128}\s*", re.S
)
_ESCAPES = {"\\\\": "\\", "\\n": "\n", "\\r": "\r"}


class Listed(NamedTuple):
    """A line of a list."""

    name: str
    """The path that stands there."""
    sha256: str
    """Hex, in lower case."""


class SumList(NamedTuple):
    """A list that was read."""

    files: list[Listed]
    refused: list[tuple[int, str, str]]
    """Lines that are not of a list: number from 1, the line, and why."""


class Compared(NamedTuple):
    """A file, and what was found of it."""

    name: str
    """As the list has it; of one that is not listed, its path below the folder that was looked through."""
    path: str
    """Where it was looked at; '' where it is nowhere."""
    state: ListState
    reason: str = ""
    """What is wrong, in words; '' for a good one."""
    size: int = 0
    """Bytes on disk."""
    sha256: str = ""
    """The sum that the list has; '' for one that is not listed."""


def sum_line(sha256: str, name: str) -> str:
    """The line of a file as `sha256sum` writes it, without the line end."""
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f"{'' if escaped == name else chr(92)}{sha256}  {escaped}"


def read_sums(data: bytes) -> SumList:
    """Read a list; lines of GNU and BSD may be mixed, blank lines and comments are left out."""
    found: list[Listed] = []
    refused = []
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")
        if not line.strip() or line.startswith("#"):
            continue
        match = _GNU.fullmatch(line) or _BSD.fullmatch(line)
        if match is None:
            is_other = _OTHER.fullmatch(line) is not None
            refused.append(
                (number, line, "not a SHA-256 sum" if is_other else "not a line of a list of sums")
            )
            continue
        name = match["name"]
        if match["escaped"]:
            name = re.sub(r"\\[\\nr]", lambda one: _ESCAPES[one[0]], name)
        found.append(Listed(name, match["sum"].lower()))
    return SumList(found, refused)


def compare_listed(
    listed: Sequence[Listed],
    folders: Sequence[Path],
    *,
    root: Path | None = None,
    ignored: Path | None = None,
) -> Iterator[Compared]:
    """Compare files with a list, in its order; it reads files whole.

    A name is looked for as it is, then below each of the folders. Where it is in none of them, as in a list
    that was made on another machine, the file of the same name below the last folder counts; of several the
    one with the right sum.

    Args:
        listed: the lines of the list; several of one name must agree.
        folders: where names are relative to, the first one that has the file counts.
        root: a folder that is looked through for files that are not listed; None for none.
        ignored: the list itself, which need not be listed; None for none.
    """
    used = set() if ignored is None else {os.path.realpath(ignored)}
    by_name: dict[str, list[Path]] | None = None
    for one in dict.fromkeys(listed):
        places = [place for place in _places_of(one.name, folders) if os.path.lexists(place)]
        if not places and folders:
            if by_name is None:
                by_name = {}
                for path in _files_below(folders[-1]):
                    by_name.setdefault(path.name, []).append(path)
            places = by_name.get(_name_of(one.name), [])
        else:
            places = places[:1]
        found = _compare(one, places)
        if found.path:
            used.add(os.path.realpath(found.path))
        yield found
    if root is not None:
        for path in sorted(_files_below(root)):
            if os.path.realpath(path) not in used:
                size = path.lstat().st_size if os.path.lexists(path) else 0
                name = path.relative_to(root).as_posix()
                yield Compared(name, str(path), "unlisted", "it is not in the list", size)


def _compare(one: Listed, places: Sequence[Path]) -> Compared:
    found = Compared(one.name, "", "missing", "it is not there", sha256=one.sha256)
    for place in places:
        whole = read_whole(place)
        if whole.sha256 == one.sha256:
            return Compared(one.name, str(place), "good", size=whole.size, sha256=one.sha256)
        state: ListState = "changed" if whole.sha256 else "unreadable"
        reason = "its SHA-256 is not that of the list" if whole.sha256 else whole.reason
        found = Compared(one.name, str(place), state, reason, whole.size, one.sha256)
    return found


def _places_of(name: str, folders: Iterable[Path]) -> Iterator[Path]:
    if "\0" in name:
        return
    # A list that came from elsewhere may lead anywhere; what is compared is read only.
    if os.path.isabs(name):
        yield Path(name)
        return
    for folder in folders:
        yield folder / name


def _name_of(name: str) -> str:
    return re.split(r"[/\\]", name)[-1]


def _files_below(folder: Path) -> Iterator[Path]:
    """The files below a folder, but for hidden ones and those that are being fetched."""
    for where, below, names in os.walk(folder):
        below[:] = sorted(one for one in below if not one.startswith("."))
        for name in names:
            if not name.startswith(".") and not name.endswith((".part", ".part.json")):
                yield Path(where, name)


def demand_sums(found: SumList, name: str) -> list[Listed]:
    """The lines of a list that has some.

    Raises:
        InvalidRequestError: it has none.
    """
    if found.files:
        return found.files
    why = f": {found.refused[0][2]}" if found.refused else ""
    raise InvalidRequestError(
        f"{name} is not a list of SHA-256 sums{why}", "Give what sha256sum or `maap freeze` wrote."
    )
