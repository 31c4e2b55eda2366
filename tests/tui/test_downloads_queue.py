"""The mode Downloads and its queue: other processes, what they left, files that break, going on."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from counting import counted
from downloads_kit import (
    SIZE,
    has,
    lines,
    opened,
    place_cursor,
    queue_files,
    row_of,
    states,
    write_elsewhere,
)
from driving import confirm, find_files, started, wait_until
from driving import text_of as screen_text

from maap_tui.demo.archive import Archive
from maap_tui.engine.download.queue_store import Queue, born_at
from maap_tui.tui.app import MaapApp
from maap_tui.tui.dialogs.confirm import ConfirmDialog
from maap_tui.tui.screens.downloads.screen import DownloadsScreen

pytestmark = pytest.mark.usefixtures("prompt_keys")

MODE = "downloads"

MakeApp = Callable[..., MaapApp]


async def test_the_cursor_and_the_view_never_run_away(make_app: MakeApp, other_process: int) -> None:
    app = make_app()
    async with app.run_test(size=(60, 16), notifications=True) as pilot:
        wanted, *_ = await find_files(app, 1)
        paths = [wanted.path.with_name(f"{number:05}.h5") for number in range(300)]
        files = [replace(wanted, url=f"{wanted.url}{n}", path=path, size=1) for n, path in enumerate(paths)]
        rows = [
            row_of(files, n, state="running" if n < 8 else "waiting", pid=other_process)
            for n in range(len(files))
        ]
        born = born_at(other_process)
        rows = [replace(row, born=born) for row in rows]

        async def change(*numbers: int, state: str) -> None:
            changed = [replace(rows[n], state=state, changed=time.time() + n) for n in numbers]
            for n, row in zip(numbers, changed, strict=True):
                rows[n] = row
            write_elsewhere(app, changed)
            count = sum(row.state == state for row in rows)
            order = ["running", "waiting", "finished"].index
            await wait_until(lambda: states(app).count(state) == count, pilot)
            await wait_until(lambda: states(app) == sorted(states(app), key=order), pilot)
            await pilot.pause()

        def cursor() -> tuple[str, int]:
            """The name under the cursor, which the detail is about, and its line in the view."""
            line = table.current
            assert line is not None and f"\n {line.name}" in screen_text(app)
            return line.name, table.cursor - table.scroll_offset.y

        write_elsewhere(app, rows)
        await pilot.press("3")
        await wait_until(lambda: isinstance(app.screen, DownloadsScreen) and len(lines(app)) == 300, pilot)
        table = app.screen.table  # type: ignore[attr-defined]
        await wait_until(lambda: states(app)[:9] == ["running"] * 8 + ["waiting"], pilot)
        await pilot.press("home")
        assert cursor() == ("00000.h5", 0)
        await change(0, state="finished")
        assert cursor() == ("00001.h5", 0)

        table.move_to_key(str(paths[150]))
        await pilot.pause()
        _, line_before = cursor()
        await change(1, 2, 3, state="finished")
        assert cursor() == ("00150.h5", line_before)
        await change(150, state="running")
        assert cursor() == ("00149.h5", line_before)
        await change(149, state="finished")
        assert cursor() == ("00151.h5", line_before)

        await pilot.press("end")
        assert table.current.state == "finished"
        await pilot.press("1", "3")
        await wait_until(lambda: app.current_mode == "downloads" and table.cursor == 0, pilot)
        await pilot.pause()
        assert cursor() == ("00004.h5", 0)
        assert table.current.state == "running"


async def test_what_another_process_does_is_shown_and_cannot_be_controlled(
    make_app: MakeApp, other_process: int
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        files = await find_files(app, 2)
        await pilot.press("3")
        await wait_until(lambda: "Nothing in the queue" in screen_text(app), pilot)
        born = born_at(other_process)
        row = row_of(files, 0, pid=other_process, born=born)
        second = row_of(files, 1, pid=other_process, born=born, state="waiting")
        write_elsewhere(app, [row, second])
        await wait_until(has(app, "running", 1), pilot)
        await wait_until(lambda: f"maap sync {other_process}: 1 running" in screen_text(app), pilot)
        await wait_until(lambda: "0 of 2 files" in screen_text(app), pilot)
        await wait_until(lambda: "↓1 " in screen_text(app), pilot)
        text = screen_text(app)
        assert "B/s" not in text and " 0%" in text, "nothing is said of how fast before it is known"

        def moves(count: int) -> Callable[[], bool]:
            def look() -> bool:
                nonlocal row
                row = replace(row, received=row.received + 100)
                write_elsewhere(app, [row])
                return "↓1 " in screen_text(app) and screen_text(app).count("B/s") == count

            return look

        await wait_until(moves(4), pilot)  # the header, both lines of the head, and the row
        await pilot.press("1")
        await wait_until(moves(1), pilot)
        await pilot.press("3")
        await pilot.press("p", "x", "r")
        assert states(app) == ["running", "waiting"]
        write_elsewhere(app, [replace(row, state="finished", received=131072)])
        await wait_until(has(app, "finished", 1), pilot)
        queue = Queue(app.backend.session.dirs.queue_file)
        queue.remove([row.path, second.path])
        queue.close()
        await wait_until(lambda: not lines(app), pilot)


async def test_what_a_dead_process_left_is_taken_over_and_registered(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await started(app)
        files = await find_files(app, 3)
        await pilot.press("3")
        rows = [
            row_of(files, 0),
            row_of(files, 1, state="waiting"),
            row_of(files, 2, state="paused"),
            row_of(files, 2, path="/elsewhere/evil.h5", url="http://x/evil.h5"),
        ]
        write_elsewhere(app, rows)
        await wait_until(has(app, "interrupted", 4), pilot)
        await wait_until(lambda: "4 interrupted (T goes on)" in screen_text(app), pilot)
        await pilot.press("T")
        await wait_until(has(app, "finished", 2), pilot)
        await wait_until(has(app, "paused", 1), pilot)
        assert any("no usable address or path" in line.text for line in app.backend.log_lines)
        assert app.backend.session.registry.baseline(files[0].key).stats().downloaded == 2
        place_cursor(app, "interrupted")
        await pilot.press("x")
        await wait_until(has(app, "interrupted", 0), pilot)
        assert not Path("/elsewhere").exists()


async def test_the_start_offers_to_go_on_with_one_key(make_app: MakeApp) -> None:
    first = make_app()
    async with first.run_test(size=SIZE, notifications=True):
        files = await find_files(first, 3)
        write_elsewhere(first, [row_of(files, number) for number in range(3)])
    app = make_app(overrides={"downloads.min_free": "1G"})
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await wait_until(lambda: isinstance(app.screen, ConfirmDialog), pilot)
        await wait_until(lambda: "3 transfers were interrupted" in screen_text(app), pilot)
        await pilot.press("g")
        await wait_until(lambda: app.current_mode == "downloads", pilot)
        await wait_until(has(app, "finished", 3), pilot)


async def test_leaving_keeps_the_queue_and_going_on_fetches_only_the_rest(
    make_app: MakeApp, archive: Archive
) -> None:
    first = make_app(overrides={"downloads.parallel": 2})
    async with opened(first) as pilot:
        files = await find_files(first, 3)
        rule = archive.faults.add(target="data", rate=60_000.0)
        await first.backend.queue_files(files)
        await wait_until(
            lambda: has(first, "running", 2)() and lines(first)[0].source.received > 20_000, pilot
        )
    with sqlite3.connect(first.backend.session.dirs.queue_file) as connection:
        kept = connection.execute("SELECT state, pid, received FROM transfers ORDER BY position").fetchall()
    connection.close()
    assert [state for state, _, _ in kept] == ["waiting"] * 3
    assert all(pid == 0 for _, pid, _ in kept)
    assert kept[0][2] > 20_000
    archive.faults.rules.remove(rule)
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await wait_until(lambda: isinstance(app.screen, ConfirmDialog), pilot)
        await pilot.press("g")
        await wait_until(lambda: app.current_mode == "downloads", pilot)
        await wait_until(has(app, "finished", 3), pilot)
        assert app.backend.transfers is not None
        assert app.backend.transfers.report.received <= sum(wanted.size or 0 for wanted in files) - kept[0][2]


async def test_an_unusable_queue_file_is_said_once_with_what_to_do_and_transfers_go_on(
    make_app: MakeApp,
) -> None:
    app = make_app()
    app.backend.session.dirs.queue_file.mkdir(parents=True)
    async with opened(app) as pilot:
        await wait_until(lambda: "The queue file cannot be used" in screen_text(app), pilot)
        assert "Transfers go on; fix it, restart." in screen_text(app)
        await queue_files(app, pilot, 2, finished=2)
        await wait_until(lambda: "2 of 2 files" in screen_text(app), pilot)
        (said,) = [line.text for line in app.backend.log_lines if "cannot be used" in line.text]
        assert said == f"{app.backend.queue.problem}; downloads go on without it"
        assert str(app.backend.session.dirs.queue_file) in app.backend.queue.problem
        await pilot.press("C")
        await confirm(app, pilot)
        await wait_until(lambda: not lines(app), pilot)


async def test_a_queue_file_that_breaks_while_the_mode_is_shown_is_said_and_own_transfers_stay(
    make_app: MakeApp, archive: Archive
) -> None:
    app = make_app(overrides={"downloads.parallel": 1})
    async with opened(app) as pilot:
        archive.faults.add(target="data", rate=20_000.0)
        await queue_files(app, pilot, 3, running=1)
        await wait_until(lambda: len(app.backend.queue.load()) == 3, pilot)
        app.backend.session.dirs.queue_file.write_bytes(b"no database" * 5000)
        await wait_until(lambda: "The queue file was damaged, a new one is used" in screen_text(app), pilot)
        assert states(app) == ["running", "waiting", "waiting"]
        archive.faults.clear()
        await pilot.press("P")  # what runs is asked for again, at full speed
        await wait_until(has(app, "paused", 3), pilot)
        await pilot.press("P")
        await wait_until(has(app, "finished", 3), pilot)
        await wait_until(lambda: [row.state for row in app.backend.queue.load()] == ["finished"] * 3, pilot)


async def test_a_damaged_queue_file_is_replaced_and_kept_beside(make_app: MakeApp) -> None:
    app = make_app()
    file = app.backend.session.dirs.queue_file
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"this is no database, whatever its name says" * 100)
    async with opened(app) as pilot:
        await wait_until(lambda: "The queue file was damaged, a new one is used" in screen_text(app), pilot)
        assert "press 4, then d" in screen_text(app)
        await queue_files(app, pilot, 2, finished=2)
        aside = file.with_name("queue.sqlite3.damaged")
        assert aside.read_bytes().startswith(b"this is no database")
        assert any(str(aside) in line.text for line in app.backend.log_lines)
        assert app.backend.queue.problem == "" and app.backend.queue.set_aside == aside


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"target": "token", "status": 401}, "Stopped: Failed to refresh token"),
        ({"target": "data", "html_login": True}, "Stopped: The archive answered with a web page"),
    ],
    ids=["token", "page"],
)
async def test_what_stops_the_run_is_said_with_its_remedy_first(
    make_app: MakeApp, archive: Archive, fault: dict[str, Any], words: str
) -> None:
    app = make_app()
    async with app.run_test(size=(60, 16)) as pilot:  # a notification would lie over it
        await pilot.press("3")
        files = await find_files(app, 3)
        archive.faults.add(**fault)
        await app.backend.queue_files(files)
        await wait_until(lambda: app.backend.transfers.report.stopped is not None, pilot)
        remedy = f"F8 signs in, r goes on. {words}"
        await wait_until(lambda: " ".join(screen_text(app).split()).count(remedy) == 2, pilot)
        assert has(app, "waiting", 3)()
        archive.faults.clear()
        app.backend.session.tokens.forget()
        await pilot.press("r")
        await wait_until(has(app, "finished", 3), pilot)


async def test_ten_thousand_rows_of_another_process_do_not_slow_a_key(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        wanted, *_ = files = await find_files(app, 1)
        names = [wanted.path.with_name(f"{number:05}.h5") for number in range(10_000)]
        many = [replace(wanted, url=f"{wanted.url}{n}", path=path, size=1) for n, path in enumerate(names)]
        write_elsewhere(app, [row_of(many, n, state="waiting") for n in range(len(many))])
        await pilot.press("3")
        await wait_until(lambda: len(lines(app)) == 10_000, pilot)
        with counted() as calls:
            app.screen.sample()  # type: ignore[attr-defined]
        assert calls.count < 8000
        assert files


async def test_a_file_that_another_process_has_too_is_one_row(make_app: MakeApp, other_process: int) -> None:
    app = make_app()
    async with opened(app) as pilot:
        files = await queue_files(app, pilot, 1, finished=1)
        await wait_until(lambda: [row.state for row in app.backend.queue.load()] == ["finished"], pilot)
        row = row_of(files, 0, pid=other_process, born=born_at(other_process), state="running")
        write_elsewhere(app, [row])
        await wait_until(lambda: f"maap sync {other_process}: 1 running" in screen_text(app), pilot)
        assert states(app) == ["finished"]
        await pilot.press("C")
        await confirm(app, pilot)
        await wait_until(lambda: "finished" not in states(app), pilot)
