"""The names that users of maap-client 0.2.1 import and call: here under the same names, taken alike."""

from __future__ import annotations

import importlib
import json
import pickle
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import maap_tui
from maap_tui import (
    AuthenticationError,
    AuthServiceUnavailable,
    BaselineInfo,
    Catalog,
    DownloadError,
    GranuleInfo,
    MaapClient,
    constants,
    exceptions,
    paths,
    tracker,
    utils,
)
from maap_tui.demo import Archive
from tests.client import surface
from tests.client.conftest import AUX, DAY, HOUR, L2, NAMES
from tests.faults.figure import PEER_PYTHON
from tests.homes import PATIENCE_S, requests_of

CLASSES = {
    "search:MaapSearcher": "client:Searcher",
    "catalog_query:CatalogQueryables": "client:CatalogQueryables",
    "catalog_query:CatalogQueryablesManager": "client:CatalogQueryablesManager",
}
"""Classes whose objects a client hands out, there and here."""

RECORDED: dict[str, Any] = json.loads(Path(__file__).with_name("maap_client_0_2_1.json").read_text())
"""`surface` of maap-client 0.2.1."""

OTHERWISE = {
    ":BaselineInfo": {"time_range": "a property that gives a TimeRange"},
    "search:MaapSearcher": {"client": "the pystac Client behind it", "init": "made by the client"},
    "catalog_query:CatalogQueryablesManager": {"init": "made by the client"},
}
"""What is not as it is there, on purpose."""

ABSENT = {"constants:DEFAULT_CHUNK_SIZE"}
"""The size of the pieces that the other program reads; nothing here is like it."""


def ours(place: str) -> Any:
    module, _, name = CLASSES.get(place, place).partition(":")
    return getattr(importlib.import_module(f"maap_tui.{module}" if module else "maap_tui"), name)


def takes_the_same(theirs: list[list[Any]], mine: list[list[Any]]) -> bool:
    """Whether every call that one takes is taken by the other: the same names in order, no more demanded."""
    first = mine[: len(theirs)]
    return [name for name, _ in first] == [name for name, _ in theirs] and not any(
        is_demanded and not (theirs[number][1] if number < len(theirs) else False)
        for number, (_, is_demanded) in enumerate(mine)
    )


@pytest.mark.parametrize("place", sorted(RECORDED.keys() - ABSENT))
def test_name_is_here_and_takes_the_same(place: str) -> None:
    theirs, mine = RECORDED[place], surface.describe(ours(place))
    if not isinstance(theirs, dict):
        assert takes_the_same(theirs, mine) if isinstance(theirs, list) else theirs in (mine, "int")
        return
    other = OTHERWISE.get(place, {})
    if theirs["init"] is not None and "init" not in other:
        assert takes_the_same(theirs["init"], mine["init"])
    for name, value in theirs["members"].items():
        if name in other or name.isupper():
            continue
        if value == "property":
            assert hasattr(ours(place), name) or name in mine["members"]
        else:
            assert takes_the_same(value, mine["members"][name]), name


@pytest.mark.skipif(not PEER_PYTHON, reason="MAAP_CLIENT_PYTHON names no interpreter with maap-client 0.2.1")
def test_recorded_names_are_those_of_maap_client() -> None:
    words = [PEER_PYTHON, surface.__file__, "maap_client", *CLASSES]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    assert json.loads(done.stdout) == RECORDED


