"""Whether what a case, or the file of ``signet policy eval``, states can stand in a policy's input.

A member that is misspelt, or of another kind than it can be, is no word about any request: a case that
expects ``deny`` would hold for another reason than the one that its author has in mind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from signet.core.errors import PolicyError
from signet.core.vocabulary import FIELD_NAME
from signet.policy.lint.scope import nearest
from signet.policy.lint.shapes import INPUT, Shape, kind_of

#: Beyond it the interpreter takes a number for another one.
_MOST: Final = 2**53
_TEXT: Final = Shape("text")


def check_stated(stated: Mapping[str, Any]) -> None:
    """Check the members of an input (docs/policy.md, "Input and output"), as far as they are stated.

    A value that no request can have, such as the name of another algorithm, is no fault: a case may show what
    the policy says of it. ``"principal": null`` stands for a request without one.

    Raises:
        PolicyError: a member has a name that there is not, or is of another kind.
    """
    for name, value in stated.items():
        if name != "principal" or value is not None:
            _check_member(name, value, INPUT, "input")
    for name, field in stated.get("headers", {}).items():
        if not FIELD_NAME.fullmatch(name) or field.keys() != {"value", "covered"}:
            form = '{"name-in-lower-case": {"value": "…", "covered": true}}'
            raise PolicyError(f"input.headers has {name!r}: write {form}")


def _check_member(name: str, value: Any, shape: Shape, of: str) -> None:
    inner = shape.members.get(name, shape.each)
    if inner is None and shape.members:
        raise PolicyError(f"{of} has no member {name!r}{nearest(name, shape.members)}")
    if shape.names is not None and not shape.names.fullmatch(name):
        raise PolicyError(f"{of} cannot have the member {name!r}")
    _check(value, inner or _TEXT, f"{of}.{name}")


def _check(value: Any, shape: Shape, what: str) -> None:
    if value is None and shape.nullable:
        return
    if kind_of(value) != shape.kind:
        raise PolicyError(f"{what} is no {shape.kind}")
    if isinstance(value, dict):
        for name, member in value.items():
            _check_member(name, member, shape, what)
    elif isinstance(value, list):
        for item in value:
            _check(item, shape.items or _TEXT, f"{what}[_]")
    elif shape.kind == "number" and not (isinstance(value, int) and 0 <= value <= _MOST):
        raise PolicyError(f"{what} is no whole number from 0 to 2^53")
