"""Files that change while they are fetched, and lines that break: what is mixed, and what comes twice."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import itertools
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.engine.raw_files import RawFile, Request, answer, hdf5_body
from tests.faults.figure import Figure
from tests.faults.stage import NAMES, Stage

CUTS = (0.01, 0.1, 0.5, 0.99, 0.999)
SIZES = (3_000, 150_000, 2 << 20, 9 << 20)
WAYS = {
    "replaced between runs": {},
    "replaced while retrying": {},
    "weak ETag": {"etag": 'W/"one"'},
    "no ETag": {"etag": ""},
    "200 on a range": {"ranges": False},
}
CASES = list(itertools.product(CUTS, SIZES, WAYS))
random.Random(1).shuffle(CASES)


class Replaced(RawFile):
    """A file that is another one, of the same length, from some answer on."""

    after = 0
    """Answers before that."""

    def replace(self, body: bytes) -> None:
        self.body = body
        self.etag = self.etag.replace("one", "two")

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        await super().__call__(request, writer)
        self.after -= 1
        if self.after == 0:
            self.replace(hdf5_body(len(self.body), seed=2))


def _set_up(stage: Stage, number: int, cut: float, size: int, way: str) -> tuple[Replaced, str]:
    file = Replaced(hdf5_body(size), cuts=[max(1, int(size * cut))], **copy.deepcopy(WAYS[way]))
    file.after = 1 if way == "replaced while retrying" else 0
    return file, stage.server.at(f"/data/case-{number}.h5", file)


def measure_mixed(rounds: int, folder: Path) -> Figure:
    """F1: resume files of which the server has another version meanwhile."""
    seen = {"mixed": 0, "missing": 0, "old": 0}
    with Stage(folder) as stage:
        for number, (cut, size, way) in enumerate(CASES[:rounds]):
            file, url = _set_up(stage, number, cut, size, way)
            words = ("download", *NAMES, "-u", url, "-o", stage.data)
            first, second = file.body, hdf5_body(size, seed=2)
            if not file.after:
                if stage.maap(*words, MAAP_DOWNLOADS_RETRIES="0").code != 3:
                    seen["old"] += 1
                file.replace(second)
            code = stage.maap(*words).code
            path = stage.data / url.rpartition("/")[2]
            here = path.read_bytes() if path.exists() else b""
            if here not in (b"", first, second):
                seen["mixed"] += 1
            elif here == first:
                seen["old"] += 1
            elif not here or code:
                seen["missing"] += 1
            path.unlink(missing_ok=True)
    words_seen = ", ".join(f"{count} {name}" for name, count in seen.items() if count or name == "mixed")
    return Figure("F1", f"{rounds} resumes of a replaced file", "0 mixed", words_seen, not any(seen.values()))


def peers_mixed(rounds: int, folder: Path) -> dict[str, str]:
    """The same of programs that are told to resume."""
    peers: dict[str, Callable[[Path, str], list[str]]] = {
        "curl": lambda path, url: ["curl", "-fsS", "--retry", "2", "-C", "-", "-o", str(path), url],
        "aria2c": lambda path, url: [
            *("aria2c", "-q", "-c", "--auto-file-renaming=false", "--retry-wait=0"),
            *("-m", "3", "-d", str(path.parent), "-o", path.name, url),
        ],
        "wget": lambda path, url: ["wget", "-q", "-c", "-t", "3", "--waitretry=0", "-O", str(path), url],
    }
    results = {}
    for name, command in peers.items():
        if shutil.which(name) is None:
            continue
        mixed = 0
        with Stage(folder / name) as stage:
            stage.data.mkdir(parents=True)
            for number, (cut, size, way) in enumerate(CASES[:rounds]):
                file, url = _set_up(stage, number, cut, size, way)
                path = stage.data / f"{number}.h5"
                first, second = file.body, hdf5_body(size, seed=2)
                if not file.after:
                    file.cuts *= 4  # it tries again by itself
                    subprocess.run(command(path, url), check=False, capture_output=True, timeout=60)
                    file.cuts.clear()
                    file.replace(second)
                ended = subprocess.run(command(path, url), check=False, capture_output=True, timeout=60)
                is_whole = path.exists() and path.read_bytes() in (first, second)
                mixed += ended.returncode == 0 and not is_whole
        results[name] = f"{mixed} of {rounds} wrong with exit code 0"
    return results


BLOCK = random.Random(3).randbytes((8 << 20) + 4093)
"""What a giant file repeats; its length shares nothing with that of a piece."""


class Giant:
    """A file too large to be held, made as it is sent, on a line that breaks."""

    def __init__(self, size: int, cuts: list[int], piece: int = 256 << 10, pause_s: float = 0.0) -> None:
        self.size = size
        self.unit = piece
        """Bytes sent at once."""
        self.pause_s = pause_s
        """Seconds between them."""
        self.starts: list[int] = []
        """First byte of each answer."""
        self.cuts = cuts
        """Bytes of the file after which the line breaks, in order."""
        self.head = hdf5_body(size=64, says=size)
        self.served = 0

    def piece(self, begin: int, end: int) -> bytes:
        """Its bytes, at most a block of them."""
        at = begin % len(BLOCK)
        data = BLOCK[at : at + end - begin]
        return (
            self.head[begin:end] + data[max(0, len(self.head) - begin) :] if begin < len(self.head) else data
        )

    def digest(self) -> str:
        found, at = hashlib.sha256(), 0
        while at < self.size:
            data = self.piece(at, min(self.size, at + (1 << 20)))
            found.update(data)
            at += len(data)
        return found.hexdigest()

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        asked = request.headers.get("range", "")
        first, _, last = asked.removeprefix("bytes=").partition("-")
        at, end = int(first or 0), int(last or self.size - 1) + 1
        self.starts.append(at)
        head = {"etag": '"giant"', "content_length": str(end - at), "accept_ranges": "bytes"}
        if asked:
            head["content_range"] = f"bytes {at}-{end - 1}/{self.size}"
        writer.write(answer("206 Partial Content" if asked else "200 OK", **head))
        end = self.cuts.pop(0) if self.cuts else end
        while at < end:
            data = self.piece(at, min(end, at + self.unit))
            at += len(data)
            self.served += len(data)
            writer.write(data)
            await writer.drain()
            if self.pause_s:
                await asyncio.sleep(self.pause_s)


def measure_refetched(rounds: int, folder: Path, size: int = 1 << 30) -> Figure:
    """F7: fetch a large file over a line that breaks `rounds` times, half of the times with the run."""
    chance = random.Random(7)
    cuts = sorted(chance.sample(range(size // 100, size), rounds))
    giant = Giant(size, list(cuts))
    with Stage(folder) as stage:
        url = stage.server.at("/data/giant.h5", giant)
        words = ("download", *NAMES, "-u", url, "-o", stage.data)
        runs = 1
        while len(giant.cuts) > rounds // 2:
            stage.maap(*words, MAAP_DOWNLOADS_RETRIES="0")
            runs += 1
        code = stage.maap(*words).code
        path = stage.data / "giant.h5"
        is_right = path.exists() and _digest_of(path) == giant.digest()
        path.unlink(missing_ok=True)
    again = (giant.served - size) / size
    seen = f"{again:.2%} in {runs} runs" + ("" if is_right and code == 0 else ", and the file is wrong")
    return Figure(
        "F7",
        f"{rounds} cuts of a file of {size >> 20} MiB",
        "at most 1 % fetched twice",
        seen,
        again <= 0.01 and is_right and code == 0,
    )


def measure_killed(
    rounds: int, folder: Path, size: int = 256 << 20, ranges: tuple[int, ...] = (1,)
) -> Figure:
    """Row N4: fetch a file in runs of which all but the last are killed.

    Args:
        rounds: how many are.
        folder: where.
        size: bytes of the file.
        ranges: over how many connections, one of them at random for each run.
    """
    giant = Giant(size, [], piece=64 << 10, pause_s=0.002)
    chance = random.Random(4)
    with Stage(folder) as stage:
        url = stage.server.at("/data/giant.h5", giant)
        words = ("download", *NAMES, "-u", url, "-o", stage.data)
        for number in range(1, rounds + 1):
            over = ("--ranges", chance.choice(ranges))
            process = stage.start(*words, *over, environ=stage.environment)
            until = (number - chance.random()) * size / (rounds + 1)
            while giant.served < until and process.poll() is None:
                time.sleep(0.002)
            process.kill()
            process.communicate()
        code = stage.maap(*words, "--ranges", max(ranges)).code
        path = stage.data / "giant.h5"
        is_right = code == 0 and path.exists() and _digest_of(path) == giant.digest()
        path.unlink(missing_ok=True)
    ratio = giant.served / size
    most = 1 + 0.02 * max(ranges)  # what is on its way on each connection is lost
    return Figure(
        "N4",
        f"{rounds} kills while a file of {size >> 20} MiB comes"
        + (f" over {min(ranges)} to {max(ranges)} connections" if max(ranges) > 1 else ""),
        f"at most {most:.2f} of its bytes sent",
        f"{ratio:.4f}, the file is {'right' if is_right else 'wrong'}",
        ratio <= most and is_right,
    )


def _digest_of(path: Path) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
