"""The front door: every route is guarded but five, nothing is cached, every refusal says what to do."""

from __future__ import annotations

import json
import re

import pytest
from samtranslator.yaml_helper import yaml_parse

from signet.breaker.config import BreakerConfig
from tests.template.cloudformation import ROOT, with_parameters
from tests.template.cloudformation import transformed as transformed_with

OPEN_ROUTES = {("get", "/pch/challenge"), ("post", "/pch/evidence"), ("get", "/pch/keys")}
OPEN_ROUTES |= {("get", "/pch/assertion-keys"), ("post", "/pch/outcomes"), ("get", "/.well-known/pch")}
GUARDED_ROUTES = {
    ("get", "/protected"),
    ("post", "/protected"),
    ("put", "/protected"),
    ("delete", "/protected"),
    ("get", "/protected/{item}"),
    ("post", "/compliance/pack"),
}


@pytest.fixture
def api(transformed, of_type):
    """As it is deployed with the demo backend, which guards the most routes."""
    [properties] = of_type("AWS::ApiGateway::RestApi").values()
    return with_parameters(transformed, DemoBackend="true")(properties["Body"])


@pytest.fixture
def answers(api):
    return api["x-amazon-apigateway-gateway-responses"]


def routes(api):
    return {(method, path): spec for path, item in api["paths"].items() for method, spec in item.items()}


def test_routes_are_the_documented_ones_method_by_method(api):
    assert set(routes(api)) == OPEN_ROUTES | GUARDED_ROUTES


def test_the_demo_backend_and_its_routes_are_there_only_where_a_parameter_says_so(transformed, of_type):
    [properties] = of_type("AWS::ApiGateway::RestApi").values()
    body = with_parameters(transformed)(properties["Body"])
    found = {name: item for name, item in body["paths"].items() if item != {"Ref": "AWS::NoValue"}}
    assert set(found) == {path for _, path in OPEN_ROUTES} | {"/compliance/pack"}
    assert transformed["Parameters"]["DemoBackend"]["Default"] == "false"
    assert transformed["Outputs"]["ProtectedUrl"]["Condition"] == "HasDemoBackend"
    for name, resource in transformed["Resources"].items():
        if name.startswith("Protected"):
            assert resource["Condition"] == "HasDemoBackend", name


@pytest.mark.parametrize("route", sorted(GUARDED_ROUTES))
def test_a_guarded_route_asks_the_authorizer(api, route):
    assert routes(api)[route]["security"] == [{"Signet": []}]


@pytest.mark.parametrize("route", sorted(OPEN_ROUTES))
def test_an_open_route_is_open_on_purpose(api, route):
    assert routes(api)[route]["security"] == [{"NONE": []}]


def test_no_decision_is_cached_and_none_is_skipped(api):
    [(name, scheme)] = api["components"]["securitySchemes"].items()
    authorizer = scheme["x-amazon-apigateway-authorizer"]
    assert name == "Signet"
    assert authorizer["type"] == "request"
    assert authorizer["authorizerResultTtlInSeconds"] == 0  # a cached Allow is a replay
    assert "identitySource" not in authorizer  # a missing one would be answered without the authorizer


def test_the_authorizer_is_the_authorizer(api):
    scheme = api["components"]["securitySchemes"]["Signet"]
    assert "AuthorizerFunction" in json.dumps(scheme["x-amazon-apigateway-authorizer"]["authorizerUri"])


def test_a_deny_carries_the_challenge_and_the_code(answers):
    assert answers["ACCESS_DENIED"] == {
        "statusCode": "401",
        "responseParameters": {
            "gatewayresponse.header.WWW-Authenticate": "context.authorizer.challenge",
            "gatewayresponse.header.Cache-Control": "'no-store'",
        },
        "responseTemplates": {"application/json": '{"error":"$context.authorizer.reason"}'},
    }


