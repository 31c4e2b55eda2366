"""HangingText: lines of a name and a value, whose values stay in their column where they need more lines."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text
from textual.widgets import Static


class HangingText(Static):
    """Text whose lines go on below where their values begin; shown again for another width."""

    def __init__(self, *, id: str) -> None:
        super().__init__("", markup=False, id=id)
        self._text = Text()
        self._width = 0

    def show(self, text: Text) -> None:
        """Show a text; what is dim at the beginning of a line is its name."""
        self._text = text
        self._fit()

    def on_resize(self) -> None:
        if self.content_size.width != self._width:
            self._fit()

    def _fit(self) -> None:
        self._width = self.content_size.width
        self.update(hung(self._text, self._width, self.app.console) if self._width else self._text)


def hung(text: Text, width: int, console: Console) -> Text:
    """The text in lines of a width at most, each of them wrapped at the column where its value begins."""
    lines = []
    for line in text.split("\n", allow_blank=True):
        at = _value_at(line)
        if line.cell_len <= width or at >= width // 2:
            lines.append(line)
            continue
        head, value = line.divide([at])
        pieces = value.wrap(console, width - at)
        for piece in pieces:
            piece.rstrip()
        lines.append(Text("\n" + " " * at).join([head + pieces[0], *pieces[1:]]))
    return Text("\n").join(lines)


def _value_at(line: Text) -> int:
    """Cells before the value: those of the name, or spaces where the whole line is one value."""
    plain = line.plain
    spaces = len(plain) - len(plain.lstrip(" "))
    names = [span.end for span in line.spans if span.start == 0 and span.style == "dim"]
    return names[0] if names and names[0] < len(plain) else spaces
