"""Run SkyRL's Tinker API server out of a plain virtual environment; the arguments are its own.

Upstream starts its engine by `uv run`, and needs Python 3.12 for one import. Both are got around
here, and no file of it is changed. With `--as-engine` first, this is the engine.
"""

import argparse
import runpy
import sys
import typing
from pathlib import Path

import typing_extensions

if sys.version_info < (3, 12):
    # pydantic takes the one of typing_extensions alone there.
    typing.TypedDict = typing_extensions.TypedDict


def run_engine() -> None:
    del sys.argv[1]
    runpy.run_module("skyrl.tinker.engine", run_name="__main__", alter_sys=True)


def run_server() -> None:
    import uvicorn
    from skyrl.tinker import api
    from skyrl.tinker.config import EngineConfig, add_model, config_to_argv

    api._build_uv_run_cmd_engine = lambda parent, config: [
        sys.executable,
        str(Path(__file__).resolve()),
        "--as-engine",
        *config_to_argv(config),
    ]
    parser = argparse.ArgumentParser()
    add_model(parser, EngineConfig)
    parser.add_argument("--port", type=int)
    asked = vars(parser.parse_args())
    api.app.state.engine_config = EngineConfig.model_validate(
        {name: value for name, value in asked.items() if name in EngineConfig.model_fields}
    )
    uvicorn.run(
        api.app, host="127.0.0.1", port=asked["port"], log_config=api.get_uvicorn_log_config()
    )


if __name__ == "__main__":
    run_engine() if sys.argv[1:2] == ["--as-engine"] else run_server()
