from __future__ import annotations

import os
from datetime import date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maap_tui.engine.config import dirs
from maap_tui.engine.config.loading import load, locate
from maap_tui.engine.errors import InvalidRequestError, SettingsError, StorageError
from maap_tui.engine.storage.layout import collection_of, ensure_under, flat_path, granule_path
from maap_tui.engine.storage.names import file_name_of, safe_file_name, safe_name

DAY = date(2025, 3, 14)
NAME = "ECA_EXBC_CPR_CLD_2A_20250314T123456Z_20250315T010203Z_04537E.h5"
HOSTILE = [
    "",
    ".",
    "..",
    "...",
    "/",
    "//",
    "/etc/passwd",
    "../x",
    "a/../b",
    "a/b",
    "a\\b",
    "..\\x",
    "C:\\x",
    "C:x",
    "~",
    "~root",
    "$HOME",
    "-rf",
    "--help",
    ".hidden",
    ".part",
    "a b",
    " a",
    "a ",
    "a\tb",
    "a\nb",
    "a\n",
    "a\rb",
    "a\0b",
    "a\x1b[31mb",
    "a\x7f",
    "a\x85b",
    "a\x9bb",
    "a\u202eb",
    "a\u2066b",
    "a\u200bb",
    "a\ufeffb",
    "é",
    "e\u0301",
    "ａ",
    "٣",
    "a\udcff",
    "a|b",
    "a*b",
    "a?b",
    "a;b",
    "a:b",
    "a'b",
    'a"b',
    "a%2fb",
    "%2e%2e",
    "a#b",
    "a&b",
    "a=b",
    "a,b",
    "a@b",
    "a!b",
    "{a}",
    "[a]",
    "a<b>",
    "a" * 256,
    "é" * 128,
]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path)}


def test_maap_home_stands_for_the_folder(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / ".maap").mkdir()
    environ |= {"MAAP_HOME": "$HOME/other"}
    assert dirs.home(environ) == tmp_path / "other"
    found = locate(load(None, environ, {}), environ)
    assert found == dirs.AppDirs(
        data_dir=tmp_path / "other/data",
        catalog_dir=tmp_path / "other/catalogs",
        built_catalog_dir=tmp_path / "other/built_catalogs",
        registry_dir=tmp_path / "other/registry",
        credentials_file=tmp_path / "other/credentials.txt",
        state_dir=tmp_path / "other/state",
        config_file=tmp_path / "other/config.toml",
    )
    assert not (tmp_path / "other").exists()


def test_maap_home_with_an_unset_variable_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"MAAP_HOME: must be a path, got \$NOWHERE is not set"):
        dirs.home({"MAAP_HOME": "$NOWHERE/x"})


def test_dot_maap_is_the_home_when_it_is_there(tmp_path: Path, environ: dict[str, str]) -> None:
    assert dirs.home(environ) is None
    (tmp_path / ".maap").write_text("a file is no home")
    assert dirs.home(environ) is None
    (tmp_path / ".maap").unlink()
    (tmp_path / ".maap").mkdir()
    assert dirs.home(environ | {"MAAP_HOME": ""}) == tmp_path / ".maap"
    assert locate(load(None, environ, {}), environ).registry_dir == tmp_path / ".maap" / "registry"


