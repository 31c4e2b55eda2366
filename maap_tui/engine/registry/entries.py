"""Types of the registry: the key of a baseline, a tracked file, counts and problems."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Final, Literal, NamedTuple

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.storage.names import is_name, path_fault, url_fault

Kind = Literal["url", "dwl", "mrk"]
ListKind = Literal["url", "dwl", "mrk", "cln"]
"""A kind of the registry's trees, or that of the lists of deleted files."""

TREES: Final[dict[Kind, str]] = {"url": "urls", "dwl": "downloads", "mrk": "marked"}


class _Names(NamedTuple):
    mission: str
    collection: str
    product_type: str
    baseline: str
    """As given: the case is kept."""


class Key(_Names):
    """The four names a baseline is tracked under; each is also the name of a folder.

    Raises:
        InvalidRequestError: a name cannot be that of a folder everywhere.
    """

    __slots__ = ()

    def __new__(cls, mission: str, collection: str, product_type: str, baseline: str) -> Key:
        """Check the names."""
        names = (mission, collection, product_type, baseline)
        for noun, name in zip(cls._fields, names, strict=True):
            if not (isinstance(name, str) and is_name(name)):
                raise InvalidRequestError(
                    f"Not a name for a {noun.replace('_', ' ')}: {str(name)[:128]!a}",
                    "Use letters, digits and _ . + - only, with no . or - in front, 128 at most.",
                )
        return super().__new__(cls, *names)

    def __str__(self) -> str:
        return "/".join(self)


class TrackedFile(NamedTuple):
    """A file that the registry follows."""

    key: Key
    day: date
    """Day of the sensing start, UTC."""
    url: str
    path: str = ""
    """Where it is or will be on disk; empty when unknown."""

    @property
    def fault(self) -> str:
        """Why it cannot be one line of a list; empty when it can."""
        return url_fault(self.url) or path_fault(self.path)


class Added(NamedTuple):
    """The result of `BaselineRegistry.add`."""

    new: int
    """How many were not registered before."""
    refused: list[tuple[TrackedFile, str]]
    """Files that cannot be written as one line, each with the reason."""


class Stats(NamedTuple):
    """Counts over a range of days; every URL and path counts once."""

    total_urls: int
    downloaded: int
    marked: int
    errors: int
    """URLs whose last download failed, of all days."""
    pending_downloads: int
    """Discovered, not downloaded."""
    pending_marks: int
    """Downloaded to a known path that is not marked."""
    deleted: int = 0
    """Downloaded and marked, and deleted by a clean-up."""

    @property
    def here(self) -> int:
        """Downloaded, and not deleted by a clean-up."""
        return self.downloaded - self.deleted

    def as_dict(self) -> dict[str, int]:
        """Give the counts under the names maap-client's `get_stats` has."""
        return {name: getattr(self, name) for name in self._fields if name != "deleted"}

    def as_view(self) -> dict[str, int]:
        """Give all counts, those that maap-client does not know last."""
        return {**self.as_dict(), "here": self.here, "deleted": self.deleted}


class DayStats(NamedTuple):
    """Counts of one sensing day."""

    day: date
    discovered: int
    downloaded: int
    marked: int
    pending_downloads: int
    pending_marks: int
    deleted: int = 0
    """Downloaded and marked, and deleted by a clean-up."""

    @property
    def here(self) -> int:
        """Downloaded, and not deleted by a clean-up."""
        return self.downloaded - self.deleted

    @property
    def marked_here(self) -> int:
        """Marked, and not deleted by a clean-up."""
        return self.marked - self.deleted


class Problem(NamedTuple):
    """Something in the registry that cannot be read and is stepped over."""

    file: Path
    line: int
    """Number of the line from 1; 0 when it is the file as a whole."""
    reason: str


class Repaired(NamedTuple):
    """A file of the registry whose unreadable lines are comments now."""

    file: Path
    backup: Path
    """The file as it was."""
    lines: int
    """How many lines were set aside."""
