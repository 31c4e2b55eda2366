"""Offline token -> access token: read, checked, exchanged once for any number of tasks and processes, never
shown.

Formats and replies: maap-facts.md section 3.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import errno
import hashlib
import json
import os
import re
import shlex
import stat
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from maap_tui.engine import files
from maap_tui.engine.errors import (
    TOKEN_PAGE,
    AuthenticationError,
    AuthServiceUnavailable,
    CredentialsError,
    LockedError,
    StorageError,
)
from maap_tui.engine.events import Emit, Warned, ignore
from maap_tui.engine.http import Http, Reply, TransportFault, hide

PUBLIC_CLIENT_ID = "offline-token"
"""Client id that the archive's documentation gives to everyone."""
PUBLIC_CLIENT_SECRET = "p1eL7uonXs6MDxtGbgKdPVRAmnGxHpVE"
"""The secret printed beside it; shared by all users, so it is none."""

FALLBACK_LIFETIME_S = 300.0
"""Lifetime of an access token when the service does not say it."""

_TURN_POLL_S = 0.05
"""Seconds between two looks whether another process has renewed the token."""
_NOT_THE_FILE = frozenset({errno.EMFILE, errno.ENFILE, errno.EIO, errno.ESTALE})
"""Errors of reading that say nothing of the credentials."""

_NEW_TOKEN = f"Get a new 90-day offline token at {TOKEN_PAGE} and store it with `maap login`."

_LATER = "The token may be fine; run the same command again later."


def _steady_clock() -> float:
    """Seconds on a clock that never jumps and, where there is one, goes on during suspend."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(boottime) if boottime is not None else time.monotonic()


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """What an offline token says of itself; nothing of it is secret."""

    kind: str
    """`Offline` for the token wanted, `Bearer` for an access token; '' when it does not say."""
    name: str
    """Who it was issued to, '' when it does not say."""
    issuer: str
    issued: datetime | None
    expires: datetime | None

    def days_left(self, now: datetime) -> int | None:
        """Whole days until it expires, negative when it has; None when it does not expire."""
        if self.expires is None:
            return None
        return int((self.expires - now).total_seconds() // 86400)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What is exchanged for an access token."""

    offline_token: str = field(repr=False)
    client_id: str = PUBLIC_CLIENT_ID
    client_secret: str = field(default=PUBLIC_CLIENT_SECRET, repr=False)
    source: str = ""
    """Where they came from: a path, or `MAAP_TOKEN`."""
    file: Path | None = None
    """The file to write a renewed token to; None when they came from the environment."""


def normalise_token(text: str) -> str:
    """The token inside whatever was pasted: `Bearer` prefix, quotes, JSON, BOM, line breaks removed.

    Raises:
        CredentialsError: when no token is left, or it is the short-lived kind.
    """
    cleaned = text.replace("\ufeff", "").strip()
    if cleaned.startswith("{"):
        try:
            data = json.loads(cleaned)
        except (ValueError, RecursionError):
            data = None
        if isinstance(data, dict):
            for key in ("offline_token", "refresh_token", "OFFLINE_TOKEN", "token"):
                if isinstance(data.get(key), str):
                    cleaned = data[key]
                    break
    match = re.match(r"\s*(?:export\s+)?(?:MAAP_TOKEN|OFFLINE_TOKEN)\s*=\s*(.*)\Z", cleaned, re.S)
    if match:
        cleaned = match[1]
    cleaned = re.sub(r"\A(?:authorization:\s*)?bearer\s+", "", cleaned.strip(), flags=re.I)
    cleaned = "".join(cleaned.split()).strip("'\"`,;")
    if not cleaned:
        raise CredentialsError("The offline token is empty", _NEW_TOKEN)
    if not re.fullmatch(r"[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]*", cleaned):
        raise CredentialsError(
            f"What is there ({len(cleaned)} characters) is no offline token: it has to be three parts "
            "joined by dots",
            _NEW_TOKEN,
        )
    info = describe_token(cleaned)
    if info.kind == "Bearer":
        raise CredentialsError(
            "That is an access token, which lives for hours; the 90-day offline token is needed", _NEW_TOKEN
        )
    return cleaned


def describe_token(token: str) -> TokenInfo:
    """Read the claims of a token without checking its signature; no request is made.

    Raises:
        CredentialsError: when it cannot be read.
    """
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, binascii.Error, RecursionError):
        claims = None
    if not isinstance(claims, dict):
        raise CredentialsError("The offline token is damaged: its middle part cannot be read", _NEW_TOKEN)
    name = claims.get("preferred_username") or claims.get("name") or claims.get("email") or claims.get("sub")
    return TokenInfo(
        kind=str(claims.get("typ") or ""),
        name=str(name or ""),
        issuer=str(claims.get("iss") or ""),
        issued=_claimed_time(claims.get("iat")),
        expires=_claimed_time(claims.get("exp")),
    )


def _claimed_time(value: Any) -> datetime | None:
    # Keycloak writes exp 0 for an offline token that does not expire.
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        return None
    try:
        return datetime.fromtimestamp(value, tz=UTC)
    except (OverflowError, ValueError, OSError):
        return None


