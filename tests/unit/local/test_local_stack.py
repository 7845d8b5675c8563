"""The runner of the embedded stack, without starting one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local import build, demo, edge, server, stack, tools
from local.command import run
from local.errors import StackError


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setattr(stack, "HOME", tmp_path)
    return tmp_path


@pytest.fixture
def sources(tmp_path, monkeypatch):
    for name in ("template.yaml", "functions/a/a_handler.py", "layers/x.py", "policy/p.rego"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    pins = tmp_path / "local/requirements-sam.txt"
    pins.parent.mkdir()
    pins.write_text("aws-sam-cli")
    monkeypatch.setattr(build, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["", "Signet", "../x", "tools", "builds", "-a", "a" * 32, "a b", "a\n"])
def test_a_name_that_is_no_name_is_refused_in_words(name):
    with pytest.raises(StackError, match="cannot name a stack"):
        stack.down(name)


def test_a_stack_that_does_not_run_is_not_found_and_not_stopped(home):
    assert stack.find("signet") is None
    assert stack.down("signet") is False


def test_a_held_lock_is_a_running_stack_and_says_how_to_stop_it(home):
    folder = home / "mine"
    folder.mkdir()
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StackError, match="SIGNET_STACK=mine make down"):
            stack.up("mine")
        with pytest.raises(StackError, match="used by another process"):
            stack.down("mine")
    assert stack.down("mine") is False


def test_folders_of_killed_owners_are_swept_and_others_are_not(home):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    gone, ours = home / f"run-{ended.pid}", home / f"run-{os.getpid()}"
    named = home / "signet"
    for folder in (gone, ours, named):
        folder.mkdir()
        (folder / "lock").touch()
    stack._sweep()
    assert (gone.exists(), ours.exists(), named.exists()) == (False, True, True)


def test_a_taken_port_is_said_with_what_to_do(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setenv("SIGNET_PORT", str(port))
        with pytest.raises(StackError, match=f"Port {port} is taken: set SIGNET_PORT"):
            server._listen()


@pytest.mark.parametrize("port", ["http", "70000", "-1"])
def test_a_port_that_is_none_is_said(monkeypatch, port):
    monkeypatch.setenv("SIGNET_PORT", port)
    with pytest.raises(StackError, match=f"SIGNET_PORT={port} cannot be used"):
        server._listen()


@pytest.mark.parametrize(
    ("host", "sentence"),
    [
        ("192.0.2.1", "is no address of this machine"),
        ("no such host", "is no address of this machine"),
        ("0.0.0.0", "would open the stack to every host"),
        ("0", "would open the stack to every host"),
    ],
)
def test_a_host_that_cannot_or_must_not_be_used_is_said(monkeypatch, host, sentence):
    monkeypatch.setenv("SIGNET_HOST", host)
    with pytest.raises(StackError, match=f"SIGNET_HOST={host} {sentence}"):
        server._listen()


def test_another_address_of_this_machine_can_be_listened_on(monkeypatch):
    monkeypatch.setenv("SIGNET_HOST", "127.0.0.2")  # stands for a container bridge's address
    monkeypatch.delenv("SIGNET_PORT", raising=False)
    with server._listen() as listener:
        assert listener.getsockname()[0] == "127.0.0.2"


def test_a_free_port_already_listens_when_it_is_handed_over(monkeypatch):
    monkeypatch.delenv("SIGNET_PORT", raising=False)
    with server._listen() as listener, socket.create_connection(listener.getsockname(), timeout=2):
        pass


def test_no_account_and_no_endpoint_of_the_user_reaches_the_tools(monkeypatch):
    monkeypatch.setenv("UV", sys.executable)  # any program that is there
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "SIGNET_LAYER_ARCH", "PYTHONPATH"):
        monkeypatch.setenv(name, "theirs")
    env = tools.base_env()
    assert "theirs" not in env.values()
    assert env["AWS_CONFIG_FILE"] == env["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
    assert env["SAM_CLI_TELEMETRY"] == "0"


def test_missing_uv_is_said_with_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("UV", str(tmp_path / "uv"))
    monkeypatch.setattr(tools, "TOOLS", tmp_path)
    with pytest.raises(StackError, match="uv is missing"):
        tools.uv()


@pytest.mark.parametrize(
    "name", ["template.yaml", "functions/a/a_handler.py", "layers/x.py", "policy/p.rego"]
)
def test_a_build_is_named_by_its_inputs(sources, name):
    before = build._fingerprint()
    assert build._fingerprint() == before
    (sources / name).write_text("changed")
    assert build._fingerprint() != before


def test_a_renamed_input_is_another_build(sources):
    before = build._fingerprint()
    (sources / "policy/p.rego").rename(sources / "policy/q.rego")
    assert build._fingerprint() != before


def test_bytecode_beside_the_sources_is_no_input(sources):
    before = build._fingerprint()
    cache = sources / "functions/a/__pycache__"
    cache.mkdir()
    (cache / "a_handler.cpython-311.pyc").write_bytes(b"x")
    assert build._fingerprint() == before


def test_a_failing_tool_is_named_with_the_end_of_what_it_said(tmp_path):
    program = "import sys; print('first'); print('the reason'); sys.exit(3)"
    with pytest.raises(StackError, match=r"(?s)sam build failed \(exit code 3\).*the reason"):
        run([sys.executable, "-c", program], what="sam build", env={}, cwd=tmp_path, log=tmp_path / "log")


def test_a_tool_that_is_not_there_is_named(tmp_path):
    with pytest.raises(StackError, match="sam build could not be started"):
        run([tmp_path / "sam"], what="sam build", env={}, cwd=tmp_path, log=tmp_path / "log")


def test_what_a_tool_leaves_in_its_temporary_folder_goes_with_it(tmp_path):
    log = tmp_path / "log"
    run(
        [sys.executable, "-c", "import tempfile; print(tempfile.mkdtemp())"],
        what="sam deploy",
        env={},
        cwd=tmp_path,
        log=log,
    )
    left = Path(log.read_text().strip())
    assert left.is_absolute()
    assert not left.exists()
    assert not left.parent.exists()


def test_a_second_demo_leaves_the_first_ones_results_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "HOME", tmp_path)
    with demo._alone(), pytest.raises(StackError, match="wait for its end"), demo._alone():
        pass
    with demo._alone():
        pass


def test_sigterm_leaves_blocks_in_order_and_is_given_back():
    before = signal.getsignal(signal.SIGTERM)
    left = contextlib.ExitStack()
    cleaned_up = []
    left.callback(cleaned_up.append, True)
    with pytest.raises(SystemExit) as leaving, stack._sigterm_exits(), left:
        signal.raise_signal(signal.SIGTERM)
    assert (leaving.value.code, cleaned_up) == (128 + signal.SIGTERM, [True])
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_edge_of_no_known_kind_is_said(monkeypatch):
    monkeypatch.setenv("SIGNET_LOCAL_EDGE", "envoy")
    with pytest.raises(StackError, match="SIGNET_LOCAL_EDGE is haproxy or python"):
        edge._command({}, [].append)


@pytest.mark.parametrize("too_old", [False, True])
def test_without_a_haproxy_that_will_do_the_reference_edge_is_taken_and_said(monkeypatch, tmp_path, too_old):
    monkeypatch.delenv("SIGNET_LOCAL_EDGE", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    if too_old:
        (tmp_path / "haproxy").symlink_to("/bin/false")
    said = []
    assert edge._command({}, said.append)[1:] == ["-m", "signet_edge"]
    assert said == ["edge: the reference edge (no HAProxy)"]
    monkeypatch.setenv("SIGNET_LOCAL_EDGE", "haproxy")
    with pytest.raises(StackError, match="not installed, or older"):
        edge._command({}, said.append)


def test_an_edges_private_key_is_readable_by_its_owner_only(tmp_path):
    made = edge.Edge(tmp_path)
    made.end()
    assert (tmp_path / "edge.pem").stat().st_mode & 0o777 == 0o600
    assert b"PRIVATE" not in made.authorities.read_bytes()


@pytest.mark.parametrize(("tied", "gone"), [("1", True), ("0", False)])
def test_a_lifeline_ends_what_it_runs_when_its_owner_is_gone(tied, gone):
    program = "import sys, time; print('up', flush=True); time.sleep(60)"
    command = [sys.executable, str(tools.ROOT / "local/lifeline.py"), tied, sys.executable, "-c", program]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as line:
        assert line.stdout.readline() == b"up\n"
        line.stdin.close()
        if gone:
            assert line.wait(20) != 0
        else:
            with pytest.raises(subprocess.TimeoutExpired):
                line.wait(1)
            line.terminate()
            assert line.wait(20) != 0
