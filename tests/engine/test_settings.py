from __future__ import annotations

import os
import re
import tomllib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from maap_tui.engine.config import loading, settings
from maap_tui.engine.config.declaring import Section, Setting
from maap_tui.engine.config.describing import as_markdown_table, describe
from maap_tui.engine.config.editing import set_value, unset_value
from maap_tui.engine.config.finding import find_setting
from maap_tui.engine.config.loading import load
from maap_tui.engine.config.settings import SETTINGS
from maap_tui.engine.config.toml_file import set_entry
from maap_tui.engine.config.types import WHOLE
from maap_tui.engine.errors import InvalidRequestError, SettingsError, StorageError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "conf" / "config.toml"


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def refusal(file: Path | None, environ: dict[str, str] | None = None, **overrides: object) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        load(file, environ or {}, {key.replace("__", "."): value for key, value in overrides.items()})
    return caught.value


def test_defaults_are_those_of_the_services(tmp_path: Path) -> None:
    s = load(None, {"HOME": str(tmp_path)}, {})
    assert s.api.catalog_url == "https://catalog.maap.eo.esa.int/catalogue/"
    assert s.api.token_url.endswith("/realms/esa-maap/protocol/openid-connect/token")
    assert s.paths.data_dir is None and s.mission.start is None and s.mission.collections == ()
    assert (s.downloads.parallel, s.downloads.retries, s.search.parallel) == (8, 5, 8)
    assert (s.downloads.limit_rate, s.downloads.min_free, s.downloads.max_file) == (0, 2**30, 20 * 2**30)
    assert s.ui.mouse and not s.ui.animation and s.keys == {}
    assert s.origin("downloads.parallel").kind == "default"


@pytest.mark.parametrize(
    ("key", "in_file", "in_environ", "as_flag", "values"),
    [
        ("downloads.parallel", "2", "3", 4, (8, 2, 3, 4)),
        ("downloads.retry_wait", "2", "3.5", "4e-1", (1.0, 2.0, 3.5, 0.4)),
        ("downloads.product_dir", "true", "off", True, (False, True, False, True)),
        ("downloads.limit_rate", "'800K'", "1.5M", "5MB/s", (0, 800 * 1024, 3 * 2**19, 5 * 2**20)),
        (
            "paths.data_dir",
            "'/file'",
            "/environ",
            Path("/flag"),
            (None, *map(Path, ("/file", "/environ", "/flag"))),
        ),
        ("mission.collections", "['A', 'B']", "C, D,", ("E",), ((), ("A", "B"), ("C", "D"), ("E",))),
        (
            "mission.start",
            "2025-03-14",
            "2025-03-15T06:00:00+06:00",
            "2025-03-16T00:00",
            (None, *(datetime(2025, 3, day, tzinfo=UTC) for day in (14, 15, 16))),
        ),
        ("mission.name", "'Aeolus'", "EarthCARE", "Biomass", ("", "Aeolus", "EarthCARE", "Biomass")),
        (
            "api.catalog_url",
            "'http://file/c'",
            "http://environ",
            "http://flag//",
            (settings.CATALOG_URL, "http://file/c/", "http://environ/", "http://flag/"),
        ),
    ],
)
def test_flag_before_environment_before_file_before_default(
    file: Path, key: str, in_file: str, in_environ: str, as_flag: object, values: tuple[object, ...]
) -> None:
    section, _, name = key.partition(".")
    setting = find_setting(key)
    write(file, f"# first line\n[{section}]\n{name} = {in_file}\n")
    empty = write(file.with_name("empty.toml"), "")
    environ = {setting.variable: in_environ}
    loads = (
        load(empty, {}, {}),
        load(file, {}, {}),
        load(file, environ, {}),
        load(file, environ, {key: as_flag}),
    )
    assert tuple(s.value(setting) for s in loads) == values
    assert [s.origin(key).kind for s in loads] == ["default", "file", "environment", "flag"]
    assert loads[1].origin(key).text == f"{file}:3"
    assert loads[2].origin(key).text == setting.variable
    # None is how argparse says that a flag was not given; an empty variable counts as unset.
    assert load(file, {setting.variable: ""}, {key: None}).origin(key).kind == "file"


