"""Pages of a search as they are served: items read one after the other, counts, links, refusals."""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from maap_tui.engine.catalogue.stac import resolved
from maap_tui.engine.errors import CatalogError, InvalidRequestError, MaapError

SAMPLE = 250
"""Items that are looked at to find out whether a filter is obeyed, or why it finds nothing."""

START_RECORD_LIMIT = 100_000
"""The service pages no further than this record (docs/service.md, Searches)."""

Take = Callable[[Any, bytes, str], Any]
"""Makes of an item, its JSON and the address of its page what is kept of it."""

_scan: Callable[[str, int], tuple[Any, int]] = vars(json.JSONDecoder())["scan_once"]
_blanks = re.compile(r"[ \t\n\r]*").match


class TooMany(Exception):
    """A time holds more than the service pages."""

    def __init__(self, matched: int) -> None:
        super().__init__(matched)
        self.matched = matched


class SearchRefused(MaapError):
    """The catalogue answered a search with an error that is not busy: `status` says which."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status

    @property
    def is_page_limit(self) -> bool:
        """Whether it only says that the service pages no further (docs/service.md, Searches)."""
        return self.status == 422 and "startRecord" in self.message

    def explained(self, *, is_first: bool) -> Exception:
        """The error to raise for it.

        Args:
            is_first: whether the first page was refused; a later one says nothing against the search.
        """
        if self.is_page_limit:
            return TooMany(START_RECORD_LIMIT)
        if not is_first:
            return CatalogError(f"a page was refused: {self.message}")
        if self.status in (400, 422):
            # What a validator writes is for who programs the service.
            said = f": {self.message}" if self.message[:1] not in "[{" else f" ({self.status})"
            return InvalidRequestError(
                f"The catalogue refuses this search{said}", "Check the names with `maap list`."
            )
        return CatalogError(self.message, "Run the same command again later.")


class ConditionRefused(MaapError):
    """The catalogue searches, but not with one of the conditions: `status` is 200 where it ignored it."""

    def __init__(self, status: int) -> None:
        super().__init__(
            "a condition was ignored" if status == 200 else f"a condition was refused ({status})"
        )
        self.status = status


@dataclass(frozen=True, slots=True)
class ServedPage:
    """One page of a search."""

    items: list[Any] = field(repr=False)
    """What is kept of its items, in the order served."""
    sample: list[Any] = field(repr=False)
    """The properties of the first of them, as they are."""
    rest: Mapping[str, Any] = field(repr=False)
    """All that it says besides its items."""

    @property
    def matched(self) -> int | None:
        """The items that it announces for the whole search, None when it does not say."""
        value = self.rest.get("numberMatched")
        if value is None and isinstance(context := self.rest.get("context"), dict):
            value = context.get("matched")  # the STAC API extension of before numberMatched
        return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None

    @property
    def next_link(self) -> Mapping[str, Any] | None:
        """The link to the next page, None on the last one."""
        return next_link(self.rest)


def next_link(data: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The link to what follows an answer, None on the last one."""
    links = data.get("links")
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict) and link.get("rel") == "next":
            return link
    return None


def whole(item: Any, text: bytes, url: str) -> Any:
    """Keep all of an item."""
    return item


def read_page(body: bytes, url: str, take: Take = whole) -> ServedPage:
    """Read a page item by item: the tree of a whole one takes three times its bytes.

    Args:
        body: the JSON of the page.
        url: where it was served.
        take: makes of each item, its links resolved, what is kept of it.

    Raises:
        ValueError: when it is not JSON, also when it nests too deep.
        CatalogError: when it is another JSON value than a page.
    """
    reader = _Reader(url, take)
    # What is parsed has no cycles, and looking for some, again and again, takes as long as parsing it.
    is_collecting = gc.isenabled()
    gc.disable()
    try:
        try:
            rest = reader.read(body.decode("utf-8"))
        except (_Unusual, UnicodeDecodeError, json.JSONDecodeError):
            reader = _Reader(url, take)
            rest = reader.read_whole(json.loads(body))
    except RecursionError:
        raise ValueError("nested too deep") from None
    finally:
        if is_collecting:
            gc.enable()
    return ServedPage(reader.items, reader.sample, rest)


class _Unusual(Exception):
    """JSON that is wrong, or written in a way that is left to the library."""


class _Reader:
    """Reads one page."""

    def __init__(self, url: str, take: Take) -> None:
        self._url = url
        self._take = take
        self.items: list[Any] = []
        self.sample: list[Any] = []

    def read(self, text: str) -> dict[str, Any]:
        """Read the text of a page; returns all of it but its items."""
        rest: dict[str, Any] = {}
        has_items = False
        at = _past(text, 0, "{")
        while True:
            name, at = _value(text, at)
            at = _past(text, _blank(text, at), ":")
            if name == "features" and text.startswith("[", at) and not has_items:
                has_items = True
                at = self._read_items(text, at)
            elif name == "features" or not isinstance(name, str):
                raise _Unusual
            else:
                rest[name], at = _value(text, at)
            at = _blank(text, at)
            if text.startswith("}", at):
                break
            at = _past(text, at, ",")
        if not has_items or _blank(text, at + 1) != len(text):
            raise _Unusual
        return rest

    def _read_items(self, text: str, at: int) -> int:
        at = _past(text, at, "[")
        if text.startswith("]", at):
            return at + 1
        while True:
            item, end = _value(text, at)
            self._add(item, text[at:end].encode("utf-8", "surrogatepass"))
            at = _blank(text, end)
            if text.startswith("]", at):
                return at + 1
            at = _past(text, at, ",")

    def read_whole(self, data: Any) -> dict[str, Any]:
        """Take what the library has parsed; errors as `read_page`."""
        if not isinstance(data, dict):
            raise CatalogError("The search result is not a JSON object", "Run it again later.")
        features = data.pop("features", None)
        if not isinstance(features, list):
            raise CatalogError("The search result has no list of features", "Run it again later.")
        for item in features:
            self._add(item, json.dumps(item).encode())
        return data

    def _add(self, item: Any, text: bytes) -> None:
        item = resolved(item, self._url)
        if len(self.sample) < SAMPLE and isinstance(item, dict):
            self.sample.append(item.get("properties"))
        self.items.append(self._take(item, text, self._url))


def _value(text: str, at: int) -> tuple[Any, int]:
    """The JSON value that begins at a place, and where it ends."""
    try:
        return _scan(text, at)
    except StopIteration:
        raise _Unusual from None


def _blank(text: str, at: int) -> int:
    """Where the blanks at a place end."""
    found = _blanks(text, at)
    return found.end() if found else at


def _past(text: str, at: int, mark: str) -> int:
    """The place behind a mark, and behind the blanks before and after it."""
    at = _blank(text, at)
    if not text.startswith(mark, at):
        raise _Unusual
    return _blank(text, at + 1)
