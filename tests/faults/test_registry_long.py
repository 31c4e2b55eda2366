"""The figures of the registry and of processes at once, with all their rounds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.faults.beside_peer import measure_beside_peer
from tests.faults.damage import measure_damage
from tests.faults.figure import Figure
from tests.faults.reader import read_beside_writer
from tests.faults.same_file import measure_same_file
from tests.faults.writers import measure_writers

PEER_PYTHON = os.environ.get("MAAP_CLIENT_PYTHON", "")
pytestmark = pytest.mark.long


def check(figure: Figure) -> None:
    print(figure)
    assert figure.kept, str(figure)


@pytest.mark.fault("C2")
def test_f5_sixteen_writers_of_one_day(tmp_path: Path) -> None:
    check(measure_writers(100, tmp_path))


@pytest.mark.fault("C1")
def test_f6_four_processes_on_one_file(tmp_path: Path) -> None:
    check(measure_same_file(100, tmp_path))


@pytest.mark.fault("R1")
@pytest.mark.fault("R2")
@pytest.mark.fault("R4")
def test_f19_ten_thousand_damaged_files(tmp_path: Path) -> None:
    check(measure_damage(10_000, tmp_path))


@pytest.mark.fault("C7")
def test_f20_beside_maap_client(tmp_path: Path) -> None:
    if not PEER_PYTHON:
        pytest.skip("MAAP_CLIENT_PYTHON names no interpreter with maap-client 0.2.1")
    check(measure_beside_peer(50, tmp_path, PEER_PYTHON))


@pytest.mark.fault("C3")
def test_a_hundred_thousand_reads_beside_a_writer(tmp_path: Path) -> None:
    odd, went_round = read_beside_writer(100_000, tmp_path)
    assert odd == []
    assert went_round > 100
