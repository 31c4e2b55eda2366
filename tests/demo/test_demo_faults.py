from __future__ import annotations

import gzip
import json
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from maap_tui.demo import Archive
from tests.homes import PATIENCE_S

L2 = "EarthCAREL2Validated_MAAP"
BODY = {"collections": [L2], "filter": "productType='CPR_CLD_2A' and version='bc'", "limit": 1}


class Wire:
    """An archive with one file known, and raw sockets to look at the bytes."""

    def __init__(self, archive: Archive, http: httpx.Client, bearer: dict[str, str]) -> None:
        self.archive, self.http, self.bearer = archive, http, bearer
        self.asset = http.post("/catalogue/search", json=BODY).json()["features"][0]["assets"]["enclosure_h5"]
        self.url: str = self.asset["href"]
        self.size: int = self.asset["file:size"]

    def get(self, **headers: str) -> httpx.Response:
        return self.http.get(self.url, headers={**self.bearer, **headers})

    def connect(self) -> socket.socket:
        link = socket.create_connection(("127.0.0.1", self.archive.port), timeout=PATIENCE_S)
        path = self.url.split(str(self.archive.port))[1]
        lines = [f"GET {path} HTTP/1.1", "Host: x", *(f"{k}: {v}" for k, v in self.bearer.items()), "", ""]
        link.sendall("\r\n".join(lines).encode())
        return link

    def raw(self) -> tuple[dict[str, str], bytes]:
        """Headers and body until the server closes."""
        with self.connect() as link:
            data = b""
            while piece := link.recv(65536):
                data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")[1:]
        return {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}, body


@pytest.fixture
def wire(start: Callable[..., Any], sign_in: Callable[..., Any]) -> Wire:
    archive, http = start()
    return Wire(archive, http, sign_in(archive, http))


def test_status_with_retry_after_some_times_then_fine(wire: Wire) -> None:
    wire.archive.faults.add(target="data", status=429, retry_after="7", times=2)
    replies = [wire.get() for _ in range(3)]
    assert [one.status_code for one in replies] == [429, 429, 200]
    assert replies[0].headers["retry-after"] == "7"


@pytest.mark.parametrize("status", [202, 204, 401, 403, 404, 500, 502, 503, 504])
def test_every_status(wire: Wire, status: int) -> None:
    wire.archive.faults.add(target="search", status=status)
    assert wire.http.post("/catalogue/search", json=BODY).status_code == status
    assert wire.http.get("/catalogue/collections").status_code == 200
    assert wire.get().status_code == 200


def test_probability_is_reproducible(start: Callable[..., Any]) -> None:
    runs = []
    for seed in (1, 1, 2):
        archive, http = start(target="catalogue", status=503, probability=0.3, seed=seed)
        runs.append([http.get("/catalogue/").status_code for _ in range(60)])
        assert 5 < archive.stats.count("catalogue", 503) < 35
    assert runs[0] == runs[1] != runs[2]


def test_targets_and_matches(wire: Wire) -> None:
    wire.archive.faults.add(target="token", status=503)
    wire.archive.faults.add(target="data", match=".HDR", status=500)
    wire.archive.faults.add(target="search", after=1, times=1, status=502)
    assert wire.http.post(wire.archive.token_url, data={}).status_code == 503
    assert wire.get().status_code == 200
    assert wire.http.get(wire.url.replace(".h5", ".HDR"), headers=wire.bearer).status_code == 500
    codes = [wire.http.post("/catalogue/search", json=BODY).status_code for _ in range(3)]
    assert codes == [200, 502, 200]


def test_a_failing_day(wire: Wire) -> None:
    wire.archive.faults.add(failing_day="2025-12-02")
    for day, status in (("2025-12-01", 200), ("2025-12-02", 503), ("2025-12-03", 200)):
        window = f"{day}T00:00:00Z/{day}T23:59:59Z"
        assert wire.http.post("/catalogue/search", json={**BODY, "datetime": window}).status_code == status


@pytest.mark.parametrize("count", [0, 1, 70_000])
def test_cut_with_the_length_promised(wire: Wire, count: int) -> None:
    wire.archive.faults.add(cut_after=count, times=2)
    headers, body = wire.raw()
    assert int(headers["content-length"]) == wire.size and len(body) == count
    with pytest.raises(httpx.RemoteProtocolError):
        wire.get()
    assert len(wire.get().content) == wire.size


def test_cut_without_a_length(wire: Wire) -> None:
    wire.archive.faults.add(cut_nolength=50_000)
    headers, body = wire.raw()
    assert "content-length" not in headers and "transfer-encoding" not in headers and len(body) == 50_000
    reply = wire.get()
    assert reply.status_code == 200 and len(reply.content) == 50_000


def test_a_zip_cut_in_the_middle(wire: Wire) -> None:
    wire.archive.faults.add(cut_after=1000, match="/zipper/")
    url = wire.url.replace("/data/", "/data/zipper/").rpartition("/")[0]
    with pytest.raises(httpx.RemoteProtocolError):
        wire.http.get(url, headers=wire.bearer)


