"""How a service is asked to filter: what it declares, what it has refused, and what worked the last time.

STAC lets a service take cql2-json in POST and cql2-text in GET alone, or have no filters at all. The
landing page is read once a service has refused a filter, not before: it would cost every search a request.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from maap_tui.engine.errors import StorageError
from maap_tui.engine.storage import files

if TYPE_CHECKING:
    from maap_tui.engine import cql2

NO_METHOD = frozenset({404, 405, 501})
"""Statuses that refuse the method, whatever the filter."""

REFUSALS = NO_METHOD | {400, 406, 415, 422}
"""Statuses that may mean: not in this language, or not by this method."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One way to ask for a search."""

    method: str
    """POST or GET."""
    language: str
    """cql2-text or cql2-json; '' sends no filter."""

    def __str__(self) -> str:
        return f"{self.language or 'no filter'} by {self.method}"


USUAL = Dialect("POST", "cql2-text")
"""What the ESA MAAP catalogue takes (docs/service.md, Searches)."""

FILTERING = (USUAL, Dialect("POST", "cql2-json"), Dialect("GET", "cql2-text"), Dialect("GET", "cql2-json"))
"""Every way to send a filter, in the order of trying."""

UNFILTERED = (Dialect("POST", ""), Dialect("GET", ""))


class Dialects:
    """The dialect of one service: kept for the process, and in a file for the next one."""

    def __init__(self, file: Path, root: str) -> None:
        """Take where it is remembered; read nothing.

        Args:
            file: what all services of this user are remembered in.
            root: URL of the service.
        """
        self._file = file
        self._root = root
        self._current: Dialect | None = None
        self.declared: list[str] | None = None
        """Conformance classes of the landing page; None before it was read, [] when it names none."""
        self.is_proven = False
        """Whether enough items have agreed with a filter."""
        self.dropped: dict[str, set[str]] = {}
        """Collection -> parts of filters by which it finds nothing of what it has."""
        self.honoured: dict[str, set[str]] = {}
        """Collection -> parts of filters by which it has found something."""
        self.learning = asyncio.Lock()
        """Held by the one request that finds out; the others wait for its result."""

    @property
    def current(self) -> Dialect:
        """What to ask in."""
        if self._current is None:
            self._current = self._remembered()
        return self._current

    async def learn(self, dialect: Dialect, *, is_proven: bool) -> None:
        """Ask in this from now on.

        Args:
            dialect: what the service took.
            is_proven: whether its answer shows that it obeyed the filter, so that the next process
                may begin with it.
        """
        self._current = dialect
        # A service without filters is asked again by the next process: it may have them by then.
        if is_proven and dialect.language and dialect != self._remembered():
            await asyncio.to_thread(self._remember, dialect)

    def _remembered(self) -> Dialect:
        entry = self._read().get(self._root)
        if isinstance(entry, dict):
            found = [one for one in FILTERING if [one.method, one.language] == list(entry.values())[:2]]
            if found:
                return found[0]
        return USUAL

    def _read(self) -> dict[str, object]:
        try:
            data = json.loads(self._file.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return data if isinstance(data, dict) else {}

    def _remember(self, dialect: Dialect) -> None:
        known = self._read()
        known.pop(self._root, None)
        if dialect != USUAL:
            known[self._root] = {"method": dialect.method, "language": dialect.language}
        try:
            files.write_atomic(self._file, json.dumps(known, indent=2) + "\n")
        except (OSError, StorageError):
            pass  # the next process learns it again


def candidates(declared: Sequence[str], refused: Dialect) -> list[Dialect]:
    """What to try after a refusal, best first.

    Args:
        declared: the conformance classes of the service; [] when it does not say.
        refused: what it did not take.
    """
    spoken = {
        language
        for language in ("cql2-text", "cql2-json")
        if any(name.rstrip("/").endswith(language) for name in declared)
    }
    rest = [one for one in FILTERING if one != refused]
    return sorted(rest, key=lambda one: one.language not in spoken)


def declares_no_filters(declared: Sequence[str]) -> bool:
    """Whether a service says what it conforms to, and filters are not among it."""
    return bool(declared) and not any(
        "#filter" in name or name.rstrip("/").endswith("/conf/filter") or "/cql2/" in name
        for name in declared
    )


def worded(dialect: Dialect, body: Mapping[str, Any], condition: cql2.Condition | None) -> dict[str, Any]:
    """The body of a search with its filter in a dialect."""
    from maap_tui.engine import cql2

    if condition is None or not dialect.language:
        return dict(body)
    is_text = dialect.language == "cql2-text"
    return {
        **body,
        "filter": cql2.to_text(condition) if is_text else cql2.to_json(condition),
        "filter-lang": dialect.language,
    }


def as_query(body: Mapping[str, Any]) -> str:
    """The body of a POST as the query of a GET: lists joined by commas, all percent-encoded."""
    params: dict[str, str] = {}
    for key, value in body.items():
        if isinstance(value, list):
            params[key] = ",".join(f"{one:g}" if isinstance(one, float) else str(one) for one in value)
        elif isinstance(value, dict):
            params[key] = json.dumps(value, separators=(",", ":"))
        else:
            params[key] = str(value)
    # A plus sign stands for a space only in forms.
    return urlencode(params, quote_via=quote, safe="")
