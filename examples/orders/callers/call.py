"""call.py METHOD URL [BODY] --key PEM --keyid NAME [--challenge-url URL]: one signed request, with httpx."""

import argparse
import base64
import hashlib
import re
import sys
import time
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import httpx
from cryptography.hazmat.primitives.serialization import load_pem_private_key

parser = argparse.ArgumentParser(usage=__doc__)
parser.add_argument("method", type=str.upper)
parser.add_argument("url")
parser.add_argument("body", nargs="?")
for option in ("--key", "--keyid"):
    parser.add_argument(option, required=True)
parser.add_argument("--challenge-url")
given = parser.parse_args()

key = load_pem_private_key(Path(given.key).read_bytes(), None)  # Ed25519, PKCS#8
content = (given.body or "").encode()
client = httpx.Client(timeout=30)


def escape(text):
    return quote(text, safe="")  # leaves letters, digits and -._~


# The target in the one spelling that both sides sign: names sorted, all but unreserved characters escaped.
parts = urlsplit(given.url)
authority = parts.netloc.lower().removesuffix({"https": ":443", "http": ":80"}[parts.scheme])
path = parts.path or "/"
fields = [(escape(name), escape(value)) for name, value in parse_qsl(parts.query, keep_blank_values=True)]
query = "&".join(f"{name}={value}" for name, value in sorted(fields, key=lambda field: field[0]))
url = f"{parts.scheme}://{authority}{path}{'?' + query if query else ''}"


def challenge_in(answer):
    """Return the parameters of WWW-Authenticate: PCH …; REST APIs rename a function's field."""
    for name in ("WWW-Authenticate", "x-amzn-Remapped-WWW-Authenticate"):
        scheme, _, rest = answer.headers.get(name, "").partition(" ")
        found = {
            m[1].lower(): m[2] or m[3] for m in re.finditer(r'([\w-]+)=(?:"([ !#-~]*)"|([\w.~+/-]+))', rest)
        }
        if scheme.lower() == "pch" and "nonce" in found:
            return found
    return None


def signed(challenge):
    """Return the header fields of a request that answers a challenge (RFC 9421)."""
    asked = challenge.get("components", "").split()
    headers = {"Content-Type": "application/json"} if content else {}
    if content or given.method in {"POST", "PUT", "PATCH"} or "content-digest" in asked:
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        headers["Content-Digest"] = f"sha-256=:{digest}:"
    values = {"@method": given.method, "@authority": authority, "@path": path, "@query": f"?{query}"}
    values |= {name.lower(): value for name, value in headers.items()}
    created = int(time.time())
    expires = created + min(60, int(challenge.get("max-age", "60")))
    covered = " ".join(f'"{name}"' for name in values)
    params = f'({covered});created={created};expires={expires};nonce="{challenge["nonce"]}"'
    params += f';keyid="{given.keyid}";alg="ed25519";tag="pch-lite"'
    base = "\n".join(
        [*(f'"{name}": {value}' for name, value in values.items()), f'"@signature-params": {params}']
    )
    signature = base64.b64encode(key.sign(base.encode())).decode()
    return headers | {"Signature-Input": f"pch={params}", "Signature": f"pch=:{signature}:"}


def fetched():
    """Return a challenge from where they can always be had."""
    challenge = challenge_in(client.get(given.challenge_url)) if given.challenge_url else None
    if challenge is None:
        sys.exit("no challenge: give --challenge-url, the address of Signet's /pch/challenge")
    return challenge


def send(headers):
    typed = {"Content-Type": "application/json"} if content else {}
    return client.request(given.method, url, headers=typed | headers, content=content or None)


answer = send(signed(fetched()) if given.challenge_url else {})
again = challenge_in(answer)
if not given.challenge_url and answer.status_code in {401, 403}:
    answer = send(signed(again or fetched()))
elif again and again.get("error", "").startswith("nonce_"):  # too old, or spent: once more with a fresh one
    answer = send(signed(again))
shown = "".join(char if char.isprintable() or char in "\n\t" else "?" for char in answer.text)
print(answer.status_code, shown)
if not answer.is_success:
    sys.exit(f"refused: {(challenge_in(answer) or {}).get('error', f'status {answer.status_code}')}")
