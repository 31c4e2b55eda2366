"""Runs of programs in turn, what each took, and Markdown of it."""

from __future__ import annotations

import argparse
import os
import platform
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROUNDS = 5
PATIENCE_S = 1800.0
"""Seconds after which a run has failed."""
OURS = "maap"
"""Name of this version of ours in the tables."""


class Failed(Exception):
    """A run that did not do its work, with what it said."""


@dataclass(frozen=True)
class Usage:
    """What one run took."""

    wall: float
    """Seconds."""
    cpu: float
    """Seconds of processor, user and system, of the process and of all it started and waited for."""
    memory: float
    """MB that the largest of them had at once."""
    more: Mapping[str, float] = field(default_factory=dict)
    """What else was counted, such as requests."""
    floor: float = 0.0
    """MB that `memory` is never less than: what a process begins with, from the one that starts it."""

    def of(self, measure: str) -> float:
        return float(getattr(self, measure, None) or self.more.get(measure, 0.0))


@dataclass(frozen=True)
class Client:
    """One way to do the work."""

    name: str
    words: Callable[[Path], Sequence[str]]
    """The command, given the folder it runs in."""
    environ: Mapping[str, str]
    check: Callable[[Path], str] = lambda folder: ""
    """Says what is wrong with what it left in its folder; '' when it is right."""
    prepare: Callable[[Path], object] = lambda folder: None
    """Makes what it needs in its folder, before the clock starts."""
    output: str = ""
    """File in its folder that takes its standard output; '' throws that away."""
    rounds: int = sys.maxsize
    """Rounds that it takes part in; fewer for what takes minutes."""
    measure: Callable[[Client, Path], Usage] | None = None
    """Does the work and says what it took; None runs the command to its end."""


@dataclass(frozen=True)
class Reach:
    """How far ours has to come: a measure of one client at most `factor` times that of another."""

    ours: str
    measure: str
    """wall, cpu, memory, or a name of Usage.more."""
    factor: float
    other: str = ""
    """'' when the factor is a bound by itself."""


MEASURES = {"cpu": ("CPU s", "{:.2f}"), "wall": ("wall s", "{:.2f}"), "memory": ("peak MB", "{:.0f}")}


