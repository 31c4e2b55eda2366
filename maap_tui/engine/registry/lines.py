"""The format of the registry's files: bytes to lines and back; no file is touched.

The rule: a damaged line is stepped over with its reason, and a last line that was cut short is believed
only as far as the other lines show that it is whole.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import repeat
from typing import Final, NamedTuple

from maap_tui.engine.file_names import FORMATS
from maap_tui.engine.net.statuses import GONE
from maap_tui.engine.registry.entries import ListKind
from maap_tui.engine.storage.names import URL_PATTERN

# A line of url_ and dwl_ files: a URL, then perhaps a separator and a path without control characters.
_PAIR_LINE: Final = re.compile(URL_PATTERN.encode() + rb"(?:\|[^\x00-\x1f\x7f]*)?")
_PATH_LINE: Final = re.compile(rb"[^\x00-\x1f\x7f]+")
_DELETED_LINE: Final = re.compile(rb"(?:deleted|back)\|[^\x00-\x1f\x7f]+")
_PATTERNS: Final[dict[ListKind, tuple[re.Pattern[bytes], str]]] = {
    "url": (_PAIR_LINE, "a URL"),
    "dwl": (_PAIR_LINE, "a URL"),
    "mrk": (_PATH_LINE, "a path"),
    "cln": (_DELETED_LINE, "deleted| or back|"),
}
"""What a line of each kind is, and how it starts."""
# Files of nothing but these bytes need no look at each line: no comment, space, control or non-ASCII byte.
_PLAIN: Final = bytes(code for code in range(0x21, 0x7F) if code != ord("#")) + b"\n"
BOM: Final = b"\xef\xbb\xbf"
BLANK: Final = b" \t\r\n\x0b\x0c"
# What maap-client leaves in the text of an error; a NUL is not text but what a crash leaves of a block.
_IN_ERRORS: Final = bytes(0x20 if 0 < code < 0x20 and code not in b"\n\r" else code for code in range(256))
_SUFFIXES: Final = frozenset(suffix.encode() for suffixes in FORMATS.values() for suffix in suffixes)

_MAX_LINE: Final = 16384
_MAX_ERROR: Final = 300
MISSING_FOR: Final = timedelta(days=1)
"""How long a sync does not ask again for a file that the archive does not have."""
_MOST_RESTS: Final = 16
"""How many bad lines of a file are compared with the good ones; a program leaves one each time."""
_MISSING: Final = re.compile(
    rf"(\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ) (?:{'|'.join(map(str, sorted(GONE)))})\b", re.ASCII
)
"""The beginning of the error of a file that the archive does not have."""
TORN: Final = "the line was cut short"
"""Reason for a last line without its line end: its writer got no confirmation, and the next one fixes it."""
REST: Final = "the line is the end of another line"
"""Reason for what maap-client leaves of a line that came while it rewrote the file: nothing is lost by it."""
HARMLESS: Final = frozenset({TORN, REST})
"""Reasons for lines that say nothing that is not known, and that the next writer sets aside."""
SKIPPED: Final = "skipped: "
"""The beginning of the error of an item that could not be used."""


class Lines(NamedTuple):
    """The good lines of a file, and the lines left out as (line number, reason)."""

    good: list[bytes]
    bad: list[tuple[int, str]]


def tail_of(data: bytes) -> bytes:
    """Return the bytes after the last line end; empty for a file that ends with one."""
    return data[max(data.rfind(b"\n"), data.rfind(b"\r")) + 1 :]


def judge_tail(data: bytes, kind: ListKind) -> bytes:
    """Return the part of a last line without its line end that is whole for certain; empty for none.

    Both clients end every line, so such a line is a crash's, a write's in progress, or an editor's
    that leaves the last line end out. Whole lines show which: a URL is whole when its separator
    follows, a path when it ends in the URL's file name.
    """
    tail = tail_of(data)
    before = data[: len(data) - len(tail)]
    if kind in ("mrk", "cln"):
        return tail if _ends_like(tail, before) else b""
    url, separator, path = tail.partition(b"|")
    if not separator:
        # A download is recorded with its path: a first line without one was cut.
        bare = b"|" not in before and (kind == "url" or before.strip(BLANK))
        return tail if bare and _ends_like(tail, before) else b""
    if path.strip(BLANK).endswith(url.rpartition(b"/")[2]) and not url.endswith(b"/"):
        return tail
    return url + b"|" if kind == "url" else b""


def comment(line: bytes, what: str) -> bytes:
    """Return a comment that shows a line that cannot be read, cut to the longest line."""
    text = line.strip(BLANK)[:_MAX_LINE].decode("utf-8", "backslashreplace")
    shown = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )
    return f"# {what} line set aside: {shown}\n".encode()


def fix_lines(data: bytes, kind: ListKind) -> tuple[bytes, int]:
    """Return the content with its bad lines as comments, and the number of those lines."""
    bad = {number for number, _ in read(data, kind).bad}
    tail = tail_of(data)
    fixed: list[bytes] = []
    for number, line in enumerate(data.splitlines(keepends=True), start=1):
        if number not in bad:
            fixed.append(line)
            continue
        is_torn = bool(tail) and line == tail
        fixed.append(comment(line, "torn" if is_torn else "damaged"))
        judged = judge_tail(data, kind) if is_torn else b""
        if judged and read(judged + b"\n", kind).good:
            fixed.append(judged + b"\n")
    return b"".join(fixed), len(bad)


def _ends_like(tail: bytes, before: bytes) -> bool:
    """Whether a last line ends with the suffix of the other lines, or of a file of the archive."""
    suffix = os.path.splitext(tail.rstrip(BLANK))[1]
    others = {os.path.splitext(line)[1] for line in before.split() if not line.startswith(b"#")}
    return suffix in others if others else suffix.lower() in _SUFFIXES


def as_text(errors: bytes) -> bytes:
    """Return the list of errors with blanks for control characters, which servers send in their texts."""
    return re.sub(rb"\r(?!\n)", b" ", errors).translate(_IN_ERRORS)


def read(data: bytes, kind: ListKind) -> Lines:
    """Split a file into its good lines, without blanks around them, and the lines left out."""
    tail = tail_of(data)
    bad: list[tuple[int, str]] = []
    if tail.strip(BLANK) and not tail.lstrip(BLANK + BOM).startswith(b"#"):
        judged = judge_tail(data, kind)
        if judged != tail:
            bad.append((len(data.splitlines()), TORN))
            data = data[: len(data) - len(tail)] + judged
    if not data.translate(None, _PLAIN):
        lines = data.split(b"\n")
        if not lines[-1]:
            lines.pop()
        # The first bytes of lines are few: an address without a host begins as the others do, and ends there.
        heads = {line[:9] for line in lines} if kind != "mrk" else set()
        plain = all(len(head) == 9 and head.startswith(b"https://") and head[8:] != b"|" for head in heads)
        if plain and b"" not in lines and (not lines or max(map(len, lines)) <= _MAX_LINE):
            return Lines(lines, bad)
    return _read_carefully(data, kind, bad)


def set_rests_aside(data: bytes, kind: ListKind, own: Iterable[str]) -> bytes | None:
    """Return the content with each line that is only the end of another one as a comment; None for none.

    Args:
        data: the content of a file.
        kind: which file.
        own: more whole lines, those of the caller.
    """
    rests = {number for number, reason in name_rests(data, read(data, kind), own).bad if reason == REST}
    if not rests:
        return None
    lines = data.splitlines(keepends=True)
    return b"".join(
        comment(line, "damaged") if number in rests else line for number, line in enumerate(lines, start=1)
    )


def name_rests(data: bytes, found: Lines, own: Iterable[str]) -> Lines:
    """Return lines with the bad ones that are the end of one of some others named as such."""
    if all(reason in HARMLESS for _, reason in found.bad):
        return found
    raw = data.splitlines()
    others = [line.encode() for line in own]
    bad = [
        (number, REST if reason not in HARMLESS and _is_end(raw[number - 1], others) else reason)
        for number, reason in found.bad[:_MOST_RESTS]
    ]
    return Lines(found.good, bad + found.bad[_MOST_RESTS:])


def _is_end(line: bytes, others: Iterable[bytes]) -> bool:
    """Whether a line is the end of one of others."""
    text = line.strip(BLANK)
    return any(other.endswith(text) for other in others)


def _read_carefully(data: bytes, kind: ListKind, bad: list[tuple[int, str]]) -> Lines:
    """Split a file line by line; the slow way of `read`, for any bytes."""
    good: list[bytes] = []
    odd: list[bytes] = []
    pattern, start = _PATTERNS[kind]
    for number, raw in enumerate(data.removeprefix(BOM).splitlines(), start=1):
        line = raw.strip(BLANK)
        if not line or line.startswith(b"#"):
            continue
        reason = ""
        if len(line) > _MAX_LINE:
            reason = f"the line is longer than {_MAX_LINE} bytes"
        elif not pattern.fullmatch(line):
            controls = any(byte < 0x20 or byte == 0x7F for byte in line)
            reason = f"the line {'holds control characters' if controls else f'does not start with {start}'}"
        elif not line.isascii():
            try:
                line.decode()
            except UnicodeDecodeError:
                reason = "the line is not UTF-8"
        if reason:
            odd.append(line)
            bad.append((number, reason))
        else:
            good.append(line)
    first = len(bad) - len(odd)
    for place, line in enumerate(odd[:_MOST_RESTS], start=first):
        if _is_end(line, good):
            bad[place] = (bad[place][0], REST)
    return Lines(good, bad)


def _fields(lines: list[bytes]) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Part each line at its first separator; in a loop of C, as a registry may have millions of lines."""
    return map(bytes.partition, lines, repeat(b"|"))


