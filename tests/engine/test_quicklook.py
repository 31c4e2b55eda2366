"""Quicklooks: fetched within limits, kept, and never given a token that they do not need."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import date, datetime, timedelta

import pytest

from maap_tui.demo import Archive
from maap_tui.engine.errors import DownloadError, InvalidRequestError, MaapError
from maap_tui.engine.model import Asset, Granule, TimeRange
from maap_tui.engine.query import Query
from maap_tui.engine.session import Session
from maap_tui.engine.workflows.quicklook import MOST_BYTES, Quicklooks
from tests.engine.raw_files import LOGIN_PAGE, FileServer, Reply, answer

Make = Callable[..., Session]
PATH = "/public/a.BID_1.jpeg"
JPEG = b"\xff\xd8 a picture"


def granule_at(url: str, *, size: int | None = None) -> Granule:
    asset = Asset("quicklook_jpeg", url, "a.BID_1.jpeg", "", size, "image/jpeg", ("overview",))
    start = datetime.fromisoformat("2025-12-01T00:00:00Z")
    return Granule("a", "EarthCAREL2Validated_MAAP", "EarthCARE", "CPR_CLD_2A", "BC", start, assets=(asset,))


async def test_a_public_one_is_fetched_once_and_without_a_token(session: Make, archive: Archive) -> None:
    day = TimeRange.of_day(date(2025, 12, 1))
    hour = TimeRange(day.start, day.start + timedelta(hours=1))
    query = Query("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC", time=hour)
    quicklooks = Quicklooks()
    async with session() as opened:
        granule = (await opened.search(query).granules())[0]
        archive.stats.reset()
        first = await quicklooks.get(opened, granule, to_show=True)
        assert first.startswith(b"\xff\xd8") and await quicklooks.get(opened, granule) == first
    (request,) = archive.stats.show()["last_requests"]
    assert request["path"].endswith(".BID_1.jpeg") and request["authorization"] is False


async def test_a_private_one_gets_the_token_of_the_archive(session: Make, raw: FileServer) -> None:
    url = raw.at(PATH, answer("401 Unauthorized"), answer("200 OK", JPEG))
    async with session(f"{raw.url}/catalogue/") as opened:
        assert await Quicklooks().get(opened, granule_at(url)) == JPEG
    first, second = raw.asked(PATH)
    assert "authorization" not in first.headers
    assert second.headers["authorization"].startswith("Bearer ")


async def test_no_other_origin_gets_the_token(session: Make, raw: FileServer) -> None:
    url = raw.at(PATH, answer("401 Unauthorized"))
    async with session() as opened:
        with pytest.raises(DownloadError, match="401"):
            await Quicklooks().get(opened, granule_at(url))
    (request,) = raw.asked(PATH)
    assert "authorization" not in request.headers


@pytest.mark.parametrize(
    ("reply", "kind", "words"),
    [
        (answer("200 OK", content_length=str(500 << 20)), InvalidRequestError, "has 500 MiB; up to 8.0 MiB"),
        (answer("200 OK", bytes(MOST_BYTES + 1), content_length=""), InvalidRequestError, "has at least 8.0"),
        (answer("404 Not Found"), DownloadError, "404 Not Found: the archive does not have it"),
        (answer("503 Service Unavailable"), DownloadError, "503 Service Unavailable"),
        (answer("200 OK", LOGIN_PAGE, content_type="text/html"), DownloadError, "a sign-in page?"),
        (answer("200 OK", JPEG, content_length="4000"), MaapError, ""),
        (answer("200 OK", JPEG, content_encoding="br"), DownloadError, "it came packed as 'br'"),
        (b"", MaapError, ""),
    ],
    ids=["huge", "endless", "missing", "busy", "page", "cut", "packed", "nothing"],
)
async def test_what_does_not_come_is_said_in_a_sentence(
    reply: Reply, kind: type[MaapError], words: str, session: Make, raw: FileServer
) -> None:
    url = raw.at(PATH, reply)
    async with session() as opened:
        with pytest.raises(kind) as caught:
            await Quicklooks().get(opened, granule_at(url))
    assert words in caught.value.message


async def test_one_that_is_said_to_be_huge_or_that_there_is_none_of_is_not_asked_for(
    session: Make, raw: FileServer
) -> None:
    async with session() as opened:
        with pytest.raises(InvalidRequestError, match="500 MiB"):
            await Quicklooks().get(opened, granule_at(f"{raw.url}{PATH}", size=500 << 20))
        none = Granule("a", "c", "EarthCARE", "p", "BC", datetime.fromisoformat("2025-12-01T00:00:00Z"))
        with pytest.raises(InvalidRequestError, match="has no quicklook"):
            await Quicklooks().get(opened, none)
    assert raw.requests == []


async def test_one_whose_server_does_not_answer_is_asked_for_again_later(session: Make) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        async with session() as opened:
            with pytest.raises(DownloadError, match=r"The quicklook: .*cannot be reached") as caught:
                url = f"http://127.0.0.1:{nobody.getsockname()[1]}{PATH}"
                await Quicklooks().get(opened, granule_at(url))
    assert not caught.value.permanent
