"""What goes wrong between the engine and the archive: a scenario for each way, with its exit code."""

from __future__ import annotations

import asyncio
import copy
import gzip
import json
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.engine.raw_files import (
    LOGIN_PAGE,
    NOT_DATA,
    RawFile,
    Reply,
    Request,
    answer,
    hdf5_body,
    token_reply,
)
from tests.engine.raw_server import page
from tests.faults.stage import CANARY, NAMES, SYNC, Ended, Stage

LONGEST_S = 60.0
"""Seconds that a scenario may take, many times what it takes: a wait that is not cut short takes longer."""
Writer = asyncio.StreamWriter
BODY = hdf5_body(200_000, seed=77)
GONE = b'{"error": "invalid_grant", "error_description": "Offline user session not found"}'


@dataclass(frozen=True)
class Scenario:
    """Something that goes wrong while a command runs, and what has to come of it."""

    row: str
    """Of the table of faults."""
    name: str
    code: int
    """Exit code."""
    build: Callable[[Stage], Sequence[str] | None]
    """Sets the stage; returns the command, None for a sync."""
    says: str = ""
    """What stderr has to say."""
    finals: int = 0
    """Files that have to be there in the end."""
    requests: int | None = None
    """Most requests for files; None for any number."""
    environ: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.row} {self.name}"

    def play(self, stage: Stage) -> tuple[Ended, list[str]]:
        """Run it; returns how the command ended, and what of all that was promised did not hold."""
        words = self.build(stage)
        begun = time.monotonic()
        ended = stage.maap(*(words or SYNC), **self.environ)
        wrong = []
        if (seconds := time.monotonic() - begun) > LONGEST_S:
            wrong.append(f"it took {seconds:.0f} s")
        if ended.code != self.code:
            wrong.append(f"exit code {ended.code} in place of {self.code}: {ended.err[-500:]}")
        if self.says not in ended.err:
            wrong.append(f"stderr does not say {self.says!r}: {ended.err[-500:]}")
        if "Traceback" in ended.err or "mistake in maap_tui" in ended.err:
            wrong.append(f"a traceback: {ended.err[-500:]}")
        if len(stage.finals) != self.finals:
            wrong.append(f"{len(stage.finals)} files in place of {self.finals}")
        if self.requests is not None and len(stage.data_requests) > self.requests:
            wrong.append(f"{len(stage.data_requests)} requests in place of {self.requests} at most")
        wrong += [f"wrong file: {one}" for one in stage.wrong_files()]
        wrong += [f"went astray: {one}" for one in stage.strayed()]
        wrong += [f"can be read: {one}" for one in stage.leaks()]
        return ended, wrong


async def reset(request: Request, writer: Writer) -> None:
    """Break the connection without a word."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def reset_midway(request: Request, writer: Writer) -> None:
    """Break the connection in the middle of the body."""
    writer.write(answer("200 OK", BODY[:90_000], content_length=str(len(BODY)), etag='"one"'))
    await writer.drain()
    await reset(request, writer)


async def stall(request: Request, writer: Writer) -> None:
    """Send nothing for ever."""
    await asyncio.Event().wait()


async def stall_midway(request: Request, writer: Writer) -> None:
    """Send half of the body, then nothing for ever."""
    writer.write(answer("200 OK", BODY[:90_000], content_length=str(len(BODY)), etag='"one"'))
    await writer.drain()
    await stall(request, writer)


async def endless(request: Request, writer: Writer) -> None:
    """Send a body without an end."""
    writer.write(answer("200 OK", BODY, content_length=""))
    while not writer.is_closing():
        writer.write(bytes(1 << 20))
        await writer.drain()


async def huge_page(request: Request, writer: Writer) -> None:
    """Send a search result of more bytes than anyone reads."""
    writer.write(answer("200 OK", b"[", content_length=""))
    for _ in range(100):
        writer.write(b" " * (1 << 20))
        await writer.drain()


def chunked(body: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    """An answer in chunks; without `end` it is cut."""
    pieces = [body[at : at + 50_000] for at in range(0, len(body), 50_000)]
    packed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return answer("200 OK", packed + end, content_length="", transfer_encoding="chunked")


def file(*replies: Reply, good: int = 0, size: int | None = None, whole: bool = False) -> Callable[..., None]:
    """A stage with one file that answers these, and good ones beside it."""

    def build(stage: Stage) -> None:
        stage.add(*replies, body=BODY if whole else None, size=size)
        stage.add_good(good)

    return build


def served(size: bool = True, **habits: Any) -> Callable[[Stage], None]:
    """A stage with one file on a server with such habits."""

    def build(stage: Stage) -> None:
        # A file uses its cuts up, and a scenario may be played again.
        stage.add(RawFile(BODY, **copy.deepcopy(habits)), body=BODY, size=len(BODY) if size else None)

    return build


def search(*replies: Reply, good: int = 3) -> Callable[[Stage], None]:
    """A stage whose searches are answered so."""

    def build(stage: Stage) -> None:
        stage.add_good(good)
        stage.server.at("/catalogue/search", *replies)

    return build


def token(*replies: Reply, good: int = 3) -> Callable[[Stage], None]:
    """A stage whose token service answers so."""

    def build(stage: Stage) -> None:
        stage.add_good(good)
        stage.server.at("/token", *replies)

    return build


def granted(**changes: Any) -> bytes:
    """An access token, changed so."""
    return token_reply(**{"access_token": f"{CANARY}-access-1", **changes})


def items(*changes: dict[str, Any], good: int = 2) -> Callable[[Stage], None]:
    """A stage whose catalogue has good items and, before them, some that are changed so."""

    def build(stage: Stage) -> None:
        stage.add_good(good)
        # Nothing else is wrong with them.
        properties = {**stage.items[0]["properties"], "start_datetime": "2025-12-01T12:00:00Z"}
        odd = {**stage.items[0], "properties": properties}
        stage.items[:0] = [{**odd, "id": f"odd-{i}", **change} for i, change in enumerate(changes)]

    return build


def href(text: Any) -> dict[str, Any]:
    """An item's assets: one, at that address."""
    return {"assets": {"enclosure": {"href": text}}}


