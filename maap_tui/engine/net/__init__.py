"""Net: the one door to the network, and who may pass it."""

from __future__ import annotations

__all__ = [
    "credentials",
    "faults",
    "http",
    "network_env",
    "origins",
    "silence",
    "statuses",
    "tokens",
    "transport",
]
