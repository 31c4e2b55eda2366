"""Swaps: what takes the place of what, marks handed over and back, old files kept, deleted, never lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from maap_tui.engine.errors import DiskFullError, InvalidRequestError, LockedError
from maap_tui.engine.events import ItemSkipped, Warned
from maap_tui.engine.query import Query
from maap_tui.engine.studies.declaration import Declaration
from maap_tui.engine.swaps.book import SwapBook
from maap_tui.engine.workflows.sync import exclusive_sync
from tests.counting import opened
from tests.engine.conftest import told
from tests.engine.raw_server import COLLECTION
from tests.engine.swap_kit import (
    NAMES,
    NEW,
    OLD,
    PRODUCT,
    Published,
    content,
    whole,
)
from tests.engine.swap_place import SPAN, Place
from tests.homes import MOMENT


def both(*spots: int) -> list[Published]:
    return [Published(spot, baseline) for spot in spots for baseline in ("BA", "BC")]


@pytest.mark.anyio
async def test_marks_go_to_the_successors_and_old_files_after_their_days(place: Place) -> None:
    place.archive.published = both(0, 1, 4)
    first, second, third = (one for one in place.archive.published if one.baseline == "BA")
    await place.sync("BA")
    place.mark(first, third)
    async with place.session() as session:
        plan = await session.plan_swap(NAMES)
        assert [row.state for row in plan.rows] == ["archive"] * 3
        assert [row.is_marked for row in plan.rows] == [True, False, True]
        assert plan.fetch_bytes == sum(len(content(f"{row.successor}.h5")) for row in plan.rows)
        assert not place.states() and not whole(session, NEW), "a plan writes nothing"
        done = await session.run_swap(NAMES, keep_days=10)
    assert len(done.swapped) == 3 and set(place.states().values()) == {"swapped"}
    # Each granule is to be processed once, in the new baseline.
    assert place.pending("BA") == set() and len(place.pending("BC")) == 3 and place.wrong == []
    for days, state in ((9, "swapped"), (10, "retired")):
        place.now = MOMENT + timedelta(days=days)
        async with place.session() as session:
            await session.run_swap(NAMES)
        assert set(place.states().values()) == {state} and place.wrong == []
    session = place.session()
    assert whole(session, OLD) == {} and len(whole(session, NEW)) == 3
    assert session.stats(COLLECTION, PRODUCT, "BA").here == 0
    journal = session.dirs.journal_file.read_text().splitlines()
    assert [Path(line.rpartition("|")[2]).stem for line in journal] == [
        one.name for one in (first, second, third)
    ]
    before = len(place.events)
    await place.sync("BA")
    assert whole(place.session(), OLD) == {} and not told(place.events[before:], ItemSkipped)


@pytest.mark.anyio
async def test_undo_gives_back_the_marks_of_both_and_a_later_run_swaps_again(place: Place) -> None:
    place.archive.published = both(0, 1)
    old = [one for one in place.archive.published if one.baseline == "BA"]
    new = [one for one in place.archive.published if one.baseline == "BC"]
    await place.sync("BA")
    place.mark(old[0])
    async with place.session() as session:
        await session.run_swap(NAMES)
        place.mark(new[0])  # a pipeline has processed it
        done = await session.undo_swap(NAMES)
    assert len(done.undone) == 2 and not done.kept
    assert place.pending("BA") == {old[1].name}
    assert place.pending("BC") == {one.name for one in new}, "as they were: not marked"
    assert set(place.states().values()) == {"undone"} and place.wrong == []
    async with place.session() as session:
        again = await session.run_swap(NAMES, keep_days=0)
    assert len(again.swapped) == len(again.retired.done) == 2 and not again.downloads.downloaded
    assert place.wrong == []


@pytest.mark.anyio
async def test_what_was_deleted_is_undone_by_fetching_it_again(place: Place) -> None:
    place.archive.published = both(0, 1)
    old = [one for one in place.archive.published if one.baseline == "BA"]
    await place.sync("BA")
    place.mark(old[0])
    async with place.session() as session:
        await session.run_swap(NAMES, keep_days=0)
        refused = await session.undo_swap(NAMES)
        assert [kept.permanent for kept in refused.kept] == [True, True] and not refused.undone
        assert set(place.states().values()) == {"retired"}
        place.archive.gone.add(old[1].name)
        partly = await session.undo_swap(NAMES, fetch=True)
    assert [entry.name for entry in partly.undone] == [old[0].name]
    assert len(partly.kept) == 1 and partly.downloads.failed[0].permanent
    assert "--get" in refused.kept[1].reason and "--get" not in partly.kept[0].reason
    assert place.states() == {old[0].name: "undone", old[1].name: "retired"}
    assert place.pending("BA") == set() and place.wrong == []


@pytest.mark.anyio
async def test_undo_with_fetch_reads_old_files_no_more_than_it_has_to(place: Place) -> None:
    place.archive.published = both(0, 1)
    await place.sync("BA")
    async with place.session() as session:
        await session.run_swap(NAMES)
        old = list(whole(session, OLD).values())
        with opened() as paths:
            done = await session.undo_swap(NAMES, fetch=True)
    assert len(done.undone) == 2
    assert [paths.count(path) for path in old] == [1, 1], "what is to be fetched has been read to see that"


@pytest.mark.anyio
async def test_old_files_that_undo_fetches_are_read_once_after_they_came(place: Place) -> None:
    place.archive.published = both(0, 1)
    await place.sync("BA")
    async with place.session() as session:
        old = list(whole(session, OLD).values())
        await session.run_swap(NAMES, keep_days=0)
        with opened() as paths:
            done = await session.undo_swap(NAMES, fetch=True)
    assert len(done.undone) == 2 and place.wrong == []
    assert [paths.count(path) for path in old] == [1, 1]


@pytest.mark.anyio
async def test_a_run_that_ends_an_undo_names_the_command_that_has_the_fetch(place: Place) -> None:
    """Its own command line has no --get."""
    place.archive.published = both(0)
    await place.sync("BA")
    async with place.session() as session:
        await session.run_swap(NAMES)
        book = SwapBook(session.registry.root, OLD, NEW).read()
        book.note(replace(entry, state="undoing") for entry in book.entries.values())
        (path,) = whole(session, OLD).values()
        Path(path).write_bytes(content(Path(path).name)[:-1] + b"?")
        done = await session.run_swap(NAMES)
    assert "`maap swap undo --get` asks the archive for it" in done.left[0].reason


@pytest.mark.anyio
async def test_a_run_that_fails_after_it_deleted_says_what_it_deleted(place: Place) -> None:
    place.archive.published = both(0)
    await place.sync("BA")
    async with place.session() as session:
        await session.run_swap(NAMES)
        place.archive.published += both(1)
        await session.sync(Query(COLLECTION, PRODUCT, "BA", time=SPAN))
    async with place.session(**{"downloads.min_free": "1000T"}) as session:
        with pytest.raises(DiskFullError):
            await session.run_swap(NAMES, keep_days=0)
    assert any("Deleted 1 file of BA" in one.message for one in told(place.events, Warned))
    assert place.wrong == []


@pytest.mark.anyio
async def test_what_a_study_needs_and_the_archive_has_no_more_stays(place: Place, tmp_path: Path) -> None:
    place.archive.published = both(0, 1)
    first, _, second, _ = place.archive.published
    await place.sync("BA")
    async with place.session() as session:
        await session.run_swap(NAMES)
        hour = {"start": "2025-12-01T23:20:00Z", "end": "2025-12-01T23:25:00Z"}
        choices = {"collection": COLLECTION, "product": PRODUCT, "baseline": "BA", **hour}
        await session.freeze(Declaration("One granule", (choices,)), tmp_path / "study")
        place.archive.published = [one for one in place.archive.published if one.baseline == "BC"]
        before = len(place.events)
        done = await session.run_swap(NAMES, keep_days=0)
        assert [entry.name for entry in done.retired.done] == [second.name] and not done.retired.kept
        (said,) = (
            one.message
            for one in told(place.events[before:], Warned)
            if str(tmp_path / "study") in one.message
        )
        assert "is not deleted: the archive does not have them any more, and nothing brings them back" in said
        assert whole(session, OLD).keys() == {first.name} and place.wrong == []
        assert [row.state for row in (await session.plan_swap(NAMES)).rows] == ["swapped", "retired"]
        assert [one.name for one in (await session.undo_swap(NAMES)).undone] == [first.name]


@pytest.mark.anyio
async def test_an_old_file_stays_while_its_successor_is_not_whole(place: Place) -> None:
    place.archive.published = both(0, 1)
    await place.sync("BA")
    async with place.session() as session:
        await session.run_swap(NAMES)
    damaged, _ = sorted(whole(place.session(), NEW).values())
    Path(damaged).write_bytes(content(Path(damaged).name)[:-1] + b"?")
    place.now += timedelta(days=15)
    async with place.session() as session:
        with opened() as paths:
            done = await session.run_swap(NAMES)
    assert len(done.retired.done) == len(done.retired.kept) == 1
    assert paths.count(damaged) == 1, "what had to stay is not read again by the same run"
    assert "differ from what was downloaded" in told(place.events, ItemSkipped)[-1].reason
    assert len(whole(place.session(), OLD)) == 1
    async with place.session() as session:
        await session.fetch_again(
            [file for file in session.registry.baseline(NEW).downloads() if file.path == damaged]
        )
        assert len((await session.run_swap(NAMES)).retired.done) == 1
    assert place.wrong == []


@pytest.mark.anyio
async def test_an_old_file_outlives_a_successor_that_was_processed_and_deleted(place: Place) -> None:
    place.archive.published = both(0)
    old, new = place.archive.published
    await place.sync("BA")
    place.mark(old)
    async with place.session() as session:
        await session.run_swap(NAMES)
        place.mark(new)
        assert len(session.cleanup(COLLECTION, PRODUCT, "BC").deleted) == 1
        place.now += timedelta(days=15)
        await session.run_swap(NAMES)
        assert "once its swap is undone, a clean-up" in told(place.events, ItemSkipped)[-1].reason
        assert whole(session, OLD).keys() == {old.name} and place.wrong == []
        assert len((await session.undo_swap(NAMES)).undone) == 1
        assert place.pending("BC") == set() and place.wrong == [], "what is gone is not to be processed"
        assert len(session.cleanup(COLLECTION, PRODUCT, "BA").deleted) == 1


@pytest.mark.anyio
async def test_one_file_that_stands_for_both_versions_is_never_deleted(place: Place) -> None:
    place.archive.published = both(0)
    await place.sync("BA")
    session = place.session()
    (file,) = session.registry.baseline(OLD).downloads()
    url = file.url.replace("/BA/", "/BC/").replace(*(one.name for one in place.archive.published))
    session.registry.baseline(NEW).record(url, file.path, file.day)
    async with place.session() as session:
        done = await session.run_swap(NAMES, keep_days=0)
    assert not done.swapped and not done.retired.done and not done.downloads.downloaded
    assert Path(file.path).read_bytes() == content(Path(file.path).name), "nothing is fetched over it"
    assert [kept.entry.name for kept in done.left] == [place.archive.published[0].name]
    assert "both versions at" in told(place.events, ItemSkipped)[-1].reason


@pytest.mark.anyio
async def test_a_clean_up_leaves_what_a_swap_keeps(place: Place) -> None:
    place.archive.published = both(0)
    await place.sync("BA")
    async with place.session() as session:
        await session.run_swap(NAMES)
        for is_dry in (True, False):
            report = session.cleanup(COLLECTION, PRODUCT, "BA", dry_run=is_dry)
            assert not report.deleted and not report.refused and "BC keeps files until" in report.held[0][1]
        await session.undo_swap(NAMES)
        place.mark(place.archive.published[0])
        assert len(session.cleanup(COLLECTION, PRODUCT, "BA").deleted) == 1


@pytest.mark.anyio
async def test_what_cannot_be_swapped_stays_and_is_counted(place: Place) -> None:
    reprocessed = Published(1, "BA", version=1, shift_s=1)
    with_header = Published(3, "BA", suffixes=(".h5", ".HDR"))
    place.archive.published = [*both(0, 1), Published(2, "BA"), reprocessed, with_header, Published(3, "BC")]
    place.archive.published += [Published(9, "BC")]
    await place.sync("BA", formats=("all",))
    async with place.session() as session:
        plan = await session.plan_swap(NAMES)
        assert [row.state for row in plan.rows] == ["archive", "duplicate", "archive", "waiting", "lacking"]
        assert plan.unswapped == 2 and plan.others == 0
        assert (await session.plan_swap(NAMES, formats=("h5",))).counts["archive"] == 3
        done = await session.run_swap(NAMES, keep_days=0)
    assert len(done.retired.done) == 2 and done.plan.counts["retired"] == 2
    here = set(whole(place.session(), OLD))
    assert here == {Published(1, "BA").name, Published(2, "BA").name, with_header.name}
    # It came late: the next run takes it up, and the duplicate still takes no place.
    place.archive.published.append(Published(2, "BC"))
    async with place.session() as session:
        later = await session.run_swap(NAMES)
    assert [entry.successor for entry in later.swapped] == [Published(2, "BC").name]
    assert later.plan.counts["duplicate"] == 1


@pytest.mark.anyio
async def test_what_a_clean_up_deleted_is_swapped_when_it_is_meant(place: Place) -> None:
    place.archive.published = both(0)
    await place.sync("BA")
    place.mark(place.archive.published[0])
    async with place.session() as session:
        session.cleanup(COLLECTION, PRODUCT, "BA")
        left = await session.run_swap(NAMES)
        assert left.plan.cleaned == 1 and not left.swapped
        done = await session.run_swap(NAMES, cleaned=True, keep_days=0)
        assert len(done.swapped) == len(done.retired.done) == 1
        assert len((await session.undo_swap(NAMES)).undone) == 1
    assert place.pending("BC") == {place.archive.published[1].name} and place.wrong == []


@pytest.mark.anyio
async def test_two_at_a_time_wait_for_one_another(place: Place) -> None:
    place.archive.published = both(0)
    await place.sync("BA")
    async with place.session() as session, exclusive_sync(session.registry, [NEW], 0):
        with pytest.raises(LockedError, match="in use"):
            await session.run_swap(NAMES)
        with pytest.raises(LockedError, match="in use"):
            await session.undo_swap(NAMES)
        assert (await session.plan_swap(NAMES)).counts["archive"] == 1


@pytest.mark.anyio
async def test_without_room_for_both_versions_nothing_is_begun(place: Place) -> None:
    place.archive.published = both(0)
    await place.sync("BA")
    async with place.session(**{"downloads.min_free": "1000T"}) as session:
        with pytest.raises(DiskFullError, match="room for both"):
            await session.run_swap(NAMES)
    assert place.states() == {}


@pytest.mark.anyio
@pytest.mark.parametrize("line", ['{"granule": "x", "sta', '{"granule": 5}', "[]", '{"state": "swapped"}'])
async def test_a_torn_line_of_the_journal_is_set_aside(place: Place, line: str) -> None:
    place.archive.published = both(0)
    await place.sync("BA")
    async with place.session() as session:
        await session.run_swap(NAMES)
        file = SwapBook(session.registry.root, OLD, NEW).file
        with file.open("a") as journal:
            journal.write(line)
        await session.run_swap(NAMES, keep_days=0)
    assert f"# line set aside: {line}" in file.read_text() and place.wrong == []
    assert set(place.states().values()) == {"retired"}


@pytest.mark.anyio
async def test_names_that_cannot_be_swapped(place: Place) -> None:
    async with place.session() as session:
        for names, words in (
            (NAMES.__class__(COLLECTION, PRODUCT, "BC", "bc"), "for itself"),
            (NAMES, "Nothing of CPR_CLD_2A BA is tracked"),
            (NAMES.__class__("SwarmLevel1b", "MAGx_LR_1B", "0605", "0606"), "whose file names are not known"),
        ):
            with pytest.raises(InvalidRequestError, match=words):
                await session.run_swap(names)
        with pytest.raises(InvalidRequestError, match="was not swapped"):
            await session.undo_swap(NAMES)
