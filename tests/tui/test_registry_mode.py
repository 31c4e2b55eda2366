"""The mode Registry: what it shows, changes from outside, empty, error and huge states."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from driving import text_of, wait_until
from registry_kit import (
    AT,
    DAY,
    KEY,
    MARKUP,
    OTHER,
    SIZE,
    baselines_of,
    entries,
    errors_of,
    files_of,
    fill,
    go,
    mode,
    open_day,
    put,
    put_cursor,
    words,
)
from textual.widgets import Static

from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.registry.registry import Registry
from maap_tui.engine.registry.watch import Watch
from maap_tui.engine.session import Session
from maap_tui.tui.app import MaapApp
from maap_tui.tui.dialogs.show_text import TextDialog
from maap_tui.tui.screens.registry.baseline_table import bar_legend, short_age, short_count
from maap_tui.tui.screens.registry.baseline_view import BaselineView
from maap_tui.tui.screens.registry.day_strip import DayStrip
from maap_tui.tui.screens.registry.screen import RegistryScreen
from maap_tui.tui.screens.registry.shares import cells_of
from maap_tui.tui.theme import UNICODE

pytestmark = pytest.mark.usefixtures("prompt_keys")

MakeApp = Callable[..., MaapApp]


MODE = "registry"


async def test_table_counts_everything(make_app: MakeApp) -> None:
    app = make_app(prepare=fill)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go(app, pilot)
        row = screen.rows[KEY]
        assert row.summary is not None
        counts = row.summary
        assert (counts.discovered, counts.downloaded, counts.marked) == (6, 4, 1)
        assert (counts.pending, len(counts.failures)) == (2, 1)
        assert row.size == sum(
            path.stat().st_size for path in app.backend.session.dirs.data_dir.rglob("*.h5")
        )
        await wait_until(lambda: "KiB" in text_of(app), pilot)
        line = next(line for line in text_of(app).splitlines() if "CPR_CLD_2A" in line and "BC" in line)
        size = line.split()[-2:]
        bar = "●" * 4 + "■" * 12 + "·" * 4 + "✗" * 4
        assert line.split()[1:] == ["CPR_CLD_2A", "BC", bar, "6", "4", "2", "1", *size]
        await pilot.resize_terminal(110, 24)
        await wait_until(lambda: " 6     4     1       2      1 " in text_of(app), pilot)
        assert "now L2Validated" in text_of(app)


async def test_bars_a_total_and_what_needs_attention_first(make_app: MakeApp) -> None:
    def prepare(session: Session) -> None:
        fill(session)
        session.registry.baseline(OTHER).add(entries(session, DAY, 3, OTHER))

    app = make_app(prepare=prepare)
    async with app.run_test(size=(112, 30), notifications=True) as pilot:
        screen = await go(app, pilot)
        await wait_until(lambda: [row.key for row in baselines_of(screen).shown] == [KEY, OTHER], pilot)
        assert baselines_of(screen).cursor == 0, "nobody moved it"
        await wait_until(lambda: "2 baselines: 4 of 9 here, 5 pending, 1 failed, " in text_of(app), pilot)
        assert "●mark ■here ·miss ✗fail" in text_of(app)
        assert f"BC   {'●' * 5}{'■' * 14}{'·' * 4}{'✗' * 4} " in text_of(app)
        tracker = app.backend.session.registry.baseline(OTHER)
        for entry in entries(app.backend.session, DAY, 2, OTHER):
            tracker.record_error(entry.url, "Service Unavailable", code=503, tries=3, at=AT)
        await wait_until(lambda: [row.key for row in baselines_of(screen).shown] == [OTHER, KEY], pilot)
        assert baselines_of(screen).current.key == KEY, "the cursor stays on its row"
        await pilot.resize_terminal(70, 24)
        await wait_until(lambda: "■here" not in text_of(app) and "5 pending, 3 failed" in text_of(app), pilot)


def test_the_legend_of_the_bars_has_every_sign_at_any_width() -> None:
    signs = (UNICODE.share_marked, UNICODE.share_here, UNICODE.share_missing, UNICODE.share_failed)
    for width in range(17, 41):
        words = bar_legend(signs, width)
        assert len(words) <= width and all(sign in words for sign in signs)
    assert bar_legend(signs, 30) == "●mark ■here ·miss ✗fail"


def test_a_bar_shows_each_share_that_has_files() -> None:
    assert cells_of((0, 608, 295, 2), 25) == [0, 16, 8, 1]
    assert cells_of((1, 1, 1, 100_000), 17) == [1, 1, 1, 14]
    assert cells_of((10, 10, 10, 1), 17) == [6, 5, 5, 1]
    assert cells_of((5, 0, 0, 0), 17) == [17, 0, 0, 0]
    assert cells_of((0, 0, 0, 0), 17) == [0, 0, 0, 0]


async def test_empty_says_what_to_do(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await pilot.press("4")
        await wait_until(lambda: "Nothing is tracked yet" in text_of(app), pilot)
        assert "maap sync" in text_of(app)
        for key in ("enter", "d", "r", "m", "u", "D", "V", "y", "escape"):
            await pilot.press(key)
        assert isinstance(app.screen, RegistryScreen)
        assert mode(app).work is None


def put_file_in_place(folder: Path) -> None:
    """A file where the folder was, which is kept as `away`."""
    folder.rename(folder.with_name("away"))
    folder.write_text("no folder")


def link_to_itself(folder: Path) -> None:
    """A link that leads nowhere where the folder was, which is kept as `away`."""
    folder.rename(folder.with_name("away"))
    folder.symlink_to(folder)


@pytest.mark.parametrize(
    ("spoil", "name", "reason"),
    [
        (put_file_in_place, "", "is a file where a folder of the registry belongs"),
        (put_file_in_place, "urls", "is a file where a folder of the registry belongs"),
        (link_to_itself, "urls", "symbolic link"),
    ],
)
async def test_unreadable_registry_says_what_where_and_what_to_do_and_comes_back(
    make_app: MakeApp, spoil: Callable[[Path], None], name: str, reason: str
) -> None:
    app = make_app(prepare=fill)
    spoilt = app.backend.session.dirs.registry_dir / name
    spoil(spoilt)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await pilot.press("4")
        await wait_until(lambda: "cannot be read" in text_of(app), pilot)
        text = " ".join(text_of(app).split())
        assert "Nothing is tracked yet" not in text
        said = " ".join(str(mode(app).query_one("#problem", Static).content).split())
        assert reason in said and str(spoilt) in said
        assert "set paths.registry_dir" in said or "set another path" in said
        assert "This mode looks again" in text
        for key in ("enter", "y", "slash", "escape", "s"):
            await pilot.press(key)
        assert isinstance(app.screen, RegistryScreen), "no dialog interrupts"
        spoilt.unlink()
        spoilt.with_name("away").rename(spoilt)
        await wait_until(lambda: KEY in mode(app).rows and mode(app).rows[KEY].summary, pilot)
        await wait_until(lambda: "cannot be read" not in text_of(app), pilot)
        assert sum("cannot be read" in line.text for line in app.backend.log_lines) == 1


async def test_registry_lost_while_it_is_shown_keeps_what_was_known(make_app: MakeApp) -> None:
    app = make_app(prepare=fill)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await go(app, pilot)
        put_file_in_place(app.backend.session.dirs.registry_dir)
        await wait_until(lambda: "cannot be read" in text_of(app), pilot)
        # A long path may take the room of the last words.
        said = str(mode(app).query_one("#problem", Static).content)
        assert said.endswith("What is shown is from 00:00 UTC.")
        assert "CPR_CLD_2A" in text_of(app)
        app.backend.session.dirs.registry_dir.unlink()
        await wait_until(lambda: "Nothing is tracked yet" in text_of(app), pilot)


async def test_an_unforeseen_error_of_the_engine_is_said_once_and_in_place(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    def fail(watch: Watch) -> None:
        nonlocal looks
        looks += 1
        raise OSError(5, "Input/output error", "/some/folder")

    app = make_app(prepare=fill)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        with monkeypatch.context() as patch:
            patch.setattr(Watch, "poll", fail)
            await pilot.press("4")
            await wait_until(lambda: "Cannot use /some/folder" in text_of(app), pilot)
            screen = mode(app)
            before = looks
            await wait_until(lambda: looks > before + 1, pilot)
            assert isinstance(app.screen, RegistryScreen)
            assert sum("Cannot use /some/folder" in line.text for line in app.backend.log_lines) == 1
        await wait_until(lambda: "cannot be read" not in text_of(app) and KEY in screen.rows, pilot)


async def test_one_unreadable_baseline_does_not_hide_the_others(make_app: MakeApp) -> None:
    app = make_app(prepare=fill)
    app.backend.session.registry.baseline(OTHER).add(entries(app.backend.session, key=OTHER, count=2))
    put_file_in_place(app.backend.session.registry.baseline(OTHER).folder("url"))
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await pilot.press("4")
        await wait_until(lambda: isinstance(app.screen, RegistryScreen), pilot)
        await wait_until(lambda: KEY in mode(app).rows and mode(app).rows[KEY].summary, pilot)
        await wait_until(lambda: "ATL_NOM_1B AE: Cannot use" in text_of(app), pilot)
        assert mode(app).rows[OTHER].summary is None


async def test_what_cannot_be_read_of_the_registry_is_counted_above_the_table(make_app: MakeApp) -> None:
    app = make_app(prepare=fill)
    file = app.backend.session.registry.baseline(KEY).day_file("dwl", DAY)
    whole = file.read_text()
    file.write_text(whole + "no address\n" * 2)
    words = (
        "2 lines of 1 file of the registry cannot be read and are left out: maap doctor lists what is damaged"
    )
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await go(app, pilot)
        await wait_until(lambda: words in " ".join(text_of(app).split()), pilot)
        assert sum(f"2 lines of {file} cannot be read" in line.text for line in app.backend.log_lines) == 1
        file.write_text(whole)
        await wait_until(lambda: "left out" not in text_of(app), pilot)


@pytest.mark.parametrize(
    ("first", "count", "months"),
    [
        (date(2025, 11, 10), 13, ["2025-11"]),
        (date(2025, 11, 24), 20, ["2025-12"]),
        (date(2025, 10, 1), 65, ["2025-10", "2025-11", "2025-12"]),
        (date(2025, 12, 1), 31, ["2025-12"]),
        (date(2024, 8, 12), 405, [f"2025-{month:02}" for month in range(1, 10)]),
    ],
)
async def test_every_month_that_has_room_is_named_above_its_days(
    make_app: MakeApp, first: date, count: int, months: list[str]
) -> None:
    def prepare(session: Session) -> None:
        for number in range(count):
            day = first + timedelta(days=number)
            file = session.registry.baseline(KEY).day_file("url", day)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{entries(session, day, 1)[0].url}|\n")

    app = make_app(prepare=prepare)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go(app, pilot)
        await pilot.press("enter")
        await wait_until(lambda: screen.query_one(DayStrip).day is not None, pilot)
        await wait_until(lambda: text_of(app).splitlines()[2].split() == months, pilot)


async def test_a_day_that_cannot_be_read_says_so_and_comes_back(make_app: MakeApp) -> None:
    app = make_app(prepare=fill)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await open_day(app, pilot)
        folder = app.backend.session.registry.baseline(KEY).folder("url")
        await pilot.press("escape", "right_square_bracket")
        await wait_until(lambda: len(files_of(screen).rows) == 2, pilot)
        put_file_in_place(folder)
        await pilot.press("left_square_bracket")
        await wait_until(lambda: "The files of this day cannot be read" in text_of(app), pilot)
        assert isinstance(app.screen, RegistryScreen), "no dialog interrupts"
        folder.unlink()
        folder.with_name("away").rename(folder)
        await wait_until(lambda: len(files_of(screen).rows) == 4, pilot)
        await wait_until(lambda: "cannot be read" not in text_of(app), pilot)


async def test_the_choice_of_columns_is_remembered(make_app: MakeApp) -> None:
    app = make_app(prepare=fill)
    file = app.backend.session.dirs.cache_file("registry.json")
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await open_day(app, pilot)
        await pilot.press("c", "space", "escape")
        await wait_until(file.exists, pilot)
        await pilot.press("escape", "escape")
        await wait_until(lambda: screen.opened is None, pilot)
        await pilot.press("c", "down", "space", "escape")
        await wait_until(lambda: " Base " not in text_of(app), pilot)
        await wait_until(lambda: "baselines" in file.read_text(), pilot)
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go(app, pilot)
        await wait_until(lambda: "Product" in text_of(app) and " Base " not in text_of(app), pilot)
        assert [column.key for column in files_of(screen).columns] == ["size", "start", "orbit", "name"]


async def test_days_that_were_searched_and_have_no_files_are_told_from_gaps(make_app: MakeApp) -> None:
    def prepare(session: Session) -> None:
        fill(session)
        session.registry.baseline(KEY).note_searched((date(2025, 12, 2), date(2025, 12, 5)))

    app = make_app(prepare=prepare)
    async with app.run_test(size=SIZE) as pilot:
        screen = await go(app, pilot)
        await pilot.press("enter")
        strip = screen.query_one(DayStrip)
        await wait_until(lambda: strip.day is not None, pilot)
        assert strip.glyph("searched") != strip.glyph("")
        assert strip.day == date(2025, 12, 3), "it begins with the last day that has files"
        strip.move_to(date(2025, 12, 2))
        await wait_until(lambda: "2025-12-02: no files when it was searched" in text_of(app), pilot)
        await pilot.press("end")
        assert strip.day == date(2025, 12, 5), "the days that were searched are shown too"
        await wait_until(lambda: "2025-12-05: no files when it was searched" in text_of(app), pilot)
        assert "no files" in text_of(app) and "not searched" in text_of(app)


async def test_open_day_file_and_back(make_app: MakeApp) -> None:
    app = make_app(prepare=fill)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go(app, pilot)
        await pilot.press("enter")
        strip = screen.query_one(DayStrip)
        await wait_until(lambda: strip.day == date(2025, 12, 3), pilot)
        assert screen.focused is strip
        await wait_until(lambda: len(files_of(screen).rows) == 2, pilot)
        await wait_until(
            lambda: "Wed 2025-12-03: 2 files, 2 here, 0 marked, 0 pending" in text_of(app), pilot
        )
        await pilot.press("up")
        await wait_until(lambda: "2025-12-02: not searched; [ ] days with files" in text_of(app), pilot)
        await pilot.press("left_square_bracket")
        await wait_until(lambda: len(files_of(screen).rows) == 4, pilot)
        assert strip.day == DAY
        await wait_until(lambda: "1 failed" in text_of(app), pilot)
        states = sorted(screen.query_one(BaselineView).state_word(row) for row in files_of(screen).rows)
        assert states == ["failed", "here", "marked", "new"]
        await pilot.press("enter")
        assert screen.focused is files_of(screen)
        await put_cursor(screen, pilot, "failed")
        await wait_until(lambda: "2026-01-14 10:30 503 Service Unavailable (3 tries)" in text_of(app), pilot)
        await pilot.press("enter")
        await wait_until(lambda: isinstance(app.screen, TextDialog), pilot)
        assert "503 Service Unavailable" in app.screen.text
        await pilot.press("escape", "escape")
        assert screen.focused is strip
        await pilot.press("escape")
        assert screen.opened is None
        assert screen.focused is baselines_of(screen)


async def test_errors_lead_to_their_file(make_app: MakeApp) -> None:
    app = make_app(prepare=fill)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go(app, pilot)
        await pilot.press("enter")
        await wait_until(lambda: len(errors_of(screen).rows) == 1, pilot)
        await wait_until(lambda: "2026-01-14 10:30 503 Service" in text_of(app), pilot)
        errors_of(screen).focus()
        await pilot.press("enter")
        await wait_until(lambda: screen.query_one(DayStrip).day == DAY, pilot)
        assert screen.focused is files_of(screen)


async def test_days_move_by_day_and_week_in_grid_and_strip(make_app: MakeApp) -> None:
    def prepare(session: Session) -> None:
        tracker = session.registry.baseline(KEY)
        for day in (date(2025, 10, 1), date(2025, 11, 20), date(2025, 12, 31)):
            tracker.add(entries(session, day, 1))

    app = make_app(prepare=prepare)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go(app, pilot, sizes=False)
        await pilot.press("enter")
        strip = screen.query_one(DayStrip)
        await wait_until(lambda: strip.has_focus and strip.day == date(2025, 12, 31), pilot)
        await pilot.press("left", "k")
        await wait_until(lambda: strip.day == date(2025, 12, 23), pilot)
        await pilot.press("pageup")
        await wait_until(lambda: strip.day == date(2025, 11, 25), pilot)
        await pilot.press("pagedown")
        await wait_until(lambda: strip.day == date(2025, 12, 23), pilot)
        await pilot.press("home")
        await wait_until(lambda: strip.day == date(2025, 10, 1), pilot)
        await pilot.press("right_square_bracket")
        await wait_until(lambda: strip.day == date(2025, 11, 20), pilot)
        await wait_until(lambda: "2025-10" in text_of(app) and "2025-12" in text_of(app), pilot)
        await pilot.click(DayStrip, offset=(3, 3))
        await wait_until(lambda: strip.day == date(2025, 10, 1), pilot)
        await pilot.resize_terminal(60, 16)
        await wait_until(lambda: not strip.is_grid, pilot)
        await pilot.press("right", "down", "end", "left")
        await wait_until(lambda: strip.day == date(2025, 12, 30), pilot)
        await pilot.press("g", "l")
        await wait_until(lambda: strip.day == date(2025, 10, 2), pilot)


async def test_changes_from_outside_are_seen(make_app: MakeApp) -> None:
    app = make_app(prepare=fill)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go(app, pilot)
        elsewhere = Registry(app.backend.session.dirs.registry_dir)
        elsewhere.baseline(KEY).add(entries(app.backend.session, date(2025, 12, 5), 3))
        elsewhere.baseline(OTHER).add(entries(app.backend.session, DAY, 1, OTHER))
        await wait_until(
            lambda: (
                OTHER in screen.rows
                and screen.rows[OTHER].summary
                and getattr(screen.rows[KEY].summary, "discovered", 0) == 9
            ),
            pilot,
        )
        # The one under the cursor stays under it.
        assert baselines_of(screen).current.key == KEY


async def test_an_opened_day_follows_changes(make_app: MakeApp) -> None:
    app = make_app(prepare=fill)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await open_day(app, pilot)
        new = next(one for one in files_of(screen).rows if one.state == "discovered")
        put(TrackedFile(KEY, DAY, new.url, new.path))
        Registry(app.backend.session.dirs.registry_dir).baseline(KEY).record(new.url, new.path, DAY)
        await wait_until(
            lambda: (new.url, "downloaded") in [(one.url, one.state) for one in files_of(screen).rows],
            pilot,
        )


async def test_unchanged_is_not_read_again(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(prepare=fill)
    looks: list[list[Key]] = []
    poll = Watch.poll

    def look(watch: Watch) -> tuple[list[Key], list[Key]]:
        keys, changed = poll(watch)
        looks.append(changed)
        return keys, changed

    monkeypatch.setattr(Watch, "poll", look)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go(app, pilot)
        # A file is read again until its second is over: another write in it might not be seen.
        await wait_until(lambda: looks and looks[-1] == [], pilot)
        before, count = screen.rows[KEY].summary, len(looks)
        await wait_until(lambda: len(looks) > count + 1, pilot)
        assert looks[count:] == [[]] * (len(looks) - count)
        assert screen.rows[KEY].summary is before


async def test_filter_marks_and_sort_in_the_table(make_app: MakeApp) -> None:
    def prepare(session: Session) -> None:
        fill(session)
        session.registry.baseline(OTHER).add(entries(session, DAY, 1, OTHER))

    app = make_app(prepare=prepare)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go(app, pilot)
        await pilot.press("slash", *"cpr", "enter")
        assert [row.key for row in baselines_of(screen).shown] == [KEY]
        await pilot.press("slash", "escape", "a", "m")
        await wait_until(lambda: "Mark 3 files of 2 baselines as processed?" in text_of(app), pilot)
        await pilot.press("y")
        await wait_until(lambda: "Marked 3 files of 2 baselines" in words(app), pilot)
        await wait_until(lambda: "u unmarks" in text_of(app), pilot)
        await wait_until(lambda: screen.work is None, pilot)
        await pilot.press("escape")
        assert not baselines_of(screen).marks
        await pilot.press("s")
        assert baselines_of(screen).sort_key == "product"
        await pilot.press("S")
        await wait_until(lambda: "a   Failed" in text_of(app), pilot)
        await pilot.press("A")
        await wait_until(lambda: baselines_of(screen).sort_key == "failed", pilot)
        assert baselines_of(screen).sort_reversed


async def test_go_to_a_baseline(make_app: MakeApp) -> None:
    app = make_app(prepare=fill)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        app.go("registry", collection=KEY.collection, product_type=KEY.product_type, baseline="bc")
        await wait_until(lambda: app.current_mode == "registry" and mode(app).opened == KEY, pilot)


async def test_f_searches_the_archive_for_the_day(make_app: MakeApp) -> None:
    app = make_app(prepare=fill)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await open_day(app, pilot)
        await pilot.press("f")
        await wait_until(lambda: app.current_mode == "search" and app.screen.query("#sum"), pilot)
        wanted = (KEY.collection, KEY.product_type, KEY.baseline, str(DAY))

        def terms() -> tuple[str, ...]:
            filled = app.screen.form.terms  # type: ignore[attr-defined]
            return filled.collection, filled.product_type, filled.baseline, filled.time

        await wait_until(lambda: terms() == wanted, pilot)


async def test_copy_gives_paths(make_app: MakeApp) -> None:
    app = make_app(prepare=fill)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await open_day(app, pilot)
        path = files_of(screen).current.path
        await pilot.press("y")
        await wait_until(lambda: isinstance(app.screen, TextDialog), pilot)
        assert app.screen.text == path


async def test_hostile_strings_are_text(make_app: MakeApp) -> None:
    def prepare(session: Session) -> None:
        tracker = session.registry.baseline(KEY)
        url = f"{session.settings.api.catalog_url}data/[@click=app.quit]x[/]"
        tracker.add([TrackedFile(KEY, DAY, url, "/tmp/[/foo]")])
        tracker.record_error(url, MARKUP, code=503, at=AT)
        file = tracker.errors_file
        file.write_bytes(file.read_bytes() + b"https://e/[/foo]|\x1b]0;owned\x07 [/foo] raw\n")
        tracker.mark([("/etc/[/foo] passwd", DAY)])

    app = make_app(prepare=prepare)
    async with app.run_test(size=(120, 30), notifications=True) as pilot:
        screen = await go(app, pilot)
        for key in ("d", "r", "V", "B", "m", "u"):
            await pilot.press(key)
            await pilot.pause()
            await pilot.press("escape")
            await wait_until(lambda: screen.work is None, pilot)
        await pilot.press("enter")
        await wait_until(lambda: errors_of(screen).rows and files_of(screen).rows, pilot)
        await wait_until(lambda: "[/foo]" in text_of(app), pilot)
        assert "\x1b" not in text_of(app)
        errors_of(screen).focus()
        await pilot.press("enter", "escape")
        files_of(screen).focus()
        await pilot.press("enter", "escape")
        assert app.is_running and isinstance(app.screen, RegistryScreen)


@pytest.mark.parametrize(("size", "plain"), [((60, 16), True), ((120, 40), False), ((44, 11), True)])
async def test_every_size_and_without_colour(make_app: MakeApp, size: tuple[int, int], plain: bool) -> None:
    app = make_app(prepare=fill, is_ascii=plain, no_colour=plain)
    async with app.run_test(size=size, notifications=True) as pilot:
        screen = await open_day(app, pilot)
        await pilot.pause()
        shown = text_of(app)
        assert "here" in shown and files_of(screen).size.height >= 2
        await pilot.press("tab", "tab", "escape", "escape")


async def test_many_lines_do_not_hold_the_screen_up(make_app: MakeApp) -> None:
    def prepare(session: Session) -> None:
        folder = session.registry.baseline(KEY).folder("url") / "2025"
        folder.mkdir(parents=True)
        for number in range(100):
            day = date.fromordinal(DAY.toordinal() - number)
            lines = [f"https://e.int/{number}/{at:04d}.h5|" for at in range(1000)]
            (folder / f"url_{day:%Y%m%d}.txt").write_text("\n".join(lines) + "\n")

    app = make_app(prepare=prepare)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go(app, pilot)
        assert screen.rows[KEY].summary is not None and screen.rows[KEY].summary.discovered == 100_000
        await wait_until(lambda: "100k" in text_of(app), pilot)
        await pilot.press("enter")
        await wait_until(lambda: len(files_of(screen).rows) == 1000, pilot)


def test_short_forms() -> None:
    assert [short_count(n) for n in (0, 9_999, 12_345, 99_999, 123_456, 2_345_678)] == [
        *("0", "9,999", "12.3k", "100k", "123k", "2.3M")
    ]
    ages = [short_age(AT, datetime.fromtimestamp(AT.timestamp() + s, UTC)) for s in (-9, 59, 600, 7200, 4e6)]
    assert ages == ["now", "now", "10 min", "2 h", "46 d"]
    assert short_age(None, AT) == ""


async def test_a_baseline_asked_for_in_vain_does_not_open_later(make_app: MakeApp) -> None:
    app = make_app(prepare=fill)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go(app, pilot)
        app.go("registry", key=OTHER)  # it is not tracked
        changes = Registry(app.backend.session.dirs.registry_dir)
        changes.add(entries(app.backend.session, date(2025, 12, 4), 1))
        await wait_until(lambda: (row := screen.rows[KEY]).summary and len(row.summary.days) == 3, pilot)
        await pilot.press("enter")
        await wait_until(lambda: screen.opened == KEY, pilot)
        # A sync in another process tracks it now.
        changes.add(entries(app.backend.session, count=1, key=OTHER))
        await wait_until(lambda: OTHER in screen.rows and screen.rows[OTHER].summary, pilot)
        assert screen.opened == KEY
