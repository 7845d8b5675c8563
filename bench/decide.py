"""Decides on prepared events, and prints the CPU milliseconds from its first import to its last answer.

It imports nothing that does not come with the interpreter, so that all the handler loads is counted.
``python -P bench/decide.py handler|record|replay|boto3 FILE COUNT``: ``record`` keeps what the policy's
library answers, and ``replay`` plays it back in place of that library.
"""

import importlib
import marshal
import sys
import time
from typing import Any


class _Context:
    aws_request_id = "00000000-0000-4000-8000-000000000000"


class _Answers:
    """What the policy's library said, by query; counts how often it was asked."""

    def __init__(self, file: str) -> None:
        self.file, self.asked = file + ".answers", 0
        self.said: dict[str, list[str]] = {}

    def record(self) -> None:
        """Listen to the library."""
        interpreter: Any = importlib.import_module("regopy").Interpreter
        build, ask, queries = interpreter.build, interpreter.query_bundle, {}

        def built(this: Any, query: str) -> Any:
            bundle = build(this, query)
            queries[id(bundle)] = query
            return bundle

        def asked(this: Any, bundle: Any) -> Any:
            answer = ask(this, bundle)
            self.said.setdefault(queries[id(bundle)], []).append(str(answer))
            return answer

        interpreter.build, interpreter.query_bundle = built, asked

    def keep(self) -> None:
        """Write down what was said."""
        with open(self.file, "wb") as file:  # noqa: PTH123 - pathlib would be one import more
            marshal.dump(self.said, file)

    def replay(self) -> None:
        """Stand in for the library."""
        with open(self.file, "rb") as file:  # noqa: PTH123 - as above
            self.said = marshal.load(file)  # noqa: S302 - written by this program
        answers = self

        class Bundle:
            def __init__(self, query: str) -> None:
                self.query = query

            def ok(self) -> bool:
                return True

        class Interpreter:
            log_level: Any = None

            def build(self, query: str) -> Bundle:
                return Bundle(query)

            def query_bundle(self, bundle: Bundle) -> str:
                answers.asked += 1
                return answers.said[bundle.query].pop(0)

            def add_module(self, *_: Any) -> None: ...
            def add_data_json(self, *_: Any) -> None: ...
            def set_input(self, *_: Any) -> None: ...

        module: Any = type(sys)("regopy")
        module.Bundle, module.Interpreter, module.RegoError = Bundle, Interpreter, RuntimeError
        module.Input = module.log_level_from_string = str
        sys.modules["regopy"] = module


def _decide(events: list[dict[str, Any]], answers: _Answers) -> None:
    handler = importlib.import_module("authorizer_handler").handler
    asked = None
    for event in events:
        answer = handler(event, _Context())
        if answer["context"]["reason"] != "ok":
            raise SystemExit(f"a good request was refused: {answer['context']}")
        asked = answers.asked if asked is None else asked
    if asked != answers.asked:
        raise SystemExit("a warm decision asked the policy: what that takes would not be counted")


def _boto3() -> None:
    """Make the two calls of a decision as boto3's users would."""
    boto3: Any = importlib.import_module("boto3")
    importlib.import_module("cryptography.hazmat.primitives.asymmetric.ed25519")
    item = {"nonce": {"S": "0" * 64}, "expires_at": {"N": "1800000000"}}
    condition = "attribute_not_exists(nonce)"
    boto3.client("dynamodb").put_item(TableName="nonces", Item=item, ConditionExpression=condition)
    boto3.client("sqs").send_message(QueueUrl="http://127.0.0.1/receipts", MessageBody="{}")


def _main(what: str, file: str, count: int) -> None:
    with open(file, "rb") as opened:  # noqa: PTH123 - as above
        events = marshal.load(opened)[:count]  # noqa: S302 - written by this bench
    answers = _Answers(file)
    if what in {"record", "replay"}:
        getattr(answers, what)()
    started = time.process_time()
    if what == "boto3":
        _boto3()
    else:
        _decide(events, answers)
    taken_s = time.process_time() - started
    if what == "record":
        answers.keep()
    sys.stdout.write(f"\n{taken_s * 1e3}\n")


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
