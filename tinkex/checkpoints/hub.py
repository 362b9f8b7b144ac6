"""Upload of an adapter to the Hugging Face Hub, with a model card."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from tinkex._base.secret import Secret
from tinkex.checkpoints.download import MARKER, download
from tinkex.checkpoints.extract import iter_files
from tinkex.checkpoints.fetch import Progress
from tinkex.checkpoints.hub_repository import LONGEST_NAME, MAIN, Repository, check_name, connect
from tinkex.checkpoints.hub_token import find_token
from tinkex.checkpoints.inspection import CONFIG, inspect, read_config
from tinkex.checkpoints.model_card import CARD, model_card
from tinkex.checkpoints.patterns import matches
from tinkex.errors import CheckpointError, ValidationError
from tinkex.types import CheckpointPath, WeightsInfoResponse

if TYPE_CHECKING:
    from tinkex.rest import RestClient

WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
# Archive metadata and optimizer state, which are only useful for training: not for users of the
# adapter.
USUALLY_LEFT_OUT = ("checkpoint_complete", "optimizer.*")
_TINKER_PATH = re.compile(r"tinker://[^\s\"'<>`)\]]+")


@frozen
class HubUpload:
    """A checkpoint that was uploaded to the Hugging Face Hub.

    Attributes:
        path: The checkpoint's ``tinker://`` path.
        repo_id: The repository, ``<owner>/<name>``.
        revision: The branch, or the reference of the pull request.
        private: Whether the repository is private.
        url: The page of the commit, or of the pull request.
        files: The names of the uploaded files.
    """

    path: str
    repo_id: str
    revision: str
    private: bool
    url: str
    files: tuple[str, ...]


def push_to_hub(
    rest: RestClient,
    path: str,
    repo_id: str | None = None,
    *,
    token: str | Secret | None = None,
    private: bool = True,
    revision: str | None = None,
    commit_message: str | None = None,
    create_pr: bool = False,
    allow_patterns: str | Sequence[str] | None = None,
    ignore_patterns: str | Sequence[str] | None = None,
    add_model_card: bool = True,
    force: bool = False,
    endpoint: str | None = None,
    progress: Progress | None = None,
) -> HubUpload:
    """Upload a checkpoint's adapter to the Hugging Face Hub; needs ``pip install 'tinkex[hub]'``.

    >>> push_to_hub(rest, "tinker://run-1:train:0/sampler_weights/final", "me/my-adapter").url
    'https://huggingface.co/me/my-adapter/commit/...'

    The archive is first downloaded into a temporary folder, as by `download`. The repository is created
    once the files are available, and they are uploaded in one commit. An existing README is kept, unless
    `force` is set.

    Args:
        rest: A client of the server.
        path: ``tinker://<run>/<kind>/<name>``.
        repo_id: ``<owner>/<name>``, or a name in your own namespace. By default
            ``tinker-<base model>-<run>`` with the checkpoint's id as the revision.
        token: Your token; by default HF_TOKEN, HUGGING_FACE_HUB_TOKEN, or the file of
            ``hf auth login``.
        private: Whether a new repository is private. Uploading to an existing public one requires
            ``private=False``.
        revision: The branch, created if it does not exist; "main" by default.
        commit_message: The message of the commit.
        create_pr: Whether to open a pull request instead of committing to the branch.
        allow_patterns: Upload only files whose path or name matches one of these; ``*`` stays
            within a folder, ``**`` does not. By default all but the optimizer state.
        ignore_patterns: Do not upload files that match one of these.
        add_model_card: Whether to write a README if the checkpoint has none.
        force: Whether to replace files of another checkpoint, as named in the repository's
            README.
        endpoint: The Hub; HF_ENDPOINT or ``https://huggingface.co`` by default.
        progress: Called with (bytes so far, total bytes or None) during the download.

    Raises:
        MissingDependencyError: huggingface_hub is not installed.
        MissingCredentialsError: No token was found.
        ValidationError: An argument is invalid.
        CheckpointError: The checkpoint has no adapter, or the Hub refuses; also the errors of
            `download`.
        ApiError: The server does not have the checkpoint.
    """
    parsed = CheckpointPath.parse(path)
    if revision is not None and repo_id is None:
        raise ValidationError("requires repo_id", path="revision")
    allow, ignore = _patterns(allow_patterns), _patterns(ignore_patterns)
    hub = connect(find_token(token), endpoint)
    del token  # tracebacks may show local variables
    if repo_id is not None:
        check_name(repo_id)
    user = hub.user()
    info = rest.get_weights_info_by_tinker_path(path)
    there = hub.look(*_destination(user, parsed, info, repo_id, revision))
    _check_visibility(there, private=private)
    if not force:
        _check_card(there, path)
    with tempfile.TemporaryDirectory(prefix="tinkex-hub-") as scratch:
        folder = download(rest, path, scratch, progress=progress).folder
        base_model = _prepare(folder, info)
        if add_model_card and not (folder / CARD).exists() and (there.card is None or force):
            modules = _modules(folder)
            text = model_card(parsed, info, base_model, there.repo_id, modules)
            (folder / CARD).write_text(text, encoding="utf-8")
        files = _chosen(folder, allow, ignore)
        message = commit_message or f"Add {parsed.checkpoint_id} of {parsed.training_run_id}"
        made = hub.commit(there, files, message, private=private, create_pr=create_pr)
    return HubUpload(
        path,
        there.repo_id,
        made.revision,
        private if there.private is None else there.private,
        made.url,
        tuple(files),
    )


def _destination(
    user: str,
    path: CheckpointPath,
    info: WeightsInfoResponse,
    repo_id: str | None,
    revision: str | None,
) -> tuple[str, str]:
    """Return repository and branch; by default a repository per run and a branch per checkpoint."""
    if repo_id is not None:
        return (repo_id if "/" in repo_id else f"{user}/{repo_id}"), revision or MAIN
    base = info.base_model.rpartition("/")[2]
    name = _sanitized(f"tinker-{base[:40]}-{path.training_run_id}")
    return f"{user}/{name}", _sanitized(path.checkpoint_id)


def _sanitized(text: str) -> str:
    """Return a text as a valid repository name: allowed characters, no repeated `-` and `.`."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", text)
    name = re.sub(r"[-.]{2,}", "-", name)
    return name[:LONGEST_NAME].strip("-.")


