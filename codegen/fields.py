"""Python expressions for the templates: annotations, readers, writers and docstrings.

A reader is an expression for a function from JSON (see runtime/decode.py), a writer one that turns
a value back into JSON. All of them are one-line strings of Python.
"""

from __future__ import annotations

import itertools
import textwrap
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs
from description import ACCEPT, Operation, Prepared
from openapi_python_client import schema as oai
from openapi_python_client.parser import GeneratorData
from openapi_python_client.parser.openapi import Endpoint
from openapi_python_client.parser.properties import (
    AnyProperty,
    LiteralEnumProperty,
    ModelProperty,
    Property,
)
from openapi_python_client.parser.properties.boolean import BooleanProperty
from openapi_python_client.parser.properties.const import ConstProperty
from openapi_python_client.parser.properties.date import DateProperty
from openapi_python_client.parser.properties.datetime import DateTimeProperty
from openapi_python_client.parser.properties.file import FileProperty
from openapi_python_client.parser.properties.float import FloatProperty
from openapi_python_client.parser.properties.int import IntProperty
from openapi_python_client.parser.properties.list_property import ListProperty
from openapi_python_client.parser.properties.none import NoneProperty
from openapi_python_client.parser.properties.protocol import Value
from openapi_python_client.parser.properties.string import StringProperty
from openapi_python_client.parser.properties.union import UnionProperty
from openapi_python_client.parser.responses import Response
from openapi_python_client.strings import in_double_quote_literal, safe_for_docstring
from schemas import EXPLICIT_NULL, TAGS, refused

# The names that the modules of models and operations use themselves.
CLASS_NAMES = (
    "Any", "Client", "File", "Literal", "Mapping", "Null", "Reader", "Record", "Request", "Response", "Self",
    "TypeAlias",
)  # fmt: skip
METHOD_NAMES = {"to_dict", "from_dict", "additional_properties", *CLASS_NAMES}
ARGUMENT_NAMES = {
    "body", "build_request", "client", "date_time_text", "headers", "params", "parse_response",
    "query_items", "segment",
}  # fmt: skip
ANNOTATIONS: dict[type, str] = {
    AnyProperty: "Any", BooleanProperty: "bool", DateProperty: "datetime.date",
    DateTimeProperty: "datetime.datetime", FileProperty: "File", FloatProperty: "float",
    IntProperty: "int", NoneProperty: "None", StringProperty: "str",
}  # fmt: skip
READERS: dict[type, str] = {
    AnyProperty: "anything", BooleanProperty: "boolean", DateProperty: "date",
    DateTimeProperty: "date_time", FileProperty: "anything", FloatProperty: "number", IntProperty: "integer",
    NoneProperty: "null", StringProperty: "string",
}  # fmt: skip
NUMERIC = (IntProperty, FloatProperty, AnyProperty, NoneProperty)


@attrs.frozen
class Outcome:
    """The documented successes of an operation, and how to read them.

    Attributes:
        source: "json", "bytes" or "str"; empty without a body.
        prop: What a JSON body is.
        annotation: The type of what is read.
        statuses: The statuses with a body, as expressions.
        bodiless: Those without.
        accept: The media types that can be read.
    """

    source: str
    prop: Property | None
    annotation: str
    statuses: tuple[str, ...]
    bodiless: tuple[str, ...]
    accept: str