def elsewhere(stage: Stage) -> None:
    """An item of the catalogue whose file is on another host."""
    stage.add_good()
    stage.items[0]["assets"] = href(stage.elsewhere + "/data/a.h5")["assets"]


def redirected(path: str, *replies: Reply, whole: bool = False) -> Callable[[Stage], None]:
    """A file that leads to the other origin, which answers so."""

    def build(stage: Stage) -> None:
        stage.other.at(path, *replies)
        location = stage.elsewhere + path
        stage.add(answer("302 Found", location=location), body=BODY if whole else None, size=len(BODY))

    return build


def by_location(location: str) -> Callable[[Stage], None]:
    """A file that is said to be at that address."""
    return file(answer("302 Found", location=location))


def circle(stage: Stage) -> None:
    """A file whose redirect leads to itself."""
    url = stage.add(b"")
    stage.server.at(url.removeprefix(stage.url), answer("302 Found", location=url))


def by_url(url: str) -> Callable[[Stage], Sequence[str]]:
    """The download of one URL; `{host}` is the archive's."""

    def build(stage: Stage) -> Sequence[str]:
        host = stage.url.removeprefix("http://")
        return ("download", *NAMES, "-u", url.format(host=host), "-o", str(stage.data))

    return build


def json_answer(value: Any) -> bytes:
    return answer("200 OK", json.dumps(value).encode())


def circular(stage: Stage) -> None:
    """A search whose next page is the same again."""
    stage.add_good(2)
    stage.server.at("/catalogue/search", json_answer(page(stage.items, 99, href="search", method="POST")))


def next_elsewhere(stage: Stage) -> None:
    """A search whose next page is on another host."""
    stage.add_good(2)
    link = {"href": stage.elsewhere + "/catalogue/search", "method": "POST"}
    stage.server.at("/catalogue/search", json_answer(page(stage.items, 99, **link)))


def planted_link(stage: Stage) -> None:
    """A link in the place of a part, to a file of the user."""
    stage.add_good()
    folder = stage.data / "EarthCARE/EarthCAREL2Validated_MAAP/CPR_CLD_2A/BC/2025/12/01"
    folder.mkdir(parents=True)
    (stage.folder / "precious").write_bytes(b"precious")
    name = stage.items[0]["id"] + ".h5"
    (folder / f"{name}.part").symlink_to(stage.folder / "precious")


def planted_folder(stage: Stage) -> None:
    """A link in the place of the folder of a baseline, out of the data folder."""
    stage.add_good()
    outside = stage.folder / "outside"
    outside.mkdir()
    stage.data.mkdir()
    (stage.data / "EarthCARE").symlink_to(outside)


def forbidden(stage: Stage) -> None:
    """A collection that is closed to the account."""
    for _ in range(20):
        stage.add(answer("403 Forbidden"))


