"""What all commands share: a light start, help, and strings that are safe to show."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest
from support.command import Shell, Terminal

from tinkex._base.columns import width
from tinkex.cli import failures, text
from tinkex.cli.group import COMMANDS, tinkex
from tinkex.cli.invocation import Invocation
from tinkex.cli.options import Command, CommonOption
from tinkex.cli.paging import collect
from tinkex.cli.progress import drawn
from tinkex.cli.tables import facts, table

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def commands(
    command: click.Command = tinkex, path: str = "tinkex"
) -> list[tuple[str, click.Command]]:
    """Return every command there is, with how it is called."""
    found = [(path, command)]
    if isinstance(command, click.Group):
        ctx = click.Context(command, info_name=path)
        for name in command.list_commands(ctx):
            below = command.get_command(ctx, name)
            assert below is not None
            found += commands(below, f"{path} {name}")
    return found


ALL = commands()


def test_the_overview_says_what_the_commands_say() -> None:
    """The lines that stand beside the lazy modules are the first lines of their docstrings."""
    for name, (_, line) in COMMANDS.items():
        command = dict(ALL)[f"tinkex {name}"]
        assert (command.help or "").split("\n\n")[0].replace("\n", " ") == line, name


@pytest.mark.parametrize(("path", "command"), ALL, ids=[path for path, _ in ALL])
def test_every_command_and_option_explains_itself(path: str, command: click.Command) -> None:
    """Each has a sentence, and so has each of its options; common ones are never left out."""
    assert command.help, path
    assert command.help.strip().split("\n\n")[0].endswith("."), path
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, (path, parameter.name)
    if isinstance(command, Command):
        common = {p.name for p in command.params if isinstance(p, CommonOption)}
        assert common >= {"format", "json", "debug", "no_progress"}, path


@pytest.mark.parametrize("line", ["--help", "checkpoint --help", "run list --help", "version"])
def test_help_loads_no_client(line: str) -> None:
    """No numpy, no HTTP, no attrs: looking around costs what click costs."""
    code = (
        f"from tinkex.cli import main\ntry: main({line.split()!r})\nexcept SystemExit: pass\n"
        "import sys; print('\\n' + ' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    heavy = {"attrs", "httpx", "json", "numpy", "orjson", "rich", "ssl", "tinkex.config"}
    assert not loaded & heavy


def test_a_name_is_told_from_a_folder_without_the_recipes() -> None:
    """Loading them takes longer than what a command does with a run's id or a model's name."""
    code = (
        "from tinkex.cli.runfolder import RunId, RunOrPath\n"
        "for name in ('r:train:0', 'tinkex/nano', 'tinkex/nano@best', 'tinker://r:train:0/weights/a'):\n"
        "    print(RunOrPath(others=True).convert(name, None, None))\n"
        "RunId().convert('r:train:0', None, None)\n"
        "import sys; print('tinkex.recipes' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = ["r:train:0", "tinkex/nano", "tinkex/nano@best", "tinker://r:train:0/weights/a"]
    assert done.stdout.split() == [*names, "False"]


@pytest.mark.holds("S18")
@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("plain \N{SNOWMAN}\n\t.", "plain \N{SNOWMAN}\n\t."),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x07", "link"),
        ("\x1bc\x1b(Breset", "reset"),
        ("\x9b31mred\x85", "31mred"),
        ("a\rb\x08\x7f\x00", "ab"),
        ("name\u202etxt.exe\u2066", "nametxt.exe"),
        ("half \ud800", "half \ufffd"),
    ],
)
def test_a_terminal_is_shown_text_and_given_no_orders(given: str, shown: str) -> None:
    """Sequences, control characters, overrides of the direction and halves are left out."""
    assert text.for_terminal(given) == shown


@pytest.mark.holds("S18")
def test_json_escapes_what_a_terminal_would_act_upon() -> None:
    """It stays JSON of the same value, and NaN becomes null."""
    import json

    value = {"a": "\x1b[2J\x9b\u202e\ud800é", "b": [1, 2.5, None, True]}
    written = text.to_json(value)
    assert json.loads(written) == value
    assert not set(written) & set("\x1b\x9b\u202e\ud800")
    assert "é" in written
    broken = {"x": [float("nan"), float("inf"), 1.0], "y": float("-inf")}
    assert json.loads(text.to_json(broken)) == {"x": [None, None, 1.0], "y": None}


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (5, "just now"),
        (-5, "in less than a minute"),
        (61, "1 minute ago"),
        (-3700, "in 1 hour"),
        (7300, "2 hours ago"),
        (86_400, "1 day ago"),
        (15 * 86_400, "2 weeks ago"),
        (-6 * 86_400, "in 6 days"),
        (40 * 86_400, "2026-01-20"),
    ],
)
def test_times_are_said_as_people_say_them(seconds: int, said: str) -> None:
    """Near ones as a distance, far ones as a date; JSON has ISO 8601."""
    assert text.ago(NOW - timedelta(seconds=seconds), now=NOW) == said
    assert text.ago(None, none="Never") == "Never"
    assert text.iso(NOW.replace(tzinfo=None)) == "2026-03-01T12:00:00Z"


def test_sizes_have_units() -> None:
    """Base 1024, one decimal, N/A where it is not known."""
    sizes = [None, 0, 1023, 1536, 3 << 20, 5 << 30, 7 << 40]
    said = ["N/A", "0 B", "1023 B", "1.5 KB", "3.0 MB", "5.0 GB", "7.0 TB"]
    assert [text.size(count) for count in sizes] == said


def test_wide_characters_take_two_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns line up behind Chinese names and accents that combine."""
    monkeypatch.setattr("sys.stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    lines = list(table(("Name", "N"), [("漢字", 1), ("e\u0301", 2), ("abcd", 3)]))
    assert [line[-1] for line in lines] == ["N", "1", "2", "3"]
    assert {width(line) for line in lines} == {7}


def test_a_narrow_terminal_keeps_one_line_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Optional columns go first, then the elastic one is shortened in its middle."""
    headers, row = ("ID", "Model", "Owner"), ("r" * 30, "Qwen/Qwen3-235B-A22B", "somebody")
    shown = {}
    monkeypatch.setenv("NO_COLOR", "1")
    for columns in (70, 56, 44, 30):
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr("sys.stdout", Terminal())
        shown[columns] = list(table(headers, [row], optional=("Owner",), elastic="Model"))
    assert shown[70][1] == "  ".join(row)
    assert shown[56][1] == "  ".join(row[:2])
    assert shown[44][1] == f"{row[0]}  Qwen/…B-A22B"
    assert shown[30][:2] == ["ID:", f"  {row[0]}"]


def test_changed_settings_can_be_shown_alone(shell: Shell) -> None:
    """`config show --changed` leaves out what has its default."""
    everything, changed = (
        shell("config", "show", *more, "--json").json["settings"] for more in ((), ("--changed",))
    )
    assert [row for row in everything if row["source"] != "default"] == changed
    assert [row["setting"] for row in changed] == ["base_url"]


def test_progress_is_a_line_that_fits_and_goes_away() -> None:
    """The bar shrinks, then the line is cut; sizes are shown; an empty line is left."""
    stream = io.StringIO()
    with drawn("Downloading", "B", stream) as step:
        step(512, 2048, "a" * 100)
        step(2048, 2048, "b" * 42)
        step(2048, 2048)
    lines = stream.getvalue().split("\r\x1b[K")
    assert lines[0] == lines[-1] == ""
    assert lines[2].startswith("Downloading 512 B/2.0 KB aaa")
    assert lines[3] == f"Downloading [########] 2.0 KB/2.0 KB {'b' * 42}"
    assert lines[4] == "Downloading [########################] 2.0 KB/2.0 KB"
    assert max(map(len, lines)) == 79


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands_and_options(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, shell_name: str
) -> None:
    """The script asks tinkex itself, which answers with what can stand there."""
    assert "_TINKEX_COMPLETE" in shell("completion", shell_name).out
    monkeypatch.setenv("_TINKEX_COMPLETE", f"{shell_name}_complete")
    for typed, wanted in (("tinkex checkpoint pu", "publish"), ("tinkex run list --li", "--limit")):
        last = typed.split()[-1]
        monkeypatch.setenv("COMP_WORDS", typed)
        # Fish hands over the word itself, the others its number.
        number = str(len(typed.split()) - 1)
        monkeypatch.setenv("COMP_CWORD", last if shell_name == "fish" else number)
        done = shell.process()
        assert (done.code, wanted in done.out) == (0, True)
        assert "prune" not in done.out


def test_color_is_for_terminals_that_want_it(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR and TERM=dumb turn it off, and so does a pipe."""
    monkeypatch.setenv("TERM", "xterm")
    red = "\x1b[31m\x1b[1merror: "
    assert red in shell("run", terminal=80).err
    assert red not in shell("run").err
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in shell("run", terminal=80).err
    assert "\x1b" not in shell("doctor", "--no-progress", terminal=80).out
    monkeypatch.delenv("NO_COLOR")
    assert "\x1b[32mok" in shell("doctor", "--no-progress", terminal=80).out


@pytest.mark.parametrize(
    ("limit", "offset", "asked", "shown"),
    [
        (0, 0, [(2, 0), (1, 2)], [0, 1, 2]),
        (2, 0, [(2, 0)], [0, 1]),
        (1, 1, [(1, 1)], [1]),
        (9, 1, [(2, 1)], [1, 2]),
        (5, 7, [(2, 7)], []),
    ],
)
def test_a_list_is_followed_over_its_pages(
    limit: int, offset: int, asked: list[tuple[int, int]], shown: list[int]
) -> None:
    """Three entries, two on a page: no page too many, and never more than the limit."""
    pages: list[tuple[int, int]] = []

    def fetch(count: int, start: int) -> tuple[list[int], int | None]:
        pages.append((count, start))
        return list(range(3))[start : start + count], 3

    assert collect(Invocation(), "entries", fetch, limit, offset, 2) == (shown, 3)
    assert pages == asked


def test_a_list_without_a_total_ends_with_a_page_that_is_not_full() -> None:
    """Some servers do not say how many there are."""
    pages: list[int] = []

    def fetch(count: int, start: int) -> tuple[list[int], int | None]:
        pages.append(start)
        return list(range(5))[start : start + count], None

    assert collect(Invocation(), "entries", fetch, 0, 0, 2) == ([0, 1, 2, 3, 4], None)
    assert pages == [0, 2, 4]


def test_the_page_shows_a_session_of_each_command() -> None:
    """Each command's section in docs/cli.md ends with what was typed and what came of it."""
    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"(?ms)^###+ (tinkex [^\n]+)\n(.*?)(?=^###|\Z)", text))
    for path, command in ALL[1:]:
        only_a_group = isinstance(command, click.Group) and not command.invoke_without_command
        session = sections[path].partition("```console\n")[2]
        assert only_a_group or re.search(rf"^\$ (.*\| )?{path} ?", session, re.MULTILINE), path


