"""Transport: what carries a request, by the proxy on its way and by whether files are moved.

Short requests of a one-shot command go through httpx alone; a session that moves files puts aiohttp
under httpx for everything, because that moves bytes at half the CPU and loses no connection when a
transfer is cancelled.
"""

from __future__ import annotations

import base64
import functools
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from maap_tui.engine.net.network_env import (
    Proxies,
    Proxy,
    Trust,
    proxies_of,
    ssl_context_of,
    trust_of,
    with_key_log,
)
from maap_tui.version import __version__

if TYPE_CHECKING:
    import ssl

    import httpx

CHUNK_SIZE = 256 * 1024
"""Bytes read from a socket at a time."""


class Clients:
    """The clients of one session, one for each way; each is made when it is first needed."""

    def __init__(
        self,
        *,
        connections: int,
        is_bulk: bool,
        environ: Mapping[str, str] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Take the rules; open nothing.

        Args:
            connections: connections open at once.
            is_bulk: whether files will be moved, so that aiohttp carries everything.
            environ: the environment, for proxies and certificates; None takes the process's.
            transport: what to send through instead of the network.
        """
        self._connections = connections
        self._is_bulk = is_bulk
        self._environ = environ
        self._transport = transport
        self._proxies: Proxies | None = None
        self.trust = Trust()
        """The certificates in force, once something was asked."""
        self._clients: dict[tuple[Proxy | None, bool], httpx.AsyncClient] = {}

    def of(self, url: str) -> tuple[httpx.AsyncClient, Proxy | None]:
        """The client for a URL, and the proxy that it goes through."""
        if self._transport is None and self._proxies is None:
            environ = os.environ if self._environ is None else self._environ
            self.trust = trust_of(environ)
            _context_of(self.trust)
            self._proxies = proxies_of(environ)
        proxy = self._proxies.of(url) if self._proxies is not None else None
        # aiohttp knows no SOCKS, and no way to give a password to a proxy without a tunnel.
        is_bulk = self._is_bulk and (proxy is None or (url.startswith("https:") and not proxy.is_socks))
        client = self._clients.get((proxy, is_bulk))
        if client is None:
            import httpx

            client = self._clients[proxy, is_bulk] = httpx.AsyncClient(
                transport=self._transport or self._transport_through(proxy, is_bulk),
                trust_env=False,
                follow_redirects=False,
                headers={"user-agent": f"maap_tui/{__version__}"},
            )
        return client, proxy

    def _transport_through(self, proxy: Proxy | None, is_bulk: bool) -> httpx.AsyncBaseTransport:
        context = _context_of(self.trust)
        through = _httpx_proxy(proxy, context) if proxy is not None else None
        if is_bulk:
            return _aiohttp_transport(context, through, self._connections)
        import httpx

        limits = httpx.Limits(
            max_connections=self._connections * 2,
            max_keepalive_connections=self._connections,
            keepalive_expiry=30.0,
        )
        return httpx.AsyncHTTPTransport(verify=context, trust_env=False, limits=limits, proxy=through)

    async def close(self) -> None:
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.aclose()


def _context_of(trust: Trust) -> ssl.SSLContext:
    return ssl_context_of(trust) or _default_context()


@functools.lru_cache(maxsize=1)
def _default_context() -> ssl.SSLContext:
    """Certificates take longer to read than a request takes: they are read once."""
    import httpx

    return with_key_log(lambda: httpx.create_ssl_context(trust_env=False))


def _httpx_proxy(proxy: Proxy, context: ssl.SSLContext) -> httpx.Proxy:
    import httpx

    auth = (proxy.user, proxy.password) if proxy.user or proxy.password else None
    headers = {}
    if auth and not proxy.is_socks:
        # As a header, because aiohttp would encode it in Latin-1.
        secret = base64.b64encode(":".join(auth).encode("utf-8", "replace")).decode()
        headers["proxy-authorization"] = f"Basic {secret}"
    return httpx.Proxy(
        proxy.url,
        auth=auth if proxy.is_socks else None,
        headers=headers,
        ssl_context=context if proxy.scheme == "https" else None,
    )


def _aiohttp_transport(
    context: ssl.SSLContext, proxy: httpx.Proxy | None, connections: int
) -> httpx.AsyncBaseTransport:
    """A transport on aiohttp."""
    import aiohttp
    from httpx_aiohttp import AiohttpTransport, transport

    transport.AiohttpResponseStream.CHUNK_SIZE = CHUNK_SIZE

    def session() -> aiohttp.ClientSession:
        # trust_env stays off: aiohttp would read ~/.netrc with it, and proxies by other rules.
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections * 2, ssl=context, keepalive_timeout=30.0),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=CHUNK_SIZE,
            trust_env=False,
        )

    return AiohttpTransport(verify=context, client=session, proxy=proxy)
