"""What is waited for, and how long: services that are down, bodies that stall or drip."""

from __future__ import annotations

import asyncio
import subprocess
import threading
import time
from pathlib import Path

from tests.engine.raw_files import RawFile, Request, answer, hdf5_body
from tests.faults.figure import Figure
from tests.faults.links import PoorLink
from tests.faults.stage import SYNC, Stage

BODY = hdf5_body(200_000, seed=9)


def measure_outages(rounds: int, folder: Path, seconds: float = 120.0) -> Figure:
    """F13: syncs during which first the token service and then the archive is down that long.

    The defaults apply for 2 minutes; for shorter outages all waits are shortened as much. `rounds`
    pairs run at once.
    """
    scale = seconds / 120.0
    with_defaults = scale >= 1
    stages = [Stage(folder / f"{kind}-{number}") for number in range(rounds) for kind in ("token", "archive")]
    results: list[str] = []

    def play(stage: Stage, kind: str) -> None:
        with stage:
            stage.add_good(6)
            environ = stage.plain_environment
            if not with_defaults:
                waits = {"RETRY_WAIT": 2 * scale, "DOWNLOADS_RETRY_WAIT": scale, "OUTAGE_WAIT": 900 * scale}
                environ |= {f"MAAP_{name}": f"{value:.4f}" for name, value in waits.items()}
            back_at = [0.0]
            if kind == "token":
                _let_tokens_fail(stage, seconds, back_at)
                process = stage.start(*SYNC, environ=environ)
            else:
                asked = let_a_file_wait(stage)
                process = stage.start(*SYNC, environ=environ)
                asked.wait(60)
                stage.go_away()
                time.sleep(seconds)
                stage.come_back()
                back_at[0] = time.monotonic()
            err = _end_of(process, seconds)
            late = time.monotonic() - back_at[0]
            said = err.count("is unavailable")
            if (process.returncode, len(stage.finals), said, stage.wrong_files()) != (0, 6, 1, []):
                results.append(f"{kind}: exit {process.returncode}, said {said} times: {err[-300:]}")
            elif with_defaults and late > 60:
                results.append(f"{kind}: went on {late:.0f} s after the service")

    threads = [
        threading.Thread(target=play, args=(stage, stage.folder.name.partition("-")[0])) for stage in stages
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    what = f"{rounds} outages of {seconds:g} s of the token service, {rounds} of the archive"
    seen = "exit 0, said once" if not results else "; ".join(results)
    return Figure("F13", what, "exit 0 in the end, said once", seen, not results)


def _let_tokens_fail(stage: Stage, seconds: float, back_at: list[float]) -> None:
    async def fail(request: Request, writer: asyncio.StreamWriter) -> None:
        # The outage begins with the first one who notices it.
        back_at[0] = back_at[0] or time.monotonic() + seconds
        if time.monotonic() < back_at[0]:
            writer.write(answer("503 Service Unavailable"))
        else:
            await stage._token(request, writer)

    stage.server.at("/token", fail)


def let_a_file_wait(stage: Stage) -> threading.Event:
    """A file whose first answer is cut off by the outage; returns what says that it was asked for."""
    asked = threading.Event()

    async def wait(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(answer("200 OK", BODY[:70_000], content_length=str(len(BODY)), etag='"one"'))
        await writer.drain()
        asked.set()
        await asyncio.Event().wait()

    stage.items.pop()
    stage.add(wait, RawFile(BODY), body=BODY, size=len(BODY))
    return asked


def _end_of(process: subprocess.Popen[bytes], seconds: float) -> str:
    try:
        _, err = process.communicate(timeout=seconds * 2 + 60)
    except subprocess.TimeoutExpired:
        process.kill()
        _, err = process.communicate()
    return err.decode()


def measure_stalls(rounds: int, folder: Path) -> Figure:
    """F14: how long a stall and a drip take to be noticed, with the default settings; all wait at once."""
    noticed: dict[str, list[float]] = {"stall": [], "drip": []}
    wrong: list[str] = []

    def play(stage: Stage, kind: str) -> None:
        begun: list[float] = []

        async def slow(request: Request, writer: asyncio.StreamWriter) -> None:
            writer.write(answer("200 OK", BODY[:90_000], content_length=str(len(BODY)), etag='"one"'))
            await writer.drain()
            begun.append(time.monotonic())
            for byte in BODY[90_000:]:
                await asyncio.sleep(1 if kind == "drip" else 1000)
                writer.write(bytes([byte]))
                await writer.drain()

        async def again(request: Request, writer: asyncio.StreamWriter) -> None:
            noticed[kind].append(time.monotonic() - begun[0])
            await RawFile(BODY)(request, writer)

        with stage:
            stage.add(slow, again, body=BODY, size=len(BODY))
            process = stage.start(*SYNC, environ=stage.plain_environment)
            err = _end_of(process, 60)
            if process.returncode or stage.wrong_files() or len(stage.finals) != 1:
                wrong.append(f"{kind}: exit {process.returncode} {err[-200:]}")

    stages = [(Stage(folder / f"{kind}-{number}"), kind) for kind in noticed for number in range(rounds)]
    threads = [threading.Thread(target=play, args=one) for one in stages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stall, drip = (max(noticed[kind], default=1e9) for kind in ("stall", "drip"))
    seen = f"{stall:.1f} s, {drip:.1f} s" + "".join(f"; {one}" for one in wrong)
    return Figure(
        "F14",
        f"{rounds} stalls and {rounds} drips",
        "noticed within 35 s and 65 s",
        seen,
        stall <= 35 and drip <= 65 and not wrong,
    )


def measure_poor_line(rounds: int, folder: Path, delay_s: float = 0.2, loss: float = 0.02) -> Figure:
    """Row N19: files over a line of 8 Mbit/s with a far end and losses, with the default settings."""
    with Stage(folder) as stage:
        link = PoorLink(port=int(stage.url.rpartition(":")[2]), delay_s=delay_s, rate=1_000_000, loss=loss)
        stage.open(link)
        stage.move(link.url)
        for number in range(rounds):
            body = hdf5_body(400_000, seed=number)
            stage.add(RawFile(body, etag=f'"{number}"'), body=body, size=len(body))
        ended = stage.maap(*SYNC, **{name: "" for name in stage.environment if "RETR" in name})
        came, wrong = len(stage.finals), stage.wrong_files()
    return Figure(
        "N19",
        f"{rounds} files over a line of 8 Mbit/s, {delay_s * 1000:g} ms, {loss:.0%} loss",
        "all come",
        f"{came} came over {link.broken} breaks, exit {ended.code}",
        (came, wrong, ended.code) == (rounds, [], 0),
    )