def test_a_flag_that_exists_is_named(file: Path) -> None:
    s = load(write(file, ""), {}, {"paths.data_dir": "/d", "search.parallel": 2})
    assert s.origin("paths.data_dir").text == "--data-dir"
    assert s.origin("search.parallel").text == "argument"


def test_an_empty_text_in_the_file_counts_as_not_set(file: Path) -> None:
    s = load(
        write(file, '[paths]\ndata_dir = ""\n[downloads]\nmin_free = ""\n[mission]\nstart = ""\n'), {}, {}
    )
    assert s.paths.data_dir is None and s.downloads.min_free == 2**30 and s.mission.start is None


def test_paths_expand_home_and_variables(file: Path) -> None:
    write(file, '[paths]\ndata_dir = "~/d"\nstate_dir = "$SCRATCH/${USER}_s"\ncatalog_dir = "rel"\n')
    s = load(file, {"HOME": "/h", "SCRATCH": "/s", "USER": "me"}, {})
    assert (s.paths.data_dir, s.paths.state_dir, s.paths.catalog_dir) == (
        Path("/h/d"),
        Path("/s/me_s"),
        Path("rel"),
    )
    assert "got $SCRATCH is not set" in str(refusal(file, {"HOME": "/h"}))


def test_dates_cover_their_whole_day(file: Path) -> None:
    s = load(write(file, '[mission]\nstart = "2025-03-14"\nend = 2025-03-15\n'), {}, {})
    assert s.mission.start == datetime(2025, 3, 14, tzinfo=UTC)
    assert s.mission.end == datetime(2025, 3, 15, 23, 59, 59, tzinfo=UTC)


def test_the_file_of_maap_client_is_read_whole(file: Path) -> None:
    write(
        file,
        """
[paths]
data_dir = "/data/earthcare/data"
credentials_file = "~/.maap/credentials.txt"

[api]
catalog_url = "https://catalog.maap.eo.esa.int/catalogue"

[mission]
name = "Aeolus"
start = "2018-08-22T00:00:00Z"
end = "2023-04-30T23:59:59Z"
collections = [
    "AeolusL1BProducts",
    "AeolusL2AProducts",
]
collections_extend = ["AeolusL2BProducts"]
""",
    )
    s = load(file, {"HOME": "/h"}, {})
    assert s.paths.credentials_file == Path("/h/.maap/credentials.txt")
    assert s.api.catalog_url == "https://catalog.maap.eo.esa.int/catalogue/"
    assert s.mission.name == "Aeolus" and s.mission.collections == ("AeolusL1BProducts", "AeolusL2AProducts")
    assert s.mission.collections_extend == ("AeolusL2BProducts",)
    assert s.mission.start == datetime(2018, 8, 22, tzinfo=UTC)
    assert s.origin("mission.collections_extend").text == f"{file}:17"


