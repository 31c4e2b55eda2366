"""What a scenario counted: a row of the table of figures."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

PEER_PYTHON = os.environ.get("MAAP_CLIENT_PYTHON", "")
"""An interpreter with maap-client 0.2.1, '' for none; read early: tests run without such variables."""


@dataclass(frozen=True)
class Figure:
    """One figure, as `bench/faults.py` prints it."""

    name: str
    """F1 to F21."""
    what: str
    """What was done, with its numbers: "100 resumes"."""
    target: str
    """What was promised: "0 mixed"."""
    seen: str
    """What came of it: "0 mixed"."""
    kept: bool
    """Whether the promise held."""
    beside: dict[str, str] = field(default_factory=dict)
    """The same of other programs, by their name."""
    at_any_speed: bool | None = None
    """Whether what holds at any speed of the machine held; None where all of the promise does."""

    @property
    def holds(self) -> bool:
        """What a test asserts: a rate is judged by bench/faults.py alone."""
        return self.kept if self.at_any_speed is None else self.at_any_speed

    def __str__(self) -> str:
        return f"{self.name} {self.what}: {self.seen} (promised: {self.target})"
