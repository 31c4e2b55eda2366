from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest

from maap_tui.demo import Archive
from maap_tui.engine.config.loading import load
from maap_tui.engine.errors import SettingsError
from maap_tui.engine.events import Noted
from maap_tui.engine.net.faults import TransportFault, fault_of, hide
from maap_tui.engine.net.http import Http, Reply
from maap_tui.engine.net.network_env import proxies_of
from maap_tui.engine.net.origins import is_loopback, is_private_enough, may_have_token, origin_of, origins_of
from maap_tui.engine.net.statuses import BUSY, RETRY_AFTER_CAP_S, backoff_s, retry_after_s
from tests.engine.raw_files import FileServer, Request, answer
from tests.engine.rules_kit import http_rules
from tests.engine.transfer_kit import Kit, open_sockets
from tests.homes import PATIENCE_S

NOW = datetime(2026, 1, 15, tzinfo=UTC)
both = pytest.mark.parametrize("bulk", [False, True], ids=["httpx", "aiohttp"])


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Example.org/a?b#c", "https://example.org:443"),
        ("http://example.org", "http://example.org:80"),
        ("http://127.0.0.1:8080/x", "http://127.0.0.1:8080"),
        ("https://user@example.org/", ""),
        ("https://user:pw@example.org/", ""),
        ("https://@example.org/", ""),
        ("ftp://example.org/", ""),
        ("//example.org/", ""),
        ("https:///path", ""),
        ("https://example.org:99999/", ""),
        ("https://example.org:port/", ""),
        ("http://[::1", ""),
        ("", ""),
    ],
)
def test_origins(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    ("url", "loopback", "private"),
    [
        ("http://127.0.0.1/", True, True),
        ("http://127.9.9.9:1/", True, True),
        ("http://localhost/", True, True),
        ("http://[::1]:5/", True, True),
        ("https://example.org/", False, True),
        ("http://example.org/", False, False),
        ("http://127.0.0.1.example.org/", False, False),
        ("http://10.0.0.1/", False, False),
        ("http://[::1", False, False),
    ],
)
def test_where_a_secret_may_travel(url: str, loopback: bool, private: bool) -> None:
    assert is_private_enough(url) == private
    assert may_have_token(url, origins_of([url])) == private
    assert not may_have_token(url, origins_of(["https://elsewhere.org/"]))
    host = url.partition("//")[2].partition("/")[0].removeprefix("[").partition("]")[0]
    host = host if host.startswith("::") else host.partition(":")[0]
    assert is_loopback(host) == (loopback or host == "::1")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *(("localhost", True), ("LOCALHOST", True), ("127.0.0.1", True), ("127.255.0.9", True)),
        *(("::1", True), ("0:0:0:0:0:0:0:1", True), ("::ffff:127.0.0.1", True)),
        *(("127.0.0.999", False), ("127.1", False), ("::2", False), ("::ffff:10.0.0.1", False)),
        *(("localhost.example.org", False), ("example.org", False)),
    ],
)
def test_settings_proxies_and_secrets_agree_on_what_this_machine_is(host: str, expected: bool) -> None:
    url = f"http://[{host}]/t" if ":" in host else f"http://{host}/t"
    environ = {"HOME": "/nowhere", "http_proxy": "http://proxy.example.org:3128"}
    try:
        load(None, environ, {"api.token_url": url})
        is_taken = True
    except SettingsError:
        is_taken = False
    has_no_proxy = proxies_of(environ).of(url) is None
    assert (is_taken, is_private_enough(url), is_loopback(host), has_no_proxy) == (expected,) * 4


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("99999", RETRY_AFTER_CAP_S),
        ("inf", RETRY_AFTER_CAP_S),
        ("nan", None),
        ("", None),
        ("soon", None),
        (format_datetime(NOW.replace(second=30), usegmt=True), 30.0),
        (format_datetime(NOW.replace(year=2020), usegmt=True), 0.0),
        (format_datetime(NOW.replace(year=2030), usegmt=True), RETRY_AFTER_CAP_S),
        ("Thu, 99 Foo 2026 00:00:00 GMT", None),
    ],
)
@pytest.mark.fault("N11")
def test_retry_after(header: str, seconds: float | None) -> None:
    assert retry_after_s({"retry-after": header}, NOW) == seconds


def test_back_off_doubles_within_its_jitter_and_its_cap() -> None:
    for attempt, full in ((1, 2.0), (2, 4.0), (3, 8.0), (99, 60.0)):
        waits = [backoff_s(attempt, 2.0) for _ in range(50)]
        assert full / 2 <= min(waits) <= max(waits) <= full


