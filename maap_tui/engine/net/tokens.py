"""Offline token -> access token: exchanged once for any number of tasks and processes, never shown.

The exchange is that of RFC 6749: section 6 (refresh), 5.1 (answer), 5.2 (refusals), 2.3.1 (the client).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from maap_tui.engine.errors import (
    AuthenticationError,
    AuthServiceUnavailable,
    ClientRefusedError,
    CredentialsError,
    LockedError,
    StorageError,
    TokenRequestError,
)
from maap_tui.engine.events import LONG_WAIT_S, Emit, Warned, ignore
from maap_tui.engine.net.credentials import (
    NEW_TOKEN,
    PUBLIC_CLIENT_ID,
    PUBLIC_CLIENT_SECRET,
    Credentials,
    describe_token,
    is_token,
    refuse_access_token,
    save_credentials,
)
from maap_tui.engine.net.faults import TransportFault, hide
from maap_tui.engine.net.http import Http, Reply
from maap_tui.engine.net.statuses import is_lasting
from maap_tui.engine.storage import files, locks

FALLBACK_LIFETIME_S = 300.0
"""Lifetime of an access token when the service does not say it."""

_APART_S = 60.0
"""Seconds that the clocks of two machines may differ: a shared token ends that much earlier on the other."""

_TURN_POLL_S = 0.05
"""Seconds between two looks whether another process has renewed the token."""

_LAST_ANSWER_S = 1.0
"""Seconds that an exchange under way may still take when nobody waits for it any more."""

_LATER = "The token may be fine; run the same command again later."

_PASSING = frozenset({"temporarily_unavailable", "server_error"})
"""Errors of the service itself (RFC 6749 section 4.1.2.1), which some services send with status 400."""

_REFUSALS = frozenset({"invalid_grant", "invalid_client", "unauthorized_client", "invalid_scope",
                       "unsupported_grant_type", "invalid_request"})  # fmt: skip
"""Errors of the token endpoint (RFC 6749 section 5.2)."""


def _steady_clock() -> float:
    """Seconds on a clock that never jumps and, where there is one, goes on during suspend."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(boottime) if boottime is not None else time.monotonic()


@dataclass(frozen=True, slots=True)
class TokenShare:
    """Where the processes of one user share their access token, so that each spares the service a request."""

    file: Path | None = None
    """Beside the credentials file and as private, mode 0600; None shares nothing."""
    lock: Path | None = None
    """The lock under which a token is renewed; None for none."""
    folder: Path | None = None
    """Has a file, mode 0600, for each token that comes from the environment; None shares none of those."""

    @contextlib.asynccontextmanager
    async def turn(self, on_wait: Callable[[str], None] | None = None) -> AsyncIterator[None]:
        """Renew while no other process does; where there can be no lock, renew all the same.

        Args:
            on_wait: called with a sentence once the wait for another process is a long one.
        """
        long_at = time.monotonic() + LONG_WAIT_S
        with contextlib.ExitStack() as held:
            while self.lock is not None:
                try:
                    held.enter_context(
                        locks.lock(self.lock, timeout_s=0, purpose="renewing the access token")
                    )
                except LockedError as error:
                    if on_wait is not None and time.monotonic() >= long_at:
                        on_wait(f"{error.message}; still waiting for it")
                        on_wait = None
                    await asyncio.sleep(_TURN_POLL_S)
                    continue
                except StorageError:
                    pass
                break
            yield

    def read(self, mark: str, is_filed: bool, now: float) -> tuple[str, float] | None:
        """What another process was given for the same credentials.

        Args:
            mark: what the credentials are known by.
            is_filed: whether they come from the credentials file.
            now: the steady clock.

        Returns:
            The access token, and when it ends on the steady clock; None for none.
        """
        file = self._file_of(mark, is_filed)
        if file is None:
            return None
        try:
            descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as handle:
                found = os.fstat(handle.fileno())
                if found.st_mode & 0o077 or found.st_uid != os.geteuid():
                    return None
                data = json.loads(handle.read(1 << 20))
            if data["for"] != mark:
                return None
            access, until = data["access"], float(data["until"])
            if data["boot"] != files.boot_id() or not data["boot"]:
                # The steady clock starts from 0 with each machine: those of others go by the time of day.
                until = now + float(data["ends"]) - time.time() - _APART_S
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return None
        return (access, until) if isinstance(access, str) and is_token(access) else None

    def write(self, mark: str, is_filed: bool, access: str, until: float, now: float) -> None:
        """Leave a token for others; one that cannot be left is only asked for again."""
        file = self._file_of(mark, is_filed)
        if file is None:
            return
        ends = time.time() + until - now
        data = {"for": mark, "access": access, "until": until, "boot": files.boot_id(), "ends": round(ends)}
        with contextlib.suppress(StorageError, OSError):
            if file.is_symlink():
                # A link would lead the token to where others may read it.
                file.unlink()
            files.write_atomic(file, json.dumps(data) + "\n", mode=0o600)

    def _file_of(self, mark: str, is_filed: bool) -> Path | None:
        if is_filed or self.folder is None:
            return self.file if is_filed else None
        return self.folder / f"{mark[:32]}.access"


