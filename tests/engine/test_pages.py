"""A page that is read item by item is what the library would have read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maap_tui.engine.catalogue.pages import ServedPage, read_page
from maap_tui.engine.catalogue.stac import granule_of
from maap_tui.engine.errors import CatalogError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.text(max_size=8).filter(lambda name: name != "features")


def kept(body: bytes) -> ServedPage:
    return read_page(body, "http://h/", lambda item, text, url: (item, text, url))


@given(
    before=st.dictionaries(NAMES, JSON, max_size=3),
    items=st.lists(JSON, max_size=4),
    after=st.dictionaries(NAMES, JSON, max_size=2),
    indent=st.sampled_from([None, 0, 2]),
    is_ascii=st.booleans(),
    encoding=st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32-le"]),
)
def test_a_page_is_read_whole_whatever_it_is_written_like(
    before: dict[str, Any],
    items: list[Any],
    after: dict[str, Any],
    indent: int | None,
    is_ascii: bool,
    encoding: str,
) -> None:
    whole = {**before, "features": items, **after}
    body = json.dumps(whole, indent=indent, ensure_ascii=is_ascii).encode(encoding, "surrogatepass")
    page = kept(body)
    assert [item for item, _, _ in page.items] == items
    assert [json.loads(text) for _, text, _ in page.items] == items
    assert page.rest == {name: value for name, value in whole.items() if name != "features"}


@given(cut=st.integers(min_value=0, max_value=80), more=st.sampled_from([b"", b",", b"]", b"}", b"{", b"x"]))
def test_a_page_that_is_not_json_is_refused_as_the_library_does(cut: int, more: bytes) -> None:
    whole = b' {"features" : [ {"id": "a"} , {"id": "b", "n": [1, 2]} ], "links":[], "numberMatched" : 2 } '
    body = whole[:cut] + more + whole[cut:] if cut % 2 else whole[:cut] + more
    try:
        expected = json.loads(body)
    except ValueError as error:
        with pytest.raises(ValueError, match=r".") as caught:
            kept(body)
        assert str(caught.value) == str(error)
        return
    if isinstance(expected, dict) and isinstance(expected.get("features"), list):
        assert [item for item, _, _ in kept(body).items] == expected["features"]
        return
    with pytest.raises(CatalogError):
        kept(body)


def test_the_last_of_two_lists_of_features_counts() -> None:
    page = kept(b'{"features": [1], "numberMatched": 7, "features": [2, 3]}')
    assert [item for item, _, _ in page.items] == [2, 3]
    assert page.matched == 7


def test_links_are_resolved_again_when_an_item_is_read_again() -> None:
    item = {
        "id": "ECA_EXBC_CPR_CLD_2A_20251201T000000Z_20251231T000000Z_08574A",
        "assets": {"enclosure_h5": {"href": "./a.h5"}, "enclosure_hdr": {"href": "./a.hdr"}},
    }

    def take(item: Any, text: bytes, url: str) -> Any:
        return granule_of(item, "Some_Collection", "EarthCARE", text=text, url=url)

    page = read_page(json.dumps({"features": [item]}).encode(), "http://h/some/search", take)
    assert [one.href for one in page.items[0].assets] == ["http://h/some/a.h5", "http://h/some/a.hdr"]