@pytest.mark.fault("T2")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[paths]\n\ndata_dri = 1", ":3: unknown key 'data_dri' in [paths]; did you mean 'paths.data_dir'?"),
        (
            "[search]\ndata_dir = 'x'",
            ":2: unknown key 'data_dir' in [search]; did you mean 'paths.data_dir'?",
        ),
        ("data_dir = 'x'", ":1: unknown key 'data_dir' outside a section; did you mean 'paths.data_dir'?"),
        ("[api]\nqqqqqqq = 1", ":2: unknown key 'qqqqqqq' in [api]"),
        ("\n[path]\n", ":2: unknown section [path]; did you mean [paths]?"),
        ("[zzz]", ":1: unknown section [zzz]; the sections are paths, api"),
        ("paths = 3", ":1: paths must be a table [paths], got 3"),
        ("keys = 'x'", ":1: keys must be a table [keys], got 'x'"),
        ("[keys]\nsearch.run = 3", ":2: keys.search.run must be a text of keys, got 3"),
        (
            "[downloads]\nparallel = 'many'",
            ":2: downloads.parallel must be a whole number from 1 to 16, got 'many'",
        ),
        (
            "[downloads]\nparallel = true",
            ":2: downloads.parallel must be a whole number from 1 to 16, got True",
        ),
        ("[downloads]\nparallel = 17", "got 17"),
        ("[downloads]\nparallel = 0", "got 0"),
        ("[downloads]\nparallel = '8'", "got '8'"),
        ("downloads = { retries = 1, parallel = 1.5 }", ":1: downloads.parallel must be"),
        ("[downloads]\nretry_wait = nan", "retry_wait must be a number of seconds from 0 to 3600, got nan"),
        ("[downloads]\nproduct_dir = 'yes'", "product_dir must be true or false, got 'yes'"),
        ("[downloads]\nlimit_rate = '5X'", "must be a number of bytes such as 800K, 5M or 20G, got '5X'"),
        ("[downloads]\nmax_file = -1", "max_file must be a number of bytes such as"),
        ("[search]\nmax_items = 0", "search.max_items must be a whole number, 1 or more, got 0"),
        ("[paths]\ndata_dir = 3", ":2: paths.data_dir must be a path, got 3"),
        (
            "[mission]\nstart = '2025-02-30'",
            "mission.start must be a date such as 2025-03-14 or a time such as",
        ),
        ("[mission]\nend = 0001-01-01T00:00:00+10:00", "mission.end must be a date"),
        ("[mission]\nname = '../x'", "mission.name must be a name of letters"),
        ("[mission]\ncollections = 'A/B'", "mission.collections must be a list of names, got 'A/B'"),
        ("[mission]\ncollections = ['A', 3]", "mission.collections must be a list of names"),
        ("[api]\ncatalog_url = 'ftp://x/'", "api.catalog_url must be an address like https://HOST/PATH"),
        ("[api]\ncatalog_url = 'https://x/?a=b'", "api.catalog_url must be"),
        ("[api]\ncatalog_url = 'https://x:port/'", "api.catalog_url must be"),
        ('[api]\ncatalog_url = "https://x/\\n\\u0007y"', "api.catalog_url must be"),
        (
            "[api]\ntoken_url = 'http://example.org/t'",
            "(http only to this machine), got 'http://example.org/t'",
        ),
        ("[api]\ntoken_url = 'http://127.0.0.1.example.org/t'", "api.token_url must be"),
        ("[api]\ndata_origins = ['https://x/data']", "api.data_origins must be a list of addresses"),
        ("[api]\ndata_origins = ['http://x']", "api.data_origins must be"),
        ("[paths]\n\n= 3\n", ":3: not valid TOML: Invalid statement"),
        ("[paths]\n[paths]\n", ":2: not valid TOML:"),
        ("[search]\nmax_items = " + "9" * 5000, "not valid TOML: Exceeds the limit"),
        ("[mission]\ncollections = [\n", ":2: not valid TOML:"),
    ],
)
def test_a_wrong_file_is_refused_with_file_and_line(file: Path, text: str, said: str) -> None:
    error = refusal(write(file, text))
    assert str(error).startswith(f"{file}:") and said in str(error)
    assert isinstance(error, InvalidRequestError)


@pytest.mark.fault("T2")
@pytest.mark.parametrize(
    ("environ", "said"),
    [
        (
            {"MAAP_DOWNLOADS_PARALLEL": "9x"},
            "MAAP_DOWNLOADS_PARALLEL: downloads.parallel must be a whole number",
        ),
        ({"MAAP_DOWNLOADS_PARALLEL": "99"}, "from 1 to 16, got '99'"),
        ({"MAAP_TIMEOUT": "inf"}, "MAAP_TIMEOUT: api.timeout must be a number of seconds"),
        ({"MAAP_UI_ASCII": "maybe"}, "MAAP_UI_ASCII: ui.ascii must be true or false, got 'maybe'"),
        ({"MAAP_MISSION_START": "yesterday"}, "MAAP_MISSION_START: mission.start must be a date"),
        ({"MAAP_DOWNLOADS_MAX_FILE": "9" * 400 + ".5G"}, "MAAP_DOWNLOADS_MAX_FILE: downloads.max_file"),
    ],
)
def test_a_wrong_variable_is_named(file: Path, environ: dict[str, str], said: str) -> None:
    assert said in str(refusal(write(file, ""), environ))


