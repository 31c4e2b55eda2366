"""What Downloads lists: a line a file, whichever processes have it, without an app."""

from __future__ import annotations

from pathlib import Path

from maap_tui.engine.download.jobs import DownloadJob
from maap_tui.engine.download.queue_store import QueueRow
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.tui.screens.downloads.known_transfers import KnownTransfers
from maap_tui.tui.screens.downloads.queue_follower import QueueNews


def row(number: int, state: str = "waiting") -> QueueRow:
    return QueueRow(f"/data/{number}.h5", f"https://a/{number}.h5", state, position=number, pid=1, host="h")


class Queued:
    """Transfers of the app, with what changed of them."""

    def __init__(self, *numbers: int) -> None:
        self.jobs = {row(n).url: job(n) for n in numbers}
        self.changed: list[str] = []

    def watch_from_start(self) -> None:
        self.changed += self.jobs

    def take_change(self) -> tuple[str, DownloadJob | None] | None:
        if not self.changed:
            return None
        url = self.changed.pop()
        return url, self.jobs.get(url)


def job(number: int) -> DownloadJob:
    wanted = DownloadRequest(row(number).url, Path(row(number).path), None, None)
    return DownloadJob(wanted, position=float(number))


def listed(known: KnownTransfers) -> list[tuple[str, bool]]:
    """The names listed, with whether the app itself has the file."""
    return sorted((Path(line.key).stem, line.job is not None) for line in known.order.lines)


async def test_a_file_of_the_app_and_of_another_process_is_listed_once() -> None:
    known = KnownTransfers()
    await known.take_others(QueueNews([row(1), row(2)]))
    queued = Queued(2, 3)
    assert not known.take_own(queued, 1.0)
    assert listed(known) == [("1", False), ("2", True), ("3", True)]
    await known.take_others(QueueNews([row(2, "running")]))
    assert listed(known) == [("1", False), ("2", True), ("3", True)]
    # The app lets go of it: the other process still has it.
    queued.jobs.clear()
    queued.watch_from_start()
    queued.changed = [row(2).url, row(3).url]
    known.take_own(queued, 1.0)
    assert listed(known) == [("1", False), ("2", False)]


async def test_what_ends_elsewhere_stays_and_what_is_removed_goes() -> None:
    known = KnownTransfers()
    await known.take_others(QueueNews([row(1), row(2, "running")]))
    assert sorted(known.live_elsewhere) == [row(1).path, row(2).path]
    await known.take_others(QueueNews([row(2, "finished")]))
    assert sorted(known.live_elsewhere) == [row(1).path]
    assert listed(known) == [("1", False), ("2", False)]
    await known.take_others(QueueNews([row(2, "finished")], is_whole=True))
    assert listed(known) == [("2", False)]
    known.drop_others(known.order.lines)
    assert listed(known) == [] and not known.live_elsewhere


async def test_all_that_the_app_has_left_to_a_worker_goes_from_its_lines() -> None:
    known = KnownTransfers()
    known.take_own(Queued(1, 2), 1.0)
    known.is_out_of_order = False
    assert not known.take_own(None, 1.0)
    assert listed(known) == [] and known.is_out_of_order
