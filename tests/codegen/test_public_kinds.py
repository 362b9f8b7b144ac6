"""Descriptions in the kinds of well-known public ones: fixtures/public, in this project's own words."""

from __future__ import annotations

import copy
import datetime as dt
import json
import pickle
from typing import Any
from urllib.parse import parse_qsl

import pytest

from .conftest import PUBLIC, Described, Server
from .test_specs import plain, query_of

USER = {"login": "o", "id": 1}
CUSTOMER = {"created": 5, "id": "c", "object": "customer"}
DELETED = {"deleted": True, "id": "c", "object": "customer"}
MESSAGES = [
    {"role": "system", "content": "s"},
    {"role": "user", "content": "u"},
    {"role": "user", "content": [
        {"type": "text", "text": "t"}, {"type": "image_url", "image_url": {"url": "http://a.example", "detail": "low"}},
    ]},
    {"role": "assistant", "content": [{"type": "text", "text": "t"}]},
]  # fmt: skip

# What each description is called with, what goes over the wire, and what comes back: the operation,
# its arguments, what is sent (method, path, query, JSON), and the answer.
CALLS: dict[str, list[tuple[str, dict[str, Any], tuple[str, str, list[tuple[str, str]], Any], Any]]] = {
    "stripe_customer_get": [
        ("default.get_customers_customer", {"customer": "c"}, ("GET", "/v1/customers/c", [], None), answer)
        for answer in (
            CUSTOMER | {"referrer": CUSTOMER, "shipping": {"name": "n"}}, DELETED, CUSTOMER | {"referrer": "c"},
            CUSTOMER | {"referrer": DELETED},
        )
    ],
    "stripe_event": [
        (
            "default.get_webhook_endpoints", {"enabled_events": ["*", "charge.failed"]},
            ("GET", "/v1/webhook_endpoints", [("enabled_events", "*,charge.failed")], None),
            [
                {"id": "e", "type": "t", "data": {"object": {"a": [1]}}, "unit_amount_decimal": "0.10"},
                {"id": "f", "type": "t", "data": {"object": {}, "previous_attributes": {"x": None}}, "request": {"id": "r"}},
            ],
        ),
    ],
    "github_issue_search": [
        (
            "search.search_issues_and_pull_requests",
            {
                "q": "is:open a+b", "sort": "reactions-+1", "since": dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
                "day": dt.date(2026, 1, 2),
            },
            (
                "GET", "/search/issues",
                [
                    ("q", "is:open a+b"), ("sort", "reactions-+1"), ("order", "desc"), ("per_page", "30"),
                    ("since", "2026-01-02T00:00:00+00:00"), ("day", "2026-01-02"),
                ],
                None,
            ),
            {"total_count": 1, "incomplete_results": False, "items": [{"score": 0.5, "draft": False}]},
        ),
    ],
    "github_webhook_union": [
        ("users.users_get_by_id", {"account_id": 1}, ("GET", "/users/1", [], None), answer)
        for answer in (
            USER | {"plan": {"name": "p"}}, USER | {"two_factor_authentication": True},
            USER | {"two_factor_authentication": True, "installation": {"slug": "s", "events": ["e"]}},
        )
    ],
    "openai_list": [
        (
            "run_steps.list_run_steps",
            {
                "thread_id": "t", "run_id": "r", "include": ["step_details.tool_calls[*].results"],
                "metadata": {"a": "b"},
            },
            (
                "GET", "/threads/t/runs/r/steps",
                [
                    ("limit", "20"), ("order", "desc"), ("include[]", "step_details.tool_calls[*].results"), ("a", "b"),
                ],
                None,
            ),
            {
                "object": "list", "first_id": None, "has_more": False,
                "data": [
                    {"id": "1", "step_details": {"type": "message_creation", "message_id": "m"}},
                    {"id": "2", "step_details": {"type": "tool_calls", "tool_calls": [
                        {"type": "code_interpreter", "id": "c"}, {"type": "function", "id": "f", "output": "o"},
                    ]}},
                ],
            },
        ),
    ],
}  # fmt: skip

