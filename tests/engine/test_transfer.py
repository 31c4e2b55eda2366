from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import os
import random
import resource
import signal
import sys
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from maap_tui.demo import Archive
from maap_tui.engine.download.pacing import HostPause
from maap_tui.engine.download.part import HELD, OVERLAP, existing_size, part_of
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.download.transfer import Transfer
from maap_tui.engine.errors import AuthenticationError, DiskFullError, DownloadError, StorageError
from maap_tui.engine.events import BytesReceived, Event, FileRetried, FileStarted, Noted
from maap_tui.engine.integrity.hashes import PIECE
from maap_tui.engine.storage import locks
from tests.engine.raw_files import NOT_DATA, FileServer, RawFile, Reply, Request, answer, token_reply
from tests.engine.transfer_kit import LOGIN_PAGE, Kit, Remote, asked, hdf5_body, open_sockets, other_tasks
from tests.homes import PATIENCE_S

MIB = 1 << 20
H5 = "/file.h5"


def final_files(folder: Path) -> list[str]:
    """Names under which someone would look for a whole file."""
    return [path.name for path in folder.rglob("*") if path.is_file() and ".part" not in path.name]


async def failure_of(transfer: Transfer, wanted: DownloadRequest) -> DownloadError:
    with pytest.raises(DownloadError) as caught:
        await transfer.fetch(wanted)
    assert not wanted.path.exists()
    return caught.value


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


@pytest.mark.fault("A4")
@pytest.mark.fault("A7")
async def test_a_401_renews_the_token_once_for_all(
    archive: Archive, kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path
) -> None:
    parts = kit()
    transfer = parts.transfer()
    await transfer.fetch(remote(0).wanted(tmp_path))
    before = archive.tokens.refreshes
    archive.control(expire_tokens=True)
    files = [remote(number) for number in range(1, 21)]
    await asyncio.gather(*(transfer.fetch(file.wanted(tmp_path)) for file in files))
    assert archive.tokens.refreshes == before + 1
    assert not parts.told(FileRetried)


@pytest.mark.fault("A4")
async def test_a_401_that_stays_stops_everything(
    archive: Archive, kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path
) -> None:
    archive.faults.add(status=401, target="data")
    before = archive.tokens.refreshes
    with pytest.raises(AuthenticationError, match="refuses a fresh access token"):
        await kit().transfer().fetch(remote().wanted(tmp_path))
    assert archive.tokens.refreshes == before + 2
    assert len(asked(archive)) == 2


