"""Every error a user can meet, each with a sentence that says what happened and a hint that says what to do.

* MaapError
  + InvalidRequestError        the request is wrong; the same call will never work
    - SettingsError            a setting or the configuration file is wrong
    - NoCollectionError        the archive has no collection of that name
    - NoNamesError             a collection lists no product types and baselines
    - NetworkSetupError        proxy, certificates or TLS stand in the way until somebody changes them
  + CredentialsError           credentials missing, unreadable, malformed or expired
  + AuthenticationError        the token service refused the offline token
    - AuthServiceUnavailable   the token service did not answer; the token may be fine
    - ClientRefusedError       it refused CLIENT_ID and CLIENT_SECRET; a new token does not help
    - TokenRequestError        it takes no such request, as where the address is wrong
  + CatalogError               the catalogue did not answer, or answered what cannot be read
    - BuiltCatalogMissing      no built catalogue here yet (also a FileNotFoundError)
  + DownloadError              one file could not be downloaded
    - BatchDownloadAborted     too many files in a row could not be downloaded
  + NothingInsideError         no point of a data file is inside of what was to be cut from it
  + RegistryError              the registry could not be read or written
  + LockedError                another process holds what is needed
    - NoLockError              the file system gives no lock just now
  + StorageError               a file or folder could not be written
    - UnreadableError          a file or folder of the registry cannot be read
    - DiskFullError            no space is left
    - S3Unavailable            S3 did not answer, or has no time for more
  + NoMemoryError              this process may not have more memory, or threads
"""

from __future__ import annotations

import errno
from collections.abc import Collection, Iterator
from pathlib import Path

from maap_tui.text import sentences

TOKEN_PAGE = "https://portal.maap.eo.esa.int/ini/services/auth/token/90dToken.php"
"""Where a new 90-day offline token is issued (docs/service.md, Tokens)."""


