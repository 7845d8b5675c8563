"""The embedded stack is started alike in every shell: under a profile of the user's, behind a proxy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest

from local import tools
from local.environment import isolate, no_proxy, shell_lines

PROXIES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A user's shell: an account of their own, and a proxy that leads nowhere."""
    theirs = {
        "AWS_PROFILE": "nobody-has-this-profile",
        "AWS_SESSION_TOKEN": "theirs",
        "AWS_ENDPOINT_URL_S3": "https://s3.theirs.example",
        "AWS_CA_BUNDLE": "/nowhere.pem",
        "AWS_USE_FIPS_ENDPOINT": "true",
        **dict.fromkeys(PROXIES, "http://127.0.0.1:1"),
        "NO_PROXY": "intranet.example",
    }
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("SIGNET_HOST", raising=False)
    monkeypatch.setattr(urllib.request, "_opener", None)  # else it keeps the proxies of its first use
    for name, value in theirs.items():
        monkeypatch.setenv(name, value)
    return theirs


@pytest.fixture
def own_address() -> Iterator[str]:
    """An address on this machine that answers everything with 200."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it is called with
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def isolated(shell: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Isolate this process, and leave it to monkeypatch to give the rest back."""
    environment = dict(os.environ)
    isolate(environment)
    for name in shell.keys() | environment.keys():
        if name in environment:
            monkeypatch.setenv(name, environment[name])
        else:
            monkeypatch.delenv(name)
    return environment


def test_the_users_shell_breaks_boto3_and_urllib(shell: dict[str, str], own_address: str) -> None:
    """Or the tests below show nothing."""
    assert shell
    with pytest.raises(Exception, match="nobody-has-this-profile"):
        boto3.Session(aws_access_key_id="test", aws_secret_access_key="test").client("s3")
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(own_address, timeout=5)


def test_clients_are_made_under_a_profile_that_is_not_there(
    shell: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    isolated(shell, monkeypatch)
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
    client = session.client("s3", endpoint_url="http://127.0.0.1:4566")
    assert client.meta.endpoint_url == "http://127.0.0.1:4566"


def test_our_own_address_is_reached_without_the_proxy(
    shell: dict[str, str], own_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    isolated(shell, monkeypatch)
    with urllib.request.urlopen(own_address, timeout=5) as answer:
        assert answer.status == 200


def test_nothing_of_the_users_account_is_left_and_the_proxy_is(
    shell: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = isolated(shell, monkeypatch)
    assert {name for name in environment if name.startswith("AWS_")} == {
        "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_EC2_METADATA_DISABLED",
    }
    assert environment["HTTPS_PROXY"] == shell["HTTPS_PROXY"]  # what is installed comes through it
    assert environment["NO_PROXY"] == environment["no_proxy"] == "intranet.example,127.0.0.1,localhost,::1"


def test_isolating_twice_is_isolating_once(shell: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    once = isolated(shell, monkeypatch)
    twice = dict(once)
    isolate(twice)
    assert twice == once


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "127.0.0.1,localhost,::1"),
        ({"no_proxy": "a.example", "NO_PROXY": "b.example"}, "a.example,b.example,127.0.0.1,localhost,::1"),
        ({"NO_PROXY": "localhost, 10.0.0.0/8"}, "localhost,10.0.0.0/8,127.0.0.1,::1"),
        ({"no_proxy": "*"}, "*"),
        ({"SIGNET_HOST": "172.17.0.1"}, "127.0.0.1,localhost,::1,172.17.0.1"),
    ],
    ids=repr,
)
def test_own_addresses_are_added_to_what_is_exempt(given: dict[str, str], expected: str) -> None:
    assert no_proxy(given) == {"NO_PROXY": expected, "no_proxy": expected}


def test_tools_do_not_ask_the_proxy_for_the_emulator(
    shell: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV", sys.executable)  # any program that is there
    environment = tools.base_env()
    assert environment["https_proxy"] == shell["https_proxy"]
    assert "127.0.0.1" in environment["NO_PROXY"].split(",")
    assert "127.0.0.1" in environment["no_proxy"].split(",")


@pytest.mark.parametrize("program", ["bash", "sh", "zsh"])
def test_the_env_file_leaves_a_shell_with_the_stack_and_nothing_else(
    shell: dict[str, str], program: str
) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    lines = shell_lines({"AWS_ENDPOINT_URL": "http://127.0.0.1:4566", "SIGNET_URL": "it's"})
    show = f"{sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    done = subprocess.run(
        [program, "-c", f"set -eu\n{lines}\n{show}"], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert {n: v for n, v in found.items() if n.startswith(("AWS_", "SIGNET_URL"))} == {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
        "SIGNET_URL": "it's",
    }
    assert shell
