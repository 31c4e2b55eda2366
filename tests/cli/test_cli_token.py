import contextlib
import io
import json
import socketserver
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from maap_tui.demo import Archive
from maap_tui.demo.tokens import CLIENT_ID, CLIENT_SECRET
from maap_tui.engine.net.credentials import load_credentials


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


WHOLE = f"CLIENT_ID={CLIENT_ID}\nCLIENT_SECRET={CLIENT_SECRET}\nOFFLINE_TOKEN={{}}\n"


@pytest.fixture
def answering() -> Iterator[Callable[[bytes], str]]:
    """Start a server that gives one answer to everything; gives back its URL."""
    with contextlib.ExitStack() as running:

        def start(answer: bytes) -> str:
            class Handler(socketserver.StreamRequestHandler):
                def handle(self) -> None:
                    length = 0
                    while line := self.rfile.readline().strip():
                        name, _, value = line.lower().partition(b":")
                        length = int(value) if name == b"content-length" else length
                    self.rfile.read(length)
                    self.wfile.write(answer)

            server = running.enter_context(socketserver.TCPServer(("127.0.0.1", 0), Handler))
            threading.Thread(target=server.serve_forever, args=(0.01,)).start()
            running.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_address[1]}/token"

        yield start


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


@pytest.mark.parametrize("given", ["nonsense", "a.b.c", "eyJhbGciOi.cut"])
def test_a_token_of_any_form_is_for_the_service_to_refuse(
    maap: Callable, home: Path, monkeypatch, given: str, asked: Callable[[str], int]
) -> None:
    before = (home / "credentials.txt").read_bytes()
    monkeypatch.setattr("sys.stdin", Pipe(given))
    ended = maap("login")
    assert ended.code == 2
    assert "Failed to refresh token: 400 Bad Request (Invalid refresh token)" in ended.err
    assert (home / "credentials.txt").read_bytes() == before
    assert asked("token") == 1


@pytest.mark.parametrize("form", ["{}\n", "export MAAP_TOKEN={} # mine", WHOLE])
def test_an_opaque_token_works_as_any_other(
    maap: Callable, archive: Archive, home: Path, monkeypatch, tmp_path: Path, form: str
) -> None:
    token = archive.tokens.issue_opaque()
    monkeypatch.setattr("sys.stdin", Pipe(form.format(token)))
    ended = maap("login")
    assert ended.code == 0, ended.err
    assert "The token does not say when it expires; it is stored in" in ended.err
    ended = maap("token")
    assert ended.code == 0
    assert "Expires:  not known: the token does not say it" in ended.lines
    row = json.loads(maap("token", "--json").out)
    assert (row["opaque"], row["expires"], row["days_left"]) == (True, None, None)
    ended = maap("token", "--days-left")
    assert (ended.code, ended.out) == (4, "")
    assert "expiry of the offline token is not known" in ended.err
    names = ["EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC", "--orbit", "08574D"]
    ended = maap("get", *names, "--out-dir", tmp_path)
    assert ended.code == 0 and len(list(tmp_path.glob("*.h5"))) == 1
    assert "Warning" not in ended.err
    ended = maap("doctor")
    assert "the offline token does not say when it expires" in ended.out
    assert "the token service accepts it" in ended.out
    assert token not in ended.out + ended.err


def test_a_whole_file_brings_its_client_and_a_token_alone_keeps_it(
    maap: Callable, archive: Archive, home: Path, monkeypatch
) -> None:
    file = home / "credentials.txt"
    monkeypatch.setattr("sys.stdin", Pipe(f"CLIENT_ID=other\nCLIENT_SECRET=x\n{archive.offline_token}"))
    before = file.read_bytes()
    ended = maap("login")
    assert ended.code == 2
    assert "CLIENT_ID and CLIENT_SECRET are refused, not the token" in ended.err
    assert "Get a new" not in ended.err
    assert file.read_bytes() == before
    file.write_text("CLIENT_ID=mine\nCLIENT_SECRET=x\n")
    monkeypatch.setattr("sys.stdin", Pipe(archive.offline_token))
    ended = maap("login")
    assert ended.code == 2
    assert f"Correct them in {file}" in ended.err


@pytest.mark.parametrize(
    ("error", "code"),
    [("temporarily_unavailable", 3), ("server_error", 3), ("invalid_client", 2), ("invalid_request", 4)],
)
def test_what_the_service_says_decides_the_exit_code(
    maap: Callable, monkeypatch, answering: Callable[[bytes], str], error: str, code: int
) -> None:
    body = json.dumps({"error": error}).encode()
    monkeypatch.setenv(
        "MAAP_TOKEN_URL",
        answering(
            b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n"
            b"Connection: close\r\n\r\n%b" % (len(body), body)
        ),
    )
    for words in (["get", "EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC", "--orbit", "08574D"], ["doctor"]):
        ended = maap(*words)
        assert ended.code == code, ended.err
        assert "Get a new" not in ended.err + ended.out


@pytest.mark.parametrize("given", ["", "Bearer ", "two words", "\x1b[31m", "https://portal.maap.eo.esa.int/"])
def test_what_is_certain_to_be_no_token_is_refused_without_asking(
    maap: Callable, home: Path, monkeypatch, given: str, asked: Callable[[str], int]
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
