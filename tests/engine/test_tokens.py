from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from maap_tui.demo import Archive
from maap_tui.engine.errors import AuthenticationError, AuthServiceUnavailable, CredentialsError
from maap_tui.engine.events import Warned
from maap_tui.engine.tokens import (
    PUBLIC_CLIENT_ID,
    PUBLIC_CLIENT_SECRET,
    Credentials,
    Tokens,
    describe_token,
    load_credentials,
    normalise_token,
    save_credentials,
)
from tests.engine.raw_files import FileServer, answer, token_reply
from tests.engine.transfer_kit import LOGIN_PAGE, Kit, asked, jwt

NOW = datetime(2026, 1, 15, tzinfo=UTC)
TOKEN = jwt(preferred_username="someone", exp=int((NOW + timedelta(days=30, hours=5)).timestamp()))


@pytest.mark.parametrize(
    "pasted",
    [
        TOKEN,
        f"  {TOKEN}\n",
        f"Bearer {TOKEN}",
        f"Authorization: bearer {TOKEN}",
        f'"{TOKEN}"',
        f"'{TOKEN}',",
        f"\ufeff{TOKEN}\r\n",
        "\n".join(TOKEN[i : i + 64] for i in range(0, len(TOKEN), 64)),
        json.dumps({"refresh_token": TOKEN, "access_token": "x"}),
        json.dumps({"offline_token": TOKEN}, indent=2),
        f"OFFLINE_TOKEN={TOKEN}",
        f"export MAAP_TOKEN='{TOKEN}'",
    ],
)
def test_pasted_tokens(pasted: str) -> None:
    assert normalise_token(pasted) == TOKEN


@pytest.mark.parametrize(
    ("pasted", "words"),
    [
        ("", "empty"),
        ("Bearer ", "three parts"),
        ("not-a-token", "11 characters"),
        ("a.b", "three parts"),
        ("a.b.c.d", "three parts"),
        ("aaa.!!!.ccc", "three parts"),
        ("aaa.bbb.ccc", "damaged"),
        (json.dumps({"access_token": TOKEN}), "three parts"),
        ("{" * 5000, "three parts"),
        (TOKEN + "é", "three parts"),
        (jwt(typ="Bearer"), "access token"),
    ],
)
def test_what_is_no_offline_token_is_refused_without_showing_it(pasted: str, words: str) -> None:
    with pytest.raises(CredentialsError, match=words) as caught:
        normalise_token(pasted)
    assert caught.value.hint
    if len(pasted) > 20:
        assert pasted[:20] not in f"{caught.value!r}{caught.value.hint}"


def test_a_token_tells_about_itself() -> None:
    info = describe_token(TOKEN)
    assert (info.kind, info.name) == ("Offline", "someone")
    assert info.issued == datetime.fromtimestamp(1_700_000_000, UTC)
    assert info.days_left(NOW) == 30
    assert info.days_left(NOW + timedelta(days=31)) == -1


@pytest.mark.parametrize("exp", [0, None, "soon", -5, True, 1e300, [1]])
def test_an_end_that_says_nothing_is_no_end(exp: Any) -> None:
    assert describe_token(jwt(exp=exp)).days_left(NOW) is None


@pytest.mark.parametrize("token", ["", "a", "a.b.c", "a.W10.c", "a.é.c", "a.bnVsbA.c"])
def test_a_damaged_token_cannot_be_described(token: str) -> None:
    with pytest.raises(CredentialsError, match="damaged"):
        describe_token(token)


def test_the_environment_comes_first(tmp_path: Path) -> None:
    found = load_credentials(tmp_path / "none", {"MAAP_TOKEN": f"Bearer {TOKEN}"})
    assert (found.offline_token, found.source, found.file) == (TOKEN, "MAAP_TOKEN", None)
    assert (found.client_id, found.client_secret) == (PUBLIC_CLIENT_ID, PUBLIC_CLIENT_SECRET)


