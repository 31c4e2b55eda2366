"""What only a process of its own shows: pipes, signals, terminals, what is imported and what it costs."""

import asyncio
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maap_tui.demo import Archive
from maap_tui.demo.tokens import CLIENT_SECRET, read, sign
from maap_tui.engine.net.credentials import load_credentials
from tests import forking
from tests.homes import PATIENCE_S

CLD = ("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")
DAY = ("--date", "2025-12-01")
ROOT = Path(__file__).parents[2]


def test_the_version_costs_little() -> None:
    program = (
        "import sys\n"
        "from maap_tui.cli.main import main\n"
        "main(['--version'])\n"
        "print(*sorted(name for name in sys.modules if name.startswith('maap_tui')))\n"
        "print(sys.modules.keys() & {'argparse', 'asyncio', 'importlib.metadata'})\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    version, ours, theirs = ended.stdout.splitlines()
    assert re.fullmatch(r"maap \d+\.\d+\.\d+", version)
    assert (ours, theirs) == ("maap_tui maap_tui.cli maap_tui.cli.main maap_tui.version", "set()")


@pytest.mark.parametrize(
    ("words", "never"),
    [
        (["list"], ["textual", "rich", "httpx", "asyncio", "maap_tui.engine.session"]),
        (["-h"], ["textual", "rich", "httpx", "asyncio", "maap_tui.engine.config.settings"]),
        (["config"], ["textual", "rich", "httpx", "asyncio"]),
        (["state", "show"], ["textual", "rich", "httpx"]),
        (["token"], ["textual", "rich", "httpx"]),
        (["search", *CLD, *DAY, "-q", "-n", "1"], ["textual", "maap_tui.cli.progress"]),
        (["sync", *CLD, *DAY, "-n", "1"], ["textual", "maap_tui.cli.progress", "maap_tui.demo.archive"]),
        (["demo", "--", "list"], ["textual", "rich"]),
    ],
)
def test_a_command_imports_only_what_it_needs(home: Path, words: list[str], never: list[str]) -> None:
    program = (
        "import sys\n"
        "from maap_tui.cli.main import main\n"
        f"code = main({words!r})\n"
        f"print([name for name in {never!r} if name in sys.modules], code, file=sys.stderr)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert ended.stderr.splitlines()[-1] == "[] 0"


def test_a_download_with_an_access_token_at_hand_does_without_httpx(maap: Callable[..., Any]) -> None:
    url = json.loads(maap("sync", *CLD, *DAY, "-n", "1", "--json").out.splitlines()[0])["url"]
    program = (
        "import sys\n"
        "from maap_tui.cli.main import main\n"
        f"code = main(['download', *{CLD!r}, '-q', '-o', 'here', '-u', {url!r}])\n"
        "print('httpx' in sys.modules, 'aiohttp' in sys.modules, code, file=sys.stderr)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert ended.stderr.splitlines()[-1] == "False True 0"
    assert list(Path("here").glob("*.h5"))


def test_a_reader_that_goes_away_is_no_error(start: Callable) -> None:
    process = start("search", *CLD, "--start", "2025-12-01", "--end", "2025-12-09")
    assert process.stdout.read(10) == b"http://127"
    process.stdout.close()
    assert process.wait(PATIENCE_S) == 0
    assert process.stderr.read() == b""


def test_work_goes_on_when_nobody_reads_its_json(start: Callable, home: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = start("sync", *CLD, *DAY, "-n", "12", "--json", stdout=writer)
    os.close(writer)
    assert process.wait(PATIENCE_S) == 0
    assert len(list((home / "data").rglob("*.h5"))) == 12


@pytest.fixture
def unread(start: Callable) -> Callable[..., tuple[int, str]]:
    """Run a command line whose stdout nobody reads any more: its exit code, and what it said."""

    def run(*words: Any) -> tuple[int, str]:
        reader, writer = os.pipe()
        os.close(reader)
        process = start(*words, stdout=writer)
        os.close(writer)
        _, err = process.communicate(timeout=PATIENCE_S)
        return process.returncode, err.decode()

    return run


def test_a_repair_does_all_of_it_when_nobody_reads_its_json(
    maap: Callable, unread: Callable, home: Path
) -> None:
    assert maap("sync", *CLD, *DAY, "-n", "3").code == 0
    bad = sorted((home / "data").rglob("*.h5"))[1:]
    for path in bad:
        path.write_bytes(b"")
    code, err = unread("verify", "--repair", "--json")
    assert code == 0 and "Downloaded 2 files" in err
    assert all(path.stat().st_size for path in bad)


def test_matches_are_fetched_when_nobody_reads_their_json(unread: Callable, home: Path) -> None:
    Path("here.csv").write_text("time,lat,lon\n2025-12-01T06:00Z,0,0\n2025-12-01T07:00Z,0,1\n")
    code, err = unread(
        "match", "here.csv", "CPR_CLD_2A:BC", "--dx", "2000km", "--dt", "6h", "--get", "--json"
    )
    assert code == 0 and "Downloaded" in err
    assert list((home / "data").rglob("*.h5"))


def test_a_cleanup_has_its_code_when_nobody_reads_its_json(
    maap: Callable, unread: Callable, home: Path
) -> None:
    assert maap("sync", *CLD, *DAY, "-n", "2").code == 0
    one, other = sorted((home / "data").rglob("*.h5"))
    assert maap("state", "mark", one, other).code == 0
    other.unlink()
    other.mkdir()
    code, err = unread("state", "cleanup", *CLD, "--json")
    assert code == 4 and "Refused" in err and "Deleted 1 file" in err


def test_a_study_has_its_code_when_nobody_reads_its_json(maap: Callable, unread: Callable) -> None:
    assert maap("sync", *CLD, *DAY, "-n", "2").code == 0
    for number, more in enumerate(((), ("--get",))):
        code, err = unread(
            "freeze",
            *CLD,
            "-s",
            "2025-12-01",
            "-e",
            "2025-12-01T01:00",
            "-o",
            f"study{number}",
            *more,
            "--json",
        )
        assert code == (0 if more else 3) and "Froze" in err


def test_a_full_disk_behind_stdout_is_said(start: Callable) -> None:
    with open("/dev/full", "wb") as full:
        process = start("list", stdout=full)
        assert process.wait(PATIENCE_S) == 3
    assert b"No space left" in process.stderr.read()


def test_without_stderr_no_data_is_lost(start: Callable) -> None:
    process = start("search", *CLD, *DAY, "--json", stderr=subprocess.DEVNULL)
    out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert len([json.loads(line) for line in out.splitlines()]) == 125


def test_closed_streams_do_no_harm(home: Path) -> None:
    line = f'exec "{sys.executable}" -m maap_tui list <&- 2>&-'
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(["sh", "-c", line], env=environment, capture_output=True, timeout=PATIENCE_S)
    assert ended.returncode == 0
    assert len(ended.stdout.splitlines()) > 12


@pytest.mark.fault("P2")
@pytest.mark.fault("P3")
@pytest.mark.fault("P6")
@pytest.mark.parametrize(
    ("number", "word", "code"),
    [
        (signal.SIGTERM, b"Terminated", 143),
        (signal.SIGINT, b"Interrupted", 130),
        (signal.SIGHUP, b"Hung up", 129),
        (signal.SIGUSR1, b"Ended by SIGUSR1", 3),
    ],
)
def test_a_signal_keeps_the_part(
    start: Callable,
    maap: Callable,
    archive: Archive,
    home: Path,
    number: signal.Signals,
    word: bytes,
    code: int,
) -> None:
    archive.control(stall_after=70000, match="08575D")
    process = start("download", *CLD, *DAY, "--frame", "D", "-n", "2", "-v")
    for line in process.stderr:
        if line.startswith(b"Downloaded "):
            break
    end = time.monotonic() + PATIENCE_S
    while not any(path.stat().st_size for path in (home / "data").rglob("*08575D*.part")):
        assert time.monotonic() < end, "the other file does not begin"
        time.sleep(0.01)
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code
    assert word in err and b"1 file finished" in err
    assert err.count(b"\n") == 1
    names = sorted(path.name for path in (home / "data").rglob("*") if path.is_file())
    assert any(".part" in name and "08575D" in name for name in names)
    assert sum(name.endswith(".h5") for name in names) == 1
    archive.faults.clear()
    assert maap("download", *CLD, *DAY, "--frame", "D", "-n", "2").code == 0
    names = sorted(path.name for path in (home / "data").rglob("*") if path.is_file())
    assert len(names) == 2 and all(name.endswith(".h5") for name in names)


@pytest.mark.fault("P4")
def test_ignored_hangups_stay_ignored(start: Callable) -> None:
    process = start(
        "search", *CLD, *DAY, "-v", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
    )
    process.stderr.readline()
    process.send_signal(signal.SIGHUP)
    out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert len(out.splitlines()) == 125


def test_serve_until_terminated(start: Callable) -> None:
    process = start("demo", "--serve", "--port", "0")
    lines = [process.stdout.readline().decode() for _ in range(8)]
    assert all(line.startswith("export MAAP_") for line in lines)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0


def in_terminal(
    words: list[str], environ: dict[str, str], *, keys: bytes = b"", after: bytes = b""
) -> tuple[int, bytes]:
    """Run with a terminal on all three streams; `keys` are typed once `after` was shown."""
    terminal, inner = pty.openpty()
    if forking.can_fork(environ):
        child = forking.server().start(words, environ, inner)
    else:
        child = os.fork()
        if child == 0:
            os.login_tty(inner)
            os.execve(sys.executable, [sys.executable, "-m", "maap_tui", *words], environ)
    os.close(inner)
    shown = b""
    while True:
        ready, _, _ = select.select([terminal], [], [], PATIENCE_S)
        assert ready, shown
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
        if keys and after in shown:
            os.write(terminal, keys)
            keys = b""
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown


@pytest.fixture
def environ(home: Path) -> dict[str, str]:
    inherited = {name: text for name, text in os.environ.items() if name not in forking.LOCALE}
    return {
        **inherited,
        **forking.SERVER_LOCALE,
        "PYTHONPATH": str(ROOT),
        "TERM": "xterm-256color",
        "COLUMNS": "100",
    }


def test_progress_only_on_a_terminal(environ: dict[str, str], archive: Archive) -> None:
    archive.control(rate=400_000)
    code, shown = in_terminal(["sync", *CLD, *DAY, "--frame", "D"], environ)
    assert code == 0
    assert b"/16 files" in shown
    assert b"Downloaded 16 files" in shown
    assert shown.count(b"\x1b[?25l") == shown.count(b"\x1b[?25h") == 1
    archive.faults.clear()
    code, shown = in_terminal(["sync", *CLD, *DAY, "--frame", "A", "-q"], environ)
    assert (code, shown) == (0, b"")
    code, shown = in_terminal(["sync", *CLD, *DAY, "--frame", "B"], {**environ, "TERM": "dumb"})
    assert b"\x1b" not in shown and b"Downloaded" in shown


@pytest.mark.fault("P6")
def test_ctrl_c_in_a_terminal(environ: dict[str, str], archive: Archive) -> None:
    archive.control(stall_after=1000, target="data")
    code, shown = in_terminal(["sync", *CLD, *DAY, "-n", "3"], environ, keys=b"\x03", after=b"/3 files")
    assert code == 130
    assert b"Interrupted" in shown and b"Traceback" not in shown


def test_the_token_is_asked_for_unseen(environ: dict[str, str], archive: Archive) -> None:
    token = archive.offline_token.encode()
    code, shown = in_terminal(["login"], environ, keys=token + b"\n", after=b"not shown")
    assert code == 0
    assert token not in shown
    assert b"Signed in as demo" in shown
    code, shown = in_terminal(["login"], environ, keys=b"\x03", after=b"not shown")
    assert code == 130
    assert b"Traceback" not in shown


def test_a_whole_file_is_pasted_at_the_prompt(environ: dict[str, str], archive: Archive, home: Path) -> None:
    """Also with a token longer than the 4,095 characters that a terminal keeps of a line."""
    claims = read(archive.offline_token)
    assert claims is not None
    token = sign({**claims, "groups": ["x" * 6000]})
    pasted = f"mistyped\x15CLIENT_ID=offline-token\nCLIENT_SECRET={CLIENT_SECRET}\n\nOFFLINE_TOKEN={token}\n"
    code, shown = in_terminal(["login"], environ, keys=pasted.encode(), after=b"not shown")
    assert code == 0
    assert b"Signed in as demo" in shown and b"OFFLINE_TOKEN" not in shown
    assert load_credentials(home / "credentials.txt", {}).offline_token == token


@pytest.mark.fault("P9")
@pytest.mark.parametrize(("words", "said"), [([], "a command is needed"), (["tui"], "needs a terminal")])
def test_without_a_terminal_the_app_is_one_sentence(start: Callable, words: list[str], said: str) -> None:
    process = start(*words)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 4
    assert out == b""
    assert said in err.decode() and b"\x1b" not in err
    assert err.count(b"\n") == 1


@pytest.mark.fault("N18")
@pytest.mark.parametrize("command", ["download", "get", "sync"])
def test_max_time_ends_it_with_3_and_keeps_the_part(
    maap: Callable, archive: Archive, home: Path, command: str
) -> None:
    def part() -> list[Path]:
        return [one for one in (home / "data").rglob("*08575D*.part") if one.stat().st_size]

    archive.control(stall_after=70000, match="08575D")
    clock = asyncio.BaseEventLoop.time
    # The clock of loops goes on by 20 s as soon as the file that then stalls has begun.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.BaseEventLoop, "time", lambda loop: clock(loop) + (20.0 if part() else 0.0))
        ended = maap(command, *CLD, *DAY, "--frame", "D", "-n", "2", "--max-time", "20")
    assert ended.code == 3
    assert ended.err.splitlines()[-1].startswith("Ended by --max-time after 20 s")
    assert "Run the same command again to go on." in ended.err
    assert part()
    archive.faults.clear()
    assert maap(command, *CLD, *DAY, "--frame", "D", "-n", "2", "--max-time", "60").code == 0
    assert not list((home / "data").rglob("*.part"))


@pytest.mark.parametrize("words", ["0", "-1", "soon", "nan", "inf"])
def test_max_time_is_a_number_of_seconds(maap: Callable, words: str) -> None:
    ended = maap("sync", *CLD, *DAY, f"--max-time={words}")
    assert ended.code == 4 and "must be a number of seconds above 0" in ended.err


@pytest.mark.fault("C4")
def test_a_second_sync_of_a_baseline_ends_3_and_names_the_first(
    start: Callable, maap: Callable, archive: Archive, home: Path
) -> None:
    archive.control(stall_after=70000, match="08575D")
    first = start("sync", *CLD, *DAY, "--frame", "D", "-v")
    for line in first.stderr:
        if line.startswith(b"Downloaded "):
            break
    urls = sorted((home / "registry" / "urls").rglob("*.txt"))
    for names in (CLD, (*CLD[:2], CLD[2].lower()), CLD[:2]):
        second = maap("sync", *names, "--date", "2025-11-30")
        assert second.code == 3
        assert f"in use by process {first.pid} on " in second.err and " since 20" in second.err
        assert "--lock-wait" in second.err
    assert sorted((home / "registry" / "urls").rglob("*.txt")) == urls
    assert maap("sync", *CLD[:2], "BB", "--date", "2025-11-30").code == 0
    assert maap("download", *CLD, "--date", "2025-11-30", "-n", "1").code == 0

    waiting = start("sync", *CLD, "--date", "2025-11-30", "-n", "1", "--lock-wait", "60")
    assert b"waiting up to 60 s for it" in waiting.stderr.readline()
    first.kill()
    assert waiting.wait(PATIENCE_S) == 0
    archive.faults.clear()
    assert maap("sync", *CLD, *DAY, "--frame", "D", "--lock-wait", "0").code == 0


def test_a_wait_that_is_none_is_refused(maap: Callable) -> None:
    for text in ("soon", "-1"):
        ended = maap("sync", *CLD, f"--lock-wait={text}")
        assert ended.code == 4
        assert "downloads.lock_wait must be a number of seconds" in ended.err
