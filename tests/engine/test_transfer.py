"""One file over the wire: cut, resumed, packed, replaced, slow, endless or no data."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import random
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from maap_tui.demo import Archive
from maap_tui.engine.download.part import HELD, OVERLAP
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.download.transfer import Transfer
from maap_tui.engine.events import BytesReceived, Event, FileRetried, FileStarted
from maap_tui.engine.integrity.hashes import PIECE
from tests.engine.raw_files import NOT_DATA, FileServer, RawFile, Request, answer
from tests.engine.transfer_kit import (
    H5,
    LOGIN_PAGE,
    MIB,
    Kit,
    Remote,
    failure_of,
    final_files,
    hdf5_body,
    wait_for_size,
)
from tests.homes import PATIENCE_S


async def test_a_file_arrives_whole_under_its_name_and_nothing_else_stays(
    kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path
) -> None:
    file = remote(product="MSI_RGR_1C", baseline="BA")
    parts = kit()
    fetched = await parts.transfer().fetch(file.wanted(tmp_path / "new" / "folder"))
    assert fetched.path.read_bytes() == file.content
    assert (fetched.size, fetched.received) == (file.size, file.size)
    assert len(fetched.pieces) == -(-file.size // PIECE)
    assert os.listdir(fetched.path.parent) == [file.name]
    assert sum(event.count for event in parts.told(BytesReceived)) == file.size
    assert [(event.size, event.offset) for event in parts.told(FileStarted)] == [(file.size, 0)]


@pytest.mark.parametrize("percent", [1, 10, 50, 99, 99.9])
@pytest.mark.fault("N1")
async def test_a_cut_body_goes_on_from_its_last_byte(
    percent: float, archive: Archive, kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path
) -> None:
    file = remote(product="ATL_EBD_2A", baseline="BA")
    archive.faults.add(cut_after=int(file.size * percent / 100), times=1)
    fetched = await kit().transfer().fetch(file.wanted(tmp_path))
    assert fetched.path.read_bytes() == file.content
    assert archive.stats.show()["bytes_by_kind"]["data"] <= file.size + 64 * 1024
    assert fetched.received == file.size


@pytest.mark.fault("N1")
async def test_many_cuts_do_not_use_up_the_tries_while_bytes_come(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    file = RawFile(hdf5_body(2 * MIB), cuts=[128 * 1024] * 12)
    fetched = await kit(raw, retries=1).transfer().fetch(DownloadRequest(raw.at(H5, file), tmp_path / "a.h5"))
    assert fetched.path.read_bytes() == file.body
    assert file.served == len(file.body)


@pytest.mark.fault("N1")
async def test_cuts_that_bring_nothing_end_after_the_tries(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    file = RawFile(hdf5_body(MIB), cuts=[0] * 99)
    parts = kit(raw, retries=2)
    error = await failure_of(parts.transfer(), DownloadRequest(raw.at(H5, file), tmp_path / "a.h5"))
    assert not error.permanent
    assert [event.attempt for event in parts.told(FileRetried)] == [1, 2]
    assert len(raw.asked(H5)) == 3
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("etag", ['"one"', 'W/"one"', ""])
@pytest.mark.parametrize("modified", ["Thu, 01 Jan 2026 00:00:00 GMT", ""])
@pytest.mark.parametrize("cut", [1, 100_000, 300_000])
@pytest.mark.fault("N4")
@pytest.mark.fault("N7")
async def test_the_next_run_resumes_with_any_validator(
    etag: str, modified: str, cut: int, kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    file = RawFile(hdf5_body(400_000), etag, modified, cuts=[cut])
    wanted = DownloadRequest(raw.at(H5, file), tmp_path / "a.h5")
    await failure_of(kit(raw, retries=0).transfer(), wanted)
    assert final_files(tmp_path) == []
    fetched = await kit(raw, retries=0).transfer().fetch(wanted)
    assert fetched.path.read_bytes() == file.body
    again = 0 if etag == '"one"' else min(cut, OVERLAP)
    assert file.starts == [0, cut - again]
    assert fetched.received == len(file.body) - cut
    condition = raw.asked(H5)[-1].headers.get("if-range", "")
    assert not condition.startswith("W/")


async def test_a_small_file_that_comes_at_once_needs_no_note(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    notes: list[str] = []

    def look(event: Event) -> None:
        notes.extend(path.name for path in tmp_path.glob("*.json*"))

    file = RawFile(hdf5_body(HELD))
    await kit(raw).transfer(look).fetch(DownloadRequest(raw.at(H5, file), tmp_path / "a.h5"))
    assert (tmp_path / "a.h5").read_bytes() == file.body
    assert notes == []
    file = RawFile(hdf5_body(HELD + 1))
    await kit(raw).transfer(look).fetch(DownloadRequest(raw.at("/b.h5", file), tmp_path / "b.h5"))
    assert (tmp_path / "b.h5").read_bytes() == file.body
    assert "b.h5.part.json" in notes


@pytest.mark.fault("N4")
async def test_a_small_file_that_comes_slowly_is_on_disk_for_another_run(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    body, end = hdf5_body(100_000), asyncio.Event()

    async def begin(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer("200 OK", body[:60_000], content_length=str(len(body)), etag='"one"'))
        await end.wait()

    rest = answer(
        "206 Partial Content", body[60_000:], content_range="bytes 60000-99999/100000", etag='"one"'
    )
    wanted = DownloadRequest(raw.at(H5, begin, rest), tmp_path / "a.h5")
    slow = asyncio.create_task(kit(raw, stall_timeout_s=20).transfer().fetch(wanted))
    await wait_for_size(tmp_path / "a.h5.part", 60_000)
    assert json.loads((tmp_path / "a.h5.part.json").read_text())["etag"] == '"one"'
    slow.cancel()
    await asyncio.wait([slow])
    end.set()
    fetched = await kit(raw).transfer().fetch(wanted)
    assert (fetched.path.read_bytes(), fetched.received) == (body, 40_000)


@pytest.mark.parametrize("retries", [0, 3], ids=["between_runs", "while_retrying"])
@pytest.mark.parametrize(
    "habits",
    [
        {},
        {"etag": "W/"},
        {"etag": ""},
        {"etag": "", "modified": ""},
        {"if_range": False},
        {"if_range": False, "etag": ""},
        {"ranges": False},
    ],
    ids=["strong", "weak", "no_etag", "no_validator", "if_range_ignored", "date_only", "no_ranges"],
)
@pytest.mark.fault("N5")
@pytest.mark.fault("N6")
@pytest.mark.fault("N7")
async def test_two_versions_of_one_length_are_never_mixed(
    habits: dict[str, Any], retries: int, kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    shape = {"etag": '"one"', **habits}
    if shape["etag"] == "W/":
        shape["etag"] = 'W/"one"'
    first = RawFile(hdf5_body(500_000, 1), cuts=[250_000], **shape)
    newer = {**shape, "etag": shape["etag"].replace("one", "two")}
    if first.modified:
        newer["modified"] = "Fri, 02 Jan 2026 00:00:00 GMT"
    newer = {**newer, **({"modified": ""} if habits.get("modified") == "" else {})}
    second = RawFile(hdf5_body(500_000, 2), **newer)
    url = raw.at(H5, first, second)
    wanted = DownloadRequest(url, tmp_path / "a.h5", 500_000)
    if retries == 0:
        await failure_of(kit(raw, retries=0).transfer(), wanted)
    fetched = await kit(raw, retries=2).transfer().fetch(wanted)
    assert fetched.path.read_bytes() == second.body


@pytest.mark.fault("N5")
async def test_a_file_replaced_at_the_archive_starts_again(
    archive: Archive, kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path
) -> None:
    file = remote(7, product="ATL_EBD_2A", baseline="BA")
    archive.faults.add(cut_after=file.size // 2, times=1)
    await failure_of(kit(retries=0).transfer(), file.wanted(tmp_path))
    before = file.content
    archive.control(replace=file.name)
    fetched = await kit().transfer().fetch(file.wanted(tmp_path))
    assert fetched.path.read_bytes() == file.content != before


@pytest.mark.parametrize(
    "habits",
    [{"shift": 7}, {"shift": -7}, {"total": "123456"}, {"total": "many"}],
    ids=["start_after", "start_before", "another_total", "no_number"],
)
@pytest.mark.fault("H3")
async def test_a_range_that_was_not_asked_for_is_not_used(
    habits: dict[str, Any], kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    file = RawFile(hdf5_body(300_000), cuts=[150_000], **habits)
    fetched = await kit(raw).transfer().fetch(DownloadRequest(raw.at(H5, file), tmp_path / "a.h5"))
    assert fetched.path.read_bytes() == file.body
    assert file.starts == [0, 150_000, 0]


@pytest.mark.fault("H3")
async def test_a_range_without_being_asked_is_refused(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    stray = answer("206 Partial Content", hdf5_body(500), content_range="bytes 0-499/500")
    url = raw.at(H5, stray)
    error = await failure_of(kit(raw, retries=1).transfer(), DownloadRequest(url, tmp_path / "a.h5"))
    assert "206" in error.message


@pytest.mark.fault("N8")
async def test_416_on_a_complete_part_finishes_it(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    # Without a length, and for a format that does not tell its own, the first run cannot know it is whole.
    file = RawFile(random.Random(3).randbytes(200_000), length=False)
    wanted = DownloadRequest(raw.at("/file.dbl", file), tmp_path / "a.dbl")
    failing = RawFile(file.body, length=False, cuts=[200_000])
    raw.at("/file.dbl", failing)

    async def broken(request: Request, writer: asyncio.StreamWriter) -> None:
        head = answer("200 OK", content_length="", transfer_encoding="chunked", etag='"one"')
        writer.write(head + b"30d40\r\n" + file.body + b"\r\n")

    raw.at("/file.dbl", broken)
    await failure_of(kit(raw, retries=0).transfer(), wanted)
    raw.at("/file.dbl", file)
    fetched = await kit(raw, retries=0).transfer().fetch(wanted)
    assert fetched.path.read_bytes() == file.body
    assert file.served == 0


@pytest.mark.fault("N8")
async def test_416_on_a_part_that_is_too_long_starts_again(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    wanted = DownloadRequest(raw.at(H5, RawFile(hdf5_body(300_000), cuts=[200_000])), tmp_path / "a.h5")
    await failure_of(kit(raw, retries=0).transfer(), wanted)
    shorter = RawFile(hdf5_body(100_000), if_range=False)
    raw.at(H5, shorter)
    fetched = await kit(raw).transfer().fetch(wanted)
    assert fetched.path.read_bytes() == shorter.body


@pytest.mark.fault("N3")
async def test_a_close_delimited_body_that_was_cut_is_noticed_and_completed(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    file = RawFile(hdf5_body(300_000), length=False, cuts=[180_000])
    fetched = await kit(raw).transfer().fetch(DownloadRequest(raw.at(H5, file), tmp_path / "a.h5"))
    assert fetched.path.read_bytes() == file.body
    assert file.starts == [0, 180_000]


@pytest.mark.fault("N3")
async def test_a_close_delimited_body_without_any_known_length_is_never_final(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    url = raw.at("/file.HDR", RawFile(b"<?xml version='1.0'?><a>" + b"x" * 9000, length=False, ranges=False))
    error = await failure_of(kit(raw, retries=1).transfer(), DownloadRequest(url, tmp_path / "a.HDR"))
    assert "cannot be verified" in error.message
    fetched = await kit(raw).transfer().fetch(DownloadRequest(url, tmp_path / "a.HDR", 9024))
    assert fetched.size == 9024


@pytest.mark.fault("N3")
async def test_a_zip_made_on_the_fly_is_checked_by_its_directory(
    kit: Callable[..., Kit], archive: Archive, remote: Callable[..., Remote], tmp_path: Path
) -> None:
    file = remote()
    url = f"{archive.url}/data/zipper/{file.granule.folder}/{file.granule.id}"
    archive.faults.add(cut_after=90_000, times=1)
    fetched = await kit().transfer().fetch(DownloadRequest(url, tmp_path / "a.zip"))
    assert fetched.path.read_bytes()[:2] == b"PK"
    archive.faults.add(cut_nolength=90_000)
    error = await failure_of(kit(retries=1).transfer(), DownloadRequest(url, tmp_path / "b.zip"))
    assert "zip" in error.message


@pytest.mark.parametrize("suffix", [".h5", ".HDR"])
@pytest.mark.parametrize("with_size", [True, False])
@pytest.mark.fault("N14")
async def test_a_body_packed_against_our_wish_is_unpacked(
    suffix: str,
    with_size: bool,
    archive: Archive,
    kit: Callable[..., Kit],
    remote: Callable[..., Remote],
    tmp_path: Path,
) -> None:
    file = remote(suffix=suffix)
    archive.faults.add(gzip=True, target="data")
    size = file.size if with_size else None
    fetched = await kit().transfer().fetch(file.wanted(tmp_path, size=size))
    assert fetched.path.read_bytes() == file.content


@pytest.mark.fault("N14")
async def test_a_packed_body_that_was_cut_is_not_resumed_into_a_mixture(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    body = hdf5_body(300_000)
    packed = gzip.compress(body)
    cut = answer("200 OK", packed[:150_000], content_length="", content_encoding="gzip", etag='"one"')
    strange = answer("206 Partial Content", packed[150_000:], content_encoding="gzip",
                     content_range=f"bytes 150000-{len(packed) - 1}/{len(packed)}")  # fmt: skip
    url = raw.at(H5, cut, strange, RawFile(body))
    fetched = await kit(raw).transfer().fetch(DownloadRequest(url, tmp_path / "a.h5"))
    assert fetched.path.read_bytes() == body


@pytest.mark.fault("H5")
async def test_packed_zeros_stop_at_the_announced_size(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    bomb = zlib.compress(bytes(64 * MIB))
    url = raw.at(H5, answer("200 OK", bomb, content_encoding="deflate"))
    parts = kit(raw, retries=0)
    error = await failure_of(parts.transfer(), DownloadRequest(url, tmp_path / "a.h5", 2 * MIB))
    assert "more came" in error.message
    assert sum(event.count for event in parts.told(BytesReceived)) <= 2 * MIB


@pytest.mark.parametrize("with_size", [True, False])
@pytest.mark.parametrize("kind", NOT_DATA)
@pytest.mark.fault("H1")
@pytest.mark.fault("H3")
@pytest.mark.fault("H4")
async def test_what_is_no_data_never_becomes_final(
    kind: str, with_size: bool, kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    url = raw.at(H5, NOT_DATA[kind])
    parts = kit(raw, retries=1)
    wanted = DownloadRequest(url, folder / "a.h5", 5001 if with_size else None)
    error = await failure_of(parts.transfer(), wanted)
    assert not error.permanent
    assert error.message
    assert final_files(folder) == []


@pytest.mark.parametrize("name", ["a.HDR", "a.nc", "a.dbl", "a.zip", "a.EOF"])
@pytest.mark.parametrize(
    "body", [LOGIN_PAGE, b'{"error": {"code": 403}}', b"{\n}"], ids=["html", "json", "object"]
)
@pytest.mark.fault("H1")
async def test_messages_are_known_for_what_they_are_in_every_format(
    name: str, body: bytes, kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    url = raw.at(f"/{name}", answer("200 OK", body))
    await failure_of(kit(raw, retries=0).transfer(), DownloadRequest(url, tmp_path / name))


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("a.HDR", b'\xef\xbb\xbf<?xml version="1.0"?><a/>'),
        ("a.EOF", b"<Earth_Explorer_File/>"),
        ("a.nc", b"CDF\x01" + bytes(100)),
        ("a.nc", hdf5_body(1000)),
        ("a.dbl", bytes(100)),
        ("a.bufr", b"BUFR" + bytes(100)),
    ],
)
async def test_every_format_arrives(
    name: str, body: bytes, kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    url = raw.at(f"/{name}", answer("200 OK", body))
    fetched = await kit(raw, retries=0).transfer().fetch(DownloadRequest(url, tmp_path / name))
    assert fetched.path.read_bytes() == body


async def test_a_length_that_the_catalogue_denies_is_no_data(
    archive: Archive, kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path
) -> None:
    file = remote()
    archive.faults.add(wrong_length=500)
    error = await failure_of(kit(retries=1).transfer(), file.wanted(tmp_path))
    assert f"{file.size + 500} bytes where the catalogue announced {file.size}" in error.message
    archive.faults.clear()
    archive.faults.add(wrong_length=-500)
    await failure_of(kit(retries=1).transfer(), file.wanted(tmp_path, size=None))


@pytest.mark.parametrize("announced", [200_000, None])
@pytest.mark.fault("H5")
async def test_an_endless_body_is_stopped(
    announced: int | None, kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    async def pour(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer("200 OK", hdf5_body(1000), content_length=""))
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    parts = kit(raw, retries=0, max_file=300_000)
    error = await failure_of(
        parts.transfer(), DownloadRequest(raw.at(H5, pour), tmp_path / "a.h5", announced)
    )
    assert error.permanent == (announced is None)
    assert "max_file" in error.message or "more came" in error.message
    assert sum(event.count for event in parts.told(BytesReceived)) <= (announced or 300_000)
    assert list(tmp_path.rglob("*.part")) == []


@pytest.mark.fault("H5")
async def test_a_file_over_the_limit_is_refused_before_its_body(
    kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path
) -> None:
    parts = kit(max_file=1000)
    error = await failure_of(parts.transfer(), remote().wanted(tmp_path))
    assert error.permanent
    assert not parts.told(BytesReceived)


@pytest.mark.fault("N9")
async def test_a_stall_is_noticed_and_resumed(
    archive: Archive, kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path
) -> None:
    file = remote()
    archive.faults.add(stall_after=70_000, times=1)
    parts = kit(stall_timeout_s=0.2)
    fetched = await parts.transfer().fetch(file.wanted(tmp_path))
    assert fetched.path.read_bytes() == file.content
    assert "nothing in time" in parts.told(FileRetried)[0].reason


@pytest.mark.fault("N10")
async def test_a_drip_is_noticed_by_its_rate(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    body, now = hdf5_body(10_000), [0.0]

    async def drip(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer("200 OK", body[:5000], content_length="10000", etag='"one"'))
        for byte in body[5000:]:
            now[0] += 1
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.002)

    parts = kit(raw, rate_window_s=30)
    transfer = Transfer(parts.http, parts.tokens, parts.rules, emit=parts.events.append, clock=lambda: now[0])
    url = raw.at(H5, drip, RawFile(body))
    fetched = await transfer.fetch(DownloadRequest(url, tmp_path / "a.h5"))
    assert fetched.path.read_bytes() == body
    assert "bytes came in" in parts.told(FileRetried)[0].reason
    raw.at(H5, drip)
    await failure_of(transfer, DownloadRequest(url, tmp_path / "b.h5"))
    assert len(parts.told(FileRetried)) == 1 + 2


@pytest.mark.fault("N10")
async def test_a_drip_after_a_burst_is_noticed_within_one_window(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    body, now, dripped = hdf5_body(200_000), [0.0], []

    async def drip(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer("200 OK", body[:150_000], content_length="200000", etag='"one"'))
        for byte in body[150_000:]:
            await writer.drain()
            await asyncio.sleep(0.002)
            now[0] += 1
            dripped.append(byte)
            writer.write(bytes([byte]))

    parts = kit(raw)
    transfer = Transfer(parts.http, parts.tokens, parts.rules, emit=parts.events.append, clock=lambda: now[0])
    fetched = await transfer.fetch(DownloadRequest(raw.at(H5, drip, RawFile(body)), tmp_path / "a.h5"))
    assert fetched.path.read_bytes() == body
    assert "bytes came in 60 s" in parts.told(FileRetried)[0].reason
    assert 60 <= len(dripped) <= 90


async def test_all_files_together_keep_to_the_rate_asked_for(
    kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path
) -> None:
    files = [remote(number) for number in range(4)]
    parts = kit(limit_rate=500_000, rate_window_s=1.0, min_rate=500_000)
    transfer = parts.transfer()
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await asyncio.gather(*(transfer.fetch(file.wanted(tmp_path)) for file in files))
    assert loop.time() - begun >= 4 * files[0].size / 500_000 * 0.9
    assert not parts.told(FileRetried)


async def test_the_rate_can_change_for_files_in_flight(
    kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path
) -> None:
    parts = kit(limit_rate=1)
    transfer = parts.transfer()
    tasks = [asyncio.ensure_future(transfer.fetch(remote(number).wanted(tmp_path))) for number in range(2)]
    async with asyncio.timeout(PATIENCE_S):
        while len(parts.told(BytesReceived)) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert not any(task.done() for task in tasks)
        transfer.set_rules(replace(parts.rules, limit_rate=0))
        await asyncio.gather(*tasks)
    assert (tmp_path / remote(1).name).read_bytes() == remote(1).content
