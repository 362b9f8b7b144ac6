"""What of a conversation its text does not say, found out by rendering with and without it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve, field, frozen

from tinkex.errors import TokenizerError
from tinkex.recipes.examples import Conversation
from tinkex.recipes.mistakes import WrongFieldError

Render = Callable[[Conversation], list[str]]
Path = tuple[str | int, ...]

# They tie a call to its result, and models read that from the order. Where a template does not
# write them, they are counted, as an `id` of the line is.
_BOOKKEEPING = {"call_id", "id", "index", "strict", "tool_call_id", "type"}
# Templates compare these with words of their own.
_COMPARED = {"enum", "format", "required", "role", "type"}
# Characters that no text has, to find values again.
_FIRST_MARK = 0xF0000
_MOST_MARKS = 0x7FFE
_MARK = re.compile("[\U000f0000-\U000ffffd]")


@frozen
class Lost:
    """A field that a text does not say.

    Attributes:
        name: The field, such as "reasoning_content".
        shown: Where it stands, for messages.
        is_partial: Whether a part of it is there.
    """

    name: str
    shown: str
    is_partial: bool = False


@frozen
class Unwritten:
    """What a text does not say.

    Attributes:
        ignored: Fields that mean something.
        counted: Names of fields that only keep the books.
    """

    ignored: Sequence[Lost]
    counted: Sequence[str]


@frozen
class _Unit:
    """A value that is there as a whole or lost as a whole.

    Attributes:
        path: The way to it.
        name: The field, as the user may accept its loss.
        shown: Where it stands, for messages.
    """

    path: Path
    name: str
    shown: str
    is_bookkeeping: bool = field(init=False)

    @is_bookkeeping.default
    def _tells_no_meaning(self) -> bool:
        return self.name in _BOOKKEEPING


def unwritten(
    example: Conversation, texts: Sequence[str], render: Render, included: int
) -> Unwritten:
    """Return what the texts of a conversation do not say.

    All values are marked at once and looked for in one more rendering. Where that is not enough
    (a value is a number, it is not found, or the marks change what the template does), the
    conversation is rendered without the value: if the texts are the same, it is lost.

    Args:
        example: The conversation, in the words of its template.
        texts: Its texts.
        render: Makes the texts of a conversation.
        included: So many of its messages are meant to be in them.
    """
    root = {"messages": list(example.messages[:included]), "tools": list(example.tools or ())}
    units = list(_units(root))
    marks = _Marks(root, units, texts)
    marked = marks.found_in(example, render)
    ignored: list[Lost] = []
    counted: dict[str, None] = {}
    for unit in units:
        found = None if marked is None else marks.state(unit, marked)
        if unit.is_bookkeeping:
            if found == "lost" or (found is None and not _is_in(_at(root, unit.path), texts)):
                counted[unit.name] = None
            continue
        is_partial = found == "partial"
        if found == "whole" or (not is_partial and _matters(unit, example, texts, render)):
            if found is not None or _is_whole(_at(root, unit.path), unit, texts):
                continue
            is_partial = True
        ignored.append(Lost(unit.name, unit.shown, is_partial))
    return Unwritten(ignored, list(counted))


def _units(root: Mapping[str, Any]) -> Iterator[_Unit]:
    for index, message in enumerate(root["messages"]):
        where = f"messages[{index}]"
        for name, value in message.items():
            path: Path = ("messages", index, name)
            if name == "role" or _says_nothing(value):
                continue
            if name == "tool_calls":
                for number, call in enumerate(value):
                    yield from _parts(call, (*path, number), f"{where}.tool_calls[{number}]", name)
            elif name == "content":
                yield _Unit(path, name, f"the content of messages with the role {message['role']}")
            else:
                yield _Unit(path, name, f"{where}.{name}")
    for number, tool in enumerate(root["tools"]):
        yield from _parts(tool, ("tools", number), f"tools[{number}]", "tools")


def _parts(value: Mapping[str, Any], path: Path, shown: str, field_name: str) -> Iterator[_Unit]:
    """Yield the parts of a call or of a tool."""
    for name, one in value.items():
        if name == "function" and isinstance(one, Mapping):
            yield from _parts(one, (*path, name), f"{shown}.{name}", field_name)
        elif name in _BOOKKEEPING:
            # What kind of thing it is, is said by where it stands.
            if name != "type" and not _says_nothing(one):
                yield _Unit((*path, name), name, f"{shown}.{name}")
        elif not _says_nothing(one):
            yield _Unit((*path, name), field_name, f"{shown}.{name}")


def _says_nothing(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip() in ("", "{}")
    return value is None or value in ([], {})


class _Marks:
    """Marks around every text of a conversation, each a character that stands nowhere else."""

    def __init__(self, root: Any, units: Sequence[_Unit], texts: Sequence[str]) -> None:
        self._root = root
        self._texts = list(texts)
        self._leaves = {unit.path: list(_leaves(_at(root, unit.path), unit.path)) for unit in units}
        leaves = [leaf for found in self._leaves.values() for leaf in found]
        # Of more values than there are characters, each is tried by itself.
        self._marks = {
            leaf: (chr(_FIRST_MARK + 2 * n), chr(_FIRST_MARK + 2 * n + 1))
            for n, leaf in enumerate(leaves if len(leaves) <= _MOST_MARKS else ())
        }

    def found_in(self, example: Conversation, render: Render) -> str | None:
        """Return the text of the conversation with its marks, or None if they change it."""
        if not self._marks or any(_MARK.search(text) for text in self._texts):
            return None
        root = _copied(self._root)
        for leaf, (before, after) in self._marks.items():
            value = str(_at(root, leaf))
            core = value.strip()
            head = value[: value.index(core)]
            _set(root, leaf, f"{head}{before}{core}{after}{value[len(head) + len(core) :]}")
        try:
            texts = render(_with(example, root))
        except (TokenizerError, WrongFieldError):
            return None
        if [_MARK.sub("", text) for text in texts] != self._texts:
            return None
        return "".join(texts)

    def state(self, unit: _Unit, text: str) -> str | None:
        """Return "whole", "partial" or "lost"; None where marks cannot tell."""
        edges = [mark in text for leaf in self._leaves[unit.path] for mark in self._marks[leaf]]
        if not edges:
            return None
        return "whole" if all(edges) else "partial" if any(edges) else "lost"


def _leaves(value: Any, path: Path) -> Iterator[Path]:
    """Yield the ways to the texts of a value that can be marked."""
    if isinstance(value, str):
        if value.strip():
            yield path
    elif isinstance(value, Mapping):
        for key, one in value.items():
            if key not in _COMPARED:
                yield from _leaves(one, (*path, key))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _leaves(one, (*path, index))


def _matters(unit: _Unit, example: Conversation, texts: Sequence[str], render: Render) -> bool:
    """Return whether the texts of a conversation differ from those without a value."""
    root = _copied({"messages": list(example.messages), "tools": list(example.tools or ())})
    *head, last = unit.path
    parent = _at(root, tuple(head))
    if last in ("content", "name", "arguments"):
        # Templates take for granted that these are there.
        value = parent[last]
        parent[last] = {} if isinstance(value, Mapping) else "{}" if last == "arguments" else ""
        if unit.path[0] == "messages" and len(unit.path) == 3 and last == "name":
            del parent[last]
    else:
        del parent[last]
    try:
        return render(_with(example, root)) != list(texts)
    except (TokenizerError, WrongFieldError):
        # What it cannot be rendered without is written.
        return True


def _is_whole(value: Any, unit: _Unit, texts: Sequence[str]) -> bool:
    """Return whether a text that matters is there from its beginning to its end."""
    if not isinstance(value, str) or unit.path[-1] == "arguments":
        return True
    return _is_in(value, texts)


def _is_in(value: Any, texts: Sequence[str]) -> bool:
    said = str(value).strip()
    forms = (said, json.dumps(said)[1:-1], json.dumps(said, ensure_ascii=False)[1:-1])
    return any(form in text for form in forms for text in texts)


def _with(example: Conversation, root: Mapping[str, Any]) -> Conversation:
    rest = list(example.messages[len(root["messages"]) :])
    return evolve(example, messages=[*root["messages"], *rest], tools=root["tools"] or None)


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(one) for key, one in value.items()}
    return [_copied(one) for one in value] if isinstance(value, list) else value


def _at(root: Any, path: Path) -> Any:
    for step in path:
        root = root[step]
    return root


def _set(root: Any, path: Path, value: Any) -> None:
    _at(root, path[:-1])[path[-1]] = value
