"""Files that go to the S3 of moto: in parts of the work, and after a kill."""

from __future__ import annotations

import json
import os
import re
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from maap_tui.demo import Archive
from tests.homes import QUICK_ENVIRON
from tests.interop.servers import Missing, free_port, python, running, wait_for

CLD = ("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC", "--date", "2025-12-01")
BIG = ("EarthCAREL1Validated_MAAP", "MSI_RGR_1C", "BC", "--date", "2025-12-01", "--frame", "D", "-n", "4")


class Moto:
    """What is in the one bucket of a server, which checks no signatures."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.ask("", method="PUT")

    def ask(self, target: str, method: str = "GET") -> bytes:
        request = urllib.request.Request(
            f"{self.url}/granules{target}", method=method, headers={"authorization": "AWS k:s"}
        )
        with urllib.request.urlopen(request) as answer:
            return bytes(answer.read())

    def names(self, prefix: str) -> list[str]:
        body = self.ask(f"?list-type=2&prefix={prefix}/")
        return [key.rpartition("/")[2] for key in re.findall(r"<Key>([^<]+)</Key>", body.decode())]


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    log, port = tmp_path_factory.mktemp("moto") / "log", free_port()
    try:
        words = [python(), "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    except Missing as missing:
        if os.environ.get("MAAP_INTEROP") == "required":
            raise
        pytest.skip(str(missing))
    with running(words, log) as process:
        wait_for(f"http://127.0.0.1:{port}/moto-api/", process, log)
        yield Moto(f"http://127.0.0.1:{port}")


@pytest.fixture
def home(archive: Archive, moto: Moto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home on the embedded archive, with the variables that lead to moto."""
    folder = tmp_path / "home"
    archive.prepare(folder)
    own = {"AWS_ENDPOINT_URL": moto.url, "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
    for name, value in {**archive.environment(folder), **QUICK_ENVIRON, **own}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def on_disk(maap: Callable, tmp_path: Path) -> Callable[..., dict[str, bytes]]:
    """The files of a query as they come to a disk."""

    def fetch(*query: str) -> dict[str, bytes]:
        assert maap("get", *query, "-o", tmp_path / "disk").code == 0
        return {path.name: path.read_bytes() for path in (tmp_path / "disk").iterdir()}

    return fetch


def staged(home: Path) -> list[Path]:
    return [path for path in (home / "state" / "staging").rglob("*") if path.is_file()]


def test_four_jobs_share_the_work(start: Callable, moto: Moto, home: Path, on_disk: Callable) -> None:
    jobs = [
        start("get", *CLD, "-o", "s3://granules/four", "--shard", f"{number}/4", "--json")
        for number in range(1, 5)
    ]
    paths = []
    for job in jobs:
        out, err = job.communicate(timeout=120)
        assert job.returncode == 0, err
        paths += [json.loads(line)["path"] for line in out.splitlines()]
    content = on_disk(*CLD)
    assert sorted(paths) == sorted(f"s3://granules/four/{name}" for name in content)
    assert sorted(moto.names("four")) == sorted(content) and len(content) == 125
    for name, data in content.items():
        assert moto.ask(f"/four/{name}") == data
    assert staged(home) == []


def test_four_jobs_of_the_same_work_leave_what_one_would(
    start: Callable, moto: Moto, home: Path, on_disk: Callable
) -> None:
    jobs = [start("get", *BIG, "-o", "s3://granules/same", "--json") for _ in range(4)]
    states = []
    for job in jobs:
        out, err = job.communicate(timeout=120)
        assert job.returncode == 0, err
        states += [json.loads(line)["state"] for line in out.splitlines()]
    content = on_disk(*BIG)
    # One that asked for a key before another job had put it fetches the file as well.
    assert set(states) <= {"finished", "skipped"} and len(states) == 4 * len(content)
    assert states.count("finished") >= len(content)
    assert {name: moto.ask(f"/same/{name}") for name in moto.names("same")} == content
    assert staged(home) == []


def test_a_killed_run_leaves_whole_keys_alone_and_is_gone_on_with(
    start: Callable, maap: Callable, moto: Moto, home: Path, on_disk: Callable
) -> None:
    content = on_disk(*BIG)
    for _ in range(3):
        run = start("get", *BIG, "-o", "s3://granules/killed", environ={"MAAP_DOWNLOADS_PARALLEL": "2"})
        before = len(moto.names("killed"))
        while run.poll() is None and len(moto.names("killed")) == before:
            pass
        run.kill()
        run.wait()
        assert all(moto.ask(f"/killed/{name}") == content[name] for name in moto.names("killed"))
    assert maap("get", *BIG, "-o", "s3://granules/killed").code == 0
    assert {name: moto.ask(f"/killed/{name}") for name in moto.names("killed")} == content
    assert staged(home) == []


def test_workers_of_a_cluster_upload(start: Callable, moto: Moto, home: Path, on_disk: Callable) -> None:
    query = (*CLD, "--frame", "D")
    run = start("get", *query, "-o", "s3://granules/dask", "--dask", "local:2")
    _, err = run.communicate(timeout=180)
    assert run.returncode == 0, err
    assert {name: moto.ask(f"/dask/{name}") for name in moto.names("dask")} == on_disk(*query)
