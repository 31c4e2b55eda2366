"""CryoSat: some stretches of 2022, one of them in two baselines and from two processing chains."""

from __future__ import annotations

from typing import Any

from maap_tui.demo.missions.base import KIB, Series, compact
from maap_tui.demo.missions.listed import Entry, File, ListedMission, Listing
from maap_tui.demo.orbit import DAY, epoch

COLLECTION = "CryoSatIceL110"
_STRETCHES = (
    # Product type, baseline, class, start, seconds.
    ("SIR_SIN_1B", "E001", "OFFL", "2022-09-17T08:23:19", 45),
    ("SIR_SIN_1B", "E001", "OFFL", "2022-09-17T10:02:40", 61),
    ("SIR_SIN_1B", "E001", "OFFL", "2022-09-17T11:41:12", 88),
    ("SIR_SIN_1B", "D001", "OFFL", "2022-09-17T08:23:19", 45),
    ("SIR_SIN_1B", "D001", "LTA_", "2022-09-17T08:23:19", 45),
    ("SIR_SAR_1B", "E001", "OFFL", "2022-12-13T20:16:00", 152),
    ("SIR_SAR_1B", "E001", "LTA_", "2022-12-13T20:16:00", 152),
    ("SIR_LRM_1B", "D001", "OFFL", "2020-09-30T19:11:58", 64),
)


_MODES = {"SIR_SIN_1B": "SARIN", "SIR_SAR_1B": "SAR", "SIR_LRM_1B": "LRM"}
_FILES = (File("enclosure_nc", "{name}.nc", "application/netcdf", "data", 96 * KIB),)


class CryoSat(ListedMission):
    """CryoSat, whose files lie in the folder of their day."""

    name = "CryoSat"
    bucket = "cryosat-pdgs-01"
    instrument = "SIRAL"
    has_zip = False
    has_own_folder = False
    hides_orbits = True

    def listings(self) -> list[Listing]:
        found: dict[tuple[str, str], Listing] = {}
        for number, (product, baseline, kind, begin, length) in enumerate(_STRETCHES):
            start = epoch(begin)
            day = begin[:10].replace("-", "/")
            entry = Entry(
                id=f"CS_{kind}_{product}_{compact(start)}_{compact(start + length)}_{baseline}",
                folder=f"cryosat-pdgs-01/CRYOSAT/{product}/{baseline}/{day}",
                start=start,
                end=start + length,
                created=start + 30 * DAY,
                line=[(round(-50 - 1.0 * number - 0.5 * i, 3), round(70 + 1.25 * i, 3)) for i in range(3)],
            )
            listing = Listing(COLLECTION, product, baseline, "L1B", _FILES)
            found.setdefault((product, baseline), listing).entries.append(entry)
        return list(found.values())

    def properties(self, series: Series, frame: str | None) -> dict[str, Any]:
        return {"sar:instrument_mode": _MODES[series.product]}
