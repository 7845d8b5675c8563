"""Orders for packs, taken by the pack function."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from signet.aws.permanent import PACK_FUNCTION
from signet.aws.session import translate_errors

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


@dataclass(frozen=True, slots=True)
class LambdaPackOrders:
    """Implements ``signet.core.ports.PackOrders``: one asynchronous invocation is one order.

    Attributes:
        client: Lambda.
        function: name of the pack function.
    """

    client: LambdaClient
    function: str

    def order(self, date: str, *, evidence: bool, transcripts: bool) -> None:
        """Let the pack function build a day's pack; returns at once."""
        wanted = {"date": date, "include_evidence": evidence, "include_transcripts": transcripts}
        with translate_errors("order the building of a pack", PACK_FUNCTION):
            self.client.invoke(
                FunctionName=self.function,
                InvocationType="Event",
                Payload=json.dumps({"build": wanted}).encode(),
            )
