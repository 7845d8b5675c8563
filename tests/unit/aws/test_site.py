"""Which host names are the API's own: they end differently in each of AWS's partitions."""

from __future__ import annotations

import pytest

from signet.aws.apis import own_api_of
from signet.aws.compose.handshake_settings import HandshakeSettings

ENVIRONMENT = {
    "SIGNET_AUTHORITIES": "default",
    "SIGNET_API_ID_PARAMETER": "/signet/test/api-id",
    "SIGNET_APIS_TABLE": "apis",
    "SIGNET_REALM": "signet",
    "SIGNET_NONCE_LIFETIME_S": "300",
    "SIGNET_HEADER_BUDGET": "8192",
    "SIGNET_HANDSHAKE_SECRET_ARN": "arn",
    "SIGNET_LOG_TABLE": "log",
    "SIGNET_LOG_BUCKET": "log",
    "SIGNET_BUNDLES_TABLE": "bundles",
    "SIGNET_BREAKERS_TABLE": "breakers",
}


@pytest.mark.parametrize(
    ("region", "suffix"),
    [("eu-central-1", "amazonaws.com"), ("cn-north-1", "amazonaws.com.cn"), ("us-iso-east-1", "c2s.ic.gov")],
)
def test_the_apis_own_name_ends_as_its_partition_says(region: str, suffix: str) -> None:
    environment = ENVIRONMENT | {"AWS_REGION": region, "SIGNET_URL_SUFFIX": suffix}
    settings = HandshakeSettings.from_environment(environment)
    site, own = settings.site, own_api_of("a1b2", settings.authorities)
    assert site.accepts(f"a1b2.execute-api.{region}.{suffix}", own)
    for other in {"amazonaws.com", "amazonaws.com.cn", "c2s.ic.gov"} - {suffix}:
        assert not site.accepts(f"a1b2.execute-api.{region}.{other}", own)


@pytest.mark.parametrize("given", [{}, {"SIGNET_URL_SUFFIX": ""}], ids=repr)
def test_without_a_word_it_is_the_one_of_most_regions(given: dict[str, str]) -> None:
    site = HandshakeSettings.from_environment(ENVIRONMENT | {"AWS_REGION": "eu-central-1"} | given).site
    own = own_api_of("a1b2", frozenset({"default"}))
    assert site.accepts("a1b2.execute-api.eu-central-1.amazonaws.com", own)
