"""Named places: how they are spelled, found and refused, and those of the configuration."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.sites import KNOWN, OWN, find, nearest, place, sites, spelled
from maap_tui.tui.screens.search.area_field import read_area
from tests.homes import Ended

CLD = ("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("Hyytiälä", "hyytiala"),
        ("  MACE HEAD ", "mace-head"),
        ("ny_ålesund", "ny-alesund"),
        ("Jülich", "julich"),
        ("", ""),
    ],
)
def test_a_name_is_found_however_it_is_spelled(typed: str, name: str) -> None:
    assert spelled(typed) == name


def test_the_known_sites_are_sound() -> None:
    assert [site.name for site in KNOWN] == sorted({site.name for site in KNOWN})
    for site in KNOWN:
        assert site.name == spelled(site.name) and site.title and site.source
        assert -90 <= site.latitude <= 90 and -180 <= site.longitude <= 180
    assert find("", KNOWN) is None and nearest("hyytjala", KNOWN) == "hyytiala"


def test_own_sites_come_first_and_replace_known_ones() -> None:
    found = sites({"My Lab": "10,20", "leipzig": "51,12"})
    assert [(site.name, site.latitude, site.source) for site in found[:2]] == [
        ("my-lab", 10.0, OWN),
        ("leipzig", 51.0, OWN),
    ]
    assert len(found) == len(KNOWN) + 1
    assert place("my lab", found, "--point") == (10.0, 20.0)
    assert place("-10.5,20", found, "--point") == (-10.5, 20.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hyytjala", "Did you mean hyytiala?"),
        ("zzz", "`maap sites` lists them."),
        ("10;20", "Write --point=LAT,LON."),
    ],
)
def test_what_is_no_place_is_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        place(text, KNOWN, "--point")
    assert said in refused.value.sentences


@pytest.mark.parametrize(
    ("text", "latitude", "radius"),
    [("hyytiala r100", 61.844, 100), ("Mace Head, r 20 km", 53.326, 20), ("ny-alesund", 78.923, 50)],
)
def test_the_form_takes_names(text: str, latitude: float, radius: float) -> None:
    circle = read_area(text)["circle"]
    assert (circle.latitude, circle.radius_km) == (latitude, radius)


@pytest.mark.parametrize(
    ("text", "said"),
    [("hyytjala r50", "did you mean hyytiala"), ("zzz", "not an area"), (", r100", "not an area")],
)
def test_the_form_refuses_other_names(text: str, said: str) -> None:
    with pytest.raises(InvalidRequestError, match=re.escape(said)):
        read_area(text)


def test_a_search_around_a_site_is_that_around_its_position(maap: Callable[..., Ended]) -> None:
    words = ("search", *CLD, "--date", "2025-12-01", "--radius", "500")
    named = maap(*words, "--point", "hyytiala")
    assert named.code == 0 and named.lines
    assert named.lines == maap(*words, "--point", "61.844,24.288").lines
    for point in ("hyytiala r500", "61.844,24.288 r 500 km"):
        assert maap(*words[:-2], "--point", point).lines == named.lines
    twice = maap(*words, "--point", "hyytiala r500")
    assert twice.code == 4 and "--radius cannot be used" in twice.err


def test_sites_of_the_configuration(maap: Callable[..., Ended], home: Path) -> None:
    assert maap("config", "set", "sites.lab", "61.8,24.3").code == 0
    assert maap("sites").lines[0].split() == ["lab", "61.8,24.3", OWN, "lab"]
    assert any(line.startswith("sites.lab") and "61.8,24.3" in line for line in maap("config").lines)
    assert maap("search", *CLD, "--date", "2025-12-01", "--point", "lab", "--count").code == 0
    assert maap("config", "set", "sites.lab", "").code == 0
    assert maap("sites").lines[0].split()[0] == "antikythera"


@pytest.mark.parametrize(
    ("text", "said"),
    [('lab = "61.8"', "LAT,LON"), ('lab = "99,1"', "not a point on Earth"), ("lab = 7", "a text LAT,LON")],
)
def test_a_wrong_site_is_refused_with_its_line(
    text: str, said: str, maap: Callable[..., Ended], home: Path
) -> None:
    (home / "config.toml").write_text(f"[sites]\n{text}\n")
    ended = maap("sites")
    assert (ended.code, ended.out) == (4, "") and "config.toml:2" in ended.err and said in ended.err
