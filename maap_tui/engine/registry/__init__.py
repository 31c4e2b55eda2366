"""Registry: the text files of what was discovered, downloaded and marked."""

from __future__ import annotations

__all__ = ["deletions", "registry", "view", "watch"]
