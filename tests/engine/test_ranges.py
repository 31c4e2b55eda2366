"""One large file over several connections: whole, resumed, limited, and one stream where that cannot be."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from maap_tui.engine.download.remote import Fetcher
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.download.slots import SharedTransfer, Slots
from maap_tui.engine.download.transfer import Transfer
from maap_tui.engine.errors import AuthenticationError
from maap_tui.engine.events import BytesReceived, Emit, FileRetried, FileStarted, Noted
from tests.engine.ranges_kit import BODY, H5, OTHER, PIECE, SIZE, Shared, fetch, hashes, here, whole
from tests.engine.raw_files import FileServer, RawFile, Request, answer
from tests.engine.rules_kit import make_downloads
from tests.engine.transfer_kit import Kit
from tests.homes import PATIENCE_S

pytestmark = pytest.mark.usefixtures("small_pieces")


@pytest.mark.parametrize("size", [SIZE, None], ids=["announced", "unknown"])
@pytest.mark.parametrize("ranges", [2, 3, 16])
async def test_a_large_file_comes_over_several_connections(
    ranges: int, size: int | None, kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    file = Shared(BODY, server=raw)
    parts = kit(raw, ranges=ranges, ranges_from=SIZE)
    fetched = await fetch(parts, file, raw, tmp_path, size)
    assert fetched.path.read_bytes() == BODY
    assert (fetched.size, fetched.received, fetched.pieces) == (SIZE, SIZE, hashes(BODY))
    assert os.listdir(tmp_path) == ["a.h5"]
    assert here(parts) == SIZE
    assert [(event.size, event.offset) for event in parts.told(FileStarted)] == [(SIZE, 0)]
    assert max(file.open_at_once) <= ranges
    first, *others = raw.asked(H5)
    assert ("range" in first.headers) is (size is not None)
    if size is not None:
        assert file.served == SIZE  # no stream was cut
    assert {one.headers["if-range"] for one in others} == {'"one"'}
    assert not parts.told(FileRetried)


@pytest.mark.parametrize(
    ("instead", "asked"),
    [
        (answer("206 Partial Content", BODY[:9], content_range=f"bytes 0-8/{SIZE}", etag='W/"one"'), 2),
        (answer("206 Partial Content", BODY[:9], content_range=f"bytes 0-8/{SIZE}"), 2),
        (answer("206 Partial Content", BODY[:9], content_range="bytes 0-8/*", etag='"one"'), 2),
        (answer("206 Partial Content", BODY[:9], content_range=f"bytes 1-9/{SIZE}", etag='"one"'), 2),
        (answer("206 Partial Content", BODY[:9], etag='"one"'), 2),
        (answer("416 Range Not Satisfiable"), 2),
        (answer("200 OK", BODY, etag='"one"'), 1),
    ],
    ids=["weak", "no_validator", "no_total", "another", "no_range", "refused", "whole"],
)
async def test_a_first_range_that_others_cannot_follow_is_left_for_the_whole_file(
    instead: bytes, asked: int, kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    parts = kit(raw, ranges=3, ranges_from=SIZE)
    raw.at(H5, instead, answer("200 OK", BODY, etag='"one"', accept_ranges="bytes"))
    fetched = await fetch(parts, RawFile(b""), raw, tmp_path, SIZE)
    assert fetched.path.read_bytes() == BODY
    first, *others = (request.headers.get("range") for request in raw.asked(H5))
    assert first is not None
    assert others == [None] * (asked - 1)
    assert not parts.told(FileRetried)


@pytest.mark.parametrize(
    ("habits", "rules"),
    [
        ({}, {"ranges": 1}),
        ({}, {"ranges_from": SIZE + 1}),
        ({"accepts": ""}, {}),
        ({"accepts": "none"}, {}),
        ({"length": False}, {}),
        ({"etag": 'W/"one"'}, {}),
        ({"etag": "", "modified": ""}, {}),
        ({"etag": "", "date": "Thu, 01 Jan 2026 00:00:59 GMT"}, {}),
    ],
    ids=["setting", "small", "unsaid", "none", "no_size", "weak", "no_validator", "young"],
)
async def test_one_stream_where_ranges_cannot_be_relied_upon(
    habits: dict[str, Any], rules: dict[str, Any], kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    file = Shared(BODY, **habits)
    fetched = await fetch(kit(raw, **{"ranges": 4, "ranges_from": SIZE, **rules}), file, raw, tmp_path)
    assert fetched.path.read_bytes() == BODY
    assert [request.headers.get("range") for request in raw.asked(H5)] == [None]


async def test_a_date_that_stands_for_one_version_is_enough(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    file = Shared(BODY, etag="", date="Thu, 01 Jan 2026 00:01:00 GMT")
    fetched = await fetch(kit(raw, ranges=3, ranges_from=SIZE), file, raw, tmp_path)
    assert fetched.path.read_bytes() == BODY
    assert {one.headers["if-range"] for one in raw.asked(H5)[1:]} == {file.modified}


def part_of_it(**headers: str) -> Callable[[Request], bytes]:
    def reply(request: Request) -> bytes:
        begin, _, end = request.headers["range"].removeprefix("bytes=").partition("-")
        body = BODY[int(begin) : int(end) + 1]
        said = {"content_range": f"bytes {begin}-{end}/{SIZE}", "etag": '"one"', **headers}
        return answer("206 Partial Content", body, **said)

    return reply


@pytest.mark.parametrize(
    "instead",
    [
        whole,
        part_of_it(etag=""),
        part_of_it(content_range=f"bytes 7-{PIECE}/{SIZE}"),
        part_of_it(content_range=""),
        part_of_it(content_encoding="gzip"),
    ],
    ids=["whole_file", "no_etag", "another_range", "no_range", "packed"],
)
@pytest.mark.fault("N7")
@pytest.mark.fault("H3")
async def test_a_server_that_sends_something_else_is_left_to_one_stream(
    instead: Callable[[Request], bytes], kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    file = Shared(BODY, instead=instead)
    parts = kit(raw, ranges=4, ranges_from=SIZE)
    fetched = await fetch(parts, file, raw, tmp_path)
    assert fetched.path.read_bytes() == BODY
    assert (fetched.received, fetched.pieces) == (SIZE, hashes(BODY))
    assert sum("range" not in request.headers for request in raw.asked(H5)) == 1
    assert not parts.told(FileRetried)
    assert parts.told(Noted)[0].message.startswith("a.h5 goes on over one connection: ")


@pytest.mark.fault("N7")
async def test_what_came_in_ranges_is_not_lost_when_they_end(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    file = Shared(BODY, gate=asyncio.Event())
    answered = 0

    def instead(request: Request) -> bytes:
        nonlocal answered
        answered += 1
        if answered <= 2:
            return part_of_it()(request)
        assert file.gate is not None
        file.gate.set()
        return whole(request)

    file.instead = instead
    parts = kit(raw, ranges=2, ranges_from=SIZE, stall_timeout_s=20)
    fetched = await fetch(parts, file, raw, tmp_path)
    assert fetched.path.read_bytes() == BODY
    assert (fetched.received, fetched.pieces) == (SIZE, hashes(BODY))
    assert (answered, len(raw.asked(H5))) == (3, 4)
    assert here(parts) == SIZE


@pytest.mark.parametrize("if_range", [True, False], ids=["if_range", "if_range_ignored"])
@pytest.mark.parametrize("validator", ["etag", "modified"])
@pytest.mark.fault("N6")
async def test_a_file_replaced_meanwhile_starts_again(
    validator: str, if_range: bool, kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    def instead(request: Request) -> bytes:
        file.body, file.instead = OTHER, None
        if validator == "etag":
            file.etag = '"two"'
        else:
            file.modified = "Thu, 01 Jan 2026 02:00:00 GMT"
        return b""

    etag = '"one"' if validator == "etag" else ""
    file = Shared(BODY, etag=etag, date="Thu, 01 Jan 2026 03:00:00 GMT", if_range=if_range, instead=instead)
    parts = kit(raw, ranges=3, ranges_from=SIZE)
    fetched = await fetch(parts, file, raw, tmp_path)
    assert fetched.path.read_bytes() == OTHER
    assert fetched.pieces == hashes(OTHER)
    assert [event.reason for event in parts.told(FileRetried)] == [
        "the file changed on the server; starting over"
    ]


@pytest.mark.fault("N6")
async def test_servers_that_take_turns_with_versions_of_their_own_are_left_to_one_stream(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    file = Shared(BODY, instead=part_of_it(etag='"two"'))
    parts = kit(raw, ranges=3, ranges_from=SIZE)
    fetched = await fetch(parts, file, raw, tmp_path)
    assert fetched.path.read_bytes() == BODY
    assert len(parts.told(FileRetried)) == 1


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable", "404 Not Found"])
@pytest.mark.fault("N11")
async def test_a_server_that_wants_fewer_connections_gets_fewer(
    status: str, kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    file = Shared(BODY, instead=lambda request: answer(status))
    parts = kit(raw, ranges=4, ranges_from=SIZE)
    fetched = await fetch(parts, file, raw, tmp_path)
    assert fetched.path.read_bytes() == BODY
    assert len(raw.asked(H5)) == 4  # none that brought nothing is replaced
    assert not parts.told(FileRetried)


@pytest.mark.fault("N11")
async def test_a_wait_that_one_range_is_asked_for_holds_for_all(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    now = 0.0
    parts = kit(raw, ranges=2, ranges_from=SIZE)
    parts.pause = type(parts.pause)(lambda: now)
    file = Shared(BODY, instead=lambda request: answer("503 Busy", retry_after="7"))
    await fetch(parts, file, raw, tmp_path)
    waiting = asyncio.ensure_future(parts.pause.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()


@pytest.mark.fault("N1")
async def test_a_range_that_is_cut_is_brought_by_another(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    file = Shared(BODY, cuts=[SIZE, *[PIECE // 2 + 13] * 6])
    fetched = await fetch(kit(raw, ranges=3, ranges_from=SIZE), file, raw, tmp_path)
    assert fetched.path.read_bytes() == BODY
    assert (fetched.received, fetched.pieces) == (SIZE, hashes(BODY))


@pytest.mark.fault("A4")
async def test_a_token_that_ends_meanwhile_is_renewed_once_for_all_ranges(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    def instead(request: Request) -> bytes:
        return answer("401 Unauthorized") if request.headers["authorization"] == "Bearer access-1" else b""

    fetched = await fetch(kit(raw, ranges=4, ranges_from=SIZE), Shared(BODY, instead=instead), raw, tmp_path)
    assert fetched.path.read_bytes() == BODY
    assert len(raw.asked("/token")) == 2


@pytest.mark.fault("A4")
async def test_a_token_that_is_refused_for_good_ends_the_file(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    file = Shared(BODY, instead=lambda request: answer("401 Unauthorized"))
    with pytest.raises(AuthenticationError):
        await fetch(kit(raw, ranges=4, ranges_from=SIZE), file, raw, tmp_path)
    assert not (tmp_path / "a.h5").exists()


@pytest.mark.fault("H7")
async def test_a_range_that_is_sent_elsewhere_goes_without_the_token(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    async with FileServer() as elsewhere:
        url = elsewhere.at("/store", Shared(BODY))
        file = Shared(BODY, instead=lambda request: answer("302 Found", location=url))
        fetched = await fetch(kit(raw, ranges=3, ranges_from=SIZE), file, raw, tmp_path)
        assert fetched.path.read_bytes() == BODY
        assert elsewhere.requests
        assert not any("authorization" in request.headers for request in elsewhere.requests)


async def test_the_rate_is_that_of_all_ranges(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    parts = kit(raw, ranges=4, ranges_from=SIZE, limit_rate=1)
    stopped = Transfer(parts.http, parts.tokens, parts.rules, emit=parts.events.append, clock=lambda: 0.0)
    stopped.set_connections(4)
    file = Shared(BODY)
    wanted = DownloadRequest(raw.at(H5, file), tmp_path / "a.h5")
    task = asyncio.ensure_future(stopped.fetch(wanted))
    async with asyncio.timeout(PATIENCE_S):
        while len(raw.asked(H5)) < 4 or len(parts.told(BytesReceived)) < 4:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert len(parts.told(BytesReceived)) == 4  # one piece of the body each, then all of them wait
    stopped.set_rules(replace(parts.rules, limit_rate=0))
    assert (await task).path.read_bytes() == BODY


async def test_ranges_take_only_what_files_leave(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    files = [Shared(BODY, server=raw, gate=asyncio.Event()) for _ in range(4)]
    urls = [raw.at(f"/{number}.h5", file) for number, file in enumerate(files)]
    parts = kit(raw, ranges=4, ranges_from=SIZE, stall_timeout_s=20)
    async with parts.downloads(parallel=3) as downloads, asyncio.timeout(PATIENCE_S):
        downloads.add(DownloadRequest(urls[0], tmp_path / "0.h5"))
        while len(raw.asked("/0.h5")) < 3:  # noqa: ASYNC110
            await asyncio.sleep(0)
        # Each further file takes a connection from the first one.
        for number in (1, 2, 3):
            downloads.add(DownloadRequest(urls[number], tmp_path / f"{number}.h5"))
        while not (raw.asked("/1.h5") and raw.asked("/2.h5")):  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert [len(raw.asked(f"/{number}.h5")) for number in range(4)] == [3, 1, 1, 0]
        for file in files:
            assert file.gate is not None
            file.gate.set()
        report = await downloads.join()
    assert len(report.downloaded) == 4
    assert all((tmp_path / f"{number}.h5").read_bytes() == BODY for number in range(4))
    assert max(count for file in files for count in file.open_at_once) <= 3


@pytest.mark.fault("N9")
async def test_a_server_that_answers_one_connection_only_is_left_to_it(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maap_tui.engine.download.ranges.PATIENCE_S", 0.05)
    file, ended = Shared(BODY), asyncio.Event()

    async def one_at_a_time(request: Request, writer: asyncio.StreamWriter) -> None:
        if "range" in request.headers:
            await ended.wait()
        else:
            await file(request, writer)

    raw.at(H5, one_at_a_time)
    fetched = await fetch(kit(raw, ranges=3, ranges_from=SIZE, stall_timeout_s=20), file, raw, tmp_path)
    ended.set()
    assert fetched.path.read_bytes() == BODY


async def test_ranges_count_among_the_slots_of_all_processes(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    file = Shared(BODY, server=raw, gate=asyncio.Event())
    url = raw.at(H5, file)
    parts = kit(raw, ranges=4, ranges_from=SIZE, stall_timeout_s=20)
    other = Slots(tmp_path / "slots", 3)

    def shared(emit: Emit) -> Fetcher:
        return SharedTransfer(parts.transfer(emit), tmp_path / "slots", 3, parts.rules, emit)

    async with (
        make_downloads(shared, parallel=8, emit=parts.events.append) as downloads,
        asyncio.timeout(PATIENCE_S),
    ):
        async with other.one():
            downloads.add(DownloadRequest(url, tmp_path / "a.h5", SIZE))
            while len(parts.told(BytesReceived)) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0)
        # Another process that waits for one of them is given it.
        async with other.one(), other.one():
            assert file.gate is not None
            file.gate.set()
            await downloads.join()
    assert (tmp_path / "a.h5").read_bytes() == BODY
    assert max(file.open_at_once) <= 3
