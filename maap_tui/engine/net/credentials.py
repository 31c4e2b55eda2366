"""The offline token and its client: read from whatever people paste or store, described, kept in their file.

An offline token is opaque (RFC 6749 section 1.5): the token service is its only judge. Its shape decides no
more than what can be said of it, and it is refused here only where it is certain to be something else.
"""

from __future__ import annotations

import base64
import binascii
import errno
import json
import os
import re
import stat
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from maap_tui.engine.errors import TOKEN_PAGE, CredentialsError
from maap_tui.engine.storage import files

PUBLIC_CLIENT_ID = "offline-token"
"""Client id that the archive's documentation gives to everyone."""
PUBLIC_CLIENT_SECRET = "p1eL7uonXs6MDxtGbgKdPVRAmnGxHpVE"
"""The secret printed beside it; shared by all users, so it is none."""

NEW_TOKEN = f"Get a new 90-day offline token at {TOKEN_PAGE} and store it with `maap login`."
_ALONE = "Copy only the token, and store it with `maap login`."

_NOT_THE_FILE = frozenset({errno.EMFILE, errno.ENFILE, errno.EIO, errno.ESTALE})
"""Errors of reading that say nothing of the credentials."""

_TOKEN_NAMES = frozenset({"TOKEN", "OFFLINE_TOKEN", "REFRESH_TOKEN", "AUTHORIZATION"})
_CLIENT_NAMES = frozenset({"CLIENT_ID", "CLIENT_SECRET"})
_ASSIGNMENT = re.compile(
    r"""\s*(?P<shell>(?:export|set|declare\s+-x|\$env:)\s*)?
    ["']?(?P<name>[A-Za-z_][A-Za-z0-9_]*(?:[ -][A-Za-z]+)?)["']?\s*(?P<sign>[:=])\s*(?P<value>.*)""",
    re.VERBOSE | re.IGNORECASE,
)
_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_ESCAPE_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "‘": "’", "«": "»"}
_WRAPPING = "".join({*_QUOTES, *_QUOTES.values(), ",", ";", "\\"})


