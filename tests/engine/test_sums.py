"""Sums of the archive: one wrong byte under any of them is found, and fetched again."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import os
import random
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from maap_tui.demo import Archive
from maap_tui.engine.catalogue.stac import granule_of
from maap_tui.engine.download.requests import DownloadOutcome, DownloadRequest
from maap_tui.engine.errors import DownloadError
from maap_tui.engine.integrity import sums
from maap_tui.engine.integrity.fletcher import fletcher_fault
from maap_tui.engine.integrity.hashes import PIECE
from maap_tui.engine.model import TimeRange
from maap_tui.engine.query import Query
from maap_tui.engine.registry.entries import Key
from maap_tui.engine.session import Session
from tests.engine.raw_files import FileServer, Request, answer, hdf5_body
from tests.engine.transfer_kit import Kit

Make = Callable[..., Kit]
L2 = "EarthCAREL2Validated_MAAP"
DAY = date(2025, 12, 1)

GOOD = hdf5_body(5000)
BAD = GOOD[:3000] + bytes([GOOD[3000] ^ 1]) + GOOD[3001:]
SHA256 = hashlib.sha256(GOOD).digest()
MULTIHASH = "1220" + SHA256.hex()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def zipped(method: int) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", method) as archive:
        entry = zipfile.ZipInfo("granule/data.bin", (2026, 1, 1, 0, 0, 0))
        entry.compress_type = method
        archive.writestr(entry, random.Random(1).randbytes(3000) + b"\0" * 3000)
    return memory.getvalue()


HEADERS = {
    "Repr-Digest": {"repr_digest": f"sha-256=:{b64(SHA256)}:"},
    "Repr-Digest of two": {
        "repr_digest": f"crc32c=:AAAAAA==:, sha-512=:{b64(hashlib.sha512(GOOD).digest())}:"
    },
    "Content-Digest": {"content_digest": f"sha-256=:{b64(SHA256)}:"},
    "Digest": {"digest": f"SHA-256={b64(SHA256)},unixsum=30637"},
    "Content-MD5": {"content_md5": b64(hashlib.md5(GOOD).digest())},
}
"""What an answer may offer."""


async def fetch(kit: Kit, url: str, folder: Path, **options: object) -> DownloadOutcome:
    return await kit.transfer().fetch(DownloadRequest(url, folder / url.rpartition("/")[2], **options))


@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS)
async def test_a_wrong_byte_is_found_by_what_the_answer_offers(
    kit: Make, tmp_path: Path, headers: dict[str, str]
) -> None:
    async with FileServer() as server:
        url = server.at("/data/a.h5", answer("200 OK", BAD, **headers), answer("200 OK", GOOD, **headers))
        outcome = await fetch(kit(server), url, tmp_path)
        assert (tmp_path / "a.h5").read_bytes() == GOOD and len(server.asked("/data/a.h5")) == 2
        assert outcome.agreed is not None and outcome.agreed.source in headers_of(headers)


def headers_of(headers: dict[str, str]) -> str:
    return " ".join(name.replace("_", "-").title().replace("Md5", "MD5") for name in headers)


@pytest.mark.parametrize(
    "announced",
    [MULTIHASH, "d50110" + hashlib.md5(GOOD).hexdigest(), "1114" + hashlib.sha1(GOOD).hexdigest()],
    ids=["sha-256", "md5", "sha-1"],
)
async def test_a_wrong_byte_is_found_by_what_the_catalogue_announces(
    kit: Make, tmp_path: Path, announced: str
) -> None:
    async with FileServer() as server:
        url = server.at("/data/a.h5", answer("200 OK", BAD), answer("200 OK", GOOD))
        outcome = await fetch(kit(server), url, tmp_path, checksum=announced)
        assert (tmp_path / "a.h5").read_bytes() == GOOD
        assert outcome.agreed is not None and outcome.agreed.source == "file:checksum"


async def test_a_file_that_stays_wrong_gets_no_name(kit: Make, tmp_path: Path) -> None:
    async with FileServer() as server:
        url = server.at("/data/a.h5", answer("200 OK", BAD))
        with pytest.raises(DownloadError, match=r"archive's file:checksum \(sha256\)"):
            await fetch(kit(server, retries=1), url, tmp_path, checksum=MULTIHASH)
        assert not (tmp_path / "a.h5").exists()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
async def test_a_wrong_byte_in_a_zip_file_is_found_by_its_crc(kit: Make, tmp_path: Path, method: int) -> None:
    good = zipped(method)
    bad = good[:1000] + bytes([good[1000] ^ 1]) + good[1001:]
    async with FileServer() as server:
        url = server.at("/data/a.zip", answer("200 OK", bad), answer("200 OK", good))
        outcome = await fetch(kit(server), url, tmp_path)
        assert (tmp_path / "a.zip").read_bytes() == good
        assert outcome.agreed == sums.Sum("", "", sums.ZIP_CRC)


def chunked(folder: Path, libver: str, **how: object) -> tuple[bytes, int]:
    """An HDF5 file in chunks with Fletcher-32, and where the middle of one of them is."""
    import h5py
    import numpy

    path = folder / "made.h5"
    with h5py.File(path, "w", libver=(libver, "v110")) as file:
        values = numpy.random.default_rng(1).integers(0, 255, (90, 50)).astype("<f4")
        made = file.create_dataset("ScienceData/signal", data=values, chunks=(31, 17), fletcher32=True, **how)
        chunk = made.id.get_chunk_info(5)
        file["ScienceData"].create_dataset("plain", data=values)
    return path.read_bytes(), chunk.byte_offset + chunk.size // 2


@pytest.mark.parametrize("how", [{}, {"compression": "gzip", "shuffle": True}], ids=["plain", "deflated"])
@pytest.mark.parametrize("libver", ["earliest", "v108"])
async def test_a_wrong_byte_in_a_chunk_is_found_by_its_fletcher(
    kit: Make, tmp_path: Path, libver: str, how: dict[str, object]
) -> None:
    good, at = chunked(tmp_path, libver, **how)
    bad = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
    async with FileServer() as server:
        url = server.at("/data/a.h5", answer("200 OK", bad), answer("200 OK", good))
        outcome = await fetch(kit(server), url, tmp_path)
        assert (tmp_path / "a.h5").read_bytes() == good and len(server.asked("/data/a.h5")) == 2
        assert outcome.agreed == sums.Sum("", "", sums.FLETCHER)


def test_a_damaged_file_is_read_as_far_as_it_makes_sense(tmp_path: Path) -> None:
    """Any byte may be wrong: nothing is raised, and what is whole is never called damaged."""
    good, _ = chunked(tmp_path, "earliest")
    chance = random.Random(1)
    path = tmp_path / "b.h5"
    for number in range(300):
        bad = bytearray(good)
        for _ in range(number % 8):
            bad[chance.randrange(8, len(bad))] = chance.randrange(256)
        path.write_bytes(bad[: len(bad) if number % 3 != 2 else chance.randrange(9, len(bad))])
        descriptor = os.open(path, os.O_RDONLY)
        compared, wrong = fletcher_fault(descriptor)
        os.close(descriptor)
        assert compared >= 0 and (number or (compared, wrong) == (9, ""))


async def test_a_wrong_byte_in_a_range_is_found_by_its_own_digest(kit: Make, tmp_path: Path) -> None:
    """Several connections bring a file; one range is wrong once, and its Content-Digest shows it."""
    size = 5 * PIECE
    good = hdf5_body(size)
    wrong: list[str] = []

    async def serve(request: Request, writer: asyncio.StreamWriter) -> None:
        first, _, last = request.headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")
        begin, end = int(first), int(last or size - 1) + 1
        body = good[begin:end]
        digest = f"sha-256=:{b64(hashlib.sha256(body).digest())}:"
        if begin >= PIECE and not wrong:
            wrong.append(first)
            body = bytes([body[0] ^ 1]) + body[1:]
        same = {"content_digest": digest, "accept_ranges": "bytes", "etag": '"one"'}
        if "range" in request.headers:
            same["content_range"] = f"bytes {begin}-{end - 1}/{size}"
        status = "206 Partial Content" if "range" in request.headers else "200 OK"
        writer.write(answer(status, body, **same))

    async with FileServer() as server:
        url = server.at("/data/a.h5", serve)
        many = kit(server, ranges=3, ranges_from=PIECE)
        transfer = many.transfer()
        transfer.set_connections(3)
        await transfer.fetch(DownloadRequest(url, tmp_path / "a.h5", size))
        assert wrong and (tmp_path / "a.h5").read_bytes() == good


async def test_a_resumed_file_is_compared_with_what_the_first_answer_offered(
    kit: Make, tmp_path: Path
) -> None:
    """The part remembers the sum: the answer that brings the rest does not say it again."""
    size = PIECE + 4000
    good = hdf5_body(size)
    bad = good[:-1] + bytes([good[-1] ^ 1])
    md5 = b64(hashlib.md5(good).digest())
    cut = answer("200 OK", good[:PIECE], content_length=str(size), content_md5=md5, etag='"one"')
    rest = {"content_range": f"bytes {PIECE}-{size - 1}/{size}", "etag": '"one"'}
    async with FileServer() as server:
        url = server.at("/data/a.h5", cut)
        with pytest.raises(DownloadError):
            await fetch(kit(server, retries=0), url, tmp_path)
        server.at(
            "/data/a.h5",
            answer("206 Partial Content", bad[PIECE:], **rest),
            answer("200 OK", good, etag='"one"'),
        )
        await fetch(kit(server), url, tmp_path)
        assert (tmp_path / "a.h5").read_bytes() == good and len(server.asked("/data/a.h5")) == 3


def etag_of(body: bytes) -> str:
    return f'"{hashlib.md5(body).hexdigest()}"'


async def test_an_etag_is_believed_once_one_was_an_md5(kit: Make, tmp_path: Path) -> None:
    async with FileServer() as server:
        first = server.at("/data/a.h5", answer("200 OK", GOOD, etag=etag_of(GOOD)))
        other = hdf5_body(6000, seed=2)
        bad = other[:-1] + bytes([other[-1] ^ 1])
        second = server.at(
            "/data/b.h5",
            answer("200 OK", bad, etag=etag_of(other)),
            answer("200 OK", other, etag=etag_of(other)),
        )
        # As of an object that its owner encrypts: it looks like an MD5 and is none.
        third = server.at("/data/c.h5", answer("200 OK", GOOD, etag='"' + "0" * 32 + '"'))
        transfer = kit(server).transfer()
        for url, sources in ((first, "ETag"), (second, "ETag"), (third, None)):
            outcome = await transfer.fetch(DownloadRequest(url, tmp_path / url.rpartition("/")[2]))
            assert (outcome.agreed and outcome.agreed.source) == sources
        assert (tmp_path / "b.h5").read_bytes() == other
        assert [len(server.asked(f"/data/{name}.h5")) for name in "abc"] == [1, 2, 2]


@pytest.mark.parametrize(
    "etag", ['"' + "0" * 32 + '"', 'W/"' + "0" * 32 + '"', '"' + "0" * 32 + '-4"', '"v1"'], ids=str
)
async def test_an_etag_that_is_something_else_refuses_nothing(kit: Make, tmp_path: Path, etag: str) -> None:
    async with FileServer() as server:
        url = server.at("/data/a.h5", answer("200 OK", GOOD, etag=etag))
        outcome = await fetch(kit(server), url, tmp_path)
        assert outcome.agreed is None and len(server.asked("/data/a.h5")) == 1


@pytest.mark.parametrize(
    "text",
    ["", "zz", "12", "1220", MULTIHASH[:-2], MULTIHASH + "00", "0004deadbeef", "ff" * 12, SHA256.hex()],
)
def test_what_is_not_a_multihash_offers_nothing(text: str) -> None:
    assert sums.of_multihash(text) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"repr-digest": "sha-256"},
        {"repr-digest": "sha-256=:AAAA:"},
        {"repr-digest": "crc32c=:AAAAAA==:"},
        {"content-md5": "not base64!"},
        {"digest": "MD5=" + "A" * 400},
    ],
)
def test_headers_that_cannot_be_read_offer_nothing(headers: dict[str, str]) -> None:
    assert sums.of_answer(headers, is_whole=True) == []


def test_of_a_range_only_what_speaks_of_the_file_is_taken() -> None:
    headers = {
        "repr-digest": f"sha-256=:{b64(SHA256)}:",
        "content-digest": f"sha-256=:{b64(SHA256)}:",
        "content-md5": b64(hashlib.md5(GOOD).digest()),
    }
    assert [one.source for one in sums.of_answer(headers, is_whole=False)] == ["Repr-Digest"]


def tracked(session: Session, folder: Path, body: bytes, name: str) -> tuple[Path, Key, date]:
    """A file as it was downloaded, with its hashes."""
    path, key = folder / name, Key("EarthCARE", L2, "CPR_CLD_2A", "BC")
    path.write_bytes(body)
    session.hashes.record(key, DAY, path, len(body), [hashlib.sha256(body).hexdigest()])
    return path, key, DAY


@pytest.mark.parametrize(
    ("name", "body", "agreed", "full", "quick"),
    [
        ("a.h5", GOOD, sums.Sum("sha256", SHA256.hex(), "Repr-Digest"), "archive sum", "header size"),
        ("a.zip", zipped(zipfile.ZIP_DEFLATED), sums.Sum("", "", sums.ZIP_CRC), "inner sum", "header size"),
        ("a.h5", GOOD, None, "header size", "header size"),
        ("a.HDR", b"<?xml version='1.0'?><a/>", None, "length only", "length only"),
    ],
    ids=["archive", "inside", "header", "length"],
)
async def test_a_verdict_says_what_shows_a_file_to_be_right(
    session: Callable[..., Session],
    tmp_path: Path,
    name: str,
    body: bytes,
    agreed: sums.Sum | None,
    full: str,
    quick: str,
) -> None:
    async with session() as opened:
        path, key, day = tracked(opened, tmp_path, body, name)
        opened.hashes.record_sums(key, day, [(path, agreed)])
        for read_all, evidence in ((True, full), (False, quick)):
            found = opened.judge().judge(path, "", tracked=(key, day), read_all=read_all)
            assert (found.state, found.evidence) == ("good", evidence)
        # It came again, and nothing was offered.
        opened.hashes.record_sums(key, day, [(path, None)])
        found = opened.judge().judge(path, "", tracked=(key, day))
        assert (found.state, found.evidence) == ("good", quick)


@pytest.mark.parametrize(
    ("name", "body", "agreed"),
    [
        ("a.h5", GOOD, sums.Sum("md5", hashlib.md5(GOOD).hexdigest(), "Content-MD5")),
        ("a.zip", zipped(zipfile.ZIP_STORED), None),
    ],
    ids=["archive", "inside"],
)
async def test_without_the_hashes_the_archive_s_own_sum_still_tells(
    session: Callable[..., Session], tmp_path: Path, name: str, body: bytes, agreed: sums.Sum | None
) -> None:
    async with session() as opened:
        path, key, day = tracked(opened, tmp_path, body, name)
        opened.hashes.record_sums(key, day, [(path, agreed)])
        for file in opened.dirs.state_dir.rglob("sha_*.txt"):
            file.unlink()
        found = opened.judge().judge(path, "", tracked=(key, day))
        assert (found.state, found.evidence) == ("good", "archive sum" if agreed else "inner sum")
        path.write_bytes(body[:1000] + bytes([body[1000] ^ 1]) + body[1001:])
        found = opened.judge().judge(path, "", tracked=(key, day))
        assert found.state == "changed" and found.evidence == ""


async def test_what_an_item_announces_goes_with_the_request(
    session: Callable[..., Session], archive: Archive, home: Path
) -> None:
    async with session(bulk=True) as opened:
        query = Query(L2, "CPR_CLD_2A", "BC", time=TimeRange.of_day(DAY), max_items=1)
        (found,) = await opened.search(query).granules()
        item = await opened.catalogue.item(f"{opened.catalogue.root}collections/{L2}/items/{found.id}")
        assert item is not None
        for asset in item["assets"].values():
            asset["file:checksum"] = MULTIHASH
        granule = granule_of(item, L2, "EarthCARE")
        (asset,) = granule.files(("h5",))
        wanted = opened.filing.request_of(granule, asset)
        assert wanted.checksum == MULTIHASH
        with pytest.raises(DownloadError, match="file:checksum"):
            await opened.transfer().fetch(wanted)
