"""Requests of httpx whose proof stays where it belongs.

``httpx.Auth`` says what is sent, but not whether redirects are followed: that is the client's setting, and
httpx copies every field but ``Authorization`` to the target of a redirect. So

- the proof's fields are not among those that a copy takes along (``ProvenFields``);
- what is sent aside (for a challenge, or a bundle) refuses to be redirected at all (``_Fixed``).

Both rest on how httpx 0.28 makes a request out of a redirect (``Client._build_redirect_request``). Tests with
servers on two origins hold it, and ``own_request`` refuses to sign where a copy would hold the proof.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import Any

import httpx

from signet.core.errors import UsageError
from signet_client.messages import PROVE, FetchChallenge, PostEvidence, SendRequest
from signet_client.signing import PROOF_FIELDS


class ProvenFields(httpx.Headers):
    """Header fields that show a proof to code that reads or sends them, and not to code that copies them.

    ``httpx.Headers(fields)``, which a redirect begins with, takes over the list inside, and not the proof.
    """

    def __init__(self, fields: httpx.Headers, proof: Mapping[str, str]) -> None:
        """Take the request's own fields and what the proof adds to them or replaces."""
        super().__init__([(name, value) for name, value in fields.raw if name.lower() not in _PROOF_NAMES])
        self._proof = [(name.encode("ascii"), value.encode("ascii")) for name, value in proof.items()]

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        """See ``httpx.Headers``; what goes over the wire."""
        replaced = {name.lower() for name, _ in self._proof}
        return [*((name, value) for name, value in super().raw if name.lower() not in replaced), *self._proof]

    def _shown(self) -> httpx.Headers:
        return httpx.Headers(self.raw)

    def keys(self) -> KeysView[str]:  # noqa: D102 - httpx says it
        return self._shown().keys()

    def values(self) -> ValuesView[str]:  # noqa: D102 - httpx says it
        return self._shown().values()

    def items(self) -> ItemsView[str, str]:  # noqa: D102 - httpx says it
        return self._shown().items()

    def multi_items(self) -> list[tuple[str, str]]:  # noqa: D102 - httpx says it
        return self._shown().multi_items()

    def get_list(self, key: str, split_commas: bool = False) -> list[str]:  # noqa: D102, FBT001, FBT002
        return self._shown().get_list(key, split_commas)

    def __getitem__(self, key: str) -> str:
        return self._shown()[key]

    def __contains__(self, key: object) -> bool:
        return key in self._shown()

    def __iter__(self) -> Iterator[str]:
        return iter(self._shown())

    def __len__(self) -> int:
        return len(self._shown())


class _Fixed(httpx.URL):
    """An address that no redirect leads away from: httpx asks for the fragment only to make a redirect."""

    @property
    def fragment(self) -> str:
        raise UsageError(
            f"{self} answers with a redirect; where challenges come from and evidence goes no redirect is "
            "followed. Give the address of the API's /pch/challenge (challenge_url)"
        )


_PROOF_NAMES = frozenset(name.encode() for name in PROOF_FIELDS)


def own_request(step: SendRequest, request: httpx.Request) -> httpx.Request:
    """Return the caller's request as a step wants it sent.

    Raises:
        UsageError: this version of httpx would take the proof along to where a redirect leads.
    """
    made = httpx.Request(
        request.method,
        step.request.url,
        stream=request.stream,
        extensions={**request.extensions, PROVE: step.prove},
    )
    made.read()
    made.headers = ProvenFields(request.headers, step.fields)
    copied = {name.lower() for name, _ in httpx.Headers(made.headers).raw}
    if copied & _PROOF_NAMES:
        raise UsageError(f"httpx {httpx.__version__} copies proofs to redirects; use httpx 0.28")
    return made


def aside_request(step: FetchChallenge | PostEvidence, request: httpx.Request) -> httpx.Request:
    """Return what is sent aside: with the caller's timeouts, without its cookies and credentials."""
    extensions: dict[str, Any] = {name: value for name, value in request.extensions.items() if name != PROVE}
    if isinstance(step, FetchChallenge):
        made = httpx.Request("GET", step.url, extensions=extensions)
    else:
        made = httpx.Request(
            "POST", step.url, headers=step.fields, content=step.bundle, extensions=extensions
        )
    made.url = _Fixed(step.url)
    return made


def read_content(request: httpx.Request) -> None:
    """Read the content, to be signed.

    Raises:
        UsageError: it is none that can be sent.
    """
    try:
        request.read()
    except TypeError as error:
        raise UsageError(_NO_CONTENT) from error
    _state_length(request)


async def aread_content(request: httpx.Request) -> None:
    """Read the content, to be signed; see ``read_content``."""
    try:
        await request.aread()
    except TypeError as error:
        raise UsageError(_NO_CONTENT) from error
    _state_length(request)


_NO_CONTENT = "the content cannot be signed: httpx takes bytes, text, or an iterable of bytes (not of text)"


def _state_length(request: httpx.Request) -> None:
    # The content was read to be signed; sent again, it need not be cut into chunks of unknown length.
    if request.headers.pop("transfer-encoding", None) is not None:
        request.headers["content-length"] = str(len(request.content))
