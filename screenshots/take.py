"""Draws the pictures of the README and of docs/: the app, driven by keys on the embedded archive.

One SVG a screen. `make screenshots` runs it; `take.py browse help` draws those two alone. Nothing of the
machine it runs on is in a picture: the clock stands still, transfers are held where they are, and the home
reads like anybody's. Drawn again, each picture is the same byte for byte.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from textual.pilot import Pilot
from textual.widgets import Static

from maap_tui.demo.archive import Archive
from maap_tui.engine.download.jobs import DownloadJob
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.errors import NoCollectionError
from maap_tui.engine.model import Granule, TimeRange
from maap_tui.engine.query import Query
from maap_tui.engine.registry.entries import Key
from maap_tui.engine.runs import DONE, Counts, Run, Runs
from maap_tui.engine.session import Session
from maap_tui.tui.app import MaapApp
from maap_tui.tui.dialogs.confirm import ConfirmDialog
from maap_tui.tui.dialogs.help import HelpDialog
from maap_tui.tui.gauges import Rates
from maap_tui.tui.screens.browse.screen import BrowseScreen
from maap_tui.tui.screens.downloads.queue_head import QueueHead
from maap_tui.tui.screens.downloads.screen import DownloadsScreen
from maap_tui.tui.screens.log.screen import LogScreen
from maap_tui.tui.screens.registry.baseline_table import BaselineTable
from maap_tui.tui.screens.registry.baseline_view import BaselineView
from maap_tui.tui.screens.registry.day_strip import DayStrip
from maap_tui.tui.screens.registry.screen import RegistryScreen
from maap_tui.tui.screens.search.granule import GranuleDialog
from maap_tui.tui.screens.search.map import MapScreen
from maap_tui.tui.screens.search.picture_view import PictureView
from maap_tui.tui.screens.search.screen import SearchScreen
from maap_tui.tui.screens.search.terms import Terms
from maap_tui.tui.screens.today.screen import TodayScreen
from maap_tui.tui.widgets.row_list import RowList

FOLDER = Path(__file__).parent
NOW = "2026-01-15T09:30:00Z"
MOMENT = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
SIZE = (100, 30)
WIDE = (112, 27)
PORT = 8765
HOME = Path("/tmp/maap-pictures")
"""The throw-away home."""
SHOWN_HOME = "/home/sophia/.maap"
"""How it reads in the pictures; as long as its real path, so that nothing moves."""
FREE = 412 << 30
"""Bytes free on the disk of the pictures."""
CELL = 12.2
"""Width of a cell in the pictures."""

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
    (Key("EarthCARE", L1, "BBR_NOM_1B", "BC"), "D", 14, 14),
    (Key("EarthCARE", L1, "MSI_RGR_1C", "BC"), "A", 5, 5),
    (Key("EarthCARE", L2, "ACM_CAP_2B", "BC"), "C", 21, 17),
    (Key("EarthCARE", L2, "ALL_DF__2B", "BC"), "H", 30, 28),
    (Key("EarthCARE", L2, "AM__ACD_2B", "BC"), "E", 8, 8),
    (Key("EarthCARE", L2, "ATL_AER_2A", "BC"), "G", 12, 9),
    (Key("EarthCARE", L2, "ATL_ALD_2A", "BC"), "F", 40, 40),
    (Key("EarthCARE", L2, "BMA_FLX_2B", "BC"), "B", 18, 11),
    (Key("EarthCARE", L2, "CPR_CD__2A", "BC"), "D", 10, 10),
    (Key("EarthCARE", L2, "CPR_FMR_2A", "BC"), "A", 26, 22),
    (Key("EarthCARE", L2, "CPR_TC__2A", "BC"), "D", 7, 4),
    (Key("EarthCARE", L2, "MSI_CM__2A", "BC"), "C", 9, 9),
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
            await session.index.fetch_collections()
            for known in session.index.load().of_mission("EarthCARE"):
                with suppress(NoCollectionError):
                    await session.catalogue.queryables(known.name)
            for product_type in ("AC__TC__2B", "CPR_CLD_2A"):
                await session.build_catalogue(L2, product_type=product_type)
            for number, (key, frame, days, downloaded) in enumerate(TRACKED):
                await self._track(session, key, frame, days, downloaded)
                self._age(session.dirs.registry_dir, key, hours=1 + 7 * number)

    async def _track(self, session: Session, key: Key, frame: str, days: int, downloaded: int) -> None:
        first = MOMENT.replace(hour=0, minute=0) - timedelta(days=days)
        query = Query(
            key.collection, key.product_type, key.baseline, time=TimeRange(first, MOMENT), frames=(frame,)
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
        # Most nights went well; after some a few files are left that failed.
        for granule in gaps[: (0, 3, 0, 0, 1, 0, 7, 0)[downloaded % 8]]:
            url = granule.files(session.formats_of(query))[0].href
            tracker.record_error(
                url, "Service Unavailable", code=503, tries=6, at=MOMENT - timedelta(hours=3)
            )

    def _put(self, session: Session, tracker: Any, granule: Granule, query: Query) -> str:
        asset = granule.files(session.formats_of(query))[0]
        wanted = session.filing.request_of(granule, asset)
        wanted.path.parent.mkdir(parents=True, exist_ok=True)
        with wanted.path.open("wb") as file:
            file.truncate(wanted.size or 0)
        tracker.record(wanted.url, str(wanted.path), granule.day)
        return str(wanted.path)

    def put_away(self) -> None:
        """Keep the home as it is now; every picture begins with it."""
        self.home.rename(self._furnished)

    def set_up(self) -> None:
        """Let the home be what was put away."""
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(self._furnished, self.home, copy_function=_copy)

    @property
    def _furnished(self) -> Path:
        return self.home.with_name(f"{self.home.name}.furnished")

    def clean_up(self) -> None:
        for folder in (self.home, self._furnished):
            shutil.rmtree(folder, ignore_errors=True)

    @staticmethod
    def _age(registry: Path, key: Key, hours: int) -> None:
        then = (MOMENT - timedelta(hours=hours)).timestamp()
        for path in registry.glob(f"*/{key.mission}/{key.collection}/{key.product_type}/{key.baseline}/**/*"):
            os.utime(path, (then, then))


def _copy(source: str, target: str) -> None:
    """Granules are large and nobody writes into them: a second name will do."""
    if source.endswith(".h5"):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def _is_here(session: Session, granule: Granule, query: Query, here: set[str]) -> bool:
    asset = granule.files(session.formats_of(query))[0]
    return str(session.filing.request_of(granule, asset).path) in here


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
    await until(lambda: bool(screen.form.known.queryables_of(L2)), pilot)
    screen.form.fill(terms)
    await pilot.press("ctrl+r")
    await until(
        lambda: screen.results.rows and not screen.is_searching and not screen.states.is_looking, pilot
    )
    await until(lambda: "free" in str(screen.query_one("#sum", Static).render()), pilot)
    await until(lambda: screen.is_summed, pilot)
    screen.results.focus()
    return screen


async def search(stage: Stage, app: MaapApp, pilot: Pilot[Any]) -> None:
    await find(app, pilot, Terms(L2, "CPR_CLD_2A", "BC", "2025-12-28/2025-12-29", frames="C,D"))
    await pilot.press(*["down"] * 4, *["space"] * 5)
    await rest(app, pilot)


async def map_(stage: Stage, app: MaapApp, pilot: Pilot[Any]) -> None:
    await find(
        app, pilot, Terms(L2, "CPR_CLD_2A", "BC", "2025-12-28", frames="A,B,D", area="61.8,24.3 r3000")
    )
    await pilot.press(*["down"] * 3, *["space"] * 3, "M")
    await until(lambda: isinstance(app.screen, MapScreen), pilot)
    await rest(app, pilot)


async def granule(stage: Stage, app: MaapApp, pilot: Pilot[Any]) -> None:
    await find(app, pilot, Terms(L2, "CPR_CLD_2A", "BC", "2025-12-28", frames="D"))
    await pilot.press("down", "enter")
    await until(lambda: isinstance(app.screen, GranuleDialog), pilot)
    await pilot.press("v")
    await until(lambda: app.screen.query_one(PictureView).has_picture, pilot)
    await rest(app, pilot)


async def _busy(stage: Stage, app: MaapApp, pilot: Pilot[Any]) -> DownloadsScreen:
    """Queue a morning of two products: some files are here, one is not licensed, others are held half way."""
    day = TimeRange(datetime(2026, 1, 8, tzinfo=UTC), datetime(2026, 1, 9, tzinfo=UTC))

    async def ask(session: Session, product_type: str, frames: str, count: int) -> list[DownloadRequest]:
        query = Query(L2, product_type, "BC", time=day, frames=tuple(frames))
        found = [
            session.filing.request_of(one, asset).untracked()
            async for page in session.search(query)
            for one in page.granules
            for asset in one.files(session.formats_of(query))
        ]
        return sorted(found, key=lambda one: one.url)[:count]

    ended = await app.backend.ask(lambda session: ask(session, "CPR_CLD_2A", "AB", 10))
    others = await app.backend.ask(lambda session: ask(session, "ATL_EBD_2A", "C", 12))
    await pilot.press("3")
    await until(lambda: isinstance(app.screen, DownloadsScreen) and app.screen.is_mounted, pilot)
    screen = app.screen
    assert isinstance(screen, DownloadsScreen)
    stage.archive.faults.add(status=403, match=ended[5].url.rpartition("/")[2], target="data")
    for wanted in ended:  # one after the other, so that they end in one order
        await app.backend.queue_files([wanted])
        transfers = app.backend.transfers
        assert transfers is not None
        await until(partial(_has_ended, transfers.jobs, wanted.url), pilot)
        screen.sample()
    jobs = app.backend.transfers.jobs if app.backend.transfers is not None else {}
    held = {}
    for number, one in enumerate(others[:8]):
        held[one.url] = (one.size or 0) * (11 - number) // 13
        stage.archive.faults.add(stall_after=held[one.url], match=one.url.rpartition("/")[2], target="data")
    await app.backend.queue_files(others)
    last = others[-1].url
    await app.backend.with_transfers(lambda queue: queue.pause([last]))
    await until(lambda: all(jobs[url].received == count for url, count in held.items()), pilot)
    wanted_counts = Counter(running=8, waiting=3, paused=1, failed=1)
    await until(
        lambda: Counter(row.state for row in screen.table.rows if row.state != "finished") == wanted_counts,
        pilot,
    )
    return screen


def _has_ended(jobs: Mapping[str, DownloadJob], url: str) -> bool:
    return jobs[url].state in ("finished", "failed")


def _hold(app: MaapApp, screen: DownloadsScreen) -> None:
    """Let the rates be those of a long line, and stay."""
    now = 1000.0
    running = [line for line in screen.table.rows if line.state == "running"]
    rates = {line.key: 25e3 * (3 + number * 5 % 7) for number, line in enumerate(running)}
    for node in (app, screen, *screen.query("*")):
        if node is not screen:
            for timer in list(node._timers):
                timer.pause()
        if isinstance(node, QueueHead):
            node.rates = Rates()
            for at in range(240):
                swing = 0.55 + 0.3 * (at // 3 * 7 % 11) / 10 + 0.15 * (at // 40 % 2)
                node.rates.note(sum(rates.values()) * min(at / 12, swing), is_active=True)
    done = [line.job for line in screen.table.rows if line.state == "finished" and line.job is not None]
    for number, job in enumerate(sorted(done, key=lambda one: one.wanted.url)):
        job.took_s = job.came / (25e3 * (3 + number * 3 % 5))
    tally = app.backend.tally
    tally._clock = lambda: now
    tally._marks = deque([(now - 5, tally._moved - int(5 * sum(rates.values())))])
    with mock.patch("time.monotonic", return_value=now):
        for line in running:
            line.marks = deque([(now - 3, int(line.source.received - 3 * rates[line.key]))])
        app._sample()


async def downloads(stage: Stage, app: MaapApp, pilot: Pilot[Any]) -> None:
    screen = await _busy(stage, app, pilot)
    failed = next(line for line in screen.table.rows if line.state == "failed")
    screen.table.move_to_key(failed.key)
    await rest(app, pilot)
    _hold(app, screen)
    await rest(app, pilot)


async def _open_registry(app: MaapApp, pilot: Pilot[Any]) -> RegistryScreen:
    await pilot.press("4")
    await until(lambda: isinstance(app.screen, RegistryScreen), pilot)
    screen = app.screen
    assert isinstance(screen, RegistryScreen)
    await until(lambda: screen.rows and all(row.size is not None for row in screen.rows.values()), pilot)
    return screen


async def today(stage: Stage, app: MaapApp, pilot: Pilot[Any]) -> None:
    book = Runs(app.backend.session.dirs)
    nightly = (
        ("CPR_CLD_2A", 126, 312),
        ("ATL_EBD_2A", 124, 1490),
        ("MSI_COP_2A", 98, 760),
        ("AC__TC__2B", 121, 214),
    )
    for night in range(8):
        at = MOMENT.replace(hour=4, minute=0, second=2) - timedelta(days=night)
        for number, (product, got, size) in enumerate(nightly):
            failed = 28 if (night, number) == (1, 1) else 2 if (night, number) == (0, 2) else 0
            took = timedelta(seconds=61 + size // 5 + 7 * night)
            counts = Counts(3 * got, got - failed, 2 * got, failed, bytes=(size - 3 * night) << 20)
            words = ("sync", L2, product, "BC", "--quiet")
            name = f"{at:%Y%m%dT%H%M%SZ}-{night:02x}{number:02x}"
            book.add(
                Run(
                    name,
                    "sync",
                    words,
                    "/home/sophia",
                    "node1",
                    1,
                    at,
                    at + took,
                    3 if failed else 0,
                    DONE,
                    counts,
                )
            )
            at += took + timedelta(minutes=23)
    begun = MOMENT - timedelta(hours=3)
    words, freed = ("state", "cleanup", L2, "CPR_CLD_2A", "BC"), Counts(deleted=40, bytes=98 << 20)
    book.add(
        Run(
            f"{begun:%Y%m%dT%H%M%SZ}-0c1e",
            "cleanup",
            words,
            "/home/sophia",
            "node1",
            1,
            begun,
            begun,
            0,
            DONE,
            freed,
        )
    )
    await pilot.press("0")
    screen = app.screen
    assert isinstance(screen, TodayScreen)
    await until(lambda: len(screen.query_one("#lacks", RowList).rows) > 9, pilot)
    await until(lambda: len(screen.query_one("#runs", RowList).rows) > 20, pilot)
    await rest(app, pilot)


async def registry(stage: Stage, app: MaapApp, pilot: Pilot[Any]) -> None:
    screen = await _open_registry(app, pilot)
    screen.query_one(BaselineTable).move_to_key(CLOUD)
    await rest(app, pilot)


async def days(stage: Stage, app: MaapApp, pilot: Pilot[Any]) -> None:
    screen = await _open_registry(app, pilot)
    screen.query_one(BaselineTable).move_to_key(CLOUD)
    await pilot.press("enter")
    await until(lambda: screen.query_one(DayStrip).day is not None, pilot)
    day = date(2025, 12, 21)
    screen.query_one(DayStrip).move_to(day)
    await until(lambda: [row for row in screen.query_one(BaselineView).files.rows if row.day == day], pilot)
    await pilot.press("enter")
    await rest(app, pilot)


async def log(stage: Stage, app: MaapApp, pilot: Pilot[Any]) -> None:
    stage.archive.faults.add(failing_day="2026-01-13")
    for number in (11, 12, 13):
        day = TimeRange(datetime(2026, 1, number, tzinfo=UTC), datetime(2026, 1, number + 1, tzinfo=UTC))
        await app.backend.sync(Query(L2, "AC__TC__2B", "BC", time=day, frames=("E",)))
    await until(lambda: app.backend.transfers is not None and not app.backend.transfers.active, pilot)
    _hold(app, await _busy(stage, app, pilot))
    lines = [line for line in app.backend.log_lines if line.level != "debug"]
    app.backend.log_lines.clear()
    app.backend.log_lines.extend(
        line._replace(time=MOMENT - timedelta(seconds=17 * (len(lines) - at) - at * at % 7))
        for at, line in enumerate(lines)
    )
    await pilot.press("5")
    await until(lambda: isinstance(app.screen, LogScreen) and app.screen.is_mounted, pilot)
    screen = app.screen
    assert isinstance(screen, LogScreen)
    screen.sample()
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
    screen.query_one(BaselineTable).move_to_key(CLOUD)
    await pilot.press("D")
    await until(lambda: isinstance(app.screen, ConfirmDialog), pilot)
    await rest(app, pilot)


PICTURES: dict[str, tuple[Shoot, tuple[int, int]]] = {
    "today": (today, SIZE),
    "browse": (browse, SIZE),
    "search": (search, SIZE),
    "map": (map_, SIZE),
    "granule": (granule, SIZE),
    "downloads": (downloads, SIZE),
    "registry": (registry, WIDE),
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
    stage.set_up()
    # With low bandwidth no cursor blinks.
    app = MaapApp(stage.session(), clock=lambda: MOMENT, low_bandwidth=True)
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(lambda: "12 of 12" in str(app.screen.query_one("#words", Static).render()), pilot)
        await shoot(stage, app, pilot)
        app.clear_notifications()
        await rest(app, pilot)
        drawn = app.export_screenshot(title="maap")
        stage.archive.faults.clear()
    drawn = drawn.replace(str(stage.home), SHOWN_HOME)
    (FOLDER / f"{name}.svg").write_text(_indented(drawn), encoding="utf-8")


def _indented(drawn: str) -> str:
    """Let texts begin at their first sign: some programs leave out the spaces that a text begins with."""

    def move(found: re.Match[str]) -> str:
        before, x, length, after, spaces = found.groups()
        cells = spaces.count("&#160;")
        return f'{before}x="{float(x) + cells * CELL:.1f}"{length_of(length, cells)}{after}>'

    def length_of(found: str, cells: int) -> str:
        number = re.search(r'textLength="([\d.]+)"', found)
        assert number is not None
        return found.replace(number[0], f'textLength="{float(number[1]) - cells * CELL:.1f}"')

    return re.sub(
        r'(<text [^>]*?)x="([\d.]+)"([^>]*?textLength="[\d.]+")([^>]*)>((?:&#160;)+)(?=[^<])', move, drawn
    )


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
    try:
        HOME.mkdir()
    except FileExistsError:
        print(f"{HOME} is there already: another run has it, or left it behind.")
        return 3
    usage = SimpleNamespace(total=2 * FREE, used=FREE, free=FREE)
    try:
        archive = Archive.start(PORT, now=NOW, offline_days=87)
    except OSError as error:
        HOME.rmdir()
        print(f"The archive of the pictures cannot have port {PORT}: {error.strerror}.")
        return 3
    stage = Stage(archive, HOME)
    try:
        with (
            archive,
            mock.patch("shutil.disk_usage", return_value=usage),
            mock.patch("maap_tui.engine.net.http.backoff_s", return_value=0.01),
        ):
            asyncio.run(stage.furnish())
            stage.put_away()
            for name in names or PICTURES:
                asyncio.run(take(stage, name))
                print(f"{FOLDER.name}/{name}.svg")
    finally:
        stage.clean_up()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
