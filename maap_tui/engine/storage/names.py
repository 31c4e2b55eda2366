"""The one rule for what may be a name on disk: each part of a path, and the file that an address names.

Names that came from a server or a user become part of a path only after this: each is checked against an
allow-list and refused, never repaired.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from maap_tui.engine.errors import InvalidRequestError

MAX_NAME = 255
"""Bytes a file system gives one name (NAME_MAX)."""
MAX_FILE_NAME = 240
"""Bytes a granule's name may have, so that its part and side files fit beside it."""

_NAME = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9_.+-]*")
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f|\ud800-\udfff]")
_PART_NAME = re.compile(r"\.part(?:\.|$)", re.IGNORECASE)


def is_name(name: str) -> bool:
    """Whether a name is made of letters, digits and `_ . + -` alone, with no `.` or `-` in front."""
    return _NAME.fullmatch(name) is not None


def is_writable(path: Path | str) -> bool:
    """Whether a path can stand in a line of the registry: no `|`, no line break, nothing that is not text."""
    return _UNWRITABLE.search(str(path)) is None


def safe_name(name: str) -> str:
    """Give back a name that is safe as one part of a path: letters, digits and `_ . + -`, at most 255 bytes.

    Raises:
        InvalidRequestError: It is anything else, starts with `.` or `-`, or is empty.
    """
    if not name:
        raise InvalidRequestError("refused an empty name")
    if len(name) > MAX_NAME:
        raise InvalidRequestError(f"refused the name {shown(name)}: longer than {MAX_NAME} bytes")
    if not is_name(name):
        raise InvalidRequestError(
            f"refused the name {shown(name)}: only letters, digits and _ . + - are allowed,"
            " and no . or - in front"
        )
    return name


def safe_file_name(name: str) -> str:
    """Give back a name that is safe for a granule's file: a safe name with room for its part beside it.

    Raises:
        InvalidRequestError: It is not safe, longer than 240 bytes, or the name of another file's part.
    """
    safe_name(name)
    if len(name) > MAX_FILE_NAME:
        raise InvalidRequestError(f"refused the name {shown(name)}: longer than {MAX_FILE_NAME} bytes")
    if _PART_NAME.search(name):
        raise InvalidRequestError(f"refused the name {shown(name)}: .part is kept for unfinished files")
    return name


def shown(name: str) -> str:
    """A hostile name as plain ASCII of bounded length."""
    shown = ascii(name[:200])
    return shown if len(shown) <= 100 else shown[:97] + "..."


def file_name_of(url: str) -> str:
    """The name of the file an http(s) address points to: its last path segment, checked.

    Raises:
        InvalidRequestError: There is none, or it is not a safe file name.
    """
    # Addresses end up in line-based files, and parsers drop control characters unseen.
    if not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidRequestError(f"refused the address {shown(url)}: it holds spaces or control characters")
    scheme, found, rest = url.partition("://")
    if not found or scheme.lower() not in ("http", "https"):
        raise InvalidRequestError(f"refused the address {shown(url)}: not an http(s) address")
    _, _, path = re.split(r"[?#]", rest, maxsplit=1)[0].partition("/")
    segment = path.rpartition("/")[2]
    if not segment:
        raise InvalidRequestError(f"refused the address {shown(url)}: it names no file")
    if "%" in segment:
        # Decoded once: what is a slash or a percent sign then is refused by the allow-list.
        segment = unquote(segment, errors="surrogateescape")
    return safe_file_name(segment)
