"""Where the `tinkex` script begins, beside the package: before anything of it is imported.

Until the command can report a Ctrl-C itself, Ctrl-C ends the process without a traceback.
"""

# `signal` itself takes milliseconds to import.
import _signal  # type: ignore[import-not-found]

# A shell starts background jobs with SIGINT ignored; that stays.
_raises = _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler
if _raises:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)


def main() -> None:
    """Run the command line; see `tinkex.cli.main`."""
    from tinkex.cli import main as run

    try:
        if _raises:
            _signal.signal(_signal.SIGINT, _signal.default_int_handler)
        run()
    except KeyboardInterrupt:
        # Between the two, or while the first one is reported.
        raise SystemExit(130) from None
