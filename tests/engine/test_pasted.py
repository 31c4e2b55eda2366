"""What pasted texts ask for, and where the files that they name belong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from maap_tui.engine.model import Granule, TimeRange, granule_record
from maap_tui.engine.query import Query
from maap_tui.engine.saved_searches import Choices
from maap_tui.engine.session import Session
from maap_tui.engine.workflows.pasted import SWITCHES, VERBS, PastedFile, read
from maap_tui.engine.workflows.placing import place
from tests.homes import Ended
from tests.verbatim import COLLECTION, DATA

ID = "ECA_EXBC_CPR_CLD_2A_20251201T003133Z_20251202T041523Z_07655C"
ROOT = "https://catalog.maap.eo.esa.int"
URL = f"{ROOT}/data/EarthCARE/CPR_CLD_2A/BC/2025/12/01/{ID}/{ID}.h5"
ORBIT: Choices = {"product": "CPR_CLD_2A", "baseline": "BC", "orbit": "07655C"}
L2 = "EarthCAREL2Validated_MAAP"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.secret.secret"


@pytest.mark.parametrize(
    ("text", "url", "name"),
    [
        (ID, "", ID),
        (f"{ID}.h5", "", f"{ID}.h5"),
        (f"/data/2025/{ID}.h5", "", f"{ID}.h5"),
        (f"  '{URL}',\n", URL, f"{ID}.h5"),
        (f"HTTPS{URL[5:]}", URL, f"{ID}.h5"),
        (
            f"curl -L -H 'Authorization: Bearer {TOKEN}' \\\n  -e https://x.example/ -o a.h5 '{URL}'",
            URL,
            f"{ID}.h5",
        ),
        (f"$ curl --url={URL} -O", URL, f"{ID}.h5"),
    ],
)
def test_a_name_of_a_granule_is_a_search_for_it_and_a_download(text: str, url: str, name: str) -> None:
    found = read(text)
    assert found is not None and not found.problem and not found.left
    assert found.choices == ORBIT and found.granule == ID
    assert found.files == (PastedFile(url, name),)
    assert TOKEN not in repr(found)


def test_the_address_of_an_item_names_its_collection() -> None:
    found = read(f"{ROOT}/catalogue/collections/{L2}/items/{ID}?f=json")
    assert found is not None and found.choices == {"collection": L2, **ORBIT}
    assert found.files == (PastedFile("", ID, L2),)


def test_several_are_taken_once_each_without_what_is_not_a_name() -> None:
    other = URL.replace("07655C", "07655D")
    found = read(f"# of today\n{URL}|some where.h5\n{other} and\n{URL}\n{ID}\n")
    assert found is not None and found.choices is None
    assert [one.url for one in found.files] == [URL, other, ""]
    assert found.left == ("1 of the words, which name no file",)
    assert read("clouds over Finland") is read("") is read("CPR_CLD_2A") is None


@pytest.mark.parametrize("file", sorted(DATA.glob("*.json")), ids=lambda file: file.stem[-6:])
def test_an_item_is_its_search_and_its_data_file(file: Path) -> None:
    text = file.read_text()
    item = json.loads(text)
    found = read(text)
    assert found is not None and found.granule == item["id"]
    wanted = {"product": "MSI_COP_2A", "baseline": "BA", "orbit": item["id"][-6:]}
    assert found.choices == {"collection": COLLECTION, **wanted}
    assert [(one.name, one.collection) for one in found.files] == [(f"{item['id']}.h5", COLLECTION)]
    several = read(json.dumps({"type": "FeatureCollection", "features": [item, item | {"id": ID}]}))
    assert several is not None and several.granule == item["id"] and len(several.files) == 1


def test_lines_of_a_search_are_their_files() -> None:
    first = json.dumps({"url": URL, "collection": L2, "id": ID})
    found = read(f"{first}\n{first.replace('07655C', '07655D')}\n" + '{"count": 5}')
    assert found is not None
    assert [one.collection for one in found.files] == [L2, L2]
    assert found.choices is None and found.left == ("1 of the objects, which name no file",)
    alone = read(first)
    assert alone is not None and alone.choices == {"collection": L2, **ORBIT}


@pytest.mark.parametrize(
    ("line", "choices", "left"),
    [
        (
            f"maap search {L2} CPR_CLD_2A BC --date 2025-12-01 --bbox -10,50,5,60 --newest-first --count > n",
            {"baseline": "BC", "date": "2025-12-01", "bbox": "-10,50,5,60", "newest_first": True},
            ("what follows >", "--count"),
        ),
        (
            f"maap -d /data get {L2} \\\n CPR_CLD_2A -d7 -n 5 --orbit=07655C -o out --area a.json",
            {"days_back": 7, "max_items": 5, "orbit": "07655C"},
            ("-d", "-o", "--area"),
        ),
        (f"MAAP_TOKEN={TOKEN} maap sync {L2} CPR_CLD_2A -q", {"days_back": 3}, ("-q",)),
        (
            f"# weekly\nmaap plan {L2} CPR_CLD_2A -s 2025-12-01 -e '2025-12-02 06:00'\nmaap list",
            {"start": "2025-12-01", "end": "2025-12-02 06:00"},
            ("one more line",),
        ),
    ],
)
def test_a_command_line_is_a_search(line: str, choices: Choices, left: tuple[str, ...]) -> None:
    found = read(line)
    assert found is not None and not found.problem
    assert found.choices == {"collection": L2, "product": "CPR_CLD_2A", **choices}
    assert found.left == left and not found.files
    assert TOKEN not in repr(found)


def test_a_download_of_a_url_is_that_file() -> None:
    found = read(f"maap download {L2} -u {URL} --out-dir x")
    assert found is not None and found.files == (PastedFile(URL, f"{ID}.h5", L2),)
    assert found.left == ("--out-dir",) and found.choices == {"collection": L2, **ORBIT}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("maap registry status", "`maap registry` does not search"),
        ("maap --help", "`maap` does not search"),
        (f"maap search {L2}", "COLLECTION PRODUCT [BASELINE]"),
        ("maap search --saved weekly", "Type the name of the saved search here: weekly"),
        (f"maap search {L2} 'CPR", "A quote"),
        (f"maap search {L2} CPR_CLD_2A -d x", "--days-back must be a whole number"),
        (f"maap search {L2} CPR_CLD_2A --date", "--date has no value"),
        (f"maap search {L2} CPR_CLD_2A --end 2025-12-01", "--end needs --start"),
        (f"maap search {L2} CPR_CLD_2A -d 2 -s 2025-12-01", "--days-back cannot be used with --start"),
        (f"maap search {L2} CPR_CLD_2A --date soon", "soon"),
        (f"maap search {L2} CPR_CLD_2A --radius 5", "--radius needs --point"),
        (f"maap search {L2} CPR_CLD_2A --bbox=1,2,3,4 --point 1,2", "--bbox cannot be used with --point"),
        (f"maap search {L2} CPR_CLD_2A --date $(date +%F)", "only a shell replaces it"),
        (f"maap download {L2} -f urls.txt", "paste what it holds"),
        (f"maap download {L2} -u urls.txt", "--url does not hold a URL"),
        ("curl -O", "names no URL"),
        (f"curl -X POST {URL}", "sends data"),
        (f"curl -dx=y {URL}", "sends data"),
        (f"curl '{URL}", "A quote"),
        ("[1]", "not whole JSON"),
        ('{"type": "Feature",', "not whole JSON"),
        ("[" * 100_000, "not whole JSON"),
        ('{"type": "Feature"}', "neither an item nor a line"),
        ('{"type": "Feature", "id": "x", "assets": {}}', "cannot be used"),
        ("[]", "holds no item"),
    ],
)
def test_what_cannot_be_taken_is_said_in_a_sentence(text: str, words: str) -> None:
    found = read(text)
    assert found is not None and words in found.problem and found.problem.endswith((".", "`"))
    assert not found.files and found.choices is None


def test_options_without_a_value_are_those_of_the_commands(maap: Callable[..., Ended]) -> None:
    switches = set()
    for verb in VERBS:
        for line in maap(verb, "-h").lines:
            flags = re.match(r"  (-\w, )?(--[a-z-]+)(  |$)", line)
            if flags is not None:
                switches |= {flags[2], (flags[1] or flags[2]).rstrip(", ")}
    assert switches | {"-vv"} == SWITCHES


async def first_of_day(session: Session) -> Granule:
    day = TimeRange(datetime(2025, 12, 1, tzinfo=UTC), datetime(2025, 12, 2, tzinfo=UTC))
    async for page in session.search(Query(L2, "CPR_CLD_2A", "BC", time=day, max_items=1)):
        return page.granules[0]
    raise AssertionError("the archive is empty")


async def test_files_are_placed_where_the_archive_has_them(session: Callable[..., Session]) -> None:
    async with session() as opened:
        granule = await first_of_day(opened)
        asset = granule.files(("h5",))[0]
        record = read(json.dumps(granule_record(granule, asset)))
        assert record is not None
        known = opened.index.load()
        elsewhere = "https://example.org/some/thing.h5"
        missing = PastedFile("", ID[:-1] + "H")
        files = [
            PastedFile(asset.href, asset.name),
            PastedFile("", asset.name),
            PastedFile("", granule.id, L2),
            *record.files,
            PastedFile(elsewhere, "thing.h5"),
            missing,
        ]
        placed = await place(opened, files, known)
        assert [one.url for one in placed.requests] == [asset.href] * 4
        assert {one.key for one in placed.requests} == {opened.filing.key_of(granule)}
        assert placed.homeless == [elsewhere]
        assert placed.refused == [f"{missing.name}: no collection known here has it"]
