"""Bytes, durations, dates, counts and untrusted strings as text that is safe to show; pure.

A string that came from a server, a file or a user reaches a screen through `clean` and no other way.
"""

from __future__ import annotations

import re
import signal
import unicodedata
from collections.abc import Collection
from datetime import UTC, date, datetime

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_NEVER_SHOWN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that move the cursor, hide, reorder or break a line instead of being drawn."""
_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*", re.ASCII)
"""How every JSON Web Token looks: it begins with an encoded `{"` (RFC 7519)."""
_BLANKS = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f")
"""Letters and marks by category that are drawn as nothing."""


def format_bytes(count: float) -> str:
    """A number of bytes in the binary unit that suits it: `512 B`, `1.2 MiB`, `340 GiB`."""
    size = float(count)
    for unit in _UNITS:
        # 1023.95 would be rounded to 1024.0 of the smaller unit.
        if abs(size) < 1023.5 or unit == _UNITS[-1]:
            break
        size /= 1024
    if unit == "B":
        return f"{int(size)} B"
    return f"{size:.0f} {unit}" if abs(size) >= 99.95 else f"{size:.1f} {unit}"


def format_sum(count: int, *, unknown: int = 0, guessed: int = 0) -> str:
    """The bytes of several files, with a word that says how sure that is: `about 59 MiB`.

    Args:
        count: bytes.
        unknown: files whose bytes are not among them: `at least 3.0 MiB`.
        guessed: files whose bytes were taken to be like those of others: `about 3.0 MiB`.
    """
    word = "at least " if unknown else "about " if guessed else ""
    return word + format_bytes(count)


def format_rate(bytes_per_second: float) -> str:
    """A rate: `3.1 MiB/s`."""
    return f"{format_bytes(bytes_per_second)}/s"


def format_duration(seconds: float | None) -> str:
    """A length of time in its two largest units, `3 min 20 s`; `unknown` for None."""
    if seconds is None:
        return "unknown"
    if seconds < 0.95:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    days, rest = divmod(whole, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (left, "s")]
    while parts[0][0] == 0:
        parts.pop(0)
    return " ".join(f"{value} {unit}" for value, unit in parts[:2] if value)


def short_duration(seconds: float) -> str:
    """A length of time in six cells: `38 s`, `3m20s`, `2h05m`, `5 d`."""
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 100:
        return f"{hours // 24} d"
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{left:02}s" if minutes else f"{left} s"


def format_count(count: int) -> str:
    """A whole number with its thousands apart: `12,345`."""
    return f"{count:,}"


def plural(count: int, noun: str, several: str = "") -> str:
    """A count and its noun: `1 file`, `1,204 files`; `several` for nouns that do not just take an s."""
    return f"{format_count(count)} {noun if count == 1 else several or noun + 's'}"


def format_date(moment: datetime | date) -> str:
    """The UTC day: `2025-12-01`."""
    if isinstance(moment, datetime):
        moment = moment.astimezone(UTC).date()
    return moment.isoformat()


def format_time(moment: datetime | None) -> str:
    """The UTC minute, `2025-12-01 13:30 UTC`; '' for None."""
    return "" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def sentences(message: str, hint: str) -> str:
    """What happened and what to do about it, as running text; no hint, no second sentence."""
    if not hint:
        return message
    return f"{as_sentence(message)} {hint}"


def as_sentence(text: str) -> str:
    """The text with a full stop, unless it ends as sentences do."""
    return text if not text or text.endswith((".", "!", "?", "…")) else f"{text}."


def fold(text: str, width: int, most: int) -> list[str]:
    """Text as lines of so many characters, broken between words; what is cut at the end has an ellipsis.

    Args:
        text: one line, cleaned.
        width: characters in a line, 1 or more.
        most: lines, 1 or more.
    """
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines += [word[at : at + width] for at in range(0, len(word), width)]
    if len(lines) > most:
        lines = [*lines[: most - 1], f"{lines[most - 1][: width - 1]}…"]
    return lines


def clean(text: str, limit: int | None = None) -> str:
    r"""Make a string safe for a terminal and a log: what is not drawn becomes its escape, as `\x1b`.

    Control characters, C1, bidirectional and zero-width ones, line separators and surrogates are
    meant. The result is one line.

    Args:
        text: anything.
        limit: most characters of the result, the last one an ellipsis when it was cut; None for all.
    """
    if limit is not None and len(text) > limit:
        # Escapes only make it longer, so that the rest cannot be part of the result.
        text = text[: limit + 1]
    if not (text.isascii() and text.isprintable()):
        text = "".join(_escape(one) if _is_hidden(one) else one for one in text)
    if limit is not None and len(text) > limit:
        return text[: max(limit - 1, 0)] + "…"
    return text


def without_tokens(text: str) -> str:
    """The text with every token in it blotted out, such as one that was pasted where none belongs."""
    return _TOKEN.sub("(hidden)", text) if "eyJ" in text else text


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in _NEVER_SHOWN or character in _BLANKS


def _escape(character: str) -> str:
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def damage_words(lines_of_files: Collection[int]) -> str:
    """How much of the registry cannot be read: `4 lines of 2 files and 1 whole file or folder`.

    Args:
        lines_of_files: of each damaged file how many lines, 0 for all of a file or folder.
    """
    lines, whole = sum(lines_of_files), sum(not count for count in lines_of_files)
    words = []
    if lines:
        words.append(f"{plural(lines, 'line')} of {plural(len(lines_of_files) - whole, 'file')}")
    if whole:
        words.append(plural(whole, "whole file or folder", "whole files or folders"))
    return " and ".join(words)


def signal_name(number: int) -> str:
    """A signal by its name, those of real time by their number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
