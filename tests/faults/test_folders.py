"""Folders that are read-only, gone, or no list can name: done without, or refused at the start."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.raw_files import answer
from tests.engine.raw_server import COLLECTION
from tests.faults.preloaded import Preloaded
from tests.faults.stage import NAMES, SYNC, Stage, run


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path / "stage") as stage:
        stage.add_good(3)
        stage.server.at("/catalogue/collections?limit=1", answer("200 OK", b'{"collections": []}'))
        yield stage


READING = {
    "list": ("list", COLLECTION),
    "list_verify": ("list", COLLECTION, "--verify"),
    "search": ("search", *SYNC[1:]),
    "count": ("search", *SYNC[1:], "--count"),
    "get": ("get", *SYNC[1:], "-o", "OUT"),
    "get_dry": ("get", *SYNC[1:], "--dry-run"),
    "sync_dry": (*SYNC, "--dry-run"),
    "show": ("state", "show", *NAMES),
    "config": ("config",),
    "token": ("token",),
}


@pytest.mark.parametrize("command", READING)
@pytest.mark.parametrize("kind", ["mount", "file"])
def test_what_only_reads_works_where_nothing_can_be_kept(
    kind: str, command: str, stage: Stage, tmp_path: Path
) -> None:
    words = [tmp_path / "out" if word == "OUT" else word for word in READING[command]]
    environ = stage.environment
    if kind == "file":
        # Nobody, not even root, writes below a file.
        (tmp_path / "file").write_text("")
        for name in ("CATALOG_DIR", "BUILT_CATALOG_DIR", "STATE_DIR", "DATA_DIR"):
            environ[f"MAAP_{name}"] = str(tmp_path / "file" / name)
        ended = run(*words, environ=environ)
    else:
        home = str(stage.home)
        mount = ["mount", "--bind", home, home]
        if subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("needs the right to mount")
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", home], check=True)
            ended = run(*words, environ=environ)
        finally:
            subprocess.run(["umount", "-l", home], check=True)
    assert ended.code == 0, ended
    assert ended.err.count("Warning: ") <= 1
    if command in ("list", "list_verify", "search", "count", "get"):
        assert ended.err.count("Warning: ") == 1, ended.err
    if command == "get":
        assert len(list((tmp_path / "out").glob("*.h5"))) == 3


def test_what_is_there_to_be_kept_is_an_error(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = stage.maap("catalog", "update", COLLECTION, MAAP_CATALOG_DIR=str(tmp_path / "file" / "here"))
    assert ended.code == 4
    assert "a part of the path is a file" in ended.err


@pytest.mark.parametrize(
    "words",
    [
        ("list",),
        ("list", COLLECTION),
        ("search", *SYNC[1:]),
        SYNC,
        ("state", "show", *NAMES),
        ("config",),
        ("doctor",),
        ("token",),
    ],
    ids=" ".join,
)
def test_a_working_directory_that_is_gone_is_no_matter(
    words: tuple[str, ...], stage: Stage, server: Preloaded, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    ended = server.run(words, stage.environment, place=str(gone))
    assert ended.code == 0, ended


@pytest.mark.parametrize(
    "words",
    [
        ("--data-dir", "data", *SYNC),
        ("get", *SYNC[1:], "-o", "out"),
        ("get", *SYNC[1:], "-o", "out", "--dry-run"),
        ("download", *NAMES, "-u", "http://127.0.0.1:1/a.h5", "-o", "out"),
        (*SYNC, "-o", "out"),
        ("search", *SYNC[1:], "-o", "urls.txt"),
        ("state", "mark", "a.h5"),
        ("-c", "config.toml", "config", "set", "downloads.parallel", "4"),
        ("config", "set", "paths.data_dir", "data"),
    ],
    ids=" ".join,
)
def test_a_path_below_a_working_directory_that_is_gone_is_refused(
    words: tuple[str, ...], stage: Stage, server: Preloaded, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    ended = server.run(words, stage.environment, place=str(gone))
    assert ended.code == 4, ended
    assert ended.err.count("Error: ") == 1
    assert "mistake" not in ended.err


@pytest.mark.parametrize("name", ["a|b", "a\nb", "a\rb", "a\x1bb", "a\udcffb"])
@pytest.mark.parametrize(
    "words",
    [
        SYNC,
        ("get", *SYNC[1:]),
        ("download", *SYNC[1:]),
        ("get", *SYNC[1:], "-o", "NAME"),
        ("download", *SYNC[1:], "-o", "NAME"),
        ("--data-dir", "NAME", *SYNC),
        ("config", "set", "paths.data_dir", "NAME"),
    ],
    ids=" ".join,
)
def test_a_folder_that_no_list_can_name_is_refused_once(
    words: tuple[str, ...], name: str, stage: Stage, tmp_path: Path
) -> None:
    folder = str(tmp_path / name)
    given = "NAME" in words
    more = {} if given else {"MAAP_DATA_DIR": folder}
    ended = stage.maap(*[folder if word == "NAME" else word for word in words], **more)
    assert ended.code == 4, ended
    (line,) = ended.err.splitlines()
    assert "cannot hold granules" in line and ("MAAP_DATA_DIR: " in line) != given
    assert ended.out == "" and stage.server.requests == []
