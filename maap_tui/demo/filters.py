"""CQL2 filters: turned into ranges of granule numbers where that is exact, tested item by item elsewhere.

Both generations of queryable names mean the same thing here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import cql2

from maap_tui.demo import ranges
from maap_tui.demo.geometry import Area, area_of_geojson
from maap_tui.demo.orbit import epoch
from maap_tui.demo.ranges import EVERYTHING, Ranges

KEYS = {
    "productType": "product", "product:type": "product", "productVersion": "version", "version": "version",
    "orbitNumber": "orbit", "sat:absolute_orbit": "orbit", "frame": "frame",
    "orbitDirection": "direction", "sat:orbit_state": "direction",
    "instrument": "instrument", "instruments": "instrument",
    "platform": "platform", "constellation": "platform",
    "processingLevel": "level", "processing:level": "level",
    "uid": "id", "id": "id", "title": "id", "collection": "collection",
    "modificationDate": "updated", "updated": "updated", "creationDate": "created", "created": "created",
    "published": "created", "processingDate": "processed", "processing:datetime": "processed",
    "datetime": "start", "start_datetime": "start", "end_datetime": "end", "geometry": "geometry",
    "acquisitionType": "acquisition", "missionPhase": "phase", "processingCenter": "center",
    "processorName": "processor", "sensorType": "sensor", "productionStatus": "status", "track": "track",
    "sensorMode": "mode", "doi": "doi",
}  # fmt: skip
"""Queryable name, old or new, to what it means."""

PER_SERIES = frozenset(
    "product version exact_version nothing instrument platform level collection acquisition phase center"
    " processor sensor status mode doi".split()
)
"""Meanings that are the same for every granule of a series."""

TIMES = frozenset({"updated", "created", "processed", "start", "end"})

Node = Any
"""A part of the CQL2 JSON tree."""


class FilterError(ValueError):
    """The filter cannot be read, or names what is not a queryable."""


def parse(
    text: str | Mapping[str, Any],
    lang: str,
    *,
    match_case: bool = False,
    blind: frozenset[str] = frozenset(),
) -> Node:
    """The CQL2 JSON tree of a filter, its property names replaced by their meanings.

    Args:
        text: the filter.
        lang: its language, cql2-text or cql2-json.
        match_case: whether versions are compared with case.
        blind: meanings that no item has a value for.

    Raises:
        FilterError: not CQL2, or an unknown property.
    """
    try:
        if lang == "cql2-json":
            expression = cql2.parse_json(text if isinstance(text, str) else json.dumps(text))
        elif lang == "cql2-text" and isinstance(text, str):
            expression = cql2.parse_text(text)
        else:
            raise FilterError(f"Unsupported filter-lang: {lang}")
        keys = {name: "nothing" if meaning in blind else meaning for name, meaning in KEYS.items()}
        if match_case:
            keys = {name: "exact_version" if key == "version" else key for name, key in keys.items()}
        return _rename(expression.to_json(), keys)
    except (cql2.ParseError, cql2.ValidationError) as exc:
        raise FilterError("Invalid filter: " + " ".join(str(exc).split())) from exc


def _rename(node: Node, keys: Mapping[str, str]) -> Node:
    if isinstance(node, dict):
        if "property" in node:
            if node["property"] not in keys:
                raise FilterError(f"Unknown queryable: {node['property']}")
            return {"property": keys[node["property"]]}
        return {key: _rename(value, keys) for key, value in node.items()}
    return [_rename(part, keys) for part in node] if isinstance(node, list) else node


def meanings(node: Node) -> set[str]:
    """What a part of the tree asks about."""
    if isinstance(node, dict):
        if "property" in node:
            return {node["property"]}
        return set().union(*(meanings(value) for value in node.values()))
    return set().union(*map(meanings, node)) if isinstance(node, list) and node else set()


def conjuncts(node: Node) -> list[Node]:
    """The parts that must all hold."""
    if isinstance(node, dict) and node.get("op") == "and":
        return [part for arg in node["args"] for part in conjuncts(arg)]
    return [node]


def area_of(node: Node) -> Area | None:
    """The area of a plain `S_INTERSECTS(geometry, ...)`, None for anything else."""
    if not (isinstance(node, dict) and node.get("op") == "s_intersects"):
        return None
    args = [arg for arg in node["args"] if not (isinstance(arg, dict) and "property" in arg)]
    if len(args) != 1:
        return None
    try:
        return area_of_geojson(args[0])
    except ValueError as exc:
        raise FilterError(str(exc)) from exc


def _moment(value: Any) -> float | None:
    if isinstance(value, dict):
        value = value.get("timestamp", value.get("date"))
    if isinstance(value, int | float):
        return float(value)
    try:
        return epoch(str(value))
    except ValueError:
        return None


def _value(node: Node, values: Mapping[str, Any]) -> Any:
    if isinstance(node, dict):
        if "property" in node:
            return values.get(node["property"])
        if node.get("op") in ("casei", "accenti"):
            value = _value(node["args"][0], values)
            return value.casefold() if isinstance(value, str) else value
        if "timestamp" in node or "date" in node:
            return _moment(node)
        if "op" in node:
            return evaluate(node, values)
    return [_value(part, values) for part in node] if isinstance(node, list) else node


def _compare(op: str, left: Any, right: Any, about: set[str]) -> bool:
    if left is None or right is None:
        return False
    if about & TIMES:
        left, right = _moment(left), _moment(right)
        if left is None or right is None:
            return False
    elif isinstance(left, tuple) or isinstance(right, tuple):
        many, one = (left, right) if isinstance(left, tuple) else (right, left)
        return (one in many) == (op == "=") if op in ("=", "<>") else False
    elif isinstance(left, int | float) != isinstance(right, int | float):
        try:
            left, right = float(left), float(right)
        except (TypeError, ValueError):
            return op == "<>"
    elif "version" in about:
        left, right = str(left).casefold(), str(right).casefold()
    tests: dict[str, Callable[[Any, Any], bool]] = {
        "=": lambda a, b: a == b,
        "<>": lambda a, b: a != b,
        "<": lambda a, b: a < b,
        "<=": lambda a, b: a <= b,
        ">": lambda a, b: a > b,
        ">=": lambda a, b: a >= b,
    }
    return tests[op](left, right)


def evaluate(node: Node, values: Mapping[str, Any]) -> bool:
    """Whether an item with these values satisfies the filter.

    Raises:
        FilterError: an operator the service does not know.
    """
    if isinstance(node, bool):
        return node
    if not isinstance(node, dict) or "op" not in node:
        raise FilterError("Invalid filter: not a condition")
    op, args = node["op"], node["args"]
    if op == "and":
        return all(evaluate(arg, values) for arg in args)
    if op == "or":
        return any(evaluate(arg, values) for arg in args)
    if op == "not":
        return not evaluate(args[0], values)
    about = meanings(args)
    if op in ("=", "<>", "<", "<=", ">", ">="):
        return _compare(op, _value(args[0], values), _value(args[1], values), about)
    if op == "between":
        value, low, high = (_value(arg, values) for arg in args)
        return _compare(">=", value, low, about) and _compare("<=", value, high, about)
    if op == "in":
        value = _value(args[0], values)
        return any(_compare("=", value, one, about) for one in _value(args[1], values))
    if op == "like":
        value, pattern = _value(args[0], values), str(_value(args[1], values))
        rule = "".join(".*" if c == "%" else "." if c == "_" else re.escape(c) for c in pattern)
        flags = re.IGNORECASE if "version" in about else 0
        return isinstance(value, str) and re.fullmatch(rule, value, flags) is not None
    if op == "isNull":
        return _value(args[0], values) is None
    if op == "s_intersects":
        area, track = area_of(node), values.get("geometry")
        return area is not None and track is not None and area.touches(track)
    raise FilterError(f"Unsupported operator: {op}")


def number_ranges(node: Node, values: Mapping[str, Any], key: str) -> Ranges | None:
    """Exactly the whole numbers of `key` that satisfy a filter about it and constants; None if unknown.

    Values of every other meaning come from `values`.
    """
    if not (isinstance(node, dict) and "op" in node):
        return None
    op, args = node["op"], node["args"]
    if key not in meanings(node):
        return EVERYTHING if evaluate(node, values) else []
    if op in ("and", "or", "not"):
        parts = [number_ranges(arg, values, key) for arg in args]
        if op == "not":
            return None if parts[0] is None else ranges.complement(parts[0])
        found: Ranges = EVERYTHING if op == "and" else []
        for part in parts:
            if part is None:
                return None
            found = (ranges.intersect if op == "and" else ranges.unite)(found, part)
        return found
    if args[0] != {"property": key}:
        return None
    try:
        if op == "between":
            return [(math.ceil(float(args[1])), math.floor(float(args[2])))]
        if op == "in":
            united: Ranges = []
            for number in sorted({float(one) for one in args[1]}):
                united = ranges.unite(united, [(number, number)] if number.is_integer() else [])
            return united
        return _one_comparison(op, float(args[1]))
    except (TypeError, ValueError):
        return None


def _one_comparison(op: str, number: float) -> Ranges | None:
    equal: Ranges = [(number, number)] if number.is_integer() else []
    above, below = math.floor(number) + 1, math.ceil(number) - 1
    table: dict[str, Ranges] = {
        "=": equal,
        "<>": ranges.complement(equal),
        "<": [(-math.inf, below)],
        "<=": [(-math.inf, math.floor(number))],
        ">": [(above, math.inf)],
        ">=": [(math.ceil(number), math.inf)],
    }
    return table.get(op)


def number_bounds(node: Node, values: Mapping[str, Any], key: str) -> Ranges:
    """Numbers of `key` outside these ranges cannot satisfy the filter, whatever else it asks."""
    if not (isinstance(node, dict) and "op" in node) or key not in meanings(node):
        return EVERYTHING
    op, args = node["op"], node["args"]
    if op in ("and", "or"):
        found: Ranges = EVERYTHING if op == "and" else []
        for arg in args:
            part = number_bounds(arg, values, key)
            found = (ranges.intersect if op == "and" else ranges.unite)(found, part)
        return found
    if meanings(node) != {key}:
        return EVERYTHING
    exact = number_ranges(node, values, key)
    return EVERYTHING if exact is None else exact


def time_bounds(node: Node, slack: float) -> tuple[float, float]:
    """Sensing starts outside this window cannot satisfy the filter; `slack` covers processing delays."""
    low, high = -math.inf, math.inf
    if not (isinstance(node, dict) and "op" in node):
        return low, high
    op, args = node["op"], node["args"]
    if op in ("and", "or") and args:
        bounds = [time_bounds(arg, slack) for arg in args]
        lows, highs = [b[0] for b in bounds], [b[1] for b in bounds]
        return (max(lows), min(highs)) if op == "and" else (min(lows), max(highs))
    if len(args) >= 2 and isinstance(args[0], dict) and args[0].get("property") in TIMES - {"end"}:
        first, last = _moment(args[1]), _moment(args[-1])
        if first is None or last is None:
            return low, high
        if op in ("=", ">", ">=", "between"):
            low = first - slack
        if op in ("=", "<", "<=", "between"):
            high = last
    return low, high
