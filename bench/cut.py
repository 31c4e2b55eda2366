"""A part of a file at the archive, beside fetching the whole file and slicing it.

    python bench/cut.py [--rounds N] [--quick] [--only WORDS] [--beside NAME=PYTHON]

One variable within 200 km of the middle of the track, of a file of 8 MiB or more, over a line with 50 ms to
each answer and 4 MB/s a connection: `maap cut`, against `maap get` of the file and a slice of it by h5py.
Both have to keep the same values; MB are what the archive sent.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.kit.harness import OURS, Bench, Client, Reach, Work, maap, version_of
from maap_tui.demo.archive import Archive
from maap_tui.demo.missions.base import Granule

COLLECTION, PRODUCT, BASELINE = "EarthCAREL1Validated_MAAP", "MSI_RGR_1C", "BA"
WHOLE = "whole file, sliced"
KM = 200
LATENCY_S, RATE = 0.05, 4e6

SLICE = """
import pathlib, subprocess, sys
import h5py, numpy
latitude, longitude, km, name, out, *get = sys.argv[1:]
subprocess.run(get, check=True)
(path,) = pathlib.Path(out).parent.glob("*.h5")
with h5py.File(path) as whole, h5py.File(out, "w") as part:
    group = whole["ScienceData"]
    lat = numpy.radians(group["latitude"][:], dtype="f8")
    lon = numpy.radians(group["longitude"][:], dtype="f8")
    here, there = numpy.radians(float(latitude)), numpy.radians(float(longitude))
    half = numpy.cos(lat) * numpy.cos(here) * numpy.sin((lon - there) / 2) ** 2
    half += numpy.sin((lat - here) / 2) ** 2
    inside = numpy.flatnonzero(2 * 6371 * numpy.arcsin(numpy.sqrt(half)) <= float(km))
    part.create_group("ScienceData")[name] = group[name][inside[0] : inside[-1] + 1]
"""


class Values:
    """What was kept first; all that comes after it has to be the same."""

    def __init__(self) -> None:
        """Nothing was kept."""
        self._first: bytes | None = None

    def check(self, folder: Path) -> str:
        import h5py

        with h5py.File(folder / "part.nc") as part:
            found = part["ScienceData/signal"][()].tobytes()
        self._first = found if self._first is None else self._first
        if not found:
            return "nothing was kept"
        return "" if found == self._first else f"{len(found)} bytes differ from the {len(self._first)} first"


def cut(bench: Bench, archive: Archive, environ: Mapping[str, str], granule: Granule) -> Work:
    """Keep one variable near a place."""
    track = granule.series.axis.track(granule.number) or [(0.0, 0.0)]
    longitude, latitude = track[len(track) // 2]
    longitude = (longitude + 180) % 360 - 180
    values, clients = Values(), []
    near = [f"--point={latitude},{longitude}", "--radius", str(KM), "--var", "signal"]
    for name, python in bench.ours.items():

        def words(folder: Path, python: str = python) -> Sequence[str]:
            out = ["-q", "-o", str(folder / "part.nc")]
            return [*maap(python), "cut", granule.id, "--collection", COLLECTION, *near, *out]

        clients.append(Client(name, words, environ, values.check))

    def whole(folder: Path) -> Sequence[str]:
        get = [*maap(sys.executable), "get", COLLECTION, PRODUCT, BASELINE, "--orbit", granule.id[-6:], "-q"]
        place = [str(latitude), str(longitude), str(KM), "signal", str(folder / "part.nc")]
        return [sys.executable, "-c", SLICE, *place, *get, "--out-dir", str(folder)]

    clients.append(Client(WHOLE, whole, environ, values.check))
    return Work(
        f"one variable within {KM} km",
        clients,
        [Reach(OURS, "MB", 0.25, WHOLE), Reach(OURS, "wall", 1.0, WHOLE)],
        ("wall", "cpu", "memory", "requests", "MB"),
        lambda: counts(archive),
    )


def counts(archive: Archive) -> dict[str, float]:
    """Requests for files and the megabytes that they took, since the last look."""
    sent = archive.stats.show()["bytes_by_kind"].get("data", 0)
    seen = {"requests": float(archive.stats.count("data")), "MB": sent / 1e6}
    archive.stats.reset()
    return seen


def main() -> int:
    bench = Bench(__doc__)
    bench.heading("Cut", {name: version_of(python) for name, python in bench.ours.items()})
    with bench.folder() as folder, Archive.start(offline_days=365) as archive:
        home = folder / "maap"
        archive.prepare(home)
        archive.faults.add(target="data", latency_s=LATENCY_S, rate=RATE)
        environ = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", **archive.environment(home)}
        granule = archive.content.series[PRODUCT, BASELINE].newest(0)
        bench.play(cut(bench, archive, environ, granule), folder)
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
