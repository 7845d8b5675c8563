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
        "tests/unit/core/test_canonical.py",
        "tests/unit/core/test_clocks.py",
        "tests/unit/core/test_instants.py",
        "tests/unit/core/test_verification.py",
        "tests/unit/core/test_target.py",
        "tests/unit/receipts/test_receipts*.py",
        "tests/unit/handshake/test_binding_field.py",
        "tests/unit/gateway/test_gateway_*.py",
        "tests/unit/handshake/test_proof_input.py",
        "tests/unit/handshake/test_components.py",
        "tests/unit/handshake/test_evidence.py",
        "tests/unit/receipts/test_chain.py",
        "tests/unit/log/test_sth.py",
        "tests/unit/log/test_note.py",
        "tests/unit/log/test_keys.py",
        "tests/vectors/test_jcs.py",
        "tests/unit/handshake/test_verifier*.py",
        "tests/unit/policy/test_policy_*.py",
        "tests/unit/log/test_sequencer.py",
        "tests/unit/log/test_emitters.py",
        "tests/unit/pack/test_pack_verify.py",
        "tests/handlers/test_client_admin.py",
        "tests/handlers/test_authorizer.py",
    ),
    f"{_LIBRARY}/log": (
        "tests/unit/log/test_merkle.py",
        "tests/unit/log/test_tiles.py",
        "tests/unit/log/test_staging.py",
        "tests/unit/log/test_sth.py",
        "tests/unit/log/test_note.py",
        "tests/unit/log/test_keys.py",
        "tests/unit/log/test_emitters.py",
        "tests/unit/log/test_sequencer.py",
        "tests/unit/log/test_rotation.py",
        "tests/unit/*/test_key*.py",
        "tests/unit/pack/test_kept.py",
        "tests/vectors/test_merkle.py",
        "tests/unit/pack/test_pack_verify.py",
        "tests/unit/pack/test_pack_build.py",
        "tests/unit/pack/test_pack_rotation.py",
        "tests/unit/pack/test_pack_corpus.py",
        "tests/unit/audit/test_audit*.py",
        "tests/handlers/test_log_stores.py",
        "tests/handlers/test_sth_cron.py",
        "tests/interop/test_tlog.py",
    ),
    f"{_LIBRARY}/receipts": (
        "tests/unit/receipts/test_receipts*.py",
        "tests/unit/core/test_canonical.py",
        "tests/unit/receipts/test_chain.py",
        "tests/unit/receipts/test_sink.py",
        "tests/vectors/test_jcs.py",
        "tests/handlers/test_receipt_sink.py",
        "tests/unit/log/test_emitters.py",
        "tests/unit/handshake/test_verifier.py",
        "tests/unit/pack/test_kept.py",
        "tests/unit/pack/test_pack_verify.py",
        "tests/unit/pack/test_pack_corpus.py",
    ),
    f"{_LIBRARY}/pack": (
        "tests/unit/pack/test_pack_*.py",
        "tests/handlers/test_pack.py",
        "tests/unit/client/test_cli_*.py",
    ),
    f"{_LIBRARY}/crypto": (
        "tests/unit/crypto/test_keyforms.py",
        "tests/unit/crypto/test_suites.py",
        "tests/unit/crypto/test_mldsa_provider.py",
        "tests/unit/crypto/test_keyfiles.py",
        "tests/unit/handshake/test_classical_fallback.py",
        "tests/vectors/*.py",
        "tests/handlers/test_client_admin.py",
    ),
    f"{_LIBRARY}/gateway": (
        "tests/unit/gateway/test_gateway_*.py",
        "tests/unit/handshake/test_verifier*.py",
        "tests/unit/backend/test_backend.py",
        "tests/unit/handshake/test_events.py",
        "tests/handlers/test_authorizer.py",
        "tests/handlers/test_evidence.py",
        "tests/handlers/test_public_keys.py",
    ),
    f"{_LIBRARY}/handshake": (
        "tests/unit/handshake/test_binding_field.py",
        "tests/unit/handshake/test_proof_input.py",
        "tests/unit/handshake/test_digest.py",
        "tests/unit/handshake/test_challenge.py",
        "tests/unit/handshake/test_evidence.py",
        "tests/unit/handshake/test_verifier*.py",
        "tests/unit/gateway/test_gateway_*.py",
        "tests/unit/handshake/test_components.py",
        "tests/unit/client/test_client_verifier.py",
        "tests/unit/handshake/test_events.py",
        "tests/unit/handshake/test_classical_fallback.py",
        "tests/unit/backend/test_backend.py",
        "tests/vectors/*.py",
        "tests/handlers/test_authorizer.py",
        "tests/handlers/test_evidence.py",
        "tests/handlers/test_edge_keys.py",
        "tests/handlers/test_client_admin.py",
        "tests/edge/test_binding.py",
    ),
    f"{_LIBRARY}/breaker": (
        "tests/unit/breaker/test_breaker_*.py",
        "tests/unit/handshake/test_steering.py",
        "tests/unit/breaker/test_fault.py",
        "tests/handlers/test_breaker_store.py",
        "tests/handlers/test_observe.py",
        "tests/handlers/test_authorizer.py",
    ),
    f"{_LIBRARY}/policy": (
        "tests/unit/policy/test_policy_*.py",
        "tests/unit/handshake/test_steering.py",
        "tests/handlers/test_policy_push.py",
        "tests/handlers/test_authorizer.py",
    ),
    f"{_LIBRARY}/audit": (
        "tests/unit/audit/test_audit*.py",
        "tests/unit/client/test_logsources.py",
        "tests/handlers/test_audit.py",
    ),
    f"{_LIBRARY}/pack/resources/verify.py": (
        "tests/unit/pack/test_pack_checker*.py",
        "tests/unit/pack/test_pack_corpus.py",
    ),
}

#: What takes longest comes last: most mutants are noticed before.
_SLOW: Final = frozenset(
    f"tests/{name}.py"
    for name in (
        "unit/log/test_rotation",
        "unit/log/test_sequencer",
        "unit/log/test_emitters",
        "unit/breaker/test_breaker_properties",
        "unit/breaker/test_breaker_keeper",
        "unit/pack/test_pack_of_log",
        "unit/pack/test_pack_pythons",
        "unit/pack/test_pack_guide",
        "unit/pack/test_pack_corpus",
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
    return sorted(found, key=lambda name: (stem not in Path(name).name, name in _SLOW))
