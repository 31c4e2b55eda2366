"""The parts that move files, a baseline to swap, a file to cut, and what tests read off the events."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from maap_tui.engine.events import Event
from tests.engine.queued_kit import queue_file
from tests.engine.ranges_kit import small_pieces
from tests.engine.registry_kit import registry
from tests.engine.swap_place import place
from tests.engine.transfer_kit import kit, raw, remote

__all__ = ["kit", "place", "queue_file", "raw", "registry", "remote", "small_pieces"]


@pytest.fixture
def utc() -> Callable[..., datetime]:
    return lambda *parts: datetime(*parts, tzinfo=UTC)


@pytest.fixture(scope="session")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data file of all types and layouts, to be cut; not to be written to."""
    from tests.engine.cut_files import write_all

    path = tmp_path_factory.mktemp("cut") / "all.h5"
    write_all(path)
    return path


def told(events: list[Event], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]
