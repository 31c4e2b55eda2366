"""A registry to show, and the ways to what the mode Registry shows of it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import h5py
from driving import wait_until
from textual.pilot import Pilot

from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.session import Session
from maap_tui.tui.app import MaapApp
from maap_tui.tui.screens.registry.baseline_table import BaselineTable
from maap_tui.tui.screens.registry.baseline_view import BaselineView
from maap_tui.tui.screens.registry.day_strip import DayStrip
from maap_tui.tui.screens.registry.screen import RegistryScreen
from maap_tui.tui.widgets.row_list import RowList

SIZE = (80, 24)
KEY = Key("EarthCARE", "EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")
OTHER = Key("EarthCARE", "EarthCAREL1Validated_MAAP", "ATL_NOM_1B", "AE")
DAY = date(2025, 12, 1)
AT = datetime(2026, 1, 14, 10, 30, tzinfo=UTC)
MARKUP = "[/foo] [@click=app.quit]x[/] \x1b[31mred"


def entries(session: Session, day: date = DAY, count: int = 4, key: Key = KEY) -> list[TrackedFile]:
    """The files that the registry is given, under the names the archive would give them."""
    found = []
    for number in range(count):
        name = (
            f"ECA_EX{key.baseline}_{key.product_type}_{day:%Y%m%d}T{number:02d}1500Z_20251215T083513Z_"
            f"{8000 + number:05d}{'ABCDEFGH'[number]}.h5"
        )
        url = f"{session.settings.api.catalog_url}data/{name}"
        path = session.filing.request_of_tracked(TrackedFile(key, day, url)).path
        found.append(TrackedFile(key, day, url, str(path)))
    return found


def put(entry: TrackedFile, content: bytes | None = None) -> None:
    """Put a file on disk, a whole one when no content is given."""
    path = Path(entry.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is None:
        h5py.File(path, "w").close()
    else:
        path.write_bytes(content)


def fill(session: Session) -> None:
    """One day with a new, a failed, a downloaded and a marked file, and one with all downloaded."""
    tracker = session.registry.baseline(KEY)
    new, failed, here, marked = entries(session)
    tracker.add([new, failed, here, marked])
    tracker.record_error(failed.url, "Service Unavailable", code=503, tries=3, at=AT)
    for entry in (here, marked):
        put(entry)
        tracker.record(entry.url, entry.path, entry.day)
    tracker.mark([(marked.path, DAY)])
    later = entries(session, date(2025, 12, 3), 2)
    tracker.add(later)
    for entry in later:
        put(entry)
        tracker.record(entry.url, entry.path, entry.day)


def mode(app: MaapApp) -> RegistryScreen:
    screen = next(one for one in app.screen_stack if isinstance(one, RegistryScreen))
    assert isinstance(screen, RegistryScreen)
    return screen


async def go(app: MaapApp, pilot: Pilot[Any], *, sizes: bool = True) -> RegistryScreen:
    """Go to the mode and wait until all of it was counted."""
    await pilot.press("4")
    await wait_until(lambda: isinstance(app.screen, RegistryScreen), pilot)
    screen = mode(app)
    await wait_until(lambda: screen.rows and all(row.summary for row in screen.rows.values()), pilot)
    if sizes:
        await wait_until(lambda: all(row.size is not None for row in screen.rows.values()), pilot)
    return screen


async def open_day(app: MaapApp, pilot: Pilot[Any], day: date = DAY) -> RegistryScreen:
    """Open the first baseline and go to a day's files."""
    screen = await go(app, pilot)
    await pilot.press("enter")
    await wait_until(lambda: screen.query_one(DayStrip).day is not None, pilot)
    screen.query_one(DayStrip).move_to(day)
    await wait_until(lambda: [row for row in files_of(screen).rows if row.day == day], pilot)
    await pilot.press("enter")
    await wait_until(lambda: screen.focused is files_of(screen), pilot)
    return screen


async def put_cursor(screen: RegistryScreen, pilot: Pilot[Any], state: str) -> None:
    """Put the cursor on the file of that state."""
    row = next(one for one in files_of(screen).shown if one.state == state)
    files_of(screen).move_to_key(row.url)
    await pilot.pause()


def baselines_of(screen: RegistryScreen) -> RowList:
    return screen.query_one(BaselineTable)


def files_of(screen: RegistryScreen) -> RowList:
    return screen.query_one(BaselineView).files


def errors_of(screen: RegistryScreen) -> RowList:
    return screen.query_one(BaselineView).errors


def words(app: MaapApp) -> str:
    """All that the log says."""
    return "\n".join(line.text for line in app.backend.log_lines)
