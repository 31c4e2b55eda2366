"""The one door to the network: clients, time-outs, retries, allowed origins, and faults in words.

httpx is imported when the first request is made. Short requests of a one-shot command go through
httpx alone; a session that moves files puts aiohttp under httpx for everything, because that moves
bytes at half the CPU and loses no connection when a transfer is cancelled.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import json
import os
import random
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlsplit

from maap_tui import __version__
from maap_tui.engine.errors import MaapError
from maap_tui.engine.events import Emit, Noted, Warned, ignore

if TYPE_CHECKING:
    import ssl

    import httpx

PAGE_CAP = 64 * 1024 * 1024
"""Bytes an answer to a metadata request may have; a larger one is refused."""

RETRY_AFTER_CAP_S = 120.0
"""Longest wait that a server can ask for."""

BUSY = frozenset({429, 500, 502, 503, 504})
"""Statuses that say: ask again later."""

CHUNK_SIZE = 256 * 1024
"""Bytes read from a socket at a time."""

MAX_REDIRECTS = 5

PROBE_WAIT_CAP_S = 30.0
"""Longest wait between two looks whether a service that is down answers again."""

SECRET_FIELDS = ("client_secret", "refresh_token")
"""Fields of a form whose values are never shown."""


class TransportFault(MaapError):
    """No usable answer came: connection, time-out, or a busy status that stayed."""

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        status: int | None = None,
        offline: bool = False,
        permanent: bool = False,
    ) -> None:
        super().__init__(message, hint)
        self.status = status
        """The last HTTP status, None when there was no answer at all."""
        self.offline = offline
        """Whether the host gave no sign of life: it could not be reached, or sent nothing in time."""
        self.permanent = permanent
        """Whether the address itself is at fault, so that asking again cannot help."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that was read to its end."""

    status: int
    reason: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = field(repr=False)
    url: str

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ValueError: when it is none, also when it nests too deep.
        """
        try:
            return json.loads(self.body)
        except RecursionError:
            raise ValueError("nested too deep") from None

    def error_words(self) -> str:
        """What the body of an error says, in one line; '' when it says nothing readable."""
        try:
            data = self.json()
        except ValueError:
            return ""
        if not isinstance(data, dict):
            return ""
        inner = data.get("error", data)
        if isinstance(inner, dict):
            text = inner.get("message") or inner.get("description") or inner.get("detail") or ""
        else:
            text = data.get("error_description") or inner
        return " ".join(str(text).split())[:300]


@dataclass(slots=True)
class Stream:
    """An answer whose body is still arriving."""

    status: int
    reason: str
    headers: Mapping[str, str]
    """Names in lower case."""
    url: str
    """Where it came from, after redirects."""
    _response: httpx.Response = field(repr=False)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The raw bytes as they come.

        Raises:
            TransportFault: when the connection breaks or stalls.
        """
        try:
            async for chunk in self._response.aiter_raw():
                yield chunk
        except MaapError:
            raise
        except Exception as error:
            raise fault_of(error, self.url) from error


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


def is_loopback(url: str) -> bool:
    """Whether a URL stays on this machine."""
    try:
        host = (urlsplit(url).hostname or "").lower()
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_private_enough(url: str) -> bool:
    """Whether a secret may travel there: https, or http that does not leave this machine."""
    origin = origin_of(url)
    return origin.startswith("https://") or (origin.startswith("http://") and is_loopback(url))


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds that a Retry-After header asks for, capped; None without a readable one."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except (TypeError, ValueError):
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    if seconds != seconds:  # NaN
        return None
    return min(max(seconds, 0.0), RETRY_AFTER_CAP_S)


def backoff_s(attempt: int, first_wait_s: float, cap_s: float = 60.0) -> float:
    """Seconds to wait after try number `attempt` (from 1): doubling, with jitter down to a half."""
    return min(cap_s, first_wait_s * 2.0 ** (attempt - 1)) * random.uniform(0.5, 1.0)


