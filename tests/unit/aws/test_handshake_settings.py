"""A setting that a function of the handshake needs is there and not empty, or the function does not start."""

from __future__ import annotations

import re

import pytest

from signet.aws.compose.handshake_settings import AuthorizerSettings, HandshakeSettings
from signet.core.errors import UsageError
from tests.support.world import ROOT
from tests.unit.aws.test_site import ENVIRONMENT

AUTHORIZER = ENVIRONMENT | {
    "SIGNET_CLIENTS_TABLE": "clients",
    "SIGNET_NONCES_TABLE": "nonces",
    "SIGNET_OWN_URL": "https://{api_id}.execute-api.eu-central-1.amazonaws.com/prod",
    "SIGNET_RECEIPT_QUEUE_URL": "https://sqs.example/receipts",
}


@pytest.mark.parametrize("told", [None, ""])
@pytest.mark.parametrize("name", AUTHORIZER)
def test_the_authorizer_names_what_its_environment_lacks(name: str, told: str | None) -> None:
    assert AuthorizerSettings.from_environment(AUTHORIZER).clients_table == "clients"
    given = {key: value for key, value in AUTHORIZER.items() if key != name}
    with pytest.raises(UsageError, match=f"lacks or garbles '{name}'"):
        AuthorizerSettings.from_environment(given if told is None else given | {name: told})


@pytest.mark.parametrize("told", [None, ""])
@pytest.mark.parametrize("name", ENVIRONMENT)
def test_the_challenge_endpoint_names_what_its_environment_lacks(name: str, told: str | None) -> None:
    assert HandshakeSettings.from_environment(ENVIRONMENT).bundles_table == "bundles"
    given = {key: value for key, value in ENVIRONMENT.items() if key != name}
    with pytest.raises(UsageError, match=f"lacks or garbles '{name}'"):
        HandshakeSettings.from_environment(given if told is None else given | {name: told})


@pytest.mark.parametrize(
    "told", [{}, {"SIGNET_EDGE_SECRET_ARN": "", "SIGNET_BACKEND_SERVERS": "0"}], ids=repr
)
def test_what_may_be_left_out_is_none_and_not_empty(told: dict[str, str]) -> None:
    settings = HandshakeSettings.from_environment(ENVIRONMENT | told)
    assert (settings.edge_secret_arn, settings.backend_servers) == (None, None)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("SIGNET_AUTHORITIES", ","),
        ("SIGNET_AUTHORITIES", " , ,"),
        ("SIGNET_NONCE_LIFETIME_S", "-5"),
        ("SIGNET_NONCE_LIFETIME_S", "0"),
        ("SIGNET_NONCE_LIFETIME_S", "86401"),
        ("SIGNET_CLOCK_SKEW_S", "999999999"),
        ("SIGNET_POLICY_REFRESH_S", "-1"),
        ("SIGNET_POLICY_REFRESH_S", "1_0"),
        ("SIGNET_BACKEND_SERVERS", "many"),
    ],
)
def test_a_setting_that_cannot_work_is_named(name: str, told: str) -> None:
    with pytest.raises(UsageError, match=name):
        HandshakeSettings.from_environment(ENVIRONMENT | {name: told})


def test_as_many_servers_as_the_template_takes_are_taken() -> None:
    template = (ROOT / "template.yaml").read_text()
    most = re.search(r"  BackendServers:\n(?:    .*\n)*?    MaxValue: (\d+)\n", template)
    assert most
    settings = HandshakeSettings.from_environment(ENVIRONMENT | {"SIGNET_BACKEND_SERVERS": most[1]})
    assert settings.backend_servers == int(most[1])


def test_spaces_beside_a_name_are_no_part_of_it() -> None:
    told = {"SIGNET_AUTHORITIES": "api.example.com, API.example.org"}
    assert HandshakeSettings.from_environment(ENVIRONMENT | told).authorities == {
        "api.example.com",
        "api.example.org",
    }
