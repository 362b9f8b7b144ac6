"""Hold the metrics to their numbers, by themselves and on a session with the local server."""

from __future__ import annotations

import json
import math
from pathlib import Path

import httpx
import pytest
from support.scripted import Script, promises, scripted_service

import tinkex
from tinkex import AdamParams, Datum, ModelInput, SamplingParams, ServiceClient, events
from tinkex.errors import TinkexError, ValidationError
from tinkex.local import LocalServer
from tinkex.observability.events import emit
from tinkex.observability.metrics import Histogram, Metrics, Price, TokenLedger, load_prices

DURATION = "tinkex_request_duration_ms"


def answered(milliseconds: float, status: int = 200, **facts: object) -> None:
    """Emit the end of a request."""
    known = {"operation": "asample", "method": "POST", "path": "/p", "base_url": "http://x"}
    emit(
        events.HttpRequestStop(
            **{**known, **facts},
            status_code=status,
            result="ok" if status < 400 else "error",
            duration=milliseconds / 1000,
        )
    )


def test_requests_are_counted_and_timed() -> None:
    """10 and 20 ms well, 40 ms with an error: total 3, success 2, failure 1, mean 23.3, p50 20."""
    with Metrics() as metrics:
        answered(10)
        answered(20)
        answered(40, status=500)
    answered(80)
    found = metrics.snapshot()
    assert found["counters"] == {
        "tinkex_requests_total": 3, "tinkex_requests_success": 2, "tinkex_requests_failure": 1,
    }  # fmt: skip
    timed = found["histograms"][DURATION]
    assert timed["mean"] == pytest.approx(70 / 3)
    assert (timed["count"], timed["p50"], timed["p95"], timed["p99"]) == (3, 20, 40, 40)
    assert (timed["min"], timed["max"]) == (10, 40)


def test_percentiles_are_the_median_and_the_nearest_ranks_of_the_last_thousand() -> None:
    """An even number has the mean of its middle two; count, sum, min and max are of all."""
    histogram = Histogram()
    for value in range(1, 101):
        histogram.add(value)
    found = histogram.snapshot()
    assert (found["p50"], found["p95"], found["p99"]) == (50.5, 95, 99)
    for _ in range(1000):
        histogram.add(7)
    found = histogram.snapshot()
    assert (found["count"], found["max"], found["p99"]) == (1100, 100, 7)


def test_an_empty_histogram_has_no_numbers() -> None:
    """None is not 0."""
    found = Histogram().snapshot()
    assert (found["count"], found["mean"], found["p50"], found["p99"]) == (0, None, None, None)


def test_own_numbers_reset_and_what_is_no_number() -> None:
    """Counters, gauges and histograms of one's own; what is not finite is left out."""
    metrics = Metrics(is_listening=False)
    metrics.increment("steps_total", 2, phase="warmup")
    metrics.set_gauge("lr", 0.5)
    for value in (3.0, math.nan, "x", None, True):
        metrics.record_histogram("step_ms", value)  # type: ignore[arg-type]
    metrics.flush()
    found = metrics.snapshot()
    assert found["counters"] == {'steps_total{phase="warmup"}': 2}
    assert found["gauges"] == {"lr": 0.5}
    assert found["histograms"]["step_ms"]["count"] == 1
    metrics.reset()
    assert metrics.snapshot() == {"counters": {}, "gauges": {}, "histograms": {}}
    with pytest.raises(ValidationError, match="not a valid metric name"):
        metrics.increment("no name")
    with pytest.raises(ValidationError, match="not a valid label name"):
        metrics.increment("fine", 1, **{"no label": "x"})


def test_the_text_is_what_prometheus_reads() -> None:
    """Types before series, buckets that add up to +Inf, labels in order and escaped."""
    metrics = Metrics(is_listening=False)
    metrics.increment("steps_total", 2, b='say "hi"\n', a="1")
    metrics.set_gauge("lr", 0.5)
    for value in (1, 3, 9999):
        metrics.record_histogram("step_ms", value, phase="x")
    lines = metrics.prometheus().splitlines()
    assert lines[:4] == [
        "# TYPE steps_total counter", 'steps_total{a="1",b="say \\"hi\\"\\n"} 2',
        "# TYPE lr gauge", "lr 0.5",
    ]  # fmt: skip
    assert 'step_ms_bucket{phase="x",le="1"} 1' in lines
    assert 'step_ms_bucket{phase="x",le="2"} 1' in lines
    assert 'step_ms_bucket{phase="x",le="5"} 2' in lines
    assert 'step_ms_bucket{phase="x",le="+Inf"} 3' in lines
    assert lines[-2:] == ['step_ms_sum{phase="x"} 10003', 'step_ms_count{phase="x"} 3']


