"""Functions are found, configured, logged, traced; the right alarms ring."""

from __future__ import annotations

import json
import re

import pytest

from signet.aws.kms import MAX_CHAINS
from signet.telemetry import NAMESPACE, Metric
from tests.template.cloudformation import ROOT, source, with_parameters

COMMON = {"POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_SERVICE_NAME", "POWERTOOLS_TRACE_DISABLED", "LOG_LEVEL"}
COMMON |= {"SIGNET_STACK_NAME"}

HANDSHAKE = {"SIGNET_HANDSHAKE_SECRET_ARN", "SIGNET_AUTHORITIES", "SIGNET_BASE_PATH", "SIGNET_REALM"}
HANDSHAKE |= {"SIGNET_NONCE_LIFETIME_S", "SIGNET_CLOCK_SKEW_S", "SIGNET_HEADER_BUDGET", "SIGNET_LEVEL"}
HANDSHAKE |= {
    "SIGNET_API_ID_PARAMETER",
    "SIGNET_APIS_TABLE",
    "SIGNET_BUNDLES_TABLE",
    "SIGNET_EDGE_SECRET_ARN",
    "SIGNET_EDGE_ACCEPT_V1",
    "SIGNET_EDGE_BASE_PATH",
    "SIGNET_BREAKERS_TABLE",
    "SIGNET_URL_SUFFIX",
}
HANDSHAKE |= {"SIGNET_POLICY_OVERLAY", "SIGNET_POLICY_REFRESH_S", "SIGNET_LOG_TABLE", "SIGNET_LOG_BUCKET"}

SETTINGS = {
    "audit": {"SIGNET_RECEIPTS_TABLE", "SIGNET_LOG_TABLE", "SIGNET_LOG_BUCKET", "SIGNET_LOG_ID"},
    "authorizer": HANDSHAKE
    | {"SIGNET_NONCES_TABLE", "SIGNET_CLIENTS_TABLE", "SIGNET_RECEIPT_QUEUE_URL", "SIGNET_MLDSA_PROVIDER"}
    | {"SIGNET_BACKEND_SERVERS", "SIGNET_OWN_URL", "SIGNET_REFUSAL_RECEIPTS_PER_S"},
    "handshake": HANDSHAKE,
    "outcomes": {"SIGNET_HANDSHAKE_SECRET_ARN", "SIGNET_BREAKERS_TABLE"},
    "pack": {"SIGNET_LOG_BUCKET", "SIGNET_PACK_URL_TTL_S", "SIGNET_TRANSCRIPTS_BUCKET"},
    "protected": {"SIGNET_BREAKERS_TABLE"},
    "receipt_sink": {
        "SIGNET_RECEIPTS_TABLE",
        "SIGNET_CHAINS",
        "SIGNET_LOG_BUCKET",
        "SIGNET_TRANSCRIPTS_BUCKET",
    },
    "sth_cron": {
        "SIGNET_RECEIPTS_TABLE",
        "SIGNET_LOG_TABLE",
        "SIGNET_LOG_BUCKET",
        "SIGNET_LOG_KEYS_PREFIX",
        "SIGNET_LOG_ORIGIN",
        "SIGNET_KEY_STORE",
        "SIGNET_ROTATION_DAYS",
        "SIGNET_CHAINS",
        "SIGNET_POLICY_OVERLAY",
        "SIGNET_PACK_FUNCTION",
    },
}


