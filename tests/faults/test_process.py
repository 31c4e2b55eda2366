"""What becomes of work when its process is killed, stopped, starved, or loses its terminal (P1 to P13)."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import resource
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from textual.dom import DOMNode
from textual.pilot import Pilot

from maap_tui.demo import Archive
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.download.transfer import Transfer
from maap_tui.engine.session import Session
from maap_tui.tui.app import MaapApp
from maap_tui.tui.dialogs.error import ErrorDialog
from maap_tui.tui.screens.downloads.screen import DownloadsScreen
from tests.faults import crashes, endings
from tests.faults.preloaded import Missing
from tests.homes import PATIENCE_S
from tests.tui.driving import wait_until
from tests.tui.terminal_kit import HERE, Terminal, is_alive

pytestmark = pytest.mark.long

L2 = "EarthCAREL2Validated_MAAP"
CLD = (L2, "CPR_CLD_2A", "BC")
FEW = ("--date", "2025-12-01", "--frame", "D")
BASELINE = f"EarthCARE/{L2}/CPR_CLD_2A/BC"


TRIES = {"MAAP_DOWNLOADS_STALL_TIMEOUT": "2", "MAAP_DOWNLOADS_RETRIES": "9"}


def until(is_so: Callable[[], object], what: str, seconds: float = PATIENCE_S) -> None:
    """Wait for something outside of this process."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, what
        select.select([], [], [], 0.02)


def parts(home: Path) -> list[int]:
    return sorted(path.stat().st_size for path in (home / "data").rglob("*.part"))


def finals(home: Path) -> list[Path]:
    return sorted((home / "data").rglob("*.h5"))


def recorded(home: Path, tree: str = "downloads") -> list[str]:
    """The lines of a tree of the registry."""
    kind = {"urls": "url", "downloads": "dwl"}[tree]
    file = home / "registry" / tree / BASELINE / "2025" / f"{kind}_20251201.txt"
    return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def scene(archive: Archive, tmp_path: Path) -> endings.Scene:
    return endings.Scene(archive, tmp_path / "scene", is_alone=False)


@pytest.fixture
def terminal(scene: endings.Scene) -> Iterator[Callable[..., Terminal]]:
    """Open the app on a terminal of its own."""
    opened: list[Terminal] = []

    def begin(*words: str, changes: dict[str, str] | None = None, **options: Any) -> Terminal:
        one = Terminal(list(words or ("tui",)), {**scene.environ, **(changes or {})}, **options)
        opened.append(one)
        return one

    yield begin
    for one in opened:
        one.cleanup()


@pytest.mark.fault("P1")
@pytest.mark.fault("D3")
def test_kills_and_errors_at_any_call_leave_nothing_wrong(tmp_path: Path) -> None:
    try:
        figure = crashes.measure_injections(3, tmp_path, workers=1)
    except Missing as missing:
        pytest.skip(f"needs {missing}")
    assert figure.kept, str(figure)


@pytest.mark.fault("P1")
def test_kills_at_any_moment_lose_double_and_corrupt_nothing(tmp_path: Path) -> None:
    figure = crashes.measure_kills(6, tmp_path, frame="D")
    assert figure.kept, str(figure)


@pytest.mark.fault("P3")
@pytest.mark.fault("P4")
def test_a_command_whose_terminal_goes_ends_or_under_nohup_waits_without_spinning(tmp_path: Path) -> None:
    scenes = {name: scene for name, scene in endings.COMMANDS.items() if name.startswith("terminal")}
    figure = endings.measure_endings(1, tmp_path, scenes, is_alone=False)
    assert figure.kept, str(figure)


