"""Many small files in one run: whether a file costs the same among a thousand and among a hundred thousand.

    python bench/growth.py [--rounds N] [--quick] [--only WORDS] [--beside NAME=PYTHON]

1,000, 10,000 and 100,000 files of 4 KiB, flat and tracked, 200 of a day, beside curl. The largest is played
once: it takes many minutes.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.downloads import clients, urls_of
from bench.kit import peers
from bench.kit.harness import Bench, Usage, Work, version_of
from bench.kit.servers import archive

SIZE = 4096
ONCE = 50_000
"""Files from which on one run has to do."""


def main() -> int:
    bench = Bench(__doc__)
    versions = {name: version_of(python) for name, python in bench.ours.items()}
    bench.heading("Growth", versions | peers.versions("curl", "nginx"), peers.missing("curl", "nginx"))
    taken: dict[str, list[Usage]] = {}
    with bench.folder() as folder, archive(folder, {"tiny": SIZE}) as server:
        for count in (20, 40) if bench.quick else (1_000, 10_000, 100_000):
            names = ("curl -Z", *(f"{one} {kind}" for one in bench.ours for kind in ("flat", "tracked")))
            everyone = clients(bench, server, urls_of(server, "tiny", count), SIZE)
            work = Work(f"{count:,} x 4 KiB", [client for client in everyone if client.name in names])
            for name, runs in bench.play(work, folder, rounds=1 if count >= ONCE else 0).items():
                middle = sorted(runs, key=lambda one: one.wall)[len(runs) // 2] if runs else None
                if middle is not None:
                    more = {"files/s": count / middle.wall, "CPU ms a file": 1000 * middle.cpu / count}
                    taken.setdefault(name, []).append(replace(middle, more=more))
        bench.judge_growth(taken, "files/s", 1.15, is_rate=True)
        bench.judge_growth(taken, "CPU ms a file", 1.15)
        bench.judge_growth(taken, "memory", 1.1)
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
