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
from dataclasses import dataclass, field
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
    """MB that the largest of them had at once; never less than what this harness itself has."""
    more: Mapping[str, float] = field(default_factory=dict)
    """What else was counted, such as requests."""

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
    code: int = 0
    """Its exit code when it did the work."""


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
        Failed: it ended with another code than it should, or took too long.
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
    if process.returncode != client.code:
        last = said.read_text(errors="replace").strip()[-400:]
        raise Failed(f"{' '.join(words)[:120]} ended with {process.returncode}: {last}")
    return Usage(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


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

    @contextmanager
    def folder(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="maap-bench-", dir=self.options.dir) as folder:
            yield Path(folder)

    def heading(self, title: str, versions: Mapping[str, str], left_out: Sequence[str] = ()) -> None:
        """Say what is measured with what."""
        print(f"### {title}\n")
        print(f"{machine()}. {', '.join(f'{name} {version}' for name, version in versions.items())}.")
        rounds = "one round" if self.rounds == 1 else f"medians of {self.rounds} rounds in turn"
        print(f"{rounds.capitalize()}{', little work' if self.quick else ''}.")
        for words in left_out:
            print(f"Left out: {words}.")
        print(flush=True)

    def play(self, work: Work, folder: Path) -> dict[str, list[Usage]]:
        """Run the clients of a piece of work in turn, and print what they took."""
        if self.options.only not in work.title:
            return {}
        before = os.getloadavg()[0]
        taken: dict[str, list[Usage]] = {client.name: [] for client in work.clients}
        faults: dict[str, str] = {}
        for number in range(self.rounds):
            for client in work.clients:
                if client.name in faults or number >= client.rounds:
                    continue
                place = folder / "run"
                place.mkdir()
                try:
                    client.prepare(place)
                    work.counts()
                    used = run(client, place)
                    used = Usage(used.wall, used.cpu, used.memory, dict(work.counts()))
                    if wrong := client.check(place):
                        raise Failed(wrong)
                    taken[client.name].append(used)
                except Failed as failure:
                    faults[client.name] = str(failure)
                    self.failed = self.failed or client.name.split()[0] in self.ours
                finally:
                    shutil.rmtree(place)
        self._print(work, taken, faults, before)
        return taken

    def _print(
        self, work: Work, taken: Mapping[str, list[Usage]], faults: Mapping[str, str], before: float
    ) -> None:
        titles = [MEASURES.get(name, (name, ""))[0] for name in work.measures]
        print(f"| {work.title} | {' | '.join(titles)} | runs |")
        print("|---" * (len(titles) + 2) + "|")
        for name, runs in taken.items():
            if runs:
                cells = [_cell(measure, [one.of(measure) for one in runs]) for measure in work.measures]
                print(f"| {name} | {' | '.join(cells)} | {len(runs)} |")
        print()
        for name, words in faults.items():
            print(f"{name} failed: {' '.join(words.split())}\n")
        self.judge(work.reaches, taken)
        print(f"Load {before:.1f} before, {os.getloadavg()[0]:.1f} after.\n", flush=True)

    def judge(self, reaches: Sequence[Reach], taken: Mapping[str, list[Usage]]) -> None:
        """Print how each version of ours stands to what it should reach."""
        rows = []
        for reach in reaches:
            for version in self.ours:
                ours = reach.ours.replace(OURS, version, 1)
                if not taken.get(ours):
                    continue
                title = MEASURES.get(reach.measure, (reach.measure, ""))[0]
                if not reach.other:
                    seen = statistics.median(one.of(reach.measure) for one in taken[ours])
                    bound, found = f"<= {reach.factor:g}", f"{seen:.3g}"
                else:
                    other = reach.other.replace(OURS, version, 1)
                    if not taken.get(other):
                        continue
                    seen, spread = ratio(taken[ours], taken[other], reach.measure)
                    bound, found = f"<= {reach.factor:g} x {other}", f"{seen:.2f} x{spread}"
                verdict = "met" if seen <= reach.factor else "**not met**"
                rows.append(f"| {ours}, {title} | {bound} | {found} | {verdict} |")
        if rows:
            print("| | reach | seen | |\n|---|---|---|---|")
            print("\n".join(rows) + "\n")


def ratio(ours: Sequence[Usage], other: Sequence[Usage], measure: str) -> tuple[float, str]:
    """The median of the rounds' ratios, and words for the lowest and the highest."""
    pairs = zip(ours, other, strict=False)
    ratios = sorted(one.of(measure) / max(peer.of(measure), 1e-9) for one, peer in pairs)
    spread = f" ({ratios[0]:.2f} to {ratios[-1]:.2f})" if len(ratios) > 1 else ""
    return statistics.median(ratios), spread


def _cell(measure: str, values: Sequence[float]) -> str:
    middle = statistics.median(values)
    if measure == "memory":
        # A process begins with what the one that starts it has.
        floor = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return f"{middle:.0f}" if middle > floor + 1 else f"up to {floor:.0f}"
    form = MEASURES.get(measure, ("", ""))[1] or ("{:,.0f}" if middle >= 100 else "{:.3g}")
    return form.format(middle)


def machine() -> str:
    """Date, processors, memory, system, Python."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {memory:.0f} GB, "
        f"{platform.system()} {platform.release().split('-')[0]}, Python {platform.python_version()}"
    )


def version_of(python: str) -> str:
    """The version of ours that an interpreter has, with the commit of a working tree."""
    code = "import maap_tui.version as v, pathlib; print(v.__version__, pathlib.Path(v.__file__).parents[1])"
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
