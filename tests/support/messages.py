"""The API's protobuf messages as the official `protobuf` package has them, made from openapi.yaml."""

from __future__ import annotations

import functools
import json
import re
from importlib import resources
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "tinker_public"
_KINDS = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "bool": _KINDS.TYPE_BOOL,
    "bytes": _KINDS.TYPE_BYTES,
    "double": _KINDS.TYPE_DOUBLE,
    "int32": _KINDS.TYPE_INT32,
    "int64": _KINDS.TYPE_INT64,
    "string": _KINDS.TYPE_STRING,
    "uint32": _KINDS.TYPE_UINT32,
}
_ENUMS = {"DType", "StopReason"}


def message(name: str, **fields: Any) -> Any:
    """Return a message of the official package."""
    return _classes()[f"{PACKAGE}.{name}"](**fields)


def fill_map(field: Any, values: dict[str, Any]) -> None:
    """Put messages into a map field, which takes no assignment."""
    for name, value in values.items():
        field[name].CopyFrom(value)


@functools.cache
def _classes() -> dict[str, Any]:
    spec = json.loads(resources.files("tinkex_generated").joinpath("openapi.json").read_text())
    texts = [
        spec["paths"][path]["post"]["x-tinkex-protobuf"]
        for path in ("/forward_backward", "/retrieve_future")
    ]
    file = descriptor_pb2.FileDescriptorProto(
        name="tinker_public.proto", package=PACKAGE, syntax="proto3"
    )
    for name, text in _definitions("\n".join(texts)):
        if name in _ENUMS:
            enum = file.enum_type.add(name=name)
            for number, value in re.findall(r"(\d+) (\w+)", text):
                enum.value.add(name=value, number=int(number))
        else:
            _describe(file.message_type.add(name=name), text)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return dict(message_factory.GetMessageClassesForFiles([file.name], pool))


def _definitions(text: str) -> list[tuple[str, str]]:
    """Return the name and the fields of each message; a line that is indented goes on the last."""
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        if line.startswith(" "):
            name, before = found.pop()
            found.append((name, f"{before} {line.strip()}"))
        elif line and not line.startswith("//"):
            name, fields = line.split(None, 1)
            found.append((name, fields))
    return found


def _describe(target: Any, text: str) -> None:
    text = re.sub(r" \([^)]*\)", "", text)
    oneof, text = (text[len("oneof:") :], "") if text.startswith("oneof:") else ("", text)
    oneof, _, rest = oneof.partition(";")
    if oneof:
        target.oneof_decl.add(name="value")
    for part, index in [(oneof, 0), (text or rest, None)]:
        # The comma inside of a map's type is not the one between fields.
        for field in filter(None, re.sub(r"<(\w+), ", r"<\1;", part).split(",")):
            number, *words = field.split()
            labels = {"optional", "repeated"} & set(words)
            name, kind = (word for word in words if word not in labels)
            _add_field(target, int(number), name, kind, labels, index)
    # Optional fields are one-member oneofs, which must stand behind the real ones.
    for field in target.field:
        if field.proto3_optional:
            field.oneof_index = len(target.oneof_decl)
            target.oneof_decl.add(name=f"_{field.name}")


def _add_field(
    target: Any, number: int, name: str, kind: str, labels: set[str], oneof: int | None = None
) -> None:
    field = target.field.add(name=name, number=number, label=_KINDS.LABEL_OPTIONAL)
    if oneof is not None:
        field.oneof_index = oneof
    if found := re.fullmatch(r"map<(\w+);(\w+)>", kind):
        entry = target.nested_type.add(name="".join(map(str.title, name.split("_"))) + "Entry")
        entry.options.map_entry = True
        _add_field(entry, 1, "key", found[1], set())
        _add_field(entry, 2, "value", found[2], set())
        field.label = _KINDS.LABEL_REPEATED
        field.type = _KINDS.TYPE_MESSAGE
        field.type_name = f".{PACKAGE}.{target.name}.{entry.name}"
        return
    if "repeated" in labels:
        field.label = _KINDS.LABEL_REPEATED
    field.proto3_optional = "optional" in labels
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = _KINDS.TYPE_ENUM if kind in _ENUMS else _KINDS.TYPE_MESSAGE
        field.type_name = f".{PACKAGE}.{kind}"
