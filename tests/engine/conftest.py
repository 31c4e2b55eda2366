"""The parts that move files, and what engine tests read off the events."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from maap_tui.engine.events import Event
from tests.engine.transfer_kit import kit, raw, remote

__all__ = ["kit", "raw", "remote"]


@pytest.fixture
def utc() -> Callable[..., datetime]:
    return lambda *parts: datetime(*parts, tzinfo=UTC)


def told(events: list[Event], kind: type[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]