class Fields:
    """The questions of the templates about a parsed description."""

    def __init__(self, data: GeneratorData, prepared: Prepared) -> None:
        self._models = {str(model.class_info.name): model for model in data.models}
        self._operations = prepared.operations
        self._names = prepared.names
        self.key_header, self.key_prefix = prepared.key_header
        self._rename(data)
        for collection in data.endpoint_collections_by_tag.values():
            for endpoint in collection.endpoints:
                self.outcome(endpoint)  # Refuses what cannot be read, before anything is written.
        self._imported = {
            name: self._imported_models(model) for name, model in self._models.items()
        }

    def names(self) -> dict[str, Any]:
        """Return what the templates can call, by name."""
        return {name: getattr(self, name) for name in dir(self) if not name.startswith("_")}

    # -- names --------------------------------------------------------------------------------

    def _rename(self, data: GeneratorData) -> None:
        """Rename classes and modules that would hide a name which the generated modules use."""
        for model in data.models:
            place = f"components.schemas: the class {model.class_info.name}"
            taken = METHOD_NAMES | {str(m.class_info.name) for m in (*data.models, *data.enums)}
            for prop in self.properties(model):
                if prop.python_name in taken:
                    set_name(prop, f"{prop.python_name}_")
            distinct([p.python_name for p in self.properties(model)], place, "property")
        modules = [c.class_info.module_name for c in (*data.models, *data.enums)]
        distinct(modules, "components.schemas", "module of models")
        for collection in data.endpoint_collections_by_tag.values():
            for endpoint in collection.endpoints:
                for prop in self.parameters(endpoint):
                    if prop.python_name in ARGUMENT_NAMES:
                        old, new = prop.python_name, f"{prop.python_name}_"
                        set_name(prop, new)
                        path = endpoint.path.get_untrusted_value().replace(
                            f"{{{old}}}", f"{{{new}}}"
                        )
                        endpoint.path = oai.UntrustedString(path)
                names = [prop.python_name for prop in self.parameters(endpoint)]
                distinct(names, self.operation(endpoint).place, "parameter")

    def raw(self, name: Any) -> str:
        """Return a name as the description has it."""
        text = (
            str(name.get_untrusted_value()) if hasattr(name, "get_untrusted_value") else str(name)
        )
        return self._names.get(text, text)

    def operation(self, endpoint: Endpoint) -> Operation:
        """Return the details of an operation that the generator does not keep."""
        return self._operations[str(endpoint.name)]

    def parameters(self, endpoint: Endpoint) -> list[Property]:
        """Return all parameters of an operation."""
        return endpoint.path_parameters + endpoint.query_parameters + endpoint.header_parameters

    def properties(self, model: ModelProperty) -> list[Property]:
        """Return all properties of a class, the required ones first."""
        return [*(model.required_properties or []), *(model.optional_properties or [])]

    def reader_names(self, model: ModelProperty) -> dict[str, str]:
        """Return the names of the reader constants, by the Python names of the properties."""
        made: dict[str, str] = {}
        for prop in self.properties(model):
            name = f"_READ_{prop.python_name.upper()}"
            while name in made.values() or name == "_READ_EXTRA":
                name += "_"
            made[prop.python_name] = name
        return made

    # -- kinds --------------------------------------------------------------------------------

    def _model(self, prop: ModelProperty) -> ModelProperty:
        # The copies that stand for a $ref miss the properties.
        return self._models[str(prop.class_info.name)]

    def _map_values(self, prop: Any) -> Property | None:
        """Return the property of a free map's values, or None for other properties."""
        if isinstance(prop, ModelProperty) and not self.properties(self._model(prop)):
            return self._model(prop).additional_properties
        return None

    def is_map(self, prop: Any) -> bool:
        """Return whether this is an object without properties of its own."""
        return self._map_values(prop) is not None

    def _is_class(self, prop: Any) -> bool:
        return isinstance(prop, ModelProperty) and not self.is_map(prop)

    def is_numeric(self, prop: Any) -> bool:
        """Return whether values may stay unread: numbers, anything, and arrays of these, nullable or not."""
        if isinstance(prop, ListProperty):
            return self.is_numeric(prop.inner_property)
        if isinstance(prop, UnionProperty):
            return all(map(self.is_numeric, prop.inner_properties))
        return isinstance(prop, NUMERIC)

    def is_plain(self, prop: Any) -> bool:
        """Return whether values are their own JSON form."""
        if isinstance(prop, ListProperty):
            return self.is_plain(prop.inner_property)
        if isinstance(prop, UnionProperty):
            return all(map(self.is_plain, prop.inner_properties))
        if isinstance(prop, ModelProperty):
            values = self._map_values(prop)
            return values is not None and self.is_plain(values)
        return not isinstance(prop, DateTimeProperty | DateProperty)

    def _schema(self, model: ModelProperty, prop: Any) -> Any:
        return (model.data.properties or {}).get(prop.name)

    def is_secret(self, model: ModelProperty, prop: Any) -> bool:
        """Return whether repr must not show this: a string of the format password."""
        return getattr(self._schema(model, prop), "schema_format", None) == "password"

    def tells_null(self, model: ModelProperty, prop: Any) -> bool:
        """Return whether an explicit null differs from a missing key."""
        extra = getattr(self._schema(model, prop), "model_extra", None) or {}
        return (
            extra.get(EXPLICIT_NULL) is True
            and not prop.required
            and not isinstance(prop, ConstProperty)
        )

    def has_explicit_null(self, model: ModelProperty) -> bool:
        """Return whether any property distinguishes an explicit null from a missing key."""
        return any(self.tells_null(model, prop) for prop in self.properties(model))

    def is_constant(self, prop: Any) -> bool:
        """Return whether a property has only one value, which need not be given."""
        return isinstance(prop, ConstProperty) and (prop.required or prop.default is not None)

    def is_always_written(self, prop: Any) -> bool:
        """Return whether the key is written for every object."""
        return bool(prop.required) or self.is_constant(prop)

    # -- imports ------------------------------------------------------------------------------

    def imports(self, prop: Any, prefix: str) -> list[str]:
        """Return the import lines that annotations and readers need."""
        if isinstance(prop, ListProperty):
            return self.imports(prop.inner_property, prefix)
        if isinstance(prop, UnionProperty):
            return [line for inner in prop.inner_properties for line in self.imports(inner, prefix)]
        values = self._map_values(prop)
        if values is not None:
            return self.imports(values, prefix)
        if isinstance(prop, ModelProperty | LiteralEnumProperty):
            return [f"from {prefix}{prop.class_info.module_name} import {prop.class_info.name}"]
        if isinstance(prop, FileProperty):
            return ["from ..forms import File"]
        return []

    def model_imports(self, model: ModelProperty, *, late: bool) -> list[str]:
        """Return the import lines of a class; the late ones come after it, for they import it too."""
        own = f" import {model.class_info.name}"
        lines = dict.fromkeys(
            line
            for prop in [*self.properties(model), *self._extras(model)]
            for line in self.imports(prop, ".")
            if not line.endswith(own)
        )
        return [line for line in lines if self._leads_back(line.split()[-1], model) == late]

    def _extras(self, model: ModelProperty) -> list[Any]:
        extra = self.extra(model) if self.properties(model) else model.additional_properties
        return [extra] if extra else []

    def extra(self, model: ModelProperty) -> Property | None:
        """Return the property of additional keys, or None if unknown keys are ignored."""
        return model.additional_properties if model.data.additionalProperties is not None else None

    def _imported_models(self, model: ModelProperty) -> set[str]:
        if self.is_map(model):
            return set()
        lines = (
            line
            for p in [*self.properties(model), *self._extras(model)]
            for line in self.imports(p, ".")
        )
        return {line.split()[-1] for line in lines}

    def _leads_back(self, name: str, model: ModelProperty) -> bool:
        own = str(model.class_info.name)
        seen: set[str] = set()
        pending = [name]
        while pending:
            at = pending.pop()
            if at not in seen and at in self._imported:
                seen.add(at)
                pending += self._imported[at]
        return own in seen and not self.is_map(model)

    # -- types and readers --------------------------------------------------------------------

    def annotation(self, prop: Any) -> str:
        """Return the annotation, without the None of an optional field."""
        if isinstance(prop, ListProperty):
            return f"list[{self.annotation(prop.inner_property)}]"
        if isinstance(prop, UnionProperty):
            members = dict.fromkeys(self.annotation(inner) for inner in prop.inner_properties)
            last = ["None"] if "None" in members else []
            return " | ".join([*(m for m in members if m != "None"), *last])
        values = self._map_values(prop)
        if values is not None:
            return f"dict[str, {self.annotation(values)}]"
        if isinstance(prop, ModelProperty | LiteralEnumProperty):
            return str(prop.class_info.name)
        if isinstance(prop, ConstProperty):
            value = prop.value.raw_value
            if isinstance(value, bool | float):  # There is no literal type of a float.
                return type(value).__name__
            return f"Literal[{self.literal(prop.value)}]"
        return ANNOTATIONS[type(prop)]

    def reader(self, prop: Any) -> str:
        """Return an expression for the reader of the JSON form."""
        if isinstance(prop, ListProperty):
            return (
                "array" if self.is_numeric(prop) else f"list_of({self.reader(prop.inner_property)})"
            )
        if isinstance(prop, UnionProperty):
            return self._union_reader(prop)
        values = self._map_values(prop)
        if values is not None:
            inner = self.reader(values)
            return "mapping" if inner == "anything" else f"dict_of({inner})"
        if isinstance(prop, ModelProperty):
            return f"{prop.class_info.name}.from_dict"
        if isinstance(prop, ConstProperty):
            return f"only({self.literal(prop.value)})"
        if isinstance(prop, LiteralEnumProperty):
            return "enum" if prop.value_type is str else "int_enum"
        return READERS[type(prop)]

    def _union_reader(self, prop: UnionProperty) -> str:
        members = [inner for inner in prop.inner_properties if not isinstance(inner, NoneProperty)]
        null = len(members) < len(prop.inner_properties)
        read = self._members_reader(members)
        return f"nullable({read})" if null and read != "anything" else read

    def _members_reader(self, members: Sequence[Any]) -> str:
        if len(members) == 1:
            return self.reader(members[0])
        objects = [inner for inner in self._most_specific_first(members) if self._is_class(inner)]
        tag = self._shared_tag(objects) if len(objects) > 1 else None
        if tag is not None and len(objects) == len(members):
            return self._tagged_reader(objects, tag)
        readers = []
        lists = [inner for inner in members if isinstance(inner, ListProperty)]
        maps = [inner for inner in members if self.is_map(inner)]
        if tag is not None and all(self._declared_tags(inner) for inner in objects):
            read = self._tagged_reader(objects, tag)
            readers.append(f"fitting({read}, keys=({quoted(tag)},))" if maps else read)
            objects = []
        # A date is a date-time too, for Python; and a free map takes every object.
        ordered = sorted(
            members,
            key=lambda inner: (
                ("datetime.datetime" in self.annotation(inner)) + 2 * self.is_map(inner)
            ),
        )
        for inner in self._most_specific_first(ordered):
            read = self.reader(inner)
            if inner in objects:
                # Only the last one of all takes an object that shows no key of its own.
                is_last = not maps and inner is objects[-1]
                readers.append(self._fitting_reader(inner, last=is_last))
            elif inner in lists and len(lists) > 1 and read.count("(") > 1:
                # Between several lists, a type checker does not find out what this one is of.
                readers.append(f'cast("Reader[{self.annotation(inner)}]", {read})')
            elif not self._is_class(inner):
                readers.append(f"undecided({read})" if inner in maps and len(maps) > 1 else read)
        readers = list(dict.fromkeys(readers))
        return readers[0] if len(readers) == 1 else f"one_of({', '.join(readers)})"

    def _most_specific_first(self, members: Sequence[Any]) -> list[Any]:
        """Move an object before those with fewer of its required keys, unless a constant separates them."""

        def takes(wider: Any, narrower: Any) -> bool:
            first, second = self._model(wider), self._model(narrower)
            mine, theirs = (
                {self.raw(p.name) for p in m.required_properties or []} for m in (first, second)
            )
            values, others = self._constants(first), self._constants(second)
            return mine < theirs and all(values[k] == others[k] for k in values if k in others)

        made: list[Any] = []
        for inner in members:
            places = range(len(made)) if self._is_class(inner) else ()
            earlier = (n for n in places if self._is_class(made[n]) and takes(made[n], inner))
            made.insert(next(earlier, len(made)), inner)
        return made

    def _constants(self, model: ModelProperty) -> dict[str, str]:
        found = [prop for prop in self.properties(model) if isinstance(prop, ConstProperty)]
        return {self.raw(prop.name): self.literal(prop.value) for prop in found}

    def _declared_tags(self, member: Any) -> dict[str, list[Any]]:
        extra = self._model(member).data.model_extra or {}
        found: dict[str, list[Any]] = extra.get(TAGS) or {}
        return found

    def _tag_values(self, member: Any, name: str) -> list[Any]:
        """Return the values of a property that stand for one member of a union."""
        declared = self._declared_tags(member).get(name)
        if declared:
            return declared
        for prop in self.properties(self._model(member)):
            if self.raw(prop.name) == name and isinstance(prop, ConstProperty):
                return [prop.value.raw_value]
            if self.raw(prop.name) == name and isinstance(prop, LiteralEnumProperty):
                return sorted(prop.values)
        return []

    def _shared_tag(self, members: Sequence[Any]) -> str | None:
        """Return the property that has other values in every member."""
        model = self._model(members[0])
        for name in [
            *self._declared_tags(model),
            *(self.raw(p.name) for p in self._in_order(model)),
        ]:
            values = [self._tag_values(member, name) for member in members]
            listed = [value for found in values for value in found]
            if all(values) and len(set(listed)) == len(listed):
                return name
        return None

    def _in_order(self, model: ModelProperty) -> list[Property]:
        order = [self.raw(name) for name in model.data.properties or {}]
        known = {self.raw(prop.name): prop for prop in self.properties(model)}
        return [known[name] for name in order if name in known]

    def _tagged_reader(self, members: Sequence[Any], tag: str) -> str:
        cases, untagged = [], []
        for member in members:
            model = self._model(member)
            read = f"{member.class_info.name}.from_dict"
            cases += [f"{quoted(value)}: {read}" for value in self._tag_values(member, tag)]
            if any(self.raw(prop.name) == tag for prop in model.optional_properties or []):
                untagged.append(f"({self.keys(model.required_properties or [])}, {read})")
        parts = [quoted(tag), "{" + ", ".join(cases) + "}", *untagged]
        return f"tagged({', '.join(parts)})"

    def _fitting_reader(self, member: Any, *, last: bool) -> str:
        """Members without required keys must have some key of theirs; only the last accepts any object."""
        model = self._model(member)
        parts = [f"{member.class_info.name}.from_dict"]
        if model.required_properties:
            parts.append(f"keys={self.keys(model.required_properties)}")
        elif not last:
            parts.append(f"any_of={self.keys(model.optional_properties or [])}")
        constants = [f"{quoted(key)}: {value}" for key, value in self._constants(model).items()]
        if constants:
            parts.append(f"constants={{{', '.join(constants)}}}")
        return f"fitting({', '.join(parts)})"

    def keys(self, properties: Iterable[Any]) -> str:
        """Return the keys of properties as a tuple."""
        return f"({''.join(f'{quoted(self.raw(prop.name))}, ' for prop in properties)})"

    # -- writers ------------------------------------------------------------------------------

    def written(self, prop: Any, source: str, *, not_none: bool = False, depth: int = 0) -> str:
        """Return an expression for the JSON form; with not_none the value is known not to be None."""
        item = f"item{depth or ''}"
        if self.is_plain(prop):
            return source
        if isinstance(prop, DateTimeProperty):
            return f"date_time_text({source})"
        if isinstance(prop, DateProperty):
            return f"{source}.isoformat()"
        if isinstance(prop, ListProperty):
            return f"[{self.written(prop.inner_property, item, depth=depth + 1)} for {item} in {source}]"
        if isinstance(prop, UnionProperty):
            return self._written_union(
                prop.inner_properties, source, not_none=not_none, depth=depth
            )
        values = self._map_values(prop)
        if values is not None:
            value = self.written(values, item, depth=depth + 1)
            return f"{{key: {value} for key, {item} in {source}.items()}}"
        return f"{source}.to_dict()"

    def _written_union(
        self, members: Iterable[Any], source: str, *, not_none: bool, depth: int
    ) -> str:
        null = plain = False
        models: list[str] = []
        lists: list[Any] = []
        maps: list[Any] = []
        cases: list[tuple[str, str]] = []
        flat: list[Any] = [
            inner
            for member in members
            for inner in (
                member.inner_properties if isinstance(member, UnionProperty) else [member]
            )
        ]
        kinds = {type(inner) for inner in flat}
        for inner in flat:
            if isinstance(inner, NoneProperty):
                null = not not_none
            elif isinstance(inner, ListProperty):
                lists.append(inner.inner_property)
            elif self.is_map(inner):
                maps.append(self._map_values(inner))
            elif self.is_plain(inner):
                plain = True
            elif self._is_class(inner):
                models.append(str(inner.class_info.name))
            else:
                both = {DateProperty, DateTimeProperty} <= kinds
                is_time = both and isinstance(inner, DateTimeProperty)
                test = "datetime.datetime" if is_time else "datetime.date"
                cases.append((test, self.written(inner, source, depth=depth)))
        item = f"item{depth or ''}"
        for test, values in (("dict", maps), ("list", lists)):
            if all(map(self.is_plain, values)):
                plain = plain or bool(values)
                continue
            value = self._written_union(values, item, not_none=False, depth=depth + 1)
            pairs = f"{{key: {value} for key, {item} in {source}.items()}}"
            cases.append((test, pairs if test == "dict" else f"[{value} for {item} in {source}]"))
        if models:
            test = models[0] if len(models) == 1 else f"({', '.join(models)})"
            cases.append((test, f"{source}.to_dict()"))
        # A date-time is a date too.
        cases.sort(
            key=lambda case: case[0] == "datetime.date" and "datetime.datetime" in dict(cases)
        )
        last = source if plain else cases.pop()[1]
        tests = "".join(
            f"{written} if isinstance({source}, {test}) else " for test, written in cases
        )
        expression = f"{f'None if {source} is None else ' if null else ''}{tests}{last}"
        return f"({expression})" if null or tests else expression

    def literal(self, value: Value) -> str:
        """Return a constant or default as Python."""
        code = value.python_code.as_unembedded_code()
        # The generator's own code for strings doubles their backslashes.
        return repr(value.raw_value) if code[0] in "\"'" else code

    # -- requests -----------------------------------------------------------------------------

    def is_laid_out(self, prop: Any) -> bool:
        """Return whether a query parameter can have more than one value."""
        if isinstance(prop, UnionProperty):
            return any(map(self.is_laid_out, prop.inner_properties))
        return isinstance(prop, ListProperty | ModelProperty)

    def query_items(self, endpoint: Endpoint, prop: Any) -> str:
        """Return the call that lays out a query parameter in its style."""
        style, explode = self.operation(endpoint).styles[self.raw(prop.name)]
        parts = [quoted(self.raw(prop.name)), self.written(prop, prop.python_name, not_none=True)]
        if style != "form":
            parts.append(f"style={quoted(style)}")
        if not explode:
            parts.append("explode=False")
        return f"query_items({', '.join(parts)})"

    def form(self, endpoint: Endpoint) -> str:
        """Return the call that encodes a form, but for its last bracket's content type."""
        body = endpoint.bodies[0]
        name = "urlencoded" if body.body_type == "data" else "multipart"
        encoding = ", ".join(
            f"{quoted(k)}: {v!r}" for k, v in self.operation(endpoint).encoding.items()
        )
        return f"{name}({self.written(body.prop, 'body')}, {{{encoding}}})"

    def text(self, prop: Any, *, segment: bool = False) -> str:
        """Return an expression for a scalar's text in a header or a path."""
        name = str(prop.python_name)
        inner = prop.inner_properties if isinstance(prop, UnionProperty) else [prop]
        if any(isinstance(i, BooleanProperty) for i in inner):
            yes = f"('true' if {name} else 'false')"
            return (
                yes if len(inner) == 1 else f"({yes} if isinstance({name}, bool) else str({name}))"
            )
        if not self.is_plain(prop):
            return self.written(prop, name, not_none=True)
        whole = all(
            isinstance(i, StringProperty | IntProperty | LiteralEnumProperty) for i in inner
        )
        return name if segment and whole else f"str({name})"

    # -- responses ----------------------------------------------------------------------------

    def outcome(self, endpoint: Endpoint) -> Outcome:
        """Return how the documented successes are read."""
        found: Response | None = None
        source = annotation = ""
        statuses: list[str] = []
        bodiless: list[str] = []
        single = {
            r.status_code.range[0]
            for r in endpoint.responses.patterns
            if r.status_code.range and r.status_code.range[0] == r.status_code.range[1]
        }
        for response in endpoint.responses.patterns:
            span = status_expressions(response.status_code.range or (200, 299), single)
            kind = {"None": "", "Any": "json"}.get(
                response.source["return_type"], response.source["return_type"]
            )
            if not kind:
                bodiless += span
                continue
            read = self.annotation(response.prop) if kind == "json" else kind
            if found is not None and (kind, read) != (source, annotation):
                place = f"{self.operation(endpoint).place}.responses"
                first, second = found.status_code.pattern, response.status_code.pattern
                raise refused(
                    place,
                    f"{first} returns {annotation} and {second} returns {read}; all successes need the same type",
                )
            found, source, annotation = found or response, kind, read
            statuses += span
        if found is None:
            return Outcome("", None, "None", (), tuple(bodiless), "")
        extra = getattr(found.data, "model_extra", None) or {}
        prop = found.prop if source == "json" else None
        return Outcome(source, prop, annotation, tuple(statuses), tuple(bodiless), extra[ACCEPT])

    # -- docs ---------------------------------------------------------------------------------

    def about(self, model: ModelProperty, prop: Any) -> str:
        """Return the description of a field for the docstring of its class."""
        # The copy of a referenced class has lost the property's own description.
        own = getattr(self._schema(model, prop), "description", None)
        return brief(own) if own else self.summary(prop)

    def summary(self, prop: Any) -> str:
        """Return a field's own description, else the first sentence about its class."""
        if isinstance(prop, ModelProperty | LiteralEnumProperty):
            return brief(prop.description, 0)
        if prop.description:
            return brief(prop.description)
        if isinstance(prop, UnionProperty):
            models = [inner for inner in prop.inner_properties if inner.description]
            return brief(models[0].description, 0) if len(models) == 1 else ""
        return ""


