"""CQL2 conditions (OGC 21-065r2): one tree, written as cql2-text or as cql2-json, and judged here too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from maap_tui.engine.model import parse_zulu, to_zulu

Value = str | int | datetime


@dataclass(frozen=True, slots=True)
class Comparison:
    """One property against one value."""

    name: str
    op: str
    """`=`, `>=` or `<=`."""
    value: Value


@dataclass(frozen=True, slots=True)
class OneOf:
    """One property against a list of values."""

    name: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Every:
    """All of the parts hold."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """At least one of the parts holds."""

    parts: tuple[Condition, ...]


Condition = Comparison | OneOf | Every | Either


def equals(name: str, values: Iterable[Value]) -> Condition:
    """A property that is one of these values."""
    given = tuple(dict.fromkeys(values))
    return Comparison(name, "=", given[0]) if len(given) == 1 else OneOf(name, given)


def between(name: str, low: int, high: int) -> Condition:
    """A number from `low` to `high`, both included."""
    if low == high:
        return Comparison(name, "=", low)
    # BETWEEN belongs to a conformance class that not every service has.
    return Every((Comparison(name, ">=", low), Comparison(name, "<=", high)))


def every(parts: Iterable[Condition]) -> Condition | None:
    """All of these conditions; None when there is none."""
    given = tuple(parts)
    return Every(given) if len(given) > 1 else given[0] if given else None


def either(parts: Iterable[Condition]) -> Condition:
    """At least one of these conditions."""
    given = tuple(parts)
    return Either(given) if len(given) > 1 else given[0]


def to_text(condition: Condition) -> str:
    """The condition as cql2-text."""
    match condition:
        case Comparison(name, op, value):
            return f"{_name(name)} {op} {_literal(value)}"
        case OneOf(name, values):
            return f"{_name(name)} IN ({','.join(_literal(value) for value in values)})"
        case Every(parts):
            return " AND ".join(_inner(one, Either) for one in parts)
        case Either(parts):
            return " OR ".join(_inner(one, Every) for one in parts)


def _inner(condition: Condition, looser: type[Condition]) -> str:
    text = to_text(condition)
    return f"({text})" if isinstance(condition, looser) else text


def to_json(condition: Condition) -> dict[str, Any]:
    """The condition as cql2-json."""
    match condition:
        case Comparison(name, op, value):
            return {"op": op, "args": [{"property": name}, _json(value)]}
        case OneOf(name, values):
            return {"op": "in", "args": [{"property": name}, [_json(value) for value in values]]}
        case Every(parts):
            return {"op": "and", "args": [to_json(one) for one in parts]}
        case Either(parts):
            return {"op": "or", "args": [to_json(one) for one in parts]}


def holds(condition: Condition, values: Mapping[str, Any]) -> bool | None:
    """Whether it holds for properties with these values; None when what they say does not decide it.

    Texts are compared without case; a property that is absent decides nothing.
    """
    match condition:
        case Comparison(name, op, value):
            return _compare(values.get(name), op, value)
        case OneOf(name, options):
            found = [_compare(values.get(name), "=", one) for one in options]
            return None if None in found else any(found)
        case Every(parts):
            found = [holds(one, values) for one in parts]
            return False if False in found else None if None in found else True
        case Either(parts):
            found = [holds(one, values) for one in parts]
            return True if True in found else None if None in found else False


def _compare(left: Any, op: str, right: Value) -> bool | None:
    if isinstance(left, bool) or not isinstance(left, str | int | float):
        return None
    if isinstance(right, datetime):
        try:
            moment = parse_zulu(str(left))
        except (ValueError, OverflowError):
            return None
        return moment == right if op == "=" else moment >= right if op == ">=" else moment <= right
    if isinstance(left, str) and isinstance(right, str):
        return left.casefold() == right.casefold() if op == "=" else None
    try:
        number = float(left)
    except ValueError:
        return None
    if isinstance(right, str):
        return None
    return number == right if op == "=" else number >= right if op == ">=" else number <= right


def _name(name: str) -> str:
    # A colon is not part of a bare identifier.
    return name if name.isidentifier() else f'"{name}"'


def _json(value: Value) -> Any:
    return {"timestamp": to_zulu(value)} if isinstance(value, datetime) else value


def _literal(value: Value) -> str:
    if isinstance(value, datetime):
        return f"TIMESTAMP('{to_zulu(value)}')"
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"