def by_service(of_type):
    functions = of_type("AWS::Lambda::Function").values()
    return {f["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]: f for f in functions}


def test_there_is_one_function_per_folder(of_type):
    assert set(by_service(of_type)) == set(SETTINGS)


@pytest.mark.parametrize("service", SETTINGS)
def test_a_function_has_its_settings_and_no_others(transformed, of_type, service):
    function = with_parameters(transformed)(by_service(of_type)[service])
    assert set(function["Environment"]["Variables"]) == COMMON | SETTINGS[service]


def test_a_backend_suffers_faults_only_where_a_parameter_says_so(transformed, of_type):
    function = by_service(of_type)["protected"]
    allowed = with_parameters(transformed, DemoBackend="true", FaultSessions="true")(function)
    assert "SIGNET_FAULT_TABLE" in allowed["Environment"]["Variables"]
    forbidden = with_parameters(transformed, DemoBackend="true")(function)
    assert "SIGNET_FAULT_TABLE" not in forbidden["Environment"]["Variables"]
    assert transformed["Parameters"]["FaultSessions"]["Default"] == "false"


@pytest.mark.parametrize("service", SETTINGS)
def test_an_emulators_address_reaches_the_functions_and_stops_tracing(transformed, of_type, service):
    resolve = with_parameters(transformed, EndpointUrl="http://127.0.0.1:4566")
    variables = resolve(by_service(of_type)[service])["Environment"]["Variables"]
    assert variables["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert variables["POWERTOOLS_TRACE_DISABLED"] == "true"


@pytest.mark.parametrize("service", SETTINGS)
def test_a_function_lies_in_the_folder_of_its_name(of_type, service):
    assert by_service(of_type)[service]["Handler"] == f"{service}_handler.handler"
    places = {
        r["Properties"]["CodeUri"] for r in source()["Resources"].values() if "CodeUri" in r["Properties"]
    }
    assert f"functions/{service}" in places


@pytest.mark.parametrize("service", SETTINGS)
def test_a_function_logs_into_its_own_group_with_an_end_and_traces(of_type, service):
    function = by_service(of_type)[service]
    group = function["LoggingConfig"]["LogGroup"]["Ref"]
    properties = of_type("AWS::Logs::LogGroup")[group]
    assert properties["LogGroupName"] == {"Fn::Sub": f"/signet/${{AWS::StackName}}/{service}"}
    assert function["TracingConfig"] == {"Mode": "Active"}


def test_every_log_group_forgets(of_type):
    for name, group in of_type("AWS::Logs::LogGroup").items():
        assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}, name


def test_a_packs_url_does_not_claim_to_outlive_its_credentials(transformed):
    assert transformed["Parameters"]["PackUrlTtlSeconds"]["MaxValue"] <= 3600


def test_the_gateway_is_never_kept_waiting_past_its_patience(of_type):
    for service in ("authorizer", "handshake", "outcomes", "protected"):
        assert by_service(of_type)[service]["Timeout"] <= 29, service


def test_a_large_pack_has_the_time_it_takes(of_type):
    assert by_service(of_type)["pack"]["Timeout"] == 900


def test_heads_are_signed_each_minute_and_the_closed_days_audited(transformed, of_type):
    schedules = of_type("AWS::Scheduler::Schedule")
    told = {}
    for name, schedule in with_parameters(transformed)(schedules).items():
        assert schedule["ScheduleExpressionTimezone"] == "UTC"
        [function, _arn] = schedule["Target"]["Arn"]["Fn::GetAtt"]
        assert "${AWS::StackName}" in schedule["Name"]["Fn::Sub"]  # two stacks, two schedules
        told[name] = (function, schedule["ScheduleExpression"], schedule["Target"].get("Input"))
    # The audit comes after the run whose work it looks at.
    assert told == {
        "SthCronFunctionDailyClose": ("SthCronFunction", "cron(* * * * ? *)", None),
        "AuditFunctionDaily": ("AuditFunction", "cron(35 0 * * ? *)", '{"days": 2}'),
    }


def test_the_audits_schedule_can_be_made_while_the_one_it_follows_is_still_there(of_type):
    """CloudFormation deletes the writer's own, of releases before, when the others are made."""
    names = [schedule["Name"]["Fn::Sub"] for schedule in of_type("AWS::Scheduler::Schedule").values()]
    assert "${AWS::StackName}-daily-audit" not in names
    assert len(set(names)) == len(names)


ALARMS = {
    "ApiServerErrorsAlarm",
    "AuditErrorsAlarm",
    "AuditMissingAlarm",
    "AuditFindingsAlarm",
    "AuthorizerErrorsAlarm",
    "AuthorizerThrottledAlarm",
    "ChainContradictionAlarm",
    "BreakerOpenAlarm",
    "BreakerSilentAlarm",
    "BreakerFutileAlarm",
    "LogContradictionAlarm",
    "LogDelayAlarm",
    "PolicyNotLoadedAlarm",
    "ReceiptDlqNotEmptyAlarm",
    "ReceiptQueueAgeAlarm",
    "RefusalRateAlarm",
    "SthCronErrorsAlarm",
    "SthCronMissingAlarm",
    "TreeHeadStaleAlarm",
}


@pytest.mark.parametrize("topic", ["", "arn:aws:sns:eu-central-1:111122223333:alarms"])
def test_alarms_ring_where_the_parameter_says(transformed, of_type, topic):
    alarms = with_parameters(transformed, AlarmTopicArn=topic)(of_type("AWS::CloudWatch::Alarm"))
    assert set(alarms) == ALARMS
    for name, alarm in alarms.items():
        assert alarm.get("AlarmActions", []) == ([topic] if topic else []), name


def test_an_alarm_watches_a_metric_that_is_emitted(of_type):
    """A misspelt metric or dimension never rings; too long an evaluation is refused when it is deployed."""
    dimensions = {
        "AWS/ApiGateway": {"ApiName", "Stage"},
        "AWS/Lambda": {"FunctionName"},
        "AWS/SQS": {"QueueName"},
        NAMESPACE: {"service", "stack"},
    }
    amazons = {"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"}
    amazons |= {"5XXError", "Errors", "Invocations", "Throttles"}
    for name, alarm in of_type("AWS::CloudWatch::Alarm").items():
        found = {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]}
        assert set(found) == dimensions[alarm["Namespace"]], name
        if alarm["Namespace"] == NAMESPACE:
            assert alarm["MetricName"] in set(Metric), name
            assert found["service"] in SETTINGS, name
            assert alarm["MetricName"] != Metric.DECISIONS, name  # it exists only together with its reason
        else:
            assert alarm["MetricName"] in amazons, name
        longest = 86_400 if alarm["Period"] < 3_600 else 7 * 86_400
        assert alarm["Period"] * alarm["EvaluationPeriods"] <= longest, name


def test_an_alarm_of_one_stack_hears_nothing_of_another(of_type):
    """Each has a dimension that no other stack of the account has: its name, or what is made of it."""
    own = {"FunctionName", "QueueName"}  # named by CloudFormation itself, so once
    for name, alarm in of_type("AWS::CloudWatch::Alarm").items():
        found = {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]}
        named = [value for value in found.values() if "AWS::StackName" in json.dumps(value)]
        assert named or own & set(found), name
    for function in of_type("AWS::Lambda::Function").values():
        assert function["Environment"]["Variables"]["SIGNET_STACK_NAME"] == {"Ref": "AWS::StackName"}


