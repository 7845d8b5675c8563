"""The networks that a policy names, and which of them hold an address: ``input.source.networks``.

rego-cpp has no ``net.cidr_contains``. So the code answers for it, for every network that stands in the
policy's data files or in quotes in its rules. It costs one look-up for each prefix length in use, not one for
each network.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final

_NETWORK: Final = re.compile(r"[0-9A-Fa-f:.]{2,45}/[0-9]{1,3}")
#: Bits before an IPv4 address within IPv6 (RFC 4291, section 2.5.5.2).
_MAPPED_BITS: Final = 96
Address = IPv4Address | IPv6Address


class Networks:
    """Networks by what they hold; safe to share between threads."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        """Take those of the texts that are networks in CIDR notation, such as ``203.0.113.0/24``.

        Bits behind the prefix are overlooked, as ``net.cidr_contains`` of OPA does (Go's ``net.ParseCIDR``).
        """
        # (IP version, bits behind the prefix) → the bits of the prefix → as it is spelled.
        self._held: dict[tuple[int, int], dict[int, list[str]]] = {}
        for text in dict.fromkeys(text for text in texts if _NETWORK.fullmatch(text)):
            try:
                network = _as_told(ip_network(text, strict=False))
            except ValueError:
                continue  # the check says so
            behind = network.max_prefixlen - network.prefixlen
            of_length = self._held.setdefault((network.version, behind), {})
            of_length.setdefault(int(network.network_address) >> behind, []).append(text)

    def holding(self, address: Address) -> tuple[str, ...]:
        """Return the networks that hold an address, as they are spelled, sorted."""
        found: list[str] = []
        for (version, behind), of_length in self._held.items():
            if version == address.version:
                found += of_length.get(int(address) >> behind, ())
        return tuple(sorted(found))

    @staticmethod
    def address(text: str) -> Address | None:
        """Read an address; IPv4 within IPv6 (``::ffff:203.0.113.7``) is IPv4. None if it is no address."""
        try:
            found = ip_address(text.partition("%")[0])
        except ValueError:
            return None
        mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
        return mapped or found


def _as_told(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    """Return a network of IPv4 addresses within IPv6 as one of IPv4: so addresses are told, and Go reads it.

    ``::ffff:203.0.113.0/120`` would hold no address otherwise, and what it is to keep out would come in.
    """
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    return network if mapped is None else ip_network((mapped, network.prefixlen - _MAPPED_BITS))


def looks_like_network(text: str) -> bool:
    """Say whether a text has the form of a network."""
    return _NETWORK.fullmatch(text) is not None


def is_network(text: str) -> bool:
    """Say whether a text is a network."""
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return looks_like_network(text)


def texts_in(value: Any) -> Iterator[str]:
    """Yield every text in a JSON value, names of members included."""
    queue = deque([value])
    while queue:
        value = queue.popleft()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from value
            queue.extend(value.values())
        elif isinstance(value, list):
            queue.extend(value)
