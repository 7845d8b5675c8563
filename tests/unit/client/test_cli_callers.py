"""``signet callers``: public keys from their files, in one file that verifiers read."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from signet.crypto import suites
from signet.crypto.keyfiles import dump_public
from signet.pack.callers import parse_callers
from signet_client.cli import app

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, bytes]]:
    """A public key file of every suite, and the raw key."""
    folder = tmp_path_factory.mktemp("keys")
    found = {}
    for number, alg in enumerate(suites.NAMES):
        key = suites.get(alg).generate()
        path = folder / f"{number}.pub"
        path.write_bytes(dump_public(key))
        found[alg] = path, key.public_key_bytes
    return found


def test_keys_of_every_suite_are_put_together(keys: dict[str, tuple[Path, bytes]], tmp_path: Path) -> None:
    output = tmp_path / "callers.json"
    given = [f"caller={number}={path}" for number, (path, _raw) in enumerate(keys.values())]
    result = RUNNER.invoke(app, ["callers", "-o", str(output), *given])
    assert result.exit_code == 0, result.output
    found = parse_callers(output.read_bytes())
    assert {keyid: (key.alg, key.public_key) for keyid, key in found.items()} == {
        f"caller={number}": (alg, raw) for number, (alg, (_path, raw)) in enumerate(keys.items())
    }
    printed = RUNNER.invoke(app, ["callers", *given])
    assert printed.stdout_bytes == output.read_bytes()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["caller"], "KEYID=FILE"),
        (["=file"], "KEYID=FILE"),
        (["a b=file"], "KEYID=FILE"),
        (["caller="], "KEYID=FILE"),
        (["caller=/no/such/file"], "/no/such/file"),
        (["a={key}", "a={key}"], "twice"),
    ],
)
def test_what_names_no_key_is_refused(
    keys: dict[str, tuple[Path, bytes]], given: list[str], said: str
) -> None:
    path = keys["ed25519"][0]
    result = RUNNER.invoke(app, ["callers", *(text.format(key=path) for text in given)])
    assert (result.exit_code, said in result.stderr) == (2, True), result.output
