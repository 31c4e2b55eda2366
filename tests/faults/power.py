"""Power cuts in the middle of a sync, on a file system of its own (F4)."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import random
import shutil
import signal
import struct
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from maap_tui.demo import Archive
from tests.faults.figure import Figure
from tests.faults.home import NAMES, Home
from tests.faults.preloaded import Missing, Preloaded
from tests.homes import NOW

SHUTDOWN = 0x8004587D
"""FS_IOC_SHUTDOWN: the file system forgets what it has not written, as when the power goes."""

WITHOUT_FLUSH = 2


def _ran(*command: object) -> bool:
    try:
        return subprocess.run([str(word) for word in command], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


class Volume:
    """A file system in a file, that loses its power on demand.

    Raises:
        Missing: it cannot be made or mounted here.
    """

    def __init__(self, folder: Path, kind: str) -> None:
        self.place = folder / kind
        self.place.mkdir(parents=True)
        self._image = folder / f"{kind}.img"
        with open(self._image, "wb") as file:
            file.truncate(320 << 20)
        if not (_ran(f"mkfs.{kind}", "-q", self._image) and self._mount()):
            raise Missing(f"the right to mount a loop device, and mkfs.{kind}")

    def _mount(self) -> bool:
        return _ran("mount", "-o", "loop", self._image, self.place)

    def lose_power(self) -> None:
        descriptor = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, SHUTDOWN, struct.pack("I", WITHOUT_FLUSH))
        finally:
            os.close(descriptor)

    def come_back(self) -> None:
        """Be mounted again, when nobody has a file open there any more."""
        if not (_ran("umount", self.place) and self._mount()):
            raise OSError(f"{self._image} cannot be mounted again")

    def unmount(self) -> None:
        _ran("umount", self.place) or _ran("umount", "-l", self.place)


@contextlib.contextmanager
def volume(folder: Path, kind: str) -> Iterator[Volume]:
    made = Volume(folder, kind)
    try:
        yield made
    finally:
        made.unmount()


class Cuts:
    """Syncs of a growing set of files whose machine loses its power at random moments."""

    def __init__(self, archive: Archive, disk: Volume, folder: Path, seed: int) -> None:
        self.home = Home(archive, disk.place / "home")
        self.count = 0
        """Files that were reported as downloaded."""
        self.cuts = 0
        self.wrong: list[str] = []
        self._disk = disk
        self._told: set[str] = set()
        self._chance = random.Random(seed)
        self._server = Preloaded(folder / "printed")
        self._begin_again()

    def close(self) -> None:
        self._server.__exit__(None, None, None)

    def _begin_again(self) -> None:
        self.home.make()
        os.sync()
        self._told.clear()

    def strike(self) -> None:
        """One sync, one cut, one look; what was unfinished is finished by the next one."""
        words = ("sync", *NAMES, "--date", "2025-12-01", "--format", "all", "-n", 40, "--json")
        running = self._server.begin(words, self.home.environ)
        running.go()
        if running.has_ended_within(self._chance.uniform(0.1, 0.9)):
            if "Nothing new: all" in running.wait().err:
                self._begin_again()
            self._told |= self._finished(running.wait().told)
            return
        # A writer that still ran could have a write fail by the cut and not by the loss of it.
        running.kill(signal.SIGSTOP)
        self._disk.lose_power()
        self.cuts += 1
        running.kill()
        self._told |= self._finished(running.wait().told)
        self._disk.come_back()
        self._look()
        self._reboot()

    def _finished(self, told: dict[str, str]) -> set[str]:
        urls = {url for url, state in told.items() if state == "finished"}
        self.count += len(urls)
        return urls

    def _look(self) -> None:
        lines = [line for line in self.home.lines("dwl").elements() if "|" in line]
        urls = Counter(line.partition("|")[0] for line in lines)
        bad = set(self.home.wrong_finals())
        self.wrong += [f"lost: {url}" for url in self._told - urls.keys()]
        self.wrong += [f"doubled: {url}" for url, count in urls.items() if count > 1]
        for line in lines:
            path = Path(line.partition("|")[2])
            if not path.exists() or path.name in bad:
                self.wrong.append(f"recorded and bad: {path.name}")

    def _reboot(self) -> None:
        """Have the parts be those of another boot: no memory of their last bytes outlives a power cut."""
        for note in (self.home.folder / "data").rglob("*.part.json"):
            with contextlib.suppress(ValueError):
                note.write_text(json.dumps({**json.loads(note.read_text()), "boot": "before the cut"}))


def measure_power_cuts(rounds: int, folder: Path, kind: str = "ext4") -> Figure:
    """F4: power cuts at random moments of a sync.

    Args:
        rounds: how many cuts.
        folder: for its own use.
        kind: the file system, ext4 or xfs.

    Raises:
        Missing: such a file system cannot be mounted here.
    """
    with volume(folder, kind) as disk, Archive.start(now=NOW, offline_days=36500) as archive:
        cuts = Cuts(archive, disk, folder, seed=4)
        try:
            while cuts.cuts < rounds:
                cuts.strike()
            words = ("sync", *NAMES, "--date", "2025-12-01", "--format", "all", "-n", 1000)
            ended = cuts._server.run(words, cuts.home.environ)
            if ended.code != 0 or cuts.home.wrong_finals() or cuts.home.litter():
                left = cuts.home.litter()
                cuts.wrong.append(f"in the end: exit {ended.code}, {cuts.home.wrong_finals()}, {left}")
        finally:
            cuts.close()
            shutil.rmtree(cuts.home.folder, ignore_errors=True)
    kinds = {
        word: sum(text.startswith(word) for text in cuts.wrong)
        for word in ("lost", "doubled", "recorded and bad")
    }
    others = "".join(f"; {text}" for text in cuts.wrong if not text.startswith(tuple(kinds)))
    seen = ", ".join(f"{count} {word}" for word, count in kinds.items()) + others
    what = f"{cuts.cuts} power cuts on {kind}, {cuts.count} files reported as downloaded"
    return Figure("F4", what, "0 lost, 0 doubled, 0 recorded and bad", seen, not cuts.wrong)
