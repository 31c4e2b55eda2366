"""The rules that parts work by, made of the settings alone: the parts have no defaults of their own."""

from __future__ import annotations

from maap_tui.engine.catalogue.search import Rules
from maap_tui.engine.config.settings import DownloadSettings, SearchSettings, Settings
from maap_tui.engine.download.requests import TransferRules
from maap_tui.engine.net.http import HttpRules

SLOWEST_RATE = 1024.0
"""Bytes a second below which a connection is replaced by a new one."""

SLOWEST_FOR_S = 60.0
"""Seconds that this rate is measured over."""

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
    )


def search_rules(config: Settings, *, is_of_mission: bool) -> Rules:
    """How a collection is searched.

    Args:
        config: the settings.
        is_of_mission: whether the collection belongs to the mission of the settings: those of another
            mission keep their own time.
    """
    mission = config.mission
    return Rules(
        parallel=config.search.parallel,
        page_size=config.api.page_size,
        mission_name=mission.name,
        start=mission.start if is_of_mission else None,
        end=mission.end if is_of_mission else None,
    )
