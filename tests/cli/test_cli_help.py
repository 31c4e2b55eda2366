"""The help of each command: a sentence, examples that can be run, options in groups, 80 columns."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from maap_tui.cli import man
from maap_tui.cli.dispatch import COMMANDS, build_parser
from maap_tui.cli.main import main
from maap_tui.cli.options import join_signed, overrides_of
from maap_tui.engine.config.declaring import Setting
from maap_tui.engine.config.settings import DEFAULT_DAYS_BACK, SETTINGS, SearchSettings

WIDEST = 80


def help_of(*words: str) -> str:
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "200"
    try:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            assert main([*words, "-h"]) == 0
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
    return printed.getvalue()


def actions_of(command: str) -> list[str]:
    """The actions that the help of a command lists."""
    block = help_of(command).partition("\nactions:\n")[2].partition("\n\n")[0]
    return re.findall(r"^    (\w+)", block, re.MULTILINE)


PATHS = [(), *((name,) for name in COMMANDS), *((n, a) for n in COMMANDS for a in actions_of(n))]


def title(path: tuple[str, ...]) -> str:
    return " ".join(("maap", *path))


def test_commands_with_actions_are_among_them() -> None:
    assert {path[0] for path in PATHS if len(path) == 2} >= {"state", "catalog", "config"}


@pytest.mark.parametrize("path", PATHS, ids=title)
def test_help_fits_and_describes_all(path: tuple[str, ...]) -> None:
    text = help_of(*path)
    assert text.startswith(f"usage: {title(path)}")
    assert [line for line in text.splitlines() if len(line) > WIDEST] == []
    assert re.search(r"^[A-Z][^\n]*(\n[^\n]+)*\.$", text.partition("\n\n")[2].partition("\n\n")[0])
    lines = text.splitlines()
    bare = [
        line
        for line, following in zip(lines, [*lines[1:], ""], strict=True)
        if re.fullmatch(r"  (-|(?!COMMAND|ACTION)[A-Z]+$)\S*( \S+|, -\S+)*", line)
        and not following.startswith(" " * 20)
    ]
    assert bare == [], "each option and argument is described"
    assert "\ngeneral options" in text


@pytest.mark.parametrize("path", PATHS, ids=title)
def test_examples_can_be_run(path: tuple[str, ...]) -> None:
    examples = re.findall(r"^  (maap\b.*)$", help_of(*path).partition("\nexample")[2], re.MULTILINE)
    assert examples
    for example in examples:
        words = shlex.split(example.partition(" > ")[0])[1:]
        assert tuple(words[: len(path)]) == path
        if "--" in words:
            build_parser().parse_args(words[words.index("--") + 1 :])
            words = words[: words.index("--")]
        build_parser().parse_args(words)


@pytest.mark.parametrize("path", PATHS, ids=title)
def test_an_unknown_option_names_the_help_of_its_command(
    path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    example = re.findall(r"^  maap\b(.*)$", help_of(*path).partition("\nexample")[2], re.MULTILINE)[0]
    known = shlex.split(example.partition(" > ")[0].partition(" -- ")[0])
    named = max((one for one in PATHS if one == tuple(known[: len(one)])), key=len)
    assert named[: len(path)] == path
    assert main([*known, "--nope"]) == 4
    assert capsys.readouterr().err == f"Error: unrecognized arguments: --nope. See {title(named)} -h.\n"


def test_an_unknown_option_before_the_command_names_the_program_s_help(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--nope", "list"]) == 4
    assert capsys.readouterr().err == "Error: unrecognized arguments: --nope. See maap -h.\n"


def test_a_narrow_terminal_gets_narrow_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert main(["get", "-h"]) == 0
    options = capsys.readouterr().out.partition("time (one of)")[2].partition("examples:")[0]
    assert max(map(len, options.splitlines())) <= 60


def test_help_has_no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    # From Python 3.14 on argparse has some, and these variables ask for them.
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b" not in help_of("sync")
    assert all("\x1b" not in text for text in man.pages().values())


@pytest.mark.parametrize("command", ["search", "get", "download", "sync"])
def test_the_default_of_max_items_is_the_setting_s(command: str) -> None:
    assert f"{SearchSettings.max_items.default:,})" in help_of(command)


def test_the_default_time_of_a_sync_is_the_declared_one() -> None:
    assert f"(one of; default: --days-back {DEFAULT_DAYS_BACK})" in help_of("sync")


@pytest.mark.parametrize("setting", [one for one in SETTINGS if one.flag], ids=lambda one: one.key)
def test_each_declared_option_replaces_its_setting(setting: Setting[Any]) -> None:
    value = [] if isinstance(setting.default, bool) else ["7"]
    parser = build_parser({"sync"})
    given = overrides_of(parser.parse_args(["sync", "C", "P", setting.flag, *value]))
    assert given.keys() == {setting.key}
    assert setting.read(given[setting.key], {}, typed=True) != setting.default
    assert overrides_of(parser.parse_args(["sync", "C", "P"])) == {}


@pytest.mark.parametrize("command", ["search", "get", "download", "sync", "verify"])
def test_options_that_belong_together_stand_together(command: str) -> None:
    assert "\noptions:" not in help_of(command)


def test_what_chooses_granules_is_the_same_for_all() -> None:
    def options(command: str) -> set[str]:
        block = help_of(command).partition("time (one of")[2].partition("files:\n")[0]
        return set(re.findall(r"(?<![\w-])--[a-z-]+", block))

    assert options("search") == options("get") == options("download")
    only_searches = {"--orbit", "--bbox", "--point", "--radius", "--area", "--use-catalog"}
    assert options("sync") == options("get") - only_searches


def test_one_option_is_one_thing_everywhere() -> None:
    """An option takes the same kind of value, and has the same short form, wherever it is."""
    forms: dict[str, set[tuple[str, ...]]] = {}
    values: dict[str, set[str]] = {}
    for parser in parsers(build_parser()):
        for action in parser._actions:
            for name in [one for one in action.option_strings if one.startswith("--")]:
                short = tuple(one for one in action.option_strings if not one.startswith("--"))
                forms.setdefault(name, set()).add(short)
                values.setdefault(name, set()).add(str(action.metavar or action.nargs))
    several = {name for name, found in forms.items() if len(found) > 1}
    # -d is --days-back behind a command; search writes the file that download reads, as maap-client has it.
    assert several == {"--data-dir", "--url-file"}
    # A study is a folder; what the others write is one file.
    assert {name for name, found in values.items() if len(found) > 1} == {"--output"}


@pytest.mark.parametrize(
    ("older", "now"),
    [
        ("overpass --site=-70.7,-8.3 --within 30km", "overpass --point=-70.7,-8.3 --radius 30km"),
        ("cut x.h5 --around -1,2 --km 5", "cut x.h5 --point -1,2 --radius 5"),
        ("swap undo C P A B --fetch", "swap undo C P A B --get"),
    ],
)
def test_older_names_of_options_are_taken_and_not_shown(older: str, now: str) -> None:
    parser = build_parser()
    first, second = (vars(parser.parse_args(join_signed(words.split()))) for words in (older, now))
    first.pop("older_names", None)  # what was written, for the errors about it
    assert first == second
    shown = {name for one in parsers(parser) for action in one._actions for name in action.option_strings}
    assert not shown & {"--site", "--within", "--around", "--km", "--fetch"}


def test_what_is_frozen_has_no_options_that_fail() -> None:
    shown = help_of("freeze")
    for option in ("--newest-first", "--shard", "--use-catalog", "--skip-disclaimed"):
        assert option not in shown


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser and all below it."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in dict.fromkeys(action.choices.values()):
                yield from parsers(below)