def test_stall(wire: Wire) -> None:
    wire.archive.faults.add(stall_after=1234)
    with wire.connect() as link:
        data = b""
        while len(data.partition(b"\r\n\r\n")[2]) < 1234:
            piece = link.recv(65536)
            assert piece, "the connection stays open"
            data += piece
        link.settimeout(0.2)
        with pytest.raises(TimeoutError):
            link.recv(65536)
    assert len(data.partition(b"\r\n\r\n")[2]) == 1234


def test_drip(wire: Wire) -> None:
    wire.archive.faults.add(drip_after=100)
    begun = time.monotonic()
    with wire.connect() as link:
        data = b""
        while len(data.partition(b"\r\n\r\n")[2]) < 101:
            data += link.recv(65536)
    assert time.monotonic() - begun > 0.9
    assert len(data.partition(b"\r\n\r\n")[2]) == 101


def test_rate_and_latency(wire: Wire) -> None:
    wire.archive.faults.add(rate=wire.size * 4.0)
    begun = time.monotonic()
    assert len(wire.get().content) == wire.size
    assert time.monotonic() - begun > 0.2
    wire.archive.faults.clear()
    wire.archive.faults.add(latency_s=0.2, target="search")
    begun = time.monotonic()
    wire.http.post("/catalogue/search", json=BODY)
    assert time.monotonic() - begun >= 0.2


def test_wrong_length_both_ways(wire: Wire) -> None:
    wire.archive.faults.add(wrong_length=10, times=2)
    headers, body = wire.raw()
    assert int(headers["content-length"]) == wire.size + 10 and len(body) == wire.size
    with pytest.raises(httpx.RemoteProtocolError):
        wire.get()
    wire.archive.faults.clear()
    wire.archive.faults.add(wrong_length=-10)
    headers, body = wire.raw()
    assert int(headers["content-length"]) == wire.size - 10 and len(body) == wire.size
    wire.archive.faults.clear()
    wire.archive.faults.add(wrong_size=5)
    page = wire.http.post("/catalogue/search", json=BODY).json()
    assert page["features"][0]["assets"]["enclosure_h5"]["file:size"] == wire.size + 5


def test_login_page_and_redirect(wire: Wire, start: Callable[..., Any]) -> None:
    wire.archive.faults.add(html_login=True, times=1)
    page = wire.get()
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    assert "<form" in page.text
    _, other = start()
    wire.archive.faults.add(redirect=str(other.base_url))
    reply = wire.get()
    assert reply.status_code == 302
    assert reply.headers["location"] == wire.url.replace(wire.archive.url, str(other.base_url).rstrip("/"))


def test_replacement_keeps_the_length_and_changes_all_else(wire: Wire) -> None:
    before = wire.get()
    name = wire.url.rpartition("/")[2]
    wire.http.post("/_faults", json={"replace": name})
    after = wire.get()
    assert len(after.content) == len(before.content) and after.content != before.content
    assert after.headers["etag"] != before.headers["etag"]
    assert after.headers["last-modified"] != before.headers["last-modified"]
    tail = wire.get(**{"Range": "bytes=9-", "If-Range": before.headers["etag"]})
    assert tail.status_code == 200 and tail.content == after.content


def test_search_faults(wire: Wire) -> None:
    body = {**BODY, "datetime": "2025-12-01", "limit": 50}
    wire.archive.faults.add(wrong_matched=3, times=1)
    wire.archive.faults.add(empty_results=True, after=1, times=1)
    wire.archive.faults.add(next_loop=True, after=2)
    more, none, loop = (wire.http.post("/catalogue/search", json=body).json() for _ in range(3))
    assert more["numberMatched"] - 3 == loop["numberMatched"]
    assert none["numberMatched"] == none["numberReturned"] == len(none["features"]) == 0
    assert next(one for one in loop["links"] if one["rel"] == "next")["body"]["startRecord"] == 1


def test_gzip_is_sent_unasked(wire: Wire) -> None:
    plain = wire.get().content
    wire.archive.faults.add(gzip=True)
    headers, body = wire_close(wire)
    assert headers["content-encoding"] == "gzip" and int(headers["content-length"]) == len(body)
    assert gzip.decompress(body) == plain


def wire_close(wire: Wire) -> tuple[dict[str, str], bytes]:
    wire.bearer = {**wire.bearer, "Connection": "close"}
    return wire.raw()


def test_tokens_can_die_in_the_middle(wire: Wire) -> None:
    assert wire.get().status_code == 200
    wire.http.post("/_faults", json={"expire_tokens": True})
    assert wire.get().status_code == 401


def test_rules_over_http(wire: Wire) -> None:
    post, show = wire.http.post, lambda: wire.http.get("/_faults").json()["rules"]
    post("/_faults", json={"target": "data", "status": 500, "retry_after": "1"})
    post("/_faults", json={"target": "data", "status": 503})
    assert [(one["status"], one["retry_after"]) for one in show()] == [(503, "1")]
    post("/_faults", json=[{"target": "data", "latency_s": 0.01}, {"html_login": True}])
    assert len(show()) == 3
    post("/_faults", json={"target": "data", "status": None, "retry_after": None})
    assert [sorted(set(one) & {"status", "latency_s", "html_login"}) for one in show()] == [
        ["latency_s"],
        ["html_login"],
    ]
    for wrong in ({"nonsense": 1}, {"status": "x"}, {"target": "moon", "status": 500}, 7, {"probability": 3}):
        assert post("/_faults", json=wrong).status_code == 400
    assert wire.http.delete("/_faults").json() == {"rules": []}
    assert wire.get().status_code == 200


