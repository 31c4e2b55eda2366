from __future__ import annotations

import asyncio
import base64
import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from maap_tui.demo import Archive
from maap_tui.engine.errors import (
    AuthenticationError,
    AuthServiceUnavailable,
    ClientRefusedError,
    TokenRequestError,
    exit_code_of,
    needs_new_token,
)
from maap_tui.engine.events import Warned
from maap_tui.engine.net.credentials import (
    PUBLIC_CLIENT_SECRET,
    Credentials,
    load_credentials,
    save_credentials,
)
from maap_tui.engine.net.tokens import Tokens
from tests.engine.raw_files import FileServer, Request, answer, token_reply
from tests.engine.transfer_kit import LOGIN_PAGE, Kit, asked, jwt

NOW = datetime(2026, 1, 15, tzinfo=UTC)
TOKEN = jwt(preferred_username="someone", exp=int((NOW + timedelta(days=30, hours=5)).timestamp()))


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
    "too_early": answer("425 Too Early"),
}


@pytest.mark.parametrize("kind", ODD_REPLIES)
@pytest.mark.fault("A1")
@pytest.mark.fault("A3")
@pytest.mark.fault("A10")
async def test_odd_replies_are_problem_of_the_service(
    kind: str, kit: Callable[..., Kit], raw: FileServer
) -> None:
    raw.at("/token", ODD_REPLIES[kind])
    parts = kit(raw, http_retries=2)
    with pytest.raises(AuthServiceUnavailable) as caught:
        await parts.tokens.access_token()
    told = f"{caught.value!r} {caught.value.hint} {parts.events!r}"
    assert "may be fine" in caught.value.hint
    if kind in ("html", "redirect"):
        assert f"api.token_url, which is {raw.url}/token" in caught.value.hint
    assert not any(secret in told for secret in ("canary", jwt(), PUBLIC_CLIENT_SECRET))
    assert len(raw.requests) in (1, 3)
    raw.at("/token", token_reply())
    assert await parts.tokens.access_token() == "access-1"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (answer("404 Not Found", b'{"error": "Realm does not exist"}'), "Realm does not exist"),
        (answer("405 Method Not Allowed", LOGIN_PAGE, content_type="text/html"), "no token service answers"),
        (answer("410 Gone"), "no token service answers"),
        (answer("501 Unsupported method ('POST')"), "no token service answers"),
        (answer("403 Forbidden", LOGIN_PAGE, content_type="text/html"), "in front of the token service"),
        (answer("301 Moved Permanently", location="https://u:canary@new.example/t"), "https://new.example/t"),
        (answer("308 Permanent Redirect", location="/t?canary=1"), "has moved to http://127.0.0.1:"),
        (answer("301 Moved Permanently", location="http://[x"), "has moved"),
    ],
    ids=lambda value: value.split(b"\r\n")[0].split()[1].decode() if isinstance(value, bytes) else "",
)
async def test_an_address_that_is_no_token_service_is_named_and_asked_once(
    reply: bytes, said: str, kit: Callable[..., Kit], raw: FileServer
) -> None:
    raw.at("/token", reply)
    tokens = kit(raw, http_retries=2).tokens
    for _ in range(2):
        with pytest.raises(TokenRequestError) as caught:
            await tokens.access_token()
        assert exit_code_of(caught.value) == 4
        assert said in caught.value.message and "canary" not in caught.value.message
        assert f"api.token_url, which is {raw.url}/token" in caught.value.hint
        assert "may be fine" not in caught.value.hint
    assert [request.target for request in raw.requests] == ["/token"]


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
@pytest.mark.parametrize("renewed", [jwt(jti="renewed"), "opaque-2.and/shorter+~"])
async def test_a_rotated_token_is_stored_before_the_access_token_is_used(
    renewed: str, kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    file = tmp_path / "credentials.txt"
    save_credentials(Credentials(TOKEN, "me", "secret"), file)
    raw.at("/token", token_reply(refresh_token=renewed))
    await file_tokens(kit(raw), raw, file).access_token()
    found = load_credentials(file, {})
    assert (found.offline_token, found.client_id, found.client_secret) == (renewed, "me", "secret")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["credentials.txt"]


@pytest.mark.parametrize("rotated", [TOKEN, "", "two words", jwt(typ="Bearer"), 5, "a.b.c\r\n"])
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
async def test_a_token_that_another_process_rotated_is_read_again(
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


@pytest.mark.fault("A6")
async def test_a_token_that_was_replaced_is_never_used_again(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    """A service may take its second use for theft, and end the token that replaced it."""
    file = tmp_path / "credentials.txt"
    save_credentials(Credentials("first"), file)
    raw.at("/token", token_reply(), token_reply(refresh_token="second"), token_reply(access_token="access-3"))
    parts = kit(raw)
    ours, theirs = file_tokens(parts, raw, file), file_tokens(parts, raw, file)
    await ours.access_token()
    await theirs.access_token()
    assert await ours.access_token("access-1") == "access-3"
    sent = [parse_qs(request.body.decode())["refresh_token"] for request in raw.requests]
    assert sent == [["first"], ["first"], ["second"]]


@pytest.mark.fault("A6")
async def test_a_token_that_is_replaced_while_its_task_is_cancelled_is_kept(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    """As when a transfer is paused just then."""
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def serve(request: Request, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await go_on.wait()
        writer.write(token_reply(refresh_token="second"))

    raw.at("/token", serve)
    file = tmp_path / "credentials.txt"
    save_credentials(Credentials("first"), file)
    task = asyncio.create_task(file_tokens(kit(raw), raw, file).access_token())
    await arrived.wait()
    task.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert load_credentials(file, {}).offline_token == "second"


def refused(error: str, status: str = "400 Bad Request") -> bytes:
    return answer(status, json.dumps({"error": error}).encode(), content_type="application/json")


@pytest.mark.parametrize("token", [TOKEN, "0kx-Vs.opaque_token", "eyJhbGciOi.cut", "a" * 43, "a.b.c.d.e"])
async def test_a_token_of_any_form_is_for_the_service_to_judge(
    token: str, kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    file = tmp_path / "credentials.txt"
    file.write_text(f"OFFLINE_TOKEN={token}\n")
    file.chmod(0o600)
    tokens = file_tokens(kit(raw), raw, file)
    assert await tokens.access_token() == "access-1"
    assert parse_qs(raw.requests[0].body.decode())["refresh_token"] == [token]
    raw.at("/token", refused("invalid_grant"))
    tokens.forget()
    with pytest.raises(AuthenticationError, match="invalid_grant") as caught:
        await tokens.access_token()
    assert "maap login" in caught.value.hint
    assert ("copy the whole of it" in caught.value.hint) == token.endswith("cut")


@pytest.mark.parametrize(
    ("error", "kind", "words", "remedy"),
    [
        ("invalid_grant", AuthenticationError, "invalid_grant", "Get a new"),
        ("invalid_scope", AuthenticationError, "has been withdrawn", "Get a new"),
        ("unheard_of", AuthenticationError, "unheard_of", "Get a new"),
        ("invalid_client", ClientRefusedError, "CLIENT_ID and CLIENT_SECRET", "CLIENT_ID="),
        ("unauthorized_client", ClientRefusedError, "CLIENT_ID and CLIENT_SECRET", "CLIENT_ID="),
        ("unsupported_grant_type", TokenRequestError, "takes no offline tokens", "api.token_url"),
        ("invalid_request", TokenRequestError, "does not understand", "api.token_url"),
    ],
)
@pytest.mark.parametrize("status", ["400 Bad Request", "401 Unauthorized"])
async def test_a_refusal_says_what_helps(
    status: str,
    error: str,
    kind: type[AuthenticationError],
    words: str,
    remedy: str,
    kit: Callable[..., Kit],
    raw: FileServer,
) -> None:
    raw.at("/token", refused(error, status))
    with pytest.raises(AuthenticationError, match=words) as caught:
        await kit(raw).tokens.access_token()
    assert type(caught.value) is kind
    assert remedy in caught.value.hint
    assert (
        ("Get a new" in caught.value.hint) == needs_new_token(caught.value) == (kind is AuthenticationError)
    )


async def test_a_client_of_ones_own_is_named_with_its_file(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    file = tmp_path / "credentials.txt"
    save_credentials(Credentials(TOKEN, "mine", "my-secret"), file)
    raw.at("/token", refused("unauthorized_client"))
    tokens = file_tokens(kit(raw), raw, file)
    with pytest.raises(ClientRefusedError) as caught:
        await tokens.access_token()
    assert f"Correct them in {file}" in caught.value.hint
    raw.at("/token", refused("invalid_grant"))
    tokens.forget()
    with pytest.raises(AuthenticationError) as caught:
        await tokens.access_token()
    assert f"issued to the CLIENT_ID in {file}" in caught.value.hint


@pytest.mark.parametrize("error", ["temporarily_unavailable", "server_error"])
@pytest.mark.parametrize("status", ["400 Bad Request", "401 Unauthorized", "500 Internal Server Error"])
async def test_an_error_of_the_service_itself_is_asked_away(
    status: str, error: str, kit: Callable[..., Kit], raw: FileServer
) -> None:
    raw.at("/token", refused(error, status), token_reply())
    assert await kit(raw).tokens.access_token() == "access-1"
    raw.at("/token", refused(error, status))
    with pytest.raises(AuthServiceUnavailable, match=f"unavailable: {status[:3]}.*{error}") as caught:
        await kit(raw, http_retries=1).tokens.access_token()
    assert "may be fine" in caught.value.hint and "Get a new" not in caught.value.hint


async def test_a_service_that_takes_the_secret_in_the_header_alone(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    async def serve(request: Request, writer: asyncio.StreamWriter) -> None:
        given = request.headers.get("authorization", "")
        good = given == "Basic " + base64.b64encode(b"me%3A:my+secret%26").decode()
        writer.write(token_reply() if good else refused("invalid_client", "401 Unauthorized"))

    raw.at("/token", serve)
    file = tmp_path / "credentials.txt"
    save_credentials(Credentials(TOKEN, "me:", "my secret&"), file)
    tokens = file_tokens(kit(raw), raw, file)
    assert await tokens.access_token(await tokens.access_token("")) == "access-1"
    assert "client_id" in parse_qs(raw.requests[0].body.decode())
    # Both ways at once are forbidden, and what worked is gone on with.
    assert [sorted(parse_qs(one.body.decode())) for one in raw.requests[1:]] == [
        ["grant_type", "refresh_token"]
    ] * (len(raw.requests) - 1)


async def test_a_client_without_a_secret_sends_none(
    kit: Callable[..., Kit], raw: FileServer, tmp_path: Path
) -> None:
    file = tmp_path / "credentials.txt"
    file.write_text(f"CLIENT_ID=mine\nOFFLINE_TOKEN={TOKEN}\n")
    file.chmod(0o600)
    await file_tokens(kit(raw), raw, file).access_token()
    sent = parse_qs(raw.requests[0].body.decode())
    assert sent["client_id"] == ["mine"] and "client_secret" not in sent


@pytest.mark.parametrize(
    ("kind", "works"), [("Bearer", True), ("bearer", True), ("", True), (None, True), ("DPoP", False)]
)
async def test_types_of_access_tokens(
    kind: str | None, works: bool, kit: Callable[..., Kit], raw: FileServer
) -> None:
    raw.at("/token", token_reply(token_type=kind))
    tokens = kit(raw).tokens
    if works:
        assert await tokens.access_token() == "access-1"
    else:
        with pytest.raises(TokenRequestError, match="of the type 'DPoP'"):
            await tokens.access_token()
    assert len(raw.requests) == 1
