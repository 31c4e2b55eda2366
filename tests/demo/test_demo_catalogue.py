from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from maap_tui.demo import Archive

DATA = Path(__file__).parents[1] / "data" / "verbatim"
L2 = "EarthCAREL2Validated_MAAP"
XMET = "EarthCAREXMETL1DProducts10_MAAP"
CLOUDS = "productType = 'CPR_CLD_2A' and productVersion = 'BC'"
DAY = "2025-12-01T00:00:00Z/2025-12-01T23:59:59Z"


def search(client: httpx.Client, **body: Any) -> dict[str, Any]:
    reply = client.post("/catalogue/search", json=body)
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


def matched(client: httpx.Client, **body: Any) -> int:
    return int(search(client, **{"limit": 1, **body})["numberMatched"])


def ids(page: dict[str, Any]) -> list[str]:
    return [feature["id"] for feature in page["features"]]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def test_the_first_search_link_of_the_landing_page_is_opensearch(client: httpx.Client) -> None:
    page = client.get("/catalogue/").json()
    assert page["id"] == "fedeo"
    found = [link for link in page["links"] if link["rel"] == "search"]
    assert found[0]["type"] == "application/opensearchdescription+xml"
    assert found[1]["type"] == "application/geo+json" and found[1]["href"].endswith("/catalogue/search")
    assert "OpenSearchDescription" in client.get(found[0]["href"]).text


def test_the_slashless_root_is_a_gateway_error(client: httpx.Client) -> None:
    reply = client.get("/catalogue")
    assert reply.status_code == 503
    assert reply.headers["content-type"].startswith("text/html")


def test_collections_are_paged_and_say_who_may_download(client: httpx.Client) -> None:
    url: str | None = "/catalogue/collections?limit=4"
    seen: list[dict[str, Any]] = []
    while url:
        page = client.get(url).json()
        seen += page["collections"]
        url = next((link["href"] for link in page["links"] if link["rel"] == "next"), None)
    assert len(seen) == page["numberMatched"] == len({one["id"] for one in seen}) == 21
    rights = {one["id"]: one["keywords"] for one in seen}
    assert "RESTRICTED" in rights["EarthCAREAuxiliary_MAAP"]
    assert "PUBLIC" in rights[L2]
    assert client.get("/catalogue/collections", params={"q": "aeolus"}).json()["numberMatched"] == 3
    only = client.get("/catalogue/collections", params={"filter": f"title='{L2}'"}).json()
    assert [one["id"] for one in only["collections"]] == [L2]
    assert client.get("/catalogue/collections/Nothing").status_code == 404


def test_queryables_have_new_keys_and_lower_case_versions(client: httpx.Client) -> None:
    page = client.get(f"/catalogue/collections/{L2}/queryables").json()
    assert page["collection"] == L2
    properties = page["properties"]
    assert "CPR_CLD_2A" in properties["product:type"]["enum"]
    assert {"ba", "bb", "bc"} <= set(properties["version"]["enum"])
    assert properties["sat:orbit_state"]["enum"] == ["ASCENDING", "DESCENDING"]
    assert "productType" not in properties
    assert (
        "sat:absolute_orbit"
        not in client.get(f"/catalogue/collections/{XMET}/queryables").json()["properties"]
    )


def test_a_switch_serves_the_old_keys_and_filters_take_both(start: Callable[..., Any]) -> None:
    _, old = start(old_queryables=True)
    properties = old.get(f"/catalogue/collections/{L2}/queryables").json()["properties"]
    assert {"productType", "productVersion", "orbitNumber", "orbitDirection", "frame"} <= set(properties)
    assert "product:type" not in properties
    assert matched(old, filter="\"product:type\" = 'CPR_CLD_2A'", collections=[L2]) > 0