def test_stats_count_requests_bytes_and_leaks(wire: Wire) -> None:
    wire.http.delete("/_stats")
    wire.get(**{"Range": "bytes=0-99"})
    wire.http.get(wire.url)
    wire.http.get("/catalogue/", headers=wire.bearer)
    stats = wire.http.get("/_stats").json()
    assert stats["by_kind"]["data"] == {"206": 1, "401": 1}
    assert stats["bytes_by_kind"]["data"] == 100 + len('{"error":{"code":401,"message":"Unauthorized"}}')
    assert stats["authorization_outside_data"] == ["GET /catalogue/"]
    assert stats["last_requests"][0]["range"] == "bytes=0-99" and stats["requests"] == 3
    assert stats["client_ports"] == 1
    assert wire.http.delete("/_stats").json()["requests"] == 0


def test_a_cut_counts_what_was_sent(wire: Wire) -> None:
    wire.archive.faults.add(cut_after=1000)
    wire.archive.stats.reset()
    wire.raw()
    shown = wire.archive.stats.show()
    assert shown["bytes_by_kind"] == {"data": 1000}


def test_faults_may_be_set_from_another_thread_while_serving(wire: Wire) -> None:
    codes: list[int] = []

    def ask() -> None:
        with httpx.Client(base_url=wire.archive.url, trust_env=False, timeout=PATIENCE_S) as http:
            codes.extend(http.get("/catalogue/").status_code for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        wire.archive.faults.add(target="catalogue", status=503, times=1)
        wire.archive.faults.clear()
    for thread in threads:
        thread.join()
    assert len(codes) == 80 and set(codes) <= {200, 503}


@pytest.mark.parametrize(
    ("kind", "taken"),
    [
        ("json", {"POST json", "GET text", "GET json"}),
        ("get", {"GET text"}),
        ("get-only", {"GET text"}),
        ("refused", set()),
        ("ignored", set()),
    ],
)
def test_filters_are_taken_as_declared(
    start: Callable[..., tuple[Archive, httpx.Client]], kind: str, taken: set[str]
) -> None:
    _, client = start(filters=kind)
    words = {"text": "\"product:type\" = 'ATL_EBD_2A'", "json": json.dumps(TREE)}
    obeyed = set()
    for language, text in words.items():
        common = {"collections": "EarthCAREL2Validated_MAAP", "filter-lang": f"cql2-{language}", "limit": 9}
        given = TREE if language == "json" else text
        body = common | {"collections": ["EarthCAREL2Validated_MAAP"], "filter": given}
        replies = {
            "POST": client.post("/catalogue/search", json=body),
            "GET": client.get("/catalogue/search", params=common | {"filter": text}),
        }
        for method, reply in replies.items():
            if reply.status_code != 200:
                assert reply.status_code == (405 if (method, kind) == ("POST", "get-only") else 400)
                continue
            types = {one["properties"]["product:type"] for one in reply.json()["features"]}
            if types == {"ATL_EBD_2A"}:
                obeyed.add(f"{method} {language}")
    assert obeyed == taken
    declared = " ".join(client.get("/catalogue/").json()["conformsTo"])
    assert ("#filter" in declared) == bool(taken)
    assert ("cql2-json" in declared, "cql2-text" in declared) == (kind == "json", bool(taken))


TREE = {"op": "=", "args": [{"property": "product:type"}, "ATL_EBD_2A"]}


def test_versions_are_compared_with_case_on_demand(
    start: Callable[..., tuple[Archive, httpx.Client]],
) -> None:
    _, client = start(match_case=True)
    matched = {}
    for name in ("ba", "BA", "bA"):
        body = {"filter": f"\"product:type\" = 'ATL_EBD_2A' AND version = '{name}'", "limit": 1}
        matched[name] = client.post("/catalogue/search", json=body).json()["numberMatched"]
    assert matched["BA"] > 0 == matched["ba"] == matched["bA"]


def test_unknown_kind_of_filters_is_refused() -> None:
    with pytest.raises(ValueError, match="filters must be one of"):
        Archive.start(filters="sql")


def test_an_archive_without_memory_says_so(tmp_path: Path) -> None:
    most = 90 << 20
    asked = {"port": 0, "home": str(tmp_path), "is_throwaway": False, "options": {}, "is_lived_in": True}
    ended = subprocess.run(
        [sys.executable, "-m", "maap_tui.demo.process"],
        input=json.dumps(asked) + "\n",
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (most, most)),
    )
    report = json.loads(ended.stdout)
    assert (report["words"], report["exit"]) == ("There is not enough memory", 4)