@pytest.mark.parametrize(
    "text",
    [
        f"CLIENT_ID=me\nCLIENT_SECRET=my=secret\nOFFLINE_TOKEN={TOKEN}\n",
        f"\ufeff# mine\r\nclient_id = me\r\nclient_secret = 'my=secret'\r\noffline_token = \"{TOKEN}\"\r\n",
        f"CLIENT_ID=me\nCLIENT_SECRET=my=secret\nOFFLINE_TOKEN={TOKEN[:50]}\n{TOKEN[50:90]}\n{TOKEN[90:]}\n",
        f"OFFLINE_TOKEN={TOKEN}\n# CLIENT_ID=no\nCLIENT_SECRET=my=secret\nCLIENT_ID=me",
    ],
)
def test_credentials_files(text: str, tmp_path: Path) -> None:
    file = tmp_path / "credentials.txt"
    file.write_text(text, encoding="utf-8", newline="")
    file.chmod(0o600)
    found = load_credentials(file, {})
    assert (found.client_id, found.client_secret, found.offline_token) == ("me", "my=secret", TOKEN)
    assert found.file == file
    assert TOKEN not in repr(found)
    assert "my=secret" not in repr(found)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no OFFLINE_TOKEN="),
        (b"CLIENT_ID=me\n", "no OFFLINE_TOKEN="),
        (b"OFFLINE_TOKEN=\n", "no OFFLINE_TOKEN="),
        (b"\xff\xfe\x00", "no OFFLINE_TOKEN="),
        (b"OFFLINE_TOKEN=abc\n", "three parts"),
        (None, "Credentials file not found"),
    ],
)
def test_unusable_credentials_files(content: bytes | None, words: str, tmp_path: Path) -> None:
    file = tmp_path / "credentials.txt"
    if content is not None:
        file.write_bytes(content)
        file.chmod(0o600)
    with pytest.raises(CredentialsError, match=words) as caught:
        load_credentials(file, {})
    assert "portal.maap.eo.esa.int" in caught.value.hint


