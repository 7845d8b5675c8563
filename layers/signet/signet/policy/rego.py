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
from typing import Any, Final

from regopy import Bundle, Interpreter, RegoError, log_level_from_string

from signet.errors import PolicyError

#: The package whose rules are asked for.
PACKAGE: Final = "signet"
# (error 6:a.rego|21|1 (errormsg 16:this is unclosed) …: name, byte offset, length; texts behind their length.
_LOCATED = re.compile(r"\(error (\d+):(.*?)\|(\d+)\|\d+\)?\s*\(errormsg (\d+):", re.DOTALL)
_MESSAGE = re.compile(r"\(errormsg (\d+):")


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
            PolicyError: a file does not parse or compile; the message begins with file and line if known.
        """
        data = json.dumps(_merged(files))  # before anything of it reaches the interpreter
        self._lock = threading.Lock()
        self._interpreter = Interpreter()
        self._interpreter.log_level = log_level_from_string("None")  # it would print requests to stdout
        try:
            for name, content in files.items():
                if name.endswith(".rego"):
                    self._interpreter.add_module(name, _text(name, content))
            self._interpreter.add_data_json(data)
            self._queries = {query: self._build(query) for query in queries}
        except RegoError as error:
            raise PolicyError(f"{_located(str(error), files)}") from error

    def _build(self, query: str) -> Bundle:
        bundle = self._interpreter.build(query)
        if not bundle.ok():  # asking it would end the process
            raise PolicyError(f"the policy does not compile for the query {query}")
        return bundle

    def evaluate(self, query: str, document: Mapping[str, Any]) -> Any:
        """Return the answer to a query for an input document; None if it is undefined.

        Raises:
            PolicyError: the evaluation fails, such as by two rules that give one name two values.
        """
        try:
            with self._lock:  # input and query are two calls on one interpreter
                self._interpreter.set_input_term(json.dumps(document))
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


def parse_data(name: str, content: bytes) -> dict[str, Any]:
    """Parse a data file: one JSON object, in which no name stands twice.

    Raises:
        PolicyError: it is something else; the message begins with file and line.
    """
    text = _text(name, content)

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            twice = next(key for key in found if [k for k, _ in pairs].count(key) > 1)
            line = text.count("\n", 0, text.rfind(json.dumps(twice))) + 1
            raise PolicyError(f"{name}:{line}: {twice!r} stands twice in one object")
        return found

    def constant(word: str) -> Any:
        raise PolicyError(f"{name}: {word} is no JSON")

    try:
        parsed = json.loads(text, object_pairs_hook=members, parse_constant=constant)
    except (json.JSONDecodeError, RecursionError) as error:
        line = f"{error.lineno}: " if isinstance(error, json.JSONDecodeError) else " "
        raise PolicyError(f"{name}:{line}this is no JSON ({error})") from error
    if type(parsed) is not dict:
        raise PolicyError(f"{name}:1: a data file holds one JSON object")
    return parsed


def _merged(files: Mapping[str, bytes]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for name, content in sorted(files.items()):
        if name.endswith(".rego"):
            continue
        parsed = parse_data(name, content)
        if PACKAGE in parsed:
            raise PolicyError(f"{name}: data named {PACKAGE!r} would replace the rules of that package")
        if twice := merged.keys() & parsed.keys():
            raise PolicyError(f"{name}: {min(twice)!r} stands in another data file already")
        merged |= parsed
    return merged


def _text(name: str, content: bytes) -> str:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise PolicyError(f"{name}: this is no UTF-8") from error
    if "\0" in text:  # where the interpreter would stop reading
        raise PolicyError(f"{name}: this holds a NUL byte")
    return text


def _located(tree: str, files: Mapping[str, bytes]) -> str:
    """Turn rego-cpp's error tree into ``file:line: message``."""
    found = _LOCATED.search(tree)
    if found is None:
        return f"the policy does not compile: {_reason(tree)}"
    name = found[2]
    message = tree[found.end() : found.end() + int(found[4])]
    line = files.get(name, b"").count(b"\n", 0, int(found[3])) + 1
    return f"{name}:{line}: {message}"


def _reason(tree: str) -> str:
    found = _MESSAGE.search(tree)
    return " ".join(tree[found.end() : found.end() + int(found[1])].split()) if found else "no reason given"
