"""With any environment, command line and disk: one sentence that names it, and no traceback."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from OpenSSL import SSL

from signet.crypto import keyfiles, suites
from signet_client import web
from signet_client.cli import explaining
from signet_client.stack import aws
from signet_client.tls import in_plain_words
from tests.support.commands import Commands, commands
from tests.support.forgery import unzip
from tests.support.packs import log_with_days
from tests.support.pch_server import PchServer, running

KEY = suites.get("ed25519").generate()
NOWHERE = "http://127.0.0.1:9"
URL = f"{NOWHERE}/protected"
#: No bytecode: a disk that is full for the command would leave half of it behind.
QUIET = {"AWS_EC2_METADATA_DISABLED": "true", "PYTHONDONTWRITEBYTECODE": "1"}
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    path.write_bytes(keyfiles.dump_private(KEY))
    return path


@pytest.fixture
def server() -> Iterator[PchServer]:
    with running({KEY.key_id: KEY}) as running_server:
        yield running_server


def _signet(
    *arguments: object, stdout: Any = subprocess.PIPE, more: dict[str, Any] | None = None, **env: str
):
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "signet_client.cli",
            *(a if isinstance(a, bytes) else str(a) for a in arguments),
        ],
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **QUIET, **env},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
        **(more or {}),
    )


@pytest.fixture(scope="module")
def ready() -> Iterator[Commands]:
    with commands() as started:
        yield started


def _sentence(done: subprocess.CompletedProcess[bytes], code: int = 2) -> str:
    said = done.stderr.decode()
    assert "Traceback" not in said
    assert done.returncode == code, said
    lines = said.strip().splitlines()
    assert len(lines) == 1, lines
    assert "Error([" not in said
    return lines[0]


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without proxies and authorities of its own."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:9", "ALL_PROXY names a SOCKS proxy"),
        ("http_proxy", "ftp://u:secret@127.0.0.1:9", "http_proxy names a proxy of the kind ftp://"),
        ("https_proxy", "http://[::1", "https_proxy does not hold the URL of a proxy"),
        ("HTTPS_PROXY", "http://u:secret@h:x", "HTTPS_PROXY does not hold the URL of a proxy"),
        ("NO_PROXY", "localhost,a:b:c", "NO_PROXY holds 'a:b:c', which is no host"),
        (
            "SSL_CERT_FILE",
            "/nowhere.pem",
            "SSL_CERT_FILE names /nowhere.pem, which cannot be read: No such file",
        ),
        ("SSL_CERT_FILE", __file__, "which holds no certificates in PEM"),
        ("SSL_CERT_FILE", "/", "SSL_CERT_FILE names /, which cannot be read: Is a directory"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(
    bare: pytest.MonkeyPatch, variable: str, value: str, said: str
):
    if variable == "ALL_PROXY":
        bare.setattr(web, "find_spec", lambda _name: None)
    bare.setenv(variable, value)
    with pytest.raises(web.UsageError) as caught:
        web.make_client()
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "value", ["fe80::/10", "localhost,fd07:b51a:cc66::/64,10.0.0.0/8", "::1,[::1]", "*", ".a.b"]
)
def test_networks_and_brackets_in_no_proxy_are_no_mistake(bare: pytest.MonkeyPatch, value: str):
    bare.setenv("NO_PROXY", value)
    bare.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    web.make_client().close()
    assert os.environ["NO_PROXY"] == value


def test_a_malfunction_is_not_blamed_on_the_environment(bare: pytest.MonkeyPatch):
    with pytest.raises(ValueError, match="own"), web.environment_explained():
        raise ValueError("own")


def _calls(key: Path) -> list[tuple[tuple[object, ...], dict[str, str], str]]:
    call, to = ("call", "--key", key), ("call", URL, "--key", key)
    exporter = ("call", "https://127.0.0.1:9/x", "--key", key, "--binding", "tls-exporter")
    return [
        (to, {"ALL_PROXY": "ftp://x"}, "ALL_PROXY names a proxy of the kind ftp://"),
        (("keys", "list", "--url", NOWHERE), {"ALL_PROXY": "ftp://x"}, "ALL_PROXY names a proxy"),
        (to, {"NO_PROXY": "fe80::/10"}, "cannot connect to http://127.0.0.1:9"),
        (("audit", "http://localhost/"), {"SSL_CERT_FILE": "/nowhere"}, "SSL_CERT_FILE names /nowhere"),
        (exporter, {"SSL_CERT_FILE": "/nowhere"}, "SSL_CERT_FILE names /nowhere, which cannot be read"),
        (exporter, {"SSL_CERT_FILE": str(key)}, "which holds no certificates in PEM"),
        ((*call, b"http://localhost:9/\xff"), {}, "bytes that are not UTF-8"),
        ((*call, b"http://localhost:9/?a=\xff"), {}, "bytes that are not UTF-8"),
        ((*call, b"http://\xff/"), {}, "no URL that can be called"),
        ((*call, "http://localhost:99999/"), {}, "is not a URL"),
        (
            (*call, "http://[::1]:9/x"),
            {},
            "[::1]:9 is an IPv6 address, which cannot be signed as an authority; use",
        ),
        ((*call, "protected"), {}, "'protected' is neither a URL with http:// or https:// nor a path"),
        (
            ("clients", "add", "--key", "x", "--role", "admin"),
            {},
            "x: No such file or directory",
        ),
        ((*to, "-X", "GÄT"), {}, "'GÄT' is no method"),
        ((*to, "-X", "G T"), {}, "'G T' is no method"),
        ((*to, "-X", ""), {}, "'' is no method"),
        ((*to, "-H", "a b: c"), {}, "'a b' cannot be given as a header field"),
        ((*to, "-H", "Content-Length: 5"), {}, "'Content-Length' cannot be given"),
        (("keys", "list", "--url", "nonsense"), {}, "nonsense/pch/keys' is not an http or https URL"),
        (("keys", "list", "--url", b"http://\xff"), {}, "no URL that can be called"),
        (("audit", "http://[::1"), {}, "no URL that can be called"),
        (("close", "--stack", b"\xff"), {"AWS_ENDPOINT_URL": NOWHERE}, "bytes that are not UTF-8"),
        (("close",), {"AWS_ENDPOINT_URL": NOWHERE, "http_proxy": "ftp://x"}, "the proxy that HTTP_PROXY"),
        (
            ("close",),
            {"AWS_ENDPOINT_URL": NOWHERE, "AWS_CA_BUNDLE": "/nowhere"},
            "AWS_CA_BUNDLE names /nowhere",
        ),
    ]


def test_each_mistake_has_its_own_sentence(ready: Commands, key: Path):
    for arguments, environment, said in _calls(key):
        code = 1 if said.startswith("cannot connect") else 2  # of an API that does not answer
        env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **QUIET, **environment}
        assert said in _sentence(ready.run(arguments, env), code), (arguments, environment)


@pytest.mark.parametrize("number", [0, 7, 23])  # of the environment, of bytes, of AWS
def test_a_process_of_its_own_says_the_same(ready: Commands, key: Path, number: int):
    arguments, environment, _said = _calls(key)[number]
    env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **QUIET, **environment}
    own, forked = _signet(*arguments, **environment), ready.run(arguments, env)
    assert (own.returncode, own.stdout, own.stderr) == (forked.returncode, forked.stdout, forked.stderr)


def test_a_proxy_that_does_not_answer_is_said_to_be_one(key: Path):
    proxied = {"http_proxy": "http://u:secret@127.0.0.1:9"}
    sentence = _sentence(_signet("call", "http://api.example/x", "--key", key, **proxied))
    assert "cannot connect to http://api.example through the proxy that http_proxy names" in sentence
    assert "secret" not in sentence


def test_data_goes_out_as_the_shell_gave_it(server: PchServer, key: Path):
    done = _signet("call", f"{server.origin}/protected", "--key", key, "-d", b"\xff\xfea")
    assert done.returncode == 0, done.stderr
    assert server.seen[-1].body == b"\xff\xfea"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["keygen", "-o", "{key}", "--json"]])
def test_an_output_that_is_full_is_named(tmp_path: Path, arguments: list[str]):
    with Path("/dev/full").open("wb") as full:
        done = _signet(*(part.format(key=tmp_path / "k.pem") for part in arguments), stdout=full)
    assert _sentence(done) == "signet: standard output: No space left on device"


def test_an_error_that_nobody_can_be_told_keeps_its_exit_code():
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "signet_client.cli", "verify", "/nowhere.zip"], stderr=full, check=False
        )
    assert done.returncode == 2


def _small_disk() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))  # what is written beyond fails: EFBIG


def test_a_full_disk_names_the_file(server: PchServer, key: Path, tmp_path: Path):
    pack = tmp_path / "pack.zip"
    pack.write_bytes(log_with_days(1).pack())
    receipt = json.loads(unzip(pack.read_bytes())["receipts.jsonl"].splitlines()[0])["id"]
    full = {"preexec_fn": _small_disk}
    target, proof = tmp_path / "new.pem", tmp_path / "proof.json"
    assert f"{target}: File too large" in _sentence(_signet("keygen", "-o", target, more=full))
    assert f"{proof}: File too large" in _sentence(_signet("prove", pack, receipt, "-o", proof, more=full))
    content = os.urandom(1000)
    server.behaviour.answers["/bucket/pack.zip"] = (200, {}, content)
    offer = f'{{"url": "{server.origin}/bucket/pack.zip", "sha256": "{"0" * 64}", "size": 1000}}'
    server.behaviour.behind["/compliance/pack"] = (200, {}, offer.encode())
    asked = ("pack", "--date", "2026-01-31", "-o", tmp_path / "day.zip", "--key", key, "--url", server.origin)
    sentence = _sentence(_signet(*asked, more=full))
    assert "day.zip" in sentence
    assert "File too large" in sentence


def test_an_interrupt_while_python_loads_the_command_is_one_sentence():
    """The signal comes at a place that is the same each time: when typer is about to be loaded."""
    program = f"""
