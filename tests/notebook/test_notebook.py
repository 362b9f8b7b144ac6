"""What a notebook shows, in a kernel that executes its cells."""

from __future__ import annotations

import re
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

ORDERS = Path(__file__).parents[2] / "examples" / "data" / "orders.jsonl"
KEY = "tml-canary-0123456789"
CELLS = {
    "open": f"""
import tinkex
from tinkex.observability.training_log import TrainingLog
service = tinkex.ServiceClient(base_url="local", api_key={KEY!r})
sampler = service.create_sampling_client(base_model="tinkex/tiny-chat")
""",
    "sample": """
prompt = tinkex.ModelInput.from_text("The sky is", sampler)
response = sampler.sample(prompt, 2, tinkex.SamplingParams(max_tokens=12, seed=1)).result()
response
""",
    "text": "print(sampler.get_tokenizer().decode(response.sequences[0].tokens))",
    "repr": "print(repr(response))",
    "log": """
log = TrainingLog("metrics.jsonl")
display(log)
for step in range(1, 6):
    log.step(step, loss=5.0 / step, held_out_loss=6.0 / step)
log.close()
""",
    "train": f"""
training = service.create_lora_training_client("tinkex/nano", rank=4)
path = training.save_state("first").result().path
outcome = tinkex.recipes.sft({str(ORDERS)!r}, base_model="tinkex/tiny-chat", rank=4, steps=4,
                             batch_size=4, folder="run", service=service)
""",
    "checkpoints": "service.create_rest_client().list_user_checkpoints()",
    "inspection": """
folder = tinkex.checkpoints.download(service.create_rest_client(), path, "adapter").folder
tinkex.checkpoints.inspect(folder)
""",
    "file": f"examples = tinkex.recipes.read_examples({str(ORDERS)!r})\nexamples",
    "example": "examples.examples[0]",
    "missing": 'service.create_rest_client().get_training_run("none")',
    "future": """
datum = tinkex.losses.cross_entropy_datum([5, 6, 7, 8])
training.forward([datum], "no_such_loss").result()
""",
    # As an interrupt of the kernel does, but surely during the wait.
    "interrupt": """
import concurrent.futures, signal
from tinkex._core import loop

loop.wait_for(concurrent.futures.Future(), done=lambda timeout: signal.raise_signal(signal.SIGINT))
""",
    "verbose": """
%xmode Verbose
service.create_rest_client().get_training_run("none")
""",
    "hostile": f"""
tinkex.ForwardBackwardOutput("x", [], {{"<script>alert(1)</script> {KEY}": 1.0}})
""",
    "close": "service.close()\nresponse",
}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """Execute the cells in a kernel, and return the outputs of each."""
    folder = tmp_path_factory.mktemp("notebook")
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in CELLS.values()]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = nbclient.NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        allow_errors=True,
        resources={"metadata": {"path": str(folder)}},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINKEX_LOCAL_DIR", str(folder / "local"))
        client.execute()
    return {name: cell.outputs for name, cell in zip(CELLS, cells, strict=True)}


class Tags(HTMLParser):
    """Collect the tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)


def html(outputs: list[Any]) -> str:
    """Return the HTML of the only output."""
    [output] = outputs
    text: str = output.data["text/html"]
    return text


def cells(page: str) -> list[str]:
    """Return the cells of a page's tables."""
    return [
        unescape(cell) for cell in re.findall("<t[dh]>(?:<pre>)?(.*?)(?:</pre>)?</t[dh]>", page)
    ]


def traceback_of(outputs: list[Any]) -> list[str]:
    """Return the lines of an error."""
    [output] = outputs
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(output.traceback)).splitlines()


def test_a_response_shows_its_text(outputs: dict[str, list[Any]]) -> None:
    """The client's tokenizer decodes it; one row a sample."""
    text = outputs["text"][0].text.removesuffix("\n")
    shown = cells(html(outputs["sample"]))
    assert shown[:3] == ["sample", "text", "tokens"]
    assert text in shown


