"""`maap queue`: one worker goes on with what is left, files are controlled wherever they are."""

from __future__ import annotations

import json
import os
import select
import signal
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from maap_tui.demo import Archive
from maap_tui.engine.download.queue_control import Control
from maap_tui.engine.download.queue_orders import order
from maap_tui.engine.download.queue_store import HOST, Queue, born_at
from tests.queues import CLD, leave

FILE = "queue.sqlite3"


@pytest.fixture(autouse=True)
def two_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAAP_DOWNLOADS_PARALLEL", "2")


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        select.select([], [], [], 0.02)


@pytest.fixture
def states(home: Path) -> Callable[[], list[str]]:
    """Gives the states of the files in the queue, in its order."""

    def read() -> list[str]:
        queue = Queue(home / "state" / FILE)
        found = [row.state for row in queue.load()]
        queue.close()
        return found

    return read


def worker_of(home: Path) -> int:
    """The process of the worker; 0 for none."""
    queue = Queue(home / "state" / FILE)
    found = Control(queue).worker()
    queue.close()
    return found.process[0] if found else 0


def test_an_empty_queue_says_so(maap: Callable, home: Path) -> None:
    listed = maap("queue", "list")
    assert (listed.code, listed.out, listed.err) == (0, "", "The queue is empty\nNo worker runs\n")
    ran = maap("queue", "run")
    assert ran.code == 0 and ran.err.startswith("Nothing waits in the queue [queue, begun ")
    gone = maap("queue", "pause", "--all")
    assert (gone.code, gone.out, gone.err) == (0, "", "Paused: 0 files\n")
    assert maap("queue", "pause").code == 4 == maap("queue", "pause", "x", "--all").code


def test_what_was_left_is_fetched_and_recorded_as_any_file(
    maap: Callable, home: Path, states: Callable
) -> None:
    rows = leave(maap, home, 3)
    listed = maap("queue", "list")
    assert [line.split()[0] for line in listed.lines] == ["State", *["waiting"] * 3]
    assert listed.err == "3 waiting\nNo worker runs\n"

    ran = maap("queue", "run", "--json")

    assert ran.code == 0 and ran.told == {row.url: "finished" for row in rows}
    assert ran.err.startswith("Downloaded 3 files (")
    assert maap("state", "pending", *CLD).out == ""
    assert len(maap("state", "pending", *CLD, "--type", "marks").lines) == 3
    assert maap("verify", *CLD).code == 0
    assert states() == ["finished"] * 3 and maap("queue", "list").err.startswith("The queue is empty\n")
    (run,) = [json.loads(line) for line in maap("runs", "--json").lines]
    assert (run["verb"], run["exit"], run["found"], run["downloaded"]) == ("queue", 0, 3, 3)
    assert run["words"][:2] == ["queue", "run"]
    assert maap("runs").lines[1].endswith(" the worker's transfers"), "as the app calls it"


