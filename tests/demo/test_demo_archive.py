from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from maap_tui.demo import Archive
from maap_tui.demo.__main__ import main
from tests.homes import PATIENCE_S


def test_a_home_points_at_the_archive(archive: Archive, tmp_path: Path) -> None:
    home = tmp_path / "a home"
    archive.prepare(home)
    archive.prepare(home)
    credentials = home / "credentials.txt"
    assert stat.S_IMODE(credentials.stat().st_mode) == 0o600
    lines = dict(line.split("=", 1) for line in credentials.read_text().splitlines())
    assert lines["CLIENT_ID"] == "offline-token" and lines["OFFLINE_TOKEN"] == archive.offline_token
    config = tomllib.loads((home / "config.toml").read_text())
    variables = archive.environment(home)
    assert config["api"] == {"catalog_url": archive.catalog_url, "token_url": archive.token_url}
    assert config["paths"] == {
        "data_dir": variables["MAAP_DATA_DIR"],
        "catalog_dir": variables["MAAP_CATALOG_DIR"],
        "built_catalog_dir": variables["MAAP_BUILT_CATALOG_DIR"],
        "registry_dir": variables["MAAP_REGISTRY_DIR"],
        "credentials_file": variables["MAAP_CREDENTIALS_FILE"],
    }
    assert variables["MAAP_HOME"] == str(home) and variables["MAAP_CATALOG_URL"].endswith("/catalogue/")
    assert Path(variables["MAAP_DATA_DIR"]).is_dir()


def test_stopping_frees_the_port_and_ends_open_answers(start: Callable[..., Any]) -> None:
    archive, http = start(target="catalogue", latency_s=60)
    link = socket.create_connection(("127.0.0.1", archive.port))
    link.sendall(b"GET /catalogue/ HTTP/1.1\r\nHost: x\r\n\r\n")
    while not archive.stats.show()["last_requests"]:
        pass
    archive.stop()
    archive.stop()
    try:
        assert link.recv(10) == b""
    except ConnectionResetError:
        pass
    link.close()
    with pytest.raises(httpx.ConnectError):
        http.get("/catalogue/")
    again, _ = start(port=archive.port)
    assert again.port == archive.port


def test_a_home_keeps_its_port(tmp_path: Path) -> None:
    with Archive.start_for(tmp_path) as first:
        port = first.port
        with Archive.start_for(tmp_path) as second:
            assert second.port != port
        first.prepare(tmp_path)
    with Archive.start_for(tmp_path) as again:
        assert again.port == port
        assert str(port) in (tmp_path / "config.toml").read_text()
    with (tmp_path / "config.toml").open("a") as config:
        config.write('[sets.mine]\nproducts = ["A", "B"]\n')
    with Archive.start_for(tmp_path) as archive:
        config = tomllib.loads((tmp_path / "config.toml").read_text())
        assert config["sets"] == {"mine": {"products": ["A", "B"]}}
        assert config["api"]["catalog_url"] == archive.catalog_url
    (tmp_path / "config.toml").write_text("broken = [")
    with Archive.start_for(tmp_path) as fresh:
        assert fresh.port > 0


def test_options_are_checked(start: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="unknown option: colour"):
        start(colour="blue")
    with pytest.raises(ValueError, match="probability"):
        start(status=500, probability=2)
    taken, _ = start()
    with pytest.raises(OSError):
        start(port=taken.port)


def test_serving_in_the_foreground(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "maap_tui.demo",
        "--home",
        str(tmp_path),
        "--status",
        "503",
        "--target",
        "search",
    ]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        variables: dict[str, str] = {}
        while "MAAP_CREDENTIALS_FILE" not in variables:
            line = process.stdout.readline()
            assert line.startswith("export ")
            name, _, value = line.removeprefix("export ").strip().partition("=")
            variables[name] = value
        with httpx.Client(trust_env=False, timeout=PATIENCE_S) as http:
            assert http.get(variables["MAAP_CATALOG_URL"]).status_code == 200
            assert http.get(variables["MAAP_CATALOG_URL"] + "search").status_code == 503
        assert (tmp_path / "credentials.txt").exists()
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0


def test_starting_reads_neither_h5py_nor_numpy() -> None:
    code = (
        "import sys; from maap_tui.demo import Archive; Archive.start().stop();"
        "assert not {'h5py', 'numpy', 'textual', 'maap_tui.cli', 'maap_tui.client'} & set(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, timeout=PATIENCE_S)


def test_the_module_takes_no_real_home(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "credentials.txt").write_text("OFFLINE_TOKEN=mine\n")
    assert main(["--home", str(tmp_path)]) == 4
    assert f"{tmp_path / 'credentials.txt'} does not belong to a demo" in capsys.readouterr().err
    assert (tmp_path / "credentials.txt").read_text() == "OFFLINE_TOKEN=mine\n"


def test_a_home_whose_address_means_nothing_gets_any_port(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[api]\ncatalog_url = 5\n")
    with Archive.start_for(tmp_path) as archive:
        assert archive.port
