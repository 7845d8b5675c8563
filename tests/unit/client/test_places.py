"""Where a pack can come from, and where not."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from signet.core.errors import UnavailableError
from signet_client.places import DNS_SUFFIXES, Places

API = "https://abc123.execute-api.eu-central-1.amazonaws.com/prod/compliance/pack"
ON_AWS = Places.around(API, {})

S3 = [
    "https://signet-log-1.s3.eu-central-1.amazonaws.com/packs/x?X-Amz-Signature=1",
    "https://signet.log.1.s3.eu-central-1.amazonaws.com:443/packs/x",
    "https://bucket.s3.amazonaws.com/x",
    "https://bucket.s3-eu-west-1.amazonaws.com/x",
    "https://s3.us-gov-west-1.amazonaws.com/bucket/x",
    "https://bucket.s3.dualstack.ap-southeast-2.amazonaws.com/x",
    "https://bucket.s3-fips.us-east-1.amazonaws.com/x",
    "https://bucket.s3.cn-north-1.amazonaws.com.cn/x",
    "https://bucket.s3.eusc-de-east-1.amazonaws.eu/x",
]
ELSEWHERE = [
    "http://bucket.s3.eu-central-1.amazonaws.com/x",
    "https://bucket.s3.eu-central-1.amazonaws.com:8443/x",
    "https://bucket.s3.eu-central-1.amazonaws.com@evil.example/x",
    "https://user@bucket.s3.eu-central-1.amazonaws.com/x",
    "https://bucket.s3.eu-central-1.amazonaws.com.evil.example/x",
    "https://bucket.s3.eu-central-1.amazonaws.com./x",
    "https://evil-s3.eu-central-1.amazonaws.com/x",
    "https://evils3.amazonaws.com/x",
    "https://evil.execute-api.eu-central-1.amazonaws.com/x",
    "https://bucket.s3.evil.amazonaws.com/x",
    "https://bucket.s3.eu-central-1.amazonaws.com\\@evil.example/x",
    "https://ec2-1-2-3-4.eu-central-1.compute.amazonaws.com/x",
    "http://abc123.execute-api.eu-central-1.amazonaws.com/x",
    "//evil.example/x",
    "https://[::1/x",
    "https://evil.example:x/",
    "http://169.254.169.254/latest/meta-data/",
    "http://localhost:4566/bucket/x",
    "file:///etc/passwd",
]


@pytest.mark.parametrize("url", S3)
def test_a_pack_comes_from_s3(url: str):
    assert ON_AWS.check(url) == url


def test_a_pack_comes_from_the_api_itself():
    assert ON_AWS.check("/prod/packs/1").endswith("amazonaws.com/prod/packs/1")
    local = Places.around("http://localhost:8080/api", {})
    assert local.check("http://localhost:8080/packs/1") == "http://localhost:8080/packs/1"
    with pytest.raises(UnavailableError):
        local.check("http://localhost:8081/packs/1")


@pytest.mark.parametrize("url", ELSEWHERE)
def test_a_pack_comes_from_nowhere_else(url: str):
    with pytest.raises(UnavailableError, match=r"neither S3|no URL"):
        ON_AWS.check(url)


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_an_emulator_is_a_place_where_the_environment_names_it(variable: str):
    places = Places.around("https://edge.example/pack", {variable: "http://localhost:4566"})
    for host in (
        "localhost",
        "127.0.0.1",
        "[::1]",
        "localhost.localstack.cloud",
        "b.s3.localhost.localstack.cloud",
    ):
        assert places.check(f"http://{host}:4566/bucket/x")
    for other in ("http://localhost:4567/x", "https://localhost:4566/x", "http://evil.example:4566/x"):
        with pytest.raises(UnavailableError):
            places.check(other)
    remote = Places.around("https://edge.example/pack", {variable: "http://10.0.0.5:4566"})
    assert remote.check("http://10.0.0.5:4566/bucket/x")
    with pytest.raises(UnavailableError, match="AWS_ENDPOINT_URL"):
        remote.check("http://localhost:4566/bucket/x")


def test_every_partition_s_suffix_is_known():
    partitions = json.loads(files("botocore").joinpath("data/partitions.json").read_text())["partitions"]
    assert {partition["outputs"]["dnsSuffix"] for partition in partitions} <= set(DNS_SUFFIXES)
