"""The mode Browse: tree, filter, detail and every action, with the archive and without it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Any

import pytest
from driving import notices_of, text_of, wait_until
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Input, Static

from maap_tui.demo.archive import Archive
from maap_tui.engine.catalogue import built
from maap_tui.engine.model import BaselineInfo, Collection, parse_zulu
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.registry.registry import Registry
from maap_tui.engine.session import Session
from maap_tui.tui.app import MaapApp
from maap_tui.tui.dialogs.confirm import ConfirmDialog
from maap_tui.tui.dialogs.prompt import PromptDialog
from maap_tui.tui.dialogs.show_text import TextDialog
from maap_tui.tui.screens.browse.archive_tree import ArchiveTree, Branch, Label
from maap_tui.tui.screens.browse.screen import BrowseScreen

L1 = "EarthCAREL1Validated_MAAP"
L2 = "EarthCAREL2InstChecked_MAAP"
HOSTILE = ("[/foo]", "[@click=app.quit]x[/]", "\x1b[2Jgone", "a\u202eb")

MakeApp = Callable[..., MaapApp]
Offline = dict[str, Any]

NO_RETRY = {"api.retries": 0}


def browse(app: MaapApp) -> BrowseScreen:
    return next(one for one in app.screen_stack if isinstance(one, BrowseScreen))


def branch(app: MaapApp) -> Branch | None:
    return browse(app).tree_view.branch


def tree_of(app: MaapApp) -> str:
    """The lines of the tree alone."""
    region = browse(app).tree_view.region
    lines = text_of(app).splitlines()[region.y : region.bottom]
    return "\n".join(line[region.x : region.right] for line in lines)


def last_cells(app: MaapApp, words: str) -> list[str]:
    """What the last line of the tree with these words has in its columns."""
    line = next(one for one in reversed(tree_of(app).splitlines()) if words in one)
    return [cell for cell in line.split() if cell[0].isdigit() or cell in ("BA", "BC")][-5:]


def detail(app: MaapApp) -> str:
    return str(browse(app).query_one("#words", Static).content)


def activity(app: MaapApp) -> str:
    return str(browse(app).query_one("#activity", Static).content)


def quiet(app: MaapApp) -> bool:
    return not [worker for worker in app.workers if not worker.is_finished]


def write_names(session: Session, collection: str, products: list[str], baselines: list[str]) -> None:
    file = session.dirs.queryables_file(collection)
    file.parent.mkdir(parents=True, exist_ok=True)
    properties = {"product:type": {"enum": products}, "version": {"enum": baselines}}
    file.write_text(json.dumps({"properties": properties, "collection": collection}))


def write_catalog(session: Session, collection: str, product_type: str, baselines: dict[str, int]) -> None:
    catalogue = built.BuiltCatalogue(collection)
    catalogue.products[product_type] = {
        name: BaselineInfo(
            parse_zulu("2025-11-18T02:57:58Z"),
            parse_zulu("2026-01-14T20:49:38Z"),
            "08374A",
            "09272E",
            count,
            parse_zulu("2026-01-14T00:00:00Z"),
        )
        for name, count in baselines.items()
    }
    built.save(session.dirs.built_catalogue_file(collection), catalogue)


def known_here(session: Session) -> None:
    """A home that knows two collections, as an earlier run would have left it."""
    write_names(session, L1, ["ATL_NOM_1B", "CPR_NOM_1B", "MSI_NOM_1B"], ["ba", "bc"])
    write_names(session, L2, ["ATL_EBD_2A", "CPR_CLD_2A"], ["ba", "bc"])
    write_catalog(session, L2, "CPR_CLD_2A", {"BA": 53_988, "BC": 7_189})


async def go_to(pilot: Pilot[Any], *names: str) -> None:
    app = pilot.app
    assert isinstance(app, MaapApp)
    browse(app).receive(*names)
    wanted = dict(zip(("collection", "product_type", "baseline"), names, strict=False))
    await wait_until(
        lambda: (
            (at := branch(app)) is not None
            and all(getattr(at, name) == value for name, value in wanted.items())
        ),
        pilot,
    )


@pytest.fixture
def make_app(make_app: MakeApp) -> MakeApp:
    """Make an app in a home where none ran before: what it fetches, and what it lacks, is what is tested."""
    return partial(make_app, is_first=True)


@pytest.fixture
def offline() -> Offline:
    """What `make_app` takes for an archive that refuses every connection."""
    environ = {
        "MAAP_CATALOG_URL": "http://127.0.0.1:9/catalogue/",
        "MAAP_TOKEN_URL": "http://127.0.0.1:9/token",
    }
    return {"environ": environ, "overrides": NO_RETRY}


async def test_the_first_run_fetches_names_and_the_next_has_them_without_the_archive(
    make_app: MakeApp, offline: Offline
) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        # It is drawn from the tables before anything is read or asked.
        shown = text_of(app)
        assert "EarthCARE  12 collections" in shown
        assert L1 in shown
        assert branch(app) == Branch("EarthCARE")
        assert "Mission with 12 collections" in detail(app)
        # What is fetched leaves the cursor where it is.
        await pilot.press("down")
        assert branch(app) == Branch("EarthCARE", L1)
        await wait_until(lambda: text_of(app).count("product type") >= 12, pilot)
        assert branch(app) == Branch("EarthCARE", L1)
        assert "restricted 22 product types" in text_of(app)
        assert app.backend.session.dirs.queryables_file(L1).exists()
        await pilot.press("down", "down")
        assert "RESTRICTED: anyone can search" in detail(app)
        await wait_until(lambda: quiet(app), pilot)
    again = make_app(**offline)
    async with again.run_test(size=(80, 24)) as pilot:
        await wait_until(lambda: "restricted" in text_of(again), pilot)
        await pilot.press("down", "enter", "down")
        assert branch(again) is not None
        assert branch(again).product_type is not None  # type: ignore[union-attr]


async def test_opens_branch_by_branch_with_the_keys_alone(make_app: MakeApp, offline: Offline) -> None:
    app = make_app(prepare=known_here, **offline)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await wait_until(lambda: "2 product types" in text_of(app), pilot)
        await pilot.press("b")
        assert "Put the cursor on a collection" in notices_of(app)
        await pilot.press("S")
        assert "Put the cursor on a product type" in notices_of(app)
        await pilot.press(*"jjjjj")
        assert branch(app) == Branch("EarthCARE", L2)
        await pilot.press("enter", "down", "j")
        assert branch(app) == Branch("EarthCARE", L2, "CPR_CLD_2A")
        assert "C-CLD" in text_of(app)
        assert "cloud and precipitation properties" in text_of(app)
        await pilot.press("l", "l", "down")
        assert branch(app) == Branch("EarthCARE", L2, "CPR_CLD_2A", "BC")
        line = next(one for one in text_of(app).splitlines() if "since 2025-11-18" in one and "7,189" in one)
        assert line.split()[-5:] == ["newest,", "since", "2025-11-18", "7,189", "2026-01-14"]
        words = detail(app)
        assert "7,189 granules, counted 2026-01-14" in words
        assert "08374A to 09272E" in words
        await pilot.press("y")
        await wait_until(lambda: isinstance(app.screen, TextDialog), pilot)
        assert app.clipboard == f"{L2} CPR_CLD_2A BC", "as the commands take the names"
        await pilot.press("escape", "h")
        assert branch(app) == Branch("EarthCARE", L2, "CPR_CLD_2A")
        await pilot.press("h")
        await pilot.pause()
        assert "since" not in tree_of(app)
        await pilot.press("space")
        await pilot.pause()
        assert "53,988" in tree_of(app)


async def test_page_keys_go_through_the_tree_and_f9_through_the_themes(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await wait_until(lambda: "EarthCAREL2Validated_MAAP" in text_of(app), pilot)
        await pilot.press("home")
        await wait_until(lambda: "Mission with" in detail(app), pilot)
        first = detail(app)
        await pilot.press("pagedown")
        await wait_until(lambda: "Mission with" not in detail(app), pilot)
        await pilot.press("pageup", "pageup")
        await wait_until(lambda: detail(app) == first, pilot)
        assert app.theme == "maap-dark"
        await pilot.press("f9")
        await wait_until(lambda: app.theme == "maap-light" and "Theme: maap-light" in notices_of(app), pilot)
        for _ in range(len(app.available_themes) - 1):
            await pilot.press("f9")
        await wait_until(lambda: app.theme == "maap-dark", pilot)


async def test_without_archive_and_copies_it_says_what_to_do(make_app: MakeApp, offline: Offline) -> None:
    app = make_app(**offline)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await wait_until(lambda: "Shown as it was known last" in detail(app), pilot)
        await pilot.press("down", "enter", "down")
        await wait_until(lambda: "Not fetched" in text_of(app), pilot)
        await pilot.resize_terminal(60, 16)
        await wait_until(
            lambda: any(line.endswith("…") for line in text_of(app).splitlines() if "Not fetched:" in line),
            pilot,
        )
        assert "r fetches the names" in detail(app)
        await pilot.press("enter")
        await wait_until(lambda: "were not fetched" in notices_of(app), pilot)
        assert any("was not refreshed" in line.text for line in app.backend.log_lines)
        assert app.screen is browse(app)


async def test_refresh_says_what_is_new_or_why_not_and_leaves_what_is_known(
    make_app: MakeApp, archive: Archive
) -> None:
    app = make_app(prepare=known_here, overrides=NO_RETRY)
    archive.faults.add(target="catalogue", status=503)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await go_to(pilot, L1)
        await pilot.press("r")
        await wait_until(lambda: "503" in notices_of(app), pilot)
        await pilot.press("enter")
        await pilot.pause()
        assert "CPR_NOM_1B" in text_of(app)
        await wait_until(lambda: "Its names were not refreshed" in detail(app), pilot)
        archive.faults.clear()
        await pilot.press("r")
        await wait_until(lambda: f"product types in {L1}, new: " in notices_of(app), pilot)
        assert "not refreshed" not in detail(app)
        assert "BBR_NOM_1B" in text_of(app)


async def test_the_filter_shows_what_is_found_and_opens_it(make_app: MakeApp, offline: Offline) -> None:
    app = make_app(prepare=known_here, **offline)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await wait_until(lambda: "2 product types" in text_of(app), pilot)
        await pilot.press("slash", "c", "l", "d", "space", "b", "c")
        await pilot.pause()
        shown = text_of(app)
        assert "CPR_CLD_2A" in shown and "7,189" in shown
        assert "ATL_EBD_2A" not in shown and L1 not in shown
        assert branch(app) == Branch("EarthCARE", L2, "CPR_CLD_2A", "BC")
        await pilot.press("enter")
        assert app.focused is browse(app).tree_view
        await pilot.press("slash", "escape")
        await pilot.pause()
        assert branch(app) == Branch("EarthCARE", L2, "CPR_CLD_2A", "BC")
        assert L1 in text_of(app)
        # Nothing is found.
        await pilot.press("slash", *"zzz")
        await pilot.pause()
        assert "Nothing known here contains 'zzz'" in text_of(app)
        await pilot.press("b", "enter", "escape")
        await pilot.pause()
        assert "EarthCARE  12 collections" in text_of(app)
        # A branch that was closed while filtered stays closed, when the tree is made again too.
        await pilot.press("slash", *"cpr", "enter")
        await go_up_to(pilot, Branch("EarthCARE", L2))
        await pilot.press("enter", "r")
        await wait_until(lambda: f"The names of {L2} were not fetched" in notices_of(app), pilot)
        await pilot.pause()
        assert "CPR_CLD_2A" not in text_of(app) and "CPR_NOM_1B" in text_of(app)


async def go_up_to(pilot: Pilot[Any], wanted: Branch) -> None:
    app = pilot.app
    assert isinstance(app, MaapApp)
    await pilot.press("end")
    for _ in range(40):
        if branch(app) == wanted:
            return
        await pilot.press("up")
    raise AssertionError(f"{wanted} is not in the tree")


async def test_other_modes_and_the_mouse_open_the_tree_and_f_hands_over_what_the_cursor_is_on(
    make_app: MakeApp, offline: Offline, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(prepare=known_here, **offline)
    async with app.run_test(size=(120, 40)) as pilot:
        # That the archive is away is said above the tree, and moves it down.
        await wait_until(lambda: "has not answered since" in text_of(app), pilot)
        await wait_until(lambda: "2 product types" in text_of(app), pilot)
        lines = text_of(app).splitlines()
        row = next(at for at, line in enumerate(lines) if L2 in line)
        await pilot.click(offset=(10, row))
        await wait_until(lambda: "CPR_CLD_2A" in text_of(app), pilot)
        assert branch(app) == Branch("EarthCARE", L2)
        # The detail is laid out again when the terminal changed while another mode was shown.
        await pilot.press("g")
        await wait_until(lambda: "Mission with" in text_of(app), pilot)
        app.go("log")
        await wait_until(lambda: app.current_mode == "log", pilot)
        await pilot.resize_terminal(60, 16)
        app.go("browse")
        await wait_until(lambda: "Mission with 12 collections." in text_of(app), pilot)
        await pilot.resize_terminal(80, 24)
        app.go("search")
        await wait_until(lambda: app.current_mode == "search", pilot)
        app.go("browse", collection=L2, product_type="CPR_CLD_2A", baseline="bc")
        wanted = Branch("EarthCARE", L2, "CPR_CLD_2A", "BC")
        await wait_until(lambda: app.current_mode == "browse" and branch(app) == wanted, pilot)
        await wait_until(lambda: "7,189" in text_of(app), pilot)
        gone: list[tuple[str, dict[str, Any]]] = []
        monkeypatch.setattr(app, "go", lambda mode, **context: gone.append((mode, context)))
        await pilot.press("f", "enter", "g", "f")
        whole = {"collection": L2, "product_type": "CPR_CLD_2A", "baseline": "BC"}
        assert gone == [("search", whole), ("search", whole), ("search", {})]


async def test_receive_fetches_what_is_not_here_yet(make_app: MakeApp, archive: Archive) -> None:
    app = make_app()
    archive.faults.add(target="catalogue", match=f"{L2}/queryables", latency_s=1.0)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        # Names that are being fetched are waited for.
        await wait_until(lambda: "Fetching the names of" in activity(app), pilot)
        browse(app).receive(L2, "CPR_CLD_2A")
        await wait_until(lambda: branch(app) == Branch("EarthCARE", L2, "CPR_CLD_2A"), pilot)
        assert "is not known here" not in notices_of(app)
        browse(app).receive("AeolusL2AProducts")
        await wait_until(lambda: branch(app) == Branch("Aeolus", "AeolusL2AProducts"), pilot)
        browse(app).receive(L2, "NO_SUCH_2A")
        await wait_until(lambda: "NO_SUCH_2A is not known here" in notices_of(app), pilot)
        assert branch(app) == Branch("EarthCARE", L2)
        browse(app).receive("Nowhere")
        await wait_until(lambda: "No collection Nowhere" in notices_of(app), pilot)


async def test_a_baseline_is_counted_and_shown_and_the_same_key_stops_it(
    make_app: MakeApp, archive: Archive
) -> None:
    app = make_app(prepare=known_here, overrides=NO_RETRY)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await go_to(pilot, L1, "ATL_NOM_1B", "CD")
        await wait_until(lambda: quiet(app), pilot)
        await pilot.press("b")
        await wait_until(lambda: "The archive has nothing of ATL_NOM_1B CD" in notices_of(app), pilot)
        await wait_until(lambda: "0 granules, counted 2026-01-15" in detail(app), pilot)
        assert "CD   not counted" not in text_of(app)
        await go_to(pilot, L1, "ATL_NOM_1B", "BC")
        assert "not counted yet: b counts it" in detail(app)
        # The archive fails.
        await wait_until(lambda: quiet(app), pilot)
        archive.faults.add(target="search", status=503)
        await pilot.press("b")
        failed = "1 baseline of ATL_NOM_1B BC could not be counted"
        await wait_until(lambda: failed in notices_of(app), pilot)
        assert app.screen is browse(app)
        archive.faults.clear()
        # It works again, and goes on while another mode is shown.
        await wait_until(lambda: quiet(app), pilot)
        archive.faults.add(target="search", latency_s=0.5, times=1)
        await pilot.press("b")
        assert "Counting ATL_NOM_1B BC" in activity(app)
        app.go("log")
        await wait_until(lambda: "Counted 1 baseline of ATL_NOM_1B BC" in notices_of(app), pilot)
        app.go("browse")
        await wait_until(lambda: "granules, counted 2026-01-15" in detail(app), pilot)
        assert activity(app) == ""
        assert built.load(app.backend.session.dirs, L1) is not None
        # The same key stops it.
        await go_to(pilot, L1)
        await wait_until(lambda: quiet(app), pilot)
        archive.faults.add(target="search", latency_s=30.0)
        await pilot.press("b")
        assert f"Counting {L1}" in activity(app)
        await pilot.press("b")
        await wait_until(lambda: quiet(app), pilot)
        assert "What was counted is kept" in notices_of(app)
        browse(app).sample()
        assert activity(app) == ""


async def test_sync_asks_shows_what_it_means_queues_and_is_stopped_by_the_same_key(
    make_app: MakeApp, archive: Archive
) -> None:
    app = make_app(prepare=known_here, overrides=NO_RETRY)

    async def ask_for_sync(days: str) -> None:
        await wait_until(lambda: quiet(app), pilot)
        await pilot.press("S")
        await wait_until(lambda: isinstance(app.screen, PromptDialog), pilot)
        app.screen.query_one(Input).value = days
        await pilot.press("enter")

    async def see_question() -> str:
        await wait_until(lambda: isinstance(app.screen, ConfirmDialog), pilot)
        await pilot.pause()
        return text_of(app)

    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        # It can be refused, and needs no count.
        await go_to(pilot, L2, "CPR_CLD_2A")
        await wait_until(lambda: quiet(app), pilot)
        archive.faults.add(target="search", status=503)
        await ask_for_sync("7")
        assert "did not say how many" in await see_question()
        await pilot.press("escape")
        await wait_until(lambda: quiet(app), pilot)
        assert app.screen is browse(app)
        assert app.backend.transfers is None
        archive.faults.clear()
        # The days are a number or a time, the question says what it means, and the key that asked confirms
        # nothing.
        await go_to(pilot, L2, "CPR_CLD_2A", "BC")
        await ask_for_sync("none")
        assert isinstance(app.screen, PromptDialog)
        assert "'none' is not a date" in text_of(app)
        app.screen.query_one(Input).value = "missing 12h"
        await pilot.press("enter")
        shown = await see_question()
        assert "Sync missing 12h of" in shown
        await pilot.press("escape")
        await wait_until(lambda: quiet(app), pilot)
        await ask_for_sync("0")
        assert "1 hour to 36500 days back" in text_of(app)
        app.screen.query_one(Input).value = "1"
        await pilot.press("enter")
        shown = await see_question()
        assert "Sync the last 1 day" in shown
        assert "The archive has" in shown and "maap sync" in shown
        await pilot.press("S")
        assert isinstance(app.screen, ConfirmDialog)
        # The transfers themselves have tests of their own; at full speed they would hold up the pilot.
        app.backend.transfers = await app.backend.ask(paused_downloads)
        await pilot.press("y")
        await wait_until(lambda: "Sync of CPR_CLD_2A BC" in notices_of(app), pilot)
        # Of the last day only what was published within hours is there already.
        assert app.backend.transfers is not None and len(app.backend.transfers.jobs) > 30
        key = Key("EarthCARE", L2, "CPR_CLD_2A", "BC")
        assert app.backend.session.registry.baseline(key).stats().total_urls == len(
            app.backend.transfers.jobs
        )
        assert app.screen is browse(app)
        await wait_until(lambda: "discovered" in detail(app), pilot)
        # The same key stops it.
        await ask_for_sync("30")
        await see_question()
        archive.faults.add(target="search", latency_s=30.0)
        await pilot.press("y")
        await wait_until(lambda: "Syncing CPR_CLD_2A BC: S stops it" in activity(app), pilot)
        await pilot.press("S")
        await wait_until(lambda: quiet(app), pilot)
        assert "What was found is registered and queued" in notices_of(app)
        assert app.screen is browse(app)


async def paused_downloads(session: Session) -> Any:
    """A queue in which nothing may run."""
    downloads = session.downloads(verb="app")
    downloads.parallel = 0
    return downloads


async def test_shows_what_is_here_and_sees_the_registry_change(make_app: MakeApp, offline: Offline) -> None:
    key = Key("EarthCARE", L2, "CPR_CLD_2A", "BC")
    day = date(2026, 1, 14)

    def tracked(session: Session) -> None:
        known_here(session)
        entries = [TrackedFile(key, day, f"https://x.invalid/{n}.h5", f"/d/{n}.h5") for n in range(3)]
        session.registry.baseline(key).add(entries)
        session.registry.baseline(key).record(entries[0].url, "/d/0.h5", day)
        unknown = Key("EarthCARE", "JAXAL2Validated_MAAP", "CPR_CLP_2A", "BA")
        session.registry.add([TrackedFile(unknown, day, "https://x.invalid/j.h5")])

    app = make_app(prepare=tracked, **offline)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(lambda: re.search(r"JAXAL2Validated_MAAP +1 tracked", text_of(app)), pilot)
        await go_to(pilot, L2, "CPR_CLD_2A", "BC")
        await wait_until(lambda: "3 discovered, 1 here, 0 marked, 2 to download" in detail(app), pilot)
        await wait_until(lambda: last_cells(app, "newest,")[1:] == ["7,189", "1", "2", "2026-01-14"], pilot)
        app.backend.session.registry.baseline(key).record("https://x.invalid/1.h5", "/d/1.h5", day)
        app.backend.session.registry.baseline(key).mark([("/d/1.h5", day)])
        await wait_until(lambda: "3 discovered, 2 here, 1 marked, 1 to download" in detail(app), pilot)
        assert "Newest    file of 2026-01-14; registry changed 20" in detail(app)
        await pilot.press("h")
        # The product's line has its newest baseline, and what is here of all of them.
        await wait_until(lambda: "53,988" in detail(app) and "3 discovered" in detail(app), pilot)
        assert last_cells(app, "CPR_CLD_2A") == ["BC", "7,189", "2", "1", "2026-01-14"]


async def test_what_cannot_be_read_is_said_in_words_and_looked_at_again(
    make_app: MakeApp, offline: Offline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damage(session: Session) -> None:
        known_here(session)
        loop = session.dirs.registry_dir / "urls"
        loop.symlink_to(loop)
        session.dirs.queryables_file(L1).write_text("{")
        session.dirs.built_catalogue_file(L2).write_text("[]")
        file = session.dirs.cache_file("collections.json")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}")

    app = make_app(prepare=damage, **offline)
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_until(lambda: "is damaged" in detail(app), pilot)
        await wait_until(lambda: "The registry cannot be read" in detail(app), pilot)
        (app.backend.session.dirs.registry_dir / "urls").unlink()
        await wait_until(lambda: "The registry cannot be read" not in detail(app), pilot)
        await go_to(pilot, L1)
        await wait_until(lambda: "names cannot be read" in " ".join(detail(app).split()), pilot)
        await go_to(pilot, L2)
        words = " ".join(detail(app).split())
        assert "is damaged" in words and "maap catalog build" in words
        # An error that nobody thought of is shown here too: a dialog each time would be in the way.
        looks: list[bool] = []

        def fail(_: Registry) -> None:
            looks.append(True)
            raise RuntimeError("nobody thought of this")

        monkeypatch.setattr(Registry, "tracked", fail)
        await wait_until(lambda: "nobody thought of this" in text_of(app), pilot)
        await wait_until(lambda: len(looks) > 1, pilot)
        assert app.screen is browse(app)


async def test_hostile_names_change_nothing_but_the_text(make_app: MakeApp, offline: Offline) -> None:
    def hostile(session: Session) -> None:
        from maap_tui.engine.catalogue import index

        write_names(session, L1, [*HOSTILE, "ATL_NOM_1B"], list(HOSTILE))
        rows = [
            Collection(L1, HOSTILE[0], f"{HOSTILE[1]} {HOSTILE[2]}", HOSTILE, restricted=True),
            *(Collection(name, name, name) for name in HOSTILE),
        ]
        index.save_collections(session.dirs, rows)

    app = make_app(prepare=hostile, **offline)
    async with app.run_test(size=(60, 16), notifications=True, tooltips=True) as pilot:
        await wait_until(lambda: "restricted" in text_of(app), pilot)
        await pilot.press("down", "down", "down", "l", "down")
        for _ in range(4):
            await pilot.press("l", "down", "y")
            await wait_until(lambda: isinstance(app.screen, TextDialog), pilot)
            await pilot.press("escape")
        await pilot.press("b", "S", "f")
        await pilot.pause()
        for _ in range(3):
            if app.screen_stack[-1] is not app.screen_stack[0]:
                await pilot.press("escape")
        app.go("browse")
        await pilot.pause()
        await pilot.press("slash", *"foo", "enter", "end")
        await pilot.pause()
        shown = text_of(app)
        assert app.is_running
        assert "\x1b" not in shown and "\u202e" not in shown
        await pilot.press("slash", "escape")
        browse(app).receive(HOSTILE[1])
        await pilot.pause()
        assert "[@click=app.quit]x[/]" in text_of(app)
        for line in app.backend.log_lines:
            assert line.level in ("debug", "info", "warning", "error")


@pytest.mark.parametrize(
    ("size", "options"), [((60, 16), {"is_ascii": True}), ((80, 24), {"no_colour": True})]
)
async def test_small_ascii_and_without_colour(
    make_app: MakeApp, offline: Offline, size: tuple[int, int], options: dict[str, bool]
) -> None:
    app = make_app(prepare=known_here, **offline, **options)
    async with app.run_test(size=size) as pilot:
        await go_to(pilot, L2, "CPR_CLD_2A", "BC")
        await pilot.pause()
        shown = text_of(app)
        assert "BC" in shown and "7,189" in shown and "Search" in shown
        if "is_ascii" in options:
            from maap_tui.tui.theme import as_ascii

            assert as_ascii(shown).isascii()
        else:
            tree = browse(app).tree_view
            strip = tree.render_line(tree.cursor_line - tree.scroll_offset.y)
            assert any(segment.style and segment.style.reverse for segment in strip)


async def test_titles_stand_over_their_columns_with_and_without_a_scrollbar(
    make_app: MakeApp, offline: Offline
) -> None:
    app = make_app(**offline)
    known_here(app.backend.session)

    def are_titles_right() -> bool:
        tree = browse(app).tree_view
        title = next(line for line in text_of(app).splitlines() if "Missing" in line)
        return title.index("Last") + len("Last") == tree.scrollable_content_region.right

    async with app.run_test(size=(100, 18)) as pilot:
        tree = browse(app).tree_view
        await go_to(pilot, L2)
        for key, bar in (("right", True), ("home", True), ("left", False), ("right", True)):
            await pilot.press(key)
            await wait_until(lambda bar=bar: tree.show_vertical_scrollbar == bar, pilot)  # type: ignore[misc]
            await wait_until(are_titles_right, pilot)


class Grove(App[None]):
    """A tree alone, of one collection."""

    def __init__(self) -> None:
        super().__init__()
        self.here = [Branch("EarthCARE", L1, note="Fetching...")]
        self.tree_view = ArchiveTree(
            self.children_of,
            lambda one: Label(((one.note or one.title, ""),)),
            lambda one: not one.product_type,
        )

    def children_of(self, branch: Branch | None) -> list[Branch]:
        if branch is None:
            return [Branch("EarthCARE")]
        return self.here if branch.collection else [Branch("EarthCARE", L1)]

    def compose(self) -> ComposeResult:
        yield self.tree_view


async def test_the_cursor_on_a_note_stays_on_what_comes_in_its_place() -> None:
    app = Grove()
    async with app.run_test(size=(80, 24)) as pilot:
        tree = app.tree_view
        tree.reconcile()
        await wait_until(lambda: tree.select(app.here[0]) and tree.branch == app.here[0], pilot)
        app.here = [Branch("EarthCARE", L1, note="Not fetched: it does not answer")]
        tree.reconcile()
        await wait_until(lambda: tree.branch == app.here[0], pilot)
        app.here = [Branch("EarthCARE", L1, name) for name in ("ATL_NOM_1B", "CPR_NOM_1B")]
        tree.reconcile()
        await wait_until(lambda: tree.branch == app.here[0], pilot)
