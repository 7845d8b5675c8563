"""What `make sam-local` says before it starts anything; containers are started by that target only."""

from __future__ import annotations

from pathlib import Path

import pytest

from local import samlocal
from local.errors import StackError


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a docker command may be put, with nothing else on PATH than a shell."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.delenv("SIGNET_LAMBDA_IMAGE", raising=False)
    monkeypatch.setattr(samlocal.shutil, "which", lambda _name: _program(tmp_path))
    return tmp_path / "docker"


def _program(folder: Path) -> str | None:
    return str(folder / "docker") if (folder / "docker").exists() else None


def install(program: Path, script: str) -> None:
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_without_docker_the_first_sentence_says_so(docker: Path) -> None:
    assert not docker.exists()
    with pytest.raises(StackError, match="needs a Docker engine, and there is no docker"):
        samlocal.bridge_address()


def test_an_engine_that_does_not_answer_is_quoted(docker: Path) -> None:
    install(docker, "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    with pytest.raises(StackError, match=r"is dockerd running.*Cannot connect to the Docker daemon"):
        samlocal.bridge_address()


def test_the_stack_listens_where_containers_find_this_machine(docker: Path) -> None:
    install(docker, "echo 172.30.0.0/16")
    assert samlocal.bridge_address() == "172.30.0.1"


def test_the_named_image_is_taken_and_has_to_be_here(docker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNET_LAMBDA_IMAGE", "mine:1")
    install(docker, '[ "$3" = mine:1 ]')
    assert samlocal.image_options() == ["--invoke-image", "mine:1", "--skip-pull-image"]
    install(docker, "echo 'No such image' >&2; exit 1")
    with pytest.raises(StackError, match="No such image"):
        samlocal.image_options()


@pytest.mark.parametrize(("found", "options"), [("0", ["--skip-pull-image"]), ("1", [])])
def test_without_a_named_image_aws_one_is_pulled_unless_it_is_here(
    docker: Path, found: str, options: list[str]
) -> None:
    install(docker, f"exit {found}")
    assert samlocal.image_options() == options