def first_to_second(lines: list[bytes]) -> dict[bytes, bytes]:
    """Map first fields to second fields; the last line of a URL counts, as in maap-client."""
    return {first: second for first, _, second in _fields(lines)}


def firsts(lines: list[bytes]) -> set[bytes]:
    """Return the first field of each line: its URL or path."""
    return {first for first, _, _ in _fields(lines)}


def missing_since(text: str) -> datetime | None:
    """Return when the archive answered that it does not have a file; None for other errors."""
    dated = _MISSING.match(text)
    try:
        return datetime.fromisoformat(dated[1]) if dated else None
    except ValueError:
        return None


def is_skipped(text: str) -> bool:
    """Whether the text of an error is about an item that could not be used, not about a failed file."""
    return text.partition(" ")[2].startswith(SKIPPED) or text.startswith(SKIPPED)


def error_text(reason: str, code: int | None, tries: int, at: datetime) -> str:
    """Return time, code, reason and tries as text that fits into the second field of a line."""
    shown = "".join(char if char.isprintable() else " " for char in reason.replace("|", ";"))
    shown = " ".join(shown.split())
    if code is not None and not shown.startswith(str(code)):
        shown = f"{code} {shown}".rstrip()
    head = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ ")
    end = f" ({tries} {'try' if tries == 1 else 'tries'})"
    room = _MAX_ERROR - len(head) - len(end)
    return head + (shown if len(shown) <= room else shown[: room - 3] + "...") + end
