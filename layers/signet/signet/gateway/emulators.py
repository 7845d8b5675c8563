"""Emulators of REST APIs: where their events differ from AWS's, told apart by what AWS's always have.

- LocalStack is held to AWS by recorded snapshots: the same shape (localstack #7728 for paths). Its
  authorizers are not among its free parts; their events were not seen.
- MiniStack 1.5 (its ``apigateway_v1.py``) tells authorizers no ``requestContext.path`` and no
  ``requestId``. The API answers under its stage. ``path`` is decoded, header names are in lower case,
  fields that came twice are joined by ``", "`` in both maps, ``Content-Length`` is there, the single query
  map holds the first value. Integrations get the path as AWS's do, and ``version`` beside it.
- ``sam local`` (recorded in ``events/sam_local``) answers at the root and gives the *resource* as
  ``requestContext.path``. ``path`` is decoded, repeated fields are joined by ``","`` in both maps,
  ``Content-Length`` is there, ``requestId`` is that of the process.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from signet.gateway.model import Event


class Dialect(StrEnum):
    """Whose events these are."""

    REST = "rest"
    MINISTACK = "ministack"
    SAM_LOCAL = "sam-local"


def dialect(event: Event, context: Mapping[str, Any]) -> Dialect:
    """Tell whose event this is, by its ``requestContext``."""
    if "path" not in context:
        return Dialect.MINISTACK
    reported = context["path"]
    if isinstance(reported, str) and "{" in reported and reported == event.get("resource"):
        return Dialect.SAM_LOCAL
    return Dialect.REST


def shown_path(event: Event, context: Mapping[str, Any], spoken: Dialect) -> str | None:
    """Return the path as it was addressed, stage or mapping in front, as shown; None without one."""
    path = event.get("path")
    if spoken is Dialect.MINISTACK:
        stage = context.get("stage")
        return f"/{stage}{path}" if isinstance(stage, str) and isinstance(path, str) else None
    shown = path if spoken is Dialect.SAM_LOCAL else context["path"]
    return shown if isinstance(shown, str) else None