def load_credentials(file: Path, environ: Mapping[str, str], *, may_be_loose: bool = False) -> Credentials:
    """The credentials to use: `MAAP_TOKEN`, otherwise the file.

    Args:
        file: the credentials file.
        environ: the environment.
        may_be_loose: whether a file that others can read will do, as where it is replaced next.

    Raises:
        CredentialsError: when there are none, or they cannot be used.
        StorageError: when the disk or this machine's limits are in the way.
    """
    from_environment = environ.get("MAAP_TOKEN", "")
    if from_environment.strip():
        return Credentials(normalise_token(from_environment), source="MAAP_TOKEN")
    try:
        with open(file, "rb") as handle:
            mode = stat.S_IMODE(os.fstat(handle.fileno()).st_mode)
            raw = handle.read(1 << 20)
    except FileNotFoundError:
        raise CredentialsError(
            f"Credentials file not found: {file}", f"Get a token at {TOKEN_PAGE} and run `maap login`."
        ) from None
    except OSError as error:
        if error.errno in _NOT_THE_FILE:
            raise files.storage_error(file, error) from error
        raise CredentialsError(
            f"The credentials file {file} cannot be read: {error.strerror}", "Make it readable for you."
        ) from None
    if mode & 0o077 and not may_be_loose:
        raise CredentialsError(
            f"{file} can be read by others (mode {mode:04o}), so its token is not used",
            f"Run: chmod 600 {shlex.quote(str(file))}",
        )
    values: dict[str, str] = {}
    key = ""
    for line in raw.decode("utf-8", "replace").replace("\ufeff", "").splitlines():
        if line.lstrip().startswith("#"):
            continue
        name, separator, value = line.strip().partition("=")
        if separator:
            key = name.strip().upper()
            values[key] = value.strip().strip("'\"")
        elif key == "OFFLINE_TOKEN":
            # A token pasted from a web page may have been broken into lines.
            values[key] += name.strip().strip("'\"")
    if not values.get("OFFLINE_TOKEN"):
        raise CredentialsError(f"{file} has no OFFLINE_TOKEN= line", _NEW_TOKEN)
    return Credentials(
        normalise_token(values["OFFLINE_TOKEN"]),
        values.get("CLIENT_ID") or PUBLIC_CLIENT_ID,
        values.get("CLIENT_SECRET") or PUBLIC_CLIENT_SECRET,
        source=str(file),
        file=file,
    )


def save_credentials(credentials: Credentials, file: Path) -> None:
    """Write the file, mode 0600, atomically.

    Raises:
        StorageError: when it cannot be written.
    """
    files.write_atomic(
        file,
        f"CLIENT_ID={credentials.client_id}\n"
        f"CLIENT_SECRET={credentials.client_secret}\n"
        f"OFFLINE_TOKEN={credentials.offline_token}\n",
        mode=0o600,
    )


