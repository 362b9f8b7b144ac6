"""Execute a notebook and take the picture of it that docs/notebooks.md shows.

    python tools/notebook_picture.py [FILE]

Needs chromium, nbconvert (pip install nbconvert) and the development tools.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from page_pictures import FLAGS, ROOT, shrink
from playwright.sync_api import sync_playwright

CELLS = (
    """import tinkex
from tinkex import recipes

service = tinkex.ServiceClient(base_url="local")
examples = recipes.read_examples("orders.jsonl")
examples""",
    """run = recipes.sft(
    "orders.jsonl", base_model="tinkex/tiny-chat", epochs=4, service=service, folder="run"
)""",
    """sampler = service.create_sampling_client(run.sampler_path)
messages = [{"role": "user", "content": "I want 3 blue lamps in Rome."}]
ids = sampler.get_tokenizer().apply_chat_template(messages, add_generation_prompt=True)
prompt = tinkex.ModelInput.from_ints(ids)
sampler.sample(prompt, 2, tinkex.SamplingParams(max_tokens=40, seed=0)).result()""",
    "rest = service.create_rest_client()\nrest.list_user_checkpoints(limit=3)",
    'rest.get_training_run("orders")',
)
WIDTH = 1160
STYLE = """<style>
body { padding: 0.5rem 1rem !important; }
.jp-InputPrompt, .jp-OutputPrompt { min-width: 4.5rem !important; }
</style>"""


def main() -> None:
    """Execute, convert to a page, photograph."""
    target = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "docs" / "pictures" / "notebook.png")
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("chromium is not installed")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(one) for one in CELLS])
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.copy(ROOT / "examples" / "data" / "orders.jsonl", folder)
        # The reader's own runs are none of the picture's.
        os.environ["TINKEX_LOCAL_DIR"] = str(folder / "local")
        where = {"metadata": {"path": str(folder)}}
        NotebookClient(notebook, timeout=300, allow_errors=True, resources=where).execute()
        page, _ = HTMLExporter(mathjax_url="", require_js_url="").from_notebook_node(notebook)
        file = folder / "notebook.html"
        file.write_text(page.replace("</head>", f"{STYLE}</head>"), encoding="utf-8")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            view = browser.new_page(viewport={"width": WIDTH, "height": 600})
            view.goto(file.as_uri())
            view.screenshot(path=target, full_page=True)
            browser.close()
    shrink(target)


if __name__ == "__main__":
    main()
