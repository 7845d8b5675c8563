"""TLS 1.3 through pyOpenSSL, whose connections tell their exporter (RFC 9266); the standard library's do not.

urllib3's wrapper does the reading and writing. What it leaves to its caller is done here: the host name
is checked, and a connection below TLS 1.3 is never used.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
from pathlib import Path
from typing import Any

import certifi
from OpenSSL import SSL
from urllib3.contrib.pyopenssl import PyOpenSSLContext, WrappedSocket
from urllib3.util.ssl_match_hostname import CertificateError, match_hostname

from signet.core.errors import UsageError
from signet_client.web import unusable_authorities

EXPORTER_LABEL = b"EXPORTER-Channel-Binding"
EXPORTER_BYTES = 32

# How pyOpenSSL's errors look inside of other errors' messages.
_ERROR_LIST = re.compile(r"(?:[A-Za-z]+)?Error\(\[.*?\]\)")
_REASON = re.compile(r"\('[^']*', '[^']*', '([^']*)'\)")


def make_context(*, verify: bool | str) -> Any:
    """Return a TLS 1.3 client context.

    Args:
        verify: True trusts certifi's authorities (or those in the file that ``SSL_CERT_FILE`` names), a
            path those in that file; False checks nothing and is for local tests only.

    Raises:
        UsageError: that file cannot be read, or holds no certificates.
    """
    context = PyOpenSSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["http/1.1"])
    if verify is False:
        context.verify_mode = ssl.CERT_NONE
        return context
    context.verify_mode = ssl.CERT_REQUIRED
    named = os.environ.get("SSL_CERT_FILE") if verify is True else None
    trusted = (named or certifi.where()) if verify is True else verify
    try:
        context.load_verify_locations(trusted)
    except (OSError, SSL.Error) as error:
        what = "SSL_CERT_FILE names" if named else "the authorities to trust are in"
        raise UsageError(unusable_authorities(Path(trusted), what)) from error
    return context


def start_tls(sock: socket.socket, context: Any, host: str) -> WrappedSocket:
    """Shake hands as a client; the certificate is for that host, unless the context checks nothing.

    Raises:
        ssl.SSLError: no TLS 1.3, or a certificate that is not trusted or not for that host.
        OSError: the connection broke or timed out.
    """
    try:
        wrapped: WrappedSocket = context.wrap_socket(sock, server_hostname=host)
    except ssl.SSLError as error:
        if isinstance(error.__cause__, SSL.Error):
            raise in_words(error.__cause__) from error
        raise
    if context.verify_mode == ssl.CERT_REQUIRED:
        check_host(wrapped, host)
    return wrapped


def in_words(error: SSL.Error) -> ssl.SSLError:
    """Return the standard library's error for one of pyOpenSSL's, its reasons in plain text."""
    held = error.args[0] if error.args else None
    reasons = "; ".join(entry[-1] for entry in held) if isinstance(held, list) else ""
    return ssl.SSLError(f"TLS failed: {reasons or repr(error)}")


def in_plain_words(text: str) -> str:
    """Return a text with OpenSSL's lists of (library, function, reason) in it replaced by their reasons."""
    return _ERROR_LIST.sub(
        lambda found: "; ".join(filter(None, _REASON.findall(found[0]))) or "TLS failed", text
    )


def check_host(wrapped: WrappedSocket, host: str) -> None:
    """Check that the server's certificate names the host.

    Raises:
        ssl.SSLCertVerificationError: it does not.
    """
    certificate: Any = wrapped.getpeercert()
    try:
        match_hostname(certificate, host.strip("[]"))
    except CertificateError as error:
        raise ssl.SSLCertVerificationError(f"CERTIFICATE_VERIFY_FAILED: {error}") from error


def exporter_of(sock: Any) -> bytes:
    """Return the tls-exporter binding of a connection (RFC 9266): 32 bytes.

    Raises:
        ssl.SSLError: this is no TLS 1.3 connection of pyOpenSSL.
    """
    if not isinstance(sock, WrappedSocket) or sock.version() != "TLSv1.3":
        raise ssl.SSLError("the connection is not TLS 1.3, so it has no exporter to bind to")
    exported: bytes = sock.connection.export_keying_material(EXPORTER_LABEL, EXPORTER_BYTES, b"")
    return exported
