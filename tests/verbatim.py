"""The five real items of `tests/data/verbatim`, served on loopback as the STAC API specification says.

The items are as they were served but for the host of the links. Filters are compared with case, by a
library that others wrote; so are areas.
"""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import cql2

from maap_tui.demo import hdf5

DATA = Path(__file__).parent / "data" / "verbatim"
COLLECTION = "EarthCAREL2Validated_MAAP"
HOST = "https://catalog.maap.eo.esa.int"
FIRST = "ECA_EXBA_MSI_COP_2A_20250305T134540Z_20250912T202910Z_04366E"
JPEG = b"\xff\xd8\xff\xe0 a picture \xff\xd9"

CONFORMS = [
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/collections",
    "https://api.stacspec.org/v1.0.0/item-search",
    "https://api.stacspec.org/v1.0.0/item-search#filter",
    "http://www.opengis.net/spec/cql2/1.0/conf/cql2-json",
    "http://www.opengis.net/spec/cql2/1.0/conf/basic-cql2",
]
QUERYABLES = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "product:type": {"type": "string", "enum": ["MSI_COP_2A"]},
        "version": {"type": "string", "enum": ["ba"]},
        "sat:absolute_orbit": {"type": "integer"},
        "sat:orbit_state": {"type": "string", "enum": ["ASCENDING", "DESCENDING"]},
    },
}


@lru_cache(maxsize=1)
def _body(size: int) -> bytes:
    """A file of that size with few points; what follows them is used by nothing."""
    image = bytearray(hdf5.template(hdf5.CHUNK_ROWS).image.ljust(size, b"\0"))
    struct.pack_into("<Q", image, hdf5.END_OF_FILE_OFFSET, size)
    return bytes(image)


def _header(size: int) -> bytes:
    text = b'<?xml version="1.0"?>\n<Earth_Explorer_Header><!--'
    tail = b"--></Earth_Explorer_Header>\n"
    return text + b" " * (size - len(text) - len(tail)) + tail


class Server:
    """What is served, and what was asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.root = f"{url}/catalogue/"
        self.token_url = f"{url}/token"
        texts = [path.read_text() for path in sorted(DATA.glob("*.json"))]
        self.items = [json.loads(text.replace(HOST, url)) for text in texts]
        self.files = {
            unquote(urlsplit(asset["href"]).path): asset
            for one in self.items
            for asset in one["assets"].values()
            if urlsplit(asset["href"]).path.startswith("/data/")
        }
        self.asked: list[str] = []

    def environment(self, home: Path) -> dict[str, str]:
        """The variables that point every command at it, with a token that is no JWT."""
        home.mkdir(exist_ok=True)
        (home / "credentials.txt").write_text(
            "CLIENT_ID=offline-token\nCLIENT_SECRET=public\nOFFLINE_TOKEN=opaque-and-of-no-known-form\n"
        )
        (home / "credentials.txt").chmod(0o600)
        return {
            "HOME": str(home),
            "MAAP_HOME": str(home),
            "MAAP_CATALOG_URL": self.root,
            "MAAP_TOKEN_URL": self.token_url,
            "MAAP_RETRIES": "0",
            "MAAP_DOWNLOADS_RETRIES": "0",
            "MAAP_DOWNLOADS_MIN_FREE": "0",
        }

    def get(self, path: str, bearer: str) -> tuple[int, str, bytes]:
        if asset := self.files.get(path):
            if "/public/" in path:
                return 200, "image/jpeg", JPEG
            if bearer != "Bearer access":
                return 401, "application/json", b'{"error":{"code":401,"message":"Unauthorized"}}'
            if "file:size" not in asset:
                return 404, "text/plain", b""
            size = asset["file:size"]
            body = _body(size) if path.endswith(".h5") else _header(size)
            return 200, asset["type"], body
        return _json(self._document(path.removeprefix("/catalogue/")))

    def _document(self, path: str) -> Any:
        collection = {
            "type": "Collection",
            "id": COLLECTION,
            "description": "five real items",
            "extent": {
                "spatial": {"bbox": [[-180, -90, 180, 90]]},
                "temporal": {"interval": [["2025-03-05T13:45:40Z", None]]},
            },
            "links": [],
        }
        documents: dict[str, Any] = {
            "": {"type": "Catalog", "id": "real", "conformsTo": CONFORMS, "links": [
                {"rel": "search", "type": "application/geo+json", "href": f"{self.root}search",
                 "method": "POST"}]},
            "conformance": {"conformsTo": CONFORMS},
            "collections": {"collections": [collection], "links": []},
            f"collections/{COLLECTION}": collection,
            f"collections/{COLLECTION}/queryables": QUERYABLES,
            **{f"collections/{COLLECTION}/items/{one['id']}": one for one in self.items},
        }  # fmt: skip
        return documents.get(path)

    def search(self, body: dict[str, Any]) -> Any:
        """The page of a POST search; None for what the specification does not know."""
        known = {"collections", "ids", "bbox", "datetime", "intersects", "limit", "filter", "filter-lang"}
        if body.keys() - known or body.get("filter-lang", "cql2-json") != "cql2-json":
            return None
        found = [one for one in self.items if COLLECTION in body.get("collections", [COLLECTION])]
        area = body.get("intersects")
        if "bbox" in body:
            west, south, east, north = body["bbox"]
            ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
            area = {"type": "Polygon", "coordinates": [ring]}
        if area is not None:
            touches = {"op": "s_intersects", "args": [{"property": "geometry"}, area]}
            found = [one for one in found if cql2.parse_json(json.dumps(touches)).matches(one)]
        if "filter" in body:
            where = cql2.parse_json(json.dumps(body["filter"]))
            found = [one for one in found if where.matches(one)]
        if "datetime" in body:
            start, end = body["datetime"].split("/")
            found = [
                one
                for one in found
                if (end == ".." or one["properties"]["start_datetime"] <= end)
                and (start == ".." or one["properties"]["end_datetime"] >= start)
            ]
        limit = body.get("limit", 10)
        return {
            "type": "FeatureCollection",
            "numberMatched": len(found),
            "numberReturned": min(limit, len(found)),
            "features": found[:limit],
            "links": [],
        }


def _json(document: Any) -> tuple[int, str, bytes]:
    if document is None:
        return 404, "application/json", b'{"code":"NotFound","description":"there is no such thing"}'
    return 200, "application/json", json.dumps(document).encode()


@contextmanager
def serving() -> Iterator[Server]:
    """Serve until it is left."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            self._answer(server.get(path, self.headers.get("Authorization", "")))

        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path == "/token":
                reply = {"access_token": "access", "expires_in": 300, "token_type": "Bearer"}
                self._answer(_json(reply))
            elif urlsplit(self.path).path == "/catalogue/search":
                found = server.search(json.loads(data))
                refusal = b'{"code":"BadRequest","description":"filter-lang must be cql2-json"}'
                self._answer(_json(found) if found else (400, "application/json", refusal))
            else:
                self._answer((405, "text/plain", b""))

        def _answer(self, answer: tuple[int, str, bytes]) -> None:
            status, kind, body = answer
            server.asked.append(f"{self.command} {self.path} {status}")
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            """Nothing to stderr, which is what commands are judged by."""

    class Listener(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A client that goes away is no news."""

    with Listener(("127.0.0.1", 0), Handler) as listener:
        server = Server(f"http://127.0.0.1:{listener.server_address[1]}")
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown()
            thread.join()
