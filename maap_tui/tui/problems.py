"""An error in words, what happened and what to do: for a dialog, or a line in a mode."""

from __future__ import annotations

from maap_tui.engine.errors import MaapError, NoMemoryError, is_out_of_memory
from maap_tui.engine.storage import files
from maap_tui.text import sentences


def words_of(error: BaseException) -> tuple[str, str]:
    """(what happened, what to do) of any error; the second is empty where the first says it already."""
    if isinstance(error, OSError):
        error = files.storage_error(error.filename or "a file", error)
    elif is_out_of_memory(error) and not isinstance(error, MaapError):
        error = NoMemoryError()
    if isinstance(error, MaapError):
        return error.message, error.hint
    return f"{type(error).__name__}: {error}", "If it happens again, report it with the log of mode 5."


def problem_of(error: BaseException) -> str:
    """The same in one line."""
    return sentences(*words_of(error))
