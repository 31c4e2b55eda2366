"""The rare events of the engine that become messages; bytes never do.

See docs/architecture.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message

from maap_tui.engine.events import Event


@dataclass
class EngineNews(Message):
    """The engine reported something rare: a warning, a failure, a sign-in that is needed."""

    event: Event


class InputDone(Message):
    """The key or click before it was handled: posted to the same widget, it bubbles up behind it."""
