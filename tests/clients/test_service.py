"""The service client: what sessions say, restoring, calls side by side, and the reporter."""

from __future__ import annotations

import json
import threading
import traceback
from typing import Any

import httpx
import pytest
from support.clock import FakeClock
from support.package import PACKAGE
from support.scripted import Script, promises, scripted_service

from tinkex import Config, ModelInput, ServiceClient, types
from tinkex._base.secret import Secret
from tinkex.errors import (
    ClientClosedError,
    ConfigurationError,
    NotFoundError,
    PermissionDeniedError,
    RequestFailedError,
    ServerError,
    TinkexError,
    ValidationError,
    VersionNotSupportedError,
)

STATE = "tinker://R:train:0/weights/a"
INFO = {"base_model": "B", "is_lora": True, "lora_rank": 8, "train_unembed": False}
GRAPH = types.CustomLossGraph(
    nodes=[types.CustomLossNode(op="output", name="output", target="output")]
)
LOGPROBS = types.CustomLossInput(name="logprobs", rank=1)


@pytest.fixture
def script() -> Script:
    script = Script()
    promises(script, "POST create_model", *[{"model_id": f"M{i}"} for i in range(3)])
    return script


# Restoring


@pytest.mark.parametrize("method", ["", "_with_optimizer"])
def test_what_the_checkpoint_is_not_is_told_before_anything_is_made(
    script: Script, method: str
) -> None:
    """The error shows each difference, and no model is created to find out (P30)."""
    script.on("POST weights_info", INFO)
    with scripted_service(script) as service:
        restore = getattr(service, f"create_training_client_from_state{method}")
        with pytest.raises(ValidationError) as caught:
            restore(STATE, base_model="C", rank=16, train_mlp=True, train_unembed=True)
    lines = str(caught.value).splitlines()
    assert [line.split() for line in lines[1:-1]] == [
        ["setting", "requested", "checkpoint"],
        ["base_model", "'C'", "'B'"],
        ["rank", "16", "8"],
        ["train_unembed", "True", "False"],
    ]
    assert lines[0].endswith(f"{STATE} cannot be restored with these settings:")
    assert "Omit these arguments" in lines[-1]
    assert script.paths() == ["POST weights_info"]


def test_a_checkpoint_that_is_what_was_expected_is_restored(script: Script) -> None:
    """Expectations that hold, and None, change nothing."""
    script.on("POST weights_info", INFO)
    promises(script, "POST load_weights", {"path": STATE})
    with scripted_service(script) as service:
        client = service.create_training_client_from_state(
            STATE, base_model="B", rank=8, train_mlp=None, train_unembed=False
        )
    assert client.base_model == "B"
    assert script.bodies("create_model")[0]["lora_config"]["rank"] == 8


def test_full_weights_are_not_restored_as_an_adapter(script: Script) -> None:
    """A checkpoint that is no LoRA adapter cannot be trained on by one."""
    script.on("POST weights_info", {"base_model": "B", "is_lora": False})
    with scripted_service(script) as service, pytest.raises(ValidationError, match="full weights"):
        service.create_training_client_from_state(STATE)


def test_an_expectation_of_no_known_name_is_refused(script: Script) -> None:
    """A mistyped argument is named with those that there are."""
    script.on("POST weights_info", INFO)
    with scripted_service(script) as service, pytest.raises(ValidationError, match=r"rnak.*rank"):
        service.create_training_client_from_state(STATE, rnak=8)  # type: ignore[call-arg]


def test_another_accounts_checkpoint_is_loaded_with_its_token(script: Script) -> None:
    """The token travels in the request, and an error does not repeat it where the server does."""
    token = "tml-theirs-12345"
    script.on("POST weights_info", INFO)
    script.on("POST load_weights", (403, {"detail": f"you sent {token}"}))
    script.on("POST copy_weights", (403, {"detail": f"you sent {token}"}))
    with scripted_service(script) as service:
        rest = service.create_rest_client()
        for call in (service.create_training_client_from_state, rest.copy_weights):
            with pytest.raises(PermissionDeniedError, match="you sent") as caught:
                call(STATE, weights_access_token=token)
            assert token not in f"{caught.value} {caught.value.body}"
    assert script.bodies("load_weights")[0]["weights_access_token"] == token
    assert script.sent("copy_weights")[0].headers["X-Tinker-Weights-Access-Token"] == token


# What is sent


