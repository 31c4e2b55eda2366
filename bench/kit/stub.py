"""A catalogue, a token service and files, quick enough not to be the limit of any client that is measured.

    python bench/kit/stub.py --days 180 --per-day 122 --delay 0.3 [--files DIR] [--base URL] [--tls PEM]

The first line that it prints is its port on 127.0.0.1. The catalogue answers as the real one does
(docs/service.md): STAC search by GET and POST, the overlap with the time asked for, pages of at most 2,000,
no record after the 100,000th. Its granules are one item of the real archive with another time, orbit and
frame, made when they are asked for, so that half a million of them take no memory.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.kit.facts import BASELINE, COLLECTION, FIRST, LIMIT_RATE, LIMITED, PRODUCT, TOKEN_PATH

ITEM = Path(__file__).parents[2] / "tests" / "data" / "verbatim"
MARK = "ECA_EXBA_MSI_COP_2A_20250305T134540Z_20250912T202910Z_04366E"
HOST = "https://catalog.maap.eo.esa.int"
DEFAULT_LIMIT, MAXIMUM_LIMIT, LAST_RECORD = 200, 2000, 100_000
TOKEN_LIFE_S = 36_000
GEOJSON = "application/geo+json"
CONFORMS = [
    *(f"https://api.stacspec.org/v1.0.0/{name}" for name in ("core", "collections", "ogcapi-features")),
    *(f"https://api.stacspec.org/v1.0.0/item-search{name}" for name in ("", "#fields", "#filter")),
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/filter",
    *(f"http://www.opengis.net/spec/cql2/1.0/conf/{name}" for name in ("cql2-text", "cql2-json")),
    "http://www.opengis.net/spec/cql2/1.0/conf/basic-cql2",
]


class Refused(Exception):
    """A request that the real catalogue refuses: status and words."""


class Granules:
    """Items at even distances from `FIRST` on, `per_day` of them a day."""

    def __init__(self, days: int, per_day: int, base: str, size: int) -> None:
        self.count = days * per_day
        self.per_day = per_day
        self.base = base
        self.size = size
        self._templates: dict[str, str] = {}

    def start(self, number: int) -> datetime:
        """When one begins, in whole seconds; it ends where the next one begins."""
        day, index = divmod(number, self.per_day)
        return FIRST + timedelta(days=day, seconds=index * 86400 // self.per_day)

    def between(self, low: datetime, high: datetime) -> range:
        """Those that overlap a closed interval, as the real catalogue finds them."""
        first = self._last_until(low)
        first -= self.start(first) == low  # the one before ends then
        return range(max(0, first), max(0, min(self.count, self._last_until(high) + 1)))

    def _last_until(self, moment: datetime) -> int:
        """The number of the last one that has begun by then."""
        since = moment - FIRST
        return since.days * self.per_day + ((since.seconds + 1) * self.per_day - 1) // 86400

    def text(self, number: int, fields: str = "") -> str:
        """The JSON of one item, with only some `fields` where they are named."""
        start, end = self.start(number), self.start(number + 1)
        orbit, frame = 1000 + number // 8, "ABCDEFGH"[number % 8]
        name = f"ECA_EXBA_{PRODUCT}_{start:%Y%m%dT%H%M%S}Z_20260101T000000Z_{orbit:05d}{frame}"
        template = self._templates.get(fields) or self._learn(fields)
        values = {
            "name": name,
            "day": f"{start:%Y/%m/%d}",
            "start": f"{start:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
            "plain": f"{start:%Y-%m-%dT%H:%M:%SZ}",
            "end": f"{end:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
            "orbit": orbit,
        }
        return template % values

    def url(self, number: int) -> str:
        """Where the file of one is."""
        text = self.text(number, "assets.enclosure_h5.href")
        return str(json.loads(text)["assets"]["enclosure_h5"]["href"])

    def _learn(self, fields: str) -> str:
        """Make the template of an item with some fields."""
        item = json.loads(next(ITEM.glob(f"{MARK}.json")).read_text("utf-8"))
        properties = item["properties"]
        properties |= {"start_datetime": "@start@", "end_datetime": "@end@", "datetime": "@plain@"}
        properties["sat:absolute_orbit"] = "@orbit@"
        item["assets"]["enclosure_h5"]["file:size"] = self.size
        if fields:
            item = only(item, fields)
        text = json.dumps(item, separators=(",", ":")).replace("%", "%%").replace(HOST, self.base)
        text = text.replace(MARK, "%(name)s").replace("/2025/03/05/", "/%(day)s/")
        text = text.replace('"@orbit@"', "%(orbit)d")
        for name in ("start", "plain", "end"):
            text = text.replace(f"@{name}@", f"%({name})s")
        self._templates[fields] = text
        return text


def only(item: dict[str, Any], fields: str) -> dict[str, Any]:
    """An item with the fields named, `-` before what to leave out; id, type and collection stay."""
    names = [name for name in fields.split(",") if name]
    leave = {name[1:] for name in names if name[0] == "-"}
    keep = {name.lstrip("+") for name in names if name[0] != "-"}

    def reduce(value: dict[str, Any], path: str) -> dict[str, Any]:
        made = {}
        for key, inner in value.items():
            here = f"{path}{key}"
            if here in leave:
                continue
            is_kept = not keep or any(here == one or here.startswith(f"{one}.") for one in keep)
            leads_to = any(one.startswith(f"{here}.") for one in keep | leave)
            if leads_to and isinstance(inner, dict):
                made[key] = reduce(inner, f"{here}.")
            elif is_kept or (not path and key in ("id", "type", "collection")):
                made[key] = inner
        return made

    return reduce(item, "")


class Service:
    """Answers requests; counts what it answered."""

    def __init__(self, options: argparse.Namespace, base: str) -> None:
        self.options = options
        self.base = base
        self.root = f"{base}/catalogue"
        self.granules = Granules(options.days, options.per_day, base, options.size)
        self.counts = dict.fromkeys(("requests", "searches", "bytes", "tokens"), 0)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, request after request."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, target, _ = head[0].split(" ")
                headers = {
                    name.lower(): value.strip()
                    for name, _, value in (line.partition(":") for line in head[1:])
                }
                body = await reader.readexactly(int(headers.get("content-length") or 0))
                path = urlsplit(target).path
                if path.startswith("/data/"):
                    await self._send_file(writer, path, headers)
                else:
                    await self._answer(writer, method, target, body)
                if headers.get("connection", "").lower() == "close":
                    break
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            pass
        finally:
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, method: str, target: str, body: bytes) -> None:
        begun = time.monotonic()
        url = urlsplit(target)
        if url.path == "/_counts":
            status, data = 200, json.dumps(self.counts).encode()
            self.counts = dict.fromkeys(self.counts, 0)
        else:
            try:
                status, found = 200, self._find(method, url.path, url.query, body)
            except Refused as refused:
                status = refused.args[0]
                found = json.dumps({"error": {"code": status, "message": refused.args[1]}})
            data = found.encode()
            self.counts["requests"] += 1
            self.counts["searches"] += url.path.endswith(("/search", "/items"))
            self.counts["bytes"] += len(data)
            if url.path.startswith("/catalogue"):
                await asyncio.sleep(max(0.0, self.options.delay - (time.monotonic() - begun)))
        kind = "application/json" if url.path == TOKEN_PATH else GEOJSON
        writer.write(
            f"HTTP/1.1 {status} OK\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n\r\n".encode()
        )
        writer.write(data)
        await writer.drain()

    def _find(self, method: str, path: str, query: str, body: bytes) -> str:
        parts = [part for part in path.split("/") if part]
        if path == TOKEN_PATH:
            self.counts["tokens"] += 1
            token = {"access_token": "an-access-token", "expires_in": TOKEN_LIFE_S, "token_type": "Bearer"}
            return json.dumps(token)
        if parts == ["catalogue"]:
            return json.dumps(self._landing())
        if parts == ["catalogue", "conformance"]:
            return json.dumps({"conformsTo": CONFORMS})
        home = ["catalogue", "collections"]
        if parts == home:
            return json.dumps({"collections": [self._collection()], "numberMatched": 1, "links": []})
        if parts == [*home, COLLECTION]:
            return json.dumps(self._collection())
        if parts == [*home, COLLECTION, "queryables"]:
            return json.dumps(self._queryables())
        if parts in (["catalogue", "search"], [*home, COLLECTION, "items"]):
            values = dict(parse_qsl(query))
            if method == "POST":
                values |= json.loads(body or b"{}")
            return self._search(method, path, values)
        raise Refused(404, f"Not found: {path}")

    def _search(self, method: str, path: str, values: dict[str, Any]) -> str:
        first, limit = int(values.get("startRecord", 1)), int(values.get("limit", DEFAULT_LIMIT))
        if first > LAST_RECORD:
            raise Refused(422, f"startRecord can not exceed {LAST_RECORD}.")
        limit = min(limit, MAXIMUM_LIMIT)
        low, _, high = str(values.get("datetime", "../..")).partition("/")
        found = self.granules.between(
            moment(low, FIRST), moment(high or low, datetime.max.replace(tzinfo=UTC))
        )
        if values.get("filter") and PRODUCT not in json.dumps(values["filter"]):
            found = range(0)
        page = found[first - 1 : first - 1 + limit]
        fields = values.get("fields") or ""
        if isinstance(fields, Mapping):
            fields = ",".join(
                [*fields.get("include", ()), *(f"-{name}" for name in fields.get("exclude", ()))]
            )
        here = f"{self.base}{path}"
        links: list[dict[str, Any]] = [{"rel": "self", "href": here, "type": GEOJSON}]
        if first - 1 + limit < len(found):
            more = {"startRecord": first + limit, "limit": limit}
            link: dict[str, Any] = {"rel": "next", "href": here, "type": GEOJSON, "method": method}
            if method == "POST":
                link |= {"body": more, "merge": True}
            else:
                link["href"] = f"{here}?{urlencode(values | more)}"
            links.append(link)
        head = {
            "type": "FeatureCollection",
            "numberMatched": len(found),
            "numberReturned": len(page),
            "links": links,
        }
        features = ",".join(self.granules.text(number, fields) for number in page)
        return f'{json.dumps(head)[:-1]},"features":[{features}]}}'

    def _landing(self) -> dict[str, Any]:
        links = [
            ("self", "/", "application/json"),
            ("root", "/", "application/json"),
            ("conformance", "/conformance", "application/json"),
            ("data", "/collections", "application/json"),
            ("search", "/search", GEOJSON),
        ]
        return {
            "type": "Catalog",
            "id": "fedeo",
            "stac_version": "1.1.0",
            "description": "A catalogue to measure with",
            "conformsTo": CONFORMS,
            "links": [{"rel": rel, "href": self.root + path, "type": kind} for rel, path, kind in links],
        }

    def _collection(self) -> dict[str, Any]:
        home = f"{self.root}/collections/{COLLECTION}"
        return {
            "type": "Collection",
            "id": COLLECTION,
            "stac_version": "1.1.0",
            "description": "Granules to measure with",
            "license": "other",
            "extent": {
                "spatial": {"bbox": [[-180.0, -90.0, 180.0, 90.0]]},
                "temporal": {"interval": [[f"{FIRST:%Y-%m-%dT%H:%M:%SZ}", None]]},
            },
            "links": [
                {"rel": "self", "href": home, "type": "application/json"},
                {"rel": "root", "href": f"{self.root}/", "type": "application/json"},
                {"rel": "items", "href": f"{home}/items", "type": GEOJSON},
            ],
        }

    def _queryables(self) -> dict[str, Any]:
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "collection": COLLECTION,
            "properties": {
                "product:type": {"type": "string", "enum": [PRODUCT]},
                "version": {"type": "string", "enum": [BASELINE.lower()]},
                "sat:absolute_orbit": {"type": "integer"},
                "frame": {"type": "string"},
            },
        }

    async def _send_file(self, writer: asyncio.StreamWriter, path: str, headers: Mapping[str, str]) -> None:
        """A file below /data/NAME/, whole or a range of it: NAME.h5 of `--files`, whatever comes after."""
        kind = path.split("/")[2]
        if not headers.get("authorization", "").startswith("Bearer "):
            writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
            return
        with (Path(self.options.files) / f"{kind}.h5").open("rb") as file:
            size = file.seek(0, 2)
            first, last, status = 0, size - 1, "200 OK"
            etag = f'"{size:x}"'
            wanted = headers.get("range", "")
            if wanted.startswith("bytes=") and headers.get("if-range", etag) == etag:
                begin, _, end = wanted[6:].partition("-")
                first, last = int(begin), min(int(end or last), last)
                status = "206 Partial Content"
            lines = [f"HTTP/1.1 {status}", f"Content-Length: {last - first + 1}", f"ETag: {etag}"]
            lines += ["Accept-Ranges: bytes", "Content-Type: application/octet-stream"]
            lines += [f"Content-Range: bytes {first}-{last}/{size}"] if status[:3] == "206" else []
            writer.write("\r\n".join([*lines, "", ""]).encode())
            await writer.drain()
            if kind != LIMITED:
                loop = asyncio.get_running_loop()
                await loop.sendfile(writer.transport, file, first, last - first + 1)
                return
            file.seek(first)
            left = last - first + 1
            while left:
                data = file.read(min(left, 65536))
                left -= len(data)
                writer.write(data)
                await writer.drain()
                await asyncio.sleep(len(data) / LIMIT_RATE)


def moment(text: str, default: datetime) -> datetime:
    """A time of a `datetime` parameter; an end without one is `default`."""
    if text in ("", ".."):
        return default
    found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=180)
    parser.add_argument("--per-day", type=int, default=122)
    parser.add_argument(
        "--delay", type=float, default=0.0, help="seconds that a request to the catalogue takes"
    )
    parser.add_argument("--size", type=int, default=132_881_531, help="bytes of a file, as items say them")
    parser.add_argument("--files", default="", help="folder of what is served below /data/")
    parser.add_argument("--base", default="", help="how its addresses begin, where a proxy is before it")
    parser.add_argument("--tls", default="", help="key and certificate, to speak https")
    options = parser.parse_args()
    context = None
    if options.tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options.tls)
    service: list[Service] = []
    server = await asyncio.start_server(
        lambda reader, writer: service[0].serve(reader, writer), "127.0.0.1", 0, ssl=context, backlog=512
    )
    port = server.sockets[0].getsockname()[1]
    scheme = "https" if context else "http"
    service.append(Service(options, options.base or f"{scheme}://127.0.0.1:{port}"))
    print(port, flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
