"""``signet prove``: take the proof of one receipt out of a pack or the log, and check such a proof."""

# ruff: noqa: PLC0415 - cryptography is loaded when the command runs, not for --help

from __future__ import annotations

from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from signet.core.errors import PackError, UsageError
from signet.core.verification import Failure, Notice
from signet_client.cli.common import JsonOption, StackOption, check_log_id
from signet_client.cli.verdicts import LogIdOption, Verdict, deliver, notices_object, reading
from signet_client.files import writing
from signet_client.stack import DEFAULT_STACK
from signet_client.terminal import say, say_bytes

if TYPE_CHECKING:
    from signet.pack.proofs import ProvedReceipt
    from signet.pack.prove import ReceiptProof
    from signet.receipts.reading import Receipt


class ProofFormat(StrEnum):
    """How a proof is written."""

    JSON = "json"
    TLOG_PROOF = "tlog-proof"
    COSE = "cose"
    COSE_ML_DSA_65 = "cose-ml-dsa-65"


#: Forms for which a pack has all that it takes.
_OF_PACKS = (ProofFormat.JSON, ProofFormat.TLOG_PROOF)


def prove(
    *,
    pack: Annotated[
        Path | None, typer.Argument(metavar="[PACK]", help="A compliance pack (signet pack).")
    ] = None,
    receipt_id: Annotated[
        str | None, typer.Argument(metavar="[RECEIPT_ID]", help="Id of the receipt (a UUID).")
    ] = None,
    form: Annotated[
        ProofFormat, typer.Option("--format", help="json, C2SP tlog-proof, or with --now a COSE receipt.")
    ] = ProofFormat.JSON,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write; else standard output.")
    ] = None,
    check: Annotated[
        Path | None, typer.Option("--check", help="Check this proof instead of writing one.")
    ] = None,
    log_id: LogIdOption = None,
    receipt: Annotated[
        Path | None,
        typer.Option("--receipt", help="With --check of tlog-proof or COSE: the receipt's bytes."),
    ] = None,
    keys: Annotated[
        Path | None, typer.Option("--keys", help="With --check of tlog-proof or COSE: the log's keys.json.")
    ] = None,
    now: Annotated[
        str | None,
        typer.Option(
            "--now",
            metavar="RECEIPT_ID",
            help="Prove this receipt out of the log itself, by its newest head.",
        ),
    ] = None,
    log: Annotated[
        str | None, typer.Option("--log", help="With --now: folder or URL of a log; else the stack's own.")
    ] = None,
    stack: StackOption = DEFAULT_STACK,
    as_json: JsonOption = False,
) -> None:
    """Write the proof that one receipt is in the log, to hand on without the rest of the pack.

    With --now the log itself is read, minutes after the call: no pack of the day is needed. Of a day that is
    not closed the newest signed head proves the receipt. The proof is checked before it is written.

    With --check read such a proof: exit 0 if it proves its receipt, 1 if it does not. A proof in JSON has
    all that it takes but the log's id; tlog-proof and COSE have neither receipt nor keys: give them.

    A COSE receipt has one of the log's two signatures: Ed25519 with --format cose, else ML-DSA-65.
    """
    if log is not None and now is None:
        raise UsageError("--log goes with --now")
    if now is not None:
        if pack is not None or check is not None or receipt is not None or keys is not None or as_json:
            raise UsageError(
                "--now goes with --log or --stack, --log-id, --format and -o, and with nothing else"
            )
        if log_id is not None:
            check_log_id(log_id)
        proof, data = _prove_now(now, log, stack, log_id, form)
        _deliver(proof, data, now, output)
        return
    if check is not None:
        if pack is not None or output is not None:
            raise UsageError("--check reads one proof, and writes nothing: leave out PACK, RECEIPT_ID and -o")
        if log_id is not None:
            check_log_id(log_id)
        _check(check, log_id, receipt, keys, as_json=as_json)
        return
    if pack is None or receipt_id is None:
        raise UsageError("give PACK and RECEIPT_ID to write a proof, or --check FILE to check one")
    if receipt is not None or keys is not None or as_json:
        raise UsageError("--receipt, --keys and --json go with --check")
    _write(pack, receipt_id, form, output)


def _write(pack: Path, receipt_id: str, form: ProofFormat, output: Path | None) -> None:
    from signet.pack.prove import prove_receipt

    if form not in _OF_PACKS:
        raise UsageError("a pack has no COSE signatures: --format cose goes with --now, which reads the log")
    with pack.open("rb") as file:
        proof = prove_receipt(file, receipt_id)
    _deliver(proof, _encoded(proof, form), receipt_id, output)


def _prove_now(
    receipt_id: str, log: str | None, stack: str, log_id: str | None, form: ProofFormat
) -> tuple[ReceiptProof, bytes]:
    from signet.log.keys import Algorithm
    from signet.pack.now import cose_receipt, prove_now
    from signet_client.logsources import open_source, open_stack

    with reading("reading the log") as progress:
        if log is None:
            opened: AbstractContextManager[Any] = open_stack(stack)
        else:
            opened = open_source(log)
        with opened as found:
            source = found[0] if log is None else found
            proof = prove_now(source.get, receipt_id, log_id=log_id, progress=progress)
            if form in _OF_PACKS:
                data = _encoded(proof, form)
            else:
                alg = Algorithm.ED25519 if form is ProofFormat.COSE else Algorithm.ML_DSA_65
                data = cose_receipt(source.get, proof, alg)
    if log_id is None:
        text = f"without --log-id the log is held to itself only; it says that it is {proof.keys.log_id}"
        say(f"WARNING {text}", err=True)
    return proof, data


