"""Adapters are pushed to a hub played on loopback, by the real huggingface_hub."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.archive_host import ArchiveHost, archive_host
from support.archives import checkpoint
from support.clock import FakeClock
from support.hub_repositories import HubRepositories, HubRepository, hub_repositories
from support.nano import NANO
from support.package import PACKAGE
from support.scripted import Script, scripted_service

from tinkex import RestClient, ServiceClient
from tinkex.checkpoints import push_to_hub
from tinkex.checkpoints.hub_token import find_token
from tinkex.errors import (
    CheckpointError,
    MissingCredentialsError,
    MissingDependencyError,
    ValidationError,
)

pytest.importorskip("huggingface_hub")
from huggingface_hub import CommitInfo

# Of huggingface_hub's own way to send a file.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

PATH = "tinker://S:train:0/sampler_weights/final"
ARCHIVE = "GET training_runs/S:train:0/checkpoints/sampler_weights/final/archive"
REPO = "me/adapter"
TOKEN = "hf_verySecretToken123"
HEADER = b'{"a.q_proj.lora_A.weight":{"dtype":"F32","shape":[4,2],"data_offsets":[0,32]}}'
WEIGHTS = len(HEADER).to_bytes(8, "little") + HEADER + bytes(32)
ADAPTER = {
    "adapter_config.json": b'{"r": 4}',
    "adapter_model.safetensors": WEIGHTS,
    "checkpoint_complete": b"",
}


@pytest.fixture(autouse=True)
def hub(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HubRepositories]:
    for name in ("HF_TOKEN_PATH", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path_factory.mktemp("huggingface")))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with hub_repositories() as hub:
        hub.users[TOKEN] = "me"
        hub.be_the_only_one(monkeypatch)
        yield hub


@pytest.fixture
def host() -> Iterator[ArchiveHost]:
    with archive_host(checkpoint(ADAPTER)) as host:
        yield host


@pytest.fixture
def script(host: ArchiveHost) -> Script:
    info = {"base_model": "org/base", "is_lora": True, "lora_rank": 4, "train_mlp": False}
    return (
        Script()
        .on(ARCHIVE, (302, b"", {"Location": f"{host.url}/archive?signature=secret"}))
        .on("POST weights_info", info)
    )


@pytest.fixture
def rest(script: Script) -> Iterator[RestClient]:
    with scripted_service(script, FakeClock(), api_key="tml-secret-key") as service:
        yield service.create_rest_client()


def front_matter(card: bytes) -> dict[str, Any]:
    return dict(yaml.safe_load(card.decode().split("---\n")[1]))


def test_an_adapter_of_the_local_server_is_pushed_with_a_card(
    nano_service: ServiceClient, hub: HubRepositories, tmp_path: Path
) -> None:
    """The repository is private and holds the same bytes, and a card that says what they are."""
    training = nano_service.create_lora_training_client(NANO, rank=2)
    path = training.save_weights_for_sampler("s").result().path or ""
    rest = nano_service.create_rest_client()
    heard: list[int] = []
    done = push_to_hub(rest, path, REPO, progress=lambda have, _: heard.append(have))
    assert (done.path, done.repo_id, done.revision, done.private) == (path, REPO, "main", True)
    assert done.url.startswith(f"{hub.url}/{REPO}/commit/")
    assert hub.repositories[REPO].private
    files = hub.files(REPO)
    assert set(done.files) == set(files)
    local = {
        file.name: file.read_bytes() for file in rest.download_checkpoint(path, tmp_path).files
    }
    assert files["adapter_model.safetensors"] == local["adapter_model.safetensors"]
    assert json.loads(files["adapter_config.json"]) == json.loads(local["adapter_config.json"])
    front = front_matter(files["README.md"])
    assert front["tinker_path"] == path
    assert front["base_model"] == NANO
    assert front["library_name"] == "peft"
    assert b"LoRA rank: `2`" in files["README.md"]
    assert heard


def test_the_base_model_is_added_where_the_adapter_does_not_name_it(
    rest: RestClient, hub: HubRepositories
) -> None:
    """What the server says goes into the configuration, and what was in it stays."""
    push_to_hub(rest, PATH, REPO)
    config = json.loads(hub.files(REPO)["adapter_config.json"])
    assert config == {"r": 4, "base_model_name_or_path": "org/base"}
    card = hub.files(REPO)["README.md"].decode()
    assert "- Trained: attention, unembedding" in card
    assert "- Adapted layers: `q_proj`" in card


def test_the_token_goes_to_the_hub_and_to_no_other_host(
    rest: RestClient, hub: HubRepositories, host: ArchiveHost
) -> None:
    """The store of large files and the archive's host see signatures alone."""
    push_to_hub(rest, PATH, REPO)
    sent = {(place, authorization) for _, place, _, authorization in hub.seen}
    assert sent == {("hub", f"Bearer {TOKEN}"), ("store", None)}
    assert TOKEN not in str(host.requests)


