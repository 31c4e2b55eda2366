"""Overpasses and matches beside brute force: the same granules by sampling every track with PROJ.

    python bench/overpass.py [--rounds N] [--quick] [--only WORDS] [--beside NAME=PYTHON]

Overpasses: of a site within 100 km, against a search of all granules of that time whose tracks are sampled
every kilometre. Matches: of a ship within 30 minutes and 400 km, against the same search, with both ways
sampled every two seconds and every minute. Each has to find the same granules as the brute force.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.brute_force import BRUTE, Answers, always, counts
from bench.kit.harness import OURS, Bench, Client, Reach, Work, maap, version_of
from maap_tui.demo.archive import Archive

COLLECTION, PRODUCT, BASELINE = "EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC"
SITE = 61.844, 24.288
BEGIN = datetime(2025, 12, 1, tzinfo=UTC)

TRACKS = """
import json, subprocess, sys
from datetime import datetime
import numpy as np
from pyproj import Geod
GEOD = Geod(ellps="WGS84")

def granules(search):
    lines = subprocess.run(search, check=True, capture_output=True, text=True).stdout.splitlines()
    for row in map(json.loads, lines):
        times = row["sensing_start"], row["sensing_end"]
        start, end = (datetime.fromisoformat(one).timestamp() for one in times)
        track = np.array(row["track"])
        heads, _, lengths = GEOD.inv(*track[:-1].T, *track[1:].T)
        runs = np.concatenate([[0], np.cumsum(lengths)])
        yield row, start, end, track, heads, runs

def sampled(track, heads, runs, where):
    legs = np.clip(np.searchsorted(runs, where, side="right") - 1, 0, len(heads) - 1)
    lons, lats, _ = GEOD.fwd(*track[legs].T, heads[legs], where - runs[legs])
    return lons, lats
"""

OVERPASSES = (
    TRACKS
    + """
lat, lon, metres, begin, *search = sys.argv[1:]
for row, start, stop, track, heads, runs in granules(search):
    where = np.arange(0, runs[-1], 1000.0)
    lons, lats = sampled(track, heads, runs, where)
    away = GEOD.inv(lons, lats, np.full_like(lons, float(lon)), np.full_like(lons, float(lat)))[2]
    nearest = int(away.argmin())
    if away[nearest] <= float(metres) and float(begin) <= start + (stop - start) * where[nearest] / runs[-1]:
        print(row["id"])
"""
)

MATCHES = (
    TRACKS
    + """
ship, wait, metres, *search = sys.argv[1:]
fixes = np.array(json.load(open(ship)))
moments = np.arange(fixes[0, 0], fixes[-1, 0], 60.0)
heads, _, lengths = GEOD.inv(*fixes[:-1, 1:].T, *fixes[1:, 1:].T)
legs = np.clip(np.searchsorted(fixes[:, 0], moments, side="right") - 1, 0, len(heads) - 1)
parts = (moments - fixes[legs, 0]) / (fixes[legs + 1, 0] - fixes[legs, 0])
ways = np.array(GEOD.fwd(*fixes[legs, 1:].T, heads[legs], lengths[legs] * parts)[:2])
for row, start, stop, track, heads_of, runs in granules(search):
    near = (moments >= start - float(wait)) & (moments <= stop + float(wait))
    if not near.any():
        continue
    when = np.arange(start, stop, 2.0)
    lons, lats = sampled(track, heads_of, runs, (when - start) / (stop - start) * runs[-1])
    best = np.inf
    for moment, there in zip(moments[near], ways[:, near].T):
        some = np.abs(when - moment) <= float(wait)
        if some.any():
            count = int(some.sum())
            away = GEOD.inv(lons[some], lats[some], np.full(count, there[0]), np.full(count, there[1]))[2]
            best = min(best, away.min())
    if best <= float(metres):
        print(row["id"])
