"""Commands of the user's own: how the configuration has them, and the words that they become."""

from __future__ import annotations

from pathlib import Path

import pytest

from maap_tui.engine.config import editing
from maap_tui.engine.config.describing import describe
from maap_tui.engine.config.loading import load
from maap_tui.engine.errors import InvalidRequestError, SettingsError
from maap_tui.engine.user_commands import PLACES, command_of, values_of_file, words_for

NAME = "ECA_EXBC_CPR_CLD_2A_20251201T000126Z_20251201T003736Z_08563A.h5"
URL = f"https://archive.test/data/{NAME}"


def test_a_value_stays_one_word_whatever_it_holds(tmp_path: Path) -> None:
    folder = tmp_path / "a b; rm -rf $HOME"
    folder.mkdir()
    file = folder / NAME
    file.write_bytes(b"")
    values = values_of_file(str(file), URL, "L2")
    command = command_of("show", "run 'two words' --in={folder} {file} $HOME {product}:{orbit}{frame} {day}")
    assert words_for(command, values) == [
        *("run", "two words", f"--in={folder}", str(file), "$HOME"),
        *("CPR_CLD_2A:08563A", "2025-12-01"),
    ]
    assert (
        str(command) == "run 'two words' '--in={folder}' '{file}' '$HOME' '{product}:{orbit}{frame}' '{day}'"
    )


def test_what_is_not_known_is_said(tmp_path: Path) -> None:
    values = values_of_file(str(tmp_path / NAME), URL)
    assert words_for(command_of("open", "browser {url} {id}"), values) == ["browser", URL, NAME[:-3]]
    with pytest.raises(InvalidRequestError, match=r"show needs \{file\}: no file of it is here"):
        words_for(command_of("show", "ncdump {file}"), values)
    with pytest.raises(InvalidRequestError, match="would be read as an option"):
        words_for(command_of("show", "ncdump {id}"), {"id": "-o/etc/passwd"})


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("run = ''", "runs nothing"),
        ("key = 'H'", "runs nothing"),
        ("run = 'a \"b'", "a quote that does not end"),
        ("run = 'a {path}'", r"has \{path\}, which stands for nothing"),
        ("run = 'a'\nwhere = ['today']", "has where 'today'"),
        ("run = 'a'\nwhere = 'search'", "where must be a list of texts"),
        ("run = 'a'\noutput = 'file'", "has output 'file'"),
        ("run = 'a'\nkeys = 'H'", "unknown key 'keys'"),
        ("run = 7", "run must be a text"),
    ],
)
def test_a_wrong_one_is_refused_with_its_line(tmp_path: Path, table: str, said: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f"[commands.show]\n{table}\n")
    with pytest.raises(SettingsError, match=said) as refused:
        load(file, {})
    assert refused.value.message.startswith(f"{file}:")


def test_they_are_set_part_by_part_and_listed(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("# mine\n")
    with pytest.raises(SettingsError, match="runs nothing yet"):
        editing.set_value(file, "commands.show.key", "H")
    editing.set_value(file, "commands.show", "ncdump -h {file}")
    editing.set_value(file, "commands.show.key", "H")
    editing.set_value(file, "commands.show.where", "search, registry")
    with pytest.raises(SettingsError, match="has output 'printer'"):
        editing.set_value(file, "commands.show.output", "printer")
    settings = load(file, {})
    assert settings.commands == {"show": command_of("show", "ncdump -h {file}", "H", ("search", "registry"))}
    (row,) = [row for row in describe(settings) if row.key == "commands.show"]
    assert row.value_text == "ncdump -h '{file}'" and row.origin_text.startswith(f"{file}:")
    assert "key H" in row.help
    assert editing.unset_value(file, "commands.show.where")
    assert load(file, {}).commands["show"].where == PLACES
    assert editing.unset_value(file, "commands.show")
    assert load(file, {}).commands == {} and file.read_text().startswith("# mine")
