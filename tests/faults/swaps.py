"""Kills and errors at every system call of a swap that changes the disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from maap_tui.demo import Archive
from maap_tui.engine.missions import MISSIONS, parse_name
from maap_tui.engine.registry.entries import Key
from maap_tui.engine.session import Session
from maap_tui.engine.swaps.book import HOLDING, SwapBook
from tests.faults.figure import Figure
from tests.faults.injecting import CALLS, CHANGES, Injecting, strike_all
from tests.homes import MOMENT, Ended

PRODUCT = ("EarthCAREL2Validated_MAAP", "CPR_CLD_2A")
SPAN = ("-s", "2025-03-14T00:00", "-e", "2025-03-14T00:40")
"""Three granules."""


class Subject(NamedTuple):
    """Three granules in two baselines."""

    mission: str
    product: tuple[str, str]
    """Collection and product type."""
    old: str
    new: str
    span: tuple[str, ...]
    files: int
    """Files of a granule."""

    @property
    def keys(self) -> tuple[Key, Key]:
        """Both baselines in the registry."""
        return Key(self.mission, *self.product, self.old), Key(self.mission, *self.product, self.new)


SUBJECTS = {
    "earthcare": Subject("EarthCARE", PRODUCT, "AB", "BB", SPAN, 1),
    # A granule is a folder with two files.
    "biomass": Subject(
        "Biomass",
        ("BiomassLevel2a", "FP_GN__L2A"),
        "01",
        "02",
        ("-s", "2025-12-12", "-e", "2025-12-12T22:32:20"),
        2,
    ),
}

STEPS: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {
    "run": (("run",), (), "swapped"),
    "retire": (("run",), ("--keep-days", "0"), "retired"),
    "undo": (("undo",), (), "undone"),
    "fetch": (("undo",), ("--get",), "undone"),
}
"""Step -> its action and options, and the state in which it leaves every granule."""
BEFORE = {"run": (), "retire": ("run",), "undo": ("run",), "fetch": ("run", "retire")}
"""Step -> the steps that come before it."""


class SwapInjections(Injecting):
    """One step of a swap of three granules: two are marked in the old baseline, one is here in both.

    Args:
        archive: where the files are.
        folder: for this one's own use.
        step: of `STEPS`.
        subject: what is swapped.
    """

    # Clean-ups delete in a folder that they hold open.
    seen = (*CALLS, "unlinkat")
    failing = (*CHANGES, "unlinkat")

    def __init__(self, archive: Archive, folder: Path, step: str, subject: Subject) -> None:
        super().__init__(archive, folder)
        self.title = self.step = step
        self.subject = subject
        self.words, self.end = self._words_of(step), STEPS[step][2]
        self._make_home()

    def _words_of(self, step: str) -> tuple[str, ...]:
        action, options, _ = STEPS[step]
        return ("swap", *action, *self.subject.product, self.subject.old, self.subject.new, *options)

    def _make_home(self) -> None:
        self.home.make()
        product, files = self.subject.product, self.subject.files
        self.run("sync", *product, self.subject.old, *self.subject.span)
        self.run("sync", *product, self.subject.new, *self.subject.span, "-n", "1")
        paths = self.run("state", "pending", *product, self.subject.old, "--type", "marks").lines
        assert len(paths) == 3 * files
        self.run("state", "mark", *paths[: 2 * files])
        self.marked = set(paths[: 2 * files])
        self.old_paths = paths
        for step in BEFORE[self.step]:
            self.run(*self._words_of(step))
        self.keep()

    def _session(self) -> Session:
        return Session.load(environ={**self.home.environ, "HOME": str(self.home.folder)}, now=lambda: MOMENT)

    def wrong_after(self, ended: Ended) -> str:
        """What must not be after a blow, before anything else ran."""
        if ended.code not in (0, 3, 4, -9):
            return f"exit {ended.code}: {ended.err[-300:]}"
        if bad := self.home.wrong_finals():
            return f"wrong bytes under a final name: {bad}"
        versions = Counter(str(path.with_name(path.stem.partition("_i_")[0])) for path in self.home.finals())
        whole = {_observed(path) for path, count in versions.items() if count == self.subject.files}
        if len(whole) < 3:
            return f"a granule has no whole version: {sorted(whole)}"
        return next(self._disagreements(), "")

    def _disagreements(self) -> Iterator[str]:
        session = self._session()
        old, new = self.subject.keys
        book = SwapBook(session.registry.root, old, new).read()
        marked = {path for path, _ in session.registry.baseline(old).marked()}
        for entry in book.entries.values():
            paths = {file.path for file in entry.old}
            # What retires may be gone before the journal says so, and what is fetched comes in any state.
            is_kept = entry.state in HOLDING and self.step in ("run", "undo")
            if is_kept and not all(map(_is_there, paths)):
                yield f"{entry.name} is {entry.state} and its old file is gone"
            if entry.state == "swapped" and not paths <= marked:
                yield f"{entry.name} is swapped and still to be processed"
            if entry.state == "retired" and any(map(_is_there, paths)) and self.step != "fetch":
                yield f"{entry.name} is retired and still here"
        judge = session.judge()
        for key in (old, new):
            for file in session.registry.baseline(key).downloads():
                found = judge.judge(file.path, file.url, tracked=(key, file.day))
                if found.is_bad:
                    yield f"{found.path} is {found.sentence}"

    def wrong_end(self) -> str:
        """What is wrong after the step came to its end."""
        session = self._session()
        old, new = self.subject.keys
        book = SwapBook(session.registry.root, old, new).read()
        states = {entry.state for entry in book.entries.values()}
        if states != {self.end} or len(book.entries) != 3:
            return f"states {sorted(states)} of {len(book.entries)}"
        if bad := self.home.wrong_finals():
            return f"wrong bytes: {bad}"
        is_here = self.end != "retired"
        if any(_is_there(path) != is_here for path in self.old_paths):
            return "old files are not where they belong"
        marked = {path for path, _ in session.registry.baseline(old).marked()}
        if marked != (self.marked if self.end == "undone" else set(self.old_paths)):
            return f"marks: {sorted(marked)}"
        before = {path for entry in book.entries.values() for path in entry.old_marked}
        if before != self.marked:
            return f"the journal has {len(before)} marks from before, not {len(self.marked)}"
        pending = session.registry.baseline(new).pending_marks()
        if len(pending) != 3 * self.subject.files:
            return f"{len(pending)} of {3 * self.subject.files} new ones are pending"
        for key in (old, new):
            tracker = session.registry.baseline(key)
            for day in tracker.days():
                files = list(tracker.downloads(day.day, day.day))
                gone = sum(not _is_there(file.path) for file in files)
                if len({file.url for file in files}) != len(files) or day.deleted != gone:
                    return f"{key.baseline} counts {day.deleted} of {gone} deleted"
        if left := self.home.litter():
            return f"left behind: {left}"
        return next(self._disagreements(), "")


def _observed(path: str) -> str:
    """What a file observed, by its name and folder; a name without an end says it too."""
    name = parse_name(path)
    assert name is not None, path
    return MISSIONS[name.mission].observation_of(name).label


def _is_there(path: str) -> bool:
    return Path(path).exists()


def measure_swap(
    folder: Path,
    steps: Sequence[str] = tuple(STEPS),
    errors: Sequence[str] = ("EIO",),
    subject: str = "earthcare",
) -> Figure:
    """P15: kill, and errors, at every call of each step of a swap.

    Args:
        folder: for its own use.
        steps: of `STEPS`.
        errors: the errors that the calls which change bytes or names fail with too.
        subject: of `SUBJECTS`.

    Raises:
        Missing: strace is not here, or may not attach.
    """
    count, wrong = strike_all(
        steps,
        lambda archive, step: SwapInjections(archive, folder / step, step, SUBJECTS[subject]),
        errors,
    )
    seen = f"{len(wrong)} bad states" + "".join(f"; {text}" for text in wrong)
    what = f"{count} kills and errors in {', '.join(steps)} of a swap ({subject})"
    return Figure("P15", what, "0 bad states", seen, not wrong)
