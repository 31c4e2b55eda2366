"""The bytes of a cut: from servers that fail, change or know no ranges, the token to no other."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from maap_tui.demo import Archive
from maap_tui.engine.cuts.remote import ChangedError, NoRangesError
from maap_tui.engine.cuts.request import Cut
from maap_tui.engine.download.requests import DownloadOutcome, DownloadRequest
from maap_tui.engine.download.transfer import Transfer
from maap_tui.engine.errors import DownloadError, InvalidRequestError, exit_code_of
from maap_tui.engine.query import Box
from maap_tui.engine.workflows.cut import Source, remote_file
from tests.engine.cut_kit import BEGIN, COUNT, END, EQUATOR, Make, at_server, compare, here, there
from tests.engine.raw_files import FileServer, RawFile, Request, answer
from tests.engine.transfer_kit import Remote

pytestmark = pytest.mark.usefixtures("apart_at_once")

L2 = "EarthCAREL2Validated_MAAP"


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9])
async def test_a_damaged_file_is_an_error_and_no_result(
    share: float, everything: Path, session: Make, tmp_path: Path
) -> None:
    body = bytearray(everything.read_bytes())
    at = int(len(body) * share)
    (tmp_path / "a.h5").write_bytes(body[:at] + os.urandom(4000) if share else b"CDF\1" + bytes(100))
    async with session() as engine:
        with pytest.raises(InvalidRequestError, match=r"^a\.h5: "):
            await engine.cut(here(tmp_path / "a.h5"), Cut(box=EQUATOR), tmp_path / "a.nc")
    assert not (tmp_path / "a.nc").exists()


async def test_a_file_replaced_meanwhile_is_read_from_scratch(
    session: Make, archive: Archive, remote: Callable[..., Remote], tmp_path: Path
) -> None:
    file = remote(product="ATL_EBD_2A", baseline="BA")
    source = Source(file.name, file.url, None, file.size)
    replaced: list[int] = []

    def replace(needs: Any) -> None:
        if not replaced:
            archive.control(replace=file.name)
        replaced.append(needs.needed)

    async with session(bulk=True) as engine:
        found = await engine.cut(
            source, Cut(("signal",), box=Box(-180, -90, 180, 0)), tmp_path / "a.nc", before=replace
        )
    assert len(replaced) == 2
    (tmp_path / "whole.h5").write_bytes(file.content)
    ((begin, end),) = found.spans[0].kept
    with h5py.File(tmp_path / "whole.h5") as whole, h5py.File(tmp_path / "a.nc") as part:
        assert np.array_equal(part["ScienceData/signal"], whole["ScienceData/signal"][begin:end])


async def test_a_file_that_changes_each_time_is_a_transient_failure(
    session: Make, archive: Archive, remote: Callable[..., Remote], tmp_path: Path
) -> None:
    file = remote()
    async with session(bulk=True, **{"downloads.retries": 2}) as engine:
        with pytest.raises(DownloadError, match="was replaced at the archive") as caught:
            await engine.cut(
                Source(file.name, file.url, None),
                Cut(("signal",)),
                tmp_path / "a.nc",
                before=lambda needs: archive.control(replace=file.name),
            )
    assert exit_code_of(caught.value) == 3 and not (tmp_path / "a.nc").exists()


async def test_bytes_served_by_the_archive_are_those_of_the_estimate(
    session: Make, archive: Archive, remote: Callable[..., Remote], tmp_path: Path
) -> None:
    file = remote(product="ATL_EBD_2A", baseline="BA")
    async with session(bulk=True) as engine:
        source = await engine.cut_source(file.name, L2)
        assert (source.url, source.size, source.baseline) == (file.url, file.size, "BA")
        latitude = float(np.median([at for _, at in file.granule.series.axis.track(file.granule.number)]))
        cut = Cut(("signal",), box=Box(-180, latitude - 1, 180, latitude + 1))
        estimate = await engine.estimate_cut(source, cut)
        assert archive.stats.show()["bytes_by_kind"]["data"] == estimate.asked
        archive.stats.reset()
        found = await engine.cut(source, cut, tmp_path / "a.nc")
    served = archive.stats.show()["bytes_by_kind"]["data"]
    assert served == found.received == estimate.asked + estimate.needed < file.size / 4
    signal = next(one for one in found.variables if one.name == "/ScienceData/signal")
    assert 0 < signal.bytes < file.size / 10 and found.spans[0].points > 0


@pytest.mark.parametrize(
    "fault", [{"cut_after": 9000}, {"status": 503}, {"status": 401}, {"html_login": True}]
)
async def test_a_range_that_fails_is_asked_for_again(
    fault: dict[str, Any], session: Make, archive: Archive, remote: Callable[..., Remote], tmp_path: Path
) -> None:
    file = remote()
    archive.faults.add(**fault, target="data", times=1, after=1)
    async with session(bulk=True) as engine:
        await engine.cut(Source(file.name, file.url, None), Cut(("signal",)), tmp_path / "a.nc")
    (tmp_path / "whole.h5").write_bytes(file.content)
    with h5py.File(tmp_path / "whole.h5") as whole, h5py.File(tmp_path / "a.nc") as part:
        assert np.array_equal(part["ScienceData/signal"], whole["ScienceData/signal"])


async def test_a_server_without_ranges_needs_the_whole_file(
    everything: Path, session: Make, raw: FileServer, tmp_path: Path
) -> None:
    file = RawFile(everything.read_bytes(), ranges=False)
    source = there(raw.at("/all.h5", file))
    async with at_server(session, raw) as engine:
        for work in (
            engine.cut(source, Cut(box=EQUATOR), tmp_path / "a.nc"),
            engine.estimate_cut(source, Cut(box=EQUATOR)),
        ):
            with pytest.raises(NoRangesError, match="only whole files") as caught:
                await work
            assert exit_code_of(caught.value) == 4 and "--whole" in caught.value.hint
        found = await engine.cut(source, Cut(box=EQUATOR), tmp_path / "a.nc", whole=True)
    assert compare(everything, tmp_path / "a.nc", BEGIN, END) == COUNT
    assert found.received == len(file.body)
    assert not list((tmp_path / "home").rglob("all.h5*"))


async def test_several_cuts_of_one_whole_file_at_once(
    everything: Path, session: Make, raw: FileServer, tmp_path: Path
) -> None:
    """Whoever is done first removes the file that all of them fetched, which the others still read."""
    source = there(raw.at("/all.h5", RawFile(everything.read_bytes(), ranges=False)))
    names = [tmp_path / f"{number}.nc" for number in range(5)]
    async with at_server(session, raw) as one, at_server(session, raw) as other:
        await asyncio.gather(
            *(
                engine.cut(source, Cut(box=EQUATOR), name, whole=True)
                for engine, name in zip([one, other, one, other, one], names, strict=True)
            )
        )
    for name in names:
        assert compare(everything, name, BEGIN, END) == COUNT
    assert not list((tmp_path / "home").rglob("all.h5*"))


async def test_a_whole_file_that_goes_before_it_is_read_is_fetched_again(
    everything: Path, session: Make, raw: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a cut of another process that is done with it at that moment."""
    source = there(raw.at("/all.h5", RawFile(everything.read_bytes(), ranges=False)))
    fetch, gone = Transfer.fetch, []

    async def beside(transfer: Transfer, wanted: DownloadRequest) -> DownloadOutcome:
        outcome = await fetch(transfer, wanted)
        if not gone:
            outcome.path.unlink()
            gone.append(outcome.path)
        return outcome

    monkeypatch.setattr(Transfer, "fetch", beside)
    async with at_server(session, raw) as engine:
        found = await engine.cut(source, Cut(box=EQUATOR), tmp_path / "a.nc", whole=True)
    assert compare(everything, tmp_path / "a.nc", BEGIN, END) == COUNT and gone
    assert found.received == 2 * everything.stat().st_size


