"""A TLS server on loopback, built on pyOpenSSL, that knows the exporter of each of its connections.

What arrives is decided on by a ``PchServer``; a signed request whose channel binding is not that of the
connection it came over is refused. Certificates are made by an authority of its own.
"""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import h11
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from signet.crypto.suites import PrivateKey
from tests.support.pch_server import PchServer, Seen, decide

_AUTHORITYS_USE = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


class Authority:
    """A certificate authority; ``file`` is what a client may trust."""

    def __init__(self, folder: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Test authority {id(self)}")])
        certificate = self._sign(self._name, self._key, x509.BasicConstraints(ca=True, path_length=0))
        self.file = folder / f"authority-{id(self)}.pem"
        self.file.write_bytes(certificate.public_bytes(Encoding.PEM))
        self._folder = folder

    def issue(self, *names: str) -> tuple[Path, Path]:
        """Write a certificate for host names or addresses, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        general = [
            x509.IPAddress(IPv4Address(name)) if name[0].isdigit() else x509.DNSName(name) for name in names
        ]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        certificate = self._sign(subject, key, x509.SubjectAlternativeName(general))
        paths = tuple(self._folder / f"{names[0]}-{id(key)}.{part}" for part in ("crt", "key"))
        paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
        paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return paths[0], paths[1]

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
        # RFC 5280 demands both identifiers and the authority's key usage, and Python from 3.13 on with it.
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(issuer, critical=False)
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = builder.add_extension(own, critical=False)
        critical = isinstance(extension, x509.BasicConstraints)
        if critical:
            builder = builder.add_extension(_AUTHORITYS_USE, critical=True)
        return builder.add_extension(extension, critical=critical).sign(self._key, hashes.SHA256())


class TlsServer:
    """Runs in threads; ``pch`` decides and remembers, ``exporters`` has one value per connection."""

    def __init__(
        self, keys: dict[str, PrivateKey], certificate: tuple[Path, Path], version: int = SSL.TLS1_3_VERSION
    ) -> None:
        self.pch = PchServer(keys)
        self.exporters: list[bytes] = []
        self.bound: list[int] = []
        self.server_names: list[bytes | None] = []
        self.protocols: list[bytes] = []
        self.refused: list[str] = []
        self.hang_up = ""
        self._context = SSL.Context(SSL.TLS_SERVER_METHOD)
        self._context.set_min_proto_version(version)
        self._context.set_max_proto_version(version)
        self._context.use_certificate_chain_file(str(certificate[0]))
        self._context.use_privatekey_file(str(certificate[1]))
        self._context.set_alpn_select_callback(self._select)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.pch.origin = f"https://localhost:{self.port}"
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()

    @property
    def url(self) -> str:
        return f"{self.pch.origin}/protected"

    def start(self) -> None:
        self._start(self._accept)

    def stop(self) -> None:
        self.drop_connections()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()
        self.pch.close()

    def drop_connections(self) -> None:
        """Hang up on every caller, without a word."""
        for sock in list(self._open):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _select(self, _connection: SSL.Connection, offered: list[bytes]) -> bytes:
        self.protocols.extend(offered)
        return b"http/1.1"

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._open.add(sock)
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        connection = SSL.Connection(self._context, sock)
        connection.set_accept_state()
        try:
            connection.do_handshake()
            self.server_names.append(connection.get_servername())
            number, exporter = len(self.exporters), b""
            if connection.get_protocol_version_name() == "TLSv1.3":
                exporter = connection.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
            self.exporters.append(exporter)
            self._converse(connection, number, exporter)
        except SSL.Error as error:
            self.refused.append(type(error).__name__)
        finally:
            self._open.discard(sock)
            sock.close()

    def _converse(self, connection: SSL.Connection, number: int, exporter: bytes) -> None:
        http = h11.Connection(h11.SERVER)
        while (seen := _receive(connection, http)) is not None:
            self.pch.seen.append(seen)
            status, fields, body = self._decide(seen, number, exporter)
            fields = {**fields, "Content-Length": str(len(body))}
            if self.hang_up == "announced":
                fields["Connection"] = "close"
            answer = h11.Response(status_code=status, headers=list(fields.items()))
            for event in (answer, h11.Data(data=body), h11.EndOfMessage()):
                connection.sendall(http.send(event) or b"")
            if self.hang_up:
                return
            http.start_next_cycle()

    def _decide(self, seen: Seen, number: int, exporter: bytes) -> tuple[int, dict[str, str], bytes]:
        if seen.signed:
            expected = f"tls-exporter=:{base64.b64encode(exporter).decode()}:"
            if seen.headers.get("pch-channel-binding") != expected:
                return 401, {"WWW-Authenticate": self.pch.challenge("binding_mismatch")}, b""
            self.bound.append(number)
        return decide(self.pch, seen)


def _receive(connection: SSL.Connection, http: h11.Connection) -> Seen | None:
    """Return the next request, or None when the peer has hung up."""
    request, body = None, b""
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            try:
                http.receive_data(connection.recv(65_536))
            except SSL.Error:
                return None
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage) and request is not None:
            headers = {name.decode(): value.decode() for name, value in request.headers}
            return Seen(request.method.decode(), request.target.decode(), headers, body)
        else:
            return None


@contextmanager
def serving(
    keys: dict[str, PrivateKey], certificate: tuple[Path, Path], version: int = SSL.TLS1_3_VERSION
) -> Iterator[TlsServer]:
    """Run a server that knows these keys."""
    server = TlsServer(keys, certificate, version)
    server.start()
    try:
        yield server
    finally:
        server.stop()
