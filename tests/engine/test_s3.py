"""What goes to S3: which addresses are taken, and uploads that are cancelled or done twice."""

import asyncio
import contextlib
import hashlib
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from maap_tui.engine.download.jobs import DownloadJob, of_row
from maap_tui.engine.download.requests import DownloadRequest, FailedTry
from maap_tui.engine.download.s3 import Bucket, Changed
from maap_tui.engine.errors import InvalidRequestError, NetworkSetupError
from maap_tui.engine.events import Event, Noted
from maap_tui.engine.session import Session
from maap_tui.engine.storage import locks
from maap_tui.engine.storage.places import S3Url, place_of
from tests.engine.transfer_kit import Remote, remote
from tests.homes import PATIENCE_S
from tests.s3_server import BUCKET, S3Server

PIECE = 8 << 20
TARGET = S3Url(f"s3://{BUCKET}/some/prefix")
__all__ = ["remote"]


@pytest.fixture
def s3() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


@pytest.fixture
def bucket(s3: S3Server) -> Bucket:
    return Bucket(BUCKET, s3.environment, 0.01)


@pytest.fixture
def large(tmp_path: Path) -> Iterator[tuple[int, int, list[str]]]:
    """An open file of five pieces, the last of them short: its bytes and hashes."""
    size = 4 * PIECE + 1000
    with open(tmp_path / "large", "w+b") as file:
        pieces = []
        for number in range(5):
            data = bytes([number]) * min(PIECE, size - number * PIECE)
            file.write(data)
            pieces.append(hashlib.sha256(data).hexdigest())
        file.flush()
        yield file.fileno(), size, pieces


@pytest.mark.parametrize(
    ("given", "bucket", "key"),
    [
        ("s3://bucket", "bucket", ""),
        (" S3://Bucket.of_mine-1/ ", "Bucket.of_mine-1", ""),
        ("s3://bucket/a/b=1/year 2025/", "bucket", "a/b=1/year 2025"),
    ],
)
def test_an_address_of_s3(given: str, bucket: str, key: str) -> None:
    url = place_of(given)
    assert isinstance(url, S3Url) and (url.bucket, url.key) == (bucket, key)
    below = url / "x/name.h5"
    assert (below, below.name) == (f"{url}/x/name.h5", "name.h5") and below.key.endswith("x/name.h5")


@pytest.mark.parametrize(
    "given",
    [
        *("s3:", "s3:/", "s3:/b/x", "s3://", "s3:///x", "s3://-b", "s3://a", "s3://bu cket/x"),
        *("s3://b" + "b" * 63, "s3://bucket/..", "s3://bucket/./x", "s3://bucket//", "s3://bucket/a?b"),
        *("s3://bucket/a#b", "s3://bucket/a%2Fb", "s3://bucket/a\nb", "s3://bucket/ä"),
        *("s3://bucket/" + "a" * 600, "s3://k:s@bucket/x"),
        *("gs://bucket", "https://host/x", Path("s3://bucket/x"), "file:///tmp"),
    ],
)
def test_what_is_no_address_of_s3(given: Any) -> None:
    with pytest.raises(InvalidRequestError):
        place_of(given)


@pytest.mark.parametrize("given", ["here", "/tmp/s3:x", "a/s3:/b", "./s3", Path("x")])
def test_a_folder_is_one(given: Any) -> None:
    assert place_of(given) == Path(given)


async def test_an_upload_that_is_cancelled_is_aborted_at_s3(
    s3: S3Server, bucket: Bucket, large: tuple[int, int, list[str]]
) -> None:
    reached, go = threading.Event(), threading.Event()

    def hold(method: str, target: str) -> None:
        if "partNumber=1&" in target:
            reached.set()
            go.wait(PATIENCE_S)

    s3.before = hold
    upload = asyncio.create_task(bucket.put("some/key.h5", *large))
    assert await asyncio.to_thread(reached.wait, PATIENCE_S)
    upload.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await upload
    assert not s3.objects and not s3.uploads
    assert any(asked.startswith("DELETE") for asked in s3.asked)


async def test_what_is_not_as_it_was_verified_never_gets_its_key(
    s3: S3Server, bucket: Bucket, large: tuple[int, int, list[str]]
) -> None:
    descriptor, size, pieces = large
    os.pwrite(descriptor, b"x", 3 * PIECE + 5)
    with pytest.raises(Changed, match=f"bytes {3 * PIECE} to {4 * PIECE} are not those that came"):
        await bucket.put("some/key.h5", descriptor, size, pieces)
    with pytest.raises(Changed):
        await bucket.put("some/small.h5", descriptor, 1000, pieces[-1:])
    assert not s3.objects and not s3.uploads


async def test_what_s3_holds_in_the_end_is_looked_at(
    s3: S3Server, bucket: Bucket, large: tuple[int, int, list[str]]
) -> None:
    def spoil(method: str, target: str) -> None:
        if method == "HEAD":
            s3.objects[target] = s3.objects[target][:-1]

    s3.before = spoil
    with pytest.raises(FailedTry, match="holds something else than what it was given"):
        await bucket.put("some/key.h5", *large)


