"""What every mode looks like, empty, busy, full and in problem; the archive answers in this process.

`pytest tests/tui/test_snapshots.py --snapshot-update` accepts what is drawn now: look at each picture first.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections import namedtuple
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from driving import text_of, wait_until
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from maap_tui.demo.app import Application
from maap_tui.demo.content import Content
from maap_tui.demo.faults import Faults
from maap_tui.demo.stats import Stats
from maap_tui.demo.tokens import CLIENT_ID, CLIENT_SECRET, TokenService
from maap_tui.engine.download.queue_store import Queue, QueueRow
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.missions import earthcare
from maap_tui.engine.model import TimeRange
from maap_tui.engine.product_sets import set_of
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.runs import DONE, KILLED, Counts, Run, Runs
from maap_tui.engine.saved_searches import Choices, SavedSearches
from maap_tui.engine.search_history import FoundGranules, SearchHistory
from maap_tui.engine.session import Session
from maap_tui.engine.workflows.set_table import SetTable, set_table
from maap_tui.tui.app import MaapApp
from maap_tui.tui.dialogs.confirm import ConfirmDialog
from maap_tui.tui.dialogs.coverage import GapsDialog
from maap_tui.tui.dialogs.help import HelpDialog
from maap_tui.tui.dialogs.sign_in import SignInDialog
from maap_tui.tui.screens.browse.screen import BrowseScreen
from maap_tui.tui.screens.downloads.screen import DownloadsScreen
from maap_tui.tui.screens.log.screen import LogScreen
from maap_tui.tui.screens.registry.day_strip import DayStrip
from maap_tui.tui.screens.registry.screen import RegistryScreen
from maap_tui.tui.screens.registry.sets import SetsScreen
from maap_tui.tui.screens.search.granule import GranuleDialog
from maap_tui.tui.screens.search.map import MapScreen
from maap_tui.tui.screens.search.screen import SearchScreen
from maap_tui.tui.screens.search.terms import Terms
from maap_tui.tui.widgets.row_list import RowList

MOMENT = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
BASE = "https://catalog.maap.eo.esa.int"
L2 = "EarthCAREL2Validated_MAAP"
KEY = Key("EarthCARE", L2, "CPR_CLD_2A", "BC")
ONE_DAY = Terms(L2, "CPR_CLD_2A", "BC", "2025-12-28", frames="C,D")
FOLDER = "/data/maap/EarthCARE/EarthCAREL2Validated_MAAP/CPR_CLD_2A/BC/2025/12/28"

Usage = namedtuple("Usage", "total used free")
Shoot = Callable[[MaapApp, Pilot[Any]], Awaitable[None]]


pytestmark = pytest.mark.usefixtures("prompt_keys", "often")


# The archive and the home


@dataclass
class Refusing(httpx.AsyncBaseTransport):
    """A network that gives one answer to everything, or none."""

    status: int = 0
    """0 for a connection that is refused, -1 for one that never answers."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.status < 0:
            await asyncio.Event().wait()
        if not self.status:
            raise httpx.ConnectError("[Errno 111] Connection refused", request=request)
        return httpx.Response(self.status, request=request)


@pytest.fixture(scope="module")
def archive() -> Application:
    def clock() -> float:
        return MOMENT.timestamp()

    tokens = TokenService(clock, 87, False, f"{BASE}/realms/esa-maap")
    return Application(BASE, Content(clock()), tokens, Faults(), Stats())


class Line:
    """The connection that the archive looks at: always open, never full."""

    write_paused = False

    def is_closing(self) -> bool:
        return False

    async def drain(self) -> None:
        return


def within(archive: Application) -> httpx.ASGITransport:
    """A way to the archive without a socket."""

    line = Line()

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await archive({**scope, "extensions": {"demo.transport": line, "demo.flow": line}}, receive, send)

    return httpx.ASGITransport(answer)


def load(home: Path, transport: httpx.AsyncBaseTransport, **settings: object) -> Session:
    return Session.load(
        environ={"MAAP_HOME": str(home), "HOME": str(home)},
        now=lambda: MOMENT,
        overrides={"api.retries": 0, **settings},
        transport=transport,
    )


