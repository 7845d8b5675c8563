"""Snippets in templates."""

from __future__ import annotations

from typing import Any


def merged(base: Any, more: Any) -> Any:
    """Put one mapping into another, as an operator does who pastes a snippet into a template."""
    if isinstance(base, dict) and isinstance(more, dict):
        return {**base, **{key: merged(base.get(key), value) for key, value in more.items()}}
    return more
