"""Settings that cannot work, or that production must not have, are refused before anything is made."""

from __future__ import annotations

import tomllib

import pytest

from tests.template.cloudformation import ROOT, refused

CONFIG = tomllib.loads((ROOT / "samconfig.toml").read_text())


def overrides(environment: str) -> dict[str, str]:
    """Return the parameters that a --config-env sets."""
    listed = CONFIG[environment]["deploy"]["parameters"]["parameter_overrides"]
    return dict(one.split("=", 1) for one in listed)


PROD = overrides("prod")


@pytest.mark.parametrize("environment", ["default", "dev", "prod", "localstack"])
def test_what_samconfig_sets_is_taken(transformed, environment):
    given = overrides(environment)
    assert set(given) <= set(transformed["Parameters"])
    assert refused(transformed, **given) == []
    assert given["Production"] == ("true" if environment == "prod" else "false")


def test_no_deployment_forgets_to_say_whether_it_is_production(transformed):
    """Of a list that --parameter-overrides replaced nothing is left, this parameter neither."""
    parameter = transformed["Parameters"]["Production"]
    assert "Default" not in parameter
    assert parameter["AllowedValues"] == ["true", "false"]


@pytest.mark.parametrize("name", ["ProtectData", "ObjectLockDays"], ids=lambda name: f"{name} forgotten")
def test_production_without_its_safety_settings_is_refused(transformed, name):
    given = {key: value for key, value in PROD.items() if key != name}
    [said] = refused(transformed, **given)
    assert said.startswith("Production=true needs")
    assert name in said


def test_an_override_that_dropped_the_list_of_prod_is_refused(transformed):
    said = refused(transformed, Architecture="arm64", Production="true")
    assert any("ProtectData" in one and "--parameter-overrides replaces the list" in one for one in said)
    assert any("ObjectLockDays" in one for one in said)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ProtectData", "false"),
        ("ObjectLockMode", "NONE"),
        ("ObjectLockDays", "1"),
        ("ObjectLockDays", "29"),
        ("PolicyOverlay", "development"),
        ("DemoBackend", "true"),
        ("EndpointUrl", "http://127.0.0.1:4566"),
    ],
)
def test_production_refuses_what_is_for_trying_out(transformed, name, value):
    [said] = refused(transformed, **PROD | {name: value})
    assert said.startswith("Production=true")
    assert name in said
    assert refused(transformed, **PROD | {name: value, "Production": "false"}) == []


def test_faults_need_the_backend_that_suffers_them_and_production_has_neither(transformed):
    given = {"Production": "false", "FaultSessions": "true"}
    [said] = refused(transformed, **given)
    assert "DemoBackend=true" in said
    assert refused(transformed, **given, DemoBackend="true") == []
    said = refused(transformed, **PROD | {"FaultSessions": "true", "DemoBackend": "true"})
    assert sorted(one.split(";")[1] for one in said) == [
        *(" leave DemoBackend out.", " leave FaultSessions out."),
    ]


@pytest.mark.parametrize("days", ["30", "365", "36500"])
def test_production_takes_a_month_of_object_lock_and_more(transformed, days):
    assert refused(transformed, **PROD | {"ObjectLockDays": days}) == []


@pytest.mark.parametrize("budget", ["2048", "4096"])
def test_a_header_budget_that_no_post_quantum_proof_fits_is_refused_where_one_needs_it(transformed, budget):
    given = {"Production": "false", "HeaderBudgetBytes": budget}
    [said] = refused(transformed, **given)
    assert "6656 or more" in said
    assert refused(transformed, **given, PolicyOverlay="development") == []
    domain = {"DomainName": "api.example.com", "CertificateArn": "arn", "TruststoreUri": "s3://trust/ca.pem"}
    assert refused(transformed, **given, **domain) == []  # there a client certificate is the binding


def test_every_header_budget_there_is_works_with_some_policy(transformed):
    allowed = transformed["Parameters"]["HeaderBudgetBytes"]["AllowedValues"]
    works = [str(b) for b in allowed if not refused(transformed, HeaderBudgetBytes=str(b))]
    assert [str(b) for b in allowed] == ["2048", "4096", *works]


EDGE = {
    "EdgeImageUri": "image",
    "EdgeSecretArn": "arn",
    "EdgeCertificateSecretArn": "arn",
    "EdgeVpcId": "vpc-1",
    "EdgeVpcCidr": "10.0.0.0/16",
    "EdgePublicSubnets": "subnet-1,subnet-2",
    "EdgePrivateSubnets": "subnet-3,subnet-4",
}
DOMAIN = {"DomainName": "api.example.com", "CertificateArn": "arn", "TruststoreUri": "s3://trust/ca.pem"}


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        *((EDGE, name) for name in EDGE if name != "EdgeImageUri"),
        (DOMAIN, "CertificateArn"),
        (DOMAIN, "DomainName"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_half_of_what_belongs_together_is_refused_and_the_other_half_named(transformed, given, missing):
    assert refused(transformed, **given) == []
    [said] = refused(transformed, **{name: value for name, value in given.items() if name != missing})
    assert missing in said


def test_every_refusal_says_what_to_do(transformed):
    parameters = set(transformed["Parameters"])
    for rule in transformed["Rules"].values():
        for assertion in rule["Assertions"]:
            words = set(
                assertion["AssertDescription"].replace("=", " ").replace(",", " ").replace(".", " ").split()
            )
            assert words & (parameters | {"python3"}), assertion["AssertDescription"]
