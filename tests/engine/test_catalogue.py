"""Collections, queryables and their local copies."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from maap_tui.demo import Archive
from maap_tui.engine.catalogue.queryables import nearest
from maap_tui.engine.errors import CatalogError, InvalidRequestError
from maap_tui.engine.session import Session
from tests.engine.raw_server import Asked, RawServer
from tests.homes import requests_of

Make = Callable[..., Session]
L2 = "EarthCAREL2Validated_MAAP"


async def test_collections_of_all_pages(session: Make, archive: Archive) -> None:
    async with session() as opened:
        found = await opened.catalogue.collections()
    names = [one.id for one in found]
    assert names == sorted(set(names)) and {L2, "AeolusL2BProducts"} <= set(names)
    restricted = {one.id for one in found if one.restricted}
    assert "EarthCAREL2Products_MAAP" in restricted and L2 not in restricted
    assert next(one for one in found if one.id == L2).start is not None


async def test_one_collection_and_none(session: Make) -> None:
    async with session() as opened:
        assert (await opened.catalogue.collection(L2)).id == L2
        with pytest.raises(InvalidRequestError, match="no collection 'EarthCAREL2Validted_MAAP'") as caught:
            await opened.catalogue.collection("EarthCAREL2Validted_MAAP")
    assert L2 in caught.value.hint


async def test_queryables_are_fetched_once_and_kept(session: Make, archive: Archive, home: Path) -> None:
    async with session() as opened:
        assert opened.catalogue.local_queryables(L2) is None
        found = await opened.catalogue.queryables(L2)
        assert await opened.catalogue.queryables(L2) is found
    assert "CPR_CLD_2A" in found.products and found.baselines == sorted(found.baselines)
    assert all(name.isupper() for name in found.baselines)
    assert requests_of(archive, "catalogue") == 1
    data = json.loads((home / "catalogs" / f"{L2}_queryables.json").read_text())
    assert data["collection"] == L2 and "product:type" in data["properties"]
    async with session() as another:
        assert (await another.catalogue.queryables(L2)).products == found.products
        assert requests_of(archive, "catalogue") == 1
        await another.catalogue.queryables(L2, refresh=True)
    assert requests_of(archive, "catalogue") == 2


@pytest.mark.parametrize("text", ["", "{", "[]", '{"properties": 3}', '{"properties": {}}', "[" * 100_000])
async def test_damaged_copy_is_fetched_again(session: Make, home: Path, text: str) -> None:
    (home / "catalogs" / f"{L2}_queryables.json").write_text(text)
    async with session() as opened:
        assert (await opened.catalogue.queryables(L2)).products


async def test_copy_of_maap_client_in_old_keys_is_read(session: Make, home: Path, archive: Archive) -> None:
    old = {"properties": {"productType": {"enum": ["B", "A"]}, "productVersion": {"enum": ["BA"]}}}
    (home / "catalogs" / f"{L2}_queryables.json").write_text(json.dumps(old))
    async with session() as opened:
        found = await opened.catalogue.queryables(L2)
    assert (found.products, found.baselines, found.keys.orbit) == (["A", "B"], ["BA"], "orbitNumber")
    assert not found.has_orbits and requests_of(archive, "catalogue") == 0


@pytest.mark.parametrize(
    ("names", "message", "hint"),
    [
        ((L2, "CPR_CLD_2B"), "no product type 'CPR_CLD_2B' in EarthCAREL2Validated_MAAP", "CPR_CLD_2A"),
        ((L2, "cpr_cld_2a"), "no product type", "CPR_CLD_2A"),
        ((L2, "CPR_CLD_2A", "ZZ"), "no baseline 'ZZ'", "BC"),
        (("EarthCAREL2Validated", "CPR_CLD_2A"), "no collection", L2),
        (("a b", "CPR_CLD_2A"), "not a collection name", "maap list"),
    ],
)
async def test_unknown_names_are_answered_with_known_ones(
    session: Make, names: tuple[str, ...], message: str, hint: str
) -> None:
    async with session() as opened:
        with pytest.raises(InvalidRequestError, match=message) as caught:
            await opened.catalogue.check(*names)
    assert hint in caught.value.hint


async def test_name_that_the_copy_lacks_is_looked_for_in_a_fresh_one(session: Make, home: Path) -> None:
    stale = {"properties": {"product:type": {"enum": ["OLD_ONE_2A"]}, "version": {"enum": ["aa"]}}}
    (home / "catalogs" / f"{L2}_queryables.json").write_text(json.dumps(stale))
    async with session() as opened:
        assert "CPR_CLD_2A" in (await opened.catalogue.check(L2, "CPR_CLD_2A", "bc")).products


async def test_wrong_name_is_said_when_the_catalogue_is_down(session: Make, archive: Archive) -> None:
    async with session(**{"api.retries": 0}) as opened:
        await opened.catalogue.queryables(L2)
        archive.faults.add(target="catalogue", status=503)
        with pytest.raises(InvalidRequestError, match="no product type"):
            await opened.catalogue.check(L2, "NOPE")


async def test_catalogue_that_is_down_is_asked_again_and_then_given_up(
    session: Make, archive: Archive
) -> None:
    archive.faults.add(target="catalogue", status=503)
    async with session(**{"api.retries": 2}) as opened:
        with pytest.raises(CatalogError, match="did not answer: 503") as caught:
            await opened.catalogue.queryables(L2)
    assert requests_of(archive, "catalogue") == 3 and "again later" in caught.value.hint


async def test_catalogue_that_recovers(session: Make, archive: Archive) -> None:
    archive.faults.add(target="catalogue", status=502, times=2)
    async with session() as opened:
        assert (await opened.catalogue.queryables(L2)).products


@pytest.mark.parametrize(
    "answer",
    [{"collections": 5}, {"collections": [None, 3, {"id": 7}, {}]}, {}, {"collections": [], "links": 4}],
)
async def test_odd_lists_of_collections_are_empty(session: Make, answer: dict[str, Any]) -> None:
    async with RawServer(lambda asked: answer) as server, session(server.url) as opened:
        assert await opened.catalogue.collections() == []


@pytest.mark.parametrize("href", ["?page=2", "http://127.0.0.2:9/c", "http://[x", 7])
async def test_list_of_collections_ends(session: Make, href: Any) -> None:
    row = {"id": "One", "extent": {"temporal": {"interval": [["2020-01-01T00:00:00Z", None]]}}}

    def answer(asked: Asked) -> dict[str, Any]:
        return {"collections": [row], "links": [{"rel": "next", "href": href}]}

    async with RawServer(answer) as server, session(server.url, **{"api.retries": 0}) as opened:
        found = await opened.catalogue.collections()
        assert [one.id for one in found] == ["One"] and found[0].start is not None
        assert len(server.asked) <= 3


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"properties": []}', (505, {})])
async def test_unreadable_queryables(session: Make, answer: Any) -> None:
    raw = answer if isinstance(answer, tuple) else (200, answer)
    async with RawServer(lambda asked: raw) as server, session(server.url, **{"api.retries": 0}) as opened:
        with pytest.raises(CatalogError):
            await opened.catalogue.collection("One")


@pytest.mark.parametrize("status", [403, 404, 405, 410, 301])
async def test_an_address_that_is_no_catalogue_is_a_wrong_setting(session: Make, status: int) -> None:
    async with RawServer(lambda asked: (status, {})) as server, session(server.url) as opened:
        with pytest.raises(InvalidRequestError, match=str(status)) as caught:
            await opened.catalogue.collections()
        assert f"api.catalog_url, which is {server.url}" in caught.value.hint
        assert len(server.asked) == 1


async def test_queryables_that_are_not_all_leave_orbits_to_be_asked_for(session: Make, home: Path) -> None:
    """OGC API Features part 3: additionalProperties says whether others can be searched by as well."""
    file = home / "catalogs" / f"{L2}_queryables.json"
    for others, is_open in ((True, True), (False, False), ("true", False)):
        file.write_text(json.dumps({"properties": {"id": {}}, "additionalProperties": others}))
        async with session() as opened:
            found = opened.catalogue.local_queryables(L2)
        assert found is not None
        # Frames are no property of STAC items: they are filtered by name.
        assert (found.has_orbits, found.has_frames) == (is_open, False)


async def test_a_name_is_not_answered_with_itself(session: Make, home: Path) -> None:
    """As where the mission knows a collection that this service does not have."""
    answer = (404, {"code": "NotFoundError"})
    async with RawServer(lambda asked: answer) as server, session(server.url) as opened:
        with pytest.raises(InvalidRequestError, match=f"no collection '{L2}'") as caught:
            await opened.catalogue.collection(L2)
    assert f"Did you mean {L2}" not in caught.value.hint


def test_nearest_ignores_case() -> None:
    assert nearest("atl_ebd_2a", ["ATL_EBD_2A", "CPR_CLD_2A"])[0] == "ATL_EBD_2A"
    assert nearest("zzzz", ["ATL_EBD_2A"]) == []
