"""Hooks: what a command is told, how long it may take, and what is remembered of it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from maap_tui.engine.config import loading
from maap_tui.engine.errors import InvalidRequestError, LockedError
from maap_tui.engine.events import Event, HookSaid
from maap_tui.engine.hook_book import HookBook
from maap_tui.engine.hooks import Hook, Occasion, read_hook, run_hook, words_for

pytestmark = pytest.mark.anyio

PATHS = ("/data/a b.h5", "/data/c;rm.h5")
SPOT = Occasion(
    "clouds 07655C", {"set": "clouds", "orbit": "07655", "frame": "C", "day": "2025-12-01"}, PATHS
)


def shell(text: str, timeout_s: float = 60) -> Hook:
    return Hook(("sh", "-c", text), "set", timeout_s)


async def run(hook: Hook) -> tuple[str, list[str]]:
    events: list[Event] = []
    reason = await run_hook(hook, SPOT, events.append)
    return reason, [event.line for event in events if isinstance(event, HookSaid)]


@pytest.mark.parametrize(
    ("text", "per"),
    [
        ("", "file"),
        ("sh 'open", "file"),
        ("no-such-program-here {path}", "file"),
        ("sh {path}", "day"),
        ("sh {nothing}", "file"),
        ("sh all={paths}", "set"),
    ],
)
def test_a_command_that_cannot_be_run_is_refused_at_once(text: str, per: str) -> None:
    with pytest.raises(InvalidRequestError):
        read_hook(text, per, 1)


def test_what_may_not_be_executed_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "hook.sh").write_text("exit 0")
    for place in (tmp_path, tmp_path / "hook.sh"):
        with pytest.raises(InvalidRequestError, match="may be executed"):
            read_hook(str(place), "file", 1)


def test_each_word_stays_one_word_but_that_of_all_paths() -> None:
    hook = read_hook("sh -c 'x {print $1}' {orbit}{frame}.txt {paths} '{day} {set}'", "set", 1)
    words = ["sh", "-c", "x {print $1}", "07655C.txt", *PATHS, "2025-12-01 clouds"]
    assert words_for(hook, SPOT) == words


async def test_what_a_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAAP_TOKEN", "a-secret")
    names = "MAAP_HOOK MAAP_HOOK_SET MAAP_HOOK_ORBIT MAAP_HOOK_FRAME MAAP_HOOK_DAY MAAP_TOKEN".split()
    text = "; ".join([*(f'echo "${{{name}-unset}}"' for name in names), "cat", "echo to stderr >&2"])
    reason, said = await run(shell(text))
    assert reason == ""
    assert said == ["set", "clouds", "07655", "C", "2025-12-01", "unset", *PATHS, "to stderr"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [("exit 7", "exit code 7"), ("kill -9 $$", "it was ended by SIGKILL"), ("exec <&-; exit 0", "")],
)
async def test_how_a_command_ends(text: str, reason: str) -> None:
    assert (await run(shell(text)))[0] == reason


async def test_a_command_that_hangs_is_ended_with_all_it_started(tmp_path: Path) -> None:
    fifo = tmp_path / "held"
    os.mkfifo(fifo)
    held = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    hook = shell(f"sleep 1000 > {fifo} & wait", timeout_s=0.5)
    assert await run(hook) == ("it was ended after 0.5 s", [])
    os.set_blocking(held, True)
    assert await asyncio.to_thread(os.read, held, 1) == b""  # nobody holds the other end any more
    os.close(held)


async def test_a_command_is_ended_with_what_waits_for_it(tmp_path: Path) -> None:
    fifo = tmp_path / "held"
    os.mkfifo(fifo)
    task = asyncio.create_task(run(shell(f"exec > {fifo}; echo begun; exec sleep 1000")))
    with await asyncio.to_thread(fifo.open, "rb", 0) as held:
        assert await asyncio.to_thread(held.read, 6) == b"begun\n"
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(held.read) == b""  # nobody holds the other end any more


async def test_what_it_says_is_bounded() -> None:
    script = "print('\\n'.join(['x' * 9000] * 9000))"
    reason, said = await run(Hook((sys.executable, "-c", script), "set", 60))
    assert (reason, len(said), said[-1]) == ("", 501, "more was left out here")
    assert max(map(len, said)) == 2000


async def test_a_child_that_keeps_the_output_open_is_not_waited_for(tmp_path: Path) -> None:
    fifo = tmp_path / "end"
    os.mkfifo(fifo)
    reason, said = await run(shell(f"(cat {fifo}) & echo done"))
    assert (reason, said) == ("", ["done"])
    fifo.write_text("now it ends")


@pytest.fixture
def book(clean_home: Path) -> Any:
    where = loading.locate(loading.load(None, {"HOME": str(clean_home)}), {"HOME": str(clean_home)})
    return lambda purpose="set clouds (set)": HookBook(where, purpose)


def test_what_is_owed_is_found_by_the_next_run(book: Any) -> None:
    first = book()
    with first.opened():
        first.owe({"a": {"day": "1"}, "b": {"day": "2"}})
        first.owe({"a": {"day": "9"}})
        first.settle(["a"], done_as="BC BC")
        with pytest.raises(LockedError), book().opened():
            pass
    again = book()
    with again.opened():
        assert (again.owed, again.settled) == ({"b": {"day": "2"}}, {"a": {"BC BC"}})
        again.settle(["b"])
    other = book("set others (set)")
    with other.opened():
        assert (other.owed, other.settled) == ({}, {})


def test_a_torn_line_is_left_out_and_a_long_book_is_made_short(book: Any) -> None:
    first = book()
    with first.opened():
        first.owe({f"{number}": {"day": "1"} for number in range(2000)})
        first.note_failed(["0", "1", "unknown"])
        first.settle([f"{number}" for number in range(1, 2000)])
        first.settle(["x"], done_as="BC")
    with first.file.open("a") as file:
        file.write('{"owed": "torn", "da')
    again = book()
    with again.opened():
        assert (again.owed, again.settled) == ({"0": {"day": "1"}}, {"x": {"BC"}})
        assert again.failed == {"0"} and len(first.file.read_text().splitlines()) == 3
        again.owe({"new": {}})
    last = book()
    with last.opened():
        assert list(last.owed) == ["0", "new"] and last.failed == {"0"}
