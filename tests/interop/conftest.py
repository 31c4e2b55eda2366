"""The archive's items on a STAC API, its files behind an OpenID provider, both written by others."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from maap_tui.demo import Archive
from tests.faults.figure import PEER_PYTHON
from tests.homes import QUICK_ENVIRON, Ended
from tests.interop.servers import Client, Files, Missing, Provider, StacServer, provider, stac_server

COLLECTION, BARE = "EarthCAREL2Validated_MAAP", "EarthCAREL2InstChecked_MAAP"
"""The second one says of its queryables no more than that items have others."""
VERBATIM = [
    json.loads(file.read_text())
    for file in sorted((Path(__file__).parents[1] / "data" / "verbatim").glob("*.json"))
]
REAL = "https://catalog.maap.eo.esa.int"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = f"{Path(__file__).parent}{os.sep}"
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.interop)


@dataclass(frozen=True)
class Service:
    """Everything that the commands need, on this machine."""

    archive: Archive
    now: datetime
    """The newest items that are served were published until then."""
    stac: StacServer
    provider: Provider
    files: Files
    client: Client


def asked(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def items_of(archive: Archive, product: str, span: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = asked(
            archive.catalog_url + "search",
            {
                "collections": [COLLECTION],
                "datetime": span,
                "limit": 200,
                "startRecord": len(found) + 1,
                "filter-lang": "cql2-text",
                "filter": f"product:type = '{product}'",
            },
        )
        found += page["features"]
        if not page["features"] or len(found) >= page["numberMatched"]:
            return found


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The servers, once for all tests; skips by name what this machine cannot run."""
    folder = tmp_path_factory.mktemp("interop")
    now = datetime.now(UTC)
    try:
        with (
            Archive.start(now=now.isoformat().replace("+00:00", "Z"), offline_days=90) as archive,
            provider(folder) as identity,
            Files(identity) as files,
        ):
            items = [json.loads(json.dumps(item).replace(REAL, files.url)) for item in VERBATIM]
            recent = f"{(now - timedelta(days=2)):%Y-%m-%dT%H:%M:%SZ}/{now:%Y-%m-%dT%H:%M:%SZ}"
            for product, span in (
                ("CPR_CLD_2A", "2025-12-01T00:00:00Z/2025-12-02T23:59:59Z"),
                ("CPR_CLD_2A", recent),
                ("ATL_EBD_2A", "2025-12-01T00:00:00Z/2025-12-01T23:59:59Z"),
            ):
                found = json.dumps(items_of(archive, product, span)).replace(archive.url, files.url)
                items += json.loads(found)
            for item in items:
                for asset in item["assets"].values():
                    if "file:size" in asset:
                        files.sizes[urlsplit(asset["href"]).path] = asset["file:size"]
            names = (COLLECTION, BARE)
            collections = [asked(f"{archive.catalog_url}collections/{name}") for name in names]
            queryables = asked(f"{archive.catalog_url}collections/{COLLECTION}/queryables")
            copies = [item | {"collection": name} for name in names for item in items]
            with stac_server(folder, collections, copies) as stac:
                stac.list_queryables(queryables, COLLECTION, folder)
                yield Service(archive, now, stac, identity, files, identity.register())
    except Missing as missing:
        if os.environ.get("MAAP_INTEROP") == "required":
            raise
        pytest.skip(str(missing))


@pytest.fixture
def home(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose commands ask the servers of others; it has no token yet."""
    folder = tmp_path / "home"
    folder.mkdir()
    for name, value in {
        "MAAP_HOME": str(folder),
        "MAAP_CATALOG_URL": service.stac.url,
        "MAAP_TOKEN_URL": service.provider.token_url,
        "MAAP_DATA_ORIGINS": service.files.url,
        **QUICK_ENVIRON,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def on_demo(
    maap: Callable[..., Ended], service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ended]:
    """Run a command line against the embedded archive."""
    other = tmp_path / "demo"
    service.archive.prepare(other)

    def run(*words: Any) -> Ended:
        with monkeypatch.context() as patch:
            for name, value in service.archive.environment(other).items():
                patch.setenv(name, value)
            return maap(*words)

    return run


@pytest.fixture
def peer(service: Service, tmp_path: Path) -> Callable[..., Ended]:
    """Run a command line of maap-client 0.2.1 against the embedded archive.

    It names the properties that items had until 2026-02, which no other service has.
    """
    if not PEER_PYTHON:
        pytest.skip("MAAP_CLIENT_PYTHON names no interpreter with maap-client 0.2.1")
    folder = tmp_path / "peer"
    config = tmp_path / "peer.toml"
    config.write_text(
        f'[paths]\ndata_dir = "{folder}/data"\nregistry_dir = "{folder}/registry"\n'
        f'catalog_dir = "{folder}/catalogs"\ncredentials_file = "{folder}/credentials.txt"\n'
        f'[api]\ncatalog_url = "{service.archive.catalog_url}"\ntoken_url = "{service.archive.token_url}"\n'
    )

    def run(*words: Any) -> Ended:
        command = [PEER_PYTHON, "-m", "maap_client", "-c", str(config), *map(str, words)]
        ended = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    return run


@pytest.fixture
def signed_in(home: Path, service: Service, request: pytest.FixtureRequest) -> str:
    """The offline token of a user of this test's own, stored in the home."""
    token = service.provider.sign_in(service.client, request.node.name)
    file = home / "credentials.txt"
    file.write_text(
        f"CLIENT_ID={service.client.id}\nCLIENT_SECRET={service.client.secret}\nOFFLINE_TOKEN={token}\n"
    )
    file.chmod(0o600)
    return token
