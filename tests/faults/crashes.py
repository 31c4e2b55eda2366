"""Kills and errors at every system call that changes a disk, and kills at any moment (F2, F3)."""

from __future__ import annotations

import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from maap_tui.demo import Archive
from tests.faults.figure import Figure
from tests.faults.home import NAMES, Home, lines_of
from tests.faults.injecting import CHANGES, KILL, Blow, Injecting
from tests.faults.preloaded import Ended, Preloaded
from tests.homes import NOW

ERRORS = ("EIO", "ENOSPC", "EDQUOT", "EROFS", "EINTR")


class Injections(Injecting):
    """One sync of three files into a registry that has old lines, a comment, torn tails and an error to heal.

    Args:
        archive: where the files are.
        folder: for this one's own use.
    """

    words = (
        "sync", *NAMES, "--start", "2025-12-01T00:00:00Z", "--end", "2025-12-01T06:00:00Z", "--frame", "D",
        "--json",
    )  # fmt: skip
    first = (*words[:-1], "-n", "1")

    def __init__(self, archive: Archive, folder: Path) -> None:
        super().__init__(archive, folder)
        self.printed = folder / "printed" / "out.txt"
        self._make_home()

    def _make_home(self) -> None:
        home = self.home
        home.make()
        self.run(*self.first)
        lines = lines_of(home.day_file("url"))
        self.urls = [line.partition("|")[0] for line in lines]
        self.old = lines[0]
        assert len(lines) == 4 and home.lines("dwl") == Counter([self.old])
        home.day_file("url").write_text(f"# kept by hand\n{self.old}\n{lines[1][:-10]}")
        home.day_file("dwl").write_text(f"{self.old}\n{lines[2][:40]}")
        elsewhere = self.urls[3].replace("CPR_CLD_2A_2025", "CPR_CLD_2A_2024")
        self.other_error = f"{elsewhere}|2025-12-02T00:00:00Z 503 Service Unavailable (1 try)"
        home.errors_file.write_text(
            f"{self.other_error}\n{self.urls[1]}|2025-12-02T00:00:00Z 503 Service Unavailable (1 try)\n"
        )
        self.keep()

    def take_right_end(self) -> None:
        """Without a blow it has to end with 0, which was looked at."""

    def wrong_after(self, ended: Ended) -> str:
        """Of what was there before and of what was said nothing may be lost."""
        home = self.home
        if bad := home.wrong_finals():
            return f"wrong bytes under a final name: {bad}"
        if self.old not in home.lines("url") or self.old not in home.lines("dwl"):
            return "an old line of the registry is lost"
        if "# kept by hand" not in lines_of(home.day_file("url")):
            return "a comment of the registry is lost"
        if self.other_error not in lines_of(home.errors_file):
            return "an old error is lost"
        for url, state in ended.told.items():
            if state == "finished" and not home.is_recorded(url):
                return f"told as downloaded and not recorded: {url.rpartition('/')[2]}"
        if ended.code == 0 and not all(map(home.is_recorded, self.urls)):
            return f"exit 0 with something not recorded: {ended.err}"
        if ended.code not in (0, 2, 3, 4, -9):
            return f"exit {ended.code}: {ended.err[-300:]}"
        if ended.code in (2, 3, 4) and not ended.err.strip():
            return f"exit {ended.code} without a word"
        return ""

    def wrong_end(self) -> str:
        """After another run all is here, and nothing else."""
        home = self.home
        if bad := home.wrong_finals():
            return f"wrong bytes after the second run: {bad}"
        for kind in ("url", "dwl"):
            count = Counter(line.partition("|")[0] for line in home.lines(kind).elements())
            if count != Counter(self.urls):
                return f"{kind} lines after the second run: {sorted(count.values())} of {len(self.urls)}"
        if home.error_urls() != {self.other_error.partition("|")[0]}:
            return f"errors after the second run: {sorted(home.error_urls())}"
        if left := home.litter():
            return f"left behind: {left}"
        return ""


def blows(calls: dict[str, list[int]]) -> list[Blow]:
    """Every fault at every call that changes bytes or names, two of them at the others."""
    return [
        Blow(call, number, what)
        for call in calls
        for number in calls[call]
        for what in ((*ERRORS, KILL) if call in CHANGES else ("ENOSPC", KILL))
    ]


def sample(calls: dict[str, list[int]], rounds: int) -> list[Blow]:
    """A few of them, of every kind of call and fault alike, the same each time."""
    every = blows(calls)
    random.Random(20260115).shuffle(every)
    groups: dict[tuple[str, bool], list[Blow]] = {}
    for blow in every:
        groups.setdefault((blow.call, blow.what == KILL), []).append(blow)
    found: list[Blow] = []
    while len(found) < rounds and any(groups.values()):
        found += [group.pop() for group in groups.values() if group]
    return found[:rounds]


def measure_injections(rounds: int, folder: Path, workers: int = 2) -> Figure:
    """F3: kill and error at the n-th call of a sync.

    Args:
        rounds: how many faults; 0 for every one at every call.
        folder: for its own use.
        workers: how many at once.

    Raises:
        Missing: strace is not here, or may not attach.
    """
    with Archive.start(now=NOW, offline_days=36500) as archive:
        places = [Injections(archive, folder / str(number)) for number in range(workers)]
        try:
            calls = places[0].calls()
            chosen = sample(calls, rounds) if rounds else blows(calls)
            wrong = [text for text in _spread(chosen, [place.strike for place in places]) if text]
        finally:
            for place in places:
                place.close()
    counts = ", ".join(f"{name} {len(numbers)}" for name, numbers in calls.items() if numbers)
    seen = f"{len(wrong)} bad states" + "".join(f"; {text}" for text in wrong)
    what = f"{len(chosen)} kills and errors in one sync ({counts})"
    return Figure("F3", what, "0 bad states", seen, not wrong)


