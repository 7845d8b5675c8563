"""What of OPA's functions the interpreter has, lacks, or answers otherwise: measured, not guessed.

How: each function's name was asked of ``regopy`` 1.5.2 (``is_builtin``) and, with the expressions of
``tests/interop/opa/builtins.json``, its answers were held against those of OPA 1.22 run as a Go module.
``tests/unit/policy/test_policy_builtins.py`` repeats the half of ``regopy`` on every run, so a new version
of it that answers otherwise shows; ``tests/interop/test_opa.py`` repeats OPA's where Go is at hand.

A function behind its name and ``/`` has so many arguments.
"""

from __future__ import annotations

from typing import Final

_SAME: Final = """
abs/1 array.concat/2 array.flatten/1 array.reverse/1 array.slice/3 base64.encode/1 base64url.decode/1
base64url.encode/1 base64url.encode_no_pad/1 bits.and/2 bits.lsh/2 bits.negate/1 bits.or/2 bits.rsh/2
bits.xor/2
ceil/1 contains/2 count/1 crypto.hmac.equal/2 crypto.hmac.md5/2 crypto.hmac.sha1/2 crypto.hmac.sha256/2
crypto.hmac.sha512/2 crypto.md5/1 crypto.sha1/1 crypto.sha256/1 endswith/2 floor/1 glob.quote_meta/1
graph.reachable/2 graph.reachable_paths/2 hex.decode/1 indexof_n/2 intersection/1 is_array/1 is_boolean/1
is_null/1 is_number/1 is_object/1 is_set/1 is_string/1 json.filter/2 json.is_valid/1
json.marshal_with_options/2 json.patch/2 json.remove/2 numbers.range/2 numbers.range_step/3 object.filter/2
object.get/3 object.keys/1 object.remove/2 object.subset/2 product/1 regex.globs_match/2 round/1 split/2
startswith/2 strings.any_prefix_match/2 strings.any_suffix_match/2 strings.count/2 strings.reverse/1
substring/3 sum/1 time.add_date/4 time.clock/1 time.date/1 time.parse_duration_ns/1 time.weekday/1 trim/2
trim_left/2 trim_prefix/2 trim_right/2 trim_suffix/2 type_name/1 union/1 units.parse/1
units.parse_bytes/1 uri.is_valid/1 uri.parse/1 uuid.parse/1 walk/1
"""
_LACKING: Final = """
all/1 any/1 cast_array/1 cast_boolean/1 cast_null/1 cast_object/1 cast_set/1 cast_string/1
crypto.x509.parse_and_verify_certificates_with_options/2 graphql.is_valid/2 graphql.parse/2
graphql.parse_and_verify/2 graphql.parse_query/1 graphql.parse_schema/1 graphql.schema_is_valid/1 http.send/1
json.match_schema/2 json.verify_schema/1 net.cidr_contains/2 net.cidr_contains_matches/2 net.cidr_expand/1
net.cidr_intersects/2 net.cidr_is_valid/1 net.cidr_merge/1 net.cidr_overlap/2 net.lookup_ip_addr/1 print/0
providers.aws.sign_req/3 re_match/2 rego.metadata.chain/0 rego.metadata.rule/0 rego.parse_module/2 set_diff/2
strings.render_template/2 strings.split_n/3 trace/1
"""
# Certificates, tokens and keys: nothing in a policy's input is one, so they were never held against OPA.
_UNMEASURED: Final = """
crypto.parse_private_keys/1 crypto.x509.parse_and_verify_certificates/1
crypto.x509.parse_certificate_request/1
crypto.x509.parse_certificates/1 crypto.x509.parse_keypair/2 crypto.x509.parse_rsa_private_key/1
io.jwt.decode/1 io.jwt.decode_verify/2 io.jwt.encode_sign/3 io.jwt.encode_sign_raw/3 io.jwt.verify_eddsa/2
io.jwt.verify_es256/2 io.jwt.verify_es384/2 io.jwt.verify_es512/2 io.jwt.verify_hs256/2 io.jwt.verify_hs384/2
io.jwt.verify_hs512/2 io.jwt.verify_ps256/2 io.jwt.verify_ps384/2 io.jwt.verify_ps512/2 io.jwt.verify_rs256/2
io.jwt.verify_rs384/2 io.jwt.verify_rs512/2 opa.runtime/0 rand.intn/2 time.now_ns/0 uuid.rfc4122/1
"""
_PATTERN: Final = (
    "only plain patterns have one reading here: write one in quotes, without (?…), \\p, \\A, \\z, \\Q, ++"
)
_FORMAT: Final = (
    "write its format in quotes, with as many of %s and %v as values stand in brackets, %d for a count or "
    "another number that is known to be whole; anything else comes out otherwise, or not at all"
)
#: name → (arguments, what is otherwise and what to write instead). ``uses`` lets pass what keeps clear of it.
DIFFERS: Final[dict[str, tuple[int, str]]] = {
    "base64.decode": (1, "it takes what lacks its padding; use base64url.decode"),
    "base64.is_valid": (1, "it takes what lacks its padding; say what is expected instead"),
    "concat": (2, "a set has no order here: write concat(…, sort(…)), or an array in brackets"),
    "format_int": (2, "only base 10 is right; write it so, or sprintf with %v"),
    "glob.match": (3, "a pattern with a backslash is read otherwise; use one without, in quotes or data"),
    "hex.encode": (1, "what is not ASCII comes out wrong; hold texts against each other instead"),
    "indexof": (2, "an empty text is found; write what is looked for in quotes"),
    "json.marshal": (1, 'it leaves <, > and & as they are; write sprintf("%v", [value])'),
    "json.unmarshal": (1, "it fails at escapes; keep the value as JSON in a data file"),
    "lower": (1, "letters beyond ASCII stay as they are, and this policy holds some; name both spellings"),
    "max": (1, "numbers are compared as texts (3 above 11); compare two at a time with >"),
    "min": (1, "numbers are compared as texts (11 below 3); compare two at a time with <"),
    "object.union": (2, "objects within are replaced, not merged; make one an object of plain values"),
    "object.union_n": (1, "objects within are replaced, not merged; write the object out"),
    "regex.find_all_string_submatch_n": (3, _PATTERN),
    "regex.find_n": (3, _PATTERN),
    "regex.is_valid": (1, "it knows other patterns; write the pattern in quotes where it is used"),
    "regex.match": (2, _PATTERN),
    "regex.replace": (3, _PATTERN),
    "regex.split": (2, _PATTERN),
    "regex.template_match": (4, "its patterns are read otherwise; use regex.match or glob.match"),
    "replace": (3, "it does not end where an empty text is to be replaced; write what is replaced in quotes"),
    "semver.compare": (2, "it answers wrong (2.0.0 below 1.9.9); keep versions as numbers in the data"),
    "semver.is_valid": (1, 'it refuses the "v" that OPA takes; use regex.match'),
    "sort": (1, "numbers are sorted as texts (11 before 2); sort texts only, such as input.principal.roles"),
    "sprintf": (2, _FORMAT),
    "strings.replace_n": (2, "what was put in is replaced again; call replace for each"),
    "time.diff": (2, "it is wrong by days; subtract nanoseconds"),
    "time.format": (1, "it writes another form; keep the text in the data"),
    "time.parse_ns": (2, 'it is undefined for times with a "Z"; hold input.time.rfc3339 against it'),
    "time.parse_rfc3339_ns": (1, 'it is undefined for times with a "Z"; hold input.time.rfc3339 against it'),
    "to_number": (1, "it takes more than numbers (0x1); keep numbers as numbers in the data"),
    "trim_space": (1, "spaces beyond ASCII stay, and this policy holds some; write the text without"),
    "upper": (1, "letters beyond ASCII stay as they are, and this policy holds some; name both spellings"),
    "urlquery.decode": (1, 'a "+" stays as it is; use replace'),
    "urlquery.decode_object": (1, "each value comes out twice; use split"),
    "urlquery.encode": (1, "a space becomes %20; use replace"),
    "urlquery.encode_object": (1, "a space becomes %20; use concat"),
    "yaml.is_valid": (1, "it ends the process; keep data as JSON"),
    "yaml.marshal": (1, "it is indented otherwise; keep data as JSON"),
    "yaml.unmarshal": (1, "it ends the process; keep data as JSON"),
}  # fmt: skip
_NETWORKS: Final = (
    'write `"10.0.0.0/8" in input.source.networks`: it holds the networks named here that hold the address'
)
#: What to do about a name that OPA has and this interpreter lacks, or that stands in other languages.
INSTEAD: Final = {
    "all": "write `every … in … {…}`",
    "any": "write `some … in …`",
    "http.send": "write the facts into a data file",
    "len": "write count",
    "length": "write count",
    "net.cidr_contains": _NETWORKS,
    "net.cidr_contains_matches": _NETWORKS,
    "net.cidr_intersects": _NETWORKS,
    "print": "write a text into reasons",
    "re_match": "write regex.match",
    "set_diff": "write a - b",
    "starts_with": "write startswith",
    "ends_with": "write endswith",
    "strings.has_prefix": "write startswith",
    "strings.has_suffix": "write endswith",
    "strings.contains": "write contains",
    "strings.split": "write split",
    "strings.lower": "write lower",
    "strings.upper": "write upper",
}


def _table(text: str) -> dict[str, int]:
    return {name: int(arity) for name, _, arity in (entry.partition("/") for entry in text.split())}


SAME: Final = _table(_SAME)
LACKING: Final = _table(_LACKING)
UNMEASURED: Final = _table(_UNMEASURED)
#: How many arguments each function that is there takes.
ARITY: Final = SAME | UNMEASURED | {name: arity for name, (arity, _) in DIFFERS.items()}