def reply(body: bytes, status: int = 400) -> Reply:
    return Reply(status, "", {}, body, "http://x/")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error": {"code": 422, "message": "too\\n far"}}', "too far"),
        (b'{"error": "invalid_grant", "error_description": "gone"}', "gone"),
        (b'{"error": "invalid_grant"}', "invalid_grant"),
        (b'{"message": "staging"}', "staging"),
        (b'{"description": "no"}', "no"),
        (b"{}", ""),
        (b"[1]", ""),
        (b"null", ""),
        (b"<html>", ""),
        (b"\xff\xfe", ""),
        (b"[" * 100_000, ""),
        (b'{"message": "' + b"x" * 5000 + b'"}', "x" * 300),
    ],
)
def test_words_of_an_error(body: bytes, words: str) -> None:
    assert reply(body).error_words() == words


@pytest.mark.fault("H16")
def test_json_that_nests_too_deep_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="deep"):
        reply(b"[" * 200_000).json()


def test_a_reply_does_not_show_its_body() -> None:
    assert "access-1" not in repr(reply(b'{"access_token": "access-1"}'))


def test_secrets_are_blotted_out() -> None:
    assert hide("got abc and abc", ["abc", ""]) == "got (hidden) and (hidden)"


@pytest.mark.parametrize(
    "error",
    [
        ExceptionGroup("many", [OSError("no route")]),
        TypeError("bad"),
        UnicodeEncodeError("ascii", "ü", 0, 1, "no"),
        ValueError("Illegal header value b'Bearer secret-token'"),
        ValueError("{'Authorization': 'secret-token'}"),
    ],
)
@pytest.mark.parametrize("url", ["http://user:secret-token@h/a", "http://[::1", "", "\ud800"])
@pytest.mark.fault("A9")
@pytest.mark.fault("H18")
def test_any_failure_becomes_a_sentence_without_secrets(error: Exception, url: str) -> None:
    fault = fault_of(error, url)
    assert fault.message
    assert "secret-token" not in f"{fault!r}{fault.hint}"


@both
async def test_a_request_is_answered(bulk: bool, kit: Callable[..., Kit], archive: Archive) -> None:
    found = await kit(bulk=bulk).http.request("GET", archive.catalog_url)
    assert found.status == 200
    assert found.json()["id"] == "fedeo"
    assert found.headers["content-type"].startswith("application/")
    sent = archive.stats.show()["last_requests"][-1]
    assert sent["authorization"] is False


@both
async def test_packed_answers_are_unpacked(bulk: bool, kit: Callable[..., Kit], raw: FileServer) -> None:
    url = raw.at("/a", answer("200 OK", gzip.compress(b'{"a": 1}'), content_encoding="gzip"))
    assert (await kit(raw, bulk=bulk).http.request("GET", url)).json() == {"a": 1}


@both
@pytest.mark.parametrize("status", sorted(BUSY))
@pytest.mark.fault("N11")
async def test_busy_services_are_asked_again(
    bulk: bool, status: int, kit: Callable[..., Kit], archive: Archive
) -> None:
    archive.faults.add(status=status, times=2, target="all")
    parts = kit(bulk=bulk, http_wait_s=0.001)
    assert (await parts.http.ask("GET", archive.catalog_url)).status == 200
    assert len(parts.told(Noted)) == 2
    archive.faults.clear()
    archive.faults.add(status=status, target="all")
    with pytest.raises(TransportFault) as caught:
        await kit(bulk=bulk, http_wait_s=0.001, http_retries=1).http.ask("GET", archive.catalog_url)
    assert caught.value.status == status
    assert str(status) in caught.value.message


@pytest.mark.fault("N11")
async def test_retry_after_is_kept(kit: Callable[..., Kit], archive: Archive) -> None:
    archive.faults.add(status=503, retry_after="0.2", times=1, target="all")
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await kit(http_wait_s=0.0).http.ask("GET", archive.catalog_url)
    assert loop.time() - begun >= 0.2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_other_statuses_are_the_callers_business(
    status: int, kit: Callable[..., Kit], archive: Archive
) -> None:
    archive.faults.add(status=status, target="all")
    assert (await kit().http.ask("GET", archive.catalog_url)).status == status
    assert len(archive.stats.show()["last_requests"]) == 1


async def test_a_caller_may_want_another_answer(kit: Callable[..., Kit], raw: FileServer) -> None:
    url = raw.at("/a", answer("200 OK", b"no"), answer("200 OK", b"yes"))
    parts = kit(raw, http_wait_s=0.001, http_retries=2)
    assert (await parts.http.ask("GET", url, again=lambda one: one.body == b"no")).body == b"yes"
    with pytest.raises(TransportFault) as caught:
        await parts.http.ask("GET", url, again=lambda one: True)
    assert caught.value.status == 200


@both
@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"not HTTP\r\n\r\n",
        answer("200 OK", b"{}", content_length="many"),
        answer("200 OK", b"{}", content_length="-1"),
        answer("200 OK", b"{}", content_length="5000"),
        answer("200 OK", b"zz\r\n", content_length="", transfer_encoding="chunked"),
        answer("200 OK", b"{}", x_huge="h" * 200_000),
        answer("200 OK", b"{}", content_encoding="gzip"),
    ],
    ids=["nothing", "garbage", "text_length", "negative", "short", "chunks", "huge_header", "false_gzip"],
)
@pytest.mark.fault("H4")
async def test_broken_answers_are_faults(
    bulk: bool, broken: bytes, kit: Callable[..., Kit], raw: FileServer
) -> None:
    url = raw.at("/a", broken)
    with pytest.raises(TransportFault) as caught:
        await kit(raw, bulk=bulk).http.request("GET", url)
    assert caught.value.status is None
    assert raw.url.removeprefix("http://") in caught.value.message