async def test_an_estimate_of_a_whole_file_fetches_nothing(
    everything: Path, session: Make, raw: FileServer, tmp_path: Path
) -> None:
    body = everything.read_bytes()
    source = there(raw.at("/all.h5", RawFile(body, ranges=False)))
    async with at_server(session, raw) as engine:
        found = await engine.estimate_cut(source, Cut(box=EQUATOR), whole=True)
        assert (found.size, found.needed, found.requests, found.asked) == (len(body), len(body), 1, 0)
        assert found.variables == [] and "whole file" in found.needs
    assert not list((tmp_path / "home").rglob("all.h5*"))


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"ranges": False}, DownloadError, "the whole file came where a range was asked for"),
        ({"ranges": False, "etag": '"two"'}, ChangedError, "was replaced at the archive"),
        ({"if_range": False, "etag": '"two"'}, ChangedError, "was replaced at the archive"),
        ({"body": bytes(50_000), "etag": '"two"'}, ChangedError, "was replaced at the archive"),
        ({"body": bytes(20_000), "etag": '"two"'}, ChangedError, "was replaced at the archive"),
        ({"body": bytes(90_000)}, ChangedError, "was replaced at the archive"),
        ({"shift": 5}, DownloadError, "another range than the one asked for"),
        ({"cuts": [10] * 9}, DownloadError, "broke|ended before"),
    ],
    ids=str,
)
async def test_a_server_that_changes_between_two_reads(
    changes: dict[str, Any], error: type[Exception], said: str, session: Make, raw: FileServer
) -> None:
    file = RawFile(bytes(60_000))
    came: dict[int, bytes] = {}
    async with at_server(session, raw, **{"downloads.retries": 2}) as engine:
        remote = remote_file(engine, there(raw.at("/a.h5", file)))
        await remote.open(came.__setitem__)
        for name, value in changes.items():
            setattr(file, name, value)
        with pytest.raises(error, match=said):
            await remote.read([(40_000, 45_000)], came.__setitem__)


