"""The same file wanted by several processes, one of which is killed: F6."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path

from maap_tui.demo import Archive
from maap_tui.demo.data import DataServer
from maap_tui.demo.tokens import CLIENT_ID, CLIENT_SECRET
from tests.faults.figure import PEER_PYTHON, Figure
from tests.faults.forks import Child, Forks, closed_gate, pass_gate
from tests.faults.writers import refuse_flock
from tests.homes import NOW

NAMES = ("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")
SIZE = 147_718
"""Bytes of the file."""
RATE = 500_000
"""Bytes a second, so that little is under way at any moment and a kill can come in the middle."""
PROCESSES = 4


def fetch(gate: str, flock_error: int) -> int:
    """The real command on one file, at the moment that the gate opens."""
    from maap_tui.cli.main import main

    pass_gate(Path(gate))
    if flock_error:
        refuse_flock(flock_error)
    # One that finds it downloaded already must have nothing else to do.
    span = ("--start", "2025-12-01T00:00Z", "--end", "2025-12-01T00:30Z")
    return main(["download", *NAMES, *span, "--frame", "D", "-v"])


@dataclass
class Together:
    """What came of many rounds."""

    rounds: int = 0
    killed_at_work: int = 0
    """Rounds in which the killed process had begun and not ended its work."""
    killed_while_fetching: int = 0
    """Those of them in which it was the one that had the file."""
    wrong: int = 0
    """Final files that are absent or have other bytes."""
    unrecorded: int = 0
    """Rounds after which the file is not recorded exactly once."""
    failed: int = 0
    """Processes that were not killed and ended with another code than 0."""
    left: int = 0
    """Rounds after which a part or a lock's marker lies about."""
    sent: int = 0
    """Bytes of files that the server sent."""
    told: str = ""
    """What the first process that failed said."""

    @property
    def downloads(self) -> float:
        """Bytes sent, as a multiple of one download a round."""
        return self.sent / (SIZE * max(self.rounds, 1))

    @property
    def is_right(self) -> bool:
        return not (self.wrong or self.unrecorded or self.failed or self.left)


def run_together(
    rounds: int, folder: Path, *, flock_errors: Sequence[int] = (0,), seed: int = 1, archive: Archive
) -> Together:
    """Let processes fetch one file into one home and kill one of them at random, round after round."""
    done = Together()
    chance = random.Random(seed)
    archive.control(rate=RATE, target="data")
    with Forks(folder / "told") as forks:
        for number in range(rounds):
            home = folder / f"home-{number}"
            archive.prepare(home)
            before = _data_sent(archive)
            _run_round(forks, home, archive, chance, flock_errors, done)
            done.sent += _data_sent(archive) - before
            done.rounds += 1
    return done


def _data_sent(archive: Archive) -> int:
    return int(archive.stats.show()["bytes_by_kind"].get("data", 0))


def _run_round(
    forks: Forks,
    home: Path,
    archive: Archive,
    chance: random.Random,
    flock_errors: Sequence[int],
    done: Together,
) -> None:
    environ = {**archive.environment(home), "HOME": str(home), "MAAP_DOWNLOADS_MIN_FREE": "0"}
    environ["MAAP_DOWNLOADS_RETRY_WAIT"] = "0.01"
    gate = home / "gate"
    with closed_gate(gate):
        children = [
            forks.begin(
                "tests.faults.same_file:fetch",
                str(gate),
                flock_errors[number % len(flock_errors)],
                environ=environ,
            )
            for number in range(PROCESSES)
        ]
    if done.rounds % 2:
        # Of a random moment the beginning is mostly still to come: every other time it is waited for.
        _wait_for_part(home)
    time.sleep(chance.uniform(0.0, 0.25))
    fetcher = _fetcher(home)
    victim = chance.choice([child for child in children if child.pid == fetcher] or children)
    with contextlib.suppress(ProcessLookupError):
        os.kill(victim.pid, signal.SIGKILL)
    # The killed one first: until somebody waits for it, its process is still there.
    for child in sorted(children, key=lambda one: one is not victim):
        _judge_end(child, child is victim, fetcher, done)
    found = [path for path in (home / "data").rglob("*") if path.is_file()]
    finals = [path for path in found if path.suffix == ".h5"]
    done.wrong += len(finals) != 1 or not all(_is_right(path, archive) for path in finals)
    done.left += len(found) > len(finals) or any((home / "registry").rglob("*.soft"))
    lines = [line for path in (home / "registry").rglob("dwl_*.txt") for line in path.read_text().split("\n")]
    done.unrecorded += [Path(line).name for line in lines] != [*(path.name for path in finals), ""]


def _wait_for_part(home: Path) -> None:
    until = time.monotonic() + 10
    while not _fetcher(home) and not any((home / "data").rglob("*.h5")) and time.monotonic() < until:
        time.sleep(0.005)