@pytest.mark.fault("P2")
async def test_an_end_that_meets_a_screen_in_the_making_is_no_crash(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compose(self: DownloadsScreen) -> list[Any]:
        self.app.exit(143, 143)
        return []  # as it is when the end comes before the parts

    app = MaapApp(Session.load())
    async with app.run_test(size=(80, 24)):
        monkeypatch.setattr(DownloadsScreen, "compose", compose)
        app.action_go("downloads")
        async with asyncio.timeout(PATIENCE_S):
            while app.return_code is None:  # noqa: ASYNC110 - the app tells it in no other way
                await asyncio.sleep(0)
    assert (app.return_code, app.crash) == (143, None)


@pytest.mark.fault("P5")
def test_what_was_stopped_for_long_goes_on_with_new_connections_and_a_new_token(
    start: Callable[..., subprocess.Popen[bytes]], archive: Archive, home: Path
) -> None:
    archive.control(stall_after=40_000, target="data")
    process = start("download", *CLD, *FEW, "-n", "3", environ=TRIES)
    until(lambda: len(parts(home)) == 3 and min(parts(home)) >= 40_000, "no parts came")
    process.send_signal(signal.SIGSTOP)
    archive.faults.clear()
    archive.control(expire_tokens=True)
    select.select([], [], [], 2.2)  # longer than any time-out of the transfers
    process.send_signal(signal.SIGCONT)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (0, b"")
    assert b"Error" not in err and b"Failed" not in err
    assert len(finals(home)) == len(recorded(home)) == 3


@pytest.mark.fault("P6")
def test_a_second_interrupt_ends_at_once_what_the_first_one_waits_for(
    start: Callable[..., subprocess.Popen[bytes]], maap: Callable[..., Any], home: Path
) -> None:
    assert maap("search", *CLD, *FEW, "-n", "1", "--registry-save").code == 0
    folder = home / "registry" / "downloads" / BASELINE
    folder.mkdir(parents=True, exist_ok=True)
    errors, holder = folder / "errors.txt", home / f"registry/.locks/write/{BASELINE}.lock.holder"
    os.mkfifo(errors)  # to read it waits for ever
    process = start("download", *CLD, "--registry")
    until(lambda: "recording a download" in holder.read_text(), "it does not come to its recording")
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)  # a file that is here is recorded first
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 130
    errors.unlink()
    assert len(finals(home)) == 1
    assert recorded(home) == []
    assert maap("download", *CLD, "--registry").code == 0
    assert len(recorded(home)) == 1


