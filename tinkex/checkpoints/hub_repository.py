"""Model repositories of the Hugging Face Hub: look-up, creation, commits."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from attrs import frozen

from tinkex._base.redaction import without_queries, without_queries_of
from tinkex._base.secret import Secret
from tinkex._base.urls import is_loopback_host
from tinkex._base.version import __version__
from tinkex.checkpoints.model_card import CARD
from tinkex.errors import CheckpointError, MissingDependencyError, ValidationError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

T = TypeVar("T")

MAIN = "main"
LONGEST_NAME = 96
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_TWICE = re.compile(r"--|\.\.")
_LONGEST_CARD = 1024 * 1024
_LONGEST_ANSWER = 500


@frozen
class Repository:
    """The state of a repository before the upload.

    Attributes:
        repo_id: ``<owner>/<name>``.
        revision: The branch to upload to.
        private: Whether the repository is private; None if it does not exist.
        has_revision: Whether the branch exists.
        card: The text of the branch's README, if it has one.
    """

    repo_id: str
    revision: str
    private: bool | None = None
    has_revision: bool = False
    card: str | None = None


@frozen
class Commit:
    """The location of uploaded files: the page, and the branch or pull request reference."""

    url: str
    revision: str


@frozen
class Hub:
    """A client of the Hub with a token, which converts its errors.

    The token is never shown: the library's errors hold the failed requests, so they are not kept as
    causes.
    """

    _api: HfApi
    _token: Secret

    def user(self) -> str:
        """Return the name of the token's owner."""
        found = self._ask("who the token belongs to", self._api.whoami)
        name = found.get("name")
        if not isinstance(name, str):
            raise CheckpointError("the Hugging Face Hub does not say who the token belongs to")
        return name

    def look(self, repo_id: str, revision: str) -> Repository:
        """Return the state of a repository and of a branch in it."""
        from huggingface_hub import errors

        what = f"for {repo_id}"
        try:
            found = self._ask(what, lambda: self._api.model_info(repo_id), keep=_no_repository())
        except errors.RepositoryNotFoundError:
            return Repository(repo_id, revision)
        private = bool(found.private)
        try:
            branch = self._ask(
                f"{what} at {revision}",
                lambda: self._api.model_info(repo_id, revision=revision),
                keep=(errors.RevisionNotFoundError,),
            )
        except errors.RevisionNotFoundError:
            return Repository(repo_id, revision, private)
        names = {file.rfilename for file in branch.siblings or ()}
        card = self._card(repo_id, revision) if CARD in names else None
        return Repository(repo_id, revision, private, has_revision=True, card=card)

    def commit(
        self,
        there: Repository,
        files: Mapping[str, Path],
        message: str,
        *,
        private: bool,
        create_pr: bool,
    ) -> Commit:
        """Upload files to a branch in one commit; creates the repository and the branch if necessary."""
        from huggingface_hub import CommitOperationAdd

        repo_id, revision = there.repo_id, there.revision
        if there.private is None:
            self._ask(
                f"to make {repo_id}",
                lambda: self._api.create_repo(repo_id, private=private, exist_ok=True),
            )
        if not there.has_revision and revision != MAIN:
            self._ask(
                f"to make the branch {revision} of {repo_id}",
                lambda: self._api.create_branch(repo_id, branch=revision, exist_ok=True),
            )
        added = [
            CommitOperationAdd(path_in_repo=name, path_or_fileobj=str(file))
            for name, file in files.items()
        ]
        made = self._ask(
            f"to take the files for {repo_id}",
            lambda: self._api.create_commit(
                repo_id, added, commit_message=message, revision=revision, create_pr=create_pr
            ),
        )
        return Commit(
            made.pr_url or made.commit_url, made.pr_revision or revision if create_pr else revision
        )

    def _card(self, repo_id: str, revision: str) -> str:
        with tempfile.TemporaryDirectory(prefix="tinkex-hub-") as folder:
            file = self._ask(
                f"for the README of {repo_id}",
                lambda: self._api.hf_hub_download(
                    repo_id, CARD, revision=revision, local_dir=folder
                ),
            )
            with Path(file).open("rb") as stream:
                return stream.read(_LONGEST_CARD).decode("utf-8", "replace")

    def _ask(self, what: str, call: Callable[[], T], keep: tuple[type[Exception], ...] = ()) -> T:
        """Call the library and return the result; errors in `keep` propagate."""
        try:
            with without_queries():
                return call()
        except keep:
            raise
        except Exception as error:  # noqa: BLE001 - converted by the next line
            problem = self._problem(what, error)
        raise problem

    def _problem(self, what: str, error: Exception) -> CheckpointError:
        status = _status(error)
        text = self._token.redact(" ".join(f"{error} {error.__cause__ or ''}".split()))
        text = without_queries_of(text)[:_LONGEST_ANSWER]
        why = f"HTTP {status}" if status else type(error).__name__
        hint = ""
        if status in (401, 403):
            hint = "; check that the token is valid and may write there"
        return CheckpointError(
            f"the Hugging Face Hub was asked {what} and responded with {why} ({text}){hint}",
            status_code=status,
            category="user" if status is not None and status < 500 else "unknown",
            retryable=status is None or status == 429 or status >= 500,
        )


