"""What the sections of the pages show: for each a function from the server's state to the template's values."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import frozen
from markupsafe import Markup

from tinkex.local.app_state import AppState
from tinkex.local.checkpoints import CheckpointRecord
from tinkex.local.futures import Promise
from tinkex.local.page.charts import curve, hourly_bars
from tinkex.local.page.words import run_name
from tinkex.local.problem import Problem
from tinkex.local.run_status import RunStatus, status_of
from tinkex.local.runs import RunRecord
from tinkex.local.usage import HOUR_S

MOST_RUNS = 30
MOST_ROWS = 12
MOST_PENDING = 40
HOURS = 24
STATES = ("computing", "queued", "held back")
# Clients set a bound that no gradient reaches where servers report its norm only if there is one.
NO_CLIPPING = 1e9
_KINDS = {"training": "trained", "sampling_prefill": "read", "sampling_sample": "sampled"}
KIND_NAMES = {
    "weights": "training state",
    "sampler_weights": "for sampling",
    "external_weights": "export",
}


@frozen
class RunView:
    """A run with its name and state."""

    record: RunRecord
    status: RunStatus
    name: str
    steps: int

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.record.run_id


@frozen
class CheckpointView:
    """A checkpoint with the name of its run, its step, and the commands that use it."""

    record: CheckpointRecord
    run_name: str
    step: int | None
    kind: str
    commands: Sequence[tuple[str, str]]

    # What templates read is checked by no tool; so it is named here.
    @property
    def path(self) -> str:
        """The checkpoint's tinker:// path."""
        return str(self.record.path)

    @property
    def name(self) -> str:
        """The checkpoint's name within its run."""
        return self.record.path.name

    @property
    def run_id(self) -> str:
        """The id of its run."""
        return self.record.path.training_run_id


@frozen
class PendingView:
    """A request without a result: what it is for, and whether it is computed, queued or held back."""

    operation: str
    run_id: str | None
    name: str
    state: str
    since: float


@frozen
class Place:
    """Which page is shown, and how its server is reached: its runs, and the base URL for commands."""

    run_ids: Sequence[str] = ()
    base_url: str = ""


Values = Mapping[str, Any]


def view_of(state: AppState, run: RunRecord) -> RunView:
    """Return a run as the pages show it."""
    status = status_of(state, run)
    return RunView(run, status, run_name(run, status), state.metrics.last_step(run.run_id))


def chosen_runs(state: AppState, place: Place) -> list[RunView]:
    """Return the runs of a page."""
    return [view_of(state, state.runs.get(run_id)) for run_id in place.run_ids]


def tiles(state: AppState, place: Place) -> Values:
    """Show what there is in numbers."""
    del place
    totals = state.usage.totals()
    return {
        "runs": state.runs.page(1, 0)[1],
        "models": len(list(state.models.all())),
        "sessions": len(state.last_seen),
        "stored": sum(size for _, _, size in state.checkpoints.storage_by_project()),
        "trained": totals.get("training", 0),
        "sampled": totals.get("sampling_sample", 0),
        "bases": state.bases.names,
    }


def runs(state: AppState, place: Place) -> Values:
    """Show the newest runs, each with its loss curve; where there is none, how to begin one."""
    page, total = state.runs.page(MOST_RUNS, 0)
    cards = []
    for run in page:
        losses = state.metrics.losses(run.run_id)
        drawing = Markup(curve(losses))  # noqa: S704 - drawn from numbers
        cards.append((view_of(state, run), drawing, losses[-1][1] if losses else None))
    first = f"tinkex train --base-url {place.base_url} --base-model {state.bases.names[0]} FILE"
    return {"cards": cards, "total": total, "first": first}


def queue(state: AppState, place: Place) -> Values:
    """Show the requests without a result: those that are computed now, and those that wait."""
    del place
    pending = state.promises.pending()
    # What is computed comes first; the rest in the order of its arrival.
    pending.sort(key=lambda one: (one.began_at is None, one.opened_at))
    counts = Counter(_state(one) for one in pending)
    states = {name: counts[name] for name in STATES if counts[name]}
    names: dict[str, tuple[str | None, str]] = {}
    views = []
    for promise in pending[:MOST_PENDING]:
        if promise.track not in names:
            names[promise.track] = _track_name(state, promise.track)
        views.append(_pending_view(promise, *names[promise.track]))
    return {"pending": views, "states": states, "total": len(pending)}


def _state(promise: Promise) -> str:
    if promise.began_at is not None:
        return "computing"
    return "held back" if promise.waits_for() else "queued"


def _pending_view(promise: Promise, run_id: str | None, name: str) -> PendingView:
    return PendingView(
        operation=promise.operation.replace("_", " "),
        run_id=run_id,
        name=name,
        state=(promise.began_at is None and promise.waits_for()) or _state(promise),
        since=promise.opened_at if promise.began_at is None else promise.began_at,
    )


def _track_name(state: AppState, track: str) -> tuple[str | None, str]:
    """Return the run that requests are for, if they are for one, and what to call what they are for."""
    try:
        return track, view_of(state, state.runs.get(track)).name
    except Problem:
        sampler = state.samplers.find(track)
    if sampler is None:
        return None, track
    return None, _source_name(state, sampler.model_path, sampler.base_model)


