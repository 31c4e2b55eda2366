"""The commands and their archive, as the tests of the commands have them."""

from __future__ import annotations

from tests.cli.conftest import archive, asked, home, maap, shared_archive, start

__all__ = ["archive", "asked", "home", "maap", "shared_archive", "start"]
