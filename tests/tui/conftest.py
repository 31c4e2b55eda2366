"""The app against the embedded archive: a fresh home and a frozen clock each time.

Helpers are in `driving.py`: `from driving import text_of, wait_until`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from driving import let_run
from terminal_kit import HERE, ROOT, Terminal

from maap_tui.demo.archive import Archive
from maap_tui.engine.errors import MaapError
from maap_tui.engine.session import Session
from maap_tui.tui.app import MaapApp
from tests.homes import MOMENT, PATIENCE_S, QUICK


def fetch_names(archive: Archive, home: Path) -> Path:
    """Make a home where the names were fetched, as each start but the first has it; gives back the folder."""
    archive.prepare(home)

    async def fetch() -> None:
        async with Session.load(environ=archive.environment(home)) as session:
            await session.index.fetch_collections()
            names = [one.name for one in session.index.load().of_mission("EarthCARE")]
            for name in names:
                with suppress(MaapError):
                    await session.catalogue.queryables(name)

    asyncio.run(fetch())
    # Each copy gets one of its own, which is quicker written than changed.
    (home / "config.toml").unlink()
    return home


@pytest.fixture(scope="session")
def names(shared_archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home to copy, see `fetch_names`."""
    return fetch_names(shared_archive, tmp_path_factory.mktemp("names") / "maap")


LOOKS = {
    "app.SAMPLE_S": 0.04,
    "backend.ELSEWHERE_S": 0.2,
    "screens.browse.screen.REGISTRY_EVERY_S": 0.1,
    "screens.downloads.screen.ARRANGE_S": 0.04,
    "screens.downloads.screen.POLL_S": 0.05,
    "screens.registry.screen.POLL_S": 0.1,
    "screens.search.preview.REST_S": 0.01,
    "screens.registry.sets.POLL_S": 0.1,
    "screens.today.screen.POLL_S": 0.05,
}
"""Seconds between two looks of the app at what may have changed; a test waits for few of them."""


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the app look often at what may have changed."""
    for name, seconds in LOOKS.items():
        monkeypatch.setattr(f"maap_tui.tui.{name}", seconds)


@pytest.fixture(autouse=True)
def lasting_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the app says until it says something else: a busy machine is slow to look."""
    monkeypatch.setattr("textual.notifications.Notification.time_left", property(lambda self: 3600.0))


@pytest.fixture
def prompt_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next key follow when the app took the one before.

    Textual waits after each key until the process takes no processor time, which on a busy machine is a
    second; the archive and the engine are in this process too.
    """
    monkeypatch.setattr("textual.app.wait_for_idle", let_run)
    monkeypatch.setattr("textual.pilot.wait_for_idle", let_run)


@pytest.fixture
def make_app(
    archive: Archive,
    names: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    often: None,
    request: pytest.FixtureRequest,
) -> Callable[..., MaapApp]:
    """Make an app over the archive, with a home of its own below `tmp_path`.

    `home` names another home, `is_first` says that no app ran in it before, `mode` is the one that the app
    opens with (else `MODE` of the file, or Browse), `prepare` is called with the session before the app is
    made, `overrides` are settings, and the rest goes to the app.
    """
    for name in ("TMUX", "SSH_TTY", "DISPLAY", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def make(
        *,
        home: Path | None = None,
        is_first: bool = False,
        mode: str = getattr(request.module, "MODE", "browse"),
        overrides: dict[str, object] | None = None,
        environ: dict[str, str] | None = None,
        prepare: Callable[[Session], object] | None = None,
        **options: Any,
    ) -> MaapApp:
        home = home or tmp_path / "maap"
        if not home.exists():
            if is_first:
                home.mkdir(parents=True)
            else:
                shutil.copytree(names, home)
            archive.prepare(home)
        settings = archive.environment(home) | {"HOME": str(home)} | (environ or {})
        session = Session.load(
            environ=settings, bulk=True, now=lambda: MOMENT, overrides={**QUICK, **(overrides or {})}
        )
        if prepare is not None:
            prepare(session)
        # A test of another mode need not draw Browse first.
        monkeypatch.setattr(MaapApp, "DEFAULT_MODE", mode)
        return MaapApp(session, clock=lambda: MOMENT, **options)

    return make


@pytest.fixture
def other_process() -> Iterator[int]:
    """A live process that is not this one."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        assert process.stdin is not None
        process.stdin.close()
        process.wait(PATIENCE_S)


# The real terminal


@pytest.fixture
def environ(archive: Archive, names: Path, tmp_path: Path) -> dict[str, str]:
    """The environment of a program on a terminal, with a home of its own in it."""
    home = tmp_path / "home"
    shutil.copytree(names, home)
    archive.prepare(home)
    foreign = (
        "MAAP_",
        "TMUX",
        "SSH_",
        "DISPLAY",
        "NO_COLOR",
        "LC_",
        "LANG",
        "TEXTUAL",
        "COLORTERM",
        "COLUMNS",
        "LINES",
    )
    own = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {
        **own,
        **archive.environment(home),
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        "MAAP_DOWNLOADS_MIN_FREE": "0",
    }


@pytest.fixture
def terminal(environ: dict[str, str]) -> Iterator[Callable[..., Terminal]]:
    """Open the app, or any words of maap, on a terminal of its own."""
    opened: list[Terminal] = []

    def begin(*words: str, changes: dict[str, str | None] | None = None, **options: object) -> Terminal:
        there = {name: value for name, value in (environ | (changes or {})).items() if value is not None}
        one = Terminal(list(words or ("tui",)), there, **options)  # type: ignore[arg-type]
        opened.append(one)
        return one

    yield begin
    for one in opened:
        one.cleanup()


SAVED = """\
["one day"]
collection = "EarthCAREL2Validated_MAAP"
product = "CPR_CLD_2A"
baseline = "BC"
date = "2025-12-01"
frame = "D"
"""


@pytest.fixture
def granule_terminal(environ: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Open the app on a terminal made from words and an environment, and in it the dialog of a granule.

    The rest are words of maap and changes of its environment.
    """
    opened: list[Terminal] = []
    (tmp_path / "home" / "searches.toml").write_text(SAVED)

    def begin(make: Callable[[list[str], dict[str, str]], Terminal], *words: str, **changes: str) -> Terminal:
        one = make(list(words or ("tui",)), {**environ, **changes})
        opened.append(one)
        one.wait_for(HERE)
        one.type(b"2")
        one.wait_for(b"ctrl+o lists saved")
        one.type(b"\x0f")
        one.wait_for(b"CPR_CLD_2A BC")
        one.type(b"\r")
        one.wait_for(b"16 granules")
        seen = one.type(b"\r")
        one.wait_for(b"v picture", after=seen)
        return one

    yield begin
    for one in opened:
        one.cleanup()
