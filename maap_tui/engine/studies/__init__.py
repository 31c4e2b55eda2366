"""Studies: the exact files that a piece of work was done with, frozen so that they can be had again."""

from __future__ import annotations
