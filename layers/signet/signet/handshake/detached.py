"""Detached proofs: fetching what a request left out of its header fields.

Signature and evidence are each in exactly one place, header field or bundle; what is in two places, or in
none, is refused. The caller's signature covers the evidence by its digest, so that a bundle cannot
bring any of its own.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from signet.core.decision import Reason
from signet.core.errors import CanonicalError, Denied
from signet.core.ports import BundleStore
from signet.handshake.evidence import Bundle, read_bundle
from signet.handshake.proof import Proof


def complete(proof: Proof, bundles: BundleStore, *, now: int) -> Proof:
    """Return the proof with what its bundle brings; an inline proof costs nothing and stays as it is.

    Args:
        proof: as parsed from the header fields.
        bundles: where bundles are.
        now: Unix seconds.

    Raises:
        Denied: ``evidence_missing`` if the bundle, or evidence in it, is not there;
            ``evidence_mismatch`` if it is not what the request says.
        UnavailableError: the store cannot be reached.
    """
    if proof.bundle_sha256 is None:
        return proof
    stored = bundles.get(proof.bundle_sha256, now=now)
    if stored is None:
        raise Denied(Reason.EVIDENCE_MISSING, "the detached proof is not stored here; post the bundle again")
    if hashlib.sha256(stored).digest() != proof.bundle_sha256:
        _mismatch("the stored bundle is not the one the request names")
    try:
        bundle = read_bundle(stored)
    except CanonicalError as error:
        raise Denied(Reason.EVIDENCE_MISMATCH, "the bundle is malformed") from error
    if (bundle.signature is None) == (proof.signature is None):
        _mismatch("the signature has to be in the header or in the bundle, and not in both")
    _check_evidence(proof, bundle)
    return replace(
        proof,
        signature=proof.signature if bundle.signature is None else bundle.signature,
        evidence=proof.evidence if bundle.evidence is None else bundle.evidence,
    )


def _check_evidence(proof: Proof, bundle: Bundle) -> None:
    if bundle.evidence is None:
        if proof.evidence_sha256 is not None and proof.evidence is None:
            raise Denied(Reason.EVIDENCE_MISSING, "the bundle does not hold the evidence that was signed")
        return
    if proof.evidence is not None:
        _mismatch("there is evidence both in the header and in the bundle")
    if hashlib.sha256(bundle.evidence).hexdigest() != proof.evidence_sha256:
        _mismatch("the evidence in the bundle is not the one that was signed")


def _mismatch(message: str) -> None:
    raise Denied(Reason.EVIDENCE_MISMATCH, message)
