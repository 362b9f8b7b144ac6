"""Tokenizers whose chat templates speak the dialects in use, made of the tokenizer that ships."""

from __future__ import annotations

import functools
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import processors

from tinkex import Tokenizer, get_tokenizer

_SHIPPED = Path(__file__).parents[2] / "tinkex/local/models/tiny-chat"
_BOS = {"bos_token": "<|endoftext|>", "add_bos_token": True}

_CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Writes tools, thoughts and calls, the arguments as JSON.
_RICH = """\
{%- if tools %}<|im_start|>system
Tools: {% for t in tools %}{{ t | tojson }}
{% endfor %}<|im_end|>
{% endif %}{%- for m in messages %}<|im_start|>{{ m.role }}
{% if m.reasoning_content is defined and m.reasoning_content %}<think>{{ m.reasoning_content }}</think>
{% endif %}{{ m.content }}{% if m.tool_calls %}{% for c in m.tool_calls %}
<tool_call>{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}</tool_call>\
{% endfor %}{% endif %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
# Begins with the begin-of-text token and trims what is said, as Llama 3 does.
_BEGUN = """\
{{- bos_token }}{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content | trim }}<|im_end|>{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
# Refuses a system message and two messages of one side, as Gemma does.
_STRICT = """\
{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}\
{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}\
{{ raise_exception('roles must alternate') }}{% endif %}\
<|im_start|>{{ 'model' if m.role == 'assistant' else m.role }}
{{ m.content | trim }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>model
{% endif %}"""
# Drops the thoughts of turns before the last question, as Qwen 3 does.
_FORGETFUL = """\
{%- if messages[0].role == 'system' %}<|im_start|>system
{{ messages[0].content }}<|im_end|>
{% endif %}{%- set ns = namespace(last=messages|length-1) %}{%- for m in messages[::-1] %}\
{%- set i = (messages|length-1) - loop.index0 %}{%- if m.role == 'user' and ns.last == messages|length-1 %}\
{%- set ns.last = i %}{%- endif %}{%- endfor %}{%- for m in messages %}\
{%- if m.role == 'user' %}<|im_start|>user
{{ m.content }}<|im_end|>
{% elif m.role == 'assistant' %}<|im_start|>assistant
{% if loop.index0 > ns.last %}<think>
{{ m.reasoning_content|default('')|trim }}
</think>

{% endif %}{{ m.content }}<|im_end|>
{% elif m.role == 'tool' %}<|im_start|>user
<tool_response>
{{ m.content }}
</tool_response><|im_end|>
{% endif %}{%- endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% if enable_thinking is defined and enable_thinking is false %}<think>

</think>

{% endif %}{% endif %}"""
# Marks the assistant's words, for transformers.
_MARKED = """\
{% for m in messages %}{% if m.role == 'assistant' %}<|im_start|>assistant
{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}
{% else %}<|im_start|>{{ m.role }}
{{ m.content }}<|im_end|>
{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
_DATED = """\
<|im_start|>system
Today is {{ strftime_now("%d %B %Y") }}.<|im_end|>
"""
_WITH_DEFAULT = """\
{% if messages[0]['role'] != 'system' %}<|im_start|>system
You are helpful.<|im_end|>
{% endif %}"""
# Loops over arguments, as Qwen 3 Coder and GLM do.
_ITEMS = """\
{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}{% if m.tool_calls %}{% for c in m.tool_calls %}<tool_call><function={{ c.function.name }}>\
{% for k, v in c.function.arguments|items %}<parameter={{k}}>{{v}}</parameter>{% endfor %}</function>\
</tool_call>{% endfor %}{% endif %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
_NO_END = """\
{% for m in messages %}### {{ m.role }}:
{{ m.content }}
{% endfor %}{% if add_generation_prompt %}### assistant:
{% endif %}"""
# Writes arguments as they are given: wants a text of JSON, as Mistral's and DeepSeek's do.
_RAW = """\
{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}{% for c in m.tool_calls or [] %}[{{ c.id }}|{{ c.function.name }}|{{ c.function.arguments }}]\
{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
# Calls thoughts by another name, as gpt-oss does, and knows no developer.
_THINKING = """\
{% for m in messages if m.role != 'developer' %}<|im_start|>{{ m.role }}
{% if m.thinking %}({{ m.thinking }}) {% endif %}{{ m.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""

TEMPLATES: dict[str, Any] = {
    "rich": _RICH,
    "file": _RICH,
    "named": [{"name": "default", "template": _CHATML}, {"name": "tool_use", "template": _RICH}],
    "begun": _BEGUN,
    "plain": None,
    "strict": _STRICT,
    "forgetful": _FORGETFUL,
    "marked": _MARKED,
    "dated": _DATED + _MARKED,
    "default system": _WITH_DEFAULT + _MARKED,
    "items": _ITEMS,
    "no end": _NO_END,
    "raw": _RAW,
    "thinking": _THINKING,
}
DIALECTS = tuple(TEMPLATES)


@functools.cache
def folder_of(dialect: str) -> Path:
    """Write a tokenizer's folder, once in a run of the tests, and return it."""
    folder = Path(_home().name) / dialect.replace(" ", "-")
    folder.mkdir()
    config = json.loads((_SHIPPED / "tokenizer_config.json").read_text(encoding="utf-8"))
    template = TEMPLATES[dialect]
    del config["chat_template"]
    if dialect == "file":
        (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    elif template is not None:
        config["chat_template"] = template
    shutil.copy(_SHIPPED / "tokenizer.json", folder)
    if dialect in ("begun", "plain"):
        config |= _BOS
        backend = tokenizers.Tokenizer.from_file(str(_SHIPPED / "tokenizer.json"))
        bos = backend.token_to_id("<|endoftext|>")
        backend.post_processor = processors.TemplateProcessing(
            single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", bos)]
        )
        backend.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


@functools.cache
def dialect_tokenizer(dialect: str) -> Tokenizer:
    """Return the tokenizer of a dialect."""
    return get_tokenizer(folder_of(dialect))


@functools.cache
def _home() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="tinkex-dialects-")
