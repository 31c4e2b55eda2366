"""A frozen study: its files with their sizes and hashes, what was asked for, and who cites it.

`study.json` holds all of it: a head, then one line a file. What is read from there may come from anybody,
so each name, path and address is checked as those of the archive are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from maap_tui.engine.errors import InvalidRequestError, StorageError
from maap_tui.engine.model import DOI_PATTERN, parse_zulu, to_zulu
from maap_tui.engine.registry.entries import Key
from maap_tui.engine.storage import files
from maap_tui.engine.storage.names import safe_file_name, safe_name, shown, url_fault
from maap_tui.engine.studies.replacing import LAST, newest, settle_if_possible

FORMAT = "maap study 1"
"""What the first entry of the file says."""
FILE_NAME = LAST
"""Name of the file in the folder of a study."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_DOI = re.compile(DOI_PATTERN)
_MOST_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Author:
    """Somebody who did the work."""

    name: str
    orcid: str = ""
    """`0000-0002-1825-0097`; '' for none."""
    affiliation: str = ""


@dataclass(frozen=True, slots=True)
class StudyFile:
    """One file of a study."""

    id: str
    """The granule that it belongs to."""
    url: str
    path: str
    """Where it goes below a data folder, with single slashes."""
    size: int | None
    """Bytes; None for one that is not here and whose size nobody says."""
    sha256: str
    """Hex, in lower case; '' for one that is not here."""
    collection: str
    mission: str
    product_type: str
    baseline: str
    day: date
    """Its sensing day."""
    sensing_start: datetime | None = None
    sensing_end: datetime | None = None
    created: datetime | None = None
    orbit: int | None = None
    frame: str | None = None
    doi: str | None = None
    """What the archive says that it is cited by."""

    @property
    def key(self) -> Key:
        """Its baseline in a registry."""
        return Key(self.mission, self.collection, self.product_type, self.baseline)

    @property
    def name(self) -> str:
        """Its name on disk."""
        return self.path.rpartition("/")[2]

    @property
    def order(self) -> tuple[object, ...]:
        """By what the files of a study are sorted."""
        start = self.sensing_start.timestamp() if self.sensing_start is not None else 0.0
        return self.collection, self.product_type, self.baseline, self.day, start, self.path, self.url

    def record(self) -> dict[str, Any]:
        """Ready for JSON; what is not known is None."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        for name, value in values.items():
            if isinstance(value, datetime):
                values[name] = to_zulu(value)
            elif isinstance(value, date):
                values[name] = value.isoformat()
        return values


COLUMNS = tuple(one.name for one in fields(StudyFile))
"""The names in a record of a file, in order."""


@dataclass(frozen=True, slots=True)
class Study:
    """The files that a piece of work was done with."""

    title: str
    frozen: datetime
    """When, UTC."""
    authors: tuple[Author, ...] = ()
    description: str = ""
    license: str = ""
    """Address or name of the terms that the list itself is under; '' where nobody said it."""
    select: tuple[Mapping[str, Any], ...] = ()
    """What was asked for, in the words of the options of a search."""
    files: tuple[StudyFile, ...] = ()
    """By product, baseline and sensing start."""
    absent: tuple[StudyFile, ...] = ()
    """What was meant and was not here, and so has no hash."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(one.size or 0 for one in self.files)

    @property
    def granules(self) -> set[str]:
        """Ids of all granules that have a file in it."""
        return {one.id for one in self.files}

    def is_of_same(self, other: Study) -> bool:
        """Whether both mean the same: the files may differ."""
        return (self.title, list(self.select)) == (other.title, list(other.select))


def text_of(study: Study) -> Iterator[str]:
    """The content of `study.json`, in parts: of equal studies the same, but for the line with the date."""
    head = {
        "format": FORMAT,
        "frozen": to_zulu(study.frozen),
        "title": study.title,
        "authors": [
            {one.name: value for one in fields(author) if (value := getattr(author, one.name))}
            for author in study.authors
        ],
        "description": study.description,
        "license": study.license,
        "select": [dict(one) for one in study.select],
    }
    yield "{\n" + "".join(f" {json.dumps(name)}: {json.dumps(value)},\n" for name, value in head.items())
    for name, some, end in (("files", study.files, ","), ("not_here", study.absent, "")):
        yield f" {json.dumps(name)}: ["
        for number, one in enumerate(some):
            yield ("," if number else "") + f"\n  {json.dumps(one.record())}"
        yield ("\n ]" if some else "]") + f"{end}\n"
    yield "}\n"


def is_study(folder: Path) -> bool:
    """Whether a folder holds a frozen study."""
    return newest(folder).is_file()


