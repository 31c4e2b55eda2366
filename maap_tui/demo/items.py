"""The JSON of catalogue, collections, queryables and items, shaped as the live service shapes them."""

from __future__ import annotations

import json
import re
from typing import Any

from maap_tui.demo.content import Content
from maap_tui.demo.missions.base import (
    GEOJSON,
    MARK,
    Collection,
    Granule,
    Series,
    bbox_of,
    iso,
    plain,
)
from maap_tui.demo.orbit import Axis

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
QUERYABLES_REL = "http://www.opengis.net/def/rel/ogc/1.0/queryables"
ALTERNATES = (
    ("application/ld+json", "", "JSON-LD metadata"),
    ('application/ld+json;profile="https://schema.org"', ";profile=https://schema.org",
     "JSON-LD (schema.org) metadata"),
    ('application/ld+json;profile="http://data.europa.eu/930/"', ";profile=http://data.europa.eu/930/",
     "JSON-LD (GeoDCAT-AP) metadata"),
)  # fmt: skip
"""Media type, end of the address and title of the other forms of an item."""

_PLACE = re.compile(r'"@#(\w+)@"|@(\w+)@')
"""A mark in the text of an item: one that stands for a value of any kind, or one within a text."""


def dumps(value: Any) -> str:
    """Compact JSON text."""
    return json.dumps(value, separators=(",", ":"))


class Describer:
    """Writes everything as seen from one base URL."""

    def __init__(self, content: Content, base: str, old_queryables: bool = False) -> None:
        self.content = content
        self.base = base
        """Scheme, host and port, no slash at the end."""
        self.old_queryables = old_queryables
        """Whether queryables carry the names of before February 2026."""
        self.root = f"{base}/catalogue"
        self._templates: dict[tuple[str, str, str, str | None, bool], list[str]] = {}
        self._places: dict[tuple[Axis, bool, int], tuple[str, str]] = {}

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
        return {
            "type": "Collection",
            "id": collection.id,
            "stac_version": "1.1.0",
            "title": collection.id.removesuffix("_MAAP"),
            "description": f"Synthetic {collection.mission.name} products of the collection {collection.id}",
            "license": "other",
            "keywords": [collection.mission.name, *collection.rights],
            "themes": [
                {
                    "scheme": "https://maap.eo.esa.int/metadata-codelist/access-right",
                    "concepts": [{"id": right} for right in collection.rights],
                }
            ],
            "extent": {
                "spatial": {"bbox": [[-180.0, -90.0, 180.0, 90.0]]},
                "temporal": {"interval": [[iso(start), None if running else iso(end)]]},
            },
            "summaries": {"platform": [collection.mission.name], "product:type": collection.products},
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
        text("platform", "Platform", [collection.mission.name])
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
        return dict(json.loads(self.item_text(collection, granule, size_error)))

    def item_text(self, collection: Collection, granule: Granule, size_error: int = 0) -> str:
        """The JSON text of an item, from a template of its series and frame: a page must be quick."""
        series = granule.series
        template = self._template_of(collection, series, granule.frame, granule.outline is not None)
        facts = {
            "id": granule.id,
            "folder": granule.folder,
            "start": iso(granule.start),
            "plain_start": plain(granule.start),
            "end": iso(granule.end),
            "created": iso(granule.created),
            "published": iso(granule.published),
            "updated": plain(granule.updated),
            "orbit": granule.orbit,
            **series.mission.facts(granule),
        }
        if size_error:
            facts |= {name: facts[name] + size_error for name in facts if name.startswith("size")}
        parts = template.copy()
        for i in range(1, len(parts), 3):
            name, within = parts[i], parts[i + 1]
            if name in ("geometry", "bbox"):
                parts[i] = self._place_of(granule)[name == "bbox"]
            else:
                parts[i] = dumps(facts[name]) if name else str(facts[within])
            parts[i + 1] = ""
        return "".join(parts)

    def _place_of(self, granule: Granule) -> tuple[str, str]:
        """The texts of its geometry and of the box around it."""
        series = granule.series
        outline = granule.outline
        assert outline is not None
        key = series.axis, outline[1], granule.number % series.axis.cycle
        if key not in self._places:
            geometry = series.mission.geometry(*outline)
            self._places[key] = dumps(geometry), dumps(bbox_of(outline[0]))
        return self._places[key]

    def _template_of(
        self, collection: Collection, series: Series, frame: str | None, has_outline: bool
    ) -> list[str]:
        """Texts with places between them: text, mark of a value, mark within a text, text, and so on."""
        key = collection.id, series.product, series.baseline, frame, has_outline
        if key not in self._templates:
            text = dumps(self._item(collection, series, frame, has_outline))
            self._templates[key] = [part or "" for part in _PLACE.split(text)]
        return self._templates[key]

    def _item(
        self, collection: Collection, series: Series, frame: str | None, has_outline: bool
    ) -> dict[str, Any]:
        mission = series.mission
        home = f"{self.root}/collections/{collection.id}"
        me = f"{home}/items/{MARK('id')}"
        own = mission.properties(series, frame)
        oidc = {
            "openIdConnectUrl": f"{self.base}/realms/esa-maap/.well-known/openid-configuration",
            "type": "openIdConnect",
        }
        properties: dict[str, Any] = {
            "start_datetime": MARK("start"),
            "end_datetime": MARK("end"),
            "product:type": series.product,
            "title": MARK("id"),
            "platform": mission.name,
            "datetime": MARK("plain_start"),
            "constellation": mission.name,
            "created": MARK("created"),
            "published": MARK("published"),
            "version": series.baseline,
            "processing:datetime": MARK("created"),
            "updated": MARK("updated"),
            **own,
            "auth:schemes": {**own.get("auth:schemes", {}), "oidc": oidc},
        }
        if series.instruments:
            properties["instruments"] = list(series.instruments)
        if series.level:
            properties["processing:level"] = series.level
        if series.has_orbit and series.axis.orbit(series.first) is not None:
            properties["sat:absolute_orbit"] = MARK.raw("orbit")
        if direction := series.direction(frame):
            properties["sat:orbit_state"] = direction.lower()
        item = {
            "type": "Feature",
            "stac_version": "1.1.0",
            "stac_extensions": list(mission.extensions),
            "id": MARK("id"),
            "geometry": MARK.raw("geometry") if has_outline else None,
            "bbox": MARK.raw("bbox"),
            "properties": properties,
            "links": [
                {"rel": "self", "href": me, "type": f'{GEOJSON};profile="https://stacspec.org"'},
                *(
                    {"rel": rel, "href": home, "type": "application/json", "title": collection.id}
                    for rel in ("collection", "parent")
                ),
                {
                    "rel": "root",
                    "href": f"{self.root}/",
                    "type": "application/json",
                    "title": "MAAP Catalogue",
                },
                *(
                    {
                        "rel": "alternate",
                        "href": f"{me}?httpAccept=application/ld%2Bjson{end}",
                        "type": kind,
                        "title": title,
                    }
                    for kind, end, title in ALTERNATES
                ),
                *mission.links(series),
            ],
            "assets": mission.assets(series, frame, self.base, me),
            "collection": collection.id,
        }
        if not has_outline:
            del item["bbox"]
        return item
