"""What commands write: JSON of a stable schema, tables for people, and what there is to pipe on."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cli.conftest import Made
from support.command import Shell

import tinkex.cli
from tinkex.local import LocalServer
from tinkex.testing import Fault

SAMPLE = ("run", "--base-model", "tinkex/nano", "--max-tokens", "3", "--seed", "1")
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")

CHECKPOINT = {
    "checkpoint_id": "str",
    "checkpoint_type": "str",
    "tinker_path": "str",
    "size_bytes": "int",
    "public": "bool",
    "time": "time",
    "expires_at": "time?",
    "user_metadata": "dict",
}
RUN = {
    "training_run_id": "str",
    "base_model": "str",
    "model_owner": "str",
    "is_lora": "bool",
    "lora_rank": "int",
    "corrupted": "bool",
    "last_request_time": "time",
    "last_checkpoint": "dict",
    "last_sampler_checkpoint": "dict",
    "user_metadata": "dict",
    "display_name": "str?",
    "status": "str?",
    "name": "str?",
    "method": "str?",
    "step": "int?",
    "loss": "float?",
    "folder": "str?",
}
SCHEMAS: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    (("version",), {"version": "str", "commit": "str?"}),
    (("run", "list"), {"runs": [RUN], "total": "int", "shown": "int"}),
    (("run", "info", "{run_id}"), RUN),
    (
        ("checkpoint", "list"),
        {"checkpoints": [CHECKPOINT], "total": "int", "shown": "int"},
    ),
    (
        ("checkpoint", "list", "--run-id", "{run_id}"),
        {"checkpoints": [CHECKPOINT], "total": "int", "shown": "int", "run_id": "str"},
    ),
    (
        ("checkpoint", "info", "{sampler_path}"),
        {
            "training_run_id": "str",
            **CHECKPOINT,
            "base_model": "str",
            "is_lora": "bool",
            "lora_rank": "int",
            "train_attn": "bool",
            "train_mlp": "bool",
            "train_unembed": "bool",
        },
    ),
    (
        ("checkpoint", "publish", "{sampler_path}"),
        {"command": "str", "action": "str", "path": "str"},
    ),
    (
        ("checkpoint", "unpublish", "{sampler_path}"),
        {"command": "str", "action": "str", "path": "str"},
    ),
    (
        ("checkpoint", "set-ttl", "{sampler_path}", "--remove"),
        {
            "command": "str",
            "action": "str",
            "path": "str",
            "ttl_seconds": "int?",
            "remove": "bool",
        },
    ),
    (
        ("checkpoint", "download", "{sampler_path}"),
        {
            "command": "str",
            "action": "str",
            "path": "str",
            "destination": "str",
            "size_bytes": "int",
            "files": [{"name": "str", "size_bytes": "int"}],
        },
    ),
    (
        ("session", "list"),
        {"sessions": [{"session_id": "str"}], "total": "int?", "shown": "int"},
    ),
    (
        ("session", "info", "{session_id}"),
        {
            "session_id": "str",
            "display_name": "str?",
            "training_run_ids": "list",
            "sampler_ids": "list",
            "user_metadata": "dict",
        },
    ),
    (
        ("session", "export-trace", "{session_id}"),
        {
            "command": "str",
            "action": "str",
            "session_id": "str",
            "destination": "str",
            "size_bytes": "int",
        },
    ),
    (
        ("model", "list", "NANO"),
        {
            "models": [
                {
                    "model_name": "str",
                    "model_id": "str?",
                    "arch": "str?",
                    "max_context_length": "int",
                    "trainable": "bool",
                    "sampleable": "bool",
                }
            ],
            "total": "int",
            "shown": "int",
        },
    ),
    (
        ("config", "show"),
        {
            "settings": [{"setting": "str", "value": "str", "source": "str", "variable": "str?"}],
            "problems": "list",
        },
    ),
    (("usage",), {"since": "time", "until": "time", "usage": "list", "storage": "list"}),
    (
        ("doctor",),
        {
            "base_url": "str",
            "ok": "bool",
            "layers": [{"layer": "str", "verdict": "str", "seconds": "float", "detail": "str"}],
        },
    ),
    (
        (*SAMPLE, "--prompt", "a"),
        {
            "type": "str",
            "sequences": [
                {"text": "str", "tokens": "list", "logprobs": "list", "stop_reason": "str"}
            ],
            "prompt_logprobs": "list?",
            "topk_prompt_logprobs": "list?",
        },
    ),
]


def check(value: Any, schema: Any, where: str = "$") -> None:
    """Hold a value to a schema: the same keys, and the kinds that are named."""
    if isinstance(schema, dict):
        assert isinstance(value, dict), where
        assert list(value) == list(schema), where
        for name, kind in schema.items():
            check(value[name], kind, f"{where}.{name}")
    elif isinstance(schema, list):
        assert value, f"{where} is empty"
        for item in value:
            check(item, schema[0], f"{where}[]")
    elif value is None:
        assert schema.endswith("?"), where
    elif schema.startswith("time"):
        assert ISO.fullmatch(value), (where, value)
    else:
        assert type(value).__name__ == schema.removesuffix("?"), (where, value)


def filled(text: str, made: Made) -> str:
    return text.format(
        run_id=made.run_id, session_id=made.session_id, sampler_path=made.sampler_path
    )


@pytest.mark.parametrize(
    ("arguments", "schema"), SCHEMAS, ids=[" ".join(a[:2]) for a, _ in SCHEMAS]
)
def test_json_has_a_stable_schema(
    arguments: tuple[str, ...], schema: Any, shell: Shell, subject: Made
) -> None:
    """Whoever reads it finds these keys, in this order, and times in ISO 8601."""
    done = shell(*[filled(part, subject) for part in arguments], "--format", "json")
    assert done.code == 0, done.err
    check(done.json, schema)


def test_a_program_gets_the_same_result_from_run(shell: Shell, made: Made) -> None:
    """`tinkex.cli.run` returns what the JSON says."""
    shown = shell("run", "info", made.run_id, "--json").json
    assert tinkex.cli.run(["run", "info", made.run_id]) == shown


def test_columns_line_up_where_there_is_room_and_become_blocks_where_not(
    shell: Shell, made: Made
) -> None:
    """Nothing is cut off at any width, and pipes get tabs."""
    shell.set("NO_COLOR", "1")
    wide = shell("checkpoint", "list", terminal=250).out.splitlines()
    header, first = wide[1], wide[2]
    assert header.index("Path") == first.index("tinker://")
    narrow = shell("checkpoint", "list", terminal=50).out
    assert f"Path:\n  {made.paths[0]}\n" in narrow
    assert "Type:          sampler\n" in narrow
    piped = shell("checkpoint", "list").out.splitlines()
    assert piped[1].split("\t")[-1] == "Path"
    assert made.sampler_path in [line.split("\t")[-1] for line in piped]


def test_limit_and_offset_page_and_zero_means_all(shell: Shell, made: Made) -> None:
    """What is shown is a window on the whole list."""
    everything = shell("checkpoint", "list", "--limit", "0", "--json").json
    assert everything["shown"] == everything["total"] >= 3
    window = shell("checkpoint", "list", "--limit", "1", "--offset", "1", "--json").json
    assert window["checkpoints"] == everything["checkpoints"][1:2]
    assert (window["shown"], window["total"]) == (1, everything["total"])
    beyond = shell("checkpoint", "list", "--offset", "99", "--json").json
    assert beyond["checkpoints"] == []


@pytest.mark.holds("S18")
def test_what_the_server_says_moves_no_cursor(shell: Shell, made: Made) -> None:
    """Control characters are left out on a terminal, and escaped in JSON everywhere."""
    shell.set("NO_COLOR", "1")
    shown = shell("run", "info", made.run_id, terminal=200).out
    assert re.search(r"Metadata note: +red2J\n", shown)
    assert "\x1b" not in shown.replace("\r\x1b[K", "")
    raw = shell("run", "info", made.run_id, "--json").out
    assert '"\\u001b]0;owned\\u0007\\u001b[31mred\\u009b2J"' in raw


def test_an_empty_server_has_empty_lists(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each list says that it is empty, and exits with 0."""
    with LocalServer(data_dir=tmp_path / "empty", port=0) as server:
        monkeypatch.setenv("TINKER_BASE_URL", server.base_url)
        for command, key in (("run", "runs"), ("checkpoint", "checkpoints")):
            done = shell(command, "list", "--json")
            assert (done.code, done.json[key], done.json["total"]) == (0, [], 0)
            assert "(0/0)" in shell(command, "list").out
        assert shell("session", "list", "--json").json["sessions"] == []
        assert shell("usage", "--json").json["usage"] == []
        assert shell("model", "list", "nowhere", "--json").json["models"] == []
        pruned = shell("checkpoint", "prune", "--keep-last", "1")
        assert (pruned.code, pruned.out) == (0, "Nothing to delete\n")


