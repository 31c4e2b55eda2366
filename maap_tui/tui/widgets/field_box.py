"""FieldBox: a box to tick that can be read without colours."""

from __future__ import annotations

from textual.widgets import Checkbox


class FieldBox(Checkbox):
    """A box that shows a cross when it is ticked, and not only another colour."""

    @property
    def BUTTON_INNER(self) -> str:  # type: ignore[override]
        """The sign in the box."""
        return "X" if self.value else " "
