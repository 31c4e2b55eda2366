"""A small S3 on 127.0.0.1: objects, parts and what AWS checks of them, with refusals and waits on demand."""

from __future__ import annotations

import base64
import hashlib
import re
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

KEY_ID, SECRET, SESSION = "AKIDEXAMPLE", "wJalrXUtnFEMI-secret", "session-token-of-test"
BUCKET = "granules"


class S3Server:
    """Serves from a thread until the block ends."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.clear()
        owner = self

        class Handler(_Handler):
            s3 = owner

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        scheme = "http" if tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def clear(self) -> None:
        """Make it as it was in the beginning: one empty bucket."""
        self.objects: dict[str, bytes] = {}
        """By key, all of one bucket."""
        self.hashes: dict[str, list[str]] = {}
        """SHA-256 of each part as the client named it, hex, by key."""
        self.uploads: dict[str, dict[int, bytes]] = {}
        """Parts of uploads that are neither complete nor aborted, by id."""
        self.asked: list[str] = []
        """`METHOD key?query` of every request."""
        self.refuse: Callable[[str, str], tuple[int, str] | None] = lambda method, target: None
        """Status and code to answer a request with, given as in `asked`; None to obey it."""
        self.before: Callable[[str, str], None] = lambda method, target: None
        """Is called before a request is obeyed; may wait."""

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead here."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_SESSION_TOKEN": SESSION,
            "AWS_REGION": "eu-central-1",
        }

    def __enter__(self) -> S3Server:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Refused(Exception):
    pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    s3: S3Server

    def log_message(self, *args: Any) -> None:
        pass

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, ssl.SSLError):
            self.close_connection = True

    def do_GET(self) -> None:
        self._serve()

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

    def _serve(self) -> None:
        body = self._body()
        parts = urlsplit(self.path)
        _, bucket, *rest = unquote(parts.path).split("/", 2)
        key = rest[0] if rest else ""
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        target = f"{key}?{parts.query}" if parts.query else key
        self.s3.asked.append(f"{self.command} {target}")
        try:
            self._check(bucket, target, body)
            getattr(self, f"_{self.command.lower()}")(key, query, body)
        except Refused as refused:
            status, code = refused.args
            self._answer(status, f"<Error><Code>{code}</Code><Message>{SESSION}</Message></Error>".encode())

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def _check(self, bucket: str, target: str, body: bytes) -> None:
        signed = re.search(r"Credential=([^/]+)/", self.headers.get("authorization", ""))
        if signed is None:
            raise Refused(403, "AccessDenied")
        if signed[1] != KEY_ID or self.headers.get("x-amz-security-token", SESSION) != SESSION:
            raise Refused(403, "InvalidAccessKeyId")
        self.s3.before(self.command, target)
        if answer := self.s3.refuse(self.command, target):
            raise Refused(*answer)
        if bucket != BUCKET:
            raise Refused(404, "NoSuchBucket")
        digest = hashlib.sha256(body)
        if self.headers["x-amz-content-sha256"] not in (digest.hexdigest(), "UNSIGNED-PAYLOAD"):
            raise Refused(400, "XAmzContentSHA256Mismatch")
        checksum = self.headers.get("x-amz-checksum-sha256")
        if checksum not in (None, base64.b64encode(digest.digest()).decode()):
            raise Refused(400, "BadDigest")

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "content_length" not in headers:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _named_hash(self) -> str:
        return base64.b64decode(self.headers.get("x-amz-checksum-sha256", "")).hex()

    def _head(self, key: str, query: dict[str, str], body: bytes) -> None:
        found = self.s3.objects.get(key)
        if found is None:
            raise Refused(404, "NoSuchKey")
        self._answer(
            200,
            content_length=str(len(found)),
            etag=_etag(found),
            last_modified="Thu, 15 Jan 2026 00:00:00 GMT",
        )

    def _get(self, key: str, query: dict[str, str], body: bytes) -> None:
        assert query["list-type"] == "2"
        found = "".join(
            f"<Contents><Key>{escape(one)}</Key><Size>{len(data)}</Size>"
            "<LastModified>2026-01-15T00:00:00.000Z</LastModified></Contents>"
            for one, data in sorted(self.s3.objects.items())
            if one.startswith(query.get("prefix", ""))
        )
        self._answer(200, _xml("ListBucketResult", f"<IsTruncated>false</IsTruncated>{found}"))

    def _put(self, key: str, query: dict[str, str], body: bytes) -> None:
        if "uploadId" not in query:
            self.s3.hashes[key] = [self._named_hash()]
            self.s3.objects[key] = body
        else:
            parts = self.s3.uploads.get(query["uploadId"])
            if parts is None:
                raise Refused(404, "NoSuchUpload")
            parts[int(query["partNumber"])] = body
            self.s3.hashes.setdefault(query["uploadId"], []).append(self._named_hash())
        self._answer(200, etag=_etag(body))

    def _post(self, key: str, query: dict[str, str], body: bytes) -> None:
        if "uploads" in query:
            name = f"upload-{len(self.s3.asked)}"
            self.s3.uploads[name] = {}
            self._answer(200, _xml("InitiateMultipartUploadResult", f"<UploadId>{name}</UploadId>"))
            return
        parts = self.s3.uploads.pop(query["uploadId"])
        data = b"".join(parts[number] for number in sorted(parts))
        self.s3.hashes[key] = sorted(self.s3.hashes.pop(query["uploadId"]))
        self.s3.objects[key] = data
        self._answer(200, _xml("CompleteMultipartUploadResult", f"<ETag>{escape(_etag(data))}</ETag>"))

    def _delete(self, key: str, query: dict[str, str], body: bytes) -> None:
        self.s3.uploads.pop(query["uploadId"], None)
        self._answer(204)


def _etag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def _xml(name: str, inside: str) -> bytes:
    return f"<{name}>{inside}</{name}>".encode()
