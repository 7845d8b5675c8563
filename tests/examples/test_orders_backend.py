"""Both backends of the orders example answer alike; guarded, they act on nothing but the signed body."""

from __future__ import annotations

import base64
import json

import pytest

from tests.examples.orders_backend import LANGUAGES, answers, digest, event, granted

pytestmark = pytest.mark.parametrize("language", LANGUAGES)

BODY = json.dumps({"item": "té", "quantity": 2}, ensure_ascii=False)
RAW = BODY.encode()


def test_orders_are_listed_by_status_up_to_a_limit(language: str):
    queries = [None, {"status": "open"}, {"status": "open", "limit": "1"}, {"status": "none"}]
    found = answers(language, "app", [event("GET", queryStringParameters=query) for query in queries])
    listed = [[order["id"] for order in body["orders"]] for _, body in found]
    assert listed == [["1001", "1002", "1003"], ["1001", "1003"], ["1001"], []]
    assert {status for status, _ in found} == {200}


@pytest.mark.parametrize("limit", ["", "0", "101", "-1", "1e1", "x", "00000000000", "1.5", "²"])
def test_a_limit_that_is_none_is_refused(language: str, limit: str):
    [(status, body)] = answers(language, "app", [event("GET", queryStringParameters={"limit": limit})])
    assert (status, body) == (400, {"error": "limit is a number from 1 to 100"})


def test_an_order_is_made_read_and_listed(language: str):
    unknown = event("GET", "/orders/{id}", pathParameters={"id": "x"})
    made, listed, one, none = answers(
        language,
        "app",
        [
            event("POST", body=BODY),
            event("GET"),
            event("GET", "/orders/{id}", pathParameters={"id": "1002"}),
            unknown,
        ],
    )
    assert made[0] == 201
    assert (made[1]["item"], made[1]["quantity"], made[1]["status"]) == ("té", 2, "open")
    assert made[1] in listed[1]["orders"]
    assert (one[0], one[1]["item"]) == (200, "salt")
    assert none[0] == 404


@pytest.mark.parametrize(
    "body",
    [None, "", "no JSON", "null", "[]", "3", "{}", '{"item": "tea"}', '{"item": "", "quantity": 1}']
    + [json.dumps({"item": "tea", "quantity": quantity}) for quantity in (0, -1, 1.5, 101, "2", True, None)],
)
def test_what_is_no_order_is_refused(language: str, body: str | None):
    [(status, answer)] = answers(language, "app", [event("POST", body=body)])
    assert (status, list(answer)) == (400, ["error"])


def test_the_memory_for_orders_is_bounded(language: str):
    found = answers(language, "app", [event("POST", body=BODY)] * 98)
    assert [status for status, _ in found] == [201] * 97 + [503]


def test_guarded_it_answers_requests_that_were_let_in(language: str):
    both = f"{digest('sha-256', RAW)}, {digest('sha-512', RAW)}"
    encoded = {"body": base64.b64encode(RAW).decode(), "isBase64Encoded": True}
    found = answers(
        language,
        "guarded",
        [
            event("GET", requestContext=granted()),
            event("POST", body=BODY, requestContext=granted(RAW)),
            event("POST", requestContext=granted(RAW), **encoded),
            event("POST", body=BODY, requestContext=granted(content_digest=both)),
            event("GET", requestContext=granted(b"")),
        ],
    )
    assert [status for status, _ in found] == [200, 201, 201, 201, 200]
    assert found[2][1]["item"] == "té"


def test_guarded_it_answers_nothing_that_came_around_the_authorizer(language: str):
    contexts = [{}, {"authorizer": None}, {"authorizer": {"keyid": "caller-1"}}, {"authorizer": {}}]
    found = answers(language, "guarded", [event("GET", requestContext=context) for context in contexts])
    assert found == [(403, {"error": "not_authorized"})] * 4


def test_guarded_it_acts_on_no_other_body_than_the_signed_one(language: str):
    wrong = [
        digest("sha-256", b"another"),
        f"{digest('sha-256', RAW)}, {digest('sha-512', b'another')}",
        digest("sha-256", RAW).rstrip(":"),
        digest("sha-256", RAW).replace("sha-256", "md5"),
        "constructor=:AAAA:",
        "",
        None,
    ]
    events = [event("POST", body=BODY, requestContext=granted(content_digest=field)) for field in wrong]
    events.append(event("POST", body=None, requestContext=granted(RAW)))
    assert answers(language, "guarded", events) == [(400, {"error": "digest_mismatch"})] * len(events)
