"""Packed lists and mappings are as plain ones, but for the room that they take."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maap_tui.engine.packed import BLOCK, Packed, PackedMapping, packed
from maap_tui.engine.workflows.url_list import read_lines

COUNTS = st.lists(st.integers(0, 2 * BLOCK + 1), max_size=6)


@given(COUNTS)
def test_a_packed_list_is_a_queue(counts: list[int]) -> None:
    plain: list[int] = []
    held: Packed[int] = Packed()
    for number, count in enumerate(counts):
        if number % 2:
            taken = held.take()
            assert bool(taken) == bool(plain)
            assert taken == plain[: len(taken)]
            del plain[: len(taken)]
        for one in range(count):
            plain.append(one)
            held.append(one)
        assert [*held] == plain
        assert len(held) == len(plain)


@pytest.mark.parametrize("count", [0, 1, BLOCK, 3 * BLOCK + 7])
def test_a_packed_mapping_is_a_mapping(count: int) -> None:
    plain = {str(number): number for number in range(count)}
    held: PackedMapping[int] = PackedMapping()
    held.update(plain)
    assert held == plain
    assert dict(held) == plain
    assert [*held] == [*plain]
    assert [held[name] for name in reversed(plain)] == [*reversed(plain.values())]
    assert "none" not in held
    held["one more"] = -1
    assert held["one more"] == -1
    del held["one more"]
    assert held == plain
    with pytest.raises(KeyError):
        del held["one more"]


def test_addresses_take_a_tenth() -> None:
    name = "ECA_EXBA_MSI_COP_2A_20250601T{0:06d}Z_20260101T000000Z_{0:05d}A"
    urls = [
        f"https://a/data/earthcare/MSI_COP_2A/BA/2025/06/01/{name}/{name}.h5".format(i) for i in range(BLOCK)
    ]
    assert 10 * len(packed(urls)) < sum(map(sys.getsizeof, urls))


def test_a_long_list_of_urls_is_read_as_a_short_one_is() -> None:
    urls = [f"https://archive/data/{number:05d}.h5" for number in range(5000)]
    lines = [
        url.replace("https", "HTTPS") + ("|/here" if number % 3 else "\r") for number, url in enumerate(urls)
    ]
    lines[100] = "nothing"
    found = read_lines("\n".join([*lines, *urls[200:300], "", "# end"]), "url")
    assert [*found.values] == urls[:100] + urls[101:]
    assert found.refused == [(101, "nothing", "it is not a URL")]
    paths = "".join(f"/data/{number}\x0b.h5\n" for number in range(9000))
    assert [*read_lines(paths, "path").values] == [f"/data/{number}\x0b.h5" for number in range(9000)]