@pytest.mark.parametrize(
    "text",
    [
        "productType = 'CPR_CLD_2A' AND productVersion = 'BC' AND orbitNumber = 8600 AND frame = 'C'",
        "product:type = 'CPR_CLD_2A' and version = 'bc' and sat:absolute_orbit = 8600 and frame IN ('C')",
        '"product:type"=\'CPR_CLD_2A\' and "version"=\'Bc\' and "sat:absolute_orbit"=8600 and "frame"=\'C\'',
        "productType='CPR_CLD_2A' and version='bc' and (orbitNumber=8600 or orbitNumber=1) and frame='C'",
        "productType='CPR_CLD_2A' and version='bc' and orbitNumber>8599 and orbitNumber<8601 and frame='C'",
        "productType like 'CPR_CLD%' and version='bc' and orbitNumber between 8600 and 8600 and frame='C'",
        "productType='CPR_CLD_2A' and version='bc' and ((orbitNumber=8600 and frame='C') or orbitNumber=2)",
    ],
)
def test_old_and_new_keys_quoted_or_not_mean_the_same(client: httpx.Client, text: str) -> None:
    page = search(client, collections=[L2], filter=text)
    assert page["numberMatched"] == page["numberReturned"] == 1
    assert page["features"][0]["id"].startswith("ECA_EXBC_CPR_CLD_2A_20251202T155636Z_")
    assert page["features"][0]["id"].endswith("_08600C")


def test_cql2_json_is_understood(client: httpx.Client) -> None:
    tree = {
        "op": "and",
        "args": [
            {"op": "=", "args": [{"property": "product:type"}, "CPR_CLD_2A"]},
            {"op": "=", "args": [{"property": "version"}, "bc"]},
            {"op": "in", "args": [{"property": "sat:absolute_orbit"}, [8600, 8601]]},
        ],
    }
    page = {"collections": [L2], "filter": tree, "filter-lang": "cql2-json"}
    assert matched(client, **page) == 16
    query = {"collections": L2, "filter": json.dumps(tree), "filter-lang": "cql2-json"}
    assert client.get("/catalogue/search", params=query).json()["numberMatched"] == 16


def test_get_takes_queryables_as_parameters(client: httpx.Client) -> None:
    query = {"productType": "CPR_CLD_2A", "productVersion": "bc", "orbitNumber": "[8600,8601]", "frame": "C"}
    reply = client.get("/catalogue/search", params={"collections": L2, **query})
    assert reply.json()["numberMatched"] == 2
    items = client.get(f"/catalogue/collections/{L2}/items", params=query).json()
    assert items["numberMatched"] == 2
    assert client.get("/catalogue/search", params={"orbitNumber": "{1,2}"}).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        {"filter": "colour = 'blue'"},
        {"filter": "productType = = 'x'"},
        {"datetime": "yesterday"},
        {"datetime": "2025-12-02T00:00:00Z/2025-12-01T00:00:00Z"},
        {"datetime": "2025-02-30"},
        {"bbox": [1, 2, 3]},
        {"bbox": [0, 50, 10, 40]},
        {"intersects": {"type": "Polygon"}},
        {"limit": 0},
        {"limit": "many"},
        {"collections": ["Unknown"]},
        {"unheard": 1},
        {"collections": [XMET], "filter": "sat:absolute_orbit = 8600"},
    ],
)
def test_what_cannot_be_understood_is_a_400_in_json(client: httpx.Client, body: dict[str, Any]) -> None:
    reply = client.post("/catalogue/search", json=body)
    assert reply.status_code == 400
    assert reply.json()["error"]["message"]


def test_beyond_record_100000_is_a_422(client: httpx.Client) -> None:
    reply = client.post("/catalogue/search", json={"startRecord": 100_001})
    assert reply.status_code == 422
    assert reply.json() == {"error": {"code": 422, "message": "startRecord can not exceed 100000."}}
    last = search(client, startRecord=100_000, limit=3)
    assert last["numberReturned"] == 3 and last["numberMatched"] > 1_000_000