def test_every_exit_code_is_said() -> None:
    """The table that the page prints has all that the code returns."""
    assert set(failures.EXIT_CODES) == {0, 1, 2, 3, 130, 141, 143}


@pytest.mark.parametrize("path", [path for path, _ in commands()])
def test_help_fits_a_terminal_of_80_columns(path: str, shell: Shell) -> None:
    """No line is longer, and no option is broken at its hyphens."""
    lines = shell(*path.split()[1:], "--help", terminal=80).out.splitlines()
    assert [line for line in lines if len(line) > 80 or re.search("[a-z]-$", line)] == []


def test_facts_keep_words_and_paths_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value is wrapped between words; a path that does not fit stands on a line of its own."""
    monkeypatch.setattr("sys.stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    path = "tinker://run-1:train:0/weights/final"
    assert list(
        facts([("answer", "one two three four five six seven"), ("to train on", path)])
    ) == [
        "answer:      one two three four five six",
        "             seven",
        "to train on:",
        f"  {path}",
    ]


def test_names_of_facts_and_heads_of_tables_have_a_style(
    monkeypatch: pytest.MonkeyPatch, shell: Shell
) -> None:
    """On a terminal that wants colour; what a server wrote cannot begin one."""
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[1mSetting" in shell("config", "show", terminal=200).out
    assert "\x1b" not in shell("config", "show").out
    monkeypatch.setattr("sys.stdout", Terminal())
    [line] = facts([("loss", "\x1b[31m0.5")], {"loss": "green"})
    assert line == "\x1b[36mloss:\x1b[0m \x1b[32m0.5\x1b[0m"


def test_notes_are_wrapped_between_words(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long line on stderr fits the terminal; in a pipe it is one line."""
    monkeypatch.delenv("TINKER_BASE_URL")
    err = shell("config", "show", terminal=60).err
    assert max(map(len, err.splitlines())) <= 60
    assert "(or give --api-key)" in " ".join(err.split())
    assert len(shell("config", "show").err.splitlines()) == 1


def test_no_changed_setting_is_said_in_words(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table without rows would look like a fault."""
    monkeypatch.delenv("TINKER_BASE_URL")
    assert shell("config", "show", "--changed").out == "every setting has its default\n"


def test_a_misspelt_model_is_named_with_the_one_that_was_meant(shell: Shell) -> None:
    """The server's suggestion is what to do; nothing else is advised beside it."""
    err = shell("chat", "tinkex/tiny-cat", stdin="hello").err
    assert "unknown model 'tinkex/tiny-cat'; did you mean 'tinkex/tiny-chat'?" in err
    assert "check the id" not in err


def test_a_deep_settings_file_is_named(shell: Shell, tmp_path: Path) -> None:
    """A file that cannot be read is a usage error, which names it."""
    file = tmp_path / "deep.json"
    file.write_text('{"rank": ' + "[" * 100_000)
    done = shell("train", "--config", str(file), "orders.jsonl")
    assert done.code == 2
    assert "deep.json is nested too deeply" in done.err
