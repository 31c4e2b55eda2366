"""A search as a stream in the order asked for, which holds one window and not the result.

Days that failed are asked again at the end of a search. What came after the first of them waits in a file of
its own until then; without one, each window is handed on as soon as it is complete.
"""

from __future__ import annotations

import gc
import pickle
import tempfile
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from datetime import date
from pathlib import Path
from typing import IO

from maap_tui.engine.catalogue.search import Search
from maap_tui.engine.model import Granule
from maap_tui.engine.storage.files import storage_error


async def in_order(search: Search) -> AsyncGenerator[list[Granule], None]:
    """The granules of a search, some at a time, by sensing start, then by id.

    Raises:
        StorageError: when the file cannot be written; errors of the search besides.
    """
    held: list[Granule] = []
    with _Spool() as spool, _few_collections():
        async with aclosing(aiter(search)) as pages:
            async for page in pages:
                held += page.granules
                if search.has_gaps or spool.is_used:
                    spool.add(held)
                    held = []
                elif page.is_last:
                    yield search.ordered(held)
                    held = []
        if held and not spool.is_used:
            yield search.ordered(held)
        elif spool.is_used:
            spool.add(held)
            for found in spool.days(newest_first=search.query.newest_first):
                yield search.ordered(found)


@contextmanager
def _few_collections() -> Iterator[None]:
    """Look for garbage in cycles seldom: pages of a catalogue have none, and each look goes through them."""
    before = gc.get_threshold()
    gc.set_threshold(200_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


class _Spool:
    """Granules in a file without a name, a day at a time."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._starts: dict[date, list[int]] = {}
        """Day -> where its parts begin."""

    def __enter__(self) -> _Spool:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._file is not None:
            self._file.close()

    @property
    def is_used(self) -> bool:
        return self._file is not None

    def add(self, granules: Sequence[Granule]) -> None:
        days: dict[date, list[Granule]] = {}
        for granule in granules:
            days.setdefault(granule.day, []).append(granule)
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="maap-")
            for day, found in days.items():
                self._starts.setdefault(day, []).append(self._file.tell())
                pickle.dump(found, self._file)
        except OSError as error:
            raise storage_error(Path(tempfile.gettempdir()), error) from error

    def days(self, *, newest_first: bool) -> Iterator[list[Granule]]:
        assert self._file is not None
        for day in sorted(self._starts, reverse=newest_first):
            found: list[Granule] = []
            for start in self._starts[day]:
                self._file.seek(start)
                found += pickle.load(self._file)
            yield found
