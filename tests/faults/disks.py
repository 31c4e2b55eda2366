"""Disks with no room left, at many points of what commands write (F18)."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from maap_tui.demo import Archive
from maap_tui.engine.net.credentials import load_credentials
from tests.faults.figure import Figure
from tests.faults.home import BASELINE, COLLECTION, DAY, NAMES, Home
from tests.faults.preloaded import Ended, Missing, Preloaded
from tests.homes import NOW

STEP = 24 * 1024
"""Bytes between two points; the files of one run have 384 KiB together."""

OLD_LINES = 200


@contextlib.contextmanager
def tmpfs(place: Path, options: str) -> Iterator[Path]:
    """A file system in memory.

    Raises:
        Missing: it may not be mounted here.
    """
    place.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    if (
        sys.platform != "linux"
        or os.geteuid() != 0
        or subprocess.run(command, capture_output=True).returncode
    ):
        raise Missing("Linux and the right to mount a tmpfs")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


class FullDisk:
    """A home on a small disk, with everything that commands keep in it, and the commands that write.

    Args:
        archive: where the files are.
        disk: the mounted disk.
        folder: on another one, for this one's own use.
    """

    sync = (
        "sync", *NAMES, "--start", "2025-12-01T00:00:00Z", "--end", "2025-12-01T06:00:00Z", "--frame", "D",
        "--json",
    )  # fmt: skip

    def __init__(self, archive: Archive, disk: Path, folder: Path) -> None:
        self.home = Home(archive, disk / "home")
        self.home.more["MAAP_DOWNLOADS_SPACE_WAIT"] = "0"
        self._ballast = disk / "ballast"
        self._template = folder / "template"
        self._server = Preloaded(folder / "printed")
        self._token = folder / "token.txt"
        self._token.write_text(archive.offline_token)
        self._make_template()

    def close(self) -> None:
        self._server.__exit__(None, None, None)

    def _run(self, *words: object) -> Ended:
        return self._server.run(words, self.home.environ)

    def _make_template(self) -> None:
        home = self.home
        home.make()
        for words in (
            (*self.sync, "-n", "1"),
            ("catalog", "update", COLLECTION),
            ("catalog", "build", *NAMES),
        ):
            ended = self._run(*words)
            assert ended.code == 0, ended
        first = home.day_file("url").read_text().splitlines()
        self.urls = [line.partition("|")[0] for line in first]
        self.path = first[0].partition("|")[2]
        old = [f"https://example.org/old/{number:03}.h5|/old/{number:03}.h5" for number in range(OLD_LINES)]
        failed = [f"{line.partition('|')[0]}x|503 Busy" for line in old]
        for kind in ("url", "dwl"):
            home.day_file(kind).write_text("\n".join([first[0], *old, ""]))
        home.errors_file.write_text("\n".join([*failed, f"{self.urls[1]}|503 Busy", ""]))
        marked = home.folder / "registry/marked" / BASELINE / "2025" / f"mrk_{DAY}.txt"
        marked.parent.mkdir(parents=True)
        marked.write_text("".join(f"/old/{number:03}.h5\n" for number in range(OLD_LINES)))
        self._old = {
            home.day_file("url"): [first[0], *old],
            home.day_file("dwl"): [first[0], *old],
            home.errors_file: failed,
            marked: marked.read_text().splitlines(),
        }
        shutil.copytree(home.folder, self._template)

    def strike(self, free: int) -> list[str]:
        """Leave so many bytes free, run what writes, make room, run it again; what was wrong."""
        self.home.clear()
        self._ballast.unlink(missing_ok=True)
        shutil.copytree(self._template, self.home.folder)
        with open(self._ballast, "wb") as file:
            room = shutil.disk_usage(self._ballast.parent).free - free
            for _ in range(room // 4096):
                file.write(bytes(4096))
        wrong = []
        full = 0
        for words in self._commands():
            ended = self._run(*words)
            full += ended.code == 3
            wrong += [f"{words[0]}: {text}" for text in self._faults(ended)]
        if free == 0 and full < 4:
            wrong.append(f"only {full} commands met the end of the disk")
        self._ballast.unlink()
        for words in self._commands():
            ended = self._run(*words)
            if ended.code != 0:
                wrong.append(f"{words[0]} with room again: exit {ended.code}: {ended.err[-200:]}")
        wrong += [f"in the end: {text}" for text in self._faults(ended)]
        for kind in ("url", "dwl"):
            count = Counter(line.partition("|")[0] for line in self.home.lines(kind).elements())
            if [count[url] for url in self.urls] != [1] * len(self.urls):
                wrong.append(f"{kind} lines in the end: {[count[url] for url in self.urls]}")
        if left := self.home.litter():
            wrong.append(f"left behind: {left}")
        return [f"{free >> 10} KiB free: {text}" for text in wrong]

    def _commands(self) -> list[tuple[object, ...]]:
        return [
            self.sync,
            ("state", "mark", self.path),
            ("config", "set", "downloads.parallel", "3"),
            ("login", "--token-file", self._token),
            ("catalog", "update", COLLECTION),
            ("catalog", "build", *NAMES, "--force"),
        ]

    def _faults(self, ended: Ended) -> list[str]:
        """What is not as it was, or was said wrongly, after a command."""
        home = self.home
        wrong = []
        if ended.code not in (0, 3) or (ended.code == 3 and "No space left" not in ended.err):
            wrong.append(f"exit {ended.code}: {ended.err[-300:]}")
        for path, lines in self._old.items():
            found = Counter(path.read_text().splitlines())
            if lost := [line for line in lines if found[line] != 1]:
                wrong.append(f"{len(lost)} of {len(lines)} old lines of {path.name} lost or doubled")
            if torn := [line for line in found if not line.startswith(("http", "/", "#"))]:
                wrong.append(f"torn in {path.name}: {torn}")
        if bad := home.wrong_finals():
            wrong.append(f"wrong bytes under a final name: {bad}")
        for url, state in ended.told.items():
            if state == "finished" and not home.is_recorded(url):
                wrong.append("told as downloaded and not recorded")
        if sorted(name for name in home.litter() if ".part" not in name):
            wrong.append(f"left behind: {home.litter()}")
        wrong += self._unreadable()
        return wrong

    def _unreadable(self) -> list[str]:
        """Files that are not whole."""
        wrong = []
        folder = self.home.folder
        try:
            tomllib.loads((folder / "config.toml").read_text())["paths"]["data_dir"]
            assert load_credentials(folder / "credentials.txt", {}).offline_token
            for path in [*folder.glob("catalogs/*.json"), *folder.glob("built_catalogs/*.json")]:
                assert json.loads(path.read_text()), path
        except Exception as error:
            wrong.append(f"not whole: {type(error).__name__}: {error}")
        queue = folder / "state" / "queue.sqlite3"
        if queue.exists():
            with contextlib.closing(sqlite3.connect(queue)) as opened:
                checked = opened.execute("PRAGMA integrity_check").fetchone()
                if checked != ("ok",):
                    wrong.append(f"the queue: {checked}")
        return wrong


def measure_full_disk(rounds: int, folder: Path, free: tuple[int, ...] | None = None) -> Figure:
    """F18: no room left for registry, files, queue, settings, credentials and catalogues.

    Args:
        rounds: how many points, one each `STEP` bytes of room more.
        folder: for its own use.
        free: the points, in bytes left; None takes them from `rounds`.

    Raises:
        Missing: a small disk cannot be made here.
    """
    points = free if free is not None else tuple(number * STEP for number in range(rounds))
    with (
        tmpfs(folder / "disk", "size=3m") as disk,
        Archive.start(now=NOW, offline_days=36500) as archive,
    ):
        full = FullDisk(archive, disk, folder)
        try:
            wrong = [text for point in points for text in full.strike(point)]
        finally:
            full.close()
    seen = f"{len(wrong)} bad states" + "".join(f"; {text}" for text in wrong)
    what = f"a full disk at {len(points)} points of six commands, {OLD_LINES} old lines in each list"
    return Figure(
        "F18", what, "0 old lines lost, nothing half written, exit 3, complete with room", seen, not wrong
    )
