"""The rules that parts work by, made of the settings alone: the parts have no defaults of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maap_tui.engine.config.settings import DownloadSettings, SearchSettings, Settings
from maap_tui.engine.download.requests import TransferRules
from maap_tui.engine.net.http import HttpRules

if TYPE_CHECKING:
    from maap_tui.engine.catalogue.search import Rules

SLOWEST_RATE = 1024.0
"""Bytes a second below which a connection is replaced by a new one."""

SLOWEST_FOR_S = 60.0
"""Seconds that this rate is measured over."""

RANGES_FROM = 64 * 1024**2
"""Bytes of a file from which on it is worth more than one connection."""

CONNECTIONS = int(max(DownloadSettings.parallel.highest, SearchSettings.parallel.highest)) + 2
"""Connections to keep: enough for the most requests at once that the settings may come to allow."""


def http_rules(config: Settings) -> HttpRules:
    """How answers are waited for and requests repeated."""
    api = config.api
    return HttpRules(
        timeout_s=api.timeout,
        stall_timeout_s=config.downloads.stall_timeout,
        retries=api.retries,
        retry_wait_s=api.retry_wait,
        outage_wait_s=api.outage_wait,
    )


def transfer_rules(config: Settings) -> TransferRules:
    """How files are fetched."""
    downloads = config.downloads
    return TransferRules(
        retries=downloads.retries,
        retry_wait_s=downloads.retry_wait,
        min_free=downloads.min_free,
        max_file=downloads.max_file,
        min_rate=SLOWEST_RATE,
        rate_window_s=SLOWEST_FOR_S,
        limit_rate=downloads.limit_rate,
        ranges=downloads.ranges,
        ranges_from=RANGES_FROM,
    )


def search_rules(config: Settings, *, is_of_mission: bool, searches: int = 1) -> Rules:
    """How a collection is searched.

    Args:
        config: the settings.
        is_of_mission: whether the collection belongs to the mission of the settings: those of another
            mission keep their own time.
        searches: how many run at once and share what may be asked at once.
    """
    from maap_tui.engine.catalogue.search import Rules

    mission = config.mission
    return Rules(
        parallel=max(1, config.search.parallel // searches),
        page_size=config.api.page_size,
        mission_name=mission.name,
        start=mission.start if is_of_mission else None,
        end=mission.end if is_of_mission else None,
    )
