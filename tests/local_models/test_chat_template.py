"""The chat template writes ChatML, as the training text does."""

import json

import pytest

MESSAGES = [
    {"role": "system", "content": "Answer briefly."},
    {"role": "user", "content": "What colour is the sky?"},
    {"role": "assistant", "content": "blue"},
    {"role": "user", "content": "Sure? "},
]


@pytest.fixture(scope="module")
def template(folder):
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    return config["chat_template"]


def test_the_template_names_the_marks_of_the_tokenizer(template):
    """The template is there and opens the reply of the assistant when asked to."""
    assert "<|im_start|>" in template
    assert "<|im_end|>" in template
    assert "add_generation_prompt" in template


def test_the_template_renders_what_the_model_was_trained_on(template, chat):
    """Rendered by jinja, the template gives the text that chat.py wrote for training."""
    jinja2 = pytest.importorskip("jinja2")
    compiled = jinja2.Environment(autoescape=False, keep_trailing_newline=True).from_string(
        template
    )
    assert compiled.render(messages=MESSAGES) == chat.render(MESSAGES)
    assert compiled.render(messages=MESSAGES, add_generation_prompt=True) == chat.prompt(MESSAGES)
