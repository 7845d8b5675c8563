"""The critical modules, and the tests that have to hold each: its own first, then those of its neighbours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
_LIBRARY: Final = "layers/signet/signet"

#: Folder or file of the library -> patterns of test files, from the quickest to the slowest.
TESTS: Final[Mapping[str, tuple[str, ...]]] = {
    f"{_LIBRARY}/core": (
        "tests/unit/test_canonical.py",
        "tests/unit/test_clocks.py",
        "tests/unit/test_verification.py",
        "tests/unit/test_target.py",
        "tests/unit/test_receipts*.py",
        "tests/unit/test_binding_field.py",
        "tests/unit/test_gateway_*.py",
        "tests/unit/test_proof_input.py",
        "tests/unit/test_components.py",
        "tests/unit/test_evidence.py",
        "tests/unit/test_chain.py",
        "tests/unit/test_sth.py",
        "tests/unit/test_note.py",
        "tests/unit/test_keys.py",
        "tests/vectors/test_jcs.py",
        "tests/unit/test_verifier*.py",
        "tests/unit/test_policy_*.py",
        "tests/unit/test_sequencer.py",
        "tests/unit/test_emitters.py",
        "tests/unit/test_pack_verify.py",
        "tests/handlers/test_client_admin.py",
        "tests/handlers/test_authorizer.py",
    ),
    f"{_LIBRARY}/log": (
        "tests/unit/test_merkle.py",
        "tests/unit/test_sth.py",
        "tests/unit/test_note.py",
        "tests/unit/test_keys.py",
        "tests/unit/test_emitters.py",
        "tests/unit/test_sequencer.py",
        "tests/unit/test_rotation.py",
        "tests/unit/test_key*.py",
        "tests/unit/test_kept.py",
        "tests/vectors/test_merkle.py",
        "tests/unit/test_pack_verify.py",
        "tests/unit/test_pack_build.py",
        "tests/unit/test_pack_rotation.py",
        "tests/unit/test_pack_corpus.py",
        "tests/unit/test_audit*.py",
        "tests/handlers/test_log_stores.py",
        "tests/handlers/test_sth_cron.py",
        "tests/interop/test_tlog.py",
    ),
    f"{_LIBRARY}/receipts": (
        "tests/unit/test_receipts*.py",
        "tests/unit/test_canonical.py",
        "tests/unit/test_chain.py",
        "tests/unit/test_sink.py",
        "tests/vectors/test_jcs.py",
        "tests/handlers/test_receipt_sink.py",
        "tests/unit/test_emitters.py",
        "tests/unit/test_verifier.py",
        "tests/unit/test_kept.py",
        "tests/unit/test_pack_verify.py",
        "tests/unit/test_pack_corpus.py",
    ),
    f"{_LIBRARY}/pack": (
        "tests/unit/test_pack_*.py",
        "tests/handlers/test_pack.py",
        "tests/unit/test_cli_*.py",
    ),
    f"{_LIBRARY}/crypto": (
        "tests/unit/test_keyforms.py",
        "tests/unit/test_suites.py",
        "tests/unit/test_mldsa_provider.py",
        "tests/unit/test_keyfiles.py",
        "tests/unit/test_classical_fallback.py",
        "tests/vectors/*.py",
        "tests/handlers/test_client_admin.py",
    ),
    f"{_LIBRARY}/gateway": (
        "tests/unit/test_gateway_*.py",
        "tests/unit/test_verifier*.py",
        "tests/unit/test_backend.py",
        "tests/unit/test_events.py",
        "tests/handlers/test_authorizer.py",
        "tests/handlers/test_evidence.py",
        "tests/handlers/test_public_keys.py",
    ),
    f"{_LIBRARY}/handshake": (
        "tests/unit/test_binding_field.py",
        "tests/unit/test_proof_input.py",
        "tests/unit/test_digest.py",
        "tests/unit/test_challenge.py",
        "tests/unit/test_evidence.py",
        "tests/unit/test_verifier*.py",
        "tests/unit/test_gateway_*.py",
        "tests/unit/test_components.py",
        "tests/unit/test_client_verifier.py",
        "tests/unit/test_events.py",
        "tests/unit/test_classical_fallback.py",
        "tests/unit/test_backend.py",
        "tests/vectors/*.py",
        "tests/handlers/test_authorizer.py",
        "tests/handlers/test_evidence.py",
        "tests/handlers/test_edge_keys.py",
        "tests/handlers/test_client_admin.py",
        "tests/edge/test_binding.py",
    ),
    f"{_LIBRARY}/breaker": (
        "tests/unit/test_breaker_*.py",
        "tests/unit/test_steering.py",
        "tests/unit/test_fault.py",
        "tests/handlers/test_breaker_store.py",
        "tests/handlers/test_observe.py",
        "tests/handlers/test_authorizer.py",
    ),
    f"{_LIBRARY}/policy": (
        "tests/unit/test_policy_*.py",
        "tests/unit/test_steering.py",
        "tests/handlers/test_policy_push.py",
        "tests/handlers/test_authorizer.py",
    ),
    f"{_LIBRARY}/audit": (
        "tests/unit/test_audit*.py",
        "tests/unit/test_logsources.py",
        "tests/handlers/test_audit.py",
    ),
    f"{_LIBRARY}/pack/resources/verify.py": (
        "tests/unit/test_pack_checker.py",
        "tests/unit/test_pack_corpus.py",
    ),
}

#: What takes longest comes last: most mutants are noticed before.
_SLOW: Final = frozenset(
    f"tests/{name}.py"
    for name in (
        "unit/test_rotation",
        "unit/test_sequencer",
        "unit/test_emitters",
        "unit/test_breaker_properties",
        "unit/test_breaker_keeper",
        "unit/test_pack_of_log",
        "unit/test_pack_pythons",
        "unit/test_pack_guide",
        "unit/test_pack_corpus",
        "handlers/test_authorizer",
        "handlers/test_policy_push",
    )
)


def critical() -> Iterator[str]:
    """Yield the path of every critical module, relative to the repository."""
    for place in TESTS:
        for file in sorted((ROOT / place).glob("*.py")) if (ROOT / place).is_dir() else [ROOT / place]:
            if file.name != "__init__.py" or file.stat().st_size > 1000:
                yield file.relative_to(ROOT).as_posix()


def files_for(module: str) -> list[str]:
    """Return the test files that have to hold a module; those that bear its name come first."""
    place = max((place for place in TESTS if module.startswith(place)), key=len)
    found: dict[str, None] = {}
    for pattern in TESTS[place]:
        files = sorted(ROOT.glob(pattern))
        if not files:
            raise FileNotFoundError(f"no test file is called {pattern}: mend tests/mutants/modules.py")
        found.update(dict.fromkeys(file.relative_to(ROOT).as_posix() for file in files))
    stem = Path(module).stem.strip("_")
    return sorted(found, key=lambda name: (stem not in name, name in _SLOW))