def test_a_wrong_flag_is_named(file: Path) -> None:
    write(file, "")
    # An unset shell variable must not silently mean another folder.
    assert str(refusal(file, paths__data_dir="")) == "--data-dir: paths.data_dir must be a path, got ''"
    assert "unknown setting 'paths.data_dri'; did you mean 'paths.data_dir'?" in str(
        refusal(file, paths__data_dri="x")
    )


def test_a_password_in_an_address_is_refused_and_not_shown(file: Path) -> None:
    error = refusal(write(file, ""), {"MAAP_CATALOG_URL": "https://me:hunter2@example.org/catalogue"})
    assert "hunter2" not in str(error) + error.hint


def test_an_explicit_file_must_be_there_and_readable(file: Path, tmp_path: Path) -> None:
    assert str(refusal(file)) == f"Configuration file not found: {file}"
    assert str(refusal(tmp_path)).startswith(f"Configuration file cannot be read: {tmp_path} (")
    file.parent.mkdir()
    file.write_bytes(b"[paths]\n# caf\xe9\n")
    assert str(refusal(file)) == f"{file}:2: not UTF-8 text"


def test_a_byte_order_mark_and_crlf_are_fine(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"\xef\xbb\xbf[search]\r\nparallel = 3\r\n")
    s = load(file, {}, {})
    assert s.search.parallel == 3 and s.origin("search.parallel").text == f"{file}:2"


def test_lines_are_right_behind_long_texts_and_dotted_keys(file: Path) -> None:
    write(
        file,
        '[ui]\ntheme = """\nparallel = 9\n[search]\n"""\n\n[mission]\ncollections = [ # all\n  "A",\n]\n'
        '[ "search" ]\n"parallel" = 2\n\n[keys]\n"search.run" = "f5"\ndownloads.pause = "p"\n',
    )
    s = load(file, {}, {})
    assert s.origin("search.parallel").text == f"{file}:12"
    assert s.keys == {"search.run": "f5", "downloads.pause": "p"}
    assert s.origin("keys.downloads.pause").text == f"{file}:16"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://h/catalogue", "https://h/catalogue/"),
        ("https://h/catalogue///", "https://h/catalogue/"),
        (" HTTPS://H.example:8443/c ", "https://h.example:8443/c/"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/"),
        ("http://[::1]:80/x", "http://[::1]:80/x/"),
    ],
)
def test_the_catalogue_address_ends_with_one_slash(file: Path, given: str, kept: str) -> None:
    assert load(write(file, ""), {"MAAP_CATALOG_URL": given}, {}).api.catalog_url == kept


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/t", "http://localhost/t", "http://[::1]/t", "https://x/t"]
)
def test_a_token_address_on_this_machine_may_be_plain_http(file: Path, url: str) -> None:
    assert load(write(file, ""), {"MAAP_TOKEN_URL": url}, {}).api.token_url == url


def test_extra_origins_are_kept_as_origins(file: Path) -> None:
    s = load(write(file, '[api]\ndata_origins = ["https://Data.example/", "https://data.example"]\n'), {}, {})
    assert s.api.data_origins == ("https://data.example",)


def test_values_cannot_be_changed_once_loaded(file: Path) -> None:
    s = load(write(file, ""), {}, {})
    with pytest.raises(AttributeError, match=r"settings are read only; downloads\.parallel is set by flag"):
        s.downloads.parallel = 3
    with pytest.raises(AttributeError):
        s.downloads = s.downloads  # type: ignore[misc]
    assert s.downloads == load(file, {}, {}).downloads != load(file, {}, {"downloads.retries": 1}).downloads
    assert "parallel=8" in repr(s.downloads)


