"""Missions, collections, products, baselines and granules of the archive, all computed and none stored.

A series is one baseline of one product: a range of numbers on an axis. A granule is a number in a series.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from maap_tui.demo.orbit import (
    ASCENDING,
    DAY,
    FAR_FUTURE,
    AeolusOrbits,
    Axis,
    Days,
    EarthcareFrames,
    Scenario,
    epoch,
)
from maap_tui.demo.tables import MEMBERS, SPANS

RESTRICTED = frozenset(
    {
        "EarthCAREL0L1Products_MAAP",
        "EarthCAREL2Products_MAAP",
        "JAXAL2Products_MAAP",
        "EarthCAREAuxiliary_MAAP",
    }
)
"""Collections of the commissioning tier: metadata for everyone, files for nobody with the demo token."""

WITHOUT_ORBIT = frozenset({"AUX_MET_1D", "AUX_JSG_1D"})
"""Products with orbit and frame in the name, but neither orbit property nor geometry in the catalogue."""

SWAPPED = frozenset({("AC__CLP_2B", "CA"), ("AC__CLP_2B", "BB"), ("ATL_CLA_2A", "CB"), ("ATL_CLA_2A", "BA")})
"""JAXA baselines whose enclosure_h5 and enclosure_hdr point at each other's file."""

JAXA = frozenset(
    "CPR_NOM_1B CPR_ECO_2A CPR_CLP_2A ATL_CLA_2A MSI_CLP_2A AC__CLP_2B ACM_CLP_2B ALL_RAD_2B".split()
)
LAG = 3 * 3600
"""Seconds between sensing and the moment the archive has the granule."""

KIB = 1024
_SIZES = {
    "ATL_NOM_0_": 8192, "ATL_NOM_1B": 4096, "MSI_NOM_0_": 8192, "MSI_NOM_1B": 8192, "MSI_RGR_1C": 8192,
    "CPR_NOM_1B": 2048, "BBR_NOM_0_": 2048, "BBR_SNG_1B": 2048, "BBR_NOM_1B": 1024, "AUX_MET_1D": 1024,
    "AUX_JSG_1D": 512, "ATL_EBD_2A": 1024, "ATL_AER_2A": 1024, "MSI_COP_2A": 1024, "ACM_CAP_2B": 2048,
    "ACM_COM_2B": 1024, "ALL_3D__2B": 512, "CPR_CLD_2A": 128, "CPR_FMR_2A": 128, "CPR_CD__2A": 128,
    "ALD_U_N_1B": 2048, "ALD_U_N_2A": 512, "ALD_U_N_2B": 512,
}  # fmt: skip
_SMALL = (64, 128, 256, 512)
HDR_BYTES = 8 * KIB
EOF_BYTES = 64 * KIB


def size_of(product: str) -> int:
    """Bytes of the data file of a product, between 64 KiB and 8 MiB."""
    return _SIZES.get(product, _SMALL[zlib.crc32(product.encode()) % len(_SMALL)]) * KIB


def compact(t: float) -> str:
    """A time as it stands in file names, whole seconds: 20250316T133058."""
    if t >= FAR_FUTURE:
        return "99999999T999999"
    return datetime.fromtimestamp(t, UTC).isoformat()[:19].replace("-", "").replace(":", "")


def iso(t: float) -> str:
    """A time as it stands in items, milliseconds and Z."""
    return datetime.fromtimestamp(t, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, eq=False)
class Series:
    """One baseline of one product."""

    mission: str
    product: str
    baseline: str
    axis: Axis
    first: int
    """Number of the first granule."""
    last: int
    """Number of the last granule, included."""
    versions: int = 1
    """Items a granule has, each with its own creation time."""

    @property
    def has_orbit(self) -> bool:
        """Whether the catalogue knows orbit and ground track of its items."""
        return self.product not in WITHOUT_ORBIT and not isinstance(self.axis, Days | Scenario)

    @property
    def suffix(self) -> str:
        """Suffix of the data file."""
        if self.mission == "Aeolus":
            return ".DBL"
        gridded = self.level is not None
        return ".EOF" if self.product[:4] in ("AUX_", "GEO_", "MPL_") and not gridded else ".h5"

    @cached_property
    def level(self) -> str | None:
        """Processing level, None for auxiliary files."""
        tail = self.product[-2:]
        return "L" + tail.rstrip("_") if tail[0].isdigit() else None

    @cached_property
    def instruments(self) -> tuple[str, ...]:
        """Instruments the product is made of."""
        if self.mission == "Aeolus":
            return ("ALADIN",)
        by_prefix = {
            "ATL": "ATLID", "CPR": "CPR", "MSI": "MSI", "BBR": "BBR", "AC_": "CPR ATLID", "AM_": "ATLID MSI",
            "ACM": "CPR ATLID MSI", "BM_": "BBR MSI", "BMA": "BBR MSI ATLID", "ALL": "CPR ATLID MSI BBR",
        }  # fmt: skip
        return tuple(by_prefix.get(self.product[:3], "").split())


