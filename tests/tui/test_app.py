"""The app itself: start, leaving, errors of workers, signing in, the header, copying."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from driving import find_files, header_of, notices_of, text_of, wait_until
from textual import events
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input, Static, TextArea

from maap_tui.demo.archive import Archive
from maap_tui.demo.tokens import CLIENT_ID, CLIENT_SECRET, sign
from maap_tui.engine.config import loading
from maap_tui.engine.errors import CatalogError, MaapError
from maap_tui.engine.events import DayFailed, FileFailed, SignInNeeded, Warned
from maap_tui.engine.session import Session
from maap_tui.tui.app import MaapApp
from maap_tui.tui.dialogs.confirm import ConfirmDialog
from maap_tui.tui.dialogs.error import ErrorDialog
from maap_tui.tui.dialogs.show_text import TextDialog
from maap_tui.tui.dialogs.sign_in import SignInDialog
from maap_tui.tui.keys import MODES
from maap_tui.tui.screens.downloads.screen import DownloadsScreen
from maap_tui.tui.screens.log.screen import LogScreen
from maap_tui.tui.theme import wants_ascii
from maap_tui.tui.widgets.header_footer import HeaderBar
from tests.homes import MOMENT, QUICK

SIZE = (80, 24)
MakeApp = Callable[..., MaapApp]
AWAY = "http://127.0.0.1:9/"
"""A port of the system's own, which no test can be given: every connection is refused."""


def offline_token(days: float, kind: str = "Offline") -> str:
    return sign({"typ": kind, "exp": int((MOMENT + timedelta(days=days)).timestamp()), "name": "Demo"})


def credentials(token: str) -> str:
    return f"CLIENT_ID={CLIENT_ID}\nCLIENT_SECRET={CLIENT_SECRET}\nOFFLINE_TOKEN={token}\n"


def put_token(token: str) -> Callable[[Any], None]:
    """What writes a token into the home of a session."""

    def write(session: Any) -> None:
        file = session.dirs.credentials_file
        file.write_text(credentials(token))
        file.chmod(0o600)

    return write


