"""Faults on demand: rules that make some answers slow, wrong, short or absent.

Several rules may be active at once; what they decide for a request is one `Plan`.
"""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from typing import Any

TARGETS = ("search", "catalogue", "data", "token", "all")

FILTERS = {
    "json": "cql2-json alone in POST, as STAC API has it; both in GET",
    "get": "cql2-text in GET; POST takes no filter",
    "get-only": "cql2-text in GET; no POST at all",
    "refused": "no filters: a filter is refused",
    "ignored": "no filters: a filter is ignored",
}
"""What a service can take of filters, other than everything."""


@dataclass
class Fault:
    """One rule: what goes wrong, for which requests, how often."""

    target: str = ""
    """search, catalogue (search included), data, token or all; empty: where each kind belongs."""
    match: str = ""
    """Only requests whose path and query contain this; empty for any."""
    times: int | None = None
    """Requests it hits before it ends; None for ever."""
    after: int = 0
    """Matching requests it lets pass first."""
    probability: float = 1.0
    """Part of the matching requests it hits."""
    seed: int = 0
    """Seed of the draws for `probability`."""
    latency_s: float | None = None
    """Seconds before the answer begins."""
    rate: float | None = None
    """Bytes a second of each response body."""
    status: int | None = None
    """Answer with this status and no content of use."""
    retry_after: str | None = None
    """Value of Retry-After sent with `status`: seconds or an HTTP date."""
    failing_day: str | None = None
    """YYYY-MM-DD: 503 for every search whose window has a part of that day."""
    cut_after: int | None = None
    """Close the connection after this many body bytes, the full length promised."""
    cut_nolength: int | None = None
    """Send this many body bytes with no length promised, then close."""
    stall_after: int | None = None
    """Send this many body bytes, then hold the connection and send nothing."""
    drip_after: int | None = None
    """After this many body bytes send one byte a second."""
    html_login: bool | None = None
    """Answer 200 with an HTML login page."""
    wrong_length: int | None = None
    """Content-Length is off by this: positive promises too much, negative leaves extra bytes."""
    wrong_size: int | None = None
    """`file:size` of every asset found is off by this."""
    redirect: str | None = None
    """302 to the same path at this base URL."""
    token_lifetime_s: float | None = None
    """Seconds an access token lives."""
    empty_results: bool | None = None
    """Searches find nothing."""
    wrong_matched: int | None = None
    """numberMatched is off by this."""
    next_loop: bool | None = None
    """The next link leads to the same page again."""
    filters: str | None = None
    """Which filters are taken and declared: one of FILTERS."""
    blind: str | None = None
    """Filters by one of these, separated by commas, find nothing: product, version, orbit, frame, updated."""
    deaf: str | None = None
    """Conditions on one of these, separated by commas, are ignored: updated, created, frame, ..."""
    barred: str | None = None
    """Searches with a condition on one of these are answered with a status: updated:422,created:500, ..."""
    unlisted: str | None = None
    """Properties that the queryables do not list, separated by commas."""
    match_case: bool | None = None
    """Texts of filters are compared with case."""
    gzip: bool | None = None
    """Bodies come gzip-encoded whether asked for or not."""
    hits: int = 0
    """Requests it has hit."""
    seen: int = 0
    """Requests it has matched."""

    def __post_init__(self) -> None:
        if self.target not in ("", *TARGETS):
            raise ValueError(f"target must be one of {', '.join(TARGETS)}")
        if not 0 <= self.probability <= 1:
            raise ValueError("probability must be between 0 and 1")
        if self.barred and not re.fullmatch(r"(?:\w+:\d{3}(?:,|$))+", self.barred):
            raise ValueError("barred must be like updated:422,created:500")
        if self.filters is not None and self.filters not in FILTERS:
            raise ValueError(f"filters must be one of {', '.join(FILTERS)}")
        self._random = random.Random(self.seed)

    def effects(self) -> dict[str, Any]:
        """The kinds that are set."""
        values = {kind: getattr(self, kind) for kind in HOMES}
        return {kind: value for kind, value in values.items() if value is not None and value is not False}


HOMES = {
    "latency_s": "all", "status": "all", "retry_after": "all", "gzip": "all", "rate": "data",
    "cut_after": "data", "cut_nolength": "data", "stall_after": "data", "drip_after": "data",
    "html_login": "data", "wrong_length": "data", "redirect": "data", "token_lifetime_s": "token",
    "failing_day": "search", "empty_results": "search", "wrong_matched": "search", "wrong_size": "search",
    "next_loop": "search", "filters": "catalogue", "match_case": "search",
    "blind": "search", "deaf": "search", "barred": "search", "unlisted": "catalogue",
}  # fmt: skip
"""Kind of fault to the requests it belongs to when a rule names no target."""

SCOPE = frozenset(f.name for f in fields(Fault)) - frozenset(HOMES) - {"hits", "seen"}
ACTIONS = frozenset({"replace", "expire_tokens", "revoke_token", "now"})
"""Keys that do something once instead of setting a rule."""


