"""Reading and preparation of an API description for the generator; errors name the location.

The prepared description has nothing left that the generator would ignore: references to parameters,
bodies and responses are resolved, each operation has an id and its security, each body and response has
one media type, and schemas are normalized (see schemas.py).
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs
from schemas import PREFIX, GenerationError, Schema, Schemas, references, refused, without_binary

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
WIRE_PATH = "x-tinkex-wire-path"
ACCEPT = "x-tinkex-accept"
JSON = "application/json"
BYTES = "application/octet-stream"
# Not text/plain: a request may send that as bytes, and the generator treats a media type the same everywhere.
TEXT = "text/any"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
# OpenAPI ignores these header parameters: other parts of the description define them.
IGNORED_HEADERS = {"accept", "content-type", "authorization"}
STYLES = {
    "path": {"simple"},
    "header": {"simple"},
    "query": {"form", "spaceDelimited", "pipeDelimited", "deepObject"},
}


@attrs.frozen
class Prepared:
    """The generator's input, and the parts of a description that it does not pass to templates."""

    document: dict[str, Any]
    operations: dict[str, Operation]
    content_types: dict[str, str]
    names: dict[str, str]
    key_header: tuple[str, str]


@attrs.frozen
class Operation:
    """Details of an operation that the generator does not pass to templates."""

    id: str
    place: str
    styles: dict[str, tuple[str, bool]]
    encoding: dict[str, Any]


