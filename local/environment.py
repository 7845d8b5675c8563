"""This process's environment, without what is about the user's AWS account or keeps us from our own address.

boto3 fails at once for a profile that does not exist here, and every HTTP library asks a proxy for 127.0.0.1
unless NO_PROXY names it: https://docs.python.org/3/library/urllib.request.html#urllib.request.getproxies
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from typing import Final

#: What boto3 would otherwise read from the user's home, or ask the network for.
NEUTRAL: Final = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_ALL: Final = "*"


def isolate(environment: MutableMapping[str, str] = os.environ) -> None:
    """Take out what leads to the user's AWS account, and reach our own address without a proxy."""
    for name in [name for name in environment if name.startswith("AWS_")]:
        del environment[name]
    environment.update(NEUTRAL)
    environment.update(no_proxy(environment))


def no_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    """Return NO_PROXY, in both spellings, with this machine's own addresses added to what is exempt.

    Programs read one spelling or the other, and where both are set they do not agree on which one counts.
    """
    given = [environment.get("no_proxy", ""), environment.get("NO_PROXY", "")]
    exempt = [name.strip() for text in given for name in text.split(",") if name.strip()]
    exempt += [*_LOOPBACK, environment.get("SIGNET_HOST", "")]
    value = _ALL if _ALL in exempt else ",".join(filter(None, dict.fromkeys(exempt)))
    return {"NO_PROXY": value, "no_proxy": value}


def shell_lines(variables: Mapping[str, str]) -> str:
    """Return shell commands that set these variables, in a shell without any other that AWS tools read."""
    forget = r"""for name in $(env | sed -n 's/^\(AWS_[A-Za-z0-9_]*\)=.*/\1/p'); do unset "$name"; done"""
    quoted = ((name, value.replace("'", "'\\''")) for name, value in variables.items())
    return "\n".join([forget, *(f"export {name}='{value}'" for name, value in quoted), ""])
