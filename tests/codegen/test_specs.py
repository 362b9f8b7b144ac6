"""Each description of fixtures/specs, generated and called, or refused by the place.

Most of them describe one operation that takes an object and gives one of the same kind.
"""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from .conftest import ROOT, SPECS, Described, Server

UUID = "0b2ec6c9-0c9f-4a0a-8f0e-51c1f2b7a111"
TIME = "2026-01-02T03:04:05+00:00"
ODD = [
    "",
    "a b",
    "A",
    "a",
    "1",
    "*",
    "-",
    "None",
    "true",
    "é",
    'quote"s',
    "back\\slash",
    "new\nline",
]
RESERVED = [
    "class", "from", "import", "None", "True", "self", "cls", "type", "id", "list", "dict", "str", "int", "property",
    "to_dict", "from_dict", "additional_properties", "_private", "__dunder__", "1st", "with-dash", "with space", "$ref2",
    "a.b", "émoji", "copy", "json", "Any", "Literal", "datetime", "field_", "print", "match", "lambda",
]  # fmt: skip

# What is sent and received, key by key, null by null.
OBJECTS: dict[str, list[Any]] = {
    "all_of": [
        {"pet": {"kind": "kitten", "name": "n", "lives": 9}, "kind": "a"},
        {
            "pets": [{"kind": "Fish", "name": "n"}, {"kind": "dog", "name": "n", "note": "x"}],
            "kind": "b",
        },
        {
            "narrowed": {"kind": "x", "n": 5},
            "only": {"kind": "cat", "name": "n", "lives": 1},
            "kind": "b",
        },
    ],
    "a_nullable30": [{"a": None, "b": "x"}, {"a": 1, "b": "x"}],
    "aa_nested_union": [
        {"u": {"k": "a"}},
        {"u": [{"k": "a"}, {"k": "a"}]},
        {"u": "s"},
        {"m": {"x": {"k": "a"}, "y": {"k": "b"}}},
    ],
    "ab_nullable_items": [{"l": ["a", None], "n": [1.5, None], "d": {"x": None, "y": 2}}],
    "ac_allof_nullable_discr": [{"u": None}, {"u": {"k": "a"}}, {"u": {"k": "b"}}],
    "ad_readonly": [{"id": 1, "w": "s", "dep": "d"}, {"w": "s"}],
    "ae_maxmin": [{"a": 3, "s": "aa"}],
    "af_enum_dup_case": [{"e": "A"}, {"e": "a"}],
    "ag_empty_schema": [{}, {"x": [1, None]}],
    "ai_schema_generic": [{"a": {"items": [{"x": "y"}, {}]}}],
    "aj_decimal": [{"p": "1.10", "big": 2**53 + 1, "f": 0.1}],
    "b_nullable31": [
        {"a": None, "b": None, "c": None, "d": None},
        {"a": 1, "b": {"x": "y"}, "c": "s", "d": ["t"]},
    ],
    "c_discr_mapping": [{"u": {"kind": "feline"}}, {"u": {"kind": "canine", "name": "Rex"}}],
    "d_discr_enum1": [{"u": {"kind": "cat"}}, {"u": {"kind": "dog", "n": "Rex"}}],
    "e_discr_const": [{"u": None}, {"u": {"kind": "cat"}}, {"u": {"kind": "dog", "n": "Rex"}}],
    "f_allof": [{"id": "i", "b": "c"}],
    "g_allof_ref": [{"x": {"id": "i"}}, {}],
    "i2_enum_str": [*({"e": value} for value in ODD), {"e": "a", "n": -1}],
    "i3_enum_null": [{"e": None}, {"e": "a"}, {"e": "new"}],
    "i4_enum_mixed": [{"m": "a"}, {"m": 1}],
    "i5_enum_float": [{"f": 0.5}, {"f": 1}],
    "i6_enum_bool": [{"f": True}],
    "i_enum_odd": [*({"e": value} for value in ODD), {"e": "a", "n": 0, "f": 0.5, "m": 1}],
    "j2_collide": [{"fooBar": "1", "foo_bar": "2", "foo-bar": "3", "FooBar": "4"}],
    "j3_reserved_schema": [{key: {"x": key} for key in "abcdef"}],
    "j_reserved": [{key: f"the {key}" for key in RESERVED}],
    "k_datetime": [
        {"t": TIME, "d": "2026-01-02", "tn": TIME, "td": "PT1S", "tt": "10:00:00"},
        {"t": TIME, "l": [TIME], "m": {"x": TIME}, "u": TIME},
        {"t": TIME, "u": 5},
    ],
    "l_recursive": [{"kids": [{"one": {"map": {"x": {"kids": []}}}}, {}]}],
    "m_mutual": [{"b": {"t": {"b": {}}}}],
    "n2_addl_model": [{"one": {"x": "y"}, "two": {}}],
    "n3_addl_true": [
        {"meta": {"a": 1}, "any": [1, None], "arr": [1, "x"], "t": {"y": None}, "f": {"q": "z"}}
    ],
    "n_addl": [{"a": "x"}, {"a": "x", "more": 1}],
    "u_defaults": [
        {"a": 6, "b": False, "c": "x", "d": 0.5, "e": "y", "f": ["z"], "g": "w", "h": TIME},
    ],
    "v_const": [{"s": "x", "n": 5}, {"s": "x", "n": 5, "b": True, "f": 1.5}],
    "w_desc": [{"a": "1", "b": "2", "c": "3"}],
    "x_prefixitems": [{"t": [1, "a"], "u": ["b"], "s": "x"}, {"s": 1}],
    "y_int64": [
        {"a": 2**62, "b": UUID, "c": "aGk=", "d": "raw", "e": "http://a.example", "pw": "secret"}
    ],
    "z2_title_collide": [{"a": {"x": "1"}, "b": {"y": "2"}}],
    "z3_array_comp": [{"a": [{"x": "1"}, {}]}],
    "z4_prim_comp": [{"a": "i", "b": 5}, {"a": "i", "b": "s"}],
    "z5_ref_sibling": [{"a": None}, {"a": {"y": "1"}}],
    "z6_30_file": [{"a": None}, {"a": 1}],
    "z_not": [{"a": 1, "b": "x"}],
}

