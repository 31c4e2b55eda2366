"""The one door to the network: clients, time-outs, retries, and faults in words.

httpx is imported when the first request is made. Short requests of a one-shot command go through
httpx alone; a session that moves files puts aiohttp under httpx for everything, because that moves
bytes at half the CPU and loses no connection when a transfer is cancelled.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import json
import os
import random
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlsplit

from maap_tui.engine.errors import MaapError, NetworkSetupError
from maap_tui.engine.events import Emit, Noted, Waits, Warned, ignore
from maap_tui.engine.net.network_env import (
    Proxies,
    Proxy,
    Trust,
    proxies_of,
    ssl_context_of,
    trust_of,
    with_key_log,
)
from maap_tui.engine.net.origins import is_private_enough, may_have_token, origin_of
from maap_tui.engine.net.silence import Silence
from maap_tui.version import __version__

if TYPE_CHECKING:
    import ssl

    import httpx

PAGE_CAP = 64 * 1024 * 1024
"""Bytes an answer to a metadata request may have; a larger one is refused."""

RETRY_AFTER_CAP_S = 120.0
"""Longest wait that a server can ask for."""

BUSY = frozenset({429, 500, 502, 503, 504})
"""Statuses that say: ask again later."""

_LASTING = frozenset({301, 308, 501})
"""Statuses besides 4xx that another try does not change (RFC 9110 section 15)."""

_NOT_YET = frozenset({408, 421, 423, 425, 429})
"""Statuses of 4xx that another try may change."""

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
    _silence: Silence = field(repr=False)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The raw bytes as they come.

        Raises:
            TransportFault: when the connection breaks or stalls.
        """
        pieces = self._response.aiter_raw()
        try:
            while True:
                with self._silence.awaiting():
                    chunk = await anext(pieces, None)
                if chunk is None:
                    return
                self._silence.note_answer()
                yield chunk
        except MaapError:
            raise
        except Exception as error:
            fault = fault_of(error, self.url)
            if isinstance(fault, TransportFault) and fault.offline:
                self._silence.lose()
            raise fault from error


def is_lasting(status: int) -> bool:
    """Whether the same request will be answered with this status again."""
    return status in _LASTING or (400 <= status < 500 and status not in _NOT_YET)


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