async def test_the_connection_for_a_file_opens_while_its_token_comes(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    connections, body, both = [], hdf5_body(5000), asyncio.Event()

    def connect() -> None:
        connections.append(1)
        if len(connections) == 2:
            both.set()

    async def give(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.wait_for(both.wait(), PATIENCE_S)
        writer.write(token_reply())

    raw.on_connect = connect
    raw.at("/token", give)
    wanted = DownloadRequest(raw.at(H5, answer("200 OK", body)), tmp_path / "a.h5")
    fetched = await kit(raw).transfer().fetch(wanted)
    assert fetched.path.read_bytes() == body
    assert len(connections) == 2, "the file came by another connection than the one that was opened for it"


async def test_a_transfer_cancelled_while_its_token_comes_leaves_nothing(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    asked = asyncio.Event()

    async def refuse(request: Request, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await asyncio.Event().wait()

    raw.at("/token", refuse)
    before = other_tasks()
    parts = kit(raw)
    wanted = DownloadRequest(raw.at(H5, answer("200 OK", hdf5_body(5000))), tmp_path / "a.h5")
    fetching = asyncio.create_task(parts.transfer().fetch(wanted))
    await asyncio.wait_for(asked.wait(), PATIENCE_S)
    fetching.cancel()
    await raw.close()  # an answer on its way would be waited for
    with pytest.raises(asyncio.CancelledError):
        await fetching
    await parts.http.close()
    assert open_sockets(raw.url) == 0
    assert other_tasks() == before


async def test_a_token_may_end_more_than_once_during_one_file(
    archive: Archive, kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    file = RawFile(hdf5_body(500_000), cuts=[150_000, 150_000])
    gone = answer("401 Unauthorized")
    url = raw.at(H5, file, gone, file, gone, file)
    fetched = await kit(raw).transfer().fetch(DownloadRequest(url, tmp_path / "a.h5"))
    assert fetched.path.read_bytes() == file.body
    assert len(raw.asked("/token")) == 3


@pytest.mark.fault("H1")
async def test_a_login_page_renews_once_and_then_asks_for_a_sign_in(
    archive: Archive, kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path
) -> None:
    file = remote()
    archive.faults.add(html_login=True, times=1)
    fetched = await kit().transfer().fetch(file.wanted(tmp_path))
    assert fetched.path.read_bytes() == file.content
    archive.faults.add(html_login=True)
    with pytest.raises(AuthenticationError, match="sign-in page"):
        await kit().transfer().fetch(remote(1).wanted(tmp_path))


@pytest.mark.parametrize(
    ("status", "permanent"),
    [
        *((status, True) for status in (400, 403, 404, 405, 406, 410, 414, 451, 501)),
        *((status, False) for status in (408, 416, 423, 500, 505)),
    ],
)
@pytest.mark.fault("N13")
@pytest.mark.fault("A5")
async def test_statuses(
    status: int,
    permanent: bool,
    archive: Archive,
    kit: Callable[..., Kit],
    remote: Callable[..., Remote],
    tmp_path: Path,
) -> None:
    archive.faults.add(status=status, target="data")
    parts = kit(retries=2)
    before = archive.tokens.refreshes
    error = await failure_of(parts.transfer(), remote().wanted(tmp_path / "data"))
    assert (error.status_code, error.permanent) == (status, permanent)
    assert len(asked(archive)) == (1 if permanent else 3)
    assert archive.tokens.refreshes == before + 1
    assert os.listdir(tmp_path / "data") == []


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.fault("N11")
async def test_retry_after_pauses_every_file(
    status: int, archive: Archive, kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path
) -> None:
    archive.faults.add(status=status, retry_after="0.3", target="data", times=1)
    parts = kit()
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await parts.transfer().fetch(remote(0).wanted(tmp_path))
    assert loop.time() - begun >= 0.3
    archive.stats.reset()
    parts.pause.ask(0.2)
    begun = loop.time()
    await parts.transfer().fetch(remote(1).wanted(tmp_path))
    assert loop.time() - begun >= 0.2
    assert parts.told(FileRetried)[0].wait_s == pytest.approx(0.3)


async def test_a_pause_only_grows() -> None:
    time = [100.0]
    pause = HostPause(lambda: time[0])
    pause.ask(10)
    pause.ask(1)
    waiting = asyncio.ensure_future(pause.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
    time[0] = 110.0
    await pause.wait()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.2:1/a.h5",
        "https://example.invalid/public/a.h5",
        "http://user:secret@{host}/a.h5",
        "http://{host}@127.0.0.2:1/a.h5",
        "ftp://{host}/a.h5",
        "http://127.0.0.1:99999/a.h5",
        "http://[::1/public/a.h5",
        "//{host}/a.h5",
        "https://{host}/a.h5",
        "a.h5",
        "",
        "\ud800",
    ],
)
@pytest.mark.fault("H8")
@pytest.mark.fault("H9")
async def test_addresses_off_the_archive_are_refused_unasked(
    url: str, kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    url = url.format(host=raw.url.removeprefix("http://"))
    error = await failure_of(kit(raw).transfer(), DownloadRequest(url, tmp_path / "a.h5"))
    assert error.permanent
    assert raw.requests == []


@pytest.mark.fault("H18")
async def test_an_address_that_cannot_be_requested_fails_at_once(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    parts = kit(raw)
    error = await failure_of(parts.transfer(), DownloadRequest(raw.url + "/\x00.h5", tmp_path / "a.h5"))
    assert error.permanent
    assert "cannot be requested" in error.message
    assert not parts.told(FileRetried)


@pytest.mark.parametrize("bulk", [True, False])
@pytest.mark.fault("H7")
async def test_the_token_goes_to_no_other_origin(
    bulk: bool, kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    body = hdf5_body(5000)
    async with FileServer() as other:
        target = other.at(H5, answer("200 OK", body))
        url = raw.at(H5, answer("302 Found", location=target))
        fetched = await kit(raw, bulk=bulk).transfer().fetch(DownloadRequest(url, tmp_path / "a.h5"))
        assert fetched.path.read_bytes() == body
        assert raw.asked(H5)[0].headers["authorization"] == "Bearer access-1"
        assert "authorization" not in other.requests[0].headers
        other.at(H5, answer("401 Unauthorized"))
        error = await failure_of(kit(raw).transfer(), DownloadRequest(url, tmp_path / "b.h5"))
        assert other.url in error.message
        assert error.permanent
        assert all("authorization" not in request.headers for request in other.requests)
        assert len(raw.asked("/token")) == 2


@pytest.mark.parametrize(
    "location",
    [
        "http://example.invalid/a.h5",
        "ftp://127.0.0.1/a.h5",
        "http://user:secret@127.0.0.1:1/a.h5",
        "http://[::1/",
        "//[",
        "file:///etc/passwd",
    ],
)
@pytest.mark.fault("H2")
@pytest.mark.fault("H6")
async def test_redirects_outside_the_rules_are_refused(
    location: str, kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    url = raw.at(H5, answer("302 Found", location=location))
    error = await failure_of(kit(raw, retries=0).transfer(), DownloadRequest(url, tmp_path / "a.h5"))
    assert "secret" not in error.message


@pytest.mark.fault("H6")
async def test_a_redirect_loop_ends(kit: Callable[..., Kit], raw: FileServer, tmp_path: Path) -> None:
    url = raw.at(H5, answer("302 Found", location=H5))
    error = await failure_of(kit(raw, retries=0).transfer(), DownloadRequest(url, tmp_path / "a.h5"))
    assert "more than 5 times" in error.message
    assert len(raw.asked(H5)) == 6


async def test_a_public_file_needs_no_token(
    archive: Archive, kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path
) -> None:
    file = remote()
    url = f"{archive.url}/data/{file.granule.folder}/public/{file.granule.id}.BID_1.jpeg"
    before = archive.tokens.refreshes
    fetched = await kit().transfer().fetch(DownloadRequest(url, tmp_path / "a.jpeg"))
    assert fetched.path.read_bytes()[:2] == b"\xff\xd8"
    assert archive.tokens.refreshes == before
    assert archive.stats.show()["last_requests"][-1]["authorization"] is False


async def test_a_file_of_the_right_size_is_not_asked_for(
    archive: Archive, kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path
) -> None:
    file = remote()
    await kit().transfer().fetch(file.wanted(tmp_path))
    again = kit()
    fetched = await again.transfer().fetch(file.wanted(tmp_path))
    assert (fetched.size, fetched.received, fetched.pieces) == (file.size, 0, ())
    assert not again.told(FileStarted)


async def test_a_file_of_unknown_size_is_compared_with_the_answer(
    archive: Archive, kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path
) -> None:
    file = remote(product="MSI_RGR_1C", baseline="BA")
    await kit().transfer().fetch(file.wanted(tmp_path))
    fetched = await kit().transfer().fetch(file.wanted(tmp_path, size=None))
    assert fetched.received == 0
    assert os.listdir(tmp_path) == [file.name]


async def test_an_error_page_as_long_as_the_file_does_not_vouch_for_it(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    (tmp_path / "a.HDR").write_bytes(b"x" * 77)
    url = raw.at("/a.HDR", answer("404 Not Found", b"y" * 77))
    with pytest.raises(DownloadError, match="404"):
        await kit(raw).transfer().fetch(DownloadRequest(url, tmp_path / "a.HDR"))


@pytest.mark.fault("D6")
@pytest.mark.parametrize("damage", ["shorter", "longer", "empty", "no_hdf5", "another_end"])
async def test_a_damaged_file_is_fetched_again(
    damage: str, kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path
) -> None:
    file = remote()
    content = file.content
    spoiled = {
        "shorter": content[:-1],
        "longer": content + b"x",
        "empty": b"",
        "no_hdf5": bytes(file.size),
        "another_end": hdf5_body(file.size, says=file.size + 1),
    }[damage]
    path = tmp_path / file.name
    path.write_bytes(spoiled)
    fetched = await kit().transfer().fetch(file.wanted(tmp_path))
    assert path.read_bytes() == content
    assert fetched.received == file.size


async def test_again_fetches_a_whole_file(
    kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path
) -> None:
    file = remote()
    await kit().transfer().fetch(file.wanted(tmp_path))
    fetched = await kit().transfer().fetch(file.wanted(tmp_path, again=True))
    assert fetched.received == file.size


async def leave_part(parts: Kit, file: Remote, folder: Path, archive: Archive, cut: int) -> Path:
    archive.faults.add(cut_after=cut)
    await failure_of(parts.transfer(), file.wanted(folder))
    archive.faults.clear()
    archive.stats.reset()
    return folder / (file.name + ".part")


@pytest.mark.parametrize(
    "damage", ["flipped", "shorter", "longer", "other_url", "torn_note", "no_note", "note_list"]
)
async def test_a_part_counts_only_as_far_as_its_note_vouches(
    damage: str, archive: Archive, kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path
) -> None:
    file = remote()
    part = await leave_part(kit(retries=0), file, tmp_path, archive, 100_000)
    note = part.with_name(part.name + ".json")
    assert "token" not in note.read_text().lower()
    if damage == "shorter":
        os.truncate(part, 50_000)
    elif damage == "longer":
        os.truncate(part, file.size + 5)
    elif damage == "other_url":
        note.write_text(json.dumps({**json.loads(note.read_text()), "url": file.url + "?other"}))
    elif damage == "torn_note":
        note.write_text(note.read_text()[:40])
    elif damage == "no_note":
        note.unlink()
    elif damage == "note_list":
        note.write_text("[1, 2]")
    elif damage == "flipped":
        noted = json.loads(note.read_text())
        note.write_text(json.dumps({**noted, "boot": "another"}))
    fetched = await kit().transfer().fetch(file.wanted(tmp_path))
    assert fetched.path.read_bytes() == file.content


async def test_after_a_restart_of_the_machine_only_hashed_pieces_are_kept(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    file = RawFile(hdf5_body(2 * PIECE + 1000), cuts=[2 * PIECE + 500])
    wanted = DownloadRequest(raw.at(H5, file), tmp_path / "a.h5")
    await failure_of(kit(raw, retries=0).transfer(), wanted)
    note = tmp_path / "a.h5.part.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "boot": "another"}))
    part = tmp_path / "a.h5.part"
    part.write_bytes(part.read_bytes()[: PIECE + 5] + b"lost page" + part.read_bytes()[PIECE + 14 :])
    fetched = await kit(raw, retries=0).transfer().fetch(wanted)
    assert fetched.path.read_bytes() == file.body
    assert file.starts == [0, PIECE]


async def test_a_whole_part_needs_no_request(
    archive: Archive, kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path
) -> None:
    file = remote()
    part = await leave_part(kit(retries=0), file, tmp_path, archive, file.size - 1)
    note = json.loads(part.with_name(part.name + ".json").read_text())
    assert note["size"] == file.size
    part.write_bytes(part.read_bytes() + file.content[-1:])
    again = kit()
    fetched = await again.transfer().fetch(file.wanted(tmp_path))
    assert fetched.path.read_bytes() == file.content
    # Not by the archive's count: it may still be ending the answer that was cut.
    assert fetched.received == 0
    assert not again.told(FileStarted)
    assert fetched.pieces


@pytest.mark.parametrize("place", ["part", "note", "folder"])
@pytest.mark.fault("H19")
async def test_planted_links_are_not_followed(
    place: str, archive: Archive, kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path
) -> None:
    file = remote()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(b"precious")
    data = tmp_path / "data"
    folder = data / "day"
    if place == "folder":
        data.mkdir()
        folder.symlink_to(outside)
    else:
        folder.mkdir(parents=True)
        planted = folder / (file.name + (".part" if place == "part" else ".part.json.new"))
        planted.symlink_to(outside / "precious")
    wanted = DownloadRequest(file.url, folder / file.name, file.size, data)
    if place == "note":
        assert (await kit().transfer().fetch(wanted)).size == file.size
    else:
        with pytest.raises(StorageError) as caught:
            await kit().transfer().fetch(wanted)
        assert str(folder) in caught.value.message
    assert (outside / "precious").read_bytes() == b"precious"
    assert [path.name for path in outside.iterdir()] == ["precious"]


@pytest.mark.fault("C1")
async def test_two_tasks_on_one_file_fetch_it_once(
    archive: Archive, kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path
) -> None:
    file = remote(product="ATL_EBD_2A", baseline="BA")
    archive.faults.add(latency_s=0.2, target="data")
    first, second = kit(), kit()
    both = await asyncio.gather(*(one.transfer().fetch(file.wanted(tmp_path)) for one in (first, second)))
    assert (tmp_path / file.name).read_bytes() == file.content
    assert sorted(fetched.received for fetched in both) == [0, file.size]
    assert archive.stats.show()["bytes_by_kind"]["data"] <= file.size * 1.1
    (note,) = first.told(Noted) + second.told(Noted)
    assert "is being fetched by" in note.message


FETCH = """
import asyncio, sys
from pathlib import Path
from maap_tui.engine.net.http import Http
from maap_tui.engine.net.origins import origin_of
from maap_tui.engine.net.credentials import load_credentials
from maap_tui.engine.net.tokens import Tokens
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.download.transfer import Transfer
from tests.engine.rules_kit import http_rules, transfer_rules

async def main(url, path, size, token_url, credentials):
    http = Http(http_rules(), bearer_origins=frozenset({origin_of(url)}), connections=2, bulk=True)
    tokens = Tokens(http, token_url, lambda: load_credentials(Path(credentials), {}))
    transfer = Transfer(http, tokens, transfer_rules(retry_wait_s=0.01, min_free=0))
    try:
        print((await transfer.fetch(DownloadRequest(url, Path(path), int(size)))).received)
    finally:
        await http.close()

asyncio.run(main(*sys.argv[1:]))
"""


async def start_fetch(
    file: Remote, folder: Path, archive: Archive, **options: Any
) -> asyncio.subprocess.Process:
    archive.prepare(folder / "home")
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", FETCH, file.url, str(folder / file.name), str(file.size),
        archive.token_url, str(folder / "home" / "credentials.txt"),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, **options,
    )  # fmt: skip


async def wait_for_size(path: Path, size: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while (existing_size(path) or 0) < size:  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.01)


@pytest.mark.fault("C1")
async def test_two_processes_on_one_file_one_killed(
    archive: Archive, remote: Callable[..., Remote], tmp_path: Path
) -> None:
    file = remote(3, product="MSI_RGR_1C", baseline="BA")
    archive.faults.add(rate=6_000_000, times=1)
    first = await start_fetch(file, tmp_path, archive)
    await wait_for_size(tmp_path / (file.name + ".part"), MIB)
    second = await start_fetch(file, tmp_path, archive)
    await wait_for_size(tmp_path / (file.name + ".part"), 3 * MIB)
    first.send_signal(signal.SIGKILL)
    await first.communicate()
    out, err = await second.communicate()
    assert (second.returncode, err) == (0, b"")
    assert (tmp_path / file.name).read_bytes() == file.content
    assert int(out) < file.size - 2 * MIB
    assert archive.stats.show()["bytes_by_kind"]["data"] <= file.size * 1.1 + 2 * MIB
    assert not list(tmp_path.glob("*.part*"))


def damaged(content: bytes) -> bytes:
    """As many bytes, of the same structure, one of them another."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("is_announced", [True, False])
async def test_what_a_study_froze_is_not_taken_for_another_file_of_its_size(
    kit: Callable[..., Kit],
    remote: Callable[..., Remote],
    asked: Callable,
    tmp_path: Path,
    is_announced: bool,
) -> None:
    file = remote()
    whole = file.content
    size = file.size if is_announced else None
    wanted = file.wanted(tmp_path, size=size, frozen=hashlib.sha256(whole).hexdigest())
    wanted.path.write_bytes(damaged(whole))
    transfer = kit().transfer()
    assert (await transfer.fetch(replace(wanted, frozen=""))).received == 0
    assert (await transfer.fetch(wanted)).received == file.size and wanted.path.read_bytes() == whole
    before = asked("data")
    assert (await transfer.fetch(replace(wanted, size=file.size))).received == 0 and asked("data") == before


@pytest.mark.parametrize("is_frozen", [True, False])
async def test_what_another_process_fetched_is_compared_with_what_a_study_froze(
    kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path, is_frozen: bool
) -> None:
    file = remote()
    whole = file.content
    wanted = file.wanted(tmp_path, frozen=hashlib.sha256(whole).hexdigest())
    part = part_of(wanted.path)
    waits = asyncio.Event()
    transfer = kit().transfer(lambda event: waits.set() if isinstance(event, Noted) else None)
    held = locks.open_held(part)
    assert held is not None
    descriptor, let_go = held
    async with asyncio.timeout(PATIENCE_S):
        fetching = asyncio.ensure_future(transfer.fetch(wanted))
        await waits.wait()
        wanted.path.write_bytes(whole if is_frozen else damaged(whole))
        part.unlink()
        let_go()
        os.close(descriptor)
        if is_frozen:
            assert (await fetching).received == 0
            return
        with pytest.raises(DownloadError, match="other bytes than the study froze") as caught:
            await fetching
    assert not caught.value.permanent


@pytest.mark.fault("D4")
@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="needs a limit on file sizes")
async def test_no_room_for_the_file_says_where_and_leaves_nothing_final(
    archive: Archive, remote: Callable[..., Remote], tmp_path: Path
) -> None:
    file = remote(product="ATL_EBD_2A", baseline="BA")

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))

    process = await start_fetch(file, tmp_path, archive, preexec_fn=limit)
    _, err = await process.communicate()
    last = err.decode().strip().splitlines()[-1]
    assert "StorageError" in last
    assert str(tmp_path) in last
    assert "larger than is allowed" in last
    assert not (tmp_path / file.name).exists()
    process = await start_fetch(file, tmp_path, archive)
    out, _ = await process.communicate()
    assert int(out) <= file.size - 500_000 + 64 * 1024
    assert (tmp_path / file.name).read_bytes() == file.content


async def test_a_folder_that_cannot_be_written_is_named(
    kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="file") as caught:
        await kit().transfer().fetch(remote().wanted(tmp_path / "file" / "below"))
    assert caught.value.hint


@pytest.mark.fault("D4")
async def test_a_read_only_folder_is_named(kit: Callable[..., Kit], remote: Callable[..., Remote]) -> None:
    transfer = kit().transfer()
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        folder = Path(name, "locked")
        folder.mkdir(mode=0o555)
        if user == 0:
            os.seteuid(65534)  # root may write into any folder
        try:
            with pytest.raises(StorageError, match="permission denied") as caught:
                await transfer.fetch(remote().wanted(folder))
        finally:
            os.seteuid(user)
        assert str(folder) in caught.value.message


@pytest.mark.fault("H5")
async def test_the_space_that_has_to_stay_free_is_looked_at_first(
    archive: Archive, kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path
) -> None:
    with pytest.raises(DiskFullError, match="MiB are free"):
        await kit(min_free=1 << 60).transfer().fetch(remote().wanted(tmp_path))
    assert len(asked(archive)) == 0


@pytest.mark.parametrize("bulk", [True])
@pytest.mark.fault("N16")
async def test_transfers_cancelled_anywhere_leave_nothing_behind(
    bulk: bool, archive: Archive, kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path
) -> None:
    parts = kit(bulk=bulk, connections=4)
    transfer = parts.transfer()
    files = [remote(number) for number in range(4)]
    await transfer.fetch(remote(9).wanted(tmp_path))
    chance = random.Random(5)
    begun = other_tasks()

    async def cancelled(number: int) -> None:
        wanted = files[number % 4].wanted(tmp_path, again=True)
        task = asyncio.ensure_future(transfer.fetch(wanted))
        await asyncio.sleep(chance.uniform(0, 0.012))
        task.cancel()
        try:
            fetched = await task
        except asyncio.CancelledError:
            return
        assert fetched.size == files[number % 4].size

    for round_ in range(75):
        await asyncio.gather(*(cancelled(round_ * 4 + i) for i in range(4)))
    for file in files:
        fetched = await transfer.fetch(file.wanted(tmp_path, again=True))
        assert fetched.path.read_bytes() == file.content
    assert other_tasks() <= begun
    await parts.http.close()
    assert open_sockets(archive.url) == 0
    assert not list(tmp_path.glob("*.part*"))


async def test_a_cancel_before_the_first_byte_leaves_no_empty_part(
    kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path
) -> None:
    transfer = kit().transfer()
    for turns in range(8):
        task = asyncio.ensure_future(transfer.fetch(remote().wanted(tmp_path)))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert os.listdir(tmp_path) == []


async def test_a_cancel_during_the_end_waits_for_it(
    kit: Callable[..., Kit], remote: Callable[..., Remote], tmp_path: Path
) -> None:
    file = remote()
    parts = kit()
    task = asyncio.ensure_future(parts.transfer().fetch(file.wanted(tmp_path)))
    async with asyncio.timeout(PATIENCE_S):
        while sum(event.count for event in parts.told(BytesReceived)) < file.size:  # noqa: ASYNC110
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert sorted(os.listdir(tmp_path)) in ([file.name], [file.name + ".part", file.name + ".part.json"])


@pytest.mark.parametrize("reply", [answer("500 Oops", b'{"error": {"message": "Bearer access-1 is wrong"}}')])
@pytest.mark.fault("A9")
async def test_no_secret_is_told(
    reply: Reply, kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    parts = kit(raw, retries=1)
    error = await failure_of(parts.transfer(), DownloadRequest(raw.at(H5, reply), tmp_path / "a.h5"))
    told = f"{error!r} {error.hint} {parts.events!r} {parts.tokens!r} {parts.http!r}"
    for secret in ("access-1", "c2lnbmF0dXJl", "p1eL7uonXs6MDxtGbgKdPVRAmnGxHpVE"):
        assert secret not in told