async def test_it_is_drawn_while_the_archive_does_not_answer(
    make_app: MakeApp, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maap_tui.tui.backend.SILENT_S", 3600.0)  # which would be said in place of the token
    archive.faults.add(target="all", latency_s=300.0)
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        for key, word in zip("12345", ("Browse", "Search", "Downloads", "Registry", "Log"), strict=True):
            await pilot.press(key)
            await wait_until(lambda word=word: word in text_of(app), pilot)  # type: ignore[misc]
        assert "token 36500 d" in text_of(app)
        archive.faults.clear()


async def test_keys_typed_in_one_burst_act_in_their_order(make_app: MakeApp) -> None:
    app = make_app()
    seen: list[str] = []
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await wait_until(lambda: app.current_mode == "browse", pilot)
        app.mode_change_signal.subscribe(app, seen.append)
        for keys in ("12345", "54321", "25143", "2345123451", "3232323245"):
            app.go("browse")
            await wait_until(lambda: app.current_mode == "browse", pilot)
            await pilot.pause()
            seen.clear()
            wanted = [MODES[int(key)] for key in keys]
            wanted = wanted[1:] if wanted[0] == "browse" else wanted
            for key in keys:
                app.post_message(events.Key(key, key))
            await wait_until(lambda wanted=wanted: len(seen) >= len(wanted), pilot)  # type: ignore[misc]
            await pilot.pause()
            assert seen == wanted
            assert app.current_mode == wanted[-1]
        # Each acts in the mode it was typed in: w in the log does nothing, and is not the one of Search.
        for key in "5l2w3":
            app.post_message(events.Key(key, key))
        await wait_until(lambda: app.current_mode == "downloads", pilot)
        (log,) = app.get_screen_stack("log")
        assert isinstance(log, LogScreen)
        assert log.level == "warning"
        assert "no results yet" in notices_of(app)


@pytest.mark.parametrize("keys", [("slash", *"cpr", "enter", "3"), ("ctrl+p", *"go to log", "enter", "3")])
async def test_a_key_after_enter_is_not_for_the_field_that_enter_ends(
    make_app: MakeApp, keys: tuple[str, ...]
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: app.current_mode == "browse", pilot)
        for key in keys:
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        await wait_until(lambda: app.current_mode == "downloads", pilot)
        assert isinstance(app.screen, DownloadsScreen)


class SlowField(Input):
    """Takes its time over each key."""

    def __init__(self, gate: asyncio.Event) -> None:
        super().__init__(id="slow")
        self.gate = gate
        self.has_key = asyncio.Event()

    async def on_key(self) -> None:
        self.has_key.set()
        await self.gate.wait()


class TwoFields(Screen[None]):
    def __init__(self, first: Widget) -> None:
        super().__init__()
        self.first = first

    def compose(self) -> ComposeResult:
        yield self.first
        yield Input(id="second")


async def test_a_busy_field_keeps_what_was_typed_into_it(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maap_tui.tui.inputs.CHECK_S", 0.02)
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        gate = asyncio.Event()
        slow = SlowField(gate)
        await app.push_screen(TwoFields(slow))
        slow.focus()
        for key in ("a", "tab", "b"):
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        await slow.has_key.wait()
        looks = asyncio.Event()
        app.set_timer(0.1, looks.set)  # longer than it takes until the app looks what the field is doing
        await looks.wait()
        gate.set()
        second = app.screen.query_one("#second", Input)
        await wait_until(lambda: second.value == "b", pilot)
        assert slow.value == "a"


class LeavingField(Input):
    """Is gone with the first key, and what waits in it as well."""

    async def on_key(self) -> None:
        self.remove()


async def test_a_key_that_is_lost_with_its_field_holds_no_other_up(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maap_tui.tui.inputs.CHECK_S", 0.02)
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        leaving = LeavingField()
        await app.push_screen(TwoFields(leaving))
        leaving.focus()
        for key in "abc":
            app.post_message(events.Key(key, key))
        await wait_until(lambda: not leaving.is_attached, pilot)
        app.post_message(events.Key("d", "d"))
        await wait_until(lambda: "d" in app.screen.query_one("#second", Input).value, pilot)


async def test_leaving_with_running_transfers_is_confirmed(make_app: MakeApp, archive: Archive) -> None:
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        files = await find_files(app, 8)
        archive.faults.add(target="data", rate=500.0)
        await app.backend.queue_files(files)
        await wait_until(lambda: "↓8 " in text_of(app), pilot)
        await pilot.press("q")
        modes = "1 Browse  2 Search  3 Downloads  4 Registry  5 Log"
        await wait_until(lambda: isinstance(app.screen, ConfirmDialog) and modes in text_of(app), pilot)
        text = text_of(app)
        assert "8 transfers are running" in text
        assert "`maap download EarthCAREL2Validated_MAAP CPR_CLD_2A BC" in text and "--registry`." in text
        await pilot.press("ctrl+q")
        assert len([one for one in app.screen_stack if isinstance(one, ConfirmDialog)]) == 1
        await pilot.press("q")
        await wait_until(lambda: not isinstance(app.screen, ConfirmDialog), pilot)
        assert app.return_code is None
        await asyncio.to_thread(app.backend.close)
        # None of them was waited for.
        assert all(wanted.path.with_name(wanted.path.name + ".part").exists() for wanted in files)
        app.backend.transfers = None
        await pilot.press("q")
        await wait_until(lambda: app.return_code == 0, pilot)


async def test_an_archive_that_does_not_answer_is_said_above_every_mode(
    make_app: MakeApp, archive: Archive
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        archive.faults.add(target="all", latency_s=60.0)
        asked = app.backend.engine.submit(
            lambda session: session.catalogue.queryables("EarthCAREL2Validated_MAAP", refresh=True)
        )
        words = "The archive has not answered since"
        for key in "12345":
            await pilot.press(key)
            await wait_until(lambda: words in text_of(app) and " no answer " in header_of(app), pilot)
        asked.cancel()
        archive.faults.clear()
        await app.backend.ask(lambda session: session.probe())
        await wait_until(lambda: words not in text_of(app) and " no answer " not in header_of(app), pilot)


async def test_ctrl_q_leaves_from_every_dialog_and_ctrl_c_says_how_to_leave(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        for number, key in enumerate(("", "f1", "f8", "ctrl+p")):
            if key:
                await pilot.press(key)
                await wait_until(lambda number=number: len(app.screen_stack) > 1, pilot)  # type: ignore[misc]
            if key != "ctrl+p":
                await pilot.press("ctrl+c")
                await wait_until(lambda: "ctrl+q leaves the app" in text_of(app), pilot)
                app.clear_notifications()
            if key != "ctrl+p" and key:
                await pilot.press("escape")
                await wait_until(lambda: len(app.screen_stack) == 1, pilot)
        await pilot.press("ctrl+q")
        await wait_until(lambda: app.return_code == 0, pilot)


async def test_what_is_said_takes_one_line_and_the_newest_counts(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        # The numbers of product types come later than the collections, each by itself.
        await wait_until(lambda: "9 product types" in text_of(app), pilot)
        await wait_until(lambda: not [one for one in app.workers if one.group == "start"], pilot)
        before = text_of(app).splitlines()
        for number in range(3):
            app.notify(f"Said {number}", title="Marked")
        app.notify("Careful", severity="warning")
        await wait_until(lambda: "Marked: Said 2" in text_of(app) and "Careful" in text_of(app), pilot)
        after = text_of(app).splitlines()
        assert "Said 0" not in text_of(app) and "Said 1" not in text_of(app)
        assert before[:-2] == after[:-2]


@pytest.mark.fault("H13")
@pytest.mark.fault("P7")
async def test_errors_are_shown_with_what_to_do_and_logged_and_the_app_lives(make_app: MakeApp) -> None:
    app = make_app()

    async def fail(error: BaseException) -> None:
        raise error

    async with app.run_test(size=SIZE, notifications=True) as pilot:
        for error, words in (
            (CatalogError("The archive [/foo] said \x1b[2J", "Try again [@click=app.quit]x[/]"), "[/foo]"),
            (ValueError("[bold] not ours"), "ValueError: [bold] not ours"),
        ):
            app.run_worker(fail(error), exit_on_error=False)
            await wait_until(lambda: isinstance(app.screen, ErrorDialog), pilot)
            await wait_until(lambda words=words: words in text_of(app), pilot)  # type: ignore[misc]
            assert "\x1b" not in text_of(app)
            assert ("[@click=app.quit]x[/]" in text_of(app)) is isinstance(error, MaapError)
            assert any(words in line.text and line.level == "error" for line in app.backend.log_lines)
            await pilot.press("escape")
            await wait_until(lambda: not isinstance(app.screen, ErrorDialog), pilot)
        # What the engine reports stands in the log, and a dead token is notified.
        version = app.backend.log_version
        app.backend.handle_event(Warned("careful [/x]"))
        app.backend.handle_event(FileFailed("https://a/b/file.h5", Path("/x"), "404 Not Found", True, 1))
        app.backend.handle_event(DayFailed("2025-03-14", "503"))
        app.backend.handle_event(SignInNeeded("The token [@click=app.quit]x[/] is dead"))
        assert app.backend.log_version == version + 4
        lines = [(line.level, line.text) for line in app.backend.log_lines]
        assert ("error", "FAILED DAY: 2025-03-14 (503)") in lines
        assert ("error", "file.h5: 404 Not Found") in lines
        await wait_until(lambda: "F8 signs in: The token" in text_of(app), pilot)
        assert "[@click=app.quit]x[/]" in text_of(app)
        await pilot.press("5")
        assert app.current_mode == "log"


async def test_the_header_warns_of_a_token_that_ends(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        for days, warn_days, words, colour in (
            (90, 14, "token 90 d", None),
            (13, 14, "token 13 d", "warning"),
            (6, 14, "token 6 d", "error"),
            (13, 30, "token 13 d", "error"),
            (6, 0, "token 6 d", None),
            (-2, 0, "token expired", "error"),
        ):
            put_token(offline_token(days + 0.5))(app.backend.session)
            given = {**QUICK, "token.warn_days": warn_days}
            await app.apply_setting("token.warn_days", loading.load(None, app.backend.session.environ, given))
            app.backend.read_token()
            await wait_until(lambda words=words: words in text_of(app), pilot)  # type: ignore[misc]
            header = app.screen.query_one("HeaderBar").render()
            styles = [
                str(span.style) for span in header.spans if words in header.plain[span.start : span.end]
            ]
            drawn = app.theme_variables[colour].lower() if colour else "bold"
            assert any(drawn in style for style in styles) is (colour is not None), words


async def test_the_header_says_that_there_is_no_token_and_that_the_archive_is_away(make_app: MakeApp) -> None:
    app = make_app(
        prepare=lambda session: session.dirs.credentials_file.unlink(),
        overrides={"api.catalog_url": AWAY, "api.retries": 0},
    )
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        assert "no token" in text_of(app)
        with pytest.raises(MaapError):
            await app.backend.ask(
                lambda session: session.catalogue.queryables("EarthCAREL2Validated_MAAP", refresh=True)
            )
        await wait_until(lambda: " offline " in header_of(app), pilot)


async def test_the_header_says_offline_until_the_next_answer(make_app: MakeApp, archive: Archive) -> None:
    app = make_app(overrides={"api.retries": 0, "api.timeout": 3.0})

    async def ask(session: Session) -> None:
        await session.catalogue.queryables("EarthCAREL2Validated_MAAP", refresh=True)

    async with app.run_test(size=SIZE, notifications=True) as pilot:
        # An answer that is on its way would be the next one.
        await wait_until(lambda: not [one for one in app.workers if one.group == "start"], pilot)
        assert "12 of 12" in text_of(app) and " offline " not in header_of(app)
        for away in ("silent", "refused"):
            if away == "silent":
                archive.faults.add(target="all", latency_s=30.0)
            else:
                app.backend.session.catalogue.root = AWAY
            with pytest.raises(CatalogError):
                await app.backend.ask(ask)
            await wait_until(lambda: " offline " in header_of(app), pilot)
            archive.faults.clear()
            app.backend.session.catalogue.root = archive.catalog_url
            archive.faults.add(target="catalogue", status=500)  # an answer, if no good one
            with pytest.raises(CatalogError):
                await app.backend.ask(ask)
            await wait_until(lambda: " offline " not in header_of(app), pilot)
            archive.faults.clear()


async def test_the_header_follows_what_changed_before_it_was_drawn(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = False
    monkeypatch.setattr("maap_tui.tui.backend.Backend.is_offline", property(lambda self: away))
    monkeypatch.setattr("maap_tui.tui.app.SAMPLE_S", 3600.0)  # it looks when the test has it look
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        header = app.screen.query_one("HeaderBar", HeaderBar)
        away = True
        header.sample()
        away = False
        await wait_until(lambda: "Browse" in text_of(app), pilot)
        await pilot.pause()
        assert " offline " not in header_of(app)
        away = True
        header.sample()
        await pilot.pause()
        assert " offline " in header_of(app)


async def test_signing_in_says_what_is_wrong_with_anything_pasted(make_app: MakeApp) -> None:
    good = offline_token(90)
    cases = [
        ("nonsense", "the service will judge it"),
        ("two words", "spaces inside the token"),
        (offline_token(1, "Bearer"), "access token"),
        (offline_token(-3), "expired"),
        (f"Bearer {good}", "good for 90 days"),
        (json.dumps({"refresh_token": good}), "good for 90 days"),
        (f'\ufeff"{good[:40]}\n{good[40:]}"', "good for 90 days"),
        (f"OFFLINE_TOKEN={good}", "good for 90 days"),
        ("[/foo] \x1b[2J", "spaces inside"),
    ]
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await pilot.press("f8")
        await wait_until(lambda: isinstance(app.screen, SignInDialog), pilot)
        for text, verdict in cases:
            app.screen.query_one(TextArea).text = text
            label = app.screen.query_one("#verdict", Static)
            await wait_until(lambda verdict=verdict, label=label: verdict in str(label.content), pilot)  # type: ignore[misc]
        assert "\x1b" not in text_of(app)
        # Its keys are shown in the smallest terminal too.
        await pilot.resize_terminal(60, 16)
        await wait_until(lambda: "Check and store (ctrl+s)" in text_of(app), pilot)
        assert "Cancel (esc)" in text_of(app)
        await pilot.press("escape")
        await wait_until(lambda: not isinstance(app.screen, SignInDialog), pilot)


@pytest.mark.parametrize(
    ("terminal", "locale", "is_ascii"),
    [("linux", "C.UTF-8", True), ("xterm", "C.UTF-8", False), ("xterm", "C", True)],
)
def test_a_console_or_a_locale_of_few_signs_gets_ascii(terminal: str, locale: str, is_ascii: bool) -> None:
    assert wants_ascii({"TERM": terminal, "LANG": locale}) is is_ascii


async def test_a_token_is_stored_only_after_the_service_took_it(make_app: MakeApp, archive: Archive) -> None:
    app = make_app(prepare=lambda session: session.dirs.credentials_file.unlink())
    file = app.backend.session.dirs.credentials_file
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        assert app.backend.token is None
        await pilot.press("f8")
        await wait_until(lambda: isinstance(app.screen, SignInDialog), pilot)
        app.screen.query_one(TextArea).text = archive.offline_token
        archive.faults.add(target="token", status=401)
        await pilot.press("ctrl+s")
        label = app.screen.query_one("#verdict", Static)
        await wait_until(lambda: "401" in str(label.content), pilot)
        assert not file.exists()
        archive.faults.clear()
        file.write_text("CLIENT_ID=offline-token\nCLIENT_SECRET=wrong\n")
        file.chmod(0o600)
        await pilot.press("ctrl+s")
        await wait_until(lambda: "CLIENT_SECRET are refused" in str(label.content), pilot)
        assert f"Correct them in {file}" in str(label.content)
        assert "another offline token" not in str(label.content)
        file.unlink()
        await pilot.press("ctrl+s")
        await wait_until(lambda: not isinstance(app.screen, SignInDialog), pilot)
        assert archive.offline_token in file.read_text()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        await wait_until(lambda: app.backend.days_left == 36500, pilot)
        assert archive.offline_token not in text_of(app)


async def test_copying_goes_to_what_is_there_and_shows_the_text_where_nothing_is(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tool = tmp_path / "bin" / "tmux"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\n[ "$1 $2 $3" = "load-buffer -w -" ] && cat > {tmp_path}/copied\n')
    tool.chmod(0o755)
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        app.copy_text("maap search [/foo] \x1b[2J", "Copied")
        await wait_until(lambda: isinstance(app.screen, TextDialog), pilot)
        assert app.clipboard == "maap search [/foo] \x1b[2J"
        await wait_until(lambda: "[/foo] \\x1b[2J" in text_of(app), pilot)
        await pilot.press("escape")
        # On a desktop it is notified.
        monkeypatch.setenv("DISPLAY", ":0")
        app.copy_text("one line [/foo]", "Command copied")
        await wait_until(lambda: "one line [/foo]" in text_of(app), pilot)
        assert app.clipboard == "one line [/foo]"
        # In tmux it goes through that.
        monkeypatch.setenv("TMUX", "/tmp/tmux,1,0")
        monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
        app.copy_text("through tmux", "Copied")
        await wait_until(lambda: "through tmux" in text_of(app), pilot)
        assert (tmp_path / "copied").read_text() == "through tmux"


async def test_unknown_keys_and_themes_of_the_configuration_are_reported(make_app: MakeApp) -> None:
    app = make_app(overrides={"ui.theme": "[/nope]"})
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await wait_until(lambda: "[/nope]" in text_of(app), pilot)
        assert app.is_running


@pytest.mark.parametrize(
    ("is_on", "low_bandwidth", "level"), [(False, False, "none"), (True, False, "full"), (True, True, "none")]
)
def test_things_move_where_the_setting_says_so_and_the_line_carries_it(
    make_app: MakeApp, is_on: bool, low_bandwidth: bool, level: str
) -> None:
    app = make_app(overrides={"ui.animation": is_on}, low_bandwidth=low_bandwidth)
    assert app.animation_level == level


@pytest.mark.long
async def test_every_mode_takes_every_size_and_has_frames_from_30_rows(make_app: MakeApp) -> None:
    app = make_app()

    def shows(frames: bool, is_small: bool) -> bool:
        text = text_of(app)
        return ("╭─ " in text) is frames and ("60x16 needed" in text) is is_small

    async with app.run_test(size=SIZE, notifications=True) as pilot:
        for key, mode in enumerate(MODES):
            await pilot.press(str(key))
            await wait_until(lambda mode=mode: app.current_mode == mode, pilot)  # type: ignore[misc]
            for width, height in ((200, 60), (45, 10), (80, 29)):
                await pilot.resize_terminal(width, height)
                wanted = height >= 30, width < 60
                await wait_until(lambda wanted=wanted: shows(*wanted), pilot)  # type: ignore[misc]
