"""Draws the picture in docs/architecture.md: ``python tools/draw_architecture.py [--check]``."""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import grimp

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "architecture.md"
_FUNCTION: Final = "function_"  # one of them is called as a package is
_BEGIN, _END = "<!-- drawn from the imports: make picture -->\n", "<!-- end of what is drawn -->\n"

Edges = Mapping[str, frozenset[str]]


def main() -> int:
    """Write the picture, or say whether it is as the imports are."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true", help="write nothing; exit code 1 if it is old")
    check = arguments.parse_args().check
    page = PAGE.read_text(encoding="utf-8")
    drawn = redrawn(page)
    if check and drawn != page:
        sys.stderr.write(f"{PAGE.relative_to(ROOT)} is older than the imports: run make picture\n")
        return 1
    if not check:
        PAGE.write_text(drawn, encoding="utf-8")
    return 0


def redrawn(page: str) -> str:
    """Return the page with the picture as the imports are now."""
    before, rest = page.split(_BEGIN)
    _old, after = rest.split(_END)
    return f"{before}{_BEGIN}{picture()}{_END}{after}"


def picture() -> str:
    """Return a Mermaid diagram: an arrow from each package to those it imports and cannot reach otherwise."""
    edges = _without_shortcuts({**_packages(), **_functions()})
    lines = ["```mermaid", "flowchart TD"]
    lines += ["  subgraph functions"]
    lines += [f"    {name}([{name.removeprefix(_FUNCTION)}])" for name in sorted(_functions())]
    lines += ["  end"]
    lines += [f"  {name} --> {other}" for name in sorted(edges) for other in sorted(edges[name])]
    return "\n".join([*lines, "```", ""])


def _packages() -> Edges:
    """Return what each package (or single module) of the library imports of the others, and the client."""
    graph = grimp.build_graph("signet", "signet_client")
    homes = {child: child.removeprefix("signet.") for child in graph.find_children("signet")}
    homes["signet_client"] = "signet_client"
    found: dict[str, set[str]] = {home: set() for home in homes.values()}
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            here, there = _home(module, homes), _home(imported, homes)
            if here and there and here != there:
                found[here].add(there)
    return {name: frozenset(others) for name, others in found.items()}


def _home(module: str, homes: Mapping[str, str]) -> str | None:
    return next(
        (home for name, home in homes.items() if module == name or module.startswith(f"{name}.")), None
    )


def _functions() -> Edges:
    """Return what each function imports of the library."""
    return {
        _FUNCTION + path.parent.name: frozenset(_imported(path))
        for path in (ROOT / "functions").glob("*/*_handler.py")
    }


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("signet."):
            yield node.module.split(".")[1]


def _without_shortcuts(edges: Edges) -> Edges:
    """Leave out the arrows that a longer way shows as well."""
    reach: dict[str, frozenset[str]] = {}

    def below(name: str) -> frozenset[str]:
        if name not in reach:
            reach[name] = edges[name].union(*(below(other) for other in edges[name]))
        return reach[name]

    return {
        name: others - frozenset().union(*(below(other) for other in others))
        for name, others in edges.items()
    }


if __name__ == "__main__":
    sys.exit(main())