# Objects that are read and sent again as they are: the description, the operation, the class that the
# body is, the method and path with which it is sent, and the objects.
BODIES: list[tuple[str, str, str, list[Any]]] = [
    ("github_repo_create", "repos.repos_create_in_org", "ReposCreateInOrgBody", [
        {"name": "n", "private": True, "has_issues": False, "visibility": "private", "custom_properties": {"a": [1]}},
    ]),
    ("github_gist", "gists.gists_update", "GistsUpdateBodyType0", [
        {"description": "d", "files": {"a.txt": {"content": "c"}, "b.txt": None, "c": {"filename": "n"}}},
    ]),
    ("openai_chat", "chat.create_chat_completion", "CreateChatCompletionRequest", [
        {"model": "small", "messages": MESSAGES, "temperature": 0.5, "stream": False, "metadata": {"a": "b"}},
        {"model": "m", "messages": MESSAGES[:1], "temperature": 1.0, "stream": True, "stop": "x", "tool_choice": "auto"},
        {
            "model": "m", "messages": [], "temperature": 1.0, "stream": True, "stop": ["x"], "logit_bias": {"5": 1},
            "tool_choice": {"type": "function", "function": {"name": "f"}},
        },
    ]),
    ("openai_speech", "audio.create_speech", "CreateSpeechBody", [{"input": "i", "voice": "alloy", "speed": 1.0}]),
    ("openai_response", "responses.create_response", "CreateResponse", [
        {"input": "text", "model": "small", "tools": [], "previous_response_id": "p", "store": True},
        {
            "store": False,
            "input": [{"role": "user", "content": "c"}, {"type": "item_reference", "id": "i"}],
            "tools": [
                {"type": "function", "name": "f", "strict": None, "parameters": {"a": {"b": [1]}}},
                {"type": "file_search", "vector_store_ids": ["v"], "filters": {"type": "and", "filters": [
                    {"type": "eq", "key": "k", "value": [1, "x"]},
                    {"type": "or", "filters": [{"type": "gt", "key": "k", "value": True}]},
                ]}},
            ],
        },
    ]),
    ("openai_moderation", "moderations.create_moderation", "CreateModerationBody", [
        {"input": "i", "model": "omni"},
        {"input": ["i", "j"], "model": "omni"},
        {"input": [{"type": "text", "text": "t"}, {"type": "image_url", "image_url": "u"}], "model": "omni"},
    ]),
    ("openai_fine_tune", "fine_tuning.create_fine_tuning_job", "Job", [
        {"model": "m", "suffix": "s", "size": 256, "input": [[1, 2], [3]], "method": {"type": "dpo", "dpo": {"beta": 0.5}}},
        {"model": "m", "hyperparameters": {"n_epochs": 3, "batch_size": "auto", "learning_rate": 0.1}, "input": [1]},
        {
            "model": "m", "input": "text", "hyperparameters": {"n_epochs": "auto", "batch_size": 8},
            "integrations": [{"type": "wandb", "wandb": {"kind": "wandb", "name": "n"}}],
        },
    ]),
]  # fmt: skip

IN_PATH = {"github_repo_create": {"org": "o"}, "github_gist": {"gist_id": "g"}}
ANSWERS: dict[str, tuple[int, Any]] = {
    "github_repo_create": (201, {
        "id": 1, "name": "n", "full_name": "o/n", "owner": USER, "license": None, "organization": USER,
        "permissions": {"admin": True, "pull": False}, "pushed_at": "2026-01-02T03:04:05+00:00",
    }),
    "github_gist": (200, {
        "id": "g", "files": {"a": None, "b": {"size": 1}}, "forks": [{"id": "f"}], "history": [{"id": "h"}],
    }),
    "openai_chat": (200, {"id": "i", "object": "chat.completion", "choices": [
        {"finish_reason": "stop", "index": 0, "message": {"role": "assistant", "content": "c"}, "logprobs": None},
        {
            "finish_reason": "length", "index": 1, "message": {"role": "assistant"},
            "logprobs": {"content": [{"token": "t", "bytes": [1, 2]}]},
        },
    ]}),
    "openai_response": (200, {"id": "r", "object": "response", "error": {"code": None, "message": "m"}, "output": [
        {"type": "reasoning", "summary": [{"text": "t"}]},
        {"type": "compound", "items": [{"type": "message", "id": "m", "status": "completed"}]},
    ]}),
    "openai_moderation": (200, {"results": [{
        "flagged": True,
        "categories": {"hate": False, "hate/threatening": False, "self-harm": True, "self-harm/intent": None},
        "category_applied_input_types": {"hate": ["text"], "violence": ["image"]},
    }]}),
    "openai_fine_tune": (201, {"model": "m", "created": 5}),
}  # fmt: skip

REFUSED = {
    "stripe_expand": "paths./v1/balance.get.parameters[0]: 'expand' is an array, for which deepObject has no form",
    "stripe_file_upload": "paths./v1/files.post: has servers of its own",
    "github_stats": "paths./repos/{repo}/stats/contributors.get.responses: 200 returns list[int] and 202 returns",
}

ON_THEIR_OWN = {
    "stripe_charge_list", "stripe_customer_update", "github_issue_update", "github_text_and_links", "openai_files",
}  # fmt: skip