def test_no_answer_to_a_caller_carries_a_ticket_or_an_assertion(answers):
    """Who holds a ticket moves the breaker: only backends get the context's other members."""
    shown = set(re.findall(r"context\.authorizer\.(\w+)", json.dumps(answers)))
    assert shown == {"challenge", "reason"}


def test_a_static_401_names_the_place_of_challenges(answers):
    answer = answers["UNAUTHORIZED"]
    header = answer["responseParameters"]["gatewayresponse.header.WWW-Authenticate"]["Fn::Sub"]
    assert answer["statusCode"] == "401"
    assert header.startswith("'PCH realm=")
    assert 'challenge-uri="/${Environment}/pch/challenge"' in header


@pytest.mark.parametrize(
    ("kind", "seconds"), [("AUTHORIZER_FAILURE", 2), ("AUTHORIZER_CONFIGURATION_ERROR", 20)]
)
def test_a_failing_authorizer_is_overload_and_never_a_401(answers, kind, seconds):
    assert answers[kind]["statusCode"] == "503"
    assert answers[kind]["responseParameters"]["gatewayresponse.header.Retry-After"] == f"'{seconds}'"


def test_whoever_the_breaker_sheds_stays_away_for_its_longest_interval(answers):
    told = answers["AUTHORIZER_CONFIGURATION_ERROR"]["responseParameters"][
        "gatewayresponse.header.Retry-After"
    ]
    config = BreakerConfig()
    assert int(told.strip("'")) * 1000 >= config.max_open_ms + config.retry_jitter_ms


def test_no_caller_is_told_of_a_breaker_where_aws_may_have_failed_to_connect(answers):
    """AWS gives the same response for an answer without a policy and for a connection that failed."""
    templates = answers["AUTHORIZER_CONFIGURATION_ERROR"]["responseTemplates"]
    assert json.loads(templates["application/json"]) == {"error": "shed_or_unreachable"}


def deployment_of(template):
    [(name, _)] = [
        (n, r) for n, r in template["Resources"].items() if r["Type"] == "AWS::ApiGateway::Deployment"
    ]
    [stage] = [r for r in template["Resources"].values() if r["Type"] == "AWS::ApiGateway::Stage"]
    assert stage["Properties"]["DeploymentId"] == {"Ref": name}
    return name


