"""`maap show`: a granule as the archive has it, its quicklook, and what data files say of themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from maap_tui.demo import Archive
from maap_tui.engine import headers
from tests.homes import Ended

Maap = Callable[..., Ended]
L2 = "EarthCAREL2Validated_MAAP"
ID = "ECA_EXBC_CPR_CLD_2A_20251201T000126Z_20251201T003736Z_08574D"


def test_a_granule_is_shown_with_where_its_files_are(maap: Maap, home: Path) -> None:
    shown = maap("show", f"https://anywhere.example/{ID}.h5")
    assert shown.code == 0, shown.err
    assert f"collection     {L2}" in shown.lines and "cite as        https://doi.org/10.57780/" in shown.out
    assert f"{ID}.h5" in shown.out and shown.out.count("not here") == 3
    assert maap("show", ID, "--headers").code == 4
    assert maap("download", L2, "CPR_CLD_2A", "BC", "--orbit", "08574D").code == 0
    records = [json.loads(line) for line in maap("show", ID, "--json").lines]
    (record,) = [one for one in records if one["format"] == "h5"]
    assert record["properties"]["sci:doi"] == record["doi"]
    path = Path(record["path"])
    assert path.is_relative_to(home) and path.stat().st_size == record["size"]
    by_file, by_name = maap("show", str(path)), maap("show", ID, "--headers")
    assert by_file.out == by_name.out and "    latitude  float32  576  degrees_north" in by_file.lines
    variables = [json.loads(line) for line in maap("show", str(path), "--json").lines]
    assert [one["shape"] for one in variables if one["name"] == "/ScienceData/latitude"] == [[576]]
    path.write_bytes(path.read_bytes()[:3000])
    damaged = maap("show", str(path))
    assert (damaged.code, damaged.out) == (4, "") and "it is damaged or cut off" in damaged.err


def test_its_quicklook_is_written_to_a_file(maap: Maap, archive: Archive, tmp_path: Path) -> None:
    look = tmp_path / "look.jpeg"
    shown = maap("show", ID, "--collection", L2, "--quicklook", look)
    assert shown.code == 0 and "Wrote the quicklook" in shown.err
    assert look.read_bytes().startswith(b"\xff\xd8")
    archive.faults.add(target="data", status=503)
    again = maap("show", ID, "--quicklook", tmp_path / "other.jpeg")
    assert again.code == 3 and "503 Service Unavailable" in again.err
    assert not (tmp_path / "other.jpeg").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing"], "'nothing' is neither a file here nor the name of a granule"),
        (["nothing", "--collection", L2], f"'nothing': {L2} does not have it"),
        ([ID.replace("08574D", "08574E")], "no collection known here has it"),
        (["here.txt"], "here.txt: it is neither HDF5 nor netCDF"),
        (["here.txt", "--headers"], "here.txt is a file here"),
    ],
)
def test_what_there_is_not_is_said(words: list[str], said: str, maap: Maap, tmp_path: Path) -> None:
    (tmp_path / "here.txt").write_text("words")
    shown = maap("show", *words)
    assert (shown.code, shown.out) == (4, "") and said in shown.err


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["table", "json"])
def test_a_file_that_is_not_listed_whole_is_3(maap: Maap, tmp_path: Path, options: tuple[str, ...]) -> None:
    with h5py.File(tmp_path / "long.h5", "w") as file:
        for number in range(headers.MOST_OBJECTS + 20):
            file.create_group(f"g{number:05}")
    shown = maap("show", tmp_path / "long.h5", *options, "--quiet")
    words = f"Warning: Only the first 5,000 groups and variables of {tmp_path / 'long.h5'} are listed"
    assert shown.code == 3 and shown.err.startswith(f"{words}; there are at least 21 more")
    assert len(shown.lines) >= headers.MOST_OBJECTS
