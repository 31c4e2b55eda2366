"""Proxies, certificates and TLS that stand in the way: one sentence, at once, with 4, from every face."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
import trustme

from maap_tui import MaapClient
from maap_tui.engine.errors import NetworkSetupError
from tests.engine.raw_files import answer
from tests.engine.raw_server import COLLECTION
from tests.faults.links import ConnectProxy
from tests.faults.stage import NAMES, SYNC, Stage

COMMANDS = {
    "list": ("list", COLLECTION),
    "list_verify": ("list", "--verify"),
    "search": ("search", *SYNC[1:]),
    "count": ("search", *SYNC[1:], "--count"),
    "get": ("get", *SYNC[1:]),
    "get_dry": ("get", *SYNC[1:], "--dry-run"),
    "download": ("download", *SYNC[1:]),
    "download_url": ("download", *NAMES, "-u", "URL"),
    "sync": SYNC,
    "update": ("catalog", "update"),
    "build": ("catalog", "build", COLLECTION),
    "doctor": ("doctor",),
}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, ConnectProxy, str]]:
    """An archive on https that only a proxy finds, the proxy, and the certificates to trust."""
    folder = tmp_path_factory.mktemp("office")
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("archive.test").configure_cert(context)
    bundle = folder / "office.pem"
    authority.cert_pem.write_to_path(str(bundle))
    with Stage(folder / "stage", tls=context) as stage:
        proxy = ConnectProxy()
        stage.open(proxy)
        stage.move(f"https://archive.test:{stage.url.rpartition(':')[2]}")
        # Waiting for what never gets better would last until the test is given up.
        stage.environ |= {"MAAP_OUTAGE_WAIT": "3600", "MAAP_RETRY_WAIT": "60"}
        stage.add_good(3)
        stage.server.at("/catalogue/collections?limit=1", answer("200 OK", b'{"collections": []}'))
        yield stage, proxy, str(bundle)


@pytest.fixture
def clean(office: tuple[Stage, ConnectProxy, str]) -> tuple[Stage, ConnectProxy, str]:
    stage, proxy, _ = office
    proxy.wants = ""
    proxy.asked.clear()
    stage.server.requests.clear()
    return office


def words_of(stage: Stage, command: str) -> list[str]:
    url = next(path for path in stage.server.replies if path.startswith("/data/"))
    return [stage.url + url if word == "URL" else str(word) for word in COMMANDS[command]]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("fault", ["proxy", "password", "certificates", "authority"])
def test_what_never_gets_better_ends_at_once(
    fault: str, command: str, clean: tuple[Stage, ConnectProxy, str]
) -> None:
    stage, proxy, bundle = clean
    environ = {"HTTPS_PROXY": proxy.url, "SSL_CERT_FILE": bundle}
    said = {
        "proxy": "HTTPS_PROXY is 'http://***@proxy:port', which is not the address of a proxy",
        "password": f"the proxy {proxy.url.removeprefix('http://')} (HTTPS_PROXY) refuses its user name",
        "certificates": "SSL_CERT_FILE is '/nowhere.pem', which does not exist",
        "authority": "is not trusted (",
    }[fault]
    if fault == "proxy":
        environ["HTTPS_PROXY"] = "http://me:s3cret@proxy:port"
    elif fault == "password":
        proxy.wants = "me:other"
        environ["HTTPS_PROXY"] = proxy.url.replace("http://", "http://me:s3cret@")
    elif fault == "certificates":
        environ["SSL_CERT_FILE"] = "/nowhere.pem"
    else:
        del environ["SSL_CERT_FILE"]
    ended = stage.maap(*words_of(stage, command), **environ)
    assert ended.code == 4, ended
    told = ended.out + ended.err
    assert told.count(said) == 1
    assert "s3cret" not in told
    assert "is unavailable" not in told and "offline:" not in told and "mistake" not in told
    assert told.count("Error: ") == (command != "doctor")
    assert command == "doctor" or ended.out == ""
    assert stage.server.requests == []
    # Several requests may have been on their way at once, none was sent again.
    assert len(proxy.asked) <= (8 if command in ("update", "build") else 1)


@pytest.mark.parametrize("command", ["search", "get_dry", "doctor"])
def test_a_dead_proxy_is_a_matter_of_time(command: str, clean: tuple[Stage, ConnectProxy, str]) -> None:
    stage, _, bundle = clean
    proxy = ConnectProxy()
    stage.open(proxy)
    dead = proxy.url.replace("http://", "http://me:s3cret@")
    stage.shut(proxy)
    ended = stage.maap(
        *words_of(stage, command),
        HTTPS_PROXY=dead,
        SSL_CERT_FILE=bundle,
        MAAP_RETRIES="0",
        MAAP_OUTAGE_WAIT="0",
    )
    assert ended.code == 3
    told = ended.out + ended.err
    assert f"the proxy {proxy.url.removeprefix('http://')} (HTTPS_PROXY) cannot be reached" in told
    assert "s3cret" not in told


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_all_comes_through_the_proxy_of_the_office(
    variable: str, clean: tuple[Stage, ConnectProxy, str]
) -> None:
    stage, proxy, bundle = clean
    environ = {"ALL_PROXY": proxy.url.replace("http://", "http://me:p%40ss@"), variable: bundle}
    proxy.wants = "me:p@ss"
    out = stage.folder / variable
    ended = stage.maap("get", *SYNC[1:], "-o", out, **environ)
    assert (ended.code, len(list(out.iterdir()))) == (0, 3), ended
    doctor = stage.maap("doctor", **environ)
    assert doctor.code == 0, doctor
    assert (
        f"https requests go through the proxy {proxy.url.removeprefix('http://')} (ALL_PROXY)" in doctor.out
    )
    assert f"certificates are those of {bundle} ({variable})" in doctor.out
    assert "p@ss" not in doctor.out and "p%40ss" not in doctor.out
    assert stage.strayed() == []


def test_what_breaks_among_downloads_stops_them(
    clean: tuple[Stage, ConnectProxy, str], tmp_path: Path
) -> None:
    stage, proxy, bundle = clean
    environ = {"HTTPS_PROXY": proxy.url, "SSL_CERT_FILE": bundle}
    # The files are on a host whose certificate is for another one.
    ended = stage.maap(
        "download", *NAMES, "-u", stage.url.replace("archive.test", "data.test") + "/data/a.h5",
        "-u", stage.url.replace("archive.test", "data.test") + "/data/b.h5", "-o", tmp_path,
        **environ, MAAP_DATA_ORIGINS=stage.url.replace("archive.test", "data.test"),
    )  # fmt: skip
    assert ended.code == 4
    assert ended.err.count("is for another host") == 1
    assert stage.errors == []


def test_the_python_face_raises_it(clean: tuple[Stage, ConnectProxy, str]) -> None:
    stage, proxy, _ = clean
    environ = stage.environment | {"HTTPS_PROXY": proxy.url}
    with (
        mock.patch.dict("os.environ", environ, clear=True),
        MaapClient() as client,
        pytest.raises(NetworkSetupError, match="is not trusted"),
    ):
        client.list_products(COLLECTION, verify=True)
