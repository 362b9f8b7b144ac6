"""The client against the local server: errors and results that scripted responses cannot prove."""

from __future__ import annotations

import pytest
from support.nano import NANO

from tinkex import ServiceClient
from tinkex.errors import ConflictError


def test_a_taken_checkpoint_name_is_a_conflict_that_names_it(nano_service: ServiceClient) -> None:
    """The error comes from the submission, at once, and the model takes further requests."""
    training = nano_service.create_lora_training_client(NANO, rank=4)
    path = training.save_state("a").result().path
    with pytest.raises(ConflictError, match=f"{path} already exists") as caught:
        training.save_state("a")
    assert caught.value.category == "user"
    assert training.save_state("b").result().path.endswith("/weights/b")
