"""What holds where nothing is said."""

DEFAULT_MAX_ITEMS = 50_000
"""Granules that a query gives at most; also the default of the setting `search.max_items`."""