def test_about_124_granules_a_day_in_no_useful_order(client: httpx.Client) -> None:
    page = search(client, collections=[L2], filter=CLOUDS, datetime=DAY, limit=500)
    assert page["numberMatched"] in (124, 125, 126)
    assert ids(page) != sorted(ids(page))
    assert len(set(ids(page))) == page["numberMatched"]
    for feature in page["features"]:
        assert re.fullmatch(r"ECA_EXBC_CPR_CLD_2A_\d{8}T\d{6}Z_\d{8}T\d{6}Z_\d{5}[A-H]", feature["id"])
        assert len(feature["id"]) == 60


def pages_by_body(client: httpx.Client, body: dict[str, Any]) -> list[dict[str, Any]]:
    pages = [search(client, **body)]
    while link := next((one for one in pages[-1]["links"] if one["rel"] == "next"), None):
        assert link["method"] == "POST" and link["merge"] is True
        pages.append(search(client, **{**body, **link["body"]}))
    return pages


def pages_by_href(client: httpx.Client, page: dict[str, Any]) -> list[dict[str, Any]]:
    pages = [page]
    while link := next((one for one in pages[-1]["links"] if one["rel"] == "next"), None):
        pages.append(client.get(link["href"]).json())
    return pages


def test_paging_brings_each_item_once_in_both_forms(client: httpx.Client, start: Callable[..., Any]) -> None:
    body = {"collections": [L2], "filter": CLOUDS + " and frame in ('A','B')", "datetime": DAY, "limit": 7}
    by_body = pages_by_body(client, body)
    _, other = start(next_form="get")
    by_href = pages_by_href(other, search(other, **body))
    tree = {"op": "and", "args": [{"op": "=", "args": [{"property": "frame"}, "A"]}]}
    by_json = pages_by_href(other, search(other, **{**body, "filter": tree, "filter-lang": "cql2-json"}))
    query = {"collections": L2, "filter": CLOUDS, "datetime": DAY, "limit": "50"}
    by_get = pages_by_href(client, client.get("/catalogue/search", params=query).json())
    for pages in (by_body, by_href, by_json[:3], by_get):
        seen = [item for page in pages for item in ids(page)]
        assert len(seen) == len(set(seen))
        assert all(page["numberReturned"] == len(page["features"]) for page in pages)
    for pages in (by_body, by_href, by_get):
        assert sum(len(page["features"]) for page in pages) == pages[0]["numberMatched"]
    assert {one for page in by_body for one in ids(page)} == {one for page in by_href for one in ids(page)}


def test_the_default_limit_is_10_and_the_most_is_2000(client: httpx.Client) -> None:
    assert search(client, collections=[L2])["numberReturned"] == 10
    query = {"collections": L2, "limit": "5000", "fields": "id"}
    assert client.get("/catalogue/search", params=query).json()["numberReturned"] == 2000


def test_datetime_means_overlap_in_all_its_forms(client: httpx.Client) -> None:
    body: dict[str, Any] = {"collections": [L2], "filter": CLOUDS + " and orbitNumber between 8579 and 8590"}
    frames = search(client, **body, limit=500)["features"]
    spans = [
        (moment(one["properties"]["start_datetime"]), moment(one["properties"]["end_datetime"]))
        for one in frames
    ]
    low, high = datetime(2025, 12, 1, 9, 0, tzinfo=UTC), datetime(2025, 12, 1, 15, 30, tzinfo=UTC)
    text_low, text_high = "2025-12-01T09:00:00Z", "2025-12-01T15:30:00Z"
    cases = {
        f"{text_low}/{text_high}": [s for s in spans if s[0] <= high and s[1] >= low],
        f"{text_low}/..": [s for s in spans if s[1] >= low],
        f"{text_low}/": [s for s in spans if s[1] >= low],
        f"../{text_high}": [s for s in spans if s[0] <= high],
        text_low: [s for s in spans if s[0] <= low <= s[1]],
        "../..": spans,
    }
    for text, expected in cases.items():
        assert matched(client, **body, datetime=text) == len(expected) > 0, text
    before = [s for s in spans if s[0] < low <= s[1]]
    assert before, "an item that started before the window is in it"


def test_a_bare_date_is_the_whole_day(client: httpx.Client) -> None:
    assert matched(client, collections=[L2], filter=CLOUDS, datetime="2025-12-01") in (124, 125, 126)


