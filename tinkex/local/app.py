"""The ASGI application: the spec's operations, each with its handler."""

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from tinkex_generated.errors import ParseError

from tinkex._base.protobuf import MEDIA_TYPE
from tinkex.local import hub
from tinkex.local.app_state import AppState, encode
from tinkex.local.binary import decompressed, read_request
from tinkex.local.call import Call, is_light
from tinkex.local.connections import SHORTAGE, is_shortage
from tinkex.local.log_lines import one_line
from tinkex.local.page.routes import Pages
from tinkex.local.problem import Problem
from tinkex.local.refusal import Refusal, noting_refusal
from tinkex.local.routes import (
    billing,
    custom,
    exports,
    futures,
    keys,
    models,
    runs,
    sampling,
    search,
    service,
    sessions,
    traces,
    training,
    uploads,
    weights,
)
from tinkex.local.spec import Operation, load_operations

logger = logging.getLogger("tinkex.local.app")

Handler = Callable[[AppState, Call], Any]
Endpoint = Callable[[Request], Awaitable[Response]]

HANDLERS: Mapping[str, Handler] = {
    **service.HANDLERS,
    **sessions.HANDLERS,
    **models.HANDLERS,
    **training.HANDLERS,
    **weights.HANDLERS,
    **sampling.HANDLERS,
    **futures.HANDLERS,
    **runs.HANDLERS,
    **search.HANDLERS,
    **keys.HANDLERS,
    **exports.HANDLERS,
    **billing.HANDLERS,
    **traces.HANDLERS,
    **custom.HANDLERS,
    **uploads.HANDLERS,
}

# These take a body in the binary form as well.
_BINARY_BODIES = frozenset({"forward_backward"})

# Below this size a body is parsed where it arrives; above, in a worker thread.
_SMALL_BODY = 32 * 1024


def build_app(state: AppState) -> Starlette:
    """Return the application; operations of the spec without a handler return 404."""
    operations = load_operations()
    endpoints: dict[str, dict[str, Endpoint]] = {}
    for name, handler in HANDLERS.items():
        operation = operations[name]
        by_method = endpoints.setdefault(operation.path, {})
        by_method[operation.method] = _endpoint(state, operation, handler)
    # One route per path, so that a 405 lists all of its methods.
    own = [
        Route(path, _by_method(by_method), methods=list(by_method))
        for path, by_method in endpoints.items()
    ]
    # A path with a fixed part comes before one that takes anything there.
    own.sort(key=lambda route: route.path.count("{"))
    routes = [*own, *Pages(state).routes(), *hub.routes(state)]
    return Starlette(
        routes=routes,
        exception_handlers={
            Problem: _problem,
            HTTPException: partial(_http_exception, state),
        },
    )


def _by_method(endpoints: Mapping[str, Endpoint]) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        # Starlette serves HEAD for every GET route.
        method = "GET" if request.method == "HEAD" else request.method
        return await endpoints[method](request)

    return endpoint


def _endpoint(state: AppState, operation: Operation, handler: Handler) -> Endpoint:
    run = _runner(state, handler)

    async def endpoint(request: Request) -> Response:
        try:
            return await respond(request)
        except (Problem, HTTPException, ClientDisconnect):
            raise
        except Exception as error:
            if is_shortage(error):
                SHORTAGE.log(str(error))
                return problem_response(503, "no file descriptors are left", {"retry-after": "1"})
            logger.exception("%s %s failed", request.method, one_line(request.url.path))
            return problem_response(
                500, f"internal error of the local server: {type(error).__name__}"
            )

    async def respond(request: Request) -> Response:
        with noting_refusal(state, operation.operation_id) as refusal:
            parameters = {
                entry.name: entry.read(
                    request.path_params.get(entry.name)
                    if entry.place == "path"
                    else request.query_params.get(entry.name)
                )
                for entry in operation.parameters
            }
            body = await _read_body(state, operation, request, refusal)
            result = await run(Call(operation.operation_id, request, parameters, body))
        if isinstance(result, Response):
            return result
        if result is None:
            return Response(status_code=operation.success)
        return Response(
            encode(result), status_code=operation.success, media_type="application/json"
        )

    return endpoint


def _runner(state: AppState, handler: Handler) -> Callable[[Call], Awaitable[Any]]:
    """Return how a handler is called: on the event loop, or in a worker thread if it may block."""
    if inspect.iscoroutinefunction(handler):
        return partial(handler, state)
    if is_light(handler):

        async def inline(call: Call) -> Any:
            return handler(state, call)

        return inline

    async def threaded(call: Call) -> Any:
        return await state.pool.run(partial(handler, state, call))

    return threaded


async def _read_body(
    state: AppState, operation: Operation, request: Request, refusal: Refusal
) -> Any:
    if operation.body_name is None:
        return None
    content = refusal.content = await request.body()
    media_type = request.headers.get("content-type", "application/json").split(";", 1)[0].strip()
    encoding = request.headers.get("content-encoding", "identity").lower()
    if media_type.lower() == MEDIA_TYPE and operation.operation_id in _BINARY_BODIES:
        refusal.binary = True
        parse: Callable[[bytes], Any] = partial(_parse_binary, state, encoding, refusal)
    elif media_type.lower() != "application/json":
        raise Problem(415, f"{media_type!r} bodies are not understood: send application/json")
    elif encoding != "identity":
        raise Problem(415, "compressed bodies are not understood: send them as they are")
    else:
        parse = operation.read_body
    if len(content) < _SMALL_BODY and encoding == "identity":
        return _parse(parse, content)
    return await state.pool.run(partial(_parse, parse, content))


def _parse_binary(state: AppState, encoding: str, refusal: Refusal, content: bytes) -> Any:
    if encoding == "zstd":
        content = refusal.content = decompressed(content, state.options.max_body_bytes)
    elif encoding != "identity":
        raise Problem(415, f"{encoding!r} is not understood: compress with zstd, or not at all")
    return read_request(content)


def _parse(parse: Callable[[bytes], Any], content: bytes) -> Any:
    try:
        return parse(content)
    except ParseError as error:
        issue = {"loc": ["body", *_steps(error.path)], "msg": error.message, "type": "value_error"}
        raise Problem(422, [issue]) from error


def _steps(path: str) -> list[str | int]:
    """Return the steps of a path such as `data[3].model_input`."""
    steps: list[str | int] = []
    for part in path.replace("]", "").replace("[", ".#").split("."):
        if part.startswith("#"):
            steps.append(int(part[1:]) if part[1:].isdigit() else part[1:].strip("'\""))
        elif part:
            steps.append(part)
    return steps


def problem_response(
    status: int,
    detail: Any,
    headers: Mapping[str, str] | None = None,
    code: str | None = None,
) -> Response:
    """Return an error response in the form of FastAPI."""
    body = {"detail": detail} if code is None else {"detail": detail, "code": code}
    return Response(
        encode(body),
        status_code=status,
        headers=dict(headers or {}),
        media_type="application/json",
    )


async def _problem(request: Request, error: Exception) -> Response:
    del request
    if not isinstance(error, Problem):
        raise error
    return problem_response(error.status, error.detail, error.headers, error.code)


async def _http_exception(state: AppState, request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if request.url.path.startswith("/api/"):
        what = f"{request.method} {request.url.path}"
        state.troubles.add(f"no such route ({error.status_code})", what, by_reason=False)
    if error.status_code == 404:
        return problem_response(404, f"{request.method} {request.url.path} is not served here")
    return problem_response(error.status_code, error.detail, error.headers)
