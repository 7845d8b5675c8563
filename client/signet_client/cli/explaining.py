"""One sentence for each error: what happened, and what to do next. The only place that knows them all.

Errors of our own are sentences already. Those of the system and of the HTTP libraries are told apart by
class; what is none of them is a malfunction, and keeps its traceback.
"""

from __future__ import annotations

import errno
import sys
from ipaddress import ip_address
from typing import Any, Final

from typer.exceptions import TyperException

from signet.core.errors import (
    CanonicalError,
    KeyFileError,
    NotFoundError,
    PolicyError,
    SignetError,
    UnavailableError,
    UsageError,
)

REFUSED = 1
USAGE = 2

_USAGE_ERRORS = (UsageError, KeyFileError, NotFoundError, UnavailableError, CanonicalError, PolicyError)
#: Codes of what answers otherwise than Signet (``signet_client.finding``), or not at all.
NO_CHALLENGE: Final = "no_challenge"
NO_ANSWER: Final = "no_answer"
#: Verdicts among the errors: a push refuses what a check finds, and ends as the check does.
_VERDICTS: Final = frozenset({"policy_findings", NO_CHALLENGE, NO_ANSWER})
_EXAMPLE: Final = "https://api.example.com/protected"
_NOISE: Final = "Value error, "  # how typer begins what an enumeration's own check says
#: What only writing meets. Files name themselves (``signet_client.files``): without a name it is an output.
_WRITE_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def explain(error: Exception) -> tuple[str, int] | None:
    """Return the sentence and the exit code for an error, or None if it is a malfunction of our own."""
    if isinstance(error, SignetError):
        refused = error.code in _VERDICTS or not isinstance(error, _USAGE_ERRORS)
        return _sentence(error), REFUSED if refused else USAGE
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
        return _explain_system(error), USAGE
    if (
        isinstance(error, TyperException) and type(error).__name__ != "NoArgsIsHelpError"
    ):  # that one shows help
        said = _sentence(error.format_message()).replace(_NOISE, "").rstrip(".")
        return f"{said}; --help shows how", error.exit_code
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        # How Python keeps bytes that are no UTF-8 (PEP 383); of files' names they are fine.
        return "an argument or a variable of the environment holds bytes that are not UTF-8", USAGE
    sentence = _explain_network(error)
    return None if sentence is None else (sentence, USAGE)


def _explain_network(error: Exception) -> str | None:
    """Return the sentence for an error of the network's libraries, as far as they are loaded."""
    httpx = sys.modules.get("httpx")
    if httpx is not None and isinstance(error, httpx.InvalidURL):
        return f"this is no URL that can be called ({_sentence(error)}); give one such as {_EXAMPLE}"
    if httpx is not None and isinstance(error, httpx.HTTPError):
        return _explain_http(error)
    openssl = sys.modules.get("OpenSSL.SSL")
    if openssl is not None and isinstance(error, openssl.Error):
        return f"TLS failed: {_sentence(repr(error))}"
    return None


def _explain_system(error: OSError) -> str:
    name = error.filename
    if name is None and error.errno in _WRITE_ERRORS:
        name = "standard output"
    reason = error.strerror or (error.args[0] if len(error.args) == 1 else error)
    return _sentence(f"{name}: {reason}" if name else reason)


def _explain_http(error: Exception) -> str:
    request = getattr(error, "_request", None)
    kind, detail = type(error).__name__, _sentence(error)
    if request is not None and not request.url.host:
        return f"{str(request.url)!r} is not an http or https URL; give one such as {_EXAMPLE}"
    where = f"{request.url.scheme}://{request.url.netloc.decode()}" if request is not None else "the server"
    if "CERTIFICATE" in detail.upper():
        return f"the TLS certificate of {where} is not trusted: {detail} (--insecure for local tests)"
    if kind in {"ConnectError", "ProxyError"}:
        return _unconnected(where, detail, request, through_proxy=kind == "ProxyError")
    if kind.endswith("Timeout"):
        return f"{where} did not answer in time{_through(request)}; try again later"
    return f"the exchange with {where}{_through(request)} failed: {detail or kind}"


def _unconnected(where: str, detail: str, request: Any, *, through_proxy: bool) -> str:
    through = _through(request)
    if through or through_proxy:
        return f"cannot connect to {where}{through or ' through the proxy'}: {detail}; is it the right proxy?"
    advice = "is the stack running? (make up)" if _is_here(request) else "check the URL and the network"
    return f"cannot connect to {where}: {detail}; {advice}"


def _through(request: Any) -> str:
    """Return a phrase about the proxy a request goes through; without its URL, which may hold a password."""
    if request is None:
        return ""
    from signet_client.web import proxy_variable  # noqa: PLC0415 - with httpx, which has been loaded

    variable = proxy_variable(request.url)
    return f" through the proxy that {variable} names" if variable else ""


def _is_here(request: Any) -> bool:
    """Tell whether a request went to this machine."""
    try:
        return request is None or ip_address(request.url.host).is_loopback
    except ValueError:
        return bool(request.url.host == "localhost")


def _sentence(error: object) -> str:
    text = " ".join(str(error).split())
    if "Error([" not in text:
        return text
    from signet_client.tls import in_plain_words  # noqa: PLC0415 - seldom needed

    return in_plain_words(text)
