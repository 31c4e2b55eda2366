"""Proxies, certificates and TLS as the environment has them, over both clients."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import re
import socket
import ssl
import sys
import tomllib
from collections.abc import AsyncIterator, Callable, Mapping
from importlib.metadata import requires
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import trustme

from maap_tui.engine.errors import NetworkSetupError
from maap_tui.engine.events import Noted
from maap_tui.engine.net.faults import TransportFault
from maap_tui.engine.net.network_env import CERTIFICATE_VARIABLES, proxies_of
from tests.engine.raw_files import FileServer, answer
from tests.engine.transfer_kit import Kit
from tests.faults.links import ConnectProxy, SocksProxy

both = pytest.mark.parametrize("bulk", [False, True], ids=["httpx", "aiohttp"])
AUTHORITY = trustme.CA()
ARCHIVE = "https://catalog.maap.eo.esa.int/catalogue/"


@pytest.mark.parametrize(
    ("environ", "url", "through"),
    [
        ({"https_proxy": "http://proxy:3128"}, ARCHIVE, "http://proxy:3128"),
        ({"HTTPS_PROXY": "http://proxy:3128"}, ARCHIVE, "http://proxy:3128"),
        ({"HTTPS_PROXY": " proxy:3128 "}, ARCHIVE, "http://proxy:3128"),
        ({"HTTPS_PROXY": "proxy"}, ARCHIVE, "http://proxy:80"),
        ({"HTTPS_PROXY": "https://proxy/"}, ARCHIVE, "https://proxy:443"),
        ({"HTTPS_PROXY": "HTTP://u:p@[fd00::1]:3128"}, ARCHIVE, "http://[fd00::1]:3128"),
        ({"https_proxy": "http://a:1", "HTTPS_PROXY": "http://b:2"}, ARCHIVE, "http://a:1"),
        ({"https_proxy": "", "HTTPS_PROXY": "http://b:2"}, ARCHIVE, None),
        ({"http_proxy": "http://a:1"}, ARCHIVE, None),
        ({"http_proxy": "http://a:1"}, "http://elsewhere.test/", "http://a:1"),
        ({"HTTP_PROXY": "http://a:1", "REQUEST_METHOD": "GET"}, "http://elsewhere.test/", None),
        ({"ALL_PROXY": "http://a:1"}, ARCHIVE, "http://a:1"),
        ({"all_proxy": "http://a:1", "https_proxy": "http://b:2"}, ARCHIVE, "http://b:2"),
        # What is not in force is not looked at.
        ({"ALL_PROXY": "socks://a:1", "https_proxy": "b:2", "http_proxy": "b:2"}, ARCHIVE, "http://b:2"),
        ({"HTTPS_PROXY": "nonsense://", "NO_PROXY": "*"}, ARCHIVE, None),
        ({}, ARCHIVE, None),
        ({"HTTPS_PROXY": "http://a:1"}, "https://[::1", None),
    ],
)
def test_which_proxy_is_used(environ: Mapping[str, str], url: str, through: str | None) -> None:
    found = proxies_of(environ).of(url)
    assert (found and found.url) == through


@pytest.mark.parametrize(
    ("no_proxy", "host", "is_exempt"),
    [
        ("*", "archive.test", True),
        ("other.test, *", "archive.test", True),
        ("archive.test", "archive.test", True),
        ("ARCHIVE.test", "archive.test", True),
        ("other.test,archive.test", "archive.test", True),
        ("other.test archive.test", "archive.test", True),
        (" other.test ,  archive.test ,", "archive.test", True),
        ("archive.test.", "archive.test", True),
        ("archive.test", "archive.test.", True),
        ("test", "archive.test", True),
        (".archive.test", "data.archive.test", True),
        (".archive.test", "archive.test", True),
        ("*.archive.test", "data.archive.test", True),
        ("archive.test", "data.archive.test", True),
        ("archive.test", "myarchive.test", False),
        ("archive.test", "archive.test.evil", False),
        ("archive.test:443", "archive.test", True),
        ("archive.test:8443", "archive.test", False),
        ("archive.test:8443", "archive.test:8443", True),
        ("https://archive.test", "archive.test", True),
        ("http://archive.test", "archive.test", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3:443", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.30", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.1.0.0/8", "10.200.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "archive.test", False),
        ("10.0.0.0/99", "10.1.2.3", False),
        ("fd00::1", "[fd00::1]", True),
        ("[fd00::1]", "[fd00::1]", True),
        ("[fd00::1]:443", "[fd00::1]", True),
        ("[fd00::1]:8443", "[fd00::1]", False),
        ("fd00:0:0::1", "[fd00::1]", True),
        ("fd00::/8", "[fd12::7]", True),
        ("[fd00::]/8", "[fd12::7]", True),
        ("fd00::/8", "[2001:db8::1]", False),
        ("fd00::/8", "10.1.2.3", False),
        (",, ,", "archive.test", False),
        ("", "archive.test", False),
        # This machine needs no entry.
        ("", "127.0.0.1:5000", True),
        ("", "127.9.9.9", True),
        ("", "[::1]", True),
        ("", "localhost", True),
    ],
)
@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_what_is_exempt(name: str, no_proxy: str, host: str, is_exempt: bool) -> None:
    proxies = proxies_of({"HTTPS_PROXY": "http://proxy:3128", name: no_proxy})
    assert (proxies.of(f"https://{host}/a") is None) == is_exempt


@both
@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize(
    ("value", "shown", "reason"),
    [
        ("http://", "'http://'", "no host"),
        ("http://:3128", "'http://:3128'", "no host"),
        ("http://proxy:port", "'http://proxy:port'", "cannot be read"),
        ("http://proxy:99999", "'http://proxy:99999'", "cannot be read"),
        ("http://proxy:0", "'http://proxy:0'", "from 1 to 65535"),
        ("http://[fd00::1:3128", "'http://[fd00::1:3128'", "cannot be read"),
        ("http://pro xy:3128", "'http://pro xy:3128'", "spaces"),
        ("http://proxy\x01:3128", r"'http://proxy\\x01:3128'", "control characters"),
        ("http://pr\u00f6xy:3128", r"'http://pr\\xf6xy:3128'", "host cannot be read"),
        ("http:/proxy:3128", "'http:/proxy:3128'", "path"),
        ("http://proxy/proxy.pac", "'http://proxy/proxy.pac'", "path"),
        ("ftp://proxy:3128", "'ftp://proxy:3128'", "kind 'ftp'"),
        ("socks://proxy:1080", "'socks://proxy:1080'", "kind 'socks'"),
        ("socks4://proxy:1080", "'socks4://proxy:1080'", "kind 'socks4'"),
        ("http://me:s3cret@proxy:port", "'http://***@proxy:port'", "cannot be read"),
        ("http://me:s3/cret@proxy:3128", "'http://***@proxy:3128'", "cannot be read"),
        ("http://me:1/s3cret@proxy:3128", "'http://***@proxy:3128'", "path"),
        ("http://me:s3@cret#@proxy:3128", "'http://***@proxy:3128'", ""),
        ("me:s3 cret@proxy:3128", "'***@proxy:3128'", "spaces"),
        ("socks5://me:s3cret@proxy:1080", "'socks5://***@proxy:1080'", "not installed (socksio)"),
    ],
)
async def test_a_proxy_that_cannot_be_used_is_refused_by_name(
    bulk: bool, variable: str, value: str, shown: str, reason: str, kit: Callable[..., Kit]
) -> None:
    parts = kit(bulk=bulk, environ={variable: value})
    with (
        mock.patch.dict(sys.modules, {"socksio": None}),
        pytest.raises(NetworkSetupError) as caught,
    ):
        await parts.http.ask("GET", "https://archive.test/")
    assert caught.value.message.startswith(f"{variable} is {shown}".replace("\\\\", "\\"))
    assert reason in caught.value.message
    assert caught.value.hint
    assert "s3" not in f"{caught.value!r}{caught.value.hint}"
    if "@" in value and "socks" not in value:
        assert "%40" in caught.value.hint
    assert not parts.told(Noted)


@pytest.fixture
async def proxy() -> AsyncIterator[ConnectProxy]:
    found = ConnectProxy()
    await found.open()
    yield found
    await found.close()


def served_by(*names: str, **options: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(*names, **options).configure_cert(context)
    return context


@pytest.fixture
async def secure() -> AsyncIterator[FileServer]:
    """A server on https that is found under the name archive.test."""
    async with FileServer(tls=served_by("archive.test")) as server:
        server.url = server.url.replace("127.0.0.1", "archive.test")
        server.at("/a", answer("200 OK", b"arrived"))
        yield server


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of the authority in a file."""
    file = tmp_path_factory.mktemp("trust") / "office.pem"
    AUTHORITY.cert_pem.write_to_path(str(file))
    return file


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let archive.test be this machine."""
    real = socket.getaddrinfo

    def found(host: Any, *args: Any, **options: Any) -> Any:
        return real("127.0.0.1" if host in ("archive.test", b"archive.test") else host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", found)


async def ask(http: Any, url: str, how: str = "request") -> bytes:
    """A body, asked for as metadata or as a file."""
    if how == "request":
        return bytes((await http.ask("GET", url)).body)
    async with http.stream(url, token=None) as stream:
        return b"".join([chunk async for chunk in stream.chunks()])


hows = pytest.mark.parametrize("how", ["request", "stream"])


@both
@hows
@pytest.mark.parametrize("user", ["", "me:s3cret@", "me:p%C3%A4%2Fss%40@"])
async def test_the_way_through_a_proxy(
    bulk: bool,
    how: str,
    user: str,
    kit: Callable[..., Kit],
    secure: FileServer,
    raw: FileServer,
    proxy: ConnectProxy,
    bundle: Path,
) -> None:
    proxy.wants = {"": "", "me:s3cret@": "me:s3cret"}.get(user, "me:p\u00e4/ss@")
    address = proxy.url.replace("http://", f"http://{user}")
    http = kit(bulk=bulk, environ={"ALL_PROXY": address, "SSL_CERT_FILE": str(bundle)}).http
    assert await ask(http, secure.url + "/a", how) == b"arrived"
    host = raw.url.replace("127.0.0.1", "plain.test")
    raw.at(f"{host}/a", answer("200 OK", b"in the open"))
    assert await ask(http, f"{host}/a", how) == b"in the open"
    assert proxy.asked == [f"CONNECT {secure.url.removeprefix('https://')}", f"GET {host}/a"]


@both
@hows
@pytest.mark.parametrize("user", ["", "me:s3cret@"])
async def test_the_way_through_a_socks_proxy(
    bulk: bool,
    how: str,
    user: str,
    kit: Callable[..., Kit],
    secure: FileServer,
    raw: FileServer,
    bundle: Path,
) -> None:
    proxy = SocksProxy(wants=user.rstrip("@"))
    await proxy.open()
    address = proxy.url.replace("http://", f"socks5://{user}")
    http = kit(bulk=bulk, environ={"ALL_PROXY": address, "SSL_CERT_FILE": str(bundle)}).http
    assert await ask(http, secure.url + "/a", how) == b"arrived"
    host = raw.url.replace("127.0.0.1", "plain.test")
    raw.at("/a", answer("200 OK", b"in the open"))
    assert await ask(http, f"{host}/a", how) == b"in the open"
    assert proxy.asked == [one.partition("://")[2] for one in (secure.url, host)]
    await http.close()
    await proxy.close()


def test_the_extra_that_a_socks_proxy_asks_for_is_declared() -> None:
    with mock.patch.dict(sys.modules, {"socksio": None}), pytest.raises(NetworkSetupError) as caught:
        proxies_of({"ALL_PROXY": "socks5://proxy"})
    named = re.fullmatch(r"Run: pip install 'maap-tui\[(\w+)\]'", caught.value.hint)
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    assert named and project["name"] == "maap-tui"
    (wanted,) = (one for one in requires("httpx") or () if 'extra == "socks"' in one.replace("'", '"'))
    assert [re.split(r"\W", one)[0] for one in project["optional-dependencies"][named[1]]] == [
        re.split(r"\W", wanted)[0]
    ]


@both
@hows
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_dead_proxy_is_named(bulk: bool, how: str, scheme: str, kit: Callable[..., Kit]) -> None:
    gone = ConnectProxy()
    await gone.open()
    await gone.close()
    address = gone.url.replace("http://", "http://me:s3cret@")
    http = kit(bulk=bulk, http_retries=1, environ={"https_proxy": address, "http_proxy": address}).http
    with pytest.raises(TransportFault) as caught:
        await ask(http, f"{scheme}://archive.test/", how)
    where = gone.url.removeprefix("http://")
    assert caught.value.message.startswith(f"the proxy {where} ({scheme}_proxy) cannot be reached")
    assert caught.value.offline and not caught.value.permanent
    assert "s3cret" not in f"{caught.value!r}{caught.value.hint}"


@both
@hows
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("user", "said"),
    [("", "needs a user name and a password"), ("me:s3cret@", "refuses its user name or password")],
)
async def test_a_wrong_password_of_the_proxy_is_not_tried_again(
    bulk: bool,
    how: str,
    scheme: str,
    user: str,
    said: str,
    kit: Callable[..., Kit],
    proxy: ConnectProxy,
) -> None:
    proxy.wants = "me:other"
    parts = kit(bulk=bulk, environ={"ALL_PROXY": proxy.url.replace("http://", f"http://{user}")})
    with pytest.raises(NetworkSetupError) as caught:
        await ask(parts.http, f"{scheme}://archive.test/", how)
    assert said in caught.value.message and "407" in caught.value.message
    assert "ALL_PROXY" in caught.value.hint
    assert "s3cret" not in f"{caught.value!r}{caught.value.hint}"
    assert len(proxy.asked) == 1


@both
@hows
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("403 Forbidden", NetworkSetupError),
        ("405 Method Not Allowed", NetworkSetupError),
        ("429 Too Many Requests", TransportFault),
        ("502 Bad Gateway", TransportFault),
        ("504 Gateway Timeout", TransportFault),
    ],
)
async def test_a_proxy_that_does_not_connect_is_named(
    bulk: bool, how: str, status: str, kind: type[Exception], kit: Callable[..., Kit], proxy: ConnectProxy
) -> None:
    proxy.instead = answer(status)
    http = kit(bulk=bulk, http_retries=0, environ={"HTTPS_PROXY": proxy.url}).http
    with pytest.raises(kind) as caught:
        await ask(http, "https://archive.test/", how)
    assert str(caught.value).startswith(f"the proxy {proxy.url.removeprefix('http://')} (HTTPS_PROXY) ")
    assert f"({status})" in str(caught.value)


YESTERDAY = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)


class Refusing(FileServer):
    """Says one thing to whoever connects, whatever they say."""

    def __init__(self, says: bytes) -> None:
        super().__init__()
        self._says = says

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(self._says)
        while await reader.read(65536):
            pass


def alert(number: int) -> bytes:
    """A fatal alert of TLS 1.2 (RFC 5246, 7.2)."""
    return bytes([0x15, 3, 3, 0, 2, 2, number])


REFUSALS: dict[str, tuple[Callable[[], ssl.SSLContext | bytes], str, str]] = {
    "expired": (
        lambda: served_by("archive.test", not_after=YESTERDAY),
        "certificate of archive.test:PORT has expired",
        "clock",
    ),
    "not_yet": (
        lambda: served_by("archive.test", not_before=YESTERDAY + datetime.timedelta(days=9)),
        "certificate of archive.test:PORT is not valid yet",
        "clock",
    ),
    "other_host": (
        lambda: served_by("other.test"),
        "certificate of archive.test:PORT is for another host",
        "api.catalog_url",
    ),
    "old_protocol": (lambda: alert(70), "have no encryption method in common", "OpenSSL"),
    "no_cipher": (lambda: alert(40), "have no encryption method in common", "OpenSSL"),
    "weak": (lambda: alert(71), "have no encryption method in common", "OpenSSL"),
    "not_tls": (lambda: answer("400 Bad Request"), "does not speak TLS", "https://"),
}


@both
@hows
@pytest.mark.parametrize("case", REFUSALS)
async def test_what_tls_refuses_is_not_tried_again(
    bulk: bool, how: str, case: str, kit: Callable[..., Kit], bundle: Path, named: None
) -> None:
    make, said, hint = REFUSALS[case]
    made = make()
    async with Refusing(made) if isinstance(made, bytes) else FileServer(tls=made) as server:
        port = server.url.rpartition(":")[2]
        parts = kit(bulk=bulk, http_retries=1, environ={"SSL_CERT_FILE": str(bundle)})
        with pytest.raises(NetworkSetupError) as caught:
            await ask(parts.http, f"https://archive.test:{port}/a", how)
    assert said.replace("PORT", port) in caught.value.message
    assert hint in caught.value.hint
    assert not parts.told(Noted)
    assert not parts.http.is_offline


@both
async def test_a_server_that_wants_a_certificate_is_not_asked_again(
    bulk: bool, kit: Callable[..., Kit], bundle: Path, named: None
) -> None:
    context = served_by("archive.test")
    context.verify_mode = ssl.CERT_REQUIRED
    AUTHORITY.configure_trust(context)

    def refuse(listening: socket.socket) -> None:
        # asyncio's server would close without a word, and so does one that leaves something unread.
        with contextlib.suppress(OSError):
            while True:
                accepted = listening.accept()[0]
                with context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False) as link:
                    with contextlib.suppress(ssl.SSLError):
                        link.do_handshake()
                    while os.read(link.fileno(), 65536):
                        pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(asyncio.to_thread(refuse, listening))
        parts = kit(bulk=bulk, http_retries=1, environ={"SSL_CERT_FILE": str(bundle)})
        with pytest.raises(NetworkSetupError, match="asks for a client certificate"):
            await ask(parts.http, f"https://archive.test:{listening.getsockname()[1]}/a")
        listening.shutdown(socket.SHUT_RDWR)
        await serving
    assert not parts.told(Noted)


@both
@hows
@pytest.mark.parametrize("variable", ["", *CERTIFICATE_VARIABLES])
async def test_an_unknown_authority_is_not_tried_again(
    bulk: bool,
    how: str,
    variable: str,
    kit: Callable[..., Kit],
    secure: FileServer,
    tmp_path: Path,
    named: None,
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    parts = kit(bulk=bulk, http_retries=1, environ={variable: str(other)} if variable else {})
    with pytest.raises(NetworkSetupError) as caught:
        await ask(parts.http, f"{secure.url}/a", how)
    assert "certificate of archive.test" in caught.value.message and "not trusted" in caught.value.message
    assert (f"{variable} ({other})" if variable else "Set SSL_CERT_FILE") in caught.value.hint
    assert secure.requests == []


@both
async def test_a_proxy_that_does_not_speak_tls_as_it_should(bulk: bool, kit: Callable[..., Kit]) -> None:
    async with Refusing(answer("400 Bad Request")) as proxy:
        environ = {"HTTPS_PROXY": proxy.url.replace("http://", "https://")}
        with pytest.raises(NetworkSetupError, match="does not speak TLS") as caught:
            await ask(kit(bulk=bulk, environ=environ).http, "https://archive.test/a")
    assert "http:// in HTTPS_PROXY" in caught.value.hint


@both
async def test_a_proxy_that_speaks_tls(
    bulk: bool, kit: Callable[..., Kit], secure: FileServer, bundle: Path
) -> None:
    proxy = ConnectProxy(tls=served_by("127.0.0.1"))
    await proxy.open()
    environ = {"HTTPS_PROXY": proxy.url.replace("http://", "https://"), "SSL_CERT_FILE": str(bundle)}
    http = kit(bulk=bulk, environ=environ).http
    assert await ask(http, f"{secure.url}/a") == b"arrived"
    assert proxy.asked == [f"CONNECT {secure.url.removeprefix('https://')}"]
    await http.close()
    await proxy.close()


def spoilt(folder: Path, bundle: Path, kind: str) -> str:
    """A value of a variable for certificates that cannot be used."""
    file = folder / "trust"
    if kind == "empty":
        file.write_bytes(b"\n")
    elif kind == "der":
        file.write_bytes(ssl.PEM_cert_to_DER_cert(bundle.read_text()))
    elif kind == "text":
        file.write_text("no certificate\n")
    elif kind == "key":
        file.write_bytes(AUTHORITY.private_key_pem.bytes())
    elif kind == "damaged":
        file.write_text(bundle.read_text().replace("MII", "!!!", 1))
    elif kind == "folder":
        file.mkdir()
        (file / "office.pem").write_bytes(bundle.read_bytes())
    elif kind == "loop":
        file.symlink_to(file)
    return str(file)


@both
@pytest.mark.parametrize("variable", CERTIFICATE_VARIABLES)
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("missing", "which does not exist"),
        ("empty", "which is empty"),
        ("der", "looks like DER"),
        ("text", "no certificate in PEM form"),
        ("key", "no certificate"),
        ("damaged", "cannot be read"),
        ("folder", "without certificates named by their hash"),
        ("loop", "cannot be read"),
    ],
)
async def test_certificates_that_cannot_be_used_are_refused_by_name(
    bulk: bool, variable: str, kind: str, said: str, kit: Callable[..., Kit], tmp_path: Path, bundle: Path
) -> None:
    value = spoilt(tmp_path, bundle, kind)
    with pytest.raises(NetworkSetupError) as caught:
        await ask(kit(bulk=bulk, environ={variable: value}).http, ARCHIVE)
    assert caught.value.message.startswith(f"{variable} is '{value}', ")
    assert said in caught.value.message or (kind == "key" and "cannot be read" in caught.value.message)
    assert caught.value.hint


@both
@pytest.mark.parametrize("number", range(len(CERTIFICATE_VARIABLES)))
async def test_the_first_variable_that_is_set_decides_alone(
    bulk: bool,
    number: int,
    kit: Callable[..., Kit],
    secure: FileServer,
    tmp_path: Path,
    bundle: Path,
    named: None,
) -> None:
    good = tmp_path / "hashed"
    good.mkdir()
    (good / "office.pem").write_bytes(bundle.read_bytes())
    context = ssl.create_default_context(cafile=str(bundle))
    before, first, after = (
        CERTIFICATE_VARIABLES[:number],
        CERTIFICATE_VARIABLES[number],
        CERTIFICATE_VARIABLES[number + 1 :],
    )
    assert context.cert_store_stats()["x509"] == 1
    environ = dict.fromkeys(before, "") | {first: str(bundle)} | dict.fromkeys(after, "/nowhere")
    assert await ask(kit(bulk=bulk, environ=environ).http, f"{secure.url}/a") == b"arrived"


@both
async def test_a_key_log_that_cannot_be_written_is_refused_by_name(
    bulk: bool, kit: Callable[..., Kit], bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "missing" / "keys.log"))
    copy = tmp_path / "copy.pem"
    copy.write_bytes(bundle.read_bytes())
    with pytest.raises(NetworkSetupError, match="SSLKEYLOGFILE is '"):
        await ask(kit(bulk=bulk, environ={"SSL_CERT_FILE": str(copy)}).http, ARCHIVE)
