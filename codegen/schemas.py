"""Normalization of schemas into the few forms that the generator supports; errors name the location.

OpenAPI can express the same schema in many ways, and openapi-python-client silently ignores some of
them. Each schema is therefore rewritten: `nullable` becomes a union with null, `allOf` is merged,
enumerations of several types are split, aliases are resolved, and keywords that only validate are
dropped. A schema that cannot be expressed is refused.
"""

from __future__ import annotations

import datetime as dt
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias
from urllib.parse import unquote

Schema: TypeAlias = dict[str, Any]
Directions: TypeAlias = frozenset[str]

# Ends a name that is not the one in JSON. The generator drops it from names for Python.
MARK = "\u2063"
PREFIX = "#/components/schemas/"
EXPLICIT_NULL = "x-tinkex-explicit-null"
TAGS = "x-tinkex-tags"
TYPES = {"string", "integer", "number", "boolean", "object", "array", "null"}
FORMATS = {"date", "date-time", "password", "binary"}
ANNOTATIONS = ("description", "default", EXPLICIT_NULL)
# The keywords that define the type; all others only validate or document.
STRUCTURE = {
    "$ref", "type", "format", "enum", "const", "properties", "patternProperties", "required",
    "additionalProperties", "items", "prefixItems", "allOf", "anyOf", "oneOf",
}  # fmt: skip
TYPED = {"$ref", "type", "allOf", "anyOf", "oneOf"}
UNREADABLE = ("$dynamicRef", "$recursiveRef")
NULL = {"type": "null"}


class GenerationError(Exception):
    """The client cannot be generated; the message says what to do."""


def refused(place: str, problem: str) -> GenerationError:
    """Return the error for a place in the description."""
    return GenerationError(f"{place}: {problem}")


