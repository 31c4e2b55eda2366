from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from maap_tui.demo import Archive

FORM = {
    "client_id": "offline-token",
    "client_secret": "p1eL7uonXs6MDxtGbgKdPVRAmnGxHpVE",
    "grant_type": "refresh_token",
}


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def ask(http: httpx.Client, archive: Archive, token: str, **more: str) -> httpx.Response:
    return http.post(archive.token_url, data={**FORM, "refresh_token": token, **more})


def test_an_offline_token_buys_an_access_token(archive: Archive, client: httpx.Client) -> None:
    offline = claims(archive.offline_token)
    assert offline["typ"] == "Offline" and offline["azp"] == "offline-token"
    assert offline["iat"] == 1772366400 and offline["exp"] - offline["iat"] == 90 * 86400
    reply = ask(client, archive, archive.offline_token)
    body = reply.json()
    assert reply.status_code == 200
    assert body["expires_in"] == 36000 and body["refresh_expires_in"] == 0 and body["token_type"] == "Bearer"
    assert "refresh_token" not in body
    assert claims(body["access_token"])["typ"] == "Bearer"


@pytest.mark.parametrize(
    ("token", "more", "status", "problem", "words"),
    [
        ("rubbish", {}, 400, "invalid_grant", "Invalid refresh token"),
        ("a.b.c", {}, 400, "invalid_grant", "Invalid refresh token"),
        (None, {"client_secret": "x"}, 401, "unauthorized_client", "Invalid client"),
        (None, {"client_id": "x"}, 401, "unauthorized_client", "Invalid client"),
        (None, {"grant_type": "password"}, 400, "unsupported_grant_type", "Unsupported"),
    ],
)
def test_refusals(
    archive: Archive, client: httpx.Client, token: str | None, more: dict[str, str], status: int,
    problem: str, words: str,
) -> None:  # fmt: skip
    reply = ask(client, archive, token or archive.offline_token, **more)
    assert reply.status_code == status
    assert reply.json()["error"] == problem and words in reply.json()["error_description"]


def test_an_access_token_is_no_refresh_token(archive: Archive, client: httpx.Client) -> None:
    access = ask(client, archive, archive.offline_token).json()["access_token"]
    assert ask(client, archive, access).json()["error_description"] == "Invalid refresh token"


def test_expired_and_revoked_offline_tokens(start: Callable[..., Any]) -> None:
    expired, http = start(offline_days=-1)
    assert ask(http, expired, expired.offline_token).json()["error_description"] == "Token is not active"
    revoked, http = start()
    http.post("/_faults", json={"revoke_token": revoked.offline_token})
    reply = ask(http, revoked, revoked.offline_token)
    assert reply.status_code == 400
    assert reply.json() == {"error": "invalid_grant", "error_description": "Offline user session not found"}


def test_rotation_kills_the_token_it_replaces(start: Callable[..., Any]) -> None:
    archive, http = start(rotate_tokens=True)
    first = ask(http, archive, archive.offline_token).json()
    assert ask(http, archive, archive.offline_token).status_code == 400
    second = ask(http, archive, first["refresh_token"])
    assert second.status_code == 200 and second.json()["refresh_token"] != first["refresh_token"]
    assert http.get("/_stats").json()["token_refreshes"] == 2


def test_an_offline_token_outlives_its_archive(start: Callable[..., Any]) -> None:
    first, _ = start()
    second, http = start()
    assert ask(http, second, first.offline_token).status_code == 200


def test_access_tokens_end(start: Callable[..., Any], sign_in: Callable[..., Any]) -> None:
    archive, http = start(token_lifetime_s=0)
    body = {"filter": "productType='CPR_CLD_2A'", "limit": 1}
    url = http.post("/catalogue/search", json=body).json()["features"][0]["assets"]["product"]["href"]
    assert http.get(url, headers=sign_in(archive, http)).status_code == 401
    archive.faults.clear()
    bearer = sign_in(archive, http)
    assert http.get(url, headers=bearer).status_code == 200
    archive.control(expire_tokens=True)
    assert http.get(url, headers=bearer).status_code == 401
    assert http.get(url, headers=sign_in(archive, http)).status_code == 200
