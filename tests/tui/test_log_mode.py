"""The mode Log and settings: lines and levels, every setting with its origin, edits, and the token."""

from __future__ import annotations

import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from driving import find_files, text_of, wait_until
from textual.pilot import Pilot
from textual.widgets import Input, Static

from maap_tui.engine.config import editing
from maap_tui.engine.config.settings import SETTINGS
from maap_tui.engine.net.credentials import describe_token
from maap_tui.tui.app import MaapApp
from maap_tui.tui.backend import LOG_LINES
from maap_tui.tui.dialogs.prompt import PromptDialog
from maap_tui.tui.dialogs.show_text import TextDialog
from maap_tui.tui.dialogs.sign_in import SignInDialog
from maap_tui.tui.screens.log.screen import LogScreen
from maap_tui.tui.widgets.row_list import RowList

SIZE = (80, 24)
MARKUP = "[/foo] [@click=app.quit]x[/] \x1b[31mred"

pytestmark = pytest.mark.usefixtures("prompt_keys")

MODE = "log"

MakeApp = Callable[..., MaapApp]


def log_of(screen: LogScreen) -> RowList:
    return screen.query_one("#log", RowList)


def settings_of(screen: LogScreen) -> RowList:
    return screen.query_one("#settings", RowList)


async def go(app: MaapApp, pilot: Pilot[Any]) -> LogScreen:
    await pilot.press("5")
    await wait_until(lambda: isinstance(app.screen, LogScreen) and settings_of(app.screen).rows, pilot)
    assert isinstance(app.screen, LogScreen)
    return app.screen


async def go_to_setting(app: MaapApp, pilot: Pilot[Any], key: str) -> LogScreen:
    screen = await go(app, pilot)
    await pilot.press("tab")
    assert settings_of(screen).move_to_key(key)
    return screen


async def edit(app: MaapApp, pilot: Pilot[Any], text: str) -> None:
    """Answer the prompt for the setting under the cursor."""
    await pilot.press("enter")
    await wait_until(lambda: isinstance(app.screen, PromptDialog), pilot)
    app.screen.query_one(Input).value = text
    await pilot.press("enter")


def said(app: MaapApp) -> str:
    return "\n".join(line.text for line in app.backend.log_lines)


def file_of(app: MaapApp) -> Path:
    return app.backend.session.settings.config_file


def value_of(screen: LogScreen, key: str) -> tuple[str, str, bool]:
    row = next(row for row in settings_of(screen).rows if row.key == key)
    return row.value, settings_of(screen).columns[2].text(row), row.is_pending


