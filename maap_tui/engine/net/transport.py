"""Transport: what carries a request, by the proxy on its way and by whether files are moved.

Short requests of a one-shot command go through httpx alone. A session that moves files asks for them
of aiohttp, which takes a third of the CPU and loses no connection when a transfer is cancelled; its
short requests go through httpx on the same connections.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, NoReturn, Protocol

from maap_tui.version import __version__

if TYPE_CHECKING:
    import ssl

    import aiohttp
    import httpx

    from maap_tui.engine.net.network_env import Proxies, Proxy, Trust

CHUNK_SIZE = 256 * 1024
"""Bytes read from a socket at a time."""

CONNECT_TIMEOUT_S = 10.0

KEEP_ALIVE_S = 30.0
"""Seconds that a connection stays open with nothing to do."""

_USER_AGENT = f"maap_tui/{__version__}"
_PLAIN_URL = re.compile(r"https?://[a-z0-9.:-]+(/(?!\.)[A-Za-z0-9_~,;=+@$!*():.-]*)+")
"""An address that stays as it is when it is normalised."""


class Answer(Protocol):
    """An answer whose body is still arriving."""

    @property
    def status(self) -> int: ...

    @property
    def reason(self) -> str: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in lower case."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The raw bytes as they come; raises what the network stack raises."""

    async def close(self) -> None:
        """Give the connection back, or close it where more was to come."""


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
        self.trust: Trust | None = None
        """The certificates in force, once something was asked."""
        self._clients: dict[tuple[Proxy | None, bool], httpx.AsyncClient] = {}
        self._sessions: dict[Proxy | None, aiohttp.ClientSession] = {}

    def proxy_of(self, url: str) -> Proxy | None:
        """The proxy that a URL is asked through.

        Raises:
            NetworkSetupError: when the variables that name proxies or certificates are wrong.
        """
        if self._transport is None and self._proxies is None:
            from maap_tui.engine.net.network_env import proxies_of, trust_of

            environ = os.environ if self._environ is None else self._environ
            self.trust = trust_of(environ)
            _context_of(self.trust)
            self._proxies = proxies_of(environ)
        return self._proxies.of(url) if self._proxies is not None else None

    def of(self, url: str) -> httpx.AsyncClient:
        """The client for short requests to a URL; errors as `proxy_of`."""
        proxy = self.proxy_of(url)
        is_bulk = self._is_bulk_to(url, proxy)
        client = self._clients.get((proxy, is_bulk))
        if client is None:
            _load_httpx()
            import httpx

            client = self._clients[proxy, is_bulk] = httpx.AsyncClient(
                transport=self._transport or self._transport_through(proxy, is_bulk),
                trust_env=False,
                follow_redirects=False,
                headers={"user-agent": _USER_AGENT},
            )
        return client

    async def get(self, url: str, headers: Mapping[str, str], stall_timeout_s: float) -> Answer:
        """Ask for a file, no redirect followed; raises as `proxy_of`, or what the network stack raises."""
        proxy = self.proxy_of(url)
        if self._transport is None and self._is_bulk_to(url, proxy):
            return await self._get_by_aiohttp(url, headers, stall_timeout_s, proxy)
        import httpx

        client = self.of(url)
        timeout = httpx.Timeout(CONNECT_TIMEOUT_S, read=stall_timeout_s, write=stall_timeout_s, pool=None)
        request = client.build_request("GET", url, headers=headers, timeout=timeout)
        return _HttpxAnswer(await client.send(request, stream=True))

    async def open_ahead(self, url: str) -> None:
        """Open the connection that the next `get` of a URL takes; raises as that.

        Nothing is opened for those that go through httpx or a proxy.
        """
        proxy = self.proxy_of(url)
        if self._transport is not None or not self._is_bulk or proxy is not None:
            return
        if not _PLAIN_URL.fullmatch(url):
            return
        import aiohttp
        from yarl import URL

        connector = self._session_through(None).connector
        assert connector is not None
        timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT_S)
        try:
            request = aiohttp.ClientRequest("GET", URL(url))
            (await connector.connect(request, [], timeout)).release()
        except (AttributeError, TypeError):
            return  # a later aiohttp may make requests in another way: the connection then opens with its own
        except Exception as error:
            _raise_as_httpx(error)

    async def _get_by_aiohttp(
        self, url: str, headers: Mapping[str, str], stall_timeout_s: float, proxy: Proxy | None
    ) -> Answer:
        import aiohttp

        if not _PLAIN_URL.fullmatch(url):
            import httpx

            url = str(httpx.URL(url))
        for value in headers.values():
            value.encode("ascii")  # aiohttp would send it as UTF-8
        session = self._session_through(proxy)
        through = _httpx_proxy(proxy, _context_of(self.trust)) if proxy is not None else None
        try:
            response = await session.get(
                url,
                headers={"user-agent": _USER_AGENT, **headers},
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT_S, sock_read=stall_timeout_s),
                proxy=str(through.url) if through is not None else None,
                proxy_headers=through.headers if through is not None else None,
            )
        except Exception as error:
            _raise_as_httpx(error)
        return _AiohttpAnswer(response)

    def _is_bulk_to(self, url: str, proxy: Proxy | None) -> bool:
        # aiohttp knows no SOCKS, and no way to give a password to a proxy without a tunnel.
        return self._is_bulk and (proxy is None or (url.startswith("https:") and not proxy.is_socks))

    def _transport_through(self, proxy: Proxy | None, is_bulk: bool) -> httpx.AsyncBaseTransport:
        context = _context_of(self.trust)
        through = _httpx_proxy(proxy, context) if proxy is not None else None
        if is_bulk:
            from httpx_aiohttp import AiohttpTransport

            return AiohttpTransport(
                verify=context, client=lambda: self._session_through(proxy), proxy=through
            )
        import httpx

        limits = httpx.Limits(
            max_connections=self._connections * 2,
            max_keepalive_connections=self._connections,
            keepalive_expiry=KEEP_ALIVE_S,
        )
        return httpx.AsyncHTTPTransport(verify=context, trust_env=False, limits=limits, proxy=through)

    def _session_through(self, proxy: Proxy | None) -> aiohttp.ClientSession:
        """Aiohttp's connections through a proxy; made once its loop runs."""
        session = self._sessions.get(proxy)
        if session is None:
            import aiohttp

            connector = aiohttp.TCPConnector(
                limit=self._connections * 2, ssl=_context_of(self.trust), keepalive_timeout=KEEP_ALIVE_S
            )
            # trust_env stays off: aiohttp would read ~/.netrc with it, and proxies by other rules.
            session = self._sessions[proxy] = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                read_bufsize=CHUNK_SIZE,
                trust_env=False,
            )
        return session

    async def close(self) -> None:
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.aclose()


