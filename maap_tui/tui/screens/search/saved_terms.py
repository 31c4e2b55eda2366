"""The fields of the search form as a saved search has them, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from maap_tui.engine.areas import is_path
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.query import Query
from maap_tui.engine.saved_searches import Choices
from maap_tui.engine.sites import KNOWN, Site
from maap_tui.tui.screens.search.area_field import read_area
from maap_tui.tui.screens.search.terms import ANY, NEWEST, Terms

_DAYS = re.compile(r"([1-9]\d{0,5})d")


def choices_of(terms: Terms, query: Query | None, sites: Sequence[Site] = KNOWN) -> Choices:
    """What the fields ask for, its times as they were typed: `7d` stays the last week.

    Args:
        terms: the texts of the fields, without a problem.
        query: what they mean, which spells names as the archive does; None where only the newest baseline
            is not known yet.
        sites: the places that may be named.

    Raises:
        InvalidRequestError: for an area that cannot be read.
    """
    baseline = terms.baseline.strip()
    if query is not None and baseline.lower() != NEWEST:
        baseline = query.baseline or ""
    time = terms.time.strip()
    days = _DAYS.fullmatch(time)
    orbit = re.split(r"[,\s]+", terms.orbit.strip())
    area = read_area(terms.area, sites)
    box, circle = area.get("box"), area.get("circle")
    maximum = re.sub(r"[,_\s]", "", terms.maximum)
    found: Mapping[str, str | int | bool] = {
        "collection": query.collection if query else terms.collection.strip(),
        "product": query.product_type if query else terms.product_type.strip(),
        "baseline": ""
        if baseline.lower() == ANY
        else baseline.lower()
        if baseline.lower() == NEWEST
        else baseline,
        "date": "" if days else time,
        "days_back": int(days[1]) if days else 0,
        "orbit": ",".join(word for word in orbit if word[:1].upper() != "T"),
        "frame": terms.frames.strip(),
        "track": ",".join(word[1:] for word in orbit if word[:1].upper() == "T"),
        "bbox": ",".join(f"{one:g}" for one in (box.west, box.south, box.east, box.north)) if box else "",
        "point": f"{circle.latitude:g},{circle.longitude:g}" if circle else "",
        "radius": f"{circle.radius_km:g}" if circle else "",
        "area": area.get("area_file", ""),
        "format": terms.formats.strip(),
        "max_items": int(maximum) if maximum.isdecimal() else 0,
        "newest_first": terms.newest_first,
        "all_versions": terms.every_version,
    }
    return {name: value for name, value in found.items() if value}


def terms_of(choices: Choices) -> Terms:
    """The texts to type for a saved search.

    Raises:
        InvalidRequestError: for an area as GeoJSON text, which the form does not hold.
    """
    if str(choices.get("area", "")).lstrip().startswith(("{", "-")):
        raise InvalidRequestError(
            "The form does not hold an area as GeoJSON text", "Write it to a file, and give its path."
        )

    def text(name: str) -> str:
        return str(choices.get(name, ""))

    time = text("date")
    if choices.get("days_back"):
        time = f"{text('days_back')}d"
    elif choices.get("start"):
        time = f"{text('start')}..{text('end')}"
    tracks = [f"T{track}" for track in re.split(r"[,\s]+", text("track")) if track]
    area = text("bbox") or text("point") or text("area")
    if choices.get("area") and not is_path(area):
        area = f"./{area}"
    if choices.get("point") and choices.get("radius"):
        area += f" r{text('radius')}"
    return Terms(
        collection=text("collection"),
        product_type=text("product"),
        baseline=text("baseline"),
        time=time,
        orbit=" ".join([text("orbit"), *tracks]).strip(),
        frames=text("frame"),
        formats=text("format"),
        maximum=text("max_items"),
        area=area,
        newest_first=bool(choices.get("newest_first")),
        every_version=bool(choices.get("all_versions")),
    )


def in_words(choices: Choices) -> str:
    """A saved search in few words, as a list shows it: the product first, and no collection."""
    words = [str(choices.get(name, "")) for name in ("product", "baseline")]
    if choices.get("days_back"):
        words.append(f"{choices['days_back']}d")
    elif choices.get("start"):
        words.append(f"{choices['start']}..{choices.get('end', '')}")
    words.append(str(choices.get("date", "")))
    for name in ("orbit", "frame", "track"):
        if name in choices:
            words.append(f"{name} {choices[name]}")
    for name in ("bbox", "point", "area"):
        words.append(str(choices.get(name, "")))
    if "radius" in choices:
        words.append(f"r{choices['radius']}")
    if "format" in choices:
        words.append(str(choices["format"]))
    if "max_items" in choices:
        words.append(f"at most {choices['max_items']}")
    words += [name.replace("_", " ") for name in ("newest_first", "all_versions") if choices.get(name)]
    return " ".join(filter(None, words))
