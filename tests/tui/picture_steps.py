"""How the app comes to what each picture shows."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from driving import text_of, wait_until
from picture_homes import BASE, CLOUDS, CLOUDS_END, KEY, L2, busy_rows, queue_up, row_of
from textual.pilot import Pilot

from maap_tui.engine.download.requests import DownloadRequest
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

WIDE, NARROW, HUGE = (120, 40), (60, 16), (200, 60)
"""Sizes of terminals; the usual one is 80 by 24."""
ONE_DAY = Terms(L2, "CPR_CLD_2A", "BC", "2025-12-28", frames="C,D")


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
