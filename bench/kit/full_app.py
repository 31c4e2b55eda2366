"""The app with a list as a search of years leaves it, and files on their way.

    python bench/kit/full_app.py GRANULES URL TRANSFERS SIZE

The granules are in the list of Search as soon as that mode is opened, and TRANSFERS files of SIZE bytes are
queued from below URL then.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.kit.facts import COLLECTION, FIRST
from bench.kit.stub import Granules
from maap_tui.cli.main import COLLECT_EVERY
from maap_tui.engine.catalogue.stac import granule_of
from maap_tui.engine.session import Session
from maap_tui.tui import gc_pause
from maap_tui.tui.app import MaapApp
from maap_tui.tui.screens.search.results import Result, result_of
from maap_tui.tui.screens.search.screen import SearchScreen

FORMATS = ["h5"]


async def fill(app: MaapApp, session: Session, rows: list[Result], transfers: list[Result]) -> None:
    """Fill the list and the queue once the mode is there."""
    while not (app.is_running and isinstance(app.screen, SearchScreen) and app.screen.query("#sum")):  # noqa: ASYNC110
        await asyncio.sleep(0.2)  # the app says to nobody outside it that a mode is there
    screen = app.screen
    assert isinstance(screen, SearchScreen)
    files = []
    for row in transfers:
        wanted = session.filing.request_of(row.granule, row.files[0])
        url = wanted.url.replace("/data/", "/data/limited/", 1)
        files.append(replace(wanted, url=url).untracked())

    async def show() -> None:
        await app.backend.queue_files(files)
        screen.results.set_rows(rows)
        gc_pause.exclude()  # as after a search
        screen.results.focus()

    app.call_later(show)


async def run(app: MaapApp, session: Session, rows: list[Result], transfers: list[Result]) -> None:
    filling = asyncio.create_task(fill(app, session, rows, transfers))

    def stop(task: asyncio.Task[None]) -> None:
        if task.exception():
            app.exit()

    filling.add_done_callback(stop)
    await app.run_async()
    if app.crash is not None:
        raise app.crash
    await filling


def main() -> None:
    gc.set_threshold(COLLECT_EVERY)
    count, transfers, size = int(sys.argv[1]), int(sys.argv[3]), int(sys.argv[4])
    source = Granules(100, 122, sys.argv[2], size)
    texts = [source.text(number) for number in range(transfers)]
    found = [granule_of(json.loads(text), COLLECTION, "EarthCARE") for text in texts]
    rows = []
    for number in range(count):
        start = FIRST + timedelta(minutes=number)
        name = f"ECA_EXBA_MSI_COP_2A_{start:%Y%m%dT%H%M%S}Z_20260101T000000Z_01000A"
        rows.append(result_of(replace(found[0], id=name, sensing_start=start), FORMATS, keep_whole=False))
    queued = [result_of(granule, FORMATS, keep_whole=True) for granule in found]
    session = Session.load(bulk=True)
    asyncio.run(run(MaapApp(session), session, rows, queued))


if __name__ == "__main__":
    main()