def test_retries_and_calls_are_counted_by_name() -> None:
    """A retried request is one request with retries; a call has its outcome, and none is in flight."""
    script = Script().on("POST create_sampling_session", 503, {"sampling_session_id": "sam"})
    promises(script, "POST asample", {"sequences": [{"tokens": [5], "stop_reason": "length"}]})
    script.on("GET healthz", httpx.ReadError("no"))
    with Metrics() as metrics, scripted_service(script, max_retries=1) as service:
        sampler = service.create_sampling_client(base_model="m")
        sampler.sample(ModelInput.from_ints([1])).result(timeout=30)
        with pytest.raises(TinkexError):
            service.health_check()
        found = metrics.snapshot()
    counters = found["counters"]
    assert counters['tinkex_retries_total{operation="create_sampling_session"}'] == 1
    assert counters['tinkex_calls_total{operation="sample",outcome="ok"}'] == 1
    assert counters["tinkex_requests_failure"] >= 1
    assert found["gauges"] == {"tinkex_calls_in_flight": 0}
    assert found["histograms"]['tinkex_call_duration_ms{operation="sample"}']["count"] == 1


@pytest.fixture(scope="module")
def trained():
    """Train two steps and sample on the local server, and return what was counted."""
    with (
        Metrics() as metrics,
        LocalServer() as server,
        ServiceClient(base_url=server.base_url) as service,
    ):
        training = service.create_lora_training_client("tinkex/nano", rank=4, seed=0)
        datum = Datum(
            ModelInput.from_ints([1, 2, 3]),
            {"target_tokens": [2, 3, 4], "weights": [1.0, 1.0, 1.0]},
        )
        for _ in range(2):
            output, step = training.train_step([datum] * 2, "cross_entropy", AdamParams())
            output.result()
            step.result()
        training.forward([datum], "cross_entropy").result()
        sampler = training.save_weights_and_get_sampling_client()
        prompt = ModelInput.from_ints([1, 2, 3, 4, 5])
        params = SamplingParams(max_tokens=4, temperature=1.0, seed=1)
        tokens = sum(
            len(one.tokens) for one in sampler.sample(prompt, 2, params).result().sequences
        )
        streamed = sum(
            chunk.token_id is not None for chunk in sampler.sample_stream(prompt, params)
        )
        sampler.compute_logprobs(prompt).result()
    return metrics, tokens, streamed


def test_the_ledger_has_the_tokens_of_each_operation_and_model(trained) -> None:
    """What was trained, read and drawn is counted where it was, and polls count for their call."""
    metrics, tokens, streamed = trained
    rows = {(row.operation, row.model): row for row in metrics.ledger.rows()}
    batch = rows["forward_backward", "tinkex/nano"]
    assert (batch.trained, batch.prompted, batch.sampled) == (12, 0, 0)
    assert batch.requests >= 4
    assert batch.sent_bytes > 0
    assert batch.received_bytes > 0
    assert rows["forward", "tinkex/nano"].prompted == 3
    sample = rows["sample", "tinkex/nano"]
    assert (sample.trained, sample.prompted, sample.sampled) == (0, 5, tokens)
    stream = rows["sample_stream", "tinkex/nano"]
    assert (stream.prompted, stream.sampled, stream.requests) == (5, streamed, 1)
    assert rows["compute_logprobs", "tinkex/nano"].prompted == 5
    totals = metrics.ledger.totals()
    assert (totals["trained"], totals["sampled"]) == (12, tokens + streamed)
    counters = metrics.snapshot()["counters"]
    assert counters['tinkex_tokens_total{kind="trained",model="tinkex/nano"}'] == 12


def test_an_estimate_is_tokens_by_the_users_prices(trained, tmp_path: Path) -> None:
    """Per million tokens, by operation; what has no price is named instead of being free."""
    metrics, tokens, streamed = trained
    table = tmp_path / "prices.json"
    table.write_text(json.dumps({"tinkex/nano": {"train": 1.0, "prompt": 0.5, "sample": 2.0}}))
    found = metrics.ledger.estimate(load_prices(table))
    assert found.total == pytest.approx((12 * 1.0 + 18 * 0.5 + (tokens + streamed) * 2.0) / 1e6)
    assert found.unpriced == ()
    assert str(found).startswith("estimate: 0.00")
    without = metrics.ledger.estimate({"another": Price(train=1.0)})
    assert (without.total, without.unpriced) == (0, ("tinkex/nano",))
    assert all(line.amount is None for line in without.lines)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]", "must be an object"),
        ("{", "is not JSON"),
        ('{"m": {"training": 1}}', r"\['m'\]"),
        ('{"m": {"train": "1"}}', r"\['m'\]\['train'\]"),
        ('{"m": {"train": -1}}', "price per million"),
    ],
)
def test_a_price_table_that_is_none_is_refused(tmp_path: Path, content: str, said: str) -> None:
    """The message names the model and the price."""
    (tmp_path / "prices.json").write_text(content)
    with pytest.raises(ValidationError, match=said):
        load_prices(tmp_path / "prices.json")
    with pytest.raises(ValidationError, match="cannot be read"):
        load_prices(tmp_path / "none.json")


def test_a_ledger_begins_again_when_it_is_reset() -> None:
    """Nothing is left."""
    ledger = TokenLedger()
    ledger.note(events.TokensUsed(operation="sample", sampled=3))
    assert ledger.totals()["sampled"] == 3
    ledger.reset()
    assert ledger.rows() == []


def test_metrics_are_part_of_the_package() -> None:
    """`tinkex.metrics` is there without an import of its own."""
    assert tinkex.metrics.Metrics is Metrics