def test_every_description_is_tried() -> None:
    """A new file in fixtures/public asks for its test."""
    tried = {*CALLS, *(name for name, *_ in BODIES), *REFUSED, *ON_THEIR_OWN}
    assert {path.stem for path in PUBLIC.glob("*.yaml")} == tried


@pytest.mark.parametrize(
    ("name", "case"),
    [pytest.param(n, c, id=f"{n}-{i}") for n, found in CALLS.items() for i, c in enumerate(found)],
)
def test_calls_are_as_described(described: Described, server: Server, name: str, case: Any) -> None:
    """What is sent is what the description says, and the answer keeps all that it holds."""
    operation, arguments, (method, path, query, body), answer = case
    load = described.package(name)
    server.body = json.dumps(answer).encode()
    with load().Client(**server.reached()) as client:
        parsed = load(f"api.{operation}").sync(client=client, **arguments)
    assert plain(parsed) == answer
    assert query_of(server) == (method, path, query)
    assert server.asked[0][3] == (b"" if body is None else json.dumps(body).encode())


@pytest.mark.parametrize(
    ("name", "operation", "model", "value"),
    [
        pytest.param(name, operation, model, value, id=f"{name}-{number}")
        for name, operation, model, values in BODIES
        for number, value in enumerate(values)
    ],
)
def test_bodies_are_as_described(
    described: Described, server: Server, name: str, operation: str, model: str, value: Any
) -> None:
    """What a class reads is what it sends, and the answer keeps all that it holds."""
    load = described.package(name)
    body = getattr(load("models"), model).from_dict(value)
    assert body == copy.deepcopy(body) == pickle.loads(pickle.dumps(body))
    server.status, answer = ANSWERS.get(name, (200, None))
    server.body = b"sound" if answer is None else json.dumps(answer).encode()
    with load().Client(**server.reached()) as client:
        parsed = load(f"api.{operation}").sync(client=client, body=body, **IN_PATH.get(name, {}))
    assert plain(parsed) == (b"sound" if answer is None else answer)
    assert json.loads(server.asked[0][3]) == value


@pytest.mark.parametrize(("name", "sentence"), REFUSED.items())
def test_what_has_no_right_code_is_refused(described: Described, name: str, sentence: str) -> None:
    """The sentence names the place."""
    assert described.refusals[name].startswith(sentence)


def test_a_range_in_a_query_may_be_one_value(described: Described, server: Server) -> None:
    """An object is laid out in brackets, a number is not; the key is a bearer token."""
    load = described.package("stripe_charge_list")
    charges, models = load("api.default.get_charges"), load("models")
    page = {
        "data": [{"amount": 1, "id": "c", "object": "charge"}],
        "has_more": False,
        "object": "list",
        "url": "/v1/charges",
    }
    server.body = json.dumps(page).encode()
    span = models.GetChargesCreatedType0(gt=1, lte=5)
    with load().Client(**server.reached(), token="sk_1") as client:
        assert plain(charges.sync(client=client, created=span, limit=3)) == page
        assert query_of(server)[2] == [("created[gt]", "1"), ("created[lte]", "5"), ("limit", "3")]
        charges.sync(client=client, created=5)
        assert query_of(server)[2] == [("created", "5")]
    assert server.asked[0][2]["authorization"] == "Bearer sk_1"
    assert "x-api-key" not in server.asked[0][2]
    charge = models.Charge(amount=1, id="c", object_="charge")
    assert charge.from_dict({**charge.to_dict(), "status": None}) == charge


def test_a_form_lays_out_its_fields(described: Described, server: Server) -> None:
    """Maps go into brackets, arrays repeat their key, and an empty string clears."""
    load = described.package("stripe_customer_update")
    update, models = load("api.default.post_customers_customer"), load("models")
    server.body = b'{"id":"c","metadata":{"a":"b"}}'
    body = models.PostCustomersCustomerBody(
        email="e@x", balance=0, active=False, metadata={"a b": "c&d", "e": ""}, preferred_locales=["en", "fr"],
        address=models.PostCustomersCustomerBodyAddressType0(city="Z"),
    )  # fmt: skip
    with load().Client(**server.reached()) as client:
        assert update.sync(client=client, customer="c", body=body).metadata == {"a": "b"}
        update.sync(client=client, customer="c", body=models.PostCustomersCustomerBody(metadata=""))
    sent = [parse_qsl(content.decode(), keep_blank_values=True) for *_, content in server.asked]
    assert sorted(sent[0]) == [
        ("active", "false"), ("address[city]", "Z"), ("balance", "0"), ("email", "e@x"), ("metadata[a b]", "c&d"),
        ("metadata[e]", ""), ("preferred_locales", "en"), ("preferred_locales", "fr"),
    ]  # fmt: skip
    assert sent[1] == [("metadata", "")]


