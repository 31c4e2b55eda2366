"""Items as archives elsewhere serve them: what is read, and what cannot be used."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from maap_tui.engine.catalogue.stac import BadItem, granule_of, resolved
from maap_tui.engine.model import Granule, TimeRange
from maap_tui.engine.query import Circle, Query
from maap_tui.engine.session import Session
from tests.engine.raw_server import COLLECTION, Asked, RawServer, item, page

DATA = Path(__file__).parents[1] / "data" / "verbatim"
REAL = json.loads((DATA / "ECA_EXBA_MSI_COP_2A_20250305T134540Z_20250912T202910Z_04366E.json").read_text())
NOON = datetime(2025, 12, 1, 12, tzinfo=UTC)


def read(changes: dict[str, Any] | None = None, **properties: Any) -> Granule:
    """The real item, changed; a property that is None is taken away."""
    data = {**copy.deepcopy(REAL), **(changes or {})}
    for name, value in properties.items():
        data["properties"][name] = value
    return granule_of(data, COLLECTION, "EarthCARE")


def test_a_real_item_is_read_whole() -> None:
    granule = read()
    assert (granule.product_type, granule.baseline, granule.orbit_frame) == ("MSI_COP_2A", "BA", "04366E")
    assert granule.sensing_start == datetime(2025, 3, 5, 13, 45, 40, tzinfo=UTC)
    assert granule.sensing_end == datetime(2025, 3, 5, 13, 57, 16, tzinfo=UTC)
    assert granule.published == datetime(2025, 10, 11, 12, 2, 35, 160_000, tzinfo=UTC)
    assert granule.updated == datetime(2025, 10, 13, 15, 53, 59, tzinfo=UTC)
    assert granule.bbox == (-3.115636, -22.726748, 7.146711, 22.580841)
    assert [asset.size for asset in granule.files(("h5",))] == [132_881_531]
    assert granule.quicklook is not None and granule.quicklook.key == "quicklook_jpeg"
    assert granule.doi == "10.57780/eca-94b4e53"


@pytest.mark.parametrize("stamp", [None, "", "yesterday", "2025-13-45T99:00:00Z", 20250912, ["2025"]])
def test_times_that_are_missing_or_malformed_are_unknown(stamp: Any) -> None:
    names = ("published", "updated", "processing:datetime", "created", "end_datetime")
    granule = read({"id": "somebody-s-own-name"}, **dict.fromkeys(names, stamp))
    assert granule.published is granule.updated is granule.created is granule.sensing_end is None
    assert read(**{"processing:datetime": stamp}).created == datetime(2025, 9, 12, 20, 29, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "href", "doi"),
    [
        ("10.1000/182", "https://doi.org/10.1000/999", "10.1000/182"),
        ("https://doi.org/10.1000/182", None, "10.1000/182"),
        ("doi:10.1000/182", None, "10.1000/182"),
        (None, "https://doi.org/10.1000/182", "10.1000/182"),
        (["10.1000/182"], "https://dx.doi.org/10.1000/182", "10.1000/182"),
        (None, "https://example.org/cite/182", None),
        ("10.1000/18 2", None, None),
        ("10.1000/\x1b[2J", None, None),
        (None, None, None),
    ],
)
def test_what_it_is_cited_by_is_a_doi(said: Any, href: str | None, doi: str | None) -> None:
    links = [None, {"rel": "self", "href": "https://doi.org/10.1000/1"}, {"rel": "cite-as", "href": href}]
    assert read({"links": links}, **{"sci:doi": said}).doi == doi
    assert read({"links": "none"}, **{"sci:doi": None}).doi is None


@pytest.mark.parametrize(
    ("identity", "properties", "orbit", "frame"),
    [
        ("own-name", {"sat:absolute_orbit": None}, 4366, "E"),
        ("own-name", {}, 4366, "E"),
        # Another grid, or another orbit than the item's own, says nothing of its frame.
        ("own-name", {"grid:code": "MGRS-36TYK"}, 4366, None),
        ("own-name", {"grid:code": "WRS-17-B"}, 4366, None),
        ("own-name", {"grid:code": None, "sat:absolute_orbit": None}, None, None),
        (REAL["id"], {"grid:code": "WRS-17-B"}, 4366, "E"),
    ],
)
def test_the_grid_code_tells_orbit_and_frame_where_the_name_does_not(
    identity: str, properties: dict[str, Any], orbit: int | None, frame: str | None
) -> None:
    granule = read({"id": identity}, **properties)
    assert (granule.orbit, granule.frame) == (orbit, frame)


def test_numeric_ids_are_read_as_text() -> None:
    granule = read({"id": 20250305134540})
    assert granule.id == "20250305134540" and granule.orbit_frame == "04366E"


@pytest.mark.parametrize("assets", [None, {}, [], "none", {"product": None}, {"product": {"href": 5}}])
def test_an_item_without_files_is_refused_with_its_name(assets: Any) -> None:
    with pytest.raises(BadItem, match="no file"):
        read({"assets": assets})


@pytest.mark.parametrize("identity", [None, "", True, 1.5, ["x"]])
def test_an_item_without_an_id_is_refused(identity: Any) -> None:
    with pytest.raises(BadItem, match="without an id"):
        read({"id": identity})


@pytest.mark.parametrize(
    ("assets", "expected"),
    [
        ({}, None),
        ({"enclosure_hdr": ("a.HDR", "image/vnd.radiance", ["data", "overview"])}, None),
        ({"quicklook": ("a.BID_1.jpeg", "image/jpeg", ["overview"])}, "quicklook"),
        ({"overview": ("a.BID.jpeg", "image/jpeg", ["overview"])}, "overview"),
        ({"quicklook_1": ("a.BID_0", "image/jpeg", ["overview"])}, None),
        ({"thumbnail": ("a.png", "", ["thumbnail"])}, "thumbnail"),
        (
            {"t": ("a.jpeg", "", ["thumbnail"]), "x": ("b.JPG", "", ["overview"])},
            "x",
        ),
        ({"picture": ("a.jpeg", "image/jpeg", ["data"])}, None),
        ({"quicklook_jpeg": ("BID", "image/jpeg", [])}, "quicklook_jpeg"),
    ],
)
def test_the_quicklook_is_found_by_role_and_suffix(
    assets: dict[str, tuple[str, str, list[str]]], expected: str | None
) -> None:
    given = {
        key: {"href": f"https://host/public/{name}", "type": kind, "roles": roles}
        for key, (name, kind, roles) in assets.items()
    }
    granule = read({"assets": {**given, "product": REAL["assets"]["product"]}})
    assert (granule.quicklook.key if granule.quicklook else None) == expected


@pytest.mark.parametrize(
    ("links", "href", "expected"),
    [
        ([], "data/a.h5", "https://here/stac/data/a.h5"),
        ([], "/data/a.h5", "https://here/data/a.h5"),
        ([], "//other/a.h5", "https://other/a.h5"),
        ([{"rel": "self", "href": "https://there/c/items/i"}], "./a.h5", "https://there/c/items/a.h5"),
        ([{"rel": "self", "href": "/c/items/i"}], "../a.h5", "https://here/c/a.h5"),
        ([{"rel": "self"}, "junk", None], "a.h5", "https://here/stac/a.h5"),
        (None, "HTTP://Host/a.h5", "http://Host/a.h5"),
        (None, "HttpS://Host/A.h5", "https://Host/A.h5"),
        (None, "https://host/a.h5", "https://host/a.h5"),
        (None, "a\n.h5", "a\n.h5"),
        (None, "\x1ba.h5", "\x1ba.h5"),
    ],
)
def test_links_are_relative_to_the_item_s_own_address(links: Any, href: str, expected: str) -> None:
    data = resolved(
        {"id": "x", "links": links, "assets": {"a": {"href": href}}}, "https://here/stac/search?page=2"
    )
    assert data["assets"]["a"]["href"] == expected
    assert resolved(None, "https://here/") is None and resolved({"assets": None}, "x") == {"assets": None}


async def test_a_search_takes_relative_links_and_numeric_ids(session: Callable[..., Session]) -> None:
    served = item(NOON)
    served["assets"]["enclosure_h5"]["href"] = f"../../data/{served['id']}.h5"
    other = item(NOON.replace(hour=13))
    other["id"] = 17
    other["properties"] |= {"start_datetime": "2025-12-01T13:00:00Z"}
    other["assets"]["enclosure_h5"]["href"] = "HTTP://127.0.0.1:1/data/other.h5"

    def answer(asked: Asked) -> dict[str, Any]:
        return page([served, other], 2)

    async with RawServer(answer) as server:
        async with session(server.url) as opened:
            search = opened.search(Query(COLLECTION, "CPR_CLD_2A", "BC", time=TimeRange.of_day(NOON.date())))
            found = await search.granules()
    assert [granule.id for granule in found] == [served["id"], "17"]
    origin = server.url.removesuffix("/catalogue/")
    urls = [granule.files(("h5",))[0].href for granule in found]
    assert urls == [f"{origin}/data/{served['id']}.h5", "http://127.0.0.1:1/data/other.h5"]
    assert not search.skipped


@pytest.mark.parametrize(
    ("changes", "circle", "expected"),
    [
        ({}, Circle(0.0, 2.0, 1), True),
        ({}, Circle(0.0, -3.0, 100), False),
        # 1.27 degrees of longitude are 141 km from the edge of the swath at the equator.
        ({}, Circle(0.0, 0.0, 141), True),
        ({}, Circle(0.0, 0.0, 135), False),
        ({"geometry": None}, Circle(0.0, 0.0, 1), True),
        ({"geometry": None}, Circle(0.0, -10.0, 500), False),
        ({"geometry": {"type": "Polygon", "coordinates": "?"}}, Circle(0.0, -10.0, 500), False),
        ({"geometry": None, "bbox": None}, Circle(0.0, -10.0, 500), True),
    ],
)
def test_a_radius_is_measured_to_what_the_granule_covers(
    changes: dict[str, Any], circle: Circle, expected: bool
) -> None:
    query = Query(COLLECTION, "MSI_COP_2A", "BA", circle=circle)
    assert query.accepts(read(changes)) is expected
