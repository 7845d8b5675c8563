"""``signet keygen``, and how the command reports what goes wrong."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from signet.crypto import keyfiles, suites
from signet_client.cli import app
from signet_client.cli.common import explain

RUNNER = CliRunner()


def _run(*arguments: object):
    return RUNNER.invoke(app, [str(argument) for argument in arguments])


def _refused(result, code: int = 2) -> str:
    """Check exit code and form of an error; return its sentence."""
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize("alg", suites.NAMES)
def test_keygen_writes_a_pair_that_belongs_together(tmp_path: Path, alg: str):
    path = tmp_path / "caller.pem"
    result = _run("keygen", "--alg", alg, "-o", path, "--json")
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    private = keyfiles.load_private(path.read_bytes(), alg)
    assert told["keyid"] == private.key_id
    assert keyfiles.load_public((tmp_path / "caller.pem.pub").read_bytes()) == (alg, private.public_key_bytes)


def test_private_key_is_for_its_owner_alone(tmp_path: Path):
    assert _run("keygen", "-o", tmp_path / "k").exit_code == 0
    assert stat.S_IMODE((tmp_path / "k").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "k.pub").stat().st_mode) == 0o644
    assert sorted(path.name for path in tmp_path.iterdir()) == ["k", "k.pub"]


def test_help_names_every_suite():
    told = "".join(_run("keygen", "--help").stdout.split())  # long names are broken at line ends
    assert all(alg in told for alg in suites.NAMES)


def test_keygen_needs_a_file_to_write(tmp_path: Path):
    assert "exists already" in _refused(_run("keygen", "-o", tmp_path))
    assert "no folder" in _refused(_run("keygen", "-o", tmp_path / "none" / "k"))
    for nameless in ("", ".", "/"):
        assert "has to be a file" in _refused(_run("keygen", "-o", nameless))


def test_keygen_says_the_key_id_and_what_to_do_next(tmp_path: Path):
    result = _run("keygen", "-o", tmp_path / "k")
    assert f"signet clients add --key {tmp_path / 'k.pub'}" in result.stdout
    assert "PRIVATE" not in result.output


@pytest.mark.parametrize("existing", ["k", "k.pub"])
def test_keygen_never_overwrites_unless_forced(tmp_path: Path, existing: str):
    (tmp_path / existing).write_text("precious")
    assert "exists already" in _refused(_run("keygen", "-o", tmp_path / "k"))
    assert (tmp_path / existing).read_text() == "precious"
    assert _run("keygen", "-o", tmp_path / "k", "--force").exit_code == 0
    assert (tmp_path / existing).read_text() != "precious"


def test_keygen_refuses_an_unknown_algorithm(tmp_path: Path):
    assert "use one of ed25519" in _refused(_run("keygen", "--alg", "ml-dsa-44", "-o", tmp_path / "k"))
    assert list(tmp_path.iterdir()) == []


def test_keygen_refuses_a_missing_folder(tmp_path: Path):
    assert "no folder" in _refused(_run("keygen", "-o", tmp_path / "none" / "k"))


def test_keygen_refuses_a_folder_as_file(tmp_path: Path):
    assert "exists already" in _refused(_run("keygen", "-o", tmp_path, "--force"))


@pytest.mark.parametrize(
    "arguments", [["keygen"], ["nonsense"], ["--nonsense"], ["close", "--nonsense"], ["clients", "revoke"]]
)
def test_wrong_usage_is_one_sentence(arguments: list[str]):
    assert _refused(_run(*arguments)).endswith("--help shows how")


@pytest.mark.parametrize("name", ["k", "k.pub"])
def test_keygen_puts_no_key_in_place_of_what_is_no_file(tmp_path: Path, name: str):
    """Run by root, a rename would take a device away from the whole machine."""
    os.mkfifo(tmp_path / name)
    assert "no ordinary file" in _refused(_run("keygen", "-o", tmp_path / "k", "--force"))
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert stat.S_ISFIFO((tmp_path / name).stat().st_mode)


def _process(*arguments: str, stdout: int) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does: Python's own end, which writes what is left, belongs to it."""
    command = [sys.executable, "-m", "signet_client.cli", *arguments]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize("arguments", [["--help"], ["keygen", "--help"], ["--version"]])
def test_output_that_cannot_be_written_is_one_sentence(arguments: list[str]):
    with Path("/dev/full").open("w") as full:
        done = _process(*arguments, stdout=full.fileno())
    assert (done.returncode, done.stderr) == (2, "signet: standard output: No space left on device\n")


def test_a_reader_that_has_seen_enough_is_no_verdict():
    read, write = os.pipe()
    os.close(read)
    try:
        done = _process("--help", stdout=write)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_an_interrupt_is_said_and_told_from_a_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupted(_self: suites.Suite) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(suites.Suite, "generate", interrupted)
    assert _refused(_run("keygen", "-o", tmp_path / "k"), 130) == "signet: interrupted"
    assert list(tmp_path.iterdir()) == []


def test_the_version_is_told():
    assert _run("--version").stdout.startswith("signet 0.")


def test_help_lists_every_command():
    text = _run("--help").stdout
    for name in ("keygen", "clients", "call", "close", "pack", "verify", "prove"):
        assert f"  {name} " in text


def test_malfunctions_of_our_own_are_not_dressed_up():
    assert explain(RuntimeError("bug")) is None
    assert explain(BrokenPipeError()) is None