def expiring(stage: Stage) -> None:
    """Files that once each do not like the token they get first."""
    for number in range(20):
        body = hdf5_body(5000, seed=number)
        first = f"Bearer {stage.access}1"

        async def serve(request: Request, writer: Writer, body: bytes = body, first: str = first) -> None:
            is_old = request.headers.get("authorization") == first
            writer.write(answer("401 Unauthorized") if is_old else answer("200 OK", body))

        stage.add(serve, body=body, size=5000)


def odd_format(stage: Stage) -> Sequence[str]:
    """A file of a format without structure, whose length nobody says."""
    stage.add(answer("200 OK", b"\xff" * 900, content_length=""), suffix=".DBL")
    return ("sync", *NAMES, "--date", "2025-12-01", "--format", "all")


def busy_search(stage: Stage) -> None:
    """A catalogue that is busy at first."""
    stage.add_good(2)
    stage.server.at("/catalogue/search", answer("429 Slow Down", retry_after="0.05"), stage._search)


def no_service(stage: Stage) -> None:
    """A catalogue that nothing listens for."""
    stage.add_good()
    with socket.create_server(("127.0.0.1", 0)) as free:
        stage.environ["MAAP_CATALOG_URL"] = f"http://127.0.0.1:{free.getsockname()[1]}/catalogue/"


def lengths(stage: Stage) -> None:
    """Heads that no client can read, before files that are well."""
    for kind in ("length_as_text", "length_negative", "length_twice", "garbage", "huge_header", "nothing"):
        stage.add(NOT_DATA[kind])
    stage.add_good(3)


def twice(stage: Stage) -> None:
    """Every item of a search comes twice."""
    stage.add_good(3)
    stage.items += stage.items


NOT_JSON = {
    "html": answer("200 OK", LOGIN_PAGE, content_type="text/html"),
    "deep": answer("200 OK", b"[" * 200_000),
    "nan": answer("200 OK", b'{"type": "FeatureCollection", "features": NaN}'),
    "list": answer("200 OK", b"[]"),
    "text": answer("200 OK", b"hello"),
    "empty": answer("200 OK"),
    "features as object": answer("200 OK", b'{"features": {}}'),
    "cut": answer("200 OK", b'{"features": [', content_length="900"),
    "latin-1": answer("200 OK", b'{"features": ["\xe9"]}'),
}
ODD_HREFS: list[Any] = [
    "http://127.0.0.1:99999/a.h5",
    "http://\u2102\u2102.example/a.h5",
    "http://xn--\udce9/a.h5",
    "\ud800",
    None,
    5,
    ["a"],
    "",
    "http://[::1/a.h5",
    "x" * 70_000,
    "http://127.0.0.1/" + "y" * 70_000 + ".h5",
    "javascript:alert(1)",
    "file:///etc/passwd",
    "//127.0.0.1/a.h5",
    "http://127.0.0.1/a b.h5",
    "http://127.0.0.1/\u00e9.h5",
]
FORGED = "http://127.0.0.1/a.h5\nhttp://127.0.0.1/data/b.h5|/etc/passwd"

DATA_KINDS: dict[str, tuple[Reply, int]] = {
    **{name: (reply, 3) for name, reply in NOT_DATA.items()},
    "login page": (answer("200 OK", LOGIN_PAGE, content_type="text/html; charset=utf-8"), 2),
    "xhtml": (answer("200 OK", b"<html/>", content_type="application/xhtml+xml"), 2),
    "xml message": (answer("200 OK", b"<?xml version='1.0'?><Error/>", content_type="text/xml"), 3),
    "packed page": (answer("200 OK", gzip.compress(LOGIN_PAGE), content_encoding="gzip"), 3),
    "zeros": (answer("200 OK", bytes(5001)), 3),
    "other size": (answer("200 OK", hdf5_body(7000)), 3),
    "cut without a length": (answer("200 OK", BODY[:120_000], content_length=""), 3),
    "cut in chunks": (chunked(BODY[:120_000], b""), 3),
    "error that is a page": (answer("500 Oops", LOGIN_PAGE, content_type="text/html"), 3),
    "gone": (answer("410 Gone", LOGIN_PAGE), 4),
    "forbidden": (answer("403 Forbidden", b"{}"), 4),
    "refused for ever": (answer("451 Unavailable For Legal Reasons"), 4),
}
"""What may come in place of a file, with the exit code of a sync that meets it."""


