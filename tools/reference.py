"""Write the reference: for each public name its signature and its whole docstring, as pages for the site."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import api_page
import attrs

import tinkex

# A section of a docstring, and how it is headed on the page.
HEADINGS = {"Args": "Parameters", "Attributes": "Attributes", "Returns": "Returns", "Yields": "Yields",
            "Raises": "Raises", "Example": "Example"}  # fmt: skip
SECTION = re.compile(rf"^({'|'.join(HEADINGS)}):\n((?:[ ]+.*\n?|\n)+)", re.MULTILINE)
ITEM = re.compile(r"^(\*{0,2}[\w.]+(?:, [\w.]+)*): ", re.MULTILINE)
EXAMPLE = re.compile(r"^>>> .*(?:\n(?!\n).+)*", re.MULTILINE)
LITERAL = re.compile(r"::\n\n((?:    .*\n|\n)+)")
NAME = re.compile(r"(?<!`)`([A-Za-z_][\w.]*)`(?!`)")
WIDTH = 88
# Classes that users are handed and never make.
HANDED_OUT = {
    "TrainingClient", "SamplingClient", "RestClient", "Future", "Tokenizer", "IncrementalDecoder",
}  # fmt: skip


def slug(title: str) -> str:
    """Return the file that a section of the reference is in."""
    return re.sub(r"[^a-z]+", "-", title.partition(":")[0].lower()).strip("-") + ".md"


def sections() -> Iterator[tuple[str, Any, list[str]]]:
    """Yield (title, module, names) of every page."""
    yield from api_page.SECTIONS
    errors = [
        name for name, value in vars(tinkex.errors).items()
        if inspect.isclass(value) and issubclass(value, tinkex.TinkexError)
    ]  # fmt: skip
    yield "Errors: tinkex.errors", tinkex.errors, errors


def anchors() -> dict[str, str]:
    """Return for each name, as docstrings write it, the page and heading that are about it."""
    found: dict[str, str] = {}
    for title, module, names in sections():
        for name in names:
            place = f"{slug(title)}#{name.lower()}"
            for written in (name, f"tinkex.{name}", f"{module.__name__}.{name}"):
                found.setdefault(written, place)
            thing = getattr(module, name)
            if inspect.isclass(thing):
                for member, _ in api_page.members(thing):
                    found.setdefault(f"{name}.{member}", f"{place}-{member.lower()}")
    return found


def kind(annotation: Any) -> str:
    """Return a type as a reader writes it, without the packages it lives in."""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return re.sub(r"\b(?:[a-z_]\w*\.)+(?=\w)", "", text.strip("'\""))


def default_text(default: Any) -> str:
    """Return a default as a reader can take it in; what has no short name is left out."""
    text = repr(default)
    unsaid = default is attrs.NOTHING or len(text) > 60
    return "..." if unsaid else api_page.ADDRESS.sub("...", text)


def parameter_text(parameter: inspect.Parameter, types: dict[str, Any]) -> str:
    """Return a parameter with its type and default."""
    stars = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}.get(parameter.kind.name, "")
    annotation = types.get(parameter.name, parameter.annotation)
    typed = "" if annotation is parameter.empty else f": {kind(annotation)}"
    default = (
        "" if parameter.default is parameter.empty else f" = {default_text(parameter.default)}"
    )
    return f"{stars}{parameter.name}{typed}{default if typed else default.replace(' ', '')}"


def call(name: str, thing: Any) -> str:
    """Return a signature, a parameter a line where it does not fit on one."""
    signature = inspect.signature(thing)
    types = {f.alias: f.type for f in attrs.fields(thing)} if attrs.has(thing) else {}
    parts: list[str] = []
    before = None
    for parameter in signature.parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and before not in (
            parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL,
        ):  # fmt: skip
            parts.append("*")
        elif before is parameter.POSITIONAL_ONLY and parameter.kind is not before:
            parts.append("/")
        before = parameter.kind
        parts.append(parameter_text(parameter, types))
    returned = signature.return_annotation
    end = "" if returned is signature.empty or inspect.isclass(thing) else f" -> {kind(returned)}"
    shown = f"{name}({', '.join(parts)}){end}"
    if len(shown) <= WIDTH:
        return shown
    return "\n".join([f"{name}(", *(f"    {part}," for part in parts), f"){end}"])


def table(body: str) -> str:
    """Return the entries of a section as a list; other text stays as it is."""
    body = textwrap.dedent(body).strip("\n")
    pieces = ITEM.split(body)
    if len(pieces) < 3 or pieces[0].strip():
        return body + "\n"
    entries = zip(pieces[1::2], pieces[2::2], strict=True)
    return "".join(
        f"- `{name}`: " + textwrap.indent(textwrap.dedent("    " + text), "  ").strip() + "\n"
        for name, text in entries
    )


def prose(doc: str, linked: dict[str, str], itself: str) -> str:
    """Turn a docstring into Markdown."""

    def section(match: re.Match[str]) -> str:
        return f"\n**{HEADINGS[match[1]]}**\n\n{table(match[2])}\n"

    def link(match: re.Match[str]) -> str:
        place = linked.get(match[1])
        return f"[`{match[1]}`]({place})" if place and match[1] != itself else match[0]

    doc = LITERAL.sub(
        lambda m: ":\n\n```text\n" + textwrap.dedent(m[1]).strip("\n") + "\n```\n\n", doc
    )
    doc = SECTION.sub(section, doc + "\n")
    doc = EXAMPLE.sub(lambda match: f"\n```pycon\n{match[0]}\n```\n", doc)
    parts = re.split(r"(^```.*?^```$)", doc, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if i % 2 else NAME.sub(link, part) for i, part in enumerate(parts)).strip()


def fields(thing: type) -> str:
    """List the fields of a value class whose docstring does not."""
    if not attrs.has(thing) or "Attributes:" in (thing.__doc__ or ""):
        return ""
    public = [f for f in attrs.fields(thing) if not f.name.startswith("_") and f.init]
    shown = [f"- `{f.name}`: `{kind(f.type)}`" for f in public]
    return "\n\n**Attributes**\n\n" + "\n".join(shown) if shown else ""


def made(name: str, thing: type) -> str:
    """Return how a class is made, where users make it; else its name and what it is."""
    if issubclass(thing, Exception):
        return f"class {name}({', '.join(base.__name__ for base in thing.__bases__)})"
    if name in HANDED_OUT or fields(thing):
        return f"class {name}"
    try:
        return call(name, thing)
    except ValueError:  # an enum, or another type that has no constructor of its own
        return f"class {name}"


def entry(name: str, thing: Any, linked: dict[str, str]) -> Iterator[str]:
    """Yield the Markdown about one name and its members."""
    yield f"## {name} {{ #{name.lower()} }}\n"
    doc = inspect.getdoc(thing) or ""
    if not inspect.isclass(thing):
        if inspect.isroutine(thing):
            yield f"```python\n{call(name, thing)}\n```\n\n{prose(doc, linked, name)}\n"
        else:
            shown = re.sub(r"(?:\w+\.)+(?=\w)", "", str(thing))
            yield f"```python\n{name} = {shown}\n```\n"
        return
    yield f"```python\n{made(name, thing)}\n```\n"
    yield f"{prose(doc, linked, name)}{fields(thing)}\n"
    for member, value in api_page.members(thing):
        yield f"### {member} {{ #{name.lower()}-{member.lower()} }}\n"
        if isinstance(value, property):
            yield f"*property* — {prose(inspect.getdoc(value.fget) or '', linked, member)}\n"
            continue
        function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        yield f"```python\n{call(member, function)}\n```\n"
        yield f"{prose(inspect.getdoc(function) or '', linked, f'{name}.{member}')}\n"


def write(folder: Path) -> list[tuple[str, str]]:
    """Write every page into a folder and return (title, file) in order."""
    folder.mkdir(parents=True)
    linked = anchors()
    written = []
    for title, module, names in sections():
        head, _, home = title.partition(": ")
        lines = [f"# {head}\n", f"`{home}`\n" if home else ""]
        if module is not tinkex:
            lines.append(prose(inspect.getdoc(module) or "", linked, ""))
        for name in names:
            lines.extend(entry(name, getattr(module, name), linked))
        text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines))
        (folder / slug(title)).write_text(text.rstrip() + "\n", encoding="utf-8")
        written.append((head, slug(title)))
    return written
