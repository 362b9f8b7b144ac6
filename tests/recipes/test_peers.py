"""Where transformers is installed: the same text, the same tokens, the same answers marked.

It is no development dependency (it is large); `tests/tokenizer/test_peers.py` says how to run these.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from support.chat_dialects import TEMPLATES, dialect_tokenizer, folder_of
from support.conversations import COUNT, conversations

from tinkex.errors import ValidationError
from tinkex.recipes import Conversation, read_examples, tokenize

pytestmark = pytest.mark.filterwarnings("ignore")

transformers = pytest.importorskip("transformers")

MARKED = ("marked", "dated", "default system")
# Spelled otherwise than transformers is given them, or written again for each response.
DIALECTS = [one for one in TEMPLATES if one not in ("plain", "raw", "thinking", "forgetful")]


@pytest.fixture(scope="module")
def peers() -> dict[str, Any]:
    """Read every folder with transformers."""
    load = transformers.PreTrainedTokenizerFast.from_pretrained
    return {dialect: load(folder_of(dialect)) for dialect in DIALECTS}


def as_given(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message as transformers' documentation asks for it: arguments are objects."""
    made = dict(message)
    for name in ("tool_calls",):
        if name in made:
            made[name] = [
                {**call, "function": {**call["function"], "arguments": loaded(call)}}
                for call in made[name]
            ]
    return made


def loaded(call: dict[str, Any]) -> Any:
    arguments = call["function"]["arguments"]
    return json.loads(arguments) if isinstance(arguments, str) else arguments


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=COUNT, suppress_health_check=list(HealthCheck))
@given(record=conversations())
def test_transformers_writes_the_same(
    dialect: str, record: dict[str, Any], peers: dict[str, Any]
) -> None:
    """Text, tokens, and, where the template marks them, answers."""
    for message in record["messages"]:
        message.pop("name", None)
        message.pop("weight", None)
        if dialect not in ("rich", "file", "named"):
            message.pop("reasoning_content", None)
        assume(not (message["content"] or "").rstrip().endswith("<|im_end|>"))
    try:
        (example,) = read_examples([record]).examples
        found = tokenize([example], dialect_tokenizer(dialect)).examples
    except ValidationError:
        return
    assert isinstance(example, Conversation)
    assume(len(found) == 1)
    messages = [as_given(dict(message)) for message in example.messages]
    peer = peers[dialect]
    text = peer.apply_chat_template(messages, tools=example.tools, tokenize=False)
    ids = peer(text, add_special_tokens=False)["input_ids"]
    assert found[0].tokens.tolist() == ids
    if dialect in MARKED:
        marked = peer.apply_chat_template(
            messages, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
        )
        assert marked["input_ids"] == ids
        assert (found[0].weights > 0).astype(int).tolist() == marked["assistant_masks"]
