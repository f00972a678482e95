"""Translates the exceptions of calls without an answer, from the SDK and its HTTP client, into mirrord's errors.

Owns the advice for connections, TLS and proxies. A write that may have been sent and has no answer is OutcomeUnknown.
"""

import os
import ssl
import sys
from typing import Any

from botocore import exceptions as sdk

from mirrord.errors import MirrordError, OutcomeUnknown, StoreDenied, StoreRefused, StoreUnavailable
from mirrord.s3.call import StoreCall
from mirrord.s3.http_errors import PlainHttpAtTls, UrlUnusable

_Classes = tuple[type[Exception], ...]
_CONNECTION: _Classes = (sdk.ConnectionError, sdk.HTTPClientError, TimeoutError)
"""The classes for a failed connection, without those of the SDK's HTTP client."""
_DENIED = (
    sdk.NoCredentialsError,
    sdk.PartialCredentialsError,
    sdk.ProfileNotFound,
    sdk.NoAuthTokenError,
    sdk.SSOError,
)
_NEVER_SENT = (sdk.ConnectTimeoutError, sdk.ProxyConnectionError)
_UNKNOWN_AUTHORITY = frozenset({18, 19, 20, 21})
"""Codes of OpenSSL's verification: self-signed, or signed by an authority that is not trusted."""
_OUT_OF_DATE = frozenset({9, 10})
_OTHER_NAME = frozenset({62, 64})
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST"})
"""OpenSSL's reasons if the bytes received are not TLS."""

_CUT_HANDSHAKE = "no TLS: the connection was closed within the handshake; if the port speaks no TLS, write http://"


def from_transport(call: StoreCall, error: Exception) -> MirrordError:
    """The error of a call without an answer."""
    if isinstance(error, _DENIED):
        return StoreDenied(call.message(f"{error}; set the store's credentials or those of the AWS chain"))
    if isinstance(error, PlainHttpAtTls):
        return StoreRefused(call.message("the port speaks TLS; write https:// in endpoint_url"))
    if isinstance(error, sdk.SSLError):
        return _from_tls(call, error)
    if isinstance(error, _of_parser()):
        return no_answer(call, f"the answer is not S3: {error}", answered=True)
    if isinstance(error, sdk.CredentialRetrievalError):
        return StoreUnavailable(call.message(str(error)))
    if isinstance(error, UrlUnusable):
        return StoreRefused(call.message(str(error)))
    if isinstance(error, (*_CONNECTION, *_of_http_client())):
        reason = _description(error)
        return StoreUnavailable(call.message(reason)) if _never_sent(error) else no_answer(call, reason)
    return StoreRefused(call.message(str(error)))


def is_unanswered(error: Exception) -> bool:
    """Whether a call that raised `error` got no answer, or one that is not S3."""
    return isinstance(error, (sdk.BotoCoreError, *_CONNECTION, *_of_parser(), *_of_http_client()))


def _of_parser() -> _Classes:
    if not _sdk_is_imported():
        return ()
    from botocore.parsers import ResponseParserError

    return (ResponseParserError,)


def _of_http_client() -> _Classes:
    """aiobotocore adds the classes of its HTTP client to botocore's table."""
    if not _sdk_is_imported():
        return ()
    from botocore.retryhandler import EXCEPTION_MAP

    return tuple(EXCEPTION_MAP["GENERAL_CONNECTION_ERROR"])


def _sdk_is_imported() -> bool:
    """Only then can its errors occur: an error of our own client does not import it."""
    return "aiobotocore.endpoint" in sys.modules


def no_answer(call: StoreCall, reason: str, *, answered: bool = False) -> MirrordError:
    """The error of a call without a usable answer. `answered`: the store sent bytes, but no S3 answer."""
    return (OutcomeUnknown if call.write else StoreUnavailable)(call.message(reason), answered=answered)


def is_rejected_certificate(error: BaseException) -> bool:
    """Whether the verification of the store's certificate failed. With other authorities it may succeed."""
    return isinstance(error, sdk.SSLError) and isinstance(_ssl_cause(error), ssl.SSLCertVerificationError)


def _from_tls(call: StoreCall, error: Exception) -> MirrordError:
    cause = _ssl_cause(error)
    if isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return StoreUnavailable(call.message(_CUT_HANDSHAKE))
    if isinstance(cause, ssl.SSLCertVerificationError):
        return StoreRefused(call.message(f"no TLS: {_verification_reason(cause)}"))
    reason = getattr(cause, "reason", None)
    if reason in _NO_TLS:
        return StoreRefused(call.message("the port speaks no TLS; write http:// in endpoint_url"))
    return StoreRefused(call.message(f"no TLS: {reason or _cause(error)}"))


def _verification_reason(cause: ssl.SSLCertVerificationError) -> str:
    reason, code = getattr(cause, "verify_message", "") or str(cause), getattr(cause, "verify_code", 0)
    advice = _certificate_advice(code)
    return f"{reason}; {advice}" if advice else reason


def _certificate_advice(code: int) -> str | None:
    if code in _UNKNOWN_AUTHORITY:
        return "set ca_file if the store's certificate is private"
    if code in _OUT_OF_DATE:
        return "renew the store's certificate, or set this machine's clock"
    if code in _OTHER_NAME:
        return "write a name of the store's certificate in endpoint_url"
    return None


def _ssl_cause(error: Exception) -> object:
    inner = _inner(error)
    return getattr(inner, "certificate_error", None) or getattr(inner, "os_error", None) or inner


def _description(error: Exception) -> str:
    if isinstance(error, sdk.ProxyConnectionError):
        status = getattr(_inner(error), "status", None)
        return f"the proxy answered {status} to CONNECT" if status else f"the proxy does not answer: {_cause(error)}"
    if isinstance(getattr(_inner(error), "os_error", None), ConnectionResetError) and _is_https(error):
        return _CUT_HANDSHAKE
    return f"the connection failed: {_cause(error)}"


def _is_https(error: Exception) -> bool:
    return str(getattr(error, "kwargs", {}).get("endpoint_url", "")).startswith("https:")


def _never_sent(error: Exception) -> bool:
    """Whether no connection was opened. Of the HTTP client's errors, only those of its connector have `os_error`."""
    return isinstance(error, _NEVER_SENT) or hasattr(_inner(error), "os_error")


def _inner(error: Exception) -> Any:
    kwargs = getattr(error, "kwargs", {})
    return (kwargs.get("error") or error) if isinstance(kwargs, dict) else error


def _cause(error: Exception) -> str:
    inner = _inner(error)
    failed = getattr(inner, "os_error", None)
    if isinstance(failed, OSError) and failed.errno and not isinstance(failed, ssl.SSLError):
        reason = os.strerror(failed.errno) if failed.errno > 0 else failed.strerror
        return f"{getattr(inner, 'host', '')}:{getattr(inner, 'port', '')}: {reason}"
    return str(inner) or type(inner).__name__
