import json
import tomllib
from collections.abc import Callable
from pathlib import Path


def rows_of(out: str) -> dict[str, dict[str, str]]:
    return {row["key"]: row for row in map(json.loads, out.splitlines())}


def test_every_setting_with_its_origin(maap: Callable, home: Path, monkeypatch) -> None:
    monkeypatch.setenv("MAAP_SEARCH_PARALLEL", "3")
    monkeypatch.delenv("MAAP_REGISTRY_DIR")
    ended = maap("--data-dir", "elsewhere", "config", "--json")
    rows = rows_of(ended.out)
    assert ended.code == 0
    assert rows["search.parallel"]["value"] == "3"
    assert rows["search.parallel"]["origin"] == "MAAP_SEARCH_PARALLEL"
    assert rows["paths.data_dir"]["origin"] == "--data-dir"
    assert rows["paths.data_dir"]["value"].endswith("elsewhere")
    assert rows["paths.registry_dir"]["origin"] == f"{home / 'config.toml'}:5"
    assert rows["downloads.parallel"]["origin"] == "default"
    assert rows["config_file"]["value"] == str(home / "config.toml")
    text = maap("config")
    assert any(line.split() == ["search.parallel", "3", "MAAP_SEARCH_PARALLEL"] for line in text.lines)


def test_the_path_of_the_file(maap: Callable, home: Path, tmp_path: Path) -> None:
    assert maap("config", "path").out == f"{home / 'config.toml'}\n"
    assert maap("-c", tmp_path / "mine.toml", "config", "path").out == f"{tmp_path / 'mine.toml'}\n"


def test_set_and_unset_keep_comments(maap: Callable, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("# mine\n[downloads]\nparallel = 2  # gently\n")
    assert maap("config", "set", "downloads.parallel", "4", "-c", file).code == 0
    assert file.read_text() == "# mine\n[downloads]\nparallel = 4  # gently\n"
    ended = maap("-c", file, "config", "set", "search.max_items", "10")
    assert ended.err == f"Set search.max_items in {file}\n"
    assert tomllib.loads(file.read_text())["search"]["max_items"] == 10
    assert maap("-c", file, "config", "unset", "downloads.parallel").code == 0
    assert "parallel" not in file.read_text()
    assert "is not set" in maap("-c", file, "config", "unset", "downloads.parallel").err


def test_set_mends_a_file_that_is_wrong(maap: Callable, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[downloads]\nparallel = 99\n")
    broken = maap("-c", file, "config")
    assert broken.code == 4
    assert f"{file}:2" in broken.err
    assert maap("-c", file, "config", "set", "downloads.parallel", "9").code == 0
    assert maap("-c", file, "config").code == 0


def test_what_hides_a_setting_is_said(maap: Callable, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("MAAP_DOWNLOADS_PARALLEL", "2")
    ended = maap("-c", tmp_path / "mine.toml", "config", "set", "downloads.parallel", "4")
    assert "MAAP_DOWNLOADS_PARALLEL is set" in ended.err


def test_wrong_settings_are_4(maap: Callable, tmp_path: Path) -> None:
    for words in (
        ["config", "set", "downloads.paralel", "4"],
        ["config", "set", "downloads.parallel", "many"],
        ["config", "set", "downloads.parallel", "-1"],
        ["config", "unset", "nothing"],
        ["-c", tmp_path / "missing.toml", "list"],
    ):
        ended = maap(*words)
        assert ended.code == 4, words
        assert ended.err.startswith("Error: ")
    assert "downloads.parallel" in maap("config", "set", "downloads.paralel", "4").err


def test_an_unknown_key_names_its_line(maap: Callable, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[paths]\ndatadir = '/x'\n")
    ended = maap("-c", file, "list")
    assert ended.code == 4
    assert f"{file}:2" in ended.err and "paths.data_dir" in ended.err
