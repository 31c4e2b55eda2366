"""Manual pages made from the command line itself: `python -m maap_tui.cli.man DIR`, or `make man`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from maap_tui import __version__
from maap_tui.cli.dispatch import build_parser


def pages() -> dict[str, str]:
    """File name -> text of a page for `maap` and for each command and action, in roff with man macros."""
    found = list(_parsers(build_parser(), "search, download and track ESA MAAP satellite data"))
    names = [parser.prog.replace(" ", "-") for parser, _ in found]
    return {
        f"{name}.1": _page(parser, words, names) for name, (parser, words) in zip(names, found, strict=True)
    }


def _parsers(parser: argparse.ArgumentParser, words: str) -> Iterator[tuple[argparse.ArgumentParser, str]]:
    """A parser and those below it, each with what it is for."""
    yield parser, words
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            purposes = {one.dest: one.help or "" for one in action._choices_actions}
            for name, below in action.choices.items():
                yield from _parsers(below, purposes[name])


def _page(parser: argparse.ArgumentParser, words: str, names: list[str]) -> str:
    name = parser.prog.replace(" ", "-")
    built = time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH") or time.time()))
    date = time.strftime("%Y-%m-%d", built)
    lines = [
        f'.TH {name.upper()} 1 "{date}" "maap {__version__}" "maap manual"',
        ".SH NAME",
        f"{_safe(name)} \\- {_safe(words)}",
        ".SH SYNOPSIS",
        _safe(" ".join(parser.format_usage().removeprefix("usage: ").split())),
        ".SH DESCRIPTION",
        *_text(parser.description or ""),
    ]
    for group in parser._action_groups:
        if group._group_actions:
            lines += [f'.SH "{_safe((group.title or "").upper())}"', *_items(group._group_actions)]
    for part in filter(None, (parser.epilog or "").split("\n\n")):
        title, _, rest = part.partition(":\n")
        if rest and "\n" not in title:
            lines.append(f'.SH "{_safe(title.upper())}"')
        else:
            rest = part
            lines.append(".SH NOTES" if ".SH NOTES" not in lines else ".PP")
        lines += [".nf", *_text(rest), ".fi"]
    parent = name.rpartition("-")[0]
    near = [one for one in names if one == parent or one.rpartition("-")[0] == name]
    if near:
        lines += [".SH SEE ALSO", ",\n".join(f".BR {_safe(one)} (1)" for one in near).replace(",\n", " ,\n")]
    return "\n".join(lines) + "\n"


def _items(actions: list[argparse.Action]) -> Iterator[str]:
    for action in actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in action._choices_actions:
                yield from (".TP", f".B {_safe(one.dest)}", *_text(one.help or ""))
            continue
        value = action.metavar or (
            f"{{{','.join(action.choices)}}}" if action.choices else action.dest.upper()
        )
        takes = f" {value}" if action.nargs != 0 else ""
        yield ".TP"
        yield f".B {_safe(', '.join(f'{one}{takes}' for one in action.option_strings) or str(value))}"
        yield from _text((action.help or "").replace("%%", "%"))


def _text(text: str) -> list[str]:
    """Lines of text that roff does not read as requests."""
    return [_safe(line) for line in text.splitlines()]


def _safe(text: str) -> str:
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    text = text.replace("~", "\\(ti").replace('"', "\\(dq")
    return f"\\&{text}" if text.startswith(".") else text


def main(folder: Path) -> None:
    """Write all pages into a folder, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