@dataclass(frozen=True)
class Granule:
    """One item of the archive."""

    series: Series
    number: int
    version: int = 0

    @cached_property
    def start(self) -> float:
        """Sensing start, seconds since 1970."""
        return self.series.axis.start(self.number)

    @cached_property
    def end(self) -> float:
        """Sensing end, seconds since 1970."""
        return self.series.axis.end(self.number)

    @cached_property
    def _chance(self) -> int:
        return zlib.crc32(f"{self.series.product}{self.series.baseline}{self.number}".encode())

    @cached_property
    def created(self) -> float:
        """When it was processed."""
        return float(int(self.start) + 5400 + self._chance % 3600 + self.version * 6 * 3600)

    @cached_property
    def updated(self) -> float:
        """When the catalogue took it in or last changed it."""
        return self.created + 600 + self._chance // 3600 % 900

    @property
    def orbit(self) -> int | None:
        """Absolute orbit as the catalogue indexes it, None where it does not."""
        return self.series.axis.orbit(self.number) if self.series.has_orbit else None

    @property
    def frame(self) -> str | None:
        """Frame letter A to H, None for products without frames."""
        return self.series.axis.frame(self.number)

    @property
    def direction(self) -> str | None:
        """ASCENDING or DESCENDING at the start, None where there is no orbit."""
        if not self.series.has_orbit or self.frame is None:
            return None
        return "ASCENDING" if self.frame in ASCENDING else "DESCENDING"

    @cached_property
    def id(self) -> str:
        """Item identifier, which is the stem of the file names."""
        series = self.series
        orbit, frame = series.axis.orbit(self.number), self.frame
        if series.mission == "Aeolus":
            return self._aeolus_id(orbit)
        agency = "J" if series.product in JAXA else "E"
        head = f"ECA_{agency}X{series.baseline}_{series.product}_{compact(self.start)}Z"
        if frame is None:
            version = self.number if isinstance(series.axis, Scenario) else 1
            return f"{head}_{compact(self.end)}Z_{version:04d}"
        return f"{head}_{compact(self.created)}Z_{orbit:05d}{frame}"

    def _aeolus_id(self, orbit: int | None) -> str:
        series = self.series
        head = f"AE_OPER_{series.product}_{compact(self.start)}"
        if series.level == "L1B":
            milliseconds = round(self.start % 1 * 1000)
            return f"{head}{milliseconds:03d}_{round((self.end - self.start) * 1000):09d}_{orbit:06d}_0001"
        return f"{head}_{compact(self.end)}_0001"

    @cached_property
    def folder(self) -> str:
        """Path of its folder below /data/, with the inner folder of the same name."""
        series = self.series
        day = iso(self.start)[:10].replace("-", "/")
        root = "aeolus-pdgs-01" if series.mission == "Aeolus" else "earthcare-pdgs-01/EarthCARE"
        return f"{root}/{series.product}/{series.baseline}/{day}/{self.id}"

    @property
    def files(self) -> dict[str, int]:
        """Suffix to bytes of each file of it, data first."""
        suffix = self.series.suffix
        if suffix == ".EOF":
            return {suffix: EOF_BYTES}
        return {suffix: size_of(self.series.product), ".HDR": HDR_BYTES}


@dataclass(frozen=True)
class Collection:
    """A collection and the series it lists."""

    id: str
    mission: str
    series: tuple[Series, ...]

    @property
    def restricted(self) -> bool:
        return self.id in RESTRICTED

    @property
    def products(self) -> list[str]:
        return sorted({series.product for series in self.series})

    @property
    def baselines(self) -> list[str]:
        return sorted({series.baseline.lower() for series in self.series})

    @property
    def has_orbit(self) -> bool:
        """Whether orbit number and direction are queryables of it."""
        return any(series.has_orbit for series in self.series) and self.id != "EarthCAREAuxiliary_MAAP"

    @property
    def has_frame(self) -> bool:
        """Whether frame is a queryable of it."""
        return any(series.axis.frame(series.first) for series in self.series)