def test_a_folder_in_its_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="cannot be read"):
        load_credentials(tmp_path, {})


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o666, 0o604])
def test_a_file_that_others_can_read_is_refused_with_the_command_that_mends_it(
    mode: int, tmp_path: Path
) -> None:
    file = tmp_path / "credentials.txt"
    save_credentials(Credentials(TOKEN), file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(mode)
    with pytest.raises(CredentialsError, match="can be read by others") as refused:
        load_credentials(file, {})
    assert refused.value.hint == f"Run: chmod 600 {file}"
    save_credentials(Credentials(TOKEN), file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.fault("A7")
async def test_any_number_of_tasks_exchange_once(kit: Callable[..., Kit], archive: Archive) -> None:
    tokens = kit().tokens
    before = archive.tokens.refreshes
    got = await asyncio.gather(*(tokens.access_token() for _ in range(100)))
    assert len(set(got)) == 1
    again = await asyncio.gather(*(tokens.access_token(got[0]) for _ in range(100)))
    assert set(again) != set(got)
    assert len(set(again)) == 1
    assert await tokens.access_token(got[0]) == again[0]
    assert archive.tokens.refreshes == before + 2


async def test_the_form_is_the_one_keycloak_wants(kit: Callable[..., Kit], raw: FileServer) -> None:
    parts = kit(raw)
    assert await parts.tokens.access_token() == "access-1"
    (request,) = raw.requests
    assert request.method == "POST"
    assert parse_qs(request.body.decode()) == {
        "client_id": ["offline-token"],
        "client_secret": [PUBLIC_CLIENT_SECRET],
        "grant_type": ["refresh_token"],
        "refresh_token": [jwt()],
        "scope": ["offline_access openid"],
    }


ODD_REPLIES = {
    "html": answer("200 OK", LOGIN_PAGE, content_type="text/html"),
    "list": answer("200 OK", b"[1, 2]"),
    "null": answer("200 OK", b"null"),
    "empty": answer("200 OK"),
    "deep": answer("200 OK", b"[" * 50_000),
    "null_token": token_reply(access_token=None),
    "number": token_reply(access_token=5),
    "empty_token": token_reply(access_token=""),
    "line_end": token_reply(access_token="canary\r\nX-Evil: 1"),
    "spaces": token_reply(access_token="canary 1"),
    "not_ascii": token_reply(access_token="canaryé"),
    "not_utf8": answer("200 OK", b'{"access_token": "\xff\xfe"}'),
    "busy": answer("503 Service Unavailable", b"<html>", content_type="text/html"),
    "too_many": answer("429 Too Many Requests", retry_after="0"),
    "cut": answer("200 OK", b'{"access', content_length="500"),
    "nothing": b"",
    "redirect": answer("302 Found", location="http://127.0.0.2:1/login"),
    "missing": answer("404 Not Found"),
    "forbidden_by_a_gateway": answer("403 Forbidden", LOGIN_PAGE, content_type="text/html"),
}


@pytest.mark.parametrize("kind", ODD_REPLIES)
@pytest.mark.fault("A1")
@pytest.mark.fault("A3")
@pytest.mark.fault("A10")
async def test_odd_replies_are_trouble_of_the_service(
    kind: str, kit: Callable[..., Kit], raw: FileServer
) -> None:
    raw.at("/token", ODD_REPLIES[kind])
    parts = kit(raw, http_retries=2)
    with pytest.raises(AuthServiceUnavailable) as caught:
        await parts.tokens.access_token()
    told = f"{caught.value!r} {caught.value.hint} {parts.events!r}"
    assert "may be fine" in caught.value.hint
    assert not any(secret in told for secret in ("canary", jwt(), PUBLIC_CLIENT_SECRET))
    assert len(raw.requests) in (1, 3)
    raw.at("/token", token_reply())
    assert await parts.tokens.access_token() == "access-1"


@pytest.mark.fault("A3")
async def test_one_odd_reply_is_asked_away(kit: Callable[..., Kit], raw: FileServer) -> None:
    raw.at("/token", ODD_REPLIES["html"], ODD_REPLIES["busy"], token_reply())
    assert await kit(raw).tokens.access_token() == "access-1"


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [
        (36000, 35940),
        ("300", 270),
        (100, 90),
        *((odd, 270) for odd in (None, 0, -5, "soon", True, [], 1e12)),
    ],
)
@pytest.mark.fault("A3")
@pytest.mark.fault("A8")
async def test_lifetimes(expires_in: Any, seconds: float, kit: Callable[..., Kit], raw: FileServer) -> None:
    raw.at("/token", token_reply(expires_in=expires_in), token_reply(access_token="access-2"))
    time = [1000.0]
    tokens = Tokens(kit(raw).http, raw.url + "/token", lambda: Credentials(jwt()), clock=lambda: time[0])
    assert await tokens.access_token() == "access-1"
    time[0] += seconds - 1
    assert await tokens.access_token() == "access-1"
    time[0] += 2
    assert await tokens.access_token() == "access-2"


@pytest.mark.parametrize("status", [400, 401])
@pytest.mark.fault("A2")
async def test_a_dead_token_is_said_once_and_not_tried_again(
    status: int, kit: Callable[..., Kit], archive: Archive
) -> None:
    archive.faults.add(status=status, target="token")
    tokens = kit().tokens
    for _ in range(3):
        with pytest.raises(AuthenticationError, match=f"Failed to refresh token: {status} ") as caught:
            await tokens.access_token()
        assert not isinstance(caught.value, AuthServiceUnavailable)
        assert "Offline user session not found" in caught.value.message
        assert "maap login" in caught.value.hint
    assert len(asked(archive, "token")) == 1
    archive.faults.clear()
    tokens.forget()
    assert await tokens.access_token()


@pytest.mark.fault("A9")
async def test_what_the_service_quotes_is_hidden(kit: Callable[..., Kit], raw: FileServer) -> None:
    quoted = {"error": "invalid_grant", "error_description": f"{jwt()} {PUBLIC_CLIENT_SECRET} is dead"}
    raw.at("/token", answer("400 Bad Request", json.dumps(quoted).encode()))
    with pytest.raises(AuthenticationError, match="is dead") as caught:
        await kit(raw).tokens.access_token()
    assert jwt() not in caught.value.message
    assert PUBLIC_CLIENT_SECRET not in caught.value.message


def file_tokens(parts: Kit, raw: FileServer, file: Path) -> Tokens:
    return Tokens(
        parts.http, raw.url + "/token", lambda: load_credentials(file, {}), emit=parts.events.append
    )


@pytest.mark.fault("A6")
async def test_a_rotated_token_is_stored_before_the_access_token_is_used(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    file = tmp_path / "credentials.txt"
    save_credentials(Credentials(TOKEN, "me", "secret"), file)
    renewed = jwt(jti="renewed")
    raw.at("/token", token_reply(refresh_token=renewed))
    await file_tokens(kit(raw), raw, file).access_token()
    found = load_credentials(file, {})
    assert (found.offline_token, found.client_id, found.client_secret) == (renewed, "me", "secret")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["credentials.txt"]


@pytest.mark.parametrize("rotated", [TOKEN, "", "nonsense", jwt(typ="Bearer"), 5, "a.b.c\r\n"])
async def test_what_is_no_new_offline_token_is_not_stored(
    rotated: Any, kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    file = tmp_path / "credentials.txt"
    save_credentials(Credentials(TOKEN), file)
    before = file.stat().st_ino
    raw.at("/token", token_reply(refresh_token=rotated))
    await file_tokens(kit(raw), raw, file).access_token()
    assert file.stat().st_ino == before


async def test_a_rotated_token_without_a_file_is_told_of_and_kept(
    kit: Callable[..., Kit], raw: FileServer
) -> None:
    renewed = jwt(jti="renewed")
    raw.at("/token", token_reply(refresh_token=renewed), token_reply(access_token="access-2"))
    parts = kit(raw)
    tokens = Tokens(
        parts.http,
        raw.url + "/token",
        lambda: load_credentials(Path("none"), {"MAAP_TOKEN": TOKEN}),
        emit=parts.events.append,
    )
    assert await tokens.access_token(await tokens.access_token()) == "access-2"
    assert "MAAP_TOKEN" in parts.told(Warned)[0].message
    assert parse_qs(raw.requests[1].body.decode())["refresh_token"] == [renewed]
    assert renewed not in repr(parts.events)


@pytest.mark.fault("A6")
async def test_a_rotated_token_that_cannot_be_stored_still_serves_this_run(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    folder = tmp_path / "gone"
    save_credentials(Credentials(TOKEN), folder / "credentials.txt")
    found = load_credentials(folder / "credentials.txt", {})
    (folder / "credentials.txt").unlink()
    folder.rmdir()
    folder.write_bytes(b"a file where the folder was")
    parts = kit(raw)
    raw.at("/token", token_reply(refresh_token=jwt(jti="renewed")))
    tokens = Tokens(parts.http, raw.url + "/token", lambda: found, emit=parts.events.append)
    assert await tokens.access_token() == "access-1"
    assert "could not be stored" in parts.told(Warned)[0].message


@pytest.mark.fault("A6")
async def test_a_token_that_another_process_rotated_is_read_anew(
    kit: Callable[..., Kit], archive: Archive, tmp_path: Path
) -> None:
    with Archive.start(rotate_tokens=True, now="2026-01-15T00:00:00Z") as rotating:
        rotating.prepare(tmp_path)
        file = tmp_path / "credentials.txt"
        http = kit().http

        def process() -> Tokens:
            return Tokens(http, rotating.token_url, lambda: load_credentials(file, {}))

        first, second = process(), process()
        used = await first.access_token()
        await second.access_token()
        assert await first.access_token(used)
