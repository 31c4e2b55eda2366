"""Copying to the clipboard from a terminal, where nothing says whether it was taken."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from textual.app import App

from maap_tui.text import clean

OSC52_LIMIT = 74_000
"""Bytes of base64 that terminals take in one OSC 52."""


async def copy(app: App[Any], text: str, what: str) -> None:
    """Copy by every way there is here; without any, show the text.

    Args:
        app: the app, in whose terminal it is.
        text: what is copied.
        what: the title of what is shown, as in "Copied the command".
    """
    if os.environ.get("TMUX") and await _load_into_tmux(text):
        app.notify(clean(text, 200), title=what, markup=False)
        return
    if len(text.encode()) * 4 // 3 < OSC52_LIMIT:
        app.copy_to_clipboard(text)
    if os.environ.get("SSH_TTY") or not os.environ.get("DISPLAY"):
        # Nothing says whether the terminal took it, so the text is shown for selection as well.
        from maap_tui.tui.dialogs.show_text import TextDialog

        app.push_screen(TextDialog(what, text))
    else:
        app.notify(clean(text, 200), title=what, markup=False)


async def _load_into_tmux(text: str) -> bool:
    try:
        process = await asyncio.create_subprocess_exec(
            "tmux", "load-buffer", "-w", "-",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        await asyncio.wait_for(process.communicate(text.encode()), 3)
    except (OSError, TimeoutError):
        return False
    return process.returncode == 0
