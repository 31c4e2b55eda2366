"""The errors and their exit codes, under the names that maap-client's users import."""

from __future__ import annotations

from maap_tui.engine.errors import (
    EXIT_AUTH_FATAL,
    EXIT_NON_TRANSIENT,
    EXIT_OK,
    EXIT_TRANSIENT,
    AuthenticationError,
    AuthServiceUnavailable,
    BatchDownloadAborted,
    CatalogError,
    CredentialsError,
    DownloadError,
    InvalidRequestError,
    MaapError,
    causes_of,
    exit_code_of,
)

__all__ = [
    "EXIT_AUTH_FATAL",
    "EXIT_NON_TRANSIENT",
    "EXIT_OK",
    "EXIT_TRANSIENT",
    "AuthServiceUnavailable",
    "AuthenticationError",
    "BatchDownloadAborted",
    "CatalogError",
    "CredentialsError",
    "DownloadError",
    "InvalidRequestError",
    "MaapError",
    "classify_exit_code",
]


def classify_exit_code(exc: BaseException) -> int:
    """The exit code that an error means, as the commands end with it.

    An error of another library is judged by the HTTP status of its `response`, or of that of an error that
    led to it: 400 is a wrong request, 401 and 403 are dead credentials, the rest is transient.
    """
    code = exit_code_of(exc)
    if code is not None:
        return code
    statuses = (getattr(getattr(one, "response", None), "status_code", None) for one in causes_of(exc))
    status = next((one for one in statuses if one is not None), None)
    return {400: EXIT_NON_TRANSIENT, 401: EXIT_AUTH_FATAL, 403: EXIT_AUTH_FATAL}.get(
        status or 0, EXIT_TRANSIENT
    )
