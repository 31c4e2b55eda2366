"""Everything that goes to stderr, and the exit code.

0 done; 2 credentials dead or missing; 3 transient or partial, run it again; 4 the request is wrong;
130, 143 and 129 interrupted by SIGINT, SIGTERM and SIGHUP; 1 an error of the program itself.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections import Counter, deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from maap_tui.cli.output import discard
from maap_tui.engine.errors import (
    EXIT_AUTH_FATAL,
    EXIT_BUG,
    EXIT_NON_TRANSIENT,
    EXIT_OK,
    EXIT_TRANSIENT,
    MaapError,
    NoMemoryError,
    exit_code_of,
    is_out_of_memory,
    worst_code,
)
from maap_tui.text import clean, damage_words, format_bytes, format_rate, plural, without_tokens

if TYPE_CHECKING:
    from maap_tui.cli.progress import Progress
    from maap_tui.engine.download.tally import Tally
    from maap_tui.engine.events import Event

DONE, CREDENTIALS, AGAIN, WRONG = EXIT_OK, EXIT_AUTH_FATAL, EXIT_TRANSIENT, EXIT_NON_TRANSIENT
BUG = EXIT_BUG


def code_of(error: BaseException) -> int:
    """The exit code that an error means."""
    code = exit_code_of(error)
    return BUG if code is None else code


KEPT_LINES = 50
"""Lines from before a run has its log, which go into it then."""

SHOWN_SKIPS = 10
"""Skipped items that are named without -v."""


class Reporter:
    """Talks to the user and remembers how it ends."""

    def __init__(self, *, verbosity: int = 0, quiet: bool = False) -> None:
        """Choose how much is said.

        Args:
            verbosity: 1 adds a line for each file and day, 2 tracebacks as well.
            quiet: whether only errors and warnings are said.
        """
        self.verbosity = verbosity
        self.quiet = quiet
        self.names_baselines = False
        """Whether a failed day is reported with its baseline."""
        self._warned: set[str] = set()
        self._skipped: Counter[str] = Counter()
        self._damaged: dict[object, int] = {}
        self.codes: set[int] = set()
        """What went wrong so far, as exit codes."""
        self.with_times: bool | None = None
        """Whether every line begins with the time, off by default, as wrappers look for `FAILED DAY:`; None
        until the settings are read."""
        self.ask_for_times: Callable[[], bool] = bool
        """Says `with_times` for a line that is written before the settings are read."""
        self.log: Callable[[str], None] | None = None
        """Takes every line for the log of the run, those that --quiet leaves out too."""
        self.last_error = ""
        """What was said of the last error; '' without one."""
        self._said: deque[str] = deque(maxlen=KEPT_LINES)
        self.tally: Tally | None = None
        self.progress: Progress | None = None
        if hasattr(sys.stderr, "reconfigure"):
            sys.stderr.reconfigure(errors="backslashreplace")

    @property
    def code(self) -> int:
        """The exit code of what happened so far."""
        return worst_code(self.codes)

    def say(self, text: str) -> None:
        """One line to the user, which --quiet leaves out."""
        self._write(text, is_shown=not self.quiet)

    def keep_log(self, log: Callable[[str], None]) -> None:
        """Hand every line to the log of the run, those that were said before too."""
        for line in self._said:
            log(line)
        self._said.clear()
        self.log = log

    def detail(self, text: str) -> None:
        """A line that only -v shows."""
        if self.verbosity and not self.quiet:
            self._write(text)

    def warn(self, text: str) -> None:
        """Something the user should know that stops nothing; said once, in any case."""
        if text not in self._warned:
            self._warned.add(text)
            self._write(f"Warning: {text}")

    def fail(self, error: BaseException, about: str = "") -> None:
        """Say an error and what to do about it, and remember its code.

        Args:
            error: what went wrong.
            about: which of several things it went wrong with; '' where there is only one.
        """
        if not isinstance(error, MaapError) and is_out_of_memory(error):
            # Its traceback would need more of what there is none of.
            error = NoMemoryError()
        self.codes.add(code_of(error))
        about = f"{about}: " if about else ""
        if isinstance(error, MaapError):
            self.last_error = f"{about}{error.sentences}"
        else:
            words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            self.last_error = f"{about}{words}. This is a mistake in maap_tui; -vv shows where."
        self._write(f"Error: {self.last_error}")
        if self.verbosity >= 2:
            import traceback

            for line in "".join(traceback.format_exception(error)).splitlines():
                self._write(line)

    def handle_event(self, event: Event) -> None:
        """Take an event of the engine: count it, and say what has to be said."""
        if self.tally is None:
            from maap_tui.engine.download.tally import Tally

            self.tally = Tally()
        self.tally.apply(event)
        say = _VOICES.get(type(event).__name__)
        if say is not None:
            say(self, event)

    def failed_day(self, event: Any) -> None:
        """The stable line that wrappers look for."""
        self.codes.add(AGAIN)
        baseline = f"{event.baseline or '*'} " if self.names_baselines else ""
        self._write(f"FAILED DAY: {baseline}{event.day} ({event.reason})")

    def failed_file(self, event: Any) -> None:
        self.codes.add(WRONG if event.permanent else AGAIN)
        self._write(f"Failed: {event.url.rpartition('/')[2] or event.url}: {event.reason}")

    def skipped_item(self, event: Any) -> None:
        """An item that is missing from what was asked for: the first ones by name, all of them in the end."""
        self.codes.add(WRONG if event.permanent else AGAIN)
        self._skipped[event.reason] += 1
        words = f"Skipped: {event.name[:160]}: {event.reason}" if event.name else f"Skipped: {event.reason}"
        if self._skipped.total() <= SHOWN_SKIPS:
            self._write(words)
        else:
            self.detail(words)

    def damaged(self, event: Any) -> None:
        """A file of the registry that cannot be read whole: the first ones by name, all in the end."""
        self.codes.add(AGAIN)
        is_new = event.path not in self._damaged
        self._damaged[event.path] = event.lines
        words = f"{event.words}; `maap doctor` lists what is damaged"
        if is_new and len(self._damaged) <= SHOWN_SKIPS:
            self.warn(words)
        elif is_new:
            self.detail(f"Warning: {words}")

    def close(self) -> None:
        """Say what is known only in the end: how many items were skipped, and why."""
        if len(self._damaged) > 1:
            words = damage_words(self._damaged.values())
            self._write(
                f"Left out of the registry: {words}; `maap doctor` lists them and "
                "`maap doctor --repair` makes comments of damaged lines"
            )
            self._damaged.clear()
        if self._skipped:
            reasons = ", ".join(
                f"{reason.removeprefix('has ')} ({count:,})" for reason, count in self._skipped.most_common(5)
            )
            more = f", and {len(self._skipped) - 5} other reasons" if len(self._skipped) > 5 else ""
            self._write(f"Skipped {plural(self._skipped.total(), 'item')}: {reasons}{more}")
            self._skipped.clear()

    def hook_said(self, event: Any) -> None:
        """A line of a hook: always in the log of the run, on stderr with -v."""
        self._write(f"{event.name}: {event.line}", is_shown=bool(self.verbosity) and not self.quiet)

    def failed_hook(self, event: Any) -> None:
        """A hook that the next run starts again."""
        self.codes.add(AGAIN)
        self._write(f"Hook failed: {event.name}: {event.reason}; the next run starts it again")

    def refuse(self, name: str, reason: str) -> None:
        """Say what was not done with one of several things; the command decides what it means."""
        self._write(f"Refused: {name}: {reason}")

    @property
    def is_anything_left(self) -> bool:
        """Whether files were queued that have not ended, or none was yet."""
        now = None if self.tally is None else self.tally.snapshot()
        return now is None or not now.queued or now.queued > now.done

    def interrupted(self, name: str) -> None:
        """The one line after a signal: what was done and is kept."""
        done = ""
        if self.tally is not None:
            now = self.tally.snapshot()
            if now.finished:
                done = f"; {plural(now.finished, 'file')} finished"
            if now.queued > now.done:
                done += f"; {plural(now.queued - now.done, 'file')} left, parts are kept"
        self.say(f"{name}{done}. Run the same command again to go on.")

    def _write(self, text: str, *, is_shown: bool = True) -> None:
        line = clean(without_tokens(text))
        (self._said.append if self.log is None else self.log)(line)
        if not is_shown:
            return
        if self.with_times is None:
            self.with_times = self.ask_for_times()
        if self.with_times:
            line = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}"
        if self.progress is not None:
            self.progress.print(line)
            return
        # Without stderr there is nobody to report to, and the data is worth more than the talk.
        try:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()
        except OSError:
            discard(sys.stderr)
        except (ValueError, AttributeError):
            return


def _finished(report: Reporter, event: Any) -> None:
    rate = f", {format_rate(event.received / event.seconds)}" if event.seconds > 0 else ""
    report.detail(f"Downloaded {event.path} ({format_bytes(event.size)}{rate})")


def _page(report: Reporter, event: Any) -> None:
    day = "" if event.start is None else f"{event.start:%Y-%m-%d}: "
    of = "" if event.matched is None else f" of {event.matched}"
    report.detail(f"{day}{event.items}{of} items")


def _counted(report: Reporter, event: Any) -> None:
    if report.progress is not None:
        report.progress.phase = f"{event.done} of {plural(event.total, 'baseline')} counted"
    report.detail(
        f"[{event.done}/{event.total}] {event.product_type} {event.baseline}: "
        f"{plural(event.count, 'granule')}"
    )


def _retried(report: Reporter, event: Any) -> None:
    name = event.url.rpartition("/")[2]
    report.detail(f"{name}: {event.reason}; trying again in {event.wait_s:.1f} s")


_VOICES: dict[str, Any] = {
    "DayFailed": Reporter.failed_day,
    "ItemSkipped": Reporter.skipped_item,
    "RegistryDamaged": Reporter.damaged,
    "FileFailed": Reporter.failed_file,
    "FileFinished": _finished,
    "FileSkipped": lambda report, event: report.detail(f"Here already: {event.path}"),
    "FileRetried": _retried,
    "PageFetched": _page,
    "BaselineCounted": _counted,
    "HookSaid": Reporter.hook_said,
    "HookFailed": Reporter.failed_hook,
    "HookRan": lambda report, event: report.detail(f"Hook: {event.name} ({event.seconds:.1f} s)"),
    "Warned": lambda report, event: report.warn(event.message),
    "Noted": lambda report, event: report.detail(event.message),
}
"""What is said of each event, by its name, so that saying an error does not import the engine."""


def ends_at_once(code: int) -> None:
    """End the process now, the cursor shown again; what is on disk is whole without further ado."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if sys.stderr.isatty():
            sys.stderr.write("\x1b[?25h\n")
            sys.stderr.flush()
    os._exit(code)
