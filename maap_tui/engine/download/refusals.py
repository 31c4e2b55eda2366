"""Refusals: which collections this account is refused, so that not each of their files is asked for."""

from __future__ import annotations

from maap_tui.engine.events import Emit, Warned

MOST = 3
"""Files in a row answered with 403 after which the rest of their collection is not tried."""


class Refusals:
    """Counts files in a row that were answered with 403, by collection."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._counts: dict[str, int] = {}
        self._reasons: dict[str, str] = {}

    def reason(self, group: str) -> str | None:
        """Why files of a collection are not tried; None where they are."""
        return self._reasons.get(group)

    def count(self, group: str, status: int | None) -> None:
        """Note how a file failed: with this status, or None without an answer."""
        if status != 403:
            self.note_answer(group)
            return
        count = self._counts[group] = self._counts.get(group, 0) + 1
        if count == MOST and group not in self._reasons:
            name = group or "these files"
            self._reasons[group] = f"not tried: {MOST} files of {name} in a row were refused (403 Forbidden)"
            self._emit(
                Warned(
                    f"{MOST} files of {name} in a row were refused (403 Forbidden); the rest of it is "
                    "not tried. Your account may lack access to this collection."
                )
            )

    def note_answer(self, group: str) -> None:
        """Note that a file of a collection was not refused."""
        self._counts.pop(group, None)

    def forget(self, group: str) -> None:
        """Let files of a collection be tried again."""
        self._reasons.pop(group, None)
        self._counts.pop(group, None)
