"""What `make localstack` asks for; LocalStack itself is started by that target only."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from local import tools
from local.errors import StackError
from local.localstack import PLANS
from tests.template.cloudformation import refused, source


@pytest.mark.parametrize("name", PLANS)
def test_the_template_takes_what_is_planned(name: str) -> None:
    assert set(PLANS[name]) <= set(source()["Parameters"])
    assert refused(source(), **PLANS[name]) == []


def test_one_plan_has_everything_that_is_optional() -> None:
    """A condition that holds in no plan is a part of the template that no other engine ever read."""
    switched = {
        "EdgeImageUri",
        "EndpointUrl",
        "ObjectLockMode",
    }  # its nested stack; always given; on by default
    for name, condition in source()["Conditions"].items():
        parameters = {part for part in source()["Parameters"] if part in str(condition)}
        assert parameters & (PLANS["signet-optional"].keys() | switched), name


def test_without_its_python_localstack_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("UV", shutil.which("false") or "false")  # finds no Python
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    with pytest.raises(StackError, match=r"needs Python 3\.13.*uv python install"):
        tools.localstack_python(print)


def test_a_python_of_pyenvs_is_found_though_it_is_not_chosen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("UV", shutil.which("false") or "false")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    program = tmp_path / "versions/3.13.0/bin/python3.13"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)
    assert tools.python_of("3.13") == str(program)