def _fetcher(home: Path) -> int:
    """The process that the part's note names."""
    for note in (home / "data").rglob("*.part.json"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            return int(json.loads(note.read_text())["pid"])
    return 0


def _judge_end(child: Child, is_victim: bool, fetcher: int, done: Together) -> None:
    code = child.wait()
    if is_victim:
        done.killed_at_work += code == -signal.SIGKILL
        done.killed_while_fetching += code == -signal.SIGKILL and child.pid == fetcher
    elif code:
        done.failed += 1
        done.told = done.told or f"{code}: {child.told()}"


def _is_right(path: Path, archive: Archive) -> bool:
    """Whether a file has the bytes that the archive serves."""
    granule = archive.content.find(path.stem)
    served = DataServer(archive.content, archive.tokens, archive.faults)
    return granule is not None and path.read_bytes() == served.file_bytes(granule, path.name, 0)


LANES = 2
"""Rounds that run side by side: most of a round is waiting."""


def measure_same_file(rounds: int, folder: Path) -> Figure:
    """F6: four processes on one file, one of them killed at any moment."""

    def run_lane(lane: int) -> Together:
        share = len(range(lane, rounds, LANES))
        with Archive.start(now=NOW, offline_days=36500) as archive:
            return run_together(share, folder / f"lane-{lane}", seed=lane, archive=archive)

    with ThreadPoolExecutor(LANES) as pool:
        lanes = list(pool.map(run_lane, range(LANES)))
    counted = [one.name for one in fields(Together) if one.name != "told"]
    sums = {name: sum(getattr(lane, name) for lane in lanes) for name in counted}
    done = Together(**sums, told="".join(lane.told for lane in lanes))
    return Figure(
        "F6",
        f"{rounds} rounds of {PROCESSES} processes on one file, one killed at random "
        f"({done.killed_at_work} at work, {done.killed_while_fetching} of them while they fetched)",
        "0 wrong files, each recorded once, bytes of at most 1.1 downloads",
        f"{done.wrong} wrong, {done.unrecorded} not recorded once, {done.failed} other failures, "
        f"bytes of {done.downloads:.3f} downloads",
        done.is_right and done.downloads <= 1.1,
    )


def peers_same_file(rounds: int, folder: Path) -> dict[str, str]:
    """The same by other programs, where they are here: wrong files, and bytes in downloads."""
    seen = {}
    with Archive.start(now=NOW, offline_days=36500) as archive:
        series = archive.content.series[NAMES[1], NAMES[2]]
        granule = series.newest()
        url = f"{archive.url}/data/{granule.home}/{granule.id}.h5"
        archive.control(rate=RATE, target="data")
        for name, command in _peers(archive, url).items():
            chance, wrong, before = random.Random(1), 0, _data_sent(archive)
            for number in range(rounds):
                home = folder / f"{name}-{number}"
                archive.prepare(home)
                _run_peers(command, home, chance)
                found = [path for path in home.rglob("*.h5") if path.is_file()]
                wrong += len(found) != 1 or not _is_right(found[0], archive)
            downloads = (_data_sent(archive) - before) / (SIZE * rounds)
            seen[name] = f"{wrong} wrong of {rounds}, bytes of {downloads:.1f} downloads"
    return seen


def _peers(archive: Archive, url: str) -> dict[str, list[str]]:
    _, answer = archive.tokens.answer(
        {
            "grant_type": "refresh_token",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "refresh_token": archive.offline_token,
            "scope": "offline_access openid",
        },
        None,
    )
    bearer = f"Authorization: Bearer {answer['access_token']}"
    name = url.rpartition("/")[2]
    found = {}
    if PEER_PYTHON:
        found["maap-client"] = [PEER_PYTHON, "-m", "maap_client", "download", *NAMES, "-u", url]
    if curl := shutil.which("curl"):
        found["curl"] = [curl, "-sS", "--retry", "3", "-C", "-", "-o", name, "-H", bearer, url]
    if aria2 := shutil.which("aria2c"):
        found["aria2c"] = [aria2, "-q", "-c", "--auto-file-renaming=false", f"--header={bearer}", url]
    return found


def _run_peers(command: list[str], home: Path, chance: random.Random) -> None:
    (home / ".maap").symlink_to(home)
    environ = {**os.environ, "HOME": str(home)}
    quiet = subprocess.DEVNULL
    running = [
        subprocess.Popen(command, cwd=home, env=environ, stdin=quiet, stdout=quiet, stderr=quiet)
        for _ in range(PROCESSES)
    ]
    until = time.monotonic() + 10
    while not any(".h5" in path.name for path in home.rglob("*")) and time.monotonic() < until:
        time.sleep(0.005)
    time.sleep(chance.uniform(0.0, 0.25))
    chance.choice(running).kill()
    for process in running:
        process.wait(timeout=60)
