"""`tinkex chat`: through a pipe, on a terminal, and with servers that cannot stream."""

from __future__ import annotations

import json
import os
import pty
import select
import threading
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.command import Shell, start
from support.interrupts import interrupt

from tinkex import SamplingParams, ServiceClient
from tinkex.cli.conversation import Conversation, _before_stop
from tinkex.cli.variables import template_variables
from tinkex.errors import ValidationError
from tinkex.local import LocalServer
from tinkex.recipes import chat_format
from tinkex.testing import Fault

TINY = ("--base-model", "tinkex/tiny-chat", "--temperature", "0")
SKY = "What colour is the sky?"


def said(done_out: str) -> list[dict[str, str]]:
    return json.loads(done_out)["messages"]


class Screen:
    """A chat on a terminal, with what it shows and the keys that are pressed."""

    def __init__(self, *arguments: str) -> None:
        self._controller, terminal = pty.openpty()
        self.process = start(
            "chat", *arguments, "--no-progress",
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env={**os.environ, "TERM": "dumb"},
            start_new_session=True,
        )  # fmt: skip
        os.close(terminal)
        self.shown = ""

    def press(self, keys: str) -> None:
        os.write(self._controller, keys.encode())

    def until(self, text: str) -> str:
        """Wait for a text, and return what was shown up to it."""
        while text not in self.shown:
            is_there, _, _ = select.select([self._controller], [], [], 60)
            assert is_there, f"nothing new for a minute, and no {text!r}: {self.shown}"
            try:
                piece = os.read(self._controller, 65536)
            except OSError:
                piece = b""
            assert piece, f"it ended without {text!r}: {self.shown}"
            self.shown += piece.decode().replace("\r\n", "\n")
        before, _, self.shown = self.shown.partition(text)
        return before

    def end(self) -> int:
        try:
            self.process.communicate(timeout=60)
        finally:
            self.process.kill()
            os.close(self._controller)
        return self.process.returncode


def test_ctrl_c_stops_the_answer_and_ctrl_d_leaves(shell: Shell, server: LocalServer) -> None:
    """The talk goes on after an answer that was stopped, and after Ctrl-C at the prompt."""
    held = Fault(on="stream_sample", hold=60.0)
    server.faults.add(held)
    screen = Screen(*TINY)
    try:
        screen.until("Ctrl-D leaves\n> ")
        screen.press(f"{SKY}\r")
        # Until it waits for the answer; the server has played other faults before.
        while all(one.fault is not held for one in server.faults.played):
            threading.Event().wait(0.01)
        interrupt(screen.process)
        screen.until("(stopped)")
        screen.until("> ")
        interrupt(screen.process)
        screen.until("(Ctrl-D leaves)")
        screen.press("What colour \\\r")
        screen.until("  ")
        screen.press("is grass?\r")
        assert "green" in screen.until("\n> ")
        screen.press("\x04")
    finally:
        server.faults.clear()
        code = screen.end()
    assert code == 0


def test_each_line_of_a_pipe_is_answered(shell: Shell) -> None:
    """Answers alone are on stdout, a line each; empty lines are nothing."""
    done = shell.process("chat", *TINY, stdin=f"{SKY}\n\nWhat colour is grass?\n")
    assert done.code == 0, done.err
    assert done.out == "blue\ngreen\n"
    assert done.err == ""


def test_the_conversation_as_json(shell: Shell) -> None:
    """It has the system's message, and what was said after it."""
    done = shell("chat", *TINY, "--system", "Be brief.", "--json", stdin=SKY)
    assert done.code == 0, done.err
    assert [message["role"] for message in said(done.out)] == ["system", "user", "assistant"]
    assert said(done.out)[0]["content"] == "Be brief."