def fault_of(error: BaseException, url: str) -> TransportFault:
    """Any failure of the network stack as one sentence, without secrets."""
    host = _host_of(url)
    name = type(error).__name__
    if isinstance(error, BaseExceptionGroup):
        return fault_of(error.exceptions[0], url)
    # httpx-aiohttp calls a refused connection a time-out; what it was stands in the cause.
    cause = type(error.__cause__).__name__
    if "certificate" in str(error).lower():
        return TransportFault(
            f"the certificate of {host} is not trusted ({_words(error)})",
            "Set SSL_CERT_FILE to the certificates of your network, if it uses its own.",
        )
    if "ConnectError" in name or "ClientConnector" in cause or isinstance(error, ConnectionRefusedError):
        return TransportFault(
            f"offline: {host} cannot be reached ({_words(error)})",
            "Check the network, then run the same command again.",
            offline=True,
        )
    if "ConnectTimeout" in name and "disconnected" in str(error).lower():
        return TransportFault(f"{host} closed the connection")
    if "Timeout" in name or isinstance(error, TimeoutError):
        return TransportFault(f"{host} sent nothing in time", offline=True)
    if name in (
        "InvalidURL",
        "UnsupportedProtocol",
        "LocalProtocolError",
        "OverflowError",
        "UnicodeError",
        "UnicodeEncodeError",
    ):
        shown = re.sub(r"//[^/?#]*@", "//", url)[:120]
        return TransportFault(f"'{shown}' cannot be requested: {_words(error)}", permanent=True)
    return TransportFault(f"the connection to {host} broke ({_words(error)})")


def _host_of(url: str) -> str:
    """The host of a URL for a sentence; the URL itself, cut, when it cannot be taken apart."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2] or url[:80]
    except ValueError:
        return re.sub(r"//[^/?#]*@", "//", url)[:80]


def hide(text: str, secrets: Iterable[str]) -> str:
    """The text with every secret in it blotted out."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "(hidden)")
    return text


def _words(error: BaseException) -> str:
    text = " ".join(str(error).split())
    # Messages of the libraries may quote a header; a bearer never leaves this module.
    if "earer" in text or "uthorization" in text:
        text = ""
    return text[:160] or type(error).__name__


