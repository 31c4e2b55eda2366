"""A large file over several connections that is stopped, and goes on from every byte that is here."""

from __future__ import annotations

import asyncio
import json
import os
import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maap_tui.engine.download.part import Part
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.events import BytesReceived, FileStarted
from tests.engine.ranges_kit import BODY, H5, OTHER, PIECE, SIZE, Shared, fetch, hashes, here, make
from tests.engine.raw_files import FileServer
from tests.engine.transfer_kit import Kit, open_sockets
from tests.homes import PATIENCE_S

pytestmark = pytest.mark.usefixtures("small_pieces")


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
