"""FarFiles: files that wait far from their turn, packed; a run of a million holds few of them as jobs."""

from __future__ import annotations

import math
from collections.abc import Iterator

from maap_tui.engine.download.jobs import DownloadJob
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.packed import Packed


class FarFiles:
    """They are added and taken in the order of their turns."""

    def __init__(self) -> None:
        self._files: Packed[tuple[DownloadRequest, str, float]] = Packed()
        """What they are, their group and their position."""
        self._marks: set[int] = set()
        """The hashes of their addresses."""
        self.first = self.last = -math.inf
        """Positions that none of them is before, and that the next one has to be behind."""

    def __len__(self) -> int:
        return len(self._files)

    def __contains__(self, url: str) -> bool:
        return hash(url) in self._marks and any(one.url == url for one, _, _ in self._files)

    def append(self, job: DownloadJob) -> None:
        """Pack a file whose turn comes after that of all others here."""
        if not self._files:
            self.first = job.position
        self.last = job.position
        self._files.append((job.wanted, job.group, job.position))
        self._marks.add(hash(job.wanted.url))

    def take(self) -> list[DownloadJob]:
        """Remove the first of them and return them unpacked; [] when there is none."""
        jobs = [
            DownloadJob(wanted, group, size=wanted.size, position=position)
            for wanted, group, position in self._files.take()
        ]
        for job in jobs:
            self._marks.discard(hash(job.wanted.url))
            self.first = job.position  # those that follow come after it
        if not self._files:
            self.first = self.last = -math.inf
        return jobs

    def places(self) -> Iterator[str]:
        """Where they are to be, as the queue on disk knows them."""
        return (str(wanted.place) for wanted, _, _ in self._files)
