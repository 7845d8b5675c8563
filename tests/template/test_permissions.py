"""Each function may do what it does and nothing else."""

from __future__ import annotations

import json

FUNCTIONS = {"Authorizer", "Handshake", "Pack", "Protected", "ReceiptSink", "SthCron"}

# What may be allowed on every resource, and why.
UNRESTRICTED = {
    "xray:PutTraceSegments": "X-Ray knows no resources",
    "xray:PutTelemetryRecords": "X-Ray knows no resources",
}


def as_list(value):
    return value if isinstance(value, list) else [value]


def statements(role):
    for policy in role.get("Policies", []):
        yield from policy["PolicyDocument"]["Statement"]


def allowed(role):
    return {action for s in statements(role) if s["Effect"] == "Allow" for action in as_list(s["Action"])}


def test_every_function_has_a_role_of_its_own(of_type):
    functions = of_type("AWS::Lambda::Function")
    assert set(functions) == {f"{name}Function" for name in FUNCTIONS}
    roles = {name: properties["Role"]["Fn::GetAtt"][0] for name, properties in functions.items()}
    assert roles == {f"{name}Function": f"{name}Role" for name in FUNCTIONS}


def test_no_role_has_managed_policies(of_type):
    for name, role in of_type("AWS::IAM::Role").items():
        assert "ManagedPolicyArns" not in role, name


def test_no_action_is_a_pattern(of_type):
    for name, role in of_type("AWS::IAM::Role").items():
        assert allowed(role), name
        assert [action for action in allowed(role) if "*" in action] == [], name


def test_no_statement_is_an_exception_list(of_type):
    for name, role in of_type("AWS::IAM::Role").items():
        for statement in statements(role):
            assert {"NotAction", "NotResource"}.isdisjoint(statement), name


def test_only_what_aws_forces_is_allowed_on_every_resource(of_type):
    for name, role in of_type("AWS::IAM::Role").items():
        for statement in statements(role):
            if "*" in as_list(statement["Resource"]):
                assert set(as_list(statement["Action"])) <= set(UNRESTRICTED), name


def test_a_pattern_in_a_resource_stands_under_a_name_of_this_stack(of_type):
    for name, role in of_type("AWS::IAM::Role").items():
        for resource in (r for s in statements(role) for r in as_list(s["Resource"])):
            text = json.dumps(resource)
            if "*" in text and resource != "*":
                assert "LogBucket.Arn" in text or "${AWS::StackName}" in text, (name, resource)


def test_roles_are_assumed_by_their_service_only(of_type):
    services = {"SthCronFunctionDailyCloseRole": "scheduler.amazonaws.com"}
    for name, role in of_type("AWS::IAM::Role").items():
        [statement] = role["AssumeRolePolicyDocument"]["Statement"]
        assert as_list(statement["Principal"]["Service"]) == [services.get(name, "lambda.amazonaws.com")], (
            name
        )


def test_the_authorizer_can_spend_nonces_and_queue_receipts_but_register_nobody(of_type):
    role = of_type("AWS::IAM::Role")["AuthorizerRole"]
    writes = [s for s in statements(role) if "dynamodb:PutItem" in as_list(s["Action"])]
    assert [s["Resource"] for s in writes] == [{"Fn::GetAtt": ["NoncesTable", "Arn"]}]
    tables = {
        action: {json.dumps(s["Resource"]) for s in statements(role) if action in as_list(s["Action"])}
        for action in allowed(role)
        if action.startswith("dynamodb:")
    }
    assert tables.keys() == {f"dynamodb:{a}Item" for a in ("Put", "Get", "BatchGet", "Update")}
    breakers = {json.dumps({"Fn::GetAtt": ["BreakersTable", "Arn"]})}
    assert tables["dynamodb:UpdateItem"] == tables["dynamodb:BatchGetItem"] == breakers


