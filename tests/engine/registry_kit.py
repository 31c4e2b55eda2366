"""Entries of one baseline, and the ways they come into its registry."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from maap_tui.engine.registry.baseline import BaselineRegistry
from maap_tui.engine.registry.entries import Key, TrackedFile

ROOT = Path(__file__).resolve().parents[2]
KEY = Key("EarthCARE", "EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")
BELOW = "EarthCARE/EarthCAREL2Validated_MAAP/CPR_CLD_2A/BC"
DAY = date(2025, 12, 1)
NEXT = date(2025, 12, 2)


@pytest.fixture
def registry(tmp_path: Path) -> BaselineRegistry:
    """The registry of `KEY`, empty."""
    return BaselineRegistry(tmp_path / "registry", KEY, lock_timeout_s=10)


def entry(number: int, day: date = DAY) -> TrackedFile:
    name = f"ECA_EXBC_CPR_CLD_2A_{day:%Y%m%d}T{number:06d}Z_{day:%Y%m%d}T235959Z_07655C.h5"
    return TrackedFile(KEY, day, f"https://archive.example/data/{name}", f"/data/{name}")


def short(number: int) -> TrackedFile:
    """An entry of few bytes, for tests that try every length."""
    return TrackedFile(KEY, DAY, f"https://a.b/c/{number}x.h5", f"/d/{number}x.h5")


def add(registry: BaselineRegistry, *entries: TrackedFile) -> int:
    return registry.add(entries).new


def download(registry: BaselineRegistry, *entries: TrackedFile) -> None:
    for item in entries:
        registry.record(item.url, item.path, item.day)


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines()
