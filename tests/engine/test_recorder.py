"""What became of files is written into the registry, many at a time, each with its own outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest

from maap_tui.engine.download.batch import Batches
from maap_tui.engine.download.recorder import Recorder
from maap_tui.engine.download.requests import DownloadOutcome, DownloadRequest
from maap_tui.engine.errors import DownloadError, InvalidRequestError, LockedError, MaapError
from maap_tui.engine.events import Event, Warned
from maap_tui.engine.integrity.hashes import Hashes
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.registry.registry import Registry

KEY = Key("EarthCARE", "EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")
OTHER = Key("EarthCARE", "EarthCAREL2Validated_MAAP", "ATL_EBD_2A", "BA")
DAYS = [date(2025, 12, 1), date(2025, 12, 2)]


class Books:
    """A registry, its hashes, and who writes into both."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.events: list[Event] = []
        self.registry = Registry(root / "registry", lock_timeout_s=0.05)
        self.hashes = Hashes(root / "state")
        self.recorder = Recorder(self.registry, self.hashes, self.events.append)

    def file(self, name: str, key: Key | None = KEY, day: date = DAYS[0]) -> DownloadRequest:
        path = self.root / "data" / f"{name}.h5"
        return DownloadRequest(f"https://example.org/{name}.h5", path, key=key, day=day)

    async def record(self, *files: DownloadRequest) -> list[BaseException | None]:
        """What each of them met, all recorded at the same time."""
        outcomes = (DownloadOutcome(file.path, 3, 3, ("ab",)) for file in files)
        return await asyncio.gather(*map(self.recorder.record, files, outcomes), return_exceptions=True)

    def recorded(self, key: Key = KEY) -> list[str]:
        return sorted(Path(one.path).stem for one in self.registry.baseline(key).downloads())


@pytest.fixture
def books(tmp_path: Path) -> Books:
    return Books(tmp_path)


async def test_files_of_several_baselines_and_days_are_recorded_with_their_hashes(books: Books) -> None:
    files = [books.file("a"), books.file("b", day=DAYS[1]), books.file("c", OTHER), books.file("d", None)]
    files += [books.file(f"e{number}") for number in range(200)]
    assert set(await books.record(*files)) == {None}
    assert books.recorded() == sorted(["a", "b", *(f"e{number}" for number in range(200))])
    assert books.recorded(OTHER) == ["c"]
    assert len(books.hashes.load(KEY, DAYS[0])) == 201
    assert books.hashes.load(KEY, DAYS[1])[str(files[1].path)].pieces == ("ab",)
    assert books.events == []


async def test_a_recorded_file_leaves_the_list_of_errors(books: Books) -> None:
    files = [books.file("a"), books.file("b"), books.file("c")]
    for file in files:
        await books.recorder.record_failure(file, DownloadError(file.url, "it was cut"), 1)
    await books.record(*files[:2])
    assert list(books.registry.baseline(KEY).errors()) == [files[2].url]


async def test_one_that_cannot_be_recorded_keeps_no_other_from_it(books: Books) -> None:
    met = await books.record(books.file("a"), books.file("b|c"), books.file("d"))
    assert [type(one) for one in met] == [type(None), InvalidRequestError, type(None)]
    assert books.recorded() == ["a", "d"]
    assert len(books.hashes.load(KEY, DAYS[0])) == 2


async def test_a_day_that_cannot_be_read_keeps_no_other_from_it(books: Books) -> None:
    books.registry.baseline(KEY).day_file("dwl", DAYS[0]).mkdir(parents=True)
    met = await books.record(books.file("a"), books.file("b", day=DAYS[1]), books.file("c", OTHER))
    assert isinstance(met[0], MaapError) and met[1:] == [None, None]
    assert (books.recorded(), books.recorded(OTHER)) == (["b"], ["c"])


async def test_a_baseline_that_another_writer_holds_is_waited_for_once(books: Books) -> None:
    with books.registry.baseline(KEY).locked("a test"):
        met = await books.record(books.file("a"), books.file("b"), books.file("c", OTHER))
    assert [type(one) for one in met] == [LockedError, LockedError, type(None)]
    assert books.recorded(OTHER) == ["c"]


async def test_hashes_that_cannot_be_kept_are_reported_and_cost_no_file(books: Books) -> None:
    (books.root / "state").mkdir()
    (books.root / "state" / "hashes").write_text("")
    assert await books.record(books.file("a"), books.file("b")) == [None, None]
    assert books.recorded() == ["a", "b"]
    warnings = [one.message for one in books.events if isinstance(one, Warned)]
    assert len(warnings) == 2 and "The hash of a.h5 could not be recorded" in warnings[0]


def test_downloads_are_recorded_all_or_none_where_one_is_no_line(books: Books) -> None:
    tracker = books.registry.baseline(KEY)
    good, bad = (TrackedFile(KEY, DAYS[0], f"https://example.org/{name}", "/d/x") for name in ("a", "b|"))
    with pytest.raises(InvalidRequestError):
        tracker.record_all([good, bad])
    assert list(tracker.downloads()) == []
    assert (tracker.record_all([good, good]), tracker.record_all([good])) == (1, 0)


@pytest.fixture
def batches() -> tuple[Batches[int], list[list[int]]]:
    """Batches of up to 3 that note what they were, and fail for the number 7; the whole of one for 99."""
    seen: list[list[int]] = []

    def work(items: Sequence[int]) -> list[Exception | None]:
        seen.append(list(items))
        if 99 in items:
            raise ZeroDivisionError
        return [ValueError("seven") if item == 7 else None for item in items]

    return Batches(work, 3), seen


async def test_what_comes_together_is_done_together(
    batches: tuple[Batches[int], list[list[int]]],
) -> None:
    does, seen = batches
    await asyncio.gather(*map(does.do, range(6)))
    assert seen == [[0], [1, 2, 3], [4, 5]]


@pytest.mark.parametrize(
    ("items", "met"),
    [
        ([0, 6, 7, 8], [type(None), type(None), ValueError, type(None)]),
        ([0, 1, 99, 2, 3], [type(None), *[ZeroDivisionError] * 3, type(None)]),
    ],
    ids=["one", "batch"],
)
async def test_each_is_told_what_went_wrong_with_it(
    items: list[int], met: list[type], batches: tuple[Batches[int], list[list[int]]]
) -> None:
    does, _ = batches
    found = await asyncio.gather(*map(does.do, items), return_exceptions=True)
    assert [type(one) for one in found] == met
    await does.do(1)


async def test_what_was_cancelled_is_done_all_the_same(
    batches: tuple[Batches[int], list[list[int]]],
) -> None:
    does, seen = batches
    tasks = [asyncio.create_task(does.do(item)) for item in (1, 2)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert all(task.cancelled() for task in tasks)
    assert seen == [[1], [2]]