@dataclass
class Plan:
    """What goes wrong with one request; None and False mean nothing does."""

    latency_s: float | None = None
    rate: float | None = None
    status: int | None = None
    retry_after: str | None = None
    failing_days: list[tuple[str, Callable[[], bool]]] = field(default_factory=list)
    """Days, each with what says whether a search that has a part of it fails; asking counts as a hit."""
    cut_after: int | None = None
    cut_nolength: int | None = None
    stall_after: int | None = None
    drip_after: int | None = None
    html_login: bool = False
    wrong_length: int | None = None
    wrong_size: int | None = None
    redirect: str | None = None
    token_lifetime_s: float | None = None
    empty_results: bool = False
    wrong_matched: int | None = None
    next_loop: bool = False
    filters: str = ""
    blind: str = ""
    deaf: str = ""
    barred: str = ""
    unlisted: str = ""
    match_case: bool = False
    gzip: bool = False


class Faults:
    """The active rules; safe to use from several threads."""

    def __init__(self, *rules: Mapping[str, Any]) -> None:
        self._lock = threading.Lock()
        self.rules: list[Fault] = []
        self._replaced: list[str] = []
        for rule in rules:
            self.add(**rule)

    def add(self, **values: Any) -> Fault:
        """Add a rule beside those of the same scope.

        Raises:
            ValueError: an unknown key, a value of the wrong type, or no kind of fault at all.
        """
        _check_all(values)
        rule = Fault(**{name: value for name, value in values.items() if value is not None})
        if not rule.effects():
            raise ValueError("the rule names no fault")
        with self._lock:
            self.rules.append(rule)
        return rule

    def set(self, **values: Any) -> Fault | None:
        """Merge into the rule of the same target and match, or add one; a None value takes a kind away.

        A rule left without a kind is dropped, and None is returned.

        Raises:
            ValueError: an unknown key, or a value of the wrong type.
        """
        _check_all(values)
        with self._lock:
            scope = values.get("target") or "", values.get("match") or ""
            old = next((rule for rule in self.rules if (rule.target, rule.match) == scope), None)
            kept = {k: v for k, v in asdict(old).items() if k not in ("hits", "seen")} if old else {}
            defaults: dict[str, Any] = {f.name: f.default for f in fields(Fault)}
            rule = Fault(**{k: defaults[k] if v is None else v for k, v in (kept | values).items()})
            if old:
                self.rules.remove(old)
            if not rule.effects():
                return None
            self.rules.append(rule)
            return rule

    def replace(self, part: str) -> None:
        """Replace every file whose name contains `part`: same length, other bytes, other ETag."""
        with self._lock:
            self._replaced.append(part)

    def clear(self) -> None:
        """Drop every rule; files already replaced stay replaced."""
        with self._lock:
            self.rules.clear()

    def show(self) -> list[dict[str, Any]]:
        """The rules as JSON, without what is unset."""
        with self._lock:
            return [{k: v for k, v in asdict(rule).items() if v not in (None, "")} for rule in self.rules]

    def generation(self, name: str) -> int:
        """How often a file was replaced on the server."""
        with self._lock:
            return sum(part in name for part in self._replaced)

    def plan(self, kind: str, address: str) -> Plan:
        """Decide for one request: `kind` is search, catalogue, data or token, `address` path and query."""
        plan = Plan()
        with self._lock:
            for rule in self.rules:
                effects = {
                    effect: value
                    for effect, value in rule.effects().items()
                    if _covers(rule.target or HOMES[effect], kind)
                }
                if not effects or rule.match not in address:
                    continue
                rule.seen += 1
                if rule.seen <= rule.after or (rule.times is not None and rule.hits >= rule.times):
                    continue
                if rule.probability < 1 and rule._random.random() >= rule.probability:
                    continue
                if day := effects.pop("failing_day", None):
                    plan.failing_days.append((day, partial(self._hits, rule)))
                    if not effects:
                        continue
                rule.hits += 1
                for effect, value in effects.items():
                    setattr(plan, effect, value)
        return plan

    def _hits(self, rule: Fault) -> bool:
        with self._lock:
            if rule.times is not None and rule.hits >= rule.times:
                return False
            rule.hits += 1
            return True


def _covers(target: str, kind: str) -> bool:
    return target in ("all", kind) or (target == "catalogue" and kind == "search")


def _check_all(values: Mapping[str, Any]) -> None:
    unknown = set(values) - set(HOMES) - SCOPE
    if unknown:
        raise ValueError(f"unknown fault: {', '.join(sorted(unknown))}")
    for name, value in values.items():
        _check(name, value)


def _check(name: str, value: Any) -> None:
    texts = {"target", "match", "failing_day", "redirect", "filters", "blind", "deaf", "barred", "unlisted"}
    switches = {"html_login", "empty_results", "next_loop", "match_case", "gzip"}
    if value is None or name == "retry_after":
        return
    wanted: type | tuple[type, ...] = (int, float)
    if name in texts:
        wanted = str
    elif name in switches:
        wanted = bool
    elif name not in ("probability", "latency_s", "rate", "token_lifetime_s"):
        wanted = int
    if not isinstance(value, wanted) or (isinstance(value, bool) and name not in switches):
        raise ValueError(f"{name} cannot be {value!r}")
