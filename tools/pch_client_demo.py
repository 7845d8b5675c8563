#!/usr/bin/env python3
"""Shows the handshake step by step: the challenge, what is signed, the answer.

    python tools/pch_client_demo.py --url https://localhost:8443/protected --binding tls-exporter --insecure
    python tools/pch_client_demo.py --url https://localhost:8443/protected --alg ml-dsa-65 --insecure

Without --key it makes a key for --alg under .local/demo-keys and, where SIGNET_STACK or AWS_ENDPOINT_URL
say which stack, registers it there with the operator's AWS credentials of this shell.
Exit code: 0 answered well, 1 refused, 2 usage.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from pathlib import Path

from signet.core.client import Status
from signet.core.errors import UsageError
from signet.core.vocabulary import BINDING_TYPES, Role
from signet.crypto import suites
from signet.crypto.suites import PrivateKey
from signet_client.auth import PCHAuth, check_binding, read_key
from signet_client.cli.clients import build_entry, registry
from signet_client.cli.common import REFUSED, explain
from signet_client.cli.keygen import make_key
from signet_client.cli.report import Log, Report, Tls, send
from signet_client.messages import Answered, ChallengeTaken, Event, RequestSigned
from signet_client.stack import DEFAULT_STACK
from signet_client.terminal import say, say_block, say_malfunction

KEY_FOLDER = Path(".local/demo-keys")
_SHOWN_CHARS = 100


def main() -> int:
    """Run the demo; return the exit code."""
    arguments = _parse()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            line_buffering=True
        )  # in order with what goes to standard error, also in a pipe
    try:
        report = _demonstrate(arguments)
    except Exception as error:  # noqa: BLE001 - its traceback is shown, without what it quotes
        explained = explain(error)
        if explained is None:
            say_malfunction()
            return REFUSED
        sentence, code = explained
        say(f"pch_client_demo: {sentence}", err=True)
        return code
    if report.ok:
        say()
        say(f"The proof was accepted: {report.requests} requests, {report.elapsed_ms:.0f} ms.")
        return 0
    say(f"pch_client_demo: {report.sentence}", err=True)
    return REFUSED


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Shows the PCH-Lite handshake step by step.")
    parser.add_argument("--url", required=True, help="a protected URL")
    parser.add_argument("--binding", default="none", help=f"channel binding: {', '.join(BINDING_TYPES)}")
    parser.add_argument("--cert", type=Path, help="TLS client certificate, with tls-client-cert")
    parser.add_argument("--cert-key", type=Path, help="its private key, if it is in another file")
    parser.add_argument("--alg", help=f"suite (default ed25519): {', '.join(suites.NAMES)}")
    parser.add_argument("--key", type=Path, help="private key file; without it a demo key is made")
    parser.add_argument("--keyid", help="key id it is registered under; by default the key's own")
    parser.add_argument("--insecure", action="store_true", help="do not check the TLS certificate")
    return parser.parse_args()


def _demonstrate(arguments: argparse.Namespace) -> Report:
    check_binding(arguments.binding, arguments.cert)
    if arguments.key is None:
        key = _demo_key(arguments.alg or "ed25519")
    else:
        key = read_key(arguments.key, arguments.alg)
    keyid = arguments.keyid or key.key_id
    say(f"Key       {keyid} ({key.alg})")
    log = Log()

    def observe(event: Event) -> None:
        log.note(event)
        _narrate(event)

    auth = PCHAuth(key, keyid, binding=arguments.binding, certificate=arguments.cert, observer=observe)
    report = send(
        auth,
        log,
        method="GET",
        url=arguments.url,
        body=None,
        headers={},
        insecure=arguments.insecure,
        tls=Tls(arguments.binding, arguments.cert, arguments.cert_key),
    )
    say()
    say_block(f"Content   {report.response.text.strip() or '(none)'}")
    return report


def _demo_key(alg: str) -> PrivateKey:
    """Return the demo's own key for a suite, made on first use, registered if a stack is named."""
    if alg not in suites.NAMES:
        raise UsageError(f"there is no algorithm {alg!r}; use one of {', '.join(suites.NAMES)}")
    path = KEY_FOLDER / f"{alg}.pem"
    if path.exists():
        key = read_key(path, alg)
        say(f"Using the demo key {path}.")
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        key, _public = make_key(alg, path)
        say(f"Made a demo key: {path}.")
    public = path.with_name(path.name + ".pub")
    if os.environ.get("SIGNET_STACK") or os.environ.get("AWS_ENDPOINT_URL"):
        _register(public, key.key_id)
    else:
        say(f"It has to be registered by an operator once: signet clients add --key {public}")
    return key


def _register(public: Path, keyid: str) -> None:
    stack = os.environ.get("SIGNET_STACK") or DEFAULT_STACK
    clients = registry(stack)
    known = clients.get(keyid)
    if known is None:
        clients.put(build_entry(public, keyid=None, roles=[Role.CALLER], routes=[]))
        say(f"Registered it with the stack {stack}, using this shell's AWS credentials.")
    elif known.status is Status.REVOKED:
        raise UsageError(
            f"the demo key {public} was revoked; delete it and its private key to make a new one"
        )
    else:
        say(f"It is registered with the stack {stack}.")


def _narrate(event: Event) -> None:
    if isinstance(event, Answered):
        named = f", error={event.error}" if event.error else ""
        say()
        say(f"Answer    {event.status}{named}   ({event.url})")
    elif isinstance(event, ChallengeTaken):
        challenge = event.challenge
        say()
        say(f"Challenge from {event.url}")
        say(f"  nonce          {challenge.nonce}")
        say(f"  accepts        {' '.join(challenge.algs)}")
        say(f"  binding        {challenge.binding}")
        say(f"  header budget  {challenge.header_budget} bytes")
        if challenge.max_age is not None:
            say(f"  good for       {challenge.max_age} s")
        if challenge.components:
            say(f"  wants signed   {' '.join(challenge.components)}")
    elif isinstance(event, RequestSigned):
        _show_signature(event)
    else:
        say()
        say(f"Bundle    {event.size} bytes to {event.url}: {event.status}")


def _show_signature(event: RequestSigned) -> None:
    say()
    say(f"Signed    {event.request.method} {event.request.url}: this signature base (RFC 9421)")
    for line in event.signed.base.decode().splitlines():
        say(f"  {line}")
    say("          and these fields go along:")
    for name, value in event.signed.fields.items():
        shown = value if len(value) <= _SHOWN_CHARS else f"{value[:_SHOWN_CHARS]}… ({len(value)} bytes)"
        say(f"  {name}: {shown}")


if __name__ == "__main__":
    sys.exit(main())
