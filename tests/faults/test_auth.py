"""The token service fails, refuses or lies: what is transient is waited for, and no secret is ever shown."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import shutil
import stat
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from unittest import mock
from urllib.parse import parse_qs

import pytest

from tests.engine.raw_files import Request, answer, jwt, token_reply
from tests.faults.answers import measure_secrets
from tests.faults.renewals import measure_renewals, measure_renewals_over_time
from tests.faults.scenarios import AUTH, GONE, Scenario
from tests.faults.stage import CANARY, NAMES, OFFLINE, SYNC, Stage, run
from tests.faults.test_network import cases


@pytest.mark.parametrize("scenario", cases(AUTH))
def test_a_sync_ends_as_promised(scenario: Scenario, tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        _, wrong = scenario.play(stage)
    assert wrong == []


@pytest.mark.fault("A4")
@pytest.mark.fault("A7")
def test_many_tasks_renew_once(tmp_path: Path) -> None:
    figure = measure_renewals(100, tmp_path)
    assert figure.kept, figure


@pytest.mark.fault("A7")
def test_short_lived_tokens_are_renewed_in_time_and_no_more(tmp_path: Path) -> None:
    figure = measure_renewals_over_time(100, tmp_path, lifetime_s=1.2)
    assert figure.kept, figure


class Rotating:
    """A token service that gives a new offline token each time and buries the one it was asked with."""

    def __init__(self, stage: Stage, *, delay_s: float = 0.0) -> None:
        self.alive = OFFLINE
        self.given = 0
        self.refused = 0
        self._stage = stage
        self._delay_s = delay_s
        stage.server.at("/token", self)

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        (asked,) = parse_qs(request.body.decode())["refresh_token"]
        if asked != self.alive:
            self.refused += 1
            writer.write(answer("400 Bad Request", GONE))
            return
        self.given += 1
        self.alive = jwt(jti=self.given).rpartition(".")[0] + f".{CANARY}-{self.given}"
        await asyncio.sleep(self._delay_s)
        granted = f"{self._stage.access}{self.given}"
        writer.write(token_reply(access_token=granted, refresh_token=self.alive))


@pytest.mark.fault("A6")
def test_a_rotated_token_serves_the_next_run(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        service = Rotating(stage)
        file, shared = stage.home / "credentials.txt", stage.home / "credentials.txt.access"
        for number in range(1, 4):
            stage.add_good()
            assert stage.maap(*SYNC).code == 0
            assert (service.given, service.refused) == (number, 0)
            assert f"OFFLINE_TOKEN={service.alive}\n" in file.read_text()
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            shared.unlink()
        assert stage.leaks() == stage.strayed() == []


def together(stage: Stage, commands: Sequence[Sequence[object]]) -> list[int]:
    """Exit codes of commands that a process each runs at the same time."""
    children = []
    for words in commands:
        child = os.fork()
        if child == 0:
            code = 70
            try:
                code = run(*words, environ=stage.environment).code
            finally:
                os._exit(code)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


@pytest.mark.fault("A6")
@pytest.mark.fault("A7")
def test_processes_that_renew_at_once_ask_once_and_none_is_refused(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        service = Rotating(stage, delay_s=0.3)
        # Each a file of its own: those of one file would wait for one another there.
        urls = stage.add_good(8)
        commands = [("download", *NAMES, "-u", url) for url in urls]
        assert together(stage, commands) == [0] * 8
        assert (service.given, service.refused) == (1, 0)
        assert len(stage.finals) == 8 and stage.wrong_files() == []


@pytest.mark.fault("A7")
@pytest.mark.parametrize("damage", ["torn", "readable", "link", "another's", "refused", "old"])
def test_a_shared_token_that_cannot_be_used_is_asked_for_again(damage: str, tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        stage.add_good()
        assert stage.maap(*SYNC).code == 0
        shared = stage.home / "credentials.txt.access"
        text = shared.read_text()
        assert f"{stage.access}1" in text and OFFLINE not in text
        assert stat.S_IMODE(shared.stat().st_mode) == 0o600
        stage.add_good()
        assert stage.maap(*SYNC).code == 0
        assert len(stage.asked("/token", "POST")) == 1
        if damage == "torn":
            shared.write_text(text[:40])
        elif damage == "readable":
            shared.chmod(0o644)
        elif damage == "link":
            shared.rename(stage.folder / "elsewhere")
            shared.symlink_to(stage.folder / "elsewhere")
        elif damage == "another's":
            credentials = stage.home / "credentials.txt"
            credentials.write_text(credentials.read_text().replace("CLIENT_ID=me", "CLIENT_ID=you"))
        elif damage == "old":
            ended = re.sub('"ends": [0-9]+', f'"ends": {int(time.time()) + 30}', text)
            shared.write_text(ended.replace('"boot": "', '"boot": "x'))
        stage.add_good()
        if damage == "refused":
            _refuse_the_first(stage)
        assert stage.maap(*SYNC).code == 0
        assert len(stage.asked("/token", "POST")) == 2
        assert len(stage.finals) == 3
        (stage.folder / "elsewhere").unlink(missing_ok=True)
        assert f"{stage.access}2" in shared.read_text()
        assert stat.S_IMODE(shared.stat().st_mode) == 0o600
        assert not shared.is_symlink()


def _refuse_the_first(stage: Stage) -> None:
    """Let the file that was added last want a newer token than the first."""
    path = next(reversed(stage.server.replies))
    (good,) = stage.server.replies[path]

    async def serve(request: Request, writer: asyncio.StreamWriter) -> None:
        is_old = request.headers["authorization"].endswith("-1")
        writer.write(answer("401 Unauthorized") if is_old else good)  # type: ignore[arg-type]

    stage.server.at(path, serve)


@pytest.mark.fault("A7")
def test_processes_with_a_token_of_the_environment_ask_once(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        credentials = stage.home / "credentials.txt"
        credentials.rename(tmp_path / "elsewhere")
        commands = [("download", *NAMES, "-u", url) for url in stage.add_good(4)]
        stage.environ["MAAP_TOKEN"] = OFFLINE
        assert together(stage, commands) == [0] * 4
        assert len(stage.asked("/token", "POST")) == 1 and len(stage.finals) == 4
        (shared,) = (stage.home / "state" / "access").iterdir()
        assert stat.S_IMODE(shared.stat().st_mode) == 0o600 and OFFLINE not in shared.read_text()
        (tmp_path / "elsewhere").unlink()
        assert stage.leaks() == []
        stage.environ["MAAP_TOKEN"] = jwt(jti="another")
        stage.add_good()
        assert stage.maap(*SYNC).code == 0
        assert len(stage.asked("/token", "POST")) == 2 and not credentials.exists()


@pytest.mark.fault("A7")
def test_a_token_that_another_machine_shares_is_used(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        shared = stage.home / "credentials.txt.access"
        for _ in range(2):
            stage.add_good()
            assert stage.maap(*SYNC).code == 0
            shared.write_text(shared.read_text().replace('"boot": "', '"boot": "another '))
        assert len(stage.asked("/token", "POST")) == 1 and len(stage.finals) == 2


@pytest.mark.fault("A8")
@pytest.mark.parametrize("step", [86_400, -86_400])
def test_a_clock_that_jumps_costs_no_renewal(step: int, tmp_path: Path) -> None:
    real, jumps = time.time, itertools.count(1)
    with Stage(tmp_path) as stage:
        stage.add_good(20)
        with mock.patch.object(time, "time", lambda: real() + step * next(jumps)):
            ended = stage.maap(*SYNC)
        assert (ended.code, len(stage.finals)) == (0, 20)
        assert len(stage.asked("/token", "POST")) == 1


@pytest.mark.fault("A8")
def test_a_clock_that_says_the_token_is_over_does_not_decide(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        stage.add_good()
        credentials = stage.home / "credentials.txt"
        over = jwt(exp=int(time.time()) - 86_400)
        credentials.write_text(f"OFFLINE_TOKEN={over}\n")
        ended = stage.maap(*SYNC)
        assert (ended.code, len(stage.finals)) == (0, 1)
        assert "expired on" in ended.err


@pytest.mark.fault("A2")
@pytest.mark.parametrize(("days", "said"), [(13.5, "13 days"), (6.5, "6 days"), (1.5, "1 day"), (20, "")])
def test_the_end_of_the_offline_token_is_said_in_time(days: float, said: str, tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        stage.add_good()
        text = f"OFFLINE_TOKEN={jwt(exp=int(time.time() + days * 86_400))}\n"
        (stage.home / "credentials.txt").write_text(text)
        ended = stage.maap(*SYNC)
    assert ended.code == 0
    assert (f"The offline token has {said} left" if said else "") in ended.err
    assert ended.err.count("The offline token") == bool(said)


@pytest.mark.fault("A9")
@pytest.mark.fault("A10")
def test_no_secret_can_be_read_anywhere(tmp_path: Path) -> None:
    figure = measure_secrets(4, tmp_path)
    assert figure.kept, figure


@pytest.mark.fault("A9")
@pytest.mark.parametrize(
    "words",
    [
        ("login", OFFLINE),
        ("login", "--token", OFFLINE),
        ("token", OFFLINE),
        (*SYNC, "--token", OFFLINE),
        ("config", "set", "api.token", OFFLINE),
        ("download", *NAMES, "-u", f"http://{OFFLINE}@127.0.0.1/data/a.h5"),
    ],
    ids=["login", "login_option", "token", "sync", "config", "url"],
)
def test_a_token_on_the_command_line_is_not_repeated(words: Sequence[str], tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        ended = stage.maap(*words)
        assert ended.code == 4
        assert stage.leaks() == []


@pytest.mark.fault("H8")
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_a_script_for_curl_sends_the_token_to_the_archive_alone(tmp_path: Path) -> None:
    with Stage(tmp_path / "stage") as stage:
        stage.add_good(2)
        asset = stage.items[0]["assets"]
        for one in asset.values():
            one["href"] = one["href"].replace(stage.url, stage.elsewhere)
        ended = stage.maap("plan", *SYNC[1:], "--print", "curl", "-o", str(tmp_path / "get.sh"))
        assert ended.code == 4 and "not on the archive" in ended.err and "Planned 1 file" in ended.err
        token = OFFLINE + "&a=b%20+"  # a token is opaque, and may hold what a form gives a meaning
        environ = {"PATH": os.environ["PATH"], "MAAP_DATA_DIR": str(stage.data), "MAAP_TOKEN": token}
        done = subprocess.run(["sh", tmp_path / "get.sh"], env=environ, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        assert len(stage.finals) == 1 and stage.strayed() == []
        (asked,) = stage.asked("/token", "POST")
        assert parse_qs(asked.body.decode())["refresh_token"] == [token]