def test_modules_are_attributes_and_cost_nothing_before() -> None:
    code = (
        "import sys, maap_tui\n"
        "loaded = [name for name in sys.modules if name.startswith('maap_tui.')]\n"
        "assert loaded == ['maap_tui.version'], loaded\n"
        "assert maap_tui.paths.extract_mission('ECA_x') == 'ECA'\n"
        "assert 'httpx' not in sys.modules and 'textual' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE_S)


CLD = "ECA_EXBC_CPR_CLD_2A_20251201T001203Z_20251201T083112Z_08574D"
WIND = "AE_OPER_ALD_U_N_1B_20230422T165721033_005543989_027018_0001"
WIND_2B = "AE_RPRO_ALD_U_N_2B_20190430T015241_20190430T041441_0003"
CLD_URL = f"{paths.EARTHCARE_DATA_URL}/CPR_CLD_2A/BC/2025/12/01/{CLD}/{CLD}/{CLD}.h5"
WIND_URL = f"https://h/data/ALD_U_N_1B/1B16/2023/04/22/{WIND}.DBL"

FACTS: list[tuple[str, dict[str, Any]]] = [
    (
        CLD_URL,
        {
            "sensing_time": datetime(2025, 12, 1, 0, 12, 3, tzinfo=UTC),
            "creation_time": datetime(2025, 12, 1, 8, 31, 12, tzinfo=UTC),
            "orbit_frame": "08574D",
            "agency": "EX",
            "baseline": "BC",
            "product": "CPR_CLD_2A",
            "mission": "ECA",
            "file_class": None,
            "duration_ms": None,
            "file_version": None,
        },
    ),
    (
        WIND_URL,
        {
            "sensing_time": datetime(2023, 4, 22, 16, 57, 21, 33000, tzinfo=UTC),
            "creation_time": None,
            "orbit_frame": "027018",
            "agency": "EX",
            "baseline": "1B16",
            "product": "ALD_U_N_1B",
            "mission": "AE",
            "file_class": "OPER",
            "duration_ms": 5543989,
            "file_version": "0001",
        },
    ),
    (
        f"{WIND_2B}.DBL",
        {
            "sensing_time": datetime(2019, 4, 30, 1, 52, 41, tzinfo=UTC),
            "creation_time": None,
            "orbit_frame": None,
            "agency": "EX",
            "baseline": None,
            "product": "ALD_U_N_2B",
            "mission": "AE",
            "file_class": "RPRO",
            "duration_ms": None,
            "file_version": "0003",
        },
    ),
    ("notes.txt", dict.fromkeys(("sensing_time", "baseline", "product", "mission", "agency"))),
    ("x_20250101T000000Z_y.h5", {"sensing_time": datetime(2025, 1, 1, tzinfo=UTC), "product": None}),
]
"""What maap-client 0.2.1 reads out of names."""


@pytest.mark.parametrize(("uri", "facts"), FACTS)
def test_names_say_the_same(uri: str, facts: dict[str, Any]) -> None:
    assert {name: getattr(paths, f"extract_{name}")(uri) for name in facts} == facts


@pytest.mark.skipif(not PEER_PYTHON, reason="MAAP_CLIENT_PYTHON names no interpreter with maap-client 0.2.1")
def test_facts_of_names_are_those_of_maap_client() -> None:
    code = (
        "import json, sys; from maap_client import paths\n"
        "rows = json.loads(sys.argv[1])\n"
        "print(json.dumps([[str(getattr(paths, 'extract_' + name)(uri)) for name in names]"
        " for uri, names in rows]))"
    )
    rows = json.dumps([[uri, list(facts)] for uri, facts in FACTS])
    done = subprocess.run([PEER_PYTHON, "-c", code, rows], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[str(value) for value in facts.values()] for _, facts in FACTS]


def test_paths_there_and_back() -> None:
    path = paths.url_to_local_path(CLD_URL, Path("/d"), "EarthCARE", L2)
    assert path == Path(f"/d/EarthCARE/{L2}/CPR_CLD_2A/BC/2025/12/01/{CLD}.h5")
    assert paths.extract_collection(path) == L2
    assert paths.extract_collection(f"/d/EarthCARE/{L2}/CPR_CLD_2A/BC/2025/12/02/{CLD}.h5") is None
    assert paths.filename_to_url(str(path)) == CLD_URL and paths.filename_to_url(WIND_URL) is None
    own = paths.url_to_local_path(CLD_URL, Path("/d"), "EarthCARE", L2, product_dir=True)
    assert own is not None and own.parent.name == CLD and paths.extract_collection(own) == L2
    assert paths.url_to_local_path("https://h/x.h5", Path("/d"), "EarthCARE", L2) is None
    info = GranuleInfo(**paths.extract_info(CLD_URL))
    assert (info.filename, info.orbit_frame) == (f"{CLD}.h5", "08574D")
    when = datetime(2025, 1, 2, tzinfo=UTC)
    made = paths.generate_data_path(Path("d"), "M", "C", "P", "B", when, "f.h5", product_dir=True)
    assert made == Path("d/M/C/P/B/2025/01/02/f/f.h5")
    assert paths.generate_registry_path(Path("r"), "urls", "M", "C", "P", "B") == Path("r/urls/M/C/P/B")
    with pytest.raises(ValueError, match="refused the name"):
        paths.generate_registry_path(Path("r"), "urls", "M", "..", "P", "B")


def test_lists_of_names() -> None:
    later = CLD.replace("20251201T0012", "20251202T0012") + ".h5"
    names = [later, "none.txt", f"{CLD}.h5", WIND_URL]
    assert paths.sort_by_sensing_time(names) == [WIND_URL, f"{CLD}.h5", later, "none.txt"]
    assert paths.sort_by_sensing_time(names, reverse=True) == [later, f"{CLD}.h5", WIND_URL, "none.txt"]
    assert paths.filter_by_sensing_time(names) == names
    assert paths.filter_by_sensing_time(names, DAY, DAY + timedelta(hours=1)) == [f"{CLD}.h5"]
    assert paths.filter_by_orbit_frame(names, 27018) == [WIND_URL]
    assert paths.filter_by_orbit_frame(names, frames=["D"]) == [later, f"{CLD}.h5"]


def test_times_frames_and_orbits() -> None:
    moment = datetime(2025, 1, 2, 3, 4, 5, 600, timezone(timedelta(hours=1)))
    assert utils.to_zulu(moment) == "2025-01-02T02:04:05Z" == utils.to_zulu(datetime(2025, 1, 2, 2, 4, 5))
    assert utils.to_stac_datetime(DAY, moment) == ["2025-12-01T00:00:00Z", "2025-01-02T02:04:05Z"]
    assert utils.timezone_is_aware(DAY) and not utils.timezone_is_aware(datetime(2025, 1, 1))
    shown = [utils.format_time_range(*both) for both in ((DAY, DAY), (DAY, None), (None, DAY), (None, None))]
    zulu = "2025-12-01T00:00:00Z"
    assert shown == [f" [{zulu} - {zulu}]", f" [from {zulu}]", f" [to {zulu}]", ""]
    assert utils.parse_datetime("2025-12-01") == DAY == utils.parse_datetime("2025-12-01T01:00:00+01:00")
    assert utils.parse_frames(" c, d ,C") == ["C", "D"] and utils.parse_orbit("01525e") == (1525, "E")
    assert utils.parse_orbit(" 1525 ") == (1525, None)
    for wrong in ("1-2", "x", "1525Z"):
        with pytest.raises(ValueError, match=r"orbit|frames"):
            utils.parse_orbit(wrong)
    first, last = utils.normalize_time_range(None, None, DAY, DAY + timedelta(days=1))
    assert (first, last) == (DAY, DAY + timedelta(days=1))
    assert (
        utils.normalize_time_range(DAY, None, DAY - timedelta(1), datetime(2990, 1, 1, tzinfo=UTC))[1] > DAY
    )


def test_constants(clean_home: Path) -> None:
    assert maap_tui.COLLECTIONS == constants.DEFAULT_COLLECTIONS and L2 in maap_tui.COLLECTIONS
    assert constants.DEFAULT_MISSION_END == "2045-12-31T23:59:59Z"
    (clean_home / ".maap").mkdir()
    assert constants.DEFAULT_DATA_DIR == str(clean_home / ".maap" / "data")
    with pytest.raises(AttributeError, match="no attribute"):
        _ = constants.DEFAULT_NOTHING


class _Foreign(Exception):
    class response:
        status_code = 403


def test_exit_codes() -> None:
    error = DownloadError("https://h/x", "404 Not Found", 404, permanent=True)
    cases: list[tuple[BaseException, int]] = [
        (AuthServiceUnavailable("busy"), 3),
        (AuthenticationError("401"), 2),
        (error, 4),
        (exceptions.BatchDownloadAborted(3, 2, error), 3),
        (exceptions.InvalidRequestError("no"), 4),
        (_Foreign("denied"), 2),
        (OSError("gone"), 3),
    ]
    assert [exceptions.classify_exit_code(one) for one, _ in cases] == [code for _, code in cases]
    for one, _ in cases[:5]:
        copy = pickle.loads(pickle.dumps(one))
        assert (type(copy), str(copy), copy.__dict__.keys()) == (type(one), str(one), one.__dict__.keys())


def test_aborted_batch_says_how_far_it_came(client: MaapClient, archive: Archive) -> None:
    archive.faults.add(target="data", status=500)
    with pytest.raises(exceptions.BatchDownloadAborted) as caught:
        client.sync(*NAMES, **HOUR, max_consecutive_failures=2)
    assert (caught.value.downloaded, caught.value.failed) == (0, 2)
    assert caught.value.last_error.status_code == 500


def test_baseline_info_there_and_back() -> None:
    info = BaselineInfo(DAY, DAY + timedelta(days=1), count=3)
    data = info.to_dict()
    assert data["time_start"] == "2025-12-01T00:00:00Z" and "frame_start" not in data
    assert BaselineInfo.from_dict(data) == info and list(info.to_dict(sort_keys=True)) == sorted(data)
    assert BaselineInfo().count == 0


class Station(Catalog):
    """A catalogue as scripts make their own."""

    SORT_KEYS = False
    DEDUPE_STR_LISTS = True

    def __init__(
        self,
        name: str = "",
        since: datetime | None = None,
        parts: dict[str, Catalog] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.name, self.since, self.parts = name, since, parts or {}
        self._hidden = 1


def test_own_catalogues_there_and_back() -> None:
    station = Station("x", DAY, {"b": Station("y"), "a": Station("z")}, tags=["1", "1", "2"])
    data = station.to_dict()
    assert list(data) == ["tags", "name", "since", "parts"]
    assert (data["since"], data["tags"]) == ("2025-12-01T00:00:00Z", ["1", "2"])
    assert list(station.to_dict(sort_keys=True)["parts"]) == ["a", "b"]
    again = Station.from_dict(json.loads(json.dumps(data)))
    assert again.since == DAY and again.to_dict() == data and isinstance(again.parts["a"], Catalog)
    assert "name='x'" in repr(again) and "_hidden" not in repr(again)


def test_client_catalog(client: MaapClient, archive: Archive, home: Path) -> None:
    catalog = client.catalog
    known = catalog.load(L2)
    assert known.collection == L2 and known.list_products() == client.list_products(L2)
    assert known.list_baselines() == client.list_baselines(L2) and known.supports_orbit()
    asked = requests_of(archive, "catalogue")
    assert catalog.load(L2).to_dict() == known.to_dict() and requests_of(archive, "catalogue") == asked
    assert json.loads(catalog.get_path(L2).read_text())["collection"] == L2
    assert list(catalog.download([AUX])) == [AUX] and catalog.list_downloaded() == [L2, AUX]
    assert "properties" in catalog.fetch(AUX)
    client.config.catalog_dir = home / "other"
    assert catalog.get_path(L2).parent == home / "other" and catalog.list_downloaded() == []


def test_searcher_counts_and_ranges(client: MaapClient) -> None:
    searcher = client.searcher
    assert searcher.search_has_any_product(*NAMES) and searcher.search_has_any_product(*NAMES, **HOUR)
    before = {"start": DAY - timedelta(days=3000), "end": DAY - timedelta(days=2999)}
    assert not searcher.search_has_any_product(*NAMES, **before)
    assert searcher.search_product_count(*NAMES, **HOUR) >= len(client.search(*NAMES, **HOUR).urls)
    assert searcher.search_baselines(AUX, "AUX_MET_1D", mode="latest") == ["BC"]
    assert searcher.search_baselines(L2, "CPR_CLD_2A", ["BC", "AG"], **HOUR) == ["BC"]
    both = searcher.search_product_info_range(*NAMES, **HOUR)
    names = [url.rpartition("/")[2] for url in client.search(*NAMES, **HOUR).urls]
    assert both is not None and [one.filename for one in both] == [names[0], names[-1]]


def test_tracker_made_of_folders(tmp_path: Path) -> None:
    made = tracker.StateTracker(tmp_path / "r", "EarthCARE", *NAMES, data_dir=tmp_path / "d")
    assert made.add_urls([CLD_URL]) == 1 and not (tmp_path / "d").exists()
    found = tracker.GlobalStateTracker(tmp_path / "r", "EarthCARE", tmp_path / "d")
    assert found.list_tracked() == [NAMES]
    path = tmp_path / "d" / "EarthCARE" / Path(*NAMES) / "2025" / "12" / "01" / f"{CLD}.h5"
    assert found.get_tracker(L2, "CPR_CLD_2A", "bc").load_urls_with_paths() == [(CLD_URL, str(path))]
    assert found.get_all_stats()[NAMES]["pending_downloads"] == 1