class TokenInfo(NamedTuple):
    """What an offline token says of itself; nothing of it is secret."""

    kind: str
    """`Offline` for the token wanted, `Bearer` for an access token; '' when it does not say."""
    name: str
    """Who it was issued to, '' when it does not say."""
    issuer: str
    issued: datetime | None
    expires: datetime | None
    """When it expires; None when it does not, or does not say."""
    is_opaque: bool = False
    """Whether it can be read by its service alone, so that nothing is known of its expiry."""

    def days_left(self, now: datetime) -> int | None:
        """Whole days until it expires, negative when it has; None when it does not expire or say."""
        if self.expires is None:
            return None
        return int((self.expires - now).total_seconds() // 86400)


class Credentials(NamedTuple):
    """What is exchanged for an access token."""

    offline_token: str
    client_id: str = PUBLIC_CLIENT_ID
    client_secret: str = PUBLIC_CLIENT_SECRET
    """The client's secret; '' for a client that has none."""
    source: str = ""
    """Where they came from: a path, or `MAAP_TOKEN`."""
    file: Path | None = None
    """The file to write a renewed token to; None when they came from the environment."""

    def __repr__(self) -> str:
        """All but the secrets, which belong in no log."""
        return f"Credentials(client_id={self.client_id!r}, source={self.source!r}, file={self.file!r})"


class Pasted(NamedTuple):
    """What a text holds of credentials; '' for what it does not hold."""

    token: str
    client_id: str = ""
    client_secret: str = ""

    def __repr__(self) -> str:
        """All but the secrets, which belong in no log."""
        return f"Pasted(client_id={self.client_id!r})"

    def credentials(self, source: str, file: Path | None) -> Credentials:
        """The credentials that these make; without a client, that of the archive's documentation."""
        client_id = self.client_id or PUBLIC_CLIENT_ID
        secret = PUBLIC_CLIENT_SECRET if client_id == PUBLIC_CLIENT_ID else ""
        return Credentials(self.token, client_id, self.client_secret or secret, source, file)


def read_pasted(text: str) -> Pasted:
    """The credentials inside whatever was pasted: a token alone or in quotes, JSON, a header, a whole file.

    Args:
        text: as it came; a byte order mark, invisible characters and line breaks do no harm.

    Raises:
        CredentialsError: when it holds no token, or what stands in its place is certain to be none.
    """
    pasted = _take_apart(text)
    if not pasted.token:
        raise CredentialsError("The offline token is empty", NEW_TOKEN)
    _refuse_what_is_none(pasted.token)
    return pasted


def describe_token(token: str) -> TokenInfo:
    """What a token says of itself; its signature is not checked and no request is made."""
    claims = _claims_of(token)
    if claims is None:
        return TokenInfo("", "", "", None, None, is_opaque=True)
    name = claims.get("preferred_username") or claims.get("name") or claims.get("email") or claims.get("sub")
    return TokenInfo(
        kind=str(claims.get("typ") or ""),
        name=str(name or ""),
        issuer=str(claims.get("iss") or ""),
        issued=_claimed_time(claims.get("iat")),
        expires=_claimed_time(claims.get("exp")),
    )


def refuse_access_token(token: str) -> None:
    """Refuse a token that says itself that it is not an offline token.

    Raises:
        CredentialsError: when it does.
    """
    kind = describe_token(token).kind.lower()
    header = _part_of(token, 0) or {}
    if kind == "bearer" or str(header.get("typ")).lower().endswith("at+jwt"):
        raise CredentialsError(
            "That is an access token, which lives for hours; the 90-day offline token is needed", NEW_TOKEN
        )
    if kind == "id":
        raise CredentialsError("That is an ID token; the 90-day offline token is needed", NEW_TOKEN)


def is_token(text: str) -> bool:
    """Whether a service may call that a token (RFC 6749 appendix A): visible ASCII characters only."""
    return re.fullmatch(r"[\x21-\x7e]+", text) is not None


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
        return _read(from_environment, "MAAP_TOKEN").credentials("MAAP_TOKEN", None)
    pasted = _read(_text_of(file, may_be_loose=may_be_loose), str(file))
    return pasted.credentials(str(file), file)


def stored_client(file: Path) -> Pasted:
    """The client that a credentials file names, whatever its token is worth; without one, all is ''."""
    try:
        pasted = _take_apart(_text_of(file, may_be_loose=True))
    except CredentialsError:
        return Pasted("")
    return Pasted("", pasted.client_id, pasted.client_secret)


def save_credentials(credentials: Credentials, file: Path) -> None:
    """Write the file, mode 0600, atomically and durably.

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


def _read(text: str, source: str) -> Pasted:
    try:
        pasted = _take_apart(text)
        if pasted.token:
            _refuse_what_is_none(pasted.token)
            return pasted
    except CredentialsError as error:
        raise CredentialsError(f"{source}: {error.message}", error.hint) from None
    missing = "offline token" if source == "MAAP_TOKEN" else "OFFLINE_TOKEN= line"
    raise CredentialsError(f"{source} has no {missing}", NEW_TOKEN)


def _text_of(file: Path, *, may_be_loose: bool) -> str:
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
        import shlex

        raise CredentialsError(
            f"{file} can be read by others (mode {mode:04o}), so its token is not used",
            f"Run: chmod 600 {shlex.quote(str(file))}",
        )
    return raw.decode("utf-8", "surrogateescape")


def _take_apart(text: str) -> Pasted:
    text = _visible(text)
    if re.match(r"\s*<(?:!doctype|html)", text, re.IGNORECASE):
        raise CredentialsError("That is a web page, not an offline token", NEW_TOKEN)
    if text.lstrip().startswith("{"):
        return _from_json(text.lstrip())
    values: dict[str, str] = {}
    pieces: list[str] = []
    bare: list[str] = []
    unknown: list[str] = []
    is_token_open = False
    for line in text.splitlines():
        line = line.strip()
        if not line or line.startswith(("#", "//")) or re.fullmatch(r"\[[\w .-]+\]", line):
            continue
        found = _ASSIGNMENT.fullmatch(line)
        name = re.sub(r"[ -]", "_", found["name"]).upper() if found else ""
        if found and name in _CLIENT_NAMES:
            values[name] = _unquoted(found["value"])
            is_token_open = False
        elif found and _names_token(name):
            pieces = [_unquoted(found["value"])]
            is_token_open = True
        elif (
            found
            and found["sign"] == "="
            and found["value"].strip("= ")
            and (found["shell"] or name == found["name"])
        ):
            unknown.append(_unquoted(found["value"]))
            is_token_open = False
        elif is_token_open:
            # A token pasted from a web page may have been broken into lines.
            pieces.append(line)
        else:
            bare.append(line)
    if not any(pieces):
        whole = {line for line in bare if _JWT.fullmatch(line) and _claims_of(line)}
        if len(whole) > 1:
            raise CredentialsError("There are several tokens", "Give only the newest.")
        # The name of a variable is anybody's choice where its value is all that was given.
        pieces = bare or (unknown if len(unknown) == 1 and not values else [])
        pieces[:1] = [_unquoted(piece) for piece in pieces[:1]]
    return Pasted(_joined(pieces), values.get("CLIENT_ID", ""), values.get("CLIENT_SECRET", ""))


def _visible(text: str) -> str:
    """The text without what cannot be seen in it; spaces and line breaks of any kind as plain ones."""
    if text.startswith(("\udcff\udcfe", "\udcfe\udcff")):
        # UTF-16, as Windows shells write it, read as UTF-8.
        text = text.encode("utf-8", "surrogateescape").decode("utf-16", "replace")
    text = _ESCAPE_SEQUENCE.sub("", text).replace("\u2028", "\n").replace("\u2029", "\n")
    shown = []
    for sign in text:
        category = unicodedata.category(sign)
        if sign in "\n\r\t":
            shown.append(sign)
        elif category == "Zs":
            shown.append(" ")
        elif category not in ("Cc", "Cf"):
            shown.append(sign)
    return "".join(shown)


def _from_json(text: str) -> Pasted:
    try:
        data, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        raise CredentialsError(
            "It looks like JSON but cannot be read as JSON", "Copy all of it, or only the token."
        ) from None
    values = {
        str(name).upper().replace("-", "_"): value for name, value in data.items() if isinstance(value, str)
    }
    token = next((value for name, value in values.items() if _names_token(name) and value.strip()), "")
    if not token:
        raise CredentialsError("The JSON holds no offline token (no refresh_token)", NEW_TOKEN)
    client_id, secret = (values.get(name, "").strip() for name in ("CLIENT_ID", "CLIENT_SECRET"))
    return Pasted(_joined([token]), client_id, secret)


def _names_token(name: str) -> bool:
    """Whether a variable or key of that name, in capitals, holds the offline token."""
    return name in _TOKEN_NAMES or re.fullmatch(r"\w*(MAAP|OFFLINE|REFRESH)_TOKEN", name) is not None


def _unquoted(value: str) -> str:
    """A value without its quotes and without the comment after it."""
    value = value.strip()
    closing = _QUOTES.get(value[:1])
    if closing is not None and (end := value.find(closing, 1)) > 0:
        return value[1:end].strip()
    return re.split(r"\s+(?:#|//|;)", value, maxsplit=1)[0].strip().strip(_WRAPPING)


def _joined(pieces: list[str]) -> str:
    """The token that the lines of `pieces` make."""
    lines = [line for piece in pieces for line in piece.splitlines()]
    if lines:
        lines[0] = re.sub(r"\A\W*(?:authorization\s*[:=]\s*)?bearer(?:\s+|\Z)", "", lines[0], flags=re.I)
    # zsh marks an output without a line break at its end with a percent sign.
    parts = [line.strip().rstrip("\\").strip() for line in lines]
    token = "".join(parts).strip(_WRAPPING).removesuffix("%").strip(_WRAPPING)
    if re.search(r"\s", token):
        whole: set[str] = {found for found in _JWT.findall(" ".join(parts)) if _claims_of(found)}
        if len(whole) == 1:
            return whole.pop()
        token = re.sub(r"\s+", "", token)
        if not _claims_of(token):
            raise CredentialsError(
                "There are spaces inside the token: it has other text around it, or lines are missing",
                _ALONE,
            )
    return token


def _refuse_what_is_none(token: str) -> None:
    if re.match(r"https?://", token, re.I):
        raise CredentialsError("That is a web address, not an offline token", NEW_TOKEN)
    if not is_token(token):
        position, sign = next((n, sign) for n, sign in enumerate(token, 1) if not is_token(sign))
        raise CredentialsError(
            f"Character {position} of the token is U+{ord(sign):04X}, which a token cannot have: "
            "it is damaged, or it has other text around it",
            _ALONE,
        )
    refuse_access_token(token)


def _claims_of(token: str) -> dict[str, Any] | None:
    """The claims of a JSON Web Token, None for any other token."""
    return _part_of(token, 1) if _JWT.fullmatch(token) else None


def _part_of(token: str, index: int) -> dict[str, Any] | None:
    try:
        part = token.split(".")[index]
        data = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (IndexError, ValueError, binascii.Error, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _claimed_time(value: Any) -> datetime | None:
    # Keycloak writes exp 0 for an offline token that does not expire.
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        return None
    try:
        return datetime.fromtimestamp(value, tz=UTC)
    except (OverflowError, ValueError, OSError):
        return None
