"""Files on disk that the registry does not have as downloaded.

Nothing here writes. A generator does a bounded piece of work between two items, so that its caller can show
how far it is, and stop.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.integrity.content import is_whole
from maap_tui.engine.registry.baseline import BaselineRegistry
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.storage import files, names


@dataclass(frozen=True, slots=True)
class UntrackedFile:
    """A file on disk that the registry does not have as downloaded."""

    key: Key
    """The baseline whose folder it is in."""
    path: Path
    day: date
    size: int
    """Bytes on disk."""
    url: str
    """Its address as discovered; empty when the registry does not know the name."""
    is_whole: bool
    """Whether it has bytes, and its own structure says that none is missing."""


class Unread:
    """The files and folders that could not be looked at, each with the reason."""

    def __init__(self) -> None:
        self.found: dict[Path, str] = {}

    def note(self, path: Path | str, error: OSError) -> None:
        """Note one, unless it was only deleted meanwhile."""
        if not isinstance(error, FileNotFoundError):
            where = Path(path)
            self.found[where] = files.storage_error(where, error).message.removeprefix(
                f"Cannot use {where}: "
            )


def keys_on_disk(data_dir: Path, unread: Unread) -> list[Key]:
    """List the baselines that have a folder in the dated layout below the data folder, sorted.

    Args:
        data_dir: the data folder.
        unread: gets the folders that cannot be listed.
    """
    level: list[tuple[str, ...]] = [()]
    for _ in range(4):
        level = [(*names, name) for names in level for name in _names(data_dir.joinpath(*names), unread)]
    keys = []
    for mission, collection, product_type, baseline in level:
        try:
            key = Key(mission, collection, product_type, baseline)
        except InvalidRequestError:
            continue
        if any(re.fullmatch(r"\d{4}", name) for name in _names(data_dir / str(key), unread)):
            keys.append(key)
    return sorted(keys)


def strays(
    tracker: BaselineRegistry, data_dir: Path, name_of: Callable[[TrackedFile], str], unread: Unread
) -> Iterator[UntrackedFile | None]:
    """Find the files of a baseline's dated layout that the registry does not have as downloaded.

    Args:
        tracker: The registry of the baseline.
        data_dir: Root of the layout.
        name_of: The file name that a discovered line is stored under; raises InvalidRequestError for none.
        unread: Gets the files and folders that cannot be looked at.

    Returns:
        The files, and None after each file that is recorded already.
    """
    base = data_dir.joinpath(*str(tracker.key).split("/"))
    for _, days in groupby(_day_folders(base, unread), key=lambda one: (one[0].year, one[0].month)):
        listed = list(days)
        first, last = listed[0][0], listed[-1][0]
        urls: dict[tuple[date, str], str] = {}
        for file in tracker.urls(first, last):
            try:
                urls[file.day, name_of(file)] = file.url
            except InvalidRequestError:
                continue
        known = {os.path.abspath(file.path) for file in tracker.downloads(first, last) if file.path}
        for day, folder in listed:
            for path, size in _granules(folder, unread):
                if os.path.abspath(path) in known:
                    yield None
                    continue
                url = urls.get((day, path.name), "")
                yield UntrackedFile(tracker.key, path, day, size, url, size > 0 and is_whole(path))


def _day_folders(base: Path, unread: Unread) -> Iterator[tuple[date, Path]]:
    for year in _names(base, unread, r"\d{4}"):
        for month in _names(base / year, unread, r"\d\d"):
            for day in _names(base / year / month, unread, r"\d\d"):
                try:
                    yield date(int(year), int(month), int(day)), base / year / month / day
                except ValueError:
                    continue


def _granules(folder: Path, unread: Unread, inside: str = "") -> Iterator[tuple[Path, int]]:
    """The regular files of a day, and of folders in it that are named after their one file."""
    try:
        with os.scandir(folder) as found:
            items = sorted(found, key=lambda item: item.name)
    except OSError as error:
        unread.note(folder, error)
        return
    for item in items:
        try:
            if item.is_dir(follow_symlinks=False):
                if not inside:
                    yield from _granules(Path(item.path), unread, item.name)
                continue
            # Refuses parts, hidden files and names that nothing here would have written.
            names.safe_file_name(item.name)
            if item.is_file(follow_symlinks=False) and (not inside or Path(item.name).stem == inside):
                yield Path(item.path), item.stat(follow_symlinks=False).st_size
        except InvalidRequestError:
            continue
        except OSError as error:
            unread.note(item.path, error)


def _names(folder: Path, unread: Unread, pattern: str = "") -> list[str]:
    """The folders of a folder, sorted, without links; [] when it cannot be read."""
    try:
        with os.scandir(folder) as found:
            return sorted(
                item.name
                for item in found
                if item.is_dir(follow_symlinks=False) and (not pattern or re.fullmatch(pattern, item.name))
            )
    except OSError as error:
        unread.note(folder, error)
        return []
