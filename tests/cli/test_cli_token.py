import io
import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from maap_tui.demo import Archive
from maap_tui.engine.tokens import load_credentials


class Pipe(io.TextIOWrapper):
    def __init__(self, text: str) -> None:
        super().__init__(io.BytesIO(text.encode()), encoding="utf-8")


def test_the_token_describes_itself_without_a_request(
    maap: Callable, archive: Archive, asked: Callable[[str], int]
) -> None:
    ended = maap("token")
    assert ended.code == 0
    assert ended.lines[0] == "Name:     demo"
    assert "days left" in ended.out
    assert archive.offline_token not in ended.out
    row = json.loads(maap("token", "--json").out)
    assert row["name"] == "demo" and row["kind"] == "Offline"
    assert int(maap("token", "--days-left").out) == row["days_left"] > 10000
    assert asked("token") == 0


def test_an_expired_token_is_2_and_its_days_are_negative(maap: Callable, home: Path) -> None:
    with Archive.start(now="2020-01-01T00:00:00Z") as old:
        token = old.offline_token
    (home / "credentials.txt").write_text(f"OFFLINE_TOKEN={token}\n")
    ended = maap("token", "--days-left")
    assert ended.code == 2
    assert int(ended.out) < 0
    assert "has expired" in ended.err


def test_no_token_is_2(maap: Callable, home: Path) -> None:
    (home / "credentials.txt").unlink()
    assert maap("token").code == 2


def test_a_file_that_others_can_read_is_2_until_it_is_mended(maap: Callable, home: Path) -> None:
    file = home / "credentials.txt"
    file.chmod(0o640)
    for words in (["token"], ["download", "EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC", "-d", "1"]):
        ended = maap(*words)
        assert ended.code == 2
        assert "can be read by others (mode 0640)" in ended.err and f"chmod 600 {file}" in ended.err
    file.chmod(0o600)
    assert maap("token").code == 0


@pytest.mark.parametrize(
    "form", ["{}", "Bearer {}\n", '"{}"', "OFFLINE_TOKEN={}", '{{"refresh_token": "{}"}}']
)
def test_login_takes_what_people_paste(
    maap: Callable, archive: Archive, home: Path, monkeypatch, form: str, asked: Callable[[str], int]
) -> None:
    file = home / "credentials.txt"
    file.unlink()
    monkeypatch.setattr("sys.stdin", Pipe(form.format(archive.offline_token)))
    ended = maap("login")
    assert ended.code == 0, ended.err
    assert "Signed in as demo" in ended.err and "good until" in ended.err
    assert archive.offline_token not in ended.out + ended.err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load_credentials(file, {}).offline_token == archive.offline_token
    assert asked("token") == 1


def test_login_from_a_file_keeps_the_client_and_closes_the_file_to_others(
    maap: Callable, archive: Archive, home: Path, tmp_path: Path
) -> None:
    file = home / "credentials.txt"
    file.chmod(0o644)
    (tmp_path / "token").write_text(archive.offline_token)
    assert maap("login", "--token-file", tmp_path / "token").code == 0
    assert load_credentials(file, {}).client_id == "offline-token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("given", ["", "nonsense", "a.b.c", "\x1b[31m"])
def test_what_is_no_token_is_refused_before_it_is_stored(
    maap: Callable, archive: Archive, home: Path, monkeypatch, given: str, asked: Callable[[str], int]
) -> None:
    before = (home / "credentials.txt").read_bytes()
    monkeypatch.setattr("sys.stdin", Pipe(given))
    ended = maap("login")
    assert ended.code == 2
    assert "\x1b" not in ended.err
    assert (home / "credentials.txt").read_bytes() == before
    assert asked("token") == 0


def test_a_token_that_the_service_refuses_is_not_stored(
    maap: Callable, archive: Archive, home: Path, monkeypatch
) -> None:
    before = (home / "credentials.txt").read_bytes()
    for status, code in ((401, 2), (503, 3)):
        archive.faults.clear()
        archive.control(status=status, target="token")
        monkeypatch.setattr("sys.stdin", Pipe(archive.offline_token))
        ended = maap("login")
        assert ended.code == code
        assert str(status) in ended.err
    assert (home / "credentials.txt").read_bytes() == before


def test_a_token_that_is_replaced_while_it_is_checked(home: Path, maap: Callable, monkeypatch) -> None:
    with Archive.start(now="2026-01-15T00:00:00Z", offline_days=36500, rotate_tokens=True) as rotating:
        monkeypatch.setenv("MAAP_TOKEN_URL", rotating.token_url)
        monkeypatch.setattr("sys.stdin", Pipe(rotating.offline_token))
        assert maap("login").code == 0
        stored = load_credentials(home / "credentials.txt", {}).offline_token
        assert stored != rotating.offline_token
        monkeypatch.setattr("sys.stdin", Pipe(stored))
        assert maap("login").code == 0


def test_the_environment_goes_first_and_login_says_so(maap: Callable, archive: Archive, monkeypatch) -> None:
    monkeypatch.setenv("MAAP_TOKEN", archive.offline_token)
    assert "MAAP_TOKEN" in maap("token").out
    monkeypatch.setattr("sys.stdin", Pipe(archive.offline_token))
    assert "MAAP_TOKEN is set" in maap("login").err
