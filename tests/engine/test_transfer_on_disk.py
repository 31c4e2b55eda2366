"""One file on disk: what is here already, parts, other processes, disks that are full, cancels."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import resource
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from maap_tui.demo import Archive
from maap_tui.engine.download.part import part_of
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.errors import DiskFullError, DownloadError, StorageError
from maap_tui.engine.events import BytesReceived, FileStarted, Noted
from maap_tui.engine.integrity.hashes import PIECE
from maap_tui.engine.storage import locks
from tests.engine.raw_files import FileServer, RawFile, answer
from tests.engine.transfer_kit import (
    H5,
    MIB,
    Kit,
    Remote,
    asked,
    failure_of,
    hdf5_body,
    open_sockets,
    other_tasks,
    wait_for_size,
)
from tests.homes import PATIENCE_S


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