# Which class an object is read as: where in the answer, and the class's name.
CLASSES: dict[str, list[tuple[Any, Callable[[Any], Any], str]]] = {
    "aa_nested_union": [
        ({"u": [{"k": "a"}]}, lambda thing: thing.u[0], "A"),
        ({"m": {"y": {"k": "b"}}}, lambda thing: thing.m["y"], "B"),
    ],
    "ac_allof_nullable_discr": [({"u": {"k": "b"}}, lambda thing: thing.u, "B")],
    "all_of": [
        ({"pet": {"kind": "kitten", "name": "n", "lives": 9}}, lambda thing: thing.pet, "Cat"),
        ({"pet": {"kind": "Fish", "name": "n"}}, lambda thing: thing.pet, "Fish"),
    ],
    "c_discr_mapping": [
        ({"u": {"kind": "feline"}}, lambda thing: thing.u, "Cat"),
        ({"u": {"kind": "canine"}}, lambda thing: thing.u, "Dog"),
    ],
    "d_discr_enum1": [
        ({"u": {"kind": "cat"}}, lambda thing: thing.u, "Cat"),
        ({"u": {"kind": "dog"}}, lambda thing: thing.u, "Dog"),
    ],
    "e_discr_const": [({"u": {"kind": "dog"}}, lambda thing: thing.u, "Dog")],
    "j3_reserved_schema": [({"c": {"x": ""}}, lambda thing: thing.c, "AnyModel")],
    "k_datetime": [({"t": TIME, "u": TIME}, lambda thing: thing.u, "datetime")],
    "m_mutual": [({"b": {"t": {}}}, lambda thing: thing.b.t, "Thing")],
    "n2_addl_model": [({"one": {}}, lambda thing: thing["one"], "Sub")],
    "z5_ref_sibling": [({"a": {}}, lambda thing: thing.a, "Sub")],
}