def test_every_setting_is_declared_completely() -> None:
    assert len({s.key for s in SETTINGS}) == len({s.variable for s in SETTINGS}) == len(SETTINGS)
    for s in SETTINGS:
        assert re.fullmatch(r"MAAP_[A-Z_]+", s.variable) and s.help.endswith(".") and s.default_text
        if s.default is not None:
            # The shown default can be typed again.
            assert s.read(s.kind.to_text(s.default), {}, "test", typed=True) == s.default


def test_choices_are_the_only_values() -> None:
    class Colours(Section):
        section = "colours"
        count = Setting("MAAP_COLOURS", WHOLE, 16, "Colours.", choices=(16, 256))

    assert Colours.count.read("256", {}, "here", typed=True) == 256
    with pytest.raises(SettingsError, match=r"here: colours\.count must be one of 16, 256, got 17"):
        Colours.count.read(17, {}, "here")


def test_describe_lists_every_value_and_where_it_came_from(file: Path) -> None:
    write(file, '[downloads]\nmin_free = "1536M"\n[mission]\ncollections = ["A", "B"]\n[keys]\nquit = "q"\n')
    environ = {"MAAP_HOME": "/h", "MAAP_MISSION_END": "2025-03-15"}
    s = load(file, environ, {"ui.ascii": True})
    rows = {row.key: row for row in describe(s, loading.locate(s, environ))}
    assert set(rows) == {setting.key for setting in SETTINGS} | {"keys.quit"}
    shown = {key: (row.value_text, row.origin_text) for key, row in rows.items()}
    assert shown["downloads.min_free"] == ("1536M", f"{file}:2")
    assert shown["mission.collections"] == ("A,B", f"{file}:4")
    assert shown["mission.end"] == ("2025-03-15T23:59:59Z", "MAAP_MISSION_END")
    assert shown["ui.ascii"] == ("true", "argument")
    assert shown["paths.data_dir"] == ("/h/data", "default")
    assert shown["keys.quit"] == ("q", f"{file}:6")
    assert {row.key: row for row in describe(s)}["paths.data_dir"].value_text == ""


def test_readme_table_mentions_every_setting() -> None:
    table = as_markdown_table()
    for s in SETTINGS:
        assert f"| `{s.key}` | `{s.variable}` |" in table
    assert "`[keys]`" in table
    assert {line.count(" |") for line in table.splitlines()[2:]} == {6}


HAND_WRITTEN = """\
# My settings
[search]
parallel = 4  # the service is slow

# Where things go
[paths]
registry_dir = "/r"
data_dir = "/old"  # big disk

[keys]
"search.run" = "f5"
downloads.pause = "p"
"""


def test_set_value_keeps_comments_and_order(file: Path) -> None:
    write(file, HAND_WRITTEN)
    set_value(file, "paths.data_dir", "/new")
    assert file.read_text() == HAND_WRITTEN.replace("/old", "/new")
    set_value(file, "search.parallel", "8")
    set_value(file, "keys.search.run", "ctrl+r")
    set_value(file, "keys.downloads.pause", "space")
    expected = HAND_WRITTEN.replace("/old", "/new").replace("= 4", "= 8")
    assert file.read_text() == expected.replace("f5", "ctrl+r").replace('"p"', '"space"')


def test_set_value_makes_file_and_folder_and_types(file: Path) -> None:
    typed = {
        "data_dir": "~/maap",
        "state-dir": "$SCRATCH/state",
        "max_items": "10",
        "downloads.retry_wait": "2",
        "product_dir": "yes",
        "limit_rate": "5M",
        "collections": "A, B",
        "mission.end": "2025-03-14",
        "keys.app.quit": "q",
    }
    for key, text in typed.items():
        set_value(file, key, text, {"SCRATCH": "/s"})
    assert tomllib.loads(file.read_text()) == {
        "paths": {"data_dir": "~/maap", "state_dir": "$SCRATCH/state"},
        "search": {"max_items": 10},
        "downloads": {"retry_wait": 2.0, "product_dir": True, "limit_rate": "5M"},
        "mission": {"collections": ["A", "B"], "end": "2025-03-14"},
        "keys": {"app.quit": "q"},
    }
    s = load(file, {"HOME": "/h", "SCRATCH": "/s"}, {})
    assert s.paths.data_dir == Path("/h/maap") and s.downloads.limit_rate == 5 * 2**20


