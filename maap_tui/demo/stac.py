"""The STAC API: landing page, collections, queryables, items and search by GET and POST."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from maap_tui.demo import filters
from maap_tui.demo.content import Content
from maap_tui.demo.data import error
from maap_tui.demo.faults import Plan
from maap_tui.demo.geometry import Area, area_of_bbox, area_of_circle, area_of_geojson
from maap_tui.demo.items import CONFORMS, Describer, dumps
from maap_tui.demo.missions.base import GEOJSON, Collection
from maap_tui.demo.orbit import epoch
from maap_tui.demo.selection import Finder, Search, SearchError

DEFAULT_LIMIT = 10
MAXIMUM_LIMIT = 2000
LAST_START_RECORD = 100_000

PARAMETERS = frozenset(
    "collections ids bbox intersects datetime limit startRecord filter filter-lang filter-crs fields sortby"
    " httpAccept mode q lat lon radius".split()
)
"""Parameters of a search that are not queryables."""


class BarredError(ValueError):
    """A condition on something that a fault bars."""

    def __init__(self, name: str, status: int) -> None:
        super().__init__(f"Filters on {name} are not supported")
        self.status = status


class TooFarError(ValueError):
    """A page beyond the window of 100,000 records."""


def respond(body: Any, status: int = 200, media_type: str = "application/json") -> Response:
    """A JSON response."""
    return Response(dumps(body), status, media_type=media_type)


def parse_window(text: str | None) -> tuple[float, float]:
    """The closed interval of a `datetime` parameter in any of its forms; a bare date is that whole day.

    Raises:
        SearchError: not a datetime or an interval.
    """
    if not text:
        return -math.inf, math.inf
    first, slash, last = text.partition("/")
    try:
        low = -math.inf if first in ("", "..") else epoch(first)
        if not slash:
            last = first
        high = math.inf if last in ("", "..") else epoch(last) + (86399.999 if len(last) == 10 else 0)
    except ValueError as exc:
        raise SearchError(f"Invalid datetime: {text}") from exc
    if low > high or (low == -math.inf and high == math.inf and not slash):
        raise SearchError(f"Invalid datetime: {text}")
    return low, high


def _as_list(value: Any) -> list[str]:
    if isinstance(value, str):
        return [part for part in value.split(",") if part]
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise SearchError("collections and ids must be lists of strings")
    return list(value)


def _whole(values: Mapping[str, Any], name: str, default: int) -> int:
    value = values.get(name)
    try:
        number = default if value in (None, "") else int(value)
    except (TypeError, ValueError) as exc:
        raise SearchError(f"Invalid {name}: {value}") from exc
    if number < 1:
        raise SearchError(f"Invalid {name}: {value}")
    return number


def _area(values: Mapping[str, Any]) -> Area | None:
    try:
        if values.get("bbox"):
            box = values["bbox"]
            return area_of_bbox(box.split(",") if isinstance(box, str) else box)
        if values.get("intersects"):
            shape = values["intersects"]
            return area_of_geojson(json.loads(shape) if isinstance(shape, str) else shape)
        if values.get("lat"):
            return area_of_circle(
                float(values["lat"]), float(values["lon"]), float(values.get("radius", 10_000))
            )
    except (ValueError, TypeError, KeyError) as exc:
        raise SearchError(f"Invalid area: {exc}") from exc
    return None


def conformance(taken: str) -> list[str]:
    """The conformance classes of a service that takes of filters what `faults.FILTERS` says."""
    if taken in ("refused", "ignored"):
        return [name for name in CONFORMS if not re.search("filter|cql2", name)]
    if taken in ("get", "get-only"):
        return [name for name in CONFORMS if not name.endswith("cql2-json")]
    return CONFORMS


def _check_language(given: Any, lang: str, method: str, taken: str) -> None:
    """Refuse a filter that this service does not take, in the words of a validator."""
    expected = ""
    if taken == "refused" or (taken == "get" and method == "POST"):
        expected = "Extra inputs are not permitted"
    elif taken == "json" and method == "POST" and (lang != "cql2-json" or isinstance(given, str)):
        expected = "Input should be 'cql2-json'"
    elif taken.startswith("get") and lang != "cql2-text":
        expected = "Input should be 'cql2-text'"
    if expected:
        where = "body" if method == "POST" else "query"
        raise SearchError(str([{"type": "value_error", "loc": (where, "filter-lang"), "msg": expected}]))


def _filter(values: Mapping[str, Any], method: str, plan: Plan) -> Any:
    given = values.get("filter")
    parts = []
    if given and plan.filters != "ignored":
        lang = values.get("filter-lang") or ("cql2-text" if isinstance(given, str) else "cql2-json")
        _check_language(given, lang, method, plan.filters)
        blind = frozenset(plan.blind.split(","))
        deaf = frozenset(plan.deaf.split(",")) - {""}
        tree = filters.parse(given, lang, match_case=plan.match_case, blind=blind)
        asked = filters.meanings(tree)
        for name, _, status in (part.partition(":") for part in plan.barred.split(",")):
            if name in asked:
                raise BarredError(name, int(status))
        heard = [part for part in filters.conjuncts(tree) if not filters.meanings(part) & deaf]
        parts += heard if deaf else [tree]
    for name, value in values.items():
        if name in PARAMETERS:
            continue
        if name not in filters.KEYS:
            raise SearchError(f"Unknown parameter: {name}")
        parts.append(_parameter(filters.KEYS[name], str(value)))
    return None if not parts else parts[0] if len(parts) == 1 else {"op": "and", "args": parts}


def _parameter(key: str, value: str) -> Any:
    """A queryable given as a parameter: one value, or an interval `[a,b]`."""
    name = {"property": key}
    if value.startswith("{"):
        raise SearchError("Value sets are not supported; use a filter with OR or IN")
    if interval := re.fullmatch(r"\[([^,]*),([^,]*)\]", value):
        low, high = interval.groups()
        parts = [{"op": op, "args": [name, end]} for op, end in ((">=", low), ("<=", high)) if end]
        return {"op": "and", "args": parts}
    return {"op": "=", "args": [name, value]}


class Catalogue:
    """Answers everything below /catalogue/."""

    def __init__(self, content: Content, describer: Describer, next_form: str = "") -> None:
        self.content = content
        self.describer = describer
        self.finder = Finder(content)
        self.next_form = next_form
        """Form of next links of POST searches: `post` (body with merge) or `get` (href); empty is `post`."""

    async def serve(self, request: Request) -> Response:
        """Route one request; every problem becomes a JSON error."""
        path = request.path_params["path"].strip("/")
        parts = path.split("/") if path else []
        plan: Plan = request.state.plan
        try:
            if request.method == "POST" and (parts != ["search"] or plan.filters == "get-only"):
                return error(405, "Method not allowed")
            if not parts:
                return respond(self.describer.landing(conformance(plan.filters)))
            if parts == ["conformance"]:
                return respond({"conformsTo": conformance(plan.filters)})
            if parts == ["api"]:
                return self._describe_api(request)
            if parts == ["search"]:
                return await self._search(request)
            if parts[0] == "collections":
                return self._serve_collections(request, parts[1:])
        except TooFarError as exc:
            return error(422, str(exc))
        except BarredError as exc:
            return error(exc.status, str(exc))
        except (SearchError, filters.FilterError) as exc:
            return error(400, str(exc))
        return error(404, f"Not found: {path}")

    def _describe_api(self, request: Request) -> Response:
        root = self.describer.root
        if "opensearch" in request.query_params.get("httpAccept", ""):
            template = f"{root}/search?collections={{fedeo:parentIdentifier?}}&amp;limit={{count?}}"
            text = (
                '<?xml version="1.0" encoding="UTF-8"?>\n'
                '<OpenSearchDescription xmlns="http://a9.com/-/spec/opensearch/1.1/">'
                "<ShortName>FedEO</ShortName><Description>MAAP Catalogue</Description>"
                f'<Url type="{GEOJSON}" template="{template}"/></OpenSearchDescription>\n'
            )
            return Response(text, media_type="application/opensearchdescription+xml")
        paths = ("/", "/collections", "/collections/{id}", "/collections/{id}/items", "/search")
        info = {"title": "MAAP Catalogue", "version": "1.0.0"}
        return respond({"openapi": "3.0.3", "info": info, "paths": {path: {} for path in paths}})

    def _serve_collections(self, request: Request, parts: list[str]) -> Response:
        if not parts:
            return self._list_collections(request)
        collection = self.content.collections.get(parts[0])
        if collection is None:
            return error(404, f"Collection not found: {parts[0]}")
        if len(parts) == 1:
            return respond(self.describer.collection(collection))
        if parts[1:] == ["queryables"]:
            found = self.describer.queryables(collection)
            plan: Plan = request.state.plan
            for name in plan.unlisted.split(","):
                found["properties"].pop(name, None)
            return respond(found, media_type="application/schema+json")
        if parts[1:] == ["items"]:
            values = dict(request.query_params) | {"collections": collection.id}
            return self._answer(request, values, "GET", f"/collections/{collection.id}/items")
        if len(parts) == 3 and parts[1] == "items":
            granule = self.content.find(parts[2])
            if granule is not None and granule.series in collection.series:
                plan = request.state.plan
                item = self.describer.item(collection, granule, plan.wrong_size or 0)
                if "xml" in request.query_params.get("httpAccept", ""):
                    text = (
                        f'<?xml version="1.0"?>\n<metadata><identifier>{granule.id}</identifier></metadata>\n'
                    )
                    return Response(text, media_type="application/xml")
                return respond(item, media_type=GEOJSON)
        return error(404, f"Not found: {'/'.join(parts)}")

    def _list_collections(self, request: Request) -> Response:
        values = dict(request.query_params)
        first, limit = _whole(values, "startRecord", 1), _whole(values, "limit", DEFAULT_LIMIT)
        word = values.get("q", "").casefold()
        where = filters.parse(values["filter"], "cql2-text") if values.get("filter") else None
        low, high = parse_window(values.get("datetime"))

        def fits(collection: Collection) -> bool:
            start, end = self.content.span(collection)
            about = {"id": collection.id, "platform": collection.mission.name}
            return (
                word
                in f"{collection.id} {collection.mission.name} {' '.join(collection.products)}".casefold()
                and start <= high
                and end >= low
                and (where is None or filters.evaluate(where, about))
            )

        found = [collection for collection in self.content.collections.values() if fits(collection)]
        page = found[first - 1 : first - 1 + limit]
        home = f"{self.describer.root}/collections"
        links = [{"rel": "self", "href": home, "type": "application/json"}]
        if first - 1 + limit < len(found):
            href = f"{home}?{urlencode(values | {'startRecord': first + limit, 'limit': limit})}"
            links.append({"rel": "next", "href": href, "type": "application/json"})
        return respond(
            {
                "collections": [self.describer.collection(collection) for collection in page],
                "numberMatched": len(found),
                "numberReturned": len(page),
                "links": links,
            }
        )

    async def _search(self, request: Request) -> Response:
        values: dict[str, Any] = dict(request.query_params)
        if request.method == "POST":
            try:
                body = json.loads(await request.body() or b"{}")
            except ValueError as exc:
                raise SearchError("The body is not JSON") from exc
            if not isinstance(body, dict):
                raise SearchError("The body is not a JSON object")
            values |= body
        return self._answer(request, values, request.method, "/search")

    def _answer(self, request: Request, values: dict[str, Any], method: str, path: str) -> Response:
        plan: Plan = request.state.plan
        first, limit = _whole(values, "startRecord", 1), _whole(values, "limit", DEFAULT_LIMIT)
        if first > LAST_START_RECORD:
            raise TooFarError(f"startRecord can not exceed {LAST_START_RECORD}.")
        limit = min(limit, MAXIMUM_LIMIT)
        window = parse_window(values.get("datetime"))
        if plan.failing_days and math.isfinite(window[0]):
            for day, hits in plan.failing_days:
                midnight = epoch(day)
                if window[0] < midnight + 86400 and window[1] > midnight and hits():
                    return error(503, f"The index of {day} is not available")
        search = Search(
            collections=_as_list(values.get("collections") or []),
            ids=_as_list(values["ids"]) if values.get("ids") else None,
            window=window,
            area=_area(values),
            where=_filter(values, method, plan),
        )
        results = self.finder.run(search)
        matched = 0 if plan.empty_results else results.matched
        page = results.page(first - 1, limit) if matched else ()
        features = [self.describer.item_text(*match, plan.wrong_size or 0) for match in page]
        if fields := values.get("fields"):
            features = [dumps(_only(json.loads(feature), fields)) for feature in features]
        here = self.describer.root + path
        links: list[dict[str, Any]] = [{"rel": "self", "href": here, "type": GEOJSON, "method": method}]
        if first - 1 + limit < matched:
            record = first if plan.next_loop else first + limit
            links.append(self._next(values, method, here, record, limit))
            final = (matched - 1) // limit * limit + 1
            links.append({"rel": "last", "href": _href(here, values, final, limit), "type": GEOJSON})
        body = {
            "type": "FeatureCollection",
            "numberMatched": max(0, matched + (plan.wrong_matched or 0)),
            "numberReturned": len(features),
            "links": links,
        }
        text = f'{dumps(body)[:-1]},"features":[{",".join(features)}]}}'
        return Response(text, media_type=GEOJSON)

    def _next(
        self, values: dict[str, Any], method: str, here: str, record: int, limit: int
    ) -> dict[str, Any]:
        if method == "POST" and self.next_form != "get":
            body: dict[str, Any] = {"limit": limit, "startRecord": record}
            if values.get("collections"):
                body["collections"] = _as_list(values["collections"])
            link = {"rel": "next", "href": here, "type": GEOJSON, "method": "POST"}
            return link | {"body": body, "merge": True}
        return {"rel": "next", "href": _href(here, values, record, limit), "type": GEOJSON, "method": "GET"}


def _href(here: str, values: dict[str, Any], record: int, limit: int) -> str:
    query: dict[str, Any] = {}
    for name, value in (values | {"startRecord": record, "limit": limit}).items():
        if name == "collections" and not here.endswith("/search"):
            continue
        if name in ("collections", "ids", "bbox") and isinstance(value, list):
            query[name] = ",".join(map(str, value))
        elif isinstance(value, dict | list):
            query[name] = json.dumps(value, separators=(",", ":"))
            if name == "filter":
                query["filter-lang"] = "cql2-json"
        elif value is not None:
            query[name] = value
    return f"{here}?{urlencode(query)}"


def _only(feature: dict[str, Any], wanted: Any) -> dict[str, Any]:
    """A feature reduced to the fields asked for; `-name` and `exclude` take away."""
    if isinstance(wanted, dict):
        include, exclude = list(wanted.get("include") or []), list(wanted.get("exclude") or [])
    else:
        names = wanted.split(",") if isinstance(wanted, str) else [str(name) for name in wanted]
        include = [name.removeprefix("+") for name in names if name and not name.startswith("-")]
        exclude = [name[1:] for name in names if name.startswith("-")]
    kept: dict[str, Any] = {} if include else feature
    for name in ["type", "id", "collection", *include] if include else ():
        source, target = feature, kept
        *parents, leaf = name.split(".", 1) if "." in name else [name]
        for parent in parents:
            source, target = source.get(parent) or {}, target.setdefault(parent, {})
        if leaf in source:
            target[leaf] = source[leaf]
    for name in exclude:
        parent, _, leaf = name.rpartition(".")
        (kept.get(parent, {}) if parent else kept).pop(leaf, None)
    return kept
