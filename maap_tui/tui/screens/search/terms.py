"""Reads the fields of the search form into a `Query`, at each key, by pure functions.

An error is a sentence for its field. Names are checked against those known locally; nothing is asked of the
archive.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any

from maap_tui.engine.areas import completions, is_path
from maap_tui.engine.catalogue.index import Known
from maap_tui.engine.catalogue.queryables import nearest
from maap_tui.engine.config.settings import DEFAULT_DAYS_BACK
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.missions import MISSIONS, Mission, Product, all_formats
from maap_tui.engine.model import TimeRange
from maap_tui.engine.query import (
    Query,
    format_orbits,
    parse_formats,
    parse_frames,
    parse_orbits,
    read_frames,
    read_orbits,
    read_tracks,
)
from maap_tui.engine.sites import KNOWN, Site
from maap_tui.engine.storage.names import is_name, is_searchable
from maap_tui.text import plural
from maap_tui.tui.screens.search.area_field import area_text, read_area
from maap_tui.tui.screens.search.time_field import read_time, time_text

ANY = "any"
"""The word for every baseline; an empty field means it too."""
NEWEST = "newest"
"""The word for the newest baseline that holds something."""


BOXES = ("newest_first", "every_version")
"""Fields that are set or not."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The texts of the fields, as typed."""

    collection: str = ""
    product_type: str = ""
    baseline: str = ""
    time: str = ""
    orbit: str = ""
    frames: str = ""
    formats: str = ""
    maximum: str = ""
    area: str = ""
    newest_first: bool = False
    every_version: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The texts by field."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @classmethod
    def from_dict(cls, values: object) -> Terms:
        """The inverse of `as_dict`; what is not the text of a field is left out."""
        known = values if isinstance(values, dict) else {}
        kept: dict[str, Any] = {}
        for one in fields(cls):
            value = known.get(one.name)
            if one.name in BOXES:
                kept[one.name] = value is True
            elif isinstance(value, str) and len(value) <= 200:
                kept[one.name] = value
        return cls(**kept)

    @classmethod
    def of_query(cls, query: Query, default_maximum: int) -> Terms:
        """The texts to type for a query."""
        return cls(
            collection=query.collection,
            product_type=query.product_type,
            baseline=query.baseline or "",
            time=time_text(query),
            orbit=" ".join([format_orbits(query.orbits), *(f"T{track}" for track in query.tracks)]).strip(),
            frames=",".join(query.frames),
            formats=",".join(query.formats),
            maximum="" if query.max_items == default_maximum else str(query.max_items),
            area=area_text(query),
            newest_first=query.newest_first,
            every_version=query.every_version,
        )


@dataclass(frozen=True, slots=True)
class Match:
    """A name that a field can be completed with."""

    name: str
    about: str = ""
    collection: str = ""
    """The collection that goes with a product type; '' when it is chosen already."""


@dataclass(slots=True)
class Reading:
    """What the fields mean."""

    query: Query | None = None
    """None while something is wrong or missing."""
    problems: dict[str, str] = field(default_factory=dict)
    """Field -> what is wrong, in words."""
    hint: str = ""
    """What to do next, when something is missing and nothing is wrong."""
    needs_newest: bool = False
    """Whether only the name of the newest baseline is missing."""


def known_word(text: str, known: Iterable[str]) -> str | None:
    """The known name that a text spells, without regard to case; None for none."""
    lowered = text.strip().lower()
    return next((name for name in known if name.lower() == lowered), None)


def read_terms(
    terms: Terms,
    known: Known,
    *,
    mission_of: Callable[[str], Mission],
    now: datetime,
    default_maximum: int,
    sites: Sequence[Site] = KNOWN,
) -> Reading:
    """Check every field, and make the query when all are valid.

    Args:
        terms: what was typed.
        known: what is known of the archive.
        mission_of: the mission of a collection.
        now: the end of an open range.
        default_maximum: granules at most when the field is empty.
        sites: the places that may be named.
    """
    reading = Reading()
    problems = reading.problems
    collection = _read_collection(terms.collection, known, problems)
    # Of a collection that may not exist no mission is known.
    is_known = collection in known.collections
    mission = mission_of(collection) if is_known and "collection" not in problems else None
    product_type = _read_product(terms.product_type, collection, known, problems)
    baseline = _read_baseline(terms.baseline, collection, product_type, known, problems)
    changes: dict[str, Any] = {name: getattr(terms, name) for name in BOXES}
    _try(problems, "time", changes, lambda: read_time(terms.time, now))
    _try(problems, "area", changes, lambda: _read_area(terms.area, product_type, mission, sites))
    _try(problems, "orbit", changes, lambda: _read_orbits(terms.orbit, mission))
    _try(problems, "frames", changes, lambda: _read_frames(terms.frames, mission, changes.get("frames", ())))
    _try(problems, "formats", changes, lambda: {"formats": _read_formats(terms.formats, mission)})
    _try(problems, "maximum", changes, lambda: {"max_items": _read_maximum(terms.maximum, default_maximum)})
    if mission is not None and changes.get("orbits"):
        by_name = product_type in mission.unindexed
        local = known.queryables_of(collection)
        by_name = by_name or (local is not None and not local.has_orbits)
        if changes.get("time") is not None and not by_name:
            problems.setdefault("orbit", "an orbit and a time exclude one another, clear one of them")
        elif changes.get("time") is None and by_name and product_type:
            problems.setdefault("orbit", f"{product_type} has no index of orbits, give a time as well")
    if problems:
        return reading
    if not collection or not product_type:
        what = "product type" if collection else "collection, or start with the product type"
        reading.hint = f"Choose a {what}: type a part of its name, the arrows and enter take one."
        return reading
    if baseline == NEWEST:
        found = known.newest_of(collection, product_type)
        if found is None:
            reading.hint, reading.needs_newest = "Looking up the newest baseline...", True
            return reading
        if not found:
            problems["baseline"] = f"the archive has no baseline of {product_type} in {collection}"
            return reading
        baseline = found
    try:
        reading.query = Query(collection, product_type, baseline or None, **changes)
    except InvalidRequestError as error:
        problems["orbit" if "orbit" in error.message else "time"] = error.message
    return reading