def test_ids_find_items_across_collections(client: httpx.Client, find: Callable[..., Any]) -> None:
    item = find(CLOUDS, collections=[L2])
    page = search(client, ids=[item["id"], "ECA_EXBC_CPR_CLD_2A_20251202T155637Z_20251202T172839Z_08600C"])
    assert set(ids(page)) == {item["id"]}
    assert {one["collection"] for one in page["features"]} == {
        L2,
        "EarthCAREL2InstChecked_MAAP",
        "EarthCAREL2Products_MAAP",
    }
    alone = client.get(f"/catalogue/collections/{L2}/items/{item['id']}")
    assert alone.json()["id"] == item["id"]
    assert alone.headers["content-type"].startswith("application/geo+json")
    assert client.get(f"/catalogue/collections/{XMET}/items/{item['id']}").status_code == 404


def test_areas_select_ground_tracks(client: httpx.Client) -> None:
    body: dict[str, Any] = {
        "collections": [L2],
        "filter": CLOUDS,
        "datetime": "2025-12-01/2025-12-25",
        "limit": 500,
    }
    box = search(client, **body, bbox=[0, 40, 10, 50])
    ring = [[0, 40], [10, 40], [10, 50], [0, 50], [0, 40]]
    shape = search(client, **body, intersects={"type": "Polygon", "coordinates": [ring]})
    assert 0 < box["numberMatched"] < 200
    assert sorted(ids(box)) == sorted(ids(shape))
    assert {item[-1] for item in ids(box)} <= {"B", "D"}
    for feature in box["features"]:
        points = feature["geometry"]["coordinates"]
        assert any(-8 < lon < 18 and 36 < lat < 54 for lon, lat in points)
    assert matched(client, **{**body, "limit": 1}, bbox=[175, -5, -175, 5]) > 0
    assert matched(client, **{**body, "limit": 1}, bbox=[-180, -90, 180, 90]) == matched(
        client, **{**body, "limit": 1}
    )


