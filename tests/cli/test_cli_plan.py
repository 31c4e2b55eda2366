"""`maap plan`, and who works by one: our own download in parts, curl, and the import of what it fetched."""

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from maap_tui.demo import Archive
from maap_tui.engine.net.credentials import load_credentials
from maap_tui.engine.workflows.scripts import cronjob_manifest
from tests.homes import PATIENCE_S

ROOT = Path(__file__).parents[2]
CLD = ("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")
SOME = ("--date", "2025-12-01", "--frame", "D")
FIELDS = ["url", "path", "size", "mission", "collection", "product_type", "baseline", "day"]


@pytest.fixture
def plan(maap: Callable, tmp_path: Path) -> Path:
    """A plan of 16 files of one day."""
    file = tmp_path / "plan.jsonl"
    ended = maap("plan", *CLD, *SOME, "-o", file)
    assert ended.code == 0 and ended.err.startswith("Planned 16 files, ")
    return file


def rows_of(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def files_in(home: Path) -> dict[str, int]:
    data = home / "data"
    return {str(path.relative_to(data)): path.stat().st_size for path in data.rglob("*.h5")}


def test_a_plan_is_what_a_search_finds_and_where_a_download_puts_it(
    maap: Callable, plan: Path, home: Path
) -> None:
    rows = rows_of(plan)
    assert [list(row) for row in rows] == [FIELDS] * 16
    assert [row["url"] for row in rows] == maap("search", *CLD, *SOME).lines
    assert maap("plan", *CLD, *SOME).lines == plan.read_text().splitlines()
    assert maap("download", *CLD, *SOME, "-q").code == 0
    assert files_in(home) == {row["path"]: row["size"] for row in rows}


def test_parts_of_a_plan_are_downloaded_without_a_search(
    maap: Callable, plan: Path, home: Path, archive: Archive
) -> None:
    before = archive.stats.count("search")
    counts = []
    for part in ("1/2", "2/2"):
        ended = maap("download", "--plan", plan, "--shard", part, "--json")
        assert ended.code == 0 and f"[plan {plan}" in ended.err
        counts.append(len(ended.lines))
    assert sum(counts) == 16 and all(counts)
    assert archive.stats.count("search") == before
    assert files_in(home) == {row["path"]: row["size"] for row in rows_of(plan)}
    assert maap("state", "pending", *CLD).lines == []
    assert "16 were here already" in (again := maap("download", "--plan", plan)).err or "16" in again.err
    assert again.code == 0


def test_what_a_plan_did_not_fetch_is_pending(maap: Callable, plan: Path, archive: Archive) -> None:
    archive.faults.add(target="data", status=404, match="08575D")
    assert maap("download", "--plan", plan).code == 4
    assert ["08575D" in url for url in maap("state", "pending", *CLD).lines] == [True]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_fetches_a_plan_and_we_take_it_over(
    maap: Callable, plan: Path, home: Path, tmp_path: Path
) -> None:
    script = tmp_path / "get.sh"
    assert maap("plan", *CLD, *SOME, "--print", "curl", "-o", script).code == 0
    token = load_credentials(home / "credentials.txt", {}).offline_token
    assert token not in script.read_text()
    environ = {"PATH": "/usr/bin:/bin", "MAAP_DATA_DIR": str(home / "data"), "MAAP_TOKEN": token}
    for _ in range(2):
        ended = subprocess.run(["sh", script], env=environ, capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stderr) == (0, "")
    assert files_in(home) == {row["path"]: row["size"] for row in rows_of(plan)}
    assert not list((home / "data").rglob("*.curl"))
    assert maap("state", "import", plan).err.startswith("Imported 16 files (")
    assert "; 16 recorded before" in maap("state", "import", plan).err
    checked = [json.loads(line) for line in maap("verify", "--json").lines]
    assert len(checked) == 16 and all(row["hashed"] and row["state"] == "good" for row in checked)
    assert maap("state", "pending", *CLD).lines == []


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_a_script_for_curl_that_cannot_fetch_ends_with_3(
    maap: Callable, home: Path, archive: Archive, tmp_path: Path
) -> None:
    script = tmp_path / "get.sh"
    assert maap("plan", *CLD, *SOME, "-n", "1", "--print", "curl", "-o", script).code == 0
    environ = {"PATH": "/usr/bin:/bin", "MAAP_DATA_DIR": str(home / "data"), "MAAP_TOKEN": "no-token"}
    ended = subprocess.run(["sh", script], env=environ, capture_output=True, text=True, check=False)
    assert ended.returncode == 3 and "no access token" in ended.stderr and not files_in(home)


def test_only_whole_files_are_imported(maap: Callable, plan: Path, home: Path) -> None:
    assert maap("download", *CLD, *SOME, "-q").code == 0
    rows = rows_of(plan)
    paths = [home / "data" / row["path"] for row in rows]
    shutil.rmtree(home / "registry")
    shutil.rmtree(home / "hashes", ignore_errors=True)
    paths[0].unlink()
    with paths[1].open("r+b") as file:
        file.truncate(2000)
    paths[2].unlink()
    paths[2].symlink_to(paths[3])
    ended = maap("state", "import", plan, "--json")
    states = [json.loads(line)["state"] for line in ended.lines]
    assert ended.code == 3 and "Imported 13 files" in ended.err and "3 not imported" in ended.err
    assert states == ["missing", "truncated", "changed"] + ["imported"] * 13
    text = maap("state", "import", plan).lines
    assert [line.partition(":")[0] for line in text] == ["missing", "truncated", "changed"]


def test_an_import_needs_no_fsync_where_there_is_none(
    maap: Callable, plan: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert maap("download", *CLD, *SOME, "-q").code == 0
    shutil.rmtree(home / "registry")

    def refuse(descriptor: int) -> None:
        # As network and FUSE file systems do.
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "fsync", refuse)
    ended = maap("state", "import", plan)
    assert (ended.code, ended.err.partition(" (")[0]) == (0, "Imported 16 files"), ended.err


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"baseline": "../.."}, "Not a name for a baseline"),
        ({"mission": ""}, "of EarthCARE, not of"),
        ({"mission": "Biomass"}, "EarthCAREL2Validated_MAAP is a collection of EarthCARE, not of 'Biomass'"),
        ({"collection": "BiomassLevel1a"}, "BiomassLevel1a is a collection of Biomass, not of 'EarthCARE'"),
        ({"mission": "", "collection": "Other"}, "Not a name for a mission"),
        ({"url": "ftp://a/b.h5"}, "not http"),
        ({"url": "http://a/b c.h5"}, "blanks"),
        ({"day": "2025-13-01"}, "not a line of a plan"),
        ({"size": -1}, "not a line of a plan"),
        ({"size": "12"}, "not a line of a plan"),
        ({"collection": 4}, "not a line of a plan"),
    ],
)
def test_lines_that_are_not_of_a_plan_are_refused_and_the_others_come(
    maap: Callable, plan: Path, home: Path, change: dict, says: str
) -> None:
    rows = rows_of(plan)[:2]
    rows[0] |= change
    plan.write_text("".join(json.dumps(row) + "\n" for row in rows) + "\n[]\n")
    ended = maap("download", "--plan", plan)
    assert ended.code == 4 and f"line 1 of {plan}" in ended.err and f"line 4 of {plan}" in ended.err
    assert says in ended.err
    assert list(files_in(home)) == [rows[1]["path"]]


