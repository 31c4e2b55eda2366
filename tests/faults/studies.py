"""Kills and errors at every system call of freeze and thaw that changes the disk."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from maap_tui.demo import Archive
from maap_tui.engine.studies.study import read_study
from tests.faults.crashes import CALLS, CHANGES, KILL, NAMES, Blow, Home
from tests.faults.figure import Figure
from tests.faults.preloaded import Preloaded, traced
from tests.homes import NOW, Ended

SPAN = ("-s", "2025-12-01T00:00", "-e", "2025-12-01T00:30")
"""Three granules."""
SEEN = (*CALLS, "unlinkat", "rmdir")
"""System calls that are made to fail."""
FAILING = (*CHANGES, "mkdir", "unlink", "unlinkat", "rmdir")
"""Those that fail with an error too, and not by a kill alone."""
WRITTEN = re.compile("O_CREAT|O_WRONLY|O_RDWR")
"""Ways of opening that write."""
STEPS = ("freeze", "freeze again", "thaw")


PLACES = {
    "freeze": (".maap-", "study", "state/studies"),
    "freeze again": (".maap-", "study", "state/studies"),
    "thaw": ("data/", "registry/", "state/studies"),
}
"""What a step writes, below the home."""


class StudyInjections:
    """One step: a new study, a study that gets more files, or a study whose files are here in part.

    Args:
        archive: where the files are.
        folder: for this one's own use.
        step: of `STEPS`.
    """

    def __init__(self, archive: Archive, folder: Path, step: str) -> None:
        self.step = step
        self.home = Home(archive, folder / "home")
        # One file after the other, so that the n-th call is the same one in each run.
        self.home.more = {"MAAP_DOWNLOADS_PARALLEL": "1", "MAAP_RETRIES": "1"}
        self.study = self.home.folder / "study"
        freeze = ("freeze", *NAMES, *SPAN, "--local", "--datalad", "-o", self.study)
        self.words = ("thaw", self.study) if step == "thaw" else freeze
        self.log = folder / "trace.txt"
        self.server = Preloaded(folder / "printed", one_thread=True)
        self._template = folder / "template"
        self._freeze = freeze
        self._make_template()

    def close(self) -> None:
        self.server.__exit__(None, None, None)

    def _make_template(self) -> None:
        self.home.make()
        self.old: dict[str, str] = {}
        if self.step == "freeze again":
            self._run("sync", *NAMES, *SPAN, "-n", "1")
            self._run(*self._freeze, codes=(0, 3))
            (self.study / "notes.txt").write_text("mine")
            self.old = self._lists()
        self._run("sync", *NAMES, *SPAN)
        if self.step == "thaw":
            self._run(*self._freeze)
            self.new = self._lists()
            self._spoil()
        shutil.rmtree(self._template, ignore_errors=True)
        shutil.copytree(self.home.folder, self._template)

    def _spoil(self) -> None:
        """Of the files of the study one is here, one has other bytes, and one is nowhere."""
        _, other, gone = self.home.finals()
        other.write_bytes(b"other bytes")
        self.spoilt = other
        gone.unlink()

    def _run(self, *words: object, codes: Sequence[int] = (0,)) -> Ended:
        ended = self.server.run(words, self.home.environ)
        assert ended.code in codes, ended
        return ended

    def _lists(self) -> dict[str, str]:
        """The files of the study, without the lines that have the date."""
        return {
            path.name: "".join(
                line
                for line in path.read_text().splitlines(keepends=True)
                if not any(word in line for word in ('"frozen"', '"datePublished"', "was made on"))
            )
            for path in self.study.iterdir()
            if path.is_file() and not path.name.startswith(".maap-")
        }

    def begin_again(self) -> None:
        self.home.clear()
        shutil.copytree(self._template, self.home.folder)

    def calls(self) -> dict[str, list[int]]:
        """Which calls of each kind, counted from 1, the step makes in its folders without any fault."""
        self.begin_again()
        options = ("-y", "-e", "trace=" + ",".join(SEEN))
        with traced(self.server, self.words, self.home.environ, *options, log=self.log) as run:
            ended = run.wait()
        assert ended.code == 0, ended
        if self.step != "thaw":
            self.new = self._lists()
        assert self._wrong_end() == "", self._wrong_end()
        calls: dict[str, list[int]] = {call: [] for call in SEEN}
        count: Counter[str] = Counter()
        for line in self.log.read_text().splitlines():
            call = line.split()[1].partition("(")[0]
            if call in calls:
                count[call] += 1
                # Files that are only read are opened by the hundred; logs and locks are those of any command.
                is_meant = any(f"{self.home.folder}/{place}" in line for place in PLACES[self.step])
                if is_meant and (call != "openat" or WRITTEN.search(line)):
                    calls[call].append(count[call])
        return calls

    def strike(self, blow: Blow) -> str:
        """Run with one blow, look, run again, look; '' or what was wrong."""
        self.begin_again()
        options = ("-e", f"trace={blow.call}", "-e", blow.injection)
        with traced(self.server, self.words, self.home.environ, *options) as run:
            first = run.wait()
        wrong = self._wrong_after(first)
        if not wrong:
            second = self.server.run(self.words, self.home.environ)
            wrong = f"then exit {second.code}: {second.err[-300:]}" if second.code else self._wrong_end()
        return f"{self.step}, {blow}: {wrong}" if wrong else ""

    def _wrong_after(self, ended: Ended) -> str:
        """What must not be after a blow."""
        if ended.code not in (0, 3, 4, -9):
            return f"exit {ended.code}: {ended.err[-300:]}"
        if ended.code in (3, 4) and not ended.err.strip():
            return f"exit {ended.code} without a word"
        return self._wrong_files(ended) if self.step == "thaw" else self._wrong_study(ended)

    def _wrong_study(self, ended: Ended) -> str:
        if not self.study.exists():
            return "the old study is gone" if self.old else "exit 0 without a study" if not ended.code else ""
        torn = {
            name for name, text in self._lists().items() if text not in (self.old.get(name), self.new[name])
        }
        if torn:
            return f"neither old nor new: {sorted(torn)}"
        # Whoever reads it next has all of the old one, or all of the new one.
        read_study(self.study)
        lists = self._lists()
        if lists not in ([self.new] if ended.code == 0 or not self.old else [self.old, self.new]):
            return f"old and new together: {[name for name in lists if lists[name] != self.new[name]]}"
        return ""

    def _wrong_files(self, ended: Ended) -> str:
        if bad := set(self.home.wrong_finals()) - {self.spoilt.name}:
            return f"wrong bytes under a final name: {sorted(bad)}"
        if self.spoilt.exists() and self.spoilt.read_bytes() not in (
            b"other bytes",
            self.home.content(self.spoilt),
        ):
            return "what had other bytes has others still"
        if self._lists() != self.new:
            return "the study has changed"
        return self._wrong_end() if ended.code == 0 else ""

    def _wrong_end(self) -> str:
        """What is wrong after the step came to its end."""
        lists = self._lists()
        if lists != self.new:
            return f"not the new study: {sorted(lists)}"
        if bad := self.home.wrong_finals():
            return f"wrong bytes: {bad}"
        here = {path.relative_to(self.home.folder / "data").as_posix() for path in self.home.finals()}
        if here != {one.path for one in read_study(self.study).files}:
            return f"files that are here: {sorted(here)}"
        if left := [path.name for path in self.home.folder.rglob(".maap-*")] + self.home.litter():
            return f"left behind: {left}"
        lines = Counter(line.partition("|")[0] for line in self.home.lines("dwl").elements())
        if sorted(lines.values()) != [1] * len(here):
            return f"recorded as downloaded: {sorted(lines.values())}"
        return ""


def measure_studies(folder: Path, steps: Sequence[str] = STEPS, errors: Sequence[str] = ("EIO",)) -> Figure:
    """P16: kill, and errors, at every call of freeze and thaw.

    Args:
        folder: for its own use.
        steps: of `STEPS`.
        errors: the errors that the calls which change bytes or names fail with too.

    Raises:
        Missing: strace is not here, or may not attach.
    """
    wrong: list[str] = []
    count = 0
    with Archive.start(now=NOW, offline_days=36500) as archive:
        for step in steps:
            place = StudyInjections(archive, folder / step.replace(" ", "-"), step)
            try:
                for blow in _blows(place.calls(), errors):
                    count += 1
                    if text := place.strike(blow):
                        wrong.append(text)
            finally:
                place.close()
    seen = f"{len(wrong)} bad states" + "".join(f"; {text}" for text in wrong)
    what = f"{count} kills and errors in {', '.join(steps)}"
    return Figure("P16", what, "0 bad states", seen, not wrong)


def _blows(calls: dict[str, list[int]], errors: Sequence[str]) -> list[Blow]:
    return [
        Blow(call, number, what)
        for call in calls
        for number in calls[call]
        for what in ((KILL, *errors) if call in FAILING else (KILL,))
    ]
