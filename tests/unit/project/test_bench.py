"""The arithmetic of ``make bench``: ratios, verdicts, prices. Nothing here is timed."""

import io
import json
import marshal
from contextlib import nullcontext
from pathlib import Path

import jwt
import pytest
from http_message_signatures import InvalidSignature
from rich.console import Console

from bench import alone, coldstart, handler, peers, prices
from bench.calls import Recorder
from bench.cost import MILLION, at_million, day_units
from bench.figures import TIMES, Figure, Section, missed, ratio, show, table, to_object
from bench.merkle import plain_root
from bench.receipts import batches
from bench.refusals import longer_share
from bench.settings import authorizer_settings
from bench.standin import last_line, python
from bench.timing import ROOT, MeasurementError
from signet.aws import direct
from signet.aws.compose.handshake_settings import AuthorizerSettings
from signet.aws.connections import Patience
from signet.log.tiles import TileBuilder
from signet.receipts.reading import read_receipt


def test_ratio_is_measured_over_peer_and_the_limit_itself_holds() -> None:
    assert ratio("x", 3.0, 1.5, limit=2.0, beside="").held is True
    assert ratio("x", 3.1, 1.5, limit=2.0, beside="").held is False
    assert ratio("x", 3.0, 1.5, limit=None, beside="").held is None


def test_ratio_to_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="took no time"):
        ratio("x", 1.0, 0.0, limit=None, beside="")


def test_report_marks_a_missed_figure_and_keeps_its_value_unrounded() -> None:
    sections = [Section("s", [Figure("good", 1.0, "ms", 2.0), Figure("bad", 2.00001, "ms", 2.0)])]
    assert [figure.what for figure in missed(sections)] == ["bad"]
    found = json.loads(json.dumps(to_object(sections, quick=True)))
    assert found["missed"] == ["bad"]
    assert found["sections"][0]["figures"][1]["value"] == 2.00001
    printed = io.StringIO()
    Console(file=printed, width=120).print(table(sections[0]))
    marks = [line.split()[-1] for line in printed.getvalue().splitlines() if "ms" in line]
    assert marks == ["held", "MISSED"]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(1234.5, "ms", "1234 ms"), (1.2345, TIMES, f"1.23 {TIMES}"), (3.5, "$", "$3.50"), (2.0, "", "2")],
)
def test_values_are_shown_with_three_places(value: float, unit: str, text: str) -> None:
    assert show(value, unit) == text


def test_share_of_longer_times_is_a_half_where_nothing_is_told_apart() -> None:
    assert longer_share([1, 2, 3], [1, 2, 3]) == 0.5
    assert longer_share([2, 2], [1, 1]) == 1.0
    assert longer_share([1], [1, 2]) == 0.25


def test_items_are_as_large_as_dynamodb_counts_them() -> None:
    # name 5 + text 3; name 1 + number of 5 digits: 3 + 1; name 1 + 4 bytes; name 1 + list 3 + (1 + 1)
    item = {"nonce": {"S": "aü"}, "n": {"N": "12345"}, "b": {"B": "AAAAAA=="}, "l": {"L": [{"S": "x"}]}}
    assert prices.item_bytes(item) == 8 + 5 + 5 + 6


def test_a_transaction_takes_two_write_units_per_kilobyte() -> None:
    small = {"Put": {"Item": {"k": {"S": "x"}}}}
    large = {"Put": {"Item": {"k": {"S": "x" * 1024}}}}
    update = {"Update": {"Key": {"k": {"S": "x"}}, "ExpressionAttributeValues": {":v": {"N": "1"}}}}
    body = {"TransactItems": [small, large, update]}
    assert prices.units_of("dynamodb", "TransactWriteItems", body, {}, 0) == {"dynamodb.write_unit": 8}


def test_a_read_takes_a_unit_per_four_kilobytes_and_one_for_nothing() -> None:
    items = [{"k": {"S": "x" * 4096}}]
    assert prices.units_of("dynamodb", "Query", {}, {"Items": items}, 0) == {"dynamodb.read_unit": 2}
    assert prices.units_of("dynamodb", "GetItem", {}, {}, 0) == {"dynamodb.read_unit": 1}


def test_a_message_takes_a_request_per_64_kilobytes() -> None:
    assert prices.units_of("sqs", "SendMessage", {}, {}, 65_536) == {"sqs.request": 1}
    assert prices.units_of("sqs", "SendMessage", {}, {}, 65_537) == {"sqs.request": 2}


@pytest.mark.parametrize(
    ("service", "operation"), [("dynamodb", "Scan"), ("kms", "Sign"), ("dynamodb", "BatchWriteItem")]
)
def test_a_call_without_a_known_price_is_refused(service: str, operation: str) -> None:
    with pytest.raises(ValueError, match="no price is known"):
        prices.units_of(service, operation, {}, {}, 0)


def test_cost_is_units_times_list_price() -> None:
    million = {"sqs.request": 1e6, "dynamodb.write_unit": 2e6, "lambda.gb_second": 3600}
    assert prices.cost(million) == pytest.approx(0.40 + 1.25 + 0.06, abs=1e-3)
    with pytest.raises(KeyError):
        prices.cost({"nothing.known": 1})


