import re

import pytest

from tests.mutants.equivalent import EQUIVALENT, ONLY_QUICKER, is_equivalent
from tests.mutants.modules import ROOT, critical, files_for
from tests.mutants.operators import mutants
from tests.mutants.runner import Copy, Outcome

SOURCE = b'''
__all__ = ["f"]
size: int = field(init=False)
rules = [(size, "is no rule")]
def f(a, b):
    """A text for people."""
    if a < 3 and not b:
        log.append("x")
    raise Wrong(f"no {a + 1}", code="bad") if a in ("up", "down") else a - b
'''


def test_each_kind_of_change_is_found_once_and_texts_for_people_are_left_alone():
    found = [one.after for one in mutants("m.py", SOURCE)]
    assert sorted(found) == sorted(
        [
            "if False and (a < 3 and not b):",
            "if True or (a < 3 and not b):",
            "if a <= 3 and not b:",
            "if a < 4 and not b:",
            "if a < 3 or not b:",
            "if a < 3 and b:",
            "None",
            'raise Wrong(f"no {a + 1}", code="bad~") if a in ("up", "down") else a - b',
            'raise Wrong(f"no {a + 1}", code="bad") if False and (a in ("up", "down")) else a - b',
            'raise Wrong(f"no {a + 1}", code="bad") if True or (a in ("up", "down")) else a - b',
            'raise Wrong(f"no {a + 1}", code="bad") if a not in ("up", "down") else a - b',
            'raise Wrong(f"no {a + 1}", code="bad") if a in ("up~", "down") else a - b',
            'raise Wrong(f"no {a + 1}", code="bad") if a in ("up", "down~") else a - b',
            'raise Wrong(f"no {a + 1}", code="bad") if a in ("up", "down") else a + b',
        ]
    )


def test_every_critical_module_has_tests_that_exist():
    modules = list(critical())
    assert len(modules) > 50
    for module in modules:
        assert all((ROOT / name).is_file() for name in files_for(module))


def test_what_is_named_equivalent_is_still_there():
    everything = [one for name in critical() for one in mutants(name, (ROOT / name).read_bytes())]
    assert EQUIVALENT.keys() <= {(one.module, one.before, one.after) for one in everything}
    left_out = [one for one in everything if is_equivalent(one)]
    assert {(one.module, re.match(r"\w+", one.before)[0]) for one in left_out} >= ONLY_QUICKER.keys()
    assert len(left_out) < len(everything) / 50


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    made = Copy(tmp_path_factory.mktemp("copy"))
    yield made
    made.close()


@pytest.mark.long
def test_a_mutant_lives_in_the_copy_only_and_is_noticed(copy):
    module, tests = "layers/signet/signet/core/instants.py", ["tests/unit/receipts/test_receipts.py"]
    source = (ROOT / module).read_bytes()
    mutant = next(one for one in mutants(module, source) if "<<" in one.before)
    assert copy.judge(mutant, [tests], timeout_s=120) is Outcome.NOTICED
    assert (ROOT / module).read_bytes() == source == (copy.folder / module).read_bytes()
    assert copy.first_failure(tests, timeout_s=120) is None


@pytest.mark.long
def test_a_test_that_fails_anyway_notices_nothing(copy):
    module = "layers/signet/signet/core/instants.py"
    mutant = next(iter(mutants(module, (ROOT / module).read_bytes())))
    copy.write("tests/unit/test_broken.py", b"def test_broken():\n    assert False\n")
    assert copy.judge(mutant, [["tests/unit/test_broken.py"]], timeout_s=120) is Outcome.UNDECIDED
    copy.write("tests/unit/test_broken.py", b"def test_idle():\n    pass\n")
    assert copy.judge(mutant, [["tests/unit/test_broken.py"]], timeout_s=120) is Outcome.SURVIVED
