"""Rego, evaluated in process by rego-cpp: files in, answers out, errors with file and line.

What rego-cpp would take silently is refused here. Of two data documents with one name it keeps the first;
one named like the package replaces the rules of the package; one that is no object ends the process at the
first query. So the data is parsed and merged before it gets there.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring as _quoted
from typing import Any, Final

from regopy import Bundle, Input, Interpreter, RegoError, log_level_from_string

from signet.core.errors import PolicyError
from signet.policy.indexed import Indexed, indexed
from signet.policy.listing import APIS, CONFIG
from signet.policy.places import Path, lines_of
from signet.policy.teams import DATA_SUFFIX, PACKAGE, elsewhere

#: Neither functions of their arguments nor silent: a decision could not be made again from its facts.
#: ``check`` refuses a policy that calls one.
IMPURE: Final = frozenset(
    {
        "http.send", "time.now_ns", "rand.intn", "uuid.rfc4122", "net.lookup_ip_addr", "opa.runtime",
        "io.jwt.decode_verify", "print",
    }
)  # fmt: skip
#: What may answer twice in two ways: clock, chance, network, process. Whole namespaces, to be safe:
#: ``engine`` remembers no answer of a policy that names one.
IMPURE_NAMESPACE: Final = re.compile(r"\b(?:http|time|rand|uuid|net|opa|jwt|x509)\s*[.\[]")
# (error 6:a.rego|21|1 (errormsg 16:this is unclosed) …: name, byte offset, length; texts behind their length.
_LOCATED = re.compile(r"\(error (\d+):(.*?)\|(\d+)\|\d+\)?\s*\(errormsg (\d+):", re.DOTALL)
_MAX_INTEGER: Final = 2**53
# With less data the interpreter is quick enough, and a start is not made longer.
_LARGE_BYTES: Final = 16 * 1024
_MESSAGE = re.compile(r"\(errormsg (\d+):")
_NO_CODE: Final = re.compile(r'(\$["`])|"(?:[^"\\\n]|\\.)*"|`[^`]*`|#[^\n]*')


class SourceError(PolicyError):
    """A file of a policy is wrong.

    Attributes:
        reason: one sentence without file and line.
        file: its name, or None if it is not known.
        line: 1-based, or None.
    """

    def __init__(self, reason: str, file: str | None = None, line: int | None = None) -> None:
        super().__init__(":".join(str(part) for part in (file, line) if part is not None) + f": {reason}")
        self.reason = reason
        self.file = file
        self.line = line


class RegoProgram:
    """Compiled Rego and its data; safe to share between threads.

    Each program has an interpreter of its own, so that another version lives beside it without touching it.
    """

    def __init__(self, files: Mapping[str, bytes], queries: Sequence[str]) -> None:
        """Compile.

        Args:
            files: Rego modules (``*.rego``) and JSON objects (``*.json``), which are merged into ``data``.
            queries: what will be asked; each is compiled with it.

        Raises:
            SourceError: a file does not parse or compile.
        """
        data = merged_data(files)  # before anything of it reaches the interpreter
        modules = {name: _text(name, body) for name, body in files.items() if name.endswith(".rego")}
        self._lock = threading.Lock()
        self._queries: dict[str, Bundle] = {}  # stands first, so that it goes before what it belongs to
        large = sum(len(body) for name, body in files.items() if name not in modules) >= _LARGE_BYTES
        if large:
            # Places in an error are those of the rules as they were written, so they are compiled as well.
            self._compile(modules, {}, queries, files)
        self._indexed = indexed(modules, data) if large else Indexed(modules, data, {}, data)
        self._compile(self._indexed.modules, self._indexed.data, queries, files)

    def _compile(
        self,
        modules: Mapping[str, str],
        data: Mapping[str, Any],
        queries: Sequence[str],
        files: Mapping[str, bytes],
    ) -> None:
        self._queries.clear()
        self._interpreter = Interpreter()
        self._interpreter.log_level = log_level_from_string("None")  # it would print requests to stdout
        try:
            for name, text in modules.items():
                self._interpreter.add_module(name, text)
            self._interpreter.add_data_json(json.dumps(data, ensure_ascii=False))
            for query in queries:
                self._queries[query] = self._build(query)
        except RegoError as error:
            raise _located(str(error), files) from error

    def _build(self, query: str) -> Bundle:
        bundle = self._interpreter.build(query)
        if not bundle.ok():  # asking it would end the process
            raise SourceError(f"the policy does not compile for the query {query}", "policy")
        return bundle

    def evaluate(self, query: str, document: Mapping[str, Any]) -> Any:
        """Return the answer to a query for an input document; None if it is undefined.

        Raises:
            PolicyError: the evaluation fails, such as by two rules that give one name two values.
        """
        try:
            with self._lock:  # input and query are two calls on one interpreter
                self._interpreter.set_input(Input(_escaped(self._indexed.document(document))))
                output = str(self._interpreter.query_bundle(self._queries[query]))
        except json.JSONDecodeError as error:  # regopy parses the answer, and an error is none
            raise PolicyError(f"the policy does not evaluate: {_reason(error.doc)}") from error
        except RegoError as error:
            raise PolicyError(f"the policy does not evaluate: {_reason(str(error))}") from error
        if output == "undefined":
            return None
        try:
            return json.loads(output)["expressions"][0]
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise PolicyError(
                f"the policy does not evaluate: {_reason(output)}"
                if output.startswith("(")
                else "the policy does not evaluate: a rule has two values at once, or an error"
            ) from error


def merged_data(files: Mapping[str, bytes]) -> dict[str, Any]:
    """Return what the rules will see as ``data``: the JSON files of a policy, merged.

    Raises:
        SourceError: one is no JSON object, two of them have a name in common, or the file of one API
            (``signet.policy.teams``) says something of anything else.
    """
    merged: dict[str, Any] = {}
    of_apis: dict[str, dict[str, Any]] = {}
    for name, content in sorted(files.items()):
        if name.endswith(".rego"):
            continue
        parsed = _parsed(name, content)
        if PACKAGE in parsed:
            raise SourceError(f"data named {PACKAGE!r} would replace the rules of that package", name)
        if name.endswith(DATA_SUFFIX):
            of_apis[name] = parsed
            continue
        if twice := merged.keys() & parsed.keys():
            raise SourceError(f"{min(twice)!r} stands in another data file already", name)
        merged |= parsed
    for name, parsed in of_apis.items():
        _add_api(merged, name, parsed, files[name])
    return merged


def _add_api(merged: dict[str, Any], name: str, parsed: dict[str, Any], content: bytes) -> None:
    """Add what the file of one API says of that API."""
    api = name.removesuffix(DATA_SUFFIX)
    other = elsewhere(api, parsed)
    if other is not None:
        only = f'a file of this name holds {{"{CONFIG}": {{"{APIS}": {{"{api}": {{…}}}}}}}} and nothing else'
        raise SourceError(only, name, lines_of(content.decode()).get(other, 1))
    config = merged.setdefault(CONFIG, {})
    apis = config.setdefault(APIS, {}) if isinstance(config, dict) else None
    if not isinstance(apis, dict):
        raise SourceError(f"{CONFIG} or {CONFIG}.{APIS} is no object in another data file", name)
    if api in apis:
        path: Path = (CONFIG, APIS, api)
        twice = f"{'.'.join(map(str, path))} stands in another data file already"
        raise SourceError(twice, name, lines_of(content.decode()).get(path))
    apis[api] = parsed[CONFIG][APIS][api]


def code_of(text: str) -> str:
    """Return a Rego module with strings and comments blanked, so that names in it are those of its rules.

    A template string (``$"{time.now_ns()}"``) holds code, in which strings may stand again: a module with one
    is returned as it is.
    """
    if any(found[1] for found in _NO_CODE.finditer(text)):
        return text
    return _NO_CODE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def line_of(text: str, *names: str) -> int | None:
    """Return the 1-based line of a member in JSON text, by the names on the way to it, or None."""
    place = 0
    for name in names:
        place = text.find(f"{json.dumps(name)}", place)
        if place < 0:
            return None
    return text.count("\n", 0, place) + 1


def parse_json(name: str, content: bytes) -> Any:
    """Return the value of a JSON file that says each thing once.

    Raises:
        SourceError: it is no JSON, or an object in it has a member twice.
    """
    text = _text(name, content)

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in found if keys.count(key) > 1)
            raise SourceError(f"{twice!r} stands twice in one object", name, line_of(text, twice))
        return found

    def constant(word: str) -> Any:
        raise SourceError(f"{word} is no JSON", name)

    try:
        value = json.loads(text, object_pairs_hook=members, parse_constant=constant)
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise SourceError(f"this is no JSON: {error.msg}", name, error.lineno) from error
    except UnicodeEncodeError as error:
        raise SourceError("this holds half of a character, such as \\ud800", name) from error
    except ValueError as error:  # of more digits than Python reads
        raise SourceError("this holds a number that is too long", name) from error
    except RecursionError as error:
        raise SourceError("this is nested too deeply", name) from error
    return value


def _parsed(name: str, content: bytes) -> dict[str, Any]:
    parsed = parse_json(name, content)
    if type(parsed) is not dict:
        raise SourceError("a data file holds one JSON object", name, 1)
    return parsed


def _text(name: str, content: bytes) -> str:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise SourceError("this is no UTF-8", name) from error
    if "\0" in text:  # where the interpreter would stop reading
        raise SourceError("this holds a NUL byte", name)
    return text


def _escaped(value: Any) -> Any:
    """Return a value with its strings as they stand between quotes in JSON: so rego-cpp keeps them.

    Characters beyond ASCII stay as they are: escaped, they are other texts than the same ones in rules.

    Handing values over costs less than half of having them parsed from JSON text.
    """
    if isinstance(value, str):
        return _quoted(value)[1:-1]
    if isinstance(value, Mapping):
        return {_escaped(name): _escaped(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(item) for item in value]
    if type(value) is int and abs(value) > _MAX_INTEGER:  # it would come out as another number
        raise PolicyError("the policy does not evaluate: a number in its input is too large")
    return value


def _located(tree: str, files: Mapping[str, bytes]) -> SourceError:
    """Turn rego-cpp's error tree into file, line and message of its first error."""
    found = _LOCATED.search(tree)
    if found is None:
        return SourceError(_reason(tree), "policy")
    reason = tree[found.end() : found.end() + int(found[4])]
    line = files.get(found[2], b"").count(b"\n", 0, int(found[3])) + 1
    return SourceError(f"this does not compile: {reason}", found[2], line)


def _reason(tree: str) -> str:
    found = _MESSAGE.search(tree)
    return " ".join(tree[found.end() : found.end() + int(found[1])].split()) if found else "no reason given"