def test_set_value_writes_a_relative_path_from_where_it_was_typed(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    set_value(file, "data_dir", "here/data")
    assert load(file, {}, {}).paths.data_dir == tmp_path / "here" / "data"


@pytest.mark.parametrize(
    ("key", "text", "said"),
    [
        ("parallel", "4", "'parallel' means several settings: say downloads.parallel or search.parallel"),
        ("data_dri", "x", "unknown setting 'data_dri'; did you mean 'paths.data_dir'?"),
        ("mission.nmae", "x", "unknown setting 'mission.nmae'; did you mean 'mission.name'?"),
        (
            "downloads.parallel",
            "99",
            "downloads.parallel must be a whole number from 1 to 16",
        ),
        ("token_url", "http://example.org", "api.token_url must be an address"),
    ],
)
def test_set_value_checks_before_it_writes(file: Path, key: str, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match="^" + re.escape(said)):
        set_value(file, key, text)
    assert not file.parent.exists()


@pytest.mark.parametrize(
    "text", ['paths.data_dir = "/old"\n', 'paths = { data_dir = "/old" }\n', "", "# only a comment\n"]
)
def test_set_value_takes_any_form_of_table(file: Path, text: str) -> None:
    set_value(write(file, text), "data_dir", "/new")
    set_value(file, "ui.ascii", "true")
    s = load(file, {}, {})
    assert s.paths.data_dir == Path("/new") and s.ui.ascii
    assert ("# only" in file.read_text()) == ("# only" in text)


def test_set_value_leaves_a_broken_file_alone(file: Path) -> None:
    write(file, "[paths\n")
    with pytest.raises(SettingsError, match=r"config\.toml:1: not valid TOML"):
        set_value(file, "data_dir", "/d")
    write(file, "paths = 3\n")
    with pytest.raises(SettingsError, match=r"paths must be a table \[paths\], got 3"):
        set_value(file, "data_dir", "/d")
    assert file.read_text() == "paths = 3\n"


def test_set_value_follows_a_link_and_keeps_the_mode(file: Path, tmp_path: Path) -> None:
    real = write(tmp_path / "dotfiles" / "maap.toml", "# mine\n")
    real.chmod(0o600)
    file.parent.mkdir()
    file.symlink_to(real)
    set_value(file, "data_dir", "/d")
    assert file.is_symlink() and load(real, {}, {}).paths.data_dir == Path("/d")
    assert real.stat().st_mode & 0o777 == 0o600


def test_set_value_says_which_path_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    with pytest.raises(StorageError, match="plain"):
        set_value(tmp_path / "plain" / "config.toml", "data_dir", "/d")


def test_unset_value_takes_the_line_out(file: Path) -> None:
    write(file, HAND_WRITTEN)
    assert unset_value(file, "search.parallel")
    assert not unset_value(file, "search.parallel")
    assert not unset_value(file, "ui.ascii")
    set_value(file, "data_dir", "")
    assert unset_value(file, "keys.downloads.pause")
    s = load(file, {}, {})
    assert s.search.parallel == 8 and s.paths.data_dir is None and s.paths.registry_dir == Path("/r")
    assert s.keys == {"search.run": "f5"}
    assert "# Where things go" in file.read_text()
    assert not unset_value(file.with_name("none.toml"), "data_dir")
    assert os.listdir(file.parent) == ["config.toml"]


def test_the_usual_file_is_read_and_may_be_missing(tmp_path: Path) -> None:
    environ = {"MAAP_HOME": str(tmp_path / "home")}
    assert load(None, environ, {}).config_file == tmp_path / "home" / "config.toml"
    write(tmp_path / "home" / "config.toml", "[search]\nparallel = 2\n")
    assert load(None, environ, {}).search.parallel == 2


def test_edits_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: set_entry(file, "one", [f"key{number}"], number), range(24)))
    assert tomllib.loads(file.read_text()) == {"one": {f"key{number}": number for number in range(24)}}
    assert os.listdir(tmp_path) == ["config.toml"]