def read_spec(path: Path) -> dict[str, Any]:
    """Read the API description."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if not path.exists():
        raise GenerationError(f"no API description at {path}")
    try:
        # YAML does not allow the tabs that JSON does.
        is_json = path.suffix == ".json"
        text = path.read_text(encoding="utf-8")
        spec = as_json(json.loads(text) if is_json else YAML(typ="safe").load(text))
    except (YAMLError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise GenerationError(f"{path} is not {'JSON' if is_json else 'YAML'}: {error}") from error
    if not isinstance(spec, dict) or not isinstance(spec.get("paths"), dict):
        raise GenerationError(f"{path} is no OpenAPI description: it has no paths")
    if not re.fullmatch(r"3\.[01]\.\d+", str(spec.get("openapi"))):
        raise GenerationError(f"{path} is no OpenAPI description of version 3.0 or 3.1")
    return spec


def as_json(node: Any) -> Any:
    """Return a YAML value as its JSON equivalent: keys as strings, dates as ISO text."""
    if isinstance(node, dict):
        return {key if isinstance(key, str) else str(key): as_json(node[key]) for key in node}
    if isinstance(node, list):
        return [as_json(item) for item in node]
    return node.isoformat() if isinstance(node, dt.date) else node


def prepare(spec: Mapping[str, Any]) -> Prepared:
    """Return a description in the form that the generator needs."""
    return Preparation(spec).run()


class Preparation:
    """The preparation of one description."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self._spec = spec
        self._components: Mapping[str, Any] = spec.get("components") or {}
        self._schemas = Schemas(self._components.get("schemas") or {})
        self._operations: dict[str, Operation] = {}
        self._content_types: dict[str, str] = {}
        self._key_headers: dict[tuple[str, str], str] = {}

    def run(self) -> Prepared:
        """Prepare all operations, then the schemas that they share."""
        paths: dict[str, Any] = {}
        requests: list[str] = []
        in_forms: list[str] = []
        responses: list[str] = []
        for path, described in self._spec["paths"].items():
            place = f"paths.{path}"
            item = self._resolved(described, place)
            for method in METHODS:
                if method in item:
                    where = f"{place}.{method}"
                    key, operation = self._operation(path, method, item, where)
                    sent = references([operation.get("requestBody"), operation["parameters"]])
                    body = operation.get("requestBody", {}).get("content", {})
                    forms = {FORM, MULTIPART} & {media_kind(media) for media in body}
                    (in_forms if forms else requests).extend(sent)
                    responses += references(operation["responses"])
                    if method in paths.setdefault(key, {}):
                        raise refused(where, f"is described twice, under the wire path {key}")
                    paths[key][method] = operation
        made = self._schemas.components(
            request=self._schemas.reachable(requests),
            response=self._schemas.reachable(responses),
            form=self._schemas.reachable(in_forms),
        )
        self._schemas.finish(made)
        self._check_class_names(made)
        document = {
            "openapi": "3.1.0",
            "info": self._spec.get("info") or {"title": "API", "version": "0"},
            "paths": paths,
            "components": {"schemas": made},
        }
        if len(self._key_headers) > 1:
            (_, first), (_, second) = list(self._key_headers.items())[:2]
            raise refused(second, f"takes its key in another way than {first}")
        header = next(iter(self._key_headers), ("x-api-key", ""))
        return Prepared(
            document, self._operations, self._content_types, self._schemas.names, header
        )

    def _resolved(self, node: Any, place: str) -> dict[str, Any]:
        """Return a part of the description with its own reference resolved."""
        seen: list[str] = []
        while isinstance(node, dict) and "$ref" in node:
            reference = node["$ref"]
            if reference in seen:
                raise refused(place, f"refers to {reference}, which refers to itself")
            seen.append(reference)
            if not str(reference).startswith("#/"):
                raise refused(place, f"refers to {reference!r}, which is not in this file")
            node = self._spec
            for step in str(reference)[2:].split("/"):
                name = step.replace("~1", "/").replace("~0", "~")
                node = node.get(name) if isinstance(node, Mapping) else None
        if not isinstance(node, dict):
            found = f"refers to {seen[-1]}, which is not there" if seen else "is no object"
            raise refused(place, found)
        return node

    def _check_class_names(self, made: Mapping[str, Schema]) -> None:
        from openapi_python_client.strings import ClassName

        seen: dict[str, str] = {}
        for name, schema in made.items():
            if "enum" in schema or schema.get("type") == "object":
                other = seen.setdefault(str(ClassName(name, "field_")), name)
                if other != name:
                    raise refused(
                        f"components.schemas.{name}",
                        f"maps to the same class as {other}; rename one",
                    )

    # -- operations ---------------------------------------------------------------------------

    def _operation(
        self, path: str, method: str, item: Mapping[str, Any], place: str
    ) -> tuple[str, dict[str, Any]]:
        described = self._resolved(item[method], place)
        wire_path = described.get(WIRE_PATH, item.get(WIRE_PATH))
        if wire_path is None and (described.get("servers") or item.get("servers")):
            raise refused(
                place,
                f"has servers of its own, and the client sends all to one; {WIRE_PATH} can name the route there",
            )
        name, spaced, operation_id = self._name(path, method, described, place)
        parameters, styles = self._parameters(described, item, place)
        encoding: dict[str, Any] = {}
        self._check_path(path if wire_path is None else wire_path, parameters, place)
        self._operations[name] = Operation(operation_id, place, styles, encoding)
        operation = {
            "operationId": spaced,
            "tags": (described.get("tags") or ["default"])[:1],
            "security": self._security(described, place),
            "parameters": parameters,
            "responses": self._responses(described, place, has_bodies=method != "head"),
        }
        for key in ("summary", "description"):
            if described.get(key):
                operation[key] = described[key]
        if "requestBody" in described:
            where = f"{place}.requestBody"
            operation["requestBody"] = self._body(described["requestBody"], where, encoding)
        # OpenAPI allows one operation per path and method. One that differs only in its media type
        # is described under another path, and names the real one. The templates drop the "#".
        return (path if wire_path is None else f"{wire_path}#{operation_id}"), operation

    def _check_path(self, path: str, parameters: list[Any], place: str) -> None:
        named = re.findall(r"{([^}]*)}", path)
        for name in named:
            if not re.fullmatch(r"[a-zA-Z_-][a-zA-Z0-9_-]*", name):
                raise refused(place, f"{name!r} in the path is no name of letters, digits, - and _")
        listed = [p["name"] for p in parameters if p["in"] == "path"]
        if sorted(named) != sorted(listed):
            found = ", ".join(listed) or "none"
            raise refused(place, f"{path} does not name its path parameters, which are: {found}")

    def _name(
        self, path: str, method: str, described: Mapping[str, Any], place: str
    ) -> tuple[str, str, str]:
        from openapi_python_client.parser.openapi import generate_operation_id
        from openapi_python_client.schema.untrusted_string import UntrustedString
        from openapi_python_client.strings import PythonIdentifier

        given = described.get("operationId")
        made = generate_operation_id(path=UntrustedString(path), method=method, prefix="field_")
        operation_id = str(given or made)
        # The generator drops characters that are not letters, and so word boundaries.
        spaced = re.sub(r"\W+", "_", operation_id).strip("_")
        name = str(PythonIdentifier(spaced, "field_"))
        other = self._operations.get(name)
        if other is not None:
            raise refused(
                place,
                f"the operationId {operation_id!r} maps to the module {name}, which {other.place} already uses",
            )
        return name, spaced, operation_id

    def _security(self, described: Mapping[str, Any], place: str) -> list[Any]:
        """Return the security of an operation; the generator does not see it at the root."""
        found = list(described.get("security", self._spec.get("security")) or [])
        schemes = self._components.get("securitySchemes") or {}
        problem = ""
        for alternative in found:
            if not alternative:
                continue
            if len(alternative) > 1:
                problem = "wants several keys at once"
                continue
            name = next(iter(alternative))
            if name not in schemes:
                raise refused(f"{place}.security", f"names {name!r}, which is no security scheme")
            scheme = self._resolved(schemes[name], f"components.securitySchemes.{name}")
            header = key_header(scheme)
            if header is not None:
                self._key_headers.setdefault(header, place)
                return found
            problem = f"wants {name}; a key goes into a header, alone or as a bearer token"
        if problem and {} not in found:
            raise refused(f"{place}.security", problem)
        return [] if problem else found

    # -- parameters ---------------------------------------------------------------------------

    def _parameters(
        self, described: Mapping[str, Any], item: Mapping[str, Any], place: str
    ) -> tuple[list[Any], dict[str, tuple[str, bool]]]:
        made: dict[tuple[str, str], Any] = {}
        styles: dict[str, tuple[str, bool]] = {}
        own = [
            (f"{place}.parameters[{n}]", p) for n, p in enumerate(described.get("parameters") or [])
        ]
        shared = place.rpartition(".")[0]
        above = [
            (f"{shared}.parameters[{n}]", p) for n, p in enumerate(item.get("parameters") or [])
        ]
        for group in (own, above):
            names: set[tuple[str, str]] = set()
            for where, reference in group:
                parameter = self._resolved(reference, where)
                key = (str(parameter.get("in")), str(parameter.get("name")))
                if key in names:
                    raise refused(where, f"is the second {key[0]} parameter called {key[1]!r}")
                names.add(key)
                if key in made or (key[0] == "header" and key[1].lower() in IGNORED_HEADERS):
                    continue
                made[key], style = self._parameter(parameter, where)
                if key[0] == "query":
                    styles[key[1]] = style
        return list(made.values()), styles

    def _parameter(
        self, parameter: Mapping[str, Any], place: str
    ) -> tuple[dict[str, Any], tuple[str, bool]]:
        name, location = parameter.get("name"), parameter.get("in")
        if location not in STYLES or not isinstance(name, str):
            raise refused(
                place, f"{name!r} is a {location} parameter; path, query and header can be sent"
            )
        if "schema" not in parameter:
            raise refused(place, f"{name!r} has no schema; a parameter with content cannot be sent")
        style = parameter.get("style") or ("form" if location == "query" else "simple")
        if style not in STYLES[location]:
            raise refused(
                place, f"{name!r} has the style {style}, which cannot be sent in a {location}"
            )
        explode = bool(parameter.get("explode", style == "form"))
        schema = self._schemas.normal(
            parameter["schema"], f"{place}.schema", frozenset({"request"})
        )
        schema = without_binary(schema)
        if location != "query":
            schema = as_text(schema)
        self._check_parameter(name, location, style, schema, place)
        if parameter.get("description"):
            # The generator drops the description of a parameter, and keeps that of its schema.
            if "$ref" in schema:
                schema = {"anyOf": [schema]}
            schema = {"description": parameter["description"], **schema}
        made = {
            "name": name,
            "in": location,
            "required": location == "path" or bool(parameter.get("required")),
            "schema": schema,
        }
        return made, (style, explode)

    def _check_parameter(
        self, name: str, location: str, style: str, schema: Schema, place: str
    ) -> None:
        """Refuse schemas that have no representation in a URL or a header."""
        for kind, inner in self._shapes(schema, place):
            if kind in ("array", "object") and location != "query":
                raise refused(place, f"{name!r} is an {kind}, which cannot be sent in a {location}")
            if kind in ("date", "date-time") and location == "header":
                raise refused(place, f"{name!r} is a {kind}, which cannot be sent in a header")
            if kind == "null" and location == "path":
                raise refused(place, f"{name!r} may be null, which has no form in a path")
            if kind == "array" and style == "deepObject":
                raise refused(place, f"{name!r} is an array, for which deepObject has no form")
            for part in inner:
                if any(deep in ("array", "object") for deep, _ in self._shapes(part, place)):
                    raise refused(place, f"{name!r} is nested, which has no form in a query")

    def _shapes(self, schema: Schema, place: str) -> Iterable[tuple[str, list[Schema]]]:
        """Yield each type of value that a schema allows, with the schemas of its items or fields."""
        if "$ref" in schema:
            target = self._components["schemas"][schema["$ref"].removeprefix(PREFIX)]
            yield from self._shapes(self._schemas.normal(target, place), place)
            return
        for option in schema.get("anyOf") or schema.get("oneOf") or []:
            yield from self._shapes(option, place)
        types = schema.get("type") or []
        for kind in types if isinstance(types, list) else [types]:
            if kind == "array":
                items = schema.get("items")
                yield kind, [*schema.get("prefixItems", []), *([items] if items else [])]
            elif kind == "object":
                extra = schema.get("additionalProperties")
                extras = [extra] if isinstance(extra, dict) else []
                yield kind, [*(schema.get("properties") or {}).values(), *extras]
            elif kind == "string" and "format" in schema:
                yield schema["format"], []
            else:
                yield kind, []

    # -- bodies and responses -----------------------------------------------------------------

    def _body(self, described: Any, place: str, encoding: dict[str, Any]) -> dict[str, Any]:
        body = self._resolved(described, place)
        content = body.get("content") or {}
        kinds = {media: media_kind(media) for media in content}
        chosen = next((media for media in content if kinds[media] == JSON), None)
        if chosen is None:
            if len(content) != 1:
                listed = ", ".join(content) or "no media type"
                raise refused(
                    f"{place}.content", f"has {listed}; one media type can be sent, or JSON"
                )
            chosen = next(iter(content))
        where = f"{place}.content.{chosen}"
        kind = kinds[chosen]
        is_form = kind in (FORM, MULTIPART)
        schema = self._media_schema(content[chosen], where, "form" if is_form else "request")
        if is_form and self._is_free(schema, where):
            kind = BYTES
        elif is_form:
            encoding.update(self._encoding(kind, schema, content[chosen], where))
            # Not the plain name, which may stand for bytes in another operation.
            chosen = f"{kind}; fields=described"
        elif kind != JSON and not self._is_bytes(schema, where):
            raise refused(where, "describes more than a string; only JSON bodies can be structured")
        if kind == JSON:
            schema = without_binary(schema)
            if not re.fullmatch(r"application/([\w.-]+\+)?json\b.*", chosen):
                chosen = JSON
        elif kind in (BYTES, None, TEXT):
            chosen = BYTES if "*" in chosen else chosen
            self._content_types[chosen] = BYTES
        return {
            "required": bool(body.get("required")),
            "content": {chosen: {"schema": schema}},
        }

    def _media_schema(self, media: Any, place: str, direction: str) -> Schema:
        described = media.get("schema") if isinstance(media, dict) else None
        return self._schemas.normal(
            {} if described is None else described, f"{place}.schema", frozenset({direction})
        )

    def _is_bytes(self, schema: Schema, place: str) -> bool:
        shapes = [kind for kind, _ in self._shapes(schema, place)]
        return all(kind not in ("object", "array", "null") for kind in shapes)

    def _is_free(self, schema: Schema, place: str) -> bool:
        """Return whether a form has no properties; the caller then encodes it and passes bytes."""
        return not any(inner for _, inner in self._shapes(schema, place))

    def _encoding(
        self, kind: str | None, schema: Schema, media: Mapping[str, Any], place: str
    ) -> dict[str, Any]:
        """Return how the fields of a form are encoded, where that is not the usual way."""
        while "$ref" in schema:
            name = schema["$ref"].removeprefix(PREFIX)
            schema = self._schemas.normal(
                self._components["schemas"][name], place, frozenset({"form"})
            )
        if "properties" not in schema:
            raise refused(place, "a form has to be an object with properties, or a free one")
        made: dict[str, Any] = {}
        for name, field in schema["properties"].items():
            described = (media.get("encoding") or {}).get(name) or {}
            where = f"{place}.encoding.{name}"
            if kind == MULTIPART:
                if "contentType" in described:
                    made[self._schemas.names.get(name, name)] = described["contentType"].partition(
                        ","
                    )[0]
                continue
            style = described.get("style", "form")
            explode = bool(described.get("explode", style == "form"))
            shapes = [shape for shape, _ in self._shapes(field, where)]
            if "object" in shapes and "style" not in described:
                style = "json"
            elif style not in STYLES["query"]:
                raise refused(where, f"the style {style} has no form here")
            else:
                self._check_parameter(name, "query", style, field, where)
            if (style, explode) != ("form", True):
                made[self._schemas.names.get(name, name)] = (style, explode)
        return made

    def _responses(
        self, operation: Mapping[str, Any], place: str, *, has_bodies: bool
    ) -> dict[str, Any]:
        """Return the documented successes; error bodies are not parsed."""
        described = operation.get("responses") or {}
        for status in described:
            if not re.fullmatch(r"[1-5](\d\d|XX)|default|x-.*", status):
                raise refused(f"{place}.responses", f"{status!r} is no status")
        successes = {status: described[status] for status in described if status[0] in "23"}
        if not successes:
            # Without a success among them, the default is what a success looks like.
            successes = {"2XX": described.get("default") or {"description": "success"}}
        return {
            status: self._response(response, f"{place}.responses.{status}", has_bodies=has_bodies)
            for status, response in successes.items()
        }

    def _response(self, described: Any, place: str, *, has_bodies: bool) -> dict[str, Any]:
        response = self._resolved(described, place)
        made = {"description": response.get("description") or ""}
        content = response.get("content") or {}
        if not content or not has_bodies:
            return made
        kinds = {media: media_kind(media) for media in content}
        known = (media for media in content if kinds[media] is not None)
        chosen = next(known, next(iter(content)))
        where = f"{place}.content.{chosen}"
        kind = kinds[chosen] or BYTES
        if kind in (FORM, MULTIPART):
            raise refused(where, "a form cannot be read as a response")
        schema = self._media_schema(content[chosen], where, "response")
        if chosen == "*/*" and self._is_bytes(schema, where) and "type" in schema:
            kind = BYTES
        if kind == BYTES and not self._is_bytes(schema, where):
            raise refused(
                where, "describes more than a string; only JSON responses can be structured"
            )
        if kind == BYTES:
            accepted = list(content)
            schema = {"type": "string", "format": "binary"}
        else:
            same = [
                media
                for media in content
                if kinds[media] == kind and content[media] == content[chosen]
            ]
            accepted = same if kind == JSON else [chosen]
            schema = without_binary(schema) if kind == JSON else {"type": "string"}
        return {**made, ACCEPT: ", ".join(accepted), "content": {kind: {"schema": schema}}}


