"""EarthCARE: names, files, collections and items as the live service has them."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from maap_tui.demo.geometry import polygon_of, swath_of
from maap_tui.demo.missions.base import (
    GEOJSON,
    KIB,
    MARK,
    OPEN,
    Collection,
    Granule,
    Mission,
    Series,
    compact,
    iso,
    positions,
)
from maap_tui.demo.orbit import DAY, Axis, Days, EarthcareFrames, Scenario, Track, epoch
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
CLOSED = ("RESTRICTED", "EARTHCARE_ESA_RESTRICTED_2")

WITHOUT_ORBIT = frozenset({"AUX_MET_1D", "AUX_JSG_1D"})
"""Products with orbit and frame in the name, but neither orbit property nor geometry in the catalogue."""

SWAPPED = frozenset({("AC__CLP_2B", "CA"), ("AC__CLP_2B", "BB"), ("ATL_CLA_2A", "CB"), ("ATL_CLA_2A", "BA")})
"""JAXA baselines whose enclosure_h5 and enclosure_hdr point at each other's file."""

JAXA = frozenset(
    "CPR_NOM_1B CPR_ECO_2A CPR_CLP_2A ATL_CLA_2A MSI_CLP_2A AC__CLP_2B ACM_CLP_2B ALL_RAD_2B".split()
)

LAG = 3600
"""Seconds between sensing and the first moment that the archive can have a granule."""

CAMPAIGN = epoch("2025-08-25T00:00:00")
"""When ESA began to process all it had sensed as the baselines of `REPROCESSED`."""
REPROCESSED = frozenset({"BA", "BB"})

SWATH_KM = (37.0, 113.0)
"""How far the imager sees to the right and to the left of the flight."""

METADATA = (
    ("metadata_ogc_10_157r4", "httpAccept=application/gml%2Bxml&recordSchema=om", "OGC 10-157r4 metadata",
     'application/gml+xml;profile="http://www.opengis.net/spec/EOMPOM/1.1"'),
    ("metadata_ogc_17_003r2", "mode=owc", "OGC 17-003r2 metadata",
     f'{GEOJSON};profile="http://www.opengis.net/spec/eo-geojson/1.0"'),
    ("metadata_iso_19139", "httpAccept=application/vnd.iso.19139%2Bxml", "ISO 19139 metadata",
     "application/vnd.iso.19139+xml"),
)  # fmt: skip
"""Asset key, query, title and media type of the metadata formats."""

MEDIA_TYPES = {".h5": "application/x-hdf5", ".HDR": "image/vnd.radiance", ".EOF": "application/xml"}

_SIZES = {
    "ATL_NOM_0_": 8192, "ATL_NOM_1B": 4096, "MSI_NOM_0_": 8192, "MSI_NOM_1B": 8192, "MSI_RGR_1C": 8192,
    "CPR_NOM_1B": 2048, "BBR_NOM_0_": 2048, "BBR_SNG_1B": 2048, "BBR_NOM_1B": 1024, "AUX_MET_1D": 1024,
    "AUX_JSG_1D": 512, "ATL_EBD_2A": 1024, "ATL_AER_2A": 1024, "MSI_COP_2A": 1024, "ACM_CAP_2B": 2048,
    "ACM_COM_2B": 1024, "ALL_3D__2B": 512, "CPR_CLD_2A": 128, "CPR_FMR_2A": 128, "CPR_CD__2A": 128,
}  # fmt: skip
_SMALL = (64, 88, 128, 176, 256, 328, 512)
HDR_BYTES = 24_881
EOF_BYTES = 64 * KIB
PREDICTED_BYTES = 256 * KIB
"""Bytes of a file of predicted orbits, which has the states of 30 days."""

_ID = re.compile(r"ECA_[EJ]X([A-Z]{2})_(.{10})_(\d{8}T\d{6})Z_")


def size_of(product: str) -> int:
    """Bytes of the smallest data file of a product, between 64 KiB and 8 MiB."""
    return _SIZES.get(product, _SMALL[zlib.crc32(product.encode()) % len(_SMALL)]) * KIB


def suffix_of(product: str) -> str:
    """Suffix of the data file of a product."""
    is_gridded = product[-2].isdigit()
    return ".EOF" if product[:4] in ("AUX_", "GEO_", "MPL_") and not is_gridded else ".h5"


