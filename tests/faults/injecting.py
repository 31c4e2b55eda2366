"""One command that is killed, or fails, at each system call that changes the disk, and what is left then."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from maap_tui.demo import Archive
from tests.faults.home import Home
from tests.faults.preloaded import Ended, Preloaded, traced
from tests.homes import NOW

CHANGES = ("write", "pwrite64", "fsync", "rename", "ftruncate")
"""System calls that put bytes and names where they stay."""

CALLS = (*CHANGES, "unlink", "mkdir", "flock", "openat")
"""System calls that are made to fail."""

OPENED = re.compile("O_CREAT|O_WRONLY|O_RDWR|O_DIRECTORY")
"""Ways of opening that write, or that make names durable."""

KILL = "KILL"


@dataclass(frozen=True)
class Blow:
    """What happens at the n-th call of a kind."""

    call: str
    number: int
    what: str
    """The name of an error, or KILL."""

    @property
    def injection(self) -> str:
        what = "signal=KILL" if self.what == KILL else f"error={self.what}"
        return f"inject={self.call}:{what}:when={self.number}"

    def __str__(self) -> str:
        return f"{self.what} at {self.call} {self.number}"


class Injecting:
    """A home as it is before a command, which runs in it with one blow after the other.

    Args:
        archive: where the files are.
        folder: for this one's own use.
        more: variables of the command.
    """

    title = ""
    """What the command is, where several are tried."""
    words: Sequence[object] = ()
    """The command."""
    seen: Sequence[str] = CALLS
    """The system calls that are made to fail."""
    failing: Sequence[str] = CHANGES
    """Those that fail with an error too, and not by a kill alone."""
    options: Sequence[str] = ()
    """More options of strace when calls are counted."""

    def __init__(self, archive: Archive, folder: Path, **more: str) -> None:
        self.home = Home(archive, folder / "home")
        # One file after the other, so that the n-th call is the same one in each run.
        self.home.more = {"MAAP_DOWNLOADS_PARALLEL": "1", **more}
        self.server = Preloaded(folder / "printed", one_thread=True)
        self.log = folder / "trace.txt"
        self._template = folder / "template"

    def close(self) -> None:
        self.server.__exit__(None, None, None)

    def keep(self) -> None:
        """Take the home as it is now for what the command begins with."""
        shutil.rmtree(self._template, ignore_errors=True)
        shutil.copytree(self.home.folder, self._template)

    def begin_again(self) -> None:
        self.home.clear()
        shutil.copytree(self._template, self.home.folder)

    def run(self, *words: object, codes: Sequence[int] = (0,)) -> Ended:
        """Run a command that has to end with one of these codes."""
        ended = self.server.run(words, self.home.environ)
        assert ended.code in codes, ended
        return ended

    def calls(self) -> dict[str, list[int]]:
        """Which calls of each kind, counted from 1, the command makes to change the disk without any blow."""
        self.begin_again()
        options = (*self.options, "-e", "trace=" + ",".join(self.seen))
        with traced(self.server, self.words, self.home.environ, *options, log=self.log) as run:
            ended = run.wait()
        assert ended.code == 0, ended
        self.take_right_end()
        calls: dict[str, list[int]] = {call: [] for call in self.seen}
        count: Counter[str] = Counter()
        for line in self.log.read_text().splitlines():
            call = line.split()[1].partition("(")[0]
            if call in calls:
                count[call] += 1
                if self.is_meant(call, line):
                    calls[call].append(count[call])
        return calls

    def blows(self, errors: Sequence[str]) -> list[Blow]:
        """A kill at each call, and these errors at those that fail with errors too."""
        calls = self.calls()
        return [
            Blow(call, number, what)
            for call in calls
            for number in calls[call]
            for what in ((KILL, *errors) if call in self.failing else (KILL,))
        ]

    def strike(self, blow: Blow) -> str:
        """Run with one blow, look, run again, look; '' or what was wrong."""
        self.begin_again()
        options = ("-e", f"trace={blow.call}", "-e", blow.injection)
        with traced(self.server, self.words, self.home.environ, *options) as run:
            first = run.wait()
        wrong = self.wrong_after(first)
        if not wrong:
            second = self.server.run(self.words, self.home.environ)
            wrong = f"then exit {second.code}: {second.err[-300:]}" if second.code else self.wrong_end()
        return f"{self.title}, {blow}: {wrong}" if wrong else ""

    def is_meant(self, call: str, line: str) -> bool:
        """Whether a call that strace saw is to fail."""
        # Files that are only read are opened by the hundred.
        return call != "openat" or (str(self.home.folder) in line and bool(OPENED.search(line)))

    def take_right_end(self) -> None:
        """Look at what the command left without any blow."""
        assert self.wrong_end() == "", self.wrong_end()

    def wrong_after(self, ended: Ended) -> str:
        """What must not be after a blow, before anything else ran; '' for nothing."""
        raise NotImplementedError

    def wrong_end(self) -> str:
        """What is wrong after the command came to its end; '' for nothing."""
        raise NotImplementedError


def strike_all(
    steps: Iterable[str], make: Callable[[Archive, str], Injecting], errors: Sequence[str]
) -> tuple[int, list[str]]:
    """Strike several commands one after the other, at every call.

    Args:
        steps: names of the commands.
        make: makes what strikes one of them.
        errors: what calls fail with beside the kills.

    Returns:
        How many blows there were, and what was wrong.
    """
    wrong: list[str] = []
    count = 0
    with Archive.start(now=NOW, offline_days=36500) as archive:
        for step in steps:
            place = make(archive, step)
            try:
                for blow in place.blows(errors):
                    count += 1
                    if text := place.strike(blow):
                        wrong.append(text)
            finally:
                place.close()
    return count, wrong