def test_an_optimizer_is_asked_for_by_name(script: Script) -> None:
    """AdamW is what nobody asked otherwise for; Dimuon's steps have settings of their own."""
    promises(script, "POST optim_step", {"metrics": {}}, {"metrics": {}})
    with scripted_service(script) as service:
        service.create_lora_training_client("B")
        client = service.create_lora_training_client("B", optimizer="dimuon")
        client.optim_step(types.DimuonParams(learning_rate=1e-3))
        with pytest.raises(ValidationError, match="adam_params"):
            client.train_step([], "cross_entropy", {"learning_rate": 1})  # type: ignore[arg-type]
    plain, dimuon = script.bodies("create_model")
    assert "optimizer_config" not in plain
    assert dimuon["optimizer_config"] == {"type": "dimuon"}
    assert script.bodies("optim_step")[0]["optimizer_params"] == {
        "type": "dimuon",
        "learning_rate": 1e-3,
        "grad_clip_norm": 0.0,
        "beta1": 0.9,
    }
    with pytest.raises(TypeError):
        types.DimuonParams()  # type: ignore[call-arg]


def test_checkpoints_carry_metadata_and_exports_their_recipients(script: Script) -> None:
    """What is stored with a checkpoint is text; an export names who may read it."""
    for route in ("save_weights", "save_weights_for_sampler", "save_weights_external"):
        script.on(f"POST {route}", {"path": f"tinker://M0/{route}/a"})
    with scripted_service(script) as service:
        client = service.create_lora_training_client("B")
        client.save_state("a", user_metadata={"step": 3, "best": True})  # type: ignore[dict-item]
        client.save_weights_for_sampler("a", user_metadata={"k": "v"})
        exported = client.save_weights_external("a", 3600, ["age1xyz"]).result()
        assert exported.path == "tinker://M0/save_weights_external/a"
        for bad in ("age1xyz", [], ["k"] * 11):
            with pytest.raises(ValidationError, match="age_encryption_recipients"):
                client.save_weights_external("b", age_encryption_recipients=bad)
        with pytest.raises(ValidationError, match="user_metadata"):
            client.save_state("b", user_metadata={"a": ["list"]})  # type: ignore[dict-item]
    assert script.bodies("save_weights")[0]["user_metadata"] == {"step": "3", "best": "true"}
    assert script.bodies("save_weights_for_sampler")[0]["user_metadata"] == {"k": "v"}
    body = script.bodies("save_weights_external")[0]
    assert (body["age_encryption_recipients"], body["seq_id"]) == (["age1xyz"], 3)


def test_an_inflight_sampler_is_asked_for_by_kind(script: Script) -> None:
    """A snapshot is the default; what follows later saves has no name."""
    script.on("POST save_weights_for_sampler", {"sampling_session_id": "SS"})
    with scripted_service(script) as service:
        client = service.create_lora_training_client("B")
        client.save_weights_and_get_sampling_client()
        client.save_weights_and_get_sampling_client(kind="inflight")
        for arguments in ({"kind": "frozen"}, {"name": "a", "kind": "inflight"}):
            with pytest.raises(ValidationError, match="kind"):
                client.save_weights_and_get_sampling_client(**arguments)  # type: ignore[arg-type]
        with pytest.raises(ValidationError, match="ttl_seconds"):
            client.save_weights_and_get_sampling_client(ttl_seconds=60)
    bodies = script.bodies("save_weights_for_sampler")
    assert [body.get("kind") for body in bodies] == [None, "inflight"]


def test_a_session_has_the_name_and_the_version_that_are_set(script: Script) -> None:
    """display_name is for people, sdk_version for servers that look at it (P37)."""
    settings = {"display_name": "my run", "sdk_version": "9.9"}
    with scripted_service(script, **settings) as service:
        assert service.session.id == "S"
    (created,) = script.bodies("create_session")
    assert (created["display_name"], created["sdk_version"]) == ("my run", "9.9")
    assert script.bodies("client/config") == [{"sdk_version": "9.9"}]
    assert script.received[0].headers["X-Stainless-Package-Version"] == "9.9"


@pytest.mark.parametrize(
    "detail",
    [
        "SDK version 0.15.0 is no longer supported. Please upgrade.",
        "This client version is not supported",
        "tinker version 0.1 is deprecated",
    ],
)
def test_a_version_that_is_refused_says_what_to_do(script: Script, detail: str) -> None:
    """The error is of its own class and names both ways out (P37)."""
    script.on("POST create_session", (400, {"detail": detail}))
    with (
        scripted_service(script) as service,
        pytest.raises(VersionNotSupportedError, match=r"upgrade tinkex.*TINKEX_SDK_VERSION"),
    ):
        _ = service.session


def test_a_traced_loss_is_uploaded_under_the_sessions_next_number(script: Script) -> None:
    """The graph goes as it is; its id is what forward_backward takes."""
    promises(script, "POST create_custom_loss", {"loss_id": "L0"}, {"loss_id": "L1"})
    with scripted_service(script) as service:
        ids = [service.create_custom_loss("mine", [LOGPROBS], GRAPH) for _ in range(2)]
        with pytest.raises(ValidationError, match="logprobs"):
            service.create_custom_loss("mine", [], GRAPH)
    assert ids == ["L0", "L1"]
    assert [body["custom_loss_seq_id"] for body in script.bodies("create_custom_loss")] == [0, 1]