def test_a_process_forked_after_a_use_of_s3_says_so(s3: S3Server) -> None:
    program = (
        "import asyncio, os, sys\n"
        "from maap_tui.engine.download.s3 import Bucket\n"
        "from maap_tui.engine.errors import InvalidRequestError\n"
        f"bucket = Bucket({BUCKET!r}, os.environ, 0.01)\n"
        "asyncio.run(bucket.check(''))\n"
        "if pid := os.fork():\n"
        "    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
        "try:\n"
        "    asyncio.run(bucket.size('key'))\n"
        "except InvalidRequestError as error:\n"
        "    os._exit(7 if 'was forked from one that used it' in error.message else 8)\n"
    )
    environment = {**os.environ, **s3.environment, "PYTHONPATH": str(Path(__file__).parents[2])}
    assert (
        subprocess.run([sys.executable, "-c", program], env=environment, timeout=PATIENCE_S).returncode == 7
    )


def test_a_certificate_that_nobody_trusts_is_named_and_one_that_is_set_is_trusted(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    with S3Server(context) as server:
        with pytest.raises(NetworkSetupError, match="is not trusted here"):
            asyncio.run(Bucket(BUCKET, server.environment, 0.01).check(""))
        for name in ("AWS_CA_BUNDLE", "SSL_CERT_FILE"):
            asyncio.run(Bucket(BUCKET, {**server.environment, name: str(bundle)}, 0.01).check(""))


@pytest.fixture
def wanted(remote: Callable[..., Remote], home: Path) -> DownloadRequest:
    """A file of the archive that goes to S3."""
    file = remote()
    target = TARGET / file.name
    staging = home / "state" / "staging"
    return DownloadRequest(file.url, target.stage_below(staging), file.size, staging, target=target)


async def test_what_another_process_uploads_is_waited_for(
    s3: S3Server, session: Callable[..., Session], wanted: DownloadRequest, remote: Callable[..., Remote]
) -> None:
    waits = asyncio.Event()

    def take(event: Event) -> None:
        if isinstance(event, Noted) and "is being uploaded by another process" in event.message:
            waits.set()

    mine = session(bulk=True)
    mine.emit = take
    mine.environ = s3.environment
    async with mine, mine.downloads() as downloads, asyncio.timeout(PATIENCE_S):
        wanted.path.parent.mkdir(parents=True)
        wanted.path.write_bytes(remote().content)
        held = locks.open_held(wanted.path)
        assert held is not None
        descriptor, let_go = held
        downloads.add(wanted)
        await waits.wait()
        # It is done with it: the key is there, and the staged file is gone.
        assert wanted.target is not None
        s3.objects[wanted.target.key] = wanted.path.read_bytes()
        wanted.path.unlink()
        let_go()
        os.close(descriptor)
        report = await downloads.join()
    assert report.skipped == {wanted.url: wanted.target} and not report.downloaded
    assert not [asked for asked in s3.asked if asked.startswith("PUT")]


async def test_an_object_is_replaced_where_it_is_asked_for_again(
    s3: S3Server, session: Callable[..., Session], wanted: DownloadRequest, remote: Callable[..., Remote]
) -> None:
    assert wanted.target is not None
    s3.objects[wanted.target.key] = b"x" * (wanted.size or 0)
    mine = session(bulk=True)
    mine.environ = s3.environment
    async with mine:
        report = await mine.download([wanted.url], "EarthCAREL2Validated_MAAP", out_dir=TARGET)
        assert list(report.skipped) == [wanted.url]
        report = await mine.download([wanted.url], "EarthCAREL2Validated_MAAP", out_dir=TARGET, again=True)
    assert report.downloaded == {wanted.url: wanted.target}
    assert s3.objects[wanted.target.key] == remote().content
    with contextlib.suppress(FileNotFoundError):
        assert not list(wanted.path.parent.iterdir())


@pytest.mark.parametrize("left", [".part.json", ".part.json .part", ".part.json .part "])
async def test_nothing_stays_of_what_is_at_s3_already(
    s3: S3Server, session: Callable[..., Session], wanted: DownloadRequest, left: str
) -> None:
    """A note without its part too, as a run that is killed between the rename and its tidying leaves it."""
    assert wanted.target is not None
    s3.objects[wanted.target.key] = b"x" * (wanted.size or 0)
    wanted.path.parent.mkdir(parents=True)
    for ending in left.split(" "):
        wanted.path.with_name(wanted.path.name + ending).write_bytes(b"{}")
    mine = session(bulk=True)
    mine.environ = s3.environment
    async with mine, mine.downloads() as downloads:
        downloads.add(wanted)
        report = await downloads.join()
    assert list(report.skipped) == [wanted.url]
    assert list(wanted.path.parent.iterdir()) == []


def test_what_goes_to_s3_is_not_taken_over_from_a_queue(wanted: DownloadRequest) -> None:
    row = DownloadJob(wanted).to_row(0.0, "get", 0.0)
    assert row.path == wanted.target and row.root == ""
    with pytest.raises(InvalidRequestError, match="goes to S3"):
        of_row(row)
