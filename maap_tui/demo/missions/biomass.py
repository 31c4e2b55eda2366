"""Biomass: level 1a, 1b and 2a of three passes in December 2025, one granule of them processed twice.

One product of level 2a is there in a second baseline too.
"""

from __future__ import annotations

from typing import Any

from maap_tui.demo.missions.base import KIB, MARK, Granule, Series, compact
from maap_tui.demo.missions.listed import Entry, File, ListedMission, Listing
from maap_tui.demo.orbit import DAY, epoch

_EPOCH = epoch("2000-01-01T00:00:00")
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_STEP, _LENGTH = 19, 21
"""Seconds from one frame to the next, and that a frame lasts."""

_PASSES = (
    # Orbit, track, first frame and its start; the first is the pass of a real granule, frame 222.
    (3017, "001", 220, "2025-12-12T01:15:04"),
    (3030, "014", 190, "2025-12-12T22:31:34"),
    (3061, "001", 220, "2025-12-15T01:15:04"),
)
_FRAMES = 6
_TWICE = ("001", "222", "2025-12-12")
"""Track, frame and day of what was processed twice; the newer one is the real granule's."""
_REPROCESSED = "FP_GN__L2A"
"""Product that has a second baseline."""
_TIFF = "image/tiff; application=geotiff"


def _code(created: float) -> str:
    """Seconds since 2000 in base 36, which names end in."""
    number, text = int(created - _EPOCH), ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text.rjust(6, "0")


_XML = "application/xml"
_KML = "application/vnd.google-earth.kml+xml"
_THUMBNAIL = File("thumbnail", "public/{full}_th.jpg", "image/jpeg", "thumbnail", 0)
_ANNOTATION = File("enclosure_annot_xml", "annotation/{full}_annot.xml", _XML, "metadata", 9 * KIB)

_LEVEL_1A = (
    File("enclosure_i_abs_tiff", "measurement/{stem}_i_abs.tiff", _TIFF, "data", 192 * KIB),
    File("enclosure_i_phase_tiff", "measurement/{stem}_i_phase.tiff", _TIFF, "data", 192 * KIB),
    _ANNOTATION,
    File("enclosure_orb_xml", "annotation/{full}_orb.xml", _XML, "metadata", 6 * KIB),
    File(
        "enclosure_kml", "preview/{full}_map.kml", "application/vnd.google-earth.kml+xml", "metadata", 2 * KIB
    ),
    File("enclosure_ql_pauli_png", "preview/{full}_ql_pauli.png", "image/png", "overview", 8 * KIB),
    File("enclosure_ql_hsv_png", "preview/{full}_ql_hsv.png", "image/png", "overview", 8 * KIB),
    _THUMBNAIL,
)
_LEVEL_1B = (
    File("enclosure_tiff", "measurement/{stem}_i_abs.tiff", _TIFF, "data", 128 * KIB),
    File("enclosure_nc", "annotation/{full}_lut.nc", "application/netcdf", "data", 44 * KIB),
    _ANNOTATION,
    _THUMBNAIL,
)


def _level_2a(kind: str) -> tuple[File, ...]:
    return (
        File(f"enclosure_i_{kind}_tiff", f"measurement/{{full}}_i_{kind}.tiff", _TIFF, "data", 72 * KIB),
        File("enclosure_i_quality_tiff", "measurement/{full}_i_quality.tiff", _TIFF, "data", 20 * KIB),
        File("enclosure_xml", "{full}.xml", _XML, "metadata", 4 * KIB),
        _THUMBNAIL,
    )


_PRODUCTS = (
    ("BiomassLevel1a", "S1_SCS__1S", "L1A", _LEVEL_1A),
    ("BiomassLevel1a", "S2_SCS__1S", "L1A", _LEVEL_1A),
    ("BiomassLevel1b", "S1_DGM__1S", "L1B", _LEVEL_1B),
    ("BiomassLevel1b", "S2_DGM__1S", "L1B", _LEVEL_1B),
    # Metadata only.
    ("BiomassLevel1b", "S2_DGM__1M", "L1B", (_ANNOTATION, _THUMBNAIL)),
    ("BiomassLevel2a", "FP_FH__L2A", "L2A", _level_2a("fh")),
    ("BiomassLevel2a", "FP_GN__L2A", "L2A", _level_2a("gn")),
)


class Biomass(ListedMission):
    """Biomass; its level 2 is made of stacks of twelve days."""

    name = "Biomass"
    bucket = "biomass-pdgs-01"
    instrument = "P-SAR"
    extensions = (
        "https://stac-extensions.github.io/authentication/v1.1.0/schema.json",
        "https://stac-extensions.github.io/file/v2.1.0/schema.json",
        "https://stac-extensions.github.io/sar/v1.0.0/schema.json",
        "https://stac-extensions.github.io/sat/v1.0.0/schema.json",
    )

    def listings(self) -> list[Listing]:
        found = []
        both = [(*one, baseline) for one in _PRODUCTS for baseline in ("01", "02")]
        for collection, product, level, files, baseline in both:
            if baseline != "01" and product != _REPROCESSED:
                continue
            listing = Listing(collection, product, baseline, level, files)
            for orbit, track, first, begin in _PASSES:
                if level == "L2A" and track != "014":
                    continue
                for number in range(_FRAMES):
                    frame = f"{first + number:03d}"
                    start = epoch(begin) + number * _STEP
                    stack = 12 * DAY + 7 if level == "L2A" else 0
                    processings = [start + stack + 14_400 + number * 60 + DAY * (int(baseline) - 1)]
                    if (track, frame, begin[:10]) == _TWICE:
                        # DJJDIM, the code of the real granule.
                        processings = [_EPOCH + int("DJJDIM", 36) - 7200, _EPOCH + int("DJJDIM", 36)]
                    for created in processings:
                        end = start + _LENGTH + stack
                        listing.entries.append(_entry(listing, orbit, track, frame, start, end, created))
            found.append(listing)
        return found

    def properties(self, series: Series, frame: str | None) -> dict[str, Any]:
        own = {
            "sar:observation_direction": "left",
            "sar:instrument_mode": "SM",
            "eofeos:mission_phase": "TOMOGRAPHIC",
            "eofeos:global_coverage_id": "1",
            "eofeos:major_cycle_id": "1",
        }
        if series.level == "L2A":
            return own
        return {**own, "eopf:datatake_id": MARK("datatake"), "eofeos:repeat_cycle_id": "1"}

    def facts(self, granule: Granule) -> dict[str, Any]:
        return {**super().facts(granule), "datatake": 24_716_263 + (granule.orbit or 0)}


def _entry(
    listing: Listing, orbit: int, track: str, frame: str, start: float, end: float, created: float
) -> Entry:
    is_stack = listing.level == "L2A"
    cycle = "__" if is_stack else "01"
    stem = f"BIO_{listing.product}_{compact(start)}_{compact(end)}_T_G01_M01_C{cycle}_T{track}_F{frame}"
    identity = f"{stem}_{listing.baseline}_{_code(created)}"
    day = f"{compact(start)[:4]}/{compact(start)[4:6]}/{compact(start)[6:8]}"
    north = 1.2 * (int(frame) - 190) - 18.6
    west = float(int(track))
    return Entry(
        id=identity,
        folder=f"biomass-pdgs-01/{listing.collection}/{day}/{identity}",
        start=start,
        end=end,
        created=created,
        line=[(round(west + 0.1 * i, 3), round(north - 0.35 * i, 3)) for i in range(5)],
        width=0.9,
        orbit=None if is_stack else orbit,
        track=track,
        frame=frame,
        stem=stem,
    )