@dataclass(slots=True)
class _HttpxAnswer:
    """An answer by way of httpx."""

    _response: httpx.Response = field(repr=False)
    headers: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.headers = {name.lower(): value for name, value in self._response.headers.items()}

    @property
    def status(self) -> int:
        return self._response.status_code

    @property
    def reason(self) -> str:
        return self._response.reason_phrase

    def chunks(self) -> AsyncIterator[bytes]:
        return self._response.aiter_raw()

    async def close(self) -> None:
        await self._response.aclose()


@dataclass(slots=True)
class _AiohttpAnswer:
    """An answer by way of aiohttp."""

    _response: aiohttp.ClientResponse = field(repr=False)
    headers: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        found: dict[str, str] = {}
        for raw_name, raw_value in self._response.raw_headers:
            name, value = raw_name.decode("latin-1").lower(), _text_of(raw_value)
            found[name] = f"{found[name]}, {value}" if name in found else value
        self.headers = found

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def reason(self) -> str:
        words = (self._response.reason or "").encode("ascii", "ignore").decode()
        with contextlib.suppress(ValueError):
            words = words or HTTPStatus(self.status).phrase
        return words

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            while chunk := await self._response.content.readany():
                yield chunk
        except Exception as error:
            _raise_as_httpx(error)

    async def close(self) -> None:
        self._response.release()
        await self._response.wait_for_close()


def _load_httpx() -> None:
    """Load httpx without its command.

    It loads that one too where click is installed, and with it Rich and Pygments: 45 ms.
    """
    if "httpx" in sys.modules:
        return
    command = "httpx._main"
    sys.modules[command] = None  # type: ignore[assignment]  # Python's way to say that it is not there
    try:
        import httpx  # noqa: F401
    finally:
        del sys.modules[command]


def joined(url: str, location: str) -> str:
    """Where a redirect leads; raises what the network stack raises."""
    import httpx

    return str(httpx.URL(url).join(location))


def _raise_as_httpx(error: Exception) -> NoReturn:
    """Raise what httpx would; it is not imported before, as a command may need nothing of it."""
    from httpx_aiohttp.transport import map_aiohttp_exceptions

    with map_aiohttp_exceptions():
        raise error
    raise AssertionError("an error was swallowed")


def _text_of(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _context_of(trust: Trust | None) -> ssl.SSLContext:
    from maap_tui.engine.net.network_env import ssl_context_of

    return (trust and ssl_context_of(trust)) or _default_context()


@functools.lru_cache(maxsize=1)
def _default_context() -> ssl.SSLContext:
    """Certificates take longer to read than a request takes: they are read once."""
    import ssl

    import certifi

    from maap_tui.engine.net.network_env import with_key_log

    return with_key_log(lambda: ssl.create_default_context(cafile=certifi.where()))


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
