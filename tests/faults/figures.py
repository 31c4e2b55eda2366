"""The table of figures: what is played, how often, and by which other programs too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.faults import (
    answers,
    beside_peer,
    crashes,
    damage,
    disks,
    endings,
    hostile,
    power,
    renewals,
    resuming,
    same_file,
    storms,
    waiting,
    writers,
)
from tests.faults.figure import PEER_PYTHON, Figure
from tests.faults.preloaded import Missing

Measure = Callable[[int, Path], Figure]
Peers = Callable[[int, Path], dict[str, str]]


@dataclass(frozen=True)
class Row:
    """A figure: how it is measured, in how many rounds, and how with other programs."""

    name: str
    """F1 to F21, or the row of the table of faults."""
    words: str
    """What it is about, in a word or two."""
    measure: Measure
    rounds: int
    """0 for every case there is."""
    peers: Peers | None = None
    peer_rounds: int = 0
    is_alone: bool = False
    """Whether it counts what a machine does in a time, so that nothing else may run meanwhile."""

    def __str__(self) -> str:
        return f"{self.name} {self.words}"


def _beside_maap_client(rounds: int, folder: Path) -> Figure:
    if not PEER_PYTHON:
        raise Missing("maap-client 0.2.1: MAAP_CLIENT_PYTHON names no interpreter that has it")
    return beside_peer.measure_beside_peer(rounds, folder, PEER_PYTHON)


ROWS = (
    # What waits for minutes comes first: the others are played meanwhile.
    Row("F13", "outages", waiting.measure_outages, 1),
    Row("F14", "stalls", waiting.measure_stalls, 1),
    Row("F1", "mixed files", resuming.measure_mixed, 100, resuming.peers_mixed, 100),
    Row("F2", "kills", crashes.measure_kills, 1000),
    Row("F3", "every call", crashes.measure_injections, 0),
    Row("F4", "power cuts, ext4", partial(power.measure_power_cuts, kind="ext4"), 40),
    Row("F4", "power cuts, xfs", partial(power.measure_power_cuts, kind="xfs"), 40),
    Row("F5", "writers", writers.measure_writers, 100, writers.peers_writers, 5, is_alone=True),
    Row("F6", "one file", same_file.measure_same_file, 100, same_file.peers_same_file, 10),
    Row("F7", "cuts", resuming.measure_refetched, 10),
    Row("N4", "killed on the way", resuming.measure_killed, 10, is_alone=True),
    Row(
        "N4",
        "killed in ranges",
        partial(resuming.measure_killed, ranges=(1, 2, 4, 5)),
        10,
        is_alone=True,
    ),
    Row("F8", "no data", answers.measure_false_finals, 30, answers.peers_false_finals, 30),
    Row("F9", "strings, piped", hostile.measure_by_hand, len(hostile.BY_HAND)),
    Row(
        "F9",
        "strings, terminal",
        partial(hostile.measure_by_hand, on_terminal=True),
        len(hostile.BY_HAND),
    ),
    Row("F9", "generated strings", hostile.measure_generated, 20_000),
    Row("F10", "bearers", answers.measure_bearers, len(answers.EVERY), answers.peers_bearers, 1),
    Row("F11", "secrets", answers.measure_secrets, len(answers.EVERY)),
    Row("F12", "renewals at once", renewals.measure_renewals, 100),
    Row("F12", "renewals over time", renewals.measure_renewals_over_time, 1000),
    Row("F12", "short renewals", partial(renewals.measure_renewals_over_time, lifetime_s=2.0), 1000),
    Row("F15", "endings", endings.measure_endings, 5, is_alone=True),
    Row("F17", "storms", storms.measure_storm, 1000),
    Row("F18", "full disks", disks.measure_full_disk, 20),
    Row("F19", "damage", damage.measure_damage, 10_000),
    Row("F20", "maap-client", _beside_maap_client, 50),
    Row("F21", "exit codes", answers.measure_exit_codes, len(answers.EVERY)),
    Row("N19", "poor line", waiting.measure_poor_line, 12),
)
