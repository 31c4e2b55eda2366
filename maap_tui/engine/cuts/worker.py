"""The process that reads a data file and writes what is cut from it; it has no network and no token.

HDF5 files come from a server, and the library that reads them is written in C: what it makes of a file made
to harm costs this process alone. The bytes that it needs it asks of the process that started it, which has
the connections, on its standard output; they come in a file with holes that both have open.
"""

from __future__ import annotations

import difflib
import errno
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import h5py

from maap_tui.engine.apart import CannotRead, finish
from maap_tui.engine.cuts.contents import (
    Contents,
    Dimension,
    Slices,
    Variable,
    contents_of,
    kept_of,
    size_of,
    stretches_of,
    whole,
)
from maap_tui.engine.cuts.copying import Copy
from maap_tui.engine.cuts.points import inside, positions_in, times_in
from maap_tui.engine.cuts.ranged import RangedFile, ask
from maap_tui.engine.cuts.stretches import Stretch, joined
from maap_tui.engine.netcdf import is_classic
from maap_tui.text import format_bytes

MOST_BYTES = 256 << 30
"""Bytes of all values of a result: more is a mistake, or made to fill a disk."""
WHOLE_BYTES = 16 << 20
"""Bytes of a variable that does not lie along what is cut, up to which it is kept without being named."""
CPU_S = 1800
"""Seconds of a processor that a cut may take."""
NOTHING = "no point is inside"
"""What is said where nothing is left."""
FULL = "no space is left"
"""What is said where the result cannot be written."""


@dataclass(slots=True)
class _Chosen:
    """What becomes of a file."""

    variables: list[Variable]
    kept: dict[Dimension, Slices]
    left_out: list[str]


def _work(job: dict[str, Any]) -> bytes:
    ranged = None
    if job["descriptor"] is not None:
        ranged = RangedFile(job["descriptor"], job["size"], job["here"])
    source = _opened(job["path"], ranged)

    def bring(variables: Sequence[Variable]) -> None:
        if ranged is not None:
            ranged.bring([at for one in variables for at in stretches_of(one, whole(one.shape))])

    chosen = _choose(contents := contents_of(source), job, bring)
    stretches = {one.path: joined(stretches_of(one, kept_of(one, chosen.kept))) for one in chosen.variables}
    everything = joined(at for some in stretches.values() for at in some)
    missing = [] if ranged is None else ranged.missing(everything)
    plan = {
        "needed": _length(missing),
        "requests": len(missing),
        "variables": [_described(one, chosen.kept, stretches[one.path]) for one in chosen.variables],
        "spans": _spans_of(contents, chosen),
        "left_out": chosen.left_out,
    }
    if ask({"plan": plan}) != "go":
        return b"{}"
    if ranged is not None:
        ranged.bring(everything)
    lost: list[BaseException] = []
    # What cannot be written when the library lets go of something is raised nowhere else.
    sys.unraisablehook = lambda found: lost.append(found.exc_value or OSError("it cannot be written"))
    try:
        left_out = _write(job, source, contents, chosen)
        if lost:
            raise OSError(str(lost[0])) from lost[0]
    except (OSError, RuntimeError) as error:
        words = " ".join(map(str, [error, *lost]))
        if f"errno = {errno.ENOSPC}" in words or f"errno = {errno.EDQUOT}" in words:
            raise CannotRead(FULL) from error
        raise
    return json.dumps({"left_out": left_out}).encode()


def _opened(path: str, ranged: RangedFile | None) -> Any:
    words = "it is damaged, or it is neither HDF5 nor netCDF-4"
    head = ranged.head() if ranged is not None else _head(path)
    if is_classic(head):
        words = "it is of a classic netCDF format; HDF5 and netCDF-4 can be cut"
    try:
        if ranged is None:
            return h5py.File(path, "r", locking=False)
        access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
        access.set_fileobj_driver(h5py.h5fd.fileobj_driver, ranged)
        # Its own reading ahead would ask for bytes that nobody needs.
        access.set_sieve_buf_size(1)
        return h5py.File(h5py.h5f.open(b"remote", h5py.h5f.ACC_RDONLY, access))
    except OSError as error:
        raise CannotRead(words) from error


