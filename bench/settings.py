"""The settings of an authorizer that is measured, as the template gives them to the function."""

from __future__ import annotations


def authorizer_settings(endpoint: str) -> dict[str, str]:
    """Return the variables that are Signet's own.

    Args:
        endpoint: URL of what stands in for AWS.
    """
    return {
        "SIGNET_NONCES_TABLE": "nonces",
        "SIGNET_CLIENTS_TABLE": "clients",
        "SIGNET_BUNDLES_TABLE": "bundles",
        "SIGNET_BREAKERS_TABLE": "breakers",
        "SIGNET_APIS_TABLE": "apis",
        "SIGNET_API_ID": "a1b2c3d4e5",  # of the events
        "SIGNET_OWN_URL": "https://{api_id}.execute-api.eu-central-1.amazonaws.com/v1",
        "SIGNET_RECEIPT_QUEUE_URL": f"{endpoint}/receipts",
        "SIGNET_HANDSHAKE_SECRET_ARN": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:handshake",
        "SIGNET_AUTHORITIES": "default",
        "SIGNET_REALM": "signet",
        "SIGNET_NONCE_LIFETIME_S": "300",
        "SIGNET_HEADER_BUDGET": "8192",
        "SIGNET_LOG_TABLE": "registers",
        "SIGNET_LOG_BUCKET": "log",
    }
