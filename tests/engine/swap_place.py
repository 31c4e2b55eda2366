"""A home whose baseline is swapped, with its archive and a clock."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from maap_tui.engine.events import Event
from maap_tui.engine.model import TimeRange
from maap_tui.engine.query import Query
from maap_tui.engine.session import Session
from maap_tui.engine.swaps.book import SwapBook
from tests.engine.raw_server import COLLECTION, RawServer
from tests.engine.swap_kit import (
    DAY,
    NEW,
    OLD,
    PRODUCT,
    Published,
    SwapArchive,
    wrong_with,
)
from tests.homes import MOMENT, QUICK

SPAN = TimeRange(DAY, DAY + timedelta(hours=6))


class Place:
    """A home, the archive and a clock."""

    def __init__(self, archive: SwapArchive, home: Path, environ: dict[str, str]) -> None:
        self.archive = archive
        self.home = home
        self.now = MOMENT
        self.events: list[Event] = []
        self._environ = environ
        self.on_event: Callable[[Event], None] = self.events.append

    def session(self, **overrides: object) -> Session:
        return Session.load(
            environ=self._environ,
            overrides=QUICK | overrides,
            emit=lambda event: self.on_event(event),
            bulk=True,
            now=lambda: self.now,
        )

    async def sync(self, baseline: str, **changes: object) -> None:
        async with self.session() as session:
            await session.sync(Query(COLLECTION, PRODUCT, baseline, time=SPAN, **changes))

    def states(self) -> dict[str, str]:
        with_names = SwapBook(self.session().registry.root, OLD, NEW).read().entries
        return {entry.name: entry.state for entry in with_names.values()}

    def pending(self, baseline: str) -> set[str]:
        """Names of the granules that are here and to be processed."""
        tracker = self.session().tracker(COLLECTION, PRODUCT, baseline)
        return {Path(file.path).stem for file in tracker.pending_marks()}

    def mark(self, *several: Published) -> None:
        session = self.session()
        key = {"BA": OLD, "BC": NEW}
        paths = [
            file.path
            for one in several
            for file in session.registry.baseline(key[one.baseline]).downloads()
            if Path(file.path).stem == one.name
        ]
        assert session.mark(paths).refused == []

    @property
    def wrong(self) -> list[str]:
        return wrong_with(self.session())


@pytest.fixture
async def place(home: Path, archive: object) -> AsyncIterator[Place]:
    published = SwapArchive()
    async with RawServer(published.answer) as server:
        published.base = server.url
        environ = {**os.environ, "MAAP_CATALOG_URL": server.url, "HOME": str(home)}
        yield Place(published, home, environ)
