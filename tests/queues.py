"""A queue with files in it, as an app or a command leaves it that has ended."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from maap_tui.engine.download.queue_store import Queue, QueueRow
from tests.homes import Ended

CLD = ("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")
DAY = ("--date", "2025-12-01")


def leave(
    maap: Callable[..., Ended], home: Path, count: int, *, after: int = 0, **changes: object
) -> list[QueueRow]:
    """Put the first files of a day, or those after some, into the queue of a home; no process has them."""
    rows = []
    for number, line in enumerate(maap("plan", *CLD, *DAY, "-n", count + after).lines[after:], after):
        file = json.loads(line)
        given: dict[str, object] = {
            "path": str(home / "data" / file["path"]),
            "root": str(home / "data"),
            "state": "waiting",
            "position": float(number),
            "verb": "app",
            "changed": time.time(),
        }
        kept = ("url", "size", "mission", "collection", "product_type", "baseline", "day")
        rows.append(QueueRow(**given | {name: file[name] for name in kept} | changes))  # type: ignore[arg-type]
    queue = Queue(home / "state" / "queue.sqlite3")
    assert queue.save(rows)
    queue.close()
    return rows
