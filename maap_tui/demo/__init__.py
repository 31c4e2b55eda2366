"""An embedded archive on loopback that answers as the live service does: STAC API, token endpoint, files.

Everything in it is synthetic and computed; importing it costs nothing until `Archive` is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from maap_tui.demo.archive import Archive

__all__ = ["Archive"]


def __getattr__(name: str) -> Any:
    if name != "Archive":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from maap_tui.demo.archive import Archive

    return Archive