@both
@pytest.mark.fault("H14")
async def test_a_silent_service_is_not_waited_for_for_ever(
    bulk: bool, kit: Callable[..., Kit], raw: FileServer
) -> None:
    async def hold(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    url = raw.at("/a", hold)
    with pytest.raises(TransportFault, match="nothing in time"):
        await kit(raw, bulk=bulk, timeout_s=0.1).http.request("GET", url)


@both
@pytest.mark.fault("N12")
async def test_an_unreachable_host_is_offline(bulk: bool, kit: Callable[..., Kit], raw: FileServer) -> None:
    async with FileServer() as gone:
        url = gone.url
    with pytest.raises(TransportFault, match="offline") as caught:
        await kit(raw, bulk=bulk, http_retries=1, http_wait_s=0.001).http.ask("GET", url)
    assert caught.value.offline
    assert caught.value.hint


@both
@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:99999/", "http://\ud800/", "ftp://127.0.0.1/", "", "http://[::1", "a\x00b"]
)
@pytest.mark.fault("H18")
async def test_an_impossible_address_is_not_tried_again(
    bulk: bool, url: str, kit: Callable[..., Kit]
) -> None:
    parts = kit(bulk=bulk, http_wait_s=30.0)
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(TransportFault):
            await parts.http.ask("GET", url)
    assert not parts.told(Noted)


@pytest.mark.fault("H16")
async def test_an_answer_without_end_is_cut_off(
    kit: Callable[..., Kit], raw: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maap_tui.engine.net.http.PAGE_CAP", 1 << 20)

    async def pour(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer("200 OK", content_length=""))
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    with pytest.raises(TransportFault, match="more than 1 MiB"):
        await kit(raw).http.request("GET", raw.at("/a", pour))


@both
@pytest.mark.fault("N15")
async def test_connections_are_kept_alive(bulk: bool, kit: Callable[..., Kit], archive: Archive) -> None:
    http = kit(bulk=bulk).http
    slots = asyncio.Semaphore(4)

    async def ask() -> None:
        async with slots:
            assert (await http.request("GET", archive.catalog_url)).status == 200

    await asyncio.gather(*(ask() for _ in range(60)))
    assert archive.stats.show()["connections"] <= 6
    await http.close()
    assert open_sockets(archive.url) == 0


@both
@pytest.mark.fault("N17")
async def test_the_proxy_of_the_environment_is_used_but_not_for_this_machine(
    bulk: bool, kit: Callable[..., Kit], raw: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", raw.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    http = kit(raw, bulk=bulk).http
    raw.at("http://archive.invalid/a", answer("200 OK", b"through the proxy"))
    assert (await http.request("GET", "http://archive.invalid/a")).body == b"through the proxy"
    raw.at("/here", answer("200 OK", b"direct"))
    assert (await http.request("GET", raw.url + "/here")).body == b"direct"


@both
@pytest.mark.fault("H9")
@pytest.mark.fault("N17")
async def test_netrc_is_never_read(
    bulk: bool, kit: Callable[..., Kit], raw: FileServer, clean_home: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = clean_home / ".netrc"
    netrc.write_text("default login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    url = raw.at("/a", answer("200 OK", b"{}"))
    http = kit(raw, bulk=bulk).http
    await http.request("GET", url)
    async with http.stream(url, token="t-1") as stream:
        assert [chunk async for chunk in stream.chunks()] == [b"{}"]
    assert [request.headers.get("authorization") for request in raw.requests] == [None, "Bearer t-1"]


@both
@pytest.mark.fault("A9")
async def test_what_a_service_quotes_of_our_form_is_hidden(
    bulk: bool, kit: Callable[..., Kit], raw: FileServer
) -> None:
    quoting = json.dumps({"error": "busy", "error_description": "no time for s3cret and 0ffline"}).encode()
    url = raw.at("/token", answer("503 Busy", quoting))
    parts = kit(raw, bulk=bulk, http_retries=1, http_wait_s=0.001)
    form = {"client_secret": "s3cret", "refresh_token": "0ffline"}
    with pytest.raises(TransportFault) as caught:
        await parts.http.ask("POST", url, form=form)
    told = f"{caught.value!r} {parts.events!r}"
    assert "s3cret" not in told
    assert "0ffline" not in told


async def test_nothing_is_opened_before_the_first_request() -> None:
    http = Http(http_rules(), bearer_origins=frozenset(), connections=1, bulk=True)
    await http.close()
    await http.close()
