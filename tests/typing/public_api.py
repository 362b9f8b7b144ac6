"""Every public method, used as a user would, for the type checkers; never executed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, assert_type

import numpy as np

import tinkex
import tinkex.tinker as tinker
from tinkex import (
    AdamParams,
    Config,
    Datum,
    Future,
    ModelInput,
    RestClient,
    RetryConfig,
    SamplingClient,
    SamplingParams,
    ServiceClient,
    TensorData,
    Tokenizer,
    TrainingClient,
    recipes,
    types,
)
from tinkex._base.secret import Secret
from tinkex._core.transport import Transport
from tinkex.checkpoints import Download, HubUpload, download, push_to_hub
from tinkex.credentials import CredentialsFile, KeyCommand
from tinkex.local import LocalServer
from tinkex.observability.telemetry import TelemetryReporter, capture_exceptions
from tinkex.recovery import (
    Recovered,
    RecoveryExecutor,
    RecoveryMonitor,
    RecoveryPolicy,
    ResumableRun,
    RunRecord,
    Step,
    read_run,
    resumable,
)
from tinkex.retry import BreakerState, CircuitBreaker, CircuitBreakers, with_retry


def settings() -> None:
    config = Config.resolve(base_url="local", timeout=30.0)
    assert_type(config.base_url, str)
    assert_type(config.describe(), list[tuple[str, str, str]])
    tinkex.enable_logging("info")


def watching(service: ServiceClient) -> None:
    def print_retry(event: tinkex.events.RetryAttemptRetry) -> None:
        print(event.operation, event.delay)

    with tinkex.events.subscribe(print_retry, tinkex.events.RetryAttemptRetry):
        assert_type(with_retry(lambda: 1, operation="mine", max_retries=2), int)
    reading = tinkex.events.attach_logger("info", [tinkex.events.HttpRequest])
    assert_type(tinkex.events.detach(reading), bool)
    with tinkex.metrics.Metrics() as metrics:
        metrics.increment("steps_total", 1, phase="warmup")
        assert_type(metrics.prometheus(), str)
        prices = {"m": tinkex.metrics.Price(train=1.0)}
        assert_type(metrics.ledger.estimate(prices), tinkex.metrics.Estimate)
    with capture_exceptions(service.telemetry, fatal=True):
        pass
    with tinkex.training_log.TrainingLog("metrics.jsonl") as log:
        log.step(1, loss=1.0, grad_norm=0.5, learning_rate=1e-4, tokens=4096)
        assert_type(log.plot("training.png"), Path)
    assert_type(tinkex.training_log.read("metrics.jsonl"), list[dict[str, Any]])


def service() -> None:
    with ServiceClient(base_url="local", tags=["a"], user_metadata={"team": "b"}) as client:
        assert_type(client, ServiceClient)
        assert_type(client.base_url, str)
        assert_type(client.console_url, str | None)
        assert_type(client.get_server_capabilities(), types.GetServerCapabilitiesResponse)
        assert_type(client.health_check().status, str)
        assert_type(client.create_lora_training_client("m", rank=8, seed=1), TrainingClient)
        assert_type(
            client.create_training_client_from_state("tinker://r/weights/a"), TrainingClient
        )
        assert_type(
            client.create_training_client_from_state_with_optimizer("tinker://r/weights/a"),
            TrainingClient,
        )
        assert_type(
            client.create_sampling_client(base_model="m", retry_config=RetryConfig()),
            SamplingClient,
        )
        assert_type(client.create_rest_client(), RestClient)
        assert_type(client.session_id, str | None)
        assert_type(client.session.heartbeat.is_alive, bool)
        assert_type(client.session.limits.sources, dict[str, str])
        assert_type(client.telemetry, TelemetryReporter | None)
        assert_type(client.renew_session().id, str)
        job = client.submit(client.create_sampling_client, base_model="m")
        assert_type(job.result(), SamplingClient)
        assert_type(client.submit(len, [1]).result(timeout=1), int)
        assert_type(
            client.create_custom_loss(
                "mine",
                [types.CustomLossInput(name="logprobs", rank=1)],
                types.CustomLossGraph(nodes=[]),
            ),
            str,
        )
        client.close("errored", "why")


def restoring(client: ServiceClient) -> None:
    path = "tinker://r/weights/a"
    client.create_training_client_from_state(path, rank=8, train_mlp=True, base_model="m")
    client.create_training_client_from_state_with_optimizer(path, {"k": "v"}, "token", rank=None)
    client.create_training_client_from_state(path, rnak=8)  # type: ignore[call-arg]


def watch(change: types.QueueStateChange) -> None:
    assert_type(change.is_paused, bool)
    assert_type(change.reason, str | None)


def observers() -> None:
    ServiceClient(base_url="local", display_name="mine", on_queue_state=watch)


def loss(data: Sequence[Datum], logprobs: Sequence[Any]) -> tuple[Any, dict[str, float]]:
    return -sum(lp.sum() for lp in logprobs), {}


def inputs() -> Datum:
    prompt = ModelInput.from_ints([1, 2]).append_int(3)
    assert_type(prompt.to_ints(), list[int])
    assert_type(prompt.length, int)
    tensor = TensorData(data=[1.0, 2.0, 3.0], dtype="float32", shape=[3])
    assert_type(tensor.shape, tuple[int, ...])
    return Datum(
        model_input=prompt,
        loss_fn_inputs={"target_tokens": np.array([2, 3, 4]), "weights": tensor},
    )


def training(client: TrainingClient) -> None:
    data = [inputs()]
    forward = client.forward(data, "cross_entropy")
    assert_type(forward, Future[types.ForwardBackwardOutput])
    gradients = client.forward_backward(data, "ppo", {"clip_low_threshold": 0.8})
    assert_type(gradients.result(timeout=60).loss, float)
    assert_type(gradients.result().mean_loss, float)
    assert_type(gradients.result().weight, float)
    assert_type(gradients.result().has_loss, bool)
    assert_type(gradients.result().computes_loss, bool)
    assert_type(types.CheckpointPath.parse("tinker://run/name").long, str)
    assert_type(types.CheckpointPath.parse("tinker://run/name").is_short, bool)
    assert_type(gradients.result().mean_loss, float)
    assert_type(gradients.result().weight, float)
    assert_type(gradients.request_id, str | None)
    assert_type(client.optim_step(AdamParams(learning_rate=1e-4)), Future[types.OptimStepResponse])
    output, step = client.train_step(data, "cross_entropy", AdamParams())
    assert_type(output.done(), bool)
    assert_type(step.exception(), BaseException | None)
    assert_type(client.save_state("a", ttl_seconds=3600).result().path, str)
    assert_type(client.load_state("tinker://r/weights/a").result(), types.LoadWeightsResponse)
    client.load_state_with_optimizer("tinker://r/weights/a").result()
    assert_type(client.save_weights_for_sampler("a").result().path, str | None)
    assert_type(client.save_weights_and_get_sampling_client(), SamplingClient)
    assert_type(client.create_sampling_client("tinker://r/sampler_weights/a"), SamplingClient)
    client.save_weights_and_get_sampling_client(kind="inflight")
    exported = client.save_weights_external("e", age_encryption_recipients=["age1"])
    assert_type(exported.result().size_bytes, int | None)
    custom = client.forward_backward_custom(data, loss)
    assert_type(custom, Future[types.ForwardBackwardOutput])
    client.optim_step(types.DimuonParams(learning_rate=1e-3))
    custom.add_queue_state_callback(watch)
    assert_type(custom.cancel(), bool)
    assert_type(custom.queue_state, str)
    assert_type(custom.queue_state_reason, str | None)
    assert_type(custom.has_unread_error, bool)
    custom.when_done(print)
    assert_type(client.get_info().model_id, str)
    assert_type(client.get_tokenizer(), Tokenizer)
    client.discard()
    assert_type(client.unload_model().result(), types.UnloadModelResponse)
    done, pending = tinkex.wait([output])
    assert_type(done, set[Future[types.ForwardBackwardOutput]])
    assert_type(pending, set[Future[types.ForwardBackwardOutput]])
    for finished in tinkex.as_completed([output]):
        assert_type(finished.result().metrics.get("loss:sum"), float | None)


def sampling(client: SamplingClient, tokenizer: Tokenizer) -> None:
    prompt = ModelInput.from_ints(tokenizer.encode("Hello"))
    assert_type(ModelInput.from_text("Hello", client), ModelInput)
    assert_type(ModelInput.from_text("Hello", "gpt2", add_special_tokens=False), ModelInput)
    assert_type(tokenizer.encode_batch(["Hello"]), list[list[int]])
    assert_type(tokenizer.decode_batch([np.arange(3)]), list[str])
    assert_type(tokenizer("Hello"), dict[str, list[int]])
    assert_type(tokenizer(["Hello"]), dict[str, list[list[int]]])
    assert_type(tokenizer.convert_ids_to_tokens(3), str | None)
    assert_type(tokenizer.convert_ids_to_tokens([3]), list[str | None])
    assert_type(tokenizer.get_vocab(), dict[str, int])
    assert_type(tokenizer.all_special_ids, list[int])
    handle = client.handle()
    assert_type(SamplingClient.from_handle(handle, api_key="tml-x"), SamplingClient)
    assert_type(tokenizer.incremental_decoder().feed(3), str)
    messages = [{"role": "user", "content": "Hi"}]
    assert_type(tokenizer.apply_chat_template(messages), list[int])
    assert_type(tokenizer.apply_chat_template(messages, tokenize=False), str)
    assert_type(tokenizer.special_tokens, dict[str, int])
    assert_type(tokenizer.eos_token_id, int | None)
    assert_type(tinkex.get_tokenizer(Path("folder"), offline=True), Tokenizer)
    assert_type(tinkex.get_tokenizer(tokenizer.backend), Tokenizer)
    params = SamplingParams(max_tokens=8, stop=["\n"], seed=1)
    response = client.sample(prompt, 2, params, include_prompt_logprobs=True).result()
    assert_type(response, types.SampleResponse)
    assert_type(response.sequences[0].tokens, list[int])
    assert_type(response.prompt_logprobs, list[float | None] | None)
    assert_type(client.compute_logprobs(prompt).result(), list[float | None])
    client.sample(prompt, 1, params, topk_sample_logprobs=2, target_prompt_logprobs=[[1]])
    for index, each in client.sample_many([prompt], 2, params):
        assert_type(index, int)
        assert_type(each, types.SampleResponse)
    for _, outcome in client.sample_many([prompt], return_exceptions=True):
        assert_type(outcome, types.SampleResponse | Exception)
    stream = client.sample_stream(prompt, params)
    assert_type(next(stream), types.SampleStreamChunk)
    assert_type(client.get_base_model(), str)
    assert_type(client.get_tokenizer(), Tokenizer)
    assert_type(tokenizer.decode(response.sequences[0].tokens), str)


def rest(client: RestClient) -> None:
    assert_type(client.transport, Transport)
    path = "tinker://r/weights/a"
    assert_type(client.get_training_run("r"), types.TrainingRun)
    assert_type(client.get_training_run_by_tinker_path(path), types.TrainingRun)
    assert_type(client.list_training_runs(limit=5), types.TrainingRunsResponse)
    assert_type(client.iter_training_runs(), Iterator[types.TrainingRun])
    assert_type(client.list_checkpoints("r"), types.CheckpointsListResponse)
    assert_type(client.list_user_checkpoints(), types.CheckpointsListResponse)
    assert_type(client.iter_user_checkpoints(), Iterator[types.Checkpoint])
    assert_type(client.get_weights_info_by_tinker_path(path).lora_rank, int | None)
    assert_type(client.get_checkpoint_archive_url(path).url, str)
    client.delete_checkpoint(path)
    client.delete_checkpoint("r", "weights/a")
    assert_type(client.iter_checkpoints("r"), Iterator[types.Checkpoint])
    assert_type(client.get_checkpoint_archive_url_from_tinker_path(path).url, str)
    client.delete_checkpoint_from_tinker_path(path)
    client.publish_checkpoint_from_tinker_path(path)
    client.unpublish_checkpoint_from_tinker_path(path)
    client.set_checkpoint_ttl_from_tinker_path(path, None)
    answer = client.request("GET", "/api/v1/healthz")
    client.request("POST", "/upload", {"note": "x"}, files={"a": Path("a"), "b": ("b", b"", None)})
    assert_type(answer, types.RawResponse)
    assert_type(answer.header("x-request-id"), str | None)
    assert_type(client.base_url, str)
    assert_type(client.config, Config)
    client.delete_own_api_key()
    client.publish_checkpoint(path)
    client.unpublish_checkpoint(path)
    client.set_checkpoint_ttl(path, 3600)
    assert_type(client.get_session("s"), types.GetSessionResponse)
    assert_type(client.list_sessions(), types.ListSessionsResponse)
    assert_type(client.get_sampler("s"), types.GetSamplerResponse)
    assert_type(client.get_server_capabilities(), types.GetServerCapabilitiesResponse)
    assert_type(client.whoami(), types.SelfApiKeyResponse)
    client.assign_session_project("s", "p")
    assert_type(client.search_sessions(), types.SessionSearchResponse)
    assert_type(client.iter_sessions("accessible"), Iterator[str])
    assert_type(
        client.iter_session_search(types.SessionSearchRequest(user_metadata={"team": "a"})),
        Iterator[types.SessionSummary],
    )
    assert_type(client.export_session_trace("s").url, str | None)
    assert_type(client.download_session_trace("s", "trace.json", force=True), Path)
    assert_type(client.copy_weights(path).tinker_path, str)
    assert_type(client.get_external_weights_urls(path).urls, dict[str, str])
    hour = datetime(2026, 1, 1, tzinfo=UTC)
    assert_type(client.get_billing_usage(hour, hour), types.BillingUsageResponse)
    assert_type(client.get_checkpoint_storage_usage(), types.CurrentCheckpointStorageUsageResponse)
    assert_type(client.get_audit_log(), types.AuditLogResponse)
    assert_type(client.download_checkpoint(path, "folder", extract=False), Download)
    got = download(client, path, "folder", progress=lambda done, total: print(done, total))
    assert_type(got, Download)
    pushed = push_to_hub(client, path, "me/adapter", private=False, ignore_patterns="*.bin")
    assert_type(pushed, HubUpload)
    assert_type(got.folder, Path)


def recovery(client: ServiceClient) -> None:
    policy = RecoveryPolicy(enabled=True, backoff=timedelta(seconds=1), checkpoint="latest")
    with resumable("runs/mine", client, base_model="tinkex/nano", policy=policy) as run:
        assert_type(run, ResumableRun)
        for step in run.steps(10):
            with step as entered:
                assert_type(entered, Step)
                assert_type(step + 1, int)
                assert_type(run.training, TrainingClient)
                run.record(loss=1.0)
        assert_type(run.resumed_from, int | None)
        assert_type(run.checkpoints[-1].path, str)
    assert_type(read_run("runs/mine"), RunRecord | None)
    with RecoveryExecutor() as executor, RecoveryMonitor(policy, executor) as monitor:
        monitor.monitor_run("r", client)
        assert_type(executor.recover("r", client, policy).result(), Recovered)


def fine_tuning(client: ServiceClient) -> None:
    file = recipes.read_examples("orders.jsonl")
    rows: list[dict[str, str]] = [{"q": "2+2=", "a": "4"}]
    named = recipes.read_examples(rows, columns={"prompt": "q", "completion": "a"}, split=None)
    assert_type(named.notices, Sequence[str])
    assert_type(recipes.recommended_learning_rate("tinkex/nano", rank=8), float)
    recipe = recipes.Recipe(base_model="tinkex/nano", schedule_kind="cosine", too_long="skip")
    prepared = recipes.prepare(recipe, file, tinkex.get_tokenizer("tinkex/nano"))
    assert_type(prepared.batches[0], list[Any])
    plan = recipes.Plan(recipe=recipe, data=recipes.Source.of(file))
    outcome = recipes.fine_tune(client, plan, prepared, Path("runs/orders"), stop=lambda: False)
    assert_type(outcome.sampler_path, str | None)
    with resumable("runs/orders", client, base_model="tinkex/nano") as run:
        for report in recipes.train(run, recipes.Sft(prepared), recipe):
            assert_type(report.loss, float | None)
            assert_type(report.metrics, Mapping[str, float])


def whole_methods(client: ServiceClient) -> None:
    def is_short(episode: recipes.Episode) -> float:
        return float(len(episode.text) < 40)

    assert_type(recipes.sft("orders.jsonl", base_model="tinkex/nano"), recipes.Outcome)
    recipes.dpo("pairs.jsonl", service=client, base_model="tinkex/nano", beta=0.1)
    recipes.grpo("prompts.jsonl", is_short, base_model="tinkex/nano")
    recipes.grpo("prompts.jsonl", {"exact": 1.0, is_short: 0.1}, base_model="tinkex/nano")
    recipes.distill("prompts.jsonl", "tinkex/tiny-chat", base_model="tinkex/nano")
    [scores] = recipes.evaluate(client, "tinkex/nano", "orders.jsonl", ["exact", is_short])
    assert_type(scores["exact"], float)
    assert_type(recipes.sample_file(client, "tinkex/nano", "prompts.jsonl", "responses.jsonl"), int)
    assert_type(recipes.checkpoint_path("runs/orders@best", "training"), str)


def keys_and_breakers(client: ServiceClient) -> None:
    keys = CredentialsFile("keys/credentials.json")
    keys.save("laptop", "tml-0123456789abcdef")
    assert_type(keys.names(), list[str])
    assert_type(KeyCommand("pass show tinker").read(), Secret)
    ServiceClient(api_key=keys.read)
    ServiceClient(api_key=lambda: "tml-0123456789abcdef", breaker_failures=5, breaker_reset=10)
    breaker = CircuitBreaker("reward model", failure_threshold=3)
    assert_type(breaker.call(client.get_server_capabilities), types.GetServerCapabilitiesResponse)
    with CircuitBreakers().get("scorer").guard():
        assert_type(breaker.state, BreakerState)


def local() -> None:
    with LocalServer(models={"mine": "folder"}) as server:
        assert_type(server.base_url, str)
        assert_type(server.model_names, list[str])


def alone() -> None:
    with RestClient(base_url="local", timeout=3.0) as rest:
        assert_type(rest.token_claims(), dict[str, Any])
    tensor = TensorData([1], "int64", [1, 9], [0, 1], [4])
    assert_type(tensor.to_dict(), dict[str, Any])
    assert_type(tensor.sparse_crow_indices, list[int] | None)
    assert_type(Datum.from_dict({}), Datum)
    path = types.ParsedCheckpointTinkerPath.from_tinker_path("tinker://r/weights/a")
    assert_type(path.tinker_path, str)
    try:
        tensor.numpy()
    except tinkex.RateLimitError as error:
        assert_type(error.retry_after, float | None)


def drop_in(service: tinker.ServiceClient) -> None:
    with tinker.install():
        pass
    training = service.create_lora_training_client("m").result()
    assert_type(training, tinker.TrainingClient)
    output = training.forward_backward([], "cross_entropy")
    assert_type(output, tinker.APIFuture[tinker.ForwardBackwardOutput])
    assert_type(output.result(), tinker.ForwardBackwardOutput)
    sampler = training.save_weights_and_get_sampling_client().result()
    assert_type(sampler, tinker.SamplingClient)
    runs = tinker.RestClient().list_training_runs().result().training_runs
    assert_type(runs, list[tinker.TrainingRun])


async def drop_in_awaited(service: tinker.ServiceClient, prompt: tinker.ModelInput) -> None:
    sampler = await service.create_sampling_client_async(base_model="m")
    assert_type(sampler, tinker.SamplingClient)
    params = tinker.SamplingParams(max_tokens=3)
    assert_type(await sampler.sample(prompt, 1, params), tinker.SampleResponse)
    assert_type(await sampler.sample_async(prompt, 1, params), tinker.SampleResponse)
