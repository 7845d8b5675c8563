"""What is on record stays on record, and is readable by no other role."""

from __future__ import annotations

import pytest

from tests.template.cloudformation import with_parameters

# Table -> its key, its TTL attribute (None: nothing in it may ever expire), whether it outlives the stack.
TABLES = {
    "NoncesTable": ({"nonce": "S"}, "expires_at", False),
    "BundlesTable": ({"sha256": "S"}, "expires_at", False),
    "BreakersTable": ({"pk": "S"}, "expires_at", False),
    "ApisTable": ({"pk": "S"}, None, True),
    "ClientsTable": ({"keyid": "S"}, None, True),
    "ReceiptsTable": ({"pk": "S", "sk": "N"}, "expires_at", True),
    "LogTable": ({"pk": "S"}, None, True),
}


def test_there_are_these_tables(of_type):
    assert set(of_type("AWS::DynamoDB::Table")) == set(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_on_demand_recoverable_and_encrypted(of_type, name):
    table = of_type("AWS::DynamoDB::Table")[name]
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["SSESpecification"] == {"SSEEnabled": True}


@pytest.mark.parametrize(("name", "expected"), TABLES.items())
def test_a_table_has_its_key_and_forgets_only_what_may_be_forgotten(of_type, name, expected):
    table = of_type("AWS::DynamoDB::Table")[name]
    key, ttl, _ = expected
    assert {a["AttributeName"]: a["AttributeType"] for a in table["AttributeDefinitions"]} == key
    assert [part["AttributeName"] for part in table["KeySchema"]] == list(key)
    expires = table.get("TimeToLiveSpecification")
    assert expires == (ttl and {"AttributeName": ttl, "Enabled": True})


@pytest.mark.parametrize(
    "name", [*(name for name, (_, _, lasting) in TABLES.items() if lasting), "LogBucket", "ReceiptDlq"]
)
def test_deleting_the_stack_deletes_no_record(resources, name):
    assert resources[name]["DeletionPolicy"] == "RetainExceptOnCreate"
    assert resources[name]["UpdateReplacePolicy"] == "Retain"


@pytest.mark.parametrize("name", [name for name, (_, _, lasting) in TABLES.items() if lasting])
def test_prod_protects_tables_from_deletion(transformed, of_type, name):
    table = of_type("AWS::DynamoDB::Table")[name]
    assert with_parameters(transformed, ProtectData="true")(table)["DeletionProtectionEnabled"] == "true"


def test_the_log_bucket_is_versioned_private_and_encrypted(of_type):
    bucket = of_type("AWS::S3::Bucket")["LogBucket"]
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    [rule] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}


@pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE"])
def test_object_lock_is_what_the_parameters_say(transformed, of_type, mode):
    bucket = of_type("AWS::S3::Bucket")["LogBucket"]
    locked = with_parameters(transformed, ObjectLockMode=mode, ObjectLockDays="7")(bucket)
    assert locked["ObjectLockEnabled"] is True
    retention = locked["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]
    assert retention == {"Mode": mode, "Days": "7"}


def test_object_lock_can_be_left_out(transformed, of_type):
    bucket = of_type("AWS::S3::Bucket")["LogBucket"]
    unlocked = with_parameters(transformed, ObjectLockMode="NONE")(bucket)
    assert {"ObjectLockEnabled", "ObjectLockConfiguration"}.isdisjoint(unlocked)


def test_lifecycle_rules_touch_only_what_is_not_the_log(of_type):
    bucket = of_type("AWS::S3::Bucket")["LogBucket"]
    for rule in bucket["LifecycleConfiguration"]["Rules"]:
        expires = {key for key in rule if "Expiration" in key or "Transition" in key}
        passing = {"staging/", "evidence/", "packs/evidence/", "packs/jobs/"}
        if expires and rule["Prefix"] == "tile/":  # of partial tiles, and only what was removed already
            assert rule["TagFilters"] == [{"Key": "signet", "Value": "partial-tile"}]
            assert expires == {"NoncurrentVersionExpiration"}
        else:
            assert not expires or rule["Prefix"] in passing, rule


def test_evidence_is_kept_for_the_days_that_the_parameter_says(transformed, of_type):
    bucket = of_type("AWS::S3::Bucket")["LogBucket"]
    rules = with_parameters(transformed, EvidenceRetentionDays="400")(bucket)["LifecycleConfiguration"][
        "Rules"
    ]
    [rule] = [rule for rule in rules if rule.get("Prefix") == "evidence/"]
    assert rule["ExpirationInDays"] == "400"


def test_what_is_erased_from_the_transcripts_is_gone(transformed, of_type):
    bucket = of_type("AWS::S3::Bucket")["TranscriptsBucket"]
    assert bucket.keys().isdisjoint(
        {"VersioningConfiguration", "ObjectLockEnabled", "ObjectLockConfiguration"}
    )
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    rules = with_parameters(transformed, TranscriptRetentionDays="400")(bucket)["LifecycleConfiguration"][
        "Rules"
    ]
    kept = {rule.get("Prefix"): rule.get("ExpirationInDays") for rule in rules}
    assert kept == {"transcripts/": "400", "packs/transcripts/": 7, None: None}


def test_bucket_and_queues_refuse_plain_http(of_type):
    on_bucket, on_transcripts = of_type("AWS::S3::BucketPolicy").values()
    [on_queues] = of_type("AWS::SQS::QueuePolicy").values()
    assert on_queues["Queues"] == [{"Ref": "ReceiptQueue"}, {"Ref": "ReceiptDlq"}]
    for policy, things in ((on_bucket, 2), (on_transcripts, 2), (on_queues, 2)):
        [statement] = policy["PolicyDocument"]["Statement"]
        assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        assert len(statement["Resource"]) == things


def test_queues_are_encrypted_and_keep_messages_as_long_as_there_is(of_type):
    for name, queue in of_type("AWS::SQS::Queue").items():
        assert queue["SqsManagedSseEnabled"] is True, name
        assert queue["MessageRetentionPeriod"] == 14 * 86400, name


def test_a_poison_receipt_ends_in_the_dead_letter_queue(of_type):
    redrive = of_type("AWS::SQS::Queue")["ReceiptQueue"]["RedrivePolicy"]
    assert redrive == {"deadLetterTargetArn": {"Fn::GetAtt": ["ReceiptDlq", "Arn"]}, "maxReceiveCount": 5}


def test_a_receipt_stays_hidden_for_six_times_the_sinks_timeout_and_the_window(of_type):
    timeout = of_type("AWS::Lambda::Function")["ReceiptSinkFunction"]["Timeout"]
    [source] = of_type("AWS::Lambda::EventSourceMapping").values()
    window = source["MaximumBatchingWindowInSeconds"]
    assert of_type("AWS::SQS::Queue")["ReceiptQueue"]["VisibilityTimeout"] >= 6 * timeout + window


def test_the_sink_takes_large_batches_and_reports_single_failures(transformed, of_type):
    [source] = of_type("AWS::Lambda::EventSourceMapping").values()
    source = with_parameters(transformed)(source)
    assert source["BatchSize"] == 1000
    assert source["MaximumBatchingWindowInSeconds"] >= 1  # SQS demands a window above ten
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source["ScalingConfig"] == {"MaximumConcurrency": 2}
