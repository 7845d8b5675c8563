"""What holds for all tests."""

from __future__ import annotations

import gc
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support import shared

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("signet", deadline=None)
settings.load_profile("signet")

TESTS = Path(__file__).parent
#: The files that take longest, longest first: where workers share the files, these begin, so that in the end
#: no worker waits for one of them.
LONGEST = (
    "unit/log/test_rotation.py",
    "unit/breaker/test_breaker_properties.py",
    "unit/pack/test_pack_of_log.py",
    "handlers/test_policy_push.py",
    "handlers/test_authorizer.py",
    "faults/test_faults.py",
    "unit/pack/test_pack_guide_corpus.py",
    "unit/pack/test_pack_guide.py",
    "unit/client/test_cli_environment.py",
    "unit/policy/test_policy_lint.py",
    "unit/policy/test_policy_check.py",
    "unit/client/test_terminal.py",
    "unit/project/test_mutants.py",
    "unit/log/test_sequencer.py",
    "unit/breaker/test_breaker_keeper.py",
    "unit/client/test_prove_check.py",
    "web/test_modules.py",
)
#: The files that share the deployed stack, in the order that they need; the command line cannot change it.
STACK_ORDER = (
    # Takes some things for as they are on a new stack.
    "test_doctor.py",
    "test_installed.py",
    "test_log_keys.py",
    # Registers an API and pushes a policy; takes both back. Its receipts are of the day that is closed next.
    "test_orders.py",
    "test_loop.py",
    # Reads the pack of that day.
    "test_orders_pack.py",
    "test_other_clients.py",
    "test_policy_swap.py",
    "test_stack.py",
    "test_tls_edge.py",
    # Registers APIs and pushes policies; takes both back.
    "test_snippets.py",
    # Makes the backend fail and trips the breaker; the files before it count decisions.
    "test_breaker.py",
    "test_two_backends.py",
    # Leaves a message that is no receipt in the receipt queue; the files before it wait for an empty queue.
    "test_redrive.py",
)
#: Where `make test` looks for tests of the mark ``integration``.
INTEGRATED = {"integration", "web"}


def pytest_configure(config: pytest.Config) -> None:
    """Give the run a folder for what its processes share; workers find it in their environment."""
    if not hasattr(config, "workerinput"):
        folder = tempfile.TemporaryDirectory(prefix="signet-tests-")
        os.environ[shared.FOLDER] = folder.name
        os.environ["SIGNET_STATE"] = f"{folder.name}/state"  # no test writes into the user's own folder
        config.add_cleanup(folder.cleanup)
        config.add_cleanup(lambda: os.environ.pop(shared.FOLDER, None))
        config.add_cleanup(lambda: os.environ.pop("SIGNET_STATE", None))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    marked = [item for item in items if item.get_closest_marker("integration")]
    lost = [item.nodeid for item in marked if _top(item) not in INTEGRATED]
    if lost:
        raise pytest.UsageError(f"make test finds integration tests in {sorted(INTEGRATED)} only: {lost}")
    _in_stack_order(items)
    if hasattr(config, "workerinput"):  # a worker of pytest-xdist
        gone = [name for name in LONGEST if not (TESTS / name).is_file()]
        if gone:
            raise pytest.UsageError(f"tests/conftest.py names files that are not there: {gone}")
        place = {TESTS / name: number for number, name in enumerate(LONGEST)}
        items.sort(key=lambda item: place.get(item.path, len(place)))


def pytest_collection_finish() -> None:
    """Take what was collected out of the garbage collector's rounds: it stays to the end."""
    gc.collect()
    gc.freeze()


def _in_stack_order(items: list[pytest.Item]) -> None:
    """Put the tests that share the stack into ``STACK_ORDER``; every other test keeps its place.

    Some tests count what is recorded on the stack's day, some leave behind what others would count.
    """
    places = [at for at, item in enumerate(items) if _top(item) == "integration"]
    unplaced = {items[at].path.name for at in places}.difference(STACK_ORDER)
    if unplaced:
        raise pytest.UsageError(f"tests/conftest.py: STACK_ORDER has no place for {sorted(unplaced)}")
    ordered = sorted((items[at] for at in places), key=lambda item: STACK_ORDER.index(item.path.name))
    for at, item in zip(places, ordered, strict=True):
        items[at] = item


def _top(item: pytest.Item) -> str:
    """The folder of the tests that an item lies in."""
    return item.path.relative_to(TESTS).parts[0] if item.path.is_relative_to(TESTS) else ""
