from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

import h5py
import httpx
import pytest

from maap_tui.demo import Archive

CLOUDS = "productType = 'CPR_CLD_2A' and productVersion = 'BC'"


@pytest.fixture
def bearer(archive: Archive, client: httpx.Client, sign_in: Callable[..., Any]) -> dict[str, str]:
    return dict(sign_in(archive, client))


@pytest.fixture
def asset(find: Callable[..., Any]) -> dict[str, Any]:
    return dict(find(CLOUDS + " and orbitNumber = 8600 and frame = 'C'")["assets"]["enclosure_h5"])


@pytest.mark.parametrize("product", ["CPR_CLD_2A", "ATL_NOM_1B", "MSI_CM__2A", "AUX_MET_1D", "CPR_ECO_2A"])
def test_h5_files_are_hdf5_of_the_announced_size(
    client: httpx.Client, find: Callable[..., Any], bearer: dict[str, str], product: str
) -> None:
    assets = find(f"productType = '{product}'")["assets"].values()
    data = next(one for one in assets if one["href"].endswith(".h5"))
    reply = client.get(data["href"], headers=bearer)
    body = reply.content
    assert len(body) == data["file:size"] == int(reply.headers["content-length"])
    assert 64 * 1024 <= len(body) <= 8 * 1024 * 1024
    assert struct.unpack_from("<Q", body, 40)[0] == len(body)
    with h5py.File(io.BytesIO(body)) as file:
        science = file["ScienceData"]
        assert {"latitude", "longitude", "time"} <= set(science)
        assert science["latitude"].shape == science["time"].shape
        assert abs(science["latitude"][:]).max() <= 90 and abs(science["longitude"][:]).max() <= 180
        assert science["time"][0] < science["time"][-1]


def test_bytes_depend_on_the_name_alone(
    client: httpx.Client, find: Callable[..., Any], bearer: dict[str, str], start: Callable[..., Any],
    sign_in: Callable[..., Any], asset: dict[str, Any],
) -> None:  # fmt: skip
    body = client.get(asset["href"], headers=bearer).content
    other, http = start(now="2026-02-01T00:00:00Z")
    path = asset["href"].split("/data/")[1]
    assert http.get(f"/data/{path}", headers=sign_in(other, http)).content == body
    neighbour = find(CLOUDS + " and orbitNumber = 8600 and frame = 'D'")["assets"]["enclosure_h5"]
    assert client.get(neighbour["href"], headers=bearer).content != body


def test_ranges(client: httpx.Client, bearer: dict[str, str], asset: dict[str, Any]) -> None:
    whole = client.get(asset["href"], headers=bearer)
    size, etag = len(whole.content), whole.headers["etag"]
    assert whole.headers["accept-ranges"] == "bytes" and not etag.startswith("W/")
    for text, expected in (
        ("bytes=100-199", whole.content[100:200]),
        (f"bytes={size - 5}-", whole.content[-5:]),
        ("bytes=-7", whole.content[-7:]),
        (f"bytes=10-{size * 2}", whole.content[10:]),
    ):
        part = client.get(asset["href"], headers={**bearer, "Range": text})
        assert part.status_code == 206 and part.content == expected
        assert part.headers["content-range"].endswith(f"/{size}") and part.headers["etag"] == etag
    beyond = client.get(asset["href"], headers={**bearer, "Range": f"bytes={size}-"})
    assert beyond.status_code == 416 and beyond.headers["content-range"] == f"bytes */{size}"
    for ignored in ("bytes=0-1,5-6", "lines=1-2", "bytes=9-3", "bytes=x-"):
        assert client.get(asset["href"], headers={**bearer, "Range": ignored}).status_code == 200


def test_if_range(client: httpx.Client, bearer: dict[str, str], asset: dict[str, Any]) -> None:
    whole = client.head(asset["href"], headers=bearer)
    assert whole.status_code == 200 and whole.content == b""
    assert int(whole.headers["content-length"]) == asset["file:size"]
    changed = parsedate_to_datetime(whole.headers["last-modified"])
    later = format_datetime(changed.replace(year=changed.year + 1), usegmt=True)

    def status(validator: str) -> int:
        headers = {**bearer, "Range": "bytes=5-", "If-Range": validator}
        return client.get(asset["href"], headers=headers).status_code

    assert status(whole.headers["etag"]) == 206
    assert status(whole.headers["last-modified"]) == 206
    assert (
        status('"another"') == status("W/" + whole.headers["etag"]) == status(later) == status("soon") == 200
    )


def test_headers_zips_and_quicklooks(
    client: httpx.Client, find: Callable[..., Any], bearer: dict[str, str]
) -> None:
    item = find(CLOUDS)
    assets = item["assets"]
    header = client.get(assets["enclosure_hdr"]["href"], headers=bearer)
    assert len(header.content) == assets["enclosure_hdr"]["file:size"]
    assert header.content.startswith(b"<?xml") and item["id"].encode() in header.content
    zipped = client.get(assets["product"]["href"], headers=bearer)
    assert "content-length" not in zipped.headers and zipped.headers["transfer-encoding"] == "chunked"
    assert f"{item['id']}.zip" in zipped.headers["content-disposition"]
    names = zipfile.ZipFile(io.BytesIO(zipped.content)).namelist()
    assert names == [f"{item['id']}/{item['id']}.h5", f"{item['id']}/{item['id']}.HDR"]
    picture = client.get(assets["quicklook_jpeg"]["href"])
    assert picture.status_code == 200 and picture.content[:3] == b"\xff\xd8\xff"
    assert client.get(assets["thumbnail"]["href"]).status_code == 200


def test_orbit_and_aeolus_files(
    client: httpx.Client, find: Callable[..., Any], bearer: dict[str, str]
) -> None:
    orbit = find("productType = 'AUX_ORBPRE'")["assets"]["enclosure_eof"]
    assert client.get(orbit["href"], headers=bearer).content.startswith(b"<?xml")
    wind = find("productType = 'ALD_U_N_1B'")["assets"]["enclosure_2"]
    assert len(client.get(wind["href"], headers=bearer).content) == wind["file:size"]


def test_who_may_download_what(
    client: httpx.Client, find: Callable[..., Any], bearer: dict[str, str], asset: dict[str, Any]
) -> None:
    naked = client.get(asset["href"])
    assert naked.status_code == 401 and "www-authenticate" in naked.headers
    assert client.get(asset["href"], headers={"Authorization": "Bearer made-up"}).status_code == 401
    closed = find("productType = 'ATL_NOM_0_'", collections=["EarthCAREL0L1Products_MAAP"])
    refused = client.get(closed["assets"]["enclosure_h5"]["href"], headers=bearer)
    assert refused.status_code == 403 and refused.json()["error"]["code"] == 403
    shared = find(CLOUDS, collections=["EarthCAREL2Products_MAAP"])
    assert client.head(shared["assets"]["enclosure_h5"]["href"], headers=bearer).status_code == 200
    absent = asset["href"].replace("08600C.h5", "08600D.h5")
    elsewhere = asset["href"].replace("/BC/2025/", "/BC/2024/")
    for url in (absent, elsewhere, asset["href"] + "x", asset["href"].replace(".h5", ".nc")):
        assert client.get(url, headers=bearer).status_code == 404