def test_otherwise_the_folders_of_the_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("DATA", "CACHE", "CONFIG", "STATE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind.lower()))
    found = locate(load(None, os.environ, {}), os.environ)
    assert found.data_dir == tmp_path / "data/maap/data"
    assert found.registry_dir == tmp_path / "data/maap/registry"
    assert found.catalog_dir == tmp_path / "cache/maap/catalogs"
    assert found.credentials_file == tmp_path / "config/maap/credentials.txt"
    assert found.config_file == tmp_path / "config/maap/config.toml"
    assert found.state_dir == tmp_path / "state/maap"


def test_settings_come_before_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {"MAAP_HOME": "/h", "MAAP_REGISTRY_DIR": "reg", "MAAP_STATE_DIR": "/s"}
    found = locate(load(None, environ, {"paths.data_dir": "/flag"}), environ)
    assert (found.data_dir, found.registry_dir, found.catalog_dir) == (
        Path("/flag"),
        tmp_path / "reg",
        Path("/h/catalogs"),
    )
    assert found.queue_file == Path("/s/queue.sqlite3")
    assert found.journal_file.parent == Path("/s")
    assert found.cache_file("tracks.json") == Path("/s/cache/tracks.json")
    assert found.queryables_file("C_MAAP") == Path("/h/catalogs/C_MAAP_queryables.json")
    assert found.built_catalogue_file("C_MAAP") == Path("/h/built_catalogs/C_MAAP_collection.json")
    for refused in (found.queryables_file, found.built_catalogue_file, found.cache_file):
        with pytest.raises(InvalidRequestError):
            refused("../x")


def test_a_lock_is_the_same_however_its_folder_is_spelled(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    found = locate(load(None, {"MAAP_HOME": str(tmp_path)}, {}), {"MAAP_HOME": str(tmp_path)})
    lock = found.lock_file(tmp_path / "real" / "x.h5")
    assert lock.parent == tmp_path / "state" / "locks" and lock.suffix == ".lock"
    assert lock == found.lock_file(tmp_path / "link" / "x.h5")
    assert lock == found.lock_file(Path(os.path.relpath(tmp_path / "real" / ".." / "real" / "x.h5")))
    assert lock != found.lock_file(tmp_path / "real" / "y.h5")


def test_the_dated_layout() -> None:
    args = (Path("/d"), "EarthCARE", "EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")
    folder = Path("/d/EarthCARE/EarthCAREL2Validated_MAAP/CPR_CLD_2A/BC/2025/03/14")
    assert granule_path(*args, DAY, NAME) == folder / NAME
    assert granule_path(*args, datetime(2025, 3, 14, 23, 59), NAME) == folder / NAME
    assert granule_path(*args, DAY, NAME, product_dir=True) == folder / NAME[:-3] / NAME
    assert flat_path(Path("out"), NAME) == Path("out") / NAME
    assert flat_path(Path("out"), NAME, product_dir=True) == Path("out") / NAME[:-3] / NAME


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_are_refused_in_every_part(name: str) -> None:
    good = ["EarthCARE", "C_MAAP", "CPR_CLD_2A", "BC"]
    for position in range(len(good)):
        parts = [*good[:position], name, *good[position + 1 :]]
        with pytest.raises(InvalidRequestError, match=r"^refused"):
            granule_path(Path("/d"), parts[0], parts[1], parts[2], parts[3], DAY, NAME)
    for product_dir in (False, True):
        with pytest.raises(InvalidRequestError, match=r"^refused") as caught:
            flat_path(Path("/d"), name, product_dir=product_dir)
        assert (
            str(caught.value).isascii() and str(caught.value).isprintable() and len(str(caught.value)) < 200
        )


@pytest.mark.parametrize("name", ["x.h5.part", "x.PART", "x.h5.part.json", "a" * 241])
def test_names_of_parts_and_names_without_room_for_one_are_refused(name: str) -> None:
    assert safe_name(name) == name
    with pytest.raises(InvalidRequestError, match=r"^refused the name"):
        safe_file_name(name)


@pytest.mark.parametrize(
    "name", [NAME, "a", "A+b-c.d_e", "a..b", "a.", "_x", "1B16", "a" * 240, "x.partial", "depart.h5"]
)
def test_good_names_are_kept_as_they_are(name: str) -> None:
    assert safe_file_name(name) == name


ANY_NAME = st.one_of(
    st.text(max_size=12),
    st.text("./\\%-_aB0+\0\n", max_size=8),
    st.from_regex(r"[A-Za-z0-9_+][A-Za-z0-9_.+-]{0,300}", fullmatch=True),
    st.sampled_from(HOSTILE),
)


@given(ANY_NAME, ANY_NAME, ANY_NAME, ANY_NAME, ANY_NAME, st.dates(), st.booleans())
def test_a_granule_is_under_the_data_folder_or_refused(
    mission: str, collection: str, product: str, baseline: str, name: str, day: date, product_dir: bool
) -> None:
    root = Path("/srv/data")
    try:
        path = granule_path(root, mission, collection, product, baseline, day, name, product_dir=product_dir)
    except InvalidRequestError as error:
        assert str(error).isprintable()
        return
    assert Path(os.path.normpath(path)) == path and path.is_relative_to(root)
    assert len(path.parts) == len(root.parts) + 8 + product_dir
    assert all(len(os.fsencode(part)) <= 255 for part in path.parts)
    assert collection_of(path) == (collection, product, baseline, day)


@given(st.one_of(ANY_NAME, st.text("./%2fFeE5c?#a\\", max_size=10)))
def test_a_file_name_of_any_address_is_safe_or_refused(end: str) -> None:
    try:
        name = file_name_of(f"https://example.org/data/{end}")
    except InvalidRequestError as error:
        assert str(error).isascii() and str(error).isprintable()
        return
    assert safe_file_name(name) == name


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (f"https://h/data/x/{NAME}", NAME),
        (f"http://127.0.0.1:80/{NAME}?token=a/b", NAME),
        (f"HTTPS://h/a/../b/{NAME}#x/y", NAME),
        ("https://h/a%2Bb.h5", "a+b.h5"),
        ("https://h//data//x.h5", "x.h5"),
        ("https://h/a?/x.h5", "a"),
        ("https://h/%2e%2e/x.h5", "x.h5"),
    ],
)
def test_the_name_is_the_last_segment(url: str, name: str) -> None:
    assert file_name_of(url) == name


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x.h5",
        "/data/x.h5",
        "ftp://h/x.h5",
        "file:///etc/passwd",
        "https://h",
        "https://h.h5",
        "https://h/",
        "https://h/a/",
        "https://h/a/.",
        "https://h/a/..",
        "https://h/a/%2e%2e",
        "https://h/a%2fb.h5",
        "https://h/..%2Fx.h5",
        "https://h/..%5cx.h5",
        "https://h/a%252fb.h5",
        "https://h/a%00b.h5",
        "https://h/a%0ab.h5",
        "https://h/%c3%a9.h5",
        "https://h/%ff.h5",
        "https://h/?x.h5",
        "https://h/a/#/x.h5",
        "https://h/a b.h5",
        "https://h/a\nb.h5",
        "https://h/a.h5\n",
        "https://h/a\x1bb.h5",
        "https://h/é.h5",
        "https://h/a;b.h5",
        "https://h/" + "a" * 300,
    ],
)
def test_addresses_without_a_safe_name_are_refused(url: str) -> None:
    with pytest.raises(InvalidRequestError, match=r"^refused") as caught:
        file_name_of(url)
    assert str(caught.value).isascii() and str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"EarthCARE/C_MAAP/P/BC/2025/03/14/{NAME}", ("C_MAAP", "P", "BC", DAY)),
        (f"/a/b/EarthCARE/C_MAAP/P/BC/2025/03/14/{NAME[:-3]}/{NAME}", ("C_MAAP", "P", "BC", DAY)),
        (f"/a/b/EarthCARE/C_MAAP/P/BC/2025/03/14/other/{NAME}", None),
        (f"/C_MAAP/P/BC/2025/03/14/{NAME}", None),
        (f"C_MAAP/P/BC/2025/03/14/{NAME}", None),
        (f"/a/EarthCARE/C_MAAP/P/BC/2025/02/30/{NAME}", None),
        (f"/a/EarthCARE/C_MAAP/P/BC/2025/3/14/{NAME}", None),
        (f"/a/EarthCARE/C MAAP/P/BC/2025/03/14/{NAME}", None),
        (NAME, None),
        ("", None),
    ],
)
def test_the_layout_is_read_back(path: str, expected: tuple[str, str, str, date] | None) -> None:
    assert collection_of(path) == collection_of(Path(path)) == expected
    assert collection_of(path, known={"C_MAAP"}) == expected
    assert collection_of(path, known={"Other"}) is None


def test_writing_stays_under_the_root(tmp_path: Path) -> None:
    root = tmp_path / "data"
    (root / "in").mkdir(parents=True)
    (root / "out").symlink_to(tmp_path)
    (root / "near").symlink_to("in")
    (root / "loop").symlink_to("loop")
    (tmp_path / "alias").symlink_to(root)
    assert ensure_under(root, root / "x") == root / "x"
    assert ensure_under(tmp_path / "alias", root / "near" / "made" / "x") == root / "in" / "made" / "x"
    for path in ("out/x", "../x", "in/../../x", "..", ".", "in/..", "out/data2/x", "loop/x"):
        with pytest.raises(StorageError):
            ensure_under(root, root / path)
    with pytest.raises(StorageError, match="refused to write"):
        ensure_under(root, root)
