"""Sums of the archive are compared with bytes as they come: no file is read again that came in order."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from maap_tui.engine.download.part import HELD
from maap_tui.engine.download.requests import DownloadOutcome, DownloadRequest
from maap_tui.engine.download.transfer import Transfer
from maap_tui.engine.errors import DownloadError
from maap_tui.engine.integrity.hashes import PIECE
from maap_tui.engine.integrity.running import Running
from maap_tui.engine.integrity.sums import Sum
from tests.engine.raw_files import FileServer, RawFile, Request, answer, hdf5_body
from tests.engine.transfer_kit import Kit

Make = Callable[..., Kit]

pytestmark = pytest.mark.skipif(
    not os.path.exists("/proc/self/io"), reason="no count of the bytes that were read"
)

GOOD = hdf5_body(2 * PIECE + 100_000)
SIZE = len(GOOD)
MD5, SHA1, SHA256 = (hashlib.new(name, GOOD) for name in ("md5", "sha1", "sha256"))

ANNOUNCED: dict[str, dict[str, str]] = {
    "file:checksum of SHA-256": {"checksum": "1220" + SHA256.hexdigest()},
    "file:checksum of MD5": {"checksum": "d50110" + MD5.hexdigest()},
    "file:checksum of SHA-1": {"checksum": "1114" + SHA1.hexdigest()},
    "of a study": {"frozen": SHA256.hexdigest()},
}
"""What a request brings."""

OFFERED: dict[str, Callable[[bytes], dict[str, str]]] = {
    "Repr-Digest": lambda body: {"repr_digest": f"sha-256=:{b64(SHA256.digest())}:"},
    "Digest": lambda body: {"digest": f"MD5={b64(MD5.digest())}"},
    "Content-Digest": lambda body: {"content_digest": f"sha-256=:{b64(hashlib.sha256(body).digest())}:"},
    "Content-MD5": lambda body: {"content_md5": b64(hashlib.md5(body).digest())},
    "ETag": lambda body: {"etag": f'"{MD5.hexdigest()}"'},
}
"""What an answer with this body brings."""

KINDS = [*ANNOUNCED, *OFFERED]
FEW = [
    pytest.param(
        kind, marks=() if kind in ("file:checksum of SHA-256", "of a study", "ETag") else pytest.mark.long
    )
    for kind in KINDS
]
"""Where the bytes come in another way, a kind of each origin is enough in the quick tests."""
NOISE = HELD
"""Bytes that a run may read besides: notes, the headers of the file."""


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@contextmanager
def read() -> Iterator[list[int]]:
    """The bytes that this process reads from files meanwhile, once it is left."""

    def count() -> int:
        return int(Path("/proc/self/io").read_text().split()[1])

    found: list[int] = []
    before = count()
    yield found
    found.append(count() - before)


@dataclass
class Served:
    """The good file, of which a server sends one byte wrong, once."""

    kind: str
    wrong: int | None
    """Where."""
    cut: int = SIZE
    """Bytes of the first answer."""
    told: int | None = None
    """Number of the first answer that offers a sum; None for all."""
    answers: int = 0

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        first, _, last = request.headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")
        begin, end = int(first), int(last or SIZE - 1) + 1
        body = GOOD[begin:end]
        headers = {"etag": '"one"', "accept_ranges": "bytes", "content_length": str(len(body))}
        status = "206 Partial Content" if "range" in request.headers else "200 OK"
        if self.kind in OFFERED and self.answers >= (self.told or 0):
            headers |= OFFERED[self.kind](body)
        if "range" in request.headers:
            headers["content_range"] = f"bytes {begin}-{end - 1}/{SIZE}"
        if self.wrong is not None and begin <= self.wrong < end:
            at, self.wrong = self.wrong - begin, None
            body = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
        if self.answers == 0:
            body = body[: self.cut]
        self.answers += 1
        writer.write(answer(status, body, **headers))


async def fetch(transfer: Transfer, url: str, folder: Path, kind: str) -> DownloadOutcome:
    wanted = DownloadRequest(url, folder / "a.h5", SIZE, **ANNOUNCED.get(kind, {}))
    return await transfer.fetch(wanted)


async def prove_etags(server: FileServer, transfer: Transfer, folder: Path) -> None:
    """Have a file whose ETag is its MD5, so that ETags of this server are believed."""
    body = hdf5_body(3000)
    url = server.at("/data/first.h5", answer("200 OK", body, etag=f'"{hashlib.md5(body).hexdigest()}"'))
    await transfer.fetch(DownloadRequest(url, folder / "first.h5"))


@pytest.mark.parametrize("kind", KINDS)
async def test_in_one_stream(kit: Make, tmp_path: Path, kind: str) -> None:
    async with FileServer() as server:
        served = Served(kind, wrong=SIZE - 50)
        url = server.at("/data/a.h5", served)
        transfer = kit(server).transfer()
        await prove_etags(server, transfer, tmp_path)
        with read() as count:
            outcome = await fetch(transfer, url, tmp_path, kind)
        assert served.wrong is None and (tmp_path / "a.h5").read_bytes() == GOOD
        assert len(server.asked("/data/a.h5")) == 2 and count[0] < NOISE
        assert (outcome.agreed is None) == (kind == "of a study")


@pytest.mark.parametrize("kind", FEW)
async def test_in_a_stream_that_is_cut(kit: Make, tmp_path: Path, kind: str) -> None:
    """The wrong byte came before the cut: what found it was of the whole file."""
    async with FileServer() as server:
        served = Served(kind, wrong=PIECE - 7, cut=PIECE + 40_000)
        url = server.at("/data/a.h5", served)
        transfer = kit(server).transfer()
        await prove_etags(server, transfer, tmp_path)
        with read() as count:
            await fetch(transfer, url, tmp_path, kind)
        assert served.wrong is None and (tmp_path / "a.h5").read_bytes() == GOOD
        assert len(server.asked("/data/a.h5")) == 3 and count[0] < NOISE


@pytest.mark.parametrize("kind", FEW)
async def test_after_another_run(kit: Make, tmp_path: Path, kind: str) -> None:
    """What that one left is read once, to see whether it is still good, and not again for the sum."""
    cut = PIECE + 3_000_000
    async with FileServer() as server:
        served = Served(kind, wrong=cut - 7, cut=cut)
        url = server.at("/data/a.h5", served)
        with pytest.raises(DownloadError):
            await fetch(kit(server, retries=0).transfer(), url, tmp_path, kind)
        transfer = kit(server).transfer()
        await prove_etags(server, transfer, tmp_path)
        with read() as count:
            await fetch(transfer, url, tmp_path, kind)
        assert served.wrong is None and (tmp_path / "a.h5").read_bytes() == GOOD
        assert len(server.asked("/data/a.h5")) == 3 and count[0] < cut + NOISE


@pytest.mark.parametrize("kind", FEW)
async def test_in_ranges(kit: Make, tmp_path: Path, kind: str) -> None:
    """What came ahead is read; what came in front of it is not, in neither try."""
    async with FileServer() as server:
        served = Served(kind, wrong=SIZE - 50)
        url = server.at("/data/a.h5", served)
        transfer = kit(server, ranges=3, ranges_from=PIECE).transfer()
        transfer.set_connections(3)
        await prove_etags(server, transfer, tmp_path)
        with read() as count:
            await fetch(transfer, url, tmp_path, kind)
        assert served.wrong is None and (tmp_path / "a.h5").read_bytes() == GOOD
        assert len(server.asked("/data/a.h5")) > 3 and count[0] <= 2 * (SIZE - PIECE) + NOISE


async def test_a_sum_that_is_known_late_reads_what_it_missed(kit: Make, tmp_path: Path) -> None:
    """Only the answer that brings the end says it, and the wrong byte came with the one before."""
    async with FileServer() as server:
        served = Served("Digest", wrong=PIECE - 7, cut=PIECE, told=1)
        url = server.at("/data/a.h5", served)
        with read() as count:
            await fetch(kit(server).transfer(), url, tmp_path, "Digest")
        assert served.wrong is None and (tmp_path / "a.h5").read_bytes() == GOOD
        assert SIZE <= count[0] < SIZE + NOISE


async def test_the_first_piece_has_the_sha_256_of_the_product(kit: Make, tmp_path: Path) -> None:
    """A SHA-256 that is known late goes on from that of the first piece."""
    async with FileServer() as server:
        served = Served("Repr-Digest", wrong=PIECE + 7, cut=PIECE + 100_000, told=1)
        url = server.at("/data/a.h5", served)
        with read() as count:
            await fetch(kit(server).transfer(), url, tmp_path, "Repr-Digest")
        assert served.wrong is None and (tmp_path / "a.h5").read_bytes() == GOOD
        assert SIZE - PIECE <= count[0] < SIZE - PIECE + NOISE


def test_a_short_file_is_not_hashed_twice() -> None:
    """Its SHA-256 is compared without its bytes; nothing could be read of it either."""
    own = hashlib.sha256(b"all of it")
    announced = [Sum("sha256", own.hexdigest(), "file:checksum"), Sum("sha256", "0" * 64, "Repr-Digest")]
    running = Running()
    running.begin(announced)
    running.take_first(own, 9)
    assert running.first_missing(announced, 9) == 9
    assert running.lacking(announced, -1, 9) == announced[1:]


async def test_a_note_with_an_odd_sum_is_read_as_one_without(kit: Make, tmp_path: Path) -> None:
    async with FileServer() as server:
        url = server.at("/data/a.h5", RawFile(GOOD, cuts=[PIECE + 5000]))
        with pytest.raises(DownloadError):
            await fetch(kit(server, retries=0).transfer(), url, tmp_path, "")
        note = tmp_path / "a.h5.part.json"
        note.write_text(note.read_text().replace('"sums": []', '"sums": [["", "", "x"], ["md4", "00", "x"]]'))
        outcome = await fetch(kit(server).transfer(), url, tmp_path, "")
        assert (tmp_path / "a.h5").read_bytes() == GOOD and outcome.received == SIZE - PIECE - 5000
