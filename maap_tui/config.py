"""MaapConfig, where maap-client's users import it from."""

from maap_tui.client.config import MaapConfig

__all__ = ["MaapConfig"]