"""
)


def overpasses(bench: Bench, archive: Archive, environ: Mapping[str, str], answers: Answers) -> Work:
    """Find the overpasses of a site."""
    days = 4 if bench.quick else 30
    end = BEGIN + timedelta(days=days)
    span = [
        "--start",
        f"{BEGIN:%Y-%m-%dT%H:%M:%SZ}",
        "--end",
        f"{end - timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}",
    ]
    names = (COLLECTION, PRODUCT, BASELINE)
    place = f"{SITE[0]},{SITE[1]}"
    clients = []
    for name, python in bench.ours.items():
        words = [*maap(python), "overpass", *names, "--point", place, "--radius", "100km", *span, "--json"]
        check = answers.check("overpasses", lambda line: str(json.loads(line)["granule"]))
        clients.append(Client(name, always(words), environ, check, output="found"))
    brute = [sys.executable, "-c", OVERPASSES, *map(str, SITE), "100e3", str(BEGIN.timestamp())]
    brute += [*maap(sys.executable), "search", *names, *span, "--json", "-q"]
    once = answers.check("overpasses", lambda line: line)
    clients.append(Client(BRUTE, always(brute), environ, once, output="found"))
    return Work(
        f"overpasses of a site in {days} days",
        clients,
        [Reach(OURS, "cpu", 1.0, BRUTE)],
        ("cpu", "wall", "memory", "searches", "MB"),
        lambda: counts(archive),
    )


def matches(
    bench: Bench, archive: Archive, environ: Mapping[str, str], answers: Answers, folder: Path
) -> Work:
    """Find the granules near a ship."""
    hours = 24 * (4 if bench.quick else 20)
    fixes = [
        (BEGIN + timedelta(hours=hour), (-30 + 0.12 * hour, 40 + 0.06 * hour)) for hour in range(0, hours, 6)
    ]
    table = folder / "ship.csv"
    lines = [f"{moment:%Y-%m-%dT%H:%M:%SZ},{lat},{lon}" for moment, (lon, lat) in fixes]
    table.write_text("\n".join(["time,lat,lon", *lines]) + "\n")
    numbers = folder / "ship.json"
    numbers.write_text(json.dumps([(moment.timestamp(), *at) for moment, at in fixes]))
    clients = []
    for name, python in bench.ours.items():
        words = [*maap(python), "match", str(table), f"{COLLECTION}/{PRODUCT}:{BASELINE}"]
        words += ["--dt", "30m", "--dx", "400km", "--json"]
        check = answers.check("matches", lambda line: str(json.loads(line)["granule"]))
        clients.append(Client(name, always(words), environ, check, output="found"))
    span = ["--start", "2025-11-30", "--end", f"{fixes[-1][0] + timedelta(days=1):%Y-%m-%d}"]
    brute = [sys.executable, "-c", MATCHES, str(numbers), "1800", "400e3", *maap(sys.executable), "search"]
    brute += [COLLECTION, PRODUCT, BASELINE, *span, "--json", "-q"]
    once = answers.check("matches", lambda line: line)
    clients.append(Client(BRUTE, always(brute), environ, once, output="found"))
    return Work(
        f"granules near a ship in {hours // 24} days",
        clients,
        [Reach(OURS, "cpu", 1.0, BRUTE)],
        ("cpu", "wall", "memory", "searches", "MB"),
        lambda: counts(archive),
    )


def main() -> int:
    bench = Bench(__doc__)
    bench.heading("Overpasses", {name: version_of(python) for name, python in bench.ours.items()})
    answers = Answers()
    with bench.folder() as folder, Archive.start(now="2026-01-15T00:00:00Z", offline_days=36500) as archive:
        home = folder / "maap"
        archive.prepare(home)
        environ = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", **archive.environment(home)}
        for work in (
            overpasses(bench, archive, environ, answers),
            matches(bench, archive, environ, answers, folder),
        ):
            bench.play(work, folder)
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