def test_null_can_be_sent_where_the_description_says_so(
    described: Described, server: Server
) -> None:
    """NULL is sent as null and read from null; None is what is left out, on both sides."""
    load = described.package("github_issue_update")
    update, models, null = load("api.issues.issues_update"), load("models"), load("null").NULL
    server.body = (
        b'{"number":1,"milestone":null,"reactions":{"total_count":3,"+1":1,"-1":2,"heart":0}}'
    )
    body = models.IssuesUpdateBody(milestone=null, closed_at=null, title=5, labels=["a"])
    expected = {"milestone": None, "closed_at": None, "title": 5, "labels": ["a"]}
    with load().Client(**server.reached()) as client:
        issue = update.sync(client=client, owner="o", repo="r", issue_number=1, body=body)
        update.sync(client=client, owner="o", repo="r", issue_number=1)
    assert json.loads(server.asked[0][3]) == expected
    assert server.asked[1][3] == b""
    assert models.IssuesUpdateBody.from_dict(expected) == body == pickle.loads(pickle.dumps(body))
    assert models.IssuesUpdateBody.from_dict({}).milestone is None
    assert models.IssuesUpdateBody.from_dict({"state_reason": "new"}).state_reason == "new"
    assert (issue.reactions.plus_1, issue.reactions.minus_1) == (1, 2)
    assert issue.to_dict() == json.loads(server.body)
    with pytest.raises(load("errors").ParseError, match=r"closed_at is not a date-time"):
        models.IssuesUpdateBody.from_dict({"closed_at": "x"})


def test_answers_of_other_types_are_text_or_bytes(described: Described, server: Server) -> None:
    """What is no JSON arrives as it is, a redirect is reported, and only what is read is accepted."""
    load = described.package("github_text_and_links")
    server.body = "é".encode()
    with load().Client(**server.reached()) as client:
        assert load("api.meta.meta_get_octocat").sync(client=client, s="x") == server.body
        assert load("api.meta.meta_get_zen").sync(client=client) == "é"
        assert load("api.markdown.markdown_render_raw").sync(client=client, body=b"# t") == "é"
        server.body = b'[{"id":1}]'
        assert plain(load("api.activity.activity_list_starred").sync(client=client)) == [{"id": 1}]
        server.status, server.headers = 302, {"location": "http://elsewhere.example"}
        archive = load("api.repos.repos_download_tarball_archive")
        found = client.send(archive.build_request(repo="o/r", ref="main"))
    assert found.headers["location"] == "http://elsewhere.example"
    kinds = [headers.get("accept") for _, _, headers, _ in server.asked[:4]]
    assert kinds == ["application/octocat-stream", "text/plain", "text/html", "application/json"]
    assert server.asked[2][2]["content-type"] == "text/plain"
    assert server.asked[2][3] == b"# t"
    assert server.asked[4][1] == "/prefix/repos/o%2Fr/tarball/main"
    with pytest.raises(load("errors").ParseError, match="is not text"):
        load("api.meta.meta_get_zen").parse_response(b"\xff")


def test_forms_carry_several_files(described: Described, server: Server) -> None:
    """Arrays repeat their field, objects are JSON, and a class may be called File too."""
    load = described.package("openai_files")
    models, file = load("models"), load("forms").File
    with load().Client(**server.reached()) as client:
        server.body = b'{"id":"f","bytes":3,"object":"file"}'
        after = models.CreateFileRequestExpiresAfter(anchor="created_at", seconds=5)
        body = models.CreateFileRequest(
            file=file(b"abc", "a.jsonl"), purpose="batch", expires_after=after
        )
        assert load("api.files.create_file").sync(client=client, body=body) == models.FileModel(
            id="f", bytes_=3
        )
        server.body = b"{}"
        body = models.CreateImageEditRequest(
            image=[file(b"1"), file(b"2")], prompt="p", transparent=True
        )
        load("api.images.create_image_edit").sync(client=client, body=body)
        server.body = b"\x00"
        assert load("api.files.download_file").sync(client=client, file_id="f") == b"\x00"
    first, second = server.asked[0][3], server.asked[1][3]
    assert (
        b'name="file"; filename="a.jsonl"\r\nContent-Type: application/octet-stream\r\n\r\nabc\r\n'
        in first
    )
    assert (
        b'name="expires_after"\r\nContent-Type: application/json\r\n\r\n{"anchor":"created_at","seconds":5}\r\n'
        in first
    )
    assert second.count(b'name="image"; filename="file"') == 2
    assert b'name="transparent"\r\n\r\ntrue\r\n' in second
