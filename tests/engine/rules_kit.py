"""Rules as the default settings make them, for tests that use parts without a session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from maap_tui.engine.config import loading
from maap_tui.engine.download.downloads import Downloads
from maap_tui.engine.download.remote import Fetcher
from maap_tui.engine.download.requests import TransferRules
from maap_tui.engine.events import Emit
from maap_tui.engine.net.http import HttpRules
from maap_tui.engine.workflows import rules

DEFAULTS = loading.load(environ={"MAAP_HOME": "/nonexistent"})
"""What a user has who has set nothing."""


def http_rules(**changes: Any) -> HttpRules:
    """Those of the default settings but for what is given; no outage is waited for."""
    return replace(rules.http_rules(DEFAULTS), **{"outage_wait_s": 0.0, **changes})


def transfer_rules(**changes: Any) -> TransferRules:
    """Those of the default settings but for what is given."""
    return replace(rules.transfer_rules(DEFAULTS), **changes)


def make_downloads(transfer: Callable[[Emit], Fetcher], **options: Any) -> Downloads:
    """A queue as the default settings make it but for what is given; no room is waited for."""
    return Downloads(transfer, **{"parallel": DEFAULTS.downloads.parallel, "space_wait_s": 0.0, **options})
