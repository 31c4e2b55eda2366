"""What a mode remembers from one run to the next: small JSON files that may be deleted at any time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maap_tui.engine.errors import MaapError
from maap_tui.engine.storage import files
from maap_tui.tui.widgets.row_list import RowList


def recall(path: Path) -> dict[str, Any]:
    """What was remembered; nothing when there is none or it cannot be read."""
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def remember(path: Path, data: Mapping[str, Any]) -> None:
    """Write it; an error is ignored, as this is not worth a dialog."""
    try:
        files.write_atomic(path, json.dumps(data, indent=1) + "\n")
    except MaapError:
        return


class ColumnMemory:
    """The columns chosen for the lists of a mode."""

    def __init__(self, file: Path, *lists: RowList) -> None:
        """Take the file and the lists, which differ by their ids."""
        self._file = file
        self._lists = {str(rows.id): rows for rows in lists}
        self._chosen: dict[str, list[str]] = {}
        self._turn = asyncio.Lock()

    async def restore(self) -> list[RowList]:
        """Show the columns chosen before; gives back the lists that have a choice."""
        found = (await asyncio.to_thread(recall, self._file)).get("columns")
        restored = []
        for name, keys in (found if isinstance(found, dict) else {}).items():
            rows = self._lists.get(name)
            if rows is None or name in self._chosen or not isinstance(keys, list):
                continue
            known = {column.key for column in rows.all_columns}
            chosen = [key for key in keys if isinstance(key, str) and key in known]
            if chosen:
                self._chosen[name] = chosen
                rows.set_columns(chosen)
                restored.append(rows)
        return restored

    async def keep(self, rows: RowList) -> None:
        """Write down what the list shows now."""
        self._chosen[str(rows.id)] = [column.key for column in rows.columns]
        # One write after the other: of two at once the earlier might be the last one on disk.
        async with self._turn:
            await asyncio.to_thread(remember, self._file, {"columns": dict(self._chosen)})