async def test_an_empty_file_at_the_server_is_said(session: Make, raw: FileServer, tmp_path: Path) -> None:
    source = there(raw.at("/a.h5", RawFile(b"")))
    async with at_server(session, raw) as engine:
        with pytest.raises(DownloadError, match="it has no bytes"):
            await engine.cut(source, Cut(("x",)), tmp_path / "a.nc")


async def test_the_token_goes_to_no_other_origin(
    session: Make, archive: Archive, remote: Callable[..., Remote], raw: FileServer, tmp_path: Path
) -> None:
    async with session(bulk=True) as engine:
        with pytest.raises(DownloadError, match="not on the archive"):
            await engine.cut(there(f"{raw.url}/a.h5"), Cut(("x",)), tmp_path / "a.nc")
        assert raw.requests == []
        raw.at("/data/" + remote().url.partition("/data/")[2], answer("401 Unauthorized"))
        archive.faults.add(redirect=raw.url)
        with pytest.raises(DownloadError, match="is not trusted with it"):
            await engine.cut(there(remote().url), Cut(("x",)), tmp_path / "a.nc")
    assert [request.headers.get("authorization") for request in raw.requests] == [None]


async def test_a_cut_that_is_cancelled_leaves_nothing(
    session: Make, raw: FileServer, everything: Path, tmp_path: Path
) -> None:
    asked = asyncio.Event()
    file = RawFile(everything.read_bytes())

    async def hold(request: Request, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await asyncio.Event().wait()

    url = raw.at("/all.h5", file, hold)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.nc").write_bytes(b"before")
    async with at_server(session, raw) as engine:
        running = asyncio.create_task(engine.cut(there(url), Cut(box=EQUATOR), tmp_path / "out" / "a.nc"))
        await asked.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.nc"]
    assert (tmp_path / "out" / "a.nc").read_bytes() == b"before"
