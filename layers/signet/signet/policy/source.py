"""The policy in force, looked up again every minute: a pushed one takes over without a deployment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from signet.core.errors import PolicyError, SignetError
from signet.core.ports import LockStore, ObjectStore
from signet.policy.bundle import policy_bundle_sha256
from signet.policy.engine import PolicyEngine
from signet.policy.loading import MAX_FILES, load
from signet.policy.register import Pushed, Version, may_follow, object_key


class PolicyInForce:
    """Implements ``signet.policy.engine.PolicySource``: what was pushed last, or else what was deployed.

    A policy replaces the one before only when all of it is here: read, held against its hash, compiled and
    looked at. Until then, and while the register cannot be read or has gone back, the one before stays. An
    environment that has none yet refuses: deciding by an older one could allow what was just forbidden.
    """

    def __init__(
        self,
        deployed: Mapping[str, bytes],
        register: LockStore,
        objects: Callable[[], ObjectStore],
        *,
        clock: Callable[[], float],
        refresh_s: float,
        report: Callable[[SignetError], None],
    ) -> None:
        """Prepare; nothing is read or compiled before the first decision.

        Args:
            deployed: the files that came with the code.
            register: the register ``policy``.
            objects: gives the log bucket; called when a pushed policy has to be read.
            clock: seconds that have passed, by two clocks (``signet.core.clocks.Elapsed``).
            refresh_s: for how long the register is not asked again.
            report: is told why a policy was not loaded, once per try.
        """
        self._deployed = dict(deployed)
        self._epoch = policy_bundle_sha256(deployed)
        self._register = register
        self._objects = objects
        self._clock = clock
        self._refresh_s = refresh_s
        self._report = report
        self._engine: PolicyEngine | None = None
        self._seen: Version | None = None
        self._due = 0.0
        self._lock = threading.Lock()

    @property
    def epoch(self) -> str:
        """The deployed bundle's digest: a push leaves challenges alive, a deployment does not."""
        return self._epoch

    def current(self) -> PolicyEngine:
        """Return the policy to decide by; every ``refresh_s`` seconds this takes one read of the register.

        Raises:
            PolicyError: there is none here yet, and the one in force is broken.
            UnavailableError: there is none here yet, and register or bucket cannot be reached.
            LogError: there is none here yet, and the register is damaged.
        """
        with self._lock:
            engine, now = self._engine, self._clock()
            if engine is None or now >= self._due:
                engine = self._engine = self._refreshed(engine)
                self._due = now + self._refresh_s  # counted from before the read
            return engine

    def _refreshed(self, last: PolicyEngine | None) -> PolicyEngine:
        try:
            pushed = self._read()
            wanted = self._epoch if pushed is None else pushed.version.bundle_sha256
            if last is not None and last.bundle_sha256 == wanted:
                engine = last
            else:
                engine = load(
                    self._deployed if pushed is None or wanted == self._epoch else self._fetched(pushed)
                )
        except SignetError as error:
            self._report(error)
            if last is None:
                raise
            return last
        engine.version = 0 if pushed is None else pushed.version.n  # the same files may be pushed again
        return engine

    def _read(self) -> Pushed | None:
        """Read the register; its number only rises, so an environment that has seen it knows a step back."""
        value = self._register.read()
        pushed = None if value is None else Pushed.decode(value)
        version = None if pushed is None else pushed.version
        if self._seen is not None and not may_follow(self._seen, version):
            raise PolicyError(
                "the register of pushed policies went back, or changed without a push: find out who did it, "
                f"then push what shall be in force with --above {self._seen.n}",
                code="policy_went_back",
            )
        self._seen = version
        return pushed

    def _fetched(self, pushed: Pushed) -> dict[str, bytes]:
        """Read a policy's files; they are trusted for their hash, not for where they lie."""
        if len(pushed.files) > MAX_FILES:
            raise PolicyError("the pushed policy has too many files")
        digest, objects = pushed.version.bundle_sha256, self._objects()
        files = {}
        for name in pushed.files:
            body = objects.get(object_key(digest, name))
            if body is None:
                raise PolicyError(f"the pushed policy's file {name} is not in the log bucket")
            files[name] = body
        if policy_bundle_sha256(files) != digest:
            raise PolicyError("the pushed policy's files do not have its hash")
        return files
