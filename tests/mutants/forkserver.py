"""Runs pytest in forks of a process that has imported what is not ours: a mutant's tests then start at once.

One line of JSON a run on standard input, ``[where its output goes, arguments]``; on standard output the id of
the process (and of its group), then its exit code.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
from typing import Final

#: What takes long to import and never is a mutant. What a machine lacks is left out.
_BEFORE: Final = (
    "pytest",
    "_pytest.assertion.rewrite",
    "attrs",
    "boto3",
    "botocore.httpsession",
    "botocore.loaders",
    "cryptography.hazmat.primitives.asymmetric.ec",
    "cryptography.hazmat.primitives.asymmetric.ed25519",
    "cryptography.hazmat.primitives.serialization",
    "cryptography.x509",
    "aws_lambda_powertools.logging",
    "aws_lambda_powertools.metrics",
    "aws_lambda_powertools.tracing",
    "aws_lambda_powertools.utilities.batch",
    "httpx",
    "http_message_signatures",
    "hypothesis",
    "hypothesis.strategies",
    "hypothesis.internal.conjecture.engine",
    "moto",
    "moto.core.models",
    "moto.dynamodb.models",
    "moto.dynamodb.responses",
    "moto.s3.responses",
    "moto.sqs.responses",
    "moto.secretsmanager.responses",
    "pydantic",
    "regopy",
    "requests",
    "rfc8785",
    "samtranslator.translator.transform",
    "yaml",
)


def main() -> None:
    """Serve until standard input ends."""
    for name in _BEFORE:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for line in sys.stdin:
        output, arguments = json.loads(line)
        process = os.fork()
        if process == 0:
            _run(output, arguments)
        _answer(process)
        _process, status = os.waitpid(process, 0)
        _answer(os.waitstatus_to_exitcode(status))


def _answer(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def _run(output: str, arguments: list[str]) -> None:
    code = 3
    try:
        os.setsid()
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        pytest = importlib.import_module("pytest")
        code = int(pytest.main(arguments))
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
