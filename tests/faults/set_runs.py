"""One run of `maap set sync --hook` that may be killed at an event: a process of its own, for test_set_hooks.

Its words: the number of the event at which it is killed, 0 for never; the rule of the set; the hook.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from maap_tui.engine.events import Event
from maap_tui.engine.hooks import read_hook
from maap_tui.engine.session import Session
from tests.faults.set_archive import SPAN, wanted
from tests.homes import MOMENT, QUICK


async def run(kill_at: int, rule: str, hook: str) -> int:
    count = failed = 0

    def handle(event: Event) -> None:
        nonlocal count, failed
        count += 1
        failed += type(event).__name__ in ("HookFailed", "FileFailed", "DayFailed")
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    async with Session.load(overrides=QUICK, emit=handle, bulk=True, now=lambda: MOMENT) as session:
        done = await session.sync_set(wanted(rule), SPAN, hook=read_hook(hook, "set", 60))
    return 3 if failed or done.downloads.stopped else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(run(int(sys.argv[1]), sys.argv[2], sys.argv[3])))
