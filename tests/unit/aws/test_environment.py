"""A function's variables are read by one set of rules, and an error says which one to set, and to what."""

from __future__ import annotations

import pytest

from signet.aws.environment import choice, number, optional, required, switch
from signet.core.errors import UsageError

HUGE = "9" * 10_000


@pytest.mark.parametrize("environment", [{}, {"V": ""}], ids=["missing", "empty"])
def test_what_is_required_is_named_with_what_to_set(environment: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"^Set V to the name of the log table: "):
        required(environment, "V", "the name of the log table")
    assert optional(environment, "V") is None


def test_what_is_set_is_returned() -> None:
    assert required({"V": "t"}, "V", "a name") == optional({"V": "t"}, "V") == "t"


@pytest.mark.parametrize(("text", "value"), [("1", 1), ("0007", 7), ("300", 300)])
def test_numbers_within_their_bounds_are_read(text: str, value: int) -> None:
    assert number({"V": text}, "V", least=1, most=300) == value


@pytest.mark.parametrize(
    "text", ["", "0", "301", "-1", "+1", " 1", "1 ", "1_0", "1.0", "1e2", "٣", "²", "0x1", HUGE]
)
def test_other_spellings_and_numbers_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"^Set V to a number from 1 to 300: "):
        number({"V": text}, "V", 5, least=1, most=300)


def test_a_number_without_a_default_has_to_be_set() -> None:
    assert number({}, "V", 5, least=1) == 5
    with pytest.raises(UsageError, match=r"^Set V to a number from 1 to 86400: "):
        number({}, "V", least=1)


@pytest.mark.parametrize(
    ("environment", "value"), [({}, False), ({"V": "false"}, False), ({"V": "true"}, True)]
)
def test_a_switch_is_off_unless_it_is_on(environment: dict[str, str], value: bool) -> None:
    assert switch(environment, "V") is value


@pytest.mark.parametrize("text", ["", "True", "1", "yes", "true "])
def test_a_switch_has_two_words(text: str) -> None:
    with pytest.raises(UsageError, match=r"^Set V to false or true: "):
        switch({"V": text}, "V")


def test_a_choice_is_its_first_word_unless_another_is_said() -> None:
    assert choice({}, "V", ("a", "b")) == "a"
    assert choice({"V": "b"}, "V", ("a", "b")) == "b"
    for text in ("", "A", "c"):
        with pytest.raises(UsageError, match=r"^Set V to a or b: "):
            choice({"V": text}, "V", ("a", "b"))
