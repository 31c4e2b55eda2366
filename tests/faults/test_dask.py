"""`--dask`: a cluster fetches and this process records, also when workers are lost meanwhile."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from maap_tui.demo import Archive

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


@pytest.fixture
def cluster(home: Path, tmp_path: Path) -> Iterator[tuple[str, psutil.Process]]:
    """The address of a cluster of two workers, and the process that they descend from."""
    script = tmp_path / "cluster.py"
    script.write_text(CLUSTER)
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, script], env=environ, text=True, **pipes) as process:
        yield process.stdout.readline().strip(), psutil.Process(process.pid)
        process.communicate(timeout=60)


def recorded(home: Path) -> list[str]:
    return [line for file in (home / "registry").rglob("dwl_*.txt") for line in file.read_text().splitlines()]


def test_a_cluster_on_this_machine(start: Callable, maap: Callable, home: Path, archive: Archive) -> None:
    run = start("sync", *CLD, *DAY, "--dask", "local:2", "--json")
    out, err = run.communicate(timeout=120)
    assert run.returncode == 0, err
    assert sum(json.loads(line)["state"] == "finished" for line in out.splitlines()) == 125
    assert len(recorded(home)) == 125 and maap("verify").code == 0
    assert archive.stats.count("token") == 1, "one access token for all workers"


def test_a_worker_that_is_killed_loses_nothing(
    cluster: tuple[str, psutil.Process], start: Callable, maap: Callable, home: Path, archive: Archive
) -> None:
    address, parent = cluster
    archive.faults.add(target="data", rate=200_000)
    run = start("sync", *CLD, *DAY, "--dask", address, "--json")
    assert json.loads(run.stdout.readline())["state"] == "finished"
    workers = [one for one in parent.children(recursive=True) if not one.children()]
    workers[0].kill()
    _, err = run.communicate(timeout=240)
    assert run.returncode in (0, 3), err
    archive.faults.clear()
    assert maap("sync", *CLD, *DAY).code == 0
    lines = recorded(home)
    assert len(lines) == len(set(lines)) == 125 and maap("verify").code == 0
    assert not list((home / "data").rglob("*.part*"))
