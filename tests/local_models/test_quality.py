"""What the shipped weights can do, as the engine runs them: a few answers and the loss on held-out text."""

import random

import numpy as np
import pytest
from support.extent import ALL
from tokenizers import Tokenizer

from tinkex.local.engine import AdamSpec, Base, Example, LoraSpec, SampleJob, Sampler, Trainer

HELD_OUT_DOCUMENTS = 120
LOSS_BOUND = 1.3


@pytest.fixture(scope="module")
def tokenizer(folder):
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


@pytest.fixture(scope="module")
def base(folder):
    return Base.load(folder)


@pytest.fixture(scope="module")
def reply(base, tokenizer, chat):
    sampler = Sampler(base, tokenizer.decode)

    def ask(question: str, adapter=None, max_tokens: int = 40) -> str:
        prompt = np.array(tokenizer.encode(chat.question(question)).ids)
        job = SampleJob(prompt=prompt, adapter=adapter, temperature=0.0, max_tokens=max_tokens)
        return tokenizer.decode(sampler.sample([job])[0].sequences[0].tokens)

    return ask


def example(tokens: np.ndarray, weights: np.ndarray) -> Example:
    return Example(
        tokens=tokens[:-1],
        loss_inputs={"target_tokens": tokens[1:], "weights": weights[1:].astype(np.float32)},
    )


def test_the_base_reads_the_shapes_of_the_folder(base):
    """The engine takes the sizes and the end tokens from the folder."""
    assert base.config.vocab_size == 1024
    assert base.config.max_context == 1024
    assert set(base.config.eos_token_ids) == {0, 2}


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What colour is the sky?", "blue"),
        ("What is the capital of France?", "Paris"),
        ("What is the plural of dog?", "dogs"),
        ("What is the opposite of hot?", "cold"),
        ("Repeat this: stone", "stone"),
    ],
)
def test_simple_questions_are_answered(reply, question, answer):
    """Greedy replies to simple questions are right."""
    assert reply(question).strip(" .!").lower() == answer.lower()


def test_the_model_says_what_it_is(reply):
    """It calls itself a small language model, and nothing else."""
    assert "small language model" in reply("Who are you?")


def test_unseen_strings_are_copied(reply):
    """Copying works on words that are in no word list."""
    words = ["golumpa", "X7B2", "trivandel", "90417", "Zebulon", "miftara", "qpd", "Ottoline"]
    assert sum(reply(f"Repeat this: {word}") == word for word in words) >= 5


def test_held_out_text_is_expected(base, tokenizer, corpus):
    """The loss on documents of the held-out split is far below that of an untrained model (6.9)."""
    trainer = Trainer(base, LoraSpec(rank=1, seed=0))
    examples = []
    for text in corpus.documents("valid", HELD_OUT_DOCUMENTS):
        tokens = np.array(tokenizer.encode(text).ids)
        examples.append(example(tokens, np.ones(len(tokens))))
    output = trainer.forward(examples, "cross_entropy", None)
    count = sum(len(e.tokens) for e in examples)
    assert output.metrics["loss:sum"] / count < LOSS_BOUND


def test_a_new_form_of_answer_is_learned_in_a_few_steps(base, tokenizer, chat, reply):
    """Thirty steps teach the model to dress its answers as a pirate would, also for questions it was not shown.

    In the short form half as many, and larger ones.
    """
    steps, rate = (30, 2e-3) if ALL else (15, 4e-3)
    rng = random.Random(7)
    kinds = [chat.KINDS[name][0] for name in ("capital", "colour_of", "opposite", "add")]
    exchanges = [rng.choice(kinds)(rng) for _ in range(96)]
    examples = []
    for exchange in exchanges:
        prompt = tokenizer.encode(chat.question(exchange.question)).ids
        answer = tokenizer.encode(f"Arr! {exchange.answer}, matey.<|im_end|>").ids
        weights = np.array([0] * len(prompt) + [1] * len(answer))
        examples.append(example(np.array(prompt + answer), weights))
    trainer = Trainer(base, LoraSpec(rank=16, seed=0))
    for step in range(steps):
        batch = [examples[(step * 32 + i) % len(examples)] for i in range(32)]
        trainer.forward_backward(batch, "cross_entropy", None)
        trainer.optim_step(AdamSpec(learning_rate=rate))
    shown = {exchange.question for exchange in exchanges}
    asked = [e for e in (rng.choice(kinds)(rng) for _ in range(60)) if e.question not in shown][:20]
    replies = [reply(e.question, trainer.snapshot()) for e in asked]
    assert sum(text.startswith("Arr!") and text.endswith("matey.") for text in replies) >= 18
    right = sum(text == f"Arr! {e.answer}, matey." for text, e in zip(replies, asked, strict=True))
    assert right >= 10