class Tokens:
    """The access token of one session, renewed once however many tasks ask."""

    def __init__(
        self,
        http: Http,
        token_url: str,
        load: Callable[[], Credentials],
        *,
        share: TokenShare | None = None,
        emit: Emit = ignore,
        clock: Callable[[], float] = _steady_clock,
    ) -> None:
        self._http = http
        self._token_url = token_url
        self._load = load
        self._share = share or TokenShare()
        self._emit = emit
        self._clock = clock
        self._lock = asyncio.Lock()
        self._access = ""
        self._good_until = 0.0
        self._refused: AuthenticationError | None = None
        self._credentials: Credentials | None = None
        self._is_unsaved = False
        self._wants_basic = False

    async def access_token(self, refused: str = "", *, wait_for_service: bool = False) -> str:
        """A token that is good now.

        Args:
            refused: the token that a server just answered 401 to; it is renewed unless another task
                has done so since.
            wait_for_service: whether to wait for the end of an outage of the service.

        Raises:
            CredentialsError: without usable credentials.
            AuthenticationError: when the service refuses them; a `ClientRefusedError` or a
                `TokenRequestError` where a new offline token would not help.
            AuthServiceUnavailable: when the service does not answer.
        """
        if self._is_good(refused):
            return self._access
        async with self._lock:
            if self._is_good(refused):
                return self._access
            if self._refused is not None:
                # A dead offline token does not come back to life within a run.
                raise self._refused
            async with self._share.turn(lambda message: self._emit(Warned(message))):
                if not self._take_shared(refused):
                    await _finished(self._renew(wait_for_service))
                    await self._share_access()
            return self._access

    @property
    def credentials(self) -> Credentials | None:
        """The credentials in use, renewed where the service renewed them; None before the first use."""
        return self._credentials

    @property
    def is_here(self) -> bool:
        """Whether there is a token that needs not be asked for."""
        return self._is_good("")

    def forget(self) -> None:
        """Read the credentials again at the next use, for instance after a sign-in."""
        self._access, self._good_until = "", 0.0
        self._refused = self._credentials = None
        self._is_unsaved = False

    def _is_good(self, refused: str) -> bool:
        return bool(self._access) and self._access != refused and self._clock() < self._good_until

    def _take_shared(self, refused: str) -> bool:
        """Use what another process was given for the same credentials, where that is good."""
        credentials = self._latest()
        is_filed = credentials.file is not None
        found = self._share.read(self._mark_of(credentials), is_filed, self._clock())
        if found is None or found[0] in ("", refused) or self._clock() >= found[1]:
            return False
        self._credentials = credentials
        self._access, self._good_until = found
        return True

    async def _share_access(self) -> None:
        credentials = self._credentials
        if credentials is not None:
            mark, is_filed = self._mark_of(credentials), credentials.file is not None
            ends = self._access, self._good_until, self._clock()
            await asyncio.to_thread(self._share.write, mark, is_filed, *ends)

    def _mark_of(self, credentials: Credentials) -> str:
        parts = (self._token_url, credentials.client_id, credentials.client_secret, credentials.offline_token)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def _latest(self) -> Credentials:
        """The credentials as they are stored now.

        A service may take a replaced token that is used once more for a stolen one, and end its successor
        as well: what another process has stored goes before what is held here.
        """
        held = self._credentials
        if held is None:
            return self._load()
        if held.file is None or self._is_unsaved:
            return held
        try:
            return self._load()
        except (CredentialsError, StorageError):
            return held

    async def _renew(self, wait_for_service: bool) -> None:
        credentials = self._latest()
        reply = await self._exchange(credentials, wait_for_service)
        if _is_refusal(reply) and credentials.file is not None and not self._is_unsaved:
            # Another process may have stored a renewed token meanwhile, or the user a new one.
            stored = self._load()
            if self._mark_of(stored) != self._mark_of(credentials):
                credentials = stored
                reply = await self._exchange(credentials, wait_for_service)
        found = _access_of(reply)
        if found is None:
            if _is_refusal(reply):
                self._refused = self._refusal(reply, credentials)
                raise self._refused
            if is_lasting(reply.status):
                self._refused = self._no_service(reply, credentials)
                raise self._refused
            raise AuthServiceUnavailable(
                f"Failed to refresh token: {reply.status} {reply.reason or 'Error'}", self._later
            )
        access, lifetime_s, rotated = found
        if rotated and rotated != credentials.offline_token:
            credentials = self._store_rotated(credentials, rotated)
        self._credentials = credentials
        if kind := _foreign_type(reply):
            self._refused = TokenRequestError(
                f"The token service gave an access token of the type '{kind}', and only Bearer is known",
                self._check_url,
            )
            raise self._refused
        self._access = access
        self._good_until = self._clock() + lifetime_s - min(60.0, lifetime_s * 0.1)

    async def _exchange(self, credentials: Credentials, wait_for_service: bool) -> Reply:
        reply = await self._ask(credentials, wait_for_service, self._wants_basic)
        if _error_of(reply) == "invalid_client" and credentials.client_secret and not self._wants_basic:
            # A service need not take the secret in the form, and has to take it in the header.
            other = await self._ask(credentials, wait_for_service, True)
            if _error_of(other) not in ("invalid_client", "unauthorized_client"):
                self._wants_basic = True
                return other
        return reply

    async def _ask(self, credentials: Credentials, wait_for_service: bool, basic: bool) -> Reply:
        form = {"grant_type": "refresh_token", "refresh_token": credentials.offline_token}
        # Without a scope it is the one that the token was granted; another might exceed it.
        client = {"client_id": credentials.client_id, "client_secret": credentials.client_secret}
        if not basic:
            form = {name: value for name, value in client.items() if value} | form
        try:
            return await self._http.ask(
                "POST",
                self._token_url,
                form=form,
                basic=(credentials.client_id, credentials.client_secret) if basic else None,
                again=_is_passing,
                probe=self._token_url if wait_for_service else "",
            )
        except TransportFault as fault:
            if fault.status == 200:
                message = "The token service answered something that is not a token"
                raise AuthServiceUnavailable(message, self._later) from fault
            if fault.status is not None:
                message = f"The token service is unavailable: {fault.message}"
            else:
                message = f"The token service did not answer: {fault.message}"
            raise AuthServiceUnavailable(message, _LATER) from fault

    @property
    def _later(self) -> str:
        return f"{_LATER} If it stays so, check api.token_url, which is {self._token_url}."

    @property
    def _check_url(self) -> str:
        return (
            f"Check api.token_url, which is {self._token_url}: it has to be where the archive's OpenID "
            "service exchanges tokens. A new token does not help."
        )

    def _no_service(self, reply: Reply, credentials: Credentials) -> TokenRequestError:
        """What it means that no token service answers at its address."""
        message = _failure(reply, credentials)
        if 300 <= reply.status < 400:
            # The secrets go where the settings say, and nowhere else.
            where = _moved_to(self._token_url, reply)
            return TokenRequestError(f"{message}: the token service has moved{where}", self._check_url)
        if reply.status == 403:
            return TokenRequestError(
                f"{message}: something in front of the token service refuses the request",
                f"{self._check_url} If it is right, ask who runs the network.",
            )
        return TokenRequestError(f"{message}: no token service answers there", self._check_url)

    def _refusal(self, reply: Reply, credentials: Credentials) -> AuthenticationError:
        """What a refusal means, and what helps."""
        message = _failure(reply, credentials)
        is_public = (credentials.client_id, credentials.client_secret) == (
            PUBLIC_CLIENT_ID,
            PUBLIC_CLIENT_SECRET,
        )
        where = str(credentials.file or "the credentials file that `maap config` names")
        error = _error_of(reply)
        if error in ("invalid_client", "unauthorized_client"):
            hint = (
                "They are those of the archive's documentation; if it names others now, write its "
                f"CLIENT_ID= and CLIENT_SECRET= into {where}."
                if is_public
                else f"Correct them in {where}, or remove both lines to use the documentation's."
            )
            return ClientRefusedError(
                f"{message}: CLIENT_ID and CLIENT_SECRET are refused, not the token", hint
            )
        if error in ("unsupported_grant_type", "invalid_request"):
            return TokenRequestError(
                f"{message}: the service takes no offline tokens"
                if error == "unsupported_grant_type"
                else f"{message}: the service does not understand the request",
                self._check_url,
            )
        hint = NEW_TOKEN
        if error == "invalid_scope":
            message += ": the access that was granted to the token has been withdrawn"
        elif not is_public:
            hint += f" It has to be issued to the CLIENT_ID in {where}."
        elif error != "invalid_grant":
            hint += " If that is refused too, check CLIENT_ID and CLIENT_SECRET."
        token = credentials.offline_token
        if token.startswith("eyJ") and describe_token(token).is_opaque:
            hint = f"The token looks like a part of one: copy the whole of it. {hint}"
        return AuthenticationError(message, hint)

    def _store_rotated(self, credentials: Credentials, rotated: str) -> Credentials:
        """Keep the token that replaces the one used: without it the user would be locked out."""
        try:
            refuse_access_token(rotated)
        except CredentialsError:
            return credentials
        renewed = credentials._replace(offline_token=rotated)
        if credentials.file is None:
            self._emit(
                Warned(
                    f"The service issued a new offline token in place of the one in {credentials.source}, "
                    "which may no longer work; one that `maap login` stores in the file is replaced there"
                )
            )
            return renewed
        try:
            save_credentials(renewed, credentials.file)
            self._is_unsaved = False
        except StorageError as error:
            # The old token may be dead already: this run goes on with the one it holds.
            self._is_unsaved = True
            self._emit(
                Warned(
                    f"The service issued a new offline token, which could not be stored: {error.message}. "
                    f"The one in {credentials.source} may no longer work; run `maap login` with a new one"
                )
            )
        return renewed