# What is not read, and the path of the error.
WRONG = {
    "all_of": [
        ({"narrowed": {"kind": "x", "n": 0.5}}, "narrowed.n"),
        ({"narrowed": {"kind": "x"}}, "narrowed.n"),
    ],
    "b_nullable31": [({"a": None, "b": {"x": None}, "c": None, "d": None}, "b.x")],
    "c_discr_mapping": [({"u": {"kind": "dog"}}, "u.kind"), ({"u": {}}, "u.kind")],
    "d_discr_enum1": [({"u": {"kind": "bird"}}, "u.kind")],
    "i4_enum_mixed": [({"m": 0.5}, "m")],
    "i5_enum_float": [({"f": "x"}, "f")],
    "i6_enum_bool": [({"f": 1}, "f")],
    "n_addl": [({"a": "x", "more": "y"}, "more")],
    "v_const": [({"s": "y", "n": 5}, "s"), ({"s": "x", "n": 5, "b": False}, "b")],
    "z6_30_file": [({}, "a")],
}

# What a call sends: the operation, its arguments, the method, the path and the query.
CALLS: dict[str, list[tuple[str, dict[str, Any], str, str, list[tuple[str, str]]]]] = {
    "o2_query_types": [
        ("things.get_things", {"id": "a b/c"}, "GET", "/api/v1/things/a%20b%2Fc", [("dflt", "5")]),
        (
            "things.get_things",
            {
                "id": "i", "flag": False, "since": dt.datetime(2026, 1, 2, tzinfo=dt.UTC), "e": "b", "n": 0,
                "from_": "f", "self_": "s", "client_query": "c", "body_": "b", "dflt": None,
            },
            "GET", "/api/v1/things/i",
            [
                ("flag", "false"), ("since", "2026-01-02T00:00:00+00:00"), ("e", "b"), ("n", "0"), ("from", "f"),
                ("self", "s"), ("client", "c"), ("body", "b"),
            ],
        ),
    ],
    "o_query_array": [
        (
            "things.get_things",
            {"id": "i", "tags": ["a,b", "c"], "ids": [1, 2], "csv": ["d", "e"], "pipe": ["f", "g,h"]},
            "GET", "/api/v1/things/i",
            [
                ("tags", "a,b"), ("tags", "c"), ("ids[]", "1"), ("ids[]", "2"), ("csv", "d,e"), ("pipe", "f|g,h"),
            ],
        ),
        ("things.get_things", {"id": "i", "tags": [], "csv": []}, "GET", "/api/v1/things/i", []),
    ],
    "q_path_odd": [
        ("things.del_it", {"from_": "x", "thing_id": "y/z", "n": 5}, "DELETE", "/api/v1/a/x/b/y%2Fz/5", []),
    ],
    "s4_array_resp": [("things.get_list", {}, "GET", "/api/v1/t", [])],
    "s_text_resp": [("things.get_text", {}, "GET", "/api/v1/t", [])],
    "t2_camel_opid": [("things.get_thing", {}, "GET", "/api/v1/t", [])],
    "t3_kw_opid": [("class_.import_", {}, "GET", "/api/v1/t", [])],
    "t5_two_tags": [("a.x", {}, "GET", "/api/v1/t", [])],
    "t_no_opid": [("things.get_api_v1_t", {}, "GET", "/api/v1/t", [])],
    "z7_params_ref": [("things.get_text", {"limit": 3}, "GET", "/api/v1/t", [("limit", "3")])],
}  # fmt: skip

# What each of these gives back for a body.
ANSWERS = {
    "q_path_odd": (204, b"", None),
    "s4_array_resp": (200, b'[{"a":"x"},{}]', [{"a": "x"}, {}]),
    "s_text_resp": (200, "é".encode(), "é"),
}

