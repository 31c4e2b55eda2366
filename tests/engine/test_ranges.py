"""One large file over several connections: whole, resumed, limited, and one stream where that cannot be."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maap_tui.engine.download.part import Part
from maap_tui.engine.download.remote import Fetcher
from maap_tui.engine.download.requests import DownloadOutcome, DownloadRequest
from maap_tui.engine.download.slots import SharedTransfer, Slots
from maap_tui.engine.download.transfer import Transfer
from maap_tui.engine.errors import AuthenticationError
from maap_tui.engine.events import BytesReceived, Emit, FileRetried, FileStarted, Noted
from tests.engine.raw_files import FileServer, RawFile, Request, answer
from tests.engine.rules_kit import make_downloads
from tests.engine.transfer_kit import Kit, hdf5_body, open_sockets
from tests.homes import PATIENCE_S

PIECE = 256 * 1024
SIZE = 10 * PIECE + 1000
H5 = "/file.h5"
BODY = hdf5_body(SIZE)
OTHER = hdf5_body(SIZE, 2)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of a few MB has pieces enough to share out."""
    for module in ("ahead", "part", "ranges", "transfer"):
        monkeypatch.setattr(f"maap_tui.engine.download.{module}.PIECE", PIECE)
    monkeypatch.setattr("maap_tui.engine.download.part.NOTED", PIECE // 2)


@dataclass
class Shared(RawFile):
    """A file that says it has ranges, and counts the connections that are open as each is asked for."""

    accepts: str = "bytes"
    server: FileServer | None = None
    open_at_once: list[int] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set as a range is asked for."""
    instead: Callable[[Request], bytes] | None = None
    """What answers a range in place of it; b"" for the range itself."""
    gate: asyncio.Event | None = None
    """Set when what follows the first bytes of an answer may come."""
    holds_ranges: bool = True
    """Whether it counts for ranges too."""

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if self.server is not None:
            self.open_at_once.append(open_sockets(self.server.url))
        if "range" in request.headers:
            self.asked.set()
            if self.instead is not None and (reply := self.instead(request)):
                writer.write(reply)
                return
        is_held = self.holds_ranges or "range" not in request.headers
        if self.gate is None or self.gate.is_set() or not is_held:
            await super().__call__(request, writer)
            return
        kept: list[bytes] = []
        await super().__call__(request, _Keeping(kept))  # type: ignore[arg-type]
        whole = b"".join(kept)
        writer.write(whole[: PIECE // 2])
        await writer.drain()
        await self.gate.wait()
        writer.write(whole[PIECE // 2 :])


@dataclass
class _Keeping:
    """Takes what is written."""

    kept: list[bytes]

    def write(self, data: bytes) -> None:
        self.kept.append(data)


def hashes(body: bytes) -> tuple[str, ...]:
    return tuple(
        hashlib.sha256(body[offset : offset + PIECE]).hexdigest() for offset in range(0, len(body), PIECE)
    )


def make(parts: Kit, connections: int = 16) -> Transfer:
    transfer = parts.transfer()
    transfer.set_connections(connections)
    return transfer


async def fetch(
    parts: Kit, file: RawFile, raw: FileServer, folder: Path, size: int | None = None
) -> DownloadOutcome:
    if H5 not in raw.replies:
        raw.at(H5, file)
    return await make(parts).fetch(DownloadRequest(raw.url + H5, folder / "a.h5", size))


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


def whole(request: Request) -> bytes:
    return answer("200 OK", BODY, etag='"one"')


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


async def leave_spread(
    parts: Kit, file: Shared, raw: FileServer, folder: Path, ranges: int = 0, at_least: int = 0
) -> int:
    """Fetch until each connection, or all of them, brought something, then stop; returns the bytes here."""
    file.gate = asyncio.Event()
    raw.at(H5, file)
    task = asyncio.ensure_future(make(parts).fetch(DownloadRequest(raw.url + H5, folder / "a.h5")))
    async with asyncio.timeout(PATIENCE_S):
        while len(parts.told(BytesReceived)) < ranges or here(parts) < at_least:  # noqa: ASYNC110
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    file.gate.set()
    return here(parts)


def here(parts: Kit) -> int:
    return sum(event.count for event in parts.told(BytesReceived))


@pytest.mark.parametrize("then", [1, 2, 4])
@pytest.mark.parametrize("first", [1, 3])
@pytest.mark.fault("N4")
async def test_another_run_goes_on_with_any_number_of_ranges(
    first: int, then: int, kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    file = Shared(BODY)
    kept = await leave_spread(kit(raw, ranges=first, ranges_from=SIZE), file, raw, tmp_path, first)
    assert os.listdir(tmp_path) != []
    assert not (tmp_path / "a.h5").exists()
    parts = kit(raw, ranges=then, ranges_from=SIZE)
    fetched = await fetch(parts, file, raw, tmp_path)
    assert fetched.path.read_bytes() == BODY
    assert (fetched.received, fetched.pieces) == (SIZE - kept, hashes(BODY))
    assert [event.offset for event in parts.told(FileStarted)] == [kept]
    assert os.listdir(tmp_path) == ["a.h5"]


@pytest.mark.fault("N5")
async def test_a_file_replaced_between_runs_starts_again(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    file = Shared(BODY)
    await leave_spread(kit(raw, ranges=3, ranges_from=SIZE), file, raw, tmp_path, 3)
    file.body, file.etag = OTHER, '"two"'
    fetched = await fetch(kit(raw, ranges=3, ranges_from=SIZE), file, raw, tmp_path)
    assert fetched.path.read_bytes() == OTHER
    assert fetched.received == SIZE


async def test_a_note_of_bytes_ahead_gives_an_older_version_none_of_them(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    await leave_spread(kit(raw, ranges=3, ranges_from=SIZE), Shared(BODY), raw, tmp_path, 3)
    note = json.loads((tmp_path / "a.h5.part.json").read_text())
    # It takes the pieces, and of a part of another boot nothing else.
    assert (note["boot"], note["pieces"]) == ("", [])


@pytest.mark.parametrize("damage", ["boot", "flipped", "short", "torn", "list", "beyond", "negative"])
@pytest.mark.fault("D5")
async def test_bytes_ahead_count_only_as_far_as_the_note_vouches(
    damage: str, kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    file = Shared(BODY, holds_ranges=False)
    # The first stream has half of the first of three pieces, but for its head; meanwhile the others come.
    at_least = SIZE - 3 * PIECE + PIECE // 2 - 500
    await leave_spread(kit(raw, ranges=2, ranges_from=SIZE), file, raw, tmp_path, at_least=at_least)
    part, path = tmp_path / "a.h5.part", tmp_path / "a.h5.part.json"
    note = json.loads(path.read_text())
    assert {bool(hash_) for _, _, hash_ in note["ahead"]["pieces"]} == {True, False}
    if damage == "flipped":
        # After another boot only hashes vouch, and these do not.
        note["ahead"]["boot"] = "another"
        content = bytearray(part.read_bytes())
        for offset in range(100, len(content), PIECE):
            content[offset] ^= 1
        part.write_bytes(content)
    elif damage == "short":
        os.truncate(part, part.stat().st_size - 10)
    else:
        changes: dict[str, Any] = {
            "boot": {"boot": "another"},
            "torn": {"pieces": [[3]]},
            "list": {"pieces": 7},
            "beyond": {"pieces": [[99, 5, ""]]},
            "negative": {"pieces": [[-1, 5, ""]]},
        }
        note["ahead"] |= changes[damage]
    path.write_text(json.dumps(note))
    fetched = await fetch(kit(raw, ranges=3, ranges_from=SIZE), file, raw, tmp_path)
    assert fetched.path.read_bytes() == BODY
    assert fetched.pieces == hashes(BODY)


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


@pytest.mark.parametrize("how", ["pause", "cancel", "close"])
async def test_a_file_that_is_stopped_leaves_no_connection(
    how: str, kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    file = Shared(BODY, gate=asyncio.Event())
    url = raw.at(H5, file)
    parts = kit(raw, ranges=3, ranges_from=SIZE, stall_timeout_s=20)
    async with parts.downloads(parallel=4) as downloads, asyncio.timeout(PATIENCE_S):
        downloads.add(DownloadRequest(url, tmp_path / "a.h5"))
        while len(parts.told(BytesReceived)) < 3:  # noqa: ASYNC110
            await asyncio.sleep(0)
        if how != "close":
            getattr(downloads, how)()
            await downloads.join()
    await parts.http.close()
    assert open_sockets(raw.url) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"a.h5.part", "a.h5.part.json"}
    assert file.gate is not None
    file.gate.set()
    again = kit(raw, ranges=3, ranges_from=SIZE)
    fetched = await fetch(again, file, raw, tmp_path)
    assert fetched.path.read_bytes() == BODY
    assert fetched.received == SIZE - here(parts)


async def test_transfers_cancelled_anywhere_go_on(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    chance = random.Random(3)
    url = raw.at(H5, Shared(BODY))
    wanted = DownloadRequest(url, tmp_path / "a.h5", again=True)
    for _ in range(20):
        transfer = make(kit(raw, ranges=chance.choice((1, 2, 5)), ranges_from=SIZE))
        task = asyncio.ensure_future(transfer.fetch(wanted))
        for _ in range(chance.randrange(200)):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    fetched = await make(kit(raw, ranges=4, ranges_from=SIZE)).fetch(wanted)
    assert fetched.path.read_bytes() == BODY
    assert fetched.pieces == hashes(BODY)


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


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 10), st.integers(1, 2 * PIECE)),
        st.tuples(st.sampled_from(["kill", "reboot", "keep"]), st.just(0), st.just(0)),
    ),
    max_size=30,
)


@given(steps=STEPS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pieces_in_any_order_and_any_kills_make_the_file(steps: list[tuple[str, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.h5.part")
        part = open_part(path)
        part.total, part.etag = SIZE, '"one"'
        assert part.spread()
        for kind, number, count in steps:
            if kind == "write":
                write_some(part, number, count)
                continue
            before = part.here
            if kind == "keep":
                part.keep()
            os.close(part.descriptor)
            note = path.with_name("a.h5.part.json")
            if kind == "reboot" and note.exists():
                noted = json.loads(note.read_text())
                noted["ahead"]["boot"] = "another"
                note.write_text(json.dumps(noted))
            part = open_part(path)
            part.load()
            assert part.here <= before
            assert kind != "keep" or part.here == before
            for piece in range(-(-SIZE // PIECE)):
                length, begin = part.length_of(piece), piece * PIECE
                assert part.read(length, begin) == BODY[begin : begin + length]
            part.total, part.etag = SIZE, '"one"'
            assert part.spread()
        for number in range(-(-SIZE // PIECE)):
            write_some(part, number, PIECE)
        assert (part.length, part.here) == (SIZE, SIZE)
        assert (*part.pieces, part.tail.hexdigest()) == hashes(BODY)
        assert path.read_bytes() == BODY
        os.close(part.descriptor)


def open_part(path: Path) -> Part:
    return Part(path, os.open(path, os.O_RDWR | os.O_CREAT), "https://a/a.h5")


def write_some(part: Part, number: int, count: int) -> None:
    """Write the next bytes of a piece, and of those after it as far as none of their bytes are here."""
    at = number * PIECE + part.length_of(number)
    end = min(at + count, (number + 1) * PIECE, SIZE)
    if at < end:
        part.write_at(BODY[at:end], at)


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