def run(client: Client, folder: Path, patience: float = PATIENCE_S) -> Usage:
    """Run a client once in a folder.

    Raises:
        Failed: it ended with another code than 0, or took too long.
    """
    said = folder / "stderr"
    with (
        said.open("wb") as errors,
        (folder / client.output if client.output else Path(os.devnull)).open("wb") as output,
    ):
        words = [str(word) for word in client.words(folder)]
        begun = time.monotonic()
        process = subprocess.Popen(
            words,
            cwd=folder,
            env={**client.environ, "HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
        )
        signal.signal(signal.SIGALRM, lambda number, frame: process.kill())
        signal.setitimer(signal.ITIMER_REAL, patience)
        _, status, used = os.wait4(process.pid, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - begun
    if process.returncode != 0:
        last = said.read_text(errors="replace").strip()[-400:]
        raise Failed(f"{' '.join(words)[:120]} ended with {process.returncode}: {last}")
    floor = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Usage(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, floor=floor)


@dataclass
class Work:
    """One piece of work, by several clients."""

    title: str
    clients: Sequence[Client]
    reaches: Sequence[Reach] = ()
    measures: Sequence[str] = ("cpu", "wall", "memory")
    counts: Callable[[], Mapping[str, float]] = dict
    """Read after each run, and begun again by that."""


class Bench:
    """One script's run: its options, its folder, and what it prints."""

    def __init__(
        self, doc: str, extend: Callable[[argparse.ArgumentParser], object] = lambda _: None
    ) -> None:
        parser = argparse.ArgumentParser(
            description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        parser.add_argument(
            "--rounds", type=int, help=f"runs of each, medians are printed (default: {ROUNDS})"
        )
        parser.add_argument("--quick", action="store_true", help="little work, one round: to try the script")
        parser.add_argument(
            "--beside",
            action="append",
            default=[],
            metavar="NAME=PYTHON",
            help="measure another version of ours as well: a name, and an interpreter that has it",
        )
        parser.add_argument("--only", metavar="WORDS", default="", help="only the work whose title has them")
        parser.add_argument("--dir", help="folder to work in, on the disk to be measured")
        extend(parser)
        self.options = parser.parse_args()
        self.quick: bool = self.options.quick
        self.rounds: int = self.options.rounds or (1 if self.quick else ROUNDS)
        self.ours = {OURS: sys.executable}
        """Name -> interpreter of each version of ours."""
        for one in self.options.beside:
            name, _, python = one.partition("=")
            if not Path(python).is_file():
                parser.error(f"--beside must be NAME=PYTHON, got {one}")
            self.ours[name] = python
        self.failed = False
        self._load = os.getloadavg()[0]

    def is_ours(self, name: str) -> bool:
        """Whether a client is a version of ours."""
        return name.split()[0].rstrip(",") in self.ours

    def load(self) -> str:
        """The load average before and now, in words."""
        return f"Load {self._load:.1f} before, {os.getloadavg()[0]:.1f} after."

    @contextmanager
    def folder(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="maap-bench-", dir=self.options.dir) as folder:
            yield Path(folder)

    def heading(
        self, title: str, versions: Mapping[str, str], left_out: Sequence[str] = (), rounds: int = 0
    ) -> None:
        """Say what is measured with what."""
        print(f"### {title}\n")
        print(f"{machine()}. {', '.join(f'{name} {version}' for name, version in versions.items())}.")
        count = rounds or self.rounds
        said = "one round" if count == 1 else f"medians of {count} rounds in turn"
        print(f"{said.capitalize()}{', little work' if self.quick else ''}.")
        for words in left_out:
            print(f"Left out: {words}.")
        print(flush=True)

    def play(self, work: Work, folder: Path, rounds: int = 0) -> dict[str, list[Usage]]:
        """Run the clients of a piece of work in turn, and print what they took.

        Args:
            work: what is done.
            folder: where; each run has a folder of its own in it.
            rounds: how often; 0 is as often as the options say.
        """
        if self.options.only not in work.title:
            return {}
        self._load = os.getloadavg()[0]
        taken: dict[str, list[Usage]] = {client.name: [] for client in work.clients}
        faults: dict[str, str] = {}
        for number in range(rounds or self.rounds):
            for client in work.clients:
                if client.name in faults or number >= client.rounds:
                    continue
                place = folder / "run"
                place.mkdir()
                try:
                    client.prepare(place)
                    work.counts()
                    used = (client.measure or run)(client, place)
                    used = replace(used, more={**used.more, **work.counts()})
                    if wrong := client.check(place):
                        raise Failed(wrong)
                    taken[client.name].append(used)
                except Failed as failure:
                    faults[client.name] = str(failure)
                    self.failed = self.failed or self.is_ours(client.name)
                finally:
                    shutil.rmtree(place)
        self._print(work, taken, faults)
        return taken

    def _print(self, work: Work, taken: Mapping[str, list[Usage]], faults: Mapping[str, str]) -> None:
        titles = [MEASURES.get(name, (name, ""))[0] for name in work.measures]
        print(f"| {work.title} | {' | '.join(titles)} | runs |")
        print("|---" * (len(titles) + 2) + "|")
        for name, runs in taken.items():
            if runs:
                cells = [_cell(measure, runs) for measure in work.measures]
                print(f"| {name} | {' | '.join(cells)} | {len(runs)} |")
        print()
        for name, words in faults.items():
            print(f"{name} failed: {' '.join(words.split())}\n")
        self.judge(work.reaches, taken)
        print(f"{self.load()}\n", flush=True)

    def judge(self, reaches: Sequence[Reach], taken: Mapping[str, list[Usage]]) -> None:
        """Print how each version of ours stands to what it should reach."""
        rows = []
        for reach in reaches:
            for version in self.ours:
                ours = _of(version, reach.ours)
                if not taken.get(ours):
                    continue
                title = MEASURES.get(reach.measure, (reach.measure, ""))[0]
                if not reach.other:
                    seen = statistics.median(one.of(reach.measure) for one in taken[ours])
                    bound, found = f"<= {reach.factor:g}", f"{seen:.3g}"
                else:
                    other = _of(version, reach.other)
                    if not taken.get(other):
                        continue
                    seen, spread = ratio(taken[ours], taken[other], reach.measure)
                    bound, found = f"<= {reach.factor:g} x {other}", f"{seen:.2f} x{spread}"
                verdict = "met" if seen <= reach.factor else "**not met**"
                rows.append(f"| {ours}, {title} | {bound} | {found} | {verdict} |")
        if rows:
            print("| | reach | seen | |\n|---|---|---|---|")
            print("\n".join(rows) + "\n")

    def judge_growth(
        self, taken: Mapping[str, Sequence[Usage]], measure: str, factor: float, *, is_rate: bool = False
    ) -> None:
        """Print whether a measure gets worse from the least work to the most, for each version of ours.

        Args:
            taken: what each took, least work first.
            measure: which.
            factor: how many times worse it may become.
            is_rate: whether less of it is worse.
        """
        title = MEASURES.get(measure, (measure, ""))[0]
        rows = []
        for name, runs in taken.items():
            values = [one.of(measure) for one in runs]
            if len(values) > 1:
                worse = values[0] / max(min(values), 1e-9) if is_rate else max(values) / max(values[0], 1e-9)
                verdict = "met" if worse <= factor else "**not met**"
                is_ours = self.is_ours(name)
                words = " ".join(_number(value) for value in values)
                bound = f"<= {factor - 1:.0%} worse" if is_ours else ""
                rows.append(f"| {name}, {title} | {bound} | {words} | {verdict if is_ours else ''} |")
        if rows:
            print("| as the work grows | reach | seen | |\n|---|---|---|---|")
            print("\n".join(rows) + "\n", flush=True)


def _of(version: str, name: str) -> str:
    """The name of a client of ours for another version; that of a peer as it is."""
    first, rest = name[: len(OURS)], name[len(OURS) :]
    return version + rest if first == OURS and rest[:1] in ("", " ", ",") else name


def ratio(ours: Sequence[Usage], other: Sequence[Usage], measure: str) -> tuple[float, str]:
    """The median of the rounds' ratios, and words for the lowest and the highest."""
    pairs = zip(ours, other, strict=False)
    ratios = sorted(one.of(measure) / max(peer.of(measure), 1e-9) for one, peer in pairs)
    spread = f" ({ratios[0]:.2f} to {ratios[-1]:.2f})" if len(ratios) > 1 else ""
    return statistics.median(ratios), spread


def _cell(measure: str, runs: Sequence[Usage]) -> str:
    middle = statistics.median(one.of(measure) for one in runs)
    floor = max(one.floor for one in runs)
    if measure == "memory" and middle < floor + 1:
        return f"up to {floor:.0f}"
    form = MEASURES.get(measure, ("", ""))[1]
    return form.format(middle) if form else _number(middle)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def machine() -> str:
    """Date, processors, memory, system, Python."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {memory:.0f} GB, "
        f"{platform.system()} {platform.release().split('-')[0]}, Python {platform.python_version()}"
    )


def version_of(python: str) -> str:
    """The version of ours that an interpreter has, with the commit of a working tree."""
    code = (
        "import importlib.metadata as m, importlib.util as u, pathlib;"
        "print(m.version('maap-tui'), pathlib.Path(u.find_spec('maap_tui').origin).parents[1])"
    )
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, cwd="/")
    version, _, home = done.stdout.strip().partition(" ")
    commit = subprocess.run(
        ["git", "-C", home or "/", "rev-parse", "--short", "HEAD"], capture_output=True, text=True
    )
    return f"{version or 'unknown'} {commit.stdout.strip()}".strip()


def maap(python: str) -> list[str]:
    """The command line of ours by an interpreter, as its users start it."""
    script = Path(python).with_name("maap")
    return [str(script)] if script.exists() else [python, "-m", "maap_tui"]
