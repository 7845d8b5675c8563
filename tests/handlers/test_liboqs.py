"""liboqs is found before its wrapper is imported; what is missing is said in one sentence."""

from __future__ import annotations

import ctypes.util
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import authorizer_handler
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.bindings import _rust

from signet.aws import liboqs
from signet.aws.compose.handshake_settings import AuthorizerSettings
from signet.core.errors import UsageError
from signet.crypto import suites
from signet.crypto.mldsa_provider import CRYPTOGRAPHY
from tests.support.deployment import Deployment, context, deployed

WRAPPER = """
import logging, os
logger = logging.getLogger(__name__ + ".oqs")
logger.setLevel(logging.INFO)
logger.info("a greeting")
PREFIX_AT_IMPORT = os.environ["OQS_INSTALL_PATH"]
ASKED = []

class MechanismNotSupportedError(Exception): ...

class Signature:
    sig_with_ctx_support = {with_context}
    def __init__(self, algorithm):
        if algorithm not in {enabled}:
            raise MechanismNotSupportedError(algorithm)
    def verify_with_ctx_str(self, message, signature, context, public_key):
        ASKED.append(context)
        {call}
        return {answer} and message != b""
{then}
"""


class NoImport:
    """Fails the test when any code looks for the wrapper."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "oqs":
            raise AssertionError("the wrapper was looked up before the library was found")


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine without liboqs, even if this one has it; the path is its layer's prefix."""
    prefix = tmp_path / "opt"
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "oqs"}
    monkeypatch.setattr(liboqs, "_LAYER_PREFIX", str(prefix))
    monkeypatch.setattr(ctypes.util, "find_library", {}.get)
    # Set first, so that what the code itself sets is taken back too.
    monkeypatch.setenv("OQS_INSTALL_PATH", "")
    logger = logging.getLogger("oqs.oqs")
    was_disabled = logger.disabled
    yield prefix
    logger.disabled = was_disabled
    for name in [name for name in sys.modules if name.split(".")[0] == "oqs"]:
        del sys.modules[name]
    sys.modules.update(before)


def install_library(prefix: Path, folder: str = "lib") -> None:
    """Put a library there that loads; which one does not matter for finding it."""
    (prefix / folder).mkdir(parents=True)
    (prefix / folder / "liboqs.so").symlink_to(_rust.__file__)


def install_wrapper(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    answer: bool = True,
    enabled: tuple[str, ...] = ("ML-DSA-65",),
    with_context: bool = True,
    call: str = "",
    then: str = "",
) -> None:
    (folder / "oqs").mkdir(parents=True)
    text = WRAPPER.format(answer=answer, enabled=enabled, with_context=with_context, call=call, then=then)
    (folder / "oqs" / "__init__.py").write_text(text)
    monkeypatch.syspath_prepend(str(folder))


def test_without_the_library_the_wrapper_is_never_looked_at(machine: Path, monkeypatch) -> None:
    monkeypatch.setattr(sys, "meta_path", [NoImport(), *sys.meta_path])
    with pytest.raises(UsageError) as caught:
        liboqs.load_provider("liboqs")
    message = str(caught.value)
    assert f"{machine}/lib, {machine}/lib64" in message
    assert "OQS_INSTALL_PATH" in message
    assert "SIGNET_MLDSA_PROVIDER=cryptography" in message
    assert "oqs" not in sys.modules


def test_a_library_that_does_not_load_is_none(machine: Path, monkeypatch) -> None:
    monkeypatch.setattr(sys, "meta_path", [NoImport(), *sys.meta_path])
    (machine / "lib").mkdir(parents=True)
    (machine / "lib" / "liboqs.so").write_text("built for another processor")
    with pytest.raises(UsageError, match=r"no liboqs\.so that loads"):
        liboqs.load_provider("liboqs")


@pytest.mark.parametrize("folder", ["lib", "lib64"])
def test_a_layers_library_is_found(machine: Path, folder: str) -> None:
    install_library(machine, folder)
    assert liboqs.library_prefix({}) == str(machine)


def test_the_named_prefix_goes_before_the_layers(machine: Path, tmp_path: Path) -> None:
    install_library(machine)
    install_library(tmp_path / "own", "lib64")
    assert liboqs.library_prefix({"OQS_INSTALL_PATH": str(tmp_path / "own")}) == str(tmp_path / "own")
    assert liboqs.library_prefix({"OQS_INSTALL_PATH": str(tmp_path / "empty")}) == str(machine)


def test_the_system_linker_is_asked(machine: Path, monkeypatch) -> None:
    monkeypatch.setattr(ctypes.util, "find_library", {"oqs": _rust.__file__}.get)
    assert liboqs.library_prefix({}) == str(machine)
    monkeypatch.setattr(ctypes.util, "find_library", {"oqs": "liboqs-that-is-gone.so.9"}.get)
    with pytest.raises(UsageError):
        liboqs.library_prefix({})


def test_a_missing_wrapper_is_named(machine: Path, monkeypatch) -> None:
    install_library(machine)
    monkeypatch.setattr(liboqs.importlib.util, "find_spec", {}.get)
    with pytest.raises(UsageError, match="install liboqs-python"):
        liboqs.load_provider("liboqs")


@pytest.mark.parametrize(
    ("build", "reason"),
    [({"enabled": ()}, "built without it"), ({"with_context": False}, "without context strings")],
)
def test_a_liboqs_that_lacks_what_is_needed_is_refused(
    machine: Path, tmp_path: Path, monkeypatch, build, reason
) -> None:
    install_library(machine)
    install_wrapper(tmp_path / "python", monkeypatch, **build)
    with pytest.raises(UsageError, match=reason):
        liboqs.load_provider("liboqs")