def _try(
    problems: dict[str, str], name: str, changes: dict[str, Any], read: Callable[[], dict[str, Any]]
) -> None:
    try:
        changes |= read()
    except InvalidRequestError as error:
        problems[name] = error.sentences


def _read_collection(text: str, known: Known, problems: dict[str, str]) -> str:
    words = text.strip()
    spelled = known_word(words, known.collections)
    if not words or spelled is not None:
        return spelled or ""
    if refusal := known.refusal(words):
        problems["collection"] = refusal
    elif not is_searchable(words):
        problems["collection"] = f"'{words[:40]}' is not a collection name"
    elif any(words.lower() in name.lower() for name in known.collections):
        problems["collection"] = f"'{words[:40]}' is only a part of a name, enter takes the one in the list"
    return words


def _read_product(text: str, collection: str, known: Known, problems: dict[str, str]) -> str:
    words = text.strip()
    products = known.products_of(collection)
    spelled = known_word(words, products)
    if not words or spelled is not None:
        return spelled or ""
    if not is_searchable(words):
        problems["product_type"] = f"'{words[:40]}' is not a product type name"
    elif products and "collection" not in problems:
        if any(words.lower() in name.lower() for name in products):
            problem = f"'{words[:40]}' is only a part of a name, enter takes the one in the list"
        else:
            close = nearest(words, products, 2)
            asked = f"; did you mean {' or '.join(close)}?" if close else ""
            problem = f"{collection} has no '{words[:40]}'{asked}"
        problems["product_type"] = problem
    return words


def _read_baseline(
    text: str, collection: str, product_type: str, known: Known, problems: dict[str, str]
) -> str:
    """The baseline as the archive spells it, NEWEST, or '' for any."""
    words = text.strip()
    if words.lower() in ("", ANY):
        return ""
    if words.lower() == NEWEST:
        return NEWEST
    offered = known.baselines_of(collection, product_type)
    found = known.queryables_of(collection)
    every = [*offered, *(found.baselines if found is not None else [])]
    spelled = known_word(words, every)
    if spelled is not None:
        return spelled
    if not is_name(words):
        problems["baseline"] = f"'{words[:40]}' is not a baseline"
    elif every:
        problems["baseline"] = f"there is no '{words[:40]}', it has {', '.join(offered or every)}"
    return words


def _read_area(
    text: str, product_type: str, mission: Mission | None, sites: Sequence[Site]
) -> dict[str, Any]:
    found = read_area(text, sites)
    if found and mission is not None and product_type in mission.unindexed:
        raise InvalidRequestError(f"{product_type} has no ground track, search another product by area")
    return found


def _read_orbits(text: str, mission: Mission | None) -> dict[str, Any]:
    """Orbits, and track numbers such as T014 where the mission has them."""
    words = [word for word in re.split(r"[,\s]+", text.strip()) if word]
    tracks = [word for word in words if re.fullmatch(r"[Tt]\d+", word)]
    found: dict[str, Any] = {}
    if tracks and mission is not None:
        found["tracks"] = read_tracks(",".join(tracks), mission)
    rest = ",".join(word for word in words if word not in tracks)
    if rest:
        found["orbits"], found["frames"] = read_orbits(rest, mission) if mission else parse_orbits(rest)
    return found


def _read_frames(text: str, mission: Mission | None, named: tuple[str, ...]) -> dict[str, Any]:
    if not text.strip():
        return {}
    if named:
        raise InvalidRequestError("the orbit names its frame already, clear one of them")
    return {"frames": read_frames(text, mission) if mission else parse_frames(text)}


