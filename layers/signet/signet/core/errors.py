"""Every error Signet raises on purpose.

    SignetError                    code: a stable word for programs; str(): a sentence for people
    ├── SignatureError             a signature, or a key or length it needs, is wrong
    ├── ProofError                 a Merkle proof does not prove what it claims
    ├── CanonicalError             a value has no canonical form, or bytes are not canonical
    ├── KeyFileError               a key file cannot be read or holds the wrong keys
    ├── Denied                     the handshake refuses a request; code is a decision code
    ├── PolicyError                the policy cannot be loaded or evaluated
    ├── UnavailableError           a store or queue cannot be used: try again, never guess
    │   ├── NotDoneError           and the call certainly had no effect
    │   └── MisconfiguredError     trying again does not help: a permission, name or key is wrong; says which
    ├── LogError                   the log contradicts itself: stop, change nothing, tell a person
    ├── PackError                  a compliance pack fails a check; names file, line, reason
    ├── AuditError                 a stored log fails a check of its audit; names place and reason
    ├── NotFoundError              what was asked for does not exist
    ├── NotReadyError              it will exist, but not yet
    └── UsageError                 the caller's input is wrong; says what to do instead

Errors are told apart by class and ``code``, never by the words of the message.
Messages never hold secrets, nonces or signature bytes.
"""

from __future__ import annotations

from typing import Final

from signet.core.decision import Reason

#: What ends the process; everything else, a panic of a parser in Rust included, is no way past a decision.
STOPS: Final = (KeyboardInterrupt, SystemExit, GeneratorExit)


class SignetError(Exception):
    """Base of all errors raised on purpose.

    Attributes:
        code: stable identifier, lower_snake_case.
    """

    code = "signet_error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class SignatureError(SignetError):
    """A signature does not verify, or a signature or key has a wrong length or encoding."""

    code = "bad_signature"


class ProofError(SignetError):
    """An inclusion or consistency proof is malformed or does not lead to the root."""

    code = "bad_proof"


class CanonicalError(SignetError):
    """A value is outside the canonical JSON subset, or bytes are not in canonical form."""

    code = "not_canonical"


class KeyFileError(SignetError):
    """A key file is missing, unreadable, or does not hold the key material its suite needs."""

    code = "bad_key_file"


class Denied(SignetError):  # noqa: N818 - a decision of the protocol, not a malfunction
    """The handshake refuses the request.

    Attributes:
        reason: why; ``code`` is its value.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message, code=reason.value)
        self.reason = reason


class PolicyError(SignetError):
    """The policy does not compile, does not evaluate, or answers in the wrong shape."""

    code = "policy_error"


class UnavailableError(SignetError):
    """A store, queue or secret cannot be reached now.

    The effect of the failed call is UNKNOWN: it may have happened. Callers either
    refuse (handshake) or repeat an idempotent operation (sink, log).
    """

    code = "store_unavailable"


class NotDoneError(UnavailableError):
    """A call that was refused for its rate, or never sent: it had no effect, and may be repeated as it is."""


class MisconfiguredError(UnavailableError):
    """A store, queue, secret or key cannot be used until a person changes something; says what.

    Callers refuse or leave their work to be taken up again, as with its base, but make no pause and no second
    try within an invocation. The breaker does not count it: sparing a backend restores no permission.

    Attributes:
        failed: what could not be done, and AWS's code for it; without the advice.
    """

    code = "misconfigured"

    def __init__(self, failed: str, advice: str) -> None:
        super().__init__(f"{failed}; trying again does not help: {advice}")
        self.failed = failed

    def for_callers(self) -> UnavailableError:
        """Return what callers are told: as much as of any outage, and nothing of the deployment."""
        return UnavailableError(self.failed.partition(":")[0])


class LogError(SignetError):
    """Stored state contradicts itself. Nothing was changed; a person has to look."""

    code = "log_contradiction"


class PackError(SignetError):
    """A compliance pack fails a check.

    Attributes:
        file: member of the pack the failure was found in.
        line: 1-based line in that member, or None.
        reason: one sentence without file and line.
    """

    code = "bad_pack"

    def __init__(self, reason: str, *, file: str, line: int | None = None, code: str | None = None) -> None:
        where = f"{file}:{line}" if line is not None else file
        super().__init__(f"{where}: {reason}", code=code)
        self.file = file
        self.line = line
        self.reason = reason


class AuditError(SignetError):
    """A stored log fails a check of its audit.

    Attributes:
        where: object, leaf or store item the fault is in.
        reason: one sentence without the place.
    """

    code = "bad_log"

    def __init__(self, reason: str, *, where: str, code: str) -> None:
        super().__init__(f"{where}: {reason}", code=code)
        self.where = where
        self.reason = reason


class NotFoundError(SignetError):
    """What was asked for does not exist."""

    code = "not_found"


class NotReadyError(SignetError):
    """What was asked for will exist later (a day that is not closed yet)."""

    code = "not_ready"


class UsageError(SignetError):
    """The caller's input is wrong; the message says what to do instead."""

    code = "usage"
