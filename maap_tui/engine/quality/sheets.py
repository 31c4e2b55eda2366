"""Sheets of gaps and disclaimers: CSV as spreadsheets write it, with the columns of docs/quality.md.

Which columns there are is known of the mission's pages, not how they are laid out: a sheet is what a person
fills in from them, and everything that cannot be read is reported with its line.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.missions import MISSIONS
from maap_tui.engine.quality.notices import Kind, Notice
from maap_tui.engine.storage.names import is_clean_url, is_name
from maap_tui.engine.time_words import read_moment
from maap_tui.text import clean, plural

MAX_BYTES = 20_000_000
"""Bytes of a sheet, at most."""
MAX_ROWS = 100_000
"""Rows of a sheet, at most."""

COLUMNS: dict[str, tuple[str, ...]] = {
    "id": ("id", "disclaimer", "disclaimer id", "number"),
    "start": ("start", "start time", "from"),
    "stop": ("stop", "stop time", "end", "end time", "to"),
    "first_frame": ("first frame", "first affected frame"),
    "last_frame": ("last frame", "last affected frame"),
    "products": ("products", "product", "affected products", "product type"),
    "baseline": ("baseline", "baselines"),
    "mission": ("mission",),
    "text": ("text", "title", "description", "comment", "reason"),
    "link": ("link", "url"),
}
"""Columns, and how they may be called."""

_DELIMITERS = ",;\t|"
_NAMES = {name: column for column, names in COLUMNS.items() for name in names}
_SPOT = re.compile(r"0*(\d{1,6})(?:[.,]0+)?\s*([A-Za-z]?)")
_ANY = {"", "all", "*", "any", "-", "n/a"}
_MOST_TEXT = 2000
_MISSION = "EarthCARE"
"""The mission of a sheet that does not say it: the one whose pages have such notices."""


@dataclass(slots=True)
class Sheet:
    """What was read of a sheet."""

    notices: list[Notice] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)
    """Rows that cannot be used: the line that each begins at, and why."""
    unknown: list[str] = field(default_factory=list)
    """Columns that say nothing to this program."""


def read_sheet(data: bytes, kind: Kind) -> Sheet:
    """Read a sheet.

    Args:
        data: CSV in UTF-8 or UTF-16, as spreadsheets save it, or in Windows-1252; separated by comma,
            semicolon, tab or bar.
        kind: what its rows are.

    Raises:
        InvalidRequestError: it is not a sheet with such columns.
    """
    if len(data) > MAX_BYTES:
        raise InvalidRequestError(f"it is larger than {MAX_BYTES:,} bytes")
    text = _decoded(data)
    delimiter = _delimiter(text)
    lines = list(io.StringIO(text, newline=""))
    rows = csv.reader(lines, delimiter=delimiter)
    sheet = Sheet()
    columns: list[str] = []
    line = 1
    try:
        for row in rows:
            begun, line = line, rows.line_num + 1
            cells = [_cell(value) for value in row]
            if not any(cells) or cells[0].startswith("#"):
                continue
            if not columns:
                columns = _columns(cells, sheet)
                continue
            if len(sheet.notices) + len(sheet.refused) >= MAX_ROWS:
                raise InvalidRequestError(f"it has more than {MAX_ROWS:,} rows")
            try:
                if rows.line_num == len(lines):
                    _refuse_open_quotes(lines[begun - 1 :], delimiter)
                sheet.notices.append(_notice(kind, dict(zip(columns, cells, strict=False))))
            except InvalidRequestError as error:
                sheet.refused.append((begun, error.message))
    except csv.Error as error:
        raise InvalidRequestError(f"line {line} cannot be read: {error}") from None
    if not columns:
        raise InvalidRequestError("it has no row of column names")
    return sheet


def _refuse_open_quotes(lines: Sequence[str], delimiter: str) -> None:
    """Refuse a last row whose quotes do not end: the rows after them have become a part of its text."""
    try:
        for _ in csv.reader(lines, delimiter=delimiter, strict=True):
            pass
    except csv.Error as error:
        if "end of data" in str(error):
            raise InvalidRequestError(
                f"its quotes do not end, so that {plural(len(lines) - 1, 'line')} after it cannot be read"
            ) from None


def _decoded(data: bytes) -> str:
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise InvalidRequestError("it is a file of a spreadsheet program; save it as CSV")
    if re.match(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|\?xml)", data, re.I):
        raise InvalidRequestError("it is a web page and not a sheet")
    for mark, kind in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"", "utf-8-sig")):
        if data.startswith(mark):
            try:
                text = data.decode(kind)
            except UnicodeDecodeError:
                break
            if "\0" not in text:
                return text
    if b"\0" in data:
        raise InvalidRequestError("it is not text; save it as CSV in UTF-8")
    return data.decode("cp1252", "replace")


def _delimiter(text: str) -> str:
    """The separator by which the first lines have the most columns that are known."""
    lines = [line for line in text.splitlines()[:50] if line.strip() and not line.startswith("#")]
    head = lines[0] if lines else ""

    def known(delimiter: str) -> int:
        cells = next(csv.reader([head], delimiter=delimiter), [])
        return sum(_name(_cell(cell)) in _NAMES for cell in cells)

    return max(_DELIMITERS, key=known)


def _name(cell: str) -> str:
    return " ".join(re.split(r"[\s_]+", re.sub(r"\(.*?\)", "", cell).strip().lower())).strip()


def _columns(cells: Sequence[str], sheet: Sheet) -> list[str]:
    columns = [_NAMES.get(_name(cell), "") for cell in cells]
    sheet.unknown = [cell for cell, column in zip(cells, columns, strict=True) if cell and not column]
    if not {"start", "first_frame", "products", "baseline"} & set(columns):
        shown = ", ".join(cells)[:80]
        raise InvalidRequestError(f"its first row does not name columns of a sheet: {clean(shown)}")
    twice = next((one for one in columns if one and columns.count(one) > 1), "")
    if twice:
        raise InvalidRequestError(f"it has the column {twice} twice")
    return columns


def _cell(value: str) -> str:
    """A cell without what spreadsheets put around it: a formula of one text, an apostrophe, blanks."""
    text = value.replace("\xa0", " ").strip()
    if (found := re.fullmatch(r'="(.*)"', text, re.S)) is not None:
        text = found[1].replace('""', '"')
    return text.removeprefix("'").strip()


def _notice(kind: Kind, row: Mapping[str, str]) -> Notice:
    mission = _mission(row.get("mission", ""))
    start, end = _times(row.get("start", ""), row.get("stop", ""))
    first, last = (_spot(row.get(name, ""), name, mission) for name in ("first_frame", "last_frame"))
    if (first is None and last is not None) or (last is None and first is not None):
        first = last = first or last
    if first is not None and last is not None and (first[0], first[1] or "A") > (last[0], last[1] or "Z"):
        raise InvalidRequestError("its last frame is before the first")
    products = _products(row.get("products", ""), mission)
    baselines = tuple(one.upper() for one in _words(row.get("baseline", ""), "baseline"))
    if start is None and first is None and not (products and baselines):
        raise InvalidRequestError("it has neither times nor frames, nor a product and baseline that it means")
    return Notice(
        kind, clean(row.get("id", ""), 80), mission, products, baselines, start, end, first, last,
        clean(" ".join(row.get("text", "").split()), _MOST_TEXT), _link(row.get("link", "")),
    )  # fmt: skip


def _mission(text: str) -> str:
    if not text:
        return _MISSION
    for name in MISSIONS:
        if name.lower() == text.lower():
            return name
    raise InvalidRequestError(f"'{clean(text, 40)}' is not a mission; there are {', '.join(MISSIONS)}")


def _times(start: str, stop: str) -> tuple[datetime | None, datetime | None]:
    if not start and not stop:
        return None, None
    if not start or not stop:
        raise InvalidRequestError("it has a start or a stop, and not both")
    begin, _ = _moment(start)
    until, length = _moment(stop)
    # A day or a minute includes all of it; a second, with a fraction or without, is a moment.
    end = until + (length - timedelta(microseconds=1) if length > timedelta(seconds=1) else timedelta())
    if end < begin:
        raise InvalidRequestError("its stop is before the start")
    return begin, end


def _moment(text: str) -> tuple[datetime, timedelta]:
    words = re.sub(r"^UTC=|\s*UTC$", "", text.strip(), flags=re.I).replace(",", ".")
    if (found := re.fullmatch(r"(\d{8})T?(\d{6})Z?", words)) is not None:
        day, clock = found[1], found[2]
        words = f"{day[:4]}-{day[4:6]}-{day[6:]}T{clock[:2]}:{clock[2:4]}:{clock[4:]}"
    words = re.sub(r"^(\d{4})/(\d{2})/(\d{2})", r"\1-\2-\3", words)
    if not re.match(r"\d{4}-?\d{2}", words):
        raise InvalidRequestError(f"'{clean(text, 40)}' is not a time such as 2025-12-01T06:30:00Z")
    try:
        return read_moment(words, datetime.min, "")
    except InvalidRequestError:
        raise InvalidRequestError(f"'{clean(text, 40)}' is not a time such as 2025-12-01T06:30:00Z") from None


def _spot(text: str, column: str, mission: str) -> tuple[int, str] | None:
    if text.lower() in _ANY:
        return None
    found = _SPOT.fullmatch(text)
    letters = MISSIONS[mission].frames
    if found is None or (found[2] and found[2].upper() not in letters):
        raise InvalidRequestError(f"{column} '{clean(text, 40)}' is not an orbit and frame such as 08574D")
    return int(found[1]), found[2].upper()


def _words(text: str, column: str) -> list[str]:
    words = [one for one in re.split(r"[\s,;/|]+", text) if one.lower() not in (*_ANY, "and", "&")]
    if not words and text.strip() and text.strip().lower() not in _ANY:
        raise InvalidRequestError(f"{column} '{clean(text, 40)}' cannot be read")
    for one in words:
        if not is_name(one.removesuffix("*") or one):
            raise InvalidRequestError(f"{column} '{clean(one, 40)}' is not a name")
    return words


def _products(text: str, mission: str) -> tuple[str, ...]:
    """Product types, also by their short names such as C-CLD."""
    shorts = {one.short.upper(): name for name, one in MISSIONS[mission].products.items() if one.short}
    return tuple(shorts.get(one.upper(), one.upper()) for one in _words(text, "products"))


def _link(text: str) -> str:
    return text if is_clean_url(text) else ""
