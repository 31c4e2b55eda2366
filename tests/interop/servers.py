"""Servers that others wrote, started on 127.0.0.1: a STAC API on PostgreSQL, and an OpenID provider.

Their packages are in an environment of their own (`make setup-interop`); PostgreSQL with PostGIS is the
machine's.
"""

from __future__ import annotations

import base64
import contextlib
import glob
import http.client
import http.server
import json
import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.engine.raw_files import hdf5_body

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv" / "interop" / "bin" / "python"
START_S = 60.0
"""Seconds that a server may take until it answers."""


class Missing(Exception):
    """What is needed and not on this machine."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return once the URL is answered with 200."""
    until = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError, http.client.HTTPException), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.05)  # there is nothing to wait on but the port
    raise RuntimeError(f"{url} does not answer: {log.read_text(errors='replace')[-2000:]}")


@contextlib.contextmanager
def running(
    words: list[str], log: Path, environ: Mapping[str, str] | None = None, **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the block."""
    with open(log, "wb") as out:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, **(environ or {})},
            **options,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def python() -> str:
    """The interpreter that has the servers."""
    if not PYTHON.exists():
        raise Missing("the servers are not installed: make setup-interop")
    return str(PYTHON)


def postgres_folder() -> Path:
    """Where the programs of PostgreSQL are; it needs PostGIS as well."""
    folders = [Path(found).parent for found in sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))]
    if on_path := shutil.which("initdb"):
        folders.append(Path(on_path).resolve().parent)
    if not folders:
        raise Missing("there is no PostgreSQL (Debian: postgresql-postgis)")
    for folder in reversed(folders):
        config = subprocess.run([folder / "pg_config", "--sharedir"], capture_output=True, text=True)
        if (Path(config.stdout.strip()) / "extension" / "postgis.control").exists():
            return folder
    raise Missing("PostgreSQL is there without PostGIS (Debian: postgresql-postgis)")


@contextlib.contextmanager
def postgres() -> Iterator[dict[str, str]]:
    """A database of its own in a temporary folder; gives back the variables that lead to it."""
    programs = postgres_folder()
    # It refuses to run as root.
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        try:
            account = pwd.getpwnam("postgres")
        except KeyError:
            account = pwd.getpwnam("nobody")
        user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    # Not below pytest's folders, which nobody else may enter.
    with tempfile.TemporaryDirectory(prefix="maap-interop-") as name:
        folder = Path(name)
        if user:
            os.chown(folder, user["user"], user["group"])
        data = str(folder / "data")
        subprocess.run(
            [programs / "initdb", "-D", data, "-A", "trust", "-U", "maap", "-N", "--locale=C.UTF-8"],
            check=True,
            capture_output=True,
            cwd=folder,
            **user,
        )
        port = free_port()
        words = [str(programs / "postgres"), "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", name]
        log = folder / "postgres.log"
        environ = {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(port),
            "PGUSER": "maap",
            "PGPASSWORD": "none",
            "PGDATABASE": "postgres",
        }
        with running([*words, "-F"], log, cwd=folder, **user) as process:
            ready = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
            until = time.monotonic() + START_S
            while subprocess.run(ready, check=False).returncode:
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"PostgreSQL does not start: {log.read_text()[-2000:]}")
                time.sleep(0.05)
            yield environ


@contextlib.contextmanager
def stac_server(
    folder: Path, collections: Iterable[Mapping[str, Any]], items: Iterable[Mapping[str, Any]]
) -> Iterator[StacServer]:
    """stac-fastapi on pgstac, with what it is to hold."""
    with postgres() as environ:
        load = [str(Path(python()).with_name("pypgstac"))]
        run = {"check": True, "capture_output": True, "env": {**os.environ, **environ}}
        subprocess.run([*load, "migrate"], **run)  # type: ignore[call-overload]
        for kind, rows in (("collections", collections), ("items", items)):
            file = folder / f"{kind}.ndjson"
            file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
            subprocess.run([*load, "load", kind, str(file), "--method", "insert"], **run)  # type: ignore[call-overload]
        port = free_port()
        words = [python(), "-m", "uvicorn", "--factory", "stac_fastapi.pgstac.app:create_app"]
        log = folder / "stac.log"
        with running([*words, "--host", "127.0.0.1", "--port", str(port)], log, environ) as process:
            url = f"http://127.0.0.1:{port}/"
            wait_for(url, process, log)
            yield StacServer(url, log, environ)


@dataclass(frozen=True)
class StacServer:
    """A STAC API as `stac_server` starts it."""

    url: str
    log: Path
    environ: Mapping[str, str] = field(repr=False)

    def list_queryables(self, schema: Mapping[str, Any], collection: str, folder: Path) -> None:
        """Let it list these queryables for a collection."""
        file = folder / "queryables.json"
        file.write_text(json.dumps(schema), encoding="utf-8")
        words = [Path(python()).with_name("pypgstac"), "load_queryables", file]
        subprocess.run(
            [*words, "--collection_ids", json.dumps([collection])],
            check=True,
            capture_output=True,
            env={**os.environ, **self.environ},
        )


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


@dataclass(frozen=True)
class Client:
    """A client registered at the provider."""

    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Provider:
    """The OpenID provider, and what a browser would do at it."""

    url: str

    @property
    def token_url(self) -> str:
        """Where tokens are exchanged, as it says itself."""
        with urllib.request.urlopen(f"{self.url}/.well-known/openid-configuration") as answer:
            return str(json.load(answer)["token_endpoint"])

    def register(self) -> Client:
        """A client that has to show its secret in the header, as it must where it has a new token given."""
        method = "client_secret_basic"
        wanted = {"redirect_uris": ["http://127.0.0.1/back"], "token_endpoint_auth_method": method}
        answer = self._ask("/oauth2/clients", json.dumps(wanted).encode(), "application/json")
        return Client(answer["client_id"], answer["client_secret"])

    def sign_in(self, client: Client, user: str) -> str:
        """A refresh token for a user who signs in and agrees."""
        query = urllib.parse.urlencode(
            {
                "client_id": client.id,
                "redirect_uri": "http://127.0.0.1/back",
                "response_type": "code",
                "scope": "openid profile email",
            }
        )
        form = urllib.parse.urlencode({"sub": user}).encode()
        opener = urllib.request.build_opener(_NoRedirect)
        try:
            opener.open(f"{self.url}/oauth2/authorize?{query}", form)
            raise RuntimeError("the provider gave no code")
        except urllib.error.HTTPError as error:
            found = urllib.parse.urlsplit(error.headers["location"] or "").query
        request = {
            "grant_type": "authorization_code",
            "code": urllib.parse.parse_qs(found)["code"][0],
            "redirect_uri": "http://127.0.0.1/back",
        }
        body = urllib.parse.urlencode(request).encode()
        pair = base64.b64encode(f"{client.id}:{client.secret}".encode()).decode()
        headers = {"authorization": f"Basic {pair}"}
        exchange = urllib.request.Request(f"{self.url}/oauth2/token", body, headers)
        with urllib.request.urlopen(exchange) as answer:
            return str(json.load(answer)["refresh_token"])

    def revoke(self, user: str) -> None:
        """End every token of a user."""
        self._ask(f"/users/{user}/revoke-tokens", b"", "application/json")

    def accepts(self, authorization: str) -> bool:
        """Whether the provider itself takes an access token."""
        request = urllib.request.Request(f"{self.url}/userinfo", headers={"authorization": authorization})
        try:
            with urllib.request.urlopen(request):
                return True
        except urllib.error.HTTPError:
            return False

    def _ask(self, path: str, body: bytes, kind: str) -> Any:
        request = urllib.request.Request(self.url + path, body, {"content-type": kind})
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read() or b"null")


@contextlib.contextmanager
def provider(folder: Path) -> Iterator[Provider]:
    """An OpenID provider whose refresh tokens are opaque and whose clients have to be registered."""
    port = free_port()
    words = [python(), "-m", "oidc_provider_mock", "--port", str(port), "--require-registration", "true"]
    log = folder / "provider.log"
    with running(words, log) as process:
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{url}/.well-known/openid-configuration", process, log)
        yield Provider(url)


class Files(http.server.ThreadingHTTPServer):
    """Files of given sizes, for whoever brings a token that the provider takes."""

    daemon_threads = True

    def __init__(self, provider: Provider) -> None:
        super().__init__(("127.0.0.1", 0), _FileHandler)
        self.provider = provider
        self.sizes: dict[str, int] = {}
        """Bytes of each file by its path."""
        self.over: set[str] = set()
        """Authorization headers that count as expired."""
        self.used: list[str] = []
        """Authorization headers, as they came."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Files:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _FileHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Files

    def do_GET(self) -> None:
        size = self.server.sizes.get(self.path)
        authorization = self.headers.get("authorization", "")
        self.server.used.append(authorization)
        is_known = authorization not in self.server.over and self.server.provider.accepts(authorization)
        if not is_known or size is None:
            self.send_response(404 if is_known else 401)
            self.send_header("content-length", "0")
            self.end_headers()
            return
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("range", ""))
        first = int(found[1]) if found else 0
        self.send_response(206 if found else 200)
        self.send_header("content-length", str(size - first))
        self.send_header("etag", f'"{size}"')
        if found:
            self.send_header("content-range", f"bytes {first}-{size - 1}/{size}")
        self.end_headers()
        head = hdf5_body(64, says=size) if self.path.endswith(".h5") else b"<Earth_Explorer_Header/>"
        piece = head[:size][first:]
        left = size - first - len(piece)
        self.wfile.write(piece)
        zeros = bytes(1 << 20)
        while left > 0:
            left -= self.wfile.write(zeros[:left])

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
