"""Draws the pictures of the README: the app, driven by keys against the embedded archive, one SVG a screen.

`make screenshots` runs it; `take.py browse help` draws those two alone. Nothing of the machine it runs on
is in a picture: the clock stands still and the home reads like anybody's.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from maap_tui.demo.archive import Archive
from maap_tui.engine.model import Granule, TimeRange
from maap_tui.engine.query import Query
from maap_tui.engine.registry import Key
from maap_tui.engine.session import Session
from maap_tui.tui.app import MaapApp
from maap_tui.tui.dialogs.confirm import ConfirmDialog
from maap_tui.tui.dialogs.granule import GranuleDialog
from maap_tui.tui.dialogs.help import HelpDialog
from maap_tui.tui.screens.browse import BrowseScreen
from maap_tui.tui.screens.downloads import DownloadsScreen
from maap_tui.tui.screens.log import LogScreen
from maap_tui.tui.screens.registry import RegistryScreen
from maap_tui.tui.screens.search import SearchScreen
from maap_tui.tui.widgets.day_strip import DayStrip
from maap_tui.tui.widgets.terms import Terms

FOLDER = Path(__file__).parent
NOW = "2026-01-15T09:30:00Z"
MOMENT = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
SIZE = (100, 30)
SMALL = (80, 24)
PORT = 8765
SHOWN_HOME = "/home/sophia/.maap"
"""How the throw-away home reads in the pictures; as long as its real path, so that nothing moves."""

L1 = "EarthCAREL1Validated_MAAP"
L2 = "EarthCAREL2Validated_MAAP"
CLOUD = Key("EarthCARE", L2, "CPR_CLD_2A", "BC")
TRACKED = (
    (CLOUD, "D", 58, 41),
    (Key("EarthCARE", L2, "ATL_EBD_2A", "BC"), "C", 24, 20),
    (Key("EarthCARE", L2, "AC__TC__2B", "BC"), "E", 12, 12),
    (Key("EarthCARE", L2, "MSI_COP_2A", "BC"), "A", 9, 3),
    (Key("EarthCARE", L1, "ATL_NOM_1B", "BC"), "B", 10, 8),
    (Key("EarthCARE", L1, "CPR_NOM_1B", "DA"), "D", 6, 0),
)
"""Baseline, frame, days discovered and days downloaded: what the home tracks already."""

Shoot = Callable[["Stage", MaapApp, Pilot[Any]], Awaitable[None]]


class Stage:
    """The archive and the home that the pictures are taken of."""

    def __init__(self, archive: Archive, home: Path) -> None:
        self.archive = archive
        self.home = home

    def session(self) -> Session:
        return Session.load(
            environ={"MAAP_HOME": str(self.home), "HOME": str(self.home.parent)},
            bulk=True,
            now=lambda: MOMENT,
        )

    async def furnish(self) -> None:
        """Let the home look like that of someone who has worked with the archive for two months."""
        self.archive.prepare(self.home)
        async with self.session() as session:
            for collection in session.collections():
                await session.catalogue.queryables(collection)
            for product_type in ("AC__TC__2B", "CPR_CLD_2A"):
                await session.build_catalog(L2, product_type=product_type)
            for number, (key, frame, days, downloaded) in enumerate(TRACKED):
                await self._track(session, key, frame, days, downloaded)
                self._age(session.places.registry_dir, key, hours=1 + 7 * number)

    async def _track(self, session: Session, key: Key, frame: str, days: int, downloaded: int) -> None:
        first = MOMENT.replace(hour=0, minute=0) - timedelta(days=days)
        query = Query(
            key.collection, key.product_type, key.baseline, time=TimeRange(first, MOMENT), frames=frame
        )
        found = [granule async for page in session.search(query) for granule in page.granules]
        await session.save_to_registry(found, session.formats_of(query))
        tracker = session.registry.baseline(key)
        last = (first + timedelta(days=downloaded)).date()
        paths: list[tuple[str, date]] = []
        for granule in found:
            assert granule.day is not None
            # Every ninth day is left incomplete, as after a night with a failing archive.
            if granule.day >= last or (granule.day.toordinal() % 9 == 4 and granule.id[-2] in "13579"):
                continue
            paths.append((self._put(session, tracker, granule, query), granule.day))
        tracker.mark(paths[: len(paths) * 3 // 5])
        here = {path for path, _ in paths}
        gaps = [
            one for one in found if one.day and one.day < last and not _is_here(session, one, query, here)
        ]
        for granule in gaps[-3:-1]:
            url = granule.files(session.formats_of(query))[0].href
            tracker.record_error(
                url, "Service Unavailable", code=503, tries=6, at=MOMENT - timedelta(hours=3)
            )

    def _put(self, session: Session, tracker: Any, granule: Granule, query: Query) -> str:
        asset = granule.files(session.formats_of(query))[0]
        wanted = session.filing.wanted_of(granule, asset)
        wanted.path.parent.mkdir(parents=True, exist_ok=True)
        with wanted.path.open("wb") as file:
            file.truncate(wanted.size or 0)
        tracker.record(wanted.url, str(wanted.path), granule.day)
        return str(wanted.path)

    @staticmethod
    def _age(registry: Path, key: Key, hours: int) -> None:
        then = (MOMENT - timedelta(hours=hours)).timestamp()
        for path in registry.glob(f"*/{key.mission}/{key.collection}/{key.product_type}/{key.baseline}/**/*"):
            os.utime(path, (then, then))


def _is_here(session: Session, granule: Granule, query: Query, here: set[str]) -> bool:
    asset = granule.files(session.formats_of(query))[0]
    return str(session.filing.wanted_of(granule, asset).path) in here


def running_clock() -> Callable[[], datetime]:
    """A clock that shows the same day in every picture, and goes on in it."""
    begin = time.monotonic()
    return lambda: MOMENT + timedelta(seconds=time.monotonic() - begin)


async def until(condition: Callable[[], object], pilot: Pilot[Any]) -> None:
    """Let the app run until something is true."""
    end = time.monotonic() + 60
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the app did not come to what the picture shows")
        await pilot.pause(0.02)


async def rest(app: MaapApp, pilot: Pilot[Any]) -> None:
    """Let what was begun end."""
    for _ in range(12):
        await pilot.pause(0.05)


async def browse(stage: Stage, app: MaapApp, pilot: Pilot[Any]) -> None:
    screen = app.screen
    assert isinstance(screen, BrowseScreen)
    screen.receive(L2, "AC__TC__2B", "BC")
    await until(lambda: getattr(screen.tree_view.branch, "baseline", "") == "BC", pilot)
    await rest(app, pilot)


async def find(app: MaapApp, pilot: Pilot[Any], terms: Terms) -> SearchScreen:
    await pilot.press("2")
    await until(lambda: isinstance(app.screen, SearchScreen) and app.screen.is_mounted, pilot)
    screen = app.screen
    assert isinstance(screen, SearchScreen)
    await until(lambda: L2 in screen.form.names.queryables, pilot)
    screen.form.fill(terms)
    await pilot.press("ctrl+r")
    await until(
        lambda: screen.results.rows and not screen.is_searching and not screen.states.is_looking, pilot
    )
    screen.results.focus()
    return screen


async def search(stage: Stage, app: MaapApp, pilot: Pilot[Any]) -> None:
    await find(app, pilot, Terms(L2, "CPR_CLD_2A", "BC", "2025-12-28/2025-12-29", frames="C,D"))
    await pilot.press(*["down"] * 4, *["space"] * 5)
    await rest(app, pilot)


async def granule(stage: Stage, app: MaapApp, pilot: Pilot[Any]) -> None:
    await find(app, pilot, Terms(L2, "CPR_CLD_2A", "BC", "2025-12-28", frames="D"))
    await pilot.press("down", "enter")
    await until(lambda: isinstance(app.screen, GranuleDialog), pilot)
    await rest(app, pilot)


async def _busy(stage: Stage, app: MaapApp, pilot: Pilot[Any]) -> DownloadsScreen:
    """Queue a morning of two products at the pace of a long line, one file of them not licensed."""
    day = TimeRange(datetime(2026, 1, 8, tzinfo=UTC), datetime(2026, 1, 9, tzinfo=UTC))
    wanted = []
    for product_type, frames in (("CPR_CLD_2A", "AB"), ("ATL_EBD_2A", "C")):
        query = Query(L2, product_type, "BC", time=day, frames=frames)

        async def ask(session: Session, query: Query = query) -> list[Any]:
            return [
                (session.filing.wanted_of(one, asset), None)
                async for page in session.search(query)
                for one in page.granules
                for asset in one.files(session.formats_of(query))
            ]

        wanted += sorted(await app.ask(ask), key=lambda one: one[0].url)[:14]
    for number, (one, _) in enumerate(wanted):
        name = one.url.rpartition("/")[2]
        if number == 5:
            stage.archive.faults.add(status=403, match=name, target="data")
        stage.archive.faults.add(rate=25e3 * (1 + number * 5 % 9), match=name, target="data")
    await pilot.press("3")
    await until(lambda: isinstance(app.screen, DownloadsScreen), pilot)
    screen = app.screen
    assert isinstance(screen, DownloadsScreen)
    await app.queue_files(wanted)
    return screen


async def downloads(stage: Stage, app: MaapApp, pilot: Pilot[Any]) -> None:
    screen = await _busy(stage, app, pilot)
    transfers = app.transfers
    assert transfers is not None
    last = list(transfers.jobs)[-1]
    await app.with_transfers(lambda queue: queue.pause([last]))
    await until(lambda: [one for one in transfers.jobs.values() if one.state == "finished"][11:], pilot)
    await pilot.pause(4)
    failed = next(line for line in screen.table.rows if line.state == "failed")
    screen.table.move_to_key(failed.key)
    await rest(app, pilot)


async def _open_registry(app: MaapApp, pilot: Pilot[Any]) -> RegistryScreen:
    await pilot.press("4")
    await until(lambda: isinstance(app.screen, RegistryScreen), pilot)
    screen = app.screen
    assert isinstance(screen, RegistryScreen)
    await until(lambda: screen.rows and all(row.size is not None for row in screen.rows.values()), pilot)
    return screen


async def registry(stage: Stage, app: MaapApp, pilot: Pilot[Any]) -> None:
    screen = await _open_registry(app, pilot)
    screen._baselines.move_to_key(CLOUD)
    await rest(app, pilot)


async def days(stage: Stage, app: MaapApp, pilot: Pilot[Any]) -> None:
    screen = await _open_registry(app, pilot)
    screen._baselines.move_to_key(CLOUD)
    await pilot.press("enter")
    await until(lambda: screen.query_one(DayStrip).day is not None, pilot)
    day = date(2025, 12, 21)
    screen.query_one(DayStrip).move_to(day)
    await until(lambda: [row for row in screen._files.rows if row.day == day], pilot)
    await pilot.press("enter")
    await rest(app, pilot)


async def log(stage: Stage, app: MaapApp, pilot: Pilot[Any]) -> None:
    await _busy(stage, app, pilot)
    transfers = app.transfers
    await until(
        lambda: transfers and [one for one in transfers.jobs.values() if one.state == "finished"][7:], pilot
    )
    await pilot.press("5")
    await until(lambda: isinstance(app.screen, LogScreen) and app.screen._table.rows, pilot)
    await rest(app, pilot)


async def help_(stage: Stage, app: MaapApp, pilot: Pilot[Any]) -> None:
    await find(app, pilot, Terms(L2, "CPR_CLD_2A", "BC", "2025-12-28", frames="D"))
    await pilot.press("question_mark")
    await until(lambda: isinstance(app.screen, HelpDialog), pilot)
    await rest(app, pilot)


async def palette(stage: Stage, app: MaapApp, pilot: Pilot[Any]) -> None:
    await browse(stage, app, pilot)
    await pilot.press("ctrl+p")
    await rest(app, pilot)
    await pilot.press(*"cloud")
    await rest(app, pilot)
    await rest(app, pilot)


async def confirm(stage: Stage, app: MaapApp, pilot: Pilot[Any]) -> None:
    screen = await _open_registry(app, pilot)
    screen._baselines.move_to_key(CLOUD)
    await pilot.press("D")
    await until(lambda: isinstance(app.screen, ConfirmDialog), pilot)
    await rest(app, pilot)


PICTURES: dict[str, tuple[Shoot, tuple[int, int]]] = {
    "browse": (browse, SIZE),
    "search": (search, SIZE),
    "granule": (granule, SIZE),
    "downloads": (downloads, SIZE),
    "registry": (registry, SMALL),
    "days": (days, SIZE),
    "log": (log, SIZE),
    "help": (help_, SIZE),
    "palette": (palette, SIZE),
    "confirm": (confirm, SIZE),
}
"""Picture -> how to come to it, and cells of the terminal."""


async def take(stage: Stage, name: str) -> None:
    """Draw one picture into the folder of this file."""
    shoot, size = PICTURES[name]
    stage.archive.faults.clear()
    for left in (stage.home / "state").glob("queue*"):
        left.unlink()  # or the app would ask about the transfers of the picture before
    app = MaapApp(stage.session(), clock=running_clock())
    async with app.run_test(size=size, notifications=True) as pilot:
        await rest(app, pilot)
        await shoot(stage, app, pilot)
        drawn = app.export_screenshot(title="maap")
        stage.archive.faults.clear()
    drawn = drawn.replace(str(stage.home), SHOWN_HOME).replace(f":{stage.archive.port}/", f":{PORT}/")
    (FOLDER / f"{name}.svg").write_text(drawn, encoding="utf-8")


def main(names: list[str]) -> int:
    """Draw the pictures named, or all."""
    unknown = set(names) - PICTURES.keys()
    if unknown:
        print(f"There is no picture {', '.join(sorted(unknown))}; there are {', '.join(PICTURES)}.")
        return 4
    for variable in ("TMUX", "SSH_TTY", "DISPLAY", "NO_COLOR", "MAAP_TOKEN"):
        os.environ.pop(variable, None)
    os.environ["TZ"] = "UTC"
    time.tzset()
    home = Path(tempfile.mkdtemp(prefix="maap_", dir="/tmp"))
    try:
        try:
            archive = Archive.start(PORT, now=NOW, offline_days=87)
        except OSError:
            archive = Archive.start(now=NOW, offline_days=87)
        with archive:
            stage = Stage(archive, home)
            asyncio.run(stage.furnish())
            for name in names or PICTURES:
                asyncio.run(take(stage, name))
                print(f"{FOLDER.name}/{name}.svg")
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
