"""Signals and terminals that go away, for commands and the app in the middle of a transfer (F15)."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from maap_tui.demo import Archive
from tests.faults.figure import Figure
from tests.faults.preloaded import ROOT
from tests.homes import NOW, PATIENCE_S
from tests.tui.terminal_kit import Terminal

WORDS = (
    "sync", "EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC",
    "--date", "2025-12-01", "--frame", "D", "-n", "3",
)  # fmt: skip
LIMIT_S = 5.0
"""Seconds an end may take on a machine that has nothing else to do."""

WATCHED_S = 3.0
"""Seconds that the processor time of a process is watched there."""

SENT = 40_000
"""Bytes that each request for a file brings before the archive falls silent; a file has 131,072."""


class Scene:
    """A home whose transfers stand still with a part of each file."""

    def __init__(self, archive: Archive, folder: Path, *, is_alone: bool = True) -> None:
        self.home = folder
        self.limit_s = LIMIT_S if is_alone else PATIENCE_S
        self.watched_s = WATCHED_S if is_alone else 0.5
        self.most_load = 0.01 if is_alone else 0.1
        archive.prepare(folder)
        foreign = ("MAAP_", "TMUX", "SSH_", "DISPLAY", "LC_", "LANG", "NO_COLOR", "COLUMNS", "LINES")
        own = {name: text for name, text in os.environ.items() if not name.startswith(foreign)}
        self.environ = {
            **own,
            **archive.environment(folder),
            "MAAP_DOWNLOADS_MIN_FREE": "0",
            "PYTHONPATH": str(ROOT),
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            "MAAP_UI_SURVIVE_HANGUP": "false",  # what is left is looked at, not what a worker makes of it
        }

    def parts(self) -> dict[str, int]:
        """The sizes of the parts that have begun to come."""
        found = {path.name: path.stat().st_size for path in (self.home / "data").rglob("*.part")}
        return {name: size for name, size in found.items() if size}

    def wait_for_parts(self, read: Terminal | None = None, runs: int = 1) -> None:
        """Wait until each of the three files has all that so many runs bring of it."""
        end = time.monotonic() + PATIENCE_S
        while sorted(self.parts().values()) != [SENT * runs] * 3:
            assert time.monotonic() < end, (self.parts(), read and read.shown[-2000:])
            if read is None:
                select.select([], [], [], 0.02)
            else:
                read.read(0.02)

    @contextmanager
    def terminal(self, *words: str, ignored: tuple[signal.Signals, ...] = ()) -> Iterator[Terminal]:
        one = Terminal(list(words), self.environ, ignored=ignored)
        try:
            yield one
        finally:
            one.cleanup()


def end_command(scene: Scene, number: signal.Signals) -> str:
    """A command without a terminal, as cron starts it, gets a signal."""
    process = subprocess.Popen(
        [sys.executable, "-m", "maap_tui", *WORDS],
        env=scene.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        scene.wait_for_parts()
        begun = time.monotonic()
        process.send_signal(number)
        _, err = process.communicate(timeout=scene.limit_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return f"still there after {scene.limit_s:.0f} s"
    seconds = time.monotonic() - begun
    if err.count(b"\n") != 1 or b"parts are kept" not in err:
        return f"said {err!r}"
    return _judge(scene, process.returncode, number, seconds)


def end_command_on_terminal(scene: Scene) -> str:
    """The terminal of a command is closed, as a dropped SSH session does."""
    with scene.terminal(*WORDS) as one:
        scene.wait_for_parts(one)
        begun = time.monotonic()
        one.close()
        return _judge(scene, one.ended(scene.limit_s), signal.SIGHUP, time.monotonic() - begun)


def keep_command_under_nohup(scene: Scene) -> str:
    """The terminal of a command that ignores hang-ups is closed: it waits on, and costs nothing."""
    with scene.terminal(*WORDS, ignored=(signal.SIGHUP,)) as one:
        scene.wait_for_parts(one)
        one.close()
        # What it did until then is still being counted in the first look.
        share = min(_load(one.pid, scene.watched_s) for _ in range(2))
        if share >= scene.most_load:
            return f"takes {share:.1%} of a processor without its terminal"
        begun = time.monotonic()
        one.kill(signal.SIGTERM)
        return _judge(scene, one.ended(scene.limit_s), signal.SIGTERM, time.monotonic() - begun)


def end_app(scene: Scene, number: signal.Signals | None, ignored: tuple[signal.Signals, ...] = ()) -> str:
    """The app, going on with what a killed command left, gets a signal, or for None loses its terminal."""
    left = subprocess.Popen(
        [sys.executable, "-m", "maap_tui", *WORDS],
        env=scene.environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    scene.wait_for_parts()
    rows = scene.home / "state" / "queue.sqlite3"
    end = time.monotonic() + PATIENCE_S
    while not rows.exists() or rows.stat().st_size == 0 or b"running" not in rows.read_bytes():
        assert time.monotonic() < end
        select.select([], [], [], 0.02)
    left.kill()
    left.wait()
    with scene.terminal("tui", ignored=ignored) as one:
        one.wait_for(b"Go on")
        one.type(b"g")
        scene.wait_for_parts(one, runs=2)
        begun = time.monotonic()
        if number is None:
            one.close()
        else:
            one.kill(number)
        code = one.ended(scene.limit_s)
        seconds = time.monotonic() - begun
        if number is not None and not one.is_restored():
            return "the terminal is not as it was"
        if b"Traceback" in one.shown:
            return "a traceback"
        return _judge(scene, code, number or signal.SIGHUP, seconds, runs=2)


def _judge(scene: Scene, code: int, number: signal.Signals, seconds: float, runs: int = 1) -> str:
    if code != 128 + number:
        return f"exit {code} in place of {128 + number}"
    if seconds > scene.limit_s:
        return f"it took {seconds:.1f} s"
    if sorted(scene.parts().values()) != [SENT * runs] * 3:
        return f"of the parts is left {scene.parts()}"
    return ""


def _load(pid: int, watched_s: float) -> float:
    """The part of a processor that a process takes over that many seconds."""
    before, begun = _used_s(pid), time.monotonic()
    while (seconds := time.monotonic() - begun) < watched_s:
        select.select([], [], [], watched_s - seconds)
    return (_used_s(pid) - before) / seconds


def _used_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


COMMANDS: Mapping[str, Callable[[Scene], str]] = {
    "SIGTERM of a command": lambda scene: end_command(scene, signal.SIGTERM),
    "SIGHUP of a command": lambda scene: end_command(scene, signal.SIGHUP),
    "terminal of a command closed": end_command_on_terminal,
    "terminal of a command under nohup closed": keep_command_under_nohup,
}
"""Ways to end a command; each says what was wrong, '' for nothing."""

APPS: Mapping[str, Callable[[Scene], str]] = {
    "SIGTERM of the app": lambda scene: end_app(scene, signal.SIGTERM),
    "SIGHUP of the app": lambda scene: end_app(scene, signal.SIGHUP),
    "terminal of the app closed": lambda scene: end_app(scene, None),
    "terminal of the app under nohup closed": lambda scene: end_app(scene, None, (signal.SIGHUP,)),
}
"""Ways to end the app."""


def measure_endings(
    rounds: int,
    folder: Path,
    scenes: Mapping[str, Callable[[Scene], str]] | None = None,
    workers: int = 2,
    *,
    is_alone: bool = True,
) -> Figure:
    """F15: signals and closed terminals in the middle of transfers.

    Args:
        rounds: how often each way to end is tried.
        folder: for its own use.
        scenes: ways to end; None for all of them.
        workers: how many at once.
        is_alone: whether the machine has nothing else to do, so that seconds can be judged.
    """
    chosen = {**COMMANDS, **APPS} if scenes is None else scenes
    tries = [(name, number) for name in chosen for number in range(rounds)]
    with Archive.start(now=NOW, offline_days=36500, stall_after=SENT, target="data") as archive:

        def once(one: tuple[str, int]) -> str:
            name, number = one
            place = folder / f"{name}-{number}".replace(" ", "-")
            wrong = chosen[name](Scene(archive, place, is_alone=is_alone))
            return f"{name}: {wrong}" if wrong else ""

        with ThreadPoolExecutor(workers) as pool:
            wrong = [text for text in pool.map(once, tries) if text]
    seen = f"{len(tries) - len(wrong)} of {len(tries)} clean" + "".join(f"; {text}" for text in wrong)
    target = f"all within {LIMIT_S:.0f} s, exit 143 or 129, terminal restored, parts kept, under 1 % of a CPU"
    return Figure("F15", f"{len(tries)} signals and closed terminals", target, seen, not wrong)