def test_a_response_that_outlives_its_client_is_shown(outputs: dict[str, list[Any]]) -> None:
    """A closed client makes no cell fail."""
    assert cells(html(outputs["close"])) == cells(html(outputs["sample"]))


def test_the_repr_of_a_response_is_short(outputs: dict[str, list[Any]]) -> None:
    """Of many tokens it shows the first ones and how many there are."""
    text = outputs["repr"][0].text
    assert "... 12 items]" in text
    assert len(text) < 300


@pytest.mark.parametrize(("cell", "steps"), [("log", 5), ("train", 4)])
def test_a_run_shows_its_loss_curve(cell: str, steps: int, outputs: dict[str, list[Any]]) -> None:
    """One output, which the run redraws: it ends with the last step's losses."""
    page = html(outputs[cell])
    assert page.startswith("<svg")
    assert f"<p>step {steps}: " in page
    assert "validation loss" in page


def test_checkpoints_are_a_short_table(outputs: dict[str, list[Any]]) -> None:
    """Empty columns are left out, and ids that the path contains."""
    names = re.findall("<th>(.*?)</th>", html(outputs["checkpoints"]))
    assert {"tinker_path", "time", "size_bytes"} <= set(names)
    assert not {"checkpoint_id", "training_run_id"} & set(names)


def test_an_inspection_is_a_table(outputs: dict[str, list[Any]]) -> None:
    """What it is, and a row a tensor."""
    shown = cells(html(outputs["inspection"]))
    assert shown[shown.index("rank") + 1] == "4"
    assert "base_model.model.lm_head.lora_A.weight" in shown
    assert len(outputs["inspection"][0].data["text/plain"]) < 500


def test_examples_are_tables(outputs: dict[str, list[Any]]) -> None:
    """A file shows its first examples; an example shows its messages."""
    page = html(outputs["file"])
    assert page.startswith("<p>160 examples; the first 5:</p>")
    assert cells(page).count("Conversation") == 5
    assert cells(html(outputs["example"]))[:4] == ["role", "content", "weight", "user"]
    assert len(outputs["file"][0].data["text/plain"]) < 500


@pytest.mark.parametrize(
    ("cell", "line", "name"),
    [
        ("missing", 'service.create_rest_client().get_training_run("none")', "NotFoundError"),
        ("future", 'training.forward([datum], "no_such_loss").result()', "BadRequestError"),
        ("interrupt", "loop.wait_for(", "KeyboardInterrupt"),
    ],
)
def test_an_error_is_a_few_lines(
    cell: str, line: str, name: str, outputs: dict[str, list[Any]]
) -> None:
    """The reader's own line and what happened, without a frame of this package or of Python."""
    shown = traceback_of(outputs[cell])
    assert any(line in one for one in shown)
    assert shown[-1].startswith(name)
    assert len(shown) <= 7
    assert not any(".py" in one for one in shown)


def test_verbose_tracebacks_show_every_frame(outputs: dict[str, list[Any]]) -> None:
    """`%xmode Verbose` is how the inner frames are had."""
    shown = traceback_of(outputs["verbose"][1:])
    assert any("transport.py" in one for one in shown)


def test_what_a_server_wrote_is_escaped_and_masked(outputs: dict[str, list[Any]]) -> None:
    """Names become cells, never markup, and a key in them is masked."""
    page = html(outputs["hostile"])
    tags = Tags()
    tags.feed(page)
    assert tags.seen == {"p", "table", "thead", "tbody", "tr", "th", "td"}
    assert KEY not in page


def test_nothing_of_ipython_is_loaded_by_the_package() -> None:
    """A program outside of a notebook pays nothing for them."""
    program = (
        "import sys, tinkex, tinkex._base.notebook as n; from tinkex import recipes; "
        "n.Display().show('', ''); sys.exit('IPython' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0
