"""XML read element by element, without what can harm: no document type, no entities, bounded depth."""

from __future__ import annotations

from collections.abc import Callable
from xml.parsers import expat

from maap_tui.engine.errors import InvalidRequestError

_DEEPEST = 40

Begin = Callable[[str, dict[str, str]], None]
"""Takes the name of an element, without its namespace, and its attributes."""
End = Callable[[str, str], None]
"""Takes the name of an element and the text that was in it behind its last element."""


def read_xml(data: bytes, name: str, begin: Begin, end: End) -> None:
    """Read a document.

    Args:
        data: all of it.
        name: what an error calls it.
        begin: is called when an element begins.
        end: is called when one ends.

    Raises:
        InvalidRequestError: it is not XML, or of a kind that is not read; errors of `begin` and `end` too.
    """
    parser = expat.ParserCreate()
    parser.buffer_text = True
    text: list[str] = []
    depth = 0

    def begins(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise InvalidRequestError(f"{name} has elements in more than {_DEEPEST} others")
        text.clear()
        begin(tag.rpartition(":")[2], attributes)

    def ends(tag: str) -> None:
        nonlocal depth
        depth -= 1
        end(tag.rpartition(":")[2], "".join(text).strip())
        text.clear()

    def refuse(*_: object) -> None:
        raise InvalidRequestError(f"{name} declares a document type, which is not read", "Remove it.")

    parser.StartElementHandler = begins
    parser.EndElementHandler = ends
    parser.CharacterDataHandler = text.append
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except InvalidRequestError:
        # It is a ValueError too, and says all.
        raise
    except expat.ExpatError as error:
        raise InvalidRequestError(f"{name} is not XML ({error})") from None
    except (LookupError, ValueError) as error:
        raise InvalidRequestError(f"{name} cannot be read ({error})") from None