import os, signal, sys
class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            os.kill(os.getpid(), {int(signal.SIGINT)})
sys.meta_path.insert(0, Interrupts())
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a shell began in the background
from signet_client.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", program, "--version"], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (130, b"signet: interrupted\n")


def test_loading_the_entry_point_loads_nothing_heavy():
    program = "import sys; import signet_client.cli; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout.decode()
    assert not {"typer", "httpx", "rich", "cryptography", "signet"} & set(loaded.split())


def _every_class(base: type[BaseException]) -> Iterator[type[BaseException]]:
    yield base
    for below in base.__subclasses__():
        yield from _every_class(below)


@pytest.mark.parametrize("kind", sorted({*_every_class(httpx.HTTPError)}, key=lambda kind: kind.__name__))
def test_every_error_of_httpx_is_a_sentence(kind: Any):
    request = httpx.Request("GET", "https://api.example/x")
    error = (
        kind("no\nway", request=request, response=httpx.Response(500, request=request))
        if kind is httpx.HTTPStatusError
        else kind("no\nway")
    )
    explained = explaining.explain(error)
    assert explained is not None
    assert explained[1] == 2
    assert "\n" not in explained[0]


def test_errors_of_openssl_are_words():
    tuples = [("SSL routines", "", "tlsv1 alert"), ("system library", "", "")]
    assert explaining.explain(SSL.Error(tuples)) == ("TLS failed: tlsv1 alert", 2)
    assert explaining.explain(OSError(f"read error: {SSL.Error(tuples)!r}")) == ("read error: tlsv1 alert", 2)
    assert in_plain_words("nothing") == "nothing"
    assert explaining.explain(SSL.Error([])) == ("TLS failed: TLS failed", 2)


def test_what_is_no_foreseeable_error_keeps_its_traceback():
    for error in (
        ValueError("x"),
        UnicodeEncodeError("ascii", "ä", 0, 1, "ordinal not in range"),
        KeyError("x"),
    ):
        assert explaining.explain(error) is None


@pytest.mark.parametrize("name", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_is_taken_from_either_variable(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for other in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv(name, "eu-south-2")
    assert aws("sqs").meta.region_name == "eu-south-2"
