"""`tinkex train`: as a process, interrupted, killed, resumed, and asked only to look."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from support.command import Shell, start

import tinkex
from tinkex import training_log
from tinkex._base.clock import SYSTEM_CLOCK
from tinkex.checkpoints import download
from tinkex.cli.interrupts import Interrupts
from tinkex.local import LocalServer
from tinkex.recipes import checkpoint_path
from tinkex.recovery import read_run
from tinkex.testing import Fault

NANO = ("--base-model", "tinkex/nano", "--rank", "4", "--no-plot")
WORDS = ["red", "blue", "green", "black", "white", "yellow"]
LINES = [
    {
        "messages": [
            {"role": "user", "content": f"Say {word}."},
            {"role": "assistant", "content": f"{word}!"},
        ]
    }
    for word in WORDS
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    file = tmp_path / "words.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    return file


def numbers(folder: Path) -> list[dict[str, Any]]:
    return training_log.read(folder / "metrics.jsonl")


def weights(server: LocalServer, path: str, folder: Path) -> bytes:
    """Return the adapter of a checkpoint, byte for byte."""
    with tinkex.ServiceClient(base_url=server.base_url) as service:
        got = download(service.create_rest_client(), path, folder)
    return (got.folder / "adapter_model.safetensors").read_bytes()


def test_a_file_becomes_a_model(shell: Shell, data: Path, tmp_path: Path) -> None:
    """The loss falls, the numbers are written down, and what was saved can be talked to."""
    options = ("--epochs", "10", "--batch-size", "3", "--learning-rate", "1e-2")
    more = ("--held-out", "0.2", "--sample", "Say red.")
    done = shell.process("train", str(data), *NANO, *options, *more)
    assert done.code == 0, done.err
    facts = dict(line.split(": ", 1) for line in done.out.splitlines() if ": " in line)
    assert facts["folder"] == "runs/words"
    assert facts["steps"] == "20"
    assert facts["prompt"] == "Say red."
    assert "step 20/20 loss " in done.err
    assert "Talk to it: tinkex chat runs/words\n" in done.err
    assert re.search(r"watch it at http://127\.0\.0\.1:\d+/\n", done.err)
    steps = numbers(tmp_path / "runs/words")
    assert [line["step"] for line in steps] == list(range(21))
    assert steps[-1]["loss"] < steps[1]["loss"] / 2
    assert steps[1]["grad_norm"] > 0
    assert [line["step"] for line in steps if "held_out_loss" in line] == list(range(0, 21, 2))
    talk = shell("chat", "--model-path", facts["to sample from"], stdin="Say red.\n")
    assert talk.code == 0, talk.err
    assert (tmp_path / "runs/words/finetune.json").exists()


def test_the_result_as_json(shell: Shell, data: Path) -> None:
    """Nothing but JSON is on stdout; the run can be named and put anywhere."""
    options = ("--steps", "2", "--output", "here", "--name", "mine")
    done = shell("train", str(data), *NANO, *options, "--json")
    assert done.code == 0, done.err
    result = done.json
    assert (result["type"], result["finished"], result["steps"]) == ("train", True, 2)
    assert result["state_path"].endswith("/weights/mine")
    assert result["sampler_path"].endswith("/sampler_weights/mine")
    assert result["metrics"] == "here/metrics.jsonl"
    again = shell("train", "--resume", "here", "--json")
    assert "has ended already" in again.err
    assert again.json["sampler_path"] == result["sampler_path"]
    taken = shell("train", str(data), *NANO, "--output", "here")
    assert taken.code == 2
    assert "--resume here" in taken.err


def test_a_dry_run_sends_nothing(shell: Shell, data: Path) -> None:
    """It needs neither a server nor a key, and shows counts, lengths and what is learned."""
    elsewhere = ("--base-url", "http://127.0.0.1:9", "--dry-run", "--held-out", "0.2")
    with data.open("a") as file:
        file.write(json.dumps({"prompt": "2+2=", "completion": "4", "id": 1}) + "\n")
    done = shell("train", str(data), *NANO, *elsewhere)
    assert done.code == 0, done.err
    assert "7 lines (6 conversations, 1 completion)" in done.out
    assert "ignored fields: id (1 line)" in done.out
    assert "trained on: 6 examples" in done.out
    assert "held out: 1 example\n" in done.out
    assert "Say red.<|im_end|>\n<|im_start|>assistant\n⟦red!<|im_end|>⟧" in done.out
    assert not Path("runs").exists()
    shown = shell("train", str(data), *NANO, *elsewhere, "--json").json
    assert shown["forms"] == {"conversation": 6, "completion": 1}
    assert shown["tokens"]["learned"] > 7
    assert shown["example"][1] == {"text": "red!<|im_end|>", "weight": 1.0}


def test_a_bad_file_is_refused_before_anything_is_sent(
    shell: Shell, data: Path, server: LocalServer
) -> None:
    """Exit code 2; file, line and field are named."""
    with data.open("a") as file:
        file.write('{"prompt": "a"}\n{"messages": [{"role": "bot", "content": "x"}]}\n')
    done = shell.process("train", str(data), *NANO, "--base-url", "http://127.0.0.1:9")
    assert done.code == 2
    assert f"{data}:7: completion: is missing" in done.err
    assert f"{data}:8: messages[0].role: must be one of" in done.err
    assert "Traceback" not in done.err
    assert not done.out


def test_a_missing_key_has_its_exit_code(shell: Shell, data: Path) -> None:
    """No server on this machine, no key: 3."""
    done = shell.process("train", str(data), *NANO, "--base-url", "https://example.invalid")
    assert done.code == 3
    assert "TINKER_API_KEY" in done.err


@pytest.mark.parametrize(
    "how",
    [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL],
    ids=["ctrl-c", "terminated", "hung up", "killed"],
)
def test_a_run_that_was_stopped_ends_with_the_weights_of_one_that_was_not(
    shell: Shell, server: LocalServer, data: Path, tmp_path: Path, how: signal.Signals
) -> None:
    """Resumed, it trains on each batch once, in the order that it would have had."""
    options = ("--steps", "12", "--batch-size", "4", "--checkpoint-every", "5", "--held-out", "0.2")
    options = ("train", str(data), *NANO, *options, "--learning-rate", "1e-2")
    calm = shell(*options, "--output", "calm", "--json")
    assert calm.code == 0, calm.err

    server.faults.add(Fault(on="optim_step", latency=0.1, times=None, every=1))
    try:
        with start(*options, "--output", "rough") as process:
            assert process.stderr is not None
            seen = ""
            while "step 6/12" not in seen:
                line = process.stderr.readline()
                assert line, seen
                seen += line
            process.send_signal(how)
            out, err = process.communicate(timeout=60)
    finally:
        server.faults.clear()
    if how != signal.SIGKILL:
        assert process.returncode == 130, err
        assert "Continue with: tinkex train --resume rough" in err
        assert err.endswith("interrupted\n")
        assert not out
    before = numbers(Path("rough"))
    record = read_run("rough")
    assert record is not None
    saved = record.step
    assert 5 <= saved < 12

    rough = shell("train", "--resume", "rough", "--no-plot", "--json")
    assert rough.code == 0, rough.err
    if how != signal.SIGKILL:
        assert saved == before[-1]["step"]
    assert f"continuing after step {saved} of 12" in rough.err
    losses = {line["step"]: line.get("loss") for line in numbers(Path("rough"))}
    assert losses == {line["step"]: line.get("loss") for line in numbers(Path("calm"))}
    assert rough.json["held_out_loss"] == calm.json["held_out_loss"]
    ended = [weights(server, one.json["sampler_path"], tmp_path / "got") for one in (calm, rough)]
    assert ended[0] == ended[1]


def test_ctrl_c_during_a_line_of_progress_is_a_request_to_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The buffer of stderr refuses a second write within the first; both lines are shown all the same."""
    reading, writing = os.pipe()

    class Struck(io.RawIOBase):
        is_struck = False

        def fileno(self) -> int:
            return writing

        def writable(self) -> bool:
            return True

        def write(self, data: Any, /) -> int:
            if not self.is_struck:
                self.is_struck = True
                signal.raise_signal(signal.SIGINT)
            return os.write(writing, data)

    with (
        os.fdopen(reading, encoding="utf-8") as shown,
        io.TextIOWrapper(io.BufferedWriter(Struck()), line_buffering=True) as stream,
        Interrupts(lambda text: click.echo(text, err=True)) as interrupts,
    ):
        monkeypatch.setattr("sys.stderr", stream)
        interrupts.arm()
        click.echo("step 1/2", err=True)
        os.close(writing)
        lines = shown.read().splitlines()
    assert interrupts.asked
    assert [line[:9] for line in lines] == ["finishing", "step 1/2"]