def test_the_dashboard_shows_this_stack_only(of_type):
    [dashboard] = of_type("AWS::CloudWatch::Dashboard").values()
    for widget in json.loads(dashboard["DashboardBody"]["Fn::Sub"])["widgets"]:
        for metric in widget["properties"].get("metrics", []):
            if metric[0] == NAMESPACE:
                assert metric[4:6] == ["stack", "${AWS::StackName}"], metric
            elif isinstance(metric[0], dict):
                assert 'stack="${AWS::StackName}"' in metric[0]["expression"]
                assert f"{{{NAMESPACE},reason,service,stack}}" in metric[0]["expression"]


def test_silence_is_alarming_only_where_something_must_happen_daily(of_type):
    alarms = of_type("AWS::CloudWatch::Alarm")
    silent = {name for name, alarm in alarms.items() if alarm["TreatMissingData"] == "breaching"}
    assert silent == {"AuditMissingAlarm", "SthCronMissingAlarm", "TreeHeadStaleAlarm"}
    for missing in (alarms[name] for name in silent):
        assert missing["Period"] * missing["EvaluationPeriods"] == 26 * 3600
        assert "DatapointsToAlarm" not in missing  # every hour, or one run a day would not be enough


def test_a_head_later_than_promised_alarms_and_so_does_a_writer_that_does_not_run(transformed, of_type):
    stated = with_parameters(transformed)(of_type("AWS::CloudWatch::Alarm"))["LogDelayAlarm"]
    assert (stated["MetricName"], stated["Statistic"], str(stated["Threshold"])) == (
        "LogDelay",
        "Maximum",
        "90",
    )
    assert stated["TreatMissingData"] == "breaching"
    assert stated["Period"] == 60  # one run a minute
    without = with_parameters(transformed, MaximumDelaySeconds="0")(of_type("AWS::CloudWatch::Alarm"))
    assert without["LogDelayAlarm"]["TreatMissingData"] == "notBreaching"
    assert without["LogDelayAlarm"]["Threshold"] > 86_400


