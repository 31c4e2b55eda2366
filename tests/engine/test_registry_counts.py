"""The counts of a registry that are kept, and when they are counted again."""

from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path
from typing import Literal

import pytest

from maap_tui.engine.registry.baseline import BaselineRegistry
from maap_tui.engine.registry.counts import StatsCache
from maap_tui.engine.registry.entries import Kind
from tests.engine.registry_kit import DAY, KEY, NEXT, add, entry


def age(root: Path) -> None:
    """Make all files look as if they had not changed for a while."""
    for path in root.rglob("*.txt"):
        os.utime(path, (1_700_000_000, 1_700_000_000))


def test_counts_are_kept_and_never_trusted_after_a_change(tmp_path: Path) -> None:
    cache = StatsCache(tmp_path / "state")
    root = tmp_path / "registry"
    registry = BaselineRegistry(root, KEY, cache=cache)
    add(registry, entry(1), entry(2))
    age(root)
    expected = registry.stats()
    kept = list((tmp_path / "state").iterdir())
    assert len(kept) == 1
    path = registry.day_file("url", DAY)
    status = path.stat()
    path.write_bytes(b"x" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    # The same name, size and time: only the kept counts can still know of two URLs.
    assert BaselineRegistry(root, KEY, cache=cache).stats() == expected
    os.utime(path, (1_700_000_001, 1_700_000_001))
    assert BaselineRegistry(root, KEY, cache=cache).stats().total_urls == 0
    whole = json.loads(kept[0].read_text())
    for damage in (
        "",
        "{",
        "[]",
        json.dumps({**whole, "version": 3}),
        json.dumps({**whole, "of": "another registry"}),
        json.dumps({**whole, "downloads": {"2025-12-01": [[], 1]}}),
        json.dumps({**whole, "marks": {"2025-12-01": [[["a", 1]], 1, [1, 2]]}}),
        "\xff",
    ):
        kept[0].write_bytes(damage.encode("latin-1"))
        assert BaselineRegistry(root, KEY, cache=cache).stats().total_urls == 0


@pytest.mark.parametrize(("kind", "side"), [("dwl", "downloads"), ("mrk", "marks")])
def test_a_day_with_nothing_pending_is_read_again_when_it_changes(
    kind: Kind, side: Literal["downloads", "marks"], tmp_path: Path
) -> None:
    cache = StatsCache(tmp_path / "state")
    root = tmp_path / "registry"
    registry = BaselineRegistry(root, KEY, cache=cache)
    for file in (entry(1), entry(2), entry(1, NEXT)):
        add(registry, file)
        registry.record(file.url, file.path, file.day)
        registry.mark([(file.path, file.day)])
    path = registry.day_file(kind, DAY)
    path.write_bytes(path.read_bytes() + b"\x07damaged\n")
    age(root)

    def pending() -> list[tuple[date, list[tuple[str, str]]]]:
        again = BaselineRegistry(root, KEY, cache=cache)
        found = list(again.pending_days(side))
        assert [one.lines for one in again.damage] == [1]
        return found

    assert pending() == []
    status = path.stat()
    content = path.read_bytes()
    lost = b"#" * (status.st_size - len(b"\n\x07damaged\n")) + b"\n\x07damaged\n"
    path.write_bytes(lost)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    # The same name, size and time: only what was kept can still know that nothing is pending.
    assert pending() == []
    os.utime(path, (1_700_000_001, 1_700_000_001))
    both = [(entry(1).url, entry(1).path), (entry(2).url, entry(2).path)]
    assert pending() == [(DAY, both)]
    assert pending() == [(DAY, both)]
    path.write_bytes(content)
    assert pending() == []
    for one in (tmp_path / "state").iterdir():
        one.unlink()
    assert pending() == []


def test_counts_of_a_file_that_just_changed_are_not_kept(registry: BaselineRegistry) -> None:
    add(registry, entry(1))
    assert registry.stats().total_urls == 1
    path = registry.day_file("url", DAY)
    status = path.stat()
    path.write_bytes(b"x" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert registry.stats().total_urls == 0


def test_state_folder_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    registry = BaselineRegistry(tmp_path / "registry", KEY, cache=StatsCache(tmp_path / "file"))
    add(registry, entry(1))
    age(tmp_path)
    assert registry.stats().total_urls == 1