def fault_of(
    error: BaseException, url: str, *, proxy: Proxy | None = None, trust: Trust | None = None
) -> TransportFault | NetworkSetupError:
    """Any failure of the network stack as one sentence, without secrets.

    Args:
        error: what was raised.
        url: what was asked for.
        proxy: what it was asked through, None for the direct way.
        trust: the certificates in force.

    Returns:
        NetworkSetupError where asking again cannot help until somebody changes something, TransportFault
        otherwise.
    """
    host = _host_of(url)
    chain = list(_causes(error))
    names = {type(one).__name__ for one in chain}
    if refusal := _tls_refusal(chain, host, proxy, trust or Trust()):
        return refusal
    if proxy is not None and (fault := _proxy_fault(chain, host, proxy)):
        return fault
    if isinstance(error, BaseExceptionGroup):
        return fault_of(error.exceptions[0], url, proxy=proxy, trust=trust)
    name = type(error).__name__
    # httpx-aiohttp calls a refused connection a time-out; what it was stands in the cause.
    is_unreachable = "ConnectError" in name or isinstance(error, ConnectionRefusedError)
    if is_unreachable or any("ClientConnector" in one or "ClientProxyConn" in one for one in names):
        if proxy is not None:
            return TransportFault(
                f"{proxy} cannot be reached ({_words(error)})",
                f"Check the network and {proxy.variable}, then run the same command again.",
                offline=True,
            )
        return TransportFault(
            f"offline: {host} cannot be reached ({_words(error)})",
            "Check the network, then run the same command again.",
            offline=True,
        )
    through = f" through {proxy}" if proxy is not None else ""
    # It calls a closed connection a time-out as well.
    is_closed = any(isinstance(one, ConnectionResetError | BrokenPipeError) for one in chain)
    if "ConnectTimeout" in name and (is_closed or "disconnected" in str(error).lower()):
        return TransportFault(f"{host} closed the connection{through}")
    if "Timeout" in name or isinstance(error, TimeoutError):
        return TransportFault(f"{host} sent nothing in time{through}", offline=True)
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
    return TransportFault(f"the connection to {host}{through} broke ({_words(error)})")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and all that led to it."""
    waiting, seen = [error], set()
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        more = one.exceptions if isinstance(one, BaseExceptionGroup) else ()
        waiting += [other for other in (*more, one.__cause__, one.__context__) if other is not None]


_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "RECORD_LAYER_FAILURE"})
_TLS_REFUSALS = frozenset(
    {
        "UNSUPPORTED_PROTOCOL",
        "WRONG_SSL_VERSION",
        "NO_PROTOCOLS_AVAILABLE",
        "NO_CIPHERS_AVAILABLE",
        "NO_SHARED_CIPHER",
        "TLSV1_ALERT_PROTOCOL_VERSION",
        "TLSV1_ALERT_INSUFFICIENT_SECURITY",
        "TLSV1_ALERT_INAPPROPRIATE_FALLBACK",
        "TLSV1_ALERT_ACCESS_DENIED",
        "TLSV1_ALERT_UNKNOWN_CA",
        "TLSV1_UNRECOGNIZED_NAME",
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "UNSAFE_LEGACY_RENEGOTIATION_DISABLED",
        "DH_KEY_TOO_SMALL",
        "EE_KEY_TOO_SMALL",
        "CA_KEY_TOO_SMALL",
        "CA_MD_TOO_WEAK",
        "BAD_ECC_CERT",
    }
)
"""Reasons of OpenSSL that stay the same however often a connection is tried."""

_EXPIRED, _NOT_YET_VALID, _OTHER_HOST = 10, 9, (62, 64)
_UNKNOWN_ISSUER = (2, 18, 19, 20, 21)
"""Results of X509_verify_cert (OpenSSL, x509_vfy.h)."""


def _tls_refusal(
    chain: list[BaseException], host: str, proxy: Proxy | None, trust: Trust
) -> NetworkSetupError | None:
    """A failure of TLS that lasts, None for any other."""
    import ssl

    through = f", asked through {proxy}," if proxy is not None else ""
    for error in chain:
        # aiohttp's own error is one as well; what it was is in its cause.
        if isinstance(error, ssl.SSLCertVerificationError) and hasattr(error, "verify_code"):
            code = error.verify_code
            reason = (error.verify_message or str(error)).rstrip(".")
            if code == _EXPIRED or code == _NOT_YET_VALID:
                word = "has expired" if code == _EXPIRED else "is not valid yet"
                return NetworkSetupError(
                    f"the certificate of {host}{through} {word}",
                    "Check this machine's clock (maap doctor); if it is right, the service has to renew it.",
                )
            if code in _OTHER_HOST:
                return NetworkSetupError(
                    f"the certificate of {host}{through} is for another host ({reason})",
                    "Check api.catalog_url, api.token_url and the proxy: another machine answers.",
                )
            hint = "Set SSL_CERT_FILE to the certificates of your network, if it uses its own."
            if code in _UNKNOWN_ISSUER and trust.variable:
                hint = (
                    f"{trust.variable} ({trust.path}) does not have its issuer: add it there, "
                    f"or unset {trust.variable}."
                )
            return NetworkSetupError(f"the certificate of {host}{through} is not trusted ({reason})", hint)
        if not isinstance(error, ssl.SSLError):
            continue
        reason = getattr(error, "reason", None) or ""
        words = reason.replace("_", " ").lower()
        if reason in _NOT_TLS:
            hint = "Check that its address needs https:// and that its port is right."
            if proxy is not None and proxy.scheme == "https":
                hint = f"If the proxy speaks plain HTTP, write http:// in {proxy.variable}."
            return NetworkSetupError(f"{host}{through} does not speak TLS ({words})", hint)
        if reason == "TLSV13_ALERT_CERTIFICATE_REQUIRED":
            return NetworkSetupError(
                f"{host}{through} wants a certificate of the client, which cannot be given",
                "Ask whoever runs it, or use another address.",
            )
        if reason in _TLS_REFUSALS:
            return NetworkSetupError(
                f"{host}{through} and this machine have no encryption method in common ({words})",
                "Use a newer OpenSSL or Python, or ask whoever runs it.",
            )
    return None


def _proxy_fault(
    chain: list[BaseException], host: str, proxy: Proxy
) -> TransportFault | NetworkSetupError | None:
    """What a proxy answered in place of the service; None when it is not the proxy that answered."""
    for error in chain:
        if type(error).__name__ == "ClientHttpProxyError":
            status = int(getattr(error, "status", 0))
            return _proxy_refusal(status, f"{status} {getattr(error, 'message', '')}".strip(), host, proxy)
    for error in chain:
        if type(error).__name__ != "ProxyError":
            continue
        words = _words(error)
        if found := re.match(r"[1-5]\d\d\b", words):
            return _proxy_refusal(int(found[0]), words, host, proxy)
        if "username/password" in words or "from proxy server" in words:
            return _proxy_refusal(407, words, host, proxy)
        if "not allowed" in words.lower():
            return _proxy_refusal(403, words, host, proxy)
        return TransportFault(f"{proxy} cannot reach {host} ({words})", "Run the same command again later.")
    return None


def _proxy_refusal(status: int, words: str, host: str, proxy: Proxy) -> TransportFault | NetworkSetupError:
    if status == 407:
        if proxy.user:
            return NetworkSetupError(
                f"{proxy} refuses its user name or password ({words})",
                f"Correct them in {proxy.variable}; write / @ : # in them as %2F %40 %3A %23.",
            )
        return NetworkSetupError(
            f"{proxy} wants a user name and a password ({words})",
            f"Set {proxy.variable} to {proxy.scheme}://USER:PASSWORD@HOST:PORT.",
        )
    if 400 <= status < 500 and status not in (408, 425, 429):
        return NetworkSetupError(
            f"{proxy} refuses to connect to {host} ({words})",
            "Ask whoever runs the proxy, or name the host in NO_PROXY if it can be reached directly.",
        )
    return TransportFault(f"{proxy} cannot reach {host} ({words})", "Run the same command again later.")


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
        environ: Mapping[str, str] | None = None,
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
            emit: takes the events of retries and outages.
            environ: the environment, for proxies and certificates; None takes the process's.
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
        self._environ = environ
        self._proxies: Proxies | None = None
        self._trust = Trust()
        self._clients: dict[tuple[Proxy | None, bool], httpx.AsyncClient] = {}
        self._waits = Waits(emit)
        self._outages: dict[str, asyncio.Task[bool]] = {}
        self._given_up: set[str] = set()
        self.silence = Silence()
        """Since when nothing has come from the hosts that are asked."""

    @property
    def is_offline(self) -> bool:
        """Whether the host asked last gave no sign of life; any answer ends that."""
        return self.silence.is_lost

    def may_carry_token(self, url: str) -> bool:
        """Whether the access token may be sent there."""
        return may_have_token(url, self._bearer_origins)

    async def request(
        self,
        method: str,
        url: str,
        *,
        json_body: Any = None,
        form: Mapping[str, str] | None = None,
        basic: tuple[str, str] | None = None,
        accept: str = "application/json",
    ) -> Reply:
        """Send one metadata request and read the answer.

        Args:
            method: the HTTP method.
            url: where to.
            json_body: what to send as JSON.
            form: what to send as a form.
            basic: name and secret of the client that asks, sent in the header as RFC 6749 section 2.3.1 says.
            accept: the media type wanted.

        Raises:
            TransportFault: when no whole answer came.
            NetworkSetupError: when proxy, certificates or TLS stand in the way for good.
        """
        client, proxy = self._open(url)
        try:
            import httpx

            timeout = httpx.Timeout(10.0, read=self._timeout_s, write=self._timeout_s, pool=None)
            with self.silence.awaiting():
                async with client.stream(
                    method,
                    url,
                    json=json_body,
                    data=form,
                    auth=httpx.BasicAuth(*map(quote_plus, basic)) if basic else httpx.USE_CLIENT_DEFAULT,
                    headers={"accept": accept, "accept-encoding": "gzip, identity"},
                    timeout=timeout,
                ) as response:
                    self.silence.note_answer()
                    _check_proxy(response, url, proxy)
                    body = bytearray()
                    async for chunk in response.aiter_bytes():
                        body += chunk
                        self.silence.note_answer()
                        if len(body) > PAGE_CAP:
                            raise TransportFault(f"{_host_of(url)} sent more than {PAGE_CAP >> 20} MiB")
                    return Reply(
                        response.status_code,
                        response.reason_phrase,
                        {name.lower(): value for name, value in response.headers.items()},
                        bytes(body),
                        str(response.url),
                    )
        except MaapError:
            raise
        except Exception as error:
            raise self._fault_of(error, url, proxy) from error

    def _fault_of(self, error: Exception, url: str, proxy: Proxy | None) -> MaapError:
        fault = fault_of(error, url, proxy=proxy, trust=self._trust)
        if isinstance(fault, TransportFault) and fault.offline:
            self.silence.lose()
        return fault

    async def ask(
        self,
        method: str,
        url: str,
        *,
        json_body: Any = None,
        form: Mapping[str, str] | None = None,
        basic: tuple[str, str] | None = None,
        accept: str = "application/json",
        again: Callable[[Reply], bool] | None = None,
        probe: str = "",
    ) -> Reply:
        """As `request`, asking again while the service is busy or away.

        Args:
            again: says of an answer that is not busy whether to ask again all the same.
            probe: URL that shows after the last try whether the service is down, and then its end is
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
                    method, url, json_body=json_body, form=form, basic=basic, accept=accept
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
                if not (probe and await self.wait_out_outage(probe, fault.message)):
                    raise fault
                attempt = 0
                continue
            wait_s = wait_s or backoff_s(attempt, self._retry_wait_s)
            self._emit(Noted(f"{fault.message}; asking again in {wait_s:.1f} s"))
            self._waits.report(_host_of(url), fault.message, wait_s)
            await asyncio.sleep(wait_s)

    async def wait_out_outage(self, url: str, reason: str) -> bool:
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

        The token goes along only where `may_carry_token` says so, asked at every hop.

        Raises:
            TransportFault: when no answer came, or a redirect breaks the rules.
            NetworkSetupError: when proxy, certificates or TLS stand in the way for good.
        """
        import httpx

        timeout = httpx.Timeout(10.0, read=self._stall_timeout_s, write=self._stall_timeout_s, pool=None)
        here = url
        for _ in range(MAX_REDIRECTS + 1):
            sent = {"accept": "*/*", "accept-encoding": "identity", **(headers or {})}
            if token and self.may_carry_token(here):
                sent["authorization"] = f"Bearer {token}"
            client, proxy = self._open(here)
            try:
                with self.silence.awaiting():
                    response = await client.send(
                        client.build_request("GET", here, headers=sent, timeout=timeout), stream=True
                    )
            except Exception as error:
                raise self._fault_of(error, here, proxy) from None
            self.silence.note_answer()
            try:
                _check_proxy(response, here, proxy)
                location = response.headers.get("location")
                if response.status_code not in (301, 302, 303, 307, 308) or not location:
                    yield Stream(
                        response.status_code,
                        response.reason_phrase,
                        {name.lower(): value for name, value in response.headers.items()},
                        here,
                        response,
                        self.silence,
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
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.aclose()

    def _open(self, url: str) -> tuple[httpx.AsyncClient, Proxy | None]:
        """The client for a URL, and the proxy that it goes through."""
        if self._transport is None and self._proxies is None:
            environ = os.environ if self._environ is None else self._environ
            self._trust = trust_of(environ)
            _context_of(self._trust)
            self._proxies = proxies_of(environ)
        proxy = self._proxies.of(url) if self._proxies is not None else None
        # aiohttp knows no SOCKS, and no way to give a password to a proxy without a tunnel.
        is_bulk = self._bulk and (proxy is None or (url.startswith("https:") and not proxy.is_socks))
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
        context = _context_of(self._trust)
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


async def _close(response: httpx.Response) -> None:
    try:
        await response.aclose()
    except Exception:
        # The connection is being thrown away; that it breaks now is of no interest.
        return


def _check_proxy(response: httpx.Response, url: str, proxy: Proxy | None) -> None:
    """Raise what a proxy answers of itself to a plain request."""
    if proxy is not None and response.status_code == 407:
        words = f"407 {response.reason_phrase}".strip()
        raise _proxy_refusal(407, words, _host_of(url), proxy)


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