def test_a_run_whose_reader_is_gone_does_all_its_steps(
    shell: Shell, server: LocalServer, data: Path
) -> None:
    """As behind `| head`: a closed pipe stops what is shown, and not the training."""
    options = ("--steps", "12", "--batch-size", "4", "--held-out", "0", "--output", "unseen")
    server.faults.add(Fault(on="optim_step", latency=0.05, times=None, every=1))
    try:
        with start("train", str(data), *NANO, *options) as process:
            assert process.stderr is not None
            assert process.stdout is not None
            while "step 1/12" not in process.stderr.readline():
                pass
            process.stderr.close()
            process.stdout.close()
            process.wait(timeout=60)
    finally:
        server.faults.clear()
    assert [one["step"] for one in numbers(Path("unseen"))] == list(range(1, 13))
    assert checkpoint_path("unseen").endswith("/sampler_weights/final")


def test_a_model_that_is_lost_is_told_of_and_brought_back(
    shell: Shell, server: LocalServer, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run ends with the loss of one to which nothing happened, and says where it went back to."""
    options = ("train", str(data), *NANO, "--steps", "6", "--batch-size", "4", "--json")
    calm = shell(*options, "--output", "calm")
    # Waiting between attempts is left out.
    monkeypatch.setattr(SYSTEM_CLOCK, "sleep", lambda _seconds: None)
    server.faults.add(Fault(on="forward_backward", nth=4, status=410))
    rough = shell(*options, "--checkpoint-every", "2", "--output", "rough")
    assert rough.code == 0, rough.err
    assert not server.faults.waiting
    assert "the model was lost; going back to the newest checkpoint\n" in rough.err
    assert "training continues from tinker://" in rough.err
    assert rough.json["last"] == calm.json["last"]


def test_a_run_continues_only_as_it_was_begun(shell: Shell, data: Path) -> None:
    """A changed file, other options and an empty folder are refused."""
    done = shell("train", str(data), *NANO, "--steps", "1", "--json")
    folder = Path(done.json["folder"])
    plan = json.loads((folder / "finetune.json").read_text())
    (folder / "finetune.json").write_text(json.dumps({**plan, "result": None}))
    refused = shell("train", "--resume", str(folder), "--rank", "8")
    assert refused.code == 2
    assert "--rank does not go with --resume" in refused.err
    with data.open("a") as file:
        file.write('{"text": "more to learn"}\n')
    changed = shell("train", "--resume", str(folder))
    assert changed.code == 2
    assert "was changed since the run began" in changed.err
    Path("empty").mkdir()
    empty = shell("train", "--resume", "empty")
    assert empty.code == 1
    assert "there is no run in empty" in empty.err
    (folder / "finetune.json").write_text("{")
    assert "cannot be read" in shell("train", "--resume", str(folder)).err


def test_a_new_run_gets_a_folder_of_its_own(shell: Shell, data: Path) -> None:
    """Beside the one before it; of one that has not ended the way back is told."""
    first = shell("train", str(data), *NANO, "--steps", "1", "--json").json
    assert first["folder"] == "runs/words"
    second = shell("train", str(data), *NANO, "--steps", "1", "--json")
    assert second.json["folder"] == "runs/words-2"
    assert "--resume" not in second.err
    plan = Path("runs/words-2/finetune.json")
    plan.write_text(json.dumps({**json.loads(plan.read_text()), "result": None}))
    third = shell("train", str(data), *NANO, "--steps", "1", "--json")
    assert third.json["folder"] == "runs/words-3"
    assert "--resume runs/words-2 continues it" in third.err


def test_training_continues_from_a_checkpoint(shell: Shell, data: Path) -> None:
    """A new run begins with the weights of another one, and a fresh optimizer."""
    options = ("--batch-size", "6", "--learning-rate", "1e-2", "--no-plot", "--json")
    first = shell("train", str(data), *NANO, "--steps", "10", *options).json
    second = shell("train", str(data), "--from", first["state_path"], "--steps", "1", *options)
    assert second.code == 0, second.err
    assert second.json["last"]["loss"] < first["last"]["loss"]
    unknown = shell("train", str(data), "--base-model", "tinkex/none", "--steps", "1")
    assert unknown.code == 1
    assert "tinkex/none" in unknown.err
    nowhere = first["state_path"] + "x"
    gone = shell("train", str(data), "--from", nowhere, "--steps", "1")
    assert gone.code == 1
    assert "not found" in gone.err


def test_long_lines_are_an_error_unless_said_otherwise(shell: Shell, data: Path) -> None:
    """The error says how to choose; what was cut or left out is counted."""
    with data.open("a") as file:
        file.write(json.dumps({"prompt": "Say much.", "completion": "so " * 40}) + "\n")
    short = ("train", str(data), *NANO, "--steps", "1", "--max-length", "30")
    refused = shell(*short)
    assert refused.code == 2
    assert "one example is longer than 30 tokens (line 7" in refused.err
    assert ", 1 too long and skipped" in shell(*short, "--too-long", "skip").err
    assert ", 1 truncated" in shell(*short, "--too-long", "truncate").err
    model = shell(
        "train", str(data), *NANO, "--dry-run", "--max-length", "30", "--too-long", "skip"
    )
    assert "too long: 1 skipped" in model.out
    with data.open("a") as file:
        file.write(json.dumps({"text": "so " * 2000}) + "\n")
    assert "longer than 512 tokens" in shell("train", str(data), *NANO).err


def test_the_losses_are_drawn_where_that_is_possible(
    shell: Shell, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the numbers, with those of what is held out; without the extra it says which one."""
    short = ("train", str(data), "--base-model", "tinkex/nano", "--steps", "2", "--held-out", "0.2")
    drawn = shell(*short, "--json").json
    assert drawn["plot"] == "runs/words/training.png"
    picture = Path(drawn["plot"]).read_bytes()
    assert picture.startswith(b"\x89PNG")
    lines = [
        {name: value for name, value in line.items() if name != "held_out_loss"}
        for line in numbers(Path("runs/words"))
    ]
    Path("without.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert training_log.plot("without.jsonl", "without.png").read_bytes() != picture
    assert shell(*short, "--no-plot", "--json").json["plot"] is None
    for name in ("matplotlib", "matplotlib.backends.backend_agg", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    bare = shell(*short)
    assert bare.code == 0
    assert "no picture of the losses: " in bare.err
    assert "pip install 'tinkex[plot]'" in bare.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give a FILE to train on"),
        (("words.jsonl",), "give one of --base-model NAME and --from PATH"),
        (("words.jsonl", *NANO, "--from", "tinker://r/weights/a"), "give one of --base-model"),
        (
            ("words.jsonl", *NANO, "--steps", "3", "--epochs", "2"),
            "give one of --steps and --epoch",
        ),
        (("words.jsonl", *NANO, "--rank", "0"), "--rank: must be an integer of at least 1"),
        (("words.jsonl", *NANO, "--held-out", "1"), "--held-out: must be at least 0 and below 1"),
        (("words.jsonl", *NANO, "--name", "a/b"), "name"),
        (("nowhere.jsonl", *NANO), "does not exist"),
        (("words.jsonl", "--from", "tinker://r/weights/a", "--dry-run"), "--tokenizer"),
    ],
)
def test_arguments_that_cannot_be_right_are_refused(
    shell: Shell, data: Path, arguments: tuple[str, ...], said: str
) -> None:
    """Exit code 2, and the option is named."""
    done = shell("train", *arguments)
    assert done.code == 2, done.err
    assert said in done.err


def test_data_may_come_from_standard_input(shell: Shell, data: Path) -> None:
    """Read once; a run that is resumed is given it again."""
    text = data.read_text()
    done = shell("train", "-", *NANO, "--steps", "2", "--json", stdin=text)
    assert done.code == 0, done.err
    assert done.json["folder"] == "runs/standard-input"
    plan = Path("runs/standard-input/finetune.json")
    plan.write_text(json.dumps({**json.loads(plan.read_text()), "result": None}))
    refused = shell("train", "--resume", "runs/standard-input")
    assert refused.code == 2
    assert "give them again, as the FILE of --resume ('-' for standard input)" in refused.err
    resumed = shell("train", "--resume", "runs/standard-input", "-", "--json", stdin=text)
    assert resumed.code == 0, resumed.err
    assert resumed.json["steps"] == 2


def test_a_moved_file_can_be_resumed_with(shell: Shell, data: Path) -> None:
    """Its columns are those of the beginning."""
    Path("faq.csv").write_text("id,q,a\n" + "".join(f"{n},Say {n}.,{n}!\n" for n in range(4)))
    columns = ("--user-column", "q", "--assistant-column", "a")
    done = shell("train", "faq.csv", *NANO, "--steps", "1", *columns, "--json")
    assert done.code == 0, done.err
    plan = Path("runs/faq/finetune.json")
    plan.write_text(json.dumps({**json.loads(plan.read_text()), "result": None}))
    Path("faq.csv").rename("moved.csv")
    assert "faq.csv" in shell("train", "--resume", "runs/faq").err
    assert shell("train", "--resume", "runs/faq", "moved.csv").code == 0
    shown = shell("train", "moved.csv", *NANO, *columns, "--dry-run")
    assert "ignored fields: id (4 lines)" in shown.out
    assert "Line 2, with ⟦what is learned⟧" in shown.out
    assert "user\nSay 0.<|im_end|>\n<|im_start|>assistant\n⟦0!<|im_end|>⟧" in shown.out
    wrong = shell("train", "moved.csv", *NANO, "--prompt-column", "q", "--dry-run")
    assert wrong.code == 2
    assert "columns: also need a column for completion" in wrong.err


def test_a_field_that_the_template_ignores_stops_the_run(shell: Shell, data: Path) -> None:
    """Unless its loss is accepted, one by one or several at once."""
    turns = [{**LINES[0]["messages"][0], "name": "Bob"}, LINES[0]["messages"][1]]
    turns[1] = {**turns[1], "reasoning_content": "hm"}
    data.write_text(json.dumps({"messages": turns}) + "\n")
    refused = shell("train", str(data), *NANO)
    assert refused.code == 2
    assert f"{data}:1: the chat template of " in refused.err
    assert "--ignore-fields" in refused.err
    assert not Path("runs").exists()
    for accepted in (
        ("--ignore-fields", "name,reasoning_content"),
        ("--ignore-fields", "name", "--ignore-fields", "reasoning_content"),
    ):
        shown = shell("train", str(data), *NANO, "--dry-run", *accepted)
        assert shown.code == 0, shown.err
        assert "reasoning_content (1 line)" in shown.out
        assert "name (1 line)" in shown.out


def test_a_dry_run_knows_what_a_model_can_read(
    shell: Shell, data: Path, server: LocalServer
) -> None:
    """Where its server says it: a line that is too long is found by it, and else it says so."""
    with data.open("a") as file:
        file.write(json.dumps({"text": "so " * 2000}) + "\n")
    for where in ((), ("--base-url", "local")):
        done = shell("train", str(data), *NANO, "--dry-run", *where)
        assert done.code == 2
        assert "longer than 512 tokens (line 7;" in done.err
    nowhere = shell("train", str(data), *NANO, "--dry-run", "--base-url", "http://127.0.0.1:9")
    assert nowhere.code == 0, nowhere.err
    assert "context: not known, since no server says it" in nowhere.out


def test_a_run_that_is_refused_leaves_no_folder(shell: Shell, data: Path) -> None:
    """The next one may have its place."""
    for options in (("--rank", "100000"), ("--name", "a@b"), ("--sample", "so " * 1000)):
        refused = shell(
            "train", str(data), "--base-model", "tinkex/nano", *options, "--output", "x"
        )
        assert refused.code in (1, 2)
        assert not Path("x").exists()
    done = shell("train", str(data), *NANO, "--steps", "1", "--output", "x")
    assert done.code == 0, done.err


def test_a_run_that_fails_says_so(shell: Shell, data: Path) -> None:
    """In place of an invitation to talk to its model."""
    options = ("--steps", "6", "--learning-rate", "9", "--held-out", "0.2", "--output", "x")
    done = shell("train", str(data), *NANO, *options)
    assert done.code == 0, done.err
    assert "warning: the loss did not fall: " in done.err
    assert "warning: the validation loss " in done.err
    assert "Try a lower learning rate than 9, such as 0.01" in done.err
    assert "Talk to it" not in done.err
    again = shell("train", "--resume", "x", "--json")
    assert again.json["failures"]
    assert "warning: the loss did not fall: " in again.err
    fine = shell("train", str(data), *NANO, "--steps", "6")
    assert "Talk to it" in fine.err
    assert "learning rate 0.01" in fine.err


def test_notices_are_said_before_a_run(shell: Shell, data: Path) -> None:
    """And by the dry run."""
    data.write_text(json.dumps({"prompt": "a", "completion": "b c<|im_end|>"}) + "\n")
    notice = "note: <|im_end|> stands at the end of the text already, and is taken once (line 1)"
    assert notice in shell("train", str(data), *NANO, "--steps", "1").err
    shown = shell("train", str(data), *NANO, "--dry-run")
    assert notice in shown.out
    assert shell("train", str(data), *NANO, "--dry-run", "--json").json["notices"] == [notice[6:]]


def test_a_checkpoint_is_trained_on_with_the_rate_of_its_model(shell: Shell, data: Path) -> None:
    """Which only the server knows."""
    first = shell("train", str(data), *NANO, "--steps", "1", "--json").json
    second = shell("train", str(data), "--from", first["state_path"], "--steps", "1", "--no-plot")
    assert "learning rate 0.01" in second.err


def test_the_first_ctrl_c_asks_and_the_second_one_stops() -> None:
    """Before it is armed, and after it has asked, Ctrl-C is what it always was."""
    said: list[str] = []
    with Interrupts(said.append) as interrupts:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert not interrupts.asked
        interrupts.arm()
        signal.raise_signal(signal.SIGINT)
        assert interrupts.asked
        assert "press Ctrl-C again to stop at once" in said[0]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
