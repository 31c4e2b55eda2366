"""Many processes that write the same daily files: F5."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from maap_tui.engine.registry.baseline import BaselineRegistry
from maap_tui.engine.registry.entries import Key, TrackedFile
from tests.faults.figure import PEER_PYTHON, Figure
from tests.faults.forks import Forks, closed_gate, pass_gate

KEY = Key("EarthCARE", "EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")
DAY = date(2025, 12, 1)
REFERENCE_S = 0.031
"""Seconds that `slowness` measures where 500 a second are promised: the machine of docs/reliability.md."""

SHARED_EVERY = 10
"""Rounds of which one has a line that every writer offers."""


def entry(writer: int, number: int) -> TrackedFile:
    """A line as long as the archive's; those of one writer and number are the same."""
    name = f"ECA_EXBC_CPR_CLD_2A_{DAY:%Y%m%d}T{number:06d}Z_{DAY:%Y%m%d}T235959Z_{writer:05d}C.h5"
    below = f"{KEY.mission}/{KEY.collection}/{KEY.product_type}/{KEY.baseline}/{DAY:%Y/%m/%d}"
    return TrackedFile(KEY, DAY, f"https://archive.example/data/{below}/{name}", f"/data/{below}/{name}")


def offered(writer: int, rounds: int) -> list[TrackedFile]:
    lines = []
    for number in range(rounds):
        lines.append(entry(writer, number))
        if number % SHARED_EVERY == 0:
            lines.append(entry(99999, number))
    return lines


def write(root: str, gate: str, writer: int, rounds: int, flock_error: int = 0) -> None:
    """Register and record what is offered, as sync does with each file; tell how many lines were new.

    Args:
        root: the registry.
        gate: where to wait for the others.
        writer: number of this writer.
        rounds: how often.
        flock_error: what the file system refuses flock with; 0 where it has locks.
    """
    pass_gate(Path(gate))
    if flock_error:
        refuse_flock(flock_error)
    registry = BaselineRegistry(Path(root), KEY)
    new = 0
    for one in offered(writer, rounds):
        new += registry.add([one]).new + registry.record(one.url, one.path, one.day)
    print(new)


def refuse_flock(number: int) -> None:
    """Make this process one on a file system without locks."""
    import fcntl

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    fcntl.flock = refuse


@dataclass(frozen=True)
class Written:
    """What came of writers on the two files of one day."""

    lines: int
    """Lines that should be there."""
    lost: int
    twice: int
    """Lines too many, or not as they were offered."""
    acknowledged: int
    """Lines that a writer was told are new."""
    seconds: float

    @property
    def is_right(self) -> bool:
        return self.lost == self.twice == 0 and self.acknowledged == self.lines


def let_write(rounds: int, folder: Path, writers: int, flock_errors: Sequence[int] = (0,)) -> Written:
    """Let writers loose on one file at once; the n-th has the n-th of the errors, over and over."""
    folder.mkdir(parents=True, exist_ok=True)
    gate, root = folder / "gate", folder / "registry"
    with Forks(folder / "told") as forks:
        with closed_gate(gate):
            children = [
                forks.begin(
                    "tests.faults.writers:write",
                    str(root), str(gate), number, rounds, flock_errors[number % len(flock_errors)],
                )
                for number in range(writers)
            ]  # fmt: skip
        begun = time.perf_counter()
        codes = [child.wait() for child in children]
        seconds = time.perf_counter() - begun
    told = [child.told() for child in children]
    if any(codes):
        raise RuntimeError(f"a writer ended with {codes}: {told}")
    return compare(root, rounds, writers, sum(map(int, told)), seconds)


def compare(root: Path, rounds: int, writers: int, acknowledged: int, seconds: float) -> Written:
    """Look at what the files hold now."""
    wanted = {f"{one.url}|{one.path}" for writer in range(writers) for one in offered(writer, rounds)}
    lost = twice = 0
    for kind in ("url", "dwl"):
        path = BaselineRegistry(root, KEY).day_file(kind, DAY)
        found = Counter(path.read_text(errors="replace").splitlines())
        missing = len(wanted - found.keys())
        lost += missing
        twice += sum(found.values()) - (len(wanted) - missing)
    return Written(2 * len(wanted), lost, twice, acknowledged, seconds)


def syncs_a_second(folder: Path, count: int = 100) -> float:
    """Appends a second that the disk takes from one process that does nothing else."""
    begun = time.perf_counter()
    descriptor = os.open(folder / "syncs", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for _ in range(count):
        os.write(descriptor, b"x" * 200)
        os.fsync(descriptor)
    os.close(descriptor)
    return count / (time.perf_counter() - begun)


def slowness() -> float:
    """How many times longer a processor takes for the same work than the one of the promise; 1 for faster."""
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        sum(number * number for number in range(500_000))
        times.append(time.perf_counter() - begun)
    return max(1.0, statistics.median(times) / REFERENCE_S)


def measure_writers(rounds: int, folder: Path, writers: int = 16) -> Figure:
    """F5: writers of the files of one day, each line acknowledged when it would survive a power cut."""
    before = slowness()
    done = let_write(rounds, folder, writers)
    rate, disk = done.lines / done.seconds, syncs_a_second(folder)
    slow = (before + slowness()) / 2
    return Figure(
        "F5",
        f"{writers} processes, {rounds} rounds, {done.lines} lines of one day",
        "0 lost, 0 twice, 500 appends a second, or half of what the disk can",
        f"{done.lost} lost, {done.twice} twice, {rate:.0f} appends a second (the disk: {disk:.0f}"
        + (f"; processors {slow:.1f} times slower than those of the promise)" if slow > 1.2 else ")"),
        done.is_right and rate >= min(500 / slow, disk / 2),
        at_any_speed=done.is_right,
    )


PEER = """
import sys
from pathlib import Path
from maap_client.tracker import StateTracker
from maap_client.registry import Registry
from datetime import date
registry = Registry(Path(sys.argv[1]), *sys.argv[2:6])
tracker, day = StateTracker(Path(sys.argv[1]), *sys.argv[2:6]), date(2025, 12, 1)
lines = Path(sys.argv[6]).read_text().splitlines()
print("ready", flush=True)
sys.stdin.readline()
for line in lines:
    url, _, path = line.partition("|")
    registry.save_urls([url], Path("/data"))
    if url not in {one for one, _ in registry.read_pairs(registry.dwl_file_for_date(day))}:
        tracker.mark_downloaded(url, Path(path))
"""


def peers_writers(rounds: int, folder: Path, writers: int = 16) -> dict[str, str]:
    """The same by maap-client, where it is installed."""
    if not PEER_PYTHON:
        return {}
    folder.mkdir(parents=True, exist_ok=True)
    root, running = folder / "registry", []
    names = (KEY.mission, KEY.collection, KEY.product_type, KEY.baseline)
    for number in range(writers):
        lines = folder / f"lines-{number}.txt"
        lines.write_text("".join(f"{one.url}|{one.path}\n" for one in offered(number, rounds)))
        process = subprocess.Popen(
            [PEER_PYTHON, "-c", PEER, str(root), *names, str(lines)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
    for process in running:
        assert process.stdout is not None
        process.stdout.readline()
    begun = time.perf_counter()
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in running:
        process.communicate(timeout=300)
    done = compare(root, rounds, writers, 0, time.perf_counter() - begun)
    rate = done.lines / done.seconds
    return {
        "maap-client": f"{done.lost} lost, {done.twice} twice of {done.lines}, "
        f"{rate:.0f} appends a second without fsync"
    }
