"""The token endpoint: offline tokens in, access tokens out, worded as Keycloak words it.

Access tokens live in this process only; offline tokens are signed, so one of an earlier archive works too.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

CLIENT_ID = "offline-token"
CLIENT_SECRET = "p1eL7uonXs6MDxtGbgKdPVRAmnGxHpVE"
"""The shared public secret that ESA prints in its documentation: it protects nothing."""

ACCESS_LIFETIME_S = 36_000
_KEY = b"maap demo archive: these tokens open nothing but synthetic data"


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(claims: Mapping[str, Any]) -> str:
    """A JWT with these claims."""
    head = _encode(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "demo"}).encode())
    body = _encode(json.dumps(claims, separators=(",", ":")).encode())
    mark = hmac.new(_KEY, f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{_encode(mark)}"


def read(token: str) -> dict[str, Any] | None:
    """The claims of a JWT of `sign`, None for anything else."""
    try:
        head, body, mark = token.split(".")
        wanted = _encode(hmac.new(_KEY, f"{head}.{body}".encode(), hashlib.sha256).digest())
        if not hmac.compare_digest(mark, wanted):
            return None
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except ValueError:
        return None
    return claims if isinstance(claims, dict) else None


class TokenService:
    """Issues, renews and checks tokens; safe to use from several threads."""

    def __init__(
        self, clock: Callable[[], float], offline_days: float = 90, rotate: bool = False, issuer: str = ""
    ) -> None:
        self.clock = clock
        self.offline_days = offline_days
        """Days an offline token is valid; negative makes it expired from the start."""
        self.rotate = rotate
        """Whether each refresh returns a new offline token and kills the one it was asked with."""
        self.issuer = issuer
        self.refreshes = 0
        """Access tokens issued so far."""
        self._lock = threading.Lock()
        self._serial = 0
        self._alive: dict[str, float] = {}
        self._dead: set[str] = set()
        self._opaque: dict[str, dict[str, Any]] = {}

    def _claims(self, kind: str, lifetime: float) -> dict[str, Any]:
        self._serial += 1
        now = int(self.clock())
        return {
            "exp": now + int(lifetime),
            "iat": now,
            "jti": f"demo-{self._serial}-{now}",
            "iss": self.issuer,
            "sub": "7d1c1f5e-0000-4000-8000-0000000000de",
            "typ": kind,
            "azp": CLIENT_ID,
            "scope": "openid profile offline_access",
            "preferred_username": "demo",
            "name": "Demo User",
        }

    def issue_offline(self) -> str:
        """A new offline token."""
        with self._lock:
            return sign(self._claims("Offline", self.offline_days * 86400))

    def issue_opaque(self) -> str:
        """A new offline token that only this service can read; it lives as long as this process."""
        with self._lock:
            token = secrets.token_urlsafe(24)
            self._opaque[token] = self._claims("Offline", self.offline_days * 86400)
            return token

    def accepts(self, authorization: str | None) -> bool:
        """Whether an Authorization header carries a live access token of this service."""
        if not authorization or not authorization.lower().startswith("bearer "):
            return False
        with self._lock:
            return self._alive.get(authorization[7:].strip(), 0.0) > time.monotonic()

    def expire_access(self) -> None:
        """End the life of every access token issued so far."""
        with self._lock:
            self._alive.clear()

    def revoke_offline(self, token: str) -> None:
        """Kill an offline token."""
        with self._lock:
            self._dead.add(token)

    def answer(self, form: Mapping[str, str], lifetime: float | None) -> tuple[int, dict[str, Any]]:
        """Status and JSON body for a token request; `lifetime` in seconds overrides 10 hours."""
        if form.get("client_id") != CLIENT_ID or form.get("client_secret") != CLIENT_SECRET:
            return 401, {
                "error": "unauthorized_client",
                "error_description": "Invalid client or Invalid client credentials",
            }
        if form.get("grant_type") != "refresh_token":
            return 400, {
                "error": "unsupported_grant_type",
                "error_description": "Unsupported grant_type",
            }
        token = form.get("refresh_token", "")
        claims = self._opaque.get(token) or read(token)
        if claims is None or claims.get("typ") != "Offline":
            return self._invalid("Invalid refresh token")
        if claims["exp"] <= self.clock():
            return self._invalid("Token is not active")
        lifetime = ACCESS_LIFETIME_S if lifetime is None else lifetime
        with self._lock:
            if token in self._dead:
                return self._invalid("Offline user session not found")
            access = sign(self._claims("Bearer", lifetime))
            self._alive[access] = time.monotonic() + lifetime
            self.refreshes += 1
            reply: dict[str, Any] = {
                "access_token": access,
                "expires_in": int(lifetime),
                "refresh_expires_in": 0,
                "token_type": "Bearer",
                "not-before-policy": 0,
                "scope": "openid profile offline_access",
            }
            if self.rotate:
                self._dead.add(token)
                reply["refresh_token"] = sign(self._claims("Offline", self.offline_days * 86400))
            return 200, reply

    @staticmethod
    def _invalid(description: str) -> tuple[int, dict[str, Any]]:
        return 400, {"error": "invalid_grant", "error_description": description}
