"""The home of one command after the other, and what has to be true of what they leave in it."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

from maap_tui.demo import Archive
from maap_tui.demo.data import DataServer

COLLECTION = "EarthCAREL2Validated_MAAP"
NAMES = (COLLECTION, "CPR_CLD_2A", "BC")
BASELINE = f"EarthCARE/{COLLECTION}/CPR_CLD_2A/BC"
DAY = "20251201"


class Home:
    """A home of its own for one process after the other, and what has to be true of it."""

    def __init__(self, archive: Archive, folder: Path) -> None:
        self.archive = archive
        self.folder = folder
        self.more: dict[str, str] = {}
        """Variables beside those that every command gets."""
        self._served = DataServer(archive.content, archive.tokens, archive.faults)
        self._right: dict[Path, tuple[int, int]] = {}

    @property
    def environ(self) -> dict[str, str]:
        return {
            **self.archive.environment(self.folder),
            "MAAP_DOWNLOADS_MIN_FREE": "0",
            "MAAP_RETRY_WAIT": "0.01",
            "MAAP_DOWNLOADS_RETRY_WAIT": "0.01",
            **self.more,
        }

    def make(self) -> None:
        """Begin with an empty one."""
        self.clear()
        self.archive.prepare(self.folder)

    def clear(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self._right.clear()

    def day_file(self, kind: str, day: str = DAY) -> Path:
        tree = {"url": "urls", "dwl": "downloads"}[kind]
        return self.folder / "registry" / tree / BASELINE / day[:4] / f"{kind}_{day}.txt"

    @property
    def errors_file(self) -> Path:
        return self.folder / "registry/downloads" / BASELINE / "errors.txt"

    def lines(self, kind: str) -> Counter[str]:
        """How often each line of a kind stands in the registry; a torn one counts as it stands."""
        found: Counter[str] = Counter()
        for path in sorted(self.day_file(kind).parent.glob(f"{kind}_*.txt")):
            found.update(line for line in lines_of(path) if not line.startswith("#"))
        return found

    def error_urls(self) -> set[str]:
        return {line.partition("|")[0] for line in lines_of(self.errors_file)}

    def content(self, path: Path) -> bytes:
        """What the archive serves as a file that is here."""
        granule = self.archive.content.find(path.stem) or self.archive.content.find(path.parent.name)
        assert granule is not None, path
        # Some granules have their files in folders, which are not kept here.
        name = next(one for one in granule.files if one.rpartition("/")[2] == path.name)
        return self._served.file_bytes(granule, name, self.archive.faults.generation(name))

    def finals(self) -> list[Path]:
        """Files under a name that a user takes for whole."""
        found = (path for path in (self.folder / "data").rglob("*") if path.is_file())
        return sorted(path for path in found if not _is_passing(path))

    def wrong_finals(self) -> list[str]:
        """Names of finals whose bytes are not the archive's; one that has not changed is looked at once."""
        wrong = []
        for path in self.finals():
            status = path.stat()
            mark = (status.st_ino, status.st_mtime_ns)
            if self._right.get(path) == mark:
                continue
            if path.read_bytes() == self.content(path):
                self._right[path] = mark
            else:
                wrong.append(path.name)
        return wrong

    def litter(self) -> list[str]:
        """Names of files that only a write under way has."""
        return sorted(path.name for path in self.folder.rglob("*") if path.is_file() and _is_passing(path))

    def is_recorded(self, url: str) -> bool:
        """Whether a file is here, whole, and recorded as downloaded once."""
        lines = [line for line in self.lines("dwl").elements() if line.partition("|")[0] == url]
        if len(lines) != 1:
            return False
        path = Path(lines[0].partition("|")[2])
        return path.is_file() and path.name not in self.wrong_finals()


def _is_passing(path: Path) -> bool:
    return ".part" in path.name or path.name.endswith((".tmp", ".new", ".damaged", ".soft"))


def lines_of(path: Path) -> list[str]:
    return path.read_text("utf-8", "replace").splitlines() if path.exists() else []
