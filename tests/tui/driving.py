"""How tests drive the app: wait for what it does, read what it shows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from textual.app import App
from textual.pilot import Pilot

from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.model import Asset, TimeRange
from maap_tui.engine.query import Query
from maap_tui.engine.session import Session
from maap_tui.tui.app import MaapApp
from maap_tui.tui.backend import Backend
from maap_tui.tui.dialogs.confirm import ConfirmDialog
from maap_tui.tui.textual_compat import notifications_of
from tests.homes import PATIENCE_S

TURNS = 60
"""Turns of the loop in which the app is done with a key; each takes a message further."""


async def let_run(min_sleep: float = 0, max_sleep: float = 0) -> None:
    """Let the app do what is due; stands in for Textual's wait until the process is idle."""
    for _ in range(TURNS):
        await asyncio.sleep(0)


async def wait_until(
    condition: Callable[[], object], pilot: Pilot[Any], *, seconds: float = PATIENCE_S
) -> None:
    """Let the app run until something is true, for so long at most."""
    end = time.monotonic() + seconds
    asked = time.monotonic()
    while not condition():
        now = time.monotonic()
        assert now < end, f"it did not come true in time:\n{text_of(pilot.app)}"
        # A condition that draws the whole screen must not take the time that the app needs.
        await asyncio.sleep(max(0.01, 3 * (now - asked)))
        asked = time.monotonic()
    # What just came about has to be drawn too.
    await let_run()


async def confirm(app: MaapApp, pilot: Pilot[Any]) -> None:
    """Say yes to the dialog that a key brings."""
    await wait_until(lambda: isinstance(app.screen, ConfirmDialog), pilot)
    await pilot.press("y")
    await wait_until(lambda: not isinstance(app.screen, ConfirmDialog), pilot)


def text_of(app: App[Any]) -> str:
    """What the screen shows, line by line."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips)


def header_of(app: App[Any]) -> str:
    """The line of modes and states on top, with a space behind the last of them."""
    return text_of(app).partition("\n")[0] + " "


def notices_of(app: MaapApp) -> str:
    """What the app says over its footer, whole."""
    return " ".join(notification.message for notification in notifications_of(app))


async def started(app: MaapApp) -> None:
    """Wait until the app has looked for what others left: what a test puts there after it is not offered."""
    looking = [one for one in app.workers if one.group == "start" and one.node is app]
    if looking:  # without any Textual would wait for all there are
        await app.workers.wait_for_complete(looking)


async def find_files(app: MaapApp, count: int) -> list[DownloadRequest]:
    """As `files_of`, of an app."""
    return await files_of(app.backend, count)


async def files_of(backend: Backend, count: int) -> list[DownloadRequest]:
    """The first files of CPR_CLD_2A BC on 2025-12-01 (144 to 175 KiB), as a search hands them on."""
    day = TimeRange(datetime(2025, 12, 1, tzinfo=UTC), datetime(2025, 12, 2, tzinfo=UTC))
    query = Query("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC", time=day)

    def refuse(asset: Asset, error: InvalidRequestError) -> None:
        raise error

    async def search(session: Session) -> list[DownloadRequest]:
        return [
            file
            async for page in session.search(query)
            for granule in page.granules
            for file in session.filing.requests_of(
                granule, granule.files(session.formats_of(query)), refuse=refuse
            )
        ]

    return sorted(await backend.ask(search), key=lambda one: one.url)[:count]
