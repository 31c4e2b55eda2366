"""The registry's trackers, under the names that maap-client's users import."""

from maap_tui.client.state import GlobalStateTracker, StateTracker

__all__ = ["GlobalStateTracker", "StateTracker"]