def test_a_path_that_leads_elsewhere_is_not_followed(maap: Callable, plan: Path, home: Path) -> None:
    row = rows_of(plan)[0]
    where = row["path"]
    plan.write_text(json.dumps(row | {"path": "../../elsewhere.h5"}) + "\n")
    assert maap("download", "--plan", plan).code == 0
    assert list(files_in(home)) == [where]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("plan", *CLD), "This would download all of CPR_CLD_2A BC"),
        (("download", *CLD, "--plan", "PLAN"), "COLLECTION cannot be used with --plan"),
        (("download", "--plan", "PLAN", "--date", "2025-12-01"), "--date cannot be used with --plan"),
        (("download", "--plan", "PLAN", "--format", "hdr"), "--format cannot be used with --plan"),
        (("download", *CLD, "-f", "PLAN", *SOME), "--date cannot be used with --url-file"),
        (
            ("download", *CLD, "-u", "http://a/b.h5", "--all-versions"),
            "--all-versions cannot be used with --url",
        ),
        (("sync", *CLD, "--jobs", "3"), "--jobs needs --print"),
        (("sync", *CLD, "--print", "sbatch", "--jobs", "100001"), "There cannot be 100001 parts"),
        (("sync", *CLD, "--print", "sbatch", "--shard", "1/2"), "--shard cannot be used with --print"),
        (("sync", *CLD, "--print", "sbatch", "--date", "someday"), "is not a date"),
        (("download", "--plan", "PLAN", "-o", "here"), "--out-dir cannot be used with --plan"),
        (("download", "--plan", "nowhere.jsonl"), "nowhere.jsonl cannot be read"),
        (("download", *SOME), "required: COLLECTION, PRODUCT"),
        (("download", CLD[0], *SOME), "required: PRODUCT"),
        (("state", "import", "nowhere.jsonl"), "nowhere.jsonl cannot be read"),
        (("sync", *CLD, "--dask", "127.0.0.1:8786"), "names no cluster"),
        (("sync", *CLD, "--dask", "tcp://127.0.0.1"), "has no port"),
        (("sync", *CLD, "--dask", "tcp://127.0.0.1:99999"), "has no port"),
    ],
)
def test_what_does_not_go_together_is_4(
    maap: Callable, plan: Path, words: tuple[str, ...], says: str
) -> None:
    ended = maap(*(str(plan) if word == "PLAN" else word for word in words))
    assert ended.code == 4 and says in ended.err