def test_tracks_are_those_of_a_sun_synchronous_orbit(client: httpx.Client, find: Callable[..., Any]) -> None:
    ascending = find(CLOUDS + " and orbitNumber = 8600 and frame = 'A'")
    assert ascending["properties"]["sat:orbit_state"] == "ascending"
    line = ascending["geometry"]["coordinates"]
    assert line[0][1] == -22.5 and line[-1][1] == 22.5
    middle = line[len(line) // 2]
    properties = ascending["properties"]
    start, end = moment(properties["start_datetime"]), moment(properties["end_datetime"])
    half = start + (end - start) / 2
    local = (half.hour + half.minute / 60 + middle[0] / 15) % 24
    assert abs(local - 2.0) < 0.1 and abs(middle[1]) < 1
    assert timedelta(minutes=11) < end - start < timedelta(minutes=12)


def test_two_baselines_overlap_where_the_real_ones_do(client: httpx.Client) -> None:
    body: dict[str, Any] = {"collections": [L2], "datetime": "2025-07-01", "limit": 500}
    page = search(client, **body, filter="productType = 'CPR_CLD_2A' and orbitNumber = 6200")
    assert {one["properties"]["version"] for one in page["features"]} == {"AB", "BA", "BB"}
    assert (
        matched(
            client,
            collections=[L2],
            filter="version='ba' and productType='CPR_CLD_2A'",
            datetime="2026-01-01/..",
        )
        == 0
    )
    assert matched(client, collections=[L2], filter=CLOUDS, datetime="2026-02-20") > 100


def test_the_newest_granule_is_hours_old(client: httpx.Client) -> None:
    page = search(client, collections=[L2], filter=CLOUDS, datetime="2026-03-01T00:00:00Z/..", limit=500)
    newest = max(moment(one["properties"]["start_datetime"]) for one in page["features"])
    assert timedelta(hours=1) < datetime(2026, 3, 1, 12, tzinfo=UTC) - newest < timedelta(hours=4)
    assert all(moment(one["properties"]["updated"]).timestamp() < 1772366400 for one in page["features"])


def test_modification_date_selects_what_is_new(client: httpx.Client) -> None:
    text = CLOUDS + " and modificationDate > TIMESTAMP('2026-03-01T00:00:00.000Z')"
    page = search(client, collections=[L2], filter=text, limit=500)
    assert page["numberMatched"] > 10
    assert all(one["properties"]["updated"] > "2026-03-01T00:00:00Z" for one in page["features"])


def test_xmet_has_three_versions_and_no_orbit(client: httpx.Client) -> None:
    page = search(client, collections=[XMET], filter="frame = 'C'", datetime="2025-12-01", limit=200)
    stems: dict[str, set[str]] = {}
    for one in page["features"]:
        assert one["geometry"] is None
        assert "sat:absolute_orbit" not in one["properties"]
        stems.setdefault(one["id"][-6:], set()).add(one["id"])
    assert len(stems) in (15, 16) and all(len(versions) == 3 for versions in stems.values())
    assert matched(client, collections=[XMET], bbox=[-180, -90, 180, 90]) == 0
    text = "productType='AUX_MET_1D' and orbitNumber=8600"
    assert matched(client, collections=["EarthCAREL1InstChecked_MAAP"], filter=text) == 0


def test_jaxa_items_have_their_links_swapped(client: httpx.Client, find: Callable[..., Any]) -> None:
    swapped = find("productType = 'AC__CLP_2B'", collections=["JAXAL2Validated_MAAP"])
    assets = swapped["assets"]
    assert swapped["id"].startswith("ECA_JXCA_AC__CLP_2B_")
    assert assets["enclosure_h5"]["href"].endswith(".HDR") and assets["enclosure_hdr"]["href"].endswith(".h5")
    assert assets["enclosure_h5"]["title"].endswith(".HDR")
    straight = find(CLOUDS)["assets"]
    assert straight["enclosure_h5"]["href"].endswith(".h5") and straight["enclosure_hdr"]["href"].endswith(
        ".HDR"
    )


def test_items_have_the_keys_of_the_live_service(
    client: httpx.Client, archive: Archive, find: Callable[..., Any]
) -> None:
    item = find(CLOUDS)
    assert set(item["assets"]) == {
        "product", "enclosure_h5", "enclosure_hdr", "quicklook_jpeg", "thumbnail",
        "metadata_ogc_17_003r2", "metadata_ogc_10_157r4", "metadata_iso_19139",
    }  # fmt: skip
    stem = item["id"]
    folder = f"CPR_CLD_2A/BC/{stem[20:24]}/{stem[24:26]}/{stem[26:28]}/{stem}/{stem}"
    root = f"{archive.url}/data"
    assert item["assets"]["enclosure_h5"]["href"] == f"{root}/earthcare-pdgs-01/EarthCARE/{folder}/{stem}.h5"
    assert item["assets"]["product"]["href"] == f"{root}/zipper/earthcare-pdgs-01/EarthCARE/{folder}"
    assert "file:size" not in item["assets"]["product"]
    properties = item["properties"]
    assert properties["version"] == "BC" and properties["sat:absolute_orbit"] == int(stem[-6:-1])
    assert properties["start_datetime"].endswith(".000Z") and len(properties["updated"]) == 20
    assert properties["auth:schemes"]["oidc"]["openIdConnectUrl"].startswith(archive.url)


def shape(value: Any) -> Any:
    """Names and kinds of values, whatever the values are."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    return type(value).__name__


def test_items_have_the_shape_of_the_real_ones(find: Callable[..., Any]) -> None:
    real = json.loads(
        (DATA / "ECA_EXBA_MSI_COP_2A_20250305T134540Z_20250912T202910Z_04366E.json").read_text()
    )
    ours = find("product:type = 'MSI_COP_2A' and version = 'ba' and frame = 'E'", bbox=[0, -10, 10, 10])
    software = "processing:software"
    assert list(ours["properties"].pop(software).values()) == list(real["properties"].pop(software).values())
    assert shape(ours) == shape(real)
    assert ours["stac_extensions"] == real["stac_extensions"]
    assert [(link["rel"], shape(link)) for link in ours["links"]] == [
        (link["rel"], shape(link)) for link in real["links"]
    ]
    for key, asset in real["assets"].items():
        assert {name: ours["assets"][key].get(name) for name in ("type", "roles")} == {
            name: asset.get(name) for name in ("type", "roles")
        }
    assert len(ours["geometry"]["coordinates"][0]) == len(real["geometry"]["coordinates"][0]) == 23
    properties = ours["properties"]
    assert properties["sat:orbit_state"] == "descending"
    assert properties["grid:code"] == f"WRS-{properties['sat:absolute_orbit']}-E"
    for name in ("start_datetime", "datetime", "updated", "published"):
        assert len(properties[name]) == len(real["properties"][name])


def test_the_imager_s_granules_are_outlines_of_150_km_and_cut_at_180_degrees(client: httpx.Client) -> None:
    body: dict[str, Any] = {
        "collections": [L2],
        "filter": "product:type = 'MSI_CM__2A' and version = 'bc'",
        "datetime": "2025-12-01/2025-12-03",
        "limit": 1000,
    }
    kinds: dict[str, int] = {}
    for feature in search(client, **body)["features"]:
        geometry = feature["geometry"]
        kinds[geometry["type"]] = kinds.get(geometry["type"], 0) + 1
        rings = geometry["coordinates"]
        parts = rings if geometry["type"] == "Polygon" else [polygon[0] for polygon in rings]
        west, south, east, north = feature["bbox"]
        assert (west > east) == (len(parts) == 2)
        for ring in parts:
            assert ring[0] == ring[-1] and all(south <= lat <= north for _, lat in ring)
            assert all(abs(lon) <= 180 for lon, _ in ring)
            # No edge runs the long way around.
            assert all(abs(a[0] - b[0]) < 180 for a, b in pairwise(ring))
    assert kinds["Polygon"] > kinds["MultiPolygon"] > 10


def test_an_area_inside_of_a_swath_finds_it(client: httpx.Client, find: Callable[..., Any]) -> None:
    item = find("product:type = 'MSI_COP_2A' and version = 'ba' and frame = 'E'", bbox=[0, -10, 10, 10])
    ring = item["geometry"]["coordinates"][0]
    lon, lat = (ring[4][0] + ring[16][0]) / 2, (ring[4][1] + ring[16][1]) / 2
    tiny = [lon - 0.01, lat - 0.01, lon + 0.01, lat + 0.01]
    assert ids(search(client, ids=[item["id"]], collections=[L2], bbox=tiny)) == [item["id"]]
    assert item["id"] in ids(
        search(client, collections=[L2], bbox=tiny, filter="productType='MSI_COP_2A'", limit=2000)
    )
    beside = [lon + 3, lat - 0.01, lon + 3.01, lat + 0.01]
    assert not ids(search(client, ids=[item["id"]], collections=[L2], bbox=beside))


def test_granules_are_published_hours_or_days_after_their_sensing(client: httpx.Client) -> None:
    page = search(client, collections=[L2], filter=CLOUDS, datetime=DAY, limit=500)
    hours = sorted(
        (moment(one["properties"]["published"]) - moment(one["properties"]["start_datetime"]))
        / timedelta(hours=1)
        for one in page["features"]
    )
    assert 1 <= hours[0] < 1.5 and 30 < hours[len(hours) // 2] < 50 and 90 < hours[-1] < 120
    # What is not published yet is not there: of yesterday some are missing, of last week none.
    counts = [matched(client, collections=[L2], filter=CLOUDS, datetime=f"2026-02-{day}") for day in (20, 28)]
    assert counts[0] in (124, 125, 126) and 30 < counts[1] < 90
    old = find_one(client, "productType = 'CPR_CLD_2A' and productVersion = 'BA'", "2025-03-05")
    wait = moment(old["published"]) - moment(old["start_datetime"])
    assert timedelta(days=190) < wait < timedelta(days=240)


def find_one(client: httpx.Client, text: str, day: str) -> dict[str, Any]:
    """The properties of one item of a day."""
    page = search(client, collections=[L2], filter=text, datetime=day, limit=1)
    return dict(page["features"][0]["properties"])


def test_files_of_one_product_differ_in_size(client: httpx.Client) -> None:
    sizes: dict[str, set[int]] = {}
    for one in search(client, collections=[L2], datetime=DAY, limit=1000)["features"]:
        assets = one["assets"].values()
        size = next(asset["file:size"] for asset in assets if asset["href"].endswith(".h5"))
        sizes.setdefault(one["properties"]["product:type"], set()).add(size)
    assert all(len(found) > 10 for found in sizes.values())
    assert len({min(found) for found in sizes.values()}) > 10
    assert all(max(found) < 1.4 * min(found) for found in sizes.values())


def test_orbit_files_and_aeolus_keep_their_own_names(find: Callable[..., Any]) -> None:
    predicted = find("productType = 'AUX_ORBPRE'", collections=["EarthCAREOrbitData_MAAP"])
    assert re.fullmatch(r"ECA_EXAA_AUX_ORBPRE_\d{8}T000000Z_\d{8}T000000Z_0001", predicted["id"])
    assert predicted["assets"]["enclosure_eof"]["href"].endswith(".EOF") and predicted["geometry"] is None
    scenario = find("productType = 'MPL_ORBSCT'", collections=["EarthCAREOrbitData_MAAP"])
    assert re.fullmatch(r"ECA_EXAA_MPL_ORBSCT_20240528T214917Z_99999999T999999Z_00\d\d", scenario["id"])
    wind = find("orbitNumber = 27018", collections=["AeolusL1BProducts"])
    assert wind["id"] == "AE_OPER_ALD_U_N_1B_20230422T165721033_005543989_027018_0001"
    assert wind["properties"]["version"] == "1B16"
    assert wind["assets"]["enclosure_1"]["href"].endswith(".HDR")
    assert "/data/aeolus-pdgs-01/ALD_U_N_1B/1B16/2023/04/22/" in wind["assets"]["enclosure_2"]["href"]
    profile = find("product:type = 'ALD_U_N_2B'", collections=["AeolusL2BProducts"], datetime="2020-01-01")
    assert re.fullmatch(r"AE_OPER_ALD_U_N_2B_\d{8}T\d{6}_\d{8}T\d{6}_0001", profile["id"])


def test_a_page_holds_the_same_items_as_their_own_addresses(client: httpx.Client) -> None:
    for body in (
        {},
        {"collections": ["AeolusL1BProducts", "AeolusL2BProducts"]},
        {"collections": ["EarthCAREOrbitData_MAAP", XMET]},
        {"collections": ["EarthCAREAuxiliary_MAAP", "JAXAL2InstChecked_MAAP"]},
    ):
        for feature in search(client, **body, limit=25)["features"]:
            own = client.get(feature["links"][0]["href"])
            assert own.json() == feature


def test_fields_reduce_items(client: httpx.Client) -> None:
    query = {"collections": L2, "limit": "1", "fields": "id,properties.datetime,assets.product"}
    feature = client.get("/catalogue/search", params=query).json()["features"][0]
    assert set(feature["properties"]) == {"datetime"} and set(feature["assets"]) == {"product"}
    assert "geometry" not in feature


def test_tiers_share_identifiers(client: httpx.Client) -> None:
    body: dict[str, Any] = {"filter": CLOUDS, "datetime": DAY, "limit": 500}
    validated = search(client, collections=[L2], **body)
    checked = search(client, collections=["EarthCAREL2InstChecked_MAAP"], **body)
    assert set(ids(validated)) == set(ids(checked))
    both = search(client, collections=[L2, "EarthCAREL2InstChecked_MAAP"], **body)
    assert both["numberMatched"] == 2 * validated["numberMatched"]