REFUSED = {
    "ah_schema_names": "components.schemas.foo-Bar: maps to the same class as foo.Bar; rename one",
    "h_allof_override": "components.schemas.Thing.properties.id: allOf requires it to be string and integer at once",
    "p2_cookie": "paths./api/v1/things/{id}.get.parameters[1]: 'sid' is a cookie parameter",
    "t4_dup_opid": "paths./api/v1/u.get: the operationId 'x' maps to the module x, which paths./api/v1/t.get already uses",
    "u2_bad_default": "components.schemas.Thing.properties.a: the default 'five' is no integer",
    "u3_bad_enum_default": "components.schemas.Thing.properties.e: the default 'z' is none of 'x'",
}

ON_THEIR_OWN = {
    "parameters",
    "names",
    "o3_query_object",
    "p_header",
    "r2_urlencoded",
    "r_multipart",
    "responses",
}

THING = b'{"a":"x"}'
# What an operation of "responses" makes of a status and a body; None: it raises UnexpectedStatus.
RESPONSES: list[tuple[str, int, bytes, Any]] = [
    ("default_only", 200, THING, [{"a": "x"}]),
    ("default_only", 203, THING, [{"a": "x"}]),
    ("default_only", 404, THING, None),
    ("errors_and_default", 200, THING, [{"a": "x"}]),
    ("errors_and_default", 404, THING, None),
    ("default_error", 201, THING, [{"a": "x"}]),
    ("default_error", 200, THING, None),
    ("range", 200, THING, [{"a": "x"}]),
    ("range", 299, THING, [{"a": "x"}]),
    ("range", 202, b"", [None]),
    ("range", 204, b"", [None]),
    ("range", 300, THING, None),
    ("errors_only", 200, THING, [None]),
    ("errors_only", 404, THING, None),
    ("no_schema", 200, b'[1,{"a":null}]', [[1, {"a": None}]]),
    ("any_type", 200, THING, [{"a": "x"}]),
    ("json_first", 200, THING, [{"a": "x"}]),
    ("png", 200, b"\x89PNG", [b"\x89PNG"]),
    ("number", 200, b"0.5", [0.5]),
    ("number", 200, b"null", [None]),
    ("map", 200, b'{"k":{"a":"x"}}', [{"k": {"a": "x"}}]),
    ("map", 206, b"{}", [{}]),
]


def cases(table: dict[str, list[Any]]) -> list[Any]:
    return [
        pytest.param(name, case, id=f"{name}-{number}")
        for name, found in table.items()
        for number, case in enumerate(found)
    ]


def plain(value: Any) -> Any:
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value.to_dict() if hasattr(value, "to_dict") and callable(value.to_dict) else value


def query_of(server: Server) -> tuple[str, str, list[tuple[str, str]]]:
    method, target, _, _ = server.asked[-1]
    split = urlsplit(target)
    return (
        method,
        split.path.removeprefix("/prefix"),
        parse_qsl(split.query, keep_blank_values=True),
    )


def test_every_description_is_tried() -> None:
    """A new file in fixtures/specs asks for its test."""
    tried = {*OBJECTS, *CALLS, *REFUSED, *ON_THEIR_OWN}
    assert {path.stem for path in SPECS.glob("*.yaml")} == tried


@pytest.mark.parametrize(("name", "value"), cases(OBJECTS))
def test_objects_arrive_as_they_are(
    described: Described, server: Server, name: str, value: Any
) -> None:
    """What is read is what was sent, over a connection, in both directions."""
    module = described.package(name)("api.things.make_thing")
    server.body = json.dumps(value).encode()
    body = module.parse_response(server.body)
    with described.package(name)().Client(**server.reached()) as client:
        answer = module.sync(client=client, body=body)
    assert answer == body
    method, path, headers, sent = server.asked[0]
    assert (method, path, headers["content-type"]) == (
        "POST", "/prefix/api/v1/thing", "application/json",
    )  # fmt: skip
    left_out = {key: item for key, item in json.loads(sent).items() if key not in value}
    assert {key: item for key, item in json.loads(sent).items() if key not in left_out} == value
    assert not left_out