def _read_formats(text: str, mission: Mission | None) -> tuple[str, ...]:
    return parse_formats(text, mission) if text.strip() else ()


def _read_maximum(text: str, default: int) -> int:
    words = text.strip().replace(",", "").replace("_", "")
    if not words:
        return default
    if not re.fullmatch(r"\d{1,9}", words) or int(words) < 1:
        raise InvalidRequestError("must be a whole number, 1 or more")
    return int(words)


def names_of(terms: Terms, known: Known) -> tuple[str, str, str]:
    """Collection, product type and baseline as they are spelled; a baseline is NEWEST too, or '' for any."""
    problems: dict[str, str] = {}
    collection = _read_collection(terms.collection, known, problems)
    product_type = _read_product(terms.product_type, collection, known, problems)
    return collection, product_type, _read_baseline(terms.baseline, collection, product_type, known, problems)


def find_matches(field_name: str, terms: Terms, known: Known, sites: Sequence[Site] = KNOWN) -> list[Match]:
    """The names that a field can be completed with, best first; [] for a field without names."""
    if field_name == "collection":
        return _ranked(
            terms.collection, [Match(name, _about_collection(name, known)) for name in known.collections]
        )
    if field_name == "product_type":
        return _ranked(terms.product_type, _product_matches(terms.collection, known))
    if field_name == "baseline":
        collection = known_word(terms.collection, known.collections) or terms.collection.strip()
        product = known_word(terms.product_type, known.products_of(collection)) or terms.product_type.strip()
        found = [Match(NEWEST, "the newest that holds something"), Match(ANY, "every baseline")]
        for name in reversed(known.baselines_of(collection, product)):
            found.append(Match(name, _about_baseline(known, collection, product, name)))
        return _ranked(terms.baseline, found)
    if field_name == "area" and is_path(terms.area.strip()):
        return [Match(path) for path in completions(terms.area.strip())]
    if field_name == "area":
        # A list of all of them would cover the form of somebody who goes through the fields.
        named = terms.area.strip() and not terms.area.strip()[0].isdigit()
        return _ranked(terms.area, [Match(site.name, site.title) for site in sites]) if named else []
    if field_name == "formats":
        return _ranked(terms.formats, [Match(name) for name in all_formats()])
    return []


def _ranked(text: str, found: list[Match]) -> list[Match]:
    """Those that hold every word, names that begin with the text first."""
    lowered = text.strip().lower()
    if not lowered:
        return found
    words = lowered.split()
    kept = [
        match
        for match in found
        if all(word in f"{match.name} {match.about} {match.collection}".lower() for word in words)
    ]
    return sorted(
        kept,
        key=lambda match: (not match.name.lower().startswith(lowered), lowered not in match.name.lower()),
    )


def _product_matches(collection_text: str, known: Known) -> list[Match]:
    collection = known_word(collection_text, known.collections) or collection_text.strip()
    if known.products_of(collection):
        return [Match(name, about_product(name)) for name in known.products_of(collection)]
    if collection in known.collections:
        return []
    return [
        Match(product, about_product(product), name)
        for name in known.collections
        for product in known.products_of(name)
    ]


def product_of(name: str) -> Product | None:
    """The handbooks' entry of a product type; None when no mission has it."""
    return next((mission.products[name] for mission in MISSIONS.values() if name in mission.products), None)


def about_product(name: str) -> str:
    """Short name and content of a product type; '' when nothing is known of it."""
    product = product_of(name)
    return f"{product.short} {product.content}".strip() if product else ""


def _about_collection(name: str, known: Known) -> str:
    products = known.products_of(name)
    return plural(len(products), "product type") if products else ""


def _about_baseline(known: Known, collection: str, product_type: str, baseline: str) -> str:
    info = known.counted(collection, product_type, baseline)
    if info is None or info.time_start is None or info.time_end is None:
        return ""
    return f"{plural(info.count, 'granule')}, {info.time_start:%Y-%m-%d} to {info.time_end:%Y-%m-%d}"


def cron_line(query: Query, now: datetime) -> str:
    """A line for the crontab that fetches each morning what the query finds, its time made relative."""
    days = query.days_back or DEFAULT_DAYS_BACK
    if query.days_back is None and query.time is not None:
        days = max(1, -(-query.time.duration // timedelta(days=1)))
    span = TimeRange(now - timedelta(days=days), now)
    # A sync follows time alone.
    verb = "download" if query.box or query.circle or query.area else "sync"
    return crontab_of(query.replace(time=span, days_back=days, orbits=()).to_command(verb))


def crontab_of(command: str) -> str:
    """A line for the crontab that runs a command each morning."""
    # A bare % ends the command there.
    return f"0 6 * * * {command.replace('%', chr(92) + '%')} >> $HOME/maap-sync.log 2>&1"
