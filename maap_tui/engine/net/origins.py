"""Which URL may receive the access token, where a secret may travel, and what this machine is."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit


def origin_of(url: str) -> str:
    """`scheme://host:port` with the default port filled in; '' when the URL has none, or names a user.

    A user and password in an address would replace the token, so such an address belongs nowhere.
    """
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
    origin = origin_of(url)
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
