"""Work on files that nobody vouches for, in a process of its own: bounded in time and memory.

What a library in C makes of a damaged file, or of one made to harm, may be a crash or an hour of work: there
it costs that process, and the transfers of this one go on.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from maap_tui.engine.errors import EXIT_NON_TRANSIENT, InvalidRequestError

TIME_S = 20.0
"""Seconds that the work may take."""
MEMORY_BYTES = 2 << 30
"""Address space that it may take."""
MOST_BYTES = 32 << 20
"""Bytes that it may give back."""


class CannotRead(Exception):
    """What the work says of its file, one sentence without the name; to be raised in the process apart."""


def demand(package: str, extra: str, what: str) -> None:
    """Refuse work whose package is not installed, before anything is fetched for it.

    Raises:
        InvalidRequestError: it is not installed.
    """
    if importlib.util.find_spec(package) is None:
        raise InvalidRequestError(
            f"{what} needs a package that is not installed ({package})",
            f"Run: pip install 'maap-tui[{extra}]'",
        )


async def run_apart(module: str, *words: str, data: bytes = b"", time_s: float = TIME_S) -> bytes:
    """Run a module of the engine that ends with `finish`; gives back what its work gave.

    Args:
        module: its full name.
        words: its arguments.
        data: what it reads from its standard input.
        time_s: seconds until it is ended.

    Raises:
        InvalidRequestError: it cannot be done, in a sentence.
    """
    async with _started(module, *words) as process:
        try:
            async with asyncio.timeout(time_s):
                found, said = await process.communicate(data)
        except TimeoutError:
            raise InvalidRequestError(f"reading it took longer than {time_s:.0f} s") from None
    return _judged(process, found, said)


async def talk_apart(
    module: str, job: bytes, answer: Callable[[bytes], Awaitable[bytes]], *, files: Sequence[int] = ()
) -> bytes:
    """Run a module of the engine that asks while it works; gives back the last line that it wrote.

    Args:
        module: its full name.
        job: the first line of its standard input.
        answer: takes a line that it wrote and gives the line that it waits for; b"" for the last one.
        files: descriptors of open files that it has too.

    Raises:
        InvalidRequestError: it cannot be done, in a sentence.
    """
    async with _started(module, files=files) as process:
        assert process.stdin and process.stdout and process.stderr
        # Nobody reads it before the end: what is said is one sentence.
        said = asyncio.ensure_future(process.stderr.read())
        last, reply = b"", job
        try:
            while True:
                if reply:
                    process.stdin.write(reply + b"\n")
                    with suppress(ConnectionError):  # it ended, and says why
                        await process.stdin.drain()
                try:
                    line = await process.stdout.readline()
                except ValueError:
                    line, last = b"", b""  # longer than any line can be
                    process.kill()
                if not line:
                    break
                last = line
                reply = await answer(line)
            return _judged(process, last, await said if await process.wait() else b"")
        finally:
            said.cancel()


@asynccontextmanager
async def _started(
    module: str, *words: str, files: Sequence[int] = ()
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The process, which does not outlive what is done with it."""
    # On a machine of many processors the threads of numpy would reserve all the memory there may be.
    environ = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # what lies in the folder of the user is not imported
            "-m",
            module,
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environ,
            limit=MOST_BYTES,
            pass_fds=files,
            start_new_session=True,  # ctrl+c is for this process
        )
    except OSError as error:
        raise InvalidRequestError(f"no process could be started to read it ({error})") from error
    try:
        yield process
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await asyncio.shield(process.wait())


def _judged(process: asyncio.subprocess.Process, found: bytes, said: bytes) -> bytes:
    """What it gave; raises what it said where it could not."""
    if process.returncode == EXIT_NON_TRANSIENT:
        # What a library writes to its standard error goes before it.
        words = said.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise InvalidRequestError(words or "it cannot be read")
    if process.returncode or len(found) > MOST_BYTES:
        raise InvalidRequestError("it is damaged, or made to harm: what reads it gave up")
    return found


def finish(work: Callable[[], bytes], *, cpu_s: float = TIME_S) -> None:
    """Do the work of a process apart, within its memory: what it gives goes to stdout, why not to stderr.

    Args:
        work: what it does.
        cpu_s: seconds of a processor that it may take.
    """
    import resource

    with suppress(OSError, ValueError):  # not every system limits that
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    # Nobody ends it when the process that started it was killed.
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (int(cpu_s), int(cpu_s)))
    try:
        found = work()
    except CannotRead as error:
        os.write(2, str(error).encode())
        os._exit(EXIT_NON_TRANSIENT)
    except MemoryError:
        os.write(2, b"it is too large to be read")
        os._exit(EXIT_NON_TRANSIENT)
    except Exception as error:  # on damaged files libraries raise nearly anything
        words = f"{type(error).__name__}: {error}"
        os.write(2, f"it cannot be read ({' '.join(words.split())[:200]})".encode(errors="replace"))
        os._exit(EXIT_NON_TRANSIENT)
    sys.stdout.buffer.write(found)
    sys.stdout.buffer.flush()
    # Libraries that tidy up at the end can crash on what they read.
    os._exit(0)