@pytest.fixture(scope="module")
def furnished(archive: Application, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a token, with the names of every collection and with one counted product."""
    home = tmp_path_factory.mktemp("furnished") / "maap"
    home.mkdir()
    (home / "config.toml").write_text("")
    credentials = home / "credentials.txt"
    credentials.write_text(
        f"CLIENT_ID={CLIENT_ID}\nCLIENT_SECRET={CLIENT_SECRET}\nOFFLINE_TOKEN={archive.tokens.issue_offline()}\n"
    )
    credentials.chmod(0o600)

    async def fetch() -> None:
        async with load(home, within(archive)) as session:
            for collection in earthcare.MISSION.collections:
                await session.catalogue.queryables(collection)
            await session.build_catalogue(L2, product_type="AC__TC__2B", baseline="BC")

    asyncio.run(fetch())
    return home


def track(session: Session) -> None:
    """Six weeks of one baseline: marked, here, partly here, failed and new days."""
    tracker = session.registry.baseline(KEY)
    tracked, here, marked = [], [], []
    for number in range(42):
        day = date(2025, 12, 1) + timedelta(days=number)
        entries = []
        for orbit in range(4):
            name = (
                f"ECA_EXBC_CPR_CLD_2A_{day:%Y%m%d}T0{orbit}1500Z_{day:%Y%m%d}T083513Z_{8600 + number:05d}D.h5"
            )
            url = f"{BASE}/data/earthcare-pdgs-01/EarthCARE/CPR_CLD_2A/BC/{day:%Y/%m/%d}/{name}"
            path = session.filing.request_of_tracked(TrackedFile(KEY, day, url)).path
            entries.append(TrackedFile(KEY, day, url, str(path)))
        tracked += entries
        got = entries[: 0 if number > 33 else 2 if number % 11 == 8 else 4]
        here += got
        if number < 21:
            marked += got
    for entry in here:
        path = Path(entry.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.truncate(path, 131_072)
    tracker.add(tracked)
    tracker.record_all(here)
    tracker.mark([(entry.path, entry.day) for entry in marked])
    failed = tracked[19 * 4 + 3]
    tracker.record_error(failed.url, "Service Unavailable", code=503, tries=6, at=MOMENT - timedelta(hours=3))
    then = (MOMENT - timedelta(hours=2)).timestamp()
    for path in session.dirs.registry_dir.rglob("*"):
        os.utime(path, (then, then))


def track_two(session: Session) -> None:
    """A baseline of which nothing is here, beside the six weeks of another one."""
    key = Key("EarthCARE", L2, "ATL_EBD_2A", "BC")
    day, tracker = date(2026, 1, 10), session.registry.baseline(key)
    urls = [f"{BASE}/data/ECA_EXBC_ATL_EBD_2A_{orbit}.h5" for orbit in range(40)]
    tracker.add([TrackedFile(key, day, url, f"/data/{url.rpartition('/')[2]}") for url in urls])
    for url in urls[:12]:
        tracker.record_error(url, "Service Unavailable", code=503, tries=6, at=MOMENT)
    track(session)


CLOUDS = set_of("clouds", ["CPR_CLD_2A", "ATL_EBD_2A", "MSI_COP_2A"], collection=L2)
CLOUDS_END = datetime(2025, 3, 14, 12, tzinfo=UTC)


def collect(session: Session) -> None:
    """A day of a set: some orbits and frames whole, some in part, some in older baselines."""

    async def look() -> SetTable:
        async with session.again() as other:
            return await set_table(other, CLOUDS, TimeRange(CLOUDS_END - timedelta(days=1), CLOUDS_END))

    table = asyncio.run(look())
    then = (MOMENT - timedelta(hours=2)).timestamp()
    here: dict[Key, list[TrackedFile]] = {}
    for number, row in enumerate(table.rows):
        for column, cell in enumerate(row.cells):
            version = cell.version
            if number % 9 == 5 and column == 0:
                older = (one for _, one in table.archive[0] if _ == row.spot and one.baseline == "AB")
                version = next(older, None)
            if version is None or (number + 2 * column) % 7 in (4, 5) or number % 6 == 3:
                continue
            for request in table.requests[version.name]:
                assert request.key is not None and request.day is not None
                request.path.parent.mkdir(parents=True, exist_ok=True)
                request.path.touch()
                os.utime(request.path, (then, then))
                file = TrackedFile(request.key, request.day, request.url, str(request.path))
                here.setdefault(request.key, []).append(file)
    for key, files in here.items():
        session.registry.baseline(key).record_all(files)


def row_of(number: int, **changes: Any) -> QueueRow:
    """A transfer of a command on another machine."""
    times = f"20251228T{number:02d}1152Z_20251228T{number + 1:02d}5213Z"
    name = f"ECA_EXBC_CPR_CLD_2A_{times}_{8995 + number:05d}C.h5"
    row = QueueRow(
        path=f"{FOLDER}/{name}",
        url=f"{BASE}/data/{name}",
        state="waiting",
        size=4_194_304,
        root="/data/maap",
        position=float(number),
        pid=4242,
        host="cluster",
        verb="sync",
        changed=time.time(),
    )
    return replace(row, **changes)


def queue_up(session: Session, rows: list[QueueRow]) -> None:
    queue = Queue(session.dirs.queue_file)
    queue.save(rows)
    queue.close()


def busy_rows() -> list[QueueRow]:
    return [
        *(row_of(number, state="running", received=number * 800_000) for number in (1, 2, 3, 4)),
        row_of(5, state="failed", tries=6, reason="503 Service Unavailable"),
        row_of(6, state="paused", received=1_000_000),
        *(row_of(number) for number in range(7, 16)),
        row_of(0, state="finished", received=4_194_304),
    ]


def abandon(session: Session) -> None:
    queue_up(session, [row_of(number, changed=time.time() - 7200, received=99_000) for number in range(5)])


def remember(session: Session) -> None:
    """A week of runs, and six weeks of one baseline."""
    track(session)
    book = Runs(session.dirs)
    for day in range(6, -1, -1):
        begun = MOMENT.replace(hour=6, minute=0, second=3) - timedelta(days=day)
        lines = [("CPR_CLD_2A", 126, 0, 190), ("ATL_EBD_2A", 98, 28 if day == 1 else 0, 700)]
        for number, (product, got, failed, size) in enumerate(lines):
            start = begun + timedelta(minutes=4 * number)
            book.add(
                Run(
                    f"{start:%Y%m%dT%H%M%SZ}-00{day}{number}",
                    "sync",
                    ("sync", L2, product, "BC", "--quiet"),
                    "/home/maap",
                    "node1",
                    4242,
                    start,
                    start + timedelta(seconds=97 + 31 * day + 200 * number),
                    3 if failed else 0,
                    DONE,
                    Counts(378, got, 378 - got - failed, failed, bytes=(size + 7 * day) << 20),
                )
            )
    start = MOMENT - timedelta(days=2, hours=3)
    book.add(
        Run(
            "20260113T063000Z-dead",
            "get",
            ("get", L2, "CPR_CD__2A", "BC"),
            "/tmp",
            "node1",
            1,
            start,
            state=KILLED,
        )
    )
    words, freed = ("state", "cleanup", L2, "CPR_CLD_2A", "BC"), Counts(deleted=40, bytes=60 << 20)
    end = MOMENT - timedelta(hours=5)
    book.add(
        Run(
            "20260115T043000Z-0c1e",
            "cleanup",
            words,
            "/tmp",
            "node1",
            1,
            end,
            end + timedelta(seconds=2),
            0,
            DONE,
            freed,
        )
    )


def lose_token(session: Session) -> None:
    session.dirs.credentials_file.unlink()


def lose_names(session: Session) -> None:
    shutil.rmtree(session.dirs.catalog_dir)
    shutil.rmtree(session.dirs.built_catalog_dir)


# How to come to each picture


async def wait_for(text: str, app: MaapApp, pilot: Pilot[Any]) -> None:
    await wait_until(lambda: text in text_of(app), pilot)


async def go(key: str, kind: type, app: MaapApp, pilot: Pilot[Any]) -> Any:
    # Where the app begins in that mode the key would wait until it has read its files, and act later.
    if not isinstance(app.screen, kind):
        await pilot.press(key)
    await wait_until(lambda: isinstance(app.screen, kind) and app.screen.children, pilot)
    return app.screen


async def browse(app: MaapApp, pilot: Pilot[Any]) -> None:
    await wait_for("9 product types", app, pilot)
    await wait_until(lambda: all(one.is_finished for one in app.workers), pilot)
    await pilot.pause()


async def today_empty(app: MaapApp, pilot: Pilot[Any]) -> None:
    await wait_for("Nothing is tracked yet", app, pilot)


async def today(app: MaapApp, pilot: Pilot[Any]) -> None:
    await wait_for("38 files of 1 baseline", app, pilot)
    await wait_for("cleanup CPR_CLD_2A", app, pilot)


async def today_runs(app: MaapApp, pilot: Pilot[Any]) -> None:
    await today(app, pilot)
    await pilot.press("tab", "down")


async def today_unreadable(app: MaapApp, pilot: Pilot[Any]) -> None:
    await wait_for("Nothing is known of what is missing.", app, pilot)


async def browse_baseline(app: MaapApp, pilot: Pilot[Any]) -> None:
    await browse(app, pilot)
    screen = app.screen
    assert isinstance(screen, BrowseScreen)
    screen.receive(L2, "AC__TC__2B", "BC")
    await wait_until(lambda: getattr(screen.tree_view.branch, "baseline", "") == "BC", pilot)
    await wait_for("7,032 ", app, pilot)


async def browse_filter(app: MaapApp, pilot: Pilot[Any]) -> None:
    await browse(app, pilot)
    await pilot.press("slash", *"doppler")
    await wait_for("Doppler velocity", app, pilot)


async def browse_offline(app: MaapApp, pilot: Pilot[Any]) -> None:
    screen = app.screen
    assert isinstance(screen, BrowseScreen)
    await wait_until(lambda: screen.tree_view.has_focus and screen.tree_view.branch is not None, pilot)
    await pilot.press("down", "down", "down", "enter")
    await wait_for("offline", app, pilot)


async def search(app: MaapApp, pilot: Pilot[Any]) -> SearchScreen:
    screen: SearchScreen = await go("2", SearchScreen, app, pilot)
    await wait_until(
        lambda: screen.is_ready and screen.form.known.queryables_of("JAXAL2Validated_MAAP"), pilot
    )
    await wait_until(lambda: not screen.focused or screen.focused.has_focus, pilot)
    return screen


async def search_empty(app: MaapApp, pilot: Pilot[Any]) -> None:
    await search(app, pilot)


async def search_matches(app: MaapApp, pilot: Pilot[Any]) -> None:
    screen = await search(app, pilot)
    screen.form.fill(Terms(L2, "", "", "2025-12-28"))
    screen.query_one("#product_type").focus()
    await pilot.press(*"cloud")
    await wait_for("Match", app, pilot)


async def search_wrong(app: MaapApp, pilot: Pilot[Any]) -> None:
    screen = await search(app, pilot)
    screen.form.fill(Terms(L2, "CPR_CLD_2A", "BC", "2025-13-01"))


async def run(app: MaapApp, pilot: Pilot[Any]) -> SearchScreen:
    screen = await search(app, pilot)
    screen.form.fill(ONE_DAY)
    if app.size.width >= WIDE[0]:
        # There the form stands beside the results; a search that begins first leaves the count out.
        await wait_for("granules at the archive", app, pilot)
    await pilot.press("ctrl+r")
    return screen


async def search_full(app: MaapApp, pilot: Pilot[Any]) -> None:
    screen = await run(app, pilot)
    await wait_until(lambda: not screen.is_searching and not screen.states.is_looking, pilot)
    screen.results.focus()
    await pilot.press("down", "space", "space", "space")
    await wait_for("Selected: 3 files", app, pilot)


async def search_not_here(app: MaapApp, pilot: Pilot[Any]) -> None:
    screen = await run(app, pilot)
    await wait_until(lambda: not screen.is_searching and not screen.states.is_looking, pilot)
    for row in screen.results.rows[::3]:
        path = app.backend.session.filing.request_of(row.granule, row.files[0]).path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(8))
    screen.states.look_at_all()
    screen.results.focus()
    await pilot.press("down", "n")
    await wait_for("20 not here (n: all)", app, pilot)


async def search_map(app: MaapApp, pilot: Pilot[Any]) -> None:
    await search_full(app, pilot)
    await pilot.press("M")
    await wait_until(lambda: isinstance(app.screen, MapScreen), pilot)
    await wait_for("marked 3", app, pilot)


async def search_failed(app: MaapApp, pilot: Pilot[Any]) -> None:
    screen = await run(app, pilot)
    await wait_until(lambda: not screen.is_searching, pilot)
    await wait_for("The search failed", app, pilot)


SEARCHES: dict[str, Choices] = {
    "hyytiala weekly": {"baseline": "newest", "days_back": 7, "point": "61.8,24.3", "radius": "100"},
    "arctic frames": {"baseline": "BC", "days_back": 7, "frame": "C,D", "newest_first": True},
    "": {"baseline": "BC", "date": "2025-12-01..2025-12-31"},
}


def save_searches(session: Session) -> None:
    """Two saved searches, one of them made twice, and a past one."""
    history = SearchHistory(session.dirs)
    for number, (name, choices) in enumerate(SEARCHES.items()):
        whole: Choices = {"collection": L2, "product": "CPR_CLD_2A", **choices}
        if name:
            SavedSearches(session.dirs.searches_file).save(name, whole)
        for days_ago, count in (((8, 6), (1, 9)), (), ((2, 3859),))[number]:
            granules = FoundGranules()
            granules.add(map(str, range(count)))
            history.note(whole, granules, now=MOMENT - timedelta(days=days_ago), is_saved=bool(name))


async def search_saved(app: MaapApp, pilot: Pilot[Any]) -> None:
    await search(app, pilot)
    await wait_for("Latitude", app, pilot)  # the columns fit the list beside the form
    await pilot.press("ctrl+o")
    await wait_for("3 new since", app, pilot)


async def search_busy(app: MaapApp, pilot: Pilot[Any]) -> None:
    await run(app, pilot)
    await wait_for("ctrl+r stops it", app, pilot)


async def downloads_empty(app: MaapApp, pilot: Pilot[Any]) -> None:
    await go("3", DownloadsScreen, app, pilot)
    await wait_for("Nothing in the queue", app, pilot)
    await wait_for("free", app, pilot)


async def downloads_busy(app: MaapApp, pilot: Pilot[Any], count: int = 16) -> None:
    screen: DownloadsScreen = await go("3", DownloadsScreen, app, pilot)
    await wait_until(lambda: len(screen.table.rows) == count, pilot)
    screen.table.move_to_key(next(line.key for line in screen.table.rows if line.state == "failed"))
    await wait_until(lambda: screen.head.free is not None, pilot)
    running = [line for line in screen.table.rows if line.state == "running"]
    await wait_until(lambda: all(line.marks for line in running), pilot)
    await wait_for(f"2 of {count:,} files", app, pilot)  # what others transfer is counted


async def downloads_many(app: MaapApp, pilot: Pilot[Any]) -> None:
    await downloads_busy(app, pilot, 3016)


async def left_work(app: MaapApp, pilot: Pilot[Any]) -> None:
    await wait_until(lambda: isinstance(app.screen, ConfirmDialog), pilot)


async def downloads_left(app: MaapApp, pilot: Pilot[Any]) -> None:
    await left_work(app, pilot)
    await pilot.press("escape")
    await go("3", DownloadsScreen, app, pilot)
    await wait_for("interrupted", app, pilot)
    await wait_for("free", app, pilot)


async def downloads_damaged(app: MaapApp, pilot: Pilot[Any]) -> None:
    screen: DownloadsScreen = await go("3", DownloadsScreen, app, pilot)
    await wait_for("a new one is used", app, pilot)
    queue_up(app.backend.session, busy_rows())
    await wait_until(lambda: len(screen.table.rows) == 16, pilot)
    await wait_for("free", app, pilot)
    await wait_for("2 of 16 files", app, pilot)  # what others transfer is counted


async def downloads_unusable(app: MaapApp, pilot: Pilot[Any]) -> None:
    await downloads_empty(app, pilot)
    await wait_for("cannot be used", app, pilot)


async def registry(app: MaapApp, pilot: Pilot[Any]) -> RegistryScreen:
    screen: RegistryScreen = await go("4", RegistryScreen, app, pilot)
    await wait_until(lambda: screen.rows and all(row.size is not None for row in screen.rows.values()), pilot)
    return screen


async def registry_full(app: MaapApp, pilot: Pilot[Any]) -> None:
    await registry(app, pilot)


async def registry_wide(app: MaapApp, pilot: Pilot[Any]) -> None:
    await registry(app, pilot)
    await wait_for("2 baselines: ", app, pilot)


async def registry_empty(app: MaapApp, pilot: Pilot[Any]) -> None:
    await go("4", RegistryScreen, app, pilot)
    await wait_for("Nothing is tracked yet", app, pilot)


async def registry_unreadable(app: MaapApp, pilot: Pilot[Any]) -> None:
    await go("4", RegistryScreen, app, pilot)
    await wait_for("cannot be read", app, pilot)


async def days(app: MaapApp, pilot: Pilot[Any]) -> None:
    screen = await registry(app, pilot)
    await pilot.press("enter")
    await wait_until(lambda: screen.query_one(DayStrip).day is not None, pilot)
    screen.query_one(DayStrip).move_to(date(2025, 12, 20))
    files = screen.query_one("#files", RowList)
    await wait_until(lambda: {row.day for row in files.rows} == {date(2025, 12, 20)}, pilot)


async def cleanup(app: MaapApp, pilot: Pilot[Any]) -> None:
    await registry(app, pilot)
    await pilot.press("D")
    await wait_until(lambda: isinstance(app.screen, ConfirmDialog), pilot)


async def log(app: MaapApp, pilot: Pilot[Any]) -> LogScreen:
    """The settings that name no folder, since those differ from run to run."""
    screen: LogScreen = await go("5", LogScreen, app, pilot)
    await wait_until(lambda: screen.query_one("#settings", RowList).rows, pilot)
    await pilot.press("tab", "slash", *"downloads.", "enter")
    await wait_until(
        lambda: screen.query_one("#settings", RowList).current.key.startswith("downloads."), pilot
    )
    return screen


async def registry_many(app: MaapApp, pilot: Pilot[Any]) -> None:
    await go("4", RegistryScreen, app, pilot)
    await wait_for("200 baselines", app, pilot)
    await pilot.press("end")


async def search_filtered(app: MaapApp, pilot: Pilot[Any]) -> None:
    await search_full(app, pilot)
    await pilot.press("slash", *"zebra", "enter")
    await wait_for("leaves none of", app, pilot)


async def gaps(app: MaapApp, pilot: Pilot[Any]) -> None:
    await registry_full(app, pilot)
    await pilot.press("n")
    await wait_until(lambda: isinstance(app.screen, GapsDialog), pilot)


async def sets_empty(app: MaapApp, pilot: Pilot[Any]) -> None:
    await registry(app, pilot)
    await pilot.press("t")
    await wait_for("No set is declared", app, pilot)


async def sets(app: MaapApp, pilot: Pilot[Any]) -> None:
    await go("4", RegistryScreen, app, pilot)
    app.push_screen(SetsScreen([CLOUDS], days=1, end=CLOUDS_END))
    await wait_for("complete", app, pilot)
    await wait_until(lambda: "asking" not in text_of(app), pilot)
    await pilot.press("down", "space", "space")


async def coverage_months(app: MaapApp, pilot: Pilot[Any]) -> None:
    await gaps(app, pilot)
    await pilot.press("tab")
    await wait_for("none here", app, pilot)


async def coverage_years(app: MaapApp, pilot: Pilot[Any]) -> None:
    await coverage_months(app, pilot)
    await pilot.press("tab")
    await wait_for("10 11 12", app, pilot)


async def log_empty(app: MaapApp, pilot: Pilot[Any]) -> None:
    await log(app, pilot)


async def log_full(app: MaapApp, pilot: Pilot[Any]) -> None:
    for number in range(30):
        app.backend.write_log("info", f"Downloaded ECA_EXBC_CPR_CLD_2A_20251228T{number:02d}1152Z_08995C.h5")
    app.backend.write_log("warning", "The offline token is good for 9 more days.")
    app.backend.write_log("error", "FAILED DAY: 2025-12-28 (503 Service Unavailable)")
    screen = await log(app, pilot)
    screen.sample()


async def sign_in(app: MaapApp, pilot: Pilot[Any]) -> None:
    await pilot.press("f8")
    await wait_until(lambda: isinstance(app.screen, SignInDialog), pilot)
    await pilot.press(*"Bearer abc")


async def palette(app: MaapApp, pilot: Pilot[Any]) -> None:
    await pilot.press("ctrl+p")
    await pilot.pause()
    await pilot.press(*"doppler")
    await wait_for("CPR_CD__2A", app, pilot)
    await app.workers.wait_for_complete(
        [one for one in app.workers if one.node is app.screen and not one.is_finished]
    )


async def granule(app: MaapApp, pilot: Pilot[Any]) -> None:
    await search_full(app, pilot)
    await pilot.press("enter")
    await wait_until(lambda: isinstance(app.screen, GranuleDialog), pilot)


async def granule_picture(app: MaapApp, pilot: Pilot[Any]) -> None:
    await granule(app, pilot)
    await pilot.press("v")
    await wait_until(lambda: any(sign in text_of(app) for sign in ("▀", "@@@@", "████")), pilot)


async def granule_headers(app: MaapApp, pilot: Pilot[Any]) -> None:
    await granule(app, pilot)
    await pilot.press("h")
    await wait_for("None of its files is here", app, pilot)
    await pilot.press("d")
    await wait_for("degrees_north", app, pilot)
    app.clear_notifications()


async def help_of_browse(app: MaapApp, pilot: Pilot[Any]) -> None:
    await browse(app, pilot)
    await pilot.press("question_mark")
    await wait_until(lambda: isinstance(app.screen, HelpDialog), pilot)


async def help_searched(app: MaapApp, pilot: Pilot[Any]) -> None:
    await downloads_busy(app, pilot)
    await pilot.press("question_mark")
    await wait_until(lambda: isinstance(app.screen, HelpDialog), pilot)
    await pilot.press(*"again", "down")
    await wait_until(lambda: len(app.screen.query_one(RowList).shown) < 9, pilot)


async def quit_question(app: MaapApp, pilot: Pilot[Any]) -> None:
    """Ten files of a baseline that nobody answers for, eight of them at once."""
    folder = app.backend.session.dirs.data_dir
    names = [Path(row_of(number).path).name for number in range(10)]
    files = [
        DownloadRequest(f"{BASE}/data/{name}", folder / name, 4_194_304, key=KEY, day=date(2025, 12, 28))
        for name in names
    ]
    await app.backend.queue_files(files)
    await wait_until(lambda: [job.state for job in app.backend.live_jobs].count("running") == 8, pilot)
    await wait_for("CPR_CLD_2A", app, pilot)  # what is missing was read again
    await pilot.press("q")
    await wait_until(lambda: isinstance(app.screen, ConfirmDialog), pilot)


async def small(app: MaapApp, pilot: Pilot[Any]) -> None:
    await wait_for("too small", app, pilot)


# The pictures


@dataclass(frozen=True)
class Picture:
    shoot: Shoot
    size: tuple[int, int] = (80, 24)
    prepare: Callable[[Session], object] | None = None
    network: int | None = None
    """None for the archive, else what `Refusing` does."""
    options: tuple[str, ...] = ()
    """Options of the app that are on."""
    settings: Mapping[str, object] = field(default_factory=dict)
    """Settings that are not the default."""
    mode: str = "browse"
    """The mode that the app opens with: what is drawn of another one first is not in the picture."""
    is_long: bool = False
    """Whether it is looked at with the long tests only."""


WIDE, NARROW, HUGE = (120, 40), (60, 16), (200, 60)
LIGHT = {"ui.theme": "maap-light"}
UNREADABLE = {"paths.registry_dir": "/dev/null/registry"}


def busy(session: Session) -> None:
    queue_up(session, busy_rows())


def fill_queue(session: Session) -> None:
    """Three thousand transfers, as after a search of a month."""
    more = [
        row_of(number % 24, path=f"{FOLDER}/{number:05d}.h5", position=100.0 + number)
        for number in range(3000)
    ]
    queue_up(session, [*busy_rows(), *more])


def track_many(session: Session) -> None:
    """Two hundred baselines, with a file each."""
    day = date(2026, 1, 10)
    for number in range(200):
        key = Key("EarthCARE", L2, f"CPR_X{number:02d}_2A"[:10], f"B{chr(65 + number % 26)}")
        url = f"{BASE}/data/{key.product_type}_{key.baseline}_{number}.h5"
        session.registry.baseline(key).add([TrackedFile(key, day, url, f"/data/{number}.h5")])
    then = (MOMENT - timedelta(hours=2)).timestamp()
    for path in session.dirs.registry_dir.rglob("*"):
        os.utime(path, (then, then))


def damage_queue(session: Session) -> None:
    session.dirs.queue_file.parent.mkdir(parents=True, exist_ok=True)
    session.dirs.queue_file.write_bytes(b"no database" * 1000)


def block_queue(session: Session) -> None:
    session.dirs.queue_file.mkdir(parents=True)


PICTURES = {
    "today_empty": Picture(today_empty, mode="today"),
    "today_full": Picture(today, prepare=remember, mode="today"),
    "today_runs": Picture(today_runs, prepare=remember, mode="today"),
    "today_wide": Picture(today, WIDE, prepare=remember, mode="today"),
    "today_narrow": Picture(today, NARROW, prepare=remember, mode="today", is_long=True),
    "today_plain": Picture(today, prepare=remember, options=("is_ascii", "no_colour"), mode="today"),
    "today_light": Picture(today, prepare=remember, settings=LIGHT, mode="today", is_long=True),
    "today_unreadable": Picture(today_unreadable, settings=UNREADABLE, mode="today", is_long=True),
    "today_huge": Picture(today, HUGE, prepare=remember, mode="today", is_long=True),
    "browse_start": Picture(browse),
    "browse_light": Picture(browse_baseline, settings=LIGHT, is_long=True),
    "browse_huge": Picture(browse_baseline, HUGE, is_long=True),
    "browse_unknown": Picture(browse_offline, prepare=lose_names, network=0),
    "browse_baseline": Picture(browse_baseline),
    "browse_baseline_wide": Picture(browse_baseline, WIDE),
    "browse_baseline_narrow": Picture(browse_baseline, NARROW, is_long=True),
    "browse_filter": Picture(browse_filter),
    "browse_too_small": Picture(small, (50, 14)),
    "browse_ascii": Picture(browse_baseline, options=("is_ascii",)),
    "search_empty": Picture(search_empty, mode="search"),
    "search_matches": Picture(search_matches, mode="search"),
    "search_wrong": Picture(search_wrong, mode="search"),
    "search_busy": Picture(search_busy, network=-1, mode="search"),
    "search_full": Picture(search_full, mode="search"),
    "search_full_light": Picture(search_full, settings=LIGHT, mode="search", is_long=True),
    "search_full_huge": Picture(search_full, HUGE, mode="search", is_long=True),
    "search_filtered": Picture(search_filtered, mode="search", is_long=True),
    "search_full_wide": Picture(search_full, WIDE, mode="search"),
    "search_full_wide_plain": Picture(
        search_full, WIDE, options=("is_ascii", "no_colour"), mode="search", is_long=True
    ),
    "search_full_narrow": Picture(search_full, NARROW, mode="search", is_long=True),
    "search_not_here": Picture(search_not_here, mode="search"),
    "search_not_here_wide": Picture(search_not_here, WIDE, mode="search", is_long=True),
    "search_not_here_plain": Picture(
        search_not_here, options=("is_ascii", "no_colour"), mode="search", is_long=True
    ),
    "search_no_colour": Picture(search_full, options=("no_colour",), mode="search"),
    "search_saved": Picture(search_saved, prepare=save_searches, mode="search"),
    "search_saved_wide": Picture(search_saved, WIDE, prepare=save_searches, mode="search", is_long=True),
    "search_saved_plain": Picture(
        search_saved, prepare=save_searches, options=("is_ascii", "no_colour"), mode="search", is_long=True
    ),
    "search_map": Picture(search_map, mode="search"),
    "search_map_light": Picture(search_map, settings=LIGHT, mode="search", is_long=True),
    "search_map_huge": Picture(search_map, HUGE, mode="search", is_long=True),
    "search_map_wide": Picture(search_map, WIDE, mode="search"),
    "search_map_plain": Picture(search_map, options=("is_ascii", "no_colour"), mode="search", is_long=True),
    "search_failed": Picture(search_failed, network=0, mode="search"),
    "downloads_empty": Picture(downloads_empty, mode="downloads"),
    "downloads_busy": Picture(downloads_busy, prepare=busy, mode="downloads"),
    "downloads_light": Picture(downloads_busy, prepare=busy, settings=LIGHT, mode="downloads", is_long=True),
    "downloads_huge": Picture(downloads_busy, HUGE, prepare=busy, mode="downloads", is_long=True),
    "downloads_many": Picture(downloads_many, prepare=fill_queue, mode="downloads", is_long=True),
    "downloads_busy_wide": Picture(downloads_busy, WIDE, prepare=busy, mode="downloads"),
    "downloads_busy_narrow": Picture(downloads_busy, NARROW, prepare=busy, mode="downloads", is_long=True),
    "downloads_ascii": Picture(
        downloads_busy, prepare=busy, options=("is_ascii", "no_colour"), mode="downloads"
    ),
    "downloads_question": Picture(left_work, prepare=abandon),
    "downloads_left": Picture(downloads_left, prepare=abandon),
    "downloads_damaged": Picture(downloads_damaged, prepare=damage_queue, mode="downloads", is_long=True),
    "downloads_unusable": Picture(downloads_unusable, prepare=block_queue, mode="downloads"),
    "registry_unreadable": Picture(registry_unreadable, settings=UNREADABLE, mode="registry"),
    "registry_empty": Picture(registry_empty, mode="registry"),
    "registry_full": Picture(registry_full, prepare=track, mode="registry"),
    "registry_plain": Picture(
        registry_full, prepare=track, options=("is_ascii", "no_colour"), mode="registry", is_long=True
    ),
    "registry_light": Picture(registry_full, prepare=track, settings=LIGHT, mode="registry", is_long=True),
    "registry_many": Picture(registry_many, prepare=track_many, mode="registry", is_long=True),
    "registry_huge": Picture(registry_wide, HUGE, prepare=track_two, mode="registry", is_long=True),
    "registry_wide": Picture(registry_wide, WIDE, prepare=track_two, mode="registry"),
    "registry_days": Picture(days, prepare=track, mode="registry"),
    "registry_days_wide": Picture(days, WIDE, prepare=track, mode="registry", is_long=True),
    "registry_cleanup": Picture(cleanup, prepare=track, mode="registry"),
    "registry_gaps": Picture(gaps, prepare=track, mode="registry"),
    "sets": Picture(sets, prepare=collect, mode="registry"),
    "sets_wide": Picture(sets, WIDE, prepare=collect, mode="registry", is_long=True),
    "sets_plain": Picture(
        sets, prepare=collect, options=("is_ascii", "no_colour"), mode="registry", is_long=True
    ),
    "sets_empty": Picture(sets_empty, prepare=track, mode="registry"),
    "coverage_months": Picture(coverage_months, prepare=track, mode="registry"),
    "coverage_light": Picture(coverage_months, prepare=track, settings=LIGHT, mode="registry", is_long=True),
    "coverage_months_huge": Picture(coverage_months, HUGE, prepare=track, mode="registry", is_long=True),
    "coverage_months_wide": Picture(coverage_months, WIDE, prepare=track, mode="registry", is_long=True),
    "coverage_months_plain": Picture(
        coverage_months, prepare=track, options=("is_ascii", "no_colour"), mode="registry", is_long=True
    ),
    "coverage_years": Picture(coverage_years, prepare=track, mode="registry", is_long=True),
    "log_full": Picture(log_full),
    "log_light": Picture(log_full, settings=LIGHT, is_long=True),
    "log_huge": Picture(log_full, HUGE, is_long=True),
    "log_no_token": Picture(log_empty, prepare=lose_token),
    "quit": Picture(quit_question, network=-1, mode="today"),
    "quit_wide": Picture(quit_question, WIDE, network=-1, mode="today", is_long=True),
    "quit_narrow": Picture(quit_question, NARROW, network=-1, mode="today", is_long=True),
    "quit_plain": Picture(
        quit_question, network=-1, options=("is_ascii", "no_colour"), mode="today", is_long=True
    ),
    "sign_in": Picture(sign_in),
    "palette": Picture(palette),
    "palette_wide": Picture(palette, WIDE, is_long=True),
    "palette_plain": Picture(palette, options=("is_ascii", "no_colour"), is_long=True),
    "granule": Picture(granule, mode="search"),
    "granule_narrow": Picture(granule, NARROW, mode="search", is_long=True),
    "granule_wide": Picture(granule, WIDE, mode="search"),
    "granule_picture": Picture(granule_picture, mode="search"),
    "granule_picture_wide": Picture(granule_picture, WIDE, mode="search", is_long=True),
    "granule_picture_no_colour": Picture(
        granule_picture, options=("no_colour",), mode="search", is_long=True
    ),
    "granule_picture_plain": Picture(
        granule_picture, options=("is_ascii", "no_colour"), mode="search", is_long=True
    ),
    "granule_headers": Picture(granule_headers, mode="search"),
    "help_browse": Picture(help_of_browse),
    "help_searched": Picture(help_searched, prepare=busy, mode="downloads", is_long=True),
}
"""Id -> picture."""


@pytest.fixture
def make_app(
    archive: Application, furnished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Picture], MaapApp]:
    for name in ("TMUX", "SSH_TTY", "DISPLAY", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    # However long a picture takes, its archive is not said to be silent.
    monkeypatch.setattr("maap_tui.tui.backend.SILENT_S", float("inf"))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(2**40, 2**39, 2**39))

    def make(picture: Picture) -> MaapApp:
        home = tmp_path / "maap"
        shutil.copytree(furnished, home)
        transport = within(archive) if picture.network is None else Refusing(picture.network)
        session = load(home, transport, **picture.settings)
        if picture.prepare is not None:
            picture.prepare(session)
        monkeypatch.setattr(MaapApp, "DEFAULT_MODE", picture.mode)
        return MaapApp(session, clock=lambda: MOMENT, **dict.fromkeys(picture.options, True))

    return make


PERIODIC = {"elsewhere", "keep-log", "poll", "probe", "queue", "registry", "run", "watch"}
"""Groups of workers that come again and again, or never end."""


async def settle(app: MaapApp, pilot: Pilot[Any]) -> None:
    """Let the drawing come to rest, with cursors that do not blink.

    What still works may be about to change it; only a picture of work that goes on is taken meanwhile.
    """
    for one in (*app.screen.query(Input), *app.screen.query(TextArea)):
        one.cursor_blink = False
    before, same = "", 0
    while same < 4 or (same < 20 and any(one.group not in PERIODIC for one in app.workers)):
        sample = getattr(app.screen, "sample", None)
        if sample is not None:
            sample()
        await pilot.pause(0.03)
        now = text_of(app)
        same = same + 1 if now == before else 0
        before = now
    if app.screen.is_modal:
        # Reading the text of a dialog that is to be drawn again leaves out the screen below it.
        app.screen.refresh()
        await pilot.pause(0.03)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.long if one.is_long else ()) for name, one in PICTURES.items()],
)
def test_looks_the_same(
    name: str, make_app: Callable[[Picture], MaapApp], snap_compare: Callable[..., bool]
) -> None:
    picture = PICTURES[name]

    async def shoot(pilot: Pilot[Any]) -> None:
        app = pilot.app
        assert isinstance(app, MaapApp)
        await picture.shoot(app, pilot)
        await settle(app, pilot)

    assert snap_compare(make_app(picture), terminal_size=picture.size, run_before=shoot)


def test_no_picture_is_left_over() -> None:
    kept = {path.name for path in (Path(__file__).parent / "__snapshots__" / Path(__file__).stem).iterdir()}

    assert kept == {f"test_looks_the_same[{name}].svg" for name in PICTURES}
