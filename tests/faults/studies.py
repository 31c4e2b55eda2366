"""Kills and errors at every system call of freeze and thaw that changes the disk."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from maap_tui.demo import Archive
from maap_tui.engine.studies.study import read_study
from tests.faults.figure import Figure
from tests.faults.home import NAMES
from tests.faults.injecting import CALLS, CHANGES, Injecting, strike_all
from tests.homes import Ended

SPAN = ("-s", "2025-12-01T00:00", "-e", "2025-12-01T00:30")
"""Three granules."""
WRITTEN = re.compile("O_CREAT|O_WRONLY|O_RDWR")
"""Ways of opening that write."""
STEPS = ("freeze", "freeze again", "thaw")


PLACES = {
    "freeze": (".maap-", "study", "state/studies"),
    "freeze again": (".maap-", "study", "state/studies"),
    "thaw": ("data/", "registry/", "state/studies"),
}
"""What a step writes, below the home."""


class StudyInjections(Injecting):
    """One step: a new study, a study that gets more files, or a study whose files are here in part.

    Args:
        archive: where the files are.
        folder: for this one's own use.
        step: of `STEPS`.
    """

    seen = (*CALLS, "unlinkat", "rmdir")
    failing = (*CHANGES, "mkdir", "unlink", "unlinkat", "rmdir")
    options = ("-y",)

    def __init__(self, archive: Archive, folder: Path, step: str) -> None:
        super().__init__(archive, folder, MAAP_RETRIES="1")
        self.title = self.step = step
        self.study = self.home.folder / "study"
        self._freeze = ("freeze", *NAMES, *SPAN, "--local", "--datalad", "-o", self.study)
        self.words = ("thaw", self.study) if step == "thaw" else self._freeze
        self._make_home()

    def _make_home(self) -> None:
        self.home.make()
        self.old: dict[str, str] = {}
        if self.step == "freeze again":
            self.run("sync", *NAMES, *SPAN, "-n", "1")
            self.run(*self._freeze, codes=(0, 3))
            (self.study / "notes.txt").write_text("mine")
            self.old = self._lists()
        self.run("sync", *NAMES, *SPAN)
        if self.step == "thaw":
            self.run(*self._freeze)
            self.new = self._lists()
            self._spoil()
        self.keep()

    def _spoil(self) -> None:
        """Of the files of the study one is here, one has other bytes, and one is nowhere."""
        _, other, gone = self.home.finals()
        other.write_bytes(b"other bytes")
        self.spoilt = other
        gone.unlink()

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

    def is_meant(self, call: str, line: str) -> bool:
        """Whether it is in the folders of the step; logs and locks are those of any command."""
        is_there = any(f"{self.home.folder}/{place}" in line for place in PLACES[self.step])
        return is_there and (call != "openat" or bool(WRITTEN.search(line)))

    def take_right_end(self) -> None:
        """What a freeze leaves without any blow is what it has to leave."""
        if self.step != "thaw":
            self.new = self._lists()
        super().take_right_end()

    def wrong_after(self, ended: Ended) -> str:
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
        return self.wrong_end() if ended.code == 0 else ""

    def wrong_end(self) -> str:
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
    count, wrong = strike_all(
        steps, lambda archive, step: StudyInjections(archive, folder / step.replace(" ", "-"), step), errors
    )
    seen = f"{len(wrong)} bad states" + "".join(f"; {text}" for text in wrong)
    what = f"{count} kills and errors in {', '.join(steps)}"
    return Figure("P16", what, "0 bad states", seen, not wrong)