@dataclass(frozen=True, slots=True)
class TokenShare:
    """Where the processes of one user share their access token, so that each spares the service a request."""

    file: Path | None = None
    """Beside the credentials and as private, mode 0600; None shares nothing."""
    lock: Path | None = None
    """The lock under which a token is renewed; None for none."""

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Renew while no other process does; where there can be no lock, renew all the same."""
        with contextlib.ExitStack() as held:
            while self.lock is not None:
                try:
                    held.enter_context(
                        files.lock(self.lock, timeout_s=0, purpose="renewing the access token")
                    )
                except LockedError:
                    await asyncio.sleep(_TURN_POLL_S)
                    continue
                except StorageError:
                    pass
                break
            yield

    def read(self, mark: str) -> tuple[str, float] | None:
        """(access token, when it ends on the steady clock) of the credentials that `mark` stands for."""
        if self.file is None:
            return None
        try:
            descriptor = os.open(self.file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as handle:
                found = os.fstat(handle.fileno())
                if found.st_mode & 0o077 or found.st_uid != os.geteuid():
                    return None
                data = json.loads(handle.read(1 << 20))
            # The steady clock starts anew with the machine.
            if data["for"] != mark or data["boot"] != files.boot_id() or not data["boot"]:
                return None
            access, until = data["access"], float(data["until"])
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return None
        return (access, until) if isinstance(access, str) and _is_access(access) else None

    def write(self, mark: str, access: str, until: float) -> None:
        """Leave a token for others; one that cannot be left is only asked for again."""
        if self.file is None or not files.boot_id():
            return
        data = {"for": mark, "access": access, "until": until, "boot": files.boot_id()}
        with contextlib.suppress(StorageError, OSError):
            if self.file.is_symlink():
                # A link would lead the token to where others may read it.
                self.file.unlink()
            files.write_atomic(self.file, json.dumps(data) + "\n", mode=0o600)


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

    async def access_token(self, refused: str = "", *, patient: bool = False) -> str:
        """A token that is good now.

        Args:
            refused: the token that a server just answered 401 to; it is renewed unless another task
                has done so since.
            patient: whether to wait for the end of an outage of the service.

        Raises:
            CredentialsError: without usable credentials.
            AuthenticationError: when the service refuses them.
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
            async with self._share.turn():
                if not self._take_shared(refused):
                    await self._renew(patient)
                    await self._share_access()
            return self._access

    @property
    def credentials(self) -> Credentials | None:
        """The credentials in use, renewed where the service renewed them; None before the first use."""
        return self._credentials

    def forget(self) -> None:
        """Read the credentials anew at the next use, for instance after a sign-in."""
        self._access, self._good_until = "", 0.0
        self._refused = self._credentials = None

    def _is_good(self, refused: str) -> bool:
        return bool(self._access) and self._access != refused and self._clock() < self._good_until

    def _take_shared(self, refused: str) -> bool:
        """Use what another process was given for the same credentials, where that is good."""
        credentials = self._credentials or self._load()
        found = self._share.read(self._mark_of(credentials))
        if found is None or found[0] in ("", refused) or self._clock() >= found[1]:
            return False
        self._credentials = credentials
        self._access, self._good_until = found
        return True

    async def _share_access(self) -> None:
        credentials = self._credentials
        if credentials is not None and credentials.file is not None:
            mark = self._mark_of(credentials)
            await asyncio.to_thread(self._share.write, mark, self._access, self._good_until)

    def _mark_of(self, credentials: Credentials) -> str:
        parts = (self._token_url, credentials.client_id, credentials.client_secret, credentials.offline_token)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    async def _renew(self, patient: bool) -> None:
        credentials = self._credentials or self._load()
        reply = await self._exchange(credentials, patient)
        if _is_refusal(reply) and credentials.file is not None:
            # Another process may have stored a renewed token meanwhile, or the user a new one.
            stored = self._load()
            if stored.offline_token != credentials.offline_token:
                credentials = stored
                reply = await self._exchange(credentials, patient)
        found = _access_of(reply)
        if found is None:
            words = hide(reply.error_words(), (credentials.offline_token, credentials.client_secret))
            message = f"Failed to refresh token: {reply.status} {reply.reason or 'Error'}"
            if not _is_refusal(reply):
                raise AuthServiceUnavailable(message, _LATER)
            message += f" ({words})" if words else ""
            self._refused = AuthenticationError(message, _NEW_TOKEN)
            raise self._refused
        access, lifetime_s, rotated = found
        if rotated and rotated != credentials.offline_token:
            credentials = self._store_rotated(credentials, rotated)
        self._credentials = credentials
        self._access = access
        self._good_until = self._clock() + lifetime_s - min(60.0, lifetime_s * 0.1)

    async def _exchange(self, credentials: Credentials, patient: bool) -> Reply:
        try:
            return await self._http.ask(
                "POST",
                self._token_url,
                form={
                    "client_id": credentials.client_id,
                    "client_secret": credentials.client_secret,
                    "grant_type": "refresh_token",
                    "refresh_token": credentials.offline_token,
                    "scope": "offline_access openid",
                },
                again=lambda reply: reply.status == 200 and _access_of(reply) is None,
                probe=self._token_url if patient else "",
            )
        except TransportFault as fault:
            if fault.status == 200:
                message = "The token service answered something that is no token"
            else:
                message = f"The token service did not answer: {fault.message}"
            raise AuthServiceUnavailable(message, _LATER) from fault

    def _store_rotated(self, credentials: Credentials, rotated: str) -> Credentials:
        try:
            if describe_token(rotated).kind not in ("Offline", "Refresh", ""):
                return credentials
        except CredentialsError:
            return credentials
        renewed = replace(credentials, offline_token=rotated)
        if credentials.file is None:
            self._emit(
                Warned(f"The service issued a new offline token in place of the one in {credentials.source}")
            )
            return renewed
        try:
            save_credentials(renewed, credentials.file)
        except StorageError as error:
            # The old token may be dead already: this run goes on with the one it holds.
            self._emit(
                Warned(
                    f"The service issued a new offline token, which could not be stored: {error.message}. "
                    f"The one in {credentials.source} may no longer work; run `maap login` with a new one"
                )
            )
        return renewed


def _is_refusal(reply: Reply) -> bool:
    """Whether the service says that the credentials are no good, rather than that it is in trouble."""
    return reply.status in (400, 401) or (reply.status == 403 and bool(reply.error_words()))


def _is_access(text: str) -> bool:
    return re.fullmatch(r"[\x21-\x7e]+", text) is not None


def _access_of(reply: Reply) -> tuple[str, float, str] | None:
    """(access token, lifetime in seconds, offline token that replaces the old one or '')."""
    try:
        data = reply.json()
    except ValueError:
        return None
    if reply.status != 200 or not isinstance(data, dict):
        return None
    access = data.get("access_token")
    if not isinstance(access, str) or not _is_access(access):
        return None
    try:
        lifetime_s = float(data.get("expires_in") or 0)
    except (TypeError, ValueError):
        lifetime_s = 0.0
    if not 1 < lifetime_s < 10 * 86400:
        lifetime_s = FALLBACK_LIFETIME_S
    rotated = data.get("refresh_token")
    return access, lifetime_s, rotated if isinstance(rotated, str) else ""
