"""What Log shows of the configuration file: reads and changes one after the other."""

from __future__ import annotations

import asyncio
import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path

from driving import wait_until

from maap_tui.engine.config import editing
from maap_tui.engine.config.settings import Settings
from maap_tui.engine.session import Session
from maap_tui.tui.app import MaapApp
from maap_tui.tui.screens.log.screen import LogScreen
from maap_tui.tui.screens.log.settings_file import SettingsFile, read_settings
from maap_tui.tui.widgets.row_list import RowList


async def test_what_was_read_before_a_change_is_not_shown_after_it(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[search]\nparallel = 3\n")
    has_read, go = threading.Event(), threading.Event()

    def read(session: Session) -> Settings:
        found = read_settings(session)
        if not has_read.is_set():
            has_read.set()
            go.wait()
        return found

    session = Session.load(file, environ={"HOME": str(tmp_path)})
    settings = SettingsFile(session, read)
    async with asyncio.TaskGroup() as group:
        group.create_task(settings.read())
        await asyncio.to_thread(has_read.wait)
        change = group.create_task(settings.change("search.parallel", "5"))
        for number in range(1, 6):  # the change has the time of several others
            await asyncio.to_thread(editing.set_value, tmp_path / "o.toml", "api.retries", str(number), {})
        go.set()
    assert change.result()
    assert settings.fresh.search.parallel == 5


async def test_a_file_that_cannot_be_read_is_said_until_it_can(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[search]\nparallel = 3\n")
    settings = SettingsFile(Session.load(file, environ={"HOME": str(tmp_path)}))
    file.write_text("[search]\nparallel = none\n")
    await settings.read()
    assert "not valid TOML" in settings.problem
    assert settings.fresh.search.parallel == 3
    file.write_text("[search]\nparallel = 4\n")
    await settings.read()
    assert settings.problem == ""
    assert settings.fresh.search.parallel == 4
    assert not await settings.change("search.max_items", "")


async def test_settings_changed_one_right_after_the_other_are_all_in_use(
    make_app: Callable[..., MaapApp],
) -> None:
    app = make_app(mode="log")
    file = app.backend.session.settings.config_file
    file.write_text(file.read_text() + "\n[search]\nparallel = 3\nmax_items = 77\n")
    app = make_app(mode="log")
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await pilot.press("5")
        await wait_until(lambda: isinstance(app.screen, LogScreen), pilot)
        await pilot.press("tab")
        table = app.screen.query_one("#settings", RowList)
        held = os.open(file.parent, os.O_RDONLY)  # another program edits the file
        fcntl.flock(held, fcntl.LOCK_EX)
        for key in ("search.parallel", "search.max_items"):
            assert table.move_to_key(key)
            await pilot.press("u")
        os.close(held)
        for key in ("search.parallel", "search.max_items"):
            await wait_until(
                lambda key=key: any(f"{key} is back to" in line.text for line in app.backend.log_lines), pilot
            )
        now = app.backend.session.settings.search
        assert now.parallel != 3 and now.max_items != 77
