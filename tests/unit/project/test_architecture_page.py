"""docs/architecture.md shows the imports as they are, and names what is there."""

import ast
import re

import pytest

from tests.support.world import ROOT
from tools.draw_architecture import PAGE, redrawn

LIBRARY = ROOT / "layers" / "signet" / "signet"
TEXT = PAGE.read_text()
#: ``Class.method`` or ``function``, and the file that it stands in.
NAMED = re.findall(r"`([A-Z]\w+(?:\.\w+)?|[a-z_]+)`(?:,? (?:in|and `[\w.]+` in) | \()`([\w/]+\.py)`", TEXT)
FILES = sorted(set(re.findall(r"`((?:[\w]+/)+[\w]+\.\w+|\w+\.py)`", TEXT)))


def _defined(file: str) -> set[str]:
    found = set()
    for node in ast.parse((LIBRARY / file).read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {
                f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)
            }
    return found


def test_the_picture_is_as_the_imports_are() -> None:
    assert redrawn(TEXT) == TEXT, "run make picture"


def test_an_old_picture_is_found() -> None:
    assert redrawn(TEXT.replace("  audit --> pack\n", "")) == TEXT


@pytest.mark.parametrize("file", FILES)
def test_a_file_that_is_named_is_there(file: str) -> None:
    assert (LIBRARY / file).is_file() or (ROOT / file).is_file()


@pytest.mark.parametrize(("name", "file"), NAMED)
def test_a_name_stands_in_the_file_that_is_said(name: str, file: str) -> None:
    assert name in _defined(file)


def test_the_page_names_files_and_what_is_in_them() -> None:
    assert len(FILES) > 30
    assert len(NAMED) > 8