def test_an_import_ends_its_work_when_nobody_reads_it(
    maap: Callable, start: Callable, plan: Path, home: Path
) -> None:
    assert maap("download", *CLD, *SOME, "-q").code == 0
    shutil.rmtree(home / "registry")
    (home / "data" / rows_of(plan)[0]["path"]).unlink()
    for options in ((), ("--json",)):
        reader, writer = os.pipe()
        os.close(reader)
        run = start("state", "import", plan, *options, stdout=writer)
        os.close(writer)
        _, err = run.communicate(timeout=PATIENCE_S)
        assert run.returncode == 3 and b"1 not imported" in err
    assert len(maap("state", "pending", *CLD, "--type", "marks").lines) == 15


def test_a_job_of_slurm_whose_time_is_up_ends_with_3(start: Callable, plan: Path, archive: Archive) -> None:
    archive.faults.add(target="data", stall_after=1000, match="08575D")
    run = start("download", "--plan", plan, "-v", environ={"SLURM_JOB_ID": "7"})
    assert run.stderr.readline()
    run.send_signal(signal.SIGTERM)
    _, err = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 3 and b"Run the same command again" in err


def test_what_max_items_leaves_of_a_plan_is_said(maap: Callable, tmp_path: Path) -> None:
    plan = tmp_path / "plan.jsonl"
    assert maap("plan", *CLD, *SOME, "--format", "all", "-o", plan).code == 0
    ended = maap("download", "--plan", plan, "-n", "2", "--dry-run")
    assert len(ended.lines) == 4 and "28 files of" in ended.err and "left (--max-items)" in ended.err


def test_a_plan_has_every_state_of_a_search(maap: Callable, archive: Archive, tmp_path: Path) -> None:
    archive.faults.add(failing_day="2025-12-02")
    ended = maap("plan", *CLD, "--start", "2025-12-01", "--end", "2025-12-03", "-o", tmp_path / "plan.jsonl")
    assert ended.code == 3 and "FAILED DAY: 2025-12-02" in ended.err
    assert "1 day could not be searched" in ended.err and (tmp_path / "plan.jsonl").exists()


