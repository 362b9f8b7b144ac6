"""Options from a file: TOML, YAML, JSON, or the plan that a run writes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

# Fields of a plan's recipe whose option has another form.
_PAIRS = {"rewards", "loss_config", "template_variables"}
_ALIASES = {"schedule": "schedule_kind", "loss": "loss_fn", "reward": "rewards"}


def read_config(ctx: click.Context, _option: click.Parameter, file: Path | None) -> None:
    """Take a file's values as the defaults of a command's options; what is given precedes them.

    Raises:
        BadParameter: The file cannot be read, or names an option that there is not.
    """
    if file is None:
        return
    values = flattened(parsed(file))
    names = {option.name for option in ctx.command.params}
    found = {}
    for key, value in values.items():
        name = key.replace("-", "_")
        name = _ALIASES.get(name, name)
        name = "from_checkpoint" if name == "from" else "samples" if name == "sample" else name
        if name not in names or name in ("config", "resume", "help"):
            raise click.BadParameter(f"{file} sets {key!r}, and there is no such option")
        found[name] = _as_option(name, value)
    ctx.default_map = {**(ctx.default_map or {}), **found}


def parsed(file: Path) -> Mapping[str, Any]:
    """Return the values of a file, by its suffix.

    Raises:
        BadParameter: It cannot be read.
        MissingDependencyError: It is YAML, and PyYAML is not installed.
    """
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix.lower() in (".yaml", ".yml"):
            value = _yaml(text)
        elif file.suffix.lower() == ".toml":
            import tomllib

            value = tomllib.loads(text)
        else:
            import json

            value = json.loads(text)
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"{file} cannot be read: {error}") from None
    except RecursionError:
        raise click.BadParameter(f"{file} is nested too deeply to be read") from None
    if not isinstance(value, dict):
        raise click.BadParameter(f"{file} must hold options by name, not a {type(value).__name__}")
    return value


def _yaml(text: str) -> Any:
    try:
        import yaml
    except ImportError as error:
        from tinkex.errors import MissingDependencyError

        raise MissingDependencyError("reading a YAML file", "yaml") from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def flattened(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return options by name: tables that only group them are opened, a run's plan is translated."""
    if isinstance(values.get("recipe"), dict) and isinstance(values.get("data"), dict):
        return _of_plan(values)
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and key.replace("-", "_") not in {*_PAIRS, *_ALIASES}:
            found |= value
        else:
            found[key] = value
    return found


def _of_plan(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return what differs from the defaults in a run's plan, as options."""
    import attrs

    from tinkex.recipes.folder import Plan
    from tinkex.recipes.recipe import RECIPES

    recipe, data, held_out = dict(plan["recipe"]), plan["data"], plan.get("held_out")
    method = recipe.pop("method", "sft")
    defaults = {one.name: one.default for one in attrs.fields(RECIPES.get(method, RECIPES["sft"]))}
    defaults |= {one.name: one.default for one in attrs.fields(Plan)}
    rest = {
        k: v for k, v in plan.items() if k not in ("format", "recipe", "data", "held_out", "result")
    }
    changed = {
        name: value
        for name, value in {**recipe, **rest}.items()
        if value != defaults.get(name) and value not in (None, {}, [])
    }
    found: dict[str, Any] = {"method": method, **changed}
    for role, column in (data.get("columns") or {}).items():
        found[f"{role}_column"] = column
    sources = {
        "file": data.get("path"),
        "split": data.get("split"),
        "held_out_file": held_out and held_out["path"],
    }
    return found | {name: value for name, value in sources.items() if value is not None}


def _as_option(name: str, value: Any) -> Any:
    """Return a value as the command line would have it."""
    if name in _PAIRS and isinstance(value, dict):
        import json

        as_json = name == "template_variables"
        return [f"{key}={json.dumps(one) if as_json else one}" for key, one in value.items()]
    multiple = {*_PAIRS, "samples", "ignore_fields", "log_to"}
    return [value] if name in multiple and isinstance(value, str) else value
