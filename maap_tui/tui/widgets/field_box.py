"""FieldBox: a box to tick that can be read without colours."""

from __future__ import annotations

from textual.widgets import Checkbox


class FieldBox(Checkbox):
    """A box whose cross is there or not, and not only in another colour."""

    @property
    def BUTTON_INNER(self) -> str:  # type: ignore[override]
        """What stands in the box."""
        return "X" if self.value else " "
