"""Bucket: a bucket of S3, what is asked of it, and what its refusals mean. The only user of obstore.

Rule: a key holds one whole version of one file or nothing, and what S3 was given is what was verified.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from maap_tui.engine.download.requests import FailedTry
from maap_tui.engine.errors import InvalidRequestError, MaapError, NetworkSetupError, StorageError
from maap_tui.engine.integrity.hashes import PIECE
from maap_tui.engine.net.network_env import Trust, proxies_of, ssl_context_of, trust_of
from maap_tui.engine.net.transport import CONNECT_TIMEOUT_S

MOST_PARTS = 10_000
"""Parts that S3 allows one upload."""

PART = 5 << 20
"""Bytes of a part: the least that S3 takes, as two of them are in memory."""

_SLICE = 1 << 20
_REQUEST_S = 300.0
"""Seconds that a request may take, a part on a slow line among them."""
_TRIES_S = 60.0
"""Seconds in which a request is tried again before the try of the file counts as failed."""
_ABORT_S = 5.0
"""Seconds that a cancelled upload has to be aborted at S3."""
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_OTHER_CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
)
"""Variables that say where credentials come from, so that no file is looked at."""
_HANDED_ON = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
)
"""Variables that are given to obstore; it reads the others of AWS itself."""
_SET_KEYS = "Set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, if they came with one, AWS_SESSION_TOKEN."
_KEY_CODES = frozenset(
    {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"}
)
_ROLE = re.compile(r"performing \w+ http://169\.254\.|AssumeRoleWithWebIdentity|/v2/credentials")
"""What is asked for credentials where no variable and no profile gives any."""
_PASSING = frozenset({"RequestTimeout", "BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody"})
"""Codes of status 400 that another try may change."""

_Result = TypeVar("_Result")


class Changed(Exception):
    """What was read is not what was verified."""


class Bucket:
    """One bucket, as the environment says it is reached."""

    def __init__(self, name: str, environ: Mapping[str, str], wait_s: float) -> None:
        """Take what there is; ask nothing.

        Args:
            name: of the bucket.
            environ: the variables of AWS, of proxies and of certificates.
            wait_s: seconds before a request is tried again; doubles.

        Raises:
            InvalidRequestError: obstore is not installed, or a variable cannot be used.
        """
        self._library, store = _library()
        self._name = name
        self._endpoint = endpoint = _endpoint_of(environ)
        try:
            self._store = store(
                name,
                config={"checksum_algorithm": "sha256", **_config_of(environ), **_keys_of(environ)},
                client_options=_client_options(environ, endpoint),
                retry_config={
                    "max_retries": 4,
                    "retry_timeout": timedelta(seconds=_TRIES_S),
                    "backoff": {
                        "init_backoff": timedelta(seconds=min(wait_s, 0.5)),
                        "max_backoff": timedelta(seconds=5),
                        "base": 2,
                    },
                },
            )
        except MaapError:
            raise
        except Exception as error:
            reason = str(error).partition("\n")[0][:200]
            raise InvalidRequestError(
                f"S3 cannot be used as the environment says: {reason}", "Correct the AWS_ variable."
            ) from None

    async def check(self, prefix: str) -> None:
        """Find out before anything is fetched whether the bucket is there and the credentials are taken.

        Raises:
            StorageError: they are not.
            FailedTry: S3 did not answer.
        """

        def look() -> None:
            for _ in self._library.list(self._store, prefix or None, chunk_size=1):
                return

        try:
            await _in_thread(look)
        except Exception as error:
            # Who may write need not be allowed to list.
            if _code_of(error) != "AccessDenied":
                raise self._failure_of(error) from None

    async def size(self, key: str) -> int | None:
        """Bytes of an object, None when there is none or nothing may be known of it; errors as `check`."""
        found = await self._look(key)
        return None if found is None else int(found["size"])

    async def sizes(self, prefix: str) -> dict[str, int]:
        """Bytes of every object below a prefix, by key; errors as `check`."""

        def look() -> dict[str, int]:
            listed = self._library.list(self._store, prefix or None)
            return {one["path"]: one["size"] for some in listed for one in some}

        try:
            return await _in_thread(look)
        except Exception as error:
            if _code_of(error) == "AccessDenied":
                return {}
            raise self._failure_of(error) from None

    async def put(self, key: str, descriptor: int, size: int, pieces: Sequence[str]) -> None:
        """Make an object of an open file; cancelled, it is aborted at S3.

        Args:
            key: of the object.
            descriptor: the file.
            size: its bytes.
            pieces: SHA-256 of each `PIECE` as it was verified, hex.

        Raises:
            Changed: the file holds other bytes by now.
            StorageError: S3 refuses it, also another time.
            FailedTry: another try may succeed.
        """
        source = _Source(descriptor, size, pieces)
        work = asyncio.ensure_future(self._put(key, source))
        try:
            # A request that is dropped would leave the parts before it at S3: the upload fails instead,
            # and what fails is aborted.
            await asyncio.shield(work)
        except asyncio.CancelledError:
            source.is_given_up = True
            await asyncio.wait([work], timeout=_ABORT_S)
            if not work.done():
                work.cancel()
            elif not work.cancelled():
                work.exception()
            raise

    async def _put(self, key: str, source: _Source) -> None:
        try:
            if source.size <= PART:
                data = bytearray()
                for some in source:
                    data += some
                made = await _in_thread(
                    partial(self._library.put, self._store, key, data, use_multipart=False)
                )
            else:
                made = await _in_thread(
                    partial(
                        self._library.put,
                        self._store,
                        key,
                        iter(source),
                        use_multipart=True,
                        chunk_size=PART * math.ceil(source.size / PART / MOST_PARTS),
                        max_concurrency=1,
                    )
                )
        except Changed:
            raise
        except Exception as error:
            raise self._failure_of(error) from None
        found = await self._look(key)
        if found is not None and (found["size"], found["e_tag"]) != (source.size, made["e_tag"]):
            raise FailedTry("S3 holds something else than what it was given")

    async def _look(self, key: str) -> Mapping[str, Any] | None:
        try:
            found: Mapping[str, Any] = await _in_thread(partial(self._library.head, self._store, key))
        except FileNotFoundError:
            return None
        except Exception as error:
            # Who may write but not list gets 403 for a key that is not there. `check` has seen that the
            # credentials are good.
            if _status_of(error) == 403:
                return None
            raise self._failure_of(error) from None
        return found

    def _failure_of(self, error: Exception) -> Exception:
        """What an error of obstore means: a StorageError where nothing but a person helps."""
        text, status, code = str(error), _status_of(error), _code_of(error)
        where = f"s3://{self._name}"
        if isinstance(error, MaapError | OSError) and not isinstance(error, FileNotFoundError):
            return error
        if _ROLE.search(text):
            return StorageError("There are no credentials for S3", _SET_KEYS)
        if code in _KEY_CODES or status == 401:
            return StorageError(f"S3 refuses the credentials ({code or status})", _SET_KEYS)
        if code == "RequestTimeTooSkewed":
            return StorageError("S3 refuses the time of this machine", "Set its clock.")
        if status == 403:
            return StorageError(
                f"S3 does not let these credentials write to {where} ({code or status})",
                "Have s3:PutObject, s3:GetObject and s3:AbortMultipartUpload allowed for it.",
            )
        if code == "NoSuchBucket":
            return StorageError(
                f"There is no bucket {where}", "Create it, or check --out-dir and AWS_ENDPOINT_URL."
            )
        if status == 301 or code == "AuthorizationHeaderMalformed" or "redirect without LOCATION" in text:
            return StorageError(f"{where} is in another region", "Set AWS_REGION to its region.")
        says = f"{status} {code}".strip()
        if status is None:
            if "InvalidCertificate" in text or "invalid peer certificate" in text:
                return NetworkSetupError(
                    f"The certificate of {self._endpoint} is not trusted here",
                    "Set AWS_CA_BUNDLE or SSL_CERT_FILE to a file with the certificates of its authority.",
                )
            kind = re.search(r"kind: (Connect|Timeout|Interrupted|Request|Decode)\b", text)
            return FailedTry(f"S3 at {self._endpoint} does not answer ({kind[1] if kind else 'Unknown'})")
        if (status == 501 or (status < 429 and status not in (404, 408, 409))) and code not in _PASSING:
            return StorageError(
                f"S3 refuses what is asked of {where} ({says})", "Check AWS_ENDPOINT_URL and the bucket."
            )
        return FailedTry(f"S3 did not take it ({says})", status=status)


class _Source:
    """The bytes of a file on their way to S3, each piece compared with what was verified."""

    def __init__(self, descriptor: int, size: int, pieces: Sequence[str]) -> None:
        self._descriptor = descriptor
        self.size = size
        self._pieces = pieces
        self.is_given_up = False
        """Whether to fail at the next read."""

    def __iter__(self) -> Iterator[bytes]:
        for number, expected in enumerate(self._pieces):
            digest = hashlib.sha256()
            at, end = number * PIECE, min((number + 1) * PIECE, self.size)
            while at < end:
                if self.is_given_up:
                    raise Changed("cancelled")
                data = os.pread(self._descriptor, min(_SLICE, end - at), at)
                digest.update(data)
                at += len(data)
                # The end of a piece is handed on only when all of it is as it was verified.
                if not data or (at == end and digest.hexdigest() != expected):
                    raise Changed(f"bytes {number * PIECE} to {end} are not those that came")
                yield data


async def _in_thread(function: Callable[[], _Result]) -> _Result:
    """Call obstore in a thread of its own; cancelled, it is no longer waited for.

    Its coroutines end in threads that know nothing of Python's end, and abort a process that ends just then.
    Those of an executor would hold up the end of a process whose S3 stalls.
    """
    _demand_own_runtime()
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_Result] = loop.create_future()

    def settle(settling: Callable[[Any], None], value: Any) -> None:
        if not done.done():
            settling(value)

    def run() -> None:
        try:
            ending = partial(settle, done.set_result, function())
        except BaseException as error:
            ending = partial(settle, done.set_exception, error)
        with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits
            loop.call_soon_threadsafe(ending)

    threading.Thread(target=run, name="maap-s3", daemon=True).start()
    return await done


_used_by = 0
"""The process whose threads work for obstore; 0 for none yet."""


def _demand_own_runtime() -> None:
    global _used_by
    if _used_by not in (0, os.getpid()):
        # A fork has none of the threads that answer, and would wait for ever.
        raise InvalidRequestError(
            "S3 cannot be used in a process that was forked from one that used it",
            "Start such processes by spawn or forkserver.",
        )
    _used_by = os.getpid()


def _library() -> tuple[Any, Any]:
    try:
        import obstore
        from obstore.store import S3Store
    except ImportError as error:
        raise InvalidRequestError(
            f"s3:// needs a package that is not installed ({error.name})", "Run: pip install 'maap-tui[s3]'"
        ) from error
    return obstore, S3Store


def _status_of(error: Exception) -> int | None:
    found = re.search(r"status code: (\d{3})", str(error))
    return int(found[1]) if found else None


def _code_of(error: Exception) -> str:
    # No more of the body is ever shown: it repeats headers, the session token among them.
    found = re.search(r"<Code>(\w{1,60})</Code>", str(error))
    return found[1] if found else ""


def _endpoint_of(environ: Mapping[str, str]) -> str:
    for name in _ENDPOINTS:
        if value := environ.get(name, "").strip():
            try:
                parts = urlsplit(value)
                good = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.username
            except ValueError:
                good = False
            if not good:
                raise InvalidRequestError(
                    f"{name} is not the address of an S3 service",
                    "Set it to https://HOST or http://HOST:PORT.",
                )
            return value
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    return f"https://s3.{region}.amazonaws.com"


def _config_of(environ: Mapping[str, str]) -> dict[str, str]:
    config = {name.lower(): value for name in _HANDED_ON if (value := environ.get(name, "").strip())}
    if any(environ.get(name, "").strip() for name in _ENDPOINTS):
        config["aws_endpoint_url_s3"] = _endpoint_of(environ)
    return config


def _keys_of(environ: Mapping[str, str]) -> dict[str, str]:
    """The keys of a profile, where no variable says where credentials come from: obstore reads no profiles.

    Raises:
        StorageError: AWS_PROFILE names one without keys.
    """
    if any(environ.get(name) for name in _OTHER_CREDENTIALS):
        return {}
    import configparser

    home = environ.get("HOME") or os.path.expanduser("~")
    file = Path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or Path(home, ".aws", "credentials"))
    profile = environ.get("AWS_PROFILE") or "default"
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(file.read_text(encoding="utf-8"))
        section = parser[profile]
        keys = {
            "access_key_id": section["aws_access_key_id"],
            "secret_access_key": section["aws_secret_access_key"],
        }
    except (OSError, ValueError, KeyError, configparser.Error):
        if environ.get("AWS_PROFILE"):
            raise StorageError(f"{file} has no keys of the profile AWS_PROFILE names", _SET_KEYS) from None
        return {}
    if token := section.get("aws_session_token"):
        keys["session_token"] = token
    return keys


def _client_options(environ: Mapping[str, str], endpoint: str) -> dict[str, Any]:
    options: dict[str, Any] = {
        "timeout": timedelta(seconds=_REQUEST_S),
        "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT_S),
        "allow_http": endpoint.startswith("http:"),
    }
    proxies = proxies_of(environ)
    if proxies.by_scheme:
        proxy = proxies.of(endpoint)
        if proxy is None:
            # Without any, obstore would follow the variables by rules of its own.
            proxy = next(iter(proxies.by_scheme.values()))
            options["proxy_excludes"] = urlsplit(endpoint).hostname
        if proxy.is_socks and "proxy_excludes" not in options:
            raise NetworkSetupError(
                f"{proxy} is a SOCKS proxy, through which S3 cannot be reached", "Set one of the kind http."
            )
        user = f"{quote(proxy.user, safe='')}:{quote(proxy.password, safe='')}@" if proxy.user else ""
        scheme, _, rest = proxy.url.partition("://")
        options["proxy_url"] = f"{'http' if proxy.is_socks else scheme}://{user}{rest}"
    bundle = environ.get("AWS_CA_BUNDLE", "").strip()
    trust = Trust("AWS_CA_BUNDLE", bundle) if bundle else trust_of(environ)
    if ssl_context_of(trust) is not None:
        options["root_certificate"] = b"\n".join(_certificates(trust))
    return options


def _certificates(trust: Trust) -> Iterator[bytes]:
    for one in trust.path.split(os.pathsep) if trust.variable == "SSL_CERT_DIR" else [trust.path]:
        path = Path(one)
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            data = file.read_bytes()
            if b"-----BEGIN " in data:
                yield data
