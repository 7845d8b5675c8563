"""Makes the command's HTTP clients, and says what in the environment keeps one from being made.

Proxies and trusted certificates come from the environment, as everywhere (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY,
NO_PROXY, SSL_CERT_FILE). httpx reports a mistake in them as an ImportError, a ValueError, an InvalidURL or an
OSError without a name, none of which says which variable it is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from signet.core.errors import UsageError

_PROXIES: Final = ("http", "https", "all")
_BRACKETED: Final = re.compile(r"^\[([0-9A-Fa-f:.]+)\]$")
_SCHEMES: Final = frozenset({"http", "https", "socks5", "socks5h"})


def make_client(**options: Any) -> httpx.Client:
    """Return an HTTP client.

    Args:
        options: of ``httpx.Client``.

    Raises:
        UsageError: a variable of the environment names something that cannot be used.
    """
    with environment_explained():
        return httpx.Client(**options)


@contextmanager
def environment_explained() -> Iterator[None]:
    """Say which variable it is, if an HTTP client or a transport cannot be made for one.

    Raises:
        UsageError: there is one.
    """
    try:
        with _readable_no_proxy():
            yield
    except (ImportError, ValueError, OSError, httpx.InvalidURL) as error:
        reason = _wrong_proxy() or _wrong_authorities(error)
        if reason is None:
            raise
        raise UsageError(reason) from error


def proxy_variable(url: httpx.URL) -> str | None:
    """Return the variable that names the proxy for a URL, or None if it is called without one."""
    found = getproxies()
    if proxy_bypass(url.host):
        return None
    scheme = next((scheme for scheme in (url.scheme, "all") if found.get(scheme)), None)
    return None if scheme is None else _variable(scheme)


def _variable(scheme: str) -> str:
    lower = f"{scheme}_proxy"
    return lower if os.environ.get(lower) else lower.upper()


@contextmanager
def _readable_no_proxy() -> Iterator[None]:
    """Hide from httpx what of NO_PROXY it stumbles over: IPv6 networks, and brackets around addresses.

    It takes networks for hosts (github.com/encode/httpx/issues/3221); nothing is lost, it knows none.
    """
    kept = {name: value for name in ("no_proxy", "NO_PROXY") if (value := os.environ.get(name))}
    try:
        for name, value in kept.items():
            entries = [entry.strip() for entry in value.split(",")]
            hosts = [entry for entry in entries if not (entry.count(":") > 1 and "/" in entry)]
            os.environ[name] = ",".join(_BRACKETED.sub(r"\1", host) for host in hosts)
        yield
    finally:
        os.environ.update(kept)


def _wrong_proxy() -> str | None:
    found = getproxies()
    for scheme in _PROXIES:
        # Never quoted: it may hold a password.
        if not (value := found.get(scheme)):
            continue
        variable = _variable(scheme)
        try:
            parts = urlsplit(value if "://" in value else f"http://{value}")
            kind, _ = parts.scheme, parts.port
            httpx.URL(value if "://" in value else f"http://{value}")
        except (ValueError, httpx.InvalidURL):
            return f"{variable} does not hold the URL of a proxy; correct it, or unset it"
        if kind not in _SCHEMES:
            return (
                f"{variable} names a proxy of the kind {kind}://, which cannot be used; give an http:// one"
            )
        if kind.startswith("socks") and find_spec("socksio") is None:
            return (
                f"{variable} names a SOCKS proxy, for which a package is missing: "
                "pip install 'httpx[socks]', or unset it"
            )
    name = next((name for name in ("no_proxy", "NO_PROXY") if os.environ.get(name)), None)
    return _wrong_no_proxy(name) if name else None


def _wrong_no_proxy(name: str) -> str | None:
    for entry in os.environ[name].split(","):
        host = entry.strip().lstrip(".*")
        bare = host.count(":") > 1 and "[" not in host  # an IPv6 address
        try:
            httpx.URL(host if "://" in host else f"all://[{host}]" if bare else f"all://{host}")
        except httpx.InvalidURL:
            if not (bare and "/" in host):
                return f"{name} holds {entry.strip()!r}, which is no host; correct it"
    return None


def _wrong_authorities(error: Exception) -> str | None:
    path = os.environ.get("SSL_CERT_FILE")
    if not path or not isinstance(error, OSError):
        return None
    return unusable_authorities(Path(path), "SSL_CERT_FILE names")


def unusable_authorities(path: Path, what: str) -> str:
    """Return a sentence about a file with trusted certificates that cannot be used."""
    try:
        path.read_bytes()
    except OSError as error:
        return f"{what} {path}, which cannot be read: {error.strerror or error}"
    return f"{what} {path}, which holds no certificates in PEM"
