"""Messages as chat templates take them, from the dialects that APIs and data sets write."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinkex.recipes.examples import Conversation
from tinkex.recipes.mistakes import WrongFieldError
from tinkex.recipes.texts import kind_of, parsed

ROLES = ("system", "developer", "user", "assistant", "tool")
# What other dialects call them.
_ROLE_NAMES = {"function": "tool"}
_SPEAKERS = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "assistant": "assistant",
    "system": "system",
    "tool": "tool",
    "observation": "tool",
    "function_response": "tool",
    "function_call": "assistant",
}
REASONING = "reasoning_content"
REASONING_NAMES = (REASONING, "reasoning", "thinking")
"""What templates call the thoughts before an answer, the usual name first."""
_SMALLEST, _LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


def conversation_of(
    number: int, messages: Sequence[Any], tools: Any, *, path: str, context: int = 0
) -> Conversation:
    """Return a conversation in the form that templates take.

    Args:
        number: The line.
        messages: The messages as they stand there.
        tools: The tools as they stand there: a list, or a JSON text of one.
        path: The field of the messages, for errors.
        context: So many messages at the beginning are only read.

    Raises:
        WrongFieldError: Something in it cannot be what it should be.
    """
    if not messages:
        raise WrongFieldError(path, "must be a list of at least one message")
    read = [
        _message(message, f"{path}[{index}]", is_context=index < context)
        for index, message in enumerate(messages)
    ]
    weights = [weight for _, weight in read]
    if not any(weights):
        has_answer = any(message["role"] == "assistant" for message, _ in read)
        raise WrongFieldError(
            path,
            "every message of the assistant has weight 0: nothing to learn"
            if has_answer
            else "no message has the role assistant: nothing to learn",
        )
    return Conversation(number, [message for message, _ in read], weights, _tools(tools))


def listed(value: Any, path: str) -> list[Any]:
    """Return a list, also one that a table holds as a JSON text."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = _parsed_at(path, value)
    if not isinstance(value, list):
        raise WrongFieldError(path, f"must be a list of messages, not {a(kind_of(value))}")
    return value


def text_of(value: Any, path: str, *, may_be_empty: bool = False, may_be_blank: bool = True) -> str:
    """Return a text that a tokenizer can read.

    Raises:
        WrongFieldError: It is none, holds half of a surrogate pair, or nothing is in it.
    """
    if not isinstance(value, str):
        raise WrongFieldError(path, f"must be a text, not {kind_of(value)}")
    if not value and not may_be_empty:
        raise WrongFieldError(path, "is empty: nothing to learn")
    if not may_be_blank and not value.strip():
        raise WrongFieldError(path, "is white space only: nothing to learn")
    _check_characters(value, path)
    return value


