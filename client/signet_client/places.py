"""Where a compliance pack can come from: an answer may send ``signet pack`` to these places and no other.

The address of a pack, and the one that tells how far it is, are in a server's answer. Followed blindly, they
would let the writer of that answer send requests from the auditor's machine into the auditor's own network.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urljoin, urlsplit

from signet.core.errors import UnavailableError
from signet_client.addresses import origin

#: What AWS's partitions end their hosts in (botocore's partitions.json, ``dnsSuffix``).
DNS_SUFFIXES: Final = (
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "c2s.ic.gov",
    "sc2s.sgov.gov",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
)
# A bucket's host, or a region's with the bucket in the path; also the older global host and a dash before the
# region (docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html, …/dual-stack-endpoints.html).
_S3: Final = re.compile(
    r"(?:[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\.)?s3(?:-fips)?"
    r"(?:(?:\.dualstack)?[.-][a-z]{2,4}(?:-[a-z]+){1,2}-[0-9]{1,2})?\."
    rf"(?:{'|'.join(map(re.escape, DNS_SUFFIXES))})"
)
# LocalStack's name for this machine, also with a service and a bucket in front
# (docs.localstack.cloud/aws/services/s3: path-style and virtual hosted-style requests).
_LOCALSTACK: Final = "localhost.localstack.cloud"
_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


@dataclass(frozen=True, slots=True)
class Places:
    """The places for the packs of one API.

    Attributes:
        api: URL of the API that was asked, which the caller trusts.
        endpoints: AWS endpoints that the environment names: an emulator's.
    """

    api: str
    endpoints: tuple[str, ...] = ()

    @classmethod
    def around(cls, api: str, environment: Mapping[str, str] | None = None) -> Places:
        """Return the places for an API in an environment: by default this process's."""
        found = os.environ if environment is None else environment
        return cls(api, tuple(found[name] for name in _ENDPOINTS if found.get(name)))

    def check(self, named: str) -> str:
        """Return what an answer named as an absolute URL, if a pack can come from there.

        Raises:
            UnavailableError: it cannot; names the host.
        """
        try:
            url = urljoin(self.api, named)
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise UnavailableError("the server names an address for the pack that is no URL") from error
        on_s3 = parts.scheme == "https" and port in {None, 443} and _S3.fullmatch(host) is not None
        if "@" in parts.netloc or not (on_s3 or origin(url) == origin(self.api) or self._at_endpoint(url)):
            raise UnavailableError(
                f"the server sends for the pack to {parts.scheme}://{parts.netloc}, which is neither S3 nor "
                "the API itself; nothing was fetched from there. For an emulator set AWS_ENDPOINT_URL"
            )
        return url

    def _at_endpoint(self, url: str) -> bool:
        return any(_same_place(url, endpoint) for endpoint in self.endpoints)


def _same_place(url: str, endpoint: str) -> bool:
    """Tell whether a URL is at an AWS endpoint; the names of this machine are one and the same."""
    if origin(url) == origin(endpoint):
        return True
    (scheme, _), (endpoint_scheme, _) = origin(url), origin(endpoint)
    try:
        here, there = urlsplit(url), urlsplit(endpoint)
        return (
            (scheme, here.port) == (endpoint_scheme, there.port)
            and _is_this_machine(here.hostname or "")
            and _is_this_machine(there.hostname or "")
        )
    except ValueError:
        return False


def _is_this_machine(host: str) -> bool:
    if host in {"localhost", _LOCALSTACK} or host.endswith(f".{_LOCALSTACK}"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
