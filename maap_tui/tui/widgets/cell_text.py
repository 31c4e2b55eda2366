"""The text of a cell of a list: cut or filled to its width, and what it repeats of the row above; pure."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size


def repeated_cells(text: str, above: str, width: int) -> int:
    """How many of the first characters are words that the text above begins with too."""
    if text == above:
        return width
    if not text.isascii() or len(text) > width:
        return 0
    pairs = enumerate(zip(text, above, strict=False))
    same = next((at for at, (one, other) in pairs if one != other), len(text))
    return 1 + max(text.rfind(sign, 0, same) for sign in " _/")


def fit(text: str, width: int, is_right: bool, keeps_end: bool = False) -> str:
    """The text in exactly that many cells."""
    length = len(text) if text.isascii() else cell_len(text)
    if length > width:
        # A name, whose last word is long, keeps its end; a sentence is cut there.
        if keeps_end and text.isascii() and len(text.rpartition(" ")[2]) > width // 3 > 0:
            begin = width // 3
            return f"{text[:begin]}…{text[length - (width - begin - 1) :]}"
        return set_cell_size(text, width - 1) + "…" if width > 1 else set_cell_size(text, width)
    return " " * (width - length) + text if is_right else text + " " * (width - length)