def test_a_million_is_on_the_line_through_two_sizes() -> None:
    small, large = {"s3.put": 10 + 0.5 * 100}, {"s3.put": 10 + 0.5 * 300}
    assert at_million((small, large), (100, 300)) == {"s3.put": 10 + 0.5 * MILLION}


def test_a_day_charges_the_authorizer_by_decision_and_the_rest_as_counted() -> None:
    part = {"calls": {"s3.PutObject": 2}, "units": {"s3.put": 2.0}, "count": 1000}
    authorizer = {
        "calls": {"a": 10, "b": 10},
        "units": {"sqs.request": 10.0},
        "count": 10,
        "printed_bytes": 5000,
    }
    parts = {"authorizer": authorizer, "sink": part, "cron": part, "pack": part}
    day = day_units(parts, 1000)
    assert day["authorizer"]["sqs.request"] == 1000
    assert day["authorizer"]["lambda.request"] == 1000
    assert day["receipt sink"] == pytest.approx(
        {"s3.put": 2, "sqs.request": 200, "lambda.request": 1, "lambda.gb_second": 0.016 + 0.1}
    )
    assert day["its log and traces"]["logs.gb"] == pytest.approx(1000 * 850 / 1e9)


def test_recorder_forgets_what_was_taken() -> None:
    recorder = Recorder()
    recorder.calls["x"] += 1
    assert recorder.drain()["calls"] == {"x": 1}
    assert recorder.drain() == {"calls": {}, "units": {}}


def test_made_receipts_are_receipts_with_ids_and_numbers_of_their_own() -> None:
    found = [read_receipt(data, chained=False) for batch in batches(5, 2) for data in batch]
    assert len({receipt.id for receipt in found}) == 5
    assert [receipt.emitter[1] for receipt in found if receipt.emitter] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 256, 300])
def test_peer_of_the_log_hashes_the_same_tree(count: int) -> None:
    leaves = [b"%d" % n for n in range(count)]
    builder = TileBuilder()
    list(builder.append(leaves))
    assert plain_root(leaves) == builder.root()


def test_a_measured_authorizer_has_all_settings_that_it_needs() -> None:
    """What the bench leaves out is found here, and not by the next run of it."""
    found = AuthorizerSettings.from_environment(authorizer_settings("http://127.0.0.1:1"))
    assert found.queue_url == "http://127.0.0.1:1/receipts"


def test_peers_decide_and_stand_behind_the_handler_with_both_clients() -> None:
    found = json.loads(last_line(python(["-m", "bench.peers", "1"], "direct")))
    own = {"ed25519": {"own": 800.0, "bare": 100.0}}
    clients = ("direct", "botocore")
    times = {
        (process, c): own if process == "handler" else found for c in clients for process in handler.PROCESSES
    }
    rows = handler.decisions(times)
    assert [row.what for row in rows[:2]] == ["ed25519", "· ed25519, botocore"]
    assert [row.held for row in rows[:2]] == [True, None]
    assert [row.what for row in rows[2::2]] == [f"peer: {name}" for name in peers.peers()]
    assert all(row.value > 1 and row.limit is None for row in rows[2:])


def test_a_peer_refuses_what_another_key_signed() -> None:
    event = json.loads((ROOT / peers.EVENT).read_text())
    bad = (jwt.InvalidSignatureError, InvalidSignature)
    others = peers.peers()
    for name, peer in peers.peers().items():
        for signer, refused in ((peer, False), (others[name], True)):
            fields, _ = signer.signed(event)
            event["headers"] |= fields
            event["multiValueHeaders"] |= {field: [value] for field, value in fields.items()}
            with pytest.raises(bad) if refused else nullcontext():
                peer.check(event)


def test_instructions_are_skipped_visibly_where_there_is_no_valgrind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    told: list[str] = []
    found = alone.instructions(told.append, alone.Alone(None, {}), decisions=1)
    assert found == ([], told)
    assert told == ["instructions of a decision: skipped: no valgrind"]


def test_what_callgrind_counted_is_read_and_its_absence_told() -> None:
    assert alone.collected("==7== Events    : Ir\n==7== Collected : 1234\n==7== \n") == 1234
    with pytest.raises(MeasurementError, match="counted nothing"):
        alone.collected("Failed to initialise")


def test_the_handler_alone_decides_and_its_policys_answers_can_be_played_back(tmp_path: Path) -> None:
    with handler.prepared() as (world, variables):
        lone = alone.Alone(world, variables)
        events = lone.events("ed25519", 2, tmp_path)
        lone.run("record", events, 1)
        done = lone.run("replay", events, 2)
        assert float(last_line(done)) > 0
        assert done.stdout.count('"reason":"ok"') == 2
        assert marshal.loads((tmp_path / "events.answers").read_bytes())


def test_a_cold_start_is_measured_with_the_client_that_lambda_would_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/home/user/.aws/config")
    environment = coldstart.environment_of(Path("built"), "http://127.0.0.1:4566")
    patience = Patience(connect_s=1, read_s=1, tries=1)
    assert direct.client("dynamodb", environment, patience, lambda: None) is not None