def hours(state: AppState, place: Place) -> Values:
    """Show the tokens of the last hours."""
    del place
    newest = int(state.now() // HOUR_S)
    counts: dict[int, dict[str, int]] = {hour: {} for hour in range(newest - HOURS + 1, newest + 1)}
    for row in state.usage.window(min(counts) * HOUR_S, (newest + 1) * HOUR_S):
        if row.kind in _KINDS:
            kinds, kind = counts[row.hour], _KINDS[row.kind]
            kinds[kind] = kinds.get(kind, 0) + row.count
    named = [
        (time.strftime("%H:%M", time.localtime(hour * HOUR_S)), kinds)
        for hour, kinds in counts.items()
    ]
    return {
        "chart": Markup(hourly_bars(named, list(_KINDS.values()))),  # noqa: S704 - drawn from numbers
        "kinds": list(_KINDS.values()),
    }


def checkpoints(state: AppState, place: Place) -> Values:
    """Show the newest checkpoints of all runs."""
    records, total = state.checkpoints.page(MOST_ROWS, 0)
    names: dict[str, str] = {}
    views = []
    for record in records:
        run_id = record.path.training_run_id
        if run_id not in names:
            names[run_id] = view_of(state, state.runs.get(run_id)).name
        views.append(_checkpoint_view(state, place, record, names[run_id]))
    return {"checkpoints": views, "total": total}


def _checkpoint_view(
    state: AppState, place: Place, record: CheckpointRecord, name: str
) -> CheckpointView:
    path, server = str(record.path), f"--base-url {place.base_url}"
    commands = [("download", f"tinkex checkpoint download {server} {path}")]
    if record.path.kind == "weights":
        resume = f'service.create_training_client_from_state_with_optimizer("{path}")'
        commands = [
            ("train on", f"tinkex train {server} --from {path} FILE"),
            ("resume in Python", resume),
            *commands,
        ]
    elif record.path.kind == "sampler_weights":
        commands = [("chat", f"tinkex chat {server} --model-path {path}"), *commands]
    step = state.shown_samples.step_of(record.folder_id)
    kind = KIND_NAMES[record.path.kind] + (", public" if record.public else "")
    return CheckpointView(record, name, step, kind, commands)


def samplers(state: AppState, place: Place) -> Values:
    """Show the newest sampling sessions."""
    del place
    rows = state.database.rows(
        "SELECT * FROM samplers ORDER BY created_at DESC LIMIT ?", (MOST_ROWS,)
    )
    live = {sampler.sampler_id for sampler in state.samplers.all()}
    return {
        "samplers": [
            {
                "id": row["sampler_id"],
                "name": _source_name(state, row["model_path"], row["base_model"]),
                "path": row["model_path"] or row["base_model"],
                "open": row["sampler_id"] in live,
                "at": row["created_at"],
            }
            for row in rows
        ]
    }


def _source_name(state: AppState, model_path: str | None, base_model: str) -> str:
    """Return what to call the weights that a sampling session samples from."""
    if model_path is None:
        return base_model
    run_id, _, rest = model_path.removeprefix("tinker://").partition("/")
    try:
        name = view_of(state, state.runs.get(run_id)).name
    except Problem:
        return model_path
    return f"{name} / {rest.partition('/')[2]}"


def troubles(state: AppState, place: Place) -> Values:
    """Show the newest errors and refused requests."""
    del place
    return {"troubles": state.troubles.newest()[:MOST_ROWS]}


def run_head(state: AppState, place: Place) -> Values:
    """Show what a run is and how it stands."""
    (run,) = chosen_runs(state, place)
    newest = state.metrics.losses(run.run_id)
    pending = [one for one in state.promises.pending() if one.track == run.run_id]
    return {
        "run": run,
        "loss": newest[-1][1] if newest else None,
        "pending": len(pending),
        "computing": sum(one.began_at is not None for one in pending),
    }


def run_settings(state: AppState, place: Place) -> Values:
    """Show the settings of a run: what the client noted with it, and what its requests had."""
    (run,) = chosen_runs(state, place)
    record = run.record
    layers = [name for name in ("attn", "mlp", "unembed") if getattr(record, f"train_{name}")]
    own = {
        "base model": record.base_model,
        "LoRA rank": record.lora_rank,
        "trained layers": ", ".join(layers),
        **state.metrics.settings(run.run_id),
    }
    if own.get("grad clip norm", 0) >= NO_CLIPPING or own.get("grad clip norm") == 0:
        own["grad clip norm"] = "none"
    labels = {name: value for name, value in run.status.metadata.items() if name != "name"}
    return {"settings": own, "labels": labels, "run": run}


def run_checkpoints(state: AppState, place: Place) -> Values:
    """Show a run's checkpoints with the commands that use them."""
    (run,) = chosen_runs(state, place)
    records = state.checkpoints.of_run(run.run_id)
    return {"checkpoints": [_checkpoint_view(state, place, one, run.name) for one in records]}


def run_samples(state: AppState, place: Place) -> Values:
    """Show samples from each saved state of a run's weights."""
    (run_id,) = place.run_ids
    return {"snapshots": state.shown_samples.of_run(run_id)}


def run_log(state: AppState, place: Place) -> Values:
    """Show what happened to a run."""
    (run_id,) = place.run_ids
    return {"entries": state.run_log.of_run(run_id)}


def compared(state: AppState, place: Place) -> Values:
    """Show the runs that are laid over each other."""
    return {"runs": chosen_runs(state, place)}


SECTIONS: Mapping[str, Callable[[AppState, Place], Values]] = {
    "tiles": tiles,
    "runs": runs,
    "queue": queue,
    "hours": hours,
    "checkpoints": checkpoints,
    "samplers": samplers,
    "troubles": troubles,
    "run_head": run_head,
    "run_settings": run_settings,
    "run_checkpoints": run_checkpoints,
    "run_samples": run_samples,
    "run_log": run_log,
    "compared": compared,
}
OVERVIEW = ("tiles", "runs", "queue", "hours", "checkpoints", "samplers", "troubles")
ONE_RUN = ("run_head", "run_checkpoints", "run_samples", "run_settings", "run_log")
COMPARISON = ("compared",)
