"""A cleanup deletes what is marked, and nothing that is not data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.registry.baseline import BaselineRegistry
from maap_tui.engine.registry.cleanup import deletable, delete_marked
from tests.engine.registry_kit import DAY, add, entry


@pytest.mark.fault("R8")
def test_cleanup_deletes_marked_files_only_and_says_so(registry: BaselineRegistry, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name in ("a.h5", "b.h5", "kept.h5"):
        (data / name).write_bytes(b"12345")
    registry.mark([(str(data / name), DAY) for name in ("a.h5", "b.h5", "gone.h5")])
    journal = tmp_path / "state" / "deletions.txt"
    plan = delete_marked(registry, data, journal, dry_run=True)
    assert (plan.deleted, plan.bytes, plan.refused) == ([data / "a.h5", data / "b.h5"], 10, [])
    assert not journal.exists()
    assert deletable(registry, data).bytes == 10
    report = delete_marked(registry, data, journal)
    assert (report.deleted, report.bytes, report.refused) == ([data / "a.h5", data / "b.h5"], 10, [])
    assert os.listdir(data) == ["kept.h5"]
    assert [line.split("|")[1:] for line in journal.read_text().splitlines()] == [
        ["5", str(data / "a.h5")],
        ["5", str(data / "b.h5")],
    ]
    assert delete_marked(registry, data, journal).deleted == []
    assert registry.stats().marked == 3


@pytest.mark.fault("R8")
def test_cleanup_never_leaves_the_data_folder(registry: BaselineRegistry, tmp_path: Path) -> None:
    data, outside = tmp_path / "data", tmp_path / "outside"
    (data / "folder").mkdir(parents=True)
    outside.mkdir()
    (tmp_path / "data-twin").mkdir()
    victims = [outside / "victim.h5", tmp_path / "data-twin" / "victim.h5"]
    for victim in victims:
        victim.write_text("precious")
    (data / "link.h5").symlink_to(victims[0])
    (data / "way-out").symlink_to(outside)
    (data / "dangling").symlink_to(data / "nothing")
    add(registry, entry(1))
    marks = [
        *map(str, victims),
        str(data / "link.h5"),
        str(data / "dangling"),
        str(data / "way-out" / "victim.h5"),
        f"{data}/../outside/victim.h5",
        str(data / "folder"),
        str(data),
        f"{data}/folder/..",
        "/etc/passwd",
    ]
    registry.mark([(path, DAY) for path in marks])
    report = delete_marked(registry, data, tmp_path / "journal")
    assert report.deleted == []
    assert sorted(path for path, _ in report.refused) == sorted(marks)
    assert dict(report.refused)[str(data / "link.h5")] == "it is a symbolic link"
    assert all(victim.read_text() == "precious" for victim in victims)
    assert (data / "link.h5").is_symlink()
    assert not (tmp_path / "journal").exists()


@pytest.mark.fault("R8")
def test_cleanup_spares_the_registry_and_the_root(registry: BaselineRegistry, tmp_path: Path) -> None:
    add(registry, entry(1))
    path = registry.day_file("url", DAY)
    registry.mark([(str(path), DAY)])
    assert delete_marked(registry, tmp_path, tmp_path / "journal").refused == [
        (str(path), "it belongs to the registry")
    ]
    with pytest.raises(InvalidRequestError):
        deletable(registry, Path("/"))


def test_cleanup_through_a_linked_data_folder(registry: BaselineRegistry, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "a.h5").write_text("x")
    registry.mark([(str(tmp_path / "data" / "a.h5"), DAY)])
    assert delete_marked(registry, tmp_path / "data", tmp_path / "journal").deleted == [
        tmp_path / "disk" / "a.h5"
    ]
    assert os.listdir(tmp_path / "disk") == []
