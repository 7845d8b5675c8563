"""What lets the gateway of an attached API ask the authorizer: one statement of its policy per account.

A function's policy holds 20,480 bytes (docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html), some
fifty statements, so there is one for each account and not for each API. Which API of an account may ask is
the registration's affair: events of others are refused as ``unknown_api``.
"""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

from signet.core.errors import UsageError
from signet_client.stack import aws, read_stack


def caller_account() -> str:
    """Return the account of the credentials in use.

    Raises:
        UsageError: it cannot be told.
    """
    try:
        return str(aws("sts").get_caller_identity()["Account"])
    except (BotoCoreError, ClientError) as error:
        raise UsageError("it cannot be told which account this is; pass --account") from error


def permit(stack: str, account: str) -> None:
    """Let API Gateway ask the authorizer on behalf of APIs of an account; done once, it stays.

    Raises:
        UsageError: the credentials may not change the function's policy.
    """
    deployed = read_stack(stack)
    function = deployed.output("AuthorizerArn")
    functions = aws("lambda")
    try:
        functions.add_permission(
            FunctionName=function,
            StatementId=f"apis-of-{account}",
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
            # docs.aws.amazon.com/apigateway/latest/developerguide/arn-format-reference.html
            SourceArn=f"arn:{_partition(function)}:execute-api:{_region(function)}:{account}:*/authorizers/*",
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceConflictException":
            return  # it is there
        raise UsageError(
            f"the API is registered, but its gateway may not ask the authorizer yet: {error}; grant "
            "lambda:AddPermission and add the API again after signet apis remove"
        ) from error


def _partition(arn: str) -> str:
    return arn.split(":")[1]


def _region(arn: str) -> str:
    return arn.split(":")[3]