class EarthCare(Mission):
    """EarthCARE: frames of an eighth of an orbit, and orbit files without an orbit."""

    name = "EarthCARE"
    bucket = "earthcare-pdgs-01/EarthCARE"
    extensions = (
        "https://stac-extensions.github.io/alternate-assets/v1.2.0/schema.json",
        "https://stac-extensions.github.io/authentication/v1.1.0/schema.json",
        "https://stac-extensions.github.io/file/v2.1.0/schema.json",
        "https://stac-extensions.github.io/scientific/v1.0.0/schema.json",
        "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
        "https://eof-eos.io.esa.int/stac-extension/v0.1.0/schema.json",
        "https://cs-si.github.io/eopf-stac-extension/v1.2.0/schema.json",
        "https://stac-extensions.github.io/sat/v1.0.0/schema.json",
        "https://stac-extensions.github.io/grid/v1.1.0/schema.json",
        "https://stac-extensions.github.io/product/v1.0.0/schema.json",
        "https://stac-extensions.github.io/timestamps/v1.1.0/schema.json",
    )

    def series(self, now: float) -> Iterator[Series]:
        frames = EarthcareFrames()
        for line in SPANS.splitlines():
            product, baseline, first, last = line.split()
            axis: Axis = frames
            if product == "MPL_ORBSCT":
                axis = Scenario(epoch(first), 22)
            elif product in ("AUX_ORBPRE", "AUX_ORBRES"):
                axis = Days(30 if product == "AUX_ORBPRE" else 1)
            versions = 3 if product == "AUX_MET_1D" else 1
            low = axis.last_starting(epoch(first) - 30) + 1
            newest = now - LAG - (versions - 1) * DAY / 4
            high = axis.last_starting(newest if last == "-" else min(epoch(last) + 30, newest))
            is_reprocessed = baseline in REPROCESSED and axis is frames and epoch(first) < CAMPAIGN
            campaign = CAMPAIGN if is_reprocessed and now > CAMPAIGN else None
            if high >= low:
                yield Series(self, product, baseline, axis, low, high, now, versions, campaign)

    def collections(self, series: Mapping[tuple[str, str], Series]) -> Iterator[Collection]:
        members: dict[str, list[Series]] = {}
        name = ""
        for line in MEMBERS.splitlines():
            if not line.startswith(" "):
                name = line
            for entry in line.split() if line.startswith(" ") else ():
                product, _, baselines = entry.partition(":")
                listed = [series[product, one] for one in baselines.split(",") if (product, one) in series]
                members.setdefault(name, []).extend(listed)
        for name, found in members.items():
            rights = CLOSED if name in RESTRICTED else OPEN
            if found:
                yield Collection(name, self, tuple(found), rights, name == "EarthCAREAuxiliary_MAAP")

    def identity(self, granule: Granule) -> str:
        series = granule.series
        agency = "J" if series.product in JAXA else "E"
        head = f"ECA_{agency}X{series.baseline}_{series.product}_{compact(granule.start)}Z"
        if granule.frame is None:
            version = granule.number if isinstance(series.axis, Scenario) else 1
            return f"{head}_{compact(granule.end)}Z_{version:04d}"
        orbit = series.axis.orbit(granule.number)
        return f"{head}_{compact(granule.created)}Z_{orbit:05d}{granule.frame}"

    def read(self, item_id: str) -> tuple[str, str | None, str] | None:
        match = _ID.match(item_id)
        return (match[2], match[1], match[3]) if match else None

    def files(self, granule: Granule) -> dict[str, int]:
        product = granule.series.product
        suffix = suffix_of(product)
        if product == "AUX_ORBPRE":
            return {f"{granule.id}.EOF": PREDICTED_BYTES}
        if suffix == ".EOF":
            return {f"{granule.id}.EOF": int(EOF_BYTES * granule.size_factor)}
        return {
            f"{granule.id}.h5": int(size_of(product) * granule.size_factor),
            f"{granule.id}.HDR": HDR_BYTES,
        }

    def level(self, product: str) -> str | None:
        tail = product[-2:]
        return "L" + tail.rstrip("_") if tail[0].isdigit() else None

    def instruments(self, product: str) -> tuple[str, ...]:
        by_prefix = {
            "ATL": "ATLID", "CPR": "CPR", "MSI": "MSI", "BBR": "BBR", "AC_": "CPR ATLID", "AM_": "ATLID MSI",
            "ACM": "CPR ATLID MSI", "BM_": "BBR MSI", "BMA": "BBR MSI ATLID", "ALL": "CPR ATLID MSI BBR",
        }  # fmt: skip
        return tuple(by_prefix.get(product[:3], "").split())

    def center(self, series: Series) -> str:
        return "JAXA_SAOC" if series.product in JAXA else "PDGS-CPFxx"

    def has_orbit(self, series: Series) -> bool:
        return series.product not in WITHOUT_ORBIT and not isinstance(series.axis, Days | Scenario)

    def outline(self, series: Series, number: int) -> tuple[Track, bool]:
        track = series.axis.track(number) or []
        if not series.product.startswith("MSI_"):
            return track, False
        return _swath(tuple(track)), True

    def geometry(self, outline: Track, is_filled: bool) -> dict[str, Any]:
        if is_filled:
            return polygon_of(outline)
        return {"type": "LineString", "coordinates": positions(outline)}

    def properties(self, series: Series, frame: str | None) -> dict[str, Any]:
        properties: dict[str, Any] = {"processing:facility": self.center(series)}
        if series.has_orbit:
            properties["sat:anx_datetime"] = MARK("anx")
            properties["grid:code"] = f"WRS-{MARK('orbit')}-{frame}"
        processor = series.product.replace("_", "-").strip("-")
        return properties | {
            "processing:software": {processor: "11.30"},
            "sci:doi": doi_of(series.product),
            "eofeos:mission_phase": "Routine",
            "eopf:instrument_mode": "DEFAULT",
            "product:acquisition_type": "other",
            "auth:schemes": {"s3": {"type": "s3"}},
        }

    def links(self, series: Series) -> list[dict[str, Any]]:
        href = f"https://doi.org/{doi_of(series.product)}"
        return [{"rel": "cite-as", "href": href, "type": "text/html", "title": "Landing page"}]

    def assets(self, series: Series, frame: str | None, base: str, me: str) -> dict[str, Any]:
        name, folder = MARK("id"), MARK("folder")
        suffix = suffix_of(series.product)
        data = _enclosure(base, suffix, "size")
        product = {
            "href": f"{base}/data/zipper/{folder}/{name}",
            "type": "application/zip",
            "title": "Zipped product",
            "file:local_path": f"{name}.ZIP",
            "alternate:name": "HTTPS",
            "auth:refs": ["oidc"],
            "published": MARK("end"),
            "roles": ["data", "metadata", "archive"],
        }
        if suffix == ".EOF":
            return {"product": product, "enclosure_eof": data}
        header = _enclosure(base, ".HDR", "size_hdr")
        if (series.product, series.baseline) in SWAPPED:
            data, header = header, data
        picture = {
            "href": f"{base}/data/{folder}/public/{name}.BID_1.jpeg",
            "type": "image/jpeg",
            "title": f"{name}.BID_1.jpeg",
        }
        metadata = {
            key: {"href": f"{me}?{query}", "type": kind, "title": title, "roles": ["metadata"]}
            for key, query, title, kind in METADATA
        }
        return {
            "thumbnail": picture | {"roles": ["thumbnail"]},
            "product": product,
            "metadata_ogc_10_157r4": metadata["metadata_ogc_10_157r4"],
            "enclosure_h5": data,
            "metadata_ogc_17_003r2": metadata["metadata_ogc_17_003r2"],
            "metadata_iso_19139": metadata["metadata_iso_19139"],
            "quicklook_jpeg": picture | {"roles": ["overview"]},
            "enclosure_hdr": header,
        }

    def facts(self, granule: Granule) -> dict[str, Any]:
        sizes = list(granule.files.values())
        facts: dict[str, Any] = {"size": sizes[0], "size_hdr": sizes[-1]}
        axis = granule.series.axis
        if isinstance(axis, EarthcareFrames):
            facts["anx"] = iso(axis.node(granule.number))
        return facts


def _enclosure(base: str, suffix: str, size: str) -> dict[str, Any]:
    name, folder = MARK("id"), MARK("folder")
    path = f"{folder}/{name}/{name}{suffix}"
    return {
        "href": f"{base}/data/{path}",
        "type": MEDIA_TYPES[suffix],
        "title": f"{name}{suffix}",
        "file:local_path": f"{name}{suffix}",
        "alternate:name": "HTTPS",
        "created": MARK("created"),
        "alternate": {"s3": {"alternate:name": "S3", "href": f"s3://{path}", "auth:refs": ["s3"]}},
        "auth:refs": ["oidc"],
        "file:size": MARK.raw(size),
        "roles": ["data"],
    }


def doi_of(product: str) -> str:
    """The DOI that a product is cited by; a synthetic one."""
    return f"10.57780/eca-{zlib.crc32(product.encode()) % 0x10000000:07x}"


@lru_cache(maxsize=8192)
def _swath(track: tuple[tuple[float, float], ...]) -> Track:
    return swath_of(list(track), *SWATH_KM)
