"""What lets the gateway of an attached API ask the authorizer: one statement of its policy per API.

A statement is for one API's authorizers, and goes when the API does. One for a whole account would let any
API of it call the function by an integration of its own (a resource ``/authorizers/x`` matches such a
pattern), with an event that it made up. A function's policy holds 20,480 bytes, some fifty statements
(docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).
"""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

from signet.core.apis import Api
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


def permit(stack: str, api: Api) -> None:
    """Let API Gateway ask the authorizer on behalf of an API; repeated, it changes nothing.

    Raises:
        UsageError: the credentials may not change the function's policy.
    """
    function = read_stack(stack).output("AuthorizerArn")
    try:
        try:
            _add(function, api)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceConflictException":
                raise
            forbid(stack, api.name)  # what an earlier call left may be for another API
            _add(function, api)
    except ClientError as error:
        raise UsageError(
            f"the API is not in force: its gateway may not ask the authorizer ({error}); grant "
            "lambda:AddPermission, and run the same command again"
        ) from error


def _add(function: str, api: Api) -> None:
    _, partition, _, region = function.split(":")[:4]
    aws("lambda").add_permission(
        FunctionName=function,
        StatementId=_statement(api.name),
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
        # docs.aws.amazon.com/apigateway/latest/developerguide/arn-format-reference.html
        SourceArn=f"arn:{partition}:execute-api:{region}:{api.account}:{api.api_id}/authorizers/*",
    )


def forbid(stack: str, name: str) -> None:
    """Take back what ``permit`` gave; nothing if it is not there.

    Raises:
        UsageError: the credentials may not change the function's policy.
    """
    function = read_stack(stack).output("AuthorizerArn")
    try:
        aws("lambda").remove_permission(FunctionName=function, StatementId=_statement(name))
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise UsageError(
                f"the gateway may still ask the authorizer, which refuses its requests ({error}); grant "
                f"lambda:RemovePermission, and run the same command again"
            ) from error


def _statement(name: str) -> str:
    return f"api-{name}"
