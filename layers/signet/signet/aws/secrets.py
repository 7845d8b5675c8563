"""Secrets Manager: log keys, created once, read, never changed (ADR 2); the deployment's secrets, read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from signet.aws.permanent import DEPLOYMENT_SECRET, LOG_KEYS
from signet.aws.session import error_code, translate_errors
from signet.core.errors import KeyFileError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


def text_of(name: str, answer: Mapping[str, Any]) -> str:
    """Return the text of a secret.

    Args:
        name: the secret's.
        answer: of ``GetSecretValue``.

    Raises:
        KeyFileError: it has none, but bytes.
    """
    text = answer.get("SecretString")
    if not isinstance(text, str):
        raise KeyFileError(f"the secret {name} holds bytes; put back the version before, which is text")
    return text


def versions_of(client: SecretsManagerClient, arn: str, *, pending: bool = False) -> list[str]:
    """Return the texts of a deployment's secret: the current version, and those beside it, each once.

    Args:
        client: Secrets Manager.
        arn: the secret's.
        pending: also the one that is to be current next (staging label ``AWSPENDING``), before the previous.
            The label stays on a version when a later one becomes current, so an older version is not it
            (docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html, "Secret versions").

    Raises:
        UnavailableError: it cannot be read.
        KeyFileError: a version holds no text.
    """
    found: list[str] = []
    since: datetime | None = None
    for stage in ("AWSCURRENT", *(["AWSPENDING"] if pending else []), "AWSPREVIOUS"):
        with translate_errors("read a deployment secret", DEPLOYMENT_SECRET):
            try:
                answer = client.get_secret_value(SecretId=arn, VersionStage=stage)
            except ClientError as error:
                if stage != "AWSCURRENT" and error_code(error) == "ResourceNotFoundException":
                    continue
                raise
        text = text_of(arn, answer)
        since = since or answer["CreatedDate"]
        if stage == "AWSPENDING" and answer["CreatedDate"] < since:
            continue
        if text not in found:
            found.append(text)
    return found


@dataclass(frozen=True, slots=True)
class SecretsManagerStore:
    """Implements ``signet.core.ports.SecretStore``; values are text (UTF-8)."""

    client: SecretsManagerClient

    def get(self, name: str) -> bytes | None:
        """Return the secret's bytes, or None if there is none.

        Raises:
            KeyFileError: it holds no text.
        """
        with translate_errors(f"read the secret {name}", LOG_KEYS):
            try:
                found = self.client.get_secret_value(SecretId=name)
            except ClientError as error:
                if error_code(error) == "ResourceNotFoundException":
                    return None
                raise
        return text_of(name, found).encode()

    def create(self, name: str, value: bytes) -> bool:
        """Create if absent; False if the name is taken.

        A request that botocore repeats after a lost answer meets its own first try and reads as "taken";
        callers read the secret back and find their own.
        """
        with translate_errors(f"create the secret {name}", LOG_KEYS):
            try:
                self.client.create_secret(Name=name, SecretString=value.decode())
            except ClientError as error:
                if error_code(error) == "ResourceExistsException":
                    return False
                raise
        return True
