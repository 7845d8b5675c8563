"""Each mistake in a policy gets one clear sentence that leads to its place; a good policy gets none."""

from collections.abc import Sequence

import pytest

from signet.core.errors import PolicyError
from signet.policy.check import check
from signet.policy.engine import PolicyEngine
from signet.policy.finding import Finding
from signet.policy.loading import load
from tests.support.policies import API_MISTAKES, MISTAKES, Files, Mistake, config, found_by_reading, rego
from tests.support.world import policy_files


@pytest.mark.parametrize("overlay", ["", "development"])
def test_the_policies_that_ship_have_no_findings(overlay: str) -> None:
    assert check(policy_files(overlay)) == ()
    assert load(policy_files(overlay)).bundle_sha256


@pytest.mark.parametrize("name", [*MISTAKES, *(f"api: {name}" for name in API_MISTAKES)])
def test_a_mistake_is_found_named_and_placed(name: str) -> None:
    """Where reading the rules finds it, they are not asked besides: that takes a thousand evaluations."""
    mistake = MISTAKES.get(name) or API_MISTAKES[name.removeprefix("api: ")]
    files = mistake.files()
    if not _is_named_and_placed(mistake, files, found_by_reading(files)):
        assert _is_named_and_placed(mistake, files, check(files))


@pytest.mark.sweep
@pytest.mark.parametrize("name", [*MISTAKES, *(f"api: {name}" for name in API_MISTAKES)])
def test_a_mistake_is_found_once_whatever_else_is_asked(name: str) -> None:
    mistake = MISTAKES.get(name) or API_MISTAKES[name.removeprefix("api: ")]
    files = mistake.files()
    assert _is_named_and_placed(mistake, files, check(files))


def _is_named_and_placed(mistake: Mistake, files: Files, findings: Sequence[Finding]) -> bool:
    """Hold findings to a mistake; return False if it is not among them."""
    if not any(mistake.says in finding.message for finding in findings):
        return False
    [found] = [finding for finding in findings if mistake.says in finding.message]
    if mistake.file is not None:
        assert found.file == mistake.file
    if mistake.line is not None:
        assert found.file is not None
        assert found.line is not None
        assert mistake.line in files[found.file].decode().splitlines()[found.line - 1]
    for finding in findings:  # each is one line for people
        assert "\n" not in str(finding)
        assert len(str(finding)) < 300
    return True


def test_a_route_of_signet_s_own_cannot_stand_for_one_of_an_attached_api() -> None:
    files = policy_files("")
    config(lambda c: c["routes"].update({"orders GET /orders": c["routes"]["GET /protected"]}))(files)
    assert any("'orders GET /orders'" in str(found) for found in check(files))
    assert not PolicyEngine(files).lists("orders GET /orders")


def test_a_finding_tells_place_and_sentence() -> None:
    assert str(Finding("it is wrong", "a.rego", 7)) == "a.rego:7: it is wrong"
    assert str(Finding("it is wrong", "a.rego")) == "a.rego: it is wrong"
    assert str(Finding("it is wrong")) == "it is wrong"


def test_a_stricter_policy_and_one_that_allows_the_fallback_have_no_findings() -> None:
    files = policy_files("")
    config(lambda c: c["routes"]["GET /protected"].update(algorithms=["ml-dsa-65"]))(files)
    config(lambda c: c["routes"]["GET /protected"].update(minimum_binding="tls-client-cert"))(files)
    ladder = ["full", "relax", "classical", "shed"]
    config(lambda c: c["routes"]["PUT /protected"].update(ladder=ladder, classical_fallback=True))(files)
    assert check(files) == ()


def test_builtins_are_named_in_comments_and_texts_without_a_finding() -> None:
    files = policy_files("")
    rego("package signet", "# not http.send(x), not time.now_ns()\npackage signet")(files)
    rego('"the channel binding is too weak"', '"print(the channel binding is too weak)"')(files)
    assert check(files) == ()


def test_one_mistake_on_many_routes_is_one_finding() -> None:
    [unread, found] = check(MISTAKES["binding_not_asked_for"].files())
    assert "no rule reads bound" in unread.message
    assert found.message == (
        "allows the binding 'none' where minimum_binding demands 'tls-exporter' "
        "(GET /protected and 4 more routes)"
    )


@pytest.mark.parametrize(
    "name",
    ["syntax_error", "another_package", "allow_all", "unlisted_route_allowed", "no_routes", "json_syntax"],
)
def test_loading_refuses_what_would_not_hold_the_least(name: str) -> None:
    with pytest.raises(PolicyError):
        load(MISTAKES[name].files())
