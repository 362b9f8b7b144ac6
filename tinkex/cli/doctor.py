"""`tinkex doctor`: what works between here and a sample, and what does not."""

import sys
from typing import TYPE_CHECKING, Any

import click

from tinkex.cli.failures import Failed
from tinkex.cli.invocation import Invocation, pass_invocation
from tinkex.cli.options import Command
from tinkex.cli.text import is_terminal, wrapped

if TYPE_CHECKING:
    from tinkex.cli.probes import Finding

_COLORS = {"ok": "green", "failed": "red", "skipped": "yellow"}
_EPILOG = """\b
Exit codes: 2 settings, 3 key, 10 dns, 11 tcp, 12 tls, 13 server,
14 capabilities, 15 session, 16 sample.
"""


@click.command("doctor", cls=Command, epilog=_EPILOG)
@click.option("--base-model", metavar="NAME", help="Model to sample from.  [default: the first]")
@click.option("--sample/--no-sample", default=True, help="Sample one token at the end.")
@pass_invocation
def command(invocation: Invocation, base_model: str | None, sample: bool) -> Any:
    """Check every layer between this machine and a sample.

    Each layer is tried by itself, in order, until one fails: the name, the connection, its
    encryption, the server, the key, the models, a session, a sample of one token.
    """
    result, failed = examine(invocation, base_model, sample, says=not invocation.as_json)
    if invocation.as_json:
        invocation.show(result, list)
    if failed is not None:
        raise Failed(f"{failed.layer}: {failed.detail}", result, failed.code)
    return result


def examine(
    invocation: Invocation, base_model: str | None, sample: bool, *, says: bool
) -> "tuple[dict[str, Any], Finding | None]":
    """Check each layer until one fails; return the findings and the failed layer.

    Args:
        invocation: The way to server and user; its settings become impatient.
        base_model: Model for the sample, or None for the first.
        sample: Whether there is one.
        says: Whether each finding is written as soon as it is there.
    """
    from tinkex.cli.probes import PATIENCE, Finding, Probes

    # Fail soon instead of repeating: a doctor wants to see the failure.
    invocation.settings.setdefault("timeout", PATIENCE)
    invocation.settings["max_retries"] = 0
    findings: list[Finding] = []
    with invocation.service() as service:
        if says:
            source = service.config.sources["base_url"].replace("argument", "command line")
            invocation.say(f"{service.base_url} (from {source})")
        probes = Probes(service, base_model, sample)
        failed: Finding | None = None
        for name, code, probe in probes.layers:
            if failed is None:
                with invocation.progress(f"Trying {name}"):
                    finding = probes.try_layer(name, code, probe)
            else:
                finding = Finding(name, "skipped", 0.0, f"{failed.layer} failed")
            failed = finding if finding.verdict == "failed" else failed
            findings.append(finding)
            if says:
                _say(invocation, finding)
        result = {
            "base_url": service.base_url,
            "ok": failed is None,
            "layers": [_record(finding) for finding in findings],
        }
    return result, failed


def _say(invocation: Invocation, finding: "Finding") -> None:
    detail = "see below" if finding.verdict == "failed" else finding.detail
    invocation.say(f"{finding.layer:<13}", end="")
    click.secho(f"{finding.verdict:<8}", fg=_COLORS[finding.verdict], nl=False)
    took = f"{finding.seconds * 1e3:7.0f} ms  "
    if is_terminal(sys.stdout):
        indent = 13 + 8 + len(took)
        detail = f"\n{' ' * indent}".join(wrapped(detail, indent))
    invocation.say(took + detail)


def _record(finding: "Finding") -> dict[str, Any]:
    return {
        "layer": finding.layer,
        "verdict": finding.verdict,
        "seconds": round(finding.seconds, 4),
        "detail": finding.detail,
    }
