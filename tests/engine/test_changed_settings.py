"""Settings that change while a session is at work: what applies at once, what later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from maap_tui.demo import Archive
from maap_tui.engine.config import declaring, loading
from maap_tui.engine.config.settings import SETTINGS, Settings
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.errors import MaapError
from maap_tui.engine.model import TimeRange
from maap_tui.engine.query import Query
from maap_tui.engine.session import Session
from tests.engine.raw_files import FileServer, answer, hdf5_body, jwt
from tests.engine.transfer_kit import Remote
from tests.homes import PATIENCE_S, requests_of

Make = Callable[..., Session]


def changed(session: Session, **overrides: object) -> Settings:
    """The settings of a session as they are read again after a change; keywords have `__` for a dot."""
    now = session.settings
    given = {one.key: now.value(one) for one in SETTINGS if now.origin(one.key).kind == "flag"}
    fresh = {key.replace("__", "."): value for key, value in overrides.items()}
    return loading.load(None, session.environ, given | fresh)


async def test_rules_of_requests_apply_after_the_first_request(
    session: Make, archive: Archive, raw: FileServer
) -> None:
    listed = "/collections?limit=200"
    raw.at(listed, answer("503 Busy"))
    async with session(raw.url + "/", **{"api.retries": 0}) as opened:
        with pytest.raises(MaapError):
            await opened.catalogue.collections()
        assert len(raw.asked(listed)) == 1
        assert opened.apply_setting("api.retries", changed(opened, api__retries=2))
        with pytest.raises(MaapError):
            await opened.catalogue.collections()
    assert len(raw.asked(listed)) == 1 + 3


async def test_rules_of_downloads_apply_to_the_queue_at_work(
    session: Make, remote: Callable[..., Remote], tmp_path: Path
) -> None:
    async with session(bulk=True) as opened, opened.downloads() as downloads:
        downloads.add(remote(0).wanted(tmp_path))
        await downloads.join()
        assert opened.apply_setting("downloads.max_file", changed(opened, downloads__max_file="1K"))
        downloads.add(remote(1).wanted(tmp_path))
        report = await downloads.join()
    assert list(report.downloaded) == [remote(0).url]
    assert ["larger than downloads.max_file (1024 bytes)" in one.reason for one in report.failed] == [True]


async def test_as_many_files_come_at_once_as_the_changed_setting_says(
    session: Make, home: Path, raw: FileServer, tmp_path: Path
) -> None:
    (home / "credentials.txt").write_text(f"OFFLINE_TOKEN={jwt()}\n")
    body = hdf5_body(2000)
    everyone = asyncio.Barrier(16)

    async def serve(request: object, writer: asyncio.StreamWriter) -> None:
        await everyone.wait()  # nobody is answered before all sixteen have asked
        writer.write(answer("200 OK", body))

    few = {"downloads.parallel": 1, "search.parallel": 1, "api.token_url": raw.url + "/token"}
    async with session(raw.url + "/", bulk=True, **few) as opened, opened.downloads() as downloads:
        for number in range(16):
            path = tmp_path / "files" / f"{number}.h5"
            downloads.add(DownloadRequest(raw.at(f"/{number}.h5", serve), path))
        assert opened.apply_setting("downloads.parallel", changed(opened, downloads__parallel=16))
        async with asyncio.timeout(PATIENCE_S):
            report = await downloads.join()
    assert len(report.downloaded) == 16


async def test_what_applies_from_the_next_start_on_changes_nothing(session: Make, tmp_path: Path) -> None:
    opened = session()
    before = opened.settings
    fresh = changed(opened, paths__data_dir=str(tmp_path / "other"), ui__ascii=True)
    for key in ("paths.data_dir", "ui.ascii"):
        assert not opened.apply_setting(key, fresh)
    assert opened.settings == before


@pytest.mark.parametrize(
    "setting", [one for one in SETTINGS if one.applies != "next start"], ids=lambda one: one.key
)
async def test_every_other_setting_is_in_use_with_its_origin(
    session: Make, setting: declaring.Setting[object]
) -> None:
    opened = session()
    value = {"mission.start": "2025-01-01", "mission.end": "2025-02-01", "ui.theme": "nord"}.get(setting.key)
    value = value or ("3" if not isinstance(setting.default, bool) else str(not setting.default).lower())
    others = [one for one in SETTINGS if one is not setting]
    before = [opened.settings.value(one) for one in others]

    assert opened.apply_setting(setting.key, changed(opened, **{setting.key: value}))

    assert opened.settings.value(setting) == setting.read(value, {}, typed=True)
    assert opened.settings.origin(setting.key).kind == "flag"
    assert [opened.settings.value(one) for one in others] == before


async def test_a_search_asks_for_pages_of_the_changed_size(session: Make, archive: Archive) -> None:
    async with session() as opened:
        day = TimeRange.of_day(date(2025, 12, 1))
        query = Query("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", baseline="BC", time=day, max_items=4)
        await opened.search(query).granules()
        before = requests_of(archive, "search")
        opened.apply_setting("api.page_size", changed(opened, api__page_size=1))
        await opened.search(query).granules()
        assert requests_of(archive, "search") - before >= 4 > before


async def test_closing_a_session_twice_is_closing_it_once(session: Make, archive: Archive) -> None:
    opened = session()
    await opened.close()  # nothing was opened
    await opened.probe()
    await opened.close()
    await opened.close()
    assert not opened.is_offline
    await opened.probe()  # a later use opens again
    assert not opened.is_offline
    await opened.close()