@pytest.mark.parametrize(("name", "case"), cases(CLASSES))
def test_objects_are_of_their_class(
    described: Described, name: str, case: tuple[Any, Callable[[Any], Any], str]
) -> None:
    """A discriminator, a constant or a reference decides which class an object is read as."""
    value, found, expected = case
    parsed = described.package(name)("api.things.make_thing").parse_response(
        json.dumps(value).encode()
    )
    assert type(found(parsed)).__name__ == expected


@pytest.mark.parametrize(("name", "case"), cases(WRONG))
def test_what_does_not_fit_is_refused_by_its_path(
    described: Described, name: str, case: tuple[Any, str]
) -> None:
    """A value that the description does not allow is no object."""
    value, path = case
    load = described.package(name)
    with pytest.raises(load("errors").ParseError) as caught:
        load("api.things.make_thing").parse_response(json.dumps(value).encode())
    assert caught.value.path == path


@pytest.mark.parametrize(("name", "case"), cases(CALLS))
def test_calls_are_as_described(described: Described, server: Server, name: str, case: Any) -> None:
    """Path, query and answer of a call are those of the description."""
    operation, arguments, *expected = case
    status, content, answer = ANSWERS.get(name, (200, b'{"a":"x"}', {"a": "x"}))
    server.status, server.body = status, content
    load = described.package(name)
    with load().Client(**server.reached()) as client:
        parsed = load(f"api.{operation}").sync(client=client, **arguments)
    assert plain(parsed) == answer
    assert query_of(server) == tuple(expected)


@pytest.mark.parametrize(("name", "sentence"), REFUSED.items())
def test_what_has_no_right_code_is_refused(described: Described, name: str, sentence: str) -> None:
    """The sentence names the place, and nothing is written."""
    assert described.refusals[name].startswith(sentence)


@pytest.mark.parametrize(("operation", "status", "content", "expected"), RESPONSES)
def test_responses_of_every_form_are_read(
    described: Described, server: Server, operation: str, status: int, content: bytes, expected: Any
) -> None:
    """What an answer may be follows from its status: exact, by range, or by default."""
    load = described.package("responses")
    server.status, server.body = status, content
    call = load(f"api.r.{operation.replace('range', 'range_').replace('map', 'map_')}").sync
    with load().Client(**server.reached()) as client:
        if expected is None:
            with pytest.raises(load("errors").UnexpectedStatus):
                call(client=client)
        else:
            assert [plain(call(client=client))] == expected


@pytest.mark.parametrize(
    ("operation", "accept"),
    [
        ("json_first", "application/json, application/vnd.a+json"),
        ("png", "image/png, image/webp"),
        ("any_type", "*/*"),
        ("default_only", "application/json"),
    ],
)
def test_only_what_can_be_read_is_asked_for(
    described: Described, operation: str, accept: str
) -> None:
    """The header Accept lists the media types that are read in the same way."""
    request = described.package("responses")(f"api.r.{operation}").build_request()
    assert request.headers == {"accept": accept}


def test_a_head_has_no_body(described: Described, server: Server) -> None:
    """What the description says about its content is not waited for; a path parameter is required."""
    load = described.package("responses")
    with load().Client(**server.reached()) as client:
        assert load("api.r.head").sync(client=client, id="i") is None
    assert query_of(server) == ("HEAD", "/head/i", [])


def test_names_do_not_hide_each_other(described: Described, server: Server) -> None:
    """Parameters, classes and properties may be called as the generated modules call theirs."""
    load = described.package("names")
    value = {
        "response": {"undescribed": {"x": [1]}, "mapping": {"self": {"undescribed": None}}, "page": {"next": {"": "e"}}},
        "+1": 1, "-1": 2, "a?": "q", "a!": "e", "extra": ["x"], "EXTRA": [2], "more": ["2026-01-02"],
    }  # fmt: skip
    server.body = json.dumps(value).encode()
    module = load("api.n.names")
    body = module.parse_response(server.body)
    arguments = {
        "params_": "p",
        "segment_": True,
        "headers_": "h",
        "body_": "b",
        "build_request_": [True, False],
    }
    with load().Client(**server.reached()) as client:
        assert module.sync(client=client, body=body, client_header=False, **arguments) == body
    assert query_of(server) == (
        "POST", "/p/true",
        [("headers", "h"), ("body", "b"), ("build_request", "true"), ("build_request", "false")],
    )  # fmt: skip
    assert server.asked[0][2]["client"] == "false"
    assert json.loads(server.asked[0][3]) == value
    assert (body.plus_1, body.minus_1, body.a_question_mark) == (1, 2, "q")
    assert body.additional_properties == {"more": [dt.date(2026, 1, 2)]}


