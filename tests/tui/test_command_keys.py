"""Commands of the user's own in the app: their keys, what they are run with, and what is refused."""

from __future__ import annotations

import json
import os
import shlex
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from driving import confirm, find_files, notices_of, text_of, wait_until

from maap_tui.demo.archive import Archive
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.user_commands import command_of
from maap_tui.tui.app import MaapApp
from maap_tui.tui.dialogs.error import ErrorDialog
from maap_tui.tui.dialogs.help import HelpDialog
from maap_tui.tui.keys import keys_of_commands
from maap_tui.tui.widgets.row_list import RowList

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("prompt_keys")]

MakeApp = Callable[..., MaapApp]
KEY = Key("EarthCARE", "EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")
SAY = "import sys; print('GOT', len(sys.argv), *sys.argv[1:]); sys.exit(len(sys.argv) == 2)"


def test_a_key_that_belongs_to_something_is_refused_and_the_palette_keeps_the_command() -> None:
    commands = [
        command_of("zero", "a", "d", ("downloads",)),
        command_of("one", "a", "d"),
        command_of("two", "a", "k"),
        command_of("three", "a", "#"),
        command_of("four", "a", "#", ("search",)),
        command_of("five", "a", "#", ("browse",)),
        command_of("six", "a", "f5", ("downloads",)),
        command_of("seven", "a", "x", ("search",)),
    ]
    found, problems = keys_of_commands(commands, {"search.queue": "x"})
    assert [problem.partition(";")[0] for problem in problems] == [
        "[commands.one] key: d belongs to commands.zero",
        "[commands.two] key: k belongs to lists and fields",
        "[commands.four] key: # belongs to commands.three",
        "[commands.five] key: # belongs to commands.three",
        "[commands.seven] key: x belongs to search.queue",
    ]
    taken = {key.id: key.keys for key in found["search"]}
    assert taken["commands.one"] == "" and taken["commands.three"] == "number_sign"
    assert [key.keys for key in found["downloads"] if key.id == "commands.six"] == ["f5"]
    assert found["today"] == []


def declare(archive: Archive, home: Path) -> None:
    """A home with three commands; the key of the last one belongs to something."""
    archive.prepare(home)
    program = shlex.join([sys.executable, "-c", SAY])
    words = [json.dumps(f"{program} {{{names}}}") for names in ("file", "product} {baseline")]
    with open(home / "config.toml", "a") as config:
        config.write(
            f"[commands.say]\nrun = {words[0]}\nkey = '#'\noutput = 'background'\n"
            f"[commands.names]\nrun = {words[1]}\nkey = '&'\noutput = 'background'\n"
            "[commands.lost]\nrun = 'no-such-program {url}'\nkey = 'd'\nwhere = ['registry']\n"
        )


async def test_a_long_line_does_not_keep_a_command_from_its_end(
    make_app: MakeApp, archive: Archive, tmp_path: Path
) -> None:
    archive.prepare(tmp_path / "maap")
    run = json.dumps(shlex.join([sys.executable, "-c", "print('x' * 1_000_000)", "{product}"]))
    file = tmp_path / "maap" / "config.toml"
    file.write_text(f"{file.read_text()}[commands.long]\nrun = {run}\nkey = '#'\noutput = 'background'\n")
    app = make_app(home=tmp_path / "maap", mode="registry")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        (one,) = await find_files(app, 1)
        app.backend.session.registry.baseline(KEY).add([TrackedFile(KEY, one.day, one.url, str(one.path))])
        await wait_until(lambda: "CPR_CLD_2A" in text_of(app), pilot)
        await pilot.press("number_sign")
        await wait_until(lambda: "long ended." in notices_of(app), pilot)


async def test_a_command_gets_what_the_cursor_is_on(
    make_app: MakeApp, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(archive, tmp_path / "maap")
    looking: set[int] = set()
    exists = os.path.exists

    def look(path: str) -> bool:
        if str(path).endswith(".h5"):
            looking.add(threading.get_ident())
        return exists(path)

    monkeypatch.setattr(os.path, "exists", look)
    app = make_app(home=tmp_path / "maap", mode="registry")
    async with app.run_test(size=(120, 24), notifications=True) as pilot:
        assert "[commands.lost] key: d belongs to registry.download" in notices_of(app)
        app.clear_notifications()
        files = await find_files(app, 2)
        tracker = app.backend.session.registry.baseline(KEY)
        tracker.add(TrackedFile(KEY, one.day, one.url, str(one.path)) for one in files)
        files[0].path.parent.mkdir(parents=True)
        files[0].path.write_bytes(bytes(9))
        tracker.record(files[0].url, str(files[0].path), files[0].day)
        await wait_until(lambda: "CPR_CLD_2A" in text_of(app), pilot)
        assert "# say" in text_of(app) and "& names" in text_of(app), "the footer has them"

        def logged() -> list[str]:
            return [line.text for line in app.backend.log_lines]

        # A baseline has no file; it has names.
        await pilot.press("number_sign")
        await wait_until(lambda: isinstance(app.screen, ErrorDialog), pilot)
        assert "say needs {file}" in text_of(app)
        await pilot.press("escape", "ampersand")
        await wait_until(lambda: "names: GOT 3 CPR_CLD_2A BC" in logged(), pilot)
        await wait_until(lambda: "names ended." in notices_of(app), pilot)
        # Of two files marked one is not here: nothing runs.
        await pilot.press("enter", "enter")
        await wait_until(lambda: files[1].path.name in text_of(app), pilot)
        await pilot.press("a", "number_sign")
        await wait_until(lambda: isinstance(app.screen, ErrorDialog), pilot)
        await pilot.press("escape", "ampersand")
        await confirm(app, pilot)
        await wait_until(lambda: logged().count("names: GOT 3 CPR_CLD_2A BC") == 3, pilot)
        await pilot.press("a", "home", "number_sign")
        await wait_until(lambda: f"say: GOT 2 {files[0].path}" in logged(), pilot)
        await wait_until(lambda: "say ended with 1. The log (5) has what it said." in notices_of(app), pilot)
        assert looking and threading.get_ident() not in looking, "a slow disk holds no key up"
        # A download that failed is a row too.
        tracker.record_error(files[1].url, "Service Unavailable", code=503, tries=6, at=app.backend.now())
        errors = app.screen.query_one("#errors", RowList)
        await wait_until(lambda: errors.rows, pilot)
        errors.focus()
        await pilot.press("ampersand")
        await wait_until(lambda: logged().count("names: GOT 3 CPR_CLD_2A BC") == 4, pilot)
        await pilot.press("question_mark")
        await wait_until(lambda: isinstance(app.screen, HelpDialog), pilot)
        await pilot.press(*"names:")
        await wait_until(lambda: "[commands.names]" in text_of(app), pilot)
        await pilot.press("escape", "ctrl+p")
        await pilot.press(*"lost")
        await wait_until(lambda: "lost  (Your commands)" in text_of(app), pilot)
        await pilot.press("enter")
        await wait_until(lambda: isinstance(app.screen, ErrorDialog), pilot)
        assert "no-such-program" in text_of(app) and "was not found" in text_of(app)