def connect(token: Secret, endpoint: str | None = None) -> Hub:
    """Return a Hub client for a token; nothing is sent yet.

    Raises:
        MissingDependencyError: huggingface_hub is not installed.
        ValidationError: The endpoint is not a URL, the token would be sent unencrypted, or this version
            of huggingface_hub supports only another hub.
    """
    try:
        from huggingface_hub import CommitInfo, HfApi, constants
    except ImportError:
        raise MissingDependencyError("pushing to the Hugging Face Hub", "hub") from None
    # The package also installs the tokenizers, which nothing else here needs.
    from tinkex.tokenizer.hub import endpoint as usual

    where = (endpoint or usual()).rstrip("/")
    try:
        parts = urlsplit(where)
        scheme, host = parts.scheme, parts.hostname or ""
    except ValueError:
        scheme, host = "", ""
    if scheme not in {"http", "https"} or not host:
        raise ValidationError("must be an http(s) URL", path="endpoint")
    if scheme == "http" and not is_loopback_host(host):
        raise ValidationError(
            f"would send the token to {host} without encryption; use https", path="endpoint"
        )
    # Before 1.4 it parses a commit's page as one of the default hub, and fails after the upload.
    if where != constants.ENDPOINT and "_endpoint" not in CommitInfo.__dataclass_fields__:
        raise ValidationError(
            f"this version of huggingface_hub only supports {constants.ENDPOINT}: start the "
            f"program with HF_ENDPOINT={where}, or upgrade huggingface_hub to 1.4 or newer",
            path="endpoint",
        )
    api = HfApi(
        endpoint=where, token=token.reveal(), library_name="tinkex", library_version=__version__
    )
    return Hub(api, token)


def check_name(repo_id: str) -> None:
    """Refuse an invalid repository name, by the Hub's rules.

    Raises:
        ValidationError: The name is invalid.
    """
    owner, _, name = repo_id.rpartition("/")
    parts = [owner, name] if "/" in repo_id else [name]
    good = all(
        _NAME.fullmatch(part) and len(part) <= LONGEST_NAME and not _TWICE.search(part)
        for part in parts
    )
    if not good or repo_id.endswith(".git"):
        raise ValidationError(
            f"must be <owner>/<name> or <name>, each of at most {LONGEST_NAME} letters, digits, "
            f"'-', '_' and '.', without '--' and '..', not {repo_id[:200]!r}",
            path="repo_id",
        )


def _no_repository() -> tuple[type[Exception], ...]:
    from huggingface_hub import errors

    return (errors.RepositoryNotFoundError,)


def _status(error: BaseException | None) -> int | None:
    """Return the HTTP status behind an error: for an upload, that of the error's cause."""
    while error is not None:
        status: Any = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(status, int):
            return status
        error = error.__cause__
    return None
