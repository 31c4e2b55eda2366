"""The app against the embedded archive: one archive for the run, a fresh home and a frozen clock each time.

Helpers are in `driving.py`: `from driving import text_of, wait_until`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from maap_tui.demo.archive import Archive
from maap_tui.engine.session import Session
from maap_tui.tui.app import MaapApp

NOW = "2026-01-15T00:00:00Z"
MOMENT = datetime(2026, 1, 15, tzinfo=UTC)
QUICK = {"api.retry_wait": 0.01, "api.outage_wait": 0, "downloads.retry_wait": 0.01}


@pytest.fixture(scope="session")
def archive() -> Iterator[Archive]:
    with Archive.start(now=NOW, offline_days=3650) as started:
        yield started


@pytest.fixture
def make_app(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., MaapApp]]:
    """Make an app over the archive, its faults cleared, with a home of its own below `tmp_path`.

    `home` names another home, `prepare` is called with the session before the app is made, `overrides`
    are settings, and the rest goes to the app.
    """
    for name in ("TMUX", "SSH_TTY", "DISPLAY", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    archive.faults.clear()

    def make(
        *,
        home: Path | None = None,
        overrides: dict[str, object] | None = None,
        environ: dict[str, str] | None = None,
        prepare: Callable[[Session], object] | None = None,
        **options: Any,
    ) -> MaapApp:
        home = home or tmp_path / "maap"
        if not home.exists():
            home.mkdir(parents=True)
            archive.prepare(home)
        settings = archive.environment(home) | {"HOME": str(home)} | (environ or {})
        session = Session.load(
            environ=settings, bulk=True, now=lambda: MOMENT, overrides={**QUICK, **(overrides or {})}
        )
        if prepare is not None:
            prepare(session)
        return MaapApp(session, clock=lambda: MOMENT, **options)

    yield make
    archive.faults.clear()
