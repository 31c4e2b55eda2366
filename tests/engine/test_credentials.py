from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from maap_tui.engine.errors import CredentialsError
from maap_tui.engine.net.credentials import (
    PUBLIC_CLIENT_ID,
    PUBLIC_CLIENT_SECRET,
    Credentials,
    describe_token,
    load_credentials,
    read_pasted,
    save_credentials,
)
from tests.engine.raw_files import jwt

NOW = datetime(2026, 1, 15, tzinfo=UTC)
TOKEN = jwt(preferred_username="someone", exp=int((NOW + timedelta(days=30, hours=5)).timestamp()))
OPAQUE = "0.AXkA-9s/kd+8Qa~opaque_1"
WRAPPED = "\n".join(TOKEN[i : i + 64] for i in range(0, len(TOKEN), 64))
WHOLE = "CLIENT_ID=me\nCLIENT_SECRET=my=secret\nOFFLINE_TOKEN={}\n"

FORMS = {
    "alone": "{}",
    "spaces around": "  {}\n",
    "bearer": "Bearer {}",
    "header": "Authorization: bearer {}",
    "quotes": '"{}"',
    "quotes and a comma": "'{}',",
    "typographic quotes": "\u201c{}\u201d",
    "backquotes": "`{}`",
    "byte order mark": "\ufeff{}\r\n",
    "zero width": "\u200b{}\u2060\u200d",
    "no-break space": "\xa0{}\u202f\n",
    "bracketed paste": "\x1b[200~{}\x1b[201~",
    "control characters": "\x01{}\x07",
    "zsh percent": "{}%\n",
    "json": '{{"access_token": "x", "refresh_token": "{}"}}',
    "json and percent": '{{\n  "offline_token": "{}"\n}}%',
    "part of json": '  "refresh_token": "{}",',
    "assignment": "OFFLINE_TOKEN={}",
    "export": "export MAAP_TOKEN='{}'",
    "export of any name": "export X={}",
    "export, spaces, comment": "export  OFFLINE_TOKEN={}   # until March",
    "colon": "offline_token : {}",
    "words": "Offline token: {}",
    "dashes": "offline-token: {}",
    "comment": "OFFLINE_TOKEN={} # from the portal = mine",
    "comment after quotes": 'OFFLINE_TOKEN="{}" # mine',
    "comment above": "# my token\n\n{}\n",
    "section": "[credentials]\noffline_token = {}\n",
    "powershell": '$env:OFFLINE_TOKEN = "{}"',
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("token", [TOKEN, OPAQUE], ids=["jwt", "opaque"])
def test_forms_that_people_have(form: str, token: str, tmp_path: Path) -> None:
    text = FORMS[form].format(token)
    assert read_pasted(text).token == token
    file = tmp_path / "credentials.txt"
    file.write_text(text, encoding="utf-8", newline="")
    file.chmod(0o600)
    found = load_credentials(file, {})
    assert (found.offline_token, found.client_id, found.file) == (token, PUBLIC_CLIENT_ID, file)
    from_environment = load_credentials(file, {"MAAP_TOKEN": text})
    assert (from_environment.offline_token, from_environment.file) == (token, None)


@pytest.mark.parametrize(
    "text",
    [
        WRAPPED,
        f"'{WRAPPED}'",
        WRAPPED.replace("\n", " \\\n   "),
        WRAPPED.replace("\n", "\u2028"),
        f"Bearer {WRAPPED}",
        f"OFFLINE_TOKEN={WRAPPED}",
        TOKEN[:40] + "\u200b" + TOKEN[40:],
        TOKEN[:40] + " " + TOKEN[40:],
        f"Your offline token is {TOKEN} - keep it secret",
        f"Here it is:\n\n{TOKEN}\n\nIt expires soon.",
    ],
)
def test_tokens_that_were_broken_or_stand_among_words(text: str) -> None:
    assert read_pasted(text).token == TOKEN


@pytest.mark.parametrize(
    "text",
    [
        WHOLE.format(TOKEN),
        WHOLE.format(OPAQUE),
        f"\ufeff# mine\r\nclient_id = me\r\nclient_secret = 'my=secret'\r\noffline_token = \"{TOKEN}\"\r\n",
        f"CLIENT_ID=me\nCLIENT_SECRET=my=secret\nOFFLINE_TOKEN={WRAPPED}\n",
        f"OFFLINE_TOKEN={TOKEN}\n# CLIENT_ID=no\nCLIENT_SECRET=my=secret\nCLIENT_ID=me",
        f"client_id: me\nclient_secret: my=secret # shared\noffline_token: {OPAQUE} # 90 days\n",
        f"export CLIENT_ID=me\nexport CLIENT_SECRET='my=secret'\nexport OFFLINE_TOKEN='{TOKEN}'\n",
        f"CLIENT_ID=me\nCLIENT_SECRET=my=secret\n{OPAQUE}\n",
        f"OTHER=1\nCLIENT_ID=me\nACCESS_TOKEN=short\nCLIENT_SECRET=my=secret\nOFFLINE_TOKEN={OPAQUE}",
        json.dumps({"client_id": "me", "client_secret": "my=secret", "offline_token": OPAQUE}),
    ],
)
def test_whole_credentials_files(text: str, tmp_path: Path) -> None:
    pasted = read_pasted(text)
    assert (pasted.client_id, pasted.client_secret) == ("me", "my=secret")
    assert pasted.token in (TOKEN, OPAQUE)
    file = tmp_path / "credentials.txt"
    file.write_text(text, encoding="utf-8", newline="")
    file.chmod(0o600)
    found = load_credentials(file, {})
    assert (found.client_id, found.client_secret) == ("me", "my=secret")
    assert found.offline_token == pasted.token
    assert not any(secret in repr((found, pasted)) for secret in (TOKEN, OPAQUE, "my=secret"))
    assert load_credentials(file, {"MAAP_TOKEN": text}).client_secret == "my=secret"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_files_of_windows_shells(encoding: str, tmp_path: Path) -> None:
    file = tmp_path / "credentials.txt"
    file.write_bytes(f"OFFLINE_TOKEN={OPAQUE}\r\n".encode(encoding))
    file.chmod(0o600)
    assert load_credentials(file, {}).offline_token == OPAQUE
    file.write_bytes(f"{TOKEN}\r\n".encode(encoding))
    assert load_credentials(file, {}).offline_token == TOKEN


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("Bearer ", "empty"),
        ("\u200b\xa0\ufeff", "empty"),
        ("OFFLINE_TOKEN=''", "empty"),
        ("# only a comment", "empty"),
        ("CLIENT_ID=me\nCLIENT_SECRET=secret\n", "empty"),
        ("DATABASE_PASSWORD=hunter22hunter22\nAPI_KEY=hunter33hunter33", "empty"),
        (json.dumps({"access_token": TOKEN}), "no offline token"),
        ('{"refresh_token": "cut', "cannot be read as JSON"),
        ("{" * 5000, "cannot be read as JSON"),
        ("please sign in at the portal first", "spaces"),
        (f"{OPAQUE} {OPAQUE}", "spaces"),
        (f"{TOKEN}\n{jwt(jti='another')}\n", "several tokens"),
        ("https://portal.maap.eo.esa.int/ini/services/auth/token/", "web address"),
        ("<!DOCTYPE html>", "web page"),
        (TOKEN + "\xe9", r"U\+00E9"),
        (jwt(typ="Bearer"), "access token"),
        (f"OFFLINE_TOKEN={jwt(typ='Bearer')}", "access token"),
        (jwt(typ="ID"), "ID token"),
    ],
)
def test_what_is_certain_to_be_no_offline_token_is_refused_unseen(
    text: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(CredentialsError, match=words) as caught:
        read_pasted(text)
    assert caught.value.hint
    shown = f"{caught.value!r}{caught.value.hint}"
    assert not any(secret in shown for secret in (TOKEN[:20], OPAQUE, "hunter", "at the portal first"))
    file = tmp_path / "credentials.txt"
    file.write_text(text)
    file.chmod(0o600)
    missing = "no OFFLINE_TOKEN=" if words == "empty" else words
    with pytest.raises(CredentialsError, match=missing) as caught:
        load_credentials(file, {})
    assert str(file) in caught.value.message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xff\x01", r"U\+DCFF"),
        (b"OFFLINE_TOKEN=\xff\n", r"U\+DCFF"),
        (b"\xff\xfe\x00", r"U\+FFFD"),
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
    assert caught.value.hint


def test_a_token_tells_about_itself() -> None:
    info = describe_token(TOKEN)
    assert (info.kind, info.name, info.is_opaque) == ("Offline", "someone", False)
    assert info.issued == datetime.fromtimestamp(1_700_000_000, UTC)
    assert info.days_left(NOW) == 30
    assert info.days_left(NOW + timedelta(days=31)) == -1


@pytest.mark.parametrize("exp", [0, None, "soon", -5, True, 1e300, [1]])
def test_an_end_that_says_nothing_is_no_end(exp: Any) -> None:
    info = describe_token(jwt(exp=exp))
    assert (info.days_left(NOW), info.is_opaque) == (None, False)


@pytest.mark.parametrize("token", [OPAQUE, "a", "a.b.c", "a.W10.c", "a.\xe9.c", "a.bnVsbA.c", TOKEN[:60]])
def test_an_opaque_token_says_nothing(token: str) -> None:
    info = describe_token(token)
    assert (info.is_opaque, info.kind, info.name, info.days_left(NOW)) == (True, "", "", None)


def test_the_environment_comes_first(tmp_path: Path) -> None:
    found = load_credentials(tmp_path / "none", {"MAAP_TOKEN": f"Bearer {TOKEN}"})
    assert (found.offline_token, found.source, found.file) == (TOKEN, "MAAP_TOKEN", None)
    assert (found.client_id, found.client_secret) == (PUBLIC_CLIENT_ID, PUBLIC_CLIENT_SECRET)
    with pytest.raises(CredentialsError, match="MAAP_TOKEN has no offline token"):
        load_credentials(tmp_path / "none", {"MAAP_TOKEN": "Bearer "})


def test_the_public_secret_goes_with_the_public_client_alone(tmp_path: Path) -> None:
    file = tmp_path / "credentials.txt"
    file.write_text(f"CLIENT_ID=mine\nOFFLINE_TOKEN={TOKEN}\n")
    file.chmod(0o600)
    assert load_credentials(file, {}).client_secret == ""


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
