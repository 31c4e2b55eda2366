"""What the name of a file says: its format, and what a mission reads from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

FORMATS: Mapping[str, tuple[str, ...]] = {
    "h5": (".h5",),
    "hdr": (".hdr",),
    "eof": (".eof",),
    "dbl": (".dbl",),
    "eef": (".eef",),
    "nc": (".nc",),
    "bufr": (".bufr", ".bufr4"),
    "tiff": (".tiff", ".tif"),
    "xml": (".xml",),
    "kml": (".kml",),
    "png": (".png",),
    "zip": (".zip",),
}
"""File formats by their suffixes, which are compared without case."""

_BY_SUFFIX = {suffix: name for name, suffixes in FORMATS.items() for suffix in suffixes}

MEASUREMENT = "measurement"
"""The format that stands for all data files of a granule that is a folder of files."""

ALL = "all"
"""The format that stands for every file of a granule."""

FORMAT_NAMES: tuple[str, ...] = (*FORMATS, MEASUREMENT)
"""Formats a user can ask for, besides `all`."""

OTHER = "other"
"""The format of a file of a granule whose suffix is none of `FORMATS`."""

LONGEST_SUFFIX = max(len(suffix) for suffixes in FORMATS.values() for suffix in suffixes)
"""Characters of the longest suffix."""

_SIDE_FOLDERS = ("/annotation/", "/preview/", "/schema/", "/support/", "/public/")


def format_of(name: str) -> str:
    """The format a file name or URL has by its suffix; '' for none that is known."""
    lowered = name.split("?", 1)[0].lower()
    if found := _BY_SUFFIX.get(lowered[lowered.rfind(".") :]):
        return found
    if "/data/zipper/" in lowered:
        return "zip"
    return ""


def has_format(url: str, name: str) -> bool:
    """Whether a file is of a format: by its suffix, a measurement by the folder it is in as well."""
    if name == ALL:
        return True
    if name not in (MEASUREMENT, "zip"):
        path = url.split("?", 1)[0] if "?" in url else url
        return path[-LONGEST_SUFFIX:].lower().endswith(FORMATS.get(name, "\0"))
    if name == "zip":
        return format_of(url) == name
    path = url.split("?", 1)[0].lower()
    if "/data/zipper/" in path or any(folder in path for folder in _SIDE_FOLDERS):
        return False
    return "/measurement/" in path or path.endswith((".tiff", ".tif", ".dat"))


class FileName(NamedTuple):
    """What the name of a product file says."""

    stem: str
    mission: str
    product_type: str
    baseline: str | None
    """None where the mission keeps the baseline out of the name."""
    sensing_start: datetime
    sensing_end: datetime | None = None
    created: datetime | None = None
    """Processing time, None when the name has none."""
    orbit: int | None = None
    frame: str | None = None
    """A letter, or digits where the mission numbers its frames."""
    agency: str = ""
    track: str | None = None
    """Number of the repeating ground track, digits; None where the mission has none."""
    processing: str = ""
    """What else distinguishes two processings of a granule; '' for nothing."""


_STAMP = re.compile(r"[0-9]{8}T[0-9]{6}")
LEAP_SECOND = re.compile(r"([T ]23:?59:?)60(?!\d)")
"""A leap second at the end of a time."""


def parse_stamp(text: str) -> datetime:
    """Read the `20250316T133058` of a file name, UTC; a leap second is the second before it.

    Raises:
        ValueError: when the text is not a time.
    """
    if not _STAMP.fullmatch(text):
        raise ValueError(f"not a time: {text[:40]!a}")
    if text.endswith("60"):
        text = LEAP_SECOND.sub(r"\g<1>59", text)
    # Read for every name: strptime takes five times as long.
    return datetime.fromisoformat(f"{text}Z")
