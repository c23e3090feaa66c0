"""`yaml-connector demo`: the tour."""

from __future__ import annotations

import click


@click.command()
def demo() -> None:
    """Run a tour of all parts: job service, connector service, jobs over gRPC, a local run.

    It starts real processes on this machine, shows what Flyte sees, and stops everything. It needs no files of yours.

    \b
    Example:
      yaml-connector demo
    """
    from yaml_connector.demo.__main__ import main

    main()