PACKED = answer("200 OK", gzip.compress(BODY), content_encoding="gzip")
CUT_PACK = answer("200 OK", gzip.compress(BODY)[:-900], content_encoding="gzip")
BUSY_ONCE = answer("503 Busy", retry_after="0.05")
LOGIN = answer("200 OK", LOGIN_PAGE, content_type="text/html")
STRAY = answer("206 Partial Content", BODY[:100], content_range=f"bytes 0-99/{len(BODY)}")
REFUSED = answer("401 Unauthorized")
SMALL = {"MAAP_DOWNLOADS_MAX_FILE": "100000"}
HASTE = {"MAAP_DOWNLOADS_STALL_TIMEOUT": "1", "MAAP_TIMEOUT": "1"}
NOTHING_COMES = {"MAAP_TIMEOUT": "0.3"}
"""For a run in which nothing has to arrive, so that a slow machine changes nothing."""

NETWORK = [
    *(
        Scenario("N1", f"cut at {part} %", 0, served(cuts=[int(len(BODY) * part / 100)]), "", 1, 2)
        for part in (1, 10, 50, 99, 99.9)
    ),
    Scenario("N1", "cut at every try", 3, served(cuts=[0] * 99), "the connection", 0, 3),
    Scenario("N2", "chunks cut once", 0, file(chunked(BODY[:99_000], b""), chunked(BODY), whole=True), "", 1),
    Scenario("N2", "chunks cut always", 3, file(chunked(BODY[:99_000], b""), good=1), "Failed: ", 1),
    Scenario("N3", "cut without a length once", 0, served(length=False, cuts=[120_000]), "", 1),
    Scenario("N3", "cut, its length unknown", 0, served(False, length=False, cuts=[120_000]), "", 1, 2),
    Scenario("N3", "cut always", 3, file(DATA_KINDS["cut without a length"][0]), "Failed: "),
    Scenario("N3", "nothing tells the length", 3, odd_format, "cannot be verified"),
    Scenario("N7", "no ranges", 0, served(cuts=[120_000], ranges=False), "", 1),
    Scenario("N7", "weak ETag", 0, served(cuts=[120_000], etag='W/"one"'), "", 1),
    Scenario("N7", "no validator", 0, served(cuts=[120_000], etag="", modified=""), "", 1),
    Scenario("N7", "another range", 0, served(cuts=[120_000], shift=7), "", 1),
    Scenario("N9", "stall once", 0, file(stall_midway, RawFile(BODY), whole=True), "", 1, 2, HASTE),
    Scenario("N9", "stall always", 3, file(stall, good=1), "nothing in time", 1, 4, HASTE),
    Scenario("N11", "busy once", 0, file(BUSY_ONCE, RawFile(BODY), whole=True), "", 1, 2),
    Scenario("N11", "busy always", 3, file(answer("429 Slow Down", retry_after="0.05"), good=1), "429", 1),
    Scenario("N11", "search busy once", 0, busy_search, "", 2),
    Scenario("N12", "reset once", 0, file(reset_midway, RawFile(BODY), whole=True), "", 1, 2),
    Scenario("N12", "reset always", 3, file(reset, good=3), "127.0.0.1", 3, 3 + 2 * 3),
    Scenario("N12", "nobody listens", 3, no_service, "offline: "),
    Scenario("N13", "404", 4, file(answer("404 Not Found"), good=2), "404 Not Found", 2, 3),
    Scenario("N13", "410", 4, file(answer("410 Gone"), good=2), "410 Gone", 2, 3),
    Scenario("N14", "packed, its length given", 0, file(PACKED, size=len(BODY), whole=True), "", 1),
    Scenario("N14", "packed and cut", 3, file(CUT_PACK, size=len(BODY)), "Failed: "),
]

