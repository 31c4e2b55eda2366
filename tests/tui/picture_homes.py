"""What stands in the homes of the pictures: baselines, runs, transfers, saved searches."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from maap_tui.engine.download.queue_store import Queue, QueueRow
from maap_tui.engine.model import TimeRange
from maap_tui.engine.product_sets import set_of
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.runs import DONE, KILLED, Counts, Run, Runs
from maap_tui.engine.saved_searches import Choices, SavedSearches
from maap_tui.engine.search_history import FoundGranules, SearchHistory
from maap_tui.engine.session import Session
from maap_tui.engine.workflows.set_table import SetTable, set_table

MOMENT = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
BASE = "https://catalog.maap.eo.esa.int"
L2 = "EarthCAREL2Validated_MAAP"
KEY = Key("EarthCARE", L2, "CPR_CLD_2A", "BC")
FOLDER = "/data/maap/EarthCARE/EarthCAREL2Validated_MAAP/CPR_CLD_2A/BC/2025/12/28"


def track(session: Session) -> None:
    """Six weeks of one baseline: marked, here, partly here, failed and new days."""
    tracker = session.registry.baseline(KEY)
    tracked, here, marked = [], [], []
    for number in range(42):
        day = date(2025, 12, 1) + timedelta(days=number)
        entries = []
        for orbit in range(4):
            name = (
                f"ECA_EXBC_CPR_CLD_2A_{day:%Y%m%d}T0{orbit}1500Z_{day:%Y%m%d}T083513Z_{8600 + number:05d}D.h5"
            )
            url = f"{BASE}/data/earthcare-pdgs-01/EarthCARE/CPR_CLD_2A/BC/{day:%Y/%m/%d}/{name}"
            path = session.filing.request_of_tracked(TrackedFile(KEY, day, url)).path
            entries.append(TrackedFile(KEY, day, url, str(path)))
        tracked += entries
        got = entries[: 0 if number > 33 else 2 if number % 11 == 8 else 4]
        here += got
        if number < 21:
            marked += got
    for entry in here:
        path = Path(entry.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.truncate(path, 131_072)
    tracker.add(tracked)
    tracker.record_all(here)
    tracker.mark([(entry.path, entry.day) for entry in marked])
    failed = tracked[19 * 4 + 3]
    tracker.record_error(failed.url, "Service Unavailable", code=503, tries=6, at=MOMENT - timedelta(hours=3))
    then = (MOMENT - timedelta(hours=2)).timestamp()
    for path in session.dirs.registry_dir.rglob("*"):
        os.utime(path, (then, then))


def track_two(session: Session) -> None:
    """A baseline of which nothing is here, beside the six weeks of another one."""
    key = Key("EarthCARE", L2, "ATL_EBD_2A", "BC")
    day, tracker = date(2026, 1, 10), session.registry.baseline(key)
    urls = [f"{BASE}/data/ECA_EXBC_ATL_EBD_2A_{orbit}.h5" for orbit in range(40)]
    tracker.add([TrackedFile(key, day, url, f"/data/{url.rpartition('/')[2]}") for url in urls])
    for url in urls[:12]:
        tracker.record_error(url, "Service Unavailable", code=503, tries=6, at=MOMENT)
    track(session)


CLOUDS = set_of("clouds", ["CPR_CLD_2A", "ATL_EBD_2A", "MSI_COP_2A"], collection=L2)
CLOUDS_END = datetime(2025, 3, 14, 12, tzinfo=UTC)


def collect(session: Session) -> None:
    """A day of a set: some orbits and frames whole, some in part, some in older baselines."""

    async def look() -> SetTable:
        async with session.again() as other:
            return await set_table(other, CLOUDS, TimeRange(CLOUDS_END - timedelta(days=1), CLOUDS_END))

    table = asyncio.run(look())
    then = (MOMENT - timedelta(hours=2)).timestamp()
    here: dict[Key, list[TrackedFile]] = {}
    for number, row in enumerate(table.rows):
        for column, cell in enumerate(row.cells):
            version = cell.version
            if number % 9 == 5 and column == 0:
                older = (one for _, one in table.archive[0] if _ == row.spot and one.baseline == "AB")
                version = next(older, None)
            if version is None or (number + 2 * column) % 7 in (4, 5) or number % 6 == 3:
                continue
            for request in table.requests[version.name]:
                assert request.key is not None and request.day is not None
                request.path.parent.mkdir(parents=True, exist_ok=True)
                request.path.touch()
                os.utime(request.path, (then, then))
                file = TrackedFile(request.key, request.day, request.url, str(request.path))
                here.setdefault(request.key, []).append(file)
    for key, files in here.items():
        session.registry.baseline(key).record_all(files)


def row_of(number: int, **changes: Any) -> QueueRow:
    """A transfer of a command on another machine."""
    times = f"20251228T{number:02d}1152Z_20251228T{number + 1:02d}5213Z"
    name = f"ECA_EXBC_CPR_CLD_2A_{times}_{8995 + number:05d}C.h5"
    row = QueueRow(
        path=f"{FOLDER}/{name}",
        url=f"{BASE}/data/{name}",
        state="waiting",
        size=4_194_304,
        root="/data/maap",
        position=float(number),
        pid=4242,
        host="cluster",
        verb="sync",
        changed=time.time(),
    )
    return replace(row, **changes)


def queue_up(session: Session, rows: list[QueueRow]) -> None:
    queue = Queue(session.dirs.queue_file)
    queue.save(rows)
    queue.close()


def busy_rows() -> list[QueueRow]:
    return [
        *(row_of(number, state="running", received=number * 800_000) for number in (1, 2, 3, 4)),
        row_of(5, state="failed", tries=6, reason="503 Service Unavailable"),
        row_of(6, state="paused", received=1_000_000),
        *(row_of(number) for number in range(7, 16)),
        row_of(0, state="finished", received=4_194_304),
    ]


def abandon(session: Session) -> None:
    queue_up(session, [row_of(number, changed=time.time() - 7200, received=99_000) for number in range(5)])


def remember(session: Session) -> None:
    """A week of runs, and six weeks of one baseline."""
    track(session)
    book = Runs(session.dirs)
    for day in range(6, -1, -1):
        begun = MOMENT.replace(hour=6, minute=0, second=3) - timedelta(days=day)
        lines = [("CPR_CLD_2A", 126, 0, 190), ("ATL_EBD_2A", 98, 28 if day == 1 else 0, 700)]
        for number, (product, got, failed, size) in enumerate(lines):
            start = begun + timedelta(minutes=4 * number)
            book.add(
                Run(
                    f"{start:%Y%m%dT%H%M%SZ}-00{day}{number}",
                    "sync",
                    ("sync", L2, product, "BC", "--quiet"),
                    "/home/maap",
                    "node1",
                    4242,
                    start,
                    start + timedelta(seconds=97 + 31 * day + 200 * number),
                    3 if failed else 0,
                    DONE,
                    Counts(378, got, 378 - got - failed, failed, bytes=(size + 7 * day) << 20),
                )
            )
    start = MOMENT - timedelta(days=2, hours=3)
    book.add(
        Run(
            "20260113T063000Z-dead",
            "get",
            ("get", L2, "CPR_CD__2A", "BC"),
            "/tmp",
            "node1",
            1,
            start,
            state=KILLED,
        )
    )
    words, freed = ("state", "cleanup", L2, "CPR_CLD_2A", "BC"), Counts(deleted=40, bytes=60 << 20)
    end = MOMENT - timedelta(hours=5)
    book.add(
        Run(
            "20260115T043000Z-0c1e",
            "cleanup",
            words,
            "/tmp",
            "node1",
            1,
            end,
            end + timedelta(seconds=2),
            0,
            DONE,
            freed,
        )
    )


def lose_token(session: Session) -> None:
    session.dirs.credentials_file.unlink()


def lose_names(session: Session) -> None:
    shutil.rmtree(session.dirs.catalog_dir)
    shutil.rmtree(session.dirs.built_catalog_dir)


SEARCHES: dict[str, Choices] = {
    "hyytiala weekly": {"baseline": "newest", "days_back": 7, "point": "61.8,24.3", "radius": "100"},
    "arctic frames": {"baseline": "BC", "days_back": 7, "frame": "C,D", "newest_first": True},
    "": {"baseline": "BC", "date": "2025-12-01..2025-12-31"},
}


def save_searches(session: Session) -> None:
    """Two saved searches, one of them made twice, and a past one."""
    history = SearchHistory(session.dirs)
    for number, (name, choices) in enumerate(SEARCHES.items()):
        whole: Choices = {"collection": L2, "product": "CPR_CLD_2A", **choices}
        if name:
            SavedSearches(session.dirs.searches_file).save(name, whole)
        for days_ago, count in (((8, 6), (1, 9)), (), ((2, 3859),))[number]:
            granules = FoundGranules()
            granules.add(map(str, range(count)))
            history.note(whole, granules, now=MOMENT - timedelta(days=days_ago), is_saved=bool(name))


def busy(session: Session) -> None:
    queue_up(session, busy_rows())


def fill_queue(session: Session) -> None:
    """Three thousand transfers, as after a search of a month."""
    more = [
        row_of(number % 24, path=f"{FOLDER}/{number:05d}.h5", position=100.0 + number)
        for number in range(3000)
    ]
    queue_up(session, [*busy_rows(), *more])


def track_many(session: Session) -> None:
    """Two hundred baselines, with a file each."""
    day = date(2026, 1, 10)
    for number in range(200):
        key = Key("EarthCARE", L2, f"CPR_X{number:02d}_2A"[:10], f"B{chr(65 + number % 26)}")
        url = f"{BASE}/data/{key.product_type}_{key.baseline}_{number}.h5"
        session.registry.baseline(key).add([TrackedFile(key, day, url, f"/data/{number}.h5")])
    then = (MOMENT - timedelta(hours=2)).timestamp()
    for path in session.dirs.registry_dir.rglob("*"):
        os.utime(path, (then, then))


def damage_queue(session: Session) -> None:
    session.dirs.queue_file.parent.mkdir(parents=True, exist_ok=True)
    session.dirs.queue_file.write_bytes(b"no database" * 1000)


def block_queue(session: Session) -> None:
    session.dirs.queue_file.mkdir(parents=True)
