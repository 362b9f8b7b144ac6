"""Sample from a vision model with an image, resume training from a checkpoint, and clean up.

    python examples/multimodal_resume_and_cleanup.py

The embedded server has tinkex/tiny-vision, which names drawn shapes and their colours; with another
server each part is skipped with a line if there is nothing for it: no model that sees, no checkpoint to
resume from. Where the number of an image's tokens is known and there is no checkpoint yet, the example
makes one: it teaches the model what the image shows. Exit code 1 if a part failed.

Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_BASE_MODEL (a vision model), TINKER_IMAGE_PATH (a PNG
or JPEG file), TINKER_IMAGE_EXPECTED_TOKENS (how many tokens the image takes), TINKER_CHECKPOINT_PATH
(of a training checkpoint; else the one noted in tmp/checkpoints/default.path, else your newest).
"""

from __future__ import annotations

import os
import sys
from itertools import islice
from pathlib import Path
from typing import Literal

from connection import connect

from tinkex import (
    AdamParams,
    ModelInput,
    RestClient,
    SamplingParams,
    ServiceClient,
    TinkexError,
)
from tinkex.errors import ApiError
from tinkex.losses import completion_datum
from tinkex.types import EncodedTextChunk, ImageChunk

PREFERRED = ("Qwen/Qwen3-VL-30B-A3B-Instruct", "Qwen/Qwen3-VL-235B-A22B-Instruct")
SIGNS = ("vision", "vl", "image", "omni")
IMAGE = Path(__file__).parent / "assets" / "vision_sample.png"
CACHE = Path("tmp/checkpoints/default.path")
CAPTION = "A small image:"
SHOWN = " A yellow sun over green hills."
# How many tokens an image takes in the embedded server's model.
LOCAL_MODEL, LOCAL_TOKENS = "tinkex/tiny-vision", 64
SAMPLE_TIMEOUT = 60.0


def main() -> int:
    """Run both parts; one that is skipped has not failed."""
    picture, tokens = image_path(), expected_tokens()
    with connect() as service:
        model = vision_model(service)
        if model is None:
            print("Skipping the image: this server offers no model that sees.")
            seen, taught = True, None
        else:
            tokens = LOCAL_TOKENS if tokens is None and model == LOCAL_MODEL else tokens
            image = ImageChunk(picture.read_bytes(), image_format(picture), tokens)
            seen = look(service, model, image)
            first = checkpoint_path(service.create_rest_client()) is None
            taught = teach(service, model, image) if seen and tokens and first else None
        resumed = resume(service, taught)
    print("To delete what you no longer need: tinkex checkpoint delete PATH [PATH ...] --yes")
    return 0 if seen and resumed else 1


def vision_model(service: ServiceClient) -> str | None:
    """Return TINKER_BASE_MODEL, or a model on offer whose name says that it sees."""
    named = os.environ.get("TINKER_BASE_MODEL")
    if named:
        return named
    models = service.get_server_capabilities().supported_models
    names = [model.model_name for model in models if model.model_name]
    preferred = [name for name in PREFERRED if name in names]
    seeing = [name for name in names if any(sign in name.lower() for sign in SIGNS)]
    return next(iter([*preferred, *seeing]), None)


def image_path() -> Path:
    """Return the image's file, which must be there."""
    path = Path(os.environ.get("TINKER_IMAGE_PATH") or IMAGE)
    if not path.is_file():
        sys.exit(f"error: TINKER_IMAGE_PATH: {path} is no file")
    return path


def image_format(path: Path) -> Literal["png", "jpeg"]:
    """Return the image format of a file, by its name."""
    ending = path.suffix.lower()
    if ending == ".png":
        return "png"
    if ending in (".jpg", ".jpeg"):
        return "jpeg"
    sys.exit(f"error: TINKER_IMAGE_PATH: {path.name} is neither .png nor .jpg nor .jpeg")


def expected_tokens() -> int | None:
    """Return the declared number of tokens of the image."""
    given = os.environ.get("TINKER_IMAGE_EXPECTED_TOKENS")
    if not given:
        return None
    if not given.isdecimal():
        sys.exit(f"error: TINKER_IMAGE_EXPECTED_TOKENS must be a number from 0 on, not {given!r}")
    return int(given)


def look(service: ServiceClient, model: str, image: ImageChunk) -> bool:
    """Sample after a text and an image, and print what came back."""
    print(f"Vision model: {model}; image: {image.format}, {len(image.data)} bytes")
    try:
        sampler = service.create_sampling_client(base_model=model)
        text = EncodedTextChunk(sampler.get_tokenizer().encode(CAPTION))
        params = SamplingParams(max_tokens=8, temperature=0.7)
        prompt = ModelInput([text, image])
        sequences = sampler.sample(prompt, 1, params).result(SAMPLE_TIMEOUT).sequences
    except ApiError as error:
        print(f"The image was refused: {error}", file=sys.stderr)
        if error.status_code == 400:
            if "sdk" in str(error).lower():
                print(f"This SDK says it is version {service.config.sdk_version}.", file=sys.stderr)
            print("Is the image readable, and of the size that the model takes?", file=sys.stderr)
        return False
    print(f"Sequences: {len(sequences)}")
    for sequence in sequences:
        print(f"  {sequence.tokens} {sampler.get_tokenizer().decode(sequence.tokens)!r}")
    return True


def teach(service: ServiceClient, model: str, image: ImageChunk) -> str:
    """Train on the image and what it shows, and return the path of a checkpoint."""
    training = service.create_lora_training_client(model, rank=8)
    tokenizer = training.get_tokenizer()
    prompt = ModelInput([EncodedTextChunk(tokenizer.encode(CAPTION)), image])
    datum = completion_datum(prompt, tokenizer.encode(SHOWN))
    losses = []
    for _ in range(10):
        output, step = training.train_step([datum], "cross_entropy", AdamParams(learning_rate=5e-3))
        losses.append(output.result().mean_loss)
        step.result()
    print(f"Taught {SHOWN.strip()!r}: loss per token {losses[0]:.2f} → {losses[-1]:.2f}")
    return training.save_state("taught").result().path


def checkpoint_path(rest: RestClient) -> str | None:
    """Return the checkpoint that is named, noted, or else the newest to train on from."""
    named = os.environ.get("TINKER_CHECKPOINT_PATH")
    if named:
        return named
    if CACHE.is_file() and (noted := CACHE.read_text(encoding="utf-8").strip()):
        print(f"Noted in {CACHE}: {noted}")
        # It may be gone by now; the newest will do as well.
        if any(one.tinker_path == noted for one in islice(rest.iter_user_checkpoints(), 100)):
            return noted
        print("  ... which is no longer there")
    for one in islice(rest.iter_user_checkpoints(), 100):
        if one.checkpoint_type == "training":
            return one.tinker_path
    return None


def resume(service: ServiceClient, taught: str | None) -> bool:
    """Go on from a checkpoint with its optimizer, and give the model back."""
    path = taught or checkpoint_path(service.create_rest_client())
    if path is None:
        print("Skipping the resumption: there is no training checkpoint yet.")
        return True
    print(f"Going on from {path}")
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    CACHE.write_text(path, encoding="utf-8")
    try:
        training = service.create_training_client_from_state_with_optimizer(path)
    except TinkexError as error:
        print(f"It could not be restored: {error}", file=sys.stderr)
        return False
    print(f"Restored as {training.model_id}, with its optimizer")
    training.discard()
    print("Unloaded it again.")
    return True


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (TinkexError, TimeoutError) as error:
        sys.exit(f"error: {error}")