def test_the_breaker_is_moved_by_the_authorizer_and_backends_only_add_to_its_sums(of_type):
    """Items are told apart by their key's beginning: a backend cannot open or close anything."""
    wanted = {
        "AuthorizerRole": (
            {"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:UpdateItem"},
            ["state#*", "sums#*"],
        ),
        "HandshakeRole": ({"dynamodb:GetItem"}, ["state#*"]),
        "ProtectedRole": ({"dynamodb:UpdateItem"}, ["sums#*"]),
    }
    for name, role in of_type("AWS::IAM::Role").items():
        found = [s for s in statements(role) if "BreakersTable" in json.dumps(s["Resource"])]
        if name not in wanted:
            assert not found, name
            continue
        [statement] = found
        actions, keys = wanted[name]
        assert set(as_list(statement["Action"])) == actions
        assert statement["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": keys}}


def test_ordered_faults_are_read_by_the_demo_backend_and_only_where_they_are_allowed(resources):
    policy = resources["FaultPolicy"]
    assert policy["Condition"] == "HasFaultSessions"
    assert policy["Properties"]["Roles"] == [{"Ref": "ProtectedRole"}]
    [statement] = policy["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Action"] == "dynamodb:GetItem"
    assert statement["Condition"] == {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["fault"]}}


def test_bundles_are_written_by_the_open_endpoint_and_only_read_by_the_authorizer(of_type):
    for name, role in of_type("AWS::IAM::Role").items():
        found = [
            (action, s["Resource"])
            for s in statements(role)
            for action in as_list(s["Action"])
            if "BundlesTable" in json.dumps(s["Resource"])
        ]
        wanted = {"HandshakeRole": "dynamodb:PutItem", "AuthorizerRole": "dynamodb:GetItem"}
        table = {"Fn::GetAtt": ["BundlesTable", "Arn"]}
        assert found == ([(wanted[name], table)] if name in wanted else []), name


def test_evidence_is_written_by_the_sink_and_read_by_no_function(of_type):
    for name, role in of_type("AWS::IAM::Role").items():
        found = [s["Action"] for s in statements(role) if "/evidence/" in json.dumps(s["Resource"])]
        assert found == (["s3:PutObject"] if name == "ReceiptSinkRole" else []), name


def test_nobody_can_remove_or_change_what_is_in_the_log(of_type):
    for name, role in of_type("AWS::IAM::Role").items():
        for statement in statements(role):
            actions = set(as_list(statement["Action"]))
            assert actions.isdisjoint({"s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"}), name
            assert actions.isdisjoint({"dynamodb:DeleteItem", "dynamodb:BatchWriteItem"}), name
            assert actions.isdisjoint({"secretsmanager:PutSecretValue", "secretsmanager:DeleteSecret"}), name
            if "s3:DeleteObject" in actions:
                assert (name, statement["Resource"]) == (
                    "SthCronRole",
                    {"Fn::Sub": "${LogBucket.Arn}/staging/*"},
                )


def test_only_the_cron_reaches_the_private_log_keys(of_type):
    for name, role in of_type("AWS::IAM::Role").items():
        reaches = "log-keys" in json.dumps(list(statements(role)))
        assert reaches == (name == "SthCronRole"), name


def test_the_edges_keys_are_read_by_those_who_verify_and_only_where_there_is_an_edge(resources):
    policy = resources["EdgeSecretPolicy"]
    assert policy["Condition"] == "HasEdge"
    assert policy["Properties"]["Roles"] == [{"Ref": "AuthorizerRole"}, {"Ref": "HandshakeRole"}]
    [statement] = policy["Properties"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Allow", "secretsmanager:GetSecretValue")
    assert statement["Resource"] == {"Ref": "EdgeSecretArn"}


def test_no_policy_stands_outside_a_role_but_those_under_a_condition(of_type, resources):
    assert set(of_type("AWS::IAM::Policy")) == {"EdgeSecretPolicy", "FaultPolicy"}
    assert all("Condition" in resources[name] for name in of_type("AWS::IAM::Policy"))