def as_text(schema: Schema) -> Schema:
    """Return the schema of a parameter as the generator allows it outside of queries."""
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            return {**schema, keyword: [as_text(option) for option in schema[keyword]]}
    if isinstance(schema.get("const"), str | int):
        rest = {key: value for key, value in schema.items() if key != "const"}
        kind = "string" if isinstance(schema["const"], str) else "integer"
        return {**rest, "type": kind, "enum": [schema["const"]]}
    return schema if {"type", "$ref"} & set(schema) else {**schema, "type": "string"}


def media_kind(media: str) -> str | None:
    """Return how a body of a media type is handled: as JSON, text, bytes or a form, or None."""
    name = media.partition(";")[0].strip().lower()
    if name in (JSON, "*/*", "application/*") or re.fullmatch(r"application/[\w.-]+\+json", name):
        return JSON
    if name in (FORM, MULTIPART):
        return name
    if name.startswith("text/"):
        return TEXT
    return BYTES if name in (BYTES, "application/x-protobuf") else None


def key_header(scheme: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the header of a security scheme's key, and the prefix of the key in it."""
    match scheme:
        case {"type": "apiKey", "in": "header", "name": str(name)}:
            return name.lower(), ""
        case {"type": "http", "scheme": str(name)} if name.lower() == "bearer":
            return "authorization", "Bearer "
        case {"type": "oauth2" | "openIdConnect"}:
            return "authorization", "Bearer "
    return None
