"""C2SP's tlog-tiles in both directions: a plain reader reads our log, and we audit a log that is not ours."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from signet.log.note import log_verifier_keys
from signet_client.cli import app
from tests.interop.tlog import read_log, write_log
from tests.support.packs import FIRST_DAY, PackLog, log_with_days

RUNNER = CliRunner()
SIZES = (0, 1, 2, 255, 256, 257, 1000)


def run(*arguments: object):
    return RUNNER.invoke(app, [str(argument) for argument in arguments], env={"SIGNET_LOG_ID": None})


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder behind a web server that cannot be listed."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def written(log: PackLog, folder: Path) -> Path:
    for key, body in log.store.objects.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    return folder


@pytest.mark.parametrize("size", SIZES)
def test_a_plain_reader_reads_our_log(size: int) -> None:
    log = log_with_days(size)
    for key in log_verifier_keys(log.signer.keys, size):
        entries = read_log(log.store.get, key.encode())
        assert len(entries) == size


@pytest.mark.parametrize("size", SIZES)
def test_a_log_that_is_not_ours_is_audited(size: int, tmp_path: Path) -> None:
    entries = [f"entry {number}".encode() * (number % 7) for number in range(size)]
    vkey = write_log(tmp_path, entries, "example.org/another", Ed25519PrivateKey.generate())
    result = run("audit", tmp_path, "--vkey", vkey, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["origin"], told["tree_size"], told["findings"]) == ("example.org/another", size, [])


def test_one_changed_entry_of_a_foreign_log_is_found(tmp_path: Path) -> None:
    entries = [f"entry {number}".encode() for number in range(300)]
    vkey = write_log(tmp_path, entries, "example.org/another", Ed25519PrivateKey.generate())
    bundle = tmp_path / "tile/entries/000"
    bundle.write_bytes(bundle.read_bytes().replace(b"entry 77", b"entry 78"))
    result = run("audit", tmp_path, "--vkey", vkey)
    assert result.exit_code == 1
    assert "FAILED  tile/0/000: is not what the entries give [wrong_tile]" in result.stdout
    assert "FAILED  checkpoint: its root is not that of the entries [wrong_root]" in result.stdout
    assert "GOOD" not in result.stdout


def test_a_log_is_audited_over_http(tmp_path: Path) -> None:
    log = log_with_days(2, 300)
    vkeys = [key.encode() for key in log_verifier_keys(log.signer.keys, 302)]
    with served(written(log, tmp_path)) as url:
        foreign = run("audit", url, "--vkey", vkeys[0], "--vkey", vkeys[1])
        ours = run("audit", f"{url}/", "--log-id", log.log_id)
    assert foreign.exit_code == 0, foreign.output
    assert ours.exit_code == 0, ours.output
    assert "closed days     2" in ours.stdout
    assert "no listing" in ours.stdout


def test_the_evidence_beside_a_copy_of_a_log_is_looked_at(tmp_path: Path) -> None:
    log = PackLog()
    first, second = log.decide(2, FIRST_DAY)
    log.close([log.keep(first, b"[1]"), log.keep(second, b"[2]")])
    folder = written(log, tmp_path)
    good = run("audit", folder, "--log-id", log.log_id, "--evidence")
    assert good.exit_code == 0, good.output
    assert "evidence there    2" in good.stdout
    gone = folder / f"evidence/{hashlib.sha256(b'[2]').hexdigest()}"
    gone.unlink()
    lost = run("audit", folder, "--log-id", log.log_id, "--evidence", "--json")
    told = json.loads(lost.stdout)
    assert lost.exit_code == 1
    assert [finding["code"] for finding in told["findings"]] == ["evidence_missing"]
    assert told["evidence"] == {
        "named": 2,
        "whole": 1,
        "damaged": 0,
        "missing": 1,
        "dropped": 0,
        "unnamed": 0,
    }
    assert run("audit", folder, "--log-id", log.log_id).exit_code == 0


def test_who_asks_wrongly_is_told_what_to_do(tmp_path: Path) -> None:
    log = written(log_with_days(1), tmp_path / "log")
    (tmp_path / "empty").mkdir()
    for arguments, sentence in [
        (("nowhere",), "there is no folder nowhere"),
        ((tmp_path / "empty",), "give its key with --vkey"),
        (("ftp://example.org/log",), "neither a folder nor an http(s) URL"),
        ((log, "--vkey", "x"), "not a verifier key"),
        ((log, "--vkey", "x", "--days", 1), "leave out --log-id, --days, --packs and --known"),
        ((log, "--evidence", "--days", 1), "leave out --vkey and --days"),
        ((log, "--vkey", "x", "--evidence-days", 1), "leave out --vkey and --days"),
        ((log, "--log-id", "x"), "64 lower-case hex digits"),
    ]:
        result = run("audit", *arguments)
        assert result.exit_code == 2, result.output
        assert sentence in result.stderr, result.stderr
        assert len(result.stderr.strip().splitlines()) == 1


def test_a_server_that_is_not_there_is_no_verdict() -> None:
    result = run("audit", "http://127.0.0.1:9/log", "--log-id", "0" * 64)
    assert result.exit_code == 2
    assert "cannot be read" in result.stderr