def quoted(value: Any) -> str:
    """Return a string or number of the description as Python."""
    return f'"{in_double_quote_literal(value)}"' if isinstance(value, str) else repr(value)


def set_name(prop: Any, name: str) -> None:
    """Set a property's Python name."""
    object.__setattr__(prop, "python_name", name)


def distinct(names: Iterable[str], place: str, kind: str) -> None:
    """Refuse two names that map to the same Python name."""
    seen = set()
    for name in names:
        if unicodedata.normalize("NFKC", name) in seen:
            raise refused(place, f"two names map to the {kind} {name}; rename one")
        seen.add(unicodedata.normalize("NFKC", name))


def status_expressions(span: tuple[int, int], single: set[int]) -> list[str]:
    """Return the items of a tuple of statuses; a range leaves out what stands alone."""
    low, high = span
    if low == high:
        return [str(low)]
    edges = [low - 1, *sorted(status for status in single if low <= status <= high), high + 1]
    pairs = itertools.pairwise(edges)
    return [f"*range({first + 1}, {last})" for first, last in pairs if first + 1 < last]


def described(text: Any) -> str:
    """Return a description on one line."""
    return safe_for_docstring(text or "").replace("\n", " ").strip()


def wrapped(text: str, width: int) -> str:
    """Break lines at blanks."""
    return "\n".join(
        "\n".join(
            textwrap.wrap(
                line, width, expand_tabs=False, replace_whitespace=False,
                break_long_words=False, break_on_hyphens=False,
            )
        )
        for line in text.splitlines()
    )  # fmt: skip


def prose(text: Any, width: int) -> str:
    """Return a description with its paragraphs, wrapped."""
    return wrapped(safe_for_docstring(text or "").strip(), width)


def brief(text: Any, at_most: int = 200) -> str:
    """Return the first sentence, and those after it that fit."""
    kept = ""
    for sentence in described(text).split(". "):
        longer = f"{kept}. {sentence}" if kept else sentence
        if kept and len(longer) > at_most:
            break
        kept = longer
    return kept + ("" if not kept or kept[-1] in ".:!?" else ".")


def docstring(text: str, section: str = "", entries: Iterable[tuple[str, str]] = ()) -> str:
    """Return a docstring of a first paragraph and one section of named entries."""
    lines = [
        "    " + wrapped(f"{name}: {about}", 88).replace("\n", "\n        ")
        for name, about in entries
        if about
    ]
    if lines:
        return "\n".join([f'"""{text}', "", f"{section}:", *lines, '"""'])
    return f'"""{text}\n"""' if text.endswith('"') else f'"""{text}"""'


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "brief": brief,
    "described": described,
    "docstring": docstring,
    "prose": prose,
    "quoted": quoted,
}
