"""Who may fetch a file, and from where: tokens, statuses, pauses, addresses and redirects."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from maap_tui.demo import Archive
from maap_tui.engine.download.pacing import HostPause
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.errors import AuthenticationError
from maap_tui.engine.events import FileRetried
from tests.engine.raw_files import FileServer, RawFile, Reply, Request, answer, token_reply
from tests.engine.transfer_kit import (
    H5,
    Kit,
    Remote,
    asked,
    failure_of,
    hdf5_body,
    open_sockets,
    other_tasks,
)
from tests.homes import PATIENCE_S


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
