"""`yaml-connector demo`: the tour (section 11)."""

from __future__ import annotations

import os
from pathlib import Path

import click


@click.command()
@click.pass_context
def demo(ctx: click.Context) -> None:
    """Run the tour in a checkout: job service, connector service, jobs over gRPC, a local run.

    It starts real processes on this machine, shows what Flyte sees, and stops everything.

    \b
    Example:
      yaml-connector demo
    """
    missing = [file for file in ("connectors.d/batch_job.yaml", "examples/main.py") if not Path(file).is_file()]
    if missing:
        raise click.UsageError(f"the tour runs in a checkout of yaml_connector: {missing[0]} is missing here")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    from yaml_connector.demo.__main__ import main

    main()
    ctx.exit(0)
