"""What a data file says of itself: groups, variables, shapes, types, units, attributes; no data is read.

Run as a program, it reads the file that it is given, HDF5 (netCDF-4 too) or classic netCDF.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maap_tui.engine.apart import CannotRead, demand, finish, run_apart
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.netcdf import is_classic, read_classic
from maap_tui.text import format_bytes, format_count, plural

MOST_OBJECTS = 5000
"""Groups and variables that are listed."""
MOST_ATTRIBUTES = 200
"""Attributes of one of them."""
MOST_VALUES = 16
"""Numbers of an attribute that are shown."""
MOST_TEXT = 2000
"""Characters of a text that are shown."""
LARGEST_VALUE = 64 << 10
"""Bytes of an attribute that is read."""

_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError)
"""What the library raises where a file is damaged."""
_HDF5 = b"\x89HDF\r\n\x1a\n"
_INTERNAL = {
    "CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "DIMENSION_LABELS", "_Netcdf4Dimid",
    "_Netcdf4Coordinates", "_NCProperties", "_nc3_strict",
}  # fmt: skip
"""Attributes by which the libraries find dimensions again."""


@dataclass(frozen=True, slots=True)
class HeaderObject:
    """A group or a variable."""

    name: str
    """With its groups, `/ScienceData/latitude`; `/` for the file itself."""
    kind: str
    """group, variable, link or type."""
    shape: list[int] | None
    """Of a variable; `[]` for one value, None where it has none."""
    dtype: str
    """Of a variable, as numpy names it; '' otherwise."""
    units: str
    """'' where it has none."""
    attributes: dict[str, Any]
    """Texts, numbers and lists of these; long ones are cut."""


@dataclass(frozen=True, slots=True)
class FileHeaders:
    """What a file says of itself."""

    path: str
    format: str
    """HDF5 or netCDF."""
    size: int
    """Bytes."""
    objects: list[HeaderObject]
    left_out: int
    """How many more groups and variables were seen; 0 where all are listed."""


def is_data_file(path: Path) -> bool:
    """Whether the name of a file says that it is HDF5 or netCDF."""
    return path.suffix.lower() in (".h5", ".hdf5", ".he5", ".nc", ".nc4", ".cdf")


async def headers_of(path: Path) -> FileHeaders:
    """Read the headers of a file here.

    Raises:
        InvalidRequestError: it cannot be read, in a sentence that names it; or the package is not installed.
    """
    head, size = await asyncio.to_thread(_begin, path)
    if not is_classic(head):
        if head[:2] == b"PK":
            raise InvalidRequestError(f"{path.name}: it is a zip file; what is in it has the variables")
        demand("h5py", "hdf5", "Reading HDF5")
    try:
        found = json.loads(await run_apart(__name__, str(path)))
    except InvalidRequestError as error:
        raise InvalidRequestError(f"{path.name}: {error.message}", error.hint) from None
    objects = [HeaderObject(**one) for one in found["objects"]]
    return FileHeaders(str(path), found["format"], size, objects, found["left_out"])


def _begin(path: Path) -> tuple[bytes, int]:
    """The first bytes of a file, and how many it has."""
    try:
        if not path.is_file():
            raise InvalidRequestError(f"{path} is not a file that is here")
        with path.open("rb") as file:
            return file.read(8), os.fstat(file.fileno()).st_size
    except OSError as error:
        raise InvalidRequestError(f"{path} cannot be read ({error.strerror})") from error


def lines_of(found: FileHeaders, most: int | None = None) -> Iterator[tuple[str, bool]]:
    """What a file says of itself as lines to read: (words, whether they are of an attribute).

    Args:
        found: the headers.
        most: lines after which the rest is counted; None for all.
    """
    variables = sum(one.kind == "variable" for one in found.objects)
    yield f"{found.format}, {format_bytes(found.size)}, {plural(variables, 'variable')}", False
    left, count = found.left_out, 1
    for number, one in enumerate(found.objects):
        if most is not None and count >= most:
            left += len(found.objects) - number
            break
        depth = "  " * (one.name.count("/") if one.name != "/" else 0)
        if one.name != "/":
            yield depth + _words_of(one), False
        for name, value in one.attributes.items():
            if name != "units" or value != one.units:
                words = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                yield f"{depth}  {name}: {words}", True
        count += 1 + len(one.attributes)
    if left:
        yield f"and {format_count(left)} more groups and variables", False


def _words_of(one: HeaderObject) -> str:
    name = one.name.rpartition("/")[2]
    if one.kind != "variable":
        return f"{name}/" if one.kind == "group" else f"{name}  ({one.kind})"
    shape = "no value" if one.shape is None else " x ".join(map(str, one.shape)) or "one value"
    return "  ".join(filter(None, (name, one.dtype, shape, one.units)))


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        is_netcdf = is_classic(file.read(8))
        file.seek(0)
        objects = list(_of_classic(file)) if is_netcdf else []
    left_out = max(0, len(objects) - MOST_OBJECTS)
    if not is_netcdf:
        objects, left_out = _of_hdf5(path)
    found = {
        "format": "netCDF" if is_netcdf else "HDF5",
        "objects": objects[:MOST_OBJECTS],
        "left_out": left_out,
    }
    return json.dumps(found).encode()


def _object(name: str, kind: str, attributes: dict[str, Any], **more: Any) -> dict[str, Any]:
    units = attributes.get("units")
    return {
        "name": name,
        "kind": kind,
        "shape": None,
        "dtype": "",
        "units": units if isinstance(units, str) else "",
        "attributes": attributes,
        **more,
    }


def _of_classic(file: Any) -> Iterator[dict[str, Any]]:
    attributes, variables = read_classic(file)
    yield _object("/", "group", _plain_all(attributes))
    for one in variables:
        yield _object(
            f"/{one.name}", "variable", _plain_all(one.attributes), shape=one.shape, dtype=one.dtype
        )


def _plain_all(attributes: dict[str, Any]) -> dict[str, Any]:
    found = {name: _plain(value) for name, value in list(attributes.items())[:MOST_ATTRIBUTES]}
    return found | _more(len(attributes) - len(found))


def _more(count: int) -> dict[str, Any]:
    """What stands in the place of attributes that are not listed; nothing for none."""
    return {"...": f"{plural(count, 'more attribute')}"} if count > 0 else {}


def _of_hdf5(path: str) -> tuple[list[dict[str, Any]], int]:
    import h5py

    try:
        file = h5py.File(path, "r", locking=False)
    except OSError as error:
        with open(path, "rb") as raw:
            is_hdf5 = raw.read(8) == _HDF5
        words = "it is damaged or cut off: its header cannot be read"
        raise CannotRead(words if is_hdf5 else "it is neither HDF5 nor netCDF") from error
    found: list[dict[str, Any]] = []
    seen: set[Any] = set()
    waiting: list[tuple[str, Any]] = [("/", file)]
    left_out = unseen = 0
    # In order of the names, a group before what is in it; links to elsewhere are named and not followed.
    while waiting:
        name, thing = waiting.pop()
        if len(found) >= MOST_OBJECTS:
            left_out = len(waiting) + 1 + unseen
            break
        if isinstance(thing, str):
            found.append(_object(name, "link", {"to": thing}))
            continue
        try:
            found.append(_described(h5py, name, thing))
            info = h5py.h5o.get_info(thing.id)
            # A group may be in itself.
            if isinstance(thing, h5py.Group) and (info.fileno, info.addr) not in seen:
                seen.add((info.fileno, info.addr))
                inside = list(_inside(h5py, name.rstrip("/"), thing))
                unseen += len(thing) - len(inside)
                waiting += reversed(inside)
        except _DAMAGE as error:
            if name == "/":
                raise CannotRead("it is damaged: its groups cannot be read") from error
            found.append(_object(name, "group", {"error": "it is damaged and cannot be read"}))
    return found, left_out


def _inside(h5py: Any, path: str, group: Any) -> Iterator[tuple[str, Any]]:
    """What is in a group; a text for a link, and for what cannot be read."""
    for count, name in enumerate(group):
        if count > MOST_OBJECTS:
            return
        where = f"{path}/{_text(name)}"
        try:
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                yield where, f"{link.filename}:{link.path}"
            elif isinstance(link, h5py.SoftLink):
                yield where, str(link.path)
            else:
                yield where, group[name]
        except _DAMAGE:
            yield where, "(it cannot be read)"


def _described(h5py: Any, name: str, thing: Any) -> dict[str, Any]:
    attributes = _attributes_of(h5py, thing)
    if isinstance(thing, h5py.Dataset):
        shape = None if thing.shape is None else list(thing.shape)
        return _object(name, "variable", attributes, shape=shape, dtype=_type_words(h5py, thing))
    return _object(name, "group" if isinstance(thing, h5py.Group) else "type", attributes)


def _type_words(h5py: Any, dataset: Any) -> str:
    try:
        kind = dataset.dtype
    except (TypeError, ValueError, OSError):
        return "unknown"
    if h5py.check_string_dtype(kind) is not None:
        return "text"
    if (inner := h5py.check_vlen_dtype(kind)) is not None:
        return f"lists of {inner}"[:MOST_TEXT]
    if h5py.check_ref_dtype(kind) is not None:
        return "reference"
    return str(kind)[:MOST_TEXT]


def _attributes_of(h5py: Any, thing: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    names = [name for name in thing.attrs if name not in _INTERNAL]
    for name in names[:MOST_ATTRIBUTES]:
        try:
            size = thing.attrs.get_id(name).get_storage_size()
            found[_text(name)] = f"({size:,} bytes)" if size > LARGEST_VALUE else _plain(thing.attrs[name])
        except Exception:  # each library of types raises its own
            found[_text(name)] = "(it cannot be read)"
    return found | _more(len(names) - MOST_ATTRIBUTES)


def _text(name: str | bytes) -> str:
    """A name, which comes as bytes where it is not UTF-8."""
    return name if isinstance(name, str) else name.decode("utf-8", "replace")


def _plain(value: Any) -> Any:
    """A value as JSON has it; long ones are cut."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        return value if len(value) <= MOST_TEXT else f"{value[:MOST_TEXT]}..."
    if isinstance(value, list | tuple):
        plain = [_plain(one) for one in value[:MOST_VALUES]]
        if len(value) > MOST_VALUES:
            plain.append(f"... {len(value):,} in all")
        return plain[0] if len(plain) == 1 else plain
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no such number
    return value if isinstance(value, int | float) else str(value)[:MOST_TEXT]


if __name__ == "__main__":
    finish(lambda: _read(sys.argv[1]))