def test_commands_stand_between_the_messages(shell: Shell) -> None:
    """They change the conversation, and what they say goes to stderr."""
    lines = ["/system Be brief.", "/system", SKY, "/retry", "/save talk.jsonl", "/reset"]
    lines += ["What colour is grass?", "/save talk.jsonl", "/reset", "/retry", "/save", "/load"]
    lines += ["/nonsense", "/help", "/load talk.jsonl", "/quit", "never read"]
    done = shell("chat", *TINY, "--json", stdin="\n".join(lines))
    assert done.code == 0, done.err
    kept = [json.loads(line)["messages"] for line in Path("talk.jsonl").read_text().splitlines()]
    assert [message["content"] for message in kept[0]][:2] == ["Be brief.", SKY]
    assert len(kept[0]) == 3
    assert [message["content"] for message in kept[1]][:2] == ["Be brief.", "What colour is grass?"]
    assert said(done.out) == kept[1]
    assert "Be brief.\n" in done.err
    assert "there is no response yet" in done.err
    assert "there is no command /nonsense" in done.err
    assert done.err.count("name a file: ") == 2
    assert "3 messages loaded" in done.err
    assert "leave; so does Ctrl-D" in done.err


def test_what_was_said_can_be_trained_on(shell: Shell) -> None:
    """A saved conversation is a line for `tinkex train`, and --load goes on with it."""
    shell("chat", *TINY, stdin=f"{SKY}\n/save talk.jsonl\n")
    done = shell("train", "talk.jsonl", "--base-model", "tinkex/nano", "--dry-run")
    assert done.code == 0, done.err
    assert "1 conversation" in done.out
    again = shell("chat", *TINY, "--load", "talk.jsonl", "--json", stdin="And grass?\n")
    assert len(said(again.out)) == 4
    Path("other.jsonl").write_text('{"text": "a b"}\n')
    wrong = shell("chat", *TINY, "--load", "other.jsonl")
    assert wrong.code == 2
    assert "its last line is no conversation" in wrong.err


def test_a_slash_can_begin_a_message(shell: Shell) -> None:
    """Two of them stand for one."""
    done = shell("chat", *TINY, "--json", "--max-tokens", "2", stdin="//help me\n")
    assert said(done.out)[0] == {"role": "user", "content": "/help me"}
    assert "the response was cut off" in done.err


def test_a_server_that_cannot_stream_answers_at_once(shell: Shell, server: LocalServer) -> None:
    """The answer is the same."""
    server.faults.add(Fault(on="stream_sample", status=404, times=None, every=1))
    try:
        done = shell("chat", *TINY, stdin=SKY)
    finally:
        server.faults.clear()
    assert done.code == 0, done.err
    assert done.out == "blue\n"


def test_a_model_without_a_template_is_talked_to_plainly(shell: Shell) -> None:
    """The answer ends where the model would go on with a question of its own."""
    options = ("--chat-format", "plain", "--max-tokens", "20", "--seed", "1")
    done = shell("chat", *TINY, *options, stdin=SKY)
    assert done.code == 0, done.err
    assert done.out.strip()
    assert "User:" not in done.out


def test_a_template_is_told_what_it_is_to_know(shell: Shell) -> None:
    """A value is JSON if it can be; a variable that the template does not read is refused."""
    unread = shell("chat", *TINY, "--template-variable", "enable_thinking=false", stdin=SKY)
    assert unread.code == 2
    assert "enable_thinking has no effect: the chat template of 'tinkex/tiny-chat'" in unread.err
    taken = shell("chat", *TINY, "--template-variable", "tools=[]", stdin=SKY)
    assert "tools cannot be a variable of a chat template" in taken.err
    ctx = click.Context(click.Command("chat"))
    found = template_variables(ctx, click.Option(["--v"]), ["a=false", "b=Monday", "c=[1]", "d="])
    assert found == {"a": False, "b": "Monday", "c": [1], "d": ""}


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ((*TINY, "--template-variable", "thinking"), 2, "is not NAME=VALUE"),
        ((), 2, "give one of --base-model NAME and --model-path PATH"),
        ((*TINY, "--model-path", "tinker://r/sampler_weights/a"), 2, "give one of"),
        (("--model-path", "tinker://r:train:0/sampler_weights/a"), 1, "not found"),
        ((*TINY, "--base-url", "https://example.invalid"), 3, "TINKER_API_KEY"),
    ],
)
def test_a_talk_that_cannot_begin_says_why(
    shell: Shell, arguments: tuple[str, ...], code: int, text: str
) -> None:
    """Each cause has its exit code."""
    done = shell("chat", *arguments, stdin=SKY)
    assert done.code == code, done.err
    assert text in done.err
    assert not done.out


