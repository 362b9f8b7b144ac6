"""What the examples share: how questions are written as tokens, data files, pictures."""

from __future__ import annotations

import importlib.util
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from types import ModuleType

import pytest
from examples.test_examples import EXAMPLES
from support.made_tokenizers import byte_level

from tinkex import Tokenizer

SVG = "{http://www.w3.org/2000/svg}"


def load(name: str) -> ModuleType:
    """Import a module of the examples, which are no package."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Data classes look for their module there.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


conversation = load("conversation")
drawing = load("drawing")


def test_a_model_without_chat_reads_plain_text() -> None:
    """The question begins with what begins a text, the answer does not, and a line ends it."""
    tokenizer = Tokenizer(byte_level(), name="plain")
    form = conversation.Format(tokenizer)
    assert tokenizer.decode(form.question("Is it day?")) == "<|bos|>Q: Is it day?\nA:"
    assert tokenizer.decode(form.answer("yes")) == " yes\n"
    assert form.stop == ["\n"]
    assert form.text(form.answer("yes")) == "yes"


def test_what_is_trained_on_is_the_answer_alone() -> None:
    """The weights are 1 for the answer's tokens, its end among them, and 0 for the question's."""
    form = conversation.Format(Tokenizer(byte_level(), name="plain"))
    datum = form.datum(conversation.Exchange("Is it day?", "yes"))
    targets = datum.loss_fn_inputs["target_tokens"].numpy()
    weights = datum.loss_fn_inputs["weights"].numpy()
    assert targets[weights == 1].tolist() == form.answer("yes")
    assert targets[weights == 0].tolist() == form.question("Is it day?")[1:]


@pytest.mark.parametrize("name", ["tickets.jsonl", "orders.jsonl"])
def test_the_data_that_come_with_the_examples_are_read(name: str) -> None:
    """Every line is an exchange, and no question stands there twice."""
    exchanges = conversation.read_exchanges(EXAMPLES / "data" / name)
    assert len(exchanges) > 100
    assert len({one.question for one in exchanges}) == len(exchanges)


def test_batches_begin_again_where_the_data_end() -> None:
    """Each item is seen once before any is seen again."""
    assert conversation.batches([1, 2, 3], 2, 3) == [[1, 2], [3, 1], [2, 3]]


def marks(path: Path, tag: str) -> list[ET.Element]:
    return ET.parse(path).getroot().findall(f".//{SVG}{tag}")


def test_a_curve_is_drawn_where_its_numbers_are(tmp_path: Path) -> None:
    """Equal steps of a number are equal steps on the page; names are written as they are."""
    path = tmp_path / "a.svg"
    drawing.draw(path, "a < b & c", [drawing.Panel("y", "x", curves={"one": [0.0, 1.0, 2.0]})])
    [line] = marks(path, "polyline")
    points = [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]
    (x0, y0), (x1, y1), (x2, y2) = points
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.2)
    assert y0 > y1 > y2
    assert marks(path, "title")[0].text == "a < b & c"


def test_a_logarithmic_axis_has_equal_steps_for_equal_factors(tmp_path: Path) -> None:
    """0.001, 0.01 and 0.1 are as far apart; each has its number below."""
    path = tmp_path / "a.svg"
    curve = [(1e-3, 1.0), (1e-2, 1.0), (1e-1, 1.0)]
    drawing.draw(path, "t", [drawing.Panel("y", "x", {"one": curve}, log_x=True, dots=True)])
    x0, x1, x2 = (float(dot.attrib["cx"]) for dot in marks(path, "circle"))
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    written = [text.text for text in marks(path, "text")]
    assert {"0.001", "0.01", "0.1"} <= set(written)


def test_a_bar_is_as_high_as_its_number(tmp_path: Path) -> None:
    """Half the number is half the height; the number is written below."""
    path = tmp_path / "a.svg"
    bars = {"all": drawing.Bar(1.0), "half": drawing.Bar(0.5, 0.4, 0.6)}
    drawing.draw(path, "t", [drawing.Panel("y", bars=bars, y_range=(0, 1))])
    _, all_of_it, half = marks(path, "rect")
    assert float(half.attrib["height"]) == pytest.approx(float(all_of_it.attrib["height"]) / 2)
    assert {"all", "half", "0.5"} <= {text.text for text in marks(path, "text")}


@pytest.mark.parametrize("values", [[], [0.0], [3.0], [-1.0, 1.0], [1e-9, 2e-9], [1e6, 2e6]])
def test_any_numbers_can_be_drawn(values: list[float], tmp_path: Path) -> None:
    """Also none, one, negative, tiny and huge ones give a whole picture."""
    path = tmp_path / "a.svg"
    drawing.draw(path, "t", [drawing.Panel("y", "x", curves={"one": values})])
    [line] = marks(path, "polyline")
    assert len(line.attrib["points"].split()) == len(values)
    assert "nan" not in path.read_text()