def _encoded(proof: ReceiptProof, form: ProofFormat) -> bytes:
    return proof.to_json() + b"\n" if form is ProofFormat.JSON else proof.to_tlog_proof()


def _deliver(proof: ReceiptProof, data: bytes, receipt_id: str, output: Path | None) -> None:
    if output is not None:
        with writing(output):
            output.write_bytes(data)
        say(f"wrote {output}: receipt {receipt_id} is leaf {proof.leaf_index}", err=True)
    else:
        say_bytes(data)


def _check(
    proof: Path, log_id: str | None, receipt: Path | None, keys: Path | None, *, as_json: bool
) -> None:
    from signet.pack.proofs import COSE, TLOG_PROOF, check_cose_receipt, check_proof, check_tlog_proof

    data = _read(proof)
    is_cose = data.startswith(COSE)
    is_bare = is_cose or data.startswith(TLOG_PROOF)
    if is_bare != (receipt is not None) or is_bare != (keys is not None):
        raise UsageError(
            "--receipt and --keys go with tlog-proof and COSE, which have neither; with JSON leave them out"
        )
    found: ProvedReceipt | None = None
    failure: Failure | None = None
    try:
        if receipt is None or keys is None:
            found = check_proof(data, log_id=log_id)
        else:
            leaf = _read(receipt).removesuffix(b"\n")
            checked = check_cose_receipt if is_cose else check_tlog_proof
            found = checked(data, receipt=leaf, keys=_read(keys), log_id=log_id)
    except PackError as error:
        failure = Failure.of(error, error.file)
    text = "without --log-id this shows only that the proof agrees with itself, not whose log it is"
    notices = [] if log_id is not None or found is None else [Notice("log_id_not_pinned", text)]
    if found is not None and len(found.signed_by) == 1:
        text = (
            f"of the log's two signatures this proof has one, {found.signed_by[0]}: it is as strong as that"
        )
        notices.append(Notice("one_signature", text))
    deliver(_verdict(found, failure, notices), _report_object(found, failure, notices), as_json=as_json)


def _read(path: Path) -> bytes:
    """Read a small file: one that was sent may be of any size."""
    from signet.pack.layout import MAX_MEMBER_BYTES

    with path.open("rb") as file:
        data = file.read(MAX_MEMBER_BYTES + 1)
    if len(data) > MAX_MEMBER_BYTES:
        raise UsageError(f"{path} is larger than any proof, receipt or keys.json; is it the right file?")
    return data


def _verdict(found: ProvedReceipt | None, failure: Failure | None, notices: list[Notice]) -> Verdict:
    facts: list[tuple[str, object]] = []
    if found is not None:
        facts = [
            ("log id", found.log_id),
            ("receipt", found.receipt.id),
            ("type", found.receipt.type),
            *((("reason", found.receipt.reason),) if found.receipt.reason else ()),
            *_called(found.receipt),
            ("leaf", f"{found.leaf_index} of a tree of {found.tree_size}"),
            *((("day", found.head.date),) if found.head else ()),
            ("signed by the log with", ", ".join(found.signed_by)),
            *(
                (("other signatures, not checked", ", ".join(found.not_checked)),)
                if found.not_checked
                else ()
            ),
        ]
    return Verdict(
        good=found is not None,
        sentence="this receipt is in the log, as it stands here."
        if found is not None
        else "this does not prove that its receipt is in the log.",
        passed=(),
        failures=[] if failure is None else [f"{failure} [{failure.code}]"],
        facts=facts,
        gaps=(),
        gaps_in="",
        notices=notices,
        not_shown=(
            "that the caller named really made this call: who called is the operator's word",
            "that others were shown the same log: signet compare, with a pack or head of theirs, shows it",
        ),
    )


def _called(receipt: Receipt) -> list[tuple[str, object]]:
    """Return what was called, as far as the receipt says so: a decision of version 2 does."""
    if receipt.reason is None or not receipt.table.names_apis:
        return []
    return [("API", receipt.api or "not known"), ("route", receipt.members["route"] or "not known")]


def _report_object(
    found: ProvedReceipt | None, failure: Failure | None, notices: list[Notice]
) -> dict[str, Any]:
    return {
        "log_id": found.log_id if found else None,
        "receipt_id": found.receipt.id if found else None,
        "leaf_index": found.leaf_index if found else None,
        "tree_size": found.tree_size if found else None,
        "signed_by": list(found.signed_by) if found else [],
        "not_checked": list(found.not_checked) if found else [],
        "date": found.head.date.isoformat() if found and found.head else None,
        "notices": notices_object(notices),
        "failures": []
        if failure is None
        else [{"code": failure.code, "file": failure.where, "reason": failure.reason}],
    }