def test_an_error_ends_a_pipe_and_not_a_talk(shell: Shell, server: LocalServer) -> None:
    """Where nobody can react the exit code says it."""
    server.faults.add(Fault(on="stream_sample", status=400))
    try:
        done = shell("chat", *TINY, stdin=f"{SKY}\n{SKY}\n")
    finally:
        server.faults.clear()
    assert done.code == 1
    assert done.out == "\n"
    assert "HTTP 400" in done.err


@pytest.fixture(scope="module")
def service(server: LocalServer) -> Iterator[ServiceClient]:
    with ServiceClient(base_url=server.base_url) as service:
        yield service


def talk(service: ServiceClient, context: int | None, max_tokens: int) -> Conversation:
    sampler = service.create_sampling_client(base_model="tinkex/tiny-chat")
    tokenizer = sampler.get_tokenizer()
    params = SamplingParams(max_tokens=max_tokens, temperature=0.0)
    return Conversation(sampler, tokenizer, chat_format(tokenizer), params, context)


def test_the_oldest_turns_go_when_there_is_no_room(service: ServiceClient) -> None:
    """The system's message stays, the conversation keeps all, and a message alone has to fit."""
    conversation = talk(service, context=64, max_tokens=16)
    conversation.system = "Be brief."
    for _ in range(4):
        assert list(conversation.respond(SKY))
    assert conversation.left_out >= 2
    assert conversation.left_out % 2 == 0
    assert len(conversation.messages) == 9
    with pytest.raises(ValidationError, match=r"message: it has more tokens .*\(64\)"):
        list(conversation.respond("much " * 80))
    assert len(conversation.messages) == 9
    tight = talk(service, context=20, max_tokens=500)
    assert "".join(tight.respond(SKY)) == "blue"


def interrupted(*_: object) -> Iterator[str]:
    raise KeyboardInterrupt
    yield ""


def test_an_answer_that_is_stopped_is_kept_as_far_as_it_came(service: ServiceClient) -> None:
    """So the model knows what was seen of it."""
    conversation = talk(service, context=None, max_tokens=32)
    pieces = conversation.respond("Tell me a story.")
    first = next(pieces)
    pieces.close()
    assert conversation.messages[-1] == {"role": "assistant", "content": first.rstrip()}
    assert conversation.stop_reason == "interrupted"
    early = talk(service, context=None, max_tokens=32)
    early._drawn = interrupted
    with pytest.raises(KeyboardInterrupt):
        next(early.respond("Tell me a story."))
    assert early.messages == []
    conversation.reset()
    assert conversation.messages == []


@given(st.text("abc", max_size=30), st.lists(st.text("abc", min_size=1, max_size=4), max_size=3))
def test_a_stop_is_found_however_the_text_is_cut(text: str, stops: list[str]) -> None:
    """Nothing after the one that is complete first is shown, and nothing before it is lost."""
    ends = [(place + len(stop), place) for stop in stops if (place := text.find(stop)) >= 0]
    wanted = text[: min(ends)[1]] if ends else text
    assert "".join(_before_stop(iter(text), stops)) == wanted
    assert "".join(_before_stop(iter([text]), stops)) == wanted
    halves = iter([text[: len(text) // 2], text[len(text) // 2 :]])
    assert "".join(_before_stop(halves, stops)) == wanted
