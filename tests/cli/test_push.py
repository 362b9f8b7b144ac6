"""`tinkex checkpoint push-hf`, against a hub played on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cli.conftest import Made
from support.command import Shell
from support.hub_repositories import HubRepositories, hub_repositories

pytest.importorskip("huggingface_hub")
# Of huggingface_hub's own way to send a file.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

TOKEN = "hf_verySecretToken123"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, shell: Shell) -> Iterator[HubRepositories]:
    """A hub that knows one user, and no other way to it."""
    with hub_repositories() as hub:
        hub.users[TOKEN] = "me"
        hub.be_the_only_one(monkeypatch)
        yield hub


def test_an_adapter_is_pushed_by_a_process(shell: Shell, made: Made, hub: HubRepositories) -> None:
    """With a token from the environment, to a private repository, and it says where."""
    shell.set("HF_TOKEN", TOKEN)
    done = shell.process(
        "checkpoint", "push-hf", made.sampler_path, "--repo", "adapter", strict=False
    )
    assert done.code == 0, done.err
    assert done.out.startswith("Uploaded to me/adapter\nRevision: main\nPublic: No\n")
    assert hub.repositories["me/adapter"].private
    assert set(hub.files("me/adapter")) == {
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
    }


def test_options_of_a_push(shell: Shell, made: Made, hub: HubRepositories) -> None:
    """Branch, patterns, message, visibility and card are as they were asked for."""
    done = shell(
        "checkpoint",
        "push-hf",
        made.sampler_path,
        *("--repo", "me/other", "--public", "--revision", "v1", "--commit-message", "first"),
        *("--allow-pattern", "*.json", "--allow-pattern", "*.safetensors"),
        *("--ignore-pattern", "*.bin", "--no-model-card", "--hf-token", TOKEN, "--json"),
    )
    assert done.code == 0, done.err
    assert {name: value for name, value in done.json.items() if name != "url"} == {
        "command": "checkpoint",
        "action": "push_hf",
        "checkpoint_path": made.sampler_path,
        "repo_id": "me/other",
        "revision": "v1",
        "public": True,
        "files": ["adapter_config.json", "adapter_model.safetensors"],
    }
    assert hub.commits[-1]["summary"] == "first"
    assert TOKEN not in done.out + done.err


def test_a_push_without_a_token_or_with_a_wrong_one_says_so(
    shell: Shell, made: Made, hub: HubRepositories
) -> None:
    """Without one exit code 3 and the places that were searched; the other one stays secret."""
    push = ("checkpoint", "push-hf", made.sampler_path, "--repo", "adapter")
    missing = shell(*push)
    assert missing.code == 3
    assert "HF_TOKEN" in missing.err
    wrong = shell(*push, "--hf-token", "hf_canaryCanary", "--debug")
    assert wrong.code != 0
    assert "canary" not in wrong.out + wrong.err
    assert shell(*push[:3], "--revision", "v1").code == 2
    assert shell("checkpoint", "push-hf", "nonsense").code == 2