def _failure(reply: Reply, credentials: Credentials) -> str:
    """What the service answered in place of a token, without the secrets that it may quote."""
    words = hide(reply.error_words(), (credentials.offline_token, credentials.client_secret))
    message = f"Failed to refresh token: {reply.status} {reply.reason or 'Error'}"
    return f"{message} ({words})" if words else message


async def _finished(renewal: Coroutine[Any, Any, None]) -> None:
    """Run a renewal; when its task is cancelled, give it time to end.

    The answer that is under way may replace the stored token: lost, it would lock the user out.
    """
    task = asyncio.ensure_future(renewal)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=_LAST_ANSWER_S)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise


def _error_of(reply: Reply) -> str:
    """The error code of RFC 6749 that a service answers; '' for none."""
    data = _object_of(reply)
    error = data.get("error") if 400 <= reply.status < 600 else None
    return error.strip().lower() if isinstance(error, str) else ""


def _is_passing(reply: Reply) -> bool:
    """Whether to ask again: the service has an error of its own, or answered what is not a token."""
    return _error_of(reply) in _PASSING or (reply.status == 200 and _access_of(reply) is None)


def _is_refusal(reply: Reply) -> bool:
    """Whether the service refuses what it was sent, rather than has an error of its own."""
    return (
        reply.status in (400, 401)
        or (reply.status < 500 and _error_of(reply) in _REFUSALS)
        or (reply.status == 403 and bool(reply.error_words()))
    )


