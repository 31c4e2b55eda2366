"""What the tests of faults share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.preloaded import Preloaded


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Preloaded]:
    """Starts commands at once; to import everything takes longer than most of them."""
    with Preloaded(tmp_path_factory.mktemp("printed")) as server:
        yield server