# What ctypes says of a library without a function that it is asked for.
GONE = "import ctypes; ctypes.CDLL(None).OQS_SIG_verify_with_ctx_str"


@pytest.mark.parametrize(
    ("build", "error"),
    [
        ({"then": GONE}, "AttributeError: .*OQS_SIG_verify_with_ctx_str"),  # looked up as it is imported
        ({"call": GONE}, "AttributeError: .*OQS_SIG_verify_with_ctx_str"),  # looked up as it is called
        ({"then": "del Signature.verify_with_ctx_str"}, "AttributeError: .*verify_with_ctx_str"),
        ({"then": "del Signature"}, "AttributeError: .*Signature"),
        ({"then": "del MechanismNotSupportedError", "enabled": ()}, "NameError"),
        ({"then": "raise ImportError('half of it')"}, "ImportError: half of it"),
        ({"then": "raise RuntimeError('no')"}, "RuntimeError: no"),
        ({"then": "raise SystemExit('liboqs could not be installed')"}, "SystemExit: liboqs could not be"),
    ],
    ids=str,
)
def test_a_liboqs_that_does_not_fit_its_wrapper_is_said_in_the_promised_sentence(
    machine: Path, tmp_path: Path, monkeypatch, build, error
) -> None:
    install_library(machine)
    install_wrapper(tmp_path / "python", monkeypatch, **build)
    with pytest.raises(UsageError, match=f"does not fit its Python wrapper .{error}") as caught:
        liboqs.load_provider("liboqs")
    assert "install liboqs 0.12 or later, or set SIGNET_MLDSA_PROVIDER=cryptography" in str(caught.value)


def test_a_liboqs_that_takes_zeros_for_a_signature_is_refused(
    machine: Path, tmp_path: Path, monkeypatch
) -> None:
    install_library(machine)
    install_wrapper(tmp_path / "python", monkeypatch, call="return True")
    with pytest.raises(UsageError, match="signature of zeros"):
        liboqs.load_provider("liboqs")


def test_the_wrapper_is_told_where_and_does_not_log(
    machine: Path, tmp_path: Path, monkeypatch, caplog
) -> None:
    install_library(machine)
    install_wrapper(tmp_path / "python", monkeypatch)
    with caplog.at_level(logging.DEBUG):
        liboqs.load_provider("liboqs")
    assert str(machine) == sys.modules["oqs"].PREFIX_AT_IMPORT
    assert "greeting" not in caplog.text


def test_the_default_looks_for_nothing(monkeypatch) -> None:
    monkeypatch.setattr(liboqs, "library_prefix", None)
    assert liboqs.load_provider(liboqs.provider_name({})) is CRYPTOGRAPHY


# The setting


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    authorizer_handler._authorizer.cache_clear()
    with deployed(tmp_path / "deployment", monkeypatch) as made:
        yield made
    authorizer_handler._authorizer.cache_clear()
    suites.use_mldsa_provider(CRYPTOGRAPHY)


@pytest.mark.parametrize("value", ["", "openssl", "LIBOQS"])
def test_an_unknown_provider_is_refused(value: str) -> None:
    environment = {
        "SIGNET_AUTHORITIES": "default",
        "SIGNET_API_ID": "a1b2c3d4e5",
        "SIGNET_APIS_TABLE": "apis",
        "SIGNET_REALM": "signet",
        "SIGNET_NONCE_LIFETIME_S": "300",
        "SIGNET_HEADER_BUDGET": "8192",
        "SIGNET_HANDSHAKE_SECRET_ARN": "arn",
        "SIGNET_LOG_TABLE": "registers",
        "SIGNET_LOG_BUCKET": "log",
        "SIGNET_BUNDLES_TABLE": "bundles",
        "SIGNET_BREAKERS_TABLE": "breakers",
        "SIGNET_CLIENTS_TABLE": "clients",
        "SIGNET_NONCES_TABLE": "nonces",
        "SIGNET_OWN_URL": "https://{api_id}.execute-api.eu-central-1.amazonaws.com/prod",
        "SIGNET_RECEIPT_QUEUE_URL": "https://sqs.example/receipts",
    }
    assert AuthorizerSettings.from_environment(environment).mldsa_provider == "cryptography"
    with pytest.raises(UsageError, match=r"^SIGNET_MLDSA_PROVIDER is .* set it to cryptography or liboqs\.$"):
        AuthorizerSettings.from_environment(environment | {"SIGNET_MLDSA_PROVIDER": value})


def test_an_authorizer_without_the_chosen_library_answers_nothing(deployment, monkeypatch) -> None:
    monkeypatch.setenv("SIGNET_MLDSA_PROVIDER", "liboqs")
    with pytest.raises(UsageError, match=r"no liboqs\.so that loads"):
        authorizer_handler.handler(deployment.world.event(), context("authorizer"))


@pytest.mark.parametrize("answer", [True, False])
def test_the_authorizer_asks_the_chosen_library(
    deployment, machine: Path, tmp_path: Path, monkeypatch, answer
) -> None:
    install_library(machine)
    install_wrapper(tmp_path / "python", monkeypatch, answer=answer)
    monkeypatch.setenv("SIGNET_MLDSA_PROVIDER", "liboqs")
    authorizer_handler._authorizer()
    sys.modules["oqs"].ASKED.clear()  # it was tried once before it was taken
    suite = suites.get("ml-dsa-65")
    private = suite.generate()
    (verify,) = suite._loaded(private.public_key_bytes)
    if answer:
        verify(bytes(3309), b"message")  # the stand-in says yes to anything: it was asked, nothing else
    else:
        with pytest.raises(InvalidSignature):
            verify(private.sign(b"message"), b"message")
    assert sys.modules["oqs"].ASKED == [b""]
