"""Tokenizers under the URLs of the Hugging Face Hub, so that `HF_ENDPOINT` may be this server.

The official client loads tokenizers by `transformers`, which asks the Hub for files of a repository.
Here each base model is a repository with one revision that holds its tokenizer and configuration;
weights are not served.
"""

import hashlib
from collections.abc import Awaitable, Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from attrs import frozen
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from tinkex.local.app_state import AppState

# What tokenizers and processors of transformers are made of.
FILES = frozenset(
    {
        "added_tokens.json",
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "merges.txt",
        "preprocessor_config.json",
        "processor_config.json",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer.model",
        "tokenizer_config.json",
        "vocab.json",
        "vocab.txt",
    }
)

LLAMA_3 = "meta-llama/Llama-3"
LLAMA_3_TOKENIZER = "thinkingmachineslabinc/meta-llama-3-instruct-tokenizer"

Endpoint = Callable[[Request], Awaitable[Response]]


@frozen
class HubFile:
    """A file of a repository."""

    name: str
    path: Path
    size: int
    digest: str


def routes(state: AppState) -> list[Route]:
    """Return the routes, in the order in which they have to be tried."""
    return [
        Route("/api/models/{model:path}/tree/{revision}", _endpoint(state, _tree)),
        Route(
            "/api/models/{model:path}/tree/{revision}/{folder:path}", _endpoint(state, _no_folder)
        ),
        Route("/api/models/{model:path}/revision/{revision}", _endpoint(state, _info)),
        Route("/api/models/{model:path}", _endpoint(state, _info)),
        Route("/{model:path}/resolve/{revision}/{file:path}", _endpoint(state, _file)),
    ]


def _endpoint(
    state: AppState, respond: Callable[[str, list[HubFile], Request], Response]
) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        model = request.path_params["model"]
        folder = _folder_of(state, model)
        if folder is None:
            return _refusal("RepoNotFound", state.bases.unknown(model))
        files = await state.pool.run(partial(_files, folder))
        return respond(model, files, request)

    return endpoint


def _folder_of(state: AppState, name: str) -> Path | None:
    """Return the folder of the base model of a repository, or None.

    The official client asks for the tokenizer of ``owner/model/variant`` as ``owner/model``, and for
    those of Llama 3 under a repository without a licence to sign.
    """
    folders = state.bases.folders
    if name in folders:
        return folders[name]
    start = LLAMA_3 if name == LLAMA_3_TOKENIZER else f"{name}/"
    return next((folder for model, folder in folders.items() if model.startswith(start)), None)


def _info(model: str, files: list[HubFile], request: Request) -> Response:
    del request
    siblings = [{"rfilename": file.name, "size": file.size} for file in files]
    return JSONResponse(
        {
            "id": model,
            "modelId": model,
            "sha": _commit(files),
            "private": False,
            "gated": False,
            "disabled": False,
            "tags": [],
            "downloads": 0,
            "likes": 0,
            "siblings": siblings,
        },
        headers={"x-repo-commit": _commit(files)},
    )


def _tree(model: str, files: list[HubFile], request: Request) -> Response:
    del model, request
    entries: list[dict[str, Any]] = [
        {"type": "file", "path": file.name, "size": file.size, "oid": file.digest} for file in files
    ]
    return JSONResponse(entries, headers={"x-repo-commit": _commit(files)})


def _no_folder(model: str, files: list[HubFile], request: Request) -> Response:
    folder = request.path_params["folder"]
    return _refusal("EntryNotFound", f"base model {model!r} has no folder {folder!r}", files)


def _file(model: str, files: list[HubFile], request: Request) -> Response:
    name = request.path_params["file"]
    file = next((one for one in files if one.name == name), None)
    if file is None:
        return _refusal("EntryNotFound", f"base model {model!r} has no file {name!r} here", files)
    headers = {"etag": f'"{file.digest}"', "x-repo-commit": _commit(files)}
    return FileResponse(file.path, headers=headers, media_type="application/octet-stream")


def _refusal(code: str, detail: str, files: list[HubFile] | None = None) -> Response:
    """Return a 404 like the Hub's, with the header that its clients read."""
    headers = {"x-error-code": code, "x-error-message": detail.encode("ascii", "replace").decode()}
    if files is not None:
        headers["x-repo-commit"] = _commit(files)
    return JSONResponse({"detail": detail, "error": detail}, status_code=404, headers=headers)


def _files(folder: Path) -> list[HubFile]:
    found = []
    for path in sorted(folder.iterdir()):
        if path.name in FILES and path.is_file():
            status = path.stat()
            digest = _digest(path, status.st_mtime_ns, status.st_size)
            found.append(HubFile(path.name, path, status.st_size, digest))
    return found


@lru_cache(maxsize=256)
def _digest(path: Path, changed: int, size: int) -> str:
    """Return the hash of a file's content; its time and size only decide whether it is read again."""
    del changed, size
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _commit(files: list[HubFile]) -> str:
    """Return the revision: 40 hexadecimal digits that change with any file."""
    text = "\n".join(f"{file.digest} {file.name}" for file in files)
    return hashlib.sha256(text.encode()).hexdigest()[:40]
