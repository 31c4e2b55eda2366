"""What the far end of a measurement and the clients have to agree on."""

from __future__ import annotations

from datetime import UTC, datetime

COLLECTION, PRODUCT, BASELINE = "EarthCAREL2Validated_MAAP", "MSI_COP_2A", "BA"
NAMES = (COLLECTION, PRODUCT, BASELINE)
FIRST = datetime(2025, 1, 1, tzinfo=UTC)
"""Start of the first granule that a search can find."""
LIMITED = "limited"
"""The files below /data/limited/ come at LIMIT_RATE."""
LIMIT_RATE = 4 * 1024**2
"""Bytes a second and connection."""
TOKEN_PATH = "/realms/esa-maap/protocol/openid-connect/token"
