"""The network breaks, stalls or goes away: no byte is wrong, few come twice, and the exit code says it."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import trustme

from maap_tui.demo import Archive
from tests.engine.raw_files import RawFile, Request, answer, hdf5_body
from tests.faults.links import ConnectProxy, PoorLink
from tests.faults.resuming import Giant, measure_mixed, measure_refetched
from tests.faults.scenarios import NETWORK, Scenario
from tests.faults.stage import NAMES, SYNC, Stage
from tests.faults.storms import measure_storm
from tests.faults.waiting import measure_outages
from tests.homes import PATIENCE_S


def cases(scenarios: list[Scenario]) -> list[object]:
    return [pytest.param(one, id=str(one), marks=pytest.mark.fault(one.row)) for one in scenarios]


@pytest.mark.parametrize("scenario", cases(NETWORK))
def test_a_sync_ends_as_promised(scenario: Scenario, tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        _, wrong = scenario.play(stage)
    assert wrong == []


@pytest.mark.fault("N4")
def test_a_killed_run_is_resumed_from_the_last_byte_on_disk(tmp_path: Path) -> None:
    size = 12 << 20
    giant = Giant(size, [], pause_s=0.01)
    with Stage(tmp_path) as stage:
        url = stage.server.at("/data/giant.h5", giant)
        words = ("download", *NAMES, "-u", url, "-o", stage.data)
        part = stage.data / "giant.h5.part"
        kept = []
        for killed_at in (1 << 20, 9 << 20):
            process = stage.start(*words, environ=stage.environment)
            deadline = time.monotonic() + PATIENCE_S
            while not (part.exists() and part.stat().st_size > killed_at):
                assert time.monotonic() < deadline
                time.sleep(0.005)
            process.kill()
            process.communicate()
            kept.append(part.stat().st_size)
        assert stage.maap(*words).code == 0
        assert giant.starts == [0, *kept]
        assert (stage.data / "giant.h5").stat().st_size == size
        assert not part.exists()


@pytest.mark.fault("N5")
@pytest.mark.fault("N6")
@pytest.mark.fault("N7")
def test_versions_of_a_file_are_never_mixed(tmp_path: Path) -> None:
    figure = measure_mixed(8, tmp_path)
    assert figure.kept, figure


@pytest.mark.fault("N1")
def test_cuts_cost_no_byte_twice(tmp_path: Path) -> None:
    figure = measure_refetched(10, tmp_path, size=20 << 20)
    assert figure.kept, figure


@pytest.mark.fault("N11")
@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_a_busy_archive_is_left_alone_by_all_files(status: str, tmp_path: Path) -> None:
    told: list[float] = []
    asked: list[float] = []

    async def busy(request: Request, writer: asyncio.StreamWriter) -> None:
        told.append(time.monotonic())
        writer.write(answer(status, retry_after="0.7"))

    with Stage(tmp_path) as stage:
        first, *others = stage.add_good(8)
        (good,) = stage.server.replies[first.removeprefix(stage.url)]
        stage.server.at(first.removeprefix(stage.url), busy, good)
        for url in others:
            path = url.removeprefix(stage.url)
            (body,) = stage.server.replies[path]

            async def serve(request: Request, writer: asyncio.StreamWriter, body: Any = body) -> None:
                asked.append(time.monotonic())
                writer.write(body)

            stage.server.at(path, serve)
        ended = stage.maap(*SYNC, MAAP_DOWNLOADS_PARALLEL="2")
    assert (ended.code, len(stage.finals)) == (0, 8)
    # One may have been on its way already.
    assert sum(at - told[0] < 0.69 for at in asked) <= 1


@pytest.mark.fault("N12")
def test_a_name_that_is_not_known_is_offline(tmp_path: Path) -> None:
    def unknown(*args: Any, **options: Any) -> Any:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    with Stage(tmp_path) as stage, mock.patch.object(socket, "getaddrinfo", unknown):
        ended = stage.maap(*SYNC, MAAP_CATALOG_URL="https://archive.invalid/catalogue/")
    assert ended.code == 3
    assert "offline: archive.invalid cannot be reached" in ended.err


@pytest.mark.fault("N13")
def test_what_the_archive_does_not_have_is_left_alone_for_a_day(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        url = stage.add(answer("404 Not Found"))
        stage.add_good()
        assert stage.maap(*SYNC).code == 4
        for _ in range(2):
            again = stage.maap(*SYNC)
            assert (again.code, len(stage.asked(url))) == (4, 1)
            assert "not asked for again before " in again.err
        (line,) = stage.errors
        assert line.startswith(f"{url}|") and " 404 Not Found" in line
        assert url not in stage.maap(*SYNC, "--dry-run").lines
        # A day later, and on request, it is.
        (file,) = (stage.home / "registry").rglob("errors.txt")
        then = datetime.now(UTC) - timedelta(hours=24, seconds=2)
        file.write_text(re.sub(r"\|\S+Z", f"|{then:%Y-%m-%dT%H:%M:%SZ}", line) + "\n")
        assert url in stage.maap(*SYNC, "--dry-run").lines
        assert stage.maap(*SYNC).code == 4
        assert len(stage.asked(url)) == 2
        assert stage.maap("download", *NAMES, "--registry").code == 4
        assert len(stage.asked(url)) == 3
        assert len(stage.errors) == 1


@pytest.mark.fault("N15")
def test_connections_are_used_again(
    maap: Callable[..., Any], archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAAP_DOWNLOADS_PARALLEL", "4")
    ended = maap("sync", *NAMES, "--start", "2025-12-01", "--end", "2025-12-02", "-n", "200")
    assert ended.code == 0
    shown = archive.stats.show()
    assert shown["by_kind"]["data"] == {"200": 200}
    assert shown["connections"] <= 20
    assert shown["most_at_once"] <= 8


@pytest.mark.fault("N16")
def test_downloads_work_after_a_storm_of_pauses_and_cancels(tmp_path: Path) -> None:
    figure = measure_storm(100, tmp_path)
    assert figure.kept, figure


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def office(tmp_path: Path, authority: trustme.CA) -> Any:
    """An archive on https that only a proxy finds, and the certificates to trust."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("archive.test").configure_cert(context)
    bundle = tmp_path / "office.pem"
    authority.cert_pem.write_to_path(str(bundle))
    with Stage(tmp_path / "stage", tls=context) as stage:
        proxy = ConnectProxy()
        stage.open(proxy)
        stage.move(f"https://archive.test:{stage.url.rpartition(':')[2]}")
        stage.environ["https_proxy"] = proxy.url
        stage.add_good(3)
        yield stage, proxy, bundle