_ECA = re.compile(r"ECA_[EJ]X([A-Z]{2})_(.{10})_(\d{8}T\d{6})Z_")
_AE = re.compile(r"AE_OPER_(.{10})_(\d{8}T\d{6})")


class Content:
    """Everything in the archive as of one moment.

    The moment is fixed when the archive starts, so that the pages of a search always fit each other.
    """

    def __init__(self, now: float) -> None:
        self.now = now
        self.series: dict[tuple[str, str], Series] = {}
        self.collections: dict[str, Collection] = {}
        self._fill_earthcare()
        self._fill_aeolus()
        opened = {series for c in self.collections.values() if not c.restricted for series in c.series}
        self.closed = frozenset(s for s in self.series.values() if s not in opened)
        """Series that only restricted collections list: their files answer 403."""

    def _fill_earthcare(self) -> None:
        frames = EarthcareFrames()
        for line in SPANS.splitlines():
            product, baseline, first, last = line.split()
            axis: Axis = frames
            if product == "MPL_ORBSCT":
                axis = Scenario(epoch(first), 22)
            elif product in ("AUX_ORBPRE", "AUX_ORBRES"):
                axis = Days(30 if product == "AUX_ORBPRE" else 1)
            versions = 3 if product == "AUX_MET_1D" else 1
            lag = LAG + (versions - 1) * 6 * 3600
            low = axis.last_starting(epoch(first) - 30) + 1
            newest = self.now - lag
            high = axis.last_starting(newest if last == "-" else min(epoch(last) + 30, newest))
            if high >= low:
                self.series[product, baseline] = Series(
                    "EarthCARE", product, baseline, axis, low, high, versions
                )
        name = ""
        members: dict[str, list[Series]] = {}
        for line in MEMBERS.splitlines():
            if not line.startswith(" "):
                name = line
            for entry in line.split() if line.startswith(" ") else ():
                product, _, baselines = entry.partition(":")
                for baseline in baselines.split(","):
                    if (product, baseline) in self.series:
                        members.setdefault(name, []).append(self.series[product, baseline])
        for name, listed in members.items():
            self.collections[name] = Collection(name, "EarthCARE", tuple(listed))

    def _fill_aeolus(self) -> None:
        for name, product, baseline, duration in (
            ("AeolusL1BProducts", "ALD_U_N_1B", "1B16", 5543.989),
            ("AeolusL2AProducts", "ALD_U_N_2A", "2A16", 5459.0),
            ("AeolusL2BProducts", "ALD_U_N_2B", "2B16", 5477.0),
        ):
            axis = AeolusOrbits(duration)
            low = axis.last_starting(epoch("2018-09-03T00:00:00")) + 1
            high = axis.last_starting(min(epoch("2023-04-30T23:59:59"), self.now - LAG))
            if high < low:
                continue
            series = Series("Aeolus", product, baseline, axis, low, high)
            self.series[product, baseline] = series
            self.collections[name] = Collection(name, "Aeolus", (series,))

    def find(self, item_id: str) -> Granule | None:
        """The granule of an identifier, None when the archive has none of that name."""
        if match := _ECA.match(item_id):
            baseline, product, stamp = match.groups()
            candidates = [series for series in (self.series.get((product, baseline)),) if series]
        elif match := _AE.match(item_id):
            product, stamp = match.groups()
            candidates = [series for key, series in self.series.items() if key[0] == product]
        else:
            return None
        try:
            moment = datetime.strptime(stamp, "%Y%m%dT%H%M%S").replace(tzinfo=UTC).timestamp()
        except ValueError:
            return None
        for series in candidates:
            for number in series.axis.numbers_at(moment):
                for version in range(series.versions):
                    granule = Granule(series, number, version)
                    if series.first <= number <= series.last and granule.id == item_id:
                        return granule
        return None

    def span(self, collection: Collection) -> tuple[float, float]:
        """First sensing start and last sensing end of a collection."""
        starts = [series.axis.start(series.first) for series in collection.series]
        ends = [min(series.axis.end(series.last), self.now + 30 * DAY) for series in collection.series]
        return min(starts), max(ends)
