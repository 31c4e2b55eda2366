"""`--dask`: a cluster fetches and this process records, also when workers are lost meanwhile."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from maap_tui.demo import Archive
from maap_tui.engine import tasks

pytestmark = pytest.mark.long

CLD = ("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")
DAY = ("--date", "2025-12-01")
CLUSTER = """
import sys
from distributed import LocalCluster

if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def token(home: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has a credentials file; the token is in the environment, of workers too."""
    (home / "credentials.txt").unlink()
    monkeypatch.setenv("MAAP_TOKEN", archive.offline_token)


@pytest.fixture
def cluster(token: None, tmp_path: Path) -> Iterator[tuple[str, psutil.Process]]:
    """The address of a cluster of two workers, and the process that they descend from."""
    script = tmp_path / "cluster.py"
    script.write_text(CLUSTER)
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, script], env=environ, text=True, **pipes) as process:
        yield process.stdout.readline().strip(), psutil.Process(process.pid)
        process.communicate(timeout=60)


def a_worker(parent: psutil.Process) -> psutil.Process:
    """One of the workers that descend from a process, among the helpers of theirs."""
    return next(one for one in parent.children(recursive=True) if "spawn_main" in " ".join(one.cmdline()))


def finished(out: str | bytes) -> list[str]:
    return [row["url"] for row in map(json.loads, out.splitlines()) if row["state"] == "finished"]


def recorded(home: Path) -> list[str]:
    return [line for file in (home / "registry").rglob("dwl_*.txt") for line in file.read_text().splitlines()]


def test_a_cluster_on_this_machine(start: Callable, maap: Callable, home: Path, archive: Archive) -> None:
    run = start("sync", *CLD, *DAY, "--dask", "local:2", "--json")
    out, err = run.communicate(timeout=120)
    assert run.returncode == 0, err
    assert len(set(finished(out))) == len(finished(out)) == 125
    assert len(recorded(home)) == 125 and maap("verify").code == 0
    assert archive.stats.count("token") == 1, "one access token for all workers"


def test_a_worker_that_is_killed_loses_nothing(
    cluster: tuple[str, psutil.Process], start: Callable, maap: Callable, home: Path, archive: Archive
) -> None:
    address, parent = cluster
    archive.faults.add(target="data", rate=200_000)
    run = start("sync", *CLD, *DAY, "--dask", address, "--json")
    assert json.loads(run.stdout.readline())["state"] == "finished"
    a_worker(parent).kill()
    _, err = run.communicate(timeout=240)
    assert run.returncode in (0, 3), err
    archive.faults.clear()
    assert maap("sync", *CLD, *DAY).code == 0
    lines = recorded(home)
    assert len(lines) == len(set(lines)) == 125 and maap("verify").code == 0
    assert not list((home / "data").rglob("*.part*"))


def test_workers_keep_to_the_limits_of_all_processes(
    cluster: tuple[str, psutil.Process],
    start: Callable,
    maap: Callable,
    home: Path,
    archive: Archive,
) -> None:
    address, parent = cluster
    archive.stats.reset()
    environ = {
        "MAAP_DOWNLOADS_PARALLEL": "8",
        "MAAP_DOWNLOADS_PARALLEL_TOTAL": "3",
        "MAAP_DOWNLOADS_RATE_TOTAL": "2M",
    }
    archive.faults.add(target="data", rate=1_000_000)
    begun = time.monotonic()
    run = start("sync", *CLD, *DAY, "--dask", address, "--json", environ=environ)
    assert json.loads(run.stdout.readline())["state"] == "finished"
    a_worker(parent).kill()
    out, err = run.communicate(timeout=240)
    seconds = time.monotonic() - begun
    assert run.returncode in (0, 3), err
    counted = archive.stats.show()
    # Of the killed worker at most two answers were still on their way.
    assert counted["most_data_at_once"] <= 3 + 2
    assert archive.stats.count("token") == 1
    # A second at most is let through before a share is known to be smaller.
    assert counted["bytes_by_kind"]["data"] <= 2 * 1024**2 * (seconds + 1)
    archive.faults.clear()
    again = maap("sync", *CLD, *DAY, "--json")
    assert again.code == 0
    urls = finished(out) + finished(again.out)
    assert len(urls) + 1 == len(set(urls)) + 1 == len(recorded(home)) == 125
    assert maap("verify").code == 0


@pytest.mark.parametrize("what", ["nothing", "silence", "dashboard"])
def test_what_is_not_a_scheduler_is_not_waited_for_without_end(
    what: str, maap: Callable, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "CONNECT_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = archive.url.replace("http", "tcp")
        if what != "dashboard":
            address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        if what == "nothing":
            server.close()
        ended = maap("sync", *CLD, *DAY, "--dask", address)
    assert ended.code == 3 and f"The scheduler {address} does not answer" in ended.err
    assert "Traceback" not in ended.err


def test_a_scheduler_that_is_lost_ends_the_run_in_words(
    cluster: tuple[str, psutil.Process], start: Callable, maap: Callable, home: Path, archive: Archive
) -> None:
    address, parent = cluster
    archive.faults.add(target="data", rate=200_000)
    run = start("sync", *CLD, *DAY, "--dask", address, "--json")
    assert json.loads(run.stdout.readline())["state"] == "finished"
    family = [parent, *parent.children(recursive=True)]
    for one in family:
        one.kill()
    _, err = run.communicate(timeout=240)
    assert run.returncode == 3
    assert f"The scheduler {address} is lost".encode() in err, err
    assert b"Traceback" not in err and b"distributed" not in err, err
    archive.faults.clear()
    assert maap("sync", *CLD, *DAY).code == 0
    assert len(set(recorded(home))) == len(recorded(home)) == 125
