"""What every mode looks like, empty, busy, full and in problem; the archive answers in this process.

`pytest tests/tui/test_snapshots.py --snapshot-update` accepts what is drawn now: look at each picture first.
"""

from __future__ import annotations

import asyncio
import shutil
from collections import namedtuple
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import picture_homes as homes
import picture_steps as steps
import pytest
from driving import text_of
from picture_homes import BASE, L2, MOMENT
from picture_steps import HUGE, NARROW, WIDE
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from maap_tui.demo.app import Application
from maap_tui.demo.content import Content
from maap_tui.demo.faults import Faults
from maap_tui.demo.stats import Stats
from maap_tui.demo.tokens import CLIENT_ID, CLIENT_SECRET, TokenService
from maap_tui.engine.missions import earthcare
from maap_tui.engine.session import Session
from maap_tui.tui.app import MaapApp

Usage = namedtuple("Usage", "total used free")
Shoot = Callable[[MaapApp, Pilot[Any]], Awaitable[None]]


pytestmark = pytest.mark.usefixtures("prompt_keys", "often", "apart_at_once")


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


LIGHT = {"ui.theme": "maap-light"}
UNREADABLE = {"paths.registry_dir": "/dev/null/registry"}


PICTURES = {
    "today_empty": Picture(steps.today_empty, mode="today"),
    "today_full": Picture(steps.today, prepare=homes.remember, mode="today"),
    "today_runs": Picture(steps.today_runs, prepare=homes.remember, mode="today"),
    "today_wide": Picture(steps.today, WIDE, prepare=homes.remember, mode="today", is_long=True),
    "today_narrow": Picture(steps.today, NARROW, prepare=homes.remember, mode="today", is_long=True),
    "today_plain": Picture(
        steps.today, prepare=homes.remember, options=("is_ascii", "no_colour"), mode="today"
    ),
    "today_light": Picture(steps.today, prepare=homes.remember, settings=LIGHT, mode="today", is_long=True),
    "today_unreadable": Picture(steps.today_unreadable, settings=UNREADABLE, mode="today", is_long=True),
    "today_huge": Picture(steps.today, HUGE, prepare=homes.remember, mode="today", is_long=True),
    "browse_start": Picture(steps.browse),
    "browse_light": Picture(steps.browse_baseline, settings=LIGHT, is_long=True),
    "browse_huge": Picture(steps.browse_baseline, HUGE, is_long=True),
    "browse_unknown": Picture(steps.browse_offline, prepare=homes.lose_names, network=0),
    "browse_baseline": Picture(steps.browse_baseline),
    "browse_baseline_wide": Picture(steps.browse_baseline, WIDE),
    "browse_baseline_narrow": Picture(steps.browse_baseline, NARROW, is_long=True),
    "browse_filter": Picture(steps.browse_filter),
    "browse_too_small": Picture(steps.small, (50, 14)),
    "browse_ascii": Picture(steps.browse_baseline, options=("is_ascii",), is_long=True),
    "search_empty": Picture(steps.search_empty, mode="search"),
    "search_matches": Picture(steps.search_matches, mode="search"),
    "search_wrong": Picture(steps.search_wrong, mode="search"),
    "search_busy": Picture(steps.search_busy, network=-1, mode="search"),
    "search_full": Picture(steps.search_full, mode="search"),
    "search_full_light": Picture(steps.search_full, settings=LIGHT, mode="search", is_long=True),
    "search_full_huge": Picture(steps.search_full, HUGE, mode="search", is_long=True),
    "search_filtered": Picture(steps.search_filtered, mode="search", is_long=True),
    "search_full_wide": Picture(steps.search_full, WIDE, mode="search"),
    "search_full_wide_plain": Picture(
        steps.search_full, WIDE, options=("is_ascii", "no_colour"), mode="search", is_long=True
    ),
    "search_full_narrow": Picture(steps.search_full, NARROW, mode="search", is_long=True),
    "search_not_here": Picture(steps.search_not_here, mode="search"),
    "search_not_here_wide": Picture(steps.search_not_here, WIDE, mode="search", is_long=True),
    "search_not_here_plain": Picture(
        steps.search_not_here, options=("is_ascii", "no_colour"), mode="search", is_long=True
    ),
    "search_no_colour": Picture(steps.search_full, options=("no_colour",), mode="search"),
    "search_saved": Picture(steps.search_saved, prepare=homes.save_searches, mode="search"),
    "search_saved_wide": Picture(
        steps.search_saved, WIDE, prepare=homes.save_searches, mode="search", is_long=True
    ),
    "search_saved_plain": Picture(
        steps.search_saved,
        prepare=homes.save_searches,
        options=("is_ascii", "no_colour"),
        mode="search",
        is_long=True,
    ),
    "search_map": Picture(steps.search_map, mode="search"),
    "search_map_light": Picture(steps.search_map, settings=LIGHT, mode="search", is_long=True),
    "search_map_huge": Picture(steps.search_map, HUGE, mode="search", is_long=True),
    "search_map_wide": Picture(steps.search_map, WIDE, mode="search", is_long=True),
    "search_map_plain": Picture(
        steps.search_map, options=("is_ascii", "no_colour"), mode="search", is_long=True
    ),
    "search_failed": Picture(steps.search_failed, network=0, mode="search"),
    "downloads_empty": Picture(steps.downloads_empty, mode="downloads"),
    "downloads_busy": Picture(steps.downloads_busy, prepare=homes.busy, mode="downloads"),
    "downloads_light": Picture(
        steps.downloads_busy, prepare=homes.busy, settings=LIGHT, mode="downloads", is_long=True
    ),
    "downloads_huge": Picture(steps.downloads_busy, HUGE, prepare=homes.busy, mode="downloads", is_long=True),
    "downloads_many": Picture(steps.downloads_many, prepare=homes.fill_queue, mode="downloads", is_long=True),
    "downloads_busy_wide": Picture(
        steps.downloads_busy, WIDE, prepare=homes.busy, mode="downloads", is_long=True
    ),
    "downloads_busy_narrow": Picture(
        steps.downloads_busy, NARROW, prepare=homes.busy, mode="downloads", is_long=True
    ),
    "downloads_ascii": Picture(
        steps.downloads_busy,
        prepare=homes.busy,
        options=("is_ascii", "no_colour"),
        mode="downloads",
        is_long=True,
    ),
    "downloads_question": Picture(steps.left_work, prepare=homes.abandon),
    "downloads_left": Picture(steps.downloads_left, prepare=homes.abandon),
    "downloads_damaged": Picture(
        steps.downloads_damaged, prepare=homes.damage_queue, mode="downloads", is_long=True
    ),
    "downloads_unusable": Picture(steps.downloads_unusable, prepare=homes.block_queue, mode="downloads"),
    "registry_unreadable": Picture(steps.registry_unreadable, settings=UNREADABLE, mode="registry"),
    "registry_empty": Picture(steps.registry_empty, mode="registry"),
    "registry_full": Picture(steps.registry_full, prepare=homes.track, mode="registry"),
    "registry_plain": Picture(
        steps.registry_full,
        prepare=homes.track,
        options=("is_ascii", "no_colour"),
        mode="registry",
        is_long=True,
    ),
    "registry_light": Picture(
        steps.registry_full, prepare=homes.track, settings=LIGHT, mode="registry", is_long=True
    ),
    "registry_many": Picture(steps.registry_many, prepare=homes.track_many, mode="registry", is_long=True),
    "registry_huge": Picture(
        steps.registry_wide, HUGE, prepare=homes.track_two, mode="registry", is_long=True
    ),
    "registry_wide": Picture(steps.registry_wide, WIDE, prepare=homes.track_two, mode="registry"),
    "registry_days": Picture(steps.days, prepare=homes.track, mode="registry"),
    "registry_days_wide": Picture(steps.days, WIDE, prepare=homes.track, mode="registry", is_long=True),
    "registry_cleanup": Picture(steps.cleanup, prepare=homes.track, mode="registry"),
    "registry_gaps": Picture(steps.gaps, prepare=homes.track, mode="registry"),
    "sets": Picture(steps.sets, prepare=homes.collect, mode="registry"),
    "sets_wide": Picture(steps.sets, WIDE, prepare=homes.collect, mode="registry", is_long=True),
    "sets_plain": Picture(
        steps.sets, prepare=homes.collect, options=("is_ascii", "no_colour"), mode="registry", is_long=True
    ),
    "sets_empty": Picture(steps.sets_empty, prepare=homes.track, mode="registry"),
    "coverage_months": Picture(steps.coverage_months, prepare=homes.track, mode="registry"),
    "coverage_light": Picture(
        steps.coverage_months, prepare=homes.track, settings=LIGHT, mode="registry", is_long=True
    ),
    "coverage_months_huge": Picture(
        steps.coverage_months, HUGE, prepare=homes.track, mode="registry", is_long=True
    ),
    "coverage_months_wide": Picture(
        steps.coverage_months, WIDE, prepare=homes.track, mode="registry", is_long=True
    ),
    "coverage_months_plain": Picture(
        steps.coverage_months,
        prepare=homes.track,
        options=("is_ascii", "no_colour"),
        mode="registry",
        is_long=True,
    ),
    "coverage_years": Picture(steps.coverage_years, prepare=homes.track, mode="registry", is_long=True),
    "log_full": Picture(steps.log_full),
    "log_light": Picture(steps.log_full, settings=LIGHT, is_long=True),
    "log_huge": Picture(steps.log_full, HUGE, is_long=True),
    "log_no_token": Picture(steps.log_empty, prepare=homes.lose_token),
    "quit": Picture(steps.quit_question, network=-1, mode="today"),
    "quit_wide": Picture(steps.quit_question, WIDE, network=-1, mode="today", is_long=True),
    "quit_narrow": Picture(steps.quit_question, NARROW, network=-1, mode="today", is_long=True),
    "quit_plain": Picture(
        steps.quit_question, network=-1, options=("is_ascii", "no_colour"), mode="today", is_long=True
    ),
    "sign_in": Picture(steps.sign_in),
    "palette": Picture(steps.palette),
    "palette_wide": Picture(steps.palette, WIDE, is_long=True),
    "palette_plain": Picture(steps.palette, options=("is_ascii", "no_colour"), is_long=True),
    "granule": Picture(steps.granule, mode="search"),
    "granule_narrow": Picture(steps.granule, NARROW, mode="search", is_long=True),
    "granule_wide": Picture(steps.granule, WIDE, mode="search", is_long=True),
    "granule_picture": Picture(steps.granule_picture, mode="search"),
    "granule_picture_wide": Picture(steps.granule_picture, WIDE, mode="search", is_long=True),
    "granule_picture_no_colour": Picture(
        steps.granule_picture, options=("no_colour",), mode="search", is_long=True
    ),
    "granule_picture_plain": Picture(
        steps.granule_picture, options=("is_ascii", "no_colour"), mode="search", is_long=True
    ),
    "granule_headers": Picture(steps.granule_headers, mode="search"),
    "help_browse": Picture(steps.help_of_browse),
    "help_searched": Picture(steps.help_searched, prepare=homes.busy, mode="downloads", is_long=True),
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
