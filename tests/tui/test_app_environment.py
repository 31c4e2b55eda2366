"""The app where the network or the disk is not as it should be: it opens, and says what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from driving import text_of, wait_until

from maap_tui.tui.app import MaapApp


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("HTTPS_PROXY", "http://me:s3cret@proxy:port", "HTTPS_PROXY is 'http://***@proxy:port'"),
        ("SSL_CERT_FILE", "/nowhere.pem", "SSL_CERT_FILE is '/nowhere.pem', which does not exist"),
    ],
)
async def test_it_opens_and_names_what_is_wrong_with_the_network(
    variable: str, value: str, said: str, make_app: Callable[..., MaapApp]
) -> None:
    app = make_app(environ={variable: value}, is_first=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_until(lambda: any(said in line.text for line in app.backend.log_lines), pilot)
        assert not any("s3cret" in line.text for line in app.backend.log_lines)
        assert "s3cret" not in text_of(app)


async def test_it_opens_where_nothing_can_be_kept(make_app: Callable[..., MaapApp], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    names = ("MAAP_CATALOG_DIR", "MAAP_BUILT_CATALOG_DIR", "MAAP_STATE_DIR", "MAAP_DATA_DIR")
    app = make_app(environ={name: str(tmp_path / "file" / name) for name in names})
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("2")
        await wait_until(lambda: "Collection" in text_of(app), pilot)
        await pilot.press("escape", "1")
        await wait_until(lambda: "EarthCARE" in text_of(app), pilot)
