"""The configuration of a client: set before or after its first use, obeyed from the next operation."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from maap_tui import (
    AuthenticationError,
    CredentialsError,
    InvalidRequestError,
    MaapClient,
    MaapConfig,
    SettingsError,
)
from maap_tui.demo import Archive
from tests.client.conftest import HOUR, L2, NAMES


@pytest.mark.parametrize("is_used_before", [False, True])
def test_data_dir_is_obeyed(client: MaapClient, home: Path, is_used_before: bool) -> None:
    if is_used_before:
        client.get(*NAMES, **HOUR, max_items=1)
    client.config.data_dir = home / "elsewhere"
    paths = client.get(*NAMES, **HOUR, max_items=1).downloaded.values()
    assert len(paths) == 1
    assert all(path.is_relative_to(home / "elsewhere") and path.is_file() for path in paths)
    assert client.config.data_dir == home / "elsewhere"


def test_every_folder_is_obeyed_after_use(client: MaapClient, home: Path) -> None:
    url = client.search(*NAMES, **HOUR, max_items=1).urls[0]
    config = client.config
    config.registry_dir = home / "registry2"
    assert client.get_tracker(*NAMES).add_urls([url]) == 1
    assert [path.name for path in (home / "registry2" / "urls").rglob("*.txt")] == ["url_20251201.txt"]
    assert client.state.list_tracked() == [NAMES]
    config.catalog_dir = home / "catalogs2"
    client.list_products(L2)
    assert [path.name for path in (home / "catalogs2").iterdir()] == [f"{L2}_queryables.json"]
    config.built_catalog_dir = home / "built2"
    built = client.build_catalog(L2, "CPR_CLD_2A", "BC")
    assert built[L2].parent == home / "built2"
    config.credentials_file = home / "none.txt"
    with pytest.raises(CredentialsError, match=r"none\.txt"):
        client.download([url], L2)


def test_addresses_mission_and_collections_are_obeyed_after_use(client: MaapClient) -> None:
    assert client.search(*NAMES, **HOUR).urls
    config = client.config
    config.collections = ["One", "Two"]
    assert client.list_collections() == ["One", "Two"]
    config.collections.append("Three")
    assert client.list_collections() == ["One", "Two", "Three"]
    config.mission_start, config.mission_end = "2025-12-01T00:30:00Z", "2025-12-01T00:45:00Z"
    found = client.search(*NAMES).granules
    assert found and all(30 <= one.sensing_start.minute <= 45 for one in found)
    assert client.normalize_time_range() == (
        datetime(2025, 12, 1, 0, 30, tzinfo=UTC),
        datetime(2025, 12, 1, 0, 45, tzinfo=UTC),
    )
    right = config.token_url
    config.token_url = f"{right}/not-there"
    urls = [one.href for one in found[0].assets if one.href.endswith(".h5")]
    with pytest.raises(AuthenticationError, match="404"):
        client.download(urls, L2)
    config.token_url = right
    assert client.download(urls, L2).errors == []
    config.catalog_url = "http://127.0.0.1:9/"
    assert "127.0.0.1:9" in client.search(*NAMES, **HOUR).failed_days[0][1]


def test_wrong_value_is_refused_and_can_be_set_right(client: MaapClient, home: Path) -> None:
    client.config.catalog_url = "ftp://somewhere/"
    with pytest.raises(SettingsError, match="catalog_url"):
        client.search(*NAMES, **HOUR)
    client.config.catalog_url = None
    assert client.search(*NAMES, **HOUR).urls


def test_search_that_runs_goes_on_while_the_configuration_changes(client: MaapClient, home: Path) -> None:
    days = client.searcher.search_urls_iter_day(*NAMES[:2], **HOUR, baseline="BC")
    client.config.data_dir = home / "elsewhere"
    long = client.searcher.search_urls_iter_day(
        L2, "CPR_CLD_2A", HOUR["start"], datetime(2025, 12, 14, tzinfo=UTC), "BC", frames=["C"]
    )
    assert next(long)
    client.config.data_dir = home / "third"
    assert client.list_products(L2)
    assert len(list(long)) >= 12 and len(list(days)) == 1


def test_config_handed_in_is_the_one_followed(archive: Archive, home: Path) -> None:
    config = MaapConfig.load()
    with MaapClient(config) as client:
        assert client.config is config
        config.data_dir = str(home / "text")  # type: ignore[assignment]
        path = next(iter(client.get(*NAMES, **HOUR, max_items=1).downloaded.values()))
    assert path.is_relative_to(home / "text")


def test_config_from_the_environment_alone(monkeypatch: pytest.MonkeyPatch, clean_home: Path) -> None:
    (clean_home / ".maap").mkdir()
    (clean_home / ".maap" / "config.toml").write_text(
        "[paths]\ndata_dir = '/file'\nregistry_dir = '/file/r'\n"
    )
    monkeypatch.setenv("MAAP_DATA_DIR", "~/from-env")
    config = MaapConfig.from_env()
    assert config.data_dir == clean_home / "from-env"
    assert config.registry_dir == clean_home / ".maap" / "registry"
    assert config.mission == "EarthCARE" and config.collections is not None and L2 in config.collections


def test_config_from_a_file_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(
        "[paths]\ndata_dir = '/file'\n[mission]\nname = 'EarthCARE'\ncollections_extend = ['More_MAAP']\n"
    )
    monkeypatch.setenv("MAAP_DATA_DIR", "/environment")
    config = MaapConfig.from_file(file)
    assert config.data_dir == Path("/file") and config.collections is not None
    assert config.collections[-1] == "More_MAAP"
    assert MaapClient(config).config.data_dir == Path("/file")
    assert MaapConfig.from_file(tmp_path / "none.toml").data_dir != Path("/file")
    file.write_text("[paths]\ndata = 1\n")
    with pytest.raises(InvalidRequestError, match="unknown key"):
        MaapConfig.from_file(file)
