"""``ExporterAdapter``: connections of requests whose TLS exporter can be signed.

    session = requests.Session()
    session.mount("https://", ExporterAdapter())
    session.get(url, auth=PCHAuth("me.pem", "me", binding="tls-exporter"))

urllib3 checks certificates and host names as ever (``verify`` of requests holds) and each of its
connections is asked for its own exporter right before a request goes out on it.
"""

from __future__ import annotations

import ssl
from contextvars import ContextVar
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPSConnectionPool
from urllib3.connection import HTTPSConnection
from urllib3.contrib.pyopenssl import PyOpenSSLContext

from signet_client.messages import PROVE, Prove
from signet_client.tls import exporter_of
from signet_client.wire import set_fields

#: The request that this thread is about to send.
_SENDING: ContextVar[requests.PreparedRequest | None] = ContextVar("signet_sending", default=None)


class ExporterAdapter(HTTPAdapter):
    """An adapter for ``requests.Session.mount``: TLS 1.3 only, without proxies."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """See ``HTTPAdapter``."""
        super().init_poolmanager(*args, **options)
        manager: Any = self.poolmanager
        manager.pool_classes_by_scheme = {**manager.pool_classes_by_scheme, "https": _Pool}

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        """See ``HTTPAdapter``."""
        token = _SENDING.set(request)
        try:
            return super().send(request, *args, **options)
        finally:
            _SENDING.reset(token)


class _Connection(HTTPSConnection):
    def connect(self) -> None:
        # A context per connection: urllib3 writes this connection's own verify settings into it.
        context: Any = PyOpenSSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.ssl_context = context
        super().connect()

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **options: Any) -> None:
        sending = _SENDING.get()
        prove: Prove | None = getattr(sending, PROVE, None)
        if sending is not None and prove is not None:
            if self.sock is None:
                self.connect()
            headers = sending.headers.copy()  # what requests keeps, and redirects, stays without the proof
            set_fields(headers, prove(sending.url or "", exporter_of(self.sock)))
        super().request(method, url, body=body, headers=headers, **options)


class _Pool(HTTPSConnectionPool):
    ConnectionCls = _Connection
