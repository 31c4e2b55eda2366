"""FLEX: the simulated products of one segment, which are only to be had whole."""

from __future__ import annotations

from maap_tui.demo.missions.base import KIB
from maap_tui.demo.missions.listed import Entry, File, ListedMission, Listing
from maap_tui.demo.orbit import epoch

_GRANULES = (
    # Collection, product type, level, start, end, creation, the rest of the name.
    ("FLEXL1Products", "L1B_OBS___", "L1B", "20230712T075954", "20230712T080232", "20260110T131535",
     "0158_100_064_0021_01"),
    ("FLEXL1Products", "L1B_OBS___", "L1B", "20230712T080232", "20230712T080510", "20260110T131702",
     "0158_100_064_0022_01"),
    ("FLEXL1Products", "L1C_FLXSYN", "L1C", "20230712T075954", "20230712T080232", "20260111T160418",
     "0158_100_064_0021_01"),
    ("FLEXL2Products", "L2__FLXSYN", "L2", "20230712T075954", "20230712T075958", "20260112T210006",
     "36TYK_100_064_01"),
)  # fmt: skip


def _moment(stamp: str) -> float:
    return epoch(f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}T{stamp[9:11]}:{stamp[11:13]}:{stamp[13:]}")


_FILES = (
    File("", "xfdumanifest.xml", "application/xml", "metadata", 6 * KIB),
    File("", "radiance.nc", "application/netcdf", "data", 160 * KIB),
)


class Flex(ListedMission):
    """FLEX, before its launch."""

    name = "FLEX"
    bucket = "flex-pdgs-01"
    instrument = "FLORIS"
    hides_orbits = True

    def listings(self) -> list[Listing]:
        found: dict[str, Listing] = {}
        for collection, product, level, start, end, created, rest in _GRANULES:
            identity = f"FLX_{product}_{start}_{end}_{created}_{rest}"
            parts = rest.split("_")
            entry = Entry(
                id=identity,
                folder=f"flex-pdgs-01/{identity}",
                start=_moment(start),
                end=_moment(end),
                created=_moment(created),
                line=[(6.0, 55.0), (5.8, 50.0), (5.6, 45.0)],
                width=1.5,
                track=parts[2],
                frame=parts[3] if len(parts) == 5 else None,
            )
            listing = Listing(collection, product, "01", level, _FILES)
            found.setdefault(product, listing).entries.append(entry)
        return list(found.values())
