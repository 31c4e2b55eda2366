"""Named places that searches are made around: measuring stations, and those of the user's `[sites]`.

Positions are those that the Cloudnet data portal (https://cloudnet.fmi.fi/sites) and ARM
(https://www.arm.gov/capabilities/observatories) give, in degrees; none is off by more than a kilometre.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.overpass.units import read_distance
from maap_tui.engine.query import Circle, parse_numbers

OWN = "yours"
"""The source of a site of the configuration."""


class Site(NamedTuple):
    """A named place."""

    name: str
    """As it is typed: lower case, without accents and spaces."""
    latitude: float
    """Degrees north."""
    longitude: float
    """Degrees east."""
    title: str
    source: str
    """Who runs it; `OWN` for one of the configuration."""


KNOWN = tuple(
    Site(*row)
    for row in (
        ("antikythera", 35.86, 23.31, "Antikythera, Greece", "ACTRIS"),
        ("bucharest", 44.348, 26.029, "Bucharest, Romania", "Cloudnet"),
        ("cabauw", 51.968, 4.927, "Cabauw, Netherlands", "Cloudnet"),
        ("chilbolton", 51.144, -1.439, "Chilbolton, United Kingdom", "Cloudnet"),
        ("dushanbe", 38.559, 68.856, "Dushanbe, Tajikistan", "ACTRIS"),
        ("ena", 39.092, -28.026, "Eastern North Atlantic, Graciosa, Azores", "ARM"),
        ("evora", 38.576, -7.911, "Evora, Portugal", "ACTRIS"),
        ("granada", 37.164, -3.605, "Granada, Spain", "Cloudnet"),
        ("hohenpeissenberg", 47.801, 11.009, "Hohenpeissenberg, Germany", "ACTRIS"),
        ("hyytiala", 61.844, 24.288, "Hyytiälä, Finland", "Cloudnet"),
        ("juelich", 50.909, 6.413, "Jülich, Germany", "Cloudnet"),
        ("kenttarova", 67.988, 24.243, "Kenttärova (Pallas), Finland", "Cloudnet"),
        ("koganei", 35.7, 139.48, "Koganei, Japan", "NICT"),
        ("kuopio", 62.966, 27.666, "Kuopio, Finland", "ACTRIS"),
        ("leipzig", 51.353, 12.434, "Leipzig, Germany", "Cloudnet"),
        ("limassol", 34.677, 33.044, "Limassol, Cyprus", "Cloudnet"),
        ("lindenberg", 52.208, 14.118, "Lindenberg, Germany", "Cloudnet"),
        ("mace-head", 53.326, -9.9, "Mace Head, Ireland", "Cloudnet"),
        ("melpitz", 51.526, 12.928, "Melpitz, Germany", "ACTRIS"),
        ("mindelo", 16.878, -24.995, "Mindelo, Cape Verde", "Cloudnet"),
        ("munich", 48.148, 11.573, "Munich, Germany", "Cloudnet"),
        ("neumayer", -70.674, -8.274, "Neumayer Station III, Antarctica", "ACTRIS"),
        ("norunda", 60.086, 17.479, "Norunda, Sweden", "Cloudnet"),
        ("nsa", 71.323, -156.615, "North Slope of Alaska, Utqiagvik, USA", "ARM"),
        ("ny-alesund", 78.923, 11.922, "Ny-Ålesund, Svalbard", "Cloudnet"),
        ("palaiseau", 48.713, 2.208, "Palaiseau (SIRTA), France", "Cloudnet"),
        ("sgp", 36.605, -97.485, "Southern Great Plains, Oklahoma, USA", "ARM"),
        ("tsukuba", 36.05, 140.12, "Tsukuba, Japan", "NIES"),
        ("warsaw", 52.234, 21.02, "Warsaw, Poland", "ACTRIS"),
    )
)
"""Stations that are known without a configuration, by name."""


def spelled(name: str) -> str:
    """A name as it is typed: lower case, without accents, with dashes for spaces and underscores."""
    plain = unicodedata.normalize("NFKD", name.strip().casefold())
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return "-".join(plain.replace("_", " ").split())


_REACH = re.compile(r"[\s,]+r\s*([+-]?\d+(?:\.\d+)?)\s*(?:km)?$", re.I)
"""The radius behind a point or the name of a site."""


def split_reach(text: str) -> tuple[str, str | None]:
    """A place such as `hyytiala r100` without its radius, and the radius in km; None for none."""
    words = text.strip()
    found = _REACH.search(words)
    return (words[: found.start()], found[1]) if found else (words, None)


def sites(own: Mapping[str, str]) -> list[Site]:
    """Every site, those of the user first: one of the same name stands in place of a known one.

    Args:
        own: name -> `LAT,LON`, as the configuration has them.

    Raises:
        InvalidRequestError: when the position of one of the user's cannot be read.
    """
    mine = [site_of(name, text) for name, text in own.items()]
    taken = {site.name for site in mine}
    return [*mine, *(site for site in KNOWN if site.name not in taken)]


def site_of(name: str, text: str) -> Site:
    """A site of the user's, from its name and its position, `LAT,LON`.

    Raises:
        InvalidRequestError: when the position cannot be read.
    """
    latitude, longitude = parse_numbers(text, 2, f"sites.{name}", "LAT,LON")
    circle = Circle(latitude, longitude)  # refuses what is not a point on Earth
    return Site(spelled(name), circle.latitude, circle.longitude, name, OWN)


def find(name: str, among: Iterable[Site]) -> Site | None:
    """The site of a name, however it is spelled; None for none."""
    wanted = spelled(name)
    return next((site for site in among if wanted and site.name == wanted), None)


def nearest(name: str, among: Iterable[Site]) -> str:
    """The name most like one that is not known; '' when none is."""
    return next(iter(difflib.get_close_matches(spelled(name), [site.name for site in among], n=1)), "")


def split_point(
    point: str, radius: str | None, option: str = "--point", radius_option: str = "--radius"
) -> tuple[str, str | None]:
    """A point without the radius that may be in its text, and the radius that is meant; None for none.

    Args:
        point: what was typed, such as `hyytiala` or `hyytiala r100`.
        radius: the radius that was given by itself.
        option: what an error calls the point.
        radius_option: and the radius.

    Raises:
        InvalidRequestError: there are two radii.
    """
    words, reach = split_reach(point)
    if reach is not None and radius is not None:
        raise InvalidRequestError(f"{radius_option} cannot be used with {option} '{point[:40]}'", "Give one.")
    return words, radius if reach is None else reach


def read_circle(
    point: str,
    radius: str | None,
    own: Mapping[str, str],
    option: str = "--point",
    radius_option: str = "--radius",
) -> Circle:
    """The circle around a point, of 50 km where nothing says its radius; the arguments of `split_point`.

    Args:
        point: degrees or the name of a site, with a radius or without.
        radius: as `100`, which is km, `100km` or `500m`; None for none.
        own: the sites of the configuration, name -> `LAT,LON`.
        option: what an error calls the point.
        radius_option: and the radius.

    Raises:
        InvalidRequestError: one of them cannot be read or is not possible, or there are two radii.
    """
    words, reach = split_point(point, radius, option, radius_option)
    latitude, longitude = place(words, sites(own), option)
    if reach is None:
        return Circle(latitude, longitude)
    return Circle(latitude, longitude, read_distance(reach, radius_option, most_km=20_000) / 1000)


def find_place(text: str, own: Mapping[str, str], option: str) -> tuple[str, tuple[float, float]]:
    """What a point is called, and its longitude and latitude, given in degrees or as the name of a site.

    Args:
        text: what was typed.
        own: the sites of the configuration, name -> `LAT,LON`.
        option: what an error names.

    Raises:
        InvalidRequestError: when it is neither, or not on Earth.
    """
    known = sites(own)
    latitude, longitude = place(text, known, option)
    circle = Circle(latitude, longitude)  # refuses what is not a point on Earth
    site = find(text, known)
    name = site.title if site is not None else f"{latitude:g},{longitude:g}"
    return name, (circle.longitude, circle.latitude)


def place(text: str, among: Iterable[Site], option: str) -> tuple[float, float]:
    """Latitude and longitude of a point, given in degrees or as the name of a site.

    Raises:
        InvalidRequestError: when it is neither.
    """
    listed = list(among)
    site = find(text, listed)
    if site is not None:
        return site.latitude, site.longitude
    if any(sign.isalpha() for sign in text):
        near = nearest(text, listed)
        hint = f"Did you mean {near}? " if near else ""
        raise InvalidRequestError(
            f"{option} '{text[:40]}' is neither LAT,LON nor the name of a site",
            f"{hint}`maap sites` lists them.",
        )
    latitude, longitude = parse_numbers(text, 2, option, "LAT,LON")
    return latitude, longitude