def test_a_policy_that_cannot_be_loaded_alarms_once_that_lasts(transformed, of_type):
    """A failure of a store is over within a minute, and may lie in two; rare requests still find a fault."""
    alarm = of_type("AWS::CloudWatch::Alarm")["PolicyNotLoadedAlarm"]
    refresh_s = int(transformed["Parameters"]["PolicyRefreshSeconds"]["MaxValue"])
    assert refresh_s <= alarm["Period"] == 60  # so a fault that lasts fills every minute that has requests
    assert alarm["DatapointsToAlarm"] == 3
    assert alarm["EvaluationPeriods"] * alarm["Period"] >= 3 * 20 * 60


def test_the_layer_is_built_for_the_runtime_that_is_the_default():
    parameters = source()["Parameters"]
    makefile = (ROOT / "layers/signet/Makefile").read_text()
    defaults = dict(re.findall(r"^(SIGNET_LAYER_\w+) \?= (\S+)$", makefile, re.MULTILINE))
    assert f"python{defaults['SIGNET_LAYER_PYTHON']}" == parameters["PythonRuntime"]["Default"]
    assert defaults["SIGNET_LAYER_ARCH"] == parameters["Architecture"]["Default"]


def test_no_runtime_older_than_the_layers_glibc_is_deployed_on_aws(transformed):
    """There python3.11 is Amazon Linux 2 with glibc 2.26, and the layer's wheels are for 2.34."""
    rule = transformed["Rules"]["RuntimeHasTheLayersGlibc"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "EndpointUrl"}, ""]}
    [assertion] = rule["Assertions"]
    assert assertion["Assert"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "PythonRuntime"}, "python3.11"]}]}
    assert "python3.12" in transformed["Parameters"]["PythonRuntime"]["AllowedValues"]


def test_more_chains_than_kms_can_sign_heads_of_are_refused_before_anything_is_made(transformed):
    rule = transformed["Rules"]["KmsCanSignTheHeads"]
    assert rule["RuleCondition"] == transformed["Conditions"]["HasKms"]
    [assertion] = rule["Assertions"]
    allowed = [str(chains) for chains in range(1, MAX_CHAINS + 1)]
    assert assertion["Assert"] == {"Fn::Contains": [allowed, {"Ref": "Chains"}]}
    assert f"at most {MAX_CHAINS}" in assertion["AssertDescription"]
    parameters = transformed["Parameters"]
    assert f"at most {MAX_CHAINS}" in parameters["KeyStore"]["Description"]
    assert parameters["Chains"]["MaxValue"] > MAX_CHAINS