def test_every_kind_of_parameter_has_its_form(described: Described) -> None:
    """Numbers, booleans, times and enumerations in paths, queries and headers, with their defaults."""
    load = described.package("parameters")
    day, time = dt.date(2026, 1, 2), dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    needed = {
        "n": 1,
        "u": UUID,
        "e": "x",
        "d": day,
        "t": time,
        "f": 1.5,
        "req": [day],
        "x_enum": "desc",
    }
    build = load("api.p.get_it").build_request
    bare = build(**needed)
    assert bare.path == f"/a/1/{UUID}/x/2026-01-02/2026-01-02T00:00:00%2B00:00/1.5"
    defaults = {
        "req": ["2026-01-02"], "dd": "2026-01-02", "dt": TIME.replace("03:04:05", "00:00:00"), "en": 2, "fl": 1.0,
        "bo": False, "mi": "a", "co": "c",
    }  # fmt: skip
    headers = {"accept": "application/json", "X-Const": "v1", "X-Enum": "desc", "X-Uuid": "u"}
    assert (bare.params, bare.headers) == (defaults, headers)
    given = {
        "any_": 5, "su": [1, 2], "sp": [True, False], "ob": load("models").GetItOb(a="q", when=day), "un": ["a", "b"],
        "ref": "asc", "refs": ["asc", "desc"], "x_any": "y", "x_float": 0.5, "x_uuid": None,
    }  # fmt: skip
    whole = build(**needed, **given)
    assert whole.params == defaults | {
        "any": 5, "su": "1,2", "sp": "true false", "ob": "a,q,when,2026-01-02", "un": ["a", "b"], "ref": "asc",
        "refs": ["asc", "desc"],
    }  # fmt: skip
    assert whole.headers == {
        "accept": "application/json", "X-Any": "y", "X-Const": "v1", "X-Enum": "desc", "X-Float": "0.5",
    }  # fmt: skip
    assert build(**needed, un="one").params["un"] == "one"
    for wrong in ({"refs": [None]}, {"sp": [None]}):
        with pytest.raises(ValueError, match="contains None, which cannot be sent in a query"):
            build(**needed, **wrong)


def test_objects_in_queries_are_laid_out(described: Described, server: Server) -> None:
    """The style deepObject puts each key into brackets."""
    load = described.package("o3_query_object")
    value = load("models").GetThingsF(a="x y")
    with load().Client(**server.reached()) as client:
        load("api.things.get_things").sync(client=client, id="i", f=value)
    assert query_of(server) == ("GET", "/api/v1/things/i", [("f[a]", "x y")])


def test_header_parameters_are_written_as_json_has_them(
    described: Described, server: Server
) -> None:
    """Booleans are lower case, numbers plain, and what is not set is not sent."""
    load = described.package("p_header")
    get_things = load("api.things.get_things")
    with load().Client(**server.reached()) as client:
        get_things.sync(client=client, id="i", x_trace_id="t", x_flag=True, x_n=0)
        get_things.sync(client=client, id="i", x_trace_id="t", x_flag=False)
    first, second = (headers for _, _, headers, _ in server.asked)
    assert (first["x-trace-id"], first["x-flag"], first["x-n"]) == ("t", "true", "0")
    assert second["x-flag"] == "false"
    assert not {"x-n", "idempotency-key"} & set(second)


