"""The JSON of catalogue, collections, queryables and items, shaped as the live service shapes them."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from maap_tui.demo.content import SWAPPED, Collection, Content, Granule, iso
from maap_tui.demo.data import MEDIA_TYPES
from maap_tui.demo.orbit import Track

EXTENSIONS = [
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
    "https://stac-extensions.github.io/authentication/v1.1.0/schema.json",
    "https://stac-extensions.github.io/sat/v1.1.0/schema.json",
    "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
    "https://stac-extensions.github.io/product/v0.1.0/schema.json",
]
CONFORMS = [
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/collections",
    "https://api.stacspec.org/v1.0.0/ogcapi-features",
    "https://api.stacspec.org/v1.0.0/item-search",
    "https://api.stacspec.org/v1.0.0/item-search#fields",
    "https://api.stacspec.org/v1.0.0/item-search#filter",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/filter",
    "http://www.opengis.net/spec/cql2/1.0/conf/cql2-text",
    "http://www.opengis.net/spec/cql2/1.0/conf/cql2-json",
    "http://www.opengis.net/spec/cql2/1.0/conf/basic-cql2",
]
GEOJSON = "application/geo+json"
QUERYABLES_REL = "http://www.opengis.net/def/rel/ogc/1.0/queryables"
METADATA = (
    ("metadata_ogc_17_003r2", GEOJSON, "mode=owc"),
    ("metadata_ogc_10_157r4", "application/gml+xml", "httpAccept=application/gml%2Bxml"),
    ("metadata_iso_19139", "application/vnd.iso.19139+xml", "httpAccept=application/vnd.iso.19139%2Bxml"),
)
"""Asset key, media type and query of the metadata formats."""


ID_MARK, FOLDER_MARK, GEOMETRY_MARK, BBOX_MARK = "@id@", "@folder@", "@geometry@", "@bbox@"
START_MARK, END_MARK, CREATED_MARK, UPDATED_MARK = 1.0, 2.0, 3.0, 4.0
ORBIT_MARK = 987_654_321
"""Values that stand in a template for those of each item; no item can have them."""


def dumps(value: Any) -> str:
    """Compact JSON text."""
    return json.dumps(value, separators=(",", ":"))


def _line_and_box(track: Track) -> tuple[list[list[float]], list[float]]:
    """Coordinates between -180 and 180, and their box: the whole belt when they cross the date line."""
    line = [[round((lon + 180) % 360 - 180, 3), round(lat, 3)] for lon, lat in track]
    lats = [lat for _, lat in line]
    lons = [lon for lon, _ in line]
    if any(abs(a - b) > 180 for a, b in pairwise(lons)):
        lons = [-180.0, 180.0]
    return line, [min(lons), min(lats), max(lons), max(lats)]


class Describer:
    """Writes everything as seen from one base URL."""

    def __init__(self, content: Content, base: str, old_queryables: bool = False) -> None:
        self.content = content
        self.base = base
        """Scheme, host and port, no slash at the end."""
        self.old_queryables = old_queryables
        """Whether queryables carry the names of before February 2026."""
        self.root = f"{base}/catalogue"
        self._templates: dict[tuple[str, str, str, str | None, int], str] = {}
        self._places: dict[tuple[int, int], tuple[str, str]] = {}
        self._oidc = {
            "oidc": {
                "type": "openIdConnect",
                "openIdConnectUrl": f"{base}/realms/esa-maap/.well-known/openid-configuration",
            }
        }

    def landing(self, conforms: list[str]) -> dict[str, Any]:
        """The landing page with these conformance classes; its first search link is OpenSearch."""
        links = [
            ("self", "/", "application/json"),
            ("root", "/", "application/json"),
            ("search", "/api?httpAccept=application/opensearchdescription%2Bxml",
             "application/opensearchdescription+xml"),
            ("service-desc", "/api?httpAccept=application/vnd.oai.openapi%2Bjson;version=3.0",
             "application/vnd.oai.openapi+json;version=3.0"),
            ("conformance", "/conformance", "application/json"),
            ("data", "/collections", "application/json"),
            ("data", "/collections?httpAccept=application/ld%2Bjson", "application/ld+json"),
            ("child", "/series", "application/json"),
            ("search", "/search", GEOJSON),
        ]  # fmt: skip
        return {
            "type": "Catalog",
            "id": "fedeo",
            "stac_version": "1.1.0",
            "title": "MAAP Catalogue",
            "description": "MAAP Catalogue provides interoperable access to synthetic mission data.",
            "conformsTo": conforms,
            "links": [{"rel": rel, "href": self.root + path, "type": kind} for rel, path, kind in links],
        }

    def collection(self, collection: Collection) -> dict[str, Any]:
        """One collection with its access rights as keywords and themes."""
        start, end = self.content.span(collection)
        home = f"{self.root}/collections/{collection.id}"
        running = any(
            series.axis.start(series.last) > self.content.now - 86400 for series in collection.series
        )
        rights = ["RESTRICTED", "EARTHCARE_ESA_RESTRICTED_2"] if collection.restricted else [
            "PUBLIC", "ESA_open_and_free"
        ]  # fmt: skip
        return {
            "type": "Collection",
            "id": collection.id,
            "stac_version": "1.1.0",
            "title": collection.id.removesuffix("_MAAP"),
            "description": f"Synthetic {collection.mission} products of the collection {collection.id}",
            "license": "other",
            "keywords": [collection.mission, *rights],
            "themes": [
                {
                    "scheme": "https://maap.eo.esa.int/metadata-codelist/access-right",
                    "concepts": [{"id": right} for right in rights],
                }
            ],
            "extent": {
                "spatial": {"bbox": [[-180.0, -90.0, 180.0, 90.0]]},
                "temporal": {"interval": [[iso(start), None if running else iso(end)]]},
            },
            "summaries": {"platform": [collection.mission], "product:type": collection.products},
            "links": [
                {"rel": "self", "href": home, "type": "application/json"},
                {"rel": "root", "href": f"{self.root}/", "type": "application/json"},
                {"rel": "parent", "href": f"{self.root}/", "type": "application/json"},
                {"rel": "items", "href": f"{home}/items", "type": GEOJSON},
                {"rel": QUERYABLES_REL, "href": f"{home}/queryables", "type": "application/schema+json"},
            ],
        }

    def queryables(self, collection: Collection) -> dict[str, Any]:
        """The JSON Schema of what filters may ask."""
        old = self.old_queryables
        instruments = sorted({name for series in collection.series for name in series.instruments})
        levels = sorted({series.level for series in collection.series if series.level})
        properties: dict[str, Any] = {}

        def text(name: str, title: str, values: list[str] | None = None, **more: str) -> None:
            properties[name] = {"title": title, "type": "string", **more} | (
                {"enum": values} if values else {}
            )

        text("productType" if old else "product:type", "Product type", collection.products)
        text("productVersion" if old else "version", "Product version", collection.baselines)
        if collection.has_orbit:
            properties["orbitNumber" if old else "sat:absolute_orbit"] = {
                "title": "Orbit number",
                "type": "integer",
            }
            states = ["ASCENDING", "DESCENDING"]
            text("orbitDirection" if old else "sat:orbit_state", "Orbit direction", states)
        if collection.has_frame:
            text("frame", "Frame")
            text("track", "Track")
        text("instrument" if old else "instruments", "Instrument", instruments)
        text("platform", "Platform", [collection.mission])
        if levels:
            text("processingLevel" if old else "processing:level", "Processing level", levels)
        for name in ("processing", "creation", "modification"):
            text(f"{name}Date", f"{name.capitalize()} date", format="date-time")
        text("uid", "Item ID")
        text("acquisitionType", "Acquisition type", ["OTHER"])
        text("missionPhase", "Mission phase", ["Routine"])
        text("sensorType", "Sensor type", ["OPTICAL"])
        text("productionStatus", "Production status", ["ARCHIVED"])
        text("sensorMode", "Sensor mode", ["DEFAULT"])
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "description": "Queryable names for the STAC API Item Search filter.",
            "type": "object",
            "title": f"Queryables for {collection.id} collection",
            "$id": f"{self.root}/collections/{collection.id}/queryables",
            "collection": collection.id,
            "properties": properties,
        }

    def item(self, collection: Collection, granule: Granule, size_error: int = 0) -> dict[str, Any]:
        """One item; `size_error` is added to every `file:size`."""
        series = granule.series
        start = iso(granule.start)
        properties: dict[str, Any] = {
            "title": granule.id,
            "datetime": start,
            "start_datetime": start,
            "end_datetime": iso(granule.end),
            "updated": iso(granule.updated)[:19] + "Z",
            "published": iso(granule.updated)[:19] + "Z",
            "processing:datetime": iso(granule.created),
            "product:type": series.product,
            "version": series.baseline if series.mission == "Aeolus" else series.baseline.lower(),
        }
        if granule.orbit is not None:
            properties["sat:absolute_orbit"] = granule.orbit
        if granule.direction is not None:
            properties["sat:orbit_state"] = granule.direction
        if series.level:
            properties["processing:level"] = series.level
        properties["platform"] = properties["constellation"] = series.mission
        if series.instruments:
            properties["instruments"] = list(series.instruments)
        properties["auth:schemes"] = self._oidc
        item: dict[str, Any] = {
            "stac_version": "1.1.0",
            "stac_extensions": EXTENSIONS,
            "type": "Feature",
            "id": granule.id,
            "collection": collection.id,
            "geometry": None,
        }
        track = series.axis.track(granule.number) if series.has_orbit else None
        if track:
            line, item["bbox"] = _line_and_box(track)
            item["geometry"] = {"type": "LineString", "coordinates": line}
        home = f"{self.root}/collections/{collection.id}"
        item["properties"] = properties
        item["links"] = [
            {"rel": "self", "href": f"{home}/items/{granule.id}", "type": GEOJSON},
            {"rel": "collection", "href": home, "type": "application/json"},
            {"rel": "root", "href": f"{self.root}/", "type": "application/json"},
        ]
        item["assets"] = self._assets(granule, f"{home}/items/{granule.id}", size_error)
        return item

    def item_text(self, collection: Collection, granule: Granule, size_error: int = 0) -> str:
        """The JSON text of `item`, from a template of its series and frame: a page must be quick."""
        series = granule.series
        key = collection.id, series.product, series.baseline, granule.frame, size_error
        template = self._templates.get(key)
        if template is None:
            template = self._templates[key] = self._template(collection, granule, size_error)
        text = (
            template.replace(FOLDER_MARK, granule.folder)
            .replace(ID_MARK, granule.id)
            .replace(iso(START_MARK), iso(granule.start))
            .replace(iso(END_MARK), iso(granule.end))
            .replace(iso(CREATED_MARK), iso(granule.created))
            .replace(iso(UPDATED_MARK)[:19], iso(granule.updated)[:19])
        )
        if granule.orbit is None:
            return text
        spot = id(series.axis), granule.number % series.axis.cycle
        place = self._places.get(spot)
        if place is None:
            line, bbox = _line_and_box(series.axis.track(granule.number) or [])
            place = self._places[spot] = dumps({"type": "LineString", "coordinates": line}), dumps(bbox)
        text = text.replace(dumps(GEOMETRY_MARK), place[0], 1).replace(dumps(BBOX_MARK), place[1], 1)
        return text.replace(f":{ORBIT_MARK},", f":{granule.orbit},", 1)

    def _template(self, collection: Collection, granule: Granule, size_error: int) -> str:
        axis = granule.series.axis
        first = axis.numbers_of_orbits(ORBIT_MARK, ORBIT_MARK)
        frame = granule.number % 8 if granule.frame else 0
        model = Granule(granule.series, first[0] + frame if first else granule.number, granule.version)
        vars(model).update(
            id=ID_MARK,
            folder=FOLDER_MARK,
            start=START_MARK,
            end=END_MARK,
            created=CREATED_MARK,
            updated=UPDATED_MARK,
        )
        item = self.item(collection, model, size_error)
        if item["geometry"]:
            item |= {"geometry": GEOMETRY_MARK, "bbox": BBOX_MARK}
        return dumps(item)

    def _assets(self, granule: Granule, me: str, size_error: int) -> dict[str, Any]:
        series = granule.series
        folder = granule.folder
        assets: dict[str, Any] = {
            "product": {
                "href": f"{self.base}/data/zipper/{folder}/{granule.id}",
                "type": "application/zip",
                "roles": ["archive"],
                "auth:refs": ["oidc"],
                "file:local_path": f"{granule.id}.zip",
            }
        }
        files = [
            {
                "href": f"{self.base}/data/{folder}/{granule.id}/{granule.id}{suffix}",
                "type": MEDIA_TYPES[suffix],
                "roles": ["metadata" if suffix == ".HDR" else "data"],
                "title": granule.id + suffix,
                "auth:refs": ["oidc"],
                "file:size": size + size_error,
            }
            for suffix, size in granule.files.items()
        ]
        if series.mission == "Aeolus":
            assets["enclosure_1"], assets["enclosure_2"] = files[1], files[0]
        elif len(files) == 1:
            assets["enclosure_eof"] = files[0]
        else:
            swapped = (series.product, series.baseline) in SWAPPED
            assets["enclosure_h5"], assets["enclosure_hdr"] = reversed(files) if swapped else files
        if len(files) == 1:
            return assets
        for key, bid, role in (("quicklook_jpeg", 1, "overview"), ("thumbnail", 0, "thumbnail")):
            assets[key] = {
                "href": f"{self.base}/data/{folder}/public/{granule.id}.BID_{bid}.jpeg",
                "type": "image/jpeg",
                "roles": [role],
            }
        for key, kind, query in METADATA:
            assets[key] = {"href": f"{me}?{query}", "type": kind, "roles": ["metadata"]}
        return assets
