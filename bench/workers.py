"""Workers that share a list of files where each connection is limited: the time from one to four of them.

    python bench/workers.py [--rounds N] [--quick] [--only WORDS] [--beside NAME=PYTHON]

Each worker is a process of its own, `maap download --shard I/N`, with one file in flight; the server limits
each connection, after the first 4 MiB. Four times the workers should take a quarter of the time, and a little
more: the parts are equal by chance only, and each worker starts Python. A pool of four is the same work by
`executor=` from one process. The last row has four workers that share `downloads.rate_total`.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.downloads import clients, urls_of
from bench.kit import peers
from bench.kit.facts import LIMIT_RATE, LIMITED, NAMES
from bench.kit.harness import PATIENCE_S, Bench, Client, Failed, Reach, Usage, Work, maap, version_of
from bench.kit.servers import Server, archive

MIB = 1024**2
RATE_TOTAL = 16 * MIB
POOL = """
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from maap_tui import MaapClient

if __name__ == "__main__":
    urls = Path("urls").read_text().split()
    with MaapClient() as client, ProcessPoolExecutor(int(sys.argv[1])) as pool:
        done = client.download(urls, sys.argv[2], out_dir="out", executor=pool)
    sys.exit(len(done.downloaded) != len(urls))
"""


def together(count: int, client: Client, folder: Path) -> Usage:
    """Run a client in so many processes, each with its shard.

    Raises:
        Failed: one of them ended with another code than 0.
    """
    environ = {**client.environ, "HOME": str(folder)}
    begun = time.monotonic()
    running = []
    for number in range(1, count + 1):
        words = [*client.words(folder), "--shard", f"{number}/{count}"]
        with (folder / f"stderr-{number}").open("wb") as said:
            running.append(subprocess.Popen(words, cwd=folder, env=environ, stdin=-3, stdout=-3, stderr=said))
    cpu = memory = 0.0
    for number, process in enumerate(running, start=1):
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        cpu += used.ru_utime + used.ru_stime
        memory = max(memory, used.ru_maxrss / 1024)
        if process.returncode or time.monotonic() - begun > PATIENCE_S:
            last = (folder / f"stderr-{number}").read_text(errors="replace").strip()[-400:]
            raise Failed(f"worker {number} of {count} ended with {process.returncode}: {last}")
    floor = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Usage(time.monotonic() - begun, cpu, memory, floor=floor)


def workers(bench: Bench, server: Server, files: int, size: int) -> list[Client]:
    """One worker, two and four by shards; four by a process pool; four that share the rate of one."""
    everyone = {one.name: one for one in clients(bench, server, urls_of(server, LIMITED, files), size)}
    made = []
    for name, python in bench.ours.items():
        flat = everyone[f"{name} flat"]
        words = [*maap(python), "download", *NAMES, "-q", "-f", "urls", "-o", "out"]
        one = replace(
            flat,
            words=partial(_always, words),
            environ={**flat.environ, "MAAP_DOWNLOADS_PARALLEL": "1"},
        )
        for count in (1, 2, 4):
            title = f"{name}, {count} worker{'s' if count > 1 else ''}"
            made.append(replace(one, name=title, measure=partial(together, count)))
        pool = replace(
            flat,
            name=f"{name}, a pool of 4",
            words=partial(_always, [python, "-c", POOL, "4", NAMES[0]]),
            environ={**flat.environ, "MAAP_DOWNLOADS_PARALLEL": "4"},
        )
        made.append(pool)
        shared = {**one.environ, "MAAP_DOWNLOADS_RATE_TOTAL": str(RATE_TOTAL)}
        title = f"{name}, 4 workers, rate_total"
        made.append(replace(one, name=title, environ=shared, measure=partial(together, 4)))
    return made


def _always(words: list[str], folder: Path) -> list[str]:
    return words


def main() -> int:
    bench = Bench(__doc__)
    count, size = (8, MIB // 2) if bench.quick else (96, 6 * MIB)
    versions = {name: version_of(python) for name, python in bench.ours.items()}
    bench.heading("Workers", versions | peers.versions("nginx"), peers.missing("nginx"))
    with bench.folder() as folder, archive(folder, {LIMITED: size}) as server:
        reaches = [
            Reach("maap, 2 workers", "wall", 0.65, "maap, 1 worker"),
            Reach("maap, 4 workers", "wall", 0.4, "maap, 1 worker"),
            Reach("maap, a pool of 4", "wall", 0.4, "maap, 1 worker"),
        ]
        title = f"{count} x {size / MIB:g} MiB, {LIMIT_RATE // MIB} MiB/s a connection"
        taken = bench.play(Work(title, workers(bench, server, count, size), reaches), folder)
        for name in bench.ours:
            for run in taken.get(f"{name}, 4 workers, rate_total", []):
                share = count * size / run.wall / RATE_TOTAL
                print(f"{name}: {share:.0%} of a rate_total of {RATE_TOTAL // MIB} MiB/s was used.\n")
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