def test_forms_are_encoded(described: Described, server: Server) -> None:
    """A form without files is encoded like a query, and may be left out."""
    load = described.package("r2_urlencoded")
    upload = load("api.things.upload_it")
    with load().Client(**server.reached()) as client:
        upload.sync(client=client, body=load("models").UploadItBody(n="a&b é"))
        upload.sync(client=client)
    _, _, headers, sent = server.asked[0]
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qsl(sent.decode()) == [("n", "a&b é")]
    assert "content-type" not in server.asked[1][2]


def test_forms_carry_files(described: Described, server: Server) -> None:
    """A file has its name and its media type; the boundary is told in the header."""
    load = described.package("r_multipart")
    file = load("forms").File(b"\x00\r\n--", 'a".bin', "image/png")
    with load().Client(**server.reached()) as client:
        body = load("models").UploadItBody(file=file, note="n")
        load("api.things.upload_it").sync(client=client, body=body)
    _, _, headers, sent = server.asked[0]
    media_type, _, boundary = headers["content-type"].partition("; boundary=")
    assert media_type == "multipart/form-data"
    first, second = (part.strip(b"-") for part in sent.split(b"--" + boundary.encode())[1:3])
    assert first == (
        b'\r\nContent-Disposition: form-data; name="file"; filename="a%22.bin"\r\n'
        b"Content-Type: image/png\r\n\r\n\x00\r\n--\r\n"
    )
    assert second == b'\r\nContent-Disposition: form-data; name="note"\r\n\r\nn\r\n'
    assert sent.endswith(f"\r\n--{boundary}--\r\n".encode())


def test_an_item_that_holds_the_separator_is_not_sent(described: Described) -> None:
    """Servers decode a list before they split it, so the item would arrive in two parts."""
    build = described.package("o_query_array")("api.things.get_things").build_request
    with pytest.raises(ValueError, match=r"'a,b' in csv contains ','"):
        build(id="i", csv=["a,b"])
    assert build(id="i", pipe=["a,b"]).params == {"pipe": "a,b"}


def test_operations_keep_their_id(described: Described) -> None:
    """A request names the operation as the description does, whatever its module is called."""
    request = described.package("t2_camel_opid")("api.things.get_thing").build_request()
    assert request.operation == "getThing"


def test_defaults_are_values_of_their_type(described: Described) -> None:
    """A quoted number is a number, and a time is one that can be sent."""
    thing = described.package("u_defaults")("models").Thing
    expected = {"a": 5, "b": True, "c": "5", "d": 1.0, "e": "x", "h": "2024-01-01T00:00:00Z"}
    assert thing().to_dict() == expected | {"h": "2024-01-01T00:00:00+00:00"}
    assert thing.from_dict({}) == thing()


def test_a_read_only_property_is_not_asked_for(described: Described) -> None:
    """What only the server may set can be left out of what is sent, though answers need it."""
    assert described.package("ad_readonly")("models").Thing(w="s").to_dict() == {"w": "s"}


def test_secrets_stay_out_of_reprs_and_quotes_stay_in_docs(described: Described) -> None:
    """Formats and descriptions have their effect."""
    models = described.package("y_int64")("models")
    assert "s3cret" not in repr(models.Thing(pw="s3cret"))
    doc = described.package("w_desc")("models").Thing.__doc__
    assert doc.startswith('A """thing""" \\')
    assert 'a: ends with quote"' in doc


def test_the_packages_are_typed(described: Described) -> None:
    """mypy finds nothing in them in its strictest mode."""
    packages = [f"-p{path.name}" for path in sorted(described.folder.iterdir()) if path.is_dir()]
    cache = f"--cache-dir={ROOT / '.mypy_cache' / 'described'}"
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", cache, *packages],
        cwd=described.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("Success"), done.stdout + done.stderr
    assert len(packages) > 70


def test_a_name_that_hides_a_method_gets_another(described: Described) -> None:
    """Reading and writing work for objects with such keys."""
    thing = described.package("j_reserved")("models").Thing(class_="c", from_="f", to_dict_="t")
    assert thing.to_dict() == {"class": "c", "from": "f", "to_dict": "t"}
