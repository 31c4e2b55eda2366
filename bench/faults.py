"""What goes wrong, in figures: every fault played in full, other programs beside where they are.

    python bench/faults.py [F1 F5 ...] [--quick]

Prints a Markdown table, one row a figure; without names all of them, which takes a quarter of an hour.
`--quick` plays a tenth of each. maap-client 0.2.1 takes part where MAAP_CLIENT_PYTHON names an interpreter
that has it, curl, aria2c and wget where they are installed. Ends non-zero when a promise was not kept.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
os.environ["PYTHONPATH"] = str(ROOT)

from tests.faults.figures import ROWS, Row  # noqa: E402
from tests.faults.preloaded import Missing  # noqa: E402


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="FIGURE", help="only these, such as F1")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rounds")
    args = parser.parse_args()
    unknown = set(args.names) - {row.name for row in ROWS}
    if unknown:
        parser.error(f"no such figure: {', '.join(sorted(unknown))}")
    chosen = [row for row in ROWS if not args.names or row.name in args.names]
    print("| | what was done | promised | seen | other programs | seconds |")
    print("|---|---|---|---|---|---|")
    kept = [_play(row, args.quick) for row in sorted(chosen, key=_by_number)]
    return 0 if all(kept) else 1


def _by_number(row: Row) -> tuple[str, int]:
    return row.name[0], int(row.name[1:])


def _play(row: Row, is_quick: bool) -> bool:
    """Measure a figure and print its row; returns whether the promise was kept."""
    begun = time.monotonic()
    others: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="maap-faults-") as folder:
        try:
            figure = row.measure(_rounds(row.rounds, is_quick), _made(folder, "ours"))
        except Missing as missing:
            print(f"| {row.name} | {row.words}: left out, needs {missing} | | | | |", flush=True)
            return True
        if row.peers is not None:
            others = row.peers(_rounds(row.peer_rounds, is_quick), _made(folder, "others"))
    seen = figure.seen if figure.kept else f"**{figure.seen}**"
    beside = "; ".join(f"{name}: {words}" for name, words in (figure.beside | others).items())
    cells = (row.name, figure.what, figure.target, seen, beside, f"{time.monotonic() - begun:.0f}")
    print("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |", flush=True)
    return figure.kept


def _made(folder: str, name: str) -> Path:
    path = Path(folder, name)
    path.mkdir()
    return path


def _rounds(rounds: int, is_quick: bool) -> int:
    return max(1, rounds // 10) if is_quick else rounds


if __name__ == "__main__":
    sys.exit(main())