def references(node: Any) -> Iterator[str]:
    """Yield every `$ref` in a part of the description, those in examples left out."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str):
                yield value
            elif key not in ("example", "examples"):
                yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


class Schemas:
    """The schemas under `components`, and the way to bring any schema into form."""

    def __init__(self, components: Mapping[str, Any]) -> None:
        self._raw = components
        # Names for Python of properties that would be one there, with those that JSON has.
        self.names: dict[str, str] = {}
        # Unions with a discriminator, base classes with one, and who is referred to: for the end.
        self._unions: list[tuple[str, Mapping[str, Any], list[Schema]]] = []
        self._bases: dict[str, str] = {}
        self._referenced: set[str] = set()

    def reachable(self, roots: Iterable[str]) -> set[str]:
        """Return the names of all schemas that these references lead to."""
        found: set[str] = set()
        pending = [ref for ref in roots if ref.startswith(PREFIX)]
        while pending:
            name = unquote(pending.pop().removeprefix(PREFIX))
            if name not in found:
                found.add(name)
                pending += [r for r in references(self._raw.get(name)) if r.startswith(PREFIX)]
        return found

    def components(self, **used: set[str]) -> dict[str, Schema]:
        """Return all components in form; the arguments name those in each direction."""
        made = {}
        for name, schema in self._raw.items():
            directions = [direction for direction, names in used.items() if name in names]
            place = f"components.schemas.{name}"
            if isinstance(schema, dict) and set(schema) & STRUCTURE == {"$ref"}:
                self.resolved_name(schema["$ref"], place)
                continue
            made[name] = self.normal(self._written_out(schema, place), place, frozenset(directions))
            if "$ref" in made[name]:
                made[name] = {"anyOf": [made[name]]}
            if (
                isinstance(schema, dict)
                and "discriminator" in schema
                and "properties" in made[name]
            ):
                self._bases[name] = place
        return made

    def finish(self, made: dict[str, Schema]) -> None:
        """Check references between schemas, and tag the members of unions."""
        self._refuse_base_classes()
        for name in made:
            self._refuse_cycle(name, made, ())
        members = [
            (place, discriminator, self._members(place, options, made))
            for place, discriminator, options in self._unions
        ]
        for place, discriminator, names in members:
            self._tag(place, discriminator, names, made)
        for place, discriminator, names in members:
            tag, seen = discriminator["propertyName"], dict[Any, str]()
            for name in names:
                for value in made[name][TAGS][tag]:
                    if seen.setdefault(value, name) != name:
                        raise refused(
                            place, f"{tag} {value!r} selects both {seen[value]} and {name}"
                        )

    # -- references ---------------------------------------------------------------------------

    def resolved_name(self, reference: Any, place: str) -> str:
        """Return the name of the schema that a reference means, through references to references."""
        seen: list[str] = []
        while True:
            if not isinstance(reference, str) or not reference.startswith(PREFIX):
                raise refused(place, f"refers to {reference!r}; only {PREFIX}... is supported")
            name = unquote(reference.removeprefix(PREFIX)).replace("~1", "/").replace("~0", "~")
            if name not in self._raw:
                raise refused(place, f"refers to {reference!r}, which does not exist")
            if name in seen:
                raise refused(place, f"refers to {name}, which only refers to itself")
            seen.append(name)
            target = self._raw[name]
            if not isinstance(target, dict) or set(target) & STRUCTURE != {"$ref"}:
                return name
            reference = target["$ref"]

    # -- one schema ---------------------------------------------------------------------------

    def normal(self, schema: Any, place: str, directions: Directions = frozenset()) -> Schema:
        """Return a schema in form; `directions`: "request", "response", "form", or several."""
        if schema is True:
            return {}
        if not isinstance(schema, dict):
            raise refused(place, f"is {schema!r}, which is no schema or allows no value")
        for keyword in UNREADABLE:
            if keyword in schema:
                raise refused(place, f"{keyword} is not supported; write the schema out")
        annotations = {key: schema[key] for key in ANNOTATIONS if schema.get(key) is not None}
        body = {key: schema[key] for key in schema if key in STRUCTURE or key == "discriminator"}
        made = self._body(body, place, directions)
        if schema.get("nullable") is True:
            made = with_null(made)
        return self._annotated(made, annotations, place)

    def _annotated(self, made: Schema, annotations: Schema, place: str) -> Schema:
        if "default" in annotations:
            annotations["default"] = self._default(annotations["default"], made, place)
            if annotations["default"] is None:
                del annotations["default"]
        if annotations and "$ref" in made:
            # The generator drops what stands beside a reference; beside a union of one it stays.
            made = {"anyOf": [made]}
        return {**made, **annotations}

    def _body(self, schema: Schema, place: str, directions: Directions) -> Schema:
        if "$ref" in schema and len(schema) > 1:
            reference = schema.pop("$ref")
            schema = {"allOf": [{"$ref": reference}, schema]}
        if "allOf" in schema:
            schema = self._without_all_of(schema, place)
        if "$ref" in schema:
            name = self.resolved_name(schema["$ref"], place)
            self._referenced.add(name)
            return {"$ref": PREFIX + name}
        options = self._options(schema, place)
        if options is not None:
            return self._union(schema, options, place, directions)
        types = self._types(schema, place)
        if "const" in schema:
            return self._constant(schema["const"], types, place)
        if "enum" in schema:
            return self._enumeration(schema["enum"], types, place)
        made: Schema = {"type": types[0] if len(types) == 1 else types} if types else {}
        if "object" in types:
            made.update(self._object(schema, place, directions))
        if "array" in types:
            made.update(self._array(schema, place, directions))
        if "string" in types and schema.get("format") in FORMATS:
            made["format"] = schema["format"]
        return made

    def _types(self, schema: Schema, place: str) -> list[str]:
        types = schema.get("type")
        if types is None:
            if "enum" in schema or "const" in schema:
                return []
            if {"properties", "patternProperties", "additionalProperties"} & set(schema):
                return ["object"]
            return ["array"] if {"items", "prefixItems"} & set(schema) else []
        types = types if isinstance(types, list) else [types]
        for name in types:
            if name not in TYPES:
                raise refused(
                    place, f"{name!r} is no type; the types are {', '.join(sorted(TYPES))}"
                )
        return list(dict.fromkeys(types))

    def _object(self, schema: Schema, place: str, directions: Directions) -> Schema:
        described = schema.get("properties") or {}
        required = list(dict.fromkeys(schema.get("required") or []))
        properties = {}
        for name, child in described.items():
            where = f"{place}.properties.{name}"
            made_child = self.normal(child, where, directions)
            if directions != {"form"}:
                if "form" in directions and without_binary(made_child) != made_child:
                    raise refused(
                        where, "is a file in a form, but the same object is also used as JSON"
                    )
                made_child = without_binary(made_child)
            properties[name] = made_child
            # `required` applies to the one direction that such a property is used in.
            hidden = [("readOnly", "request"), ("readOnly", "form"), ("writeOnly", "response")]
            if isinstance(child, dict) and any(child.get(k) and d in directions for k, d in hidden):
                required = [other for other in required if other != name]
        if properties or "additionalProperties" not in schema:
            properties.update({name: {} for name in required if name not in properties})
        given = self._distinct_names(properties, place)
        made: Schema = {"properties": {given[k]: v for k, v in properties.items()}} if given else {}
        if required and properties:
            made["required"] = [given[name] for name in required]
        extra = schema.get("additionalProperties")
        patterns = list((schema.get("patternProperties") or {}).values())
        if extra in (None, False) and patterns:
            extra = patterns[0] if len(patterns) == 1 else True
        if isinstance(extra, dict):
            extra = self.normal(extra, f"{place}.additionalProperties", directions)
            extra = without_binary(extra) or True
        if extra is not None:
            made["additionalProperties"] = extra
        return made

    def _distinct_names(self, names: Iterable[str], place: str) -> dict[str, str]:
        """Return names that stay distinct as Python identifiers; `+1` and `-1` are spelled out."""
        from openapi_python_client.strings import PythonIdentifier

        def forms(name: str) -> tuple[str, str]:
            # The generator takes the second one where two first ones are the same.
            return PythonIdentifier(name, "field_"), PythonIdentifier(
                name, "field_", skip_snake_case=True
            )

        given = {name: name for name in names}
        counts = Counter(map(forms, given))
        for name in [name for name in given if counts[forms(name)] > 1]:
            given[name] = spelled(name) + MARK
            self.names[given[name]] = name
        if len(set(map(forms, given.values()))) < len(given):
            raise refused(place, "has properties that map to the same Python name; rename one")
        return given

    def _array(self, schema: Schema, place: str, directions: Directions) -> Schema:
        first = [
            without_binary(self.normal(item, f"{place}.prefixItems[{number}]", directions))
            for number, item in enumerate(schema.get("prefixItems") or [])
        ]
        items = schema.get("items")
        if items is None or items is False:
            return {"prefixItems": first} if first and {} not in first else {"items": {}}
        rest = self.normal(items, f"{place}.items", directions)
        if directions != {"form"}:
            rest = without_binary(rest)
        if {} in first:
            return {"items": {}}
        return {"prefixItems": first, "items": rest} if first else {"items": rest}

    # -- constants and enumerations -----------------------------------------------------------

    def _constant(self, value: Any, types: list[str], place: str) -> Schema:
        if value is None:
            return dict(NULL)
        if not isinstance(value, str | int | float):
            raise refused(place, "the const is no string, number or boolean")
        self._check_type(value, types, place)
        # Without a type beside it: the generator overlooks a constant of the type boolean.
        made: Schema = {"const": value}
        return with_null(made) if "null" in types else made

    def _enumeration(self, values: Any, types: list[str], place: str) -> Schema:
        if not isinstance(values, list) or not values:
            raise refused(place, "the enum is no list of values")
        groups: dict[str, list[Any]] = {}
        for value in values:
            kind = kind_of(value)
            if kind in ("array", "object"):
                raise refused(place, "the enum has a value that is no string, number or boolean")
            if value is not None:
                self._check_type(value, types, place)
                groups.setdefault(kind, []).append(value)
        if "number" in groups or ("integer" in groups and "number" in types):
            # There is no literal type of such numbers.
            groups.pop("integer", None)
            groups["number"] = []
        made: list[Schema] = []
        for kind, members in groups.items():
            listed = kind in ("string", "integer")
            made.append(
                {"type": kind, "enum": list(dict.fromkeys(members))} if listed else {"type": kind}
            )
        whole = made[0] if len(made) == 1 else {"anyOf": made} if made else dict(NULL)
        if made and (None in values or "null" in types):
            whole = {"anyOf": [dict(NULL), *made]}
        return whole

    def _check_type(self, value: Any, types: list[str], place: str) -> None:
        kind = kind_of(value)
        if types and kind not in types and not (kind == "integer" and "number" in types):
            raise refused(place, f"{value!r} is no {' or '.join(types)}")

    # -- unions -------------------------------------------------------------------------------

    def _options(self, schema: Schema, place: str) -> list[Any] | None:
        """Return the members of a union, or None if they only validate."""
        if schema.get("anyOf") and schema.get("oneOf"):
            raise refused(place, "has both anyOf and oneOf; only one is supported")
        options = schema.get("anyOf") or schema.get("oneOf")
        if not options:
            return None
        others = set(schema) & STRUCTURE - {"anyOf", "oneOf", "type", "required"}
        if all(isinstance(o, dict) and not set(o) & STRUCTURE - {"required"} for o in options):
            return None
        if others:
            listed = ", ".join(sorted(others))
            raise refused(place, f"has {listed} beside a union; move it into the members")
        return list(options)

    def _union(
        self, schema: Schema, options: list[Any], place: str, directions: Directions
    ) -> Schema:
        keyword = "anyOf" if schema.get("anyOf") else "oneOf"
        types = self._types({"type": schema["type"]}, place) if "type" in schema else []
        named = [name for name in types if name != "null"]
        made = []
        for number, option in enumerate(options):
            open_type = isinstance(option, dict) and not set(option) & TYPED
            typed = {"type": named, **option} if named and open_type else option
            child = self.normal(typed, f"{place}.{keyword}[{number}]", directions)
            child = {key: child[key] for key in child if key != "default"}
            made.append(child if directions == {"form"} else without_binary(child))
        if {} in made:
            return {}
        if "null" in types and NULL not in made:
            made.append(dict(NULL))
        if isinstance(schema.get("discriminator"), dict):
            if not isinstance(schema["discriminator"].get("propertyName"), str):
                raise refused(place, "the discriminator has no propertyName")
            self._unions.append((place, schema["discriminator"], made))
        if len(made) == 1 and "$ref" not in made[0]:
            return made[0]
        return {keyword: made}

    def _members(self, place: str, options: list[Schema], made: Mapping[str, Schema]) -> list[str]:
        """Return the names of the objects in a union with a discriminator."""
        names: list[str] = []
        for option in options:
            if option == NULL:
                continue
            inner = option.get("anyOf") or option.get("oneOf")
            name = option["$ref"].removeprefix(PREFIX) if "$ref" in option else None
            if name is not None:
                inner = made[name].get("anyOf") or made[name].get("oneOf")
            if inner:
                names += self._members(place, inner, made)
            elif name is None or "properties" not in made[name]:
                raise refused(
                    place, "has a discriminator, so each member must be a $ref to an object"
                )
            else:
                names.append(name)
        return list(dict.fromkeys(names))

    def _tag(
        self,
        place: str,
        discriminator: Mapping[str, Any],
        names: list[str],
        made: dict[str, Schema],
    ) -> None:
        """Write into each member which values of the discriminator stand for it."""
        tag = discriminator["propertyName"]
        mapped: dict[str, list[Any]] = {}
        for value, target in (discriminator.get("mapping") or {}).items():
            reference = target if str(target).startswith("#") else f"{PREFIX}{target}"
            name = self.resolved_name(reference, f"{place}.discriminator.mapping.{value}")
            inner = made[name].get("anyOf") or made[name].get("oneOf")
            if name not in names and not inner:
                raise refused(
                    place, f"the discriminator maps {value!r} to {name}, which is not a member"
                )
            mapped.setdefault(name, []).append(value)
        for name in names:
            schema = made[name]["properties"].get(tag)
            if schema is None:
                raise refused(place, f"{name} lacks the property {tag!r} of the discriminator")
            values = tag_values(schema, made)
            if values and mapped.get(name) and not set(map(str, values)) & set(mapped[name]):
                raise refused(
                    place,
                    f"the discriminator maps {mapped[name][0]!r} to {name}, whose {tag} is {values[0]!r}",
                )
            known = made[name].setdefault(TAGS, {}).setdefault(tag, [])
            known += [v for v in values or mapped.get(name) or [name] if v not in known]

    def _refuse_base_classes(self) -> None:
        for name, place in self._bases.items():
            heirs = [
                other
                for other, schema in self._raw.items()
                if isinstance(schema, dict)
                and {"$ref": PREFIX + name} in (schema.get("allOf") or [])
            ]
            if heirs and name in self._referenced:
                raise refused(
                    place,
                    f"has a discriminator and is used as a type: use a oneOf of {' and '.join(heirs)}",
                )

    def _refuse_cycle(self, name: str, made: Mapping[str, Schema], path: tuple[str, ...]) -> None:
        """Refuse a schema that contains itself without an object with properties in between."""
        if name in path:
            raise refused(
                f"components.schemas.{name}",
                "contains itself without an object with properties in between, so no class can be generated",
            )

        def visit(schema: Any) -> None:
            if not isinstance(schema, dict) or "properties" in schema:
                return
            if "$ref" in schema:
                self._refuse_cycle(schema["$ref"].removeprefix(PREFIX), made, (*path, name))
            for key in ("items", "additionalProperties"):
                visit(schema.get(key))
            for key in ("anyOf", "oneOf", "prefixItems"):
                for child in schema.get(key) or []:
                    visit(child)

        visit(made.get(name))

    def _written_out(self, schema: Any, place: str) -> Any:
        """Return an object that renames another one as an object of its own."""
        if not isinstance(schema, dict) or "allOf" not in schema:
            return schema
        parts = self._parts(schema, place, ())
        if len(parts) != 1 or "$ref" not in parts[0]:
            return schema
        opened = self._opened(parts[0], place)
        rest = {key: value for key, value in schema.items() if key != "allOf"}
        return {**opened, **rest} if "properties" in opened else schema

    # -- allOf --------------------------------------------------------------------------------

    def _without_all_of(self, schema: Schema, place: str) -> Schema:
        """Merge the parts of an allOf into one schema."""
        parts = self._parts(schema, place, ())
        if len(parts) == 1:
            return parts[0]
        merged: Schema = {}
        for part in parts:
            if "$ref" in part:
                part = self._opened(part, place)  # noqa: PLW2901
            merged = self._merged(merged, part, place)
        return merged

    def _parts(self, schema: Schema, place: str, path: tuple[str, ...]) -> list[Schema]:
        """List the parts of an allOf, nested ones flattened and parts that only validate left out."""
        rest = {k: v for k, v in schema.items() if k in STRUCTURE - {"allOf"}}
        found: list[Schema] = []
        for part in schema.get("allOf") or []:
            if not isinstance(part, dict):
                raise refused(place, "has a part of allOf that is no schema")
            body = {k: v for k, v in part.items() if k in STRUCTURE}
            if "$ref" in body:
                name = self.resolved_name(body["$ref"], place)
                if name in path:
                    raise refused(place, f"has itself in its allOf, through {name}")
                body = {**body, "$ref": PREFIX + name}
            found += self._parts(body, place, path) if "allOf" in body else [body] if body else []
        return [*found, rest] if rest else found

    def _opened(self, part: Schema, place: str, path: tuple[str, ...] = ()) -> Schema:
        """Return what a part of an allOf refers to, written out."""
        name = part["$ref"].removeprefix(PREFIX)
        if name in path:
            raise refused(place, f"has itself in its allOf, through {name}")
        target = self._raw[name]
        merged: Schema = {}
        for inner in self._parts(target, place, path):
            opened = self._opened(inner, place, (*path, name)) if "$ref" in inner else inner
            merged = self._merged(merged, opened, place)
        if target.get("nullable"):
            merged = {**merged, "nullable": True}
        beside = {key: value for key, value in part.items() if key != "$ref"}
        return self._merged(merged, beside, place) if beside else merged

    def _merged(self, one: Schema, other: Schema, place: str) -> Schema:
        """Return a schema for the values that fit both."""
        if not one or not other:
            return {**one, **other}
        for side in (one, other):
            if self._options(side, place) is not None:
                raise refused(
                    place, "has a union in an allOf of several parts, which cannot be merged"
                )
        made = {**one, **other}
        for key in ("anyOf", "oneOf", "nullable"):
            made.pop(key, None)
        properties = dict(one.get("properties") or {})
        for name, schema in (other.get("properties") or {}).items():
            mine = properties.get(name)
            same = mine is None or mine == schema
            properties[name] = (
                schema if same else {**described(mine, schema), "allOf": [mine, schema]}
            )
        if properties:
            made["properties"] = properties
        required = [*(one.get("required") or []), *(other.get("required") or [])]
        if required:
            made["required"] = list(dict.fromkeys(required))
        if "type" in one and "type" in other:
            made["type"] = common_type(one["type"], other["type"], place)
        if "enum" in one and "enum" in other:
            made["enum"] = [value for value in one["enum"] if value in other["enum"]]
        for key in ("const", "items", "prefixItems"):
            if key in one and key in other and one[key] != other[key]:
                raise refused(place, f"allOf has two parts with different {key}")
        extras = [s["additionalProperties"] for s in (one, other) if "additionalProperties" in s]
        if extras:
            made["additionalProperties"] = next((e for e in extras if e is not False), False)
        return made

    # -- defaults -----------------------------------------------------------------------------

    def _default(self, value: Any, schema: Schema, place: str) -> Any:
        """Return a default as a value of its schema; None for one that is dropped."""
        if isinstance(value, list | dict):
            return None
        try:
            return self._fitted(value, schema, place)
        except ValueError as error:
            raise refused(place, f"the default {value!r} {error}") from None

    def _fitted(self, value: Any, schema: Schema, place: str) -> Any:
        if "$ref" in schema:
            name = schema["$ref"].removeprefix(PREFIX)
            target = self._raw[name]
            if isinstance(target, dict):
                target = {key: target[key] for key in target if key != "default"}
            schema = self.normal(target, f"components.schemas.{name}")
        options = schema.get("anyOf") or schema.get("oneOf")
        if isinstance(schema.get("type"), list):
            options = [{**schema, "type": name} for name in schema["type"]]
        if options:
            reasons = []
            for option in options:
                try:
                    return self._fitted(value, option, place)
                except ValueError as error:
                    reasons.append(str(error))
            raise ValueError(
                reasons[0] if len(set(reasons)) == 1 else "fits no member of the union"
            )
        if "const" in schema:
            if value != schema["const"] or isinstance(value, bool) != isinstance(
                schema["const"], bool
            ):
                raise ValueError(f"is not the constant {schema['const']!r}")
            return value
        fitted = converted(value, schema.get("type"), schema.get("format"))
        if "enum" in schema and fitted not in schema["enum"]:
            raise ValueError(f"is none of {', '.join(map(repr, schema['enum']))}")
        return fitted


def spelled(name: str) -> str:
    """Return a name with its symbols spelled out."""
    words = {"+": "plus", "-": "minus"}
    return "".join(
        c if c.isalnum() or c in "_ ." else f" {words.get(c) or unicodedata.name(c, '').lower()} "
        for c in name
    )


def tag_values(schema: Schema, made: Mapping[str, Schema]) -> list[Any]:
    """Return the values that a property can have, when they are listed."""
    if "$ref" in schema:
        schema = made[schema["$ref"].removeprefix(PREFIX)]
    if len(schema.get("anyOf") or []) == 1:
        return tag_values(schema["anyOf"][0], made)
    return [schema["const"]] if "const" in schema else list(schema.get("enum") or [])


def with_null(schema: Schema) -> Schema:
    """Return the schema for the same values and null."""
    if isinstance(schema.get("type"), str) and "enum" not in schema:
        return schema if schema == NULL else {**schema, "type": [schema["type"], "null"]}
    if isinstance(schema.get("type"), list):
        return schema if "null" in schema["type"] else {**schema, "type": [*schema["type"], "null"]}
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            options = schema[keyword]
            return schema if NULL in options else {**schema, keyword: [*options, dict(NULL)]}
    return {"anyOf": [schema, dict(NULL)]} if schema else schema


def without_binary(schema: Schema) -> Schema:
    """Return a schema for use inside JSON, which has no bytes: they are strings."""
    return {k: v for k, v in schema.items() if (k, v) != ("format", "binary")}


def described(*schemas: Any) -> Schema:
    """Return the annotations of several schemas, later ones first."""
    return {key: s[key] for s in schemas for key in ANNOTATIONS if isinstance(s, dict) and key in s}


def common_type(one: Any, other: Any, place: str) -> Any:
    """Return the type of the values that have both types."""
    left = one if isinstance(one, list) else [one]
    right = other if isinstance(other, list) else [other]
    both = [name for name in left if name in right]
    if "integer" not in both and {"integer", "number"} <= {*left, *right}:
        both.append("integer")
    if not both:
        raise refused(
            place, f"allOf requires it to be {' or '.join(left)} and {' or '.join(right)} at once"
        )
    return both[0] if len(both) == 1 else both


def kind_of(value: Any) -> str:
    """Return the name of a JSON value's type."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
    return "array" if isinstance(value, list) else "object"


def converted(value: Any, kind: Any, form: str | None) -> Any:
    """Return a default as a value of its type; descriptions often quote numbers, or forget to."""
    match kind:
        case "integer" | "number":
            try:
                number = float(str(value))  # Of a boolean too, which is none.
            except ValueError:
                raise ValueError(f"is no {kind}") from None
            if kind == "number":
                return number
            if not number.is_integer():
                raise ValueError("is no integer")
            return (
                int(value)
                if isinstance(value, int | str) and "." not in str(value)
                else int(number)
            )
        case "boolean":
            if isinstance(value, bool):
                return value
            if str(value).lower() in ("true", "false"):
                return str(value).lower() == "true"
            raise ValueError("is no boolean")
        case "string":
            text = str(value).lower() if isinstance(value, bool) else str(value)
            return moment(text, form) if form in ("date", "date-time") else text
        case None:
            return value
    raise ValueError(f"is no {kind}")


def moment(text: str, form: str) -> str:
    """Return a date or date-time as it is sent: a time without zone is taken as UTC."""
    try:
        if form == "date":
            return dt.date.fromisoformat(text).isoformat()
        time = dt.datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"is no {form}") from None
    return text if time.tzinfo else time.replace(tzinfo=dt.UTC).isoformat()