async def test_levels_and_filter(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go(app, pilot)
        for level in ("debug", "info", "warning", "error"):
            app.backend.write_log(level, f"a line of {level}")
        screen.sample()
        shown = [row.line.text for row in log_of(screen).shown]
        assert shown[-3:] == ["a line of info", "a line of warning", "a line of error"]
        assert "a line of debug" not in shown
        await wait_until(lambda: "Log: info and above" in text_of(app), pilot)
        await pilot.press("l")
        assert [row.line.text for row in log_of(screen).shown] == ["a line of warning", "a line of error"]
        await pilot.press("l")
        assert [row.line.text for row in log_of(screen).shown] == ["a line of error"]
        await pilot.press("l")
        assert "a line of debug" in [row.line.text for row in log_of(screen).shown]
        await pilot.press("slash", *"warn", "enter")
        assert [row.line.level for row in log_of(screen).shown] == ["warning"]
        await pilot.press("slash", "escape", "enter")
        await wait_until(lambda: isinstance(app.screen, TextDialog), pilot)


async def test_follows_the_end_unless_the_cursor_was_moved(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go(app, pilot)
        for number in range(50):
            app.backend.write_log("info", f"line {number}")
        screen.sample()
        assert log_of(screen).current.line.text == "line 49"
        await pilot.press("up", "up")
        app.backend.write_log("info", "line 50")
        screen.sample()
        assert log_of(screen).current.line.text == "line 47"
        await pilot.press("end")
        name = "Downloaded ECA_EXBC_CPR_CLD_2A_20251201T000126Z_20251201T003736Z"
        app.backend.write_log("info", f"{name}_08574D.h5")
        app.backend.write_log("info", f"{name}_08574E.h5")
        # At 80 columns a name loses its middle: the files of a product differ at the end.
        await wait_until(lambda: "Z_08574D.h5" in text_of(app) and "Z_08574E.h5" in text_of(app), pilot)
        app.backend.write_log("info", "line 51")
        screen.sample()
        assert log_of(screen).current.line.text == "line 51"


async def test_the_cursor_stays_on_its_line_when_earlier_ones_come(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go(app, pilot)
        for number in range(50):
            app.backend.write_log("info", f"line {number}")
        screen.sample()
        await pilot.press("up", "up")
        await app.backend.read_earlier_log()
        app.backend.write_log("info", "line 50")
        screen.sample()
        assert log_of(screen).current.line.text == "line 47"


async def test_a_full_log_keeps_the_last_lines(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go(app, pilot)
        for number in range(LOG_LINES + 20):
            app.backend.write_log("info", f"line {number}")
        screen.sample()
        for number in range(30):
            app.backend.write_log("warning", f"more {number}")
        screen.sample()
        assert len(log_of(screen).rows) == LOG_LINES
        assert log_of(screen).rows[-1].line.text == "more 29"
        assert len({row.number for row in log_of(screen).rows}) == LOG_LINES


async def test_empty_log_says_so(make_app: MakeApp) -> None:
    app = make_app(is_first=True, mode="browse")  # which logs something, so that a level can hide it
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go(app, pilot)
        await pilot.press("l", "l")
        await wait_until(lambda: "No error yet; l shows every level." in text_of(app), pilot)
        await pilot.press("enter", "y")
        assert app.screen is screen


async def test_lines_of_earlier_and_other_runs_are_shown_before_those_of_this_one(
    make_app: MakeApp, tmp_path: Path
) -> None:
    home = tmp_path / "kept"
    first, second = make_app(home=home), make_app(home=home)
    second.backend.now = lambda: datetime(2026, 1, 16, 9, 30, tzinfo=UTC)
    token = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjF9.c2lnbmF0dXJl"
    async with first.run_test(size=SIZE) as pilot:
        screen = await go(first, pilot)
        first.backend.write_log("info", "Marked 2 files of CPR_CLD_2A BC as processed.")
        first.backend.write_log("error", f"refused {token}")
        first.backend.write_log("debug", "a detail")
        file = first.backend.session.dirs.log_file
        await wait_until(lambda: file.exists() and "refused" in file.read_text(), pilot)
        assert token not in file.read_text() and stat.S_IMODE(file.stat().st_mode) == 0o600
        first.backend.write_log("warning", "said at the very end")
    async with second.run_test(size=SIZE) as pilot:
        second.backend.write_log("info", "of this run")
        screen = await go(second, pilot)
        screen.sample()
        await wait_until(lambda: "said at the very end" in text_of(second), pilot)
        texts = [row.line.text for row in log_of(screen).shown]
        assert texts[-1] == "of this run" and "a detail" not in texts
        assert "01-15 00:00   info    Marked 2 files of CPR_CLD_2A BC" in text_of(second)
        assert "09:30:00      info    of this run" in text_of(second)
        # Each run begins with a line of its own, but the one without a line of this level.
        begun = [row.line.text for row in log_of(screen).shown if row.begins_run]
        assert begun == ["of 2026-01-15 00:00 UTC", "of 2026-01-16 09:30 UTC"]
        await pilot.press("l", "l")
        shown = [(row.level, row.line.text) for row in log_of(screen).shown]
        assert shown == [("run", "of 2026-01-15 00:00 UTC"), ("error", "refused (hidden)")]
        assert "✗ error" in text_of(second) and "Log: error, 1 line, 1 error" in text_of(second)
        await pilot.press("l", "l")
        second.backend.write_log("info", "and on")
        screen.sample()
        assert sum(row.begins_run for row in log_of(screen).shown) == 2
        await pilot.press("up")
        assert log_of(screen).current.line.text == "of this run", "the newest line is where it opens"


async def test_hostile_lines_are_text(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go(app, pilot)
        app.backend.write_log("error", MARKUP)
        screen.sample()
        await wait_until(lambda: r"[/foo] [@click=app.quit]x[/] \x1b[31mred" in text_of(app), pilot)
        await pilot.press("enter")
        await wait_until(lambda: isinstance(app.screen, TextDialog), pilot)
        assert "[/foo]" in text_of(app) and "\x1b" not in text_of(app)
        await pilot.press("escape", "y")
        assert app.is_running


async def test_every_setting_with_value_and_origin(make_app: MakeApp) -> None:
    app = make_app(environ={"MAAP_RETRIES": "7"}, overrides={"search.max_items": 99})
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go(app, pilot)
        assert [row.key for row in settings_of(screen).rows] == [setting.key for setting in SETTINGS]
        assert value_of(screen, "api.retries") == ("7", "environment", False)
        assert value_of(screen, "search.max_items") == ("99", "--max-items", False)
        assert value_of(screen, "downloads.parallel") == ("8", "default", False)
        await pilot.press("tab", "slash", *"files in flight", "enter")
        # What a setting does is searched as well as its name.
        shown = [row.key for row in settings_of(screen).shown]
        assert shown[0] == "downloads.parallel" and "api.retries" not in shown
        words = "Files in flight at once. A whole number from 1 to 16. Default: 8."
        await wait_until(lambda: words in text_of(app), pilot)


async def test_what_is_changed_stands_out_with_unit_default_and_when_it_applies(make_app: MakeApp) -> None:
    file = file_of(make_app())
    editing.set_value(file, "api.timeout", "30", {})
    file.write_text(file.read_text() + '\n[sites]\nhyytiala = "61.85,24.29"\n')
    app = make_app()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        screen = await go_to_setting(app, pilot, "api.timeout")
        rows = {row.key: row for row in settings_of(screen).rows}
        assert "sites.hyytiala" in rows and not rows["sites.hyytiala"].is_pending
        lines = [line.split() for line in text_of(app).splitlines()]
        (timeout,) = [words for words in lines if "api.timeout" in words]
        assert timeout[1:5] == ["●", "api.timeout", "30", "s"] and timeout[-3:-1] == ["60", "now"]
        (page_size,) = [words for words in lines if "api.page_size" in words]
        assert page_size[1:-1] == ["api.page_size", "1000", "default", "next", "run"]
        about = screen.query_one("#about-setting", Static)
        words = "A change applies at once. u goes back to the default."
        await wait_until(lambda: words in str(about.content), pilot)
        await pilot.press("u")
        await wait_until(lambda: "api.timeout is back to 60" in said(app), pilot)
        await wait_until(lambda: "u goes back" not in str(about.content), pilot)


async def test_edit_is_checked_written_and_in_force(make_app: MakeApp) -> None:
    app = make_app()
    file = file_of(app)
    file.write_text("# mine\n" + file.read_text() + "\n[search]\n# days at once\nparallel = 3  # few\n")
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go_to_setting(app, pilot, "search.parallel")
        await pilot.press("enter")
        await wait_until(lambda: isinstance(app.screen, PromptDialog), pilot)
        app.screen.query_one(Input).value = "99"
        await wait_until(lambda: "must be a whole number from 1 to 16" in text_of(app), pilot)
        await pilot.press("enter")
        assert isinstance(app.screen, PromptDialog)
        app.screen.query_one(Input).value = "5"
        await pilot.press("enter")
        await wait_until(lambda: "search.parallel is now 5." in said(app), pilot)
        text = file.read_text()
        assert "# mine" in text and "# days at once" in text and "parallel = 5  # few" in text
        assert app.backend.session.settings.search.parallel == 5
        await wait_until(lambda: value_of(screen, "search.parallel")[0] == "5", pilot)
        _, origin, is_pending = value_of(screen, "search.parallel")
        assert not is_pending and origin.startswith("config.toml:")


async def test_a_new_limit_of_the_rate_holds_for_what_is_under_way(make_app: MakeApp) -> None:
    file = file_of(make_app())
    file.write_text(file.read_text() + "\n[downloads]\nlimit_rate = 1\n")
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        files = await find_files(app, 2)
        await app.backend.queue_files(files)
        await wait_until(
            lambda: app.backend.transfers is not None and app.backend.transfers.report.received == 0, pilot
        )
        await wait_until(lambda: any(job.received for job in app.backend.transfers.jobs.values()), pilot)
        await go_to_setting(app, pilot, "downloads.limit_rate")
        await edit(app, pilot, "500M")
        await wait_until(lambda: len(app.backend.transfers.report.downloaded) == 2, pilot)
        assert all(wanted.path.stat().st_size == wanted.size for wanted in files)


async def test_edit_for_the_next_start_says_so(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go_to_setting(app, pilot, "ui.mouse")
        await edit(app, pilot, "false")
        await wait_until(lambda: "ui.mouse is now false, from the next start on" in said(app), pilot)
        assert app.backend.session.settings.ui.mouse is True
        assert value_of(screen, "ui.mouse")[2]
        # A toast may lie over it: what the list would draw.
        row = next(row for row in settings_of(screen).rows if row.key == "ui.mouse")
        assert settings_of(screen).columns[1].text(row) == "false (next start)"
        await pilot.press("u")
        await wait_until(lambda: "ui.mouse is back to true. It was false." in said(app), pilot)
        assert "mouse" not in file_of(app).read_text()
        await pilot.press("u")
        await wait_until(lambda: "ui.mouse is not set in the file" in said(app), pilot)


async def test_environment_goes_before_the_file(make_app: MakeApp) -> None:
    app = make_app(environ={"MAAP_SEARCH_PARALLEL": "2"})
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go_to_setting(app, pilot, "search.parallel")
        await edit(app, pilot, "6")
        await wait_until(lambda: "MAAP_SEARCH_PARALLEL goes before it" in said(app), pilot)
        assert value_of(screen, "search.parallel") == ("2", "environment", False)
        assert "parallel = 6" in file_of(app).read_text()


async def test_theme_is_checked_and_put_in_force(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await go_to_setting(app, pilot, "ui.theme")
        await pilot.press("enter")
        await wait_until(lambda: isinstance(app.screen, PromptDialog), pilot)
        app.screen.query_one(Input).value = "[/foo]"
        await wait_until(lambda: "it is not a theme" in text_of(app), pilot)
        app.screen.query_one(Input).value = "nord"
        await pilot.press("enter")
        await wait_until(lambda: app.theme == "nord", pilot)
        await edit(app, pilot, "")
        await wait_until(lambda: app.theme == "maap-dark", pilot)


async def test_keys_are_listed_and_changed_at_once(make_app: MakeApp, archive: Any, tmp_path: Path) -> None:
    home = tmp_path / "keyed"
    archive.prepare(home)
    with (home / "config.toml").open("a") as file:
        file.write('\n[keys]\n"log.level" = "f6"\n')
    app = make_app(home=home)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go_to_setting(app, pilot, "keys.log.level")
        await pilot.press("f6")
        assert screen.level == "warning"
        await edit(app, pilot, "f7")
        await wait_until(lambda: "keys.log.level is now f7." in said(app), pilot)
        await pilot.press("f7")
        assert screen.level == "error"


async def test_a_broken_file_is_said_and_survived(make_app: MakeApp) -> None:
    app = make_app()
    good = file_of(app).read_text()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await go(app, pilot)
        await pilot.press("1")
        file_of(app).write_text(good + "\n[/foo]\n\x1b\n")
        screen = await go(app, pilot)
        await wait_until(lambda: "not valid TOML" in text_of(app), pilot)
        assert settings_of(screen).rows
        await pilot.press("1")
        file_of(app).write_text(good + "\n[search]\nparallel = 4\n")
        screen = await go(app, pilot)
        await wait_until(lambda: value_of(screen, "search.parallel")[0] == "4", pilot)
        assert value_of(screen, "search.parallel")[2], "another program wrote it: it counts at the next start"


async def test_a_file_that_cannot_be_written(make_app: MakeApp) -> None:
    app = make_app()
    folder = file_of(app).parent
    file_of(app).unlink()
    file_of(app).mkdir()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await go_to_setting(app, pilot, "ui.mouse")
        await edit(app, pilot, "false")
        await wait_until(lambda: "esc closes" in text_of(app), pilot)
        await wait_until(lambda: f"cannot be read: {file_of(app)}" in said(app), pilot)
        await pilot.press("escape")
        assert app.is_running
    assert stat.S_ISDIR(folder.stat().st_mode)


async def test_token_days_and_sign_in(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go(app, pilot)
        await wait_until(lambda: "Token: 36,500 days left, until 2125-12-22" in text_of(app), pilot)
        assert "F8" in text_of(app)
        app.backend.now = lambda: datetime(2125, 12, 20, tzinfo=UTC)
        screen.sample()
        assert screen.query_one("#token").has_class("-alarm")
        app.backend.now = lambda: datetime(2126, 1, 22, tzinfo=UTC)
        screen.sample()
        await wait_until(lambda: "Token: expired" in text_of(app), pilot)
        app.backend.token = describe_token("0.opaque")
        screen.sample()
        await wait_until(lambda: "Token: expiry not known" in text_of(app), pilot)
        app.backend.token, app.backend.token_problem = None, "Credentials file not found"
        screen.sample()
        await wait_until(lambda: "Token: Credentials file not found F8 signs in." in text_of(app), pilot)
        await pilot.press("f8")
        await wait_until(lambda: isinstance(app.screen, SignInDialog), pilot)


async def test_copy(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await go_to_setting(app, pilot, "downloads.parallel")
        await pilot.press("y")
        await wait_until(lambda: isinstance(app.screen, TextDialog), pilot)
        assert app.screen.text == "downloads.parallel = 8"


@pytest.mark.parametrize(("size", "both"), [((60, 16), False), ((80, 24), True), ((120, 40), True)])
async def test_panes_fit(make_app: MakeApp, size: tuple[int, int], both: bool) -> None:
    app = make_app(is_ascii=not both, no_colour=not both)
    async with app.run_test(size=size, notifications=True) as pilot:
        screen = await go(app, pilot)
        await pilot.pause()
        assert screen.query_one("#log-pane").display and screen.query_one("#settings-pane").display is both
        await pilot.press("tab")
        await pilot.pause()
        assert screen.focused is settings_of(screen)
        assert screen.query_one("#settings-pane").display and screen.query_one("#log-pane").display is both
        assert "paths.data_dir" in text_of(app)
        await pilot.press("tab")
        assert screen.focused is log_of(screen)