def test_samples_are_text_with_a_verdict(shell: Shell) -> None:
    """One block for each, and what was going on is on stderr."""
    done = shell(*SAMPLE, "--prompt", "a", "--num-samples", "2", "--temperature", "0")
    assert re.fullmatch(
        r"(?s)Sample 1:\n.*\nstop_reason=length \| avg_logprob=-?\d+\.\d{3}\n\n"
        r"Sample 2:\n.*\nstop_reason=\w+ \| avg_logprob=-?\d+\.\d{3}\n",
        done.out,
    )
    assert done.err == "Sampling complete (2 sequences)\n"


def test_a_prompt_comes_as_text_from_a_file_from_stdin_or_as_tokens(
    shell: Shell, tmp_path: Path
) -> None:
    """All four ways say the same to the model."""
    (tmp_path / "p.txt").write_text("the end")
    text = shell(*SAMPLE, "--prompt", "the end", "--prompt-logprobs", "--json").json
    file = shell(*SAMPLE, "--prompt-file", "p.txt", "--prompt-logprobs", "--json").json
    stdin = shell(*SAMPLE, "--prompt-file", "-", "--prompt-logprobs", "--json", stdin="the end")
    assert file == text == stdin.json
    for written in ("[5, 6, 7]", '{"tokens": [5, 6, 7]}'):
        (tmp_path / "t.json").write_text(written)
        given = shell(*SAMPLE, "--prompt-file", "t.json", "--prompt-logprobs", "--json").json
        assert len(given["prompt_logprobs"]) == 3