class Http:
    """The clients of one session. Nothing is opened before the first request."""

    def __init__(
        self,
        *,
        bearer_origins: frozenset[str],
        timeout_s: float = 60.0,
        stall_timeout_s: float = 30.0,
        retries: int = 5,
        retry_wait_s: float = 2.0,
        connections: int = 16,
        bulk: bool = False,
        outage_wait_s: float = 0.0,
        probe_url: str = "",
        emit: Emit = ignore,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Take the rules; open nothing.

        Args:
            bearer_origins: origins, as `origin_of` writes them, that may receive the access token.
            timeout_s: seconds without a byte before a metadata request is given up.
            stall_timeout_s: the same for files.
            retries: further tries of a metadata request.
            retry_wait_s: seconds before the first of them; doubles.
            connections: connections open at once.
            bulk: whether files will be moved, so that aiohttp carries everything.
            outage_wait_s: longest wait for a service that is down, where one is waited for; 0 for none.
            probe_url: what is asked to find out whether its origin is down.
            emit: told of retries and outages.
            transport: what to send through instead of the network.
        """
        self._bearer_origins = bearer_origins
        self._timeout_s = timeout_s
        self._stall_timeout_s = stall_timeout_s
        self._retries = retries
        self._retry_wait_s = retry_wait_s
        self._connections = connections
        self._bulk = bulk
        self._outage_wait_s = outage_wait_s
        self._probe_url = probe_url
        self._emit = emit
        self._transport = transport
        self._client: httpx.AsyncClient | None = None
        self._outages: dict[str, asyncio.Task[bool]] = {}
        self._given_up: set[str] = set()
        self.is_offline = False
        """Whether the host asked last gave no sign of life; any answer ends that."""

    def may_carry_token(self, url: str) -> bool:
        """Whether the access token may be sent there."""
        return origin_of(url) in self._bearer_origins and is_private_enough(url)

    async def request(
        self,
        method: str,
        url: str,
        *,
        json_body: Any = None,
        form: Mapping[str, str] | None = None,
        basic: tuple[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        accept: str = "application/json",
    ) -> Reply:
        """Send one metadata request and read the answer.

        Args:
            method: the HTTP method.
            url: where to.
            json_body: what to send as JSON.
            form: what to send as a form.
            basic: name and secret of the client that asks, sent in the header as RFC 6749 section 2.3.1 says.
            params: the query of the URL.
            accept: the media type wanted.

        Raises:
            TransportFault: when no whole answer came.
        """
        client = self._open()
        try:
            import httpx

            timeout = httpx.Timeout(10.0, read=self._timeout_s, write=self._timeout_s, pool=None)
            async with client.stream(
                method,
                url,
                json=json_body,
                data=form,
                params=params,
                auth=httpx.BasicAuth(*map(quote_plus, basic)) if basic else httpx.USE_CLIENT_DEFAULT,
                headers={"accept": accept, "accept-encoding": "gzip, identity"},
                timeout=timeout,
            ) as response:
                self.is_offline = False
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > PAGE_CAP:
                        raise TransportFault(f"{_host_of(url)} sent more than {PAGE_CAP >> 20} MiB")
                return Reply(
                    response.status_code,
                    response.reason_phrase,
                    {name.lower(): value for name, value in response.headers.items()},
                    bytes(body),
                    str(response.url),
                )
        except TransportFault:
            raise
        except Exception as error:
            raise self._noted(fault_of(error, url)) from error

    def _noted(self, fault: TransportFault) -> TransportFault:
        self.is_offline = self.is_offline or fault.offline
        return fault

    async def ask(
        self,
        method: str,
        url: str,
        *,
        json_body: Any = None,
        form: Mapping[str, str] | None = None,
        basic: tuple[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        accept: str = "application/json",
        again: Callable[[Reply], bool] | None = None,
        probe: str = "",
    ) -> Reply:
        """As `request`, asking again while the service is busy or away.

        Args:
            again: says of an answer that is not busy whether to ask again all the same.
            probe: URL that tells after the last try whether the service is down, and then its end is
                waited for; '' for no waiting.

        Raises:
            TransportFault: when the last try brought none, or one that says to ask again; its `status`
                is that of the answer.
        """
        attempt = 0
        while True:
            attempt += 1
            wait_s: float | None = None
            try:
                reply = await self.request(
                    method, url, json_body=json_body, form=form, basic=basic, params=params, accept=accept
                )
                if reply.status not in BUSY and not (again and again(reply)):
                    return reply
                # A service may quote what it was sent.
                secrets = [(form or {}).get(name, "") for name in SECRET_FIELDS] + list((basic or ())[1:])
                words = hide(reply.error_words(), secrets)
                fault = TransportFault(
                    f"{reply.status} {reply.reason or 'Error'} from {_host_of(url)}"
                    + (f": {words}" if words else ""),
                    "Run the same command again later.",
                    status=reply.status,
                )
                wait_s = retry_after_s(reply.headers)
            except TransportFault as error:
                fault = error
            if fault.permanent:
                raise fault
            if attempt > self._retries:
                if not (probe and await self.outlast(probe, fault.message)):
                    raise fault
                attempt = 0
                continue
            wait_s = wait_s or backoff_s(attempt, self._retry_wait_s)
            self._emit(Noted(f"{fault.message}; asking again in {wait_s:.1f} s"))
            await asyncio.sleep(wait_s)

    async def outlast(self, url: str, reason: str) -> bool:
        """Wait for the end of an outage; everything that meets the same one waits together.

        An outage is of the service, not of one request: when it answers a plain question there is none.

        Args:
            url: what is asked to find out, as `probe_of` says for a file.
            reason: what went wrong, for the one warning.

        Returns:
            Whether the service was down and answers again. False: it was up all along, or it stayed
            away for so long that waiting has been given up.
        """
        if not self._outage_wait_s:
            return False
        watch = self._outages.get(url)
        if watch is None or watch.done():
            watch = self._outages[url] = asyncio.create_task(self._watch(url, reason))
        return await asyncio.shield(watch)

    def probe_of(self, url: str) -> str:
        """What is asked to find out whether the service behind a file is down."""
        origin = origin_of(url)
        return self._probe_url if origin == origin_of(self._probe_url) else f"{origin}/"

    async def _watch(self, url: str, reason: str) -> bool:
        """Ask until the service answers or waiting is given up."""
        begun = asyncio.get_running_loop().time()
        if await self._answers(url):
            was_down = url in self._given_up
            self._given_up.discard(url)
            return was_down
        if url in self._given_up:
            return False
        seconds = self._outage_wait_s
        longest = f"{seconds / 60:.3g} min" if seconds >= 60 else f"{seconds:.3g} s"
        self._emit(
            Warned(
                f"The service at {_host_of(url)} is unavailable ({reason}); waiting for it, up to {longest}"
            )
        )
        attempt = 0
        while (left := begun + seconds - asyncio.get_running_loop().time()) > 0:
            attempt += 1
            await asyncio.sleep(min(left, backoff_s(attempt, self._retry_wait_s, PROBE_WAIT_CAP_S)))
            if await self._answers(url):
                self._emit(Noted(f"The service at {_host_of(url)} answers again"))
                return True
        self._given_up.add(url)
        return False

    async def _answers(self, url: str) -> bool:
        try:
            return (await self.request("GET", url)).status not in BUSY
        except TransportFault:
            return False

    @asynccontextmanager
    async def stream(
        self, url: str, *, token: str | None, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[Stream]:
        """Ask for a file and hand out its body as it arrives, redirects followed within the rules.

        The token goes along only where `may_carry_token` says so, at every hop anew.

        Raises:
            TransportFault: when no answer came, or a redirect breaks the rules.
        """
        import httpx

        client = self._open()
        timeout = httpx.Timeout(10.0, read=self._stall_timeout_s, write=self._stall_timeout_s, pool=None)
        here = url
        for _ in range(MAX_REDIRECTS + 1):
            sent = {"accept": "*/*", "accept-encoding": "identity", **(headers or {})}
            if token and self.may_carry_token(here):
                sent["authorization"] = f"Bearer {token}"
            try:
                response = await client.send(
                    client.build_request("GET", here, headers=sent, timeout=timeout), stream=True
                )
            except Exception as error:
                raise self._noted(fault_of(error, here)) from None
            self.is_offline = False
            try:
                location = response.headers.get("location")
                if response.status_code not in (301, 302, 303, 307, 308) or not location:
                    yield Stream(
                        response.status_code,
                        response.reason_phrase,
                        {name.lower(): value for name, value in response.headers.items()},
                        here,
                        response,
                    )
                    return
            finally:
                await _close(response)
            try:
                following = str(httpx.URL(here).join(location))
            except Exception as error:
                raise fault_of(error, location) from None
            if not is_private_enough(following):
                shown = re.sub(r"//[^/?#]*@", "//", following).partition("?")[0][:120]
                raise TransportFault(f"redirected to '{shown}', which is refused")
            here = following
        raise TransportFault(f"redirected more than {MAX_REDIRECTS} times")

    async def close(self) -> None:
        for watch in self._outages.values():
            watch.cancel()
        await asyncio.gather(*self._outages.values(), return_exceptions=True)
        self._outages.clear()
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _open(self) -> httpx.AsyncClient:
        if self._client is None:
            import httpx

            direct = self._transport
            mounts: dict[str, httpx.AsyncBaseTransport | None] | None = None
            if direct is None and self._bulk:
                direct, mounts = _aiohttp_transports(self._connections)
            limits = httpx.Limits(
                max_connections=self._connections * 2,
                max_keepalive_connections=self._connections,
                keepalive_expiry=30.0,
            )
            self._client = httpx.AsyncClient(
                transport=direct,
                mounts=mounts,
                limits=limits,
                verify=True if direct is not None else _ssl_context(),
                follow_redirects=False,
                headers={"user-agent": f"maap_tui/{__version__}"},
            )
        return self._client


async def _close(response: httpx.Response) -> None:
    try:
        await response.aclose()
    except Exception:
        # The connection is being thrown away; that it breaks now is of no interest.
        return


def _ssl_context() -> ssl.SSLContext:
    names = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    found = (os.environ.get(name, "") for name in names)
    return _ssl_context_of(next((path for path in found if path and os.path.exists(path)), ""))


@functools.lru_cache(maxsize=4)
def _ssl_context_of(bundle: str) -> ssl.SSLContext:
    """Certificates take longer to read than a request takes: they are read once."""
    import ssl

    import httpx

    if not bundle:
        return httpx.create_ssl_context()
    return ssl.create_default_context(
        cafile=bundle if os.path.isfile(bundle) else None,
        capath=bundle if os.path.isdir(bundle) else None,
    )


def _aiohttp_transports(
    connections: int,
) -> tuple[httpx.AsyncBaseTransport, dict[str, httpx.AsyncBaseTransport | None] | None]:
    """A transport on aiohttp, and mounts for the proxies that the environment names."""
    import aiohttp
    import httpx
    from httpx_aiohttp import AiohttpTransport, transport

    transport.AiohttpResponseStream.CHUNK_SIZE = CHUNK_SIZE
    context = _ssl_context()

    def session() -> aiohttp.ClientSession:
        # trust_env stays off: aiohttp would read ~/.netrc with it. Proxies are mounted below.
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections * 2, ssl=context, keepalive_timeout=30.0),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            read_bufsize=CHUNK_SIZE,
            trust_env=False,
        )

    def build(proxy: str | None) -> httpx.AsyncBaseTransport:
        return AiohttpTransport(verify=context, client=session, proxy=httpx.Proxy(proxy) if proxy else None)

    import urllib.request

    proxies = urllib.request.getproxies()
    mounts: dict[str, httpx.AsyncBaseTransport | None] = {}
    for scheme in ("http", "https"):
        proxy = proxies.get(scheme) or proxies.get("all")
        if proxy:
            mounts[f"{scheme}://"] = build(proxy if "://" in proxy else f"http://{proxy}")
    if proxies.get("no", "").strip() == "*":
        return build(None), None
    if mounts:
        exempt = [host.strip().lstrip("*.") for host in proxies.get("no", "").split(",")]
        for host in {"127.0.0.1", "localhost", *[host for host in exempt if host]}:
            mounts[f"all://{host}"] = None
            mounts[f"all://*.{host}"] = None
    return build(None), mounts or None