@pytest.mark.fault("P7")
async def test_each_worker_of_a_tour_may_fail_and_the_app_lives(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_worker = DOMNode.run_worker
    met: set[str] = set()
    failed: set[str] = set()

    async def fail(group: str) -> None:
        failed.add(group)
        raise RuntimeError(f"the sky fell on {group}")

    def replaced(self: DOMNode, work: Any, *args: Any, group: str = "", **options: Any) -> Any:
        if group in met:
            return run_worker(self, work, *args, group=group, **options)
        if isinstance(work, Coroutine):
            work.close()
        met.add(group)
        return run_worker(self, partial(fail, group), *args, group=group, **options)

    app = MaapApp(Session.load())
    app.notify = lambda *args, **options: None  # type: ignore[method-assign]
    monkeypatch.setattr(DOMNode, "run_worker", replaced)

    async def close_dialogs(pilot: Pilot[Any]) -> None:
        for _ in range(3):
            await pilot.pause()
            if isinstance(app.screen, ErrorDialog):
                await pilot.press("escape")

    async with app.run_test(size=(100, 30)) as pilot:
        for key in ("1", "r", "2", "3", "4", "r", "5", "y", "1"):
            await pilot.press(key)
            await close_dialogs(pilot)
        shown = [line.text for line in app.backend.log_lines if line.level == "error"]
        assert len(failed) > 3
        for group in failed:
            assert any(f"RuntimeError: the sky fell on {group}" in line for line in shown), group
        assert app.return_code is None
        # Keys wait a moment for a mode that has not read what they act on, here because its worker failed.
        await pilot.press("5")
        await wait_until(lambda: app.current_mode == "log", pilot)
    assert app.crash is None


@pytest.mark.fault("P7")
def test_a_mistake_in_one_transfer_costs_that_file_alone(
    maap: Callable[..., Any], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = Transfer.fetch

    async def stumble(self: Transfer, wanted: DownloadRequest) -> Any:
        if "08575D" in wanted.url:
            raise ZeroDivisionError("the sky fell")
        return await fetch(self, wanted)

    monkeypatch.setattr(Transfer, "fetch", stumble)
    ended = maap("sync", *CLD, *FEW, "-n", "4")
    assert ended.code == 3
    assert "ZeroDivisionError: the sky fell" in ended.err and "1 failed" in ended.err
    assert len(finals(home)) == len(recorded(home)) == 3
    monkeypatch.undo()


@pytest.mark.fault("P8")
@pytest.mark.parametrize(
    ("limit", "told"),
    [
        pytest.param((resource.RLIMIT_NOFILE, 64), "", id="64 open files"),
        pytest.param((resource.RLIMIT_NOFILE, 18), "fewer are fetched at a time", id="18 open files"),
        pytest.param((resource.RLIMIT_AS, 200 << 20), "", id="200 MB of memory"),
        pytest.param((resource.RLIMIT_AS, 160 << 20), "", id="160 MB of memory"),
    ],
)
def test_a_starved_run_does_less_at_once_and_completes(
    start: Callable[..., subprocess.Popen[bytes]], home: Path, limit: tuple[int, int], told: str
) -> None:
    which, most = limit
    process = start(
        "sync", *CLD, "--date", "2025-12-01", "-n", "40",
        environ={"MAAP_DOWNLOADS_PARALLEL": "16"},
        preexec_fn=lambda: resource.setrlimit(which, (most, most)),
    )  # fmt: skip
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert err.count(b"fewer are fetched at a time") == bool(told)
    assert len(finals(home)) == len(set(recorded(home))) == len(recorded(home)) == 40
    assert not list(home.rglob("*.part*"))


@pytest.mark.fault("P8")
@pytest.mark.parametrize("most", [64, 80, 96])
def test_too_little_memory_is_said_in_one_sentence(
    start: Callable[..., subprocess.Popen[bytes]], home: Path, most: int
) -> None:
    process = start(
        "sync", *CLD, *FEW,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (most << 20, most << 20)),
    )  # fmt: skip
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 4, err
    (line,) = err.decode().splitlines()
    assert line.startswith("Error: There is not enough memory. Raise its limit (ulimit -v,")
    assert finals(home) == []


@pytest.mark.fault("P8")
@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("can't start new thread")], ids=["bytes", "thread"]
)
def test_without_memory_for_all_fewer_are_fetched_at_a_time(
    maap: Callable[..., Any], home: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    fetch = Transfer.fetch
    at_once = 0

    async def fetch_with_room_for_two(self: Transfer, wanted: DownloadRequest) -> Any:
        nonlocal at_once
        at_once += 1
        try:
            if at_once > 2:
                raise error
            return await fetch(self, wanted)
        finally:
            at_once -= 1

    monkeypatch.setattr(Transfer, "fetch", fetch_with_room_for_two)
    ended = maap("sync", *CLD, "--date", "2025-12-01", "-n", "12")
    assert ended.code == 0, ended.err
    assert ended.err.count("There is not enough memory; fewer are fetched at a time") == 1
    assert len(finals(home)) == len(recorded(home)) == 12


@pytest.mark.fault("P8")
def test_without_memory_for_one_file_the_run_ends_and_says_so(
    maap: Callable[..., Any], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(self: Transfer, wanted: DownloadRequest) -> Any:
        raise MemoryError

    with monkeypatch.context() as starved:
        starved.setattr(Transfer, "fetch", fail)
        ended = maap("sync", *CLD, *FEW)
    assert ended.code == 4
    assert "Error: There is not enough memory. Raise its limit" in ended.err
    assert "mistake in maap_tui" not in ended.err
    assert maap("sync", *CLD, *FEW).code == 0
    assert finals(home) != []


@pytest.mark.fault("P8")
def test_credentials_that_cannot_be_opened_for_want_of_room_are_not_called_bad(
    maap: Callable[..., Any], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: Any, *args: Any, **options: Any) -> Any:
        if str(file).endswith("credentials.txt"):
            raise OSError(24, "Too many open files", str(file))
        return usual(file, *args, **options)

    usual = open
    monkeypatch.setattr("builtins.open", refuse)
    ended = maap("get", *CLD, *FEW, "-n", "1")
    assert ended.code != 2
    assert "too many files are open" in ended.err and "ulimit -n" in ended.err


@pytest.fixture
def tmux(scene: endings.Scene, tmp_path: Path) -> Iterator[Callable[..., str]]:
    """A tmux server of the test's own."""
    if shutil.which("tmux") is None:
        pytest.skip("needs tmux")

    def ask(*words: str) -> str:
        command = ["tmux", "-S", str(tmp_path / "tmux"), "-f", os.devnull, *words]
        return subprocess.run(
            command, env=scene.environ, capture_output=True, text=True, timeout=PATIENCE_S
        ).stdout

    yield ask
    ask("kill-server")


@pytest.mark.fault("P10")
def test_a_tmux_session_goes_on_without_its_client_and_ends_in_order_when_it_is_killed(
    tmux: Callable[..., str], scene: endings.Scene, archive: Archive, tmp_path: Path
) -> None:
    archive.control(stall_after=endings.SENT, target="data")
    command = [sys.executable, "-m", "maap_tui", *endings.WORDS]
    tmux("new-session", "-d", "-s", "work", "-x", "100", "-y", "30", *command)
    pid = int(tmux("list-panes", "-t", "work", "-F", "#{pane_pid}"))
    client = Terminal(
        [], scene.environ,
        program=[shutil.which("tmux") or "", "-S", str(tmp_path / "tmux"), "attach", "-t", "work"],
    )  # fmt: skip
    try:
        scene.wait_for_parts(client)
        client.kill(signal.SIGKILL)
        client.ended()
    finally:
        client.cleanup()
    assert tmux("list-panes", "-t", "work", "-F", "#{pane_dead}") == "0\n"
    os.kill(pid, 0)
    tmux("kill-session", "-t", "work")
    until(lambda: not is_alive(pid), "it does not end")
    assert sorted(scene.parts().values()) == [endings.SENT] * 3


@pytest.mark.fault("P12")
def test_a_storm_of_sizes_leaves_the_app_alive_and_drawn(terminal: Callable[..., Terminal]) -> None:
    one = terminal()
    one.wait_for(HERE)
    sizes = [(80, 24), (1, 1), (200, 60), (0, 0), (30, 8), (59, 24), (500, 3), (2, 100)]
    for number in range(120):
        columns, rows = sizes[number % len(sizes)]
        fcntl.ioctl(one.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        one.read(0)
    fcntl.ioctl(one.master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    seen = len(one.shown)

    def is_there() -> bool:
        # What is typed while it says that it is too small for anything goes nowhere. A slow machine draws
        # each of the sizes first.
        if not one.read(0.3):
            one.type(b"5")
        return one.shows(b"Level", after=seen)

    until(is_there, "it does not draw again")
    seen = one.resize(100, 24)
    one.wait_for(b"Level", after=seen)
    one.type(b"q")
    assert one.ended() == 0
    assert one.is_restored()


LOCALES = [
    pytest.param({"LANG": "C", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, id="C"),
    pytest.param({"LANG": "en_US.ISO-8859-1", "PYTHONIOENCODING": "latin-1"}, id="latin-1"),
    pytest.param({"LANG": "xx_YY.bogus", "LC_ALL": "xx_YY.bogus"}, id="bogus"),
]


@pytest.mark.fault("P13")
@pytest.mark.parametrize("variables", LOCALES)
def test_any_locale_writes_the_same_files_and_prints_what_it_can(
    start: Callable[..., subprocess.Popen[bytes]], home: Path, variables: dict[str, str]
) -> None:
    data = home / "d\u00e4ten \u65e5\u672c"
    words = ("--data-dir", data, "sync", *CLD, *FEW, "-n", "2", "-v")
    process = start(*words, environ=variables)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert b"Traceback" not in err
    paths = [line.partition("|")[2] for line in recorded(home)]
    assert len(paths) == 2
    assert all(Path(path).is_relative_to(data) and Path(path).is_file() for path in paths)
    shown = start("state", "pending", *CLD, "--type", "marks", environ=variables)
    out, err = shown.communicate(timeout=PATIENCE_S)
    assert (shown.returncode, err) == (0, b"2 files to mark\n")
    assert len(out.splitlines()) == 2
    assert b"\\u65e5\\u672c" in out or "\u65e5\u672c".encode() in out
    as_json = start("--data-dir", data, "verify", "--json", environ=variables)
    out, _ = as_json.communicate(timeout=PATIENCE_S)
    assert sorted(json.loads(line)["path"] for line in out.splitlines()) == sorted(paths)


@pytest.mark.fault("P11")
@pytest.mark.fault("P13")
def test_a_folder_that_no_registry_line_can_hold_is_never_0(
    start: Callable[..., subprocess.Popen[bytes]], home: Path
) -> None:
    data = os.fsencode(home) + b"/\xff"
    process = start("sync", *CLD, *FEW, "-n", "2", environ={"MAAP_DATA_DIR": os.fsdecode(data)})
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 4
    assert b"bytes that are not text" in err and err.count(b"\n") == 1
    assert recorded(home) == []


@pytest.mark.fault("P13")
@pytest.mark.parametrize("variables", LOCALES[1:])
def test_the_app_opens_in_any_locale(terminal: Callable[..., Terminal], variables: dict[str, str]) -> None:
    one = terminal(changes=variables)
    one.wait_for(HERE)
    one.type(b"q")
    assert one.ended() == 0
    assert b"Traceback" not in one.shown
