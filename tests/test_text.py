from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from maap_tui import text
from maap_tui.engine.errors import MaapError


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (131072, "128 KiB"),
        (5 * 1024**3, "5.0 GiB"),
        (3 * 1024**6, "3072 PiB"),
    ],
)
def test_bytes_take_the_unit_that_suits_them(count: int, shown: str) -> None:
    assert text.format_bytes(count) == shown


def test_a_rate_is_bytes_a_second() -> None:
    assert text.format_rate(3.25 * 1024**2) == "3.2 MiB/s"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "unknown"),
        (-1, "0.0 s"),
        (0.4, "0.4 s"),
        (0.99, "1 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (3661, "1 h 1 min"),
        (90000, "1 d 1 h"),
        (86400, "1 d"),
    ],
)
def test_durations_have_two_units_at_most(seconds: float | None, shown: str) -> None:
    assert text.format_duration(seconds) == shown


def test_counts_and_nouns_agree() -> None:
    assert text.plural(1, "file") == "1 file"
    assert text.plural(0, "file") == "0 files"
    assert text.plural(12345, "file") == "12,345 files"
    assert text.plural(2, "query", "queries") == "2 queries"


def test_dates_and_times_are_utc() -> None:
    late = datetime(2025, 12, 1, 23, 30, tzinfo=timezone(timedelta(hours=-2)))
    assert text.format_date(late) == "2025-12-02"
    assert text.format_date(date(2025, 12, 1)) == "2025-12-01"
    assert text.format_time(late) == "2025-12-02 01:30 UTC"
    assert text.format_time(datetime(2025, 1, 2, 3, 4, 59, tzinfo=UTC)) == "2025-01-02 03:04 UTC"
    assert text.format_time(None) == ""


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain", "plain"),
        ("ein Überflug über São Paulo, 雲", "ein Überflug über São Paulo, 雲"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\rb\nc\td\0", "a\\x0db\\x0ac\\x09d\\x00"),
        ("\x9b31m\x7f", "\\x9b31m\\x7f"),
        ("\u202eexe.5h", "\\u202eexe.5h"),
        ("a\u200bb\u2066c\ufeff", "a\\u200bb\\u2066c\\ufeff"),
        ("line\u2028break\u2029", "line\\u2028break\\u2029"),
        ("\udcff", "\\udcff"),
        ("\U000e0041", "\\U000e0041"),
        ("\u3164\u2800", "\\u3164\\u2800"),
    ],
)
def test_what_is_not_drawn_becomes_visible(raw: str, shown: str) -> None:
    assert text.clean(raw) == shown


def test_a_limit_counts_what_is_shown() -> None:
    assert text.clean("abcdef", 6) == "abcdef"
    assert text.clean("abcdefg", 6) == "abcde…"
    assert text.clean("\x1b" * 1000, 6) == "\\x1b\\…"
    assert text.clean("", 3) == ""


def test_every_character_is_printable_once_cleaned() -> None:
    everything = "".join(map(chr, range(0x3000)))
    cleaned = text.clean(everything)
    assert not any(0 <= ord(one) < 32 or 0x7F <= ord(one) < 0xA0 for one in cleaned)
    assert "\u202a" not in cleaned


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "unrecognized: eyJhbGciOiJIUzI1NiJ9.eyJ0eXAiOiJPZmZsaW5lIn0.c2ln-_ here",
            "unrecognized: (hidden) here",
        ),
        ("eyJhbGci.eyJ0eXA.|eyJhbGci.eyJ0eXA.x", "(hidden)|(hidden)"),
        ("eyJ.a.b and a.b.c", "eyJ.a.b and a.b.c"),
        ("ECA_EXBC_CPR_CLD_2A.h5", "ECA_EXBC_CPR_CLD_2A.h5"),
    ],
)
def test_tokens_are_blotted_out(said: str, shown: str) -> None:
    assert text.without_tokens(said) == shown


@pytest.mark.parametrize(
    ("message", "hint", "said"),
    [
        ("It is full", "Make room.", "It is full. Make room."),
        ("It is full.", "Make room.", "It is full. Make room."),
        ("Is it full?", "Make room.", "Is it full? Make room."),
        ("It is full", "", "It is full"),
    ],
)
def test_an_error_and_its_hint_as_running_text(message: str, hint: str, said: str) -> None:
    assert MaapError(message, hint).sentences == said
