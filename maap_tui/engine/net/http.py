"""The one door to the network: requests, time-outs, redirects, retries, and outages waited for.

httpx is imported when the first request is made.
"""

from __future__ import annotations

import asyncio
import gc
import json
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

from maap_tui.engine.errors import MaapError, NoMemoryError, is_out_of_memory
from maap_tui.engine.events import Emit, Noted, Waits, Warned, ignore
from maap_tui.engine.net.faults import (
    SECRET_FIELDS,
    TransportFault,
    fault_of,
    hide,
    host_of,
    proxy_refusal,
)
from maap_tui.engine.net.origins import is_private_enough, may_have_token, origin_of
from maap_tui.engine.net.silence import Silence
from maap_tui.engine.net.statuses import BUSY, backoff_s, retry_after_s
from maap_tui.engine.net.transport import CONNECT_TIMEOUT_S, Answer, Clients, joined

if TYPE_CHECKING:
    import httpx

    from maap_tui.engine.net.network_env import Proxy

PAGE_CAP = 64 * 1024 * 1024
"""Bytes an answer to a metadata request may have; a larger one is refused."""

MAX_REDIRECTS = 5

PROBE_WAIT_CAP_S = 30.0
"""Longest wait between two looks whether a service that is down answers again."""


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
        # What is parsed has no cycles, and looking for some, again and again, takes as long as parsing it.
        is_collecting = gc.isenabled()
        gc.disable()
        try:
            return json.loads(self.body)
        except RecursionError:
            raise ValueError("nested too deep") from None
        finally:
            if is_collecting:
                gc.enable()

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
    _answer: Answer = field(repr=False)
    _silence: Silence = field(repr=False)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The raw bytes as they come.

        Raises:
            TransportFault: when the connection breaks or stalls.
        """
        pieces = self._answer.chunks()
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


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRules:
    """How long answers are waited for, and how often requests are repeated."""

    timeout_s: float
    """Seconds without a byte before a metadata request is given up."""
    stall_timeout_s: float
    """The same for files."""
    retries: int
    """Further tries of a metadata request."""
    retry_wait_s: float
    """Seconds before the first of them; doubles."""
    outage_wait_s: float
    """Longest wait for a service that is down, where one is waited for; 0 for none."""


class Http:
    """The clients of one session. Nothing is opened before the first request."""

    def __init__(
        self,
        rules: HttpRules,
        *,
        bearer_origins: frozenset[str],
        connections: int,
        bulk: bool = False,
        probe_url: str = "",
        emit: Emit = ignore,
        environ: Mapping[str, str] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Take the rules; open nothing.

        Args:
            rules: how to wait and try again.
            bearer_origins: origins, as `origin_of` writes them, that may receive the access token.
            connections: connections kept open for further requests.
            bulk: whether files will be moved, so that aiohttp carries everything.
            probe_url: what is asked to find out whether its origin is down.
            emit: takes the events of retries and outages.
            environ: the environment, for proxies and certificates; None takes the process's.
            transport: what to send through instead of the network.
        """
        self.rules = rules
        """Read at each step of a request; others may be put here at any time, from any thread."""
        self._bearer_origins = bearer_origins
        self._probe_url = probe_url
        self._emit = emit
        self._clients = Clients(connections=connections, is_bulk=bulk, environ=environ, transport=transport)
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
        proxy = self._clients.proxy_of(url)
        client = self._clients.of(url)
        try:
            import httpx

            timeout = httpx.Timeout(
                CONNECT_TIMEOUT_S, read=self.rules.timeout_s, write=self.rules.timeout_s, pool=None
            )
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
                    _check_proxy(response.status_code, response.reason_phrase, url, proxy)
                    pieces, size = [], 0
                    async for chunk in response.aiter_bytes():
                        pieces.append(chunk)
                        size += len(chunk)
                        self.silence.note_answer()
                        if size > PAGE_CAP:
                            raise TransportFault(f"{host_of(url)} sent more than {PAGE_CAP >> 20} MiB")
                    return Reply(
                        response.status_code,
                        response.reason_phrase,
                        {name.lower(): value for name, value in response.headers.items()},
                        b"".join(pieces),
                        str(response.url),
                    )
        except MaapError:
            raise
        except Exception as error:
            raise self._fault_of(error, url, proxy) from error

    def _fault_of(self, error: Exception, url: str, proxy: Proxy | None) -> MaapError:
        fault = fault_of(error, url, proxy=proxy, trust=self._clients.trust)
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
            NoMemoryError: when there is too little memory for the request, however often it is tried.
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
                    f"{reply.status} {reply.reason or 'Error'} from {host_of(url)}"
                    + (f": {words}" if words else ""),
                    "Run the same command again later.",
                    status=reply.status,
                )
                wait_s = retry_after_s(reply.headers)
            except TransportFault as error:
                fault = error
            if fault.permanent:
                raise fault
            if attempt > self.rules.retries:
                if is_out_of_memory(fault):
                    raise NoMemoryError from fault
                if not (probe and await self.wait_out_outage(probe, fault.message)):
                    raise fault
                attempt = 0
                continue
            wait_s = wait_s or backoff_s(attempt, self.rules.retry_wait_s)
            self._emit(Noted(f"{fault.message}; asking again in {wait_s:.1f} s"))
            self._waits.report(host_of(url), fault.message, wait_s)
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
        if not self.rules.outage_wait_s:
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
        seconds = self.rules.outage_wait_s
        longest = f"{seconds / 60:.3g} min" if seconds >= 60 else f"{seconds:.3g} s"
        self._emit(
            Warned(
                f"The service at {host_of(url)} is unavailable ({reason}); waiting for it, up to {longest}"
            )
        )
        attempt = 0
        while (left := begun + seconds - asyncio.get_running_loop().time()) > 0:
            attempt += 1
            await asyncio.sleep(min(left, backoff_s(attempt, self.rules.retry_wait_s, PROBE_WAIT_CAP_S)))
            if await self._answers(url):
                self._emit(Noted(f"The service at {host_of(url)} answers again"))
                return True
        self._given_up.add(url)
        return False

    async def _answers(self, url: str) -> bool:
        try:
            return (await self.request("GET", url)).status not in BUSY
        except TransportFault:
            return False

    async def while_opening(self, url: str, work: Coroutine[Any, Any, str]) -> str:
        """Do what a request for a file waits for, while its connection is opened; returns what that does.

        Raises:
            TransportFault: when no connection could be opened.
            NetworkSetupError: when proxy, certificates or TLS stand in the way for good.
        """
        opening = asyncio.create_task(self._clients.open_ahead(url))
        try:
            done = await work
            with self.silence.awaiting():
                await opening
        except MaapError:
            raise
        except Exception as error:
            raise self._fault_of(error, url, self._clients.proxy_of(url)) from None
        finally:
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
        return done

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
        here = url
        for _ in range(MAX_REDIRECTS + 1):
            sent = {"accept": "*/*", "accept-encoding": "identity", **(headers or {})}
            if token and self.may_carry_token(here):
                sent["authorization"] = f"Bearer {token}"
            proxy = self._clients.proxy_of(here)
            try:
                with self.silence.awaiting():
                    answer = await self._clients.get(here, sent, self.rules.stall_timeout_s)
            except Exception as error:
                raise self._fault_of(error, here, proxy) from None
            self.silence.note_answer()
            try:
                _check_proxy(answer.status, answer.reason, here, proxy)
                location = answer.headers.get("location")
                if answer.status not in (301, 302, 303, 307, 308) or not location:
                    yield Stream(answer.status, answer.reason, answer.headers, here, answer, self.silence)
                    return
            finally:
                await _close(answer)
            try:
                following = joined(here, location)
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
        await self._clients.close()


async def _close(answer: Answer) -> None:
    try:
        await answer.close()
    except Exception:
        # The connection is being thrown away; that it breaks now is of no interest.
        return


def _check_proxy(status: int, reason: str, url: str, proxy: Proxy | None) -> None:
    """Raise what a proxy answers of itself to a plain request."""
    if proxy is not None and status == 407:
        raise proxy_refusal(407, f"407 {reason}".strip(), host_of(url), proxy)