def _head(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(8)


def _choose(contents: Contents, job: dict[str, Any], bring: Callable[[Sequence[Variable]], None]) -> _Chosen:
    named = _named(contents, job["variables"])
    kept: dict[Dimension, Slices] = {}
    if job["circle"] or job["box"] or job["time"]:
        kept = inside(contents, bring, job["circle"], job["box"], job["time"])
        if not any(kept.values()):
            raise CannotRead(NOTHING)
    wanted = {one.path: one for one in named or contents.variables.values()}
    left_out = [] if job["variables"] else list(contents.left_out)
    if named:
        keys = {key for one in named for key in one.keys}
        wanted |= _coordinates(contents, keys)
    for one in list(wanted.values()):
        for key in one.keys:
            if key[0] == "scale" and key[1] in contents.scales:
                path = contents.scales[key[1]]
                wanted[path] = contents.variables[path]
    found = []
    for path in sorted(wanted):
        one = wanted[path]
        if any(key in kept and not kept[key] for key in one.keys):
            left_out.append(f"{path} has no point inside")
        elif not named and kept and not any(key in kept for key in one.keys) and _is_large(one):
            size = format_bytes(one.data.id.get_storage_size())
            left_out.append(f"{path} ({size}) does not lie along what is cut; name it to have it")
        else:
            found.append(one)
    if named and not any(one in found for one in named):
        raise CannotRead(NOTHING)
    written = [one for one in found if one.data.id.get_storage_size()]
    if sum(_values_of(one, kept) for one in written) > MOST_BYTES:
        raise CannotRead(f"what is kept has more than {format_bytes(MOST_BYTES)}")
    return _Chosen(found, kept, left_out)


def _values_of(one: Variable, kept: dict[Dimension, Slices]) -> int:
    """Bytes of what is kept of a variable, unpacked."""
    return math.prod(size_of(kept_of(one, kept))) * int(one.data.id.get_type().get_size())


def _is_large(one: Variable) -> bool:
    return int(one.data.id.get_storage_size()) > WHOLE_BYTES


def _named(contents: Contents, names: Sequence[str]) -> list[Variable]:
    """The variables of some names; a name without its groups means all that have it.

    Raises:
        CannotRead: there is none of a name.
    """
    found = []
    for name in names:
        path = f"/{name.strip('/')}"
        if any(sign in name for sign in "*?"):
            some = [one for one in contents.variables.values() if fnmatchcase(one.path, f"*{path}")]
            if not some:
                raise CannotRead(f"it has no variable like '{name[:80]}'")
            found += some
            continue
        some = [contents.variables[path]] if path in contents.variables else []
        some = some or [one for one in contents.variables.values() if one.path.endswith(path)]
        if not some:
            raise CannotRead(_unknown(contents, name))
        found += some
    return found


def _unknown(contents: Contents, name: str) -> str:
    left_out = [words for words in contents.left_out if words.startswith(f"/{name.strip('/')} ") or
                f"/{name.strip('/')} " in words]  # fmt: skip
    if left_out:
        return left_out[0]
    path = f"/{name.strip('/')}"
    if any(one.endswith(path) for one in contents.groups):
        return f"'{name[:80]}' is a group of it; name its variables as {path.strip('/')[:80]}/*"
    # Paths are of use where a path was given.
    known = {
        one.path.strip("/") if "/" in name.strip("/") else one.name for one in contents.variables.values()
    }
    folded = {one.lower(): one for one in sorted(known)}
    near = difflib.get_close_matches(name.strip("/").lower(), list(folded), n=3)
    hint = f"; did you mean {', '.join(folded[one] for one in near)}?" if near else ""
    return f"it has no variable '{name[:80]}'{hint}"


def _coordinates(contents: Contents, keys: set[Dimension]) -> dict[str, Variable]:
    """What says where and when the points along some dimensions are."""
    found = {one.path: one for one in times_in(contents) if one.keys[0] in keys}
    for pair in positions_in(contents):
        if keys.issuperset(pair.keys):
            found |= {one.path: one for one in (pair.latitude, pair.longitude)}
    return found


def _described(one: Variable, kept: dict[Dimension, Slices], stretches: list[Stretch]) -> dict[str, Any]:
    has_value = one.data.shape is not None
    try:
        kind = "text" if h5py.check_string_dtype(one.data.dtype) else str(one.data.dtype)
    except (TypeError, ValueError):
        kind = "unknown"
    return {
        "name": one.path,
        "dtype": kind[:200],
        "shape": list(one.shape) if has_value else None,
        "cut": size_of(kept_of(one, kept)) if has_value else None,
        "bytes": _length(stretches),
    }


def _length(stretches: Sequence[Stretch]) -> int:
    return sum(end - begin for begin, end in stretches)


def _spans_of(contents: Contents, chosen: _Chosen) -> list[dict[str, Any]]:
    sizes = {
        key: size for one in chosen.variables for key, size in zip(one.keys, one.shape, strict=True)
    }  # fmt: skip
    return [
        {"dimension": contents.dimension(key), "size": sizes[key], "kept": [list(one) for one in some]}
        for key, some in chosen.kept.items()
        if key in sizes
    ]


def _write(job: dict[str, Any], source: Any, contents: Contents, chosen: _Chosen) -> list[str]:
    with h5py.File(job["out"], "w", libver=("v108", "latest"), locking=False) as target:
        copy = Copy(source, target, contents, chosen.kept)
        copy.run(chosen.variables, all_groups=not job["variables"])
        spans = [f"{one['dimension']} {one['kept']}" for one in _spans_of(contents, chosen)]
        said = {**job["provenance"], "maap_kept": "; ".join(spans) or "all points"}
        history = said.pop("history")
        old = target.attrs.get("history", "")
        old = old.decode("utf-8", "replace") if isinstance(old, bytes) else str(old)
        target.attrs["history"] = f"{history}\n{old}" if old else history
        for name, value in said.items():
            target.attrs[name] = value
    return copy.left_out


def main() -> None:
    """Do the job that the first line of the standard input describes."""
    job = json.loads(sys.stdin.readline())
    finish(lambda: _work(job), cpu_s=CPU_S)


if __name__ == "__main__":
    main()
