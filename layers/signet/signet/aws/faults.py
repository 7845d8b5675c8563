"""The fault that is ordered from a demonstration backend: one item of the breakers' table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from signet.aws.permanent import FAULT_TABLE
from signet.aws.session import translate_errors
from signet.breaker.fault import Fault
from signet.core.errors import UnavailableError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_KEY: Final = "fault"


@dataclass(frozen=True, slots=True)
class DynamoFaultStore:
    """Holds at most one fault. The last one written counts; one that is over is as good as none."""

    client: DynamoDBClient
    table: str

    def order(self, fault: Fault) -> None:
        """Put a fault in force, in place of any other.

        Raises:
            UnavailableError: the table cannot be written now.
        """
        with translate_errors("order the fault", FAULT_TABLE):
            self.client.put_item(
                TableName=self.table,
                Item={
                    "pk": {"S": _KEY},
                    "latency_ms": {"N": str(fault.latency_ms)},
                    "error_ppm": {"N": str(fault.error_ppm)},
                    "until_ms": {"N": str(fault.until_ms)},
                    "silent": {"N": str(int(fault.silent))},
                    **({} if fault.backend is None else {"backend": {"S": fault.backend}}),
                    "expires_at": {"N": str(fault.until_ms // 1000 + 60)},
                },
            )

    def ordered(self, now_ms: int) -> Fault | None:
        """Return the fault in force at a Unix time in milliseconds, or None.

        Raises:
            UnavailableError: the table cannot be read now, or the fault's item is damaged.
        """
        with translate_errors("read the fault", FAULT_TABLE):
            found = self.client.get_item(TableName=self.table, Key={"pk": {"S": _KEY}}).get("Item")
        if found is None:
            return None
        try:
            latency_ms, error_ppm, until_ms = (
                int(found[name]["N"]) for name in ("latency_ms", "error_ppm", "until_ms")
            )
            silent = int(found["silent"]["N"]) if "silent" in found else 0
            backend = found["backend"]["S"] if "backend" in found else None
        except (KeyError, ValueError) as error:
            raise UnavailableError("the fault that was ordered is damaged; order it again") from error
        fault = Fault(latency_ms, error_ppm, until_ms, backend, silent != 0)
        return fault if fault.holds(now_ms) else None
