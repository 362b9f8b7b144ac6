"""Forms with files, read completely and returned as they came."""

import uuid
from functools import partial
from typing import Any

from tinkex_generated.models import UploadedForm

from tinkex.local.app_state import AppState
from tinkex.local.call import Call
from tinkex.local.forms import boundary_of, read_form
from tinkex.local.problem import Problem

MEDIA_TYPE = "multipart/form-data"


async def upload_form(state: AppState, call: Call) -> UploadedForm:
    """Write the form to the staging folder as it comes, read it there, and remove it."""
    content_type = call.request.headers.get("content-type", "")
    if content_type.split(";", 1)[0].strip().lower() != MEDIA_TYPE:
        raise Problem(415, f"{content_type[:100]!r} bodies are not understood: send {MEDIA_TYPE}")
    if call.request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "compressed bodies are not understood: send them as they are")
    boundary = boundary_of(content_type)
    came = state.data.staging / f"{uuid.uuid4().hex}.form"
    try:
        with came.open("xb") as file:
            async for piece in call.request.stream():
                await state.pool.run(partial(file.write, piece))
        form: UploadedForm = await state.pool.run(partial(read_form, came, boundary))
    finally:
        came.unlink(missing_ok=True)
    return form


HANDLERS: dict[str, Any] = {"upload_form": upload_form}