def _check_characters(value: str, path: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise WrongFieldError(
            path, f"holds half of a surrogate pair at position {error.start}, which is no character"
        ) from None


def _check_value(value: Any, path: str) -> None:
    """Refuse what JSON cannot write, wherever it stands in a value."""
    if isinstance(value, str):
        _check_characters(value, path)
    elif isinstance(value, float) and not math.isfinite(value):
        raise WrongFieldError(path, f"is {value}, which JSON does not have")
    elif isinstance(value, Mapping):
        for key, one in value.items():
            _check_characters(key, f"{path}.{key!a}")
            _check_value(one, f"{path}.{key}")
    elif isinstance(value, list):
        for index, one in enumerate(value):
            _check_value(one, f"{path}[{index}]")
    elif not isinstance(value, int | float | bool | None):
        raise WrongFieldError(path, f"is a {type(value).__name__}, which JSON does not have")


def _message(message: Any, path: str, is_context: bool) -> tuple[dict[str, Any], float]:
    if not isinstance(message, Mapping):
        raise WrongFieldError(path, f"must be an object, not {a(kind_of(message))}")
    given = dict(message)
    if "role" not in given and "from" in given:
        given = _from_sharegpt(given, path)
    role = given.pop("role", None)
    role = _ROLE_NAMES.get(role, role) if isinstance(role, str) else role
    if role not in ROLES:
        said = f"not {role!r:.50}" if "role" in message else "and is missing"
        raise WrongFieldError(f"{path}.role", f"must be one of {', '.join(ROLES)}, {said}")
    weight = _weight(given.pop("weight", None), f"{path}.weight", role, is_context)
    made: dict[str, Any] = {"role": role, "content": ""}
    content = _content(given, path, made)
    calls = _calls(given, path)
    # Null, and empty lists, say nothing; exports of APIs are full of them.
    rest = {name: one for name, one in given.items() if one is not None and one not in ("", [], {})}
    for name, value in rest.items():
        _check_value(value, f"{path}.{name}")
    names = [name for name in REASONING_NAMES if name in rest]
    if len(names) == 1:
        rest = {REASONING if name == names[0] else name: one for name, one in rest.items()}
    if REASONING in made and REASONING in rest:
        raise WrongFieldError(f"{path}.{names[0]}", "is given, and so are thoughts in the content")
    made |= rest
    if calls:
        made["tool_calls"] = calls
    says_more = bool(calls) or (role == "assistant" and REASONING in made)
    if content is None and not says_more:
        raise WrongFieldError(f"{path}.content", "must be a text, not null")
    made["content"] = content or ""
    if weight and not made["content"].strip() and not says_more:
        what = "white space only" if content else "empty"
        raise WrongFieldError(f"{path}.content", f"is {what}: nothing to learn")
    return made, weight


def _from_sharegpt(given: dict[str, Any], path: str) -> dict[str, Any]:
    speaker = given.pop("from")
    role = _SPEAKERS.get(speaker) if isinstance(speaker, str) else None
    if role is None:
        raise WrongFieldError(
            f"{path}.from", f"must be one of {', '.join(_SPEAKERS)}, not {speaker!r:.50}"
        )
    if "value" not in given:
        raise WrongFieldError(f"{path}.value", "is missing")
    value = given.pop("value")
    if speaker == "function_call":
        try:
            calls = parsed(text_of(value, f"{path}.value"))
        except WrongFieldError as error:
            raise WrongFieldError(f"{path}.value", f"must be a call as JSON; {error}") from None
        return {**given, "role": role, "tool_calls": calls if isinstance(calls, list) else [calls]}
    return {**given, "role": role, "content": value}


def _weight(value: Any, path: str, role: str, is_context: bool) -> float:
    if value is None:
        return 1.0 if role == "assistant" and not is_context else 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise WrongFieldError(path, f"must be a number of at least 0, not {value!r}")
    if value and not _SMALLEST <= value <= _LARGEST:
        raise WrongFieldError(
            path,
            f"must be 0, or between {_SMALLEST:.2g} and {_LARGEST:.2g} (float32), not {value!r:.40}",
        )
    if value and role != "assistant":
        raise WrongFieldError(
            path, f"must be 0 or left out: a {role} message is no answer to learn"
        )
    return float(value)


def _content(given: dict[str, Any], path: str, made: dict[str, Any]) -> str | None:
    """Take what is said out of a message; thoughts among its parts go where templates look."""
    content: str | None
    content, refusal = given.pop("content", None), given.pop("refusal", None)
    if isinstance(content, list):
        content = _joined(content, f"{path}.content", made)
    elif content is not None:
        content = text_of(content, f"{path}.content", may_be_empty=True)
    if refusal is None:
        return content
    said = text_of(refusal, f"{path}.refusal", may_be_empty=True)
    if said and content:
        raise WrongFieldError(f"{path}.refusal", "is given, and so is content; keep one of them")
    return said or content


def _joined(parts: list[Any], path: str, made: dict[str, Any]) -> str:
    texts: list[str] = []
    for index, part in enumerate(parts):
        where = f"{path}[{index}]"
        kind = part.get("type") if isinstance(part, Mapping) else None
        if isinstance(part, str):
            texts.append(text_of(part, where, may_be_empty=True))
        elif kind in ("text", "input_text", "output_text", "refusal"):
            key = "refusal" if kind == "refusal" else "text"
            texts.append(text_of(part.get(key), f"{where}.{key}", may_be_empty=True))
        elif kind in ("thinking", "reasoning"):
            key = next((name for name in ("thinking", "reasoning", "text") if name in part), kind)
            thought = text_of(part.get(key), f"{where}.{key}", may_be_empty=True)
            if any(text.strip() for text in texts):
                raise WrongFieldError(
                    where, "thinks after the text; templates write thoughts first"
                )
            made[REASONING] = made.get(REASONING, "") + thought
        else:
            raise WrongFieldError(
                where, 'must be {"type": "text", "text": "..."}: only text is trained'
            )
    return "".join(texts)


def _calls(given: dict[str, Any], path: str) -> list[dict[str, Any]]:
    """Take the calls of tools out of a message, each as {"type", "function": {name, arguments}}."""
    calls, old = given.pop("tool_calls", None), given.pop("function_call", None)
    if isinstance(calls, str) and calls.lstrip().startswith("["):
        calls = listed(calls, f"{path}.tool_calls")
    if calls and old:
        raise WrongFieldError(f"{path}.function_call", "is given, and so is tool_calls")
    if old:
        return [_call(old, f"{path}.function_call")]
    if calls is not None and not isinstance(calls, list):
        raise WrongFieldError(
            f"{path}.tool_calls", f"must be a list of calls, not {a(kind_of(calls))}"
        )
    return [_call(one, f"{path}.tool_calls[{index}]") for index, one in enumerate(calls or [])]


def _call(call: Any, path: str) -> dict[str, Any]:
    if not isinstance(call, Mapping):
        raise WrongFieldError(path, f"must be an object, not {a(kind_of(call))}")
    inner = call.get("function")
    if isinstance(inner, Mapping):
        outer = {name: one for name, one in call.items() if name != "function"}
        function, where = dict(inner), f"{path}.function"
    else:
        outer = {name: one for name, one in call.items() if name not in ("name", "arguments")}
        function = {name: call[name] for name in ("name", "arguments") if name in call}
        where = path
    name = function.get("name")
    if not isinstance(name, str) or not name:
        raise WrongFieldError(f"{where}.name", "must be the name of a function")
    function["arguments"] = _arguments(function.get("arguments"), f"{where}.arguments")
    made = {**{key: one for key, one in outer.items() if one is not None}, "function": function}
    made.setdefault("type", "function")
    _check_value(made, path)
    return made


def _parsed_at(path: str, text: str) -> Any:
    try:
        return parsed(text)
    except WrongFieldError as error:
        raise WrongFieldError(path, f"is a text, and {error}") from None


def _arguments(value: Any, path: str) -> str | dict[str, Any]:
    """Return arguments as they were given, an object or the JSON text of one."""
    if value is None or value == "":
        return {}
    if isinstance(value, Mapping):
        return dict(value)
    if not isinstance(value, str):
        raise WrongFieldError(path, f"must be an object or its JSON text, not {a(kind_of(value))}")
    _check_characters(value, path)
    found = _parsed_at(path, value)
    if not isinstance(found, dict):
        raise WrongFieldError(path, f"must be a JSON object, not {a(kind_of(found))}")
    _check_value(found, path)
    return value


def _tools(value: Any) -> list[dict[str, Any]] | None:
    if isinstance(value, str) and value.strip():
        value = _parsed_at("tools", value)
    if not value:
        return None
    if not isinstance(value, list) or not all(isinstance(tool, Mapping) for tool in value):
        raise WrongFieldError("tools", "must be a list of objects")
    _check_value(value, "tools")
    return [_tool(tool) for tool in value]


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Return a description as templates take it: the function within an object of its kind."""
    if "function" in tool or "name" not in tool:
        return dict(tool)
    return {
        "type": "function",
        "function": {key: one for key, one in tool.items() if key != "type"},
    }


def a(kind: str) -> str:
    """Return the name of a kind with its article."""
    return (
        kind
        if kind in ("null", "true or false")
        else f"an {kind}"
        if kind == "object"
        else f"a {kind}"
    )
