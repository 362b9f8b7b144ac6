"""`tinkex serve`: the local server as a program."""

import logging
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from tinkex._base.secret import Secret
from tinkex.local.log_lines import configure

if TYPE_CHECKING:
    from tinkex.testing import Fault


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Interface to listen on.")
@click.option(
    "--port", default=8420, show_default=True, help="Port to listen on; 0 for a free one."
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for runs and checkpoints.  [default: TINKEX_LOCAL_DIR or the user's data folder]",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="[NAME=]FOLDER",
    help="Hugging Face folder to serve next to the shipped models, as NAME or under the folder's"
    " name. May be repeated.",
)
@click.option(
    "--faults",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Faults to inject, in JSON or TOML; see docs/testing.md.",
)
@click.option(
    "--latency",
    type=click.FloatRange(min=0, max=600_000),
    default=0.0,
    metavar="MS",
    help="Delay of every request, in milliseconds.  [default: 0]",
)
@click.option(
    "--api-key",
    envvar="TINKEX_SERVE_API_KEY",
    show_envvar=True,
    callback=lambda _context, _option, value: Secret.of(value),
    help="Accept only this API key.  [default: any, on the loopback interface]",
)
@click.option(
    "--without-key",
    is_flag=True,
    help="Accept everyone who can reach the server, on interfaces other than loopback too.",
)
@click.option(
    "--allow-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="Additional host name in the URLs of clients, such as that of a proxy. May be repeated.",
)
@click.option("-v", "--verbose", is_flag=True, help="Log every request.")
def command(
    host: str,
    port: int,
    data_dir: Path | None,
    models: tuple[str, ...],
    faults: Path | None,
    latency: float,
    api_key: Secret | None,
    without_key: bool,
    allowed_hosts: tuple[str, ...],
    verbose: bool,
) -> None:
    """Run the local server until Ctrl-C.

    It serves the Tinker API and trains small models on this machine, offline and free of charge.
    """
    configure(logging.DEBUG if verbose else logging.INFO)
    # uvicorn's own lines repeat what is printed here.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    stopped = threading.Event()

    def stop(signal_number: int, frame: FrameType | None) -> None:
        del signal_number, frame
        stopped.set()

    # Installed before the start, so that a signal during it is not lost.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    named = dict(_named_folder(text) for text in models)
    try:
        from tinkex.local import LocalServer
        from tinkex.local.datadir import default_data_dir
    except ModuleNotFoundError as error:
        raise click.ClickException(str(error)) from error
    try:
        server = LocalServer(
            data_dir=data_dir or default_data_dir(),
            host=host,
            port=port,
            models=named,
            api_key=api_key,
            without_key=without_key,
            allowed_hosts=allowed_hosts,
            faults=_faults(faults),
            latency=latency / 1e3,
        )
        server.start()
    except OSError as error:
        reason = str(error.strerror or error).replace("another port", "another with --port")
        file = f"{error.filename}: " if error.filename else ""
        raise click.ClickException(f"the local server cannot start: {file}{reason}") from error
    except (ValueError, RuntimeError) as error:
        raise click.ClickException(f"the local server cannot start: {error}") from error
    try:
        click.echo(f"base URL   {server.base_url}")
        once = "  (lets one browser in; later ones enter the key)" if api_key else ""
        click.echo(f"page       {server.console_url}{once}")
        click.echo(f"models     {', '.join(server.model_names)}")
        click.echo(f"data       {server.data_dir}")
        click.echo()
        click.echo(f"export TINKER_BASE_URL={server.base_url}")
        click.echo(f"export TINKER_API_KEY={'<the key>' if api_key else 'tml-local'}")
        # Waits in short pieces: on some systems a signal does not end a wait without a limit.
        while not stopped.wait(1.0):
            if server.failure is not None:
                raise click.ClickException(
                    f"the local server has ended by an error: {server.failure}. Start it again; "
                    "runs and checkpoints are kept"
                )
    finally:
        server.stop()
    click.echo("stopped")


def _faults(file: Path | None) -> "list[Fault]":
    if file is None:
        return []
    from tinkex.testing import load_faults

    return load_faults(file)


def _named_folder(text: str) -> tuple[str, Path]:
    """Return a model's name and folder; a folder without a name is served by its own."""
    name, separator, folder = text.partition("=")
    # A folder's path may have a = in it.
    if not separator or (Path(text).is_dir() and not Path(folder).is_dir()):
        path = Path(text).expanduser()
        name = path.resolve().name
    else:
        path = Path(folder).expanduser()
    if not name or not path.name or not (separator or path.is_dir()):
        raise click.BadParameter(f"{text!r} is not [NAME=]FOLDER", param_hint="--model")
    return name, path
