"""The orders example's script, its second half: the receipts of the attached API are in the day's pack.

test_orders.py has made the calls, and test_loop.py has closed the day; closing it again changes nothing.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from local.stack import Stack
from tests.integration.test_orders import run, shell_env

pytestmark = pytest.mark.integration


def test_the_pack_says_which_api_and_route(stack: Stack, workplace: Path):
    if not (workplace / "reader.pem").is_file():
        pytest.skip("test_orders.py did not run before this")
    said = run(["examples/orders/attach.sh receipts"], shell_env(stack), workplace)
    counted = {found[1]: int(found[2]) for found in re.finditer(r"^  (.+): (\d+)$", said, re.MULTILINE)}
    assert re.search(r"^the pack of [0-9-]{10} is good; of the API orders it says:$", said, re.MULTILINE)
    assert counted["GET /orders/{id}  ok"] >= 1
    assert counted["GET /orders  challenge_required"] >= 1
