"""The one rule for what may be a name: of the archive, of a part of a path, and of the file a URL points to.

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
MAX_ARCHIVE_NAME = 128
"""Bytes the name of a mission, collection, product type or baseline may have."""
MAX_URL = 8192
"""Characters a URL may have that is a field of a registry line."""
URL_PATTERN = r"https?://[!-{}~]+"
"""A URL that can be a field of a registry line: http(s), printable ASCII without space and `|`."""

_PART = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9_.+-]*")
_UNWRITABLE = "[\x00-\x1f\x7f-\x9f|\u2028\u2029\ud800-\udfff]"
_PART_NAME = re.compile(r"\.part(?:\.|$)", re.IGNORECASE)
_PRINTABLE = re.compile(r"[!-~]+")
_URL = re.compile(URL_PATTERN)
# Without the quotes, brackets and backslash that no URI has (RFC 3986 section 2): a shell or a parser of
# URLs may read them as something else.
_CLEAN_URL = re.compile(r"https?://[\x21\x23-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e%]+")

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}")
# What stays as it is in the address of a request, whatever signs and sends it.
_KEY_PART = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9_.=+@,!()' -]+")


def is_part(name: str) -> bool:
    """Whether a name may be one part of a path: letters, digits and `_ . + -`, no `.` or `-` in front."""
    return len(name) <= MAX_NAME and _PART.fullmatch(name) is not None


def is_name(name: str) -> bool:
    """Whether it may be the name of a mission, collection, product type or baseline, and of its folder."""
    return len(name) <= MAX_ARCHIVE_NAME and is_part(name)


def is_searchable(name: str) -> bool:
    """Whether the archive may be asked for a collection or product type of that name.

    A name that may be a folder, or one with `:`, as other archives have them: these can be searched, and
    are refused where a folder would be named so.
    """
    return not name.startswith(":") and is_name(name.replace(":", "_"))


def is_bucket(name: str) -> bool:
    """Whether a bucket of S3 may have that name."""
    return _BUCKET.fullmatch(name) is not None


def is_key_part(name: str) -> bool:
    """Whether a name may be one part of a key of S3, between slashes."""
    return _KEY_PART.fullmatch(name) is not None


def is_writable(path: Path | str) -> bool:
    """Whether a path can stand in a line of the registry: no `|`, no line end, nothing that is not text."""
    text = str(path)
    is_plain = text.isascii() and text.isprintable() and "|" not in text  # as most are
    return is_plain or re.search(_UNWRITABLE, text) is None


def path_fault(path: str) -> str:
    """Say why a path cannot be a field of a registry line; empty when it can."""
    if not is_writable(path):
        return "the path holds a line end, a control character, | or bytes that are not UTF-8"
    if path != path.rstrip():
        return "the path ends with a blank"
    if len(path.encode()) > MAX_URL // 2:
        return "the path is too long"
    return ""


def url_fault(url: str) -> str:
    """Say why a URL cannot be a field of a registry line; empty when it can."""
    if len(url) > MAX_URL:
        return f"the URL is longer than {MAX_URL} characters"
    if not _URL.fullmatch(url):
        return "the URL holds blanks, control characters, | or non-ASCII, or is not http"
    return ""


def is_clean_url(url: str) -> bool:
    """Whether the URL of a file can be taken from an item that a server sent.

    It is a URL of the registry that names no user and has none of the characters that no URI has.
    """
    return len(url) <= MAX_URL and _CLEAN_URL.fullmatch(url) is not None and "@" not in url.split("/")[2]


def is_printable(text: str) -> bool:
    """Whether a text is printable ASCII without spaces, at least one character."""
    return _PRINTABLE.fullmatch(text) is not None


def safe_name(name: str, longest: int = MAX_NAME) -> str:
    """Give back a name that is safe as one part of a path: letters, digits and `_ . + -`.

    Args:
        name: The name.
        longest: Bytes it may have.

    Raises:
        InvalidRequestError: It is anything else, starts with `.` or `-`, or is empty.
    """
    if not name:
        raise InvalidRequestError("refused an empty name")
    if len(name) > longest:
        raise InvalidRequestError(f"refused the name {shown(name)}: longer than {longest} bytes")
    if not is_part(name):
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


def shown_url(url: str) -> str:
    """A hostile URL as plain ASCII of bounded length; of a long one its end, which names the file."""
    return ascii(url if len(url) <= 120 else f"...{url[-117:]}")


def file_name_of(url: str) -> str:
    """The name of the file an http(s) address points to: its last path segment, checked.

    Raises:
        InvalidRequestError: There is none, or it is not a safe file name.
    """
    # Addresses end up in line-based files, and parsers drop control characters unseen.
    if url and not is_printable(url):
        raise InvalidRequestError(f"refused the address {shown(url)}: it holds spaces or control characters")
    scheme, found, rest = url.partition("://")
    if not found or scheme.lower() not in ("http", "https"):
        raise InvalidRequestError(f"refused the address {shown(url)}: not an http(s) address")
    if "?" in rest or "#" in rest:
        rest = re.split(r"[?#]", rest, maxsplit=1)[0]
    segment = rest.partition("/")[2].rpartition("/")[2]
    if not segment:
        raise InvalidRequestError(f"refused the address {shown(url)}: it names no file")
    if "%" in segment:
        # Decoded once: what is a slash or a percent sign then is refused by the allow-list.
        segment = unquote(segment, errors="surrogateescape")
    return safe_file_name(segment)