def test_a_stream_is_the_text_alone(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the pipe gets is the text; a server that cannot stream gives it at once."""
    greedy = (*SAMPLE, "--prompt", "a b", "--temperature", "0")
    plain = shell(*greedy).out.splitlines()[1]
    streamed = shell(*greedy, "--stream")
    assert streamed.out == f"{plain}\n"
    assert streamed.err.startswith("stop_reason=length | avg_logprob=")
    lacking = [Fault(on="stream_sample", status=404)]
    with LocalServer(data_dir=tmp_path / "lacking", faults=lacking) as server:
        monkeypatch.setenv("TINKER_BASE_URL", server.base_url)
        assert shell(*greedy, "--stream") == streamed


def test_a_paused_queue_is_told_of_on_a_terminal(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a line of its own, without what would steer the terminal; a pipe hears nothing."""
    paused = Fault(
        on="retrieve_future",
        times=2,
        status=408,
        body={
            "type": "try_again",
            "request_id": "r",
            "queue_state": "paused_capacity",
            "queue_state_reason": "short of \x1b[31mcards",
        },
    )
    sample = (*SAMPLE, "--prompt", "a", "--num-samples", "2")
    with LocalServer(data_dir=tmp_path / "paused", faults=[paused]) as server:
        monkeypatch.setenv("TINKER_BASE_URL", server.base_url)
        told = shell(*sample, terminal=100)
        assert told.code == 0
        assert re.search(
            r"\r\x1b\[Kthe server's queue is paused_capacity: short of [^\x1b\n]*cards\n", told.err
        )
        server.faults.add(paused)
        assert "queue" not in shell(*sample).err


def test_samples_go_to_a_file(shell: Shell, tmp_path: Path) -> None:
    """Folders are made, the file ends with a line end, and stdout stays empty."""
    done = shell(*SAMPLE, "--prompt", "a", "--json", "--output", "deep/er/out.json")
    text = (tmp_path / "deep" / "er" / "out.json").read_text()
    assert (done.code, done.out) == (0, "")
    assert json.loads(text)["type"] == "sample"
    assert text.endswith("}\n")
    assert "deep/er/out.json" in done.err


@pytest.mark.parametrize("command", [("delete", "{path}"), ("prune", "--keep-last", "0")])
def test_an_end_of_the_input_at_a_question_is_no_answer(
    shell: Shell, made: Made, command: tuple[str, ...]
) -> None:
    """Nothing is deleted, and a script does not take that for success."""
    done = shell("checkpoint", *(part.format(path=made.paths[0]) for part in command), "--json")
    assert (done.code, done.out) == (1, "")
    assert "the input ended before the question was answered" in done.err
    assert "--yes" in done.err
    assert made.paths[0] in shell("checkpoint", "list", "--run-id", made.run_id).out


def test_deleting_asks_and_tells_of_each(shell: Shell, own: Made) -> None:
    """A no deletes nothing; a yes deletes what is there, and what is not is a failure."""
    gone, missing = own.paths[0], own.paths[1] + "-not"
    for answer in ("n\n", "\n", "what?\nNO\n"):
        done = shell("checkpoint", "delete", gone, stdin=answer)
        assert (done.code, "Aborted" in done.out) == (0, True)
        assert gone in done.err
    assert done.err.count("Please answer y or n.") == 1
    cancelled = shell("checkpoint", "delete", gone, "--json", stdin="no\n").json
    assert (cancelled["cancelled"], cancelled["deleted"]) == (True, 0)
    done = shell("checkpoint", "delete", missing, gone, "--json", stdin="yes\n")
    assert done.code == 1
    assert {**done.json, "failures": done.json["failures"][0]["path"]} == {
        "command": "checkpoint",
        "action": "delete",
        "paths": [missing, gone],
        "deleted": 1,
        "failed": 1,
        "failures": missing,
        "cancelled": False,
    }
    assert "1 of 2 checkpoints were not deleted" in done.err
    assert gone not in shell("checkpoint", "list").out


def test_pruning_rehearses_asks_and_deletes(shell: Shell, own: Made) -> None:
    """What --dry-run names is what goes."""
    conditions = ("checkpoint", "prune", "--older-than", "0s", "--keep-last", "0")
    planned = shell(*conditions, "--run-id", own.run_id, "--dry-run", "--json").json
    assert (planned["dry_run"], planned["deleted"]) == (True, 0)
    assert set(planned["paths"]) >= {own.paths[1]}
    done = shell(*conditions, "--run-id", own.run_id, "--yes", "--json").json
    assert (done["paths"], done["failed"]) == (planned["paths"], 0)
    assert own.paths[1] not in shell("checkpoint", "list", "--limit", "0").out


@pytest.mark.holds("S19")
def test_csv_is_no_formula(shell: Shell, made: Made) -> None:
    """A line for each hour and kind; the cells are quoted where a spreadsheet would compute."""
    from tinkex.cli.usage import csv_cell

    out = shell("usage", "--csv").out.splitlines()
    assert out[0].startswith("hour,kind,base_model,")
    for text in ("=1+1", "+1", "-1", "@x", "\tx"):
        assert csv_cell(text).startswith("'")
    assert csv_cell('a,"b"') == '"a,""b"""'
    assert (csv_cell(None), csv_cell(-1.5)) == ("", "-1.5")


def test_a_report_holds_versions_settings_and_findings_and_no_secret(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is JSON, to a file or to stdout, and what is secret is masked."""
    monkeypatch.setenv("TINKER_API_KEY", "tml-canary-0123456789abcdef")
    file = tmp_path / "deep" / "report.json"
    done = shell("report", "--no-sample", "--output", str(file))
    assert (done.code, done.out) == (0, "")
    assert "read it before you send it" in done.err
    report = json.loads(file.read_text())
    assert set(report) == {"made_at", "versions", "settings", "problems", "doctor"}
    assert report["versions"]["packages"]["numpy"]
    key = next(row for row in report["settings"] if row["setting"] == "api_key")
    assert (key["value"], key["source"]) == ("tml-...cdef", "environment TINKER_API_KEY")
    assert report["doctor"]["layers"][-1]["verdict"] == "skipped"
    assert "canary" not in file.read_text()


def test_a_report_says_what_is_wrong_with_the_settings(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing can be tried, the problems stand in it."""
    monkeypatch.setenv("TINKEX_WIRE_FORMAT", "morse")
    report = shell("report").json
    assert "TINKEX_WIRE_FORMAT" in report["problems"][0]
    assert report["doctor"] == {"base_url": None, "ok": False, "layers": []}


def test_a_report_of_a_server_that_is_away_is_made_all_the_same(shell: Shell) -> None:
    """That is what it is for: exit code 0, and the layer that failed."""
    report = shell("report", "--base-url", "http://127.0.0.1:9").json
    assert [one["layer"] for one in report["doctor"]["layers"] if one["verdict"] == "failed"] == [
        "tcp"
    ]


def test_a_run_is_shown_with_its_name_and_its_state(shell: Shell, made: Made) -> None:
    """The session's name, and that its client has finished it."""
    shell.set("NO_COLOR", "1")
    shown = shell("run", "info", made.run_id, terminal=200).out
    assert re.search(r"^Name: +made$", shown, re.MULTILINE)
    assert re.search(r"^Status: +Ended$", shown, re.MULTILINE)
