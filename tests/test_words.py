"""Messages, docstrings, comments and pages use plain words; those that were replaced do not come back."""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "maap_tui").rglob("*.py"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BANNED = {
    r"\banew\b": "again, or from scratch",
    r"\btroubles?\b": "error, or problem",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\b(tell|tells|telling|told)\b": "report, say, or distinguish",
    # "there is no X" and "is no longer" are plain; "X is no date" is not.
    r"(?<!there )\b(is|are|was|were) no (?!longer\b|more\b)[a-z]": "is not a",
}
PROSE = {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}


def faults(text: str, at: str) -> list[str]:
    """Each banned word of a text, with what to write."""
    return [
        f"{at}: {hit[0]!r}; write {better}"
        for word, better in BANNED.items()
        for hit in re.finditer(word, text, re.I)
    ]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("'x' is no date", 1),
        ("There is no date", 0),
        ("it is no longer here", 0),
        ("Told of trouble, it is mended anew.", 4),
        ("Troubleshooting", 0),
    ],
)
def test_the_words_are_recognized(text: str, count: int) -> None:
    assert len(faults(text, "text")) == count


def test_the_program_uses_plain_words() -> None:
    found = [
        fault
        for path in SOURCES
        for token in tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline)
        if token.type in PROSE
        for fault in faults(token.string, f"{path.relative_to(ROOT)}:{token.start[0]}")
    ]
    assert found == []


def test_no_comment_is_a_heading() -> None:
    """A part of a file that needs a heading is a module or a class of its own."""
    heading = re.compile(r"\n\n *# [A-Z][^.:;\n]{1,50}\n\n")
    found = [
        f"{path.relative_to(ROOT)}: {hit[0]!r}"
        for path in SOURCES
        for hit in heading.finditer(path.read_text("utf-8"))
    ]
    assert found == []


def test_the_pages_use_plain_words() -> None:
    found = [
        fault
        for path in PAGES
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        for fault in faults(line, f"{path.relative_to(ROOT)}:{number}")
    ]
    assert found == []