@pytest.mark.fault("N17")
@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_proxy_and_the_certificates_of_the_environment_are_used(name: str, office: Any) -> None:
    stage, proxy, bundle = office
    ended = stage.maap(*SYNC, **{name: str(bundle)})
    assert (ended.code, len(stage.finals)) == (0, 3), ended.err
    assert set(proxy.asked) == {f"CONNECT {stage.url.removeprefix('https://')}"}
    assert stage.strayed() == stage.leaks() == []
    assert stage.maap("search", *SYNC[1:], **{name: str(bundle)}).code == 0


@pytest.mark.fault("N17")
def test_a_certificate_that_nobody_vouches_for_is_refused(office: Any) -> None:
    stage, _, _ = office
    ended = stage.maap(*SYNC)
    assert ended.code == 4
    assert "certificate of archive.test" in ended.err and "SSL_CERT_FILE" in ended.err
    assert stage.server.requests == []


@pytest.mark.fault("N17")
def test_what_is_exempt_from_the_proxy_does_not_go_through_it(office: Any) -> None:
    stage, proxy, bundle = office
    real = socket.getaddrinfo

    def found(host: Any, *args: Any, **options: Any) -> Any:
        return real("127.0.0.1" if host in ("archive.test", b"archive.test") else host, *args, **options)

    with mock.patch.object(socket, "getaddrinfo", found):
        ended = stage.maap(*SYNC, SSL_CERT_FILE=str(bundle), no_proxy="example.org,archive.test")
    assert (ended.code, len(stage.finals)) == (0, 3), ended.err
    assert proxy.asked == []


@pytest.mark.fault("N18")
@pytest.mark.fault("A1")
def test_an_outage_is_waited_for_and_said_once(tmp_path: Path) -> None:
    figure = measure_outages(1, tmp_path, seconds=1.5)
    assert figure.kept, figure


@pytest.mark.fault("N18")
@pytest.mark.parametrize("what", ["search", "token", "data"])
def test_an_outage_is_waited_for_as_long_as_is_set(what: str, tmp_path: Path) -> None:
    down = answer("503 Service Unavailable")
    with Stage(tmp_path) as stage:
        url, *_ = stage.add_good(3)
        paths = {"search": "/catalogue/search", "token": "/token", "data": url.removeprefix(stage.url)}
        stage.server.at(paths[what], down)
        stage.server.at("/catalogue/", down)
        began = time.monotonic()
        ended = stage.maap(*SYNC, MAAP_OUTAGE_WAIT="0.5")
        assert time.monotonic() - began >= 0.5
    assert ended.code == 3
    assert ended.err.count("is unavailable (") == 1
    assert "waiting for it, up to 0.5 s" in ended.err
    assert len(stage.finals) == {"search": 0, "token": 0, "data": 2}[what]


@pytest.mark.fault("N18")
@pytest.mark.parametrize("what", ["/catalogue/search", "data"])
def test_a_service_that_is_up_is_not_waited_for(what: str, tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        url, *_ = stage.add_good(3)
        stage.server.at(what if what != "data" else url.removeprefix(stage.url), answer("503 Busy"))
        # It would be waited for until the test is given up.
        ended = stage.maap(*SYNC, MAAP_OUTAGE_WAIT="3600")
    assert ended.code == 3
    assert "unavailable" not in ended.err.replace("Service Unavailable", "")


@pytest.mark.fault("N18")
def test_who_sits_in_front_of_it_does_not_wait(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        stage.go_away()
        for words in (("search", *SYNC[1:]), ("list", "--verify"), ("sync", *SYNC[1:], "--dry-run")):
            ended = stage.maap(*words, MAAP_OUTAGE_WAIT="3600")
            assert ended.code == 3
            assert "offline: " in ended.err


@pytest.mark.fault("N19")
def test_all_comes_over_a_poor_line(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        link = PoorLink(port=int(stage.url.rpartition(":")[2]), delay_s=0.02, rate=1_000_000, loss=0.04)
        stage.open(link)
        stage.move(link.url)
        for number in range(6):
            body = hdf5_body(150_000, seed=number)
            stage.add(RawFile(body, etag=f'"{number}"'), body=body, size=len(body))
        ended = stage.maap(*SYNC, MAAP_RETRIES="9", MAAP_DOWNLOADS_RETRIES="9")
        assert (ended.code, len(stage.finals), stage.wrong_files()) == (0, 6, []), ended.err
    assert link.broken > 0