SERVER = [
    Scenario("H1", "login page once", 0, file(LOGIN, RawFile(BODY), whole=True), "", 1, 2),
    Scenario("H1", "login page always", 2, file(LOGIN), "sign-in page", 0, 2),
    Scenario("H2", "redirect to a login page", 2, redirected("/login", LOGIN), "sign-in page"),
    Scenario(
        "H2", "redirect to a login page without https", 3, by_location("http://example.invalid/"), "refused"
    ),
    Scenario("H3", "202", 3, file(NOT_DATA["accepted"], good=1), "202 Accepted", 1),
    Scenario("H3", "204", 3, file(NOT_DATA["no_content"], good=1), "204 No Content", 1),
    Scenario("H3", "206 unasked", 3, file(STRAY, good=1), "206 Partial Content", 1),
    Scenario("H4", "heads that cannot be read", 3, lengths, "6 failed", 3),
    Scenario("H5", "endless", 3, file(endless, size=len(BODY)), "more came"),
    Scenario("H5", "endless and unannounced", 4, file(endless), "max_file", 0, 1, SMALL),
    Scenario("H5", "too long", 3, file(answer("200 OK", BODY, content_length=""), size=5000), "more came"),
    Scenario("H5", "too large", 4, file(answer("200 OK", BODY)), "max_file", 0, 1, SMALL),
    Scenario("H6", "redirects in a circle", 3, circle, "more than 5 times", 0, 18),
    Scenario("H7", "redirect to another host", 0, redirected("/a.h5", RawFile(BODY), whole=True), "", 1),
    Scenario(
        "H7", "redirect to where a token is needed", 4, redirected("/a.h5", REFUSED), "needs an access token"
    ),
    Scenario("H8", "address on another host", 4, elsewhere, "not on the archive"),
    Scenario("H8", "address without https", 4, by_url("http://example.org/data/a.h5"), "not on the archive"),
    Scenario("H9", "user in an address", 4, by_url("http://me:pw@{host}/data/a.h5"), "not on the archive"),
    Scenario("H9", "user in an item", 3, items(href("http://me:pw@127.0.0.1/data/a.h5")), "Skipped", 2),
    *(
        Scenario("H10", f"name {name!r}", 4, by_url("http://{host}/data/" + name), "refused")
        for name in ("", ".", "..", "%2e%2e", "a%2fb.h5", "a%00.h5", "-a.h5", ".a.h5", "n" * 300, "a.h5.part")
    ),
    Scenario("H11", "line end in an address", 3, items(href(FORGED)), "Skipped", 2),
    Scenario("H11", "bar in an address", 3, items(href("http://127.0.0.1/data/a|b.h5")), "Skipped", 2),
    Scenario("H14", "search stalls", 3, search(stall), "nothing in time", 0, 0, NOTHING_COMES),
    Scenario("H15", "pages in a circle", 3, circular, "FAILED DAY: BC 2025-12-01", 2),
    Scenario("H15", "next page on another host", 3, next_elsewhere, "another host", 2),
    *(
        Scenario("H16", name, 3, search(reply), "FAILED DAY: BC 2025-12-01 (", 0, 0)
        for name, reply in NOT_JSON.items()
    ),
    Scenario("H16", "more than anyone reads", 3, search(huge_page), "64 MiB", 0, 0, {"MAAP_RETRIES": "0"}),
    Scenario(
        "H16", "items of wrong types", 3, items({"assets": 5}, {"properties": []}, {"id": 7}), "Skipped", 2
    ),
    Scenario(
        "H17", "fewer than announced", 3, search(json_answer(page([], 3))), "announced 3 items and sent 0"
    ),
    Scenario("H17", "each item twice", 0, twice, "", 3, 3),
    Scenario("H18", "odd addresses", 3, items(*map(href, ODD_HREFS)), "Skipped", 2, 2),
    Scenario("H19", "link in the place of a part", 4, planted_link, "symbolic link"),
    Scenario("H19", "link out of the data folder", 4, planted_folder, "leads out of"),
]

AUTH = [
    Scenario("A1", "503 once", 0, token(answer("503 Busy"), granted()), "", 3),
    Scenario("A1", "503 always", 3, token(answer("503 Busy")), "token service", 0, 0),
    Scenario("A1", "no answer", 3, token(stall), "token service", 0, 0, NOTHING_COMES),
    Scenario("A1", "connection reset", 3, token(reset), "token service", 0, 0),
    Scenario("A2", "token is dead", 2, token(answer("400 Bad Request", GONE)), "session not found", 0, 0),
    Scenario("A2", "client is refused", 2, token(answer("401 Unauthorized", b"{}")), "maap login", 0, 0),
    *(
        Scenario("A3", name, 3, token(answer("200 OK", body)), "answered something that is not a token", 0, 0)
        for name, body in (("html", LOGIN_PAGE), ("list", b"[1]"), ("nothing", b""), ("null", b"null"))
    ),
    *(
        Scenario("A3", f"expires_in {odd!r}", 0, token(granted(expires_in=odd)), "", 3, 3)
        for odd in ("300", "soon", None, [5], -1, 1e300)
    ),
    Scenario("A4", "token ends midway", 0, expiring, "", 20, 40),
    Scenario("A4", "401 always", 2, file(REFUSED), "401 Unauthorized", 0, 2),
    Scenario("A5", "403 for a collection", 4, forbidden, "may lack access", 0, 3 + 7),
    *(
        Scenario("A10", f"token with {name}", 3, token(token_reply(access_token=odd)), "not a token", 0, 0)
        for name, odd in (
            ("line end", f"{CANARY}\r\nX: 1"),
            ("accent", f"{CANARY}\xe9"),
            ("space", f"{CANARY} 1"),
        )
    ),
]
