"""An archive on two loopback origins that does what a scenario says, a home for it, and canaries."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any
from unittest import mock

from maap_tui.cli.main import main
from tests.engine.raw_files import FileServer, Reply, Request, answer, hdf5_body, jwt, token_reply
from tests.engine.raw_server import COLLECTION, QUERYABLES, item, page
from tests.homes import PATIENCE_S, QUICK_ENVIRON, Ended

ROOT = Path(__file__).parents[2]
DAY = datetime(2025, 12, 1, tzinfo=UTC)
NAMES = (COLLECTION, "CPR_CLD_2A", "BC")
SYNC = ("sync", *NAMES, "--date", "2025-12-01")

CANARY = "CANARY"
"""In every secret of a stage, and nowhere else."""
OFFLINE = jwt(exp=4_000_000_000).rpartition(".")[0] + f".{CANARY}-offline"
SECRET = f"{CANARY}-client-secret"


def run(*words: Any, environ: Mapping[str, str]) -> Ended:
    """Run a command line in this process, with that environment."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2))
    with (
        mock.patch.dict(os.environ, dict(environ), clear=True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = main([str(word) for word in words])
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode("utf-8", "surrogateescape"))  # type: ignore[attr-defined]
    return Ended(code, *texts)


def files_below(folder: Path) -> list[Path]:
    """Every file below a folder, links included."""
    return sorted(path for path in folder.rglob("*") if not path.is_dir())


class ServerThread:
    """An event loop on a thread of its own, and what is asynchronous entered there."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="stage", daemon=True)
        self._thread.start()

    def run(self, work: Awaitable[Any]) -> Any:
        async def awaited() -> Any:
            return await work

        return asyncio.run_coroutine_threadsafe(awaited(), self.loop).result(PATIENCE_S)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@dataclass
class Stage:
    """The archive, the other origin, and one user's home.

    What is set up before a command runs is not changed while one runs, but by the replies themselves.
    """

    folder: Path
    items: list[Any] = field(default_factory=list)
    """The items that a search finds."""
    environ: dict[str, str] = field(default_factory=dict)
    """Variables beside those that point at the archive."""
    ended: list[Ended] = field(default_factory=list)
    """Every command that was run."""
    bodies: dict[str, bytes] = field(default_factory=dict)
    """File name -> the only bytes that may be found under it."""
    tls: ssl.SSLContext | None = None
    """What makes the archive speak https."""

    def __enter__(self) -> Stage:
        self._thread = ServerThread()
        self._beside: list[Any] = []
        self.server = self._thread.run(FileServer(tls=self.tls).__aenter__())
        self.other = self._thread.run(FileServer(host="127.0.0.2").__aenter__())
        self.url, self.elsewhere = self.server.url, self.other.url
        self.home = self.folder / "home"
        self.home.mkdir(parents=True)
        credentials = f"CLIENT_ID=me\nCLIENT_SECRET={SECRET}\nOFFLINE_TOKEN={OFFLINE}\n"
        file = self.home / "credentials.txt"
        file.touch(mode=0o600)
        file.write_text(credentials)
        root = "/catalogue/"
        self.server.at(root, _json({"type": "Catalog", "id": "stage"}))
        self.server.at(f"{root}collections/{COLLECTION}/queryables", _json(QUERYABLES))
        self.server.at(f"{root}search", self._search)
        self.server.at("/token", self._token)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for thing in self._beside:
            self._thread.run(thing.close())
        self._thread.run(self.server.__aexit__())
        self._thread.run(self.other.__aexit__())
        self._thread.close()

    async def _search(self, request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(_json(page(self.items, len(self.items))))

    async def _token(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if request.method != "POST":
            writer.write(answer("405 Method Not Allowed"))
            return
        count = len(self.asked("/token", "POST"))
        writer.write(token_reply(access_token=f"{CANARY}-access-{count}"))

    def open(self, thing: Any) -> None:
        """Open something beside the servers; it is closed with them."""
        self._thread.run(thing.open())
        self._beside.append(thing)

    def shut(self, thing: Any) -> None:
        """Let something that was opened listen no more."""
        self._thread.run(thing.close())

    def move(self, url: str) -> None:
        """Let every address of the archive begin so, where something leads there."""
        self.url = self.server.url = url

    @property
    def access(self) -> str:
        """What every access token begins with."""
        return f"{CANARY}-access-"

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def root(self) -> str:
        return self.url + "/catalogue/"

    def add(
        self, *replies: Reply, body: bytes | None = None, size: int | None = None, suffix: str = ".h5"
    ) -> str:
        """Put a file into the archive whose URL answers these in turn.

        Args:
            replies: what it answers, the last one for ever.
            body: what is right under its name; None when nothing is.
            size: what the catalogue announces; None when it does not.
            suffix: end of its name.
        """
        number = len(self.items)
        found = item(DAY + timedelta(minutes=number), orbit=8574 + number)
        name = found["id"]
        path = f"/data/EarthCARE/CPR_CLD_2A/BC/2025/12/01/{name}/{name}{suffix}"
        asset: dict[str, Any] = {"href": self.url + path}
        if size is not None:
            asset["file:size"] = size
        found["assets"] = {"enclosure": asset}
        self.items.append(found)
        if body is not None:
            self.bodies[name + suffix] = body
        return self.server.at(path, *replies)

    def add_good(self, count: int = 1, size: int = 5000) -> list[str]:
        """Put files into the archive that nothing is wrong with."""
        urls = []
        for _ in range(count):
            body = hdf5_body(size, seed=len(self.items))
            etag = f'"{len(self.items)}"'
            urls.append(self.add(answer("200 OK", body, etag=etag), body=body, size=size))
        return urls

    def asked(self, path: str, method: str = "GET") -> list[Request]:
        """The requests for a path or a URL of the archive."""
        path = path.removeprefix(self.url)
        return [one for one in self.server.requests if (one.target, one.method) == (path, method)]

    @property
    def data_requests(self) -> list[Request]:
        return [one for one in self.server.requests if one.target.startswith("/data/")]

    @property
    def environment(self) -> dict[str, str]:
        """All of the environment of a command: nothing of ours, tries that follow one another quickly."""
        mine = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MAAP_", "XDG_", "SSL_CERT_"))
            and not name.lower().endswith(("_proxy", "_ca_bundle"))
        }
        return {
            **mine,
            "HOME": str(self.folder),
            "MAAP_HOME": str(self.home),
            "MAAP_CATALOG_URL": self.root,
            "MAAP_TOKEN_URL": self.url + "/token",
            **QUICK_ENVIRON,
            "MAAP_RETRIES": "2",
            "MAAP_TIMEOUT": "20",
            "MAAP_DOWNLOADS_RETRIES": "2",
            "MAAP_DOWNLOADS_STALL_TIMEOUT": "20",
            **self.environ,
        }

    @property
    def plain_environment(self) -> dict[str, str]:
        """As `environment`, with our defaults for all that concerns tries and waits."""
        ours = {name for name in self.environment if name.startswith("MAAP_")}
        kept = {
            "MAAP_HOME",
            "MAAP_CATALOG_URL",
            "MAAP_TOKEN_URL",
            "MAAP_DOWNLOADS_MIN_FREE",
            "MAAP_DOWNLOADS_SPACE_WAIT",
            *self.environ,
        }
        return {name: value for name, value in self.environment.items() if name not in ours - kept}

    def start(self, *words: Any, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Run a command line as a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "maap_tui", *map(str, words)],
            env={**environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def go_away(self) -> None:
        """Let nothing listen at the archive any more."""
        self._thread.run(self.server.close())

    def come_back(self) -> None:
        """Let the archive listen again, at the same address."""
        self._thread.run(self.server.open())

    def maap(self, *words: Any, **environ: str) -> Ended:
        """Run a command line."""
        ended = run(*words, environ={**self.environment, **environ})
        self.ended.append(ended)
        return ended

    @property
    def finals(self) -> list[Path]:
        """Files under names that someone would take for whole."""
        return [path for path in files_below(self.data) if ".part" not in path.name]

    def lines(self, kind: str) -> list[str]:
        """Lines of the registry: url, dwl or mrk."""
        files = sorted((self.home / "registry").rglob(f"{kind}_*.txt"))
        return [line for file in files for line in file.read_text().splitlines()]

    @property
    def errors(self) -> list[str]:
        files = sorted((self.home / "registry").rglob("errors.txt"))
        return [line for file in files for line in file.read_text().splitlines()]

    def wrong_files(self) -> list[str]:
        """Finals with other bytes than theirs, links, and finals and records that do not agree."""
        finals = self.finals
        found = [
            path.name
            for path in finals
            if path.is_symlink() or self.bodies.get(path.name) != path.read_bytes()
        ]
        for path in files_below(self.folder):
            if not path.is_relative_to(self.home) and path.read_bytes() != path.name.encode():
                found.append(f"outside: {path}")
        recorded = [line.partition("|")[2] for line in self.lines("dwl")]
        if sorted(recorded) != sorted(map(str, finals)):
            found.append(f"{len(recorded)} recorded, {len(finals)} here")
        return found

    def strayed(self) -> list[str]:
        """Requests that carried a secret where it does not belong."""
        found = [
            f"{self.elsewhere} {one.method} {one.target}"
            for one in self.other.requests
            if CANARY in repr(one) or "authorization" in one.headers
        ]
        for one in self.server.requests:
            is_data = one.target.startswith("/data/")
            shown = repr((one.target, one.headers, one.body if one.target != "/token" else b""))
            bearer = one.headers.get("authorization", "")
            if is_data and bearer.startswith(f"Bearer {CANARY}-access-"):
                shown = shown.replace(bearer, "")
            if CANARY in shown:
                found.append(f"{one.method} {one.target}")
        return found

    def leaks(self) -> list[str]:
        """Where a secret can be read: what commands said, and every file but the two private ones."""
        found = []
        for ended in self.ended:
            found += [line for line in (ended.out + ended.err).splitlines() if CANARY in line]
        private = {self.home / "credentials.txt", self.home / "credentials.txt.access"}
        for path in files_below(self.folder):
            if path in private or path.parent == self.home / "state" / "access":
                if path.stat().st_mode & 0o077:
                    found.append(f"{path} can be read by others")
            elif path.is_file() and CANARY.encode() in path.read_bytes():
                found.append(str(path))
        return found


def _json(value: Any) -> bytes:
    return answer("200 OK", json.dumps(value).encode(), content_type="application/json")
