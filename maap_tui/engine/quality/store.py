"""The notices as they were read last, each kind in a file with its source and time, below the state folder.

They may be deleted at any time: `maap quality update` reads them again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from maap_tui.engine.config.dirs import AppDirs
from maap_tui.engine.errors import InvalidRequestError, StorageError
from maap_tui.engine.events import Emit, Warned, ignore
from maap_tui.engine.missions import MISSIONS
from maap_tui.engine.model import parse_zulu, to_zulu
from maap_tui.engine.quality.notices import Kind, Notice, Notices
from maap_tui.engine.storage import files

KINDS: tuple[Kind, ...] = ("gap", "disclaimer")
STALE = timedelta(days=30)
"""Age from which it is said that there may be newer ones."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The notices of one kind, as they were read last."""

    kind: Kind
    source: str
    """The file or address."""
    updated: datetime
    """When it was read, UTC."""
    notices: tuple[Notice, ...]
    refused: int = 0
    """Rows of the sheet that cannot be used."""

    def is_stale(self, now: datetime) -> bool:
        """Whether there may be newer ones."""
        return now - self.updated > STALE


class Quality:
    """What is known of gaps and disclaimers on this machine. For any thread."""

    def __init__(self, where: AppDirs, emit: Emit = ignore) -> None:
        """Take where it is; nothing is opened."""
        self._folder = where.state_dir / "quality"
        self._emit = emit
        self._read: tuple[tuple[object, ...], dict[Kind, Stored], Notices] | None = None

    def file(self, kind: Kind) -> Path:
        """Where the notices of a kind are."""
        return self._folder / f"{kind}s.json"

    def stored(self) -> dict[Kind, Stored]:
        """What there is, by kind; what cannot be read is reported once and left out."""
        return self._load()[0]

    def notices(self) -> Notices:
        """All notices."""
        return self._load()[1]

    def _load(self) -> tuple[dict[Kind, Stored], Notices]:
        stamp = tuple(_stamp(self.file(kind)) for kind in KINDS)
        if self._read is not None and self._read[0] == stamp:
            return self._read[1:]
        found: dict[Kind, Stored] = {}
        for kind, mark in zip(KINDS, stamp, strict=True):
            if mark is None:
                continue
            try:
                found[kind] = _stored_of(kind, json.loads(files.read_data(self.file(kind))))
            except (StorageError, InvalidRequestError, ValueError, RecursionError, TypeError, KeyError):
                self._emit(Warned(f"{self.file(kind)} cannot be read; `maap quality update` writes it again"))
        notices = Notices([one for stored in found.values() for one in stored.notices])
        self._read = (stamp, found, notices)
        return found, notices

    def save(self, stored: Stored) -> None:
        """Replace the notices of a kind.

        Raises:
            StorageError: they cannot be written; those before stay.
        """
        head = {
            "source": stored.source,
            "updated": to_zulu(stored.updated),
            "refused": stored.refused,
        }
        rows = ",\n".join(json.dumps(one.record()) for one in stored.notices)
        text = json.dumps(head)[:-1] + f', "notices": [\n{rows}\n]}}\n'
        files.write_atomic(self.file(stored.kind), text)


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _stored_of(kind: Kind, data: Any) -> Stored:
    return Stored(
        kind,
        str(data["source"]),
        parse_zulu(data["updated"]),
        tuple(_notice(kind, one) for one in data["notices"]),
        int(data["refused"]),
    )


def _notice(kind: Kind, row: Mapping[str, Any]) -> Notice:
    first, last = (_spot(row[name]) for name in ("first_frame", "last_frame"))
    start, end = (parse_zulu(row[name]) if row[name] else None for name in ("start", "end"))
    if (
        row["mission"] not in MISSIONS
        or (start is None) != (end is None)
        or (first is None) != (last is None)
    ):
        raise ValueError
    return Notice(
        kind, str(row["id"]), row["mission"], _texts(row["products"]), _texts(row["baselines"]), start, end,
        first, last, str(row["text"]), str(row["link"]),
    )  # fmt: skip


def _texts(value: Sequence[Any]) -> tuple[str, ...]:
    return tuple(map(str, value))


def _spot(text: str | None) -> tuple[int, str] | None:
    if not text:
        return None
    frame = text[-1] if text[-1].isalpha() else ""
    return int(text.removesuffix(frame)), frame