def test_a_large_file_goes_in_parts(rest: RestClient, hub: HubRepositories) -> None:
    """Where the hub asks for parts, they come together as the file that was sent."""
    hub.part_size = 50
    push_to_hub(rest, PATH, REPO)
    assert hub.files(REPO)["adapter_model.safetensors"] == WEIGHTS
    assert len(hub.paths("PUT")) == -(-len(WEIGHTS) // 50)


def test_a_branch_is_made_where_there_is_none(rest: RestClient, hub: HubRepositories) -> None:
    """The files and the message go to the branch that was named, and main stays as it was."""
    hub.repositories[REPO] = HubRepository(private=True)
    done = push_to_hub(rest, PATH, REPO, revision="step-100", commit_message="One hundred")
    assert done.revision == "step-100"
    assert hub.files(REPO) == {}
    assert hub.files(REPO, "step-100")["adapter_model.safetensors"] == WEIGHTS
    assert [(commit["summary"], commit["revision"]) for commit in hub.commits] == [
        ("One hundred", "step-100")
    ]
    assert "/api/repos/create" not in hub.paths()


def test_a_pull_request_leaves_the_branch_alone(rest: RestClient, hub: HubRepositories) -> None:
    """Its page and its reference are what comes back."""
    hub.repositories[REPO] = HubRepository(private=True)
    done = push_to_hub(rest, PATH, REPO, create_pr=True)
    assert (done.url, done.revision) == (f"{hub.url}/{REPO}/discussions/1", "refs/pr/1")
    assert hub.files(REPO) == {}
    assert hub.files(REPO, "refs/pr/1")["adapter_model.safetensors"] == WEIGHTS


def test_without_a_name_the_run_is_the_repository_and_the_checkpoint_the_branch(
    rest: RestClient, hub: HubRepositories
) -> None:
    """Both are made of what the hub lets names be."""
    done = push_to_hub(rest, PATH)
    assert done.repo_id == "me/tinker-base-S-train-0"
    assert done.revision == "sampler_weights-final"
    assert "adapter_config.json" in hub.files(done.repo_id, done.revision)


def test_a_name_alone_is_one_of_your_own(rest: RestClient, hub: HubRepositories) -> None:
    """The token's owner owns it."""
    assert push_to_hub(rest, PATH, "adapter").repo_id == "me/adapter"


@pytest.mark.parametrize(
    ("patterns", "pushed"),
    [
        ({"allow_patterns": "*.json"}, {"adapter_config.json", "sub/b.json"}),
        ({"allow_patterns": ["sub/*"]}, {"sub/b.json"}),
        ({"allow_patterns": ["**/*.txt"]}, {"sub/deep/c.txt"}),
        ({"allow_patterns": "checkpoint_*"}, {"checkpoint_complete"}),
        ({"allow_patterns": "optimizer*"}, {"optimizer.safetensors"}),
        (
            {"ignore_patterns": ["sub/**"]},
            {"adapter_config.json", "adapter_model.safetensors"},
        ),
    ],
)
def test_patterns_choose_the_files(
    rest: RestClient,
    hub: HubRepositories,
    host: ArchiveHost,
    patterns: dict[str, Any],
    pushed: set[str],
) -> None:
    """A star stays within a folder, two do not; what only training needs goes only when asked."""
    host.content = checkpoint(
        {**ADAPTER, "optimizer.safetensors": WEIGHTS, "sub/b.json": b"{}", "sub/deep/c.txt": b"c"}
    )
    done = push_to_hub(rest, PATH, REPO, add_model_card=False, **patterns)
    assert set(done.files) == set(hub.files(REPO)) == pushed


def test_patterns_that_leave_nothing_are_an_error(rest: RestClient, hub: HubRepositories) -> None:
    """Nothing is made on the hub, and the error names the argument."""
    with pytest.raises(ValidationError, match="allow_patterns: no file is left"):
        push_to_hub(rest, PATH, REPO, allow_patterns="*.gguf")
    assert hub.repositories == {}


def test_a_readme_that_is_there_already_stays(
    rest: RestClient, hub: HubRepositories, host: ArchiveHost
) -> None:
    """That of the repository, and that of the checkpoint, were written by somebody."""
    branches = {"main": {"README.md": b"My words"}}
    hub.repositories[REPO] = HubRepository(private=True, branches=branches)
    assert "README.md" not in push_to_hub(rest, PATH, REPO).files
    assert hub.files(REPO)["README.md"] == b"My words"
    host.content = checkpoint({**ADAPTER, "README.md": b"---\ntags: []\n---\nTheirs"})
    push_to_hub(rest, PATH, "me/other")
    assert hub.files("me/other")["README.md"].endswith(b"Theirs")


def test_another_checkpoints_branch_is_left_alone(
    rest: RestClient, hub: HubRepositories, host: ArchiveHost
) -> None:
    """A README that names another path stops it before the download; force goes on."""
    card = b'---\ntinker_path: "tinker://R/sampler_weights/old"\n---\n'
    hub.repositories[REPO] = HubRepository(private=True, branches={"main": {"README.md": card}})
    with pytest.raises(ValidationError, match="tinker://R/sampler_weights/old"):
        push_to_hub(rest, PATH, REPO)
    assert host.requests == []
    assert hub.commits == []
    push_to_hub(rest, PATH, REPO, force=True)
    assert front_matter(hub.files(REPO)["README.md"])["tinker_path"] == PATH
    push_to_hub(rest, PATH, REPO)  # the same one again


def test_a_public_repository_takes_files_only_if_that_is_said(
    rest: RestClient, hub: HubRepositories, host: ArchiveHost
) -> None:
    """Private is the default, also where the repository is there already."""
    hub.repositories[REPO] = HubRepository(private=False)
    with pytest.raises(ValidationError, match="private=False"):
        push_to_hub(rest, PATH, REPO)
    assert host.requests == []
    assert push_to_hub(rest, PATH, REPO, private=False).private is False
    assert push_to_hub(rest, PATH, "me/new", private=False).private is False
    assert not hub.repositories["me/new"].private


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"repo_id": "a/b/c"}, "repo_id"),
        ({"repo_id": "me/-x"}, "repo_id"),
        ({"repo_id": "me/x--y"}, "repo_id"),
        ({"repo_id": "me/x.git"}, "repo_id"),
        ({"repo_id": "me/" + "x" * 97}, "repo_id"),
        ({"repo_id": ""}, "repo_id"),
        ({"revision": "branch"}, "revision"),
        ({"endpoint": "http://hub.example"}, "endpoint"),
        ({"endpoint": "hub.example"}, "endpoint"),
        ({"endpoint": "http://["}, "endpoint"),
    ],
    ids=str,
)
def test_arguments_that_cannot_be_right_send_nothing(
    rest: RestClient, script: Script, hub: HubRepositories, arguments: dict[str, Any], field: str
) -> None:
    """The error names the argument; a token never travels without encryption."""
    with pytest.raises(ValidationError, match=f"^{field}: "):
        push_to_hub(rest, PATH, **arguments)
    assert hub.seen == []
    assert script.received == []


