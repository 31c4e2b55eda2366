"""What the palette offers for a time, a place, the path of an area or a whole search typed into it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any

from maap_tui.engine.areas import completions, is_path
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.model import TimeRange, to_zulu
from maap_tui.engine.sites import sites, spelled, split_reach
from maap_tui.text import clean
from maap_tui.tui.host import Host
from maap_tui.tui.screens.search.area_field import read_area
from maap_tui.tui.screens.search.saved_terms import choices_of, in_words
from maap_tui.tui.screens.search.time_field import read_time
from maap_tui.tui.typed_search import read_search

_LONGEST = 200
"""Characters of a field of the form."""
_SURE = 2.0
"""Score of what can be nothing else; that of other entries is at most 1."""
_LIKELY = 0.9
_MOST = 20
"""Places or files that are offered."""

Offer = tuple[str, str, Callable[[], Any], float]
"""Its title, what else is to be said of it, what does it, and its score."""


def typed_offers(host: Host, text: str) -> list[Offer]:
    """The times and areas that a text means or begins; each goes into the form. It reads folders."""
    words = text.strip()
    if not words or len(words) > _LONGEST:
        return []
    if is_path(words):
        return _paths(host, words)
    return [*_searches(host, words), *_time(host, words), *_places(host, words)]


def _searches(host: Host, words: str) -> list[Offer]:
    session = host.backend.session
    known = sites(session.settings.sites)
    found: list[Offer] = []
    for one, terms in islice(read_search(session.index.known, words, host.backend.now(), known), _MOST):
        choices = choices_of(terms, None, known)
        run = partial(host.go, "search", choices=choices)
        found.append((f"Search {in_words(choices)}", f"in {one.name}", run, _SURE))
    return found


def _into_form(host: Host, name: str, text: str) -> Callable[[], Any]:
    return partial(host.go, "search", fields={name: text})


def _time(host: Host, words: str) -> list[Offer]:
    try:
        found = read_time(words, host.backend.now())
    except InvalidRequestError:
        return []
    span: TimeRange = found["time"]
    about = f"{to_zulu(span.start)} to {to_zulu(span.end)}"
    if found.get("missing"):
        about = f"the days that lack something here, {about}"
    score = _LIKELY if words.isalpha() else _SURE  # today is a mode, too
    return [(f"Search in this time: {words}", about, _into_form(host, "time", words), score)]


def _places(host: Host, words: str) -> list[Offer]:
    known = sites(host.backend.session.settings.sites)
    name, radius = split_reach(words)
    if words[0].isdigit() or words[0] in "+-":
        try:
            read_area(words, known)
        except InvalidRequestError:
            return []
        return [(f"Search in this area: {words}", "", _into_form(host, "area", words), _SURE)]
    reach = f" r{radius}" if radius else ""
    wanted = spelled(name)
    found = []
    for site in known:
        is_it = site.name == wanted
        if is_it or (len(wanted) > 1 and wanted in f"{site.name} {spelled(site.title)}"):
            title = f"Search around {site.name}{reach}"
            run = _into_form(host, "area", f"{site.name}{reach}")
            found.append((title, site.title, run, _SURE if is_it and radius else _LIKELY))
    return found[:_MOST]


def _paths(host: Host, words: str) -> list[Offer]:
    found = []
    for path in completions(words)[:_MOST]:
        is_folder = path.endswith("/")
        title = f"Look for an area in {path}" if is_folder else f"Search in the area of {path}"
        found.append((title, "GeoJSON", _into_form(host, "area", path), _LIKELY if is_folder else _SURE))
    if found:
        return found
    try:
        read_area(words)
    except InvalidRequestError as error:
        problem = clean(error.sentences)
        return [(problem, "", partial(host.notify, problem, severity="warning"), _SURE)]
    return [(f"Search in the area of {words}", "GeoJSON", _into_form(host, "area", words), _SURE)]
