"""Aeolus: one granule an orbit, the baseline in the folder and not in the name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from maap_tui.demo.missions.base import KIB, MARK, Collection, Granule, Mission, Series, compact
from maap_tui.demo.orbit import AeolusOrbits, epoch

LISTS = (
    ("AeolusL1BProducts", "ALD_U_N_1B", "1B16", 5543.989, 2048),
    ("AeolusL2AProducts", "ALD_U_N_2A", "2A16", 5459.0, 512),
    ("AeolusL2BProducts", "ALD_U_N_2B", "2B16", 5477.0, 512),
)
"""Collection, product, baseline, seconds and KiB of a granule."""

LAG = 3 * 3600
HDR_BYTES = 8 * KIB

_ID = re.compile(r"AE_OPER_(.{10})_(\d{8}T\d{6})")


class Aeolus(Mission):
    """Aeolus, which ended in 2023."""

    name = "Aeolus"
    bucket = "aeolus-pdgs-01"
    extensions = (
        "https://stac-extensions.github.io/authentication/v1.1.0/schema.json",
        "https://stac-extensions.github.io/file/v2.1.0/schema.json",
        "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
        "https://stac-extensions.github.io/sat/v1.0.0/schema.json",
        "https://stac-extensions.github.io/product/v1.0.0/schema.json",
        "https://stac-extensions.github.io/timestamps/v1.1.0/schema.json",
    )

    def series(self, now: float) -> Iterator[Series]:
        for _, product, baseline, duration, _ in LISTS:
            axis = AeolusOrbits(duration)
            low = axis.last_starting(epoch("2018-09-03T00:00:00")) + 1
            high = axis.last_starting(min(epoch("2023-04-30T23:59:59"), now - LAG))
            if high >= low:
                yield Series(self, product, baseline, axis, low, high, now)

    def collections(self, series: Mapping[tuple[str, str], Series]) -> Iterator[Collection]:
        for name, product, baseline, *_ in LISTS:
            if (product, baseline) in series:
                yield Collection(name, self, (series[product, baseline],))

    def identity(self, granule: Granule) -> str:
        head = f"AE_OPER_{granule.series.product}_{compact(granule.start)}"
        if granule.series.level != "L1B":
            return f"{head}_{compact(granule.end)}_0001"
        milliseconds = round(granule.start % 1 * 1000)
        duration = round((granule.end - granule.start) * 1000)
        return f"{head}{milliseconds:03d}_{duration:09d}_{granule.orbit:06d}_0001"

    def read(self, item_id: str) -> tuple[str, str | None, str] | None:
        match = _ID.match(item_id)
        return (match[1], None, match[2]) if match else None

    def files(self, granule: Granule) -> dict[str, int]:
        size = next(size for _, product, *_, size in LISTS if product == granule.series.product)
        return {
            f"{granule.id}.DBL": int(size * KIB * granule.size_factor),
            f"{granule.id}.HDR": HDR_BYTES,
        }

    def level(self, product: str) -> str | None:
        return "L" + product[-2:]

    def instruments(self, product: str) -> tuple[str, ...]:
        return ("ALADIN",)

    def assets(self, series: Series, frame: str | None, base: str, me: str) -> dict[str, Any]:
        name, folder = MARK("id"), MARK("folder")

        def enclosure(suffix: str, kind: str, role: str, size: str) -> dict[str, Any]:
            return {
                "href": f"{base}/data/{folder}/{name}/{name}{suffix}",
                "type": kind,
                "title": f"{name}{suffix}",
                "auth:refs": ["oidc"],
                "file:size": MARK.raw(size),
                "roles": [role],
            }

        return {
            "product": {
                "href": f"{base}/data/zipper/{folder}/{name}",
                "type": "application/zip",
                "file:local_path": f"{name}.ZIP",
                "auth:refs": ["oidc"],
                "roles": ["archive"],
            },
            "enclosure_1": enclosure(".HDR", "application/xml", "metadata", "size_hdr"),
            "enclosure_2": enclosure(".DBL", "application/octet-stream", "data", "size"),
            "thumbnail": {
                "href": f"{base}/data/{folder}/public/{name}.BID_0.jpeg",
                "type": "image/jpeg",
                "roles": ["thumbnail"],
            },
        }

    def facts(self, granule: Granule) -> dict[str, Any]:
        size, size_hdr = granule.files.values()
        return {"size": size, "size_hdr": size_hdr}
