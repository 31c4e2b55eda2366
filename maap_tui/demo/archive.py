"""The archive to start and stop: a loopback server on a thread of its own, and homes that point at it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import uvicorn
from uvicorn.server import ServerState

from maap_tui.demo.app import TOKEN_PATH, Application
from maap_tui.demo.content import Content
from maap_tui.demo.faults import HOMES, SCOPE, Faults
from maap_tui.demo.home import HOST, port_of
from maap_tui.demo.missions.base import Granule
from maap_tui.demo.orbit import epoch
from maap_tui.demo.stats import Stats
from maap_tui.demo.tokens import CLIENT_ID, CLIENT_SECRET, TokenService
from maap_tui.demo.wire import WireProtocol
from maap_tui.engine.config.toml_file import load_file, set_entry
from maap_tui.engine.errors import SettingsError

KEEP_ALIVE_S = 75
"""Seconds an idle connection is kept."""


class Archive:
    """A synthetic ESA MAAP archive: catalogue, token endpoint and data server on one loopback port.

    Made by `Archive.start`, and ended by `stop` or by leaving it as a context manager.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        now: str | None = None,
        offline_days: float = 90,
        rotate_tokens: bool = False,
        old_queryables: bool = False,
        next_form: Literal["", "post", "get"] = "",
        live_tokens: bool = False,
        faults: Sequence[Mapping[str, Any]] = (),
        **fault: Any,
    ) -> None:
        rules = [*faults, fault] if fault else list(faults)
        wrong = set(fault) - set(HOMES) - SCOPE
        if wrong:
            raise TypeError(f"unknown option: {', '.join(sorted(wrong))}")
        self._frozen = epoch(now) if now else None
        self.clock: Callable[[], float] = lambda: time.time() if self._frozen is None else self._frozen
        """Seconds since 1970 as the archive sees them."""
        self.faults = Faults(*rules)
        """The active faults."""
        self.stats = Stats()
        """What was asked and sent so far."""
        self.content = Content(self.clock())
        """Every collection and granule as of the start, or of the time that the clock was set to."""
        self._socket = socket.create_server((HOST, port), backlog=512)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://{HOST}:{self.port}"
        """Base URL, no slash at the end."""
        self.catalog_url = f"{self.url}/catalogue/"
        """Root of the STAC API; the slash belongs to it."""
        self.token_url = self.url + TOKEN_PATH
        """Where offline tokens are exchanged."""
        issuer = self.token_url.removesuffix("/protocol/openid-connect/token")
        token_clock = time.time if live_tokens else self.clock
        self.tokens = TokenService(token_clock, offline_days, rotate_tokens, issuer)
        """The token endpoint."""
        self.offline_token = self.tokens.issue_offline()
        """An offline token that works here."""
        self._application = Application(
            self.url,
            self.content,
            self.tokens,
            self.faults,
            self.stats,
            old_queryables=old_queryables,
            next_form=next_form,
            set_clock=self._set_clock,
        )
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="demo-archive", daemon=True)

    @classmethod
    def start(cls, port: int = 0, **options: Any) -> Archive:
        """Start an archive and return it ready to answer.

        Args:
            port: port on 127.0.0.1; 0 takes any free one.
            options: `now` (ISO time) freezes the clock; `offline_days` is the validity of the offline
                token; `live_tokens` counts it from the time of this machine, also where `now` is given;
                `rotate_tokens`, `old_queryables` and `next_form` ("post" or "get" for POST searches)
                switch variants of the service; `faults` is a list of rules, and the fields of
                one `Fault` rule may be given directly.

        Raises:
            OSError: the port is taken.
            TypeError: an unknown option.
            ValueError: an option with an impossible value.
        """
        archive = cls(port, **options)
        archive._thread.start()
        archive._ready.wait()
        if archive._failure is not None:
            raise archive._failure
        return archive

    @classmethod
    def start_for(cls, home: Path, **options: Any) -> Archive:
        """Start an archive on the port a home already points at, and prepare that home.

        The registry of a home holds whole URLs, so the same port keeps them valid from run to run. A home
        without a port, or one whose port is taken, gets any free one.
        """
        try:
            archive = cls.start(port_of(home), **options)
        except OSError:
            archive = cls.start(**options)
        archive.prepare(home)
        return archive

    def _set_clock(self, moment: float) -> None:
        self._frozen = moment
        self.content.move_to(moment)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as exc:
            self._failure = exc
            if self._ready.is_set():
                raise
        finally:
            self._socket.close()
            self._ready.set()

    async def _serve(self) -> None:
        loop = self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        config = uvicorn.Config(
            self._application,
            http=WireProtocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
        config.load()
        state = ServerState()

        def connect() -> WireProtocol:
            protocol = WireProtocol(config, state, {}, loop)
            protocol.opened = self.stats.connection_opened
            return protocol

        server = await loop.create_server(connect, sock=self._socket)
        self._ready.set()
        await self._stopping.wait()
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        # Two turns of the loop: the protocols learn of their abort before their requests are cancelled.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        tasks = list(state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def stop(self) -> None:
        """Stop serving, abort what is under way, free the port; twice does no harm."""
        if self._thread.is_alive() and self._loop is not None and self._stopping is not None:
            try:
                self._loop.call_soon_threadsafe(self._stopping.set)
            except RuntimeError:
                # The loop closed between the two lines: it is stopped already.
                pass
            self._thread.join()

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def control(self, **values: Any) -> None:
        """Set a fault as POST /_faults does, or act: `replace`, `expire_tokens`, `revoke_token`, `now`.

        `now` (ISO time) freezes the clock at another moment, with all that is published by then.
        """
        self._application.apply(values)

    def file_bytes(self, granule: Granule, path: str) -> bytes:
        """What it serves for one of a granule's `files`."""
        return self._application.data.file_bytes(
            granule, path, self.faults.generation(path.rpartition("/")[2])
        )

    def environment(self, home: Path) -> dict[str, str]:
        """The MAAP_ variables that point every command at this archive and that home."""
        return {
            "MAAP_HOME": str(home),
            "MAAP_CATALOG_URL": self.catalog_url,
            "MAAP_TOKEN_URL": self.token_url,
            **{f"MAAP_{name.upper()}": str(path) for name, path in _places(home).items()},
        }

    def prepare(self, home: Path) -> None:
        """Make a home: folders, `credentials.txt` (0600) with a working token, and `config.toml`.

        Files there already that are not these two stay as they are, and so does what else is configured.
        """
        home.mkdir(parents=True, exist_ok=True)
        positions = _places(home)
        for name, path in positions.items():
            if name.endswith("_dir"):
                path.mkdir(parents=True, exist_ok=True)
        credentials = (
            f"CLIENT_ID={CLIENT_ID}\nCLIENT_SECRET={CLIENT_SECRET}\nOFFLINE_TOKEN={self.offline_token}\n"
        )
        _write_private(positions["credentials_file"], credentials)
        wanted = {
            "paths": {name: str(path) for name, path in positions.items()},
            "api": {"catalog_url": self.catalog_url, "token_url": self.token_url},
            "quality": {
                "gaps": f"{self.url}/quality/gaps.csv",
                "disclaimers": f"{self.url}/quality/disclaimers.csv",
            },
        }
        _configure(home / "config.toml", wanted)


def _configure(file: Path, wanted: Mapping[str, Mapping[str, str]]) -> None:
    try:
        kept = load_file(file, missing_ok=True).text
    except SettingsError:
        kept = ""  # what cannot be read is made again
    if not kept:
        lines = []
        for section, values in wanted.items():
            lines += [f"[{section}]", *(f"{name} = {json.dumps(text)}" for name, text in values.items()), ""]
        file.write_text("\n".join(lines), encoding="utf-8")
        return
    for section, values in wanted.items():
        for name, text in values.items():
            set_entry(file, section, [name], text)


def _places(home: Path) -> dict[str, Path]:
    return {
        "data_dir": home / "data",
        "catalog_dir": home / "catalogs",
        "built_catalog_dir": home / "built_catalogs",
        "registry_dir": home / "registry",
        "credentials_file": home / "credentials.txt",
    }


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