def test_a_changed_parameter_reaches_the_stage_in_a_new_deployment(monkeypatch):
    """The stage serves a deployment, and a deployment is what the API said when it was made."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    made = set()
    for at_s, realm in ((1_800_000_000, "signet"), (1_800_000_060, "another")):
        monkeypatch.setattr("samtranslator.model.apigateway.time.time", lambda at_s=at_s: at_s)
        made.add(deployment_of(transformed_with(Realm=realm)))
    assert len(made) == 2


def test_bodies_of_gateway_answers_are_json(answers):
    for kind, answer in answers.items():
        body = json.loads(answer["responseTemplates"]["application/json"])
        assert set(body) == {"error"}, kind


def test_the_stage_throttles_traces_and_prints_no_payloads(of_type):
    [stage] = of_type("AWS::ApiGateway::Stage").values()
    [settings, *open_to_all] = stage["MethodSettings"]
    assert stage["TracingEnabled"] is True
    assert settings["DataTraceEnabled"] is False
    assert (settings["ResourcePath"], settings["HttpMethod"]) == ("/*", "*")
    assert {"ThrottlingRateLimit", "ThrottlingBurstLimit"} <= set(settings)
    for setting, (path, limit) in zip(
        open_to_all, (("evidence", "Evidence"), ("outcomes", "Outcomes")), strict=True
    ):
        assert (setting["ResourcePath"], setting["HttpMethod"]) == (f"/~1pch~1{path}", "POST")
        assert setting["ThrottlingRateLimit"] == {"Ref": f"{limit}ThrottleRate"}
        assert setting["ThrottlingBurstLimit"] == {"Ref": f"{limit}ThrottleBurst"}
        assert setting["DataTraceEnabled"] is False


@pytest.mark.parametrize(("quota", "expected"), [("0", None), ("5000", {"Limit": "5000", "Period": "DAY"})])
def test_the_usage_plan_is_the_stages_and_has_a_quota_where_one_is_set(transformed, of_type, quota, expected):
    [plan] = of_type("AWS::ApiGateway::UsagePlan").values()
    [stage] = of_type("AWS::ApiGateway::Stage").values()
    assert plan["ApiStages"] == [{"ApiId": {"Ref": "Api"}, "Stage": stage["StageName"]}]
    resolved = with_parameters(transformed, PlanQuota=quota)(plan)
    assert resolved["Throttle"] == {"RateLimit": "100", "BurstLimit": "200"}
    assert resolved.get("Quota") == expected


def test_no_route_asks_for_a_key_that_proves_nothing(api):
    assert "api_key" not in json.dumps(api["components"]["securitySchemes"])
    for route, spec in routes(api).items():
        assert {name for scheme in spec["security"] for name in scheme} <= {"Signet", "NONE"}, route


def test_a_web_acl_stands_before_the_stage_if_one_is_named(transformed):
    [(_, association)] = [
        (n, r) for n, r in transformed["Resources"].items() if r["Type"] == "AWS::WAFv2::WebACLAssociation"
    ]
    assert association["Condition"] == "HasWebAcl"
    assert association["Properties"]["WebACLArn"] == {"Ref": "WebAclArn"}
    assert association["Properties"]["ResourceArn"]["Fn::Sub"].endswith(
        "/restapis/${Api}/stages/${Environment}"
    )


def test_a_domain_of_ones_own_is_optional_and_its_name_may_be_signed_for(transformed):
    resources = transformed["Resources"]
    assert {resources[name]["Condition"] for name in ("ApiDomain", "ApiDomainMapping")} == {"HasDomain"}
    mapping = resources["ApiDomainMapping"]["Properties"]
    assert (mapping["DomainName"], mapping["RestApiId"]) == ({"Ref": "ApiDomain"}, {"Ref": "Api"})
    authorizer = resources["AuthorizerFunction"]["Properties"]["Environment"]["Variables"]
    own = with_parameters(transformed, DomainName="api.example.com")(authorizer["SIGNET_AUTHORITIES"])
    assert own == {"Fn::Join": [",", ["default", "api.example.com"]]}
    assert with_parameters(transformed)(authorizer["SIGNET_AUTHORITIES"]) == "default"


def test_the_edge_is_an_optional_nested_stack_and_gets_what_its_template_asks_for(transformed):
    edge = transformed["Resources"]["EdgeStack"]
    assert edge["Condition"] == "HasEdgeStack"
    asked = yaml_parse((ROOT / edge["Properties"]["TemplateURL"]).read_text())["Parameters"]
    given = edge["Properties"]["Parameters"]
    assert set(given) <= set(asked)
    assert {name for name in asked if "Default" not in asked[name]} <= set(given)
    assert (given["ApiId"], given["EdgeSecretArn"]) == ({"Ref": "Api"}, {"Ref": "EdgeSecretArn"})
    made = {"Fn::If": ["HasEdgeStack", True, False]}
    assert with_parameters(transformed)(made) is False
    assert with_parameters(transformed, EdgeImageUri="image")(made) is True


@pytest.mark.parametrize("truststore", ["", "s3://trust/callers.pem"])
def test_callers_show_certificates_exactly_where_a_truststore_is_given(transformed, of_type, truststore):
    [domain] = of_type("AWS::ApiGateway::DomainName").values()
    resolved = with_parameters(transformed, TruststoreUri=truststore)(domain)
    expected = {"TruststoreUri": truststore} if truststore else None
    assert resolved.get("MutualTlsAuthentication") == expected
    assert resolved["SecurityPolicy"] == "TLS_1_2"
