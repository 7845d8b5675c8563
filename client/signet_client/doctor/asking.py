"""Asks AWS, and remembers what it was not told. Nothing here changes anything; every listing has an end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from signet_client.doctor.facts import Clock, Unseen

#: Pages of one listing. An API has 300 resources and 300 routes by default, a stack 500 resources
#: (docs.aws.amazon.com/apigateway/latest/developerguide/limits.html; …/AWSCloudFormation, quotas).
MAX_PAGES: Final = 20
_DENIED: Final = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedOperation",
        "AuthorizationError",
        "403",
        "Forbidden",
    }
)
_ABSENT: Final = frozenset({"NotFoundException", "ResourceNotFoundException", "NoSuchKey", "404", "NotFound"})


class Asking:
    """Calls AWS to read.

    Attributes:
        unseen: what was not told, in the order in which it was asked.
        clock: the time by AWS and here at the first answer that told one.
    """

    def __init__(self, client: Callable[[str], Any], now: Callable[[], float]) -> None:
        self._client = client
        self._now = now
        self._clients: dict[str, Any] = {}
        self.unseen: list[Unseen] = []
        self.clock: Clock | None = None

    def client(self, service: str) -> Any:
        """Return the client of a service."""
        if service not in self._clients:
            self._clients[service] = self._client(service)
        return self._clients[service]

    def miss(self, what: str, why: str) -> None:
        """Remember what was not looked at."""
        self.unseen.append(Unseen(what, why))

    def ask(
        self, service: str, operation: str, *, what: str, permission: str, **arguments: Any
    ) -> dict[str, Any] | None:
        """Return an answer; empty where the thing asked for is not there, None where AWS does not tell.

        Args:
            service: boto3's name of it.
            operation: boto3's name of it.
            what: what is looked at, in words.
            permission: the IAM action that it takes, and on what.
            arguments: the operation's.
        """
        try:
            answer: dict[str, Any] = getattr(self.client(service), operation)(**arguments)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in _ABSENT:
                self._note_time(error.response)
                return {}
            denied = f"the permission {permission} is missing" if code in _DENIED else f"AWS answered {code}"
            self.miss(what, denied)
            return None
        except BotoCoreError as error:
            self.miss(what, f"there was no answer ({type(error).__name__}); {permission}")
            return None
        self._note_time(answer)
        return answer

    def pages(
        self, service: str, operation: str, items: str, token: tuple[str, str], **asked: Any
    ) -> list[Any] | None:
        """Return the items of all pages; None where AWS does not tell, or has more than is read.

        Args:
            service: see ``ask``.
            operation: see ``ask``.
            items: member of an answer that holds them.
            token: member that names the next page, and argument that asks for it.
            asked: see ``ask``.
        """
        found: list[Any] = []
        named, argument = token
        for page in self._pages(service, operation, named, argument, asked):
            if page is None:
                return None
            found += page.get(items, [])
        return found

    def _pages(
        self, service: str, operation: str, named: str, argument: str, asked: Mapping[str, Any]
    ) -> Iterator[dict[str, Any] | None]:
        following: dict[str, Any] = {}
        for _ in range(MAX_PAGES):
            answer = self.ask(service, operation, **asked, **following)
            yield answer
            if not answer or not answer.get(named):
                return
            following = {argument: answer[named]}
        self.miss(str(asked["what"]), f"there are more than {MAX_PAGES} pages of them")
        yield None

    def _note_time(self, answer: Mapping[str, Any]) -> None:
        date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if self.clock is None and isinstance(date, str):
            try:
                self.clock = Clock(parsedate_to_datetime(date).timestamp(), self._now())
            except (ValueError, OverflowError):
                return