def read_study(folder: Path) -> Study:
    """Read the study in a folder.

    Args:
        folder: the folder, or its `study.json`.

    Raises:
        InvalidRequestError: there is none, or it is not one that can be trusted.
    """
    folder = folder.parent if folder.name == FILE_NAME and not folder.is_dir() else folder
    settle_if_possible(folder)
    file = newest(folder)
    try:
        if not file.is_file():
            raise InvalidRequestError(
                f"{folder} is not a frozen study: it has no {FILE_NAME}", "Name the folder of `maap freeze`."
            )
        if file.stat().st_size > _MOST_BYTES:
            raise InvalidRequestError(f"{file} is larger than {_MOST_BYTES:,} bytes")
        data = json.loads(files.read_data(file).decode("utf-8-sig"))
    except (OSError, StorageError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidRequestError(f"{file} cannot be read: {reason}") from None
    except InvalidRequestError:
        raise
    except (ValueError, RecursionError):
        raise InvalidRequestError(f"{file} is not JSON", "It is damaged; get a copy of the study.") from None
    try:
        return _study_of(data)
    except InvalidRequestError as error:
        raise InvalidRequestError(f"{file} is not a study: {error.message}", error.hint) from None


def _study_of(data: Any) -> Study:
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise InvalidRequestError(f"it does not begin with the format {FORMAT!r}")
    select = data.get("select", [])
    if not isinstance(select, list) or not all(isinstance(one, dict) for one in select):
        raise InvalidRequestError("'select' must be a list of objects")
    frozen = _moment(data, "frozen")
    if frozen is None:
        raise InvalidRequestError("'frozen' is missing")
    return Study(
        _text(data, "title"),
        frozen,
        tuple(_author(one) for one in _objects(data, "authors")),
        _text(data, "description", ""),
        _text(data, "license", ""),
        tuple(select),
        tuple(_file(data, "files", number, one) for number, one in enumerate(_objects(data, "files"))),
        tuple(_file(data, "not_here", number, one) for number, one in enumerate(_objects(data, "not_here"))),
    )


def _objects(data: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    found = data.get(name, [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise InvalidRequestError(f"{name!r} must be a list of objects")
    return found


def _author(data: Mapping[str, Any]) -> Author:
    return Author(_text(data, "name"), _text(data, "orcid", ""), _text(data, "affiliation", ""))


def _file(data: Mapping[str, Any], head: str, number: int, one: Mapping[str, Any]) -> StudyFile:
    try:
        return _checked(one, is_here=head == "files")
    except InvalidRequestError as error:
        raise InvalidRequestError(f"{head}[{number}]: {error.message}", error.hint) from None


def _checked(one: Mapping[str, Any], *, is_here: bool) -> StudyFile:
    size, orbit = one.get("size"), one.get("orbit")
    if not (_is_size(size) or (size is None and not is_here)):
        raise InvalidRequestError("'size' must be a number of bytes")
    if orbit is not None and not _is_whole(orbit):
        raise InvalidRequestError("'orbit' must be a number")
    try:
        day = date.fromisoformat(_text(one, "day"))
    except ValueError:
        raise InvalidRequestError("'day' must be a date") from None
    found = StudyFile(
        _text(one, "id"), _text(one, "url"), _text(one, "path"), size, _text(one, "sha256", ""),
        _text(one, "collection"), _text(one, "mission"), _text(one, "product_type"), _text(one, "baseline"),
        day, _moment(one, "sensing_start"), _moment(one, "sensing_end"), _moment(one, "created"), orbit,
        _text(one, "frame", "") or None, _text(one, "doi", "") or None,
    )  # fmt: skip
    if fault := url_fault(found.url):
        raise InvalidRequestError(fault)
    if is_here and not _SHA256.fullmatch(found.sha256):
        raise InvalidRequestError("'sha256' must be 64 hexadecimal digits in lower case")
    if found.doi is not None and not _DOI.fullmatch(found.doi):
        raise InvalidRequestError(f"{shown(found.doi)} is not a DOI")
    home = "/".join((*found.key, f"{day:%Y/%m/%d}"))
    if not found.path.startswith(f"{home}/"):
        raise InvalidRequestError(f"the path {shown(found.path)} is not below {home}")
    *folders, name = PurePosixPath(found.path).parts
    for folder in folders:
        safe_name(folder)
    safe_file_name(name)
    return replace(found, path="/".join((*folders, name)))


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _text(data: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = data.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or (not value and default is None):
        raise InvalidRequestError(f"{name!r} must be a text")
    return value


def _moment(data: Mapping[str, Any], name: str) -> datetime | None:
    text = _text(data, name, "")
    try:
        return parse_zulu(text) if text else None
    except ValueError:
        raise InvalidRequestError(f"{name!r} must be a time") from None


def in_order(several: Iterable[StudyFile]) -> tuple[StudyFile, ...]:
    """Files as a study has them: each address once, sorted."""
    return tuple(sorted({one.url: one for one in several}.values(), key=lambda one: one.order))