def test_a_server_without_custom_losses_names_the_other_way(script: Script) -> None:
    """forward_backward_custom needs no route of its own."""
    script.on("POST create_custom_loss", 404)
    with (
        scripted_service(script) as service,
        pytest.raises(NotFoundError, match="forward_backward_custom"),
    ):
        service.create_custom_loss("mine", [LOGPROBS], GRAPH)


def test_closing_may_say_how_it_went(script: Script) -> None:
    """Status and detail reach the server, once."""
    with scripted_service(script) as service:
        _ = service.session
        service.close("errored", "out of data")
    assert script.bodies("sessions/S/finish") == [
        {"reason": {"type": "errored"}, "detail": "out of data"}
    ]


# Side by side


def test_factories_run_side_by_side(script: Script) -> None:
    """Two clients are being made at the same time, and share one session."""
    both = threading.Barrier(2, timeout=30)

    def wait_for_the_other(request: httpx.Request) -> Any:
        both.wait()
        return {"sampling_session_id": json.loads(request.content)["base_model"]}

    script.on("POST create_sampling_session", wait_for_the_other)
    with scripted_service(script) as service:
        futures = [
            service.submit(service.create_sampling_client, base_model=name) for name in ("a", "b")
        ]
        assert [one.result(30).sampling_session_id for one in futures] == ["a", "b"]
    assert len(script.sent("create_session")) == 1
    numbers = [body["sampling_session_seq_id"] for body in script.bodies("create_sampling_session")]
    assert sorted(numbers) == [0, 1]


def test_an_error_comes_out_of_the_future(script: Script) -> None:
    """What the function raises, result() raises; a closed service takes nothing more."""
    with scripted_service(script) as service:
        future = service.submit(service.create_sampling_client)
        with pytest.raises(ValidationError, match="model_path or base_model"):
            future.result(30)
    with pytest.raises(ClientClosedError):
        service.submit(print)


# The reporter


@pytest.mark.holds("S4")
def test_nothing_is_reported_unless_asked_for(script: Script) -> None:
    """Telemetry is off by default, and then there is no reporter."""
    with scripted_service(script) as service:
        assert service.telemetry is None
    assert script.sent("telemetry") == []


def test_a_session_reports_its_beginning_its_end_and_the_error_it_died_of(script: Script) -> None:
    """Class and status of an error travel, its message never does."""
    script.on("POST telemetry", {"status": "accepted"}).on(
        "POST asample", (400, {"detail": "secret"})
    )
    script.on("POST create_sampling_session", {"sampling_session_id": "SS"})

    def fail() -> None:
        with scripted_service(script, telemetry=True) as service:
            assert service.telemetry is not None
            assert service.telemetry.log("step", {"loss": 1.5})
            sampler = service.create_sampling_client(base_model="B")
            sampler.sample(ModelInput.from_ints([1])).result()

    with pytest.raises(TinkexError, match="secret"):
        fail()
    everything = [event for body in script.bodies("telemetry") for event in body["events"]]
    # Beside them stands what the SDK did, see tests/observability/telemetry.
    events = [one for one in everything if not one.get("event_name", "").startswith("tinkex.")]
    assert [event["event"] for event in events] == [
        "SESSION_START", "GENERIC_EVENT", "GENERIC_EVENT", "SESSION_END",
    ]  # fmt: skip
    assert events[2]["event_name"] == "user_error"
    assert events[2]["event_data"]["status_code"] == 400
    assert "secret" not in json.dumps(everything)
    routes = [got.route.rpartition("/")[2] for got in script.received]
    assert routes.index("telemetry") < routes.index("finish")


# How errors look


def frames(error: BaseException) -> list[str]:
    """Return the functions of tinkex that a traceback shows."""
    found = []
    current = error.__traceback__
    while current is not None:
        if current.tb_frame.f_code.co_filename.startswith(PACKAGE):
            found.append(current.tb_frame.f_code.co_name)
        current = current.tb_next
    return found


