"""Which part of a proof travels where: in header fields while they fit, else in a bundle.

Three forms, from the most header bytes to the fewest (docs/protocol.md): everything inline; the evidence
in a bundle; evidence and signature in a bundle. A client takes the first that fits its challenge's budget.

A signature over the TLS exporter is made when the request goes out on its connection, after any bundle was
posted: there the signature stays in its header field and only the evidence can go apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from signet.core.encoding import decode_base64
from signet.core.errors import CanonicalError, UsageError
from signet.core.vocabulary import BindingType
from signet.handshake.challenge import Challenge
from signet.handshake.digest import content_digest
from signet.handshake.evidence import MAX_BUNDLE_BYTES, Bundle
from signet_client.signing import LIFETIME_S, Plain, Signed, Signer, binding_field, evidence_field, sign

MODES: Final = ("auto", "inline", "detached")

#: Bytes of header values that gateways and edges add on the way (X-Forwarded-For, trace ids, attestations):
#: the server counts them too, and a client cannot see them.
RESERVE: Final = 768

#: As long as any exporter's field: in its place while a late signature is measured, and never sent.
_ANY_EXPORTER: Final = binding_field(BindingType.TLS_EXPORTER, bytes(32))


class Form(IntEnum):
    """How a proof is laid out; a greater one puts less into header fields."""

    INLINE = 0
    EVIDENCE_APART = 1
    DETACHED = 2


@dataclass(frozen=True, slots=True)
class Channel:
    """How requests are bound to their connection.

    Attributes:
        field: ``PCH-Channel-Binding`` of every request, or None.
        late: whether each connection says its own when a request goes out on it (tls-exporter).
    """

    field: str | None = None
    late: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """A proof that is ready to be sent; of a late channel, one that is only as large as that.

    Attributes:
        form: how it is laid out.
        signed: header fields to set on the request, and what was signed.
        bundle: what has to be posted before, or None.
    """

    form: Form
    signed: Signed
    bundle: bytes | None


@dataclass(frozen=True, slots=True)
class ProofPlacement:
    """Decides which part of a proof travels where, and makes proofs that fit.

    Attributes:
        signer: the caller's key.
        evidence: canonical JSON to put on record with each request, or None.
        mode: ``auto``, ``inline`` or ``detached``.
        channel: how requests are bound to their connection.
        cover: components to cover beside the usual ones, of what a request has.

    Raises:
        UsageError: nothing of the proofs can be detached, and mode is ``detached``.
    """

    signer: Signer
    evidence: bytes | None = None
    mode: str = "auto"
    channel: Channel = Channel()
    cover: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what could never be laid out."""
        if self.mode == "detached" and self.channel.late and self.evidence is None:
            raise UsageError(
                "with the binding tls-exporter only evidence can be detached, and there is none; "
                "give evidence, or use mode auto"
            )

    def prepare(
        self, request: Plain, challenge: Challenge, *, now: int, least: Form = Form.INLINE
    ) -> Prepared:
        """Sign a request in the first form that fits, or else in the smallest.

        With a late channel the outcome tells the form and brings the bundle; the signature in it is over
        no connection, and ``in_form`` makes the one to send.

        Args:
            request: what is to be sent.
            challenge: the one that is answered; a ``header_budget`` of 0 says that it names none.
            now: Unix seconds.
            least: in mode ``auto``, the first form to try.

        Raises:
            UsageError: the request cannot be signed, or does not fit into a bundle.
        """
        binding = _ANY_EXPORTER if self.channel.late else self.channel.field
        first, *further = self._forms(least)
        budget = challenge.header_budget
        prepared = self.in_form(first, request, challenge, now=now, binding=binding)
        for form in further:
            if not budget or header_bytes(request, prepared.signed.fields) + RESERVE <= budget:
                break
            prepared = self.in_form(form, request, challenge, now=now, binding=binding)
        return prepared

    def has_smaller_form(self, form: Form) -> bool:
        """Tell whether there is a form with fewer header bytes to try."""
        return form < self._forms(Form.INLINE)[-1]

    def in_form(
        self, form: Form, request: Plain, challenge: Challenge, *, now: int, binding: str | None
    ) -> Prepared:
        """Sign a request in one form.

        Args:
            form: how to lay the proof out.
            request: what is to be sent.
            challenge: the one that is answered.
            now: Unix seconds.
            binding: ``PCH-Channel-Binding`` field value, or None.

        Raises:
            UsageError: the request cannot be signed, or does not fit into a bundle.
        """
        inline = form is Form.INLINE
        signed = sign(
            request,
            self.signer,
            nonce=challenge.nonce,
            now=now,
            lifetime_s=min(LIFETIME_S, challenge.max_age or LIFETIME_S),
            cover=(*self.cover, *challenge.components),
            evidence=evidence_field(self.evidence) if inline and self.evidence is not None else None,
            evidence_digest=content_digest(self.evidence)
            if not inline and self.evidence is not None
            else None,
            binding=binding,
        )
        if inline:
            return Prepared(form, signed, None)
        fields = dict(signed.fields)
        signature = None
        if form is Form.DETACHED:
            signature = decode_base64(fields.pop("Signature").removeprefix("pch=:").removesuffix(":"))
        bundle = _encode(Bundle(self.evidence, signature))
        return Prepared(form, Signed({**fields, "PCH-Proof": content_digest(bundle)}, signed.base), bundle)

    def _forms(self, least: Form) -> list[Form]:
        """Return the forms to try in turn, at least one."""
        possible = [Form.INLINE]
        if self.evidence is not None:
            possible.append(Form.EVIDENCE_APART)
        if not self.channel.late:
            possible.append(Form.DETACHED)
        if self.mode != "auto":
            return [Form.INLINE if self.mode == "inline" else possible[-1]]
        return [form for form in possible if form >= least] or possible[-1:]


def header_bytes(request: Plain, fields: Mapping[str, str]) -> int:
    """Return the size of all header values, as the server counts them but for what is added on the way."""
    replaced = {name.lower() for name in fields}
    own = (value for name, value in request.headers.items() if name not in replaced)
    return sum(len(value.encode()) for value in (*own, *fields.values()))


def check_mode(mode: str) -> None:
    """Refuse a mode that does not exist.

    Raises:
        UsageError: it is none of ``MODES``.
    """
    if mode not in MODES:
        raise UsageError(f"there is no mode {mode!r}; use one of {', '.join(MODES)}")


def _encode(bundle: Bundle) -> bytes:
    try:
        encoded = bundle.encode()
    except CanonicalError as error:
        raise UsageError(f"the evidence cannot be sent apart: {error}") from error
    if len(encoded) > MAX_BUNDLE_BYTES:
        raise UsageError(
            f"evidence and signature take {len(encoded)} bytes, a bundle takes {MAX_BUNDLE_BYTES}; "
            "send less evidence, or a hash of it"
        )
    return encoded
