"""The list of errors of a baseline: failed downloads and items that could not be used, one line a URL."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

from maap_tui.engine.errors import UnreadableError
from maap_tui.engine.registry.damage import DamageLog
from maap_tui.engine.registry.lines import as_text, first_to_second, firsts, read, tail_of
from maap_tui.engine.registry.tree import drop_lines, set_tail_aside
from maap_tui.engine.storage import files


class ErrorsFile:
    """The file `errors.txt` of one baseline; callers that write hold the lock of writers."""

    def __init__(self, path: Path, damage: DamageLog) -> None:
        """Take the file, and what notes that it cannot be read."""
        self.path = path
        self._damage = damage

    def lines(self) -> dict[bytes, bytes]:
        """Return the text of each URL; empty if the file cannot be read."""
        found = read(as_text(self._data()), "url")
        self._damage.note(self.path, found.bad)
        return first_to_second(found.good)

    def drop(self, urls: Set[bytes]) -> None:
        """Remove the lines of some URLs; a file that cannot be read stays as it is.

        Raises:
            StorageError: the file cannot be written.
        """
        data = self._data()
        if present := {url for url in urls if url in data}:
            drop_lines(self.path, data, present)

    def put(self, lines: dict[bytes, str], gone: Set[bytes] = frozenset()) -> None:
        """Write the lines of some URLs in place of their present ones.

        Args:
            lines: URL -> whole line.
            gone: URLs whose lines are only removed.

        Raises:
            UnreadableError: the file cannot be read.
            StorageError: the file cannot be written.
        """
        data = self._damage.read(self.path)
        if tail_of(data) and set_tail_aside(self.path, data, "url", lines.values()):
            data = files.read_data(self.path)
        present = {url for url in lines.keys() | gone if url in data}
        # Part of a longer URL is not the URL itself.
        present = present and present & firsts(read(data, "url").good)
        if present:
            drop_lines(self.path, data, present, lines.values())
        else:
            files.append_lines(self.path, list(lines.values()))

    def _data(self) -> bytes:
        try:
            return self._damage.read(self.path, is_settled=False)
        except UnreadableError:
            return b""
