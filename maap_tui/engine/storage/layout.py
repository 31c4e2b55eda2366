"""Where a granule's file goes on disk, and the way back from a path to its names."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from contextlib import suppress
from datetime import date
from pathlib import Path

from maap_tui.engine.errors import StorageError
from maap_tui.engine.missions import folder_of
from maap_tui.engine.storage.names import MAX_ARCHIVE_NAME, is_name, safe_file_name, safe_name, shown

_DAY = re.compile(r"(\d{4})/(\d\d)/(\d\d)", re.ASCII)


def granule_path(
    data_dir: Path,
    mission: str,
    collection: str,
    product_type: str,
    baseline: str,
    day: date,
    file_name: str,
    *,
    product_dir: bool = False,
    folder: str = "",
) -> Path:
    """Where a file goes: `{data_dir}/{mission}/{collection}/{product}/{baseline}/YYYY/MM/DD/{file}`.

    Args:
        data_dir: Root of the layout.
        mission: Mission folder, such as `EarthCARE`.
        collection: Collection id.
        product_type: Product type, such as `CPR_CLD_2A`.
        baseline: Baseline, such as `BC`.
        day: Day of the sensing start, UTC.
        file_name: Name of the file.
        product_dir: Whether a folder named after the file's stem comes between.
        folder: A folder that comes between in any case, named after the granule; '' for none.

    Raises:
        InvalidRequestError: A name is refused.
    """
    parts = [safe_name(part, MAX_ARCHIVE_NAME) for part in (mission, collection, product_type, baseline)]
    of_day = data_dir.joinpath(*parts, f"{day.year:04d}", f"{day.month:02d}", f"{day.day:02d}")
    return flat_path(of_day, file_name, product_dir=product_dir, folder=folder)


def flat_path(out_dir: Path, file_name: str, *, product_dir: bool = False, folder: str = "") -> Path:
    """Where a file goes when the user named the folder; `product_dir` and `folder` as in `granule_path`.

    Raises:
        InvalidRequestError: The name is refused.
    """
    name = safe_file_name(file_name)
    if folder:
        return out_dir / safe_name(folder) / name
    return out_dir / Path(name).stem / name if product_dir else out_dir / name


def collection_of(
    path: Path | str, known: Collection[str] | None = None
) -> tuple[str, str, str, date] | None:
    """Read collection, product type, baseline and day back from a path of the dated layout.

    Args:
        path: `.../{mission}/{collection}/{product}/{baseline}/YYYY/MM/DD/[stem/]file`, the stem that of
            the file or of its granule.
        known: Collections that count; None for any.

    Returns:
        The four, or None when the path is not of that layout.
    """
    parts = Path(path).parts
    for end in (len(parts) - 1, len(parts) - 2):
        # The folder between day and file only counts when it is named after the file or its granule.
        if end < 7 or (
            end == len(parts) - 2
            and parts[-2] != Path(parts[-1]).stem
            and parts[-2] != folder_of("/".join(parts[-2:]))
        ):
            continue
        found = _DAY.fullmatch("/".join(parts[end - 3 : end]))
        names = parts[end - 7 : end - 3]
        if not found or not all(is_name(name) for name in names):
            continue
        try:
            day = date(int(found[1]), int(found[2]), int(found[3]))
        except ValueError:
            continue
        _, collection, product_type, baseline = names
        if known is None or collection in known:
            return collection, product_type, baseline, day
    return None


def _resolved(path: Path) -> str:
    """A folder's path without links, whether or not it is there.

    Raises:
        OSError: a link goes in circles.
    """
    # Linux says it of an open folder at once; realpath looks at each part of the path.
    flags = getattr(os, "O_PATH", 0)
    if flags:
        try:
            descriptor = os.open(path, flags | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            descriptor = -1
        if descriptor >= 0:
            try:
                found = os.readlink(f"/proc/self/fd/{descriptor}")
                if os.path.samestat(os.stat(found), os.fstat(descriptor)):
                    return found
            except OSError:
                found = ""  # no /proc, or it was removed meanwhile
            finally:
                os.close(descriptor)
    found = os.path.realpath(path)
    with suppress(FileNotFoundError, NotADirectoryError):
        os.stat(found)  # realpath says nothing of links that go in circles
    return found


def ensure_under(root: Path, path: Path) -> Path:
    """Give back `path` with its folder resolved, which must lie in the resolved `root`, links included.

    Raises:
        StorageError: It leads out of the root, or a link goes in circles.
    """
    try:
        folder = _resolved(path.parent)
        inside = folder if root == path.parent else _resolved(root)
    except (OSError, RuntimeError, ValueError) as error:
        raise StorageError(f"{shown(str(path))} cannot be resolved: {error}") from error
    is_inside = folder == inside or folder.startswith(inside.rstrip(os.sep) + os.sep)
    if path.name in ("", ".", "..") or not is_inside:
        raise StorageError(
            f"refused to write {shown(str(path))}: it leads out of {root}",
            hint="A symbolic link in the data folder points elsewhere; remove it or name the real folder.",
        )
    return Path(folder, path.name)
