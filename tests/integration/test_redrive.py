"""One command empties the dead-letter queue of the deployed stack.

``STACK_ORDER`` in tests/conftest.py places it last: what it moves is no receipt and stays in the receipt
queue for the sink's five tries, and other tests wait until that queue is empty.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from local.stack import Stack

pytestmark = pytest.mark.integration


def test_the_dead_letter_queue_is_redriven_by_one_command(stack: Stack) -> None:
    sqs = stack.client("sqs")
    sqs.send_message(QueueUrl=stack.outputs["ReceiptDlqUrl"], MessageBody="no receipt")
    command = [Path(sys.executable).parent / "signet", "redrive", "--json"]
    done = subprocess.run(
        command, env={**os.environ, **stack.env}, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == {"moved": 1, "left": 0, "by": "receive and send"}
