"""The backends of the orders example, each run as Lambda runs it: one process, one event after the other."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.support.world import ROOT

BACKEND = ROOT / "examples" / "orders" / "backend"
LANGUAGES = ("python", "node")
_RUN = {
    "python": (
        "import importlib, json, sys\n"
        "handler = importlib.import_module(sys.argv[1]).handler\n"
        "print(json.dumps([handler(event, None) for event in json.load(sys.stdin)]))"
    ),
    "node": (
        "import { readFileSync } from 'node:fs';\n"
        "const { handler } = await import(`./${process.argv[1]}.mjs`);\n"
        "const answers = [];\n"
        "for (const event of JSON.parse(readFileSync(0))) answers.push(await handler(event, {}));\n"
        "console.log(JSON.stringify(answers));"
    ),
}


def answers(
    language: str, module: str, events: Sequence[Mapping[str, Any]]
) -> list[tuple[int, dict[str, Any]]]:
    """Give events to ``app`` or ``guarded``; return status and decoded body of each answer."""
    program = {"python": [sys.executable, "-W", "error", "-c"], "node": ["node", "--input-type=module", "-e"]}
    if shutil.which(program[language][0]) is None:
        pytest.skip(f"{language} is not installed")
    done = subprocess.run(
        [*program[language], _RUN[language], module],
        cwd=BACKEND,
        input=json.dumps(events),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return [(answer["statusCode"], json.loads(answer["body"])) for answer in json.loads(done.stdout)]


def event(method: str, resource: str = "/orders", **members: Any) -> dict[str, Any]:
    """Return a proxy event of a REST API, as far as the backend reads it."""
    return {
        "httpMethod": method,
        "resource": resource,
        "queryStringParameters": None,
        "pathParameters": None,
        "body": None,
        "isBase64Encoded": False,
        "requestContext": {},
        **members,
    }


def granted(body: bytes | None = None, **members: Any) -> dict[str, Any]:
    """Return a request context in which the authorizer let a caller in, who signed this body."""
    context = {"keyid": "caller-1", "receipt_id": "r-1", **members}
    if body is not None:
        context["content_digest"] = digest("sha-256", body)
    return {"authorizer": context}


def digest(name: str, body: bytes) -> str:
    """Return a member of a Content-Digest field."""
    hashed = hashlib.new(name.replace("-", ""), body).digest()
    return f"{name}=:{base64.b64encode(hashed).decode()}:"
