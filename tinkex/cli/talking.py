"""The loop of `tinkex chat`: messages, responses and commands."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tinkex.cli.conversation import Conversation
from tinkex.cli.failures import explained
from tinkex.cli.invocation import Invocation
from tinkex.cli.text import for_terminal, is_terminal
from tinkex.errors import TinkexError
from tinkex.recipes.formats import chat_format
from tinkex.tokenizer import get_tokenizer
from tinkex.types import SamplingParams

if TYPE_CHECKING:
    from tinkex.service import ServiceClient

_PROMPT = "> "
_COMMANDS = {
    "/help": "show this",
    "/system [TEXT]": "set or show the system prompt",
    "/reset": "start a new conversation",
    "/retry": "sample the last response again",
    "/save FILE.jsonl": "append the conversation to a file, as a line that `tinkex train` reads",
    "/load FILE.jsonl": "continue the last conversation of such a file",
    "/quit": "leave; so does Ctrl-D",
}


def talk(
    invocation: Invocation,
    *,
    base_model: str | None,
    model_path: str | None,
    system: str | None,
    chat_format: str,
    template_variables: dict[str, Any],
    tokenizer: str | None,
    load: Path | None,
    **drawing: Any,
) -> Any:
    """Talk until the input ends, and return the conversation."""
    params = SamplingParams(**drawing)
    with invocation.service() as service:
        with invocation.progress("Connecting"):
            conversation = _conversation(
                service, base_model, model_path, tokenizer, params, chat_format, template_variables
            )
        if load is not None:
            conversation.load(load)
        if system is not None:
            conversation.system = system
        _Talk(invocation, conversation).run(str(base_model or model_path))
    result = {"type": "chat", "messages": conversation.messages}
    if invocation.as_json:
        return invocation.show(result, list)
    return result


def _conversation(
    service: "ServiceClient",
    base_model: str | None,
    model_path: str | None,
    named: str | None,
    params: SamplingParams,
    kind: Any,
    variables: dict[str, Any],
) -> Conversation:
    sampler = service.create_sampling_client(model_path=model_path, base_model=base_model)
    tokenizer = get_tokenizer(named) if named is not None else sampler.get_tokenizer()
    model = base_model
    if model is None:
        with contextlib.suppress(TinkexError):
            model = sampler.get_base_model()
    context = None
    for one in service.get_server_capabilities().supported_models:
        if one.model_name == model:
            context = one.max_context_length
    chat = chat_format(tokenizer, kind, **variables)
    return Conversation(sampler, tokenizer, chat, params, context)


class _Talk:
    """A conversation of lines and responses."""

    def __init__(self, invocation: Invocation, conversation: Conversation) -> None:
        self._invocation = invocation
        self._conversation = conversation
        self._interactive = is_terminal(sys.stdin)

    def run(self, model: str) -> None:
        """Go on until the input ends or the user quits."""
        if self._interactive:
            self._invocation.note(f"{model}: /help lists the commands, Ctrl-D leaves")
        for line in self._lines():
            if line.startswith("/") and not line.startswith("//"):
                if not self._command(line):
                    return
            elif line.strip():
                self._answer(line.removeprefix("/") if line.startswith("//") else line)

    def _lines(self) -> Iterator[str]:
        if not self._interactive:
            yield from (line.rstrip("\r\n") for line in sys.stdin)
            return
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 - input() then has editing and a history
        while True:
            try:
                yield self._read()
            except EOFError:
                self._invocation.note("")
                return
            except KeyboardInterrupt:
                self._invocation.note("\n(Ctrl-D leaves)")

    def _read(self) -> str:
        """Read a message; a backslash at the end of a line continues it."""
        lines = [_input(_PROMPT)]
        while lines[-1].endswith("\\"):
            lines[-1] = lines[-1][:-1]
            lines.append(_input("  "))
        return "\n".join(lines)

    def _answer(self, text: str) -> None:
        pieces = self._conversation.respond(text)
        try:
            for piece in pieces:
                self._write(piece)
            self._write("\n")
        except KeyboardInterrupt:
            pieces.close()
            self._write("\n")
            if not self._interactive:
                raise
            self._invocation.note("(stopped)")
            return
        except TinkexError as error:
            self._write("\n")
            if not self._interactive:
                raise
            self._invocation.note(f"error: {explained(error)[0]}")
            return
        self._tell_limits()

    def _write(self, text: str) -> None:
        if self._invocation.as_json:
            return
        click.echo(for_terminal(text) if is_terminal(sys.stdout) else text, nl=False)
        sys.stdout.flush()

    def _tell_limits(self) -> None:
        talk = self._conversation
        if talk.stop_reason == "length":
            self._invocation.note(
                "(the response was cut off; --max-tokens sets its maximum length)"
            )
        if talk.left_out:
            self._invocation.note(
                f"(the {talk.left_out} oldest messages no longer fit into the context; /reset starts a new conversation)"
            )

    def _command(self, line: str) -> bool:
        """Run a command; return whether the conversation continues."""
        name, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        if name in ("/quit", "/exit"):
            return False
        does: dict[str, Callable[[str], None]] = {
            "/help": self._help,
            "/system": self._system,
            "/reset": self._reset,
            "/retry": self._retry,
            "/save": self._save,
            "/load": self._load,
        }
        if name not in does:
            self._invocation.note(
                f"there is no command {name}; /help lists them, and // begins a message with a /"
            )
            return True
        try:
            does[name](rest)
        except (TinkexError, OSError) as error:
            if not self._interactive:
                raise
            self._invocation.note(f"error: {explained(error)[0]}")
        return True

    def _help(self, _: str) -> None:
        for name, what in _COMMANDS.items():
            self._invocation.note(f"{name:18} {what}")
        self._invocation.note("A \\ at the end of a line continues it on the next one.")

    def _system(self, text: str) -> None:
        if text:
            self._conversation.system = text
        else:
            self._invocation.note(self._conversation.system or "(nothing)")

    def _reset(self, _: str) -> None:
        self._conversation.reset()

    def _retry(self, _: str) -> None:
        messages = self._conversation.messages
        if not messages or messages[-1]["role"] != "assistant":
            self._invocation.note("there is no response yet")
            return
        text = messages[-2]["content"]
        del messages[-2:]
        self._answer(text)

    def _save(self, name: str) -> None:
        if not name:
            self._invocation.note("name a file: /save talk.jsonl")
            return
        self._conversation.save(Path(name).expanduser())
        self._invocation.note(f"saved to {name}")

    def _load(self, name: str) -> None:
        if not name:
            self._invocation.note("name a file: /load talk.jsonl")
            return
        self._conversation.load(Path(name).expanduser())
        self._invocation.note(f"{len(self._conversation.messages)} messages loaded")


def _input(prompt: str) -> str:
    """Read a line; if stdout is not a terminal, it is kept for the responses."""
    if is_terminal(sys.stdout):
        return input(prompt)
    sys.stderr.write(prompt)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.rstrip("\n")
