"""Log keys in Secrets Manager: created once, read, never changed (ADR 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from signet.aws.session import error_code, translate_errors

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


@dataclass(frozen=True, slots=True)
class SecretsManagerStore:
    """Implements ``signet.ports.SecretStore``; values are text (UTF-8)."""

    client: SecretsManagerClient

    def get(self, name: str) -> bytes | None:
        """Return the secret's bytes, or None if there is none."""
        with translate_errors(f"read the secret {name}"):
            try:
                return self.client.get_secret_value(SecretId=name)["SecretString"].encode()
            except ClientError as error:
                if error_code(error) == "ResourceNotFoundException":
                    return None
                raise

    def create(self, name: str, value: bytes) -> bool:
        """Create if absent; False if the name is taken.

        A request that botocore repeats after a lost answer meets its own first try and reads as "taken";
        callers read the secret back and find their own.
        """
        with translate_errors(f"create the secret {name}"):
            try:
                self.client.create_secret(Name=name, SecretString=value.decode())
            except ClientError as error:
                if error_code(error) == "ResourceExistsException":
                    return False
                raise
        return True