def test_the_outputs_that_others_rely_on_are_there(transformed):
    tables = {"NoncesTable", "BundlesTable", "ClientsTable", "ReceiptsTable", "LogTable", "LogBucket"}
    tables |= {"ApisTable", "BreakersTable", "BackendServers", "FaultSessions", "TranscriptsBucket"}
    urls = {
        "DomainTarget",
        "EdgeTarget",
        "ApiUrl",
        "ProtectedUrl",
        "ChallengeUrl",
        "EvidenceUrl",
        "OutcomesUrl",
        "PackUrl",
        "ReceiptQueueUrl",
        "ReceiptDlqUrl",
    }
    functions = {"AuthorizerFunction", "HandshakeFunction", "ReceiptSinkFunction", "SthCronFunction"}
    functions |= {"AuditFunction", "AuthorizerArn", "OutcomesFunction"}
    others = {"PackFunction", "UsagePlanId", "HandshakeSecretArn", "LogKeysPrefix", "PolicyRefreshSeconds"}
    assert set(transformed["Outputs"]) == tables | urls | functions | others


def test_urls_are_the_emulators_on_an_emulator(transformed):
    value = transformed["Outputs"]["ApiUrl"]["Value"]
    on_aws = with_parameters(transformed)(value)["Fn::Sub"]
    emulated = with_parameters(transformed, EndpointUrl="http://127.0.0.1:4566")(value)["Fn::Sub"]
    assert on_aws == "https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}/${Environment}"
    assert emulated == "${EndpointUrl}/_aws/execute-api/${Api}/${Environment}"


def test_the_authorizer_is_told_the_url_of_signets_own_api_but_for_its_id(transformed, of_type):
    """The id is in a parameter: a function that the API names cannot have it in its environment."""
    told = by_service(of_type)["authorizer"]["Environment"]["Variables"]["SIGNET_OWN_URL"]
    output = transformed["Outputs"]["ApiUrl"]["Value"]
    for given in ({}, {"EndpointUrl": "http://127.0.0.1:4566"}):
        url = with_parameters(transformed, **given)(output)["Fn::Sub"]
        assert with_parameters(transformed, **given)(told) == {"Fn::Sub": url.replace("${Api}", "{api_id}")}


def test_the_dashboard_shows_every_alarm_and_no_metric_that_nobody_emits(of_type):
    [dashboard] = of_type("AWS::CloudWatch::Dashboard").values()
    widgets = json.loads(dashboard["DashboardBody"]["Fn::Sub"])["widgets"]
    [shown] = [widget["properties"]["alarms"] for widget in widgets if widget["type"] == "alarm"]
    assert {arn.removeprefix("${").removesuffix(".Arn}") for arn in shown} == set(
        of_type("AWS::CloudWatch::Alarm")
    )
    listed = [metric for widget in widgets for metric in widget["properties"].get("metrics", [])]
    ours = {metric[1] for metric in listed if metric[0] == NAMESPACE}
    searched = set(re.findall(r'MetricName="(\w+)"', json.dumps(listed).replace(r"\"", '"')))
    assert searched == {Metric.DECISIONS}
    assert ours <= set(Metric)
    assert Metric.AUTHORIZER_LATENCY in ours
    at = [tuple(widget[key] for key in ("x", "y")) for widget in widgets]
    assert len(set(at)) == len(at)


@pytest.mark.parametrize("template", ["template.yaml", "edge/template.yaml"])
def test_no_host_name_is_of_one_partition_only(template):
    """Service principals are the same everywhere; names of hosts end as AWS::URLSuffix says."""
    text = re.sub(r"#.*", "", (ROOT / template).read_text())
    assert set(re.findall(r"[\w.-]*\bamazonaws\.com[\w.-]*", text)) <= {
        "lambda.amazonaws.com",
        "ecs-tasks.amazonaws.com",
    }


def test_the_functions_are_told_how_the_apis_own_name_ends(of_type):
    for service in ("authorizer", "handshake"):
        variables = by_service(of_type)[service]["Environment"]["Variables"]
        assert variables["SIGNET_URL_SUFFIX"] == {"Ref": "AWS::URLSuffix"}
