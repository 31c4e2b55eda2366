"""The data server: files, folders zipped on the fly, quicklooks; a token for all but `/public/`."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections import OrderedDict
from email.utils import formatdate, parsedate_to_datetime

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from maap_tui.demo import hdf5, orbit_files, pictures
from maap_tui.demo.content import Content
from maap_tui.demo.faults import Faults
from maap_tui.demo.missions.base import Granule, iso
from maap_tui.demo.tokens import TokenService

CHUNK = 256 * 1024
CACHE_BYTES = 48 * 1024 * 1024
"""Memory for the files served last."""

SECONDS_1970_TO_2000 = 946_684_800

UNSATISFIABLE = (-1, -1)
"""Stands for a range that lies outside the file."""

MEDIA_TYPES = {
    ".h5": "application/x-hdf5",
    ".HDR": "image/vnd.radiance",
    ".EOF": "application/xml",
    ".DBL": "application/octet-stream",
}

ORBIT_FILES = {"AUX_ORBPRE": orbit_files.predicted, "MPL_ORBSCT": orbit_files.scenario}
"""What makes the orbit files that can be read, by product type."""

HEADS = {".tiff": b"II*\0", ".nc": b"CDF\x01", ".png": b"\x89PNG\r\n\x1a\n"}
"""How binary files begin that are noise otherwise."""


def error(status: int, message: str, **headers: str) -> Response:
    """A JSON error as the service words it."""
    return JSONResponse({"error": {"code": status, "message": message}}, status, headers)


class Chunked(Response):
    """A body sent in chunks whose length is given nowhere."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(key, value) for key, value in self.raw_headers if key != b"content-length"]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        for i in range(0, len(self.body), CHUNK):
            await send({"type": "http.response.body", "body": self.body[i : i + CHUNK], "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class DataServer:
    """Serves what lies below /data/."""

    def __init__(self, content: Content, tokens: TokenService, faults: Faults) -> None:
        self.content = content
        self.tokens = tokens
        self.faults = faults
        self._cache: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._lock = threading.Lock()

    async def serve(self, request: Request) -> Response:
        """Answer GET and HEAD for one path."""
        path: str = request.path_params["path"]
        zipped = path.startswith("zipper/")
        parts = path.removeprefix("zipper/").split("/")
        if "public" in parts:
            return await self._serve_quicklook(request, path)
        if not self.tokens.accepts(request.headers.get("authorization")):
            return error(401, "Unauthorized", **{"WWW-Authenticate": 'Bearer realm="esa-maap"'})
        name = parts[-1]
        granule = self._granule_of(parts)
        inner = "/".join(parts).removeprefix(f"{granule.home}/") if granule else ""
        if granule is None or (inner != granule.home if zipped else inner not in granule.files):
            return error(404, f"Not found: {path}")
        if granule.series in self.content.closed:
            return error(403, "Forbidden: this collection needs a special authorisation")
        if zipped:
            return await self._serve_zip(granule)
        generation = self.faults.generation(name)
        body = await to_thread.run_sync(self.file_bytes, granule, inner, generation)
        headers = {
            "ETag": f'"{hashlib.sha256(f"{name}#{generation}".encode()).hexdigest()[:32]}"',
            "Last-Modified": formatdate(granule.created + 3600 * generation, usegmt=True),
            "Accept-Ranges": "bytes",
            "Content-Type": MEDIA_TYPES.get(_suffix(name), "application/octet-stream"),
        }
        return _ranged(request, body, headers)

    def _granule_of(self, parts: list[str]) -> Granule | None:
        """The granule that a path is of: a folder or the file itself is named after it."""
        for part in reversed(parts):
            for name in (part, part.rpartition(".")[0]):
                if granule := self.content.find(name):
                    return granule
        return None

    async def _serve_quicklook(self, request: Request, path: str) -> Response:
        folder, _, name = path.rpartition("/public/")
        stem, mark, bid = name.partition(".BID_")
        granule = self.content.find(stem) if mark else self._granule_of(folder.split("/"))
        if granule is None or folder != granule.folder or bid not in ("0.jpeg", "1.jpeg", ""):
            return error(404, f"Not found: {name}")
        headers = {
            "Content-Type": "image/jpeg",
            "ETag": f'"{hashlib.sha256(name.encode()).hexdigest()[:32]}"',
        }
        body = await to_thread.run_sync(pictures.quicklook, granule.id, granule.series.product)
        return _ranged(request, body, headers)

    async def _serve_zip(self, granule: Granule) -> Response:
        body = await to_thread.run_sync(self._zip_bytes, granule)
        disposition = {"Content-Disposition": f'attachment; filename="{granule.id}.zip"'}
        return Chunked(body, media_type="application/zip", headers=disposition)

    def _zip_bytes(self, granule: Granule) -> bytes:
        memory = io.BytesIO()
        with zipfile.ZipFile(memory, "w", zipfile.ZIP_STORED) as archive:
            for path in granule.files:
                entry = zipfile.ZipInfo(f"{granule.id}/{path}", (2026, 1, 1, 0, 0, 0))
                generation = self.faults.generation(path.rpartition("/")[2])
                archive.writestr(entry, self.file_bytes(granule, path, generation))
        return memory.getvalue()

    def file_bytes(self, granule: Granule, path: str, generation: int) -> bytes:
        """All bytes of one of a granule's `files`; the files asked for last are kept."""
        key = f"{granule.home}/{path}", generation
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        body = _make(granule, path, generation)
        with self._lock:
            self._cache[key] = body
            while sum(map(len, self._cache.values())) > CACHE_BYTES and len(self._cache) > 1:
                self._cache.popitem(last=False)
        return body


def _suffix(name: str) -> str:
    return "." + name.rpartition(".")[2]


def _make(granule: Granule, path: str, generation: int) -> bytes:
    size = granule.files[path]
    name = path.rpartition("/")[2]
    suffix = _suffix(name)
    if (orbits := ORBIT_FILES.get(granule.series.product)) is not None and suffix == ".EOF":
        return orbits(granule, generation, size)
    if suffix in (".HDR", ".EOF"):
        return _xml(granule, name, generation, size)
    if suffix == ".h5":
        track = granule.series.axis.track(granule.number)
        start, end = granule.start - SECONDS_1970_TO_2000, granule.end - SECONDS_1970_TO_2000
        return hdf5.content(name, generation, size, track, start, end)
    if suffix in (".xml", ".kml"):
        return _plain_xml(name, generation, size)
    head = HEADS.get(suffix, b"")
    return head + hashlib.shake_128(f"{name}#{generation}".encode()).digest(size - len(head))


def _plain_xml(name: str, generation: int, size: int) -> bytes:
    head, tail = b'<?xml version="1.0" encoding="UTF-8"?>\n<product>', b"</product>\n"
    noise = hashlib.shake_128(f"{name}#{generation}".encode()).hexdigest(size).encode()
    return head + noise[: size - len(head) - len(tail)] + tail


def _xml(granule: Granule, name: str, generation: int, size: int) -> bytes:
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Earth_Explorer_Header><Fixed_Header>\n'
        f"<File_Name>{granule.id}</File_Name>\n<Mission>{granule.series.mission.name}</Mission>\n"
        f"<File_Type>{granule.series.product}</File_Type>\n<Validity_Period>"
        f"<Validity_Start>UTC={iso(granule.start)}</Validity_Start>"
        f"<Validity_Stop>UTC={iso(granule.end)}</Validity_Stop></Validity_Period>\n"
        f"<Revision>{generation}</Revision>\n</Fixed_Header><Variable_Header>"
    )
    tail = "</Variable_Header></Earth_Explorer_Header>\n"
    room = size - len(text) - len(tail)
    noise = hashlib.shake_128(f"{name}#{generation}".encode()).hexdigest(room // 2 + 1)[:room]
    return (text + noise + tail).encode()


def _ranged(request: Request, body: bytes, headers: dict[str, str]) -> Response:
    """Whole, or the one range asked for if the validator of If-Range still fits (RFC 9110 section 14)."""
    span = None
    asked = request.headers.get("range")
    if asked and request.method == "GET" and _still_fits(request.headers.get("if-range"), headers):
        span = _span(asked, len(body))
    if span == UNSATISFIABLE:
        return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{len(body)}"})
    if span is None:
        return Response(body, headers=headers)
    first, last = span
    headers = headers | {"Content-Range": f"bytes {first}-{last}/{len(body)}"}
    return Response(body[first : last + 1], 206, headers)


def _still_fits(validator: str | None, headers: dict[str, str]) -> bool:
    if validator is None:
        return True
    if validator.startswith(('"', "W/")):
        return validator == headers.get("ETag")
    try:
        return parsedate_to_datetime(validator) == parsedate_to_datetime(headers["Last-Modified"])
    except (KeyError, TypeError, ValueError):
        return False


def _span(asked: str, size: int) -> tuple[int, int] | None:
    """First and last byte of a Range header; None if it is to be ignored."""
    unit, _, text = asked.partition("=")
    first, dash, last = (part.strip() for part in text.partition("-"))
    if unit.strip().lower() != "bytes" or "," in text or not dash or not (first + last).isdecimal():
        return None
    if not first:
        count = min(int(last), size)
        return (size - count, size - 1) if count else UNSATISFIABLE
    end = min(int(last), size - 1) if last else size - 1
    if last and int(last) < int(first):
        return None
    return (int(first), end) if int(first) < size else UNSATISFIABLE