def test_what_was_left_is_fetched_as_it_was_asked_for(
    maap: Callable, home: Path, archive: Archive, states: Callable
) -> None:
    """A damaged file from scratch, and a frozen one only with the bytes that were frozen."""
    assert maap("sync", *CLD, "--date", "2025-12-01", "-n", "1").code == 0
    (damaged,) = leave(maap, home, 1, again=True)
    path = Path(damaged.path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    leave(maap, home, 1, after=1, frozen="ab" * 32)

    ran = maap("queue", "run")

    assert path.read_bytes() == whole
    assert ran.code == 4 and "SHA-256" in ran.err and "study" in ran.err
    assert states() == ["finished", "failed"]


def test_what_cannot_be_fetched_from_here_is_said_and_the_rest_is_fetched(
    maap: Callable, home: Path, states: Callable
) -> None:
    leave(maap, home, 2)
    leave(maap, home, 1, path="s3://bucket/key.h5", root="", verb="queue")
    ran = maap("queue", "run")
    assert ran.code == 4 and "Refused: a file of the queue: key.h5 goes to S3" in ran.err
    assert sorted(states()) == ["finished", "finished", "waiting"]


def test_without_a_token_nothing_is_begun(
    maap: Callable, home: Path, states: Callable, start: Callable
) -> None:
    leave(maap, home, 1)
    (home / "credentials.txt").unlink()
    ran = maap("queue", "run")
    assert ran.code == 2 and len(ran.err.splitlines()) == 1 and states() == ["waiting"]
    gone = start("queue", "run", "--background")
    out, err = gone.communicate(timeout=30)
    assert (gone.returncode, out, err.decode()) == (2, b"", ran.err)


def test_orders_without_a_worker_change_the_queue(maap: Callable, home: Path, states: Callable) -> None:
    first, second, third = leave(maap, home, 3)
    name = Path(first.path).name
    assert maap("queue", "pause", name).lines == [first.path]
    assert maap("queue", "pause", Path(second.path).stem, second.url).lines == [second.path]
    unknown = maap("queue", "cancel", "none", f"*{Path(third.path).stem[-8:]}*")
    assert (unknown.code, unknown.lines) == (4, [third.path])
    assert "Refused: none: no file of the queue is called that" in unknown.err
    assert states() == ["paused", "paused", "cancelled"]

    left = maap("queue", "run")
    assert left.code == 3 and "2 files paused; `maap queue resume --all` lets them go on" in left.err

    assert maap("queue", "resume", "--all").err.splitlines() == [
        "Resumed: 2 files", "No worker runs; `maap queue run` goes on with them"
    ]  # fmt: skip
    assert maap("queue", "retry", third.path).code == 0
    assert maap("queue", "run").code == 0 and states() == ["finished"] * 3


def test_what_has_ended_since_is_not_moved_to_the_top(maap: Callable, home: Path, states: Callable) -> None:
    rows = leave(maap, home, 1)
    queue = Queue(home / "state" / "queue.sqlite3")
    queue.replace(rows, [replace(row, state="finished") for row in rows])
    assert order(queue, "top", rows).done == []
    queue.close()
    assert states() == ["finished"]


def test_files_that_failed_are_queued_again(
    maap: Callable, home: Path, archive: Archive, states: Callable
) -> None:
    leave(maap, home, 2)
    archive.faults.add(target="data", status=404, match="CPR_CLD_2A")
    assert maap("queue", "run").code == 4 and states() == ["failed", "failed"]
    archive.faults.clear()
    assert maap("queue", "run").code == 0 and states() == ["failed", "failed"]
    assert len(maap("queue", "retry", "--all", "--json").lines) == 2
    assert maap("queue", "run").code == 0 and states() == ["finished", "finished"]


@pytest.mark.parametrize("words", [("list",), ("pause", "--all"), ("pause", "some.h5")])
def test_a_queue_that_others_keep_busy_is_not_an_empty_one(
    maap: Callable, home: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    leave(maap, home, 1)
    monkeypatch.setattr("maap_tui.engine.download.queue_store.BUSY_S", 0.02)
    other = sqlite3.connect(home / "state" / FILE, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    ended = maap("queue", *words)
    other.execute("ROLLBACK")
    other.close()
    assert ended.code == 3 and ended.out == "" and ended.err.count("\n") == 1
    assert ended.err.startswith("Error: Other processes keep the download queue busy")


@pytest.mark.parametrize("verb", ["sync", "app"])
def test_what_another_process_has_is_left_to_it(
    maap: Callable, home: Path, verb: str, monkeypatch: pytest.MonkeyPatch, states: Callable
) -> None:
    monkeypatch.setattr("maap_tui.engine.download.queue_orders.ANSWER_S", 0.0)
    parent = os.getppid()
    leave(maap, home, 1, pid=parent, host=HOST, born=born_at(parent), verb=verb)
    refused = maap("queue", "pause", "--all")
    words = "has it; it is stopped there only" if verb == "sync" else "did not answer"
    assert refused.code == 3 and f"maap {verb} {parent} on {HOST} {words}" in refused.err
    ran = maap("queue", "run")
    assert ran.code == 0 and states() == ["waiting"]


def test_a_running_worker_is_alone_obeys_and_ends_in_order(
    maap: Callable,
    start: Callable,
    home: Path,
    archive: Archive,
    asked: Callable[[str], int],
    states: Callable,
) -> None:
    rows = leave(maap, home, 5)
    archive.faults.add(target="data", stall_after=1000)
    process = start("queue", "run", "--quiet")
    until(lambda: states().count("running") == 2)
    assert maap("queue", "list").err.splitlines()[1].startswith(f"A worker runs: process {process.pid} on ")

    second = maap("queue", "run")
    assert second.code == 3 and len(second.err.splitlines()) == 1
    assert second.err.startswith(f"Error: The queue is in use by process {process.pid} on {HOST} since ")
    assert second.err.endswith("`maap queue attach` shows it; --lock-wait SECONDS waits for its end.\n")

    waiting = start("queue", "run", "--lock-wait", "60")
    assert b"waiting up to 60 s" in waiting.stderr.readline()
    waiting.terminate()
    assert waiting.wait(30) == 3, "all that waits is left"

    assert set(maap("queue", "pause", "--all").lines) == {row.path for row in rows}
    assert states() == ["paused"] * 5
    assert maap("queue", "cancel", rows[4].path).lines == [rows[4].path]
    process.send_signal(signal.SIGHUP)
    archive.faults.clear()
    assert maap("queue", "resume", rows[0].path).lines == [rows[0].path]
    until(lambda: states()[0] == "finished")
    # What is left to the worker while it works is fetched too.
    leave(maap, home, 1, after=5, verb="queue")
    until(lambda: states()[5] == "finished")
    process.terminate()
    assert process.wait(30) == 3 and process.communicate()[1] == b""

    assert states() == ["finished", "paused", "paused", "paused", "cancelled", "finished"]
    assert worker_of(home) == 0
    (run,) = [json.loads(line) for line in maap("runs", "--failed", "--json", "-n", "1").lines]
    assert (run["verb"], run["exit"], run["state"]) == ("queue", 3, "done")
    assert maap("queue", "resume", "--all").code == 0 == maap("queue", "run").code
    assert maap("verify", *CLD).code == 0


@pytest.mark.fault("P1")
def test_a_killed_worker_loses_nothing(
    maap: Callable,
    start: Callable,
    home: Path,
    archive: Archive,
    asked: Callable[[str], int],
    states: Callable,
) -> None:
    rows = leave(maap, home, 6)
    archive.faults.add(target="data", stall_after=1000, after=2)
    process = start("queue", "run", "--quiet")
    until(lambda: states().count("finished") == 2 and asked("data") == 4)
    process.kill()
    process.wait()
    assert worker_of(home) == 0
    assert maap("queue", "list").err.splitlines()[1] == "No worker runs"
    archive.faults.clear()

    ran = maap("queue", "run", "--json")

    assert ran.code == 0 and set(ran.told.values()) == {"finished"} and len(ran.told) == 4
    assert states() == ["finished"] * 6
    assert asked("data") == 8, "each file once, and those that were cut off once more"
    assert len(maap("state", "pending", *CLD, "--type", "marks").lines) == len(rows)
    assert maap("verify", *CLD).code == 0


@pytest.mark.fault("P3")
def test_a_worker_in_the_background_needs_no_terminal(
    maap: Callable, start: Callable, home: Path, archive: Archive, states: Callable
) -> None:
    leave(maap, home, 3)
    archive.faults.add(target="data", stall_after=1000)
    begun = start("queue", "run", "--background", start_new_session=True)
    out, err = begun.communicate(timeout=30)
    pid = int(out)
    assert begun.returncode == 0
    assert err == f"Process {pid} goes on with 3 files; `maap queue attach` shows it\n".encode()
    assert os.getsid(pid) == pid != os.getsid(0), "it has no terminal, and no other process's signals"
    until(lambda: states().count("running") == 2)
    os.kill(pid, signal.SIGHUP)
    assert len(maap("queue", "pause", "--all").lines) == 3
    archive.faults.clear()
    assert len(maap("queue", "resume", "--all").lines) == 3
    # It says so after it has signed off.
    until(lambda: "Downloaded 3 files (" in maap("runs", "last").out)
    assert states() == ["finished"] * 3 and worker_of(home) == 0
    nothing = start("queue", "run", "--background")
    assert nothing.communicate(timeout=30)[0] == b"" and nothing.returncode == 0


def test_a_worker_that_cannot_begin_says_why(maap: Callable, start: Callable, home: Path) -> None:
    leave(maap, home, 1)
    (home / "state" / "runs").mkdir(exist_ok=True)
    wrong = start("queue", "run", "--background", "--lock-wait", "soon")
    out, err = wrong.communicate(timeout=30)
    assert (wrong.returncode, out) == (4, b"") and b"lock_wait" in err


def test_a_queue_of_another_version_is_used_both_ways(maap: Callable, home: Path) -> None:
    rows = leave(maap, home, 2)
    file = home / "state" / FILE
    with sqlite3.connect(file) as connection:
        connection.execute("DROP TABLE requests")
        connection.execute("DROP TABLE worker")
        before = connection.execute("PRAGMA table_info(transfers)").fetchall()
    connection.close()
    assert [json.loads(line)["path"] for line in maap("queue", "list", "--json").lines] == [
        row.path for row in rows
    ]
    connection = sqlite3.connect(file)
    assert connection.execute("PRAGMA table_info(transfers)").fetchall() == before
    connection.close()


def test_a_queue_that_cannot_be_used_is_an_error_that_says_what_to_do(maap: Callable, home: Path) -> None:
    (home / "state").mkdir(exist_ok=True)
    (home / "state" / "queue.sqlite3").mkdir()
    ended = maap("queue", "list")
    assert (ended.code, ended.out) == (4, "")
    (error,) = [line for line in ended.err.splitlines() if line.startswith("Error: ")]
    assert "queue.sqlite3 cannot be used" in error and "Move it away" in error and "go on" not in error