class MaapError(Exception):
    """Base of all errors raised on purpose."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        """What happened, one sentence."""
        self.hint = hint
        """What to do about it; empty when the message says it already."""

    @property
    def sentences(self) -> str:
        """What happened and what to do about it, as running text."""
        return sentences(self.message, self.hint)


class InvalidRequestError(MaapError, ValueError):
    """The request itself is wrong; trying again will not help."""


class SettingsError(InvalidRequestError):
    """A setting or the configuration file is wrong; the message names file and line."""


class NoCollectionError(InvalidRequestError):
    """The archive has no collection of that name."""


class NetworkSetupError(InvalidRequestError):
    """What lies between this machine and the archive refuses for good: a proxy, a certificate, TLS.

    Asking again will not help, and no other request over the same way fares better.
    """


class CredentialsError(MaapError):
    """Credentials are missing, unreadable, malformed or expired."""


class AuthenticationError(MaapError):
    """The token service refused the offline token; but for the kinds below, a new one is needed."""


class AuthServiceUnavailable(AuthenticationError):
    """The token service did not answer or has an error of its own; the offline token may be fine."""


class ClientRefusedError(AuthenticationError):
    """The token service refused CLIENT_ID and CLIENT_SECRET; a new offline token does not help."""


class TokenRequestError(AuthenticationError):
    """The token service takes no such request: its address or the service is not the one meant."""


class NoNamesError(InvalidRequestError):
    """A collection lists no product types and baselines that could be taken for all of it."""


class CatalogError(MaapError):
    """The catalogue could not be reached, or sent what cannot be read."""


class ClusterLostError(CatalogError):
    """The scheduler of the cluster that fetches is gone; no other file will fare better."""


class BuiltCatalogMissing(CatalogError, FileNotFoundError):
    """No built catalogue of that collection on this machine yet."""

    def __str__(self) -> str:
        return self.message


class DownloadError(MaapError):
    """One file could not be downloaded.

    `url` is the file asked for, `status_code` the HTTP status or None, `permanent` whether
    asking again cannot help (404, a name outside the rules).
    """

    def __init__(
        self,
        url: str,
        message: str,
        status_code: int | None = None,
        *,
        permanent: bool = False,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint)
        self.url = url
        self.status_code = status_code
        self.permanent = permanent

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.url, self.message, self.status_code), self.__dict__


class BatchDownloadAborted(DownloadError):
    """More files in a row failed than the caller allowed; `last_error` is that of the last one."""

    def __init__(self, downloaded: int, failed: int, last_error: DownloadError) -> None:
        super().__init__(
            last_error.url,
            f"{failed} files in a row failed; the last one: {last_error.message}",
            last_error.status_code,
            hint="Run the same command again later.",
        )
        self.downloaded = downloaded
        """Files that were downloaded before."""
        self.failed = failed
        """Files that failed in a row."""
        self.last_error = last_error

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.downloaded, self.failed, self.last_error)


class NothingInsideError(MaapError):
    """No point of a data file is inside of what was to be cut from it; nothing was written."""


class RegistryError(MaapError):
    """The registry could not be read or written."""


class LockedError(MaapError):
    """Another process holds the lock; the message names it."""


class NoLockError(LockedError):
    """The file system gives no lock just now; nothing was written."""


class StorageError(MaapError):
    """A file or folder cannot be written; the message names the path."""


class UnreadableError(StorageError):
    """A file or folder of the registry is there and cannot be read; what does not depend on it goes on."""

    def __init__(self, path: Path, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.path = path
        """What cannot be read."""

    @property
    def reason(self) -> str:
        """Why, without the path."""
        return self.message.removeprefix(f"Cannot use {self.path}: ")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.path, self.message, self.hint)


class DiskFullError(StorageError):
    """No space is left on the device or in the quota."""


class S3Unavailable(StorageError):
    """S3 did not answer, or has no time for more, however often it was asked."""


class NoMemoryError(MaapError):
    """This process may not have more memory, or no further thread."""

    def __init__(self) -> None:
        super().__init__(
            "There is not enough memory",
            "Raise its limit (ulimit -v, or the memory of the job), or lower downloads.parallel.",
        )


def causes_of(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and all that led to it, each once: what is in a group may name the group itself."""
    waiting, seen = [error], set()
    while waiting:
        one = waiting.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        more = one.exceptions if isinstance(one, BaseExceptionGroup) else ()
        waiting += [*more, one.__cause__, one.__context__]


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, is that there is too little memory, or none for a thread."""
    return any(map(_is_of_memory, causes_of(error)))


def _is_of_memory(error: BaseException) -> bool:
    match error:
        case MemoryError() | NoMemoryError():
            return True
        case OSError():
            return error.errno == errno.ENOMEM
        case RuntimeError():
            return "start new thread" in str(error)
        case ImportError():
            return "failed to map segment" in str(error)
    return False


def needs_new_token(error: BaseException) -> bool:
    """Whether signing in with another offline token can help."""
    is_other = isinstance(error, AuthServiceUnavailable | ClientRefusedError | TokenRequestError)
    return isinstance(error, AuthenticationError | CredentialsError) and not is_other


EXIT_OK, EXIT_AUTH_FATAL, EXIT_TRANSIENT, EXIT_NON_TRANSIENT = 0, 2, 3, 4
"""Done; credentials dead or missing; transient or partial, run it again; the request is wrong."""
EXIT_BUG = 1
"""An error of the program itself."""


def worst_code(codes: Collection[int]) -> int:
    """The exit code of several things that went wrong; 0 for none.

    What needs a person goes before what a later run may fix, and that before what it cannot.
    """
    return next(
        (code for code in (EXIT_AUTH_FATAL, EXIT_TRANSIENT, EXIT_NON_TRANSIENT, EXIT_BUG) if code in codes),
        EXIT_OK,
    )


def exit_code_of(error: BaseException) -> int | None:
    """The exit code that an error means to a wrapper; None for what is not raised on purpose."""
    if isinstance(error, AuthServiceUnavailable):
        return EXIT_TRANSIENT
    if isinstance(error, TokenRequestError):
        return EXIT_NON_TRANSIENT
    if isinstance(error, CredentialsError | AuthenticationError):
        return EXIT_AUTH_FATAL
    if isinstance(error, DownloadError):
        return EXIT_NON_TRANSIENT if error.permanent else EXIT_TRANSIENT
    if isinstance(error, DiskFullError | S3Unavailable):
        return EXIT_TRANSIENT
    if isinstance(
        error,
        BuiltCatalogMissing
        | InvalidRequestError
        | NoMemoryError
        | NothingInsideError
        | StorageError
        | RegistryError,
    ):
        return EXIT_NON_TRANSIENT
    if isinstance(error, MaapError):
        return EXIT_TRANSIENT
    return EXIT_NON_TRANSIENT if is_out_of_memory(error) else None