@pytest.mark.parametrize(
    ("route", "call"),
    [
        ("GET get_server_capabilities", lambda service: service.get_server_capabilities()),
        ("GET training_runs/r", lambda service: service.create_rest_client().get_training_run("r")),
        ("GET auth/apikey/me", lambda service: service.create_rest_client().whoami()),
        ("POST optim_step", lambda service: trained(service).optim_step()),
        ("POST forward_backward", lambda service: trained(service).forward_backward([datum()], "cross_entropy")),
        ("POST retrieve_future", lambda service: trained(service).optim_step().result()),
        ("POST asample", lambda service: sampler(service).sample(ModelInput.from_ints([1])).result()),
    ],
)  # fmt: skip
def test_a_traceback_shows_the_users_line_and_little_of_ours(
    script: Script, route: str, call: Any
) -> None:
    """At most three frames are tinkex's (P13)."""
    script.on("POST create_model", {"model_id": "M"}).on("POST optim_step", {"request_id": "r"})
    script.on("POST create_sampling_session", {"sampling_session_id": "SS"})
    script.on(route, (404 if "apikey" in route else 403, {"detail": "no"}))
    with scripted_service(script) as service, pytest.raises(TinkexError) as caught:
        call(service)
    assert 1 <= len(frames(caught.value)) <= 3, frames(caught.value)


def datum() -> types.Datum:
    return types.Datum(ModelInput.from_ints([1]), {"target_tokens": [1], "weights": [1.0]})


def trained(service: ServiceClient) -> Any:
    return service.create_lora_training_client("B")


def sampler(service: ServiceClient) -> Any:
    return service.create_sampling_client(base_model="B")


def test_a_failed_poll_leaves_the_client_usable(script: Script) -> None:
    """The next call goes out under the next number (C39)."""
    script.on("POST create_model", {"model_id": "M"}).on("POST optim_step", {"request_id": "r"})
    script.on("POST retrieve_future", {"error": "boom", "category": "server"}, {"metrics": {}})
    with scripted_service(script) as service:
        client = trained(service)
        with pytest.raises(RequestFailedError, match="boom"):
            client.optim_step().result()
        client.optim_step().result()
    assert [body["seq_id"] for body in script.bodies("optim_step")] == [1, 2]


def test_a_step_whose_second_half_fails_says_what_stands(script: Script) -> None:
    """train_step sends two requests; the error names the one that was accepted."""
    script.on("POST create_model", {"model_id": "M"})
    script.on("POST forward_backward", {"request_id": "r"}).on(
        "POST optim_step", (400, {"detail": "no"})
    )
    with (
        scripted_service(script) as service,
        pytest.raises(TinkexError, match="call optim_step alone"),
    ):
        trained(service).train_step([datum()], "cross_entropy")


def test_categories_say_whose_fault_it_is(script: Script) -> None:
    """A 5xx is the server's, and so is a 429, whatever its body says (C13)."""
    script.on("GET get_server_capabilities", 500)
    script.on("GET healthz", (429, {"category": "user", "detail": "slow down"}))
    with scripted_service(script, FakeClock(), max_retries=0) as service:
        with pytest.raises(ServerError) as caught:
            service.get_server_capabilities()
        assert caught.value.category == "server"
        with pytest.raises(TinkexError) as full:
            service.health_check()
        assert full.value.category == "server"


# Settings, and the end


def test_arguments_beside_a_config_take_precedence_over_it() -> None:
    """Nothing that stands beside `config` is passed over; what does not stand there stays."""
    config = Config(base_url="http://127.0.0.1:1", timeout=5, tags=["a"], max_retries=2)
    with ServiceClient(
        config=config, timeout=7, api_key="tml-0123456789", http_pool="b"
    ) as service:
        found = service.config
    assert (found.timeout, found.http_pool, found.tags, found.max_retries) == (7.0, "b", ("a",), 2)
    assert found.api_key == Secret("tml-0123456789")
    assert (found.sources["timeout"], found.sources["telemetry"]) == ("argument", "default")


def test_a_key_beside_a_config_takes_the_place_of_its_key() -> None:
    """However the key of the config is to be had."""
    config = Config(base_url="http://127.0.0.1:1", api_key="tml-0123456789")
    with ServiceClient(config=config, credential_cmd="echo tml-abcdefghij") as service:
        assert service.config.api_key is None
        assert service.config.credential_cmd == Secret("echo tml-abcdefghij")


@pytest.mark.parametrize("wrong", [{"nonsense": 1}, {"timeout": -1}])
def test_what_stands_beside_a_config_is_checked(wrong: dict[str, Any]) -> None:
    """A mistyped keyword is refused with a config as without one."""
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        ServiceClient(config=Config(base_url="http://127.0.0.1:1"), **wrong)


def test_a_client_that_could_not_be_made_can_be_shown() -> None:
    """Printing the variables of the traceback shows the error, not a second one."""
    with pytest.raises(ConfigurationError) as caught:
        ServiceClient(nonsense=1)
    shown = "".join(
        traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    )
    assert "self = <ServiceClient that was not created>" in shown
    assert "unknown setting 'nonsense'" in shown


def test_a_closed_client_cannot_be_entered(script: Script) -> None:
    """`with` after `close()` says so at once, instead of at the first call inside."""
    with scripted_service(script) as service:
        service.close()
        with pytest.raises(ClientClosedError, match="create a new one"), service:
            raise AssertionError("entered")
