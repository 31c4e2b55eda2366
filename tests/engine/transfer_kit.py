"""The parts of the engine that move files, made for a test, and the archive's files to move."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from maap_tui.demo import Archive
from maap_tui.demo.data import DataServer
from maap_tui.demo.missions.base import Granule
from maap_tui.engine.download.downloads import Downloads
from maap_tui.engine.download.pacing import HostPause
from maap_tui.engine.download.part import existing_size
from maap_tui.engine.download.requests import DownloadRequest, TransferRules
from maap_tui.engine.download.transfer import Transfer
from maap_tui.engine.errors import DownloadError
from maap_tui.engine.events import Event
from maap_tui.engine.net.credentials import Credentials, load_credentials
from maap_tui.engine.net.http import Http, HttpRules
from maap_tui.engine.net.origins import origin_of
from maap_tui.engine.net.tokens import Tokens
from maap_tui.engine.workflows.rules import CONNECTIONS
from tests.engine.raw_files import LOGIN_PAGE as LOGIN_PAGE
from tests.engine.raw_files import FileServer, jwt
from tests.engine.raw_files import hdf5_body as hdf5_body
from tests.engine.rules_kit import http_rules, make_downloads, transfer_rules
from tests.homes import PATIENCE_S

MIB = 1 << 20
H5 = "/file.h5"


def final_files(folder: Path) -> list[str]:
    """Names under which someone would look for a whole file."""
    return [path.name for path in folder.rglob("*") if path.is_file() and ".part" not in path.name]


async def failure_of(transfer: Transfer, wanted: DownloadRequest) -> DownloadError:
    with pytest.raises(DownloadError) as caught:
        await transfer.fetch(wanted)
    assert not wanted.path.exists()
    return caught.value


async def wait_for_size(path: Path, size: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while (existing_size(path) or 0) < size:  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.01)


@dataclass
class Remote:
    """A file of the archive."""

    archive: Archive
    granule: Granule
    suffix: str

    @property
    def name(self) -> str:
        return self.granule.id + self.suffix

    @property
    def url(self) -> str:
        return f"{self.archive.url}/data/{self.granule.home}/{self.name}"

    @property
    def size(self) -> int:
        return self.granule.files[self.name]

    @property
    def content(self) -> bytes:
        """Its bytes as the archive serves them now."""
        served = DataServer(self.archive.content, self.archive.tokens, self.archive.faults)
        return served.file_bytes(self.granule, self.name, self.archive.faults.generation(self.name))

    def wanted(self, folder: Path, **options: Any) -> DownloadRequest:
        return DownloadRequest(self.url, folder / self.name, **{"size": self.size, **options})


@pytest.fixture
def remote(archive: Archive) -> Callable[..., Remote]:
    """The n-th newest file of a product: CPR_CLD_2A 128 KiB, ATL_EBD_2A 1 MiB, MSI_RGR_1C 8 MiB."""

    def find(
        number: int = 0, product: str = "CPR_CLD_2A", baseline: str = "BC", suffix: str = ".h5"
    ) -> Remote:
        series = archive.content.series[product, baseline]
        return Remote(archive, series.newest(number), suffix)

    return find


@dataclass
class Kit:
    """The parts that move files, with what they told."""

    http: Http
    tokens: Tokens
    rules: TransferRules
    events: list[Event] = field(default_factory=list)
    pause: HostPause = field(default_factory=HostPause)

    def transfer(self, emit: Callable[[Event], None] | None = None) -> Transfer:
        return Transfer(self.http, self.tokens, self.rules, pause=self.pause, emit=emit or self.events.append)

    def downloads(self, **options: Any) -> Downloads:
        return make_downloads(self.transfer, **{"emit": self.events.append, **options})

    def told(self, *kinds: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kinds)]


@pytest.fixture
async def kit(
    archive: Archive, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Callable[..., Kit]]:
    """Make a Kit for the archive, or for a FileServer; `TransferRules` and `Http` options by name."""
    opened: list[Http] = []
    home = tmp_path_factory.mktemp("kit")

    def build(server: FileServer | None = None, **options: Any) -> Kit:
        events: list[Event] = []
        rules = {name: options.pop(name) for name in list(options) if name in TransferRules.__slots__}
        asks = {"retries": options.pop("http_retries", 5), "retry_wait_s": options.pop("http_wait_s", 0.003)}
        asks |= {name: options.pop(name) for name in list(options) if name in HttpRules.__slots__}
        quick = http_rules(**{"stall_timeout_s": 20.0, "timeout_s": 20.0, **asks})
        parts = {"bulk": True, "connections": CONNECTIONS, **options}
        origin = origin_of(server.url if server else archive.url)
        http = Http(quick, bearer_origins=frozenset({origin}), emit=events.append, **parts)
        opened.append(http)
        if server:
            tokens = Tokens(http, server.url + "/token", lambda: Credentials(jwt()), emit=events.append)
        else:
            archive.prepare(home)
            file = home / "credentials.txt"
            tokens = Tokens(http, archive.token_url, lambda: load_credentials(file, {}), emit=events.append)
        quick_rules = transfer_rules(**{"retry_wait_s": 0.005, "min_free": 0, **rules})
        return Kit(http, tokens, quick_rules, events)

    yield build
    for http in opened:
        await http.close()


@pytest.fixture
async def raw() -> AsyncIterator[FileServer]:
    async with FileServer() as server:
        yield server


def asked(archive: Archive, kind: str = "data") -> list[str]:
    """Path of each request of a kind that reached the archive, answered or not."""
    return [one["path"] for one in archive.stats.show()["last_requests"] if one["kind"] == kind]


def open_sockets(url: str) -> int:
    """Connections to a server of this machine."""
    port = f":{int(url.rpartition(':')[2]):04X}"
    lines = (line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:])
    # A socket can be listed twice when others come and go meanwhile.
    return len({own for _, own, other, state, *_ in lines if port in other and state == "01"})


def other_tasks() -> set[asyncio.Task[Any]]:
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}
