"""Commands that are run after a file, a day or a set: what they get, how they end.

The command is run without a shell, in a process group of its own, with what it is about in its words, its
environment and its input. What it says goes to the log.
"""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.events import Emit, HookSaid
from maap_tui.text import signal_name

FILE, DAY, SET = "file", "day", "set"
VALUES: Mapping[str, tuple[str, ...]] = {
    FILE: ("path", "url", "collection", "product", "baseline", "day", "orbit", "frame"),
    DAY: ("collection", "product", "baseline", "day"),
    SET: ("set", "orbit", "frame", "day"),
}
"""What a command gets to know, by what it is run after."""
PATHS = "paths"
"""The placeholder that becomes one word for each path, where it is a word by itself."""

_PLACEHOLDER = re.compile(r"\{([a-z]+)\}")
_SECRETS = ("MAAP_TOKEN",)
"""Variables that a command does not inherit."""
_MOST_SAID = 500
"""Lines of one run that go to the log."""
_LONGEST_LINE = 2000
_END_WAIT_S = 5.0
"""Seconds between asking a command to end and ending it."""
_LAST_WORDS_S = 1.0
"""Seconds to wait for what a command said, once it has ended: what it started may hold its output open."""


class Hook(NamedTuple):
    """A command, and what it is run after."""

    words: tuple[str, ...]
    per: str
    """`FILE`, `DAY` or `SET`."""
    timeout_s: float
    """Seconds that one run may take."""


class Occasion(NamedTuple):
    """What a command is run for."""

    name: str
    """As it is shown."""
    values: Mapping[str, str]
    """Those of `VALUES`."""
    paths: tuple[str, ...]
    """The files."""


def read_hook(text: str, per: str, timeout_s: float) -> Hook:
    """Read the command of a hook, quoted as a shell would read it.

    Raises:
        InvalidRequestError: it cannot be read, names no program that is here, or has unknown placeholders.
    """
    try:
        words = tuple(shlex.split(text))
    except ValueError:
        raise InvalidRequestError(
            f"--hook {text[:80]!a} has a quote that does not end", "Close it."
        ) from None
    if not words:
        raise InvalidRequestError("--hook is empty", "Give a command, such as --hook 'process.sh {path}'.")
    if shutil.which(words[0]) is None:
        if "/" in words[0] and os.path.exists(words[0]):
            raise InvalidRequestError(
                f"--hook: {words[0][:80]!a} is not a program that may be executed", "Try chmod +x on it."
            )
        raise InvalidRequestError(
            f"--hook: the program {words[0][:80]!a} was not found",
            "Give its path; a line of a shell needs sh -c '...'.",
        )
    known = (*VALUES[per], PATHS)
    for word in words:
        for name in _PLACEHOLDER.findall(word):
            if name not in known:
                listed = ", ".join(f"{{{one}}}" for one in known)
                raise InvalidRequestError(
                    f"--hook has {{{name}}}, which a command after a {per} does not get",
                    f"There are {listed}.",
                )
            if name == PATHS and word != f"{{{PATHS}}}":
                raise InvalidRequestError(
                    f"--hook has {{{PATHS}}} inside {word[:40]!a}", "Make it a word by itself."
                )
    return Hook(words, per, timeout_s)


def words_for(hook: Hook, occasion: Occasion) -> list[str]:
    """The command line for an occasion; no word becomes several but that of all paths."""
    words: list[str] = []
    for word in hook.words:
        if word == f"{{{PATHS}}}":
            words += occasion.paths
        else:
            words.append(_PLACEHOLDER.sub(lambda found: occasion.values.get(found[1], ""), word))
    return words


async def run_hook(hook: Hook, occasion: Occasion, emit: Emit) -> str:
    """Run a command to its end; returns why it failed, '' when it ended with 0.

    Its process group is ended when its time is over, and when this is cancelled.
    """
    environ = {name: value for name, value in os.environ.items() if name not in _SECRETS}
    environ |= {f"MAAP_HOOK_{name.upper()}": occasion.values.get(name, "") for name in VALUES[hook.per]}
    environ["MAAP_HOOK"] = hook.per
    ours, theirs = os.pipe()
    reader = asyncio.StreamReader()
    output, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(ours, "rb")
    )
    try:
        process = await asyncio.create_subprocess_exec(
            *words_for(hook, occasion),
            stdin=asyncio.subprocess.PIPE,
            stdout=theirs,
            stderr=theirs,
            env=environ,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        output.close()
        return f"it cannot be started: {getattr(error, 'strerror', None) or error}"
    finally:
        os.close(theirs)
    talk = asyncio.create_task(_listen(reader, occasion, emit))
    feed = asyncio.create_task(_feed(process, occasion.paths))
    try:
        try:
            async with asyncio.timeout(hook.timeout_s):
                code = await process.wait()
        except TimeoutError:
            return f"it was ended after {hook.timeout_s:g} s"
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_S):
                await asyncio.shield(talk)
    finally:
        await _end(process)
        talk.cancel()
        feed.cancel()
        await asyncio.gather(talk, feed, return_exceptions=True)
        output.close()
    if code < 0:
        return f"it was ended by {signal_name(-code)}"
    return f"exit code {code}" if code else ""


async def _feed(process: asyncio.subprocess.Process, paths: Sequence[str]) -> None:
    """Write the paths to its input, one a line, as far as it reads them."""
    assert process.stdin is not None
    try:
        with suppress(OSError):
            process.stdin.write(os.fsencode("".join(f"{path}\n" for path in paths)))
            await process.stdin.drain()
    finally:
        process.stdin.close()


async def _listen(output: asyncio.StreamReader, occasion: Occasion, emit: Emit) -> None:
    async for line in said_lines(output):
        emit(HookSaid(occasion.name, line))


async def said_lines(output: asyncio.StreamReader) -> AsyncIterator[str]:
    """The first lines that a command says, none too long; the rest is read as well, so that it can end."""
    said, kept = 0, b""
    while piece := await output.read(1 << 16):
        *lines, kept = (kept + piece).split(b"\n")
        kept = kept[:_LONGEST_LINE]
        for line in lines:
            said += 1
            if said <= _MOST_SAID:
                yield line[:_LONGEST_LINE].decode("utf-8", "replace")
            elif said == _MOST_SAID + 1:
                yield "more was left out here"
    if kept and said < _MOST_SAID:
        yield kept.decode("utf-8", "replace")


async def _end(process: asyncio.subprocess.Process) -> None:
    """End what is left of its process group: asked first, then without asking."""
    if process.returncode is not None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with suppress(TimeoutError):
            # What cancelled this does not wait longer than that.
            async with asyncio.timeout(_END_WAIT_S):
                await process.wait()
                return
