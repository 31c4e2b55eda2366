"""One archive with a frozen clock for the tests that only ask, and a fresh one for those that change it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from maap_tui.demo import Archive
from tests.homes import PATIENCE_S

NOW = "2026-03-01T12:00:00Z"


@pytest.fixture(scope="session")
def archive() -> Iterator[Archive]:
    with Archive.start(now=NOW) as started:
        yield started


@pytest.fixture(scope="session")
def client(archive: Archive) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=archive.url, trust_env=False, timeout=PATIENCE_S) as opened:
        yield opened


@pytest.fixture
def start() -> Iterator[Callable[..., tuple[Archive, httpx.Client]]]:
    """Start archives of one's own, each with a client; all are stopped at the end."""
    opened: list[Any] = []

    def begin(**options: Any) -> tuple[Archive, httpx.Client]:
        started = Archive.start(**{"now": NOW, **options})
        http = httpx.Client(base_url=started.url, trust_env=False, timeout=PATIENCE_S)
        opened.extend([http.close, started.stop])
        return started, http

    yield begin
    for end in opened:
        end()


@pytest.fixture
def sign_in() -> Callable[[Archive, httpx.Client], dict[str, str]]:
    def exchange(started: Archive, http: httpx.Client) -> dict[str, str]:
        form = {
            "client_id": "offline-token",
            "client_secret": "p1eL7uonXs6MDxtGbgKdPVRAmnGxHpVE",
            "grant_type": "refresh_token",
            "refresh_token": started.offline_token,
        }
        reply = http.post(started.token_url, data=form)
        assert reply.status_code == 200
        return {"Authorization": f"Bearer {reply.json()['access_token']}"}

    return exchange


@pytest.fixture
def find(client: httpx.Client) -> Callable[..., dict[str, Any]]:
    """The first item of a search in the shared archive."""

    def first(filter_text: str, **body: Any) -> dict[str, Any]:
        reply = client.post("/catalogue/search", json={"filter": filter_text, "limit": 1, **body})
        assert reply.status_code == 200, reply.text
        return dict(reply.json()["features"][0])

    return first