def _check_visibility(there: Repository, *, private: bool) -> None:
    if private and there.private is False:
        raise ValidationError(
            f"the repository {there.repo_id} is public already; pass private=False to push into it, "
            "or choose another repo_id",
            path="private",
        )


def _check_card(there: Repository, path: str) -> None:
    """Refuse a branch whose README names another checkpoint."""
    named = set(_TINKER_PATH.findall(there.card or ""))
    if named and path not in named:
        raise ValidationError(
            f"{there.repo_id} at {there.revision} has {min(named)[:200]!r}; choose another repo_id "
            "or revision, or pass force=True to replace it",
            path="repo_id",
        )


def _prepare(folder: Path, info: WeightsInfoResponse) -> str:
    """Check that a folder has an adapter, and return its base model after adding it to the config."""
    if not (folder / CONFIG).is_file() or not any((folder / name).is_file() for name in WEIGHTS):
        raise CheckpointError(
            f"the checkpoint has no adapter ({CONFIG} and {WEIGHTS[0]}); use a checkpoint of "
            "save_weights_for_sampler"
        )
    config = read_config(folder / CONFIG)
    named = config.get("base_model_name_or_path")
    if isinstance(named, str) and named:
        return named
    config["base_model_name_or_path"] = info.base_model or "unknown"
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    return info.base_model or "unknown"


def _modules(folder: Path) -> tuple[str, ...]:
    """Return the adapted layers from the header of the weights."""
    if not (folder / WEIGHTS[0]).is_file():
        return ()  # the other format is a pickle, which is not safe to open
    return inspect(folder).target_modules


def _patterns(given: str | Sequence[str] | None) -> tuple[str, ...] | None:
    return (given,) if isinstance(given, str) else given if given is None else tuple(given)


def _chosen(
    folder: Path, allow: tuple[str, ...] | None, ignore: tuple[str, ...] | None
) -> dict[str, Path]:
    """Return the files to upload, by their names in the repository."""
    found = {file.relative_to(folder).as_posix(): file for file in iter_files(folder)}
    left_out = (MARKER, *(ignore or ()), *(() if allow else USUALLY_LEFT_OUT))
    chosen = {
        name: file
        for name, file in found.items()
        if not matches(name, left_out) and (not allow or matches(name, allow))
    }
    if not chosen:
        raise ValidationError(
            f"no file is left to upload; the checkpoint has {', '.join(found)[:500]}",
            path="allow_patterns" if allow else "ignore_patterns",
        )
    return chosen
