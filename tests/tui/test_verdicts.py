"""One verdict on a file: `maap verify`, V in Registry and V in Downloads say the same of the same file."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from driving import find_files, wait_until

from maap_tui.cli.main import main
from maap_tui.demo import Archive
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.model import TimeRange
from maap_tui.engine.query import Query
from maap_tui.engine.session import Session
from maap_tui.tui.app import MaapApp
from maap_tui.tui.dialogs.listing import ListDialog
from maap_tui.tui.screens.downloads.screen import DownloadsScreen
from maap_tui.tui.screens.registry.screen import RegistryScreen
from tests.homes import MOMENT


def change(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size * 3 // 4)


def move(path: Path) -> None:
    path.rename(path.with_suffix(".moved"))
    path.symlink_to(path.with_suffix(".moved"))


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "untouched": (lambda path: None, "good"),
    "one byte changed": (change, "changed"),
    "cut": (cut, "truncated"),
    "a file without structure cut (DBL)": (cut, "truncated"),
    "moved, a link left": (move, "changed"),
    "empty": (lambda path: path.write_bytes(b""), "truncated"),
    "gone": (Path.unlink, "missing"),
    "a folder in its place": (lambda path: (path.unlink(), path.mkdir()), "changed"),
    "marked and cleaned up": (lambda path: None, "deleted"),
}


async def find_dbl(app: MaapApp) -> DownloadRequest:
    start = datetime(2023, 4, 22, tzinfo=UTC)
    day = TimeRange(start, start.replace(day=23))
    query = Query("AeolusL2BProducts", "ALD_U_N_2B", time=day, formats=("dbl",), max_items=1)

    async def search(session: Session) -> DownloadRequest:
        (granule,) = await session.search(query).granules()
        (asset,) = granule.files(("dbl",))
        return session.filing.request_of(granule, asset)

    return await app.backend.ask(search)


async def ask_the_app(app: MaapApp) -> tuple[dict[str, str], dict[str, str], dict[str, Path]]:
    """What Registry and Downloads say of each damaged file, by what was done to it."""
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await pilot.press("3")
        dbl = await find_dbl(app)
        others = iter(await find_files(app, len(DAMAGE) - 1))
        files = {name: dbl if "DBL" in name else next(others) for name in DAMAGE}
        paths = {name: wanted.path for name, wanted in files.items()}
        await app.backend.queue_files(list(files.values()))
        screen = app.screen
        assert isinstance(screen, DownloadsScreen)
        await wait_until(
            lambda: [line.state for line in screen.table.rows] == ["finished"] * len(files), pilot
        )
        for name, (damage, _) in DAMAGE.items():
            damage(paths[name])
        key = files["marked and cleaned up"].key
        assert key is not None
        session = app.backend.session
        await asyncio.to_thread(session.mark, [str(paths["marked and cleaned up"])])
        await asyncio.to_thread(session.cleanup, key.collection, key.product_type, key.baseline)

        await pilot.press("a", "V")
        await wait_until(lambda: all(line.verdict for line in screen.table.rows), pilot)
        by_path = {line.key: screen.table.state_text(line) for line in screen.table.rows}
        downloads = {name: by_path[str(path)] for name, path in paths.items()}

        await pilot.press("4")
        mode = app.screen
        assert isinstance(mode, RegistryScreen)
        await wait_until(lambda: len([row for row in mode.rows.values() if row.summary]) == 2, pilot)
        await pilot.press("a", "V")
        await wait_until(lambda: isinstance(app.screen, ListDialog), pilot)
        listed = app.screen
        assert isinstance(listed, ListDialog)
        states = {line.split()[1]: line.split()[0] for line in listed.lines}
        registry = {name: states.get(path.name, "good") for name, path in paths.items()}
        assert "1 of them deleted by a clean-up" in listed.title_text
        registry["marked and cleaned up"] = "deleted"
        return registry, downloads, paths


@pytest.fixture(scope="module")
def said(
    shared_archive: Archive, names: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, dict[str, str]]]:
    """What each face says of each file."""
    home = tmp_path_factory.mktemp("verdicts") / "maap"
    shutil.copytree(names, home)
    shared_archive.prepare(home)
    shared_archive.faults.clear()
    environ = shared_archive.environment(home) | {"HOME": str(home), "MAAP_DOWNLOADS_MIN_FREE": "0"}
    session = Session.load(environ=environ, bulk=True, now=lambda: MOMENT)
    registry, downloads, paths = asyncio.run(ask_the_app(MaapApp(session, clock=lambda: MOMENT)))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        rows, code = run_verify()
        quick, _ = run_verify("--quick")
    assert code == 3
    commands = {name: rows[str(path)] for name, path in paths.items()}
    # A look at size and structure alone does not see a byte that changed; of all else it says the same.
    assert {name for name, path in paths.items() if quick[str(path)] != commands[name]} == {
        "one byte changed"
    }
    yield {"maap verify": commands, "Registry": registry, "Downloads": downloads}


def run_verify(*words: str) -> tuple[dict[str, str], int]:
    import contextlib
    import io

    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        code = main(["verify", "--json", *words])
        out.flush()
    rows = [json.loads(line) for line in out.buffer.getvalue().decode().splitlines()]  # type: ignore[attr-defined]
    return {row["path"]: row["state"] for row in rows}, code


@pytest.mark.parametrize("face", ["maap verify", "Registry", "Downloads"])
@pytest.mark.parametrize("damage", list(DAMAGE))
def test_each_face_says_the_same(said: dict[str, dict[str, str]], face: str, damage: str) -> None:
    assert said[face][damage] == DAMAGE[damage][1]