def _moved_to(url: str, reply: Reply) -> str:
    """` to` the address that an answer points to, without user, password and query; '' for none."""
    try:
        target = urlsplit(urljoin(url, reply.headers["location"]))
    except (KeyError, ValueError):
        return ""
    return f" to {target.scheme}://{target.netloc.rpartition('@')[2]}{target.path}"


def _object_of(reply: Reply) -> dict[str, Any]:
    """The JSON object that was answered; empty when it was none."""
    try:
        data = reply.json()
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _foreign_type(reply: Reply) -> str:
    """The type of the access token where it is not Bearer (RFC 6749 section 7.1); '' where it is."""
    kind = _object_of(reply).get("token_type")
    return kind[:40] if isinstance(kind, str) and kind.strip().lower() not in ("", "bearer") else ""


def _access_of(reply: Reply) -> tuple[str, float, str] | None:
    """(access token, lifetime in seconds, offline token that replaces the old one or '')."""
    data = _object_of(reply)
    access = data.get("access_token")
    if reply.status != 200 or not isinstance(access, str) or not is_token(access):
        return None
    try:
        lifetime_s = float(data.get("expires_in") or 0)
    except (TypeError, ValueError):
        lifetime_s = 0.0
    if not 1 < lifetime_s < 10 * 86400:
        lifetime_s = FALLBACK_LIFETIME_S
    rotated = data.get("refresh_token")
    return access, lifetime_s, rotated if isinstance(rotated, str) and is_token(rotated) else ""
