"""Which URL may receive the access token, where a secret may travel, and what this machine is."""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

NOT_OF_THE_ARCHIVE = "its address is not on the archive, and the access token is not sent anywhere else"
"""Why a file is not fetched from an origin that is not trusted with the token."""
TRUST_IT = "Add its origin to api.data_origins if you trust it."

_PLAIN = re.compile(r"https?://[A-Za-z0-9.:-]+/")
"""The beginning of a URL that holds all of its origin."""


def origin_of(url: str) -> str:
    """`scheme://host:port` with the default port filled in; '' when the URL has none, or names a user.

    A user and password in an address would replace the token, so such an address belongs nowhere.
    """
    return _origin_of(_beginning(url))


def _beginning(url: str) -> str:
    """As much of a URL as says its origin: the same for all files of an archive."""
    plain = _PLAIN.match(url)
    return plain[0] if plain else url


@functools.lru_cache(maxsize=256)
def _origin_of(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError:
        return ""
    if not parts.hostname or parts.scheme not in ("http", "https") or "@" in parts.netloc:
        return ""
    return f"{parts.scheme}://{parts.hostname.lower()}:{port}"


def origins_of(urls: Iterable[str]) -> frozenset[str]:
    """The origins of URLs, without those that have none."""
    return frozenset(map(origin_of, urls)) - {""}


def address_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a host without brackets is; None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Whether a host name or address without brackets always means this machine."""
    address = address_of(host)
    if address is None:
        return host.lower() == "localhost"
    # Older Pythons do not look into an IPv4 address that is written as one of IPv6.
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def is_private_enough(url: str) -> bool:
    """Whether a secret may travel there: https, or http that does not leave this machine."""
    return _is_private_enough(_beginning(url))


@functools.lru_cache(maxsize=256)
def _is_private_enough(url: str) -> bool:
    origin = _origin_of(url)
    return origin.startswith("https://") or (
        origin.startswith("http://") and is_loopback(urlsplit(url).hostname or "")
    )


def may_have_token(url: str, origins: frozenset[str]) -> bool:
    """Whether the access token may be sent to a URL.

    Args:
        url: what is asked.
        origins: those that may receive it, as `origin_of` writes them.
    """
    return origin_of(url) in origins and is_private_enough(url)
