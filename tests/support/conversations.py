"""Conversations of every kind, made by hypothesis: roles, calls, thoughts, weights, empty parts."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st
from support.extent import extent

# TINKEX_CONVERSATIONS=1000 tries as many with each template.
COUNT = extent("CONVERSATIONS", 20, 300)

EDGES = st.sampled_from(["", "", " ", "\n", "\n\n", "  \n"])
INNER = st.sampled_from(["", "", " and ", "\n", '"', "{}", "\\", "<think>", "</think>", "ü", "🙂", "<|im_end|>"])  # fmt: skip


@st.composite
def texts(draw: Any, words: Iterator[int]) -> str:
    """A text with words that stand nowhere else."""
    parts = [f"w{next(words)}x" for _ in range(draw(st.integers(1, 2)))]
    return f"{draw(EDGES)}{draw(INNER).join(parts)}{draw(INNER)}{draw(EDGES)}"


@st.composite
def calls(draw: Any, words: Iterator[int]) -> dict[str, Any]:
    """A call in one of the forms of APIs."""
    arguments: Any = draw(
        st.dictionaries(
            st.sampled_from(["city", "unit", "days"]),
            st.one_of(st.builds(lambda: f"w{next(words)}x"), st.integers(-9, 9), st.booleans()),
            max_size=3,
        )
    )
    if draw(st.booleans()):
        arguments = json.dumps(arguments)
    function = {"name": f"w{next(words)}x", "arguments": arguments}
    if draw(st.booleans()):
        return function
    return {"id": f"w{next(words)}x", "type": "function", "function": function}


@st.composite
def messages(draw: Any, words: Iterator[int], role: str) -> dict[str, Any]:
    """A message, seldom with a speaker's name, which most templates ignore."""
    message: dict[str, Any] = {"role": role, "content": draw(texts(words))}
    if role == "assistant":
        if draw(st.integers(0, 3)) == 0:
            message["tool_calls"] = draw(st.lists(calls(words), min_size=1, max_size=2))
            message["content"] = draw(st.sampled_from([None, "", message["content"]]))
        if draw(st.integers(0, 3)) == 0:
            message["reasoning_content"] = draw(texts(words))
        weight = draw(st.sampled_from([None, None, None, 1, 0, 0.5]))
        if weight is not None:
            message["weight"] = weight
        if weight == 0 and draw(st.booleans()):
            message["content"] = ""
    if role == "tool" and draw(st.booleans()):
        message["tool_call_id"] = f"w{next(words)}x"
    if draw(st.integers(0, 9)) == 0:
        message["name"] = f"w{next(words)}x"
    return message


@st.composite
def conversations(draw: Any) -> dict[str, Any]:
    """A row with messages, and sometimes with tools."""
    words = itertools.count()
    roles = draw(st.sampled_from([[], [], ["system"], ["developer"]]))
    for _ in range(draw(st.integers(1, 3))):
        roles = [*roles, *draw(st.sampled_from([["user"], ["user"], ["user", "user"], []]))]
        roles += draw(st.sampled_from([[], [], ["assistant", "tool"]]))
        roles += ["assistant"] * draw(st.integers(0, 2))
    found: dict[str, Any] = {"messages": [draw(messages(words, role)) for role in roles]}
    if draw(st.integers(0, 3)) == 0:
        tool = {"name": f"w{next(words)}x", "description": f"w{next(words)}x"}
        found["tools"] = [{"type": "function", "function": tool}]
    return found