def test_an_empty_plan(maap: Callable, tmp_path: Path) -> None:
    ended = maap("plan", *CLD, "--date", "2024-07-01")
    assert ended.code == 0 and ended.out == "" and "Planned 0 files" in ended.err
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    assert maap("download", "--plan", empty).code == 0
    assert maap("state", "import", empty).err == "Imported 0 files (0 B)\n"


def test_jobs_of_a_cluster_run_the_same_sync(maap: Callable) -> None:
    words = ("sync", *CLD, *SOME, "--max-time", "600")
    batch = maap(*words, "--print", "sbatch", "--jobs", "8")
    assert batch.code == 0 and "#SBATCH --array=1-8" in batch.lines
    command = batch.lines[-1]
    assert command.startswith("exec maap sync EarthCAREL2Validated_MAAP CPR_CLD_2A BC ")
    for option in ("--date=2025-12-01", "--frame=D", "--max-time=600.0", "--shard slurm"):
        assert option in command
    manifest = maap(*words, "--print", "cronjob", "--jobs", "3")
    assert manifest.code == 0 and "      completions: 3" in manifest.lines
    assert '                - "k8s/3"' in manifest.lines and '                - "--frame=D"' in manifest.lines


def test_a_job_array_that_was_printed_runs(maap: Callable, home: Path, tmp_path: Path) -> None:
    script, program = tmp_path / "job.sh", tmp_path / "bin" / "maap"
    script.write_text(maap("sync", *CLD, *SOME, "--print", "sbatch", "--jobs", "2").out)
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    first, last = re.findall(r"^#SBATCH --array=(\d+)-(\d+)$", script.read_text(), flags=re.M)[0]
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m maap_tui "$@"\n')
    program.chmod(0o755)
    environ = {
        **os.environ,
        "PATH": f"{program.parent}:/usr/bin:/bin",
        "SLURM_JOB_ID": "7",
        "SLURM_ARRAY_TASK_MIN": first,
        "SLURM_ARRAY_TASK_MAX": last,
        "SLURM_ARRAY_TASK_COUNT": last,
    }
    tasks = [
        subprocess.Popen(
            ["bash", script], env={**environ, "SLURM_ARRAY_TASK_ID": str(number)}, stderr=subprocess.PIPE
        )
        for number in range(int(first), int(last) + 1)
    ]
    for task in tasks:
        _, err = task.communicate(timeout=PATIENCE_S)
        assert (task.returncode, err) == (0, b"")
    assert len(tasks) == 2 and len(files_in(home)) == 16


def test_a_cronjob_that_was_printed_runs(maap: Callable, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    yaml = pytest.importorskip("yaml")
    manifest = yaml.safe_load(maap("sync", *CLD, *SOME, "--print", "cronjob", "--jobs", "3").out)
    job = manifest["spec"]["jobTemplate"]["spec"]
    assert (manifest["kind"], job["completionMode"]) == ("CronJob", "Indexed")
    (container,) = job["template"]["spec"]["containers"]
    assert [one["name"] for one in container["env"]] == ["MAAP_TOKEN", "MAAP_DATA_DIR", "MAAP_REGISTRY_DIR"]
    program, *words = container["command"]
    assert program == "maap"
    for index in range(job["completions"]):
        monkeypatch.setenv("JOB_COMPLETION_INDEX", str(index))
        assert maap(*words).code == 0
    assert len(files_in(home)) == 16


def test_the_name_of_a_cronjob_is_one_that_kubernetes_takes() -> None:
    for name in ("CPR_CLD_2A-BC", "A" * 39 + "_B", "A" * 60, "__"):
        lines = cronjob_manifest(["maap", "sync"], name, 2).splitlines()
        given = lines[lines.index("metadata:") + 1].removeprefix("  name: ")
        # RFC 1123, and 52 characters, as a CronJob appends 11 to it.
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", given) and len(given) <= 52