def test_a_hub_that_an_older_library_cannot_push_to_is_refused_before_the_push(
    rest: RestClient, hub: HubRepositories, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Older ones take the page of a commit for one of the usual hub's, after they made it."""
    fields = CommitInfo.__dataclass_fields__
    monkeypatch.setattr(
        CommitInfo,
        "__dataclass_fields__",
        {name: value for name, value in fields.items() if name != "_endpoint"},
    )
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "https://hub.example")
    with pytest.raises(ValidationError, match=r"^endpoint: .*HF_ENDPOINT=http://127.*or upgrade"):
        push_to_hub(rest, PATH, REPO, endpoint=hub.url)
    assert hub.seen == []
    assert script.received == []
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
    push_to_hub(rest, PATH, REPO, endpoint=hub.url)
    assert REPO in hub.repositories


@pytest.mark.skipif(
    "_endpoint" not in CommitInfo.__dataclass_fields__, reason="needs a newer huggingface_hub"
)
def test_a_hub_beside_the_usual_one_is_pushed_to(
    rest: RestClient, hub: HubRepositories, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An argument is enough; the library's own address stays as it is."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "https://hub.example")
    done = push_to_hub(rest, PATH, REPO, endpoint=hub.url)
    assert done.url.startswith(hub.url)


def test_a_checkpoint_without_an_adapter_makes_nothing_on_the_hub(
    rest: RestClient, hub: HubRepositories, host: ArchiveHost
) -> None:
    """The error says which kind of checkpoint can be pushed."""
    host.content = checkpoint({"model.safetensors": WEIGHTS})
    with pytest.raises(CheckpointError, match="save_weights_for_sampler"):
        push_to_hub(rest, PATH, REPO)
    assert hub.repositories == {}


@pytest.mark.parametrize(
    ("places", "found"),
    [
        ({"given": " hf_a\n", "HF_TOKEN": "hf_b"}, "hf_a"),
        ({"given": " ", "HF_TOKEN": "hf_b", "HUGGING_FACE_HUB_TOKEN": "hf_c"}, "hf_b"),
        ({"HF_TOKEN": "", "HUGGING_FACE_HUB_TOKEN": "hf_c", "file": "hf_d"}, "hf_c"),
        ({"file": "hf_d\n"}, "hf_d"),
    ],
    ids=str,
)
def test_the_token_is_found_in_order(tmp_path: Path, places: dict[str, str], found: str) -> None:
    """The argument comes before the environment, and that before the file; blanks do not count."""
    (tmp_path / "token").write_text(places.pop("file", ""))
    given = places.pop("given", None)
    assert find_token(given, {**places, "HF_HOME": str(tmp_path)}).reveal() == found


def test_without_a_token_the_error_says_where_it_was_looked_for(
    rest: RestClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hub: HubRepositories
) -> None:
    """Nothing is sent anywhere."""
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(MissingCredentialsError, match="HUGGING_FACE_HUB_TOKEN") as caught:
        push_to_hub(rest, PATH, REPO)
    assert str(tmp_path / "none") in str(caught.value)
    assert hub.seen == []


def test_without_the_library_the_error_says_what_to_install(
    rest: RestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra is named when the package is missing."""
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingDependencyError, match=r"tinkex\[hub\]"):
        push_to_hub(rest, PATH, REPO)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/whoami-v2", 401),
        ("/api/repos/create", 403),
        ("/api/models/me/adapter/preupload/main", 500),
        ("/api/models/me/adapter/commit/main", 400),
        ("/api/validate-yaml", 400),
    ],
)
def test_a_refusal_of_the_hub_says_what_was_asked_and_hides_the_token(
    rest: RestClient,
    hub: HubRepositories,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    status: int,
) -> None:
    """Even a hub that repeats the token brings it into no message, cause, or frame of ours."""
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    hub.refusals[path] = (status, json.dumps({"error": f"not you, {TOKEN}"}).encode())
    with pytest.raises(CheckpointError, match="was asked") as caught:
        push_to_hub(rest, PATH, REPO, token=TOKEN)
    error = caught.value
    assert error.status_code == status
    assert error.retryable == (status == 500)
    assert error.__cause__ is error.__context__ is None
    assert TOKEN not in f"{error!r} {error} {error.__dict__}"
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    ours = [frame for frame in told.stack if frame.filename.startswith(PACKAGE)]
    assert ours
    assert TOKEN not in str([frame.locals for frame in ours])
    assert hub.commits == [] or path.endswith("/commit/main")


@pytest.mark.holds("S2", "S6")
def test_neither_token_nor_signature_is_logged(
    rest: RestClient, hub: HubRepositories, caplog: pytest.LogCaptureFixture
) -> None:
    """S6: with every logger at DEBUG, no line shows what opens a door."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith(("http", "hugg"))]
    for name in ("", *names):
        caplog.set_level(logging.DEBUG, name)
    push_to_hub(rest, PATH, REPO)
    lines = "\n".join(caplog.messages)
    assert "httpx" in {record.name for record in caplog.records}
    assert hub.store_url in lines
    for secret in (TOKEN, "signed-secret", "signature=secret", "tml-secret-key"):
        assert secret not in lines
