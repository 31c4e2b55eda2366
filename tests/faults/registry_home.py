"""The registry of one baseline in a home: files that can be marked, and lines of its lists."""

from __future__ import annotations

from pathlib import Path

L2 = "EarthCAREL2Validated_MAAP"

NAMES = f"EarthCARE/{L2}/CPR_CLD_2A/BC"


def granules(home: Path, count: int) -> list[Path]:
    """Files that can be marked."""
    folder = home / "data" / NAMES / "2025/12/01"
    return [
        folder / f"ECA_EXBC_CPR_CLD_2A_20251201T0{n}0126Z_20251201T021736Z_08574D.h5" for n in range(count)
    ]


def lines_of(home: Path, tree: str, prefix: str) -> list[str]:
    file = home / "registry" / tree / NAMES / "2025" / f"{prefix}_20251201.txt"
    return file.read_text().splitlines() if file.exists() else []
