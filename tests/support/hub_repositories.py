"""A small stand-in of the Hugging Face hub that takes pushes, and of the store of its large files."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import yaml
from attrs import define, field
from support.hub_standin import AGENTS

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SIGNATURE = "X-Amz-Signature=signed-secret"
Files = dict[str, bytes]


@define
class HubRepository:
    """A repository: its visibility, and the files of each branch."""

    private: bool
    branches: dict[str, Files] = field(factory=lambda: {"main": {".gitattributes": b""}})


@define
class HubRepositories:
    """Take pushes as the hub does, over the protocol of git's large files.

    Attributes:
        users: Names by token.
        repositories: What there is, by `<owner>/<name>`.
        objects: The large files that were uploaded, by checksum.
        part_size: Bytes of a part for uploads in parts; None for uploads in one.
        refusals: For a path (a regular expression), the status and body of the answer instead.
        seen: Method, host, path and Authorization of each request but those for `AGENTS`.
        commits: The header of each commit, with its branch and whether it was a pull request.
    """

    users: dict[str, str] = field(factory=dict)
    repositories: dict[str, HubRepository] = field(factory=dict)
    objects: dict[str, bytes] = field(factory=dict)
    part_size: int | None = None
    refusals: dict[str, tuple[int, bytes]] = field(factory=dict)
    seen: list[tuple[str, str, str, str | None]] = field(factory=list)
    commits: list[dict[str, Any]] = field(factory=list)
    url: str = ""
    store_url: str = ""
    _parts: dict[tuple[str, int], bytes] = field(factory=dict)

    def be_the_only_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let huggingface_hub and programs that are started know no other hub than this one."""
        for name in ("HUGGING_FACE_HUB_TOKEN", "HTTP_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HF_ENDPOINT", self.url)
        # The other way to send large files is a protocol of its own, in compiled code.
        monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
        # What the library reads from the variables when it is imported, which was before.
        constants = "huggingface_hub.constants."
        monkeypatch.setattr(constants + "ENDPOINT", self.url)
        template = self.url + "/{repo_id}/resolve/{revision}/{filename}"
        for module in (constants, "huggingface_hub.file_download."):
            monkeypatch.setattr(module + "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
        monkeypatch.setattr(constants + "HF_HUB_DISABLE_XET", True, raising=False)
        monkeypatch.setattr(constants + "HF_HUB_DISABLE_PROGRESS_BARS", True)

    def files(self, repo_id: str, revision: str = "main") -> Files:
        """Return the files of a branch, without those that the hub itself makes."""
        found = self.repositories[repo_id].branches[revision]
        return {name: content for name, content in found.items() if name != ".gitattributes"}

    def paths(self, method: str | None = None) -> list[str]:
        """Return the paths that were asked for, in order."""
        return [path for used, _, path, _ in self.seen if method in (None, used)]

    def store(self, method: str, target: str, body: bytes) -> _Answer:
        """Answer as the store of large files, which knows nothing but signatures."""
        parts = urlsplit(target)
        query = parse_qs(parts.query)
        oid = parts.path.strip("/")
        if SIGNATURE not in parts.query:
            return _json(403, {"error": "no signature"})
        if method == "PUT" and "part" in query:
            self._parts[oid, int(query["part"][0])] = body
            return 200, {"ETag": f'"part-{query["part"][0]}"'}, b""
        if method == "PUT":
            return self._keep(oid, body)
        numbers = [part["partNumber"] for part in json.loads(body)["parts"]]
        return self._keep(oid, b"".join(self._parts[oid, number] for number in numbers))

    def _keep(self, oid: str, content: bytes) -> _Answer:
        if hashlib.sha256(content).hexdigest() != oid:
            return _json(400, {"error": "checksum"})
        self.objects[oid] = content
        return _json(200, {})

    def hub(self, method: str, target: str, body: bytes, authorization: str | None) -> _Answer:
        """Answer as the hub."""
        path = unquote(urlsplit(target).path)
        for pattern, (status, said) in self.refusals.items():
            if re.fullmatch(pattern, path):
                return status, {"Content-Type": "application/json"}, said
        user = self.users.get((authorization or "").removeprefix("Bearer "))
        if user is None:
            return _json(401, {"error": "Invalid credentials in Authorization header"})
        if path == "/api/whoami-v2":
            return _json(200, {"type": "user", "name": user})
        if path == "/api/validate-yaml":
            return _validated(json.loads(body)["content"])
        if path == "/api/repos/create":
            return self._create(json.loads(body), user)
        for pattern, answer in (
            (r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", self._info),
            (r"/api/models/([^/]+/[^/]+)/branch/(.+)", self._branch),
            (r"/api/models/([^/]+/[^/]+)/preupload/(.+)", self._preupload),
            (r"/api/models/([^/]+/[^/]+)/commit/(.+)", self._commit),
            (r"/([^/]+/[^/]+)\.git/info/lfs/objects/(batch|verify)", self._large),
            (r"/([^/]+/[^/]+)/resolve/([^/]+)/README\.md", self._readme),
        ):
            found = re.fullmatch(pattern, path)
            if found:
                repo_id, rest = found.groups()
                if repo_id not in self.repositories:
                    return _json(404, {"error": "no repository"}, "RepoNotFound")
                return answer(repo_id, rest, body, urlsplit(target).query)
        return _json(404, {"error": f"the stand-in has no {path}"})

    def _create(self, asked: dict[str, Any], user: str) -> _Answer:
        repo_id = f"{asked.get('organization') or user}/{asked['name']}"
        url = {"url": f"{self.url}/{repo_id}"}
        if repo_id in self.repositories:
            return _json(409, url)
        # The word changed between the library's versions.
        private = asked.get("visibility") == "private" or asked.get("private") is True
        self.repositories[repo_id] = HubRepository(private)
        return _json(200, url)

    def _info(self, repo_id: str, revision: str | None, body: bytes, query: str) -> _Answer:
        repository = self.repositories[repo_id]
        files = repository.branches.get(revision or "main")
        if files is None:
            return _json(404, {"error": "no revision"}, "RevisionNotFound")
        siblings = [{"rfilename": name} for name in files]
        return _json(
            200,
            {
                "id": repo_id,
                "modelId": repo_id,
                "sha": COMMIT,
                "private": repository.private,
                "siblings": siblings,
            },
        )

    def _branch(self, repo_id: str, branch: str, body: bytes, query: str) -> _Answer:
        branches = self.repositories[repo_id].branches
        if branch in branches:
            return _json(409, {"error": "exists"})
        branches[branch] = dict(branches["main"])
        return _json(200, {})

    def _preupload(self, repo_id: str, revision: str, body: bytes, query: str) -> _Answer:
        if revision not in self.repositories[repo_id].branches:
            return _json(404, {"error": "no revision"}, "RevisionNotFound")
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                "shouldIgnore": False,
            }
            for file in json.loads(body)["files"]
        ]
        return _json(200, {"files": files})

    def _large(self, repo_id: str, call: str, body: bytes, query: str) -> _Answer:
        asked = json.loads(body)
        if call == "verify":
            return _json(200 if len(self.objects[asked["oid"]]) == asked["size"] else 400, {})
        objects = []
        for wanted in asked["objects"]:
            url = f"{self.store_url}/{wanted['oid']}?{SIGNATURE}"
            header: dict[str, str] = {}
            if self.part_size:
                count = -(-wanted["size"] // self.part_size)
                header = {str(n): f"{url}&part={n}" for n in range(1, count + 1)}
                header["chunk_size"] = str(self.part_size)
            verify = {"href": f"{self.url}/{repo_id}.git/info/lfs/objects/verify"}
            actions = {"upload": {"href": url, "header": header}, "verify": verify}
            objects.append({**wanted, "actions": actions})
        return _json(
            200, {"transfer": "multipart" if self.part_size else "basic", "objects": objects}
        )

    def _commit(self, repo_id: str, revision: str, body: bytes, query: str) -> _Answer:
        branches = self.repositories[repo_id].branches
        header, *changes = [json.loads(line) for line in body.splitlines()]
        is_request = "create_pr=1" in query
        self.commits.append({**header["value"], "revision": revision, "create_pr": is_request})
        if is_request:
            branches["refs/pr/1"] = dict(branches[revision])
        files = branches["refs/pr/1" if is_request else revision]
        for change in changes:
            value = change["value"]
            if change["key"] == "lfsFile":
                files[value["path"]] = self.objects[value["oid"]]
            else:
                files[value["path"]] = base64.b64decode(value["content"])
        made = {"commitUrl": f"{self.url}/{repo_id}/commit/{COMMIT}", "commitOid": COMMIT}
        if is_request:
            made["pullRequestUrl"] = f"{self.url}/{repo_id}/discussions/1"
        return _json(200, made)

    def _readme(self, repo_id: str, revision: str, body: bytes, query: str) -> _Answer:
        content = self.repositories[repo_id].branches[revision]["README.md"]
        tag = hashlib.sha256(content).hexdigest()
        return 200, {"X-Repo-Commit": COMMIT, "ETag": f'"{tag}"'}, content


_Answer = tuple[int, dict[str, str], bytes]


def _json(status: int, body: Any, code: str | None = None) -> _Answer:
    headers = {"Content-Type": "application/json"}
    return status, headers | ({"X-Error-Code": code} if code else {}), json.dumps(body).encode()


def _validated(card: str) -> _Answer:
    """Say what the hub says to a model card: its front matter is YAML, its base model a name."""
    front = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
    try:
        said = yaml.safe_load(front[1]) if front else {}
    except yaml.YAMLError as error:
        return _json(400, {"errors": [{"message": str(error)}]})
    base = said.get("base_model", "a/b")
    if not isinstance(base, str) or not re.fullmatch(r"([\w.-]+/)?[\w.-]+", base):
        return _json(400, {"errors": [{"message": '"base_model" must be a model id'}]})
    return _json(200, {"errors": [], "warnings": []})


@contextmanager
def hub_repositories() -> Iterator[HubRepositories]:
    """Play the hub and its store on loopback, under two names, as long as the block runs."""
    played = HubRepositories()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            authorization = self.headers.get("Authorization")
            host = "hub" if self.server is hub else "store"
            path = unquote(urlsplit(self.path).path)
            if path != AGENTS:
                played.seen.append((self.command, host, path, authorization))
            if host == "hub":
                status, headers, content = played.hub(self.command, self.path, body, authorization)
            else:
                status, headers, content = played.store(self.command, self.path, body)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_HEAD = do_POST = do_PUT = do_GET

        def log_message(self, *_: object) -> None:
            pass

    hub, store = (ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2))
    played.url = f"http://127.0.0.1:{hub.server_port}"
    played.store_url = f"http://localhost:{store.server_port}"
    threads = [threading.Thread(target=one.serve_forever, args=(0.01,)) for one in (hub, store)]
    for one, thread in zip((hub, store), threads, strict=True):
        one.daemon_threads = True
        thread.start()
    try:
        yield played
    finally:
        for one, thread in zip((hub, store), threads, strict=True):
            one.shutdown()
            thread.join()
            one.server_close()
