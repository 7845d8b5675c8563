"""Each function may do what it does and nothing else."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase

from tests.unit.log.test_sequencer import DAY, T0, LogOnFakes

FUNCTIONS = {"Audit", "Authorizer", "Handshake", "Outcomes", "Pack", "Protected", "ReceiptSink", "SthCron"}

# What may be allowed on every resource, and why.
UNRESTRICTED = {
    "xray:PutTraceSegments": "X-Ray knows no resources",
    "xray:PutTelemetryRecords": "X-Ray knows no resources",
}


def as_list(value):
    return value if isinstance(value, list) else [value]


def only_items(operator, keys):
    """Return the condition that holds a statement to some items; ForAllValues alone is true without a key."""
    return {
        f"ForAllValues:{operator}": {"dynamodb:LeadingKeys": keys},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }


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
                ours = ("${LogBucket.Arn}", "${TranscriptsBucket.Arn}", "${AWS::StackName}")
                assert any(start in text for start in ours), (name, resource)


def test_roles_are_assumed_by_their_service_only(of_type):
    schedules = ("SthCronFunctionDailyCloseRole", "AuditFunctionDailyRole")
    services = dict.fromkeys(schedules, "scheduler.amazonaws.com")
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
        "AuthorizerRole": [
            ({"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:UpdateItem"}, ["state#*", "sums#*"])
        ],
        "HandshakeRole": [({"dynamodb:GetItem"}, ["state#*"])],
        "OutcomesRole": [({"dynamodb:PutItem"}, ["outcome#*"]), ({"dynamodb:UpdateItem"}, ["sums#*"])],
        "ProtectedRole": [({"dynamodb:UpdateItem"}, ["sums#*"])],
    }
    for name, role in of_type("AWS::IAM::Role").items():
        found = [s for s in statements(role) if "BreakersTable" in json.dumps(s["Resource"])]
        assert [(set(as_list(s["Action"])), s["Condition"]) for s in found] == [
            (actions, only_items("StringLike", keys)) for actions, keys in wanted.get(name, [])
        ], name


def test_ordered_faults_are_read_by_the_demo_backend_and_only_where_they_are_allowed(resources):
    policy = resources["FaultPolicy"]
    assert policy["Condition"] == "HasFaultSessions"
    assert policy["Properties"]["Roles"] == [{"Ref": "ProtectedRole"}]
    [statement] = policy["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Action"] == "dynamodb:GetItem"
    assert statement["Condition"] == only_items("StringEquals", ["fault"])


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


def test_evidence_is_written_by_the_sink_and_read_for_packs(of_type):
    for name, role in of_type("AWS::IAM::Role").items():
        found = [s["Action"] for s in statements(role) if "Arn}/evidence/" in json.dumps(s["Resource"])]
        wanted = {"ReceiptSinkRole": ["s3:PutObject"], "PackRole": ["s3:GetObject"]}
        assert found == wanted.get(name, []), name


def test_the_logs_writer_may_read_and_write_every_object_that_it_makes(of_type):
    world = LogOnFakes()
    world.append(300, T0)
    world.run(T0)
    world.run(T0 + DAY)
    [allowed] = [
        s for s in statements(of_type("AWS::IAM::Role")["SthCronRole"]) if s.get("Sid") == "WriteTheLog"
    ]
    assert allowed["Action"] == ["s3:GetObject", "s3:PutObject"]
    patterns = [resource["Fn::Sub"].removeprefix("${LogBucket.Arn}/") for resource in allowed["Resource"]]
    for key in (*world.objects.objects, "staging/300-00"):
        assert any(fnmatchcase(key, pattern) for pattern in patterns), key


def test_the_audit_changes_nothing_and_holds_no_key(of_type):
    role = of_type("AWS::IAM::Role")["AuditRole"]
    own = {"logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTelemetryRecords", "xray:PutTraceSegments"}
    assert allowed(role) - own == {"dynamodb:GetItem", "dynamodb:Query", "s3:GetObject", "s3:ListBucket"}


def test_the_audit_may_read_every_object_of_the_log(of_type):
    """What it may not read is an error, and no verdict. It reads what the writer makes, but for the signed
    roots of COSE receipts: they repeat heads that it checks, and it does not read them.
    """
    roles = of_type("AWS::IAM::Role")
    [written] = [s for s in statements(roles["SthCronRole"]) if s.get("Sid") == "WriteTheLog"]
    [read] = [s for s in statements(roles["AuditRole"]) if s.get("Sid") == "ReadTheLog"]
    roots = {"Fn::Sub": "${LogBucket.Arn}/cose/*"}
    assert roots in written["Resource"]
    assert read["Resource"] == [place for place in written["Resource"] if place != roots]


def test_nobody_can_remove_or_change_what_is_in_the_log(of_type):
    for name, role in of_type("AWS::IAM::Role").items():
        for statement in statements(role):
            actions = set(as_list(statement["Action"]))
            assert actions.isdisjoint({"s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"}), name
            assert actions.isdisjoint({"dynamodb:DeleteItem", "dynamodb:BatchWriteItem"}), name
            assert actions.isdisjoint({"secretsmanager:PutSecretValue", "secretsmanager:DeleteSecret"}), name
            if "s3:DeleteObject" in actions:
                assert name == "SthCronRole"
                assert statement["Resource"] in [
                    {"Fn::Sub": "${LogBucket.Arn}/staging/*"},
                    {"Fn::Sub": "${LogBucket.Arn}/tile/*.p/*"},  # partial tiles, and no full one
                ]


def test_only_partial_tiles_can_be_given_the_tag_by_which_they_expire(of_type):
    for name, role in of_type("AWS::IAM::Role").items():
        for statement in statements(role):
            if "s3:PutObjectTagging" in as_list(statement["Action"]):
                assert (name, statement["Resource"]) == (
                    "SthCronRole",
                    {"Fn::Sub": "${LogBucket.Arn}/tile/*.p/*"},
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


def test_functions_that_decide_see_which_policy_was_pushed_and_can_push_none(of_type):
    for name, role in of_type("AWS::IAM::Role").items():
        table = [s for s in statements(role) if s["Resource"] == {"Fn::GetAtt": ["LogTable", "Arn"]}]
        files = [s for s in statements(role) if "/policy/" in json.dumps(s["Resource"])]
        if name in {"AuthorizerRole", "HandshakeRole"}:
            assert [s["Action"] for s in table] == ["dynamodb:GetItem"]
            assert table[0]["Condition"] == only_items("StringEquals", ["policy"])
            assert [s["Action"] for s in files] == ["s3:GetObject"]
            assert files[0]["Resource"] == {"Fn::Sub": "${LogBucket.Arn}/policy/*"}
        elif name == "SthCronRole":
            assert [(s["Action"], s["Condition"]) for s in table] == [
                (["dynamodb:GetItem", "dynamodb:PutItem"], only_items("StringEquals", ["lock"])),
            ]
        elif name == "AuditRole":
            assert [(s["Action"], s["Condition"]) for s in table] == [
                ("dynamodb:GetItem", only_items("StringEquals", ["lock", "policy"])),
            ]
            assert [s["Action"] for s in files] == ["s3:GetObject"]
        else:
            assert not table


def test_the_pack_function_is_invoked_by_the_closing_run_and_by_itself_only(of_type, resources):
    function = {"Fn::GetAtt": ["PackFunction", "Arn"]}
    for name, role in of_type("AWS::IAM::Role").items():
        found = [s["Resource"] for s in statements(role) if "lambda:InvokeFunction" in as_list(s["Action"])]
        if name in {"SthCronFunctionDailyCloseRole", "AuditFunctionDailyRole"}:  # the schedules' own
            continue
        assert found == ([function] if name == "SthCronRole" else []), name
    policy = resources["PackOrdersPolicy"]["Properties"]
    [statement] = policy["PolicyDocument"]["Statement"]
    assert (policy["Roles"], statement["Resource"]) == ([{"Ref": "PackRole"}], function)
    assert statement["Action"] == "lambda:InvokeFunction"


def test_only_the_cron_makes_and_uses_log_keys_in_kms_and_only_its_own(resources):
    policy = resources["LogKeysInKmsPolicy"]
    assert (policy["Condition"], policy["Properties"]["Roles"]) == ("HasKms", [{"Ref": "SthCronRole"}])
    own = {"Fn::Sub": "signet/${AWS::StackName}"}
    actions = set()
    for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
        named = set(as_list(statement["Action"]))
        actions |= named
        if "log-keys/" in json.dumps(statement["Resource"]):
            assert "${AWS::StackName}" in json.dumps(statement["Resource"])
            continue
        tags = statement["Condition"]["StringEquals"]
        making = named <= {"kms:CreateKey", "kms:TagResource"}
        assert tags[f"aws:{'Request' if making else 'Resource'}Tag/signet:log"] == own
        if making:
            assert tags["kms:KeySpec"] == ["ECC_NIST_EDWARDS25519", "ML_DSA_65", "ML_DSA_44"]
        if "kms:TagResource" in named:  # or the keys of other logs could be claimed
            assert statement["Condition"]["Null"] == {"aws:ResourceTag/signet:log": "true"}
        assert statement["Resource"] != "*" or named == {"kms:CreateKey"}
    assert actions == {
        "kms:CreateKey",
        "kms:TagResource",
        "kms:CreateAlias",
        "kms:GetPublicKey",
        "kms:Sign",
    }


def test_no_policy_stands_outside_a_role_without_need(of_type):
    apart = {"EdgeSecretPolicy", "FaultPolicy", "LogKeysInKmsPolicy", "PackOrdersPolicy"}
    assert set(of_type("AWS::IAM::Policy")) == apart
