"""One run of a command: its arguments, where it prints and talks, and the session made from them."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maap_tui.cli.options import overrides_of
from maap_tui.cli.output import Output
from maap_tui.cli.report import Reporter
from maap_tui.engine.errors import TOKEN_PAGE
from maap_tui.text import format_date, plural

if TYPE_CHECKING:
    from maap_tui.engine.config.dirs import AppDirs
    from maap_tui.engine.config.settings import Settings
    from maap_tui.engine.events import Event
    from maap_tui.engine.registry.registry import Registry
    from maap_tui.engine.runs import OpenRun
    from maap_tui.engine.session import Session


SAY_IT_THEMSELVES = frozenset({"login", "demo", "tui"})
"""Commands that need no warning about the token: they replace it, have their own, or show it all the time."""


class CommandContext:
    """What a command is handed."""

    def __init__(self, args: argparse.Namespace, output: Output, report: Reporter) -> None:
        self.args = args
        self.output = output
        self.report = report
        self.begun = datetime.now(UTC)
        """When the command began."""
        self.found: int | None = None
        """Files that the run is about, with those that were here already; None for those that were queued."""
        self.deleted = (0, 0)
        """Files that the run deleted, and their bytes."""
        self._run: OpenRun | None = None
        self._prints_files = False

    @property
    def config_file(self) -> Path | None:
        """The configuration file named on the command line, None for the usual one."""
        return getattr(self.args, "config", None)

    def settings(self, **overrides: object) -> tuple[Settings, AppDirs]:
        """Settings and places alone, for commands that ask nothing of the engine.

        Raises:
            SettingsError: when the configuration is wrong.
        """
        from maap_tui.engine.config import loading

        config = loading.load(self.config_file, os.environ, {**overrides_of(self.args), **overrides})
        self.report.with_times = config.log.times
        where = loading.locate(config, os.environ)
        self._warn_of_token(config, where)
        return config, where

    def registry(self) -> tuple[Registry, Settings]:
        """The registry alone, for commands that read it and nothing else: they start in a third of the time.

        Raises:
            SettingsError: when the configuration is wrong.
        """
        from maap_tui.engine.registry.registry import Registry

        config, where = self.settings()
        return Registry.of(where, self.handle_event), config

    def session(self, *, bulk: bool = False, overrides: dict[str, object] | None = None) -> Session:
        """The session of this command; unopened, so that it costs nothing.

        Args:
            bulk: whether files will be moved.
            overrides: settings that this command's own options replace.

        Raises:
            SettingsError: when the configuration is wrong.
        """
        from maap_tui.engine.session import Session

        session = Session.load(
            self.config_file,
            overrides={**overrides_of(self.args), **(overrides or {})},
            emit=self.handle_event,
            bulk=bulk,
        )
        self.report.with_times = session.settings.log.times
        self._warn_of_token(session.settings, session.dirs)
        return session

    def begin_run(self, verb: str, where: AppDirs) -> None:
        """Write down that a run begins, for `maap runs`; a dry run is none.

        From then on its work does not depend on who reads stdout.
        """
        from maap_tui.engine.runs import Runs

        self.output.goes_on = True
        self._run = Runs(where).begin(verb, self.args.words)
        if self._run is not None:
            self.report.keep_log(self._run.say)

    def end_run(self, code: int) -> None:
        """Write down how the run ended, where one began."""
        if self._run is None:
            return
        from maap_tui.engine.download.tally import Tally
        from maap_tui.engine.runs import Counts

        done = (self.report.tally or Tally()).snapshot()
        deleted, freed = self.deleted
        counts = Counts(
            found=done.queued if self.found is None else self.found,
            downloaded=done.finished,
            here=done.skipped,
            failed=done.failed,
            failed_days=done.failed_days,
            deleted=deleted,
            bytes=done.received + freed,
        )
        self._run.end(code, counts, self.report.last_error)
        self._run = None

    def handle_event(self, event: Event) -> None:
        """Take an event of the engine."""
        self.report.handle_event(event)
        if self.output.as_json and self._prints_files:
            values = _file_record(event)
            if values is not None:
                self.output.record(values)

    def prints_files(self) -> None:
        """Print an object for each file as it ends, where JSON is wanted; whoever reads may go away."""
        self.output.goes_on = self._prints_files = True

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Show progress around the work, where stderr is a terminal."""
        report = self.report
        if report.quiet or sys.stderr is None or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
            yield
            return
        from maap_tui.cli.progress import Progress
        from maap_tui.engine.download.tally import Tally

        report.tally = report.tally or Tally()
        try:
            async with Progress(report.tally) as report.progress:
                yield
        finally:
            report.progress = None

    def check_token(self, session: Session) -> None:
        """Look at the offline token before work that needs it.

        Raises:
            CredentialsError: when there is none that can be used.
        """
        session.token_info()

    def _warn_of_token(self, config: Settings, where: AppDirs) -> None:
        """Say in time that the offline token ends; without a usable one there is nothing to say yet."""
        from maap_tui.engine.errors import MaapError
        from maap_tui.engine.net.credentials import describe_token, load_credentials

        if getattr(self.args, "command", None) in SAY_IT_THEMSELVES:
            return
        try:
            info = describe_token(load_credentials(where.credentials_file, os.environ).offline_token)
        except (MaapError, OSError):
            return
        now = datetime.now(UTC)
        days = info.days_left(now)
        if info.expires is None or days is None:
            return
        again = f"Get a new one at {TOKEN_PAGE} and store it with `maap login`."
        if info.expires <= now:
            self.report.warn(f"The offline token expired on {format_date(info.expires)}. {again}")
        elif days < config.token.warn_days:
            left = plural(days, "day") if days else "less than a day"
            self.report.warn(f"The offline token has {left} left ({format_date(info.expires)}). {again}")


def _file_record(event: Event) -> dict[str, Any] | None:
    kind = type(event).__name__
    states = {"FileFinished": "finished", "FileSkipped": "skipped", "FileFailed": "failed"}
    if kind not in states:
        return None
    path = str(getattr(event, "path", ""))
    return {
        "url": getattr(event, "url", ""),
        "path": "" if path == "." else path,
        "state": states[kind],
        "bytes": getattr(event, "size", 0),
        "reason": getattr(event, "reason", ""),
    }