def _spread(items: Sequence[Blow], workers: Sequence[Callable[[Blow], str]]) -> Iterable[str]:
    """Have workers take what is next until nothing is left."""
    waiting = iter(items)
    guard = threading.Lock()

    def work(one: Callable[[Blow], str]) -> list[str]:
        results = []
        while True:
            with guard:
                item = next(waiting, None)
            if item is None:
                return results
            results.append(one(item))

    with ThreadPoolExecutor(len(workers)) as pool:
        return [text for results in pool.map(work, workers) for text in results]


class Kills:
    """Syncs of a set of files that grows, each killed at a random moment, in one home after the other.

    Args:
        archive: where the files are.
        folder: for this one's own use.
        seed: of the moments.
        frame: the one frame whose files are meant; '' for those of all.
    """

    days = ("2025-12-01", "2025-12-02")

    def __init__(self, archive: Archive, folder: Path, seed: int, frame: str = "") -> None:
        self.home = Home(archive, folder / "home")
        self.told: set[str] = set()
        """URLs that some command told as downloaded into this home."""
        self.count = 0
        """How many such there were in all homes."""
        self.kills = 0
        self.wrong: list[str] = []
        self._chance = random.Random(seed)
        self._frame = ("--frame", frame) if frame else ()
        self._server = Preloaded(folder / "printed")
        self._day = 0
        self.home.make()

    def close(self) -> None:
        self._server.__exit__(None, None, None)

    def strike(self, rounds: int) -> None:
        """Kill that many commands, and let what they left come to its end."""
        while self.kills < rounds:
            self._kill_one()
            if self._day == len(self.days):
                self.finish()
                self._day, self.told = 0, set()
                self.home.make()
        self.finish()

    def _words(self, *more: object) -> tuple[object, ...]:
        day = self.days[min(self._day, len(self.days) - 1)]
        return ("sync", *NAMES, "--date", day, *self._frame, "--format", "all", "--json", *more)

    def _kill_one(self) -> None:
        running = self._server.begin(self._words("-n", self._chance.randint(2, 30)), self.home.environ)
        running.go()
        if not running.has_ended_within(self._chance.uniform(0.0, 0.35)):
            running.kill()
            self.kills += running.wait().code == -signal.SIGKILL
        ended = running.wait()
        if ended.code not in (0, -signal.SIGKILL):
            self.wrong.append(f"exit {ended.code}: {ended.err[-300:]}")
        if "Nothing new: all" in ended.err:
            self._day += 1
        self._look(ended)

    def _look(self, ended: Ended) -> None:
        told = {url for url, state in ended.told.items() if state == "finished"}
        self.count += len(told)
        self.told |= told
        lines = {kind: self._lines(kind) for kind in ("url", "dwl")}
        urls = {kind: Counter(line.partition("|")[0] for line in found) for kind, found in lines.items()}
        for kind, found in urls.items():
            self.wrong += [f"doubled in {kind}: {url}" for url, count in found.items() if count > 1]
        self.wrong += [f"lost: {url}" for url in sorted(self.told - urls["dwl"].keys())]
        paths = dict(line.partition("|")[::2] for line in lines["dwl"])
        self.wrong += [f"gone: {url}" for url in self.told & paths.keys() if not Path(paths[url]).exists()]
        self.wrong += [f"corrupt: {name}" for name in self.home.wrong_finals()]

    def _lines(self, kind: str) -> list[str]:
        """Whole lines; a last one that was cut short is not yet one."""
        lines: list[str] = []
        for path in self.home.day_file(kind).parent.glob(f"{kind}_*.txt"):
            lines += (line[:-1] for line in path.read_text().splitlines(keepends=True) if line[-1] == "\n")
        return [line for line in lines if not line.startswith("#")]

    def finish(self) -> None:
        """Run to the end what was begun; everything has to be here then, and nothing else."""
        ended = self._server.run(self._words("-n", 1000), self.home.environ)
        self._look(ended)
        if ended.code != 0:
            self.wrong.append(f"exit {ended.code} of a run that was left alone: {ended.err[-300:]}")
        if left := self.home.litter():
            self.wrong.append(f"left behind: {left}")
        if sorted(self._lines("url")) != sorted(self._lines("dwl")):
            self.wrong.append("not everything was downloaded in the end")


def measure_kills(rounds: int, folder: Path, workers: int = 2, frame: str = "") -> Figure:
    """F2: kills at random moments of commands that download and record.

    Args:
        rounds: how many kills.
        folder: for its own use.
        workers: how many commands at once, each in a home of its own.
        frame: as for `Kills`.
    """
    with Archive.start(now=NOW, offline_days=36500) as archive:
        places = [Kills(archive, folder / str(number), number, frame) for number in range(workers)]
        try:
            with ThreadPoolExecutor(workers) as pool:
                list(pool.map(lambda place: place.strike(-(-rounds // workers)), places))
        finally:
            for place in places:
                place.close()
    wrong = [text for place in places for text in place.wrong]
    kinds = {word: sum(text.startswith(word) for text in wrong) for word in ("lost", "doubled", "corrupt")}
    others = "".join(f"; {text}" for text in wrong if not text.startswith(tuple(kinds)))
    seen = ", ".join(f"{count} {word}" for word, count in kinds.items()) + others
    told = sum(place.count for place in places)
    what = f"{sum(place.kills for place in places)} kills of a sync, {told} files reported as downloaded"
    return Figure("F2", what, "0 lost, 0 doubled, 0 corrupt", seen, not wrong)
