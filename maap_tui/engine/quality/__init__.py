"""Quality: data gaps and disclaimers that the mission publishes, and which granules they are about."""

from __future__ import annotations
